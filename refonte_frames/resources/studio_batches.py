"""The batches of Studio projects: whose they are, in which order they are worked on, and how their tasks are ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import BadRequest, InputError, NotFound
from refonte_frames.resources.asking import ask, checked_name, post, with_remedy
from refonte_frames.resources.named import Named
from refonte_frames.resources.objects import extra_of, frame_of_rows, taken, taken_texts
from refonte_frames.resources.projects import get as get_project
from refonte_frames.resources.studio_calls import of_project, put
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

__all__ = ["assign_batch", "batches", "complete_tasks", "reset_priorities", "set_priorities"]

_BATCHES: Final = pa.schema(
    {
        "position": pa.int64(),
        "batch": pa.string(),
        "batch_id": pa.string(),
        "project": pa.string(),
        "project_id": pa.string(),
        "batch_type": pa.string(),
        "studio_priority": pa.int64(),
        "total": pa.int64(),
        "completed": pa.int64(),
        "groups": pa.list_(pa.string()),
        "extra_json": pa.string(),
    }
)


def batches(*, client: Client | None = None) -> pd.DataFrame:
    """List the batches of Studio projects that are not completed, in the order in which they are worked on.

    Parameters
    ----------
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per batch, with Arrow dtypes: ``position`` (from 1), ``batch``, ``batch_id``, ``project``,
        ``project_id``, ``batch_type``, ``studio_priority`` (null until it is set), ``total`` and ``completed`` (tasks),
        ``groups`` (list of names) and ``extra_json`` (whatever else the service sent).

    Raises
    ------
    ApiError, NoReplyError
        The service refused, or did not answer.

    Notes
    -----
    One request. Contract 4.5.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> rf.studio.batches()[["position", "batch", "total"]]
       position            batch  total
    0         1  kittens_2020-07      0

    >>> rf.studio.batches(client="live_0123456789")
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: client is an rf.Client, not a str.
    """
    return _batch_frame(_batches(resolve_client(client)))


def assign_batch(batch: str, groups: str | Iterable[str], *, client: Client | None = None) -> dict[str, Any]:
    """Give a batch to groups of labelers, and to no others: this sets the groups, it does not add to them.

    Parameters
    ----------
    batch : str
        Name of a batch of a Studio project.
    groups : str, or iterable of str
        Names of groups, or addresses of single people assigned to the project; an empty list takes all groups away.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The batch as Studio tells it, with ``groups``.

    Raises
    ------
    InputError
        A name cannot be right; nothing was sent.
    NotFound
        No batch has this name in the world of this key.
    BadRequest
        The batch is none of Studio's, or there is no such group.

    Notes
    -----
    One request; the same call again does no harm. Contract 4.5.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> _ = rf.batches.create("kittens_2020-07", project="kittens")
    >>> labeler = "admin@example.com"
    >>> _ = rf.studio.assign(pd.DataFrame({"email": [labeler], "project": ["kittens"]}))
    >>> rf.studio.assign_batch("kittens_2020-07", labeler)["groups"]
    ['admin@example.com']

    >>> rf.studio.assign_batch("kittens_2020-07", "night shift")
    Traceback (most recent call last):
    refonte_frames.errors.BadRequest: The service refused to give batch 'kittens_2020-07' to ['night shift']: ...
    """
    body = {"groups": Named.of(groups, kind="group").distinct}
    checked_name(batch, "batch")
    try:
        return put(resolve_client(client), "studio", "batches", batch, body=body)
    except NotFound as error:
        raise with_remedy(
            error, f"There is no batch {batch!r} for this key (test and live keys share nothing): check the name."
        ) from error
    except BadRequest as error:
        raise with_remedy(
            error,
            f"The service refused to give batch {batch!r} to {body['groups']}: {error.error or 'no reason given'}. "
            "Groups are those of rf.studio.groups(project), and people must be assigned: rf.studio.assign.",
        ) from error


def set_priorities(order: Iterable[str] | pd.DataFrame, *, client: Client | None = None) -> pd.DataFrame:
    """Say in which order the batches of Studio projects are to be worked on.

    Parameters
    ----------
    order : iterable of str, Series or DataFrame
        The names of all batches that are not completed, first things first; a frame has them in a column ``batch``.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        The batches in their new order, as of `batches`.

    Raises
    ------
    InputError
        A batch is missing, stands there twice, or is none that is waiting; nothing was changed.

    Notes
    -----
    One GET and one POST; the same call again does no harm. Contract 4.5.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> _ = rf.batches.create(pd.DataFrame({"batch": ["first", "second"], "project": "kittens"}))
    >>> rf.studio.set_priorities(["second", "first"])[["position", "batch", "studio_priority"]]
       position   batch  studio_priority
    0         1  second                1
    1         2   first                2

    >>> rf.studio.set_priorities(["second"])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: The order must name every batch that is waiting, once. Missing: 'first'...
    """
    names = Named.of(order, kind="batch").names
    client = resolve_client(client)
    _check_order(names, [str(batch.get("name")) for batch in _batches(client)])
    body = {"batches": [{"name": name} for name in names]}
    call = post("studio", "batches", "set_priorities", body=body, is_repeatable=True)
    try:
        return _batch_frame(ask(client, call, list[dict[str, Any]]))
    except BadRequest as error:
        raise with_remedy(
            error,
            f"The service refused the order: {error.error or 'no reason given'}. A batch may have come or ended "
            "meanwhile: rf.studio.batches() shows those that are waiting.",
        ) from error


def reset_priorities(*, client: Client | None = None) -> pd.DataFrame:
    """Have the batches of Studio projects worked on in the usual order: calibration first, then the oldest.

    Parameters
    ----------
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        The batches in their new order, as of `batches`.

    Raises
    ------
    ApiError, NoReplyError
        The service refused, or did not answer.

    Notes
    -----
    One request; the same call again does no harm. Contract 4.5.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> _ = rf.batches.create(pd.DataFrame({"batch": ["first", "second"], "project": "kittens"}))
    >>> _ = rf.studio.set_priorities(["second", "first"])
    >>> rf.studio.reset_priorities()["batch"].tolist()
    ['first', 'second']

    >>> rf.studio.reset_priorities(client="live_0123456789")
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: client is an rf.Client, not a str.
    """
    call = post("studio", "batches", "reset_priorities", is_repeatable=True)
    return _batch_frame(ask(resolve_client(client), call, list[dict[str, Any]]))


def complete_tasks(
    project: str,
    *,
    batches: str | Iterable[str] | None = None,
    all_batches: bool = False,
    dry_run: bool = False,
    client: Client | None = None,
) -> dict[str, Any]:
    """End the unfinished tasks of a Studio project that have at least one attempt; they are completed with it.

    Parameters
    ----------
    project : str
        Name of the project.
    batches : str, or iterable of str, optional
        Only the tasks of these batches.
    all_batches : bool
        True for all batches of the project. One of the two must be given, and not both.
    dry_run : bool
        Change nothing: only count what is unfinished.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The service's answer, with ``tasks_completed``. With `dry_run`: ``batches``, the names of those that wait among
        the ones asked for, and ``tasks_unfinished``, how many tasks of theirs could be completed at most; the service
        does not tell which of them have an attempt.

    Raises
    ------
    InputError
        Neither batches nor all of them are named, or both; nothing was sent.
    NotFound
        No project has this name in the world of this key.
    BadRequest
        The project is none of Studio's, or a batch is none of its waiting ones.

    Notes
    -----
    One request, which is not repeated when its answer is lost: it cannot be undone. A second call completes what got
    an attempt meanwhile. Contract 4.6.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> rf.studio.complete_tasks("kittens", all_batches=True, dry_run=True)
    {'batches': [], 'tasks_unfinished': 0}
    >>> rf.studio.complete_tasks("kittens", all_batches=True)
    {'result': 'success', 'tasks_completed': 0}

    >>> rf.studio.complete_tasks("kittens")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Which tasks? Name batches=[…], or pass all_batches=True for all of 'kittens'.
    """
    checked_name(project, "project")
    named = None if batches is None else Named.of(batches, kind="batch").distinct
    if all_batches not in (True, False) or (not named and not all_batches):
        raise InputError(f"Which tasks? Name batches=[…], or pass all_batches=True for all of {project!r}.")
    if named is not None and all_batches:
        raise InputError("all_batches=True would overrule batches=; pass one of the two.")
    if dry_run:
        return _unfinished(project, named, resolve_client(client))
    body = {"all_batches": True} if all_batches else {"batches": named}
    call = post("studio", "projects", project, "send_tasks_to_completed", body=body)
    return of_project(call, project, resolve_client(client), "to complete tasks")


def _unfinished(project: str, named: Sequence[str] | None, client: Client) -> dict[str, Any]:
    """Count what has not ended in a project's batches that wait, or in some of them; a project that is none is told."""
    rows = [_batch_row(at, batch) for at, batch in enumerate(_batches(client), start=1)]
    asked = [row for row in rows if row["project"] == project and (not named or row["batch"] in named)]
    if not asked:
        get_project(project, client=client)
    count = sum((row["total"] or 0) - (row["completed"] or 0) for row in asked)
    return {"batches": [row["batch"] for row in asked], "tasks_unfinished": count}


def _batches(client: Client) -> list[dict[str, Any]]:
    return ask(client, Call.get("studio", "batches"), list[dict[str, Any]])


def _check_order(names: Sequence[str], waiting: Sequence[str]) -> None:
    missing = [name for name in waiting if name not in names]
    unknown = [name for name in dict.fromkeys(names) if name not in waiting]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    faults = [
        f"{what}: {', '.join(map(repr, some))}"
        for what, some in (("Missing", missing), ("Not waiting", unknown), ("Twice", twice))
        if some
    ]
    if faults:
        raise InputError(
            f"The order must name every batch that is waiting, once. {'. '.join(faults)}. Nothing was changed; "
            "rf.studio.batches() shows those that are waiting."
        )


def _batch_frame(found: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return frame_of_rows((_batch_row(at, batch) for at, batch in enumerate(found, start=1)), _BATCHES)


def _batch_row(position: int, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Make a batch's row; what does not fit its column goes to ``extra_json`` with what has none."""
    extra = dict(batch)
    if extra.get("studioPriority", 0) is None:
        del extra["studioPriority"]
    return {
        "position": position,
        "batch": taken(extra, "name", str),
        "batch_id": taken(extra, "id", str),
        "project": taken(extra, "projectName", str),
        "project_id": taken(extra, "projectId", str),
        "batch_type": taken(extra, "batchType", str),
        "studio_priority": taken(extra, "studioPriority", int),
        "total": taken(extra, "total", int),
        "completed": taken(extra, "completed", int),
        "groups": taken_texts(extra, "groups"),
        "extra_json": extra_of(extra),
    }
