"""What users call to bring tasks home in frames: `read_tasks` and its like, `get_task`; no reading is done here.

Filters are named in every signature, for editors and type checkers, and passed on in one piece: `locals()` at the
head of a function holds its parameters and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from refonte_frames.client import resolve_client
from refonte_frames.errors import InputError
from refonte_frames.export.attempts import AttemptsWanted, attempts_frame
from refonte_frames.export.batches import BatchReading
from refonte_frames.export.columns import TASK_TABLES
from refonte_frames.export.drift import Drift
from refonte_frames.export.passes import FILTERS, View, gather, wanted_of
from refonte_frames.export.spread import is_spread
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.export.filters import TimeLike
    from refonte_frames.export.passes import Ids
    from refonte_frames.export.tables import DtypeBackend

__all__ = ["get_task", "read", "read_annotations", "read_audits", "read_tasks"]

_TABLES: Final = (*TASK_TABLES, "batches", "attempts")
#: What the tables that are not made of tasks can be filtered by.
_FILTERS_OF: Final = {
    "batches": ("project", "status", "created_after", "created_before", "detailed"),
    "attempts": ("quality_task_ids", "labeler_emails"),
}
_ALL_OTHERS: Final = ("detailed", "quality_task_ids", "labeler_emails")


def read_tasks(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: Ids | None = None,
    task_ids: Ids | None = None,
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
    project, batch, type : str, optional
        Only tasks of this project, batch or task type; a name the service does not know gives no rows.
    status : {"pending", "completed", "canceled", "error"}, optional
        Only tasks in this state.
    customer_review_status : str or list of str, optional
        Only tasks with one of these: pending, accepted, fixed, commented, rejected.
    tags : str or list of str, optional
        Only tasks with at least one of these tags.
    unique_id : str, list or Series of str, or a frame with a column ``unique_id``, optional
        Only these tasks; nulls and repeats are passed over. A warning names ids that were not found.
    task_ids : str, list or Series of str, or a frame with a column ``task_id``, optional
        Only these tasks; no other filter can be combined with it. A receipt, which holds unique_ids as well, takes
        the fewest requests.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds, inclusive: text in ISO 8601, date, datetime or pandas Timestamp. Without an offset they mean UTC.
    include_attachment_url : bool
        Ask for signed URLs of the attachments, in the column ``attachment_urls``.
    limited_response : bool
        Ask for little more than ids and states: all other columns are null then, and audits and answers are missing.
    metadata : {"json", "columns"}
        ``"columns"`` adds one column ``metadata.<key>`` for every key, typed by the rows read: bool, int64, float64 or
        string where every value is one, else each value's JSON text, as for objects, lists, integers beyond 64 bits,
        or a number beside a text. ``metadata_json`` stays.
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
    one per 40 unique_ids. Task ids without unique_ids beside them are looked up in the list of their time, where that
    is not much longer than they are many, and else one by one. Rows need to fit into memory: else see `scan_tasks`
    and `export_tasks`.
    Source: contract 2.3.

    Examples
    --------
    >>> rf.read_tasks(project="no_such_project").shape
    (0, 31)

    >>> rf.read_tasks(status="done")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: status='done' is no value of the service. There are pending, ...
    """
    wanted = wanted_of(locals())
    view = View(dtype_backend, categories, _spreads(metadata=metadata))
    return gather(("tasks",), wanted, view, progress=progress, client=client).frame("tasks")


def read_audits(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: Ids | None = None,
    task_ids: Ids | None = None,
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
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    dtype_backend, categories, progress, client
        As for `read_tasks`.

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
    wanted = wanted_of(locals())
    view = View(dtype_backend, categories)
    return gather(("audits",), wanted, view, progress=progress, client=client).frame("audits")


def read_annotations(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    unique_id: Ids | None = None,
    task_ids: Ids | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    attributes: Literal["json", "columns"] = "json",
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Read the answers to tasks into a frame: one row per answer element, in the order of the response.

    Parameters
    ----------
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    attributes : {"json", "columns"}
        ``"columns"`` adds one typed column ``attributes.<key>`` for every attribute, under the rules of `read_tasks`
        for metadata.
    dtype_backend, categories, progress, client
        As for `read_tasks`.

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
    wanted = wanted_of(locals())
    view = View(dtype_backend, categories, _spreads(attributes=attributes))
    return gather(("annotations",), wanted, view, progress=progress, client=client).frame("annotations")


def read(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    *tables: str,
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
    limited_response: bool = False,
    detailed: bool = False,
    metadata: Literal["json", "columns"] = "json",
    attributes: Literal["json", "columns"] = "json",
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> dict[str, pd.DataFrame]:
    """Read several tables: tasks, audits and annotations in one pass.

    Parameters
    ----------
    *tables : str
        Any of ``"tasks"``, ``"audits"``, ``"annotations"``, ``"batches"``, ``"attempts"``.
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    include_attachment_url, limited_response : bool
        As for `read_tasks`.
    quality_task_ids, labeler_emails : optional
        Which attempts, as for `read_attempts`; the table ``attempts`` needs one of them.
    detailed : bool
        As for `read_batches`.
    metadata, attributes : {"json", "columns"}
        ``"columns"`` adds columns to tasks and batches as `read_tasks` does, and to annotations as `read_annotations`.
    dtype_backend, categories, progress, client
        As for `read_tasks`.

    Returns
    -------
    dict of str to pandas.DataFrame
        One frame per table, as `read_tasks`, `read_audits`, `read_annotations`, `read_batches` and `read_attempts`
        return it, in the order of `tables`.

    Raises
    ------
    InputError
        For an unknown table, an unusable filter, or one that none of the tables knows; nothing was sent.

    Notes
    -----
    Tasks, audits and annotations cost as many requests as `read_tasks` alone; batches and attempts come on top.
    Each filter goes to every table that knows it: ``project`` and ``created_*`` to the tables of tasks and to batches,
    ``status`` to the tables of tasks, or to batches where there are none, all others to the tables of tasks.

    Examples
    --------
    >>> frames = rf.read("tasks", "audits", project="no_such_project")
    >>> {table: len(frame) for table, frame in frames.items()}
    {'tasks': 0, 'audits': 0}

    >>> rf.read("labels")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is no table 'labels'. There are tasks, audits, annotations, ...
    """
    given = _Given(locals())
    names = _table_names(tables)
    task_tables = tuple(name for name in names if name in TASK_TABLES)
    given.require_use(names)
    wanted = wanted_of(given.parameters) if task_tables else None
    attempts = AttemptsWanted.of(quality_task_ids, labeler_emails) if "attempts" in names else None
    bounds = {"project": project, "created_after": created_after, "created_before": created_before}
    batches = BatchReading.of(status=None if wanted else status, detailed=detailed, **bounds)
    view = View(dtype_backend, categories, _spreads(metadata=metadata, attributes=attributes))
    view.check(*names)
    asker = resolve_client(client)
    frames: dict[str, pd.DataFrame] = {}
    if "batches" in names:
        drift = Drift()
        rows = batches.table(asker, drift, progress=progress)
        frames["batches"] = view.frame(rows, {"batches": len(rows), "drift": drift.as_json()})
    if attempts is not None:
        frames["attempts"] = attempts_frame(attempts, view, asker, progress=progress)
    if wanted is not None:
        gathered = gather(task_tables, wanted, view, progress=progress, client=asker)
        frames |= {name: gathered.frame(name) for name in task_tables}
    return {name: frames[name] for name in names}


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
    InputError
        If `task_id` is no text, or empty; nothing was sent.
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
    if not isinstance(task_id, str) or not task_id:
        raise InputError(f"task_id={task_id!r}: give a task's id as text, such as '576ba74eec471ff9b0155a13'.")
    reply = resolve_client(client).send(Call.get("task", task_id))
    return decode_json(reply.body, type=dict[str, Any], where=f"GET /task/{task_id}")


@dataclass(frozen=True, slots=True)
class _Given:
    """The parameters of `read`, as they were given."""

    parameters: dict[str, Any]

    def require_use(self, tables: Sequence[str]) -> None:
        """Refuse a filter that none of the tables knows: it would be ignored, and rows come that nobody asked for."""
        known = {name for table in tables for name in _FILTERS_OF.get(table, FILTERS)}
        used = [name for name in (*FILTERS, *_ALL_OTHERS) if self._is_given(name)]
        strangers = [name for name in used if name not in known]
        if strangers:
            raise InputError(
                f"{' and '.join(strangers)} cannot be followed: {', '.join(tables)} know{'s' * (len(tables) == 1)} "
                f"{', '.join(name for name in (*FILTERS, *_ALL_OTHERS) if name in known)}."
            )

    def _is_given(self, name: str) -> bool:
        return self.parameters[name] is not None and self.parameters[name] is not False


def _table_names(tables: Sequence[str]) -> tuple[str, ...]:
    for table in tables:
        if table not in _TABLES:
            raise InputError(f"There is no table {table!r}. There are {', '.join(_TABLES)}.")
    if not tables:
        raise InputError(f"Name at least one table: {', '.join(_TABLES)}.")
    return tuple(dict.fromkeys(tables))


def _spreads(**options: str) -> tuple[str, ...]:
    return tuple(name for name, value in options.items() if is_spread(name, value))
