"""Passes over services that do not do as documented: what they list is read whole, and the report says how."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from listing import Listing, small_task

import refonte_frames as rf
from refonte_frames.errors import ReplyError
from refonte_frames.export.decode import PageDecoder
from refonte_frames.pages import PageSize, read_pages
from refonte_frames.transport.calls import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIB = 2**20


@pytest.fixture
def client_of(tmp_path: Path) -> Iterator[Callable[[Listing], rf.Client]]:
    """Make a client of a listing."""
    made: list[rf.Client] = []

    def make(listing: Listing) -> rf.Client:
        made.append(rf.Client(api_key="live_demo", base_url=listing.base_url, state_dir=tmp_path / "state"))
        return made[-1]

    yield make
    for client in made:
        client.close()


def in_batches(count: int, *, without_batch: int = 0) -> list[dict[str, Any]]:
    """Make tasks of three batches, newest first; the newest so many are in none."""
    tasks = [small_task(index) | {"batch": f"b{index % 3}"} for index in range(count)]
    for task in tasks[count - without_batch :]:
        del task["batch"]
    return tasks[::-1]


def test_where_bounds_of_time_are_not_looked_at_tasks_are_read_by_batch(client_of: Any, tmp_path: Path) -> None:
    """Several batches at once, and the report says so."""
    with Listing(in_batches(5_400), ignores={"start_time", "end_time"}) as listing:
        report = rf.export_tasks(tmp_path / "out", tables=("tasks",), client=client_of(listing), progress=False)
    assert (report.mode, report.windows, report.windows_unsettled) == ("batches", 3, 0)
    ids = pq.read_table(tmp_path / "out" / "tasks")["task_id"].to_pylist()
    assert sorted(ids) == sorted(task["task_id"] for task in listing.tasks)


@pytest.mark.parametrize(
    ("without_batch", "ignores"), [(1, {"start_time", "end_time"}), (0, {"start_time", "end_time", "batch"})]
)
def test_where_batches_do_not_add_up_tasks_are_read_in_one_pass(
    without_batch: int, ignores: set[str], client_of: Any
) -> None:
    """A task in no batch, or a service that does not look at the batch either."""
    with Listing(in_batches(5_200, without_batch=without_batch), ignores=ignores) as listing:
        frame = rf.read_tasks(client=client_of(listing))
    assert frame.attrs["refonte"]["mode"] == "sequential"
    assert frame["task_id"].tolist() == [task["task_id"] for task in listing.tasks]


def limits_of(listing: Listing) -> list[int]:
    """Say how many tasks were asked for, page by page."""
    return [int(target.split("limit=")[1].split("&")[0]) for target in listing.requests]


def test_large_tasks_are_asked_for_in_small_pages(client_of: Any) -> None:
    """The first page shows how large they are; all further ones, of all windows, stay within the budget."""
    tasks = [small_task(index) | {"metadata": {"text": "x" * 80_000}} for index in range(250)]
    with Listing(tasks[::-1]) as listing:
        frame = rf.read_tasks(client=client_of(listing))
        planning, first, *others = limits_of(listing)
    assert len(frame) == 250
    assert (planning, first) == (1, 100)
    assert {40 <= limit < 60 for limit in others} == {True}


def test_pages_grow_again_once_tasks_are_small() -> None:
    """One large task does not make a million requests of ten thousand."""
    size = PageSize()
    size.note(asked=100, page_bytes=40 * MIB)
    assert size.now == 10
    asked = []
    for _ in range(5):
        asked.append(size.now)
        size.note(asked=size.now, page_bytes=10_000)
    assert asked == [10, 20, 40, 80, 100]


def test_a_page_never_has_less_than_one_task() -> None:
    """However large that is; and what other threads asked for before says nothing new."""
    size = PageSize()
    size.note(asked=1, page_bytes=60 * MIB)
    assert size.now == 1
    size.note(asked=100, page_bytes=1_000)
    assert size.now == 1


def test_a_page_too_large_to_be_read_is_asked_for_in_parts() -> None:
    """Until it can be read; what was asked for is remembered."""
    asked = []

    def send(call: Call) -> Reply:
        limit = int(dict(call.query)["limit"])
        asked.append(limit)
        if limit > 5:
            raise ReplyError("GET /tasks was answered with more than 67,108,864 bytes.", is_too_large=True)
        return Reply(200, {}, b'{"docs":[{"task_id":"a"}],"has_more":false}')

    pages = list(read_pages(send, PageDecoder(), []))
    assert asked == [100, 12, 1]
    assert [doc.task_id for page, _ in pages for doc in page.docs] == ["a"]


def test_a_single_task_too_large_to_be_read_is_an_error_that_names_the_page() -> None:
    """There is nothing smaller to ask for."""

    def send(call: Call) -> Reply:
        if int(dict(call.query)["limit"]) > 1 or "next_token" in dict(call.query):
            raise ReplyError("GET /tasks was answered with more than 67,108,864 bytes.", is_too_large=True)
        return Reply(200, {}, b'{"docs":[{"task_id":"a"}],"has_more":true,"next_token":"t"}')

    with pytest.raises(ReplyError, match="GET /tasks of batch 'b', page 2, is too large even with limit=1"):
        list(read_pages(send, PageDecoder(), [], where="GET /tasks of batch 'b'"))


def test_other_broken_replies_are_not_asked_for_again() -> None:
    """A redirect stays one, however few tasks are asked for."""
    asked = []

    def send(call: Call) -> Reply:
        asked.append(call)
        raise ReplyError("GET /tasks was answered with a redirect (302).")

    with pytest.raises(ReplyError, match="redirect"):
        list(read_pages(send, PageDecoder(), []))
    assert len(asked) == 1


@pytest.mark.parametrize("period", [1, 2, 7])
def test_a_list_without_a_total_that_begins_again_ends(period: int) -> None:
    """A service that overlooks the token, and has a new one for every page."""
    pages = count()

    def send(call: Call) -> Reply:
        asked = next(pages)
        assert asked < 5 * period, call
        return Reply(
            200, {}, b'{"docs":[{"task_id":"%d"}],"has_more":true,"next_token":"%d"}' % (asked % period, asked)
        )

    found = [doc.task_id for page, _ in read_pages(send, PageDecoder(), []) for doc in page.docs]
    assert set(found) == set(map(str, range(period)))


def test_a_page_that_comes_again_ends_no_list() -> None:
    """It shifted while it was read."""
    docs = ["a", "b", "b", "c", "c", "d"]

    def send(call: Call) -> Reply:
        at = int(dict(call.query).get("next_token", 0))
        more = b'true,"next_token":"%d"' % (at + 1) if at + 1 < len(docs) else b"false"
        return Reply(200, {}, b'{"docs":[{"task_id":"%s"}],"has_more":%s}' % (docs[at].encode(), more))

    assert [doc.task_id for page, _ in read_pages(send, PageDecoder(), []) for doc in page.docs] == docs


@pytest.fixture(scope="module")
def texts(sandbox: rf.Sandbox) -> Iterator[rf.Client]:
    """Make a world of 230 tasks."""
    client = sandbox.client("live_0123456789abcdef5eep")
    rf.projects.create("letters", type="categorization", client=client)
    frame = pd.DataFrame({"attachment": [f"letter {number}" for number in range(230)]})
    params = {"attachment_type": "text", "categories": ["a", "b"], "instruction": "Sort"}
    rf.submit(frame, type="categorization", project="letters", params=params, progress=False, client=client)
    yield client
    client.close()


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "wrong_total", "by": 7},
        {"action": "wrong_total", "by": -7},
        {"action": "repeat_page"},
        {"action": "shift_page"},
        {"action": "expired_token"},
        {"action": "ignore_filters", "names": ["project", "start_time", "end_time"], "times": 99},
        {"action": "last_token", "how": "null", "times": 99},
        {"action": "last_token", "how": "empty_page", "times": 99},
        {"action": "status", "status": 503},
        {"action": "drop"},
        {"action": "truncate"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
@pytest.mark.filterwarnings("ignore:7 tasks that the service counts")
def test_whatever_the_list_does_every_task_comes_once(
    fault: dict[str, Any], texts: rf.Client, sandbox: rf.Sandbox, tmp_path: Path
) -> None:
    """On the second request to the list, or on all of them."""
    sandbox.faults.add(path="/v1/tasks", **({"nth": 2, "times": 1} | fault))
    try:
        report = rf.export_tasks(tmp_path / "out", tables=("tasks",), client=texts, progress=False)
        assert sandbox.faults.unfired() == []
    finally:
        sandbox.faults.clear()
    ids = pq.read_table(tmp_path / "out" / "tasks")["task_id"].to_pylist()
    assert (report.rows["tasks"], len(ids), len(set(ids))) == (230, 230, 230)


def test_tasks_that_the_list_shows_late_are_found_once_it_does(
    client: rf.Client, sandbox: rf.Sandbox, tmp_path: Path
) -> None:
    """However many runs were made before, and though the list never tells that it lags."""
    rf.projects.create("late", type="categorization", client=client)
    params = {"attachment_type": "text", "categories": ["a", "b"]}
    options = {"type": "categorization", "project": "late", "params": params, "progress": False, "client": client}
    rf.submit(pd.DataFrame({"attachment": ["first"]}), **options)
    sandbox.clock.advance(hours=2)
    rf.submit(pd.DataFrame({"attachment": ["second"]}), **options)
    sandbox.faults.add("list_lag", path="/v1/tasks", secs=3_600, every=1, times=1_000)
    seen = []
    for minutes in (0, 40, 40, 40):
        sandbox.clock.advance(minutes=minutes)
        report = rf.export_tasks(tmp_path / "out", audit_lookback=None, progress=False, client=client)
        seen.append((report.rows["tasks"], pq.read_table(tmp_path / "out" / "tasks").num_rows))
    assert seen == [(1, 1), (1, 1), (2, 2), (2, 2)]
