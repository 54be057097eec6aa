"""Quality tasks and their attempts in SQL; a part of the store."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from refonte_frames.sandbox.exchange import encode
from refonte_frames.sandbox.quality_tasks import QualityTask

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.quality_tasks import QualityAttempt

__all__ = ["QualityTable"]


class QualityTable:
    """The quality tasks of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def next_row(self) -> int:
        """Give the number of the next quality task; its id is made from it."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'quality_task'").fetchone()
        return (found[0] if found else 0) + 1

    def add(self, world: World, task: QualityTask) -> None:
        """Insert a quality task."""
        self._db.execute(
            "INSERT INTO quality_task VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                task.row,
                world.row,
                task.id,
                task.kind,
                task.type,
                task.duty_ms,
                task.unique_id,
                encode(task.doc).decode(),
            ),
        )

    def unique_id_holder(self, world: World, unique_id: str) -> str | None:
        """Find the quality task that holds a unique_id."""
        row = self._db.execute(
            "SELECT quality_id FROM quality_task WHERE world = ? AND unique_id = ?", (world.row, unique_id)
        ).fetchone()
        return row[0] if row else None

    def all(self) -> list[tuple[int, QualityTask]]:
        """List the quality tasks of all worlds, each with its world's number."""
        rows = self._db.execute(
            "SELECT world, id, quality_id, kind, type, duty_ms, unique_id, doc FROM quality_task ORDER BY id"
        )
        values = [(row[0], (*row[1:7], msgspec.json.decode(row[7]))) for row in rows]
        return [(world, QualityTask(*each)) for world, each in values]

    def add_attempt(self, world: int, attempt: QualityAttempt) -> None:
        """Insert an attempt as it is served."""
        self._db.execute(
            "INSERT INTO quality_attempt (world, attempt_id, quality_id, labeler, doc) VALUES (?, ?, ?, ?, ?)",
            (world, attempt.id, attempt.task.id, attempt.labeler, encode(attempt.served()).decode()),
        )

    def tries_of(self, world: World) -> list[tuple[str, str]]:
        """List the attempts of a world, oldest first: their ids, and who made them."""
        text = "SELECT attempt_id, labeler FROM quality_attempt WHERE world = ? ORDER BY id"
        return self._db.execute(text, (world.row,)).fetchall()

    def page(
        self, world: World, ids: Sequence[str], emails: Sequence[str], *, before: str | None, limit: int
    ) -> list[tuple[str, str]]:
        """Give ids and documents of attempts, newest first; both filters hold."""
        where, values = _where(world, ids, emails)
        if before is not None:
            where += " AND id < (SELECT id FROM quality_attempt WHERE world = ? AND attempt_id = ?)"
            values += [world.row, before]
        rows = self._db.execute(
            f"SELECT attempt_id, doc FROM quality_attempt WHERE {where} ORDER BY id DESC LIMIT ?", [*values, limit]
        )
        return rows.fetchall()

    def count(self, world: World, ids: Sequence[str], emails: Sequence[str]) -> int:
        """Count attempts."""
        where, values = _where(world, ids, emails)
        return int(self._db.execute(f"SELECT count(*) FROM quality_attempt WHERE {where}", values).fetchone()[0])


_columns = attrgetter("row", "id", "kind", "type", "duty_ms", "unique_id")


def _where(world: World, ids: Sequence[str], emails: Sequence[str]) -> tuple[str, list[int | str]]:
    where = "world = ?"
    values: list[int | str] = [world.row]
    for column, wanted in (("quality_id", ids), ("labeler", emails)):
        if wanted:
            where += f" AND {column} IN ({', '.join('?' * len(wanted))})"
            values += wanted
    return where, values
