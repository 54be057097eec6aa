"""CPU, memory and time of an export beside the bare floor and four ways of others, all in one run.

    python benchmarks/export.py [TASKS]                   all ways, side by side (20,000 tasks by default)
    python benchmarks/export.py 100000 --rounds 3         three times in turn; the table shows the least
    python benchmarks/export.py 10000 --latency 200       1, 4 and 16 workers where every page takes 200 ms longer
    python benchmarks/export.py 1000000 --only ours:4 --only ours:16     peak memory of a large export

Every line is a process of its own, reading the same tasks over HTTP from one server, or from memory where it says so.
CPU is user and system time of the process without its imports; it depends on the machine and on what else this does,
so look at the ratios of one run. The floor is what no program can do without: the bytes from the socket (http.client),
one parse of every page (simdjson), and writing the same tables to Parquet.

The others are what one would write by hand (requests, json_normalize, to_parquet), the package scaleapi, and dlt with
its defaults. ``pip install 'refonte-frames[bench]'`` brings them; what is not installed is left out. No data is altered
for a peer but one thing: scaleapi fails on a list without ``offset``, which the documentation does not have, so its
server sends one.
"""
# ruff: noqa: PLC0415 - each variant imports only what it needs, so that its memory is its own
# ruff: noqa: ARG001 - all variants are prepared in the same way

from __future__ import annotations

import hashlib
import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from bisect import bisect_left, bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 100
#: As long as a key is: every answer is searched for it.
KEY = "live_" + hashlib.sha256(b"benchmark").hexdigest()[:32]


def serve(tasks: int, latency_ms: int) -> None:
    """List the generated tasks, newest first, with bounds of created_at; below /with_offset as scaleapi wants it."""
    import generate

    encoded = generate.Encoded()
    created = [generate.created_at(index) for index in range(tasks)]
    for index in range(min(tasks, 50_000)):
        encoded.task(index)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            low = bisect_left(created, query["start_time"]) if "start_time" in query else 0
            high = bisect_right(created, query["end_time"]) if "end_time" in query else tasks
            last = int(query.get("next_token", high))
            limit = int(query.get("limit", PAGE))
            first = max(low, last - limit)
            more = b',"next_token":"%d"' % first if first > low else b""
            more += b',"offset":0' if self.path.startswith("/with_offset") else b""
            body = b'{"docs":[%s],"total":%d,"limit":%d,"has_more":%s%s}' % (
                b",".join([encoded.task(index) for index in range(last - 1, first - 1, -1)]),
                high - low,
                limit,
                b"true" if first > low else b"false",
                more,
            )
            if latency_ms:
                time.sleep(latency_ms / 1000)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
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
    from refonte_frames.export.parts import PartWriter
    from refonte_frames.export.places import Disk
    from refonte_frames.schemas import SCHEMAS

    tables = {table: SCHEMAS[table] for table in TASK_TABLES}
    with PartWriter(Disk(folder), "parts", tables, "000001-00000", group_tasks=10_000) as part:
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
    write(iter(made[:1]), folder / "first")
    return lambda: write(iter(made), folder / "all")


def ours_memory(port: int, folder: Path) -> Callable[[], None]:
    pages = list(bodies(port))
    # The first page brings what is imported late.
    write(tables(pages[:1]), folder / "first")
    return lambda: write(tables(pages), folder / "all")


def ours_http(workers: int) -> Callable[[int, Path], Callable[[], None]]:
    def prepare(port: int, folder: Path) -> Callable[[], None]:
        import refonte_frames as rf
        from refonte_frames.export import export  # noqa: F401 - importing is not what is measured
        from refonte_frames.transport import http as transport  # noqa: F401

        client = rf.Client(api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1", max_workers=workers)
        return lambda: rf.export_tasks(folder / "out", client=client, progress=False) and None

    return prepare


def as_text(frame: Any) -> Any:
    """Make text of what Parquet has no type for."""
    import pandas as pd

    for name in frame.columns[[pd.api.types.is_object_dtype(dtype) for dtype in frame.dtypes]]:
        texts = [json.dumps(value) if isinstance(value, list | dict) else value for value in frame[name]]
        frame[name] = pd.Series(texts, index=frame.index).astype("string")
    return frame


def keep(docs: list[Any], folder: Path) -> None:
    """Write what json_normalize makes of the tasks, and of their answers where these are lists."""
    import pandas as pd

    answers = [doc for doc in docs if isinstance(doc["response"].get("annotations"), list)]
    annotations = pd.json_normalize(answers, ["response", "annotations"], ["task_id", "project", "batch"])
    for table, frame in (("tasks", pd.json_normalize(docs)), ("annotations", annotations)):
        as_text(frame).to_parquet(folder / f"{table}.parquet")


def normalize(port: int, folder: Path) -> Callable[[], None]:
    """Do what one would write by hand: all pages, json_normalize, text where types are mixed, to_parquet."""
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
        keep(docs, folder)

    return run


def scaleapi(port: int, folder: Path) -> Callable[[], None]:
    """Read with the package of the API's family, and make the same two files of what it returns."""
    from scaleapi import ScaleClient

    client = ScaleClient(KEY, api_instance_url=f"http://127.0.0.1:{port}/with_offset")
    return lambda: keep([task.as_dict() for task in client.get_tasks(project_name="dock_safety", limit=PAGE)], folder)


def dlt_default(port: int, folder: Path) -> Callable[[], None]:
    """Let dlt read, unnest and write Parquet as it does when it is told nothing."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

    paginator = JSONResponseCursorPaginator(cursor_path="next_token", cursor_param="next_token")
    client = RESTClient(f"http://127.0.0.1:{port}/v1/", paginator=paginator, data_selector="docs")
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(folder / "state"),
        destination=dlt.destinations.filesystem((folder / "out").as_uri()),
        dataset_name="tasks",
    )
    pages = dlt.resource(lambda: client.paginate("tasks", params={"limit": PAGE}), name="tasks", primary_key="task_id")
    return lambda: pipeline.run(pages, loader_file_format="parquet") and None


VARIANTS: dict[str, tuple[str, Callable[[int, Path], Callable[[], None]]]] = {
    "socket": ("floor: socket", floor_socket),
    "parse": ("floor: parse", floor_parse),
    "parquet": ("floor: Parquet", floor_write),
    "memory": ("ours, from memory", ours_memory),
    "ours:1": ("ours, HTTP, 1 worker", ours_http(1)),
    "ours:4": ("ours, HTTP, 4 workers", ours_http(4)),
    "ours:16": ("ours, HTTP, 16 workers", ours_http(16)),
    "normalize": ("requests + json_normalize", normalize),
    "scaleapi": ("scaleapi + json_normalize", scaleapi),
    "dlt": ("dlt, its defaults", dlt_default),
}
FLOOR = ("socket", "parse", "parquet")


def spent() -> float:
    """Return the CPU seconds of this process and of those that it started."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(name: str, port: int) -> None:
    """Run one variant and print its CPU, wall time and peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        run = VARIANTS[name][1](port, Path(folder))
        cpu, wall = spent(), time.monotonic()
        run()
        result = {"cpu": spent() - cpu, "wall": time.monotonic() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("\n" + json.dumps(result | {"peak_mb": peak}))


def measured(name: str, port: int) -> dict[str, float] | None:
    """Run one variant in a process of its own; None where it fails."""
    command = [sys.executable, __file__, "--measure", name, "--port", str(port)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        why = done.stderr.decode().strip().splitlines() or [f"ended with {done.returncode}"]
        print(f"{name} is left out: {why[-1]}", file=sys.stderr, flush=True)
        return None
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(tasks: int, names: list[str], *, rounds: int, latency_ms: int) -> dict[str, dict[str, float]]:
    """Run the variants in turn against one server, and return the least of each figure: neighbours only add to it."""
    command = [sys.executable, __file__, str(tasks), "--serve", "--latency", str(latency_ms)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    port = int(server.stdout.readline())
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    try:
        for _ in range(rounds):
            for name in names:
                result = measured(name, port)
                if result is not None:
                    runs[name].append(result)
                    print(f"{name}: {result['cpu']:.2f} CPU s, {result['wall']:.1f} s", file=sys.stderr, flush=True)
    finally:
        server.terminate()
        server.wait()
    return {
        name: {key: min(result[key] for result in results) for key in results[0]}
        for name, results in runs.items()
        if results
    }


def show(found: dict[str, dict[str, float]], tasks: int) -> None:
    """Print the table: ratios to the floor, and how much more than ours over HTTP with one worker."""
    floor = sum(found[name]["cpu"] for name in FLOOR) if set(FLOOR) <= set(found) else float("nan")
    ours = found.get("ours:1", {}).get("cpu", float("nan"))
    print(f"{tasks:,} tasks, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, floor {floor:.2f} CPU s")
    print(f"{'':28}{'CPU s':>8}{'x floor':>9}{'x ours':>8}{'wall s':>9}{'peak MB':>9}")
    for name, one in found.items():
        ratios = f"{one['cpu'] / floor:9.2f}{one['cpu'] / ours:8.2f}"
        print(f"{VARIANTS[name][0]:28}{one['cpu']:8.2f}{ratios}{one['wall']:9.2f}{one['peak_mb']:9.0f}")
    if {"ours:1", "ours:16"} <= set(found):
        faster = found["ours:1"]["wall"] / found["ours:16"]["wall"]
        print(f"16 workers are {faster:.1f} x as fast as one")


def main() -> None:
    """Read the command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", type=int, nargs="?", default=20_000)
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="measure this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=1, help="measure everything so often, in turn")
    parser.add_argument("--latency", type=int, default=0, metavar="MS", help="let every page take so much longer")
    parser.add_argument("--serve", action="store_true", help="only serve; prints the port")
    parser.add_argument("--measure", choices=list(VARIANTS), help="measure one in this process, against --port")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    if given.serve:
        serve(given.tasks, given.latency)
    elif given.measure:
        measure(given.measure, given.port)
    else:
        names = given.only or (["ours:1", "ours:4", "ours:16"] if given.latency else list(VARIANTS))
        found = compare(given.tasks, names, rounds=given.rounds, latency_ms=given.latency)
        show(found, given.tasks)


if __name__ == "__main__":
    main()
