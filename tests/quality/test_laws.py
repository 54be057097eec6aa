"""What holds for all data: symmetry, order, and limits of the statistics."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refonte_frames as rf

COUNTS = st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LABELS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.sampled_from("abc")), min_size=2, max_size=40).map(
    lambda rows: pd.DataFrame(rows, columns=["task", "worker", "label"]).drop_duplicates(["task", "worker"])
)


def pairable(labels: pd.DataFrame) -> bool:
    """Tell whether some task has two answers."""
    return bool((labels.groupby("task").size() >= 2).any())


@given(COUNTS, st.floats(0.5, 0.99), st.floats(0.001, 0.009))
def test_wilson_is_symmetric_nested_and_holds_the_rate(counts: tuple[int, int], conf: float, more: float) -> None:
    """Failures have the mirrored interval; a higher level has a wider one; the rate lies inside."""
    k, n = counts
    low, high = rf.quality.wilson(k, n, conf)
    if n == 0:
        assert np.isnan(low)
        assert np.isnan(high)
        return
    mirrored_low, mirrored_high = rf.quality.wilson(n - k, n, conf)
    assert (low, high) == pytest.approx((1 - mirrored_high, 1 - mirrored_low), abs=1e-12)
    wide_low, wide_high = rf.quality.wilson(k, n, conf + more)
    assert wide_low <= low <= k / n <= high <= wide_high


@given(st.lists(COUNTS, min_size=5, max_size=12))
def test_a_shrunk_rate_lies_between_the_raw_one_and_the_prior_s_mean(counts: list[tuple[int, int]]) -> None:
    """Nobody is pushed past what is usual, or away from it."""
    k, n = np.array(counts).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few units with trials are told of, and that is tested elsewhere
        shrunk = rf.quality.shrink_rates(k, n)
    if shrunk.attrs["method"] != "mle":
        return
    mean = shrunk.attrs["a"] / (shrunk.attrs["a"] + shrunk.attrs["b"])
    raw = np.where(n > 0, k / np.maximum(n, 1), mean)
    assert (shrunk["shrunk"] >= np.minimum(raw, mean) - 1e-9).all()
    assert (shrunk["shrunk"] <= np.maximum(raw, mean) + 1e-9).all()
    assert (shrunk["shrunk_low"] <= shrunk["shrunk_high"]).all()


@given(LABELS.filter(pairable), st.permutations("abc"), st.permutations(range(5)))
def test_agreement_does_not_depend_on_names(labels: pd.DataFrame, classes: list[str], workers: list[int]) -> None:
    """Other names for labels and workers leave alpha as it is."""
    renamed = labels.assign(
        label=labels["label"].map(dict(zip("abc", classes, strict=True))),
        worker=labels["worker"].map(dict(enumerate(workers))),
    ).sample(frac=1, random_state=1)
    before = rf.quality.krippendorff_alpha(labels, n_boot=0)
    after = rf.quality.krippendorff_alpha(renamed, n_boot=0)
    assert after.value == pytest.approx(before.value, abs=1e-9, nan_ok=True)


@given(LABELS)
def test_the_likelihood_of_the_model_never_falls(labels: pd.DataFrame) -> None:
    """Each round of expectation and maximisation climbs; posteriors are distributions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some data climb for very long
        model = rf.quality.dawid_skene(labels, max_iter=200)
    steps = np.diff(model.trace)
    # Beside 1, as it may climb to 0 and stay there but for a rounding.
    assert (steps >= -1e-9 * (1 + np.abs(model.trace[1:]))).all()
    assert model.posteriors.sum(axis=1).to_numpy() == pytest.approx(1)
    assert model.priors.sum() == pytest.approx(1)


@given(LABELS)
def test_the_model_does_not_depend_on_the_order_of_rows(labels: pd.DataFrame) -> None:
    """Shuffled answers give the same labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some data climb for very long
        one, other = (
            rf.quality.dawid_skene(rows, max_iter=100).labels
            for rows in (labels, labels.sample(frac=1, random_state=3))
        )
    pd.testing.assert_frame_equal(one, other)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=50))
def test_without_censoring_the_survival_curve_is_the_share_that_is_left(durations: list[int]) -> None:
    """Kaplan-Meier is then one minus the empirical distribution."""
    curve = rf.quality.survival_curve(durations, [True] * len(durations))
    left = [np.mean(np.array(durations) > time) for time in curve["time"]]
    assert curve["survival"].to_numpy() == pytest.approx(left, abs=1e-12)


BOXES = st.lists(st.tuples(*[st.floats(0, 100)] * 4), min_size=1, max_size=5).map(
    lambda rows: [[x, y, x + w, y + h] for x, y, w, h in rows]
)


@given(BOXES, BOXES)
def test_overlap_is_mutual(a: list[list[float]], b: list[list[float]]) -> None:
    """The matrix of b and a is that of a and b, turned; every overlap is from 0 to 1."""
    overlaps = rf.quality.box_iou(a, b)
    assert rf.quality.box_iou(b, a) == pytest.approx(overlaps.T)
    assert ((overlaps >= 0) & (overlaps <= 1 + 1e-12)).all()


def _drawn(**by: list[list[float]]) -> pd.DataFrame:
    rows = [("t", who, "x", x, y, u - x, v - y) for who, boxes in by.items() for x, y, u, v in boxes]
    return pd.DataFrame(rows, columns=["task_id", "labeler", "label", "left", "top", "width", "height"])


@given(BOXES, BOXES)
def test_matching_is_mutual(a: list[list[float]], b: list[list[float]]) -> None:
    """Who is named first does not matter for the scores."""
    scores: list[dict[Any, Any]] = [
        rf.quality.box_agreement(_drawn(ana=one, bob=other)).iloc[0].to_dict() for one, other in ((a, b), (b, a))
    ]
    for name in ("matched", "mean_iou", "f1_50", "f1_75"):
        assert scores[0][name] == pytest.approx(scores[1][name])


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 9)), st.booleans()), min_size=1, max_size=40
    )
)
def test_a_burn_down_is_never_negative_and_ends_where_the_counts_do(rows: list[tuple[int, int | None, bool]]) -> None:
    """Open tasks are those created less those completed and canceled, on every day."""
    begin = pd.Timestamp("2020-01-01", tz="UTC")
    tasks = pd.DataFrame(
        {
            "batch": "b",
            "created_at": [begin + pd.Timedelta(days=created) for created, _, _ in rows],
            "completed_at": [
                begin + pd.Timedelta(days=created + took) if took is not None and not is_canceled else pd.NaT
                for created, took, is_canceled in rows
            ],
            "updated_at": begin + pd.Timedelta(days=20),
            "status": [
                "pending" if took is None else "canceled" if is_canceled else "completed"
                for _, took, is_canceled in rows
            ],
        }
    )
    burn = rf.quality.burn_down(tasks, at=begin + pd.Timedelta(days=25))
    assert (burn["open"] >= 0).all()
    assert (burn["open"] == burn["created"] - burn["completed"] - burn["canceled"]).all()
    assert burn["open"].iloc[-1] == (tasks["status"] == "pending").sum()
