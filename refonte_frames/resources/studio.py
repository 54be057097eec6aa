"""Studio: who works on which project, groups of labelers, the order of batches. Documented calls only (contract 4)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ApiError, BadRequest, ColumnError, Conflict, InputError, NotFound, RowErrors
from refonte_frames.frames import as_pandas
from refonte_frames.resources.asking import ask, checked_name, is_sendable, post, with_remedy
from refonte_frames.resources.emails import check_emails, emails_of, shown_cell
from refonte_frames.resources.named import Named
from refonte_frames.resources.objects import extra_of, frame_of_rows, taken, taken_texts
from refonte_frames.resources.whole_or_not import each_that_can
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


__all__ = [
    "assign",
    "assign_batch",
    "assignments",
    "batches",
    "complete_tasks",
    "create_group",
    "groups",
    "reset_priorities",
    "set_priorities",
    "sync_assignments",
    "unassign",
    "update_group",
]

_RESULT_COLUMNS: Final = ("outcome", "error_code", "error_message")
_ASSIGNMENTS: Final = pa.schema({"email": pa.string(), "project": pa.string()})
_GROUPS: Final = pa.schema(
    {
        "project": pa.string(),
        "group": pa.string(),
        "group_id": pa.string(),
        "num_workers": pa.int64(),
        "is_singleton": pa.bool_(),
        "emails": pa.list_(pa.string()),
        "extra_json": pa.string(),
    }
)
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
_Pair = tuple[str, str]


# who works on which project


def assignments(*, unassigned: bool = False, client: Client | None = None) -> pd.DataFrame:
    """List who is assigned to which Studio project.

    Parameters
    ----------
    unassigned : bool
        True has a row with a null project for everybody who has none.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per person and project, with Arrow dtypes: ``email``, ``project``. Invited and disabled people are not
        among them.

    Raises
    ------
    ApiError, NoReplyError
        The service refused, or did not answer.

    Notes
    -----
    One request. Contract 4.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> _ = rf.studio.assign(pd.DataFrame({"email": ["admin@example.com"], "project": ["kittens"]}))
    >>> rf.studio.assignments()
                   email  project
    0  admin@example.com  kittens

    >>> rf.studio.assignments(client="live_0123456789")
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: client is an rf.Client, not a str.
    """
    found = _assigned(resolve_client(client))
    nobody = [None] if unassigned else []
    rows = [{"email": email, "project": project} for email, projects in found.items() for project in projects or nobody]
    return frame_of_rows(rows, _ASSIGNMENTS)


def assign(frame: Any, *, dry_run: bool = False, client: Client | None = None) -> pd.DataFrame:
    """Assign people to Studio projects; what they have already stays.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table
        Or anything with ``__arrow_c_stream__``: one row per person and project, in the columns ``email`` and
        ``project``. A pair may repeat.
    dry_run : bool
        Change nothing: only show what would be changed.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        The rows of `frame`, in their order, with their index and columns, followed by ``outcome`` (``changed``,
        ``unchanged``: it was so already, ``failed``), ``error_code`` and ``error_message``. Columns of these names
        make way.

    Raises
    ------
    ColumnError
        The frame lacks one of the columns; nothing was sent.
    RowErrors
        Some cells are empty or no addresses, all of them are named; nothing was sent.

    Notes
    -----
    One GET, and one POST for a hundred people who need the same projects, more where some of them are refused: the
    service takes a request whole or not at all, and refuses people who are not active and projects that are not
    Studio's. The same call again does no harm. Contract 4.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> pairs = pd.DataFrame({"email": ["admin@example.com", "ann@example.org"], "project": "kittens"})
    >>> rf.studio.assign(pairs)[["email", "outcome", "error_code"]]
                   email  outcome   error_code
    0  admin@example.com  changed         None
    1    ann@example.org   failed  bad_request

    >>> rf.studio.assign(pd.DataFrame({"email": ["ann@example.org"]}))
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'project'; it has 'email'.
    """
    return _change(frame, "add", dry_run=dry_run, client=resolve_client(client))


def unassign(frame: Any, *, dry_run: bool = False, client: Client | None = None) -> pd.DataFrame:
    """Take Studio projects from people.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table
        As for `assign`.
    dry_run : bool
        Change nothing: only show what would be changed.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        As of `assign`; ``unchanged`` were not assigned.

    Raises
    ------
    ColumnError, RowErrors
        As for `assign`.

    Notes
    -----
    As for `assign`. Contract 4.2.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> pairs = pd.DataFrame({"email": ["admin@example.com"], "project": ["kittens"]})
    >>> _ = rf.studio.assign(pairs)
    >>> rf.studio.unassign(pairs)["outcome"].tolist(), rf.studio.unassign(pairs)["outcome"].tolist()
    (['changed'], ['unchanged'])

    >>> rf.studio.unassign(pd.DataFrame({"email": ["ann"], "project": ["kittens"]}))
    Traceback (most recent call last):
    refonte_frames.errors.RowErrors: Row 0: 'ann' is no e-mail address; nothing was sent...
    """
    return _change(frame, "remove", dry_run=dry_run, client=resolve_client(client))


def sync_assignments(
    frame: Any,
    *,
    projects: Iterable[str] | None = None,
    dry_run: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Make the assignments what a frame says they are: assign what is missing, take away what is not in it.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table
        Or anything with ``__arrow_c_stream__``: one row per person and project, in the columns ``email`` and
        ``project``; the whole of what shall be. A pair may repeat.
    projects : iterable of str, optional
        Leave all other projects as they are. Default: the frame speaks for all projects.
    dry_run : bool
        True, as it is if you say nothing, changes nothing and shows the difference.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per pair that is or shall be: ``email``, ``project``, ``action`` (``assign | unassign | keep``),
        ``outcome`` (``changed``, or would be; ``unchanged``; ``failed``), ``error_code``, ``error_message``. First
        the frame's pairs in its order, then those to be taken away.

    Raises
    ------
    ColumnError, RowErrors
        As for `assign`.
    InputError
        The frame has a project that is not among `projects`; nothing was sent.

    Notes
    -----
    Requests as for `assign`. Assigns first, so that nobody is without work in between; the same call again does no
    harm. Contract 4.2.

    Examples
    --------
    >>> for name in ("kittens", "puppies"):
    ...     _ = rf.projects.create(name, type="imageannotation", studio=True)
    >>> ada = "admin@example.com"
    >>> _ = rf.studio.assign(pd.DataFrame({"email": [ada], "project": ["kittens"]}))
    >>> wanted = pd.DataFrame({"email": [ada], "project": ["puppies"]})
    >>> rf.studio.sync_assignments(wanted)[["project", "action", "outcome"]]
       project    action  outcome
    0  puppies    assign  changed
    1  kittens  unassign  changed
    >>> _ = rf.studio.sync_assignments(wanted, dry_run=False)
    >>> rf.studio.assignments()["project"].tolist()
    ['puppies']

    >>> rf.studio.sync_assignments(wanted, projects=["kittens"])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: The frame assigns to 'puppies', which is not among projects=['kittens']...
    """
    wanted = dict.fromkeys(_Pairs.of(frame).pairs)
    named = None if projects is None else Named.of(projects, kind="project").distinct
    outside = [project for _, project in wanted if named is not None and project not in named]
    if outside:
        raise InputError(
            f"The frame assigns to {outside[0]!r}, which is not among projects={named!r}; nothing was sent. "
            "Name it there, or take its rows out."
        )
    client = resolve_client(client)
    present = _present(client)
    surplus = [pair for pair in present if pair not in wanted and (named is None or pair[1] in named)]
    missing = [pair for pair in wanted if pair not in present]
    results = _sent("add", missing, dry_run=dry_run, client=client)
    results |= _sent("remove", surplus, dry_run=dry_run, client=client)
    rows = [
        {
            "email": pair[0],
            "project": pair[1],
            "action": "keep" if pair not in results else "assign" if pair in wanted else "unassign",
            **results.get(pair, _UNCHANGED),
        }
        for pair in [*wanted, *surplus]
    ]
    return pd.DataFrame(rows, columns=["email", "project", "action", *_RESULT_COLUMNS], dtype=object)


# groups


def groups(project: str, *, client: Client | None = None) -> pd.DataFrame:
    """List the labeler groups of a Studio project.

    Parameters
    ----------
    project : str
        Name of the project.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per group, with Arrow dtypes: ``project``, ``group``, ``group_id``, ``num_workers``, ``is_singleton``
        (made of one person's address), ``emails`` (list; null where the service does not tell) and ``extra_json``
        (whatever else the service sent). ``.explode("emails")`` has one row per person.

    Raises
    ------
    NotFound
        No project has this name in the world of this key.
    BadRequest
        The project is none of Studio's.

    Notes
    -----
    One request. Contract 4.3.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> labeler = "admin@example.com"
    >>> _ = rf.studio.assign(pd.DataFrame({"email": [labeler], "project": ["kittens"]}))
    >>> _ = rf.studio.create_group("kittens", "night shift", labeler)
    >>> rf.studio.groups("kittens")[["group", "num_workers", "is_singleton"]]
             group  num_workers  is_singleton
    0  night shift            1         False

    >>> rf.studio.groups("puppies")
    Traceback (most recent call last):
    refonte_frames.errors.NotFound: There is no project 'puppies' for this key...
    """
    found = _groups(checked_name(project, "project"), resolve_client(client))
    return frame_of_rows((_group_row(project, group) for group in found), _GROUPS)


def create_group(
    project: str,
    group: str,
    emails: str | Iterable[str] | pd.DataFrame,
    *,
    exist_ok: bool = False,
    client: Client | None = None,
) -> dict[str, Any]:
    """Make a group of labelers, to whom batches of a Studio project can be given together.

    Parameters
    ----------
    project : str
        Name of the project.
    group : str
        Name of the group; it may hold any character.
    emails : str, iterable of str, Series or DataFrame
        Its members, who must be assigned to the project (`assign`); a frame has them in a column ``email``.
    exist_ok : bool
        True returns the group that has this name already, if it has the same members.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The group as the service tells it: ``id``, ``name``, ``numWorkers``, ``isSingleton``, ``workers``.

    Raises
    ------
    InputError
        The name or an address cannot be right; nothing was sent.
    NotFound
        No project has this name in the world of this key.
    BadRequest
        The project is none of Studio's, or somebody is not assigned to it.
    Conflict
        The name is taken (with `exist_ok`: by a group of other people).

    Notes
    -----
    One request; one more when the name is taken and `exist_ok` is set. Contract 4.3.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> labeler = "admin@example.com"
    >>> _ = rf.studio.assign(pd.DataFrame({"email": [labeler], "project": ["kittens"]}))
    >>> rf.studio.create_group("kittens", "night shift", labeler)["numWorkers"]
    1

    >>> rf.studio.create_group("kittens", "day shift", "ann@example.org")
    Traceback (most recent call last):
    refonte_frames.errors.BadRequest: The service refused the group 'day shift' ...
    """
    checked_name(project, "project")
    body = {"name": checked_name(group, "group"), "emails": emails_of(emails).distinct}
    client = resolve_client(client)
    call = post("studio", "projects", project, "groups", body=body, is_repeatable=exist_ok)
    try:
        return _of_project(call, project, client, f"the group {group!r}")
    except Conflict as error:
        if not exist_ok:
            raise with_remedy(
                error,
                f"There is a group {group!r} in {project!r} already: pass exist_ok=True to use it, or change it with "
                "rf.studio.update_group.",
            ) from error
        return _same_members(project, body, error, client)


def update_group(
    project: str,
    group: str,
    *,
    add: str | Iterable[str] | pd.DataFrame = (),
    remove: str | Iterable[str] | pd.DataFrame = (),
    client: Client | None = None,
) -> dict[str, Any]:
    """Add people to a group, and take others out of it.

    Parameters
    ----------
    project, group : str
        Names of the project and of the group in it.
    add, remove : str, iterable of str, Series or DataFrame
        Addresses; a frame has them in a column ``email``. Who is added must be assigned to the project (`assign`).
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The group as it is now.

    Raises
    ------
    InputError
        There is nobody to add or remove, or somebody is in both; nothing was sent.
    NotFound
        There is no such project or group.
    BadRequest
        The project is none of Studio's, or somebody is not assigned to it.

    Notes
    -----
    One request; the same call again does no harm. Contract 4.3.

    Examples
    --------
    >>> _ = rf.projects.create("kittens", type="imageannotation", studio=True)
    >>> labeler = "admin@example.com"
    >>> _ = rf.studio.assign(pd.DataFrame({"email": [labeler], "project": ["kittens"]}))
    >>> _ = rf.studio.create_group("kittens", "night shift", labeler)
    >>> rf.studio.update_group("kittens", "night shift", remove=labeler)["numWorkers"]
    0

    >>> rf.studio.update_group("kittens", "night shift")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Nobody to add and nobody to remove: pass add= or remove=.
    """
    added, removed = emails_of(add).distinct, emails_of(remove).distinct
    both = [email for email in added if email in removed]
    if not added and not removed:
        raise InputError("Nobody to add and nobody to remove: pass add= or remove=.")
    if both:
        raise InputError(f"{both[0]} is to be added and removed; nothing was sent.")
    body = {key: emails for key, emails in (("add_emails", added), ("remove_emails", removed)) if emails}
    path = ("studio", "projects", checked_name(project, "project"), "groups", checked_name(group, "group"))
    client = resolve_client(client)
    try:
        return _put(client, *path, body=body)
    except (NotFound, BadRequest) as error:
        raise _refused(error, project, f"the change of group {group!r}", group=group) from error


# batches


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
        return _put(resolve_client(client), "studio", "batches", batch, body=body)
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
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    dict
        The service's answer, with ``tasks_completed``.

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
    if named and all_batches:
        raise InputError("all_batches=True would overrule batches=; pass one of the two.")
    body = {"all_batches": True} if all_batches else {"batches": named}
    call = post("studio", "projects", project, "send_tasks_to_completed", body=body)
    return _of_project(call, project, resolve_client(client), "to complete tasks")


# pairs of people and projects

_UNCHANGED: Final[Mapping[str, Any]] = {"outcome": "unchanged", "error_code": None, "error_message": None}


@dataclass(frozen=True, slots=True)
class _Pairs:
    """People and projects as a caller gave them, and the frame they came in."""

    pairs: tuple[_Pair, ...]
    frame: pd.DataFrame

    @classmethod
    def of(cls, given: Any) -> _Pairs:
        frame = as_pandas(given)
        for name in ("email", "project"):
            if (count := frame.columns.tolist().count(name)) != 1:
                has = ", ".join(map(repr, frame.columns)) or "no columns"
                raise ColumnError(f"The frame has {count or 'no'} column{'s' * (count > 1)} {name!r}; it has {has}.")
        emails, projects = frame["email"].tolist(), frame["project"].tolist()
        check_emails(emails)
        bad = [
            (at, "bad_project", f"{shown_cell(name)} is no name of a project")
            for at, name in enumerate(projects)
            if not isinstance(name, str) or not name.strip() or not is_sendable(name)
        ]
        if bad:
            raise RowErrors(f"Row {bad[0][0]}: {bad[0][2]}; nothing was sent. The error's .rows lists all.", bad)
        return cls(tuple(zip(emails, projects, strict=True)), frame)

    def beside(self, results: Mapping[_Pair, Mapping[str, Any]]) -> pd.DataFrame:
        """Put the results behind the rows; columns of the caller's of these names make way."""
        kept = self.frame.drop(columns=list(_RESULT_COLUMNS), errors="ignore")
        cells = {
            name: pd.Series([results[pair][name] for pair in self.pairs], index=kept.index, dtype=object)
            for name in _RESULT_COLUMNS
        }
        return kept.assign(**cells)


def _assigned(client: Client) -> dict[str, list[str]]:
    return ask(client, Call.get("studio", "assignments"), dict[str, list[str]])


def _present(client: Client) -> dict[_Pair, None]:
    return {(email, project): None for email, projects in _assigned(client).items() for project in projects}


def _change(frame: Any, action: str, *, dry_run: bool, client: Client) -> pd.DataFrame:
    wanted = _Pairs.of(frame)
    present = _present(client)
    needed = [pair for pair in dict.fromkeys(wanted.pairs) if (pair in present) == (action == "remove")]
    results = dict.fromkeys(wanted.pairs, _UNCHANGED) | _sent(action, needed, dry_run=dry_run, client=client)
    return wanted.beside(results)


def _sent(action: str, pairs: Sequence[_Pair], *, dry_run: bool, client: Client) -> dict[_Pair, Mapping[str, Any]]:
    """Send people who need the same projects together, and tell what became of each pair."""
    by_email: dict[str, list[str]] = defaultdict(list)
    for email, project in pairs:
        by_email[email].append(project)
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for email, projects in by_email.items():
        together[tuple(projects)].append(email)
    refusals: dict[_Pair, BadRequest | None] = dict.fromkeys(pairs) if dry_run else {}
    for needed, emails in () if dry_run else together.items():
        refusals |= _sent_to_all(action, emails, needed, client)
    return {pair: _result(action, error) for pair, error in refusals.items()}


def _sent_to_all(
    action: str, emails: Sequence[str], projects: Sequence[str], client: Client
) -> dict[_Pair, BadRequest | None]:
    def send(some: Sequence[str], these: Sequence[str] = projects) -> None:
        body = {"emails": some, "projects": these}
        client.send(post("studio", "assignments", action, body=body, is_repeatable=True))

    refusals: dict[_Pair, BadRequest | None] = {}
    for email, error in each_that_can(emails, send).items():
        if error is None or len(projects) == 1:
            refusals |= {(email, project): error for project in projects}
        else:
            each = each_that_can(projects, lambda these, email=email: send([email], these))  # type: ignore[misc]
            refusals |= {(email, project): why for project, why in each.items()}
    return refusals


def _result(action: str, error: BadRequest | None) -> Mapping[str, Any]:
    if error is None:
        return {"outcome": "changed", "error_code": None, "error_message": None}
    verb = "assign" if action == "add" else "unassign"
    message = (
        f"The service refused to {verb}: {error.error or 'no reason given'}. People must be active members "
        "(rf.teams.list()), and projects those of Studio (rf.projects.list())"
    )
    return {"outcome": "failed", "error_code": "bad_request", "error_message": message}


# what groups and batches share


def _groups(project: str, client: Client) -> list[dict[str, Any]]:
    call = Call.get("studio", "projects", project, "groups")
    try:
        return ask(client, call, list[dict[str, Any]])
    except (NotFound, BadRequest) as error:
        raise _refused(error, project, "to list groups") from error


def _of_project(call: Call, project: str, client: Client, what: str, *, group: str | None = None) -> dict[str, Any]:
    """Ask about a project of Studio; a refusal says what was wanted and where to look."""
    try:
        return ask(client, call, dict[str, Any])
    except (NotFound, BadRequest) as error:
        raise _refused(error, project, what, group=group) from error


def _put(client: Client, *path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send a change by PUT, as the documentation's samples do, and by POST, as its headings say, where PUT is none."""
    call = post(*path, body=body, is_repeatable=True)
    try:
        return ask(client, replace(call, method="PUT"), dict[str, Any])
    except ApiError as error:
        if error.status_code != 405:
            raise
        return ask(client, call, dict[str, Any])


def _refused(error: ApiError, project: str, what: str, *, group: str | None = None) -> ApiError:
    if isinstance(error, NotFound):
        inside = f" or no group {group!r} in it" if group is not None else ""
        return with_remedy(
            error,
            f"There is no project {project!r} for this key{inside} (test and live keys share nothing): "
            f"rf.projects.list() shows projects{f', rf.studio.groups({project!r}) groups' if inside else ''}.",
        )
    return with_remedy(
        error,
        f"The service refused {what} in project {project!r}: {error.error or 'no reason given'}. Only Studio projects "
        "have groups and assignments, and members must be assigned first: rf.studio.assign.",
    )


def _same_members(project: str, wanted: Mapping[str, Any], error: Conflict, client: Client) -> dict[str, Any]:
    """Accept a group that exists, if its members are those that are wanted."""
    present = next((group for group in _groups(project, client) if group.get("name") == wanted["name"]), None)
    if present is None or set(_members(present) or ()) != set(wanted["emails"]):
        raise with_remedy(
            error,
            f"There is a group {wanted['name']!r} in {project!r} already, of other people: change it with "
            "rf.studio.update_group, or take another name.",
        ) from error
    return present


def _members(group: Mapping[str, Any]) -> list[str] | None:
    workers = group.get("workers")
    if not isinstance(workers, list):
        return None
    return [worker["email"] for worker in workers if isinstance(worker, dict) and isinstance(worker.get("email"), str)]


def _group_row(project: str, group: Mapping[str, Any]) -> dict[str, Any]:
    extra = {key: value for key, value in group.items() if key != "workers" or _members(group) is None}
    return {
        "project": project,
        "group": taken(extra, "name", str),
        "group_id": taken(extra, "id", str),
        "num_workers": taken(extra, "numWorkers", int),
        "is_singleton": taken(extra, "isSingleton", bool),
        "emails": _members(group),
        "extra_json": extra_of(extra),
    }


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
