"""The simulated people: their skill and speed, who works on what, and what reviewers find; no SQL, no HTTP.

Every draw depends on the seed, the task's key and the labeler, never on the order of events.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox.draws import Draws, joined
from refonte_frames.sandbox.lifecycle import content_digest
from refonte_frames.sandbox.responses import answer_of, score, truth_of, with_uuids
from refonte_frames.sandbox.task_types import understood

if TYPE_CHECKING:
    from refonte_frames.sandbox.lifecycle import Task

__all__ = [
    "Attempt",
    "Labeler",
    "PlannedAudit",
    "Truth",
    "Work",
    "attempts_at",
    "attempts_done",
    "audits_of",
    "chance_of",
    "consensus",
    "delay_ms",
    "persona",
    "roster",
    "score",
    "truth_about",
    "try_task",
]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Labeler:
    """One simulated person.

    Attributes
    ----------
    skill : float
        In logits: the chance of being right on a task of middling difficulty is ``1 / (1 + exp(-skill))``.
    drift : float
        Change of the skill per working day: learning, or tiring.
    pace : float
        Multiplies the time a task takes.
    is_spammer : bool
        Answers without looking.
    """

    email: str
    skill: float
    drift: float
    pace: float
    is_spammer: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What a task's right response is, and how hard it is to find (logits, 0 is middling)."""

    response: dict[str, Any]
    difficulty: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One labeler's work on one task; the duration in milliseconds."""

    number: int
    labeler: str
    duration_ms: int
    response: dict[str, Any]
    score: float


@cache
def roster(seed: int, size: int = 12) -> tuple[Labeler, ...]:
    """Give the people who work on live tasks; about one in twelve is a spammer."""
    return tuple(persona(seed, f"labeler{number:02d}@example.com") for number in range(1, size + 1))


@cache
def persona(seed: int, email: str) -> Labeler:
    """Give the person behind an address: always the same one for a seed."""
    draws = Draws.of(seed, "labeler", email)
    is_spammer = draws.uniform("is_spammer") < 1 / 12
    return Labeler(
        email=email,
        skill=_logit(_SPAMMER_CORRECT) if is_spammer else 2.2 + 0.9 * draws.normal("skill"),
        drift=0.0 if is_spammer else 0.05 * draws.normal("drift"),
        pace=math.exp(0.35 * draws.normal("pace")),
        is_spammer=is_spammer,
    )


#: A spammer is right this often, however easy the task.
_SPAMMER_CORRECT = 0.2


def _logit(chance: float) -> float:
    return math.log(chance / (1 - chance))


def truth_about(seed: int, task: Task) -> Truth:
    """Give the truth about a task's content."""
    params = understood(task.type, task.doc["params"])
    draws = Draws.of(seed, "content", content_digest(task.type, task.doc["params"]))
    truth = truth_of(task.type, params, draws)
    if "annotations" in truth:
        own = _draws_of(seed, task.key).sub("truth")
        truth = with_uuids(truth, own, keeps_given=bool(params.get("hypothesis")))
    return Truth(truth, 0.8 * draws.normal("difficulty"))


def attempts_at(seed: int, task: Task, truth: Truth, count: int, duty_ms: int) -> list[Attempt]:
    """Let as many different labelers try a task.

    Parameters
    ----------
    duty_ms : int
        The labelers' working time at which the task is handed in: their skill drifts with it.
    """
    draws, people = _draws_of(seed, task.key), roster(seed)
    people = tuple(people[n] for n in draws.order(_who(seed))[:count])
    return [_attempt(draws, task, truth, n, labeler, duty_ms) for n, labeler in enumerate(people, start=1)]


@cache
def _who(seed: int) -> tuple[bytes, ...]:
    return tuple(joined("who", labeler.email) for labeler in roster(seed))


@lru_cache(maxsize=16)
def _draws_of(seed: int, key: str) -> Draws:
    """Give the draws of a task: the same few are asked for again and again while it is worked on."""
    return Draws.of(seed, "task", key)


def _attempt(draws: Draws, task: Task, truth: Truth, number: int, labeler: Labeler, duty_ms: int) -> Attempt:
    own = draws.sub("attempt", labeler.email)
    work = try_task(own, labeler, task.type, understood(task.type, task.doc["params"]), truth, duty_ms)
    mark = score(task.type, truth.response, work.response)
    return Attempt(number, labeler.email, work.duration_ms, work.response, mark)


@dataclass(frozen=True, slots=True)
class Work:
    """What a labeler hands in, and how long it took."""

    response: dict[str, Any]
    duration_ms: int


def try_task(
    draws: Draws, labeler: Labeler, task_type: str, params: dict[str, Any], truth: Truth, duty_ms: int
) -> Work:
    """Let one labeler try one task.

    Parameters
    ----------
    duty_ms : int
        The labelers' working time: their skill drifts with it.
    """
    correct = chance_of(labeler, truth, duty_ms)
    response = answer_of(task_type, params, truth.response, draws, correct)
    took = labeler.pace * math.exp(4.0 + 0.25 * truth.difficulty + 0.4 * draws.normal("duration"))
    return Work(response, int(1000 * (0.2 * took if labeler.is_spammer else took)))


def chance_of(labeler: Labeler, truth: Truth, duty_ms: int) -> float:
    """Give the chance that a labeler gets an element of a task right: a category, a box, a word."""
    skill = labeler.skill + labeler.drift * duty_ms / _DAY_MS - truth.difficulty
    return _SPAMMER_CORRECT if labeler.is_spammer else 1 / (1 + math.exp(-skill))


def delay_ms(seed: int, task: Task) -> int:
    """Draw how long a task waits and takes, in working time: hours in the middle, never more than 60."""
    draws = _draws_of(seed, task.key)
    priority = task.doc.get("priority") or 20
    hours = 5.0 * math.exp(0.8 * draws.normal("delay")) * (1 - 0.03 * (priority - 20))
    return int(min(max(hours, 0.05), 60.0) * 3_600_000)


def attempts_done(seed: int, task: Task, count: int, duty_ms: int) -> int:
    """Count the attempts made so far at a task in the queue: they are spread evenly over its time, the last ends it."""
    if task.due_ms is None:
        return 0
    total = delay_ms(seed, task)
    return min(count, max(0, int(count * (duty_ms - (task.due_ms - total)) / total)))


def consensus(task_type: str, attempts: list[Attempt]) -> Attempt:
    """Choose the attempt whose response goes back: the most frequent answer, else the first labeler's."""
    if task_type != "categorization" or len(attempts) == 1:
        return attempts[0]
    votes = [sum(other.response == attempt.response for other in attempts) for attempt in attempts]
    return attempts[votes.index(max(votes))]


@dataclass(frozen=True, slots=True)
class PlannedAudit:
    """An audit to come.

    Attributes
    ----------
    delay_ms : int
        After the completion.
    served : dict
        As the API shows it, but for ``audited_at``.
    fix : dict or None
        The response as the auditor mends it.
    """

    delay_ms: int
    served: dict[str, Any]
    fix: dict[str, Any] | None


_REVIEWERS = {
    "refonte": ("reviewer1@refonte.ai", "reviewer2@refonte.ai", "reviewer3@refonte.ai"),
    "customer": ("admin@example.com", "lead@example.com"),
}
#: Share of completed tasks that are audited, and the most hours that this takes.
_AUDITED = {"refonte": (0.35, 20.0), "customer": (0.2, 44.0)}


def audits_of(seed: int, task: Task, truth: Truth, chosen: Attempt) -> list[PlannedAudit]:
    """Plan the audits of a completed task: the vendor's reviewers first, the customer's later."""
    draws = _draws_of(seed, task.key).sub("audits")
    plans = [_audit(draws.sub(source), source, truth, chosen) for source in _AUDITED]
    return [plan for plan in plans if plan]


def _audit(draws: Draws, source: str, truth: Truth, chosen: Attempt) -> PlannedAudit | None:
    share, hours = _AUDITED[source]
    if draws.uniform("is_audited") >= share:
        return None
    result = _verdict(draws, chosen.score)
    served = {
        "audited_by": draws.pick(_REVIEWERS[source], "who"),
        "audited_at": "",
        "audit_time_secs": draws.whole(8, 60) if result == "accepted" else draws.whole(30, 600),
        "audit_result": result,
        "audit_source": source,
    }
    earliest = 0.2 if source == "refonte" else 20.0
    delay = int(draws.between(earliest, max(hours, earliest), "delay") * 3_600_000)
    return PlannedAudit(delay, served, truth.response if result == "fixed" else None)


def _verdict(draws: Draws, quality: float) -> str:
    """Find errors nine times out of ten, and see one where there is none once in thirty."""
    has_error = quality < 0.999
    sees_error = draws.uniform("sees") < (0.9 if has_error else 1 / 30)
    if not sees_error:
        return "accepted"
    return "fixed" if has_error and draws.uniform("mends") < 0.6 else "rejected"
