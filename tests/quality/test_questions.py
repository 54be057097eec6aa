"""The questions on audits, time, drift and cost: small tables with figures by hand, and independent implementations."""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats import inter_rater, proportion
from statsmodels.stats.tests import test_inter_rater as published

import refonte_frames as rf

sys.path.insert(0, str(Path(__file__).parent))
import known

approx = pytest.approx
BEGIN = pd.Timestamp("2024-01-01", tz="UTC")

AUDITS = pd.DataFrame(
    [
        ("t1", "refonte", "eve", "fixed", 1, 120.0),
        ("t1", "customer", "max", "accepted", 2, 30.0),
        ("t2", "refonte", "eve", "accepted", 1, 60.0),
        ("t3", "customer", "max", "rejected", 1, 90.0),
        ("t4", "customer", "max", "commented", 1, 15.0),
        ("t5", "customer", "max", "accepted", 3, 15.0),
        ("t5", "customer", "max", "commented", 4, 30.0),
    ],
    columns=["task_id", "audit_source", "audited_by", "audit_result", "audited_at", "audit_time_secs"],
).assign(audited_at=lambda rows: BEGIN + pd.to_timedelta(rows["audited_at"], "D"))
TASKS = pd.DataFrame({"task_id": [f"t{number}" for number in range(1, 9)], "status": ["completed"] * 7 + ["pending"]})


def test_question_2_the_first_and_the_last_audit_decide() -> None:
    """Of each task one audit counts; comments are other and outside the rates."""
    found = rf.quality.audit_outcomes(AUDITS, basis="both").set_index(["audit_source", "basis"])
    counts = ["n_tasks", "accepted", "fixed", "rejected", "n_other"]
    assert found.loc[("refonte", "first"), counts].tolist() == [2, 1, 1, 0, 0]
    assert found.loc[("customer", "first"), counts].tolist() == [3, 1, 0, 1, 1]
    assert found.loc[("refonte", "last"), counts].tolist() == [1, 1, 0, 0, 0]
    assert found.loc[("customer", "last"), counts].tolist() == [4, 1, 0, 1, 2]
    assert found.loc[("customer", "last"), "accepted_rate"] == approx(1 / 2)


def test_question_2_the_difference_of_sources_is_newcombe_s() -> None:
    """Customer minus Refonte, with the hybrid interval that statsmodels computes."""
    rows = [("customer", 56, 70), ("refonte", 48, 80)]
    audits = pd.DataFrame(
        [
            (f"{source}{at}", source, "accepted" if at < accepted else "rejected", BEGIN)
            for source, accepted, n in rows
            for at in range(n)
        ],
        columns=["task_id", "audit_source", "audit_result", "audited_at"],
    )
    found = rf.quality.audit_outcomes(audits).attrs["customer_minus_refonte"]["last"]
    oracle = proportion.confint_proportions_2indep(56, 70, 48, 80, compare="diff", method="newcomb")
    assert found["difference"] == approx(0.2)
    assert (found["ci_low"], found["ci_high"]) == approx(oracle, abs=1e-12)
    assert (found["ci_low"], found["ci_high"]) == approx((0.0524, 0.3339), abs=5e-5)  # Newcombe's (1998) example


def test_question_3_those_who_gave_up_do_not_spoil_the_curve() -> None:
    """Labelers who failed drop out: the rate of the last attempt is not that of all; the balanced panel is paired."""
    attempts = pd.DataFrame(
        [("ana", 1, True), ("bob", 1, False), ("bob", 2, True), ("cy", 1, False), ("cy", 2, False), ("dee", 1, False)],
        columns=["labeler", "attempt_number", "passed"],
    )
    curve = rf.quality.learning_curve(attempts)
    assert curve["n_labelers_at_risk"].tolist() == [4, 2]
    assert curve["survival"].tolist() == approx([3 / 4, 3 / 8])
    oracle = SurvfuncRight([1, 2, 2, 1], [1, 1, 0, 0])
    assert curve["survival"].tolist() == approx(oracle.surv_prob.tolist())
    same = rf.quality.learning_curve(attempts, panel="balanced")
    assert same[["position", "n", "k"]].to_numpy().tolist() == [["first", 2, 0], ["last", 2, 1]]


def test_question_4_first_pass_yield_says_how_many_were_looked_at() -> None:
    """Tasks that nobody audited are in no denominator; sources multiply to the rolled yield."""
    (found,) = rf.quality.first_pass_yield(TASKS, AUDITS).to_dict("records")
    assert (found["n_completed"], found["n_audited"], found["coverage"]) == (7, 5, approx(5 / 7))
    assert (found["n"], found["k"], found["rate"]) == (4, 2, 0.5)
    assert (found["ci_low"], found["ci_high"]) == approx(proportion.proportion_confint(2, 4, method="wilson"))
    assert found["rolled_yield"] == approx((1 / 2) * (2 / 3))


def test_question_5_a_comment_is_a_touch() -> None:
    """Fixed, rejected, or looked at twice is rework; minutes are those of a task."""
    (found,) = rf.quality.rework(AUDITS).to_dict("records")
    assert (found["n"], found["k"], found["rate"]) == (5, 3, approx(0.6))
    assert (found["mean_touches"], found["p90_touches"]) == (approx(7 / 5), approx(2))
    assert found["audit_minutes"] == approx(AUDITS["audit_time_secs"].sum() / 60 / 5)
    assert found["fixed_time_share"] == approx(120 / 360)


def test_question_6_the_end_is_what_is_open_over_the_pace() -> None:
    """Ten a day of thirty left: three days; without any pace there is no end to name."""
    created, done = [BEGIN] * 70, [BEGIN + pd.Timedelta(days=at // 10, hours=1) for at in range(40)]
    tasks = pd.DataFrame(
        {
            "batch": "b",
            "created_at": created,
            "completed_at": [*done, *[pd.NaT] * 30],
            "updated_at": pd.NaT,
            "status": ["completed"] * 40 + ["pending"] * 30,
        }
    )
    burn = rf.quality.burn_down(tasks, at=BEGIN + pd.Timedelta(days=3, hours=12))
    assert burn["open"].tolist() == [60, 50, 40, 30]
    assert burn["pct_done"].iloc[-1] == approx(100 * 40 / 70)
    ends = [burn.attrs[name]["b"] for name in ("eta", "eta_low", "eta_high")]
    assert ends == [(BEGIN + pd.Timedelta(days=6)).isoformat()] * 3
    still = rf.quality.burn_down(tasks.tail(30), at=BEGIN + pd.Timedelta(days=3))
    assert still.attrs["eta"] == {"b": None}


def test_question_6_the_pace_does_not_count_what_ended_before_the_first_day() -> None:
    """A batch that was finalized late has a first day like any other: five a day of forty left are eight days."""
    done = [BEGIN + pd.Timedelta(days=at // 5, hours=1) for at in range(60)]
    tasks = pd.DataFrame(
        {
            "batch": "b",
            "created_at": BEGIN,
            "completed_at": [*done, *[pd.NaT] * 40],
            "updated_at": pd.NaT,
            "status": ["completed"] * 60 + ["pending"] * 40,
        }
    )
    batches = pd.DataFrame({"batch": ["b"], "finalized_at": [BEGIN + pd.Timedelta(days=9)]})
    burn = rf.quality.burn_down(tasks, batches, at=BEGIN + pd.Timedelta(days=11))
    assert burn["completed"].tolist() == [50, 55, 60]
    assert burn.attrs["eta"] == {"b": (BEGIN + pd.Timedelta(days=19)).isoformat()}


def test_question_7_quantiles_with_open_tasks_are_statsmodels() -> None:
    """Kaplan-Meier with log-log limits; completed tasks alone by numpy's quantiles."""
    generator = np.random.default_rng(8)
    secs, watched = generator.exponential(3600, 200).round(), generator.uniform(600, 9000, 200).round()
    is_done = secs <= watched
    rows = pd.DataFrame(
        {
            "created_at": BEGIN,
            "completed_at": (BEGIN + pd.to_timedelta(secs, "s")).where(is_done),
            "updated_at": BEGIN + pd.to_timedelta(np.minimum(secs, watched), "s"),
            "status": np.where(is_done, "completed", "canceled"),
        }
    )
    found = rf.quality.turnaround(rows, quantiles=(0.25, 0.5)).set_index("basis")
    curve = SurvfuncRight(np.minimum(secs, watched), is_done.astype(int))
    for share in (0.25, 0.5):
        name = f"p{share * 100:g}"
        assert found.loc["censored", name] == approx(curve.quantile(share))
        bounds = found.loc["censored", [f"{name}_ci_low", f"{name}_ci_high"]].tolist()
        assert bounds == approx(curve.quantile_ci(share, method="cloglog"))
        assert found.loc["completed_only", name] == approx(np.quantile(secs[is_done], share))
    assert found.loc["completed_only", "p50"] < found.loc["censored", "p50"]


def test_question_7_an_interval_of_order_statistics_holds_the_median_as_often_as_it_says() -> None:
    """Its ranks are those between which the binomial distribution has at least 95 %."""
    secs = np.arange(1, 101, dtype=float)
    rows = pd.DataFrame(
        {"created_at": BEGIN, "completed_at": BEGIN + pd.to_timedelta(secs, "s"), "status": "completed"}
    )
    low, high = rf.quality.turnaround(rows).iloc[0][["p50_ci_low", "p50_ci_high"]]
    held = stats.binom.cdf(high - 1, 100, 0.5) - stats.binom.cdf(low - 1, 100, 0.5)
    assert 0.95 <= held < 0.97


def test_question_7_few_and_bad_times() -> None:
    """p90 needs ten tasks and p95 twenty; negative and missing times are counted and left out."""
    done = pd.DataFrame(
        {
            "created_at": BEGIN,
            "completed_at": [BEGIN + pd.Timedelta(seconds=at) for at in range(12)],
            "status": "completed",
        }
    )
    bad = done.head(2).assign(completed_at=[BEGIN - pd.Timedelta(days=1), pd.NaT])
    found = rf.quality.turnaround(pd.concat([done, bad])).set_index("basis").loc["completed_only"]
    assert (found["n"], found["n_bad"]) == (12, 2)
    assert found["p90"] == approx(np.quantile(range(12), 0.9))
    assert math.isnan(found["p95"])


def test_question_8_what_chance_alone_would_agree_on() -> None:
    """Fleiss' two examples taken apart: agreement, chance, and the free-marginal kappa of statsmodels."""
    for table, share, chance in ((published.diagnoses, 0.5555556, 0.2199383), (published.table1, 0.3780220, 0.2127551)):
        counts = table.astype(int) if table is published.table1 else inter_rater.aggregate_raters(table)[0]
        labels = known.from_counts(counts.tolist())
        agreeing = rf.quality.ambiguity(labels)["pair_agreement"].mean()
        kappa = rf.quality.fleiss_kappa(labels, n_boot=0).value
        assert agreeing == approx(share, abs=5e-8)
        assert (agreeing - kappa) / (1 - kappa) == approx(chance, abs=5e-7)
    counts = inter_rater.aggregate_raters(published.diagnoses)[0]
    assert counts.sum(axis=0).tolist() == [26, 26, 30, 55, 43]
    agreeing = rf.quality.ambiguity(known.from_counts(counts.tolist()))["pair_agreement"].mean()
    assert (agreeing - 1 / 5) / (1 - 1 / 5) == approx(inter_rater.fleiss_kappa(counts, method="randolph"))
    assert inter_rater.fleiss_kappa(counts, method="randolph") == approx(0.4444444, abs=1e-7)


def test_question_10_a_tie_goes_to_the_model_then_to_those_who_are_usually_right() -> None:
    """Labels of which each is met once fit the model either way; the voters' record decides, then the order."""
    clear = [(f"t{at}", worker, "a" if worker != "bad" else "b") for at in range(6) for worker in ("x", "y", "bad")]
    tied = [("tie", "x", "z"), ("tie", "bad", "q")]
    labels = pd.DataFrame([*clear, *tied], columns=["task", "worker", "label"])
    voted = rf.quality.majority_vote(labels).set_index("task")
    assert voted.loc["tie", ["label", "tie"]].tolist() == ["z", True]
    assert rf.quality.majority_vote(labels, ties="first").set_index("task").loc["tie", "label"] == "q"
    two = pd.DataFrame({"task": ["t", "t"], "worker": ["x", "y"], "label": ["b", "a"]})
    assert rf.quality.majority_vote(two)["label"].tolist() == ["a"]


def test_question_10_votes_on_thousands_of_texts_need_no_model() -> None:
    """Where the model would not fit into memory the voters' record breaks ties."""
    texts = [f"text {number}" for number in range(4000)]
    labels = pd.DataFrame({"task": np.arange(4000) // 2, "worker": range(4000), "label": texts})
    voted = rf.quality.majority_vote(labels)
    assert voted["tie"].all()
    assert len(voted) == 2000


def test_question_12_confusion_and_recall_by_hand() -> None:
    """Rare truths count as much as frequent ones in the macro recall."""
    gold = {**{f"a{at}": "a" for at in range(8)}, "b0": "b", "b1": "b"}
    labels = pd.DataFrame({"task": [*gold], "worker": "w", "label": ["a"] * 7 + ["b"] + ["b", "a"]})
    found = rf.quality.accuracy(labels, gold).iloc[0]
    assert (found["n"], found["k"], found["macro_recall"]) == (10, 8, approx((7 / 8 + 1 / 2) / 2))
    crossed = rf.quality.confusion(labels, gold).set_index(["truth", "answer"])
    assert crossed["n"].to_dict() == {("a", "a"): 7, ("a", "b"): 1, ("b", "a"): 1, ("b", "b"): 1}
    assert crossed.loc[("a", "b"), ["row_rate", "enough"]].tolist() == [1 / 8, True]
    assert not crossed.loc[("b", "a"), "enough"]


def test_question_13_counts_have_exact_intervals_and_hours_are_those_worked() -> None:
    """Poisson's by chi-square; days without work are there; in the time zone asked for."""
    times = pd.to_datetime(["2024-01-01T23:30Z", "2024-01-02T00:30Z", "2024-01-04T12:00Z"])
    rows = pd.DataFrame({"completed_at": times, "duration_secs": [1800.0, 1800.0, None]})
    found = rf.quality.throughput(rows)
    assert found["n"].tolist() == [1, 1, 0, 1]
    for n, low, high in found[["n", "ci_low", "ci_high"]].itertuples(index=False):
        assert low == approx(stats.chi2.ppf(0.025, 2 * n) / 2 if n else 0)
        assert high == approx(stats.chi2.ppf(0.975, 2 * n + 2) / 2)
    assert found["active_secs"].tolist() == [1800, 1800, 0, 0]
    assert found["per_hour"].tolist()[:2] == [2, 2]
    assert found["per_hour"].isna().tolist() == [False, False, True, True]
    assert rf.quality.throughput(rows, tz="Europe/Berlin")["n"].tolist() == [2, 0, 1]


def test_question_14_time_without_the_mean() -> None:
    """Medians, quartiles and the geometric mean; half an hour of idling is counted, not cut."""
    attempts = pd.DataFrame(
        {"labeler": "ana", "duration_secs": [10.0, 20, 40, 80, 4000], "passed": [True, True, False, None, True]}
    )
    (found,) = rf.quality.time_per_attempt(attempts).to_dict("records")
    assert [found[name] for name in ("n", "median", "q25", "q75", "idle_share")] == [5, 40, 20, 80, approx(0.2)]
    assert found["gmean"] == approx(stats.gmean(attempts["duration_secs"]))
    assert (found["median_passed"], found["median_failed"]) == (20, 40)


def test_question_15_few_cases_have_the_binomial_s_own_limits() -> None:
    """Where fewer than five are expected; eight on one side of the centre are a signal, and so is a slow drift."""
    few = pd.DataFrame({"week": np.repeat(np.arange(10), 20), "bad": [at % 20 == 0 for at in range(200)]})
    chart = rf.quality.control_chart(few, "week", "bad")
    assert chart["ucl"].tolist() == approx([stats.binom.ppf(1 - 0.00135, 20, 0.05) / 20] * 10)
    assert chart["lcl"].tolist() == [0] * 10
    outcomes = [at < (60 if week < 8 else 40) for week in range(16) for at in range(100)]
    shifted = rf.quality.control_chart(
        pd.DataFrame({"week": np.repeat(np.arange(16), 100), "good": outcomes}), "week", "good"
    )
    assert shifted.loc[shifted["rule"] == "run of 8", "period"].tolist() == [7, 15]
    assert shifted["ewma_signal"].any()


def test_question_15_laney_s_limits_widen_by_the_spread_between_weeks() -> None:
    """By hand: the mean moving range of the standardised rates over 1.128."""
    n, k = np.array([200, 300, 250, 400]), np.array([100, 180, 90, 260])
    rows = pd.DataFrame(
        [(week, at < good) for week, (size, good) in enumerate(zip(n, k, strict=True)) for at in range(size)],
        columns=["week", "good"],
    )
    chart = rf.quality.control_chart(rows, "week", "good")
    centre = k.sum() / n.sum()
    sigma = np.sqrt(centre * (1 - centre) / n)
    spread = np.abs(np.diff((k / n - centre) / sigma)).mean() / 1.128
    assert chart.attrs["sigma_z"] == approx(spread)
    assert chart.attrs["is_overdispersed"]
    assert chart["laney_lcl"].to_numpy() == approx(np.clip(centre - 3 * spread * sigma, 0, 1))


def test_question_16_without_spread_only_the_least_time_counts() -> None:
    """A median distance of 0 makes everything infinitely far; groups of nine are too few."""
    same = pd.DataFrame({"labeler": "ana", "duration_secs": [50.0] * 11 + [2.0]})
    assert not rf.quality.speeders(same)["fast"].any()
    found = rf.quality.speeders(same, min_secs=5)
    assert found["reasons"].tolist() == [""] * 11 + ["min_secs"]
    nine = pd.DataFrame({"labeler": "ana", "duration_secs": [50.0, 51, 52, 53, 54, 55, 56, 57, 1]})
    assert rf.quality.speeders(nine)["robust_z"].isna().all()


def test_question_16_three_of_the_last_ten() -> None:
    """By time, not by the order of rows; the third fast one of ten carries the mark, a later lone one does not."""
    secs = [50.0, 51, 49, 52, 1, 48, 1, 53, 1, 47] + [50.0, 51, 49, 52, 50.5, 48, 51.5, 53, 49.5, 47] * 2 + [1]
    rows = pd.DataFrame({"labeler": "ana", "duration_secs": secs, "completed_at": pd.date_range(BEGIN, periods=31)})
    found = rf.quality.speeders(rows.sample(frac=1, random_state=1)).assign(reasons=lambda table: table["reasons"])
    order = rows.sample(frac=1, random_state=1).index
    by_time = pd.Series(found["reasons"].to_numpy(), index=order).sort_index()
    assert by_time[by_time.str.contains("3 of last 10")].index.tolist() == [8]
    assert by_time[by_time.str.contains("robust_z")].index.tolist() == [4, 6, 8, 30]


def test_question_16_one_answer_to_everything() -> None:
    """Shares and runs by time; what others say of the same tasks stands beside it."""
    labels = pd.DataFrame(
        {
            "task": list("abcdabcd"),
            "worker": list("xxxxyyyy"),
            "label": ["r", "r", "r", "r", "r", "g", "g", "r"],
            "answered_at": pd.date_range(BEGIN, periods=8)[::-1],
        }
    )
    found = rf.quality.straight_lining(labels).set_index("worker")
    assert found.loc["x", ["n", "mode", "mode_share", "others_share", "longest_run"]].tolist() == [4, "r", 1, 0.5, 4]
    assert found.loc["y", ["mode_share", "others_share", "longest_run"]].tolist() == [0.5, 0, 2]


def test_question_17_costs_by_hand() -> None:
    """Minutes, fixes, rejections, and the share of unseen tasks that is probably wrong."""
    prices = {"audit_minute": 2.0, "fix": 5.0, "redo": 9.0, "escape": 20.0}
    (found,) = rf.quality.error_costs(TASKS, AUDITS, **prices).to_dict("records")
    assert found["audit_cost"] == approx(2 * AUDITS["audit_time_secs"].sum() / 60)
    assert (found["fix_cost"], found["redo_cost"]) == (5, 9)
    first = rf.quality.first_pass_yield(TASKS, AUDITS).iloc[0]
    assert found["escape_cost"] == approx(2 * (1 - first["shrunk"]) * 20)
    assert found["escape_low"] < found["escape_cost"] < found["escape_high"]
    assert found["total"] == approx(sum(found[f"{name}_cost"] for name in ("audit", "fix", "redo", "escape")))


def test_question_18_auditors_of_other_projects_are_compared_by_what_is_usual_there() -> None:
    """A warning says that projects differ; the expected rate is that of each auditor's own projects."""
    rows = [("eve", "easy", 9, 10), ("max", "easy", 9, 10), ("max", "hard", 2, 10), ("kim", "hard", 4, 10)]
    audits = pd.DataFrame(
        [
            (who, project, "accepted" if at < accepted else "fixed", 30.0)
            for who, project, accepted, n in rows
            for at in range(n)
        ],
        columns=["audited_by", "project", "audit_result", "audit_time_secs"],
    )
    with pytest.warns(UserWarning, match="did not look at the same projects"):
        found = rf.quality.auditor_rates(audits).set_index("audited_by")
    assert found["expected"].to_dict() == approx({"eve": 0.9, "kim": 0.3, "max": 0.6})
    assert found["ratio"].to_dict() == approx({"eve": 1, "kim": 4 / 3, "max": 0.55 / 0.6})
    assert found["fixed_rate"].to_dict() == approx({"eve": 0.1, "kim": 0.6, "max": 0.45})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rf.quality.auditor_rates(audits[audits["project"] == "hard"])


@pytest.mark.parametrize(("rate", "population"), [(0.05, 200), (0.01, 1000), (0.2, 30), (0.5, 3)])
def test_question_19_a_finite_batch_needs_fewer(rate: float, population: int) -> None:
    """The hypergeometric distribution of scipy says the same."""
    defects = max(1, math.ceil(rate * population))
    none_seen = [stats.hypergeom.pmf(0, population, defects, n) for n in range(1, population + 1)]
    expected = next(n for n, chance in enumerate(none_seen, 1) if chance <= 0.05)
    assert rf.quality.audits_needed(rate, population=population) == expected


def test_question_19_seven_per_cent_of_a_hundred_are_seven() -> None:
    """As floats they are a little more; rounded up to eight, too few audits would be asked for."""
    none_seen = [stats.hypergeom.pmf(0, 100, 7, n) for n in (33, 34)]
    assert none_seen[0] > 0.05 > none_seen[1]
    assert rf.quality.audits_needed(0.07, population=100) == 34
    assert rf.quality.audits_needed(0.05, conf=0.9, population=20) == 18


@pytest.mark.parametrize("half_width", [0.02, 0.05, 0.1, 0.3, 0.49])
@pytest.mark.parametrize("rate", [0, 0.1, 0.5, 0.97, 1])
def test_question_19_so_many_audits_make_an_interval_so_narrow(half_width: float, rate: float) -> None:
    """One less would not do."""
    z = stats.norm.ppf(0.975)

    def half(n: int) -> float:
        return float(z * math.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n))

    needed = rf.quality.audits_for_width(half_width, rate=rate)
    assert half(needed) <= half_width + 1e-12
    assert needed == 1 or half(needed - 1) > half_width


def test_question_20_a_wrong_gold_answer_turns_the_good_against_it() -> None:
    """The correlation with the labeler's rate on all other items; numpy computes it from the definition."""
    generator = np.random.default_rng(4)
    skill = np.linspace(0.3, 0.95, 30)
    passed = generator.random((30, 8)) < skill[:, None]
    passed[:, 7] = generator.random(30) < 1 - skill
    rows = [(f"w{who}", f"q{item}", bool(passed[who, item])) for who in range(30) for item in range(8)]
    attempts = pd.DataFrame(rows, columns=["labeler", "quality_task_id", "passed"])
    found = rf.quality.item_quality(attempts).set_index("quality_task_id")
    for item in range(8):
        others = np.delete(passed, item, axis=1).mean(axis=1)
        expected = np.corrcoef(passed[:, item], others)[0, 1]
        assert found.loc[f"q{item}", "discrimination"] == approx(expected)
    assert found.loc["q7", "suspect"]


def test_question_21_callbacks_by_day_and_host() -> None:
    """Mail counts by its domain; what is still being tried is no failure."""
    tasks = pd.DataFrame(
        {
            "callback_url": [
                "https://a.example/x",
                "https://a.example/y",
                '"me@work"@b.example',
                None,
                "https://a.example/z",
            ],
            "callback_succeeded": [True, False, True, True, None],
            "completed_at": ["2024-01-01T23:00Z", "2024-01-01T10:00Z", "2024-01-02T10:00Z", None, "2024-01-02T09:00Z"],
        }
    )
    found = rf.quality.callback_health(tasks)
    assert found[["host", "n", "k", "n_unsettled"]].to_numpy().tolist() == [
        ["a.example", 2, 1, 0],
        ["a.example", 0, 0, 1],
        ["b.example", 1, 1, 0],
    ]
    assert found.attrs["n_excluded"] == 1
    assert rf.quality.callback_health(tasks, tz="Asia/Tokyo")["day"].nunique() == 2


def test_the_fit_of_shrinkage_is_the_top_of_scipy_s_likelihood() -> None:
    """The beta-binomial of scipy.stats gives our likelihood, and less at every point around."""
    generator = np.random.default_rng(6)
    n = generator.integers(3, 60, 25)
    k = generator.binomial(n, generator.beta(8, 3, 25))
    fit = rf.quality.shrink_rates(k, n).attrs

    def likelihood(a: float, b: float) -> float:
        return float(stats.betabinom.logpmf(k, n, a, b).sum())

    assert fit["method"] == "mle"
    assert fit["log_likelihood"] == approx(likelihood(fit["a"], fit["b"]), abs=1e-9)
    for a, b in ((1.02, 1), (0.98, 1), (1, 1.02), (1, 0.98), (1.02, 1.02), (0.98, 0.98)):
        assert likelihood(fit["a"] * a, fit["b"] * b) < fit["log_likelihood"]
    low, high = stats.beta.ppf([[0.025], [0.975]], fit["a"] + k, fit["b"] + n - k)
    shrunk = rf.quality.shrink_rates(k, n)
    assert shrunk["shrunk_low"].to_numpy() == approx(low)
    assert shrunk["shrunk_high"].to_numpy() == approx(high)


def test_few_units_have_jeffreys_intervals_and_equal_ones_the_pooled_rate() -> None:
    """Of 7 in 10 as statsmodels computes them; a warning tells that nothing was shrunk."""
    with pytest.warns(UserWarning, match="too few to tell how units differ"):
        shrunk = rf.quality.shrink_rates([7], [10])
    low, high = shrunk.loc[0, ["shrunk_low", "shrunk_high"]]
    assert (low, high) == approx((0.394182, 0.907305), abs=1e-6)
    assert (low, high) == approx(proportion.proportion_confint(7, 10, method="jeffreys"))
    equal = rf.quality.shrink_rates([3] * 6, [4] * 6)
    assert equal.attrs["method"] == "pooled"
    assert (equal[["shrunk", "shrunk_low", "shrunk_high"]] == 0.75).all(axis=None)


def test_rows_of_one_labeler_resemble_each_other() -> None:
    """The interval of a pooled rate resamples labelers: it is wider than that of rows without a bond."""
    attempts = pd.DataFrame(
        {"labeler": np.repeat([f"w{at}" for at in range(10)], 50), "passed": [at < 250 for at in range(500)]}
    )
    (found,) = rf.quality.pooled_rate(attempts).to_dict("records")
    low, high = proportion.proportion_confint(250, 500, method="wilson")
    assert found["ci_high"] - found["ci_low"] > 3 * (high - low)
    assert (found["ci_method"], found["n_clusters"]) == ("cluster bootstrap", 10)


def test_the_small_table_s_own_figures() -> None:
    """The macro mean, the median of the logarithms and their median distance."""
    table = known.attempts()
    assert rf.quality.labeler_rates(table)["rate"].mean() == approx(0.8125)
    logs = np.log(table["duration_secs"])
    assert np.median(logs) == approx(3.988984, abs=1e-6)
    assert np.median(np.abs(logs - np.median(logs))) == approx(0.259511, abs=1e-6)
    z = rf.quality.speeders(table)["robust_z"]
    expected: Any = stats.norm.ppf(0.75) * (logs - np.median(logs)) / 0.259511
    assert z.to_numpy() == approx(expected.to_numpy(), abs=1e-4)


def test_question_13_the_hour_that_is_lived_twice_is_two_hours() -> None:
    """Clocks were set back in Berlin on 2024-10-27, and in Calcutta hours begin at half past those of UTC."""
    times = pd.to_datetime(["2024-10-27T00:30Z", "2024-10-27T01:30Z", "2024-10-27T03:10Z"])
    found = rf.quality.throughput(pd.DataFrame({"completed_at": times}), freq="h", tz="Europe/Berlin")
    assert found["n"].tolist() == [1, 1, 0, 1]
    assert found["period"].dt.hour.tolist() == [2, 2, 3, 4]
    calcutta = rf.quality.throughput(pd.DataFrame({"completed_at": times}), freq="h", tz="Asia/Kolkata")
    assert calcutta["period"].dt.minute.tolist() == [0, 0, 0]
    assert calcutta["n"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("freq", ["2D", "3D", "7D", "2W", "5W", "2M", "3M", "2Q", "12h"])
def test_question_13_periods_of_several_days_hold_all_rows(freq: str) -> None:
    """Each in the period that begins before it and ends after it."""
    times = pd.date_range("2024-02-10", periods=300, freq="11h", tz="UTC")
    found = rf.quality.throughput(pd.DataFrame({"completed_at": times}), freq=freq)
    starts = found["period"].to_numpy()
    expected = np.bincount(np.searchsorted(starts, times.to_numpy(), side="right") - 1, minlength=len(starts))
    assert found["n"].tolist() == expected.tolist()
    assert found["n"].sum() == 300
    if freq[-1] in "DW":
        days = int(freq[:-1]) * (7 if freq[-1] == "W" else 1)
        assert set(np.diff(starts)) == {np.timedelta64(days, "D")}


def test_question_21_a_day_may_begin_at_one_o_clock() -> None:
    """Clocks were set forward at midnight in Sao Paulo."""
    tasks = pd.DataFrame(
        {
            "callback_url": "https://a.example/x",
            "callback_succeeded": True,
            "completed_at": ["2018-11-04T02:59Z", "2018-11-04T03:00Z", None],
        }
    )
    found = rf.quality.callback_health(tasks, tz="America/Sao_Paulo")
    assert [str(day) for day in found["day"]] == ["2018-11-03 00:00:00-03:00", "2018-11-04 01:00:00-02:00", "NaT"]
    assert found["n"].tolist() == [1, 1, 1]


def test_question_17_audits_that_cost_nobody_are_counted() -> None:
    """Those of open tasks cost as well; those of tasks and groups that are not there cannot be put anywhere."""
    tasks = pd.DataFrame(
        {"task_id": list("abc"), "status": ["completed", "pending", "pending"], "project": ["p", "p", "q"]}
    )
    audits = pd.DataFrame(
        {"task_id": list("abcz"), "audit_result": "fixed", "audited_at": "2024-01-01", "audit_time_secs": 60}
    )
    prices = {"audit_minute": 1.0, "fix": 5.0, "redo": 9.0, "escape": 20.0}
    found = rf.quality.error_costs(tasks, audits, by="project", **prices)
    assert found[["project", "audit_cost", "fix_cost"]].to_numpy().tolist() == [["p", 2, 10]]
    assert found.attrs["n_excluded"] == 2


def test_question_2_of_two_audits_at_one_moment_the_one_listed_first_is_the_newer() -> None:
    """The service lists the newest first."""
    audits = AUDITS.head(2).assign(task_id="t", audited_at=BEGIN, audit_result=["accepted", "rejected"])
    found = rf.quality.audit_outcomes(audits, by=(), basis="both").set_index("basis")
    assert found["accepted"].to_dict() == {"first": 0, "last": 1}


def test_question_4_a_first_pass_is_one_at_the_first_attempt() -> None:
    """Of a quality task whose first attempt was not read nobody knows how it went."""
    attempts = pd.DataFrame(
        [("q1", 1, True), ("q2", 2, True), ("q3", 1, False), ("q3", 2, True)],
        columns=["quality_task_id", "attempt_number", "passed"],
    ).assign(labeler="ana", duration_secs=9.0)
    assert rf.quality.scorecard(attempts)["first_pass_rate"].tolist() == [0.5]


def test_question_6_the_pace_is_that_of_the_last_seven_days() -> None:
    """Twenty a day at first, then seven in a week: fourteen left are two weeks."""
    days = [*np.repeat(np.arange(5), 20), *range(5, 12)]
    done = [BEGIN + pd.Timedelta(days=int(day), hours=1) for day in days]
    tasks = pd.DataFrame({"batch": "b", "created_at": BEGIN, "completed_at": [*done, *[pd.NaT] * 14]})
    tasks = tasks.assign(updated_at=pd.NaT, status=["completed"] * 107 + ["pending"] * 14)
    burn = rf.quality.burn_down(tasks, at=BEGIN + pd.Timedelta(days=11))
    assert burn.attrs["eta"] == burn.attrs["eta_high"] == {"b": (BEGIN + pd.Timedelta(days=25)).isoformat()}


def test_question_15_few_failures_have_the_binomial_s_own_limits_as_well() -> None:
    """Nineteen of twenty right are one wrong: as few as one of twenty."""
    rows = pd.DataFrame({"week": np.repeat(np.arange(10), 20), "good": [at % 20 > 0 for at in range(200)]})
    chart = rf.quality.control_chart(rows, "week", "good")
    assert chart["lcl"].tolist() == approx([stats.binom.ppf(0.00135, 20, 0.95) / 20] * 10)
    assert chart["ucl"].tolist() == [1] * 10


def test_question_15_the_moving_average_has_the_textbook_s_limits() -> None:
    """For periods of one size: 2.7 sigma times the root of lambda / (2 - lambda) * (1 - (1 - lambda) ** (2 i))."""
    rows = pd.DataFrame({"week": np.repeat(np.arange(12), 100), "good": [at % 100 < 60 for at in range(1200)]})
    chart = rf.quality.control_chart(rows, "week", "good")
    at = np.arange(1, 13)
    width = 2.7 * math.sqrt(0.6 * 0.4 / 100) * np.sqrt(0.2 / 1.8 * (1 - 0.8 ** (2 * at)))
    assert chart["ewma_ucl"].to_numpy() == approx(0.6 + width)
    assert chart["ewma_lcl"].to_numpy() == approx(0.6 - width)


def test_question_9_doubt_is_measured_by_the_labels_in_use() -> None:
    """One third each of three labels is all the doubt there can be; of two of them it is less."""
    labels = known.wide("x: a a\ny: b b\nz: c b")
    found = rf.quality.ambiguity(labels).set_index("task")
    assert found.loc["t1", ["entropy", "entropy_norm"]].tolist() == approx([math.log(3), 1])
    assert found.loc["t2", "entropy_norm"] == approx((math.log(3) - 2 / 3 * math.log(2)) / math.log(3))


def test_question_10_one_lucky_answer_is_no_record() -> None:
    """Nine of ten with the votes weigh more than one of one."""
    clear = [(f"t{at}", worker, "a") for at in range(9) for worker in ("old", "x", "y")]
    clear += [("t9", "old", "b"), *[(task, who, "a") for task in ("t9", "t10") for who in ("x", "y")]]
    tied = [("t10", "new", "a"), ("tie", "old", "z"), ("tie", "new", "q")]
    labels = pd.DataFrame([*clear, *tied], columns=["task", "worker", "label"])
    assert rf.quality.majority_vote(labels).set_index("task").loc["tie", "label"] == "z"


@pytest.mark.parametrize("tz", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize("freq", ["30min", "h", "90min", "3h", "6h", "D"])
def test_question_13_every_row_is_counted_in_the_period_that_holds_it(freq: str, tz: str) -> None:
    """Also in the weeks in which clocks are set; and no period begins within another."""
    for begin in ("2018-10-20", "2018-03-20"):
        times = pd.date_range(begin, periods=400, freq="61min", tz="UTC")
        found = rf.quality.throughput(pd.DataFrame({"completed_at": times}), freq=freq, tz=tz)
        starts = pd.DatetimeIndex(found["period"]).tz_convert("UTC")
        expected = np.bincount(starts.searchsorted(times, side="right") - 1, minlength=len(starts))
        assert found["n"].tolist() == expected.tolist()
        wall = pd.DatetimeIndex(found["period"]).tz_localize(None)
        is_shifted = wall != wall.floor(freq)
        assert is_shifted.sum() <= 1
