"""The inbox of an exported folder: deliveries on disk, from their receipt until an export has taken them. SQLite.

Format, version 1, at ``_inbox/inbox.sqlite`` in the folder: `deliveries` has one line for each announcement however
often it was repeated, with the outcome once an export has settled it; `refusals` counts what was turned away. A
body is kept only while an export is still to read it from there.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from refonte_frames.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from refonte_frames.callbacks.messages import Message

__all__ = ["Arrival", "Hint", "Inbox", "Outcome", "Verify", "inbox_path"]

#: `stored`: in the dataset as it now stands. `outside`: not in it: its filters leave the task out, or the service does
#: not know it. `noted`: nothing for a dataset, as that a batch has ended.
Outcome = Literal["stored", "outside", "noted"]
#: Whether an export reads the task from the service again or takes it from the delivery.
Verify = Literal["refetch", "body"]

#: Bodies that are read at once.
_MOST_BYTES: Final = 32 * 2**20
_VERSION: Final = 1
#: "RfI1": tells our file from any other SQLite database.
_APPLICATION_ID: Final = 0x52664931
_SCHEMA: Final = """
CREATE TABLE deliveries(
  number INTEGER PRIMARY KEY AUTOINCREMENT, message_key BLOB NOT NULL UNIQUE, kind TEXT NOT NULL, name TEXT NOT NULL,
  status TEXT NOT NULL, unique_id TEXT, body BLOB, first_at REAL NOT NULL, last_at REAL NOT NULL,
  times INTEGER NOT NULL, outcome TEXT, settled_at REAL);
CREATE INDEX waiting ON deliveries(number) WHERE outcome IS NULL;
CREATE TABLE refusals(reason TEXT PRIMARY KEY, times INTEGER NOT NULL, last_at REAL NOT NULL) WITHOUT ROWID;
"""
_ADD: Final = """
INSERT INTO deliveries(message_key, kind, name, status, unique_id, body, first_at, last_at, times, outcome, settled_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
ON CONFLICT(message_key) DO UPDATE SET times = times + 1, last_at = max(last_at, excluded.last_at)
"""
_ADD_REFUSALS: Final = """
INSERT INTO refusals(reason, times, last_at) VALUES (?, ?, ?)
ON CONFLICT(reason) DO UPDATE SET times = times + excluded.times, last_at = max(last_at, excluded.last_at)
"""
_SETTLE: Final = "UPDATE deliveries SET outcome = ?, settled_at = ?, body = NULL WHERE number = ?"
_SHOWN: Final = "kind, name, status, first_at, last_at, times, outcome, settled_at"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery to be kept; with its body where an export shall take the task from there."""

    message: Message
    body: bytes | None
    at: float


@dataclass(frozen=True, slots=True)
class Hint:
    """A task that something is known to have happened to; the body only if it may be believed."""

    number: int
    task_id: str
    unique_id: str | None
    body: bytes | None


def inbox_path(root: str | os.PathLike[str]) -> Path:
    """Name the inbox's file in an exported folder; readers of the folder skip names that begin with ``_``."""
    return Path(root).expanduser() / "_inbox" / "inbox.sqlite"


class Inbox:
    """An open inbox; one thread at a time, safe beside other processes that use the same file.

    Parameters
    ----------
    root : path
        The exported folder; it need not be there yet.
    is_read_only : bool
        Only look; nothing is made.

    Raises
    ------
    ExportError
        The file cannot be made, or is none of ours, or is a newer version's.
    """

    def __init__(self, root: str | os.PathLike[str], *, is_read_only: bool = False) -> None:
        self.path = inbox_path(root)
        with self._guarded("cannot be opened"):
            self._db = self._looking() if is_read_only else self._writing()
            try:
                self._prepare(may_create=not is_read_only)
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, arrivals: Iterable[Arrival], refusals: Mapping[str, int] | None = None) -> None:
        """Keep deliveries and count refusals: on the disk when this returns, all or none. Repeats are counted.

        Raises
        ------
        ExportError
            If the disk is full or the file is damaged.
        """
        now = time.time()
        lines = [_line(arrival) for arrival in arrivals]
        counts = [(reason, times, now) for reason, times in (refusals or {}).items()]
        with self._guarded("cannot be written"), self._transaction():
            self._db.executemany(_ADD, lines)
            self._db.executemany(_ADD_REFUSALS, counts)

    def waiting(self, limit: int, *, after: int = 0) -> list[Hint]:
        """Give the oldest tasks that no export has settled yet, those after a number only.

        Fewer than `limit` where their bodies are large, but one at least, if there is one.
        """
        query = (
            "SELECT number, name, unique_id, body FROM deliveries "
            "WHERE outcome IS NULL AND number > ? ORDER BY number LIMIT ?"
        )
        hints: list[Hint] = []
        size = 0
        with self._guarded("cannot be read"), closing(self._db.execute(query, (after, limit))) as lines:
            for line in lines:
                hints.append(Hint(*line))
                size += len(hints[-1].body or b"")
                if size >= _MOST_BYTES:
                    break
        return hints

    def newest_waiting(self) -> int:
        """Tell the number of the newest delivery that no export has settled yet; 0 for none."""
        query = "SELECT coalesce(max(number), 0) FROM deliveries WHERE outcome IS NULL"
        with self._guarded("cannot be read"):
            return int(self._db.execute(query).fetchone()[0])

    def settle(self, outcomes: Mapping[int, Outcome]) -> None:
        """Note what became of deliveries, by number; their bodies are dropped."""
        now = time.time()
        lines = [(outcome, now, number) for number, outcome in outcomes.items()]
        with self._guarded("cannot be written"), self._transaction():
            self._db.executemany(_SETTLE, lines)

    def counts(self) -> dict[str, int]:
        """Count the deliveries by outcome; those that wait as ``waiting``. Repeats are not counted."""
        with self._guarded("cannot be read"):
            return dict(self._db.execute("SELECT coalesce(outcome, 'waiting'), count(*) FROM deliveries GROUP BY 1"))

    def repeats(self) -> int:
        """Count the deliveries that announced what was known already."""
        with self._guarded("cannot be read"):
            return int(self._db.execute("SELECT coalesce(sum(times - 1), 0) FROM deliveries").fetchone()[0])

    def refusals(self) -> dict[str, int]:
        """Count what was turned away, by reason."""
        with self._guarded("cannot be read"):
            return dict(self._db.execute("SELECT reason, times FROM refusals ORDER BY reason"))

    def lines(self) -> list[tuple[object, ...]]:
        """Give all deliveries in the order of their arrival: kind, name, status, times and outcome."""
        with self._guarded("cannot be read"):
            return self._db.execute(f"SELECT {_SHOWN} FROM deliveries ORDER BY number").fetchall()  # noqa: S608 - names

    def _looking(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)

    def _writing(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise ExportError(f"The inbox {self.path} cannot be made: {error.strerror}. Name another folder.") from None
        # Used by one thread at a time, but not always by the one that opened it.
        db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        # The service is told 2xx after the commit and never sends again: it has to outlive a power cut as well.
        db.execute("PRAGMA synchronous=FULL")
        return db

    def _prepare(self, *, may_create: bool) -> None:
        if may_create:
            with self._transaction():
                self._create_if_new()
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if application != _APPLICATION_ID:
            raise ExportError(f"{self.path} is no inbox of ours. Move it away, or name another folder.")
        if version > _VERSION:
            raise ExportError(
                f"The inbox {self.path} was written by a newer refonte-frames (format {version}, this one reads "
                f"{_VERSION}). Upgrade, and nothing of it is lost."
            )

    def _create_if_new(self) -> None:
        is_new = not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_new:
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version={_VERSION}")

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """Turn what SQLite says into a sentence about this file."""
        try:
            yield
        except sqlite3.Error as error:
            raise ExportError(
                f"The inbox {self.path} {what}: {error}. Deliveries that were acknowledged are safe in it; the service "
                "repeats the others for 24 hours."
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # Also where the commit itself fails: a transaction that stays open would refuse all that follow.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _line(arrival: Arrival) -> tuple[object, ...]:
    message, at = arrival.message, arrival.at
    # Only tasks are something for an export to take.
    outcome, settled_at = (None, None) if message.kind == "task" else ("noted", at)
    what = (message.kind, message.name, message.status, message.unique_id, arrival.body)
    return (message.key, *what, at, at, outcome, settled_at)
