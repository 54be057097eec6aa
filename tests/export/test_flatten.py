"""Every documented form of a response becomes rows; an unknown one gives none and is said to be unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import Raw

from refonte_frames.api import TASK_TYPES
from refonte_frames.export.flatten import flatten

if TYPE_CHECKING:
    from refonte_frames.export.drift import Drift


def rows(tables: Any, task: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    """Return some columns of the annotations of a task."""
    annotations = tables(task)["annotations"]
    return list(zip(*(annotations[name].to_pylist() for name in columns), strict=True))


def answered(response: Any, task_type: str = "imageannotation") -> dict[str, Any]:
    """Make a task with a response."""
    return {"task_id": "65e5831a5ad3e70011000001", "type": task_type, "response": response}


FORMS = {
    "A1": [
        *[(geometry, label, None, None) for geometry, label in [("box", "forklift"), ("box", "visitor")]],
        *[(geometry, label, None, None) for geometry, label in [("polygon", "pallet_zone"), ("line", "floor_marking")]],
        *[(geometry, label, None, None) for geometry, label in [("point", "helmet_top"), ("cuboid", "crate")]],
        ("ellipse", "wheel", None, None),
        ("link", "operates", None, None),
        ("category", None, None, "global_attributes"),
    ],
    "A3": [],
    "A4": [],
    "A6": [("segment", label, None, None) for label in ("soil", "water", "tree", "tree")],
    "A7": [("url", None, None, "annotations")],
    "A8": [("url", None, None, "annotations"), ("event", None, None, "events")],
    "A9": [("category", "complaint", "c1", None)],
    "A10": [("category", "praise", None, None), ("category", "question", None, None)],
    "A11": [("choice", "different", None, None), ("text", None, "Grout colour differs.", "why")],
    "A12": [
        ("text", None, "Kroeg & Co", "name"),
        ("text", None, "+31 20 555 0117", "phone"),
        ("text", None, "Soep van de dag", "dish"),
        ("text", None, "€ 6,50", "price"),
        ("text", None, "Bitterballen (8)", "dish"),
        ("text", None, "€ 9,00", "price"),
        ("text", None, "Koffie", "dish"),
        ("text", None, "", "price"),
    ],
    "A13": [("text", None, "https://www.example.org/jobs", "careers")],
    "A14": [("text", None, "Good morning, you are through to the service desk.", "transcript")],
    "A15": [
        ("text", None, "Oat drink 1 L", "title"),
        ("text", None, "2.49", "price"),
        ("text", None, "in", "stock"),
        ("text", None, "true", "vegan"),
        ("text", None, "no added sugar", "claims"),
        ("text", None, "rich in fibre", "claims"),
        ("text", None, None, "nutrition"),
        ("text", None, None, "variants"),
        ("text", None, None, "variants"),
    ],
    "A16": [("text", None, "no", "answer_reasonable")],
    "A17": [
        ("span", "person", "Ada Ekström", None),
        ("span", "org", "Norvik Labs", None),
        ("span", "place", "Bergen", None),
        ("span", "date", "3 May 2021", None),
        ("link", "works_at", None, None),
        ("link", None, None, None),
    ],
    "A18": [
        ("box", "item_name", "Hinge, 60 mm", None),
        ("box", "item_price", "914.29", None),
        ("polygon", "stamp", "", None),
    ],
    "A19": [("url", None, None, "annotations")],
    "A20": [("url", None, None, "annotations"), ("url", None, None, "point_segmentations")],
    "A22": [("box", "calf", None, None), ("box", "cow", None, None)],
}


#: Which example shows the form of a type's response; the others are tested by `LEGACY` and below.
EXAMPLE_OF_TYPE = {
    "imageannotation": "A1",
    "segmentannotation": "A6",
    "videoannotation": "A7",
    "videoplaybackannotation": "A8",
    "categorization": "A9",
    "comparison": "A11",
    "transcription": "A12",
    "datacollection": "A13",
    "audiotranscription": "A14",
    "textcollection": "A15",
    "namedentityrecognition": "A17",
    "documenttranscription": "A18",
    "lidarannotation": "A19",
    "lidarsegmentation": "A20",
    "annotation": "A22",
}
CORNERS = [{"x": 1, "y": 2.5}, {"x": 3, "y": 4}]
LEGACY = {
    "polygonannotation": ({"label": "a", "vertices": CORNERS}, "polygon"),
    "lineannotation": ({"label": "a", "vertices": CORNERS}, "line"),
    "pointannotation": ({"label": "a", "x": 1, "y": 2.5}, "point"),
    "cuboidannotation": ({"label": "a", "vertices": CORNERS, "edges": []}, "cuboid"),
}


def test_every_task_type_has_a_tested_form(example: Any) -> None:
    """By an example, as a legacy type, or, for linked lidar tasks, by the link below."""
    assert {*EXAMPLE_OF_TYPE, *LEGACY, "lidarlinking"} == set(TASK_TYPES)
    assert all(example(name)["type"] == task_type for task_type, name in EXAMPLE_OF_TYPE.items())
    assert set(EXAMPLE_OF_TYPE.values()) <= set(FORMS)


@pytest.mark.parametrize("task_type", LEGACY)
def test_elements_of_legacy_types_have_the_geometry_of_their_task(task_type: str, tables: Any, drift: Drift) -> None:
    """They say no type and no uuid themselves."""
    element, geometry = LEGACY[task_type]
    task = answered({"annotations": [element]}, task_type)
    assert rows(tables, task, "geometry", "label", "annotation_id") == [(geometry, "a", None)]
    assert rows(tables, task, "vertices") == [(CORNERS if "vertices" in element else None,)]
    assert not drift


def test_results_of_linked_lidar_tasks_are_links(tables: Any, drift: Drift) -> None:
    """What lies behind them is not fetched."""
    task = answered({"annotations": {"url": "https://results.example.org/linked.json"}}, "lidarlinking")
    assert rows(tables, task, "geometry", "field", "url") == [
        ("url", "annotations", "https://results.example.org/linked.json")
    ]
    assert not drift


@pytest.mark.parametrize("name", ["A7b", "A8b", "A19b", "A20b", "A21"])
def test_a_file_that_stands_where_its_link_should_be_never_stops_an_export(
    name: str, example: Any, tables: Any
) -> None:
    """Whether its elements can be told or not; its text is kept."""
    for response in (example(name), {"annotations": example(name)}):
        found = tables(answered(response, "lidarlinking"))
        assert found["tasks"]["response_json"].to_pylist() == [msgspec.json.encode(response).decode()]


@pytest.mark.parametrize(
    "text",
    [
        '[{"x":1,"y":2.5},{"x":3,"y":4}]',
        '[{"x": 1, "y": 2.5}, {"x": 3, "y": 4}]',
        '[ {"x":1,\n"y":2.5} , {"y":4,"x":3} ]',
    ],
)
def test_vertices_are_read_however_they_are_written(text: str, tables: Any) -> None:
    """Beside others that are written in the usual way."""
    elements = f'{{"type":"line","vertices":{text}}},{{"type":"box","left":1}},{{"type":"line","vertices":[]}}'
    task = f'{{"task_id":"a","type":"imageannotation","response":{{"annotations":[{elements}]}}}}'
    found = tables(task.encode())["annotations"]["vertices"].to_pylist()
    assert found == [CORNERS, None, []]


@pytest.mark.parametrize(
    "text",
    [
        *('[{"x":1,"y":2,"z":3}]', '[{"x":1}]', '[{"x":"1","y":2}]', '[{"x":1,"y":null}]', '{"x":1,"y":2}', '"none"'),
        *("[[1,2]]", '[{"x1":2,"y":3}]', '[{"x":1,"y":9007199254740993}]', '[{"x":[1,2],"y":3}]', '[{"x":true,"y":1}]'),
        *('[{"x":1},{"x":1,"y":2,"y":3}]', '[{"y":1,"y":2}]', "[1]", "[1,2]", "7"),
    ],
)
def test_what_is_no_vertices_is_kept_and_counted(text: str, tables: Any, drift: Drift) -> None:
    """The vertices of all others are read all the same."""
    usual = '{"type":"line","vertices":[{"x":1,"y":2.5},{"x":3,"y":4}]}'
    elements = f'{usual},{{"type":"line","label":"a","vertices":{text}}},{usual}'
    task = f'{{"task_id":"a","type":"imageannotation","response":{{"annotations":[{elements}]}}}}'
    found = tables(task.encode())["annotations"]
    assert found["vertices"].to_pylist() == [CORNERS, None, CORNERS]
    assert found["extra_json"].to_pylist() == [None, f'{{"vertices":{text}}}', None]
    assert drift.misfits == {"annotations.vertices": 1}


@pytest.mark.parametrize("name", FORMS)
def test_each_documented_form_gives_its_rows_in_the_order_of_the_reply(
    name: str, example: Any, tables: Any, drift: Drift
) -> None:
    """Geometry, label, value and field are those of the table in the design; nothing of it is drift."""
    assert rows(tables, example(name), "geometry", "label", "value", "field") == FORMS[name]
    assert not drift


def test_a_rotated_box_has_its_unrotated_corner_its_angle_and_its_vertices(example: Any, tables: Any) -> None:
    """Integers and floats are both float64."""
    columns = ("left", "top", "width", "height", "rotation")
    assert rows(tables, example("A1"), *columns)[:2] == [
        (412.5, 188.0, 233.25, 170.75, 0.1745),
        (88.0, 143.0, 46.0, 131.0, None),
    ]
    assert rows(tables, example("A1"), "vertices")[0][0][0] == {"x": 415.1, "y": 168.3}


def test_a_point_has_x_and_y(example: Any, tables: Any) -> None:
    """They are at the top level of the element."""
    assert rows(tables, example("A1"), "x", "y")[4] == (111.0, 147.5)


def test_keys_of_an_element_without_a_column_go_to_its_extra_json(example: Any, tables: Any) -> None:
    """A cuboid's edges, a feature's refs and money."""
    assert rows(tables, example("A1"), "extra_json")[5] == ('{"edges":[]}',)
    text = rows(tables, example("A18"), "extra_json")[1][0]
    assert msgspec.json.decode(text) == {"refs": [], "money": {"amount": "914.29", "parsed": 914.29}}


def test_the_ends_of_a_link_are_in_its_attributes(example: Any, tables: Any) -> None:
    """Under the names that the service gave them."""
    text = rows(tables, example("A17"), "attributes_json")[5][0]
    assert msgspec.json.decode(text) == {
        "source_ref": "e02d7c1e-1111-4f6e-9a55-000000000002",
        "target_ref": "e03d7c1e-1111-4f6e-9a55-000000000003",
    }


def test_a_mask_has_its_own_url_index_and_colour(example: Any, tables: Any) -> None:
    """Instances of a label are told apart by their position."""
    found = rows(tables, example("A6"), "url", "attributes_json")
    assert found[3][0] == "https://results.example.org/seg/18_77_tree1.png"
    assert msgspec.json.decode(found[3][1]) == {"index": 4, "color": "#2ca02c"}


def test_repeatable_rows_carry_their_number(example: Any, tables: Any) -> None:
    """Plain fields do not."""
    numbers = [text for (text,) in rows(tables, example("A12"), "attributes_json")]
    assert numbers == [None, None, *(f'{{"row":{row}}}' for row in (0, 0, 1, 1, 2, 2))]


def test_a_feature_of_a_document_has_its_page_and_place(example: Any, tables: Any) -> None:
    """The place is a box or a polygon."""
    found = rows(tables, example("A18"), "page", "left", "vertices")
    assert found[0] == (0, 120.0, None)
    assert found[2][0] == 1
    assert len(found[2][2]) == 4


def test_spans_have_integer_ends(example: Any, tables: Any) -> None:
    """They index into the text of the task."""
    assert rows(tables, example("A17"), "start", "end")[0] == (0, 11)


@pytest.mark.parametrize("shape", ["annotations", "taxonomies"])
def test_a_taxonomy_gives_a_category_per_question_and_value(shape: str, tables: Any) -> None:
    """Neither spelling of the answer is documented; both are read."""
    task = answered({shape: {"mood": "glad", "topics": ["ships", "rain"]}}, "categorization")
    assert rows(tables, task, "geometry", "field", "label") == [
        ("category", "mood", "glad"),
        ("category", "topics", "ships"),
        ("category", "topics", "rain"),
    ]


def test_elements_by_uuid_are_elements(tables: Any) -> None:
    """The key is the id of an element that does not say its own."""
    task = answered({"annotations": {"u-1": {"type": "box", "label": "car", "left": 1, "top": 2}}})
    assert rows(tables, task, "annotation_id", "geometry", "left") == [("u-1", "box", 1.0)]


def test_frames_in_the_response_itself_give_a_row_each(example: Any, tables: Any) -> None:
    """As a list of frames, and as an object of objects with frames."""
    assert rows(tables, answered({"annotations": example("A7b")}), "frame", "label") == [
        (0, "truck"),
        (2, "truck"),
        (2, "car"),
    ]
    played = answered({"annotations": example("A8b")}, "videoplaybackannotation")
    assert rows(tables, played, "frame", "geometry", "left") == [(0, "box", 200.0), (6, "box", 204.5)]


def test_cuboids_of_lidar_frames_are_cuboids(example: Any, tables: Any, drift: Drift) -> None:
    """Their position and dimensions have no column and are kept."""
    ((geometry, extra),) = rows(tables, answered({"annotations": example("A19b")}), "geometry", "extra_json")
    assert geometry == "cuboid"
    assert msgspec.json.decode(extra)["position"] == {"x": 12.4, "y": -3.05, "z": 0.82}
    assert not drift


def test_a_wrapped_value_that_is_a_list_of_lists_gives_a_row_per_value(tables: Any) -> None:
    """The newer form of textcollection."""
    wrapped = {"q": {"type": "category", "field_id": "q", "response": [["a", "b"], ["c"]]}}
    assert rows(tables, answered({"annotations": wrapped}, "textcollection"), "field", "value") == [
        ("q", "a"),
        ("q", "b"),
        ("q", "c"),
    ]


def test_a_field_called_url_is_a_field(tables: Any) -> None:
    """In a text collection the keys are the caller's own."""
    task = answered({"annotations": {"url": "https://example.org"}}, "textcollection")
    assert rows(tables, task, "geometry", "field", "value") == [("text", "url", "https://example.org")]


@pytest.mark.parametrize(
    "response", [7, "text", ["a", "b"], {"annotations": 3}, {"annotations": ["a"]}, {"verdict": {"a": 1}}, [[1], [2]]]
)
def test_a_response_of_an_unknown_form_gives_no_rows_and_is_counted(response: Any, tables: Any, drift: Drift) -> None:
    """Its text is kept in response_json."""
    found = tables(answered(response))
    assert found["annotations"].num_rows == 0
    assert drift.unknown_responses == {"imageannotation": 1}
    assert found["tasks"]["response_json"].to_pylist() == [msgspec.json.encode(response).decode()]


@pytest.mark.parametrize("response", [{}, {"annotations": []}, {"annotations": {}}, {"annotations": None}, None])
def test_an_answer_of_nothing_is_no_drift(response: Any, tables: Any, drift: Drift) -> None:
    """Zero rows, one task."""
    assert tables(answered(response))["annotations"].num_rows == 0
    assert not drift


def test_a_coordinate_that_is_no_number_is_null_kept_and_counted(tables: Any, drift: Drift) -> None:
    """The element's other columns are as they should be."""
    task = answered({"annotations": [{"type": "box", "label": "a", "left": "12", "top": 3}]})
    assert rows(tables, task, "left", "top", "extra_json") == [(None, 3.0, '{"left":"12"}')]
    assert drift.misfits == {"annotations.left": 1}


@pytest.mark.parametrize("number", ["9007199254740993", "1e400"])
def test_a_number_that_float64_cannot_hold_is_never_rounded_silently(number: str, tables: Any) -> None:
    """Neither a large integer nor one beyond the range."""
    task = f'{{"task_id":"a","type":"annotation","response":{{"annotations":[{{"left":{number},"top":1}}]}}}}'
    found = tables(task.encode())["annotations"]
    assert found["left"].to_pylist() == [None]
    assert found["extra_json"].to_pylist() == [f'{{"left":{number}}}']


def test_vertices_with_more_than_x_and_y_are_kept_whole(tables: Any) -> None:
    """A cuboid's corners may have a type and description."""
    task = answered({"annotations": [{"type": "cuboid", "vertices": [{"x": 1, "y": 2, "type": "front"}]}]})
    assert rows(tables, task, "vertices", "extra_json") == [(None, '{"vertices":[{"x":1,"y":2,"type":"front"}]}')]


def test_an_unknown_key_of_an_element_is_kept_and_counted(tables: Any, drift: Drift) -> None:
    """Documented keys without a column are kept and not counted."""
    task = answered({"annotations": [{"type": "box", "left": 1, "certainty": 0.5, "edges": []}]})
    assert rows(tables, task, "extra_json") == [('{"certainty":0.5,"edges":[]}',)]
    assert drift.unknown_keys == {"annotations.certainty": 1}


def test_the_error_of_a_response_is_read_beside_a_partial_result() -> None:
    """Audio tasks may have both."""
    answer = flatten(Raw(b'{"error":"noise","transcript":"Good mor"}'), "audiotranscription")
    assert answer.error == "noise"
    assert [row.value for row in answer.rows] == ["Good mor"]
