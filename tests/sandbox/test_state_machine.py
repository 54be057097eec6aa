"""Random histories beside a model made of dictionaries: the sandbox and the model never disagree."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from refonte_frames.sandbox.session import Sandbox

IDS = st.sampled_from(["u1", "u2", "u3"])
KEYS = st.sampled_from(["k1", "k2"])
TAGS = st.lists(st.sampled_from(["red", "blue", "green"]), max_size=3)
ENDED = ("completed", "error", "canceled")


class Histories(RuleBasedStateMachine):
    """One live world with an Enterprise and a Rapid project, and what it should hold."""

    tasks = Bundle("tasks")

    @initialize()
    def start(self) -> None:
        """Start a durable sandbox on a frozen clock."""
        self.folder = Path(tempfile.mkdtemp())
        self.sandbox = Sandbox(seed=5, db=self.folder / "sandbox.db").start()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth = ("live_model", "")
        self.sandbox.clock.freeze()
        self.model: dict[str, dict[str, Any]] = {}
        self.saved: dict[str, tuple[str, str]] = {}
        self.batches = {"open": "in_progress", "staged": "staging"}
        for name, is_rapid in (("open", False), ("staged", True)):
            self.call(200, "POST", "/projects", json={"type": "categorization", "name": name, "rapid": is_rapid})
            self.call(200, "POST", "/batches", json={"project": name, "name": name})

    def teardown(self) -> None:
        """Stop and tidy up."""
        self.session.close()
        self.sandbox.close()
        shutil.rmtree(self.folder)

    def call(self, status: int, verb: str, path: str, **details: Any) -> Any:
        """Send one request whose status is known beforehand."""
        reply = self.session.request(verb, self.sandbox.base_url + path, timeout=30, **details)
        assert reply.status_code == status, (verb, path, details, reply.text)
        return reply.json()

    def holder(self, unique_id: str | None) -> str | None:
        """Find who holds an id in the model."""
        return next((t for t, task in self.model.items() if unique_id and task["unique_id"] == unique_id), None)

    def end_batches(self) -> None:
        """Complete what has no pending task left."""
        for name, status in self.batches.items():
            inside = [task["status"] for task in self.model.values() if task["batch"] == name]
            if status == "in_progress" and inside and "pending" not in inside:
                self.batches[name] = "completed"

    @rule(
        target=tasks,
        batch=st.sampled_from([None, "open", "staged"]),
        unique_id=st.none() | IDS,
        key=st.none() | KEYS,
        tags=TAGS,
    )
    def create(self, batch: str | None, unique_id: str | None, key: str | None, tags: list[str]) -> Any:
        """Create a task, maybe with a key that was used before."""
        sent = {"attachment": "car", "attachment_type": "text", "categories": ["a", "b"]}
        sent |= {"batch": batch, "unique_id": unique_id, "tags": tags}
        headers = {"Idempotency-Key": key} if key else {}
        status, task_id = self.expected(batch, unique_id, key, str(sent))
        found = self.call(status, "POST", "/task/categorization", json=sent, headers=headers)
        if status != 200:
            if key and key not in self.saved:
                self.saved[key] = (str(sent), f"{status}")
            return multiple()
        if task_id is not None:
            assert found["task_id"] == task_id
            return multiple()
        self.model[found["task_id"]] = {
            "status": "pending",
            "batch": batch,
            "unique_id": unique_id,
            "tags": list(dict.fromkeys(tags)),
            "metadata": {},
        }
        if key:
            self.saved[key] = (str(sent), found["task_id"])
        return found["task_id"]

    def expected(self, batch: str | None, unique_id: str | None, key: str | None, sent: str) -> tuple[int, str | None]:
        """Say what a creation will be answered, and with which old task."""
        if key in self.saved:
            before, outcome = self.saved[key]
            if before != sent:
                return 409, None
            return (int(outcome), None) if outcome in ("400", "409") else (200, outcome)
        is_open = batch is None or self.batches[batch] == {"open": "in_progress", "staged": "staging"}[batch]
        if not is_open:
            return 400, None
        return (409, None) if self.holder(unique_id) else (200, None)

    @rule(task_id=tasks, clears=st.booleans())
    def cancel(self, task_id: str, clears: bool) -> None:  # noqa: FBT001 - drawn by name
        """Cancel, which only ended tasks refuse."""
        task = self.model[task_id]
        status = 400 if task["status"] in ("completed", "error") else 200
        self.call(status, "POST", f"/task/{task_id}/cancel", params={"clear_unique_id": clears})
        if status == 200:
            task["status"] = "canceled"
            task["unique_id"] = None if clears else task["unique_id"]
            self.end_batches()

    @rule(task_id=tasks, unique_id=st.none() | IDS)
    def set_unique_id(self, task_id: str, unique_id: str | None) -> None:
        """Set or clear an id."""
        if unique_id is None:
            self.call(200, "DELETE", f"/task/{task_id}/unique_id")
            self.model[task_id]["unique_id"] = None
            return
        status = 200 if self.holder(unique_id) in (None, task_id) else 409
        self.call(status, "POST", f"/task/{task_id}/unique_id", json={"unique_id": unique_id})
        if status == 200:
            self.model[task_id]["unique_id"] = unique_id

    @rule(task_id=tasks, verb=st.sampled_from(["PUT", "POST", "DELETE"]), tags=TAGS)
    def tag(self, task_id: str, verb: str, tags: list[str]) -> None:
        """Add, replace or remove tags."""
        self.call(200, verb, f"/task/{task_id}/tags", json=tags)
        old = self.model[task_id]["tags"]
        new = {"PUT": [*old, *tags], "POST": tags, "DELETE": [tag for tag in old if tag not in tags]}[verb]
        self.model[task_id]["tags"] = list(dict.fromkeys(new))

    @rule(task_id=tasks, metadata=st.dictionaries(st.text(max_size=3), st.integers(), max_size=2))
    def set_metadata(self, task_id: str, metadata: dict[str, int]) -> None:
        """Replace the metadata."""
        self.call(200, "POST", f"/task/{task_id}/setMetadata", json=metadata)
        self.model[task_id]["metadata"] = metadata

    @rule(task_id=tasks, accepted=st.booleans())
    def audit(self, task_id: str, accepted: bool) -> None:  # noqa: FBT001 - drawn by name
        """Audit, which only completed tasks allow."""
        status = 200 if self.model[task_id]["status"] == "completed" else 400
        self.call(status, "POST", f"/task/{task_id}/audit", json={"accepted": accepted})

    @rule()
    def finalize(self) -> None:
        """Open the staged batch."""
        self.call(200, "POST", "/batches/staged/finalize")
        if self.batches["staged"] == "staging":
            self.batches["staged"] = "in_progress"
            self.end_batches()

    @rule()
    def work(self) -> None:
        """Let the labelers end everything that is not staged; the saved replies run out meanwhile."""
        self.sandbox.work(days=3)
        for task in self.model.values():
            is_staged = task["batch"] == "staged" and self.batches["staged"] == "staging"
            if task["status"] == "pending" and not is_staged:
                task["status"] = "completed"
        self.saved.clear()
        self.end_batches()

    @rule()
    def let_keys_expire(self) -> None:
        """Let a day pass."""
        self.sandbox.clock.advance(hours=24)
        self.saved.clear()

    @precondition(lambda self: len(self.model) > 1)
    @rule()
    def kill_and_restart(self) -> None:
        """Kill the server; nothing that was answered is lost."""
        os.kill(self.sandbox.pid, signal.SIGKILL)
        self.sandbox.close()
        self.sandbox.start()
        self.session.close()

    @invariant()
    def the_service_is_the_model(self) -> None:
        """Every task, every list, every count."""
        if not hasattr(self, "model"):
            return
        newest_first = list(self.model)[::-1]
        served, token = [], None
        while True:
            query = {"limit": 2, **({"next_token": token} if token else {})}
            page = self.call(200, "GET", "/tasks", params=query)
            assert page["total"] == len(self.model)
            served += page["docs"]
            assert len(served) <= len(self.model), "the pages do not end"
            if not page["has_more"]:
                break
            token = page["next_token"]
        assert [task["task_id"] for task in served] == newest_first
        for task in served:
            wanted = self.model[task["task_id"]]
            assert {name: task.get(name) for name in ("status", "batch", "unique_id", "metadata")} == {
                name: wanted[name] for name in ("status", "batch", "unique_id", "metadata")
            }
            assert task.get("tags", []) == wanted["tags"]
            assert ("completed_at" in task) == (task["status"] in ENDED)
        self.counts_agree()

    def counts_agree(self) -> None:
        """Compare filters, totals and batch counts."""
        for name, status in self.batches.items():
            inside = [task["status"] for task in self.model.values() if task["batch"] == name]
            counts = {f"tasks_{each}": inside.count(each) for each in set(inside)}
            assert self.call(200, "GET", f"/batches/{name}/status") == {"status": status, **counts}
        for query, wanted in (
            ({"status": "pending"}, lambda task: task["status"] == "pending"),
            (
                {"batch": "open", "status": "completed"},
                lambda task: task["batch"] == "open" and task["status"] == "completed",
            ),
            ({"tags": ["red", "blue"]}, lambda task: {"red", "blue"} & set(task["tags"])),
            ({"unique_id": ["u1", "u2"]}, lambda task: task["unique_id"] in ("u1", "u2")),
        ):
            page = self.call(200, "GET", "/tasks", params=query)
            ids = [task_id for task_id in list(self.model)[::-1] if wanted(self.model[task_id])]
            assert [task["task_id"] for task in page["docs"]] == ids
            assert page["total"] == len(ids)


Histories.TestCase.settings = settings(
    max_examples=int(os.environ.get("REFONTE_TEST_HISTORIES", "8")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestHistories = Histories.TestCase
