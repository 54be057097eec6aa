"""Streams of no rows: whoever takes a stream as it is gets its columns all the same."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STREAMS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "tasks": (rf.scan_tasks, {"project": "no_such_project"}),
    "audits": (rf.scan_audits, {"unique_id": []}),
    "annotations": (rf.scan_annotations, {"task_ids": []}),
    "batches": (rf.scan_batches, {"project": "no_such_project"}),
    "attempts": (rf.scan_attempts, {"labeler_emails": "nobody@example.org"}),
}


@pytest.mark.parametrize("table", STREAMS)
def test_polars_takes_a_stream_without_rows(table: str, client: rf.Client) -> None:
    """It has the columns, as with rows."""
    scan, filters = STREAMS[table]
    frame = pl.from_arrow(scan(**filters, client=client))
    assert isinstance(frame, pl.DataFrame)
    assert frame.height == 0
    assert frame.columns == rf.schemas.SCHEMAS[table].names


def test_polars_takes_an_exported_table_without_rows(client: rf.Client, tmp_path: Path) -> None:
    """Also of a filter that nothing matches."""
    rf.export_tasks(tmp_path / "out", project="no_such_project", progress=False, client=client)
    tasks = rf.open_export(tmp_path / "out").tasks
    frame = pl.from_arrow(tasks.scan(columns=["task_id"], filter=[("status", "==", "completed")]))
    assert isinstance(frame, pl.DataFrame)
    assert (frame.columns, frame.height) == (["task_id"], 0)


@pytest.mark.parametrize(
    ("scan", "filters"),
    [(rf.scan_tasks, {"unique_id": "no such id"}), (rf.scan_attempts, {"labeler_emails": "all"})],
)
def test_the_warning_of_a_stream_is_shown_where_it_is_read(scan: Any, filters: Any, client: rf.Client) -> None:
    """Not somewhere in here."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan(**filters, client=client).read_all()
    assert [warning.filename for warning in caught] == [__file__]
