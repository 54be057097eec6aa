"""Studio from frames: assignments, groups, the order of batches; over HTTP against a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import refonte_frames as rf

if TYPE_CHECKING:
    from refonte_frames.client import Client


def pairs(*texts: str) -> pd.DataFrame:
    """Write pairs as "ann kittens"."""
    rows = [text.split() for text in texts]
    return pd.DataFrame({"email": [f"{name}@x.org" for name, _ in rows], "project": [project for _, project in rows]})


def assigned(client: Client) -> set[str]:
    """Read who has what, as "ann kittens"."""
    frame = rf.studio.assignments(client=client)
    return {f"{email.split('@')[0]} {project}" for email, project in frame.values.tolist()}


def test_people_are_assigned_once_and_lose_nothing(studio: Client) -> None:
    """What they have is unchanged; people who need the same go in one request."""
    rf.studio.assign(pairs("ann kittens"), client=studio)
    before = studio.requests_by_status()["200"]
    done = rf.studio.assign(pairs("ann kittens", "bob puppies", "cyd puppies", "ann puppies"), client=studio)
    assert done["outcome"].tolist() == ["unchanged", "changed", "changed", "changed"]
    assert assigned(studio) == {"ann kittens", "ann puppies", "bob puppies", "cyd puppies"}
    assert studio.requests_by_status()["200"] == before + 3


def test_a_pair_that_is_refused_does_not_keep_the_others_back(studio: Client) -> None:
    """Neither an unknown person nor a project of another kind; the row says what must be."""
    rf.projects.create("plain", type="imageannotation", client=studio)
    frame = pairs("ann kittens", "eve kittens", "bob plain", "bob puppies", "cyd kittens")
    done = rf.studio.assign(frame, client=studio)
    assert done["outcome"].tolist() == ["changed", "failed", "failed", "changed", "changed"]
    assert done["error_code"].tolist() == [None, "bad_request", "bad_request", None, None]
    assert "eve@x.org" in done["error_message"][1]
    assert "Studio" in done["error_message"][2]
    assert assigned(studio) == {"ann kittens", "bob puppies", "cyd kittens"}


def test_people_are_unassigned(studio: Client) -> None:
    """Who was not assigned is unchanged; the frame keeps its rows and index."""
    rf.studio.assign(pairs("ann kittens", "bob kittens"), client=studio)
    frame = pairs("ann kittens", "cyd kittens").set_index(pd.Index([5, 5])).assign(outcome="old", n=1)
    done = rf.studio.unassign(frame, client=studio)
    assert done["outcome"].tolist() == ["changed", "unchanged"]
    assert done.columns.tolist() == ["email", "project", "n", "outcome", "error_code", "error_message"]
    assert done.index.tolist() == [5, 5]
    assert assigned(studio) == {"bob kittens"}


def test_dry_runs_change_nothing(studio: Client) -> None:
    """They tell what would be."""
    rf.studio.assign(pairs("ann kittens"), client=studio)
    assert rf.studio.assign(pairs("ann kittens", "bob kittens"), dry_run=True, client=studio)["outcome"].tolist() == [
        "unchanged",
        "changed",
    ]
    assert rf.studio.unassign(pairs("ann kittens"), dry_run=True, client=studio)["outcome"].tolist() == ["changed"]
    assert assigned(studio) == {"ann kittens"}


def test_assignments_become_what_the_frame_says(studio: Client) -> None:
    """First shown, then done; the second time nothing is left to do."""
    rf.studio.assign(pairs("ann kittens", "bob kittens", "bob puppies"), client=studio)
    wanted = pairs("ann kittens", "cyd puppies", "cyd puppies")
    shown = rf.studio.sync_assignments(wanted, client=studio)
    assert shown[["email", "project", "action", "outcome"]].values.tolist() == [
        ["ann@x.org", "kittens", "keep", "unchanged"],
        ["cyd@x.org", "puppies", "assign", "changed"],
        ["bob@x.org", "kittens", "unassign", "changed"],
        ["bob@x.org", "puppies", "unassign", "changed"],
    ]
    assert assigned(studio) == {"ann kittens", "bob kittens", "bob puppies"}
    done = rf.studio.sync_assignments(wanted, dry_run=False, client=studio)
    assert done["outcome"].tolist() == shown["outcome"].tolist()
    assert assigned(studio) == {"ann kittens", "cyd puppies"}
    again = rf.studio.sync_assignments(wanted, dry_run=False, client=studio)
    assert again["action"].tolist() == ["keep", "keep"]


def test_faults_of_the_service_do_not_keep_a_sync_from_its_end(studio_sandbox: rf.Sandbox, studio: Client) -> None:
    """Answers go wrong before or after the deed; what is asked twice does no harm."""
    rf.studio.assign(pairs("ann kittens", "bob puppies"), client=studio)
    for action, side, nth in (("status", "before", 1), ("drop", "after", 3), ("truncate", "after", 5)):
        studio_sandbox.faults.add(action, path="/studio/*", side=side, status=502, nth=nth, times=1)
    wanted = pairs("bob kittens", "cyd kittens", "cyd puppies")
    done = rf.studio.sync_assignments(wanted, dry_run=False, client=studio)
    studio_sandbox.faults.clear()
    assert done["outcome"].tolist() == ["changed"] * 5
    assert assigned(studio) == {"bob kittens", "cyd kittens", "cyd puppies"}
    counts = studio.requests_by_status()
    assert (counts["502"], counts["no_reply"]) == (1, 2)


ALL = [f"{name} {project}" for name in ("ann", "bob", "cyd") for project in ("kittens", "puppies")]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(ALL)), st.none() | st.lists(st.sampled_from(["kittens", "puppies"]), unique=True))
def test_whatever_was_a_sync_ends_in_what_is_wanted(
    studio: Client, wanted: list[str], projects: list[str] | None
) -> None:
    """Inside the projects it is limited to; outside nothing changes, and a second one has nothing to do."""
    inside = [pair for pair in wanted if projects is None or pair.split()[1] in projects]
    outside = {pair for pair in assigned(studio) if projects is not None and pair.split()[1] not in projects}
    frame = pairs(*inside) if inside else pairs(ALL[0]).head(0)
    rf.studio.sync_assignments(frame, projects=projects, dry_run=False, client=studio)
    assert assigned(studio) == {*inside, *outside}
    again = rf.studio.sync_assignments(frame, projects=projects, client=studio)
    assert set(again["action"]) <= {"keep"}


def test_a_sync_assigns_before_it_takes_away(studio_sandbox: rf.Sandbox, studio: Client) -> None:
    """So that nobody is without work in between."""
    rf.studio.assign(pairs("ann kittens"), client=studio)
    before = len(studio_sandbox.requests())
    rf.studio.sync_assignments(pairs("ann puppies"), dry_run=False, client=studio)
    asked = [call["path"].rpartition("/")[2] for call in studio_sandbox.requests()[before:]]
    assert asked == ["assignments", "add", "remove"]


def test_a_sync_may_be_limited_to_projects(studio: Client) -> None:
    """The others stay; an empty frame empties those that are named."""
    rf.studio.assign(pairs("ann kittens", "bob puppies"), client=studio)
    rf.studio.sync_assignments(pairs("ann kittens").head(0), projects=["kittens"], dry_run=False, client=studio)
    assert assigned(studio) == {"bob puppies"}
    with pytest.raises(rf.InputError, match=r"'kittens', which is not among projects=\['puppies'\]"):
        rf.studio.sync_assignments(pairs("ann kittens"), projects="puppies", client=studio)


def test_assignments_sync_back_and_forth(studio: Client) -> None:
    """What was read is what is: syncing it changes nothing."""
    rf.studio.assign(pairs("ann kittens", "bob puppies"), client=studio)
    same = rf.studio.sync_assignments(rf.studio.assignments(client=studio), client=studio)
    assert same["action"].tolist() == ["keep", "keep"]


def test_people_without_a_project_are_listed_on_demand(studio: Client) -> None:
    """With a null project."""
    rf.studio.assign(pairs("ann kittens"), client=studio)
    everybody = rf.studio.assignments(unassigned=True, client=studio)
    assert everybody["email"].tolist() == ["admin@example.com", "ann@x.org", "bob@x.org", "cyd@x.org"]
    assert everybody["project"].isna().tolist() == [True, False, True, True]


@pytest.mark.parametrize("function", [rf.studio.assign, rf.studio.unassign, rf.studio.sync_assignments])
def test_pairs_that_cannot_be_right_are_refused_before_anything_is_sent(studio: Client, function: Any) -> None:
    """Columns, addresses, projects; all bad rows are told."""
    before = studio.requests_by_status()
    with pytest.raises(rf.ColumnError, match="no column 'project'; it has 'email', 'projects'"):
        function(pairs("ann kittens").rename(columns={"project": "projects"}), client=studio)
    with pytest.raises(rf.RowErrors, match="Row 1: an empty cell is no e-mail"):
        function(pd.DataFrame({"email": ["a@b", None], "project": ["p", "p"]}), client=studio)
    with pytest.raises(rf.RowErrors, match="'' is no name of a project") as caught:
        function(pd.DataFrame({"email": ["a@b"] * 3, "project": ["p", "", None]}), client=studio)
    assert [row for row, _, _ in caught.value.rows] == [1, 2]
    assert studio.requests_by_status() == before


def test_a_group_is_made_listed_and_changed(studio: Client) -> None:
    """A name may hold any character; one row a group."""
    rf.studio.assign(pairs("ann kittens", "bob kittens"), client=studio)
    rf.studio.create_group("kittens", "night/shift ä", ["ann@x.org"], client=studio)
    changed = rf.studio.update_group("kittens", "night/shift ä", add="bob@x.org", remove=["ann@x.org"], client=studio)
    assert [worker["email"] for worker in changed["workers"]] == ["bob@x.org"]
    (row,) = rf.studio.groups("kittens", client=studio).to_dict("records")
    assert (row["project"], row["group"], row["num_workers"]) == ("kittens", "night/shift ä", 1)
    assert list(row["emails"]) == ["bob@x.org"]
    assert row["is_singleton"] is False
    assert rf.studio.groups("puppies", client=studio).empty


def test_members_must_be_assigned_first(studio: Client) -> None:
    """The refusal says how."""
    with pytest.raises(rf.BadRequest, match=r"the group 'g' in project 'kittens': .*rf\.studio\.assign"):
        rf.studio.create_group("kittens", "g", "ann@x.org", client=studio)
    rf.studio.assign(pairs("ann kittens"), client=studio)
    rf.studio.create_group("kittens", "g", "ann@x.org", client=studio)
    with pytest.raises(rf.BadRequest, match=r"the change of group 'g' .*rf\.studio\.assign"):
        rf.studio.update_group("kittens", "g", add="bob@x.org", client=studio)


def test_a_group_that_exists_is_taken_if_it_has_the_same_members(studio: Client) -> None:
    """In any order; else it is said to be of other people."""
    rf.studio.assign(pairs("ann kittens", "bob kittens"), client=studio)
    made = rf.studio.create_group("kittens", "g", ["ann@x.org", "bob@x.org"], client=studio)
    assert rf.studio.create_group("kittens", "g", ["bob@x.org", "ann@x.org"], exist_ok=True, client=studio) == made
    with pytest.raises(rf.Conflict, match="pass exist_ok=True"):
        rf.studio.create_group("kittens", "g", "ann@x.org", client=studio)
    with pytest.raises(rf.Conflict, match="of other people"):
        rf.studio.create_group("kittens", "g", "ann@x.org", exist_ok=True, client=studio)


def test_a_change_of_a_group_names_somebody_once(studio: Client) -> None:
    """Nobody, or the same person twice, is refused before anything is sent."""
    before = studio.requests_by_status()
    with pytest.raises(rf.InputError, match="Nobody to add"):
        rf.studio.update_group("kittens", "g", client=studio)
    with pytest.raises(rf.InputError, match=r"ann@x\.org is to be added and removed"):
        rf.studio.update_group("kittens", "g", add="ann@x.org", remove="ann@x.org", client=studio)
    assert studio.requests_by_status() == before
    with pytest.raises(rf.NotFound, match=r"no group 'g' in it .*rf\.studio\.groups\('kittens'\)"):
        rf.studio.update_group("kittens", "g", remove="ann@x.org", client=studio)


def test_projects_of_another_kind_have_no_groups(studio: Client) -> None:
    """The refusal says so."""
    rf.projects.create("plain", type="imageannotation", client=studio)
    with pytest.raises(rf.BadRequest, match="Only Studio projects"):
        rf.studio.groups("plain", client=studio)


@pytest.fixture
def queue(studio: Client) -> list[str]:
    """Make three batches, one of them in another project."""
    frame = pd.DataFrame({"batch": ["a", "b/c", "d"], "project": ["kittens", "kittens", "puppies"]})
    rf.batches.create(frame, client=studio)
    return ["a", "b/c", "d"]


def test_batches_come_in_the_order_of_work(studio: Client, queue: list[str]) -> None:
    """One row each; a priority is null until it is set."""
    listed = rf.studio.batches(client=studio)
    assert listed["batch"].tolist() == queue
    assert listed["position"].tolist() == [1, 2, 3]
    assert listed["project"].tolist() == ["kittens", "kittens", "puppies"]
    assert listed["studio_priority"].isna().all()
    assert listed["extra_json"].isna().all()


def test_the_order_of_batches_is_set_and_reset(studio: Client, queue: list[str]) -> None:
    """From a list, or a frame of batches that was sorted."""
    assert rf.studio.set_priorities(queue[::-1], client=studio)["batch"].tolist() == queue[::-1]
    listed = rf.studio.batches(client=studio)
    assert listed["studio_priority"].tolist() == [1, 2, 3]
    assert rf.studio.set_priorities(listed.sort_values("batch"), client=studio)["batch"].tolist() == sorted(queue)
    assert rf.studio.reset_priorities(client=studio)["studio_priority"].isna().all()


def test_an_order_must_name_every_waiting_batch_once(studio: Client, queue: list[str]) -> None:
    """What is missing, unknown or doubled is named, and nothing is changed."""
    with pytest.raises(rf.InputError, match=r"Missing: 'b/c'. Not waiting: 'x'. Twice: 'a'"):
        rf.studio.set_priorities(["a", "d", "a", "x"], client=studio)
    assert rf.studio.batches(client=studio)["studio_priority"].isna().all()
    assert rf.studio.batches(client=studio)["batch"].tolist() == queue


def test_groups_of_a_batch_are_set_not_added(studio: Client, queue: list[str]) -> None:
    """A group, then a person, then nobody."""
    rf.studio.assign(pairs("ann kittens", "bob kittens"), client=studio)
    rf.studio.create_group("kittens", "g", "ann@x.org", client=studio)
    assert rf.studio.assign_batch(queue[1], "g", client=studio)["groups"] == ["g"]
    assert rf.studio.assign_batch(queue[1], ["bob@x.org"], client=studio)["groups"] == ["bob@x.org"]
    assert [list(names) for names in rf.studio.batches(client=studio)["groups"]] == [[], ["bob@x.org"], []]
    assert rf.studio.assign_batch(queue[1], [], client=studio)["groups"] == []
    assert rf.studio.groups("kittens", client=studio)["is_singleton"].tolist() == [False, True]


def test_a_batch_that_cannot_be_assigned_says_why(studio: Client, queue: list[str]) -> None:
    """An unknown batch, an unknown group, a batch of another kind of project."""
    with pytest.raises(rf.NotFound, match="There is no batch 'x'"):
        rf.studio.assign_batch("x", "g", client=studio)
    with pytest.raises(rf.BadRequest, match=r"to \['g'\]: .*rf\.studio\.groups"):
        rf.studio.assign_batch(queue[0], "g", client=studio)
    with pytest.raises(rf.InputError, match="name of a group is text"):
        rf.studio.assign_batch(queue[0], [""], client=studio)


def test_tasks_with_an_attempt_are_completed(studio_sandbox: rf.Sandbox, studio: Client, queue: list[str]) -> None:
    """Of the batches that are named; tasks that nobody tried stay."""
    rf.projects.update_pipeline("kittens", "consensus_task", consensus_attempts=40, client=studio)
    tasks = pd.DataFrame({"attachment": [f"https://x.org/{at}.jpg" for at in range(6)], "batch": queue[:2] * 3})
    geometries = {"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}
    rf.submit(tasks, type="imageannotation", params=geometries, progress=False, client=studio)
    rf.batches.finalize(queue[:2], client=studio)
    assert rf.studio.complete_tasks("kittens", all_batches=True, client=studio)["tasks_completed"] == 0
    studio_sandbox.work(days=0.05)
    looked = rf.studio.complete_tasks("kittens", batches="a", dry_run=True, client=studio)
    done = rf.studio.complete_tasks("kittens", batches="a", client=studio)["tasks_completed"]
    assert 0 < done <= looked["tasks_unfinished"]
    assert looked["batches"] == ["a"]
    assert rf.studio.complete_tasks("kittens", all_batches=True, dry_run=True, client=studio)["batches"] == ["b/c"]
    status = rf.batches.status(queue[:2], client=studio)
    assert status["tasks_completed"].tolist() == [done, 0]


def test_which_tasks_are_to_be_completed_must_be_said(studio: Client, queue: list[str]) -> None:
    """Batches or all of them, not neither and not both; they must be the project's own."""
    with pytest.raises(rf.InputError, match=r"Name batches=\[…\], or pass all_batches=True"):
        rf.studio.complete_tasks("kittens", batches=[], client=studio)
    with pytest.raises(rf.InputError, match="would overrule"):
        rf.studio.complete_tasks("kittens", batches=queue, all_batches=True, client=studio)
    with pytest.raises(rf.InputError, match="would overrule"):
        rf.studio.complete_tasks("kittens", batches=[], all_batches=True, client=studio)
    with pytest.raises(rf.NotFound, match="There is no project 'kitten' "):
        rf.studio.complete_tasks("kitten", all_batches=True, dry_run=True, client=studio)
    with pytest.raises(rf.BadRequest, match=r"refused to complete tasks in project 'kittens': .*'d'"):
        rf.studio.complete_tasks("kittens", batches=["d"], client=studio)
