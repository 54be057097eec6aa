"""Where files come from, and what makes one the same: paths of this machine, URLs that the service fetches."""

from __future__ import annotations

import functools
import hashlib
import mimetypes
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from refonte_frames.api import MAX_FILE_BYTES
from refonte_frames.resources.creations import Facts, Refused
from refonte_frames.transport.calls import Call, FileForm

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LocalFile", "RemoteFile", "WantedFile", "mime_type_of"]

#: Beside the types that Python knows on every machine; the tables of the operating system differ.
_MORE_TYPES: Final = {
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".jsonl": "application/x-ndjson",
    ".m4a": "audio/mp4",
    ".mkv": "video/x-matroska",
    ".webp": "image/webp",
}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine.

    Attributes
    ----------
    mark : str
        What the digest is called in the file's metadata.
    scheme : str
        How references begin that are made of the digest.
    """

    mark: ClassVar[str] = "sha256"
    scheme: ClassVar[str] = "sha256"

    path: str

    def check(self) -> None:
        """Look whether it is there and not too large; its content is not read."""
        try:
            found = Path(self.path).stat()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise Refused("no_such_file", f"{self.path!r} cannot be found: {why}") from None
        if not stat.S_ISREG(found.st_mode):
            raise Refused("no_file", f"{self.path!r} is no file; name the files in it one by one")
        _check_size(self.path, found.st_size)

    def look(self) -> Facts:
        """Read it once, piece by piece."""
        try:
            with Path(self.path).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                size = file.tell()
        except OSError as error:
            raise Refused("unreadable_file", f"{self.path!r} cannot be read: {error.strerror}") from None
        _check_size(self.path, size)
        return Facts(digest, size)

    def call(self, facts: Facts, settings: Mapping[str, Any]) -> Call:
        """Make a form of it."""
        name = os.path.basename(self.path)  # noqa: PTH119 - Path would drop what a URL-like path holds
        fields = {"display_name": name, **settings, "metadata": msgspec.json.encode(settings["metadata"]).decode()}
        form = FileForm(self.path, facts.size or 0, facts.digest, name, mime_type_of(name), tuple(fields.items()))
        return Call("POST", "/files/upload", form=form, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that the service fetches from its URL."""

    mark: ClassVar[str] = "file_url_sha256"
    scheme: ClassVar[str] = "url"

    url: str

    def look(self) -> Facts:
        """Take the URL for what it says."""
        return Facts(hashlib.sha256(self.url.encode()).digest(), None)

    def call(self, facts: Facts, settings: Mapping[str, Any]) -> Call:  # noqa: ARG002 - as for a file
        """Name it."""
        body = msgspec.json.encode({"file_url": self.url, **settings})
        return Call("POST", "/files/import", body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class WantedFile:
    """A file that is to be at the service.

    Attributes
    ----------
    display_name, reference_id : str or None
        The caller's own.
    metadata : mapping
        The caller's, without our two keys.
    """

    id_name: ClassVar[str] = "reference_id"

    source: LocalFile | RemoteFile
    project: str | None = None
    display_name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reference_id: str | None = None

    def look(self) -> Facts:
        """Find out what the file is."""
        return self.source.look()

    def own_id(self, facts: Facts) -> str:
        """Name the file by what it is; the same bytes with other metadata are another file."""
        if self.reference_id is not None:
            return self.reference_id
        return f"{self.source.scheme}-{self._digest(facts).hex()}"

    def _digest(self, facts: Facts) -> bytes:
        if not self.metadata and self.display_name is None:
            return facts.digest
        about = msgspec.json.encode([self.display_name, self.metadata], order="deterministic")
        return hashlib.sha256(facts.digest + about).digest()

    def call(self, facts: Facts) -> Call:
        """Make the request; the reference and what the file is made of are put into its metadata, too."""
        reference_id = self.own_id(facts)
        metadata = {**self.metadata, "reference_id": reference_id, self.source.mark: facts.digest.hex()}
        named = {"display_name": self.display_name, "project_name": self.project}
        settings = {key: value for key, value in named.items() if value is not None}
        return self.source.call(facts, {**settings, "reference_id": reference_id, "metadata": metadata})


def mime_type_of(name: str) -> str:
    """Guess the media type from a name's ending, the same on every machine.

    >>> mime_type_of("a.JPG"), mime_type_of("a.webp"), mime_type_of("a")
    ('image/jpeg', 'image/webp', 'application/octet-stream')
    """
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
    return _MORE_TYPES.get(ending) or _types().guess_type(f"x{ending}")[0] or "application/octet-stream"


@functools.cache
def _types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes(filenames=())


def _check_size(path: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise Refused(
            "too_large",
            f"{path!r} has {size:,} bytes, and at most {MAX_FILE_BYTES:,} (80 MB) can be uploaded; split or compress "
            "it, or put it where the service can fetch it: rf.files.import_urls",
        )
