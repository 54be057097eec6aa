"""How many files come to the service, each once: looked at, written down, sent, and settled. No frames here.

A file's `reference_id` is made of its content, so that the same bytes are the same file in every run and on every
machine, and the service refuses a second copy with 409. The reference also stands in the file's metadata: there it is
found again when the answer to an upload was lost.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from refonte_frames.client import error_of, outcome_of
from refonte_frames.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InputError,
    JournalError,
    NoReplyError,
    NotEnabled,
    RefonteError,
    ReplyError,
    ServiceError,
    Unauthorized,
)
from refonte_frames.interrupts import noted_interrupts
from refonte_frames.journal import Entry
from refonte_frames.resources.assets import attachment_url_of, find_asset
from refonte_frames.resources.sources import Facts, Refused, Wanted
from refonte_frames.transport import retries
from refonte_frames.transport.pacing import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.journal import Journal
    from refonte_frames.progress import Bar
    from refonte_frames.transport.calls import Call, Reply

__all__ = ["Settled", "Uploads"]

#: Sendings of one file before its last error is told.
_MAX_TRIES: Final = 5
#: So many equal refusals in a row are no matter of single files any more.
_EQUAL_REFUSALS: Final = 20
#: Files that are looked at ahead, for each worker.
_READY_PER_WORKER: Final = 2
_CODES: Final = {400: "bad_request", 404: "not_found", 413: "too_large", 415: "bad_request"}


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a file.

    Attributes
    ----------
    is_of_service : bool
        Whether the service refused it, so that the next one may fare the same.
    halt : RefonteError or None
        Why the whole run must stop.
    """

    outcome: Literal["created", "existing", "failed", "unsent"]
    attachment_url: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    tries: int = 0
    maybe_sent: bool = False
    is_of_service: bool = False
    halt: RefonteError | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    """A file with all that a worker needs to bring it to its end."""

    call: Call
    reference_id: str
    project: str | None
    mark: tuple[str, str]
    maybe_sent: bool


@dataclass(frozen=True, slots=True)
class _Settler:
    """Brings files to their end; runs in worker threads and writes nothing down."""

    client: Client
    stop: threading.Event

    def settle(self, job: _Job) -> Settled:
        """Settle one file; errors come back as outcomes."""
        tries = throttles = 0
        try:
            while True:
                # Looking costs a fraction of sending, wherever it may have arrived before.
                if job.maybe_sent and (found := self._found(job)) is not None:
                    return self._judged(job, found, tries)
                answer, url = self._answer(job.call)
                if url is not None:
                    return Settled("created", url, tries=tries + 1, maybe_sent=job.maybe_sent)
                outcome, error = outcome_of(answer), error_of(job.call, answer)
                throttles += outcome.status == 429
                tries += outcome.status != 429
                if isinstance(error, Conflict):
                    return self._taken(job, error, tries)
                is_unclear = outcome.was_sent and (outcome.status is None or outcome.status >= 500)
                job = replace(job, maybe_sent=job.maybe_sent or is_unclear)
                verdict = retries.decide(
                    outcome,
                    may_be_repeated=True,
                    tries=tries,
                    throttles=throttles,
                    jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
                    max_tries=_MAX_TRIES,
                    was_there=self.client.was_answered,
                )
                if isinstance(verdict, retries.GiveUp):
                    found = self._found(job) if job.maybe_sent else None
                    return _failure(error, job, tries) if found is None else self._judged(job, found, tries)
                self.client.before_next_try(job.call, outcome, verdict, stop=self.stop)
        except Stopped:
            return Settled("unsent", tries=tries, maybe_sent=job.maybe_sent)
        except RefonteError as error:
            return _failure(error, job, tries)

    def _answer(self, call: Call) -> tuple[Reply | NoReplyError, str | None]:
        """Send once; a 200 that cannot be read is no answer: the file may have arrived."""
        try:
            answer = self.client.send_once(call, stop=self.stop)
            if isinstance(answer, NoReplyError) or answer.status != 200:
                return answer, None
            return answer, attachment_url_of(answer.body, where=f"POST {call.path}")
        except ReplyError as error:
            return NoReplyError(error.message, was_sent=True), None

    def _found(self, job: _Job) -> dict[str, Any] | None:
        if job.project is None:
            return None
        return find_asset(self.client, job.project, job.reference_id, stop=self.stop)

    def _taken(self, job: _Job, error: Conflict, tries: int) -> Settled:
        """Settle a 409: it is the answer to the question whether the file is there."""
        found = self._found(job)
        if found is not None:
            return self._judged(job, found, tries)
        remedy = (
            "name a project (project='…'), then it is looked up, or uploaded for that project"
            if job.project is None
            else f"no file of project {job.project!r} shows it in its metadata; give the row another reference_id"
        )
        message = f"the reference_id {job.reference_id!r} is taken: {remedy}. The service: {error.error}"
        return Settled("failed", None, "reference_id_taken", message, tries, job.maybe_sent)

    def _judged(self, job: _Job, found: Mapping[str, Any], tries: int = 0) -> Settled:
        """Take the file that is there, if it is this one."""
        key, value = job.mark
        url = str(found["attachment_url"])
        if found["metadata"].get(key, value) != value:
            message = f"the reference_id {job.reference_id!r} belongs to another file ({url}); give the row another one"
            return Settled("failed", None, "reference_id_taken", message, tries, job.maybe_sent)
        return Settled("created" if job.maybe_sent else "existing", url, tries=tries, maybe_sent=job.maybe_sent)


def _failure(error: RefonteError, job: _Job, tries: int) -> Settled:
    """Say of a file why it is not known to be there."""
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
class Uploads:
    """One run over many files.

    Attributes
    ----------
    rows : dict of str to list of int
        The rows of each file, by its key in the journal.
    settled : dict of str to Settled
        What became of each file; what is not in it was not begun.
    refused : dict of int to Refused
        Rows that stand for no file that could be sent.
    facts : dict of int to Facts
        What the file of each row is, as far as it was looked at.
    halted_by : RefonteError or None
        Why the run was stopped.
    was_interrupted : bool
        Whether Ctrl-C stopped it.
    """

    client: Client
    journal: Journal
    project: str | None
    wanted: Sequence[Wanted | Refused]
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
    _stop: threading.Event = field(default_factory=threading.Event)
    _is_journal_checked: bool = False
    _refusal: str | None = None
    _refusals: int = 0

    def carry_out(self) -> None:
        """Bring all files to their end, writing down every step before and after it is taken.

        Raises
        ------
        JournalError
            The journal cannot be written, or knows files that the service does not; nothing more is sent then.
        """
        with (
            ThreadPoolExecutor(self.client.max_workers, thread_name_prefix="refonte-upload") as pool,
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

    def reference_id(self, row: int) -> str | None:
        """Tell the reference of a row's file, if it was looked at or given."""
        wanted, facts = self.wanted[row], self.facts.get(row)
        return wanted.reference(facts) if isinstance(wanted, Wanted) and facts is not None else None

    def key(self, row: int) -> str | None:
        """Name a row's file in the journal."""
        reference_id = self.reference_id(row)
        return None if reference_id is None else f"{self.project or '-'}/{reference_id}"

    def _interrupt(self) -> None:
        """Begin nothing more; what is under way is settled by the loop as ever."""
        self.was_interrupted = True
        self._stop.set()

    def _loop(self, pool: ThreadPoolExecutor) -> None:
        """Keep the workers busy; each turn commits the outcomes that came and the intents that go, together."""
        settler = _Settler(self.client, self._stop)
        waiting = iter(range(len(self.wanted)))
        outcomes: list[Entry] = []
        jobs: dict[str, _Job] = {}
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
        """Have as many files looked at as keep the workers busy."""
        room = self.client.max_workers * (1 + _READY_PER_WORKER) - self._under_way
        while room > 0 and not self._stop.is_set():
            rows = list(islice(waiting, room))
            for row in rows:
                wanted = self.wanted[row]
                if isinstance(wanted, Refused):
                    self._refuse(row, wanted)
                else:
                    self._begin(pool.submit(_looked_at, wanted), row)
                    room -= 1
            if not rows:
                return

    def _collect(self) -> tuple[list[Entry], dict[str, _Job]]:
        """Wait for a result and take all that are there: entries to write, and files to send."""
        entries: list[Entry] = []
        jobs: dict[str, _Job] = {}
        done = [self._done.get()]
        while not self._done.empty():
            done.append(self._done.get())
        for tag, future in done:
            self._under_way -= 1
            if isinstance(tag, str):
                entries.append(self._note(tag, future.result()))
            elif (job := self._take_in(tag, future.result())) is not None:
                jobs[self.key(tag) or ""] = job
        return entries, jobs

    def _refuse(self, row: int, why: Refused) -> None:
        self.refused[row] = why
        self.bar.update()

    def _take_in(self, row: int, facts: Facts | Refused) -> _Job | None:
        """Decide about a file that was looked at: sent, known to be there, or not to be sent."""
        wanted = self.wanted[row]
        if isinstance(facts, Refused) or isinstance(wanted, Refused):
            self._refuse(row, facts if isinstance(facts, Refused) else wanted)  # type: ignore[arg-type]
            return None
        self.facts[row] = facts
        key = self.key(row) or ""
        if key in self.rows:
            self._share(row, key)
            return None
        self.rows[key] = [row]
        known = self.journal.known([key]).get(key)
        if known is not None and known.has_task:
            self._adopt(key, known, facts)
            return None
        if self._stop.is_set():
            return None
        maybe_sent = known is not None and (known.state == "sending" or known.maybe_sent)
        tries = 0 if known is None else known.tries
        self._entries[key] = Entry(key, "sending", 0, _hash(facts), time.time(), maybe_sent=maybe_sent, tries=tries)
        mark = (wanted.source.mark, facts.digest.hex())
        return _Job(wanted.call(facts, self.project), wanted.reference(facts), self.project, mark, maybe_sent)

    def _share(self, row: int, key: str) -> None:
        """Let a row have the file of an earlier one, if it is the same."""
        first = self.rows[key][0]
        if self.facts[first].digest != self.facts[row].digest:
            message = f"row {first} has the reference_id {self.reference_id(row)!r} too, for another file"
            self._refuse(row, Refused("duplicate_reference_id", message))
            return
        self.rows[key].append(row)
        if key in self.settled:
            self.bar.update()

    def _adopt(self, key: str, known: Entry, facts: Facts) -> None:
        """Take what the journal knows of a file."""
        self._check_journal_is_of_this_service(key)
        settled = Settled("existing" if known.state == "existing" else "created", known.task_id, tries=known.tries)
        if known.sent_hash != _hash(facts):
            message = f"its reference_id was given to another file before ({known.task_id}); give the row another one"
            settled = Settled("failed", None, "reference_id_taken", message, known.tries)
        self.settled[key] = settled
        self.bar.update()

    def _check_journal_is_of_this_service(self, key: str) -> None:
        """Look one file up that the journal knows: a service that was reset would make its rows look done for ever."""
        if self._is_journal_checked or self.project is None:
            return
        reference_id = key.removeprefix(f"{self.project}/")
        if find_asset(self.client, self.project, reference_id) is None:
            raise JournalError(
                f"The journal {self.journal.path} says that the file {reference_id} was uploaded, but the project "
                f"{self.project!r} at {self.client.host} has none of this reference: the journal belongs to an account "
                "or sandbox that is gone, or the file was deleted there. Move it away, or pass another journal=…"
            )
        self._is_journal_checked = True

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
            task_id=settled.attachment_url,
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


def _looked_at(wanted: Wanted) -> Facts | Refused:
    try:
        return wanted.source.look()
    except Refused as refused:
        return refused


def _hash(facts: Facts) -> bytes:
    return facts.digest[:16]
