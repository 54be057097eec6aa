"""Tasks that are to be changed are read ahead in few requests, and what a list says is not believed too far."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pytest
from service import TEXT, post, tasks_of

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client(sandbox: rf.Sandbox, key: str) -> Iterator[rf.Client]:
    """Make a client of a fresh live world; faults ordered in the test end with it."""
    with rf.Client(api_key=key, base_url=sandbox.base_url, state_dir=sandbox.state_dir) as client:
        yield client
    sandbox.faults.clear()


def make(client: rf.Client, count: int, **fields: Any) -> pd.DataFrame:
    """Make tasks with unique_ids, and a frame of both ids."""
    bodies = [{**TEXT, "attachment": f"text {at}", "unique_id": f"u{at}", **fields} for at in range(count)]
    ids = [post(client, "task", "categorization", body=body)["task_id"] for body in bodies]
    return pd.DataFrame({"task_id": ids, "unique_id": [f"u{at}" for at in range(count)]})


def asked(sandbox: rf.Sandbox, client: rf.Client, change: Any) -> tuple[pd.DataFrame, Counter[str]]:
    """Make a change, and count what was asked meanwhile, by verb and kind of path."""
    before = len(sandbox.requests())
    receipt = change(client)
    kinds = [f"{call['method']} {'list' if call['path'] == '/v1/tasks' else 'task'}" for call in sandbox.requests()]
    return receipt, Counter(kinds[before:])


def test_a_dry_run_reads_forty_tasks_a_request(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """And shows what one GET a task would show."""
    frame = make(client, 100, metadata={"n": 1})
    receipt, requests = asked(
        sandbox, client, lambda client: rf.set_metadata(frame.assign(n=2), columns=["n"], dry_run=True, client=client)
    )
    assert requests == {"GET list": 3}
    assert receipt["before"].tolist() == ['{"n":1}'] * 100
    assert receipt["after"].tolist() == ['{"n":2}'] * 100


def test_tasks_without_ids_are_found_in_the_list_of_their_time(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """One request tells how long it is, the next brings it."""
    frame = make(client, 100)[["task_id"]]
    receipt, requests = asked(sandbox, client, lambda client: rf.add_tags(frame, "a", dry_run=True, client=client))
    assert requests == {"GET list": 2}
    assert set(receipt["outcome"]) == {"changed"}


def test_a_change_costs_one_request_and_a_fortieth(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """A second run believes no list that nothing is to be done: it looks at each task."""
    frame = make(client, 80)
    first, requests = asked(sandbox, client, lambda client: rf.add_tags(frame, "a", client=client))
    assert requests == {"GET list": 2, "PUT task": 80}
    second, requests = asked(sandbox, client, lambda client: rf.add_tags(frame, "a", client=client))
    assert requests == {"GET list": 2, "GET task": 80}
    assert set(first["outcome"]) == {"changed"}
    assert set(second["outcome"]) == {"unchanged"}


def test_a_list_that_is_late_makes_no_change_forgotten(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """It shows the tasks without the tag that they have by now; the tag is taken away all the same."""
    frame = make(client, 5)
    late = msgspec.json.encode({"docs": tasks_of(client), "total": 5, "limit": 100, "has_more": False}).decode()
    rf.add_tags(frame, "a", client=client)
    sandbox.faults.add("body", method="GET", path="/tasks", text=late, times=9)
    receipt = rf.remove_tags(frame, "a", client=client)
    sandbox.faults.clear()
    assert set(receipt["outcome"]) == {"changed"}
    assert not any(task.get("tags") for task in tasks_of(client))


def test_an_id_that_has_another_task_by_now_changes_no_other_task(client: rf.Client) -> None:
    """The task_id says which task is meant."""
    frame = make(client, 6)
    swapped = frame.assign(unique_id=frame["unique_id"].tolist()[::-1]).iloc[:4]
    assert set(rf.add_tags(swapped, "a", client=client)["outcome"]) == {"changed"}
    assert [task.get("tags") for task in tasks_of(client)] == [["a"]] * 4 + [None] * 2


def test_a_service_without_the_filter_is_asked_for_each_task(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """Nothing is taken from a list that nobody asked for."""
    frame = make(client, 7).iloc[:6]
    sandbox.faults.add("ignore_filters", method="GET", path="/tasks", names=("unique_id",), times=99)
    receipt, requests = asked(sandbox, client, lambda client: rf.add_tags(frame, "a", client=client))
    assert set(receipt["outcome"]) == {"changed"}
    assert requests["GET task"] == requests["PUT task"] == 6


def test_audits_are_read_one_by_one(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """A second audit cannot be taken back, so the task is looked at just before it."""
    frame = make(client, 5)
    for task_id in frame["task_id"]:
        sandbox.complete(task_id)
    _, requests = asked(sandbox, client, lambda client: rf.audit(frame, accepted=True, client=client))
    assert requests == {"GET task": 5, "POST task": 5}
