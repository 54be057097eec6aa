"""A running sandbox and a fresh world in it, for tests that also steer it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import requests

from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass
class World:
    """One key's view of a sandbox."""

    sandbox: Sandbox
    key: str
    session: requests.Session

    def call(self, verb: str, path: str, **details: Any) -> requests.Response:
        """Send one request."""
        details.setdefault("timeout", 30)
        return self.session.request(verb, self.sandbox.base_url + path, allow_redirects=False, **details)

    def ok(self, verb: str, path: str, **details: Any) -> Any:
        """Send one request that succeeds, and give its JSON."""
        reply = self.call(verb, path, **details)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def task(self, kind: str = "categorization", headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
        """Create a task; a categorization unless told otherwise."""
        given = {"attachment": "car", "attachment_type": "text", "categories": ["a", "b", "c", "d"]}
        sent = {**given, **body} if kind == "categorization" else body
        return self.ok("POST", f"/task/{kind}", json=sent, headers=headers)

    def total(self) -> int:
        """Count the tasks."""
        return self.ok("GET", "/tasks", params={"limit": 1})["total"]

    def all_tasks(self) -> list[dict[str, Any]]:
        """Read every task, newest first."""
        found: list[dict[str, Any]] = []
        page = self.ok("GET", "/tasks")
        while True:
            found += page["docs"]
            assert len(found) <= page["total"], "the pages do not end"
            if not page["has_more"]:
                return found
            page = self.ok("GET", "/tasks", params={"next_token": page["next_token"]})


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """Start one sandbox for all tests of this folder."""
    with Sandbox(seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """Give a sandbox without armed faults, before and after the test."""
    shared_sandbox.faults.clear()
    yield shared_sandbox
    shared_sandbox.faults.clear()


@pytest.fixture
def world_of() -> Iterator[Callable[..., World]]:
    """Give the maker of worlds of any sandbox."""
    sessions: list[requests.Session] = []

    def make(sandbox: Sandbox, key: str) -> World:
        session = requests.Session()
        sessions.append(session)
        session.trust_env = False
        session.auth = (key, "")
        return World(sandbox, key, session)

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def live(sandbox: Sandbox, world_of: Callable[..., World]) -> World:
    """Give a live world nobody used before."""
    return world_of(sandbox, f"live_{uuid.uuid4().hex[:20]}")


@pytest.fixture
def test_world(sandbox: Sandbox, world_of: Callable[..., World]) -> World:
    """Give a test world nobody used before."""
    return world_of(sandbox, f"test_{uuid.uuid4().hex[:20]}")
