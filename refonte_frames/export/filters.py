"""What a caller wants to see becomes query pairs of GET /tasks: checked, normalised, remembered. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd

from refonte_frames.api import REVIEW_STATUSES, TASK_STATUSES
from refonte_frames.cells import is_sendable
from refonte_frames.errors import InputError
from refonte_frames.export.columns import EPOCH, time_of

__all__ = ["Filters", "TimeLike", "differences", "filters_of", "micros_of", "stamp_of"]

#: A time as callers give it; a pandas Timestamp is a datetime.
TimeLike: TypeAlias = str | date | datetime

#: Our name of a time filter -> the service's (contract 2.3).
_TIMES: Final = {
    "created_after": "start_time",
    "created_before": "end_time",
    "completed_after": "completed_after",
    "completed_before": "completed_before",
    "updated_after": "updated_after",
    "updated_before": "updated_before",
}
#: Filters under which a task, once in, stays in: only these allow to bring a dataset up to date.
_STEADY: Final = frozenset({"project", "batch", "type", "created_after", "created_before", "include_attachment_url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which tasks are wanted; times are microseconds since 1970 in UTC and inclusive."""

    project: str | None = None
    batch: str | None = None
    type: str | None = None
    status: str | None = None
    customer_review_status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_after: int | None = None
    created_before: int | None = None
    completed_after: int | None = None
    completed_before: int | None = None
    updated_after: int | None = None
    updated_before: int | None = None
    include_attachment_url: bool = False
    limited_response: bool = False

    def query(self) -> list[tuple[str, str]]:
        """Return the query pairs, without limit and token."""
        pairs = [(name, value) for name in ("project", "batch", "type", "status") if (value := getattr(self, name))]
        if self.customer_review_status:
            pairs.append(("customer_review_status", ",".join(self.customer_review_status)))
        pairs += [("tags", tag) for tag in self.tags]
        pairs += [
            (sent, stamp_of(value)) for name, sent in _TIMES.items() if (value := getattr(self, name)) is not None
        ]
        pairs += [(name, "true") for name in ("include_attachment_url", "limited_response") if getattr(self, name)]
        return pairs

    def within(self, start: int | None, end: int | None) -> Filters:
        """Narrow to a window of created_at; None keeps the own bound."""
        return replace(
            self,
            created_after=self.created_after if start is None else start,
            created_before=self.created_before if end is None else end,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the filters that are set, as plain JSON types; times in ISO 8601."""
        found: dict[str, Any] = {}
        for name in (item.name for item in fields(self)):
            value = getattr(self, name)
            if value is None or value is False or value == ():
                continue
            found[name] = stamp_of(value) if name in _TIMES else list(value) if isinstance(value, tuple) else value
        return found

    def unsteady(self) -> list[str]:
        """Name the filters that are set and that a task may come to match, or cease to match, later."""
        return [name for name in self.as_json() if name not in _STEADY]


def filters_of(**options: Any) -> Filters:
    """Check the caller's options and make filters of them.

    Raises
    ------
    InputError
        For a value that the service could not understand; nothing was sent.
    """
    checked: dict[str, Any] = {}
    for name in ("project", "batch", "type", "status"):
        checked[name] = _text(name, options.pop(name, None))
    if checked["status"] is not None:
        _among("status", [checked["status"]], TASK_STATUSES)
    reviews = _texts("customer_review_status", options.pop("customer_review_status", None))
    _among("customer_review_status", reviews, REVIEW_STATUSES)
    checked["customer_review_status"] = reviews
    checked["tags"] = _texts("tags", options.pop("tags", None))
    for name in _TIMES:
        value = options.pop(name, None)
        checked[name] = None if value is None else micros_of(value, name)
    for name in ("created", "completed", "updated"):
        _in_order(name, checked[f"{name}_after"], checked[f"{name}_before"])
    checked |= {name: _flag(name, value) for name, value in options.items()}
    return Filters(**checked)


def micros_of(value: Any, name: str) -> int:
    """Read a time given by a caller; without an offset it means UTC.

    >>> micros_of("2024-03-04", "created_after")
    1709510400000000
    """
    if isinstance(value, str):
        micros, _ = time_of(value.strip())
        if micros is not None:
            return micros
    elif isinstance(value, date) and value == value:  # noqa: PLR0124 - NaT is a datetime that differs from itself
        # A date is midnight. An offset may have seconds, which ISO 8601 has not.
        with contextlib.suppress(OverflowError):
            moment = value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value
            micros, _ = time_of(moment.isoformat())
            if micros is not None:
                return micros
    elif isinstance(value, np.datetime64) and not np.isnat(value):
        return micros_of(pd.Timestamp(value), name)
    raise InputError(
        f"{name}={value!r} is no time. Give a datetime, a date, a pandas Timestamp, or text such as "
        "'2024-03-04' or '2024-03-04T08:15:22Z'; without an offset it means UTC."
    )


def stamp_of(micros: int) -> str:
    """Write a time as the service does: ISO 8601, UTC, with Z; microseconds only where there are any.

    >>> stamp_of(1709510400000000)
    '2024-03-04T00:00:00.000Z'
    """
    seconds, rest = divmod(micros, 1_000_000)
    # Not fromtimestamp and strftime: before 1970 and before the year 1000 these depend on the system.
    whole = (EPOCH + timedelta(seconds=seconds)).isoformat()[: len("1970-01-01T00:00:00")]
    return f"{whole}.{rest:06d}Z" if rest % 1000 else f"{whole}.{rest // 1000:03d}Z"


def differences(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Say in which filters two settings differ, one sentence part each."""
    names = [
        name for name in (*theirs, *(name for name in mine if name not in theirs)) if mine.get(name) != theirs.get(name)
    ]
    return [f"{name} was {_shown(theirs, name)} and is now {_shown(mine, name)}" for name in names]


def _shown(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "not set"


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise InputError(f"{name}={value!r}: give True or False.")


def _text(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value and is_sendable(value)):
        return value
    raise InputError(f"{name}={value!r} is no name: give one non-empty text, and read others with further calls.")


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, Iterable):
        raise InputError(f"{name}={value!r}: give a text, or a list of non-empty texts.")
    texts = [value] if isinstance(value, str) else list(value)
    for text in texts:
        if not isinstance(text, str) or not text or not is_sendable(text):
            raise InputError(f"{name} holds {text!r}: give a text, or a list of non-empty texts.")
    return tuple(dict.fromkeys(texts))


def _among(name: str, values: Iterable[str], known: tuple[str, ...]) -> None:
    for value in values:
        if value not in known:
            raise InputError(f"{name}={value!r} is no value of the service. There are {', '.join(known)}.")


def _in_order(name: str, after: int | None, before: int | None) -> None:
    if after is not None and before is not None and after > before:
        raise InputError(
            f"{name}_after={stamp_of(after)} is later than {name}_before={stamp_of(before)}: no task can be between."
        )
