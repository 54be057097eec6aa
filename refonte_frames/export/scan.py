"""What users call to stream tasks, audits and annotations in constant memory; no reading is done here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refonte_frames.export.passes import stream, wanted_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from refonte_frames.client import Client
    from refonte_frames.export.filters import TimeLike
    from refonte_frames.export.passes import Ids

__all__ = ["scan_annotations", "scan_audits", "scan_tasks"]


def scan_tasks(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
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
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream tasks in constant memory.

    Parameters
    ----------
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    include_attachment_url, limited_response : bool
        As for `read_tasks`.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

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
    return stream("tasks", wanted_of(locals()), progress=progress, client=client)


def scan_audits(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
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
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream the audits of tasks in constant memory.

    Parameters
    ----------
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

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
    return stream("audits", wanted_of(locals()), progress=progress, client=client)


def scan_annotations(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
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
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream the answers to tasks in constant memory.

    Parameters
    ----------
    project, batch, type, status, customer_review_status, tags, unique_id, task_ids : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

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
    return stream("annotations", wanted_of(locals()), progress=progress, client=client)
