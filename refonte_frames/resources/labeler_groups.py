"""Groups of labelers in a Studio project: listed, made, changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import BadRequest, Conflict, InputError, NotFound
from refonte_frames.resources.asking import ask, checked_name, post, with_remedy
from refonte_frames.resources.emails import emails_of
from refonte_frames.resources.objects import extra_of, frame_of_rows, taken
from refonte_frames.resources.studio_calls import of_project, put, refused
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

__all__ = ["create_group", "groups", "update_group"]

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
        return of_project(call, project, client, f"the group {group!r}")
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
        return put(client, *path, body=body)
    except (NotFound, BadRequest) as error:
        raise refused(error, project, f"the change of group {group!r}", group=group) from error


def _groups(project: str, client: Client) -> list[dict[str, Any]]:
    call = Call.get("studio", "projects", project, "groups")
    try:
        return ask(client, call, list[dict[str, Any]])
    except (NotFound, BadRequest) as error:
        raise refused(error, project, "to list groups") from error


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
