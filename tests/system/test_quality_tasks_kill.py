"""Quality tasks, killed in the middle of being made amid faults, and made to the end: each row one, none lost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import refonte_frames as rf
from refonte_frames.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPT = Path(__file__).parent / "quality_rows.py"
#: Kills a case; the nightly run multiplies it.
DOSE = 2 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))
COUNT = 200


def start(client: rf.Client, key: str, journal: Path) -> subprocess.Popen[str]:
    """Start the user's program."""
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    command = [sys.executable, str(SCRIPT), str(COUNT), str(journal)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the program end and read what it printed."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def counter_of(client: rf.Client, journal: Path) -> Callable[[], int]:
    """Tell how many outcomes the journal has, as often as it is asked."""
    account = {"host": client.host, "key_fingerprint": client.key_fingerprint}

    def count() -> int:
        try:
            with Journal(journal, **account, purpose="quality_tasks", is_read_only=True) as book:  # type: ignore[arg-type]
                return book.counts().get("created", 0)
        except rf.JournalError:
            return 0

    return count


@pytest.mark.slow
def test_quality_tasks_survive_kills_and_faults(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path
) -> None:
    """A second program with another journal finds the very same tasks, one for each row."""
    rf.projects.create("cats", type="categorization", rapid=True, client=client)
    for action, side in [("drop", "before"), ("drop", "after"), ("truncate", "after"), ("status", "after")]:
        sandbox.faults.add(action, method="POST", path="/training_tasks/*", side=side, status=502, p=0.05, times=10_000)
    done = counter_of(client, tmp_path / "x.journal")
    for point in sorted(random.Random(DOSE).randrange(1, COUNT * 9 // 10) for _ in range(DOSE)):
        with start(client, key, tmp_path / "x.journal") as process:
            while process.poll() is None and done() < point:
                pass
            process.kill()
            process.communicate()
    result = finish(start(client, key, tmp_path / "x.journal"))
    sandbox.faults.clear()
    assert result["counts"] == {"created": COUNT, "existing": 0, "failed": 0, "unsent": 0}
    assert len(set(result["ids"])) == COUNT
    other = finish(start(client, key, tmp_path / "other.journal"))
    assert other["counts"]["existing"] == COUNT
    assert other["ids"] == result["ids"]
