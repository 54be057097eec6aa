"""Shapes: overlap beside shapely and pycocotools, the best matching, errors against what is right."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely

import refonte_frames as rf

approx = pytest.approx


def corners(seed: int, count: int = 30) -> np.ndarray[Any, Any]:
    """Draw boxes as x1, y1, x2, y2."""
    generator = np.random.default_rng(seed)
    begin = generator.uniform(0, 80, (count, 2))
    return np.column_stack([begin, begin + generator.uniform(0, 40, (count, 2))])


def drawn(**by: list[dict[str, Any]]) -> pd.DataFrame:
    """Make annotations of task t from each labeler's shapes."""
    rows = [{"task_id": "t", "labeler": who, "label": "x"} | shape for who, shapes in by.items() for shape in shapes]
    names = ["task_id", "labeler", "label", "geometry", "left", "top", "width", "height", "rotation", "vertices"]
    return pd.DataFrame(rows, columns=names)


def box(left: float, top: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    """Make a box."""
    return {"geometry": "box", "left": left, "top": top, "width": width, "height": height} | more


def polygon(*points: tuple[float, float], **more: Any) -> dict[str, Any]:
    """Make a polygon."""
    return {"geometry": "polygon", "vertices": [{"x": x, "y": y} for x, y in points]} | more


def score(table: pd.DataFrame) -> float:
    """Give the only row's mean overlap."""
    (found,) = table["mean_iou"]
    return float(found)


def test_overlaps_of_boxes_are_shapely_s() -> None:
    """Nine hundred pairs, some far apart."""
    a, b = corners(1), corners(2)
    one, other = shapely.box(*a.T)[:, None], shapely.box(*b.T)[None, :]
    expected = shapely.area(shapely.intersection(one, other)) / shapely.area(shapely.union(one, other))
    assert rf.quality.box_iou(a, b) == approx(expected, abs=1e-12)
    assert (expected > 0).sum() > 50


@pytest.mark.slow
def test_overlaps_of_boxes_are_pycocotools() -> None:
    """The library of the COCO challenges computes the same."""
    mask = pytest.importorskip("pycocotools.mask")
    a, b = corners(3), corners(4)
    sides = [np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]) for boxes in (a, b)]
    assert rf.quality.box_iou(a, b) == approx(mask.iou(*sides, [0] * len(b)), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_matching_covers_more(seed: int) -> None:
    """All ways to pair four boxes with four, tried."""
    a, b = corners(seed, 4), corners(seed, 4) + np.tile(np.random.default_rng(seed + 50).normal(0, 2, (4, 2)), 2)
    overlaps = rf.quality.box_iou(a, b)
    usable = np.where(overlaps >= 0.5, overlaps, 0)
    best = max(sum(usable[at, to] for at, to in enumerate(order)) for order in itertools.permutations(range(4)))
    sides = [[box(x, y, u - x, v - y) for x, y, u, v in boxes] for boxes in (a, b)]
    assert score(rf.quality.box_agreement(drawn(ana=sides[0], bob=sides[1]))) == approx(2 * best / 8)


def test_polygons_are_compared_by_their_areas() -> None:
    """A triangle is half of its square, in either winding; a box and its outline as a polygon are the same."""
    square = polygon((0, 0), (10, 0), (10, 10), (0, 10))
    triangle = polygon((0, 10), (10, 0), (0, 0))
    assert score(rf.quality.box_agreement(drawn(ana=[square], bob=[triangle]))) == approx(0.5)
    assert score(rf.quality.box_agreement(drawn(ana=[square], bob=[box(0, 0, 10, 10)]))) == approx(1)
    clockwise = polygon((0, 0), (0, 10), (10, 10), (10, 0))
    assert score(rf.quality.box_agreement(drawn(ana=[square], bob=[clockwise]))) == approx(1)


def test_a_polygon_that_crosses_itself_encloses_both_of_its_loops() -> None:
    """The signed areas of a bow tie would cancel each other."""
    tie = polygon((0, 0), (10, 10), (10, 0), (0, 10))
    found = rf.quality.box_agreement(drawn(ana=[tie], bob=[tie]))
    assert score(found) == approx(1)
    halves = rf.quality.box_agreement(drawn(ana=[tie], bob=[box(0, 0, 10, 10)]))
    assert score(halves) == approx(0.5)


def test_turned_boxes_are_turned_about_their_middle() -> None:
    """By radians (contract 5.3): a square turned by a quarter is itself, by an eighth it is an octagon with itself."""
    square, quarter = box(0, 0, 10, 10), box(0, 0, 10, 10, rotation=math.pi / 2)
    assert score(rf.quality.box_agreement(drawn(ana=[square], bob=[quarter]))) == approx(1)
    eighth = box(0, 0, 10, 10, rotation=math.pi / 4)
    octagon = 2 * (math.sqrt(2) - 1) * 100
    expected = octagon / (200 - octagon)
    assert score(rf.quality.box_agreement(drawn(ana=[square], bob=[eighth]))) == approx(expected)


def test_shapes_that_are_none_are_counted() -> None:
    """Too few corners, holes in the sides, other geometries, and nobody's."""
    shapes = drawn(
        ana=[
            box(0, 0, 9, 9),
            polygon((0, 0), (1, 1)),
            {"geometry": "polygon"},
            box(0, 0, float("nan"), 3),
            {"geometry": "point"},
        ],
        bob=[box(0, 0, 9, 9), polygon((0, 0), (1, 1), (float("nan"), 2))],
    )
    found = rf.quality.box_agreement(pd.concat([shapes, drawn(nobody=[box(0, 0, 9, 9)]).assign(labeler=None)]))
    assert (len(found), found.attrs["n_excluded"]) == (1, 6)


def test_pages_are_not_mixed() -> None:
    """Boxes at the same place of two pages are no match, and count for their class together."""
    rows = drawn(ana=[box(0, 0, 9, 9), box(0, 0, 9, 9)], bob=[box(0, 0, 9, 9), box(0, 0, 9, 9)])
    apart = rows.assign(page=[0, 1, 0, 2], frame=None)
    (found,) = rf.quality.box_agreement(apart).to_dict("records")
    assert (found["n_a"], found["n_b"], found["matched"], found["mean_iou"]) == (2, 2, 1, approx(0.5))


def test_nothing_drawn_is_an_answer() -> None:
    """Two who found nothing agree; one of them does not agree with somebody who found something."""
    nothing = {"label": None}
    both = rf.quality.box_agreement(drawn(ana=[nothing], bob=[nothing])).iloc[0]
    assert (both["n_a"], both["n_b"], both["mean_iou"], both["f1_50"]) == (0, 0, 1, 1)
    assert pd.isna(both["label"])
    one = rf.quality.box_agreement(drawn(ana=[nothing], bob=[box(0, 0, 9, 9)])).iloc[0]
    assert (one["label"], one["n_a"], one["n_b"], one["mean_iou"], one["f1_50"]) == ("x", 0, 1, 0, 0)


def test_errors_against_what_is_right() -> None:
    """A match, one too many, one missed, and one under another name."""
    gold = drawn(gold=[box(0, 0, 10, 10), box(50, 50, 10, 10), box(80, 0, 5, 5, label="y")]).drop(columns="labeler")
    made = drawn(ana=[box(0, 0, 10, 9), box(30, 30, 3, 3), box(80, 0, 5, 5)], bob=[{"label": None}])
    found = rf.quality.box_accuracy(made, gold).set_index(["labeler", "label"])
    assert found.loc[("ana", "x"), ["tp", "fp", "fn"]].tolist() == [1, 2, 1]
    assert found.loc[("ana", "x"), ["precision", "recall", "accuracy"]].tolist() == approx([1 / 3, 1 / 2, 1 / 4])
    assert found.loc[("ana", "x"), "mean_iou"] == approx(0.9)
    assert found.loc[("ana", "y"), ["tp", "fp", "fn"]].tolist() == [0, 0, 1]
    assert found.loc[("bob", "x"), ["tp", "fp", "fn"]].tolist() == [0, 0, 2]


def test_responses_become_shapes_of_named_people() -> None:
    """From attempts as they are read to agreement and errors, without a step by hand."""
    answers = [
        '{"annotations":[{"type":"box","label":"x","left":0,"top":0,"width":10,"height":10}]}',
        '{"annotations":[{"type":"polygon","label":"x","vertices":[{"x":0,"y":0},{"x":10,"y":0},{"x":0,"y":10}]}]}',
        '{"annotations":[]}',
    ]
    attempts = pd.DataFrame(
        {
            "quality_task_id": "q",
            "task_id": None,
            "labeler": ["ana", "bob", "cy"],
            "type": "imageannotation",
            "response_json": answers,
            "expected_json": answers[0],
        }
    )
    shapes = rf.quality.annotations_from(attempts)
    found = rf.quality.box_agreement(shapes).set_index(["a", "b"])["mean_iou"]
    assert found.to_dict() == {("ana", "bob"): approx(0.5), ("ana", "cy"): 0, ("bob", "cy"): 0}
    gold = rf.quality.annotations_from(attempts.head(1), response="expected_json")
    errors = rf.quality.box_accuracy(shapes, gold).set_index("labeler")
    assert errors["tp"].to_dict() == {"ana": 1, "bob": 1, "cy": 0}
    assert errors["fn"].to_dict() == {"ana": 0, "bob": 0, "cy": 1}


@pytest.mark.parametrize(
    "corners_of",
    [[(0, 0), (10, 0), (0, 10)], ((0, 0), (10, 0), (0, 10)), np.array([[0, 0], [10, 0], [0, 10]])],
)
def test_corners_may_be_pairs(corners_of: Any) -> None:
    """As other libraries write them; what is neither is no polygon."""
    whole = polygon((0, 0), (10, 0), (0, 10))
    rows = drawn(ana=[whole], bob=[{"geometry": "polygon", "vertices": corners_of}])
    assert score(rf.quality.box_agreement(rows)) == approx(1)
    for odd in ("abc", [1, 2, 3], [{"x": 1}] * 3, [(1, 2, 3)] * 3):
        rows = drawn(ana=[whole], bob=[{"geometry": "polygon", "vertices": odd}])
        assert rf.quality.box_agreement(rows).attrs["n_excluded"] == 1


def test_attempts_at_boxes_are_judged_as_the_service_judges_them() -> None:
    """From quality tasks over HTTP to errors by labeler, which go with the service's own scores."""
    sides = {"type": "box", "label": "cat", "top": 5, "width": 30, "height": 20}
    answers = [
        {"annotations": [{"uuid": f"u-{task}-{at}", "left": 40 * at, **sides} for at in range(1 + task % 4)]}
        for task in range(10)
    ]
    rows = pd.DataFrame({"url": [f"https://example.com/{task}.png" for task in range(10)], "answer": answers})
    with rf.Sandbox(seed=3) as sandbox:
        client = sandbox.client()
        rf.projects.create("boxes", type="imageannotation", rapid=True, client=client)
        made = rf.quality_tasks.create(
            rows,
            kind="evaluation",
            expected="answer",
            type="imageannotation",
            project="boxes",
            columns={"attachment": "url"},
            params={"geometries": {"box": {"objects_to_annotate": ["cat", "dog"]}}},
            progress=False,
            client=client,
        )
        sandbox.work(days=1)
        attempts = rf.read_attempts(quality_task_ids=made["quality_task_id"], progress=False, client=client)
    shapes = rf.quality.annotations_from(attempts)
    gold = rf.quality.annotations_from(attempts.drop_duplicates("quality_task_id"), response="expected_json")
    errors = rf.quality.box_accuracy(shapes, gold).groupby("labeler")[["tp", "fp", "fn"]].sum()
    assert (errors["tp"] + errors["fn"] == sum(len(answer["annotations"]) for answer in answers)).all()
    ours = errors["tp"] / errors.sum(axis=1)
    theirs = attempts.groupby("labeler")["score"].mean().astype(float)
    assert ours.corr(theirs) > 0.8


def test_shapes_without_a_label_are_of_one_class() -> None:
    """Two who drew the same without naming it agree."""
    rows = drawn(ana=[box(0, 0, 9, 9, label=None)], bob=[box(0, 0, 9, 9, label=None)])
    for each in (rows, rows.assign(label=np.array([np.nan] * 2), page=np.array([np.nan] * 2))):
        (found,) = rf.quality.box_agreement(each).to_dict("records")
        assert (found["n_a"], found["n_b"], found["matched"]) == (1, 1, 1)
        assert pd.isna(found["label"])


def test_page_one_is_page_one_whatever_its_type() -> None:
    """Pages among which one is missing are floats."""
    gold = drawn(gold=[box(0, 0, 9, 9)]).drop(columns="labeler").assign(page=1)
    made = drawn(ana=[box(0, 0, 9, 9), box(40, 40, 9, 9)]).assign(page=[1.0, None])
    found = rf.quality.box_accuracy(made, gold).iloc[0]
    assert found[["tp", "fp", "fn"]].tolist() == [1, 1, 0]


def test_a_cover_of_three_quarters_is_good_enough() -> None:
    """And one of half is a match: both bounds belong to what they bound."""
    whole = box(0, 0, 10, 10)
    good, fair = (rf.quality.box_agreement(drawn(ana=[whole], bob=[box(0, 0, 10, h)])).iloc[0] for h in (7.5, 5))
    assert (good["f1_75"], fair["f1_75"], fair["f1_50"]) == (1, 0, 1)
