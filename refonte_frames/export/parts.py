"""Parquet files of the tables of tasks: small ones as windows finish, and those of the base, made of their row groups.

The files of the base are sorted by created_at. Row groups that need no change go from file to file as they are;
only those that lose, gain or mix rows, and very small ones, are decoded and written anew.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from refonte_frames.export.places import open_moving
from refonte_frames.export.splice import RowGroups, Splicer, with_used_values, writer_options
from refonte_frames.schemas import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.export.places import Store
    from refonte_frames.export.sweep import Batches

__all__ = ["FILE_ROWS", "Assembler", "FileEntry", "Material", "PartWriter"]

#: Rows that a file holds at most.
FILE_ROWS: Final = 500_000
#: Tasks of a part that a window writes: putting parts together holds the ids of a few in memory.
_PART_TASKS: Final = 25_000
#: What the rows of one task hold in memory at most, on average over a row group; usual ones have a third of it.
_TASK_BYTES: Final = 16 * 2**10
#: Row groups of fewer tasks are written together with neighbours that are as small. Larger groups would read faster,
#: but most of what a first export writes would then be written twice.
_LEAST_GROUP_TASKS: Final = 500
#: Tasks of a row group that is written anew: larger ones gain nothing and cost memory.
_GROUP_TASKS: Final = 20_000


class FileEntry(Struct, frozen=True):
    """One Parquet file; times are microseconds since 1970, None where no row has one.

    Files of one `piece` hold the rows of the same tasks.
    """

    name: str
    rows: int
    bytes: int
    sha256: str = ""
    oldest: int | None = None
    newest: int | None = None
    piece: str = ""


class PartWriter:
    """Writes the rows of one window, oldest first within a row group.

    Parameters
    ----------
    store : Store
        Where to.
    folder : str
        Gets a subfolder per table.
    schemas : mapping of str to pyarrow.Schema
        The tables.
    stem : str
        Makes the names of the files differ from all others of the folder.
    group_tasks : int
        Tasks that make a row group: larger ones compress better and need more memory. Groups of large tasks have
        fewer.
    """

    def __init__(
        self, store: Store, folder: str, schemas: Mapping[str, pa.Schema], stem: str, *, group_tasks: int
    ) -> None:
        self._store = store
        self._folder = folder
        self._schemas = schemas
        self._stem = stem
        self._group_tasks = group_tasks
        self._waiting: list[Batches] = []
        self._waiting_tasks = self._waiting_bytes = 0
        self._parts: list[dict[str, FileEntry]] = []
        self._begin()

    def _begin(self) -> None:
        self._files = ExitStack()
        self._writers: dict[str, tuple[pq.ParquetWriter, pa.NativeFile]] = {}
        self._rows = dict.fromkeys(self._schemas, 0)
        self._span: tuple[int | None, int | None] = (None, None)

    def write(self, batches: Batches) -> None:
        """Add rows to every table."""
        self._waiting.append(batches)
        self._waiting_tasks += batches["tasks"].num_rows
        self._waiting_bytes += sum(batch.nbytes for batch in batches.values())
        if self._waiting_tasks >= self._group_tasks or self._waiting_bytes >= self._group_tasks * _TASK_BYTES:
            self._flush()
        if self._rows["tasks"] >= _PART_TASKS:
            self._end_part()

    def finish(self) -> list[dict[str, FileEntry]]:
        """Close the files, make sure that they are on the disk, and return them by part and table."""
        self._flush()
        self._end_part()
        return self._parts

    def _end_part(self) -> None:
        entries = {}
        for table, (writer, file) in self._writers.items():
            writer.close()
            size, rows = file.tell(), self._rows[table]
            entries[table] = FileEntry(self._name(), rows, size, "", *self._span)
        self._files.close()
        if entries:
            self._parts.append(entries)
        self._begin()

    def _flush(self) -> None:
        waiting = sorted(self._waiting, key=lambda batches: _span(batches["tasks"])[0] or 0)
        self._waiting, self._waiting_tasks, self._waiting_bytes = [], 0, 0
        for batches in waiting:
            self._span = _wider(self._span, _span(batches["tasks"]))
        for table, schema in self._schemas.items():
            rows = [batches[table] for batches in waiting if batches[table].num_rows]
            if rows:
                self._write_table(table, pa.Table.from_batches(rows, schema))

    def _write_table(self, table: str, rows: pa.Table) -> None:
        if table not in self._writers:
            file = self._files.enter_context(self._store.create(f"{self._folder}/{table}/{self._name()}"))
            schema = self._schemas[table]
            self._writers[table] = (pq.ParquetWriter(file, schema, **writer_options(schema)), file)
        self._writers[table][0].write_table(with_used_values(rows), row_group_size=rows.num_rows)
        self._rows[table] += rows.num_rows

    def _name(self) -> str:
        return f"part-{self._stem}-{len(self._parts)}.parquet"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for writer, _ in self._writers.values():
            writer.is_open = False  # its rows are not wanted, and its file is closed below
        self._files.__exit__(*exc_info)  # type: ignore[arg-type] # what a context manager is given


def _span(tasks: pa.RecordBatch | pa.Table) -> tuple[int | None, int | None]:
    found = pc.min_max(tasks["created_at"].cast(pa.int64()))
    return found["min"].as_py(), found["max"].as_py()


def _wider(one: tuple[int | None, int | None], other: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    oldest = [value for value in (one[0], other[0]) if value is not None]
    newest = [value for value in (one[1], other[1]) if value is not None]
    return min(oldest, default=None), max(newest, default=None)


@dataclass(frozen=True, slots=True)
class Material:
    """Files whose rows go into a piece.

    Attributes
    ----------
    files : dict of str to list of str
        Their names below the folder, by table.
    keep, drop : pyarrow.Array or None
        Ids of the tasks that alone are taken, and of those that are left out; None takes all, and leaves out none.
    """

    files: dict[str, list[str]]
    keep: pa.Array | None = None
    drop: pa.Array | None = None

    @property
    def is_part(self) -> bool:
        """Whether some of its tasks are left out."""
        return self.keep is not None or (self.drop is not None and len(self.drop) > 0)

    def wanted(self, task_ids: pa.ChunkedArray) -> Any:
        """Say for each row of these tasks whether it is taken."""
        wanted = np.ones(len(task_ids), bool)
        if self.keep is not None:
            wanted &= pc.is_in(task_ids, value_set=self.keep).to_numpy()
        if self.drop is not None:
            wanted &= ~pc.is_in(task_ids, value_set=self.drop).to_numpy()
        return wanted


@dataclass(slots=True)
class Assembler:
    """Makes pieces of the base out of the files of other pieces and of windows.

    Attributes
    ----------
    store : Store
        Where all files lie.
    folder : str
        Where the new ones go, below a subfolder per table.
    schemas : mapping of str to pyarrow.Schema
        The tables.
    stem : str
        Makes the names of the files differ from all others of the folder.
    regroups : bool
        Write everything anew, in large row groups.
    """

    store: Store
    folder: str
    schemas: Mapping[str, pa.Schema]
    stem: str
    regroups: bool = False
    _made: int = 0

    def assemble(self, materials: Sequence[Material], most_tasks: int) -> list[dict[str, list[FileEntry]]]:
        """Put materials together, sorted by created_at, as pieces of about equal size that hold no more than allowed.

        Returns
        -------
        list of dict
            The files of each piece by table; none for a table without rows, and no piece where no task is left.
        """
        order = _Order.of(self.store, materials)
        if not len(order.ids):
            return []
        with ExitStack() as opened:
            tasks = _clusters(self._groups("tasks", materials, order, opened))
            cuts = _cuts(tasks, len(order.ids), most_tasks)
            pieces: list[dict[str, list[FileEntry]]] = [{} for _ in range(len(cuts) + 1)]
            for table in self.schemas:
                clusters = tasks if table == "tasks" else _clusters(self._groups(table, materials, order, opened))
                output = _Output(self, table, cuts, order, pieces)
                _Filling(output, order, materials, cuts, self.regroups).fill(clusters)
                output.close()
            self._made += len(pieces)
        return [piece for piece in pieces if piece]

    def name(self, piece: int, number: int) -> str:
        """Name a file of a piece."""
        further = f"-{number}" if number else ""
        return f"part-{self.stem}-{self._made + piece:05d}{further}.parquet"

    def _groups(self, table: str, materials: Sequence[Material], order: _Order, opened: ExitStack) -> Iterator[_Group]:
        """Find where the rows of each row group go."""
        files = [
            (position, _File(self.store, name, opened))
            for position, material in enumerate(materials)
            for name in material.files.get(table, ())
        ]
        ranks = order.ranks([(position, file.ids()) for position, file in files], materials)
        end = 0
        for _, file in files:
            for index, rows in enumerate(file.sizes):
                start, end = end, end + rows
                group = _Group.of(file, index, ranks[start:end])
                if group is not None:
                    yield group


class _File:
    """A Parquet file that rows are taken from."""

    def __init__(self, store: Store, name: str, opened: ExitStack) -> None:
        self.file = opened.enter_context(open_moving(store, name))
        self.groups = RowGroups(self.file, name)
        self.parquet = pq.ParquetFile(self.file)
        metadata = self.parquet.metadata
        self.sizes = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]

    def ids(self) -> pa.ChunkedArray:
        """Read the ids of the tasks of all rows."""
        return self.parquet.read(columns=["task_id"])["task_id"]


@dataclass(slots=True)
class _Order:
    """All tasks of an assembly, by created_at; those without one last.

    Attributes
    ----------
    ids : pyarrow.Array
        Their ids.
    created : numpy.ndarray
        Microseconds since 1970; the smallest integer for none.
    repeated : dict of int to pyarrow.Array
        Tasks that an earlier one of the materials has as well, by the position of the later one.
    """

    ids: pa.Array
    created: Any
    repeated: dict[int, pa.Array] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, materials: Sequence[Material]) -> _Order:
        read = [_heads(store, material) for material in materials]
        heads = pa.concat_tables([_NO_HEADS, *read]).combine_chunks()
        positions = np.repeat(np.arange(len(read)), [rows.num_rows for rows in read])
        repeated = {}
        if pc.count_distinct(heads["task_id"]).as_py() < heads.num_rows:
            is_again = _is_again(heads["task_id"], positions)
            for position in np.unique(positions[is_again]).tolist():
                again = heads.filter(pa.array(is_again & (positions == position)))
                repeated[position] = again["task_id"].combine_chunks()
            heads = heads.filter(pa.array(~is_again))
        heads = heads.take(pc.sort_indices(heads, [("created_at", "ascending"), ("task_id", "ascending")]))
        created = pc.fill_null(heads["created_at"].cast(pa.int64()), _NO_TIME).to_numpy()
        return cls(heads["task_id"].combine_chunks(), created, repeated)

    def ranks(self, files: Sequence[tuple[int, pa.ChunkedArray]], materials: Sequence[Material]) -> Any:
        """Return the places of the rows of files, one after the other, by their tasks; -1 for rows that are not taken.

        Parameters
        ----------
        files : sequence of (int, pyarrow.ChunkedArray)
            The position of the material that a file belongs to, and the ids of the tasks of its rows.
        materials : sequence of Material
            All of them.
        """
        runs = [_runs(task_ids) for _, task_ids in files]
        # All at once: each look-up makes a table of all ids first.
        heads = pa.chunked_array([chunk for tasks, _ in runs for chunk in tasks.chunks], pa.string())
        ranks = pc.fill_null(pc.index_in(heads, value_set=self.ids), -1).to_numpy().copy()
        end = 0
        for (position, _), (tasks, _) in zip(files, runs, strict=True):
            start, end = end, end + len(tasks)
            if materials[position].is_part:
                ranks[start:end][~materials[position].wanted(tasks)] = -1
            if position in self.repeated:
                ranks[start:end][pc.is_in(tasks, value_set=self.repeated[position]).to_numpy()] = -1
        return np.repeat(ranks, np.concatenate([np.array([], np.int64), *(lengths for _, lengths in runs)]))

    def span(self, low: int, high: int) -> tuple[int | None, int | None]:
        """Return the first and last created_at of the tasks from one place to another."""
        known = self.created[low:high]
        known = known[known != _NO_TIME]
        return (int(known.min()), int(known.max())) if len(known) else (None, None)


def _is_again(task_ids: pa.ChunkedArray, positions: Any) -> Any:
    """Say which rows are of tasks that one of the earlier materials has as well; positions ascend."""
    numbers = task_ids.combine_chunks().dictionary_encode().indices.to_numpy()
    _, first_rows = np.unique(numbers, return_index=True)
    return positions > positions[first_rows][numbers]


def _runs(task_ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, Any]:
    """Return the task of each run of rows, and how many rows it has: most rows are of the task of the row before."""
    length = len(task_ids)
    is_other = pc.not_equal(task_ids.slice(1), task_ids.slice(0, max(length - 1, 0))).to_numpy()
    starts = np.concatenate([np.arange(min(length, 1)), np.flatnonzero(is_other) + 1])
    return task_ids.take(pa.array(starts)), np.diff(starts, append=length)


_NO_TIME: Final = -(2**63)
_NO_HEADS: Final = pa.schema([("task_id", pa.string()), ("created_at", pa.timestamp("us", "UTC"))]).empty_table()


def _heads(store: Store, material: Material) -> pa.Table:
    """Read the ids and times of the tasks that are taken."""
    read = [_NO_HEADS]
    for name in material.files.get("tasks", ()):
        with open_moving(store, name) as file:
            read.append(pq.ParquetFile(file).read(columns=["task_id", "created_at"]).cast(_NO_HEADS.schema))
    rows = pa.concat_tables(read)
    return rows.filter(pa.array(material.wanted(rows["task_id"]))) if material.is_part else rows


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group, and the places that its rows take."""

    file: _File
    index: int
    ranks: Any
    low: int
    high: int
    is_whole: bool

    @classmethod
    def of(cls, file: _File, index: int, ranks: Any) -> _Group | None:
        """Return None where no row is taken."""
        taken = ranks[ranks >= 0]
        if not len(taken):
            return None
        is_sorted = bool((np.diff(taken) >= 0).all())
        return cls(file, index, ranks, int(taken.min()), int(taken.max()), is_sorted and len(taken) == len(ranks))

    def read(self, low: int, high: int) -> tuple[pa.Table, Any]:
        """Read the rows that take places from one to another, and these places."""
        mask = (self.ranks >= low) & (self.ranks < high)
        rows = self.file.parquet.read_row_group(self.index)
        return (rows if mask.all() else rows.filter(pa.array(mask))), self.ranks[mask]


_Cluster = list[_Group]


def _clusters(groups: Iterator[_Group]) -> list[_Cluster]:
    """Group row groups whose places overlap; in the order of the places."""
    clusters: list[_Cluster] = []
    high = -1
    for group in sorted(groups, key=lambda group: (group.low, group.high)):
        if group.low > high:
            clusters.append([])
        clusters[-1].append(group)
        high = max(high, group.high)
    return clusters


def _bounds(clusters: Sequence[_Cluster]) -> tuple[int, int]:
    return min(group.low for group in clusters[0]), 1 + max(group.high for cluster in clusters for group in cluster)


def _cuts(tasks: Sequence[_Cluster], total: int, most_tasks: int) -> list[int]:
    """Say where pieces begin, but for the first: where a cluster does, so that row groups stay whole."""
    starts = np.array([_bounds([cluster])[0] for cluster in tasks])
    count = max(1, 2 * total // most_tasks) if total > most_tasks else 1
    wanted = [total * number // count for number in range(1, count)]
    cuts = {_nearest(starts, place, most_tasks) for place in wanted}
    return sorted(cut for cut in cuts if 0 < cut < total)


def _nearest(starts: Any, place: int, most_tasks: int) -> int:
    """Return the nearest start; the very place where that is too far away."""
    found = int(starts[np.abs(starts - place).argmin()])
    return found if abs(found - place) <= most_tasks // 10 else place


@dataclass(slots=True)
class _Filling:
    """Carries the rows of one table over, copying where that is possible."""

    output: _Output
    order: _Order
    materials: Sequence[Material]
    cuts: Sequence[int]
    regroups: bool
    _waiting: list[_Cluster] = field(default_factory=list)

    def fill(self, clusters: Sequence[_Cluster]) -> None:
        for cluster in clusters:
            low, high = _bounds([cluster])
            if self._can_copy(cluster) and high - low >= _LEAST_GROUP_TASKS:
                self._flush()
                self.output.copy(cluster[0])
                continue
            self._waiting.append(cluster)
            low, high = _bounds(self._waiting)
            if high - low >= _GROUP_TASKS:
                self._flush()
        self._flush()

    def _can_copy(self, cluster: _Cluster) -> bool:
        group = cluster[0]
        return (
            len(cluster) == 1
            and group.is_whole
            and not self.regroups
            and bisect_right(self.cuts, group.low) == bisect_right(self.cuts, group.high)
            and self.output.can_copy(group)
        )

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if len(waiting) == 1 and self._can_copy(waiting[0]):
            self.output.copy(waiting[0][0])
        elif waiting:
            groups = [group for cluster in waiting for group in cluster]
            for low, high in self._slices(*_bounds(waiting)):
                self._write(groups, low, high)

    def _slices(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        count = max(1, round((high - low) / _GROUP_TASKS))
        marks = {low + (high - low) * number // count for number in range(count + 1)}
        return pairwise(sorted(marks | {cut for cut in self.cuts if low < cut < high}))

    def _write(self, groups: Sequence[_Group], low: int, high: int) -> None:
        read = [group.read(low, high) for group in groups if group.low < high and group.high >= low]
        rows = pa.concat_tables([table.cast(self.output.schema) for table, _ in read]).unify_dictionaries()
        key = KEYS[self.output.table][1:]
        places = {"rank": pa.array(np.concatenate([ranks for _, ranks in read]))}
        by = pa.table(places | {name: rows[name] for name in key})
        indices = pc.sort_indices(by, [(name, "ascending") for name in by.column_names])
        if rows.num_rows:
            self.output.write(rows.take(indices), low)


@dataclass(slots=True)
class _Output:
    """The files of one table, piece after piece."""

    assembler: Assembler
    table: str
    cuts: Sequence[int]
    order: _Order
    pieces: list[dict[str, list[FileEntry]]]
    _piece: int = -1
    _splicer: Splicer | None = None
    _file: ExitStack = field(default_factory=ExitStack)
    _template: Splicer | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns of the table."""
        return self.assembler.schemas[self.table]

    def can_copy(self, group: _Group) -> bool:
        """Say whether a row group can be copied into files of this table."""
        if self._template is None:
            self._template = Splicer(pa.BufferOutputStream(), self.schema)
        return self._template.can_copy(group.file.groups)

    def copy(self, group: _Group) -> None:
        """Copy a row group as it is."""
        self._at(group.low, len(group.ranks)).copy(group.file.groups, group.index)

    def write(self, rows: pa.Table, low: int) -> None:
        """Write rows, the first of which takes the place given; in portions that a file can hold."""
        for start in range(0, rows.num_rows, FILE_ROWS):
            portion = rows.slice(start, FILE_ROWS)
            self._at(low, portion.num_rows).write(portion)

    def close(self) -> None:
        """End the file under way."""
        if self._splicer is None:
            return
        self._splicer.close()
        self._file.close()
        entries = self.pieces[self._piece].setdefault(self.table, [])
        bounds = [0, *self.cuts, len(self.order.ids)]
        span = self.order.span(*bounds[self._piece : self._piece + 2])
        name, splicer = self.assembler.name(self._piece, len(entries)), self._splicer
        piece = self.assembler.name(self._piece, 0)
        entries.append(FileEntry(name, splicer.rows, splicer.bytes, splicer.sha256, *span, piece))
        self._splicer = None

    def _at(self, low: int, rows: int) -> Splicer:
        piece = bisect_right(self.cuts, low)
        if self._splicer is not None and (piece != self._piece or self._splicer.rows + rows > FILE_ROWS):
            self.close()
        if self._splicer is None:
            self._piece = piece
            number = len(self.pieces[piece].get(self.table, ()))
            name = f"{self.assembler.folder}/{self.table}/{self.assembler.name(piece, number)}"
            file = self._file.enter_context(self.assembler.store.create(name))
            self._splicer = Splicer(file, self.schema)
        return self._splicer
