"""Finds keys that stand twice in one object: JSON leaves open what they mean, and a decoder keeps one value silently.

Looking at every key costs more than decoding. But a key has two quotes: what was decoded is written again, which costs
little since the open parts are copied, and where that has as many quotes as there were, no key was dropped.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from refonte_frames.errors import ReplyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msgspec import Raw, Struct

__all__ = ["require_unrepeated", "require_unrepeated_keys"]

_QUOTE: Final = ord('"')
#: Bytes that are looked at together: what comes of them stays in the processor's own memory.
_STEP: Final = 32_768
#: Another way of writing a quote within a text, which becomes a quote when it is written again.
_ESCAPED_QUOTE: Final = b"\\u0022"


def require_unrepeated(body: bytes, docs: Sequence[Struct | Raw], where: str) -> None:
    """Refuse a page on which the list, a task or an audit has a key twice.

    What stands in open parts is kept as text, so nothing of it can be lost.

    Parameters
    ----------
    body : bytes
        The page: strict JSON, an object with a list called ``docs``.
    docs : sequence of Struct or Raw
        The tasks that were decoded from it, which written again have the keys that were there and no others; or their
        texts, where tasks are looked at one by one.
    where : str
        Names the page in the sentence of an error.

    Raises
    ------
    ReplyError
        Which key of what; ``.path`` says where in the page.
    """
    start, end = body.find(b"[", body.find(b'"docs"')) + 1, body.rfind(b"]")
    written = _written(docs)
    if _is_unrepeated(body[:start] + body[end:]) and _same_quotes(memoryview(body)[start:end], written):
        return
    page = json.loads(body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    for path, value in _documented(page):
        if value.repeated is not None:
            place = f"{path}.{value.repeated}".lstrip(".")
            raise _twice(where, value.repeated, place)


def require_unrepeated_keys(text: Raw | bytes, keys: Mapping[str, Raw], where: str, path: str) -> None:
    """Refuse an object, decoded one level deep, that has a key twice.

    Raises
    ------
    ReplyError
        Which key.
    """
    body = bytes(text)
    if body.count(b'"') != sum(2 + bytes(raw).count(b'"') for raw in keys.values()):
        value = json.loads(body, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
        if value.repeated is not None:
            raise _twice(where, value.repeated, f"{path}.{value.repeated}".lstrip("."))


class _Pairs(dict[str, Any]):
    """An object that remembers a key which stood in it twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.repeated = next((key for key in self if keys.count(key) > 1), None) if len(self) < len(keys) else None


def _is_unrepeated(envelope: bytes) -> bool:
    try:
        page = json.loads(envelope, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except ValueError:
        # Something in it has brackets of its own: the whole page is looked at.
        return False
    return isinstance(page, _Pairs) and page.repeated is None


class _Paper(threading.local):
    """Where tasks are written again: memory that was touched before costs a quarter of fresh memory."""

    def __init__(self) -> None:
        self.text = bytearray()


_paper = _Paper()
_encoder = msgspec.json.Encoder()


def _written(docs: Sequence[Struct | Raw]) -> bytearray:
    _encoder.encode_into(docs, _paper.text)
    return _paper.text


def _same_quotes(text: memoryview, written: bytearray) -> bool:
    missing = _quotes(text) - _quotes(written)
    return missing == 0 or missing == written.count(_ESCAPED_QUOTE) - bytes(text).count(_ESCAPED_QUOTE)


def _quotes(text: memoryview | bytearray) -> int:
    found = np.frombuffer(text, np.uint8)
    return sum(int(np.count_nonzero(found[start : start + _STEP] == _QUOTE)) for start in range(0, len(found), _STEP))


def _documented(page: Any) -> list[tuple[str, _Pairs]]:
    """List the objects of a page whose keys are read one by one."""
    found = [("", page)]
    for index, doc in enumerate(page["docs"]):
        found.append((f"docs[{index}]", doc))
        audits = doc.get("audits")
        if isinstance(audits, list):
            found += [(f"docs[{index}].audits[{at}]", audit) for at, audit in enumerate(audits)]
    return [(path, value) for path, value in found if isinstance(value, _Pairs)]


def _twice(where: str, key: str, place: str) -> ReplyError:
    return ReplyError(
        f"{where} holds an object with the key {key!r} twice, at {place}: nobody can tell which value is meant.",
        path=place,
    )
