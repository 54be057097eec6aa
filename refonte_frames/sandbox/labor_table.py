"""What labelers did and what is planned for tasks, in SQL; a part of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox.exchange import encode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.labelers import Attempt

__all__ = ["Event", "LaborTable", "StoredAttempt"]


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


class LaborTable:
    """The attempts at tasks and the events to come.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

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
