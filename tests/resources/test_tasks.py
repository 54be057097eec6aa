"""Changes of many tasks against a real sandbox: each row's task changed once, whatever the network does meanwhile."""

from __future__ import annotations

import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from service import TEXT, post

import refonte_frames as rf
from refonte_frames.resources.task_changes import own_result
from refonte_frames.transport.calls import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refonte_frames.transport.calls import Call


@pytest.fixture
def client(sandbox: rf.Sandbox, key: str) -> Iterator[rf.Client]:
    """Make a client of a fresh live world; faults ordered in the test end with it."""
    with rf.Client(api_key=key, base_url=sandbox.base_url, state_dir=sandbox.state_dir) as client:
        yield client
    sandbox.faults.clear()


def make(client: rf.Client, count: int = 3, **fields: Any) -> pd.DataFrame:
    """Make tasks by plain HTTP, and a frame of their ids whose index has repeats."""
    bodies = [{**TEXT, "attachment": f"text {at}", **fields} for at in range(count)]
    ids = [post(client, "task", "categorization", body=body)["task_id"] for body in bodies]
    return pd.DataFrame({"text": [body["attachment"] for body in bodies], "task_id": ids}, index=[5] * count)


def served(client: rf.Client, frame: pd.DataFrame, name: str) -> list[Any]:
    """Ask for a field of each task; None where it is absent."""
    return [rf.get_task(task_id, client=client).get(name) for task_id in frame["task_id"]]


def complete(sandbox: rf.Sandbox, frame: pd.DataFrame) -> pd.DataFrame:
    """Complete all tasks of a frame."""
    for task_id in frame["task_id"]:
        sandbox.complete(task_id)
    return frame


def outcomes(receipt: pd.DataFrame) -> list[str]:
    """List the outcomes in row order."""
    return list(receipt["outcome"])


def audit_counts(client: rf.Client, frame: pd.DataFrame) -> list[int]:
    """Count the audits of each task."""
    return [len(audits or ()) for audits in served(client, frame, "audits")]


def posts(sandbox: rf.Sandbox, ending: str, frame: pd.DataFrame) -> int:
    """Count the POSTs to the tasks of a frame."""
    paths = {f"/v1/task/{task_id}/{ending}" for task_id in frame["task_id"]}
    return sum(call["method"] == "POST" and call["path"] in paths for call in sandbox.requests())


# The receipt


def test_the_receipt_is_the_frame_with_what_became_of_each_row(client: rf.Client) -> None:
    """Rows, order, index and columns stay, columns of ours make way, and the caller's frame is not touched."""
    frame = make(client).assign(outcome="created", error_code=7)
    before = frame.copy(deep=True)
    receipt = rf.cancel(frame, client=client)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(receipt[["text", "task_id"]], frame[["text", "task_id"]])
    assert receipt.columns.tolist() == ["text", "task_id", "outcome", "error_code", "error_message"]
    assert outcomes(receipt) == ["changed"] * 3
    assert receipt.attrs["refonte"]["counts"] == {"changed": 3, "unchanged": 0, "failed": 0, "unsent": 0, "unknown": 0}
    assert served(client, frame, "status") == ["canceled"] * 3


@pytest.mark.parametrize("kind", [pl.DataFrame, lambda columns: pd.DataFrame(columns, dtype="string[pyarrow]")])
def test_frames_of_other_kinds_are_taken(client: rf.Client, kind: Any) -> None:
    """A polars frame and Arrow-backed columns do as well."""
    ids = make(client, 2)["task_id"].tolist()
    receipt = rf.cancel(kind({"id": [*ids, None]}), task_id="id", client=client)
    assert outcomes(receipt) == ["changed", "changed", "failed"]


def test_no_rows_ask_nothing(client: rf.Client) -> None:
    """The columns are the same."""
    receipt = rf.cancel(pd.DataFrame({"task_id": []}), client=client)
    assert receipt.columns.tolist() == ["task_id", "outcome", "error_code", "error_message"]
    assert client.requests_by_status() == {}


def test_rows_without_a_usable_id_fail_alone(client: rf.Client) -> None:
    """No id, an id that is no text and an unknown one are errors of their rows; the others are changed."""
    good = make(client, 1)["task_id"].iloc[0]
    frame = pd.DataFrame({"task_id": pd.Series([good, None, "", 7, ["x"], "\ud83d", "0" * 24, ".."], dtype=object)})
    receipt = rf.cancel(frame, client=client)
    assert receipt["error_code"].tolist() == [
        *(None, "no_task_id", "no_task_id", "bad_task_id", "bad_task_id", "bad_task_id", "not_found", "not_found")
    ]


@pytest.mark.parametrize("columns", [["task_id", "task_id"], ["id", "text"]])
def test_the_column_of_ids_must_be_there_once(client: rf.Client, columns: list[str]) -> None:
    """Nothing is sent otherwise."""
    with pytest.raises(rf.ColumnError, match="'task_id'"):
        rf.cancel(pd.DataFrame([["a", "b"]], columns=columns), client=client)
    assert client.requests_by_status() == {}


def test_rows_of_one_task_share_its_outcome(client: rf.Client) -> None:
    """The task is read and changed once; rows that order different things fail, and it is left alone."""
    ids = make(client, 2)["task_id"].tolist()
    frame = pd.DataFrame({"task_id": [ids[0], ids[0], ids[1], ids[1]], "camera": ["a", "a", "a", "b"]})
    before = sum(client.requests_by_status().values())
    receipt = rf.set_metadata(frame, columns=["camera"], client=client)
    assert outcomes(receipt) == ["changed", "changed", "failed", "failed"]
    assert receipt["error_code"].tolist()[2:] == ["conflicting_rows"] * 2
    assert sum(client.requests_by_status().values()) - before == 2
    assert served(client, frame, "metadata") == [{"camera": "a"}, {"camera": "a"}, {}, {}]


def test_a_dry_run_shows_the_difference_and_changes_nothing(client: rf.Client) -> None:
    """`before` and `after` are behind the rows; the tasks are as they were."""
    frame = make(client, 2, tags=["new"])
    rf.cancel(frame.iloc[:1], client=client)
    receipt = rf.cancel(frame, dry_run=True, client=client)
    assert receipt.columns.tolist()[2:] == ["outcome", "error_code", "error_message", "before", "after"]
    assert receipt[["outcome", "before", "after"]].to_numpy().tolist() == [
        ["unchanged", None, None],
        ["changed", "pending", "canceled"],
    ]
    assert served(client, frame, "status") == ["canceled", "pending"]


# Each function


def test_cancel_does_not_ask_where_the_task_says_no(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """A completed task is failed by what was read; no POST goes out."""
    frame = complete(sandbox, make(client, 1))
    receipt = rf.cancel(frame, client=client)
    assert receipt[["outcome", "error_code"]].to_numpy().tolist() == [["failed", "not_pending"]]
    assert "completed" in receipt["error_message"].iloc[0]
    assert posts(sandbox, "cancel", frame) == 0


def test_cancel_can_free_the_id_of_a_canceled_task_too(client: rf.Client) -> None:
    """A second run without an id left to free changes nothing."""
    frame = make(client, 1, unique_id="scene")
    assert outcomes(rf.cancel(frame, client=client)) == ["changed"]
    freed = rf.cancel(frame, clear_unique_id=True, client=client)
    assert (outcomes(freed), served(client, frame, "unique_id")) == (["changed"], [None])
    assert outcomes(rf.cancel(frame, clear_unique_id=True, client=client)) == ["unchanged"]


def test_metadata_are_replaced_by_columns(client: rf.Client) -> None:
    """Keys not named go, null cells leave their key out, values are what a reader of JSON expects."""
    frame = make(client, 2, metadata={"old": 1}).assign(camera=["left", None], size=[np.nan, 3.0])
    receipt = rf.set_metadata(frame, columns={"cam": "camera", "px": "size"}, client=client)
    assert outcomes(receipt) == ["changed", "changed"]
    assert served(client, frame, "metadata") == [{"cam": "left"}, {"px": 3}]
    assert outcomes(rf.set_metadata(frame, columns={"cam": "camera", "px": "size"}, client=client)) == ["unchanged"] * 2


@pytest.mark.parametrize(("value", "outcome"), [(5.0, "unchanged"), (5, "unchanged"), (True, "changed")])
def test_metadata_that_say_the_same_are_left_alone(client: rf.Client, value: Any, outcome: str) -> None:
    """5.0 is 5; true is not 1."""
    present = 1 if value is True else 5
    frame = make(client, 1, metadata={"n": present}).assign(n=pd.Series([value], index=[5], dtype=object))
    assert outcomes(rf.set_metadata(frame, columns=["n"], client=client)) == [outcome]


def test_a_cell_that_json_cannot_hold_fails_its_row(client: rf.Client) -> None:
    """The others are changed."""
    frame = make(client, 2).assign(n=[float("inf"), 1.5])
    receipt = rf.set_metadata(frame, columns=["n"], client=client)
    assert receipt["error_code"].tolist() == ["infinite", None]
    assert served(client, frame, "metadata") == [{}, {"n": 1.5}]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [(["camera"], "no column 'camera' with metadata"), ({"text": "cam"}, r"Write columns=\{'cam': 'text'\}")],
)
def test_columns_that_are_not_there_are_told_before_anything_is_sent(
    client: rf.Client, columns: Any, sentence: str
) -> None:
    """Also a mapping that is the wrong way round."""
    with pytest.raises(rf.ColumnError, match=sentence):
        rf.set_metadata(pd.DataFrame({"task_id": ["x"], "text": ["a"]}), columns=columns, client=client)
    assert client.requests_by_status() == {}


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (None, "a list of columns, or a dict of key to column, not None"),
        ({"\ud83d": "text"}, "half a character"),
        ({1: "text", "1": "task_id"}, "feeds the key '1' from 'text' and from 'task_id'"),
    ],
)
def test_keys_that_cannot_be_sent_are_told_before_anything_is(client: rf.Client, columns: Any, sentence: str) -> None:
    """Neither in the middle of the run, nor one in the place of another."""
    with pytest.raises(rf.InputError, match=sentence):
        rf.set_metadata(pd.DataFrame({"task_id": ["x"], "text": ["a"]}), columns=columns, client=client)
    assert client.requests_by_status() == {}


def test_keys_that_are_numbers_are_the_texts_that_json_has_for_them(client: rf.Client) -> None:
    """So that a second run finds them as they are."""
    frame = make(client, 1)
    assert outcomes(rf.set_metadata(frame, columns={1: "text"}, client=client)) == ["changed"]
    assert served(client, frame, "metadata") == [{"1": "text 0"}]
    assert outcomes(rf.set_metadata(frame, columns={1: "text"}, client=client)) == ["unchanged"]


def test_ids_are_set_and_cleared(client: rf.Client) -> None:
    """Integers become text; a second run changes nothing."""
    frame = make(client, 2).assign(scene=[7, 8])
    assert outcomes(rf.set_unique_ids(frame, column="scene", client=client)) == ["changed"] * 2
    assert served(client, frame, "unique_id") == ["7", "8"]
    assert outcomes(rf.set_unique_ids(frame, column="scene", client=client)) == ["unchanged"] * 2
    assert outcomes(rf.clear_unique_ids(frame, client=client)) == ["changed"] * 2
    assert served(client, frame, "unique_id") == [None, None]
    assert outcomes(rf.clear_unique_ids(frame, client=client)) == ["unchanged"] * 2


def test_an_id_that_another_task_holds_fails_and_names_it(client: rf.Client) -> None:
    """The service's answer becomes the row's error."""
    holder = make(client, 1, unique_id="scene")["task_id"].iloc[0]
    receipt = rf.set_unique_ids(make(client, 1).assign(scene="scene"), column="scene", client=client)
    assert receipt["error_code"].tolist() == ["unique_id_taken"]
    assert holder in receipt["error_message"].iloc[0]


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (["s", "s"], ["duplicate_unique_id"] * 2),
        (["s", ""], [None, "bad_unique_id"]),
        ([None, "s"], ["null_unique_id", None]),
        ([7.0, None], ["id_was_float", "null_unique_id"]),
        ([1.5, True], ["bad_unique_id"] * 2),
        ([float("inf"), "s"], ["infinite", None]),
    ],
)
def test_unusable_ids_are_errors_of_their_rows(client: rf.Client, cells: list[Any], codes: list[str | None]) -> None:
    """An id that stands beside two tasks too: which of them got it would be chance."""
    frame = make(client, 2)
    frame["scene"] = cells
    receipt = rf.set_unique_ids(frame, column="scene", client=client)
    assert receipt["error_code"].tolist() == codes
    assert [text for text in served(client, frame, "unique_id") if text] == ["s"] * codes.count(None)


@pytest.mark.parametrize(
    ("change", "tags", "after", "outcome"),
    [
        (rf.add_tags, ["b", "c"], ["a", "b", "c"], "changed"),
        (rf.add_tags, "b", ["a", "b"], "unchanged"),
        (rf.add_tags, ["c", "d", "e", "f"], ["a", "b"], "failed"),
        (rf.set_tags, ["c"], ["c"], "changed"),
        (rf.set_tags, ["b", "a"], ["a", "b"], "unchanged"),
        (rf.set_tags, [], None, "changed"),
        (rf.remove_tags, ["a", "z"], ["b"], "changed"),
        (rf.remove_tags, "z", ["a", "b"], "unchanged"),
    ],
)
def test_tags_are_added_set_and_removed(
    client: rf.Client, change: Any, tags: Any, after: list[str] | None, outcome: str
) -> None:
    """As the verbs of the documentation's samples say; more than five fail without asking."""
    frame = make(client, 1, tags=["a", "b"])
    receipt = change(frame, tags, client=client)
    assert (outcomes(receipt), served(client, frame, "tags")) == ([outcome], [after])
    if outcome == "failed":
        assert receipt["error_code"].tolist() == ["too_many_tags"]


@pytest.mark.parametrize("change", [rf.add_tags, rf.set_tags, rf.remove_tags])
@pytest.mark.parametrize("tags", [["a", ""], [None], [7], "", None, 7, [["a"]], "\ud83d"])
def test_tags_that_are_no_texts_are_not_sent(client: rf.Client, change: Any, tags: Any) -> None:
    """Nothing is sent."""
    with pytest.raises(rf.InputError, match="list of texts that are not empty"):
        change(pd.DataFrame({"task_id": ["x"]}), tags, client=client)
    assert client.requests_by_status() == {}


def test_six_tags_are_refused_before_anything_is_sent(client: rf.Client) -> None:
    """No task could take them."""
    with pytest.raises(rf.InputError, match="at most 5 tags, not 6"):
        rf.set_tags(pd.DataFrame({"task_id": ["x"]}), list("abcdef"), client=client)


def test_audits_follow_a_column_and_its_comments(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """An empty comment is none; an empty result is that row's error; pending tasks are not asked for."""
    frame = complete(sandbox, make(client, 3))
    frame = pd.concat([frame, make(client, 1)]).assign(
        is_good=[True, False, None, True], remark=["fine", None, "?", "early"]
    )
    receipt = rf.audit(frame, accepted="is_good", comments="remark", client=client)
    assert outcomes(receipt) == ["changed", "changed", "failed", "failed"]
    assert receipt["error_code"].tolist() == [None, None, "bad_accepted", "not_completed"]
    assert served(client, frame, "customer_review_status") == ["accepted", "rejected", "pending", None]
    audits = rf.read_audits(task_ids=frame["task_id"].tolist()[:2], client=client)
    assert audits["comments"].fillna("-").tolist() == ["fine", "-"]
    assert posts(sandbox, "audit", frame) == 2


def test_an_audit_of_the_same_result_is_not_repeated(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """Only another result adds one."""
    frame = complete(sandbox, make(client, 2))
    assert outcomes(rf.audit(frame, accepted=True, client=client)) == ["changed"] * 2
    assert outcomes(rf.audit(frame, accepted=np.True_, comments="again", client=client)) == ["unchanged"] * 2
    assert outcomes(rf.audit(frame, accepted=False, comments="on second thoughts", client=client)) == ["changed"] * 2
    assert audit_counts(client, frame) == [2, 2]


def test_the_newest_audit_of_the_customer_counts_wherever_it_stands() -> None:
    """The order of audits is not documented, and those of the service are not the customer's."""
    audits = [
        {"audit_source": "customer", "audit_result": "rejected", "audited_at": "2026-01-01T00:00:00Z"},
        {"audit_source": "customer", "audit_result": "accepted", "audited_at": "2026-01-02T00:00:00Z"},
        {"audit_source": "refonte", "audit_result": "fixed", "audited_at": "2026-01-03T00:00:00Z"},
    ]
    assert own_result({"audits": audits}) == "accepted"
    assert own_result({"audits": audits[2:]}) is None
    assert own_result({"customer_review_status": "rejected"}) == "rejected"
    assert own_result({"customer_review_status": "pending"}) is None


@pytest.mark.parametrize("comments", ["remarks", 7])
def test_a_misspelt_column_of_comments_is_no_comment(client: rf.Client, comments: Any) -> None:
    """It would be sent with every row."""
    frame = pd.DataFrame({"task_id": ["x"], "remark": ["fine"]})
    with pytest.raises(rf.ColumnError, match="'remark'"):
        rf.audit(frame, accepted=True, comments=comments, client=client)


def test_a_comment_that_cannot_be_sent_is_told_before_anything_is(client: rf.Client) -> None:
    """It would end the run in the middle."""
    with pytest.raises(rf.InputError, match="half a character"):
        rf.audit(pd.DataFrame({"task_id": ["x"]}), accepted=True, comments="\ud83d", client=client)
    assert client.requests_by_status() == {}


def test_callbacks_are_sent_again(sandbox: rf.Sandbox, client: rf.Client, key: str) -> None:
    """Once a run; pending tasks are not asked for."""
    frame = complete(sandbox, make(client, 2, callback_url="me@example.org"))
    both = pd.concat([frame, make(client, 1)])
    assert rf.resend_callbacks(both, client=client)["error_code"].tolist() == [None, None, "not_ended"]
    assert len(sandbox.callbacks(key=key)["mails"]) == 4
    assert posts(sandbox, "send-callback", both) == 2


# When the service fails


FAULTS: dict[str, dict[str, Any]] = {
    "dropped before": {"action": "drop", "side": "before"},
    "dropped after": {"action": "drop", "side": "after"},
    "failed before": {"action": "status", "status": 500, "side": "before"},
    "failed after": {"action": "status", "status": 502, "side": "after"},
    "cut off": {"action": "truncate"},
    "slowed": {"action": "status", "status": 429, "retry_after": "0"},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("name", ["metadata", "tags", "audit"])
def test_a_request_that_goes_wrong_once_is_settled(
    sandbox: rf.Sandbox, client: rf.Client, fault: dict[str, Any], name: str
) -> None:
    """Every row is changed, and audited once: before or after the deed, with or without an answer."""
    frame = complete(sandbox, make(client, 4)).assign(camera="left")
    for method in ("GET", "POST", "PUT"):
        sandbox.faults.add(**fault, method=method, path="/task/*", nth=2)
    calls = {
        "metadata": lambda: rf.set_metadata(frame, columns=["camera"], client=client),
        "tags": lambda: rf.add_tags(frame, ["seen"], client=client),
        "audit": lambda: rf.audit(frame, accepted=True, client=client),
    }
    assert outcomes(calls[name]()) == ["changed"] * 4
    fields = {"metadata": [{"camera": "left"}] * 4, "tags": [["seen"]] * 4, "audit": [1] * 4}
    if name == "audit":
        assert audit_counts(client, frame) == fields[name]
    else:
        assert served(client, frame, name) == fields[name]
    assert len(sandbox.faults.fired()) == 2


def test_an_audit_that_fails_for_good_says_so(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The task shows that it was not made: failed where the service said so, unknown where nobody answered."""
    frame = complete(sandbox, make(client, 2))
    sandbox.faults.add("status", method="POST", path=f"/task/{frame['task_id'].iloc[0]}/audit", status=500, times=9)
    sandbox.faults.add("drop", method="POST", path=f"/task/{frame['task_id'].iloc[1]}/audit", times=9)
    receipt = rf.audit(frame, accepted=True, client=client)
    assert receipt[["outcome", "error_code"]].to_numpy().tolist() == [
        ["failed", "service_error"],
        ["unknown", "no_reply"],
    ]
    sandbox.faults.clear()
    assert outcomes(rf.audit(frame, accepted=True, client=client)) == ["changed"] * 2
    assert audit_counts(client, frame) == [1, 1]


@pytest.mark.parametrize("lost", [{"action": "drop"}, {"action": "status", "status": 500}], ids=["lost", "failed"])
def test_no_second_audit_is_sent_where_nobody_saw_the_task_without_the_first(
    sandbox: rf.Sandbox, client: rf.Client, lost: dict[str, Any]
) -> None:
    """The answer is lost and the task cannot be read then: unknown, and the next run finds the audit."""
    frame = complete(sandbox, make(client, 1))
    path = f"/task/{frame['task_id'].iloc[0]}"
    sandbox.faults.add(**lost, side="after", method="POST", path=f"{path}/audit")
    sandbox.faults.add("status", method="GET", path=path, status=500, nth=2, times=2)
    receipt = rf.audit(frame, accepted=True, client=client)
    assert outcomes(receipt) == ["unknown"]
    assert "run the same call again (it does no harm)" in receipt["error_message"].iloc[0]
    assert outcomes(rf.audit(frame, accepted=True, client=client)) == ["unchanged"]
    assert audit_counts(client, frame) == [1]


def test_a_task_that_cannot_be_read_is_not_changed(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """An answer that is no JSON is that row's error."""
    frame = make(client, 2)
    sandbox.faults.add("malformed", method="GET", path=f"/task/{frame['task_id'].iloc[0]}", times=9)
    receipt = rf.cancel(frame, client=client)
    assert receipt["error_code"].tolist() == ["bad_reply", None]
    assert "nothing was changed" in receipt["error_message"].iloc[0]
    assert served(client, frame.iloc[1:], "status") == ["canceled"]


def test_a_service_that_fails_all_the_time_stops_the_run(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """After 20 failures in a row nothing more is asked; the rest is unsent."""
    frame = make(client, 120)
    sandbox.faults.add("malformed", method="GET", path="/task*", times=1000)
    with pytest.raises(rf.RefonteError, match="20 failures of the service in a row") as caught:
        rf.cancel(frame, client=client)
    counts = caught.value.receipt.attrs["refonte"]["counts"]
    assert counts["failed"] >= 20
    assert counts["unsent"] > 0
    assert sum(counts.values()) == 120


def test_a_service_that_is_not_there_is_told_with_all_rows_unsent() -> None:
    """No row is to blame."""
    with rf.Client(api_key="live_x", base_url="http://127.0.0.1:9/v1") as client:
        with pytest.raises(rf.NoReplyError, match="3 of 3 rows are unsent") as caught:
            rf.cancel(pd.DataFrame({"task_id": ["a", "b", "c"]}), client=client)
    assert outcomes(caught.value.receipt) == ["unsent"] * 3


def test_a_key_refused_midway_stops_the_run_and_the_next_goes_on(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The receipt on the error balances; nothing is done twice."""
    frame = complete(sandbox, make(client, 60))
    sandbox.faults.add("status", method="POST", path="/task/*/audit", status=401, nth=10, times=1)
    with pytest.raises(rf.Unauthorized, match="of 60 rows are unsent; run the same call again") as caught:
        rf.audit(frame, accepted=True, client=client)
    counts = caught.value.receipt.attrs["refonte"]["counts"]
    assert counts["changed"] >= 9
    assert counts["unsent"] >= 1
    assert counts["changed"] + counts["unsent"] == 60
    done = caught.value.receipt["outcome"] == "changed"
    again = rf.audit(frame, accepted=True, client=client)
    assert again["outcome"].map({"unchanged": True, "changed": False}).tolist() == done.tolist()
    assert audit_counts(client, frame) == [1] * 60


class Pressed(rf.Client):
    """A client at whose n-th sending somebody presses Ctrl-C."""

    presses_at = 0
    sent = 0

    def send_once(self, call: Call, **options: Any) -> Reply | rf.NoReplyError:
        """Count, and press."""
        self.sent += 1
        if self.sent == self.presses_at:
            signal.raise_signal(signal.SIGINT)
        return super().send_once(call, **options)


class Hurried(rf.Client):
    """A client at which somebody presses Ctrl-C as soon as the service asks to wait."""

    def send_once(self, call: Call, **options: Any) -> Reply | rf.NoReplyError:
        """Send, and press."""
        answer = super().send_once(call, **options)
        if isinstance(answer, Reply) and answer.status == 429:
            signal.raise_signal(signal.SIGINT)
        return answer


def test_ctrl_c_settles_what_is_under_way(sandbox: rf.Sandbox, client: rf.Client, key: str) -> None:
    """The receipt tells what was done; the next run does the rest, each once."""
    frame = complete(sandbox, make(client, 60))
    with Pressed(api_key=key, base_url=sandbox.base_url) as pressed:
        pressed.presses_at = 30
        with pytest.raises(rf.SubmitInterrupted, match="rows are unsent") as caught:
            rf.audit(frame, accepted=True, client=pressed)
    done = (caught.value.receipt["outcome"] == "changed").to_numpy()
    assert audit_counts(client, frame) == done.astype(int).tolist()
    assert 0 < done.sum() < 60
    rf.audit(frame, accepted=True, client=client)
    assert audit_counts(client, frame) == [1] * 60


def test_ctrl_c_does_not_wait_for_a_long_pause(sandbox: rf.Sandbox, client: rf.Client, key: str) -> None:
    """The service asked for five minutes; whoever waits for them is let go."""
    frame = make(client, 60)
    sandbox.faults.add("status", method="GET", path="/task/*", status=429, retry_after="300", nth=20, times=1)
    with Hurried(api_key=key, base_url=sandbox.base_url) as hurried, pytest.raises(rf.SubmitInterrupted) as caught:
        rf.cancel(frame, client=hurried)
    assert set(outcomes(caught.value.receipt)) == {"changed", "unsent"}


def test_four_threads_change_the_same_tasks_at_once(client: rf.Client) -> None:
    """Each adds its own tag; all tags are there in the end."""
    frame = make(client, 8)
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda tag: rf.add_tags(frame, tag, client=client), "abcd"))
    assert [set(outcomes(receipt)) for receipt in receipts] == [{"changed"}] * 4
    assert [sorted(tags) for tags in served(client, frame, "tags")] == [list("abcd")] * 8


# Journals


def test_a_journal_keeps_what_was_sent_again(sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path) -> None:
    """A run that was stopped goes on; a finished one asks nothing more and tells the same."""
    frame = complete(sandbox, make(client, 40, callback_url="me@example.org"))
    sandbox.faults.add("status", method="POST", path="/task/*/send-callback", status=401, nth=15)
    with pytest.raises(rf.Unauthorized):
        rf.resend_callbacks(frame, journal=tmp_path / "x.journal", client=client)
    assert outcomes(rf.resend_callbacks(frame, journal=tmp_path / "x.journal", client=client)) == ["changed"] * 40
    asked = client.requests_by_status()
    receipt = rf.resend_callbacks(frame, journal=tmp_path / "x.journal", client=client)
    assert outcomes(receipt) == ["changed"] * 40
    assert receipt.attrs["refonte"]["journal"] == str(tmp_path / "x.journal")
    assert client.requests_by_status() == asked
    assert len(sandbox.callbacks(key=key)["mails"]) == 80


def test_another_order_for_a_task_is_not_taken_for_done(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> None:
    """The journal knows the order, not only the task."""
    frame = complete(sandbox, make(client, 1))
    journal = tmp_path / "x.journal"
    assert outcomes(rf.audit(frame, accepted=True, journal=journal, client=client)) == ["changed"]
    assert outcomes(rf.audit(frame, accepted=False, journal=journal, client=client)) == ["changed"]
    assert served(client, frame, "customer_review_status") == ["rejected"]


def test_a_callback_nobody_answers_for_is_unknown_and_sent_by_the_next_run(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path
) -> None:
    """At least once: it may come twice, never not at all."""
    frame = complete(sandbox, make(client, 1, callback_url="me@example.org"))
    sandbox.faults.add("drop", method="POST", path="/task/*/send-callback", times=5)
    receipt = rf.resend_callbacks(frame, journal=tmp_path / "x.journal", client=client)
    assert receipt[["outcome", "error_code"]].to_numpy().tolist() == [["unknown", "no_reply"]]
    assert outcomes(rf.resend_callbacks(frame, journal=tmp_path / "x.journal", client=client)) == ["changed"]
    assert len(sandbox.callbacks(key=key)["mails"]) == 2


def test_a_journal_of_another_function_is_refused(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> None:
    """It would tell rows to be done that are not."""
    frame = complete(sandbox, make(client, 1))
    rf.audit(frame, accepted=True, journal=tmp_path / "x.journal", client=client)
    with pytest.raises(rf.JournalError, match=r"one of rf\.audit, not of rf\.resend_callbacks"):
        rf.resend_callbacks(frame, journal=tmp_path / "x.journal", client=client)


def test_a_dry_run_makes_no_journal_and_writes_none(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> None:
    """It reads the one that is there."""
    frame = complete(sandbox, make(client, 2))
    journal = tmp_path / "x.journal"
    assert outcomes(rf.audit(frame, accepted=True, journal=journal, dry_run=True, client=client)) == ["changed"] * 2
    assert not journal.exists()
    rf.audit(frame.iloc[:1], accepted=True, journal=journal, client=client)
    rf.audit(frame, accepted=True, journal=journal, dry_run=True, client=client)
    with sqlite3.connect(journal) as database:
        assert database.execute("SELECT count(*) FROM rows").fetchone() == (1,)
    database.close()
