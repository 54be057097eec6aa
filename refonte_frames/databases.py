"""SQLite files of ours: made for their owner, looked at without a trace, written in whole transactions. No tables."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["closed_on_error", "make_file", "opened_to_look", "told_as", "transaction"]


def make_file(path: Path) -> None:
    """Make the file, which its owner alone may read, and its folder, if they are not there.

    Raises
    ------
    OSError
        They cannot be made, or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def opened_to_look(path: Path) -> sqlite3.Connection:
    """Open a file so that nothing can be written to it, also where its folder takes no files."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        db.close()
        if not path.exists() or Path(f"{path}-wal").exists():
            raise
        # Without a log beside it nobody writes to it, and no log can be made here.
        db = sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None)
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit all that is done inside, or nothing of it; nobody else writes meanwhile."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # Also where the commit itself fails: a transaction that stays open would refuse all that follow.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


@contextmanager
def closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    """Close a file that turns out, while it is being opened, to be none to work with."""
    try:
        yield
    except BaseException:
        db.close()
        raise


@contextmanager
def told_as(error: Callable[[str], Exception]) -> Iterator[None]:
    """Turn what SQLite says, and what is missing in a file, into an error that names the file."""
    try:
        yield
    except sqlite3.Error as reason:
        raise error(str(reason)) from None
    except KeyError as missing:
        raise error(f"{missing} is missing in it") from None
