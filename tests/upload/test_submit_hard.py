"""Submit in the corners: refusals after lost answers, parts of frames, odd clocks, forks, services that lie."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from raw_server import RawServer, answer
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


def texts(count: int = 4) -> pd.DataFrame:
    """Make a frame of different texts."""
    return pd.DataFrame({"text": [f"text {at}" for at in range(count)]})


def submit(frame: Any, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Submit with the options that most tests share."""
    return rf.submit(frame, **{**OPTIONS, "client": client, **more})


def tolerant(frame: Any, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Submit, and take the receipt from the error if there is one."""
    try:
        return submit(frame, client, **more)
    except rf.RefonteError as error:
        receipt: pd.DataFrame = error.receipt
        return receipt


# Lost answers, then refusals


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413])
def test_a_refusal_after_a_lost_answer_does_not_double_a_row_without_an_id(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, status: int
) -> None:
    """The first sending was carried out unseen: the row is unknown, and the next call finds its task."""
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("drop", method="POST", path="/task/*", side="after", times=1)
    sandbox.faults.add("status", method="POST", path="/task/*", status=status, nth=2, times=1)
    assert tolerant(texts(1), client, **options)["outcome"].tolist() == ["unknown"]
    sandbox.faults.clear()
    assert submit(texts(1), client, **options)["outcome"].tolist() == ["created"]
    assert len(tasks_of(client)) == 1


def test_a_refusal_after_a_lost_answer_is_looked_up_when_there_is_an_id(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """The task is there, so the row has not failed."""
    sandbox.faults.add("drop", method="POST", path="/task/*", side="after", times=1)
    sandbox.faults.add("status", method="POST", path="/task/*", status=400, nth=2, times=1)
    receipt = submit(texts(1), client)
    assert receipt["outcome"].tolist() == ["created"]
    assert receipt["task_id"].iloc[0] == tasks_of(client)[0]["task_id"]


def test_many_rows_that_end_unknown_stop_the_run(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> None:
    """A service that is down does not cost three requests for every row of a large frame."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=500, every=1, times=10_000)
    with pytest.raises(rf.ServiceError, match="equal refusals in a row") as caught:
        submit(texts(200), client, unique_id=None, journal=tmp_path / "x.journal")
    assert (caught.value.receipt["outcome"] == "unsent").sum() > 100


def test_a_saved_refusal_for_rate_does_not_hold_a_row_for_a_day(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """A 429 that the service replays under its key is left behind by taking the next key."""
    sandbox.faults.add(
        "status", method="POST", path="/task/*", status=429, retry_after="0", is_saved=True, nth=2, times=1
    )
    assert submit(texts(4), client)["outcome"].tolist() == ["created"] * 4
    assert len(tasks_of(client)) == 4


# Parts of frames


def test_a_cell_becomes_the_same_in_chunks_of_any_size(client: rf.Client, tmp_path: Path) -> None:
    """A column of integers with a hole: no row is changed, none is sent twice, by another chunk_rows."""
    frame = pd.DataFrame({"text": list("abcd"), "n": [1, 2, None, 4]})
    options = {"metadata": ["n"], "unique_id": None, "journal": tmp_path / "x.journal"}
    submit(frame, client, chunk_rows=10, **options)
    receipt = submit(frame, client, chunk_rows=2, **options)
    assert not receipt["changed"].any()
    sent = {task["params"]["attachment"]: task["metadata"] for task in tasks_of(client)}
    assert sent == {"a": {"n": 1}, "b": {"n": 2}, "c": {}, "d": {"n": 4}}
    part = submit(receipt.iloc[[0, 1]], client, **options)
    assert part["task_id"].tolist() == receipt["task_id"].tolist()[:2]
    assert len(tasks_of(client)) == 4


def test_numbered_rows_keep_their_numbers_in_a_part_of_the_receipt(client: rf.Client) -> None:
    """The third of three equal rows is the third, also when it comes alone; with columns= and without."""
    frame = pd.DataFrame({"attachment": ["same"] * 3})
    options = {"duplicates": "each", "columns": None, "params": TEXT}
    pilot = submit(frame, client, limit=2, **options)
    rest = submit(pilot.query("outcome == 'unsent'"), client, **options)
    assert rest["unique_id"].iloc[0].endswith("#3")
    assert rest["outcome"].tolist() == ["created"]
    assert len(tasks_of(client)) == 3


def test_a_number_that_is_another_rows_own_id_is_passed_over(client: rf.Client) -> None:
    """Own ids a, a and a#2 are three rows and three tasks."""
    frame = pd.DataFrame({"text": ["x", "x", "x"], "scene": ["a", "a", "a#2"]})
    receipt = submit(frame, client, unique_id="scene", duplicates="each")
    assert sorted(receipt["unique_id"]) == ["a", "a#2", "a#3"]
    assert len(tasks_of(client)) == 3


def test_shared_rows_that_differ_from_what_was_sent_are_marked(client: rf.Client) -> None:
    """The first row's metadata is sent; the others say that theirs was not."""
    frame = pd.DataFrame({"text": ["x", "x", "x"], "camera": ["n", "n", "s"]})
    receipt = submit(frame, client, duplicates="share", metadata=["camera"])
    assert receipt["changed"].tolist() == [False, False, True]


def test_a_receipt_of_one_type_can_be_submitted_as_another(client: rf.Client) -> None:
    """Ids made for the one are no ids of the other."""
    frame = pd.DataFrame({"attachment": ["https://e.org/1.jpg"], "objects_to_annotate": [["cat"]]})
    first = rf.submit(frame, type="annotation", client=client, progress=False)
    second = rf.submit(first, type="polygonannotation", client=client, progress=False)
    assert second["outcome"].tolist() == ["created"]
    assert second["task_id"].iloc[0] != first["task_id"].iloc[0]


def test_a_limit_gets_past_rows_that_are_refused_and_rows_that_are_looked_at_again(client: rf.Client) -> None:
    """New rows go before refused ones, and a look at a known task is no sending."""
    for at in range(2):
        post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": f"s{at}", **TEXT})
    frame = texts(4).assign(scene=[f"s{at}" for at in range(4)])
    for _ in range(3):
        receipt = submit(frame, client, unique_id="scene", limit=2, resubmit=("canceled",))
    assert receipt["outcome"].tolist() == ["failed", "failed", "created", "created"]


# Journals and clocks


def age_journal(path: Path, hours: float) -> None:
    """Make a journal look as if its intents were made so long ago."""
    with sqlite3.connect(path) as db:
        db.execute("UPDATE rows SET first_sent_at = first_sent_at - ?", (hours * 3600,))
    db.close()


@pytest.mark.parametrize("hours", [25, -25])
def test_an_intent_of_yesterday_or_of_tomorrow_is_not_repeated_blindly(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, hours: float
) -> None:
    """A clock that was wrong proves nothing about the age of a key."""
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("drop", method="POST", path="/task/*", side="after", times=3)
    submit(texts(1), client, **options)
    age_journal(tmp_path / "x.journal", hours)
    sandbox.clock.advance(hours=25)
    assert submit(texts(1), client, **options)["outcome"].tolist() == ["unknown"]
    assert len(tasks_of(client)) == 1


def test_rows_that_certainly_never_went_out_are_sent_whenever_the_next_call_comes(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path
) -> None:
    """A run that was stopped by a 401 leaves its waiting rows unsent, not unknown, after a day too."""
    options = {"unique_id": None, "journal": tmp_path / "x.journal"}
    sandbox.faults.add("status", status=401, method="POST", path="/task/*", nth=3, every=1, times=1000)
    receipt = tolerant(texts(80), client, **options)
    assert set(receipt["outcome"]) == {"created", "unsent"}
    sandbox.faults.clear()
    age_journal(tmp_path / "x.journal", 25)
    assert set(submit(texts(80), client, **options)["outcome"]) == {"created"}
    assert len(tasks_of(client)) == 80


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_second_look_that_fails_forgets_nothing(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, method: str
) -> None:
    """With resubmit, a task that cannot be looked at stays the row's task."""
    journal = tmp_path / "x.journal"
    first = submit(texts(1), client, journal=journal)
    post(client, "task", first["task_id"].iloc[0], "cancel")
    path = "/task/*/unique_id" if method == "DELETE" else "/task/*"
    # The first GET of a run looks whether the journal is of this service.
    sandbox.faults.add(
        "status", status=500, method=method, path=path, nth=2 if method == "GET" else 1, every=1, times=99
    )
    receipt = submit(texts(1), client, journal=journal, resubmit=("canceled",))
    assert receipt["outcome"].tolist() == ["created"]
    assert receipt["task_id"].tolist() == first["task_id"].tolist()
    assert receipt["error_code"].tolist() == ["not_rechecked"]
    sandbox.faults.clear()
    second = submit(texts(1), client, journal=journal, resubmit=("canceled",))
    assert second["outcome"].tolist() == ["created"]
    assert second["task_id"].iloc[0] != first["task_id"].iloc[0]
    assert len(tasks_of(client)) == 2


def test_a_task_made_anew_for_one_that_was_found_is_ours(client: rf.Client, tmp_path: Path) -> None:
    """`existing` was said of the old one."""
    submit(texts(1), client, journal=tmp_path / "a.journal")
    found = submit(texts(1), client, journal=tmp_path / "b.journal")
    assert found["outcome"].tolist() == ["existing"]
    post(client, "task", found["task_id"].iloc[0], "cancel")
    made = submit(texts(1), client, journal=tmp_path / "b.journal", resubmit=("canceled",))
    assert made["outcome"].tolist() == ["created"]
    assert submit(texts(1), client, journal=tmp_path / "b.journal")["outcome"].tolist() == ["created"]


def test_one_journal_for_two_types_keeps_their_rows_apart(client: rf.Client, tmp_path: Path) -> None:
    """The same own id is one task in the whole account, so the second type's row says who has it."""
    options = {"unique_id": "scene", "journal": tmp_path / "x.journal", "client": client, "progress": False}
    frame = pd.DataFrame({"attachment": ["https://e.org/1.jpg"], "objects_to_annotate": [["cat"]], "scene": ["s"]})
    rf.submit(frame, type="annotation", **options)
    receipt = rf.submit(frame, type="polygonannotation", **options)
    assert receipt["error_code"].tolist() == ["unique_id_taken"]


@pytest.mark.parametrize("damage", ["DELETE FROM meta", "DROP TABLE rows"])
def test_a_journal_with_holes_is_a_sentence(client: rf.Client, tmp_path: Path, damage: str) -> None:
    """Not a traceback of the database."""
    journal = tmp_path / "x.journal"
    submit(texts(1), client, journal=journal)
    with sqlite3.connect(journal) as db:
        db.execute(damage)
    db.close()
    with pytest.raises(rf.JournalError, match=r"x\.journal"):
        submit(texts(1), client, journal=journal)


def test_plan_writes_nothing_into_a_journal_that_may_not_be_written(client: rf.Client, tmp_path: Path) -> None:
    """It looks, and that is all; an empty file stays empty."""
    journal = tmp_path / "x.journal"
    submit(texts(2), client, journal=journal)
    before = journal.read_bytes()
    assert rf.plan(texts(3), journal=journal, client=client, **OPTIONS)["action"].tolist() == ["have", "have", "create"]
    assert journal.read_bytes() == before
    empty = tmp_path / "empty.journal"
    empty.touch()
    rf.plan(texts(1), journal=empty, client=client, **OPTIONS)
    assert empty.read_bytes() == b""


# Services that lie


def test_answers_about_another_row_are_not_taken(client: rf.Client) -> None:
    """A task with another unique_id, or without an id of its own, is no answer to this row."""
    task = b'{"task_id":"%s","status":"pending","unique_id":"somebody else"}'
    lies = [answer(task % b"65e5831a5ad3e70011000001"), answer(b'{"task_id":""}'), answer(b'{"task_id":7}')]
    with RawServer(
        [*lies, answer(b'{"docs":[]}'), *lies, answer(b'{"docs":[]}'), *lies, answer(b'{"docs":[]}')]
    ) as server:
        liar = rf.Client("live_liar", server.base_url, max_workers=1, state_dir=client.state_dir)
        receipt = submit(texts(1), liar)
    assert receipt["outcome"].tolist() == ["failed"]
    assert receipt["task_id"].tolist() == [None]


@pytest.mark.parametrize("holder", [b"{}", b'{"task_id":"65e5831a5ad3e70011000002","status":"pending"}', b"[]"])
def test_a_holder_that_is_none_is_not_taken(client: rf.Client, holder: bytes) -> None:
    """The service names a task and then shows something else."""
    taken = b'The unique_id (\\"%s\\") is already used for a different task (65e5831a5ad3e70011000001).'
    conflict = b'{"status_code":409,"error":"' + taken % b"s1" + b'"}'
    frame = pd.DataFrame({"text": ["x"], "scene": ["s1"]})
    with RawServer([answer(conflict, "409 Conflict"), answer(holder)]) as server:
        liar = rf.Client("live_liar", server.base_url, max_workers=1, state_dir=client.state_dir)
        receipt = submit(frame, liar, unique_id="scene")
    assert receipt["outcome"].tolist() == ["failed"]
    assert receipt["error_code"].tolist() == ["no_reply"]


def test_a_page_that_repeats_the_key_leaves_no_trace_of_it(client: rf.Client, tmp_path: Path) -> None:
    """Not in the receipt, and not in the journal, also when it came with status 200."""
    key = "live_echoed-key-0123456789"
    with RawServer([answer(b"<html>your key is " + key.encode() + b"</html>")] * 8) as server:
        echoed = rf.Client(key, server.base_url, max_workers=1, state_dir=client.state_dir)
        receipt = tolerant(texts(1), echoed, journal=tmp_path / "x.journal")
    assert key not in receipt.to_csv()
    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_holder_in_a_project_is_not_the_task_we_asked_for_without_one(client: rf.Client) -> None:
    """Where a task belongs is part of what it is."""
    post(client, "projects", body={"type": "categorization", "name": "p"})
    post(client, "task", "categorization", body={"attachment": "x", "project": "p", "unique_id": "s1", **TEXT})
    frame = pd.DataFrame({"text": ["x"], "scene": ["s1"]})
    receipt = submit(frame, client, unique_id="scene")
    assert receipt["error_code"].tolist() == ["unique_id_taken"]
    assert "project" in receipt["error_message"].iloc[0]


def test_texts_of_a_project_that_says_text_may_look_like_paths(client: rf.Client) -> None:
    """What the project fills in counts for the checks too."""
    post(client, "projects", body={"type": "categorization", "name": "p", "params": TEXT})
    frame = pd.DataFrame({"text": ["/r/cats is fun", "~ 5 cats", "hello.world"]})
    assert set(submit(frame, client, project="p", params=None)["outcome"]) == {"created"}


# Stops


def test_a_wrong_key_leaves_a_receipt_also_when_the_project_is_asked_first(sandbox: rf.Sandbox, tmp_path: Path) -> None:
    """The error that stops a run carries one, always."""
    stranger = rf.Client("nobody_at_all", sandbox.base_url, state_dir=tmp_path)
    with pytest.raises(rf.Unauthorized) as caught:
        submit(texts(), stranger, project="p")
    assert caught.value.receipt["outcome"].tolist() == ["unsent"] * 4


def test_a_refused_row_raises_the_services_own_error(client: rf.Client) -> None:
    """With its status, and a sentence that ends before the next begins."""
    with pytest.raises(rf.BadRequest, match=r"Row 0 was refused \(bad_request\).*[^.]\. \d+ of 50 rows") as caught:
        submit(
            texts(50),
            rf.Client(client._key._value, client.base_url, max_workers=1, state_dir=client.state_dir),
            params={"attachment_type": "text", "categories": "none"},
            on_error="raise",
        )
    assert caught.value.status_code == 400


FORKING = """
import os, sys
import pandas as pd
import refonte_frames as rf

options = dict(type="categorization", columns={"attachment": "text"}, progress=False,
               params={"attachment_type": "text", "categories": ["a"]})
client = rf.Client()
rf.submit(pd.DataFrame({"text": ["warm"]}), client=client, **options)
children = []
for child in range(2):
    pid = os.fork()
    if not pid:
        frame = pd.DataFrame({"text": [f"{child} {at}" for at in range(60)]})
        receipt = rf.submit(frame, client=client, journal=f"{child}.journal", **options)
        receipt.to_csv(f"{child}.csv", index=False)
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_forked_processes_do_not_read_each_others_answers(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path
) -> None:
    """Two children of a process whose client has open connections: each row has its own task."""
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": sandbox.base_url}
    environment["REFONTE_STATE_DIR"] = str(tmp_path)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING], cwd=tmp_path, env=environment, check=True, timeout=60
    )
    served = {task["task_id"]: task["params"]["attachment"] for task in tasks_of(client)}
    assert len(served) == 121
    for child in range(2):
        receipt = pd.read_csv(tmp_path / f"{child}.csv")
        assert [served[task_id] for task_id in receipt["task_id"]] == receipt["text"].tolist()


WAITING = """
import pandas as pd
import refonte_frames as rf

frame = pd.DataFrame({"text": [f"t{at}" for at in range(4)], "scene": [f"s{at}" for at in range(4)]})
rf.submit(frame, type="categorization", columns={"attachment": "text"}, unique_id="scene", progress=False,
          params={"attachment_type": "text", "categories": ["a", "b"]})
"""


def test_an_interrupt_ends_a_run_that_waits_for_a_look_up(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path
) -> None:
    """A service that wants half a minute's pause does not hold Ctrl-C for half a minute."""
    for at in range(4):
        post(client, "task", "categorization", body={"attachment": f"t{at}", "unique_id": f"s{at}", **TEXT})
    sandbox.faults.add("status", status=429, method="GET", path="/task/*", retry_after="100", every=1, times=1000)
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": sandbox.base_url}
    environment["REFONTE_STATE_DIR"] = str(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not sandbox.faults.fired():
        pass
    alarm = threading.Timer(60, process.kill)
    alarm.start()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    alarm.cancel()
    assert "SubmitInterrupted" in err
    assert process.returncode != -signal.SIGKILL
