"""Changes of many tasks from a frame: one short function per documented call, the frame in and the outcomes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from refonte_frames.client import Client, resolve_client
from refonte_frames.frames import as_pandas
from refonte_frames.resources.changes import carry_out, orders_of
from refonte_frames.resources.task_changes import Cancel, ChangeTags, ClearUniqueId, ResendCallback
from refonte_frames.resources.task_columns import (
    audits_of,
    checked_tags,
    id_changes,
    mapped_columns,
    metadata_changes,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Hashable, Mapping, Sequence

    import pandas as pd

__all__ = [
    "add_tags",
    "audit",
    "cancel",
    "clear_unique_ids",
    "remove_tags",
    "resend_callbacks",
    "set_metadata",
    "set_tags",
    "set_unique_ids",
]

F = TypeVar("F", bound="Callable[..., Any]")

_FRAME_DOC: Final = """frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table
        Or anything with ``__arrow_c_stream__``: one row a task, such as a receipt. It is not changed."""
_OPTIONS_DOC: Final = """task_id : column
        Holds the tasks' ids.
    dry_run : bool
        Change nothing: read the tasks and show in ``before`` and ``after`` what would be changed.
    progress : bool
        False shows no bar.
    client : Client, optional
        Default: made from the environment."""
_RETURNS_DOC: Final = """pandas.DataFrame
        The rows of `frame`, in their order, with their index and columns, followed by ``outcome`` (``changed``,
        ``unchanged``: it was so already, ``failed``, ``unsent``: the run stopped before it, ``unknown``),
        ``error_code`` and ``error_message``; with `dry_run` also ``before`` and ``after``. Columns of these names
        make way. Rows without a task are ``failed``; rows that share a task share its outcome, and fail if they
        order different things. ``attrs["refonte"]`` holds counts, seconds and requests by status."""
_RAISES_DOC: Final = """Unauthorized, Forbidden, NoReplyError
        The key was refused, or the service cannot be reached; ``.receipt`` holds what was done until then.
    SubmitInterrupted
        After Ctrl-C, once the requests under way were settled; it has the ``.receipt`` as well."""
_SAFE_DOC: Final = """Tasks are read ahead, 40 a request where their unique_ids stand in a column ``unique_id``, else in
    the list of all that were created in their time, else alone; then one request where there is something to change. A
    task that seems to need no change is read alone first, save in a dry run. Running twice does no harm."""
_JOURNAL_DOC: Final = """journal : path, optional
        An SQLite file in which every step is written down: after a crash or Ctrl-C the same call goes on, and asks no
        more about tasks it has dealt with."""


def _documented(function: F) -> F:
    """Put what all functions share into the docstring."""
    text = function.__doc__ or ""
    shared = {
        "frame": _FRAME_DOC,
        "options": _OPTIONS_DOC,
        "returns": _RETURNS_DOC,
        "raises": _RAISES_DOC,
        "safe": _SAFE_DOC,
        "journal": _JOURNAL_DOC,
    }
    for name, words in shared.items():
        text = text.replace(f"{{{name}}}", words)
    function.__doc__ = text
    return function


@_documented
def cancel(
    frame: Any,
    *,
    clear_unique_id: bool = False,
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Cancel the tasks of these rows.

    Parameters
    ----------
    {frame}
    clear_unique_id : bool
        Free the tasks' ids too, those of canceled ones as well, so that their rows can be submitted again.
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError
        The frame has no column of task ids; nothing was sent.
    {raises}

    Notes
    -----
    Only pending tasks can be canceled: a completed one is ``failed`` without asking, and one that somebody works on
    may be refused. {safe} Contract 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> rf.cancel(made)["outcome"].tolist()
    ['changed']
    >>> rf.cancel(made)["outcome"].tolist()
    ['unchanged']

    >>> rf.cancel(made, task_id="id")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'id' with the tasks' ids; name it: task_id='…'. ...
    """
    rows = as_pandas(frame)
    orders = orders_of(rows, task_id, [Cancel(clear_unique_id)] * len(rows))
    return carry_out(rows, orders, purpose="cancel", dry_run=dry_run, progress=progress, client=resolve_client(client))


@_documented
def set_metadata(
    frame: Any,
    *,
    columns: Sequence[Hashable] | Mapping[str, Hashable],
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Replace the metadata of tasks by columns of the frame.

    Parameters
    ----------
    {frame}
    columns : list of columns, or dict of str to column
        What the metadata are from now on: all of them, keys not named here go. A dict maps key to column. A null cell
        leaves its key out; values are converted as by `rf.submit`.
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError, InputError
        A column is missing, or `columns` names none or a key that cannot be sent; nothing was sent.
    {raises}

    Notes
    -----
    {safe} The metadata of tasks in any state can be replaced. Contract 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"], "camera": ["left"]}).pipe(rf.submit, type="categorization",
    ...     columns={"attachment": "text"}, params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> rf.set_metadata(made, columns=["camera"], dry_run=True)[["outcome", "before", "after"]]
       outcome before              after
    0  changed     {}  {"camera":"left"}
    >>> _ = rf.set_metadata(made, columns=["camera"])
    >>> rf.get_task(made["task_id"][0])["metadata"]
    {'camera': 'left'}

    >>> rf.set_metadata(made, columns={"text": "text", "camera": "cam"})
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'cam' with metadata; ...
    """
    rows = as_pandas(frame)
    orders = orders_of(rows, task_id, metadata_changes(rows, mapped_columns(rows, columns)))
    return carry_out(
        rows, orders, purpose="set_metadata", dry_run=dry_run, progress=progress, client=resolve_client(client)
    )


@_documented
def set_unique_ids(
    frame: Any,
    *,
    column: Hashable,
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Give tasks ids of your own.

    Parameters
    ----------
    {frame}
    column : column
        Holds the ids: texts, or integers. An empty cell, and an id that stands beside two tasks, are that row's error.
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError
        A column is missing; nothing was sent.
    {raises}

    Notes
    -----
    An id is unique over all task types and projects of the account; one that another task holds is ``failed`` with
    that task's id in the message. To exchange the ids of tasks, clear them first. {safe} Contract 1.5, 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"], "scene": ["s-1"]}).pipe(rf.submit, type="categorization",
    ...     columns={"attachment": "text"}, params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> rf.set_unique_ids(made, column="scene")["outcome"].tolist()
    ['changed']
    >>> rf.get_task(made["task_id"][0])["unique_id"]
    's-1'

    >>> rf.set_unique_ids(made, column="id")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'id' with the new ids; ...
    """
    rows = as_pandas(frame)
    orders = orders_of(rows, task_id, id_changes(rows, column, task_id))
    return carry_out(
        rows, orders, purpose="set_unique_ids", dry_run=dry_run, progress=progress, client=resolve_client(client)
    )


@_documented
def clear_unique_ids(
    frame: Any,
    *,
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Take the ids of your own from tasks, so that other tasks can have them.

    Parameters
    ----------
    {frame}
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError
        The frame has no column of task ids; nothing was sent.
    {raises}

    Notes
    -----
    A row whose task lost its id is created once more by the next `rf.submit` without its journal. {safe} Contract 1.5.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> rf.clear_unique_ids(made)["outcome"].tolist()
    ['changed']
    >>> "unique_id" in rf.get_task(made["task_id"][0])
    False

    >>> rf.clear_unique_ids(made, task_id="id")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'id' with the tasks' ids; name it: task_id='…'. ...
    """
    rows = as_pandas(frame)
    orders = orders_of(rows, task_id, [ClearUniqueId()] * len(rows))
    return carry_out(
        rows, orders, purpose="clear_unique_ids", dry_run=dry_run, progress=progress, client=resolve_client(client)
    )


@_documented
def add_tags(
    frame: Any,
    tags: str | Sequence[str],
    *,
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Add tags to tasks, behind those they have.

    Parameters
    ----------
    {frame}
    tags : str or list of str
        The same for all rows.
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError, InputError
        The frame has no column of task ids, or a tag is empty; nothing was sent.
    {raises}

    Notes
    -----
    A task has at most 5 tags; one that would get more is ``failed`` without asking. {safe} Contract 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"], "tags": ["new"]}, progress=False)
    >>> rf.add_tags(made, ["night", "new"], dry_run=True)[["outcome", "before", "after"]]
       outcome   before            after
    0  changed  ["new"]  ["new","night"]

    >>> rf.add_tags(made, [])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: tags is a list of texts that are not empty, not [].
    """
    return _change_tags("add", frame, tags, task_id, dry_run=dry_run, progress=progress, client=client)


@_documented
def set_tags(
    frame: Any,
    tags: str | Sequence[str],
    *,
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Replace the tags of tasks.

    Parameters
    ----------
    {frame}
    tags : str or list of str
        The same for all rows; an empty list takes all tags away.
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError, InputError
        The frame has no column of task ids, or the tags are empty texts or more than 5; nothing was sent.
    {raises}

    Notes
    -----
    A task that has these tags in another order is ``unchanged``. {safe} Contract 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"], "tags": ["new"]}, progress=False)
    >>> rf.set_tags(made, ["night", "rain"])["outcome"].tolist()
    ['changed']
    >>> rf.get_task(made["task_id"][0])["tags"]
    ['night', 'rain']

    >>> rf.set_tags(made, ["night", ""])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: tags is a list of texts that are not empty, not ['night', ''].
    """
    return _change_tags("set", frame, tags, task_id, dry_run=dry_run, progress=progress, client=client)


@_documented
def remove_tags(
    frame: Any,
    tags: str | Sequence[str],
    *,
    task_id: Hashable = "task_id",
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Take tags from tasks.

    Parameters
    ----------
    {frame}
    tags : str or list of str
        The same for all rows; tags that a task does not have are passed over. `rf.set_tags` with an empty list takes
        all.
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError, InputError
        The frame has no column of task ids, or a tag is empty; nothing was sent.
    {raises}

    Notes
    -----
    {safe} Contract 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"], "tags": ["new", "night"]}, progress=False)
    >>> rf.remove_tags(made, "new")["outcome"].tolist()
    ['changed']
    >>> rf.get_task(made["task_id"][0])["tags"]
    ['night']

    >>> rf.remove_tags(made, [])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: tags is a list of texts that are not empty, not [].
    """
    return _change_tags("remove", frame, tags, task_id, dry_run=dry_run, progress=progress, client=client)


@_documented
def audit(
    frame: Any,
    *,
    accepted: Hashable,
    comments: Hashable | None = None,
    task_id: Hashable = "task_id",
    journal: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Accept or reject completed tasks.

    Parameters
    ----------
    {frame}
    accepted : column, or bool
        A column of True and False, or one of them for all rows.
    comments : column or str, optional
        A column of remarks, empty where there is none; or one remark for all rows, if no column is called so.
    {journal}
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError
        A column is missing; nothing was sent.
    JournalError
        The journal cannot be used, or is another function's.
    {raises}

    Notes
    -----
    Each task is read first, and ``unchanged`` where the newest audit of yours has this result, whatever its comments;
    a task that is not completed is ``failed`` without asking. One GET a task and one POST. The service adds an audit
    with every POST, so none is sent blindly again: when its answer is lost, the task is read, and a second POST goes
    out only if the audit is not there. Only a request that the network delivers after it was given up could then
    leave two equal audits. Contract 2.3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"]}, progress=False)
    >>> _ = sandbox.complete(made["task_id"][0])
    >>> rf.audit(made, accepted=True)["outcome"].tolist()
    ['changed']
    >>> rf.get_task(made["task_id"][0])["customer_review_status"]
    'accepted'

    >>> rf.audit(made, accepted="is_good")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'is_good' with the results; ...
    """
    rows = as_pandas(frame)
    orders = orders_of(rows, task_id, audits_of(rows, accepted, comments))
    return carry_out(
        rows,
        orders,
        purpose="audit",
        dry_run=dry_run,
        progress=progress,
        client=resolve_client(client),
        journal=journal,
    )


@_documented
def resend_callbacks(
    frame: Any,
    *,
    task_id: Hashable = "task_id",
    journal: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Have the callbacks of finished tasks sent once more, each at least once.

    Parameters
    ----------
    {frame}
    {journal}
    {options}

    Returns
    -------
    {returns}

    Raises
    ------
    ColumnError
        The frame has no column of task ids; nothing was sent.
    JournalError
        The journal cannot be used, or is another function's.
    {raises}

    Notes
    -----
    At least once: a task does not show whether its callback was sent again, so a request whose answer is lost is
    repeated, and without a journal every run sends all of them; receivers tell repeats by their ``task_id``. A row
    whose request was never answered is ``unknown``, and sent again by the next run. Tasks that are pending or canceled
    are ``failed`` without asking. One POST a task, and the reading as for `cancel`. Contract 3.

    Examples
    --------
    >>> made = pd.DataFrame({"text": ["a"]}).pipe(rf.submit, type="categorization", columns={"attachment": "text"},
    ...     params={"attachment_type": "text", "categories": ["x"], "callback_url": "me@example.org"}, progress=False)
    >>> rf.resend_callbacks(made)["error_message"].tolist()
    ['the task is pending; only completed ones and errors have a callback']
    >>> _ = sandbox.complete(made["task_id"][0])
    >>> rf.resend_callbacks(made, journal="resend.journal")["outcome"].tolist()
    ['changed']

    >>> rf.resend_callbacks(made, task_id="id")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'id' with the tasks' ids; name it: task_id='…'. ...
    """
    rows = as_pandas(frame)
    orders = orders_of(rows, task_id, [ResendCallback()] * len(rows))
    return carry_out(
        rows,
        orders,
        purpose="resend_callbacks",
        dry_run=dry_run,
        progress=progress,
        client=resolve_client(client),
        journal=journal,
    )


def _change_tags(
    kind: Literal["add", "set", "remove"],
    frame: Any,
    tags: str | Sequence[str],
    task_id: Hashable,
    *,
    dry_run: bool,
    progress: bool,
    client: Client | None,
) -> pd.DataFrame:
    rows = as_pandas(frame)
    change = ChangeTags(kind, checked_tags(tags, kind))
    orders = orders_of(rows, task_id, [change] * len(rows))
    return carry_out(
        rows, orders, purpose=f"{kind}_tags", dry_run=dry_run, progress=progress, client=resolve_client(client)
    )
