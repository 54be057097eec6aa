"""Labels as numbers: tasks, workers and classes coded from 0, for the statistics of agreement and consensus. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_object_dtype

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.taking import take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Cells", "Votes", "objects", "votes_of"]


@dataclass(frozen=True, slots=True)
class Cells:
    """How often each label was given to each task, for what occurs: texts that are all different fill no table.

    Attributes
    ----------
    task, label, count : numpy.ndarray
        One of each per cell, sorted by task and then by label; every task from 0 on has a cell.
    starts : numpy.ndarray
        Where the cells of each task begin.
    n_classes : int
        Labels that there are.
    """

    task: NDArray[np.int64]
    label: NDArray[np.int64]
    count: NDArray[np.int64]
    starts: NDArray[np.intp]
    n_classes: int

    @classmethod
    def of(cls, task: NDArray[np.int64], label: NDArray[np.int64], count: NDArray[np.int64], n_classes: int) -> Cells:
        """Make them of sorted cells."""
        return cls(task, label, count, np.flatnonzero(np.diff(task, prepend=-1)), n_classes)

    @property
    def n_tasks(self) -> int:
        """Tasks with a cell."""
        return len(self.starts)

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum up one value per cell over the cells of each task."""
        return np.asarray(np.add.reduceat(values, self.starts))

    def tops(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give the largest of the values of each task's cells, to each of these cells."""
        return np.asarray(np.maximum.reduceat(values, self.starts)[self.task])

    def by_class(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Count answers by label, where each task has a weight."""
        given = np.asarray(self.count * weights[self.task], float)
        return np.asarray(np.bincount(self.label, weights=given, minlength=self.n_classes), float)

    def first_of(self, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Give the place of each task's first chosen cell; every task has one."""
        places = np.flatnonzero(chosen)
        return np.asarray(places[np.flatnonzero(np.diff(self.task[places], prepend=-1))])

    def count_of(self, tasks: NDArray[np.int64], label: int) -> NDArray[np.int64]:
        """Tell how often one label was given to each of these tasks."""
        keys, wanted = self.task * self.n_classes + self.label, tasks * self.n_classes + label
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, self.count[at], 0)

    def with_several_answers(self) -> Cells:
        """Leave out tasks with one answer, and number the others from 0 on."""
        is_kept = self.sums(self.count) >= 2
        kept = is_kept[self.task]
        number = np.cumsum(is_kept) - 1
        return Cells.of(number[self.task[kept]], self.label[kept], self.count[kept], self.n_classes)

    def table(self) -> NDArray[np.int64]:
        """Count labels by task (rows) and class (columns)."""
        cells = np.zeros((self.n_tasks, self.n_classes), np.int64)
        cells[self.task, self.label] = self.count
        return cells


@dataclass(frozen=True, slots=True)
class Votes:
    """Answers as codes; an answer without a named worker has the code -1 there.

    Attributes
    ----------
    tasks, workers, classes : list
        What the codes stand for, in their sort order; classes that are all numbers are sorted as numbers.
    n_excluded : int
        Rows without a task or a label.
    """

    task: NDArray[np.int64]
    worker: NDArray[np.int64]
    label: NDArray[np.int64]
    tasks: list[Any]
    workers: list[Any]
    classes: list[Any]
    n_excluded: int

    @property
    def n_tasks(self) -> int:
        """Tasks with an answer."""
        return len(self.tasks)

    def cells(self) -> Cells:
        """Count labels by task and class."""
        keys, counts = np.unique(self.task * len(self.classes) + self.label, return_counts=True)
        task, label = np.divmod(keys, len(self.classes))
        return Cells.of(task, label, counts, len(self.classes))

    def n_workers_on_pairs(self) -> int:
        """Count the named workers that answered a task with two answers or more."""
        is_pairable = np.bincount(self.task, minlength=self.n_tasks)[self.task] >= 2
        workers = self.worker[is_pairable]
        return len(np.unique(workers[workers >= 0]))


def votes_of(labels: Any, *, allows_repeats: bool = False, needs_workers: bool = False) -> Votes:
    """Code a labels frame.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``.
    allows_repeats : bool
        Whether a worker may answer a task several times.
    needs_workers : bool
        Whether answers without a worker are left out.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        There is no answer, several questions are mixed, or a worker answered a task twice.
    """
    given = as_pandas(labels)
    rows = take(given, "task", "worker", "label", of="Labels")
    _refuse_mixed(given)
    is_usable = rows["task"].notna() & rows["label"].notna() & (rows["worker"].notna() | (not needs_workers))
    n_excluded = int((~is_usable).sum())
    rows = rows[is_usable]
    if rows.empty:
        raise InputError(
            "There is no answer of a named worker among the labels: every row lacks a task, a worker or a label."
            if needs_workers
            else "There is no answer among the labels: every row lacks a task or a label."
        )
    task, tasks = _coded(rows["task"])
    worker, workers = _coded(rows["worker"])
    label, classes = _coded(rows["label"])
    votes = Votes(task, worker, label, tasks, workers, classes, n_excluded)
    if not allows_repeats:
        _refuse_repeats(votes)
    return votes


def objects(values: Sequence[Any]) -> NDArray[Any]:
    """Give values as an array of one dimension, which `numpy.asarray` would not make of tuples."""
    return np.fromiter(values, dtype=object, count=len(values))


def _coded(column: pd.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    # Of objects the plain array: an index of pandas 2 cannot hold integers beyond what a float can.
    values_of = column.to_numpy() if is_object_dtype(column.dtype) else column
    codes, values = pd.factorize(values_of, sort=False, use_na_sentinel=True)
    known = values.tolist()
    order = sorted(range(len(known)), key=lambda at: _rank(known[at]))
    place = np.empty(len(known) + 1, np.int64)
    place[order] = np.arange(len(known))
    place[-1] = -1
    return place[np.asarray(codes, np.int64)], [known[at] for at in order]


def _rank(value: Any) -> tuple[int, float, str]:
    """Sort numbers, also those written as text, by their size, and before other text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    # "nan" is a text that reads as a number, and compares with none.
    return (1, 0.0, str(value)) if math.isnan(number) else (0, number, str(value))


def _refuse_mixed(labels: pd.DataFrame) -> None:
    if "field" not in labels.columns:
        return
    fields = take(labels, "field", of="Labels")["field"].dropna().unique().tolist()
    if len(fields) > 1:
        raise InputError(
            f"The labels answer {len(fields)} questions ({', '.join(map(repr, fields[:5]))}): take them one by one, "
            f"such as labels[labels.field == {fields[0]!r}]."
        )


def _refuse_repeats(votes: Votes) -> None:
    named = votes.worker >= 0
    key = votes.task[named] * max(1, len(votes.workers)) + votes.worker[named]
    values, times = np.unique(key, return_counts=True)
    if len(values) and times.max() > 1:
        task, worker = divmod(int(values[times.argmax()]), len(votes.workers))
        raise InputError(
            f"Worker {votes.workers[worker]!r} answered task {votes.tasks[task]!r} {times.max()} times; this takes one "
            "answer each, such as labels[labels.repeat == 1]. krippendorff_alpha and dawid_skene take several."
        )
