"""A sandbox for this room, and a world of its own for every test."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import refonte_frames as rf
from refonte_frames.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """Start a sandbox that ends with the tests."""
    command = [sys.executable, "-m", "refonte_frames.sandbox", "--port", "0", "--exit-with-parent", "--strict"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["base_url"]
        process.terminate()


@pytest.fixture
def client(base_url: str) -> Iterator[Client]:
    """Connect to a world that nobody else uses; unknown parameters are refused there."""
    with Client(api_key=f"live_{secrets.token_hex(8)}", base_url=base_url) as client:
        yield client


@pytest.fixture(scope="session")
def studio_sandbox() -> Iterator[rf.Sandbox]:
    """Run a sandbox whose people can be told to accept; unknown parameters are refused there too."""
    with rf.Sandbox(strict=True) as running:
        yield running


@pytest.fixture
def studio(studio_sandbox: rf.Sandbox) -> Iterator[Client]:
    """Connect to a world with three labelers, ann, bob and cyd, and the Studio projects kittens and puppies."""
    key = f"live_{secrets.token_hex(8)}"
    with studio_sandbox.client(key) as client:
        rf.teams.invite([f"{name}@x.org" for name in ("ann", "bob", "cyd")], "labeler", client=client)
        studio_sandbox.accept_invitations(key=key)
        for project in ("kittens", "puppies"):
            rf.projects.create(project, type="imageannotation", studio=True, client=client)
        yield client
