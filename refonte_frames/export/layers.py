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

    A task that an increment brought counts with the rows of its last increment alone, audits and answers as a set.
    Which increment a row came with is told by the time at which it was read, so that the condition needs no column that
    the tables do not have.

    Notes
    -----
    Increments are numbered from 1, the base is 0: a row is superseded where its own number is below that of its task's
    last increment. The two are compared digit by digit in base two, so that a row is looked up a few times, not twice
    for every increment.
    """
    if not deltas:
        return None
    layers = pa.concat_tables([_tasks_of(store, delta, number) for number, delta in enumerate(deltas, start=1)])
    of_task, of_moment = (layers.group_by(name).aggregate([("layer", "max")]) for name in ("task_id", "exported_at"))
    superseded = pc.scalar(False)
    for digit in range(len(deltas).bit_length()):
        last, own = _has_digit(of_task, digit), _has_digit(of_moment, digit)
        superseded = (last & ~own) | ((last | ~own) & superseded)
    return ~superseded


def _has_digit(layers: pa.Table, digit: int) -> pc.Expression:
    """Return a condition for rows whose layer, by their task or moment, has a digit of one in base two."""
    name = layers.column_names[0]
    is_set = (layers["layer_max"].to_numpy() >> digit & 1).astype(bool)
    return pc.field(name).isin(layers[name].filter(pa.array(is_set)).combine_chunks())


def _tasks_of(store: Store, delta: Delta, layer: int) -> pa.Table:
    read = []
    for entry in delta.files["tasks"]:
        with open_moving(store, f"{DELTA}/{delta.name}/tasks/{entry.name}") as file:
            read.append(pq.ParquetFile(file).read(columns=["task_id", "exported_at"]))
    rows = pa.concat_tables(read)
    return rows.append_column("layer", pa.repeat(layer, rows.num_rows))
