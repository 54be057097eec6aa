"""Changing many tasks: each is read, compared, and changed only where it differs. No endpoint lives here."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import msgspec
import pandas as pd

from refonte_frames import progress as bars
from refonte_frames.cells import is_sendable
from refonte_frames.errors import (
    ApiError,
    ColumnError,
    DuplicateUniqueId,
    Forbidden,
    JournalError,
    NoReplyError,
    NotFound,
    RefonteError,
    ReplyError,
    ServiceError,
    Unauthorized,
)
from refonte_frames.interrupts import noted_interrupts
from refonte_frames.journal import Entry, Journal, State
from refonte_frames.resources.receipts import beside, counts_of, end_with, tell
from refonte_frames.resources.states import States
from refonte_frames.transport.calls import Call
from refonte_frames.transport.pacing import Stopped
from refonte_frames.transport.replies import decode_json
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from refonte_frames.client import Client

__all__ = ["Change", "Order", "Refused", "carry_out", "column_of", "is_same", "orders_of"]

_Ordered: TypeAlias = "tuple[str, Change, Mapping[str, Any] | None]"
Outcome = Literal["changed", "unchanged", "failed", "unsent", "unknown"]

_OUTCOMES: Final[tuple[Outcome, ...]] = ("changed", "unchanged", "failed", "unsent", "unknown")
#: What the journal calls them: a task that was so already is one that existed.
_STATES: Final[dict[Outcome, State]] = {
    "changed": "changed",
    "unchanged": "existing",
    "failed": "failed",
    "unsent": "sending",
    "unknown": "unknown",
}
_RESULT_COLUMNS: Final = ("outcome", "error_code", "error_message")
_DRY_COLUMNS: Final = (*_RESULT_COLUMNS, "before", "after")
_CODES: Final = {400: "bad_request", 402: "not_enabled", 404: "not_found", 409: "conflict"}
#: Troubles that are the service's and no task's; so many in a row are no matter of single tasks any more.
_TROUBLES: Final = frozenset({"service_error", "no_reply", "bad_reply"})
_TROUBLES_IN_A_ROW: Final = 20
#: Sendings of a change that must not be sent twice: each but the first only after the task was seen to lack it.
_SENDINGS: Final = 3
_PAUSE_SECS: Final = 0.5
#: Tasks that stand ready behind each worker, so that none waits for the journal.
_READY_PER_WORKER: Final = 2


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a task cannot be changed so: what the service would answer, known without asking."""

    code: str
    message: str


class Change(Protocol):
    """What is to become of one task."""

    @property
    def is_visible(self) -> bool:
        """Whether the task shows, when it is read again, that the change was made."""

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        """Return what is and what shall be, or None where the task is so already."""

    def call(self, task_id: str) -> Call:
        """Make the request that changes it."""


@dataclass(frozen=True, slots=True)
class Order:
    """The change of one row; `error` says why there is none."""

    task_id: str
    change: Change | None
    error: Refused | None = None


@dataclass(frozen=True, slots=True)
class _Result:
    outcome: Outcome
    error_code: str | None = None
    error_message: str | None = None
    before: Any = None
    after: Any = None
    halt: RefonteError | None = None


def column_of(frame: pd.DataFrame, name: Hashable, meaning: str, option: str) -> pd.Series[Any]:
    """Take a column of the caller's frame.

    Raises
    ------
    ColumnError
        There is no such column, or more than one.
    """
    names: list[Any] = frame.columns.tolist()
    count = names.count(name)
    if count > 1:
        raise ColumnError(f"The frame has {count} columns {name!r} with {meaning}; rename all but one of them.")
    if not count:
        raise ColumnError(
            f"The frame has no column {name!r} with {meaning}; name it: {option}. "
            f"It has: {', '.join(map(repr, frame.columns)) or 'no columns'}."
        )
    column: pd.Series[Any] = frame[name]
    return column


def orders_of(frame: pd.DataFrame, task_id: Hashable, changes: Sequence[Change | Refused]) -> list[Order]:
    """Put rows and changes together; a `Refused` among the changes is that row's error.

    Raises
    ------
    ColumnError
        The frame has no column of task ids.
    """
    cells = column_of(frame, task_id, "the tasks' ids", "task_id='…'").tolist()
    return [_order(cell, change) for cell, change in zip(cells, changes, strict=True)]


def _order(cell: Any, change: Change | Refused) -> Order:
    if isinstance(cell, str) and cell and is_sendable(cell):
        return Order(cell, None, change) if isinstance(change, Refused) else Order(cell, change)
    if (pd.api.types.is_scalar(cell) and pd.isna(cell)) or (isinstance(cell, str) and not cell):
        return Order("", None, Refused("no_task_id", "the row has no task"))
    return Order("", None, Refused("bad_task_id", f"the id of a task is text, not {cell!r}; read the column as str"))


def carry_out(
    rows: pd.DataFrame,
    orders: Sequence[Order],
    *,
    purpose: str,
    dry_run: bool,
    progress: bool,
    client: Client,
    journal: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Carry the orders out, many at a time, and put what became of each behind its row.

    Rows that order the same for one task share its outcome; rows that contradict each other fail, all of them.

    Parameters
    ----------
    rows : pandas.DataFrame
        The caller's; never changed.
    orders : sequence of Order
        One per row.
    purpose : str
        The public function, for the bar, the summary and the journal.
    journal : path, optional
        Written before and after every request; what it knows to be done is not sent again.

    Raises
    ------
    Unauthorized, Forbidden, NoReplyError, RefonteError, JournalError
        The run was stopped; ``.receipt`` holds what was done.
    SubmitInterrupted
        After Ctrl-C, once the requests in flight were settled.
    """
    began, client = time.monotonic(), client.for_one_run()
    changes, clashes = _by_task(orders)
    names = _DRY_COLUMNS if dry_run else _RESULT_COLUMNS
    with (
        _opened(journal, purpose, client, dry_run=dry_run) as book,
        bars.bar(len(changes), f"rf.{purpose}", "tasks", progress=progress) as bar,
    ):
        run = _Run(client, bar, book, _unique_ids(rows, orders), dry_run=dry_run, results=dict(clashes))
        try:
            run.carry_out(changes)
        except JournalError as error:
            error.receipt = _receipt(rows, orders, run.results, names)
            raise
    receipt = _receipt(rows, orders, run.results, names)
    receipt.attrs["refonte"] = {
        "counts": counts_of(receipt, _OUTCOMES),
        "seconds": round(time.monotonic() - began, 3),
        "requests_by_status": client.requests_by_status(),
    }
    if journal is not None:
        receipt.attrs["refonte"]["journal"] = str(journal)
    tell(receipt, f"{purpose}{' (dry run)' if dry_run else ''}")
    return end_with(receipt, was_interrupted=run.was_interrupted, halted_by=run.halted_by)


def _unique_ids(rows: pd.DataFrame, orders: Sequence[Order]) -> dict[str, str]:
    """Take the unique_ids that stand beside the tasks' ids, such as in a receipt."""
    if rows.columns.tolist().count("unique_id") != 1:
        return {}
    pairs = zip(orders, rows["unique_id"].tolist(), strict=True)
    return {order.task_id: text for order, text in pairs if order.task_id and isinstance(text, str) and text}


def _by_task(orders: Sequence[Order]) -> tuple[dict[str, Change], dict[str, _Result]]:
    """Gather one change for each task, and the results that are clear without asking."""
    changes: dict[str, Change] = {}
    clashes: dict[str, _Result] = {}
    for order in orders:
        if order.change is None:
            continue
        first = changes.setdefault(order.task_id, order.change)
        if first is not order.change and first.call(order.task_id) != order.change.call(order.task_id):
            message = f"rows of task {order.task_id} order different things; keep one of them"
            clashes[order.task_id] = _Result("failed", "conflicting_rows", message)
    return {task_id: change for task_id, change in changes.items() if task_id not in clashes}, clashes


@contextmanager
def _opened(
    journal: str | os.PathLike[str] | None, purpose: str, client: Client, *, dry_run: bool
) -> Iterator[Journal | None]:
    """Open the journal, if there is to be one; a dry run reads it where it is there, and makes none."""
    if journal is None or (dry_run and not at_home(journal).exists()):
        yield None
        return
    with Journal(journal, host=client.host, key_fingerprint=client.key_fingerprint, purpose=purpose) as book:
        yield book


@dataclass(slots=True)
class _Run:
    """One run over the tasks of a frame.

    Attributes
    ----------
    results : dict of str to _Result
        What became of each task; what is not in it was not begun.
    halted_by : RefonteError or None
        Why the run was stopped.
    was_interrupted : bool
        Whether Ctrl-C stopped it.
    """

    client: Client
    bar: bars.Bar
    journal: Journal | None
    unique_ids: Mapping[str, str]
    dry_run: bool
    results: dict[str, _Result]
    halted_by: RefonteError | None = None
    was_interrupted: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _done: queue.SimpleQueue[tuple[str, Future[_Result]]] = field(default_factory=queue.SimpleQueue)
    _troubles: int = 0

    def carry_out(self, changes: Mapping[str, Change]) -> None:
        """Work through the tasks with no more of them waiting than keep the workers busy."""
        left = self._without_done(changes)
        with (
            ThreadPoolExecutor(self.client.max_workers, thread_name_prefix="refonte-change") as pool,
            noted_interrupts(self._interrupt),
        ):
            try:
                self._loop(self._with_states(left), pool)
            except BaseException:
                self._stop.set()
                raise

    def _interrupt(self) -> None:
        """Begin nothing more; what is under way is settled by the loop as ever."""
        self.was_interrupted = True
        self._stop.set()

    def _without_done(self, changes: Mapping[str, Change]) -> dict[str, Change]:
        """Take out what the journal knows to be done, by this very order."""
        known = self.journal.known(list(changes)) if self.journal is not None else {}
        left: dict[str, Change] = {}
        for task_id, change in changes.items():
            entry = known.get(task_id)
            if entry is not None and entry.state == "changed" and entry.sent_hash == _hash(change.call(task_id)):
                self.results[task_id] = _Result("changed")
                self.bar.update()
            else:
                left[task_id] = change
        return left

    def _with_states(self, changes: Mapping[str, Change]) -> Iterator[_Ordered]:
        """Read tasks ahead, where a change that was not needed does no harm."""
        if all(change.call(task_id).may_be_repeated for task_id, change in islice(changes.items(), 1)):
            return States(self.client, self.unique_ids, self._stop).beside(iter(changes.items()))
        return ((task_id, change, None) for task_id, change in changes.items())

    def _loop(self, waiting: Iterator[_Ordered], pool: ThreadPoolExecutor) -> None:
        """Keep the workers busy; each turn commits the outcomes that came and the intents that go, together."""
        under_way: dict[str, Entry] = {}
        outcomes: list[Entry] = []
        while True:
            room = self.client.max_workers * (1 + _READY_PER_WORKER) - len(under_way)
            begun = [] if self._stop.is_set() else list(islice(waiting, room))
            intents = [_intent(task_id, change) for task_id, change, _ in begun]
            self._write([*outcomes, *intents])
            for (task_id, change, state), entry in zip(begun, intents, strict=True):
                under_way[task_id] = entry
                pool.submit(self._settle, task_id, change, state).add_done_callback(partial(self._put, task_id))
            if not under_way:
                return
            outcomes = [self._note(under_way.pop(task_id), done.result()) for task_id, done in self._collected()]

    def _put(self, task_id: str, done: Future[_Result]) -> None:
        self._done.put((task_id, done))

    def _collected(self) -> Iterator[tuple[str, Future[_Result]]]:
        """Wait for a result and take all that are there."""
        yield self._done.get()
        while not self._done.empty():
            yield self._done.get()

    def _write(self, entries: Iterable[Entry]) -> None:
        if self.journal is not None and not self.dry_run:
            self.journal.write(entries)

    def _note(self, entry: Entry, result: _Result) -> Entry:
        """Take a result in, decide whether the run goes on, and make the entry that says so."""
        self.results[entry.row_key] = result
        self.bar.update()
        self._troubles = self._troubles + 1 if result.error_code in _TROUBLES else 0
        halt = result.halt
        if halt is None and self._troubles >= _TROUBLES_IN_A_ROW:
            halt = RefonteError(
                f"Stopped after {self._troubles} failures of the service in a row: {result.error_message}"
            )
        if halt is not None:
            self.halted_by = self.halted_by or halt
            self._stop.set()
        return replace(
            entry, state=_STATES[result.outcome], error_code=result.error_code, error_message=result.error_message
        )

    def _settle(self, task_id: str, change: Change, state: Mapping[str, Any] | None) -> _Result:
        """Read a task and change it if it differs; runs in a worker thread, errors come back as results.

        A state that was read ahead in a list suffices to show a difference, and to send the change. Whether a list is
        as new as the task itself is not documented: that nothing is to be done is believed to the task alone.
        """
        try:
            difference = None if state is None else change.difference(state)
            if not isinstance(difference, tuple) and not (self.dry_run and state is not None):
                difference = self._difference(task_id, change)
        except Stopped:
            return _Result("unsent")
        except RefonteError as error:
            return _unread(task_id, error)
        if difference is None:
            return _Result("unchanged")
        if isinstance(difference, Refused):
            return _Result("failed", difference.code, difference.message)
        result = _Result("changed", before=difference[0], after=difference[1])
        return result if self.dry_run else self._change(task_id, change, result)

    def _difference(self, task_id: str, change: Change, *, is_last_look: bool = False) -> Any:
        """Read the task; the last look after a change is taken even while the run is being stopped."""
        stop, tries = (None, 2) if is_last_look else (self._stop, 5)
        reply = self.client.send(Call.get("task", task_id), stop=stop, max_tries=tries)
        return change.difference(decode_json(reply.body, where=f"GET /task/{task_id}", type=dict[str, Any]))

    def _change(self, task_id: str, change: Change, result: _Result) -> _Result:
        """Send the change until it is clear whether it was made."""
        call = change.call(task_id)
        # What may be repeated was repeated by the client.
        for left in reversed(range(1 if call.may_be_repeated else _SENDINGS)):
            try:
                self.client.send(call, stop=self._stop)
            except Stopped:
                return _Result("unsent")
            except (ServiceError, NoReplyError, ReplyError) as error:
                if isinstance(error, NoReplyError) and not error.was_sent:
                    return _no_connection(error)
                is_made = self._is_made(task_id, change)
                if is_made:
                    return result
                # Where nobody saw the task without it, a second one would be sent blindly.
                if not left or self._stop.is_set() or is_made is None:
                    return _unclear(error, change, is_known=is_made is not None)
                self._stop.wait(_PAUSE_SECS)
            except DuplicateUniqueId as error:
                # The task itself has it already: an earlier sending did it, whose answer was lost.
                return result if error.task_id == task_id else _refusal(error)
            except RefonteError as error:
                return _refusal(error)
            else:
                return result
        raise AssertionError("the last sending ends it")

    def _is_made(self, task_id: str, change: Change) -> bool | None:
        """Look whether a change was made; None where that does not show, or the task cannot be read."""
        if not change.is_visible:
            return None
        try:
            return self._difference(task_id, change, is_last_look=True) is None
        except RefonteError:
            return None


def _unread(task_id: str, error: RefonteError) -> _Result:
    """Say why a task could not be read; whatever it was, nothing was changed."""
    if isinstance(error, Unauthorized | Forbidden):
        return _Result("unsent", halt=error)
    if isinstance(error, NotFound):
        message = f"there is no task {task_id} for this key (test and live keys share nothing)"
        return _Result("failed", "not_found", message)
    if isinstance(error, NoReplyError) and not error.was_sent:
        return _no_connection(error)
    code = "service_error" if isinstance(error, ServiceError) else "no_reply"
    if isinstance(error, ReplyError):
        code = "bad_reply"
    elif isinstance(error, ApiError) and not isinstance(error, ServiceError):
        code = _code(error)
    return _Result("failed", code, f"The task could not be read, nothing was changed. {error.message}")


def _refusal(error: RefonteError) -> _Result:
    if isinstance(error, Unauthorized | Forbidden):
        return _Result("unsent", halt=error)
    if isinstance(error, DuplicateUniqueId):
        message = f"the id {error.unique_id!r} belongs to task {error.task_id}; rf.clear_unique_ids frees it"
        return _Result("failed", "unique_id_taken", message)
    return _Result("failed", _code(error), getattr(error, "error", "") or error.message)


def _unclear(error: RefonteError, change: Change, *, is_known: bool) -> _Result:
    """Say that a change was sent and nobody can tell, or that the service failed and the task shows no change."""
    code = "service_error" if isinstance(error, ServiceError) else "no_reply"
    if is_known and isinstance(error, ServiceError):
        return _Result("failed", code, error.message)
    again = "it does no harm" if change.is_visible else "what was done is then done twice"
    message = f"It may or may not have been done; run the same call again ({again}). {error.message}"
    return _Result("unknown", code, message)


def _no_connection(error: NoReplyError) -> _Result:
    return _Result("unsent", "no_connection", error.message, halt=error)


def _code(error: RefonteError) -> str:
    status = error.status_code if isinstance(error, ApiError) else 0
    return _CODES.get(status, f"http_{status}")


def _intent(task_id: str, change: Change) -> Entry:
    return Entry(task_id, "sending", 0, _hash(change.call(task_id)), time.time(), task_id=task_id)


def _hash(call: Call) -> bytes:
    """Tell whether another run orders the same."""
    return hashlib.sha256(msgspec.json.encode([call.method, call.target, (call.body or b"").decode()])).digest()[:16]


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values say the same: 5 is 5.0, but true is not 1.

    >>> is_same({"n": [5]}, {"n": [5.0]}), is_same(True, 1)
    (True, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _receipt(
    rows: pd.DataFrame, orders: Sequence[Order], results: Mapping[str, _Result], names: Sequence[str]
) -> pd.DataFrame:
    """Put what became of each row behind it."""
    unsent = _Result("unsent")
    lines = [
        _Result("failed", order.error.code, order.error.message) if order.error else results.get(order.task_id, unsent)
        for order in orders
    ]
    cells = {name: [_cell(getattr(line, name)) for line in lines] for name in names}
    return beside(rows, {name: pd.Series(values, dtype="object") for name, values in cells.items()})


def _cell(value: Any) -> Any:
    """Show texts as they are, and everything else as JSON."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
