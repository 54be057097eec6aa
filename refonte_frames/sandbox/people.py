"""Team members, labeler groups and Studio queues: the rules of contract 4, as functions of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox import checks
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refonte_frames.sandbox.rules import Batch

__all__ = [
    "INVITE_MS",
    "Group",
    "Member",
    "queue_order",
    "read_emails",
    "read_names",
    "read_role",
    "read_studio_order",
]

ROLES = ("labeler", "member", "manager")
INVITE_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Member:
    """One person of a team; ``expiry_ms`` is that of an invitation."""

    email: str
    role: str
    is_labeler: bool = False
    first_name: str | None = None
    last_name: str | None = None
    company: str | None = None
    expiry_ms: int | None = None

    @property
    def is_active(self) -> bool:
        """Whether the person may be given work."""
        return self.role not in ("invited", "disabled")

    def served(self) -> dict[str, Any]:
        """Give the member as the API does (contract 4.1)."""
        head = {"email": self.email, "role": self.role, "isStudioLabeler": self.is_labeler}
        if self.role == "invited":
            return {**head, "expiry": stamp(self.expiry_ms or 0)}
        names = {"firstName": self.first_name, "lastName": self.last_name, "company": self.company}
        return {**head, "disableRapidEmails": False, **{key: name for key, name in names.items() if name is not None}}


@dataclass(frozen=True, slots=True)
class Group:
    """A labeler group of one project; a singleton was made from an e-mail."""

    row: int
    id: str
    name: str
    is_singleton: bool
    workers: tuple[tuple[str, str], ...]

    def served(self) -> dict[str, Any]:
        """Give the group as the API does (contract 4.3)."""
        workers = [{"id": worker_id, "email": email} for worker_id, email in self.workers]
        head = {"id": self.id, "name": self.name, "numWorkers": len(workers)}
        return {**head, "isSingleton": self.is_singleton, "workers": workers}


def read_emails(body: Mapping[str, Any], *, name: str = "emails", is_required: bool = True) -> list[str]:
    """Read ``emails``; the documents' tables say ``email``, and either may be one or an array (contract 4)."""
    alias = {"emails": "email"}.get(name, name)
    key = alias if body.get(name) is None and body.get(alias) is not None else name
    is_nobody = body.get(key) == [] and not is_required  # the published client sends both lists of a group's change
    value = None if is_nobody else checks.take(body, key, checks.text_or_texts)
    if value is None and is_required:
        raise checks.required(name)
    found = [value] if isinstance(value, str) else value or []
    for email in found:
        if "@" not in email:
            raise checks.invalid(name, f"holds {email!r}, which is no email address")
    return list(dict.fromkeys(found))


def read_role(body: Mapping[str, Any]) -> str:
    """Read ``team_role``."""
    role: str | None = checks.take(body, "team_role", checks.one_of(*ROLES))
    if role is None:
        raise checks.required("team_role")
    return role


def read_names(body: Mapping[str, Any], name: str) -> list[str]:
    """Read a required array of names."""
    value = checks.take(body, name, checks.a_list_of_texts)
    if value is None:
        raise checks.required(name)
    return list(dict.fromkeys(value))


def read_studio_order(body: Mapping[str, Any], pending: Sequence[str]) -> list[str]:
    """Read ``batches``: objects with a name, or bare names; all pending ones, each once (contract 4.5)."""
    value = body.get("batches")
    if not isinstance(value, list):
        raise checks.invalid("batches", "must be an array of objects with a name")
    given = [item.get("name") if isinstance(item, dict) else item for item in value]
    names = [name for name in given if isinstance(name, str)]
    if len(names) < len(given):
        raise checks.invalid("batches", "must be an array of objects with a name")
    unknown = [name for name in names if name not in pending]
    missing = [name for name in pending if name not in names]
    if unknown or missing or len(set(names)) < len(names):
        raise Refusal(400, f"All pending batches must be listed once: unknown {unknown}, missing {missing}.")
    return names


def queue_order(batches: Sequence[Batch], priorities: Mapping[int, int]) -> list[Batch]:
    """Order Studio batches: by their set priority, then calibration batches, then the oldest first."""
    return sorted(
        batches, key=lambda batch: (priorities.get(batch.row, len(priorities) + 1), not batch.is_calibration, batch.row)
    )
