"""Which attachments tasks have, and how the files of ours are called that take them. Pure; nothing is fetched here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pandas as pd

from refonte_frames.export.row_tasks import column_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["COLUMNS", "Attachment", "attachments_of", "ending_of", "has_attachments"]

#: Columns that hold attachments; of signed URLs and plain ones the signed ones count.
COLUMNS: Final = ("attachment_urls", "attachments", "attachment")

#: What is taken, and the end of its file's name; anything else could be a login page, or a program.
_ENDINGS: Final = {
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/png": ".png",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-msvideo": ".avi",
    "audio/mpeg": ".mp3",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "application/pdf": ".pdf",
    "application/json": ".json",
    "text/plain": ".txt",
    "text/csv": ".csv",
}
#: "Some bytes": storage says so of everything it was not told the type of.
_BYTES: Final = ("", "application/octet-stream", "binary/octet-stream")
_SAFE_ENDINGS: Final = frozenset({*_ENDINGS.values(), ".jpeg", ".tiff", ".bin", ".pcd", ".ply"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment of a task; `index` counts from 0 within the task."""

    task_id: str
    index: int
    url: str
    is_text: bool

    @property
    def stem(self) -> str:
        """The name of its file without the ending: made of nothing that the service, or anybody else, chose freely."""
        return hashlib.sha256(f"{self.task_id}/{self.index}".encode(errors="surrogatepass")).hexdigest()


def has_attachments(rows: pd.DataFrame) -> bool:
    """Tell whether a frame has a column with attachments."""
    return any(name in rows.columns for name in COLUMNS)


def attachments_of(rows: pd.DataFrame) -> Iterator[Attachment]:
    """List the attachments of tasks, in the order of the rows; a task that stands in several rows counts once.

    Raises
    ------
    ColumnError
        The frame has no column ``task_id``, or one of its columns twice.
    """
    seen: set[str] = set()
    task_ids = column_of(rows, ("task_id",)).tolist()
    columns = [column_of(rows, (name,)).tolist() for name in COLUMNS if name in rows.columns]
    has_types = "attachment_type" in rows.columns
    types = column_of(rows, ("attachment_type",)).tolist() if has_types else [None] * len(rows)
    for task_id, type_, *cells in zip(task_ids, types, *columns, strict=True):
        if isinstance(task_id, str) and task_id and task_id not in seen:
            seen.add(task_id)
            texts = next((found for found in map(_texts, cells) if found), [])
            for index, text in enumerate(texts):
                yield Attachment(task_id, index, text, is_text=_is_text(text, type_))


def _texts(cell: Any) -> list[str]:
    if isinstance(cell, str):
        return [cell] if cell else []
    if isinstance(cell, Mapping):
        text = cell.get("content") or cell.get("url")
        return [text] if isinstance(text, str) else []
    return [text for item in cell for text in _texts(item)] if pd.api.types.is_list_like(cell) else []


def _is_text(text: str, attachment_type: Any) -> bool:
    return (isinstance(attachment_type, str) and attachment_type == "text") or "://" not in text[:64]


def ending_of(content_type: str, url: str, extra: dict[str, str]) -> str | None:
    """Choose the end of a file's name by what the host says it is; None when that is not taken.

    >>> ending_of("image/jpeg; charset=binary", "https://example.org/a.php", {})
    '.jpg'
    >>> ending_of("application/octet-stream", "https://example.org/a.PNG?x=1", {})
    '.png'
    >>> ending_of("text/html", "https://example.org/a.jpg", {}) is None
    True
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in extra or kind in _ENDINGS:
        return extra.get(kind) or _ENDINGS[kind]
    if kind not in _BYTES:
        return None
    own = PurePosixPath(urlsplit(url).path).suffix.lower()
    return own if own in _SAFE_ENDINGS else ".bin"
