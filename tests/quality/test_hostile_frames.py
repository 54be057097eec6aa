"""Frames as people have them: of other libraries, with holes, texts for booleans, repeated names and indexes."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import refonte_frames as rf
from refonte_frames.quality.votes import votes_of

if TYPE_CHECKING:
    from collections.abc import Callable

quality = rf.quality

ATTEMPTS = pd.DataFrame(
    {
        "attempt_id": [f"a{number}" for number in range(40)],
        "labeler": ["ana", "bob", None, "cy"] * 10,
        "quality_task_id": [f"q{number % 7}" for number in range(40)],
        "kind": ["training", "evaluation"] * 20,
        "passed": [True, False, None, True, True] * 8,
        "attempt_number": [1, 2, 3, 4] * 10,
        "duration_secs": [float(number + 2) for number in range(40)],
        "completed_at": pd.date_range("2024-01-01", periods=40, freq="7h", tz="UTC"),
        "type": "imageannotation",
    }
)
AUDITS = pd.DataFrame(
    {
        "task_id": [f"t{number % 9}" for number in range(20)],
        "audit_source": ["customer", "refonte"] * 10,
        "audited_by": ["eve", "max"] * 10,
        "audit_result": ["accepted", "fixed", "rejected", "commented"] * 5,
        "audited_at": pd.date_range("2024-01-01", periods=20, freq="h", tz="UTC"),
        "audit_time_secs": [float(number) for number in range(20)],
        "project": ["p"] * 4 + ["q"] * 16,
    }
)
TASKS = pd.DataFrame(
    {
        "task_id": [f"t{number}" for number in range(20)],
        "status": ["completed", "pending", "canceled", "completed"] * 5,
        "batch": ["b1", "b2"] * 10,
        "project": ["p", None] * 10,
        "created_at": pd.date_range("2024-01-01", periods=20, freq="h", tz="UTC"),
        "completed_at": pd.date_range("2024-01-03", periods=20, freq="h", tz="UTC"),
        "updated_at": pd.date_range("2024-01-04", periods=20, freq="h", tz="UTC"),
        "exported_at": pd.Timestamp("2024-01-09", tz="UTC"),
    }
)
LABELS = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg"), "field": "colour"})
BOXES = pd.DataFrame(
    {
        "task_id": list("ttttuu"),
        "labeler": ["ana", "ana", "bob", None, "ana", "bob"],
        "label": ["cat", "dog", "cat", "cat", None, "cat"],
        "geometry": ["box", "polygon", "box", "box", None, "box"],
        "left": [0.0, None, 1, 0, None, 5],
        "top": [0.0, None, 0, 0, None, 5],
        "width": [10.0, None, 10, 10, None, 10],
        "height": [10.0, None, 10, 10, None, 10],
        "vertices": [None, [{"x": 0.0, "y": 0.0}, {"x": 9.0, "y": 0.0}, {"x": 0.0, "y": 9.0}], None, None, None, None],
    }
)
PRICES = {"audit_minute": 1.0, "fix": 5.0, "redo": 9.0, "escape": 20.0}

TABLES: dict[str, tuple[Callable[[Any], Any], pd.DataFrame]] = {
    "labeler_rates": (quality.labeler_rates, ATTEMPTS),
    "learning_curve": (quality.learning_curve, ATTEMPTS),
    "balanced": (lambda frame: quality.learning_curve(frame, panel="balanced"), ATTEMPTS),
    "speeders": (quality.speeders, ATTEMPTS),
    "time_per_attempt": (quality.time_per_attempt, ATTEMPTS),
    "item_quality": (quality.item_quality, ATTEMPTS),
    "scorecard": (quality.scorecard, ATTEMPTS),
    "pooled_rate": (quality.pooled_rate, ATTEMPTS),
    "control_chart": (lambda frame: quality.control_chart(frame, "attempt_number", "passed"), ATTEMPTS),
    "throughput": (lambda frame: quality.throughput(frame, by="labeler"), ATTEMPTS),
    "audit_outcomes": (lambda frame: quality.audit_outcomes(frame, basis="both"), AUDITS),
    "rework": (lambda frame: quality.rework(frame, by="project"), AUDITS),
    "auditor_rates": (quality.auditor_rates, AUDITS),
    "first_pass_yield": (lambda frame: quality.first_pass_yield(frame, AUDITS, by="project"), TASKS),
    "error_costs": (lambda frame: quality.error_costs(frame, AUDITS, by="project", **PRICES), TASKS),
    "turnaround": (lambda frame: quality.turnaround(frame, by="project"), TASKS),
    "burn_down": (quality.burn_down, TASKS),
    "cohen_kappa": (quality.cohen_kappa, LABELS),
    "pair_agreement": (quality.pair_agreement, LABELS),
    "ambiguity": (quality.ambiguity, LABELS),
    "straight_lining": (quality.straight_lining, LABELS),
    "majority_vote": (quality.majority_vote, LABELS),
    "box_agreement": (quality.box_agreement, BOXES),
    "box_accuracy": (
        lambda frame: quality.box_accuracy(frame, BOXES[BOXES["labeler"] == "bob"].drop(columns="labeler")),
        BOXES,
    ),
    "annotations_from": (
        lambda frame: quality.annotations_from(frame).drop(columns="vertices"),
        ATTEMPTS.assign(response_json='{"annotations":[{"type":"box","label":"a","left":1,"top":1}]}', task_id=None),
    ),
    "accuracy": (lambda frame: quality.accuracy(frame, {"a": "r", "b": "g"}), LABELS),
}


def _by_number(column: pa.Array) -> pa.Array:
    return column.dictionary_encode() if pa.types.is_string(column.type) or column.type == "large_string" else column


FORMS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "a table of pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "a stream that is read once": lambda frame: pa.Table.from_pandas(frame, preserve_index=False).to_reader(),
    "texts by number": lambda frame: pa.table({name: _by_number(pa.array(frame[name])) for name in frame}),
    "objects and None": lambda frame: frame.astype(object).where(frame.notna(), None),
}


def _told(table: pd.DataFrame) -> tuple[list[str], list[list[str]], str]:
    plain = table.astype(object).where(table.notna(), "-")
    rows = [[f"{cell:.9g}" if isinstance(cell, float) else str(cell) for cell in row] for row in plain.to_numpy()]
    return list(table.columns), rows, str(table.attrs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", TABLES)
def test_what_a_frame_is_made_of_changes_no_figure(name: str, form: str) -> None:
    """Columns that may be there, such as kind, are seen in every form; training and evaluation never mix."""
    compute, frame = TABLES[name]
    assert _told(compute(FORMS[form](frame))) == _told(compute(frame))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_how_many_rows_count_nowhere(name: str) -> None:
    """Nothing is dropped silently."""
    compute, frame = TABLES[name]
    assert isinstance(compute(frame).attrs["n_excluded"], int)


@pytest.mark.parametrize(
    "name",
    [name for name in TABLES if TABLES[name][1] is not LABELS and name not in ("control_chart", "box_accuracy")],
)
def test_no_rows_make_the_same_columns(name: str) -> None:
    """Programs that read a table need not look first whether there was anything."""
    compute, frame = TABLES[name]
    assert list(compute(frame.head(0)).columns) == list(compute(frame).columns)


@pytest.mark.parametrize("values", [["True", "False"], pd.Categorical(["pass", "fail"]), [0.5, 7.0]])
def test_only_booleans_are_outcomes(values: Any) -> None:
    """The text "False" would count as passed otherwise."""
    with pytest.raises(rf.InputError, match="other values than true, false and null"):
        quality.labeler_rates(pd.DataFrame({"labeler": ["ana", "bob"], "passed": values}))


def test_times_with_and_without_fractions_stand_in_one_column() -> None:
    """The service leaves the fraction out where there is none."""
    times = ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.123Z", "2024-01-02"]
    assert quality.throughput(pd.DataFrame({"completed_at": times}))["n"].tolist() == [2, 1]
    answers = pd.DataFrame(
        {"task_id": "t", "labeler": "ana", "label": ["later", "earlier"], "completed_at": times[1::-1]}
    )
    assert quality.labels_from(answers)["repeat"].tolist() == [2, 1]


@pytest.mark.parametrize("values", [[1, 2], pd.Series(["9999-01-01"]).astype("datetime64[us]"), ["soon", "later"]])
def test_what_is_no_time_is_said_in_one_sentence(values: Any) -> None:
    """Numbers would be nanoseconds since 1970, and far times overflow."""
    with pytest.raises(rf.InputError, match=r"'completed_at' holds no times[^\n]*$"):
        quality.throughput(pd.DataFrame({"completed_at": values}))


def test_a_repeated_column_is_named() -> None:
    """Nobody could say which of them counts."""
    frame = pd.DataFrame([["a", "b", True]], columns=["labeler", "labeler", "passed"])
    with pytest.raises(rf.ColumnError, match="2 columns 'labeler'"):
        quality.labeler_rates(frame)


def test_an_audit_without_a_time_is_no_newest_one() -> None:
    """The audits that have a time keep their order beside it."""
    audits = pd.DataFrame(
        {
            "task_id": "t",
            "audit_source": "customer",
            "audit_result": ["rejected", "accepted", "fixed"],
            "audited_at": [None, "2024-01-02", "2024-01-01"],
        }
    )
    last = quality.audit_outcomes(audits).iloc[0]
    assert (last["accepted"], last["rejected"]) == (1, 0)


def test_audits_of_no_task_are_not_one_task() -> None:
    """They are left out and counted."""
    audits = AUDITS.assign(task_id=None)
    assert quality.audit_outcomes(audits, by=()).attrs["n_excluded"] == len(audits)
    assert quality.rework(audits)["n"].tolist() == [0]


def test_a_task_of_several_labelers_counts_for_each() -> None:
    """The audit of a consensus task is one of everybody's work."""
    attempts = pd.DataFrame({"labeler": ["ana", "bob"], "task_id": "t", "passed": True, "duration_secs": 1.0})
    audits = pd.DataFrame({"task_id": ["t"], "audit_result": "accepted", "audited_at": "2024-01-01"})
    assert quality.scorecard(attempts, audits)["n_audited"].tolist() == [1, 1]


def test_the_cost_of_what_nobody_looked_at_is_not_known() -> None:
    """A total without the escaped defects would look like the cheapest project."""
    tasks = pd.DataFrame({"task_id": list("abcd"), "status": "completed", "project": list("ppqq")})
    audits = pd.DataFrame(
        {"task_id": ["a"], "audit_result": "fixed", "audited_at": "2024-01-01", "audit_time_secs": 60}
    )
    costs = quality.error_costs(tasks, audits, by="project", **PRICES).set_index("project")
    assert costs.loc["p", "total"] == pytest.approx(6 + 15)
    assert math.isnan(costs.loc["q", "total"])


def test_boxes_of_nobody_are_compared_with_none() -> None:
    """Nobody knows whether they are one labeler's."""
    boxes = pd.DataFrame({"task_id": "t", "label": "c", "left": 0, "top": 0, "width": 5, "height": 5}, index=range(3))
    found = quality.box_agreement(boxes.assign(labeler=["ana", None, None]))
    assert (len(found), found.attrs["n_excluded"]) == (0, 2)


def test_units_with_all_or_nothing_have_rates() -> None:
    """The fit runs to the border of what can be computed, and stays inside."""
    shrunk = quality.shrink_rates([0, 50, 0, 50, 50, 0], [50] * 6)
    assert shrunk["shrunk"].round(3).tolist() == [0, 1, 0, 1, 1, 0]


def test_one_trial_each_says_nothing_of_spread() -> None:
    """Any spread would explain it as well as none."""
    assert quality.shrink_rates([0, 1, 0, 1, 1, 0, 1], [1] * 7).attrs["method"] == "pooled"


def test_the_label_nan_has_its_place_in_the_order() -> None:
    """It is a text, sorted behind the numbers, whatever order the rows have."""
    labels = pd.DataFrame({"task": list("aabb"), "worker": list("xyxy"), "label": ["nan", "1", "2", "x"]})
    for rows in itertools.permutations(range(4)):
        model = quality.dawid_skene(labels.iloc[list(rows)])
        assert model.priors.index.tolist() == ["1", "2", "nan", "x"]


@pytest.mark.parametrize("text", ["{", '{"category":NaN}', "[" * 5000 + "]" * 5000])
def test_a_response_that_is_no_json_is_named_by_its_row(text: str) -> None:
    """Not by the parser's own error."""
    rows = pd.DataFrame({"task_id": "t", "labeler": "ana", "response_json": ['{"category":"cat"}', text]})
    with pytest.raises(rf.InputError, match="response_json of row 1"):
        quality.labels_from(rows)


def test_thousands_of_different_texts_are_no_table_of_pairs() -> None:
    """Agreement on free texts takes no gigabytes; the model that would is refused with a sentence."""
    texts = [f"text {number // 2}" for number in range(2000)]
    labels = pd.DataFrame({"task": np.arange(2000) // 2, "worker": ["x", "y"] * 1000, "label": texts})
    labels.loc[0, "label"] = "another text"
    assert quality.krippendorff_alpha(labels, n_boot=2).value == pytest.approx(1 - 1 / 1000, abs=2e-6)
    assert quality.cohen_kappa(labels)["agreement"].tolist() == [999 / 1000]
    with pytest.raises(rf.InputError, match="different labels"):
        quality.dawid_skene(labels.assign(worker=range(2000)))


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_our_alpha_of_many_labels_is_the_librarys(level: Any) -> None:
    """The way for many labels gives what the way for few gives."""
    draw = np.random.default_rng(3)
    n = 8000
    labels = pd.DataFrame(
        {"task": np.arange(n) // 4, "worker": np.arange(n) % 4, "label": draw.integers(1, 6, n) + np.arange(n) // 4 % 3}
    )
    few = quality.krippendorff_alpha(labels, level, n_boot=0).value
    rare = pd.DataFrame({"task": [f"one {number}" for number in range(200)], "worker": 0, "label": range(10, 210)})
    many = quality.krippendorff_alpha(pd.concat([labels, rare]), level, n_boot=0).value
    assert many == pytest.approx(few, abs=1e-12)


@pytest.mark.parametrize("name", ["labeler_rates", "scorecard", "speeders", "learning_curve", "item_quality"])
def test_a_column_in_which_nothing_ever_was_is_a_group_of_nobody(name: str) -> None:
    """Arrow gives it a type of its own, of nulls, in which old pandas cannot group."""
    compute, frame = TABLES[name]
    table = pa.Table.from_pandas(frame.drop(columns="labeler"), preserve_index=False)
    empty = table.append_column("labeler", pa.nulls(len(frame)))
    found = compute(empty)
    assert len(found) > 0
    if "labeler" in found:
        assert found["labeler"].isna().all()


def test_a_group_cannot_have_the_name_of_a_count() -> None:
    """It would be overwritten, and its values be lost."""
    with pytest.raises(rf.ColumnError, match="cannot be called 'n'"):
        quality.labeler_rates(ATTEMPTS.rename(columns={"labeler": "n"}), by="n")
    with pytest.raises(rf.ColumnError, match="cannot be called 'k'"):
        quality.control_chart(ATTEMPTS.rename(columns={"attempt_number": "k"}), "k", "passed")


def test_answers_of_nobody_named_are_no_agreement() -> None:
    """Two rows without a name may be one answer that was read twice."""
    for compute in (quality.krippendorff_alpha, quality.fleiss_kappa):
        with pytest.raises(rf.InputError, match="on a task from named labelers; no answer says who gave it"):
            compute(LABELS.assign(worker=None))
    for pairs in (quality.cohen_kappa, quality.pair_agreement):
        with pytest.raises(rf.InputError, match="no answer of a named worker"):
            pairs(LABELS.assign(worker=None))


def test_half_of_a_character_is_told_by_its_row() -> None:
    """Objects of Python can hold it; pandas cannot group by it."""
    frame = ATTEMPTS.assign(labeler=pd.Series(["ana"] * 39 + ["\ud800"], dtype=object))
    with pytest.raises(rf.InputError, match="Row 39 of the column 'labeler' holds half of a character"):
        quality.labeler_rates(frame)


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical([True, False, None]),
        pd.array([True, False, None], "boolean"),
        pd.array([1.0, 0.0, np.nan]),
        pd.array([True, False, None], pd.ArrowDtype(pa.bool_())),
        pd.Series([True, False, None], dtype=object),
    ],
)
def test_outcomes_of_every_type_count_alike(values: Any) -> None:
    """True, false and null, also as 1 and 0 and as categories."""
    found = quality.labeler_rates(pd.DataFrame({"labeler": "ana", "passed": values})).iloc[0]
    assert (found["n"], found["k"], found["n_missing"]) == (2, 1, 1)


def test_truths_that_no_answer_can_equal_are_refused() -> None:
    """The number 1 is not the text "1": everybody would be wrong."""
    labels = pd.DataFrame({"task": list("aabb"), "worker": list("xyxy"), "label": ["1", "2", "1", "1"]})
    with pytest.raises(rf.InputError, match="so that none can be right"):
        quality.accuracy(labels, {"a": 1, "b": 2})
    with pytest.raises(rf.InputError, match="Task 'a' has several truths"):
        quality.confusion(labels, pd.DataFrame({"task": ["a", "a"], "label": ["1", "2"]}))
    assert quality.accuracy(labels, {"a": "3"})["k"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (lambda: quality.labeler_rates(ATTEMPTS, kind="exam"), "kind='exam': there are"),
        (lambda: quality.labeler_rates(ATTEMPTS, target="0.8"), "target='0.8' is no rate"),
        (lambda: quality.krippendorff_alpha(LABELS.assign(label=[["a"]] * 6)), "lists or dicts"),
        (lambda: quality.krippendorff_alpha(LABELS.assign(label=[1, 2, np.inf, 1, 2, 2]), "interval"), "infinite"),
        (lambda: quality.dawid_skene(LABELS, max_iter=1.5), "max_iter is a whole number"),
        (
            lambda: quality.throughput(pd.DataFrame({"completed_at": ["1700-01-01", "2250-01-01"]}), freq="s"),
            "17,356,291,200 periods lie between",
        ),
        (lambda: quality.report({"attempts": ATTEMPTS}, "never.html", target=80), "target=80 is no rate"),
        (lambda: quality.report([ATTEMPTS], "never.html"), "A list cannot be reported on"),
        (lambda: quality.wilson("seven", 10), "k and n are counts"),
        (lambda: quality.wilson([1, 2], [3, 4, 5]), "as many numbers of the one as of the other"),
        (lambda: quality.shrink_rates([["a"]], [[3]]), "k and n are counts"),
        (lambda: quality.shrink_rates([[1, 2]], [[3, 4]]), "one number for each unit"),
        (lambda: quality.audit_outcomes(AUDITS, by=None), "by=None: give the name of a column"),
        (lambda: quality.labeler_rates(ATTEMPTS.assign(labeler=[["ana"]] * 40)), "'labeler' holds lists or dicts"),
        (lambda: quality.survival_curve([1, 2], [True, None]), "somewhere it is null"),
        (lambda: quality.survival_curve([1, 2], ["True", "False"]), "'observed' holds other values"),
        (lambda: quality.survival_curve(["soon"], [True]), "'duration' holds no numbers"),
        (lambda: quality.survival_curve(np.ones((1, 1)), [True]), "two columns of the same length"),
        (lambda: quality.turnaround(TASKS, quantiles=0.5), r"give them in a list, such as \[0.5\]"),
        (lambda: quality.fleiss_kappa(LABELS, n_boot=-1), "n_boot=-1: give a whole number of at least 0"),
        (lambda: quality.krippendorff_alpha(LABELS, n_boot=1.5), "n_boot=1.5: give a whole number"),
        (lambda: quality.krippendorff_alpha(LABELS, seed=-1), "seed=-1: give a whole number"),
        (lambda: quality.pooled_rate(ATTEMPTS, n_boot=0), "n_boot=0: give a whole number of at least 1"),
        (lambda: quality.burn_down(TASKS, seed=-1), "seed=-1: give a whole number"),
        (lambda: quality.speeders(ATTEMPTS, min_secs="5"), "min_secs='5': give seconds"),
        (lambda: quality.learning_curve(ATTEMPTS.assign(attempt_number=1.5)), "numbers that are not whole"),
        (lambda: quality.learning_curve(ATTEMPTS.assign(attempt_number=np.inf)), "numbers that are not whole"),
        (lambda: quality.audits_needed("5"), "rate='5': give the share"),
        (lambda: quality.throughput(ATTEMPTS, freq=5), "freq=5, tz='UTC': no such periods"),
        (lambda: quality.labeler_rates(ATTEMPTS, target=[0.8]), r"target=\[0.8\] is no rate"),
        (lambda: quality.labeler_rates(ATTEMPTS, min_n="20"), "min_n='20': give the number"),
        (lambda: quality.learning_curve(ATTEMPTS, by=["attempt_number"]), "is no name of a column"),
        (lambda: quality.control_chart(ATTEMPTS, "type", "passed", baseline="1"), "baseline='1'"),
        (lambda: quality.dawid_skene(LABELS, tol="small"), "tol is at least 0"),
        (lambda: quality.error_costs(TASKS, AUDITS, **PRICES | {"fix": "5"}), "fix='5' is no price"),
        (lambda: quality.box_agreement(BOXES, by="task_id"), "cannot be called 'task_id'"),
        (lambda: quality.box_accuracy(BOXES.assign(tp="x"), BOXES, by="tp"), "cannot be called 'tp'"),
        (lambda: quality.burn_down(TASKS, at="soon"), "at='soon' is no time"),
        (lambda: quality.turnaround(TASKS, at=5), "at=5 is no time"),
        (lambda: quality.audits_needed(0.5, population=1.5), "population=1.5: a batch has"),
        (lambda: quality.audits_for_width("5"), "half_width='5': give half"),
        (lambda: quality.box_iou([["a", 0, 1, 1]], [[0, 0, 1, 1]]), "A box is four numbers"),
        (lambda: quality.box_iou(np.zeros((4, 3)), [[0, 0, 1, 1]]), "A box is four numbers"),
        (lambda: quality.throughput(ATTEMPTS, freq="-1D"), "freq='-1D'"),
        (lambda: quality.throughput(ATTEMPTS, freq="0D"), "freq='0D'"),
        (
            lambda: quality.time_per_attempt(ATTEMPTS.assign(duration_secs=pd.Timedelta("9s"))),
            r"holds no numbers, but timedelta.*total_seconds\(\)",
        ),
        (
            lambda: quality.labels_from(ATTEMPTS.assign(label="x", duration_secs="long"), task="quality_task_id"),
            "'duration_secs' holds no numbers",
        ),
        (
            lambda: quality.labels_from(ATTEMPTS.assign(label="x", labeler=pd.Series(["\ud800"] * 40, dtype=object))),
            "'labeler' holds half of a character",
        ),
        (
            lambda: quality.callback_health(TASKS.assign(callback_url="x", callback_succeeded=True), tz="Mars/Crater"),
            "tz='Mars/Crater' is no time zone",
        ),
        (
            lambda: quality.krippendorff_alpha(LABELS.assign(label=pd.Series([10**400, 1] * 3, dtype=object)), "ratio"),
            "needs labels that are numbers",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(compute: Callable[[], Any], said: str) -> None:
    """Not by whatever library met it first."""
    with pytest.raises(rf.InputError, match=said):
        compute()


def test_rates_by_kind_need_no_other_group() -> None:
    """Training and evaluation are apart anyway."""
    assert quality.labeler_rates(ATTEMPTS, by="kind")["kind"].tolist() == ["evaluation", "training"]


@pytest.mark.parametrize("read", [quality.labels_from, quality.annotations_from])
def test_a_repeated_column_of_answers_is_named(read: Callable[[Any], Any]) -> None:
    """Also where answers are read one by one."""
    frame = ATTEMPTS.assign(response_json="{}")
    with pytest.raises(rf.ColumnError, match="2 columns 'labeler'"):
        read(pd.concat([frame, frame["labeler"]], axis=1))


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("labeler_rates", "verdict"),
        ("audit_outcomes", "basis"),
        ("rework", "touches"),
        ("first_pass_yield", "coverage"),
        ("error_costs", "fixed"),
        ("turnaround", "basis"),
        ("throughput", "period"),
        ("time_per_attempt", "median"),
    ],
)
def test_a_group_cannot_have_the_name_of_another_column_of_the_result(name: str, by: str) -> None:
    """It would be overwritten, or stand there twice."""
    frame = TABLES[name][1].assign(**{by: "x"})
    more: dict[str, tuple[Any, dict[str, Any]]] = {
        "first_pass_yield": ((AUDITS,), {}),
        "error_costs": ((AUDITS,), PRICES),
    }
    others, prices = more.get(name, ((), {}))
    with pytest.raises(rf.ColumnError, match=f"cannot be called '{by}'"):
        getattr(quality, name)(frame, *others, by=by, **prices)


def test_a_group_that_is_named_twice_is_one() -> None:
    """As the same name once."""
    once, twice = (quality.labeler_rates(ATTEMPTS, by=by) for by in ("labeler", ["labeler", "labeler"]))
    pd.testing.assert_frame_equal(once, twice)


def test_passed_may_be_the_group_of_times() -> None:
    """Right and wrong attempts apart; the column is no working space."""
    found = quality.time_per_attempt(ATTEMPTS, by="passed").set_index("passed")
    known = ATTEMPTS.dropna(subset=["passed"])
    for outcome in (True, False):
        assert found.loc[outcome, "n"] == (known["passed"] == outcome).sum()
        assert found.loc[outcome, "median"] == known.loc[known["passed"] == outcome, "duration_secs"].median()


def test_labels_may_be_tuples() -> None:
    """As categories that were chosen together are kept by some."""
    labels = LABELS.assign(label=[("a", "b"), ("a", "b"), ("a",), ("b",), ("b",), ("b",)])
    assert quality.majority_vote(labels)["label"].tolist()[::2] == [("a", "b"), ("b",)]
    assert quality.dawid_skene(labels).posteriors.columns.tolist() == [("a", "b"), ("a",), ("b",)]
    assert quality.accuracy(labels, {"a": ("a", "b"), "c": ("a",)})["k"].tolist() == [1, 1]


def test_a_number_too_large_for_a_float_has_its_place_in_the_order() -> None:
    """At either end."""
    labels = LABELS.assign(label=pd.Series([10**400, 10**400, 5, 5, -(10**400), 5], dtype=object))
    assert votes_of(labels).classes == [-(10**400), 5, 10**400]
    assert quality.krippendorff_alpha(labels, n_boot=0).n_answers == 6


def test_answers_without_a_time_come_last_in_a_run() -> None:
    """Each row counts once: none stands in for another."""
    labels = pd.DataFrame({"task": range(5), "worker": "x", "label": list("babaa")})
    times = ["2024-01-03", "2024-01-01", None, "2024-01-02", None]
    found = quality.straight_lining(labels.assign(answered_at=times)).iloc[0]
    assert (found["n"], found["mode"], found["mode_share"], found["longest_run"]) == (5, "a", 0.6, 2)


def test_quality_tasks_of_no_name_are_no_item() -> None:
    """They have a rate, and nothing can be said of whom they tell apart."""
    rows = [(who, item, who in "ab") for who in "abcd" for item in ("q1", "q2", None)]
    found = quality.item_quality(pd.DataFrame(rows, columns=["labeler", "quality_task_id", "passed"]), min_n=1)
    assert found["discrimination"].round(3).tolist()[:2] == [1, 1]
    assert math.isnan(found["discrimination"].iloc[2])


def test_tasks_without_an_id_are_not_one_task() -> None:
    """And an audit of no task is none of theirs."""
    tasks = pd.DataFrame({"task_id": [None, None, "a"], "status": "completed"})
    audits = pd.DataFrame({"task_id": [None, "a"], "audit_result": "accepted", "audited_at": "2024-01-01"})
    found = quality.first_pass_yield(tasks, audits)
    assert found[["n_completed", "n_audited", "n"]].to_numpy().tolist() == [[3, 1, 1]]
    assert found.attrs["n_excluded"] == 1


def test_audits_of_no_task_are_no_labelers() -> None:
    """Also where the audits name the labeler themselves, who may be a number here and a text there."""
    attempts = pd.DataFrame({"labeler": [7, 7], "passed": True, "duration_secs": 1.0})
    audits = pd.DataFrame({"task_id": ["t", None], "labeler": "7", "audit_result": "accepted", "audited_at": None})
    assert quality.scorecard(attempts, audits)["n_audited"].tolist() == [1]


def test_a_hundred_thousand_different_texts_fill_no_table() -> None:
    """A table of all tasks by all labels would be forty gigabytes; the figures need only what occurs."""
    n = 100_000
    task = np.arange(n) // 2
    labels = pd.DataFrame({"task": task, "worker": np.arange(n) % 2, "label": [f"text {at}" for at in range(n)]})
    labels.loc[labels["task"] < 10_000, "label"] = "same"
    voted = quality.majority_vote(labels)
    assert (voted["tie"].sum(), voted["label"].iloc[0]) == (40_000, "same")
    uniform = quality.straight_lining(labels)
    assert uniform["mode"].tolist() == ["same", "same"]
    assert uniform["mode_share"].tolist() == uniform["others_share"].tolist() == [0.2, 0.2]
    chance = 0.2**2 + 80_000 * (1 / n) ** 2
    kappa = quality.fleiss_kappa(labels, n_boot=2)
    assert kappa.value == pytest.approx((0.2 - chance) / (1 - chance))
    assert kappa.ci_low == pytest.approx(kappa.value, abs=0.02)
    alpha = quality.krippendorff_alpha(labels, n_boot=2).value
    assert alpha == pytest.approx(1 - (1 - kappa.value) * (1 - 1 / n))
    with pytest.raises(rf.InputError, match="80,001 different labels"):
        quality.ambiguity(labels)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_alpha_of_thousands_of_numbers_is_its_definition(level: Any) -> None:
    """Pair by pair, as Krippendorff writes it down, beside the way that makes no table of tasks by labels."""
    draw = np.random.default_rng(5)
    values = draw.permutation(np.arange(1, 4401)).astype(float) + 1e6
    task = np.arange(4400) % 2000
    extra = pd.DataFrame({"task": np.arange(2000, 6000), "worker": 0, "label": 1e6})
    labels = pd.DataFrame({"task": task, "worker": np.arange(4400) // 2000 + 1, "label": values})
    found = quality.krippendorff_alpha(pd.concat([labels, extra]), level, n_boot=0).value
    ranks = np.argsort(np.argsort(values)) + 0.5
    distance = {
        "nominal": lambda i, j: (values[i] != values[j]).astype(float),
        "ordinal": lambda i, j: (ranks[i] - ranks[j]) ** 2,
        "interval": lambda i, j: (values[i] - values[j]) ** 2,
        "ratio": lambda i, j: ((values[i] - values[j]) / (values[i] + values[j])) ** 2,
    }[level]
    every = np.arange(len(values))
    within = 0.0
    for one in range(2000):
        mine = np.flatnonzero(task == one)
        within += distance(mine[:, None], mine[None, :]).sum() / (len(mine) - 1)
    expected = distance(every[:, None], every[None, :]).sum() / (len(values) - 1)
    assert found == pytest.approx(1 - within / expected, abs=1e-9)


def test_the_ratio_of_too_many_numbers_is_refused() -> None:
    """It compares each with each, and has no shorter way."""
    labels = pd.DataFrame({"task": np.arange(10_000) // 2, "worker": np.arange(10_000) % 2, "label": range(10_000)})
    with pytest.raises(rf.InputError, match="10,000 different numbers: level='ratio'"):
        quality.krippendorff_alpha(labels, "ratio", n_boot=0)
    assert quality.krippendorff_alpha(labels, "interval", n_boot=0).value > 0.99


def test_clusters_of_one_attempt_each_need_no_table_of_draws() -> None:
    """The bootstrap of a hundred thousand tasks is that of two kinds of task; it is then the binomial's."""
    frame = pd.DataFrame({"labeler": range(100_000), "passed": np.arange(100_000) % 4 > 0})
    found = quality.pooled_rate(frame).iloc[0]
    half = 1.96 * math.sqrt(0.75 * 0.25 / 100_000)
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((0.75 - half, 0.75 + half), abs=2e-4)


def test_resamples_of_one_label_say_nothing_of_agreement() -> None:
    """Chance would be perfect there too; what rounding leaves of 0 over 0 is no coefficient."""
    labels = pd.DataFrame({"task": np.repeat(np.arange(6), 3), "worker": np.tile(np.arange(3), 6)})
    found = quality.krippendorff_alpha(labels.assign(label=[1 / 3] * 15 + [123.4] * 3), "interval", n_boot=200)
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((1, 1, 1))
