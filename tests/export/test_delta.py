"""Delta Lake tables that follow an exported folder: the changes only, as a set, and nothing when nothing is new."""

from __future__ import annotations

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable
from listing import Listing, small_task

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

SOME = [small_task(index) for index in range(350)][::-1]


def export(listing: Listing, root: Path, **options: Any) -> rf.ExportReport:
    """Export all that a listing has."""
    with rf.Client(api_key="live_demo", base_url=listing.base_url) as client:
        return rf.export_tasks(root, progress=False, **options, client=client)


def versions(lake: Path) -> list[int]:
    """Say how often each table was written."""
    return [DeltaTable(f"{lake}{table}").version() for table in ("", "_audits", "_annotations")]


def rows(uri: str) -> Any:
    """Read a Delta table."""
    return DeltaTable(uri).to_pyarrow_table().to_pandas()


def changed() -> list[dict[str, Any]]:
    """Make the same tasks some days later."""
    tasks = [small_task(index) for index in range(350, 360)][::-1] + copy.deepcopy(SOME)
    tasks[30] |= {"tags": ["seen"], "updated_at": "2024-03-12T00:00:00.000Z"}
    tasks[30]["response"]["annotations"].pop()
    tasks[31]["audits"] = [{"audited_by": "late@example.org", "audited_at": "2024-03-11T00:00:01.000Z"}]
    return tasks


@pytest.mark.parametrize("fold", [True, False])
def test_tables_follow_the_folder(fold: bool, tmp_path: Path) -> None:  # noqa: FBT001 - pytest gives it by name
    """All of it first, then what changed; answers and audits of a changed task are replaced as a set."""
    root, lake = tmp_path / "dock", tmp_path / "lake"
    with Listing(SOME) as listing:
        export(listing, root)
        assert rf.to_delta(root, lake) == {"audits": 117, "annotations": 700, "tasks": 350}
        assert versions(lake) == [0, 0, 0]
        assert rf.to_delta(root, lake) == {"tasks": 0, "audits": 0, "annotations": 0}
        assert versions(lake) == [0, 0, 0]
        listing.tasks = changed()
        report = export(listing, root, fold=fold)
    written = rf.to_delta(root, lake)
    assert written["tasks"] == (report.tasks_new or 0) + (report.tasks_changed or 0) == 12
    opened = rf.open_export(root)
    for name, suffix in (("tasks", ""), ("audits", "_audits"), ("annotations", "_annotations")):
        key = list(rf.schemas.KEYS[name])
        mine = getattr(opened, name).to_pandas(columns=[*key, "exported_at"]).sort_values(key, ignore_index=True)
        theirs = rows(f"{lake}{suffix}").sort_values(key, ignore_index=True)
        assert mine[key].astype(str).equals(theirs[key].astype(str))
        assert (mine["exported_at"].astype("int64") == theirs["exported_at"].astype("int64")).all()
    assert rf.to_delta(root, lake) == {"tasks": 0, "audits": 0, "annotations": 0}


def test_an_older_folder_does_not_undo_what_a_newer_one_wrote(tmp_path: Path) -> None:
    """As a copy from last week."""
    lake = tmp_path / "lake"
    with Listing(SOME) as listing:
        export(listing, tmp_path / "old")
        listing.tasks = changed()
        export(listing, tmp_path / "new")
    rf.to_delta(tmp_path / "new", lake)
    assert rf.to_delta(tmp_path / "old", lake)["tasks"] == 0
    assert rows(str(lake))["tags"].notna().sum() == 1


def test_files_are_zstd_and_the_merge_leaves_other_times_alone(tmp_path: Path) -> None:
    """Here nothing but the file of the new task is added."""
    import pyarrow.parquet as pq

    root, lake = tmp_path / "dock", tmp_path / "lake"
    with Listing(SOME) as listing:
        export(listing, root)
        rf.to_delta(root, lake)
        listing.tasks = [small_task(400), *SOME]
        export(listing, root)
    rf.to_delta(root, lake)
    for path in lake.glob("*.parquet"):
        assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    (merge,) = [entry for entry in DeltaTable(lake).history() if entry["operation"] == "MERGE"]
    assert merge["operationMetrics"]["num_target_rows_inserted"] == 1
    assert merge["operationMetrics"]["num_target_files_removed"] == 0


def test_columns_that_the_folder_came_to_have_are_added(tmp_path: Path) -> None:
    """Rows that were not written again have none; a folder without them goes on to be taken over."""
    lake = tmp_path / "lake"
    with Listing(SOME) as listing:
        export(listing, tmp_path / "plain")
        rf.to_delta(tmp_path / "plain", lake)
        export(listing, tmp_path / "typed", promote={"metadata.index": "int64"})
        rf.to_delta(tmp_path / "typed", lake)
        assert sorted(rows(str(lake))["metadata.index"]) == list(range(350))
        listing.tasks = [small_task(400), *SOME]
        export(listing, tmp_path / "plain")
        assert rf.to_delta(tmp_path / "plain", lake)["tasks"] == 1
    assert rows(str(lake))["metadata.index"].isna().sum() == 1


def test_writers_at_once_are_told_and_double_nothing(tmp_path: Path) -> None:
    """In a sentence; of three tables each writer may lose one, so all may have to call again."""
    lake, root = tmp_path / "lake", tmp_path / "dock"
    with Listing(SOME) as listing:
        export(listing, root)
        rf.to_delta(root, lake)
        listing.tasks = changed()
        export(listing, root)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(rf.to_delta, root, lake) for _ in range(4)]
        errors = [call.exception() for call in calls if call.exception() is not None]
    assert [error for error in errors if not isinstance(error, rf.ExportError)] == []
    assert all("call rf.to_delta again" in str(error) for error in errors)
    rf.to_delta(root, lake)
    assert rf.to_delta(root, lake) == {"tasks": 0, "audits": 0, "annotations": 0}
    assert rows(str(lake))["task_id"].is_unique
    assert len(rows(str(lake))) == 360
    assert not rows(f"{lake}_annotations").duplicated(["task_id", "annotation_index"]).any()


def test_without_the_package_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    """Before anything is read."""
    code = (
        "import sys; sys.modules['deltalake'] = None; import refonte_frames as rf\n"
        f"rf.to_delta({str(tmp_path)!r}, 'lake')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: rf.to_delta needs the package deltalake: pip install 'refonte-frames[delta]'" in done.stderr
