"""`results`: what became of the tasks of a frame, put beside its rows; nothing is written here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.export.columns import build
from refonte_frames.export.drift import Drift
from refonte_frames.export.filters import Filters
from refonte_frames.export.passes import warn_of_missing
from refonte_frames.export.row_tasks import RowTasks, beside
from refonte_frames.export.sweep import Source
from refonte_frames.export.tables import to_pandas
from refonte_frames.frames import as_pandas
from refonte_frames.progress import bar
from refonte_frames.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from refonte_frames.export.decode import TaskDoc

__all__ = ["results"]

_COLUMNS: Final = ("status", "completed_at", "customer_review_status", "n_annotations", "response_json", "error")


@overload
def results(
    frame: Any,
    *,
    task_id: Hashable = ...,
    annotations: Literal[False] = ...,
    progress: bool = ...,
    client: Client | None = ...,
) -> pd.DataFrame: ...
@overload
def results(
    frame: Any,
    *,
    task_id: Hashable = ...,
    annotations: Literal[True],
    progress: bool = ...,
    client: Client | None = ...,
) -> tuple[pd.DataFrame, pd.DataFrame]: ...
def results(
    frame: Any,
    *,
    task_id: Hashable = "task_id",
    annotations: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Put the results beside the rows that were submitted.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table, or anything with ``__arrow_c_stream__``
        A receipt, or any frame with a column of task ids or, without one, a column ``unique_id``. It is not changed.
    task_id : column
        Holds the tasks' ids.
    annotations : bool
        True returns the annotations of these tasks as a second frame.
    progress : bool
        False shows no bar.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame, or a pair of them
        The rows of `frame`, in their order, with their index and columns, followed by ``status, completed_at,
        customer_review_status, n_annotations, response_json, error`` as in the table ``tasks``, with Arrow dtypes. A
        name that the frame uses already gets ``_task`` behind it. Rows without a task have nulls there, also those
        whose task was not found: a warning counts them, and ``attrs["refonte"]["not_found"]`` lists their ids.
        With `annotations` a pair: these rows, and a frame with the columns of `refonte_frames.schemas.ANNOTATIONS`,
        each task's once, in the order of the rows; both have ``task_id``.

    Raises
    ------
    ColumnError
        The frame has neither task ids nor unique_ids; nothing was sent.
    InputError
        An id is no text; nothing was sent.

    Notes
    -----
    Where a unique_id stands beside the task_id, as in receipts, 40 tasks are read by one request. Else a hundred, as
    long as not many more tasks were created in the same time than are asked for; otherwise one. A row without a
    task_id has no task, even if it has a unique_id: a refused row's id may belong to another task.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a", ""]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> _ = sandbox.complete(made["task_id"][0])
    >>> rf.results(made)[["text", "outcome", "status", "n_annotations"]]
      text  outcome     status  n_annotations
    0    a  created  completed              1
    1        failed       <NA>           <NA>
    >>> rows, annotations = rf.results(made, annotations=True)
    >>> rows.merge(annotations, on="task_id")[["text", "label"]]
      text label
    0    a     x

    >>> rf.results(pd.DataFrame({"text": ["a"]}))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'task_id' with the tasks' ids, and no column ...
    """
    asked = RowTasks.of(as_pandas(frame), task_id)
    tables = ("tasks", "annotations") if annotations else ("tasks",)
    source = Source(resolve_client(client), Filters(), tables)
    keys = asked.distinct
    with bar(len(keys), "Reading", "tasks", progress=progress) as shown:
        docs = asked.look_up(source, keys, shown.update)
    found = [key for key in keys if key in docs]
    made = _tables(docs, found, tables)
    rows = beside(asked.rows, _taken(made["tasks"], asked.keys, found))
    missing = [key for key in keys if key not in docs]
    rows.attrs["refonte"] = {"tasks": len(docs), "not_found": missing}
    warn_of_missing("tasks", missing, stacklevel=2)
    return (rows, to_pandas(made["annotations"])) if annotations else rows


def _tables(docs: Mapping[str, TaskDoc], keys: Sequence[str], tables: Sequence[str]) -> dict[str, pa.Table]:
    batches = build([docs[key] for key in keys], tables=tables, exported_at=datetime.now(UTC), drift=Drift())
    return {table: pa.Table.from_batches([batches[table]], SCHEMAS[table]) for table in tables}


def _taken(tasks: pa.Table, keys: Sequence[str | None], found: Sequence[str]) -> pd.DataFrame:
    """Take each row's task from the table; a row without one gets nulls."""
    places = {key: at for at, key in enumerate(found)}
    indices = pa.array([None if key is None else places.get(key) for key in keys], pa.int64())
    return to_pandas(tasks.select(list(_COLUMNS)).take(indices))
