"""Statistics against published data and, where there is one, an independent implementation."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats import inter_rater, proportion
from statsmodels.stats.tests import test_inter_rater as published

import refonte_frames as rf

sys.path.insert(0, str(Path(__file__).parent))
import known

approx = pytest.approx


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (81, 263, 0.255289, 0.366210),
        (15, 148, 0.062386, 0.160487),
        (0, 20, 0, 0.161125),
        (1, 29, 0.006113, 0.171755),
        (29, 29, 0.883030, 1),
        (0, 1, 0, 0.793451),
        (1, 1, 0.206549, 1),
        (7, 10, 0.396778, 0.892209),
        (10, 10, 0.722467, 1),
        (3, 4, 0.300642, 0.954413),
    ],
)
def test_wilson_of_newcombe_and_statsmodels(k: int, n: int, low: float, high: float) -> None:
    """Newcombe's (1998) four cases and the ends; statsmodels says the same."""
    assert rf.quality.wilson(k, n) == approx((low, high), abs=5e-7)
    assert rf.quality.wilson(k, n) == approx(proportion.proportion_confint(k, n, method="wilson"), abs=1e-12)


@pytest.mark.parametrize("variant", ["A", "B"])
def test_dawid_and_skene_on_the_anaesthetists(variant: str) -> None:
    """Full convergence of the 1979 data: likelihood and priors, in both transcriptions of patient 7."""
    model = rf.quality.dawid_skene(known.anaesthetists(variant))
    expected = {
        "A": (-192.890881, [0.399555, 0.421983, 0.111795, 0.066667]),
        "B": (-190.730997, [0.399969, 0.421576, 0.111788, 0.066667]),
    }[variant]
    assert model.converged
    assert model.log_likelihood == approx(expected[0], abs=1e-6)
    assert model.priors.tolist() == approx(expected[1], abs=1e-6)


def test_dawid_and_skene_s_error_rates_and_labels() -> None:
    """Every observer's table, every patient's class, and how sure each is."""
    model = rf.quality.dawid_skene(known.anaesthetists())
    expected = {
        1: [[0.889488, 0.110512, 0, 0], [0.070585, 0.876380, 0.053035, 0], [0, 0.338822, 0.661178, 0],
            [0, 0, 0.555556, 0.444444]],
        2: [[0.834214, 0.165786, 0, 0], [0.052707, 0.632946, 0.314347, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        3: [[1, 0, 0, 0], [0.106378, 0.788299, 0.105323, 0], [0, 0.403671, 0.198776, 0.397552],
            [0, 0, 0.666667, 0.333333]],
        4: [[0.944430, 0.055570, 0, 0], [0.053672, 0.842627, 0.103702, 0], [0, 0, 0.801224, 0.198776],
            [0, 0, 0.333333, 0.666667]],
        5: [[1, 0, 0, 0], [0.159039, 0.734520, 0.106440, 0], [0, 0.209114, 0.790886, 0], [0, 0, 0.333333, 0.666667]],
    }  # fmt: skip
    for observer, rates in expected.items():
        found = model.workers[model.workers["worker"] == observer]["p"].to_numpy().reshape(4, 4)
        assert found == approx(np.array(rates), abs=1e-6)
    labels = "1 4 2 2 2 2 1 3 2 2 4 3 1 2 1 1 1 1 2 2 2 2 2 2 1 1 2 1 1 1 1 3 1 2 2 4 2 3 3 1 1 1 2 1 2"
    assert model.labels["label"].tolist() == [int(label) for label in labels.split()]
    unsure = model.labels[model.labels["p"] < 0.9999].set_index("task")["p"]
    assert unsure.to_dict() == approx({7: 0.981020, 30: 0.999146, 35: 0.947995, 38: 0.978800, 42: 0.999806}, abs=1e-6)


def test_majority_vote_differs_from_the_model_on_three_patients() -> None:
    """Observers of the same mistake outvote the truth, as the model sees it; one of the three is a tie."""
    labels = known.anaesthetists().assign(worker=lambda rows: rows["worker"] * 10 + rows["repeat"])
    voted = rf.quality.majority_vote(labels, ties="first").set_index("task")["label"]
    model = rf.quality.dawid_skene(known.anaesthetists()).labels.set_index("task")["label"]
    assert voted[voted != model].to_dict() == {2: 3, 12: 2, 36: 3}
    by_model = rf.quality.majority_vote(labels).set_index("task")
    assert by_model.loc[12, ["label", "tie"]].tolist() == [3, True]


def test_agreement_of_the_anaesthetists() -> None:
    """Seven answers each: alpha as names and as ranks, Fleiss' kappa."""
    labels = known.anaesthetists()
    assert rf.quality.krippendorff_alpha(labels, n_boot=0).value == approx(0.582571, abs=1e-6)
    assert rf.quality.krippendorff_alpha(labels, "ordinal", n_boot=0).value == approx(0.795573, abs=1e-6)
    apart = labels.assign(worker=labels["worker"] * 10 + labels["repeat"])
    assert rf.quality.fleiss_kappa(apart, n_boot=0).value == approx(0.581242, abs=1e-6)


def test_fleiss_1971_and_its_alpha() -> None:
    """Thirty patients, six psychiatrists, five diagnoses: published as .430; statsmodels computes the same."""
    counts, _ = inter_rater.aggregate_raters(published.diagnoses)
    labels = known.from_counts(counts.tolist())
    kappa = rf.quality.fleiss_kappa(labels)
    assert kappa.value == approx(0.4302445, abs=1e-7)
    assert kappa.value == approx(inter_rater.fleiss_kappa(counts), abs=1e-12)
    assert (kappa.n_tasks, kappa.n_answers) == (30, 180)
    assert rf.quality.krippendorff_alpha(labels, n_boot=0).value == approx(5477 / 12637, abs=1e-12)


def test_fleiss_on_the_table_of_wikipedia() -> None:
    """Ten subjects, fourteen raters."""
    labels = known.from_counts(published.table1.astype(int).tolist())
    assert rf.quality.fleiss_kappa(labels, n_boot=0).value == approx(4211 / 20059, abs=1e-12)


@pytest.mark.parametrize(
    ("level", "value"),
    [("nominal", 56 / 81), ("ordinal", 112173 / 139048), ("interval", 643 / 793), ("ratio", 90503 / 111878)],
)
def test_alpha_of_krippendorff_s_example(level: str, value: float) -> None:
    """Three coders with gaps, on all four levels; the exact fractions."""
    found = rf.quality.krippendorff_alpha(known.wide(known.KRIPPENDORFF), level, n_boot=200)
    assert found.value == approx(value, abs=1e-12)
    assert found.ci_low < value < found.ci_high


def test_cohen_s_kappa_of_statsmodels_table10() -> None:
    """The value, the error that does not assume chance, and its interval."""
    table = published.table10
    rows = [(one, other) for one in range(3) for other in range(3) for _ in range(int(table[one][other]))]
    labels = pd.DataFrame(
        [
            (task, worker, str(label))
            for task, pair in enumerate(rows)
            for worker, label in zip("ab", pair, strict=True)
        ],
        columns=["task", "worker", "label"],
    )
    (found,) = rf.quality.cohen_kappa(labels).to_dict("records")
    assert found["kappa"] == approx(0.4841629, abs=1e-7)
    assert found["se"] == approx(0.1380136, abs=1e-7)
    assert (found["ci_low"], found["ci_high"]) == approx((0.2136613, 0.7546645), abs=1e-7)
    oracle = inter_rater.cohens_kappa(table)
    assert (found["kappa"], found["se"]) == approx((oracle.kappa, oracle.std_kappa), abs=1e-12)


def test_the_p_chart_of_the_juice_cans() -> None:
    """Samples 15 and 23 are out; without them the limits narrow, and 21 is out as well."""
    rows = [(sample, defect < bad) for sample, bad in enumerate(known.JUICE_CANS, 1) for defect in range(50)]
    cans = pd.DataFrame(rows, columns=["sample", "bad"])
    chart = rf.quality.control_chart(cans, "sample", "bad")
    assert chart[["centre", "lcl", "ucl"]].iloc[0].tolist() == approx([0.2313333, 0.0524275, 0.4102391], abs=1e-6)
    assert chart.loc[chart["rule"] == "outside", "period"].tolist() == [15, 23]
    rest = rf.quality.control_chart(cans[~cans["sample"].isin([15, 23])], "sample", "bad")
    assert rest[["centre", "lcl", "ucl"]].iloc[0].tolist() == approx([0.215, 0.0407028, 0.3892972], abs=1e-6)
    assert rest.loc[rest["rule"] == "outside", "period"].tolist() == [21]


def test_shrinkage_of_the_baseball_players() -> None:
    """Hardly any spread between units: a flat likelihood, and still its top."""
    shrunk = rf.quality.shrink_rates(known.BASEBALL, [45] * 18)
    assert shrunk.attrs["a"] == approx(210.5578, rel=1e-2)
    assert shrunk.attrs["b"] == approx(582.7052, rel=1e-2)
    assert shrunk.attrs["log_likelihood"] == approx(-45.343896, abs=1e-6)
    assert shrunk["shrunk"].iloc[[0, -1]].tolist() == approx([0.272656, 0.259534], abs=2e-6)
    assert sum(known.BASEBALL) / (45 * 18) == approx(0.2654321, abs=1e-7)
    mean = shrunk.attrs["a"] / (shrunk.attrs["a"] + shrunk.attrs["b"])
    assert mean == approx(0.2654321, abs=1e-5)


def test_crowd_kit_s_toy() -> None:
    """Votes, the tie and who breaks it, entropy, agreement by task, alpha, the model."""
    labels = known.wide(known.CROWD_KIT)
    voted = rf.quality.majority_vote(labels).set_index("task")
    assert voted["tie"].to_dict() == {"t1": True, "t2": False, "t3": False, "t4": False, "t5": False}
    assert voted["label"].tolist() == ["yes", "yes", "no", "yes", "no"]
    assert voted["p"].tolist() == approx([0.5, 0.6, 0.6, 1, 0.8])
    model = rf.quality.dawid_skene(labels)
    assert model.labels["label"].tolist() == ["yes", "yes", "no", "yes", "no"]
    assert model.labels["p"].tolist() == approx([1] * 5, abs=1e-6)
    assert model.log_likelihood == approx(-10.479980, abs=1e-6)
    assert model.priors.to_dict() == approx({"no": 0.4, "yes": 0.6}, abs=1e-6)
    doubt = rf.quality.ambiguity(labels).set_index("task").sort_index()
    assert doubt["entropy"].tolist() == approx([0.693147, 0.673012, 0.673012, 0, 0.500402], abs=1e-6)
    assert doubt["pair_agreement"].tolist() == approx([1 / 3, 0.4, 0.4, 1, 0.6])
    assert rf.quality.krippendorff_alpha(labels, n_boot=0).value == approx(61 / 429, abs=1e-12)


def test_accuracy_on_crowd_kit_s_toy() -> None:
    """Against the votes, with the tied task taken as crowd-kit breaks it."""
    gold = {"t1": "no", "t2": "yes", "t3": "no", "t4": "yes", "t5": "no"}
    found = rf.quality.accuracy(known.wide(known.CROWD_KIT), gold).set_index("worker")
    assert found["rate"].to_dict() == approx({"w1": 0.6, "w2": 0.8, "w3": 1, "w4": 0.4, "w5": 0.8})
    assert found["k"].sum() / found["n"].sum() == approx(17 / 24)


def test_boxes_and_the_trap_of_greedy_matching() -> None:
    """Overlaps that pycocotools computes too; the pair that overlaps most is not always in the best matching."""
    assert rf.quality.box_iou([[258, 41, 606, 285]], [[214, 41, 562, 285]])[0, 0] == approx(304 / 392)
    a = [[296.55, 93.96, 314.97, 152.79], [328.94, 97.05, 342.49, 122.98], [356.62, 95.47, 372.33, 147.55]]
    b = [[300, 100, 315, 150], [330, 100, 350, 125], [350, 100, 375, 150]]
    overlaps = rf.quality.box_iou(a, b)
    assert np.diag(overlaps) == approx([0.68976728, 0.50860231, 0.56541746], abs=1e-8)
    assert overlaps.sum() == approx(np.trace(overlaps))
    corners = {"g": [[0, 0, 10, 10], [0, 0, 10, 20]], "d": [[0, 0, 10, 14], [0, 8, 10, 20]]}
    assert rf.quality.box_iou(corners["g"], corners["d"]) == approx(np.array([[0.714286, 0.1], [0.7, 0.6]]), abs=1e-6)
    rows = [("t", who, "x", x1, y1, x2 - x1, y2 - y1) for who, boxes in corners.items() for x1, y1, x2, y2 in boxes]
    drawn = pd.DataFrame(rows, columns=["task_id", "labeler", "label", "left", "top", "width", "height"])
    (found,) = rf.quality.box_agreement(drawn).to_dict("records")
    assert (found["matched"], found["mean_iou"]) == (2, approx(2 * 1.314286 / 4, abs=1e-6))


def test_rates_of_the_small_table() -> None:
    """Labelers, attempts by number, and the whole, each with its interval."""
    table = known.attempts()
    rates = rf.quality.labeler_rates(table).set_index("labeler")
    assert rates["k"].to_dict() == {"ana": 8, "bob": 6, "cy": 4, "dee": 1}
    assert rates["ci_low"].tolist() == approx([0.675592, 0.409275, 0.215216, 0.206549], abs=1e-6)
    assert rates["ci_high"].tolist() == approx([1, 0.928521, 0.784784, 1], abs=1e-6)
    curve = rf.quality.learning_curve(table)
    assert curve[["k", "n"]].to_numpy().tolist() == [[2, 4], [2, 3], [1, 3], [3, 3], [2, 3], [3, 3], [3, 3], [3, 3]]
    assert curve.loc[0, ["ci_low", "ci_high"]].tolist() == approx([0.150039, 0.849961], abs=1e-6)
    # First passes: ana and dee at their first attempt, bob at the second, cy at the fourth.
    assert curve["n_labelers_at_risk"].tolist() == [4, 2, 1, 1, 0, 0, 0, 0]
    assert curve["survival"].tolist() == approx([0.5, 0.25, 0.25, 0, 0, 0, 0, 0])
    pooled = rf.quality.pooled_rate(table).iloc[0]
    assert (pooled["k"], pooled["n"], pooled["rate"]) == (19, 25, approx(0.76))
    assert rf.quality.wilson(19, 25) == approx((0.565703, 0.885037), abs=1e-6)


def test_speed_in_the_small_table() -> None:
    """Medians by labeler, first passes, and the four attempts that nobody could have made with care."""
    table = known.attempts()
    fast = rf.quality.speeders(table)
    found = fast[fast["fast"]]
    assert table.loc[found.index, ["labeler", "attempt_number"]].to_numpy().tolist() == [
        ["cy", 1], ["cy", 2], ["cy", 3], ["cy", 5],
    ]  # fmt: skip
    assert found["robust_z"].tolist() == approx([-3.9092, -4.3831, -4.6569, -4.9630], abs=5e-5)
    card = rf.quality.scorecard(table).set_index("labeler")
    assert card["median_secs"].to_dict() == {"ana": 53, "bob": 68, "cy": 21, "dee": 70}
    assert card["first_pass_rate"].to_dict() == {"ana": 1, "bob": 0, "cy": 0, "dee": 1}


def test_audits_that_rule_defects_out() -> None:
    """Zero defects in so many audits: the classic numbers."""
    assert [rf.quality.audits_needed(rate) for rate in (0.05, 0.01, 0.10)] == [59, 299, 29]


def test_the_survival_curve_of_statsmodels() -> None:
    """Times with ties and censoring: the same curve and errors."""
    generator = np.random.default_rng(5)
    duration = generator.integers(1, 30, 200).astype(float)
    observed = generator.random(200) < 0.7
    curve = rf.quality.survival_curve(duration, observed)
    oracle = SurvfuncRight(duration, observed.astype(int))
    assert curve["time"].tolist() == oracle.surv_times.tolist()
    assert curve["survival"].tolist() == approx(oracle.surv_prob.tolist(), abs=1e-12)
    known_se = curve["se"].notna()
    assert curve.loc[known_se, "se"].tolist() == approx(oracle.surv_prob_se[known_se.to_numpy()].tolist(), abs=1e-12)
