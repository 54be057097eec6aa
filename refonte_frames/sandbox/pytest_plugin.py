"""Fixtures for the tests of programs that use this package; loaded by pytest, it imports the sandbox when one is used.

Each process of pytest-xdist has a session of its own, and with it a server of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refonte_frames.client import Client
    from refonte_frames.sandbox.session import Sandbox

__all__ = ["refonte_client", "refonte_sandbox", "refonte_server"]

#: The worlds that `Sandbox.client`, `Sandbox.truth` and the others mean when they are given no key.
_DEFAULT_KEYS = ("live_demo", "test_demo")


@pytest.fixture(scope="session")
def refonte_server() -> Iterator[Sandbox]:
    """Run one sandbox for the whole session; tests take `refonte_sandbox`, which is clean."""
    from refonte_frames.sandbox.session import Sandbox  # noqa: PLC0415 - only sessions that use it pay for it

    with Sandbox(seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def refonte_sandbox(refonte_server: Sandbox) -> Iterator[Sandbox]:
    """Give the session's sandbox as if it were new, but for its time, which only goes forward.

    The worlds of ``live_demo`` and ``test_demo`` are empty, no journal remembers them, no fault is armed, and the
    clock goes at the pace of real time. Worlds of other keys keep what they hold: name them after the test.
    """
    _renew(refonte_server)
    yield refonte_server
    refonte_server.faults.clear()


def _renew(sandbox: Sandbox) -> None:
    sandbox.faults.clear()
    sandbox.clock.scale(1)
    sandbox.reset_switches()
    for key in _DEFAULT_KEYS:
        sandbox.reset(key=key)
    sandbox.forget_clients()


@pytest.fixture
def refonte_client(refonte_sandbox: Sandbox) -> Client:
    """Give a client of the empty world of ``live_demo`` in `refonte_sandbox`: its tasks wait for ``work``."""
    return refonte_sandbox.client()
