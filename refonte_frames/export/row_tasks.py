"""Which task each row of a caller's frame stands for, and its look-up in few calls; no tables are made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from refonte_frames.errors import ColumnError, ReplyError
from refonte_frames.export.signed_urls import add_signed_urls
from refonte_frames.frames import as_pandas
from refonte_frames.lookup import by_listing, by_task_ids, by_unique_ids, ids_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Sequence

    from refonte_frames.export.decode import TaskDoc
    from refonte_frames.lookup import Desk

__all__ = ["RowTasks", "beside", "column_of", "rows_of"]


@dataclass(frozen=True, slots=True)
class RowTasks:
    """The rows of a frame and the ids of their tasks.

    Attributes
    ----------
    rows : pandas.DataFrame
        The caller's; never changed.
    keys : list of str or None
        What tells the task of each row: its task_id, or its unique_id where the frame has no column of task ids.
    by_unique_id : bool
        Whether the keys are unique_ids.
    unique_ids : dict of str to str
        The unique_id that stands beside a task_id: many of them can be asked for in one call.
    """

    rows: pd.DataFrame
    keys: list[str | None]
    by_unique_id: bool
    unique_ids: dict[str, str]

    @classmethod
    def of(cls, rows: pd.DataFrame, task_id: Hashable) -> Self:
        """Read the ids of a frame.

        A row without a task_id has no task, even if it has a unique_id: a refused row's id may be another task's.

        Raises
        ------
        ColumnError
            There is neither a column of task ids nor one of unique_ids.
        InputError
            An id is no text.
        """
        names = rows.columns.tolist()
        if task_id in names:
            keys = _ids(rows, task_id)
            beside_them = rows["unique_id"].tolist() if names.count("unique_id") == 1 else [None] * len(rows)
            pairs = zip(keys, beside_them, strict=True)
            unique_ids = {key: text for key, text in pairs if key and isinstance(text, str) and text}
            return cls(rows, keys, by_unique_id=False, unique_ids=unique_ids)
        if task_id == "task_id" and "unique_id" in names:
            return cls(rows, _ids(rows, "unique_id"), by_unique_id=True, unique_ids={})
        raise ColumnError(
            f"The frame has no column {task_id!r} with the tasks' ids{_or_unique_id(task_id)}. Name it: task_id='…'. "
            f"It has: {', '.join(map(repr, names)) or 'no columns'}."
        )

    @property
    def distinct(self) -> list[str]:
        """Each key once, in the order of its first row."""
        return list(dict.fromkeys(key for key in self.keys if key is not None))

    def look_up(self, desk: Desk[TaskDoc], keys: Collection[str], note: Callable[[int], None]) -> dict[str, TaskDoc]:
        """Look the tasks of some keys up; those without a task are left out."""
        if self.by_unique_id:
            return {str(doc.unique_id): doc for doc in by_unique_ids(desk, list(keys), note).docs}
        found = self._by_ids_beside(desk, keys, note)
        rest = [key for key in keys if key not in found]
        found |= {doc.task_id: doc for doc in by_listing(desk, rest, note)}
        rest = [key for key in rest if key not in found]
        alone = by_task_ids(desk, rest, note).docs
        add_signed_urls(desk, alone)
        return found | {doc.task_id: doc for doc in alone}

    def _by_ids_beside(
        self, desk: Desk[TaskDoc], keys: Collection[str], note: Callable[[int], None]
    ) -> dict[str, TaskDoc]:
        """Find what can be found by unique_id; an id that another task has by now brings nothing."""
        asked = {self.unique_ids[key]: key for key in keys if key in self.unique_ids}
        try:
            docs = by_unique_ids(desk, list(asked), note).docs
        except ReplyError:
            # A service without this filter: its tasks are read one by one.
            return {}
        found = {doc.task_id: doc for doc in docs if asked[str(doc.unique_id)] == doc.task_id}
        note(len(found) - len(asked))  # those that are read once more are counted then
        return found


def _ids(rows: pd.DataFrame, name: Hashable) -> list[str | None]:
    cells: list[Any] = _column(rows, name).tolist()
    ids_of(str(name), cells)  # refuses what is no text
    return [cell if isinstance(cell, str) and cell else None for cell in cells]


def _column(rows: pd.DataFrame, name: Hashable) -> pd.Series[Any]:
    names: list[Any] = rows.columns.tolist()
    count = names.count(name)
    if count > 1:
        raise ColumnError(f"The frame has {count} columns {name!r}; rename all but one of them.")
    column: pd.Series[Any] = rows[name]
    return column


def rows_of(values: Any) -> pd.DataFrame | None:
    """Take a frame for its rows; None for what is no frame, such as a list or a Series."""
    is_arrow = hasattr(values, "__arrow_c_stream__") and hasattr(values, "columns")  # a Series of polars has no columns
    return as_pandas(values) if isinstance(values, pd.DataFrame) or is_arrow else None


def column_of(rows: pd.DataFrame, names: Sequence[str]) -> pd.Series[Any]:
    """Take the first of some columns that is there.

    Raises
    ------
    ColumnError
        None is, or it is there twice.
    """
    name = next((name for name in names if name in rows.columns), None)
    if name is None:
        raise ColumnError(
            f"The frame has no column {' or '.join(map(repr, names))}: pass the column that holds these ids, as a "
            f"Series. It has: {', '.join(map(repr, rows.columns)) or 'no columns'}."
        )
    return _column(rows, name)


def _or_unique_id(task_id: Hashable) -> str:
    return ", and no column 'unique_id'" if task_id == "task_id" else ""


def beside(rows: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Put columns of ours behind the caller's rows; a name that the caller uses gets ``_task`` behind it."""
    names = rows.columns.tolist()
    added = ours.rename(columns={name: _free_name(name, names) for name in ours.columns})
    added.index = rows.index
    joined = pd.concat([rows, added], axis=1)
    joined.attrs = {}
    return joined


def _free_name(name: str, names: Sequence[Any]) -> str:
    return name if name not in names else _free_name(f"{name}_task", names)
