"""The ASGI app: checks, reads and keeps a delivery, then answers it. All that needs Starlette, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from refonte_frames.callbacks.inbox import Arrival, Inbox
from refonte_frames.callbacks.messages import MessageError, is_authentic, read_message
from refonte_frames.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request

__all__ = ["make_app"]

#: Refusals are counted for people to see; they must not buy a stranger a write to the disk each.
_REFUSALS_EVERY_SECS: Final = 1.0

#: The first finds that the folder is another one, the second is in it; more are somebody who removes it all the time.
_OPENINGS: Final = 3

_log = logging.getLogger("refonte_frames")


class _Refused(Exception):
    """A delivery that is not taken: its status, a word for the count, and a sentence."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.reason, self.sentence = status, reason, sentence


@dataclass(frozen=True, slots=True)
class _Limits:
    max_body_bytes: int
    body_timeout_secs: float


def make_app(
    path: str | os.PathLike[str],
    keys: Sequence[bytes],
    *,
    keeps_bodies: bool,
    max_body_bytes: int,
    body_timeout_secs: float,
) -> Starlette:
    """Make the app around one inbox; `keys` are those that a delivery may carry."""
    keepers, limits = _Keepers(path), _Limits(max_body_bytes, body_timeout_secs)

    async def deliver(request: Request) -> Response:
        keeper = keepers.mine()
        try:
            arrival = await _arrival(request, keys, limits, keeps_bodies=keeps_bodies)
            await keeper.keep(arrival)
        except _Refused as refused:
            keeper.count(refused.reason)
            return _answer(refused.status, refused.sentence)
        except ClientDisconnect:
            keeper.count("cut off")
            return _answer(400, "The delivery was cut off.")
        except ExportError as error:
            # The sentence names a path of this machine: for the log, not for the sender.
            _log.error("A callback could not be kept and was answered with 503: %s", error)
            return _answer(503, "The delivery could not be kept; send it again.")
        return JSONResponse({"success": True})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await keepers.close()

    routes = [
        Route("/health", _health, methods=["GET"]),
        Route("/{prefix:path}/health", _health, methods=["GET"]),
        Route("/{path:path}", deliver, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def _answer(status: int, sentence: str) -> Response:
    # Where not all of a body was read, what follows on this connection is no request.
    return JSONResponse({"status_code": status, "error": sentence}, status, {"Connection": "close"})


async def _arrival(request: Request, keys: Sequence[bytes], limits: _Limits, *, keeps_bodies: bool) -> Arrival:
    if not is_authentic(request.scope["headers"], keys):
        raise _Refused(401, "not authentic", "The callback auth header is missing or wrong.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise _Refused(415, "encoded", "The body is encoded; plain JSON is expected.")
    body = await _body(request, limits)
    try:
        message = read_message(body)
    except MessageError as error:
        raise _Refused(400, "no message", str(error)) from None
    # One of an unknown form is kept whole, for people to look at.
    return Arrival(message, body if keeps_bodies or message.kind == "unknown" else None, time.time())


async def _body(request: Request, limits: _Limits) -> bytes:
    too_long = _Refused(413, "too long", f"The body is longer than {limits.max_body_bytes:,} bytes.")
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limits.max_body_bytes:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout_secs):
            async for part in request.stream():
                body += part
                if len(body) > limits.max_body_bytes:
                    raise too_long
    except TimeoutError:
        raise _Refused(408, "too slow", "The body did not arrive in time.") from None
    return bytes(body)


class _Keepers:
    """The keeper of this process: a server that forks after the app was made must not share a connection."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._by_process: dict[int, _Keeper] = {}

    def mine(self) -> _Keeper:
        """Give this process's own."""
        process = os.getpid()
        if process not in self._by_process:
            self._by_process = {process: _Keeper(self._path)}
        return self._by_process[process]

    async def close(self) -> None:
        """Close this process's own; the app may be started once more, with another."""
        keeper = self._by_process.pop(os.getpid(), None)
        if keeper is not None:
            await keeper.close()


class _Keeper:
    """Writes what came to the inbox, all that waits with one commit, from one thread of its own."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._inbox: Inbox | None = None
        self._thread = ThreadPoolExecutor(1, "refonte-callbacks")
        self._waiting: list[tuple[Arrival, asyncio.Future[None]]] = []
        self._refusals: Counter[str] = Counter()
        self._writer: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    async def keep(self, arrival: Arrival) -> None:
        """Return once the delivery is on the disk.

        Raises
        ------
        ExportError
            It could not be written.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await done

    def count(self, reason: str) -> None:
        """Count a refusal; it is written with the next delivery, or a little later."""
        self._refusals[reason] += 1
        if self._later is None:
            loop = asyncio.get_running_loop()
            self._later = loop.call_later(_REFUSALS_EVERY_SECS, self._write_refusals)

    async def close(self) -> None:
        """Write what is left, and close the file."""
        if self._later is not None:
            self._later.cancel()
            self._write_refusals()
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()
        if self._inbox is not None:
            self._inbox.close()

    def _write_refusals(self) -> None:
        self._later = None
        if self._refusals and self._writer is None:
            self._writer = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._waiting or self._refusals:
                waiting, self._waiting = self._waiting, []
                refusals, self._refusals = self._refusals, Counter()
                error: ExportError | None = ExportError("The inbox was closed.")
                try:
                    error = await self._write([arrival for arrival, _ in waiting], refusals)
                finally:
                    # Whatever happened: nobody must wait for ever.
                    for _, done in waiting:
                        _settle(done, error)
        finally:
            self._writer = None

    async def _write(self, arrivals: list[Arrival], refusals: Counter[str]) -> ExportError | None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._commit, arrivals, refusals)
        except ExportError as error:
            return error
        return None

    def _commit(self, arrivals: list[Arrival], refusals: Counter[str]) -> None:
        for _ in range(_OPENINGS):
            if self._inbox is None:
                self._inbox = Inbox(self._path)
            self._inbox.add(arrivals, refusals)
            if self._inbox.is_in_place():
                return
            # Written to a file that nobody will read: the folder was removed or moved away, so once more, into its own.
            self._inbox.close()
            self._inbox = None
        raise ExportError(f"The inbox in {self._path} goes away whenever it is written: who removes that folder?")


def _settle(done: asyncio.Future[None], error: ExportError | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
