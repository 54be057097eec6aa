"""How the pace copes with five kinds of service: refusals a row, and time against the best that can be had.

    python benchmarks/pacing.py [ROWS]

A simulation on a clock of its own (discrete events, nothing waits): `Pace` and `retries.decide` are the library's own
code; the threads, the network and the service are simulated. A request takes 0.01 s there, 0.08 s (a fifth more or
less) at work, and 0.01 s back; a refusal comes back at once. The best time is what a client would need that knows the
service's limits: rows over the smaller of its limit and workers / 0.1 s. Every case runs with several seeds; the worst
stands beside the mean.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import sys
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from refonte_frames.transport import retries
from refonte_frames.transport.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Callable

#: On the way to the service, at work there, and on the way back.
TRIP_SECS, WORK_SECS = 0.01, 0.08
LATENCY_SECS = 2 * TRIP_SECS + WORK_SECS
#: As in a submission: then the row is looked up.
TRIES_A_KEY = 3
SEEDS = range(5)


class Service(Protocol):
    """Says whether it takes a request that arrives now."""

    best_rate: float

    def arrives(self, now: float) -> retries.Outcome:
        """Take a request or refuse it."""

    def leaves(self) -> None:
        """Note that a request that was taken is answered."""


@dataclass
class Bucket:
    """A token bucket: so many requests a second, and as many at once; 429 above it.

    `says` tells what Retry-After says: None for none, "seconds" for whole ones, "exact" for the time until there is
    room.
    """

    rate: float
    says: str | None
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.best_rate = self.rate

    def arrives(self, now: float) -> retries.Outcome:
        """Take a token, or refuse."""
        self.tokens = min(self.rate, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return retries.Outcome(200)
        missing = (1 - self.tokens) / self.rate
        after = {"seconds": float(math.ceil(missing)), "exact": missing, None: None}[self.says]
        return retries.Outcome(429, retry_after_secs=after)

    def leaves(self) -> None:
        """Nothing is held."""


@dataclass
class Slots:
    """So many requests under way at once; 503 when all slots are taken."""

    slots: int
    taken: int = 0

    @property
    def best_rate(self) -> float:
        """Requests a second when all slots are always taken."""
        return self.slots / WORK_SECS

    def arrives(self, now: float) -> retries.Outcome:  # noqa: ARG002 - the time does not matter to it
        """Take a slot, or refuse."""
        if self.taken >= self.slots:
            return retries.Outcome(503)
        self.taken += 1
        return retries.Outcome(200)

    def leaves(self) -> None:
        """Give the slot back."""
        self.taken -= 1


SERVICES: dict[str, Callable[[], Any]] = {
    "50/s, Retry-After: 1": lambda: Bucket(50, "seconds"),
    "50/s, exact Retry-After": lambda: Bucket(50, "exact"),
    "50/s, no Retry-After": lambda: Bucket(50, None),
    "20 slots, 503 when full": lambda: Slots(20),
    "unlimited": lambda: Slots(10**9),
}


@dataclass(slots=True)
class Asking:
    """A row on its way, and how often it was refused."""

    tries: int = 0
    throttles: int = 0


@dataclass
class Run:
    """One submission on a clock of its own."""

    service: Service
    rows: int
    workers: int
    chance: random.Random
    now: float = 0.0
    refusals: int = 0
    looked_up: int = 0
    _under_way: int = 0
    _wakes_at: float = math.inf

    def __post_init__(self) -> None:
        self.pace = Pace(self.workers)
        self._count = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._waiting: deque[Asking] = deque()
        self._left = self.rows
        self._idle = self.workers

    def go(self) -> float:
        """Carry it out and return the time it took."""
        self._begin()
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return self.now

    def _at(self, when: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._count), event))

    def _wake_after(self, secs: float) -> None:
        """Look again then; one such look is enough."""
        when = self.now + max(secs, 1e-9)
        if when < self._wakes_at:
            self._wakes_at = when
            self._at(when, self._wake)

    def _wake(self) -> None:
        self._wakes_at = math.inf
        self._begin()

    def _begin(self) -> None:
        """Let requests through as the gate does: while the window has room and nothing is to be waited for."""
        while self._left and self._idle:
            self._left -= 1
            self._idle -= 1
            self._waiting.append(Asking())
        while self._waiting and self._under_way < self.pace.window:
            wait = self.pace.wait_secs(self.now)
            if wait > 0:
                self._wake_after(wait)
                return
            self.pace.begun(self.now)
            self._under_way += 1
            self._at(self.now + TRIP_SECS, partial(self._arrive, self._waiting.popleft()))

    def _arrive(self, asking: Asking) -> None:
        outcome = self.service.arrives(self.now)
        # A refusal costs the service no work.
        secs = WORK_SECS * self.chance.uniform(0.8, 1.2) if outcome.status == 200 else 0.0
        self._at(self.now + secs, partial(self._leave, asking, outcome))

    def _leave(self, asking: Asking, outcome: retries.Outcome) -> None:
        if outcome.status == 200:
            self.service.leaves()
        self._at(self.now + TRIP_SECS, partial(self._answer, asking, outcome))

    def _answer(self, asking: Asking, outcome: retries.Outcome) -> None:
        self._under_way -= 1
        if outcome.status == 200:
            self.pace.succeeded(self.now)
            self._idle += 1
        else:
            self._refuse(asking, outcome)
        self._begin()

    def _refuse(self, asking: Asking, outcome: retries.Outcome) -> None:
        """Wait as the client does: everybody, or this request alone."""
        self.refusals += 1
        asking.throttles += outcome.status == 429
        asking.tries += outcome.status != 429
        verdict = retries.decide(
            outcome,
            may_be_repeated=True,
            tries=asking.tries,
            throttles=asking.throttles,
            jitter=self.chance.random(),
            max_tries=TRIES_A_KEY,
        )
        if isinstance(verdict, retries.GiveUp):
            self.looked_up += 1
            asking.tries = 0
            verdict = retries.Wait(2 * LATENCY_SECS)
        if verdict.everyone:
            self.pace.throttled(self.now, pause_secs=verdict.secs)
            self._waiting.append(asking)
        else:
            if outcome.status in retries.OVERLOADS:
                self.pace.overloaded(self.now)
            self._at(self.now + verdict.secs, partial(self._again, asking))

    def _again(self, asking: Asking) -> None:
        self._waiting.append(asking)
        self._begin()


def main(rows: int) -> None:
    """Run all cases and print a line for each."""
    print(f"{rows:,} rows, {LATENCY_SECS:g} s a request, {len(SEEDS)} seeds: a simulation, with the library's own pace")
    print(
        f"{'service':<26}{'workers':>8}{'refusals/row':>14}{'worst':>8}{'x best time':>13}{'worst':>8}{'look-ups':>10}"
    )
    for (name, make), workers in itertools.product(SERVICES.items(), (8, 16, 64)):
        runs = [Run(make(), rows, workers, random.Random(seed)) for seed in SEEDS]
        best = rows / min(runs[0].service.best_rate, workers / LATENCY_SECS)
        times = [run.go() / best for run in runs]
        refusals = [run.refusals / rows for run in runs]
        print(
            f"{name:<26}{workers:>8}{fmean(refusals):>14.4f}{max(refusals):>8.4f}"
            f"{fmean(times):>13.2f}{max(times):>8.2f}{max(run.looked_up for run in runs):>10}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5000)
