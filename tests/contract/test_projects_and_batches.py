"""Projects, batches and the state machine of the three workflows (contract 2.1, 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


import re

import pytest

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_a_project_is_served_with_its_first_parameters(api: Any, name: str) -> None:
    """The history begins with version 0."""
    project = api.project(name, params={"instruction": "Look closely"})
    assert project["type"] == "categorization"
    assert project["name"] == name
    (entry,) = project["param_history"]
    assert entry["instruction"] == "Look closely"
    assert entry["version"] == 0
    assert STAMP.fullmatch(project["created_at"])
    assert api.ok("GET", f"/projects/{name}") == project


def test_projects_are_listed_newest_first(live: Any) -> None:
    """The list is a bare array."""
    for n in range(3):
        live.project(f"p{n}")
    assert [project["name"] for project in live.ok("GET", "/projects")] == ["p2", "p1", "p0"]
    assert live.ok("GET", "/projects", params={"archived": True}) == []


def test_a_project_name_is_taken_once(api: Any, name: str) -> None:
    """Refuse the second creation with 409."""
    api.project(name)
    assert name in api.refused(409, "POST", "/projects", json={"type": "categorization", "name": name})


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "x"},
        {"type": "categorization"},
        {"type": "categorization", "name": ""},
        {"type": "categorization", "name": 5},
        {"type": "nonsense", "name": "x"},
        {"type": "categorization", "name": "x", "rapid": True, "studio": True},
        {"type": "categorization", "name": "x", "rapid": "yes"},
        {"type": "categorization", "name": "x", "params": []},
        {"type": "categorization", "name": "x", "pipeline": "consensus_task"},
        {"type": "categorization", "name": "x", "studio": True, "consensus_attempts": 3},
        {"type": "categorization", "name": "x", "studio": True, "pipeline": "consensus_task", "consensus_attempts": 1},
    ],
)
def test_an_unacceptable_project_is_400(api: Any, sent: dict[str, Any]) -> None:
    """What is missing, of a wrong form or contradictory is refused."""
    api.refused(400, "POST", "/projects", json=sent)


def test_set_params_replaces_unless_it_patches(api: Any, name: str) -> None:
    """With patch it merges with the newest version; without it the newest parameters are gone."""
    api.project(name, params={"instruction": "one", "allow_multiple": True})
    merged = api.ok("POST", f"/projects/{name}/setParams", json={"patch": True, "instruction": "two"})
    assert merged["param_history"][-1]["allow_multiple"] is True
    assert merged["param_history"][-1]["instruction"] == "two"
    replaced = api.ok("POST", f"/projects/{name}/setParams", json={"instruction": "three"})
    assert "allow_multiple" not in replaced["param_history"][-1]
    assert [entry["version"] for entry in replaced["param_history"]] == [0, 1, 2]


def test_a_task_inherits_and_the_project_instruction_is_appended(api: Any, name: str) -> None:
    """The request wins, except for the instruction, which comes first."""
    api.project(name, params={"instruction": "project", "categories": ["a", "b"], "allow_multiple": True})
    sent = {"project": name, "attachment": "x", "attachment_type": "text", "instruction": "task", "categories": ["c"]}
    task = api.ok("POST", "/task/categorization", json=sent)
    assert task["params"]["categories"] == ["c"]
    assert task["params"]["allow_multiple"] is True
    assert re.fullmatch(r"task\s+project", task["instruction"])


def test_new_params_affect_future_tasks_only(live: Any, name: str) -> None:
    """A task keeps what it was created with."""
    live.project(name, params={"instruction": "old"})
    task = live.task(project=name)
    live.ok("POST", f"/projects/{name}/setParams", json={"instruction": "new"})
    assert live.ok("GET", f"/task/{task['task_id']}")["instruction"] == "old"
    assert live.task(project=name)["instruction"] == "new"


def test_a_batch_is_served_as_documented(api: Any, name: str) -> None:
    """Exactly the documented fields."""
    api.project(name, rapid=True)
    sent = {"callback": "callback@example.com", "calibration_batch": False, "self_label_batch": False}
    batch = api.batch(f"{name}-b", name, **sent)
    assert STAMP.fullmatch(batch.pop("created_at"))
    assert batch == {
        "project": name,
        "name": f"{name}-b",
        "callback": "callback@example.com",
        "status": "staging",
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("flags", "status"), [({}, "in_progress"), ({"rapid": True}, "staging"), ({"studio": True}, "staging")]
)
def test_the_workflow_decides_the_first_status(api: Any, name: str, flags: dict[str, bool], status: str) -> None:
    """Enterprise batches are open at once; Rapid and Studio ones are staged."""
    api.project(name, **flags)
    assert api.batch(f"{name}-b", name)["status"] == status


@pytest.mark.parametrize(
    "sent",
    [
        {"name": "b"},
        {"project": "PROJECT"},
        {"project": "no such project", "name": "b"},
        {"project": "PROJECT", "name": "b", "callback": "nowhere"},
        {"project": "PROJECT", "name": "b", "calibration_batch": True, "self_label_batch": True},
        {"project": "PROJECT", "name": "b", "metadata": "text"},
    ],
)
def test_an_unacceptable_batch_is_400(api: Any, name: str, sent: dict[str, Any]) -> None:
    """An unknown project is a bad reference in a body, not an unknown path."""
    api.project(name, rapid=True)
    api.refused(400, "POST", "/batches", json={k: name if v == "PROJECT" else v for k, v in sent.items()})


def test_a_batch_name_is_unique_over_all_projects(api: Any, name: str) -> None:
    """The second project cannot use it again."""
    api.project(name)
    api.project(f"{name}-2")
    api.batch(f"{name}-b", name)
    api.refused(409, "POST", "/batches", json={"project": f"{name}-2", "name": f"{name}-b"})


def test_names_in_paths_are_decoded_after_routing(api: Any, name: str, segment: Callable[[str], str]) -> None:
    """A name may hold slashes, blanks, percent signs and other alphabets."""
    odd = f"{name} a/b%2F?ü#"
    api.project(odd)
    api.batch(odd, odd)
    assert api.ok("GET", f"/projects/{segment(odd)}")["name"] == odd
    assert api.ok("GET", f"/batches/{segment(odd)}/status")["status"] == "in_progress"


def test_finalize_opens_a_staged_batch_and_is_idempotent(live: Any, name: str) -> None:
    """Rapid: staging, then in progress, also when it is empty, and again."""
    live.project(name, rapid=True)
    live.batch(f"{name}-b", name)
    for _ in range(2):
        assert live.ok("POST", f"/batches/{name}-b/finalize")["status"] == "in_progress"
    live.refused(404, "POST", f"/batches/{name}-none/finalize")


def test_nothing_is_added_after_finalize(live: Any, body: Callable[..., dict[str, Any]], name: str) -> None:
    """The documented end of adding tasks."""
    live.project(name, rapid=True)
    live.batch("b", name)
    live.task(batch="b")
    live.ok("POST", "/batches/b/finalize")
    live.refused(400, "POST", "/task/categorization", json=body(batch="b"))


def test_a_staged_batch_of_a_test_key_completes_at_finalize(api: Any, name: str) -> None:
    """Its tasks wait until then, and end at once."""
    api.project(name, studio=True)
    api.batch(f"{name}-b", name)
    task = api.task(batch=f"{name}-b")
    assert api.ok("GET", f"/task/{task['task_id']}")["status"] == "pending"
    assert api.ok("POST", f"/batches/{name}-b/finalize")["status"] == "completed"
    assert api.ok("GET", f"/task/{task['task_id']}")["status"] == "completed"


def test_an_enterprise_batch_of_a_test_key_stays_open(api: Any, name: str) -> None:
    """Otherwise its first task would close it to the second."""
    api.project(name)
    api.batch(f"{name}-b", name)
    for _ in range(3):
        api.task(batch=f"{name}-b")
    assert api.ok("GET", f"/batches/{name}-b/status") == {"status": "in_progress", "tasks_completed": 3}


def test_cancelling_the_last_pending_task_completes_a_live_batch(
    live: Any, body: Callable[..., dict[str, Any]], name: str
) -> None:
    """Canceled tasks count as ended, and a completed batch takes no more."""
    live.project(name)
    live.batch("b", name)
    tasks = [live.task(batch="b") for _ in range(2)]
    live.ok("POST", f"/task/{tasks[0]['task_id']}/cancel")
    assert live.ok("GET", "/batches/b/status") == {"status": "in_progress", "tasks_pending": 1, "tasks_canceled": 1}
    live.ok("POST", f"/task/{tasks[1]['task_id']}/cancel")
    assert live.ok("GET", "/batches/b/status") == {"status": "completed", "tasks_canceled": 2}
    live.refused(400, "POST", "/task/categorization", json=body(batch="b"))


def test_a_rapid_task_needs_a_batch(api: Any, body: Callable[..., dict[str, Any]], name: str) -> None:
    """A Rapid project alone is not enough."""
    api.project(name, rapid=True)
    assert "batch" in api.refused(400, "POST", "/task/categorization", json=body(project=name))


def test_a_batch_alone_brings_its_project(api: Any, name: str) -> None:
    """The task joins the batch's project."""
    api.project(name)
    api.batch(f"{name}-b", name)
    assert api.task(batch=f"{name}-b")["project"] == name


def test_project_batch_and_type_must_agree(api: Any, body: Callable[..., dict[str, Any]], name: str) -> None:
    """A batch of another project, and a project of another type, are refused."""
    api.project(name)
    api.project(f"{name}-2")
    api.project(f"{name}-3", task_type="imageannotation")
    api.batch(f"{name}-b", name)
    api.refused(400, "POST", "/task/categorization", json=body(project=f"{name}-2", batch=f"{name}-b"))
    api.refused(400, "POST", "/task/categorization", json=body(project=f"{name}-3"))
    api.refused(400, "POST", "/task/categorization", json=body(project=f"{name}-none"))
    api.refused(400, "POST", "/task/categorization", json=body(batch=f"{name}-none"))


def test_prioritize_takes_10_to_30(api: Any, name: str) -> None:
    """Anything else is 400."""
    api.project(name)
    api.batch(f"{name}-b", name)
    for priority in (10, 30):
        sent = {"priority": priority}
        assert api.ok("POST", f"/batches/{name}-b/prioritize", json=sent) == {"result": "success"}
    for wrong in (9, 31, "20", 15.5, True, None):
        api.refused(400, "POST", f"/batches/{name}-b/prioritize", json={"priority": wrong})
    api.refused(404, "POST", f"/batches/{name}-none/prioritize", json={"priority": 10})


def test_batch_metadata_is_replaced(api: Any, name: str) -> None:
    """The body is the metadata; an empty body is an empty object."""
    api.project(name)
    api.batch(f"{name}-b", name, metadata={"a": 1})
    assert api.ok("POST", f"/batches/{name}-b/setMetadata", json={"b": 2})["metadata"] == {"b": 2}
    assert api.ok("POST", f"/batches/{name}-b/setMetadata")["metadata"] == {}


def test_batches_are_listed_in_pages_newest_first(live: Any, name: str) -> None:
    """Pages by limit and offset, with both names of the total."""
    live.project(name)
    live.project("other")
    for n in range(5):
        live.batch(f"b{n}", name)
    live.batch("x", "other")
    page = live.ok("GET", "/batches", params={"project": name, "limit": 2, "offset": 2})
    assert [batch["name"] for batch in page["docs"]] == ["b2", "b1"]
    assert (page["totalDocs"], page["total"], page["limit"], page["offset"], page["has_more"]) == (5, 5, 2, 2, True)
    assert live.ok("GET", "/batches", params={"project": name, "offset": 4})["has_more"] is False
    assert live.ok("GET", "/batches", params={"project": "none"})["docs"] == []


def test_batches_are_filtered_by_status_and_time(live: Any, name: str) -> None:
    """Bounds on created_at are inclusive."""
    live.project(name, rapid=True)
    made = [live.batch(f"b{n}", name) for n in range(3)]
    live.ok("POST", "/batches/b1/finalize")
    found = live.ok("GET", "/batches", params={"status": "in_progress"})["docs"]
    assert [batch["name"] for batch in found] == ["b1"]
    moment = made[1]["created_at"]
    found = live.ok("GET", "/batches", params={"start_time": moment, "end_time": moment})["docs"]
    assert "b1" in [batch["name"] for batch in found]
    live.refused(400, "GET", "/batches", params={"status": "done"})
    live.refused(400, "GET", "/batches", params={"start_time": "yesterday"})


def test_detailed_batches_carry_counts(live: Any, name: str) -> None:
    """Zero counts are left out."""
    live.project(name)
    live.batch("b", name)
    live.task(batch="b")
    (batch,) = live.ok("GET", "/batches", params={"detailed": True})["docs"]
    assert {key: value for key, value in batch.items() if key.startswith("tasks_")} == {"tasks_pending": 1}


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"offset": -1}])
def test_a_page_out_of_range_is_400(api: Any, query: dict[str, Any]) -> None:
    """Limits are 1 to 100, offsets not negative."""
    api.refused(400, "GET", "/batches", params=query)
