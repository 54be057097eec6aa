"""The process around the app: a server on a socket that already listens, and how it ends. All that needs uvicorn."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

    from starlette.applications import Starlette

__all__ = ["run"]


#: A client has so long to send the head of a request; the app itself watches over the body.
_HEAD_SECS: Final = 30.0


class _Server(uvicorn.Server):
    """uvicorn, which ends cleanly at a signal instead of raising it once more, and waits for no client for ever."""

    def __init__(self, config: uvicorn.Config, head_secs: float, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._head_secs = head_secs
        self._on_ready = on_ready
        #: The last request of each connection that has none under way, and since when.
        self._idle: dict[Any, tuple[object, float]] = {}

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that it is ready when it is, and not before a signal would end it cleanly."""
        await super().startup(sockets=sockets)
        if not self.should_exit:
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Close connections on which the head of a request does not arrive in time; uvicorn would keep them."""
        now, idle = time.monotonic(), {}
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is None or cycle.response_complete:
                last, since = self._idle.get(connection, (cycle, now))
                idle[connection] = (cycle, since if last is cycle else now)
        self._idle = idle
        for connection, (_, since) in idle.items():
            if now - since > self._head_secs:
                connection.transport.close()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal; only the main thread is told of any."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.should_exit = True


def run(
    app: Starlette,
    sock: socket.socket,
    *,
    on_ready: Callable[[], object] = lambda: None,
    head_secs: float = _HEAD_SECS,
) -> None:
    """Serve until a signal; deliveries that are being written are answered first."""
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        log_level="error",  # it warns of every broken request: strangers must not fill a log
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=512,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 1024,
    )
    _Server(config, head_secs, on_ready).run(sockets=[sock])
