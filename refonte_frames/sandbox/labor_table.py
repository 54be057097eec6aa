"""What labelers did, what is planned, and what was delivered, in SQL; a part of the store."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox.exchange import encode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from refonte_frames.sandbox.exchange import World

__all__ = ["Delivery", "Event", "LaborTable", "Mail", "StoredAttempt"]


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
    world: int
    task: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try of a callback: of which task or batch, and what came of it."""

    world: int
    name: str
    target: str
    number: int
    at_ms: int
    status: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that a real service would have sent."""

    world: int
    sender: str
    receiver: str
    sent_ms: int
    body: str


_columns = attrgetter("task", "number", "labeler", "started_ms", "completed_ms")


class LaborTable:
    """The attempts at tasks and the events to come.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add_attempts(self, attempts: Sequence[StoredAttempt]) -> None:
        """Keep what the labelers of tasks handed in."""
        values = [(*_columns(each), encode(each.response).decode()) for each in attempts]
        self._db.executemany(
            "INSERT INTO attempt (task, number, labeler, started_ms, completed_ms, response) VALUES (?, ?, ?, ?, ?, ?)",
            values,
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

    def add_event(self, due_ms: int, kind: str, world: int, task: int, value: dict[str, Any]) -> None:
        """Plan something for later; task 0 is none."""
        self.add_events([(due_ms, kind, world, task, value)])

    def add_events(self, events: Sequence[tuple[int, str, int, int, dict[str, Any]]]) -> None:
        """Plan things for later: when, of which kind, in which world, for which task, and what."""
        self._db.executemany(
            "INSERT INTO event (due_ms, kind, world, task, value) VALUES (?, ?, ?, ?, ?)",
            [(*head, encode(value).decode()) for *head, value in events],
        )

    def due_events(self, kind: str, now_ms: int, limit: int) -> list[Event]:
        """List what is due, in the order of due time and planning."""
        rows = self._db.execute(
            "SELECT id, due_ms, world, task, value FROM event WHERE kind = ? AND due_ms <= ? "
            "ORDER BY due_ms, id LIMIT ?",
            (kind, now_ms, limit),
        )
        values = [(*row, msgspec.json.decode(text)) for *row, text in rows]
        return [Event(*each) for each in values]

    def next_event_ms(self, kind: str) -> int | None:
        """Tell when the next planned thing of a kind is due."""
        found: int | None = self._db.execute("SELECT min(due_ms) FROM event WHERE kind = ?", (kind,)).fetchone()[0]
        return found

    def take_event(self, event: Event) -> bool:
        """Forget a plan that was carried out; tell whether it was still there.

        While somebody was called, its world may have been emptied, and its number given to another plan.
        """
        rows = self._db.execute("SELECT id, due_ms, world, task, value FROM event WHERE id = ?", (event.row,))
        values = [(*row, msgspec.json.decode(text)) for *row, text in rows]
        if [Event(*each) for each in values] != [event]:
            return False
        self.drop_events([event.row])
        return True

    def drop_events(self, rows: Sequence[int]) -> None:
        """Forget carried-out plans."""
        self._db.executemany("DELETE FROM event WHERE id = ?", [(row,) for row in rows])

    def add_delivery(self, delivery: Delivery) -> None:
        """Note one try of a callback."""
        self._db.execute(
            "INSERT INTO delivery (world, name, target, number, at_ms, status, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
            astuple(delivery),
        )

    def deliveries_of(self, world: World, *, newest: int = -1) -> list[Delivery]:
        """List the tries of a world's callbacks, oldest first: all, or so many of the newest."""
        rows = self._db.execute(
            "SELECT world, name, target, number, at_ms, status, note FROM delivery WHERE world = ? "
            "ORDER BY id DESC LIMIT ?",
            (world.row, newest),
        ).fetchall()
        return [Delivery(*row) for row in reversed(rows)]

    def add_mail(self, mail: Mail) -> None:
        """Put a mail into the outbox."""
        self._db.execute(
            "INSERT INTO mail (world, sender, receiver, sent_ms, body) VALUES (?, ?, ?, ?, ?)", astuple(mail)
        )

    def mails_of(self, world: World) -> list[Mail]:
        """List a world's mails, oldest first."""
        rows = self._db.execute(
            "SELECT world, sender, receiver, sent_ms, body FROM mail WHERE world = ? ORDER BY id", (world.row,)
        )
        return [Mail(*row) for row in rows]
