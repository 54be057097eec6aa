"""Typed reading of replies: strict JSON, and refusals turned into the error tree at this one point. Pure."""

from __future__ import annotations

import re
from itertools import accumulate
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

__all__ = ["MAX_DEPTH", "decode_json", "is_deeper", "refusal", "too_deep", "without_lone_surrogates"]

T = TypeVar("T")

#: The first group is greedy: ids may hold quotes and brackets (contract 1.5).
_TAKEN: Final = re.compile(
    r"unique_id\s+\(\"(.*)\"\)\s+is\s+already\s+used\s+for\s+a\s+different\s+task\s+\(([0-9a-f]{24})\)", re.DOTALL
)
#: Objects and lists within each other; documented replies have less than a dozen. Parsers bear more, or do not,
#: depending on the version of Python: the limit is ours, so that it is the same everywhere.
MAX_DEPTH: Final = 100
_STRING: Final = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKENS: Final = re.compile(rb"(?P<key>" + _STRING + rb")\s*:|" + _STRING + rb"|[\[\]{},]", re.DOTALL)
_ESCAPES: Final = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.",
    re.DOTALL,
)
_QUOTED: Final = re.compile(rb'"[^"]*"')
_AS_BRACES: Final = bytes.maketrans(b"[]", b"{}")
_NO_MARKS: Final = bytes(set(range(256)) - set(b'[]{}"'))
_STEPS: Final = bytes.maketrans(b"{}", b"\x01\xff")
#: Levels that are taken away with one pass over the text each; hardly any reply has more.
_PEELED: Final = 16
_SHOWN_STEPS: Final = 8
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
    """Parse a reply's body strictly: UTF-8, no NaN, no trailing bytes, integers exact, bounded depth.

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
        If it is no JSON, of another shape, or nested too deeply; ``.path`` says where in it.
    """
    if is_deeper(body, MAX_DEPTH):
        raise too_deep(body, where)
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


def is_deeper(text: bytes, levels: int) -> bool:
    """Say whether JSON text has more than so many objects and lists within each other.

    Most texts have no more of them in all, which is seen without looking at strings.

    >>> is_deeper(b'[{"a":[1]},[]]', 3), is_deeper(b'[{"a":["[[["]},[]]', 2)
    (False, True)
    """
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    plain = _ESCAPES.sub(b"", text) if b"\\" in text else text
    # Two quotes side by side can go: what stood within a string or beside one still does.
    marks = plain.translate(_AS_BRACES, _NO_MARKS).replace(b'""', b"")
    braces = _QUOTED.sub(b"", marks)
    peeled = min(levels, _PEELED)
    for _ in range(peeled):
        if not braces:
            return False
        braces = braces.replace(b"{}", b"")
    steps = memoryview(braces.translate(_STEPS, b'"')).cast("b")
    return any(depth > levels - peeled for depth in accumulate(steps))


def too_deep(body: bytes, where: str, *, task_id: str = "") -> ReplyError:
    """Make the error for a reply that is nested too deeply; it says where that begins."""
    path = _path_to_depth(body)
    whose = f" of task {task_id}" if task_id else ""
    return ReplyError(
        f"{where} was answered with more than {MAX_DEPTH} lists and objects within each other, at {path}{whose}. "
        "No documented reply has them; nothing of it was read.",
        path=path,
    )


def _path_to_depth(body: bytes) -> str:
    """Walk to the place where the limit is passed, without recursion; the first steps of the way are its name."""
    steps: list[str | int] = []
    for token in _TOKENS.finditer(body):
        mark = token[0][:1]
        if token["key"] is not None and steps:
            steps[-1] = token["key"][1:-1].decode("utf-8", "replace")
        elif mark in b"[{":
            if len(steps) == MAX_DEPTH:
                break
            steps.append(0 if mark == b"[" else "")
        elif mark in b"]}" and steps:
            steps.pop()
        elif mark == b"," and steps and isinstance(steps[-1], int):
            steps[-1] += 1
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps[:_SHOWN_STEPS])
    return path.lstrip(".") + ("…" if len(steps) > _SHOWN_STEPS else "")


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


def without_lone_surrogates(body: bytes) -> tuple[bytes, int]:
    r"""Replace halves of characters that stand alone, as services leave behind that cut texts by UTF-16 units.

    Neither UTF-8 nor Arrow can hold them; one such text must not stop an export.

    >>> without_lone_surrogates(rb'["\ud83d", "\ud83d\ude00", "\\ud83d"]')
    (b'["\\ufffd", "\\ud83d\\ude00", "\\\\ud83d"]', 1)
    """
    mended = 0

    def mend(match: re.Match[bytes]) -> bytes:
        nonlocal mended
        if match["lone"] is None:
            return match[0]
        mended += 1
        return rb"\ufffd"

    return _ESCAPES.sub(mend, body), mended
