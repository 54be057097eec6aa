"""Decides which files of a dataset stay and which are made anew, and has them made: an increment goes in, or beside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from refonte_frames.export.dataset import DELTA, PARTS, Delta, Manifest
from refonte_frames.export.parts import Assembler, FileEntry, Material
from refonte_frames.export.places import RUN, moving_files, open_moving
from refonte_frames.export.versions import NO_HEADS, differing, heads_of, judged, newest
from refonte_frames.schemas import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from refonte_frames.export.dataset import Dataset, Run
    from refonte_frames.export.places import Store

__all__ = ["LEAST_TASKS", "MOST_TASKS", "State", "compacted", "folded", "laid_out", "runs_of", "stacked"]

#: Tasks of a piece of the base: with fewer it is put together with a neighbour, with more it is cut in two.
LEAST_TASKS: Final = 100_000
MOST_TASKS: Final = 250_000
_GOOD_TASKS: Final = MOST_TASKS // 2
#: Tasks whose contents are compared at a time.
_COMPARED_TASKS: Final = 5_000

#: Where the table tasks tells how many rows of another a task has.
_COUNTS: Final = {"audits": "n_audits", "annotations": "n_annotations"}

Entries: TypeAlias = "dict[str, list[FileEntry]]"


@dataclass(slots=True)
class State:
    """What a run leaves.

    Attributes
    ----------
    files : dict
        The files of the base, by table.
    deltas : list of Delta
        The increments beside it, the oldest first.
    hidden : dict of str to int
        Rows of each table that are there and stand for nothing any more, since an increment has others.
    new, changed, unchanged : int or None
        What became of the tasks that came; None where nothing was compared.
    """

    files: Entries
    deltas: list[Delta] = field(default_factory=list)
    hidden: dict[str, int] = field(default_factory=dict)
    new: int | None = None
    changed: int | None = None
    unchanged: int | None = None

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        layers = [self.files, *(delta.files for delta in self.deltas)]
        return {
            table: sum(entry.rows for layer in layers for entry in layer.get(table, ())) - self.hidden.get(table, 0)
            for table in self.files
        }


@dataclass(frozen=True, slots=True)
class _Piece:
    """Files that hold the rows of the same tasks."""

    folder: str
    entries: Entries

    @property
    def tasks(self) -> int:
        return sum(entry.rows for entry in self.entries["tasks"])

    @property
    def newest(self) -> int | None:
        return self.entries["tasks"][0].newest

    @property
    def oldest(self) -> int | None:
        return self.entries["tasks"][0].oldest

    def names(self, table: str) -> list[str]:
        return [f"{self.folder}{table}/{entry.name}" for entry in self.entries.get(table, ())]

    def material(self, *, keep: pa.Array | None = None, drop: pa.Array | None = None) -> Material:
        return Material({table: self.names(table) for table in self.entries}, keep, drop)


def pieces_of(files: Mapping[str, Sequence[FileEntry]], folder: str = "") -> list[_Piece]:
    """Group files by the tasks they hold, oldest first."""
    by_piece: dict[str, Entries] = {}
    for table, entries in files.items():
        for entry in entries:
            if entry.rows:
                by_piece.setdefault(entry.piece or entry.name, {}).setdefault(table, []).append(entry)
    pieces = [_Piece(folder, entries) for entries in by_piece.values() if "tasks" in entries]
    return sorted(pieces, key=lambda piece: (piece.oldest is None, piece.oldest or 0, piece.newest or 0))


def runs_of(tasks: Sequence[int], is_touched: Sequence[bool]) -> list[list[int]]:
    """Say which neighbours become one: positions, in order; a lone one that is not touched stays as it is.

    >>> runs_of([120_000, 30_000, 30_000, 130_000, 5_000], [False, True, False, False, True])
    [[0], [1, 2, 3, 4]]
    >>> runs_of([120_000, 130_000, 99_000, 99_000], [False, False, True, True])
    [[0], [1], [2, 3]]
    """

    def wants_more(run: list[int], *, next_stays: bool) -> bool:
        count = sum(tasks[index] for index in run)
        return count < LEAST_TASKS or (
            count < _GOOD_TASKS and not next_stays and any(is_touched[index] for index in run)
        )

    runs: list[list[int]] = []
    for position, count in enumerate(tasks):
        stays = not is_touched[position] and count >= LEAST_TASKS
        if runs and wants_more(runs[-1], next_stays=stays):
            runs[-1].append(position)
        else:
            runs.append([position])
    if len(runs) > 1 and sum(tasks[index] for index in runs[-1]) < LEAST_TASKS:
        runs[-2:] = [runs[-2] + runs[-1]]
    return runs


def laid_out(dataset: Dataset, run: Run) -> State:
    """Make the base of all that was read."""
    parts = _parts(run)
    assembler = _assembler(dataset, run, RUN)
    files: Entries = {table: [] for table in run.plan.settings.tables}
    for positions in runs_of([part.tasks for part in parts], [True] * len(parts)):
        for made in assembler.assemble([parts[index].material() for index in positions], MOST_TASKS):
            _add(files, made)
    return State(files)


def compacted(dataset: Dataset, manifest: Manifest, run: Run) -> State:
    """Make the base anew, with all increments in it, in large row groups."""
    incoming = _Incoming.of_deltas(dataset.store, manifest)
    return State(_rewritten(dataset, manifest, run, incoming, regroups=True))


def folded(dataset: Dataset, manifest: Manifest, run: Run) -> State:
    """Put what was read, and increments that lie beside the base, into the base.

    Only those of its files are made anew that hold tasks which changed, or come to hold new ones.
    """
    changes = _Changes.of(dataset, manifest, run)
    incoming = _Incoming.of_deltas(dataset.store, manifest)
    incoming.add([part.material() for part in changes.parts], changes.coming)
    if not incoming.materials:
        return changes.state(manifest.files, [])
    return changes.state(_rewritten(dataset, manifest, run, incoming, regroups=False), [])


def stacked(dataset: Dataset, manifest: Manifest, run: Run) -> State:
    """Put what was read beside the base, as an increment of its own."""
    changes = _Changes.of(dataset, manifest, run)
    if not changes.coming.num_rows:
        return changes.state(manifest.files, manifest.deltas, hidden_of(manifest))
    name = f"g{run.plan.generation:06d}"
    materials = [
        part.material(keep=_ids(changes.coming.filter(pc.equal(changes.coming["part"], position))))
        for position, part in enumerate(changes.parts)
    ]
    files: Entries = {table: [] for table in run.plan.settings.tables}
    assembler = _assembler(dataset, run, f"{RUN}/{DELTA}/{name}")
    for made in assembler.assemble(materials, MOST_TASKS):
        _add(files, made)
    hidden = hidden_of(manifest)
    for table, rows in changes.hidden.items():
        hidden[table] = hidden.get(table, 0) + rows
    return changes.state(manifest.files, [*manifest.deltas, Delta(name, files)], hidden)


def hidden_of(manifest: Manifest) -> dict[str, int]:
    """Say how many rows of a dataset stand for nothing any more."""
    there = State(manifest.files, manifest.deltas).rows
    return {table: rows - manifest.report["rows"][table] for table, rows in there.items()}


def _parts(run: Run) -> list[_Piece]:
    """Return what the finished windows wrote, oldest first."""
    parts = [
        _Piece(f"{RUN}/{PARTS}/", {table: [entry] for table, entry in entries.items()})
        for done in run.finished()
        for entries in done.parts
    ]
    return sorted(parts, key=lambda part: (part.oldest is None, part.oldest or 0, part.newest or 0))


def _assembler(dataset: Dataset, run: Run, folder: str, *, regroups: bool = False) -> Assembler:
    schemas = run.plan.settings.schemas()
    return Assembler(dataset.store, folder, schemas, run.stem, regroups)


def _add(files: Entries, made: Entries) -> None:
    for table, entries in made.items():
        files[table] += entries


def _ids(rows: pa.Table) -> pa.Array:
    return rows["task_id"].combine_chunks()


@dataclass(slots=True)
class _Changes:
    """What an increment brought, held against what the dataset has.

    Attributes
    ----------
    parts : list of _Piece
        What was read, in the order in which it was.
    coming : pyarrow.Table
        The versions that go into the dataset, as `versions.newest` makes them.
    new, changed, unchanged : int
        What became of the tasks that were read.
    hidden : dict of str to int
        Rows of each table that those of changed tasks take the place of.
    """

    parts: list[_Piece]
    coming: pa.Table
    new: int
    changed: int
    unchanged: int
    hidden: dict[str, int]

    @classmethod
    def of(cls, dataset: Dataset, manifest: Manifest, run: Run) -> _Changes:
        parts = [
            _Piece(f"{RUN}/{PARTS}/", {table: [entry] for table, entry in entries.items()})
            for done in run.finished()
            for entries in done.parts
        ]
        comparison = _Comparison(dataset.store, parts, newest([_heads(dataset.store, part, None) for part in parts]))
        if comparison.winners.num_rows:
            for delta in reversed(manifest.deltas):
                comparison.hold_against(pieces_of(delta.files, f"{DELTA}/{delta.name}/"))
            comparison.hold_against(pieces_of(manifest.files))
        dropped = pa.array(sorted(comparison.dropped), pa.string())
        winners = comparison.winners
        coming = winners.filter(pc.invert(pc.is_in(winners["task_id"], value_set=dropped)))
        changed, unchanged = len(comparison.changed), len(comparison.dropped)
        return cls(parts, coming, winners.num_rows - changed - unchanged, changed, unchanged, comparison.hidden)

    def state(self, files: Entries, deltas: list[Delta], hidden: dict[str, int] | None = None) -> State:
        """Return the state that has these files."""
        return State(files, deltas, hidden or {}, self.new, self.changed, self.unchanged)


@dataclass(slots=True)
class _Comparison:
    """Holds what was read against piece after piece of a dataset, the newest layer first."""

    store: Store
    parts: list[_Piece]
    winners: pa.Table
    changed: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)
    hidden: dict[str, int] = field(default_factory=dict)

    def hold_against(self, pieces: Sequence[_Piece]) -> None:
        """Compare with one layer; what an earlier one had is passed over."""
        known = pa.array([*self.changed, *self.dropped], pa.string())
        left = self.winners.filter(pc.invert(pc.is_in(self.winners["task_id"], value_set=known)))
        for piece in pieces:
            held = _heads(self.store, piece, _ids(left))
            if held.num_rows:
                self._judge(piece, held)

    def _judge(self, piece: _Piece, held: pa.Table) -> None:
        later, same = judged(held, self.winners)
        changed = set(later.to_pylist())
        for part, ids in self._by_part(same):
            changed |= self._differing(piece, part, ids)
        self.changed |= changed
        self.dropped |= set(held["task_id"].to_pylist()) - changed
        self._hide(piece, pa.array(sorted(changed), pa.string()))

    def _hide(self, piece: _Piece, task_ids: pa.Array) -> None:
        """Count the rows of tasks, which their rows in the table tasks tell."""
        counts = _columns(self.store, piece, "tasks", ["task_id", *_COUNTS.values()]) if len(task_ids) else None
        if counts is None:
            return
        rows = counts.filter(pc.is_in(counts["task_id"], value_set=task_ids))
        self.hidden["tasks"] = self.hidden.get("tasks", 0) + rows.num_rows
        for table, column in _COUNTS.items():
            self.hidden[table] = self.hidden.get(table, 0) + int(pc.sum(rows[column]).as_py() or 0)

    def _by_part(self, task_ids: pa.Array) -> Iterator[tuple[_Piece, pa.Table]]:
        """Give some tasks at a time that one part holds and that were created one after the other."""
        rows = self.winners.filter(pc.is_in(self.winners["task_id"], value_set=task_ids))
        rows = rows.take(pc.sort_indices(rows, [("part", "ascending"), ("created", "ascending")]))
        for position in pc.unique(rows["part"]).to_pylist():
            of_part = rows.filter(pc.equal(rows["part"], position))
            for start in range(0, of_part.num_rows, _COMPARED_TASKS):
                yield self.parts[position], of_part.slice(start, _COMPARED_TASKS)

    def _differing(self, piece: _Piece, part: _Piece, rows: pa.Table) -> set[str]:
        found: set[str] = set()
        for table in ("tasks", "audits"):
            if table in piece.entries or table in part.entries:
                held, read = (_rows(self.store, files, table, rows) for files in (piece, part))
                if held is None or read is None:
                    some = read if held is None else held
                    found |= set() if some is None else set(some["task_id"].to_pylist())
                else:
                    found |= set(differing(held, read, KEYS[table]).to_pylist())
        return found


def _heads(store: Store, piece: _Piece, task_ids: pa.Array | None) -> pa.Table:
    """Read the versions of a piece's tasks, as far as times tell them; of those in `task_ids` only, when given."""
    tasks = _columns(store, piece, "tasks", ["task_id", "created_at", "updated_at"])
    if tasks is None:
        return NO_HEADS
    if task_ids is not None:
        tasks = tasks.filter(pc.is_in(tasks["task_id"], value_set=task_ids))
    audits = _columns(store, piece, "audits", ["task_id", "audited_at"]) if tasks.num_rows else None
    return heads_of(tasks, audits)


def _columns(store: Store, piece: _Piece, table: str, columns: list[str]) -> pa.Table | None:
    read = []
    for name in piece.names(table):
        with open_moving(store, name) as file:
            read.append(pq.ParquetFile(file).read(columns=columns))
    return pa.concat_tables(read) if read else None


def _rows(store: Store, piece: _Piece, table: str, heads: pa.Table) -> pa.Table | None:
    """Read all that a piece says of some tasks."""
    names = piece.names(table)
    if not names:
        return None
    wanted = pads.field("task_id").isin(_ids(heads))
    if table == "tasks":
        # Row groups that hold none of them are passed over: they are sorted by this time.
        times = pc.min_max(heads["created"])
        low, high = (pa.scalar(times[end].as_py(), pa.int64()).cast(_TS) for end in ("min", "max"))
        created = pads.field("created_at")
        wanted &= ((created >= low) & (created <= high)) | created.is_null()
    return pads.dataset(names, format="parquet", filesystem=moving_files(store)).to_table(filter=wanted)


_TS: Final = pa.timestamp("us", "UTC")


@dataclass(slots=True)
class _Incoming:
    """What is to go into the base: materials, and for each the tasks that are taken from it.

    Attributes
    ----------
    heads : pyarrow.Table
        ``task_id, created``, and as ``part`` the position of the material that holds the task.
    """

    materials: list[Material] = field(default_factory=list)
    heads: pa.Table = field(
        default_factory=lambda: NO_HEADS.select(["task_id", "created"]).append_column("part", pa.array([], pa.int64()))
    )

    @classmethod
    def of_deltas(cls, store: Store, manifest: Manifest) -> _Incoming:
        """Begin with the increments that lie beside the base; of two versions of a task the later one counts."""
        incoming = cls()
        for delta in manifest.deltas:
            pieces = pieces_of(delta.files, f"{DELTA}/{delta.name}/")
            heads = [_heads(store, piece, None).select(["task_id", "created"]) for piece in pieces]
            numbered = [
                rows.append_column("part", pa.array(np.full(rows.num_rows, index), pa.int64()))
                for index, rows in enumerate(heads)
            ]
            if numbered:
                incoming.add([piece.material() for piece in pieces], pa.concat_tables(numbered))
        return incoming

    def add(self, materials: Sequence[Material], heads: pa.Table) -> None:
        """Add later ones, whose tasks take the place of the same tasks of earlier ones."""
        if not heads.num_rows:
            return
        stay = pc.invert(pc.is_in(self.heads["task_id"], value_set=_ids(heads)))
        moved = heads["part"].to_numpy() + len(self.materials)
        added = pa.table([_ids(heads), heads["created"], pa.array(moved)], ["task_id", "created", "part"])
        self.heads = pa.concat_tables([self.heads.filter(stay), added])
        self.materials += materials

    def of(self, chosen: Any) -> list[Material]:
        """Return the materials of the tasks that are chosen."""
        heads = self.heads.filter(pa.array(chosen))
        return [
            Material(self.materials[part].files, _ids(heads.filter(pc.equal(heads["part"], part))))
            for part in pc.unique(heads["part"]).to_pylist()
        ]


def _rewritten(dataset: Dataset, manifest: Manifest, run: Run, incoming: _Incoming, *, regroups: bool) -> Entries:
    """Make those pieces of the base anew that change, or all of them."""
    pieces = pieces_of(manifest.files)
    places = _places(pieces, incoming.heads["created"].to_numpy())
    drop = _ids(incoming.heads)
    gains = np.bincount(places, minlength=max(1, len(pieces)))
    losses = [_count_of(dataset.store, piece, drop) for piece in pieces]
    is_touched = [regroups or bool(gain or loss) for gain, loss in zip(gains, losses, strict=False)]
    tasks = [piece.tasks - loss + int(gain) for piece, gain, loss in zip(pieces, gains, losses, strict=False)]
    files: Entries = {table: [] for table in run.plan.settings.tables}
    assembler = _assembler(dataset, run, RUN, regroups=regroups)
    for positions in runs_of(tasks, is_touched) or [[0]]:
        olds = [pieces[index] for index in positions if index < len(pieces)]
        if len(positions) == 1 and olds and not is_touched[positions[0]]:
            _add(files, _adopted(dataset.store, olds[0]))
            continue
        materials = [old.material(drop=drop) for old in olds] + incoming.of(np.isin(places, positions))
        for made in assembler.assemble(materials, MOST_TASKS):
            _add(files, made)
    return files


def _places(pieces: Sequence[_Piece], created: Any) -> Any:
    """Say to which piece tasks go that were created then; without a time, to the last."""
    ends = np.array([piece.newest if piece.newest is not None else _LATEST for piece in pieces[:-1]], np.int64)
    ends = np.maximum.accumulate(ends)
    return np.searchsorted(ends, np.where(created < _NO_TIME, _LATEST, created), side="left")


_LATEST: Final = 2**63 - 1
_NO_TIME: Final = -(2**61)


def _count_of(store: Store, piece: _Piece, task_ids: pa.Array) -> int:
    """Count which of these tasks a piece holds."""
    if not len(task_ids):
        return 0
    ids = _columns(store, piece, "tasks", ["task_id"])
    return 0 if ids is None else int(pc.sum(pc.is_in(ids["task_id"], value_set=task_ids)).as_py() or 0)


def _adopted(store: Store, piece: _Piece) -> Entries:
    for table, entries in piece.entries.items():
        for entry in entries:
            store.adopt(table, entry.name)
    return piece.entries
