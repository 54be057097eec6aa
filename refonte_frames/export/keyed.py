"""Tables that are read in full every time: what was read replaces the rows of the same key. Knows no table by name."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import structs

from refonte_frames.export.dataset import Dataset, RunPlan, Settings
from refonte_frames.export.drift import Drift
from refonte_frames.export.filters import stamp_of
from refonte_frames.export.parts import FILE_ROWS, FileEntry
from refonte_frames.export.places import RUN, open_moving
from refonte_frames.export.report import ExportReport
from refonte_frames.export.splice import Splicer
from refonte_frames.export.versions import row_hashes
from refonte_frames.progress import bar
from refonte_frames.schemas import KEYS, SCHEMAS

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from refonte_frames.client import Client
    from refonte_frames.export.dataset import Manifest, Run

__all__ = ["Reading", "replace_by_key"]

#: Rows of a row group.
_GROUP_ROWS: Final = 20_000
#: A file of at least so many rows, none of which is replaced, stays as it is; smaller ones are written together.
_LARGE_ROWS: Final = 100_000

#: Yields the name of a table and some of its rows, with the columns of its schema; counts drift on the way.
Reading: TypeAlias = "Callable[[Drift], Iterable[tuple[str, pa.Table | pa.RecordBatch]]]"


def replace_by_key(  # noqa: PLR0913 - each says something else about the folder or the reading
    path: str | os.PathLike[str],
    *,
    tables: Sequence[str],
    filters: Mapping[str, Any],
    read: Reading,
    client: Client,
    appended: Collection[str] = (),
    keep_unlisted: bool = True,
    progress: bool = True,
    filesystem: Any = None,
) -> ExportReport:
    """Read tables in full, and put what was read in place of the rows of the same key.

    Made for `export_batches` and `export_attempts`; any table with a schema in `schemas.SCHEMAS` and a key in
    `schemas.KEYS` will do. For example::

        def read(drift):
            for page in attempt_pages(...):
                yield "attempts", attempts_table(page, drift)      # pa.Table or pa.RecordBatch, schemas.ATTEMPTS

        return replace_by_key(path, tables=["attempts"], filters={"labeler_emails": "all"}, read=read, client=client)

    Parameters
    ----------
    path : path
        A folder of its own.
    tables : sequence of str
        All tables of the folder; each gets a file at least, also without rows.
    filters : mapping
        Plain JSON types by the caller's own parameter names, without those that are None: the folder remembers them,
        and another call with others is an error that names the difference.
    read : callable
        Called once, when nobody else can be writing to the folder: sends the requests and yields (table, rows), in
        any order and in portions of any size; memory holds one portion, a row group, and the keys. Of two rows of one
        key the first one counts, since lists that shift repeat what they already showed. It is given the `Drift` to
        count in. What it raises ends the run, and the folder stays as it was.
    client : Client
        Names the host and the account, which the folder remembers. Of this run alone, as `Client.for_one_run` makes it:
        all its answers are counted.
    appended : collection of str
        Tables whose rows are added and never replaced, as snapshots are.
    keep_unlisted : bool
        Keep rows whose key did not come this time; False where a row that is no longer listed is no longer true.
    progress : bool
        Show a bar where there is somebody to see it.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where the folder lies. Default: this machine's disk.

    Returns
    -------
    ExportReport
        With ``mode="replace"``, ``rows`` by table, and ``changes[table]``: how many rows were ``read``, and how many
        of them were ``new``, ``changed`` and ``unchanged``; and how many others stayed as ``unlisted``.

    Raises
    ------
    ExportError
        As `export_tasks` does.

    Notes
    -----
    Nobody ever sees half of it: files are written beside the old ones, exchanged in one step, and the manifest is
    written last. A run that was killed is begun anew.
    """
    dataset = Dataset(path, filesystem)
    settings = Settings(client.host, client.key_fingerprint, list(tables), dict(filters))
    with dataset.lock(), dataset.writing():
        replacing = _Replacing(dataset, settings, frozenset(appended), keep_unlisted=keep_unlisted)
        return replacing.run(read, client, progress=progress)


@dataclass(slots=True)
class _Replacing:
    """One call, under the folder's lock."""

    dataset: Dataset
    settings: Settings
    appended: frozenset[str]
    keep_unlisted: bool = field(kw_only=True)

    def run(self, read: Reading, client: Client, *, progress: bool) -> ExportReport:
        began, drift = time.monotonic(), Drift()
        self.dataset.settle()
        self.dataset.check(self.settings)
        manifest = self.dataset.manifest()
        run = self.dataset.begin(_plan(self.settings, manifest))
        tables = {name: _Table(name, run, is_appended=name in self.appended) for name in self.settings.tables}
        with bar(None, "Exporting", self.settings.tables[0], progress=progress) as shown:
            for name, rows in read(drift):
                added = tables[name].add(rows)
                if name == self.settings.tables[0]:
                    shown.update(added)
        files = {}
        for name, table in tables.items():
            for entry in manifest.files[name] if manifest else ():
                table.merge(entry, keep_unlisted=self.keep_unlisted)
            files[name] = table.finish()
        report = _report(self.dataset, run, tables, files)
        report |= {
            "requests": dict(sorted(client.requests_by_status().items())),
            "seconds": round(time.monotonic() - began, 3),
            "drift": drift.as_json(),
        }
        made = ExportReport.from_json(self.dataset.root, report)
        self.dataset.commit(run, files, made.as_json(), run.plan.watermark)
        return made


class _Table:
    """Collects the rows of one table, first those that were read, then those that stay."""

    def __init__(self, name: str, run: Run, *, is_appended: bool) -> None:
        self._name = name
        self._run = run
        self._is_appended = is_appended
        self._hashes: dict[tuple[Any, ...], int] = {}
        self._waiting: list[pa.Table] = []
        self._entries: list[FileEntry] = []
        self._splicer: Splicer | None = None
        self._file = ExitStack()
        self.counts = dict.fromkeys(("read", "new", "changed", "unchanged", "unlisted"), 0)

    def add(self, rows: pa.Table | pa.RecordBatch) -> int:
        """Take rows that were read; those whose key came before are passed over."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        fresh = []
        for index, (key, hashed) in enumerate(zip(self._keys(table), row_hashes(table).tolist(), strict=True)):
            if key not in self._hashes:
                self._hashes[key] = hashed
                fresh.append(index)
        self.counts["read"] += len(fresh)
        self._write(table.take(pa.array(fresh, pa.int64())))
        return len(fresh)

    def merge(self, entry: FileEntry, *, keep_unlisted: bool) -> None:
        """Take over from a file of the last run what was not read this time."""
        if not entry.rows:
            return
        with open_moving(self._run.store, f"{self._name}/{entry.name}") as opened:
            file = pq.ParquetFile(opened)
            stays = (keep_unlisted or self._is_appended) and entry.rows >= _LARGE_ROWS
            if stays and not self._is_touched(file):
                self._run.store.adopt(self._name, entry.name)
                self._entries.append(entry)
                self.counts["unlisted"] += entry.rows
                return
            for batch in file.iter_batches(_GROUP_ROWS):
                rows = pa.Table.from_batches([batch]).cast(SCHEMAS[self._name])
                self._write(self._left(rows, keep_unlisted=keep_unlisted or self._is_appended))

    def _is_touched(self, file: pq.ParquetFile) -> bool:
        batches = file.iter_batches(_GROUP_ROWS, columns=self._key_columns())
        return any(key in self._hashes for batch in batches for key in self._keys(pa.Table.from_batches([batch])))

    def finish(self) -> list[FileEntry]:
        """Close the files."""
        self._flush()
        self._close()
        self.counts["new"] = self.counts["read"] - self.counts["changed"] - self.counts["unchanged"]
        return self._entries

    def _left(self, rows: pa.Table, *, keep_unlisted: bool) -> pa.Table:
        """Return the rows that stay, and count what became of the others."""
        kept = []
        for index, (key, hashed) in enumerate(zip(self._keys(rows), row_hashes(rows).tolist(), strict=True)):
            found = self._hashes.get(key)
            if found is None and keep_unlisted:
                kept.append(index)
            elif found is not None:
                self.counts["unchanged" if found == hashed else "changed"] += 1
        self.counts["unlisted"] += len(kept)
        return rows.take(pa.array(kept, pa.int64()))

    def _keys(self, rows: pa.Table) -> list[tuple[Any, ...]]:
        return list(zip(*(_key_values(rows[name]) for name in self._key_columns()), strict=True))

    def _key_columns(self) -> list[str]:
        return list(KEYS[self._name])

    def _write(self, rows: pa.Table) -> None:
        if rows.num_rows:
            self._waiting.append(rows.cast(SCHEMAS[self._name]))
        if sum(table.num_rows for table in self._waiting) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        rows = pa.concat_tables(waiting).unify_dictionaries()
        for start in range(0, rows.num_rows, FILE_ROWS):
            portion = rows.slice(start, FILE_ROWS)
            if self._splicer is not None and self._splicer.rows + portion.num_rows > FILE_ROWS:
                self._close()
            self._opened().write(portion)

    def _opened(self) -> Splicer:
        if self._splicer is None:
            file = self._file.enter_context(self._run.store.create(f"{RUN}/{self._name}/{self._file_name()}"))
            self._splicer = Splicer(file, SCHEMAS[self._name])
        return self._splicer

    def _close(self) -> None:
        if self._splicer is not None:
            self._splicer.close()
            self._file.close()
            done, name = self._splicer, self._file_name()
            self._entries.append(FileEntry(name, done.rows, done.bytes, done.sha256))
        self._splicer = None

    def _file_name(self) -> str:
        return f"part-{self._run.stem}-{len(self._entries):05d}.parquet"


def _key_values(column: pa.ChunkedArray) -> list[Any]:
    plain = column.cast(pa.int64() if pa.types.is_timestamp(column.type) else pa.string())
    values: list[Any] = plain.to_pylist()
    return values


def _plan(settings: Settings, manifest: Manifest | None) -> RunPlan:
    watermark = (int(time.time() * 1_000_000), "this machine's clock")
    plan = RunPlan.begun(settings, manifest, mode="replace", watermark=watermark)
    return structs.replace(plan, made_by="replace")


def _report(
    dataset: Dataset, run: Run, tables: Mapping[str, _Table], files: Mapping[str, list[FileEntry]]
) -> dict[str, Any]:
    """Collect what the files tell."""
    return {
        "path": dataset.root,
        "run_id": run.plan.run_id,
        "mode": run.plan.mode,
        "is_resumed": False,
        "rows": {name: sum(entry.rows for entry in entries) for name, entries in files.items()},
        "changes": {name: dict(table.counts) for name, table in tables.items()},
        "tasks_read": 0,
        "tasks_new": None,
        "tasks_changed": None,
        "tasks_unchanged": None,
        "service_total": None,
        "pages": 0,
        "windows": 0,
        "windows_unsettled": 0,
        "wire_bytes": 0,
        "watermark": stamp_of(run.plan.watermark),
        "watermark_source": run.plan.watermark_source,
        "audits_complete_since": None,
    }
