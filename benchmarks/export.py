"""CPU and memory of an export beside the bare floor and a hand-written script, all in one run.

``python benchmarks/export.py [TASKS]`` (20,000 by default). Every line is a process of its own, reading the same
tasks over HTTP from one server, or from memory where it says so. CPU is user and system time of the process without
its imports; numbers depend on the machine, so look at the ratios of one run.
"""
# ruff: noqa: PLC0415 - each variant imports only what it needs, so that its memory is its own
# ruff: noqa: ARG001 - all variants are prepared in the same way

from __future__ import annotations

import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 100


def serve(tasks: int) -> None:
    """List the generated tasks, newest first, with bounds of created_at."""
    import generate
    import msgspec

    docs, created = [], []
    for index in range(tasks):
        task = generate.task(index)
        docs.append(msgspec.json.encode(task))
        created.append(task["created_at"])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            low = bisect_left(created, query["start_time"]) if "start_time" in query else 0
            high = bisect_right(created, query["end_time"]) if "end_time" in query else tasks
            last = int(query.get("next_token", high))
            first = max(low, last - int(query.get("limit", PAGE)))
            more = b',"next_token":"%d"' % first if first > low else b""
            body = b'{"docs":[%s],"total":%d,"has_more":%s%s}' % (
                b",".join(docs[first:last][::-1]),
                high - low,
                b"true" if more else b"false",
                more,
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def bodies(port: int) -> Iterator[bytes]:
    """Read page after page with nothing but a socket and HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    token = ""
    while True:
        connection.request("GET", f"/v1/tasks?limit={PAGE}{token}")
        body = connection.getresponse().read()
        yield body
        found = body[-60:].rpartition(b'"next_token":"')
        if not found[1]:
            return
        token = "&next_token=" + found[2].rstrip(b'"}').decode()


def tables(pages: list[bytes]) -> Iterator[dict[str, Any]]:
    """Make the tables as the export does, ten pages at a time."""
    from datetime import UTC, datetime

    from refonte_frames.export.columns import TASK_TABLES, build
    from refonte_frames.export.decode import PageDecoder
    from refonte_frames.export.drift import Drift

    decoder, drift = PageDecoder(), Drift()
    for first in range(0, len(pages), 10):
        docs = [doc for page in pages[first : first + 10] for doc in decoder.decode(page, where="page").docs]
        yield build(docs, tables=TASK_TABLES, exported_at=datetime.now(UTC), drift=drift)


def write(batches: Iterator[dict[str, Any]], folder: Path) -> None:
    """Write the tables as the export does."""
    from refonte_frames.export.columns import TASK_TABLES
    from refonte_frames.export.dataset import PartWriter

    for name in TASK_TABLES:
        (folder / name).mkdir(parents=True)
    with PartWriter(folder, TASK_TABLES, "000001-00000", group_tasks=10_000) as part:
        for batch in batches:
            part.write(batch)
        part.finish()


def floor_socket(port: int, folder: Path) -> Callable[[], None]:
    return lambda: sum(map(len, bodies(port))) and None


def floor_parse(port: int, folder: Path) -> Callable[[], None]:
    """Parse with simdjson where it is installed; msgspec into plain objects is no floor, but says something."""
    pages = list(bodies(port))
    try:
        import simdjson

        parser = simdjson.Parser()
        return lambda: [parser.parse(page) and None for page in pages] and None
    except ImportError:
        import msgspec

        print("(no simdjson: the parse line is msgspec's)", file=sys.stderr)
        return lambda: [msgspec.json.decode(page) and None for page in pages] and None


def floor_write(port: int, folder: Path) -> Callable[[], None]:
    made = list(tables(list(bodies(port))))
    return lambda: write(iter(made), folder)


def ours_memory(port: int, folder: Path) -> Callable[[], None]:
    pages = list(bodies(port))
    return lambda: write(tables(pages), folder)


def ours_http(workers: int) -> Callable[[int, Path], Callable[[], None]]:
    def prepare(port: int, folder: Path) -> Callable[[], None]:
        import refonte_frames as rf
        from refonte_frames.export import export  # noqa: F401 - importing is not what is measured
        from refonte_frames.transport import http as transport  # noqa: F401

        client = rf.Client(api_key="live_demo", base_url=f"http://127.0.0.1:{port}/v1", max_workers=workers)
        return lambda: rf.export_tasks(folder / "out", client=client, progress=False) and None

    return prepare


def normalize(port: int, folder: Path) -> Callable[[], None]:
    """Do what one would write by hand: all pages, json_normalize, text where types are mixed, to_parquet."""
    import pandas as pd
    import requests

    def run() -> None:
        session, docs, token = requests.Session(), [], None
        while True:
            query = {"limit": PAGE} | ({"next_token": token} if token else {})
            page = session.get(f"http://127.0.0.1:{port}/v1/tasks", params=query, timeout=30).json()
            docs += page["docs"]
            token = page.get("next_token")
            if not token:
                break
        answers = [doc for doc in docs if isinstance(doc["response"].get("annotations"), list)]
        annotations = pd.json_normalize(answers, ["response", "annotations"], ["task_id", "project", "batch"])
        for table, frame in (("tasks", pd.json_normalize(docs)), ("annotations", annotations)):
            for name in frame.columns[[pd.api.types.is_object_dtype(dtype) for dtype in frame.dtypes]]:
                texts = [json.dumps(value) if isinstance(value, list | dict) else value for value in frame[name]]
                frame[name] = pd.Series(texts, index=frame.index).astype("string")
            frame.to_parquet(folder / f"{table}.parquet")

    return run


VARIANTS: dict[str, Callable[[int, Path], Callable[[], None]]] = {
    "floor: socket": floor_socket,
    "floor: parse": floor_parse,
    "floor: Parquet": floor_write,
    "ours, from memory": ours_memory,
    "ours, HTTP, 1 worker": ours_http(1),
    "ours, HTTP, 4 workers": ours_http(4),
    "ours, HTTP, 16 workers": ours_http(16),
    "requests + json_normalize": normalize,
}


def measure(name: str, port: int) -> None:
    """Run one variant and print its CPU, wall time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        run = VARIANTS[name](port, Path(folder))
        cpu, wall = time.process_time(), time.monotonic()
        run()
        result = {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result | {"peak_mb": peak}))


def main(tasks: int) -> None:
    """Run all variants and print the table."""
    me = [sys.executable, __file__]
    server = subprocess.Popen([*me, "--serve", str(tasks)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    found = {}
    try:
        for name in VARIANTS:
            done = subprocess.run([*me, "--measure", name, str(port)], stdout=subprocess.PIPE, check=False)
            if done.returncode:
                print(f"{name}: failed", file=sys.stderr)
                continue
            found[name] = json.loads(done.stdout)
    finally:
        server.terminate()
        server.wait()
    floor = sum(found[name]["cpu"] for name in found if name.startswith("floor"))
    print(f"{tasks:,} tasks, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, floor {floor:.2f} CPU s")
    print(f"{'':28}{'CPU s':>8}{'x floor':>9}{'wall s':>8}{'peak MB':>9}")
    for name, one in found.items():
        print(f"{name:28}{one['cpu']:8.2f}{one['cpu'] / floor:9.2f}{one['wall']:8.2f}{one['peak_mb']:9.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
    elif sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        main(int([*sys.argv, "20000"][1]))
