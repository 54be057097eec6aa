"""What attempts tell of labelers and of quality tasks: learning, speed, hard and broken items, the scorecard. Pure."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.audits import audit_outcomes
from refonte_frames.quality.rates import labeler_rates, rates_of, tally
from refonte_frames.quality.taking import decided, key_list, moments, numbers, take
from refonte_frames.quality.turnaround import survival_curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refonte_frames.quality.taking import Keys

__all__ = ["item_quality", "learning_curve", "scorecard", "speeders", "time_per_attempt"]

_FAST_Z: Final = -3.5
#: A normal distribution's standard deviation is its median absolute deviation over this.
_TO_SIGMA: Final = NormalDist().inv_cdf(0.75)
_ENOUGH_TIMES: Final = 10
_LAST: Final = 10
_FAST_OF_LAST: Final = 3
_IDLE_SECS: Final = 1800.0
_ENOUGH_ATTEMPTS: Final = 20


def learning_curve(
    attempts: Any,
    by: str = "attempt_number",
    *,
    panel: Literal["all", "balanced"] = "all",
    min_n: int = 30,
    conf: float = 0.95,
) -> pd.DataFrame:
    """Tell whether labelers learn: pass rates by the number of the attempt.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them: ``labeler, passed`` and `by`, and ``quality_task_id`` if there is one.
    by : {"attempt_number", "labeler_seq"}
        The attempt at one quality task, or the attempt of all that the labeler ever made.
    panel : {"all", "balanced"}
        People who fail drop out, so later attempts are those of others than the first. ``"balanced"`` compares the
        same people: the first and the last attempt of those with at least two.
    min_n : int
        Decided attempts from which on a rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        For all: one row per number, with that number, the columns that rates come with, ``n_labelers_at_risk`` (of
        those not yet passed before, how many make this attempt) and ``survival`` (the share not passed after it,
        Kaplan-Meier; who gave up counts until then). Balanced: one row for ``first`` and one for ``last``, in
        ``position``, with rates. ``attrs["n_excluded"]`` counts attempts without a number.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana", "ana", "bob"], "attempt_number": [1, 2, 1],
    ...     "passed": [False, True, True]})
    >>> rf.quality.learning_curve(attempts)[["attempt_number", "n", "k", "n_labelers_at_risk", "survival"]]
       attempt_number  n  k  n_labelers_at_risk  survival
    0               1  2  1                   2       0.5
    1               2  1  1                   1       0.0

    >>> rf.quality.learning_curve(attempts, by="labeler_sequence")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Attempts need a column 'labeler_sequence', ...
    """
    if panel not in ("all", "balanced"):
        raise InputError(f"panel={panel!r}: there are all and balanced.")
    given = as_pandas(attempts)
    has_task = by == "attempt_number" and "quality_task_id" in given.columns
    unit = ["labeler", *(["quality_task_id"] if has_task else [])]
    every = take(given, *unit, by, "passed", of="Attempts")
    numbered = every.assign(**{by: _whole_numbers(every[by])})
    rows = numbered[numbered[by].notna()].sort_values(by, kind="stable")
    if panel == "balanced":
        table = _balanced(rows, unit, min_n, conf)
        table.attrs = {"n_excluded": len(every) - len(rows)}
        return table
    counted = tally(rows, [by], "passed")
    counted[by] = counted[by].astype("int64")
    rates = rates_of(counted["k"], counted["n"], min_n=min_n, conf=conf)
    table = pd.concat([counted[[by]], rates], axis=1)
    at_risk, survival = _first_passes(rows, unit, by, table[by].to_numpy(float))
    table = table.assign(n_labelers_at_risk=at_risk, survival=survival)
    table.attrs = {"n_excluded": len(every) - len(rows)}
    return table


def _whole_numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    found = numbers(column)
    known = found[~np.isnan(found)]
    if not (np.isfinite(known) & (known == np.floor(known))).all():
        raise InputError(f"The column {column.name!r} holds numbers that are not whole: attempts are counted 1, 2, 3.")
    return found


def _balanced(rows: pd.DataFrame, unit: list[str], min_n: int, conf: float) -> pd.DataFrame:
    known, _ = decided(rows["passed"])
    groups = rows[known].groupby(unit, dropna=False, observed=True)
    several = rows[known][(groups["passed"].transform("size") >= 2).to_numpy()]
    ends = {"first": several.drop_duplicates(unit, keep="first"), "last": several.drop_duplicates(unit, keep="last")}
    marked = pd.concat([frame.assign(position=position) for position, frame in ends.items()])
    counted = tally(marked, ["position"], "passed")
    return pd.concat([counted[["position"]], rates_of(counted["k"], counted["n"], min_n=min_n, conf=conf)], axis=1)


def _first_passes(
    rows: pd.DataFrame, unit: list[str], by: str, at: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Follow every unit to its first pass: who still tries at each number, and the share not passed after it."""
    _, is_passed = decided(rows["passed"])
    keyed = rows.assign(is_passed=is_passed)
    passed = keyed[is_passed].groupby(unit, dropna=False, observed=True)[by].min()
    last = keyed.groupby(unit, dropna=False, observed=True)[by].max()
    until = pd.concat([last.rename("last"), passed.rename("passed")], axis=1).reset_index()
    observed = until["passed"].notna().to_numpy()
    ends = until["passed"].fillna(until["last"]).to_numpy(float)
    curve = survival_curve(ends, observed)
    steps = np.searchsorted(curve["time"].to_numpy(), at, side="right")
    survival = np.concatenate([[1.0], curve["survival"].to_numpy()])[steps]
    longest = np.sort(pd.Series(ends).groupby(until["labeler"], dropna=False, observed=True).max().to_numpy())
    return len(longest) - np.searchsorted(longest, at, side="left"), survival


def speeders(attempts: Any, by: Keys | None = None, *, min_secs: float | None = None) -> pd.DataFrame:
    """Find attempts that were suspiciously fast.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them: ``labeler, duration_secs``, and ``attempt_id, passed, completed_at`` if there.
    by : str or list of str, optional
        What takes equally long, such as ``"quality_task_id"`` or ``"type"``. Default: one group of all.
    min_secs : float, optional
        Nobody can be faster than this.

    Returns
    -------
    pandas.DataFrame
        One row per attempt, in the order of the frame: ``labeler, attempt_id, duration_secs, robust_z`` (of the
        logarithm, against the group's median; null for groups of fewer than ten or without spread), ``fast`` (z below
        -3.5, or under `min_secs`), ``reasons`` (``robust_z``, ``min_secs``, and ``3 of last 10`` where so many of the
        labeler's latest ten were fast; joined by commas, empty where there is none), and ``passed`` where the attempts
        have it: fast and right is no fraud. ``attrs["n_excluded"]`` counts attempts without a duration above 0.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        `min_secs` is no number, or ``duration_secs`` holds none.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana"] * 11 + ["cy"],
    ...     "duration_secs": [60, 58, 55, 54, 52, 50, 49, 48, 62, 64, 57, 2]})
    >>> rf.quality.speeders(attempts).query("fast")[["labeler", "duration_secs", "reasons"]]
       labeler  duration_secs   reasons
    11      cy            2.0  robust_z

    >>> rf.quality.speeders(attempts, by="task")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Attempts need a column 'task', ...
    """
    keys = key_list(by) if by is not None else []
    if min_secs is not None and (isinstance(min_secs, str) or not min_secs >= 0):
        raise InputError(f"min_secs={min_secs!r}: give seconds, 0 or more.")
    given = as_pandas(attempts)
    rows = take(given, "labeler", "duration_secs", *keys, of="Attempts")
    secs = numbers(rows["duration_secs"])
    is_timed = secs > 0
    table = pd.DataFrame({"labeler": rows["labeler"]})
    table["attempt_id"] = (
        take(given, "attempt_id", of="Attempts")["attempt_id"] if "attempt_id" in given.columns else pd.NA
    )
    table["duration_secs"] = secs
    table["robust_z"] = _robust_z(np.log(np.where(is_timed, secs, np.nan)), rows, keys)
    is_far = (table["robust_z"] < _FAST_Z).to_numpy()
    is_under = is_timed & (secs < min_secs) if min_secs is not None else np.zeros(len(secs), bool)
    table["fast"] = is_far | is_under
    order = (
        moments(take(given, "completed_at", of="Attempts")["completed_at"]) if "completed_at" in given.columns else None
    )
    is_often = _often_fast(table, order)
    marks = (("robust_z", is_far), ("min_secs", is_under), ("3 of last 10", is_often))
    table["reasons"] = [
        ", ".join(name for name, mark in zip((name for name, _ in marks), each, strict=True) if mark)
        for each in zip(*(mark for _, mark in marks), strict=True)
    ]
    if "passed" in given.columns:
        table["passed"] = take(given, "passed", of="Attempts")["passed"]
    table.attrs["n_excluded"] = int((~is_timed).sum())
    return table


def _robust_z(values: NDArray[np.float64], rows: pd.DataFrame, keys: list[str]) -> pd.Series[float]:
    logs = pd.Series(values)
    groups: Any = rows.groupby(keys, dropna=False, observed=True).ngroup() if keys else np.zeros(len(rows), int)
    grouped = logs.groupby(groups)
    distance = logs - grouped.transform("median")
    spread = distance.abs().groupby(groups).transform("median")
    is_usable = (grouped.transform("count") >= _ENOUGH_TIMES) & (spread > 0)
    return (_TO_SIGMA * distance / spread.where(is_usable)).rename("robust_z")


def _often_fast(table: pd.DataFrame, order: pd.Series[Any] | None) -> NDArray[np.bool_]:
    """Mark fast attempts that are at least the third such among the labeler's latest ten."""
    when = table.index if order is None else order.sort_values(kind="stable").index
    ordered = table.loc[when, ["labeler", "fast"]]
    recent = (
        ordered.groupby("labeler", dropna=False, observed=True)["fast"]
        .rolling(_LAST, min_periods=1)
        .sum()
        .droplevel(0)
        .reindex(table.index)
    )
    return ((recent >= _FAST_OF_LAST) & table["fast"]).to_numpy()


def time_per_attempt(attempts: Any, by: Keys = "labeler", *, min_n: int = 5) -> pd.DataFrame:
    """Tell how long attempts take.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them: ``duration_secs`` and `by`; ``passed`` if there.
    by : str or list of str
        Groups.
    min_n : int
        Durations from which on a median is ``enough``.

    Returns
    -------
    pandas.DataFrame
        One row per group: the columns of `by`, ``n, median, q25, q75, gmean`` (geometric mean), ``median_passed,
        median_failed``, ``idle_share`` (of attempts over 30 minutes: somebody was away; they are counted all the
        same) and ``enough``; ``attrs["n_excluded"]`` counts attempts without a duration above 0. Seconds. The
        arithmetic mean is left out: one forgotten window moves it.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": "ana", "duration_secs": [10, 20, 40, 4000]})
    >>> rf.quality.time_per_attempt(attempts)[["labeler", "n", "median", "idle_share"]]
      labeler  n  median  idle_share
    0     ana  4    30.0        0.25

    >>> rf.quality.time_per_attempt(attempts, by="team")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Attempts need a column 'team', ...
    """
    keys = key_list(by, "secs", "logs", "median", "gmean", "idle")
    given = as_pandas(attempts)
    has_passed = "passed" in given.columns
    rows = take(given, *keys, "duration_secs", *(["passed"] * has_passed), of="Attempts")
    secs = pd.Series(numbers(rows["duration_secs"]))
    secs = secs.where(secs > 0)
    known, is_passed = decided(rows["passed"]) if has_passed else (np.zeros(len(rows), bool),) * 2
    marked = rows[keys].assign(
        secs=secs,
        logs=np.log(secs),
        secs_passed=secs.where(known & is_passed),
        secs_failed=secs.where(known & ~is_passed),
        idle=(secs > _IDLE_SECS).astype(float).where(secs.notna()),
    )
    groups: Any = marked.groupby(keys or np.zeros(len(marked)), dropna=False, observed=True, sort=True)
    table = pd.DataFrame({"n": groups["secs"].count()})
    for name, share in (("median", 0.5), ("q25", 0.25), ("q75", 0.75)):
        table[name] = groups["secs"].quantile(share)
    table["gmean"] = np.exp(groups["logs"].mean())
    table["median_passed"], table["median_failed"] = groups["secs_passed"].median(), groups["secs_failed"].median()
    table["idle_share"], table["enough"] = groups["idle"].mean(), table["n"] >= min_n
    table = table.reset_index(drop=not keys)
    table.attrs = {"n_excluded": int(secs.isna().sum())}
    return table


def item_quality(attempts: Any, *, min_n: int = _ENOUGH_ATTEMPTS, conf: float = 0.95) -> pd.DataFrame:
    """Find quality tasks that are bad: hard for everybody, or failed by those who pass the others.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them: ``labeler, quality_task_id, passed``.
    min_n : int
        Attempts from which on an item is judged.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per quality task: ``quality_task_id``, the columns that rates come with, ``discrimination`` (the
        correlation of passing it with the labeler's pass rate on all others; null with too few attempts or no
        variation) and ``suspect`` (it is negative: the expected answer is probably wrong). ``attrs["n_excluded"]``
        counts undecided attempts.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> attempts = pd.DataFrame([(w, q, (w in "ab") != (q == "bad")) for w in "abcd" for q in ("q1", "q2", "bad")],
    ...     columns=["labeler", "quality_task_id", "passed"])
    >>> items = rf.quality.item_quality(attempts, min_n=4)
    >>> items[["quality_task_id", "n", "rate", "discrimination", "suspect"]].round(3)
      quality_task_id  n  rate  discrimination  suspect
    0             bad  4   0.5            -1.0     True
    1              q1  4   0.5             NaN    False
    2              q2  4   0.5             NaN    False

    >>> rf.quality.item_quality(attempts.drop(columns="passed"))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Attempts need a column 'passed', ...
    """
    rows = take(attempts, "labeler", "quality_task_id", "passed", of="Attempts")
    known, is_passed = decided(rows["passed"])
    marks = rows[known].assign(k=is_passed[known].astype(float), n=1.0)
    by_labeler = marks.groupby("labeler", dropna=False, observed=True)[["k", "n"]].transform("sum")
    here = marks.groupby(["labeler", "quality_task_id"], dropna=False, observed=True)[["k", "n"]].transform("sum")
    others = by_labeler - here
    marks["others"] = others["k"] / others["n"].where(others["n"] > 0)
    counted = tally(rows, ["quality_task_id"], "passed")
    rates = rates_of(counted["k"], counted["n"], min_n=min_n, conf=conf)
    table = pd.concat([counted[["quality_task_id"]], rates], axis=1)
    groups = marks.groupby("quality_task_id", dropna=False, observed=True, sort=True)
    lookup = {item: _correlation(group["k"], group["others"]) for item, group in groups if not pd.isna(item)}
    table["discrimination"] = [lookup.get(item, np.nan) for item in table["quality_task_id"]]
    table.loc[~table["enough"], "discrimination"] = np.nan
    table["suspect"] = table["discrimination"] < 0
    table.attrs = {"n_excluded": int((~known).sum())}
    return table


def _correlation(one: pd.Series[Any], other: pd.Series[Any]) -> float:
    is_known = other.notna()
    a, b = one[is_known].to_numpy(float), other[is_known].to_numpy(float)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) < 1e-12:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def scorecard(
    attempts: Any, audits: Any = None, *, target: float | None = None, min_n: int = _ENOUGH_ATTEMPTS, conf: float = 0.95
) -> pd.DataFrame:
    """Gather what is known of each labeler: pass rates, first passes, speed, and audits of their work.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them.
    audits : frame, optional
        As `read_audits` gives them. Their tasks are credited to a column ``labeler`` if there is one, else to the
        labelers of attempts with the same ``task_id``.
    target, min_n, conf
        As for `labeler_rates`.

    Returns
    -------
    pandas.DataFrame
        `labeler_rates`, followed by ``first_pass_rate`` (of the quality tasks tried, passed at the first attempt),
        ``median_secs, n_fast`` (see `speeders`), ``last_seen``; with audits also ``n_audited, accepted_rate,
        accepted_ci_low, accepted_ci_high`` of the labeler, the same in all rows of one. Sorted by labeler and kind.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana", "ana", "bob"], "quality_task_id": ["q", "q", "q"],
    ...     "attempt_number": [1, 2, 1], "passed": [False, True, True], "duration_secs": [9.0, 7.0, 8.0]})
    >>> rf.quality.scorecard(attempts)[["labeler", "n", "k", "first_pass_rate", "median_secs"]]
      labeler  n  k  first_pass_rate  median_secs
    0     ana  2  1              0.0          8.0
    1     bob  1  1              1.0          8.0

    >>> rf.quality.scorecard(attempts.drop(columns="duration_secs"))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Attempts need a column 'duration_secs', ...
    """
    given = as_pandas(attempts)
    rates = labeler_rates(given, target=target, min_n=min_n, conf=conf)
    optional = [name for name in ("quality_task_id", "attempt_number", "completed_at", "kind") if name in given.columns]
    rows = take(given, "labeler", "passed", "duration_secs", *optional, of="Attempts")
    rows["kind"] = rows["kind"].astype("string") if "kind" in rows else pd.Series(pd.NA, rows.index, dtype="string")
    rows["duration_secs"] = numbers(rows["duration_secs"])
    rows["fast"] = speeders(given)["fast"]
    keys = ["labeler", "kind"]
    groups: Any = rows.groupby(keys, dropna=False, observed=True, sort=True)
    extra = pd.DataFrame({"median_secs": groups["duration_secs"].median(), "n_fast": groups["fast"].sum()})
    extra.insert(0, "first_pass_rate", _first_pass_rate(rows, keys))
    if "completed_at" in rows:
        rows["completed_at"] = moments(rows["completed_at"])
        extra["last_seen"] = rows.groupby(keys, dropna=False, observed=True, sort=True)["completed_at"].max()
    else:
        extra["last_seen"] = pd.NaT
    card = rates.merge(extra.reset_index(), how="left", on=keys)
    if audits is not None:
        # As texts: the number 7 among attempts is the "7" among audits.
        audited = _audited(given, as_pandas(audits), min_n, conf)
        names = card["labeler"].astype("string")
        found = names.to_frame().merge(audited, how="left", on="labeler").drop(columns="labeler")
        card = card.join(found)
        card["n_audited"] = card["n_audited"].fillna(0).astype("int64")
    card = card.sort_values(keys, kind="stable", ignore_index=True)
    card.attrs = {"n_excluded": 0}
    return card


def _first_pass_rate(rows: pd.DataFrame, keys: list[str]) -> pd.Series[float]:
    known, is_passed = decided(rows["passed"])
    unit = [*keys, *(["quality_task_id"] if "quality_task_id" in rows else [])]
    marked = rows[unit].assign(is_passed=is_passed.astype(float), number=0.0)
    if "attempt_number" in rows:
        marked["number"] = numbers(rows["attempt_number"])
    firsts = marked[known].sort_values("number", kind="stable").drop_duplicates(unit)
    firsts = firsts[firsts["number"] <= 1]
    return firsts.groupby(keys, dropna=False, observed=True)["is_passed"].mean()


def _audited(attempts: pd.DataFrame, audits: pd.DataFrame, min_n: int, conf: float) -> pd.DataFrame:
    named = take(audits, "task_id", "audit_result", "audited_at", of="Audits")
    if "labeler" in audits.columns:
        named["labeler"] = take(audits, "labeler", of="Audits")["labeler"]
    named = named.dropna(subset=["task_id"]).astype({"task_id": "string"})
    if "labeler" not in named:
        makers = take(attempts, "task_id", "labeler", of="Attempts").dropna().drop_duplicates()
        named = named.merge(makers.astype({"task_id": "string"}), on="task_id")
    named["labeler"] = named["labeler"].astype("string")
    # A task that several labelers answered counts for each of them: to each it is a task of its own.
    named["task_id"] = named.groupby(["labeler", "task_id"], dropna=False, observed=True).ngroup()
    found = audit_outcomes(named, by="labeler", min_n=min_n, conf=conf).rename(columns={"n_tasks": "n_audited"})
    return found[["labeler", "n_audited", "accepted_rate", "accepted_ci_low", "accepted_ci_high"]]
