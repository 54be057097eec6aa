"""Made-up but valid responses: what is truly there, and what a labeler of some skill makes of it; no SQL, no HTTP.

The truth depends on the seed and the content alone, so that equal tasks have equal truths; a labeler's answer
depends on the task's key and the labeler besides.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox.results import Recipe, color_of, link, recipe_of
from refonte_frames.sandbox.shapes import annotate, blur_annotations, label_names, legacy_annotate

if TYPE_CHECKING:
    from collections.abc import Callable

    from refonte_frames.sandbox.draws import Draws
    from refonte_frames.sandbox.results import Kind

__all__ = ["answer_of", "score", "truth_of", "with_uuids"]

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
    if params.get("hypothesis"):
        return dict(params["hypothesis"])
    return _TRUTHS[task_type](params, draws)


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
    if blur := _BLURS.get(task_type):
        return blur(params, truth, draws, correct)
    return truth if draws.uniform("is_right") < correct else _TRUTHS[task_type](params, draws.sub("wrong"))


def score(task_type: str, truth: Response, answer: Response) -> float:
    """Measure an answer against the truth: the share of elements that agree, 0 to 1."""
    place = _PLACES.get(task_type)
    if place is None:
        return float(answer == truth)
    wanted = {place(item) for item in _objects(truth)}
    found = {place(item) for item in _objects(answer)}
    everything = wanted | found
    return len(wanted & found) / len(everything) if everything else 1.0


def _objects(response: Response) -> list[Response]:
    """List the annotations, also of a hypothesis that has none, or odd ones."""
    annotations = response.get("annotations")
    return [item for item in annotations if isinstance(item, dict)] if isinstance(annotations, list) else []


def _box_place(item: Response) -> tuple[Any, ...]:
    return tuple(str(item.get(name)) for name in ("uuid", "type", "label"))


def _span_place(item: Response) -> tuple[Any, ...]:
    return tuple(str(item.get(name)) for name in ("start", "end", "label"))


_PLACES = {"imageannotation": _box_place, "namedentityrecognition": _span_place}


# categorization


def _categorize(params: Params, draws: Draws) -> Response:
    if params.get("categories"):
        return _with_ids(params, _choose(params["categories"], params, draws))
    return {"taxonomies": {q: _taxonomy_choice(q, spec, draws) for q, spec in params["taxonomies"].items()}}


def _taxonomy_choice(question: str, spec: Any, draws: Draws) -> list[str]:
    names = label_names(spec.get("choices") if isinstance(spec, dict) else spec) or ["yes", "no"]
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
    wrong = [name for name in categories if name != truth.get("category")]
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
    for at, item in enumerate(_objects(truth)):
        if draws.uniform("is_right", at) < correct:
            kept.append(item)
        elif draws.uniform("is_seen", at) < 0.5:
            kept.append({**item, "label": draws.pick(names, "wrong", at)})
    return {**truth, "annotations": kept}


# texts

_WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "field",
    "grove",
    "harbor",
    "island",
    "juniper",
    "kettle",
    "lantern",
)


def _phrase(draws: Draws, name: str, length: int = 3) -> str:
    return " ".join(draws.pick(_WORDS, name, n) for n in range(length))


def _compare(params: Params, draws: Draws) -> Response:
    found: Response = {}
    if params.get("choices"):
        found["choice"] = draws.pick(params["choices"], "choice")
    if params.get("fields"):
        found["fields"] = {key: _phrase(draws, key) for key in params["fields"]}
    return found


def _transcribe(params: Params, draws: Draws) -> Response:
    found: Response = {"fields": {key: _phrase(draws, key) for key in params["fields"]}}
    if columns := params.get("repeatable_fields") or params.get("row_fields"):
        count = draws.whole(1, 3, "rows")
        found["rows"] = [{key: _phrase(draws, f"{key} {n}", 1) for key in columns} for n in range(count)]
    return found


def _listen(_params: Params, draws: Draws) -> Response:
    seconds = round(draws.between(4, 1800, "duration"), 1)
    return {"transcript": _phrase(draws, "transcript", draws.whole(4, 30, "words")), "duration": seconds}


def _collect(params: Params, draws: Draws) -> Response:
    return {
        "annotations": {_field_id(field, n): _field_value(field, draws, n) for n, field in enumerate(params["fields"])}
    }


def _field_id(field: Params, n: int) -> str:
    return str(field.get("field_id") or f"field_{n}")


def _field_value(field: Params, draws: Draws, n: int) -> Any:
    kind = field.get("type")
    if kind == "boolean":
        return draws.uniform("field", n) < 0.5
    if kind == "number":
        return str(draws.whole(0, 100, "field", n))
    choices = field.get("choices")
    if isinstance(choices, list) and choices:
        chosen = draws.pick(choices, "field", n)
        value = chosen.get("value", chosen.get("label")) if isinstance(chosen, dict) else chosen
        most = field.get("max_responses_required")
        return [value] if isinstance(most, int) and most > 1 else value
    return _phrase(draws, f"field {n}")


def _read_document(params: Params, draws: Draws) -> Response:
    pages = params.get("attachments") or [params.get("attachment")]
    found: list[Response] = []
    for n, feature in enumerate(params["features"]):
        inner = draws.sub("feature", n)
        place = _document_place(params, inner)
        label = feature.get("label") or feature.get("title") or "feature"
        head = {"uuid": inner.uuid(), "page": inner.whole(0, len(pages) - 1, "page"), "label": label}
        found.append({**head, "text": _phrase(inner, "text"), "location": place, "refs": []})
    return {"annotations": found}


def _document_place(params: Params, draws: Draws) -> Response:
    left, top = round(draws.between(0, 500, "left"), 1), round(draws.between(0, 700, "top"), 1)
    wide, high = round(draws.between(20, 200, "width"), 1), round(draws.between(8, 40, "height"), 1)
    if params.get("geometry") != "polygon":
        return {"type": "box", "left": left, "top": top, "width": wide, "height": high}
    corners = ((left, top), (left + wide, top), (left + wide, top + high), (left, top + high))
    return {"type": "polygon", "vertices": [{"x": round(x, 1), "y": round(y, 1)} for x, y in corners]}


# results behind a link


def _segment(params: Params, draws: Draws) -> Response:
    own = draws.sub("mask")
    per_instance = set(params.get("instance_labels") or []) | _instance_names(params["labels"])
    names = list(dict.fromkeys(label_names(params["labels"])))
    indexes = _indexes(names, per_instance)
    count = max((index for found in indexes.values() for index in found), default=1)

    def url(kind: Kind, name: str, index: int = 0) -> str:
        gaps = bool(params.get("allow_unlabeled"))
        return link(Recipe(kind, own.key.hex(), count=count, index=index, has_gaps=gaps), f"{name}.png")

    mapping: Response = {}
    labeled: Response = {}
    for name, found in indexes.items():
        marks = [{"index": index, "color": "#{:02x}{:02x}{:02x}".format(*color_of(own, index))} for index in found]
        urls = [url("mask", f"mask-{index}", index) for index in found]
        is_single = name not in per_instance
        mapping[name], labeled[name] = (marks[0], urls[0]) if is_single else (marks, urls)
    combined = {"image": url("colors", "image"), "indexedImage": url("indexes", "indexed")}
    return {"labelMapping": mapping, "annotations": {"combined": combined, "labeled": labeled}}


def _instance_names(labels: list[Any]) -> set[str]:
    """Name the labels that ask for an index per instance (contract 5.2)."""
    wanted = [label for label in labels if isinstance(label, dict) and label.get("instance_label") is True]
    return set(label_names(wanted))


def _indexes(names: list[str], per_instance: set[str]) -> dict[str, list[int]]:
    """Count labels from 1 on, and each instance by itself: indexes never repeat (contract 5.4)."""
    numbers = itertools.count(1)
    return {name: [next(numbers) for _ in range(2 if name in per_instance else 1)] for name in names}


def _linked(**kinds: Kind) -> Callable[[Params, Draws], Response]:
    def make(params: Params, draws: Draws) -> Response:
        return {name: {"url": _file(params, draws, name, kind)} for name, kind in kinds.items()}

    return make


def _file(params: Params, draws: Draws, name: str, kind: Kind) -> str:
    # One purpose for all files of a response: they tell of the same frames.
    return link(recipe_of(params, draws.sub("files"), kind), f"{name}.json")


def with_uuids(response: Response, draws: Draws, *, keeps_given: bool) -> Response:
    """Give every annotation an id of its own: equal contents have equal truths, but no two objects share an id."""
    annotations = response.get("annotations")
    if not isinstance(annotations, list):
        return response
    renamed = [_with_uuid(item, draws.sub(n), keeps_given=keeps_given) for n, item in enumerate(annotations)]
    names = {
        old["uuid"]: new["uuid"]
        for old, new in zip(annotations, renamed, strict=True)
        if isinstance(old, dict) and isinstance(old.get("uuid"), str)
    }
    return {**response, "annotations": [_with_links(item, names) for item in renamed]}


def _with_links(item: Any, names: dict[str, str]) -> Any:
    """Let attributes that name another annotation name it by its new id."""
    attributes = item.get("attributes") if isinstance(item, dict) else None
    if not isinstance(attributes, dict):
        return item
    renamed = {key: names.get(value, value) if isinstance(value, str) else value for key, value in attributes.items()}
    return {**item, "attributes": renamed}


def _with_uuid(item: Any, draws: Draws, *, keeps_given: bool) -> Any:
    if not isinstance(item, dict):
        return item
    name = "id" if "start" in item else "uuid"
    is_legacy = name not in item and "type" not in item and name == "uuid"
    if is_legacy or (keeps_given and item.get(name)):
        return item
    return {**item, name: draws.uuid()}


_TRUTHS: dict[str, Callable[[Params, Draws], Response]] = {
    "categorization": _categorize,
    "namedentityrecognition": _recognize,
    "imageannotation": annotate,
    "segmentannotation": _segment,
    "videoannotation": _linked(annotations="frames"),
    "videoplaybackannotation": _linked(annotations="tracks", events="events"),
    "comparison": _compare,
    "transcription": _transcribe,
    "datacollection": _transcribe,
    "audiotranscription": _listen,
    "textcollection": _collect,
    "documenttranscription": _read_document,
    "lidarannotation": _linked(annotations="cuboids"),
    "lidarsegmentation": _linked(point_segmentations="points", annotations="cuboids"),
    "lidarlinking": _linked(annotations="cameras"),
    **{
        name: legacy_annotate(name)
        for name in ("annotation", "polygonannotation", "lineannotation", "pointannotation", "cuboidannotation")
    },
}

_BLURS: dict[str, Callable[[Params, Response, Draws, float], Response]] = {
    "categorization": _blur_category,
    "namedentityrecognition": _blur_spans,
    "imageannotation": blur_annotations,
}
