"""The fidelity ledger: it leaves nothing out, and names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from refonte_frames.sandbox import fidelity
from refonte_frames.sandbox.routes import ROUTES

if TYPE_CHECKING:
    from refonte_frames.sandbox.session import Sandbox

ROOT = Path(__file__).parents[2]
ROWS = fidelity.ledger()
#: Answers to what is not the documented API: the control calls and the page.
NOT_THE_API = ("control.py", "page_routes.py")


def _emitted() -> set[int]:
    """Find the statuses of all refusals in the sandbox's code."""
    found: set[int] = set()
    for path in (ROOT / "refonte_frames" / "sandbox").glob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        for call in calls:
            is_refusal = getattr(call.func, "id", "") == "Refusal" and path.name not in NOT_THE_API
            if is_refusal and isinstance(call.args[0], ast.Constant):
                found.add(int(str(call.args[0].value)))
    return found


def _tests_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("route", [f"{verb} {path}" for verb, path, _ in ROUTES])
def test_every_route_has_a_row_of_its_own(route: str) -> None:
    """A route that nobody vouches for does not slip in."""
    assert any(route in row.routes for row in ROWS)


def test_every_status_of_a_refusal_has_a_row() -> None:
    """Of those in the code, found by reading it."""
    emitted = _emitted()
    assert {400, 401, 402, 404, 405, 409, 413, 415, 429} <= emitted
    assert emitted <= {status for row in ROWS for status in row.statuses}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_row_names_routes_and_a_test_that_exist(row: fidelity.Behaviour) -> None:
    """And says something."""
    path, _, name = row.test.partition("::")
    assert name in _tests_in(ROOT / path)
    assert set(row.routes) <= {"*", *(f"{verb} {path}" for verb, path, _ in ROUTES)}
    assert row.says.endswith(".")
    assert row.source


def test_no_two_rows_share_an_id() -> None:
    """Other texts refer to rows by it."""
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_the_readme_has_the_newest_summary() -> None:
    """`python -m refonte_frames.sandbox.fidelity README.md` writes it."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert fidelity.with_summary(text, ROWS) == text


def test_a_running_sandbox_serves_it(sandbox: Sandbox) -> None:
    """To anybody: it tells nothing that the package does not."""
    reply = requests.get(f"{sandbox.url}/_sandbox/fidelity", timeout=30).json()
    assert [row["id"] for row in reply["behaviours"]] == [row.id for row in ROWS]
    assert {row["validated"] for row in reply["behaviours"]} == {"never"}


def test_a_text_without_the_marks_is_not_written() -> None:
    """Rather than to guess where the table belongs."""
    with pytest.raises(ValueError, match="has no"):
        fidelity.with_summary("no marks", ROWS)
