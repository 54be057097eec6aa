"""The receiver as the service and a stranger see it: a real process on a real port."""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd
import pytest

import refonte_frames as rf
from refonte_frames.callbacks.inbox import Inbox
from refonte_frames.callbacks.receiver import counts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "cb_the_key_of_the_dashboard"
HEADER = "refonte-ai--callback-auth"


@contextmanager
def receiving(
    path: Path, key: str = KEY, host: str = "127.0.0.1", *options: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the receiver of the command line; gives its URL and its process."""
    command = [
        sys.executable,
        "-m",
        "refonte_frames.cli",
        "callbacks",
        "serve",
        str(path),
        "--port",
        "0",
        "--host",
        host,
        *options,
    ]
    environment = os.environ | {"REFONTE_CALLBACK_AUTH_KEY": key}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, encoding="utf-8"
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield json.loads(line)["url"], process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def deliver(
    url: str, body: bytes, headers: dict[str, str] | None = None, path: str = "/"
) -> tuple[int, dict[str, Any]]:
    """Deliver once, over a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("POST", path, body, {HEADER: KEY} if headers is None else headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def task_body(number: int, status: str = "completed") -> bytes:
    """Make what the service delivers for a task."""
    task = {"task_id": f"{number:024x}", "status": status, "completed_at": "2020-07-01T00:00:00.000Z"}
    return json.dumps({"task": task, "response": {}, "task_id": task["task_id"], "status": status}).encode()


def test_a_delivery_is_acknowledged_and_then_shown(tmp_path: Path) -> None:
    """Whatever the path in the URL: 200 means that it is in the inbox."""
    with receiving(tmp_path) as (url, _):
        assert deliver(url, task_body(1), path="/some/hook?x=1") == (200, {"success": True})
        seen = rf.callbacks.received(tmp_path)
    assert seen[["kind", "name", "status", "times"]].values.tolist() == [["task", f"{1:024x}", "completed", 1]]
    assert seen["outcome"].isna().all()
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert f"{1:024x}".encode() in written
    assert KEY.encode() not in written


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, task_body(1), 401),
        ({HEADER: "forged"}, task_body(1), 401),
        ({HEADER: ""}, task_body(1), 401),
        ({HEADER: KEY}, b"{", 400),
        ({HEADER: KEY}, b'{"task_id": "a", "task": {"task_id": "b"}}', 400),
        ({HEADER: KEY, "Content-Encoding": "gzip"}, b"\x1f\x8b", 415),
        ({HEADER: KEY}, b" " * (17 * 2**20), 413),
        ({HEADER: KEY}, b"[" * 10_000, 400),
    ],
)
def test_what_is_forged_broken_or_huge_is_refused_and_nothing_of_it_kept(
    receiver_url: tuple[str, Path], headers: dict[str, str], body: bytes, status: int
) -> None:
    """Each refusal has its status and a sentence, and the next delivery works."""
    url, root = receiver_url
    before = len(rf.callbacks.received(root))
    try:
        got, answer = deliver(url, body, headers)
        assert (got, answer["status_code"]) == (status, status)
        assert KEY not in answer["error"]
    except (BrokenPipeError, ConnectionResetError):
        assert status == 413  # it was answered before the whole of it was written
    assert len(rf.callbacks.received(root)) == before
    assert deliver(url, task_body(0))[0] == 200


@pytest.fixture(scope="module")
def receiver_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """One receiver for several tests, with its folder."""
    root = tmp_path_factory.mktemp("inbox")
    with receiving(root) as (url, _):
        deliver(url, task_body(0))
        yield url, root


def test_an_endless_body_without_a_length_is_cut_off(receiver_url: tuple[str, Path]) -> None:
    """A body that is longer than allowed is refused also when it announces no length."""
    url, _ = receiver_url
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=30) as sock:
        head = f"POST / HTTP/1.1\r\nHost: {place.netloc}\r\n{HEADER}: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        answer = b""
        try:
            for _ in range(17):
                sock.sendall(chunk)
            answer = sock.recv(1000)
        except (BrokenPipeError, ConnectionResetError):
            return
    assert answer.startswith(b"HTTP/1.1 413")


def test_other_verbs_are_refused_and_health_is_told(receiver_url: tuple[str, Path]) -> None:
    """A look from outside changes nothing."""
    connection = http.client.HTTPConnection(urlsplit(receiver_url[0]).netloc, timeout=30)
    answers = {}
    for method, path in (("GET", "/health"), ("GET", "/a/b/health"), ("GET", "/"), ("PUT", "/"), ("DELETE", "/")):
        connection.request(method, path)
        reply = connection.getresponse()
        reply.read()
        answers[f"{method} {path}"] = reply.status
    connection.close()
    assert answers == {"GET /health": 200, "GET /a/b/health": 200, "GET /": 405, "PUT /": 405, "DELETE /": 405}


def test_refusals_are_counted_by_reason(tmp_path: Path) -> None:
    """What strangers tried is told by `callbacks show`."""
    with receiving(tmp_path) as (url, _):
        for headers in ({}, {HEADER: "forged"}):
            deliver(url, task_body(1), headers)
        deliver(url, b"{")
    assert counts(tmp_path)["refused"] == {"no message": 1, "not authentic": 2}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"auth_key": []}, "is empty: anybody could deliver"),
        ({"auth_key": ["key", " "]}, "is empty: anybody could deliver"),
        ({"auth_key": 5}, "is text, or a list of such, not int"),
        ({"auth_key": b"secret"}, "is text, or a list of such, not bytes"),
        ({"auth_key": "secret\nkey"}, "holds a character that no header can"),
        ({"auth_key": "secret\ud83d"}, "holds a character that no header can"),
        ({"max_body_bytes": "5"}, "max_body_bytes is a number above 0, not '5'"),
        ({"body_timeout_secs": float("nan")}, "body_timeout_secs is a number above 0, not nan"),
        ({"verify": "perhaps"}, "neither 'refetch' nor 'body'"),
    ],
)
def test_a_setting_that_cannot_be_right_is_one_sentence(tmp_path: Path, options: Any, sentence: str) -> None:
    """Before anything is made; a key is not shown."""
    with pytest.raises((rf.ConfigError, rf.InputError), match=sentence) as caught:
        rf.callbacks.app(tmp_path / "new", **{"auth_key": KEY, **options})
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_while_a_key_replaces_another_both_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one from a variable of its own; without that it opens nothing."""
    monkeypatch.setenv("REFONTE_CALLBACK_AUTH_KEY_OLD", "the old key")
    with receiving(tmp_path) as (url, _):
        statuses = [deliver(url, task_body(1), {HEADER: key})[0] for key in (KEY, "the old key", "another")]
    assert statuses == [200, 200, 401]


def test_a_receiver_that_others_can_reach_says_that_the_key_comes_in_clear(tmp_path: Path) -> None:
    """Once, on stderr; one that only this machine reaches says nothing."""
    said = {}
    for host in ("0.0.0.0", "127.0.0.2"):
        with receiving(tmp_path, host=host) as (_, process):
            process.send_signal(signal.SIGINT)
            _, said[host] = process.communicate(timeout=30)
    assert "in plain HTTP: the auth key comes" in said["0.0.0.0"]
    assert said["127.0.0.2"] == ""


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="a call of Linux")
def test_a_full_disk_acknowledges_nothing_and_loses_nothing(tmp_path: Path) -> None:
    """Answered with 503, which the service repeats; with room again the same process takes it."""
    large = [json.dumps({"event": number, "filling": "x" * 100_000}).encode() for number in range(9)]
    with receiving(tmp_path) as (url, process):
        deliver(url, task_body(1))
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        statuses = [deliver(url, body)[0] for body in large]
        assert set(statuses) == {200, 503}
        acknowledged = len(rf.callbacks.received(tmp_path))
        assert acknowledged == 1 + statuses.count(200)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert [deliver(url, body)[0] for body in large] == [200] * 9
        assert len(rf.callbacks.received(tmp_path)) == 10
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[1]
    assert said.count("answered with 503") == statuses.count(503)


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_folder_that_goes_away_takes_no_acknowledged_delivery_with_it(tmp_path: Path, *, is_moved: bool) -> None:
    """Removed or moved while it is served, made anew or not: what is answered with 200 lies where it is looked for."""
    with receiving(tmp_path / "kittens") as (url, _):
        for number in (1, 2, 3):
            assert deliver(url, task_body(number))[0] == 200
            assert f"{number:024x}" in rf.callbacks.received(tmp_path / "kittens")["name"].tolist()
            if is_moved:
                (tmp_path / "kittens").rename(tmp_path / f"moved {number}")
            else:
                shutil.rmtree(tmp_path / "kittens")
        (tmp_path / "kittens").mkdir()
        assert deliver(url, task_body(4))[0] == 200
        assert deliver(url, task_body(4))[0] == 200
    assert rf.callbacks.received(tmp_path / "kittens")[["name", "times"]].values.tolist() == [[f"{4:024x}", 2]]


def test_broken_requests_of_strangers_write_no_line(tmp_path: Path) -> None:
    """Each is answered, and none of them is told anywhere: else whoever finds the port fills the log."""
    with receiving(tmp_path) as (url, process):
        place = urlsplit(url)
        for noise in (b"\x00\xff\r\n\r\n", b"POST / HTTP/1.1\r\nX: " + b"a" * 200_000, b"GET / HTTP/9\r\n\r\n"):
            with socket.create_connection((place.hostname, place.port), timeout=30) as sock:
                with suppress(BrokenPipeError, ConnectionResetError):
                    sock.sendall(noise)
                    assert sock.recv(12) == b"HTTP/1.1 400"
        assert deliver(url, task_body(1))[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    """The usual end of a server in a terminal is no error."""
    with receiving(tmp_path) as (url, process):
        deliver(url, task_body(1))
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
        assert (process.returncode, complaints) == (0, "")


def test_bodies_are_kept_where_they_are_trusted(tmp_path: Path) -> None:
    """For the next export, which takes the task from there."""
    with receiving(tmp_path, KEY, "127.0.0.1", "--trust-bodies") as (url, _):
        assert deliver(url, task_body(1))[0] == 200
    with Inbox(tmp_path) as inbox:
        assert [hint.body for hint in inbox.waiting(10)] == [task_body(1)]


def test_the_sandbox_delivers_to_it(tmp_path: Path) -> None:
    """Task and batch callbacks of a service that knows nothing of us are understood and authentic."""
    frame = pd.DataFrame({"attachment": ["x", "y"]})
    params = {"attachment_type": "text", "instruction": "Which?"}
    with rf.Sandbox(seed=7) as sandbox:
        client = sandbox.client()
        with receiving(tmp_path, sandbox.callbacks(key="live_demo")["auth_key"]) as (url, _):
            rf.projects.create("p", type="categorization", params={"categories": ["a", "b"]}, client=client)
            rf.batches.create(name="b", project="p", callback=url, client=client)
            rows = frame.assign(callback_url=url)
            rf.submit(rows, type="categorization", project="p", batch="b", params=params, progress=False, client=client)
            sandbox.work(days=5)
            kinds = Counter(rf.callbacks.received(tmp_path)["kind"])
    assert kinds == {"task": 2, "batch": 1}


def test_kill_9_loses_no_acknowledged_delivery(tmp_path: Path) -> None:
    """Killed under load and started again: whatever was answered with 200 is in the inbox, once."""
    acknowledged: set[str] = set()
    with receiving(tmp_path) as (url, process):
        with ThreadPoolExecutor(16) as pool:

            def send(number: int) -> None:
                if number == 150:
                    process.send_signal(signal.SIGKILL)
                try:
                    if deliver(url, task_body(number % 200))[0] == 200:
                        acknowledged.add(f"{number % 200:024x}")
                except (OSError, http.client.HTTPException):
                    return

            list(pool.map(send, range(300)))
    kept = rf.callbacks.received(tmp_path)["name"]
    assert acknowledged
    assert kept.is_unique
    assert acknowledged <= set(kept)
