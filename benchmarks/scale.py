"""What 10 million, 100 million and a billion tasks cost, from what one of them costs here; and whether that is true.

    python benchmarks/scale.py                           read real tasks from a server with latency, beside the forecast
    python benchmarks/scale.py --simulate 1000000        the same with so many tasks (20,000 by default)
    python benchmarks/scale.py --measure                 measure the units on this machine, into scale_units.json
    python benchmarks/scale.py --write docs/scale.md     make the tables of a page anew from the units

Requests are no estimate: the planner that an export uses is run against a service that only counts, with as many tasks
as a table names, and every page of every window is counted. Times are these requests at a given rate, or the CPU, where
that takes longer. Units are the least of several rounds; CPU is user and system time without imports.
"""
# ruff: noqa: PLC0415 - imports are not what is measured, and a page is made without most of them

from __future__ import annotations

import json
import math
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent
UNITS = HERE / "scale_units.json"
PAGE = 100
SIZES = (10**7, 10**8, 10**9)
RATES = (10, 50, 100, 1_000)
_MS = 1_000
_SECOND = 1_000_000
_DAY = 86_400_000_000
_BEGIN = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
#: Tasks are made on working days for two years, between seven and seventeen o'clock.
_DAYS = 730
_SHIFT = (7 * 3_600_000_000, 17 * 3_600_000_000)


@dataclass(frozen=True)
class Times:
    """When tasks were created: evenly within spans of time, given by their bounds and by how many came before."""

    bounds: list[int]
    before: list[int]

    @classmethod
    def on_workdays(cls, tasks: int, days: int = _DAYS) -> Times:
        """Spread tasks evenly over the working hours of so many days."""
        starts = [_BEGIN + day * _DAY for day in range(days) if day % 7 < 5]
        bounds = [start + shift for start in starts for shift in _SHIFT]
        done = [tasks * at // len(starts) for at in range(len(starts) + 1)]
        return cls(bounds, [done[(at + 1) // 2] for at in range(len(bounds))])

    def earlier_than(self, micros: int) -> int:
        """Count the tasks that were created before a time."""
        at = bisect_right(self.bounds, micros) - 1
        if at < 0:
            return 0
        if at == len(self.bounds) - 1:
            return self.before[-1]
        span, tasks = self.bounds[at + 1] - self.bounds[at], self.before[at + 1] - self.before[at]
        return self.before[at] + -(-tasks * (micros - self.bounds[at]) // span)

    def within(self, start: int, end: int) -> int:
        """Count the tasks between two times, both inclusive, as the service does: in whole milliseconds."""
        return max(0, self.earlier_than(end // _MS * _MS + _MS) - self.earlier_than(-(-start // _MS) * _MS))

    @property
    def total(self) -> int:
        """Count all tasks."""
        return self.before[-1]

    @property
    def newest(self) -> int:
        """Say when the last task was created."""
        return self.bounds[-1] - _MS


@dataclass(frozen=True)
class Requests:
    """What a pass asks for."""

    counts: int
    pages: int
    windows: int

    @property
    def all(self) -> int:
        """Count all requests."""
        return self.counts + self.pages


def forecast(
    within: Callable[[int, int], int], total: int, newest: int, *, workers: int = 16, rows: int | None = None
) -> Requests:
    """Let the planner of an export plan, and count what it asks and what its windows ask.

    Parameters
    ----------
    within : callable
        Counts the tasks between two times.
    total, newest : int
        How many there are, and when the last one was created.
    workers : int
        Threads, by which the size of windows is chosen.
    rows : int, optional
        The size of windows where it is given, as for portions.
    """
    from refonte_frames.export.windows import Window, most_rows, plan_windows, target_rows

    asked = 1
    target = rows or target_rows(total, workers)
    most = rows or most_rows(target)

    def count_all(slices: Sequence[tuple[int, int]]) -> list[int]:
        nonlocal asked
        asked += len(slices)
        return [within(*bounds) for bounds in slices]

    windows: list[Window] | None = [Window()]
    if total > most:
        windows = plan_windows(
            count_all,
            total=total,
            oldest=None,
            newest=newest,
            target=target,
            most=most,
            finest=_MS if rows is None else _SECOND,
        )
    assert windows is not None
    pages = 0
    for window in windows:
        start = 0 if window.start is None else window.start
        end = 4 * 10**15 if window.end is None else window.end
        pages += max(1, math.ceil(within(start, end) / PAGE))
    return Requests(asked, pages, len(windows))


@cache
def forecast_of(tasks: int, rows: int | None = None) -> Requests:
    """Forecast a pass over so many tasks of working days."""
    times = Times.on_workdays(tasks)
    return forecast(times.within, times.total, times.newest, rows=rows)


# -- the units


def spent() -> float:
    """Return the CPU seconds of this process."""
    return time.process_time()


def peak_mb() -> float:
    """Return the largest size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_export(base_url: str, folder: Path, tasks: int) -> dict[str, float]:
    """Export generated tasks, and then bring the folder up to date with nothing new."""
    import refonte_frames as rf

    with rf.Client(api_key="live_demo", base_url=base_url, max_workers=4) as client:
        rf.read_tasks(task_ids=[], client=client, progress=False)
        began = spent()
        report = rf.export_tasks(folder / "out", client=client, progress=False)
        cpu = spent() - began
    sizes = {
        table: sum(path.stat().st_size for path in (folder / "out" / table).rglob("*.parquet")) for table in report.rows
    }
    return {
        "export_cpu_us": cpu / tasks * 1e6,
        "json_bytes": report.wire_bytes / tasks,
        **{f"parquet_{table}_bytes": size / tasks for table, size in sizes.items()},
        "export_peak_mb": peak_mb(),
    }


def measure_submit(base_url: str, folder: Path, rows: int) -> dict[str, float]:
    """Submit rows that come piece by piece."""
    import pandas as pd

    import refonte_frames as rf

    def pieces(count: int, name: str) -> Any:
        for start in range(0, count, 2_000):
            texts = [f"{name} {at}" for at in range(start, min(count, start + 2_000))]
            yield pd.DataFrame({"text": texts})

    options: dict[str, Any] = {
        "type": "categorization",
        "columns": {"attachment": "text"},
        "params": {"attachment_type": "text", "categories": ["a", "b"]},
        "chunk_rows": 2_000,
        "progress": False,
    }
    with rf.Client("live_demo", base_url, max_workers=16, state_dir=folder) as client:
        rf.submit(pieces(100, "first"), journal=folder / "first.journal", client=client, **options)
        began = spent()
        report = rf.submit(pieces(rows, "text"), journal=folder / "rows.journal", client=client, **options)
        cpu = spent() - began
    journal = sum(path.stat().st_size for path in folder.glob("rows.journal*") if path.is_file())
    receipts = sum(path.stat().st_size for path in report.receipt_path.glob("*.parquet"))
    return {
        "submit_cpu_us": cpu / rows * 1e6,
        "journal_bytes": journal / rows,
        "receipt_bytes": receipts / rows,
        "submit_peak_mb": peak_mb(),
    }


def measure_frame(base_url: str, folder: Path, rows: int) -> dict[str, float]:
    """Plan a frame as a whole, which holds a value for each task."""
    import pandas as pd

    import refonte_frames as rf

    frame = pd.DataFrame({"text": [f"text {at}" for at in range(rows)]})
    options: dict[str, Any] = {
        "type": "categorization",
        "columns": {"attachment": "text"},
        "params": {"attachment_type": "text", "categories": ["a", "b"]},
    }
    with rf.Client("live_demo", base_url, state_dir=folder) as client:
        rf.plan(frame.head(100), progress=False, client=client, **options)
        before = peak_mb()
        rf.plan(frame, progress=False, client=client, **options)
    return {"frame_bytes": (peak_mb() - before) * 2**20 / rows}


def measure_callbacks(_: str, folder: Path, deliveries: int) -> dict[str, float]:
    """Deliver completions to a receiver in another process, over a few connections."""
    import generate
    import msgspec

    key = "cb_benchmark"
    command = [sys.executable, "-m", "refonte_frames.cli", "callbacks", "serve", str(folder / "root"), "--port", "0"]
    environment = os.environ | {"REFONTE_CALLBACK_AUTH_KEY": key}
    receiver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    assert receiver.stdout is not None
    port = int(re.findall(r":(\d+)", json.loads(receiver.stdout.readline())["url"])[0])
    tasks = [generate.task(at) for at in range(deliveries)]
    bodies = [msgspec.json.encode({"task": task, "task_id": task["task_id"], "status": "completed"}) for task in tasks]
    began, wall = cpu_of(receiver.pid), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: _deliver(port, key, bodies[at::4]), range(4)))
    wall = time.monotonic() - wall
    cpu = cpu_of(receiver.pid) - began
    receiver.terminate()
    receiver.wait()
    size = sum(path.stat().st_size for path in (folder / "root" / "_inbox").rglob("*") if path.is_file())
    return {
        "callback_cpu_us": cpu / deliveries * 1e6,
        "callback_bytes": size / deliveries,
        "callbacks_per_sec": deliveries / wall,
    }


def _deliver(port: int, key: str, bodies: list[bytes]) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", "/", body, {"refonte-ai--callback-auth": key})
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200, reply.status


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of another process, and of those that it started and that have ended or still run."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    lists = [thread / "children" for thread in Path(f"/proc/{pid}/task").iterdir()]
    children = [int(child) for path in lists if path.exists() for child in path.read_text("utf-8").split()]
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(cpu_of, children))


MEASURES: dict[str, tuple[Callable[[str, Path, int], dict[str, float]], int]] = {
    "export": (measure_export, 20_000),
    "submit": (measure_submit, 6_000),
    "frame": (measure_frame, 100_000),
    "callbacks": (measure_callbacks, 1_000),
}


def served(command: list[str]) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that prints its port; return it and its base URL."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    return server, f"http://127.0.0.1:{int(server.stdout.readline())}/v1"


def server_of(name: str, tasks: int, latency_ms: int = 0) -> tuple[subprocess.Popen[bytes], str]:
    """Start the server that a measure needs: one of generated tasks, or one that takes all rows."""
    if name == "export":
        command = [sys.executable, str(HERE / "export.py"), str(tasks), "--serve", "--latency", str(latency_ms)]
        return served(command)
    return served(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, sys.argv[1]); import canned; canned.main(0, None)",
            str(HERE),
        ]
    )


def measure_all(rounds: int) -> dict[str, Any]:
    """Measure each unit in processes of its own, and keep the least of each: neighbours only add to it."""
    units: dict[str, float] = {}
    for name, (_, count) in MEASURES.items():
        server, base_url = server_of(name, count)
        try:
            for _ in range(rounds):
                command = [sys.executable, __file__, "--measure-one", name, "--base-url", base_url]
                done = subprocess.run(command, capture_output=True, check=True)
                found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
                for unit, value in found.items():
                    pick = max if unit.endswith("_per_sec") else min
                    units[unit] = pick(value, units.get(unit, value))
                print(name, {unit: round(value, 1) for unit, value in found.items()}, file=sys.stderr, flush=True)
        finally:
            server.terminate()
            server.communicate()
    return {
        "measured": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}",
        "load": round(os.getloadavg()[0], 1),
        "units": {unit: float(f"{value:.3g}") for unit, value in units.items()},
    }


# -- the simulation


def simulate(tasks: int, latency_ms: int, workers: int) -> dict[str, Any]:
    """Export generated tasks from a server with latency, and hold requests and time against the forecast."""
    import generate

    server, base_url = server_of("export", tasks, latency_ms)
    try:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--base-url", base_url, "--workers", str(workers), "--folder", folder]
            command = [sys.executable, __file__, "--export-one", *options]
            done = subprocess.run(command, capture_output=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    finally:
        server.terminate()
        server.communicate()
    created = [_micros(generate.created_at(index)) for index in range(tasks)]

    def within(start: int, end: int) -> int:
        return max(0, bisect_right(created, end) - bisect_right(created, start - 1))

    expected = forecast(within, tasks, created[-1], workers=workers)
    return found | {
        "tasks": tasks,
        "latency_ms": latency_ms,
        "workers": workers,
        "load": round(os.getloadavg()[0], 1),
        "expected_requests": expected.all,
        "expected_wall_secs": round(max(expected.all * latency_ms / 1000 / workers, found["cpu_secs"]), 1),
    }


def _micros(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1_000) * _MS


def export_one(base_url: str, folder: str, workers: int) -> dict[str, Any]:
    """Export once, in this process."""
    import refonte_frames as rf

    with rf.Client(api_key="live_demo", base_url=base_url, max_workers=workers) as client:
        cpu, wall = spent(), time.monotonic()
        report = rf.export_tasks(Path(folder) / "out", client=client, progress=False)
    return {
        "rows": report.rows["tasks"],
        "requests": sum(report.requests.values()),
        "windows": report.windows,
        "wall_secs": round(time.monotonic() - wall, 1),
        "cpu_secs": round(spent() - cpu, 1),
        "peak_mb": round(peak_mb()),
    }


def show_simulation(found: dict[str, Any]) -> None:
    """Print what came of a simulation."""
    print(
        f"{found['tasks']:,} tasks, {found['latency_ms']} ms a page, {found['workers']} workers, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    off = found["requests"] / found["expected_requests"] - 1
    print(f"requests  {found['requests']:>9,}   forecast {found['expected_requests']:>9,}   ({off:+.2%})")
    print(f"wall s    {found['wall_secs']:>9,.1f}   forecast {found['expected_wall_secs']:>9,.1f}")
    print(f"CPU s {found['cpu_secs']:.1f}, peak {found['peak_mb']:,} MB")
    print(f"{found['rows']:,} rows in {found['windows']} windows")


# -- the tables


def duration(secs: float) -> str:
    """Say a time in the unit that suits it.

    >>> [duration(secs) for secs in (40, 3_000, 50_000, 10**6, 10**8)]
    ['40 s', '50 min', '14 h', '11.6 days', '3.2 years']
    """
    if secs < 90:
        return f"{secs:.0f} s"
    if secs < 5_400:
        return f"{secs / 60:.0f} min"
    if secs < 172_800:
        return f"{secs / 3600:.0f} h" if secs >= 36_000 else f"{secs / 3600:.1f} h"
    return f"{secs / 86_400:.1f} days" if secs < 400 * 86_400 else f"{secs / 86_400 / 365.25:.1f} years"


def size(count: float) -> str:
    """Say a number of bytes.

    >>> size(2.5e9), size(7e12), size(3e8)
    ('2.5 GB', '7.0 TB', '300 MB')
    """
    for unit, one in (("TB", 1e12), ("GB", 1e9)):
        if count >= one:
            return f"{count / one:.1f} {unit}" if count < 100 * one else f"{count / one:,.0f} {unit}"
    return f"{count / 1e6:,.0f} MB"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def named(tasks: int) -> str:
    """Name a number of tasks."""
    return {10**7: "10 million", 10**8: "100 million", 10**9: "1 billion"}[tasks]


def export_table(units: dict[str, float]) -> str:
    """Say what a whole export costs."""
    lines = []
    parquet = parquet_bytes(units)
    for tasks in SIZES:
        found = forecast_of(tasks)
        cpu = tasks * units["export_cpu_us"] / 1e6
        lines.append(
            [
                named(tasks),
                f"{found.all:,}",
                f"{found.all * PAGE / tasks - 1:.1%}",
                *(duration(max(found.all / rate, cpu)) + ("*" if cpu > found.all / rate else "") for rate in RATES),
                duration(cpu),
                size(tasks * units["json_bytes"]),
                size(tasks * parquet),
            ]
        )
    rates = [f"at {rate:,}/s" for rate in RATES]
    return table(["tasks", "requests", "more than pages", *rates, "CPU, one core", "JSON", "Parquet"], lines)


def increment_table(units: dict[str, float]) -> str:
    """Say what a nightly increment costs: one in a hundred changed, one in ten was completed in the look-back."""
    lines = []
    parquet = parquet_bytes(units)
    for tasks in SIZES:
        changed, late = forecast_of(tasks // 100).all, forecast_of(tasks // 10).all
        rows = tasks // 100 + tasks // 10
        cpu = rows * units["export_cpu_us"] / 1e6
        asked = changed + late + 1
        lines.append(
            [
                named(tasks),
                f"{changed + 1:,}",
                f"{late:,}",
                *(duration(max(asked / rate, cpu)) + ("*" if cpu > asked / rate else "") for rate in RATES),
                duration(cpu),
                size(rows * units["json_bytes"]),
                size(tasks // 100 * parquet),
                size(tasks * parquet),
            ]
        )
    rates = [f"at {rate:,}/s" for rate in RATES]
    written = ["written, changes alone", "written, all files anew"]
    return table(
        ["tasks", "requests: changed", "requests: look-back", *rates, "CPU, one core", "JSON", *written], lines
    )


def parquet_bytes(units: dict[str, float]) -> float:
    """Add up what a task takes in the three tables."""
    return sum(value for unit, value in units.items() if unit.startswith("parquet_"))


def submit_table(units: dict[str, float]) -> str:
    """Say what it costs to submit so many rows."""
    lines = []
    for tasks in SIZES:
        cpu = tasks * units["submit_cpu_us"] / 1e6
        lines.append(
            [
                named(tasks),
                f"{tasks:,}",
                *(duration(max(tasks / rate, cpu)) + ("*" if cpu > tasks / rate else "") for rate in RATES),
                duration(cpu),
                size(tasks * units["journal_bytes"]),
                size(tasks * units["receipt_bytes"]),
                size(tasks * units["frame_bytes"]),
            ]
        )
    rates = [f"at {rate:,}/s" for rate in RATES]
    return table(["rows", "requests", *rates, "CPU, one core", "journal", "receipts", "memory as one frame"], lines)


def callback_table(units: dict[str, float]) -> str:
    """Say what it costs to be told of the end of each task, and to read the tasks again that were named."""
    lines = [
        [
            named(tasks),
            duration(tasks * units["callback_cpu_us"] / 1e6),
            size(tasks * units["callback_bytes"]),
            f"{tasks / 86_400 / 30:,.0f}/s",
            f"{forecast_of(tasks).pages:,} to {tasks:,}",
        ]
        for tasks in SIZES
    ]
    head = ["callbacks", "CPU, one core", "inbox", "rate if they come within 30 days", "requests to read the tasks"]
    return table(head, lines)


def portion_table(_: dict[str, float]) -> str:
    """Say into how many portions a pass is cut, and what the plan costs before the first of them begins."""
    lines = []
    for tasks in SIZES:
        cells = [named(tasks)]
        for rows in (25_000, 100_000, 250_000):
            found = forecast_of(tasks, rows=rows)
            cells.append(f"{found.windows:,} ({found.counts:,})")
        lines.append(cells)
    return table(["tasks", "of 25,000 (counts)", "of 100,000 (counts)", "of 250,000 (counts)"], lines)


def unit_table(measured: dict[str, Any]) -> str:
    """List the units."""
    units = measured["units"]
    known = {
        "export_cpu_us": "CPU of an export, one task with all three tables, JSON to Parquet, µs",
        "json_bytes": "JSON of a task on the wire, bytes",
        "parquet_tasks_bytes": "Parquet of a task, bytes",
        "parquet_audits_bytes": "Parquet of its audits, bytes",
        "parquet_annotations_bytes": "Parquet of its answers, bytes",
        "export_peak_mb": "memory of an export with 4 workers at its peak, MB",
        "submit_cpu_us": "CPU of a row that is submitted, with its journal, µs",
        "journal_bytes": "journal, a row, bytes",
        "receipt_bytes": "receipt, a row, bytes",
        "submit_peak_mb": "memory of a submission piece by piece at its peak, MB",
        "frame_bytes": "memory of a frame that is submitted as a whole, a row, bytes",
        "callback_cpu_us": "CPU of a callback, verified and committed to the inbox, µs",
        "callback_bytes": "inbox, a callback, bytes",
        "callbacks_per_sec": "callbacks that one receiver took a second, here",
    }
    return table(["unit", "measured"], [[name, f"{units[unit]:,.6g}"] for unit, name in known.items()])


def tables_of(measured: dict[str, Any]) -> dict[str, str]:
    """Make all tables of the page, by name."""
    units = measured["units"]
    found = measured["simulation"]
    off = found["requests"] / found["expected_requests"] - 1
    return {
        "units": unit_table(measured)
        + f"\n\nMeasured on {measured['measured']}, {measured['machine']}, with other programs beside it (load "
        f"{measured['load']}).",
        "export": export_table(units),
        "portions": portion_table(units),
        "increment": increment_table(units),
        "submit": submit_table(units),
        "callbacks": callback_table(units),
        "simulation": f"{found['tasks']:,} tasks, {found['latency_ms']} ms a page, {found['workers']} workers: "
        f"{found['requests']:,} requests were sent, {found['expected_requests']:,} were forecast ({off:+.2%}). It took "
        f"{found['cpu_secs']:,.0f} s of CPU and {found['peak_mb']:,} MB at its peak; {found['wall_secs']:,.0f} s by "
        f"the clock, against {found['expected_wall_secs']:,.0f} s with a core to itself: the service and other "
        f"programs ran on the same two (load {found['load']}).",
    }


def written(page: str, tables: dict[str, str]) -> str:
    """Put tables between the marks of a page.

    Examples
    --------
    >>> written("<!-- scale: a -->old<!-- end -->", {"a": "new"})
    '<!-- scale: a -->\\nnew\\n<!-- end -->'
    """
    for name, text in tables.items():
        mark = f"<!-- scale: {name} -->"
        head, _, rest = page.partition(mark)
        page = f"{head}{mark}\n{text}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
    return page


def main() -> None:
    """Read the command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulate", type=int, default=20_000, metavar="TASKS")
    parser.add_argument("--latency", type=int, default=50, metavar="MS")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--measure", action="store_true", help="measure the units anew; keeps the last simulation")
    parser.add_argument("--keep", action="store_true", help="keep the simulation beside the units")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", metavar="PAGE", help="write the tables into a page")
    parser.add_argument("--measure-one", choices=list(MEASURES))
    parser.add_argument("--export-one", action="store_true")
    parser.add_argument("--base-url", default="")
    parser.add_argument("--folder", default="")
    given = parser.parse_args()
    kept: dict[str, Any] = json.loads(UNITS.read_text("utf-8")) if UNITS.exists() else {}
    if given.measure_one:
        measure, count = MEASURES[given.measure_one]
        with tempfile.TemporaryDirectory() as folder:
            print("\n" + json.dumps(measure(given.base_url, Path(folder), count)))
    elif given.export_one:
        print("\n" + json.dumps(export_one(given.base_url, given.folder, given.workers)))
    elif given.measure:
        kept |= measure_all(given.rounds)
        UNITS.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")
    elif given.write:
        path = Path(given.write)
        path.write_text(written(path.read_text("utf-8"), tables_of(kept)), "utf-8")
    else:
        found = simulate(given.simulate, given.latency, given.workers)
        show_simulation(found)
        if given.keep:
            UNITS.write_text(json.dumps(kept | {"simulation": found}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
