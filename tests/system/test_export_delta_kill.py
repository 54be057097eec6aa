"""Delta Lake tables whose writer is killed with SIGKILL: each is as before or after, and the next call ends right."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from listing import Listing, small_task

import refonte_frames as rf

SCRIPT = Path(__file__).parent / "to_delta_once.py"
IS_NIGHT = os.environ.get("REFONTE_TEST_DOSE", "1") != "1"
TABLES = {"tasks": "", "audits": "_audits", "annotations": "_annotations"}
OLD = [small_task(index) for index in range(400)][::-1]


def later() -> list[dict[str, Any]]:
    """Make the same tasks a day later: some are new, every seventh has lost an answer."""
    found = [small_task(index) for index in range(400, 420)][::-1]
    for place, task in enumerate(OLD):
        answers = task["response"]["annotations"][: 2 - (place % 7 == 0)]
        stamp = "2024-03-12T00:00:00.000Z" if place % 7 == 0 else task["updated_at"]
        found.append(task | {"updated_at": stamp, "response": {"annotations": answers}})
    return found


def export(listing: Listing, root: Path) -> None:
    """Bring a folder up to date."""
    with rf.Client(api_key="live_demo", base_url=listing.base_url) as client:
        rf.export_tasks(root, progress=False, client=client)


def keys_of(table: Any, name: str) -> list[tuple[Any, ...]]:
    """Say which rows there are, and in which reading."""
    rows = table.select([*rf.schemas.KEYS[name], "exported_at"]).to_pylist()
    return sorted(tuple(map(str, row.values())) for row in rows)


def lake_of(lake: Path) -> dict[str, list[tuple[Any, ...]] | None]:
    """Read the Delta tables that are there."""
    return {
        name: keys_of(DeltaTable(f"{lake}{end}").to_pyarrow_table(), name)
        if DeltaTable.is_deltatable(f"{lake}{end}")
        else None
        for name, end in TABLES.items()
    }


def folder_of(root: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read the folder's tables."""
    opened = rf.open_export(root)
    return {name: keys_of(getattr(opened, name).to_arrow(), name) for name in TABLES}


def files(folder: Path) -> int:
    """Count the files below a folder."""
    return sum(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize("is_first", [True, False])
def test_a_killed_writer_leaves_old_or_new_tables_and_the_next_call_ends_right(
    is_first: bool,  # noqa: FBT001 - pytest gives it by name
    tmp_path: Path,
) -> None:
    """Whether it makes the tables or brings them up to date."""
    root, before = tmp_path / "dock", tmp_path / "before"
    before.mkdir()
    with Listing(OLD) as listing:
        export(listing, root)
        if not is_first:
            rf.to_delta(root, before / "lake")
            listing.tasks = later()
            export(listing, root)
    expected, old = folder_of(root), lake_of(before / "lake")
    whole = shutil.copytree(before, tmp_path / "whole")
    rf.to_delta(root, whole / "lake")
    assert lake_of(whole / "lake") == expected != old
    made, ends = files(whole) - files(before), set()
    for last in range(1, made + 1) if IS_NIGHT else [2] if is_first else [made - 1]:
        place = shutil.copytree(before, tmp_path / f"killed-{last}")
        command = [sys.executable, str(SCRIPT), str(root), str(place / "lake"), str(last)]
        ends.add(subprocess.run(command, capture_output=True, check=False).returncode)
        for name, rows in lake_of(place / "lake").items():
            assert rows in (old[name], expected[name])
        rf.to_delta(root, place / "lake")
        assert lake_of(place / "lake") == expected
    assert -9 in ends <= {-9, 0}
