"""Who works on which Studio project: pairs of people and projects, listed, changed, brought to a desired state."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import BadRequest, ColumnError, InputError, RowErrors
from refonte_frames.frames import as_pandas
from refonte_frames.resources.asking import ask, is_sendable, post
from refonte_frames.resources.emails import check_emails, shown_cell
from refonte_frames.resources.named import Named
from refonte_frames.resources.objects import frame_of_rows
from refonte_frames.resources.whole_or_not import each_that_can
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["assign", "assignments", "sync_assignments", "unassign"]

_RESULT_COLUMNS: Final = ("outcome", "error_code", "error_message")
_ASSIGNMENTS: Final = pa.schema({"email": pa.string(), "project": pa.string()})
_UNCHANGED: Final[Mapping[str, Any]] = {"outcome": "unchanged", "error_code": None, "error_message": None}
_Pair = tuple[str, str]


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
