"""What the page shows across tables, in SQL: worlds, newest tasks, who did how much; nothing is changed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refonte_frames.sandbox.schema import STATUSES

if TYPE_CHECKING:
    import sqlite3

    from refonte_frames.sandbox.exchange import World

__all__ = ["OverviewTable", "Tally", "WorldLine"]

#: The page tells of the attempts at the newest tasks only, so that it stays quick beside a million tasks.
_NEWEST_ATTEMPTS = 5000


@dataclass(frozen=True, slots=True)
class WorldLine:
    """One world and how many tasks of each status it holds."""

    row: int
    key_hash: bytes
    is_live: bool
    tasks: dict[str, int]


@dataclass(frozen=True, slots=True)
class Tally:
    """What one labeler handed in."""

    labeler: str
    attempts: int
    mean_secs: float


class OverviewTable:
    """Reads for the page.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def worlds(self, limit: int) -> list[WorldLine]:
        """List the worlds, newest first."""
        rows = self._db.execute("SELECT id, key_hash, is_live FROM world ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [WorldLine(row, key_hash, bool(is_live), self._tasks(row)) for row, key_hash, is_live in rows]

    def _tasks(self, world: int) -> dict[str, int]:
        rows = self._db.execute(
            "SELECT status, sum(n) FROM counter WHERE world = ? GROUP BY status HAVING sum(n) > 0", (world,)
        )
        return {STATUSES[status]: n for status, n in rows}

    def labelers(self, world: World) -> list[Tally]:
        """Count the attempts at a world's newest tasks by labeler, the busiest first."""
        rows = self._db.execute(
            "SELECT labeler, count(*), avg(completed_ms - started_ms) / 1000.0 FROM ("
            "SELECT a.labeler, a.completed_ms, a.started_ms FROM attempt a JOIN task t ON t.id = a.task "
            "WHERE t.world = ? ORDER BY a.task DESC LIMIT ?) GROUP BY labeler ORDER BY 2 DESC, 1",
            (world.row, _NEWEST_ATTEMPTS),
        )
        return [Tally(*row) for row in rows]
