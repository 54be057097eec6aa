"""TLS: authorities of the environment are trusted, strangers and wrong names are not, and nothing is sent to them."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme

import refonte_frames as rf
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with an empty object."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(authority: trustme.CA, name: str) -> Iterator[str]:
    """Serve on this machine with a certificate for this name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Make an authority that the environment names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    return authority


def test_an_authority_of_the_environment_is_trusted(authority: trustme.CA) -> None:
    """REQUESTS_CA_BUNDLE, as with requests; several requests go through."""
    with served(authority, "127.0.0.1") as url, rf.Client("live_x", url) as client:
        assert {client.send(Call.get("tasks")).body for _ in range(3)} == {b"{}"}


def test_a_certificate_of_a_stranger_is_refused(authority: trustme.CA) -> None:
    """Nothing is sent to him."""
    assert authority
    with served(trustme.CA(), "127.0.0.1") as url, rf.Client("live_x", url) as client:
        with pytest.raises(rf.NoReplyError) as caught:
            client.send(Call.get("tasks"), max_tries=1)
    assert not caught.value.was_sent


def test_a_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    """Also of a trusted authority."""
    with served(authority, "elsewhere.example.org") as url, rf.Client("live_x", url) as client:
        with pytest.raises(rf.NoReplyError) as caught:
            client.send(Call.get("tasks"), max_tries=1)
    assert not caught.value.was_sent


def test_authorities_nobody_named_are_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variable a private authority is a stranger."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with served(trustme.CA(), "127.0.0.1") as url, rf.Client("live_x", url) as client:
        with pytest.raises(rf.NoReplyError, match=r"(?i)certificate"):
            client.send(Call.get("tasks"), max_tries=1)
