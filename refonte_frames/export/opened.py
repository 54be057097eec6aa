"""An exported folder as something to read from: tables as frames, Arrow, datasets and streams. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from refonte_frames.errors import ColumnError, ExportError, InputError
from refonte_frames.export.dataset import Dataset
from refonte_frames.export.export import export_tasks
from refonte_frames.export.filters import filters_of
from refonte_frames.export.places import moving_files
from refonte_frames.export.report import ExportReport
from refonte_frames.export.tables import DtypeBackend, check_options, names_of, to_pandas
from refonte_frames.schemas import SCHEMA_VERSION, SCHEMAS

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.export.dataset import FileEntry, Manifest

__all__ = ["Export", "ExportTable", "open_export"]

#: An Arrow expression, or conditions in the form that pandas.read_parquet takes.
Filter: TypeAlias = pc.Expression | list[Any] | None


class ExportTable:
    """One table of an exported folder, as it was when the folder was opened.

    Made by `open_export`, not by hand.
    """

    def __init__(self, name: str, root: Path, entries: list[FileEntry]) -> None:
        self.name = name
        self._root = root
        self._entries = entries

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the meaning of each field in its metadata."""
        return SCHEMAS[self.name]

    def __len__(self) -> int:
        return sum(entry.rows for entry in self._entries)

    def __repr__(self) -> str:
        return f"<ExportTable {self.name}: {len(self):,} rows, {len(self.schema)} columns>"

    def dataset(self) -> pads.Dataset:
        """Return the table as a pyarrow dataset, for DuckDB and everything else that takes one."""
        names = [f"{self.name}/{entry.name}" for entry in self._entries]
        return pads.dataset(names, schema=self.schema, format="parquet", filesystem=moving_files(self._root))

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
        return self.dataset().scanner(columns=names, filter=self._expression(filter)).to_reader()

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

    def __init__(self, dataset: Dataset, manifest: Manifest) -> None:
        self._dataset = dataset
        self._manifest = manifest

    @property
    def path(self) -> Path:
        """The folder."""
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
    def report(self) -> ExportReport:
        """The report of the run that wrote the folder."""
        return ExportReport.from_json(self.path, self._manifest.report)

    def refresh(self, *, progress: bool = True, client: Client | None = None) -> ExportReport:
        """Bring the folder up to date, with the filters that it was exported with, and read from the new state.

        Parameters
        ----------
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
        filters = filters_of(**settings.filters)
        report = export_tasks(
            self.path,
            tables=settings.tables,
            **settings.filters,
            incremental=not filters.unsteady(),
            progress=progress,
            client=client,
        )
        self._manifest = self._dataset.manifest() or self._manifest
        return report

    def __repr__(self) -> str:
        rows = ", ".join(f"{count:,} {table}" for table, count in self._manifest.report["rows"].items())
        return f"<Export {self.path}: {rows}, of {self._manifest.finished_at}>"

    def _table(self, name: str) -> ExportTable:
        entries = self._manifest.files.get(name)
        if entries is None:
            raise ExportError(
                f"{self.path} was exported without the table {name}. It has {', '.join(self._manifest.files)}."
            )
        for entry in entries:
            self._dataset.path_of(name, entry)
        return ExportTable(name, self.path, entries)


def open_export(path: str | os.PathLike[str]) -> Export:
    """Open a folder that `export_tasks` wrote.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    Export
        Its tables `tasks`, `audits` and `annotations`, and the `report` of the run that wrote them.

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
    dataset = Dataset(path)
    manifest = dataset.manifest()
    if manifest is None:
        raise ExportError(f"{dataset.root} holds no finished export. Call rf.export_tasks({str(path)!r}) first.")
    if manifest.schema_version != SCHEMA_VERSION:
        raise ExportError(
            f"{dataset.root} has tables of version {manifest.schema_version}, this package reads {SCHEMA_VERSION}. "
            "Export into another folder."
        )
    return Export(dataset, manifest)
