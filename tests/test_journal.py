"""Whose a journal is; what it keeps of a run is told by the tests of the functions that write it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from refonte_frames.errors import JournalError
from refonte_frames.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path


def test_a_journal_of_another_function_is_refused(tmp_path: Path) -> None:
    """It would tell rows to be done that are not."""
    Journal(tmp_path / "x.journal", host="h", key_fingerprint="k", purpose="audit").close()
    with pytest.raises(JournalError, match=r"one of rf\.audit, not of rf\.submit"):
        Journal(tmp_path / "x.journal", host="h", key_fingerprint="k")


def test_a_journal_without_a_purpose_is_a_submission(tmp_path: Path) -> None:
    """Such were the first ones."""
    path = tmp_path / "x.journal"
    Journal(path, host="h", key_fingerprint="k").close()
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM meta WHERE key = 'purpose'")
    database.close()
    Journal(path, host="h", key_fingerprint="k").close()
    with pytest.raises(JournalError, match=r"one of rf\.submit, not of rf\.audit"):
        Journal(path, host="h", key_fingerprint="k", purpose="audit")
