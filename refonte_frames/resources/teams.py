"""The team: who is in it, inviting people, setting their roles. Documented calls only (contract 4.1)."""

from __future__ import annotations

import builtins
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames.api import TEAM_ROLES
from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import InputError
from refonte_frames.resources.asking import ask, post
from refonte_frames.resources.emails import emails_of
from refonte_frames.resources.objects import extra_of, frame_of_rows, taken, taken_stamp
from refonte_frames.resources.whole_or_not import each_that_can
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from refonte_frames.resources.named import Named

__all__ = ["invite", "list", "set_roles"]

_RESULT_COLUMNS: Final = ("outcome", "error_code", "error_message")
_DRY_COLUMNS: Final = (*_RESULT_COLUMNS, "before", "after")
#: The columns of `list`.
_SCHEMA: Final = pa.schema(
    {
        "email": pa.string(),
        "role": pa.string(),
        "is_studio_labeler": pa.bool_(),
        "first_name": pa.string(),
        "last_name": pa.string(),
        "company": pa.string(),
        "disable_rapid_emails": pa.bool_(),
        "expiry": pa.timestamp("us", tz="UTC"),
        "extra_json": pa.string(),
    }
)
_LAG: Final = "the service's list may lag some twenty seconds behind"


def list(*, client: Client | None = None) -> pd.DataFrame:  # noqa: A001 - rf.teams.list
    """List the members of the team as a frame, those who are invited or disabled among them.

    Parameters
    ----------
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per person, in the service's order, with Arrow dtypes: ``email``, ``role`` (``admin | manager | member
        | labeler | invited | disabled``), ``is_studio_labeler``, ``first_name``, ``last_name``, ``company``,
        ``disable_rapid_emails``, ``expiry`` (of an invitation, UTC) and ``extra_json`` (whatever else the service
        sent).

    Raises
    ------
    ApiError, NoReplyError
        The service refused, or did not answer.

    Notes
    -----
    One request; the service does not page this list, and it may lag behind changes by some twenty seconds.
    Contract 4.1.

    Examples
    --------
    >>> rf.teams.list().query("role == 'admin'")[["email", "is_studio_labeler"]]
                   email  is_studio_labeler
    0  admin@example.com              False

    >>> rf.teams.list(client="live_0123456789")
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: client is an rf.Client, not a str.
    """
    return frame_of_rows(map(_row, _members(resolve_client(client))), _SCHEMA)


def invite(
    emails: str | Iterable[str] | pd.DataFrame,
    role: str | None = None,
    *,
    dry_run: bool = False,
    client: Client | None = None,
) -> pd.DataFrame:
    """Invite people to the team; those who are there already, in whatever role, are left as they are.

    Parameters
    ----------
    emails : str, iterable of str, Series or DataFrame
        Addresses; a frame has them in a column ``email``, and may have a column ``role``. An address may repeat.
    role : {"labeler", "member", "manager"}, optional
        For all of them; labelers are Studio labelers. Default: the frame's column ``role``.
    dry_run : bool
        Change nothing: only look who is there already.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per address given (a Series' or frame's index and columns are kept), followed by ``outcome``
        (``changed``: invited, ``unchanged``: there already, ``failed``), ``error_code`` and ``error_message``; with
        `dry_run` also ``before`` and ``after``, the roles. Columns of these names make way.

    Raises
    ------
    RowErrors
        Some are no addresses, all of them are named; nothing was sent.
    InputError
        A role is none that can be given, or one address has two; nothing was sent.

    Notes
    -----
    One GET, and one POST for a hundred people of a role, more where some of them are refused. The same call again does
    no harm. Contract 4.1.

    Examples
    --------
    >>> rf.teams.invite(["ann@example.org", "bob@example.org"], "labeler")
                 email  outcome error_code error_message
    0  ann@example.org  changed       None          None
    1  bob@example.org  changed       None          None

    >>> rf.teams.invite("ann@example.org", "admin")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: A role that can be given is one of labeler, member, manager, not 'admin'.
    """
    named = emails_of(emails)
    roles = _roles(named, role)
    client = resolve_client(client)
    present = _present(client)
    results: dict[str, dict[str, Any]] = {
        email: {"outcome": "unchanged", "before": present[email], "after": present[email]}
        for email in roles
        if email in present
    }
    to_send = {email: wanted for email, wanted in roles.items() if email not in present}
    results |= _sent(to_send, "invite", {}, dry_run=dry_run, client=client)
    return named.beside(results, _DRY_COLUMNS if dry_run else _RESULT_COLUMNS)


def set_roles(
    emails: str | Iterable[str] | pd.DataFrame,
    role: str | None = None,
    *,
    dry_run: bool = False,
    client: Client | None = None,
) -> pd.DataFrame:
    """Give people of the team another role; a disabled member is enabled by it.

    Parameters
    ----------
    emails : str, iterable of str, Series or DataFrame
        Addresses; a frame has them in a column ``email``, and may have a column ``role``. An address may repeat.
    role : {"labeler", "member", "manager"}, optional
        For all of them. Default: the frame's column ``role``.
    dry_run : bool
        Change nothing: show in ``before`` and ``after`` what would be changed.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per address given (a Series' or frame's index and columns are kept), followed by ``outcome``
        (``changed | unchanged | failed``), ``error_code`` (``not_in_team``, ``is_invited``, ``is_admin``,
        ``bad_request``) and ``error_message``; with `dry_run` also ``before`` and ``after``, the roles. Columns of
        these names make way.

    Raises
    ------
    RowErrors
        Some are no addresses, all of them are named; nothing was sent.
    InputError
        A role is none that can be given, or one address has two; nothing was sent.

    Notes
    -----
    One GET, and one POST for a hundred people of a role, more where some of them are refused: the service takes all
    people of a request or none. Whoever has the role is not asked for. Contract 4.1.

    Examples
    --------
    >>> _ = rf.teams.invite("ann@example.org", "labeler")
    >>> rf.teams.set_roles(["ann@example.org", "admin@example.com"], "member")[["outcome", "error_code"]]
      outcome  error_code
    0  failed  is_invited
    1  failed    is_admin

    >>> rf.teams.set_roles("ann", "member")
    Traceback (most recent call last):
    refonte_frames.errors.RowErrors: Row 0: 'ann' is no e-mail address; nothing was sent...
    """
    named = emails_of(emails)
    roles = _roles(named, role)
    client = resolve_client(client)
    present = _present(client)
    results: dict[str, dict[str, Any]] = {}
    for email, wanted in roles.items():
        if (why := _not_settable(email, present.get(email))) is not None:
            results[email] = {"outcome": "failed", "error_code": why[0], "error_message": why[1]}
        elif present[email] == wanted:
            results[email] = {"outcome": "unchanged", "before": wanted, "after": wanted}
    to_send = {email: wanted for email, wanted in roles.items() if email not in results}
    results |= _sent(to_send, "set_role", present, dry_run=dry_run, client=client)
    return named.beside(results, _DRY_COLUMNS if dry_run else _RESULT_COLUMNS)


def _members(client: Client) -> builtins.list[dict[str, Any]]:
    return ask(client, Call.get("teams"), builtins.list[dict[str, Any]])


def _present(client: Client) -> dict[str, str]:
    """Tell the role of everybody whose address can be read."""
    emails = ((member.get("email"), member) for member in _members(client))
    return {email: str(member.get("role")) for email, member in emails if isinstance(email, str)}


def _roles(named: Named, role: str | None) -> dict[str, str]:
    """Find the role wanted for each address."""
    column = [role] * len(named.names) if role is not None else named.column("role")
    if column is None:
        raise InputError(f"Which role? role= is one of {', '.join(TEAM_ROLES)}; a frame may have a column 'role'.")
    roles: dict[str, str] = {}
    for email, wanted in zip(named.names, column, strict=True):
        if not isinstance(wanted, str) or wanted not in TEAM_ROLES:
            raise InputError(f"A role that can be given is one of {', '.join(TEAM_ROLES)}, not {wanted!r}.")
        if roles.setdefault(email, wanted) != wanted:
            raise InputError(f"{email} stands in the frame with two roles, {roles[email]!r} and {wanted!r}; keep one.")
    return roles


def _not_settable(email: str, present: str | None) -> tuple[str, str] | None:
    """Say why somebody's role cannot be set; the service would refuse everybody in the same request with them."""
    if present is None:
        return "not_in_team", f"{email} is not in the team ({_LAG}); rf.teams.invite invites"
    if present == "invited":
        return "is_invited", f"{email} is invited and has not accepted yet ({_LAG})"
    if present == "admin":
        return "is_admin", f"{email} is an admin, whose role is set in the dashboard only"
    return None


def _sent(
    roles: Mapping[str, str], action: str, present: Mapping[Any, str], *, dry_run: bool, client: Client
) -> dict[str, dict[str, Any]]:
    """Send those of each role together, and tell what became of each."""
    by_role: dict[str, builtins.list[str]] = defaultdict(builtins.list)
    for email, role in roles.items():
        by_role[role].append(email)
    results: dict[str, dict[str, Any]] = {}
    for role, emails in by_role.items():

        def send(some: Any, role: str = role) -> None:
            # The list that is answered may be older than the change, so it is not read.
            client.send(post("teams", action, body={"emails": some, "team_role": role}, is_repeatable=True))

        refusals = dict.fromkeys(emails) if dry_run else each_that_can(emails, send)
        for email, error in refusals.items():
            results[email] = {"outcome": "changed", "before": present.get(email), "after": role}
            if error is not None:
                about = {"error_code": "bad_request", "error_message": error.error or error.message}
                results[email] = {"outcome": "failed", **about}
    return results


def _row(member: Mapping[str, Any]) -> dict[str, Any]:
    """Make a member's row; what does not fit its column goes to ``extra_json`` with what has none."""
    extra = dict(member)
    return {
        "email": taken(extra, "email", str),
        "role": taken(extra, "role", str),
        "is_studio_labeler": taken(extra, "isStudioLabeler", bool),
        "first_name": taken(extra, "firstName", str),
        "last_name": taken(extra, "lastName", str),
        "company": taken(extra, "company", str),
        "disable_rapid_emails": taken(extra, "disableRapidEmails", bool),
        "expiry": taken_stamp(extra, "expiry"),
        "extra_json": extra_of(extra),
    }
