"""Carries an exported folder of tasks over into Delta Lake tables, the changes only. The only importer of deltalake."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refonte_frames.errors import ConfigError, ExportError, InputError
from refonte_frames.export.filters import stamp_of
from refonte_frames.export.opened import open_export
from refonte_frames.schemas import KEYS
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from refonte_frames.export.opened import Export, ExportTable

__all__ = ["to_delta"]

#: Tells two readings of a task apart; the later one is greater as text.
_VERSION: Final = pa.field("version", pa.string())
_DIGITS: Final = 20
#: Marks rows of a merge that are to be deleted.
_GONE: Final = "is_gone"


def to_delta(
    path: str | os.PathLike[str],
    table_uri: str | os.PathLike[str],
    *,
    storage_options: Mapping[str, str] | None = None,
    filesystem: Any = None,
) -> dict[str, int]:
    """Bring Delta Lake tables up to date with an exported folder of tasks.

    Parameters
    ----------
    path : path
        A folder that `export_tasks` wrote.
    table_uri : path or URL
        The Delta table of tasks, as deltalake names it; audits and annotations go to tables beside it, whose names end
        in ``_audits`` and ``_annotations``.
    storage_options : dict of str to str, optional
        Handed to deltalake.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where the folder lies. Default: this machine's disk.

    Returns
    -------
    dict of str to int
        Rows written by table; all 0 when nothing was new, and then no table has a new version.

    Raises
    ------
    ConfigError
        If deltalake is not installed.
    InputError
        If the folder holds no tasks.
    ExportError
        If there is no finished export, or somebody else wrote to the same table at the same moment.

    Notes
    -----
    The first call writes all rows, zstd, by creation. Every further one compares versions and merges the tasks that
    changed on ``task_id`` where ``s.version > t.version``, looking only at files of the time in which they were
    created; their audits and annotations are replaced as a set, in one new version of their table. The column
    ``version`` is made of ``updated_at`` and of when the row was read, so that a folder that was read in full
    (``full=True``) is written in full. Names that repeat are plain text there. Tasks that the folder lost, as after
    ``full=True``, stay in the Delta tables. Columns that the folder came to have, by ``promote=``, are added.
    Killed at any instant, the next call ends with the same rows: the tasks are written last. One writer at a time.

    Examples
    --------
    >>> _ = rf.export_tasks("kittens", project="kittens")
    >>> rf.to_delta("kittens", "lake/kittens")
    {'tasks': 0, 'audits': 0, 'annotations': 0}

    >>> rf.to_delta("nothing_here", "lake/kittens")
    Traceback (most recent call last):
    refonte_frames.errors.ExportError: nothing_here holds no finished export. ...
    """
    lake = _Lake(_deltalake(), _uri_of(table_uri), dict(storage_options or {}))
    export = open_export(path, filesystem=filesystem)
    if "tasks" not in export.report.rows:
        raise InputError(
            f"{export.path} holds {', '.join(export.report.rows)}: only folders of tasks go to Delta Lake."
        )
    written = dict.fromkeys(export.report.rows, 0)
    with _alone(lake):
        if not lake.has("tasks"):
            whole = {name: lake.create(name, _stream(getattr(export, name))) for name in _children_first(export)}
            return written | whole
        for start, end in export.spans():
            for name, rows in _Span(export, lake, start, end).bring_over():
                written[name] += rows
    return written


@contextlib.contextmanager
def _alone(lake: _Lake) -> Iterator[None]:
    """Say it in a sentence when somebody else wrote to a table; Delta Lake lets one of the two through."""
    try:
        yield
    except lake.deltalake.exceptions.CommitFailedError as error:
        raise ExportError(
            f"Somebody else wrote to {lake.uri} at the same moment, and only one writer at a time gets through. "
            f"Nothing is lost: call rf.to_delta again. Delta Lake says: {error}"
        ) from None


def _uri_of(table_uri: str | os.PathLike[str]) -> str:
    return str(table_uri) if "://" in str(table_uri) else str(at_home(table_uri))


def _deltalake() -> Any:
    try:
        return import_module("deltalake")
    except ImportError:
        raise ConfigError("rf.to_delta needs the package deltalake: pip install 'refonte-frames[delta]'.") from None


def _children_first(export: Export) -> list[str]:
    """Order the tables so that tasks, by which a further call sees how far this one came, are written last."""
    return [*(name for name in export.report.rows if name != "tasks"), "tasks"]


@dataclass(frozen=True, slots=True)
class _Lake:
    """The Delta tables."""

    deltalake: Any
    uri: str
    options: dict[str, str]

    def has(self, table: str) -> bool:
        return bool(self.deltalake.DeltaTable.is_deltatable(self._uri(table), self.options or None))

    def open(self, table: str) -> Any:
        return self.deltalake.DeltaTable(self._uri(table), storage_options=self.options or None)

    def create(self, table: str, rows: pa.RecordBatchReader) -> int:
        """Write a table anew."""
        counted = _Counted(rows)
        self._write(table, counted.reader, "overwrite")
        return counted.rows

    def replace(self, table: str, rows: pa.Table, task_ids: pa.Array) -> int:
        """Put rows in place of all rows of some tasks, in one new version of the table: nobody sees it without them."""
        keys = list(KEYS[table])
        held = self.open(table).to_pyarrow_dataset().to_table(columns=keys, filter=pc.field("task_id").isin(task_ids))
        both = _marked(rows, held.cast(rows.select(keys).schema), keys)
        if both.num_rows:
            # Files whose ids lie elsewhere are not looked at.
            span = pc.min_max(task_ids).as_py()
            bound = f"t.task_id >= '{_quoted(span['min'])}' AND t.task_id <= '{_quoted(span['max'])}'"
            same = " AND ".join(f"t.{name} = s.{name}" for name in keys)
            merging = self._merge(table, both, f"{same} AND {bound}")
            merging = merging.when_matched_delete(f"s.{_GONE}").when_matched_update_all(except_cols=[_GONE])
            merging.when_not_matched_insert_all(f"NOT s.{_GONE}", except_cols=[_GONE]).execute()
        return int(rows.num_rows)

    def merge_tasks(self, rows: pa.Table) -> int:
        """Put tasks in place of older versions of them."""
        predicate = "t.task_id = s.task_id"
        span = pc.min_max(rows["created_at"].cast(pa.int64())).as_py()
        if span["min"] is not None:
            low, high = (f"CAST('{stamp_of(span[end])}' AS TIMESTAMP)" for end in ("min", "max"))
            predicate += f" AND (t.created_at IS NULL OR (t.created_at >= {low} AND t.created_at <= {high}))"
        merging = self._merge("tasks", rows, predicate, merge_schema=True)
        merging.when_matched_update_all("s.version > t.version").when_not_matched_insert_all().execute()
        return int(rows.num_rows)

    def _merge(self, table: str, source: pa.Table, predicate: str, *, merge_schema: bool = False) -> Any:
        return self.open(table).merge(
            source,
            predicate,
            source_alias="s",
            target_alias="t",
            merge_schema=merge_schema,
            writer_properties=self._zstd(),
        )

    def _write(self, table: str, rows: pa.RecordBatchReader, mode: str) -> None:
        self.deltalake.write_deltalake(
            self._uri(table),
            rows,
            mode=mode,
            storage_options=self.options or None,
            writer_properties=self._zstd(),
        )

    def _zstd(self) -> Any:
        return self.deltalake.WriterProperties(compression="ZSTD", compression_level=1)

    def _uri(self, table: str) -> str:
        return self.uri if table == "tasks" else f"{self.uri.rstrip('/')}_{table}"


def _marked(rows: pa.Table, held: pa.Table, keys: list[str]) -> pa.Table:
    """Return the rows, and beside them the keys of those that are held and no more there, marked as gone."""
    kept = pc.is_in(_as_text(held, keys), value_set=_as_text(rows, keys).combine_chunks())
    gone = held.filter(pc.invert(kept))
    marked = [
        part.append_column(_GONE, pa.array(np.full(part.num_rows, is_gone)))
        for part, is_gone in ((rows, False), (gone, True))
    ]
    return pa.concat_tables(marked, promote_options="default")


def _as_text(rows: pa.Table, keys: list[str]) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(*(rows[name].cast(pa.string()) for name in keys), ":")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


class _Counted:
    """Counts rows as they go by."""

    def __init__(self, rows: pa.RecordBatchReader) -> None:
        self.rows = 0
        self.reader = pa.RecordBatchReader.from_batches(rows.schema, self._through(rows))

    def _through(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            self.rows += batch.num_rows
            yield batch


@dataclass(frozen=True, slots=True)
class _Span:
    """The tasks that were created from one time to another; None is an open end, and the last has those without one."""

    export: Export
    lake: _Lake
    start: int | None
    end: int | None

    def bring_over(self) -> Iterator[tuple[str, int]]:
        """Write what changed, and yield the rows by table."""
        changed = self._changed()
        if not len(changed):
            return
        is_changed = pc.field("task_id").isin(changed)
        for name in _children_first(self.export):
            table: ExportTable = getattr(self.export, name)
            if name == "tasks":
                yield name, self.lake.merge_tasks(_plain(table.to_arrow(filter=is_changed & self._within())))
            elif self.lake.has(name):
                yield name, self.lake.replace(name, _plain(table.to_arrow(filter=is_changed)), changed)
            else:
                yield name, self.lake.create(name, _stream(table))

    def _changed(self) -> pa.Array:
        """Name the tasks that the Delta table has not, or in an older version."""
        columns = ["task_id", "updated_at", "exported_at"]
        ours = self.export.tasks.to_arrow(columns=columns, filter=self._within())
        if not ours.num_rows:
            return pa.array([], pa.string())
        dataset = self.lake.open("tasks").to_pyarrow_dataset()
        theirs = dataset.to_table(columns=["task_id", "version"], filter=self._within())
        at = pc.index_in(ours["task_id"], value_set=theirs["task_id"].cast(pa.string()).combine_chunks())
        known = theirs["version"].cast(pa.string()).take(at)
        is_newer = pc.fill_null(pc.greater(_versions(ours), known), True)
        return ours["task_id"].filter(is_newer).combine_chunks()

    def _within(self) -> pc.Expression:
        created = pc.field("created_at")
        within = created.is_null() if self.end is None else pc.scalar(False)
        after = pc.scalar(True) if self.start is None else created > _time(self.start)
        before = pc.scalar(True) if self.end is None else created <= _time(self.end)
        return within | (created.is_valid() & after & before)


def _time(micros: int) -> pa.Scalar:
    return pa.scalar(micros, pa.timestamp("us", "UTC"))


def _stream(table: ExportTable) -> pa.RecordBatchReader:
    rows = table.scan()
    empty = _plain(rows.schema.empty_table())
    return pa.RecordBatchReader.from_batches(
        empty.schema, (plain for batch in rows for plain in _plain(pa.Table.from_batches([batch])).to_batches())
    )


def _plain(rows: pa.Table) -> pa.Table:
    """Return rows as Delta Lake can have them: text in place of dictionaries, tasks with their version."""
    schema = pa.schema(
        pa.field(item.name, pa.string() if pa.types.is_dictionary(item.type) else item.type) for item in rows.schema
    )
    plain = rows.cast(schema)
    return plain.append_column(_VERSION, _versions(plain)) if "params_json" in schema.names else plain


def _versions(tasks: pa.Table) -> pa.ChunkedArray:
    texts = [_digits(tasks[name]) for name in ("updated_at", "exported_at")]
    return pc.binary_join_element_wise(*texts, "-")


def _digits(times: pa.ChunkedArray) -> pa.ChunkedArray:
    micros = pc.max_element_wise(pc.fill_null(times.cast(pa.int64()), 0), 0)
    return pc.utf8_lpad(micros.cast(pa.string()), _DIGITS, "0")
