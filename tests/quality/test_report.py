"""The report: one page, safe with hostile names, readable in a browser, honest on what it cannot say."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import refonte_frames as rf
from refonte_frames.quality.turnaround import lives_of

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '<img src=x onerror=alert(1)> "$\\alpha$" {{7*7}}'


def attempts(seed: int = 0) -> pd.DataFrame:
    """Make attempts of six labelers over six weeks; one has a name that was made to break pages."""
    generator = np.random.default_rng(seed)
    n = 600
    who = generator.choice(["ana", "bob", "cy", "dee", "eve", HOSTILE], n)
    passed = generator.random(n) < 0.8
    answers = [json.dumps({"category": "cat" if ok else "</script><b>dog"}) for ok in passed]
    return pd.DataFrame(
        {
            "labeler": who,
            "quality_task_id": generator.choice([f"q{number}" for number in range(30)], n),
            "attempt_number": generator.integers(1, 4, n),
            "passed": passed,
            "duration_secs": generator.lognormal(4, 0.4, n),
            "completed_at": pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(generator.uniform(0, 42, n), "D"),
            "type": "categorization",
            "response_json": answers,
        }
    )


def tasks() -> pd.DataFrame:
    """Make tasks of which some are open."""
    created = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(np.arange(60), "h")
    is_done = np.arange(60) % 4 != 0
    completed = (created + pd.to_timedelta(np.arange(60) + 1, "min")).where(is_done)
    status = np.where(is_done, "completed", "pending")
    ids = [f"t{number}" for number in range(60)]
    return pd.DataFrame({"task_id": ids, "status": status, "created_at": created, "completed_at": completed})


def test_names_and_labels_are_never_taken_for_html(tmp_path: Path) -> None:
    """A labeler's name and an answer stand there as text, and the page's own script is data only."""
    page = rf.quality.report({"attempts": attempts()}, tmp_path / "report.html").read_text("utf-8")
    assert "<img" not in page
    assert "<b>dog" not in page
    assert "{{7*7}}" in page
    assert page.count("<script") == 1
    assert "default-src 'none'" in page


def test_the_next_report_says_what_changed(tmp_path: Path) -> None:
    """Figures of the page that it replaces stand beside today's."""
    path = tmp_path / "report.html"
    first = rf.quality.report({"attempts": attempts()}, path).read_text("utf-8")
    assert "There was no earlier report in this place" in first
    worse = attempts().assign(passed=lambda rows: rows["passed"] & (rows.index % 2 == 0))
    second = rf.quality.report({"attempts": worse}, path).read_text("utf-8")
    assert "<td>yes</td>" in second
    assert "Pass rate" in second


def test_a_damaged_earlier_page_is_no_obstacle(tmp_path: Path) -> None:
    """What cannot be read is as good as none."""
    path = tmp_path / "report.html"
    path.write_text('<script type="application/json" id="figures">{broken</script>', "utf-8")
    assert "There was no earlier report" in rf.quality.report({"attempts": attempts()}, path).read_text("utf-8")


def test_what_the_tables_cannot_answer_is_named(tmp_path: Path) -> None:
    """Parts without data are listed with the reason; open tasks are counted."""
    page = rf.quality.report({"tasks": tasks()}, tmp_path / "report.html").read_text("utf-8")
    assert "<strong>Labelers</strong>: There are no attempts among the tables." in page
    assert "<td>censored</td><td>60</td><td>15</td>" in page
    one_week = attempts().assign(completed_at="2026-01-05")
    page = rf.quality.report({"attempts": one_week}, tmp_path / "other.html").read_text("utf-8")
    assert "<strong>Drift</strong>: There are 1 weeks with attempts" in page


def test_a_folder_and_an_export_are_taken_as_they_are(client: rf.Client, tmp_path: Path) -> None:
    """An exported folder is reported on by its path."""
    frame = pd.DataFrame({"attachment": ["x", "y"]})
    params = {"attachment_type": "text", "categories": ["a", "b"]}
    rf.submit(frame, type="categorization", params=params, progress=False, client=client)
    rf.export_tasks(tmp_path / "export", progress=False, client=client)
    page = rf.quality.report(tmp_path / "export", tmp_path / "report.html")
    assert "2 tasks" in page.read_text("utf-8")
    same = rf.quality.report(rf.open_export(tmp_path / "export"), tmp_path / "same.html")
    assert "2 tasks" in same.read_text("utf-8")


def test_nothing_to_say_and_nowhere_to_write_are_errors(tmp_path: Path) -> None:
    """Both leave what is there alone."""
    with pytest.raises(rf.InputError, match="There is nothing to report on"):
        rf.quality.report({"attempts": attempts().head(0)}, tmp_path / "report.html")
    with pytest.raises(rf.InputError, match="There is no table 'attempt'"):
        rf.quality.report({"attempt": attempts()}, tmp_path / "report.html")
    (tmp_path / "file").write_text("mine", "utf-8")
    with pytest.raises(rf.InputError, match="cannot be written"):
        rf.quality.report({"attempts": attempts()}, tmp_path / "file" / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.browser
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it_whole_and_asks_nobody(tmp_path: Path, width: int) -> None:
    """No request leaves, nothing runs, nothing is wider than the screen, every picture has a text."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    page_path = rf.quality.report({"attempts": attempts(), "tasks": tasks()}, tmp_path / "report.html")
    seen: list[Any] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: seen.append(request.url) if request.url != page_path.as_uri() else None)
        page.on("dialog", lambda dialog: seen.append(dialog.message))
        page.on("console", lambda message: seen.append(message.text))
        page.goto(page_path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        figures, named = (page.locator(css).count() for css in ("figure svg", "figure[aria-label]"))
        assert figures == named > 3
        assert page.locator("section h2").count() >= 6
        browser.close()
    assert seen == []


def test_picture_and_table_count_canceled_tasks_alike() -> None:
    """A canceled task was watched until it was canceled, not until the export: for both by one function."""
    rows = pd.DataFrame(
        {
            "status": ["completed", "canceled", "pending"],
            "created_at": "2026-01-01T00:00:00Z",
            "completed_at": ["2026-01-01T00:01:00Z", None, None],
            "updated_at": ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z", None],
            "exported_at": "2026-01-01T01:00:00Z",
        }
    )
    assert lives_of(rows)["secs"].tolist() == [60, 120, 3600]
