"""The OpenAPI document: complete, valid, and kept by the server under requests made up from it."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from refonte_frames.sandbox.routes import ROUTES

if TYPE_CHECKING:
    from refonte_frames.sandbox.session import Sandbox

DOSE = 8 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
KEY = {"Authorization": "Basic " + base64.b64encode(b"live_openapi:").decode()}


@pytest.fixture(scope="session")
def described(shared_sandbox: Sandbox) -> Any:
    """Give the document of a running sandbox, in whose world a few things exist."""
    made = [
        ("/projects", {"type": "categorization", "name": "0", "studio": True}),
        ("/batches", {"project": "0", "name": "0"}),
        ("/task/categorization", {"attachment": "a", "attachment_type": "text", "categories": ["b"], "tags": ["0"]}),
    ]
    for path, body in made:
        assert requests.post(shared_sandbox.base_url + path, json=body, headers=KEY, timeout=30).status_code == 200
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
    @given(case=operation.as_strategy(generation_mode=mode))
    def keep(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers=KEY)

    keep()


def test_it_describes_every_route(sandbox: Sandbox) -> None:
    """And no other."""
    found = requests.get(f"{sandbox.url}/_sandbox/openapi.json", timeout=30).json()
    described = {f"{verb.upper()} {path}" for path, verbs in found["paths"].items() for verb in verbs}
    assert described == {f"{verb} {path}" for verb, path, _ in ROUTES}
    assert found["openapi"].startswith("3.1")
    assert found["servers"] == [{"url": sandbox.base_url}]
