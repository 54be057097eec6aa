"""Pictures of odd tables: nothing, one row, thousands, everything in one second, centuries; names of every kind."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_rgb

import refonte_frames as rf
from refonte_frames import plots

if TYPE_CHECKING:
    from collections.abc import Callable

quality = rf.quality
BEGIN = pd.Timestamp("2026-01-05", tz="UTC")
NAMES = ["ana@example.com", "$\\alpha$ <b>", "\u0645\u062d\u0645\u062f", "x" * 200, "two\nlines", "", "a\u202eb"]


def attempts(n: int, names: list[str] | None = None, *, days: float = 60, begin: pd.Timestamp = BEGIN) -> pd.DataFrame:
    """Make attempts."""
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "labeler": pd.Series(generator.choice(np.array(names or NAMES, object), n), dtype="str"),
            "passed": generator.random(n) < 0.8,
            "attempt_number": generator.integers(1, 5, n),
            "duration_secs": generator.lognormal(4, 1, n),
            "completed_at": begin + pd.to_timedelta(generator.uniform(0, days, n), "D"),
            "day": (begin + pd.to_timedelta(generator.uniform(0, days, n), "D")).floor("D"),
        }
    )


FRAMES = {
    "some": attempts(300),
    "one row": attempts(1),
    "one labeler": attempts(40, ["ana"]),
    "none": attempts(0),
    "undecided": attempts(20).assign(passed=None, duration_secs=None, labeler=None),
    "one second": attempts(40, days=1 / 86_400),
    "centuries": attempts(40, begin=pd.Timestamp("2200-01-01", tz="UTC"), days=20_000),
    "many": attempts(600, [f"w{number}" for number in range(200)]),
}
PLOTS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "forest": lambda rows: plots.forest(quality.labeler_rates(rows), target=0.8),
    "funnel": lambda rows: plots.funnel(quality.labeler_rates(rows)),
    "learning_curve": lambda rows: plots.learning_curve(
        quality.learning_curve(rows), balanced=quality.learning_curve(rows, panel="balanced")
    ),
    "time_and_correctness": lambda rows: plots.time_and_correctness(quality.scorecard(rows)),
    "calendar": lambda rows: plots.calendar(quality.throughput(rows.head(100), freq="W", by="labeler")),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("plot", PLOTS)
def test_odd_attempts_are_drawn(plot: str, name: str) -> None:
    """Without a warning; no setting outlives it."""
    before = dict(rcParams)
    with plots.many_scripts():
        axes = PLOTS[plot](FRAMES[name])
        axes.figure.set_layout_engine("none")  # finding the places of all letters takes most of the time
        axes.figure.draw_without_rendering()
    assert dict(rcParams) == before


@pytest.mark.parametrize("secs", [[], [0.0], [0.0, 0.0], [60.0], [0.001, 3e9], [7.4e9, 7.4001e9]])
def test_odd_times_are_drawn(secs: list[float]) -> None:
    """Nothing, nothing above 0, one time, and from a millisecond to a century."""
    axes = plots.survival(quality.survival_curve(secs, [True] * len(secs)))
    axes.figure.draw_without_rendering()


@pytest.mark.parametrize("took", [pd.Timedelta(0), pd.Timedelta(days=1), pd.Timedelta(days=3000)])
@pytest.mark.parametrize("n", [1, 40])
def test_odd_batches_are_drawn(took: pd.Timedelta, n: int) -> None:
    """Of one day, and of years; days are named, at most seven of them."""
    status = ["pending" if at % 3 else "completed" for at in range(n)]
    tasks = pd.DataFrame({"batch": "b $1 <b>", "created_at": BEGIN, "status": status, "updated_at": pd.NaT})
    axes = plots.burn_down(quality.burn_down(tasks.assign(completed_at=BEGIN + took)))
    axes.figure.draw_without_rendering()
    assert 1 <= len(axes.get_xticks()) <= 7
    assert axes.get_xticklabels()[0].get_text() == "2026-01-05"


def test_a_table_without_a_batch_is_told() -> None:
    """Instead of a question which of none is meant."""
    tasks = pd.DataFrame(columns=["batch", "created_at", "status", "updated_at", "completed_at"])
    with pytest.raises(rf.InputError, match="The table has no batch"):
        plots.burn_down(quality.burn_down(tasks))


def test_those_between_the_best_and_the_worst_are_counted() -> None:
    """Sixty of a thousand are drawn, with a gap that says so."""
    rates = quality.labeler_rates(FRAMES["many"])
    axes = plots.forest(rates)
    assert len(axes.get_yticks()) == 60
    assert [text.get_text() for text in axes.texts] == [f"… {len(rates) - 60:,} in between …"]


def test_the_number_beside_an_arabic_name_stays_beside_it() -> None:
    """Marks of direction hold it there; other names carry none."""
    table = pd.DataFrame({"labeler": [NAMES[0], NAMES[2]], "rate": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n": 9})
    told = [tick.get_text() for tick in plots.forest(table.assign(shrunk=[0.5, 0.6])).get_yticklabels()]
    assert told == ["ana@example.com  n=9", f"\u200e{NAMES[2]}\u200e  n=9"]


def test_every_colour_stands_out_from_white() -> None:
    """By three to one, as WCAG 2.2 asks of what is drawn (1.4.11)."""

    def luminance(colour: str) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for colour in (plots._BLUE, plots._ORANGE, plots._GREEN, plots._RED, plots._GREY):
        assert 1.05 / (luminance(colour) + 0.05) >= 3


def test_a_notebook_shows_what_was_drawn() -> None:
    """Axes and figure are pictures there, though pyplot knows nothing of them."""
    axes = plots.funnel(quality.labeler_rates(FRAMES["some"]))
    for shown in (axes, axes.figure):
        assert shown._repr_png_().startswith(b"\x89PNG")
    assert pickle.loads(pickle.dumps(axes.figure))._repr_png_().startswith(b"\x89PNG")


def test_a_curve_of_very_many_steps_is_drawn_with_a_thousand() -> None:
    """More nobody could see, and a page with all of them is megabytes; marks stand where the whole curve has them."""
    secs = np.arange(1.0, 50_001)
    axes = plots.survival(quality.survival_curve(secs, np.ones(50_000, bool)))
    assert len(axes.lines[0].get_xdata()) <= 1000
    assert [text.get_text() for text in axes.texts] == ["p50: 6.94 h", "p90: 12.5 h"]


@pytest.mark.parametrize(
    "draw", [plots.forest, plots.funnel, plots.learning_curve, plots.calendar, plots.audit_outcomes]
)
def test_what_has_nothing_to_draw_is_said_in_a_sentence(draw: Callable[[Any], Any]) -> None:
    """A frame without columns, and what is no frame."""
    with pytest.raises(rf.ColumnError, match="The table has no column"):
        draw(pd.DataFrame())
    with pytest.raises(rf.InputError, match="A list cannot be drawn"):
        draw([1])


def test_no_pair_with_enough_in_common_is_an_empty_picture() -> None:
    """Those that have enough are often none."""
    labels = pd.DataFrame({"task": list("aabb"), "worker": list("xyxy"), "label": list("rrrg")})
    pairs = quality.pair_agreement(labels)
    axes = plots.agreement(pairs[pairs["enough"]])
    axes.figure.draw_without_rendering()
    assert list(axes.images) == []


def test_labelers_are_ranked_by_the_shrunk_rate() -> None:
    """One lucky attempt does not stand above nine of ten."""
    rows = [("lucky", 1, 1), ("sure", 95, 100), ("poor", 40, 100), ("fair", 80, 100), ("good", 90, 100)]
    attempts = pd.DataFrame([(who, at < k) for who, k, n in rows for at in range(n)], columns=["labeler", "passed"])
    told = [tick.get_text() for tick in plots.forest(quality.labeler_rates(attempts)).get_yticklabels()]
    assert [name.partition(" ")[0] for name in told] == ["poor", "fair", "lucky", "good", "sure"]


def test_only_who_lies_outside_the_outer_limits_is_named() -> None:
    """Two sigma from the pooled rate are nothing to talk about among many; four are."""
    rates = pd.DataFrame({"labeler": ["usual", "near", "far"], "n": [10_000, 100, 100], "k": [8000, 72, 64]})
    axes = plots.funnel(rates.assign(rate=rates["k"] / rates["n"]))
    assert [text.get_text() for text in axes.texts] == ["far"]
