"""The ASGI application: who may call, which route is meant, what goes wrong on order, and how the answer leaves."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import math
import re
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from refonte_frames.api import IDEMPOTENCY_HEADER
from refonte_frames.sandbox import queries, results, wire, work
from refonte_frames.sandbox.clock import http_date
from refonte_frames.sandbox.control import CONTROL_ROUTES
from refonte_frames.sandbox.control_openapi import control_document
from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, refusal_answer
from refonte_frames.sandbox.files import MAX_FILE_BYTES
from refonte_frames.sandbox.openapi import document
from refonte_frames.sandbox.page_routes import PAGE_ROUTES, refusal_page
from refonte_frames.sandbox.routes import ROUTES
from refonte_frames.sandbox.task_routes import create_task, save_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from refonte_frames.sandbox.faults import Order, Rule
    from refonte_frames.sandbox.running import Running

__all__ = ["MAX_BODY_BYTES", "TOKEN_HEADER", "make_app"]

MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_UPLOAD_BYTES = MAX_FILE_BYTES + 1024 * 1024  # the form around the file
TOKEN_HEADER = "x-sandbox-token"  # noqa: S105 - a header's name

_KEY = re.compile(r"(test|live)_([a-z0-9-]{1,24})")
_UNAUTHORIZED = Refusal(401, "A valid API key is required.", (("www-authenticate", 'Basic realm="Refonte AI"'),))

#: They tell nothing that the package does not.
_PUBLIC = frozenset(
    {
        "/_sandbox/ready",
        "/_sandbox/fidelity",
        "/_sandbox/openapi.json",
        "/_sandbox/openapi-control.json",
        f"{results.PATH}/{{recipe}}/{{name}}",
    }
)

#: Of a key that is held to next to nothing.
_LONGEST_WAIT_SECS = 86_400

_IN_FLIGHT = Refusal(429, "A request with this Idempotency-Key is being processed; try again.")


def make_app(running: Running) -> ASGIApp:
    """Build the application of a running sandbox."""
    api = _grouped([(verb, f"/v1{path}", handler) for verb, path, handler in ROUTES])
    routes = [_route(path, _ApiCall(running, verbs), verbs) for path, verbs in api.items()]
    control = _grouped(_STEERING)
    routes += [_route(path, _ControlCall(running, verbs, path in _PUBLIC), verbs) for path, verbs in control.items()]
    pages = _grouped(PAGE_ROUTES)
    routes += [_route(path, _PageCall(running, verbs), verbs) for path, verbs in pages.items()]
    handlers: Mapping[Any, Callable[[Request, Any], Any]] = {404: _not_found, 405: _wrong_verb, Exception: _crash}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return _Door(app, running)


def _show_openapi(_running: Running, asked: Asked) -> Answer:
    """GET /_sandbox/openapi.json."""
    base_url = f"http://{asked.headers['host']}/v1"
    return Answer.of(document([(verb, path) for verb, path, _ in ROUTES], base_url))


def _show_control_openapi(running: Running, _asked: Asked) -> Answer:
    """GET /_sandbox/openapi-control.json."""
    routes = [(verb, path) for verb, path, _ in _STEERING]
    return Answer.of(control_document(routes, _PUBLIC, running.url, TOKEN_HEADER))


_STEERING = (
    *CONTROL_ROUTES,
    ("GET", "/_sandbox/openapi.json", _show_openapi),
    ("GET", "/_sandbox/openapi-control.json", _show_control_openapi),
)


def _grouped(routes: Sequence[tuple[str, str, Any]]) -> dict[str, dict[str, Any]]:
    """Gather the verbs of each path, so that a wrong verb can name the right ones."""
    found: dict[str, dict[str, Any]] = {}
    for verb, path, handler in routes:
        found.setdefault(path, {})[verb] = handler
    return found


def _route(path: str, call: _Call, verbs: Mapping[str, Any]) -> Route:
    route = Route(path, call, methods=list(verbs))
    route.methods = set(verbs)  # without the HEAD that Starlette adds to every GET: it is not documented
    return route


def _response(answer: Answer, now_ms: int) -> Response:
    headers = {"content-type": "application/json", "date": http_date(now_ms), **dict(answer.headers)}
    return Response(answer.body, answer.status, headers)


def _refused(request: Request, refusal: Refusal) -> Response:
    return _response(refusal_answer(refusal), request.scope["sandbox"].service.clock.now_ms())


async def _not_found(request: Request, _error: Exception) -> Response:
    return _refused(request, Refusal(404, f"There is no {request.scope['path']}."))


async def _wrong_verb(request: Request, error: Any) -> Response:
    allowed = tuple((name.lower(), value) for name, value in (error.headers or {}).items())
    return _refused(request, Refusal(405, f"{request.method} is not possible on {request.scope['path']}.", allowed))


async def _crash(request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer, so that its traceback reaches the server's stderr.
    return _refused(request, Refusal(500, "The sandbox failed; its standard error says why. This is a bug in it."))


class _Door:
    """Let in who asks for this server by its own name, and hand the path on as it was on the wire."""

    def __init__(self, app: ASGIApp, running: Running) -> None:
        self._app = app
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Routes are matched on the raw path and its segments decoded afterwards: names may hold slashes.
        inner = {**scope, "path": self._path(scope["raw_path"].decode("latin-1")), "sandbox": self._running}
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        is_ours = headers.get(b"host", "").lower() in self._running.hosts
        origin = headers.get(b"origin")
        is_foreign = origin is not None and origin.removeprefix("http://") not in self._running.hosts
        if is_ours and not is_foreign and headers.get(b"sec-fetch-site") != "cross-site":
            await self._app(inner, receive, send)
            return
        refusal = Refusal(403, "The sandbox answers to its own loopback address only, and not to other web pages.")
        await _response(refusal_answer(refusal), self._running.service.clock.now_ms())(inner, receive, send)

    def _path(self, target: str) -> str:
        """Take our own address off the whole URL that a client which sees a proxy in us asks for (RFC 9112, 3.2.2)."""
        scheme, _, rest = target.partition("://")
        host, slash, path = rest.partition("/")
        is_ours = scheme.lower() == "http" and host.lower() in self._running.hosts
        return slash + path if is_ours else target


class _Gone(Exception):
    """The client hung up before its request was complete."""


class _Call(ABC):
    """What API and control calls have in common: reading the request and finding the verb's handler."""

    def __init__(self, running: Running, verbs: Mapping[str, Any]) -> None:
        self._running = running
        self._verbs = verbs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            limit = MAX_UPLOAD_BYTES if scope["path"] == "/v1/files/upload" else MAX_BODY_BYTES
            asked = _asked(scope, await _body(receive, limit))
            await self._answer(asked, scope, receive, send)
        except Refusal as refusal:
            await self._send(refusal_answer(refusal), scope, receive, send)
        except _Gone:
            return

    @abstractmethod
    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None: ...

    async def _send(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        await _response(self._addressed(answer), self._running.service.clock.now_ms())(scope, receive, send)

    def _addressed(self, answer: Answer) -> Answer:
        """Let links to result files lead here, whatever port the server had when they were written."""
        return replace(answer, body=results.addressed(answer.body, self._running.url))

    def _handler(self, asked: Asked) -> Any:
        return self._verbs[asked.method]


async def _body(receive: Receive, limit: int) -> bytes:
    """Read the whole body, even one that is too long: a client that still sends would not see the answer."""
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        if size <= limit:
            parts.append(part)
        if not message.get("more_body"):
            break
    if size > limit:
        raise Refusal(413, f"The request body has {size:,} bytes; at most {limit:,} are accepted.")
    return b"".join(parts)


def _asked(scope: Scope, body: bytes) -> Asked:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = queries.read_query(scope["query_string"])
    try:
        names = {name: unquote(text, errors="strict") for name, text in scope["path_params"].items()}
    except UnicodeError:
        raise Refusal(404, f"There is no {scope['path']}.") from None
    return Asked(scope["method"], scope["path"], query, headers, body, names)


class _ApiCall(_Call):
    """A documented call: authenticated, possibly sabotaged, answered, noted."""

    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        running = self._running
        order = running.faults.order(asked)
        status = None
        try:
            status = await self._answer_or_spoil(order, replace(asked, twists=order.twists), scope, receive, send)
        finally:
            running.note(asked, order, status)
            running.postman.wake_if_due()

    async def _answer_or_spoil(
        self, order: Order, asked: Asked, scope: Scope, receive: Receive, send: Send
    ) -> int | None:
        """Give the status that was sent; None when an ordered fault left no whole answer."""
        rule = order.rule
        answer = self._handle(asked) if rule is None else await self._sabotage(rule, asked)
        if answer is not None:
            await self._send(answer, scope, receive, send)
            return answer.status
        if rule is not None:
            await self._spoil(rule, asked, scope, receive)
        return None

    async def _spoil(self, rule: Rule, asked: Asked, scope: Scope, receive: Receive) -> None:
        real = self._handle(asked) if rule.acts_first else refusal_answer(Refusal(500, "Sabotaged before it was read."))
        date = http_date(self._running.service.clock.now_ms())
        headers = (("content-type", "application/json"), ("date", date), ("connection", "close"), *real.headers)
        connection = wire.connection_of(scope["client"])
        if connection is not None:
            await wire.spoil(rule, self._addressed(real), headers, connection)
        await receive()  # until the server has noticed that the connection is gone

    async def _sabotage(self, rule: Rule, asked: Asked) -> Answer | None:
        """Carry out the faults that end in a whole answer; None for those that damage the bytes."""
        service = self._running.service
        if rule.action == "delay":
            return await self._delayed(rule, asked)
        later_ms = int((rule.retry_after_date_secs or 0) * 1000)
        answer = wire.answer_of_rule(rule, http_date(service.clock.now_ms() + later_ms))
        if answer is None:
            return None
        if rule.acts_first:
            self._handle(asked)
        if rule.is_saved and self._idempotency_key(asked):
            world = self._world(asked)
            with service.store.transaction():
                save_reply(service, world, asked, answer)
        return answer

    async def _delayed(self, rule: Rule, asked: Asked) -> Answer:
        if rule.acts_first:
            answer = self._handle(asked)
            await asyncio.sleep(rule.secs)
            return answer
        flight = self._flight(asked)
        if flight in self._running.in_flight:
            return self._handle(asked)
        self._running.in_flight.update({flight} if flight else ())
        try:
            await asyncio.sleep(rule.secs)
        finally:
            self._running.in_flight.discard(flight)
        return self._handle(asked)

    def _handle(self, asked: Asked) -> Answer:
        """Carry the request out, from its key to its COMMIT, without giving way to another one."""
        service = self._running.service
        try:
            world = self._world(asked)
            self._keep_pace(world)
            if self._flight(asked) in self._running.in_flight:
                return refusal_answer(_IN_FLIGHT)
            work.catch_up(service)
            answer: Answer = self._handler(asked)(service, world, asked)
        except Refusal as refusal:
            return refusal_answer(refusal)
        return answer

    def _keep_pace(self, world: World) -> None:
        per_sec = self._running.service.switches.requests_per_sec
        wait_secs = self._running.pace.wait_secs(world.row, per_sec, time.monotonic()) if per_sec else 0
        if wait_secs:
            told = (("retry-after", str(math.ceil(min(wait_secs, _LONGEST_WAIT_SECS)))),)
            raise Refusal(429, f"Too many requests: at most {per_sec:g} per second.", told)

    def _world(self, asked: Asked) -> World:
        key = _key_of(asked.headers.get("authorization", ""))
        found = _KEY.fullmatch(key) if key else None
        if not found:
            raise _UNAUTHORIZED
        return self._running.service.world_of(key, name=found[2], is_live=found[1] == "live")

    def _idempotency_key(self, asked: Asked) -> str:
        is_creation = self._verbs.get(asked.method) is create_task
        return asked.headers.get(IDEMPOTENCY_HEADER.lower(), "") if is_creation else ""

    def _flight(self, asked: Asked) -> tuple[bytes, str] | None:
        key = self._idempotency_key(asked)
        return (self._world(asked).account, key) if key else None


def _key_of(authorization: str) -> str:
    """Give the user of Basic authentication with an empty password; empty text for anything else."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        return ""
    return user if colon and not password else ""


class _ControlCall(_Call):
    """A call that steers the sandbox itself: it needs this run's token, unless it tells nothing that matters."""

    def __init__(self, running: Running, verbs: Mapping[str, Any], is_public: bool) -> None:  # noqa: FBT001 - one call
        super().__init__(running, verbs)
        self._is_public = is_public

    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        given = asked.headers.get(TOKEN_HEADER, "").encode("latin-1")
        if not self._is_public and not hmac.compare_digest(given, self._running.token.encode()):
            raise Refusal(403, f"The header {TOKEN_HEADER} must hold the control_token of this run's ready line.")
        answer = self._handler(asked)(self._running, asked)
        # Whoever moved the clock or ended a task finds everything that follows from it done.
        await self._running.postman.deliver_due()
        await self._send(answer, scope, receive, send)


class _PageCall(_Call):
    """A call of the page: anybody who gets past the door may look, and a form brings the token itself."""

    async def _answer(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = self._handler(asked)(self._running, asked)
            if asked.method == "POST":
                await self._running.postman.deliver_due()
        except Refusal as refusal:
            answer = refusal_page(refusal)
        await self._send(answer, scope, receive, send)
