"""Single parts of an object, each read as one documented kind of value; None where it is another kind. Pure."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw

from refonte_frames.export.columns import time_of
from refonte_frames.export.decode import text_of

__all__ = ["flag", "int32", "int64", "moment", "open_text", "text", "texts"]

_INT32: Final[msgspec.json.Decoder[int]] = msgspec.json.Decoder(Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)])
_INT64: Final[msgspec.json.Decoder[int]] = msgspec.json.Decoder(Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)])
_TEXT: Final = msgspec.json.Decoder(str)
_TEXTS: Final = msgspec.json.Decoder(list[str])
_BOOL: Final = msgspec.json.Decoder(bool)


def text(raw: Raw) -> str | None:
    """Read a text."""
    try:
        return _TEXT.decode(raw)
    except msgspec.ValidationError:
        return None


def texts(raw: Raw) -> list[str] | None:
    """Read a list of texts; a single text is a list of one."""
    alone = text(raw)
    try:
        return _TEXTS.decode(raw) if alone is None else [alone]
    except (msgspec.ValidationError, RecursionError):
        return None


def int32(raw: Raw) -> int | None:
    """Read a whole number of 32 bits."""
    try:
        return _INT32.decode(raw)
    except msgspec.ValidationError:
        return None


def int64(raw: Raw) -> int | None:
    """Read a whole number of 64 bits."""
    try:
        return _INT64.decode(raw)
    except msgspec.ValidationError:
        return None


def flag(raw: Raw) -> bool | None:
    """Read true or false."""
    try:
        return _BOOL.decode(raw)
    except msgspec.ValidationError:
        return None


def moment(raw: Raw) -> int | None:
    """Read a time, as microseconds since 1970 in UTC."""
    return time_of(text(raw) or "")[0]


def open_text(raw: Raw) -> str | None:
    """Return the service's own text of an open part; None for null."""
    found = text_of(raw)
    return None if found == "null" else found
