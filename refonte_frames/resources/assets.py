"""What the service says of files: one that was taken, all of a project, the one with a reference. No frames here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.errors import ReplyError
from refonte_frames.pages import Paging
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.client import Client

__all__ = ["attachment_url_of", "find_asset", "list_assets"]


class _Taken(msgspec.Struct):
    """The field of a file that everything hangs on."""

    attachment_url: Annotated[str, msgspec.Meta(min_length=1)]


class _Page(msgspec.Struct):
    docs: list[dict[str, Any]]
    has_more: bool = False
    next_token: str | None = None
    total: int | None = None


def attachment_url_of(body: bytes, *, where: str) -> str:
    """Read the address of a file from the answer to its upload or import.

    Raises
    ------
    ReplyError
        There is none.
    """
    return decode_json(body, where=where, type=_Taken).attachment_url


def list_assets(
    client: Client,
    projects: Sequence[str],
    metadata: Mapping[str, Any] | None = None,
    *,
    stop: threading.Event | None = None,
) -> Iterator[dict[str, Any]]:
    """List the files of projects, page by page, newest first; each once, also when pages overlap.

    Parameters
    ----------
    projects : sequence of str
        At least one.
    metadata : mapping, optional
        What a file's metadata must hold.
    """
    paging = Paging(MAX_PAGE_SIZE)
    seen: set[str] = set()
    query = [("projects", project) for project in projects]
    query += [("metadata", msgspec.json.encode(metadata).decode())] if metadata else []
    cursor: str | None = None
    while True:
        asked = [*query, *([("cursor", cursor)] if cursor else [])]
        reply = client.send(Call.get("files", query=asked), stop=stop)
        page = decode_json(reply.body, where=f"GET /files, page {paging.pages + 1},", type=_Page)
        for asset in page.docs:
            name = asset.get("attachment_url")
            if not isinstance(name, str):
                raise ReplyError("GET /files was answered with a file without attachment_url.", path="attachment_url")
            if name not in seen:
                seen.add(name)
                yield asset
        cursor = paging.next_token(page)
        if cursor is None:
            return


def find_asset(
    client: Client, project: str, reference_id: str, *, stop: threading.Event | None = None
) -> dict[str, Any] | None:
    """Find the file of a project that carries a reference in its metadata.

    A service that overlooks the filter lists all files; only the one that is meant is taken.
    """
    for asset in list_assets(client, [project], {"reference_id": reference_id}, stop=stop):
        metadata = asset.get("metadata")
        if isinstance(metadata, dict) and metadata.get("reference_id") == reference_id:
            return asset
    return None
