"""Bulk changes that are not idempotent, killed with SIGKILL and started again: audits once, callbacks at least once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from service import TEXT, post, tasks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import refonte_frames as rf

SCRIPT = Path(__file__).parent / "change_rows.py"
COUNT = 80
#: Kills a case; the nightly run multiplies it.
DOSE = 3 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))
#: As many as the program's client has workers.
WORKERS = 4


@pytest.fixture
def frame(sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path) -> Path:
    """Write a file of completed tasks, every third of which is bad."""
    fields = {**TEXT, "callback_url": "me@example.org"}
    bodies = [{**fields, "attachment": str(at)} for at in range(COUNT)]
    ids = [post(client, "task", "categorization", body=body)["task_id"] for body in bodies]
    for task_id in ids:
        sandbox.complete(task_id)
    frame = pd.DataFrame({"task_id": ids, "is_good": [at % 3 > 0 for at in range(COUNT)]})
    frame.to_csv(tmp_path / "frame.csv", index=False)
    return tmp_path / "frame.csv"


def start(client: rf.Client, key: str, name: str, frame: Path) -> subprocess.Popen[str]:
    """Start the user's program."""
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    command = [sys.executable, str(SCRIPT), name, str(frame), str(frame.with_name("x.journal"))]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_and_finish(client: rf.Client, key: str, name: str, frame: Path, done: Callable[[], int]) -> dict[str, int]:
    """Kill the program whenever so many are `done`, and let it end in the last run."""
    for point in sorted(random.Random(DOSE).randrange(1, COUNT) for _ in range(DOSE)):
        with start(client, key, name, frame) as process:
            while process.poll() is None and done() < point:
                pass
            process.kill()
            process.communicate()
    with start(client, key, name, frame) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    found: dict[str, int] = json.loads(out)
    return found


def test_audits_survive_kills_each_once(client: rf.Client, key: str, frame: Path) -> None:
    """Every task has one audit of the customer's, of the right result."""

    def done() -> int:
        return sum(len(task.get("audits") or ()) for task in tasks_of(client))

    counts = kill_and_finish(client, key, "audit", frame, done)
    assert counts["changed"] + counts["unchanged"] == COUNT
    wanted = pd.read_csv(frame).set_index("task_id")["is_good"].map({True: ["accepted"], False: ["rejected"]})
    served = {task["task_id"]: [audit["audit_result"] for audit in task["audits"]] for task in tasks_of(client)}
    assert served == wanted.to_dict()


def test_callbacks_survive_kills_each_at_least_once(
    sandbox: rf.Sandbox, client: rf.Client, key: str, frame: Path
) -> None:
    """Repeated are only those that were under way at a kill."""

    def mails() -> Counter[str]:
        return Counter(json.loads(mail["body"])["task_id"] for mail in sandbox.callbacks(key=key)["mails"])

    counts = kill_and_finish(client, key, "resend_callbacks", frame, lambda: mails().total() - COUNT)
    assert counts["changed"] == COUNT
    sent_again = mails() - Counter(set(mails()))
    assert len(sent_again) == COUNT
    # At a kill, up to so many outcomes are not in the journal: at each worker, and ready to be written down.
    assert sent_again.total() - COUNT <= DOSE * 3 * WORKERS
