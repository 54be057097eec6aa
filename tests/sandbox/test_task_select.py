"""How the rows of a list are found and counted: by an index that fits, and always the same rows."""

from __future__ import annotations

import random
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refonte_frames.sandbox import lifecycle, rules, schema
from refonte_frames.sandbox.queries import TaskFilter, Window
from refonte_frames.sandbox.service import Service
from refonte_frames.sandbox.store import Store
from refonte_frames.sandbox.task_select import Chosen, TaskSelect, walks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refonte_frames.sandbox.exchange import World
    from refonte_frames.sandbox.lifecycle import Task

BODY = {"attachment": "car", "attachment_type": "text", "categories": ["a", "b"]}
START_MS = 1_800_000_000_000


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    """Give the empty tables."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.DDL)
    yield connection
    connection.close()


SIZES = {
    "world": 1_000_000,
    "project": 50_000,
    "batch": 5_000,
    "status": 250_000,
    "type": 900_000,
    "reviews": 9_000,
    "project+status": 20_000,
    "batch+status": 2_000,
    "tags": 20_000,
    "updated": 500_000,
    "completed": 300_000,
    "statuses.0": 250_000,
    "statuses.1": 750_000,
    "statuses.2": 0,
    "statuses.3": 0,
}
ONE = {
    "nothing": Chosen(1, {}),
    "project": Chosen(1, {"project": 3}),
    "batch": Chosen(1, {"batch": 3}),
    "status": Chosen(1, {"status": 0}),
    "type": Chosen(1, {"type": 1}),
    "project+status": Chosen(1, {"project": 3, "status": 0}),
    "batch+status": Chosen(1, {"batch": 3, "status": 0}),
    "reviews": Chosen(1, {}, reviews=(1,)),
    "tags": Chosen(1, {}, tags=("a",)),
    "two tags": Chosen(1, {}, tags=("a", "b")),
}


@pytest.mark.parametrize("name", ONE)
def test_no_page_of_one_filter_is_sorted(db: sqlite3.Connection, name: str) -> None:
    """The index holds the order of the list, or its branches are merged: a million rows are not gathered first."""
    chosen = ONE[name]
    ways = walks(chosen, SIZES, 1_000_000)
    best = min(ways, key=lambda walk: walk.page_us(chosen.asks, 101, 5_000))
    for before in (None, 500_000):
        statement, values = TaskSelect(chosen, best).page(before=before, limit=101)
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values))
        assert "TEMP B-TREE" not in plan
        assert "SCAN" not in plan


@pytest.mark.parametrize(
    ("chosen", "matches", "name"),
    [
        (Chosen(1, {}, unique_ids=("a", "b")), 2, "task_unique_id"),
        (Chosen(1, {"status": 0}, updated=Window(1, 2), unique_ids=("a",)), 1, "task_unique_id"),
        (Chosen(1, {}, updated=Window(1, 2)), 500_000, "task"),
        (Chosen(1, {"type": 1, "batch": 3}), 5_000, "task_batch_status"),
        (Chosen(1, {"project": 3}, reviews=(1,)), 10, "task_review"),
        (Chosen(1, {"status": 0}, tags=("a",)), 15_000, "tag"),
    ],
)
def test_the_way_with_the_fewest_entries_is_taken(chosen: Chosen, matches: int, name: str) -> None:
    """Half the tasks match: the newest are looked at. A few do: the rarest condition leads to them."""
    ways = walks(chosen, SIZES, 1_000_000)
    assert min(ways, key=lambda walk: walk.page_us(chosen.asks, 101, matches)).name == name


def test_a_narrow_window_is_walked_by_its_own_index() -> None:
    """Its few entries are sorted, which costs less than passing by all others."""
    chosen = Chosen(1, {}, updated=Window(1, 2))
    ways = walks(chosen, {**SIZES, "updated": 300}, 1_000_000)
    assert min(ways, key=lambda walk: walk.page_us(chosen.asks, 101, 300)).name == "task_updated"


class Filled:
    """A store with some hundred tasks in every state, and the same tasks in a list."""

    def __init__(self, seed: int) -> None:
        self.store = Store()
        self.service = Service.open(self.store, seed)
        self.world = self.service.world_of("live_a", name="a", is_live=True)
        self.other = self.service.world_of("live_b", name="b", is_live=True)
        self.random = random.Random(seed)
        self.tasks: dict[str, Task] = {}
        with self.store.transaction():
            self._catalog()
        self.now_ms = START_MS

    def _catalog(self) -> None:
        catalog = self.store.catalog
        made = [rules.new_project({"type": "categorization", "name": f"p{n}"}, START_MS) for n in range(2)]
        self.projects = [catalog.add_project(self.world, project) for project in made]
        drafts = [rules.new_batch({"name": f"b{n}"}, self.projects[n % 2], START_MS) for n in range(3)]
        self.batches = [catalog.add_batch(self.world, batch) for batch in drafts]

    def create(self, world: World, number: int) -> None:
        """Add a task; many share a moment."""
        pick = self.random.choice
        batch = pick([None, *self.batches]) if world is self.world else None
        project = batch.project if batch else pick([None, *self.projects]) if world is self.world else None
        kind = "categorization" if project else pick(["categorization", "audiotranscription"])
        body: dict[str, Any] = dict(BODY) if kind == "categorization" else {"attachment": "a"}
        body |= {"unique_id": f"u{number}"} if number % 3 else {}
        body |= {"tags": self.random.sample(["x", "y", "z"], pick([1, 2]))} if number % 2 else {}
        self.now_ms += pick([0, 0, 1, 1000])
        task = self.service.new_task(world, rules.draft_task(kind, body, project, batch), self.now_ms)
        self.store.tasks.add(task)
        if world is self.world:
            self.tasks[task.task_id] = task

    def change(self) -> None:
        """End, audit, tag or rename some task."""
        task = self.random.choice([*self.tasks.values()])
        self.now_ms += self.random.choice([0, 500])
        step = self.random.randrange(6)
        if task.status == "pending" and step < 4:
            ends = (lifecycle.complete, lifecycle.complete, lifecycle.fail)
            task = self.random.choice(ends)(task, {"category": "a"}, self.now_ms)
        elif task.status == "completed" and step < 4:
            audit = {"audited_at": "2027-01-01T00:00:00.000Z", "audit_source": "customer"}
            task = lifecycle.add_audit(task, {**audit, "audit_result": self.random.choice(schema.REVIEWS[1:])})
        elif step == 4:
            task = lifecycle.set_tags(task, self.random.sample(["x", "y", "z", "q"], 2))
        else:
            task = lifecycle.clear_unique_id(task)
        self.store.tasks.save(task, has_new_tags=step == 4)
        self.tasks[task.task_id] = task

    def expected(self, chosen: TaskFilter) -> list[int]:
        """List the rows that match, newest first."""
        return [task.row for task in sorted(self.tasks.values(), key=lambda t: -t.row) if _matches(task, chosen)]


def _matches(task: Task, chosen: TaskFilter) -> bool:
    def lies(moment: int | None, window: Window) -> bool:
        low, high = window.from_ms, window.to_ms
        return window.is_open or (
            moment is not None and (low is None or low <= moment) and (high is None or moment <= high)
        )

    same = ((chosen.type, task.type), (chosen.status, task.status))
    named = ((chosen.project, task.doc.get("project")), (chosen.batch, task.doc.get("batch")))
    return (
        all(wanted in (None, value) for wanted, value in (*same, *named))
        and (not chosen.reviews or task.review in chosen.reviews)
        and (not chosen.unique_ids or task.unique_id in chosen.unique_ids)
        and (not chosen.tags or bool(set(chosen.tags) & set(task.doc.get("tags", []))))
        and lies(task.created_ms, chosen.created)
        and lies(task.updated_ms, chosen.updated)
        and lies(task.completed_ms, chosen.completed)
    )


MOMENTS = st.none() | st.integers(START_MS - 1000, START_MS + 500_000)
WINDOWS = st.just(Window()) | st.builds(Window, MOMENTS, MOMENTS)
FILTERS = st.builds(
    TaskFilter,
    created=WINDOWS,
    completed=WINDOWS,
    updated=WINDOWS,
    status=st.sampled_from([None, None, *schema.STATUSES]),
    type=st.sampled_from([None, None, "categorization", "audiotranscription", "comparison"]),
    project=st.sampled_from([None, None, "p0", "p1", "unknown"]),
    batch=st.sampled_from([None, None, "b0", "b1", "b2"]),
    reviews=st.sampled_from([(), (), ("pending",), ("accepted", "fixed")]),
    unique_ids=st.sampled_from([(), (), ("u1",), ("u1", "u2", "u50", "nobody's")]),
    tags=st.sampled_from([(), (), ("x",), ("x", "q"), ("nobody's",), tuple("abcdefghijklmnopqrstuvwxyz")]),
)


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    """Give a store with 400 tasks that has been asked already, so that its counts are kept up to date."""
    made = Filled(3)
    with made.store.transaction():
        for number in range(200):
            made.create(made.world if number % 5 else made.other, number)
    for chosen in (
        TaskFilter(),
        TaskFilter(reviews=("accepted",)),
        TaskFilter(tags=("x",)),
        TaskFilter(status="error"),
    ):
        made.store.tasks.count(made.world, chosen)
    for window in (Window(START_MS, None),):
        for name in ("created", "updated", "completed"):
            made.store.tasks.count(made.world, TaskFilter(**{name: window}))
    with made.store.transaction():
        for number in range(200, 400):
            made.create(made.world if number % 5 else made.other, number)
            made.change()
    yield made
    made.store.close()


@settings(deadline=None, max_examples=150)
@given(chosen=FILTERS)
def test_every_way_finds_the_same_rows(filled: Filled, chosen: TaskFilter) -> None:
    """Page and count agree with looking at each task, whichever index is walked, known counts or not."""
    table, wanted = filled.store.tasks, filled.expected(chosen)
    assert table.count(filled.world, chosen) == len(wanted)
    found = table.page(filled.world, chosen, before=None, limit=500, total=len(wanted))
    assert [row for row, _ in found] == wanted
    codes = table._chosen(filled.world, chosen)
    if codes is None:
        return
    for walk in (walk for walk in table._ways(codes) if walk.branches):
        select = TaskSelect(codes, walk)
        statement, values = select.page(before=250, limit=10)
        rows = [row for (row,) in filled.store._db.execute(statement, values)]
        assert rows == [row for row in wanted if row < 250][:10]
        statement, values = select.count()
        assert filled.store._db.execute(statement, values).fetchone() == (len(wanted),)


@pytest.mark.parametrize("step_ms", [0, 3])
def test_windows_are_counted_right_across_many_marks(step_ms: int) -> None:
    """Thousands of tasks at one moment, or each at its own, and changes after the marks were set."""
    made = Filled(5)
    table = made.store.tasks
    with made.store.transaction():
        for number in range(5000):
            draft = rules.draft_task("audiotranscription", {"attachment": "a"}, None, None)
            task = made.service.new_task(made.world, draft, START_MS + number * step_ms)
            table.add(task)
            made.tasks[task.task_id] = task
    bounds = [START_MS - 1, START_MS, START_MS + 1, START_MS + 2500 * step_ms, START_MS + 5000 * step_ms]
    filters = [TaskFilter(**{name: Window(bound, None)}) for name in ("created", "updated") for bound in bounds]
    assert [table.count(made.world, each) for each in filters] == [len(made.expected(each)) for each in filters]
    ended = [lifecycle.complete(task, {}, START_MS + 50_000) for task in [*made.tasks.values()][:4500]]
    with made.store.transaction():
        table.save_all(ended)
    made.tasks |= {task.task_id: task for task in ended}
    filters += [TaskFilter(**{name: Window(None, START_MS + 50_000)}) for name in ("completed", "updated")]
    assert [table.count(made.world, each) for each in filters] == [len(made.expected(each)) for each in filters]
    made.store.close()


def test_a_change_that_was_taken_back_is_not_counted() -> None:
    """The counts in memory follow the file, not what was tried."""
    made = Filled(4)
    with made.store.transaction():
        made.create(made.world, 1)
    everything = TaskFilter()
    assert made.store.tasks.count(made.world, everything) == 1
    with pytest.raises(sqlite3.IntegrityError), made.store.transaction():
        _create_two(made)
    assert made.store.tasks.count(made.world, everything) == 1
    made.store.close()


def _create_two(made: Filled) -> None:
    """Add a task, and one whose unique_id is taken."""
    made.create(made.world, 2)
    made.create(made.world, 1)
