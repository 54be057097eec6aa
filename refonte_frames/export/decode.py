"""Bytes of a reply become typed objects whose free-form parts stay the service's own text. Pure; no Arrow here.

A page is read in one go by a strict msgspec decoder. Only when an object holds a key or a value that is not
documented is it read a second time, key by key; keys met in this way are learned, so that a service that sends
one with every object costs no more than a documented one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from refonte_frames.errors import ReplyError
from refonte_frames.transport.replies import MAX_DEPTH, decode_json, is_deeper, too_deep, without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "MAX_EXACT",
    "NO_RAW",
    "AuditDoc",
    "Number",
    "Page",
    "PageDecoder",
    "TaskDoc",
    "number_of",
    "object_of",
    "object_text",
    "require_utf8",
    "text_of",
]

T = TypeVar("T")

#: Stands for an absent part: msgspec takes no union with Raw.
NO_RAW: Final = Raw(b"")

#: Integers beyond this are not exact as float64 and are looked at one by one.
MAX_EXACT: Final = 2**53 - 1
Number = Annotated[float, Meta(ge=-MAX_EXACT, le=MAX_EXACT)]
_Int16 = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]

_Text = str | None | UnsetType
_Bool = bool | None | UnsetType

# Made once: to make one costs several times as much as to read such a part with it.
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_objects: Final = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_decode_number: Final = msgspec.json.Decoder(int | float).decode

#: Levels that the parts of a task may have: the page, its list and the task are three themselves.
_PART_DEPTH: Final = MAX_DEPTH - 3

#: More learned keys than this are read the slow way: a hostile service could send a new one with every object.
_MAX_LEARNED: Final = 32


class AuditDoc(Struct, forbid_unknown_fields=True, gc=False):
    """One entry of a task's ``audits`` (contract 2.3)."""

    extra: ClassVar[dict[str, str] | None] = None

    audited_by: _Text = UNSET
    audited_at: _Text = UNSET
    audit_time_secs: Number | UnsetType | None = UNSET
    audit_result: _Text = UNSET
    audit_source: _Text = UNSET
    comments: _Text = UNSET


class LooseAudit(AuditDoc):
    """An audit with keys or values that are not documented; `extra` holds their text by key."""

    extra: dict[str, str] | None = None  # type: ignore[misc]


class TaskDoc(Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A task as the service sends it (contract 2.3): absent fields are UNSET, explicit nulls None."""

    extra: ClassVar[dict[str, str] | None] = None

    task_id: str
    unique_id: _Text = UNSET
    project: _Text = UNSET
    batch: _Text = UNSET
    type: _Text = UNSET
    status: _Text = UNSET
    customer_review_status: _Text = UNSET
    created_at: _Text = UNSET
    updated_at: _Text = UNSET
    completed_at: _Text = UNSET
    instruction: _Text = UNSET
    callback_url: _Text = UNSET
    callback_succeeded: _Bool = UNSET
    callback_completed: _Bool = UNSET
    priority: _Int16 | UnsetType | None = UNSET
    tags: list[str] | UnsetType | None = UNSET
    audits: list[AuditDoc] | UnsetType | None = UNSET
    attachment_url: str | list[str] | UnsetType | None = UNSET
    params: Raw = NO_RAW
    response: Raw = NO_RAW
    metadata: Raw = NO_RAW


class LooseTask(TaskDoc, kw_only=True):
    """A task with keys or values that are not documented; `extra` holds their text by key."""

    extra: dict[str, str] | None = None  # type: ignore[misc]


class _Envelope(Struct, Generic[T]):
    """A page of a list (contract 1.6); further keys of the envelope carry nothing of the rows."""

    docs: list[T]
    total: int | None = None
    has_more: bool | None = None
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of ``GET /tasks``.

    Attributes
    ----------
    docs : list of TaskDoc
        In the order of the reply.
    total : int or None
        Tasks that match, on all pages together, by the service's account.
    has_more : bool
        Whether the service says that there is another page.
    next_token : str or None
        What to ask for the next page with.
    mended : int
        Halves of a character that stood alone in the reply and were replaced by U+FFFD: no text can hold them.
    size : int
        Bytes of the reply.
    """

    docs: list[TaskDoc]
    total: int | None
    has_more: bool
    next_token: str | None
    mended: int = 0
    size: int = 0


class PageDecoder:
    """Reads pages of tasks; one decoder serves all threads of an export and learns for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._learned: tuple[str, ...] = ()
        self._doc: msgspec.json.Decoder[TaskDoc]
        self._page: msgspec.json.Decoder[_Envelope[TaskDoc]]
        self._use(TaskDoc)

    def decode(self, body: bytes, *, where: str) -> Page:
        """Read one page.

        Parameters
        ----------
        body : bytes
            The reply.
        where : str
            Which page this is, for the sentence of an error.

        Raises
        ------
        ReplyError
            If the body is no strict JSON in UTF-8, no list envelope, nested too deeply, or holds an object without a
            ``task_id``; ``.path`` says where in the page.
        """
        require_utf8(body, where)
        mended = 0
        try:
            page = self._page.decode(body)
            self._require_flat(page.docs, body, where)
        except msgspec.ValidationError:
            page = self._decode_slowly(body, where)
        except (msgspec.DecodeError, RecursionError):
            body, mended = without_lone_surrogates(body)
            page = self._decode_slowly(body, where)
        return Page(page.docs, page.total, _has_more(page), page.next_token or None, mended, len(body))

    def decode_task(self, body: bytes, *, where: str) -> TaskDoc:
        """Read one task object, such as the reply of ``GET /task/{id}``."""
        require_utf8(body, where)
        body, _ = without_lone_surrogates(body)
        if is_deeper(body, MAX_DEPTH):
            raise too_deep(body, where)
        try:
            return self._doc.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return _loose_task(decode_json(body, type=dict[str, Raw], where=where), where, "")

    def ids(self, doc: TaskDoc) -> tuple[str, str | None]:
        """Tell a task's id, and its unique_id where it has one."""
        return doc.task_id, doc.unique_id if isinstance(doc.unique_id, str) else None

    def _require_flat(self, docs: list[TaskDoc], body: bytes, where: str) -> None:
        """Refuse parts that are nested too deeply; everything else of a task has a type, and with it a depth."""
        parts = [raw for doc in docs for raw in self._parts_of(doc)]
        for index in _with_many_brackets(parts):
            if is_deeper(bytes(parts[index]), _PART_DEPTH):
                raise too_deep(body, where, task_id=docs[index * len(docs) // len(parts)].task_id)

    def _decode_slowly(self, body: bytes, where: str) -> _Envelope[TaskDoc]:
        page = decode_json(body, type=_Envelope[Raw], where=where)
        docs = [self._decode_doc(raw, where, f"docs[{index}]") for index, raw in enumerate(page.docs)]
        self._learn(docs)
        return _Envelope(docs, page.total, page.has_more, page.next_token)

    def _decode_doc(self, raw: Raw, where: str, path: str) -> TaskDoc:
        try:
            return self._doc.decode(raw)
        except (msgspec.ValidationError, RecursionError):
            try:
                keys = _decode_object(raw)
            except msgspec.ValidationError:
                raise ReplyError(f"{where} holds something else than an object at {path}.", path=path) from None
            return _loose_task(keys, where, path)

    def _learn(self, docs: list[TaskDoc]) -> None:
        """Give keys that were met a field of their own, so that the next page is read in one go again."""
        met = {key for doc in docs for key in (doc.extra or ()) if key not in _TASK_FIELDS}
        with self._lock:
            learned = tuple(dict.fromkeys((*self._learned, *sorted(met))))
            if len(learned) != len(self._learned) and len(learned) <= _MAX_LEARNED:
                self._learned = learned
                self._use(_learned_type(learned))

    def _use(self, doc_type: type[TaskDoc]) -> None:
        names = [field.name for field in msgspec.structs.fields(doc_type) if field.type is Raw]
        self._parts_of: Callable[[TaskDoc], tuple[Raw, ...]] = attrgetter(*names)
        self._doc = msgspec.json.Decoder(doc_type)
        self._page = msgspec.json.Decoder(_Envelope[doc_type])  # type: ignore[valid-type]


def _with_many_brackets(parts: list[Raw]) -> list[int]:
    """Say which parts have more opening brackets than levels are allowed: no other can be nested too deeply.

    The brackets of a whole page are counted at once; looking at part after part costs four times as much.
    """
    if not parts:
        return []
    views: Iterable[Any] = map(memoryview, parts)
    ends = np.cumsum(np.fromiter(map(len, views), np.int64, len(parts)))
    # The two opening brackets differ in one bit.
    is_opening = (np.frombuffer(b"".join(parts), np.uint8) | 0x20) == ord("{")
    before = np.searchsorted(np.flatnonzero(is_opening), ends)
    return np.flatnonzero(np.diff(before, prepend=0) > _PART_DEPTH).tolist()


def require_utf8(body: bytes, where: str) -> None:
    """Check what msgspec leaves unchecked in the parts that stay text."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise ReplyError(f"{where} was answered with bytes that are no UTF-8 (byte {error.start}).") from None


def _has_more(page: _Envelope[Any]) -> bool:
    return page.has_more if page.has_more is not None else bool(page.next_token)


def _learned_type(keys: tuple[str, ...]) -> type[TaskDoc]:
    """Make a task type that has the further keys as raw fields, and an `extra` that collects them."""
    names = tuple(f"learned_{index}" for index in range(len(keys)))

    def extra(doc: Any) -> dict[str, str] | None:
        found = {key: text_of(getattr(doc, name)) for name, key in zip(names, keys, strict=True)}
        return {key: text for key, text in found.items() if text} or None

    learned: Any = msgspec.defstruct(
        "LearnedTask",
        [(name, Raw, NO_RAW) for name in names],
        bases=(TaskDoc,),
        namespace={"extra": property(extra)},
        rename=dict(zip(names, keys, strict=True)),
        forbid_unknown_fields=True,
        gc=False,
        kw_only=True,
    )
    return learned  # type: ignore[no-any-return]


_TASK_FIELDS: Final = {field.encode_name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(TaskDoc)}
_AUDIT_FIELDS: Final = {
    field.encode_name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(AuditDoc)
}


def _loose_task(keys: Mapping[str, Raw], where: str, path: str) -> TaskDoc:
    """Read a task key by key: what does not fit, and what nobody documented, goes to `extra` as text."""
    values, extra = _sorted_out(keys, _TASK_FIELDS)
    if "task_id" not in values:
        place = f"{path}.task_id".lstrip(".")
        raise ReplyError(f"{where} holds a task without a usable task_id, at {place}.", path=place)
    if "audits" in extra and (audits := _loose_audits(keys["audits"])) is not None:
        values["audits"] = audits
        del extra["audits"]
    return LooseTask(**values, extra=extra or None)


def _loose_audits(raw: Raw) -> list[AuditDoc] | None:
    try:
        listed = _decode_objects(raw)
    except (msgspec.ValidationError, RecursionError):
        return None
    sorted_out = [_sorted_out(keys, _AUDIT_FIELDS) for keys in listed]
    return [LooseAudit(**values, extra=extra or None) for values, extra in sorted_out]


def _sorted_out(
    keys: Mapping[str, Raw], fields: Mapping[str, msgspec.json.Decoder[Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Split an object into the values that fit their field, and the text of all others by key."""
    values: dict[str, Any] = {}
    extra: dict[str, str] = {}
    for key, raw in keys.items():
        decoder = fields.get(key)
        if decoder is None:
            extra[key] = text_of(raw)
            continue
        try:
            values[key] = raw if decoder.type is Raw else decoder.decode(raw)
        except (msgspec.ValidationError, RecursionError):
            extra[key] = text_of(raw)
    return values, extra


def text_of(raw: Raw) -> str:
    """Return the service's own text of a part."""
    return str(raw, "utf-8")


def object_text(keys: Mapping[str, str]) -> str | None:
    """Write an object from the text of its values; None for none.

    >>> object_text({"a": "1.0", "ä": "null"})
    '{"a":1.0,"ä":null}'
    """
    if not keys:
        return None
    return "{" + ",".join(f"{msgspec.json.encode(key).decode()}:{text}" for key, text in keys.items()) + "}"


def object_of(raw: Raw) -> dict[str, Raw] | None:
    """Read one level of an object; None when it is something else."""
    try:
        return _decode_object(raw)
    except (msgspec.ValidationError, RecursionError):
        return None


def number_of(raw: Raw) -> float | None:
    """Read a number that float64 holds: any fraction, but integers only where they stay exact.

    >>> number_of(Raw(b"165.0")), number_of(Raw(b"9007199254740993")), number_of(Raw(b"1e400"))
    (165.0, None, None)
    """
    try:
        value = _decode_number(raw)
    except (msgspec.ValidationError, RecursionError):
        return None
    if isinstance(value, float):
        return value
    try:
        return float(value) if float(value) == value else None
    except OverflowError:
        return None
