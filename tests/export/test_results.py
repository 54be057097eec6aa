"""Results beside the rows that were submitted, from a real sandbox."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import polars as pl
import pytest
from service import TEXT, post

import refonte_frames as rf

OURS = ["status", "completed_at", "customer_review_status", "n_annotations", "response_json", "error"]


def make(client: rf.Client, count: int = 3, **fields: Any) -> pd.DataFrame:
    """Make tasks by plain HTTP; the frame's index has repeats."""
    bodies = [{**TEXT, "attachment": f"text {at}", "unique_id": f"scene {at}", **fields} for at in range(count)]
    ids = [post(client, "task", "categorization", body=body)["task_id"] for body in bodies]
    names = [body["unique_id"] for body in bodies]
    return pd.DataFrame({"task_id": ids, "unique_id": names}, index=["x"] * count)


def asked(client: rf.Client) -> int:
    """Count the requests so far."""
    return sum(client.requests_by_status().values())


def test_rows_come_back_with_their_results(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """Rows, order, index and columns stay; a row without a task has nulls; the caller's frame is not touched."""
    frame = make(client)
    sandbox.complete(frame["task_id"].iloc[0])
    sandbox.fail(frame["task_id"].iloc[1], "no such image")
    frame = pd.concat([frame, pd.DataFrame({"task_id": [None], "unique_id": ["scene 0"]}, index=["y"])])[::-1]
    before = frame.copy(deep=True)
    rows = rf.results(frame, client=client)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(rows[["task_id", "unique_id"]], frame)
    assert rows.columns.tolist() == ["task_id", "unique_id", *OURS]
    assert rows["status"].fillna("-").tolist() == ["-", "pending", "error", "completed"]
    assert rows["n_annotations"].fillna(-1).tolist() == [-1, 0, 0, 1]
    assert rows["error"].fillna("-").tolist() == ["-", "-", "no such image", "-"]
    assert rows["completed_at"].isna().tolist() == [True, True, False, False]
    assert rows["response_json"].iloc[3].startswith("{")
    assert rows["customer_review_status"].iloc[3] == "pending"


def test_the_types_are_the_same_for_no_rows(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """And those of the table of tasks."""
    frame = make(client, 1)
    sandbox.complete(frame["task_id"].iloc[0])
    full, none = rf.results(frame, client=client), rf.results(frame.iloc[:0], client=client)
    assert none.dtypes[OURS].tolist() == full.dtypes[OURS].tolist()
    assert str(none.dtypes["completed_at"]) == "timestamp[us, tz=UTC][pyarrow]"
    assert len(none) == 0


def test_clashing_names_get_a_suffix_as_often_as_needed(client: rf.Client) -> None:
    """Nothing of the caller's is lost."""
    frame = make(client, 1).assign(status="mine", error_task="mine too", error="and this")
    rows = rf.results(frame, client=client)
    assert rows[["status", "status_task", "error_task"]].to_numpy().tolist() == [["mine", "pending", "mine too"]]
    assert "error_task_task" in rows.columns


@pytest.mark.parametrize("names", [["task_id", "unique_id"], ["task_id"], ["unique_id"]])
def test_any_id_will_do(client: rf.Client, names: list[str]) -> None:
    """A task_id decides; a unique_id does where there is no column of task ids. A polars frame will do, too."""
    frame = make(client, 2)[names]
    assert rf.results(frame, client=client)["status"].tolist() == ["pending"] * 2
    assert rf.results(pl.from_pandas(frame), client=client)["status"].tolist() == ["pending"] * 2


def test_tasks_that_were_created_together_are_read_from_the_list(client: rf.Client) -> None:
    """250 rows without unique_ids: a look at the total, three pages, and one request for what is not among them."""
    frame = make(client, 250)[["task_id"]]
    before = asked(client)
    assert rf.results(frame[::-1], client=client)["status"].notna().all()
    assert asked(client) - before == 4
    before = asked(client)
    few = pd.concat([frame.iloc[:100], pd.DataFrame({"task_id": ["f" * 24]})])
    with pytest.warns(UserWarning, match="1 tasks were not found"):
        rows = rf.results(few, client=client)
    assert rows["status"].isna().sum() == 1
    assert asked(client) - before == 5


def test_a_list_that_is_much_longer_than_the_frame_is_not_read(client: rf.Client) -> None:
    """110 of 500 tasks are read one by one after a look at the total."""
    frame = make(client, 500)[["task_id"]]
    before = asked(client)
    assert rf.results(frame.iloc[::5], client=client)["status"].notna().all()
    assert asked(client) - before == 101


def test_many_tasks_are_read_by_one_request_where_their_unique_ids_are_known(client: rf.Client) -> None:
    """90 rows of a receipt are three requests; without unique_ids they are 90."""
    frame = make(client, 90)
    before = asked(client)
    assert rf.results(frame, client=client)["status"].notna().all()
    assert asked(client) - before == 3
    rf.results(frame[["task_id"]], client=client)
    assert asked(client) - before == 93


def test_a_unique_id_that_another_task_has_by_now_misleads_nobody(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The row's own task is read by its task_id."""
    frame = make(client, 2)
    sandbox.complete(frame["task_id"].iloc[0])
    rf.clear_unique_ids(frame, client=client)
    make(client, 1)
    assert rf.results(frame, client=client)["status"].tolist() == ["completed", "pending"]


def test_a_service_without_the_filter_is_asked_task_by_task(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """What it lists instead is not taken for these tasks."""
    frame = make(client, 3)
    sandbox.faults.add("ignore_filters", path="/tasks", names=["unique_id"], times=9)
    assert rf.results(frame.iloc[1:], client=client)["status"].tolist() == ["pending"] * 2


def test_ids_without_a_task_are_told(client: rf.Client) -> None:
    """A warning counts them, attrs list them, their rows have nulls."""
    frame = pd.concat([make(client, 1), pd.DataFrame({"task_id": ["0" * 24], "unique_id": ["nobody"]})])
    with pytest.warns(UserWarning, match="1 tasks were not found: '0000"):
        rows = rf.results(frame, client=client)
    assert rows["status"].isna().tolist() == [False, True]
    assert rows.attrs["refonte"]["not_found"] == ["0" * 24]


def test_annotations_come_once_a_task_in_the_order_of_the_rows(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """Also where rows share a task."""
    frame = make(client, 2)
    for task_id in frame["task_id"]:
        sandbox.complete(task_id)
    rows, annotations = rf.results(pd.concat([frame[::-1], frame]), annotations=True, client=client)
    assert len(rows) == 4
    assert annotations["task_id"].tolist() == frame["task_id"].tolist()[::-1]
    assert annotations.columns.tolist() == rf.schemas.ANNOTATIONS.names


@pytest.mark.parametrize(
    ("frame", "options", "error"),
    [
        (pd.DataFrame({"id": ["a"]}), {}, rf.ColumnError),
        (pd.DataFrame({"unique_id": ["a"]}), {"task_id": "id"}, rf.ColumnError),
        (pd.DataFrame([["a", "b"]], columns=["task_id", "task_id"]), {}, rf.ColumnError),
        (pd.DataFrame({"task_id": [7]}), {}, rf.InputError),
        ([1, 2], {}, rf.InputError),
    ],
)
def test_a_frame_without_usable_ids_is_refused(
    client: rf.Client, frame: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    """Nothing is sent."""
    with pytest.raises(error):
        rf.results(frame, **options, client=client)
    assert client.requests_by_status() == {}


@pytest.mark.parametrize("fault", [{"action": "drop"}, {"action": "status", "status": 503}, {"action": "truncate"}])
def test_trouble_with_one_request_does_not_show(sandbox: rf.Sandbox, client: rf.Client, fault: dict[str, Any]) -> None:
    """It is asked again."""
    frame = make(client, 3)
    sandbox.faults.add(**fault, method="GET", path="/task*")
    sandbox.complete(frame["task_id"].iloc[0])
    rows = rf.results(frame, client=client)
    assert rows["status"].tolist() == ["completed", "pending", "pending"]
    assert isinstance(rows["completed_at"].iloc[0], dt.datetime)
    assert len(sandbox.faults.fired()) == 1
