"""Teams, assignments, groups, Studio batches and pipelines (contract 4.1 to 4.6)."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refonte_frames.sandbox.session import Sandbox


@dataclass
class Account:
    """A live key of a sandbox, with its steering."""

    sandbox: Sandbox
    key: str
    session: requests.Session

    def ok(self, verb: str, path: str, body: Any = None) -> Any:
        """Send one request that succeeds."""
        reply = self.session.request(verb, self.sandbox.base_url + path, json=body, timeout=30)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def refused(self, status: int, verb: str, path: str, body: Any = None) -> str:
        """Send one request that is refused."""
        reply = self.session.request(verb, self.sandbox.base_url + path, json=body, timeout=30)
        assert reply.status_code == status, reply.text
        return reply.json()["error"]

    def hire(self, *emails: str, role: str = "labeler") -> None:
        """Invite people who accept."""
        self.ok("POST", "/teams/invite", {"emails": list(emails), "team_role": role})
        self.sandbox.accept_invitations(key=self.key)

    def studio(self, name: str, **body: Any) -> None:
        """Create a Studio project."""
        self.ok("POST", "/projects", {"type": "categorization", "name": name, "studio": True, **body})

    def batch(self, name: str, project: str) -> None:
        """Create a batch with two tasks."""
        self.ok("POST", "/batches", {"project": project, "name": name})
        for n in range(2):
            sent = {"batch": name, "attachment": f"car {n}", "attachment_type": "text", "categories": ["a", "b"]}
            self.ok("POST", "/task/categorization", sent)


@pytest.fixture
def account(sandbox: Sandbox) -> Iterator[Account]:
    """Open an empty live account."""
    with requests.Session() as session:
        key = f"live_{uuid.uuid4().hex[:20]}"
        session.auth = (key, "")
        session.trust_env = False
        yield Account(sandbox, key, session)


def test_a_new_account_has_its_admin(account: Account) -> None:
    """And nobody else."""
    (admin,) = account.ok("GET", "/teams")
    assert admin["role"] == "admin"
    assert {"email", "role", "isStudioLabeler", "disableRapidEmails", "firstName", "lastName", "company"} == set(admin)


@pytest.mark.parametrize(
    "emails",
    [{"emails": ["a@example.com", "b@example.com"]}, {"email": ["a@example.com"]}, {"email": "a@example.com"}],
)
def test_people_are_invited(account: Account, emails: dict[str, Any]) -> None:
    """Under either name of the parameter; an invitation has an end and no names."""
    team = account.ok("POST", "/teams/invite", {**emails, "team_role": "labeler"})
    invited = team[1]
    assert set(invited) == {"email", "role", "isStudioLabeler", "expiry"}
    assert (invited["role"], invited["isStudioLabeler"]) == ("invited", True)
    assert account.ok("POST", "/teams/invite", {**emails, "team_role": "manager"}) == team


@pytest.mark.parametrize(
    "body",
    [
        {"team_role": "labeler"},
        {"emails": [], "team_role": "labeler"},
        {"emails": ["nobody"], "team_role": "labeler"},
        {"emails": ["a@example.com"]},
        {"emails": ["a@example.com"], "team_role": "admin"},
    ],
)
def test_an_unacceptable_invitation_is_400(account: Account, body: dict[str, Any]) -> None:
    """And nobody is invited."""
    account.refused(400, "POST", "/teams/invite", body)
    assert len(account.ok("GET", "/teams")) == 1


def test_roles_are_set_for_all_or_nobody(account: Account) -> None:
    """The admin, strangers and the invited cannot be given one."""
    account.hire("a@example.com", "b@example.com")
    account.ok("POST", "/teams/invite", {"emails": ["late@example.com"], "team_role": "member"})
    changed = account.ok("POST", "/teams/set_role", {"emails": ["a@example.com"], "team_role": "manager"})
    assert {member["email"]: member["role"] for member in changed}["a@example.com"] == "manager"
    for wrong in ("admin@example.com", "stranger@example.com", "late@example.com"):
        account.refused(400, "POST", "/teams/set_role", {"emails": ["b@example.com", wrong], "team_role": "member"})
    assert {member["email"]: member["role"] for member in account.ok("GET", "/teams")}["b@example.com"] == "labeler"


def test_a_disabled_member_is_enabled_by_a_role(account: Account) -> None:
    """Until then they are listed as disabled, and get no work."""
    account.hire("a@example.com")
    account.studio("p")
    account.sandbox.disable_members(["a@example.com"], key=account.key)
    assert account.ok("GET", "/teams")[1]["role"] == "disabled"
    assert "a@example.com" not in account.ok("GET", "/studio/assignments")
    sent = {"emails": ["a@example.com"], "projects": ["p"]}
    account.refused(400, "POST", "/studio/assignments/add", sent)
    changed = account.ok("POST", "/teams/set_role", {"emails": ["a@example.com"], "team_role": "member"})
    assert changed[1]["role"] == "member"
    assert account.ok("POST", "/studio/assignments/add", sent)["a@example.com"] == ["p"]


def test_assignments_are_added_and_removed(account: Account) -> None:
    """Union and difference, both idempotent; active people without projects are listed with none."""
    account.hire("a@example.com", "b@example.com")
    account.ok("POST", "/teams/invite", {"emails": ["late@example.com"], "team_role": "labeler"})
    for name in ("p", "q"):
        account.studio(name)
    everything = {"emails": ["a@example.com"], "projects": ["p", "q"]}
    for _ in range(2):
        found = account.ok("POST", "/studio/assignments/add", everything)
    assert found == {"admin@example.com": [], "a@example.com": ["p", "q"], "b@example.com": []}
    for _ in range(2):
        found = account.ok("POST", "/studio/assignments/remove", {"emails": ["a@example.com"], "projects": ["p"]})
    assert found["a@example.com"] == ["q"]
    assert account.ok("GET", "/studio/assignments") == found


def test_an_unacceptable_assignment_changes_nothing(account: Account) -> None:
    """Strangers, the invited, unknown projects and those of another workflow."""
    account.hire("a@example.com")
    account.studio("p")
    account.ok("POST", "/projects", {"type": "categorization", "name": "enterprise"})
    for wrong in (
        {"emails": ["a@example.com", "x@example.com"], "projects": ["p"]},
        {"emails": ["a@example.com"], "projects": ["p", "none"]},
        {"emails": ["a@example.com"], "projects": ["p", "enterprise"]},
        {"emails": ["a@example.com"]},
    ):
        account.refused(400, "POST", "/studio/assignments/add", wrong)
    assert account.ok("GET", "/studio/assignments")["a@example.com"] == []


@pytest.mark.parametrize("verb", ["PUT", "POST"])
def test_groups_are_made_and_updated(account: Account, verb: str) -> None:
    """Of people who are assigned to the project; a name is taken once."""
    account.hire("a@example.com", "b@example.com", "c@example.com")
    account.studio("p")
    account.ok("POST", "/studio/assignments/add", {"emails": ["a@example.com", "b@example.com"], "projects": ["p"]})
    group = account.ok("POST", "/studio/projects/p/groups", {"name": "best", "emails": ["a@example.com"]})
    assert (group["name"], group["numWorkers"], group["isSingleton"]) == ("best", 1, False)
    changes = {"add_emails": ["b@example.com"], "remove_emails": ["a@example.com"]}
    changed = account.ok(verb, "/studio/projects/p/groups/best", changes)
    assert [worker["email"] for worker in changed["workers"]] == ["b@example.com"]
    assert account.ok("GET", "/studio/projects/p/groups") == [changed]
    account.refused(409, "POST", "/studio/projects/p/groups", {"name": "best", "emails": ["a@example.com"]})
    account.refused(400, "POST", "/studio/projects/p/groups", {"name": "x", "emails": ["c@example.com"]})
    account.refused(400, verb, "/studio/projects/p/groups/best", {"add_emails": ["c@example.com"]})
    account.refused(404, verb, "/studio/projects/p/groups/none", {})
    account.refused(404, "GET", "/studio/projects/none/groups")


def names(batches: list[dict[str, Any]]) -> list[str]:
    """List the names of Studio batches."""
    return [batch["name"] for batch in batches]


def test_both_lists_of_a_groups_change_may_be_sent_and_either_empty(account: Account) -> None:
    """The published client always sends both."""
    account.studio("p")
    account.ok("POST", "/studio/assignments/add", {"emails": ["admin@example.com"], "projects": ["p"]})
    account.ok("POST", "/studio/projects/p/groups", {"name": "g", "emails": ["admin@example.com"]})
    sent = {"add_emails": [], "remove_emails": ["admin@example.com"]}
    assert account.ok("PUT", "/studio/projects/p/groups/g", sent)["numWorkers"] == 0
    sent = {"add_emails": ["admin@example.com"], "remove_emails": []}
    assert account.ok("PUT", "/studio/projects/p/groups/g", sent)["numWorkers"] == 1


def test_studio_batches_are_ordered(account: Account) -> None:
    """Oldest first until told otherwise; all pending ones must be listed; reset brings the first order back."""
    account.studio("p")
    for name in ("one", "two", "three"):
        account.batch(name, "p")
    assert names(account.ok("GET", "/studio/batches")) == ["one", "two", "three"]
    order = {"batches": [{"name": "three"}, {"name": "one"}, "two"]}
    ordered = account.ok("POST", "/studio/batches/set_priorities", order)
    assert [(batch["name"], batch["studioPriority"]) for batch in ordered] == [("three", 1), ("one", 2), ("two", 3)]
    for wrong in (["three", "one"], ["three", "one", "two", "four"], ["three", "one", "one", "two"], [5], None):
        account.refused(400, "POST", "/studio/batches/set_priorities", {"batches": wrong})
    reset = account.ok("POST", "/studio/batches/reset_priorities")
    assert [(batch["name"], batch["studioPriority"]) for batch in reset] == [
        ("one", None),
        ("two", None),
        ("three", None),
    ]


def test_a_studio_batch_is_served_with_its_progress(account: Account) -> None:
    """And is gone from the list when it is completed."""
    account.studio("p")
    account.batch("one", "p")
    (batch,) = account.ok("GET", "/studio/batches")
    wanted = {"projectName": "p", "batchType": "Production", "total": 2, "completed": 0, "groups": []}
    assert {name: batch[name] for name in wanted} == wanted
    account.ok("POST", "/batches/one/finalize")
    account.sandbox.work(days=3)
    assert account.ok("GET", "/studio/batches") == []


@pytest.mark.parametrize("verb", ["PUT", "POST"])
def test_groups_are_set_on_a_batch(account: Account, verb: str) -> None:
    """Set, not added; an e-mail makes a group of one; strangers are refused."""
    account.hire("a@example.com", "b@example.com")
    account.studio("p")
    account.batch("one", "p")
    account.ok("POST", "/studio/assignments/add", {"emails": ["a@example.com"], "projects": ["p"]})
    account.ok("POST", "/studio/projects/p/groups", {"name": "best", "emails": ["a@example.com"]})
    assert account.ok(verb, "/studio/batches/one", {"groups": ["best"]})["groups"] == ["best"]
    assert account.ok(verb, "/studio/batches/one", {"groups": ["a@example.com"]})["groups"] == ["a@example.com"]
    assert [group["isSingleton"] for group in account.ok("GET", "/studio/projects/p/groups")] == [False, True]
    account.refused(400, verb, "/studio/batches/one", {"groups": ["none"]})
    account.refused(400, verb, "/studio/batches/one", {"groups": ["b@example.com"]})
    account.refused(404, verb, "/studio/batches/none", {"groups": ["best"]})


def test_a_batch_with_the_name_of_an_action_is_assigned_by_put(account: Account) -> None:
    """POST means the action, PUT the batch."""
    account.studio("p")
    account.batch("set_priorities", "p")
    assert account.ok("PUT", "/studio/batches/set_priorities", {"groups": []})["name"] == "set_priorities"
    account.refused(400, "POST", "/studio/batches/set_priorities", {"groups": []})


@pytest.mark.parametrize("prefix", ["/studio/projects", "/projects"])
def test_the_pipeline_is_updated(account: Account, prefix: str) -> None:
    """On both documented paths; of Studio projects only; attempts need consensus."""
    account.studio("p")
    path = f"{prefix}/p/updatePipelineConfig"
    changed = account.ok("POST", path, {"pipeline": "consensus_task", "consensus_attempts": 4})
    assert (changed["pipeline"], changed["consensus_attempts"]) == ("consensus_task", 4)
    assert "consensus_attempts" not in account.ok("POST", path, {"pipeline": "standard_task"})
    for wrong in (
        {},
        {"pipeline": "other"},
        {"pipeline": "standard_task", "consensus_attempts": 3},
        {"pipeline": "consensus_task", "consensus_attempts": 1},
    ):
        account.refused(400, "POST", path, wrong)
    account.ok("POST", "/projects", {"type": "categorization", "name": "enterprise"})
    account.refused(400, "POST", f"{prefix}/enterprise/updatePipelineConfig", {"pipeline": "standard_task"})


def test_attempted_tasks_are_sent_to_completed(account: Account) -> None:
    """Tasks that nobody tried stay; the verb is POST only; something must be named."""
    account.studio("p", pipeline="consensus_task", consensus_attempts=40)
    for name in ("one", "two"):
        account.batch(name, "p")
        account.ok("POST", f"/batches/{name}/finalize")
    path = "/studio/projects/p/send_tasks_to_completed"
    for everything in ({"all_batches": True}, {"all_batches": True, "batches": []}):
        assert account.ok("POST", path, everything) == {"result": "success", "tasks_completed": 0}
    account.sandbox.work(days=0.05)
    done = account.ok("POST", path, {"batches": ["one"]})["tasks_completed"]
    assert done > 0
    assert account.ok("GET", "/batches/one/status")["tasks_completed"] == done
    assert "tasks_completed" not in account.ok("GET", "/batches/two/status")
    for wrong in ({}, {"all_batches": False}, {"batches": ["none"]}):
        account.refused(400, "POST", path, wrong)
    account.refused(405, "GET", path)
