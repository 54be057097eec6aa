"""Batches kept in a folder: one row each, and a snapshot of the counts with every call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from service import TEXT, post

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mail(client: rf.Client) -> rf.Client:
    """Make a project with two batches; one has a task."""
    post(client, "projects", body={"type": "categorization", "name": "mail"})
    for name in ("mail/1", "mail/2"):
        post(client, "batches", body={"project": "mail", "name": name})
    post(client, "task", "categorization", body={**TEXT, "attachment": "a", "project": "mail", "batch": "mail/1"})
    return client


def test_every_call_adds_a_snapshot_and_replaces_the_batches(mail: rf.Client, tmp_path: Path) -> None:
    """So that a batch's way can be drawn."""
    first = rf.export_batches(tmp_path, project="mail", client=mail)
    assert first.changes["batches"] == {"read": 2, "new": 2, "changed": 0, "unchanged": 0, "unlisted": 0}
    post(mail, "task", "categorization", body={**TEXT, "attachment": "b", "project": "mail", "batch": "mail/1"})
    second = rf.export_batches(tmp_path, project="mail", client=mail)
    assert (second.changes["batches"]["changed"], second.changes["batches"]["unchanged"]) == (1, 1)
    assert second.rows == {"batches": 2, "batch_snapshots": 4}
    snapshots = pd.read_parquet(tmp_path / "batch_snapshots").query("batch == 'mail/1'").sort_values("observed_at")
    assert snapshots["tasks_pending"].tolist() == [1, 2]
    assert pd.read_parquet(tmp_path / "batches").set_index("batch")["tasks_pending"].to_dict() == {
        "mail/1": 2,
        "mail/2": 0,
    }


def test_an_opened_folder_of_batches_is_brought_up_to_date_by_its_own_filters(mail: rf.Client, tmp_path: Path) -> None:
    """And reads both tables."""
    rf.export_batches(tmp_path, project="mail", client=mail)
    opened = rf.open_export(tmp_path)
    assert opened.refresh(client=mail).rows == {"batches": 2, "batch_snapshots": 4}
    assert len(opened.batch_snapshots.to_pandas()) == 4
    assert opened.batches.to_arrow(columns=["batch"]).column("batch").to_pylist() == ["mail/2", "mail/1"]
    opened.compact()
    assert len(opened.batches) == 2
    with pytest.raises(rf.ExportError, match="was exported without the table tasks"):
        _ = opened.tasks


def test_a_state_asked_for_is_the_state_now(mail: rf.Client, tmp_path: Path) -> None:
    """A batch that left it leaves the table."""
    assert rf.export_batches(tmp_path, status="in_progress", client=mail).rows["batches"] == 2
    (task,) = rf.read_tasks(batch="mail/1", client=mail)["task_id"]
    post(mail, "task", task, "cancel")
    assert rf.export_batches(tmp_path, status="in_progress", client=mail).rows["batches"] == 1
    assert pd.read_parquet(tmp_path / "batches")["batch"].tolist() == ["mail/2"]
