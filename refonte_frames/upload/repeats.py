"""Equal rows in input that comes chunk by chunk: told apart by what is remembered of the chunks before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from refonte_frames.cells import CellError
from refonte_frames.journal import Seen
from refonte_frames.upload.identity import is_auto_id
from refonte_frames.upload.plan import by_id_of, is_numbered, numbered, share, tasks_of, unnamed_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from refonte_frames.upload.mapping import Duplicates
    from refonte_frames.upload.payloads import Payload
    from refonte_frames.upload.plan import Task

__all__ = ["InMemory", "Memory", "tell_apart_further"]

#: Stands for the content of an id that named different content: no row is equal to it.
_DIFFERENT = b""


class Memory(Protocol):
    """Where the ids of a call are remembered; a journal is one."""

    def seen(self, names: Sequence[str]) -> dict[str, Seen]:
        """Look up names; those that are new are left out."""

    def remember(self, seen: Mapping[str, Seen]) -> None:
        """Keep names, in place of what was known of them."""


class InMemory(dict[str, Seen]):
    """Remembers ids in memory, for plans."""

    def seen(self, names: Sequence[str]) -> dict[str, Seen]:
        """Look up names."""
        return {name: self[name] for name in names if name in self}

    def remember(self, seen: Mapping[str, Seen]) -> None:
        """Keep names."""
        self.update(seen)


def tell_apart_further(
    payloads: Iterable[Payload], duplicates: Duplicates, memory: Memory, *, has_own_ids: bool, first_row: int
) -> list[Task]:
    """Give each payload of a chunk its final id, with the chunks before in mind; `tell_apart` does it for a frame.

    Rows sent already cannot be taken back, so that under ``"error"`` the first of equal rows is sent and each later
    one fails, whatever chunks they lie in. Rows with one id of the caller's own and different content fail together
    where they share a chunk; else those that come later.

    Parameters
    ----------
    first_row : int
        Where the chunk begins in the whole input, for sentences.
    """
    tasks = tasks_of(payloads)
    by_id = by_id_of(tasks)
    seen = memory.seen([*by_id])
    news: dict[str, Seen] = {}
    if has_own_ids:
        for unique_id, same in by_id.items():
            if not is_auto_id(unique_id) and _are_in_conflict(unique_id, same, seen.get(unique_id), first_row):
                news[unique_id] = seen.get(unique_id) or Seen(_DIFFERENT, 1, first_row + same[0].positions[0])
        by_id = by_id_of(tasks)
    for unique_id, same in by_id.items():
        news.setdefault(unique_id, seen.get(unique_id) or _first_seen(same[0], first_row))
    if duplicates == "error":
        _refuse(by_id, seen, first_row)
    elif duplicates == "share":
        tasks = _echo(share(tasks, {unique_id: same for unique_id, same in by_id.items() if len(same) > 1}), seen)
    else:
        news |= _number_further(by_id, news, memory)
    news |= _set_row_keys(tasks, memory, first_row)
    memory.remember({name: each for name, each in news.items() if seen.get(name) != each})
    return tasks


def _first_seen(task: Task, first_row: int) -> Seen:
    return Seen(task.sent_hash, 1, first_row + task.positions[0])


def _are_in_conflict(unique_id: str, same: Sequence[Task], before: Seen | None, first_row: int) -> bool:
    """Fail the tasks whose id names different content."""
    hashes = {task.sent_hash for task in same} | ({before.sent_hash} if before is not None else set())
    if len(hashes) == 1:
        return False
    first = before.row if before is not None else first_row + same[0].positions[0]
    for task in same:
        if before is None or task.sent_hash != before.sent_hash:
            task.error = CellError(
                "duplicate_unique_id",
                f"the id {unique_id!r} stands in several rows with different content, the first of them row {first}",
            )
    return True


def _refuse(by_id: Mapping[str, Sequence[Task]], seen: Mapping[str, Seen], first_row: int) -> None:
    """Fail all equal rows but the first."""
    for unique_id, same in by_id.items():
        before = seen.get(unique_id)
        first = before.row if before is not None else first_row + same[0].positions[0]
        for task in same if before is not None else same[1:]:
            task.error = CellError(
                "duplicate_unique_id",
                f"the id {unique_id!r} was row {first}'s already; duplicates='share' makes one task for equal rows, "
                "duplicates='each' one task for each",
            )


def _echo(tasks: list[Task], seen: Mapping[str, Seen]) -> list[Task]:
    """Mark the tasks that rows of earlier chunks stood for."""
    for task in tasks:
        before = seen.get(task.unique_id or "") if task.error is None else None
        if before is not None:
            task.is_echo = True
            task.differing = task.positions if task.sent_hash != before.sent_hash else task.differing
    return tasks


def _number_further(by_id: Mapping[str, Sequence[Task]], news: Mapping[str, Seen], memory: Memory) -> dict[str, Seen]:
    """Give equal rows their numbers, on from where the chunks before stopped; taken names are passed over."""
    wanted = [name for unique_id, same in by_id.items() for name in _likely_names(same, news[unique_id].next_number)]
    names = _Names(memory, {*by_id, *memory.seen(wanted)}, set(wanted))
    told: dict[str, Seen] = {}
    for unique_id, same in by_id.items():
        before = news[unique_id]
        unnumbered: list[Task] = []
        for task in same:
            given = task.given_id
            is_free = given not in names.taken or (given == unique_id and before.next_number == 1)
            if given is None or given in told or not is_free or not is_numbered(unique_id, given):
                unnumbered.append(task)
            else:
                task.unique_id = given
                told[given] = Seen(_DIFFERENT, 1, before.row)
        number = before.next_number
        for task in unnumbered:
            number = names.next_free(unique_id, number, told)
            task.unique_id = numbered(unique_id, number)
            told[task.unique_id] = Seen(_DIFFERENT, 1, before.row)
            number += 1
        bare_is_free = number == 1 and unique_id not in told
        told[unique_id] = Seen(before.sent_hash, number if bare_is_free else max(number, 2), before.row)
    return told


def _likely_names(same: Sequence[Task], number: int) -> list[str]:
    """List the names that these tasks bring along or will be given, if no one is taken; bare ids are known anyway."""
    given = [task.given_id for task in same if task.given_id is not None]
    made = [numbered(same[0].unique_id or "", at) for at in range(max(number, 2), number + len(same))]
    return [*given, *made]


class _Names:
    """Which ids are taken: by rows of this chunk, or by rows before it."""

    def __init__(self, memory: Memory, taken: set[str], looked_up: set[str]) -> None:
        self.taken = taken
        self._memory = memory
        self._looked_up = looked_up

    def next_free(self, unique_id: str, start: int, told: Mapping[str, Seen]) -> int:
        """Find the first number from `start` on whose name nobody bears."""
        number = start
        while numbered(unique_id, number) in told or (number > 1 and self._is_taken(numbered(unique_id, number))):
            number += 1
        return number

    def _is_taken(self, name: str) -> bool:
        return name in self.taken or (name not in self._looked_up and bool(self._memory.seen([name])))


def _set_row_keys(tasks: Sequence[Task], memory: Memory, first_row: int) -> dict[str, Seen]:
    """Name the tasks for the journal; those without an id by content and occurrence."""
    unnamed: dict[str, list[Task]] = {}
    for task in tasks:
        if task.error is None and task.unique_id is not None:
            task.row_key = f"{task.type}:{task.unique_id}"
        elif task.error is None:
            unnamed.setdefault(unnamed_key(task), []).append(task)
    seen = memory.seen([*unnamed])
    news: dict[str, Seen] = {}
    for name, same in unnamed.items():
        before = seen.get(name) or _first_seen(same[0], first_row)
        for number, task in enumerate(same, start=before.next_number):
            task.row_key = f"{name}#{number}"
        news[name] = Seen(before.sent_hash, before.next_number + len(same), before.row)
    return news
