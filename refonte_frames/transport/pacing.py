"""How many requests at once and how fast: a window that learns (AIMD), a learned rate, one pause for everybody.

`Pace` is the pure arithmetic on a given clock; `Gate` lets threads through by it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Gate", "Pace", "Stopped"]

_FIRST_WINDOW: Final = 4.0
#: After a refusal the window shrinks to this part; where it had come near its limit with care, to this part.
_SHRINK: Final = 0.7
_CAREFUL_SHRINK: Final = 0.9
#: Above this part of the window that was refused last, the window grows with care only.
_NEAR: Final = 0.9
#: So long after the last refusal its window is forgotten, so that a raised limit is found again.
_FORGOTTEN_SECS: Final = 30.0
#: After a refusal the rate is this part of what was getting through.
_SAFE_PART: Final = 0.9
#: The learned rate, and a window near its limit, grow by this part a second while nothing is refused.
_GROWTH_PER_SEC: Final = 0.02
_RATE_SPAN_SECS: Final = 5.0
#: From fewer answers than these no rate is learned: one stray refusal at the start says nothing about it.
_ENOUGH_TO_LEARN: Final = 20
_SHORTEST_SPAN_SECS: Final = 0.1
_SLOWEST_RATE: Final = 0.5
#: A shrinkage counts for all requests that were under way when it happened.
_QUIET_SECS: Final = 0.5
#: How soon somebody who waits for his turn notices that he need not any more.
_STOP_SECS: Final = 0.2


class Stopped(Exception):
    """Raised to a thread whose turn never came, because the work was stopped."""


class Pace:
    """The state of the pace; every method is told the time, in seconds of any steady clock.

    Parameters
    ----------
    max_window : int
        Requests under way at once, at most.

    Examples
    --------
    A new pace starts carefully, doubles with every round of successes, and shrinks when told to slow down:

    >>> pace = Pace(max_window=16)
    >>> pace.window
    4
    >>> for second in range(30):
    ...     pace.begun(second)
    ...     pace.succeeded(second)
    >>> pace.window
    16
    >>> pace.throttled(30.0, pause_secs=2.0)
    >>> pace.window, pace.wait_secs(30.5)
    (11, 1.5)
    """

    def __init__(self, max_window: int) -> None:
        self._max_window = float(max_window)
        self._window = min(_FIRST_WINDOW, self._max_window)
        self._is_probing = True
        self._resume_at = 0.0
        self._shrunk_at = float("-inf")
        self._refused_window = float("inf")
        self._grown_at = 0.0
        self._rate: float | None = None
        self._rate_at = 0.0
        self._next_at = 0.0
        self._successes: deque[float] = deque(maxlen=4096)

    @property
    def window(self) -> int:
        """Requests that may be under way at once now."""
        return max(1, int(self._window))

    @property
    def rate(self) -> float | None:
        """Requests a second that the service seems to bear; None until it has refused one."""
        return self._rate

    def wait_secs(self, now: float) -> float:
        """Seconds until the next request may begin."""
        return max(0.0, self._resume_at - now, self._next_at - now)

    def begun(self, now: float) -> None:
        """Note that a request begins."""
        if self._rate is not None:
            self._rate *= 1 + _GROWTH_PER_SEC * max(0.0, now - self._rate_at)
            self._rate_at = max(now, self._rate_at)
            self._next_at = max(now, self._next_at) + 1 / self._rate

    def succeeded(self, now: float) -> None:
        """Note an answer that was no refusal for rate."""
        self._successes.append(now)
        if now - self._shrunk_at > _FORGOTTEN_SECS:
            self._refused_window = float("inf")
        gain = 1.0 if self._is_probing else 1.0 / self._window
        if self._is_near_limit:
            gain = min(gain, self._window * _GROWTH_PER_SEC * max(0.0, now - self._grown_at))
        self._grown_at = max(now, self._grown_at)
        self._window = min(self._max_window, self._window + gain)

    @property
    def _is_near_limit(self) -> bool:
        return self._window > _NEAR * self._refused_window

    def throttled(self, now: float, *, pause_secs: float) -> None:
        """Note a refusal for rate, and that everybody waits `pause_secs` from now."""
        self._resume_at = max(self._resume_at, now + pause_secs)
        if self._shrinks(now, until=self._resume_at):
            self._learn_rate(now)

    def overloaded(self, now: float) -> None:
        """Note an answer of a service that had no room for one more request at once."""
        self._shrinks(now, until=now)

    def _shrinks(self, now: float, *, until: float) -> bool:
        """Make the window smaller, once for all that was under way together; tell whether this was the time."""
        if now - self._shrunk_at < _QUIET_SECS:
            return False
        part = _CAREFUL_SHRINK if self._is_near_limit else _SHRINK
        self._shrunk_at = until
        self._is_probing = False
        self._refused_window, self._window = self._window, max(1.0, self._window * part)
        return True

    def _learn_rate(self, now: float) -> None:
        while self._successes and self._successes[0] < now - _RATE_SPAN_SECS:
            self._successes.popleft()
        if len(self._successes) < _ENOUGH_TO_LEARN:
            return
        measured = len(self._successes) / max(_SHORTEST_SPAN_SECS, now - self._successes[0])
        self._rate = max(_SLOWEST_RATE, _SAFE_PART * measured)
        self._rate_at = self._next_at = max(now, self._resume_at)
        # What got through before a pause says nothing about the time after it.
        self._successes.clear()


class Gate:
    """Let threads through one by one, at the pace that the service bears.

    Parameters
    ----------
    max_window : int
        Requests under way at once, at most.
    clock : callable
        A steady clock, in seconds.
    """

    def __init__(self, max_window: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = Pace(max_window)
        self._clock = clock
        self._under_way = 0
        self._changed = threading.Condition()

    @contextmanager
    def passage(self, stop: threading.Event | None = None) -> Iterator[None]:
        """Wait for one's turn and hold it for the time of one request.

        Raises
        ------
        Stopped
            When `stop` is set before the turn came.
        """
        with self._changed:
            while True:
                if stop is not None and stop.is_set():
                    raise Stopped
                wait = self._pace.wait_secs(self._clock())
                if wait <= 0 and self._under_way < self._pace.window:
                    break
                longest = None if stop is None else _STOP_SECS
                self._changed.wait(min(wait, longest or wait) if wait > 0 else longest)
            self._pace.begun(self._clock())
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify()

    def note_success(self) -> None:
        """Tell the pace that a request was answered."""
        with self._changed:
            self._pace.succeeded(self._clock())
            self._changed.notify()

    def note_overload(self) -> None:
        """Tell the pace that the service has no room for one more request at once."""
        with self._changed:
            self._pace.overloaded(self._clock())

    def note_throttle(self, pause_secs: float) -> None:
        """Tell the pace that the service wants everybody to wait."""
        with self._changed:
            self._pace.throttled(self._clock(), pause_secs=pause_secs)
