"""The labels view: attempts, annotations and plain frames under the names of libraries for crowd labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pytest

import refonte_frames as rf
from refonte_frames.quality import labels_from

if TYPE_CHECKING:
    from collections.abc import Sequence


def attempts(*responses: str | None, **more: Sequence[Any]) -> pd.DataFrame:
    """Make a frame of attempts at one quality task, by ana and bob in turn."""
    columns = {
        "labeler": [("ana", "bob")[at % 2] for at in range(len(responses))],
        "quality_task_id": ["q"] * len(responses),
        "task_id": [None] * len(responses),
        "response_json": list(responses),
    }
    return pd.DataFrame(columns | more)


def told(labels: pd.DataFrame, *names: str) -> list[Any]:
    """List the rows of some columns."""
    return [
        tuple(None if pd.isna(cell) else cell for cell in row) for row in labels[list(names)].itertuples(index=False)
    ]


def test_attempts_become_labels_of_their_quality_tasks() -> None:
    """In the columns of the schema."""
    labels = labels_from(attempts('{"category":"cat"}', '{"category":"dog"}', '{"choice":"left"}'))
    assert labels.columns.tolist() == rf.schemas.LABELS.names
    assert told(labels, "task", "worker", "field", "label", "repeat") == [
        ("q", "ana", None, "cat", 1),
        ("q", "bob", None, "dog", 1),
        ("q", "ana", None, "left", 2),
    ]


def test_several_values_are_one_label_whatever_their_order() -> None:
    """Two people who chose the same categories agree."""
    labels = labels_from(attempts('{"category":["b","a"]}', '{"category":["a","b"]}'))
    assert labels["label"].tolist() == ['["a", "b"]'] * 2


def test_every_field_of_a_response_is_a_question_of_its_own() -> None:
    """One of them can be asked for by its name."""
    frame = attempts('{"fields":{"name":"Ann","age":7}}', '{"fields":{"name":"Anne","age":7}}')
    labels = labels_from(frame)
    assert told(labels, "worker", "field", "label") == [
        ("ana", "name", "Ann"),
        ("ana", "age", "7"),
        ("bob", "name", "Anne"),
        ("bob", "age", "7"),
    ]
    assert labels_from(frame, field="name")["label"].tolist() == ["Ann", "Anne"]


def test_answers_to_one_question_are_counted_by_their_time() -> None:
    """Whatever the order of the rows; ties by their place."""
    times = pd.to_datetime(["2024-03-04 10:00", None, "2024-03-04 09:00"], utc=True)
    frame = attempts('{"category":"second"}', '{"category":"x"}', '{"category":"first"}', completed_at=times)
    labels = labels_from(frame.assign(labeler="ana", duration_secs=[1.5, None, 2]))
    assert dict(told(labels, "label", "repeat")) == {"x": 1, "first": 2, "second": 3}
    assert labels["answered_at"][0] == times[0]
    assert labels["duration_secs"].tolist()[::2] == [1.5, 2.0]


def test_rows_without_a_label_are_counted_and_rows_without_a_worker_stay() -> None:
    """Missing is shown as missing."""
    box = '{"annotations":[{"type":"box","label":"a","left":1,"top":1,"width":1,"height":1}]}'
    frame = attempts(box, None, '{"category":"cat"}', '{"mood":{"x":1}}')
    labels = labels_from(frame.assign(labeler=["ana", "bob", None, "bob"]))
    assert told(labels, "worker", "label") == [(None, "cat")]
    assert labels.attrs["n_excluded"] == 3


def test_a_kind_of_attempts_can_be_chosen() -> None:
    """A row whose kind is null is of none."""
    frame = attempts('{"category":"a"}', '{"category":"b"}', '{"category":"c"}', kind=["training", "evaluation", None])
    assert labels_from(frame, kind="evaluation")["label"].tolist() == ["b"]
    with pytest.raises(rf.InputError, match="kind='exam': there are training, evaluation, unknown"):
        labels_from(frame, kind="exam")


def test_annotations_become_labels_where_somebody_is_named() -> None:
    """Categories of one task and worker belong together; a task alone does not name its worker."""
    frame = pd.DataFrame(
        {
            "task_id": ["t", "t", "u", "u"],
            "geometry": ["category", "category", "text", "box"],
            "label": ["b", "a", None, "box"],
            "value": [None, None, "7", None],
            "field": [None, None, "age", None],
            "who": ["ana", "ana", "bob", "bob"],
        }
    )
    labels = labels_from(frame, worker="who")
    assert told(labels, "task", "worker", "field", "label") == [
        ("t", "ana", None, '["a", "b"]'),
        ("u", "bob", "age", "7"),
    ]
    assert labels.attrs["n_excluded"] == 1
    with pytest.raises(rf.ColumnError, match=r"no column 'labeler'\. A task does not say who labeled it"):
        labels_from(frame)


def test_any_frame_with_a_label_will_do() -> None:
    """Of pandas or polars, under whatever names; it is not changed."""
    frame = pl.DataFrame({"item": [1, 1, 2], "who": ["a", "b", "a"], "mark": ["x", None, "y"], "q": ["m", "m", "n"]})
    labels = labels_from(frame, task="item", worker="who", label="mark", field="q")
    assert told(labels, "task", "worker", "field", "label") == [("1", "a", "m", "x"), ("2", "a", "n", "y")]
    with pytest.raises(rf.ColumnError, match="no column 'sign'"):
        labels_from(frame, task="item", worker="who", label="sign")


def test_no_rows_have_the_same_columns_and_types() -> None:
    """As for every table."""
    none = labels_from(attempts())
    assert none.dtypes.tolist() == labels_from(attempts('{"category":"a"}')).dtypes.tolist()


def test_the_column_field_is_the_question_where_no_other_is_named() -> None:
    """Answers to two questions are not two answers to one; one of them can be asked for by its name."""
    frame = pd.DataFrame({"task_id": "t", "labeler": "ana", "field": ["size", "colour"], "label": ["small", "red"]})
    assert told(labels_from(frame), "field", "label", "repeat") == [("size", "small", 1), ("colour", "red", 1)]
    assert labels_from(frame, field="size")["label"].tolist() == ["small"]


def test_an_attempt_without_a_quality_task_counts_for_its_task() -> None:
    """It is an answer all the same, though others are counted by their quality task."""
    frame = attempts('{"category":"a"}', '{"category":"b"}', quality_task_id=["q", None], task_id=[None, "t"])
    labels = labels_from(frame)
    assert labels["task"].tolist() == ["q", "t"]
    assert labels.attrs["n_excluded"] == 0


def test_a_missing_number_does_not_rename_the_others() -> None:
    """The task 7 stays the task 7 where pandas made floats of its column; halves stay halves."""
    frame = pd.DataFrame({"task_id": [7, None], "labeler": [1.0, 2.0], "label": [3, None]})
    assert told(labels_from(frame), "task", "worker", "label") == [("7", "1", "3")]
    halves = frame.assign(label=[0.5, 1.0], task_id=[7, 8])
    assert labels_from(halves)["label"].tolist() == ["0.5", "1.0"]
