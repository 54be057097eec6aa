"""Tasks by their ids, in as few calls as the service allows; says which were not found. Makes no tables."""

from __future__ import annotations

import datetime as dt
import re
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from urllib.parse import quote_plus

import msgspec
import pandas as pd

from refonte_frames.cells import is_sendable
from refonte_frames.errors import InputError, NotFound, ReplyError
from refonte_frames.pages import PageLike, read_pages
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from refonte_frames.client import Client
    from refonte_frames.transport.calls import Reply

__all__ = [
    "Desk",
    "Found",
    "IdSearch",
    "JsonDesk",
    "JsonTasks",
    "TaskPage",
    "TaskReader",
    "by_listing",
    "by_task_ids",
    "by_unique_ids",
    "chunks_of",
    "ids_of",
]

_MAX_IDS: Final = 40
_MAX_QUERY_BYTES: Final = 6_000
#: Fewer tasks than this are read one by one sooner than a list of all that were created in their time.
_FEWEST_LISTED: Final = 100
#: A list that holds more tasks than this for each one that is wanted is not read.
_MOST_FOR_ONE: Final = 4
#: Queries that are ready behind each worker; what they bring is held in memory until it is asked for.
_READY_PER_WORKER: Final = 2
_TASK_ID: Final = re.compile(r"[0-9a-f]{24}")

D = TypeVar("D")
D_co = TypeVar("D_co", covariant=True)


class TaskPage(PageLike, Protocol[D_co]):
    """A page whose tasks were decoded, to whatever the caller works with."""

    @property
    def docs(self) -> Sequence[D_co]:
        """The tasks of the page, in the order of the reply."""


class TaskReader(Protocol[D]):
    """Makes tasks of replies."""

    def decode(self, body: bytes, *, where: str) -> TaskPage[D]:
        """Read a page of tasks; `where` names it in the sentence of an error."""

    def decode_task(self, body: bytes, *, where: str) -> D:
        """Read one task object."""

    def ids(self, doc: D) -> tuple[str, str | None]:
        """Tell a task's id, and its unique_id where it has one."""


class Desk(Protocol[D]):
    """Where to ask: a way to the service, filters that go with every query, and a reader of what comes."""

    @property
    def client(self) -> Client:
        """Whose workers ask."""

    @property
    def decoder(self) -> TaskReader[D]:
        """Reads what comes."""

    def send(self, call: Call) -> Reply:
        """Send a call as `Client.send` does."""

    def query(self) -> list[tuple[str, str]]:
        """Return the filters as query pairs."""


class _JsonPage(msgspec.Struct):
    docs: list[dict[str, Any]]
    total: int | None = None
    says_more: bool | None = msgspec.field(default=None, name="has_more")
    next_token: str | None = None

    @property
    def has_more(self) -> bool:
        return bool(self.says_more)


class JsonTasks:
    """Reads tasks as the dicts that JSON makes of them."""

    def decode(self, body: bytes, *, where: str) -> TaskPage[dict[str, Any]]:
        """Read a page of tasks."""
        return decode_json(body, where=where, type=_JsonPage)

    def decode_task(self, body: bytes, *, where: str) -> dict[str, Any]:
        """Read one task object."""
        return decode_json(body, where=where, type=dict[str, Any])

    def ids(self, doc: dict[str, Any]) -> tuple[str, str | None]:
        """Tell a task's id, and its unique_id where it has one."""
        task_id, unique_id = doc.get("task_id"), doc.get("unique_id")
        if not isinstance(task_id, str) or not task_id:
            raise ReplyError("GET /tasks was answered with a task without task_id.", path="docs.task_id")
        return task_id, unique_id if isinstance(unique_id, str) else None


@dataclass(frozen=True, slots=True)
class JsonDesk:
    """Asks for all tasks of the key's world, and gives them as dicts.

    Parameters
    ----------
    client : Client
        The way to the service.
    stop : threading.Event, optional
        As for `Client.send`.
    """

    client: Client
    stop: threading.Event | None = None
    decoder: JsonTasks = field(default_factory=JsonTasks)

    def send(self, call: Call) -> Reply:
        """Send a call as `Client.send` does."""
        return self.client.send(call, stop=self.stop)

    def query(self) -> list[tuple[str, str]]:
        """Return no filters."""
        return []


@dataclass(frozen=True, slots=True)
class Found(Generic[D]):
    """What a look-up brought.

    Attributes
    ----------
    docs : list
        The tasks that were found, in the order of the ids.
    missing : list of str
        The ids without a task.
    wire_bytes, pages : int
        What it took.
    """

    docs: list[D]
    missing: list[str]
    wire_bytes: int
    pages: int


def ids_of(name: str, values: str | Iterable[Any]) -> list[str]:
    """Take ids from a text, a list or a Series: nulls and repeats are left out, the order is kept.

    Raises
    ------
    InputError
        If one of them is no text, or empty: an id that went through a number may have lost digits.
    """
    if not isinstance(values, Iterable) or isinstance(values, pd.DataFrame):
        raise InputError(f"{name}: give a text, or a list or Series of texts, not a {type(values).__name__}.")
    ids: list[str] = []
    for value in [values] if isinstance(values, str) else values:
        if isinstance(value, str) and value and is_sendable(value):
            ids.append(value)
        elif not (pd.api.types.is_scalar(value) and pd.isna(value)):
            raise InputError(f"{name} holds {value!r}: ids are texts that are not empty, read the column as str.")
    return list(dict.fromkeys(ids))


def chunks_of(ids: Sequence[str]) -> Iterator[list[str]]:
    """Cut ids into queries of at most 40 ids and 6,000 bytes.

    >>> [len(chunk) for chunk in chunks_of([str(number) for number in range(100)])]
    [40, 40, 20]
    """
    chunk: list[str] = []
    size = 0
    for text in ids:
        cost = len("&unique_id=") + len(quote_plus(text))
        if chunk and (len(chunk) == _MAX_IDS or size + cost > _MAX_QUERY_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += cost
    if chunk:
        yield chunk


def _note_nothing(_: int) -> None:
    pass


def by_unique_ids(desk: Desk[D], ids: Sequence[str], note: Callable[[int], None] = _note_nothing) -> Found[D]:
    """Look tasks up by unique_id, under the desk's filters, and hold all of them; see `IdSearch`.

    `note` is told of every few ids that are done.
    """
    search = IdSearch(desk)
    found: dict[str, D] = {}
    for asked, more in search.each(ids):
        found.update(more)
        note(len(asked))
    return Found(
        [found[text] for text in ids if text in found],
        [text for text in ids if text not in found],
        search.wire_bytes,
        search.pages,
    )


class IdSearch(Generic[D]):
    """Looks tasks up by unique_id, a few at a time.

    Many ids go into one query only after it was seen once that two ids bring two tasks: the documentation does not
    say so, and a service that looks at one of them only would make all others seem missing.

    Attributes
    ----------
    wire_bytes, pages : int
        What it took so far.
    """

    def __init__(self, desk: Desk[D]) -> None:
        self._desk = desk
        self._takes_several: bool | None = None
        #: Ids that are all the key's world has, where it is known to be small; none other needs to be asked for.
        self._all_ids: frozenset[str] | None = None
        self.wire_bytes = 0
        self.pages = 0

    def each(self, ids: Sequence[str]) -> Iterator[tuple[list[str], dict[str, D]]]:
        """Ask for all ids: yields some that are done, in their order, and the tasks that hold some of these.

        Raises
        ------
        ReplyError
            The service does not honour the filter.
        """
        chunks = list(chunks_of(ids))
        if self._takes_several is None and len(ids) > 1:
            found = self._ask(chunks[0])
            if len(found) > 1 or self._sees_several():
                self._takes_several = True
                yield chunks.pop(0), found
            else:
                self._takes_several = False
        if self._takes_several is False:
            yield from self._one_by_one(ids)
        else:
            yield from self._in_parallel(chunks)

    def _one_by_one(self, ids: Sequence[str]) -> Iterator[tuple[list[str], dict[str, D]]]:
        held = [text for text in ids if self._all_ids is None or text in self._all_ids]
        if len(held) < len(ids):
            asked = set(held)
            yield [text for text in ids if text not in asked], {}
        yield from self._in_parallel([[text] for text in held])

    def _in_parallel(self, chunks: Sequence[list[str]]) -> Iterator[tuple[list[str], dict[str, D]]]:
        """Ask by many workers, with no more answers waiting than these can bring at once."""
        workers = self._desk.client.max_workers
        with ThreadPoolExecutor(workers) as pool:
            waiting = deque((chunk, pool.submit(self._ask, chunk)) for chunk in chunks[: workers * _READY_PER_WORKER])
            try:
                for chunk in chunks[len(waiting) :]:
                    asked, answer = waiting.popleft()
                    yield asked, answer.result()
                    waiting.append((chunk, pool.submit(self._ask, chunk)))
                for asked, answer in waiting:
                    yield asked, answer.result()
            finally:
                for _, answer in waiting:
                    answer.cancel()

    def _ask(self, ids: Sequence[str], *, alone: bool = False) -> dict[str, D]:
        """Ask for some ids in one query; `alone` without the desk's filters."""
        filters = [] if alone else self._desk.query()
        found: dict[str, D] = {}
        for doc in self._read([*filters, *(("unique_id", text) for text in ids)]):
            task_id, unique_id = self._desk.decoder.ids(doc)
            if unique_id not in ids:
                raise ReplyError(
                    f"GET /tasks?unique_id=… also brought task {task_id} with the unique_id {unique_id!r}: "
                    "the service does not honour this filter. Read by project or batch instead.",
                    path="docs.unique_id",
                )
            found[str(unique_id)] = doc
        return found

    def _sees_several(self) -> bool:
        """Ask for two tasks that are known to exist by their ids, and see whether both come."""
        reply = self._desk.send(Call.get("tasks", query=[("limit", "100")]))
        page = self._desk.decoder.decode(reply.body, where="GET /tasks?limit=100")
        known = [unique_id for _, unique_id in map(self._desk.decoder.ids, page.docs) if unique_id is not None]
        if len(known) > 1:
            return len(self._ask(known[:2], alone=True)) == 2
        if not page.has_more and page.total == len(page.docs):
            self._all_ids = frozenset(known)
        return False

    def _read(self, query: list[tuple[str, str]]) -> Iterator[D]:
        for page, wire_bytes in read_pages(self._desk.send, self._desk.decoder, query, where="GET /tasks?unique_id=…"):
            self.wire_bytes += wire_bytes
            self.pages += 1
            yield from page.docs


def by_listing(desk: Desk[D], ids: Sequence[str], note: Callable[[int], None] = _note_nothing) -> list[D]:
    """Find many tasks in the list of all that were created in their time, where these are not many more.

    An id begins with the second in which its task was created (contract 1.7). Where that is not so, or the list is
    long, fewer or none are found: what is missing has to be asked for by its id. `note` is told of every page.
    """
    secs = [int(text[:8], 16) for text in ids if _TASK_ID.fullmatch(text)]
    if len(secs) < _FEWEST_LISTED:
        return []
    bounds = [("start_time", _stamp(min(secs) - 1)), ("end_time", _stamp(max(secs) + 2))]
    query = [*(pair for pair in desk.query() if pair[0] not in ("start_time", "end_time")), *bounds]
    reply = desk.send(Call.get("tasks", query=[*query, ("limit", "1")]))
    total = desk.decoder.decode(reply.body, where="GET /tasks?limit=1").total
    if total is None or total > _MOST_FOR_ONE * len(ids):
        return []
    wanted: set[str] = set(ids)
    found: dict[str, D] = {}
    for page, _ in read_pages(desk.send, desk.decoder, query, where="GET /tasks?start_time=…"):
        named = ((desk.decoder.ids(doc)[0], doc) for doc in page.docs)
        fresh = {task_id: doc for task_id, doc in named if task_id in wanted and task_id not in found}
        found.update(fresh)
        note(len(fresh))
    return list(found.values())


def _stamp(unix_secs: int) -> str:
    return f"{dt.datetime.fromtimestamp(max(0, unix_secs), dt.UTC):%Y-%m-%dT%H:%M:%S.000Z}"


def by_task_ids(desk: Desk[D], ids: Sequence[str], note: Callable[[int], None] = _note_nothing) -> Found[D]:
    """Read tasks one by one: the service's list has no filter on task ids; `note` is told of every one."""

    def read(task_id: str) -> tuple[D | None, int]:
        try:
            reply = desk.send(Call.get("task", task_id))
        except NotFound:
            return None, 0
        return desk.decoder.decode_task(reply.body, where=f"GET /task/{task_id}"), reply.wire_bytes

    read_all: list[tuple[D | None, int]] = []
    with ThreadPoolExecutor(desk.client.max_workers) as pool:
        for one in pool.map(read, ids):
            read_all.append(one)
            note(1)
    return Found(
        [doc for doc, _ in read_all if doc is not None],
        [task_id for task_id, (doc, _) in zip(ids, read_all, strict=True) if doc is None],
        sum(size for _, size in read_all),
        len(ids),
    )
