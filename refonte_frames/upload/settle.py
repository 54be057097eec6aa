"""How one task comes to its end: sent, sent again, looked up, judged. Runs in worker threads; writes nothing down."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from refonte_frames.api import IDEMPOTENCY_HEADER
from refonte_frames.client import error_of, outcome_of
from refonte_frames.errors import (
    ApiError,
    DuplicateUniqueId,
    Forbidden,
    IdempotencyMismatch,
    NoReplyError,
    NotEnabled,
    NotFound,
    RefonteError,
    ReplyError,
    Unauthorized,
)
from refonte_frames.transport import retries
from refonte_frames.transport.calls import Call, Reply, path_of
from refonte_frames.transport.pacing import Stopped
from refonte_frames.transport.replies import decode_json
from refonte_frames.upload.holders import judge

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.upload.plan import Action, Task

__all__ = ["Job", "Settled", "Settler"]

#: Sendings under one key before the task is looked up; gateway errors are not saved, service errors may be.
_TRIES_A_KEY: Final = 3
_MAX_GENERATIONS: Final = 3
#: Our clock and the service's may differ by this much.
_CLOCK_SKEW_SECS: Final = 300.0
_CODES: Final = {400: "bad_request", 404: "not_found", 405: "bad_request", 409: "conflict", 413: "too_large"}


@dataclass(frozen=True, slots=True)
class Job:
    """One task to settle under one key.

    Attributes
    ----------
    body : bytes
        The request body, with its unique_id.
    key : str
        The Idempotency-Key.
    generation : int
        Counts the keys of this task.
    maybe_sent : bool
        Whether an earlier sending may have been carried out.
    holder_id : str or None
        The task that the journal knows, to be looked at again.
    """

    task: Task
    action: Action
    body: bytes
    key: str
    generation: int
    maybe_sent: bool
    first_sent_at: float
    is_changed: bool = False
    holder_id: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a job.

    Attributes
    ----------
    outcome : str
        As in the receipt; `next` asks for another job with the next key.
    halt : RefonteError or None
        Why the whole run (or this type of task) must stop.
    """

    outcome: Literal["created", "existing", "failed", "unsent", "unknown", "next"]
    task_id: str | None = None
    task_status: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    tries: int = 0
    maybe_sent: bool = False
    is_changed: bool = False
    halt: RefonteError | None = None


class _TaskSeen(msgspec.Struct):
    """The fields of a created task that the journal keeps."""

    task_id: str
    status: str = "pending"


class Settler:
    """Settles jobs against one service, from many threads.

    Parameters
    ----------
    client : Client
        The way to the service.
    stop : threading.Event
        When set, nothing new is sent; what is under way is waited for.
    resubmit : sequence of str
        Statuses of a holder whose id is cleared, so that the row can be sent once more.
    """

    def __init__(self, client: Client, stop: threading.Event, resubmit: Sequence[str]) -> None:
        self._client = client
        self._stop = stop
        self._resubmit = frozenset(resubmit)

    def settle(self, job: Job) -> Settled:
        """Bring a job to its end; errors of the service come back as outcomes, never as exceptions."""
        if self._stop.is_set():
            return Settled("unsent", maybe_sent=job.maybe_sent)
        if job.action == "recheck":
            return self._reading(job, 0, lambda: self._recheck(job))
        if job.action == "settle":
            return self._look_up(job, 0, "")
        return self._send(job)

    def _send(self, job: Job) -> Settled:
        """Send under the job's key until there is an answer that counts."""
        call = Call("POST", path_of("task", job.task.type), body=job.body, headers={IDEMPOTENCY_HEADER: job.key})
        tries = throttles = 0
        maybe_sent = job.maybe_sent
        while True:
            try:
                answer = self._ask(call)
            except Stopped:
                return Settled("unsent", tries=tries, maybe_sent=maybe_sent)
            outcome = outcome_of(answer)
            throttles += outcome.status == 429
            tries += outcome.status != 429
            if isinstance(answer, Reply) and answer.status == 200:
                seen = decode_json(answer.body, where=f"POST {call.path}", type=_TaskSeen)
                return Settled("created", seen.task_id, seen.status, tries=tries, maybe_sent=maybe_sent)
            error = error_of(call, answer)
            final = self._final(job, error, tries, maybe_sent=maybe_sent)
            if final is not None:
                return final
            maybe_sent = maybe_sent or (outcome.was_sent and outcome.status != 429)
            verdict = retries.decide(
                outcome,
                may_be_repeated=True,
                tries=tries,
                throttles=throttles,
                jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
                max_tries=_TRIES_A_KEY,
                was_there=self._client.was_answered,
            )
            if isinstance(verdict, retries.GiveUp):
                return self._exhausted(job, error, tries, maybe_sent=maybe_sent)
            self._client.before_next_try(call, outcome, verdict, stop=self._stop)

    def _ask(self, call: Call) -> Reply | NoReplyError:
        """Send once; an answer that cannot be read is no answer: it may have been carried out."""
        try:
            answer = self._client.send_once(call, stop=self._stop)
            if isinstance(answer, Reply) and answer.status == 200:
                decode_json(answer.body, where=f"POST {call.path}", type=_TaskSeen)
        except ReplyError as error:
            return NoReplyError(error.message, was_sent=True)
        return answer

    def _final(self, job: Job, error: RefonteError, tries: int, *, maybe_sent: bool) -> Settled | None:
        """Decide about a refusal that asking again would not change; None for all others."""
        if isinstance(error, DuplicateUniqueId):
            asked, holder_id = replace(job, maybe_sent=maybe_sent), error.task_id
            return self._reading(asked, tries, lambda: self._held(asked, holder_id, tries))
        if isinstance(error, IdempotencyMismatch):
            if job.task.unique_id is not None:
                return self._look_up(replace(job, maybe_sent=maybe_sent), tries, error.error)
            return _failed("key_mismatch", error.error, tries, maybe_sent=maybe_sent)
        if isinstance(error, Unauthorized | Forbidden | NotEnabled):
            code = "not_enabled" if isinstance(error, NotEnabled) else "unauthorized"
            return Settled("unsent", None, None, code, error.error, tries, maybe_sent, halt=error)
        if isinstance(error, ApiError) and error.status_code < 500 and error.status_code not in (408, 429):
            code = _CODES.get(error.status_code, f"http_{error.status_code}")
            return _failed(code, error.error, tries, maybe_sent=maybe_sent)
        return None

    def _exhausted(self, job: Job, error: RefonteError, tries: int, *, maybe_sent: bool) -> Settled:
        if not maybe_sent:
            return Settled("unsent", tries=tries, error_code="no_connection", error_message=error.message, halt=error)
        if job.task.unique_id is None:
            return Settled(
                "unknown",
                error_code="no_reply",
                error_message="The service may or may not have this row; without a unique_id nobody can look. "
                f"Run the same call again within a day to find out. Last: {error.message}",
                tries=tries,
                maybe_sent=True,
            )
        return self._look_up(replace(job, maybe_sent=True), tries, error.message)

    def _reading(self, job: Job, tries: int, step: Callable[[], Settled]) -> Settled:
        """Take a step that asks the service; if it does not tell, the task is safe, and the next call settles it."""
        try:
            return step()
        except (Unauthorized, Forbidden) as error:
            return Settled("unsent", tries=tries, maybe_sent=job.maybe_sent, halt=error)
        except (ApiError, NoReplyError, ReplyError) as error:
            message = (
                f"The row could not be looked up; run the same call again, it will not be doubled. {error.message}"
            )
            return _failed("no_reply", message, tries, maybe_sent=job.maybe_sent)

    def _look_up(self, job: Job, tries: int, last_error: str) -> Settled:
        """Ask who holds the id; when nobody does, the task was not made, and the next key may be used."""
        return self._reading(job, tries, lambda: self._looked_up(job, tries, last_error))

    def _looked_up(self, job: Job, tries: int, last_error: str) -> Settled:
        unique_id = job.task.unique_id or ""
        where = f"GET /tasks?unique_id={unique_id}"
        reply = self._client.send(Call.get("tasks", query=[("unique_id", unique_id)]))
        page = decode_json(reply.body, where=where)
        docs = page.get("docs") if isinstance(page, dict) else None
        if not isinstance(docs, list):
            raise ReplyError(f"{where} was answered without a list of docs.", path="docs")
        # A service that does not know the filter would answer with all tasks.
        holder = next((doc for doc in docs if isinstance(doc, dict) and doc.get("unique_id") == unique_id), None)
        if holder is not None:
            return self._judged(job, holder, tries)
        if job.generation + 1 < _MAX_GENERATIONS or job.action == "settle":
            return Settled("next", tries=tries, maybe_sent=job.maybe_sent)
        return _failed("service_error", last_error, tries, maybe_sent=job.maybe_sent)

    def _held(self, job: Job, holder_id: str, tries: int) -> Settled:
        """Read the task that a 409 names."""
        try:
            reply = self._client.send(Call.get("task", holder_id))
        except NotFound:
            message = f"the id is taken by task {holder_id}, which this key cannot see"
            return _failed("unique_id_taken", message, tries, maybe_sent=job.maybe_sent)
        holder = decode_json(reply.body, where=f"GET /task/{holder_id}", type=dict[str, Any])
        return self._judged(job, holder, tries)

    def _judged(self, job: Job, holder: Mapping[str, Any], tries: int) -> Settled:
        task, holder_id, status = job.task, str(holder.get("task_id")), str(holder.get("status"))
        body = decode_json(job.body, where="our own body", type=dict[str, Any])
        judgement = judge(holder, body, task_type=task.type, unique_id=task.unique_id or "")
        if judgement.kind == "other" and not (job.is_changed and _is_later(holder, job.first_sent_at)):
            message = (
                f"the id {task.unique_id!r} belongs to another task ({holder_id}), which differs in "
                f"{judgement.difference}; give the row another id, or clear that task's"
            )
            return _failed("unique_id_taken", message, tries, maybe_sent=job.maybe_sent)
        if status in ("canceled", "error"):
            return self._ended(job, holder_id, status, tries)
        outcome: Literal["created", "existing"] = "created" if job.maybe_sent else "existing"
        is_changed = judgement.kind == "other"
        return Settled(outcome, holder_id, status, tries=tries, maybe_sent=job.maybe_sent, is_changed=is_changed)

    def _ended(self, job: Job, holder_id: str, status: str, tries: int) -> Settled:
        if status in self._resubmit:
            self._client.send(Call("DELETE", path_of("task", holder_id, "unique_id")))
            return Settled("next", tries=tries)
        message = (
            f"its task {holder_id} ended as {status!r} and still holds the id; "
            f"resubmit=({status!r},) clears it and sends the row once more"
        )
        return _failed(f"holder_{status}", message, tries, maybe_sent=job.maybe_sent)

    def _recheck(self, job: Job) -> Settled:
        """Look at a task the journal knows; make it anew if it ended as `resubmit` says."""
        holder_id = job.holder_id or ""
        reply = self._client.send(Call.get("task", holder_id))
        holder = decode_json(reply.body, where=f"GET /task/{holder_id}", type=dict[str, Any])
        status = str(holder.get("status"))
        if status in self._resubmit:
            return self._ended(job, holder_id, status, 0)
        return Settled("created", holder_id, status, is_changed=job.is_changed)


def _failed(code: str, message: str, tries: int, *, maybe_sent: bool) -> Settled:
    return Settled("failed", None, None, code, message, tries, maybe_sent)


def _is_later(holder: Mapping[str, Any], unix_secs: float) -> bool:
    """Whether a task was made after our intent, and so is most likely our own earlier sending."""
    try:
        created = dt.datetime.fromisoformat(str(holder.get("created_at")))
    except ValueError:
        return False
    return created.tzinfo is not None and created.timestamp() > unix_secs - _CLOCK_SKEW_SECS
