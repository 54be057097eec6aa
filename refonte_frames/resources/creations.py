"""How many things come to the service, each once: looked at, written down, sent, and settled. No frames here.

Each bears an id of ours that the service keeps unique, and that is the same in every run, so that it refuses a second
copy with 409. Files and quality tasks are made so; who makes them says how a 409 is settled.
"""

from __future__ import annotations

import abc
import queue
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from refonte_frames.client import Sendings, error_of, outcome_of
from refonte_frames.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InputError,
    NoReplyError,
    NotEnabled,
    RefonteError,
    ReplyError,
    ServiceError,
    Unauthorized,
)
from refonte_frames.interrupts import noted_interrupts
from refonte_frames.journal import Entry
from refonte_frames.transport import retries
from refonte_frames.transport.pacing import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refonte_frames.client import Client
    from refonte_frames.journal import Journal
    from refonte_frames.progress import Bar
    from refonte_frames.transport.calls import Call, Reply

__all__ = ["Creations", "Job", "Refused", "Settled", "Settler", "Wanted"]

#: Sendings of one thing before its last error is told.
_MAX_TRIES: Final = 5
#: So many equal refusals in a row are no matter of single things any more.
_EQUAL_REFUSALS: Final = 20
#: Things that are looked at ahead, for each worker.
_READY_PER_WORKER: Final = 2
_CODES: Final = {400: "bad_request", 404: "not_found", 413: "too_large", 415: "bad_request"}


class Refused(Exception):
    """Why a row is not sent, known without asking the service; never leaves this room."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Facts:
    """What makes a thing the same one.

    Attributes
    ----------
    digest : bytes
        SHA-256 of what it is.
    size : int or None
        In bytes, where it is known.
    """

    digest: bytes
    size: int | None = None


class Wanted(Protocol):
    """A thing that is to be at the service."""

    @property
    def id_name(self) -> str:
        """What the service calls the id of ours."""

    def look(self) -> Facts:
        """Find out what it is, in a worker thread; raises `Refused` where it cannot be sent."""

    def own_id(self, facts: Facts) -> str:
        """Name it."""

    def call(self, facts: Facts) -> Call:
        """Make the request that brings it to the service."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a thing.

    Attributes
    ----------
    made : str or None
        What the service calls it: an address, an id.
    is_of_service : bool
        Whether the service refused it, so that the next one may fare the same.
    halt : RefonteError or None
        Why the whole run must stop.
    """

    outcome: Literal["created", "existing", "failed", "unsent"]
    made: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    tries: int = 0
    maybe_sent: bool = False
    is_of_service: bool = False
    halt: RefonteError | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A thing with all that a worker needs to bring it to its end."""

    wanted: Any
    facts: Facts
    own_id: str
    call: Call
    maybe_sent: bool


@dataclass(frozen=True, slots=True)
class Settler(abc.ABC):
    """Brings things to their end; runs in worker threads and writes nothing down.

    What is asked of the service beside the sending itself, those who make things say in their own settler.
    """

    client: Client
    stop: threading.Event

    @abc.abstractmethod
    def read(self, answer: Reply, call: Call) -> str:
        """Read from the answer what the service calls the thing; raises `ReplyError` where it does not say."""

    @abc.abstractmethod
    def find(self, job: Job) -> Settled | None:
        """Look whether a thing that may have been sent is there; None where it is not, or nobody can look."""

    @abc.abstractmethod
    def taken(self, job: Job, error: Conflict) -> Settled:
        """Settle a 409: it is the answer to the question whether the thing is there."""

    @abc.abstractmethod
    def check_known(self, own_id: str, journal: Journal) -> None:
        """Make sure that a thing the journal knows is there, once a run; raises `JournalError` where it is not."""

    def settle(self, job: Job) -> Settled:
        """Settle one thing; errors come back as outcomes."""
        sendings = Sendings(self.client, _MAX_TRIES)
        try:
            while True:
                # Looking costs a fraction of sending, wherever it may have arrived before.
                if job.maybe_sent and (found := self.find(job)) is not None:
                    return replace(found, tries=sendings.tries)
                answer, made = self._answer(job.call)
                if made is not None:
                    return Settled("created", made, tries=sendings.tries + 1, maybe_sent=job.maybe_sent)
                outcome, error = outcome_of(answer), error_of(job.call, answer)
                sendings.count(outcome)
                if isinstance(error, Conflict):
                    return replace(self.taken(job, error), tries=sendings.tries)
                is_unclear = outcome.was_sent and (outcome.status is None or outcome.status >= 500)
                job = replace(job, maybe_sent=job.maybe_sent or is_unclear)
                verdict = sendings.decide(outcome)
                if isinstance(verdict, retries.GiveUp):
                    found = self.find(job) if job.maybe_sent else None
                    return (
                        _failure(error, job, sendings.tries) if found is None else replace(found, tries=sendings.tries)
                    )
                self.client.before_next_try(job.call, outcome, verdict, stop=self.stop)
        except Stopped:
            return Settled("unsent", tries=sendings.tries, maybe_sent=job.maybe_sent)
        except RefonteError as error:
            return _failure(error, job, sendings.tries)

    def _answer(self, call: Call) -> tuple[Reply | NoReplyError, str | None]:
        """Send once; a 200 that cannot be read is no answer: it may have arrived."""
        try:
            answer = self.client.send_once(call, stop=self.stop)
            if isinstance(answer, NoReplyError) or answer.status != 200:
                return answer, None
            return answer, self.read(answer, call)
        except ReplyError as error:
            return NoReplyError(error.message, was_sent=True), None


def _failure(error: RefonteError, job: Job, tries: int) -> Settled:
    """Say of a thing why it is not known to be there."""
    if isinstance(error, Unauthorized | Forbidden | NotEnabled):
        return Settled("unsent", tries=tries, maybe_sent=job.maybe_sent, halt=error)
    if isinstance(error, NoReplyError) and not error.was_sent and not job.maybe_sent:
        return Settled("unsent", None, "no_connection", error.message, tries, halt=error)
    if isinstance(error, InputError):
        return Settled("failed", None, "changed_file", error.message, tries, job.maybe_sent)
    if isinstance(error, ApiError) and not isinstance(error, ServiceError) and not job.maybe_sent:
        code = _CODES.get(error.status_code, f"http_{error.status_code}")
        return Settled("failed", None, code, error.error or error.message, tries, is_of_service=True)
    code = "service_error" if isinstance(error, ServiceError) else "no_reply"
    message = f"Whether it arrived is not known; run the same call again, it is not doubled. {error.message}"
    return Settled("failed", None, code, message, tries, job.maybe_sent, is_of_service=True)


@dataclass(slots=True)
class Creations:
    """One run over many things.

    Attributes
    ----------
    scope : str
        Begins the keys in the journal, such as the project.
    rows : dict of str to list of int
        The rows of each thing, by its key in the journal.
    settled : dict of str to Settled
        What became of each thing; what is not in it was not begun.
    refused : dict of int to Refused
        Rows that stand for nothing that could be sent.
    facts : dict of int to Facts
        What the thing of each row is, as far as it was looked at.
    halted_by : RefonteError or None
        Why the run was stopped.
    was_interrupted : bool
        Whether Ctrl-C stopped it.
    """

    client: Client
    journal: Journal
    scope: str
    wanted: Sequence[Wanted | Refused]
    settler_of: Callable[[Client, threading.Event], Settler]
    bar: Bar
    rows: dict[str, list[int]] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)
    refused: dict[int, Refused] = field(default_factory=dict)
    facts: dict[int, Facts] = field(default_factory=dict)
    halted_by: RefonteError | None = None
    was_interrupted: bool = False
    _entries: dict[str, Entry] = field(default_factory=dict)
    _done: queue.SimpleQueue[tuple[int | str, Future[Any]]] = field(default_factory=queue.SimpleQueue)
    _under_way: int = 0
    _ahead: deque[int] = field(default_factory=deque)
    _looked_at: dict[int, tuple[Wanted, Facts | Refused]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _is_journal_checked: bool = False
    _settler: Settler = field(init=False)
    _refusal: str | None = None
    _refusals: int = 0

    def __post_init__(self) -> None:
        self._settler = self.settler_of(self.client, self._stop)

    def carry_out(self) -> None:
        """Bring all things to their end, writing down every step before and after it is taken.

        Raises
        ------
        JournalError
            The journal cannot be written, or knows things that the service does not; nothing more is sent then.
        """
        with (
            ThreadPoolExecutor(self.client.max_workers, thread_name_prefix="refonte-create") as pool,
            noted_interrupts(self._interrupt),
        ):
            try:
                self._loop(pool)
            except BaseException:
                self._stop.set()
                raise

    def result(self, row: int) -> Settled:
        """Tell what became of a row."""
        if (refused := self.refused.get(row)) is not None:
            return Settled("failed", None, refused.code, str(refused))
        key = self.key(row)
        return self.settled.get(key, Settled("unsent")) if key else Settled("unsent")

    def own_id(self, row: int) -> str | None:
        """Tell the id of a row's thing, if it was looked at."""
        wanted, facts = self.wanted[row], self.facts.get(row)
        return None if facts is None or isinstance(wanted, Refused) else wanted.own_id(facts)

    def key(self, row: int) -> str | None:
        """Name a row's thing in the journal."""
        own_id = self.own_id(row)
        return None if own_id is None else f"{self.scope}/{own_id}"

    def _interrupt(self) -> None:
        """Begin nothing more; what is under way is settled by the loop as ever."""
        self.was_interrupted = True
        self._stop.set()

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        """Keep the workers busy; each turn commits the outcomes that came and the intents that go, together."""
        settler = self._settler
        waiting = iter(range(len(self.wanted)))
        outcomes: list[Entry] = []
        jobs: dict[str, Job] = {}
        while True:
            self.journal.write([*outcomes, *(self._entries[key] for key in jobs)])
            for key, job in jobs.items():
                self._begin(pool.submit(settler.settle, job), key)
            self._look_ahead(waiting, pool)
            if not self._under_way:
                return
            outcomes, jobs = self._collect()

    def _begin(self, future: Future[Any], tag: int | str) -> None:
        self._under_way += 1
        future.add_done_callback(lambda done: self._done.put((tag, done)))

    def _look_ahead(self, waiting: Iterator[int], pool: ThreadPoolExecutor) -> None:
        """Have as many things looked at as keep the workers busy."""
        room = self.client.max_workers * (1 + _READY_PER_WORKER) - self._under_way
        while room > 0 and not self._stop.is_set():
            rows = list(islice(waiting, room))
            for row in rows:
                wanted = self.wanted[row]
                if isinstance(wanted, Refused):
                    self._refuse(row, wanted)
                else:
                    self._ahead.append(row)
                    self._begin(pool.submit(_looked_at, wanted), row)
                    room -= 1
            if not rows:
                return

    def _collect(self) -> tuple[list[Entry], dict[str, Job]]:
        """Wait for a result and take all that are there: entries to write, and things to send."""
        entries: list[Entry] = []
        jobs: dict[str, Job] = {}
        done = [self._done.get()]
        while not self._done.empty():
            done.append(self._done.get())
        for tag, future in done:
            self._under_way -= 1
            if isinstance(tag, str):
                entries.append(self._note(tag, future.result()))
            else:
                self._looked_at[tag] = future.result()
        # In the order of the rows: of two that want one id the first one has it, whichever is read faster.
        while self._ahead and self._ahead[0] in self._looked_at:
            row = self._ahead.popleft()
            if (job := self._take_in(row, *self._looked_at.pop(row))) is not None:
                jobs[self.key(row) or ""] = job
        return entries, jobs

    def _refuse(self, row: int, why: Refused) -> None:
        self.refused[row] = why
        self.bar.update()

    def _take_in(self, row: int, wanted: Wanted, facts: Facts | Refused) -> Job | None:
        """Decide about a thing that was looked at: sent, known to be there, or not to be sent."""
        if isinstance(facts, Refused):
            self._refuse(row, facts)
            return None
        self.facts[row] = facts
        key = self.key(row) or ""
        if key in self.rows:
            self._share(row, key, wanted)
            return None
        self.rows[key] = [row]
        known = self.journal.known([key]).get(key)
        if known is not None and known.has_task:
            self._adopt(key, known, wanted, facts)
            return None
        if self._stop.is_set():
            return None
        maybe_sent = known is not None and (known.state == "sending" or known.maybe_sent)
        tries = 0 if known is None else known.tries
        self._entries[key] = Entry(key, "sending", 0, _hash(facts), time.time(), maybe_sent=maybe_sent, tries=tries)
        return Job(wanted, facts, wanted.own_id(facts), wanted.call(facts), maybe_sent)

    def _share(self, row: int, key: str, wanted: Wanted) -> None:
        """Let a row have the thing of an earlier one, if it is the same."""
        first = self.rows[key][0]
        if self.facts[first].digest != self.facts[row].digest:
            message = f"row {first} has the {wanted.id_name} {self.own_id(row)!r} too, for something else"
            self._refuse(row, Refused(f"duplicate_{wanted.id_name}", message))
            return
        self.rows[key].append(row)
        if key in self.settled:
            self.bar.update()

    def _adopt(self, key: str, known: Entry, wanted: Wanted, facts: Facts) -> None:
        """Take what the journal knows of a thing."""
        if not self._is_journal_checked:
            self._settler.check_known(wanted.own_id(facts), self.journal)
            self._is_journal_checked = True
        settled = Settled("existing" if known.state == "existing" else "created", known.task_id, tries=known.tries)
        if known.sent_hash != _hash(facts):
            name = wanted.id_name
            message = f"its {name} was given to something else before ({known.task_id}); give the row another one"
            settled = Settled("failed", None, f"{name}_taken", message, known.tries)
        self.settled[key] = settled
        self.bar.update()

    def _note(self, key: str, settled: Settled) -> Entry:
        """Take an outcome in, decide whether the run goes on, and make the entry that says so."""
        entry = self._entries.pop(key)
        settled = replace(settled, tries=entry.tries + settled.tries)
        self.settled[key] = settled
        self.bar.update(len(self.rows[key]))
        self._watch(settled)
        if settled.outcome == "unsent":
            state: Literal["sending", "unsent"] = "sending" if settled.maybe_sent else "unsent"
            return replace(entry, state=state, maybe_sent=settled.maybe_sent, tries=settled.tries)
        return replace(
            entry,
            state=settled.outcome,
            task_id=settled.made,
            error_code=settled.error_code,
            error_message=settled.error_message,
            maybe_sent=settled.maybe_sent,
            tries=settled.tries,
        )

    def _watch(self, settled: Settled) -> None:
        is_equal = settled.is_of_service and settled.error_code == self._refusal
        self._refusals = (self._refusals + 1 if is_equal else 1) if settled.is_of_service else 0
        self._refusal = settled.error_code
        halt = settled.halt
        if halt is None and self._refusals >= _EQUAL_REFUSALS:
            halt = RefonteError(f"Stopped after {self._refusals} equal refusals in a row: {settled.error_message}")
        if halt is not None:
            self.halted_by = self.halted_by or halt
            self._stop.set()


def _looked_at(wanted: Wanted) -> tuple[Wanted, Facts | Refused]:
    try:
        return wanted, wanted.look()
    except Refused as refused:
        return wanted, refused


def _hash(facts: Facts) -> bytes:
    return facts.digest[:16]
