"""What the service says of files: one that was taken, all of a project, the one with a reference. No frames here."""

from __future__ import annotations

import threading
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.errors import ReplyError
from refonte_frames.pages import Paging
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.client import Client

__all__ = ["AssetFinder", "attachment_url_of", "list_assets"]

#: Files that are asked for one by one before a project's list is read.
_ASKED_ALONE: Final = 10
#: Files of a list that are read, and kept, at most.
_MOST_LISTED: Final = 100_000


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


class AssetFinder:
    """Finds files of a project by the reference in their metadata, safely from many threads.

    The first few are asked for one by one. Where there are more, the project's list is read page by page, which brings
    a hundred files a request; what is not on it (any more, or not yet) is asked for alone.
    """

    def __init__(self, client: Client, project: str) -> None:
        self._client = client
        self.project = project
        self._lock = threading.Lock()
        self._asked = 0
        self._known: dict[str, dict[str, Any]] = {}
        self._rest: Iterator[dict[str, Any]] | None = None
        self._most = _MOST_LISTED

    def find(self, reference_id: str, *, stop: threading.Event | None = None) -> dict[str, Any] | None:
        """Find the file with this reference, or None."""
        with self._lock:
            self._asked += 1
            is_listed = self._asked > _ASKED_ALONE
            found = self._listed(reference_id, stop) if is_listed else self._known.get(reference_id)
        if found is not None:
            return found
        # A service that overlooks the filter lists all files; only the one that is meant is taken.
        assets = list_assets(self._client, [self.project], {"reference_id": reference_id}, stop=stop)
        return next((asset for asset in assets if _reference_of(asset) == reference_id), None)

    def _listed(self, reference_id: str, stop: threading.Event | None) -> dict[str, Any] | None:
        """Read the list on until the file is there, or so many others were read that it is most likely not."""
        if self._rest is None:
            self._rest = list_assets(self._client, [self.project], stop=stop)
        while reference_id not in self._known and self._most > 0:
            some = list(islice(self._rest, MAX_PAGE_SIZE))
            self._most = self._most - len(some) if some else 0
            self._known |= {reference: asset for asset in some if (reference := _reference_of(asset)) is not None}
        return self._known.get(reference_id)


def _reference_of(asset: Mapping[str, Any]) -> str | None:
    metadata = asset.get("metadata")
    reference = metadata.get("reference_id") if isinstance(metadata, dict) else None
    return reference if isinstance(reference, str) else None
