"""What the labelers and reviewers of all worlds do, carried out on the store in the order of its due times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox import deliveries, labelers, lifecycle, quality_tasks
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Refusal
from refonte_frames.sandbox.labor_table import StoredAttempt
from refonte_frames.sandbox.task_types import understood

if TYPE_CHECKING:
    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.lifecycle import Task
    from refonte_frames.sandbox.rules import Batch, Project
    from refonte_frames.sandbox.service import Service

__all__ = [
    "answer_at_once",
    "catch_up",
    "close_batch",
    "complete_attempted",
    "end_batch_if_done",
    "finalize",
    "finish_task",
    "is_unreachable",
    "run_events",
    "schedule",
    "work",
]

_SWEEP_ROWS = 1000


def is_unreachable(task: Task, patterns: tuple[str, ...]) -> list[str]:
    """Name the attachments of a task that cannot be downloaded."""
    params = understood(task.type, task.doc["params"])
    found = params.get("attachments") or [params.get("attachment")]
    urls = [item.get("content") if isinstance(item, dict) else item for item in found]
    return [url for url in urls if isinstance(url, str) and any(fnmatchcase(url, p) for p in patterns)]


def answer_at_once(service: Service, task: Task) -> Task:
    """End a task as a test key's does, right after its creation: with the right response, or in error."""
    now_ms = service.clock.now_ms()
    if broken := is_unreachable(task, service.switches.broken_attachments):
        return lifecycle.fail(task, _download_error(broken), now_ms)
    return lifecycle.complete(task, labelers.truth_about(service.seed, task).response, now_ms)


def _download_error(urls: list[str]) -> dict[str, Any]:
    return {
        "error": "One or more attachments could not be downloaded",
        "failed_attachments": [{"url": url, "status_code": 404} for url in urls],
    }


def schedule(service: Service, task: Task) -> Task:
    """Put a task into the labelers' queue; an unreachable attachment is noticed within minutes of their time."""
    if is_unreachable(task, service.switches.broken_attachments):
        return replace(task, due_ms=service.duty_ms + 60_000)
    delay = labelers.delay_ms(service.seed, task)
    return replace(task, due_ms=service.duty_ms + delay)


def finalize(service: Service, world: World, batch: Batch) -> Batch:
    """Open a staged batch for work; with a test key its tasks end at once (contract 2.2)."""
    store = service.store
    opened = replace(batch, status="in_progress")
    store.catalog.save_batch(opened)
    now_ms = service.clock.now_ms()
    for task in store.tasks.pending_of(batch):
        next_task = schedule(service, task) if world.is_live else answer_at_once(service, task)
        store.tasks.save(next_task)
        deliveries.plan_task(service, next_task, now_ms)
    return end_batch_if_done(service, opened.row, now_ms) or opened


def finish_task(service: Service, task: Task) -> None:
    """Write an ended task, plan its callback, and end its batch if it was the last."""
    service.store.tasks.save(task)
    now_ms = service.clock.now_ms()
    deliveries.plan_task(service, task, now_ms)
    if task.batch:
        end_batch_if_done(service, task.batch, now_ms)


def end_batch_if_done(service: Service, row: int, moment_ms: int) -> Batch | None:
    """Complete a batch without pending tasks.

    Creating a test key's task, which ends at once, does not come here: its first task would close an Enterprise
    batch to the second (contract 2.2). `close_batch` ends such a batch.
    """
    store = service.store
    batch, world = store.catalog.batch_with_world(row)
    counts = store.catalog.batch_counts(world, batch)
    is_done = batch.status == "in_progress" and not counts.get("pending") and sum(counts.values()) > 0
    if not is_done:
        return None
    ended = replace(batch, status="completed")
    store.catalog.save_batch(ended)
    deliveries.plan_batch(service, world.row, ended, counts, moment_ms)
    return ended


def close_batch(service: Service, batch: Batch) -> Batch:
    """Complete a batch by hand.

    Raises
    ------
    Refusal
        400 when it is not in progress, is empty, or has pending tasks.
    """
    ended = end_batch_if_done(service, batch.row, service.clock.now_ms())
    if ended is None:
        raise Refusal(400, f"The batch {batch.name!r} is {batch.status}, empty, or has pending tasks.")
    return ended


def work(service: Service, span_ms: int) -> dict[str, int]:
    """Let the labelers of all worlds work for a while; the clock goes on by as much.

    Tasks are ended in the order of their rows, which lie side by side in the file; what they come to does not depend
    on the order, and what follows from them is planned for the moment each is handed in.

    Returns
    -------
    dict
        ``completed``, ``errors``, ``audits``, ``quality_attempts``: how many.
    """
    begin_ms = service.clock.now_ms()
    begin_duty = service.duty_ms
    counts = {"completed": 0, "errors": 0, "audits": 0, "quality_attempts": 0}
    batches: dict[int, int] = {}
    wanted = cache(service.store.catalog.attempts_wanted)
    with service.store.transaction():
        due = service.store.tasks.due(begin_duty + span_ms)
        for first in range(0, len(due), _SWEEP_ROWS):
            done = _Done()
            for task in service.store.tasks.by_rows(due[first : first + _SWEEP_ROWS]):
                moment_ms = begin_ms + max(0, (task.due_ms or 0) - begin_duty)
                ended = _hand_in(service, task, wanted(task.project), moment_ms, done)
                counts["errors" if ended.status == "error" else "completed"] += 1
                batches[task.batch] = max(moment_ms, batches.get(task.batch, 0))
            done.write(service)
        for row in sorted(batches.keys() - {0}):
            end_batch_if_done(service, row, batches[row])
        counts["quality_attempts"] = _try_quality_tasks(service, begin_ms, begin_duty, begin_duty + span_ms)
        service.clock.advance(span_ms)
        service.duty_ms = begin_duty + span_ms
        counts["audits"] = _run_events(service)
        service.keep_time()
    return counts


@dataclass(slots=True)
class _Done:
    """What labelers have done and nobody has written yet."""

    tasks: list[Task] = field(default_factory=list)
    attempts: list[StoredAttempt] = field(default_factory=list)
    audits: list[tuple[int, Task, labelers.PlannedAudit]] = field(default_factory=list)

    def write(self, service: Service) -> None:
        """Write it, and plan what reviewers will say."""
        store = service.store
        store.tasks.save_all(self.tasks)
        store.labor.add_attempts(self.attempts)
        store.labor.add_events(
            [
                (moment_ms + audit.delay_ms, "audit", task.world, task.row, {"audit": audit.served, "fix": audit.fix})
                for moment_ms, task, audit in self.audits
            ]
        )


def _try_quality_tasks(service: Service, begin_ms: int, begin_duty: int, end_duty: int) -> int:
    """Let the labelers of each team, or the usual people where a team has none, try its quality tasks."""
    store, seed = service.store, service.seed
    found: list[tuple[int, quality_tasks.QualityAttempt]] = []
    tasks = store.quality.all()
    for (row, task), key in zip(tasks, quality_tasks.keys_of(tasks), strict=True):
        people = _quality_people(service, row)
        tries = quality_tasks.attempts_between(seed, task, key, people, after_ms=begin_duty, until_ms=end_duty)
        found += [(row, attempt) for attempt in tries]
    for row, attempt in sorted(found, key=lambda pair: (pair[1].due_ms, pair[1].id)):
        store.quality.add_attempt(row, replace(attempt, completed_ms=begin_ms + attempt.due_ms - begin_duty))
    return len(found)


def _quality_people(service: Service, world: int) -> list[str]:
    team = service.store.people.members(service.store.world_by_row(world))
    hired = [member.email for member in team if member.role == "labeler"]
    return hired or [labeler.email for labeler in labelers.roster(service.seed)]


def _hand_in(service: Service, task: Task, count: int, moment_ms: int, done: _Done) -> Task:
    """Let the labelers end one task, after as many attempts as its project asks for."""
    if broken := is_unreachable(task, service.switches.broken_attachments):
        failed = lifecycle.fail(task, _download_error(broken), moment_ms)
        deliveries.plan_task(service, failed, moment_ms)
        done.tasks.append(failed)
        return failed
    return _answer(service, task, count, moment_ms, done)


def _answer(service: Service, task: Task, count: int, moment_ms: int, done: _Done) -> Task:
    """End a task with the consensus of its first attempts, and plan what reviewers will say."""
    seed = service.seed
    truth = labelers.truth_about(seed, task)
    attempts = labelers.attempts_at(seed, task, truth, count, task.due_ms or 0)
    chosen = labelers.consensus(task.type, attempts)
    ended = lifecycle.complete(task, chosen.response, moment_ms)
    deliveries.plan_task(service, ended, moment_ms)
    done.tasks.append(ended)
    done.attempts += [
        StoredAttempt(task.row, each.number, each.labeler, moment_ms - each.duration_ms, moment_ms, each.response)
        for each in attempts
    ]
    done.audits += [(moment_ms, ended, audit) for audit in labelers.audits_of(seed, ended, truth, chosen)]
    return ended


def catch_up(service: Service) -> None:
    """Carry out what has become due since the last request: the clock, not the sweep, says what has happened."""
    if service.next_event_ms is not None and service.next_event_ms <= service.clock.now_ms():
        run_events(service)


def complete_attempted(service: Service, project: Project, batches: list[Batch]) -> int:
    """End the unfinished tasks that a labeler has tried already, with what there is; returns how many."""
    ended, now_ms = 0, service.clock.now_ms()
    for batch in batches:
        done = _Done()
        for task in service.store.tasks.pending_of(batch):
            count = labelers.attempts_done(service.seed, task, project.attempts, service.duty_ms)
            if count:
                _answer(service, task, count, now_ms, done)
        done.write(service)
        ended += len(done.tasks)
        end_batch_if_done(service, batch.row, now_ms)
    return ended


def run_events(service: Service) -> int:
    """Carry out what has become due by the clock; returns how many."""
    with service.store.transaction():
        return _run_events(service)


def _run_events(service: Service) -> int:
    store, done = service.store, 0
    while due := store.labor.due_events("audit", service.clock.now_ms(), _SWEEP_ROWS):
        tasks = {task.row: task for task in store.tasks.by_rows([event.task for event in due])}
        audited: dict[int, Task] = {}
        for event in due:
            task = audited.get(event.task) or tasks.get(event.task)
            if task is not None and task.status == "completed":
                audit = {**event.value["audit"], "audited_at": stamp(event.due_ms)}
                task = lifecycle.add_audit(task, audit, event.value["fix"])
                audited[task.row] = service.touched(task, "audits", event.due_ms)
        store.tasks.save_all(audited.values())
        store.labor.drop_events([event.row for event in due])
        done += len(due)
    service.next_event_ms = store.labor.next_event_ms("audit")
    return done
