"""The process around the app, and the app in a server of the user's own that starts and stops it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Literal

import pytest

import refonte_frames as rf
from refonte_frames.callbacks.inbox import Inbox

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

#: A receiver that has little patience; it prints its port.
IMPATIENT = """
import socket, sys
import refonte_frames as rf
from refonte_frames.callbacks.serving import run
sock = socket.create_server(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
run(rf.callbacks.app(sys.argv[1], auth_key="key", body_timeout_secs=0.3), sock, head_secs=0.3)
"""


def test_a_client_that_never_finishes_is_hung_up_on(tmp_path: Path) -> None:
    """Its head or its body: else a few thousand of them would take all connections; a body may come again."""
    command = [sys.executable, "-c", IMPATIENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        place = ("127.0.0.1", int(process.stdout.readline()))
        try:
            with socket.create_connection(place, timeout=30) as silent, socket.create_connection(place, 30) as slow:
                slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
                with socket.create_connection(place, 30) as half:
                    head = b"POST / HTTP/1.1\r\nHost: x\r\nrefonte-ai--callback-auth: key\r\nContent-Length: 9\r\n\r\n"
                    half.sendall(head + b'{"task')
                    assert half.recv(100).startswith(b"HTTP/1.1 408")
                assert [silent.recv(100), slow.recv(100)] == [b"", b""]
        finally:
            process.terminate()


async def _deliver(app: Starlette, task_id: str) -> int:
    """Deliver to the app as a server does; gives the status."""
    body, statuses = json.dumps({"task_id": task_id, "status": "completed"}).encode(), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = [(b"refonte-ai--callback-auth", b"key")]
    scope = {"type": "http", "method": "POST", "path": "/", "root_path": "", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    return statuses[0]


def test_an_app_that_was_stopped_can_be_started_again(tmp_path: Path) -> None:
    """Tests of the user's own server start and stop it once each."""
    app = rf.callbacks.app(tmp_path, auth_key="key")

    async def live(task_id: str) -> int:
        async with app.router.lifespan_context(app):
            return await asyncio.wait_for(_deliver(app, task_id), 30)

    assert [asyncio.run(live(task_id)) for task_id in ("a", "b")] == [200, 200]
    assert rf.callbacks.received(tmp_path)["name"].tolist() == ["a", "b"]


@pytest.mark.parametrize(("verify", "is_kept"), [("refetch", False), ("body", True)])
def test_a_body_is_kept_where_exports_are_to_believe_it(
    tmp_path: Path, verify: Literal["refetch", "body"], *, is_kept: bool
) -> None:
    """Else it is a hint, and the task is read from the service."""
    app = rf.callbacks.app(tmp_path, auth_key="key", verify=verify)

    async def live() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(_deliver(app, "a"), 30)

    asyncio.run(live())
    with Inbox(tmp_path) as inbox:
        (hint,) = inbox.waiting(10)
    assert (hint.task_id, hint.body is not None) == ("a", is_kept)
