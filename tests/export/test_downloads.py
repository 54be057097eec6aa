"""Attachments onto disk: from hosts that may be asked, whole or not at all, under names of ours."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import trustme
from raw_server import RawServer
from service import post

import refonte_frames as rf
from refonte_frames.export.attachments import Attachment, attachments_of, ending_of
from refonte_frames.transport.http import Visitor, addresses_of
from refonte_frames.transport.strangers import Refused, is_public, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JPEG = b"\xff\xd8" + bytes(range(256)) * 40


class Host:
    """A host of files: answers by path, and remembers what it was asked with which headers."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.name = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def serves(
        self, path: str, body: bytes = JPEG, status: int = 200, *, times: int | None = None, **headers: str
    ) -> str:
        """Answer a path with this, and return its URL; after so many times with the picture."""
        left = [times]

        def answer(handler: BaseHTTPRequestHandler) -> None:
            is_odd = left[0] is None or left[0] > 0
            if left[0]:
                left[0] -= 1
            handler.send_response(status if is_odd else 200)
            given = {name.replace("_", "-"): value for name, value in headers.items()} if is_odd else {}
            for name, value in ({"Content-Type": "image/jpeg", "Content-Length": str(len(body))} | given).items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = answer
        return f"http://{self.name}{path}"

    def _handler(host: Any) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - self is the handler's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                host.connections += 1
                super().setup()

            def do_GET(self) -> None:
                host.asked.append((self.path, dict(self.headers.items())))
                host.answers[self.path.partition("?")[0]](self)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def host() -> Iterator[Host]:
    """Run a host of files on this machine."""
    running = Host()
    yield running
    running.server.shutdown()
    running.server.server_close()


def tasks(*urls: Any) -> pd.DataFrame:
    """Make a frame of tasks with one attachment each."""
    return pd.DataFrame({"task_id": [f"{at:024x}" for at in range(len(urls))], "attachment": list(urls)})


def visiting() -> contextlib.closing[Visitor]:
    """Make a visitor that is closed in the end."""
    return contextlib.closing(Visitor(timeout_secs=10, pool_size=2))


def fetch(host: Host, frame: Any, path: Path, **options: Any) -> pd.DataFrame:
    """Download from a host that may be asked."""
    return rf.download_attachments(frame, path, allow_hosts=[host.name], progress=False, **options)


def named(frame: pd.DataFrame, path: Path) -> list[str]:
    """List what lies in the folder, but for the lock; all of it is in the frame."""
    names = sorted(item.name for item in path.iterdir() if item.name != "_lock")
    assert names == sorted(Path(text).name for text in frame["path"].dropna())
    return names


def test_every_attachment_is_a_row_with_its_file(host: Host, tmp_path: Path) -> None:
    """Size and checksum are those of the file."""
    urls = [host.serves("/a.jpg"), host.serves("/b", b"%PDF-1.7", Content_Type="application/pdf")]
    frame = fetch(host, tasks(*urls), tmp_path)
    assert frame["outcome"].tolist() == ["downloaded"] * 2
    for row, body in zip(frame.itertuples(), (JPEG, b"%PDF-1.7"), strict=True):
        assert Path(row.path).read_bytes() == body
        assert (row.bytes, row.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert [name[64:] for name in frame["path"].map(lambda text: Path(text).name)] == [".jpg", ".pdf"]
    assert len(named(frame, tmp_path)) == 2


def test_a_second_call_goes_on_with_what_is_missing(host: Host, tmp_path: Path) -> None:
    """What is there is not asked for again; what a killed call left half done is removed."""
    bad = host.serves("/b.jpg", b"gone", 404)
    frame = tasks(host.serves("/a.jpg"), bad)
    first = fetch(host, frame, tmp_path)
    assert first["outcome"].tolist() == ["downloaded", "failed"]
    (tmp_path / "_tmp-left").write_bytes(b"half")
    host.serves("/b.jpg")
    second = fetch(host, frame, tmp_path)
    assert second["outcome"].tolist() == ["present", "downloaded"]
    assert second["sha256"][0] == first["sha256"][0]
    assert sorted(path for path, _ in host.asked) == ["/a.jpg", "/b.jpg", "/b.jpg"]
    assert len(named(second, tmp_path)) == 2


def test_a_killed_call_leaves_whole_files_and_is_gone_on_with(host: Host, tmp_path: Path) -> None:
    """By SIGKILL, in the middle of a file."""
    is_asked, is_over = threading.Event(), threading.Event()

    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "image/jpeg")
        handler.send_header("Content-Length", str(len(JPEG)))
        handler.end_headers()
        handler.wfile.write(JPEG[:5000])
        is_asked.set()
        is_over.wait(30)

    urls = [host.serves("/a.jpg"), f"http://{host.name}/b.jpg"]
    host.answers["/b.jpg"] = half
    program = (
        "import sys, pandas as pd, refonte_frames as rf\n"
        f"tasks = pd.DataFrame({{'task_id': ['{0:024x}', '{1:024x}'], 'attachment': {urls!r}}})\n"
        f"rf.download_attachments(tasks, sys.argv[1], allow_hosts=[{host.name!r}], max_workers=1)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) as running:
        assert is_asked.wait(60)
        running.kill()
    is_over.set()
    assert len([item for item in tmp_path.iterdir() if len(item.name) == 68]) == 1
    host.serves("/b.jpg")
    frame = fetch(host, tasks(*urls), tmp_path)
    assert frame["outcome"].tolist() == ["present", "downloaded"]
    assert frame["bytes"].tolist() == [len(JPEG)] * 2
    assert len(named(frame, tmp_path)) == 2


def test_no_credentials_leave_this_machine(
    host: Host, tmp_path: Path, sandbox: rf.Sandbox, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the key nor what .netrc holds for the host; redirects included."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    host.serves("/b.jpg")
    url = host.serves("/a.jpg", b"", 302, Location="/b.jpg")
    with sandbox.activate(key):
        assert fetch(host, tasks(url), tmp_path / "files")["outcome"].tolist() == ["downloaded"]
    assert [path for path, _ in host.asked] == ["/a.jpg", "/b.jpg"]
    for _, headers in host.asked:
        assert {name.lower() for name in headers} == {"host", "accept", "accept-encoding", "user-agent"}
        assert key not in str(headers)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://127.0.0.1/a.jpg", "127.0.0.1 is no public address"),
        ("https://localhost/a.jpg", "localhost stands for"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254 is no public address"),
        ("https://[::1]/a", "::1 is no public address"),
        ("https://[::ffff:10.0.0.1]/a", "no public address"),
        ("https://0/a", "no public address"),
        ("https://2130706433/a", "no public address"),
        ("https://0x7f.1/a", "no public address"),
        ("http://example.org/a.jpg", "http is not asked, https only"),
        ("ftp://example.org/a.jpg", "ftp:// is not asked"),
        ("file:///etc/passwd", "file:// is not asked"),
        ("refontedata://me/uuid", "read the tasks with include_attachment_url=True"),
        ("https://me:secret@example.org/a", "holds a user or password"),
        ("https://example.org\\@127.0.0.1/a", "backslashes or control characters"),
        ("https://example.org/a\r\nHost: b", "backslashes or control characters"),
        ("https:///a", "names no host"),
        ("https://example.org:99999/a", "it is no URL"),
    ],
)
def test_what_may_not_be_asked_is_refused_by_its_row(url: str, says: str, tmp_path: Path) -> None:
    """Without a connection; the others are not touched by it."""
    frame = rf.download_attachments(tasks(url), tmp_path, progress=False)
    assert frame["outcome"].tolist() == ["refused"]
    assert says in frame["error"][0]
    assert "secret" not in frame["error"][0]
    assert named(frame, tmp_path) == []


def test_a_redirect_is_checked_like_the_first_url(host: Host, tmp_path: Path) -> None:
    """To a neighbour, to another scheme, or round in a circle."""
    urls = [
        host.serves("/meta", b"", 302, Location="https://169.254.169.254/latest"),
        host.serves("/file", b"", 307, Location="file:///etc/passwd"),
        host.serves("/plain", b"", 301, Location="http://localhost:1/"),
        host.serves("/round", b"", 302, Location="/round"),
        host.serves("/nowhere", b"", 302),
    ]
    frame = fetch(host, tasks(*urls), tmp_path)
    assert frame["outcome"].tolist() == ["refused"] * 4 + ["failed"]
    for text, says in zip(
        frame["error"],
        ("169.254.169.254 is no public", f"redirected by {host.name}: file://", "http is not", "more than 3", "302"),
        strict=True,
    ):
        assert says in text
    assert named(frame, tmp_path) == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("239.1.1.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", False),
        ("::7f00:1", False),
    ],
)
def test_addresses_of_the_public_internet_are_told_from_all_others(address: str, expected: bool) -> None:  # noqa: FBT001
    """Also in the forms that IPv6 has for those of IPv4."""
    assert is_public(address) == expected


def test_the_connection_goes_to_the_address_that_was_checked(host: Host) -> None:
    """The name is not resolved again: it may mean another machine by then."""
    host.serves("/a.jpg")
    name = f"images.invalid:{host.server.server_port}"
    target = target_of(f"http://{name}/a.jpg", allow_hosts=[name])
    assert addresses_of(target) == []
    with visiting() as visitor, visitor.visit(target, ["127.0.0.1"]) as visit:
        assert b"".join(visit.chunks()) == JPEG
    assert host.asked[0][1]["Host"] == name


@pytest.fixture
def tls_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Run a host that has a certificate for files.invalid, of an authority that the environment names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("files.invalid").configure_cert(context)
    running = Host(context)
    running.serves("/a.jpg")
    yield running
    running.server.shutdown()
    running.server.server_close()


def test_the_certificate_has_to_be_that_of_the_host(tls_host: Host) -> None:
    """Though the connection goes to an address: its own certificate is taken, another host's is not."""
    port = tls_host.server.server_port
    with visiting() as visitor:
        with visitor.visit(target_of(f"https://files.invalid:{port}/a.jpg"), ["127.0.0.1"]) as visit:
            assert b"".join(visit.chunks()) == JPEG
        with pytest.raises(rf.NoReplyError, match=r"no complete answer from other\.invalid"):
            visitor.visit(target_of(f"https://other.invalid:{port}/a.jpg"), ["127.0.0.1"])


def test_authorities_may_lie_in_a_folder(tls_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenSSL wants it: by the hash of their name."""
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", tmp_path / "ca.pem"]
    name = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    (tmp_path / "authorities").mkdir()
    (tmp_path / "ca.pem").rename(tmp_path / "authorities" / f"{name}.0")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authorities"))
    target = target_of(f"https://files.invalid:{tls_host.server.server_port}/a.jpg")
    with visiting() as visitor, visitor.visit(target, ["127.0.0.1"]) as visit:
        assert visit.status == 200


class Proxy(socketserver.StreamRequestHandler):
    """Makes tunnels to this machine, whatever it is asked for, and remembers what that was."""

    asked: list[bytes]

    def handle(self) -> None:
        """Make one tunnel."""
        line = self.rfile.readline()
        headers = b"".join(iter(self.rfile.readline, b"\r\n"))
        self.asked.append(line + headers)
        port = int(line.split()[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as far:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            answers = threading.Thread(target=self.relay, args=(far, self.connection), daemon=True)
            answers.start()
            self.relay(self.connection, far)
            answers.join()

    def relay(self, source: socket.socket, sink: socket.socket) -> None:
        """Hand bytes on until there are no more."""
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def tunnels(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Run a proxy that the environment names; what it is asked is listed."""
    handler = type("Handler", (Proxy,), {"asked": []})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{server.server_address[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield handler.asked
        server.shutdown()


def test_a_proxy_is_asked_for_a_tunnel_to_the_address_that_was_checked(tls_host: Host, tunnels: list[bytes]) -> None:
    """It cannot take the name for another machine, and sees nothing of what is asked through it."""
    port = tls_host.server.server_port
    with (
        visiting() as visitor,
        visitor.visit(target_of(f"https://files.invalid:{port}/a.jpg"), ["127.0.0.1"]) as visit,
    ):
        assert b"".join(visit.chunks()) == JPEG
    (asked,) = tunnels
    assert asked.startswith(b"CONNECT 127.0.0.1:%d HTTP/1" % port)
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0" in asked.replace(b"proxy-a", b"Proxy-A")
    assert b"Proxy-Authorization" not in str(tls_host.asked).encode()


def test_a_name_that_only_the_proxy_knows_has_to_be_named(tls_host: Host, tunnels: list[bytes], tmp_path: Path) -> None:
    """Nobody here can say what address it stands for."""
    port = tls_host.server.server_port
    frame = tasks(f"https://files.invalid:{port}/a.jpg")
    (row,) = rf.download_attachments(frame, tmp_path / "files", progress=False).to_dict("records")
    assert (row["outcome"], tunnels) == ("failed", [])
    assert "nobody knows the host files.invalid here; allow_hosts=['files.invalid'] would" in row["error"]
    frame = rf.download_attachments(frame, tmp_path / "files", allow_hosts=["files.invalid"], progress=False)
    assert frame["outcome"].tolist() == ["downloaded"]
    assert tunnels[0].startswith(b"CONNECT files.invalid:%d HTTP/1" % port)


def test_a_proxy_of_another_kind_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do; NO_PROXY is one way out."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    with pytest.raises(rf.ConfigError, match=r"a proxy of the kind socks5 for files\.invalid"):
        rf.download_attachments(tasks("https://files.invalid/a.jpg"), tmp_path, progress=False)
    monkeypatch.setenv("NO_PROXY", "files.invalid")
    frame = rf.download_attachments(tasks("https://files.invalid/a.jpg"), tmp_path, progress=False)
    assert frame["error"].tolist() == ["nobody knows the host files.invalid"]


@pytest.mark.parametrize(
    ("answer", "outcome", "says"),
    [
        ({"body": b"<html>", "Content_Type": "text/html; charset=utf-8"}, "refused", "text/html"),
        ({"body": b"MZ", "Content_Type": "application/x-msdownload"}, "refused", "x-msdownload"),
        ({"body": b"x" * 2_000}, "refused", "it has 2,000 bytes, more than max_bytes=1,000"),
        ({"body": b"x" * 100_000, "Content_Length": "", "Connection": "close"}, "refused", "more bytes than max_bytes"),
        ({"body": gzip.compress(JPEG), "Content_Encoding": "gzip"}, "refused", "encoding 'gzip'"),
        ({"body": b"x" * 10, "Content_Length": "999", "Connection": "close"}, "failed", "no complete answer"),
        ({"body": b"", "status": 404}, "failed", "/a.jpg was answered with 404"),
        ({"body": b"", "status": 206}, "failed", "answered with 206"),
    ],
)
def test_what_is_no_whole_file_of_a_kind_that_is_taken_leaves_no_file(
    answer: dict[str, Any], outcome: str, says: str, host: Host, tmp_path: Path
) -> None:
    """The row says why."""
    frame = fetch(host, tasks(host.serves("/a.jpg", **answer)), tmp_path, max_bytes=1_000)
    assert frame["outcome"].tolist() == [outcome]
    assert says in frame["error"][0]
    assert frame[["path", "bytes", "sha256"]].isna().all(axis=None)
    assert named(frame, tmp_path) == []


def test_a_host_that_fails_is_asked_again(host: Host, tmp_path: Path) -> None:
    """Three times in all."""
    shaky = host.serves("/a.jpg", b"x", 503, times=2, Retry_After="0")
    gone = host.serves("/b.jpg", b"x", 503, Retry_After="0")
    frame = fetch(host, tasks(shaky, gone), tmp_path)
    assert frame["outcome"].tolist() == ["downloaded", "failed"]
    assert [path for path, _ in host.asked].count("/b.jpg") == 3


def test_connections_are_kept(host: Host, tmp_path: Path) -> None:
    """No more of them are made than there are workers."""
    urls = [host.serves(f"/{at}.jpg") for at in range(30)]
    frame = fetch(host, tasks(*urls), tmp_path, max_workers=2)
    assert frame["outcome"].eq("downloaded").all()
    assert host.connections <= 2


def test_a_connection_that_breaks_is_tried_again(host: Host, tmp_path: Path) -> None:
    """What came of the first try is thrown away."""
    url = host.serves("/a.jpg", b"half", times=1, Content_Length="999", Connection="close")
    frame = fetch(host, tasks(url), tmp_path)
    assert frame["outcome"].tolist() == ["downloaded"]
    assert len(named(frame, tmp_path)) == 1
    assert [path for path, _ in host.asked] == ["/a.jpg"] * 2


def test_a_file_that_drips_ends_at_its_time(tmp_path: Path) -> None:
    """All its bytes together, not each of them."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 999\r\n\r\n"
    with RawServer([[head, *[b"x"] * 900]] * 3, gap_secs=0.05) as server:
        host = server.base_url.split("/")[2]
        frame = tasks(f"http://{host}/a.jpg")
        done = rf.download_attachments(frame, tmp_path, allow_hosts=[host], timeout_secs=0.2, progress=False)
        assert len(server.requests) == 3
    assert done["outcome"].tolist() == ["failed"]
    assert "no complete answer" in done["error"][0]
    assert named(done, tmp_path) == []


def test_the_bound_of_a_call_stops_it_and_the_next_goes_on(host: Host, tmp_path: Path) -> None:
    """No more bytes than allowed are kept; what was not fetched says so."""
    frame = tasks(*(host.serves(f"/{at}.jpg") for at in range(5)))
    seen = []
    for _ in range(3):
        done = fetch(host, frame, tmp_path, max_total_bytes=2 * len(JPEG) + 10, max_workers=1)
        seen.append(done["outcome"].value_counts().to_dict())
        assert len(named(done, tmp_path)) == (done["outcome"] != "unsent").sum()
    assert seen[0] == {"downloaded": 2, "unsent": 3}
    assert seen[2] == {"present": 4, "downloaded": 1}


def test_names_of_hosts_and_tasks_never_reach_the_disk(host: Host, tmp_path: Path) -> None:
    """Neither paths nor Content-Disposition nor evil task ids decide where a file lies."""
    url = host.serves("/..%2F..%2Fevil.sh", Content_Disposition='attachment; filename="../../evil.sh"')
    frame = tasks(url, url).assign(task_id=["../../etc/passwd", "a" * 5_000])
    done = fetch(host, frame, tmp_path / "files")
    assert done["outcome"].tolist() == ["downloaded"] * 2
    assert all(len(name) == 68 for name in named(done, tmp_path / "files"))
    assert [item.name for item in tmp_path.iterdir()] == ["files"]


def test_a_link_in_the_folder_is_not_followed(host: Host, tmp_path: Path) -> None:
    """What somebody put in the place of the temporary file is removed, not written through."""
    (tmp_path / "mine").write_text("mine")
    stem = Attachment(f"{0:024x}", 0, "", is_text=False).stem
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / f"_tmp-{stem}").symlink_to(tmp_path / "mine")
    assert fetch(host, tasks(host.serves("/a.jpg")), tmp_path / "files")["outcome"].tolist() == ["downloaded"]
    assert (tmp_path / "mine").read_text() == "mine"


def test_attachments_of_all_columns_are_found() -> None:
    """Signed URLs first; texts are told from addresses; a task counts once."""
    frame = pd.DataFrame(
        {
            "task_id": ["t1", "t1", "t2", "t3", None, "t4"],
            "attachment": ["https://a/1", "https://a/1", None, "Is it late?", "https://a/9", "https://a/4"],
            "attachments": [None, None, ["https://a/2", "https://a/3"], None, None, None],
            "attachment_urls": [["https://signed/1"], None, None, None, None, None],
            "attachment_type": ["image", "image", "image", None, None, "text"],
        }
    )
    found = [(one.task_id, one.index, one.url, one.is_text) for one in attachments_of(frame)]
    assert found == [
        ("t1", 0, "https://signed/1", False),
        ("t2", 0, "https://a/2", False),
        ("t2", 1, "https://a/3", False),
        ("t3", 0, "Is it late?", True),
        ("t4", 0, "https://a/4", True),
    ]


@pytest.mark.parametrize(
    ("kind", "url", "ending"),
    [
        ("IMAGE/PNG", "https://a/x.exe", ".png"),
        ("", "https://a/x.webp", ".webp"),
        ("application/octet-stream", "https://a/x.sh", ".bin"),
        ("application/octet-stream", "https://a/x.jpg/../..", ".bin"),
        ("model/gltf-binary", "https://a/x", ".glb"),
        ("image/svg+xml", "https://a/x.svg", None),
    ],
)
def test_endings_come_from_a_list(kind: str, url: str, ending: str | None) -> None:
    """By what the host says it is; of bytes without a type by the URL, if it is on the list."""
    assert ending_of(kind, url, {"model/gltf-binary": ".glb"}) == ending


def test_an_export_and_a_receipt_will_do(host: Host, tmp_path: Path, client: rf.Client) -> None:
    """A folder is read as a stream; the tasks of a receipt are read from the service first."""
    post(client, "projects", body={"type": "imageannotation", "name": "p"})
    geometries = {"box": {"objects_to_annotate": ["a"]}}
    body = {"project": "p", "attachment": host.serves("/a.jpg"), "geometries": geometries}
    task_id = post(client, "task", "imageannotation", body=body)["task_id"]
    rf.export_tasks(tmp_path / "export", client=client)
    first = fetch(host, rf.open_export(tmp_path / "export"), tmp_path / "files")
    second = fetch(host, pd.DataFrame({"task_id": [task_id, None]}), tmp_path / "files", client=client)
    assert first["outcome"].tolist() == ["downloaded"]
    assert second[["task_id", "outcome"]].to_numpy().tolist() == [[task_id, "present"]]


def test_two_calls_do_not_share_a_folder(host: Host, tmp_path: Path) -> None:
    """The second is told at once; a folder that cannot be made is told as well."""
    inner: list[BaseException] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            fetch(host, tasks("x"), tmp_path)
        except rf.ExportError as error:
            inner.append(error)
        host.serves("/a.jpg")
        host.answers["/a.jpg"](handler)

    host.answers["/a.jpg"] = answer
    assert fetch(host, tasks(f"http://{host.name}/a.jpg"), tmp_path)["outcome"].tolist() == ["downloaded"]
    assert "is being written by another download" in str(inner[0])
    (tmp_path / "file").write_text("")
    with pytest.raises(rf.ExportError, match="cannot be written"):
        fetch(host, tasks("x"), tmp_path / "file")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_bytes": -1}, "max_bytes is a number above 0"),
        ({"timeout_secs": float("nan")}, "timeout_secs is a number"),
        ({"max_workers": True}, "max_workers is a number"),
        ({"allow_hosts": "a.example.org"}, "give a list of hosts"),
        ({"content_types": {"a/b": "../x"}}, "looks like '.glb'"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    """Before the folder is made."""
    with pytest.raises(rf.InputError, match=says):
        rf.download_attachments(tasks("x"), tmp_path / "files", **options)
    assert not (tmp_path / "files").exists()


def test_a_url_is_checked_before_it_is_resolved() -> None:
    """In the form in which it goes on the wire."""
    target = target_of("https://bücher.example/ä?q=ü#part")
    assert (target.host, target.path, target.port) == ("xn--bcher-kva.example", "/%C3%A4?q=%C3%BC", 443)
    with pytest.raises(Refused, match="no name of a host"):
        target_of("https://ä" + "x" * 70 + ".example/")


def test_an_address_that_cannot_be_reached_is_passed_by(host: Host) -> None:
    """A host may stand for several, of which one is out of order; the next file does not try that one first."""
    target = target_of(host.serves("/a.jpg"), allow_hosts=[host.name])
    with visiting() as visitor:
        for _ in range(2):
            with visitor.visit(target, ["127.0.0.2", "127.0.0.1"]) as visit:
                assert b"".join(visit.chunks()) == JPEG
        with pytest.raises(rf.NoReplyError, match="no complete answer"):
            visitor.visit(target, ["127.0.0.2", "127.0.0.3"])


def test_connections_to_many_hosts_are_not_all_kept() -> None:
    """Files of ten thousand hosts would take ten thousand open sockets."""
    with contextlib.ExitStack() as running, visiting() as visitor:
        hosts = [running.enter_context(contextlib.closing(_KeptOpen())) for _ in range(40)]
        for host in hosts:
            target = target_of(f"http://127.0.0.1:{host.port}/a", allow_hosts=["127.0.0.1"])
            with visitor.visit(target, ["127.0.0.1"]) as visit:
                assert b"".join(visit.chunks()) == b"abc"
        assert [host.is_hung_up() for host in hosts[:8]] == [True] * 8


class _KeptOpen:
    """Answers one request and keeps the connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        self._connection = self._listener.accept()[0]
        self._connection.recv(65536)
        self._connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")

    def is_hung_up(self) -> bool:
        """Wait for the other side to close."""
        assert self._connection is not None
        self._connection.settimeout(10)
        return self._connection.recv(1) == b""

    def close(self) -> None:
        """End."""
        if self._connection is not None:
            self._connection.close()
        self._listener.close()


@pytest.mark.parametrize("length", ["9" * 5_000, "-5", "\xb2", "1e3"])
def test_a_length_that_is_none_is_refused(tmp_path: Path, length: str) -> None:
    """No such answer ends the call, and none is taken for whole."""
    body = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\nabc".encode("latin-1")
    with RawServer([[body]]) as server:
        name = server.base_url[len("http://") : -len("/v1")]
        frame = rf.download_attachments(tasks(f"http://{name}/a"), tmp_path, allow_hosts=[name], progress=False)
    assert frame["outcome"].tolist() == ["refused"]
    assert "where it ends cannot be seen" in frame["error"][0]
    assert len(frame["error"][0]) < 120


def test_what_a_host_sends_does_not_reach_the_terminal(tmp_path: Path) -> None:
    """Escape sequences would be obeyed there."""
    with RawServer([[b"\x1b[2J\x07" * 1_000 + b"\r\n"]] * 3) as server:
        name = server.base_url[len("http://") : -len("/v1")]
        frame = rf.download_attachments(tasks(f"http://{name}/a"), tmp_path, allow_hosts=[name], progress=False)
    assert frame["outcome"].tolist() == ["failed"]
    assert frame["error"][0].isprintable()
    assert len(frame["error"][0]) < 300


def test_half_a_character_in_a_url_is_its_rows_refusal(host: Host, tmp_path: Path) -> None:
    """The others are downloaded."""
    url = host.serves("/a.jpg")
    frame = tasks(url, url)
    frame["attachment"] = pd.Series([url + "\ud83d", url], dtype=object)
    assert fetch(host, frame, tmp_path)["outcome"].tolist() == ["refused", "downloaded"]


def test_the_refusal_of_a_redirect_says_where_it_came_from(host: Host, tmp_path: Path) -> None:
    """Whether for its address or its form."""
    url = host.serves("/a.jpg", b"", 302, Location="https://169.254.169.254/latest")
    frame = fetch(host, tasks(url), tmp_path)
    assert frame["error"][0].startswith(f"redirected by {host.name}: 169.254.169.254 is no public address")


def test_attachments_as_objects_are_rows_too(host: Host, tmp_path: Path) -> None:
    """As the service may send them: by content or url."""
    objects = [{"type": "image", "content": host.serves("/a.jpg")}, {"url": host.serves("/b.jpg")}]
    frame = fetch(host, pd.DataFrame({"task_id": ["a"], "attachments": [objects]}), tmp_path)
    assert frame["outcome"].tolist() == ["downloaded"] * 2


def test_a_column_that_stands_there_twice_is_told(tmp_path: Path) -> None:
    """Which of the two counts, nobody knows."""
    frame = pd.DataFrame([["a", "b", "c"]], columns=["task_id", "attachment", "attachment"])
    with pytest.raises(rf.ColumnError, match="2 columns 'attachment'"):
        rf.download_attachments(frame, tmp_path)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_workers": 0.5}, "max_workers is a number of at least 1"),
        ({"allow_hosts": None}, "give a list of hosts"),
        ({"allow_hosts": ["http://files.example.org"]}, "give a list of hosts"),
        ({"content_types": ["a/b"]}, "give a mapping"),
        ({"content_types": {"a/b": 5}}, "looks like '.glb'"),
    ],
)
def test_odd_options_are_told_in_a_sentence(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    """Before anything is asked for."""
    with pytest.raises(rf.InputError, match=says):
        rf.download_attachments(tasks("https://example.org/a"), tmp_path, **options)


def test_numbers_of_numpy_are_numbers(host: Host, tmp_path: Path) -> None:
    """As they come from a frame."""
    options = {"max_bytes": np.int64(10**6), "timeout_secs": np.float64(9.0), "max_workers": np.int8(2)}
    assert fetch(host, tasks(host.serves("/a.jpg")), tmp_path, **options)["outcome"].tolist() == ["downloaded"]


def test_a_host_is_allowed_as_it_is_written() -> None:
    """In its own letters, too."""
    assert target_of("http://bücher.example/a", allow_hosts=["Bücher.example"]).is_allowed
