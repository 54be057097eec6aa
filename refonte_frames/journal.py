"""The journal of a run: what was intended and what came of it, kept through any crash. SQLite lives here.

Format, version 1: an SQLite database in WAL mode with the application id 0x52664A31 ("RfJ1"), readable by its owner
alone. No key and no payload is in it.

`meta(key, value)`: `run_id` (made once; a part of every Idempotency-Key), `host` and `key_fingerprint` (whose it is),
`recipe` (by which ids and row keys are made), `purpose` (`submit` where it is missing; `audit`, `resend_callbacks`,
`files` and `quality_tasks` are the others), `created_at` (Unix time), `jobs` (JSON: type, project and batch of each
submission; null where rows say it themselves) and `last_call` (JSON: `began_at`, `rows`, and once it ended `ended_at`
and `counts`).

`rows`, one line a task, found by `row_key`: for a submission its type and unique_id (``type:id``), or the hash of its
body and an occurrence number where it has none (``body:hash#1``), else its task_id; files are found by
`project/reference_id` and quality tasks by `kind/unique_id`, with the address or id they got as their task_id.
`state` is `sending` from the commit before the request goes out to the commit after the answer; `unsent` where the
run stopped in good order before it went out; else what came of it: `created`, `existing`, `failed`, `unknown`,
`changed`. `generation` counts the keys that were used up, `sent_hash` is of what was sent, `first_sent_at` the Unix
time of the first intent of this generation; `maybe_sent` says whether some sending may have been carried out unseen;
`task_id`, `task_status`, `error_code`, `error_message` and `tries` are those of the receipt.

`files(path, sha256, url)` is there once a submission uploaded files: the path on this machine, what lay there when it
was read last, and its address at the service. By it a row whose file is gone meanwhile is still the row that it was.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from refonte_frames.databases import closed_on_error, make_file, opened_to_look, told_as, transaction
from refonte_frames.errors import JournalError
from refonte_frames.journal_state import JournalState
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Entry", "Journal", "JournalState", "Seen", "State", "look_into"]

State = Literal["sending", "unsent", "created", "existing", "failed", "unknown", "changed"]

_VERSION: Final = 1
#: "RfJ1": tells our file from any other SQLite database.
_APPLICATION_ID: Final = 0x52664A31
_SCHEMA: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows(
  row_key TEXT PRIMARY KEY, state TEXT NOT NULL, generation INTEGER NOT NULL, sent_hash BLOB NOT NULL,
  first_sent_at REAL NOT NULL, maybe_sent INTEGER NOT NULL, task_id TEXT, task_status TEXT,
  error_code TEXT, error_message TEXT, tries INTEGER NOT NULL) WITHOUT ROWID;
"""
_FILES: Final = """CREATE TABLE IF NOT EXISTS files(
  path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, url TEXT NOT NULL) WITHOUT ROWID"""
_COLUMNS: Final = (
    "row_key, state, generation, sent_hash, first_sent_at, maybe_sent, task_id, task_status, "
    "error_code, error_message, tries"
)
_INTO: Final = f"INTO rows({_COLUMNS}) VALUES ({','.join('?' * 11)})"
#: In SQLite's own temporary file: it goes when the connection does.
_SEEN: Final = """CREATE TEMP TABLE IF NOT EXISTS seen(
  name TEXT PRIMARY KEY, sent_hash BLOB NOT NULL, next_number INTEGER NOT NULL, row INTEGER NOT NULL) WITHOUT ROWID"""
_KEYS_A_QUERY: Final = 500
#: From so many on, reading the whole table is faster than looking a third of it up.
_KEYS_WORTH_A_SCAN: Final = 20_000


@dataclass(slots=True)
class Entry:
    """What the journal knows of one task; not to be changed, `dataclasses.replace` makes another.

    It is not frozen because that would triple the time it takes to read a million of them.

    Attributes
    ----------
    row_key : str
        Finds the row again in a later run.
    state : {"sending", "unsent", "created", "existing", "failed", "unknown", "changed"}
        `sending`: the request may have gone out, no outcome is known. `unsent`: the run stopped in good order before
        it went out. `changed`: an existing task was.
    generation : int
        Counts the idempotency keys that were used up.
    sent_hash : bytes
        Of what was sent under this key.
    first_sent_at : float
        Unix time of the first intent of this generation.
    maybe_sent : bool
        Whether some sending, in this generation or an earlier one, may have been carried out unseen; 0 or 1 where it
        was read from the file.
    tries : int
        Sendings so far.
    """

    row_key: str
    state: State
    generation: int
    sent_hash: bytes
    first_sent_at: float
    maybe_sent: bool = False
    task_id: str | None = None
    task_status: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    tries: int = 0

    @property
    def has_task(self) -> bool:
        """Whether the row's task is known."""
        return self.state in ("created", "existing")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is remembered of an id while one call lasts.

    Attributes
    ----------
    sent_hash : bytes
        Of the row that bore it first; empty when rows with different content did.
    next_number : int
        The number that the next equal row gets; 1 is the bare id.
    row : int
        The first row that bore it, counted from 0 over the whole input.
    """

    sent_hash: bytes
    next_number: int
    row: int


class Journal:
    """An open journal; used by one thread, safe beside other processes that use the same file.

    Parameters
    ----------
    path : path
        Made with mode 0600, in a folder of mode 0700, if it is not there.
    host, key_fingerprint : str
        Whose journal it is; another account's is refused.
    purpose : str
        The function that writes it; another function's journal is refused.
    recipe : int
        Version of the recipe that row keys are made by.
    run_id : str, optional
        The run that a new file is of, where several journals are parts of one. Default: a run of its own.
    is_read_only : bool
        Only look: nothing is made, and nothing is written, not even a lock.

    Raises
    ------
    JournalError
        It is no journal, of a newer version, of another account or host, or of another function.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        host: str,
        key_fingerprint: str,
        purpose: str = "submit",
        recipe: int = 1,
        run_id: str | None = None,
        is_read_only: bool = False,
    ) -> None:
        self.path = at_home(path)
        self._new_run_id = run_id or uuid.uuid4().hex
        wanted = {"host": host, "key_fingerprint": key_fingerprint, "purpose": purpose, "recipe": str(recipe)}
        with self._guarded("cannot be opened"):
            self._db = opened_to_look(self.path) if is_read_only else self._opened()
            with closed_on_error(self._db):
                if is_read_only:
                    self._prepare(wanted, may_create=False)
                else:
                    with transaction(self._db):
                        self._prepare(wanted, may_create=True)
                self.run_id = self._meta()["run_id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def known(self, row_keys: Sequence[str]) -> dict[str, Entry]:
        """Look rows up; those without an entry are left out."""
        with self._guarded("cannot be read"):
            if len(row_keys) > _KEYS_WORTH_A_SCAN and 3 * len(row_keys) > self._size():
                wanted = set(row_keys)
                lines = self._db.execute(f"SELECT {_COLUMNS} FROM rows")  # noqa: S608 - a constant
                return {line[0]: Entry(*line) for line in lines if line[0] in wanted}
            found: dict[str, Entry] = {}
            for start in range(0, len(row_keys), _KEYS_A_QUERY):
                some = row_keys[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT {_COLUMNS} FROM rows WHERE row_key IN ({marks})"  # noqa: S608 - question marks
                for line in self._db.execute(query, some):
                    found[line[0]] = Entry(*line)
        return found

    def _size(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM rows").fetchone()[0])

    def write(self, entries: Iterable[Entry], *, only_new: bool = False) -> None:
        """Commit intents and outcomes, all or none.

        Parameters
        ----------
        only_new : bool
            Leave alone what is known, whoever wrote it.

        Raises
        ------
        JournalError
            If the disk is full or the file is damaged; nothing of this call is then kept.
        """
        lines = [
            (
                entry.row_key,
                entry.state,
                entry.generation,
                entry.sent_hash,
                entry.first_sent_at,
                entry.maybe_sent,
                entry.task_id,
                entry.task_status,
                entry.error_code,
                entry.error_message,
                entry.tries,
            )
            for entry in entries
        ]
        if not lines:
            return
        with self._guarded("cannot be written"), transaction(self._db):
            self._db.executemany(f"INSERT OR {'IGNORE' if only_new else 'REPLACE'} {_INTO}", lines)

    def seen(self, names: Sequence[str]) -> dict[str, Seen]:
        """Look up which of these names were remembered since the journal was opened."""
        found: dict[str, Seen] = {}
        with self._guarded("cannot be read"):
            self._db.execute(_SEEN)
            for start in range(0, len(names), _KEYS_A_QUERY):
                some = names[start : start + _KEYS_A_QUERY]
                marks = ",".join("?" * len(some))
                query = f"SELECT name, sent_hash, next_number, row FROM seen WHERE name IN ({marks})"  # noqa: S608
                found |= {name: Seen(*line) for name, *line in self._db.execute(query, some)}
        return found

    def remember(self, seen: Mapping[str, Seen]) -> None:
        """Remember names until the journal is closed, on disk and outside its file, however many there are.

        Raises
        ------
        JournalError
            If there is no room for temporary files.
        """
        lines = [(name, each.sent_hash, each.next_number, each.row) for name, each in seen.items()]
        with self._guarded("cannot remember the ids of this call"):
            self._db.execute(_SEEN)
            self._db.execute("BEGIN")
            self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", lines)
            self._db.execute("COMMIT")

    def note_files(self, files: Mapping[str, tuple[str, str]]) -> None:
        """Keep the hash and the address of each file that was uploaded, by its path."""
        if not files:
            return
        lines = [(path, *about) for path, about in files.items()]
        with self._guarded("cannot be written"), transaction(self._db):
            self._db.execute(_FILES)
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", lines)

    def files(self, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Look up the hash and the address of files that were uploaded; those that never were are left out."""
        with self._guarded("cannot be read"):
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'files'").fetchone():
                return {}
            query = "SELECT path, sha256, url FROM files WHERE path = ?"
            found = (self._db.execute(query, (path,)).fetchone() for path in paths)
            return {path: (sha256, url) for path, sha256, url in filter(None, found)}

    def counts(self) -> dict[str, int]:
        """Count the entries by state."""
        with self._guarded("cannot be read"):
            return dict(self._db.execute("SELECT state, count(*) FROM rows GROUP BY state"))

    def note_job(self, *, type: str | None, project: str | None, batch: str | None) -> None:
        """Note what the journal is used for, once for each job."""
        job = {"type": type, "project": project, "batch": batch}
        with self._guarded("cannot be written"), transaction(self._db):
            jobs = json.loads(self._meta().get("jobs", "[]"))
            if job not in jobs:
                self._set_meta("jobs", json.dumps([*jobs, job]))

    def note_call(self, **call: float | dict[str, int] | None) -> None:
        """Note how the last call began, or how it ended, in place of what was noted before."""
        with self._guarded("cannot be written"), transaction(self._db):
            self._set_meta("last_call", json.dumps(call))

    def _set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def some_task_id(self) -> str | None:
        """Return the id of a task that this journal saw created, to ask the service whether it knows it."""
        query = "SELECT task_id FROM rows WHERE state IN ('created', 'existing') AND task_id IS NOT NULL LIMIT 1"
        with self._guarded("cannot be read"):
            line = self._db.execute(query).fetchone()
        return str(line[0]) if line else None

    def _opened(self) -> sqlite3.Connection:
        try:
            make_file(self.path)
        except OSError as error:
            raise JournalError(
                f"The journal {self.path} cannot be made: {error.strerror}. Name a place where it can: journal=…"
            ) from None
        db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
        with closed_on_error(db):
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
        return db

    def _guarded(self, what: str) -> AbstractContextManager[None]:
        """Turn what SQLite says into a sentence about this file."""
        return told_as(
            lambda reason: JournalError(
                f"The journal {self.path} {what}: {reason}. Rows already sent are safe: run the same call again "
                "once there is room and the file is whole, and each row ends exactly once."
            )
        )

    def _prepare(self, wanted: Mapping[str, str], *, may_create: bool) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = {line[0] for line in self._db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
        if may_create and not tables and version == 0:
            self._create(wanted)
            return
        _check_format(self._db, self.path)
        self._check_owner({"purpose": "submit", **self._meta()}, wanted)

    def _check_owner(self, meta: Mapping[str, str], wanted: Mapping[str, str]) -> None:
        if any(meta[name] != wanted[name] for name in ("host", "key_fingerprint")):
            is_elsewhere = meta["host"] != wanted["host"]
            whose = f"the service at {meta['host']}" if is_elsewhere else "another key of this service"
            raise JournalError(
                f"The journal {self.path} belongs to {whose}: continuing it here would mix two accounts up. "
                "Use the key and base URL it began with, or another file: journal=…"
            )
        if meta["purpose"] != wanted["purpose"]:
            raise JournalError(
                f"The journal {self.path} is one of rf.{meta['purpose']}, not of rf.{wanted['purpose']}. "
                "Name another file: journal=…"
            )
        if meta["recipe"] != wanted["recipe"]:
            raise JournalError(
                f"The journal {self.path} names rows by recipe {meta['recipe']}, and this refonte-frames by recipe "
                f"{wanted['recipe']}: it would not find them, and send them once more. Finish with the version that "
                "wrote it, or name another file: journal=…"
            )

    def _create(self, wanted: Mapping[str, str]) -> None:
        for statement in _SCHEMA.split(";"):
            self._db.execute(statement)
        meta = {**wanted, "run_id": self._new_run_id, "created_at": str(time.time())}
        self._db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        self._db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version={_VERSION}")

    def _meta(self) -> dict[str, str]:
        return dict(self._db.execute("SELECT key, value FROM meta"))


def _check_format(db: sqlite3.Connection, path: Path) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise JournalError(f"{path} is a database, but no journal of ours. Name another file: journal=…")
    if version != _VERSION:
        is_newer = version > _VERSION
        raise JournalError(
            f"The journal {path} was written by {'a newer' if is_newer else 'an older'} refonte-frames (format "
            f"{version}, this one reads {_VERSION}). "
            + ("Upgrade" if is_newer else "Finish with that version")
            + ", and nothing of it is lost; or name another file: journal=…"
        )


def look_into(path: str | os.PathLike[str]) -> JournalState:
    """Tell where the run of a journal stands; nothing is written, and a run that goes on is not disturbed.

    Raises
    ------
    JournalError
        There is no such file, or it is no journal that this version reads.
    """
    where = at_home(path)
    if not where.is_file():
        raise JournalError(f"There is no journal {where}. The last line of a submission says where its journal lies.")
    try:
        with contextlib.closing(opened_to_look(where)) as db:
            _check_format(db, where)
            db.execute("BEGIN")  # all counts of one instant, whoever writes meanwhile
            meta = dict(db.execute("SELECT key, value FROM meta"))
            counts = dict(db.execute("SELECT state, count(*) FROM rows GROUP BY state ORDER BY 2 DESC, 1"))
            by_code = "SELECT error_code, count(*) FROM rows WHERE state = 'failed' GROUP BY 1 ORDER BY 2 DESC, 1"
            codes = {str(code): count for code, count in db.execute(by_code)}
    except (sqlite3.Error, KeyError) as error:
        raise JournalError(f"{where} is no journal that can be read: {error}.") from None
    files = [where, Path(f"{where}-wal")]
    return JournalState(
        path=where,
        run_id=meta["run_id"],
        purpose=meta.get("purpose", "submit"),
        host=meta["host"],
        key_fingerprint=meta["key_fingerprint"],
        recipe=meta["recipe"],
        created_at=float(meta["created_at"]),
        written_at=max(file.stat().st_mtime for file in files if file.exists()),
        jobs=json.loads(meta.get("jobs", "[]")),
        counts=counts,
        codes=codes,
        last_call=json.loads(meta.get("last_call", "{}")),
    )
