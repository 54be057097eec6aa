"""The fixtures that the package brings for other people's tests, run by a pytest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

pytest_plugins = "pytester"

#: Each of these tests spoils what the others would see if the sandbox were not renewed.
PROGRAM = """
import pandas as pd
import pytest
import refonte_frames as rf

frame = pd.DataFrame({"attachment": ["a", "b"]})
params = {"attachment_type": "text", "categories": ["x", "y"]}

@pytest.mark.parametrize("number", range(4))
def test_submit(refonte_sandbox, refonte_client, number):
    receipt = rf.submit(frame, type="categorization", params=params, client=refonte_client, progress=False)
    assert list(receipt["outcome"]) == ["created", "created"]
    refonte_sandbox.work(days=3)
    assert len(rf.read_tasks(status="completed", client=refonte_client)) == 2
    assert refonte_sandbox.requests()[-1]["path"] == "/v1/tasks"
    assert refonte_sandbox.control("GET", "/clock")["rate"] == 1
    refonte_sandbox.fail_attachments("a")
    refonte_sandbox.clock.freeze()
    refonte_sandbox.faults.add("status", status=401, times=9)

def test_the_client_is_that_of_the_defaults(refonte_sandbox, refonte_client):
    rf.submit(frame, type="categorization", params=params, client=refonte_client, progress=False)
    assert len(refonte_sandbox.truth()) == 2
    with refonte_sandbox.activate():
        assert len(rf.read_tasks()) == 2
"""


def test_every_test_finds_the_sandbox_clean(pytester: pytest.Pytester) -> None:
    """Tasks, journals, faults, switches and the clock's rate of one test do not reach the next."""
    pytester.makepyfile(PROGRAM)
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=5)


def test_the_fixtures_work_in_parallel(pytester: pytest.Pytester) -> None:
    """Each process of pytest-xdist has a server of its own."""
    pytester.makepyfile(PROGRAM)
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-n", "2").assert_outcomes(passed=5)


def test_a_session_that_uses_no_fixture_loads_no_sandbox(pytester: pytest.Pytester) -> None:
    """The plugin is loaded into every pytest of the environment, so that it must cost nothing."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            heavy = {"refonte_frames.sandbox.session", "pandas", "pyarrow", "requests", "starlette"}
            assert not heavy & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-p", "no:schemathesis").assert_outcomes(passed=1)
