"""A disk that fills up in the middle of a submission: it stops, says so, and loses and doubles nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from service import tasks_of

if TYPE_CHECKING:
    import refonte_frames as rf

SCRIPT = Path(__file__).parent / "submit_rows.py"
#: Starts the program with a limit on the size of every file that it writes, which is what a full disk looks like.
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("unique_id", ["auto", "none"])
def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(
    client: rf.Client, key: str, tmp_path: Path, unique_id: str
) -> None:
    """No request goes out whose intent could not be written down; with room again each row is one task."""
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    program = [str(SCRIPT), "400", unique_id, str(tmp_path / "x.journal")]

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command, *program], env=environment, capture_output=True, text=True, check=False
        )

    full = run("-c", LIMITED, str(96 * 1024))
    assert full.returncode != 0
    assert "JournalError" in full.stderr
    assert "cannot be written" in full.stderr
    assert "run the same call again once there is room" in full.stderr
    assert 0 < len(tasks_of(client)) < 396
    mended = run()
    assert mended.returncode == 0, mended.stderr
    result = json.loads(mended.stdout)
    assert result["counts"]["created"] == 396
    assert sorted(result["task_ids"]) == sorted(task["task_id"] for task in tasks_of(client))
