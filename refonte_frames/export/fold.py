"""Puts an increment and the files of the last run together: which files stay, which are rewritten. Reads files only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refonte_frames.export.dataset import Piece
from refonte_frames.export.versions import Increment, Version, versions_of
from refonte_frames.schemas import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from refonte_frames.export.dataset import Dataset, FileEntry, Layout, Manifest, Run, WindowDone

__all__ = ["fold", "piece_of"]


def piece_of(run: Run, done: WindowDone) -> Piece:
    """Return the files that a finished window wrote."""
    return Piece({table: run.parts / table / entry.name for table, entry in done.files.items()}, done.files)


def fold(dataset: Dataset, manifest: Manifest, run: Run) -> tuple[Layout, Increment]:
    """Decide the files of the next generation.

    A base file is rewritten only when the increment has a newer version of one of its tasks; these rows leave it, and
    come with the increment's own files, audits and answers with their task.
    """
    parts = [piece_of(run, done) for done in run.finished() if "tasks" in done.files]
    increment = Increment()
    for position, part in enumerate(parts):
        increment.add_part(position, _versions(part, None))
    base = [_left(piece, increment) for piece in _base_pieces(dataset, manifest) if piece.entries["tasks"].rows]
    fresh = [_won(part, position, increment) for position, part in enumerate(parts)]
    return [piece for piece in (*fresh, *base) if piece is not None], increment


def _base_pieces(dataset: Dataset, manifest: Manifest) -> Iterable[Piece]:
    """Group the base files by the window they came from: the same name in every table."""
    by_name: dict[str, dict[str, FileEntry]] = {}
    for table, entries in manifest.files.items():
        for entry in entries:
            by_name.setdefault(entry.name, {})[table] = entry
    for entries_of in by_name.values():
        if "tasks" in entries_of:
            yield Piece({table: dataset.path_of(table, entry) for table, entry in entries_of.items()}, entries_of)


def _left(piece: Piece, increment: Increment) -> Piece | None:
    """Return what stays of a base file."""
    ids = pq.read_table(piece.paths["tasks"], columns=["task_id"], partitioning=None)["task_id"]
    common = increment.common(ids)
    if not len(common):
        return piece
    won = increment.replaced(_versions(piece, common))
    if not won:
        return piece
    keep = [task_id for task_id in ids.to_pylist() if task_id not in won]
    return Piece(piece.paths, piece.entries, pa.array(keep, pa.string())) if keep else None


def _won(part: Piece, position: int, increment: Increment) -> Piece | None:
    """Return what goes in of a part of the increment."""
    ids = pq.read_table(part.paths["tasks"], columns=["task_id"], partitioning=None)["task_id"].to_pylist()
    keep = increment.kept(position, ids)
    if len(keep) == len(ids):
        return part
    return Piece(part.paths, part.entries, pa.array(keep, pa.string())) if keep else None


def _versions(piece: Piece, task_ids: pa.Array | None) -> dict[str, Version]:
    """Read the versions of a file's tasks; of those in `task_ids` only, when given."""
    versions: dict[str, Version] = {}
    audits = _rows(piece.paths["audits"], "audits", task_ids) if "audits" in piece.paths else None
    for batch in pq.ParquetFile(piece.paths["tasks"]).iter_batches(_BATCH_ROWS):
        tasks = _selected(pa.Table.from_batches([batch]), task_ids).cast(SCHEMAS["tasks"])
        versions |= versions_of(tasks, None if audits is None else _selected(audits, tasks["task_id"].combine_chunks()))
    return versions


#: Tasks that are compared at a time.
_BATCH_ROWS = 10_000


def _rows(path: Path, table: str, task_ids: pa.Array | None) -> pa.Table:
    return _selected(pq.read_table(path, partitioning=None), task_ids).cast(SCHEMAS[table])


def _selected(rows: pa.Table, task_ids: pa.Array | None) -> pa.Table:
    return rows if task_ids is None else rows.filter(pc.is_in(rows["task_id"], value_set=task_ids))
