"""The page about scale says what its program says, and the requests that it forecasts are those that are sent."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from listing import Listing, small_task

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "scale.md"


@pytest.fixture(scope="module")
def scale() -> Iterator[ModuleType]:
    """Import the program, which imports others of its folder when it is told to measure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import scale as program

        yield program


def test_the_tables_of_the_page_are_those_that_the_program_makes(scale: ModuleType) -> None:
    """`python benchmarks/scale.py --write docs/scale.md` would change nothing."""
    measured = json.loads(scale.UNITS.read_text("utf-8"))
    page = PAGE.read_text("utf-8")
    assert scale.written(page, scale.tables_of(measured)) == page
    assert page.count("<!-- scale: ") == page.count("<!-- end -->") == len(scale.tables_of(measured))


@pytest.mark.parametrize("count", [0, 3_000, 7_501])
def test_the_requests_that_are_forecast_are_sent(scale: ModuleType, count: int, tmp_path: Path) -> None:
    """Not one more or less, with windows and without."""
    tasks = [small_task(index, gap_ms=700) for index in range(count)]
    created = [round(datetime.fromisoformat(task["created_at"]).timestamp() * 1e6) for task in tasks]

    def within(start: int, end: int) -> int:
        return max(0, bisect_right(created, end) - bisect_left(created, start))

    with Listing(tasks[::-1]) as listing, rf.Client("live_scale", listing.base_url) as client:
        rf.export_tasks(tmp_path / "out", client=client, progress=False)
        expected = scale.forecast(within, count, created[-1] if created else 0) if count else None
        assert len(listing.requests) == (expected.all if expected else 1)
        listing.requests.clear()
        cut = rf.portions.plan(rows=600, client=client)
        if count:
            planned = scale.forecast(within, count, created[-1], rows=600)
            assert (len(listing.requests), len(cut)) == (planned.counts, planned.windows)


def test_a_billion_tasks_are_planned_by_the_planner_itself(scale: ModuleType) -> None:
    """So that nobody need believe a formula: a request in a hundred more than the pages, 25,000 tasks a window."""
    found = scale.forecast_of(10**9)
    assert 0.005 < found.all * 100 / 10**9 - 1 < 0.02
    assert 40_000 <= found.windows <= 50_000


@pytest.mark.slow
def test_the_forecast_holds_for_generated_tasks_with_latency(scale: ModuleType) -> None:
    """Over HTTP, with 16 workers; the time is no shorter than the forecast, which is latency or CPU alone."""
    found = scale.simulate(50_000, 20, 16)
    assert found["rows"] == 50_000
    assert found["requests"] == found["expected_requests"]


def test_numbers_are_said_as_people_say_them(scale: ModuleType) -> None:
    """Times and sizes each in the unit that suits them."""
    assert [scale.duration(secs) for secs in (40, 3_000, 50_000, 10**6, 10**8)] == [
        *("40 s", "50 min", "14 h", "11.6 days", "3.2 years")
    ]
    assert [scale.size(count) for count in (2.5e9, 7e12, 3e8)] == ["2.5 GB", "7.0 TB", "300 MB"]
