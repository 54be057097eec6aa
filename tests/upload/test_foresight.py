"""`plan(lookup=True)`: what the platform holds under the ids is told before anything is sent, in few requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from listing import Listing, small_task
from service import TEXT, post, tasks_of

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, Any] = {
    "type": "categorization",
    "columns": {"attachment": "text"},
    "params": TEXT,
    "progress": False,
}


def texts(count: int) -> pd.DataFrame:
    """Make a frame of different texts with ids of their own."""
    return pd.DataFrame({"text": [f"text {at}" for at in range(count)], "scene": [f"s{at}" for at in range(count)]})


def plan(frame: pd.DataFrame, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Plan with the options that the tests share."""
    return rf.plan(frame, **{**OPTIONS, "client": client, "lookup": True, **more})


def submitted_elsewhere(frame: pd.DataFrame, client: rf.Client, folder: Path, **more: Any) -> pd.DataFrame:
    """Submit with a journal that the plan does not know."""
    return rf.submit(frame, **{**OPTIONS, "client": client, "journal": folder / "elsewhere.journal", **more})


@pytest.mark.parametrize("unique_id", ["auto", "scene"])
def test_rows_that_the_platform_has_are_told_with_their_tasks(
    client: rf.Client, tmp_path: Path, unique_id: str
) -> None:
    """120 rows of which it has 100: four queries, nothing changed, and a submission then finds the same."""
    made = submitted_elsewhere(texts(100), client, tmp_path, unique_id=unique_id)
    before = client.requests_by_status()["200"]
    planned = plan(texts(120), client, unique_id=unique_id)
    assert client.requests_by_status()["200"] - before == 3
    assert planned["action"].tolist() == ["existing"] * 100 + ["create"] * 20
    assert planned["task_id"].tolist()[:100] == made["task_id"].tolist()
    assert len(tasks_of(client)) == 100
    receipt = rf.submit(texts(120), **{**OPTIONS, "client": client, "unique_id": unique_id})
    assert receipt["outcome"].replace("created", "create").tolist() == planned["action"].tolist()


def test_ids_of_other_tasks_and_of_ended_ones_are_told_as_a_submission_would_fail(
    client: rf.Client, tmp_path: Path
) -> None:
    """The same codes and the same sentences; `resubmit` makes the ended one a row to be sent."""
    made = submitted_elsewhere(texts(2), client, tmp_path, unique_id="scene")
    post(client, "task", made["task_id"].iloc[1], "cancel")
    changed = texts(3).assign(text=["another text", "text 1", "text 2"])
    planned = plan(changed, client, unique_id="scene")
    assert planned["action"].tolist() == ["different", "ended", "create"]
    assert plan(changed, client, unique_id="scene", resubmit=("canceled",))["action"].tolist()[1] == "create"
    receipt = rf.submit(changed, **{**OPTIONS, "client": client, "unique_id": "scene"})
    assert receipt["error_code"].tolist() == planned["error_code"].tolist()
    assert receipt["error_message"].tolist() == planned["error_message"].tolist()


def test_rows_of_the_journal_and_beyond_the_limit_are_not_asked_for(client: rf.Client, tmp_path: Path) -> None:
    """Only what would be sent now."""
    rf.submit(texts(2), **{**OPTIONS, "client": client})
    submitted_elsewhere(texts(4), client, tmp_path)
    assert plan(texts(4), client, limit=1)["action"].tolist() == ["have", "have", "existing", "wait"]


def test_a_shared_task_is_told_on_all_its_rows(client: rf.Client, tmp_path: Path) -> None:
    """Rows and index stay as they are."""
    frame = pd.DataFrame({"text": ["a", "b", "a"]}, index=[7, 7, 8])
    submitted_elsewhere(frame.iloc[:1], client, tmp_path)
    planned = plan(frame, client, duplicates="share")
    assert planned["action"].tolist() == ["existing", "create", "existing"]
    assert planned.index.tolist() == [7, 7, 8]


def test_an_empty_world_is_not_asked_for_every_id(client: rf.Client) -> None:
    """The list says that there are no tasks at all: two requests for 100 rows."""
    planned = plan(texts(100), client)
    assert set(planned["action"]) == {"create"}
    assert sum(client.requests_by_status().values()) == 2


def test_a_service_that_looks_at_one_id_only_is_asked_for_each(tmp_path: Path) -> None:
    """Otherwise all but one would seem free."""

    class OneIdOnly(Listing):
        def _matching(self, query: list[tuple[str, str]]) -> list[dict[str, Any]]:
            ids = [pair for pair in query if pair[0] == "unique_id"]
            return super()._matching([pair for pair in query if pair not in ids[1:]])

    frame = pd.DataFrame({"text": ["a", "b", "c", "d"], "scene": ["u1", "u2", "free", "u3"]})
    with (
        OneIdOnly([small_task(at) for at in range(5)][::-1]) as listing,
        rf.Client("live_0123456789", listing.base_url, state_dir=tmp_path) as client,
    ):
        planned = plan(frame, client, unique_id="scene")
    assert planned["action"].tolist() == ["different", "different", "create", "different"]


def test_rows_without_ids_cannot_be_looked_up(client: rf.Client, tmp_path: Path) -> None:
    """Nothing is asked."""
    with pytest.raises(rf.InputError, match="with unique_id=None the rows have none"):
        plan(texts(2), client, unique_id=None, journal=tmp_path / "x.journal")
