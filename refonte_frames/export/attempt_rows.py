"""Attempts as a service may spell them become rows of the table attempts. Pure.

No document prints a true answer of ``GET /quality/labelers`` (contract 4.4): every column is looked for under several
names, in snake_case or camelCase, and what is found under no name of ours is kept in ``extra_json``.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
from msgspec import Raw

from refonte_frames.errors import ReplyError
from refonte_frames.export import kinds
from refonte_frames.export.decode import number_of, object_text, require_utf8, text_of
from refonte_frames.schemas import ATTEMPTS
from refonte_frames.transport.replies import decode_json, without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from refonte_frames.export.drift import Drift

__all__ = ["AttemptDecoder", "AttemptPage", "table_of", "tells_outcomes"]

Doc = dict[str, Raw]

#: Where the rows may lie in the reply; it may also be a bare array.
_LISTS: Final = ("docs", "training_attempts", "attempts", "data")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class AttemptPage:
    """One page of attempts, each still as the texts of its parts; see `refonte_frames.pages.PageLike`."""

    docs: list[Doc]
    total: int | None = None
    has_more: bool = False
    next_token: str | None = None


class AttemptDecoder:
    """Reads pages of attempts in any of the envelopes that a service of this family may send."""

    def decode(self, body: bytes, *, where: str) -> AttemptPage:
        """Read one page.

        Raises
        ------
        ReplyError
            It is no strict JSON, or there is no list of objects in it.
        """
        require_utf8(body, where)
        body, _ = without_lone_surrogates(body)
        if body.lstrip()[:1] == b"[":
            return AttemptPage(decode_json(body, type=list[Doc], where=where))
        envelope = decode_json(body, type=Doc, where=where)
        name = next((name for name in _LISTS if name in envelope), None)
        if name is None:
            raise ReplyError(
                f"{where} was answered without attempts: none of {', '.join(_LISTS)} is in it, but "
                f"{', '.join(envelope) or 'nothing'}.",
                path="docs",
            )
        try:
            docs = msgspec.json.decode(envelope[name], type=list[Doc])
        except (msgspec.ValidationError, RecursionError):
            raise ReplyError(f"{where} holds something else than a list of objects at {name}.", path=name) from None
        token = kinds.text(envelope.get("next_token", _NULL)) or None
        has_more = kinds.flag(envelope.get("has_more", _NULL))
        total = kinds.int64(envelope.get("total", _NULL))
        return AttemptPage(docs, total, token is not None if has_more is None else has_more, token)


_NULL: Final = Raw(b"null")


def _score(raw: Raw) -> float | None:
    value = number_of(raw)
    return value if value is not None and 0 <= value <= 1 else None


def _seconds(raw: Raw) -> float | None:
    value = number_of(raw)
    return value if value is not None and value >= 0 else None


#: Column -> how its value is read, and the names under which it is looked for: the first one that is there counts.
_COLUMNS: Final[dict[str, tuple[Callable[[Raw], Any], tuple[str, ...]]]] = {
    "attempt_id": (kinds.text, ("attempt_id", "id", "uuid")),
    "labeler": (
        kinds.text,
        ("labeler_email", "labeler", "worker_email", "worker", "user_email", "email", "attempted_by", "labeler_id"),
    ),
    "quality_task_id": (kinds.text, ("quality_task_id", "training_task_id", "evaluation_task_id", "quality_task")),
    "task_id": (kinds.text, ("task_id", "task")),
    "kind": (kinds.text, ("quality_type", "kind", "quality_task_type")),
    "project": (kinds.text, ("project", "project_name")),
    "batch": (kinds.text, ("batch", "batch_name")),
    "type": (kinds.text, ("task_type", "type")),
    "attempt_number": (kinds.int32, ("attempt_number", "attempt_no", "attempt")),
    "status": (kinds.text, ("status", "state")),
    "passed": (kinds.flag, ("passed", "is_passed", "is_correct", "correct")),
    "score": (_score, ("score", "accuracy")),
    "started_at": (kinds.moment, ("started_at", "start_time", "created_at")),
    "completed_at": (kinds.moment, ("completed_at", "submitted_at", "finished_at", "end_time")),
    "duration_secs": (_seconds, ("duration_secs", "duration_seconds", "time_spent_secs", "duration")),
    "difficulty": (kinds.text, ("difficulty",)),
    "concepts": (kinds.texts, ("concepts", "concept")),
    "expected_json": (kinds.open_text, ("expected_response", "expected")),
    "response_json": (kinds.open_text, ("response", "attempt_response", "answer")),
}
_PLACES: Final = {name: (column, rank) for column, (_, names) in _COLUMNS.items() for rank, name in enumerate(names)}
_KINDS: Final = ("training", "evaluation")
_OUTCOMES: Final = {"passed": True, "failed": False}


@dataclass(slots=True)
class _Sorted:
    """The parts of an attempt that have a column, each with the name it had, and all others."""

    chosen: dict[str, tuple[int, str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def _sorted_out(doc: Doc) -> _Sorted:
    found = _Sorted()
    for key in doc:
        column, rank = _PLACES.get(_HUMP.sub("_", key).lower(), (None, 0))
        if column is None:
            found.others.append(key)
        elif column not in found.chosen or rank < found.chosen[column][0]:
            if column in found.chosen:
                found.others.append(found.chosen[column][1])
            found.chosen[column] = rank, key
        else:
            found.others.append(key)
    return found


def tells_outcomes(docs: Iterable[Doc]) -> bool:
    """Say whether any attempt has something that tells whether it was passed; without attempts there is nothing to."""
    is_empty = True
    for doc in docs:
        is_empty = False
        chosen = _sorted_out(doc).chosen
        if "passed" in chosen or "score" in chosen:
            return True
        if "status" in chosen and kinds.text(doc[chosen["status"][1]]) in _OUTCOMES:
            return True
    return is_empty


def table_of(docs: Sequence[Doc], *, exported_at: datetime, drift: Drift) -> pa.Table:
    """Make the table of all attempts that were read, each once, the latest first.

    Parameters
    ----------
    docs : sequence of dict of str to Raw
        The attempts, in the order of the replies.
    exported_at : datetime
        Goes into the column of this name.
    drift : Drift
        Counts what did not look as documented.

    Notes
    -----
    An attempt's number is the service's, or else counted by start within a labeler and quality task;
    ``labeler_seq`` is counted by start within a labeler, over the attempts that were read.
    """
    rows = _distinct([_row(doc, drift) for doc in docs])
    ordered = sorted(rows, key=_age)
    _number(ordered)
    return pa.Table.from_pylist([row | {"exported_at": exported_at} for row in reversed(ordered)], ATTEMPTS)


def _distinct(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every attempt once: lists that shift, or are read again from their beginning, repeat some.

    An attempt without an id of its own is told by labeler, quality task and start. Of several that began at one time
    what they hold makes the difference, and so it does for those that do not say when they began. Attempts of one id
    that are of different labelers, quality tasks or starts are several: what was taken for their id is none.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        telling = _begun(row) if row["_has_id"] else row["_text"]
        found.setdefault(row["attempt_id"], {}).setdefault(telling, row)
    for several in found.values():
        for telling in sorted(several)[1:]:
            several[telling]["attempt_id"] = _digest(several[telling]["attempt_id"], telling)
    return [row for several in found.values() for row in several.values()]


def _begun(row: dict[str, Any]) -> str:
    return "\n".join(str(row[name]) for name in ("labeler", "quality_task_id", "started_at"))


def _row(doc: Doc, drift: Drift) -> dict[str, Any]:
    found = _sorted_out(doc)
    row: dict[str, Any] = dict.fromkeys(_COLUMNS)
    extra: dict[str, str] = {}
    for column, (_, key) in found.chosen.items():
        row[column] = _COLUMNS[column][0](doc[key])
        if row[column] is None:
            extra[key] = text_of(doc[key])
            if extra[key] != "null":
                drift.note_misfit(f"attempts.{column}")
    for key in found.others:
        extra[key] = text_of(doc[key])
        drift.note_key(f"attempts.{key}")
    _fill(row, extra)
    row["extra_json"] = object_text(extra)
    row["_text"] = object_text({key: text_of(raw) for key, raw in sorted(doc.items())}) or ""
    row["_has_id"] = bool(row["attempt_id"])
    if not row["attempt_id"]:
        start = row["_text"] if row["started_at"] is None else row["started_at"]
        row["attempt_id"] = _digest(row["labeler"], row["quality_task_id"], start)
    return row


def _fill(row: dict[str, Any], extra: dict[str, str]) -> None:
    """Conclude what the service left out from what it said; a kind that nobody knows is kept beside ``unknown``."""
    if row["kind"] not in _KINDS:
        if row["kind"] is not None:
            extra.setdefault("quality_type", msgspec.json.encode(row["kind"]).decode())
        row["kind"] = "unknown"
    if row["passed"] is None:
        row["passed"] = _OUTCOMES.get(row["status"] or "")
    start, end = row["started_at"], row["completed_at"]
    if row["duration_secs"] is None and start is not None and end is not None and end >= start:
        row["duration_secs"] = (end - start) / 1e6


def _digest(*values: Any) -> str:
    return hashlib.sha256("\n".join(map(str, values)).encode()).hexdigest()[:32]


def _age(row: dict[str, Any]) -> tuple[Any, ...]:
    """Order by start; what did not say when it began comes first, and the id decides between equals."""
    never = -(2**63)
    stamps = (row["started_at"], row["completed_at"], row["attempt_number"])
    return (*(never if value is None else value for value in stamps), row["attempt_id"])


def _number(oldest_first: Iterable[dict[str, Any]]) -> None:
    """Count attempts within labelers, and within labelers and quality tasks where the service did not."""
    of_labeler: defaultdict[str, int] = defaultdict(int)
    of_task: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in oldest_first:
        labeler, task = row["labeler"], row["quality_task_id"]
        row["labeler_seq"] = row["attempt_number_source"] = None
        if labeler is not None:
            of_labeler[labeler] += 1
            row["labeler_seq"] = of_labeler[labeler]
        if labeler is not None and task is not None:
            of_task[labeler, task] += 1
        if row["attempt_number"] is not None:
            row["attempt_number_source"] = "service"
        elif labeler is not None and task is not None:
            row["attempt_number"], row["attempt_number_source"] = of_task[labeler, task], "computed"
