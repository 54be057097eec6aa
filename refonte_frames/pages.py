"""Page after page of a list by next_token: when to go on, to end, and to begin again. Parses and stores nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from refonte_frames.api import MAX_PAGE_SIZE
from refonte_frames.errors import BadRequest, ReplyError
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized

    from refonte_frames.transport.calls import Reply

__all__ = ["PageLike", "PageReader", "PageSize", "Paging", "read_pages"]

_MAX_EMPTY_PAGES: Final = 3
#: A list that shifts while it is read may repeat a page; one that begins again does so without end.
_MAX_REPEATED_PAGES: Final = 3
_MAX_RESTARTS: Final = 3
#: A page of a hundred usual tasks has a tenth of it; sixteen threads hold a few pages each.
_PAGE_BYTES: Final = 4 * 2**20


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
class PageSize:
    """How many objects to ask for per page: fewer where they are large. One serves all threads of a pass.

    Parameters
    ----------
    most : int
        What to ask for as long as pages stay small.

    Examples
    --------
    >>> size = PageSize()
    >>> size.note(asked=100, page_bytes=16 * 2**20)
    >>> size.now
    25
    """

    most: int = MAX_PAGE_SIZE
    now: int = 0

    def __post_init__(self) -> None:
        self.now = self.now or self.most

    def note(self, *, asked: int, page_bytes: int) -> None:
        """Take note of the size of a page that so many objects were asked for."""
        if page_bytes > _PAGE_BYTES:
            self.now = max(1, min(self.now, asked * _PAGE_BYTES // page_bytes))
        elif asked == self.now < self.most and page_bytes < _PAGE_BYTES // 4:
            self.now = min(self.most, 2 * self.now)

    def note_refusal(self, *, asked: int) -> bool:
        """Take note of a page that was too large to be read at all; False when it cannot be made smaller."""
        self.now = max(1, min(self.now, asked // 8))
        return asked > 1


@dataclass(slots=True)
class Paging:
    """Decides, from what the pages so far said, with which token to ask for the next one.

    A service may repeat a token, promise more and send nothing, overlook the token and begin again each time, or go on
    beyond its own total: reading ends all the same. Whether rows are missing then is for the caller to find out, who
    knows the total.

    Parameters
    ----------
    limit : int
        Tasks asked for per page, at least.
    """

    limit: int
    pages: int = 0
    _tokens: set[str] = field(default_factory=set)
    _empty_pages: int = 0
    _repeated_pages: int = 0
    #: The first page and the last one of a list without a total; of others the total tells how long they are.
    _first: Sized = ()
    _last: Sized = ()

    def next_token(self, page: PageLike) -> str | None:
        """Take note of a page, and return the token of the next one; None to end."""
        self.pages += 1
        self._empty_pages = 0 if page.docs else self._empty_pages + 1
        token = page.next_token
        if not page.has_more or token is None or token in self._tokens:
            return None
        if page.total is None:
            self._note_repeat(page.docs)
        if self._repeated_pages > _MAX_REPEATED_PAGES:
            return None
        if self._empty_pages > _MAX_EMPTY_PAGES or self.pages >= self._most_pages(page.total):
            return None
        self._tokens.add(token)
        return token

    def _note_repeat(self, docs: Sized) -> None:
        self._repeated_pages += len(docs) > 0 and docs in (self._first, self._last)
        self._first, self._last = self._first or docs, docs

    def _most_pages(self, total: int | None) -> float:
        return float("inf") if total is None else 2 * total / self.limit + 10


def read_pages(
    send: Callable[[Call], Reply],
    decoder: PageReader[P],
    query: list[tuple[str, str]],
    *,
    size: PageSize | None = None,
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
    size : PageSize, optional
        How many objects to ask for per page; it learns from the pages. Default: as many as the service allows.
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
    size = size or PageSize()
    while True:
        paging = Paging(size.now)
        token: str | None = None
        try:
            while True:
                named = f"{where}, page {paging.pages + 1},"
                asked = [*query, *([("next_token", token)] if token else [])]
                reply = _ask(partial(_send_limited, send, segments, asked), size, named)
                page = decoder.decode(reply.body, where=named)
                yield page, reply.wire_bytes
                paging.limit = min(paging.limit, size.now)
                token = paging.next_token(page)
                if token is None:
                    return
        except BadRequest:
            # Without a token it is the query that is refused, and asking again would not help.
            if token is None or restarts == _MAX_RESTARTS:
                raise
            restarts += 1


def _send_limited(
    send: Callable[[Call], Reply], segments: Sequence[str], query: list[tuple[str, str]], limit: int
) -> Reply:
    return send(Call.get(*segments, query=[*query, ("limit", str(limit))]))


def _ask(send: Callable[[int], Reply], size: PageSize, named: str) -> Reply:
    """Ask for one page, and for ever fewer objects while it is too large to be read."""
    while True:
        asked = size.now
        try:
            reply = send(asked)
        except ReplyError as error:
            if not error.is_too_large:
                raise
            if not size.note_refusal(asked=asked):
                raise ReplyError(f"{named} is too large even with limit=1. {error}", is_too_large=True) from None
        else:
            size.note(asked=asked, page_bytes=len(reply.body))
            return reply
