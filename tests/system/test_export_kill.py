"""Exports that are killed with SIGKILL, at any change to the folder: run again, the tables are as if undisturbed."""

from __future__ import annotations

import copy
import os
import random
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from listing import Listing, small_task

import refonte_frames as rf
from refonte_frames.schemas import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parent / "export_once.py"
#: Kills a case; the nightly run multiplies it.
DOSE = 2 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))
#: Enough for several windows.
COUNT = 6_000 if DOSE == 2 else 10_500
OLD = [small_task(index) for index in range(COUNT)][::-1]


def later(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the same tasks some days later: some are new, some audited or tagged, most as they were."""
    found = [small_task(index) for index in range(COUNT, COUNT + 300)][::-1] + copy.deepcopy(tasks)
    for task in found[400::700]:
        task |= {"tags": ["seen"], "updated_at": "2024-03-12T00:00:00.000Z"}
        task["response"]["annotations"].pop()
    return found


NEW = later(OLD)
#: Some of the old tasks are not worked on yet: windows of their own hold them.
WAITING = [
    {name: value for name, value in task.items() if name not in ("completed_at", "response", "audits")}
    | {"status": "pending"}
    if place % 900 == 0
    else task
    for place, task in enumerate(OLD)
]


@pytest.fixture
def listing() -> Iterator[Listing]:
    """Serve the old tasks."""
    with Listing(OLD) as running:
        yield running


def client_of(listing: Listing, folder: Path) -> rf.Client:
    """Make a client of the same account as the killed program's."""
    return rf.Client(api_key="live_demo", base_url=listing.base_url, state_dir=folder)


def run(
    listing: Listing, root: Path, last: int, *, workers: int = 16, kind: str = "fold"
) -> subprocess.CompletedProcess[str]:
    """Run the user's program until its `last` change to the folder."""
    environment = os.environ | {"REFONTE_API_KEY": "live_demo", "REFONTE_BASE_URL": listing.base_url}
    command = [sys.executable, str(SCRIPT), str(root), str(last), str(workers), kind]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def run_read(listing: Listing, root: Path, last: int, kind: str) -> tuple[int, list[tuple[int, int]]]:
    """Run the program, and meanwhile open and read the folder time and again; return how it ended and what was read."""
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(run, listing, root, last, kind=kind)
        seen = [opened(root)]
        while not wait([ending], timeout=0.02).done:
            seen.append(opened(root))
    return ending.result().returncode, seen


def opened(root: Path) -> tuple[int, int]:
    """Read the folder as `open_export` shows it: how many tasks and how many answers."""
    export = rf.open_export(root)
    ids = export.tasks.to_arrow(columns=["task_id"])["task_id"].to_pylist()
    assert len(set(ids)) == len(ids) == len(export.tasks)
    return len(ids), export.annotations.to_arrow(columns=["task_id"]).num_rows


def numbers(done: subprocess.CompletedProcess[str]) -> list[int]:
    """Read how many changes a program made, and which of them noted a window."""
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


def state(root: Path) -> dict[str, pa.Table]:
    """Read the tables as anybody would, without our help; sorted by key, without the time of reading."""
    tables = {name: pq.read_table(root / name) for name in ("tasks", "audits", "annotations") if (root / name).exists()}
    return {name: plain(table).sort_by([(key, "ascending") for key in KEYS[name]]) for name, table in tables.items()}


def plain(table: pa.Table) -> pa.Table:
    """Make texts of dictionaries, which may be numbered in another way, and leave the time of reading out."""
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
        for field in table.schema
        if field.name != "exported_at"
    ]
    return table.drop_columns("exported_at").cast(pa.schema(fields))


def assert_same(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    """Compare all tables, cell by cell."""
    assert one.keys() == other.keys()
    for name, table in one.items():
        assert table.equals(other[name]), name


def assert_tidy(root: Path) -> None:
    """No file is there that the manifest does not name."""
    manifest = msgspec.json.decode((root / "_manifest.json").read_bytes())
    layers = {"": manifest["files"]} | {f"_delta/{delta['name']}/": delta["files"] for delta in manifest["deltas"]}
    named = {
        f"{folder}{table}/{entry['name']}"
        for folder, files in layers.items()
        for table, entries in files.items()
        for entry in entries
    }
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith("_old/")} == named | {"_manifest.json", "_lock"}


def instants(changes: int) -> list[int]:
    """Choose when to kill: at the first and last change, and at others between them."""
    others = min(DOSE if DOSE > 2 else 1, changes)
    return sorted({1, changes, *random.Random(DOSE).sample(range(1, changes + 1), others)})


def test_a_first_export_that_is_killed_at_any_change_ends_as_if_undisturbed(listing: Listing, tmp_path: Path) -> None:
    """And until then nobody sees half a table."""
    undisturbed = run(listing, tmp_path / "undisturbed", 0)
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = state(tmp_path / "undisturbed")
    assert len(expected["tasks"]) == len(OLD)
    for last in instants(numbers(undisturbed)[0]):
        root = tmp_path / f"killed-{last}"
        assert run(listing, root, last).returncode == -9
        for name, table in state(root).items():
            assert len(table) == len(expected[name])
        rf.export_tasks(root, client=client_of(listing, tmp_path), progress=False)
        assert_same(state(root), expected)
        assert_tidy(root)


@pytest.mark.parametrize("ignores", ["", "updated_after"])
def test_an_increment_that_is_killed_at_any_change_ends_as_if_undisturbed(
    ignores: str, listing: Listing, tmp_path: Path
) -> None:
    """The folder shows the old state or the new one, never a mixture; whichever way the changes were found."""
    listing.ignores = {ignores}
    listing.tasks = WAITING if ignores else OLD
    base = tmp_path / "base"
    assert run(listing, base, 0).returncode == 0
    before = state(base)
    listing.tasks, listing.now = NEW, datetime(2024, 3, 13, tzinfo=UTC)
    shutil.copytree(base, tmp_path / "undisturbed")
    undisturbed = run(listing, tmp_path / "undisturbed", 0)
    expected = state(tmp_path / "undisturbed")
    assert len(expected["tasks"]) == len(NEW)
    assert len(NEW) - expected["tasks"]["tags"].null_count == len(NEW[400::700])
    changes = numbers(undisturbed)[0]
    for last in instants(changes) if not ignores or DOSE > 3 else [changes // 2]:
        root = tmp_path / f"killed-{last}"
        shutil.copytree(base, root)
        assert run(listing, root, last).returncode == -9
        for name, table in state(root).items():
            assert len(table) in (len(before[name]), len(expected[name]))
        rf.export_tasks(root, client=client_of(listing, tmp_path), progress=False)
        assert_same(state(root), expected)
        assert_tidy(root)


@pytest.mark.parametrize("kind", ["fold", "beside", "compact"])
def test_who_reads_meanwhile_sees_the_old_state_or_the_new_one(kind: str, listing: Listing, tmp_path: Path) -> None:
    """Through any kill of an export, of one that lets its increments lie beside the base, and of a compaction."""
    listing.tasks = OLD[-1_200:]
    base = tmp_path / "base"
    assert run(listing, base, 0).returncode == 0
    listing.tasks, listing.now = later(OLD[-1_200:]), datetime(2024, 3, 13, tzinfo=UTC)
    # An increment lies beside the base already, whatever comes then.
    assert run(listing, base, 0, kind="beside").returncode == 0
    before = opened(base)
    listing.tasks = [
        *listing.tasks[:-1],
        listing.tasks[-1] | {"updated_at": "2024-03-13T00:00:00.000Z", "response": None},
    ]
    shutil.copytree(base, tmp_path / "undisturbed")
    undisturbed = run(listing, tmp_path / "undisturbed", 0, kind=kind)
    after = opened(tmp_path / "undisturbed")
    assert after == (before if kind == "compact" else (before[0], before[1] - 2))
    rf.export_tasks(tmp_path / "undisturbed", client=client_of(listing, tmp_path), progress=False)
    expected = state(tmp_path / "undisturbed")
    changes = numbers(undisturbed)[0]
    for last in instants(changes) if DOSE > 3 else random.Random(kind).sample(range(2, changes), 2):
        root = tmp_path / f"killed-{last}"
        shutil.copytree(base, root)
        ended, seen = run_read(listing, root, last, kind)
        assert ended == -9
        assert set(seen) <= {before, after}
        for _ in range(2):  # the first may only finish what was put in place
            rf.export_tasks(root, client=client_of(listing, tmp_path), progress=False)
        assert_same(state(root), expected)
        assert_tidy(root)


def test_a_killed_export_reads_finished_windows_no_more(listing: Listing, tmp_path: Path) -> None:
    """Only the one that was in flight."""
    _, *notes = numbers(run(listing, tmp_path / "undisturbed", 0, workers=1))
    asked = len(listing.requests)
    root = tmp_path / "killed"
    run(listing, root, notes[-2] + 1, workers=1)
    listing.requests.clear()
    report = rf.export_tasks(root, client=client_of(listing, tmp_path), progress=False)
    assert report.is_resumed
    assert report.rows["tasks"] == len(OLD)
    assert len(listing.requests) < 0.5 * asked


def test_an_export_that_was_killed_while_it_was_put_in_place_asks_for_nothing(listing: Listing, tmp_path: Path) -> None:
    """All of it had been read."""
    changes = numbers(run(listing, tmp_path / "undisturbed", 0))[0]
    run(listing, tmp_path / "killed", changes - 5)
    listing.requests.clear()
    report = rf.export_tasks(tmp_path / "killed", client=client_of(listing, tmp_path), progress=False)
    assert report.is_resumed
    assert listing.requests == []
    assert_tidy(tmp_path / "killed")
