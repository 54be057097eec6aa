"""One pass over all tasks that match: planned, read by several threads, checked against the service's totals.

This is the one way by which `read_`, `scan_` and `export_` get their rows; it writes no files.
"""

from __future__ import annotations

import logging
import queue
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from refonte_frames.export.by_batch import plan_by_batch
from refonte_frames.export.columns import build, time_of
from refonte_frames.export.decode import PageDecoder
from refonte_frames.export.drift import Drift
from refonte_frames.export.filters import stamp_of
from refonte_frames.export.windows import Window, most_rows, plan_windows, target_rows
from refonte_frames.pages import PageSize, read_pages
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from msgspec import UnsetType

    from refonte_frames.client import Client
    from refonte_frames.export.decode import Page, TaskDoc
    from refonte_frames.export.filters import Filters
    from refonte_frames.transport.calls import Reply

__all__ = [
    "Batches",
    "Border",
    "Plan",
    "Source",
    "Tally",
    "count_tasks",
    "first_task",
    "plan_sweep",
    "read_window",
    "run_windows",
    "warn_of_shortfall",
]

_log = logging.getLogger("refonte_frames")

Batches = dict[str, pa.RecordBatch]
T = TypeVar("T")

#: Tasks per record batch: ten pages cost no more per task than a hundred, and keep memory low.
_CHUNK_TASKS: Final = 1_000
#: Large tasks make smaller batches: a task keeps the page alive that it came with.
_CHUNK_BYTES: Final = 32 * 2**20
#: A window whose rows do not add up is read again at most this often.
_MAX_REREADS: Final = 2
#: Every time lies between them, in the form in which the service writes times.
_FIRST_STAMP: Final = "0000-01-01T00:00:00.000Z"
_LAST_STAMP: Final = "9999-99-31T00:00:00.000Z"
#: Rows this near to the bound of a window can be in its neighbour as well, should the service compare whole seconds.
_NEAR_MICROS: Final = 2_000_000


@dataclass(slots=True)
class Tally:
    """What a pass, or a part of one, came to.

    Attributes
    ----------
    tasks : int
        Distinct tasks.
    pages, windows, windows_unsettled : int
        Pages read, windows finished, and those whose rows never added up to the service's total.
    wire_bytes : int
        Size of the pages on the wire.
    short : int
        Tasks that the service counts and did not list, however often it was asked.
    newest_stamp : int or None
        The latest created_at or updated_at, in microseconds since 1970.
    drift : Drift
        What did not look as documented.
    """

    tasks: int = 0
    pages: int = 0
    windows: int = 0
    windows_unsettled: int = 0
    wire_bytes: int = 0
    short: int = 0
    newest_stamp: int | None = None
    drift: Drift = field(default_factory=Drift)

    def note_stamp(self, micros: int | None) -> None:
        """Remember the latest time."""
        if micros is not None:
            self.newest_stamp = micros if self.newest_stamp is None else max(micros, self.newest_stamp)

    def add(self, other: Tally) -> None:
        """Take over the counts of another."""
        for name in ("tasks", "pages", "windows", "windows_unsettled", "wire_bytes", "short"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.note_stamp(other.newest_stamp)
        self.drift.add(other.drift)

    def as_json(self) -> dict[str, Any]:
        """Return the counts as plain JSON types."""
        names = ("tasks", "pages", "windows", "windows_unsettled", "wire_bytes", "short", "newest_stamp")
        return {name: getattr(self, name) for name in names} | {"drift": self.drift.as_json()}

    @classmethod
    def from_json(cls, counts: Mapping[str, Any]) -> Tally:
        """Undo `as_json`."""
        return cls(**{**counts, "drift": Drift.from_json(counts["drift"])})


class Border:
    """Remembers the tasks near the bounds of windows, which two windows may bring."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, Window] = {}
        self._owned: dict[Window, list[str]] = {}

    def own(self, task_ids: Sequence[str], window: Window) -> list[bool]:
        """Say for each task whether this window was the first to bring it."""
        with self._lock:
            return [self._own(task_id, window) for task_id in task_ids]

    def owned(self, window: Window) -> list[str]:
        """Return the tasks near its bounds that the window brought."""
        with self._lock:
            return list(self._owned.get(window, ()))

    def _own(self, task_id: str, window: Window) -> bool:
        owner = self._owners.setdefault(task_id, window)
        if owner == window:
            self._owned.setdefault(window, []).append(task_id)
        return owner == window


@dataclass(frozen=True, slots=True)
class Source:
    """Where a pass reads from, and what it makes of it; shared by all threads."""

    client: Client
    filters: Filters
    tables: tuple[str, ...]
    decoder: PageDecoder = field(default_factory=PageDecoder)
    border: Border = field(default_factory=Border)
    stop: threading.Event = field(default_factory=threading.Event)
    page_size: PageSize = field(default_factory=PageSize)
    #: Held while rows are built: the interpreter lets one thread at a time do so anyway, and threads that take it
    #: from each other all the while cost a sixth more and hold more in memory.
    turn: threading.Lock = field(default_factory=threading.Lock)
    #: Rows of a batch in the order of their creation; else as the service lists them, newest first.
    is_oldest_first: bool = False

    def send(self, call: Call) -> Reply:
        """Send a call, and wait neither for a turn nor for another try once the pass is to stop."""
        return self.client.send(call, stop=self.stop)

    def query(self) -> list[tuple[str, str]]:
        """Return the filters as query pairs."""
        return self.filters.query()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a pass will be made.

    Attributes
    ----------
    windows : tuple of Window
        Newest first; none when nothing matches.
    total : int or None
        Tasks that match by the service's account.
    mode : str
        ``windows`` of time, ``batches`` when the service does not honour bounds of time, or ``sequential`` when not
        all tasks are in batches either.
    server_time : datetime or None
        The service's clock when the plan was made.
    """

    windows: tuple[Window, ...]
    total: int | None
    mode: str
    server_time: datetime | None


def plan_sweep(source: Source, *, target: int | None = None, finest: int = 1_000) -> Plan:
    """Ask for the total and, where there are many tasks, for the counts in slices of time.

    Parameters
    ----------
    target : int, optional
        Tasks that a window holds at most. Default: chosen by how many there are and how many threads read them, and
        then a window may hold a few more (`most_rows`).
    finest : int
        Bounds between windows are multiples of so many microseconds.
    """
    page, clock = first_task(source, source.filters)
    if not page.docs and not page.total:
        return Plan((), page.total, "windows", clock)
    if target is None:
        target = target_rows(page.total or 0, source.client.max_workers)
        most = most_rows(target)
    else:
        most = target
    newest = time_of(page.docs[0].created_at or "")[0] if page.docs else None
    if page.total is not None and page.total <= most:
        return Plan((Window(),), page.total, "windows", clock)
    windows = None
    if page.total is not None and newest is not None:
        windows = plan_windows(
            lambda slices: _count_all(source, slices),
            total=page.total,
            oldest=source.filters.created_after,
            newest=newest,
            target=target,
            most=most,
            finest=finest,
        )
    if windows is not None:
        _log.info("export: %d tasks in %d windows", page.total, len(windows))
        return Plan(tuple(windows), page.total, "windows", clock)
    windows = plan_by_batch(
        source.client, source.filters, page.total or 0, lambda filters: count_tasks(source, filters)
    )
    if windows is not None:
        _log.warning("The service does not honour bounds of created_at: tasks are read batch by batch.")
        return Plan(tuple(windows), page.total, "batches", clock)
    _log.warning("The service does not honour bounds of created_at: tasks are read one page after the other.")
    return Plan((Window(),), page.total, "sequential", clock)


def count_tasks(source: Source, filters: Filters) -> int:
    """Ask how many tasks match; whether there are any, where the service gives no totals."""
    page, _ = first_task(source, filters)
    return len(page.docs) if page.total is None else page.total


def first_task(source: Source, filters: Filters) -> tuple[Page, datetime | None]:
    """Ask for one task that matches, and thereby for the total and the service's clock."""
    reply = source.client.send(Call.get("tasks", query=[*filters.query(), ("limit", "1")]))
    return source.decoder.decode(reply.body, where="GET /tasks?limit=1"), _date_of(reply.headers)


def _count_all(source: Source, slices: Sequence[tuple[int, int]]) -> list[int]:
    def count(bounds: tuple[int, int]) -> int:
        return count_tasks(source, replace(source.filters, created_after=bounds[0], created_before=bounds[1]))

    with ThreadPoolExecutor(min(len(slices), source.client.max_workers) or 1) as pool:
        return list(pool.map(count, slices))


def _date_of(headers: Mapping[str, str]) -> datetime | None:
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def read_window(source: Source, window: Window, emit: Callable[[Batches], None]) -> Tally:
    """Read one window and emit its rows in batches, each task once.

    Rows read are checked against the service's total of the window. While some are missing it is read again, at
    most twice; what comes new then is emitted as well.
    """
    tally = Tally(windows=1)
    chunk = _Chunk(source, window, emit, tally)
    within = source.filters.within(window.start, window.end)
    query = (within if window.batch is None else replace(within, batch=window.batch)).query()
    seen: set[str] = set()
    total: int | None = None
    for reread in range(1 + _MAX_REREADS):
        known, total = len(seen), None
        pages = read_pages(source.send, source.decoder, query, size=source.page_size, where=_named(window))
        for page, wire_bytes in pages:
            if source.stop.is_set():
                return tally
            total = page.total if total is None else total
            tally.pages += 1
            tally.wire_bytes += wire_bytes
            for _ in range(page.mended):
                tally.drift.note_misfit("tasks.(half a character)")
            for doc in page.docs:
                if doc.task_id not in seen:
                    seen.add(doc.task_id)
                    chunk.add(doc)
            chunk.end_page(page.size)
        chunk.flush()
        if total is None or len(seen) >= total:
            return tally
        if reread and len(seen) == known:
            break
        _log.info("%s: %d of %d tasks came, reading again", _named(window), len(seen), total)
    tally.windows_unsettled = 1
    tally.short = (total or 0) - len(seen)
    return tally


def warn_of_shortfall(tally: Tally, *, stacklevel: int) -> None:
    """Warn where the service counts more tasks than it lists: rows may be missing, and nobody should overlook that."""
    if tally.short:
        warnings.warn(
            f"{tally.short:,} tasks that the service counts did not come, though its list was read repeatedly: "
            f"{tally.tasks:,} tasks are here. Read again later, or by batch.",
            stacklevel=stacklevel,
        )


class _Chunk:
    """Collects tasks until there are enough for a batch."""

    def __init__(self, source: Source, window: Window, emit: Callable[[Batches], None], tally: Tally) -> None:
        self._source = source
        self._window = window
        self._emit = emit
        self._tally = tally
        self._docs: list[TaskDoc] = []
        self._bytes = 0

    def add(self, doc: TaskDoc) -> None:
        self._docs.append(doc)

    def end_page(self, page_bytes: int) -> None:
        self._bytes += page_bytes
        if len(self._docs) >= _CHUNK_TASKS or self._bytes >= _CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        self._bytes = 0
        docs, self._docs = _without_foreign(self._docs, self._window, self._source.border), []
        if docs:
            if self._source.is_oldest_first:
                docs.sort(key=_created)
            with self._source.turn:
                batches = build(
                    docs, tables=self._source.tables, exported_at=datetime.now(UTC), drift=self._tally.drift
                )
            self._tally.tasks += len(docs)
            for stamp in _newest_stamps(batches["tasks"]):
                self._tally.note_stamp(stamp)
            self._emit(batches)


def _created(doc: TaskDoc) -> tuple[str, str]:
    return _comparable(doc.created_at), doc.task_id


def _newest_stamps(tasks: pa.RecordBatch) -> Iterator[int | None]:
    for name in ("created_at", "updated_at"):
        yield pc.max(tasks[name].cast(pa.int64())).as_py()


def _without_foreign(docs: list[TaskDoc], window: Window, border: Border) -> list[TaskDoc]:
    """Drop the tasks that another window brought: only near its bounds, or beyond them, can there be any."""
    if (window.start is None and window.end is None) or not docs:
        return docs
    near = _near_bounds(docs, window)
    if not near:
        return docs
    owned = border.own([docs[index].task_id for index in near], window)
    foreign = {index for index, is_ours in zip(near, owned, strict=True) if not is_ours}
    return [doc for index, doc in enumerate(docs) if index not in foreign]


def _near_bounds(docs: Sequence[TaskDoc], window: Window) -> list[int]:
    low = _FIRST_STAMP if window.start is None else stamp_of(window.start + _NEAR_MICROS)
    high = _LAST_STAMP if window.end is None else stamp_of(window.end - _NEAR_MICROS)
    return [index for index, doc in enumerate(docs) if not low < _comparable(doc.created_at) < high]


def _comparable(created_at: str | UnsetType | None) -> str:
    """Return a time as the service writes it, which sorts like the time; empty for what is none.

    Nearly all are written so already, and to read every one of them would cost more than all else here.
    """
    text = created_at or ""
    if len(text) == len(_FIRST_STAMP) and text[10] == "T" and text[-1] == "Z":
        return text
    micros, _ = time_of(text)
    return "" if micros is None else stamp_of(micros)


def _named(window: Window) -> str:
    if window.batch is not None:
        return f"GET /tasks of batch {window.batch!r}"
    start = "the beginning" if window.start is None else stamp_of(window.start)
    end = "now" if window.end is None else stamp_of(window.end)
    return "GET /tasks" if window == Window() else f"GET /tasks of {start} to {end}"


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


class _Pool(Generic[T]):
    """Threads that take windows in turn and put what comes of them into one bounded queue."""

    def __init__(
        self, windows: Sequence[Window], work: Callable[[Window, int, Callable[[T], None]], None], workers: int
    ) -> None:
        self._todo = iter(list(enumerate(windows)))
        self._work = work
        self._lock = threading.Lock()
        # Bounded, so that a slow reader slows the threads down instead of filling the memory.
        self.results: queue.Queue[T | _Failed | None] = queue.Queue(maxsize=max(2, workers))
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(min(workers, len(windows)))]

    def _run(self) -> None:
        try:
            while (job := self._next()) is not None:
                self._work(job[1], job[0], self.results.put)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for the rows
            self.results.put(_Failed(error))
        finally:
            self.results.put(None)

    def _next(self) -> tuple[int, Window] | None:
        with self._lock:
            return next(self._todo, None)

    def give_up(self) -> None:
        """Let no further window be begun."""
        with self._lock:
            self._todo = iter(())


def run_windows(
    windows: Sequence[Window],
    work: Callable[[Window, int, Callable[[T], None]], None],
    *,
    workers: int,
    stop: threading.Event,
) -> Iterator[T]:
    """Work through windows in several threads, and yield what they put as it comes.

    Parameters
    ----------
    windows : sequence of Window
        What there is to do.
    work : callable
        Takes a window, its position, and the function to put results with.
    workers : int
        Threads, at most.
    stop : threading.Event
        Set when the caller stops early or a window fails: `work` should end soon then.
    """
    pool: _Pool[T] = _Pool(windows, work, workers)
    for thread in pool.threads:
        thread.start()
    running = len(pool.threads)
    try:
        while running:
            item = pool.results.get()
            if item is None:
                running -= 1
            elif isinstance(item, _Failed):
                raise item.error
            else:
                yield item
    finally:
        pool.give_up()
        if running:
            stop.set()
        while running:
            running -= pool.results.get() is None
