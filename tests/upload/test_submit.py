"""Each row exactly once, whatever happens: the table of cases, each against a real server with ordered faults."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from service import TEXT, post, tasks_of

import refonte_frames as rf
from refonte_frames.transport.calls import Call

OPTIONS: dict[str, Any] = {
    "type": "categorization",
    "columns": {"attachment": "text"},
    "params": TEXT,
    "progress": False,
}


def texts(count: int = 5) -> pd.DataFrame:
    """Make a frame of different texts with an index that is no range."""
    return pd.DataFrame({"text": [f"text {at}" for at in range(count)]}, index=[f"r{at}" for at in range(count)])


def submit(frame: Any, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Submit with the options that most tests share."""
    return rf.submit(frame, **{**OPTIONS, "client": client, **more})


def outcomes(receipt: pd.DataFrame) -> list[str]:
    """List the outcomes in row order."""
    return list(receipt["outcome"])


def counts(receipt: pd.DataFrame) -> dict[str, int]:
    """Give the counts that are not zero."""
    return {name: count for name, count in receipt.attrs["refonte"]["counts"].items() if count}


# The receipt


def test_the_receipt_is_the_frame_with_what_became_of_each_row(client: rf.Client) -> None:
    """Same rows, order, index and columns, then ours; the service has one task a row, under the id told."""
    frame = texts()
    receipt = submit(frame, client)
    pd.testing.assert_frame_equal(receipt[["text"]], frame)
    assert list(receipt.columns[1:]) == [
        "task_id",
        "unique_id",
        "outcome",
        "task_status",
        "changed",
        "error_code",
        "error_message",
        "tries",
    ]
    served = {task["unique_id"]: task for task in tasks_of(client)}
    assert len(served) == 5
    for row in receipt.itertuples():
        assert served[row.unique_id]["task_id"] == row.task_id
        assert served[row.unique_id]["params"]["attachment"] == row.text
    assert set(outcomes(receipt)) == {"created"}
    assert not receipt["changed"].any()
    assert receipt["tries"].tolist() == [1] * 5


def test_an_index_with_repeats_and_a_frame_without_rows_are_fine(client: rf.Client) -> None:
    """Rows are found by place, not by label."""
    frame = texts(3).set_axis(["x", "x", "y"])
    assert submit(frame, client).index.tolist() == ["x", "x", "y"]
    assert len(submit(frame.iloc[:0], client)) == 0


def test_the_attributes_tell_counts_requests_and_journal(client: rf.Client) -> None:
    """They are plain JSON types."""
    about = submit(texts(3), client).attrs["refonte"]
    assert about["counts"] == {"created": 3, "existing": 0, "failed": 0, "unsent": 0, "unknown": 0}
    assert about["requests_by_status"] == {"200": 3}
    assert Path(about["journal"]).exists()
    assert len(about["run_id"]) == 32


def test_one_line_on_stderr_tells_how_it_went(client: rf.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, outcomes, errors by code, and where the journal is."""
    submit(pd.DataFrame({"text": ["a", None]}), client)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2 rows: 1 created, 1 failed in" in captured.err
    assert "1 missing_parameter" in captured.err
    assert captured.err.count("\n") == 1


def test_polars_frames_are_taken_as_they_are(client: rf.Client) -> None:
    """Through Arrow; the receipt is a pandas frame."""
    assert outcomes(submit(pl.DataFrame({"text": ["a", "b"]}), client)) == ["created", "created"]


# Running it again


def test_the_same_line_again_sends_nothing(client: rf.Client) -> None:
    """The journal has the tasks; the answer is the same."""
    first = submit(texts(), client)
    again = submit(texts(), client)
    pd.testing.assert_frame_equal(first, again)
    # One look at one task, to be sure that the journal is of this service.
    assert again.attrs["refonte"]["requests_by_status"] == {"200": 1}
    assert len(tasks_of(client)) == 5


def test_added_and_reordered_rows_are_just_other_rows(client: rf.Client) -> None:
    """Rows are known by what they are, not by where they stand."""
    first = submit(texts(3), client)
    more = submit(texts(5).iloc[::-1], client)
    assert counts(more) == {"created": 5}
    assert more["task_id"].iloc[::-1].tolist()[:3] == first["task_id"].tolist()
    assert len(tasks_of(client)) == 5


def test_without_its_journal_the_platform_is_asked(client: rf.Client, tmp_path: Path) -> None:
    """Another journal finds the very same tasks there: `existing`."""
    first = submit(texts(), client, journal=tmp_path / "a.journal")
    second = submit(texts(), client, journal=tmp_path / "b.journal")
    assert counts(second) == {"existing": 5}
    assert second["task_id"].tolist() == first["task_id"].tolist()
    assert len(tasks_of(client)) == 5


def test_a_mended_cell_is_sent_and_the_others_are_not(client: rf.Client) -> None:
    """The rows that failed can be mended and submitted as they came back."""
    frame = texts(4)
    frame.loc["r2", "text"] = None
    receipt = submit(frame, client, metadata="rest")
    failed = receipt.query("outcome == 'failed'").copy()
    assert len(failed) == 1
    failed["text"] = "mended"
    assert counts(submit(failed, client, metadata="rest")) == {"created": 1}
    assert sorted(task["params"]["attachment"] for task in tasks_of(client)) == ["mended", "text 0", "text 1", "text 3"]
    assert all(task["metadata"] == {} for task in tasks_of(client))


def test_changed_metadata_makes_no_new_task_and_is_told(client: rf.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """`changed` marks rows that differ from what was sent."""
    frame = texts(2).assign(camera=["n", "s"])
    submit(frame, client, metadata=["camera"])
    frame.loc["r1", "camera"] = "w"
    receipt = submit(frame, client, metadata=["camera"])
    assert receipt["changed"].tolist() == [False, True]
    assert "1 rows differ" in capsys.readouterr().err
    assert len(tasks_of(client)) == 2


def test_limit_sends_a_pilot_and_the_next_call_goes_on(client: rf.Client) -> None:
    """What the pilot sent does not count against the next limit."""
    assert counts(submit(texts(), client, limit=2)) == {"created": 2, "unsent": 3}
    assert counts(submit(texts(), client, limit=2)) == {"created": 4, "unsent": 1}
    assert counts(submit(texts(), client)) == {"created": 5}


# Repeated rows


def test_shared_rows_carry_one_task(client: rf.Client) -> None:
    """duplicates='share': every such row has its id."""
    frame = pd.DataFrame({"text": ["same", "other", "same"]})
    receipt = submit(frame, client, duplicates="share")
    assert receipt["task_id"].iloc[0] == receipt["task_id"].iloc[2] != receipt["task_id"].iloc[1]
    assert len(tasks_of(client)) == 2


def test_each_of_equal_rows_can_have_its_own_task(client: rf.Client) -> None:
    """duplicates='each': stable over runs."""
    frame = pd.DataFrame({"text": ["same", "other", "same"]})
    first = submit(frame, client, duplicates="each")
    assert first["unique_id"].iloc[2] == first["unique_id"].iloc[0] + "#2"
    pd.testing.assert_frame_equal(first, submit(frame, client, duplicates="each"))
    assert len(tasks_of(client)) == 3


def test_without_ids_equal_rows_are_each_sent_once(client: rf.Client, tmp_path: Path) -> None:
    """unique_id=None counts occurrences; the journal is the guard."""
    frame = pd.DataFrame({"text": ["same", "other", "same"]})
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    assert counts(submit(frame, client, **options)) == {"created": 3}
    assert counts(submit(frame, client, **options)) == {"created": 3}
    assert len(tasks_of(client)) == 3
    with pytest.raises(rf.InputError, match="name it: journal="):
        submit(frame, client, unique_id=None)


def test_of_equal_rows_without_ids_those_without_a_task_go_first(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path
) -> None:
    """The failed rows of a receipt are not taken for their equals that have a task, and never get two."""
    one_by_one = rf.Client(key, client.base_url, max_workers=1, state_dir=tmp_path)
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("status", status=400, method="POST", path="/task/*", nth=2, times=1)
    first = submit(pd.DataFrame({"text": ["same"] * 3}), one_by_one, **options)
    assert outcomes(first) == ["created", "failed", "created"]
    failed = first.query("outcome == 'failed'")
    assert rf.plan(failed, **OPTIONS, **options, client=client)["action"].tolist() == ["create"]
    made = submit(failed, client, **options)
    assert outcomes(made) == ["created"]
    assert made["task_id"].iloc[0] not in set(first["task_id"])
    assert outcomes(submit(failed, client, **options)) == ["created"]
    assert counts(submit(pd.DataFrame({"text": ["same"] * 3}), client, **options)) == {"created": 3}
    assert len(tasks_of(client)) == 3


def test_a_group_of_rows_shares_task_and_outcome(client: rf.Client) -> None:
    """group_by: two tasks of two attachments each."""
    frame = pd.DataFrame({"pair": ["x", "y", "x", "y"], "url": [f"https://e.org/{i}.jpg" for i in range(4)]})
    receipt = rf.submit(
        frame,
        type="comparison",
        columns={"attachment": "url"},
        group_by="pair",
        params={"attachment_type": "image", "choices": ["l", "r"]},
        client=client,
    )
    assert receipt["task_id"].nunique() == 2
    assert receipt["task_id"].iloc[0] == receipt["task_id"].iloc[2]
    assert sorted(task["params"]["attachments"][0] for task in tasks_of(client)) == [
        "https://e.org/0.jpg",
        "https://e.org/1.jpg",
    ]


# Who holds an id


def test_a_foreign_task_with_our_id_is_an_error_that_names_it(client: rf.Client) -> None:
    """An id that belongs to another task fails the row, with that task's id in the message."""
    holder = post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s1", **TEXT})
    frame = pd.DataFrame({"text": ["ours", "fine"], "scene": ["s1", "s2"]})
    receipt = submit(frame, client, unique_id="scene")
    assert outcomes(receipt) == ["failed", "created"]
    assert receipt["error_code"].iloc[0] == "unique_id_taken"
    assert holder["task_id"] in receipt["error_message"].iloc[0]
    assert "attachment" in receipt["error_message"].iloc[0]


def test_the_very_same_task_of_somebody_else_is_taken_over(client: rf.Client) -> None:
    """Equal in all that is labeled: `existing`, whatever its metadata and tags, and though a project adds to it."""
    post(
        client,
        "projects",
        body={"type": "categorization", "name": "p", "params": {"instruction": "More.", "allow_multiple": True}},
    )
    body = {
        "project": "p",
        "instruction": "Pick.",
        "attachment": "ours",
        "unique_id": "s1",
        "metadata": {"x": 1},
        **TEXT,
    }
    holder = post(client, "task", "categorization", body=body)
    frame = pd.DataFrame({"text": ["ours"], "scene": ["s1"]})
    receipt = submit(frame, client, unique_id="scene", project="p", params=TEXT | {"instruction": "Pick."})
    assert outcomes(receipt) == ["existing"]
    assert receipt["task_id"].iloc[0] == holder["task_id"]


@pytest.mark.parametrize("ending", ["canceled", "error"])
def test_a_holder_that_ended_fails_the_row_unless_it_may_be_made_anew(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, ending: str
) -> None:
    """Asked to resubmit, it clears the old task's id and makes one more, exactly one."""
    first = submit(texts(1), client)
    task_id = first["task_id"].iloc[0]
    if ending == "canceled":
        post(client, "task", task_id, "cancel")
    else:
        sandbox.control("POST", f"/tasks/{task_id}/fail", {})
    fresh = {"journal": tmp_path / "fresh.journal"}
    refused = submit(texts(1), client, **fresh)
    assert refused["error_code"].tolist() == [f"holder_{ending}"]
    assert f"resubmit=('{ending}',)" in refused["error_message"].iloc[0]
    made = submit(texts(1), client, resubmit=(ending,), **fresh)
    assert outcomes(made) == ["created"]
    assert made["task_id"].iloc[0] != task_id
    pd.testing.assert_frame_equal(
        submit(texts(1), client, resubmit=(ending,), **fresh)[["task_id", "outcome"]], made[["task_id", "outcome"]]
    )
    assert len(tasks_of(client)) == 2


def test_resubmit_finds_canceled_tasks_that_the_journal_made(client: rf.Client) -> None:
    """The journal's own tasks are looked at again when resubmit is asked for."""
    first = submit(texts(3), client)
    post(client, "task", first["task_id"].iloc[1], "cancel")
    assert counts(submit(texts(3), client)) == {"created": 3}
    second = submit(texts(3), client, resubmit=("canceled",))
    assert (second["task_id"] == first["task_id"]).tolist() == [True, False, True]
    assert len(tasks_of(client)) == 4


# Faults


@pytest.mark.parametrize("action", ["drop", "truncate", "malformed", "empty", "bad_gzip"])
@pytest.mark.parametrize("unique_id", ["auto", None])
def test_an_answer_lost_after_the_task_was_made_does_not_double_it(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, action: str, unique_id: str | None
) -> None:
    """The same key again brings the same task."""
    sandbox.faults.add(action, method="POST", path="/task/*", side="after", every=2, times=5)
    receipt = submit(texts(8), client, unique_id=unique_id, journal=tmp_path / "x.journal")
    assert counts(receipt) == {"created": 8}
    assert sorted(receipt["task_id"]) == sorted(task["task_id"] for task in tasks_of(client))
    assert len(sandbox.faults.fired()) == 5


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_server_fault_before_or_after_the_deed_is_settled(
    sandbox: rf.Sandbox, client: rf.Client, status: int, side: Any
) -> None:
    """Whether the task was made or not, there is one in the end."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=status, side=side, every=3, times=6)
    assert counts(submit(texts(8), client)) == {"created": 8}
    assert len(tasks_of(client)) == 8


def test_a_saved_error_is_looked_up_and_then_sent_under_a_new_key(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """A 500 that the service replays for a day does not hold a row for a day, nor double it."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=500, is_saved=True, times=2)
    receipt = submit(texts(3), client)
    assert counts(receipt) == {"created": 3}
    assert receipt["tries"].sum() > 3
    assert len(tasks_of(client)) == 3


def test_a_saved_error_after_the_deed_is_found_by_the_look_up(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The task was made and the error saved: the look-up finds it, and the row is ours."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=500, is_saved=True, side="after", times=2)
    assert counts(submit(texts(3), client)) == {"created": 3}
    assert len(tasks_of(client)) == 3


@pytest.mark.parametrize("retry_after", ["0", "soon", None])
def test_requests_to_slow_down_are_waited_out(sandbox: rf.Sandbox, client: rf.Client, retry_after: str | None) -> None:
    """429 is no failure of a row, with a useful Retry-After or without."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=429, retry_after=retry_after, every=2, times=3)
    receipt = submit(texts(6), client)
    assert counts(receipt) == {"created": 6}
    assert receipt["tries"].tolist() == [1] * 6


def test_a_service_that_stays_down_leaves_rows_that_the_next_call_settles(
    sandbox: rf.Sandbox, client: rf.Client
) -> None:
    """Errors after the deed, look-ups included: nothing is claimed that is not known, and nothing is doubled."""
    sandbox.faults.add("status", status=500, method="POST", path="/task/*", side="after", every=1, times=1000)
    sandbox.faults.add("status", status=500, method="GET", path="/tasks", every=1, times=1000)
    receipt = submit(texts(2), client)
    assert outcomes(receipt) == ["failed", "failed"]
    assert receipt["error_code"].tolist() == ["no_reply", "no_reply"]
    assert "it is not doubled" in receipt["error_message"].iloc[0]
    sandbox.faults.clear()
    assert counts(submit(texts(2), client)) == {"created": 2}
    assert len(tasks_of(client)) == 2


def test_without_ids_a_row_may_end_unknown_and_be_settled_within_a_day(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path
) -> None:
    """unique_id=None: nobody can look, but the same key still tells within 24 hours."""
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("drop", method="POST", path="/task/*", side="after", times=3)
    receipt = submit(texts(1), client, **options)
    assert outcomes(receipt) == ["unknown"]
    assert counts(submit(texts(1), client, **options)) == {"created": 1}
    assert len(tasks_of(client)) == 1


def age_journal(path: Path, hours: float) -> None:
    """Make a journal look as if its intents were made so long ago."""
    with sqlite3.connect(path) as db:
        db.execute("UPDATE rows SET first_sent_at = first_sent_at - ?", (hours * 3600,))
    db.close()


def test_without_ids_nothing_is_sent_blindly_after_a_day(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path
) -> None:
    """The key may be forgotten: the row stays unknown, and no second task is made."""
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("drop", method="POST", path="/task/*", side="after", times=3)
    submit(texts(1), client, **options)
    age_journal(tmp_path / "x.journal", 25)
    receipt = submit(texts(1), client, **options)
    assert outcomes(receipt) == ["unknown"]
    assert len(tasks_of(client)) == 1


def test_with_ids_an_old_sending_is_looked_up(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> None:
    """After a day the id still tells: made rows are found, others are made."""
    journal = tmp_path / "x.journal"
    sandbox.faults.add("status", status=500, method="POST", path="/task/*", side="after", every=1, times=3)
    sandbox.faults.add("status", status=500, method="GET", path="/tasks", every=1, times=1000)
    submit(texts(1), client, journal=journal)
    with sqlite3.connect(journal) as db:
        db.execute("UPDATE rows SET state = 'sending'")
    db.close()
    age_journal(journal, 25)
    sandbox.faults.clear()
    assert counts(submit(texts(3), client, journal=journal)) == {"created": 3}
    assert len(tasks_of(client)) == 3


# Stops


def test_a_wrong_key_stops_before_anything_is_sent(sandbox: rf.Sandbox, tmp_path: Path) -> None:
    """401 on the first row ends the run with the receipt on the error."""
    stranger = rf.Client("nobody_at_all", sandbox.base_url, state_dir=tmp_path)
    with pytest.raises(rf.Unauthorized, match="5 of 5 rows are unsent") as caught:
        submit(texts(), stranger)
    assert outcomes(caught.value.receipt) == ["unsent"] * 5


def test_a_key_that_is_withdrawn_midway_stops_the_run_and_the_rest_is_sent_later(
    sandbox: rf.Sandbox, client: rf.Client
) -> None:
    """401 midway: what was made is told, what was not goes out under new keys."""
    sandbox.faults.add("status", status=401, method="POST", path="/task/*", is_saved=True, nth=20, every=1, times=1000)
    with pytest.raises(rf.Unauthorized) as caught:
        submit(texts(60), client)
    found = caught.value.receipt["outcome"].value_counts().to_dict()
    assert found["created"] == 19
    assert found["created"] + found["unsent"] == 60
    sandbox.faults.clear()
    assert counts(submit(texts(60), client)) == {"created": 60}
    assert len(tasks_of(client)) == 60


def test_a_type_that_is_not_enabled_stops_its_own_rows_only(client: rf.Client) -> None:
    """402: rows of other types are sent, then the error is raised."""
    frame = pd.DataFrame({"type": ["sensorfusion", "categorization"] * 10, "text": [f"t{at}" for at in range(20)]})
    with pytest.raises(rf.NotEnabled) as caught:
        submit(frame, client, type=None)
    assert caught.value.receipt["outcome"].tolist() == ["unsent", "created"] * 10


def test_many_equal_refusals_in_a_row_stop_the_run(client: rf.Client) -> None:
    """A fault that all rows share does not cost a request a row."""
    frame = pd.DataFrame({"text": [f"t{at}" for at in range(500)]})
    with pytest.raises(rf.RefonteError, match="equal refusals in a row") as caught:
        submit(frame, client, params={"attachment_type": "text", "categories": "no list"})
    receipt = caught.value.receipt
    assert (receipt["outcome"] == "failed").sum() >= 20
    assert (receipt["outcome"] == "unsent").sum() > 300


def test_on_error_raise_refuses_bad_rows_before_sending(client: rf.Client) -> None:
    """All of them are in the error; nothing was sent."""
    frame = pd.DataFrame({"text": ["a", None, "b", ""]})
    with pytest.raises(rf.RowErrors, match="2 of the rows cannot be sent") as caught:
        submit(frame, client, on_error="raise")
    assert [(at, code) for at, code, _ in caught.value.rows] == [(1, "missing_parameter"), (3, "missing_parameter")]
    assert tasks_of(client) == []


def test_on_error_raise_stops_at_a_refused_row_with_the_receipt(client: rf.Client) -> None:
    """What was in flight is settled first; the accounts balance."""
    post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s0", **TEXT})
    frame = pd.DataFrame({"text": [f"t{at}" for at in range(100)], "scene": [f"s{at}" for at in range(100)]})
    with pytest.raises(rf.RefonteError, match="Row 0 was refused") as caught:
        submit(frame, client, unique_id="scene", on_error="raise")
    found = caught.value.receipt["outcome"].value_counts().to_dict()
    assert found["failed"] == 1
    assert found["unsent"] > 0
    assert found.get("created", 0) == len(tasks_of(client)) - 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"project": "nope"}, "no project 'nope'"),
        ({"batch": "nope"}, "no batch 'nope'"),
        ({"project": "images"}, "'imageannotation', not 'categorization'"),
        ({"project": "words", "batch": "done"}, "is completed"),
        ({"project": "words", "batch": "other"}, "belongs to the project 'words2'"),
    ],
)
def test_a_project_or_batch_that_cannot_take_the_rows_is_told_first(
    sandbox: rf.Sandbox, client: rf.Client, more: dict[str, Any], why: str
) -> None:
    """One look at each; nothing is sent and no journal is made."""
    for name, kind in [("words", "categorization"), ("words2", "categorization"), ("images", "imageannotation")]:
        post(client, "projects", body={"type": kind, "name": name})
    post(client, "batches", body={"project": "words", "name": "done"})
    post(client, "batches", body={"project": "words2", "name": "other"})
    task = post(client, "task", "categorization", body={"attachment": "x", "batch": "done", **TEXT})
    sandbox.control("POST", f"/tasks/{task['task_id']}/complete", {})
    with pytest.raises(rf.InputError, match=why):
        submit(texts(), client, **more)
    assert len(tasks_of(client)) == 1


def test_a_batch_that_is_finalized_takes_no_more(client: rf.Client) -> None:
    """A Rapid batch after its finalize: every row is refused, and none is lost."""
    post(client, "projects", body={"type": "categorization", "name": "p", "rapid": True})
    post(client, "batches", body={"project": "p", "name": "b"})
    assert counts(submit(texts(2), client, batch="b")) == {"created": 2}
    post(client, "batches", "b", "finalize")
    receipt = submit(texts(4), client, batch="b")
    assert outcomes(receipt) == ["created", "created", "failed", "failed"]
    assert receipt["error_code"].tolist()[2:] == ["bad_request"] * 2


def test_a_projects_own_params_may_stand_for_missing_ones(client: rf.Client) -> None:
    """What the project knows, no row needs."""
    post(client, "projects", body={"type": "categorization", "name": "p", "params": {"categories": ["a", "b"]}})
    assert counts(submit(texts(2), client, project="p", params={"attachment_type": "text"})) == {"created": 2}


# Journals


def test_a_journal_is_private(client: rf.Client) -> None:
    """Mode 0600, in folders of 0700, and no key in it."""
    path = Path(submit(texts(1), client).attrs["refonte"]["journal"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert client._key._value.encode() not in path.read_bytes()


def test_another_accounts_journal_is_refused(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> None:
    """Its rows would look done for an account that has never seen them."""
    journal = tmp_path / "x.journal"
    submit(texts(1), client, journal=journal)
    with pytest.raises(rf.JournalError, match="another key"):
        submit(texts(1), sandbox.client("live_other"), journal=journal)


def test_a_journal_of_a_service_that_was_reset_is_refused(sandbox: rf.Sandbox, client: rf.Client, key: str) -> None:
    """Rows are not taken for done when the service has forgotten them."""
    submit(texts(1), client)
    sandbox.reset(key=key)
    with pytest.raises(rf.JournalError, match="does not know it"):
        submit(texts(1), client)


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to look at" * 10, b"SQLite format 3\0" + bytes(84)]
)
def test_a_damaged_journal_is_refused_and_not_written_over(client: rf.Client, tmp_path: Path, content: bytes) -> None:
    """What is no journal stays as it is."""
    path = tmp_path / "x.journal"
    path.write_bytes(content)
    with pytest.raises(rf.JournalError, match=r"x\.journal"):
        submit(texts(1), client, journal=path)
    assert path.read_bytes() == content


def test_a_foreign_database_and_a_newer_journal_are_told_apart(client: rf.Client, tmp_path: Path) -> None:
    """Each with what to do."""
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t(x)")
    db.close()
    with pytest.raises(rf.JournalError, match="no journal of ours"):
        submit(texts(1), client, journal=foreign)
    newer = tmp_path / "newer.journal"
    submit(texts(1), client, journal=newer)
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(rf.JournalError, match="Upgrade"):
        submit(texts(1), client, journal=newer)


# plan


def test_plan_tells_what_submit_would_do_and_changes_nothing(client: rf.Client) -> None:
    """New, known and invalid rows; no task and no journal comes of it."""
    frame = pd.DataFrame({"text": ["a", None, "b"]})
    planned = rf.plan(frame, client=client, **OPTIONS)
    assert planned["action"].tolist() == ["create", "invalid", "create"]
    assert planned["error_code"].tolist() == [None, "missing_parameter", None]
    assert planned["bytes"].tolist() == [66, 49, 66]
    assert tasks_of(client) == []
    assert not list(client.state_dir.rglob(f"{client.key_fingerprint}/*"))
    receipt = submit(frame, client)
    assert receipt["unique_id"].tolist() == planned["unique_id"].tolist()
    again = rf.plan(frame, client=client, **OPTIONS)
    assert again["action"].tolist() == ["have", "invalid", "have"]
    assert again["task_id"].tolist() == receipt["task_id"].tolist()


def test_plan_shows_what_a_limit_leaves_waiting(client: rf.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows beyond the limit wait."""
    assert rf.plan(texts(3), client=client, limit=1, **OPTIONS)["action"].tolist() == ["create", "wait", "wait"]
    assert "3 rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"limit": -1}, "limit"),
        ({"chunk_rows": 0}, "chunk_rows"),
        ({"on_error": "ignore"}, "on_error"),
        ({"resubmit": ("completed",)}, "completed"),
        ({"resubmit": "canceled"}, "sequence"),
    ],
)
def test_options_out_of_range_are_refused(client: rf.Client, more: dict[str, Any], why: str) -> None:
    """Each error names the option."""
    with pytest.raises(rf.InputError, match=why):
        submit(texts(1), client, **more)


def test_small_chunks_make_the_same_tasks(client: rf.Client) -> None:
    """chunk_rows is a matter of memory only."""
    receipt = submit(texts(25), client, chunk_rows=7)
    assert counts(receipt) == {"created": 25}
    served = {task["task_id"]: task["params"]["attachment"] for task in tasks_of(client)}
    assert [served[task_id] for task_id in receipt["task_id"]] == receipt["text"].tolist()


def test_the_service_forgets_no_call(client: rf.Client) -> None:
    """A look at one task by plain HTTP agrees with the receipt."""
    receipt = submit(texts(1), client)
    body = client.send(Call.get("task", receipt["task_id"].iloc[0])).body
    assert receipt["unique_id"].iloc[0].encode() in body


def test_equal_rows_without_ids_that_a_limit_left_are_sent_when_only_they_come(
    client: rf.Client, tmp_path: Any
) -> None:
    """Three of five have their tasks; the two others are not taken for them."""
    options = {**OPTIONS, "client": client, "unique_id": None, "journal": tmp_path / "x.journal"}
    receipt = rf.submit(pd.DataFrame({"text": ["a"] * 5}), limit=3, **options)
    left = receipt.query("outcome == 'unsent'")
    planned = rf.plan(left, **options)
    assert planned["action"].tolist() == ["create"] * 2
    assert rf.submit(left, **options)["outcome"].tolist() == ["created"] * 2
    assert rf.submit(receipt, **options)["task_id"].nunique() == len(tasks_of(client)) == 5
