"""How one task comes to its end: sent, sent again, looked up, judged. Runs in worker threads; writes nothing down."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from refonte_frames.api import IDEMPOTENCY_HEADER
from refonte_frames.client import Sendings, error_of, outcome_of
from refonte_frames.errors import (
    ApiError,
    Conflict,
    DuplicateUniqueId,
    Forbidden,
    IdempotencyMismatch,
    NoReplyError,
    NotEnabled,
    NotFound,
    RefonteError,
    ReplyError,
    TooManyRequests,
    Unauthorized,
)
from refonte_frames.transport import retries
from refonte_frames.transport.calls import Call, Reply, path_of
from refonte_frames.transport.pacing import Stopped
from refonte_frames.transport.replies import decode_json
from refonte_frames.upload.holders import differs_in, say_ended, say_taken
from refonte_frames.upload.plan import is_key_trusted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.upload.plan import Action, Task

__all__ = ["Job", "Settled", "Settler"]

#: Sendings under one key before the task is looked up; gateway errors are not saved, service errors may be.
_TRIES_A_KEY: Final = 3
_MAX_GENERATIONS: Final = 3
#: A refusal for rate may have been saved under the key, so the next key is tried after a few of them.
_THROTTLES_A_KEY: Final = 4
_MAX_THROTTLED_KEYS: Final = 8
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
    known : Settled or None
        What the journal knows of the task, when it is to be looked at again.
    """

    task: Task
    action: Action
    body: bytes
    key: str
    generation: int
    maybe_sent: bool
    first_sent_at: float
    is_changed: bool = False
    known: Settled | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of a job.

    Attributes
    ----------
    outcome : str
        As in the receipt; `next` asks for another job with the next key.
    error : RefonteError or None
        What the service answered to a row that failed.
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
    error: RefonteError | None = None
    halt: RefonteError | None = None


class _Seen(msgspec.Struct):
    """The fields of a task that the journal keeps; the rest of it is judged, not kept."""

    task_id: Annotated[str, msgspec.Meta(min_length=1)]
    status: str = "pending"
    unique_id: str | None = None


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
            return _left(job)
        if job.action == "recheck":
            return self._recheck(job)
        if job.action == "settle":
            return self._look_up(job, error=None)
        return self._send(job)

    def _send(self, job: Job) -> Settled:
        """Send under the job's key until there is an answer that counts."""
        call = Call("POST", path_of("task", job.task.type), body=job.body, headers={IDEMPOTENCY_HEADER: job.key})
        sendings = Sendings(self._client, _TRIES_A_KEY)
        while True:
            if job.maybe_sent and not is_key_trusted(job.first_sent_at, time.time()):
                expired = NoReplyError("the key of an earlier sending has expired.", was_sent=True)
                return self._unclear(job, expired, sendings.tries)
            try:
                answer, seen = self._ask(call, job.task.unique_id)
            except Stopped:
                return _left(job, sendings.tries)
            if seen is not None:
                return Settled(
                    "created", seen.task_id, seen.status, tries=sendings.tries + 1, maybe_sent=job.maybe_sent
                )
            outcome, error = outcome_of(answer), error_of(call, answer)
            sendings.count(outcome)
            final = self._final(job, error, sendings.tries)
            if final is not None:
                return final
            job = replace(job, maybe_sent=job.maybe_sent or (outcome.was_sent and outcome.status != 429))
            verdict = sendings.decide(outcome)
            if isinstance(verdict, retries.GiveUp):
                return self._unclear(job, error, sendings.tries)
            self._client.before_next_try(call, outcome, verdict, stop=self._stop)
            if sendings.throttles >= _THROTTLES_A_KEY and not job.maybe_sent:
                return self._throttled(job, error, sendings.tries)

    def _ask(self, call: Call, unique_id: str | None) -> tuple[Reply | NoReplyError, _Seen | None]:
        """Send once; an answer that cannot be read, or is about another row, is no answer: it may have been done."""
        try:
            answer = self._client.send_once(call, stop=self._stop)
            if isinstance(answer, NoReplyError) or answer.status != 200:
                return answer, None
            seen = decode_json(answer.body, where=f"POST {call.path}", type=_Seen)
        except ReplyError as error:
            return NoReplyError(error.message, was_sent=True), None
        if seen.unique_id not in (None, unique_id):
            message = f"POST {call.path} was answered with the task of another row ({seen.unique_id!r})."
            return NoReplyError(message, was_sent=True), None
        return answer, seen

    def _final(self, job: Job, error: ApiError | NoReplyError, tries: int) -> Settled | None:
        """Decide about a refusal that asking again would not change; None for all others."""
        if isinstance(error, DuplicateUniqueId):
            return self._reading(job, tries, lambda: self._held(job, error.task_id, tries))
        if isinstance(error, IdempotencyMismatch):
            return self._unclear(replace(job, maybe_sent=True), error, tries)
        if isinstance(error, Unauthorized | Forbidden | NotEnabled):
            code = "not_enabled" if isinstance(error, NotEnabled) else "unauthorized"
            return replace(_left(job, tries), error_code=code, error_message=error.error, halt=error)
        if isinstance(error, ApiError) and error.status_code < 500 and error.status_code not in (408, 429):
            # An earlier sending under this key may have been carried out before this one was refused.
            return self._unclear(job, error, tries) if job.maybe_sent else _refused(error, tries)
        return None

    def _unclear(self, job: Job, error: ApiError | NoReplyError, tries: int) -> Settled:
        """Find out about a task that may have been made, or say that nobody can."""
        if not job.maybe_sent:
            code = "too_many_requests" if isinstance(error, TooManyRequests) else "no_connection"
            return replace(_left(job, tries), error_code=code, error_message=error.message, halt=error)
        if job.task.unique_id is None:
            message = (
                "The service may or may not have this row; without a unique_id nobody can look. Run the same call "
                f"again within a day to find out. Last: {error.message}"
            )
            return Settled("unknown", None, None, "no_reply", message, tries, maybe_sent=True, error=error)
        return self._look_up(job, error=error, tries=tries)

    def _throttled(self, job: Job, error: ApiError | NoReplyError, tries: int) -> Settled:
        """Take the next key after many refusals for rate, since the service may have saved one; at last give up."""
        if job.generation < _MAX_THROTTLED_KEYS:
            return Settled("next", tries=tries)
        return self._unclear(job, error, tries)

    def _reading(self, job: Job, tries: int, step: Callable[[], Settled]) -> Settled:
        """Take a step that asks the service; if it does not tell, the task is safe, and the next call settles it."""
        try:
            return step()
        except Stopped:
            return _left(job, tries)
        except (Unauthorized, Forbidden) as error:
            return replace(_left(job, tries), halt=error)
        except (ApiError, NoReplyError, ReplyError) as error:
            message = f"The row could not be looked up; run the same call again, it is not doubled. {error.message}"
            return Settled("failed", None, None, "no_reply", message, tries, job.maybe_sent, error=error)

    def _look_up(self, job: Job, *, error: ApiError | NoReplyError | None, tries: int = 0) -> Settled:
        """Ask who holds the id; when nobody does, the task was not made, and the next key may be used."""
        return self._reading(job, tries, lambda: self._looked_up(job, error, tries))

    def _looked_up(self, job: Job, error: ApiError | NoReplyError | None, tries: int) -> Settled:
        unique_id = job.task.unique_id or ""
        where = f"GET /tasks?unique_id={unique_id}"
        reply = self._client.send(Call.get("tasks", query=[("unique_id", unique_id)]), stop=self._stop)
        page = decode_json(reply.body, where=where)
        docs = page.get("docs") if isinstance(page, dict) else None
        if not isinstance(docs, list):
            raise ReplyError(f"{where} was answered without a list of docs.", path="docs")
        # A service that does not know the filter would answer with all tasks.
        holder = next((doc for doc in docs if isinstance(doc, dict) and doc.get("unique_id") == unique_id), None)
        if holder is not None:
            return self._judged(job, _checked_holder(holder, where), tries)
        if isinstance(error, ApiError) and error.status_code < 500 and not isinstance(error, Conflict):
            return _refused(error, tries, maybe_sent=job.maybe_sent)
        if job.generation + 1 < _MAX_GENERATIONS or error is None:
            return Settled("next", tries=tries, maybe_sent=job.maybe_sent)
        code = "key_mismatch" if isinstance(error, IdempotencyMismatch) else "service_error"
        return Settled("failed", None, None, code, error.message, tries, maybe_sent=job.maybe_sent, error=error)

    def _held(self, job: Job, holder_id: str, tries: int) -> Settled:
        """Read the task that a 409 names."""
        where = f"GET /task/{holder_id}"
        try:
            reply = self._client.send(Call.get("task", holder_id), stop=self._stop)
        except NotFound as error:
            message = (
                f"the id {job.task.unique_id!r} is taken by task {holder_id}, which this key cannot see; "
                "give the row another id"
            )
            return Settled("failed", None, None, "unique_id_taken", message, tries, job.maybe_sent, error=error)
        holder = _checked_holder(decode_json(reply.body, where=where, type=dict[str, Any]), where)
        if holder["task_id"] != holder_id:
            raise ReplyError(f"{where} was answered with task {holder['task_id']}.", path="task_id")
        return self._judged(job, holder, tries)

    def _judged(self, job: Job, holder: Mapping[str, Any], tries: int) -> Settled:
        task, holder_id, status = job.task, str(holder["task_id"]), str(holder["status"])
        body = decode_json(job.body, where="our own body", type=dict[str, Any])
        difference = differs_in(holder, body, task_type=task.type, unique_id=task.unique_id or "")
        if difference and not (job.is_changed and _is_later(holder, job.first_sent_at)):
            message = say_taken(task.unique_id, holder_id, difference)
            return Settled("failed", None, None, "unique_id_taken", message, tries, job.maybe_sent)
        if status in ("canceled", "error"):
            return self._ended(job, holder_id, status, tries)
        outcome: Literal["created", "existing"] = "created" if job.maybe_sent else "existing"
        is_changed = bool(difference) or (job.is_changed and job.maybe_sent)
        return Settled(outcome, holder_id, status, tries=tries, maybe_sent=job.maybe_sent, is_changed=is_changed)

    def _ended(self, job: Job, holder_id: str, status: str, tries: int) -> Settled:
        if status in self._resubmit:
            self._client.send(Call("DELETE", path_of("task", holder_id, "unique_id")), stop=self._stop)
            return Settled("next", tries=tries)
        message = say_ended(holder_id, status)
        return Settled("failed", None, None, f"holder_{status}", message, tries, job.maybe_sent)

    def _recheck(self, job: Job) -> Settled:
        """Look at a task the journal knows; make it anew if it ended as `resubmit` says."""
        known = job.known or Settled("unsent")
        where = f"GET /task/{known.task_id}"
        try:
            reply = self._client.send(Call.get("task", known.task_id or ""), stop=self._stop)
            holder = _checked_holder(decode_json(reply.body, where=where, type=dict[str, Any]), where)
            status = str(holder["status"])
            if status in self._resubmit:
                return self._ended(job, str(known.task_id), status, 0)
            return replace(known, task_status=status)
        except Stopped:
            return known
        except (Unauthorized, Forbidden) as error:
            return replace(known, halt=error)
        except (ApiError, NoReplyError, ReplyError) as error:
            message = f"Whether its task is to be made anew could not be found out: {error.message}"
            return replace(known, error_code="not_rechecked", error_message=message)


def _left(job: Job, tries: int = 0) -> Settled:
    """Leave a job in the middle: nobody can say more of a row without an id that may have been sent."""
    if job.known is not None:
        return job.known
    if job.maybe_sent and job.task.unique_id is None:
        message = "The run stopped before an answer came; run the same call again within a day to find out."
        return Settled("unknown", None, None, "no_reply", message, tries, maybe_sent=True)
    return Settled("unsent", tries=tries, maybe_sent=job.maybe_sent)


def _refused(error: ApiError, tries: int, *, maybe_sent: bool = False) -> Settled:
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return Settled("failed", None, None, code, error.error, tries, maybe_sent, error=error)


def _checked_holder(holder: dict[str, Any], where: str) -> dict[str, Any]:
    """Refuse a task without the two fields that everything hangs on."""
    for name in ("task_id", "status"):
        if not isinstance(holder.get(name), str) or not holder[name]:
            raise ReplyError(f"{where} was answered with a task without {name}.", path=name)
    return holder


def _is_later(holder: Mapping[str, Any], unix_secs: float) -> bool:
    """Whether a task was made after our intent, and so is most likely our own earlier sending."""
    try:
        created = dt.datetime.fromisoformat(str(holder.get("created_at")))
    except ValueError:
        return False
    return created.tzinfo is not None and created.timestamp() > unix_secs - _CLOCK_SKEW_SECS
