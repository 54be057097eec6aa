"""What may happen to a task after its creation (contract 2.3), as functions from one stored task to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import msgspec

from refonte_frames.sandbox import checks, task_types
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Refusal

__all__ = [
    "Task",
    "add_audit",
    "add_tags",
    "cancel",
    "clear_unique_id",
    "complete",
    "content_digest",
    "fail",
    "newest_first",
    "read_audit",
    "remove_tags",
    "set_metadata",
    "set_tags",
    "set_unique_id",
]


def content_digest(task_type: str, params: dict[str, Any]) -> str:
    """Hash what is to be labeled, whatever the order of its keys."""
    text = msgspec.json.encode([task_type, params], order="sorted")
    return blake2b(text, digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Task:
    """One stored task: the columns that lists filter on, and the document as it is served.

    Attributes
    ----------
    row : int
        Number in the store; rises with creation, so that it orders lists.
    key : str
        What the labelers' draws depend on: the unique_id, else a hash of the parameters with its occurrence.
    due_ms : int or None
        On the labelers' own working time: when a labeler hands the task in; None while nobody will.
    doc : dict
        As served.
    """

    row: int
    task_id: str
    world: int
    type: str
    status: str
    created_ms: int
    updated_ms: int
    completed_ms: int | None
    project: int
    batch: int
    review: str | None
    unique_id: str | None
    key: str
    clears_unique_id_on_error: bool
    due_ms: int | None
    doc: dict[str, Any]


def _with(doc: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Set keys; a None leaves the key out."""
    return {name: value for name, value in {**doc, **values}.items() if value is not None}


def _end(task: Task, status: str, now_ms: int, **values: Any) -> Task:
    now = stamp(now_ms)
    doc = _with(task.doc, status=status, updated_at=now, completed_at=now, **values)
    return replace(task, status=status, updated_ms=now_ms, completed_ms=now_ms, due_ms=None, doc=doc)


def complete(task: Task, response: dict[str, Any], now_ms: int) -> Task:
    """Hand in a response.

    Raises
    ------
    Refusal
        400 unless the task is pending.
    """
    _must_be_pending(task, "completed")
    values = {"response": response, "customer_review_status": "pending", "document_pages": _pages(task)}
    return replace(_end(task, "completed", now_ms, **values), review="pending")


#: Of a page of a document, which is never fetched.
_PAGE = {"width": 1240, "height": 1754}


def _pages(task: Task) -> list[dict[str, int]] | None:
    """Give the sizes of the pages that annotations of a document refer to by number (contract 5.4)."""
    if task.type != "documenttranscription":
        return None
    return [_PAGE] * len(task.doc["params"].get("attachments") or [None])


def fail(task: Task, response: dict[str, Any], now_ms: int) -> Task:
    """End in ``error``; the unique_id goes if the creation asked for that."""
    _must_be_pending(task, "failed")
    ended = _end(task, "error", now_ms, response=response)
    return clear_unique_id(ended) if task.clears_unique_id_on_error else ended


def _must_be_pending(task: Task, participle: str) -> None:
    if task.status != "pending":
        raise Refusal(400, f"The task {task.task_id} is {task.status}; only pending tasks can be {participle}.")


def cancel(task: Task, now_ms: int, *, clears_unique_id: bool) -> Task:
    """Cancel; a second time is a success without effect, but for the unique_id.

    Raises
    ------
    Refusal
        400 for a completed or failed task.
    """
    if task.status != "canceled":
        _must_be_pending(task, "canceled")
        task = _end(task, "canceled", now_ms)
    return clear_unique_id(task) if clears_unique_id else task


def set_metadata(task: Task, metadata: dict[str, Any]) -> Task:
    """Replace the whole metadata."""
    return replace(task, doc=_with(task.doc, metadata=metadata))


def set_unique_id(task: Task, unique_id: str) -> Task:
    """Give the task another unique_id."""
    return replace(task, unique_id=unique_id, doc=_with(task.doc, unique_id=unique_id))


def clear_unique_id(task: Task) -> Task:
    """Drop the unique_id: the key is absent afterwards."""
    return replace(task, unique_id=None, doc=_with(task.doc, unique_id=None))


def set_tags(task: Task, tags: list[str]) -> Task:
    """Replace the tags; the key is absent when none is left."""
    return replace(task, doc=_with(task.doc, tags=task_types.check_tags(tags) or None))


def add_tags(task: Task, tags: list[str]) -> Task:
    """Append tags that are not there yet."""
    return set_tags(task, [*task.doc.get("tags", []), *tags])


def remove_tags(task: Task, tags: list[str]) -> Task:
    """Remove tags; absent ones do not matter."""
    return set_tags(task, [tag for tag in task.doc.get("tags", []) if tag not in tags])


def read_audit(body: dict[str, Any]) -> tuple[bool, str | None]:
    """Read ``{"accepted": bool, "comments": str}``."""
    accepted = checks.take(body, "accepted", checks.a_bool)
    if accepted is None:
        raise checks.required("accepted")
    comments = body.get("comments")
    if comments is not None and not isinstance(comments, str):
        raise checks.invalid("comments", "must be a string")
    return accepted, comments


def add_audit(task: Task, audit: dict[str, Any], response: dict[str, Any] | None = None) -> Task:
    """Append an audit; the newest one of the customer decides the review status.

    Parameters
    ----------
    task : Task
        A completed one.
    audit : dict
        As served.
    response : dict, optional
        The response as the auditor mended it.

    Raises
    ------
    Refusal
        400 unless the task is completed.
    """
    if task.status != "completed":
        raise Refusal(400, f"The task {task.task_id} is {task.status}; only completed tasks can be audited.")
    audits = newest_first([*task.doc.get("audits", []), audit])
    by_customer = [entry["audit_result"] for entry in audits if entry["audit_source"] == "customer"]
    review = by_customer[0] if by_customer else "pending"
    doc = _with(task.doc, audits=audits, customer_review_status=review, response=response or task.doc["response"])
    return replace(task, review=review, doc=doc)


def newest_first(audits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order audits as the documented example does; of two at one time, the later addition comes first."""
    order = sorted(range(len(audits)), key=lambda n: (audits[n]["audited_at"], n), reverse=True)
    return [audits[n] for n in order]
