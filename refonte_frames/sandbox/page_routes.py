"""The calls of the page under /_sandbox/: gathering what it shows, and its buttons, which need the control token."""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from refonte_frames.sandbox import control, deliveries, labelers, page, queries
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, encode, read_form
from refonte_frames.sandbox.queries import TaskFilter
from refonte_frames.sandbox.running import Running
from refonte_frames.sandbox.task_routes import create_task

if TYPE_CHECKING:
    from refonte_frames.sandbox.service import Service

__all__ = ["PAGE_ROUTES", "refusal_page"]

#: No script at all; and forms may go to this server only, so that the token stays here.
_POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_SECURITY = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    # Not no-referrer: browsers then send "Origin: null" with forms, which is what a foreign page sends too.
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
)
_HTML = (("content-type", "text/html; charset=utf-8"), *_SECURITY)
_WORLDS, _TASKS, _LINES = 30, 50, 50

#: Of what a form or an address may ask for.
_MOST = 10**15

#: Keys are kept as hashes only; these two are the ones that everybody uses first.
_KNOWN_KEYS = {sha256(key.encode()).digest(): key for key in ("live_demo", "test_demo")}


def refusal_page(refusal: Refusal) -> Answer:
    """Say no to somebody who looks at the page."""
    return Answer(page.render_refusal(refusal.status, refusal.error), refusal.status, _HTML)


def style(_running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/style.css."""
    return Answer(page.STYLE.encode(), headers=(("content-type", "text/css; charset=utf-8"), *_SECURITY))


def show(running: Running, asked: Asked) -> Answer:
    """GET /_sandbox/ ``?world=number&before=row&token=…``: anybody may look, buttons are for who brings the token."""
    query = queries.Query(asked.query)
    token = query.text("token")
    is_known = token is not None and _is_token(running, token)
    world = _world_shown(running.service, query)
    where = page.Whereabouts(
        world.row if world else None,
        query.whole("before", default=0, low=1, high=_MOST) or None,
        token if is_known else None,
        is_token_wrong=token is not None and not is_known,
    )
    return Answer(page.render(_view(running, where, world)), headers=_HTML)


def _is_token(running: Running, token: str) -> bool:
    return hmac.compare_digest(token.encode("utf-8", "replace"), running.token.encode())


def _world_shown(service: Service, query: queries.Query) -> World | None:
    """Find the world asked for, else the newest one with tasks, else the newest."""
    row = query.whole("world", default=0, low=1, high=_MOST)
    if row:
        return _world(service, row)
    worlds = service.store.overview.worlds(_WORLDS)
    chosen = next((line for line in worlds if line.tasks), worlds[0] if worlds else None)
    return service.store.world_by_row(chosen.row) if chosen else None


def _world(service: Service, row: int) -> World:
    if not service.store.has_world(row):
        raise Refusal(404, f"There is no world {row}.")
    return service.store.world_by_row(row)


def _view(running: Running, where: page.Whereabouts, world: World | None) -> page.View:
    service = running.service
    tasks = _tasks(service, world, where.before) if world else []
    return page.View(
        now=stamp(service.clock.now_ms()),
        rate=service.clock.state.rate,
        seed=service.seed,
        where=where,
        worlds=[
            (line.row, _KNOWN_KEYS.get(line.key_hash) or f"a {'live' if line.is_live else 'test'} key", line.tasks)
            for line in service.store.overview.worlds(_WORLDS)
        ],
        projects=_projects(service, world) if world else [],
        batches=_batches(service, world) if world else [],
        tasks=tasks[:_TASKS],
        has_older=len(tasks) > _TASKS,
        labelers=_labelers(service, world) if world else [],
        deliveries=_deliveries(service, world) if world else [],
        armed=running.faults.unfired(),
        fired=list(islice(reversed(running.faults.log), _LINES)),
        requests=list(islice(reversed(running.requests), _LINES)),
    )


def _tasks(service: Service, world: World, before: int | None) -> list[tuple[int, dict[str, Any]]]:
    found = service.store.tasks.page(world, TaskFilter(), before=before, limit=_TASKS)
    return [(row, msgspec.json.decode(doc)) for row, doc in found]


def _projects(service: Service, world: World) -> list[dict[str, Any]]:
    found = service.store.catalog.projects(world, is_archived=False)
    return [project.served() for project in found[:_LINES]]


def _batches(service: Service, world: World) -> list[dict[str, Any]]:
    found, _ = service.store.catalog.batches(world, queries.read_batch_query((("limit", str(_LINES)),)))
    return [{**batch.served(), "counts": service.store.catalog.batch_counts(world, batch)} for batch in found]


def _labelers(service: Service, world: World) -> list[page.Labeler]:
    found = []
    for tally in service.store.overview.labelers(world):
        person = labelers.persona(service.seed, tally.labeler)
        found.append(
            page.Labeler(tally.labeler, tally.attempts, tally.mean_secs, person.skill, is_spammer=person.is_spammer)
        )
    return found


def _deliveries(service: Service, world: World) -> list[dict[str, Any]]:
    newest = service.store.labor.deliveries_of(world, newest=_LINES)
    return [deliveries.delivery_shown(each) for each in reversed(newest)]


# buttons


def _pressed(running: Running, asked: Asked) -> dict[str, str]:
    """Read a form, and let nobody press a button without the token."""
    values = {name: value for name, value in read_form(asked).items() if isinstance(value, str)}
    if not _is_token(running, values.get("token", "")):
        raise Refusal(403, "Changing something needs the control_token of this run's ready line.")
    return values


def _again(values: dict[str, str]) -> Answer:
    """Send the browser back to the page, which it then may reload without pressing the button again."""
    kept = {name: values[name] for name in ("world", "token") if values.get(name)}
    return Answer(b"", 303, (("location", f"/_sandbox/?{urlencode(kept)}"), *_SECURITY))


def _number(values: dict[str, str], name: str) -> float:
    try:
        number = float(values.get(name, ""))
    except ValueError:
        number = math.nan
    if not abs(number) <= _MOST:  # not a number is neither less nor more
        raise Refusal(400, f"{name} must be a number of no more than {_MOST:,}.")
    return number


def _world_pressed(service: Service, values: dict[str, str]) -> World:
    return _world(service, queries.Query([*values.items()]).whole("world", default=0, low=1, high=_MOST))


def _steered(asked: Asked, body: dict[str, Any]) -> Asked:
    """Write what a button means as the control call it stands for."""
    headers = {"content-type": "application/json"}
    return Asked("POST", asked.path, (), headers, encode(body), {"name": str(body.get("task", ""))})


def press_advance(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/page/advance, with ``hours``."""
    values = _pressed(running, asked)
    control.set_clock(running, _steered(asked, {"advance_ms": _number(values, "hours") * 3_600_000}))
    return _again(values)


def press_work(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/page/work, with ``days``."""
    values = _pressed(running, asked)
    control.let_work(running, _steered(asked, {"days": _number(values, "days")}))
    return _again(values)


def press_complete(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/page/complete, with ``task``."""
    values = _pressed(running, asked)
    control.complete_task(running, _steered(asked, {"task": values.get("task", "")}))
    return _again(values)


def press_create(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/page/create, with ``world``, ``type`` and the JSON ``body`` of a creation."""
    values = _pressed(running, asked)
    task_type, body = values.get("type", ""), read_form(asked).get("body")  # a form's JSON has been read by then
    headers = {"content-type": "application/json"}
    wanted = Asked("POST", f"/v1/task/{task_type}", (), headers, encode(body), {"name": task_type})
    create_task(running.service, _world_pressed(running.service, values), wanted)
    return _again(values)


def press_reset(running: Running, asked: Asked) -> Answer:
    """POST /_sandbox/page/reset, with ``world``."""
    values = _pressed(running, asked)
    service = running.service
    with service.store.transaction():
        service.store.empty_world(_world_pressed(service, values))
    return _again(values)


Handler = Callable[[Running, Asked], Answer]

PAGE_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/_sandbox", show),
    ("GET", "/_sandbox/", show),
    ("GET", "/_sandbox/style.css", style),
    ("POST", "/_sandbox/page/advance", press_advance),
    ("POST", "/_sandbox/page/work", press_work),
    ("POST", "/_sandbox/page/complete", press_complete),
    ("POST", "/_sandbox/page/create", press_create),
    ("POST", "/_sandbox/page/reset", press_reset),
)
