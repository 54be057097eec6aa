"""Typed reading of replies: strict JSON, and refusals turned into the error tree at this one point. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

import msgspec

from refonte_frames.api import IDEMPOTENCY_HEADER
from refonte_frames.errors import (
    ApiError,
    BadRequest,
    Conflict,
    DuplicateUniqueId,
    Forbidden,
    IdempotencyMismatch,
    NotEnabled,
    NotFound,
    ReplyError,
    ServiceError,
    TooManyRequests,
    Unauthorized,
)
from refonte_frames.transport.retries import retry_after_secs

if TYPE_CHECKING:
    from refonte_frames.transport.calls import Call, Reply

__all__ = ["decode_json", "refusal"]

T = TypeVar("T")

#: The first group is greedy: ids may hold quotes and brackets (contract 1.5).
_TAKEN: Final = re.compile(
    r"unique_id\s+\(\"(.*)\"\)\s+is\s+already\s+used\s+for\s+a\s+different\s+task\s+\(([0-9a-f]{24})\)", re.DOTALL
)
_PLACE: Final = re.compile(r" - at `\$\.?(.*)`$")
_LONGEST_EXCERPT: Final = 300

_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: BadRequest,
    401: Unauthorized,
    402: NotEnabled,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
}
_REMEDIES: Final = {
    401: "Check the key (REFONTE_API_KEY or api_key=) and that it belongs to this host.",
    402: "Ask for this task type to be enabled for the account.",
    404: "Check the name, and whether it was made with a key of the same mode (test and live keys share nothing).",
    429: "Wait, or lower max_workers.",
}


@overload
def decode_json(body: bytes, *, where: str) -> Any: ...
@overload
def decode_json(body: bytes, *, where: str, type: type[T]) -> T: ...
def decode_json(body: bytes, *, where: str, type: Any = Any) -> Any:
    """Parse a reply's body strictly: UTF-8, no NaN, no trailing bytes, integers exact.

    Parameters
    ----------
    body : bytes
        The decoded body.
    where : str
        What was asked, for the error's sentence, such as ``"GET /task/…"``.
    type : type
        What it should look like, as msgspec understands it.

    Raises
    ------
    ReplyError
        If it is no JSON or of another shape; ``.path`` says where in it.
    """
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        text = str(error) or "nested too deeply"
        place = _PLACE.search(text)
        raise ReplyError(
            f"{where} was answered with something else than documented: {_PLACE.sub('', text)}"
            f"{f' at {place[1]}' if place else ''}. The answer begins: {_excerpt(body)!r}.",
            path=place[1] if place else "",
        ) from None


def refusal(call: Call, reply: Reply) -> ApiError:
    """Make the error for a reply that is not a 200: the one place where statuses become types.

    A 409 is told apart by its text, since the body has no code (contract 6, trap 9).
    """
    error = _error_text(reply.body)
    place: dict[str, Any] = {"status_code": reply.status, "error": error, "method": call.method, "path": call.path}
    remedy = _REMEDIES.get(reply.status, "")
    message = f"{call.method} {call.path} was refused with {reply.status}: {error or 'no reason given'}"
    message = message.rstrip(".") + "." + (f" {remedy}" if remedy else "")
    if reply.status == 409:
        return _conflict(call, message, error, place)
    if reply.status == 429:
        return TooManyRequests(message, retry_after_secs=retry_after_secs(reply.headers), **place)
    if reply.status >= 500:
        return ServiceError(message, **place)
    return _BY_STATUS.get(reply.status, ApiError)(message, **place)


def _conflict(call: Call, message: str, error: str, place: dict[str, Any]) -> Conflict:
    if taken := _TAKEN.search(error):
        return DuplicateUniqueId(message, unique_id=taken[1], task_id=taken[2], **place)
    if IDEMPOTENCY_HEADER in call.headers:
        return IdempotencyMismatch(message, **place)
    return Conflict(message, **place)


def _error_text(body: bytes) -> str:
    """Take the documented ``error`` text, else what the body says at its beginning."""
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _excerpt(body)
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, str) else _excerpt(body)


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: 4 * _LONGEST_EXCERPT].decode("utf-8", "replace").split())
    return text if len(text) <= _LONGEST_EXCERPT else text[:_LONGEST_EXCERPT] + "…"
