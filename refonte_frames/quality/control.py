"""Whether quality drifts: control charts of rates by period. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from refonte_frames.errors import InputError
from refonte_frames.quality.rates import tally
from refonte_frames.quality.taking import key_list, need_extra, take

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["control_chart"]

#: Three standard deviations leave so much of a normal distribution on either side.
_TAIL: Final = 0.00135
#: Below so many expected cases the normal limits are wrong, and the binomial's own are used.
_FEW: Final = 5
_RUN: Final = 8
_OVERDISPERSED: Final = 1.2
#: Moving ranges of two estimate the standard deviation times this.
_RANGE_OF_TWO: Final = 1.128
_EWMA_SHARE: Final = 0.2
_EWMA_WIDTH: Final = 2.7


def control_chart(df: Any, period: str, outcome: str, *, baseline: int | None = None) -> pd.DataFrame:
    """Tell which periods are out of the ordinary: a p-chart with the usual signals.

    Parameters
    ----------
    df : frame
        One row per attempt, audit or task.
    period : str
        The column that says when, in sortable values: a week, a batch, the period of `throughput`.
    outcome : str
        The column of true, false and null that is counted.
    baseline : int, optional
        The centre and the limits come from the first so many periods. Default: from all.

    Returns
    -------
    pandas.DataFrame
        One row per period with decided rows, in order: ``period, n, k, rate, centre, lcl, ucl, signal, rule``, whatever
        the column was called, which ``attrs["period"]`` says. The rule of a signal is ``outside`` (of the limits) or
        ``run of 8`` (so many in a row on one side of the centre). Then ``ewma, ewma_lcl, ewma_ucl, ewma_signal``, the
        moving average that finds slow drift, and ``laney_lcl, laney_ucl``: limits widened by how much more than chance
        periods vary from one to the next (Laney's p'). ``attrs["sigma_z"]`` is that factor; where
        ``attrs["is_overdispersed"]``, that is above 1.2, look at these: with many rows a period the ordinary limits
        make nearly every period a signal. ``attrs["n_excluded"]`` counts rows that are undecided or of no period.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        There are no decided rows, or fewer periods than the baseline wants.

    Examples
    --------
    >>> weeks = pd.DataFrame({"week": [1] * 50 + [2] * 50 + [3] * 50, "ok": [True] * 98 + [False] * 52})
    >>> rf.quality.control_chart(weeks, "week", "ok")[["period", "rate", "signal", "rule"]]
       period  rate  signal     rule
    0       1  1.00    True  outside
    1       2  0.96    True  outside
    2       3  0.00    True  outside

    >>> rf.quality.control_chart(weeks, "week", "ok", baseline=9)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There are 3 periods with decided rows; baseline=9.
    """
    key_list(period)
    rows = take(df, period, outcome, of="Rows")
    every = tally(rows, [period], outcome)
    counted = every[(every["n"] > 0) & every[period].notna()].reset_index(drop=True)
    if counted.empty:
        raise InputError("No row of any period is decided.")
    if baseline is not None and not (isinstance(baseline, int | np.integer) and 1 <= baseline <= len(counted)):
        raise InputError(f"There are {len(counted)} periods with decided rows; baseline={baseline!r}.")
    n, k = counted["n"].to_numpy(float), counted["k"].to_numpy(float)
    base = slice(0, baseline)
    centre = float(k[base].sum() / n[base].sum())
    sigma = np.sqrt(centre * (1 - centre) / n)
    spread = _sigma_z((k / n)[base], centre, sigma[base])
    lcl, ucl = _limits(n, centre, sigma)
    table = counted.drop(columns="n_missing").set_axis(["period", "n", "k"], axis=1)
    table = table.assign(rate=k / n, centre=centre, lcl=lcl, ucl=ucl)
    table["rule"] = _rules(table["rate"].to_numpy(), centre, lcl, ucl)
    table.insert(table.columns.get_loc("rule"), "signal", table["rule"].notna())  # type: ignore[arg-type]
    _add_ewma(table, centre, sigma)
    width = 3 * max(1.0, spread) * sigma
    table["laney_lcl"], table["laney_ucl"] = np.clip(centre - width, 0, 1), np.clip(centre + width, 0, 1)
    table.attrs = {"period": period, "sigma_z": spread, "is_overdispersed": spread > _OVERDISPERSED}
    table.attrs["n_excluded"] = len(rows) - int(n.sum())
    return table


def _sigma_z(rates: NDArray[np.float64], centre: float, sigma: NDArray[np.float64]) -> float:
    """Estimate how much periods vary beyond chance, from one to the next."""
    if len(rates) < 2 or not sigma.all():
        return 1.0
    return float(np.abs(np.diff((rates - centre) / sigma)).mean() / _RANGE_OF_TWO)


def _limits(
    n: NDArray[np.float64], centre: float, sigma: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low = np.clip(centre - 3 * sigma, 0, 1)
    high = np.clip(centre + 3 * sigma, 0, 1)
    is_few = n * min(centre, 1 - centre) < _FEW
    if is_few.any() and 0 < centre < 1:
        binom = need_extra("scipy.stats").binom
        low = np.where(is_few, binom.ppf(_TAIL, n, centre) / n, low)
        high = np.where(is_few, binom.ppf(1 - _TAIL, n, centre) / n, high)
    return low, high


def _rules(
    rates: NDArray[np.float64], centre: float, low: NDArray[np.float64], high: NDArray[np.float64]
) -> pd.Series[Any]:
    # A limit that equals the rate but for a rounding is not crossed.
    is_outside = (rates < low - 1e-12) | (rates > high + 1e-12)
    side = np.sign(rates - centre)
    run = np.zeros(len(rates), int)
    for at in range(len(rates)):
        is_same = at > 0 and side[at] == side[at - 1] != 0
        run[at] = run[at - 1] + 1 if is_same else int(side[at] != 0)
    named = np.select([is_outside, run >= _RUN], ["outside", f"run of {_RUN}"], default="")
    return pd.Series(named, dtype="string").replace("", pd.NA)


def _add_ewma(table: pd.DataFrame, centre: float, sigma: NDArray[np.float64]) -> None:
    average, rest, values, widths = centre, 0.0, [], []
    for rate, each in zip(table["rate"], sigma, strict=True):
        average = _EWMA_SHARE * rate + (1 - _EWMA_SHARE) * average
        rest = _EWMA_SHARE**2 * each**2 + (1 - _EWMA_SHARE) ** 2 * rest
        values.append(average)
        widths.append(_EWMA_WIDTH * math.sqrt(rest))
    table["ewma"] = values
    table["ewma_lcl"] = np.clip(centre - np.array(widths), 0, 1)
    table["ewma_ucl"] = np.clip(centre + np.array(widths), 0, 1)
    table["ewma_signal"] = (table["ewma"] < table["ewma_lcl"]) | (table["ewma"] > table["ewma_ucl"])
