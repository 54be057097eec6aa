"""What it costs to bring an exported folder up to date: requests, CPU, memory and bytes written, against the changes.

``python benchmarks/incremental.py [TASKS]`` (20,000 by default). Every line is a process of its own that begins with a
copy of the same folder, reading from one local server that honours updated_after. CPU is user and system time of the
process without its imports. "written" are the Parquet files that the folder did not have before.
"""
# ruff: noqa: PLC0415 - imports are not what is measured

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

PAGE = 100


class Store:
    """The tasks of the service, oldest first."""

    def __init__(self, tasks: int) -> None:
        import generate

        self.tasks = [generate.task(index) for index in range(tasks)]
        self.created = [task["created_at"] for task in self.tasks]
        self.reset()

    def reset(self) -> None:
        import msgspec

        self.docs = [msgspec.json.encode(task) for task in self.tasks]
        self.changed: dict[int, str] = {}

    def change(self, first: int, count: int, step: int) -> None:
        """Change tasks now."""
        import msgspec

        now = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for index in range(first, min(len(self.tasks), first + count * step), step):
            self.docs[index] = msgspec.json.encode(self.tasks[index] | {"tags": ["changed"], "updated_at": now})
            self.changed[index] = now

    def select(self, query: dict[str, str]) -> list[int]:
        low = bisect_left(self.created, query["start_time"]) if "start_time" in query else 0
        high = bisect_right(self.created, query["end_time"]) if "end_time" in query else len(self.tasks)
        if "updated_after" not in query:
            return range(low, high)  # type: ignore[return-value] # as good as a list here
        since = query["updated_after"]
        return [index for index, stamp in sorted(self.changed.items()) if stamp >= since and low <= index < high]


def serve(tasks: int) -> None:
    store = Store(tasks)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/change":
                store.reset()
                store.change(*(int(query[name]) for name in ("first", "count", "step")))
                return self.answer(b"{}")
            found = store.select(query)
            last = int(query.get("next_token", len(found)))
            first = max(0, last - int(query.get("limit", PAGE)))
            more = b',"next_token":"%d"' % first if first else b""
            docs = b",".join(store.docs[index] for index in found[first:last][::-1])
            flag = b"true" if more else b"false"
            return self.answer(b'{"docs":[%s],"total":%d,"has_more":%s%s}' % (docs, len(found), flag, more))

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def run(port: int, folder: Path, kind: str) -> None:
    """Do one thing and print its cost."""
    import refonte_frames as rf
    from refonte_frames.export import delta, export  # noqa: F401 - importing is not what is measured
    from refonte_frames.transport import http  # noqa: F401

    client = rf.Client(api_key="live_demo", base_url=f"http://127.0.0.1:{port}/v1", max_workers=4)
    before = {path.stat().st_ino for path in folder.rglob("*.parquet")}
    start, started = time.process_time(), time.monotonic()
    requests = read = 0
    if kind == "compact":
        rf.open_export(folder).compact()
    elif kind == "read":
        rf.open_export(folder).tasks.to_arrow()
    else:
        report = rf.export_tasks(
            folder, full=kind == "full", fold=kind != "beside", audit_lookback=None, client=client, progress=False
        )
        requests, read = sum(report.requests.values()), report.tasks_read
    cpu, wall = time.process_time() - start, time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    new = [path for path in folder.rglob("*.parquet") if path.stat().st_ino not in before]
    written = sum(path.stat().st_size for path in new if "_old" not in path.parts) / 1e6
    print(f"{read:>9,} {requests:>9,} {cpu:>8.2f} {wall:>8.2f} {peak:>8.0f} {written:>10.2f}")


def measure(port: int, folder: Path, kind: str) -> str:
    command = [sys.executable, __file__, "run", str(port), str(folder), kind]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ).stdout.rstrip()


def main(tasks: int) -> None:
    tenth = tasks // 10
    cases = [
        ("nothing new", (0, 0, 1), "fold"),
        ("nothing new, beside", (0, 0, 1), "beside"),
        ("1 % changed, newest", (tasks - tenth // 10, tenth // 10, 1), "fold"),
        ("1 % changed, newest, beside", (tasks - tenth // 10, tenth // 10, 1), "beside"),
        ("10 % changed, newest", (tasks - tenth, tenth, 1), "fold"),
        ("10 % changed, newest, beside", (tasks - tenth, tenth, 1), "beside"),
        ("10 % changed, spread", (0, tenth, 10), "fold"),
        ("10 % changed, spread, beside", (0, tenth, 10), "beside"),
        ("  the same folder read", None, "read"),
        ("  the same folder compacted", None, "compact"),
        ("everything once more", (0, 0, 1), "full"),
    ]
    server = subprocess.Popen([sys.executable, __file__, "serve", str(tasks)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            heads = f"{'read':>9} {'requests':>9} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'written MB':>10}"
            print(f"{f'{tasks:,} tasks':<36}{heads}")
            print(f"{'first export':<36}{measure(port, root / 'base', 'fold')}", flush=True)
            measure(port, root / "base", "fold")  # finds out that updated_after is honoured
            for case, change, kind in cases:
                if change is not None:
                    with urllib.request.urlopen(
                        f"http://127.0.0.1:{port}/change?first={change[0]}&count={change[1]}&step={change[2]}",
                        timeout=60,
                    ) as reply:
                        reply.read()
                    shutil.rmtree(root / "case", ignore_errors=True)
                    shutil.copytree(root / "base", root / "case")
                print(f"{case:<36}{measure(port, root / 'case', kind)}", flush=True)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]))
    elif sys.argv[1:2] == ["run"]:
        run(int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        main(int([*sys.argv, "20000"][1]))
