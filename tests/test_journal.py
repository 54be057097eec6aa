"""Whose a journal is, and what it tells of a run; that the run is right is told by the tests of what writes it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from service import TEXT, post, tasks_of

import refonte_frames as rf
from refonte_frames.errors import JournalError
from refonte_frames.journal import Entry, Journal, Seen, look_into

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, Any] = {
    "type": "categorization",
    "columns": {"attachment": "text"},
    "params": TEXT,
    "progress": False,
}


def changed(path: Path, *statements: str) -> None:
    """Change a journal behind its back."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_journal_of_another_function_is_refused(tmp_path: Path) -> None:
    """It would tell rows to be done that are not."""
    Journal(tmp_path / "x.journal", host="h", key_fingerprint="k", purpose="audit").close()
    with pytest.raises(JournalError, match=r"one of rf\.audit, not of rf\.submit"):
        Journal(tmp_path / "x.journal", host="h", key_fingerprint="k")


def test_a_journal_without_a_purpose_is_a_submission(tmp_path: Path) -> None:
    """Such were the first ones."""
    path = tmp_path / "x.journal"
    Journal(path, host="h", key_fingerprint="k").close()
    changed(path, "DELETE FROM meta WHERE key = 'purpose'")
    Journal(path, host="h", key_fingerprint="k").close()
    with pytest.raises(JournalError, match=r"one of rf\.submit, not of rf\.audit"):
        Journal(path, host="h", key_fingerprint="k", purpose="audit")


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("PRAGMA user_version = 2", r"written by a newer refonte-frames \(format 2, this one reads 1\)\. Upgrade"),
        ("PRAGMA user_version = 0", r"written by an older refonte-frames \(format 0.*Finish with that version"),
        ("PRAGMA application_id = 7", "no journal of ours"),
    ],
)
def test_a_journal_of_another_format_is_refused_and_kept(tmp_path: Path, statement: str, why: str) -> None:
    """By who writes and by who looks; the file stays as it is."""
    path = tmp_path / "x.journal"
    Journal(path, host="h", key_fingerprint="k").close()
    changed(path, statement)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=why):
        Journal(path, host="h", key_fingerprint="k")
    with pytest.raises(JournalError, match=why):
        look_into(path)
    assert path.read_bytes() == before


def test_a_journal_whose_rows_have_other_names_is_refused(tmp_path: Path) -> None:
    """Another recipe would find no row, and send all of them once more."""
    path = tmp_path / "x.journal"
    Journal(path, host="h", key_fingerprint="k", recipe=1).close()
    with pytest.raises(JournalError, match="by recipe 1, and this refonte-frames by recipe 2"):
        Journal(path, host="h", key_fingerprint="k", recipe=2)


def test_a_place_where_no_journal_can_be_is_told(client: rf.Client, tmp_path: Path) -> None:
    """Before anything is sent."""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "x.journal", tmp_path):
        with pytest.raises(JournalError, match=r"journal=…"):
            rf.submit(pd.DataFrame({"text": ["a"]}), **OPTIONS, journal=place, client=client)
    assert tasks_of(client) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_files_is_told_and_can_be_looked_into(client: rf.Client, tmp_path: Path) -> None:
    """`submit` says that it cannot write; `plan` and `journal show` need not."""
    folder = tmp_path / "closed"
    path = folder / "x.journal"
    rf.submit(pd.DataFrame({"text": ["a"]}), **OPTIONS, journal=path, client=client)
    path.chmod(0o400)
    folder.chmod(0o500)
    try:
        assert look_into(path).counts == {"created": 1}
        planned = rf.plan(pd.DataFrame({"text": ["a"]}), **OPTIONS, journal=path, client=client)
        assert planned["action"].tolist() == ["have"]
        with pytest.raises(JournalError, match=r"x\.journal"):
            rf.submit(pd.DataFrame({"text": ["a", "b"]}), **OPTIONS, journal=path, client=client)
    finally:
        folder.chmod(0o700)
    assert len(tasks_of(client)) == 1


def test_a_long_journal_is_read_as_a_short_one(tmp_path: Path) -> None:
    """Many rows are found by one pass, few by their keys."""
    with Journal(tmp_path / "x.journal", host="h", key_fingerprint="k") as book:
        book.write(Entry(f"k{at}", "created", 0, b"", 0.0, False, f"t{at}") for at in range(30_000))
        found = book.known([f"k{at}" for at in range(-1, 25_000)])
        assert len(found) == 25_000
        assert found["k7"] == book.known(["k7"])["k7"]


def test_what_is_remembered_lasts_as_long_as_the_journal_is_open(tmp_path: Path) -> None:
    """And never gets into the file."""
    path = tmp_path / "x.journal"
    with Journal(path, host="h", key_fingerprint="k") as book:
        book.remember({"a": Seen(b"1", 2, 3)})
        book.remember({"a": Seen(b"1", 3, 3), "b": Seen(b"", 1, 4)})
        assert book.seen(["a", "b", "c"]) == {"a": Seen(b"1", 3, 3), "b": Seen(b"", 1, 4)}
    with Journal(path, host="h", key_fingerprint="k") as book:
        assert book.seen(["a"]) == {}


# journal show


def show(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "refonte_frames.cli", "journal", "show", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_show_tells_where_a_run_stands(client: rf.Client, tmp_path: Path) -> None:
    """Whose, what for, how many, which errors, what next; the same with --json."""
    path = tmp_path / "x.journal"
    post(client, "projects", body={"type": "categorization", "name": "p"})
    post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s0", **TEXT})
    frame = pd.DataFrame({"text": ["a", "b", "c"], "scene": ["s0", "s1", "s2"]})
    rf.submit(frame, **OPTIONS, unique_id="scene", project="p", journal=path, limit=2, client=client)
    told = show(path)
    assert told.returncode == 0
    assert f"account    {client.host}, key with fingerprint {client.key_fingerprint}\n" in told.stdout
    assert "job        type categorization, project p\n" in told.stdout
    assert "tasks      2: 1 created, 1 failed\n" in told.stdout
    assert "failed     1 unique_id_taken\n" in told.stdout
    assert "with 3 rows, ended" in told.stdout
    assert "next       Rows are left: run the same call again" in told.stdout
    found = json.loads(show(path, "--json").stdout)
    assert found["counts"] == {"created": 1, "failed": 1}
    assert found["last_call"]["counts"]["unsent"] == 1
    assert len(found["next_steps"]) == 2


def test_show_tells_that_nothing_is_left(client: rf.Client, tmp_path: Path) -> None:
    """Of rows that came piece by piece too."""
    path = tmp_path / "x.journal"
    rf.submit([pd.DataFrame({"text": ["a"]})], **OPTIONS, journal=path, client=client)
    assert look_into(path).next_steps() == ["Nothing: every task that was begun has its end."]
    assert look_into(path).last_call["rows"] == 1


def test_a_call_that_did_not_end_is_told(tmp_path: Path) -> None:
    """It is running, or was killed."""
    path = tmp_path / "x.journal"
    with Journal(path, host="h", key_fingerprint="k") as book:
        book.note_call(began_at=0.0, rows=5)
        book.write([Entry("a", "sending", 0, b"", 0.0), Entry("b", "unknown", 0, b"", 0.0)])
        # While it is open elsewhere.
        state = look_into(path)
    assert "began 1970-01-01 00:00:00 UTC with 5 rows, no end is noted" in str(state)
    assert [step.split(":")[0] for step in state.next_steps()] == [
        "The last call has not ended",
        "Rows without a unique_id were sent without an answer",
    ]


@pytest.mark.parametrize("what", ["missing", "folder", "text", "empty", "database"])
def test_what_is_no_journal_is_a_sentence(tmp_path: Path, what: str) -> None:
    """On stderr, with the exit code of wrong usage."""
    path = tmp_path / what
    if what == "folder":
        path.mkdir()
    elif what == "text":
        path.write_text("row_key,state\n" * 100)
    elif what == "empty":
        path.touch()
    elif what == "database":
        changed(path, "CREATE TABLE t(x)")
    told = show(path)
    assert told.returncode == 2
    assert told.stdout == ""
    assert "no journal" in told.stderr
    assert "Traceback" not in told.stderr


# A disk that is full

FULL = """
import json, resource, sys
import pandas as pd
import refonte_frames as rf

mode, journal, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
frame = pd.DataFrame({"text": [f"text {at}" for at in range(400)]})
try:
    rf.submit([frame] if mode == "pieces" else frame, type="categorization", columns={"attachment": "text"},
              params={"attachment_type": "text", "categories": ["a", "b"]}, journal=journal, progress=False)
except rf.JournalError as error:
    receipt = error.receipt
    made = receipt.counts["created"] if mode == "pieces" else int((receipt["outcome"] == "created").sum())
    print(json.dumps({"message": error.message, "created": made}))
"""


@pytest.mark.parametrize("mode", ["frame", "pieces"])
def test_a_full_disk_stops_the_run_and_loses_nothing(client: rf.Client, key: str, tmp_path: Path, mode: str) -> None:
    """No file may grow beyond some kilobytes: an error that says so, with the receipt; later each row is one task."""
    journal = tmp_path / "x.journal"
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    run = subprocess.run(
        [sys.executable, "-c", FULL, mode, str(journal), "150000"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(run.stdout)
    assert "x.journal" in told["message"]
    assert "each row ends exactly once" in told["message"]
    made = len(tasks_of(client))
    assert 0 < told["created"] <= made < 400
    frame = pd.DataFrame({"text": [f"text {at}" for at in range(400)]})
    receipt = rf.submit(frame, **OPTIONS, journal=journal, client=client)
    assert receipt["outcome"].tolist() == ["created"] * 400
    assert len(tasks_of(client)) == 400
