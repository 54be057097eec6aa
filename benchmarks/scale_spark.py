"""The same tasks through Spark and through the embedded path: are the tables the same, and what does each cost.

    python benchmarks/scale_spark.py [TASKS]             100,000 tasks by default
    python benchmarks/scale_spark.py 1000000 --kill 3    the workers of Spark are killed three times on the way

Spark reads on two cores from the server of `export.py` and writes Parquet; the export reads the same. The tables are
compared row by row but for when they were read. CPU is of all processes of a way, those that were killed excepted.
It needs a Java and ``pip install 'refonte-frames[spark]'``.
"""
# ruff: noqa: PLC0415 - imports are not what is measured

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import scale

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
TABLES = ("tasks", "audits", "annotations")
#: Rows that are compared at a time.
SLICE = 50_000


def through_spark(base_url: str, folder: Path, tables: tuple[str, ...], kills: int) -> tuple[float, float]:
    """Read the tables with Spark and write them; return seconds and CPU."""
    from spark_session import kill_workers, started

    import refonte_frames as rf

    (folder / "events").mkdir()
    session = started(folder)
    session.dataSource.register(rf.spark.RefonteDataSource)
    ended = threading.Event()

    def kill() -> None:
        for _ in range(kills):
            if ended.wait(20):
                return
            print(f"killed {kill_workers(session)} workers", file=sys.stderr, flush=True)

    killer = threading.Thread(target=kill)
    killer.start()
    began = time.monotonic()
    for table in tables:
        reader = session.read.format("refonte").option("base_url", base_url).option("table", table)
        reader.load().write.parquet(str(folder / table))
    wall = time.monotonic() - began
    ended.set()
    killer.join()
    cpu = scale.cpu_of(session.sparkContext._gateway.proc.pid)  # noqa: SLF001 - Spark tells it nowhere else
    session.stop()
    return wall, cpu


def embedded(base_url: str, folder: Path, tables: tuple[str, ...]) -> tuple[float, float]:
    """Export the tables; return seconds and CPU."""
    import refonte_frames as rf

    with rf.Client(base_url=base_url, max_workers=4) as client:
        began, cpu = time.monotonic(), scale.spent()
        rf.export_tasks(folder, tables=tables, client=client, progress=False)
        return time.monotonic() - began, scale.spent() - cpu


def difference(table: str, left: Path, right: Path) -> str:
    """Compare two folders of a table row by row, and say what differs; empty where nothing does."""
    import refonte_frames as rf

    wanted = rf.portions.schema(table)
    names = [name for name in wanted.names if name != "exported_at"]
    both = [pads.dataset(path, format="parquet") for path in (left, right)]
    counts = [each.count_rows() for each in both]
    if counts[0] != counts[1]:
        return f"{counts[0]:,} rows and {counts[1]:,}"
    bounds = _bounds(both[0])
    for low, high in zip(bounds, [*bounds[1:], None], strict=True):
        within = pc.field("task_id") >= low
        within = within if high is None else within & (pc.field("task_id") < high)
        key = [(name, "ascending") for name in rf.schemas.KEYS[table]]
        rows = [
            each.to_table(columns=names, filter=within)
            .cast(pa.schema([wanted.field(name) for name in names]))
            .sort_by(key)
            for each in both
        ]
        if not rows[0].equals(rows[1]):
            differing = [name for name in names if not rows[0][name].equals(rows[1][name])]
            return f"rows from {low} on differ in {', '.join(differing)}"
    return ""


def _bounds(rows: pads.Dataset) -> list[str]:
    """Cut the ids into slices that fit into memory."""
    ids = pc.unique(rows.to_table(columns=["task_id"])["task_id"].cast(pa.string()))
    ids = ids.take(pc.sort_indices(ids))
    return [ids[at].as_py() for at in range(0, len(ids), SLICE)]


def main() -> None:
    """Read the command line."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", type=int, nargs="?", default=100_000)
    parser.add_argument("--kill", type=int, default=0, metavar="TIMES")
    parser.add_argument("--tasks-only", action="store_true", help="leave audits and annotations out")
    given = parser.parse_args()
    tables = TABLES[:1] if given.tasks_only else TABLES
    if find_spec("pyspark") is None:
        print("left out: pyspark is not installed")
        return
    os.environ |= {"REFONTE_API_KEY": "live_benchmark", "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    server, base_url = scale.server_of("export", given.tasks)
    try:
        with tempfile.TemporaryDirectory() as folder:
            ours = embedded(base_url, Path(folder) / "embedded", tables)
            spark = through_spark(base_url, Path(folder), tables, given.kill)
            print(f"{given.tasks:,} tasks, load {os.getloadavg()[0]:.1f}")
            print(f"embedded {ours[0]:8.1f} s, {ours[1]:8.1f} CPU s, {len(tables)} tables in one pass")
            print(f"Spark    {spark[0]:8.1f} s, {spark[1]:8.1f} CPU s, a pass each")
            for table in tables:
                found = difference(table, Path(folder) / "embedded" / table, Path(folder) / table)
                print(f"{table}: {found or 'the same'}")
                assert not found
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
