"""The OpenAPI document: complete, valid, and kept by the server under requests made up from it."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans, sampled_from
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from refonte_frames.errors import SandboxError
from refonte_frames.sandbox.control import CONTROL_ROUTES
from refonte_frames.sandbox.routes import ROUTES
from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

DOSE = 8 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
CREATION = "POST /task/{name}"
TASK = {"attachment": "a", "attachment_type": "text", "categories": ["b"]}
#: Names of things that exist; the task's id is put there when it does.
KNOWN = {"project": "0", "batch": "0", "group": "0"}
KEY = {"Authorization": "Basic " + base64.b64encode(b"live_openapi:").decode()}


@pytest.fixture(scope="session")
def described(shared_sandbox: Sandbox) -> Any:
    """Give the document of a running sandbox, in whose world a few things exist."""
    made = [
        ("/projects", {"type": "categorization", "name": "0", "studio": True}),
        ("/batches", {"project": "0", "name": "0"}),
        ("/studio/assignments/add", {"emails": ["admin@example.com"], "projects": ["0"]}),
        ("/studio/projects/0/groups", {"name": "0", "emails": ["admin@example.com"]}),
        ("/task/categorization", {**TASK, "tags": ["0"]}),
    ]
    for path, body in made:
        reply = requests.post(shared_sandbox.base_url + path, json=body, headers=KEY, timeout=30)
        assert reply.status_code == 200, reply.text
        KNOWN["name"] = reply.json().get("task_id", "")
    return schemathesis.openapi.from_url(f"{shared_sandbox.url}/_sandbox/openapi.json")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", [f"{verb} {path}" for verb, path, _ in ROUTES])
def test_the_server_keeps_its_description(described: Any, route: str, mode: GenerationMode) -> None:
    """No request made up from it, valid or not, crashes the server or gets an answer that is not described."""
    verb, path = route.split()
    operation = described[path][verb]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return  # nothing in it can be wrong

    @settings(max_examples=DOSE, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy(generation_mode=mode), is_known=booleans())
    def keep(case: Any, *, is_known: bool) -> None:
        case.headers = {**(case.headers or {}), **KEY}  # otherwise most requests have made-up keys
        if is_known:
            case.path_parameters = {name: KNOWN.get(name, value) for name, value in case.path_parameters.items()}
            case.path_parameters |= {"name": "categorization"} if "_tasks" in path or route == CREATION else {}
        if is_known and route == CREATION and isinstance(case.body, dict):
            case.body = {**case.body, **TASK}
        case.call_and_validate(checks=CHECKS)

    keep()


@pytest.fixture(scope="session")
def steered() -> Iterator[tuple[Any, dict[str, str]]]:
    """Give the document of the control calls of a sandbox that may lose all sense of time, and its token."""
    with Sandbox(seed=7) as sandbox:
        auth = ("live_openapi", "")
        task = requests.post(f"{sandbox.base_url}/task/categorization", json=TASK, auth=auth, timeout=30).json()
        KNOWN_TASK["name"] = task["task_id"]
        token = sandbox.page_url.partition("token=")[2]
        yield schemathesis.openapi.from_url(f"{sandbox.url}/_sandbox/openapi-control.json"), {"X-Sandbox-Token": token}


KNOWN_TASK: dict[str, str] = {}
STEERING = [f"{verb} {path}" for verb, path, _ in CONTROL_ROUTES]


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", STEERING)
def test_control_calls_keep_their_description(steered: Any, route: str, mode: GenerationMode) -> None:
    """No request made up from it crashes the server; with the token and without."""
    document, token = steered
    verb, path = route.split()
    operation = document[path][verb]
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return  # nothing in it can be wrong

    @settings(max_examples=DOSE, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(case=operation.as_strategy(generation_mode=mode), has_token=sampled_from([True, True, True, False]))
    def keep(case: Any, *, has_token: bool) -> None:
        case.headers = token if has_token else {}
        case.path_parameters = {name: KNOWN_TASK.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(checks=CHECKS)

    keep()


def test_the_control_document_describes_every_call(sandbox: Sandbox) -> None:
    """And says which of them need no token."""
    found = requests.get(f"{sandbox.url}/_sandbox/openapi-control.json", timeout=30).json()
    described = {f"{verb.upper()} {path}" for path, verbs in found["paths"].items() for verb in verbs}
    assert described == {*STEERING, "GET /_sandbox/openapi.json", "GET /_sandbox/openapi-control.json"}
    for path, verbs in found["paths"].items():
        for verb, operation in verbs.items():
            reply = requests.request(verb, sandbox.url + path.replace("{", "").replace("}", ""), timeout=30)
            assert (reply.status_code == 403) == ("security" not in operation)


def test_the_control_document_tells_the_limits_of_a_fault(sandbox: Sandbox) -> None:
    """As the service holds them."""
    found = requests.get(f"{sandbox.url}/_sandbox/openapi-control.json", timeout=30).json()
    body = found["paths"]["/_sandbox/faults"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["p"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert body["properties"]["status"] == {"type": "integer", "minimum": 200, "maximum": 599}


@pytest.mark.parametrize(
    "path", ["/clock", "/work", "/reset", "/truth", "/quality_truth", "/callback_url", "/callbacks", "/faults"]
)
def test_a_slip_of_the_pen_steers_nothing(sandbox: Sandbox, path: str) -> None:
    """A name that a control call does not know is refused."""
    with pytest.raises(SandboxError, match="avance"):
        sandbox.control("POST", path, {"avance": 1})


def test_it_describes_every_route(sandbox: Sandbox) -> None:
    """And no other."""
    found = requests.get(f"{sandbox.url}/_sandbox/openapi.json", timeout=30).json()
    described = {f"{verb.upper()} {path}" for path, verbs in found["paths"].items() for verb in verbs}
    assert described == {f"{verb} {path}" for verb, path, _ in ROUTES}
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": sandbox.base_url}]
