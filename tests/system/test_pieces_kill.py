"""A program that submits rows piece by piece, killed with SIGKILL in the middle of any chunk: each row ends once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from service import tasks_of

from refonte_frames.journal import look_into
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    import refonte_frames as rf

SCRIPT = Path(__file__).parent / "submit_pieces.py"
#: The nightly run multiplies the kills.
DOSE = int(os.environ.get("REFONTE_TEST_DOSE", "1"))
ROWS = 400


def start(client: rf.Client, key: str, journal: Path, chunk_rows: int) -> subprocess.Popen[str]:
    """Start the user's program."""
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    command = [sys.executable, str(SCRIPT), str(ROWS), str(journal), str(chunk_rows)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_tasks(client: rf.Client, process: subprocess.Popen[str], at_least: int) -> None:
    """Return as soon as the service has so many tasks, or the program ended."""
    total = 0
    while process.poll() is None and total < at_least:
        total = msgspec.json.decode(client.send(Call.get("tasks", query=[("limit", "1")])).body)["total"]


def test_a_program_killed_in_any_chunk_goes_on_where_it_was(client: rf.Client, key: str, tmp_path: Path) -> None:
    """With other chunks each time; the journal can be looked into after each kill."""
    journal = tmp_path / "x.journal"
    draw = random.Random(5)
    for point in sorted(draw.randrange(1, ROWS) for _ in range(3 * DOSE)):
        process = start(client, key, journal, draw.choice([10, 64, 1000]))
        wait_for_tasks(client, process, point)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert look_into(journal).purpose == "submit"
    process = start(client, key, journal, 50)
    out, err = process.communicate()
    assert process.returncode == 0, err
    result: dict[str, Any] = json.loads(out)
    served = tasks_of(client)
    assert result["counts"] == {"created": 396, "existing": 0, "failed": 4, "unsent": 0, "unknown": 0}
    texts = sorted(task["params"]["attachment"] for task in served)
    assert texts == sorted(f"text {at}" for at in range(ROWS) if at % 100 != 99)
    assert sorted(task["task_id"] for task in served) == sorted(result["task_ids"])
