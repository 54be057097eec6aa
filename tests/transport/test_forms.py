"""Files on their way out: streamed as a form, byte for byte, and withheld when they are not what was announced."""

from __future__ import annotations

import hashlib
import re
import resource
from typing import TYPE_CHECKING

import pytest
from raw_server import RawServer, answer

from refonte_frames.client import Client
from refonte_frames.errors import InputError, NoReplyError
from refonte_frames.transport.calls import Call, FileForm
from refonte_frames.transport.forms import FormBody

if TYPE_CHECKING:
    from pathlib import Path

    import refonte_frames as rf

KEY = "live_0123456789"


def form_of(path: Path, *, name: str = "a.png", sha256: bytes | None = None) -> FileForm:
    """Describe a file as it is now."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).digest() if sha256 is None else sha256
    return FileForm(str(path), len(content), digest, name, "image/png", (("reference_id", "r"), ("metadata", "{}")))


def upload(form: FileForm) -> Call:
    """Make the call."""
    return Call("POST", "/files/upload", form=form)


def test_a_form_is_sent_as_announced_with_the_file_last(tmp_path: Path) -> None:
    """Length, boundary, fields and content are those that a reader of the raw bytes finds."""
    path = tmp_path / "a.png"
    path.write_bytes(bytes(range(256)) * 1000 + b"\r\n--x--\r\n")
    with RawServer([answer()]) as server, Client(KEY, server.base_url) as client:
        client.send(upload(form_of(path, name='ä "b".png')))
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    boundary = re.search(rb"multipart/form-data; boundary=(\w+)", head)[1]  # type: ignore[index]
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Transfer-Encoding" not in head
    first, *parts, last = body.split(b"--" + boundary)
    assert (first, last) == (b"", b"--\r\n")
    assert [re.search(rb' name="(\w+)"', part)[1] for part in parts] == [b"reference_id", b"metadata", b"file"]  # type: ignore[index]
    assert 'filename="ä %22b%22.png"'.encode() in parts[-1]
    assert parts[-1].endswith(b"\r\n\r\n" + path.read_bytes() + b"\r\n")


def test_a_file_that_changed_is_not_sent_to_its_end(client: rf.Client, tmp_path: Path) -> None:
    """The service never sees a whole form, and has no file with this reference afterwards."""
    path = tmp_path / "a.png"
    path.write_bytes(b"one")
    with pytest.raises(InputError, match=r"a\.png was changed while it was uploaded"):
        client.send(upload(form_of(path, sha256=b"other")))
    assert client.requests_by_status() == {}
    assert client.send(upload(form_of(path))).status == 200


@pytest.mark.parametrize("content", [b"12", b"1234"], ids=["shorter", "longer"])
def test_a_file_of_another_size_is_a_changed_one(tmp_path: Path, content: bytes) -> None:
    """Also when its first bytes are the same."""
    path = tmp_path / "a.png"
    path.write_bytes(b"123")
    form = form_of(path)
    path.write_bytes(content)
    with FormBody(form, b"head", b"tail", ends_at=float("inf"), note_end=list) as body:
        assert body.read() == b"head"
        with pytest.raises(InputError, match="was changed"):
            list(iter(body.read, b""))


def test_a_file_that_went_away_is_said_to_be_unreadable(tmp_path: Path) -> None:
    """With its path."""
    form = FileForm(str(tmp_path / "b.png"), 1, b"", "b.png", "image/png")
    with Client(KEY, "http://127.0.0.1:9/v1") as client, pytest.raises(InputError, match=r"b\.png cannot be read: No"):
        client.send(upload(form))


def test_a_body_that_does_not_get_through_in_time_is_given_up(tmp_path: Path) -> None:
    """Whoever takes it byte by byte does not hold a worker for ever."""
    path = tmp_path / "a.png"
    path.write_bytes(b"123")
    with (
        FormBody(form_of(path), b"head", b"tail", ends_at=0.0, note_end=list) as body,
        pytest.raises(OSError, match="did not get through"),
    ):
        body.read()


def test_a_form_may_have_been_received_when_no_answer_comes(tmp_path: Path) -> None:
    """Nobody can tell."""
    path = tmp_path / "a.png"
    path.write_bytes(b"123")
    with RawServer([[b""]]) as server, Client(KEY, server.base_url) as client:
        with pytest.raises(NoReplyError) as caught:
            client.send(upload(form_of(path)), max_tries=1)
    assert caught.value.was_sent


def test_79_megabytes_go_out_in_constant_memory(client: rf.Client, tmp_path: Path) -> None:
    """The peak of this process grows by less than a tenth of the file."""
    path = tmp_path / "a.bin"
    size = 79 * 2**20
    with path.open("wb") as file:
        file.truncate(size)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    client.send(Call.get("projects"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.send(upload(FileForm(str(path), size, digest, "a.bin", "application/octet-stream")))
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown_bytes < size // 10
