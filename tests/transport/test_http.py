"""The door to the network: what is sent, and every way in which an answer can be wrong, on real sockets."""

from __future__ import annotations

import base64
import gzip
import os
import stat
from typing import TYPE_CHECKING

import pytest
from raw_server import RawServer, answer

from refonte_frames.client import Client
from refonte_frames.errors import NoReplyError, ReplyError, ServiceError
from refonte_frames.transport.calls import Call
from refonte_frames.transport.http import MAX_REPLY_BYTES, _TimedConnection

if TYPE_CHECKING:
    from pathlib import Path

KEY = "live_0123456789"


def client_of(server: RawServer, timeout_secs: float = 5.0) -> Client:
    """Make a client for a raw server."""
    return Client(KEY, server.base_url, timeout_secs=timeout_secs)


def test_the_key_goes_out_as_basic_auth_with_an_empty_password() -> None:
    """The Authorization header is the key as user and no password."""
    with RawServer([answer()]) as server, client_of(server) as client:
        client.send(Call.get("tasks", query=[("limit", "1"), ("tags", "a b"), ("tags", "c&d")]))
    head = server.requests[0].decode()
    assert head.startswith("GET /v1/tasks?limit=1&tags=a+b&tags=c%26d HTTP/1.1\r\n")
    assert f"Authorization: Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}\r\n" in head


def test_a_netrc_file_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of ~/.netrc for the host are not sent."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(stat.S_IRUSR | stat.S_IWUSR)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer([answer()]) as server, client_of(server) as client:
        client.send(Call.get("tasks"))
    assert base64.b64encode(f"{KEY}:".encode()) in server.requests[0]


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY does not come between a client and a local sandbox."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with RawServer([answer(b'{"a":1}')]) as server, client_of(server) as client:
        assert client.send(Call.get("tasks")).body == b'{"a":1}'


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_an_error_and_its_target_is_never_asked(status: str) -> None:
    """No redirect is followed: the key and the data go to one host."""
    with RawServer([answer()]) as other:
        with RawServer([answer(b"", status, f"Location: {other.base_url}")]) as server, client_of(server) as client:
            with pytest.raises(ReplyError, match="redirect"):
                client.send(Call("POST", "/task/categorization", body=b'{"attachment":"secret"}'))
        assert other.requests == []


def test_a_slow_drip_of_the_body_ends_at_the_deadline() -> None:
    """A byte now and then does not keep a request alive beyond timeout_secs."""
    parts = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", *[b"x"] * 1000]
    with (
        RawServer([parts], gap_secs=0.05) as server,
        client_of(server, timeout_secs=0.4) as client,
        pytest.raises(NoReplyError, match=r"within 0\.4 s") as caught,
    ):
        client.send(Call.get("tasks"), max_tries=1)
    assert caught.value.was_sent


def test_a_slow_drip_of_the_headers_ends_at_the_deadline() -> None:
    """Nor does a header that never ends."""
    parts = [b"HTTP/1.1 200 OK\r\n", *[b"x"] * 1000]
    with (
        RawServer([parts], gap_secs=0.05) as server,
        client_of(server, timeout_secs=0.4) as client,
        pytest.raises(NoReplyError, match=r"within 0\.4 s"),
    ):
        client.send(Call.get("tasks"), max_tries=1)


def test_a_body_that_is_cut_off_is_no_reply() -> None:
    """Fewer bytes than announced may mean anything, so the request counts as maybe carried out."""
    with (
        RawServer([[b"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n{}"]]) as server,
        client_of(server) as client,
        pytest.raises(NoReplyError) as caught,
    ):
        client.send(Call.get("tasks"), max_tries=1)
    assert caught.value.was_sent


def test_nobody_listening_means_that_nothing_was_sent() -> None:
    """A refused connection is told apart from a lost answer."""
    with RawServer([]) as server:
        url = server.base_url
    with pytest.raises(NoReplyError, match="Nothing was sent") as caught:
        Client(KEY, url).send(Call.get("tasks"), max_tries=1)
    assert not caught.value.was_sent


def test_gzip_is_undone() -> None:
    """A compressed body arrives as it was."""
    body = b'{"docs":[]}' * 100
    with RawServer([answer(gzip.compress(body, mtime=0), "200 OK", "Content-Encoding: gzip")]) as server:
        with client_of(server) as client:
            reply = client.send(Call.get("tasks"))
    assert reply.body == body
    assert reply.wire_bytes < len(body)


def test_a_gzip_bomb_is_stopped_at_the_limit() -> None:
    """A small body that unpacks to more than the limit is refused."""
    bomb = gzip.compress(bytes(MAX_REPLY_BYTES + 1))
    with (
        RawServer([answer(bomb, "200 OK", "Content-Encoding: gzip")]) as server,
        client_of(server) as client,
        pytest.raises(ReplyError, match="unpacks to more"),
    ):
        client.send(Call.get("tasks"))


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"{}" * 999, mtime=0)[:-20]])
def test_damaged_gzip_is_an_error(body: bytes) -> None:
    """A body that is no whole gzip is not passed on in part."""
    with (
        RawServer([answer(body, "200 OK", "Content-Encoding: gzip")]) as server,
        client_of(server) as client,
        pytest.raises(ReplyError, match="gzip"),
    ):
        client.send(Call.get("tasks"))


def test_a_get_is_sent_again_after_a_passing_failure() -> None:
    """A 502 and a dropped connection are not the end of a GET."""
    answers = [answer(b"<html>bad</html>", "502 Bad Gateway"), [b""], answer(b'{"a":1}')]
    with RawServer(answers) as server, client_of(server) as client:
        assert client.send(Call.get("tasks")).body == b'{"a":1}'
    assert client.requests_by_status() == {"502": 1, "no_reply": 1, "200": 1}


def test_a_post_without_a_guard_is_not_sent_again() -> None:
    """A POST that may have been carried out is not repeated by itself."""
    with RawServer([answer(b"{}", "500 Oops"), answer()]) as server, client_of(server) as client:
        with pytest.raises(ServiceError):
            client.send(Call("POST", "/batches", body=b"{}"))
    assert len(server.requests) == 1


def test_a_post_with_an_idempotency_key_is_sent_again() -> None:
    """The key makes a second sending harmless."""
    call = Call("POST", "/task/categorization", body=b"{}", headers={"Idempotency-Key": "k"})
    with RawServer([answer(b"{}", "500 Oops"), answer(b'{"a":1}')]) as server, client_of(server) as client:
        assert client.send(call).body == b'{"a":1}'
    assert server.requests[0] == server.requests[1]


def test_a_refusal_for_rate_is_waited_out() -> None:
    """A 429 is followed by the pause that the service asks for, and by the same request."""
    answers = [answer(b"{}", "429 Slow", "Retry-After: 0"), answer(b"{}", "429 Slow", "Retry-After: 0.01"), answer()]
    with RawServer(answers) as server, client_of(server) as client:
        client.send(Call.get("tasks"), max_tries=1)
    assert client.requests_by_status() == {"429": 2, "200": 1}


def test_a_service_that_repeats_the_key_in_its_error_does_not_make_us_show_it() -> None:
    """The key is erased from refusals, plain and encoded."""
    encoded = base64.b64encode(f"{KEY}:".encode()).decode()
    body = f'{{"status_code":400,"error":"bad {KEY} {encoded}"}}'.encode()
    with RawServer([answer(body, "400 Bad")]) as server, client_of(server) as client:
        with pytest.raises(Exception, match="bad …6789") as caught:
            client.send(Call.get("tasks"))
    assert KEY not in repr(vars(caught.value)) + str(caught.value)
    assert encoded not in repr(vars(caught.value)) + str(caught.value)


def test_a_missing_ca_bundle_is_a_setting_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CA file that is not there is named, before anything is sent."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", os.devnull + ".missing")
    with pytest.raises(ValueError, match=r"null\.missing"):
        Client(KEY, "https://127.0.0.1:9/v1").send(Call.get("tasks"), max_tries=1)


class Wire:
    """A socket that keeps what is sent, one entry a system call."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def settimeout(self, secs: float | None) -> None:
        """Nothing is waited for."""

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self.sent.append(bytes(data))


@pytest.mark.parametrize("body", [b'{"a":1}', b"", None])
def test_headers_and_body_leave_together(body: bytes | None) -> None:
    """One system call a request, with a body and without."""
    connection, wire = _TimedConnection("127.0.0.1"), Wire()
    connection.sock = wire  # type: ignore[assignment]
    connection.request("POST", "/v1/task/annotation", body=body)
    (sent,) = wire.sent
    assert sent.startswith(b"POST /v1/task/annotation HTTP/1.1\r\n")
    assert sent.partition(b"\r\n\r\n")[2] == (body or b"")


def test_a_body_that_comes_in_parts_follows_its_headers() -> None:
    """Nothing is lost, and the order is kept."""
    connection, wire = _TimedConnection("127.0.0.1"), Wire()
    connection.sock = wire  # type: ignore[assignment]
    connection.request("POST", "/", body=iter([b"one", b"two"]), headers={"Content-Length": "6"})
    assert b"".join(wire.sent).endswith(b"\r\n\r\nonetwo")
