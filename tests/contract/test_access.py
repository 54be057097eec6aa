"""Who is let in, and what an unacceptable request is told (contract 1.1 to 1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


import base64
import json

import pytest
import requests


def basic(text: str) -> dict[str, str]:
    """Write an Authorization header."""
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("nobody:"),
        basic("test_Capital:"),
        basic("test_" + "a" * 25 + ":"),
        basic("test_:"),
        basic("test_demo:password"),
        basic("test_demo"),
        {"Authorization": "test_demo"},
        {"Authorization": "Bearer test_demo"},
        {"Authorization": "Basic %%%"},
    ],
)
def test_anything_but_a_key_with_an_empty_password_is_401(service_url: str, headers: dict[str, str]) -> None:
    """A missing, malformed or foreign credential is refused in the documented shape."""
    reply = requests.get(f"{service_url}/tasks", headers=headers, timeout=30)
    assert reply.status_code == 401
    assert reply.json()["status_code"] == 401


def test_the_scheme_is_read_whatever_its_case(service_url: str) -> None:
    """HTTP says that authentication schemes have no case."""
    headers = {"Authorization": basic("test_scheme:")["Authorization"].replace("Basic", "bAsIc")}
    assert requests.get(f"{service_url}/tasks", headers=headers, timeout=30).status_code == 200


def test_a_live_object_is_unknown_to_the_test_key(live: Any, service_url: str, name: str) -> None:
    """The two modes of one account share nothing, and say so as if the object did not exist."""
    live.project(name)
    task = live.task(project=name)
    key = live.session.auth[0].replace("live_", "test_")
    for path in (f"/projects/{name}", f"/task/{task['task_id']}"):
        assert requests.get(service_url + path, auth=(key, ""), timeout=30).status_code == 404
    sent = {"name": "b", "project": name}
    assert requests.post(f"{service_url}/batches", json=sent, auth=(key, ""), timeout=30).status_code == 400


def test_an_unknown_path_is_404(api: Any) -> None:
    """A path that is not documented is refused in the documented shape."""
    api.refused(404, "GET", "/no/such/thing")


@pytest.mark.parametrize(("verb", "path"), [("PUT", "/tasks"), ("DELETE", "/projects"), ("GET", "/batches/x/finalize")])
def test_a_wrong_verb_is_405_and_names_the_right_ones(api: Any, verb: str, path: str) -> None:
    """The Allow header tells what would have been possible."""
    api.refused(405, verb, path)
    assert "GET" in api.call(verb, path).headers["allow"] or "POST" in api.call(verb, path).headers["allow"]


def test_a_segment_that_is_no_utf8_is_404(api: Any) -> None:
    """A percent-encoded byte salad names nothing."""
    api.refused(404, "GET", "/batches/%ff%fe")


def test_a_query_that_is_no_utf8_is_400(api: Any) -> None:
    """The same in a query is an invalid parameter."""
    api.refused(400, "GET", "/tasks?project=%ff")


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b'{"attachment": NaN}',
        b'{"attachment": Infinity}',
        b'{"priority": 1e999}',
        b'{"attachment": "\\ud800"}',
        b'{"attachment": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 1000 + b"]" * 1000,
        b'{"metadata": ' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"}",
        b"[]",
        b'"text"',
        b"null",
        b"{} {}",
        b'{"attachment": "\x00"}',
    ],
)
def test_a_body_that_is_no_strict_json_object_is_400(api: Any, text: bytes) -> None:
    """NaN, lone surrogates, marks, depth and trailing text are refused, and the next request works."""
    api.refused(400, "POST", "/task/categorization", data=text, headers={"Content-Type": "application/json"})
    api.task()


@pytest.mark.parametrize(("depth", "status"), [(90, 200), (101, 400), (990, 400), (100_000, 400)])
def test_deep_nesting_is_refused(api: Any, body: Callable[..., dict[str, Any]], depth: int, status: int) -> None:
    """At about a hundred levels, long before anything of the server's could overflow."""
    text = json.dumps(body(metadata={"a": "DEEP"})).replace('"DEEP"', "[" * depth + "]" * depth)
    reply = api.call("POST", "/task/categorization", data=text, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert (status == 200) or "levels deep" in reply.json()["error"]


def test_another_content_type_is_415(api: Any) -> None:
    """A creation takes JSON and forms only."""
    api.refused(415, "POST", "/task/categorization", data="<xml/>", headers={"Content-Type": "application/xml"})


def test_a_huge_body_is_413_and_the_connection_survives(api: Any, body: Callable[..., dict[str, Any]]) -> None:
    """The answer arrives although the body was not kept."""
    huge = b'{"attachment": "' + b"x" * 17_000_000 + b'"}'
    api.refused(413, "POST", "/task/categorization", data=huge, headers={"Content-Type": "application/json"})
    api.ok("POST", "/task/categorization", json=body())


def test_ten_megabytes_of_text_are_accepted(api: Any, body: Callable[..., dict[str, Any]]) -> None:
    """A long document is no abuse."""
    task = api.ok("POST", "/task/categorization", json=body(attachment="x" * 10_000_000))
    assert len(task["params"]["attachment"]) == 10_000_000


@pytest.mark.parametrize("path", ["/projects", "/batches", "/task/categorization"])
def test_an_empty_body_is_an_empty_object(api: Any, path: str) -> None:
    """A client that sends nothing for {} is told what is missing."""
    assert "required" in api.refused(400, "POST", path) or "attachment" in api.refused(400, "POST", path)


def test_a_foreign_host_header_is_refused(service_url: str) -> None:
    """A web page whose name was pointed at this machine gets nothing."""
    if not service_url.startswith("http://127.0.0.1"):
        pytest.skip("about the sandbox only")
    headers = {"Host": "evil.example:80"}
    assert requests.get(f"{service_url}/tasks", headers=headers, auth=("test_a", ""), timeout=30).status_code == 403


def test_a_foreign_origin_is_refused(service_url: str) -> None:
    """A web page of somebody else cannot call the sandbox."""
    if not service_url.startswith("http://127.0.0.1"):
        pytest.skip("about the sandbox only")
    headers = {"Origin": "http://evil.example"}
    assert requests.get(f"{service_url}/tasks", headers=headers, auth=("test_a", ""), timeout=30).status_code == 403


UNKNOWN_TO = """
POST /projects/NAME/setParams? | POST /batches/NAME/prioritize {"priority": 10} | POST /batches/NAME/finalize
POST /batches/NAME/setMetadata? | POST /task/TASK/unique_id {"unique_id": "NAME"} | DELETE /task/TASK/unique_id
POST /task/TASK/tags? ["a"] | PUT /task/TASK/tags? ["a"] | DELETE /task/TASK/tags? ["a"] | POST /task/TASK/setMetadata?
POST /task/TASK/audit {"accepted": true} | POST /task/categorization? TASKBODY | POST /projects {"type": "comparison"}
POST /teams/invite {"emails": "a@example.com", "team_role": "labeler"} | GET /studio/projects/NAME/groups?
POST /studio/assignments/add {"emails": "admin@example.com", "projects": ["NAME"]} | GET /projects/NAME? | GET /teams?
POST /studio/projects/NAME/groups {"emails": "admin@example.com"} | PUT /studio/batches/NAME {"groups": []}
POST /studio/batches/reset_priorities | POST /studio/projects/NAME/send_tasks_to_completed {"all_batches": true}
POST /projects/NAME/updatePipelineConfig {"pipeline": "standard_task"} | POST /files/import {"file_url": "http://x/y"}
"""


@pytest.mark.parametrize("call", [call.strip() for line in UNKNOWN_TO.split("\n") for call in line.split("|") if call])
def test_no_call_passes_over_an_unknown_name_in_silence(
    api: Any, body: Callable[..., dict[str, Any]], name: str, call: str
) -> None:
    """In the query of every call, and in the body of every one that reads a body of documented names."""
    api.project(name, studio=True)
    api.batch(name, name)
    api.ok("POST", "/studio/assignments/add", json={"emails": ["admin@example.com"], "projects": [name]})
    task = api.task()
    verb, path, *given = call.replace("NAME", name).replace("TASKBODY", json.dumps(body())).split(" ", 2)
    path = path.replace("TASK", task["task_id"])
    sent = json.loads(given[0]) if given else {}
    is_own = path.endswith("?")
    if not is_own:
        sent |= {"colour": "red", "shade": None}
        sent.setdefault("name", f"{name}-2")
    query = {"colour": "red"} if is_own else {}
    reply = api.call(verb, path.rstrip("?"), params=query, json=sent if verb != "GET" else None)
    assert reply.status_code == 200, reply.text
    assert "colour" in reply.headers["warning"]
    assert "shade" not in reply.headers["warning"]
