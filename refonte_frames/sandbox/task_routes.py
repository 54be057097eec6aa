"""The documented calls on tasks (contract 2.3): read the request, ask the rules, let the store write, answer."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.api import IDEMPOTENCY_HEADER, IDEMPOTENCY_LIFE_SECS
from refonte_frames.sandbox import deliveries, lifecycle, queries, rules, task_types, work
from refonte_frames.sandbox.checks import a_text, invalid, required, take
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.draws import Draws
from refonte_frames.sandbox.exchange import (
    Answer,
    Asked,
    Refusal,
    World,
    encode,
    read_form,
    read_json,
    read_object,
    refusal_answer,
)
from refonte_frames.sandbox.store import SavedReply
from refonte_frames.sandbox.unknowns import Handler, knowing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.sandbox.lifecycle import Task
    from refonte_frames.sandbox.service import Service

__all__ = ["ABSENT", "TASK_ROUTES", "Absent", "create_task", "draft_of", "envelope", "must_be_free", "save_reply"]

_FORM = "application/x-www-form-urlencoded"


# creation


def create_task(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}, where the name is a task type."""
    key = asked.headers.get(IDEMPOTENCY_HEADER.lower())
    if not key:
        with service.store.transaction():
            return _create(service, world, asked)
    fingerprint = _fingerprint(asked)
    with service.store.transaction():
        saved = service.store.saved_reply(world.account, key, service.clock.now_ms())
        if saved:
            return _replay(saved, world, fingerprint)
        answer = _create_or_refuse(service, world, asked)
        save_reply(service, world, asked, answer, fingerprint)
    return answer


def _create_or_refuse(service: Service, world: World, asked: Asked) -> Answer:
    # Refusals come before the first write, so that committing what is left commits the saved reply alone.
    try:
        return _create(service, world, asked)
    except Refusal as refusal:
        return refusal_answer(refusal)


def save_reply(service: Service, world: World, asked: Asked, answer: Answer, fingerprint: bytes | None = None) -> None:
    """Keep an answer under the request's Idempotency-Key for 24 hours."""
    key = asked.headers[IDEMPOTENCY_HEADER.lower()]
    expires_ms = service.clock.now_ms() + IDEMPOTENCY_LIFE_SECS * 1000
    reply = SavedReply(world.row, fingerprint or _fingerprint(asked), answer.status, answer.body)
    service.store.save_reply(world.account, key, reply, expires_ms)


def _replay(saved: SavedReply, world: World, fingerprint: bytes) -> Answer:
    if saved.world != world.row:
        raise Refusal(409, "The Idempotency-Key was already used by a different user.")
    if saved.fingerprint != fingerprint:
        raise Refusal(409, "The Idempotency-Key was already used for a request with different parameters.")
    return Answer(saved.body, saved.status)


def _fingerprint(asked: Asked) -> bytes:
    """Hash method, path and parameters; the order of keys and white space do not matter (contract 1.4)."""
    try:
        body = msgspec.json.encode(_creation_body(asked), order="sorted")
    except Refusal:
        body = asked.body
    return blake2b(b"\0".join((asked.method.encode(), asked.path.encode(), body)), digest_size=16).digest()


def _creation_body(asked: Asked) -> dict[str, Any]:
    return rules.form_values(read_form(asked)) if asked.media_type == _FORM else read_object(asked)


def _create(service: Service, world: World, asked: Asked) -> Answer:
    task_type = asked.names["name"]
    task_types.rule_of(task_type)
    body = _creation_body(asked)
    in_query = queries.Query(asked.query).unknown(())
    headers = service.warned((*in_query, *task_types.unknown_names(task_type, body)))
    draft = draft_of(service, world, task_type, body)
    if draft.unique_id is not None:
        must_be_free(service, world, draft.unique_id)
    task = service.new_task(world, draft, service.clock.now_ms())
    stored = _as_stored(service, world, task, draft)
    service.store.tasks.add(stored)
    deliveries.plan_task(service, stored, stored.updated_ms)
    return Answer.of(task.doc, headers)


def draft_of(
    service: Service, world: World, task_type: str, body: dict[str, Any], *, needs_batch: bool = True
) -> rules.TaskDraft:
    """Look up what a creation names, and let the rules decide; `needs_batch` as `rules.draft_task` has it."""
    project_name, batch_name = take(body, "project", a_text), take(body, "batch", a_text)
    project = service.store.catalog.project(world, project_name) if project_name is not None else None
    if project_name is not None and project is None:
        raise invalid("project", f"is not a known project: {project_name!r}")
    batch = service.store.catalog.batch(world, batch_name) if batch_name is not None else None
    if batch_name is not None and batch is None:
        raise invalid("batch", f"is not a known batch: {batch_name!r}")
    return rules.draft_task(task_type, body, project, batch, needs_batch=needs_batch)


def _as_stored(service: Service, world: World, task: Task, draft: rules.TaskDraft) -> Task:
    """Let a staged task wait, end a test key's at once, and put a live key's into the labelers' queue."""
    if draft.batch is not None and draft.batch.status == "staging":
        return task
    return work.schedule(service, task) if world.is_live else work.answer_at_once(service, task)


def must_be_free(service: Service, world: World, unique_id: str) -> None:
    """Refuse a unique_id that a task or a quality task of the world holds."""
    store = service.store
    holder = store.tasks.unique_id_holder(world, unique_id) or store.quality.unique_id_holder(world, unique_id)
    if holder is not None:
        raise rules.taken_unique_id(unique_id, holder)


# reading


def get_task(service: Service, world: World, asked: Asked) -> Answer:
    """GET /task/{name}, where the name is a task id."""
    headers = service.warned(queries.Query(asked.query).unknown(()))
    return Answer.of(_task(service, world, asked).doc, headers)


def _task(service: Service, world: World, asked: Asked) -> Task:
    task_id = asked.names["name"]
    task = service.store.tasks.find(world, task_id)
    if task is None:
        raise Refusal(404, f"There is no task {task_id!r}.")
    return task


def list_tasks(service: Service, world: World, asked: Asked) -> Answer:
    """GET /tasks."""
    twists = asked.twists
    ignored = twists["ignore_filters"].names if "ignore_filters" in twists else ()
    query = queries.read_task_query(asked.query, ignored)
    headers = service.warned(query.unknown)
    chosen = _lagging(query.filter, service, twists)
    before, total = None, None
    if query.token is not None:
        cursor = _cursor(service, query, twists)
        before, total = _row_of(service, world, cursor, twists), cursor.total
    if total is None:
        total = service.store.tasks.count(world, chosen)
    found = service.store.tasks.page(world, chosen, before=before, limit=query.limit, total=total)
    shown = found[: query.limit]
    token = _next_token(service, query, shown, total, is_last=len(found) <= query.limit, twists=twists)
    docs = [_shown(doc, query) for _, doc in shown]
    shown_total = total + (twists["wrong_total"].by if "wrong_total" in twists else 0)
    tail = {"total": shown_total, "limit": query.limit, "offset": 0}
    return Answer(envelope(docs, tail, token), headers=headers)


def _lagging(chosen: queries.TaskFilter, service: Service, twists: Mapping[str, Any]) -> queries.TaskFilter:
    """Hide tasks that an ordered lag keeps out of lists for now."""
    if "list_lag" not in twists:
        return chosen
    newest_ms = service.clock.now_ms() - int(twists["list_lag"].secs * 1000)
    bound = chosen.created.to_ms
    to_ms = newest_ms if bound is None else min(bound, newest_ms)
    return replace(chosen, created=replace(chosen.created, to_ms=to_ms))


def _cursor(service: Service, query: queries.TaskQuery, twists: Mapping[str, Any]) -> queries.Cursor:
    if "expired_token" in twists:
        raise invalid("next_token", "has expired")
    return queries.read_token(query.token or "", query.filter, service.token_secret)


def _next_token(
    service: Service,
    query: queries.TaskQuery,
    shown: list[tuple[int, str]],
    total: int,
    *,
    is_last: bool,
    twists: Mapping[str, Any],
) -> str | Absent | None:
    """Make the token of the next page; on the last one it is absent, unless an ordered fault wants it otherwise."""
    ending = twists["last_token"].how if "last_token" in twists else ""
    if is_last and not (ending == "empty_page" and shown):
        return None if ending == "null" else ABSENT
    last_id = msgspec.json.decode(shown[-1][1], type=_Named).task_id
    return queries.write_token(queries.Cursor(last_id, total), query.filter, service.token_secret)


class Absent:
    """The mark of a key that is left out."""


ABSENT = Absent()


class _Named(msgspec.Struct):
    """The one field of a stored document that a token needs."""

    task_id: str


def _row_of(service: Service, world: World, cursor: queries.Cursor, twists: Mapping[str, Any]) -> int | None:
    """Find the row that a page ended with; ordered faults repeat the first page, or shift this one back."""
    if "repeat_page" in twists:
        return None
    task = service.store.tasks.find(world, cursor.task_id)
    if task is None:
        raise invalid("next_token", "belongs to a task that is no longer there")
    return task.row + (twists["shift_page"].by if "shift_page" in twists else 0)


def envelope(docs: list[str], tail: Mapping[str, Any], token: str | Absent | None) -> bytes:
    """Join stored texts into a page: serialising them again would cost ten times as much."""
    whole = {**tail, "has_more": isinstance(token, str)}
    rest = encode(whole if isinstance(token, Absent) else {**whole, "next_token": token})
    return f'{{"docs":[{",".join(docs)}],'.encode() + rest[1:]


def _shown(doc: str, query: queries.TaskQuery) -> str:
    if not query.is_limited and not query.shows_attachment_url:
        return doc
    task = msgspec.json.decode(doc)
    if query.shows_attachment_url:
        task |= _attachment_url(task["params"])
    if query.is_limited:
        kept = ("task_id", "status", "metadata", "project", "attachment_url")
        task = {name: task[name] for name in kept if name in task} | {"otherVersion": None}
    return encode(task).decode()


def _attachment_url(params: dict[str, Any]) -> dict[str, Any]:
    """Sign the attachments as a storage service would; the signature is made up (contract 2.3)."""
    if isinstance(params.get("attachments"), list):
        return {"attachment_url": [_signed(item) for item in params["attachments"]]}
    if isinstance(params.get("attachment"), str):
        return {"attachment_url": _signed(params["attachment"])}
    return {}


def _signed(attachment: Any) -> str:
    url = attachment.get("content") if isinstance(attachment, dict) else attachment
    seal = blake2b(str(url).encode(), digest_size=8).hexdigest()
    return f"{url}{'&' if '?' in str(url) else '?'}Expires=3600&Signature={seal}"


# changes


def cancel_task(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}/cancel."""
    query = queries.Query(asked.query)
    headers = service.warned(query.unknown(("clear_unique_id",)))
    is_cleared = query.flag("clear_unique_id")
    with service.store.transaction():
        task = lifecycle.cancel(_task(service, world, asked), service.clock.now_ms(), clears_unique_id=is_cleared)
        work.finish_task(service, task)
    return Answer.of(task.doc, headers)


def set_metadata(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}/setMetadata: the body is the metadata."""
    metadata = read_object(asked)
    return _changed(service, lifecycle.set_metadata(_task(service, world, asked), metadata), "metadata")


def _changed(service: Service, task: Task, change: str) -> Answer:
    touched = service.touched(task, change, service.clock.now_ms())
    with service.store.transaction():
        service.store.tasks.save(touched, has_new_tags=change == "tags")
    return Answer.of(touched.doc)


def set_unique_id(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}/unique_id."""
    task = _task(service, world, asked)
    unique_id = take(read_object(asked), "unique_id", a_text)
    if unique_id is None:
        raise required("unique_id")
    if unique_id != task.unique_id:
        must_be_free(service, world, unique_id)
    return _changed(service, lifecycle.set_unique_id(task, unique_id), "unique_id")


def clear_unique_id(service: Service, world: World, asked: Asked) -> Answer:
    """DELETE /task/{name}/unique_id."""
    return _changed(service, lifecycle.clear_unique_id(_task(service, world, asked)), "unique_id")


def set_tags(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}/tags: replace; an empty body is an empty list (contract 6.25)."""
    task = _task(service, world, asked)
    return _changed(service, lifecycle.set_tags(task, _tags(asked, default=[])), "tags")


def add_tags(service: Service, world: World, asked: Asked) -> Answer:
    """PUT /task/{name}/tags: append."""
    task = _task(service, world, asked)
    return _changed(service, lifecycle.add_tags(task, _tags(asked)), "tags")


def remove_tags(service: Service, world: World, asked: Asked) -> Answer:
    """DELETE /task/{name}/tags: remove the listed; without a list nothing is wiped by accident."""
    task = _task(service, world, asked)
    return _changed(service, lifecycle.remove_tags(task, _tags(asked)), "tags")


def _tags(asked: Asked, default: list[str] | None = None) -> list[str]:
    value = read_json(asked)
    if value is None and default is not None and not asked.body.strip():
        return default
    if why := task_types.tag_list(value):
        raise Refusal(400, f"The request body {why}.")
    return list(value)


def audit_task(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}/audit."""
    task = _task(service, world, asked)
    accepted, comments = lifecycle.read_audit(read_object(asked))
    now_ms = service.clock.now_ms()
    draws = Draws.of(service.seed, "customer audit", task.key, len(task.doc.get("audits", [])))
    audit = {
        "audited_by": "admin@example.com",
        "audited_at": stamp(now_ms),
        "audit_time_secs": draws.whole(8, 300),
        "audit_result": "accepted" if accepted else "rejected",
        "audit_source": "customer",
        **({"comments": comments} if comments is not None else {}),
    }
    return _changed(service, lifecycle.add_audit(task, audit), "audits")


def resend_callback(service: Service, world: World, asked: Asked) -> Answer:
    """POST /task/{name}/send-callback."""
    task = _task(service, world, asked)
    with service.store.transaction():
        deliveries.plan_resend(service, task, service.clock.now_ms())
    return Answer.of({"success": True})


TASK_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/task/{name}", create_task),
    ("GET", "/task/{name}", get_task),
    ("GET", "/tasks", list_tasks),
    ("POST", "/task/{name}/cancel", cancel_task),
    ("POST", "/task/{name}/setMetadata", knowing(set_metadata, has_free_body=True)),
    ("POST", "/task/{name}/unique_id", knowing(set_unique_id, "unique_id")),
    ("DELETE", "/task/{name}/unique_id", knowing(clear_unique_id)),
    ("POST", "/task/{name}/tags", knowing(set_tags, has_free_body=True)),
    ("PUT", "/task/{name}/tags", knowing(add_tags, has_free_body=True)),
    ("DELETE", "/task/{name}/tags", knowing(remove_tags, has_free_body=True)),
    ("POST", "/task/{name}/audit", knowing(audit_task, "accepted", "comments")),
    ("POST", "/task/{name}/send-callback", knowing(resend_callback)),
)
