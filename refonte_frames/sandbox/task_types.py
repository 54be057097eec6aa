"""What each task type demands and understands (contract 5.2), as data with one function that checks it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from refonte_frames.api import ATTACHMENT_TYPES, MAX_TAGS, OTHER_TASK_TYPES, PRIORITY_MAX, PRIORITY_MIN
from refonte_frames.sandbox import checks
from refonte_frames.sandbox.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "COMMON",
    "TYPES",
    "TypeRule",
    "check_params",
    "check_tags",
    "rule_of",
    "tag_list",
    "understood",
    "unknown_names",
]


def tag_list(value: Any) -> str:
    """Accept a list, also an empty one, of non-empty strings (contract 2.3)."""
    is_well = isinstance(value, list) and all(not checks.a_text(item) for item in value)
    return "" if is_well else "must be an array of non-empty strings"


#: Parameters of every type that are served at the top of a task, not under ``params`` (contract 2.3).
COMMON: dict[str, checks.Form] = {
    "project": checks.a_text,
    "batch": checks.a_text,
    "instruction": checks.a_text,
    "callback_url": checks.a_callback,
    "callback": checks.a_callback,
    "metadata": checks.an_object,
    "priority": checks.whole_between(PRIORITY_MIN, PRIORITY_MAX),
    "unique_id": checks.a_text,
    "clear_unique_id_on_error": checks.a_bool,
    "tags": tag_list,
}

#: Type-specific parameters: what form each takes, wherever it occurs.
FORMS: dict[str, checks.Form] = {
    "attachment": checks.a_text,
    "attachments": checks.a_list_of_texts,
    "attachment_type": checks.one_of(*ATTACHMENT_TYPES),
    "geometries": checks.non_empty_object,
    "annotation_attributes": checks.an_object,
    "links": checks.anything,
    "hypothesis": checks.an_object,
    "layers": checks.anything,
    "context_attachments": checks.anything,
    "context_attachment": checks.anything,
    "labels": checks.labels,
    "allow_unlabeled": checks.a_bool,
    "instance_labels": checks.a_list_of_texts,
    "events_to_annotate": checks.a_list_of_texts,
    "frame_rate": checks.a_number,
    "annotation_frame_rate": checks.a_number,
    "video_frame_rate": checks.a_number,
    "categories": checks.a_list_of_texts,
    "taxonomies": checks.non_empty_object,
    "allow_multiple": checks.a_bool,
    "category_ids": checks.an_object,
    "choices": checks.a_list_of_texts,
    "fields": checks.non_empty_object,
    "repeatable_fields": checks.an_object,
    "row_fields": checks.an_object,
    "verbatim": checks.a_bool,
    "title": checks.a_text,
    "description": checks.a_text,
    "responses_required": checks.a_whole,
    "text": checks.a_text,
    "relationships": checks.anything,
    "merge_newlines": checks.a_bool,
    "features": checks.a_list_of_objects,
    "lang": checks.a_text,
    "geometry": checks.one_of("box", "polygon"),
    "max_distance_meters": checks.a_number,
    "pitch_and_roll_enabled": checks.a_bool,
    "lidar_task": checks.a_text,
    "lidar_task_frames": checks.anything,
    "annotation_type": checks.a_text,
    "objects_to_annotate": checks.a_list_of_texts,
    "with_labels": checks.a_bool,
    "min_width": checks.a_number,
    "min_height": checks.a_number,
    "examples": checks.anything,
}


@dataclass(frozen=True, slots=True)
class TypeRule:
    """One row of contract 5.2.

    Attributes
    ----------
    required : tuple of tuple of str
        Each inner tuple is a need; any one of its names meets it.
    optional : tuple of str
        Understood besides.
    forms : mapping
        Forms that differ from `FORMS` for this type.
    """

    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()
    forms: tuple[tuple[str, checks.Form], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Every type-specific name that is understood."""
        return frozenset((*(name for need in self.required for name in need), *self.optional))


def _two_texts(value: Any) -> str:
    is_well = not checks.a_list_of_texts(value) and len(value) >= 2
    return "" if is_well else "must be an array of at least two non-empty strings"


def _at_most_50_labels(value: Any) -> str:
    return checks.labels(value) or ("must hold at most 50 labels" if len(value) > 50 else "")


_LEGACY = TypeRule(
    (("attachment",), ("objects_to_annotate",)),
    ("attachment_type", "with_labels", "min_width", "min_height", "examples"),
)
_PROBE = ("attachment_type", "hypothesis")

TYPES: dict[str, TypeRule] = {
    "imageannotation": TypeRule(
        (("attachment",), ("geometries",)),
        ("annotation_attributes", "links", "context_attachments", "context_attachment", "layers", *_PROBE),
    ),
    "segmentannotation": TypeRule(
        (("attachment",), ("labels",)),
        ("allow_unlabeled", "instance_labels", *_PROBE),
        (("labels", _at_most_50_labels),),
    ),
    "videoannotation": TypeRule(
        (("attachments", "attachment"), ("geometries",)),
        ("annotation_attributes", "events_to_annotate", "frame_rate", *_PROBE),
    ),
    "videoplaybackannotation": TypeRule(
        (("attachment",), ("geometries",)),
        (
            "annotation_attributes",
            "frame_rate",
            "annotation_frame_rate",
            "video_frame_rate",
            "events_to_annotate",
            *_PROBE,
        ),
    ),
    "categorization": TypeRule(
        (("attachment",), ("attachment_type",), ("categories", "taxonomies")),
        ("allow_multiple", "category_ids", "hypothesis"),
    ),
    "comparison": TypeRule(
        (("attachments",), ("attachment_type",), ("choices", "fields")), (), (("attachments", _two_texts),)
    ),
    "transcription": TypeRule(
        (("attachment",), ("attachment_type",), ("fields",)), ("repeatable_fields", "row_fields")
    ),
    "datacollection": TypeRule((("attachment",), ("attachment_type",), ("fields",))),
    "audiotranscription": TypeRule((("attachment",),), ("attachment_type", "verbatim")),
    "textcollection": TypeRule(
        (("attachments",), ("fields",)),
        ("title", "description", "responses_required", "attachment_type"),
        (("attachments", checks.a_list_of_objects), ("fields", checks.a_list_of_objects)),
    ),
    "namedentityrecognition": TypeRule((("text",), ("labels",)), ("relationships", "merge_newlines", "hypothesis")),
    "documenttranscription": TypeRule((("attachments", "attachment"), ("features",)), ("lang", "geometry", *_PROBE)),
    "lidarannotation": TypeRule(
        (("attachments",), ("attachment_type",), ("labels",)),
        ("max_distance_meters", "pitch_and_roll_enabled", "annotation_attributes", "hypothesis"),
        (("attachment_type", checks.one_of("json")),),
    ),
    "lidarsegmentation": TypeRule((("attachments", "lidar_task"),), ("labels", "lidar_task_frames", *_PROBE)),
    "lidarlinking": TypeRule((("lidar_task",),), ("annotation_type",)),
    "annotation": _LEGACY,
    "polygonannotation": _LEGACY,
    "lineannotation": _LEGACY,
    "pointannotation": _LEGACY,
    "cuboidannotation": _LEGACY,
}


def rule_of(task_type: str) -> TypeRule:
    """Look a task type up.

    Raises
    ------
    Refusal
        402 for a type that is known by name only, 404 for any other (contract 5.1).
    """
    rule = TYPES.get(task_type)
    if rule is None and task_type in OTHER_TASK_TYPES:
        raise Refusal(402, f"The task type {task_type!r} is not enabled for this account.")
    if rule is None:
        raise Refusal(404, f"There is no task type {task_type!r}.")
    return rule


def unknown_names(task_type: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what a creation request holds and the documents do not know."""
    known = TYPES[task_type].names
    return tuple(n for n, value in body.items() if n not in COMMON and n not in known and value is not None)


def understood(task_type: str, params: dict[str, Any]) -> dict[str, Any]:
    """Give the parameters of a stored task that mean something for its type.

    The others were neither checked nor refused, only warned of: a ``hypothesis`` of a comparison may be anything.
    """
    known = _names_of(task_type)
    return params if params.keys() <= known else {name: value for name, value in params.items() if name in known}


@cache
def _names_of(task_type: str) -> frozenset[str]:
    return TYPES[task_type].names


_NO_ATTACHMENT = Refusal(400, "Please include an attachment or attachments parameter")


def check_params(task_type: str, params: Mapping[str, Any], *, has_project: bool) -> None:
    """Check the type-specific parameters of a task after the project's were filled in.

    Raises
    ------
    Refusal
        400 that names the parameter.
    """
    rule = TYPES[task_type]
    for need in rule.required:
        if not any(params.get(name) is not None for name in need):
            raise _missing(need)
    own = dict(rule.forms)
    for name, value in params.items():
        form = own.get(name) or FORMS.get(name)
        if value is not None and form and name in rule.names and (why := form(value)):
            raise checks.invalid(name, why)
    if params.get("attachment") is not None and params.get("attachments") is not None:
        raise checks.invalid("attachments", "cannot be given together with attachment")
    _check_pairs(task_type, params, has_project=has_project)


def _missing(need: tuple[str, ...]) -> Refusal:
    if need[0] in ("attachment", "attachments") and "lidar_task" not in need:
        return _NO_ATTACHMENT
    return checks.invalid(" or ".join(need), "is required") if len(need) > 1 else checks.required(need[0])


def _check_pairs(task_type: str, params: Mapping[str, Any], *, has_project: bool) -> None:
    """Check the rules that tie two parameters together."""
    if task_type == "videoannotation":
        wanted = {"image": "attachments", "video": "attachment"}.get(params.get("attachment_type") or "")
        if wanted and params.get(wanted) is None:
            raise checks.invalid(wanted, f"is required when attachment_type is {params['attachment_type']}")
    if task_type == "lidarsegmentation":
        if not has_project:
            raise checks.invalid("project", "or batch is required")
        if params.get("lidar_task") is not None and params.get("attachments") is not None:
            raise checks.invalid("attachments", "cannot be given together with lidar_task")
        if params.get("lidar_task") is None and params.get("labels") is None:
            raise checks.required("labels")


def check_tags(tags: list[str]) -> list[str]:
    """Drop repetitions, keep the order, and hold the documented limit.

    Raises
    ------
    Refusal
        400 when more than `MAX_TAGS` are left.
    """
    kept = list(dict.fromkeys(tags))
    if len(kept) > MAX_TAGS:
        raise checks.invalid("tags", f"must hold at most {MAX_TAGS} tags, not {len(kept)}")
    return kept
