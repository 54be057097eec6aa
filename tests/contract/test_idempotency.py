"""The Idempotency-Key (contract 1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


from concurrent.futures import ThreadPoolExecutor

import requests


def test_a_replay_returns_the_stored_answer_and_creates_nothing(live: Any) -> None:
    """Also after the task has changed."""
    headers = {"Idempotency-Key": "k"}
    first = live.task(headers, metadata={"a": 1})
    live.ok("POST", f"/task/{first['task_id']}/cancel")
    assert live.task(headers, metadata={"a": 1}) == first
    assert live.ok("GET", "/tasks")["total"] == 1


def test_order_of_keys_and_white_space_do_not_matter(live: Any) -> None:
    """The parameters are compared, not the bytes."""
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    one = b'{"attachment":"car","attachment_type":"text","categories":["a","b"]}'
    two = b'{ "categories": ["a", "b"],\n "attachment_type": "text", "attachment": "car" }'
    first = live.ok("POST", "/task/categorization", data=one, headers=headers)
    assert live.ok("POST", "/task/categorization", data=two, headers=headers) == first


def test_a_stored_refusal_is_replayed(live: Any, body: Callable[..., dict[str, Any]]) -> None:
    """A 400 and a 409 are kept like a success: mending the cause does not help this key."""
    bad = {"Idempotency-Key": "bad"}
    live.refused(400, "POST", "/task/categorization", json=body(project="late"), headers=bad)
    live.project("late")
    live.refused(400, "POST", "/task/categorization", json=body(project="late"), headers=bad)
    holder = live.task(unique_id="u")
    taken = {"Idempotency-Key": "taken"}
    live.refused(409, "POST", "/task/categorization", json=body(unique_id="u"), headers=taken)
    live.ok("DELETE", f"/task/{holder['task_id']}/unique_id")
    live.refused(409, "POST", "/task/categorization", json=body(unique_id="u"), headers=taken)


def test_other_parameters_under_the_same_key_are_409(live: Any, body: Callable[..., dict[str, Any]]) -> None:
    """Another body, and another type."""
    headers = {"Idempotency-Key": "k"}
    live.task(headers)
    sentence = live.refused(409, "POST", "/task/categorization", json=body(attachment="bus"), headers=headers)
    assert "Idempotency-Key" in sentence
    assert "unique_id" not in sentence
    live.refused(409, "POST", "/task/comparison", json=body(), headers=headers)
    assert live.ok("GET", "/tasks")["total"] == 1


def test_another_user_of_the_account_is_409(live: Any, body: Callable[..., dict[str, Any]], service_url: str) -> None:
    """The test and the live key of one name are two users of one account."""
    headers = {"Idempotency-Key": "k"}
    live.task(headers)
    other = (live.session.auth[0].replace("live_", "test_"), "")
    reply = requests.post(f"{service_url}/task/categorization", json=body(), headers=headers, auth=other, timeout=30)
    assert reply.status_code == 409


def test_the_key_is_asked_before_the_unique_id(live: Any) -> None:
    """A replay gives the stored success, not the refusal of its own unique_id."""
    headers = {"Idempotency-Key": "k"}
    assert live.task(headers, unique_id="u") == live.task(headers, unique_id="u")


def test_an_unauthorized_attempt_is_not_stored(
    live: Any, body: Callable[..., dict[str, Any]], service_url: str
) -> None:
    """There is no user to keep it for."""
    headers = {"Idempotency-Key": "k"}
    reply = requests.post(
        f"{service_url}/task/categorization", json=body(), headers=headers, auth=("bad", ""), timeout=30
    )
    assert reply.status_code == 401
    live.task(headers)


def test_the_header_does_nothing_elsewhere(live: Any) -> None:
    """It is documented for creating tasks."""
    headers = {"Idempotency-Key": "k"}
    live.project("p")
    live.ok("POST", "/projects", json={"type": "categorization", "name": "q"}, headers=headers)
    live.refused(409, "POST", "/projects", json={"type": "categorization", "name": "q"}, headers=headers)


def test_many_at_once_create_one_task(live: Any, body: Callable[..., dict[str, Any]]) -> None:
    """Each caller gets the same task, or a 429 that may be tried again."""

    def post(_: int) -> requests.Response:
        return requests.post(
            f"{live.base_url}/task/categorization",
            json=body(),
            headers={"Idempotency-Key": "k"},
            auth=live.session.auth,
            timeout=30,
        )

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(post, range(24)))
    assert {reply.status_code for reply in replies} <= {200, 429}
    assert len({reply.json()["task_id"] for reply in replies if reply.status_code == 200}) == 1
    assert live.ok("GET", "/tasks")["total"] == 1
