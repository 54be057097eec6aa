"""The one door to SQLite: opening the file, transactions, worlds, settings and saved replies.

`Catalog` (projects, batches), `TaskTable` and `LaborTable` are its parts; there is no SQL elsewhere. The server runs
on one thread and this connection belongs to it, so that there is exactly one writer and a read never sees half of a
change. Every change happens inside `Store.transaction`; answers leave after its COMMIT.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from refonte_frames.sandbox import schema
from refonte_frames.sandbox.catalog import Catalog
from refonte_frames.sandbox.exchange import World
from refonte_frames.sandbox.file_table import FileTable
from refonte_frames.sandbox.labor_table import LaborTable
from refonte_frames.sandbox.overview_table import OverviewTable
from refonte_frames.sandbox.people import Member
from refonte_frames.sandbox.people_table import PeopleTable
from refonte_frames.sandbox.quality_table import QualityTable
from refonte_frames.sandbox.task_table import TaskTable

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SavedReply", "Store", "StoreError"]


class StoreError(Exception):
    """The database file cannot be used."""


@dataclass(frozen=True, slots=True)
class SavedReply:
    """What an Idempotency-Key was answered (contract 1.4)."""

    world: int
    fingerprint: bytes
    status: int
    body: bytes


class Store:
    """Everything the sandbox remembers.

    Parameters
    ----------
    path : Path, optional
        A durable database file. Default: a private temporary one that vanishes with the process, even after a kill.

    Attributes
    ----------
    catalog : Catalog
        Projects and batches.
    tasks : TaskTable
        Tasks and their lists.
    labor : LaborTable
        Attempts, and what is planned for tasks.
    people : PeopleTable
        Teams and Studio.
    quality : QualityTable
        Quality tasks and their attempts.
    files : FileTable
        Uploaded and imported files.
    overview : OverviewTable
        What the page shows.

    Raises
    ------
    StoreError
        If the file is no database of ours, comes from a newer version, or is in use by another sandbox.
    """

    def __init__(self, path: Path | None = None) -> None:
        # Not SQLite's own temporary database: it cannot keep a WAL, and without one a creation costs twice as much.
        self._folder = None if path else Path(tempfile.mkdtemp(prefix="refonte-store-"))
        place = self._folder / "sandbox.db" if self._folder else path
        try:
            self._db = sqlite3.connect(str(place), timeout=1.0, isolation_level=None, cached_statements=256)
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
        # Exclusive: a second sandbox on the same file would be a second writer with its own row counter.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 10000")  # 40 MB: pages that change often are copied back less often
        # What is in a temporary file is lost with the process anyway.
        db.execute(f"PRAGMA synchronous = {'OFF' if path is None else 'NORMAL'}")
        # Debian's SQLite overwrites what is deleted with zeros, which is a write for nothing here.
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("PRAGMA temp_store = MEMORY")
        version = self._checked_version(path)
        if version == 0:
            marks = f"PRAGMA application_id = {schema.APPLICATION_ID}; PRAGMA user_version = {schema.VERSION};"
            db.executescript(f"BEGIN; {schema.DDL} {marks} COMMIT;")
        for old in range(version or schema.VERSION, schema.VERSION):
            self._migrate(old)
        self._remove_folder()
        self._callback_urls: dict[int, str | None] = {}
        self.catalog = Catalog(db)
        self.tasks = TaskTable(db)
        self.labor = LaborTable(db)
        self.people = PeopleTable(db)
        self.quality = QualityTable(db)
        self.files = FileTable(db)
        self.overview = OverviewTable(db)

    def _remove_folder(self) -> None:
        """Take the temporary files' names away: the open ones live on until the process ends, however it ends.

        Windows keeps the names of open files; there it succeeds when the store is closed.
        """
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

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

    def _migrate(self, old: int) -> None:
        """Bring the file from one version to the next, or leave it as it was."""
        with _committed(self._db):
            for statement in schema.MIGRATIONS[old]:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {old + 1}")

    def close(self) -> None:
        """Close the file; every acknowledged write is in it already."""
        self._db.close()
        self._remove_folder()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything inside, or nothing."""
        try:
            with _committed(self._db):
                yield
        except BaseException:
            self.tasks.recollect()
            self._callback_urls.clear()
            raise

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
        return self.tasks.newest_ms()

    def find_world(self, key_hash: bytes) -> World | None:
        """Find a world by the hash of its key."""
        row = self._db.execute("SELECT id, is_live, account FROM world WHERE key_hash = ?", (key_hash,)).fetchone()
        return World(row[0], bool(row[1]), row[2]) if row else None

    def add_world(self, key_hash: bytes, account: bytes, *, is_live: bool) -> World:
        """Make a world with nothing in it but the account's admin."""
        cursor = self._db.execute(
            "INSERT INTO world (key_hash, account, is_live) VALUES (?, ?, ?)", (key_hash, account, is_live)
        )
        world = World(_row_of(cursor), is_live, account)
        self.people.save_member(world, _ADMIN)
        return world

    def default_callback_url(self, world: int) -> str | None:
        """Give the callback URL of a world's profile."""
        if world not in self._callback_urls:
            row = self._db.execute("SELECT default_callback_url FROM world WHERE id = ?", (world,)).fetchone()
            self._callback_urls[world] = row[0] if row else None
        return self._callback_urls[world]

    def set_default_callback_url(self, world: World, url: str | None) -> None:
        """Set the callback URL of a world's profile, or take it away."""
        self._db.execute("UPDATE world SET default_callback_url = ? WHERE id = ?", (url, world.row))
        self._callback_urls.pop(world.row, None)

    def has_world(self, row: int) -> bool:
        """Tell whether there is a world with this number."""
        return self._db.execute("SELECT 1 FROM world WHERE id = ?", (row,)).fetchone() is not None

    def world_by_row(self, row: int) -> World:
        """Find a world by its number."""
        found = self._db.execute("SELECT id, is_live, account FROM world WHERE id = ?", (row,)).fetchone()
        return World(found[0], bool(found[1]), found[2])

    def empty_world(self, world: World) -> None:
        """Forget everything in a world but the admin, its saved replies and callback URL too."""
        self.tasks.empty(world)
        self.set_default_callback_url(world, None)
        for statement in (
            "DELETE FROM event WHERE world = ?",
            "DELETE FROM delivery WHERE world = ?",
            "DELETE FROM mail WHERE world = ?",
            "DELETE FROM reply WHERE world = ?",
            "DELETE FROM batch WHERE world = ?",
            "DELETE FROM project WHERE world = ?",
            "DELETE FROM member WHERE world = ?",
            "DELETE FROM assignment WHERE world = ?",
            "DELETE FROM labeler_group WHERE world = ?",
            "DELETE FROM studio_priority WHERE world = ?",
            "DELETE FROM batch_group WHERE world = ?",
            "DELETE FROM quality_task WHERE world = ?",
            "DELETE FROM quality_attempt WHERE world = ?",
            "DELETE FROM asset WHERE world = ?",
        ):
            self._db.execute(statement, (world.row,))
        self.people.save_member(world, _ADMIN)

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
        # They were kept in the order of their end, so that none behind the first good one has to be looked at.
        first_good = "SELECT id FROM reply WHERE expires_ms > ? ORDER BY id LIMIT 1"
        self._db.execute(f"DELETE FROM reply WHERE id < coalesce(({first_good}), 9223372036854775807)", (now_ms,))


@contextmanager
def _committed(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


_ADMIN = Member("admin@example.com", "admin", first_name="Ada", last_name="Example", company="Example")


def _row_of(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise StoreError("SQLite gave no row number for an inserted row.")
    return cursor.lastrowid
