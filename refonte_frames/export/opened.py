"""An exported folder as an object: its tables to read from; what brings it up to date or in order is done elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from refonte_frames.errors import ColumnError, ExportError, InputError
from refonte_frames.export.attempts import export_attempts
from refonte_frames.export.batch_dataset import export_batches
from refonte_frames.export.compaction import compact
from refonte_frames.export.dataset import Dataset
from refonte_frames.export.export import export_tasks
from refonte_frames.export.filters import filters_of
from refonte_frames.export.layers import files_of, rows_of
from refonte_frames.export.places import places
from refonte_frames.export.report import ExportReport
from refonte_frames.export.spreadsheets import to_csv, to_excel
from refonte_frames.export.streams import stream_of
from refonte_frames.export.tables import DtypeBackend, check_options, names_of, to_pandas
from refonte_frames.schemas import SCHEMA_VERSION

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from pathlib import Path

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.export.dataset import Manifest
    from refonte_frames.export.places import Store

__all__ = ["Export", "ExportTable", "open_export"]

#: An Arrow expression, or conditions in the form that pandas.read_parquet takes.
Filter: TypeAlias = pc.Expression | list[Any] | None

#: Who brings a folder up to date that holds no tasks, by its first table.
_EXPORTERS: Final[dict[str, Callable[..., ExportReport]]] = {
    "batches": export_batches,
    "attempts": export_attempts,
}


class ExportTable:
    """One table of an exported folder, as it was when the folder was opened.

    Made by `open_export`, not by hand.
    """

    def __init__(self, name: str, store: Store, manifest: Manifest) -> None:
        self.name = name
        self._store = store
        self._manifest = manifest

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the meaning of each field in its metadata; promoted columns are the last."""
        return self._manifest.settings.schemas()[self.name]

    def __len__(self) -> int:
        return int(self._manifest.report["rows"][self.name])

    def __repr__(self) -> str:
        return f"<ExportTable {self.name}: {len(self):,} rows, {len(self.schema)} columns>"

    def dataset(self) -> pads.Dataset:
        """Return the table as a pyarrow dataset, for DuckDB, polars and everything else that takes one.

        Rows whose place an increment under ``_delta/`` takes are filtered out.
        """
        return rows_of(self._store, self._manifest, self.name)

    def require_files(self) -> None:
        """Name a file that is gone."""
        for name in files_of(self._manifest, self.name):
            if not any(self._store.exists(place) for place in places(self._store, name)):
                raise ExportError(
                    f"{self._store.shown}/{name} is missing, though the manifest lists it. "
                    "Export again with full=True to mend the folder."
                )

    def to_arrow(self, *, columns: Sequence[str] | None = None, filter: Filter = None) -> pa.Table:
        """Read the table into memory.

        Parameters
        ----------
        columns : list of str, optional
            Only these, in this order.
        filter : pyarrow expression, or conditions as pandas.read_parquet takes them, optional
            Only rows that match.

        Raises
        ------
        ColumnError
            For a column that the table does not have.
        InputError
            For a filter of another form.
        """
        return self.dataset().to_table(columns=self._columns(columns), filter=self._expression(filter))

    def to_pandas(
        self,
        *,
        columns: Sequence[str] | None = None,
        filter: Filter = None,
        dtype_backend: DtypeBackend = "pyarrow",
        categories: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Read the table into a frame.

        Parameters
        ----------
        columns : list of str, optional
            Only these, in this order.
        filter : pyarrow expression, or conditions as pandas.read_parquet takes them, optional
            Only rows that match, such as ``[("status", "==", "completed")]``.
        dtype_backend : {"pyarrow", "numpy_nullable"}
            As in pandas.
        categories : list of str
            Text columns that shall be pandas categories.

        Raises
        ------
        ColumnError
            For a column that the table does not have.
        InputError
            For a filter of another form.
        """
        names = self._columns(columns)
        check_options(dtype_backend, categories, pa.schema([self.schema.field(name) for name in names]))
        rows = self.to_arrow(columns=names, filter=filter)
        return to_pandas(rows, dtype_backend=dtype_backend, categories=categories)

    def scan(self, *, columns: Sequence[str] | None = None, filter: Filter = None) -> pa.RecordBatchReader:
        """Stream the table in constant memory.

        Parameters
        ----------
        columns, filter
            As for `to_arrow`.
        """
        names = self._columns(columns)
        rows = self.dataset().scanner(columns=names, filter=self._expression(filter)).to_reader()
        return stream_of(rows.schema, rows)

    def to_csv(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Sequence[str] | None = None,
        filter: Filter = None,
        excel_safe: bool = True,
    ) -> None:
        """Write the table as a CSV file, in constant memory; see `refonte_frames.to_csv`.

        Parameters
        ----------
        path : path
            The file; it is replaced in one step once it is whole.
        columns, filter
            As for `to_arrow`.
        excel_safe : bool
            Mark texts that a spreadsheet would take for a formula.
        """
        to_csv(self.scan(columns=columns, filter=filter), path, excel_safe=excel_safe)

    def to_excel(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Sequence[str] | None = None,
        filter: Filter = None,
        long_texts: Literal["error", "cut"] = "error",
    ) -> None:
        """Write the table as an Excel file with one sheet; see `refonte_frames.to_excel`.

        Parameters
        ----------
        path : path
            The file; it is replaced in one step once it is whole.
        columns, filter
            As for `to_arrow`.
        long_texts : {"error", "cut"}
            What to do with a text that is too long for a cell.
        """
        to_excel({self.name: self.scan(columns=columns, filter=filter)}, path, long_texts=long_texts)

    def _columns(self, columns: Sequence[str] | None) -> list[str]:
        if columns is None:
            return list(self.schema.names)
        for name in names_of(columns):
            self._require(name)
        return list(dict.fromkeys(names_of(columns)))

    def _require(self, name: str) -> None:
        if name not in self.schema.names:
            raise ColumnError(
                f"The table {self.name} has no column {name!r}. There are {', '.join(self.schema.names)}."
            )

    def _expression(self, filter_: Filter) -> pc.Expression | None:
        """Make an Arrow expression of whatever was given."""
        if filter_ is None or isinstance(filter_, pc.Expression):
            return filter_
        try:
            expression = pq.filters_to_expression(filter_)
            groups = [filter_] if isinstance(filter_[0][0], str) else filter_
            names = [condition[0] for group in groups for condition in group]
        except (TypeError, ValueError, LookupError):
            raise InputError(
                f"filter={filter_!r}: give a pyarrow expression, or conditions such as "
                '[("status", "==", "completed")], all of which hold; a list of such lists, one of which holds.'
            ) from None
        for name in names:
            self._require(name)
        return expression


class Export:
    """An exported folder, as the last finished run left it; a later run does not change what this one reads.

    Made by `open_export`, not by hand. Superseded files are kept for an hour after the run that replaced them.
    """

    def __init__(self, path: str | os.PathLike[str], filesystem: Any, dataset: Dataset, manifest: Manifest) -> None:
        self._given_path = path
        self._filesystem = filesystem
        self._dataset = dataset
        self._manifest = manifest

    @property
    def path(self) -> Path:
        """The folder; a pure path where it lies on another file system."""
        return self._dataset.root

    @property
    def tasks(self) -> ExportTable:
        """One row per task."""
        return self._table("tasks")

    @property
    def audits(self) -> ExportTable:
        """One row per audit."""
        return self._table("audits")

    @property
    def annotations(self) -> ExportTable:
        """One row per answer element."""
        return self._table("annotations")

    @property
    def batches(self) -> ExportTable:
        """One row per batch, of a folder that `export_batches` wrote."""
        return self._table("batches")

    @property
    def batch_snapshots(self) -> ExportTable:
        """The counts of every batch at every export, of a folder that `export_batches` wrote."""
        return self._table("batch_snapshots")

    @property
    def attempts(self) -> ExportTable:
        """One row per attempt of a labeler, of a folder that `export_attempts` wrote."""
        return self._table("attempts")

    @property
    def report(self) -> ExportReport:
        """The report of the run that wrote the folder."""
        return ExportReport.from_json(self.path, self._manifest.report)

    def refresh(
        self,
        *,
        full: bool = False,
        audit_lookback: timedelta | float | None = 30.0,
        fold: bool = True,
        progress: bool = True,
        client: Client | None = None,
    ) -> ExportReport:
        """Bring the folder up to date, with the filters that it was exported with, and read from the new state.

        Parameters
        ----------
        full, audit_lookback, fold
            As for `export_tasks`; a folder of batches or attempts is read in full every time.
        progress : bool
            Show a bar where there is somebody to see it.
        client : Client, optional
            Default: made from the environment.

        Returns
        -------
        ExportReport
            As `export_tasks` returns it.
        """
        settings = self._manifest.settings
        if "tasks" in settings.tables:
            report = export_tasks(
                self._given_path,
                tables=settings.tables,
                **settings.filters,
                incremental=not filters_of(**settings.filters).unsteady(),
                full=full,
                audit_lookback=audit_lookback,
                fold=fold,
                promote=settings.promote,
                filesystem=self._filesystem,
                progress=progress,
                client=client,
            )
        else:
            again = _EXPORTERS[settings.tables[0]]
            where = {} if self._filesystem is None else {"filesystem": self._filesystem}
            report = again(self._given_path, **settings.filters, **where, progress=progress, client=client)
        self._manifest = self._dataset.manifest() or self._manifest
        return report

    def compact(self, *, client: Client | None = None) -> None:
        """Write all files anew: sorted, in large row groups, with the increments under ``_delta/`` put in.

        Sends nothing, unless callbacks were received into the folder: the tasks that they announced are read first. In
        a folder that every export rewrites, because of its filters, they wait for the next one.
        Costs about as much as writing the folder did. A run that was killed and not gone on with begins anew
        afterwards. Superseded files stay for an hour. Killed at any instant, the folder is as before or as it is to be.

        Parameters
        ----------
        client : Client, optional
            Asked for the tasks that callbacks announced. Default: made from the environment, if there are any.

        Raises
        ------
        ExportError
            If the folder cannot be written, or somebody else is writing to it; or if callbacks wait and the client has
            another host or key than the folder was exported with.
        ConfigError
            If callbacks wait and no client can be made.
        """
        self._manifest = compact(self._dataset, client) or self._manifest

    def spans(self) -> list[tuple[int | None, int | None]]:
        """Cut time so that each span holds the tasks of about one file: after the start, up to the end, None is open.

        Microseconds since 1970. For reading a large folder piece by piece.
        """
        ends = sorted({entry.newest for entry in self._manifest.files["tasks"] if entry.newest is not None})[:-1]
        return list(zip([None, *ends], [*ends, None], strict=True))

    def __repr__(self) -> str:
        rows = ", ".join(f"{count:,} {table}" for table, count in self._manifest.report["rows"].items())
        return f"<Export {self.path}: {rows}, of {self._manifest.finished_at}>"

    def _table(self, name: str) -> ExportTable:
        if name not in self._manifest.files:
            raise ExportError(
                f"{self.path} was exported without the table {name}. It has {', '.join(self._manifest.files)}."
            )
        table = ExportTable(name, self._dataset.store, self._manifest)
        table.require_files()
        return table


def open_export(path: str | os.PathLike[str], *, filesystem: Any = None) -> Export:
    """Open a folder that `export_tasks`, `export_batches` or `export_attempts` wrote.

    Parameters
    ----------
    path : path
        The folder.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where it lies; default: this machine's disk.

    Returns
    -------
    Export
        Its tables, such as `tasks`, `audits` and `annotations`, and the `report` of the run that wrote them.

    Raises
    ------
    ExportError
        If no run has finished there, or a newer version wrote it.

    Notes
    -----
    Sends nothing and reads no rows until it is asked for some.

    Examples
    --------
    >>> import tempfile
    >>> root = tempfile.mkdtemp()
    >>> _ = rf.export_tasks(root, project="no_such_project")
    >>> rf.open_export(root).tasks
    <ExportTable tasks: 0 rows, 31 columns>

    >>> rf.open_export(root + "/nothing_here")
    Traceback (most recent call last):
    refonte_frames.errors.ExportError: ... holds no finished export. ...
    """
    dataset = Dataset(path, filesystem)
    manifest = dataset.manifest()
    if manifest is None:
        raise ExportError(f"{dataset.root} holds no finished export. Call rf.export_tasks({str(path)!r}) first.")
    if manifest.schema_version != SCHEMA_VERSION:
        raise ExportError(
            f"{dataset.root} has tables of version {manifest.schema_version}, this package reads {SCHEMA_VERSION}. "
            "Export into another folder."
        )
    return Export(path, filesystem, dataset, manifest)
