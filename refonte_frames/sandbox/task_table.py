"""Tasks in SQL: single ones, their tags, and the pages of their list; a part of the store."""

from __future__ import annotations

import re
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.sandbox.exchange import encode
from refonte_frames.sandbox.lifecycle import Task
from refonte_frames.sandbox.queries import Window
from refonte_frames.sandbox.schema import REVIEWS, STATUSES
from refonte_frames.sandbox.tallies import Facets, Tallies
from refonte_frames.sandbox.task_select import Chosen, TaskSelect, walks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.queries import TaskFilter
    from refonte_frames.sandbox.rules import Batch
    from refonte_frames.sandbox.task_select import Walk

__all__ = ["TaskTable"]

_TASK_COLUMNS = (
    "id, world, type, status, created_ms, updated_ms, completed_ms, project, batch, review, unique_id, key, "
    "clears_unique_id_on_error, due_ms"
)
#: What may change in a row, after what lists filter on.
_CHANGING = (*Facets._fields, "unique_id", "key", "due_ms")

#: Ids end in the last digits of the row number: see `service.task_id_of`.
_TASK_ID = re.compile(r"[0-9a-f]{18}([0-9a-f]{6})")
_ROW_DIGITS = 1 << 24

_STATUS_CODES = {name: code for code, name in enumerate(STATUSES)}
_REVIEW_CODES: dict[str | None, int | None] = {None: None, **{name: code for code, name in enumerate(REVIEWS)}}


class TaskTable:
    """The tasks of all worlds.

    Parameters
    ----------
    db : sqlite3.Connection
        The store's; changes are made inside its transactions.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._tallies = Tallies(db)
        kept = db.execute("SELECT value FROM setting WHERE name = 'last_task_row'").fetchone()
        newest = db.execute("SELECT max(id) FROM task").fetchone()[0]
        self._last_row = max(int(kept[0]) if kept else 0, newest or 0)
        self._types: dict[str, int] = {}
        self._type_names: dict[int, str] = {}
        self._read_types()

    def _read_types(self) -> None:
        self._type_names = dict(self._db.execute("SELECT id, name FROM task_type").fetchall())
        self._types = {name: code for code, name in self._type_names.items()}

    def recollect(self) -> None:
        """Forget what was noted in memory of a transaction that was taken back."""
        self._tallies.forget()
        self._read_types()

    def empty(self, world: World) -> None:
        """Forget all tasks of a world; the numbers of their rows are not used again."""
        inside = "(SELECT id FROM task WHERE world = ?)"
        self._db.execute(
            "INSERT INTO setting VALUES ('last_task_row', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (str(self._last_row),),
        )
        for statement in (
            f"DELETE FROM doc WHERE id IN {inside}",
            f"DELETE FROM attempt WHERE task IN {inside}",
            "DELETE FROM tag WHERE world = ?",
            "DELETE FROM occurrence WHERE world = ?",
            "DELETE FROM task WHERE world = ?",
            "DELETE FROM counter WHERE world = ?",
        ):
            self._db.execute(statement, (world.row,))
        self._tallies.forget(world.row)

    def next_row(self) -> int:
        """Give the number of the next task; its id is made from it."""
        return self._last_row + 1

    def add(self, task: Task) -> None:
        """Insert a task with its document and tags."""
        row = self._columns(task)
        self._db.execute(_INSERT, row)
        self._db.execute("INSERT INTO doc VALUES (?, ?)", (task.row, encode(task.doc).decode()))
        self._add_tags(task)
        self._last_row = task.row
        facets = _facets(row)
        self._count(Counter({_counted(facets): 1}))
        self._tallies.note(None, facets)

    def save(self, task: Task, *, has_new_tags: bool = False) -> None:
        """Write what may change in a task; its tags only when told that they did."""
        if has_new_tags:
            self._drop_tags(task)
            self._add_tags(task)
        self.save_all([task])

    def save_all(self, tasks: Iterable[Task]) -> None:
        """Write what may change in tasks, but for their tags: in the order of their rows, neighbours together.

        A column that has not changed is not written: every index that it is in would be.
        """
        ordered = sorted(tasks, key=attrgetter("row"))
        rows = [self._columns(task) for task in ordered]
        stored = self._stored([task.row for task in ordered])
        changes: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        counted: Counter[tuple[int, ...]] = Counter()
        moved = []
        for row in rows:
            before, after = stored[row["id"]], tuple(row[name] for name in _CHANGING)
            places = [n for n, value in enumerate(after) if value != before[n]]
            if places:
                names = tuple(_CHANGING[n] for n in places)
                changes.setdefault(names, []).append((*(after[n] for n in places), row["id"]))
                pair = (Facets(*before[: len(Facets._fields)]), Facets(*after[: len(Facets._fields)]))
                counted.subtract((_counted(pair[0]),))
                counted.update((_counted(pair[1]),))
                moved.append(pair)
        for names, values in changes.items():
            setters = ", ".join(f"{name} = ?" for name in names)
            self._db.executemany(f"UPDATE task SET {setters} WHERE id = ?", values)
        docs = [(encode(task.doc).decode(), task.row) for task in ordered]
        self._db.executemany("UPDATE doc SET doc = ? WHERE id = ?", docs)
        self._count(counted)
        for before_and_after in moved:
            self._tallies.note(*before_and_after)

    def _stored(self, rows: list[int]) -> dict[int, tuple[Any, ...]]:
        columns = ", ".join(_CHANGING)
        query = f"SELECT {columns} FROM task WHERE id IN (SELECT value FROM json_each(?))"
        return {row[0]: row for row in self._db.execute(query, (encode(rows).decode(),))}

    def _count(self, changes: Mapping[tuple[int, ...], int]) -> None:
        """Keep the counters of the file."""
        values = [(*key, by) for key, by in changes.items() if by]
        self._db.executemany(_COUNT, values)

    def _add_tags(self, task: Task) -> None:
        if tags := task.doc.get("tags"):
            self._db.executemany("INSERT INTO tag VALUES (?, ?, ?)", [(task.world, tag, task.row) for tag in tags])
            self._tallies.note_tags(task.world, tags, 1)

    def _drop_tags(self, task: Task) -> None:
        doc = self._db.execute("SELECT doc FROM doc WHERE id = ?", (task.row,)).fetchone()[0]
        if tags := msgspec.json.decode(doc, type=_Tagged).tags:
            values = [(task.world, tag, task.row) for tag in tags]
            self._db.executemany("DELETE FROM tag WHERE world = ? AND tag = ? AND id = ?", values)
            self._tallies.note_tags(task.world, tags, -1)

    def _columns(self, task: Task) -> dict[str, Any]:
        """Write a task as its row; a key that follows from the unique_id is left out."""
        return {
            "id": task.row,
            "world": task.world,
            "type": self._types.get(task.type) or self._add_type(task.type),
            "status": _STATUS_CODES[task.status],
            "created_ms": task.created_ms,
            "updated_ms": task.updated_ms,
            "completed_ms": task.completed_ms,
            "project": task.project,
            "batch": task.batch,
            "review": _REVIEW_CODES[task.review],
            "unique_id": task.unique_id,
            "key": None if task.unique_id is not None and task.key == f"id:{task.unique_id}" else task.key,
            "clears_unique_id_on_error": task.clears_unique_id_on_error,
            "due_ms": task.due_ms,
        }

    def _add_type(self, name: str) -> int:
        self._db.execute("INSERT INTO task_type (name) VALUES (?)", (name,))
        self._read_types()
        return self._types[name]

    def find(self, world: World, task_id: str) -> Task | None:
        """Find a task of a world."""
        found = self.find_anywhere(task_id)
        return found if found is not None and found.world == world.row else None

    def find_anywhere(self, task_id: str) -> Task | None:
        """Find a task wherever it is: by the rows whose number ends as the id does."""
        ending = _TASK_ID.fullmatch(task_id)
        rows = range(int(ending[1], 16), self._last_row + 1, _ROW_DIGITS) if ending else ()
        found = (self.by_row(row) for row in rows)
        return next((task for task in found if task is not None and task.task_id == task_id), None)

    def by_row(self, row: int) -> Task | None:
        """Find a task by its number."""
        found = self._tasks("t.id = ?", (row,))
        return found[0] if found else None

    def pending_of(self, batch: Batch) -> list[Task]:
        """List the pending tasks of a batch, oldest first."""
        world = "t.world = (SELECT world FROM batch WHERE id = ?)"
        where = f"{world} AND t.batch = ? AND t.batch <> 0 AND t.status = {_STATUS_CODES['pending']} ORDER BY t.id"
        return self._tasks(where, (batch.row, batch.row))

    def due(self, until_ms: int) -> list[int]:
        """List the rows of tasks that labelers hand in by a working time, oldest first."""
        query = "SELECT id FROM task WHERE due_ms IS NOT NULL AND due_ms <= ? ORDER BY id"
        return [row for (row,) in self._db.execute(query, (until_ms,))]

    def by_rows(self, rows: Sequence[int]) -> list[Task]:
        """Find tasks by their numbers, in the order of these."""
        return self._tasks("t.id IN (SELECT value FROM json_each(?)) ORDER BY t.id", (encode(rows).decode(),))

    def of_world(self, world: World) -> list[Task]:
        """List all tasks of a world, oldest first."""
        return self._tasks("t.world = ? ORDER BY t.id", (world.row,))

    def _tasks(self, where: str, values: tuple[Any, ...]) -> list[Task]:
        rows = self._db.execute(f"{_SELECT} WHERE {where}", values)
        return [_task(row, self._type_names) for row in rows]

    def unique_id_holder(self, world: World, unique_id: str) -> str | None:
        """Find the task that holds a unique_id."""
        row = self._db.execute(
            "SELECT d.doc FROM task t JOIN doc d ON d.id = t.id WHERE t.world = ? AND t.unique_id = ?",
            (world.row, unique_id),
        ).fetchone()
        return msgspec.json.decode(row[0], type=_Named).task_id if row else None

    def count_occurrence(self, world: World, digest: str) -> int:
        """Count this appearance of the same parameters without a unique_id: 1 for the first."""
        row = self._db.execute(
            "INSERT INTO occurrence VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",
            (world.row, digest),
        ).fetchone()
        return int(row[0])

    def newest_ms(self) -> int:
        """Give the newest stamp of all tasks."""
        newest = "SELECT updated_ms FROM task WHERE world = w.id ORDER BY updated_ms DESC LIMIT 1"
        query = f"SELECT max(coalesce(({newest}), 0)) FROM world w"
        created = self._db.execute("SELECT created_ms FROM task ORDER BY id DESC LIMIT 1").fetchone()
        return max(created[0] if created else 0, self._db.execute(query).fetchone()[0] or 0)

    def page(
        self, world: World, chosen: TaskFilter, *, before: int | None, limit: int, total: int | None = None
    ) -> list[tuple[int, str]]:
        """Give rows and documents of a page, newest first; one more than asked for tells that more follow.

        Parameters
        ----------
        total : int, optional
            How many match in all, where that is known: the sparser they are, the shorter a way to them is chosen.
        """
        wanted = self._chosen(world, chosen)
        if wanted is None or total == 0 or not self._may_match(wanted):
            return []
        asks, ways = wanted.asks, self._ways(wanted)
        matches = float(total) if total is not None else _expected(ways)
        best = min(ways, key=lambda walk: walk.page_us(asks, limit + 1, matches))
        statement, values = TaskSelect(wanted, best).page(before=before, limit=limit + 1)
        rows = self._db.execute(statement, values).fetchall()
        # The documents are read for the rows of one page only: a sort never has to carry them.
        docs = "SELECT id, doc FROM doc WHERE id IN (SELECT value FROM json_each(?))"
        found = self._db.execute(docs, (encode([row for (row,) in rows]).decode(),)).fetchall()
        return sorted(found, reverse=True)

    def count(self, world: World, chosen: TaskFilter) -> int:
        """Count all matches: from what is known already, where that suffices."""
        wanted = self._chosen(world, chosen)
        if wanted is None or not self._may_match(wanted):
            return 0
        known = self._known(wanted)
        if known is not None:
            return known
        best = min(self._ways(wanted), key=lambda walk: walk.count_us(wanted.asks))
        statement, values = TaskSelect(wanted, best).count()
        return int(self._db.execute(statement, values).fetchone()[0])

    def _may_match(self, wanted: Chosen) -> bool:
        return self._tallies.of(wanted.world).count(wanted.equal) > 0

    def _known(self, wanted: Chosen) -> int | None:
        """Count the matches of a filter that asks for one kind of thing."""
        tallies, asks = self._tallies.of(wanted.world), wanted.asks
        if asks == set(wanted.equal):
            return tallies.count(wanted.equal)
        if asks == {"reviews"}:
            return sum(tallies.count({"review": review}) for review in wanted.reviews)
        if asks == {"tags"} and len(wanted.tags) == 1:
            return tallies.tag(wanted.tags[0])
        for name, column, window in _windows(wanted):
            if asks == {name}:
                return tallies.window(column, window)
        return None

    def _ways(self, wanted: Chosen) -> list[Walk]:
        """Give the ways to the matches, with how many rows each leads to."""
        tallies, equal = self._tallies.of(wanted.world), wanted.equal
        sizes = {"world": tallies.count({})}
        sizes |= {name: tallies.count({name: equal[name]}) for name in equal}
        for name in ("project", "batch"):
            if name in equal and "status" in equal:
                sizes[f"{name}+status"] = tallies.count({name: equal[name], "status": equal["status"]})
        sizes |= {f"statuses.{code}": tallies.count({"status": code}) for code in range(len(STATUSES))}
        sizes["reviews"] = sum(tallies.count({"review": review}) for review in wanted.reviews)
        sizes["tags"] = sum(tallies.tag(tag) for tag in wanted.tags)
        for name, column, window in _windows(wanted):
            if name != "rows" and name in wanted.asks:
                sizes[name] = tallies.window(column, window, is_exact=False)
        return walks(wanted, sizes, self._last_row)

    def _chosen(self, world: World, chosen: TaskFilter) -> Chosen | None:
        """Turn names into codes, and creation times into row numbers; None where a name is not known."""
        equal = {
            "project": self._row_of_name("project", world, chosen.project),
            "batch": self._row_of_name("batch", world, chosen.batch),
            "type": None if chosen.type is None else self._types.get(chosen.type, -1),
            "status": None if chosen.status is None else _STATUS_CODES.get(chosen.status, -1),
        }
        known = {name: code for name, code in equal.items() if code is not None}
        if -1 in known.values():
            return None
        first = None if chosen.created.from_ms is None else self._first_row(chosen.created.from_ms)
        last = None if chosen.created.to_ms is None else self._first_row(chosen.created.to_ms + 1) - 1
        reviews = tuple(code for name in chosen.reviews if (code := _REVIEW_CODES[name]) is not None)
        windows = (Window(first, last), chosen.updated, chosen.completed)
        ends = [end for end in (chosen.updated.to_ms, chosen.completed.to_ms) if end is not None]
        newest = self._first_row(min(ends) + 1) - 1 if ends else None
        return Chosen(world.row, known, *windows, reviews, chosen.unique_ids, chosen.tags, newest)

    def _first_row(self, moment_ms: int) -> int:
        """Find the first row created at a time or later: row numbers rise with it, so that halving finds it."""
        low, high = 1, self._last_row + 1
        while low < high:
            middle = (low + high) // 2
            query = "SELECT id, created_ms FROM task WHERE id >= ? ORDER BY id LIMIT 1"
            found = self._db.execute(query, (middle,)).fetchone()
            if found is None or found[1] >= moment_ms:
                high = middle
            else:
                low = found[0] + 1
        return low

    def _row_of_name(self, table: str, world: World, name: str | None) -> int | None:
        if name is None:
            return None
        row = self._db.execute(f"SELECT id FROM {table} WHERE world = ? AND name = ?", (world.row, name)).fetchone()
        return row[0] if row else -1


_INSERT = f"INSERT INTO task ({_TASK_COLUMNS}) VALUES ({', '.join(f':{name}' for name in _TASK_COLUMNS.split(', '))})"
_SELECT = (
    f"SELECT {', '.join(f't.{name}' for name in _TASK_COLUMNS.split(', '))}, d.doc "
    "FROM task t JOIN doc d ON d.id = t.id"
)
_COUNT = "INSERT INTO counter VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"


class _Named(msgspec.Struct):
    """The id in a document."""

    task_id: str


class _Tagged(msgspec.Struct):
    """The tags in a document."""

    tags: list[str] = []


def _facets(row: Mapping[str, Any]) -> Facets:
    return Facets(*(row[name] for name in Facets._fields))


def _counted(facets: Facets) -> tuple[int, ...]:
    """Give the key of a counter."""
    return facets.world, facets.project, facets.batch, facets.type, facets.status


def _windows(wanted: Chosen) -> tuple[tuple[str, str, Window], ...]:
    """Name the windows with their columns."""
    return (
        ("rows", "id", wanted.rows),
        ("updated", "updated_ms", wanted.updated),
        ("completed", "completed_ms", wanted.completed),
    )


def _expected(ways: Sequence[Walk]) -> float:
    """Estimate how many match when nobody has counted: as if the conditions had nothing to do with each other."""
    world = max(1, ways[0].entries)
    share = 1.0
    for walk in ways[2:]:
        share *= min(1.0, walk.entries / world)
    return world * share


def _task(row: Sequence[Any], types: Mapping[int, str]) -> Task:
    number, world, kind, status, *places, review, unique_id, key, clears, due_ms, text = row
    doc = msgspec.json.decode(text)
    shown = None if review is None else REVIEWS[review]
    own_key = key if key is not None else f"id:{unique_id}"
    head = (number, doc["task_id"], world, types[kind], STATUSES[status])
    values = (*head, *places, shown, unique_id, own_key, bool(clears), due_ms, doc)
    return Task(*values)
