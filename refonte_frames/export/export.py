"""What users call to keep tasks in a folder of Parquet files, and to bring it up to date: `export_tasks`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from refonte_frames.client import resolve_client
from refonte_frames.errors import InputError
from refonte_frames.export.announced import newest_announced, read_announced, settle_announced
from refonte_frames.export.columns import TASK_TABLES
from refonte_frames.export.dataset import PARTS, Dataset, Honours, Job, RunPlan, Settings, WindowDone
from refonte_frames.export.drift import Drift
from refonte_frames.export.filters import filters_of, stamp_of
from refonte_frames.export.fold import State, folded, laid_out, stacked
from refonte_frames.export.increment import OVERLAP_MICROS, Planner, source_of
from refonte_frames.export.parts import PartWriter
from refonte_frames.export.places import RUN
from refonte_frames.export.promote import promoted, promotion_of
from refonte_frames.export.report import ExportReport
from refonte_frames.export.sweep import (
    Batches,
    Plan,
    Source,
    Tally,
    plan_sweep,
    read_window,
    run_windows,
    warn_of_shortfall,
)
from refonte_frames.export.windows import Window
from refonte_frames.progress import bar

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.export.dataset import Manifest, Run
    from refonte_frames.export.filters import Filters, TimeLike
    from refonte_frames.progress import Bar

__all__ = ["export_tasks", "take_announced", "watermark_of"]

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
#: A run that was gone on with so soon after it began needs no increment behind it.
_FRESH_SECS: Final = 900
#: A century; more is a slip of the pen.
_MOST_DAYS: Final = 36_525
#: Tasks in memory over all threads before they are written: larger row groups compress better.
_BUFFERED_TASKS: Final = 12_000
#: Row groups of fewer tasks cost more to write and to read than the memory is worth.
_SMALLEST_GROUP: Final = 1_000
#: Runs that bring some tasks to those that are there.
_ADDING: Final = ("increment", "announced")


def export_tasks(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    path: str | os.PathLike[str],
    *,
    tables: Sequence[str] = TASK_TABLES,
    project: str | None = None,
    batch: str | None = None,
    type: str | None = None,
    status: str | None = None,
    customer_review_status: str | Iterable[str] | None = None,
    tags: str | Iterable[str] | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    completed_after: TimeLike | None = None,
    completed_before: TimeLike | None = None,
    updated_after: TimeLike | None = None,
    updated_before: TimeLike | None = None,
    include_attachment_url: bool = False,
    limited_response: bool = False,
    incremental: bool = True,
    full: bool = False,
    audit_lookback: timedelta | float | None = 30.0,
    fold: bool = True,
    promote: Mapping[str, str] | None = None,
    filesystem: Any = None,
    progress: bool = True,
    client: Client | None = None,
) -> ExportReport:
    """Bring tasks, audits and answers into a folder of Parquet files, or bring such a folder up to date.

    Parameters
    ----------
    path : path
        A folder of its own: new, empty, or written by an earlier call with the same filters.
    tables : list of str
        ``"tasks"``, and any of ``"audits"`` and ``"annotations"``.
    project, batch, type, status, customer_review_status, tags : optional
        Which tasks, as for `read_tasks`.
    created_after, created_before, completed_after, completed_before, updated_after, updated_before : optional
        Bounds of time, as for `read_tasks`.
    include_attachment_url, limited_response : bool
        As for `read_tasks`.
    incremental : bool
        Read only what may have changed since the last run. With filters that a task can come to match later, such as
        ``status``, this is not possible: pass False, and the folder is rewritten in one step.
    full : bool
        Read everything once more, such as after tasks were deleted.
    audit_lookback : timedelta, float or None
        An audit, tag or metadata need not touch a task's ``updated_at``: tasks completed within this time, a number
        means days, are read again by an incremental run. None does not look back.
    fold : bool
        Put what an incremental run read into the base, rewriting those of its files that change. False lets it lie
        beside the base under ``_delta/``, which costs no more than the changes themselves: `open_export` reads both
        as one, while plain readers of ``path / "tasks"`` see the state before. A later run, or `Export.compact`, puts
        it into the base.
    promote : dict of str to str, optional
        Keys of metadata and params that become typed columns of the table tasks, such as
        ``{"metadata.camera": "string", "params.geometries.box.min_height": "float64"}``; types are string, float64,
        int64, bool and timestamp. A value of another type is null there and counted among the misfits; the ``_json``
        columns keep all of them as they are.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where the folder lies; default: this machine's disk. `refonte_frames.export.places` says what a crash may leave
        on an object store.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    ExportReport
        What was read and what came of it, the service's total beside ours.

    Raises
    ------
    InputError
        For an unusable filter, or one that rules out an incremental run; nothing was sent.
    ExportError
        If the folder was exported with other filters, from another host, or with another key; if it holds other
        files or cannot be written; if it has other promoted columns; or if somebody else is writing to it.

    Notes
    -----
    The same call after a crash or kill at any instant goes on where it stopped, and after it has finished brings the
    folder up to date. Between runs and while one is under way ``pd.read_parquet(path / "tasks")`` sees the state of the
    last finished run, one row per task; `open_export` does so also in the instant in which a run puts its files into
    place. One request per 100 tasks, and about one per window of time before; an increment that finds
    nothing new takes two. Memory stays bounded whatever the number of tasks.

    An increment asks for what was updated since the last run. Where the service is found not to look at that bound, it
    reads what is new, the windows of time that hold tasks which have not ended, and what was completed within
    `audit_lookback`; where the service counts tasks beyond these, or does not look at bounds of creation either,
    everything. What happens to a task that ended before the look-back, and tasks that are deleted, show with
    ``full=True``.

    Examples
    --------
    >>> import tempfile
    >>> root = tempfile.mkdtemp()
    >>> rf.export_tasks(root, project="no_such_project").rows
    {'tasks': 0, 'audits': 0, 'annotations': 0}
    >>> len(pd.read_parquet(root + "/tasks"))
    0

    >>> rf.export_tasks(root, project="another_project")
    Traceback (most recent call last):
    refonte_frames.errors.ExportError: ... project was 'no_such_project' and is now 'another_project'. ...
    """
    filters = filters_of(
        project=project,
        batch=batch,
        type=type,
        status=status,
        customer_review_status=customer_review_status,
        tags=tags,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        updated_after=updated_after,
        updated_before=updated_before,
        include_attachment_url=include_attachment_url,
        limited_response=limited_response,
    )
    if incremental:
        _require_steady(filters)
    order = _Order(
        _dataset_tables(tables),
        filters,
        incremental and not full,
        _lookback_micros(audit_lookback),
        fold,
        promotion_of(promote),
    )
    dataset = Dataset(path, filesystem)
    exporter = _Exporter(resolve_client(client).for_one_run(), dataset, order, progress)
    with dataset.lock(), dataset.writing():
        return exporter.run()


def take_announced(dataset: Dataset, manifest: Manifest, client: Client | None) -> None:
    """Read the tasks that callbacks announced into a dataset whose lock is held; sends nothing where there are none.

    With filters that a task may cease to match they are left for the next export, which rewrites the folder: a task
    that is read by its id does not tell whether it matches.

    Raises
    ------
    ConfigError
        There are some, and no client can be made.
    ExportError
        There are some, and the client's host or key is not the one that the folder was exported with: none of the
        tasks would be found there.
    """
    settings = manifest.settings
    filters = filters_of(**settings.filters)
    if filters.unsteady() or not newest_announced(dataset):
        return
    client = resolve_client(client)
    dataset.check(structs.replace(settings, host=client.host, key_fingerprint=client.key_fingerprint))
    order = _Order(
        tuple(settings.tables),
        filters,
        is_incremental=True,
        lookback=None,
        folds=True,
        promote=settings.promote,
    )
    _Exporter(client.for_one_run(), dataset, order, progress=False).take_announced(manifest)


def _lookback_micros(lookback: Any) -> int | None:
    days = lookback / timedelta(days=1) if isinstance(lookback, timedelta) else lookback
    if days is None:
        return None
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 <= days <= _MOST_DAYS:
        raise InputError(
            f"audit_lookback={lookback!r}: give a number of days from 0 to {_MOST_DAYS:,}, a timedelta, or None not to "
            "look back. full=True reads everything once more."
        )
    return int(days * _DAY)


def _dataset_tables(tables: Sequence[str]) -> tuple[str, ...]:
    names = [tables] if isinstance(tables, str) else list(tables or ())
    for name in names:
        if name not in TASK_TABLES:
            raise InputError(f"There is no table {name!r} to export. There are {', '.join(TASK_TABLES)}.")
    if "tasks" not in names:
        raise InputError("An exported folder always holds the table tasks: name it among tables, or leave tables out.")
    return tuple(name for name in TASK_TABLES if name in names)


def _require_steady(filters: Filters) -> None:
    if unsteady := filters.unsteady():
        raise InputError(
            f"Tasks come to match {' and '.join(unsteady)}, or cease to, while they are worked on: such a folder "
            "cannot be brought up to date. Export without this filter and use "
            "rf.open_export(path).tasks.to_pandas(filter=…), or pass incremental=False to rewrite the folder with "
            "every call."
        )


@dataclass(frozen=True, slots=True)
class _Order:
    """What a call wants."""

    tables: tuple[str, ...]
    filters: Filters
    is_incremental: bool
    lookback: int | None
    folds: bool
    promote: dict[str, str]


@dataclass(slots=True)
class _Exporter:
    """Carries out one call, under the folder's lock, with a client that counts the requests of this call alone."""

    client: Client
    dataset: Dataset
    order: _Order
    progress: bool
    _began: float = field(default_factory=time.monotonic)
    #: Deliveries that were settled while reading.
    _settled: dict[str, int] = field(default_factory=dict)

    def run(self) -> ExportReport:
        order = self.order
        settings = Settings(
            self.client.host, self.client.key_fingerprint, list(order.tables), order.filters.as_json(), order.promote
        )
        settled = self.dataset.settle()
        self.dataset.check(settings, is_full=not order.is_incremental)
        if settled is not None and settled.settings == settings and self._serves(settled):
            return replace(ExportReport.from_json(self.dataset.root, settled.report), is_resumed=True)
        manifest = self.dataset.manifest()
        run = self.dataset.unfinished(settings)
        if run is not None:
            report = self._finish(run, is_resumed=True)
            manifest = self.dataset.manifest()
            if manifest is not None and self._serves(manifest):
                return report
        # Before anything is read: what is announced later may have happened after it was read.
        announced = newest_announced(self.dataset)
        if self.order.is_incremental and manifest is not None:
            brought = self._increment(settings, manifest, announced)
            if brought is not None:
                return brought
            manifest = self.dataset.manifest()
        return self._begin(self._plan_all(settings, manifest), announced)

    def _begin(self, plan: RunPlan, announced: int) -> ExportReport:
        plan = structs.replace(plan, folds=self.order.folds, announced_upto=announced)
        return self._finish(self.dataset.begin(plan), is_resumed=False)

    def _increment(self, settings: Settings, manifest: Manifest, announced: int) -> ExportReport | None:
        """Read what may have changed; None when only reading everything can tell, before or after."""
        lookback_since = self._lookback(manifest)
        planner = Planner(self.client, self.order.filters, self.order.tables, self.dataset, manifest, lookback_since)
        found = planner.plan()
        if found is None:
            return None
        jobs = [*found.jobs, *([Job(announced_upto=announced)] if announced else [])]
        report = self._begin(_run_plan(settings, manifest, jobs, found.plan, found.honours), announced)
        return None if planner.lacks_some(report) else report

    def take_announced(self, manifest: Manifest) -> ExportReport | None:
        """Read the tasks that callbacks announced and no others; None where there are none."""
        announced = newest_announced(self.dataset)
        if not announced:
            return None
        since = (manifest.watermark, manifest.report["watermark_source"])
        plan = structs.replace(
            RunPlan.begun(manifest.settings, manifest, mode="announced", watermark=since),
            jobs=[Job(announced_upto=announced)],
            total=manifest.report["service_total"],
            made_by="announced",
            announced_upto=announced,
        )
        return self._finish(self.dataset.begin(plan), is_resumed=False)

    def _serves(self, manifest: Manifest) -> bool:
        """Whether a run that was killed and is now finished is what this call wants."""
        is_fresh = 0 <= time.time() - manifest.began < _FRESH_SECS
        is_kind = self.order.is_incremental or manifest.report["mode"] != "increment"
        # A call that folds leaves nothing beside the base, also where the one that was killed would have.
        is_laid = not (self.order.folds and manifest.deltas)
        return is_fresh and is_kind and is_laid and manifest.made_by == "export"

    def _plan_all(self, settings: Settings, manifest: Manifest | None) -> RunPlan:
        plan = plan_sweep(self._source(Job()))
        jobs = [Job(window.start, window.end, batch=window.batch) for window in plan.windows]
        honours = manifest.honours.without_refusals() if manifest else Honours()
        return _run_plan(settings, manifest, jobs, plan, honours)

    def _lookback(self, manifest: Manifest) -> int | None:
        """Say since when audits are looked for; what lies before the epoch is as good as the epoch."""
        return None if self.order.lookback is None else max(0, manifest.watermark - self.order.lookback)

    def _source(self, job: Job) -> Source:
        return source_of(self.client, self.order.filters, self.order.tables, job)

    def _finish(self, run: Run, *, is_resumed: bool) -> ExportReport:
        """Read the windows that are left, lay the tables out, and put them in place."""
        self._read(run)
        tally = Tally()
        for done in run.finished():
            tally.add(Tally.from_json(done.tally))
        state = self._laid_out(run)
        watermark, source = watermark_of(run.plan, tally.newest_stamp, now=time.time())
        report = ExportReport(
            path=self.dataset.root,
            run_id=run.plan.run_id,
            mode=run.plan.mode,
            is_resumed=is_resumed,
            rows=state.rows,
            tasks_read=tally.tasks,
            tasks_new=tally.tasks if run.plan.generation == 1 else state.new,
            tasks_changed=state.changed,
            tasks_unchanged=state.unchanged,
            service_total=run.plan.total,
            pages=tally.pages,
            windows=tally.windows,
            windows_unsettled=tally.windows_unsettled,
            requests=dict(sorted(self.client.requests_by_status().items())),
            wire_bytes=tally.wire_bytes,
            seconds=round(time.monotonic() - self._began, 3),
            drift=tally.drift.as_json(),
            watermark=stamp_of(watermark),
            watermark_source=source,
            audits_complete_since=self._audits_complete_since(run),
        )
        self.dataset.commit(run, state.files, report.as_json(), watermark, state.deltas)
        warn_of_shortfall(tally, stacklevel=5)
        return replace(report, callbacks=self._settle_announced(run))

    def _settle_announced(self, run: Run) -> dict[str, int]:
        all_were_read = run.plan.mode not in _ADDING
        settled = settle_announced(self.dataset, run.plan.announced_upto, all_were_read=all_were_read)
        for outcome, count in self._settled.items():
            settled[outcome] = settled.get(outcome, 0) + count
        return {outcome: count for outcome, count in settled.items() if count}

    def _laid_out(self, run: Run) -> State:
        manifest = self.dataset.manifest()
        run.clear_layout()
        if run.plan.mode not in _ADDING or manifest is None:
            return laid_out(self.dataset, run)
        return (folded if run.plan.folds else stacked)(self.dataset, manifest, run)

    def _audits_complete_since(self, run: Run) -> str | None:
        manifest = self.dataset.manifest()
        if run.plan.mode == "announced" and manifest is not None:
            earlier: str | None = manifest.report["audits_complete_since"]
            return earlier
        if run.plan.mode != "increment" or manifest is None:
            return None
        since = self._lookback(manifest)
        return stamp_of(manifest.watermark - OVERLAP_MICROS if since is None else since)

    def _read(self, run: Run) -> None:
        """Read the windows that are not finished yet, several at once."""
        left = [index for index in range(len(run.plan.jobs)) if index not in run.done]
        sources = _Sources(run, self._source)
        workers = min(self.client.max_workers, max(1, len(left)))
        stop = threading.Event()
        with bar(_expected(run), "Exporting", "tasks", progress=self.progress) as shown:
            shown.update(sum(done.tally["tasks"] for done in run.done.values()))

            def work(_: Window, position: int, put: Callable[[WindowDone], None]) -> None:
                index = left[position]
                job = run.plan.jobs[index]
                source = replace(sources.of(job), stop=stop)
                name = f"{run.stem}-{index:05d}"
                schemas = run.plan.settings.schemas()
                groups = max(_SMALLEST_GROUP, _BUFFERED_TASKS // workers)
                with PartWriter(self.dataset.store, f"{RUN}/{PARTS}", schemas, name, group_tasks=groups) as part:
                    reading = _Reading(source, job, self.order.promote, part, shown)
                    done = reading.read(index) if job.announced_upto is None else self._take(reading, index)
                    if not stop.is_set():
                        put(done)

            windows = [_windows_of(run.plan.jobs[index])[0] for index in left]
            for done in run_windows(windows, work, workers=workers, stop=stop):
                run.note(done)

    def _take(self, reading: _Reading, index: int) -> WindowDone:
        """Read what callbacks announced."""
        upto = reading.job.announced_upto or 0
        tally, outside = read_announced(self.dataset, reading.source, upto, reading.emit)
        self._settled["outside"] = self._settled.get("outside", 0) + outside
        return reading.done(index, tally)


class _Sources:
    """One source for each bound that an increment adds, so that its windows know of each other's border."""

    def __init__(self, run: Run, source_of: Callable[[Job], Source]) -> None:
        self._sources: dict[Job, Source] = {}
        for job in run.plan.jobs:
            bound = _bound_of(job)
            if bound not in self._sources:
                self._sources[bound] = source_of(bound)
        for index, done in run.done.items():
            job = run.plan.jobs[index]
            self.of(job).border.own(done.border, _windows_of(job)[0])

    def of(self, job: Job) -> Source:
        return self._sources[_bound_of(job)]


def _bound_of(job: Job) -> Job:
    return structs.replace(job, start=None, end=None, batch=None, spans=())


def _windows_of(job: Job) -> list[Window]:
    return [Window(*span) for span in job.spans] or [Window(job.start, job.end, job.batch)]


def _expected(run: Run) -> int | None:
    """Say how many tasks a run will read, where that is known."""
    return None if run.plan.mode in _ADDING else run.plan.total


@dataclass(slots=True)
class _Reading:
    """Reads one window into its files."""

    source: Source
    job: Job
    promote: dict[str, str]
    part: PartWriter
    shown: Bar
    _drift: Drift = field(default_factory=Drift)

    def read(self, index: int) -> WindowDone:
        tally = Tally()
        for window in _windows_of(self.job):
            tally.add(read_window(self.source, window, self.emit))
        return self.done(index, tally)

    def done(self, index: int, tally: Tally) -> WindowDone:
        """Say that the window is finished, and what it came to."""
        tally.drift.add(self._drift)
        border = [task_id for window in _windows_of(self.job) for task_id in self.source.border.owned(window)]
        return WindowDone(index, self.part.finish(), tally.as_json(), border)

    def emit(self, batches: Batches) -> None:
        """Write rows."""
        self.part.write(batches | {"tasks": promoted(batches["tasks"], self.promote, self._drift)})
        self.shown.update(batches["tasks"].num_rows)


def _run_plan(
    settings: Settings,
    manifest: Manifest | None,
    jobs: Iterable[Job],
    plan: Plan,
    honours: Honours,
) -> RunPlan:
    now = datetime.now(UTC)
    # The earlier of two clocks: with the later one, a change that was stamped by the other would be passed over.
    is_service_clock = plan.server_time is not None and plan.server_time <= now
    safe = plan.server_time if plan.server_time is not None and is_service_clock else now
    source = "service clock" if is_service_clock else "this machine's clock"
    return structs.replace(
        RunPlan.begun(settings, manifest, mode=plan.mode, watermark=(int(safe.timestamp() * _SECOND), source)),
        jobs=list(jobs),
        total=plan.total,
        honours=honours,
        service_clock=None if plan.server_time is None else int(plan.server_time.timestamp() * _SECOND),
    )


def watermark_of(plan: RunPlan, newest_stamp: int | None, *, now: float) -> tuple[int, str]:
    """Decide from when on the next increment has to look for changes, and by which clock that is.

    Parameters
    ----------
    plan : RunPlan
        Holds the clocks at the start of the run.
    newest_stamp : int or None
        The latest time among the tasks that were read, in microseconds since 1970.
    now : float
        Seconds since 1970, by the clock that `plan` began at.

    Returns
    -------
    tuple of (int, str)
        Microseconds since 1970, and the clock.

    Notes
    -----
    A task may be read early in a run and change before the run ends, while others that changed later still are
    read with the change: the newest stamp counts only after the time that the run took is taken off it. A stamp
    that is later than the service's own clock is a slip, and must not make the next increments overlook everything.
    """
    took = max(0, int((now - plan.began) * _SECOND))
    stamp = None if newest_stamp is None else newest_stamp - took
    if stamp is not None and plan.service_clock is None and stamp < plan.watermark:
        return stamp, "newest stamp"
    latest = None if plan.service_clock is None else plan.service_clock + took + OVERLAP_MICROS
    if stamp is not None and newest_stamp is not None and latest is not None and newest_stamp <= latest:
        return max((plan.watermark, plan.watermark_source), (stamp, "newest stamp"))
    return plan.watermark, plan.watermark_source
