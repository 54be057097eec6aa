"""Plans an increment: what of a folder may have changed, by what the service can be asked for. Reads no rows of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import structs

from refonte_frames.api import TASK_STATUSES
from refonte_frames.errors import BadRequest
from refonte_frames.export.dataset import Honours, Job
from refonte_frames.export.layers import rows_of
from refonte_frames.export.sweep import Plan, Source, count_tasks, first_task, plan_sweep
from refonte_frames.export.windows import IMPOSSIBLE, Window, target_rows, windows_around

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow.dataset as pads

    from refonte_frames.client import Client
    from refonte_frames.export.dataset import Dataset, Manifest
    from refonte_frames.export.filters import Filters
    from refonte_frames.export.report import ExportReport

__all__ = ["OVERLAP_MICROS", "Increment", "Planner", "source_of"]

_log = logging.getLogger("refonte_frames")

_SECOND: Final = 1_000_000
#: An increment reads this much of what the last run had already seen: clocks and lists may lag.
OVERLAP_MICROS: Final = 300 * _SECOND
#: Nothing was updated or completed then yet: a service that finds something does not look at the bound.
_FAR_FUTURE: Final = 4_102_444_800 * _SECOND
#: Small windows that are read by the same worker, one after the other: a kill costs no more than these.
_MOST_TOGETHER: Final = 50
_JOBS_PER_WORKER: Final = 4
#: A task in one of these will not come to another.
_ENDED: Final = tuple(status for status in TASK_STATUSES if status != "pending")

_Counted: TypeAlias = "tuple[int | None, datetime | None]"
"""How many tasks match, and the service's clock."""


@dataclass(frozen=True, slots=True)
class Increment:
    """What is to be read; `plan` has the service's total and clock."""

    jobs: list[Job]
    plan: Plan
    honours: Honours


@dataclass(slots=True)
class Planner:
    """Finds out what may have changed since the last run.

    Attributes
    ----------
    client, filters, tables
        Whom to ask, and what the folder holds.
    dataset, manifest
        The folder as the last run left it.
    lookback_since : int or None
        Tasks completed since then are read again; None for no looking back.
    honours : Honours
        What is known of the bounds that the service looks at.
    """

    client: Client
    filters: Filters
    tables: tuple[str, ...]
    dataset: Dataset
    manifest: Manifest
    lookback_since: int | None
    honours: Honours = field(init=False)

    def __post_init__(self) -> None:
        self.honours = self.manifest.honours

    def plan(self) -> Increment | None:
        """Plan to read what may have changed; None when only reading everything can tell."""
        if self._is_honoured("updated"):
            return self._by_changes()
        _log.info("The service does not honour updated_after: what may have changed is told by the folder's own tasks.")
        return self._by_windows()

    def lacks_some(self, report: ExportReport) -> bool:
        """Say whether the service counts tasks that came neither with the increment nor before.

        Its list may have shown them too late for what is read anew. It is asked once more: a count that was wrong in
        passing is not worth reading everything.
        """
        allowed = report.rows["tasks"] + max(0, self._gap)
        if report.service_total is None or report.service_total <= allowed:
            return False
        total, _ = self._counted()
        if total is None or total <= allowed:
            return False
        _log.info("The service counts %d tasks, more than were found: all are read once more.", total)
        return True

    def _by_changes(self) -> Increment:
        """Ask for what was updated since, and for what was completed in the time that is looked back at."""
        counted = self._counted()
        late, restless = self._lately_completed()
        bounds = [Job(updated_after=self._since), *late]
        plans = [self._plan(bound) for bound in bounds]
        if self._can_have_new() and self._may_have_unstamped(counted[0], plans[0].total):
            bounds.append(Job(created_since=self._since))
            plans.append(self._plan(bounds[-1]))
        return self._increment(bounds, plans, restless, counted)

    def _may_have_unstamped(self, total: int | None, updated: int | None) -> bool:
        """Say whether there may be new tasks without an updated_at: none is needed before something happens to a task.

        Those that were updated may hide them in the total, since most of them are known: what is new is counted then.
        """
        if total is None or updated is None:
            return True
        if total <= self._rows or not updated:
            return total > self._rows
        new, stamped = (
            count_tasks(self._source(), source_of(self.client, self.filters, self.tables, bound).filters)
            for bound in (Job(created_since=self._since), Job(created_since=self._since, updated_after=self._since))
        )
        return new > stamped

    def _lately_completed(self) -> tuple[list[Job], list[Job]]:
        """Say how to read what was completed in the time that is looked back at: by a bound, or in windows."""
        if self.lookback_since is None:
            return [], []
        if not self._is_honoured("completed"):
            held = self._held(self.lookback_since, with_unfinished=False)
            if held is not None and self._has_windows(held):
                return [], self._around(held)
        return [Job(completed_after=self.lookback_since)], []

    def _by_windows(self) -> Increment | None:
        """Read what is new, the windows that hold tasks which can still change, and what was completed lately."""
        by_completed = self.lookback_since is not None and self._is_honoured("completed")
        held = self._held(None if by_completed else self.lookback_since, with_unfinished=True)
        if held is None or not self._has_windows(held):
            return None
        # Before the new ones are counted: what is created between the two requests must not look like a gap.
        counted = self._counted()
        bounds = [Job(created_since=self._since)] if self._can_have_new() else []
        bounds += [Job(completed_after=self.lookback_since)] if by_completed else []
        plans = [self._plan(bound) for bound in bounds]
        new = plans[0].total if self._can_have_new() else held.recent
        if self._has_others(counted[0], self._rows - held.recent, new):
            return None
        return self._increment(bounds, plans, self._around(held), counted)

    def _has_others(self, total: int | None, known: int, new: int | None) -> bool:
        """Say whether the service counts tasks that are neither known nor new, such as its list was late to show."""
        if total is None or new is None or total - known - new <= max(0, self._gap):
            return False
        _log.info("The service counts %d tasks, more than are known and new: all are read once more.", total)
        return True

    def _increment(self, bounds: list[Job], plans: list[Plan], restless: list[Job], counted: _Counted) -> Increment:
        jobs = [
            structs.replace(bound, start=window.start, end=window.end, batch=window.batch)
            for bound, plan in zip(bounds, plans, strict=True)
            for window in plan.windows
        ]
        return Increment([*jobs, *restless], Plan((), counted[0], "increment", counted[1]), self.honours)

    @property
    def _since(self) -> int:
        return self.manifest.watermark - OVERLAP_MICROS

    @property
    def _rows(self) -> int:
        return int(self.manifest.report["rows"]["tasks"])

    @property
    def _gap(self) -> int:
        """How many tasks more, or less, than it lists the service counted in the last run."""
        counted = self.manifest.report["service_total"]
        return 0 if counted is None else int(counted) - self._rows

    def _can_have_new(self) -> bool:
        return self.filters.created_before is None or self.filters.created_before >= self._since

    def _plan(self, bound: Job) -> Plan:
        return plan_sweep(source_of(self.client, self.filters, self.tables, bound))

    def _counted(self) -> _Counted:
        page, clock = first_task(self._source(), self.filters)
        return page.total, clock

    def _source(self) -> Source:
        return source_of(self.client, self.filters, self.tables, Job())

    # -- what the service looks at

    def _is_honoured(self, bound: Literal["updated", "completed"]) -> bool:
        """Say whether the service looks at a bound; it is asked once."""
        known: bool | None = getattr(self.honours, bound)
        if known is None:
            job = Job(updated_after=_FAR_FUTURE) if bound == "updated" else Job(completed_after=_FAR_FUTURE)
            known = self._finds_nothing(source_of(self.client, self.filters, self.tables, job).filters)
            self._remember(**{bound: known})
        return known

    def _remember(self, **honours: bool) -> None:
        # Where there is nothing at all, finding nothing proves nothing.
        if self._rows:
            self.honours = structs.replace(self.honours, **honours)

    def _finds_nothing(self, filters: Filters) -> bool:
        try:
            page, _ = first_task(self._source(), filters)
        except BadRequest:
            # A bound that is refused is of no more use than one that is overlooked.
            return False
        return not page.docs and (page.total or 0) <= max(0, self._gap)

    def _has_windows(self, held: _Held) -> bool:
        """Say whether the service looks at bounds of created_at as we write them, by what the folder knows of them."""
        is_honoured = self.honours.created
        if is_honoured is None:
            is_honoured = all(self._finds_nothing(self._between(*window)) for window in IMPOSSIBLE)
            if is_honoured and held.oldest is not None and held.newest is not None:
                page, _ = first_task(self._source(), self._between(held.oldest, held.newest + _SECOND))
                if page.total is not None and page.total < held.rows - max(0, -self._gap):
                    # Tasks were deleted, or the bounds mean something else: not known, and this time not relied upon.
                    return False
            self._remember(created=is_honoured)
        return is_honoured

    def _between(self, start: int, end: int) -> Filters:
        return replace(self.filters, created_after=start, created_before=end)

    # -- what the folder tells

    def _held(self, completed_since: int | None, *, with_unfinished: bool) -> _Held | None:
        rows = rows_of(self.dataset.store, self.manifest, "tasks")
        statuses = _ENDED if with_unfinished else None
        return _held_of(rows, self._since, statuses, completed_since)

    def _around(self, held: _Held) -> list[Job]:
        """Make windows of the times at which tasks were created that may have changed."""
        target = target_rows(int(held.members.sum()), self.client.max_workers)
        windows = windows_around(held.seconds.tolist(), held.members.tolist(), held.gaps.tolist(), target=target)
        spans = [self._within(window) for window in windows]
        # A file for each table and each of many small windows would cost more than all that is in them.
        together = min(_MOST_TOGETHER, ceil(len(spans) / (_JOBS_PER_WORKER * self.client.max_workers))) or 1
        return [Job(spans=tuple(spans[first : first + together])) for first in range(0, len(spans), together)]

    def _within(self, window: Window) -> tuple[int, int]:
        """Keep to the folder's own bounds, which no whole second need respect."""
        start, end = window.start or 0, window.end or 0
        bounds = self.filters
        return (
            start if bounds.created_after is None else max(start, bounds.created_after),
            end if bounds.created_before is None else min(end, bounds.created_before),
        )


def source_of(client: Client, filters: Filters, tables: tuple[str, ...], job: Job) -> Source:
    """Make a source of a folder's filters and of what an increment adds to them."""
    if job.updated_after is not None or job.completed_after is not None:
        filters = replace(filters, updated_after=job.updated_after, completed_after=job.completed_after)
    if job.created_since is not None:
        filters = replace(filters, created_after=max(job.created_since, filters.created_after or 0))
    return Source(client, filters, tables, is_oldest_first=True)


@dataclass(frozen=True, slots=True)
class _Held:
    """What a folder tells about the times of its tasks.

    Attributes
    ----------
    rows, recent : int
        All tasks with a time of creation, and those created in the time that is read anyway.
    oldest, newest : int or None
        When the first and the last task was created, in microseconds since 1970.
    seconds : numpy.ndarray
        The seconds, ascending and each once, in which tasks were created that may have changed.
    members, gaps : numpy.ndarray
        How many tasks were created in each of them, and how many between it and the one before.
    """

    rows: int
    recent: int
    oldest: int | None
    newest: int | None
    seconds: Any
    members: Any
    gaps: Any


def _held_of(
    rows: pads.Dataset, since: int, ended: tuple[str, ...] | None, completed_since: int | None
) -> _Held | None:
    """Look for tasks created before `since` that may have changed; None when one of them has no time of creation.

    Twice through three columns: eight bytes for each such task are all that is held.
    """
    found, rows_read, recent, oldest, newest = [np.array([], np.int64)], 0, 0, None, None
    for batch in rows.to_batches(columns=["created_at", "status", "completed_at"]):
        restless = _restless(batch, ended, completed_since)
        if pc.any(pc.and_(restless, pc.is_null(batch["created_at"]))).as_py():
            return None
        created = _micros(batch["created_at"])
        rows_read += len(created)
        if len(created):
            recent += int((created >= since).sum())
            oldest = int(created.min() if oldest is None else min(oldest, created.min()))
            newest = int(created.max() if newest is None else max(newest, created.max()))
        chosen = _micros(batch["created_at"].filter(restless))
        found.append(np.unique(chosen[chosen < since] // _SECOND))
    seconds = np.unique(np.concatenate(found))
    members, gaps = np.zeros(len(seconds) + 1, np.int64), np.zeros(len(seconds) + 1, np.int64)
    if len(seconds):
        for batch in rows.to_batches(columns=["created_at"]):
            created = _micros(batch["created_at"]) // _SECOND
            places = np.searchsorted(seconds, created)
            is_member = seconds[np.minimum(places, len(seconds) - 1)] == created
            members += np.bincount(places[is_member], minlength=len(members))
            gaps += np.bincount(places[~is_member], minlength=len(gaps))
    return _Held(rows_read, recent, oldest, newest, seconds, members[:-1], gaps[:-1])


def _restless(batch: pa.RecordBatch, ended: tuple[str, ...] | None, completed_since: int | None) -> pa.Array:
    """Say which tasks may have changed: those that have not ended, and those that were completed lately."""
    chosen = pa.array(np.zeros(batch.num_rows, bool))
    if ended is not None:
        chosen = pc.invert(pc.is_in(batch["status"].cast(pa.string()), value_set=pa.array(ended)))
    if completed_since is not None:
        late = pc.greater_equal(batch["completed_at"].cast(pa.int64()), completed_since)
        chosen = pc.or_(chosen, pc.fill_null(late, False))
    return chosen


def _micros(times: pa.Array) -> Any:
    return times.drop_null().cast(pa.int64()).to_numpy()
