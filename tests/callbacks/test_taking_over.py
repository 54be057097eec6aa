"""What was delivered reaches the dataset: by exports, refreshes and compactions, once, and never by forgery."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import refonte_frames as rf
from refonte_frames.callbacks.inbox import Arrival, Inbox
from refonte_frames.callbacks.messages import read_message

if TYPE_CHECKING:
    from pathlib import Path

PARAMS = {"attachment_type": "text", "categories": ["yes", "no"]}


def announce(root: Path, task: dict[str, Any], *, with_body: bool = False, **changes: Any) -> None:
    """Put a delivery into the inbox, as the receiver does."""
    task = task | changes
    body = json.dumps({"task": task, "task_id": task["task_id"], "status": task["status"]}).encode()
    with Inbox(root) as inbox:
        inbox.add([Arrival(read_message(body), body if with_body else None, time.time())])


@pytest.fixture
def task(client: rf.Client, sandbox: rf.Sandbox, tmp_path: Path) -> dict[str, Any]:
    """Make a task that is pending in the dataset and completed at the service."""
    rf.projects.create("p", type="categorization", client=client)
    frame = pd.DataFrame({"attachment": ["x"], "project": ["p"]})
    receipt = rf.submit(frame, type="categorization", params=PARAMS, progress=False, client=client)
    rf.export_tasks(tmp_path / "all", audit_lookback=None, progress=False, client=client)
    sandbox.work(days=3)
    return rf.get_task(receipt["task_id"].iloc[0], client=client)


def status_of(root: Path) -> list[str]:
    """Read the status of all tasks as any program would."""
    return pd.read_parquet(root / "tasks")["status"].tolist()


@pytest.mark.parametrize("with_body", [True, False])
def test_compacting_takes_announced_tasks_over(
    task: dict[str, Any], client: rf.Client, tmp_path: Path, *, with_body: bool
) -> None:
    """Read again or as delivered; the watermark of increments stays where it was."""
    root = tmp_path / "all"
    before = rf.open_export(root).report.watermark
    assert status_of(root) == ["pending"]
    announce(root, task, with_body=with_body)
    export = rf.open_export(root)
    export.compact(client=client)
    assert status_of(root) == ["completed"]
    assert export.report.watermark == before
    assert rf.callbacks.received(root)["outcome"].tolist() == ["stored"]


@pytest.mark.parametrize("full", [True, False])
def test_an_export_settles_what_was_announced_before_it(
    task: dict[str, Any], client: rf.Client, tmp_path: Path, *, full: bool
) -> None:
    """An increment reads those tasks beside the others, and counts them; so does a run that reads everything."""
    root = tmp_path / "all"
    announce(root, task)
    announce(root, task, completed_at="2020-01-01T00:00:00.000Z")  # another announcement of the same task
    report = rf.export_tasks(root, full=full, audit_lookback=None, progress=False, client=client)
    assert report.callbacks == {"stored": 2}
    assert "2 stored" in str(report)
    assert status_of(root) == ["completed"]
    again = rf.open_export(root).refresh(audit_lookback=None, progress=False, client=client)
    assert again.callbacks == {}


def test_tasks_outside_the_filters_are_counted_and_left_out(
    task: dict[str, Any], client: rf.Client, tmp_path: Path
) -> None:
    """Another project's task, and one that the service does not know, do not get into the folder."""
    root = tmp_path / "other"
    for _ in range(2):
        announce(root, task)
        announce(root, task, task_id="0" * 24)
        announce(root, task, task_id="f" * 24, with_body=True)
        rf.export_tasks(root, project="q", progress=False, client=client)
    assert status_of(root) == []
    assert rf.callbacks.received(root)["outcome"].tolist() == ["outside"] * 3


@pytest.mark.parametrize("with_body", [True, False])
def test_announced_tasks_keep_signed_urls(
    client: rf.Client, sandbox: rf.Sandbox, tmp_path: Path, *, with_body: bool
) -> None:
    """Neither a delivery nor a task that is read by its id has one: they are looked up in the list."""
    rf.projects.create("boxes", type="imageannotation", client=client)
    frame = pd.DataFrame({"attachment": [f"https://a.example.org/{number}.png" for number in range(3)]})
    params = {"geometries": {"box": {"objects_to_annotate": ["a"]}}}
    receipt = rf.submit(frame, type="imageannotation", project="boxes", params=params, progress=False, client=client)
    options = {"include_attachment_url": True, "created_after": "2020-01-01", "progress": False, "client": client}
    root = tmp_path / "urls"
    rf.export_tasks(root, audit_lookback=None, **options)
    sandbox.work(days=3)
    for task_id in receipt["task_id"][:2]:
        announce(root, rf.get_task(task_id, client=client), with_body=with_body)
    rf.open_export(root).compact(client=client)
    tasks = rf.open_export(root).tasks.to_pandas()
    assert tasks["status"].value_counts().to_dict() == {"completed": 2, "pending": 1}
    assert [len(urls) for urls in tasks["attachment_urls"]] == [1, 1, 1]


def test_a_delivery_of_long_ago_does_not_undo_what_is_known(
    task: dict[str, Any], client: rf.Client, tmp_path: Path
) -> None:
    """A replayed delivery that is believed is still older than the dataset's version of the task."""
    root = tmp_path / "all"
    rf.export_tasks(root, progress=False, client=client)
    announce(root, task, with_body=True, status="error", updated_at="2020-01-01T00:00:00.000Z")
    rf.open_export(root).compact(client=client)
    assert status_of(root) == ["completed"]


def test_compacting_without_a_key_says_what_waits(
    task: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deliveries that would have to be read again need a client."""
    monkeypatch.delenv("REFONTE_API_KEY", raising=False)
    announce(tmp_path / "all", task)
    with pytest.raises(rf.ConfigError, match="REFONTE_API_KEY"):
        rf.open_export(tmp_path / "all").compact()
    assert status_of(tmp_path / "all") == ["pending"]


@pytest.mark.parametrize(
    "task_part",
    [None, {}, {"status": "completed"}, {"task_id": "0" * 24, "response": [[[[]]]]}],
    ids=["no task", "an empty one", "one without an id", "a deep one"],
)
def test_a_believed_delivery_that_holds_no_task_is_read_again_instead(
    task: dict[str, Any], client: rf.Client, tmp_path: Path, task_part: dict[str, Any] | None
) -> None:
    """One such delivery must not stop every export that comes after it."""
    root, body = tmp_path / "all", {"task_id": task["task_id"], "status": "completed"}
    if task_part is not None:
        deep = "[" * 200 + "]" * 200
        body |= {"task": task_part | ({"task_id": task["task_id"]} if "task_id" in task_part else {})}
        text = json.dumps(body).replace("[[[[]]]]", deep)
    else:
        text = json.dumps(body)
    with Inbox(root) as inbox:
        inbox.add([Arrival(read_message(text.encode()), text.encode(), time.time())])
    rf.open_export(root).compact(client=client)
    assert status_of(root) == ["completed"]
    assert rf.callbacks.received(root)["outcome"].tolist() == ["stored"]


def test_of_believed_deliveries_the_one_updated_last_counts_not_the_one_that_came_last(
    task: dict[str, Any], client: rf.Client, tmp_path: Path
) -> None:
    """Retries come out of order."""
    root = tmp_path / "all"
    early = {"status": "pending", "completed_at": None, "updated_at": "2020-01-01T00:00:00.000Z"}
    announce(root, task, with_body=True)
    announce(root, task, with_body=True, **early)
    rf.open_export(root).compact(client=client)
    assert status_of(root) == ["completed"]


def test_a_folder_that_is_rewritten_each_time_keeps_to_its_filters(
    task: dict[str, Any], client: rf.Client, tmp_path: Path
) -> None:
    """A task read by its id does not tell whether the filter takes it: compacting leaves it to the next export."""
    root = tmp_path / "completed"
    rf.export_tasks(root, status="pending", incremental=False, progress=False, client=client)
    announce(root, task)
    rf.open_export(root).compact(client=client)
    assert status_of(root) == []
    assert rf.callbacks.received(root)["outcome"].isna().all()
    rf.open_export(root).refresh(progress=False, client=client)
    assert rf.callbacks.received(root)["outcome"].tolist() == ["outside"]


def test_compacting_with_another_account_settles_nothing(
    task: dict[str, Any], sandbox: rf.Sandbox, tmp_path: Path
) -> None:
    """To another account every task is unknown: none of them is therefore outside the dataset."""
    root = tmp_path / "all"
    announce(root, task)
    with sandbox.client("live_of_somebody_else") as other, pytest.raises(rf.ExportError, match="key is another one"):
        rf.open_export(root).compact(client=other)
    assert rf.callbacks.received(root)["outcome"].isna().all()


def test_large_bodies_are_read_few_at_a_time(tmp_path: Path) -> None:
    """A thousand of the largest bodies would not fit into memory."""
    pad = "x" * (17 * 2**20)
    for number in range(3):
        announce(tmp_path, {"task_id": f"{number:024x}", "status": "completed", "params": pad}, with_body=True)
    with Inbox(tmp_path) as inbox:
        assert [len(inbox.waiting(1000, after=after)) for after in (0, 2)] == [2, 1]
