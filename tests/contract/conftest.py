"""A caller of the documented API that knows nothing but HTTP, and the service it calls.

By default that is a sandbox started here; REFONTE_CONTRACT_BASE_URL and REFONTE_CONTRACT_KEY (a test key) point the
same tests at another service. Tests that need a live key's waiting tasks, or an empty account, are skipped there.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import requests

from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET_URL = os.environ.get("REFONTE_CONTRACT_BASE_URL", "")
TARGET_KEY = os.environ.get("REFONTE_CONTRACT_KEY", "")


@dataclass
class Api:
    """One key's view of the service."""

    base_url: str
    session: requests.Session

    def call(self, verb: str, path: str, **details: Any) -> requests.Response:
        """Send one request; details as `requests` takes them."""
        return self.session.request(verb, self.base_url + path, timeout=30, allow_redirects=False, **details)

    def ok(self, verb: str, path: str, **details: Any) -> Any:
        """Send one request that succeeds, and give its JSON."""
        reply = self.call(verb, path, **details)
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"].startswith("application/json")
        return reply.json()

    def refused(self, status: int, verb: str, path: str, **details: Any) -> str:
        """Send one request that is refused in the documented shape, and give the sentence."""
        reply = self.call(verb, path, **details)
        assert reply.status_code == status, reply.text
        body = reply.json()
        assert body["status_code"] == status
        assert isinstance(body["error"], str)
        assert body["error"]
        return body["error"]

    def project(self, name: str, task_type: str = "categorization", **body: Any) -> dict[str, Any]:
        """Create a project."""
        return self.ok("POST", "/projects", json={"type": task_type, "name": name, **body})

    def batch(self, name: str, project: str, **body: Any) -> dict[str, Any]:
        """Create a batch."""
        return self.ok("POST", "/batches", json={"name": name, "project": project, **body})

    def task(self, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        """Create a categorization task."""
        return self.ok("POST", "/task/categorization", json=categorization(**body), headers=headers)

    def pages(self, **query: Any) -> list[list[str]]:
        """Walk `GET /tasks` to its end: the task ids of each page."""
        found: list[list[str]] = []
        token = None
        while True:
            assert len(found) < 200, "the pages do not end"
            page = self.ok("GET", "/tasks", params={**query, **({"next_token": token} if token else {})})
            found.append([task["task_id"] for task in page["docs"]])
            if not page["has_more"]:
                return found
            token = page["next_token"]


def categorization(**body: Any) -> dict[str, Any]:
    """Give the body of a task that every sandbox and service accepts."""
    return {"attachment": "car", "attachment_type": "text", "categories": ["big", "small"], **body}


@pytest.fixture
def body() -> Callable[..., dict[str, Any]]:
    """Give the maker of a valid categorization body."""
    return categorization


@pytest.fixture
def segment() -> Callable[[str], str]:
    """Give the encoder of a name in a path."""
    return lambda name: quote(name, safe="")


@pytest.fixture(scope="session")
def service_url() -> Iterator[str]:
    """Give the base URL of the service under test."""
    if TARGET_URL:
        yield TARGET_URL.rstrip("/")
        return
    with Sandbox(seed=7) as sandbox:
        yield sandbox.base_url


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Start a sandbox to steer: invitations are accepted and quality tasks tried only when it says so."""
    if TARGET_URL:
        pytest.skip("people accept and try when they like")
    with Sandbox(seed=7) as started:
        started.clock.freeze()
        yield started


@pytest.fixture
def name() -> str:
    """Make a name nobody used before."""
    return f"contract-{uuid.uuid4().hex[:12]}"


def _api(url: str, key: str) -> Iterator[Api]:
    with requests.Session() as session:
        session.trust_env = False
        session.auth = (key, "")
        yield Api(url, session)


@pytest.fixture
def api(service_url: str) -> Iterator[Api]:
    """Call with a test key, whose tasks end at once; in the sandbox its world is empty."""
    yield from _api(service_url, TARGET_KEY or f"test_{uuid.uuid4().hex[:20]}")


@pytest.fixture
def live(service_url: str) -> Iterator[Api]:
    """Call with a live key of an empty world, whose tasks wait."""
    if TARGET_URL:
        pytest.skip("a live key would make people work")
    yield from _api(service_url, f"live_{uuid.uuid4().hex[:20]}")
