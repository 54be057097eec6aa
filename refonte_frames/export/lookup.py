"""Tasks by their ids, in as few calls as the service allows; says which were not found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

import pandas as pd

from refonte_frames.errors import InputError, NotFound, ReplyError
from refonte_frames.export.pages import read_pages
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refonte_frames.export.decode import TaskDoc
    from refonte_frames.export.sweep import Source

__all__ = ["Found", "by_listing", "by_task_ids", "by_unique_ids", "chunks_of", "ids_of"]

_MAX_IDS: Final = 40
_MAX_QUERY_BYTES: Final = 6_000
#: Fewer tasks than this are read one by one sooner than a list of all that were created in their time.
_FEWEST_LISTED: Final = 100
#: A list that holds more tasks than this for each one that is wanted is not read.
_MOST_FOR_ONE: Final = 4
_TASK_ID: Final = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up brought.

    Attributes
    ----------
    docs : list of TaskDoc
        The tasks that were found, in the order of the ids.
    missing : list of str
        The ids without a task.
    wire_bytes, pages : int
        What it took.
    """

    docs: list[TaskDoc]
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
        if isinstance(value, str) and value:
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


def by_unique_ids(source: Source, ids: Sequence[str], note: Callable[[int], None] = _note_nothing) -> Found:
    """Look tasks up by unique_id, under the source's other filters; `note` is told of every few ids that are done.

    Many ids go into one query only after it was seen once that two ids bring two tasks: the documentation does not
    say so, and a service that looks at one of them only would make all others seem missing.
    """
    query = _ByUniqueId(source)
    chunks = list(chunks_of(ids))
    if not chunks:
        return Found([], [], 0, 0)
    found = query.ask(chunks[0])
    rest = chunks[1:]
    if len(found) < 2 and len(ids) > 1 and not query.takes_several():
        rest = [[text] for text in ids if text not in found]
    note(len(ids) - sum(map(len, rest)))
    with ThreadPoolExecutor(source.client.max_workers) as pool:
        for chunk, more in zip(rest, pool.map(query.ask, rest), strict=True):
            found.update(more)
            note(len(chunk))
    return Found(
        [found[text] for text in ids if text in found],
        [text for text in ids if text not in found],
        query.wire_bytes,
        query.pages,
    )


class _ByUniqueId:
    """Asks for tasks by unique_id."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.wire_bytes = 0
        self.pages = 0

    def ask(self, ids: Sequence[str], *, alone: bool = False) -> dict[str, TaskDoc]:
        filters = [] if alone else self._source.filters.query()
        found: dict[str, TaskDoc] = {}
        for doc in self._read([*filters, *(("unique_id", text) for text in ids)]):
            if doc.unique_id not in ids:
                raise ReplyError(
                    f"GET /tasks?unique_id=… also brought task {doc.task_id} with the unique_id {doc.unique_id!r}: "
                    "the service does not honour this filter. Read by project or batch instead.",
                    path="docs.unique_id",
                )
            found[str(doc.unique_id)] = doc
        return found

    def takes_several(self) -> bool:
        """Ask for two tasks that are known to exist by their ids, and see whether both come."""
        reply = self._source.client.send(Call.get("tasks", query=[("limit", "20")]))
        page = self._source.decoder.decode(reply.body, where="GET /tasks?limit=20")
        known = [doc.unique_id for doc in page.docs if isinstance(doc.unique_id, str)][:2]
        return len(known) == 2 and len(self.ask(known, alone=True)) == 2

    def _read(self, query: list[tuple[str, str]]) -> Iterator[TaskDoc]:
        for page, wire_bytes in read_pages(
            self._source.client.send, self._source.decoder, query, where="GET /tasks?unique_id=…"
        ):
            self.wire_bytes += wire_bytes
            self.pages += 1
            yield from page.docs


def by_listing(source: Source, ids: Sequence[str], note: Callable[[int], None] = _note_nothing) -> list[TaskDoc]:
    """Find many tasks in the list of all that were created in their time, where these are not many more.

    An id begins with the second in which its task was created (contract 1.7). Where that is not so, or the list is
    long, fewer or none are found: what is missing has to be asked for by its id. `note` is told of every page.
    """
    secs = [int(text[:8], 16) for text in ids if _TASK_ID.fullmatch(text)]
    if len(secs) < _FEWEST_LISTED:
        return []
    query = source.filters.within((min(secs) - 1) * 1_000_000, (max(secs) + 2) * 1_000_000).query()
    reply = source.client.send(Call.get("tasks", query=[*query, ("limit", "1")]))
    total = source.decoder.decode(reply.body, where="GET /tasks?limit=1").total
    if total is None or total > _MOST_FOR_ONE * len(ids):
        return []
    wanted, found = set(ids), {}
    for page, _ in read_pages(source.client.send, source.decoder, query, where="GET /tasks?start_time=…"):
        fresh = {doc.task_id: doc for doc in page.docs if doc.task_id in wanted and doc.task_id not in found}
        found.update(fresh)
        note(len(fresh))
    return list(found.values())


def by_task_ids(source: Source, ids: Sequence[str], note: Callable[[int], None] = _note_nothing) -> Found:
    """Read tasks one by one: the service's list has no filter on task ids; `note` is told of every one."""

    def read(task_id: str) -> tuple[TaskDoc | None, int]:
        try:
            reply = source.client.send(Call.get("task", task_id))
        except NotFound:
            return None, 0
        return source.decoder.decode_task(reply.body, where=f"GET /task/{task_id}"), reply.wire_bytes

    read_all: list[tuple[TaskDoc | None, int]] = []
    with ThreadPoolExecutor(source.client.max_workers) as pool:
        for one in pool.map(read, ids):
            read_all.append(one)
            note(1)
    return Found(
        [doc for doc, _ in read_all if doc is not None],
        [task_id for task_id, (doc, _) in zip(ids, read_all, strict=True) if doc is None],
        sum(size for _, size in read_all),
        len(ids),
    )
