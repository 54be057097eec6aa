"""What a row costs the client: `rf.submit`, with its journal, beside what people write by hand, against one server.

    python benchmarks/submit.py [ROWS]

Each way runs in a process of its own against a fresh world of one sandbox, over plain HTTP on this machine. CPU is the
client process's own, user and system, without the imports; the server's is not in it. The scaleapi package is measured
where it is installed (`pip install scaleapi`). It makes a session for every call; what that costs over TLS is not seen
here.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 16
PARAMS = {"attachment_type": "text", "categories": ["a", "b"]}


def frame_of(rows: int) -> pd.DataFrame:
    """Make the frame that all ways submit."""
    return pd.DataFrame({"text": [f"text number {at}" for at in range(rows)], "source": ["benchmark"] * rows})


def bodies_of(rows: int) -> list[dict[str, Any]]:
    """Make the bodies as a user would by hand."""
    records = frame_of(rows).to_dict("records")
    return [{"attachment": row["text"], "metadata": {"source": row["source"]}, **PARAMS} for row in records]


def ours(url: str, key: str, rows: int) -> int:
    """Submit with the journal in a temporary folder."""
    import tempfile  # noqa: PLC0415 - no part of the other ways

    with tempfile.TemporaryDirectory() as folder:
        client = rf.Client(key, url, max_workers=WORKERS, state_dir=folder)
        receipt = rf.submit(
            frame_of(rows),
            type="categorization",
            columns={"attachment": "text"},
            metadata=["source"],
            params=PARAMS,
            progress=False,
            client=client,
        )
    return int((receipt["outcome"] == "created").sum())


def session(url: str, key: str, rows: int) -> int:
    """Post from threads through one requests.Session: no journal, no ids, no retries."""
    import requests  # noqa: PLC0415

    with requests.Session() as shared:
        shared.auth = (key, "")
        shared.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=WORKERS))

        def one(body: dict[str, Any]) -> str:
            reply = shared.post(f"{url}/task/categorization", json=body, timeout=30)
            reply.raise_for_status()
            return str(reply.json()["task_id"])

        with ThreadPoolExecutor(WORKERS) as pool:
            return len(set(pool.map(one, bodies_of(rows))))


def scaleapi(url: str, key: str, rows: int) -> int:
    """Create tasks with the package of the API's family, from threads."""
    from scaleapi import ScaleClient  # noqa: PLC0415
    from scaleapi.tasks import TaskType  # noqa: PLC0415

    client = ScaleClient(key, api_instance_url=url)

    def one(body: dict[str, Any]) -> str:
        return str(client.create_task(TaskType.Categorization, **body).id)

    with ThreadPoolExecutor(WORKERS) as pool:
        return len(set(pool.map(one, bodies_of(rows))))


WAYS: dict[str, Callable[[str, str, int], int]] = {"ours": ours, "session": session, "scaleapi": scaleapi}


def measure(way: str, url: str, key: str, rows: int) -> dict[str, float]:
    """Run one way in this process and tell what it cost."""
    WAYS[way](url, key, 50)  # imports, connections and caches are everybody's own, and not counted
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    made = WAYS[way](url, key + "-2", rows)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert made == rows, f"{way} made {made} of {rows} tasks"
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_ms": 1000 * cpu / rows, "secs": time.perf_counter() - began, "peak_mb": after.ru_maxrss / 1024}


def main(rows: int) -> None:
    """Measure all ways, one after the other."""
    found: dict[str, dict[str, float]] = {}
    with rf.Sandbox(seed=7) as sandbox:
        for way in WAYS:
            command = [
                sys.executable,
                "-W",
                "ignore",
                __file__,
                "--one",
                way,
                sandbox.base_url,
                f"live_{way}",
                str(rows),
            ]
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
            if run.returncode:
                print(f"{way}: not measured (is the package installed?)")
            else:
                found[way] = json.loads(run.stdout)
    print(f"{rows:,} rows, {WORKERS} threads, one run each")
    print(f"{'way':<10}{'CPU ms/row':>12}{'x ours':>8}{'seconds':>9}{'peak MB':>9}")
    for way, cost in found.items():
        ratio = cost["cpu_ms"] / found["ours"]["cpu_ms"]
        print(f"{way:<10}{cost['cpu_ms']:>12.3f}{ratio:>8.2f}{cost['secs']:>9.1f}{cost['peak_mb']:>9.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        json.dump(measure(*sys.argv[2:5], rows=int(sys.argv[5])), sys.stdout)
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5000)
