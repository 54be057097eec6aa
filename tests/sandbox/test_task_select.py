"""How SQLite finds the rows of a list: by the index that is meant."""

from __future__ import annotations

import sqlite3

import pytest

from refonte_frames.sandbox import schema
from refonte_frames.sandbox.queries import TaskFilter, Window
from refonte_frames.sandbox.task_select import TaskSelect


@pytest.mark.parametrize(
    ("chosen", "index"),
    [
        (TaskFilter(), "task_world"),
        (TaskFilter(status="pending"), "task_status"),
        (TaskFilter(type="categorization"), "task_type"),
        (TaskFilter(unique_ids=("a",)), "task_unique_id"),
        (TaskFilter(unique_ids=tuple(map(str, range(100)))), "task_unique_id"),
        (TaskFilter(unique_ids=("a", "b"), status="pending", updated=Window(1, 2)), "task_unique_id"),
        (TaskFilter(reviews=("accepted",)), "task_review"),
    ],
)
def test_a_filter_is_answered_from_its_own_index(chosen: TaskFilter, index: str) -> None:
    """Any other one would walk all tasks of the world, which nobody notices among few."""
    db = sqlite3.connect(":memory:")
    db.executescript(schema.DDL)
    select = TaskSelect(1, chosen, first_row=None, last_row=None, project=None, batch=None)
    for statement, values in (select.page(before=None, limit=100), select.page(before=9, limit=100)):
        plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", values))
        assert f" {index} " in f"{plan} "
    db.close()
