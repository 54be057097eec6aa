"""Training and evaluation tasks, and the labelers' attempts at them (contract 2.3, 4.4)."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refonte_frames.sandbox.session import Sandbox


@pytest.fixture
def call(sandbox: Sandbox) -> Iterator[Any]:
    """Give a caller with an empty live account and a Rapid project."""
    with requests.Session() as session:
        session.auth = (f"live_{uuid.uuid4().hex[:20]}", "")
        session.trust_env = False

        def send(status: int, verb: str, path: str, **details: Any) -> Any:
            reply = session.request(verb, sandbox.base_url + path, timeout=30, **details)
            assert reply.status_code == status, reply.text
            return reply.json()

        send.key = session.auth[0]  # type: ignore[attr-defined]
        send(200, "POST", "/projects", json={"type": "categorization", "name": "p", "rapid": True})
        yield send


def body(**more: Any) -> dict[str, Any]:
    """Give a valid quality task."""
    given = {"project": "p", "attachment": "car", "attachment_type": "text", "categories": ["a", "b", "c"]}
    return {**given, "expected_response": {"category": "a"}, **more}


@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_a_quality_task_has_an_id_and_its_expected_response(call: Any, kind: str) -> None:
    """It is no task: neither listed nor read as one."""
    made = call(200, "POST", f"/{kind}_tasks/categorization", json=body(initial_response={"category": "b"}))
    assert made["expected_response"] == {"category": "a"}
    assert made["initial_response"] == {"category": "b"}
    assert "task_id" not in made
    assert call(200, "GET", "/tasks")["total"] == 0
    call(404, "GET", f"/task/{made['id']}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"expected_response": None},
        {"expected_response": "a"},
        {"project": None},
        {"project": "enterprise"},
        {"categories": []},
    ],
)
def test_an_unacceptable_quality_task_is_400(call: Any, wrong: dict[str, Any]) -> None:
    """Without an expected response, outside a Rapid project, or not a valid task."""
    call(200, "POST", "/projects", json={"type": "categorization", "name": "enterprise"})
    call(400, "POST", "/training_tasks/categorization", json=body(**wrong))


def test_unknown_types_are_refused_like_those_of_tasks(call: Any) -> None:
    """402 and 404."""
    call(402, "POST", "/training_tasks/chat", json=body())
    call(404, "POST", "/training_tasks/nonsense", json=body())


def test_a_unique_id_is_taken_once(call: Any) -> None:
    """By a quality task as by a task."""
    made = call(200, "POST", "/training_tasks/categorization", json=body(unique_id="u"))
    assert made["id"] in call(409, "POST", "/evaluation_tasks/categorization", json=body(unique_id="u"))["error"]
    plain = {name: value for name, value in body(unique_id="u").items() if name not in ("project", "expected_response")}
    assert made["id"] in call(409, "POST", "/task/categorization", json=plain)["error"]
    task = call(200, "POST", "/task/categorization", json={**plain, "unique_id": "v"})["task_id"]
    assert made["id"] in call(409, "POST", f"/task/{task}/unique_id", json={"unique_id": "u"})["error"]


def test_labelers_attempt_quality_tasks(call: Any, sandbox: Sandbox) -> None:
    """Evaluations once, trainings until they are passed, at most three times."""
    training = call(200, "POST", "/training_tasks/categorization", json=body())["id"]
    evaluation = call(200, "POST", "/evaluation_tasks/categorization", json=body(attachment="bus"))["id"]
    sandbox.work(days=2)
    page = call(200, "GET", "/quality/labelers", params={"quality_task_ids": [training, evaluation]})
    attempts = page["docs"]
    assert page["total"] == len(attempts) >= 24
    by_labeler: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for attempt in attempts[::-1]:
        by_labeler.setdefault((attempt["quality_task_id"], attempt["labeler_email"]), []).append(attempt)
        assert attempt["status"] == ("passed" if attempt["score"] >= 0.7 else "failed")
        assert attempt["started_at"] < attempt["completed_at"]
        assert attempt["expected_response"] == {"category": "a"}
        assert (attempt["response"] == {"category": "a"}) == (attempt["score"] == 1.0)
    for (quality_task_id, _), tries in by_labeler.items():
        assert [each["attempt_number"] for each in tries] == list(range(1, len(tries) + 1))
        assert all(each["status"] == "failed" for each in tries[:-1])
        assert len(tries) <= (3 if quality_task_id == training else 1)
    ends = [attempt["completed_at"] for attempt in attempts]
    assert ends == sorted(ends, reverse=True)


def test_attempts_are_filtered_and_paged(call: Any, sandbox: Sandbox) -> None:
    """Both filters hold together; pages hold each attempt once; tokens belong to their filters."""
    made = [call(200, "POST", "/training_tasks/categorization", json=body(attachment=f"{n}"))["id"] for n in range(3)]
    sandbox.work(days=2)
    whole = call(200, "GET", "/quality/labelers", params={"quality_task_ids": ",".join(made)})["docs"]
    email = whole[0]["labeler_email"]
    both = call(200, "GET", "/quality/labelers", params={"quality_task_ids": made, "labeler_emails": email})["docs"]
    assert both == [attempt for attempt in whole if attempt["labeler_email"] == email]
    found, token = [], None
    while True:
        query = {"quality_task_ids": made, "limit": 7, **({"next_token": token} if token else {})}
        page = call(200, "GET", "/quality/labelers", params=query)
        found += page["docs"]
        assert len(found) <= page["total"], "the pages do not end"
        if not page["has_more"]:
            break
        token = page["next_token"]
    assert found == whole
    call(400, "GET", "/quality/labelers", params={"labeler_emails": email, "next_token": token})
    for wrong in ({}, {"quality_task_ids": ""}, {"labeler_emails": email, "limit": 101}):
        call(400, "GET", "/quality/labelers", params=wrong)


def test_hired_labelers_do_the_attempts(call: Any, sandbox: Sandbox) -> None:
    """When the team has some; nobody else then."""
    call(200, "POST", "/teams/invite", json={"emails": ["a@example.com", "b@example.com"], "team_role": "labeler"})
    sandbox.accept_invitations(key=call.key)
    made = call(200, "POST", "/evaluation_tasks/categorization", json=body())["id"]
    sandbox.work(days=2)
    attempts = call(200, "GET", "/quality/labelers", params={"quality_task_ids": made})["docs"]
    assert {attempt["labeler_email"] for attempt in attempts} == {"a@example.com", "b@example.com"}
