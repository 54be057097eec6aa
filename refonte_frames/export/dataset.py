"""The only writer of Parquet files and manifests: a folder that is whole at every instant, however a run ends.

A run writes below ``_run/`` and notes every finished window there. To finish, it lays the new tables out in full,
writes down what it is about to do, exchanges the folders of the tables in one step each, and renames the manifest
into place last. Whoever finds ``_run/`` knows from its files how far the run came, and goes on from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from refonte_frames.errors import ExportError
from refonte_frames.export.columns import empty
from refonte_frames.export.exchange import exchange, hold
from refonte_frames.export.filters import differences
from refonte_frames.export.places import OLD, RUN, find
from refonte_frames.schemas import SCHEMA_VERSION, SCHEMAS, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.export.sweep import Batches

__all__ = [
    "Dataset",
    "FileEntry",
    "Job",
    "Layout",
    "Manifest",
    "PartWriter",
    "Piece",
    "Run",
    "RunPlan",
    "Settings",
    "WindowDone",
    "new_run_id",
]

FORMAT: Final = 1
MANIFEST: Final = "_manifest.json"
_LOCK: Final = "_lock"
_PLAN: Final = "plan.json"
_DONE: Final = "done.jsonl"
_COMMIT: Final = "commit.json"
_TMP: Final = "_tmp-"
PARTS: Final = "parts"

#: Superseded files stay this long, so that whoever opened them can finish reading.
_KEEP_SECS: Final = 3_600
#: An interrupted run is gone on with for this long; later its windows are too old to be put beside new ones.
_RESUME_SECS: Final = 24 * 3_600
#: Rows that are held in memory while files are rewritten.
_COPY_ROWS: Final = 10_000

T = TypeVar("T")


class FileEntry(Struct, frozen=True):
    """One Parquet file; times are microseconds since 1970, None where no row has one."""

    name: str
    rows: int
    bytes: int
    sha256: str
    oldest: int | None = None
    newest: int | None = None


class Settings(Struct, frozen=True):
    """What a folder holds, by which a later call is recognised as the same."""

    host: str
    key_fingerprint: str
    tables: list[str]
    filters: dict[str, Any]


class Manifest(Struct, frozen=True, kw_only=True):
    """What the last finished run left: written last, by rename."""

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
    honours_updated: bool | None
    files: dict[str, list[FileEntry]]
    report: dict[str, Any]


class Job(Struct, frozen=True):
    """One window of a run, with the bounds that an increment adds to the folder's filters."""

    start: int | None = None
    end: int | None = None
    updated_after: int | None = None
    completed_after: int | None = None
    created_since: int | None = None


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
    honours_updated: bool | None
    service_clock: int | None = None


class WindowDone(Struct, frozen=True):
    """A finished window: its files, counts, and the tasks near its bounds that it brought."""

    index: int
    files: dict[str, FileEntry]
    tally: dict[str, Any]
    border: list[str]


class Dataset:
    """A folder with one subfolder of Parquet files per table.

    Parameters
    ----------
    root : path
        The folder; it is made when a run begins.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def manifest(self) -> Manifest | None:
        """Read the manifest; None when no run has finished here."""
        try:
            body = (self.root / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        manifest = _decoded(body, Manifest, self.root / MANIFEST)
        if manifest.format > FORMAT:
            raise ExportError(f"{self.root} was written by a newer version of refonte-frames: update to read it.")
        return manifest

    def path_of(self, table: str, entry: FileEntry) -> Path:
        """Find a file of a manifest, also when a later run has retired it in the meantime."""
        path = find(self.root, f"{table}/{entry.name}")
        if path is None:
            raise ExportError(
                f"{self.root / table / entry.name} is missing, though the manifest lists it. "
                "Export again with full=True to mend the folder."
            )
        return path

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer; the lock falls with the process that holds it, however that ends.

        Raises
        ------
        ExportError
            If another process, or another thread of this one, is writing here.
        """
        if self.root.exists() and not self.root.is_dir():
            raise ExportError(f"{self.root} is a file: an export needs a folder of its own.")
        path = self.root / _LOCK
        with self.writing():
            self._refuse_strangers()
            self.root.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        with file:
            if not hold(file):
                raise ExportError(f"{self.root} is being written by {_holder(path)}. Wait until it has ended.")
            _note_holder(path)
            try:
                yield
            finally:
                path.write_bytes(b"")

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
        if self.root.is_dir() and not (self.root / MANIFEST).exists():
            ours = {_LOCK, RUN, OLD, _TMP + MANIFEST, *SCHEMAS}
            strangers = sorted(item.name for item in self.root.iterdir() if item.name not in ours)
            if strangers:
                raise ExportError(
                    f"{self.root} holds other files ({', '.join(strangers[:3])}) and no manifest. "
                    "Export into an empty or new folder."
                )

    def settle(self) -> bool:
        """Finish what a killed run had begun to put into place, and remove what nobody reads any more.

        Returns
        -------
        bool
            Whether there was such a run.
        """
        is_left = (self.root / RUN / _COMMIT).exists()
        if is_left:
            self._put_in_place(_decoded((self.root / RUN / _COMMIT).read_bytes(), Manifest, self.root / RUN / _COMMIT))
        (self.root / (_TMP + MANIFEST)).unlink(missing_ok=True)
        for place in sorted((self.root / OLD).glob("*")):
            if time.time() - place.stat().st_mtime > _KEEP_SECS:
                shutil.rmtree(place)
        return is_left

    def check(self, settings: Settings) -> None:
        """Refuse to mix what different calls want into one folder."""
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

    def unfinished(self, settings: Settings) -> Run | None:
        """Return a run that was killed and can be gone on with; anything else below ``_run/`` is removed."""
        folder = self.root / RUN
        with contextlib.suppress(FileNotFoundError, ExportError):
            plan = _decoded((folder / _PLAN).read_bytes(), RunPlan, folder / _PLAN)
            manifest = self.manifest()
            is_next = plan.generation == (manifest.generation + 1 if manifest else 1)
            is_fresh = 0 <= time.time() - plan.began < _RESUME_SECS
            if is_next and is_fresh and plan.settings == settings and plan.schema_version == SCHEMA_VERSION:
                return Run(folder, plan)
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def begin(self, plan: RunPlan) -> Run:
        """Begin a run."""
        folder = self.root / RUN
        shutil.rmtree(folder, ignore_errors=True)
        for table in plan.settings.tables:
            (folder / PARTS / table).mkdir(parents=True)
        _write_whole(folder / _PLAN, msgspec.json.encode(plan))
        return Run(folder, plan)

    def commit(
        self, run: Run, files: dict[str, list[FileEntry]], report: Mapping[str, Any], watermark: int
    ) -> Manifest:
        """Make the files laid out in the run's folder those of the dataset."""
        for table in files:
            _sync_folder(run.folder / table)
        manifest = Manifest(
            format=FORMAT,
            schema_version=SCHEMA_VERSION,
            schemas={table: fingerprint(SCHEMAS[table]) for table in files},
            settings=run.plan.settings,
            generation=run.plan.generation,
            run_id=run.plan.run_id,
            started_at=run.plan.started_at,
            began=run.plan.began,
            finished_at=datetime.now(UTC).isoformat(),
            watermark=watermark,
            honours_updated=run.plan.honours_updated,
            files=files,
            report=dict(report),
        )
        _write_whole(run.folder / _COMMIT, msgspec.json.encode(manifest))
        self._put_in_place(manifest)
        return manifest

    def _put_in_place(self, manifest: Manifest) -> None:
        """Carry a commit out; beginning again at any point of it ends the same."""
        run = self.root / RUN
        for table, entries in manifest.files.items():
            here = self.root / table
            if not all((here / entry.name).exists() for entry in entries):
                exchange(run / table, here)
        _sync_folder(self.root)
        _write_whole(self.root / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        old = self.root / OLD / f"{manifest.generation - 1:06d}"
        for table in manifest.files:
            if (run / table).exists():
                old.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(old / table, ignore_errors=True)
                (run / table).rename(old / table)
        shutil.rmtree(run)


class Run:
    """A run under way: what it planned, and which windows it finished."""

    def __init__(self, folder: Path, plan: RunPlan) -> None:
        self.folder = folder
        self.plan = plan
        self.done = {done.index: done for done in _read_lines(folder / _DONE)}
        self._remove_unfinished()

    @property
    def parts(self) -> Path:
        """Where the windows' files are collected."""
        return self.folder / PARTS

    def note(self, done: WindowDone) -> None:
        """Write down that a window is finished; its files were synced before."""
        for table in done.files:
            _sync_folder(self.parts / table)
        with (self.folder / _DONE).open("ab") as file:
            file.write(msgspec.json.encode(done) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.done[done.index] = done

    def finished(self) -> list[WindowDone]:
        """Return the finished windows in the order of the plan."""
        return [self.done[index] for index in sorted(self.done)]

    def lay_out(self, layout: Layout) -> dict[str, list[FileEntry]]:
        """Put the tables of the next generation together below the run's folder, as `layout` says."""
        files: dict[str, list[FileEntry]] = {table: [] for table in self.plan.settings.tables}
        for table in files:
            shutil.rmtree(self.folder / table, ignore_errors=True)
            (self.folder / table).mkdir()
        for number, piece in enumerate(layout):
            if piece.keep is None:
                for table, path in piece.paths.items():
                    _link(path, self.folder / table / path.name)
                    files[table].append(piece.entries[table])
            else:
                for table, entry in self._copy(piece, number).items():
                    files[table].append(entry)
        for table, entries in files.items():
            if not entries:
                entries.append(self._empty_part(table))
        return files

    def adopt(self, path: Path, table: str) -> None:
        """Take a file of an earlier run over into the next generation as it is."""
        _link(path, self.folder / table / path.name)

    def _copy(self, piece: Piece, number: int) -> dict[str, FileEntry]:
        """Write the rows of a piece that are to be kept into files of their own."""
        stem = f"{self.plan.generation:06d}-f{number:05d}"
        with PartWriter(self.folder, list(piece.paths), stem, group_tasks=1) as part:
            for table, path in piece.paths.items():
                for batch in pq.ParquetFile(path).iter_batches(_COPY_ROWS):
                    mask = pc.is_in(batch["task_id"], value_set=piece.keep)
                    part.copy(table, pa.Table.from_batches([batch]).filter(mask).cast(SCHEMAS[table]))
            return part.finish()

    def _empty_part(self, table: str) -> FileEntry:
        """Make a file of no rows, so that a table can be read before it has any."""
        with PartWriter(self.folder, [table], f"{self.plan.generation:06d}-empty", group_tasks=1) as part:
            part.copy(table, empty(table), even_if_empty=True)
            return part.finish()[table]

    def _remove_unfinished(self) -> None:
        """Remove what belongs to no finished window, and a note that was cut off."""
        listed = {(table, entry.name) for done in self.done.values() for table, entry in done.files.items()}
        for path in self.parts.glob("*/*"):
            if (path.parent.name, path.name) not in listed:
                path.unlink()
        _write_whole(self.folder / _DONE, b"".join(msgspec.json.encode(done) + b"\n" for done in self.done.values()))


@dataclass(frozen=True, slots=True)
class Piece:
    """Files of the next generation: those of one window of this or an earlier run.

    Attributes
    ----------
    paths, entries : dict
        Where they lie and what is known of them, by table.
    keep : pyarrow.Array or None
        Ids of the tasks whose rows are kept; None keeps the files as they are.
    """

    paths: dict[str, Path]
    entries: dict[str, FileEntry]
    keep: pa.Array | None = None


Layout = list[Piece]


class PartWriter:
    """Writes the rows of one window to one file per table.

    Parameters
    ----------
    folder : Path
        Holds a subfolder per table.
    tables : sequence of str
        The tables.
    stem : str
        Makes the names of the files differ from all others of the folder.
    group_tasks : int
        Tasks that make a row group: larger ones compress better and need more memory.
    """

    def __init__(self, folder: Path, tables: Sequence[str], stem: str, *, group_tasks: int) -> None:
        self._folder = folder
        self._tables = tables
        self._name = f"part-{stem}.parquet"
        self._group_tasks = group_tasks
        self._waiting: list[Batches] = []
        self._waiting_tasks = 0
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows = dict.fromkeys(tables, 0)
        self._span: tuple[int | None, int | None] = (None, None)

    def write(self, batches: Batches) -> None:
        """Add rows to every table."""
        self._waiting.append(batches)
        self._waiting_tasks += batches["tasks"].num_rows
        self._span = _wider(self._span, batches["tasks"])
        if self._waiting_tasks >= self._group_tasks:
            self._flush()

    def copy(self, table: str, rows: pa.Table, *, even_if_empty: bool = False) -> None:
        """Add rows to one table at once."""
        if table == "tasks":
            self._span = _wider(self._span, rows)
        if rows.num_rows or even_if_empty:
            self._write_table(table, rows)

    def finish(self) -> dict[str, FileEntry]:
        """Close the files, make sure that they are on the disk, and give them their names."""
        self._flush()
        entries = {}
        for table, writer in self._writers.items():
            writer.close()
            entries[table] = self._settle_file(table)
        self._writers = {}
        return entries

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_tasks = self._waiting, [], 0
        for table in self._tables:
            rows = [batches[table] for batches in waiting if batches[table].num_rows]
            if rows:
                self._write_table(table, pa.Table.from_batches(rows, SCHEMAS[table]))

    def _write_table(self, table: str, rows: pa.Table) -> None:
        if table not in self._writers:
            self._writers[table] = pq.ParquetWriter(
                self._tmp(table),
                SCHEMAS[table],
                compression="zstd",
                compression_level=1,
                use_dictionary=_repeating(SCHEMAS[table]),
            )
        self._writers[table].write_table(rows, row_group_size=max(1, rows.num_rows))
        self._rows[table] += rows.num_rows

    def _tmp(self, table: str) -> Path:
        return self._folder / table / f"{_TMP}{self._name}"

    def _settle_file(self, table: str) -> FileEntry:
        path = self._tmp(table)
        with path.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        final = path.with_name(self._name)
        path.rename(final)
        return FileEntry(self._name, self._rows[table], final.stat().st_size, digest, *self._span)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for table, writer in self._writers.items():
            with contextlib.suppress(pa.ArrowException, OSError):
                writer.close()
            self._tmp(table).unlink(missing_ok=True)


def _wider(span: tuple[int | None, int | None], tasks: pa.RecordBatch | pa.Table) -> tuple[int | None, int | None]:
    """Widen a span of created_at by those of some tasks."""
    found = pc.min_max(tasks["created_at"].cast(pa.int64()))
    oldest = [value for value in (span[0], found["min"].as_py()) if value is not None]
    newest = [value for value in (span[1], found["max"].as_py()) if value is not None]
    return min(oldest, default=None), max(newest, default=None)


def new_run_id() -> str:
    """Make the id of a run."""
    return secrets.token_hex(8)


def _repeating(schema: pa.Schema) -> list[str]:
    """Name the columns whose values repeat so often that a dictionary pays; for the others it only costs."""
    names = {"label", "field", "audited_by", "callback_url"}
    return [column.name for column in schema if pa.types.is_dictionary(column.type) or column.name in names]


def _decoded(body: bytes, type_: type[T], path: Path) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.DecodeError as error:
        raise ExportError(f"{path} is damaged: {error}. Export into another folder.") from None


def _read_lines(path: Path) -> Iterator[WindowDone]:
    """Read the finished windows; a line that was cut off by a kill ends the list."""
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        for line in path.read_bytes().splitlines():
            yield msgspec.json.decode(line, type=WindowDone)


def _write_whole(path: Path, body: bytes) -> None:
    """Write a file that is there either in full or not at all."""
    tmp = path.with_name(_TMP + path.name)
    with tmp.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    tmp.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last; where folders cannot be opened, as on Windows, the system sees to it."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _link(path: Path, to: Path) -> None:
    """Give a file a second name; where the file system has no links, a copy serves as well."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copy2(path, to)


def _note_holder(path: Path) -> None:
    path.write_bytes(msgspec.json.encode({"pid": os.getpid(), "host": socket.gethostname()}))


def _holder(path: Path) -> str:
    with contextlib.suppress(OSError, msgspec.DecodeError, KeyError, TypeError):
        noted: Any = msgspec.json.decode(path.read_bytes())
        return f"process {noted['pid']} on {noted['host']}"
    return "another process"
