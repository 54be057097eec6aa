"""What is asked and what came back: the two values that pass through the one door to the network. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Call", "FileForm", "Reply", "path_of"]


def path_of(*segments: str) -> str:
    """Join path segments, percent-encoding each with nothing left safe.

    Batch, project and group names may hold slashes, blanks and percent signs (contract 1.1).

    >>> path_of("batches", "a bc/def", "status")
    '/batches/a%20bc%2Fdef/status'
    """
    return "".join("/" + quote(segment, safe="") for segment in segments)


@dataclass(frozen=True, slots=True)
class FileForm:
    """A multipart form with one file, which is read while it is sent and is never whole in memory.

    Parameters
    ----------
    path : str
        The file; opened anew for every sending.
    size, sha256 : int, bytes
        Of its content. A file that has become another one since is not sent to its end, so that the service cannot
        take it.
    name, mime_type : str
        As the form says them.
    fields : tuple of (str, str)
        What stands in the form before the file.
    """

    path: str
    size: int
    sha256: bytes
    name: str
    mime_type: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as plain values.

    Parameters
    ----------
    method : str
        HTTP verb.
    path : str
        Percent-encoded path below the base URL, with a leading slash: see `path_of`.
    query : iterable of (str, str)
        Query pairs in order; keys may repeat.
    body : bytes, optional
        The request body.
    content_type : str
        Of the body; only sent when there is one.
    form : FileForm, optional
        A body of another kind, instead of `body`.
    headers : mapping
        Further headers; never credentials, those belong to the transport.
    is_repeatable : bool, optional
        True when sending it twice is harmless. Default: GET, PUT and DELETE are, POST is not unless it
        carries an Idempotency-Key.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    content_type: str = "application/json"
    form: FileForm | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool | None = None

    @property
    def target(self) -> str:
        """Path and query as they go on the wire, below the base URL."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path

    @property
    def may_be_repeated(self) -> bool:
        """Whether a second sending can do no harm."""
        if self.is_repeatable is not None:
            return self.is_repeatable
        return self.method != "POST" or "Idempotency-Key" in self.headers

    @classmethod
    def get(cls, *segments: str, query: Iterable[tuple[str, str]] = ()) -> Call:
        """Make a GET of the path made of these segments."""
        return cls("GET", path_of(*segments), tuple(query))


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer whose body was read to its end, within the limits on size and time.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : mapping of str to str
        Header names in lower case.
    body : bytes
        Decoded body (gzip undone).
    wire_bytes : int
        Size of the body on the wire.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    wire_bytes: int = 0
