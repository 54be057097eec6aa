"""The shapes that documented parameters take, as small tests of a JSON value; no HTTP, no SQL."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Form",
    "a_bool",
    "a_callback",
    "a_list_of_objects",
    "a_list_of_texts",
    "a_number",
    "a_text",
    "a_whole",
    "an_object",
    "anything",
    "invalid",
    "labels",
    "non_empty_object",
    "one_of",
    "required",
    "take",
    "text_or_texts",
    "whole_between",
]

#: A form says what is wrong with a value, or returns an empty text.
Form = Callable[[Any], str]


def invalid(name: str, why: str) -> Refusal:
    """Refuse a parameter, in the service's pattern (contract 1.3)."""
    return Refusal(400, f'Parameter is invalid, reason: "{name}" {why}')


def required(name: str) -> Refusal:
    """Refuse for want of a parameter."""
    return invalid(name, "is required")


def take(body: Mapping[str, Any], name: str, form: Form) -> Any:
    """Give the checked value of a parameter; absent and null are the same: None."""
    value = body.get(name)
    if value is not None and (why := form(value)):
        raise invalid(name, why)
    return value


def anything(_value: Any) -> str:
    """Accept any JSON value."""
    return ""


def a_bool(value: Any) -> str:
    """Accept true and false."""
    return "" if isinstance(value, bool) else "must be a boolean"


def a_text(value: Any) -> str:
    """Accept a string with at least one character."""
    return "" if isinstance(value, str) and value else "must be a non-empty string"


def a_whole(value: Any) -> str:
    """Accept an integer."""
    return "" if isinstance(value, int) and not isinstance(value, bool) else "must be an integer"


def a_number(value: Any) -> str:
    """Accept an integer or a float."""
    return "" if isinstance(value, int | float) and not isinstance(value, bool) else "must be a number"


def whole_between(low: int, high: int) -> Form:
    """Accept integers of a range, both ends included."""

    def form(value: Any) -> str:
        is_inside = not a_whole(value) and low <= value <= high
        return "" if is_inside else f"must be an integer from {low} to {high}"

    return form


def one_of(*names: str) -> Form:
    """Accept these strings only."""

    def form(value: Any) -> str:
        return "" if isinstance(value, str) and value in names else f"must be one of {', '.join(names)}"

    return form


def an_object(value: Any) -> str:
    """Accept a JSON object."""
    return "" if isinstance(value, dict) else "must be an object"


def non_empty_object(value: Any) -> str:
    """Accept a JSON object with at least one key."""
    return "" if isinstance(value, dict) and value else "must be a non-empty object"


def a_list_of_texts(value: Any) -> str:
    """Accept a list of at least one non-empty string."""
    is_well = isinstance(value, list) and value and all(not a_text(item) for item in value)
    return "" if is_well else "must be a non-empty array of non-empty strings"


def text_or_texts(value: Any) -> str:
    """Accept a non-empty string or a list of them."""
    is_well = not a_text(value) or not a_list_of_texts(value)
    return "" if is_well else "must be a non-empty string or an array of them"


def a_list_of_objects(value: Any) -> str:
    """Accept a list of at least one object."""
    is_well = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    return "" if is_well else "must be a non-empty array of objects"


def labels(value: Any) -> str:
    """Accept labels: strings, or objects with ``choice`` or ``name`` (contract 5.2)."""
    is_well = isinstance(value, list) and value and all(_is_label(item) for item in value)
    return "" if is_well else 'must be a non-empty array of strings or of objects with a "choice" or "name"'


def _is_label(item: Any) -> bool:
    if isinstance(item, dict):
        return not a_text(item.get("choice")) or not a_text(item.get("name"))
    return not a_text(item)


_URL = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


def a_callback(value: Any) -> str:
    """Accept a full http(s) URL or an e-mail address (contract 2.2, 2.3)."""
    is_well = isinstance(value, str) and (_URL.fullmatch(value) or _EMAIL.fullmatch(value))
    return "" if is_well else "must be a full URL (http:// or https://) or an email address"
