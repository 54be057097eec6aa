"""The query strings of the lists, read into filters, and the page tokens; no HTTP, no SQL."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from refonte_frames.api import BATCH_STATUSES, MAX_PAGE_SIZE, REVIEW_STATUSES, TASK_STATUSES, TASKS_QUERY
from refonte_frames.sandbox import checks
from refonte_frames.sandbox.clock import parse_time_ms
from refonte_frames.sandbox.exchange import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "TASK_FILTERS",
    "BatchQuery",
    "Cursor",
    "Query",
    "TaskFilter",
    "TaskQuery",
    "Window",
    "read_batch_query",
    "read_query",
    "read_task_query",
    "read_token",
    "write_token",
]

Pairs = tuple[tuple[str, str], ...]

#: What chooses tasks, of all that `GET /tasks` understands.
TASK_FILTERS = tuple(
    name for name in TASKS_QUERY if name not in ("limit", "next_token", "include_attachment_url", "limited_response")
)


def read_query(text: bytes) -> Pairs:
    """Split a query string into decoded pairs.

    Raises
    ------
    Refusal
        400 when it is not UTF-8 below its percent signs.
    """
    try:
        return tuple(parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict"))
    except UnicodeError:
        raise Refusal(400, "The query string is not valid UTF-8.") from None


class Query:
    """Query pairs, read one documented name at a time.

    Parameters
    ----------
    pairs : sequence of (str, str)
        As they came.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def unknown(self, known: Sequence[str]) -> tuple[str, ...]:
        """Name what is not documented."""
        return tuple(name for name in self._values if name not in known)

    def has(self, name: str) -> bool:
        """Tell whether the name occurs."""
        return name in self._values

    def text(self, name: str) -> str | None:
        """Give a value that may occur once."""
        values = self._values.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise checks.invalid(name, "is given more than once")
        return values[0]

    def texts(self, name: str, *, split: bool = True) -> tuple[str, ...]:
        """Give a repeatable value; commas separate too, unless told otherwise (contract 1.1)."""
        found = self._values.get(name, [])
        parts = [part for value in found for part in (value.split(",") if split else [value])]
        if found and not all(parts):
            raise checks.invalid(name, "must not be empty")
        return tuple(dict.fromkeys(parts))

    def flag(self, name: str) -> bool:
        """Give a boolean; ``True`` and ``true`` are the same (contract 1.1)."""
        value = self.text(name)
        if value is None or value.lower() == "false":
            return False
        if value.lower() != "true":
            raise checks.invalid(name, "must be true or false")
        return True

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        """Give an integer of a range."""
        value = self.text(name)
        if value is None:
            return default
        is_whole = value.isascii() and value.isdigit() and len(value) < 19
        if not is_whole or not low <= int(value) <= high:
            raise checks.invalid(name, f"must be an integer from {low} to {high}")
        return int(value)

    def time_ms(self, name: str, *, round_up: bool) -> int | None:
        """Give a time in milliseconds."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return parse_time_ms(value, round_up=round_up)
        except ValueError:
            raise checks.invalid(name, "must be an ISO 8601 date or time, with + written as %2B") from None

    def window(self, low: str, high: str) -> Window:
        """Give a pair of bounds, both inclusive."""
        return Window(self.time_ms(low, round_up=True), self.time_ms(high, round_up=False))


@dataclass(frozen=True, slots=True)
class Window:
    """Bounds in milliseconds, both inclusive; None is open."""

    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is bounded."""
        return self.from_ms is None and self.to_ms is None


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks: all given conditions hold; within a tuple, any."""

    created: Window = Window()
    completed: Window = Window()
    updated: Window = Window()
    status: str | None = None
    type: str | None = None
    project: str | None = None
    batch: str | None = None
    reviews: tuple[str, ...] = ()
    unique_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """``GET /tasks`` (contract 2.3)."""

    filter: TaskFilter
    limit: int
    token: str | None
    shows_attachment_url: bool
    is_limited: bool
    unknown: tuple[str, ...]


def read_task_query(pairs: Pairs, ignored: Sequence[str] = ()) -> TaskQuery:
    """Read the query of ``GET /tasks``.

    Parameters
    ----------
    pairs : tuple of (str, str)
        Decoded.
    ignored : sequence of str
        Filters that an ordered fault makes the server overlook.

    Raises
    ------
    Refusal
        400 that names the parameter.
    """
    query = Query(pairs)
    if query.has("offset"):
        raise checks.invalid("offset", "is not supported here: go on with next_token")
    statuses = (*TASK_STATUSES,)
    if (status := query.text("status")) is not None and (why := checks.one_of(*statuses)(status)):
        raise checks.invalid("status", why)
    reviews = query.texts("customer_review_status")
    if any(review not in REVIEW_STATUSES for review in reviews):
        raise checks.invalid("customer_review_status", f"must be one of {', '.join(REVIEW_STATUSES)}")
    limit = query.whole("limit", default=MAX_PAGE_SIZE, low=1, high=MAX_PAGE_SIZE)
    shown = (query.flag("include_attachment_url"), query.flag("limited_response"))
    used = Query([(name, value) for name, value in pairs if name not in ignored]) if ignored else query
    chosen = TaskFilter(
        created=used.window("start_time", "end_time"),
        completed=used.window("completed_after", "completed_before"),
        updated=used.window("updated_after", "updated_before"),
        status=used.text("status"),
        type=used.text("type"),
        project=used.text("project"),
        batch=used.text("batch"),
        reviews=used.texts("customer_review_status"),
        unique_ids=used.texts("unique_id", split=False),
        tags=used.texts("tags"),
    )
    return TaskQuery(chosen, limit, query.text("next_token"), *shown, query.unknown(TASKS_QUERY))


@dataclass(frozen=True, slots=True)
class BatchQuery:
    """``GET /batches`` (contract 2.2)."""

    project: str | None
    status: str | None
    created: Window
    is_detailed: bool
    limit: int
    offset: int
    unknown: tuple[str, ...]


_BATCHES_QUERY = (
    "project",
    "status",
    "detailed",
    "start_time",
    "end_time",
    "limit",
    "offset",
    "exclude_archived",
)


def read_batch_query(pairs: Pairs) -> BatchQuery:
    """Read the query of ``GET /batches``."""
    query = Query(pairs)
    status = query.text("status")
    if status is not None and (why := checks.one_of(*BATCH_STATUSES)(status)):
        raise checks.invalid("status", why)
    query.flag("exclude_archived")
    return BatchQuery(
        query.text("project"),
        status,
        query.window("start_time", "end_time"),
        query.flag("detailed"),
        query.whole("limit", default=MAX_PAGE_SIZE, low=1, high=MAX_PAGE_SIZE),
        query.whole("offset", default=0, low=0, high=10**15),
        query.unknown(_BATCHES_QUERY),
    )


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a page token holds: where the page ended, and the total that was counted for the first page."""

    task_id: str
    total: int


def write_token(cursor: Cursor, chosen: TaskFilter, secret: bytes) -> str:
    """Make the opaque ``next_token``; the documented example decodes to JSON that begins with ``task_id``."""
    claims = {"task_id": cursor.task_id, "total": cursor.total}
    text = msgspec.json.encode({**claims, "mac": _mac(claims, chosen, secret)})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_token(token: str, chosen: TaskFilter, secret: bytes) -> Cursor:
    """Read a token back.

    Raises
    ------
    Refusal
        400 when it is not ours, or was made for other filters.
    """
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        claims = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
        found = claims.pop("mac")
        wanted = _mac(claims, chosen, secret)
        cursor = Cursor(claims["task_id"], claims["total"])
    except (UnicodeError, binascii.Error, msgspec.MsgspecError, AttributeError, KeyError, TypeError, RecursionError):
        raise checks.invalid("next_token", "is not a token of this list") from None
    if not isinstance(found, str) or not hmac.compare_digest(found.encode("utf-8", "replace"), wanted.encode()):
        raise checks.invalid("next_token", "does not belong to these filters: send the same filters with it")
    return cursor


def _mac(claims: Mapping[str, Any], chosen: TaskFilter, secret: bytes) -> str:
    text = msgspec.json.encode([claims, chosen], order="sorted")
    return hmac.new(secret, text, "sha256").hexdigest()[:32]
