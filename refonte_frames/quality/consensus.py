"""What the answers to a task amount to: majority vote, Dawid and Skene's model, confusion with known truths. Pure."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.rates import rates_of
from refonte_frames.quality.taking import take
from refonte_frames.quality.votes import objects, votes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refonte_frames.quality.votes import Cells, Votes

__all__ = ["DawidSkene", "accuracy", "confusion", "dawid_skene", "majority_vote"]

#: Stands for the logarithm of 0: far below any that counts, and no NaN when it meets a count of 0.
_LOG_NOTHING: Final = -1e5
_ENOUGH_OF_A_CLASS: Final = 5
#: Half a gigabyte of shares; beyond it the model would be as good as never done.
_MOST_CELLS: Final = 60_000_000
_ENOUGH_ANSWERS: Final = 20
#: Probabilities that differ by less are noise of the fit.
_NO_WISER: Final = 1e-9


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """A fitted model of who answers what when something is true.

    Attributes
    ----------
    labels : pandas.DataFrame
        ``task, label, p``: the most probable label of each task, and how probable it is.
    posteriors : pandas.DataFrame
        Tasks by classes: how probable each is.
    workers : pandas.DataFrame
        ``worker, truth, observed, p``: how often the worker says `observed` when `truth` is true. Null where the
        worker never met this truth.
    priors : pandas.Series
        How frequent each class is.
    log_likelihood : float
        Of all answers.
    n_iter : int
        Rounds it took.
    converged : bool
        Whether the likelihood stopped rising before `max_iter`.
    trace : list of float
        The log-likelihood after each round; it never falls.
    """

    labels: pd.DataFrame
    posteriors: pd.DataFrame
    workers: pd.DataFrame
    priors: pd.Series[float]
    log_likelihood: float
    n_iter: int
    converged: bool
    trace: list[float] = field(default_factory=list, repr=False)


def dawid_skene(labels: Any, *, max_iter: int = 10_000, tol: float = 1e-12) -> DawidSkene:
    """Estimate true labels and every worker's errors together, by maximum likelihood (Dawid and Skene, 1979).

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it. A worker may answer a task several times; answers without
        a worker count as those of one unnamed worker.
    max_iter : int
        Rounds of expectation and maximisation at most; a warning says when they were not enough.
    tol : float
        It has converged when the log-likelihood rises by less than this share of itself.

    Returns
    -------
    DawidSkene
        Begins with the shares of votes; the same frame gives the same result in any order of its rows.

    Raises
    ------
    InputError
        There are no answers, several questions are mixed, or there are too many different labels.

    Notes
    -----
    100,000 answers take some seconds. Ties in probability go to the label that sorts first.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aaabbb"), "worker": list("xyzxyz"), "label": list("rrgggg")})
    >>> rf.quality.dawid_skene(labels).labels.round(3)
      task label    p
    0    a     r  1.0
    1    b     g  1.0

    >>> rf.quality.dawid_skene(labels.assign(label=None))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no answer among the labels: every row lacks a task or a label.
    """
    votes = votes_of(labels, allows_repeats=True)
    _refuse_too_many(votes)
    if not isinstance(max_iter, int | np.integer) or max_iter < 1 or not isinstance(tol, Real) or not tol >= 0:
        raise InputError("max_iter is a whole number of at least 1, and tol is at least 0.")
    fit = _Fit(votes)
    trace: list[float] = []
    converged = False
    for _ in range(max_iter):
        fit.maximise()
        trace.append(fit.expect())
        # Plus 1: where answers fit perfectly it climbs towards 0, and what it rises by never gets small beside itself.
        if len(trace) > 1 and trace[-1] - trace[-2] < tol * (1 + abs(trace[-1])):
            converged = True
            break
    if not converged:
        warnings.warn(f"Dawid and Skene's model had not converged after {max_iter:,} rounds.", stacklevel=2)
    return _described(votes, fit, trace, converged=converged)


def _is_too_much(votes: Votes) -> bool:
    """Tell what cannot be held: a table of errors for each worker, with a row and a column for every label."""
    n_classes, n_workers = len(votes.classes), len(votes.workers) + 1
    return max(n_workers * n_classes**2, votes.n_tasks * n_classes) > _MOST_CELLS


def _refuse_too_many(votes: Votes) -> None:
    if _is_too_much(votes):
        raise InputError(
            f"There are {len(votes.classes):,} different labels: Dawid and Skene's model has a share for each pair of "
            "them and each worker, and is for categories. For texts that are all different take majority_vote(labels)."
        )


class _Fit:
    """The two steps, on answers that are counted by task, worker and label, and sorted for sums over runs."""

    def __init__(self, votes: Votes) -> None:
        self.n_classes = len(votes.classes)
        self.n_workers = len(votes.workers) + 1  # the last one is nobody in particular
        worker = np.where(votes.worker < 0, self.n_workers - 1, votes.worker)
        cell = worker * self.n_classes + votes.label
        key = votes.task * (self.n_workers * self.n_classes) + cell
        distinct, counts = np.unique(key, return_counts=True)
        self.task, self.cell = np.divmod(distinct, self.n_workers * self.n_classes)
        self.count = counts.astype(float)[:, None] if counts.max() > 1 else None
        self.task_starts = np.flatnonzero(np.diff(self.task, prepend=-1))
        self.order = np.argsort(self.cell, kind="stable")
        sorted_cells = self.cell[self.order]
        self.cell_starts = np.flatnonzero(np.diff(sorted_cells, prepend=-1))
        self.cells_met = sorted_cells[self.cell_starts]
        self.task_by_cell = self.task[self.order]
        votes_by_task = votes.cells().table()
        self.posterior: NDArray[np.float64] = votes_by_task / votes_by_task.sum(axis=1, keepdims=True)
        self.priors: NDArray[np.float64] = np.empty(0)
        self.errors: NDArray[np.float64] = np.empty(0)

    def maximise(self) -> None:
        """Estimate the classes' shares and the workers' errors from the posteriors."""
        self.priors = self.posterior.mean(axis=0)
        weights = self.posterior[self.task_by_cell]
        if self.count is not None:
            weights = weights * self.count[self.order]
        sums = np.zeros((self.n_workers * self.n_classes, self.n_classes))
        sums[self.cells_met] = np.add.reduceat(weights, self.cell_starts, axis=0)
        by_worker = sums.reshape(self.n_workers, self.n_classes, self.n_classes)  # worker, observed, truth
        met = by_worker.sum(axis=1, keepdims=True)
        self.errors = np.divide(by_worker, met, out=np.zeros_like(by_worker), where=met > 0)

    def expect(self) -> float:
        """Estimate the posteriors; gives the log-likelihood of what `maximise` found."""
        log_errors = _log(self.errors).reshape(-1, self.n_classes)
        terms = log_errors[self.cell]
        if self.count is not None:
            terms = terms * self.count
        joint = np.add.reduceat(terms, self.task_starts, axis=0) + _log(self.priors)
        top = joint.max(axis=1, keepdims=True)
        scaled = np.exp(joint - top)
        total = scaled.sum(axis=1, keepdims=True)
        self.posterior = scaled / total
        return float((top + np.log(total)).sum())


def _log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(values, out=np.full_like(values, _LOG_NOTHING), where=values > 0)


def _described(votes: Votes, fit: _Fit, trace: list[float], *, converged: bool) -> DawidSkene:
    classes = objects(votes.classes)
    best = fit.posterior.argmax(axis=1)
    labels = pd.DataFrame({"task": votes.tasks, "label": classes[best], "p": fit.posterior.max(axis=1)})
    labels.attrs = {"n_excluded": votes.n_excluded}
    posteriors = pd.DataFrame(
        fit.posterior,
        index=pd.Index(votes.tasks, name="task", tupleize_cols=False),
        columns=pd.Index(votes.classes, name="label", tupleize_cols=False),
    )
    names = [*votes.workers, pd.NA] if (votes.worker < 0).any() else votes.workers
    errors = fit.errors[: len(names)].transpose(0, 2, 1)  # worker, truth, observed
    never_met = errors.sum(axis=2, keepdims=True) == 0
    workers = pd.DataFrame(
        {
            "worker": np.repeat(objects(names), len(classes) ** 2),
            "truth": np.tile(np.repeat(classes, len(classes)), len(names)),
            "observed": np.tile(classes, len(names) * len(classes)),
            "p": np.where(never_met, np.nan, errors).ravel(),
        }
    )
    priors = pd.Series(fit.priors, index=pd.Index(votes.classes, name="label", tupleize_cols=False), name="p")
    return DawidSkene(labels, posteriors, workers, priors, trace[-1], len(trace), converged, trace)


def majority_vote(labels: Any, *, ties: Literal["dawid_skene", "first"] = "dawid_skene") -> pd.DataFrame:
    """Take for each task the label that most workers gave.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it.
    ties : {"dawid_skene", "first"}
        A tie goes to the label that `dawid_skene` thinks more probable; where that is no wiser, or there are too many
        different labels for it, to the one whose voters agree more often with the votes on other tasks (shrunk, so
        that few answers count for little); and where those are no wiser either to the one that sorts first, to which
        ``"first"`` gives all ties.

    Returns
    -------
    pandas.DataFrame
        One row per task: ``task, label, p`` (the share of votes), ``n`` (votes), ``tie`` (whether another label had
        as many). ``attrs["n_excluded"]`` counts rows without a task or a label.

    Raises
    ------
    InputError
        There are no answers, several questions are mixed, or a worker answered a task twice.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aaab"), "worker": list("xyzx"), "label": list("rrgg")})
    >>> rf.quality.majority_vote(labels).round(3)
      task label      p  n    tie
    0    a     r  0.667  3  False
    1    b     g  1.000  1  False

    >>> rf.quality.majority_vote(pd.concat([labels, labels]))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Worker 'x' answered task 'a' 2 times; ...
    """
    if ties not in ("dawid_skene", "first"):
        raise InputError(f"ties={ties!r}: there are dawid_skene and first.")
    given = as_pandas(labels)
    votes = votes_of(given)
    cells = votes.cells()
    leads = cells.count == cells.tops(cells.count)
    is_tie = cells.sums(leads.astype(int)) > 1
    best = cells.first_of(leads)
    if ties == "dawid_skene" and is_tie.any():
        best = np.where(is_tie, _settled(given, votes, cells, leads), best)
    n = cells.sums(cells.count)
    chosen = objects(votes.classes)[cells.label[best]]
    table = pd.DataFrame({"task": votes.tasks, "label": chosen, "p": cells.count[best] / n, "n": n, "tie": is_tie})
    table.attrs = {"n_excluded": votes.n_excluded}
    return table


def _settled(labels: pd.DataFrame, votes: Votes, cells: Cells, leads: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Choose among the cells that lead: by the model, then by who voted for them, then by their order."""
    by_model = _best(cells, leads, _posterior_of(labels, votes, cells))
    return cells.first_of(_best(cells, by_model, _trust(votes, cells, leads)))


def _best(cells: Cells, leads: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Keep of the leading cells of each task those that weigh most."""
    given = np.where(leads, weights, -np.inf)
    return np.asarray(leads & (given >= cells.tops(given) - _NO_WISER))


def _posterior_of(labels: pd.DataFrame, votes: Votes, cells: Cells) -> NDArray[np.float64]:
    if _is_too_much(votes):
        return np.zeros(len(cells.count))
    return np.asarray(dawid_skene(labels).posteriors.to_numpy()[cells.task, cells.label])


def _trust(votes: Votes, cells: Cells, leads: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Sum up, for every task and label, how often its voters were with the votes where these were no tie."""
    n_classes = len(votes.classes)
    cell = np.searchsorted(cells.task * n_classes + cells.label, votes.task * n_classes + votes.label)
    is_tie = cells.sums(leads.astype(int)) > 1
    is_clear = ~is_tie[votes.task] & (votes.worker >= 0)
    worker, n_workers = votes.worker[is_clear], len(votes.workers)
    agreed = leads[cell[is_clear]]
    k, n = np.bincount(worker[agreed], minlength=n_workers), np.bincount(worker, minlength=n_workers)
    # Jeffreys' prior keeps one lucky answer from outweighing a record; nobody named counts for half.
    rates = np.append((k + 0.5) / (n + 1), 0.5)
    return np.asarray(np.bincount(cell, weights=rates[votes.worker], minlength=len(leads)), float)


def confusion(labels: Any, gold: Any) -> pd.DataFrame:
    """Cross every worker's answers with what is known to be true.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it.
    gold : frame, mapping or pandas.Series
        The true label of tasks: a frame with ``task, label``, or from task to label. Answers to other tasks are left
        out, and counted in ``attrs["n_excluded"]``.

    Returns
    -------
    pandas.DataFrame
        One row per worker, truth and answer that occurs: ``worker, truth, answer, n, row_rate`` (of the worker's
        answers to tasks of this truth, the share with this answer) and ``enough`` (at least five such tasks).

    Raises
    ------
    InputError
        No answered task has a known truth, one has several, or truths are of another type than answers.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("abab"), "worker": list("xxyy"), "label": list("rrrg")})
    >>> rf.quality.confusion(labels, {"a": "r", "b": "g"})[["worker", "truth", "answer", "n", "row_rate"]]
      worker truth answer  n  row_rate
    0      x     g      r  1       1.0
    1      x     r      r  1       1.0
    2      y     g      g  1       1.0
    3      y     r      r  1       1.0

    >>> rf.quality.confusion(labels, {"zebra": "r"})
    Traceback (most recent call last):
    refonte_frames.errors.InputError: None of the tasks that were answered has a known truth: ...
    """
    rows, n_excluded = _with_truth(labels, gold)
    counted = rows.groupby(["worker", "truth", "answer"], dropna=False, observed=True).size().rename("n").reset_index()
    met = counted.groupby(["worker", "truth"], dropna=False)["n"].transform("sum")
    counted["row_rate"] = counted["n"] / met
    counted["enough"] = met >= _ENOUGH_OF_A_CLASS
    counted.attrs["n_excluded"] = n_excluded
    return counted


def accuracy(labels: Any, gold: Any, *, min_n: int = _ENOUGH_ANSWERS, conf: float = 0.95) -> pd.DataFrame:
    """Tell how often each worker's answer is the true one.

    Parameters
    ----------
    labels, gold
        As for `confusion`.
    min_n : int
        Answers from which on a rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per worker: ``worker``, the columns that rates come with, and ``macro_recall`` (the mean over the
        truths met of the share answered right, so that rare ones count as much as frequent ones).
        ``attrs["n_excluded"]`` as for `confusion`.

    Raises
    ------
    InputError
        No answered task has a known truth, one has several, or truths are of another type than answers.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("abab"), "worker": list("xxyy"), "label": list("rrrg")})
    >>> rf.quality.accuracy(labels, {"a": "r", "b": "g"})[["worker", "n", "k", "rate", "macro_recall"]]
      worker  n  k  rate  macro_recall
    0      x  2  1   0.5           0.5
    1      y  2  2   1.0           1.0

    >>> rf.quality.accuracy(labels, {"zebra": "r"})
    Traceback (most recent call last):
    refonte_frames.errors.InputError: None of the tasks that were answered has a known truth: ...
    """
    rows, n_excluded = _with_truth(labels, gold)
    rows["is_right"] = (rows["truth"] == rows["answer"]).astype(float)
    groups = rows.groupby("worker", dropna=False, observed=True, sort=True)["is_right"]
    counted = groups.agg(n="size", k="sum").reset_index()
    per_truth = rows.groupby(["worker", "truth"], dropna=False, observed=True)["is_right"].mean()
    recall = per_truth.groupby("worker", dropna=False, sort=True).mean()
    table = pd.concat([counted[["worker"]], rates_of(counted["k"], counted["n"], min_n=min_n, conf=conf)], axis=1)
    table["macro_recall"] = recall.to_numpy()
    table.attrs = {"n_excluded": n_excluded}
    return table


def _with_truth(labels: Any, gold: Any) -> tuple[pd.DataFrame, int]:
    votes = votes_of(labels, allows_repeats=True)
    known = _truths(gold)
    tasks, classes = objects(votes.tasks), objects(votes.classes)
    names = objects([*votes.workers, pd.NA])
    rows = pd.DataFrame({"worker": names[votes.worker], "answer": classes[votes.label], "task": tasks[votes.task]})
    has_truth = rows["task"].isin(list(known))
    if not has_truth.any():
        raise InputError("None of the tasks that were answered has a known truth: do the ids in `gold` match `task`?")
    rows = rows[has_truth].reset_index(drop=True)
    rows["truth"] = rows["task"].map(known)
    _refuse_other_types({*rows["answer"]}, {*rows["truth"]})
    return rows, int((~has_truth).sum()) + votes.n_excluded


def _refuse_other_types(answers: set[Any], truths: set[Any]) -> None:
    """Refuse truths that no answer can ever equal, such as the number 1 where answers are the text "1"."""
    if not answers & truths and {str(each) for each in answers} & {str(each) for each in truths}:
        told = [f"{type(next(iter(each))).__name__} ({next(iter(each))!r})" for each in (answers, truths)]
        raise InputError(
            f"Answers are of the type {told[0]} and truths of the type {told[1]}, so that none can be right."
        )


def _truths(gold: Any) -> dict[Any, Any]:
    if isinstance(gold, dict):
        gold = pd.Series(gold, dtype=object)
    if isinstance(gold, pd.Series):
        frame = pd.DataFrame({"task": gold.index, "label": gold.to_numpy(object)}).dropna()
    else:
        frame = take(as_pandas(gold), "task", "label", of="Truths").dropna()
    frame = frame.drop_duplicates()
    if (twice := frame["task"].duplicated()).any():
        raise InputError(f"Task {frame.loc[twice, 'task'].iloc[0]!r} has several truths; keep one of them.")
    return dict(zip(frame["task"], frame["label"], strict=True))
