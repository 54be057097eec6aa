"""Batches into a frame or a stream: listed by offset, which drifts, and therefore held against each other by name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
from msgspec import Raw, Struct

from refonte_frames.api import BATCH_STATUSES, MAX_PAGE_SIZE
from refonte_frames.client import resolve_client
from refonte_frames.errors import InputError, ReplyError
from refonte_frames.export import kinds
from refonte_frames.export.decode import object_text, require_utf8, text_of
from refonte_frames.export.drift import Drift
from refonte_frames.export.filters import filters_of
from refonte_frames.export.passes import View
from refonte_frames.export.spread import is_spread
from refonte_frames.export.streams import stream_of
from refonte_frames.progress import bar
from refonte_frames.schemas import BATCHES
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json, without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.export.filters import TimeLike
    from refonte_frames.export.tables import DtypeBackend

__all__ = ["BatchReading", "read_batches", "scan_batches"]

_STATUSES: Final = ("pending", "completed", "error", "canceled")
#: A list that loses batches while others are created is read again at most this often.
_MAX_REREADS: Final = 2
#: So many batches more than were counted when the list was begun may have been made while it is read.
_SLACK: Final = 1_000
#: What a list may name whose length nobody tells.
_MOST_UNCOUNTED: Final = 100_000

_Doc = dict[str, Raw]


class _Envelope(Struct):
    """A page of ``GET /batches`` (contract 2.2)."""

    docs: list[_Doc]
    totalDocs: int | None = None  # noqa: N815 - the service's name
    has_more: bool = False


def read_batches(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    status: str | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    detailed: bool = False,
    metadata: Literal["json", "columns"] = "json",
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Read batches into a frame: one row per batch.

    Parameters
    ----------
    project : str, optional
        Only batches of this project.
    status : {"staging", "in_progress", "completed"}, optional
        Only batches in this state.
    created_after, created_before : optional
        Bounds, inclusive: text in ISO 8601, date, datetime or pandas Timestamp. Without an offset they mean UTC.
    detailed : bool
        Fill in how many tasks of each batch are in which state; null otherwise.
    metadata : {"json", "columns"}
        ``"columns"`` adds one typed column ``metadata.<key>`` for every key, under the rules of `read_tasks`.
    dtype_backend : {"pyarrow", "numpy_nullable"}
        As in pandas.
    categories : list of str
        Text columns that shall be pandas categories.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        The columns of `refonte_frames.schemas.BATCHES`, also when there are no rows; newest batches first.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent.

    Notes
    -----
    One request per 100 batches; with `detailed`, one more per batch where the service's list does not tell the
    counts. Batches that are created while the list is read shift its pages: each is taken once. Source: contract 2.2.

    Examples
    --------
    >>> rf.read_batches(project="no_such_project").columns[:4].tolist()
    ['batch', 'project', 'status', 'created_at']

    >>> rf.read_batches(status="done")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: status='done' is no state of a batch. There are staging, ...
    """
    reading = BatchReading.of(
        project=project,
        status=status,
        created_after=created_after,
        created_before=created_before,
        detailed=detailed,
    )
    view = View(dtype_backend, categories, ("metadata",) if is_spread("metadata", metadata) else ())
    view.check("batches")
    drift = Drift()
    table = reading.table(resolve_client(client), drift, progress=progress)
    return view.frame(table, {"batches": len(table), "drift": drift.as_json()})


def scan_batches(
    *,
    project: str | None = None,
    status: str | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    detailed: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream batches; their list shifts while it is read, so all of it is read before the first one comes.

    Parameters
    ----------
    project, status, created_after, created_before, detailed : optional
        Which batches, as for `read_batches`.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pyarrow.RecordBatchReader
        Batches of rows of the schema `refonte_frames.schemas.BATCHES`, the newest first. Reading begins with the
        first one asked for.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent.

    Notes
    -----
    Cost and columns are those of `read_batches`.

    Examples
    --------
    >>> rf.scan_batches(project="no_such_project").read_all().num_rows
    0

    >>> rf.scan_batches(status="done")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: status='done' is no state of a batch. There are staging, ...
    """
    reading = BatchReading.of(
        project=project,
        status=status,
        created_after=created_after,
        created_before=created_before,
        detailed=detailed,
    )
    asker = resolve_client(client)

    def rows() -> Iterator[pa.RecordBatch]:
        yield from reading.table(asker, Drift(), progress=progress).to_batches()

    return stream_of(BATCHES, rows())


@dataclass(frozen=True, slots=True)
class BatchReading:
    """What is asked for, and how much of it."""

    query: list[tuple[str, str]]
    detailed: bool

    @classmethod
    def of(cls, *, status: str | None, detailed: bool, **bounds: Any) -> BatchReading:
        """Check the caller's filters."""
        if status is not None and status not in BATCH_STATUSES:
            raise InputError(f"status={status!r} is no state of a batch. There are {', '.join(BATCH_STATUSES)}.")
        more = [("status", status)] if status else []
        return cls([*filters_of(**bounds).query(), *more, *([("detailed", "true")] if detailed else [])], detailed)

    def table(self, client: Client, drift: Drift, *, progress: bool) -> pa.Table:
        """Read all batches into a table."""
        with bar(None, "Reading", "batches", progress=progress) as shown:
            docs = _read_all(client, self.query, shown.update)
            if self.detailed and not any(_counts(doc) for doc in docs):
                docs = _with_statuses(client, docs)
        return _table(docs, detailed=self.detailed, drift=drift)


def _read_all(client: Client, query: list[tuple[str, str]], note: Any) -> list[_Doc]:
    """Read all pages, again while the service counts more batches than came."""
    found: dict[str, _Doc] = {}
    for _ in range(1 + _MAX_REREADS):
        known, total = len(found), 0
        offset, seen = 0, set[str]()
        first: int | None = None
        most = _MOST_UNCOUNTED
        while True:
            page = _page(client, query, offset)
            total = page.totalDocs or 0
            if not offset and page.totalDocs is not None:
                first, most = page.totalDocs, 2 * page.totalDocs + _SLACK
            fresh = {_name(doc, offset + index): doc for index, doc in enumerate(page.docs)}
            note(len(fresh.keys() - found.keys()))
            found |= fresh
            # By what came, not by what was asked for: a service may send less, and its next page begins there.
            offset += len(page.docs)
            if not page.has_more or not fresh.keys() - seen:
                break
            seen |= fresh.keys()
            if len(seen) > most:
                raise _endless(len(seen), first)
        if len(found) >= total or (known and len(found) == known):
            break
    return list(found.values())


def _endless(named: int, total: int | None) -> ReplyError:
    counted = "does not say how many batches there are" if total is None else f"counts {total:,} batches"
    return ReplyError(
        f"GET /batches {counted} and has named {named:,} by now, with has_more still true: such a list may never end. "
        "Read a part of it, by project, status or time of creation.",
        path="has_more",
    )


def _page(client: Client, query: list[tuple[str, str]], offset: int) -> _Envelope:
    reply = client.send(Call.get("batches", query=[*query, ("limit", str(MAX_PAGE_SIZE)), ("offset", str(offset))]))
    where = f"GET /batches at offset {offset}"
    require_utf8(reply.body, where)
    return decode_json(without_lone_surrogates(reply.body)[0], type=_Envelope, where=where)


def _name(doc: _Doc, position: int) -> str:
    name = kinds.text(doc["name"]) if "name" in doc else None
    if name is None:
        raise ReplyError(f"GET /batches: the batch at position {position} has no usable name.", path="docs.name")
    return name


def _with_statuses(client: Client, docs: list[_Doc]) -> list[_Doc]:
    """Ask for the counts of each batch, where the list does not tell them."""

    def ask(doc: _Doc) -> _Doc:
        name = _name(doc, 0)
        reply = client.send(Call.get("batches", name, "status"))
        counts = decode_json(reply.body, type=_Doc, where=f"GET /batches/{name}/status")
        return doc | {key: raw for key, raw in counts.items() if key in _COUNT_KEYS}

    with ThreadPoolExecutor(client.max_workers) as pool:
        return list(pool.map(ask, docs))


#: The counts have two documented spellings, and are left out where they are 0 (contract 2.2).
_COUNT_KEYS: Final = {spelling: name for name in _STATUSES for spelling in (f"tasks_{name}", name)}


def _counts(doc: _Doc) -> dict[str, Raw]:
    return {f"tasks_{_COUNT_KEYS[key]}": raw for key, raw in doc.items() if key in _COUNT_KEYS}


def _table(docs: Iterable[_Doc], *, detailed: bool, drift: Drift) -> pa.Table:
    now = datetime.now(UTC)
    rows = [_row(doc, detailed=detailed, drift=drift) | {"exported_at": now} for doc in docs]
    return pa.Table.from_pylist(rows, BATCHES)


def _row(doc: _Doc, *, detailed: bool, drift: Drift) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys((f"tasks_{name}" for name in _STATUSES), 0 if detailed else None)
    extra: dict[str, str] = {}
    for key, raw in doc.items():
        column, read = _COLUMNS.get(key, (None, None))
        value = read(raw) if read is not None else None
        if column is not None and value is not None:
            row[column] = value
            continue
        extra[key] = text_of(raw)
        if text_of(raw) != "null":
            (drift.note_key if column is None else drift.note_misfit)(f"batches.{key}")
    row["extra_json"] = object_text(extra)
    return row


_COLUMNS: Final[dict[str, tuple[str, Any]]] = {
    "name": ("batch", kinds.text),
    "project": ("project", kinds.text),
    "status": ("status", kinds.text),
    "created_at": ("created_at", kinds.moment),
    "callback": ("callback", kinds.text),
    "metadata": ("metadata_json", kinds.open_text),
    **{key: (f"tasks_{name}", kinds.int64) for key, name in _COUNT_KEYS.items()},
}
