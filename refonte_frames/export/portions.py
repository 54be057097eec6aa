"""What a pass over the service is cut into, so that several machines can share it; no engine is known here.

`plan` asks the service and cuts, `read` reads one piece, wherever it is and as often as it must be. A portion is a
plain value that can be pickled; it holds no key. Spark's data source and the recipe for Dask are made of these two.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from refonte_frames.client import resolve_client
from refonte_frames.errors import ExportError, InputError, RefonteError
from refonte_frames.export.attempts import AttemptsWanted, scan_attempts
from refonte_frames.export.batches import BatchReading, scan_batches
from refonte_frames.export.columns import TASK_TABLES
from refonte_frames.export.filters import Filters, stamp_of
from refonte_frames.export.passes import wanted_of
from refonte_frames.export.scan import scan_annotations, scan_audits, scan_tasks
from refonte_frames.export.streams import stream_of
from refonte_frames.export.sweep import Batches, Source, Tally, plan_sweep, read_window, run_windows, warn_of_shortfall
from refonte_frames.schemas import SCHEMAS
from refonte_frames.shares import check_rate, client_here, share_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from refonte_frames.client import Client
    from refonte_frames.export.filters import TimeLike
    from refonte_frames.export.passes import Ids
    from refonte_frames.export.windows import Window

__all__ = ["Portion", "plan", "read", "schema"]

_TABLES: Final = (*TASK_TABLES, "batches", "attempts")
_SCANS: Final[dict[str, Callable[..., pa.RecordBatchReader]]] = {
    "tasks": scan_tasks,
    "audits": scan_audits,
    "annotations": scan_annotations,
    "batches": scan_batches,
    "attempts": scan_attempts,
}
#: The filters of the tables that are not made of tasks.
_OF_BATCHES: Final = ("project", "status", "created_after", "created_before", "detailed")
_OF_ATTEMPTS: Final = ("quality_task_ids", "labeler_emails")
#: Whoever may be named in one request is asked for together, and a few requests make a portion.
_LABELERS: Final = 400
_SECOND: Final = 1_000_000
_ALL: Final = Filters()


@dataclass(frozen=True, slots=True)
class Change:
    """Which rows of a stream of changes a portion brings; times are microseconds since 1970.

    Attributes
    ----------
    after, until : int
        What happened after the first and not after the second.
    of : {"updated_at", "created_at"}
        What happened. Tasks need not have an ``updated_at`` before something happens to them, so those that were
        created are asked for, too; where both are within the bounds, the first brings the row.
    """

    after: int
    until: int
    of: Literal["updated_at", "created_at"]

    def mask(self, tasks: pa.RecordBatch) -> pa.Array:
        """Tell which tasks are within the bounds."""
        updated = self._within(tasks["updated_at"])
        if self.of == "updated_at":
            return updated
        return pc.and_(self._within(tasks["created_at"]), pc.invert(updated))

    def _within(self, times: pa.Array) -> pa.Array:
        return _true(pc.and_(pc.greater(times, _time(self.after)), pc.less_equal(times, _time(self.until))))


@dataclass(frozen=True, slots=True)
class Portion:
    """One piece of a pass, as a plain value: what to ask, and whom.

    Attributes
    ----------
    table : str
        Which table its rows are of.
    number, count : int
        The how-many-eth it is, from 1, of how many.
    base_url, key_fingerprint : str
        The service it was planned with, and what tells the key from others without leading back to it.
    requests_per_sec : float or None
        Its share of the rate.
    filters : Filters
        Which tasks, where there is a window.
    window : Window or None
        The time in which its tasks were created.
    arguments : tuple of (str, value)
        Without a window: the arguments of the function that streams the table.
    change : Change or None
        Which of its tasks count, in a stream of changes.
    """

    table: str
    number: int
    count: int
    base_url: str
    key_fingerprint: str
    requests_per_sec: float | None = None
    filters: Filters = _ALL
    window: Window | None = None
    arguments: tuple[tuple[str, Any], ...] = ()
    change: Change | None = None

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"{self.table}{self._what()} (portion {self.number} of {self.count})"

    def _what(self) -> str:
        if self.window is None:
            ids = [f"{len(value):,} {name}" for name, value in self.arguments if isinstance(value, list)]
            return f" of {', '.join(ids)}" if ids else ""
        if self.window.batch is not None:
            return f" of batch {self.window.batch!r}"
        within = self.filters.within(self.window.start, self.window.end)
        start, end = within.created_after, within.created_before
        return (
            f" created from {'the beginning' if start is None else stamp_of(start)}"
            f" to {'now' if end is None else stamp_of(end)}"
        )


def plan(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    table: str = "tasks",
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: Ids | None = None,
    task_ids: Ids | None = None,
    quality_task_ids: Ids | None = None,
    labeler_emails: Ids | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    include_attachment_url: bool = False,
    detailed: bool = False,
    rows: int = 25_000,
    requests_per_sec: float | None = None,
    at_once: int | None = None,
    client: Client | None = None,
) -> list[Portion]:
    """Cut a pass into portions that can be read apart from each other, by any process that has the key.

    Parameters
    ----------
    table : {"tasks", "audits", "annotations", "batches", "attempts"}
        What to read.
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`; `project` and `status` of batches as for `read_batches`.
    quality_task_ids, labeler_emails : optional
        Which attempts, as for `read_attempts`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    include_attachment_url, detailed : bool
        As for `read_tasks` and `read_batches`.
    rows : int
        Tasks that a portion holds at most. A second in which more were created is not cut.
    requests_per_sec : float, optional
        Requests a second that all processes together may send.
    at_once : int, optional
        How many portions are read at the same time, among which that rate is divided. Default: all of them.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    list of Portion
        Plain values, which can be pickled; none where nothing matches. There is no key in them.

    Raises
    ------
    InputError
        For an unknown table, a filter that it does not know, or an unusable value; nothing was sent.

    Notes
    -----
    One request where few tasks match, else about two for each portion. Tasks are cut by when they were created, on
    whole seconds, and each task is in one portion. Of a service that does not look at such bounds, portions are
    batches, or there is one. Attempts are cut by the labelers that are named, since those of one labeler are numbered
    among each other; ``"all"`` and quality tasks alone make one portion.

    Examples
    --------
    >>> portions = rf.portions.plan("tasks", project="no_such_project")
    >>> len(portions)
    0

    >>> rf.portions.plan("pictures")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no table 'pictures'. There are tasks, audits, annotations, ...
    """
    given = {name: value for name, value in locals().items() if name not in ("table", "client") and value is not None}
    check_rate(given.pop("requests_per_sec", None), given.pop("at_once", None))
    check_rows(given.pop("rows"))
    portions = cut(table, {name: value for name, value in given.items() if value is not False}, rows, client=client)
    return shared(portions, requests_per_sec, at_once)


def read(
    portion: Portion, *, columns: Sequence[str] | None = None, client: Client | None = None
) -> pa.RecordBatchReader:
    """Read one portion, in any process; reading it again gives its rows again.

    Parameters
    ----------
    portion : Portion
        From `plan`.
    columns : list of str, optional
        The columns that are wanted, in their order. Default: all.
    client : Client, optional
        Default: made for the service of the plan with the key of this process's environment, and kept, so that the
        next portion goes on at the pace that was learned.

    Returns
    -------
    pyarrow.RecordBatchReader
        Batches of the table's columns, as `schema` says. Reading begins with the first batch asked for; closing the
        reader ends it. Errors come then, and their first line names the portion.

    Raises
    ------
    ConfigError
        There is no key in the environment, or it is another one than that of the plan.
    InputError
        The table has no such column.

    Notes
    -----
    One request per 100 tasks, one after the other. Rows read are checked against the service's count, and a portion
    of which some are missing is read again, at most twice.

    Examples
    --------
    >>> _ = rf.projects.create("lights", type="imageannotation")
    >>> _ = rf.batches.create("lamps", project="lights")
    >>> [portion] = rf.portions.plan("batches")
    >>> rf.portions.read(portion, columns=["batch", "status"]).read_all().to_pylist()
    [{'batch': 'lamps', 'status': 'in_progress'}]

    >>> rf.portions.read(portion, columns=["name"])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: The table batches has no column 'name'. It has batch, project, ...
    """
    wanted = schema(portion.table, columns)
    if client is None:
        client = client_here(
            portion.base_url, key_fingerprint=portion.key_fingerprint, requests_per_sec=portion.requests_per_sec
        )
    return stream_of(wanted, _named_errors(portion, (_plain(batch, wanted) for batch in _batches(portion, client))))


def schema(table: str, columns: Sequence[str] | None = None) -> pa.Schema:
    """Say which columns portions of a table have: those of `refonte_frames.schemas`, texts as plain texts.

    Parameters
    ----------
    table : str
        One of the tables that `plan` knows.
    columns : list of str, optional
        Some of its columns, in their order. Default: all.

    Returns
    -------
    pyarrow.Schema
        Names that repeat are plain strings here, for engines whose processes do not share a dictionary.

    Raises
    ------
    InputError
        There is no such table, or it has no such column.

    Examples
    --------
    >>> rf.portions.schema("tasks", ["task_id", "status"]).types
    [DataType(string), DataType(string)]

    >>> rf.portions.schema("tasks", ["name"])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: The table tasks has no column 'name'. It has task_id, unique_id, ...
    """
    if table not in _TABLES:
        raise InputError(f"There is no table {table!r}. There are {', '.join(_TABLES)}.")
    whole = SCHEMAS[table]
    names = whole.names if columns is None else list(columns)
    for name in names:
        if name not in whole.names:
            raise InputError(f"The table {table} has no column {name!r}. It has {', '.join(whole.names)}.")
    fields = [whole.field(name) for name in names]
    return pa.schema(
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in fields
    )


def check_rows(rows: Any) -> None:
    """Refuse a size that no portion can have.

    Raises
    ------
    InputError
        It is no integer of at least 1.
    """
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise InputError(f"rows={rows!r}: give the tasks that a portion may hold, an integer of at least 1.")


def cut(table: str, given: dict[str, Any], rows: int, *, client: Client | None) -> list[Portion]:
    """Cut the pass that a caller's filters describe, whatever its table.

    Raises
    ------
    InputError
        For an unknown table, a filter that it does not know, or an unusable value; nothing was sent.
    """
    schema(table)
    if table == "batches":
        pieces = _whole(
            given, _OF_BATCHES, table, lambda of: BatchReading.of(**{"detailed": False, "status": None} | of)
        )
    elif table == "attempts":
        pieces = _by_labelers(given, table)
    else:
        _refuse_others(given, ("detailed", *_OF_ATTEMPTS), table)
        wanted = wanted_of(given)
        if wanted.unique_ids is not None:
            others = {name: value for name, value in given.items() if name != "unique_id"}
            pieces = _by_ids("unique_id", wanted.unique_ids, rows, others)
        elif wanted.task_ids is not None:
            pieces = _by_ids("task_ids", wanted.task_ids.distinct, rows, {})
        else:
            return cut_by_time(table, wanted.filters, rows, client=client)
    client = resolve_client(client)
    return [
        Portion(table, at, len(pieces), client.base_url, client.key_fingerprint, arguments=tuple(piece.items()))
        for at, piece in enumerate(pieces, start=1)
    ]


def cut_by_time(
    table: str, filters: Filters, rows: int, *, client: Client | None, change: Change | None = None
) -> list[Portion]:
    """Cut the tasks that match into windows of their creation; the newest first.

    Whoever reads one window cannot see what another one got: which of the two a task belongs to is told by its own
    created_at. On whole seconds that is right also for a service that compares no finer.
    """
    asker = resolve_client(client)
    windows = plan_sweep(Source(asker, filters, (table,)), target=rows, finest=_SECOND).windows
    return [
        Portion(
            table,
            at,
            len(windows),
            asker.base_url,
            asker.key_fingerprint,
            filters=filters,
            window=window,
            change=change,
        )
        for at, window in enumerate(windows, start=1)
    ]


def shared(portions: Sequence[Portion], requests_per_sec: float | None, at_once: int | None) -> list[Portion]:
    """Give portions their numbers anew, and each its share of the rate."""
    share = share_of(requests_per_sec, at_once, len(portions))
    return [
        replace(portion, number=at, count=len(portions), requests_per_sec=share)
        for at, portion in enumerate(portions, start=1)
    ]


def _whole(
    given: dict[str, Any], known: Sequence[str], table: str, check: Callable[[dict[str, Any]], object]
) -> list[dict[str, Any]]:
    _refuse_others(given, [name for name in given if name not in known], table)
    check(given)
    return [given]


def _refuse_others(given: dict[str, Any], others: Iterable[str], table: str) -> None:
    if unknown := [name for name in others if name in given]:
        raise InputError(f"The table {table} cannot be filtered by {', '.join(unknown)}.")


def _by_labelers(given: dict[str, Any], table: str) -> list[dict[str, Any]]:
    _refuse_others(given, [name for name in given if name not in _OF_ATTEMPTS], table)
    wanted = AttemptsWanted.of(given.get("quality_task_ids"), given.get("labeler_emails")).as_json()
    emails = wanted.pop("labeler_emails", None)
    if isinstance(emails, list):
        return _by_ids("labeler_emails", emails, _LABELERS, wanted)
    return [wanted | ({} if emails is None else {"labeler_emails": emails})]


def _by_ids(name: str, ids: Sequence[str], rows: int, others: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: list(ids[start : start + rows]), **others} for start in range(0, len(ids), rows)]


def _batches(portion: Portion, client: Client) -> Iterator[pa.RecordBatch]:
    if portion.window is None:
        return iter(_SCANS[portion.table](**dict(portion.arguments), progress=False, client=client))
    return _of_window(portion, portion.window, client)


def _of_window(portion: Portion, window: Window, client: Client) -> Iterator[pa.RecordBatch]:
    """Read the tasks of a window that are this portion's own."""
    source = Source(client, portion.filters, (portion.table,))

    def work(_: Window, __: int, put: Callable[[pa.RecordBatch | Tally], None]) -> None:
        put(read_window(source, window, lambda batches: put(_own(portion, window, batches))))

    for item in run_windows([window], work, workers=1, stop=source.stop):
        if isinstance(item, Tally):
            warn_of_shortfall(item, stacklevel=2)
        else:
            yield item


def _own(portion: Portion, window: Window, batches: Batches) -> pa.RecordBatch:
    """Leave out the tasks that are the neighbour's, whose bound is this one's, or that do not count."""
    rows, tasks = batches[portion.table], batches["tasks"]
    mask = _within(tasks["created_at"], window)
    if portion.change is not None:
        mask = pc.and_(mask, portion.change.mask(tasks))
    if pc.all(mask).as_py() is not False:
        return rows
    return rows.filter(pc.is_in(rows["task_id"], value_set=tasks["task_id"].filter(mask)))


def _within(created: pa.Array, window: Window) -> pa.Array:
    """Tell which tasks are of this window, not of its neighbours; one without a time is of whichever brings it."""
    mask = pa.repeat(True, len(created))
    if window.start is not None:
        mask = pc.and_(mask, _true(pc.greater_equal(created, _time(window.start)), otherwise=True))
    if window.end is not None:
        mask = pc.and_(mask, _true(pc.less(created, _time(window.end)), otherwise=True))
    return mask


def _true(mask: pa.Array, *, otherwise: bool = False) -> pa.Array:
    return pc.fill_null(mask, otherwise)


def _time(micros: int) -> pa.Scalar:
    return pa.scalar(micros, pa.timestamp("us", "UTC"))


def _plain(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    return batch.select(wanted.names).cast(wanted)


def _named_errors(portion: Portion, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Begin the first line of any error with the portion: the one who reads it looks at one process of many."""
    with contextlib.closing(batches):  # type: ignore[type-var]  # a generator
        try:
            yield from batches
        except RefonteError as error:
            error.message = f"{portion}: {error.message}"
            error.args = (error.message,)
            raise
        except Exception as error:
            raise ExportError(f"{portion}: {type(error).__name__}: {error}") from error
