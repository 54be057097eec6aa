"""Made-up but valid responses: what is truly there, and what a labeler of some skill makes of it; no SQL, no HTTP.

The truth depends on the seed and the content alone, so that equal tasks have equal truths; a labeler's answer
depends on the task's key and the labeler besides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refonte_frames.sandbox.draws import Draws

__all__ = ["answer_of", "label_names", "score", "truth_of"]

Params = dict[str, Any]
Response = dict[str, Any]


def truth_of(task_type: str, params: Params, draws: Draws) -> Response:
    """Invent the right response.

    Parameters
    ----------
    task_type : str
        A documented type.
    params : dict
        The task's parameters.
    draws : Draws
        Of the content.
    """
    if isinstance(params.get("hypothesis"), dict) and params["hypothesis"]:
        return dict(params["hypothesis"])
    maker = _TRUTHS.get(task_type)
    return maker(params, draws) if maker else {}


def answer_of(task_type: str, params: Params, truth: Response, draws: Draws, correct: float) -> Response:
    """Give what a labeler hands in.

    Parameters
    ----------
    truth : dict
        From `truth_of`.
    draws : Draws
        Of the task, the labeler and the attempt.
    correct : float
        Chance of getting an element right, 0 to 1.
    """
    blur = _BLURS.get(task_type)
    return blur(params, truth, draws, correct) if blur else truth


def score(task_type: str, truth: Response, answer: Response) -> float:
    """Measure an answer against the truth: the share of elements that agree, 0 to 1."""
    if task_type not in ("imageannotation", "namedentityrecognition"):
        return float(answer == truth)
    place = _box_place if task_type == "imageannotation" else _span_place
    wanted = {place(item) for item in truth.get("annotations", [])}
    found = {place(item) for item in answer.get("annotations", [])}
    everything = wanted | found
    return len(wanted & found) / len(everything) if everything else 1.0


def _box_place(item: Response) -> tuple[str, ...]:
    return (item["type"], item["label"], item["uuid"])


def _span_place(item: Response) -> tuple[Any, ...]:
    return (item["start"], item["end"], item["label"])


def label_names(labels: Sequence[Any]) -> list[str]:
    """Give the names that may be answered: strings, and the leaves of label objects (contract 5.2)."""
    names: list[str] = []
    for label in labels:
        if isinstance(label, str):
            names.append(label)
        elif inner := label.get("subchoices"):
            names += label_names(inner)
        else:
            names.append(label.get("choice") or label.get("name") or "")
    return names


# categorization


def _categorize(params: Params, draws: Draws) -> Response:
    if params.get("categories"):
        return _with_ids(params, _choose(params["categories"], params, draws))
    return {"taxonomies": {q: _taxonomy_choice(q, spec, draws) for q, spec in params["taxonomies"].items()}}


def _taxonomy_choice(question: str, spec: Any, draws: Draws) -> list[str]:
    choices = spec.get("choices") if isinstance(spec, dict) else spec
    names = label_names(choices) if isinstance(choices, list) and choices else ["yes", "no"]
    return [draws.pick(names, "taxonomy", question)]


def _choose(categories: list[str], params: Params, draws: Draws) -> Any:
    if not params.get("allow_multiple"):
        return draws.pick(categories, "category")
    chosen = [name for n, name in enumerate(categories) if draws.uniform("category", n) < 0.4]
    return chosen or [draws.pick(categories, "category")]


def _with_ids(params: Params, category: Any) -> Response:
    ids = {name: key for key, name in (params.get("category_ids") or {}).items() if isinstance(name, str)}
    if not ids:
        return {"category": category}
    if isinstance(category, list):
        return {"category": category, "category_id": [ids.get(name) for name in category]}
    return {"category": category, "category_id": ids.get(category)}


def _blur_category(params: Params, truth: Response, draws: Draws, correct: float) -> Response:
    categories = params.get("categories")
    if not categories or draws.uniform("is_right") < correct:
        return truth
    if params.get("allow_multiple"):
        return _with_ids(params, _choose(categories, params, draws.sub("again")))
    wrong = [name for name in categories if name != truth["category"]]
    return _with_ids(params, draws.pick(wrong, "wrong")) if wrong else truth


# namedentityrecognition

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


def _recognize(params: Params, draws: Draws) -> Response:
    text, names = params["text"], label_names(params["labels"])
    spans = [match.span() for match in _WORD.finditer(text)]
    named = [span for n, span in enumerate(spans) if draws.uniform("entity", n) < _chance(text[slice(*span)])]
    annotations = [
        _span(text, start, end, draws.pick(names, "label", text[start:end]), draws.uuid("span", start))
        for start, end in named
    ]
    return {"annotations": annotations, "relationships": []}


def _chance(word: str) -> float:
    """Capitalised words and numbers are names more often."""
    return 0.6 if word[0].isupper() or word.isdigit() else 0.06


def _span(text: str, start: int, end: int, label: str, uuid: str) -> Response:
    return {"id": uuid, "start": start, "end": end, "text": text[start:end], "label": label}


def _blur_spans(params: Params, truth: Response, draws: Draws, correct: float) -> Response:
    names = label_names(params["labels"])
    kept = []
    for item in truth.get("annotations", []):
        at = item["start"]
        if draws.uniform("is_right", at) < correct:
            kept.append(item)
        elif draws.uniform("is_seen", at) < 0.5:
            kept.append({**item, "label": draws.pick(names, "wrong", at)})
    return {**truth, "annotations": kept}


# imageannotation

_SIZES = ((640, 480), (1280, 720), (1920, 1080))


def _annotate(params: Params, draws: Draws) -> Response:
    width, height = draws.pick(_SIZES, "size")
    annotations: list[Response] = []
    for geometry, spec in params["geometries"].items():
        chosen = spec if isinstance(spec, dict) else {}
        names = label_names(chosen.get("objects_to_annotate") or []) or ["object"]
        for n in range(draws.whole(0 if annotations else 1, 4, geometry, "objects")):
            inner = draws.sub(geometry, n)
            shape = _SHAPES.get(geometry, _box)(chosen, inner, width, height)
            head = {"uuid": inner.uuid(), "type": geometry, "label": inner.pick(names, "label")}
            annotations.append({**head, **shape, "attributes": _attributes(params, inner)})
    return {"annotations": annotations, "links": [], "global_attributes": {}}


def _box(spec: Params, draws: Draws, width: int, height: int) -> Response:
    wide = _size(spec.get("min_width"), width, draws, "width")
    high = _size(spec.get("min_height"), height, draws, "height")
    left, top = draws.between(0, max(width - wide, 0), "left"), draws.between(0, max(height - high, 0), "top")
    values = {"left": left, "top": top, "width": wide, "height": high}
    if spec.get("integer_pixels"):
        return {"left": int(left), "top": int(top), "width": -int(-wide // 1), "height": -int(-high // 1)}
    return {name: round(value, 2) for name, value in values.items()}


def _size(least: Any, whole: int, draws: Draws, name: str) -> float:
    low = float(least) if isinstance(least, int | float) and least > 0 else whole * 0.04
    return draws.between(low, max(whole * 0.4, low), name)


def _vertices(spec: Params, draws: Draws, width: int, height: int) -> Response:
    low = spec.get("min_vertices") if isinstance(spec.get("min_vertices"), int) else 1
    high = spec.get("max_vertices") if isinstance(spec.get("max_vertices"), int) else None
    least = max(int(low or 1), 3) if high is None or high >= 3 else int(high)
    count = draws.whole(least, max(least, min(high or 12, least + 6)), "vertices")
    return {"vertices": _points(count, draws, width, height)}


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


def _attributes(params: Params, draws: Draws) -> Response:
    specs = params.get("annotation_attributes") or {}
    return {name: _attribute(name, spec, draws) for name, spec in specs.items() if isinstance(spec, dict)}


def _attribute(name: str, spec: Params, draws: Draws) -> Any:
    kind = spec.get("type", "category")
    if kind == "number":
        return draws.whole(0, 20, "attribute", name)
    if kind == "angle":
        return round(draws.between(0, 360, "attribute", name), 1)
    choices = label_names(spec["choices"]) if isinstance(spec.get("choices"), list) and spec["choices"] else []
    chosen = draws.pick(choices, "attribute", name) if choices else "unclear"
    return [chosen] if spec.get("allow_multiple") else chosen


def _blur_annotations(params: Params, truth: Response, draws: Draws, correct: float) -> Response:
    """Miss some, mislabel some, and draw every box a little off: the better the labeler, the less."""
    kept = []
    for n, item in enumerate(truth.get("annotations", [])):
        inner = draws.sub("object", n)
        is_right = inner.uniform("is_right") < correct
        if is_right or inner.uniform("is_seen") < 0.5:
            kept.append(_moved(params, item if is_right else _mislabeled(params, item, inner), inner, correct))
    return {**truth, "annotations": kept}


def _mislabeled(params: Params, item: Response, draws: Draws) -> Response:
    spec = params["geometries"].get(item.get("type"))
    names = label_names((spec.get("objects_to_annotate") if isinstance(spec, dict) else None) or [])
    return {**item, "label": draws.pick(names, "wrong")} if names else item


def _moved(params: Params, item: Response, draws: Draws, correct: float) -> Response:
    spec = params["geometries"].get(item.get("type"))
    is_whole = isinstance(spec, dict) and spec.get("integer_pixels")
    spread = 1 + 8 * (1 - correct)
    moved = {
        name: max(0.0, item[name] + spread * draws.normal("move", name))
        for name in ("left", "top", "x", "y")
        if isinstance(item.get(name), int | float)
    }
    return {**item, **{name: int(value) if is_whole else round(value, 2) for name, value in moved.items()}}


_TRUTHS: dict[str, Callable[[Params, Draws], Response]] = {
    "categorization": _categorize,
    "namedentityrecognition": _recognize,
    "imageannotation": _annotate,
}

_BLURS: dict[str, Callable[[Params, Response, Draws, float], Response]] = {
    "categorization": _blur_category,
    "namedentityrecognition": _blur_spans,
    "imageannotation": _blur_annotations,
}
