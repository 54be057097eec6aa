"""Whether the task that holds an id is the one we would have made: a comparison of its fields with ours. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refonte_frames.upload.identity import canonical, is_auto_id
from refonte_frames.upload.task_types import COMMON_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["differs_in", "say_ended", "say_taken"]


def differs_in(holder: Mapping[str, Any], body: Mapping[str, Any], *, task_type: str, unique_id: str) -> str:
    """Name the first field in which the task that holds our id differs from ours; empty when it is the very same.

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
    if is_auto_id(unique_id):
        return ""
    if holder.get("type") != task_type:
        return "type"
    # A batch alone names its project too.
    if holder.get("batch") != body.get("batch"):
        return "batch"
    if holder.get("project") != body.get("project") and not ("batch" in body and "project" not in body):
        return "project"
    if not str(holder.get("instruction") or "").startswith(str(body.get("instruction") or "")):
        return "instruction"
    params = holder.get("params")
    served = params if isinstance(params, dict) else {}
    for name, value in body.items():
        if name not in COMMON_FIELDS and not _is_within(canonical(value), canonical(served.get(name))):
            return name
    return ""


def say_taken(unique_id: str | None, holder_id: str, difference: str) -> str:
    """Say that the id belongs to a task that is not ours, and what to do."""
    return (
        f"the id {unique_id!r} belongs to another task ({holder_id}), which differs in {difference}; "
        "give the row another id, or clear that task's"
    )


def say_ended(holder_id: str, status: str) -> str:
    """Say that our task was canceled or failed and still holds the id, and what to do."""
    return (
        f"its task {holder_id} ended as {status!r} and still holds the id; "
        f"resubmit=({status!r},) clears it and sends the row once more"
    )


def _is_within(ours: Any, served: Any) -> bool:
    """Whether `served` says all that `ours` says; objects may hold more keys."""
    if isinstance(ours, dict):
        return isinstance(served, dict) and all(_is_within(item, served.get(key)) for key, item in ours.items())
    if isinstance(ours, list):
        return isinstance(served, list) and _are_within(ours, served)
    return bool(ours == served)


def _are_within(ours: Sequence[Any], served: Sequence[Any]) -> bool:
    return len(ours) == len(served) and all(_is_within(a, b) for a, b in zip(ours, served, strict=True))
