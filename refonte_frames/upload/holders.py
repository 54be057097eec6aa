"""Whether the task that holds an id is the one we would have made: a comparison of its fields with ours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from refonte_frames.upload.identity import canonical, is_auto_id
from refonte_frames.upload.task_types import COMMON_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Judgement", "judge"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the holder of our id is: `ours`, `other` (differs in `difference`), or ours but `ended` without a result."""

    kind: Literal["ours", "other", "ended"]
    difference: str = ""


def judge(holder: Mapping[str, Any], body: Mapping[str, Any], *, task_type: str, unique_id: str) -> Judgement:
    """Judge the task that holds `unique_id`.

    An id made from the content is equal by construction. For a caller's own id the type, project, batch,
    attachments and the parameters sent are compared: the service's task may hold more, since a project's
    parameters are merged in and its instruction is appended. Metadata, tags, priority and callback are not.

    Parameters
    ----------
    holder : mapping
        The task as the service gives it.
    body : mapping
        Our request body.
    task_type, unique_id : str
        What we asked for.
    """
    difference = "" if is_auto_id(unique_id, task_type) else _difference(holder, body, task_type)
    if difference:
        return Judgement("other", difference)
    if holder.get("status") in ("canceled", "error"):
        return Judgement("ended")
    return Judgement("ours")


def _difference(holder: Mapping[str, Any], body: Mapping[str, Any], task_type: str) -> str:
    """Name the first field in which the two differ; empty when there is none."""
    if holder.get("type") != task_type:
        return "type"
    for name in ("project", "batch"):
        if name in body and holder.get(name) != body[name]:
            return name
    if not str(holder.get("instruction") or "").startswith(str(body.get("instruction") or "")):
        return "instruction"
    params = holder.get("params")
    served = params if isinstance(params, dict) else {}
    for name, value in body.items():
        if name not in COMMON_FIELDS and not _is_within(canonical(value), canonical(served.get(name))):
            return name
    return ""


def _is_within(ours: Any, served: Any) -> bool:
    """Whether `served` says all that `ours` says; objects may hold more keys."""
    if isinstance(ours, dict):
        return isinstance(served, dict) and all(_is_within(item, served.get(key)) for key, item in ours.items())
    if isinstance(ours, list):
        return isinstance(served, list) and _are_within(ours, served)
    return bool(ours == served)


def _are_within(ours: Sequence[Any], served: Sequence[Any]) -> bool:
    return len(ours) == len(served) and all(_is_within(a, b) for a, b in zip(ours, served, strict=True))
