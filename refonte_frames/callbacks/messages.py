"""What a delivery says and whether it is the service's own: pure functions of its headers and its body."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from refonte_frames.api import CALLBACK_AUTH_HEADERS
from refonte_frames.transport.replies import without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Kind", "Message", "MessageError", "is_authentic", "read_message"]

Kind = Literal["task", "batch", "unknown"]

_SPELLINGS: Final = frozenset(name.encode() for name in CALLBACK_AUTH_HEADERS)
_LONGEST_NAME: Final = 4096


class MessageError(ValueError):
    """The body is none that the service would send; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a delivery announces.

    Attributes
    ----------
    kind : {"task", "batch", "unknown"}
        `unknown`: from the service, but of a form that is not documented.
    name : str
        The task's id or the batch's name.
    key : bytes
        Equal for repeats of one announcement, and for nothing else.
    """

    kind: Kind
    name: str
    status: str
    unique_id: str | None
    key: bytes


def is_authentic(headers: Iterable[tuple[bytes, bytes]], keys: Sequence[bytes]) -> bool:
    """Tell whether the headers hold one of our keys, in time that says nothing about how much of it is right.

    The service is documented with several spellings of the header. Every one that is there has to be right, and
    once: of two values a proxy and we could read different ones.
    """
    found = [(name, value) for name, value in headers if name in _SPELLINGS]
    names = [name for name, _ in found]
    matches = [_matches(value, keys) for _, value in found]
    return bool(matches) and all(matches) and len(set(names)) == len(names)


def _matches(value: bytes, keys: Sequence[bytes]) -> bool:
    # Every key is compared, whichever matches.
    return sum(hmac.compare_digest(value, key) for key in keys) > 0


def read_message(body: bytes) -> Message:
    """Read a delivery's body.

    Raises
    ------
    MessageError
        It is no JSON object, or the parts of it contradict each other.
    """
    try:
        # As in replies: a text that was cut in the middle of a character must not keep its task out for ever.
        parsed = msgspec.json.decode(without_lone_surrogates(body)[0])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MessageError("The body is no JSON.") from None
    if not isinstance(parsed, dict):
        raise MessageError("The body is no JSON object.")
    if "task_id" in parsed or "task" in parsed:
        return _task_message(parsed)
    if isinstance(parsed.get("batch"), str):
        name, status = _name(parsed["batch"]), _text(parsed.get("status"))
        return Message("batch", name, status, None, _key("batch", name, status, parsed.get("stats")))
    return Message("unknown", "", "", None, _key("unknown", body.hex()))


def _task_message(parsed: dict[str, Any]) -> Message:
    task = parsed.get("task", {})
    if not isinstance(task, dict):
        raise MessageError("'task' is no JSON object.")
    task_id = parsed.get("task_id", task.get("task_id"))
    if not isinstance(task_id, str) or not task_id:
        raise MessageError("'task_id' is no text.")
    if task.get("task_id", task_id) != task_id:
        raise MessageError("'task_id' and 'task.task_id' differ.")
    # The documented example leaves `status` out; the task's own is then the one.
    status = _text(parsed.get("status", task.get("status")))
    stamps = (task.get("completed_at"), task.get("updated_at"))
    unique_id = task.get("unique_id")
    unique_id = unique_id if isinstance(unique_id, str) else None
    return Message("task", _name(task_id), status, unique_id, _key("task", task_id, status, *stamps))


def _name(value: str) -> str:
    if len(value) > _LONGEST_NAME:
        raise MessageError(f"A name of {len(value):,} characters is none of the service's.")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _key(*parts: object) -> bytes:
    return blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).digest()
