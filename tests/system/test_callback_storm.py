"""Many deliveries at once, repeated, out of order, forged, with the receiver killed among them: each task once."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pandas as pd

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

KEY = "cb_the_key_of_the_dashboard"
TASKS = 150 if os.environ.get("REFONTE_TEST_DOSE", "1") == "1" else 10_000
CONNECTIONS = 16


class Receiver:
    """The receiver as a process that is killed and started again, at one address."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self.url = ""
        self._port = "0"
        self._start()

    def _start(self) -> None:
        command = [sys.executable, "-m", "refonte_frames.cli", "callbacks", "serve", str(self._root)]
        environment = os.environ | {"REFONTE_CALLBACK_AUTH_KEY": KEY}
        self._process = subprocess.Popen(
            [*command, "--port", self._port], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]
        self._port = str(urlsplit(self.url).port)

    def kill(self) -> None:
        """Kill it as a lost machine would, and start it again."""
        with self._lock:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()
            self._start()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()


def _deliver(url: str, key: str, body: bytes) -> bool:
    """Try once; tells whether it was acknowledged."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("POST", "/", body, {"refonte-ai--callback-auth": key})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _body(task: dict[str, Any]) -> bytes:
    return json.dumps({"task": task, "task_id": task["task_id"], "status": task["status"]}).encode()


def test_every_genuine_task_is_in_the_dataset_once(sandbox: rf.Sandbox, key: str, tmp_path: Path) -> None:
    """The service repeats what was not acknowledged; a fifth comes twice; forged ones are never taken.

    An export takes over what has come, while more is coming.
    """
    client = sandbox.client(key)
    rf.projects.create("storm", type="categorization", client=client)
    rows = pd.DataFrame({"attachment": [f"text {n}" for n in range(TASKS)]})
    params = {"attachment_type": "text", "categories": ["yes", "no"]}
    rf.submit(rows, type="categorization", project="storm", params=params, progress=False, client=client)
    root = tmp_path / "export"
    rf.export_tasks(root, audit_lookback=None, progress=False, client=client)
    sandbox.work(days=5)
    done = rf.read_tasks(project="storm", status="completed", progress=False, client=client)
    genuine = [{"task_id": task_id, "status": "completed"} for task_id in done["task_id"]]
    draw = random.Random(11)
    forged = [{"task_id": f"{number:024x}", "status": "completed"} for number in range(TASKS // 10)]
    deliveries = [(KEY, task) for task in genuine + draw.sample(genuine, len(genuine) // 5)]
    deliveries += [("a guess", task) for task in forged]
    draw.shuffle(deliveries)
    receiver = Receiver(root)

    def send(at: int) -> None:
        key, task = deliveries[at]
        if at in (len(deliveries) // 3, 2 * len(deliveries) // 3):
            receiver.kill()
        if at == len(deliveries) // 2:
            rf.open_export(root).compact(client=client)  # while the others go on
        if key != KEY:
            assert not _deliver(receiver.url, key, _body(task))
            return
        while not _deliver(receiver.url, key, _body(task)):
            pass  # as the service does: until it is acknowledged

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send, range(len(deliveries))))
    receiver.stop()
    received = rf.callbacks.received(root)
    assert sorted(received["name"]) == sorted(done["task_id"])
    rf.open_export(root).compact(client=client)
    stored = pd.read_parquet(root / "tasks")
    assert stored["task_id"].is_unique
    assert set(stored.loc[stored["status"] == "completed", "task_id"]) == set(done["task_id"])
    assert (rf.callbacks.received(root)["outcome"] == "stored").all()
    client.close()
