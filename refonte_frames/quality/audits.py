"""What audits say: outcomes, first-pass yield, rework, how strict auditors are, what errors cost. Pure."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.rates import rates_of, wilson
from refonte_frames.quality.taking import checked_conf, key_list, moments, numbers, take

if TYPE_CHECKING:
    from refonte_frames.quality.taking import Keys

__all__ = [
    "audit_outcomes",
    "auditor_rates",
    "audits_for_width",
    "audits_needed",
    "error_costs",
    "first_pass_yield",
    "rework",
]

#: Results that decide; a comment leaves it open, and so does a result that nobody has documented.
_DECIDING: Final = ("accepted", "fixed", "rejected")
_ENOUGH_AUDITS: Final = 20
#: Numbers that differ by less are the same but for what floats lose.
_ROUNDING: Final = 1e-9


def audit_outcomes(
    audits: Any,
    by: Keys = ("audit_source",),
    *,
    basis: Literal["last", "first", "both"] = "last",
    min_n: int = _ENOUGH_AUDITS,
    conf: float = 0.95,
) -> pd.DataFrame:
    """Tell whether delivered work is right: how the audits of tasks ended.

    Parameters
    ----------
    audits : frame
        As `read_audits` gives them: ``task_id, audit_result, audited_at``, and the columns of `by`.
    by : str or list of str
        Groups; the source says whether the customer or the service looked. An empty list is everything.
    basis : {"last", "first", "both"}
        Which audit of a task counts: the newest (how it stands), the oldest (how it was delivered), or each in rows
        of its own.
    min_n : int
        Decided tasks from which on the rates are ``enough``.
    conf : float
        Level of the Wilson intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group and basis: the columns of `by`, ``basis, n_tasks, accepted, fixed, rejected, n_other``, and
        for each of the three a rate of those decided, with its interval: ``accepted_rate, accepted_ci_low,
        accepted_ci_high`` and so on; ``enough``. Comments and results that nobody documented are other;
        ``attrs["n_excluded"]`` counts audits of no task. Where `by` is
        the source alone and both have looked, ``attrs["customer_minus_refonte"]`` has the difference of their
        acceptance for each basis, with Newcombe's interval.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        `basis` is none.

    Examples
    --------
    >>> audits = pd.DataFrame({"task_id": ["a", "a", "b"], "audit_source": "customer",
    ...     "audit_result": ["rejected", "accepted", "commented"],
    ...     "audited_at": ["2020-01-01", "2020-01-02", "2020-01-01"]})
    >>> rf.quality.audit_outcomes(audits, basis="both")[["basis", "n_tasks", "accepted", "rejected", "n_other"]]
       basis  n_tasks  accepted  rejected  n_other
    0  first        2         0         1        1
    1   last        2         1         0        1

    >>> rf.quality.audit_outcomes(audits, basis="newest")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: basis='newest': there are last, first and both.
    """
    if basis not in ("last", "first", "both"):
        raise InputError(f"basis={basis!r}: there are last, first and both.")
    keys = key_list(by, "basis", "n_tasks", *_DECIDING, "n_other")
    every = take(audits, "task_id", "audit_result", "audited_at", *keys, of="Audits")
    rows = in_order(every[every["task_id"].notna()])
    wanted = ("first", "last") if basis == "both" else (basis,)
    tables = [_outcomes(_ends(rows, each), keys, each, min_n, conf) for each in wanted]
    table = pd.concat(tables, ignore_index=True).sort_values([*keys, "basis"], kind="stable", ignore_index=True)
    table.attrs["n_excluded"] = len(every) - len(rows)
    if keys == ["audit_source"]:
        table.attrs["customer_minus_refonte"] = _differences(table)
    return table


def in_order(audits: pd.DataFrame) -> pd.DataFrame:
    """Sort audits from old to new; the service lists the newest first."""
    times = moments(audits["audited_at"])
    # Reversed before a stable sort: of two at one moment the one listed first is the newer.
    backwards = audits.assign(audited_at=times).iloc[::-1]
    # Of an audit without a time nobody knows that it is the newest.
    return backwards.sort_values("audited_at", kind="stable", na_position="first", ignore_index=True)


def _ends(audits: pd.DataFrame, which: str) -> pd.DataFrame:
    return audits.drop_duplicates("task_id", keep="first" if which == "first" else "last")


def _outcomes(audits: pd.DataFrame, keys: list[str], basis: str, min_n: int, conf: float) -> pd.DataFrame:
    results = audits["audit_result"].astype("string")
    marks = audits[keys].assign(n_tasks=1, **{result: (results == result).fillna(value=False) for result in _DECIDING})
    counts = _summed(marks, keys).astype(dict.fromkeys(("n_tasks", *_DECIDING), "int64"))
    decided = counts[list(_DECIDING)].sum(axis=1)
    counts.insert(len(keys), "basis", basis)
    counts["n_other"] = counts["n_tasks"] - decided
    for result in _DECIDING:
        counts[f"{result}_rate"] = counts[result] / decided.where(decided > 0)
        counts[f"{result}_ci_low"], counts[f"{result}_ci_high"] = wilson(counts[result], decided, conf)
    counts["enough"] = decided >= min_n
    return counts


def _summed(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    if not keys:
        return rows.sum().to_frame().T
    return rows.groupby(keys, dropna=False, observed=True, sort=True).sum().reset_index()


def _differences(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    found = {}
    for basis, rows in table.groupby("basis"):
        sides = dict(zip(rows["audit_source"].astype("string"), rows.to_dict("records"), strict=True))
        if "customer" in sides and "refonte" in sides:
            found[str(basis)] = _newcombe(sides["customer"], sides["refonte"])
    return found


def _newcombe(one: dict[Any, Any], other: dict[Any, Any]) -> dict[str, float]:
    """Newcombe's hybrid score interval of a difference, built from the two Wilson intervals."""
    a, b = (float(side["accepted_rate"]) for side in (one, other))
    a_low, a_high = float(one["accepted_ci_low"]), float(one["accepted_ci_high"])
    b_low, b_high = float(other["accepted_ci_low"]), float(other["accepted_ci_high"])
    low = a - b - math.hypot(a - a_low, b_high - b)
    high = a - b + math.hypot(a_high - a, b - b_low)
    return {"difference": a - b, "ci_low": low, "ci_high": high}


def first_pass_yield(
    tasks: Any, audits: Any, by: Keys = (), *, min_n: int = _ENOUGH_AUDITS, conf: float = 0.95
) -> pd.DataFrame:
    """Tell how much work is right at the first go: completed tasks whose first audit accepts them.

    Parameters
    ----------
    tasks : frame
        As `read_tasks` gives them: ``task_id, status``, and the columns of `by`.
    audits : frame
        As `read_audits` gives them: ``task_id, audit_result, audited_at``.
    by : str or list of str
        Groups of tasks.
    min_n : int
        Decided first audits from which on the rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group: the columns of `by`, ``n_completed, n_audited, coverage`` (the share of completed tasks
        that somebody audited), then ``n`` (first audits that decide), ``k`` (accepted), ``rate`` and the columns that
        rates come with; last ``rolled_yield``: the product over the sources of audits of the share that each accepted
        at its own first look, null where there is no ``audit_source`` or nothing is decided. Tasks without an audit
        are not in `n`: nobody looked. ``attrs["n_excluded"]`` counts audits of tasks that are not among the completed
        ones.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> tasks = pd.DataFrame({"task_id": ["a", "b", "c"], "status": "completed"})
    >>> audits = pd.DataFrame({"task_id": ["a", "b"], "audit_result": ["accepted", "fixed"],
    ...     "audited_at": "2020-01-01"})
    >>> rf.quality.first_pass_yield(tasks, audits)[["n_completed", "n_audited", "coverage", "n", "k", "rate"]].round(3)
       n_completed  n_audited  coverage  n  k  rate
    0            3          2     0.667  2  1   0.5

    >>> rf.quality.first_pass_yield(audits, audits)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Tasks need a column 'status', ...
    """
    keys = key_list(by, "n_completed", "n_audited", "coverage", "rolled_yield")
    done = take(tasks, "task_id", "status", *keys, of="Tasks")
    done = done[(done["status"].astype("string") == "completed").fillna(value=False)].astype({"task_id": "string"})
    # Of tasks without an id nobody knows that they are one task.
    done = done[~done["task_id"].duplicated() | done["task_id"].isna()]
    of_audits = as_pandas(audits)
    source = ["audit_source"] if "audit_source" in of_audits.columns else []
    every = in_order(take(of_audits, "task_id", "audit_result", "audited_at", *source, of="Audits"))
    rows = every.astype({"task_id": "string"}).dropna(subset=["task_id"])
    first = _ends(rows, "first").set_index("task_id")["audit_result"].astype("string")
    result = done["task_id"].map(first).astype("string")
    marks = done[keys].assign(
        n_completed=1,
        n_audited=done["task_id"].isin(first.index),
        n=result.isin(_DECIDING),
        k=(result == "accepted").fillna(value=False),
    )
    counts = _summed(marks, keys).astype(dict.fromkeys(("n_completed", "n_audited", "n", "k"), "int64"))
    counts["coverage"] = counts["n_audited"] / counts["n_completed"].where(counts["n_completed"] > 0)
    rates = rates_of(counts.pop("k"), counts.pop("n"), min_n=min_n, conf=conf)
    table = pd.concat([counts, rates], axis=1)
    table["rolled_yield"] = _rolled_yield(done, rows, keys, len(table)) if source else np.nan
    table.attrs["n_excluded"] = len(every) - int(rows["task_id"].isin(done["task_id"]).sum())
    return table


def _rolled_yield(done: pd.DataFrame, audits: pd.DataFrame, keys: list[str], n_groups: int) -> list[float]:
    """Multiply what passes the first look of each source, for each group in their sort order."""
    group = done.groupby(keys, dropna=False, observed=True, sort=True).ngroup() if keys else 0
    looks = audits.drop_duplicates(["task_id", "audit_source"])
    looks = looks[looks["audit_result"].astype("string").isin(_DECIDING)]
    looks = looks.merge(done[["task_id"]].assign(group=group), on="task_id")
    accepted = (looks["audit_result"].astype("string") == "accepted").astype(float)
    stages = accepted.groupby([looks["group"], looks["audit_source"]], dropna=False, observed=True).mean()
    rolled = stages.groupby("group").prod().reindex(range(n_groups))
    return [float(each) for each in rolled]


def rework(audits: Any, by: Keys = (), *, min_n: int = _ENOUGH_AUDITS, conf: float = 0.95) -> pd.DataFrame:
    """Tell how much work was done twice: audited tasks that were fixed, rejected or looked at more than once.

    Parameters
    ----------
    audits : frame
        As `read_audits` gives them: ``task_id, audit_result, audit_time_secs``, and the columns of `by`.
    by : str or list of str
        Groups of tasks; a task with audits in several groups counts in each.
    min_n : int
        Audited tasks from which on the rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group: the columns of `by`, ``n`` (audited tasks), ``k`` (reworked), ``rate`` and the columns that
        rates come with, ``mean_touches, p90_touches`` (audits of a task, comments included), ``audit_minutes`` (of a
        task, on average; null where no audit has a time) and ``fixed_time_share`` (of the auditors' time, what went
        into audits that fixed). ``attrs["n_excluded"]`` counts audits of no task.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> audits = pd.DataFrame({"task_id": ["a", "a", "b"], "audit_result": ["rejected", "accepted", "accepted"],
    ...     "audit_time_secs": [60, 30, 30]})
    >>> rf.quality.rework(audits)[["n", "k", "rate", "mean_touches", "audit_minutes"]]
       n  k  rate  mean_touches  audit_minutes
    0  2  1   0.5           1.5            1.0

    >>> rf.quality.rework(audits, by="project")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Audits need a column 'project', ...
    """
    keys = key_list(by, "touches", "redone", "secs", "timed", "fixing")
    every = take(audits, "task_id", "audit_result", "audit_time_secs", *keys, of="Audits")
    rows = every[every["task_id"].notna()]
    results, secs = rows["audit_result"].astype("string"), numbers(rows["audit_time_secs"])
    is_fixed = (results == "fixed").fillna(value=False)
    unit = list(dict.fromkeys([*keys, "task_id"]))
    marks = rows[unit].assign(
        touches=1,
        redone=results.isin(("fixed", "rejected")),
        secs=np.nan_to_num(secs),
        timed=np.isfinite(secs),
        fixing=np.where(is_fixed, np.nan_to_num(secs), 0.0),
    )
    per_task = _summed(marks, unit)
    per_task["k"] = ((per_task["redone"] > 0) | (per_task["touches"] > 1)).astype(int)
    per_task["n"] = 1
    sums = _summed(per_task[[*keys, "n", "k", "touches", "secs", "timed", "fixing"]], keys)
    rates = rates_of(sums["k"].astype("int64"), sums["n"].astype("int64"), min_n=min_n, conf=conf)
    table = pd.concat([sums[keys], rates], axis=1)
    trials = sums["n"].where(sums["n"] > 0).astype("float64")
    table["mean_touches"] = sums["touches"].astype("float64") / trials
    table["p90_touches"] = _quantile_by(per_task, keys, "touches", 0.9)
    # Where no audit says how long it took nobody knows; it was not for nothing.
    table["audit_minutes"] = (sums["secs"].astype("float64") / 60 / trials).where(sums["timed"].astype("float64") > 0)
    table["fixed_time_share"] = sums["fixing"].astype("float64") / sums["secs"].where(sums["secs"] > 0).astype(
        "float64"
    )
    table.attrs = {"n_excluded": len(every) - len(rows)}
    return table


def _quantile_by(rows: pd.DataFrame, keys: list[str], column: str, share: float) -> Any:
    if not keys:
        return rows[column].quantile(share)
    return rows.groupby(keys, dropna=False, observed=True, sort=True)[column].quantile(share).to_numpy()


def auditor_rates(audits: Any, *, min_n: int = _ENOUGH_AUDITS, conf: float = 0.95) -> pd.DataFrame:
    """Tell how strict each auditor is: the share of audits that accept, beside what the same projects lead to expect.

    Parameters
    ----------
    audits : frame
        As `read_audits` gives them: ``audited_by, audit_result, audit_time_secs``, and ``project`` if there is one.
    min_n : int
        Decided audits from which on a rate is ``enough``.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per auditor: ``audited_by``, rates of acceptance, ``expected`` (the rate that all auditors together
        have on the same projects), ``ratio`` (rate over expected), ``median_secs``, and the shares ``fixed_rate`` and
        ``rejected_rate``. Comparisons are fair where work is given out by chance; projects that differ are allowed
        for by ``expected``, other differences are not. ``attrs["n_excluded"]`` counts audits that decide nothing.

    Raises
    ------
    ColumnError
        A column is missing.

    Warns
    -----
    UserWarning
        Auditors looked at different projects: compare by ``ratio``, not by ``rate``.

    Examples
    --------
    >>> audits = pd.DataFrame({"audited_by": ["eve", "eve", "max", "max"], "audit_time_secs": [10, 20, 40, 50],
    ...     "audit_result": ["accepted", "accepted", "rejected", "accepted"]})
    >>> rf.quality.auditor_rates(audits)[["audited_by", "n", "k", "rate", "expected", "median_secs"]]
      audited_by  n  k  rate  expected  median_secs
    0        eve  2  2   1.0      0.75         15.0
    1        max  2  1   0.5      0.75         45.0

    >>> rf.quality.auditor_rates(audits.drop(columns="audited_by"))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Audits need a column 'audited_by', ...
    """
    given = as_pandas(audits)
    has_project = "project" in given.columns
    rows = take(given, "audited_by", "audit_result", "audit_time_secs", *(["project"] * has_project), of="Audits")
    results = rows["audit_result"].astype("string")
    rows = rows.assign(
        accepted=(results == "accepted").fillna(value=False).astype("int64"),
        secs=numbers(rows["audit_time_secs"]),
        project=rows["project"].astype("string").fillna("") if has_project else "",
    )[results.isin(_DECIDING)]
    rows["expected"] = rows.groupby("project")["accepted"].transform("mean")
    for result in ("fixed", "rejected"):
        rows[result] = (results[rows.index] == result).astype(float)
    groups = rows.groupby("audited_by", dropna=False, observed=True, sort=True)
    _warn_if_projects_differ(groups)
    sums = groups.agg(
        n=("accepted", "size"),
        k=("accepted", "sum"),
        expected=("expected", "mean"),
        median_secs=("secs", "median"),
        fixed_rate=("fixed", "mean"),
        rejected_rate=("rejected", "mean"),
    ).reset_index()
    rates = rates_of(sums["k"], sums["n"], min_n=min_n, conf=conf)
    table = pd.concat([sums[["audited_by"]], rates, sums[["expected"]]], axis=1)
    table["ratio"] = table["rate"] / table["expected"].where(table["expected"] > 0)
    table = table.join(sums[["median_secs", "fixed_rate", "rejected_rate"]])
    table.attrs = {"n_excluded": len(results) - len(rows)}
    return table


def _warn_if_projects_differ(groups: Any) -> None:
    seen = {frozenset(projects) for projects in groups["project"].unique()}
    if len(seen) > 1:
        warnings.warn(
            "Auditors did not look at the same projects: a rate of acceptance tells of the project as well as of the "
            "auditor. Compare them by `ratio`, which allows for that.",
            stacklevel=3,
        )


def audits_needed(rate: float, *, conf: float = 0.95, population: int | None = None) -> int:
    """Tell how many audits without a defect show that defects are rarer than `rate`.

    Parameters
    ----------
    rate : float
        The share of defects that is to be ruled out.
    conf : float
        How sure one wants to be.
    population : int, optional
        The size of a finite batch, from which audits are drawn without putting back.

    Returns
    -------
    int
        The smallest sample; the whole batch when no smaller one does.

    Raises
    ------
    InputError
        `rate` is not between 0 and 1, or the batch is empty.

    Examples
    --------
    >>> rf.quality.audits_needed(0.05), rf.quality.audits_needed(0.01), rf.quality.audits_needed(0.05, population=200)
    (59, 299, 51)

    >>> rf.quality.audits_needed(5)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: rate=5: give the share of defects to be ruled out, between 0 and 1.
    """
    if not isinstance(rate, Real) or not 0 < rate < 1:
        raise InputError(f"rate={rate!r}: give the share of defects to be ruled out, between 0 and 1.")
    miss = 1 - checked_conf(conf)
    if population is None:
        return math.ceil(math.log(miss) / math.log1p(-rate))
    if not isinstance(population, int | np.integer) or population < 1:
        raise InputError(f"population={population!r}: a batch has at least one task.")
    # Less a little: 7 % of 100 are 7.000000000000001 as floats, and would be eight tasks.
    defects = max(1, math.ceil(rate * population - _ROUNDING))
    none_seen = 1.0
    for drawn in range(population):
        none_seen *= max(0, population - defects - drawn) / (population - drawn)
        if none_seen <= miss + _ROUNDING:
            return drawn + 1
    return population


def audits_for_width(half_width: float, *, rate: float = 0.5, conf: float = 0.95) -> int:
    """Tell how many audits make a rate's Wilson interval at most so wide to either side of its middle.

    Parameters
    ----------
    half_width : float
        Half of the interval's width, such as 0.05 for five points up and down.
    rate : float
        What the rate will be about; 0.5, which needs most, where nobody knows.
    conf : float
        Level of the interval.

    Returns
    -------
    int
        The smallest number.

    Raises
    ------
    InputError
        `half_width` is not between 0 and 0.5, or `rate` is none.

    Examples
    --------
    >>> rf.quality.audits_for_width(0.05), rf.quality.audits_for_width(0.05, rate=0.9)
    (381, 141)

    >>> rf.quality.audits_for_width(5)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: half_width=5: give half of the interval's width, between 0 and 0.5.
    """
    if not isinstance(half_width, Real) or not 0 < half_width < 0.5:
        raise InputError(f"half_width={half_width!r}: give half of the interval's width, between 0 and 0.5.")
    if not isinstance(rate, Real) or not 0 <= rate <= 1:
        raise InputError(f"rate={rate!r} is no rate: give one from 0 to 1.")
    z = NormalDist().inv_cdf(0.5 + checked_conf(conf) / 2)
    # The half width of Wilson's interval set equal to the one asked for, solved for n.
    spread, wanted = rate * (1 - rate), half_width**2
    middle = spread - 2 * wanted
    n = z**2 / (2 * wanted) * (middle + math.sqrt(middle**2 - wanted * (4 * wanted - 1)))
    return max(1, math.ceil(n - _ROUNDING))


def error_costs(
    tasks: Any,
    audits: Any,
    *,
    audit_minute: float,
    fix: float,
    redo: float,
    escape: float,
    by: Keys = (),
    conf: float = 0.95,
) -> pd.DataFrame:
    """Estimate what errors cost: auditing, fixing, doing again, and the defects that nobody saw.

    Parameters
    ----------
    tasks, audits : frame
        As for `first_pass_yield`; audits with ``audit_time_secs``.
    audit_minute, fix, redo, escape : float
        Prices, in your currency: of a minute of auditing, of an audit that fixed, of one that rejected, and of a
        defect that reached the user.
    by : str or list of str
        Groups of tasks.
    conf : float
        Level of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per group: the columns of `by`, ``audit_cost, fix_cost, redo_cost, escape_cost, escape_low,
        escape_high, total``. Escaped defects are the completed tasks without an audit times the group's shrunk rate
        of first audits that did not accept; the bounds come from that rate's interval. Null, and with it the total,
        where no audit of the group decides anything and tasks are unseen. ``attrs["n_excluded"]`` counts audits of
        tasks that are not there, or of groups in which nothing is completed.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        A price is no number.

    Examples
    --------
    >>> tasks = pd.DataFrame({"task_id": list("abcd"), "status": "completed"})
    >>> audits = pd.DataFrame({"task_id": ["a", "b"], "audit_result": ["accepted", "fixed"],
    ...     "audited_at": "2020-01-01", "audit_time_secs": 60})
    >>> rf.quality.error_costs(tasks, audits, audit_minute=1, fix=5, redo=9, escape=20)[["audit_cost", "fix_cost"]]
       audit_cost  fix_cost
    0         2.0       5.0

    >>> rf.quality.error_costs(tasks, audits, audit_minute=1, fix=5, redo=9, escape=20, by="team")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Tasks need a column 'team', ...
    """
    for name, price in (("audit_minute", audit_minute), ("fix", fix), ("redo", redo), ("escape", escape)):
        if not isinstance(price, Real):
            raise InputError(f"{name}={price!r} is no price: give a number.")
    keys = key_list(by, "counted", "minutes", "fixed", "rejected")
    of_tasks, of_audits = as_pandas(tasks), as_pandas(audits)
    groups = first_pass_yield(of_tasks, of_audits, keys, conf=conf)
    owners = take(of_tasks, "task_id", *keys, of="Tasks").drop_duplicates("task_id").astype({"task_id": "string"})
    rows = take(of_audits, "task_id", "audit_result", "audit_time_secs", of="Audits").astype({"task_id": "string"})
    rows = rows.dropna(subset=["task_id"]).merge(owners, on="task_id")
    results = rows["audit_result"].astype("string")
    marks = rows[keys].assign(
        counted=1,
        minutes=np.nan_to_num(numbers(rows["audit_time_secs"])) / 60,
        fixed=(results == "fixed").fillna(value=False),
        rejected=(results == "rejected").fillna(value=False),
    )
    # As objects: where all audits are of one project, or of none, its column may be of another type.
    sums = _summed(marks, keys).astype(dict.fromkeys(keys, object))
    spent = groups[keys].astype(object).merge(sums, how="left", on=keys) if keys else sums
    spent = spent.fillna({"counted": 0, "minutes": 0, "fixed": 0, "rejected": 0})
    unseen = groups["n_completed"] - groups["n_audited"]
    table = groups[keys].copy()
    table.attrs = {"n_excluded": len(of_audits) - int(spent["counted"].sum())}
    table["audit_cost"] = spent["minutes"].astype("float64") * audit_minute
    table["fix_cost"] = spent["fixed"].astype("float64") * fix
    table["redo_cost"] = spent["rejected"].astype("float64") * redo
    # A rate of acceptance is shrunk; its complement is the rate of defects, and the bounds change places.
    for name, bound in (("escape_cost", "shrunk"), ("escape_low", "shrunk_high"), ("escape_high", "shrunk_low")):
        table[name] = unseen * (1 - groups[bound]) * escape
    # Where nobody looked at any task nothing is known of what escaped, nor of the total.
    table["total"] = table[["audit_cost", "fix_cost", "redo_cost", "escape_cost"]].sum(axis=1, skipna=False)
    return table
