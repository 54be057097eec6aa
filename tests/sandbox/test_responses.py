"""Made-up responses: whatever was asked, they are valid for it."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refonte_frames.sandbox.draws import Draws
from refonte_frames.sandbox.exchange import Refusal
from refonte_frames.sandbox.responses import answer_of, score, truth_of, with_uuids
from refonte_frames.sandbox.results import PATH, content_of
from refonte_frames.sandbox.task_types import FORMS, TYPES, check_params

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4)
LABELS = st.lists(
    st.text(min_size=1, max_size=4)
    | st.fixed_dictionaries({"choice": st.text(min_size=1, max_size=4)}, optional={"subchoices": JSON}),
    min_size=1,
    max_size=4,
)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "objects_to_annotate": LABELS | JSON,
        "min_width": JSON,
        "min_height": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        "min_vertices": st.integers(),
        "max_vertices": st.integers(),
        "integer_pixels": JSON,
    },
)
GEOMETRIES = st.dictionaries(
    st.sampled_from(["box", "polygon", "line", "point", "cuboid", "ellipse", "blob"]),
    SPEC | JSON,
    min_size=1,
    max_size=3,
)
LIKELY: dict[str, Any] = {
    "attachment": st.text(min_size=1, max_size=5),
    "attachments": WORDS | st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=2), min_size=1, max_size=2),
    "attachment_type": st.sampled_from(["text", "image", "json", "video"]),
    "geometries": GEOMETRIES,
    "annotation_attributes": st.dictionaries(st.text(max_size=3), JSON | SPEC, max_size=2),
    "labels": LABELS,
    "instance_labels": WORDS,
    "categories": WORDS,
    "choices": WORDS,
    "objects_to_annotate": WORDS,
    "text": st.text(min_size=1, max_size=40),
    "fields": st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3)
    | st.lists(st.dictionaries(st.sampled_from(["field_id", "type", "choices"]), JSON), min_size=1, max_size=3),
    "features": st.lists(st.dictionaries(st.sampled_from(["type", "label"]), JSON), min_size=1, max_size=3),
    "taxonomies": st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=3),
    "hypothesis": st.fixed_dictionaries(
        {}, optional={"annotations": st.lists(st.dictionaries(st.text(), JSON)) | JSON}
    ),
}


@st.composite
def requests_of(draw: Any) -> tuple[str, dict[str, Any]]:
    """Draw a task type and parameters that are mostly, not always, acceptable."""
    kind = draw(st.sampled_from(sorted(TYPES)))
    rule = TYPES[kind]
    needed = [draw(st.sampled_from(need)) for need in rule.required]
    extra = draw(st.lists(st.sampled_from(sorted(rule.names)), max_size=3, unique=True))
    return kind, {name: draw(LIKELY.get(name, JSON)) for name in [*needed, *extra] if name in FORMS}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests_of(), st.floats(0, 1))
def test_every_accepted_task_can_be_answered(request: tuple[str, dict[str, Any]], correct: float) -> None:
    """No parameters that pass the service's checks make the labelers stumble; the answer is strict JSON."""
    kind, params = request
    try:
        check_params(kind, params, has_project=True)
    except Refusal:
        return
    truth = with_uuids(truth_of(kind, params, Draws.of(1, "content")), Draws.of(1, "own"), keeps_given=False)
    answer = answer_of(kind, params, truth, Draws.of(1, "labeler"), correct)
    assert isinstance(answer, dict)
    assert msgspec.json.decode(msgspec.json.encode(answer)) == answer
    assert 0 <= score(kind, truth, answer) <= 1
    for address in set(re.findall(f"{PATH}/([^/]+)/", msgspec.json.encode(answer).decode())):
        assert content_of(address) == content_of(address) != b""


def boxes_of(seed: int, **spec: Any) -> list[dict[str, Any]]:
    """Draw the boxes of one image."""
    params = {"attachment": "x", "geometries": {"box": {"objects_to_annotate": ["cat", "dog"], **spec}}}
    return truth_of("imageannotation", params, Draws.of(seed, "content"))["annotations"]


@given(st.integers(), st.floats(0, 200), st.floats(0, 200))
def test_boxes_lie_in_the_image_and_keep_the_asked_minimum(seed: int, width: float, height: float) -> None:
    """At least one box, labels only from those asked for."""
    boxes = boxes_of(seed, min_width=width, min_height=height)
    assert boxes
    for box in boxes:
        assert box["type"] == "box"
        assert box["label"] in ("cat", "dog")
        assert box["width"] >= round(width, 2)
        assert box["height"] >= round(height, 2)
        assert 0 <= box["left"] <= box["left"] + box["width"] <= 1921
        assert 0 <= box["top"] <= box["top"] + box["height"] <= 1081


@given(st.integers())
def test_a_box_that_may_be_rotated_has_corners(seed: int) -> None:
    """Its middle stays where the unrotated box has it, and its sides keep their lengths, also in a labeler's answer."""
    params = {"geometries": {"box": {"objects_to_annotate": ["cat"], "can_rotate": True, "integer_pixels": True}}}
    truth = truth_of("imageannotation", params, Draws.of(seed, "content"))
    answer = answer_of("imageannotation", params, truth, Draws.of(seed, "labeler"), 0.9)
    for box in (*truth["annotations"], *answer["annotations"]):
        corners = box["vertices"]
        assert len(corners) == 4
        assert -1.6 < box["rotation"] < 1.6
        for axis, low, length in (("x", "left", "width"), ("y", "top", "height")):
            assert sum(corner[axis] for corner in corners) / 4 == pytest.approx(box[low] + box[length] / 2, abs=0.03)
        side = math.dist(tuple(corners[0].values()), tuple(corners[1].values()))
        assert side == pytest.approx(box["width"], abs=0.03)


@given(st.integers(), st.floats(0, 1))
def test_linked_attributes_name_another_annotation_of_an_allowed_label(seed: int, correct: float) -> None:
    """One that is there, by the id it has there; never themselves."""
    params = {
        "geometries": {"box": {"objects_to_annotate": ["person"]}, "point": {"objects_to_annotate": ["head"]}},
        "annotation_attributes": {"of": {"type": "linked", "allowed_labels": ["person"]}, "plate": {"type": "text"}},
    }
    truth = truth_of("imageannotation", params, Draws.of(seed, "content"))
    truth = with_uuids(truth, Draws.of(seed, "own"), keeps_given=False)
    answer = answer_of("imageannotation", params, truth, Draws.of(seed, "labeler"), correct)
    for response in (truth, answer):
        labels = {item["uuid"]: item["label"] for item in response["annotations"]}
        for item in response["annotations"]:
            assert item["attributes"]["plate"]
            if "of" in item["attributes"]:
                assert labels[item["attributes"]["of"]] == "person"
                assert item["attributes"]["of"] != item["uuid"]


@given(st.integers())
def test_whole_pixels_are_integers(seed: int) -> None:
    """When the task asks for them."""
    for box in boxes_of(seed, integer_pixels=True):
        assert all(isinstance(box[name], int) for name in ("left", "top", "width", "height"))


@given(st.integers(), st.integers(1, 20), st.integers(0, 20))
def test_polygons_keep_the_asked_number_of_vertices(seed: int, least: int, more: int) -> None:
    """Between the minimum and the maximum, both included."""
    params = {"geometries": {"polygon": {"min_vertices": least, "max_vertices": least + more}}}
    for item in truth_of("imageannotation", params, Draws.of(seed, "content"))["annotations"]:
        assert least <= len(item["vertices"]) <= least + more


@given(st.integers(), st.text(min_size=1, max_size=60))
def test_spans_lie_in_the_text(seed: int, text: str) -> None:
    """The end is exclusive, the offsets count characters, and the labels are those asked for."""
    params = {"text": text, "labels": [{"name": "person"}, "place"]}
    for span in truth_of("namedentityrecognition", params, Draws.of(seed, "content"))["annotations"]:
        assert text[span["start"] : span["end"]] == span["text"] != ""
        assert span["label"] in ("person", "place")


@pytest.mark.parametrize("kind", ["categorization", "namedentityrecognition", "imageannotation"])
def test_a_better_labeler_scores_higher(kind: str) -> None:
    """The chance of being right is what the score measures."""
    params = {
        "attachment": "x",
        "attachment_type": "text",
        "categories": ["a", "b", "c"],
        "text": "Ada met Charles and Mary in London and Paris",
        "labels": ["person", "place"],
        "geometries": {"box": {"objects_to_annotate": ["cat", "dog"]}},
    }

    def mean(correct: float) -> float:
        found = []
        for n in range(200):
            truth = truth_of(kind, params, Draws.of(n, "content"))
            found.append(score(kind, truth, answer_of(kind, params, truth, Draws.of(n, "labeler"), correct)))
        return sum(found) / len(found)

    assert mean(1.0) == 1.0
    assert mean(0.9) > mean(0.6) > mean(0.2)


@pytest.mark.parametrize("vertices", [None, 5, [], [5], [{}], [{"x": "a", "y": 1}], {"x": 1}])
def test_an_odd_hypothesis_makes_no_labeler_stumble(vertices: Any) -> None:
    """A rotated box without proper corners is moved without them."""
    item = {"type": "box", "label": "cat", "left": 1, "top": 2.5, "rotation": 0.1, "vertices": vertices}
    params = {"geometries": {"box": {}}, "hypothesis": {"annotations": [{**item, "attributes": [1]}]}}
    truth = truth_of("imageannotation", params, Draws.of(1, "c"))
    named = with_uuids(truth, Draws.of(1, "own"), keeps_given=True)
    answer = answer_of("imageannotation", params, named, Draws.of(1, "labeler"), 1.0)
    assert answer["annotations"][0]["vertices"] == vertices


@pytest.mark.parametrize("item", [None, 1, "box", [1]])
def test_what_is_no_annotation_is_not_repeated(item: Any) -> None:
    """By a labeler who gets everything wrong, and by one who gets everything right."""
    truth = {"annotations": [item, {"type": "box", "label": "cat", "left": 1, "top": 1}]}
    for correct in (0.0, 1.0):
        for n in range(5):
            answer = answer_of("imageannotation", {"geometries": {"box": {}}}, truth, Draws.of(n, "labeler"), correct)
            assert all(isinstance(each, dict) for each in answer["annotations"])


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("comparison", {"attachments": ["a", "b"], "attachment_type": "text", "choices": ["a", "b"], "hypothesis": 1}),
        ("audiotranscription", {"attachment": "a", "hypothesis": ["a"]}),
        ("pointannotation", {"attachment": "a", "objects_to_annotate": ["cat"], "hypothesis": "x"}),
        ("lidarlinking", {"lidar_task": "a", "attachments": True}),
        ("namedentityrecognition", {"text": "Ada", "labels": ["who"], "attachments": 5}),
    ],
)
def test_a_name_that_the_type_does_not_know_is_without_effect(
    test_world: Any, kind: str, params: dict[str, Any]
) -> None:
    """As the warning says, whatever its value: no other type's rule is applied to it."""
    reply = test_world.call("POST", f"/task/{kind}", json=params)
    assert reply.status_code == 200
    assert "Unknown parameters without effect" in reply.headers["warning"]
    done = test_world.ok("GET", f"/task/{reply.json()['task_id']}")
    assert (done["status"], done["params"]) == ("completed", params)


def test_a_hypothesis_is_the_made_up_truth() -> None:
    """With its own ids, where it has some."""
    hypothesis = {"annotations": [{"uuid": "mine", "type": "box", "label": "cat"}, {"type": "box", "label": "dog"}]}
    params = {"geometries": {"box": {}}, "hypothesis": hypothesis}
    truth = with_uuids(truth_of("imageannotation", params, Draws.of(1, "c")), Draws.of(1, "own"), keeps_given=True)
    assert truth["annotations"][0] == hypothesis["annotations"][0]
    assert truth["annotations"][1]["uuid"]
    assert truth["annotations"][1]["label"] == "dog"


def test_category_ids_and_several_categories_are_answered() -> None:
    """A list when several are allowed, and the ids beside it."""
    params = {"categories": ["a", "b"], "category_ids": {"1": "a", "2": "b"}, "allow_multiple": True}
    truth = truth_of("categorization", params, Draws.of(1, "c"))
    assert isinstance(truth["category"], list)
    assert truth["category_id"] == [{"a": "1", "b": "2"}[name] for name in truth["category"]]
