"""What can be changed of a task: how it differs from what is wanted, and the request that changes it. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import msgspec

from refonte_frames.api import AUDIT_RESULTS, MAX_TAGS
from refonte_frames.errors import ReplyError
from refonte_frames.resources.changes import Refused, is_same
from refonte_frames.transport.calls import Call, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Audit",
    "Cancel",
    "ChangeTags",
    "ClearUniqueId",
    "ResendCallback",
    "SetMetadata",
    "SetUniqueId",
    "own_result",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel it."""

    clear_unique_id: bool
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        """From pending to canceled; of a canceled task its id may still be freed."""
        status, unique_id = task.get("status"), task.get("unique_id")
        if status not in ("pending", "canceled"):
            return Refused("not_pending", f"the task is {status}; only pending ones can be canceled")
        if self.clear_unique_id and unique_id is not None:
            return {"status": status, "unique_id": unique_id}, {"status": "canceled"}
        return (status, "canceled") if status == "pending" else None

    def call(self, task_id: str) -> Call:
        """Cancel it, with its id or without."""
        query = (("clear_unique_id", "true"),) if self.clear_unique_id else ()
        return Call("POST", path_of("task", task_id, "cancel"), query, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Replace its metadata."""

    metadata: dict[str, Any]
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """From the metadata it has."""
        present = task.get("metadata") or {}
        return None if is_same(present, self.metadata) else (present, self.metadata)

    def call(self, task_id: str) -> Call:
        """Send the whole field."""
        body = msgspec.json.encode(self.metadata)
        return Call("POST", path_of("task", task_id, "setMetadata"), body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class SetUniqueId:
    """Give it an id of yours."""

    unique_id: str
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """From the id it has."""
        present = task.get("unique_id")
        return None if present == self.unique_id else (present, self.unique_id)

    def call(self, task_id: str) -> Call:
        """Send the id."""
        body = msgspec.json.encode({"unique_id": self.unique_id})
        return Call("POST", path_of("task", task_id, "unique_id"), body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class ClearUniqueId:
    """Take its id away."""

    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | None:
        """From the id it has, to none."""
        present = task.get("unique_id")
        return None if present is None else (present, None)

    def call(self, task_id: str) -> Call:
        """Delete the id."""
        return Call("DELETE", path_of("task", task_id, "unique_id"))


@dataclass(frozen=True, slots=True)
class ChangeTags:
    """Add tags, set them, or take them away."""

    kind: Literal["add", "set", "remove"]
    tags: tuple[str, ...]
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        """From the tags it has, whatever their order."""
        present = _listed(task, "tags", str)
        wanted = self._applied(present)
        if set(wanted) == set(present):
            return None
        if len(wanted) > MAX_TAGS:
            return Refused("too_many_tags", f"the task would have {len(wanted)} tags; at most {MAX_TAGS} are allowed")
        return present, wanted

    def _applied(self, present: list[str]) -> list[str]:
        if self.kind == "remove":
            return [tag for tag in present if tag not in self.tags]
        kept = present if self.kind == "add" else []
        return list(dict.fromkeys([*kept, *self.tags]))

    def call(self, task_id: str) -> Call:
        """Send the tags, by the verb for what becomes of them."""
        # Three headings of the documentation say POST; its samples tell the three apart by their verbs.
        method = {"add": "PUT", "set": "POST", "remove": "DELETE"}[self.kind]
        body = msgspec.json.encode(self.tags)
        return Call(method, path_of("task", task_id, "tags"), body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class Audit:
    """Accept or reject it, unless the newest audit did so already."""

    accepted: bool
    comments: str | None
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        """From the result of the customer's newest audit."""
        if task.get("status") != "completed":
            return Refused("not_completed", f"the task is {task.get('status')}; only completed ones can be audited")
        present, wanted = own_result(task), "accepted" if self.accepted else "rejected"
        return None if present == wanted else (present, wanted)

    def call(self, task_id: str) -> Call:
        """Send the verdict."""
        comments = {} if self.comments is None else {"comments": self.comments}
        body = msgspec.json.encode({"accepted": self.accepted, **comments})
        return Call("POST", path_of("task", task_id, "audit"), body=body)


@dataclass(frozen=True, slots=True)
class ResendCallback:
    """Have its callback sent once more."""

    is_visible: ClassVar[bool] = False

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused:
        """From what became of the last delivery; it is always sent again."""
        status = task.get("status")
        if status not in ("completed", "error"):
            return Refused("not_ended", f"the task is {status}; only completed ones and errors have a callback")
        was_taken = task.get("callback_succeeded", task.get("callback_completed"))
        return {"callback_succeeded": was_taken}, "sent again"

    def call(self, task_id: str) -> Call:
        """Ask for it."""
        return Call("POST", path_of("task", task_id, "send-callback"), is_repeatable=True)


def own_result(task: Mapping[str, Any]) -> str | None:
    """Take the result of the customer's newest audit; the order of audits is not documented."""
    audits = [audit for audit in _listed(task, "audits", dict) if audit.get("audit_source") == "customer"]
    if not audits:
        status = task.get("customer_review_status")
        return status if status in AUDIT_RESULTS else None
    newest = max(audits, key=lambda audit: _moment(audit.get("audited_at")))
    return str(newest.get("audit_result"))


def _listed(task: Mapping[str, Any], name: str, kind: type[T]) -> list[T]:
    """Read a list of a task, absent where it would be empty.

    Raises
    ------
    ReplyError
        It is none, or not of this kind.
    """
    values = task.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise ReplyError(f"A task was answered whose {name} are not as documented.", path=name)
    return values


def _moment(text: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
