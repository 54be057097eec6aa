"""What memory and CPU a submission takes whose rows come piece by piece, from 10,000 to 1,000,000 of them.

    python benchmarks/lazy.py [ROWS ...]

A server that answers every POST with a new task id, and keeps nothing, runs in a process of its own; so does each size,
with a journal in a temporary folder, and then once more, when every row is in the journal.
Memory is the peak of the whole process, libraries included; CPU is the client process's, user and system.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

PIECE_ROWS = 10_000
PARAMS = {"attachment_type": "text", "categories": ["a", "b"]}


class Canned(asyncio.Protocol):
    """Answers requests as fast as it can: POST with a new task, GET with one that is there."""

    made = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._held) < end + 4 + size:
                return
            self._held = self._held[end + 4 + size :]
            Canned.made += 1
            body = b'{"task_id":"%024x","status":"pending"}' % Canned.made
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )


async def serve() -> None:
    """Serve until killed; the port goes to stdout."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run the server; yields its port."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def pieces(rows: int) -> Iterator[pd.DataFrame]:
    """Make the rows as they are asked for."""
    import pandas as pd  # noqa: PLC0415

    for start in range(0, rows, PIECE_ROWS):
        numbers = range(start, min(start + PIECE_ROWS, rows))
        yield pd.DataFrame({"text": [f"text number {at}" for at in numbers], "source": ["benchmark"] * len(numbers)})


def measure(port: str, rows: int, journal: str) -> dict[str, Any]:
    """Submit in this process and tell what it took."""
    import refonte_frames as rf  # noqa: PLC0415

    client = rf.Client("live_lazy", f"http://127.0.0.1:{port}/v1", max_workers=16)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    report = rf.submit(
        pieces(rows),
        type="categorization",
        columns={"attachment": "text"},
        metadata=["source"],
        params=PARAMS,
        journal=journal,
        progress=False,
        client=client,
    )
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert report.counts["created"] == rows, report
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    requests = sum(report.requests_by_status.values())
    secs = time.perf_counter() - began
    return {"peak_mb": after.ru_maxrss / 1024, "cpu": cpu, "secs": secs, "requests": requests}


def main(sizes: list[int]) -> None:
    """Measure all sizes, one after the other."""
    with serving() as port:
        print(f"{'rows':>10}{'run':>8}{'requests':>10}{'peak MB':>9}{'CPU s':>8}{'us/row':>8}{'seconds':>9}")
        for rows in sizes:
            with tempfile.TemporaryDirectory() as folder:
                journal = Path(folder) / "x.journal"
                for run in ("first", "again"):
                    one = [sys.executable, __file__, "--one", port, str(rows), str(journal)]
                    done = subprocess.run(one, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
                    cost = json.loads(done.stdout)
                    print(
                        f"{rows:>10,}{run:>8}{cost['requests']:>10,}{cost['peak_mb']:>9.0f}{cost['cpu']:>8.1f}"
                        f"{1e6 * cost['cpu'] / rows:>8.0f}{cost['secs']:>9.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve())
    elif sys.argv[1:2] == ["--one"]:
        json.dump(measure(sys.argv[2], int(sys.argv[3]), sys.argv[4]), sys.stdout)
    else:
        main([int(size) for size in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
