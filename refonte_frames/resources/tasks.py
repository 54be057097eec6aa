"""Changes of many tasks from a frame: one short function per documented call, the frame in and the outcomes out."""

from __future__ import annotations

import datetime as dt
import difflib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

import msgspec
import numpy as np

from refonte_frames.api import AUDIT_RESULTS, MAX_TAGS
from refonte_frames.cells import ABSENT, CellError, Column, json_column, own_id
from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ColumnError, InputError
from refonte_frames.frames import as_pandas
from refonte_frames.resources.changes import Change, Refused, carry_out, column_of, is_same, orders_of
from refonte_frames.transport.calls import Call, path_of

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
    orders = orders_of(rows, task_id, [_Cancel(clear_unique_id)] * len(rows))
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
    ColumnError
        A column is missing; nothing was sent.
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
    orders = orders_of(rows, task_id, _metadata_changes(rows, _mapped(rows, columns)))
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
    orders = orders_of(rows, task_id, _id_changes(rows, column, task_id))
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
    orders = orders_of(rows, task_id, [_ClearUniqueId()] * len(rows))
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
    orders = orders_of(rows, task_id, _audits(rows, accepted, comments))
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
    orders = orders_of(rows, task_id, [_ResendCallback()] * len(rows))
    return carry_out(
        rows,
        orders,
        purpose="resend_callbacks",
        dry_run=dry_run,
        progress=progress,
        client=resolve_client(client),
        journal=journal,
    )


@dataclass(frozen=True, slots=True)
class _Cancel:
    clear_unique_id: bool
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        status, unique_id = task.get("status"), task.get("unique_id")
        if status not in ("pending", "canceled"):
            return Refused("not_pending", f"the task is {status}; only pending ones can be canceled")
        if self.clear_unique_id and unique_id is not None:
            return {"status": status, "unique_id": unique_id}, {"status": "canceled"}
        return (status, "canceled") if status == "pending" else None

    def call(self, task_id: str) -> Call:
        query = (("clear_unique_id", "true"),) if self.clear_unique_id else ()
        return Call("POST", path_of("task", task_id, "cancel"), query, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class _SetMetadata:
    metadata: dict[str, Any]
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | None:
        present = task.get("metadata") or {}
        return None if is_same(present, self.metadata) else (present, self.metadata)

    def call(self, task_id: str) -> Call:
        body = msgspec.json.encode(self.metadata)
        return Call("POST", path_of("task", task_id, "setMetadata"), body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class _SetUniqueId:
    unique_id: str
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | None:
        present = task.get("unique_id")
        return None if present == self.unique_id else (present, self.unique_id)

    def call(self, task_id: str) -> Call:
        body = msgspec.json.encode({"unique_id": self.unique_id})
        return Call("POST", path_of("task", task_id, "unique_id"), body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class _ClearUniqueId:
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | None:
        present = task.get("unique_id")
        return None if present is None else (present, None)

    def call(self, task_id: str) -> Call:
        return Call("DELETE", path_of("task", task_id, "unique_id"))


@dataclass(frozen=True, slots=True)
class _ChangeTags:
    kind: Literal["add", "set", "remove"]
    tags: tuple[str, ...]
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        present = list(task.get("tags") or [])
        wanted = self._applied(present)
        if set(wanted) == set(present):
            return None
        if len(wanted) > MAX_TAGS:
            return Refused("too_many_tags", f"the task would have {len(wanted)} tags; at most {MAX_TAGS} are allowed")
        return present, wanted

    def _applied(self, present: list[str]) -> list[str]:
        if self.kind == "remove":
            return [tag for tag in present if tag not in self.tags]
        kept = present if self.kind == "add" else []
        return list(dict.fromkeys([*kept, *self.tags]))

    def call(self, task_id: str) -> Call:
        # Three headings of the documentation say POST; its samples tell the three apart by their verbs.
        method = {"add": "PUT", "set": "POST", "remove": "DELETE"}[self.kind]
        body = msgspec.json.encode(self.tags)
        return Call(method, path_of("task", task_id, "tags"), body=body, is_repeatable=True)


@dataclass(frozen=True, slots=True)
class _Audit:
    accepted: bool
    comments: str | None
    is_visible: ClassVar[bool] = True

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused | None:
        if task.get("status") != "completed":
            return Refused("not_completed", f"the task is {task.get('status')}; only completed ones can be audited")
        present, wanted = _own_result(task), "accepted" if self.accepted else "rejected"
        return None if present == wanted else (present, wanted)

    def call(self, task_id: str) -> Call:
        comments = {} if self.comments is None else {"comments": self.comments}
        body = msgspec.json.encode({"accepted": self.accepted, **comments})
        return Call("POST", path_of("task", task_id, "audit"), body=body)


@dataclass(frozen=True, slots=True)
class _ResendCallback:
    is_visible: ClassVar[bool] = False

    def difference(self, task: Mapping[str, Any]) -> tuple[Any, Any] | Refused:
        status = task.get("status")
        if status not in ("completed", "error"):
            return Refused("not_ended", f"the task is {status}; only completed ones and errors have a callback")
        was_taken = task.get("callback_succeeded", task.get("callback_completed"))
        return {"callback_succeeded": was_taken}, "sent again"

    def call(self, task_id: str) -> Call:
        return Call("POST", path_of("task", task_id, "send-callback"), is_repeatable=True)


def _own_result(task: Mapping[str, Any]) -> str | None:
    """Take the result of the customer's newest audit; the order of audits is not documented."""
    audits = [audit for audit in task.get("audits") or [] if audit.get("audit_source") == "customer"]
    if not audits:
        status = task.get("customer_review_status")
        return status if status in AUDIT_RESULTS else None
    newest = max(audits, key=lambda audit: _moment(audit.get("audited_at")))
    return str(newest.get("audit_result"))


def _moment(text: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _mapped(rows: pd.DataFrame, columns: Sequence[Hashable] | Mapping[str, Hashable]) -> dict[str, Hashable]:
    """Say which column feeds which key.

    Raises
    ------
    ColumnError
        The mapping is the wrong way round.
    """
    if not hasattr(columns, "items"):
        return {str(column): column for column in ([columns] if isinstance(columns, str) else columns)}
    mapped = dict(columns.items())
    present = rows.columns.tolist()
    if mapped and not any(column in present for column in mapped.values()) and all(key in present for key in mapped):
        mended = {str(column): key for key, column in mapped.items()}
        raise ColumnError(f"columns maps key to column; it is the wrong way round. Write columns={mended!r}.")
    return mapped


def _metadata_changes(rows: pd.DataFrame, mapped: Mapping[str, Hashable]) -> list[Change | Refused]:
    metadata: list[dict[str, Any]] = [{} for _ in range(len(rows))]
    errors: dict[int, Refused] = {}
    for key, column in mapped.items():
        converted = _converted(rows, column, "metadata", "columns=[…]")
        for at, value in enumerate(converted.values):
            if value is not ABSENT:
                metadata[at][key] = value
        for at, error in converted.errors.items():
            errors.setdefault(at, _cell_error(column, error))
    return [errors.get(at) or _SetMetadata(values) for at, values in enumerate(metadata)]


def _id_changes(rows: pd.DataFrame, column: Hashable, task_id: Hashable) -> list[Change | Refused]:
    converted = _converted(rows, column, "the new ids", "column='…'")
    ids = [_own_id(converted, at, column) for at in range(len(rows))]
    holders: dict[str, set[Any]] = defaultdict(set)
    for text, holder in zip(ids, column_of(rows, task_id, "the tasks' ids", "task_id='…'").tolist(), strict=True):
        if isinstance(text, str) and isinstance(holder, str):
            holders[text].add(holder)
    return [_id_change(text, holders) for text in ids]


def _id_change(text: str | Refused, holders: Mapping[str, set[Any]]) -> Change | Refused:
    if isinstance(text, Refused):
        return text
    if len(holders.get(text, ())) > 1:
        return Refused("duplicate_unique_id", f"the id {text!r} stands beside {len(holders[text])} tasks of the frame")
    return _SetUniqueId(text)


def _own_id(converted: Column, at: int, column: Hashable) -> str | Refused:
    value = converted.values[at]
    if at in converted.errors:
        return _cell_error(column, converted.errors[at])
    if value is ABSENT:
        return Refused("null_unique_id", f"the cell in {column!r} is empty; rf.clear_unique_ids takes ids away")
    try:
        return own_id(value, column, has_broken_integers=converted.holds_broken_integers)
    except CellError as error:
        return Refused(error.code, str(error))


def _audits(rows: pd.DataFrame, accepted: Hashable, comments: Hashable | None) -> list[Change | Refused]:
    remarks = _remarks(rows, comments)
    if isinstance(accepted, bool | np.bool_):
        results = Column([bool(accepted)] * len(rows))
    else:
        results = _converted(rows, accepted, "the results", "accepted='…'")
    return [_audit(results, remarks, at, accepted) for at in range(len(rows))]


def _audit(results: Column, remarks: Column, at: int, column: Hashable) -> Change | Refused:
    result, remark = results.values[at], remarks.values[at]
    if at in remarks.errors:
        return Refused(remarks.errors[at].code, f"comments: {remarks.errors[at]}")
    if not isinstance(result, bool):
        shown = "empty" if result is ABSENT else repr(result)
        return Refused("bad_accepted", f"the cell in {column!r} is {shown}; it is to be True or False")
    if remark is not ABSENT and not isinstance(remark, str):
        return Refused("bad_comments", f"a comment is text, not {remark!r}")
    return _Audit(result, None if remark is ABSENT else remark or None)


def _remarks(rows: pd.DataFrame, comments: Hashable | None) -> Column:
    """Take the comments from a column, or the same one for all rows.

    Raises
    ------
    ColumnError
        It is no column, but looks like the misspelt name of one.
    """
    names = rows.columns.tolist()
    if comments is None:
        return Column([ABSENT] * len(rows))
    if comments in names:
        return _converted(rows, comments, "the comments", "comments='…'")
    near = difflib.get_close_matches(str(comments), [str(name) for name in names], n=1, cutoff=0.75)
    if near or not isinstance(comments, str):
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(map(repr, names)) or 'no columns'}."
        raise ColumnError(f"The frame has no column {comments!r} with the comments; {hint}")
    return Column([comments] * len(rows))


def _converted(rows: pd.DataFrame, column: Hashable, meaning: str, option: str) -> Column:
    return json_column(column_of(rows, column, meaning, option))


def _cell_error(column: Hashable, error: CellError) -> Refused:
    return Refused(error.code, f"column {column!r}: {error}")


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
    change = _ChangeTags(kind, _checked_tags(tags, kind))
    orders = orders_of(rows, task_id, [change] * len(rows))
    return carry_out(
        rows, orders, purpose=f"{kind}_tags", dry_run=dry_run, progress=progress, client=resolve_client(client)
    )


def _checked_tags(given: str | Sequence[str], kind: str) -> tuple[str, ...]:
    """Take tags as distinct texts.

    Raises
    ------
    InputError
        One is empty or no text, there are none, or more than a task can have.
    """
    tags = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
    if not all(isinstance(tag, str) and tag for tag in tags) or not (tags or kind == "set"):
        raise InputError(f"tags is a list of texts that are not empty, not {given!r}.")
    if kind != "remove" and len(tags) > MAX_TAGS:
        raise InputError(f"A task has at most {MAX_TAGS} tags, not {len(tags)}: {', '.join(tags)}.")
    return tags
