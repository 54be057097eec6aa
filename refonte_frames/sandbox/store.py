"""The one place with SQL: worlds, projects, batches, tasks, saved replies and settings, on one connection.

The server runs on one thread and this connection belongs to it, so that there is exactly one writer and a read
never sees half of a change. Every change happens inside `Store.transaction`; answers leave after its COMMIT.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox import schema
from refonte_frames.sandbox.exchange import World, encode
from refonte_frames.sandbox.lifecycle import Task
from refonte_frames.sandbox.rules import Batch, Project
from refonte_frames.sandbox.task_select import NARROW_WINDOW_ROWS, TaskSelect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from refonte_frames.sandbox.labelers import Attempt
    from refonte_frames.sandbox.queries import BatchQuery, TaskFilter, Window

__all__ = ["Event", "SavedReply", "Store", "StoreError", "StoredAttempt"]

_TASK_COLUMNS = (
    "id, task_id, world, type, status, created_ms, updated_ms, completed_ms, project, batch, review, unique_id, key, "
    "clears_unique_id_on_error, due_ms"
)
_PROJECT_COLUMNS = "id, name, type, workflow, created_ms, history, pipeline, consensus_attempts, is_archived"
_BATCH_COLUMNS = "id, name, project, status, created_ms, callback, metadata, is_calibration, is_self_label, priority"


class StoreError(Exception):
    """The database file cannot be used."""


@dataclass(frozen=True, slots=True)
class SavedReply:
    """What an Idempotency-Key was answered (contract 1.4)."""

    world: int
    fingerprint: bytes
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """One labeler's work on the task with this row number."""

    task: int
    number: int
    labeler: str
    started_ms: int
    completed_ms: int
    response: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something planned for a task."""

    row: int
    due_ms: int
    kind: str
    task: int
    value: dict[str, Any]


class Store:
    """Everything the sandbox remembers.

    Parameters
    ----------
    path : Path, optional
        A durable database file. Default: a private temporary one that SQLite removes, even after a kill.

    Raises
    ------
    StoreError
        If the file is no database of ours, comes from a newer version, or is in use by another sandbox.
    """

    def __init__(self, path: Path | None = None) -> None:
        try:
            self._db = sqlite3.connect(path or "", timeout=1.0, isolation_level=None, cached_statements=256)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{path} cannot be opened or made: {error}") from error
        try:
            self._open(path)
        except sqlite3.DatabaseError as error:
            self._db.close()
            hint = " (another sandbox is using it)" if "locked" in str(error) else ""
            raise StoreError(f"{path} cannot be opened as a sandbox database: {error}{hint}") from error
        except StoreError:
            self._db.close()
            raise

    def _open(self, path: Path | None) -> None:
        db = self._db
        db.execute("PRAGMA cache_size = -65536")
        if path is None:
            db.execute("PRAGMA journal_mode = MEMORY")  # what is lost with the process is lost anyway
        else:
            # Exclusive: a second sandbox on the same file would be a second writer with its own row counter.
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        version = self._checked_version(path)
        if version == 0:
            marks = f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = {schema.VERSION};"
            db.executescript(f"BEGIN; {schema.DDL} {marks} COMMIT;")
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'task'").fetchone()
        self._last_row: int = found[0] if found else 0

    def _checked_version(self, path: Path | None) -> int:
        """Read the schema's version; 0 for a new file. The write lock is taken for it, to find another sandbox."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        version, application, tables = (
            db.execute(query).fetchone()[0]
            for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
        )
        db.execute("COMMIT")
        if tables and application != schema.APPLICATION_ID:
            raise StoreError(f"{path} is another program's database; choose another --db.")
        if version > schema.VERSION:
            raise StoreError(
                f"{path} was written by a newer version (its schema is {version}, this version knows "
                f"{schema.VERSION}); upgrade refonte-frames or choose another --db."
            )
        return int(version)

    def close(self) -> None:
        """Close the file; every acknowledged write is in it already."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- settings and worlds

    def setting(self, name: str) -> str | None:
        """Read a setting."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_setting(self, name: str, value: str) -> None:
        """Write a setting."""
        self._db.execute(
            "INSERT INTO setting VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value)
        )

    def latest_ms(self) -> int:
        """Give the newest stamp in the store, so that a restarted clock does not fall behind it."""
        queries = ("SELECT max(created_ms) FROM task", "SELECT max(updated_ms) FROM task")
        found = [self._db.execute(query).fetchone()[0] or 0 for query in queries]
        return max(found)

    def find_world(self, key_hash: bytes) -> World | None:
        """Find a world by the hash of its key."""
        row = self._db.execute("SELECT id, is_live, account FROM world WHERE key_hash = ?", (key_hash,)).fetchone()
        return World(row[0], bool(row[1]), row[2]) if row else None

    def add_world(self, key_hash: bytes, account: bytes, *, is_live: bool) -> World:
        """Make an empty world."""
        cursor = self._db.execute(
            "INSERT INTO world (key_hash, account, is_live) VALUES (?, ?, ?)", (key_hash, account, is_live)
        )
        return World(_row_of(cursor), is_live, account)

    def empty_world(self, world: World) -> None:
        """Forget everything in a world, its saved replies too."""
        inside = "(SELECT id FROM task WHERE world = ?)"
        for statement in (
            f"DELETE FROM doc WHERE id IN {inside}",
            f"DELETE FROM attempt WHERE task IN {inside}",
            f"DELETE FROM event WHERE task IN {inside}",
            "DELETE FROM tag WHERE world = ?",
            "DELETE FROM occurrence WHERE world = ?",
            "DELETE FROM reply WHERE world = ?",
            "DELETE FROM task WHERE world = ?",
            "DELETE FROM counter WHERE world = ?",
            "DELETE FROM batch WHERE world = ?",
            "DELETE FROM project WHERE world = ?",
        ):
            self._db.execute(statement, (world.row,))

    # -- projects

    def add_project(self, world: World, project: Project) -> Project:
        """Insert a project."""
        values = (
            world.row,
            project.name,
            project.type,
            project.workflow,
            project.created_ms,
            encode(project.history).decode(),
            project.pipeline,
            project.consensus_attempts,
        )
        cursor = self._db.execute(
            "INSERT INTO project (world, name, type, workflow, created_ms, history, pipeline, consensus_attempts) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return replace(project, row=_row_of(cursor))

    def save_project(self, project: Project) -> None:
        """Write what may change: history, pipeline."""
        self._db.execute(
            "UPDATE project SET history = ?, pipeline = ?, consensus_attempts = ? WHERE id = ?",
            (encode(project.history).decode(), project.pipeline, project.consensus_attempts, project.row),
        )

    def project(self, world: World, name: str) -> Project | None:
        """Find a project by name."""
        found = self._projects("WHERE world = ? AND name = ?", (world.row, name))
        return found[0] if found else None

    def projects(self, world: World, *, is_archived: bool) -> list[Project]:
        """List projects, newest first."""
        return self._projects("WHERE world = ? AND is_archived >= ? ORDER BY id DESC", (world.row, is_archived))

    def _projects(self, where: str, values: tuple[Any, ...]) -> list[Project]:
        rows = self._db.execute(f"SELECT {_PROJECT_COLUMNS} FROM project {where}", values)
        return [_project(row) for row in rows]

    # -- batches

    def add_batch(self, world: World, batch: Batch) -> Batch:
        """Insert a batch."""
        values = (
            world.row,
            batch.name,
            batch.project.row,
            batch.status,
            batch.created_ms,
            batch.callback,
            encode(batch.metadata).decode(),
            batch.is_calibration,
            batch.is_self_label,
        )
        cursor = self._db.execute(
            "INSERT INTO batch (world, name, project, status, created_ms, callback, metadata, is_calibration, "
            "is_self_label) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return replace(batch, row=_row_of(cursor))

    def save_batch(self, batch: Batch) -> None:
        """Write what may change: status, metadata, priority."""
        self._db.execute(
            "UPDATE batch SET status = ?, metadata = ?, priority = ? WHERE id = ?",
            (batch.status, encode(batch.metadata).decode(), batch.priority, batch.row),
        )

    def batch(self, world: World, name: str) -> Batch | None:
        """Find a batch by name."""
        found = self._batches("WHERE world = ? AND name = ?", (world.row, name))
        return found[0] if found else None

    def batch_with_world(self, row: int) -> tuple[Batch, World]:
        """Find a batch and its world by the batch's number."""
        found = self._db.execute(
            "SELECT w.id, w.is_live, w.account FROM batch b JOIN world w ON w.id = b.world WHERE b.id = ?", (row,)
        ).fetchone()
        return self._batches("WHERE id = ?", (row,))[0], World(found[0], bool(found[1]), found[2])

    def batches(self, world: World, query: BatchQuery) -> tuple[list[Batch], int]:
        """List batches, newest first: one page and the number of all matches."""
        where, values = ["world = ?"], [world.row]
        for column, value in (("status", query.status), ("project", query.project)):
            if value is not None:
                where.append(f"{column} = ?" if column == "status" else f"project = ({_PROJECT_ROW})")
                values += [value] if column == "status" else [world.row, value]  # type: ignore[list-item]
        window_terms, window_values = _window("created_ms", query.created)
        text = "WHERE " + " AND ".join([*where, *window_terms])
        arguments = (*values, *window_values)
        (total,) = self._db.execute(f"SELECT count(*) FROM batch {text}", arguments).fetchone()
        page = f"{text} ORDER BY id DESC LIMIT ? OFFSET ?"
        return self._batches(page, (*arguments, query.limit, query.offset)), total

    def _batches(self, where: str, values: tuple[Any, ...]) -> list[Batch]:
        rows = self._db.execute(f"SELECT {_BATCH_COLUMNS} FROM batch {where}", values).fetchall()
        projects = {row[2]: self._projects("WHERE id = ?", (row[2],))[0] for row in rows}
        return [_batch(row, projects[row[2]]) for row in rows]

    def batch_counts(self, world: World, batch: Batch) -> dict[str, int]:
        """Count the tasks of a batch by status, from the counters."""
        rows = self._db.execute(
            "SELECT status, sum(n) FROM counter WHERE world = ? AND project = ? AND batch = ? GROUP BY status",
            (world.row, batch.project.row, batch.row),
        )
        return dict(rows.fetchall())

    # -- tasks

    def next_row(self) -> int:
        """Give the number of the next task; its id is made from it."""
        return self._last_row + 1

    def add_task(self, task: Task) -> None:
        """Insert a task with its document and tags."""
        marks = ", ".join("?" * 15)
        self._db.execute(f"INSERT INTO task ({_TASK_COLUMNS}) VALUES ({marks})", _columns(task))
        self._db.execute("INSERT INTO doc VALUES (?, ?)", (task.row, encode(task.doc).decode()))
        self._add_tags(task)
        self._last_row = task.row

    def save_task(self, task: Task, *, has_new_tags: bool = False) -> None:
        """Write what may change in a task; its tags only when told that they did."""
        self._db.execute(
            "UPDATE task SET status = ?, updated_ms = ?, completed_ms = ?, review = ?, unique_id = ?, due_ms = ? "
            "WHERE id = ?",
            (task.status, task.updated_ms, task.completed_ms, task.review, task.unique_id, task.due_ms, task.row),
        )
        self._db.execute("UPDATE doc SET doc = ? WHERE id = ?", (encode(task.doc).decode(), task.row))
        if has_new_tags:
            self._db.execute("DELETE FROM tag WHERE id = ?", (task.row,))
            self._add_tags(task)

    def _add_tags(self, task: Task) -> None:
        if tags := task.doc.get("tags"):
            self._db.executemany("INSERT INTO tag VALUES (?, ?, ?)", [(task.world, tag, task.row) for tag in tags])

    def task(self, world: World, task_id: str) -> Task | None:
        """Find a task of a world."""
        found = self._tasks("t.task_id = ? AND t.world = ?", (task_id, world.row))
        return found[0] if found else None

    def task_of_any_world(self, task_id: str) -> Task | None:
        """Find a task wherever it is."""
        found = self._tasks("t.task_id = ?", (task_id,))
        return found[0] if found else None

    def task_by_row(self, row: int) -> Task | None:
        """Find a task by its number."""
        found = self._tasks("t.id = ?", (row,))
        return found[0] if found else None

    def pending_of_batch(self, batch: Batch) -> list[Task]:
        """List the pending tasks of a batch, oldest first."""
        world = "t.world = (SELECT world FROM batch WHERE id = ?)"
        return self._tasks(f"{world} AND t.batch = ? AND t.status = 'pending' ORDER BY t.id", (batch.row, batch.row))

    def due_tasks(self, until_ms: int, limit: int) -> list[Task]:
        """List tasks that labelers hand in by a working time, in that order."""
        where = "t.due_ms IS NOT NULL AND t.due_ms <= ? ORDER BY t.due_ms, t.id LIMIT ?"
        return self._tasks(where, (until_ms, limit))

    def tasks_of(self, world: World) -> list[Task]:
        """List all tasks of a world, oldest first."""
        return self._tasks("t.world = ? ORDER BY t.id", (world.row,))

    def _tasks(self, where: str, values: tuple[Any, ...]) -> list[Task]:
        columns = ", ".join(f"t.{name}" for name in _TASK_COLUMNS.split(", "))
        rows = self._db.execute(f"SELECT {columns}, d.doc FROM task t JOIN doc d ON d.id = t.id WHERE {where}", values)
        return [_task(row) for row in rows]

    def unique_id_holder(self, world: World, unique_id: str) -> str | None:
        """Find the task that holds a unique_id."""
        row = self._db.execute(
            "SELECT task_id FROM task WHERE world = ? AND unique_id = ?", (world.row, unique_id)
        ).fetchone()
        return row[0] if row else None

    def count_occurrence(self, world: World, digest: str) -> int:
        """Count this appearance of the same parameters without a unique_id: 1 for the first."""
        row = self._db.execute(
            "INSERT INTO occurrence VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",
            (world.row, digest),
        ).fetchone()
        return int(row[0])

    # -- saved replies

    def saved_reply(self, account: bytes, key: str, now_ms: int) -> SavedReply | None:
        """Find what an Idempotency-Key was answered, unless its time is over."""
        row = self._db.execute(
            "SELECT world, fingerprint, status, body FROM reply WHERE account = ? AND key = ? AND expires_ms > ?",
            (account, key, now_ms),
        ).fetchone()
        return SavedReply(row[0], row[1], row[2], row[3].encode()) if row else None

    def save_reply(self, account: bytes, key: str, reply: SavedReply, expires_ms: int) -> None:
        """Keep an answer; one whose time is over makes room."""
        self._db.execute(
            "INSERT OR REPLACE INTO reply (account, key, world, fingerprint, status, body, expires_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (account, key, reply.world, reply.fingerprint, reply.status, reply.body.decode(), expires_ms),
        )

    def drop_old_replies(self, now_ms: int) -> None:
        """Forget replies whose time is over."""
        self._db.execute("DELETE FROM reply WHERE expires_ms <= ?", (now_ms,))

    # -- labelers' work

    def attempts_wanted(self, project: int) -> int:
        """Tell how many labelers work on each task of a project; 0 is no project."""
        found = self._projects("WHERE id = ?", (project,))
        return found[0].attempts if found else 1

    def add_attempts(self, task: int, ended_ms: int, attempts: Sequence[Attempt]) -> None:
        """Keep what the labelers of a task handed in."""
        self._db.executemany(
            "INSERT INTO attempt (task, number, labeler, started_ms, completed_ms, response) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (task, each.number, each.labeler, ended_ms - each.duration_ms, ended_ms, encode(each.response).decode())
                for each in attempts
            ],
        )

    def attempts_of(self, world: World) -> list[StoredAttempt]:
        """List all attempts at the tasks of a world, oldest task first."""
        rows = self._db.execute(
            "SELECT a.task, a.number, a.labeler, a.started_ms, a.completed_ms, a.response FROM attempt a "
            "JOIN task t ON t.id = a.task WHERE t.world = ? ORDER BY a.task, a.number",
            (world.row,),
        )
        values = [(*row, msgspec.json.decode(text)) for *row, text in rows]
        return [StoredAttempt(*each) for each in values]

    def add_event(self, due_ms: int, kind: str, task: int, value: dict[str, Any]) -> None:
        """Plan something for later."""
        self._db.execute(
            "INSERT INTO event (due_ms, kind, task, value) VALUES (?, ?, ?, ?)",
            (due_ms, kind, task, encode(value).decode()),
        )

    def due_events(self, now_ms: int, limit: int) -> list[Event]:
        """List what is due, in the order of due time and planning."""
        rows = self._db.execute(
            "SELECT id, due_ms, kind, task, value FROM event WHERE due_ms <= ? ORDER BY due_ms, id LIMIT ?",
            (now_ms, limit),
        )
        values = [(*row, msgspec.json.decode(text)) for *row, text in rows]
        return [Event(*each) for each in values]

    def next_event_ms(self) -> int | None:
        """Tell when the next planned thing is due."""
        found: int | None = self._db.execute("SELECT min(due_ms) FROM event").fetchone()[0]
        return found

    def drop_events(self, rows: Sequence[int]) -> None:
        """Forget carried-out plans."""
        self._db.executemany("DELETE FROM event WHERE id = ?", [(row,) for row in rows])

    # -- lists of tasks

    def page(self, world: World, chosen: TaskFilter, *, before: int | None, limit: int) -> list[tuple[int, str]]:
        """Give rows and documents of a page, newest first; one more than asked for tells that more follow."""
        select = self._select(world, chosen)
        statement, values = select.page(before=before, limit=limit + 1)
        return self._db.execute(statement, values).fetchall()

    def count(self, world: World, chosen: TaskFilter) -> int:
        """Count all matches: from the counters where they suffice."""
        select = self._select(world, chosen)
        statement, values = select.counters() if chosen.is_counted else select.count()
        return int(self._db.execute(statement, values).fetchone()[0] or 0)

    def _select(self, world: World, chosen: TaskFilter) -> TaskSelect:
        select = TaskSelect(
            world.row,
            chosen,
            first_row=self._row_bound(chosen.created.from_ms, "min"),
            last_row=self._row_bound(chosen.created.to_ms, "max"),
            project=self._row_of_name("project", world, chosen.project),
            batch=self._row_of_name("batch", world, chosen.batch),
        )
        windows = [name for name in select.windows() if self._is_narrow(select, name)]
        return replace(select, narrow_windows=tuple(windows))

    def _row_bound(self, bound_ms: int | None, end: str) -> int | None:
        """Turn a bound on created_at into one on row numbers, which rise with it."""
        if bound_ms is None:
            return None
        sign, order, none = (">=", "ASC", self._last_row + 1) if end == "min" else ("<=", "DESC", 0)
        row = self._db.execute(
            f"SELECT id FROM task WHERE created_ms {sign} ? ORDER BY created_ms {order}, id {order} LIMIT 1",
            (bound_ms,),
        ).fetchone()
        return row[0] if row else none

    def _row_of_name(self, table: str, world: World, name: str | None) -> int | None:
        if name is None:
            return None
        row = self._db.execute(f"SELECT id FROM {table} WHERE world = ? AND name = ?", (world.row, name)).fetchone()
        return row[0] if row else -1

    def _is_narrow(self, select: TaskSelect, name: str) -> bool:
        statement, values = select.count_window(name)
        return bool(self._db.execute(statement, values).fetchone()[0] <= NARROW_WINDOW_ROWS)


_PROJECT_ROW = "SELECT id FROM project WHERE world = ? AND name = ?"


def _row_of(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise StoreError("SQLite gave no row number for an inserted row.")
    return cursor.lastrowid


_columns = attrgetter(
    *("row", "task_id", "world", "type", "status", "created_ms", "updated_ms", "completed_ms", "project", "batch"),
    *("review", "unique_id", "key", "clears_unique_id_on_error", "due_ms"),
)


def _task(row: Sequence[Any]) -> Task:
    *columns, clears, due_ms, doc = row
    values = (*columns, bool(clears), due_ms, msgspec.json.decode(doc))
    return Task(*values)


def _project(row: Sequence[Any]) -> Project:
    history = tuple(msgspec.json.decode(row[5]))
    return Project(row[0], row[1], row[2], row[3], row[4], history, row[6], row[7], bool(row[8]))


def _batch(row: Sequence[Any], project: Project) -> Batch:
    metadata = msgspec.json.decode(row[6])
    return Batch(row[0], row[1], project, row[3], row[4], row[5], metadata, bool(row[7]), bool(row[8]), row[9])


def _window(column: str, window: Window) -> tuple[list[str], list[int]]:
    terms, values = [], []
    for sign, bound in ((">=", window.from_ms), ("<=", window.to_ms)):
        if bound is not None:
            terms.append(f"{column} {sign} ?")
            values.append(bound)
    return terms, values
