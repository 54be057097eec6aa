"""The page under /_sandbox/: what it shows, that it escapes, and who may press its buttons."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from refonte_frames.sandbox.session import Sandbox

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def _world_number(sandbox: Sandbox) -> int:
    """Give the newest world's number, as its page names it."""
    found = re.search(r"Projects of world (\d+)", requests.get(f"{sandbox.url}/_sandbox/", timeout=30).text)
    assert found
    return int(found[1])


def test_looking_needs_no_token_and_offers_no_button(sandbox: Sandbox, live: Any) -> None:
    """Without the token it is read-only, and says what to bring."""
    task = live.task()
    text = requests.get(f"{sandbox.url}/_sandbox/", timeout=30).text
    assert task["task_id"] in text
    assert 'method="post"' not in text
    assert "control_token" in text
    assert sandbox.page_url.partition("token=")[2] not in text


@pytest.mark.parametrize("name", ["advance", "work", "create", "complete", "reset"])
@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_button_without_the_token_is_refused(sandbox: Sandbox, live: Any, name: str, token: str) -> None:
    """And nothing has changed."""
    task = live.task()
    data = {"token": token, "task": task["task_id"], "hours": "1", "days": "3", "world": str(_world_number(sandbox))}
    data |= {"type": "categorization", "body": json.dumps(task["params"])}
    reply = requests.post(f"{sandbox.url}/_sandbox/page/{name}", data=data, timeout=30, allow_redirects=False)
    assert (reply.status_code, reply.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert live.ok("GET", "/tasks")["docs"] == [task]


@pytest.mark.parametrize(("kind", "body"), [("nonsense", "{}"), ("categorization", "{"), ("categorization", "{}")])
def test_a_task_that_cannot_be_is_refused(sandbox: Sandbox, live: Any, kind: str, body: str) -> None:
    """On a page that says why, as the API would; nothing is created."""
    live.total()
    token = sandbox.page_url.partition("token=")[2]
    form = {"token": token, "type": kind, "body": body, "world": str(_world_number(sandbox))}
    reply = requests.post(f"{sandbox.url}/_sandbox/page/create", data=form, timeout=30)
    assert reply.status_code in (400, 404)
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert live.total() == 0


@pytest.mark.parametrize("header", ["Host", "Origin"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_page_from_elsewhere_is_turned_away(sandbox: Sandbox, header: str, verb: str) -> None:
    """By a name that was rebound to this machine, or from another origin; even with the token."""
    token = sandbox.page_url.partition("token=")[2]
    path = "" if verb == "GET" else "page/advance"
    headers = {header: "http://evil.example" if header == "Origin" else "evil.example"}
    form = {"token": token, "hours": "1"}
    reply = requests.request(verb, f"{sandbox.url}/_sandbox/{path}", headers=headers, data=form, timeout=30)
    assert reply.status_code == 403


def test_nothing_may_run_or_be_loaded_from_elsewhere(sandbox: Sandbox) -> None:
    """The policy forbids scripts altogether, foreign forms, and frames around the page."""
    reply = requests.get(f"{sandbox.url}/_sandbox/", timeout=30)
    policy = reply.headers["content-security-policy"]
    for rule in ("default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "<script" not in reply.text


def test_texts_of_tasks_are_escaped(sandbox: Sandbox, live: Any) -> None:
    """In every place where a caller's text is shown: names, ids, parameters, queries."""
    live.ok("POST", "/projects", json={"type": "categorization", "name": HOSTILE, "params": {"instruction": HOSTILE}})
    live.ok("POST", "/batches", json={"project": HOSTILE, "name": HOSTILE})
    live.task(attachment=HOSTILE, unique_id=HOSTILE, project=HOSTILE, batch=HOSTILE)
    live.ok("GET", "/tasks", params={"project": HOSTILE})
    text = requests.get(f"{sandbox.url}/_sandbox/", timeout=30).text
    assert "<img" not in text
    assert "<script" not in text
    assert text.count("&lt;img") >= 6


@pytest.mark.parametrize(
    ("query", "status"),
    [("world=0", 400), ("world=x", 400), ("world=999999", 404), ("before=-1", 400), ("token=%00&token=a", 400)],
)
def test_a_wrong_address_is_a_page_that_says_so(sandbox: Sandbox, query: str, status: int) -> None:
    """For people, not for programs."""
    reply = requests.get(f"{sandbox.url}/_sandbox/?{query}", timeout=30)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "text/html; charset=utf-8")


@pytest.mark.parametrize("world", ["1e300", "1.9", "0", "-1", "9" * 15, "9" * 30, "", "one"])
@pytest.mark.parametrize("button", ["reset", "create"])
def test_a_world_that_cannot_be_is_refused(sandbox: Sandbox, button: str, world: str) -> None:
    """On a page that says so; nothing fails, and no other world is meant instead."""
    token = sandbox.page_url.partition("token=")[2]
    form = {"token": token, "world": world, "type": "categorization", "body": "{}"}
    reply = requests.post(f"{sandbox.url}/_sandbox/page/{button}", data=form, timeout=30, allow_redirects=False)
    assert reply.status_code in (400, 404)
    assert reply.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("hours", ["nan", "inf", "-1", "1e300", "1e308", "many", ""])
def test_an_impossible_span_is_refused(sandbox: Sandbox, hours: str) -> None:
    """The clock goes forward by a number of hours."""
    form = {"token": sandbox.page_url.partition("token=")[2], "hours": hours}
    assert requests.post(f"{sandbox.url}/_sandbox/page/advance", data=form, timeout=30).status_code == 400


# in a real browser


@pytest.fixture
def page(tmp_path: Any) -> Iterator[Page]:
    """Open a Chromium of its own, without a profile of anybody's."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        profile = str(tmp_path / "profile")
        context = driver.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=list(FLAGS))
        yield context.new_page()
        context.close()


@pytest.mark.browser
def test_a_person_creates_completes_advances_lets_work_and_resets(sandbox: Sandbox, live: Any, page: Page) -> None:
    """From signing in with the token to an empty world, by clicking."""
    first, second = live.task(unique_id="first"), live.task(unique_id="second")
    page.goto(f"{sandbox.url}/_sandbox/")
    page.fill("input[name=token]", sandbox.page_url.partition("token=")[2])
    page.get_by_role("button", name="Enter").click()
    page.locator("tr", has_text=first["task_id"]).get_by_role("button", name="Complete").click()
    assert "completed" in page.locator("tr", has_text=first["task_id"]).inner_text()
    assert live.ok("GET", f"/task/{first['task_id']}")["status"] == "completed"
    before = sandbox.clock.now()
    page.get_by_role("button", name="Advance the clock").click()
    assert (sandbox.clock.now() - before).total_seconds() >= 24 * 3600
    page.get_by_role("button", name="Let labelers work").click()
    assert live.ok("GET", f"/task/{second['task_id']}")["status"] == "completed"
    assert "@example.com" in page.inner_text("body")
    if folder := os.environ.get("REFONTE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/page.png", full_page=True)
    page.get_by_text("New task").click()
    page.fill(
        "textarea[name=body]", json.dumps({"text": "Ada met Charles.", "labels": [HOSTILE], "unique_id": "third"})
    )
    page.select_option("select[name=type]", "namedentityrecognition")
    page.get_by_role("button", name="Create").click()
    (third,) = live.ok("GET", "/tasks", params={"unique_id": "third"})["docs"]
    assert (third["type"], third["params"]["labels"]) == ("namedentityrecognition", [HOSTILE])
    assert "pending" in page.locator("tr", has_text=third["task_id"]).inner_text()
    page.get_by_role("button", name="Empty this world").click()
    assert "No tasks." in page.inner_text("body")
    assert live.total() == 0


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_readable_on_a_desk_and_in_a_hand(sandbox: Sandbox, live: Any, page: Page, width: int) -> None:
    """Nothing sticks out of the window but inside a table that scrolls; times, ids and states stay on one line."""
    task = live.task(unique_id="an-id-without-blanks/" * 12)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(sandbox.page_url)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    row = page.locator("tr", has_text=task["task_id"])
    line_px = page.evaluate("parseFloat(getComputedStyle(document.querySelector('td')).lineHeight)")
    for text in (task["task_id"], task["created_at"], "categorization"):
        cell = row.get_by_role("cell", name=text, exact=True)
        height = cell.evaluate(
            "cell => { const r = document.createRange(); r.selectNodeContents(cell); "
            "return r.getBoundingClientRect().height }"
        )
        assert height < 1.5 * line_px
    assert row.get_by_role("button", name="Complete").bounding_box()["height"] < 2 * line_px
    row.locator("summary").click()
    box = row.locator("pre").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    if folder := os.environ.get("REFONTE_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/page-{width}.png", full_page=True)


@pytest.mark.browser
def test_hostile_texts_do_not_run(sandbox: Sandbox, live: Any, page: Page) -> None:
    """They are shown as they are, and the browser asks nobody else for anything."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    live.task(attachment=HOSTILE, unique_id=HOSTILE)
    page.goto(sandbox.page_url)
    page.click("summary >> nth=0")
    assert page.title() == "Refonte sandbox"
    assert HOSTILE in page.inner_text("body")
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(sandbox.url).netloc}
    assert page.evaluate("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
