"""What a row costs the client: `rf.submit`, with its journal, beside what people write by hand, over HTTP and TLS.

    python benchmarks/submit.py [ROWS]

Each way runs in a process of its own against the same canned service (`canned.py`: uvicorn on this machine, in another
process; TLS by Python's ssl there, with a certificate of an authority that `trustme` makes; REQUESTS_CA_BUNDLE names
certifi's bundle with that authority at its end). CPU is the client process's own, user and system, without imports and
the first 50 rows; the service's is not in it. Each way runs three times, taking turns, and the least is shown. `floor`
is http.client with ready-made bodies, a connection a thread: what Python itself costs. The scaleapi package is measured
where it is installed, with fewer rows over TLS, since every call makes a new connection there.

The last table is about time: 50 ms a request, 16 workers, against rows x 50 ms / 16.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKERS = 16
ROUNDS = 3
LATENCY_SECS = 0.05
PARAMS = {"attachment_type": "text", "categories": ["a", "b"]}
#: Of the rows of the others; a call of this package costs some 50 ms there.
SCALEAPI_TLS_PART = 0.1


def frame_of(rows: int) -> pd.DataFrame:
    """Make the frame that all ways submit."""
    return pd.DataFrame({"text": [f"text number {at}" for at in range(rows)], "source": ["benchmark"] * rows})


def bodies_of(rows: int) -> list[dict[str, Any]]:
    """Make the bodies as a user would by hand."""
    records = frame_of(rows).to_dict("records")
    return [{"attachment": row["text"], "metadata": {"source": row["source"]}, **PARAMS} for row in records]


def ours(url: str, key: str, rows: int) -> int:
    """Submit with the journal in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder, rf.Client(key, url, max_workers=WORKERS, state_dir=folder) as client:
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
    import requests  # noqa: PLC0415 - no part of the other ways

    with requests.Session() as shared:
        shared.auth = (key, "")
        for scheme in ("http://", "https://"):
            shared.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=WORKERS))

        def one(body: dict[str, Any]) -> str:
            reply = shared.post(f"{url}/task/categorization", json=body, timeout=30)
            reply.raise_for_status()
            return str(reply.json()["task_id"])

        with ThreadPoolExecutor(WORKERS) as pool:
            return len(set(pool.map(one, bodies_of(rows))))


def floor(url: str, key: str, rows: int) -> int:
    """Send ready-made bodies through http.client, and look at nothing that comes back but its task_id."""
    import base64  # noqa: PLC0415
    import http.client  # noqa: PLC0415
    import ssl  # noqa: PLC0415
    from urllib.parse import urlsplit  # noqa: PLC0415

    parts, local = urlsplit(url), threading.local()
    basic = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    context = ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE"))

    def connect() -> http.client.HTTPConnection:
        if parts.scheme == "https":
            return http.client.HTTPSConnection(str(parts.hostname), parts.port, context=context)
        return http.client.HTTPConnection(str(parts.hostname), parts.port)

    def one(body: bytes) -> bytes:
        if not hasattr(local, "connection"):
            local.connection = connect()
        local.connection.request("POST", f"{parts.path}/task/categorization", body, headers)
        return bytes(local.connection.getresponse().read()[:40])

    with ThreadPoolExecutor(WORKERS) as pool:
        return len(set(pool.map(one, [json.dumps(body).encode() for body in bodies_of(rows)])))


def scaleapi(url: str, key: str, rows: int) -> int:
    """Create tasks with the package of the API's family, from threads."""
    from scaleapi import ScaleClient  # noqa: PLC0415
    from scaleapi.tasks import TaskType  # noqa: PLC0415

    client = ScaleClient(key, api_instance_url=url)

    def one(body: dict[str, Any]) -> str:
        return str(client.create_task(TaskType.Categorization, **body).id)

    with ThreadPoolExecutor(WORKERS) as pool:
        return len(set(pool.map(one, bodies_of(rows))))


WAYS: dict[str, Callable[[str, str, int], int]] = {
    "ours": ours,
    "session": session,
    "scaleapi": scaleapi,
    "floor": floor,
}


def measure(way: str, url: str, rows: int) -> dict[str, float]:
    """Run one way in this process and tell what it cost."""
    WAYS[way](url, "live_0123456789", 50)  # imports and caches are everybody's own, and not counted
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    made = WAYS[way](url, "live_0123456789", rows)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert made == rows, f"{way} made {made} of {rows} tasks"
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "rows": rows,
        "cpu_ms": 1000 * cpu / rows,
        "secs": time.perf_counter() - began,
        "peak_mb": after.ru_maxrss / 1024,
    }


@contextmanager
def served(folder: Path, *, over_tls: bool, pause_secs: float = 0.0) -> Iterator[tuple[str, dict[str, str]]]:
    """Start the canned service; yield its base URL and what a client's environment needs."""
    import requests  # noqa: PLC0415 - no part of what is measured
    import trustme  # noqa: PLC0415

    authority = trustme.CA()
    # A bundle as long as everybody's: making a TLS context means reading it.
    bundle = Path(requests.certs.where()).read_bytes() + authority.cert_pem.bytes()
    (folder / "ca.pem").write_bytes(bundle)
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    certificate = str(folder / "server.pem") if over_tls else None
    program = f"import canned; canned.main({pause_secs!r}, {certificate!r})"
    command = [sys.executable, "-c", program]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent)
    try:
        assert server.stdout is not None
        scheme, port = "https" if over_tls else "http", int(server.stdout.readline())
        yield f"{scheme}://127.0.0.1:{port}/v1", {"REQUESTS_CA_BUNDLE": str(folder / "ca.pem")} if over_tls else {}
    finally:
        server.terminate()
        server.wait()


def in_process(way: str, url: str, rows: int, environment: dict[str, str]) -> dict[str, float] | None:
    """Measure a way in a process of its own; None where it is not installed."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", way, url, str(rows)]
    run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if run.returncode:
        print(f"{way}: not measured: {run.stderr.strip().splitlines()[-1]}")
        return None
    found: dict[str, float] = json.loads(run.stdout)
    return found


def compare(folder: Path, rows: int, *, over_tls: bool) -> None:
    """Print what each way costs over one kind of connection."""
    print(f"\n{'TLS' if over_tls else 'plain HTTP'}, {WORKERS} threads, no latency but the service's own")
    print(f"{'way':<10}{'rows':>8}{'CPU ms/row':>12}{'x ours':>8}{'rows/s':>9}{'peak MB':>9}")
    with served(folder, over_tls=over_tls) as (url, environment):
        found: dict[str, dict[str, float]] = {}
        for _, way in itertools.product(range(ROUNDS), WAYS):
            part = SCALEAPI_TLS_PART if over_tls and way == "scaleapi" else 1
            cost = in_process(way, url, int(rows * part), environment)
            if cost is not None and (way not in found or cost["cpu_ms"] < found[way]["cpu_ms"]):
                found[way] = cost
    for way, cost in found.items():
        ratio, speed = cost["cpu_ms"] / found["ours"]["cpu_ms"], cost["rows"] / cost["secs"]
        print(f"{way:<10}{cost['rows']:>8,.0f}{cost['cpu_ms']:>12.3f}{ratio:>8.2f}{speed:>9.0f}{cost['peak_mb']:>9.0f}")


def time_it(folder: Path, rows: int) -> None:
    """Print how long rows take over a slow line, against the best that these workers can do."""
    print(f"\n{LATENCY_SECS * 1000:.0f} ms a request, {WORKERS} workers, TLS")
    with served(folder, over_tls=True, pause_secs=LATENCY_SECS) as (url, environment):
        cost = in_process("ours", url, rows, environment)
    if cost is not None:
        best = rows * LATENCY_SECS / WORKERS
        print(f"ours: {rows:,} rows in {cost['secs']:.1f} s, {cost['secs'] / best:.2f} x {best:.1f} s")


def main(rows: int) -> None:
    """Measure all ways, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for over_tls in (False, True):
            compare(Path(folder), rows, over_tls=over_tls)
        time_it(Path(folder), max(10_000, rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        json.dump(measure(sys.argv[2], sys.argv[3], int(sys.argv[4])), sys.stdout)
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 5000)
