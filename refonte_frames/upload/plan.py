"""What is to be done with each task: told apart, held against the journal, decided. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from refonte_frames.api import IDEMPOTENCY_LIFE_SECS
from refonte_frames.cells import CellError
from refonte_frames.errors import InputError
from refonte_frames.upload.identity import is_auto_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from refonte_frames.journal import Entry
    from refonte_frames.upload.mapping import Duplicates
    from refonte_frames.upload.payloads import Payload

__all__ = ["SENDING_ACTIONS", "Decision", "Task", "choose", "decide", "is_key_trusted", "tell_apart"]

#: A sending older than this is not repeated under its key: the service forgets keys after 24 hours, by its clock.
_KEY_TRUST_SECS: Final = IDEMPOTENCY_LIFE_SECS - 3600
_CLOCK_TOLERANCE_SECS: Final = 300.0

#: Actions that need the service.
SENDING_ACTIONS: Final = ("create", "repeat", "settle", "recheck")

Action = Literal["create", "repeat", "settle", "have", "recheck", "unknown", "invalid"]


@dataclass(slots=True)
class Task:
    """One task to be, without its body (which is made again when it is sent).

    Attributes
    ----------
    positions : tuple of int
        Rows of the frame that it stands for; more than one in a group, or where equal rows share a task.
    row_key : str
        Finds it in the journal.
    differing : tuple of int
        Those of its rows that would have sent something else, such as other metadata.
    is_echo : bool
        Whether rows before it, of the same call, stood for this task already; it is not sent once more.
    """

    positions: tuple[int, ...]
    type: str
    unique_id: str | None
    given_id: str | None
    row_key: str
    sent_hash: bytes
    n_bytes: int
    error: CellError | None
    differing: tuple[int, ...] = ()
    is_echo: bool = False


@dataclass(slots=True)
class Decision:
    """What to do with a task; not to be changed, and only not frozen because making a million of them would take twice.

    Attributes
    ----------
    action : str
        ``create``: send it under a new key. ``repeat``: send it again under the key it was sent with.
        ``settle``: find out what became of an earlier sending first. ``have``: the journal knows its task.
        ``recheck``: the same, but its task's status decides. ``unknown``: nobody can say, and sending could
        double it. ``invalid``: it cannot be sent.
    generation : int
        Which key to use.
    changed : bool
        The row has a task, and differs from what was sent.
    """

    action: Action
    generation: int = 0
    changed: bool = False
    entry: Entry | None = None


#: Of a million new rows all have this one.
_CREATE: Final = Decision("create")
_INVALID: Final = Decision("invalid")


def tell_apart(payloads: Iterable[Payload], duplicates: Duplicates, *, has_own_ids: bool) -> list[Task]:
    """Give each payload its final id, and join or number those that are equal.

    Parameters
    ----------
    payloads : iterable of Payload
        In row order; consumed once.
    duplicates : {"error", "share", "each"}
        What to do with equal ids.
    has_own_ids : bool
        Whether ids are the caller's own: equal ids on different bodies are then always an error.

    Raises
    ------
    InputError
        Equal ids under ``"error"``, with the rows of the first few.
    """
    tasks = tasks_of(payloads)
    ids = [task.unique_id for task in tasks if task.error is None and task.unique_id is not None]
    if len(set(ids)) < len(ids) or duplicates == "each":
        tasks = _told_apart(tasks, duplicates, has_own_ids=has_own_ids)
    _set_row_keys(tasks)
    return tasks


def _told_apart(tasks: list[Task], duplicates: Duplicates, *, has_own_ids: bool) -> list[Task]:
    by_id = by_id_of(tasks)
    if has_own_ids:
        by_id = {
            unique_id: same
            for unique_id, same in by_id.items()
            if is_auto_id(unique_id) or not _are_in_conflict(unique_id, same)
        }
    repeated = {unique_id: same for unique_id, same in by_id.items() if len(same) > 1}
    if repeated and duplicates == "error":
        raise InputError(_say_repeated(repeated))
    if repeated and duplicates == "share":
        tasks = share(tasks, repeated)
    if duplicates == "each":
        _number(by_id)
    return tasks


def tasks_of(payloads: Iterable[Payload]) -> list[Task]:
    """Make a task of each payload, without its row key."""
    return [
        Task(
            payload.positions,
            payload.type,
            payload.base_id,
            payload.given_id,
            "",
            payload.sent_hash,
            len(payload.body),
            payload.error,
        )
        for payload in payloads
    ]


def by_id_of(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Gather the tasks that can be sent by their ids, in row order."""
    by_id: dict[str, list[Task]] = {}
    for task in tasks:
        if task.error is None and task.unique_id is not None:
            by_id.setdefault(task.unique_id, []).append(task)
    return by_id


def _set_row_keys(tasks: Sequence[Task]) -> None:
    unnamed: Counter[str] = Counter()
    for task in tasks:
        if task.error is not None:
            continue
        if task.unique_id is not None:
            task.row_key = f"{task.type}:{task.unique_id}"
        else:
            name = unnamed_key(task)
            unnamed[name] += 1
            task.row_key = f"{name}#{unnamed[name]}"


def unnamed_key(task: Task) -> str:
    """Name a task that has no id by what is sent; its occurrence number comes behind."""
    return f"body:{task.sent_hash.hex()}"


def decide(
    tasks: Sequence[Task], known: Mapping[str, Entry], *, now: float, resubmit: Sequence[str] = ()
) -> list[Decision]:
    """Hold the tasks against the journal.

    Parameters
    ----------
    tasks : sequence of Task
        From `tell_apart`.
    known : mapping of str to Entry
        The journal's entries by row key.
    now : float
        Unix time.
    resubmit : sequence of str
        Statuses whose tasks are to be made anew; their rows' tasks are looked at again.
    """
    return [
        _INVALID
        if task.error is not None
        else _CREATE
        if (entry := known.get(task.row_key)) is None
        else _decide(task, entry, now, resubmit)
        for task in tasks
    ]


def _decide(task: Task, entry: Entry, now: float, resubmit: Sequence[str]) -> Decision:
    is_changed = entry.sent_hash != task.sent_hash
    if entry.has_task:
        action: Action = "recheck" if resubmit else "have"
        return Decision(action, entry.generation, changed=is_changed, entry=entry)
    if not entry.maybe_sent and entry.state in ("failed", "unsent"):
        # A refusal may be saved under its key, and would be replayed for a day; what never went out has its key still.
        return Decision("create", entry.generation + (entry.state == "failed"), entry=entry)
    is_fresh = is_key_trusted(entry.first_sent_at, now)
    if task.unique_id is None:
        return Decision("repeat" if is_fresh else "unknown", entry.generation, entry=entry)
    if is_fresh and not is_changed and entry.state != "failed":
        return Decision("repeat", entry.generation, entry=entry)
    return Decision("settle", entry.generation, changed=is_changed, entry=entry)


def choose(
    tasks: Sequence[Task], decisions: Sequence[Decision], limit: int | None, *, skips_refused: bool = False
) -> tuple[set[int], int]:
    """Choose the tasks that this call sends, by their place in the list, and count their rows.

    Tasks that were refused before come last, or not at all, or a limit would never get past them.
    """
    looked_at = [at for at, decision in enumerate(decisions) if decision.action == "recheck"]
    sent = [
        at
        for at, decision in enumerate(decisions)
        if decision.action in SENDING_ACTIONS and decision.action != "recheck"
    ]
    if skips_refused:
        sent = [at for at in sent if not _was_refused(decisions[at])]
    sent.sort(key=lambda at: _was_refused(decisions[at]))
    chosen = {*looked_at, *sent[:limit]}
    return chosen, sum(len(tasks[at].positions) for at in chosen)


def _was_refused(decision: Decision) -> bool:
    return decision.entry is not None and decision.entry.state == "failed"


def is_key_trusted(first_sent_at: float, now: float) -> bool:
    """Whether the service still knows a key that was first used then; a clock that went back proves nothing."""
    return -_CLOCK_TOLERANCE_SECS <= now - first_sent_at < _KEY_TRUST_SECS


def _are_in_conflict(unique_id: str, same: Sequence[Task]) -> bool:
    """Fail all tasks of an id that names different content: nobody can say which one is meant."""
    if len({task.sent_hash for task in same}) == 1:
        return False
    rows = ", ".join(str(task.positions[0]) for task in same[:5])
    for task in same:
        task.error = CellError(
            "duplicate_unique_id",
            f"the id {unique_id!r} stands in {len(same)} rows with different content (rows {rows})",
        )
    return True


def _say_repeated(repeated: Mapping[str, Sequence[Task]]) -> str:
    shown = [
        f"{unique_id!r} in rows {', '.join(str(task.positions[0]) for task in same[:4])}"
        for unique_id, same in list(repeated.items())[:3]
    ]
    more = f", and {len(repeated) - 3} more" if len(repeated) > 3 else ""
    count = f"{len(repeated)} ids occur" if len(repeated) > 1 else "One id occurs"
    return (
        f"{count} more than once in the frame ({'; '.join(shown)}{more}; counted from 0). Nothing was sent. "
        "duplicates='share' makes one task for equal rows, duplicates='each' one task for each."
    )


def share(tasks: Sequence[Task], repeated: Mapping[str, Sequence[Task]]) -> list[Task]:
    """Let the first task of an id stand for the rows of all; the others leave the list."""
    gone: set[int] = set()
    for same in repeated.values():
        first = same[0]
        first.differing = tuple(at for task in same if task.sent_hash != first.sent_hash for at in task.positions)
        first.positions = tuple(at for task in same for at in task.positions)
        gone |= {id(task) for task in same[1:]}
    return [task for task in tasks if id(task) not in gone]


def _number(by_id: Mapping[str, Sequence[Task]]) -> None:
    """Tell equal rows apart: the first keeps the bare id, the others get #2, #3 … in row order.

    Rows of a receipt keep the number they have, also when only some of the equal rows are there; a number that is
    another row's own id is passed over.
    """
    taken = set(by_id)
    for unique_id, same in by_id.items():
        kept: set[str] = set()
        unnumbered: list[Task] = []
        for task in same:
            if task.given_id is None or task.given_id in kept or not is_numbered(unique_id, task.given_id):
                unnumbered.append(task)
            else:
                task.unique_id = task.given_id
                kept.add(task.given_id)
        names = (name for name in _names(unique_id) if name not in kept and (name == unique_id or name not in taken))
        for task in unnumbered:
            task.unique_id = next(names)


def _names(unique_id: str) -> Iterator[str]:
    return (numbered(unique_id, count) for count in itertools.count(1))


def numbered(unique_id: str, number: int) -> str:
    """Name the n-th of equal rows: the first has the bare id."""
    return unique_id if number == 1 else f"{unique_id}#{number}"


def is_numbered(unique_id: str, given_id: str) -> bool:
    """Whether an id is this one, bare or with a number; if not, it was made of other content."""
    head, _, number = given_id.rpartition("#")
    return given_id == unique_id or (head == unique_id and number.isdecimal())
