"""`wait`: looks again and again until tasks have ended; it reads statuses and changes nothing."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import pandas as pd
import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import InputError, NoReplyError, NotFound, ServiceError, WaitTimeout
from refonte_frames.export.filters import Filters
from refonte_frames.export.row_tasks import RowTasks, beside
from refonte_frames.export.sweep import Source
from refonte_frames.frames import as_pandas
from refonte_frames.progress import bar
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["wait"]

_log = logging.getLogger("refonte_frames")

#: Looks in a row that the service may leave unanswered before the wait ends with its error.
_MAX_TROUBLES: Final = 10
#: In the order of the table of batches.
_STATUSES: Final = ("pending", "completed", "error", "canceled")
_TEXT: Final = pd.ArrowDtype(pa.string())
_INT: Final = pd.ArrowDtype(pa.int64())


def wait(
    frame_or_batch: Any,
    *,
    poll_secs: float = 30,
    timeout_secs: float | None = None,
    task_id: Hashable = "task_id",
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Wait until all tasks of a frame or a batch have ended: completed, canceled or error.

    Parameters
    ----------
    frame_or_batch : str, or pandas.DataFrame, polars.DataFrame, pyarrow.Table
        The name of a batch; or a receipt, or any frame with a column of task ids or, without one, a column
        ``unique_id``. It is not changed.
    poll_secs : float
        Seconds between two looks.
    timeout_secs : float, optional
        Give up after so many seconds; 0 looks once. Default: wait as long as it takes.
    task_id : column
        Holds the tasks' ids, in a frame.
    progress : bool
        False shows no bar.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        For a frame: its rows, in their order, with their index and columns, followed by ``status`` (``status_task``
        if there is a column of this name); null where a row has no task, or none was found. For a batch: one row with
        ``batch``, ``status``, ``tasks_pending``, ``tasks_completed``, ``tasks_error`` and ``tasks_canceled``.

    Raises
    ------
    InputError
        The batch, or one that tasks of the frame wait in, is in staging: nobody works on it before it is finalized.
    NotFound
        No batch has this name in the world of this key.
    ColumnError
        The frame has neither task ids nor unique_ids; nothing was sent.
    WaitTimeout
        Tasks had not ended in time; ``.status`` holds what this function would have returned.

    Notes
    -----
    The tasks decide, never the status of the batch. A look at a batch is one request; at a frame, one per 40 tasks
    that have not ended where a unique_id stands beside the task_id, as in receipts, else up to one per task, and one
    per batch they are in at the first look. A service that does not answer for a while is waited for: ten looks in a
    row without an answer end the wait with its error. Contract 2.2, 2.3.

    Examples
    --------
    >>> _ = rf.projects.create("reviews", type="categorization")
    >>> _ = rf.batches.create("reviews_07", project="reviews")
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", batch="reviews_07",
    ...     columns={"attachment": "text"}, params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> rf.wait("reviews_07", timeout_secs=0)
    Traceback (most recent call last):
    refonte_frames.errors.WaitTimeout: 1 of 1 tasks had not ended after 0 s; ...
    >>> _ = sandbox.work(days=3)
    >>> rf.wait("reviews_07", poll_secs=1)[["batch", "tasks_pending", "tasks_completed"]]
            batch  tasks_pending  tasks_completed
    0  reviews_07              0                1
    >>> rf.wait(made)[["text", "status"]]
      text     status
    0    a  completed
    """
    if not poll_secs > 0:
        raise InputError(f"poll_secs is above 0, not {poll_secs!r}.")
    if timeout_secs is not None and not timeout_secs >= 0:
        raise InputError(f"timeout_secs is 0 or more, or None to wait as long as it takes, not {timeout_secs!r}.")
    watched: _Watched
    if isinstance(frame_or_batch, str):
        if not frame_or_batch.strip():
            raise InputError("The name of a batch is text that is not blank.")
        watched = _Batch(frame_or_batch, resolve_client(client))
    else:
        rows = RowTasks.of(as_pandas(frame_or_batch), task_id)
        watched = _Rows(rows, Source(resolve_client(client), Filters(), ("tasks",)))
    return _until_ended(watched, poll_secs=poll_secs, timeout_secs=timeout_secs, progress=progress)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a look showed: how many tasks there are, and how many of them have ended."""

    total: int
    ended: int


class _Watched(Protocol):
    """What is waited for."""

    def look(self) -> _Seen:
        """Ask the service."""

    def status(self) -> pd.DataFrame:
        """Make the frame of what the last look showed."""


def _until_ended(watched: _Watched, *, poll_secs: float, timeout_secs: float | None, progress: bool) -> pd.DataFrame:
    """Look until all has ended or the time is over; the first look has to be answered."""
    began = time.monotonic()
    seen = watched.look()
    shown_as_ended = troubles = 0
    with bar(seen.total, "Waiting", "tasks", progress=progress) as shown:
        while True:
            shown.update(seen.ended - shown_as_ended)
            shown_as_ended = seen.ended
            if seen.ended >= seen.total:
                return watched.status()
            left = None if timeout_secs is None else began + timeout_secs - time.monotonic()
            if left is not None and left <= 0:
                raise WaitTimeout(
                    f"{seen.total - seen.ended:,} of {seen.total:,} tasks had not ended after {timeout_secs:g} s; "
                    "the error's .status holds the statuses. Wait again with a longer timeout_secs.",
                    status=watched.status(),
                )
            time.sleep(poll_secs if left is None else min(poll_secs, left))
            try:
                seen, troubles = watched.look(), 0
            except (NoReplyError, ServiceError) as error:
                troubles += 1
                _log.warning("wait: %s", error)
                if troubles >= _MAX_TROUBLES:
                    raise


@dataclass(slots=True)
class _Batch:
    """A batch, watched through the counts of its tasks."""

    name: str
    client: Client
    _answer: dict[str, Any] = field(default_factory=dict)

    def look(self) -> _Seen:
        self._answer = _status_of(self.client, self.name)
        _refuse_staging(self.name, self._answer)
        counts = _counts(self._answer)
        return _Seen(sum(counts.values()), sum(counts.values()) - counts["tasks_pending"])

    def status(self) -> pd.DataFrame:
        texts = {"batch": self.name, "status": self._answer.get("status")}
        columns = {name: pd.Series([text], dtype=_TEXT) for name, text in texts.items()}
        return pd.DataFrame(
            columns | {name: pd.Series([count], dtype=_INT) for name, count in _counts(self._answer).items()}
        )


@dataclass(slots=True)
class _Rows:
    """The tasks of a frame; only those that have not ended are asked for again."""

    rows: RowTasks
    source: Source
    _statuses: dict[str, str] = field(default_factory=dict)
    _known_batches: set[str] = field(default_factory=set)
    _is_begun: bool = False

    def look(self) -> _Seen:
        pending = [key for key, status in self._statuses.items() if status == "pending"]
        asked = pending if self._is_begun else self.rows.distinct
        docs = self.rows.look_up(self.source, asked, lambda _: None)
        self._refuse_staged({str(doc.batch) for doc in docs.values() if doc.status == "pending" and doc.batch})
        # A task that is there no more does not end, and is not waited for.
        self._statuses = {key: status for key, status in self._statuses.items() if key not in asked} | {
            key: docs[key].status or "pending" for key in asked if key in docs
        }
        self._is_begun = True
        ended = sum(status != "pending" for status in self._statuses.values())
        return _Seen(len(self._statuses), ended)

    def _refuse_staged(self, batches: set[str]) -> None:
        """Look at each batch once: none goes back into staging."""
        for name in sorted(batches - self._known_batches):
            _refuse_staging(name, _status_of(self.source.client, name))
            self._known_batches.add(name)

    def status(self) -> pd.DataFrame:
        cells = [None if key is None else self._statuses.get(key) for key in self.rows.keys]
        return beside(self.rows.rows, pd.DataFrame({"status": pd.Series(cells, dtype=_TEXT)}))


def _status_of(client: Client, name: str) -> dict[str, Any]:
    """Ask for the counts of a batch.

    Raises
    ------
    NotFound
        No batch has this name.
    """
    call = Call.get("batches", name, "status")
    try:
        reply = client.send(call)
    except NotFound as error:
        raise NotFound(
            f"There is no batch {name!r} for this key (test and live keys share nothing): check the name.",
            status_code=error.status_code,
            error=error.error,
            method=error.method,
            path=error.path,
        ) from error
    return decode_json(reply.body, where=f"GET {call.path}", type=dict[str, Any])


def _refuse_staging(name: str, answer: dict[str, Any]) -> None:
    if answer.get("status") == "staging":
        raise InputError(
            f"The batch {name!r} is in staging, where nobody works on its tasks: finalize first, "
            f"rf.batches.finalize({name!r}), then wait."
        )


def _counts(answer: dict[str, Any]) -> dict[str, int]:
    """Read counts in either documented spelling; the service leaves zeros out (contract 2.2)."""
    return {f"tasks_{name}": int(answer.get(f"tasks_{name}", answer.get(name, 0)) or 0) for name in _STATUSES}
