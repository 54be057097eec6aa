"""Training and evaluation tasks (contract 2.3, 4.4): what is created, and who attempts them when; no SQL, no HTTP."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox import checks, labelers
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.draws import Draws
from refonte_frames.sandbox.lifecycle import content_digest
from refonte_frames.sandbox.responses import score
from refonte_frames.sandbox.task_types import understood

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refonte_frames.sandbox.rules import TaskDraft

__all__ = ["QualityAttempt", "QualityTask", "attempts_between", "keys_of", "new_quality_task"]

KINDS = ("training", "evaluation")
#: A failed training task is tried again; an evaluation is taken once.
_MOST_TRIES = {"training": 3, "evaluation": 1}
_PASSING_SCORE = 0.7


@dataclass(frozen=True, slots=True)
class QualityTask:
    """One task with a known answer; ``duty_ms`` is the labelers' working time at its creation."""

    row: int
    id: str
    kind: str
    type: str
    duty_ms: int
    unique_id: str | None
    doc: dict[str, Any]


@dataclass(frozen=True, slots=True)
class QualityAttempt:
    """One labeler's try at a quality task; ``due_ms`` is working time, the other times are the clock's.

    ``chance`` is that of getting an element right, for a category that of passing; no answer of the API tells it.
    """

    id: str
    task: QualityTask
    labeler: str
    number: int
    chance: float
    score: float
    response: dict[str, Any]
    due_ms: int
    duration_ms: int
    completed_ms: int = 0

    @property
    def is_passed(self) -> bool:
        """Whether the score is enough."""
        return self.score >= _PASSING_SCORE

    def served(self) -> dict[str, Any]:
        """Give the attempt as the API does (contract 4.4)."""
        return {
            "attempt_id": self.id,
            "quality_task_id": self.task.id,
            "task_id": None,
            "task_type": self.task.type,
            "project": self.task.doc["project"],
            "quality_type": self.task.kind,
            "labeler_email": self.labeler,
            "attempt_number": self.number,
            "status": "passed" if self.is_passed else "failed",
            "score": self.score,
            "started_at": stamp(self.completed_ms - self.duration_ms),
            "completed_at": stamp(self.completed_ms),
            "duration_secs": self.duration_ms // 1000,
            "expected_response": self.task.doc["expected_response"],
            "response": self.response,
        }


def new_quality_task(
    kind: str, body: Mapping[str, Any], draft: TaskDraft, quality_id: str, now_ms: int
) -> dict[str, Any]:
    """Give the document of a new quality task.

    Raises
    ------
    Refusal
        400 without an expected response, or outside a Rapid project.
    """
    expected = checks.take(body, "expected_response", checks.an_object)
    if expected is None:
        raise checks.required("expected_response")
    initial = checks.take(body, "initial_response", checks.an_object)
    if draft.project is None or draft.project.workflow != "rapid":
        raise checks.invalid("project", "of a quality task must be a Rapid project")
    served = draft.served(quality_id, now_ms)
    del served["task_id"], served["status"]
    answers = {"expected_response": expected, **({"initial_response": initial} if initial is not None else {})}
    return {"id": quality_id, "quality_type": kind, **served, **answers}


def keys_of(tasks: Sequence[tuple[int, QualityTask]]) -> list[str]:
    """Name what the draws of quality tasks depend on: the unique_id, else the content and how many like it came before.

    Not the id, which holds the time: two runs with one seed would differ.

    Parameters
    ----------
    tasks : sequence of (int, QualityTask)
        All of them, oldest first, each with its world's number.
    """
    seen: Counter[tuple[int, str]] = Counter()
    keys = []
    for world, task in tasks:
        asked = {name: task.doc[name] for name in ("quality_type", "params", "expected_response")}
        digest = content_digest(task.type, asked)
        seen[world, digest] += task.unique_id is None
        keys.append(task.unique_id or f"{digest}:{seen[world, digest]}")
    return keys


def attempts_between(
    seed: int, task: QualityTask, key: str, people: Sequence[str], *, after_ms: int, until_ms: int
) -> list[QualityAttempt]:
    """List the attempts that fall into a span of the labelers' working time; the key as `keys_of` gives it."""
    found = [attempt for email in people for attempt in _attempts(seed, task, key, email, until_ms)]
    return [attempt for attempt in found if after_ms < attempt.due_ms]


def _attempts(seed: int, task: QualityTask, key: str, email: str, until_ms: int) -> list[QualityAttempt]:
    """Try until it is passed, given up, or the time is over."""
    person = labelers.persona(seed, email)
    draws = Draws.of(seed, "quality", key, email)
    found: list[QualityAttempt] = []
    due_ms = task.duty_ms
    for number in range(1, _MOST_TRIES[task.kind] + 1):
        own = draws.sub(number)
        due_ms += int(own.between(0.1, 12.0, "delay") * 3_600_000)
        if due_ms > until_ms or (found and found[-1].is_passed):
            break
        # Having seen the right answer once helps with the next try.
        known = labelers.Truth(task.doc["expected_response"], 0.8 * draws.normal("difficulty") - 0.7 * (number - 1))
        params = understood(task.type, task.doc["params"])
        work = labelers.try_task(own, person, task.type, params, known, due_ms)
        mark = score(task.type, known.response, work.response)
        chance = labelers.chance_of(person, known, due_ms)
        found.append(
            QualityAttempt(
                own.uuid("attempt"), task, email, number, chance, mark, work.response, due_ms, work.duration_ms
            )
        )
    return found
