"""Requests that are no good HTTP, or too much of it: refused in the documented shape, and the next one works."""

from __future__ import annotations

import base64
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from refonte_frames.sandbox.session import Sandbox


def _sent(sandbox: Sandbox, request: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes and read one JSON answer."""
    address = urlsplit(sandbox.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as sock:
        sock.sendall(request)
        with sock.makefile("rb") as reply:
            status = int(reply.readline().split()[1])
            headers = dict(line.decode().lower().strip().split(": ", 1) for line in iter(reply.readline, b"\r\n"))
            assert headers["content-type"] == "application/json"
            return status, json.loads(reply.read(int(headers["content-length"])))


def _head(sandbox: Sandbox, target: str, *more: str) -> bytes:
    user = base64.b64encode(b"live_malformed:").decode()
    lines = [f"GET {target} HTTP/1.1", f"Host: {urlsplit(sandbox.url).netloc}", f"Authorization: Basic {user}", *more]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("target", "more"),
    [
        ("/v1/tasks", ("Content-Length: many",)),
        ("/v1/tasks", ("Host: twice.example",)),
        ("/v1/t\xe9", ()),
        ("/v1/tasks", ("no colon",)),
    ],
)
def test_what_is_no_http_is_400_in_the_documented_shape(sandbox: Sandbox, target: str, more: tuple[str, ...]) -> None:
    """Not a line of plain text, which a client that reads `error` could not show."""
    status, body = _sent(sandbox, _head(sandbox, target, *more))
    assert (status, body["status_code"]) == (400, 400)
    assert body["error"]


def test_a_whole_url_as_target_is_understood(sandbox: Sandbox) -> None:
    """Clients that take us for a proxy write it so, and every server must accept it."""
    status, body = _sent(sandbox, _head(sandbox, f"{sandbox.base_url}/tasks"))
    assert (status, body["total"]) == (200, 0)


def test_a_whole_url_of_another_host_is_unknown(sandbox: Sandbox) -> None:
    """Nothing is fetched or answered for somebody else."""
    assert _sent(sandbox, _head(sandbox, "http://other.example/v1/tasks"))[0] == 404


def test_more_tags_than_sqlite_unites_are_looked_up(live: Any) -> None:
    """A filter of 700 tags finds the task that has one of them."""
    task = live.task(tags=["t650"])
    query = [("tags", f"t{number}") for number in range(700)]
    page = live.ok("GET", "/tasks", params=query)
    assert ([found["task_id"] for found in page["docs"]], page["total"]) == ([task["task_id"]], 1)
