"""Whether to ask again, and when: a pure decision about one outcome. Nothing here sleeps or sends."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["MAX_TRIES", "OVERLOADS", "GiveUp", "Outcome", "Wait", "decide", "retry_after_secs"]

#: Sendings of one request before its last error is raised; refusals for rate are counted apart.
MAX_TRIES: Final = 5
_MAX_THROTTLES: Final = 60
#: A connection that never came about costs nothing to try again, so a service that was there is waited for half a
#: minute; one that was never there is most likely a wrong address, and is told after a second.
_TRIES_TO_RECONNECT: Final = 7
_TRIES_TO_CONNECT: Final = 3
_FIRST_WAIT_SECS: Final = 0.4
_LONGEST_WAIT_SECS: Final = 20.0
#: A server that asks for more than this is taken at this much: it is asked again and may repeat itself.
_LONGEST_PAUSE_SECS: Final = 300.0
#: Statuses after which the API family's own client asks again (contract 1.3).
_PASSING: Final = frozenset({408, 429, *range(500, 531)})
#: Statuses of a service that has more to do than it can.
OVERLOADS: Final = frozenset({503, 504})


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again after this many seconds; `everyone` must wait when the service said to slow down."""

    secs: float
    everyone: bool = False


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not ask again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sending.

    `status` is None when no answer came; `was_sent` is then False if the service certainly never saw it.
    """

    status: int | None
    was_sent: bool = True
    retry_after_secs: float | None = None


def decide(
    outcome: Outcome,
    *,
    may_be_repeated: bool,
    tries: int,
    throttles: int,
    jitter: float,
    max_tries: int = MAX_TRIES,
    was_there: bool = True,
) -> Wait | GiveUp:
    """Decide about a request that was answered with anything but 200, or not at all.

    Parameters
    ----------
    outcome : Outcome
        Of the last sending.
    may_be_repeated : bool
        Whether a second sending can do no harm. If not, only what was certainly not acted on is sent again.
    tries, throttles : int
        Sendings so far that failed, and that were refused with 429.
    jitter : float
        A random number from 0 to 1.
    max_tries : int
        Sendings allowed; 429 does not count as one, and what was never sent is tried a little longer or shorter.
    was_there : bool
        Whether the service ever answered before.
    """
    if outcome.status == 429:
        if throttles >= _MAX_THROTTLES:
            return GiveUp()
        asked = outcome.retry_after_secs
        return Wait(_backoff(min(throttles, 6), jitter) if asked is None else asked + 0.1 * jitter, everyone=True)
    is_final = outcome.status is not None and outcome.status not in _PASSING
    if is_final or (outcome.was_sent and not may_be_repeated):
        return GiveUp()
    if not outcome.was_sent and max_tries > 1:
        max_tries = _TRIES_TO_RECONNECT if was_there else _TRIES_TO_CONNECT
    if tries >= max_tries:
        return GiveUp()
    if outcome.status == 503 and outcome.retry_after_secs is not None:
        return Wait(outcome.retry_after_secs + 0.1 * jitter, everyone=True)
    return Wait(_backoff(tries, jitter))


def retry_after_secs(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After: seconds, or an HTTP-date relative to the reply's own Date; None when it is no use.

    Parameters
    ----------
    headers : mapping
        Reply headers in lower case.

    Examples
    --------
    >>> retry_after_secs({"retry-after": "7"})
    7.0
    >>> date = "Sun, 22 Nov 2026 10:00:00 GMT"
    >>> retry_after_secs({"date": date, "retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"})
    30.0
    >>> retry_after_secs({"retry-after": "soon"}) is None
    True
    """
    text = headers.get("retry-after", "").strip()
    secs = _number(text)
    if secs is None:
        until, since = _http_date(text), _http_date(headers.get("date", ""))
        secs = (until - since).total_seconds() if until and since else None
    if secs is None or secs < 0 or not math.isfinite(secs):
        return None
    return min(secs, _LONGEST_PAUSE_SECS)


def _backoff(tries: int, jitter: float) -> float:
    """Double from try to try; the jitter spreads over the upper half, so that it never comes near zero."""
    return float(min(_LONGEST_WAIT_SECS, _FIRST_WAIT_SECS * 2 ** max(0, tries - 1)) * (0.5 + 0.5 * jitter))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        stamp = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return stamp if stamp.tzinfo else None
