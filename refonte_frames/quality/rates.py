"""Rates with what they are worth: Wilson intervals, shrinkage across units, labelers' pass rates. Pure."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from numbers import Real
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.taking import KINDS, checked_conf, decided, key_list, need_extra, need_whole, take

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from refonte_frames.quality.taking import Keys

__all__ = ["labeler_rates", "pooled_rate", "rates_of", "shrink_rates", "tally", "wilson"]

#: Fewer units say nothing of how they differ: Jeffreys' prior for each instead.
_LEAST_UNITS: Final = 5
#: Beyond this the fitted spread between units is nothing but noise in the fit.
_WIDEST: Final = 1e6
#: The fit explains nothing where its log-likelihood rises by less.
_LEAST_GAIN: Final = 1e-9


def wilson(k: ArrayLike, n: ArrayLike, conf: float = 0.95) -> tuple[Any, Any]:
    """Give the Wilson score interval of `k` successes in `n` trials.

    Parameters
    ----------
    k, n : int or array_like of int
        Successes and trials; arrays are taken element by element.
    conf : float
        Confidence level.

    Returns
    -------
    tuple of (float, float) or (numpy.ndarray, numpy.ndarray)
        The bounds, NaN where `n` is 0; exactly 0 for no success, exactly 1 for nothing else.

    Raises
    ------
    InputError
        A count is negative, `k` is above `n`, or `conf` is not between 0 and 1.

    Notes
    -----
    Wilson (1927); it keeps its level also for few trials and for rates near 0 and 1, where the textbook's interval
    collapses. It takes trials for independent: attempts of one labeler are not quite, see `pooled_rate`.

    Examples
    --------
    >>> low, high = rf.quality.wilson(7, 10)
    >>> round(low, 6), round(high, 6)
    (0.396778, 0.892209)
    >>> rf.quality.wilson(11, 10)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: k counts some of n: every k has to be from 0 to its n.
    """
    successes, trials = _counts(k, n)
    z = NormalDist().inv_cdf(0.5 + checked_conf(conf) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = successes / trials
        scale = 1 + z**2 / trials
        centre = (rate + z**2 / (2 * trials)) / scale
        half = z * np.sqrt(rate * (1 - rate) / trials + z**2 / (4 * trials**2)) / scale
    # The ends are exact on paper; floats would leave -1e-17 there.
    low = np.where(successes == 0, np.where(trials == 0, np.nan, 0.0), centre - half)
    high = np.where(successes == trials, np.where(trials == 0, np.nan, 1.0), centre + half)
    return (float(low), float(high)) if low.ndim == 0 else (low, high)


def _counts(k: ArrayLike, n: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    try:
        successes, trials = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float))
    except (TypeError, ValueError):
        raise InputError("k and n are counts: numbers, or as many numbers of the one as of the other.") from None
    if not ((successes >= 0) & (successes <= trials)).all():
        raise InputError("k counts some of n: every k has to be from 0 to its n.")
    return successes, trials


def shrink_rates(k: ArrayLike, n: ArrayLike, conf: float = 0.95) -> pd.DataFrame:
    """Estimate the rates of many units together: those with few trials lean towards what is usual among all.

    Parameters
    ----------
    k, n : array_like of int
        Successes and trials of each unit.
    conf : float
        Level of the credible intervals.

    Returns
    -------
    pandas.DataFrame
        One row per unit, in their order: ``shrunk, shrunk_low, shrunk_high``. ``attrs`` tell the fit: ``a, b,
        log_likelihood, method``. Method ``mle``: a beta distribution of the units' rates, fitted by maximum
        likelihood, a unit's row is its posterior; a unit without trials gets the prior. ``pooled``: the units do not
        differ more than by chance, and all three are the pooled rate. ``jeffreys``: fewer than five units with
        trials, each by itself, with a warning.

    Raises
    ------
    InputError
        A count is negative, or `k` is above `n`.
    ImportError
        Without the extra ``[quality]``.

    Examples
    --------
    >>> shrunk = rf.quality.shrink_rates([9, 18, 1, 40, 7, 3], [10, 20, 4, 50, 20, 9])
    >>> shrunk.attrs["method"], shrunk["shrunk"].round(2).tolist()
    ('mle', [0.82, 0.86, 0.43, 0.79, 0.39, 0.42])
    >>> rf.quality.shrink_rates([3], [2])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: k counts some of n: every k has to be from 0 to its n.
    """
    checked_conf(conf)
    successes, trials = map(np.atleast_1d, _counts(k, n))
    if successes.ndim > 1:
        raise InputError("k and n are one number for each unit, not tables of numbers.")
    prior = _prior(successes, trials)
    if prior.method == "jeffreys" and len(trials):
        warnings.warn(
            f"Only {int((trials > 0).sum())} units have trials: too few to tell how units differ; each rate is "
            "estimated by itself (Jeffreys).",
            stacklevel=2,
        )
    bounds = _pooled(successes, trials) if prior.method == "pooled" else _posterior(prior, successes, trials, conf)
    shrunk = pd.DataFrame(dict(zip(("shrunk", "shrunk_low", "shrunk_high"), bounds, strict=True)))
    shrunk.attrs = {"a": prior.a, "b": prior.b, "log_likelihood": prior.log_likelihood, "method": prior.method}
    return shrunk


@dataclass(frozen=True, slots=True)
class _Prior:
    """The distribution that the units' rates come from."""

    a: float
    b: float
    log_likelihood: float
    method: Literal["mle", "pooled", "jeffreys"]


def _prior(k: NDArray[np.float64], n: NDArray[np.float64]) -> _Prior:
    special = need_extra("scipy.special")
    k, n = k[n > 0], n[n > 0]
    constant = float((special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)).sum())

    def log_likelihood(a: float, b: float) -> float:
        return float((special.betaln(a + k, b + n - k) - special.betaln(a, b)).sum()) + constant

    if len(n) < _LEAST_UNITS:
        return _Prior(0.5, 0.5, log_likelihood(0.5, 0.5) if len(n) else 0.0, "jeffreys")
    pooled = float(k.sum() / n.sum())
    without_spread = float(special.xlogy(k, pooled).sum() + special.xlogy(n - k, 1 - pooled).sum()) + constant
    if np.ptp(k / n) == 0:
        return _Prior(math.inf, math.inf, without_spread, "pooled")
    a, b = _fitted(log_likelihood, pooled, _moments(k, n, pooled))
    # One trial each says nothing of how units differ: any spread fits as well as none.
    if a + b > _WIDEST or log_likelihood(a, b) - without_spread < _LEAST_GAIN:
        return _Prior(math.inf, math.inf, without_spread, "pooled")
    return _Prior(a, b, log_likelihood(a, b), "mle")


def _moments(k: NDArray[np.float64], n: NDArray[np.float64], pooled: float) -> float:
    """Guess a + b from how much the rates vary beyond chance; where the fit begins."""
    excess = float(np.average((k / n - pooled) ** 2, weights=n)) - pooled * (1 - pooled) * len(n) / float(n.sum())
    return float(np.clip(pooled * (1 - pooled) / excess - 1, 0.5, 1e4)) if excess > 0 else 1e3


def _fitted(log_likelihood: Any, pooled: float, size: float) -> tuple[float, float]:
    """Maximise over the mean, by its logit, and over a + b, by its logarithm: neither has a border to run into."""
    optimize = need_extra("scipy.optimize")

    def parameters(point: NDArray[np.float64]) -> tuple[float, float]:
        mean = 1 / (1 + math.exp(-point[0]))
        return mean * math.exp(point[1]), (1 - mean) * math.exp(point[1])

    start = [math.log(pooled / (1 - pooled)), math.log(size)]
    # Where every unit has all or nothing, a and b would run towards 0, where nothing can be computed.
    bounds = [(-15, 15), (-7, math.log(10 * _WIDEST))]
    found = optimize.minimize(
        lambda point: -log_likelihood(*parameters(point)), start, method="L-BFGS-B", bounds=bounds
    )
    # The top is flat where units hardly differ; differences of floats tell nothing there, so the last steps use none.
    exact = optimize.minimize(
        lambda point: -log_likelihood(*parameters(point)),
        found.x,
        method="Nelder-Mead",
        bounds=bounds,
        options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 1000},
    )
    return parameters(exact.x)


def _posterior(
    prior: _Prior, k: NDArray[np.float64], n: NDArray[np.float64], conf: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    special, tail = need_extra("scipy.special"), (1 - checked_conf(conf)) / 2
    a, b = prior.a + k, prior.b + n - k
    return a / (a + b), special.betaincinv(a, b, tail), special.betaincinv(a, b, 1 - tail)


def _pooled(
    k: NDArray[np.float64], n: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rate = np.full(len(n), k.sum() / n.sum())
    return rate, rate, rate


def rates_of(k: ArrayLike, n: ArrayLike, *, min_n: int, conf: float) -> pd.DataFrame:
    """Give the columns that every rate of ours comes with."""
    if not isinstance(min_n, Real):
        raise InputError(f"min_n={min_n!r}: give the number from which on a rate is enough.")
    successes, trials = np.asarray(k, np.int64), np.asarray(n, np.int64)
    low, high = wilson(successes, trials, conf)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = successes / trials
    table = pd.DataFrame({"n": trials, "k": successes, "rate": rate, "ci_low": low, "ci_high": high})
    with warnings.catch_warnings():
        # Too few units to shrink towards is usual in a table that is about one or two of them.
        warnings.filterwarnings("ignore", message="Only .* units have trials")
        shrunk = shrink_rates(successes, trials, conf)
    table[list(shrunk.columns)] = np.where(trials[:, None] > 0, shrunk, np.nan)
    table["enough"] = trials >= min_n
    table.attrs = {"shrinkage": shrunk.attrs["method"]}
    return table


def tally(rows: pd.DataFrame, keys: list[str], outcome: str) -> pd.DataFrame:
    """Count by keys: ``n`` decided, ``k`` true, ``n_missing`` undecided; nulls among the keys are a group."""
    known, is_true = decided(rows[outcome])
    counted = rows[keys].assign(
        n=known.astype(np.int64), k=is_true.astype(np.int64), n_missing=(~known).astype(np.int64)
    )
    if not keys:
        return counted.sum().to_frame().T
    return counted.groupby(keys, dropna=False, observed=True, sort=True).sum().reset_index()


def labeler_rates(
    attempts: Any,
    by: Keys = "labeler",
    *,
    kind: str | None = None,
    target: float | None = None,
    min_n: int = 20,
    conf: float = 0.95,
) -> pd.DataFrame:
    """Tell which labelers are good or bad: pass rates of their attempts at training and evaluation tasks.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them: `by`, ``passed``, and ``kind`` if there is one.
    by : str or list of str
        The columns that make a labeler, or another unit.
    kind : {"training", "evaluation", "unknown"}, optional
        Only these. Default: all, each in rows of its own; the two are never mixed.
    target : float, optional
        What is asked for, such as 0.8.
    min_n : int
        Decided attempts from which on a rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per unit and kind, nobody left out: the columns of `by`, ``kind``, ``n`` (decided attempts), ``k``
        (passed), ``rate, ci_low, ci_high`` (Wilson), ``shrunk, shrunk_low, shrunk_high`` (`shrink_rates` within the
        kind; ``attrs["shrinkage"]`` has the method of each), ``n_missing`` (undecided), ``verdict`` and ``enough``;
        ``attrs["n_excluded"]`` counts attempts of other kinds. The verdict is ``below`` when the whole interval lies
        under the target, ``above`` when it lies over it, else ``unclear``; null without a target. Rank by ``ci_low`` or
        ``shrunk``, never by ``rate``.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        There is no such kind, or `target` is no rate.
    ImportError
        Without the extra ``[quality]``.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana"] * 8 + ["dee"], "passed": [True] * 7 + [False, True]})
    >>> rates = rf.quality.labeler_rates(attempts, target=0.4)
    >>> rates[["labeler", "n", "k", "ci_low", "verdict", "enough"]].round(3)
      labeler  n  k  ci_low  verdict  enough
    0     ana  8  7   0.529    above   False
    1     dee  1  1   0.207  unclear   False
    >>> rf.quality.labeler_rates(attempts, by="who")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Attempts need a column 'who', and the frame has none. ...
    """
    keys = [name for name in key_list(by, "verdict") if name != "kind"]
    every = _with_kind(attempts, keys)
    if kind is not None and kind not in (*KINDS, *every["kind"].dropna().unique()):
        raise InputError(f"kind={kind!r}: there are {', '.join(KINDS)}.")
    rows = every if kind is None else every[(every["kind"] == kind).fillna(value=False)]
    counted = tally(rows, [*keys, "kind"], "passed")
    groups = [_judged(group, target, min_n, conf) for _, group in counted.groupby("kind", dropna=False, sort=True)]
    table = pd.concat(groups or [_judged(counted, target, min_n, conf)])
    table = table.sort_values([*keys, "kind"], kind="stable", ignore_index=True)
    methods = {str(group["kind"].iloc[0]): group.attrs["shrinkage"] for group in groups}
    table.attrs = {"n_excluded": len(every) - len(rows), "shrinkage": methods}
    return table


def _with_kind(attempts: Any, keys: list[str]) -> pd.DataFrame:
    given = as_pandas(attempts)
    rows = take(given, *keys, "passed", of="Attempts")
    kinds = take(given, "kind", of="Attempts")["kind"].astype("string") if "kind" in given.columns else pd.NA
    return rows.assign(kind=pd.Series(kinds, index=rows.index, dtype="string"))


def _judged(counted: pd.DataFrame, target: float | None, min_n: int, conf: float) -> pd.DataFrame:
    rates = rates_of(counted["k"], counted["n"], min_n=min_n, conf=conf).set_index(counted.index)
    enough = rates.pop("enough")
    table = counted.drop(columns=["n", "k", "n_missing"]).join(rates)
    table["n_missing"] = counted["n_missing"]
    table["verdict"] = _verdict(rates, target)
    table["enough"] = enough
    table.attrs = rates.attrs
    return table


def _verdict(rates: pd.DataFrame, target: float | None) -> pd.Series[Any]:
    verdict = pd.Series(pd.NA, index=rates.index, dtype="string")
    if target is not None:
        if not isinstance(target, Real) or not 0 <= target <= 1:
            raise InputError(f"target={target!r} is no rate: give one from 0 to 1.")
        has_any = rates["n"] > 0
        verdict[has_any] = "unclear"
        verdict[has_any & (rates["ci_high"] < target)] = "below"
        verdict[has_any & (rates["ci_low"] > target)] = "above"
    return verdict


def pooled_rate(
    frame: Any,
    outcome: str = "passed",
    *,
    cluster: str = "labeler",
    conf: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Give one rate over everything, with an interval that knows that rows of one cluster resemble each other.

    Parameters
    ----------
    frame : frame
        With a column of true, false and null, and one that says what belongs together.
    outcome, cluster : str
        Those columns: attempts of a labeler, tasks of a batch.
    conf : float
        Level of the interval.
    n_boot, seed : int
        Resamples of whole clusters, and where their draws begin.

    Returns
    -------
    pandas.DataFrame
        One row: ``n, k, rate, ci_low, ci_high, ci_method, n_clusters, n_missing``. The method is
        ``cluster bootstrap``, or ``wilson`` where there is one cluster only.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        `n_boot` is below 1, or `seed` below 0.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana"] * 10 + ["bob"] * 10, "passed": [True] * 10 + [False] * 10})
    >>> rf.quality.pooled_rate(attempts)[["rate", "ci_low", "ci_high", "ci_method"]]
       rate  ci_low  ci_high          ci_method
    0   0.5     0.0      1.0  cluster bootstrap

    >>> rf.quality.pooled_rate(attempts, cluster="team")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Rates need a column 'team', ...
    """
    need_whole("n_boot", n_boot, least=1)
    need_whole("seed", seed)
    counted = tally(take(frame, cluster, outcome, of="Rates"), [cluster], outcome)
    some = counted[counted["n"] > 0]
    k, n = int(some["k"].sum()), int(some["n"].sum())
    low, high = wilson(k, n, conf)
    method = "wilson"
    if len(some) > 1:
        low, high = _bootstrapped(some["k"].to_numpy(float), some["n"].to_numpy(float), conf, n_boot, seed)
        method = "cluster bootstrap"
    row = {"n": n, "k": k, "rate": k / n if n else math.nan, "ci_low": low, "ci_high": high, "ci_method": method}
    table = pd.DataFrame([row | {"n_clusters": len(some), "n_missing": int(counted["n_missing"].sum())}])
    table.attrs = {"n_excluded": 0}
    return table


def _bootstrapped(
    k: NDArray[np.float64], n: NDArray[np.float64], conf: float, n_boot: int, seed: int
) -> tuple[float, float]:
    # Clusters of the same counts are drawn together, which changes nothing: of a hundred thousand small ones that
    # is some dozen.
    (k, n), times = np.unique(np.vstack([k, n]), axis=1, return_counts=True)
    generator = np.random.default_rng(seed)
    draws = (generator.multinomial(times.sum(), times / times.sum()) for _ in range(n_boot))
    rates = [float(draw @ k) / float(draw @ n) for draw in draws]
    tail = (1 - checked_conf(conf)) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return float(low), float(high)
