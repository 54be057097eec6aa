"""Files of earlier versions are brought up to this one, or left as they were."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from refonte_frames.sandbox import schema
from refonte_frames.sandbox.session import Sandbox
from refonte_frames.sandbox.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

DUMP = Path(__file__).with_name("version_1.sql")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Give a file of version 1 with tasks in every status, whose clock stands still: nothing of it falls due."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(DUMP.read_text())
    return path


def docs_of(path: Path) -> list[dict[str, Any]]:
    """Read the documents of the live world out of a file of version 1, newest first."""
    query = "SELECT doc FROM doc JOIN task USING (id) WHERE world = 1 ORDER BY id DESC"
    with closing(sqlite3.connect(path)) as db:
        return [json.loads(text) for (text,) in db.execute(query)]


def test_every_task_of_an_old_file_is_served_as_before(old: Path, world_of: Callable[..., Any]) -> None:
    """Lists, filters, totals, ids and saved replies; and the labelers go on with what was waiting."""
    kept = docs_of(old)
    with Sandbox(db=old) as sandbox:
        world = world_of(sandbox, "live_old")
        assert world.all_tasks() == kept
        for status in schema.STATUSES:
            page = world.ok("GET", "/tasks", params={"status": status})
            assert page["docs"] == [task for task in kept if task["status"] == status]
            assert page["total"] == len(page["docs"])
        assert world.ok("GET", "/tasks", params={"tags": "x"})["total"] == 4
        assert world.ok("GET", "/tasks", params={"batch": "b"})["total"] == 5
        assert world.ok("GET", "/tasks", params={"unique_id": "renamed"})["docs"] == [kept[-2]]
        assert world.ok("GET", "/tasks", params={"customer_review_status": "accepted"})["total"] == 1
        assert world.ok("GET", f"/task/{kept[3]['task_id']}") == kept[3]
        first = world.task(attachment="a0", categories=["a", "b"], batch="b", headers={"Idempotency-Key": "k0"})
        assert first["task_id"] == kept[-1]["task_id"]
        assert world.task()["task_id"] > kept[0]["task_id"]
        waiting = {task["task_id"] for task in kept if task["status"] == "pending"}
        tried = set(sandbox.truth("live_old")["task_id"][sandbox.truth("live_old")["labeler"].notna()])
        sandbox.work(days=3)
        assert not {task["task_id"] for task in world.all_tasks() if task["status"] == "pending"} & waiting
        assert {task["task_id"] for task in kept if task["status"] == "completed"} == tried


def test_an_old_file_gets_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    """Not a column or index differs, so that whatever works on a new file works on it."""
    found = []
    for path in (old, tmp_path / "new.db"):
        Store(path).close()
        with closing(sqlite3.connect(path)) as db:
            found.append(db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall())
            assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert found[0] == found[1]


KILLED = """
import os, signal, sqlite3, sys
from refonte_frames.sandbox import schema
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.execute("PRAGMA cache_size = 5")  # so that pages reach the file before the end
db.execute("BEGIN IMMEDIATE")
for statement in schema.MIGRATIONS[1][: int(sys.argv[2])]:
    db.execute(statement)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_migration_leaves_the_file_as_it_was(old: Path, tmp_path: Path) -> None:
    """After any of its steps; the next start brings the file up."""
    kept = docs_of(old)
    for steps in range(5, len(schema.MIGRATIONS[1]) + 1, 12):
        path = tmp_path / f"killed-{steps}.db"
        shutil.copy(old, path)
        done = subprocess.run([sys.executable, "-c", KILLED, str(path), str(steps)], check=False, env=os.environ)
        assert done.returncode == -signal.SIGKILL
        assert docs_of(path) == kept
        Store(path).close()
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("SELECT count(*) FROM task WHERE world = 1").fetchone() == (len(kept),)


def test_a_migration_that_fails_changes_nothing(old: Path) -> None:
    """A file that is not quite what its version says is refused, and is as it was."""
    with closing(sqlite3.connect(old)) as db:
        db.execute("DROP INDEX task_due")
    kept = docs_of(old)
    with pytest.raises(StoreError, match="cannot be opened as a sandbox database: no such index"):
        Store(old)
    assert docs_of(old) == kept
    with closing(sqlite3.connect(old)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
