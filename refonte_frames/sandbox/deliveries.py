"""Callbacks: what is said when a task or batch ends, to whom, and the tries on the sandbox's clock (contract 3)."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Refusal, encode
from refonte_frames.sandbox.labor_table import Delivery, Mail
from refonte_frames.sandbox.results import addressed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from refonte_frames.sandbox.labor_table import Event
    from refonte_frames.sandbox.lifecycle import Task
    from refonte_frames.sandbox.rules import Batch
    from refonte_frames.sandbox.service import Service

__all__ = ["RETRY_SECS", "Postman", "auth_key", "delivery_shown", "plan_batch", "plan_resend", "plan_task"]

#: 20 more tries within 24 hours are documented, their spacing is not: doubling from half a minute, capped.
RETRY_SECS = tuple(min(30 * 2**n, 6000) for n in range(20))

_TIMEOUT_SECS = 10.0
_AT_ONCE = 8
#: The seeds' spelling and that of another page; receivers may look for either.
_AUTH_HEADERS = ("refonte-ai--callback-auth", "refonte.ai-callback-auth")


def auth_key(service: Service, world: int) -> str:
    """Give the callback auth key that a world's dashboard would show."""
    secret = service.token_secret
    return "cb_" + blake2b(f"callback:{world}".encode(), key=secret[:64], digest_size=16).hexdigest()


def plan_task(service: Service, task: Task, moment_ms: int) -> None:
    """Plan the callback of a task that completed or failed; inside a transaction."""
    target = task.doc.get("callback_url") or service.store.default_callback_url(task.world)
    if not target or task.status not in ("completed", "error"):
        return
    body = {"task": task.doc, "response": task.doc["response"], "task_id": task.task_id, "status": task.status}
    _plan(service, moment_ms, task.world, task.row, {"target": target, "tries": 0, "body": body})


def plan_batch(service: Service, world: int, batch: Batch, counts: Mapping[str, int], moment_ms: int) -> None:
    """Plan the callback of a completed batch; inside a transaction."""
    if not batch.callback:
        return
    stats = {status: n for status, n in counts.items() if n and status != "pending"}
    body = {"batch": batch.name, "status": "completed", "stats": stats}
    _plan(service, moment_ms, world, 0, {"target": batch.callback, "tries": 0, "body": body})


def plan_resend(service: Service, task: Task, now_ms: int) -> None:
    """Plan the same callback again, with a new series of tries.

    Raises
    ------
    Refusal
        400 when the task has not ended so, or nobody is to be called.
    """
    target = task.doc.get("callback_url") or service.store.default_callback_url(task.world)
    if task.status not in ("completed", "error"):
        raise Refusal(400, f"The task {task.task_id} is {task.status}; only completed or failed tasks are called back.")
    if not target:
        raise Refusal(400, f"The task {task.task_id} has no callback_url.")
    plan_task(service, task, now_ms)


def _plan(service: Service, due_ms: int, world: int, task: int, value: dict[str, Any]) -> None:
    service.store.labor.add_event(due_ms, "callback", world, task, value)
    service.next_callback_ms = min(due_ms, service.next_callback_ms or due_ms)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one try came to; the status is None when no answer came."""

    status: int | None
    note: str

    @property
    def is_well(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Postman:
    """Delivers what is due, in the background and before a control call answers.

    Parameters
    ----------
    service : Service
        Whose callbacks.
    url : str
        Where the server listens: links to result files lead there.
    allowed_hosts : frozenset of str
        Hosts besides loopback that may be called: a sandbox must not become a way into somebody's network.
    """

    def __init__(self, service: Service, url: str, allowed_hosts: frozenset[str] = frozenset()) -> None:
        self._service = service
        self._url = url
        self._allowed_hosts = allowed_hosts
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()

    def wake_if_due(self) -> None:
        """Look again if something is due: one may have been planned since the last look."""
        due_ms = self._service.next_callback_ms
        if due_ms is not None and due_ms <= self._service.clock.now_ms():
            self._wake.set()

    async def run(self) -> None:
        """Deliver for as long as the server runs."""
        while True:
            await self.deliver_due()
            self._wake.clear()
            try:
                async with asyncio.timeout(self._pause_secs()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _pause_secs(self) -> float | None:
        due_ms, clock = self._service.next_callback_ms, self._service.clock
        if due_ms is None or not clock.state.rate:
            return None
        return max(0.0, (due_ms - clock.now_ms()) / 1000 / clock.state.rate)

    async def deliver_due(self) -> int:
        """Make every try that is due by now, also those that follow from failed ones; returns how many."""
        service, done = self._service, 0
        async with self._lock:
            while due := service.store.labor.due_events("callback", service.clock.now_ms(), _AT_ONCE):
                outcomes = await asyncio.gather(*(self._try(event) for event in due))
                with service.store.transaction():
                    for event, outcome in zip(due, outcomes, strict=True):
                        _settle(service, event, outcome)
                done += len(due)
            service.next_callback_ms = service.store.labor.next_event_ms("callback")
        self._wake.set()
        return done

    async def _try(self, event: Event) -> _Outcome:
        target = event.value["target"]
        if "://" not in target:
            return _Outcome(200, "mailed")
        if not self._is_allowed(target):
            return _Outcome(None, "not sent: the sandbox calls loopback addresses only, unless it is told otherwise")
        key = auth_key(self._service, event.world)
        return await _post(target, addressed(encode(event.value["body"]), self._url), key)

    def _is_allowed(self, url: str) -> bool:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return False
        try:
            return ipaddress.ip_address(host).is_loopback or host in self._allowed_hosts
        except ValueError:
            return host == "localhost" or host in self._allowed_hosts


async def _post(url: str, body: bytes, key: str) -> _Outcome:
    """Make one try; redirects are not followed, and of the answer only the status is read."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECS):
            return _Outcome(await _status_of(urlsplit(url), body, key), "")
    except (OSError, ValueError, IndexError) as error:
        return _Outcome(None, f"{type(error).__name__}: {error}")


async def _status_of(url: SplitResult, body: bytes, key: str) -> int:
    is_tls = url.scheme.lower() == "https"
    host, port = url.hostname or "", url.port or (443 if is_tls else 80)
    headers = {"Host": url.netloc.rpartition("@")[2], "Content-Type": "application/json"}
    headers |= {"Content-Length": str(len(body)), "Connection": "close", **dict.fromkeys(_AUTH_HEADERS, key)}
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    reader, writer = await asyncio.open_connection(host, port, ssl=is_tls or None)
    try:
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()


def _settle(service: Service, event: Event, outcome: _Outcome) -> None:
    """Note a try, and what follows: success, the next try, or giving up; nothing when its world was emptied."""
    labor, tries = service.store.labor, event.value["tries"] + 1
    if not labor.take_event(event):
        return
    target, body = event.value["target"], event.value["body"]
    name = body.get("task_id") or body.get("batch") or ""
    labor.add_delivery(Delivery(event.world, name, target, tries, event.due_ms, outcome.status, outcome.note))
    if outcome.note == "mailed":
        labor.add_mail(Mail(event.world, "hello@refonte.ai", target, event.due_ms, encode(body).decode()))
    if not outcome.is_well and tries <= len(RETRY_SECS):
        due_ms = event.due_ms + RETRY_SECS[tries - 1] * 1000
        labor.add_event(due_ms, "callback", event.world, event.task, {**event.value, "tries": tries})
        return
    task = service.store.tasks.by_row(event.task) if event.task else None
    if task is not None:
        # Two names are documented for one thing; both are served, with one value.
        told = {"callback_succeeded": outcome.is_well, "callback_completed": outcome.is_well}
        service.store.tasks.save(replace(task, doc={**task.doc, **told}))


def delivery_shown(delivery: Delivery) -> dict[str, Any]:
    """Give a try as the control API does."""
    return {
        "of": delivery.name,
        "target": delivery.target,
        "number": delivery.number,
        "at": stamp(delivery.at_ms),
        "status": delivery.status,
        "note": delivery.note,
    }
