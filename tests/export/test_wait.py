"""Waiting for tasks against a real sandbox, whose tasks end while somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from service import TEXT, post

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable

    from refonte_frames.transport.calls import Call, Reply


class Watching(rf.Client):
    """A client that lets something happen between two of its requests."""

    happens: Callable[[int], None] = staticmethod(lambda _: None)
    sent = 0

    def send_once(self, call: Call, **options: Any) -> Reply | rf.NoReplyError:
        """Count, and let it happen."""
        self.sent += 1
        self.happens(self.sent)
        return super().send_once(call, **options)


@pytest.fixture
def client(sandbox: rf.Sandbox, key: str) -> Any:
    """Make a client of a fresh live world; faults ordered in the test end with it."""
    with Watching(api_key=key, base_url=sandbox.base_url, state_dir=sandbox.state_dir) as client:
        yield client
    sandbox.faults.clear()


def batch(client: rf.Client, count: int = 3, **project: Any) -> pd.DataFrame:
    """Make a batch with tasks, by plain HTTP."""
    post(client, "projects", body={"type": "categorization", "name": "mail", **project})
    post(client, "batches", body={"project": "mail", "name": "mail/1"})
    bodies = [{**TEXT, "attachment": str(at), "unique_id": str(at), "batch": "mail/1"} for at in range(count)]
    ids = [post(client, "task", "categorization", body=body)["task_id"] for body in bodies]
    return pd.DataFrame({"task_id": ids, "unique_id": [body["unique_id"] for body in bodies]}, index=[4] * count)


def ending(sandbox: rf.Sandbox, client: Watching, frame: pd.DataFrame) -> None:
    """Let one task end at each request from now on."""
    left = frame["task_id"].tolist()
    ways = [sandbox.complete, sandbox.fail]
    client.happens = lambda _: left and ways[len(left) % 2](left.pop())


def test_a_batch_is_waited_for_until_no_task_is_pending(sandbox: rf.Sandbox, client: Watching) -> None:
    """Its counts come back, zeros included."""
    ending(sandbox, client, batch(client))
    counted = rf.wait("mail/1", poll_secs=0.01, client=client)
    assert counted.to_dict("records") == [
        {
            "batch": "mail/1",
            "status": "completed",
            "tasks_pending": 0,
            "tasks_completed": 1,
            "tasks_error": 2,
            "tasks_canceled": 0,
        }
    ]
    assert {str(dtype) for dtype in counted.dtypes} == {"string[pyarrow]", "int64[pyarrow]"}


@pytest.mark.parametrize("names", [["task_id", "unique_id"], ["task_id"], ["unique_id"]])
def test_a_frame_is_waited_for_until_its_tasks_have_ended(
    sandbox: rf.Sandbox, client: Watching, names: list[str]
) -> None:
    """Rows, order and index stay; a row without a task is null and not waited for."""
    frame = batch(client, 4)
    frame = pd.concat([frame, pd.DataFrame({"task_id": [None], "unique_id": [None]}, index=[9])])[names]
    ending(sandbox, client, batch_of(client, frame))
    rows = rf.wait(frame, poll_secs=0.01, client=client)
    pd.testing.assert_frame_equal(rows[names], frame)
    assert sorted(rows["status"].fillna("-")) == ["-", "completed", "completed", "error", "error"]
    assert rows["status"].isna().tolist() == [False] * 4 + [True]


def batch_of(client: rf.Client, frame: pd.DataFrame) -> pd.DataFrame:
    """Read the task ids of a frame that may have unique_ids only."""
    found = rf.read_tasks(batch="mail/1", client=client)
    assert len(found) == len(frame) - 1
    return found


def test_tasks_that_have_ended_are_not_asked_for_again(sandbox: rf.Sandbox, client: Watching) -> None:
    """Two tasks ended before, one ends between two looks: one batch, three tasks, one task."""
    frame = batch(client)[["task_id"]]
    first, second, third = frame["task_id"]
    sandbox.complete(first)
    sandbox.complete(second)
    before = client.sent
    client.happens = lambda sent: sandbox.complete(third) if sent == before + 5 else None
    assert rf.wait(frame, poll_secs=0.01, client=client)["status"].tolist() == ["completed"] * 3
    assert client.sent - before == 5


def test_the_status_of_the_batch_does_not_count(sandbox: rf.Sandbox, client: Watching) -> None:
    """A batch that calls itself completed while a task is pending is not waited for in vain, nor left too early."""
    batch(client, 1)
    answers = ['{"status": "completed", "tasks_pending": 1}', '{"status": "in_progress", "completed": 1}']
    for text in answers:
        sandbox.faults.add("body", path="/batches/*/status", text=text)
    counted = rf.wait("mail/1", poll_secs=0.01, client=client)
    assert counted[["status", "tasks_completed"]].to_numpy().tolist() == [["in_progress", 1]]


def test_a_batch_without_tasks_has_nothing_to_wait_for(client: Watching) -> None:
    """Also a frame without tasks."""
    batch(client, 0)
    assert rf.wait("mail/1", client=client)["tasks_pending"].tolist() == [0]
    assert rf.wait(pd.DataFrame({"task_id": [None]}), client=client)["status"].isna().all()


@pytest.mark.parametrize("is_frame", [False, True])
def test_a_staging_batch_is_refused_at_once(client: Watching, *, is_frame: bool) -> None:
    """Nobody would ever work on its tasks."""
    frame = batch(client, 2, rapid=True)
    with pytest.raises(rf.InputError, match=r"'mail/1' is in staging.*finalize first, rf\.batches\.finalize"):
        rf.wait(frame if is_frame else "mail/1", client=client)
    rf.batches.finalize("mail/1", client=client)
    with pytest.raises(rf.WaitTimeout):
        rf.wait(frame if is_frame else "mail/1", timeout_secs=0, client=client)


def test_a_timeout_tells_the_statuses(sandbox: rf.Sandbox, client: Watching) -> None:
    """It is a TimeoutError, too."""
    frame = batch(client, 2)
    sandbox.complete(frame["task_id"].iloc[0])
    with pytest.raises(rf.WaitTimeout, match="1 of 2 tasks had not ended after 0 s") as caught:
        rf.wait(frame, timeout_secs=0, client=client)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.status["status"].tolist() == ["completed", "pending"]
    with pytest.raises(rf.WaitTimeout) as caught:
        rf.wait("mail/1", timeout_secs=0.05, poll_secs=0.02, client=client)
    assert caught.value.status["tasks_pending"].tolist() == [1]


def test_an_outage_is_waited_out(sandbox: rf.Sandbox, client: Watching) -> None:
    """Between two looks the service may fail for a while; the first look has to be answered."""
    frame = batch(client, 1)
    sandbox.faults.add("status", path="/batches/*/status", status=503, retry_after="0", nth=2, times=5)
    before = client.sent
    client.happens = lambda sent: sandbox.complete(frame["task_id"].iloc[0]) if sent == before + 7 else None
    assert rf.wait("mail/1", poll_secs=0.01, client=client)["tasks_completed"].tolist() == [1]
    assert len(sandbox.faults.fired()) == 5


def test_a_service_that_is_gone_ends_the_wait(sandbox: rf.Sandbox, client: Watching) -> None:
    """After ten looks in a row without an answer."""
    batch(client, 1)
    sandbox.faults.add("status", path="/batches/*/status", status=503, retry_after="0", nth=2, times=1000)
    with pytest.raises(rf.ServiceError):
        rf.wait("mail/1", poll_secs=0.01, client=client)
    assert len(sandbox.faults.fired()) == 50


def test_an_unknown_batch_is_named(client: Watching) -> None:
    """As every function on batches does."""
    with pytest.raises(rf.NotFound, match="There is no batch 'june' for this key"):
        rf.wait("june", client=client)


@pytest.mark.parametrize(
    ("what", "options"),
    [
        ("mail", {"poll_secs": 0}),
        ("mail", {"poll_secs": float("nan")}),
        ("mail", {"timeout_secs": -1}),
        (" ", {}),
        (pd.DataFrame({"text": ["a"]}), {}),
        (["mail"], {}),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(client: Watching, what: Any, options: dict[str, Any]) -> None:
    """Arguments that cannot be right are an InputError."""
    with pytest.raises(rf.InputError):
        rf.wait(what, **options, client=client)
    assert client.requests_by_status() == {}
