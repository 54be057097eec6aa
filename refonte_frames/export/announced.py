"""Tasks that callbacks announced: read again, or taken as delivered, and settled in the inbox once they are stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from msgspec import Raw, Struct

from refonte_frames.callbacks.inbox import Inbox, inbox_path
from refonte_frames.errors import ReplyError
from refonte_frames.export.columns import build, time_of
from refonte_frames.export.places import Disk
from refonte_frames.export.row_tasks import RowTasks
from refonte_frames.export.signed_urls import add_signed_urls
from refonte_frames.export.sweep import Tally
from refonte_frames.transport.replies import without_lone_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refonte_frames.callbacks.inbox import Hint, Outcome
    from refonte_frames.export.dataset import Dataset
    from refonte_frames.export.decode import TaskDoc
    from refonte_frames.export.filters import Filters
    from refonte_frames.export.sweep import Batches, Source

__all__ = ["newest_announced", "read_announced", "settle_announced"]

#: Deliveries in memory at once.
_AT_ONCE: Final = 1_000


class _Delivery(Struct):
    """What a delivery carries: the whole task."""

    task: Raw


def newest_announced(dataset: Dataset) -> int:
    """Tell the number of the newest delivery that waits for an export; 0 for none."""
    if not _has_inbox(dataset):
        return 0
    with Inbox(dataset.root) as inbox:
        return inbox.newest_waiting()


def _has_inbox(dataset: Dataset) -> bool:
    # The receiver writes to this machine's disk only.
    return isinstance(dataset.store, Disk) and inbox_path(dataset.root).exists()


def read_announced(dataset: Dataset, source: Source, upto: int, emit: Callable[[Batches], None]) -> tuple[Tally, int]:
    """Read the tasks of all deliveries up to a number and emit their rows.

    Those that the dataset's filters leave out, and those that the service does not know, are settled here and now:
    nothing of them is to be stored; they are counted beside the tally. The others wait until the run is committed.
    """
    tally, outside = Tally(windows=1), set()
    with Inbox(dataset.root) as inbox:
        chosen = _chosen(inbox, source, upto)
        for hints in _slices(inbox, upto):
            asked = [hint for hint in hints if chosen[hint.task_id].number == hint.number]
            refetched = {hint.task_id for hint in asked if chosen[hint.task_id].is_refetched}
            found = [doc for doc in _docs_of(source, asked, refetched) if _is_inside(doc, source.filters)]
            outside |= {hint.task_id for hint in asked} - {doc.task_id for doc in found}
            if found:
                found.sort(key=lambda doc: (str(doc.created_at), doc.task_id))
                tally.tasks += len(found)
                emit(build(found, tables=source.tables, exported_at=datetime.now(UTC), drift=tally.drift))
        return tally, _settle_outside(inbox, upto, outside)


@dataclass(frozen=True, slots=True, order=True)
class _Choice:
    """Which of the deliveries of a task counts: the greatest."""

    is_refetched: bool
    stamp: int
    number: int


def _chosen(inbox: Inbox, source: Source, upto: int) -> dict[str, _Choice]:
    """Choose one delivery of each task, since a part of a run holds each task once.

    Retries come out of order: of tasks as delivered the one that was updated last counts, not the one that came last.
    What the service says now is newer than all of them.
    """
    chosen: dict[str, _Choice] = {}
    for hints in _slices(inbox, upto):
        for hint in hints:
            doc = None if hint.body is None else _as_delivered(source, hint.task_id, hint.body)
            choice = _Choice(doc is None, 0 if doc is None else _stamp(doc), hint.number)
            chosen[hint.task_id] = max(choice, chosen.get(hint.task_id, choice))
    return chosen


def _stamp(doc: TaskDoc) -> int:
    times = [time_of(text)[0] for text in (doc.updated_at, doc.completed_at) if isinstance(text, str)]
    return max((micros for micros in times if micros is not None), default=0)


def _settle_outside(inbox: Inbox, upto: int, outside: set[str]) -> int:
    count = 0
    for hints in _slices(inbox, upto):
        numbers = [hint.number for hint in hints if hint.task_id in outside]
        inbox.settle(dict.fromkeys(numbers, "outside"))
        count += len(numbers)
    return count


def _slices(inbox: Inbox, upto: int) -> Iterator[list[Hint]]:
    after = 0
    while hints := [hint for hint in inbox.waiting(_AT_ONCE, after=after) if hint.number <= upto]:
        yield hints
        after = hints[-1].number


def _docs_of(source: Source, hints: Sequence[Hint], refetched: set[str]) -> list[TaskDoc]:
    """Get each task: as delivered, or those of `refetched` from the service, in few calls."""
    delivered = [_as_delivered(source, hint.task_id, hint.body) for hint in hints if hint.body is not None]
    asked = [hint.task_id for hint in hints if hint.task_id in refetched]
    unique_ids = {hint.task_id: hint.unique_id for hint in hints if hint.unique_id is not None}
    wanted = RowTasks(pd.DataFrame(), list(asked), by_unique_id=False, unique_ids=unique_ids)
    docs = [doc for doc in delivered if doc is not None and doc.task_id not in refetched]
    add_signed_urls(source, docs)
    return [*docs, *wanted.look_up(source, asked, lambda _: None).values()]


def _as_delivered(source: Source, task_id: str, body: bytes) -> TaskDoc | None:
    """Read the task out of a delivery; None where it is none: one such must not stop an export."""
    try:
        task = msgspec.json.decode(without_lone_surrogates(body)[0], type=_Delivery).task
        doc = source.decoder.decode_task(bytes(task), where=f"the callback of {task_id}")
    except (msgspec.DecodeError, ReplyError, RecursionError):
        return None
    return doc if doc.task_id == task_id else None


def _is_inside(doc: TaskDoc, filters: Filters) -> bool:
    """Tell whether a task that was read by its id belongs to the dataset; its filters are those that never shift."""
    named = all(getattr(filters, name) in (None, getattr(doc, name)) for name in ("project", "batch", "type"))
    if not named or (filters.created_after is None and filters.created_before is None):
        return named
    created, _ = time_of(doc.created_at or "")
    return created is not None and (
        (filters.created_after is None or created >= filters.created_after)
        and (filters.created_before is None or created <= filters.created_before)
    )


def settle_announced(dataset: Dataset, upto: int, *, all_were_read: bool) -> dict[str, int]:
    """Settle the deliveries up to a number, after a commit, and count their outcomes.

    Where the run read everything anew (`all_were_read`) it is looked up which of the tasks are there now.
    """
    counts: Counter[str] = Counter()
    if not upto or not _has_inbox(dataset):
        return {}
    with Inbox(dataset.root) as inbox:
        present = _present(dataset, inbox, upto) if all_were_read else None
        for hints in _slices(inbox, upto):
            outcomes: dict[int, Outcome] = {
                hint.number: "stored" if present is None or hint.task_id in present else "outside" for hint in hints
            }
            inbox.settle(outcomes)
            counts.update(outcomes.values())
    return dict(counts)


def _present(dataset: Dataset, inbox: Inbox, upto: int) -> set[Any]:
    """Tell which of the tasks are in the dataset, in one pass over it however many deliveries wait."""
    ids = pa.array({hint.task_id for hints in _slices(inbox, upto) for hint in hints}, pa.string())
    tasks = pads.dataset(str(dataset.root / "tasks"), format="parquet")
    return set(tasks.to_table(columns=["task_id"], filter=pc.field("task_id").isin(ids))["task_id"].to_pylist())
