"""The sandbox's own time: real, frozen or scaled, forward only; and the texts of the API's stamps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache

__all__ = ["Clock", "ClockState", "http_date", "parse_time_ms", "stamp"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class ClockState:
    """Where the clock stood and how fast it went when it was last set: all that a restart needs.

    Attributes
    ----------
    sandbox_ms : int
        Sandbox time at the setting, milliseconds since 1970.
    wall_ms : int
        Wall time at the setting.
    rate : float
        Sandbox seconds per wall second: 0 is frozen, 1 is real.
    """

    sandbox_ms: int
    wall_ms: int
    rate: float = 1.0


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """A clock that never goes back.

    Parameters
    ----------
    state : ClockState, optional
        From an earlier run. Default: the wall clock.
    not_before_ms : int
        The latest stamp already given out.
    """

    def __init__(self, state: ClockState | None = None, *, not_before_ms: int = 0) -> None:
        wall = _wall_ms()
        self._state = state or ClockState(wall, wall)
        self._latest_ms = not_before_ms

    @property
    def state(self) -> ClockState:
        """The setting, to be kept for a restart."""
        return self._state

    def now_ms(self) -> int:
        """Milliseconds since 1970, never less than before."""
        state = self._state
        passed = (_wall_ms() - state.wall_ms) * state.rate if state.rate else 0
        self._latest_ms = max(self._latest_ms, state.sandbox_ms + int(passed))
        return self._latest_ms

    def advance(self, by_ms: int) -> int:
        """Jump forward and go on at the same rate.

        Raises
        ------
        ValueError
            If the jump is backwards, or beyond the year 9000.
        """
        if not 0 <= by_ms <= _LAST_MS - self.now_ms():
            raise ValueError(f"the clock only goes forward, and not beyond the year 9000: {by_ms} ms")
        return self._set(self.now_ms() + by_ms, self._state.rate)

    def run(self, rate: float) -> int:
        """Go at this many sandbox seconds per wall second; 0 freezes.

        Raises
        ------
        ValueError
            If the rate is negative or above a million.
        """
        if not 0 <= rate <= 1e6:
            raise ValueError(f"the rate of the clock is a number from 0 to 1,000,000, not {rate}")
        return self._set(self.now_ms(), rate)

    def _set(self, sandbox_ms: int, rate: float) -> int:
        self._state = ClockState(sandbox_ms, _wall_ms(), rate)
        self._latest_ms = sandbox_ms
        return sandbox_ms


def _since_epoch_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


_LAST_MS = _since_epoch_ms(datetime(9000, 1, 1, tzinfo=UTC))


def _moment(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def stamp(ms: int) -> str:
    """Write a time as the API does.

    >>> stamp(1466672974752)
    '2016-06-23T09:09:34.752Z'
    """
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(secs: int) -> str:
    return _moment(secs * 1000).strftime("%Y-%m-%dT%H:%M:%S")


def http_date(ms: int) -> str:
    """Write a time for a Date or Retry-After header.

    >>> http_date(1466672974752)
    'Thu, 23 Jun 2016 09:09:34 GMT'
    """
    return _http_second(ms // 1000)


@lru_cache(maxsize=64)
def _http_second(secs: int) -> str:
    return format_datetime(_moment(secs * 1000), usegmt=True)


def parse_time_ms(text: str, *, round_up: bool) -> int:
    """Read a time filter: a date, or a stamp with or without offset (then UTC); contract 1.1.

    Parameters
    ----------
    text : str
        ISO 8601.
    round_up : bool
        Where digits below the millisecond go: up for a lower bound, down for an upper one.

    Raises
    ------
    ValueError
        If it is no such time.

    >>> parse_time_ms("2021-04-25", round_up=True)
    1619308800000
    >>> parse_time_ms("2021-04-25T03:14:15-07:00", round_up=True)
    1619345655000
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    ms = _since_epoch_ms(moment)
    has_more = bool((moment - _EPOCH) % _MILLISECOND)
    return ms + 1 if round_up and has_more else ms
