"""CPU of the sandbox's server beside many tasks: start, pages by filter, totals, creations, and labelers' work.

``python benchmarks/sandbox.py [TASKS] [FILE]`` (100,000 by default; 1,000,000 take 3 GB of disk and some minutes). A
database is filled through the store, not over HTTP, then served; with FILE it is kept and used again. Every figure is
the time that the threads of the server's process spent on a processor, from the first byte of a request to the last of
its answer, so that other programs on the machine disturb less; wall times would say more about them. An empty answer's
cost, which no filter can be below, is printed beside them: on a busy machine all of them rise together.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from refonte_frames.sandbox import lifecycle, rules, work
from refonte_frames.sandbox.service import Service
from refonte_frames.sandbox.session import Sandbox
from refonte_frames.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "live_demo"
WAITING = 100_000
PROJECTS, BATCHES, CALLS = 20, 200, 25


def fill(path: Path, tasks: int) -> None:
    """Write tasks of 2 kB: three of four completed, in projects and batches."""
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


def fill_waiting(path: Path, tasks: int) -> None:
    """Write small tasks that wait for labelers."""
    store = Store(path)
    service = Service.open(store, 7)
    world, now_ms = service.world_of(KEY, name="demo", is_live=True), service.clock.now_ms()
    for first in range(0, tasks, 5000):
        with store.transaction():
            for number in range(first, min(first + 5000, tasks)):
                body = {"attachment": f"a{number}", "attachment_type": "text", "categories": ["a", "b"]}
                draft = rules.draft_task("categorization", {**body, "unique_id": f"n{number}"}, None, None)
                store.tasks.add(work.schedule(service, service.new_task(world, draft, now_ms)))
    store.close()


def middle_of(session: requests.Session, base_url: str) -> str:
    """Find the time between the oldest task and the newest."""
    newest = session.get(f"{base_url}/tasks", params={"limit": 1}).json()["docs"][0]["created_at"]
    oldest = session.get(f"{base_url}/tasks", params={"limit": 1, "unique_id": "row-0"}).json()["docs"][0]["created_at"]
    begin, end = (datetime.fromisoformat(text) for text in (oldest, newest))
    return (begin + (end - begin) / 2).strftime("%Y-%m-%dT%H:%M:%SZ")


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
    """Add up what the scheduler gave the threads of a process, in nanoseconds."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def per_call_ms(sandbox: Sandbox, times: int, call: Callable[[int], object], rounds: int = 5) -> float:
    """Give the middle one of some rounds: a neighbour's burst takes the cache away from one of them."""
    call(-1)
    found = []
    for first in range(0, times, max(1, times // rounds)):
        before = cpu_secs(sandbox.pid)
        numbers = range(first, min(times, first + max(1, times // rounds)))
        for number in numbers:
            call(number)
        found.append((cpu_secs(sandbox.pid) - before) / len(numbers) * 1000)
    return statistics.median(found)


def _filters(middle: str) -> dict[str, dict[str, Any]]:
    return {
        "none": {},
        "project": {"project": "p3"},
        "batch": {"batch": "b3"},
        "type": {"type": "categorization"},
        "status=pending": {"status": "pending"},
        "status=completed": {"status": "completed"},
        "customer_review_status": {"customer_review_status": "accepted"},
        "  two of them": {"customer_review_status": "accepted,pending"},
        "tags": {"tags": "t7"},
        "  two tags": {"tags": "t7,t8"},
        "unique_id": {"unique_id": "row-77"},
        "  a hundred of them": {"unique_id": [f"row-{n * 5}" for n in range(100)]},
        "start_time": {"start_time": middle},
        "end_time": {"end_time": middle},
        "updated_after": {"updated_after": middle},
        "updated_before": {"updated_before": middle},
        "completed_after": {"completed_after": middle},
        "completed_before": {"completed_before": middle},
        "project+status": {"project": "p3", "status": "completed"},
        "batch+status": {"batch": "b3", "status": "completed"},
        "project+type+status": {"project": "p3", "type": "categorization", "status": "completed"},
        "updated_after+status": {"updated_after": middle, "status": "pending"},
        "updated_after+project": {"updated_after": middle, "project": "p3"},
        "updated_after+tags": {"updated_after": middle, "tags": "t7"},
        "tags+project": {"tags": "t7", "project": "p3"},
        "review+updated_after": {"customer_review_status": "accepted", "updated_after": middle},
        "end_time+updated_after": {"end_time": middle, "updated_after": middle},
        "nothing matches": {"start_time": middle, "completed_before": middle},
    }


def pages(sandbox: Sandbox, session: requests.Session, middle: str) -> None:
    floor = per_call_ms(sandbox, CALLS, lambda _: session.get(f"{sandbox.base_url}/nothing").content)
    print(f"{'an answer without content (404)':35}{floor:>10.2f}   ms of server CPU")
    print(f"{'filter':25}{'total':>10}{'first asked':>13}{'first page':>12}{'total alone':>13}{'next page':>12}")
    for name, query in _filters(middle).items():

        def page(_: int, query: dict[str, Any] = query, **more: Any) -> requests.Response:
            return session.get(f"{sandbox.base_url}/tasks", params={**query, **more})

        before = cpu_secs(sandbox.pid)
        first = page(0).json()
        cold = (cpu_secs(sandbox.pid) - before) * 1000
        cost = per_call_ms(sandbox, CALLS, page)
        one = per_call_ms(sandbox, CALLS, lambda n, page=page: page(n, limit=1)) - floor
        token = first.get("next_token")
        later = per_call_ms(sandbox, CALLS, lambda n, t=token, page=page: page(n, next_token=t)) if token else None
        shown = f"{later:12.2f}" if later is not None else ""
        print(f"{name:25}{first['total']:>10,}{cold:>13.2f}{cost:>12.2f}{max(0.0, one):>13.2f}{shown}", flush=True)


def create(session: requests.Session, base_url: str, number: str) -> None:
    body = {"attachment": f"a{number}", "attachment_type": "text", "categories": ["a", "b"], "unique_id": f"n{number}"}
    headers = {"Idempotency-Key": f"k{number}"}
    session.post(f"{base_url}/task/categorization", json=body, headers=headers).raise_for_status()


def main(tasks: int, kept: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        session.auth, session.trust_env = (KEY, ""), False
        path = kept or Path(folder) / "sandbox.db"
        if not path.exists():
            fill(path, tasks)
        print(f"{tasks:,} tasks, {path.stat().st_size / 1e9:.1f} GB")
        with Sandbox(seed=7, db=path) as sandbox:
            print(f"ready after {cpu_secs(sandbox.pid):.2f} s of CPU")
            pages(sandbox, session, middle_of(session, sandbox.base_url))
            run = time.time_ns()
            cost = per_call_ms(sandbox, 2000, lambda n: create(session, sandbox.base_url, f"{run}-{n}"))
            print(f"POST /task, beside them in the file       {cost:.2f} ms")
        with Sandbox(seed=7) as sandbox:
            cost = per_call_ms(sandbox, 2000, lambda n: create(session, sandbox.base_url, f"{n}"))
            print(f"POST /task, temporary store               {cost:.2f} ms")
        waiting = Path(folder) / "waiting.db"
        fill_waiting(waiting, WAITING)
        with Sandbox(seed=7, db=waiting) as sandbox:
            before = cpu_secs(sandbox.pid)
            counts = sandbox.work(days=1)
            took = cpu_secs(sandbox.pid) - before
            print(f"24 hours of labelers, {WAITING:,} tasks     {took:.1f} s ({counts['completed']:,} completed)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
