"""The process: how it starts, what it says, what it loads, and how it ends."""

from __future__ import annotations

import ast
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests

from refonte_frames.errors import SandboxError
from refonte_frames.sandbox import schema
from refonte_frames.sandbox.session import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "refonte_frames.sandbox", "--port", "0"]


def test_the_ready_line_is_all_that_is_printed() -> None:
    """One JSON line with where it listens; SIGTERM ends it cleanly."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["pid"] == process.pid
        assert ready["base_url"] == ready["url"] + "/v1"
        assert requests.get(f"{ready['base_url']}/tasks", auth=("test_a", ""), timeout=30).status_code == 200
        process.send_signal(signal.SIGTERM)
        rest, said = process.communicate(timeout=30)
    assert (process.returncode, rest, said) == (0, b"", b"")


def test_ctrl_c_ends_it_cleanly() -> None:
    """Without a traceback."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"")


def test_it_ends_with_its_parent() -> None:
    """When the pipe to it is closed, as the kernel does for a killed parent."""
    command = [*COMMAND, "--exit-with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"")


def test_a_killed_parent_leaves_no_server_behind() -> None:
    """Even one that had no chance to close its sandbox."""
    code = (
        "import sys; from refonte_frames.sandbox.session import Sandbox; s = Sandbox().start(); "
        "print(s.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        watch = os.pidfd_open(pid)
        parent.kill()
    with os.fdopen(watch):
        assert select.select([watch], [], [], 30)[0]


def test_the_server_loads_no_frames_and_no_client() -> None:
    """It is a light process: neither pandas, pyarrow nor requests."""
    code = (
        "import sys, refonte_frames.sandbox.server as _; "
        "print([name for name in ('pandas', 'pyarrow', 'numpy', 'requests', 'urllib3', 'tqdm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_server_imports_nothing_of_ours_but_names_and_limits() -> None:
    """So that a misreading of the documents in the client cannot agree with itself (errors comes with the package)."""
    code = (
        "import sys, refonte_frames.sandbox.server as _; "
        "print(sorted(m for m in sys.modules if m.startswith('refonte_frames.') and '.sandbox' not in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ast.literal_eval(done.stdout)) <= {"refonte_frames.api", "refonte_frames.errors"}


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    """And the exit code is that of a usage error."""
    with Sandbox() as first, pytest.raises(SandboxError, match=r"port \d+ of 127.0.0.1 cannot be used"):
        Sandbox(port=int(first.url.rpartition(":")[2]), db=tmp_path / "x.db").start()


def test_it_starts_whatever_lies_in_the_working_folder(tmp_path: Path) -> None:
    """A file with the name of a standard module there is not imported."""
    (tmp_path / "random.py").write_text("raise SystemExit('shadowed')")
    code = "from refonte_frames.sandbox.session import Sandbox\nwith Sandbox() as s: print(s.url)"
    for flags in (["-P"], ["-I"]):
        command = [sys.executable, *flags, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.startswith("http://127.0.0.1:")


def test_acknowledged_tasks_survive_kill_9(
    tmp_path: Path, world_of: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started again on the same file, every answered creation is there, and its saved reply and its counter too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    db = tmp_path / "sandbox.db"
    first = Sandbox(db="~/sandbox.db").start()
    world = world_of(first, "live_demo")
    made = [world.task(headers={"Idempotency-Key": f"k{n}"}, unique_id=f"u{n}") for n in range(50)]
    os.kill(first.pid, signal.SIGKILL)
    first.close()
    with Sandbox(db=db) as second:
        again = world_of(second, "live_demo")
        assert again.total() == 50
        assert again.all_tasks() == made[::-1]
        assert again.task(headers={"Idempotency-Key": "k7"}, unique_id="u7") == made[7]
        assert again.total() == 50
        assert again.task()["task_id"] > made[-1]["task_id"]


def test_the_seed_and_the_clock_live_in_the_file(tmp_path: Path) -> None:
    """A frozen clock stays frozen over a restart, and where it was put."""
    db = tmp_path / "sandbox.db"
    with Sandbox(db=db) as sandbox:
        sandbox.clock.freeze()
        moment = sandbox.clock.advance(days=400)
    with Sandbox(db=db) as sandbox:
        assert sandbox.clock.now() == moment


def test_another_seed_than_the_files_is_refused(tmp_path: Path) -> None:
    """Old and new answers would not fit together."""
    db = tmp_path / "sandbox.db"
    with Sandbox(seed=11, db=db):
        pass
    with pytest.raises(SandboxError, match="made with seed 11, not 7"):
        Sandbox(db=db).start()
    with Sandbox(seed=11, db=db) as sandbox:
        assert sandbox.url


def test_a_page_token_survives_a_restart(tmp_path: Path, world_of: Callable[..., Any]) -> None:
    """Its seal is kept with the data."""
    db = tmp_path / "sandbox.db"
    with Sandbox(db=db) as sandbox:
        world = world_of(sandbox, "live_demo")
        made = [world.task()["task_id"] for _ in range(3)]
        token = world.ok("GET", "/tasks", params={"limit": 2})["next_token"]
    with Sandbox(db=db) as sandbox:
        page = world_of(sandbox, "live_demo").ok("GET", "/tasks", params={"limit": 2, "next_token": token})
        assert [task["task_id"] for task in page["docs"]] == made[:1]


def test_a_second_sandbox_on_the_same_file_is_refused(tmp_path: Path) -> None:
    """Two writers would give out the same ids."""
    db = tmp_path / "sandbox.db"
    with Sandbox(db=db), pytest.raises(SandboxError, match="another sandbox is using it"):
        Sandbox(db=db).start()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """With both versions in the sentence."""
    db = tmp_path / "sandbox.db"
    with Sandbox(db=db):
        pass
    with sqlite3.connect(db) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    connection.close()
    with pytest.raises(SandboxError, match=f"schema is {schema.VERSION + 1}, this version knows {schema.VERSION}"):
        Sandbox(db=db).start()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """Neither a foreign database nor a text file is written to."""
    foreign, text = tmp_path / "foreign.db", tmp_path / "notes.txt"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    text.write_text("no database at all, but long enough to be looked at" * 10)
    before = text.read_bytes()
    for path in (foreign, text):
        with pytest.raises(SandboxError, match=r"another program's database|not a database"):
            Sandbox(db=path).start()
    assert text.read_bytes() == before


def test_a_key_is_kept_as_a_hash_only(tmp_path: Path, world_of: Callable[..., Any]) -> None:
    """Neither a good nor a bad key is found in any file of the sandbox."""
    db = tmp_path / "sandbox.db"
    with Sandbox(db=db) as sandbox:
        world_of(sandbox, "live_canary-7f3").task()
        assert world_of(sandbox, "live_CANARY_REAL_KEY").call("GET", "/tasks").status_code == 401
        files = [db, *tmp_path.glob("sandbox.db-*")]
        found = b"".join(path.read_bytes() for path in files)
    found += db.read_bytes()
    assert b"canary" not in found.lower()
