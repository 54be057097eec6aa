"""The law of the labelers: what they answer depends on the seed and the tasks, and on nothing else."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import requests

import refonte_frames as rf
from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = tuple[str, dict[str, Any], str]

#: Stamps, and ids that the service gave.
NOT_COMPARED = {"task_id", "created_at", "updated_at", "completed_at", "audited_at", "started_at"}

_VOTES = {"pipeline": "consensus_task", "consensus_attempts": 3}


def rows() -> list[Row]:
    """Give what is uploaded: type, body and Idempotency-Key; the last ten are one task, ten times, without ids."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("categorization", {"attachment_type": "text", "categories": ["a", "b", "c"], "attachment": "Some text"}),
        ("namedentityrecognition", {"text": "Ada Lovelace met Charles Babbage in London.", "labels": ["who", "where"]}),
        ("imageannotation", {"attachment": "i.png", "geometries": {"box": {"objects_to_annotate": ["cat", "dog"]}}}),
        ("transcription", {"attachment": "t.png", "attachment_type": "image", "fields": {"name": "The name"}}),
    ]
    made: list[Row] = []
    for number in range(30):
        kind, body = kinds[number % 4]
        own = {"attachment": f"Text {number}", "project": "votes"} if kind == "categorization" else {}
        made.append((kind, {**body, **own, "unique_id": f"u{number}"}, f"k{number}"))
    twin = ("categorization", {**kinds[0][1], "attachment": "The same"})
    return made + [(*twin, f"twin{number}") for number in range(10)]


class Upload:
    """Sends rows with some threads; what was acknowledged is kept, what was not may be sent again."""

    def __init__(self, order: Sequence[Row], threads: int) -> None:
        self.order = order
        self.threads = threads
        self.ids: dict[str, str] = {}
        self.half = threading.Event()

    def run(self, base_url: str) -> None:
        """Send everything that has no answer yet, or until the server is gone."""
        waiting = [row for row in self.order if row[2] not in self.ids]
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(lambda row: self._send(base_url, row), waiting))

    def _send(self, base_url: str, row: Row) -> None:
        kind, body, key = row
        url, headers = f"{base_url}/task/{kind}", {"Idempotency-Key": key, "Connection": "close"}
        try:
            reply = requests.post(url, json=body, headers=headers, auth=("live_demo", ""), timeout=30)
        except requests.RequestException:
            return  # not acknowledged
        assert reply.status_code == 200, reply.text
        self.ids[key] = reply.json()["task_id"]
        if len(self.ids) >= len(self.order) // 2:
            self.half.set()


def prepare(sandbox: Sandbox) -> None:
    """Make the project whose tasks three labelers try."""
    auth = ("live_demo", "")
    body = {"name": "votes", "type": "categorization", "studio": True, **_VOTES}
    assert requests.post(f"{sandbox.base_url}/projects", json=body, auth=auth, timeout=30).status_code == 200


def outcome(sandbox: Sandbox) -> dict[str, str]:
    """Write everything that can be read as text, without stamps and ids the service gave."""
    client = sandbox.client()
    tables = rf.read("tasks", "audits", "annotations", client=client)
    docs = [rf.get_task(task_id, client=client) for task_id in tables["tasks"]["task_id"]]
    names = {doc["task_id"]: doc.get("unique_id", "twin") for doc in docs}
    frames = {**tables, "truth": _with_times(sandbox.truth())}
    texts = {name: _text(frame.assign(of=frame["task_id"].map(names))) for name, frame in frames.items()}
    return {**texts, "documents": "\n".join(sorted(json.dumps(_without(doc)) for doc in docs))}


def _with_times(truth: pd.DataFrame) -> pd.DataFrame:
    return truth.assign(took=(truth["completed_at"] - truth["started_at"]).astype(str))


def _text(frame: pd.DataFrame) -> str:
    stamps = frame.columns[frame.dtypes.map(pd.api.types.is_datetime64_any_dtype)]
    kept = frame.drop(columns=[*stamps, "task_id"]).drop(columns="turnaround_secs", errors="ignore")
    lines = kept.astype(str).to_csv(index=False).splitlines()
    return "\n".join([lines[0], *sorted(lines[1:])])


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without(inner) for name, inner in value.items() if name not in NOT_COMPARED}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def plain() -> dict[str, str]:
    """Give the outcome of an upload in order by one thread."""
    with Sandbox(seed=11) as sandbox:
        prepare(sandbox)
        Upload(rows(), 1).run(sandbox.base_url)
        sandbox.work(days=6)
        return outcome(sandbox)


def test_the_answers_vary_among_tasks(plain: dict[str, str]) -> None:
    """Otherwise the law would hold of a server that always answers the same."""
    assert plain["tasks"].count("completed") == 40
    assert len(plain["audits"].splitlines()) > 10
    assert len(plain["truth"].splitlines()) > 40
    assert all(f'"category": "{letter}"' in plain["documents"] for letter in "abc")


def test_eight_threads_in_another_order_get_the_same(plain: dict[str, str]) -> None:
    """Documents, audits, attempts and exported tables, byte for byte."""
    order = rows()
    random.Random(5).shuffle(order)
    with Sandbox(seed=11) as sandbox:
        prepare(sandbox)
        Upload(order, 8).run(sandbox.base_url)
        sandbox.work(days=6)
        assert outcome(sandbox) == plain


def test_a_server_killed_twice_on_the_way_gets_the_same(plain: dict[str, str], tmp_path: Path) -> None:
    """While eight threads upload, and between two days of the labelers; nothing acknowledged is lost or doubled."""
    order = rows()[::-1]
    upload = Upload(order, 8)
    db = tmp_path / "sandbox.db"
    with Sandbox(seed=11, db=db) as first:
        prepare(first)
        threading.Thread(target=lambda: (upload.half.wait(60), os.kill(first.pid, signal.SIGKILL))).start()
        upload.run(first.base_url)
    acknowledged = dict(upload.ids)
    assert len(acknowledged) >= 20
    with Sandbox(seed=11, db=db) as second:
        upload.run(second.base_url)
        again = Upload(order, 1)
        again.run(second.base_url)
        assert {key: again.ids[key] for key in acknowledged} == acknowledged
        second.work(days=1)
        os.kill(second.pid, signal.SIGKILL)
    with Sandbox(seed=11, db=db) as third:
        third.work(days=5)
        assert outcome(third) == plain
