"""Uploads killed with SIGKILL and started again, amid faults: every file is there once, every row has its address."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import refonte_frames as rf

SCRIPT = Path(__file__).parent / "upload_files.py"
#: Kills a case; the nightly run multiplies it.
DOSE = 2 * int(os.environ.get("REFONTE_TEST_DOSE", "1"))


def write(folder: Path, count: int, seed: int) -> None:
    """Write files of all small sizes, some of them twice under another name."""
    folder.mkdir()
    draws = random.Random(seed)
    for at in range(count):
        content = draws.randbytes(draws.randrange(1, 50_000))
        (folder / f"{at:04}.png").write_bytes(content)
        if at % 20 == 0:
            (folder / f"{at:04} copy.png").write_bytes(content)


def start(client: rf.Client, key: str, folder: Path) -> subprocess.Popen[str]:
    """Start the user's program."""
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    command = [sys.executable, str(SCRIPT), str(folder), str(folder.with_name("x.journal"))]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_and_finish(client: rf.Client, key: str, folder: Path, kills: int) -> list[dict[str, Any]]:
    """Kill the program whenever so many files are there, and let it end in the last run."""
    count = len(list(folder.iterdir()))
    rf.projects.create("kittens", type="imageannotation", client=client)
    for point in sorted(random.Random(kills).randrange(1, count * 9 // 10) for _ in range(kills)):
        with start(client, key, folder) as process:
            while process.poll() is None and len(rf.files.list("kittens", client=client)) < point:
                pass
            process.kill()
            process.communicate()
    with start(client, key, folder) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["counts"] == {"created": count, "existing": 0, "failed": 0, "unsent": 0}
    rows: list[dict[str, Any]] = found["rows"]
    return rows


def assert_each_once(client: rf.Client, folder: Path, rows: list[dict[str, Any]]) -> None:
    """Compare: the service has each content once, and every row the address of its own."""
    hashes = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    assert {row["path"]: row["sha256"] for row in rows} == hashes
    served = rf.files.list("kittens", client=client)
    by_hash = {
        json.loads(metadata)["sha256"]: url for metadata, url in served[["metadata_json", "attachment_url"]].values
    }
    assert len(served) == len(by_hash) == len(set(hashes.values()))
    assert {row["path"]: row["attachment_url"] for row in rows} == {
        path: by_hash[each] for path, each in hashes.items()
    }


def test_uploads_that_are_killed_go_on_where_they_were(client: rf.Client, key: str, tmp_path: Path) -> None:
    """80 files, SIGKILL twice, the same line again: none twice, none lost."""
    write(tmp_path / "files", 80, seed=1)
    assert_each_once(client, tmp_path / "files", kill_and_finish(client, key, tmp_path / "files", DOSE))


def test_kills_and_faults_together_neither_lose_nor_double_a_file(
    sandbox: rf.Sandbox, client: rf.Client, key: str, tmp_path: Path
) -> None:
    """A fifth of all uploads and lists goes wrong, before or after the deed, while the program is killed."""
    rules = [("drop", "before"), ("drop", "after"), ("truncate", "after"), ("status", "before"), ("status", "after")]
    write(tmp_path / "files", 60, seed=2)
    for action, side in rules:
        sandbox.faults.add(action, path="/files*", side=side, status=502, p=0.04, times=10_000)
    rows = kill_and_finish(client, key, tmp_path / "files", DOSE)
    sandbox.faults.clear()
    assert_each_once(client, tmp_path / "files", rows)


@pytest.mark.slow
def test_a_thousand_files_are_there_once_after_kills(client: rf.Client, key: str, tmp_path: Path) -> None:
    """Twice killed, and none is uploaded twice."""
    write(tmp_path / "files", 1000, seed=3)
    assert_each_once(client, tmp_path / "files", kill_and_finish(client, key, tmp_path / "files", DOSE))


@pytest.mark.parametrize("fault", ["drop", "truncate", "status", "empty", "garbage"])
def test_an_answer_that_went_wrong_after_the_deed_is_looked_up(
    sandbox: rf.Sandbox, client: rf.Client, tmp_path: Path, fault: str
) -> None:
    """The file is sent once, and its address comes from the list."""
    write(tmp_path / "files", 1, seed=4)
    rf.projects.create("kittens", type="imageannotation", client=client)
    sandbox.faults.add(fault, method="POST", path="/files/upload", side="after", status=502, nth=1, times=1)
    done = rf.files.upload(
        tmp_path / "files" / "0000.png", project="kittens", client=client, progress=False, journal=tmp_path / "j"
    )
    assert done["outcome"].tolist() == ["created"]
    assert done["tries"].tolist() == [1]
    assert rf.files.list("kittens", client=client)["attachment_url"].tolist() == done["attachment_url"].tolist()
