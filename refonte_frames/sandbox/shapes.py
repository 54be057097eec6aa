"""Made-up drawings on images: boxes, polygons, points and the rest, inside the image and the asked limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from refonte_frames.sandbox.draws import Draws

__all__ = ["SIZES", "annotate", "blur_annotations", "label_names", "legacy_annotate"]

Params = dict[str, Any]
Response = dict[str, Any]


def label_names(labels: Any) -> list[str]:
    """Give the names that may be answered: strings, and the leaves of label objects (contract 5.2).

    What is neither is passed over: the service takes more than the documents describe.
    """
    names: list[str] = []
    for label in labels if isinstance(labels, list) else []:
        if isinstance(label, str):
            names.append(label)
        elif isinstance(label, dict):
            name = label.get("choice") or label.get("name")
            names += label_names(label.get("subchoices")) or ([name] if isinstance(name, str) else [])
    return names


def _names_of(spec: Any) -> list[str]:
    return label_names(spec.get("objects_to_annotate") if isinstance(spec, dict) else None)


#: Of made-up pictures: the attachments are never fetched.
SIZES = ((640, 480), (1280, 720), (1920, 1080))


def annotate(params: Params, draws: Draws) -> Response:
    """Draw what is truly there: every asked geometry occurs, the first of them at least once."""
    width, height = draws.pick(SIZES, "size")
    annotations: list[Response] = []
    for geometry, spec in params["geometries"].items():
        chosen = spec if isinstance(spec, dict) else {}
        names = _names_of(spec) or ["object"]
        for n in range(draws.whole(0 if annotations else 1, 4, geometry, "objects")):
            inner = draws.sub(geometry, n)
            shape = _SHAPES.get(geometry, _box)(chosen, inner, width, height)
            head = {"uuid": inner.uuid(), "type": geometry, "label": inner.pick(names, "label")}
            annotations.append({**head, **shape, "attributes": _attributes(params, inner)})
    return {"annotations": _linked(params, annotations, draws), "links": [], "global_attributes": {}}


def _linked(params: Params, annotations: list[Response], draws: Draws) -> list[Response]:
    """Let linked attributes name another annotation with an allowed label; without one they are left out."""
    specs = {name: spec for name, spec in _specs(params).items() if spec.get("type") == "linked"}
    found = []
    for n, item in enumerate(annotations):
        chosen = {name: _link_of(spec, item, annotations, draws.sub("linked", n, name)) for name, spec in specs.items()}
        links = {name: uuid for name, uuid in chosen.items() if uuid is not None}
        found.append({**item, "attributes": {**item["attributes"], **links}})
    return found


def _link_of(spec: Params, item: Response, annotations: list[Response], draws: Draws) -> str | None:
    allowed = label_names(spec.get("allowed_labels"))
    others = [other for other in annotations if other is not item and (not allowed or other["label"] in allowed)]
    return str(draws.pick(others, "target")["uuid"]) if others else None


def _box(spec: Params, draws: Draws, width: int, height: int) -> Response:
    wide = _size(spec.get("min_width"), width, draws, "width")
    high = _size(spec.get("min_height"), height, draws, "height")
    left, top = draws.between(0, max(width - wide, 0), "left"), draws.between(0, max(height - high, 0), "top")
    values = {"left": left, "top": top, "width": wide, "height": high}
    if spec.get("can_rotate") is True:
        return _rotated(values, draws.between(-math.pi / 2, math.pi / 2, "rotation"))
    if spec.get("integer_pixels"):
        return {"left": int(left), "top": int(top), "width": -int(-wide // 1), "height": -int(-high // 1)}
    return {name: round(value, 2) for name, value in values.items()}


def _rotated(values: dict[str, float], angle: float) -> Response:
    """Turn a box clockwise about its middle; left and top stay those of the unturned one (contract 5.3)."""
    x, y = values["left"] + values["width"] / 2, values["top"] + values["height"] / 2
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ways = [(a * values["width"] / 2, b * values["height"] / 2) for a, b in corners]
    cos, sin = math.cos(angle), math.sin(angle)
    vertices = [{"x": round(x + a * cos - b * sin, 2), "y": round(y + a * sin + b * cos, 2)} for a, b in ways]
    rounded = {name: round(value, 2) for name, value in values.items()}
    return {**rounded, "rotation": round(angle, 4), "vertices": vertices}


def _size(least: Any, whole: int, draws: Draws, name: str) -> float:
    # The image is never fetched: an absurd minimum is met by an absurd box, within reason.
    low = float(min(least, 1_000_000)) if isinstance(least, int | float) and least > 0 else whole * 0.04
    return draws.between(low, max(whole * 0.4, low), name)


def _vertices(spec: Params, draws: Draws, width: int, height: int) -> Response:
    low, high = _bound(spec.get("min_vertices"), 1), _bound(spec.get("max_vertices"), _MOST_VERTICES)
    least = min(max(low, 3), max(low, high))
    count = draws.whole(least, max(least, min(high, least + 6)), "vertices")
    return {"vertices": _points(count, draws, width, height)}


_MOST_VERTICES = 200


def _bound(value: Any, default: int) -> int:
    return min(max(value, 1), _MOST_VERTICES) if isinstance(value, int) else default


def _points(count: int, draws: Draws, width: int, height: int) -> list[Response]:
    return [
        {
            "x": round(draws.between(0, width, "x", n), 2),
            "y": round(draws.between(0, height, "y", n), 2),
        }
        for n in range(count)
    ]


def _point(_spec: Params, draws: Draws, width: int, height: int) -> Response:
    return _points(1, draws, width, height)[0]


def _ellipse(_spec: Params, draws: Draws, width: int, height: int) -> Response:
    x, y = draws.between(width * 0.3, width * 0.7, "x"), draws.between(height * 0.3, height * 0.7, "y")
    rx, ry = draws.between(2, width * 0.2, "rx"), draws.between(2, height * 0.2, "ry")
    ends = ((x - rx, y), (x, y - ry), (x + rx, y), (x, y + ry))
    return {"vertices": [{"x": round(a, 2), "y": round(b, 2)} for a, b in ends]}


def _cuboid(_spec: Params, draws: Draws, width: int, height: int) -> Response:
    points = _points(8, draws, width, height)
    return {"vertices": [{**point, "type": "vertex"} for point in points], "edges": []}


_SHAPES: dict[str, Callable[[Params, Draws, int, int], Response]] = {
    "box": _box,
    "polygon": _vertices,
    "line": _vertices,
    "point": _point,
    "ellipse": _ellipse,
    "cuboid": _cuboid,
}


def _specs(params: Params) -> dict[str, Params]:
    specs = params.get("annotation_attributes") or {}
    return {name: spec for name, spec in specs.items() if isinstance(spec, dict)}


def _attributes(params: Params, draws: Draws) -> Response:
    """Answer every attribute but the linked ones, which need all annotations."""
    specs = _specs(params).items()
    return {name: _attribute(name, spec, draws) for name, spec in specs if spec.get("type") != "linked"}


def _attribute(name: str, spec: Params, draws: Draws) -> Any:
    kind = spec.get("type", "category")
    if kind == "number":
        return draws.whole(0, 20, "attribute", name)
    if kind == "angle":
        return round(draws.between(0, 360, "attribute", name), 1)
    if kind == "text":
        return f"{draws.pick('ABCDEFGHKLMNP', 'letter', name)}-{draws.whole(1, 99, 'attribute', name)}"
    choices = label_names(spec.get("choices"))
    chosen = draws.pick(choices, "attribute", name) if choices else "unclear"
    return [chosen] if spec.get("allow_multiple") else chosen


def blur_annotations(params: Params, truth: Response, draws: Draws, correct: float) -> Response:
    """Miss some, mislabel some, and draw every box a little off: the better the labeler, the less.

    What is no object in a hypothesis' annotations, or an expected response's, nobody repeats.
    """
    kept = []
    annotations = truth.get("annotations")
    for n, item in enumerate(annotations if isinstance(annotations, list) else []):
        if not isinstance(item, dict):
            continue
        inner = draws.sub("object", n)
        is_right = inner.uniform("is_right") < correct
        if is_right or inner.uniform("is_seen") < 0.5:
            kept.append(_moved(params, item if is_right else _mislabeled(params, item, inner), inner, correct))
    return {**truth, "annotations": _without_lost_links(params, kept)}


def _without_lost_links(params: Params, annotations: list[Response]) -> list[Response]:
    """Take away linked attributes that name an annotation which was missed."""
    linked = {name for name, spec in _specs(params).items() if spec.get("type") == "linked"}
    if not linked:
        return annotations
    seen = {str(item.get("uuid")) for item in annotations}
    return [_keeping(item, lambda name, value: name not in linked or str(value) in seen) for item in annotations]


def _keeping(item: Response, is_kept: Callable[[str, Any], bool]) -> Response:
    attributes = item.get("attributes")
    if not isinstance(attributes, dict):
        return item
    return {**item, "attributes": {name: value for name, value in attributes.items() if is_kept(name, value)}}


def _points_in(value: Any) -> list[Response]:
    """Give a list of points, or none where it is something else: what a hypothesis holds is the caller's."""
    points = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    numbers = [number for each in points for number in (each.get("x"), each.get("y"))]
    is_well = all(isinstance(number, int | float) for number in numbers) and points == value
    return points if is_well else []


def _spec_of(params: Params, item: Response) -> Params:
    spec = params["geometries"].get(str(item.get("type")))
    return spec if isinstance(spec, dict) else {}


def _mislabeled(params: Params, item: Response, draws: Draws) -> Response:
    names = _names_of(_spec_of(params, item))
    return {**item, "label": draws.pick(names, "wrong")} if names else item


def _moved(params: Params, item: Response, draws: Draws, correct: float) -> Response:
    is_whole = bool(_spec_of(params, item).get("integer_pixels"))
    spread = 1 + 8 * (1 - correct)
    moved = {
        name: max(0.0, item[name] + spread * draws.normal("move", name))
        for name in ("left", "top", "x", "y")
        if isinstance(item.get(name), int | float)
    }
    shifted = {name: int(value) if is_whole else round(value, 2) for name, value in moved.items()}
    return {**item, **shifted, **_moved_corners(item, shifted)}


def _moved_corners(item: Response, shifted: Response) -> Response:
    """Let the corners of a turned box go along with it."""
    corners = _points_in(item.get("vertices"))
    if "rotation" not in item or not {"left", "top"} <= shifted.keys() or not corners:
        return {}
    x, y = shifted["left"] - item["left"], shifted["top"] - item["top"]
    return {"vertices": [{"x": round(each["x"] + x, 2), "y": round(each["y"] + y, 2)} for each in corners]}


#: Types older than imageannotation, and what they draw (contract 5.4): neither uuid nor type.
_LEGACY = {
    "annotation": _box,
    "polygonannotation": _vertices,
    "lineannotation": _vertices,
    "pointannotation": _point,
    "cuboidannotation": _cuboid,
}


def legacy_annotate(task_type: str) -> Callable[[Params, Draws], Response]:
    """Give the drawer of an older type."""
    shape = _LEGACY[task_type]

    def draw(params: Params, draws: Draws) -> Response:
        width, height = draws.pick(SIZES, "size")
        names = label_names(params["objects_to_annotate"])
        drawn = []
        for n in range(draws.whole(1, 4, "objects")):
            inner = draws.sub("object", n)
            drawn.append({**shape(params, inner, width, height), "label": inner.pick(names, "label")})
        return {"annotations": drawn}

    return draw
