"""The team from frames: who is in it, invitations, roles; over HTTP against a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import refonte_frames as rf
from refonte_frames.resources.whole_or_not import each_that_can

if TYPE_CHECKING:
    from refonte_frames.client import Client


def roles(client: Client) -> dict[str, str]:
    """Look who has which role."""
    team = rf.teams.list(client=client)
    return dict(zip(team["email"], team["role"], strict=True))


def test_the_team_is_a_frame_with_fixed_columns(client: Client) -> None:
    """An invited one among them, with the time until which the invitation holds."""
    rf.teams.invite("ann@x.org", "labeler", client=client)
    team = rf.teams.list(client=client)
    assert team["email"].tolist() == ["admin@example.com", "ann@x.org"]
    assert team["is_studio_labeler"].tolist() == [False, True]
    assert team["expiry"].notna().tolist() == [False, True]
    assert str(team["expiry"].dtype) == "timestamp[us, tz=UTC][pyarrow]"
    assert team["extra_json"].isna().all()


def test_people_are_invited_once(client: Client) -> None:
    """Whoever is there, an admin too, is unchanged; rows keep their order and columns."""
    rf.teams.invite("ann@x.org", "labeler", client=client)
    frame = pd.DataFrame(
        {"email": ["bob@x.org", "ann@x.org", "admin@example.com", "bob@x.org"], "team": "b", "outcome": "old"},
        index=[3, 2, 2, 0],
    )
    done = rf.teams.invite(frame, "member", client=client)
    assert done.columns.tolist() == ["email", "team", "outcome", "error_code", "error_message"]
    assert done["outcome"].tolist() == ["changed", "unchanged", "unchanged", "changed"]
    assert done.index.tolist() == [3, 2, 2, 0]
    assert roles(client) == {"admin@example.com": "admin", "ann@x.org": "invited", "bob@x.org": "invited"}


def test_roles_may_stand_in_a_column_of_any_frame(studio: Client) -> None:
    """One request for each role."""
    frame = pl.DataFrame({"email": ["ann@x.org", "bob@x.org"], "role": ["manager", "member"]})
    done = rf.teams.set_roles(frame, client=studio)
    assert done["outcome"].tolist() == ["changed", "changed"]
    assert roles(studio)["ann@x.org"] == "manager"
    assert roles(studio)["bob@x.org"] == "member"


def test_roles_that_cannot_be_set_are_told_row_by_row_and_the_others_are_set(studio: Client) -> None:
    """Admins, invited people, strangers: each with a reason; who has the role is unchanged."""
    rf.teams.invite("dan@x.org", "labeler", client=studio)
    emails = ["ann@x.org", "admin@example.com", "dan@x.org", "eve@x.org", "bob@x.org"]
    rf.teams.set_roles("bob@x.org", "manager", client=studio)
    done = rf.teams.set_roles(emails, "manager", client=studio)
    assert done["outcome"].tolist() == ["changed", "failed", "failed", "failed", "unchanged"]
    assert done["error_code"].tolist() == [None, "is_admin", "is_invited", "not_in_team", None]
    assert roles(studio)["ann@x.org"] == "manager"


def test_a_dry_run_shows_the_difference_and_changes_nothing(studio: Client) -> None:
    """Before and after, also for an invitation."""
    set_roles = rf.teams.set_roles(["ann@x.org", "admin@example.com"], "member", dry_run=True, client=studio)
    assert set_roles[["outcome", "before", "after"]].values.tolist() == [
        ["changed", "labeler", "member"],
        ["failed", None, None],
    ]
    invited = rf.teams.invite(["ann@x.org", "eve@x.org"], "member", dry_run=True, client=studio)
    assert invited[["outcome", "before", "after"]].values.tolist() == [
        ["unchanged", "labeler", "labeler"],
        ["changed", None, "member"],
    ]
    assert set(roles(studio)) == {"admin@example.com", "ann@x.org", "bob@x.org", "cyd@x.org"}


@pytest.mark.parametrize("function", [rf.teams.invite, rf.teams.set_roles])
def test_what_cannot_be_right_is_refused_before_anything_is_sent(client: Client, function: object) -> None:
    """No address, no role, a role that is not given, two roles for one person."""
    assert callable(function)
    with pytest.raises(rf.RowErrors, match="Row 1: 'x' is no e-mail address, and 1 more") as caught:
        function(["a@b", "x", "y z@c"], "member", client=client)
    assert [row for row, _, _ in caught.value.rows] == [1, 2]
    with pytest.raises(rf.InputError, match="one of labeler, member, manager, not 'admin'"):
        function("a@b", "admin", client=client)
    with pytest.raises(rf.InputError, match="Which role"):
        function("a@b", client=client)
    two = pd.DataFrame({"email": ["a@b", "a@b"], "role": ["member", "manager"]})
    with pytest.raises(rf.InputError, match="two roles, 'member' and 'manager'"):
        function(two, client=client)
    with pytest.raises(rf.ColumnError, match="no column 'email'"):
        function(pd.DataFrame({"mail": ["a@b"]}), "member", client=client)
    assert client.requests_by_status() == {}


def test_only_those_at_fault_are_left_out() -> None:
    """Of 250, in requests of a hundred at most, that are refused whole when one is bad."""
    done: set[int] = set()

    def send(some: object) -> None:
        assert isinstance(some, range)
        assert len(some) <= 100
        if {7, 8, 249} & set(some):
            raise rf.BadRequest("no", status_code=400)
        done.update(some)

    refusals = each_that_can(range(250), send)
    assert [item for item, error in refusals.items() if error] == [7, 8, 249]
    assert done == set(range(250)) - {7, 8, 249}


@pytest.mark.parametrize(
    "given",
    [
        pl.Series("who", ["ann@example.org"]),
        pl.DataFrame({"email": ["ann@example.org"], "skills": [["boxes"]]}),
        pa.array(["ann@example.org"]),
        pa.chunked_array([["ann@example.org"]]),
        {"ann@example.org"},
    ],
    ids=lambda given: f"{type(given).__module__}.{type(given).__name__}",
)
def test_people_are_named_by_whatever_holds_texts(client: Client, given: Any) -> None:
    """Series and arrays of other libraries, too, and frames with columns of lists beside."""
    assert rf.teams.invite(given, "labeler", dry_run=True, client=client)["outcome"].tolist() == ["changed"]


@pytest.mark.parametrize("given", [None, 5, b"ann@example.org"])
def test_what_names_nobody_is_told_in_a_sentence(client: Client, given: Any) -> None:
    """No error of Python's own."""
    with pytest.raises(rf.InputError, match="names no email: give a text"):
        rf.teams.invite(given, "labeler", client=client)


def test_two_columns_of_one_name_are_not_read_as_addresses(client: Client) -> None:
    """Else the columns' names would be taken for the cells."""
    frame = pd.DataFrame([["ann@example.org", "bob@example.org"]], columns=["email", "email"])
    with pytest.raises(rf.ColumnError, match="2 columns 'email'"):
        rf.teams.invite(frame, "labeler", client=client)
    with pytest.raises(rf.ColumnError, match="2 columns 'email'"):
        rf.studio.assign(frame.assign(project="kittens"), client=client)


def test_half_a_character_in_an_address_is_its_rows_error(client: Client) -> None:
    """It cannot be sent."""
    frame = pd.DataFrame({"email": pd.Series(["\ud83d@example.org"], dtype=object), "project": "kittens"})
    with pytest.raises(rf.RowErrors, match="no e-mail address"):
        rf.studio.assign(frame, client=client)
