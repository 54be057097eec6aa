"""Typed objects become Arrow record batches of the tables tasks, audits and annotations. Pure; no replies here."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET, Raw, Struct

from refonte_frames.export.annotations import annotation_columns
from refonte_frames.export.arrays import few_texts
from refonte_frames.export.decode import NO_RAW, AuditDoc, TaskDoc, object_of, object_text, text_of
from refonte_frames.export.flatten import flatten
from refonte_frames.schemas import ANNOTATIONS, AUDITS, DICT, SCHEMAS, TASKS, TEXTS, TS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from refonte_frames.export.drift import Drift
    from refonte_frames.export.elements import Answered
    from refonte_frames.export.flatten import Answer

__all__ = ["EPOCH", "TASK_TABLES", "build", "empty", "time_of"]

#: The tables that a task object fills.
TASK_TABLES: Final = ("tasks", "audits", "annotations")

_TASK_KEYS: Final = frozenset(TaskDoc.__struct_encode_fields__)
_AUDIT_KEYS: Final = frozenset(AuditDoc.__struct_encode_fields__)
#: Documented keys of a task that have no column (contract 2.3, 5.4) and are therefore no drift.
_DOCUMENTED_EXTRAS: Final = frozenset({"document_pages", "otherVersion", "clear_unique_id_on_error"})

#: Fits, and is kept all the same: no row of the table audits would tell it from an absent key.
_NO_MISFITS: Final = frozenset({("audits", "[]")})
_TASK_VALUES: Final = (
    *("task_id", "unique_id", "project", "batch", "type", "status", "customer_review_status"),
    *("instruction", "callback_url", "priority", "tags"),
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Beyond them a time is one in the offset it was written with, but not in UTC.
_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,](?P<fraction>\d+))?)?)?\s?([Zz]|[+-]\d\d(:?\d\d)?)?", re.ASCII
)

_Extras = dict[int, dict[str, str]]


_NULL: Final = Raw(b"null")
#: Bytes of a response that is absent, or null.
_NO_RESPONSE: Final = (0, 4)


class _Attachment(Struct, gc=False):
    """An attachment that is an object (contract 5.2)."""

    content: str | None = None
    url: str | None = None


class _Head(Struct, gc=False):
    """The parts of params that have a column of their own."""

    attachment: str | _Attachment | None = None
    attachments: list[str | _Attachment] | None = None
    attachment_type: str | None = None


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_list = msgspec.json.Decoder(list[Raw]).decode


def empty(table: str) -> pa.Table:
    """Return a table of no rows: its columns are the same as those of any other."""
    return SCHEMAS[table].empty_table()


def build(
    docs: Sequence[TaskDoc], *, tables: Collection[str], exported_at: datetime, drift: Drift
) -> dict[str, pa.RecordBatch]:
    """Build one record batch per table.

    Parameters
    ----------
    docs : sequence of TaskDoc
        The tasks, in the order in which their rows shall stand.
    tables : collection of str
        Which of `TASK_TABLES` are wanted; tasks are always built, since the others are made from them.
    exported_at : datetime
        Goes into the column of this name.
    drift : Drift
        Counts what did not look as documented.
    """
    answers = _answers(docs, drift)
    tasks, keep = _tasks(docs, answers, exported_at, drift)
    batches = {"tasks": tasks}
    if "audits" in tables:
        batches["audits"] = _audits(docs, tasks, exported_at, drift)
    if "annotations" in tables:
        batches["annotations"] = _annotations(answers, tasks, exported_at, drift)
    _note_extras("tasks", keep, _TASK_KEYS, drift)
    return batches


def time_of(text: str) -> tuple[int | None, bool]:
    """Read a time of the service.

    Returns
    -------
    tuple of (int or None, bool)
        Microseconds since 1970 in UTC, None if it is no time; and whether nothing was cut off.

    Notes
    -----
    Without an offset a time means UTC (contract 1.1).

    >>> time_of("2021-06-23T11:09:34.752+02:00")
    (1624439374752000, True)
    >>> time_of("soon")
    (None, False)
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None, False
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None, False
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    if not _FIRST <= micros <= _LAST:
        return None, False
    return micros, not (match["fraction"] or "")[6:].strip("0")


@dataclass(slots=True)
class _Answers:
    """What the responses of many tasks came to: all rows, how many are whose, and the texts of errors."""

    rows: list[Answered] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    errors: list[str | None] = field(default_factory=list)


def _answers(docs: Iterable[TaskDoc], drift: Drift) -> _Answers:
    """Read all responses. None is kept for itself: thousands of objects would keep the garbage collector busy."""
    answers = _Answers()
    for doc in docs:
        answer = None if len(memoryview(doc.response)) in _NO_RESPONSE else flatten(doc.response, doc.type or None)
        if answer is None:
            answers.counts.append(0)
            answers.errors.append(None)
            continue
        answers.rows += answer.rows
        answers.counts.append(len(answer.rows))
        answers.errors.append(answer.error)
        _note_answer(doc, answer, drift)
    return answers


class _Reader:
    """Takes column after column from objects, and keeps the text of what has no place in a column."""

    def __init__(self, objects: Sequence[Struct], table: str, drift: Drift) -> None:
        self.objects = objects
        self.table = table
        self.drift = drift
        self.extras: _Extras = {
            index: dict(extra) for index, extra in enumerate(map(attrgetter("extra"), objects)) if extra
        }

    def values(self, name: str) -> list[Any]:
        """Return a field of all objects, None where it is absent; explicit nulls are noted."""
        values = list(map(attrgetter(name), self.objects))
        if None in values:
            for index, value in enumerate(values):
                if value is None:
                    self.note(index, name, "null")
        return [None if value is UNSET else value for value in values]

    def texts(self, name: str) -> pa.Array:
        """Return a free-form field of all objects as the service's own text."""
        raws = list(map(attrgetter(name), self.objects))
        views: Iterable[Any] = map(memoryview, raws)
        lengths = np.fromiter(map(len, views), np.int64, len(raws))
        for index in np.flatnonzero(lengths == len(b"null")).tolist():
            if raws[index] == _NULL:
                self.note(index, name, "null")
                raws[index], lengths[index] = NO_RAW, 0
        return few_texts(raws, lengths)

    def times(self, name: str) -> pa.Array:
        """Return a field of all objects as times; what is no time is kept as it was."""
        values = self.values(name)
        with contextlib.suppress(pa.ArrowInvalid):
            times = pa.array(values, pa.string()).cast(TS)
            found = pc.min_max(times.cast(pa.int64()))
            if not found["min"].is_valid or (found["min"].as_py() >= _FIRST and found["max"].as_py() <= _LAST):
                return times
        return pa.array([self._time(index, name, value) for index, value in enumerate(values)], TS)

    def note(self, index: int, name: str, text: str) -> None:
        """Keep the text of a value that has no place in its column."""
        self.extras.setdefault(index, {}).setdefault(name, text)

    def extra_json(self) -> pa.Array:
        """Return the column of what is left over."""
        texts: list[str | None] = [None] * len(self.objects)
        for index, extra in self.extras.items():
            texts[index] = object_text(extra)
        return pa.array(texts, pa.string())

    def _time(self, index: int, name: str, value: str | None) -> int | None:
        if value is None:
            return None
        micros, is_whole = time_of(value)
        if not is_whole:
            self.note(index, name, msgspec.json.encode(value).decode())
        return micros


def _tasks(
    docs: Sequence[TaskDoc], answers: _Answers, exported_at: datetime, drift: Drift
) -> tuple[pa.RecordBatch, _Extras]:
    reader = _Reader(docs, "tasks", drift)
    columns: dict[str, Any] = {name: pa.array(reader.values(name), TASKS.field(name).type) for name in _TASK_VALUES}
    columns |= {name: reader.times(name) for name in ("created_at", "updated_at", "completed_at")}
    columns["turnaround_secs"] = _turnaround(columns["created_at"], columns["completed_at"], columns["status"])
    columns |= _attachments(docs, drift)
    columns["attachment_urls"] = pa.array(
        [[value] if isinstance(value, str) else value for value in reader.values("attachment_url")], TEXTS
    )
    columns["callback_succeeded"] = pa.array(_callback_outcomes(reader), pa.bool_())
    columns["error"] = pa.array(answers.errors, pa.string())
    columns["n_annotations"] = pa.array(answers.counts, pa.int32())
    audits = reader.values("audits")
    if [] in audits:
        for index in (index for index, entries in enumerate(audits) if entries == []):
            reader.note(index, "audits", "[]")
    columns |= _audit_summary(audits)
    columns |= {f"{name}_json": reader.texts(name) for name in ("params", "response", "metadata")}
    columns["extra_json"] = reader.extra_json()
    columns["exported_at"] = _constant(exported_at, len(docs))
    return _batch(columns, TASKS), reader.extras


def _batch(columns: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _constant(moment: datetime, length: int) -> pa.Array:
    return pa.repeat(pa.scalar(moment, TS), length)


def _turnaround(created: pa.Array, completed: pa.Array, status: pa.Array) -> pa.Array:
    is_completed = pc.equal(status.cast(pa.string()), "completed")
    return pc.if_else(is_completed, _seconds(created, completed), pa.scalar(None, pa.float64()))


def _seconds(start: pa.Array, end: pa.Array) -> pa.Array:
    micros = pc.subtract(end.cast(pa.int64()), start.cast(pa.int64()))
    return pc.divide(micros.cast(pa.float64()), 1e6)


def _attachments(docs: Sequence[TaskDoc], drift: Drift) -> dict[str, pa.Array]:
    heads = [_head(doc.params, drift) for doc in docs]
    return {
        "attachment": pa.array([_text_of(head.attachment) for head in heads], pa.string()),
        "attachments": pa.array(
            [None if head.attachments is None else list(map(_text_of, head.attachments)) for head in heads], TEXTS
        ),
        "attachment_type": pa.array([head.attachment_type for head in heads], DICT),
    }


def _head(params: Raw, drift: Drift) -> _Head:
    if not memoryview(params):
        return _NO_HEAD
    try:
        return _decode_head(params)
    except (msgspec.ValidationError, RecursionError):
        return _loose_head(object_of(params) or {}, drift)


_NO_HEAD: Final = _Head()


def _text_of(attachment: str | _Attachment | None) -> str | None:
    if isinstance(attachment, _Attachment):
        return attachment.url if attachment.content is None else attachment.content
    return attachment


def _loose_head(params: dict[str, Raw], drift: Drift) -> _Head:
    """Read what is not as documented, part by part; what cannot be read stays in params_json alone."""
    head = _Head()
    for name, read in (("attachment", _attachment), ("attachments", _attachment_list), ("attachment_type", _string)):
        raw = params.get(name)
        if raw is None or text_of(raw) == "null":
            continue
        value = read(raw)
        setattr(head, name, value)
        if value is None:
            drift.note_misfit(f"tasks.{name}")
    return head


def _string(raw: Raw) -> str | None:
    try:
        return _decode_text(raw)
    except msgspec.ValidationError:
        return None


def _attachment(raw: Raw) -> str | None:
    keys = object_of(raw)
    if keys is None:
        return _string(raw)
    return next((text for key in ("content", "url") if key in keys and (text := _string(keys[key])) is not None), None)


def _attachment_list(raw: Raw) -> list[str | None] | None:
    try:
        return [_attachment(item) for item in _decode_list(raw)]
    except (msgspec.ValidationError, RecursionError):
        return None


def _callback_outcomes(reader: _Reader) -> list[bool | None]:
    """Merge the two documented names of one field (contract 3); where they do not agree, the other one is kept."""
    succeeded, completed = reader.values("callback_succeeded"), reader.values("callback_completed")
    for index, (first, second) in enumerate(zip(succeeded, completed, strict=True)):
        if second is not None and first is not second:
            reader.note(index, "callback_completed", "true" if second else "false")
    return [second if first is None else first for first, second in zip(succeeded, completed, strict=True)]


def _audit_summary(audits: Sequence[list[AuditDoc] | None]) -> dict[str, pa.Array]:
    ordered: list[Sequence[AuditDoc]] = [_by_age(entries) if entries else () for entries in audits]

    def of(position: int, name: str) -> pa.Array:
        values = [getattr(entries[position], name) if entries else None for entries in ordered]
        return pa.array([None if value is UNSET else value for value in values], DICT)

    return {
        "n_audits": pa.array(list(map(len, ordered)), pa.int32()),
        "first_audit_result": of(0, "audit_result"),
        "last_audit_result": of(-1, "audit_result"),
        "last_audit_source": of(-1, "audit_source"),
    }


def _by_age(audits: list[AuditDoc]) -> list[AuditDoc]:
    """Sort oldest first; the service lists the newest first, which decides where times are equal or missing."""
    if len(audits) == 1:
        return audits
    oldest_first = audits[::-1]
    oldest_first.sort(key=_audited_at)
    return oldest_first


def _audited_at(audit: AuditDoc) -> int:
    return time_of(audit.audited_at or "")[0] or 0


def _audits(docs: Sequence[TaskDoc], tasks: pa.RecordBatch, exported_at: datetime, drift: Drift) -> pa.RecordBatch:
    per_task: list[Sequence[AuditDoc]] = [_by_age(doc.audits) if doc.audits else () for doc in docs]
    entries = [audit for audits in per_task for audit in audits]
    counts = np.fromiter(map(len, per_task), np.int64, len(per_task))
    columns = _of_parent(tasks, counts, "audit_index")
    reader = _Reader(entries, "audits", drift)
    columns |= {
        name: pa.array(reader.values(name), AUDITS.field(name).type)
        for name in ("audited_by", "audit_time_secs", "audit_result", "audit_source", "comments")
    }
    columns["audited_at"] = reader.times("audited_at")
    columns["lag_secs"] = _seconds(columns["completed_at"], columns["audited_at"])
    columns["is_first"] = pc.equal(columns["audit_index"], 0)
    last = np.repeat(counts - 1, counts)
    columns["is_last"] = pc.equal(columns["audit_index"], pa.array(last, pa.int32()))
    columns["extra_json"] = reader.extra_json()
    columns["exported_at"] = _constant(exported_at, len(entries))
    _note_extras("audits", reader.extras, _AUDIT_KEYS, drift)
    return _batch(columns, AUDITS)


def _of_parent(tasks: pa.RecordBatch, counts: Any, index_name: str) -> dict[str, Any]:
    """Repeat what the rows of a task share, and number them."""
    parents = pa.array(np.repeat(np.arange(len(counts)), counts))
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    columns: dict[str, Any] = {
        name: tasks[name].take(parents) for name in ("task_id", "project", "batch", "type", "completed_at")
    }
    columns[index_name] = pa.array(np.arange(len(starts)) - starts, pa.int32())
    return columns


def _annotations(answers: _Answers, tasks: pa.RecordBatch, exported_at: datetime, drift: Drift) -> pa.RecordBatch:
    columns = _of_parent(tasks, np.array(answers.counts, np.int64), "annotation_index")
    columns |= annotation_columns(answers.rows, drift)
    columns["exported_at"] = _constant(exported_at, len(answers.rows))
    return _batch(columns, ANNOTATIONS)


def _note_answer(doc: TaskDoc, answer: Answer, drift: Drift) -> None:
    if not answer.is_known:
        drift.note_response(doc.type or None)
    for column in answer.misfits:
        drift.note_misfit(f"annotations.{column}")
    for key in answer.unknown_keys:
        drift.note_key(f"annotations.{key}")


def _note_extras(table: str, extras: _Extras, columns: Collection[str], drift: Drift) -> None:
    note: Callable[[str], None]
    for extra in extras.values():
        for key, text in extra.items():
            if key in _DOCUMENTED_EXTRAS or text == "null" or (key, text) in _NO_MISFITS or key == "callback_completed":
                continue
            note = drift.note_misfit if key in columns else drift.note_key
            note(f"{table}.{key}")
