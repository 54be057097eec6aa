"""What reaches the server and what leaves it, as plain values, and the strict reading of bodies; no HTTP, no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Answer",
    "Asked",
    "Refusal",
    "World",
    "encode",
    "parse",
    "read_form",
    "read_json",
    "read_object",
    "refusal_answer",
]

#: Deeper JSON is refused: Python's own limit lies near 1,000 and would surface in odd places.
MAX_DEPTH = 100

encode = msgspec.json.Encoder().encode


class Refusal(Exception):
    """The service says no.

    Parameters
    ----------
    status : int
        HTTP status of the answer.
    error : str
        Its sentence.
    headers : tuple of (str, str)
        Headers of the answer.
    """

    def __init__(self, status: int, error: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = headers


@dataclass(frozen=True, slots=True)
class World:
    """Everything one API key can see.

    Attributes
    ----------
    row : int
        Its number in the store.
    is_live : bool
        Whether the key is a live key: its tasks wait for labelers.
    account : bytes
        Shared by the test and the live key of one name: the "customer" of the documents.
    """

    row: int
    is_live: bool
    account: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """One request whose body was read to its end.

    Attributes
    ----------
    method, path : str
        As on the wire; the path still percent-encoded, without the query.
    query : tuple of (str, str)
        Decoded pairs in order.
    headers : mapping
        Names in lower case.
    body : bytes
        The whole body.
    names : mapping
        Decoded segments of the path, by the route's names.
    twists : mapping
        What ordered faults make a list do: see `faults`.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    names: Mapping[str, str] = field(default_factory=dict)
    twists: Mapping[str, Any] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """Content type without parameters, in lower case; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes
    ----------
    body : bytes
        JSON text.
    status : int
        HTTP status.
    headers : tuple of (str, str)
        Besides the content type, length and date.
    """

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, value: Any, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Answer 200 with this value as JSON."""
        return cls(encode(value), 200, headers)


def refusal_answer(refusal: Refusal) -> Answer:
    """Write a refusal in the documented shape (contract 1.3)."""
    body = encode({"status_code": refusal.status, "error": refusal.error})
    return Answer(body, refusal.status, refusal.headers)


def read_json(asked: Asked) -> Any:
    """Read the body as strict JSON; None for an empty body.

    Raises
    ------
    Refusal
        415 for another content type, 400 for anything that is not strict JSON: NaN, lone surrogates,
        numbers beyond a double, invalid UTF-8, a byte order mark, nesting deeper than `MAX_DEPTH`.
    """
    if asked.media_type not in ("", "application/json"):
        raise Refusal(415, f"The content type {asked.media_type!r} is not supported; send application/json.")
    return parse(asked.body) if asked.body.strip() else None


def read_object(asked: Asked) -> dict[str, Any]:
    """Read a body that must be an object; an empty one is an empty object (contract 6.25)."""
    value = read_json(asked)
    if value is None and not asked.body.strip():
        return {}
    if not isinstance(value, dict):
        raise Refusal(400, "The request body must be a JSON object.")
    return value


def parse(text: bytes | str) -> Any:
    """Parse strict JSON.

    Raises
    ------
    Refusal
        400, with the place in the text.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Refusal(400, f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise Refusal(400, _TOO_DEEP) from None
    if _brackets(text) > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        raise Refusal(400, _TOO_DEEP)
    return value


_TOO_DEEP = f"The request body is nested more than {MAX_DEPTH} levels deep."


def _brackets(text: bytes | str) -> int:
    """Bound the depth from above by counting: most bodies need no walk."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def read_form(asked: Asked) -> dict[str, Any]:
    """Read an urlencoded body as contract 1.1 says: flat strings, JSON where a value begins with ``[`` or ``{``.

    A repeated key is a list; ``true``, ``false`` and whole numbers stay strings here, since only the rule of
    a parameter knows which of them is a number.
    """
    try:
        pairs = parse_qsl(asked.body.decode("utf-8"), keep_blank_values=True, errors="strict")
    except UnicodeError:
        raise Refusal(400, "The form body is not valid UTF-8.") from None
    found: dict[str, Any] = {}
    for name, text in pairs:
        value = parse(text) if text[:1] in ("[", "{") else text
        if name in found:
            before = found[name]
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[name] = value
    return found
