"""The run of a submission: intents and outcomes through the journal, work through threads, stops in good order."""

from __future__ import annotations

import copy
import functools
import queue
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from refonte_frames.errors import NotEnabled, RefonteError
from refonte_frames.journal import Entry, State
from refonte_frames.upload.identity import idempotency_key
from refonte_frames.upload.settle import Job, Settled, Settler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refonte_frames.client import Client
    from refonte_frames.journal import Journal
    from refonte_frames.progress import Bar
    from refonte_frames.upload.plan import Decision, Task

__all__ = ["Run", "Work", "settled_before"]

#: So many equal refusals in a row, without a success between, are no matter of single rows any more.
_EQUAL_REFUSALS: Final = 20
#: Jobs that stand ready behind each worker, so that none waits for the journal.
_READY_PER_WORKER: Final = 2


@dataclass(frozen=True, slots=True)
class Work:
    """A task that needs the service, with what was decided about it.

    Attributes
    ----------
    at : int
        Its place in the list of tasks.
    body : bytes
        The request body, with its unique_id.
    """

    at: int
    task: Task
    decision: Decision
    body: bytes


@dataclass(slots=True)
class Run:
    """One run over the tasks of a frame, or of one chunk after the other.

    Attributes
    ----------
    settled : dict of int to Settled
        What came of each task, by its place in the list; what is not in it was not begun. Of one frame or chunk: who
        carries out the next begins a new one.
    first_row : int
        Where the chunk begins in the whole input, for sentences.
    halted_by : RefonteError or None
        Why the run, or one type of task, was stopped.
    was_interrupted : bool
        Whether Ctrl-C stopped it.
    """

    client: Client
    journal: Journal
    resubmit: Sequence[str]
    stops_at_failure: bool
    bar: Bar
    settled: dict[int, Settled] = field(default_factory=dict)
    first_row: int = 0
    halted_by: RefonteError | None = None
    was_interrupted: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _off_types: set[str] = field(default_factory=set)
    _refusal: tuple[str | None, str | None] = (None, None)
    _refusals: int = 0
    _under_way: dict[int, tuple[Work, Entry]] = field(default_factory=dict)
    _results: queue.SimpleQueue[tuple[int, Future[Settled]]] = field(default_factory=queue.SimpleQueue)

    def carry_out(self, work: Iterator[Work]) -> None:
        """Settle all work, writing down every step before and after it is taken.

        Raises
        ------
        JournalError
            If the journal cannot be written; nothing more is sent then.
        """
        settler = Settler(self.client, self._stop, self.resubmit)
        with ThreadPoolExecutor(self.client.max_workers, thread_name_prefix="refonte-submit") as pool:
            try:
                self._loop(work, settler, pool)
            except BaseException:
                self._stop.set()
                raise

    def interrupt(self) -> None:
        """Begin nothing more; what is under way is settled by the loop as ever."""
        self.was_interrupted = True
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether nothing more will be begun, of any type."""
        return self._stop.is_set()

    def is_off(self, task_type: str | None) -> bool:
        """Whether the account may not make tasks of this type."""
        return task_type in self._off_types

    def _loop(self, work: Iterator[Work], settler: Settler, pool: ThreadPoolExecutor) -> None:
        """Keep the workers busy; each turn commits the outcomes that came and the intents that go, together."""
        again: deque[tuple[Work, Entry]] = deque()
        outcomes: list[Entry] = []
        while True:
            begun = self._begin(work, again)
            self.journal.write([*outcomes, *(entry for _, entry in begun)])
            for item, entry in begun:
                self._under_way[item.at] = (item, entry)
                future = pool.submit(settler.settle, _job(item, entry, self.journal.run_id))
                future.add_done_callback(functools.partial(self._put, item.at))
            if not self._under_way:
                return
            outcomes, next_keys = self._collect()
            again.extend(next_keys)

    def _put(self, at: int, done: Future[Settled]) -> None:
        self._results.put((at, done))

    def _begin(self, work: Iterator[Work], again: deque[tuple[Work, Entry]]) -> list[tuple[Work, Entry]]:
        """Take as much work as there is room for, and make its intents."""
        room = self.client.max_workers * (1 + _READY_PER_WORKER) - len(self._under_way)
        begun: list[tuple[Work, Entry]] = []
        while len(begun) < room and not self._stop.is_set():
            if again:
                begun.append(again.popleft())
                continue
            item = next(work, None)
            if item is None:
                break
            if item.task.type in self._off_types:
                self.bar.update(len(item.task.positions))
            else:
                begun.append((item, _intent(item)))
        return begun

    def _collect(self) -> tuple[list[Entry], list[tuple[Work, Entry]]]:
        """Wait for an outcome and take all that are there: entries to write, and tasks that need their next key."""
        entries: list[Entry] = []
        next_keys: list[tuple[Work, Entry]] = []
        done = [self._results.get()]
        while not self._results.empty():
            done.append(self._results.get())
        for at, future in done:
            item, entry = self._under_way.pop(at)
            settled = future.result()
            entry = replace(entry, tries=entry.tries + settled.tries, maybe_sent=entry.maybe_sent or settled.maybe_sent)
            if settled.outcome == "next" and not self._stop.is_set():
                next_keys.append((item, _next_key(item, entry)))
                continue
            entries.append(self._note(item, entry, settled))
        return entries, next_keys

    def _note(self, item: Work, entry: Entry, settled: Settled) -> Entry:
        """Take an outcome in, decide whether the run goes on, and make the entry that says so."""
        if settled.outcome == "next":
            settled = replace(settled, outcome="unsent")
        self.settled[item.at] = replace(settled, tries=entry.tries)
        self.bar.update(len(item.task.positions))
        self._watch(item.task, settled)
        return _outcome(entry, settled)

    def _watch(self, task: Task, settled: Settled) -> None:
        if isinstance(settled.halt, NotEnabled):
            self._off_types.add(task.type)
            self.halted_by = settled.halt
        elif settled.halt is not None:
            self._halt(settled.halt)
        elif settled.outcome in ("created", "existing"):
            self._refusals = 0
        elif settled.outcome in ("failed", "unknown"):
            self._count_refusal(task, settled)

    def _count_refusal(self, task: Task, settled: Settled) -> None:
        # Nobody answered the unknown ones, and how that was said may differ from row to row.
        refusal = (settled.error_code, settled.error_message if settled.outcome == "failed" else None)
        self._refusals = self._refusals + 1 if refusal == self._refusal else 1
        self._refusal = refusal
        if self.stops_at_failure:
            self._halt(
                _restated(settled, f"Row {self.first_row + task.positions[0]} was refused ({settled.error_code})")
            )
        elif self._refusals >= _EQUAL_REFUSALS:
            self._halt(_restated(settled, f"Stopped after {self._refusals} equal refusals in a row"))

    def _halt(self, error: RefonteError) -> None:
        if self.halted_by is None or isinstance(self.halted_by, NotEnabled):
            self.halted_by = error
        self._stop.set()


def _intent(item: Work) -> Entry:
    """Make the entry that is committed before the task is sent."""
    known, decision, task = item.decision.entry, item.decision, item.task
    now = time.time()
    if known is None:
        return Entry(task.row_key, "sending", 0, task.sent_hash, now)
    if decision.action == "recheck":
        return known
    if decision.action in ("repeat", "settle"):
        # What was sent under this key is what the key stands for.
        return replace(known, state="sending", maybe_sent=True)
    return replace(known, state="sending", generation=decision.generation, sent_hash=task.sent_hash, first_sent_at=now)


def _next_key(item: Work, entry: Entry) -> Entry:
    return replace(
        entry,
        state="sending",
        generation=entry.generation + 1,
        sent_hash=item.task.sent_hash,
        first_sent_at=time.time(),
        task_id=None,
        task_status=None,
    )


def _job(item: Work, entry: Entry, run_id: str) -> Job:
    task, decision = item.task, item.decision
    is_first = entry.generation == decision.generation
    is_recheck = is_first and decision.action == "recheck"
    return Job(
        task=task,
        action=decision.action if is_first else "create",
        body=item.body,
        key=idempotency_key(run_id, task.row_key, task.sent_hash, entry.generation),
        generation=entry.generation,
        maybe_sent=entry.maybe_sent,
        first_sent_at=entry.first_sent_at,
        is_changed=decision.changed,
        known=_known(entry, is_changed=decision.changed) if is_recheck else None,
    )


def settled_before(entry: Entry) -> Settled:
    """Say of a task that is not looked at once more what the journal knows of its end."""
    if entry.has_task:
        return _known(entry, is_changed=False)
    outcome: Literal["failed", "unsent"] = "failed" if entry.state == "failed" else "unsent"
    return Settled(outcome, error_code=entry.error_code, error_message=entry.error_message, tries=entry.tries)


def _known(entry: Entry, *, is_changed: bool) -> Settled:
    """Say of a task what the journal knows of it."""
    outcome: Literal["created", "existing"] = "existing" if entry.state == "existing" else "created"
    return Settled(outcome, entry.task_id, entry.task_status, maybe_sent=entry.maybe_sent, is_changed=is_changed)


def _outcome(entry: Entry, settled: Settled) -> Entry:
    """Make the entry that is committed after a task came to its end, or was left in the middle."""
    if settled.outcome == "unsent":
        was_refused = settled.error_code in ("unauthorized", "not_enabled")
        # A refused key may be saved: the next run takes a new one. What may have been sent goes on under the same.
        state: State = "sending" if entry.maybe_sent else "failed" if was_refused else "unsent"
        return replace(entry, state=state, error_code=settled.error_code, error_message=settled.error_message)
    has_task = settled.outcome in ("created", "existing")
    return replace(
        entry,
        state=settled.outcome,  # type: ignore[arg-type]  # "next" was taken out before
        task_id=settled.task_id,
        task_status=settled.task_status,
        error_code=None if has_task else settled.error_code,
        error_message=None if has_task else settled.error_message,
    )


def _restated(settled: Settled, what: str) -> RefonteError:
    """Make the service's own error again, of the same type, with what it means for the run."""
    message = f"{what}: {settled.error_message}".rstrip(".") + "."
    if settled.error is None:
        return RefonteError(message)
    error = copy.copy(settled.error)
    error.message, error.args = message, (message,)
    return error
