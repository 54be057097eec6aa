"""Draws the tables of `refonte_frames.quality` with matplotlib; computes nothing that is not in them.

Every function takes a table, draws on ``ax`` (a new figure by default) and returns the axes, which a notebook shows as
a picture; ``axes.figure.savefig(path)`` writes it. Colours are those of Okabe and Ito, which colour-blind people tell
apart, and no meaning hangs on a colour alone. No setting outlives a call.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from refonte_frames.errors import ColumnError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = [
    "agreement",
    "audit_outcomes",
    "burn_down",
    "calendar",
    "confusion",
    "control_chart",
    "forest",
    "funnel",
    "learning_curve",
    "survival",
    "time_and_correctness",
]

_BLUE: Final = "#0072B2"
#: Darker than theirs, so that a line of it stands out from white as well as the others do (3:1).
_ORANGE: Final = "#BF7B00"
_GREEN: Final = "#009E73"
_RED: Final = "#D55E00"
_GREY: Final = "#7F7F7F"
#: Half widths of a normal distribution's middle 95 % and 99.8 %.
_LIMITS: Final = ((1.959964, "95 %", "--"), (3.090232, "99.8 %", "-"))
#: Control characters, and marks that reorder what follows them; joiners stay, which hold letters and signs together.
_HIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
#: Fonts of systems and of Noto for scripts that DejaVu, matplotlib's own, does not have.
_OTHER_SCRIPTS: Final = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
    *("Noto Sans Devanagari", "Noto Sans Bengali", "Noto Sans Tamil", "Noto Sans Telugu", "Nirmala UI"),
    *("Noto Sans Thai", "Leelawadee UI", "Noto Sans Ethiopic", "Noto Emoji", "Segoe UI Symbol", "Arial Unicode MS"),
)
_MOST_DAYS: Final = 7
_MOST_STEPS: Final = 1000
#: Where a logarithmic axis of time has its marks, in seconds.
_DURATIONS: Final = (
    *(0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600),
    *(86_400 * days for days in (1, 7, 30, 90, 365, 3650, 36_500)),
)
_FINER_DURATIONS: Final = (2, 3, 5, 20, 30, 120, 180, 300, 1200, 1800, 7200, 3 * 3600, 12 * 3600)
_MOST_NAMED: Final = 60
_LONGEST_NAME: Final = 32
#: From this share on white is easier to read on the map's blue than black.
_DARK: Final = 0.68


def forest(
    rates: pd.DataFrame, *, label: str | None = None, target: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw rates with their intervals, one line each, the best at the top (a caterpillar plot).

    Parameters
    ----------
    rates : pandas.DataFrame
        As `quality.labeler_rates` gives them: ``rate, ci_low, ci_high, shrunk, n`` and a column of names.
    label : str, optional
        That column. Default: the first.
    target : float, optional
        A line to compare with; names of those surely below it are marked.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Bar: the interval; dot: the rate as counted; diamond: the shrunk rate, by which they are sorted. Of more than
        60 the best and the worst 30.

    Raises
    ------
    ColumnError
        A column is missing.
    ImportError
        Without the extra ``[plot]``.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana"] * 9 + ["bob"] * 9, "passed": [True] * 13 + [False] * 5})
    >>> rf.plots.forest(rf.quality.labeler_rates(attempts), target=0.8).get_xlabel()
    'rate'
    >>> rf.plots.forest(attempts)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'rate', which this draws. ...
    """
    name = _naming(rates, label)
    _require(rates, name, "rate", "ci_low", "ci_high", "shrunk", "n")
    rows = rates[rates["n"] > 0].sort_values("shrunk", kind="stable")
    left_out = max(0, len(rows) - _MOST_NAMED)
    at = np.arange(min(len(rows), _MOST_NAMED))
    if left_out:
        rows = pd.concat([rows.head(_MOST_NAMED // 2), rows.tail(_MOST_NAMED // 2)])
        at = np.where(at < _MOST_NAMED // 2, at, at + 1)
    axes = _axes(ax, height=max(2.0, 0.28 * len(rows) + 1.2))
    axes.hlines(at, rows["ci_low"], rows["ci_high"], color=_BLUE, linewidth=2, label="interval")
    axes.plot(rows["rate"], at, "o", color=_GREY, markersize=4, label="as counted")
    axes.plot(rows["shrunk"], at, "D", color=_BLUE, markersize=5, label="shrunk")
    names = [f"{_tick(each)}  n={n}" for each, n in zip(rows[name], rows["n"], strict=True)]
    if target is not None:
        axes.axvline(target, color=_ORANGE, linestyle="--", label=f"target {target:g}")
        is_below = (rows["ci_high"] < target).to_numpy()
        names = [f"{each}  below" if below else each for each, below in zip(names, is_below, strict=True)]
    if left_out:
        _write(axes, f"… {left_out:,} in between …", 0.5, _MOST_NAMED // 2, offset=(-40, -3))
    axes.set_yticks(at, names)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.7, max(at, default=0) + 0.7), xlabel="rate")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return axes


def funnel(rates: pd.DataFrame, *, label: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw rates against how much they rest on, with what chance allows around the pooled rate.

    Parameters
    ----------
    rates : pandas.DataFrame
        ``n, k, rate`` and a column of names.
    label : str, optional
        That column. Default: the first.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Only those outside the outer limits are named.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> rates = pd.DataFrame({"labeler": ["ana", "bob"], "n": [50, 60], "k": [49, 30], "rate": [0.98, 0.5]})
    >>> [text.get_text() for text in rf.plots.funnel(rates).texts]
    ['ana', 'bob']
    >>> rf.plots.funnel(rates.drop(columns="n"))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'n', which this draws. ...
    """
    name = _naming(rates, label)
    _require(rates, name, "n", "k", "rate")
    rows = rates[rates["n"] > 0]
    axes = _axes(ax)
    pooled = float(rows["k"].sum() / rows["n"].sum()) if len(rows) else 0.5
    sizes = np.linspace(1, max(2, float(rows["n"].max()) * 1.05 if len(rows) else 2), 300)
    spread = np.sqrt(pooled * (1 - pooled) / sizes)
    for width, shown, style in _LIMITS:
        for side in (-1, 1):
            limit = np.clip(pooled + side * width * spread, 0, 1)
            axes.plot(sizes, limit, style, color=_GREY, linewidth=1, label=shown if side > 0 else None)
    axes.axhline(pooled, color=_ORANGE, label=f"pooled {pooled:.3f}")
    axes.plot(rows["n"], rows["rate"], "o", color=_BLUE, markersize=5)
    outer = _LIMITS[-1][0] * np.sqrt(pooled * (1 - pooled) / rows["n"].to_numpy(float))
    for who, n, rate, width in zip(rows[name], rows["n"], rows["rate"], outer, strict=True):
        if abs(rate - pooled) > width:
            _write(axes, _short(who), n, rate, offset=(5, 3))
    axes.set(xlabel="n", ylabel="rate", ylim=(-0.02, 1.04))
    axes.legend(loc="lower right", frameon=False)
    return axes


def learning_curve(curve: pd.DataFrame, *, balanced: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Draw pass rates by the number of the attempt.

    Parameters
    ----------
    curve : pandas.DataFrame
        As `quality.learning_curve` gives it.
    balanced : pandas.DataFrame, optional
        The same with ``panel="balanced"``: first and last attempt of the same people, drawn across.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A line with a band; how many attempts each point rests on stands below.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana", "ana", "bob"], "attempt_number": [1, 2, 1],
    ...     "passed": [False, True, True]})
    >>> rf.plots.learning_curve(rf.quality.learning_curve(attempts)).get_ylabel()
    'pass rate'
    >>> rf.plots.learning_curve(attempts)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'rate', which this draws. ...
    """
    by = _naming(curve, None)
    _require(curve, "rate", "ci_low", "ci_high", "n")
    axes = _axes(ax)
    axes.fill_between(curve[by], curve["ci_low"], curve["ci_high"], color=_BLUE, alpha=0.2, label="interval")
    axes.plot(curve[by], curve["rate"], "o-", color=_BLUE, label="all attempts")
    if balanced is not None and len(balanced) == 2:
        ends = [curve[by].min(), curve[by].max()]
        axes.plot(ends, balanced["rate"], "s--", color=_ORANGE, label="the same people, first and last")
    step = max(1, len(curve) // 12)
    shown = curve.iloc[::step]
    axes.set_xticks(shown[by], [f"{at}\nn={n}" for at, n in zip(shown[by], shown["n"], strict=True)])
    axes.set(xlabel=by.replace("_", " "), ylabel="pass rate", ylim=(-0.02, 1.02))
    axes.legend(loc="lower right", frameon=False)
    return axes


def burn_down(burn: pd.DataFrame, *, batch: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how a batch progresses, and when it will be done.

    Parameters
    ----------
    burn : pandas.DataFrame
        As `quality.burn_down` gives it.
    batch : str, optional
        Which. Default: the only one.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        What was created and what has ended, as steps; from the last day on a fan to the expected end.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        There are several batches and none is named, or there is none of that name.

    Examples
    --------
    >>> tasks = pd.DataFrame({"batch": "b", "created_at": "2020-01-01", "updated_at": None,
    ...     "status": ["completed", "completed", "pending"], "completed_at": ["2020-01-01", "2020-01-02", None]})
    >>> rf.plots.burn_down(rf.quality.burn_down(tasks, at="2020-01-02")).get_title()
    'b: 67 % done, expected end 2020-01-03'
    >>> rf.plots.burn_down(rf.quality.burn_down(tasks), batch="c")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no batch 'c' in the table. There are 'b'.
    """
    _require(burn, "batch", "day", "created", "completed", "canceled", "open", "pct_done")
    names = burn["batch"].dropna().unique().tolist()
    if batch is None and len(names) == 1:
        batch = names[0]
    if batch not in names:
        there = ", ".join(map(repr, names[:5])) or "none"
        what = "Which batch? Name one: batch=…." if batch is None else f"There is no batch {batch!r} in the table."
        raise InputError(f"{what} There are {there}." if names else "The table has no batch.")
    rows = burn[burn["batch"] == batch]
    axes = _axes(ax)
    ended = rows["completed"] + rows["canceled"]
    axes.step(rows["day"], rows["created"], where="post", color=_GREY, label="created")
    axes.step(rows["day"], ended, where="post", color=_BLUE, linewidth=2, label="completed or canceled")
    eta, low, high = (burn.attrs.get(name, {}).get(batch) for name in ("eta", "eta_low", "eta_high"))
    ends: list[pd.Timestamp] = []
    title = f"{_tick(batch)}: {rows['pct_done'].iloc[-1]:.0f} % done"
    if eta is not None and rows["open"].iloc[-1] > 0:
        last, top = rows["day"].iloc[-1], float(rows["created"].iloc[-1])
        ends = [pd.Timestamp(each) for each in (eta, low, high) if each is not None]
        axes.plot([last, ends[0]], [ended.iloc[-1], top], "--", color=_ORANGE, label="at this pace")
        if low is not None and high is not None:
            axes.fill([last, *ends[1:]], [ended.iloc[-1], top, top], color=_ORANGE, alpha=0.2)
        title += f", expected end {eta[:10]}"
    axes.set(title=title, ylabel="tasks", ylim=(0, None))
    _name_days(axes, rows["day"].iloc[0], max([rows["day"].iloc[-1], *ends]))
    axes.legend(loc="lower right", frameon=False)
    return axes


def control_chart(chart: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw a control chart: rates by period between their limits, signals ringed, and the moving average.

    Parameters
    ----------
    chart : pandas.DataFrame
        As `quality.control_chart` gives it.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Where periods vary more than chance allows, Laney's wider limits are drawn as well.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> weeks = pd.DataFrame({"week": [1] * 50 + [2] * 50, "ok": [True] * 98 + [False] * 2})
    >>> rf.plots.control_chart(rf.quality.control_chart(weeks, "week", "ok")).get_xlabel()
    'week'
    >>> rf.plots.control_chart(weeks)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'period', which this draws. ...
    """
    _require(chart, "period", "rate", "centre", "lcl", "ucl", "signal", "rule", "ewma")
    axes = _axes(ax)
    at = np.arange(len(chart))
    is_wide = bool(chart.attrs.get("is_overdispersed")) and "laney_lcl" in chart
    limits = [("lcl", "ucl", "limits", "--"), ("laney_lcl", "laney_ucl", "limits, widened", ":")]
    for low, high, shown, style in limits[: 1 + is_wide]:
        axes.step(at, chart[low], where="mid", color=_GREY, linestyle=style, label=shown)
        axes.step(at, chart[high], where="mid", color=_GREY, linestyle=style)
    axes.plot(at, chart["centre"], color=_GREEN, linewidth=1, label="centre")
    axes.plot(at, chart["rate"], "o-", color=_BLUE, markersize=4, label="rate")
    axes.plot(at, chart["ewma"], color=_ORANGE, linewidth=1.5, label="moving average")
    signals = chart[chart["signal"]]
    places = at[chart["signal"].to_numpy(dtype=bool)]
    axes.plot(places, signals["rate"], "o", markersize=11, fillstyle="none", color=_RED, label="signal")
    for place, rate, rule in zip(places, signals["rate"], signals["rule"], strict=True):
        _write(axes, str(rule), place, rate, offset=(0, 9))
    step = max(1, len(chart) // 10)
    axes.set_xticks(at[::step], [_tick(_day(each)) for each in chart["period"].iloc[::step]], rotation=30, ha="right")
    axes.set(xlabel=_tick(chart.attrs.get("period", "period")), ylabel="rate")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False, fontsize=8)
    return axes


def survival(curve: pd.DataFrame, *, quantiles: tuple[float, ...] = (0.5, 0.9), ax: Axes | None = None) -> Axes:
    """Draw the share of work that is done after so long, open work counted as `quality.survival_curve` does.

    Parameters
    ----------
    curve : pandas.DataFrame
        As `quality.survival_curve` gives it, with times in seconds.
    quantiles : tuple of float
        Shares whose times are marked, where the curve reaches them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; its axis of time is made logarithmic.

    Returns
    -------
    matplotlib.axes.Axes
        Rises from 0 to at most 1.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> curve = rf.quality.survival_curve([60, 120, 3600], [True, True, True])
    >>> [text.get_text() for text in rf.plots.survival(curve).texts]
    ['p50: 2 min', 'p90: 1 h']
    >>> rf.plots.survival(pd.DataFrame({"secs": [1]}))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'time', which this draws. ...
    """
    _require(curve, "time", "survival", "ci_low", "ci_high")
    rows = curve[curve["time"] > 0]
    axes = _axes(ax)
    done = 1 - rows["survival"]
    drawn = _thinned(rows)
    low, high = 1 - drawn["ci_high"], 1 - drawn["ci_low"]
    axes.fill_between(drawn["time"], low, high, step="post", color=_BLUE, alpha=0.2, label="interval")
    axes.step(drawn["time"], 1 - drawn["survival"], where="post", color=_BLUE, label="done")
    if len(rows):
        axes.set_xscale("log")
        _name_durations(axes, float(rows["time"].iloc[0]), float(rows["time"].iloc[-1]))
    for share in quantiles:
        reached = rows.loc[done >= share - 1e-12, "time"]
        if len(reached):
            axes.vlines(reached.iloc[0], 0, share, color=_ORANGE, linestyle="--")
            _write(
                axes, f"p{share * 100:g}: {_duration(float(reached.iloc[0]))}", reached.iloc[0], share, offset=(4, -12)
            )
    axes.set(xlabel="time since creation", ylabel="share done", ylim=(0, 1.02))
    axes.legend(loc="upper left", frameon=False)
    return axes


def audit_outcomes(outcomes: pd.DataFrame, *, label: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how audits ended: bars of 100 %, one for each row of the table.

    Parameters
    ----------
    outcomes : pandas.DataFrame
        As `quality.audit_outcomes` gives them.
    label : str, optional
        The column that names the rows. Default: the first.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The number of decided tasks, which are the 100 %, stands beside each name; comments decide nothing.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> audits = pd.DataFrame({"task_id": ["a", "b"], "audit_source": "customer", "audit_result": ["fixed", "accepted"],
    ...     "audited_at": "2020-01-01"})
    >>> [tick.get_text() for tick in rf.plots.audit_outcomes(rf.quality.audit_outcomes(audits)).get_yticklabels()]
    ['customer (last)  n=2']
    >>> rf.plots.audit_outcomes(audits)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'accepted', which this draws. ...
    """
    name = _naming(outcomes, label)
    _require(outcomes, name, "accepted", "fixed", "rejected", "basis")
    axes = _axes(ax, height=0.6 * len(outcomes) + 1.4)
    at = np.arange(len(outcomes))[::-1]
    decided = outcomes[["accepted", "fixed", "rejected"]].sum(axis=1)
    left: NDArray[np.float64] = np.zeros(len(outcomes))
    marks = (("accepted", _GREEN, ""), ("fixed", _ORANGE, "//"), ("rejected", _RED, "xx"))
    for result, colour, hatch in marks:
        share = (outcomes[result] / decided.where(decided > 0)).fillna(0).to_numpy(float)
        axes.barh(at, share, left=left, color=colour, hatch=hatch, edgecolor="white", label=result)
        for place, begin, width, count in zip(at, left, share, outcomes[result], strict=True):
            if width > 0.04:
                axes.annotate(
                    f"{count}",
                    (begin + width / 2, place),
                    ha="center",
                    va="center",
                    parse_math=False,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
                )
        left = left + share
    is_everything = name == "basis"
    names = [
        f"{_tick(each)}{'' if is_everything else f' ({basis})'}  n={n}"
        for each, basis, n in zip(outcomes[name], outcomes["basis"], decided, strict=True)
    ]
    axes.set_yticks(at, names)
    axes.set(xlim=(0, 1), xlabel="share of decided audits")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return axes


def time_and_correctness(card: pd.DataFrame, *, label: str = "labeler", ax: Axes | None = None) -> Axes:
    """Draw how fast labelers are against how good: those who hurry stand out at the left bottom.

    Parameters
    ----------
    card : pandas.DataFrame
        As `quality.scorecard` gives it: ``median_secs, shrunk, n_fast`` and a column of names.
    label : str
        That column.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Those with attempts that were too fast are crosses, and named.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> card = pd.DataFrame({"labeler": ["ana", "cy"], "median_secs": [50, 9], "shrunk": [0.9, 0.5], "n_fast": [0, 4]})
    >>> [text.get_text() for text in rf.plots.time_and_correctness(card).texts]
    ['cy']
    >>> rf.plots.time_and_correctness(card, label="who")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'who', which this draws. ...
    """
    _require(card, label, "median_secs", "shrunk", "n_fast")
    rows = card[card["median_secs"] > 0]
    is_fast = (rows["n_fast"] > 0).to_numpy(dtype=bool)
    axes = _axes(ax)
    axes.plot(rows["median_secs"][~is_fast], rows["shrunk"][~is_fast], "o", color=_BLUE, label="labelers")
    fast = rows[is_fast]
    axes.plot(fast["median_secs"], fast["shrunk"], "x", color=_RED, markersize=8, label="with attempts too fast")
    for who, secs, rate in zip(fast[label], fast["median_secs"], fast["shrunk"], strict=True):
        _write(axes, _short(who), secs, rate, offset=(5, 3))
    if len(rows):
        axes.set_xscale("log")
        _name_durations(axes, float(rows["median_secs"].min()), float(rows["median_secs"].max()))
    axes.set(xlabel="median time of an attempt", ylabel="shrunk pass rate", ylim=(-0.02, 1.02))
    axes.legend(loc="lower right", frameon=False)
    return axes


def confusion(table: pd.DataFrame, *, worker: Any = None, ax: Axes | None = None) -> Axes:
    """Draw what was answered against what is true, each row of truth by itself.

    Parameters
    ----------
    table : pandas.DataFrame
        As `quality.confusion` gives it.
    worker : optional
        Only this one's answers. Default: those of all.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Shade: the share of the row; number: the count.

    Raises
    ------
    ColumnError
        A column is missing.
    InputError
        The worker gave no answer.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("abab"), "worker": list("xxyy"), "label": list("rrrg")})
    >>> table = rf.quality.confusion(labels, {"a": "r", "b": "g"})
    >>> [text.get_text() for text in rf.plots.confusion(table).texts]
    ['1', '1', '0', '2']
    >>> rf.plots.confusion(table, worker="z")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no answer of worker 'z' in the table.
    """
    _require(table, "worker", "truth", "answer", "n")
    rows = table if worker is None else table[table["worker"] == worker]
    if rows.empty:
        raise InputError(f"There is no answer of worker {worker!r} in the table.")
    names = sorted({*rows["truth"], *rows["answer"]}, key=str)
    counts = rows.groupby(["truth", "answer"])["n"].sum()
    cells = np.array([[counts.get((truth, answer), 0) for answer in names] for truth in names], float)
    total = cells.sum(axis=1, keepdims=True)
    shares = np.divide(cells, total, out=np.zeros_like(cells), where=total > 0)
    axes = _matrix(shares, [_tick(each) for each in names], ax)
    for row, column in np.ndindex(cells.shape):
        _cell(axes, f"{cells[row, column]:.0f}", row, column, is_dark=shares[row, column] > _DARK)
    axes.set(xlabel="answer", ylabel="truth")
    return axes


def agreement(pairs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how often every two workers agree, those who agree alike beside each other.

    Parameters
    ----------
    pairs : pandas.DataFrame
        As `quality.pair_agreement` gives it; ``kappa`` of `quality.cohen_kappa` is drawn where there is no ``rate``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Pairs without a task in common are left white.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
    >>> [text.get_text() for text in rf.plots.agreement(rf.quality.pair_agreement(labels)).texts]
    ['0.67', '0.67']
    >>> rf.plots.agreement(labels)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'a', which this draws. ...
    """
    value = "rate" if "rate" in pairs else "kappa"
    _require(pairs, "a", "b", value)
    names = sorted({*pairs["a"], *pairs["b"]}, key=str)
    place = {name: at for at, name in enumerate(names)}
    cells = np.full((len(names), len(names)), np.nan)
    for a, b, found in zip(pairs["a"], pairs["b"], pairs[value], strict=True):
        cells[place[a], place[b]] = cells[place[b], place[a]] = found
    if not names:
        return _axes(ax)
    order = _alike(cells)
    axes = _matrix(cells[np.ix_(order, order)], [_tick(names[at]) for at in order], ax)
    for row, column in np.ndindex(cells.shape):
        found = cells[order[row], order[column]]
        if np.isfinite(found) and len(names) <= 20:
            _cell(axes, f"{found:.2f}", row, column, is_dark=found > _DARK)
    axes.set_title("agreement" if value == "rate" else "Cohen's kappa")
    return axes


def calendar(counts: pd.DataFrame, *, by: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw what was completed by labeler and day.

    Parameters
    ----------
    counts : pandas.DataFrame
        As `quality.throughput` gives it with one column of `by`.
    by : str, optional
        That column. Default: the first.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each name, one column for each period.

    Raises
    ------
    ColumnError
        A column is missing.

    Examples
    --------
    >>> done = pd.DataFrame({"labeler": ["ana", "bob"], "completed_at": ["2020-01-01", "2020-01-02"]})
    >>> counts = rf.quality.throughput(done, by="labeler")
    >>> [tick.get_text() for tick in rf.plots.calendar(counts).get_yticklabels()]
    ['ana', 'bob']
    >>> rf.plots.calendar(done)
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The table has no column 'period', which this draws. ...
    """
    name = _naming(counts, by)
    _require(counts, name, "period", "n")
    cells = counts.pivot_table(
        index=name, columns="period", values="n", aggfunc="sum", fill_value=0, dropna=False, observed=True
    )
    axes = _axes(ax, height=max(2.0, 0.28 * len(cells) + 1.4))
    if not cells.size:
        return axes
    image = axes.imshow(cells.to_numpy(float), aspect="auto", cmap="cividis", interpolation="nearest")
    axes.figure.colorbar(image, ax=axes, label="completed")
    axes.set_yticks(np.arange(len(cells)), [_tick(each) for each in cells.index])
    step = max(1, cells.shape[1] // 10)
    days = [_day(each) for each in cells.columns]
    axes.set_xticks(np.arange(cells.shape[1])[::step], days[::step], rotation=30, ha="right")
    return axes


def _naming(table: pd.DataFrame, name: str | None) -> str:
    """Give the column that names what is drawn: the first where none is named."""
    return name or str(next(iter(getattr(table, "columns", ())), ""))


def _require(table: pd.DataFrame, *names: str) -> None:
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"A {type(table).__name__} cannot be drawn. Pass what the function of rf.quality returned.")
    for name in names:
        if name not in table.columns:
            raise ColumnError(
                f"The table has no column {name!r}, which this draws. Pass what the function of rf.quality returned; "
                f"it has: {', '.join(map(repr, table.columns))}."
            )


def _axes(ax: Axes | None, *, width: float = 7.0, height: float = 4.0) -> Axes:
    """Take the caller's axes, or new ones whose figure pyplot does not keep alive."""
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _needs_extra(error) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    for each in (figure, axes):
        # A notebook shows pyplot's figures, of which this is none, and takes others for text unless they say this.
        vars(each)["_repr_png_"] = functools.partial(_png, figure)
    return axes


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


def _matrix(cells: NDArray[np.float64], names: list[str], ax: Axes | None) -> Axes:
    size = max(3.0, 0.45 * len(names) + 2.0)
    axes = _axes(ax, width=size + 1, height=size)
    image = axes.imshow(cells, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.figure.colorbar(image, ax=axes)
    at = np.arange(len(names))
    axes.set_xticks(at, names, rotation=45, ha="right")
    axes.set_yticks(at, names)
    return axes


def _cell(axes: Axes, text: str, row: int, column: int, *, is_dark: bool) -> None:
    axes.text(column, row, text, ha="center", va="center", color="white" if is_dark else "black", parse_math=False)


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out steps that nobody could see: a picture of a hundred thousand would be megabytes."""
    if len(rows) <= _MOST_STEPS:
        return rows
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, _MOST_STEPS).round().astype(int))]


def _name_days(axes: Axes, first: pd.Timestamp, last: pd.Timestamp) -> None:
    count = (last - first).days + 1
    days = [first + pd.Timedelta(days=round(at)) for at in np.linspace(0, count - 1, min(count, _MOST_DAYS))]
    axes.set_xlim(first - pd.Timedelta(hours=6), last + pd.Timedelta(hours=6))  # type: ignore[arg-type]
    axes.set_xticks(days, [_day(day) for day in days], rotation=30, ha="right")  # type: ignore[arg-type]


def _name_durations(axes: Axes, first: float, last: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator  # noqa: PLC0415 - an extra

    low, high = first / 1.2, last * 1.2
    inside = [secs for secs in _DURATIONS if low <= secs <= high]
    if len(inside) < 3:
        inside = [secs for secs in sorted({*_DURATIONS, *_FINER_DURATIONS}) if low <= secs <= high]
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(inside if len(inside) > 1 else sorted({first, last})))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda secs, _: _duration(secs)))


def _write(axes: Axes, text: str, x: float, y: float, *, offset: tuple[int, int]) -> None:
    # Names come from outside: a dollar sign in them is no formula.
    axes.annotate(text, (x, y), xytext=offset, textcoords="offset points", fontsize=8, parse_math=False)


def _alike(cells: NDArray[np.float64]) -> list[int]:
    """Order rows so that each is followed by the one most like it, beginning with the one that agrees most."""
    filled = np.nan_to_num(cells, nan=float(np.nanmean(cells)) if np.isfinite(cells).any() else 0.0)
    left = set(range(len(cells)))
    order = [int(filled.sum(axis=1).argmax())]
    left.discard(order[0])
    while left:
        order.append(min(left, key=lambda at: (float(((filled[at] - filled[order[-1]]) ** 2).sum()), at)))
        left.discard(order[-1])
    return order


def _short(value: Any) -> str:
    text = "(nobody named)" if pd.isna(value) else shown(str(value))
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


@contextlib.contextmanager
def many_scripts() -> Iterator[None]:
    """Let letters that matplotlib's own font lacks come from fonts of this machine, if it has them."""
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - an extra
        from matplotlib.font_manager import fontManager  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _needs_extra(error) from error
    installed = {font.name for font in fontManager.ttflist}
    families = ["DejaVu Sans", *(name for name in _OTHER_SCRIPTS if name in installed)]
    with rc_context({"font.family": families}), warnings.catch_warnings():
        # Where no font has a letter the picture has a box; the table beside it has the letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _needs_extra(error: ModuleNotFoundError) -> ImportError:
    return ImportError(
        f"Plots need {error.name}, which is not installed; run pip install 'refonte-frames[plot]'.", name=error.name
    )


def shown(text: str) -> str:
    """Give a text from outside as one line that can be seen: no breaks, nothing that turns or hides what stands by it.

    Marks that change the direction of writing would show ``gnp.exe`` as ``exe.png``, and characters without a shape
    would make two names look the same.
    """
    line = " ".join(text.split())
    seen = "".join("\N{REPLACEMENT CHARACTER}" if _HIDDEN.match(sign) else sign for sign in line)
    return seen or "(empty)"


def _tick(value: Any) -> str:
    """Shorten a name for ticks and titles, where matplotlib takes what stands between dollar signs for a formula."""
    text = _short(value).replace("$", r"\$")
    is_leftward = any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in text)
    # A mark of direction at either end keeps the number beside an Arabic or Hebrew name where it belongs.
    return f"\N{LEFT-TO-RIGHT MARK}{text}\N{LEFT-TO-RIGHT MARK}" if is_leftward else text


def _day(value: Any) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def _duration(secs: float) -> str:
    for size, unit in ((365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "min")):
        if secs >= size:
            return f"{secs / size:.3g} {unit}"
    return f"{secs:.3g} s"
