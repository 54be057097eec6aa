"""Programs that are killed with SIGKILL, interrupted, or run twice at once, and the rows that survive it: all, once."""

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
import pytest
from service import tasks_of

from refonte_frames.journal import Journal
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    import refonte_frames as rf

SCRIPT = Path(__file__).parent / "submit_rows.py"
#: Seeds a case: each chooses other instants and other faults. The nightly run asks for many.
SEEDS = range(int(os.environ.get("REFONTE_TEST_DOSE", "1")))
KILLS = 3
#: What goes wrong, one of five answers in all: lost before or after the deed, cut off, refused by a gateway, refused
#: for rate, and an error that the service replays under its key.
FAULTS: tuple[dict[str, Any], ...] = (
    {"action": "drop", "side": "before"},
    {"action": "drop", "side": "after"},
    {"action": "truncate", "side": "after"},
    {"action": "status", "side": "before", "status": 502},
    {"action": "status", "side": "after", "status": 502},
    {"action": "status", "side": "before", "status": 500, "is_saved": True},
    {"action": "status", "side": "before", "status": 429, "retry_after": "0"},
)


def start(client: rf.Client, key: str, count: int, unique_id: str, journal: Path) -> subprocess.Popen[str]:
    """Start the user's program."""
    environment = os.environ | {
        "REFONTE_API_KEY": key,
        "REFONTE_BASE_URL": client.base_url,
        "REFONTE_STATE_DIR": str(client.state_dir),
    }
    command = [sys.executable, str(SCRIPT), str(count), unique_id, str(journal)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def total_of(client: rf.Client) -> int:
    """Count the tasks of the world."""
    page = msgspec.json.decode(client.send(Call.get("tasks", query=[("limit", "1")])).body)
    return int(page["total"])


def wait_for_tasks(client: rf.Client, process: subprocess.Popen[str], at_least: int) -> None:
    """Return as soon as the service has so many tasks, or the program ended."""
    while process.poll() is None and total_of(client) < at_least:
        pass


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the program end and read what it printed."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def assert_each_once(client: rf.Client, count: int, result: dict[str, Any]) -> None:
    """Every valid row has one task, no row two, and the receipt tells the same tasks as the service."""
    valid = count - count // 100
    served = tasks_of(client)
    texts = [task["params"]["attachment"] for task in served]
    assert sorted(texts) == sorted(f"text {at}" for at in range(count) if at % 100 != 99)
    assert sorted(str(task["task_id"]) for task in served) == sorted(map(str, result["task_ids"]))
    assert result["counts"] == {"created": valid, "existing": 0, "failed": count // 100, "unsent": 0, "unknown": 0}


def assert_none_twice(client: rf.Client, count: int, result: dict[str, Any]) -> None:
    """Rows without an id are created, or unknown where the service replays an error for a day; none is doubled."""
    served = {task["params"]["attachment"]: task["task_id"] for task in tasks_of(client)}
    assert len(served) == total_of(client)
    counts, valid = result["counts"], count - count // 100
    assert set(result["task_ids"]) <= set(served.values())
    assert len(result["task_ids"]) == counts["created"] == valid - counts["unknown"]
    assert counts == counts | {"existing": 0, "failed": count // 100, "unsent": 0}


def kill_points(count: int, seed: int, kills: int) -> Sequence[int]:
    """Choose how many tasks there shall be at each kill."""
    return sorted(random.Random(seed).randrange(1, count) for _ in range(kills))


def kill_again_and_again(client: rf.Client, key: str, count: int, unique_id: str, journal: Path, seed: int) -> None:
    """Start the program and kill it, several times."""
    for point in kill_points(count, seed, KILLS):
        process = start(client, key, count, unique_id, journal)
        wait_for_tasks(client, process, point)
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("unique_id", ["auto", "none"])
def test_a_program_killed_in_the_middle_goes_on_where_it_was(
    client: rf.Client, key: str, tmp_path: Path, unique_id: str, seed: int
) -> None:
    """500 rows, SIGKILL several times, the same line again: each row is one task, the receipt is complete."""
    journal = tmp_path / "x.journal"
    kill_again_and_again(client, key, 500, unique_id, journal, 2 * seed)
    assert_each_once(client, 500, finish(start(client, key, 500, unique_id, journal)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("unique_id", ["auto", "scene", "none"])
def test_kills_and_faults_together_neither_lose_nor_double_a_row(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path, unique_id: str, seed: int
) -> None:
    """A fifth of all answers goes wrong, before or after the deed, while the program is killed again and again."""
    for fault in FAULTS:
        sandbox.faults.add(method="POST", path="/task/*", p=0.2 / len(FAULTS), times=10_000, **fault)
    journal = tmp_path / "x.journal"
    kill_again_and_again(client, key, 300, unique_id, journal, 2 * seed + 1)
    stormy = finish(start(client, key, 300, unique_id, journal))
    sandbox.faults.clear()
    calm = finish(start(client, key, 300, unique_id, journal))
    assert set(stormy["task_ids"]) <= set(calm["task_ids"])
    if unique_id == "none":
        assert_none_twice(client, 300, calm)
    else:
        assert_each_once(client, 300, calm)
        # One row in seven thousand meets a fault five times in turn, is told as failed, and made by the next call.
        assert len(calm["task_ids"]) - len(stormy["task_ids"]) == stormy["counts"]["failed"] - 3 <= 2


@pytest.mark.parametrize("journals", ["one", "two"])
def test_two_programs_at_once_make_each_row_once(client: rf.Client, key: str, tmp_path: Path, journals: str) -> None:
    """The same frame from two processes, on one journal or on two: one task a row."""
    paths = [tmp_path / "a.journal", tmp_path / ("a.journal" if journals == "one" else "b.journal")]
    both = [start(client, key, 300, "auto", path) for path in paths]
    results = [finish(process) for process in both]
    assert sorted(map(str, results[0]["task_ids"])) == sorted(map(str, results[1]["task_ids"]))
    assert len(tasks_of(client)) == 297


def test_an_interrupted_program_settles_what_is_in_flight_and_says_what_is_left(
    client: rf.Client, key: str, tmp_path: Path
) -> None:
    """Ctrl-C ends with SubmitInterrupted; the journal knows every task that the service has."""
    journal = tmp_path / "x.journal"
    process = start(client, key, 2000, "auto", journal)
    wait_for_tasks(client, process, 100)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert "SubmitInterrupted" in err
    assert "rows unsent; run the same call again" in err
    made = total_of(client)
    assert made < 1980
    with Journal(journal, host=client.host, key_fingerprint=client.key_fingerprint) as book:
        assert book.counts()["created"] == made
    assert_each_once(client, 2000, finish(start(client, key, 2000, "auto", journal)))
