"""What planning, checking and resuming a million rows costs: CPU of the client process, user and system.

    python benchmarks/planning.py [ROWS]

`plan` of new rows; `plan` with a journal in which every row is done; and `submit` of the same rows with that journal,
which sends nothing. The rows have a URL, a priority, a parameter inside another and a key of metadata. Each step runs
in a process of its own; making the frame and the journal is not counted.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from lazy import serving

import refonte_frames as rf
from refonte_frames.journal import Entry, Journal
from refonte_frames.upload.mapping import MappingRequest, resolve_mapping
from refonte_frames.upload.payloads import PayloadBuilder
from refonte_frames.upload.plan import tell_apart

OPTIONS: dict[str, Any] = {
    "type": "imageannotation",
    "columns": {"attachment": "image_url", "priority": "prio", "geometries.box.min_height": "px"},
    "metadata": ["camera"],
    "params": {"instruction": "Box every kitten", "geometries": {"box": {"objects_to_annotate": ["kitten"]}}},
}


def frame_of(rows: int) -> pd.DataFrame:
    """Make the frame."""
    return pd.DataFrame(
        {
            "image_url": [f"https://example.org/images/{at:07}.jpg" for at in range(rows)],
            "camera": ["north", "south"] * (rows // 2) + ["north"] * (rows % 2),
            "prio": [10 + at % 20 for at in range(rows)],
            "px": [at % 50 for at in range(rows)],
        }
    )


def finish(client: rf.Client, frame: pd.DataFrame, path: str) -> None:
    """Write the journal that a run over the frame leaves."""
    mapping = resolve_mapping(list(frame.columns), MappingRequest(**OPTIONS))
    builder = PayloadBuilder(frame, mapping, {})
    payloads = (payload for chunk in builder.chunks(10_000) for payload in builder.build(chunk))
    tasks = tell_apart(payloads, "error", has_own_ids=False)
    with Journal(path, host=client.host, key_fingerprint=client.key_fingerprint) as book:
        for start in range(0, len(tasks), 10_000):
            some = enumerate(tasks[start : start + 10_000], start=start)
            now = time.time()
            book.write(
                Entry(task.row_key, "created", 0, task.sent_hash, now, False, f"{at:024x}", "pending", tries=1)
                for at, task in some
            )


def measure(step: str, port: str, rows: int, journal: str) -> dict[str, Any]:
    """Carry one step out in this process and tell what it cost."""
    client = rf.Client("live_planning", f"http://127.0.0.1:{port}/v1")
    frame = frame_of(rows)
    rf.plan(frame.iloc[:100], **OPTIONS, progress=False, client=client, journal="none.journal")
    if step == "finish":
        finish(client, frame, journal)
        return {}
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    if step == "submit":
        receipt = rf.submit(frame, **OPTIONS, progress=False, client=client, journal=journal)
        assert (receipt["outcome"] == "created").all()
    else:
        path = journal if step == "plan of done rows" else "none.journal"
        planned = rf.plan(frame, **OPTIONS, progress=False, client=client, journal=path)
        assert (planned["action"] == ("have" if path == journal else "create")).all()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    secs = time.perf_counter() - began
    requests = sum(client.requests_by_status().values())
    return {"cpu": cpu, "secs": secs, "peak_mb": after.ru_maxrss / 1024, "requests": requests}


def main(rows: int) -> None:
    """Measure all steps."""
    with tempfile.TemporaryDirectory() as folder, serving() as port:
        journal = str(Path(folder) / "x.journal")
        print(f"{rows:,} rows, one run each")
        print(f"{'step':<20}{'CPU s':>8}{'us/row':>8}{'seconds':>9}{'peak MB':>9}{'requests':>10}")
        for step in ("plan of new rows", "finish", "plan of done rows", "submit"):
            command = [sys.executable, __file__, "--one", step, port, str(rows), journal]
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            cost = json.loads(run.stdout)
            if cost:
                print(
                    f"{step:<20}{cost['cpu']:>8.1f}{1e6 * cost['cpu'] / rows:>8.1f}{cost['secs']:>9.1f}"
                    f"{cost['peak_mb']:>9.0f}{cost['requests']:>10}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        json.dump(measure(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]), sys.stdout)
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
