"""The process around the app: a server on a socket that already listens, and how it ends. All that needs uvicorn."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from types import FrameType

    from starlette.applications import Starlette

__all__ = ["run"]


class _Server(uvicorn.Server):
    """uvicorn, which ends cleanly at a signal instead of raising it once more."""

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


def run(app: Starlette, sock: socket.socket) -> None:
    """Serve until a signal; deliveries that are being written are answered first."""
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=512,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=64 * 1024,
    )
    _Server(config).run(sockets=[sock])
