"""The table of cases of a submission, the rare ones: saved refusals, mismatched keys, changed rows, lists that lag."""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from service import TEXT, post, tasks_of

import refonte_frames as rf

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from refonte_frames.transport.calls import Call, Reply

OPTIONS: dict[str, Any] = {
    "type": "categorization",
    "columns": {"attachment": "text"},
    "params": TEXT,
    "progress": False,
}
TAKEN = "The Idempotency-Key was already used with other parameters."


def texts(count: int = 4) -> pd.DataFrame:
    """Make a frame of different texts with ids of their own."""
    return pd.DataFrame({"text": [f"text {at}" for at in range(count)], "scene": [f"s{at}" for at in range(count)]})


def submit(frame: Any, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Submit with the options that the tests share."""
    return rf.submit(frame, **{**OPTIONS, "client": client, **more})


class Killed(BaseException):
    """Stands for the end of the process: nothing after it is carried out or written down."""


class Watched(rf.Client):
    """A client that does something before or after its n-th POST of a task."""

    before: Callable[[int], None] = staticmethod(lambda _: None)
    after: Callable[[int], None] = staticmethod(lambda _: None)
    posts: int = 0

    def send_once(self, call: Call, *, stop: threading.Event | None = None) -> Reply | rf.NoReplyError:
        """Send, with what is to be done around it."""
        is_task = call.method == "POST" and call.path.startswith("/task/")
        self.posts += is_task
        if is_task:
            self.before(self.posts)
        answer = super().send_once(call, stop=stop)
        if is_task:
            self.after(self.posts)
        return answer


def killed(_: int) -> None:
    """End the process."""
    raise Killed


def watched(client: rf.Client, key: str, tmp_path: Path) -> Watched:
    """Make a watched client of the same world, which sends one row after the other."""
    return Watched(key, client.base_url, max_workers=1, state_dir=tmp_path)


def killed_before(client: rf.Client, key: str, tmp_path: Path, frame: pd.DataFrame, **options: Any) -> None:
    """Submit in a process that ends before its first POST goes out."""
    mortal = watched(client, key, tmp_path)
    mortal.before = killed
    with contextlib.suppress(Killed):
        submit(frame, mortal, **options)


def killed_after(client: rf.Client, key: str, tmp_path: Path, frame: pd.DataFrame, **options: Any) -> None:
    """Submit in a process that ends when its first POST was carried out, before the answer is written down."""
    mortal = watched(client, key, tmp_path)
    mortal.after = killed
    with contextlib.suppress(Killed):
        submit(frame, mortal, **options)


# Refusals that the service saved under their keys


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("unique_id", ["auto", "scene", None])
def test_a_saved_refusal_is_not_replayed_once_its_cause_is_gone(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, status: int, unique_id: str | None
) -> None:
    """The next call takes the next key, though the row is the same."""
    options = {"unique_id": unique_id, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("status", method="POST", path="/task/*", status=status, is_saved=True, times=1)
    assert sorted(submit(texts(2), client, **options)["outcome"]) == ["created", "failed"]
    assert submit(texts(2), client, **options)["outcome"].tolist() == ["created"] * 2
    assert len(tasks_of(client)) == 2


@pytest.mark.parametrize("status", [401, 402, 403])
@pytest.mark.parametrize("unique_id", ["auto", None])
def test_a_saved_refusal_of_the_whole_run_is_not_replayed(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, status: int, unique_id: str | None
) -> None:
    """The run stops; the next one sends the refused row under a new key."""
    options = {"unique_id": unique_id, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("status", method="POST", path="/task/*", status=status, is_saved=True, times=1)
    with pytest.raises(rf.ApiError) as caught:
        submit(texts(1), client, **options)
    assert caught.value.receipt["outcome"].tolist() == ["unsent"]
    assert submit(texts(1), client, **options)["outcome"].tolist() == ["created"]
    assert len(tasks_of(client)) == 1


def test_a_saved_refusal_is_gone_with_its_key_after_a_day(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The service forgets; the row is sent once."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=400, is_saved=True, times=1)
    assert submit(texts(1), client)["outcome"].tolist() == ["failed"]
    sandbox.clock.advance(hours=25)
    assert submit(texts(1), client)["outcome"].tolist() == ["created"]
    assert len(tasks_of(client)) == 1


# Keys that the service takes for another request's


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_key_that_is_taken_is_settled_by_a_look_up(sandbox: rf.Sandbox, client: rf.Client, side: Any) -> None:
    """Nobody holds the id: the next key. The task was made: it is ours."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=409, text=TAKEN, side=side, times=1)
    receipt = submit(texts(2), client)
    assert receipt["outcome"].tolist() == ["created"] * 2
    assert sorted(receipt["task_id"]) == sorted(task["task_id"] for task in tasks_of(client))


def test_a_key_that_is_always_taken_fails_the_row(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """After a few keys it is said; nothing was made, and a later call makes it."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=409, text=TAKEN, times=99)
    receipt = submit(texts(1), client)
    assert receipt["error_code"].tolist() == ["key_mismatch"]
    sandbox.faults.clear()
    assert submit(texts(1), client)["outcome"].tolist() == ["created"]
    assert len(tasks_of(client)) == 1


def test_a_key_that_is_taken_leaves_a_row_without_an_id_unknown(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path
) -> None:
    """Some request was carried out or refused under it; nobody can look which."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=409, text=TAKEN, times=1)
    receipt = submit(texts(1), client, unique_id=None, journal=tmp_path / "x.journal")
    assert receipt["outcome"].tolist() == ["unknown"]
    assert not tasks_of(client)


def test_two_requests_under_one_key_at_once_are_one_task(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path
) -> None:
    """The service refuses the second with 429 while the first is under way; both runs end with the same task."""
    sandbox.faults.add("delay", method="POST", path="/task/*", secs=0.5, every=1, times=4)
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: submit(texts(4), client, **options), range(2))
    assert first["task_id"].tolist() == second["task_id"].tolist()
    assert len(tasks_of(client)) == 4


# Rows that are other ones when the run goes on


def test_a_row_that_changed_after_it_was_sent_unseen_keeps_its_task(
    client: rf.Client, key: str, tmp_path: Path
) -> None:
    """The id is the caller's own: the old sending is found, the difference is told, nothing is sent."""
    options = {"unique_id": "scene", "journal": tmp_path / "x.journal"}
    killed_after(client, key, tmp_path, texts(1), **options)
    receipt = submit(texts(1).assign(text="mended"), client, **options)
    assert receipt[["outcome", "changed"]].to_numpy().tolist() == [["created", True]]
    assert [task["params"]["attachment"] for task in tasks_of(client)] == ["text 0"]


def test_a_row_that_changed_before_it_was_sent_is_sent_as_it_is_now(
    client: rf.Client, key: str, tmp_path: Path
) -> None:
    """The intent stands in the journal, the request never left."""
    options = {"unique_id": "scene", "journal": tmp_path / "x.journal"}
    killed_before(client, key, tmp_path, texts(1), **options)
    receipt = submit(texts(1).assign(text="mended"), client, **options)
    assert receipt[["outcome", "changed"]].to_numpy().tolist() == [["created", False]]
    assert [task["params"]["attachment"] for task in tasks_of(client)] == ["mended"]


def test_a_changed_row_does_not_take_a_foreign_task_for_its_own(client: rf.Client, key: str, tmp_path: Path) -> None:
    """A task that was there before the row was first sent, by a century here, cannot have come of it."""
    options = {"unique_id": "scene", "journal": tmp_path / "x.journal"}
    killed_before(client, key, tmp_path, texts(1), **options)
    post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s0", **TEXT})
    with sqlite3.connect(tmp_path / "x.journal") as db:
        db.execute("UPDATE rows SET first_sent_at = first_sent_at + 36500 * 86400")
    db.close()
    receipt = submit(texts(1).assign(text="mended"), client, **options)
    assert receipt["error_code"].tolist() == ["unique_id_taken"]


def test_metadata_that_changed_after_a_lost_answer_make_no_second_task(
    client: rf.Client, key: str, tmp_path: Path
) -> None:
    """The derived id does not hang on them; the row says that they differ."""
    options = {"metadata": ["scene"], "journal": tmp_path / "x.journal"}
    killed_after(client, key, tmp_path, texts(1), **options)
    receipt = submit(texts(1).assign(scene="other"), client, **options)
    assert receipt[["outcome", "changed"]].to_numpy().tolist() == [["created", True]]
    assert [task["metadata"] for task in tasks_of(client)] == [{"scene": "s0"}]


def test_a_row_without_an_id_that_changed_is_another_row(client: rf.Client, key: str, tmp_path: Path) -> None:
    """The journal knows rows by their content: the old one comes back to its own task."""
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    killed_after(client, key, tmp_path, texts(1), **options)
    assert submit(texts(1).assign(text="mended"), client, **options)["outcome"].tolist() == ["created"]
    assert submit(texts(1), client, **options)["outcome"].tolist() == ["created"]
    assert [task["params"]["attachment"] for task in tasks_of(client)] == ["text 0", "mended"]


def test_a_journal_of_another_frame_serves_both(client: rf.Client, tmp_path: Path) -> None:
    """Each finds its own rows in it."""
    options = {"journal": tmp_path / "x.journal"}
    submit(texts(2), client, **options)
    other = pd.DataFrame({"text": ["other", "text 1"]})
    assert submit(other, client, **options).attrs["refonte"]["counts"]["created"] == 2
    assert submit(texts(2), client, **options)["outcome"].tolist() == ["created"] * 2
    assert len(tasks_of(client)) == 3


# URLs that are signed anew


def signed(day: int) -> pd.DataFrame:
    """Make a frame of URLs as they are signed on some day."""
    urls = [f"https://b.example.org/{at}.jpg?w=9&X-Amz-Date=2024010{day}&X-Amz-Signature={day}" for at in range(3)]
    return pd.DataFrame({"attachment": urls, "scene": [f"s{at}" for at in range(3)]})


IMAGES: dict[str, Any] = {
    "type": "imageannotation",
    "columns": {"attachment": "attachment"},
    "params": {"geometries": {"box": {"objects_to_annotate": ["kitten"]}}},
}


@pytest.mark.parametrize("unique_id", ["auto", "scene", None])
def test_a_url_that_is_signed_anew_is_the_same_row(client: rf.Client, tmp_path: Path, unique_id: str | None) -> None:
    """No second task, and no difference to tell."""
    options = {**IMAGES, "unique_id": unique_id, "journal": tmp_path / "x.journal"}
    first = submit(signed(1), client, **options)
    second = submit(signed(2), client, **options)
    assert second["task_id"].tolist() == first["task_id"].tolist()
    assert not second["changed"].any()
    assert len(tasks_of(client)) == 3


@pytest.mark.parametrize("unique_id", ["auto", "scene"])
def test_a_url_that_is_signed_anew_is_the_same_task_to_another_journal(
    client: rf.Client, tmp_path: Path, unique_id: str
) -> None:
    """Signatures do not count when the holder of an id is compared."""
    submit(signed(1), client, **IMAGES, unique_id=unique_id, journal=tmp_path / "a.journal")
    receipt = submit(signed(2), client, **IMAGES, unique_id=unique_id, journal=tmp_path / "b.journal")
    assert receipt["outcome"].tolist() == ["existing"] * 3


@pytest.mark.parametrize(("unique_id", "outcome"), [("auto", "created"), ("scene", "created"), (None, "unknown")])
def test_a_url_that_is_signed_anew_after_a_lost_answer_is_not_sent_twice(
    client: rf.Client, key: str, tmp_path: Path, unique_id: str | None, outcome: str
) -> None:
    """The service sees other bytes under the old key and says so; an id tells the rest."""
    options = {**IMAGES, "unique_id": unique_id, "journal": tmp_path / "x.journal"}
    killed_after(client, key, tmp_path, signed(1).iloc[:1], **options)
    receipt = submit(signed(2).iloc[:1], client, **options)
    assert receipt["outcome"].tolist() == [outcome]
    assert len(tasks_of(client)) == 1


# Looks that do not tell


@pytest.mark.parametrize("unique_id", ["auto", "scene"])
def test_a_list_that_lags_behind_doubles_no_row(sandbox: rf.Sandbox, client: rf.Client, unique_id: str) -> None:
    """The task was made, its error saved, and the list does not show it yet: the next key meets the id's guard."""
    sandbox.faults.add("list_lag", method="GET", path="/tasks", secs=10_000, every=1, times=99)
    sandbox.faults.add("status", method="POST", path="/task/*", status=500, is_saved=True, side="after", times=2)
    receipt = submit(texts(3), client, unique_id=unique_id)
    sandbox.faults.clear()
    assert receipt["outcome"].tolist() == ["created"] * 3
    assert sorted(receipt["task_id"]) == sorted(task["task_id"] for task in tasks_of(client))


def test_a_holder_that_cannot_be_seen_is_somebody_elses(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The service names a task and has none of this id for this key."""
    post(client, "task", "categorization", body={"attachment": "text 0", "unique_id": "s0", **TEXT})
    sandbox.faults.add("status", method="GET", path="/task/*", status=404, every=1, times=9)
    receipt = submit(texts(1), client, unique_id="scene")
    assert receipt["error_code"].tolist() == ["unique_id_taken"]
    assert "which this key cannot see" in receipt["error_message"].iloc[0]


def test_a_key_withdrawn_before_a_holder_was_read_leaves_its_row_to_the_next_call(
    sandbox: rf.Sandbox, client: rf.Client
) -> None:
    """The run stops with 401; the row is unsent, not failed, and then found."""
    post(client, "task", "categorization", body={"attachment": "text 0", "unique_id": "s0", **TEXT})
    sandbox.faults.add("status", method="GET", path="/task/*", status=401, every=1, times=9)
    with pytest.raises(rf.Unauthorized) as caught:
        submit(texts(1), client, unique_id="scene")
    assert caught.value.receipt["outcome"].tolist() == ["unsent"]
    sandbox.faults.clear()
    assert submit(texts(1), client, unique_id="scene")["outcome"].tolist() == ["existing"]


def test_a_request_that_timed_out_on_the_way_is_asked_again(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """408 says that the service gave up waiting for it."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=408, every=2, times=3)
    assert submit(texts(4), client)["outcome"].tolist() == ["created"] * 4
    assert len(tasks_of(client)) == 4


# The world changes during a run


def test_a_batch_that_is_finalized_during_a_run_stops_it_with_the_rest_unsent(
    client: rf.Client, key: str, tmp_path: Path
) -> None:
    """After 20 equal refusals; what was made stays, and the accounts balance."""
    post(client, "projects", body={"type": "categorization", "name": "p", "rapid": True})
    post(client, "batches", body={"project": "p", "name": "b"})
    sender = watched(client, key, tmp_path)
    sender.after = lambda posts: post(client, "batches", "b", "finalize") if posts == 5 else None
    with pytest.raises(rf.BadRequest, match=r"Stopped after 20 equal refusals in a row.*rows are unsent") as caught:
        submit(texts(60), sender, batch="b")
    found = caught.value.receipt.attrs["refonte"]["counts"]
    assert (found["created"], sum(found.values())) == (5, 60)
    assert found["failed"] >= 20
    assert len(tasks_of(client)) == 5


def test_repeated_rows_are_refused_before_anything_is_sent(client: rf.Client, tmp_path: Path) -> None:
    """duplicates="error": the rows are named, and there is no journal yet."""
    with pytest.raises(rf.InputError, match=r"in rows 0, 2; counted from 0\)\. Nothing was sent"):
        submit(pd.DataFrame({"text": ["a", "b", "a"]}), client, journal=tmp_path / "x.journal")
    assert not tasks_of(client)
    assert not (tmp_path / "x.journal").exists()


@pytest.mark.parametrize("journals", ["one", "two"])
@pytest.mark.parametrize("unique_id", ["auto", "scene"])
def test_threads_that_submit_the_same_frame_at_once_make_each_row_once(
    client: rf.Client, tmp_path: Path, journals: str, unique_id: str
) -> None:
    """One client, one journal or two: the same tasks in both receipts."""
    names = ["a.journal", "a.journal" if journals == "one" else "b.journal"]
    with ThreadPoolExecutor(2) as pool:
        run = lambda name: submit(texts(40), client, unique_id=unique_id, journal=tmp_path / name)  # noqa: E731
        first, second = pool.map(run, names)
    assert first["task_id"].tolist() == second["task_id"].tolist()
    assert {*first["outcome"], *second["outcome"]} <= {"created", "existing"}
    assert len(tasks_of(client)) == 40
