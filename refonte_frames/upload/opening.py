"""What is settled before the first row: the options, the journal and whose it is. A look at the service, no more."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from refonte_frames.errors import InputError, JournalError, NotFound
from refonte_frames.journal import Entry, Journal
from refonte_frames.resources.undertakings import state_path
from refonte_frames.transport.calls import Call
from refonte_frames.upload.identity import RECIPE_VERSION
from refonte_frames.upload.plan import decide, unnamed_key

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from refonte_frames.client import Client
    from refonte_frames.upload.mapping import MappingRequest, RowMapping
    from refonte_frames.upload.plan import Decision, Task

__all__ = [
    "OnError",
    "Options",
    "check_journal_is_of_this_service",
    "hold_against",
    "journal_path",
    "note_begin",
    "note_end",
    "note_open_occurrences",
    "open_journal",
    "take_open_occurrences",
]

OnError = Literal["collect", "raise"]
_RESUBMITTABLE: Final = ("canceled", "error")


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `submit` and `plan` that are no part of the mapping, as the caller gave them."""

    journal: str | os.PathLike[str] | None
    chunk_rows: int
    limit: int | None
    on_error: OnError
    resubmit: Sequence[str]
    progress: bool

    def check(self, request: MappingRequest) -> None:
        """Refuse what is out of range or contradicts the mapping.

        Raises
        ------
        InputError
            With the argument at fault in the sentence.
        """
        if request.unique_id is None and self.journal is None:
            raise InputError(
                "unique_id=None leaves the journal as the only guard against doubled rows, so name it: "
                "journal='….journal'."
            )
        if not isinstance(self.chunk_rows, int) or self.chunk_rows < 1:
            raise InputError(f"chunk_rows is an integer of at least 1, not {self.chunk_rows!r}.")
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 0):
            raise InputError(f"limit is an integer of 0 or more, not {self.limit!r}.")
        if self.on_error not in ("collect", "raise"):
            raise InputError(f"on_error must be 'collect' or 'raise', not {self.on_error!r}.")
        resubmit = self.resubmit
        if isinstance(resubmit, str) or not hasattr(resubmit, "__iter__") or set(resubmit) - set(_RESUBMITTABLE):
            raise InputError(f"resubmit is a sequence of 'canceled' and 'error', not {resubmit!r}.")
        if resubmit and request.unique_id is None:
            raise InputError("resubmit clears the id of the old task, so it needs one: unique_id='auto' or a column.")


def journal_path(client: Client, mapping: RowMapping, journal: str | os.PathLike[str] | None) -> Path:
    """Return where the journal lies: as the caller says, or in the user's state folder by host, key and job."""
    parts = (mapping.type or "mixed", mapping.constants.get("project") or "-", mapping.constants.get("batch") or "-")
    return state_path(client, journal, *map(str, parts))


def open_journal(client: Client, path: Path, *, is_read_only: bool = False) -> Journal:
    """Open the journal of a submission of this client's."""
    return Journal(
        path,
        host=client.host,
        key_fingerprint=client.key_fingerprint,
        recipe=RECIPE_VERSION,
        is_read_only=is_read_only,
    )


def check_journal_is_of_this_service(client: Client, book: Journal) -> None:
    """Ask for one task that the journal saw: a service that was reset would make its rows look done for ever.

    Raises
    ------
    JournalError
        The service does not know it.
    """
    task_id = book.some_task_id()
    if task_id is None:
        return
    try:
        client.send(Call.get("task", task_id))
    except NotFound:
        raise JournalError(
            f"The journal {book.path} says that task {task_id} was created, but {client.host} does not know it: the "
            "journal belongs to an account or sandbox that is gone. Move the file away, or pass another journal=…"
        ) from None


def note_begin(book: Journal, mapping: RowMapping, rows: int | None) -> float:
    """Note in the journal what this call is about, and return when it began; `rows` is None where nobody knows."""
    constants = mapping.constants
    book.note_job(type=mapping.type, project=constants.get("project"), batch=constants.get("batch"))
    began_at = time.time()
    book.note_call(began_at=began_at, rows=rows)
    return began_at


def note_end(book: Journal, began_at: float, counts: Mapping[str, int]) -> None:
    """Note in the journal how this call ended; the rows are safe without it, so a full disk is no matter here."""
    with contextlib.suppress(JournalError):
        book.note_call(began_at=began_at, rows=sum(counts.values()), ended_at=time.time(), counts=dict(counts))


def take_open_occurrences(book: Journal, tasks: Sequence[Task]) -> None:
    """Let rows without ids stand for those of their equals that have no task yet, when only a part of them is there.

    Equal rows are told apart by their number alone, and a part of a frame begins to count anew: the failed rows of a
    receipt would be taken for the first ones, which have their tasks, and be lost. No number is added to those that
    the journal knows, so that none of them gets two tasks.
    """
    unnamed: dict[str, list[Task]] = {}
    for task in tasks:
        if task.error is None and task.unique_id is None:
            unnamed.setdefault(unnamed_key(task), []).append(task)
    known = book.known([f"{name}#{len(same) + 1}" for name, same in unnamed.items()])
    for row_key in known:
        name, _, _ = row_key.rpartition("#")
        same = unnamed[name]
        entries = _occurrences(book, name)
        # False sorts first: those without a task, then those with one, each in the order of their numbers.
        chosen = sorted(range(len(entries)), key=lambda at: entries[at].has_task)[: len(same)]
        for task, at in zip(same, sorted(chosen), strict=True):
            task.row_key = entries[at].row_key


def note_open_occurrences(book: Journal, tasks: Sequence[Task], decisions: Sequence[Decision]) -> None:
    """Note equal rows without ids before any is sent, so that those that a stop or a limit leaves are found as open."""
    numbers = Counter(unnamed_key(task) for task in tasks if task.error is None and task.unique_id is None)
    now = time.time()
    book.write(
        [
            Entry(task.row_key, "unsent", 0, task.sent_hash, now)
            for task, decision in zip(tasks, decisions, strict=True)
            if decision.entry is None and task.unique_id is None and numbers.get(unnamed_key(task), 0) > 1
            if task.error is None
        ],
        only_new=True,
    )


def _occurrences(book: Journal, name: str) -> list[Entry]:
    """List what the journal knows of rows with this content, by their numbers."""
    entries: list[Entry] = []
    for start in itertools.count(1, 500):
        keys = [f"{name}#{number}" for number in range(start, start + 500)]
        found = book.known(keys)
        entries += [found[key] for key in keys if key in found]
        if len(found) < len(keys):
            break
    return entries


def hold_against(book: Journal, tasks: Sequence[Task], resubmit: Sequence[str]) -> list[Decision]:
    """Decide about tasks by what the journal knows of them."""
    known = book.known([task.row_key for task in tasks if task.error is None])
    return decide(tasks, known, now=time.time(), resubmit=resubmit)
