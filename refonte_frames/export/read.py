"""What users call to bring tasks home in frames and streams: `read_`, `scan_` and `get_task`; no files here."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import pyarrow as pa

from refonte_frames.client import resolve_client
from refonte_frames.errors import InputError
from refonte_frames.export.columns import TASK_TABLES, build
from refonte_frames.export.filters import Filters, filters_of
from refonte_frames.export.sweep import Batches, Source, Tally, plan_sweep, read_window, run_windows, warn_of_shortfall
from refonte_frames.export.tables import DtypeBackend, check_options, names_of, spread_metadata, to_pandas
from refonte_frames.lookup import Found, by_task_ids, by_unique_ids, ids_of
from refonte_frames.progress import bar
from refonte_frames.schemas import SCHEMAS
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.export.decode import TaskDoc
    from refonte_frames.export.windows import Window
    from refonte_frames.progress import Bar

__all__ = [
    "get_task",
    "read",
    "read_annotations",
    "read_audits",
    "read_tasks",
    "scan_annotations",
    "scan_audits",
    "scan_tasks",
]

#: A time as callers give it; a pandas Timestamp is a datetime.
TimeLike = str | date | datetime
F = TypeVar("F", bound="Callable[..., Any]")

_MAX_NAMED: Final = 5

FILTERS_DOC: Final = """project, batch, type : str, optional
        Only tasks of this project, batch or task type; a name the service does not know gives no rows.
    status : {"pending", "completed", "canceled", "error"}, optional
        Only tasks in this state.
    customer_review_status : str or list of str, optional
        Only tasks with one of these: pending, accepted, fixed, commented, rejected.
    tags : str or list of str, optional
        Only tasks with at least one of these tags."""
IDS_DOC: Final = """
    unique_id : str, list or Series of str, optional
        Only these tasks; nulls and repeats are passed over. A warning names ids that were not found.
    task_ids : str, list or Series of str, optional
        Only these tasks, read one by one; no other filter can be combined with it."""
TIMES_DOC: Final = """
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds, inclusive: text in ISO 8601, date, datetime or pandas Timestamp. Without an offset they mean UTC."""
EXTRAS_DOC: Final = """
    include_attachment_url : bool
        Ask for signed URLs of the attachments, in the column ``attachment_urls``.
    limited_response : bool
        Ask for little more than ids and states: all other columns are null then, and audits and answers are missing."""
DOOR_DOC: Final = """progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment."""
VIEW_DOC: Final = f"""dtype_backend : {{"pyarrow", "numpy_nullable"}}
        As in pandas.
    categories : list of str
        Text columns that shall be pandas categories.
    {DOOR_DOC}"""


def documented(function: F) -> F:
    """Put what all functions share into the docstring."""
    names = function.__annotations__
    filters = FILTERS_DOC + (IDS_DOC if "task_ids" in names else "") + TIMES_DOC
    filters += EXTRAS_DOC if "limited_response" in names else ""
    function.__doc__ = (function.__doc__ or "").format(filters=filters, view=VIEW_DOC, door=DOOR_DOC)
    return function


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which tasks a caller asked for."""

    filters: Filters
    unique_ids: list[str] | None
    task_ids: list[str] | None


@dataclass(frozen=True, slots=True)
class _View:
    """How a caller wants to see rows."""

    dtype_backend: DtypeBackend
    categories: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """All rows of a pass, by table."""

    tables: dict[str, pa.Table]
    view: _View
    attrs: dict[str, Any]

    def frame(self, table: str, *, is_metadata_spread: bool = False) -> pd.DataFrame:
        """Make a frame of one table."""
        rows = self.tables[table]
        # Of several tables not every one has all the categories.
        categories = [name for name in names_of(self.view.categories) if name in rows.column_names]
        if is_metadata_spread:
            rows = spread_metadata(rows)
        frame = to_pandas(rows, dtype_backend=self.view.dtype_backend, categories=categories)
        frame.attrs["refonte"] = self.attrs
        return frame


@documented
def read_tasks(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    include_attachment_url: bool = False,
    limited_response: bool = False,
    metadata: Literal["json", "columns"] = "json",
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Read tasks into a frame: one row per task.

    Parameters
    ----------
    {filters}
    metadata : {{"json", "columns"}}
        ``"columns"`` adds one typed column ``metadata.<key>`` for every key; its type is inferred over the rows read.
    {view}

    Returns
    -------
    pandas.DataFrame
        The columns of `refonte_frames.schemas.TASKS`, also when there are no rows. Newest tasks first; tasks asked
        for by id stand in the order of the ids. ``attrs["refonte"]`` holds counts and the ids that were not found.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent.
    ApiError, NoReplyError, ReplyError
        The service refused, did not answer, or answered something undocumented.

    Notes
    -----
    One request per 100 tasks, and where there are more than 5,000 of them, about one per window of time before;
    one per 40 unique_ids; one per task id. Rows need to fit into memory: else see `scan_tasks` and `export_tasks`.
    Source: contract 2.3.

    Examples
    --------
    >>> rf.read_tasks(project="no_such_project").shape
    (0, 31)

    >>> rf.read_tasks(status="done")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: status='done' is no value of the service. There are pending, ...
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
        include_attachment_url=include_attachment_url,
        limited_response=limited_response,
    )
    is_spread = _spreads(metadata)
    table = _gather(("tasks",), wanted, _View(dtype_backend, categories), progress=progress, client=client)
    return table.frame("tasks", is_metadata_spread=is_spread)


@documented
def read_audits(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Read the audits of tasks into a frame: one row per audit, oldest first within a task.

    Parameters
    ----------
    {filters}
    {view}

    Returns
    -------
    pandas.DataFrame
        The columns of `refonte_frames.schemas.AUDITS`, also when there are no rows.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent.

    Notes
    -----
    Filters and cost are those of `read_tasks`: the service sends audits with their task (contract 2.3).

    Examples
    --------
    >>> rf.read_audits(project="no_such_project").columns[:3].tolist()
    ['task_id', 'audit_index', 'is_first']

    >>> rf.read_audits(created_after="yesterday")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: created_after='yesterday' is no time. Give a datetime, a date, ...
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
    )
    return _gather(("audits",), wanted, _View(dtype_backend, categories), progress=progress, client=client).frame(
        "audits"
    )


@documented
def read_annotations(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Read the answers to tasks into a frame: one row per answer element, in the order of the response.

    Parameters
    ----------
    {filters}
    {view}

    Returns
    -------
    pandas.DataFrame
        The columns of `refonte_frames.schemas.ANNOTATIONS`, also when there are no rows.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent.

    Notes
    -----
    Filters and cost are those of `read_tasks`. Every documented form of a response becomes rows (contract 5.3, 5.4);
    a response of an unknown form gives none and is counted in ``attrs["refonte"]["drift"]``.

    Examples
    --------
    >>> rf.read_annotations(project="no_such_project").columns[:5].tolist()
    ['task_id', 'annotation_index', 'annotation_id', 'field', 'geometry']

    >>> rf.read_annotations(created_after="yesterday")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: created_after='yesterday' is no time. Give a datetime, a date, ...
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
    )
    tables = _gather(("annotations",), wanted, _View(dtype_backend, categories), progress=progress, client=client)
    return tables.frame("annotations")


@documented
def read(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *tables: str,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    include_attachment_url: bool = False,
    limited_response: bool = False,
    metadata: Literal["json", "columns"] = "json",
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> dict[str, pd.DataFrame]:
    """Read several tables in one pass.

    Parameters
    ----------
    *tables : str
        Any of ``"tasks"``, ``"audits"``, ``"annotations"``.
    {filters}
    metadata : {{"json", "columns"}}
        ``"columns"`` adds one typed column ``metadata.<key>`` to the tasks for every key.
    {view}

    Returns
    -------
    dict of str to pandas.DataFrame
        One frame per table, as `read_tasks`, `read_audits` and `read_annotations` return it.

    Raises
    ------
    InputError
        For an unknown table or an unusable filter; nothing was sent.

    Notes
    -----
    Costs as many requests as `read_tasks` alone.

    Examples
    --------
    >>> frames = rf.read("tasks", "audits", project="no_such_project")
    >>> {{table: len(frame) for table, frame in frames.items()}}
    {{'tasks': 0, 'audits': 0}}

    >>> rf.read("labels")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no table 'labels'. There are tasks, audits, annotations.
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
        include_attachment_url=include_attachment_url,
        limited_response=limited_response,
    )
    names = _table_names(tables)
    is_spread = _spreads(metadata)
    read_all = _gather(names, wanted, _View(dtype_backend, categories), progress=progress, client=client)
    return {name: read_all.frame(name, is_metadata_spread=is_spread and name == "tasks") for name in names}


@documented
def scan_tasks(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    include_attachment_url: bool = False,
    limited_response: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream tasks in constant memory.

    Parameters
    ----------
    {filters}
    {door}

    Returns
    -------
    pyarrow.RecordBatchReader
        Batches of the schema `refonte_frames.schemas.TASKS`, in no particular order; polars, DuckDB and
        everything else that takes an Arrow stream reads it as it is. Reading begins with the first batch asked for;
        closing the reader ends it.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent. Errors of the service come while batches are read.

    Notes
    -----
    Filters and cost are those of `read_tasks`.

    Examples
    --------
    >>> rf.scan_tasks(project="no_such_project").read_all().num_rows
    0

    >>> rf.scan_tasks(created_after="yesterday")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: created_after='yesterday' is no time. Give a datetime, a date, ...
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
        include_attachment_url=include_attachment_url,
        limited_response=limited_response,
    )
    return _stream("tasks", wanted, progress=progress, client=client)


@documented
def scan_audits(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream the audits of tasks in constant memory.

    Parameters
    ----------
    {filters}
    {door}

    Returns
    -------
    pyarrow.RecordBatchReader
        Batches of the schema `refonte_frames.schemas.AUDITS`, in no particular order; polars, DuckDB and
        everything else that takes an Arrow stream reads it as it is. Reading begins with the first batch asked for;
        closing the reader ends it.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent. Errors of the service come while batches are read.

    Notes
    -----
    Filters and cost are those of `read_tasks`.

    Examples
    --------
    >>> rf.scan_audits(project="no_such_project").read_all().num_rows
    0

    >>> rf.scan_audits(created_after="yesterday")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: created_after='yesterday' is no time. Give a datetime, a date, ...
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
    )
    return _stream("audits", wanted, progress=progress, client=client)


@documented
def scan_annotations(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: str | Iterable[str] | None = None,
    task_ids: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream the answers to tasks in constant memory.

    Parameters
    ----------
    {filters}
    {door}

    Returns
    -------
    pyarrow.RecordBatchReader
        Batches of the schema `refonte_frames.schemas.ANNOTATIONS`, in no particular order; polars, DuckDB and
        everything else that takes an Arrow stream reads it as it is. Reading begins with the first batch asked for;
        closing the reader ends it.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent. Errors of the service come while batches are read.

    Notes
    -----
    Filters and cost are those of `read_tasks`.

    Examples
    --------
    >>> rf.scan_annotations(project="no_such_project").read_all().num_rows
    0

    >>> rf.scan_annotations(created_after="yesterday")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: created_after='yesterday' is no time. Give a datetime, a date, ...
    """
    wanted = _wanted(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        unique_id=unique_id,
        task_ids=task_ids,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
    )
    return _stream("annotations", wanted, progress=progress, client=client)


def get_task(task_id: str, *, client: Client | None = None) -> dict[str, Any]:
    """Read one task as the service sends it.

    Parameters
    ----------
    task_id : str
        Id of the task.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The task object (contract 2.3); integers of any size are exact.

    Raises
    ------
    NotFound
        If the key's world has no such task.

    Notes
    -----
    One request. For more than a few tasks see `read_tasks`.

    Examples
    --------
    >>> rf.get_task("000000000000000000000000")
    Traceback (most recent call last):
    refonte_frames.errors.NotFound: GET /task/000000000000000000000000 was refused with 404: ...
    """
    reply = resolve_client(client).send(Call.get("task", task_id))
    return decode_json(reply.body, type=dict[str, Any], where=f"GET /task/{task_id}")


@dataclass(slots=True)
class _Pass:
    """A pass over a source, as its rows come."""

    source: Source
    wanted: _Wanted
    shown: Bar
    tally: Tally = field(default_factory=Tally)
    service_total: int | None = None
    mode: str = "windows"
    missing: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[tuple[int, Batches]]:
        """Yield the rows with the position of their window."""
        if self.wanted.unique_ids is not None:
            yield from self._found(by_unique_ids(self.source, self.wanted.unique_ids))
        elif self.wanted.task_ids is not None:
            yield from self._found(by_task_ids(self.source, self.wanted.task_ids))
        else:
            yield from self._swept()

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

    def warn(self) -> None:
        """Say what was asked for and did not come."""
        if self.missing:
            named = ", ".join(repr(text) for text in self.missing[:_MAX_NAMED])
            more = f" and {len(self.missing) - _MAX_NAMED} more" if len(self.missing) > _MAX_NAMED else ""
            warnings.warn(
                f"{len(self.missing)} ids were not found: {named}{more}. attrs['refonte']['not_found'] lists them all.",
                stacklevel=5,
            )
        warn_of_shortfall(self.tally, stacklevel=6)

    def _found(self, found: Found[TaskDoc]) -> Iterator[tuple[int, Batches]]:
        self.mode, self.missing, self.service_total = "ids", found.missing, len(found.docs)
        self.tally.tasks, self.tally.pages, self.tally.wire_bytes = len(found.docs), found.pages, found.wire_bytes
        tables = self.source.tables
        yield 0, build(found.docs, tables=tables, exported_at=datetime.now(UTC), drift=self.tally.drift)

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


def _gather(
    tables: tuple[str, ...], wanted: _Wanted, view: _View, *, progress: bool, client: Client | None
) -> _Gathered:
    """Read all rows into memory: windows in their order, so that the same service gives the same frame."""
    check_options(view.dtype_backend, view.categories, *(SCHEMAS[table] for table in tables))
    source = Source(resolve_client(client), wanted.filters, tables)
    with bar(None, "Reading", "tasks", progress=progress) as shown:
        read_pass = _Pass(source, wanted, shown)
        parts = sorted(read_pass.batches(), key=lambda part: part[0])
    read_pass.warn()
    gathered = {
        table: pa.Table.from_batches([batches[table] for _, batches in parts], SCHEMAS[table]) for table in tables
    }
    return _Gathered(gathered, view, read_pass.attrs())


def _stream(table: str, wanted: _Wanted, *, progress: bool, client: Client | None) -> pa.RecordBatchReader:
    source = Source(resolve_client(client), wanted.filters, (table,))

    def batches() -> Iterator[pa.RecordBatch]:
        with bar(None, "Reading", "tasks", progress=progress) as shown:
            read_pass = _Pass(source, wanted, shown)
            for _, found in read_pass.batches():
                yield found[table]
        read_pass.warn()

    return pa.RecordBatchReader.from_batches(SCHEMAS[table], batches())


def _wanted(
    *, unique_id: str | Iterable[str] | None = None, task_ids: str | Iterable[str] | None = None, **options: Any
) -> _Wanted:
    """Check the caller's filters."""
    filters = filters_of(**options)
    if task_ids is None:
        return _Wanted(filters, None if unique_id is None else ids_of("unique_id", unique_id), None)
    others = [*filters.as_json(), *(["unique_id"] if unique_id is not None else [])]
    if others:
        raise InputError(
            f"task_ids cannot be combined with {', '.join(others)}: the service reads a task by its id alone. "
            "Filter the frame afterwards."
        )
    return _Wanted(filters, None, ids_of("task_ids", task_ids))


def _table_names(tables: Sequence[str]) -> tuple[str, ...]:
    for table in tables:
        if table not in TASK_TABLES:
            raise InputError(f"There is no table {table!r}. There are {', '.join(TASK_TABLES)}.")
    if not tables:
        raise InputError(f"Name at least one table: {', '.join(TASK_TABLES)}.")
    return tuple(dict.fromkeys(tables))


def _spreads(metadata: str) -> bool:
    if metadata not in ("json", "columns"):
        raise InputError(f"metadata={metadata!r}: there are 'json' and 'columns'.")
    return metadata == "columns"
