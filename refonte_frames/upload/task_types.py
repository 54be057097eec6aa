"""What each task type asks for, as the client reads the documentation (contract 5.2). Data and one check; pure.

The sandbox has a list of its own, made independently: a test compares the two through HTTP.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from refonte_frames.api import OTHER_TASK_TYPES, TASK_TYPES
from refonte_frames.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "COMMON_FIELDS",
    "checked_type",
    "inheritable_parameters",
    "is_filled",
    "is_parameter",
    "missing_groups",
    "missing_parameters",
    "takes_attachments",
]

#: Fields that every task takes; all others of a body are parameters of its type (contract 2.3).
COMMON_FIELDS: Final = (
    "type",
    "project",
    "batch",
    "instruction",
    "callback_url",
    "metadata",
    "priority",
    "unique_id",
    "clear_unique_id_on_error",
    "tags",
)

_ATTACHMENT: Final = ("attachment", "attachments", "attachment_type")


@dataclass(frozen=True, slots=True)
class _Needs:
    """`required`: each entry must be there, an inner tuple asks for one of its names."""

    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()


def _legacy(*more: str) -> _Needs:
    optional = ("with_labels", "min_width", "min_height", "examples", *more)
    return _Needs((("attachment",), ("objects_to_annotate",)), optional)


_NEEDS: Final[dict[str, _Needs]] = {
    "imageannotation": _Needs(
        (("attachment",), ("geometries",)),
        (
            "annotation_attributes",
            "links",
            "hypothesis",
            "context_attachments",
            "context_attachment",
            "layers",
        ),
    ),
    "segmentannotation": _Needs((("attachment",), ("labels",)), ("allow_unlabeled", "instance_labels")),
    "videoannotation": _Needs(
        (("attachment", "attachments"), ("geometries",)),
        ("annotation_attributes", "events_to_annotate", "frame_rate"),
    ),
    "videoplaybackannotation": _Needs(
        (("attachment",), ("geometries",)),
        (
            "annotation_attributes",
            "frame_rate",
            "annotation_frame_rate",
            "video_frame_rate",
            "events_to_annotate",
            "hypothesis",
        ),
    ),
    "categorization": _Needs(
        (("attachment",), ("attachment_type",), ("categories", "taxonomies")), ("allow_multiple", "category_ids")
    ),
    "comparison": _Needs((("attachments",), ("attachment_type",), ("choices", "fields"))),
    "transcription": _Needs((("attachment",), ("attachment_type",), ("fields",)), ("repeatable_fields", "row_fields")),
    "datacollection": _Needs((("attachment",), ("attachment_type",), ("fields",))),
    "audiotranscription": _Needs((("attachment",),), ("verbatim",)),
    "textcollection": _Needs((("attachments",), ("fields",)), ("title", "description", "responses_required")),
    "namedentityrecognition": _Needs((("text",), ("labels",)), ("relationships", "merge_newlines")),
    "documenttranscription": _Needs((("attachment", "attachments"), ("features",)), ("lang", "geometry", "hypothesis")),
    "lidarannotation": _Needs(
        (("attachments",), ("attachment_type",), ("labels",)),
        ("max_distance_meters", "pitch_and_roll_enabled", "annotation_attributes"),
    ),
    "lidarsegmentation": _Needs(
        (("project", "batch"), ("attachments", "lidar_task"), ("labels", "lidar_task")), ("lidar_task_frames",)
    ),
    "lidarlinking": _Needs((("lidar_task",),), ("annotation_type",)),
    "annotation": _legacy(),
    "polygonannotation": _legacy(),
    "lineannotation": _legacy(),
    "pointannotation": _legacy(),
    "cuboidannotation": _legacy(),
}

#: Types whose tasks take a list of attachments, so that rows can be grouped into one.
_LIST_TYPES: Final = frozenset(
    name for name, needs in _NEEDS.items() if any("attachments" in group for group in needs.required)
)


def checked_type(name: Any) -> str:
    """Return `name` if it is a task type of the service.

    Raises
    ------
    InputError
        Otherwise, with the nearest names.
    """
    if name in TASK_TYPES or name in OTHER_TASK_TYPES:
        return str(name)
    near = difflib.get_close_matches(str(name), TASK_TYPES, n=2, cutoff=0.75)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(TASK_TYPES)}."
    raise InputError(f"{name!r} is no task type. {hint}")


def takes_attachments(task_type: str) -> bool:
    """Whether a task of this type can hold a list of attachments."""
    return task_type in _LIST_TYPES or task_type not in _NEEDS


def is_parameter(name: str, task_type: str | None) -> bool:
    """Whether a column of this name feeds a task of this type by itself; dots reach into parameters."""
    first, _, rest = name.partition(".")
    if first == "metadata":
        return bool(rest)
    if first in COMMON_FIELDS or first in _ATTACHMENT:
        return not rest or first == "instruction"
    types = [task_type] if task_type in _NEEDS else list(_NEEDS)
    return any(
        first in _NEEDS[known].optional or any(first in group for group in _NEEDS[known].required) for known in types
    )


def inheritable_parameters() -> dict[str, Any]:
    """Name all parameters that a project can fill in, without values: all but the thing to be labeled itself."""
    required = {name for needs in _NEEDS.values() for group in needs.required for name in group}
    return dict.fromkeys(sorted(required - {*_ATTACHMENT[:2], "text", "lidar_task", *COMMON_FIELDS}))


def missing_parameters(task_type: str, body: Mapping[str, Any], inherited: Collection[str] = ()) -> list[str]:
    """Name what a task of this type lacks, in words ready for a sentence; empty when it is complete.

    Parameters
    ----------
    task_type : str
        The type.
    body : mapping
        The request body.
    inherited : collection of str
        Parameters that the project fills in.

    Examples
    --------
    >>> missing_parameters("categorization", {"attachment": "a cat", "attachment_type": "text"})
    ['categories or taxonomies']
    """
    return [" or ".join(group) for group in missing_groups(task_type, body, inherited)]


def missing_groups(task_type: str, body: Mapping[str, Any], inherited: Collection[str] = ()) -> list[tuple[str, ...]]:
    """List what a task of this type lacks, as the names of which one would do; none of a type nobody knows."""
    if task_type not in _NEEDS:
        return []
    return [
        group
        for group in _NEEDS[task_type].required
        if not any(is_filled(body.get(name)) or name in inherited for name in group)
    ]


def is_filled(value: Any) -> bool:
    """Tell whether there is something; an empty list, object or text is missing for the service too."""
    return bool(value) or (value is not None and value not in ("", [], {}))
