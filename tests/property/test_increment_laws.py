"""The law of increments: whatever happened to tasks, whatever bounds are overlooked, a folder is as a full sweep."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service import TEXT, post

import refonte_frames as rf
from refonte_frames.schemas import KEYS
from refonte_frames.transport.calls import Call, path_of

if TYPE_CHECKING:
    from collections.abc import Callable

#: Examples in the gate; the nightly run multiplies it.
DOSE = 6 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))
#: What an audit, tags and metadata move; in the documented example none of them touched updated_at.
OVERLOOKED = [
    ["updated_after"],
    ["updated_after", "completed_after"],
    ["completed_after"],
    ["updated_after", "start_time", "end_time"],
    ["updated_after", "completed_after", "start_time", "end_time"],
]
KINDS = ["complete", "complete", "fail", "cancel", "audit", "tag", "metadata", "clear_id", "hours", "create", "export"]
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 999)), min_size=4, max_size=14)


class World:
    """Some tasks, and what may happen to them."""

    def __init__(self, sandbox: rf.Sandbox) -> None:
        self.sandbox = sandbox
        self.client = sandbox.client(f"live_{uuid.uuid4().hex[:20]}")
        self.states: dict[str, str] = {}

    def create(self, number: int) -> None:
        """Make up to four tasks."""
        for index in range(1 + number % 4):
            body = {**TEXT, "attachment": f"letter {index}", "unique_id": f"{len(self.states)}"}
            self.states[post(self.client, "task", "categorization", body=body)["task_id"]] = "pending"

    def happen(self, kind: str, number: int) -> None:
        """Let one thing happen to one of the tasks that it can happen to."""
        if kind == "create":
            self.create(number)
        elif kind == "hours":
            self.sandbox.clock.advance(hours=number % 7)
        elif task_id := self._chosen(kind, number):
            self._deeds[kind](task_id)

    def _chosen(self, kind: str, number: int) -> str | None:
        needed = {"complete": "pending", "fail": "pending", "cancel": "pending", "audit": "completed"}.get(kind)
        ids = [task_id for task_id, state in self.states.items() if needed in (None, state)]
        return ids[number % len(ids)] if ids else None

    @property
    def _deeds(self) -> dict[str, Callable[[str], Any]]:
        return {
            "complete": lambda task_id: self._end(task_id, "completed", self.sandbox.complete),
            "fail": lambda task_id: self._end(task_id, "error", self.sandbox.fail),
            "cancel": lambda task_id: self._end(task_id, "canceled", self._cancel),
            "audit": lambda task_id: post(self.client, "task", task_id, "audit", body={"accepted": True}),
            "tag": lambda task_id: self._send("PUT", task_id, "tags", ["seen"]),
            "metadata": lambda task_id: post(self.client, "task", task_id, "setMetadata", body={"a": 1}),
            "clear_id": lambda task_id: self._send("DELETE", task_id, "unique_id", None),
        }

    def _cancel(self, task_id: str) -> None:
        post(self.client, "task", task_id, "cancel")

    def _end(self, task_id: str, state: str, end: Callable[[str], Any]) -> None:
        end(task_id)
        self.states[task_id] = state

    def _send(self, method: str, task_id: str, part: str, body: Any) -> None:
        raw = None if body is None else msgspec.json.encode(body)
        self.client.send(Call(method, path_of("task", task_id, part), body=raw))

    def export(self, root: Path, **options: Any) -> rf.ExportReport:
        """Bring a folder up to date."""
        return rf.export_tasks(root, progress=False, client=self.client, **options)


def rows_of(root: Path, table: str) -> list[dict[str, Any]]:
    """Read a table, sorted by its key, without the time of reading."""
    rows = getattr(rf.open_export(root), table).to_arrow().drop_columns("exported_at").to_pylist()
    return sorted(rows, key=lambda row: [row[name] for name in KEYS[table]])


def plainly_read(root: Path) -> dict[str, str]:
    """Read the tasks as any program would: each once, as it is now."""
    tasks = pd.read_parquet(root / "tasks", columns=["task_id", "status"])
    assert tasks["task_id"].is_unique
    return dict(zip(tasks["task_id"], tasks["status"], strict=True))


@settings(max_examples=DOSE, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.sampled_from(OVERLOOKED), st.booleans())
def test_an_increment_ends_as_a_full_sweep(
    sandbox: rf.Sandbox,
    steps: list[tuple[str, int]],
    names: list[str],
    fold: bool,  # noqa: FBT001 - Hypothesis gives it by place
) -> None:
    """Within the look-back, which is longer than all that happens here."""
    world = World(sandbox)
    world.create(3)
    sandbox.faults.add("ignore_filters", path="/v1/tasks", names=names, times=1_000_000)
    try:
        with TemporaryDirectory() as folder:
            root = Path(folder)
            world.export(root / "kept")
            for kind, number in steps:
                world.happen(kind, number) if kind != "export" else world.export(root / "kept", fold=fold)
                if kind == "export" and fold:
                    assert world.states == plainly_read(root / "kept")
            report = world.export(root / "kept", fold=fold)
            world.export(root / "sweep")
            assert report.rows["tasks"] == report.service_total == len(world.states)
            for table in report.rows:
                assert rows_of(root / "kept", table) == rows_of(root / "sweep", table)
    finally:
        sandbox.faults.clear()
