"""The SELECTs of `GET /tasks`, composed from a filter and the index to walk; a part of the store, nothing is run here.

SQLite is always told which index to take. Left alone it does not know how many rows a value has, and what costs nothing
among a thousand tasks walks a million. The store does know (see `tallies`), so the choice is arithmetic: how many
entries have to be looked at until a page is full, and what each costs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox.queries import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Chosen", "TaskSelect", "Walk", "walks", "window_terms"]

_OPEN = Window()

Statement = tuple[str, list[Any]]
Term = tuple[str, list[Any]]

#: What looking at one entry costs, in microseconds: of an index alone, of the table in its order, with both.
_INDEX_US, _TABLE_US, _LOOK_UP_US = 0.06, 0.15, 0.6

#: Of more values the branches of a walk are not merged but gathered: SQLite unites 500 SELECTs at most.
_MOST_BRANCHES = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter in the store's own numbers; within a tuple, any.

    Attributes
    ----------
    equal : dict
        Codes of ``project``, ``batch``, ``type`` and ``status``, as far as they are asked for.
    rows : Window
        What the window on ``created_at`` means for row numbers, which rise with it.
    newest_row : int, optional
        No row after this one can match: it was created after the ends of the other windows.
    """

    world: int
    equal: dict[str, int]
    rows: Window = _OPEN
    updated: Window = _OPEN
    completed: Window = _OPEN
    reviews: tuple[int, ...] = ()
    unique_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    newest_row: int | None = None

    @property
    def asks(self) -> frozenset[str]:
        """Name what is asked for."""
        named = {"rows": self.rows, "updated": self.updated, "completed": self.completed}
        given = {"reviews": self.reviews, "unique_ids": self.unique_ids, "tags": self.tags}
        windows = (name for name, window in named.items() if not window.is_open)
        return frozenset((*self.equal, *windows, *(name for name, values in given.items() if values)))


@dataclass(frozen=True, slots=True)
class Walk:
    """One way to find the matches.

    Attributes
    ----------
    name : str
        The index, or ``task`` for the table itself.
    branches : tuple
        Conditions that the index answers; several are walked side by side.
    holds : frozenset of str
        What of the filter they answer.
    entries : int
        How many rows they lead to.
    is_ordered : bool
        Whether rows come in the list's order, so that a walk can end with the page.
    more_us : float
        What each row costs besides: its tags are looked up where they do not lead to it.
    """

    name: str
    branches: tuple[tuple[Term, ...], ...]
    holds: frozenset[str]
    entries: int
    is_ordered: bool = True
    more_us: float = 0.0

    def count_us(self, asks: frozenset[str]) -> float:
        """Estimate what counting the matches takes."""
        return self.entries * self._entry_us(asks)

    def page_us(self, asks: frozenset[str], limit: int, matches: float) -> float:
        """Estimate what finding a page takes, when the matches lie evenly among the rest."""
        looked_at = min(1.0, limit / max(matches, 1.0)) if self.is_ordered else 1.0
        return self.entries * looked_at * self._entry_us(asks)

    def _entry_us(self, asks: frozenset[str]) -> float:
        if self.name == "task":
            return _TABLE_US + self.more_us
        return (_INDEX_US if asks <= self.holds | {"rows"} and self.is_ordered else _LOOK_UP_US) + self.more_us


def walks(chosen: Chosen, sizes: Mapping[str, int], rows: int) -> list[Walk]:
    """Give every way to find the matches.

    Parameters
    ----------
    sizes : mapping
        How many tasks meet each condition that is asked for, by its name, with ``world`` for all tasks of the world;
        estimates do, but for ``statuses.N``, which may only be 0 where nothing has that status.
    rows : int
        How many tasks there are in all worlds.
    """
    world: Term = ("t.world = ?", [chosen.world])
    found = [Walk("task_world", ((world,),), frozenset(), sizes["world"]), Walk("task", ((),), frozenset(), rows)]
    if chosen.unique_ids:
        term = (f"t.unique_id IN ({_marks(chosen.unique_ids)})", list(chosen.unique_ids))
        return [Walk("task_unique_id", ((world, term),), frozenset({"unique_ids"}), len(chosen.unique_ids), False)]
    for name, index in (("project", "task_project_status"), ("batch", "task_batch_status")):
        if name in chosen.equal:
            found.append(_by_status(chosen, sizes, name, index))
    for name, index in (("status", "task_status"), ("type", "task_type_name")):
        if name in chosen.equal:
            equal: Term = (f"t.{name} = ?", [chosen.equal[name]])
            found.append(Walk(index, ((world, equal),), frozenset({name}), sizes[name]))
    if chosen.reviews:
        branches = tuple((world, ("t.review = ?", [review])) for review in chosen.reviews)
        found.append(Walk("task_review", branches, frozenset({"reviews"}), sizes["reviews"]))
    for name in ("updated", "completed"):
        if name in chosen.asks:
            bounds = (world, *_window(chosen, name, "t."))
            found.append(Walk(f"task_{name}", (bounds,), frozenset({name}), sizes[name], is_ordered=False))
    if chosen.tags:
        probing_us = _LOOK_UP_US * len(chosen.tags)
        found = [replace(walk, more_us=probing_us) for walk in found] + [_by_tag(chosen, sizes["tags"])]
    return found


def _by_status(chosen: Chosen, sizes: Mapping[str, int], name: str, index: str) -> Walk:
    """Walk the entries of a project or batch, those of each status side by side."""
    equal: Term = (f"t.{name} = ?", [chosen.equal[name]])
    head: tuple[Term, ...] = (("t.world = ?", [chosen.world]), equal, (f"t.{name} <> 0", []))
    if "status" in chosen.equal:
        branches: tuple[tuple[Term, ...], ...] = ((*head, ("t.status = ?", [chosen.equal["status"]])),)
        holds, entries = frozenset({name, "status"}), sizes[f"{name}+status"]
    else:
        kept = [int(key.rpartition(".")[2]) for key, n in sizes.items() if key.startswith("statuses.") and n]
        branches = tuple((*head, ("t.status = ?", [status])) for status in kept)
        holds, entries = frozenset({name}), sizes[name]
    return Walk(index, branches, holds, entries)


def _by_tag(chosen: Chosen, entries: int) -> Walk:
    world: Term = ("g.world = ?", [chosen.world])
    if len(chosen.tags) > _MOST_BRANCHES:
        branch = (world, (f"g.tag IN ({_marks(chosen.tags)})", list(chosen.tags)))
        return Walk("tag", (branch,), frozenset({"tags"}), entries, is_ordered=False)
    branches = tuple((world, ("g.tag = ?", [tag])) for tag in chosen.tags)
    return Walk("tag", branches, frozenset({"tags"}), entries)


@dataclass(frozen=True, slots=True)
class TaskSelect:
    """A filter, and how its matches are found."""

    chosen: Chosen
    walk: Walk

    def page(self, *, before: int | None, limit: int) -> Statement:
        """Select the rows of a page, newest first."""
        bound = Window(None, before - 1) if before is not None else _OPEN
        text, values = self._rows(bound)
        return f"{text} ORDER BY 1 DESC LIMIT ?", [*values, limit]

    def count(self) -> Statement:
        """Count all matches by looking at them."""
        text, values = self._rows(_OPEN)
        ordered = " ORDER BY 1" if self._is_uniting else ""  # two ordered lists are united as they are read
        return f"SELECT count(*) FROM ({text}{ordered})", values

    @property
    def _is_uniting(self) -> bool:
        """Whether a row may be found in more than one branch: a task has several tags, but one status."""
        return self.walk.name == "tag"

    def _rows(self, bound: Window) -> Statement:
        rest = self._rest()
        parts, values = [], []
        for branch in self.walk.branches:
            text, terms = self._source(rest), [*branch, *self._row_terms(bound), *rest]
            where, given = _joined(terms)
            # Grouping sorts; DISTINCT, which would look every row up among those before, takes thirty times as long.
            grouped = "" if self.walk.is_ordered or not self._is_uniting else " GROUP BY g.id"
            parts.append(f"{text} WHERE {where}{grouped}")
            values += given
        return (" UNION " if self._is_uniting else " UNION ALL ").join(parts), values

    def _source(self, rest: Sequence[Term]) -> str:
        if self.walk.name == "task":
            return "SELECT t.id FROM task t NOT INDEXED"
        if self.walk.name != "tag":
            return f"SELECT t.id FROM task t INDEXED BY {self.walk.name}"
        return "SELECT g.id FROM tag g" + (" CROSS JOIN task t ON t.id = g.id" if rest else "")

    def _row_terms(self, bound: Window) -> list[Term]:
        """Bound the row numbers: by the window on ``created_at``, and by where the page begins."""
        column = "g.id" if self.walk.name == "tag" else "t.id"
        windows = (self.chosen.rows, Window(None, self.chosen.newest_row), bound)
        return [term for window in windows for term in window_terms(column, window)]

    def _rest(self) -> list[Term]:
        """Write the conditions that the walk leaves open; a leading + keeps SQLite from another index."""
        chosen, open_ = self.chosen, self.chosen.asks - self.walk.holds
        terms: list[Term] = [(f"+t.{name} = ?", [chosen.equal[name]]) for name in sorted(open_ & set(chosen.equal))]
        for name in ("updated", "completed"):
            if name in open_:
                terms += _window(chosen, name, "+t.")
        if "reviews" in open_:
            terms.append((f"+t.review IN ({_marks(chosen.reviews)})", list(chosen.reviews)))
        if "tags" in open_:
            has_tag = f"SELECT 1 FROM tag WHERE world = ? AND tag IN ({_marks(chosen.tags)}) AND id = t.id"
            terms.append((f"EXISTS ({has_tag})", [chosen.world, *chosen.tags]))
        if self.walk.name == "task":
            terms.append(("t.world = ?", [chosen.world]))
        return terms


def _window(chosen: Chosen, name: str, prefix: str) -> list[Term]:
    window = chosen.updated if name == "updated" else chosen.completed
    given: list[Term] = [("t.completed_ms IS NOT NULL", [])] if name == "completed" and prefix == "t." else []
    return given + window_terms(f"{prefix}{name}_ms", window)


def window_terms(column: str, window: Window) -> list[Term]:
    """Bound a column, both ends included."""
    bounds = ((">=", window.from_ms), ("<=", window.to_ms))
    return [(f"{column} {sign} ?", [bound]) for sign, bound in bounds if bound is not None]


def _joined(terms: Sequence[Term]) -> Statement:
    return " AND ".join(text for text, _ in terms), [value for _, values in terms for value in values]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))
