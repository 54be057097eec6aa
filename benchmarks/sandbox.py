"""CPU of the sandbox's server beside many tasks: start, pages by filter, totals, creations, and labelers' work.

``python benchmarks/sandbox.py [TASKS]`` (100,000 by default; 1,000,000 take 6 GB of disk and some minutes). A database
is filled directly, then served, and every figure is the user and system time of the server's process over many
requests, so that other programs on the machine disturb little; wall times would say more about them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from refonte_frames.sandbox import lifecycle, rules
from refonte_frames.sandbox.service import Service
from refonte_frames.sandbox.session import Sandbox
from refonte_frames.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "live_demo"
WAITING = 100_000
PROJECTS, BATCHES = 20, 200
TICKS = os.sysconf("SC_CLK_TCK")


def fill(path: Path, tasks: int) -> str:
    """Write tasks of 2 kB: three of four completed, in projects and batches; returns the time in the middle."""
    store = Store(path)
    service = Service.open(store, 7)
    world = service.world_of(KEY, name="demo", is_live=True)
    now_ms = service.clock.now_ms() - tasks * 10
    with store.transaction():
        projects = [_project(store, world, number, now_ms) for number in range(PROJECTS)]
        batches = [_batch(store, world, projects[n % PROJECTS], n, now_ms) for n in range(BATCHES)]
    for first in range(0, tasks, 5000):
        with store.transaction():
            for number in range(first, min(first + 5000, tasks)):
                batch = batches[number * 7919 % BATCHES]
                store.tasks.add(_task(service, world, batch, number, now_ms + number * 10))
    store.close()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((now_ms + tasks * 5) / 1000))


def _project(store: Store, world: Any, number: int, now_ms: int) -> rules.Project:
    body = {"type": "categorization", "name": f"p{number}"}
    return store.catalog.add_project(world, rules.new_project(body, now_ms))


def _batch(store: Store, world: Any, project: rules.Project, number: int, now_ms: int) -> rules.Batch:
    return store.catalog.add_batch(world, rules.new_batch({"name": f"b{number}"}, project, now_ms))


def _task(service: Service, world: Any, batch: rules.Batch, number: int, now_ms: int) -> lifecycle.Task:
    body = {
        "attachment": f"https://example.com/{number}.jpg",
        "attachment_type": "image",
        "categories": ["a", "b", "c"],
        "metadata": {"row": number, "note": "x" * 1400},
        "unique_id": f"row-{number}",
        "tags": [f"t{number % 50}"],
    }
    draft = rules.draft_task("categorization", body, batch.project, batch)
    task = service.new_task(world, draft, now_ms)
    if number % 4 == 3:
        return task
    done = lifecycle.complete(task, {"category": "a"}, now_ms + 60_000)
    if number % 8:
        return done
    audit = {"audited_at": "2026-01-01T00:00:00.000Z", "audit_result": "accepted", "audit_source": "customer"}
    return lifecycle.add_audit(done, audit)


def cpu_secs(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def per_call_ms(sandbox: Sandbox, times: int, call: Callable[[int], object]) -> float:
    call(-1)
    before = cpu_secs(sandbox.pid)
    for number in range(times):
        call(number)
    return (cpu_secs(sandbox.pid) - before) / times * 1000


def _filters(middle: str) -> dict[str, dict[str, Any]]:
    return {
        "none": {},
        "project": {"project": "p3"},
        "batch": {"batch": "b3"},
        "status": {"status": "pending"},
        "type": {"type": "categorization"},
        "project+status": {"project": "p3", "status": "completed"},
        "batch+status": {"batch": "b3", "status": "completed"},
        "tags": {"tags": "t7"},
        "unique_id x 100": {"unique_id": [f"row-{n * 5}" for n in range(100)]},
        "customer_review_status": {"customer_review_status": "accepted"},
        "start_time": {"start_time": middle},
        "end_time": {"end_time": middle},
        "updated_after": {"updated_after": middle},
        "completed_before": {"completed_before": middle},
        "updated_after+tags": {"updated_after": middle, "tags": "t7"},
    }


def pages(sandbox: Sandbox, session: requests.Session, middle: str) -> None:
    print(f"{'filter':24}{'total':>10}{'first page':>12}{'next page':>12}   ms of server CPU")
    for name, query in _filters(middle).items():

        def page(_: int, query: dict[str, Any] = query, **more: Any) -> dict[str, Any]:
            return session.get(f"{sandbox.base_url}/tasks", params={**query, **more}).json()

        first = page(0)
        cost = per_call_ms(sandbox, 40, page)
        token = first.get("next_token")
        later = per_call_ms(sandbox, 40, lambda n, token=token, page=page: page(n, next_token=token)) if token else None
        shown = f"{later:12.2f}" if later is not None else " " * 12
        print(f"{name:24}{first['total']:>10,}{cost:>12.2f}{shown}")


def create(session: requests.Session, base_url: str, number: int) -> None:
    body = {"attachment": f"a{number}", "attachment_type": "text", "categories": ["a", "b"], "unique_id": f"n{number}"}
    headers = {"Idempotency-Key": f"k{number}"}
    session.post(f"{base_url}/task/categorization", json=body, headers=headers).raise_for_status()


def main(tasks: int) -> None:
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        session.auth, session.trust_env = (KEY, ""), False
        path = Path(folder) / "sandbox.db"
        middle = fill(path, tasks)
        print(f"{tasks:,} tasks, {path.stat().st_size / 1e9:.1f} GB")
        with Sandbox(seed=7, db=path) as sandbox:
            print(f"ready after {cpu_secs(sandbox.pid):.2f} s of CPU")
            pages(sandbox, session, middle)
            cost = per_call_ms(sandbox, 2000, lambda n: create(session, sandbox.base_url, n))
            print(f"POST /task, beside them in the file      {cost:.2f} ms")
    with Sandbox(seed=7) as sandbox, requests.Session() as session:
        session.auth, session.trust_env = (KEY, ""), False
        waiting = min(WAITING, tasks)
        cost = per_call_ms(sandbox, waiting, lambda n: create(session, sandbox.base_url, n))
        print(f"POST /task, temporary store, {waiting:,} times  {cost:.2f} ms")
        before = cpu_secs(sandbox.pid)
        counts = sandbox.work(days=1)
        took = cpu_secs(sandbox.pid) - before
        print(f"24 hours of labelers' work on them       {took:.1f} s ({counts['completed']:,} completed)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
