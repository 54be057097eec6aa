"""Fixtures that all rooms share: one sandbox a session, a world of its own for every test."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator

# Tests import their neighbours (raw_server, service) by name.
sys.path.insert(0, str(Path(__file__).parent))

# No test may find the settings, or reach the journals, of the person who runs it.
for name in ("REFONTE_API_KEY", "REFONTE_BASE_URL", "REFONTE_STATE_DIR", "REFONTE_PROGRESS"):
    os.environ.pop(name, None)


# The gate has minutes, and runs with every change; the nightly run has hours.
settings.register_profile("gate", deadline=None, max_examples=50)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[rf.Sandbox]:
    """Run a sandbox for the whole session."""
    with rf.Sandbox(seed=7) as running:
        yield running


@pytest.fixture
def key() -> str:
    """Make a live key of a world that nobody else has seen."""
    return f"live_{uuid.uuid4().hex[:20]}"


@pytest.fixture
def client(sandbox: rf.Sandbox, key: str) -> Iterator[rf.Client]:
    """Make a client of a fresh live world; faults ordered in the test end with it."""
    client = sandbox.client(key)
    yield client
    client.close()
    sandbox.faults.clear()
