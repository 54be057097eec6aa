"""One pass over the tasks that a caller wants: what is wanted, the reading, into memory or as a stream. No files."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pandas as pd
import pyarrow as pa

from refonte_frames.client import resolve_client
from refonte_frames.errors import InputError
from refonte_frames.export.columns import build
from refonte_frames.export.filters import Filters, filters_of
from refonte_frames.export.row_tasks import RowTasks, column_of, rows_of
from refonte_frames.export.spread import spread
from refonte_frames.export.streams import stream_of
from refonte_frames.export.sweep import Batches, Source, Tally, plan_sweep, read_window, run_windows, warn_of_shortfall
from refonte_frames.export.tables import DtypeBackend, check_options, names_of, to_pandas
from refonte_frames.lookup import by_unique_ids, ids_of
from refonte_frames.progress import bar
from refonte_frames.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.export.decode import PageDecoder, TaskDoc
    from refonte_frames.export.windows import Window
    from refonte_frames.progress import Bar
    from refonte_frames.transport.calls import Call, Reply

__all__ = [
    "FILTERS",
    "Gathered",
    "Ids",
    "View",
    "Wanted",
    "gather",
    "ids_from",
    "stream",
    "wanted_of",
    "warn_of_missing",
]

#: Ids as callers give them: one, several, a Series, or a frame that has a column of them.
Ids: TypeAlias = str | Iterable[str] | pd.DataFrame

_MAX_NAMED: Final = 5
_FILTERS: Final = tuple(item.name for item in fields(Filters))
#: By what the tables that are made of tasks can be filtered.
FILTERS: Final = (*_FILTERS, "unique_id", "task_ids")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks a caller asked for: those that match, those with some unique_ids, or those of some task ids."""

    filters: Filters
    unique_ids: list[str] | None = None
    task_ids: RowTasks | None = None


def wanted_of(given: Mapping[str, Any]) -> Wanted:
    """Check the filters among a function's parameters; its other parameters are passed over.

    Raises
    ------
    InputError
        For a value that the service could not understand, or filters that exclude each other; nothing was sent.
    """
    filters = filters_of(**{name: given[name] for name in _FILTERS if name in given})
    unique_id, task_ids = given.get("unique_id"), given.get("task_ids")
    if task_ids is None:
        return Wanted(filters, None if unique_id is None else ids_from("unique_id", unique_id))
    others = [*filters.as_json(), *(["unique_id"] if unique_id is not None else [])]
    if others:
        raise InputError(
            f"task_ids cannot be combined with {', '.join(others)}: the service reads a task by its id alone. "
            "Filter the frame afterwards."
        )
    rows = rows_of(task_ids)
    if rows is None:
        rows = pd.DataFrame({"task_id": ids_of("task_ids", task_ids)}, dtype=object)
    return Wanted(filters, task_ids=RowTasks.of(rows, "task_id"))


def ids_from(name: str, values: Any, *, columns: Sequence[str] = ()) -> list[str]:
    """Take ids from a text, a list, a Series, or a frame's column: nulls and repeats are left out, the order is kept.

    Parameters
    ----------
    name : str
        The parameter, for the sentence of an error.
    values : str, iterable of str, or frame
        What the caller gave.
    columns : sequence of str
        Names of the frame's column, of which the first one that is there counts; default: the parameter's.

    Raises
    ------
    ColumnError
        The frame has no such column.
    InputError
        An id is no text, or empty: an id that went through a number may have lost digits.
    """
    rows = rows_of(values)
    if rows is not None:
        return ids_of(name, column_of(rows, columns or (name,)))
    # Arrow's own arrays give values that wrap the texts.
    return ids_of(name, values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else values)


@dataclass(frozen=True, slots=True)
class View:
    """How a caller wants to see rows; `spreads` names the open maps whose keys shall be columns."""

    dtype_backend: DtypeBackend
    categories: Sequence[str]
    spreads: tuple[str, ...] = ()

    def check(self, *tables: str) -> None:
        """Refuse options that cannot be followed, before anything is read."""
        fixed = [name for name in names_of(self.categories) if not self._is_spread_column(name)]
        check_options(self.dtype_backend, fixed, *(SCHEMAS[table] for table in tables))

    def frame(self, rows: pa.Table, attrs: dict[str, Any]) -> pd.DataFrame:
        """Make a frame of a table; a category that it does not have is another table's."""
        for name in self.spreads:
            if f"{name}_json" in rows.column_names:
                rows = spread(rows, name)
        categories = [name for name in names_of(self.categories) if name in rows.column_names]
        frame = to_pandas(rows, dtype_backend=self.dtype_backend, categories=categories)
        frame.attrs["refonte"] = attrs
        return frame

    def _is_spread_column(self, name: str) -> bool:
        return any(name.startswith(f"{spread}.") for spread in self.spreads)


@dataclass(frozen=True, slots=True)
class Gathered:
    """All rows of a pass, by table."""

    tables: dict[str, pa.Table]
    view: View
    attrs: dict[str, Any]

    def frame(self, table: str) -> pd.DataFrame:
        """Make a frame of one table."""
        return self.view.frame(self.tables[table], self.attrs)


@dataclass(slots=True)
class _Counted:
    """A source whose replies are counted, for look-ups: these do not say what they took."""

    source: Source
    replies: int = 0
    wire_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def client(self) -> Client:
        return self.source.client

    @property
    def decoder(self) -> PageDecoder:
        return self.source.decoder

    def query(self) -> list[tuple[str, str]]:
        return self.source.query()

    def send(self, call: Call) -> Reply:
        reply = self.source.send(call)
        with self._lock:
            self.replies += 1
            self.wire_bytes += reply.wire_bytes
        return reply


@dataclass(slots=True)
class _Pass:
    """A pass over a source, as its rows come."""

    source: Source
    wanted: Wanted
    shown: Bar
    tally: Tally = field(default_factory=Tally)
    service_total: int | None = None
    mode: str = "windows"
    missing: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[tuple[int, Batches]]:
        """Yield the rows with the position of their window."""
        if self.wanted.unique_ids is None and self.wanted.task_ids is None:
            yield from self._swept()
        else:
            yield 0, self._looked_up()

    def attrs(self) -> dict[str, Any]:
        """Return what is worth knowing about the pass, as plain JSON types."""
        return {
            "tasks": self.tally.tasks,
            "service_total": self.service_total,
            "mode": self.mode,
            "pages": self.tally.pages,
            "windows": self.tally.windows,
            "windows_unsettled": self.tally.windows_unsettled,
            "wire_bytes": self.tally.wire_bytes,
            "drift": self.tally.drift.as_json(),
            "not_found": self.missing,
        }

    def warn(self, *, stacklevel: int) -> None:
        """Say what was asked for and did not come."""
        warn_of_missing("ids", self.missing, stacklevel=stacklevel)
        warn_of_shortfall(self.tally, stacklevel=stacklevel + 1)

    def _looked_up(self) -> Batches:
        counted = _Counted(self.source)
        docs, self.missing = self._docs(counted)
        self.mode, self.service_total = "ids", len(docs)
        self.tally.tasks, self.tally.pages, self.tally.wire_bytes = len(docs), counted.replies, counted.wire_bytes
        return build(docs, tables=self.source.tables, exported_at=datetime.now(UTC), drift=self.tally.drift)

    def _docs(self, desk: _Counted) -> tuple[list[TaskDoc], list[str]]:
        if self.wanted.task_ids is None:
            by_id = by_unique_ids(desk, self.wanted.unique_ids or [], self.shown.update)
            return by_id.docs, by_id.missing
        keys = self.wanted.task_ids.distinct
        found = self.wanted.task_ids.look_up(desk, keys, self.shown.update)
        return [found[key] for key in keys if key in found], [key for key in keys if key not in found]

    def _swept(self) -> Iterator[tuple[int, Batches]]:
        plan = plan_sweep(self.source)
        self.service_total, self.mode = plan.total, plan.mode

        def work(window: Window, index: int, put: Callable[[tuple[int, Batches] | Tally], None]) -> None:
            put(read_window(self.source, window, lambda batches: put((index, batches))))

        workers = self.source.client.max_workers
        for item in run_windows(plan.windows, work, workers=workers, stop=self.source.stop):
            if isinstance(item, Tally):
                self.tally.add(item)
            else:
                self.shown.update(item[1]["tasks"].num_rows)
                yield item


def gather(tables: tuple[str, ...], wanted: Wanted, view: View, *, progress: bool, client: Client | None) -> Gathered:
    """Read all rows into memory: windows in their order, so that the same service gives the same frame.

    To be called by the public function itself: its warnings are shown at the caller's line.
    """
    view.check(*tables)
    source = Source(resolve_client(client), wanted.filters, tables)
    with bar(None, "Reading", "tasks", progress=progress) as shown:
        read_pass = _Pass(source, wanted, shown)
        parts = sorted(read_pass.batches(), key=lambda part: part[0])
    read_pass.warn(stacklevel=4)
    gathered = {
        table: pa.Table.from_batches([batches[table] for _, batches in parts], SCHEMAS[table]) for table in tables
    }
    return Gathered(gathered, view, read_pass.attrs())


def stream(table: str, wanted: Wanted, *, progress: bool, client: Client | None) -> pa.RecordBatchReader:
    """Make a stream that reads when it is read from, and ends the reading when it is closed."""
    source = Source(resolve_client(client), wanted.filters, (table,))

    def batches() -> Iterator[pa.RecordBatch]:
        with bar(None, "Reading", "tasks", progress=progress) as shown:
            read_pass = _Pass(source, wanted, shown)
            for _, found in read_pass.batches():
                yield found[table]
        read_pass.warn(stacklevel=4)

    return stream_of(SCHEMAS[table], batches())


def warn_of_missing(what: str, missing: Sequence[str], *, stacklevel: int) -> None:
    """Name what was asked for and is not there: a few of them, and where all are listed."""
    if missing:
        named = ", ".join(repr(text) for text in missing[:_MAX_NAMED])
        more = f" and {len(missing) - _MAX_NAMED:,} more" if len(missing) > _MAX_NAMED else ""
        warnings.warn(
            f"{len(missing):,} {what} were not found: {named}{more}. attrs['refonte']['not_found'] lists them all.",
            stacklevel=stacklevel + 1,
        )
