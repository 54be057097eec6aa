"""Folders on other file systems: the same tables, a manifest that is written last, a lease in place of a lock."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

import fsspec
import msgspec
import pandas as pd
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from listing import Listing, small_task

import refonte_frames as rf
from refonte_frames.export.dataset import Dataset
from refonte_frames.export.places import Disk, Objects, store_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOME = [small_task(index) for index in range(350)][::-1]


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """Begin with an empty memory."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()


def export(listing: Listing, root: Any, **options: Any) -> rf.ExportReport:
    """Export all that a listing has."""
    with rf.Client(api_key="live_demo", base_url=listing.base_url) as client:
        return rf.export_tasks(root, progress=False, **options, client=client)


def changed() -> list[dict[str, Any]]:
    """Make the same tasks some days later."""
    more = [small_task(index) for index in range(350, 360)][::-1]
    return [*more, SOME[0] | {"tags": ["seen"], "updated_at": "2024-03-12T00:00:00.000Z"}, *SOME[1:]]


def ids(memory: MemoryFileSystem) -> list[str]:
    """Read the ids as anybody would."""
    frame = pd.read_parquet("/lake/dock/tasks", filesystem=memory)
    return sorted(frame["task_id"])


def test_an_object_store_holds_the_same_tables(memory: MemoryFileSystem, tmp_path: Path) -> None:
    """Exported, brought up to date in both ways, compacted, and read; nothing is left lying about."""
    with Listing(SOME) as listing:
        where = {"filesystem": memory}
        assert export(listing, "lake/dock", **where).rows["tasks"] == 350
        listing.tasks = changed()
        assert export(listing, "lake/dock", fold=False, **where).tasks_changed == 1
        assert len(ids(memory)) == 350
        opened = rf.open_export("lake/dock", **where)
        assert len(opened.tasks.to_pandas()) == 360
        assert export(listing, "lake/dock", **where).mode == "increment"
        assert export(listing, tmp_path / "dock").rows == rf.open_export("lake/dock", **where).report.rows
    opened.compact()
    assert ids(memory) == sorted(task["task_id"] for task in changed())
    mine = opened.annotations.to_pandas().drop(columns="exported_at")
    theirs = rf.open_export(tmp_path / "dock").annotations.to_pandas().drop(columns="exported_at")
    pd.testing.assert_frame_equal(
        *(frame.sort_values(["task_id", "annotation_index"], ignore_index=True) for frame in (mine, theirs))
    )
    left = {path.split("/")[3] for path in memory.find("lake/dock")}
    assert left == {"_manifest.json", "_old", "tasks", "audits", "annotations"}


def test_an_open_folder_goes_on_reading_what_a_later_run_moved_aside(memory: MemoryFileSystem) -> None:
    """Superseded objects stay for an hour."""
    with Listing(SOME) as listing:
        export(listing, "lake/dock", filesystem=memory)
        tasks = rf.open_export("lake/dock", filesystem=memory).tasks
        dataset = tasks.dataset()
        listing.tasks = SOME[5:]
        export(listing, "lake/dock", filesystem=memory, full=True)
        export(listing, "lake/dock", filesystem=memory, full=True)
    assert dataset.count_rows() == 350
    assert len(ids(memory)) == 345


def test_what_was_superseded_more_than_an_hour_ago_is_removed(memory: MemoryFileSystem) -> None:
    """By the next run."""
    with Listing(SOME) as listing:
        export(listing, "lake/dock", filesystem=memory)
        memory.pipe("/lake/dock/_old/000000-1600000000/tasks/part-a.parquet", b"old")
        memory.pipe(f"/lake/dock/_old/000000-{time.time():.0f}/tasks/part-b.parquet", b"new")
        export(listing, "lake/dock", filesystem=memory)
    kept = [path.rpartition("/")[2] for path in memory.find("lake/dock/_old")]
    assert kept == ["part-b.parquet"]


def test_a_lease_of_somebody_who_lives_is_respected(memory: MemoryFileSystem) -> None:
    """Not one that was not renewed, nor one of a process of this machine that is gone."""
    lease = {"pid": os.getpid(), "host": socket.gethostname(), "token": "x", "at": time.time()}
    dead = {"pid": 2**22 + 1}
    with Listing(SOME) as listing:
        memory.pipe("/lake/dock/_lock", msgspec.json.encode(lease))
        with pytest.raises(rf.ExportError, match=f"is being written by process {os.getpid()} on .* its claim ends"):
            export(listing, "lake/dock", filesystem=memory)
        memory.pipe("/lake/dock/_lock", msgspec.json.encode(lease | dead))
        export(listing, "lake/dock", filesystem=memory)
        memory.pipe("/lake/dock/_lock", msgspec.json.encode(lease | {"host": "elsewhere", "at": time.time() - 600}))
        export(listing, "lake/dock", filesystem=memory)
    assert not memory.exists("/lake/dock/_lock")


def test_who_lost_the_lease_does_not_write_the_manifest(memory: MemoryFileSystem) -> None:
    """Somebody else has begun meanwhile."""
    dataset = Dataset("lake/dock", memory)
    with Listing(SOME) as listing:
        export(listing, "lake/dock", filesystem=memory)
    manifest = dataset.manifest()
    assert manifest is not None
    with dataset.lock():
        other = {"pid": 1, "host": "elsewhere", "token": "x", "at": time.time()}
        memory.pipe("/lake/dock/_lock", msgspec.json.encode(other))
        with pytest.raises(rf.ExportError, match="is being written by process 1 on elsewhere"):
            dataset.settle_on(msgspec.structs.replace(manifest, generation=7))
    assert dataset.manifest() == manifest
    assert memory.exists("/lake/dock/_lock")


def test_a_run_that_was_cut_off_is_gone_on_with(memory: MemoryFileSystem) -> None:
    """Whichever object was the last to be written; rows are as if undisturbed, and nothing stays behind."""
    with Listing(SOME) as listing:
        export(listing, "lake/dock", filesystem=memory)
        before = {path: memory.cat(path) for path in memory.find("/lake/dock")}
        listing.tasks = changed()
        changes = _cut_off(memory, listing, last=0)
        for last in range(1, changes + 1, 3):
            memory.rm("/lake/dock", recursive=True)
            memory.pipe(before)
            _cut_off(memory, listing, last=last)
            assert len(rf.open_export("lake/dock", filesystem=memory).tasks.to_arrow()) in (350, 360)
            MemoryFileSystem.store.pop("/lake/dock/_lock", None)
            export(listing, "lake/dock", filesystem=memory)
            assert len(set(ids(memory))) == len(ids(memory)) == 360
            assert not [path for path in memory.find("/lake/dock") if "/_run/" in path]


class _Cut(MemoryFileSystem):
    """Fails for good from its n-th change on, as a process that was killed makes no further one."""

    cachable = False
    last = 0
    seen = 0

    def _count(self) -> None:
        self.seen += 1
        if self.last and self.seen >= self.last:
            raise _CutOffError

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        if "w" in mode:
            self._count()
        return super()._open(path, mode, **options)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self._count()
        super().cp_file(path1, path2, **options)

    def _rm(self, path: str) -> None:
        self._count()
        super()._rm(path)


class _CutOffError(Exception):
    """The process is gone."""


def _cut_off(memory: MemoryFileSystem, listing: Listing, last: int) -> int:
    """Export until the `last` change, and return how many there were."""
    cut = _Cut()
    cut.last = last
    try:
        export(listing, "lake/dock", filesystem=cut)
    except (_CutOffError, rf.ExportError):
        assert last
    del memory
    return cut.seen


@pytest.mark.parametrize("kind", ["pyarrow", "fsspec", "subtree"])
def test_a_disk_is_a_disk_by_any_name(kind: str, tmp_path: Path) -> None:
    """With its renames and locks."""
    local = pafs.LocalFileSystem()
    named = {
        "pyarrow": (local, str(tmp_path / "dock")),
        "fsspec": (LocalFileSystem(), str(tmp_path / "dock")),
        "subtree": (pafs.SubTreeFileSystem(str(tmp_path), local), "dock"),
    }
    filesystem, path = named[kind]
    with Listing(SOME) as listing:
        assert export(listing, path, filesystem=filesystem).rows["tasks"] == 350
    assert isinstance(store_of(path, filesystem), Disk)
    assert pq.read_table(tmp_path / "dock" / "tasks").num_rows == 350


def test_a_part_of_another_file_system_is_one_too(memory: MemoryFileSystem) -> None:
    """Pyarrow's view of a folder in it."""
    lake = pafs.SubTreeFileSystem("/lake", pafs.PyFileSystem(pafs.FSSpecHandler(memory)))
    with Listing(SOME) as listing:
        export(listing, "dock", filesystem=lake)
        export(listing, "dock", filesystem=lake)
    assert isinstance(store_of("dock", lake), Objects)
    assert len(ids(memory)) == 350


@pytest.mark.parametrize(
    ("path", "filesystem", "says"), [("s3://lake/dock", None, "is a URL"), ("dock", "s3", "is none")]
)
def test_what_is_no_file_system_is_refused(path: str, filesystem: Any, says: str) -> None:
    """With what to give instead."""
    with pytest.raises(rf.InputError, match=says):
        store_of(path, filesystem)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pyarrow", "s3fs"])
def test_s3_holds_the_same_tables(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a local server that speaks its protocol."""
    servers = pytest.importorskip("moto.server")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = servers.ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        bucket, path = f"lake-{kind}", f"lake-{kind}/dock"
        filesystem = _s3(kind, f"{host}:{port}", bucket)
        with Listing(SOME) as listing:
            where = {"filesystem": filesystem}
            export(listing, path, **where)
            listing.tasks = changed()
            assert export(listing, path, fold=False, **where).tasks_changed == 1
            assert len(rf.open_export(path, **where).tasks.to_pandas()) == 360
            export(listing, path, **where)
        opened = rf.open_export(path, **where)
        opened.compact()
        assert len(opened.tasks.to_pandas()) == len(set(opened.tasks.to_pandas()["task_id"])) == 360
    finally:
        server.stop()


def _s3(kind: str, where: str, bucket: str) -> Any:
    if kind == "pyarrow":
        s3 = pafs.S3FileSystem(endpoint_override=where, scheme="http", region="us-east-1", allow_bucket_creation=True)
        s3.create_dir(bucket)
        return s3
    s3fs = pytest.importorskip("s3fs")
    store = s3fs.S3FileSystem(endpoint_url=f"http://{where}", skip_instance_cache=True, use_listings_cache=False)
    store.mkdir(bucket)
    return store
