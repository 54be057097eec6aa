"""Which rows of a folder count when increments lie beside its base: an antijoin as an expression. Reads ids only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refonte_frames.export.dataset import DELTA
from refonte_frames.export.places import open_moving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refonte_frames.export.dataset import Delta
    from refonte_frames.export.places import Store

__all__ = ["visible"]


def visible(store: Store, deltas: Sequence[Delta]) -> pc.Expression | None:
    """Return a condition that holds for the rows that count, in every table; None where all do.

    A task that an increment brought counts with the rows of that increment alone, audits and answers as a set. Which
    increment a row came with is told by the time at which it was read, so that the condition needs no column that
    the tables do not have.
    """
    condition: pc.Expression | None = None
    stamps = pa.array([], pa.timestamp("us", "UTC"))
    for delta in reversed(deltas):
        rows = _tasks_of(store, delta)
        stamps = pc.unique(pa.concat_arrays([stamps, rows["exported_at"].combine_chunks()]))
        ids = rows["task_id"].combine_chunks()
        counts = ~pc.field("task_id").isin(ids) | pc.field("exported_at").isin(stamps)
        condition = counts if condition is None else condition & counts
    return condition


def _tasks_of(store: Store, delta: Delta) -> pa.Table:
    read = []
    for entry in delta.files["tasks"]:
        with open_moving(store, f"{DELTA}/{delta.name}/tasks/{entry.name}") as file:
            read.append(pq.ParquetFile(file).read(columns=["task_id", "exported_at"]))
    return pa.concat_tables(read)
