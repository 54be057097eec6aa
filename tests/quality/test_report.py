"""The report: one page, safe with hostile names, readable in a browser, honest on what it cannot say."""

from __future__ import annotations

import html
import json
import re
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


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one page of attempts and tasks for several tests that only look at it."""
    return rf.quality.report({"attempts": attempts(), "tasks": tasks()}, tmp_path_factory.mktemp("page") / "page.html")


def test_names_and_labels_are_never_taken_for_html(everything: Path) -> None:
    """A labeler's name and an answer stand there as text, and the page's own script is data only."""
    page = everything.read_text("utf-8")
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


@pytest.mark.parametrize("figures", ["{broken", "[]", '{"Median turnaround, hours": 5}', '{"Reworked tasks": [true]}'])
def test_a_damaged_earlier_page_is_no_obstacle(tmp_path: Path, figures: str) -> None:
    """What cannot be read is as good as none."""
    path = tmp_path / "report.html"
    path.write_text(f'<script type="application/json" id="figures">{figures}</script>', "utf-8")
    assert "There was no earlier report" in rf.quality.report({"tasks": tasks()}, path).read_text("utf-8")


def test_what_the_tables_cannot_answer_is_named(tmp_path: Path) -> None:
    """Parts without data are listed with the reason; open tasks are counted."""
    page = rf.quality.report({"tasks": tasks()}, tmp_path / "report.html").read_text("utf-8")
    assert "<strong>Labelers</strong>: There are no attempts among the tables." in page
    assert '<th scope="row">censored</th><td>60</td><td>15</td>' in page
    one_week = attempts().assign(completed_at="2026-01-05")
    page = rf.quality.report({"attempts": one_week}, tmp_path / "other.html").read_text("utf-8")
    assert "<strong>Drift</strong>: There is 1 week with attempts" in page


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
        rf.quality.report({"tasks": tasks().head(1)}, tmp_path / "file" / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


#: Heights in pixels, as shown, of the letters that pictures are drawn with: the size of a glyph times its scale.
_LETTERS = """() => [...document.querySelectorAll('figure svg')].map(svg => {
  const shown = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return 10 * shown;
})"""


@pytest.mark.browser
@pytest.mark.parametrize("width", [1200, 390])
def test_a_browser_shows_it_whole_and_asks_nobody(everything: Path, width: int) -> None:
    """No request leaves, nothing runs, nothing is wider than the screen, every picture has a text."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    seen: list[Any] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("request", lambda request: seen.append(request.url) if request.url != everything.as_uri() else None)
        page.on("dialog", lambda dialog: seen.append(dialog.message))
        page.on("console", lambda message: seen.append(message.text))
        page.goto(everything.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        figures, named = (page.locator(css).count() for css in ("figure svg", "[role=img][aria-label]"))
        assert figures == named > 3
        assert page.locator("section h2").count() >= 6
        letters = page.evaluate(_LETTERS)
        assert letters, "no letters in the pictures"
        assert min(letters) >= 7
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 718, "height": 1000})
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
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


NAMES = {
    "markup": "<script>alert('x')</script>",
    "Arabic": "\u0645\u062d\u0645\u062f <admin@example.com>",
    "turned around": "a\u202egnp.exe",
    "long": "very." + "long" * 60 + "@example.com",
    "signs and scripts": "\U0001f469\U0001f3fd\u200d\U0001f680 \u6f22\u5b57 \u0e44\u0e17\u0e22",
    "lines": "two\nlines\tand tab\x00\x1b[31m",
    "empty": "",
    "blank": "   ",
    "dollars": "$x_1$ and $",
    "nan": "nan",
}


def test_a_name_of_any_kind_is_one_line_of_text(tmp_path: Path) -> None:
    """Nothing that turns or hides its neighbours, no break, no formula, no warning; at most 80 characters."""
    generator = np.random.default_rng(2)
    frame = attempts().assign(labeler=generator.choice(np.array([*NAMES.values()], object), 600))
    page = rf.quality.report({"attempts": frame}, tmp_path / "report.html").read_text("utf-8")
    heads = [html.unescape(head) for head in re.findall(r'<th scope="row">(.*?)</th>', page, re.DOTALL)]
    assert {
        NAMES["markup"],
        NAMES["Arabic"],
        NAMES["dollars"],
        "(empty)",
        "nan",
        "two lines and tab\ufffd\ufffd[31m",
    } <= {*heads}
    for head in heads:
        assert 0 < len(head) <= 80
        assert head == " ".join(head.split())
        assert not re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069]", head)
    assert "<script>alert" not in page


def test_what_nobody_decided_is_no_empty_picture(tmp_path: Path) -> None:
    """Undecided attempts and audits make tables and sentences that say so."""
    undecided = attempts().assign(passed=None, duration_secs=None)
    audits = pd.DataFrame(
        {"task_id": ["t1"], "audit_source": "customer", "audit_result": "commented", "audited_at": "2026-01-09"}
    ).assign(audit_time_secs=None)
    page = rf.quality.report({"attempts": undecided, "audits": audits, "tasks": tasks()}, tmp_path / "r.html")
    text = page.read_text("utf-8")
    assert "no first audit decided anything" in text
    assert "minutes of auditing" not in text
    assert "<strong>Drift</strong>: No row of any period is decided." in text
    told = re.findall(r'role="img" aria-label="(.*?)"', text)
    assert not [alt for alt in told if alt.startswith(("Pass rates", "Shares of accepted"))]


def test_thousands_of_labelers_are_shown_by_their_ends(tmp_path: Path) -> None:
    """The best and the worst hundred; the picture says how many lie between."""
    names = [f"w{number:05d}" for number in range(1000)]
    frame = pd.DataFrame({"labeler": names * 2, "passed": [True] * 1500 + [False] * 500, "duration_secs": 9.0})
    frame = frame.assign(quality_task_id="q", attempt_number=1)
    text = rf.quality.report({"attempts": frame}, tmp_path / "r.html").read_text("utf-8")
    assert "The first and the last 100 of 1,000" in text
    assert text.count('<th scope="row">w') == 200
    assert len(text) < 3_000_000


def test_a_question_that_nobody_answered_twice_hides_no_other(tmp_path: Path) -> None:
    """Agreement on the colour is told though there is none to tell on the remark."""
    colour = pd.DataFrame(
        {"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg"), "field": "colour"}
    )
    remark = pd.DataFrame({"task": list("ab"), "worker": ["x", "y"], "label": ["fine", "odd"], "field": "remark"})
    text = rf.quality.report({"labels": pd.concat([colour, remark])}, tmp_path / "r.html").read_text("utf-8")
    assert "Alpha on colour is 0.444" in text
    assert "Nothing on remark. Agreement needs at least two answers" in text
    text = rf.quality.report({"labels": remark}, tmp_path / "s.html").read_text("utf-8")
    assert "<strong>Agreement</strong>: Agreement needs at least two answers" in text


def test_a_page_that_cannot_be_put_in_place_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """A folder has its name."""
    (tmp_path / "page.html").mkdir()
    with pytest.raises(rf.InputError, match="cannot be written"):
        rf.quality.report({"tasks": tasks().head(1)}, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_the_safest_bets_stand_first_and_those_below_the_target_are_counted(tmp_path: Path) -> None:
    """One lucky attempt is the best rate, and no safe bet."""
    rows = [("lucky", 1, 1), ("sure", 95, 100), ("poor", 40, 100), ("bad", 30, 100)]
    frame = pd.DataFrame([(who, at < k) for who, k, n in rows for at in range(n)], columns=["labeler", "passed"])
    frame = frame.assign(duration_secs=9.0, quality_task_id="q", attempt_number=1)
    text = rf.quality.report({"attempts": frame}, tmp_path / "r.html", target=0.7).read_text("utf-8")
    assert re.findall(r'<th scope="row">(lucky|sure|poor|bad)</th>', text) == ["sure", "poor", "bad", "lucky"]
    assert "2 of 4 labelers are surely below the target of 0.7." in text
