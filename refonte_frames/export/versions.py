"""Decides which rows of an increment are new, changed, unchanged or older than what a dataset holds. Pure: no files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Increment", "Version", "row_hashes", "versions_of"]

#: Differ from one reading to the next though the task is the same: the time of reading, and signatures in URLs.
_VOLATILE: Final = frozenset({"exported_at", "attachment_urls"})
_LONG_AGO: Final = -(2**62)

Version = tuple[int, int, int]
"""When the task changed last, when it was audited last (microseconds since 1970), and a hash of all it says."""


def versions_of(tasks: pa.Table, audits: pa.Table | None) -> dict[str, Version]:
    """Return the version of every task by its id.

    ``updated_at`` alone is never enough: audits, tags and metadata may leave it as it was.

    Parameters
    ----------
    tasks : pyarrow.Table
        Rows of the table tasks.
    audits : pyarrow.Table or None
        All audits of these tasks; None where the dataset has no such table.
    """
    ids = tasks["task_id"].to_pylist()
    updated = _micros(tasks["updated_at"])
    hashes = row_hashes(tasks)
    audited = np.full(len(ids), _LONG_AGO, np.int64)
    if audits is not None and audits.num_rows:
        positions = pc.index_in(audits["task_id"], value_set=tasks["task_id"].combine_chunks()).to_numpy()
        np.maximum.at(audited, positions, _micros(audits["audited_at"]))
        np.add.at(hashes, positions, row_hashes(audits))
    return dict(zip(ids, zip(updated.tolist(), audited.tolist(), hashes.tolist(), strict=True), strict=True))


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


@dataclass(slots=True)
class Increment:
    """What an increment brought, held against what the dataset has.

    Attributes
    ----------
    winners : dict of str to (int, Version)
        The best version of every task that was read, and the position of the part that holds it.
    new, changed, unchanged : int
        Tasks by what came of them, once all base files were looked at.
    """

    winners: dict[str, tuple[int, Version]] = field(default_factory=dict)
    _dropped: set[str] = field(default_factory=set)
    changed: int = 0
    unchanged: int = 0

    @property
    def new(self) -> int:
        """Tasks that the dataset did not have."""
        return len(self.winners) - self.changed - self.unchanged

    def add_part(self, position: int, versions: dict[str, Version]) -> None:
        """Take note of a part of the increment; of two versions of a task the later or last read one stays."""
        for task_id, version in versions.items():
            held = self.winners.get(task_id)
            if held is None or version[:2] >= held[1][:2]:
                self.winners[task_id] = (position, version)

    def common(self, task_ids: pa.ChunkedArray) -> pa.Array:
        """Return which of a base file's tasks the increment has as well."""
        found = [task_id for task_id in task_ids.to_pylist() if task_id in self.winners]
        return pa.array(found, pa.string())

    def replaced(self, base: dict[str, Version]) -> set[str]:
        """Return which of a base file's tasks have a newer version in the increment; the others are dropped from it.

        A version wins if it was updated or audited later, or says something else under the same times: it was
        read later. An older one comes from a list that lags behind and must not undo what is known.
        """
        won: set[str] = set()
        for task_id, version in base.items():
            theirs = self.winners[task_id][1]
            if theirs[:2] > version[:2] or (theirs[:2] == version[:2] and theirs[2] != version[2]):
                won.add(task_id)
            else:
                self._dropped.add(task_id)
        self.changed += len(won)
        self.unchanged += len(base) - len(won)
        return won

    def kept(self, position: int, task_ids: Sequence[str]) -> list[str]:
        """Return which tasks of a part of the increment go into the dataset."""
        return [
            task_id for task_id in task_ids if self.winners[task_id][0] == position and task_id not in self._dropped
        ]
