"""Tasks in SQL: single ones, their tags, and the pages of their list; a part of the store."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox.exchange import encode
from refonte_frames.sandbox.lifecycle import Task
from refonte_frames.sandbox.task_select import NARROW_WINDOW_ROWS, TaskSelect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.queries import TaskFilter
    from refonte_frames.sandbox.rules import Batch

__all__ = ["TaskTable"]

_TASK_COLUMNS = (
    "id, task_id, world, type, status, created_ms, updated_ms, completed_ms, project, batch, review, unique_id, key, "
    "clears_unique_id_on_error, due_ms"
)


class TaskTable:
    """The tasks of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        found = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'task'").fetchone()
        self._last_row: int = found[0] if found else 0

    def next_row(self) -> int:
        """Give the number of the next task; its id is made from it."""
        return self._last_row + 1

    def add(self, task: Task) -> None:
        """Insert a task with its document and tags."""
        marks = ", ".join("?" * 15)
        self._db.execute(f"INSERT INTO task ({_TASK_COLUMNS}) VALUES ({marks})", _columns(task))
        self._db.execute("INSERT INTO doc VALUES (?, ?)", (task.row, encode(task.doc).decode()))
        self._add_tags(task)
        self._last_row = task.row

    def save(self, task: Task, *, has_new_tags: bool = False) -> None:
        """Write what may change in a task; its tags only when told that they did."""
        self.save_all([task])
        if has_new_tags:
            self._db.execute("DELETE FROM tag WHERE id = ?", (task.row,))
            self._add_tags(task)

    def save_all(self, tasks: Iterable[Task]) -> None:
        """Write what may change in tasks, but for their tags: in the order of their rows, neighbours together."""
        ordered = sorted(tasks, key=attrgetter("row"))
        self._db.executemany(
            "UPDATE task SET status = ?, updated_ms = ?, completed_ms = ?, review = ?, unique_id = ?, due_ms = ? "
            "WHERE id = ?",
            [(t.status, t.updated_ms, t.completed_ms, t.review, t.unique_id, t.due_ms, t.row) for t in ordered],
        )
        docs = [(encode(task.doc).decode(), task.row) for task in ordered]
        self._db.executemany("UPDATE doc SET doc = ? WHERE id = ?", docs)

    def _add_tags(self, task: Task) -> None:
        if tags := task.doc.get("tags"):
            self._db.executemany("INSERT INTO tag VALUES (?, ?, ?)", [(task.world, tag, task.row) for tag in tags])

    def find(self, world: World, task_id: str) -> Task | None:
        """Find a task of a world."""
        found = self._tasks("t.task_id = ? AND t.world = ?", (task_id, world.row))
        return found[0] if found else None

    def find_anywhere(self, task_id: str) -> Task | None:
        """Find a task wherever it is."""
        found = self._tasks("t.task_id = ?", (task_id,))
        return found[0] if found else None

    def by_row(self, row: int) -> Task | None:
        """Find a task by its number."""
        found = self._tasks("t.id = ?", (row,))
        return found[0] if found else None

    def pending_of(self, batch: Batch) -> list[Task]:
        """List the pending tasks of a batch, oldest first."""
        world = "t.world = (SELECT world FROM batch WHERE id = ?)"
        return self._tasks(f"{world} AND t.batch = ? AND t.status = 'pending' ORDER BY t.id", (batch.row, batch.row))

    def due(self, until_ms: int, limit: int) -> list[Task]:
        """List tasks that labelers hand in by a working time, in that order."""
        where = "t.due_ms IS NOT NULL AND t.due_ms <= ? ORDER BY t.due_ms, t.id LIMIT ?"
        return self._tasks(where, (until_ms, limit))

    def of_world(self, world: World) -> list[Task]:
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


_columns = attrgetter(
    *("row", "task_id", "world", "type", "status", "created_ms", "updated_ms", "completed_ms", "project", "batch"),
    *("review", "unique_id", "key", "clears_unique_id_on_error", "due_ms"),
)


def _task(row: Sequence[Any]) -> Task:
    *columns, clears, due_ms, doc = row
    values = (*columns, bool(clears), due_ms, msgspec.json.decode(doc))
    return Task(*values)
