"""The rows of a folder that count, also when increments lie beside its base: an antijoin as an expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from refonte_frames.export.dataset import DELTA
from refonte_frames.export.places import moving_files, open_moving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refonte_frames.export.dataset import Delta, Manifest
    from refonte_frames.export.places import Store

__all__ = ["files_of", "rows_of", "visible"]


def rows_of(store: Store, manifest: Manifest, table: str) -> pads.Dataset:
    """Return a table as a dataset, without the rows whose place an increment under ``_delta/`` takes."""
    schema = manifest.settings.schemas()[table]
    found = pads.dataset(files_of(manifest, table), schema=schema, format="parquet", filesystem=moving_files(store))
    condition = visible(store, manifest.deltas)
    return found if condition is None else found.filter(condition)


def files_of(manifest: Manifest, table: str) -> list[str]:
    """Name the files of a table, those of the base first."""
    base = [f"{table}/{entry.name}" for entry in manifest.files[table]]
    return base + [
        f"{DELTA}/{delta.name}/{table}/{entry.name}" for delta in manifest.deltas for entry in delta.files[table]
    ]


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
