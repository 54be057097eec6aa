"""The process around the application: arguments, the listening socket, the ready line, and how it ends."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from refonte_frames.sandbox.app import make_app
from refonte_frames.sandbox.deliveries import Postman
from refonte_frames.sandbox.faults import Faults
from refonte_frames.sandbox.running import Running
from refonte_frames.sandbox.service import Service
from refonte_frames.sandbox.store import Store, StoreError
from refonte_frames.sandbox.wire import TrackedProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["main"]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal, or the end of standard input with ``--exit-with-parent``.

    Returns
    -------
    int
        0 after a clean end, 2 when it could not start.
    """
    options = _parser().parse_args(arguments)
    try:
        store = Store(options.db)
    except StoreError as error:
        return _cannot_start(error)
    try:
        service = Service.open(store, options.seed, is_strict=options.strict)
        sock = _listen(options.host, options.port)
    except (StoreError, OSError) as error:
        store.close()
        return _cannot_start(error)
    port = sock.getsockname()[1]
    hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
    url = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}"
    postman = Postman(service, url, frozenset(options.allow_callback_host))
    running = Running(service, Faults(service.seed), postman, secrets.token_urlsafe(24), url, hosts)
    try:
        asyncio.run(_serve(running, sock, exits_with_parent=options.exit_with_parent))
    finally:
        with store.transaction():
            service.keep_time()
        store.close()
    return 0


def _cannot_start(error: Exception) -> int:
    sys.stderr.write(f"The sandbox cannot start: {error}\n")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m refonte_frames.sandbox",
        description="A local server that behaves as the Refonte AI API is documented to.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--host", choices=_LOOPBACK, default="127.0.0.1", help="a loopback address")
    parser.add_argument("--db", type=_at_home, help="a durable database file; default: a temporary one")
    parser.add_argument("--seed", type=int, help="of the simulated labelers; a durable file keeps its own (default 0)")
    parser.add_argument("--strict", action="store_true", help="unknown parameters are 400, not just a warning")
    parser.add_argument(
        "--allow-callback-host",
        action="append",
        default=[],
        metavar="HOST",
        help="callbacks may go to this host too; by default to loopback addresses only",
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="end when standard input is closed")
    return parser


def _at_home(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises for ~nobody


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    # Named as TCP, because asyncio switches Nagle's delay off (40 ms an answer) only where the protocol is.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise OSError(f"port {port} of {host} cannot be used ({error.strerror})") from error
    return sock


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which would end the process with the signal instead of cleanly."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `_serve`."""
        yield


async def _serve(running: Running, sock: socket.socket, *, exits_with_parent: bool) -> None:
    config = uvicorn.Config(
        make_app(running),
        http=TrackedProtocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=512,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=128 * 1024,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    if exits_with_parent:
        threading.Thread(target=_wait_for_end_of_stdin, args=(loop, stop), daemon=True).start()
    _say_ready(running)
    deliveries = asyncio.create_task(running.postman.run())
    await server.serve(sockets=[sock])
    deliveries.cancel()


def _wait_for_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    # Not sys.stdin: its lock, held by this thread, would make the interpreter's own end fail.
    while os.read(sys.stdin.fileno(), 4096):
        pass
    with contextlib.suppress(RuntimeError):  # the loop may have ended by itself meanwhile
        loop.call_soon_threadsafe(stop)


def _say_ready(running: Running) -> None:
    """Print the one line; connections are queued by the listening socket from here on."""
    url = running.url
    line = {"url": url, "base_url": f"{url}/v1", "pid": os.getpid(), "control_token": running.token}
    line["page_url"] = f"{url}/_sandbox/?token={running.token}"
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
