"""Uploaded and imported files (contract 2.4): what is sent, and what is served; no HTTP, no SQL."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field
from email.message import Message
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox import checks
from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.exchange import Refusal, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.sandbox.exchange import Asked

__all__ = ["FIELDS", "MAX_FILE_BYTES", "Asset", "Sent", "read_import", "read_upload"]

#: Documented.
MAX_FILE_BYTES = 80 * 1024 * 1024
SCHEME = "refontedata"
#: What may be said about a file (contract 2.4).
FIELDS = ("display_name", "project_name", "reference_id", "metadata")


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request says about a file; of its content only size and hash are kept."""

    mime_type: str
    size: int
    digest: bytes
    display_name: str | None = None
    project: str | None = None
    reference_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asset:
    """One kept file; ``row`` is its number in the store."""

    row: int
    id: str
    owner: str
    sent: Sent
    projects: tuple[str, ...]
    created_ms: int
    updated_ms: int

    def served(self) -> dict[str, Any]:
        """Give the file as the API does."""
        given = {"display_name": self.sent.display_name, "reference_id": self.sent.reference_id}
        return {
            "id": self.id,
            "attachment_url": f"{SCHEME}://{self.owner}/{self.id}",
            "mime_type": self.sent.mime_type,
            "size": self.sent.size,
            "project_names": list(self.projects),
            "metadata": self.sent.metadata,
            "created_at": stamp(self.created_ms),
            "updated_at": stamp(self.updated_ms),
            **{name: value for name, value in given.items() if value is not None},
        }


def read_upload(asked: Asked) -> tuple[Sent, tuple[str, ...]]:
    """Read ``POST /files/upload``: the file, and the names of fields that are not documented.

    Raises
    ------
    Refusal
        400 without a file, 413 for one that is too large, 415 when it is no multipart form.
    """
    if asked.media_type != "multipart/form-data":
        raise Refusal(415, f"The content type {asked.media_type!r} is not supported; send multipart/form-data.")
    parts = _parts(asked)
    if "file" not in parts:
        raise checks.required("file")
    name, mime_type, content = parts["file"]
    if len(content) > MAX_FILE_BYTES:
        raise Refusal(413, f"The file has {len(content):,} bytes; at most {MAX_FILE_BYTES:,} are accepted.")
    texts = {key: _text(key, value) for key, (_, _, value) in parts.items() if key != "file"}
    kind = mime_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
    unknown = tuple(key for key in texts if key not in FIELDS)
    return _sent(texts, kind, len(content), sha256(content).digest(), name), unknown


def read_import(body: Mapping[str, Any]) -> Sent:
    """Read ``POST /files/import``: the URL is noted, never fetched, so that the size is unknown (0)."""
    url = checks.take(body, "file_url", checks.a_text)
    if url is None:
        raise checks.required("file_url")
    kind = mimetypes.guess_type(url.partition("?")[0])[0] or "application/octet-stream"
    return _sent(body, kind, 0, sha256(url.encode()).digest(), None)


def _sent(values: Mapping[str, Any], mime_type: str, size: int, digest: bytes, name: str | None) -> Sent:
    given = {key: checks.take(values, key, checks.a_text) for key in ("display_name", "project_name", "reference_id")}
    metadata = values.get("metadata")
    if isinstance(metadata, str):
        metadata = parse(metadata)
    if metadata is not None and (why := checks.an_object(metadata)):
        raise checks.invalid("metadata", why)
    return Sent(
        mime_type,
        size,
        digest,
        given["display_name"] or name or None,
        given["project_name"],
        given["reference_id"],
        metadata or {},
    )


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeError:
        raise checks.invalid(name, "is not valid UTF-8") from None


def _parts(asked: Asked) -> dict[str, tuple[str, str, bytes]]:
    """Split a multipart form: file name, content type and content by field name."""
    boundary = _header("content-type", asked.headers.get("content-type", "")).get_boundary()
    if not boundary:
        raise Refusal(400, "The multipart form has no boundary.")
    pieces = (b"\r\n" + asked.body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    found: dict[str, tuple[str, str, bytes]] = {}
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        lines = dict(_line(line) for line in head.decode("utf-8", "replace").split("\r\n") if ":" in line)
        form = _header("content-disposition", lines.get("content-disposition", ""))
        name = form.get_param("name", header="content-disposition")
        if blank and isinstance(name, str):
            found[name] = (form.get_filename() or "", lines.get("content-type", ""), content)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise Refusal(400, "The multipart form does not end.")
    return found


def _line(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip().lower(), value.strip()


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\n", " ").replace("\r", " ")
    return message
