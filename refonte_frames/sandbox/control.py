"""The calls under /_sandbox/ that steer the sandbox: time, labelers, faults, truth, reset; for tests and demos."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox import deliveries, labelers, lifecycle, people, quality_tasks, results, work
from refonte_frames.sandbox.checks import a_callback, a_number, a_text, an_object, invalid, required, take
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, read_object
from refonte_frames.sandbox.faults import Rule
from refonte_frames.sandbox.fidelity import ledger
from refonte_frames.sandbox.running import Running

if TYPE_CHECKING:
    from refonte_frames.sandbox.labor_table import StoredAttempt
    from refonte_frames.sandbox.lifecycle import Task

__all__ = ["CONTROL_ROUTES"]

_KEY = re.compile(r"(test|live)_([a-z0-9-]{1,24})")


def ready(running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/ready."""
    return Answer.of({"ready": True, "now": stamp(running.service.clock.now_ms())})


def show_fidelity(_running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/fidelity: what is documented, inferred or assumed."""
    return Answer.of({"behaviours": ledger()})


def show_result(_running: Running, asked: Asked) -> Answer:
    """GET /_sandbox/results/{recipe}/{name}: a file behind a link in a response; no token, no key."""
    kind = results.MEDIA_TYPES.get(asked.names["name"].rpartition(".")[2])
    if kind is None:
        raise Refusal(404, "There is no such result file.")
    return Answer(results.content_of(asked.names["recipe"]), headers=(("content-type", kind),))


# time and labor


def get_clock(running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/clock."""
    return _clock(running)


def set_clock(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/clock ``{"advance_ms": int}`` or ``{"rate": number}``; everything due is done on return."""
    body = read_object(asked)
    service = running.service
    advance_ms, rate = take(body, "advance_ms", a_number), take(body, "rate", a_number)
    if advance_ms is not None and rate is not None:
        raise invalid("rate", "and advance_ms are two orders; give one")  # the second may be refused after the first
    try:
        if rate is not None:
            service.clock.run(float(rate))
        if advance_ms is not None:
            service.clock.advance(int(advance_ms))
    except (ValueError, OverflowError) as error:
        raise Refusal(400, str(error)) from None
    done = work.run_events(service)
    with service.store.transaction():
        service.keep_time()
        service.store.drop_old_replies(service.clock.now_ms())
    return _clock(running, events=done)


def _clock(running: Running, **more: int) -> Answer:
    service = running.service
    now_ms = service.clock.now_ms()
    return Answer.of({"now": stamp(now_ms), "now_ms": now_ms, "rate": service.clock.state.rate, **more})


def let_work(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/work ``{"days": number}``: the labelers of all worlds work, and the clock goes on."""
    days = take(read_object(asked), "days", a_number)
    if days is None:
        raise required("days")
    if not 0 < days <= 3650:
        raise invalid("days", "must be a number above 0 and up to 3650")
    counts = work.work(running.service, round(days * 86_400_000))
    return Answer.of({**counts, "now": stamp(running.service.clock.now_ms())})


# single tasks


def complete_task(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/tasks/{name}/complete ``{"response": object}``; without one, the right response."""
    service = running.service
    task = _task(running, asked)
    response = take(read_object(asked), "response", an_object)
    if response is None:
        response = labelers.truth_about(service.seed, task).response
    with service.store.transaction():
        done = lifecycle.complete(task, response, service.clock.now_ms())
        work.finish_task(service, done)
    return Answer.of(done.doc)


def fail_task(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/tasks/{name}/fail ``{"error": str, "response": object}``: the task goes to ``error``."""
    service = running.service
    body = read_object(asked)
    error = take(body, "error", a_text) or "One or more attachments could not be downloaded"
    partial = take(body, "response", an_object) or {}
    with service.store.transaction():
        failed = lifecycle.fail(_task(running, asked), {"error": error, **partial}, service.clock.now_ms())
        work.finish_task(service, failed)
    return Answer.of(failed.doc)


def complete_batch(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/batches/complete ``{"key": str, "batch": str}``: for Enterprise batches of test keys."""
    service, body = running.service, read_object(asked)
    world, name = _world(running, body), take(body, "batch", a_text)
    batch = service.store.catalog.batch(world, name) if name is not None else None
    if batch is None:
        raise Refusal(404, f"There is no batch {name!r}.")
    with service.store.transaction():
        done = work.close_batch(service, batch)
    return Answer.of(done.served())


def _task(running: Running, asked: Asked) -> Task:
    task = running.service.store.tasks.find_anywhere(asked.names["name"])
    if task is None:
        raise Refusal(404, f"There is no task {asked.names['name']!r} in any world.")
    return task


# worlds


def reset(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/reset ``{"key": str}``: the key's world is empty again."""
    world = _world(running, read_object(asked))
    with running.service.store.transaction():
        running.service.store.empty_world(world)
    return Answer.of({"result": "success"})


def truth(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/truth ``{"key": str}``: what is right, how hard it was, and who answered what."""
    service = running.service
    world = _world(running, read_object(asked))
    by_task: dict[int, list[StoredAttempt]] = {}
    for attempt in service.store.labor.attempts_of(world):
        by_task.setdefault(attempt.task, []).append(attempt)
    rows = [
        row
        for task in service.store.tasks.of_world(world)
        for row in _truth_rows(service.seed, task, by_task.get(task.row, []))
    ]
    return Answer.of({"rows": rows})


def _truth_rows(seed: int, task: Task, attempts: list[StoredAttempt]) -> list[dict[str, Any]]:
    """Give one row per attempt, or one without a labeler where nobody tried."""
    known = labelers.truth_about(seed, task)
    head = {
        "task_id": task.task_id,
        "unique_id": task.unique_id,
        "type": task.type,
        "project": task.doc.get("project"),
        "batch": task.doc.get("batch"),
        "status": task.status,
        "difficulty": known.difficulty,
        "truth_json": _text(known.response),
    }
    if not attempts:
        return [head]
    return [{**head, **_attempt_row(seed, task, known, attempt)} for attempt in attempts]


def _attempt_row(seed: int, task: Task, known: labelers.Truth, attempt: StoredAttempt) -> dict[str, Any]:
    labeler = labelers.persona(seed, attempt.labeler)
    return {
        "labeler": attempt.labeler,
        "attempt_number": attempt.number,
        "labeler_skill": labeler.skill,
        "labeler_drift_per_day": labeler.drift,
        "is_spammer": labeler.is_spammer,
        "score": labelers.score(task.type, known.response, attempt.response),
        "started_at": stamp(attempt.started_ms),
        "completed_at": stamp(attempt.completed_ms),
        "attempt_json": _text(attempt.response),
    }


def quality_truth(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/quality_truth ``{"key": str}``: how likely each attempt at a quality task was to be right."""
    service = running.service
    world = _world(running, read_object(asked))
    served = dict(service.store.quality.tries_of(world))
    people = sorted(set(served.values()))
    tasks = service.store.quality.all()
    rows = [
        _chance_row(service.seed, attempt)
        for (row, task), key in zip(tasks, quality_tasks.keys_of(tasks), strict=True)
        if row == world.row
        for attempt in quality_tasks.attempts_between(
            service.seed, task, key, people, after_ms=-1, until_ms=service.duty_ms
        )
        # Somebody who came later has drawn attempts of before as well.
        if attempt.id in served
    ]
    return Answer.of({"rows": rows})


def _chance_row(seed: int, attempt: quality_tasks.QualityAttempt) -> dict[str, Any]:
    labeler = labelers.persona(seed, attempt.labeler)
    return {
        "attempt_id": attempt.id,
        "quality_task_id": attempt.task.id,
        "kind": attempt.task.kind,
        "labeler": attempt.labeler,
        "attempt_number": attempt.number,
        "chance": attempt.chance,
        "score": attempt.score,
        "labeler_skill": labeler.skill,
        "labeler_drift_per_day": labeler.drift,
        "is_spammer": labeler.is_spammer,
    }


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _world(running: Running, body: dict[str, Any]) -> World:
    key = take(body, "key", a_text)
    if key is None:
        raise required("key")
    found = _KEY.fullmatch(key)
    if not found:
        raise invalid("key", "must be test_<world> or live_<world>, the world made of a-z, 0-9 and -, at most 24")
    return running.service.world_of(key, name=found[2], is_live=found[1] == "live")


def accept_invitations(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/accept_invitations ``{"key": str}``: invited people join with the role they were offered."""
    service = running.service
    world = _world(running, read_object(asked))
    with service.store.transaction():
        done = service.store.people.accept_invitations(world, service.clock.now_ms())
    return Answer.of({"accepted": done})


def disable_members(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/disable_members ``{"key": str, "emails": [str]}``: what only a dashboard can do to people."""
    service, body = running.service, read_object(asked)
    world, emails = _world(running, body), people.read_emails(body)
    there = {member.email: member for member in service.store.people.members(world)}
    for email in emails:
        if email not in there or there[email].role == "admin":
            raise invalid("emails", f"holds {email!r}, who is no member, or the admin")
    with service.store.transaction():
        for email in emails:
            disabled = replace(there[email], role="disabled", expiry_ms=None)
            service.store.people.save_member(world, disabled)
    return Answer.of({"disabled": len(emails)})


# callbacks


def set_callback_url(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/callback_url ``{"key": str, "url": str or null}``: the default of the account's profile."""
    body = read_object(asked)
    world, url = _world(running, body), take(body, "url", a_callback)
    with running.service.store.transaction():
        running.service.store.set_default_callback_url(world, url)
    return Answer.of({"default_callback_url": url})


def callbacks(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/callbacks ``{"key": str}``: the auth key, every try, and the mails that were not really sent."""
    service = running.service
    world = _world(running, read_object(asked))
    mails = [
        {"from": mail.sender, "to": mail.receiver, "at": stamp(mail.sent_ms), "body": mail.body}
        for mail in service.store.labor.mails_of(world)
    ]
    return Answer.of(
        {
            "auth_key": deliveries.auth_key(service, world.row),
            "default_callback_url": service.store.default_callback_url(world.row),
            "tries": [deliveries.delivery_shown(each) for each in service.store.labor.deliveries_of(world)],
            "mails": mails,
        }
    )


# faults, switches, requests


def list_faults(running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/faults: what fired, in order, and which rules never did."""
    return Answer.of({"fired": list(running.faults.log), "unfired": running.faults.unfired()})


def add_fault(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/faults: arm a `Rule`."""
    try:
        rule = msgspec.convert(read_object(asked), Rule)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"This is no fault: {error}") from None
    return Answer.of({"number": running.faults.add(rule)})


def clear_faults(running: Running, _asked: Asked) -> Answer:
    """DELETE /_sandbox/faults: disarm all and forget the log."""
    running.faults.clear()
    return Answer.of({"result": "success"})


def set_switches(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/switches: any of the names of `service.Switches`."""
    switches = running.service.switches
    known = msgspec.to_builtins(switches)
    body = read_object(asked)
    for name in body:
        if name not in known:
            raise invalid(name, f"is no switch; there are {', '.join(known)}")
    try:
        running.service.switches = msgspec.convert({**known, **body}, type(switches))
    except msgspec.ValidationError as error:
        raise Refusal(400, f"These are no switches: {error}") from None
    return Answer.of(running.service.switches)


def reset_switches(running: Running, _asked: Asked) -> Answer:
    """DELETE /_sandbox/switches: all as they were at the start."""
    running.service.switches = running.switches_at_start
    return Answer.of(running.service.switches)


def list_requests(running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/requests: the last calls to the API, oldest first."""
    return Answer.of({"requests": list(running.requests)})


Handler = Callable[[Running, Asked], Answer]


def _knowing(handler: Handler, *names: str) -> Handler:
    """Give a handler that refuses other names in the body than these: a slip of the pen must not steer nothing."""

    def call(running: Running, asked: Asked) -> Answer:
        for name in read_object(asked):
            if name not in names:
                raise invalid(name, f"is unknown here; there are {', '.join(names)}")
        return handler(running, asked)

    return call


CONTROL_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/_sandbox/ready", ready),
    ("GET", "/_sandbox/fidelity", show_fidelity),
    ("GET", f"{results.PATH}/{{recipe}}/{{name}}", show_result),
    ("GET", "/_sandbox/clock", get_clock),
    ("POST", "/_sandbox/clock", _knowing(set_clock, "advance_ms", "rate")),
    ("POST", "/_sandbox/work", _knowing(let_work, "days")),
    ("POST", "/_sandbox/tasks/{name}/complete", _knowing(complete_task, "response")),
    ("POST", "/_sandbox/tasks/{name}/fail", _knowing(fail_task, "error", "response")),
    ("POST", "/_sandbox/batches/complete", _knowing(complete_batch, "key", "batch")),
    ("POST", "/_sandbox/reset", _knowing(reset, "key")),
    ("POST", "/_sandbox/truth", _knowing(truth, "key")),
    ("POST", "/_sandbox/quality_truth", _knowing(quality_truth, "key")),
    ("POST", "/_sandbox/accept_invitations", _knowing(accept_invitations, "key")),
    ("POST", "/_sandbox/disable_members", _knowing(disable_members, "key", "emails")),
    ("POST", "/_sandbox/callback_url", _knowing(set_callback_url, "key", "url")),
    ("POST", "/_sandbox/callbacks", _knowing(callbacks, "key")),
    ("GET", "/_sandbox/faults", list_faults),
    ("POST", "/_sandbox/faults", add_fault),
    ("DELETE", "/_sandbox/faults", clear_faults),
    ("POST", "/_sandbox/switches", set_switches),
    ("DELETE", "/_sandbox/switches", reset_switches),
    ("GET", "/_sandbox/requests", list_requests),
)
