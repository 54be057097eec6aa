"""The inbox of an exported folder: deliveries on disk, from their receipt until an export has taken them. SQLite.

Format, version 2, at ``_inbox/inbox.sqlite`` in the folder: `deliveries` has one line for each announcement however
often it was repeated, with the outcome once an export has settled it; `refusals` counts what was turned away. A
body is kept only while an export is still to read it from there, one of an unknown form as long as its line.

It does not grow for ever: lines of what was settled long ago are dropped whenever the file is opened for writing, by a
receiver that starts or by an export, and `dropped` goes on counting them. SQLite uses their room again, and the file
stays as large as it once was. Version 1 lacked that table and is brought up when it is opened for writing.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

from refonte_frames.databases import closed_on_error, make_file, opened_to_look, told_as, transaction
from refonte_frames.errors import ExportError
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from refonte_frames.callbacks.messages import Message

__all__ = ["Arrival", "Hint", "Inbox", "Outcome", "Verify", "inbox_path"]

#: `stored`: in the dataset as it now stands. `outside`: not in it: its filters leave the task out, or the service does
#: not know it. `noted`: nothing for a dataset, as that a batch has ended.
Outcome = Literal["stored", "outside", "noted"]
#: Whether an export reads the task from the service again or takes it from the delivery.
Verify = Literal["refetch", "body"]

#: Bodies that are read at once.
_MOST_BYTES: Final = 32 * 2**20
_DAY_SECS: Final = 86_400.0
#: How long the line of a delivery is kept after it was settled, and after its last repeat: far longer than the service
#: repeats it. Those that no export took are what people look for when they miss a task.
_KEPT_DAYS: Final[Mapping[Outcome, int]] = {"stored": 30, "noted": 30, "outside": 365}
#: Lines dropped at once, so that no delivery waits long.
_MOST_DROPPED: Final = 20_000
_VERSION: Final = 2
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
_SCHEMA_SINCE_2: Final = """
CREATE TABLE dropped(outcome TEXT PRIMARY KEY, lines INTEGER NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX settled ON deliveries(outcome, settled_at) WHERE outcome IS NOT NULL;
"""
_OLD: Final = "SELECT number, times FROM deliveries WHERE outcome = ? AND settled_at < ? AND last_at < ? LIMIT ?"
_COUNT_DROPPED: Final = """
INSERT INTO dropped(outcome, lines, times) VALUES (?, ?, ?)
ON CONFLICT(outcome) DO UPDATE SET lines = lines + excluded.lines, times = times + excluded.times
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
    return at_home(root) / "_inbox" / "inbox.sqlite"


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
            self._db = opened_to_look(self.path) if is_read_only else self._opened()
            with closed_on_error(self._db):
                if is_read_only:
                    self._version = self._checked_version()
                else:
                    with transaction(self._db):
                        self._prepare()

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
        with self._guarded("cannot be written"), transaction(self._db):
            self._db.executemany(_ADD, lines)
            self._db.executemany(_ADD_REFUSALS, counts)

    def is_in_place(self) -> bool:
        """Tell of an inbox opened for writing whether its file is the one that others find in the folder.

        Where the folder was removed or moved away, SQLite goes on writing to a file that no export will read.
        """
        return self._place == _place_of(self.path)

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
        with self._guarded("cannot be written"), transaction(self._db):
            self._db.executemany(_SETTLE, lines)

    def counts(self) -> dict[str, int]:
        """Count all deliveries ever by outcome; those that wait as ``waiting``. Repeats are not counted."""
        query = "SELECT coalesce(outcome, 'waiting'), count(*) FROM deliveries GROUP BY 1"
        with self._guarded("cannot be read"):
            kept = Counter(dict(self._db.execute(query)))
            return dict(kept + Counter({outcome: lines for outcome, lines, _ in self._dropped()}))

    def repeats(self) -> int:
        """Count all deliveries ever that announced what was known already."""
        with self._guarded("cannot be read"):
            kept = int(self._db.execute("SELECT coalesce(sum(times - 1), 0) FROM deliveries").fetchone()[0])
            return kept + sum(times - lines for _, lines, times in self._dropped())

    def _dropped(self) -> list[tuple[str, int, int]]:
        if self._version < 2:
            return []
        return self._db.execute("SELECT outcome, lines, times FROM dropped").fetchall()

    def refusals(self) -> dict[str, int]:
        """Count what was turned away, by reason."""
        with self._guarded("cannot be read"):
            return dict(self._db.execute("SELECT reason, times FROM refusals ORDER BY reason"))

    def lines(self) -> list[tuple[object, ...]]:
        """Give the deliveries that are kept, in the order of their arrival: kind, name, status, times and outcome."""
        with self._guarded("cannot be read"):
            return self._db.execute(f"SELECT {_SHOWN} FROM deliveries ORDER BY number").fetchall()  # noqa: S608 - names

    def _opened(self) -> sqlite3.Connection:
        try:
            make_file(self.path)
        except OSError as error:
            raise ExportError(f"The inbox {self.path} cannot be made: {error.strerror}. Name another folder.") from None
        self._place = _place_of(self.path)
        # Used by one thread at a time, but not always by the one that opened it.
        db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None, check_same_thread=False)
        with closed_on_error(db):
            db.execute("PRAGMA journal_mode=WAL")
            # The service is told 2xx after the commit and never sends again: it has to outlive a power cut as well.
            db.execute("PRAGMA synchronous=FULL")
        return db

    def _prepare(self) -> None:
        """Make the tables of a new file, bring those of an older one up, and drop what is long past."""
        is_new = not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if is_new:
            self._carry_out(_SCHEMA)
            self._db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        if is_new or self._checked_version() == 1:
            self._carry_out(_SCHEMA_SINCE_2)
            self._db.execute(f"PRAGMA user_version={_VERSION}")
        self._version = _VERSION
        self._drop_old(time.time())

    def _carry_out(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._db.execute(statement)

    def _checked_version(self) -> int:
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if application != _APPLICATION_ID:
            raise ExportError(f"{self.path} is no inbox of ours. Move it away, or name another folder.")
        if version > _VERSION:
            raise ExportError(
                f"The inbox {self.path} was written by a newer refonte-frames (format {version}, this one reads "
                f"{_VERSION}). Upgrade, and nothing of it is lost."
            )
        return version

    def _drop_old(self, now: float) -> None:
        for outcome, days in _KEPT_DAYS.items():
            before = now - days * _DAY_SECS
            old = self._db.execute(_OLD, (outcome, before, before, _MOST_DROPPED)).fetchall()
            if old:
                self._db.executemany("DELETE FROM deliveries WHERE number = ?", [(number,) for number, _ in old])
                self._db.execute(_COUNT_DROPPED, (outcome, len(old), sum(times for _, times in old)))

    def _guarded(self, what: str) -> AbstractContextManager[None]:
        """Turn what SQLite says into a sentence about this file."""
        return told_as(
            lambda reason: ExportError(
                f"The inbox {self.path} {what}: {reason}. Deliveries that were acknowledged are safe in it; the "
                "service repeats the others for 24 hours."
            )
        )


def _place_of(path: Path) -> tuple[int, int] | None:
    """Tell one file from another that has its name now."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _line(arrival: Arrival) -> tuple[object, ...]:
    message, at = arrival.message, arrival.at
    # Only tasks are something for an export to take.
    outcome, settled_at = (None, None) if message.kind == "task" else ("noted", at)
    what = (message.kind, message.name, message.status, message.unique_id, arrival.body)
    return (message.key, *what, at, at, outcome, settled_at)
