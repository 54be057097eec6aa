"""The inbox on the disk."""

from __future__ import annotations

import sqlite3
import stat
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import refonte_frames as rf
from refonte_frames.callbacks.inbox import Arrival, Inbox, inbox_path
from refonte_frames.callbacks.messages import Message, read_message

if TYPE_CHECKING:
    from pathlib import Path


def _arrival(name: str = "t1", status: str = "completed", *, body: bytes | None = None) -> Arrival:
    return Arrival(Message("task", name, status, f"own-{name}", f"{name}/{status}".encode()), body, time.time())


def test_a_repeat_is_counted_and_not_kept_again(tmp_path: Path) -> None:
    """Twenty retries of one announcement are one line."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival(), _arrival()])
        inbox.add([_arrival()])
        assert [hint.task_id for hint in inbox.waiting(10)] == ["t1"]
        assert inbox.repeats() == 2


def test_a_clock_that_was_moved_back_makes_nothing_older(tmp_path: Path) -> None:
    """The last repeat is the latest; by it lines are kept or dropped."""
    with Inbox(tmp_path) as inbox:
        inbox.add([replace(_arrival(), at=2_000.0)])
        inbox.add([replace(_arrival(), at=1_000.0)])
    seen = rf.callbacks.received(tmp_path)
    assert [stamp.timestamp() for stamp in seen.loc[0, ["first_at", "last_at"]]] == [2_000.0, 2_000.0]


def test_a_power_cut_finds_what_was_acknowledged(tmp_path: Path) -> None:
    """Every commit waits for the disk: no test can pull the plug, so this one looks at the setting."""
    with Inbox(tmp_path) as inbox:
        modes = [inbox._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]


def test_what_was_settled_does_not_wait_again_when_it_is_repeated(tmp_path: Path) -> None:
    """A late retry of something that is in the dataset already changes nothing."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival(body=b"{}")])
        (hint,) = inbox.waiting(10)
        inbox.settle({hint.number: "stored"})
        inbox.add([_arrival(body=b"{}")])
        assert inbox.waiting(10) == []
        assert inbox.counts() == {"stored": 1}


def test_a_body_is_kept_until_its_task_was_taken(tmp_path: Path) -> None:
    """It would only make the file grow, and hold what the dataset's owner may have removed from there."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival(body=b'{"secret": 1}')])
        (hint,) = inbox.waiting(10)
        assert hint.body == b'{"secret": 1}'
        inbox.settle({hint.number: "stored"})
    with sqlite3.connect(inbox_path(tmp_path)) as database:
        assert database.execute("SELECT body FROM deliveries").fetchall() == [(None,)]
    database.close()


def test_a_second_event_of_a_task_waits_by_itself(tmp_path: Path) -> None:
    """A task that failed and was completed later is read again."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival(status="error")])
        inbox.settle({hint.number: "stored" for hint in inbox.waiting(10)})
        inbox.add([_arrival(status="completed")])
        assert len(inbox.waiting(10)) == 1


def test_hints_are_given_in_their_order_and_from_any_number_on(tmp_path: Path) -> None:
    """A reader goes through the inbox piece by piece."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival(f"t{n}") for n in range(5)])
        first = inbox.waiting(2)
        rest = inbox.waiting(10, after=first[-1].number)
    assert [hint.task_id for hint in [*first, *rest]] == ["t0", "t1", "t2", "t3", "t4"]


def test_batches_and_unknown_forms_are_noted_and_wait_for_nothing(tmp_path: Path) -> None:
    """There is nothing in them that an export could take."""
    with Inbox(tmp_path) as inbox:
        for body in (b'{"batch": "b", "status": "completed"}', b'{"event": 1}'):
            inbox.add([Arrival(read_message(body), None, time.time())])
        assert inbox.waiting(10) == []
    assert rf.callbacks.received(tmp_path)["outcome"].tolist() == ["noted", "noted"]


def _age(path: Path, days: float) -> None:
    """Have everything in an inbox happened so long ago."""
    with sqlite3.connect(inbox_path(path)) as db:
        past = days * 86_400
        db.execute("UPDATE deliveries SET first_at = first_at - ?, last_at = last_at - ?", (past, past))
        db.execute("UPDATE deliveries SET settled_at = settled_at - ?", (past,))
    db.close()


def test_what_was_settled_long_ago_is_dropped_and_still_counted(tmp_path: Path) -> None:
    """The inbox does not grow for ever; what waits, and what no export took, is kept longer."""
    outcomes = ("stored", "outside", "noted")
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival(name) for name in (*outcomes, "waiting")] * 2)
        inbox.settle({hint.number: hint.task_id for hint in inbox.waiting(3)})  # type: ignore[misc]
        before = inbox.counts(), inbox.repeats()
    kept = []
    for days in (29, 2, 400):
        _age(tmp_path, days)
        with Inbox(tmp_path) as inbox:
            assert (inbox.counts(), inbox.repeats()) == before
            kept.append([line[1] for line in inbox.lines()])
    assert kept == [[*outcomes, "waiting"], ["outside", "waiting"], ["waiting"]]


def test_what_is_still_repeated_is_not_dropped(tmp_path: Path) -> None:
    """Its line is how a repeat is known."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival()])
        inbox.settle({hint.number: "stored" for hint in inbox.waiting(1)})
    _age(tmp_path, 31)
    with sqlite3.connect(inbox_path(tmp_path)) as db:
        db.execute("UPDATE deliveries SET last_at = ?", (time.time(),))
    db.close()
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival()])
        assert (inbox.counts(), inbox.repeats()) == ({"stored": 1}, 1)


def test_an_inbox_of_the_first_format_is_read_and_brought_up(tmp_path: Path) -> None:
    """Looking changes nothing; the first who writes adds what is missing."""
    with Inbox(tmp_path) as inbox:
        inbox.add([_arrival()] * 2)
    path = inbox_path(tmp_path)
    with sqlite3.connect(path) as db:
        db.executescript("DROP TABLE dropped; DROP INDEX settled; PRAGMA user_version = 1")
    db.close()
    for is_read_only, version in ((True, 1), (False, 2), (True, 2)):
        with Inbox(tmp_path, is_read_only=is_read_only) as inbox:
            assert (inbox.counts(), inbox.repeats()) == ({"waiting": 1}, 1)
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA user_version").fetchone()[0] == version
        db.close()


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    """Deliveries may hold what only the owner of the key should see."""
    Inbox(tmp_path).close()
    assert stat.S_IMODE(inbox_path(tmp_path).stat().st_mode) == 0o600


def test_two_processes_may_write_one_inbox(tmp_path: Path) -> None:
    """Two connections that write in turn lose nothing."""
    with Inbox(tmp_path) as one, Inbox(tmp_path) as other:
        one.add([_arrival("a")])
        other.add([_arrival("b"), _arrival("a")])
        assert [hint.task_id for hint in one.waiting(10)] == ["a", "b"]


def test_a_foreign_file_a_newer_one_and_none_are_refused_by_name(tmp_path: Path) -> None:
    """Nothing is written into a file that is not ours."""
    path = inbox_path(tmp_path)
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine(x)")
    db.close()
    with pytest.raises(rf.ExportError, match="no inbox of ours"):
        Inbox(tmp_path)
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(rf.ExportError, match="cannot be opened"):
        Inbox(tmp_path)
    path.unlink()
    Inbox(tmp_path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(rf.ExportError, match="newer refonte-frames"):
        Inbox(tmp_path)
    with pytest.raises(rf.ExportError, match="No callback was ever received"):
        rf.callbacks.received(tmp_path / "elsewhere")
