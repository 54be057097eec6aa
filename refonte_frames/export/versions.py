"""Decides which rows of an increment are new, changed, unchanged or older than what a dataset holds. Pure: no files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NO_HEADS", "differing", "heads_of", "judged", "newest", "row_hashes"]

#: Differ from one reading to the next though the task is the same: the time of reading, and signatures in URLs.
_VOLATILE: Final = frozenset({"exported_at", "attachment_urls"})
_LONG_AGO: Final = -(2**62)

#: What is compared first: when a task changed last and when it was audited last (microseconds since 1970), with the
#: time of its creation. What it says is compared only where both are equal.
NO_HEADS: Final = pa.table(
    {
        "task_id": pa.array([], pa.string()),
        "created": pa.array([], pa.int64()),
        "updated": pa.array([], pa.int64()),
        "audited": pa.array([], pa.int64()),
    }
)


def heads_of(tasks: pa.Table, audits: pa.Table | None) -> pa.Table:
    """Return the versions of tasks, one row each, as far as their times tell them.

    ``updated_at`` alone is never enough: audits, tags and metadata may leave it as it was.

    Parameters
    ----------
    tasks : pyarrow.Table
        Columns ``task_id, created_at, updated_at``.
    audits : pyarrow.Table or None
        Columns ``task_id, audited_at`` of these tasks' audits, perhaps of others; None where there is no such table.
    """
    ids = tasks["task_id"].combine_chunks()
    audited = np.full(len(ids), _LONG_AGO, np.int64)
    if audits is not None and audits.num_rows:
        places = pc.fill_null(pc.index_in(audits["task_id"], value_set=ids), -1).to_numpy()
        known = places >= 0
        np.maximum.at(audited, places[known], _micros(audits["audited_at"])[known])
    columns = [ids, _micros(tasks["created_at"]), _micros(tasks["updated_at"]), audited]
    return pa.table(columns, NO_HEADS.column_names)


def newest(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the best version of every task; of equal ones the last read.

    Parameters
    ----------
    parts : sequence of pyarrow.Table
        As `heads_of` makes them, in the order in which they were read.

    Returns
    -------
    pyarrow.Table
        The same columns, and ``part``: the position of the part that holds it.
    """
    positions = [pa.array(np.full(part.num_rows, index), pa.int64()) for index, part in enumerate(parts)]
    numbered = [part.append_column("part", index) for part, index in zip(parts, positions, strict=True)]
    rows = pa.concat_tables([NO_HEADS.append_column("part", pa.array([], pa.int64())), *numbered])
    names = ("task_id", "updated", "audited", "part")
    rows = rows.take(pc.sort_indices(rows, [(name, "ascending") for name in names])).combine_chunks()
    ids = rows["task_id"]
    is_last = np.ones(len(ids), bool)
    if len(ids) > 1:
        is_last[:-1] = pc.not_equal(ids[:-1], ids[1:]).to_numpy()
    return rows.filter(pa.array(is_last)).combine_chunks()


def judged(held: pa.Table, winners: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Compare what a dataset holds with what was read, by their times.

    Parameters
    ----------
    held : pyarrow.Table
        As `heads_of` makes it, of tasks that were all read.
    winners : pyarrow.Table
        As `newest` makes it.

    Returns
    -------
    tuple of (pyarrow.Array, pyarrow.Array)
        The ids of tasks that were updated or audited later, and of those whose times are the same. All others are
        older: they come from a list that lags behind, and must not undo what is known.
    """
    read = winners.take(pc.index_in(held["task_id"], value_set=winners["task_id"].combine_chunks()))
    updated, audited = (read[name].to_numpy() - held[name].to_numpy() for name in ("updated", "audited"))
    is_later = (updated > 0) | ((updated == 0) & (audited > 0))
    is_same = (updated == 0) & (audited == 0)
    ids = held["task_id"].combine_chunks()
    return ids.filter(pa.array(is_later)), ids.filter(pa.array(is_same))


def differing(held: pa.Table, read: pa.Table, key: Sequence[str]) -> pa.Array:
    """Return the ids of tasks whose rows do not say the same: not when they were read, nor signatures in URLs.

    Parameters
    ----------
    held, read : pyarrow.Table
        Rows of one table and the same tasks, in any order.
    key : sequence of str
        Tells the rows apart; the first is ``task_id``.
    """
    ours, theirs = _keys(held, key), _keys(read, key)
    at = pc.index_in(theirs, value_set=ours)
    missing = [
        read["task_id"].filter(pc.is_null(at)),
        held["task_id"].filter(pc.invert(pc.is_in(ours, value_set=theirs))),
    ]
    both, other = read.filter(pc.is_valid(at)), held.take(at.drop_null())
    differs = np.zeros(both.num_rows, bool)
    for name in both.column_names:
        if name not in _VOLATILE:
            differs |= _unequal(both[name], other[name])
    missing.append(both["task_id"].filter(pa.array(differs)))
    return pc.unique(pa.chunked_array([chunk for column in missing for chunk in column.chunks], pa.string()))


def _keys(rows: pa.Table, key: Sequence[str]) -> pa.Array:
    texts = [rows[name].cast(pa.string()).combine_chunks() for name in key]
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, ":")


def _unequal(one: pa.ChunkedArray, other: pa.ChunkedArray) -> Any:
    if pa.types.is_nested(one.type):
        return np.fromiter((a != b for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True)), bool, len(one))
    if pa.types.is_dictionary(one.type):
        one, other = one.cast(pa.string()), other.cast(pa.string())
    same = pc.fill_null(pc.equal(one, other), False)
    return ~pc.or_(same, pc.and_(pc.is_null(one), pc.is_null(other))).to_numpy()


def _micros(times: pa.ChunkedArray) -> Any:
    return pc.fill_null(times.cast(pa.int64()), _LONG_AGO).to_numpy()


def row_hashes(table: pa.Table) -> Any:
    """Hash what rows say, column by column: not when they were read, nor signatures in URLs."""
    hashes = np.zeros(table.num_rows, np.uint64)
    for position, name in enumerate(table.column_names):
        if name in _VOLATILE:
            continue
        texts = _as_texts(table[name])
        column = pd.util.hash_array(np.asarray(texts.to_pylist(), dtype=object), categorize=True)
        hashes = hashes * np.uint64(1_000_003) + column + np.uint64(position)
    return hashes


def _as_texts(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    if pa.types.is_list(column.type):
        return pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.cast(pa.string())
