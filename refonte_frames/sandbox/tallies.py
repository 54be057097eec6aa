"""Counts kept in memory beside the store: made when first asked for, kept up to date from then on; a part of the store.

A list says how many tasks match in all, and looking at half a million index entries for that takes longer than the
page. Nothing here is needed after a restart: it is counted again when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from refonte_frames.sandbox.queries import Window

__all__ = ["Facets", "Tallies"]

#: Entries of a timeline between two marks: to count the rest of one takes a tenth of a millisecond.
_BLOCK = 2048

#: So many tags are remembered: a caller may ask for any number of them.
_MOST_TAGS = 10_000


class Facets(NamedTuple):
    """What lists filter a task on; names as the store's codes."""

    id: int
    world: int
    project: int
    batch: int
    type: int
    status: int
    review: int | None
    updated_ms: int
    completed_ms: int | None


class Tallies:
    """The counts of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._worlds: dict[int, _WorldTallies] = {}

    def of(self, world: int) -> _WorldTallies:
        """Give the counts of one world."""
        found = self._worlds.get(world)
        if found is None:
            found = self._worlds[world] = _WorldTallies(self._db, world)
        return found

    def note(self, before: Facets | None, after: Facets | None) -> None:
        """Take a change in that was written; None is no task."""
        changed = after or before
        found = self._worlds.get(changed.world) if changed else None
        if found is not None:
            found.note(before, after)

    def note_tags(self, world: int, tags: Iterable[str], by: int) -> None:
        """Take in that a task got tags, or lost them."""
        found = self._worlds.get(world)
        if found is not None:
            found.note_tags(tags, by)

    def forget(self, world: int | None = None) -> None:
        """Forget the counts of a world, or of all: after a change that was taken back."""
        if world is None:
            self._worlds.clear()
        else:
            self._worlds.pop(world, None)


class _WorldTallies:
    """The counts of one world."""

    def __init__(self, db: sqlite3.Connection, world: int) -> None:
        self._db = db
        self._world = world
        self._groups: dict[tuple[str, ...], tuple[Callable[[Facets], object], dict[object, int]]] = {}
        self._tags: dict[str, int] = {}
        self._lines: dict[str, _Timeline] = {}

    def count(self, equal: dict[str, int]) -> int:
        """Count the tasks with these codes of project, batch, type, status or review."""
        names = tuple(sorted(equal))
        if names not in self._groups:
            self._groups[names] = (_key_of(names), self._grouped(names))
        return self._groups[names][1].get(_joined(tuple(equal[name] for name in names)), 0)

    def _grouped(self, names: tuple[str, ...]) -> dict[object, int]:
        columns = ", ".join(names)
        if "review" in names:  # few ask for it, and the counters of the file do not know it
            source, total = "task INDEXED BY task_review WHERE review IS NOT NULL AND world = ?", "count(*)"
        else:
            source, total = "counter WHERE world = ?", "sum(n)"
        if not names:
            return {(): self._db.execute(f"SELECT {total} FROM {source}", (self._world,)).fetchone()[0] or 0}
        rows = self._db.execute(f"SELECT {total}, {columns} FROM {source} GROUP BY {columns}", (self._world,))
        return {_joined(tuple(codes)): n for n, *codes in rows}

    def tag(self, tag: str) -> int:
        """Count the tasks with a tag."""
        if tag not in self._tags:
            if len(self._tags) >= _MOST_TAGS:
                self._tags.clear()
            query = "SELECT count(*) FROM tag WHERE world = ? AND tag = ?"
            self._tags[tag] = self._db.execute(query, (self._world, tag)).fetchone()[0]
        return self._tags[tag]

    def window(self, column: str, window: Window, *, is_exact: bool = True) -> int:
        """Count the tasks whose ``id``, ``updated_ms`` or ``completed_ms`` lies in a window, both ends included.

        Parameters
        ----------
        is_exact : bool
            False is cheaper, and off by a few thousand at most.
        """
        if column not in self._lines:
            self._lines[column] = _Timeline(self._db, self._world, column)
        line = self._lines[column]
        low = 0 if window.from_ms is None else line.rank(window.from_ms, is_exact=is_exact)
        high = line.size() if window.to_ms is None else line.rank(window.to_ms + 1, is_exact=is_exact)
        return max(0, high - low)

    def note(self, before: Facets | None, after: Facets | None) -> None:
        """Take a change in."""
        for by, facets in ((-1, before), (1, after)):
            if facets is None:
                continue
            for key, counts in self._groups.values():
                counts[key(facets)] = counts.get(key(facets), 0) + by
            for line in self._lines.values():
                line.note(facets, by)

    def note_tags(self, tags: Iterable[str], by: int) -> None:
        """Take in that a task got tags, or lost them."""
        for tag in tags:
            if tag in self._tags:
                self._tags[tag] += by


def _key_of(names: tuple[str, ...]) -> Callable[[Facets], object]:
    """Give what reads a group's key from a task: one code alone, or a tuple of them."""
    return itemgetter(*(Facets._fields.index(name) for name in names)) if names else lambda _: ()


def _joined(codes: tuple[int, ...]) -> object:
    """Write a key as `operator.itemgetter` does."""
    return codes[0] if len(codes) == 1 else codes


#: Where the entries of a timeline are. A row number is a time too: it rises with creation.
_INDEXES = {"id": "task_world", "updated_ms": "task_updated", "completed_ms": "task_completed"}


class _Timeline:
    """How many tasks lie before a time: marks at every so-many-th entry of the column's index, and what is between.

    Marks are (time, row number), as the entries are ordered. Where too much has come between two of them, it is divided
    when somebody looks there.
    """

    def __init__(self, db: sqlite3.Connection, world: int, column: str) -> None:
        self._db = db
        self._world = world
        self._column = column
        entries = f"FROM task INDEXED BY {_INDEXES[column]} WHERE world = :world AND {column}"
        # Two queries each: from "(time, row) >= (…)" SQLite would walk all entries of the time, and those may be many.
        self._same, self._later = f"{entries} = :moment AND id >= :row", f"{entries} > :moment"
        self._place_of_column = Facets._fields.index(column)
        self._marks: list[tuple[int, int]] = [(-1, -1)]
        self._sizes: list[int] = [0]
        self._divide(0, None)

    def size(self) -> int:
        """Count all entries."""
        return sum(self._sizes)

    def rank(self, bound: int, *, is_exact: bool) -> int:
        """Count the entries before a bound."""
        place = self._place((bound, -1))
        if is_exact and self._sizes[place] > 2 * _BLOCK:
            self._divide(place, self._sizes[place])
            place = self._place((bound, -1))
        before = sum(self._sizes[:place])
        if not is_exact:
            return before + self._sizes[place] // 2
        return before + self._behind(self._marks[place], f"AND {self._column} < {bound}")

    def _place(self, mark: tuple[int, int]) -> int:
        return max(0, bisect_right(self._marks, mark) - 1)

    def _divide(self, place: int, size: int | None) -> None:
        """Set marks between one and the next; the size is what lies between them, None where nobody has counted."""
        end = self._marks[place + 1] if place + 1 < len(self._marks) else None
        marks = [self._marks[place]]
        while found := self._next_mark(marks[-1]):
            if end is not None and found >= end:
                break
            marks.append(found)
        whole = _BLOCK * (len(marks) - 1)
        self._marks[place : place + 1] = marks
        self._sizes[place : place + 1] = [_BLOCK] * (len(marks) - 1) + [0]
        last = place + len(marks) - 1
        self._sizes[last] = self._behind(marks[-1]) if size is None else size - whole

    def _next_mark(self, mark: tuple[int, int]) -> tuple[int, int] | None:
        found = self._one(f"SELECT id {self._same} ORDER BY id LIMIT 1 OFFSET {_BLOCK}", mark)
        if found is not None:
            return mark[0], found[0]
        rest = _BLOCK - self._number(f"SELECT count(*) {self._same}", mark)
        order = "id" if self._column == "id" else f"{self._column}, id"
        found = self._one(f"SELECT {self._column}, id {self._later} ORDER BY {order} LIMIT 1 OFFSET {rest}", mark)
        return (found[0], found[1]) if found else None

    def _behind(self, mark: tuple[int, int], bound: str = "") -> int:
        """Count the entries from a mark on, up to a bound beyond the mark's own time."""
        later = self._number(f"SELECT count(*) {self._later} {bound}", mark)
        return later + self._number(f"SELECT count(*) {self._same}", mark)

    def _number(self, query: str, mark: tuple[int, int]) -> int:
        found = self._one(query, mark)
        return found[0] if found else 0

    def _one(self, query: str, mark: tuple[int, int]) -> tuple[int, ...] | None:
        values = {"world": self._world, "moment": mark[0], "row": mark[1]}
        found: tuple[int, ...] | None = self._db.execute(query, values).fetchone()
        return found

    def note(self, facets: Facets, by: int) -> None:
        """Take in that an entry came, or went."""
        moment = facets[self._place_of_column]
        if moment is not None:
            self._sizes[self._place((moment, facets.id))] += by
