"""`GET /tasks`: filters, pages and tokens (contract 1.6, 2.3)."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest


@pytest.fixture
def seven(live: Any) -> list[str]:
    """Make seven tasks of a live key, oldest first."""
    live.project("p")
    live.project("q")
    live.batch("b", "p")
    made = [
        live.task(project="p", unique_id="u,0", tags=["red"]),
        live.task(batch="b", unique_id="u1", tags=["red", "blue"]),
        live.task(project="q", unique_id="u2", tags=["blue"]),
        live.task(unique_id="u3"),
        live.ok("POST", "/task/namedentityrecognition", json={"text": "Ada", "labels": ["person"]}),
        live.task(batch="b"),
        live.task(project="p"),
    ]
    live.ok("POST", f"/task/{made[5]['task_id']}/cancel")
    return [task["task_id"] for task in made]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"project": "p"}, [6, 5, 1, 0]),
        ({"project": "none"}, []),
        ({"batch": "b"}, [5, 1]),
        ({"type": "namedentityrecognition"}, [4]),
        ({"type": "nonsense"}, []),
        ({"status": "canceled"}, [5]),
        ({"status": "pending", "project": "p"}, [6, 1, 0]),
        ({"status": "pending", "batch": "b"}, [1]),
        ({"unique_id": "u1"}, [1]),
        ({"unique_id": ["u2", "u1", "zzz"]}, [2, 1]),
        ({"unique_id": "u,0"}, [0]),
        ({"tags": "red"}, [1, 0]),
        ({"tags": ["red", "blue"]}, [2, 1, 0]),
        ({"tags": "red,blue"}, [2, 1, 0]),
        ({"tags": "blue", "project": "p"}, [1]),
        ({"customer_review_status": "accepted"}, []),
        ({"start_time": "2001-01-01", "project": "p"}, [6, 5, 1, 0]),
        ({"end_time": "2001-01-01"}, []),
        ({"updated_after": "2001-01-01T00:00:00+02:00"}, [6, 5, 4, 3, 2, 1, 0]),
        ({"updated_before": "2001-01-01 10:00:00.123456"}, []),
        ({"completed_after": "2001-01-01"}, [5]),
        ({"completed_before": "2001-01-01T00:00:00Z"}, []),
    ],
)
def test_a_filter_finds_its_tasks_newest_first(
    live: Any, seven: list[str], query: dict[str, Any], numbers: list[int]
) -> None:
    """All given conditions hold; any of several tags or ids; total counts them all."""
    page = live.ok("GET", "/tasks", params=query)
    assert [task["task_id"] for task in page["docs"]] == [seven[n] for n in numbers]
    assert page["total"] == len(numbers)
    assert page["has_more"] is False
    assert "next_token" not in page
    assert page["limit"] == 100
    assert page["offset"] == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
@pytest.mark.parametrize("query", [{}, {"project": "p"}, {"tags": ["red", "blue"]}, {"updated_after": "2001-01-01"}])
@pytest.mark.usefixtures("seven")
def test_pages_hold_every_task_once_in_order(live: Any, limit: int, query: dict[str, Any]) -> None:
    """Whatever the size of the page."""
    whole = [task["task_id"] for task in live.ok("GET", "/tasks", params=query)["docs"]]
    pages = live.pages(limit=limit, **query)
    assert [task_id for page in pages for task_id in page] == whole
    assert all(len(page) == limit for page in pages[:-1])


def test_tasks_created_while_paging_do_not_shift_the_pages(live: Any, seven: list[str]) -> None:
    """The token is a key, not a position; the total stays that of the first page."""
    first = live.ok("GET", "/tasks", params={"limit": 3})
    live.task()
    second = live.ok("GET", "/tasks", params={"limit": 3, "next_token": first["next_token"]})
    assert [task["task_id"] for task in second["docs"]] == [seven[3], seven[2], seven[1]]
    assert second["total"] == 7


def test_the_token_names_the_last_task_as_in_the_documented_example(live: Any, seven: list[str]) -> None:
    """It is base64 of JSON that begins with the task id."""
    token = live.ok("GET", "/tasks", params={"limit": 2})["next_token"]
    assert token.startswith("eyJ0YXNrX2lkIjoi")
    claims = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    assert claims["task_id"] == seven[5]


def test_a_bad_token_is_400(live: Any, seven: list[str]) -> None:
    """Nonsense, a tampered one, and one that was made for other filters."""
    token = live.ok("GET", "/tasks", params={"limit": 2})["next_token"]
    forged = base64.urlsafe_b64encode(json.dumps({"task_id": seven[3]}).encode()).decode()
    for wrong in ("", "x", "é", token[:-4], token.upper(), forged, "bnVsbA==", "W10="):
        live.refused(400, "GET", "/tasks", params={"limit": 2, "next_token": wrong})
    live.refused(400, "GET", "/tasks", params={"limit": 2, "next_token": token, "project": "p"})
    live.ok("GET", "/tasks", params={"limit": 5, "next_token": token})


@pytest.mark.usefixtures("seven")
def test_the_token_of_another_world_is_400(live: Any, api: Any) -> None:
    """Pages of one account never continue another's."""
    token = live.ok("GET", "/tasks", params={"limit": 2})["next_token"]
    api.refused(400, "GET", "/tasks", params={"limit": 2, "next_token": token})


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "ten"},
        {"limit": "1.0"},
        {"offset": 0},
        {"status": "done"},
        {"status": ["pending", "completed"]},
        {"customer_review_status": "accepted,liked"},
        {"start_time": "yesterday"},
        {"updated_after": ""},
        {"include_attachment_url": "maybe"},
        {"unique_id": ""},
    ],
)
def test_an_unacceptable_query_is_400(api: Any, query: dict[str, Any]) -> None:
    """It is refused, not guessed at."""
    api.refused(400, "GET", "/tasks", params=query)


def test_an_unknown_query_name_is_warned_of(api: Any) -> None:
    """Ignored, but not in silence."""
    reply = api.call("GET", "/tasks", params={"colour": "red"})
    assert reply.status_code == 200
    assert "colour" in reply.headers["warning"]


def test_bounds_on_times_are_inclusive(live: Any) -> None:
    """A task at the bound is in the window, from both sides."""
    task = live.task()
    moment = task["created_at"]
    for query in ({"start_time": moment}, {"end_time": moment}, {"updated_after": moment}, {"updated_before": moment}):
        assert task["task_id"] in [found["task_id"] for found in live.ok("GET", "/tasks", params=query)["docs"]]


def test_reviews_are_filtered_by_a_comma_list(api: Any, name: str) -> None:
    """As the published client sends it."""
    tasks = [api.task(tags=[name]) for _ in range(3)]
    api.ok("POST", f"/task/{tasks[0]['task_id']}/audit", json={"accepted": True})
    api.ok("POST", f"/task/{tasks[1]['task_id']}/audit", json={"accepted": False})
    for reviews, numbers in (("accepted", [0]), ("accepted,rejected", [1, 0]), ("pending", [2])):
        page = api.ok("GET", "/tasks", params={"customer_review_status": reviews, "tags": name})
        assert [task["task_id"] for task in page["docs"]] == [tasks[n]["task_id"] for n in numbers]


def test_attachment_urls_are_added_on_request(live: Any) -> None:
    """Only then, one or a list as the attachments are."""
    live.ok(
        "POST", "/task/imageannotation", json={"attachment": "https://example.com/1.jpg", "geometries": {"box": {}}}
    )
    sent = {
        "attachments": ["https://example.com/a?b=1", "https://example.com/c"],
        "attachment_type": "image",
        "choices": ["x"],
    }
    live.ok("POST", "/task/comparison", json=sent)
    assert "attachment_url" not in live.ok("GET", "/tasks")["docs"][0]
    two, one = live.ok("GET", "/tasks", params={"include_attachment_url": True})["docs"]
    assert one["attachment_url"].startswith("https://example.com/1.jpg?")
    assert [url.split("&")[0] for url in two["attachment_url"][:1]] == ["https://example.com/a?b=1"]


def test_a_limited_response_holds_few_keys(live: Any, name: str) -> None:
    """Those the published client documents."""
    live.project(name)
    live.task(project=name, metadata={"a": 1})
    (doc,) = live.ok("GET", "/tasks", params={"limited_response": "True"})["docs"]
    assert set(doc) == {"task_id", "status", "metadata", "project", "otherVersion"}


def test_a_listed_task_is_the_task_that_is_read(live: Any, seven: list[str]) -> None:
    """The same object from both calls, after changes too."""
    live.ok("POST", f"/task/{seven[2]}/setMetadata", json={"a": 1})
    live.ok("PUT", f"/task/{seven[2]}/tags", json=["green"])
    for listed in live.ok("GET", "/tasks")["docs"]:
        assert live.ok("GET", f"/task/{listed['task_id']}") == listed
    assert [task["task_id"] for task in live.ok("GET", "/tasks", params={"tags": "green"})["docs"]] == [seven[2]]
