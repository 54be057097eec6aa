"""The documented calls on quality tasks and their attempts (contract 2.3, 4.4)."""

from __future__ import annotations

from functools import partial

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.sandbox import quality_tasks, queries, task_types
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, read_object
from refonte_frames.sandbox.service import Service, task_id_of
from refonte_frames.sandbox.task_routes import ABSENT, Absent, draft_of, envelope, must_be_free
from refonte_frames.sandbox.unknowns import Handler, knowing

__all__ = ["QUALITY_ROUTES"]

_OWN_NAMES = ("expected_response", "initial_response")


def create_quality_task(service: Service, world: World, asked: Asked, *, kind: str) -> Answer:
    """POST /training_tasks/{name} or /evaluation_tasks/{name}, where the name is a task type."""
    task_type = asked.names["name"]
    task_types.rule_of(task_type)
    body = read_object(asked)
    plain = {name: value for name, value in body.items() if name not in _OWN_NAMES}
    headers = service.warned(task_types.unknown_names(task_type, plain))
    draft = draft_of(service, world, task_type, plain, needs_batch=False)
    store, now_ms = service.store, service.clock.now_ms()
    if draft.unique_id is not None:
        must_be_free(service, world, draft.unique_id)
    row = store.quality.next_row()
    # The upper half of the counter, so that no task has the same id.
    quality_id = task_id_of(now_ms, row | 0x800000, service.seed)
    doc = quality_tasks.new_quality_task(kind, body, draft, quality_id, now_ms)
    made = quality_tasks.QualityTask(row, quality_id, kind, task_type, service.duty_ms, draft.unique_id, doc)
    with store.transaction():
        store.quality.add(world, made)
    return Answer.of(doc, headers)


def list_attempts(service: Service, world: World, asked: Asked) -> Answer:
    """GET /quality/labelers."""
    query = queries.Query(asked.query)
    headers = service.warned(query.unknown(("quality_task_ids", "labeler_emails", "next_token", "limit")))
    ids, emails = query.texts("quality_task_ids"), query.texts("labeler_emails")
    if not ids and not emails:
        raise Refusal(400, "At least one of quality_task_ids and labeler_emails is required.")
    limit = query.whole("limit", default=MAX_PAGE_SIZE, low=1, high=MAX_PAGE_SIZE)
    table, secret = service.store.quality, service.token_secret
    # The page token of tasks, sealed with these filters under names that no list of tasks has.
    chosen = queries.TaskFilter(type="quality/labelers", unique_ids=ids, tags=emails)
    token = query.text("next_token")
    cursor = queries.read_token(token, chosen, secret) if token is not None else None
    total = cursor.total if cursor else table.count(world, ids, emails)
    found = table.page(world, ids, emails, before=cursor.task_id if cursor else None, limit=limit + 1)
    shown = found[:limit]
    next_token: str | Absent = ABSENT
    if len(found) > limit:
        next_token = queries.write_token(queries.Cursor(shown[-1][0], total), chosen, secret)
    return Answer(envelope([doc for _, doc in shown], {"total": total, "limit": limit}, next_token), headers=headers)


QUALITY_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    *(
        ("POST", f"/{kind}_tasks/{{name}}", knowing(partial(create_quality_task, kind=kind), has_free_body=True))
        for kind in quality_tasks.KINDS
    ),
    ("GET", "/quality/labelers", list_attempts),
)
