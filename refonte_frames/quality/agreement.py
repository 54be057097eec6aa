"""How far labelers agree: Krippendorff's alpha, kappas, pairs of labelers, and tasks that divide them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.consensus import dawid_skene
from refonte_frames.quality.rates import wilson
from refonte_frames.quality.taking import checked_conf, moments, need_extra, need_whole, take
from refonte_frames.quality.votes import Cells, Votes, objects, votes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    #: How far the answers of each pattern are from each other, over all its pairs, and the same of all answers at
    #: once; both of how many answers each label has.
    _Measure = tuple[Callable[[NDArray[np.float64]], NDArray[np.float64]], Callable[[NDArray[np.float64]], float]]

__all__ = [
    "Agreement",
    "ambiguity",
    "cohen_kappa",
    "fleiss_kappa",
    "krippendorff_alpha",
    "pair_agreement",
    "straight_lining",
]

Level = Literal["nominal", "ordinal", "interval", "ratio"]

_NEEDS_TWO: Final = "Agreement needs at least two answers on a task from named labelers"
#: Labels that two workers have in common from which on their kappa is worth a look.
_ENOUGH_COMMON: Final = 20
#: Numbers that a table may hold at once.
_MOST_CELLS: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient of agreement with what it rests on.

    Attributes
    ----------
    value, ci_low, ci_high : float
        The coefficient (1: all agree; 0: no more than by chance) and its bootstrap interval over tasks; NaN where it
        is not defined, see `reason`.
    n_tasks, n_answers, n_workers : int
        Tasks with at least two answers, the answers to them, and who gave these. Answers of nobody named count among
        those of others; where all are of nobody there is nothing to compare.
    n_dropped : int
        Tasks left out because they have fewer than two answers.
    reason : str or None
        Why there is no value.
    """

    value: float
    ci_low: float
    ci_high: float
    n_tasks: int
    n_answers: int
    n_workers: int
    n_dropped: int
    reason: str | None = None


def krippendorff_alpha(
    labels: Any, level: Level = "nominal", *, conf: float = 0.95, n_boot: int = 1000, seed: int = 0
) -> Agreement:
    """Tell how consistent labelers are, whoever answered what and how often: Krippendorff's alpha.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it. A worker may answer a task several times.
    level : {"nominal", "ordinal", "interval", "ratio"}
        What a label is: a name, a rank, or a number. For all but names the labels have to be numbers.
    conf : float
        Level of the interval.
    n_boot, seed : int
        Resamples of tasks, and where their draws begin; 0 leaves the interval out.

    Returns
    -------
    Agreement
        Where every answer is the same label the value is NaN: agreement by chance would be perfect as well.

    Raises
    ------
    InputError
        No task has two answers, nobody is named, the labels are no numbers, or several questions are mixed.
    ImportError
        Without the extra ``[quality]``.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
    >>> round(rf.quality.krippendorff_alpha(labels, n_boot=0).value, 3)
    0.444
    >>> rf.quality.krippendorff_alpha(labels.head(1))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Agreement needs at least two answers on a task from named labelers; ...
    """
    need_whole("n_boot", n_boot)
    need_whole("seed", seed)
    votes = votes_of(labels, allows_repeats=True)
    pairable = _pairable(votes)
    domain = _domain(votes, level)
    if _is_one_label(pairable):
        return _undefined(votes, pairable)
    krippendorff = need_extra("krippendorff")
    patterns, times = _patterns(pairable)
    if pairable.n_tasks * pairable.n_classes**2 <= _MOST_CELLS:
        every = krippendorff.alpha(
            value_counts=pairable.table(), value_domain=domain, level_of_measurement=level, dtype=np.float64
        )
    else:
        # The library makes a table of labels by labels for every task: gigabytes where the labels are texts.
        every = _alphas(patterns, [times], domain, level)[0]
    draws = _alphas(patterns, _resamples(times, n_boot, seed), domain, level)
    return _agreement(votes, pairable, float(every), draws, conf)


def _pairable(votes: Votes) -> Cells:
    """Count labels by task, for tasks with two answers or more."""
    every = votes.cells()
    if (every.sums(every.count) < 2).all():
        raise InputError(f"{_NEEDS_TWO}; none of the {votes.n_tasks:,} tasks has them.")
    if not votes.n_workers_on_pairs():
        # Two rows of nobody may be one answer that was read twice.
        raise InputError(f"{_NEEDS_TWO}; no answer says who gave it.")
    return every.with_several_answers()


def _is_one_label(cells: Cells) -> bool:
    return bool((cells.label == cells.label[0]).all())


def _patterns(cells: Cells) -> tuple[Cells, NDArray[np.float64]]:
    """Take tasks with the same counts together, and tell how often each is there; thousands become a few."""
    if cells.n_tasks * cells.n_classes > _MOST_CELLS:
        return cells, np.ones(cells.n_tasks)
    patterns, times = np.unique(cells.table(), axis=0, return_counts=True)
    task, label = np.nonzero(patterns)
    return Cells.of(task, label, patterns[task, label], cells.n_classes), times.astype(float)


def _resamples(times: NDArray[np.float64], n_boot: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Draw tasks with replacement; tasks of one pattern are drawn together, which changes nothing."""
    generator = np.random.default_rng(seed)
    for _ in range(n_boot):
        yield generator.multinomial(int(times.sum()), times / times.sum()).astype(float)


def _domain(votes: Votes, level: str) -> NDArray[Any]:
    """Give the labels as what they are measured in: their places in the order for names, else numbers."""
    if level == "nominal":
        return np.arange(len(votes.classes))
    if level not in ("ordinal", "interval", "ratio"):
        raise InputError(f"level={level!r}: there are nominal, ordinal, interval and ratio.")
    try:
        numbers = np.array([float(label) for label in votes.classes])
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"level={level!r} needs labels that are numbers; among them is {votes.classes[0]!r}."
        ) from None
    if not np.isfinite(numbers).all():
        raise InputError(f"level={level!r} needs labels that are numbers; one of them is infinite or none.")
    if not (np.diff(numbers) > 0).all():
        raise InputError(f"level={level!r}: two labels are the same number written in two ways.")
    return numbers


def _alphas(
    patterns: Cells, draws: Iterable[NDArray[np.float64]], domain: NDArray[Any], level: str
) -> NDArray[np.float64]:
    """Compute alpha for each drawing of the patterns."""
    apart, expected = _MEASURES[level](patterns, domain)

    def alpha(draw: NDArray[np.float64]) -> float:
        n_c = patterns.by_class(draw)
        # Of one label alone chance makes the same; what rounding leaves in place of 0 must not divide.
        chance = expected(n_c) if np.count_nonzero(n_c) > 1 else 0.0
        return 1 - float(draw @ apart(n_c)) / chance * float(n_c.sum() - 1) if chance else math.nan

    return np.array([alpha(draw) for draw in draws])


def _by_name(patterns: Cells, _: NDArray[Any]) -> _Measure:
    answers = patterns.sums(patterns.count)
    apart = (answers**2 - patterns.sums(patterns.count**2)) / (answers - 1)
    return lambda _: apart, lambda n_c: float(n_c.sum() ** 2 - (n_c**2).sum())


def _by_rank(patterns: Cells, _: NDArray[Any]) -> _Measure:
    """Measure by how many answers lie between two labels, which depends on the drawing."""
    return lambda n_c: _squares(patterns, _middles(n_c)), lambda n_c: _square(n_c, _middles(n_c))


def _by_difference(patterns: Cells, domain: NDArray[Any]) -> _Measure:
    # About their middle, since squares of large numbers would lose what tells them apart.
    values = domain - domain.mean()
    apart = _squares(patterns, values)
    return lambda _: apart, lambda n_c: _square(n_c, values)


def _by_ratio(patterns: Cells, domain: NDArray[Any]) -> _Measure:
    if len(domain) ** 2 > _MOST_CELLS:
        raise InputError(
            f"There are {len(domain):,} different numbers: level='ratio' compares each with each. Round them first, or "
            "take level='interval'."
        )
    distance = _ratios(domain[:, None], domain[None, :])
    apart = np.zeros(patterns.n_tasks)
    # Cells of one task lie together: each is compared with the next, with the one after it, and so on.
    for step in range(1, len(patterns.task)):
        one = np.flatnonzero(patterns.task[step:] == patterns.task[:-step])
        if not len(one):
            break
        pairs = 2 * patterns.count[one] * patterns.count[one + step]
        weights = pairs * distance[patterns.label[one], patterns.label[one + step]]
        apart += np.bincount(patterns.task[one], weights=weights, minlength=patterns.n_tasks)
    apart /= patterns.sums(patterns.count) - 1
    return lambda _: apart, lambda n_c: float(n_c @ distance @ n_c)


_MEASURES: Final[dict[str, Callable[[Cells, NDArray[Any]], _Measure]]] = {
    "nominal": _by_name,
    "ordinal": _by_rank,
    "interval": _by_difference,
    "ratio": _by_ratio,
}


def _middles(n_c: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.cumsum(n_c) - n_c / 2)


def _squares(patterns: Cells, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum up squared differences over the pairs of answers of each pattern, without a table of pairs."""
    answers, each = patterns.sums(patterns.count), values[patterns.label]
    sums, squares = patterns.sums(patterns.count * each), patterns.sums(patterns.count * each**2)
    return np.asarray(2 * (answers * squares - sums**2) / (answers - 1))


def _square(n_c: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(2 * (n_c.sum() * (n_c @ values**2) - (n_c @ values) ** 2))


def _ratios(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    difference, total = one - other, one + other
    ratio: NDArray[np.float64] = np.divide(difference, total, out=np.zeros_like(difference), where=total != 0)
    return np.asarray(ratio**2)


def _agreement(votes: Votes, pairable: Cells, value: float, draws: NDArray[np.float64], conf: float) -> Agreement:
    tail = (1 - checked_conf(conf)) / 2
    known = draws[np.isfinite(draws)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (math.nan, math.nan)
    return Agreement(value, float(low), float(high), *_sizes(votes, pairable))


def _sizes(votes: Votes, pairable: Cells) -> tuple[int, int, int, int]:
    n_answers = int(pairable.count.sum())
    return pairable.n_tasks, n_answers, votes.n_workers_on_pairs(), votes.n_tasks - pairable.n_tasks


def _undefined(votes: Votes, pairable: Cells) -> Agreement:
    only = votes.classes[int(pairable.label[0])]
    reason = f"Every answer is {only!r}: agreement by chance would be perfect too."
    return Agreement(math.nan, math.nan, math.nan, *_sizes(votes, pairable), reason)


def fleiss_kappa(labels: Any, *, conf: float = 0.95, n_boot: int = 1000, seed: int = 0) -> Agreement:
    """Compute Fleiss' kappa, for tasks that all have the same number of answers.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it.
    conf, n_boot, seed
        As for `krippendorff_alpha`, which also takes tasks with different numbers of answers.

    Returns
    -------
    Agreement
        As for `krippendorff_alpha`.

    Raises
    ------
    InputError
        The numbers of answers differ, or a worker answered a task twice.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
    >>> round(rf.quality.fleiss_kappa(labels, n_boot=0).value, 3)
    0.333
    >>> rf.quality.fleiss_kappa(labels.head(5))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Fleiss' kappa needs the same number of answers on every task; ...
    """
    need_whole("n_boot", n_boot)
    need_whole("seed", seed)
    votes = votes_of(labels)
    every = votes.cells()
    sizes = np.unique(every.sums(every.count))
    if len(sizes) != 1:
        raise InputError(
            f"Fleiss' kappa needs the same number of answers on every task; here are {sizes.min()} to {sizes.max()}. "
            "krippendorff_alpha takes any."
        )
    pairable = _pairable(votes)
    if _is_one_label(pairable):
        return _undefined(votes, pairable)
    patterns, times = _patterns(pairable)
    size = int(sizes[0])
    agreeing = patterns.sums(patterns.count * (patterns.count - 1)) / (size * (size - 1))

    def kappa(draw: NDArray[np.float64]) -> float:
        shares = patterns.by_class(draw) / (draw.sum() * size)
        observed, chance = float(draw @ agreeing) / draw.sum(), float((shares**2).sum())
        return (observed - chance) / (1 - chance) if np.count_nonzero(shares) > 1 else math.nan

    draws = np.array([kappa(draw) for draw in _resamples(times, n_boot, seed)])
    return _agreement(votes, pairable, float(kappa(times)), draws, conf)


def cohen_kappa(labels: Any, *, conf: float = 0.95) -> pd.DataFrame:
    """Compute Cohen's kappa for every pair of workers, on the tasks that both answered.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it.
    conf : float
        Level of the intervals (normal, with the standard error that does not assume chance agreement).

    Returns
    -------
    pandas.DataFrame
        One row per pair with a task in common: ``a, b, n, agreement, kappa, se, ci_low, ci_high, enough`` (20 in
        common). Kappa is null where both gave one and the same label throughout. ``attrs["n_excluded"]`` counts rows
        without a task, a worker or a label.

    Raises
    ------
    InputError
        No two workers have a task in common, or one answered a task twice.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
    >>> rf.quality.cohen_kappa(labels)[["a", "b", "n", "agreement", "kappa"]].round(3)
       a  b  n  agreement  kappa
    0  x  y  3      0.667    0.4

    >>> rf.quality.cohen_kappa(labels.assign(worker="x", task=range(6)))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Agreement needs at least two answers on a task from named labelers; ...
    """
    z = NormalDist().inv_cdf(0.5 + checked_conf(conf) / 2)
    votes = votes_of(labels, needs_workers=True)
    rows = []
    for pair in _pairs(votes):
        kappa, se = _cohen(pair)
        row = {"a": pair.a, "b": pair.b, "n": pair.n, "agreement": pair.k / pair.n, "kappa": kappa, "se": se}
        rows.append(row | {"ci_low": kappa - z * se, "ci_high": kappa + z * se, "enough": pair.n >= _ENOUGH_COMMON})
    table = pd.DataFrame(rows)
    table.attrs = {"n_excluded": votes.n_excluded}
    return table


@dataclass(frozen=True, slots=True)
class _Pair:
    """What two workers answered to the tasks that they have in common."""

    a: Any
    b: Any
    one: NDArray[np.int64]
    other: NDArray[np.int64]

    @property
    def n(self) -> int:
        return len(self.one)

    @property
    def k(self) -> int:
        return int((self.one == self.other).sum())


def _pairs(votes: Votes) -> list[_Pair]:
    """Put the answers of every two workers beside each other; costs what is there, not workers times workers."""
    order = np.lexsort((votes.worker, votes.task))
    task, worker, label = votes.task[order], votes.worker[order], votes.label[order]
    met: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    for step in range(1, len(task)):
        same = np.flatnonzero(task[step:] == task[:-step])
        if not len(same):
            break
        met.append((worker[same], worker[same + step], label[same], label[same + step]))
    if not met:
        raise InputError(f"{_NEEDS_TWO}; no two share a task.")
    a, b, one, other = (np.concatenate(columns) for columns in zip(*met, strict=True))
    code = a * len(votes.workers) + b
    by_pair = np.argsort(code, kind="stable")
    _, starts = np.unique(code[by_pair], return_index=True)
    names = votes.workers
    return [_Pair(names[a[at[0]]], names[b[at[0]]], one[at], other[at]) for at in np.split(by_pair, starts[1:])]


def _cohen(pair: _Pair) -> tuple[float, float]:
    # The labels of these two alone: thousands of pairs need not count thousands of labels each.
    met, places = np.unique(np.concatenate([pair.one, pair.other]), return_inverse=True)
    one, other = places[: pair.n], places[pair.n :]
    rows, columns = (np.bincount(labels, minlength=len(met)) / pair.n for labels in (one, other))
    is_same = one == other
    observed, chance = float(is_same.mean()), float(rows @ columns)
    if chance == 1:
        return math.nan, math.nan
    kappa = (observed - chance) / (1 - chance)
    # Fleiss, Cohen and Everitt (1969), summed over answers instead of over the cells of a table.
    crossed = columns[one] + rows[other]
    on_diagonal = float(((((1 - chance) - crossed * (1 - observed)) ** 2) * is_same).mean())
    off = float((crossed**2 * ~is_same).mean())
    rest = (observed * chance - 2 * chance + observed) ** 2
    variance = (on_diagonal + (1 - observed) ** 2 * off - rest) / (pair.n * (1 - chance) ** 4)
    return kappa, math.sqrt(max(0.0, variance))


def pair_agreement(labels: Any, *, conf: float = 0.95) -> pd.DataFrame:
    """Count how often every two workers gave the same label to the same task.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it.
    conf : float
        Level of the Wilson intervals.

    Returns
    -------
    pandas.DataFrame
        One row per pair with a task in common: ``a, b, n`` (tasks in common), ``k`` (same label), ``rate, ci_low,
        ci_high, enough``. ``attrs["overall"]`` is the share of agreeing pairs of answers over all tasks,
        ``attrs["n_excluded"]`` counts rows without a task, a worker or a label.

    Raises
    ------
    InputError
        No two workers have a task in common, or one answered a task twice.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
    >>> rf.quality.pair_agreement(labels)[["a", "b", "n", "k", "rate"]].round(3)
       a  b  n  k   rate
    0  x  y  3  2  0.667

    >>> rf.quality.pair_agreement(labels.assign(worker=None))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no answer of a named worker among the labels: ...
    """
    votes = votes_of(labels, needs_workers=True)
    table = pd.DataFrame([{"a": pair.a, "b": pair.b, "n": pair.n, "k": pair.k} for pair in _pairs(votes)])
    table["rate"] = table["k"] / table["n"]
    table["ci_low"], table["ci_high"] = wilson(table["k"], table["n"], conf)
    table["enough"] = table["n"] >= _ENOUGH_COMMON
    table.attrs["n_excluded"] = votes.n_excluded
    table.attrs["overall"] = float(table["k"].sum() / table["n"].sum())
    return table


def ambiguity(labels: Any) -> pd.DataFrame:
    """Tell which tasks are hard or ambiguous: how the answers to each are divided.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, as `labels_from` makes it.

    Returns
    -------
    pandas.DataFrame
        One row per task, the most doubtful first: ``task, n, mode, mode_share, entropy`` (of the votes, in nats),
        ``entropy_norm`` (of the most that the labels in use allow), ``pair_agreement`` (of pairs of answers, the share
        that agrees), ``tie``, ``ds_label, ds_p, ds_entropy`` (what `dawid_skene` makes of it). Null where a task has
        one answer only, but for the label itself.

    Raises
    ------
    InputError
        There are no answers, several questions are mixed, or a worker answered a task twice.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabb"), "worker": list("xyxy"), "label": list("rrrg")})
    >>> rf.quality.ambiguity(labels)[["task", "n", "mode_share", "entropy_norm", "tie"]]
      task  n  mode_share  entropy_norm    tie
    0    b  2         0.5           1.0   True
    1    a  2         1.0           0.0  False

    >>> rf.quality.ambiguity(labels.assign(field=["size", "colour"] * 2))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: The labels answer 2 questions ('size', 'colour'): take them one by one, ...
    """
    given = as_pandas(labels)
    votes = votes_of(given)
    model = dawid_skene(given)
    cells = votes.cells()
    n = cells.sums(cells.count)
    shares = cells.count / n[cells.task]
    entropy = cells.sums(-shares * np.log(shares)) + 0.0
    leads = cells.count == cells.tops(cells.count)
    mode = cells.first_of(leads)
    with np.errstate(divide="ignore", invalid="ignore"):
        agreeing = cells.sums(cells.count * (cells.count - 1)) / (n * (n - 1))
    norm = entropy / math.log(len(votes.classes)) if len(votes.classes) > 1 else np.zeros(len(n))
    has_two = n >= 2
    table = pd.DataFrame({"task": votes.tasks, "n": n, "mode": objects(votes.classes)[cells.label[mode]]})
    for name, values in (
        ("mode_share", shares[mode]),
        ("entropy", entropy),
        ("entropy_norm", norm),
        ("pair_agreement", agreeing),
    ):
        table[name] = np.where(has_two, values, np.nan)
    table["tie"] = cells.sums(leads.astype(int)) > 1
    table["ds_label"], table["ds_p"] = model.labels["label"].to_numpy(), model.labels["p"].to_numpy()
    table["ds_entropy"] = _entropy(model.posteriors.to_numpy())
    table.attrs = {"n_excluded": votes.n_excluded}
    return table.sort_values(["ds_entropy", "entropy"], ascending=False, kind="stable", ignore_index=True)


def straight_lining(labels: Any, *, min_n: int = _ENOUGH_COMMON) -> pd.DataFrame:
    """Find labelers who give the same answer all the time.

    Parameters
    ----------
    labels : frame
        ``task, worker, label``, and ``answered_at`` if there is one, as `labels_from` makes it. A worker may answer a
        task several times.
    min_n : int
        Answers from which on a share is ``enough``.

    Returns
    -------
    pandas.DataFrame
        One row per worker, the one of the most uniform answers first: ``worker, n, mode`` (the label given most
        often), ``mode_share, others_share`` (of the answers of all others to the same tasks, the share that is this
        label: a mode that is frequent because it is right is frequent there as well; null where nobody else answered
        them), ``longest_run`` (of equal answers in a row, by their time, or the order of rows where there is none) and
        ``enough``. ``attrs["n_excluded"]`` counts rows without a task or a label.

    Raises
    ------
    InputError
        There are no answers, or several questions are mixed.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
    >>> rf.quality.straight_lining(labels).round(2)
      worker  n mode  mode_share  others_share  longest_run  enough
    0      x  3    r        0.67          0.33            2   False
    1      y  3    g        0.67          0.33            2   False

    >>> rf.quality.straight_lining(labels.assign(label=None))
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no answer among the labels: every row lacks a task or a label.
    """
    given = as_pandas(labels)
    if "answered_at" in given.columns:
        # By numpy: pandas 2's own `argsort` gives -1 for a null, which is the last row.
        answered = moments(take(given, "answered_at", of="Labels")["answered_at"])
        given = given.iloc[np.argsort(answered.to_numpy("datetime64[ns]"), kind="stable")]
    votes = votes_of(given, allows_repeats=True)
    cells, by_worker = votes.cells(), np.argsort(votes.worker, kind="stable")
    starts = np.flatnonzero(np.diff(votes.worker[by_worker]))
    rows = [_uniformity(votes, cells, mine, min_n) for mine in np.split(by_worker, starts + 1)]
    table = pd.DataFrame(rows).sort_values("mode_share", ascending=False, kind="stable", ignore_index=True)
    table.attrs = {"n_excluded": votes.n_excluded}
    return table


def _uniformity(votes: Votes, cells: Cells, mine: NDArray[np.intp], min_n: int) -> dict[str, Any]:
    """Describe the answers of one worker, who gave those at these places."""
    worker, answers = votes.worker[mine[0]], votes.label[mine]
    given, times = np.unique(answers, return_counts=True)
    mode = int(given[times.argmax()])
    tasks = np.unique(votes.task[mine])
    # Of all answers to the tasks that the worker met, those of others.
    n_others = int(cells.sums(cells.count)[tasks].sum()) - len(mine)
    n_same = int(cells.count_of(tasks, mode).sum()) - int(times.max())
    breaks = np.flatnonzero(np.diff(answers, prepend=-1, append=-1))
    return {
        "worker": votes.workers[worker] if worker >= 0 else pd.NA,
        "n": len(mine),
        "mode": votes.classes[mode],
        "mode_share": float((answers == mode).mean()),
        "others_share": n_same / n_others if n_others else math.nan,
        "longest_run": int(np.diff(breaks).max()),
        "enough": len(mine) >= min_n,
    }


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        # Adding 0 turns the -0.0 of a task without doubt into 0.0.
        return np.asarray(-np.where(shares > 0, shares * np.log(shares), 0.0).sum(axis=1) + 0.0)
