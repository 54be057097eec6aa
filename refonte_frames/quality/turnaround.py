"""How long work takes, with what is still open counted: survival curves, turnaround, throughput, burn-down. Pure."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pandas.tseries.frequencies import to_offset

from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.taking import (
    begun,
    checked_conf,
    decided,
    key_list,
    moment,
    moments,
    need_extra,
    need_whole,
    numbers,
    seconds_of,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from refonte_frames.quality.taking import Keys

__all__ = ["burn_down", "lives_of", "survival_curve", "throughput", "turnaround"]

#: Fewer durations than this say nothing of so high a quantile.
_LEAST_FOR: Final = {0.9: 10, 0.95: 20}
_PACE_DAYS: Final = 7
_DRAWS: Final = 1000
_DAY_SECS: Final = 86_400.0
_HOUR_SECS: Final = 3600.0
_MOST_PERIODS: Final = 5_000_000
#: Finer than a day, periods are counted in absolute time: a clock that is set back has one hour twice.
_CALENDAR: Final = ("D", "W", "M", "Q", "Y", "d", "w")


def survival_curve(duration: ArrayLike, observed: ArrayLike, conf: float = 0.95) -> pd.DataFrame:
    """Estimate how many are still open after so long (Kaplan-Meier); those not yet ended count for as long as known.

    Parameters
    ----------
    duration : array_like of float
        How long each was watched.
    observed : array_like of bool
        Whether it ended then; False: it was still open.
    conf : float
        Level of the pointwise intervals.

    Returns
    -------
    pandas.DataFrame
        One row per time at which something ended: ``time, at_risk, events, survival, se`` (Greenwood), ``ci_low,
        ci_high`` (log-log; null where the curve has come to 0).

    Raises
    ------
    InputError
        The two differ in length, a duration is null or negative, or `observed` is neither true nor false.

    Examples
    --------
    >>> rf.quality.survival_curve([1, 2, 2, 3], [True, True, False, True])[["time", "at_risk", "events", "survival"]]
       time  at_risk  events  survival
    0   1.0        4       1      0.75
    1   2.0        3       1      0.50
    2   3.0        1       1      0.00

    >>> rf.quality.survival_curve([1, -2], [True, True])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: A duration is null or negative: ...
    """
    times, ended = _two_columns(duration, observed)
    if not (times >= 0).all():
        raise InputError("A duration is null or negative: leave such rows out before, and count them.")
    moments_, inverse = np.unique(times, return_inverse=True)
    events = np.bincount(inverse[ended], minlength=len(moments_))
    leaving = np.bincount(inverse, minlength=len(moments_))
    at_risk = leaving[::-1].cumsum()[::-1]
    has_event = events > 0
    when, events, at_risk = moments_[has_event], events[has_event], at_risk[has_event]
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1 - events / at_risk)
        greenwood = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
        spread = NormalDist().inv_cdf(0.5 + checked_conf(conf) / 2) * greenwood / np.abs(np.log(survival))
        low, high = survival ** np.exp(spread), survival ** np.exp(-spread)
        se = survival * greenwood
    is_over = survival == 0
    columns = {"time": when, "at_risk": at_risk, "events": events, "survival": survival}
    columns |= {
        name: np.where(is_over, np.nan, each) for name, each in (("se", se), ("ci_low", low), ("ci_high", high))
    }
    return pd.DataFrame(columns)


def _two_columns(duration: ArrayLike, observed: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    try:
        times, marks = (pd.Series(each, name=name) for name, each in (("duration", duration), ("observed", observed)))
    except ValueError:
        times, marks = pd.Series(dtype=float), pd.Series([True])
    if len(times) != len(marks):
        raise InputError("duration and observed are two columns of the same length.")
    known, ended = decided(marks)
    if not known.all():
        raise InputError("observed is true or false for every duration; somewhere it is null.")
    return numbers(times), ended


def turnaround(
    tasks: Any,
    by: Keys = (),
    *,
    at: Any = None,
    quantiles: Sequence[float] = (0.5, 0.9, 0.95),
    conf: float = 0.95,
) -> pd.DataFrame:
    """Tell how long tasks take from creation to completion, with those that are still open honestly counted.

    Parameters
    ----------
    tasks : frame
        As `read_tasks` gives them: ``created_at, completed_at, status``, ``updated_at`` where there are canceled
        tasks, and the columns of `by`.
    by : str or list of str
        Groups of tasks.
    at : time, optional
        Until when open tasks were watched. Default: the newest ``exported_at``, else the newest time in the frame.
    quantiles : sequence of float
        Which, between 0 and 1.
    conf : float
        Level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Two rows per group: the columns of `by`, ``basis, n, n_open, n_bad``, and for each quantile, in seconds,
        ``p50, p50_ci_low, p50_ci_high`` and so on. Basis ``completed_only``: quantiles of completed tasks (too
        short, as slow ones are missing), intervals by order statistics, p90 from ten and p95 from twenty tasks on.
        Basis ``censored``: from the survival curve, with open tasks watched until `at` and canceled or failed ones
        until their ``updated_at``; null where not enough have ended yet. ``n_bad`` counts tasks left out because a
        time is missing or they ended before they began.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        A quantile is not between 0 and 1.

    Examples
    --------
    >>> tasks = pd.DataFrame({"created_at": "2020-01-01", "status": ["completed"] * 3 + ["pending"] * 3,
    ...     "completed_at": ["2020-01-01T00:01", "2020-01-01T00:02", "2020-01-01T00:03"] + [None] * 3})
    >>> rf.quality.turnaround(tasks, at="2020-01-02")[["basis", "n", "n_open", "p50"]]
                basis  n  n_open    p50
    0  completed_only  3       3  120.0
    1        censored  6       3  180.0

    >>> rf.quality.turnaround(tasks, quantiles=[50])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: quantiles=(50,): each is between 0 and 1.
    """
    if isinstance(quantiles, str | int | float):
        raise InputError(f"quantiles={quantiles!r}: give them in a list, such as [{quantiles!r}].")
    if not all(0 < each < 1 for each in quantiles):
        raise InputError(f"quantiles={tuple(quantiles)!r}: each is between 0 and 1.")
    keys = key_list(by, "basis", "n_open", "n_bad", "secs", "is_done", "is_open")
    lives = lives_of(tasks, keys, at)
    groups: Any = lives.groupby(keys, dropna=False, observed=True, sort=True) if keys else [((), lives)]
    nobody = [dict.fromkeys(keys) | row for row in _turnaround_rows(lives.head(0), tuple(quantiles), conf)]
    rows = []
    for key, group in groups:
        named = dict(zip(keys, key, strict=True))
        rows += [named | row for row in _turnaround_rows(group, tuple(quantiles), checked_conf(conf))]
    table = pd.DataFrame(rows, columns=list(nobody[0]))
    table.attrs = {"n_excluded": int(table.loc[table["basis"] == "censored", "n_bad"].sum())}
    return table


def lives_of(tasks: Any, keys: Sequence[str] = (), at: Any = None) -> pd.DataFrame:
    """Give how long each task was watched (``secs``), and whether it was completed then (``is_done``) or is open."""
    given = as_pandas(tasks)
    frame = take(given, *keys, "created_at", "completed_at", "status", of="Tasks")
    columns = given.columns
    created, completed = moments(frame["created_at"]), moments(frame["completed_at"])
    updated = moments(take(given, "updated_at", of="Tasks")["updated_at"]) if "updated_at" in columns else completed
    status = frame["status"].astype("string")
    is_done = (status == "completed").fillna(value=False)
    is_open = (status == "pending").fillna(value=False)
    if at is None:
        known = [moments(take(given, "exported_at", of="Tasks")["exported_at"])] if "exported_at" in columns else []
        at = max((each.max() for each in known or [created, completed, updated] if each.notna().any()), default=pd.NaT)
    else:
        at = moment(at)
    end = completed.where(is_done, updated.where(~is_open, at))
    return frame[list(keys)].assign(secs=seconds_of(end) - seconds_of(created), is_done=is_done, is_open=is_open)


def _turnaround_rows(lives: pd.DataFrame, quantiles: tuple[float, ...], conf: float) -> Iterator[dict[str, Any]]:
    secs = lives["secs"].to_numpy()
    is_good = secs >= 0  # False for NaN as well
    counts = {"n_open": int((lives["is_open"] & is_good).sum()), "n_bad": int((~is_good).sum())}
    is_done = lives["is_done"].to_numpy()
    done = np.sort(secs[is_good & is_done])
    shown: dict[str, Any] = {"basis": "completed_only", "n": len(done), **counts}
    for share in quantiles:
        shown |= _named(share, _order_quantile(done, share, conf))
    yield shown
    curve = survival_curve(secs[is_good], is_done[is_good], conf)
    shown = {"basis": "censored", "n": int(is_good.sum()), **counts}
    for share in quantiles:
        reached = tuple(_first_time(curve, column, 1 - share) for column in ("survival", "ci_low", "ci_high"))
        shown |= _named(share, reached)
    yield shown


def _named(share: float, values: Sequence[float]) -> dict[str, float]:
    name = f"p{share * 100:g}"
    return dict(zip((name, f"{name}_ci_low", f"{name}_ci_high"), values, strict=True))


def _first_time(curve: pd.DataFrame, column: str, level: float) -> float:
    """Find when a curve first comes down to a level; where it has come to 0 its limits went with it."""
    heights = curve[column].where(curve["survival"] > 0, 0.0 if column != "ci_high" else np.nan).to_numpy()
    # A product of fractions may miss the level by a rounding.
    reached = np.flatnonzero(heights <= level + 1e-12)
    return float(curve["time"].iloc[reached[0]]) if len(reached) else math.nan


def _order_quantile(ordered: NDArray[np.float64], share: float, conf: float) -> tuple[float, float, float]:
    n = len(ordered)
    if n < _LEAST_FOR.get(share, 1):
        return math.nan, math.nan, math.nan
    value, tail = float(np.quantile(ordered, share)), (1 - conf) / 2
    below = _binomial_cdf(n, share)
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    # No order statistic bounds it at this level where the sample is too small.
    return (
        value,
        float(ordered[low - 1]) if low >= 1 else math.nan,
        float(ordered[high - 1]) if high <= n else math.nan,
    )


def _binomial_cdf(n: int, p: float) -> NDArray[np.float64]:
    k = np.arange(n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_pmf = log_factorial[n] - log_factorial - log_factorial[::-1] + k * math.log(p) + (n - k) * math.log1p(-p)
    return np.cumsum(np.exp(log_pmf))


def throughput(df: Any, freq: str = "D", *, tz: str = "UTC", by: Keys = (), conf: float = 0.95) -> pd.DataFrame:
    """Count what was completed in each period; periods in which nothing was are rows with 0.

    Parameters
    ----------
    df : frame
        Tasks or attempts with ``completed_at``, and the columns of `by`. Rows without it are not completed.
    freq : str
        A period as pandas names it: ``"h", "D", "W", "M"`` and so on; of several, such as ``"2W"``, the first begins
        with the first row's.
    tz : str
        The time zone whose days are meant.
    by : str or list of str
        Groups; every group has the same periods.
    conf : float
        Level of the exact Poisson intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group and period: the columns of `by`, ``period`` (its beginning, in `tz`), ``n, ci_low,
        ci_high``; of attempts, which have ``duration_secs``, also ``active_secs`` (their sum) and ``per_hour`` (those
        with a duration, by hour of it). ``attrs["n_excluded"]`` counts rows that are not completed.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        There is no such period, or no such time zone.
    ImportError
        Without the extra ``[quality]``.

    Examples
    --------
    >>> done = pd.DataFrame({"completed_at": ["2020-01-01T10:00Z", "2020-01-01T11:00Z", "2020-01-03T10:00Z"]})
    >>> rf.quality.throughput(done)[["period", "n"]]
                         period  n
    0 2020-01-01 00:00:00+00:00  2
    1 2020-01-02 00:00:00+00:00  0
    2 2020-01-03 00:00:00+00:00  1

    >>> rf.quality.throughput(done, by="project")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Rows need a column 'project', ...
    """
    keys = key_list(by, "period", "timed", "active_secs", "per_hour")
    frame = as_pandas(df)
    timed = ["duration_secs"] if "duration_secs" in frame.columns else []
    given = take(frame, *keys, "completed_at", *timed, of="Rows")
    rows = given.assign(completed_at=moments(given["completed_at"])).dropna(subset=["completed_at"])
    try:
        rows["period"], every = _periods(rows["completed_at"], freq, tz)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"freq={freq!r}, tz={tz!r}: no such periods or no such time zone ({error}).") from None
    groups = rows[keys].drop_duplicates() if keys else pd.DataFrame(index=[0])
    grid = groups.merge(pd.DataFrame({"period": every}), how="cross")
    secs = numbers(rows["duration_secs"]) if timed else np.zeros(len(rows))
    marks = rows[[*keys, "period"]].assign(n=1, timed=secs > 0, active_secs=np.where(secs > 0, secs, 0.0))
    counts = marks.groupby([*keys, "period"], dropna=False, observed=True).sum().reset_index()
    # As objects: a group of nobody may be of another type than the same group beside its counts.
    plain = dict.fromkeys(keys, object)
    filled = (
        grid.astype(plain)
        .merge(counts.astype(plain), how="left", on=[*keys, "period"])
        .astype({name: rows[name].dtype for name in keys})
    )
    filled = filled.sort_values([*keys, "period"], ignore_index=True)
    filled = filled.fillna({"n": 0, "timed": 0, "active_secs": 0}).astype({"n": "int64", "timed": "int64"})
    table = filled[[*keys, "period", "n"]].copy()
    table["ci_low"], table["ci_high"] = _poisson(table["n"].to_numpy(float), conf)
    if timed:
        table["active_secs"] = filled["active_secs"].astype("float64")
        table["per_hour"] = filled["timed"] * _HOUR_SECS / table["active_secs"].where(table["active_secs"] > 0)
    table.attrs = {"n_excluded": len(given) - len(rows)}
    return table


def _poisson(n: NDArray[np.float64], conf: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    special, tail = need_extra("scipy.special"), (1 - checked_conf(conf)) / 2
    low = np.where(n > 0, special.gammaincinv(np.maximum(n, 1), tail), 0.0)
    return low, special.gammaincinv(n + 1, 1 - tail)


def _periods(times: pd.Series[Any], freq: str, tz: str) -> tuple[pd.Series[Any], pd.DatetimeIndex]:
    """Give the period of each time, and all periods from the first to the last."""
    if not isinstance(freq, str) or freq.startswith("-"):
        raise ValueError("a period is told in letters, and is longer than nothing")
    local = times.dt.tz_convert(tz)
    if freq.lstrip("0123456789")[:1] not in _CALENDAR:
        return _parts_of_days(local, freq, tz)
    unit = freq.lstrip("0123456789")
    size = int(freq.removesuffix(unit) or 1)
    if size < 1:
        raise ValueError("it is longer than nothing")
    plain = pd.PeriodIndex(local.dt.tz_localize(None).dt.to_period(unit))
    spanned = pd.period_range(plain.min(), plain.max(), freq=unit)[::size] if len(plain) else plain
    # As numbers: a period of pandas that is two weeks long begins in every week.
    at = np.searchsorted(spanned.asi8, plain.asi8, side="right") - 1
    starts, every = (pd.Series(each.to_timestamp()) for each in (spanned[at], spanned))
    # Where a whole day was left out of the calendar, it and the next begin at the same time.
    return begun(starts, tz).set_axis(times.index), pd.DatetimeIndex(begun(every, tz)).unique()


def _parts_of_days(local: pd.Series[Any], freq: str, tz: str) -> tuple[pd.Series[Any], pd.DatetimeIndex]:
    """Give periods by the wall clock; an hour that is lived twice has two periods, and one that is not has none."""
    floor = local.dt.tz_localize(None).dt.floor(freq)
    first, second = _lived_twice(pd.DatetimeIndex(floor), tz)
    starts = pd.Series(second.where(second <= pd.DatetimeIndex(local), first), index=local.index)
    _refuse_too_many_periods(starts, freq)
    if not len(starts):
        return starts, pd.DatetimeIndex([], tz=tz)
    first, second = _lived_twice(pd.date_range(floor.min(), floor.max(), freq=freq), tz)
    every = first.union(second).unique()
    return starts, every[(every >= starts.min()) & (every <= starts.max())]


def _lived_twice(wall: pd.DatetimeIndex, tz: str) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Give local times their zone, where clocks are set back for the first and for the second time."""
    first, second = (
        wall.tz_localize(tz, ambiguous=np.full(len(wall), is_first), nonexistent="shift_forward")
        for is_first in (True, False)
    )
    return first, second


def _refuse_too_many_periods(starts: pd.Series[Any], freq: str) -> None:
    nanos = starts.astype("int64")
    # As Python's integers: a difference of pandas' times ends after 292 years.
    count = (int(nanos.max()) - int(nanos.min())) // to_offset(freq).nanos if len(nanos) else 0
    if count > _MOST_PERIODS:
        raise ValueError(f"{count:,} periods lie between the first and the last row")


def burn_down(tasks: Any, batches: Any = None, *, at: Any = None, conf: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Show how batches progress day by day, and when they will be done at the pace of the last seven days.

    Parameters
    ----------
    tasks : frame
        As `read_tasks` gives them: ``batch, created_at, completed_at, updated_at, status``.
    batches : frame, optional
        With ``batch``: only these are shown; a column ``finalized_at`` says where their first day is.
    at : time, optional
        The last day shown. Default: the newest ``exported_at``, else the newest time in the frame.
    conf : float
        Level of the interval of the end.
    seed : int
        Where the draws of the interval begin.

    Returns
    -------
    pandas.DataFrame
        One row per batch and day (UTC): ``batch, day``, then as of the end of that day ``created, completed, canceled``
        (failed ones too), ``open`` and ``pct_done`` (0 to 100: completed or canceled). ``attrs`` hold ``eta, eta_low,
        eta_high``, a dict each from batch to an ISO time: the last day when nothing is open, None when nothing
        moves. The interval resamples the days of the last seven. ``attrs["n_excluded"]`` counts tasks of other
        batches or without ``created_at``.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> tasks = pd.DataFrame({"batch": "b", "created_at": "2020-01-01", "updated_at": None,
    ...     "status": ["completed", "completed", "pending"], "completed_at": ["2020-01-01", "2020-01-02", None]})
    >>> burn = rf.quality.burn_down(tasks, at="2020-01-02")
    >>> burn[["batch", "created", "completed", "open"]]
      batch  created  completed  open
    0     b        3          1     2
    1     b        3          2     1
    >>> burn.attrs["eta"]
    {'b': '2020-01-03T00:00:00+00:00'}

    >>> rf.quality.burn_down(tasks.drop(columns="batch"))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: Tasks need a column 'batch', ...
    """
    need_whole("seed", seed)
    given = as_pandas(tasks)
    frame = take(given, "batch", "created_at", "completed_at", "updated_at", "status", of="Tasks")
    status = frame["status"].astype("string")
    times = {name: moments(frame[name]) for name in ("created_at", "completed_at", "updated_at")}
    last = _last_moment(given, times, at)
    days = pd.DataFrame({"batch": frame["batch"].astype("string"), "created": times["created_at"]})
    days["completed"] = times["completed_at"].where((status == "completed").fillna(value=False))
    days["canceled"] = times["updated_at"].where(status.isin(("canceled", "error")))
    for name in ("created", "completed", "canceled"):
        days[name] = days[name].dt.floor("D")
    days = days.dropna(subset=["created"])
    starts = _starts(batches)
    if starts is not None:
        days = days[days["batch"].isin(list(starts))]
    tables, etas = [], {}
    generator = np.random.default_rng(seed)
    for batch, rows in days.groupby("batch", dropna=False, sort=True):
        table = _burned(rows, last.floor("D"), (starts or {}).get(batch))
        tables.append(table.assign(batch=batch))
        ended_before = int((rows[["completed", "canceled"]] < table["day"].iloc[0]).to_numpy().sum())
        etas[str(batch)] = _eta(table, ended_before, last, checked_conf(conf), generator)
    columns = ["batch", "day", "created", "completed", "canceled", "open", "pct_done"]
    burned = pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
    burned.attrs = {"n_excluded": len(frame) - len(days)}
    burned.attrs |= {name: {batch: eta[name] for batch, eta in etas.items()} for name in ("eta", "eta_low", "eta_high")}
    return burned


def _last_moment(tasks: pd.DataFrame, times: dict[str, pd.Series[Any]], at: Any) -> pd.Timestamp:
    if at is not None:
        return moment(at)
    if "exported_at" in tasks.columns:
        exported = moments(take(tasks, "exported_at", of="Tasks")["exported_at"])
        if exported.notna().any():
            return exported.max()
    return max((each.max() for each in times.values() if each.notna().any()), default=pd.Timestamp(0, tz="UTC"))


def _starts(batches: Any) -> dict[Any, Any] | None:
    if batches is None:
        return None
    given = as_pandas(batches)
    names = take(given, "batch", of="Batches")["batch"].astype("string")
    if "finalized_at" not in given.columns:
        return dict.fromkeys(names)
    return dict(zip(names, moments(take(given, "finalized_at", of="Batches")["finalized_at"]), strict=True))


def _burned(rows: pd.DataFrame, last: pd.Timestamp, start: Any) -> pd.DataFrame:
    first = rows["created"].min() if start is None or pd.isna(start) else start.floor("D")
    days = pd.date_range(min(first, last), last, freq="D")
    table = pd.DataFrame({"day": days})
    for name in ("created", "completed", "canceled"):
        ends = np.sort(rows[name].dropna().astype("int64").to_numpy())
        table[name] = np.searchsorted(ends, _as_int(days, rows[name]), side="right")
    table["open"] = table["created"] - table["completed"] - table["canceled"]
    table["pct_done"] = 100 * (1 - table["open"] / table["created"].where(table["created"] > 0))
    return table


def _as_int(days: pd.DatetimeIndex, like: pd.Series[Any]) -> Any:
    return days.astype(like.dtype).astype("int64").to_numpy()


def _eta(
    table: pd.DataFrame, ended_before: int, last: pd.Timestamp, conf: float, generator: np.random.Generator
) -> dict[str, str | None]:
    left = int(table["open"].iloc[-1])
    if left == 0:
        end = table["day"].iloc[-1].isoformat()
        return {"eta": end, "eta_low": end, "eta_high": end}
    ended = table["completed"] + table["canceled"]
    daily = np.diff(ended.to_numpy(float), prepend=ended_before)[-_PACE_DAYS:]
    draws = generator.choice(daily, size=(_DRAWS, len(daily))).mean(axis=1)
    with np.errstate(divide="ignore"):
        days = left / draws
    tail = (1 - conf) / 2
    low, high = np.quantile(days, [tail, 1 - tail], method="inverted_cdf")
    mean = left / daily.mean() if daily.mean() > 0 else math.inf
    begin = last.floor("D")
    return {name: _shifted(begin, each) for name, each in (("eta", mean), ("eta_low", low), ("eta_high", high))}


def _shifted(begin: pd.Timestamp, days: float) -> str | None:
    # Beyond a century nobody plans, and timestamps end.
    return (begin + pd.Timedelta(seconds=days * _DAY_SECS)).isoformat() if days < 36_525 else None
