"""From rows to bodies: what is put in, what is left out, and which rows are refused."""

from __future__ import annotations

import gc
import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import refonte_frames as rf
from refonte_frames.errors import InputError, RowErrors
from refonte_frames.upload.collector import uncollected

BOXES = {"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}
TEXT = {"attachment_type": "text", "categories": ["a", "b"]}
URL = "https://example.org/1.jpg"


def images(frame: Any, **more: Any) -> list[dict[str, Any]]:
    """Make image tasks without ids of a frame."""
    return rf.to_tasks(frame, **{"type": "imageannotation", "params": BOXES, "unique_id": None} | more)


def errors_of(frame: Any, **more: Any) -> list[tuple[int, str]]:
    """List the rows that cannot be sent, and why."""
    with pytest.raises(RowErrors) as caught:
        images(frame, **more)
    return [(at, code) for at, code, _ in caught.value.rows]


def test_dots_reach_into_parameters_without_touching_what_other_rows_share() -> None:
    """A row's own value stands beside the constants; a row without one has the constants alone."""
    frame = pd.DataFrame({"attachment": [URL, URL + "2"], "px": [5, None]})
    first, second = images(frame, columns={"attachment": "attachment", "geometries.box.min_height": "px"})
    assert first["geometries"] == {"box": {"objects_to_annotate": ["kitten"], "min_height": 5}}
    assert second["geometries"] == {"box": {"objects_to_annotate": ["kitten"]}}
    assert BOXES == {"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}


def test_null_cells_leave_the_key_out() -> None:
    """None, NaN, NaT and NA are never sent, in metadata neither."""
    frame = pd.DataFrame(
        {
            "attachment": [URL],
            "instruction": [None],
            "a": [np.nan],
            "b": [pd.NaT],
            "c": pd.array([pd.NA], "Int64"),
            "d": [0],
        }
    )
    assert images(frame, metadata=["a", "b", "c", "d"]) == [
        {"type": "imageannotation", **BOXES, "attachment": URL, "metadata": {"d": 0}}
    ]


def test_all_bad_rows_are_found_not_the_first_one() -> None:
    """Each row's first fault is told, and the position is that in the frame, whatever the index."""
    frame = pd.DataFrame(
        {
            "attachment": [None, URL, URL, URL, URL, "cat.jpg", "/tmp/x", "C:\\x.png", "file:///x", URL],
            "priority": [20, 9, 31, 20.5, 20, 20, 20, 20, 20, 10],
            "tags": [None, None, None, None, ["a"] * 6, None, None, None, None, "one"],
        },
        index=list("kjihgfedcb"),
    )
    assert errors_of(frame) == [
        (0, "missing_parameter"),
        (1, "bad_priority"),
        (2, "bad_priority"),
        (3, "bad_priority"),
        (4, "too_many_tags"),
        (5, "local_file"),
        (6, "local_file"),
        (7, "local_file"),
        (8, "local_file"),
    ]
    (task,) = images(frame.iloc[[9]])
    assert (task["priority"], task["tags"]) == (10, ["one"])


@pytest.mark.parametrize("url", ["https://x.org/cb", "http://x.org:81/cb?a=1", "ops@example.org"])
def test_a_callback_is_a_web_address_or_an_e_mail(url: str) -> None:
    """Both documented forms are taken."""
    assert images(pd.DataFrame({"attachment": [URL], "callback_url": [url]}))[0]["callback_url"] == url


@pytest.mark.parametrize("url", ["x.org/cb", "ftp://x.org", "https://", "me@", "a b@x.org", "https://x .org", 5])
def test_anything_else_is_no_callback(url: Any) -> None:
    """And is told before it is sent."""
    assert errors_of(pd.DataFrame({"attachment": [URL], "callback_url": [url]})) == [(0, "bad_callback_url")]


def test_text_may_look_like_a_path_when_it_is_the_attachment_itself() -> None:
    """With attachment_type text nothing is fetched."""
    frame = pd.DataFrame({"attachment": ["/etc/hosts", "notes.txt"]})
    assert len(rf.to_tasks(frame, type="categorization", params=TEXT)) == 2


def test_a_parameter_that_no_row_can_have_is_told_once() -> None:
    """A type's required parameter that is neither mapped nor given is no matter of rows."""
    with pytest.raises(InputError, match="'imageannotation' needs geometries") as caught:
        rf.to_tasks(pd.DataFrame({"attachment": [URL]}), type="imageannotation")
    assert not isinstance(caught.value, RowErrors)


def test_a_project_may_fill_in_what_a_row_lacks() -> None:
    """With a project named, only what is to be labeled must be in the row."""
    assert len(rf.to_tasks(pd.DataFrame({"attachment": [URL]}), type="imageannotation", project="p")) == 1
    with pytest.raises(InputError, match="needs attachment"):
        rf.to_tasks(pd.DataFrame({"x": [URL]}), type="imageannotation", project="p")


def test_types_may_differ_from_row_to_row() -> None:
    """A column `type` says it; a name that is none is that row's error."""
    frame = pd.DataFrame(
        {
            "type": ["imageannotation", "categorization", "imageanotation", None],
            "attachment": [URL] * 4,
            "attachment_type": [None, "image", None, None],
            "categories": [None, ["a"], None, None],
            "geometries": [BOXES["geometries"], None, None, None],
        }
    )
    with pytest.raises(RowErrors) as caught:
        rf.to_tasks(frame)
    assert [(at, code) for at, code, _ in caught.value.rows] == [(2, "unknown_type"), (3, "unknown_type")]
    assert [task["type"] for task in rf.to_tasks(frame.iloc[:2])] == ["imageannotation", "categorization"]


def test_ids_that_became_floats_are_refused_with_the_way_out() -> None:
    """5.0 is not the id 5, and tomorrow it may be 5 again."""
    frame = pd.DataFrame({"attachment": [URL, URL + "2"], "scene": [5, None]})
    with pytest.raises(RowErrors, match=r"astype\('Int64'\)") as caught:
        images(frame, unique_id="scene")
    assert [(at, code) for at, code, _ in caught.value.rows] == [(0, "id_was_float"), (1, "null_unique_id")]


def test_an_id_that_cannot_be_sent_is_not_called_empty() -> None:
    """The error says what is wrong with it."""
    frame = pd.DataFrame({"attachment": [URL, URL + "2"], "scene": pd.Series([2**70, 1], dtype=object)})
    with pytest.raises(RowErrors, match="more than 64 bits") as caught:
        images(frame, unique_id="scene")
    assert [(at, code) for at, code, _ in caught.value.rows] == [(0, "int_too_large")]


def test_integers_and_texts_are_ids() -> None:
    """Both read the same tomorrow; truth values, floats and empty texts do not."""
    frame = pd.DataFrame({"attachment": [URL] * 5, "scene": pd.Series([7, "a", True, 1.5, ""], dtype="object")})
    assert errors_of(frame, unique_id="scene") == [(2, "bad_unique_id"), (3, "bad_unique_id"), (4, "bad_unique_id")]
    assert [task["unique_id"] for task in images(frame.iloc[:2], unique_id="scene")] == ["7", "a"]


def test_rows_of_a_group_become_one_task() -> None:
    """Attachments stand in row order, groups in the order of their first row."""
    frame = pd.DataFrame({"pair": ["x", "y", "x", "y"], "url": [f"https://e.org/{i}.jpg" for i in range(4)]})
    params = {"attachment_type": "image", "choices": ["left", "right"]}
    tasks = rf.to_tasks(frame, type="comparison", columns={"attachment": "url"}, group_by="pair", params=params)
    assert [task["attachments"] for task in tasks] == [
        ["https://e.org/0.jpg", "https://e.org/2.jpg"],
        ["https://e.org/1.jpg", "https://e.org/3.jpg"],
    ]
    assert all("attachment" not in task for task in tasks)


def test_a_group_that_disagrees_fails_as_a_whole() -> None:
    """Other columns must be constant in a group, and a row must have a key."""
    frame = pd.DataFrame(
        {"pair": ["x", "x", "y", "y", None], "url": [URL] * 5, "priority": [10, 11, 12, 12, 13], "note": list("aabba")}
    )
    params = {"attachment_type": "image", "choices": ["left", "right"]}
    columns = {"attachment": "url", "priority": "priority"}
    with pytest.raises(RowErrors) as caught:
        rf.to_tasks(frame, type="comparison", columns=columns, group_by="pair", params=params, metadata=["note"])
    assert [(at, code) for at, code, _ in caught.value.rows] == [
        (0, "group_conflict"),
        (1, "group_conflict"),
        (4, "null_group"),
    ]


@pytest.mark.parametrize("make", [pd.DataFrame, pa.table, lambda data: __import__("polars").DataFrame(data)])
def test_every_kind_of_frame_makes_the_same_tasks(make: Any) -> None:
    """pandas, pyarrow and polars; integers with nulls stay integers."""
    data = {"attachment": [URL, URL + "?b"], "priority": [10, None]}
    assert images(make(data)) == [
        {"type": "imageannotation", **BOXES, "attachment": URL, "priority": 10},
        {"type": "imageannotation", **BOXES, "attachment": URL + "?b"},
    ]


def test_what_is_no_frame_is_told_so() -> None:
    """A list, a dict, a Series: each with what would do."""
    with pytest.raises(InputError, match="A list is no frame"):
        images([{"attachment": URL}])
    with pytest.raises(InputError, match="to_frame"):
        images(pd.Series([URL]))


def test_the_callers_frame_is_not_touched() -> None:
    """Nor are the params."""
    frame = pd.DataFrame({"attachment": [URL], "px": [5.0]})
    before, params = frame.copy(deep=True), json.dumps(BOXES)
    images(frame, columns={"attachment": "attachment", "geometries.box.min_height": "px"})
    pd.testing.assert_frame_equal(frame, before)
    assert json.dumps(BOXES) == params


def test_equal_rows_are_refused_shared_or_numbered() -> None:
    """The three modes of duplicates, and the rows in the error."""
    frame = pd.DataFrame({"attachment": [URL, URL + "2", URL]})
    with pytest.raises(InputError, match=r"One id occurs more than once.*rows 0, 2"):
        images(frame, unique_id="auto")
    assert len(images(frame, unique_id="auto", duplicates="share")) == 2
    ids = [task["unique_id"] for task in images(frame, unique_id="auto", duplicates="each")]
    assert ids[2] == ids[0] + "#2"
    assert len(images(frame)) == 3


@pytest.mark.parametrize("duplicates", ["error", "share", "each"])
def test_one_id_on_two_bodies_always_fails(duplicates: str) -> None:
    """Nobody can say which of the two the id means."""
    frame = pd.DataFrame({"attachment": [URL, URL + "2", URL + "3"], "scene": ["s", "s", "t"]})
    assert errors_of(frame, unique_id="scene", duplicates=duplicates) == [
        (0, "duplicate_unique_id"),
        (1, "duplicate_unique_id"),
    ]


def test_parts_of_params_that_break_a_rule_are_told_at_once() -> None:
    """A priority that is wrong for all rows is no matter of rows."""
    with pytest.raises(InputError, match="params cannot be sent: priority"):
        images(pd.DataFrame({"attachment": [URL]}), params=BOXES | {"priority": 99})
    with pytest.raises(InputError, match="no object"):
        images(
            pd.DataFrame({"attachment": [URL], "px": [1]}),
            params={"geometries": "box"},
            columns={"attachment": "attachment", "geometries.box.min_height": "px"},
        )


def test_constants_are_tidied_as_cells_are() -> None:
    """One tag is a list of one, 20.0 is 20, for all rows and for one."""
    frame = pd.DataFrame({"attachment": [URL]})
    (task,) = images(frame, params=BOXES | {"tags": "night", "priority": 20.0})
    assert task["tags"] == ["night"]
    assert (task["priority"], type(task["priority"])) == (20, int)


def test_the_collector_is_held_back_and_left_as_it_was() -> None:
    """Also when something is wrong with the rows."""

    def bad_rows() -> None:
        with uncollected():
            assert not gc.isenabled()
            images(pd.DataFrame({"attachment": [URL, URL]}), unique_id="auto")

    assert gc.isenabled()
    with pytest.raises(InputError):
        bad_rows()
    assert gc.isenabled()
