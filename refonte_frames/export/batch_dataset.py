"""What users call to keep batches, and how they came along, in a folder of Parquet files: `export_batches`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refonte_frames.client import resolve_client
from refonte_frames.export.batches import BatchReading
from refonte_frames.export.filters import filters_of
from refonte_frames.export.keyed import replace_by_key
from refonte_frames.schemas import BATCH_SNAPSHOTS

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import pyarrow as pa

    from refonte_frames.client import Client
    from refonte_frames.export.drift import Drift
    from refonte_frames.export.filters import TimeLike
    from refonte_frames.export.report import ExportReport

__all__ = ["export_batches"]


def export_batches(  # noqa: PLR0913 - the filters are the service's own names, each worth a keyword
    path: str | os.PathLike[str],
    *,
    project: str | None = None,
    status: str | None = None,
    created_after: TimeLike | None = None,
    created_before: TimeLike | None = None,
    detailed: bool = True,
    filesystem: Any = None,
    progress: bool = True,
    client: Client | None = None,
) -> ExportReport:
    """Keep batches in a folder of Parquet files, and with every call how far each of them is.

    Parameters
    ----------
    path : path
        A folder of its own: new, empty, or written by an earlier call with the same filters.
    project, status, created_after, created_before : optional
        Which batches, as for `read_batches`. With `status` the table holds the batches that are in this state now.
    detailed : bool
        Fill in how many tasks of each batch are in which state; null otherwise.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where the folder lies. Default: this machine's disk.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    ExportReport
        What was read and what came of it, in ``changes``.

    Raises
    ------
    InputError
        For an unusable filter; nothing was sent.
    ExportError
        If the folder was exported with other filters, from another host, or with another key; if it holds other
        files or cannot be written; or if somebody else is writing to it.

    Notes
    -----
    Every call reads all batches once more, for the requests of `read_batches`. ``path / "batches"`` has one row per
    batch, the newest reading; ``path / "batch_snapshots"`` gains one row per batch and call, so that a batch's way can
    be drawn. Killed at any instant, the folder is as before the call or as after it.

    Examples
    --------
    >>> rf.export_batches("batches", project="no_such_project").rows
    {'batches': 0, 'batch_snapshots': 0}

    >>> rf.export_batches("batches")
    Traceback (most recent call last):
    refonte_frames.errors.ExportError: batches was exported differently: project was 'no_such_project' ...
    """
    bounds = {"project": project, "created_after": created_after, "created_before": created_before}
    reading = BatchReading.of(**bounds, status=status, detailed=detailed)
    asker = resolve_client(client).for_one_run()

    def read(drift: Drift) -> Iterator[tuple[str, pa.Table]]:
        batches = reading.table(asker, drift, progress=False)
        yield "batches", batches
        yield "batch_snapshots", _snapshots(batches)

    return replace_by_key(
        path,
        tables=["batches", "batch_snapshots"],
        filters=filters_of(**bounds).as_json() | ({"status": status} if status else {}) | {"detailed": detailed},
        read=read,
        client=asker,
        appended={"batch_snapshots"},
        keep_unlisted=status is None,
        progress=progress,
        filesystem=filesystem,
    )


def _snapshots(batches: pa.Table) -> pa.Table:
    names = ["exported_at" if name == "observed_at" else name for name in BATCH_SNAPSHOTS.names]
    return batches.select(names).rename_columns(BATCH_SNAPSHOTS.names).cast(BATCH_SNAPSHOTS)
