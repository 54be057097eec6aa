"""The receiver behind a real nginx, configured as the how-to says: TLS, a prefix in the path, buffered bodies."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import trustme

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]

KEY = "cb_the_key_of_the_dashboard"
#: The spelling of the callback's page, and the one of the page on authentication.
HYPHENS, DOTTED = "refonte-ai--callback-auth", "refonte.ai-callback-auth"
HOW_TO = Path(__file__).parents[2] / "docs" / "howto" / "callbacks.md"

#: One process, so that it needs no other user; everything it writes lies in a folder of the test's.
CONFIGURATION = """
daemon off; master_process off; pid nginx.pid; error_log error.log;
events {{ worker_connections 256; }}
http {{
  access_log access.log; client_body_temp_path body; proxy_temp_path proxy;
  fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{
    listen 127.0.0.1:{tls} ssl; ssl_certificate chain.pem; ssl_certificate_key key.pem;
    {how_to}
    location /whole/ {{ proxy_pass http://127.0.0.1:{receiver}; proxy_request_buffering off; proxy_http_version 1.1; }}
  }}
  server {{
    listen 127.0.0.1:{plain};
    location /refonte/ {{ proxy_pass http://127.0.0.1:{receiver}/; }}
  }}
}}
"""


def free_ports(count: int) -> list[int]:
    """Find ports that nobody uses now."""
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


@dataclass
class Proxied:
    """An nginx, the receiver behind it, and the folder that it fills."""

    root: Path
    folder: Path
    tls: int
    plain: int
    receiver_port: int
    trust: ssl.SSLContext
    receiver: subprocess.Popen[str]

    def start_receiver(self) -> None:
        """Run the receiver at its port, and wait until it is ready."""
        self.receiver = start_receiver(self.root, self.receiver_port)

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Ask over TLS, through the proxy; the key comes with it unless other headers are given."""
        headers = {HYPHENS: KEY} if headers is None else headers
        connection = http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=60, context=self.trust)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def received(self) -> list[str]:
        """Name what is in the inbox."""
        return list(rf.callbacks.received(self.root)["name"])


def start_receiver(root: Path, port: int) -> subprocess.Popen[str]:
    """Run the command at this port, and wait until it is ready."""
    command = [sys.executable, "-m", "refonte_frames.cli", "callbacks", "serve", str(root), "--port", str(port)]
    environment = os.environ | {"REFONTE_CALLBACK_AUTH_KEY": KEY}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert urlsplit(json.loads(process.stdout.readline())["url"]).port == port
    return process


def how_to_block(receiver_port: int) -> str:
    """Take the configuration that the how-to gives, for this receiver."""
    block = HOW_TO.read_text("utf-8").partition("```nginx\n")[2].partition("```")[0]
    assert "127.0.0.1:8378" in block
    return block.replace("127.0.0.1:8378", f"127.0.0.1:{receiver_port}")


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Run both."""
    folder, root = tmp_path_factory.mktemp("nginx"), tmp_path_factory.mktemp("folder")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for number, pem in enumerate(certificate.cert_chain_pems):
        pem.write_to_path(folder / "chain.pem", append=number > 0)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    tls, plain, receiver_port = free_ports(3)
    block = how_to_block(receiver_port)
    text = CONFIGURATION.format(tls=tls, plain=plain, receiver=receiver_port, how_to=block)
    (folder / "nginx.conf").write_text(text)
    nginx = subprocess.Popen([str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"])
    made = Proxied(root, folder, tls, plain, receiver_port, trust, start_receiver(root, receiver_port))
    try:
        while nginx.poll() is None:
            try:
                made.ask("GET", "/refonte/health")
                break
            except OSError:
                continue
        assert nginx.poll() is None, (folder / "error.log").read_text()
        yield made
    finally:
        nginx.terminate()
        nginx.wait()
        made.receiver.terminate()
        made.receiver.communicate()


def body_of(name: str, filling: int = 0) -> bytes:
    """Make a delivery about a task, of at least so many bytes."""
    task = {"task_id": name, "status": "completed", "params": {"text": "x" * filling}}
    return json.dumps({"task": task, "task_id": name, "status": "completed"}).encode()


@pytest.mark.parametrize("header", [HYPHENS, DOTTED, "Refonte-AI--Callback-Auth"])
@pytest.mark.parametrize("path", ["/refonte/", "/refonte/some/hook?x=1", "/whole/hook"])
def test_a_delivery_arrives_under_a_prefix_over_tls(proxied: Proxied, path: str, header: str) -> None:
    """Whether nginx takes the prefix off or leaves it, buffers or streams, and however the header is spelled."""
    name = f"{path} {header}"
    assert proxied.ask("POST", path, body_of(name), {header: KEY})[0] == 200
    assert name in proxied.received()


def test_what_a_proxy_or_a_forger_says_of_the_sender_changes_nothing(proxied: Proxied) -> None:
    """Forwarded headers buy nobody anything, and cost the service nothing."""
    claims = {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/../..",
        "Forwarded": "for=127.0.0.1;host=evil.example",
    }
    assert proxied.ask("POST", "/refonte/", body_of("forged"), claims)[0] == 401
    assert proxied.ask("POST", "/refonte/", body_of("claimed"), claims | {HYPHENS: KEY})[0] == 200
    assert {"forged", "claimed"} & set(proxied.received()) == {"claimed"}


def test_a_large_body_arrives_whole_and_one_that_is_too_large_is_refused_by_the_proxy(proxied: Proxied) -> None:
    """The first is buffered in a file on its way; the limit is that of the how-to."""
    assert proxied.ask("POST", "/refonte/", body_of("large", 15 * 2**20))[0] == 200
    # It may be answered before the whole of it was written.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
        assert proxied.ask("POST", "/refonte/", body_of("huge", 17 * 2**20))[0] == 413
    assert {"large", "huge"} & set(proxied.received()) == {"large"}


def test_an_nginx_left_as_it_is_drops_the_dotted_spelling(proxied: Proxied) -> None:
    """That is why the how-to says `ignore_invalid_headers off`: else everything spelled so would be refused."""
    connection = http.client.HTTPConnection("127.0.0.1", proxied.plain, timeout=60)
    statuses = []
    for header in (DOTTED, HYPHENS):
        connection.request("POST", "/refonte/", body_of(f"plain {header}"), {header: KEY})
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
    connection.close()
    assert statuses == [401, 200]


@pytest.mark.parametrize("path", ["/refonte/health", "/whole/health"])
def test_the_proxy_can_ask_whether_it_runs(proxied: Proxied, path: str) -> None:
    """Under the prefix as well, whether it is taken off or not."""
    assert proxied.ask("GET", path)[0] == 200


def test_while_the_receiver_is_down_nothing_is_acknowledged(proxied: Proxied) -> None:
    """The proxy answers 502, which the service repeats; killed under load, nothing that was acknowledged is lost."""
    acknowledged: list[str] = []

    def send(number: int) -> None:
        if number == 150:
            proxied.receiver.send_signal(signal.SIGKILL)
        status, _ = proxied.ask("POST", "/refonte/", body_of(f"load {number}"))
        assert status in (200, 502)
        if status == 200:
            acknowledged.append(f"load {number}")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send, range(300)))
    proxied.receiver.communicate()
    assert proxied.ask("POST", "/refonte/", body_of("down"))[0] == 502
    proxied.start_receiver()
    assert proxied.ask("POST", "/refonte/", body_of("down"))[0] == 200
    received = proxied.received()
    assert acknowledged
    assert set(acknowledged) <= set(received)
    assert len(received) == len(set(received))


def test_the_key_is_in_no_log_of_the_proxy(proxied: Proxied) -> None:
    """Nginx logs no headers unless it is told to; if that changes, the how-to has to say so."""
    logs = [(proxied.folder / name).read_text() for name in ("access.log", "error.log")]
    assert "POST /refonte/" in logs[0]
    assert KEY not in "".join(logs)
