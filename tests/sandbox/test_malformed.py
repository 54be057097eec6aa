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


@pytest.mark.parametrize("size", [100, 200_000, 12_000_000])
@pytest.mark.parametrize(
    ("line", "header", "status"),
    [
        ("POST /v1/task/categorization", "Content-Length: many", 400),
        ("POST /v1/task/categorization", "Transfer-Encoding: gzip", 400),
        ("POST /v1/t\xe9", "Content-Length: {size}", 400),
        ("POST /v1/task/categorization", "X-Long: " + "x" * 200_000, 400),
        ("POST /v1/task/categorization", "Content-Length: {size}\r\nAuthorization: Basic bm9ib2R5Og==", 401),
        ("POST /v1/nowhere", "Content-Length: {size}", 404),
        ("BREW /v1/tasks", "Content-Length: {size}", 405),
        ("PATCH /v1/tasks", "Content-Length: {size}", 405),
        ("POST /_sandbox/clock", "Content-Length: {size}", 403),
        ("POST /v1/task/categorization", "Content-Length: {size}\r\nOrigin: http://evil.example", 403),
        ("POST /v1/task/categorization", "Content-Length: {size}\r\nContent-Type: text/xml", 415),
        ("POST /v1/task/categorization", "Content-Length: {size}\r\nContent-Type: application/json", 400),
    ],
)
def test_a_refusal_arrives_however_much_is_being_sent(
    sandbox: Sandbox, live: Any, line: str, header: str, status: int, size: int
) -> None:
    """A client that sends all before it reads anything is answered, not cut off; and the next request works."""
    head = _head(sandbox, "/").replace(b"GET / HTTP", f"{line} HTTP".encode("latin-1"))
    request = head[:-2] + header.format(size=size).encode() + b"\r\n\r\n" + b"{" * size
    found, body = _sent(sandbox, request)
    assert (found, body["status_code"]) == (status, status)
    assert live.total() == 0


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/tasks%2f",
            "/v1/%74asks",
            "/v1//tasks",
            "/v1/tasks/",
            "/V1/tasks",
            "/v1/tasks%3flimit=1",
            "/v1/../v1/tasks",
        ),
        *("/v1/batches/%", "/v1/batches/%zz", "/v1/batches/%00", "/v1/batches/..%2f..%2ftasks", "/v1/batches/%2e%2e"),
        *("/v1/batches/%ed%a0%80", "/v1/batches/%c0%af", "/v1/batches/%25252f", "/", "//", "*", "/v1/task/%0d%0aX:1"),
    ],
)
def test_tricks_with_a_path_lead_nowhere(sandbox: Sandbox, live: Any, path: str) -> None:
    """Paths are matched as they are on the wire; a name in one is decoded once, and names nothing that is there."""
    status, body = _sent(sandbox, _head(sandbox, path))
    assert (status, body["status_code"]) == (404, 404)
    assert live.total() == 0


@pytest.mark.parametrize(
    "line", ["POST /v1/nowhere", "PATCH /v1/tasks", "POST /v1/task/categorization", "POST /_sandbox/clock"]
)
def test_a_refusal_leaves_the_connection_as_it_was(sandbox: Sandbox, line: str) -> None:
    """The next request on it is answered; what was left of the first body is not taken for one."""
    size = 300_000
    head = _head(sandbox, "/").replace(b"GET / HTTP", f"{line} HTTP".encode())
    refused = head[:-2] + f"Content-Length: {size}\r\n\r\n".encode() + b"GET / HTTP/1.1\r\n\r\n".ljust(size, b"x")
    address = urlsplit(sandbox.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as sock:
        with sock.makefile("rb") as reply:
            for request, wanted in ((refused, (400, 403, 404, 405)), (_head(sandbox, "/v1/tasks"), (200,))):
                sock.sendall(request)
                status = int(reply.readline().split()[1])
                headers = dict(line.decode().lower().strip().split(": ", 1) for line in iter(reply.readline, b"\r\n"))
                reply.read(int(headers["content-length"]))
                assert status in wanted


@pytest.mark.parametrize("begun", [b"", b"GET /v1/ta", b"POST /v1/task/categorization HTTP/1.1\r\nHost: 127"])
def test_a_request_that_never_ends_holds_nobody_up(sandbox: Sandbox, live: Any, begun: bytes) -> None:
    """Nor does one whose body stops short; others are answered meanwhile, and hanging up is no error."""
    address = urlsplit(sandbox.url)
    body = (
        _head(sandbox, "/").replace(b"GET / ", b"POST /v1/task/categorization ")[:-2] + b"Content-Length: 100\r\n\r\n{"
    )
    for part in (begun, body):
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as sock:
            sock.sendall(part)
            assert live.total() == 0
    assert live.total() == 0


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
