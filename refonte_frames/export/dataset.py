"""The manifest of an exported folder and the steps of a run: whole at every instant, however a run ends.

A run writes below ``_run/`` and notes every finished window there. To finish, it lays the new tables out in full,
writes down what it is about to do, puts the files of the tables where they are read from, and writes the manifest last.
Whoever finds ``_run/`` knows from its files how far the run came, and goes on from there.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec
from msgspec import Struct

from refonte_frames.errors import ExportError
from refonte_frames.export.filters import differences
from refonte_frames.export.parts import FileEntry
from refonte_frames.export.places import LOCK, OLD, RUN, TMP, Disk, store_of
from refonte_frames.export.promote import schemas_of
from refonte_frames.export.splice import Splicer
from refonte_frames.schemas import SCHEMA_VERSION, SCHEMAS, fingerprint

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa

    from refonte_frames.export.places import Store

__all__ = [
    "DELTA",
    "PARTS",
    "Dataset",
    "Delta",
    "Honours",
    "Job",
    "Manifest",
    "Run",
    "RunPlan",
    "Settings",
    "WindowDone",
    "new_run_id",
    "write_empty",
]

FORMAT: Final = 2
MANIFEST: Final = "_manifest.json"
#: Increments that are not folded in, and callbacks that wait (`_inbox`).
DELTA: Final = "_delta"
_INBOX: Final = "_inbox"
#: Below `_run`: what windows wrote, and the notes of those that are finished.
PARTS: Final = "parts"
_DONE: Final = f"{RUN}/done"
_PLAN: Final = f"{RUN}/plan.json"
_COMMIT: Final = f"{RUN}/commit.json"

#: Superseded files stay this long, so that whoever opened them can finish reading.
_KEEP_SECS: Final = 3_600
#: An interrupted run is gone on with for this long; later its windows are too old to be put beside new ones.
_RESUME_SECS: Final = 24 * 3_600

T = TypeVar("T")


class Settings(Struct, frozen=True):
    """What a folder holds, by which a later call is recognised as the same."""

    host: str
    key_fingerprint: str
    tables: list[str]
    filters: dict[str, Any]
    promote: dict[str, str] = {}

    def schemas(self) -> dict[str, pa.Schema]:
        """Return the columns of each table."""
        return schemas_of(self.tables, self.promote)


class Honours(Struct, frozen=True):
    """Which bounds of time a service looks at; None where nobody has found out."""

    updated: bool | None = None
    completed: bool | None = None
    created: bool | None = None

    def without_refusals(self) -> Honours:
        """Forget what was not looked at: it may be by now."""
        return Honours(self.updated or None, self.completed or None, self.created or None)


class Delta(Struct, frozen=True):
    """An increment beside the base: its rows take the place of those of the same tasks in what is older."""

    name: str
    files: dict[str, list[FileEntry]]


class Manifest(Struct, frozen=True, kw_only=True):
    """What the last finished run left: written last.

    ``made_by`` is what wrote the files: ``export``, ``compact`` or ``replace``.
    """

    format: int
    schema_version: int
    schemas: dict[str, str]
    settings: Settings
    generation: int
    run_id: str
    started_at: str
    began: float
    finished_at: str
    watermark: int
    honours: Honours = Honours()
    files: dict[str, list[FileEntry]]
    deltas: list[Delta] = []
    report: dict[str, Any]
    made_by: str = "export"


class Job(Struct, frozen=True):
    """One window of a run, with the bounds that an increment adds to the folder's filters.

    With `spans` it is several, each from one time of creation to another, which are read one after the other into the
    same files; with `announced_upto` it is none, but the tasks that callbacks announced up to this number.
    """

    start: int | None = None
    end: int | None = None
    batch: str | None = None
    spans: tuple[tuple[int, int], ...] = ()
    updated_after: int | None = None
    completed_after: int | None = None
    created_since: int | None = None
    announced_upto: int | None = None


class RunPlan(Struct, frozen=True, kw_only=True):
    """What a run set out to do; written before the first window is read.

    An increment (``mode``) builds on the generation before its own.
    """

    run_id: str
    generation: int
    settings: Settings
    schema_version: int
    started_at: str
    began: float
    jobs: list[Job]
    total: int | None
    mode: str
    watermark: int
    watermark_source: str
    honours: Honours = Honours()
    service_clock: int | None = None
    folds: bool = True
    made_by: str = "export"
    announced_upto: int = 0

    @classmethod
    def begun(cls, settings: Settings, manifest: Manifest | None, *, mode: str, watermark: tuple[int, str]) -> RunPlan:
        """Plan a run that begins now and makes the next generation; it reads nothing unless it is given jobs."""
        now = datetime.now(UTC)
        return cls(
            run_id=new_run_id(),
            generation=manifest.generation + 1 if manifest else 1,
            settings=settings,
            schema_version=SCHEMA_VERSION,
            started_at=now.isoformat(),
            began=now.timestamp(),
            jobs=[],
            total=None,
            mode=mode,
            watermark=watermark[0],
            watermark_source=watermark[1],
            honours=manifest.honours if manifest else Honours(),
        )


class WindowDone(Struct, frozen=True):
    """A finished window: its files by part and table, counts, and the tasks near its bounds that it brought."""

    index: int
    parts: list[dict[str, FileEntry]]
    tally: dict[str, Any]
    border: list[str]


class Dataset:
    """A folder with one subfolder of Parquet files per table.

    Parameters
    ----------
    root : path
        The folder; it is made when a run begins.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where it lies. Default: this machine's disk.
    """

    def __init__(self, root: str | os.PathLike[str], filesystem: Any = None) -> None:
        self.store: Store = store_of(root, filesystem)
        self.root = self.store.root if isinstance(self.store, Disk) else cast("Path", PurePosixPath(root))

    def manifest(self) -> Manifest | None:
        """Read the manifest; None when no run has finished here."""
        body = self.store.read(MANIFEST)
        if body is None:
            return None
        manifest = _decoded(body, Manifest, f"{self.root / MANIFEST}")
        if manifest.format > FORMAT:
            raise ExportError(f"{self.root} was written by a newer version of refonte-frames: update to read it.")
        return manifest

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer; the lock falls with the process that holds it, however that ends.

        Raises
        ------
        ExportError
            If another process, or another thread of this one, is writing here.
        """
        with contextlib.ExitStack() as held:
            with self.writing():
                self._refuse_strangers()
                held.enter_context(self.store.lock())
            yield

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Tell of a disk that is full, or a folder that may not be written, in a sentence.

        Raises
        ------
        ExportError
            In place of an OSError.
        """
        try:
            yield
        except OSError as error:
            raise ExportError(
                f"{self.root} cannot be written: {error.strerror or error}. What was finished is kept: free some "
                "space, or mend what is wrong with the folder, and make the same call again to go on."
            ) from error

    def _refuse_strangers(self) -> None:
        """Never write into a folder that holds something else."""
        if self.store.exists(MANIFEST):
            return
        ours = {LOCK, RUN, OLD, DELTA, _INBOX, TMP + MANIFEST, *SCHEMAS}
        strangers = sorted({PurePosixPath(name).parts[0] for name in self.store.files()} - ours)
        if strangers:
            raise ExportError(
                f"{self.root} holds other files ({', '.join(strangers[:3])}) and no manifest. "
                "Export into an empty or new folder."
            )

    def settle(self) -> Manifest | None:
        """Finish what a killed run had begun to put into place, and remove what nobody reads any more.

        Returns
        -------
        Manifest or None
            That of such a run, if there was one.
        """
        body = self.store.read(_COMMIT)
        left = None if body is None else _decoded(body, Manifest, f"{self.root / _COMMIT}")
        if left is not None:
            self._put_in_place(left)
        self.store.remove(TMP + MANIFEST)
        for place in sorted({PurePosixPath(name).parts[1] for name in self.store.files(OLD)}):
            retired = place.rpartition("-")[2]
            if not retired.isdigit() or time.time() - int(retired) > _KEEP_SECS:
                self.store.remove(f"{OLD}/{place}")
        return left

    def check(self, settings: Settings, *, is_full: bool = False) -> None:
        """Refuse to mix what different calls want into one folder; everything read anew may have other columns."""
        manifest = self.manifest()
        if manifest is None:
            return
        theirs = manifest.settings
        found = differences(settings.filters, theirs.filters)
        if sorted(theirs.tables) != sorted(settings.tables):
            found.append(f"tables were {', '.join(theirs.tables)} and are now {', '.join(settings.tables)}")
        if theirs.host != settings.host:
            found.append(f"the host was {theirs.host} and is now {settings.host}")
        elif theirs.key_fingerprint != settings.key_fingerprint:
            found.append("the API key is another one")
        if found:
            raise ExportError(
                f"{self.root} was exported differently: {'; '.join(found)}. "
                "Make the same call again, or export into another folder."
            )
        if not is_full and (changed := differences(settings.promote, theirs.promote)):
            raise ExportError(
                f"{self.root} has other promoted columns: {'; '.join(changed)}. Promote the same columns again, or "
                "pass full=True once, which reads everything anew."
            )

    def unfinished(self, settings: Settings) -> Run | None:
        """Return a run that was killed and can be gone on with; anything else below ``_run/`` is removed."""
        with contextlib.suppress(ExportError):
            plan = _decoded(self.store.read(_PLAN) or b"", RunPlan, _PLAN)
            manifest = self.manifest()
            is_next = plan.generation == (manifest.generation + 1 if manifest else 1)
            is_fresh = 0 <= time.time() - plan.began < _RESUME_SECS
            is_same = plan.settings == settings and plan.schema_version == SCHEMA_VERSION
            if is_next and is_fresh and is_same and plan.made_by == "export":
                return Run(self.store, plan)
        self.store.remove(RUN)
        return None

    def begin(self, plan: RunPlan) -> Run:
        """Begin a run."""
        self.store.remove(RUN)
        self.store.write(_PLAN, msgspec.json.encode(plan))
        return Run(self.store, plan)

    def commit(
        self,
        run: Run,
        files: dict[str, list[FileEntry]],
        report: Mapping[str, Any],
        watermark: int,
        deltas: list[Delta] | None = None,
    ) -> Manifest:
        """Make the files laid out in the run's folder those of the dataset."""
        schemas = run.plan.settings.schemas()
        manifest = Manifest(
            format=FORMAT,
            schema_version=SCHEMA_VERSION,
            schemas={table: fingerprint(schemas[table]) for table in files},
            settings=run.plan.settings,
            generation=run.plan.generation,
            run_id=run.plan.run_id,
            started_at=run.plan.started_at,
            began=run.plan.began,
            finished_at=datetime.now(UTC).isoformat(),
            watermark=watermark,
            honours=run.plan.honours,
            files={table: entries or [write_empty(run, table)] for table, entries in files.items()},
            deltas=deltas or [],
            report=dict(report),
            made_by=run.plan.made_by,
        )
        return self.settle_on(manifest)

    def settle_on(self, manifest: Manifest) -> Manifest:
        """Write a commit down and carry it out: from here on it will be, however often it is cut short."""
        self.store.require_lock()
        self.store.write(_COMMIT, msgspec.json.encode(manifest))
        self._put_in_place(manifest)
        return manifest

    def _put_in_place(self, manifest: Manifest) -> None:
        """Carry a commit out; beginning again at any point of it ends the same."""
        names = {table: [entry.name for entry in entries] for table, entries in manifest.files.items()}
        for delta in manifest.deltas:
            if not self.store.files(f"{DELTA}/{delta.name}"):
                self.store.move(f"{RUN}/{DELTA}/{delta.name}", f"{DELTA}/{delta.name}")
        for table, those in names.items():
            self.store.swap(table, those)
        self.store.require_lock()
        self.store.write(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        old = f"{OLD}/{manifest.generation - 1:06d}-{time.time():.0f}"
        for table, those in names.items():
            self.store.retire(table, those, old)
        listed = {delta.name for delta in manifest.deltas}
        for name in sorted({PurePosixPath(file).parts[1] for file in self.store.files(DELTA)} - listed):
            self.store.move(f"{DELTA}/{name}", f"{old}/{DELTA}/{name}")
        self.store.remove(RUN)


class Run:
    """A run under way: what it planned, and which windows it finished."""

    def __init__(self, store: Store, plan: RunPlan) -> None:
        self.store = store
        self.plan = plan
        notes = [store.read(name) for name in store.files(_DONE) if not PurePosixPath(name).name.startswith(TMP)]
        found = [_decoded(note, WindowDone, _DONE) for note in notes if note is not None]
        self.done = {done.index: done for done in found}
        self._remove_unfinished()

    @property
    def stem(self) -> str:
        """What makes the names of this run's files differ from those of all others."""
        return f"{self.plan.generation:06d}"

    def note(self, done: WindowDone) -> None:
        """Write down that a window is finished; its files were synced before."""
        self.store.write(f"{_DONE}/{done.index:06d}.json", msgspec.json.encode(done))
        self.done[done.index] = done

    def finished(self) -> list[WindowDone]:
        """Return the finished windows in the order of the plan."""
        return [self.done[index] for index in sorted(self.done)]

    def clear_layout(self) -> None:
        """Remove what an earlier try to lay the tables out left."""
        for name in (*self.plan.settings.tables, DELTA):
            self.store.remove(f"{RUN}/{name}")

    def _remove_unfinished(self) -> None:
        """Remove what belongs to no finished window."""
        listed = {
            f"{RUN}/{PARTS}/{table}/{entry.name}"
            for done in self.done.values()
            for part in done.parts
            for table, entry in part.items()
        }
        for name in self.store.files(f"{RUN}/{PARTS}"):
            if name not in listed:
                self.store.remove(name)


def write_empty(run: Run, table: str) -> FileEntry:
    """Make a file of no rows, so that a table can be read before it has any."""
    name = f"part-{run.stem}-empty.parquet"
    with run.store.create(f"{RUN}/{table}/{name}") as file:
        splicer = Splicer(file, run.plan.settings.schemas()[table])
        splicer.close()
    return FileEntry(name, 0, splicer.bytes, splicer.sha256)


def new_run_id() -> str:
    """Make the id of a run."""
    return secrets.token_hex(8)


def _decoded(body: bytes, type_: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.DecodeError as error:
        raise ExportError(f"{where} is damaged: {error}. Export into another folder.") from None
