"""Projects and batches in SQL; a part of the store."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox.exchange import World, encode
from refonte_frames.sandbox.rules import Batch, Project
from refonte_frames.sandbox.schema import STATUSES
from refonte_frames.sandbox.task_select import window_terms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from refonte_frames.sandbox.queries import BatchQuery

__all__ = ["Catalog"]

_PROJECT_COLUMNS = "id, name, type, workflow, created_ms, history, pipeline, consensus_attempts, is_archived"
_BATCH_COLUMNS = "id, name, project, status, created_ms, callback, metadata, is_calibration, is_self_label, priority"


class Catalog:
    """The projects and batches of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

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
        return replace(project, row=cursor.lastrowid or 0)

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
        return replace(batch, row=cursor.lastrowid or 0)

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
        terms = window_terms("created_ms", query.created)
        text = "WHERE " + " AND ".join([*where, *(term for term, _ in terms)])
        arguments = (*values, *(bound for _, bounds in terms for bound in bounds))
        (total,) = self._db.execute(f"SELECT count(*) FROM batch {text}", arguments).fetchone()
        page = f"{text} ORDER BY id DESC LIMIT ? OFFSET ?"
        return self._batches(page, (*arguments, query.limit, query.offset)), total

    def unfinished_batches(self, world: World) -> list[Batch]:
        """List the batches that are not completed, oldest first."""
        return self._batches("WHERE world = ? AND status <> 'completed' ORDER BY id", (world.row,))

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
        return {STATUSES[status]: n for status, n in rows}

    def attempts_wanted(self, project: int) -> int:
        """Tell how many labelers work on each task of a project; 0 is no project."""
        found = self._projects("WHERE id = ?", (project,))
        return found[0].attempts if found else 1


_PROJECT_ROW = "SELECT id FROM project WHERE world = ? AND name = ?"


def _project(row: Sequence[Any]) -> Project:
    history = tuple(msgspec.json.decode(row[5]))
    return Project(row[0], row[1], row[2], row[3], row[4], history, row[6], row[7], bool(row[8]))


def _batch(row: Sequence[Any], project: Project) -> Batch:
    metadata = msgspec.json.decode(row[6])
    return Batch(row[0], row[1], project, row[3], row[4], row[5], metadata, bool(row[7]), bool(row[8]), row[9])
