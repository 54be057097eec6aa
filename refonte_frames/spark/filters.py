"""Filters of a query become filters of the service, where it has such; they may only ever be wider. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from refonte_frames.errors import InputError
from refonte_frames.export.columns import TASK_TABLES
from refonte_frames.export.filters import stamp_of
from refonte_frames.export.passes import wanted_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["narrowed"]

#: Column -> filter of the service, for columns that are compared with one text.
_EQUAL: Final = ("project", "batch", "type", "status")
_AMONG: Final = {"customer_review_status": "customer_review_status", "unique_id": "unique_id", "task_id": "task_ids"}
_TIMES: Final = ("created_at", "completed_at", "updated_at")
_AFTER: Final = ("GreaterThan", "GreaterThanOrEqual", "EqualTo")
_BEFORE: Final = ("LessThan", "LessThanOrEqual", "EqualTo")
_SECOND: Final = 1_000_000


def narrowed(table: str, given: dict[str, Any], filters: Iterable[Any]) -> dict[str, Any]:
    """Add what filters of a query say to the filters that the options named.

    Parameters
    ----------
    table : str
        Which table is read; only those that are made of tasks are narrowed.
    given : dict
        The filters so far, which are never made wider.
    filters : iterable of pyspark.sql.datasource.Filter
        All of them hold.
    """
    if table not in TASK_TABLES:
        return given
    more: dict[str, Any] = {}
    for each in filters:
        path: tuple[str, ...] = getattr(each, "attribute", ())
        if len(path) == 1:
            for name, wanted in _as_filters(type(each).__name__, path[0], getattr(each, "value", None)):
                more.setdefault(name, wanted)
    if "task_ids" in more and not given:
        # The service reads a task by its id alone.
        return {"task_ids": more["task_ids"]}
    more.pop("task_ids", None)
    narrow = {**more, **given}
    try:
        wanted_of(narrow)
    except InputError:
        # A query may ask for what cannot be, such as times that end before they begin; Spark finds no row for it.
        return given
    return narrow


def _as_filters(kind: str, column: str, value: Any) -> Iterable[tuple[str, Any]]:
    if column in _EQUAL and kind == "EqualTo" and isinstance(value, str):
        yield column, value
    elif column in _AMONG and kind in ("EqualTo", "In"):
        texts = [value] if kind == "EqualTo" else list(value)
        if texts and all(isinstance(text, str) and text for text in texts):
            yield _AMONG[column], texts
    elif column in _TIMES and isinstance(value, datetime):
        yield from _bounds(kind, column.removesuffix("_at"), value)


def _bounds(kind: str, name: str, value: datetime) -> Iterable[tuple[str, str]]:
    """Make bounds on whole seconds, which a service that compares no finer understands alike."""
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)
    if kind in _AFTER:
        yield f"{name}_after", stamp_of(seconds * _SECOND)
    if kind in _BEFORE:
        yield f"{name}_before", stamp_of((seconds + 1) * _SECOND)
