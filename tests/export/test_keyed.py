"""Tables that are read in full each time and replaced by key: whole, remembered, nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pytest

import refonte_frames as rf
from refonte_frames.export.keyed import replace_by_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENT = rf.Client(api_key="live_demo", base_url="http://127.0.0.1:9/v1")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def rows(*batches: tuple[str, str]) -> pa.Table:
    """Make rows of the table batches from names and states."""
    found = [{"batch": name, "status": status, "exported_at": NOW} for name, status in batches]
    return pa.Table.from_pylist(found, rf.schemas.BATCHES)


def replace(root: Path, *portions: pa.Table, **options: Any) -> rf.ExportReport:
    """Replace the table batches by what is given."""

    def read(drift: object) -> Iterator[tuple[str, pa.Table]]:
        assert drift is not None
        yield from (("batches", portion) for portion in portions)

    return replace_by_key(
        root, **{"tables": ["batches"], "filters": {}, "read": read, "client": CLIENT, "progress": False, **options}
    )


def states(root: Path) -> dict[str, str]:
    """Read the folder as anybody would."""
    frame = pd.read_parquet(root / "batches")
    assert frame["batch"].is_unique
    return dict(zip(frame["batch"], frame["status"], strict=True))


def test_rows_replace_those_of_the_same_key(tmp_path: Path) -> None:
    """Others stay; the report counts what became of each."""
    root = tmp_path / "dock"
    replace(root, rows(("a", "staging"), ("b", "staging"), ("old", "completed")))
    report = replace(root, rows(("a", "completed"), ("b", "staging")), rows(("new", "staging")))
    assert states(root) == {"a": "completed", "b": "staging", "new": "staging", "old": "completed"}
    assert report.changes == {"batches": {"read": 3, "new": 1, "changed": 1, "unchanged": 1, "unlisted": 1}}
    assert rf.open_export(root).report == report
    assert "batches   4 rows: 3 read, 1 new, 1 changed, 1 unchanged, 1 unlisted" in repr(report)


def test_what_is_listed_no_more_can_be_dropped(tmp_path: Path) -> None:
    """Where it is no longer true."""
    root = tmp_path / "dock"
    replace(root, rows(("a", "staging"), ("b", "staging")))
    replace(root, rows(("b", "staging")), keep_unlisted=False)
    assert states(root) == {"b": "staging"}


def test_a_row_that_comes_twice_counts_once(tmp_path: Path) -> None:
    """As from a list that shifts while it is read."""
    report = replace(tmp_path / "dock", rows(("a", "staging"), ("a", "staging")), rows(("a", "completed")))
    assert states(tmp_path / "dock") == {"a": "staging"}
    assert report.changes["batches"]["read"] == 1


def test_no_rows_still_make_a_readable_table(tmp_path: Path) -> None:
    """With all columns."""
    replace(tmp_path / "dock")
    assert pd.read_parquet(tmp_path / "dock" / "batches").columns.tolist() == rf.schemas.BATCHES.names


def test_a_reading_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    """Also when some rows had come."""
    root = tmp_path / "dock"
    replace(root, rows(("a", "staging")))

    def read(drift: object) -> Iterator[tuple[str, pa.Table]]:
        del drift
        yield "batches", rows(("b", "staging"))
        raise rf.ReplyError("no", path="docs")

    with pytest.raises(rf.ReplyError):
        replace(root, read=read)
    assert states(root) == {"a": "staging"}
    replace(root, rows(("a", "completed")))
    assert states(root) == {"a": "completed"}


def test_other_filters_are_refused_by_name(tmp_path: Path) -> None:
    """The folder remembers them."""
    replace(tmp_path / "dock", rows(("a", "staging")), filters={"project": "x"})
    with pytest.raises(rf.ExportError, match="project was 'x' and is now 'y'"):
        replace(tmp_path / "dock", filters={"project": "y"})


def test_large_files_without_a_replaced_row_stay_as_they_are(tmp_path: Path) -> None:
    """Small ones are written together."""
    root = tmp_path / "dock"
    many = pa.table({"batch": [f"b{index}" for index in range(120_000)]})
    empty = {name: pa.nulls(120_000, rf.schemas.BATCHES.field(name).type) for name in rf.schemas.BATCHES.names[1:]}
    replace(root, pa.table({"batch": many["batch"], **empty}, rf.schemas.BATCHES))
    (before,) = (root / "batches").iterdir()
    inode = before.stat().st_ino
    replace(root, rows(("new", "staging")))
    replace(root, rows(("newer", "staging")))
    kept, added = sorted((root / "batches").iterdir())
    assert kept.stat().st_ino == inode
    assert pd.read_parquet(added)["batch"].tolist() == ["newer", "new"]
