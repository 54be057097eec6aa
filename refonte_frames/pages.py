"""Page after page of a list by next_token: when to go on, to end, and to begin again. Parses and stores nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.errors import BadRequest
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized

    from refonte_frames.transport.calls import Reply

__all__ = ["PageLike", "PageReader", "Paging", "read_pages"]

_MAX_EMPTY_PAGES: Final = 3
_MAX_RESTARTS: Final = 3


class PageLike(Protocol):
    """What paging looks at in a page; whatever its tasks are decoded to."""

    @property
    def docs(self) -> Sized:
        """The objects of the page."""

    @property
    def total(self) -> int | None:
        """How many objects match on all pages, by the service's account."""

    @property
    def has_more(self) -> bool:
        """Whether the service says that there is another page."""

    @property
    def next_token(self) -> str | None:
        """What to ask for the next page with."""


P = TypeVar("P", bound=PageLike)
P_co = TypeVar("P_co", bound=PageLike, covariant=True)


class PageReader(Protocol[P_co]):
    """Makes a page of a reply's body."""

    def decode(self, body: bytes, *, where: str) -> P_co:
        """Read one page; `where` names it in the sentence of an error."""


@dataclass(slots=True)
class Paging:
    """Decides, from what the pages so far said, with which token to ask for the next one.

    A service may repeat a token, promise more and send nothing, or go on without end: reading ends all the same.
    Whether rows are missing then is for the caller to find out, who knows the total.

    Parameters
    ----------
    limit : int
        Tasks asked for per page.
    """

    limit: int
    pages: int = 0
    _tokens: set[str] = field(default_factory=set)
    _empty_pages: int = 0

    def next_token(self, page: PageLike) -> str | None:
        """Take note of a page, and return the token of the next one; None to end."""
        self.pages += 1
        self._empty_pages = 0 if page.docs else self._empty_pages + 1
        token = page.next_token
        if not page.has_more or token is None or token in self._tokens:
            return None
        if self._empty_pages > _MAX_EMPTY_PAGES or self.pages >= self._most_pages(page.total):
            return None
        self._tokens.add(token)
        return token

    def _most_pages(self, total: int | None) -> float:
        return float("inf") if total is None else 2 * total / self.limit + 10


def read_pages(
    send: Callable[[Call], Reply],
    decoder: PageReader[P],
    query: list[tuple[str, str]],
    *,
    limit: int = MAX_PAGE_SIZE,
    where: str = "GET /tasks",
    segments: Sequence[str] = ("tasks",),
) -> Iterator[tuple[P, int]]:
    """Read all pages of one query.

    Parameters
    ----------
    send : callable
        `Client.send`.
    decoder : PageReader
        Reads the replies.
    query : list of (str, str)
        The filters, sent again with every token (contract 1.6).
    limit : int
        Tasks per page, 1 to 100.
    where : str
        Names the query in an error's sentence.
    segments : sequence of str
        The path of the list.

    Yields
    ------
    tuple of (page, int)
        A page, and its size on the wire. When a token is refused, as an expired one is, reading begins again
        at the first page: tasks may then come twice.

    Raises
    ------
    ReplyError, ApiError, NoReplyError
        As `Client.send` and `decoder.decode` do; the sentence names the page.
    """
    restarts = 0
    while True:
        paging = Paging(limit)
        token: str | None = None
        try:
            while True:
                extra = [("limit", str(limit)), *([("next_token", token)] if token else [])]
                reply = send(Call.get(*segments, query=[*query, *extra]))
                page = decoder.decode(reply.body, where=f"{where}, page {paging.pages + 1},")
                yield page, reply.wire_bytes
                token = paging.next_token(page)
                if token is None:
                    return
        except BadRequest:
            # Without a token it is the query that is refused, and asking again would not help.
            if token is None or restarts == _MAX_RESTARTS:
                raise
            restarts += 1
