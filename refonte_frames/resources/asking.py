"""How these modules ask: a checked body, one call, its JSON, refusals with a remedy. No endpoint lives here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from refonte_frames.cells import CellError, is_sendable, json_value
from refonte_frames.errors import ApiError, InputError
from refonte_frames.transport.calls import Call, path_of
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.client import Client

__all__ = ["as_sent", "ask", "checked_callback", "checked_name", "is_sendable", "post", "with_remedy"]

T = TypeVar("T")
E = TypeVar("E", bound=ApiError)

_URL: Final = re.compile(r"https?://[^\s/@]+(/\S*)?", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def ask(client: Client, call: Call, shape: type[T]) -> T:
    """Send a call and read the answer's body as JSON of this shape."""
    return decode_json(client.send(call).body, where=f"{call.method} {call.path}", type=shape)


def post(*segments: str, body: Mapping[str, Any] | None = None, is_repeatable: bool = False) -> Call:
    """Make a POST of the path made of these segments; `is_repeatable` where a second sending does no harm.

    Raises
    ------
    InputError
        If JSON cannot hold the body.
    """
    return Call("POST", path_of(*segments), body=None if body is None else _encoded(body), is_repeatable=is_repeatable)


def checked_name(name: Any, kind: str) -> str:
    """Take a name of a project or batch as text that is not blank.

    Raises
    ------
    InputError
        If it is anything else.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"The name of a {kind} is text that is not blank, such as 'kitten_labeling', not {name!r}.")
    if not is_sendable(name):
        raise InputError(f"The name of a {kind} holds half a character, which cannot be sent: {name!r}.")
    return name


def checked_callback(callback: Any) -> str:
    """Take a callback, which is a URL or an e-mail address (contract 2.2).

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(callback, str) and (_URL.fullmatch(callback) or _EMAIL.fullmatch(callback)):
        return callback
    raise InputError(f"callback is a URL (http or https) or an e-mail address, not {callback!r}.")


def with_remedy(error: E, sentence: str) -> E:
    """Make the same error again, of the same type and with the same fields, with a sentence that helps."""
    return type(error)(sentence, status_code=error.status_code, error=error.error, method=error.method, path=error.path)


def as_sent(value: Any) -> Any:
    """Bring a value into the form in which the service gives it back: tuples become lists, and so on.

    Raises
    ------
    InputError
        If JSON cannot hold it.
    """
    try:
        return json_value(value)
    except CellError as error:
        raise InputError(f"This cannot be sent as JSON: {error}. Nothing was sent. The value: {value!r}.") from None


def _encoded(value: Any) -> bytes:
    return msgspec.json.encode(as_sent(value))
