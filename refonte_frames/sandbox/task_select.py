"""The SELECTs of `GET /tasks`, composed from a filter; a part of the store, nothing is run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refonte_frames.sandbox.queries import TaskFilter, Window

__all__ = ["NARROW_WINDOW_ROWS", "TaskSelect", "window_terms"]

#: Up to so many rows, walking the index of a time window and sorting is cheaper than walking the list's order.
NARROW_WINDOW_ROWS = 2000

#: More tags than this are looked up in one go: SQLite unites 500 SELECTs at most.
_UNITED_TAGS = 20

Statement = tuple[str, list[Any]]
Term = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class TaskSelect:
    """A filter whose names and creation times were turned into row numbers.

    Attributes
    ----------
    first_row, last_row : int or None
        Bounds from the window on ``created_at``: row numbers rise with it.
    project, batch : int or None
        Row numbers; -1 for a name that does not exist, which matches nothing.
    narrow_windows : tuple of str
        Windows on other times that few enough rows meet for their own index to be walked.
    """

    world: int
    filter: TaskFilter
    first_row: int | None
    last_row: int | None
    project: int | None
    batch: int | None
    narrow_windows: tuple[str, ...] = ()

    def page(self, *, before: int | None, limit: int) -> Statement:
        """Select rows and documents, newest first."""
        terms = self._terms()
        if before is not None:
            terms.append(("t.id < ?", [before]))
        if self.filter.tags:
            terms.append(self._tags(before, None if self._has_more_than_tags() else limit))
        where, values = _joined(terms)
        # The documents join the rows of one page only: a sort never has to carry them.
        rows = f"SELECT t.id FROM {self._table()} WHERE {where} ORDER BY t.id DESC LIMIT ?"
        return f"SELECT d.id, d.doc FROM ({rows}) p JOIN doc d ON d.id = p.id ORDER BY p.id DESC", [*values, limit]

    def count(self) -> Statement:
        """Count all matches by looking at them."""
        terms = self._terms()
        if self.filter.tags:
            terms.append(self._tags(None, None))
        where, values = _joined(terms)
        return f"SELECT count(*) FROM {self._table()} WHERE {where}", values

    def counters(self) -> Statement:
        """Add the counters up: for filters within project, batch, type and status."""
        where, values = _joined(self._equalities(""))
        return f"SELECT sum(n) FROM counter WHERE {where}", values

    def windows(self) -> list[str]:
        """Name the bounded windows besides that on ``created_at``."""
        found = {"updated_ms": self.filter.updated, "completed_ms": self.filter.completed}
        return [name for name, window in found.items() if not window.is_open]

    def count_window(self, name: str) -> Statement:
        """Count a window's rows, no further than needed to call it wide."""
        where, values = _joined([("t.world = ?", [self.world]), *self._window(name, "t.")])
        text = f"SELECT count(*) FROM (SELECT 1 FROM task t WHERE {where} LIMIT {NARROW_WINDOW_ROWS + 1})"
        return text, values

    def _table(self) -> str:
        """Name the table; ids are looked up, where SQLite left alone would walk all tasks in the list's order."""
        return "task t INDEXED BY task_unique_id" if self.filter.unique_ids else "task t"

    def _terms(self) -> list[Term]:
        """Write every condition but the tags; a leading + keeps SQLite from choosing that column's index."""
        chosen = self.filter
        is_by_window = bool(self.narrow_windows) and not chosen.unique_ids
        terms = self._equalities("+t." if is_by_window else "t.")
        if self.first_row is not None:
            terms.append(("t.id >= ?", [self.first_row]))
        if self.last_row is not None:
            terms.append(("t.id <= ?", [self.last_row]))
        for name in self.windows():
            terms += self._window(name, "t." if name in self.narrow_windows and is_by_window else "+t.")
        if len(chosen.reviews) == 1:
            terms.append(("+t.review = ?" if is_by_window else "t.review = ?", list(chosen.reviews)))
        elif chosen.reviews:
            terms.append((f"+t.review IN ({_marks(chosen.reviews)})", list(chosen.reviews)))
        if chosen.unique_ids:
            terms.append((f"t.unique_id IN ({_marks(chosen.unique_ids)})", list(chosen.unique_ids)))
        return terms

    def _equalities(self, prefix: str) -> list[Term]:
        # The world's column is never masked: it begins every index, those of the windows too.
        terms: list[Term] = [("t.world = ?" if prefix else "world = ?", [self.world])]
        chosen = {
            "project": self.project,
            "batch": self.batch,
            "type": self.filter.type,
            "status": self.filter.status,
        }
        return terms + [(f"{prefix}{name} = ?", [value]) for name, value in chosen.items() if value is not None]

    def _window(self, name: str, prefix: str) -> list[Term]:
        window = self.filter.updated if name == "updated_ms" else self.filter.completed
        return [(text, [bound]) for text, bound in zip(*window_terms(f"{prefix}{name}", window), strict=True)]

    def _has_more_than_tags(self) -> bool:
        chosen = self.filter
        others = (self.project, self.batch, chosen.type, chosen.status, chosen.reviews, chosen.unique_ids)
        bounds = (self.first_row, self.last_row)
        return bool(self.windows()) or any(value not in (None, ()) for value in (*others, *bounds))

    def _tags(self, before: int | None, limit: int | None) -> Term:
        """Match any of the tags; when nothing else is asked, no more rows per tag than the page needs."""
        if len(self.filter.tags) > _UNITED_TAGS:
            marks = _marks(self.filter.tags)
            return f"t.id IN (SELECT id FROM tag WHERE world = ? AND tag IN ({marks}))", [self.world, *self.filter.tags]
        parts, values = [], []
        for tag in self.filter.tags:
            bound = " AND id < ?" if before is not None else ""
            end = "" if limit is None else f" ORDER BY id DESC LIMIT {limit}"
            parts.append(f"SELECT id FROM (SELECT id FROM tag WHERE world = ? AND tag = ?{bound}{end})")
            values += [self.world, tag, *([before] if before is not None else [])]
        return f"t.id IN ({' UNION '.join(parts)})", values


def window_terms(column: str, window: Window) -> tuple[list[str], list[int]]:
    """Bound a column, both ends included."""
    bounds = ((">=", window.from_ms), ("<=", window.to_ms))
    given = [(f"{column} {sign} ?", bound) for sign, bound in bounds if bound is not None]
    return [text for text, _ in given], [bound for _, bound in given]


def _joined(terms: list[Term]) -> Statement:
    return " AND ".join(text for text, _ in terms), [value for _, values in terms for value in values]


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))
