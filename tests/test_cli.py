"""The command line as people and scripts run it: a process of its own against a real sandbox."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from refonte_frames.callbacks.inbox import Arrival, Inbox
from refonte_frames.callbacks.messages import read_message
from refonte_frames.client import Client
from refonte_frames.export import read
from refonte_frames.resources import batches, projects
from refonte_frames.transport.calls import Call, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refonte_frames.sandbox.session import Sandbox

TEXTS = "id,text,team\n007,a red car,cars\n008,a blue sky,\n009,a green leaf,plants\n"
SUBMIT_TEXTS = ("--type", "categorization", "--map", "attachment=text", "--params", "@params.json")
PARAMS = {"attachment_type": "text", "categories": ["red", "blue", "green"]}


@dataclass(frozen=True)
class Shell:
    """A working folder with an environment of its own, and a world of the sandbox."""

    folder: Path
    environment: dict[str, str]
    client: Client

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command with pipes; the key must not be in anything it says."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "refonte_frames.cli", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert self.environment["REFONTE_API_KEY"] not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def run_into(self, output: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command with its stdout going into an open handle, which is closed then."""
        try:
            done = subprocess.run(
                [sys.executable, "-W", "error", "-m", "refonte_frames.cli", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            os.close(output)
        assert "Traceback" not in done.stderr
        return done

    def run_in_terminal(self, *arguments: str, columns: int = 100, **environment: str) -> tuple[int, str]:
        """Run the command in a pseudo-terminal; return its exit code and all that was drawn."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, columns))
        process = subprocess.Popen(
            [sys.executable, "-m", "refonte_frames.cli", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        drawn = b"".join(iter(lambda: read_some(ours), b""))
        os.close(ours)
        return process.wait(), drawn.decode().replace("\r\n", "\n")

    def write(self, name: str, text: str) -> None:
        """Put a file into the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")


def read_some(terminal: int) -> bytes:
    """Read from a pseudo-terminal; its end shows as an error on Linux and as no bytes elsewhere."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


@pytest.fixture
def shell(sandbox: Sandbox, key: str, tmp_path: Path) -> Iterator[Shell]:
    """Make a folder with a frame and its parameters, and a world of its own."""
    environment = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(tmp_path / "home"),
        "REFONTE_API_KEY": key,
        "REFONTE_BASE_URL": sandbox.base_url,
    }
    with Client(api_key=key, base_url=sandbox.base_url) as client:
        shell = Shell(tmp_path, environment, client)
        shell.write("texts.csv", TEXTS)
        shell.write("params.json", json.dumps(PARAMS))
        yield shell
    sandbox.faults.clear()


def rows_of(text: str) -> list[dict[str, str]]:
    """Read what a command printed as CSV."""
    return list(csv.DictReader(io.StringIO(text)))


# help


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "sandbox",
        "submit",
        "plan",
        "status",
        "wait",
        "callbacks",
        "export tasks",
        "export batches",
        "export attempts",
        "download",
        "journal show",
        "callbacks serve",
        "callbacks show",
        "quality report",
    ],
)
def test_every_command_explains_itself(shell: Shell, command: str) -> None:
    """--help of every command has an example, fits 80 columns and ends well."""
    done = shell.run(*command.split(), "--help")
    assert done.returncode == 0
    assert f"  refonte-frames {command}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("colours", [{"TERM": "xterm-256color"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_help_in_a_terminal_is_plain_text(shell: Shell, colours: dict[str, str]) -> None:
    """Whatever the terminal can draw: no escape sequence, no line wider than the window."""
    code, drawn = shell.run_in_terminal("--help", columns=80, **colours)
    assert (code, "\x1b" in drawn) == (0, False)
    assert max(map(len, drawn.splitlines())) <= 80


def test_help_tells_sizes_as_people_do(shell: Shell) -> None:
    """Nobody reads 21474836480."""
    told = " ".join(shell.run("download", "--help").stdout.split())
    assert "refused. Default: 256 MiB." in told
    assert "go on. Default: 20 GiB." in told


def test_help_loads_no_pandas(shell: Shell) -> None:
    """--help does not import what makes the real commands slow to start."""
    code = "import sys, refonte_frames.cli.running; print({'pandas', 'pyarrow', 'requests'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=shell.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_no_command_shows_the_commands(shell: Shell) -> None:
    """Without a command the help is shown."""
    done = shell.run()
    assert "Make one task of every row" in done.stdout + done.stderr


def test_version(shell: Shell) -> None:
    """--version names the package and a version."""
    assert shell.run("--version").stdout.startswith("refonte-frames 0.")


def test_an_unknown_option_is_wrong_usage(shell: Shell) -> None:
    """Exit code 2, and the option is named."""
    done = shell.run("submit", "texts.csv", "--colour", "red")
    assert done.returncode == 2
    assert "--colour" in done.stderr


# submit


def test_submit_gives_every_row_back_on_stdout(shell: Shell) -> None:
    """Into a pipe the receipt is CSV with the rows of the file, ids as they were written; remarks go to stderr."""
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--unique-id", "id", "--metadata", "team")
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    assert [row["id"] for row in rows] == ["007", "008", "009"]
    assert [row["outcome"] for row in rows] == ["created"] * 3
    assert [row["unique_id"] for row in rows] == ["007", "008", "009"]
    assert len({row["task_id"] for row in rows}) == 3
    assert "3 created" in done.stderr


def test_submit_twice_makes_no_second_task(shell: Shell) -> None:
    """The same line again gives the same tasks."""
    first, second = (shell.run("submit", "texts.csv", *SUBMIT_TEXTS) for _ in range(2))
    assert [row["task_id"] for row in rows_of(first.stdout)] == [row["task_id"] for row in rows_of(second.stdout)]


def test_metadata_and_nested_parameters_arrive(shell: Shell) -> None:
    """KEY=COLUMN names metadata, dots reach into parameters, empty fields leave the key out."""
    shell.write("images.csv", "url,cam,min_px\nhttps://example.org/a.jpg,hall,20\nhttps://example.org/b.jpg,,30\n")
    params = '{"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}'
    done = shell.run(
        *("submit", "images.csv", "--type", "imageannotation", "--params", params, "--metadata", "camera=cam"),
        *("--map", "attachment=url", "--map", "geometries.box.min_height=min_px"),
    )
    assert done.returncode == 0, done.stderr
    first, second = (task_of(shell, row["task_id"]) for row in rows_of(done.stdout))
    assert first["metadata"] == {"camera": "hall"}
    assert second["metadata"] == {}
    assert first["params"]["geometries"]["box"] == {"objects_to_annotate": ["kitten"], "min_height": 20}


def task_of(shell: Shell, task_id: str) -> dict[str, Any]:
    """Read a task as the service has it."""
    from refonte_frames.transport.calls import Call

    task: dict[str, Any] = json.loads(shell.client.send(Call.get("task", task_id)).body)
    return task


def test_a_bad_row_is_exit_code_1_and_the_others_are_sent(shell: Shell) -> None:
    """A row that cannot be sent says why in its own line."""
    shell.write("texts.csv", 'text\na red car\n""\na blue sky\n')
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS)
    assert done.returncode == 1
    assert [row["outcome"] for row in rows_of(done.stdout)] == ["created", "failed", "created"]
    assert "attachment" in rows_of(done.stdout)[1]["error_message"]


def read_json(text: str) -> Any:
    """Read a document as machines do: NaN is none of their values."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_is_one_document_with_the_failed_rows(shell: Shell) -> None:
    """--json prints counts, and the failed rows with their place in the file; what they lack is null."""
    shell.write("texts.csv", 'text\na red car\n""\na blue sky\n')
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--json")
    told = read_json(done.stdout)
    assert done.returncode == 1
    assert told["failed"][0]["unique_id"] is None
    assert told["rows"] == 3
    assert told["counts"]["created"] == 2
    assert [(row["row"], row["error_code"]) for row in told["failed"]] == [(1, "missing_parameter")]


@pytest.mark.parametrize("name", ["receipt.csv", "receipt.parquet", "receipt.jsonl"])
def test_out_writes_the_receipt_to_a_file(shell: Shell, name: str) -> None:
    """With --out the rows are in the file, in the format its name says, and stdout stays empty."""
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--out", name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    assert readers[name.partition(".")[2]](shell.folder / name)["outcome"].tolist() == ["created"] * 3


@pytest.mark.parametrize(("out", "says"), [("receipt.txt", "ends in .csv"), ("no/where.csv", "there is no folder no")])
def test_an_out_that_cannot_be_written_is_found_before_anything_is_sent(shell: Shell, out: str, says: str) -> None:
    """Else the receipt of what was sent would be lost."""
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--out", out)
    assert done.returncode == 2
    assert says in done.stderr
    assert read.read_tasks(client=shell.client).empty


def test_a_locale_without_umlauts_changes_no_data(shell: Shell) -> None:
    """What goes into a pipe is UTF-8 everywhere, and half a character stops nothing."""
    shell.write("texts.jsonl", '{"text": "grün"}\n{"text": "\\ud83d"}\n')
    ascii_only = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    done = shell.run("submit", "texts.jsonl", *SUBMIT_TEXTS, **ascii_only)
    assert done.returncode == 1
    assert [row["text"] for row in rows_of(done.stdout)] == ["grün", r"\ud83d"]


def test_failed_rows_of_a_receipt_are_submitted_again(shell: Shell) -> None:
    """A receipt is a frame: its failed rows, mended, go through the same options, and the others are left alone."""
    shell.write("texts.csv", 'id,text\n007,a red car\n008,""\n009,a leaf\n')
    options = (*SUBMIT_TEXTS, "--unique-id", "id")
    assert shell.run("submit", "texts.csv", *options, "--out", "receipt.parquet").returncode == 1
    receipt = pd.read_parquet(shell.folder / "receipt.parquet", dtype_backend="pyarrow")
    failed = receipt.query("outcome == 'failed'").assign(text="a blue sky")
    failed.to_csv(shell.folder / "failed.csv", index=False)
    done = shell.run("submit", "failed.csv", *options, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["counts"]["created"] == 1
    tasks = read.read_tasks(client=shell.client)
    assert sorted(tasks["unique_id"]) == ["007", "008", "009"]
    assert tasks["metadata_json"].tolist() == ["{}"] * 3


FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110 - it is no file


@FULL
@pytest.mark.parametrize("arguments", [("plan", "texts.csv", *SUBMIT_TEXTS), ("--help",)], ids=["rows", "help"])
def test_an_output_that_is_full_is_one_sentence(shell: Shell, arguments: tuple[str, ...]) -> None:
    """The rows are sent all the same, and the journal knows them."""
    done = shell.run_into(os.open("/dev/full", os.O_WRONLY), *arguments)
    assert done.returncode == 2
    assert "The output cannot be written: No space left on device." in done.stderr


@FULL
def test_remarks_that_cannot_be_written_cost_no_row(shell: Shell) -> None:
    """Stderr is full: the data come out all the same, and the exit code says how the rows are."""
    command = [sys.executable, "-m", "refonte_frames.cli", "plan", "texts.csv", *SUBMIT_TEXTS]
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            command,
            cwd=shell.folder,
            env=shell.environment,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            check=False,
        )
    assert (done.returncode, len(rows_of(done.stdout))) == (0, 3)


def test_nobody_reading_on_is_no_error_with_a_traceback(shell: Shell) -> None:
    """As under ``| head``; the exit code is that of such programs, not one that says something of the rows."""
    shell.write("many.csv", "text\n" + "".join(f"a rather long line of text with number {n}\n" for n in range(3_000)))
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = shell.run_into(write_end, "plan", "many.csv", *SUBMIT_TEXTS)
    assert "cannot be written" not in done.stderr
    assert done.returncode == 141


def test_limit_sends_a_pilot_and_the_next_run_goes_on(shell: Shell) -> None:
    """With --limit the rest is unsent, which is no failure."""
    pilot = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--limit", "1")
    assert pilot.returncode == 0, pilot.stderr
    assert [row["outcome"] for row in rows_of(pilot.stdout)] == ["created", "unsent", "unsent"]
    rest = shell.run("submit", "texts.csv", *SUBMIT_TEXTS)
    assert [row["outcome"] for row in rows_of(rest.stdout)] == ["created"] * 3


def test_a_terminal_shows_a_table_and_a_bar(shell: Shell) -> None:
    """In a terminal there is a bar, then the first rows as a table no wider than the window."""
    shell.write("texts.csv", "text\n" + "".join(f"a red car {n}\n" for n in range(25)))
    code, drawn = shell.run_in_terminal("submit", "texts.csv", *SUBMIT_TEXTS)
    assert code == 0
    assert "Submitting: 100%" in drawn
    assert "and 15 more rows" in drawn
    lines = [line.rpartition("\r")[2] for line in drawn.splitlines()]
    table = lines[lines.index(next(line for line in lines if line.startswith("text "))) :][:11]
    assert all(len(line) <= 100 for line in table)
    assert all("created" in line for line in table[1:])


def test_ctrl_c_settles_what_is_under_way_and_ends_with_130(shell: Shell, sandbox: Sandbox) -> None:
    """Interrupted, the command gives a receipt in which every row has an outcome, and the next run completes it."""
    shell.write("texts.csv", "text\n" + "".join(f"a red car {n}\n" for n in range(400)))
    sandbox.faults.add("delay", method="POST", path="/task/*", secs=0.05, times=400)
    command = [sys.executable, "-m", "refonte_frames.cli", "submit", "texts.csv", *SUBMIT_TEXTS, "--out", "receipt.csv"]
    environment = shell.environment | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=shell.folder, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            while shell_tasks(shell) < 5:
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    sandbox.faults.clear()
    assert process.returncode == 130
    assert "run the same" in said
    outcomes = pd.read_csv(shell.folder / "receipt.csv")["outcome"].value_counts()
    assert outcomes.sum() == 400
    assert outcomes["unsent"] > 0
    assert shell.run("submit", "texts.csv", *SUBMIT_TEXTS).returncode == 0
    assert shell_tasks(shell) == 400


def shell_tasks(shell: Shell) -> int:
    """Count the tasks of a shell's world."""
    return int(json.loads(shell.client.send(Call.get("tasks", query=[("limit", "1")])).body)["total"])


# what goes wrong


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["submit", "missing.csv"], "missing.csv cannot be read: No such file"),
        (["submit", "texts.xlsx"], "ends in .csv, .parquet"),
        (["submit", "texts.csv", "--type", "categorisation"], "Did you mean categorization"),
        (["submit", "texts.csv", "--map", "attachment"], "--map takes PARAMETER=COLUMN"),
        (["submit", "texts.csv", "--map", "attachment=text", "--map", "attachment=id"], "feeds 'attachment' twice"),
        (["submit", "texts.csv", "--params", "{broken"], "--params is no JSON"),
        (["submit", "texts.csv", "--params", "[1]"], "--params is no JSON object"),
        (["submit", "texts.csv", "--params", "@missing.json"], "missing.json cannot be read"),
        (["submit", "texts.csv", "--metadata", "rest", "--metadata", "id"], "name no others"),
        (["submit", "texts.csv", "--metadata", "k=id", "--metadata", "k=text"], "feeds 'k' twice: from 'id' and from"),
        (["submit", "texts.csv", "--metadata", "k="], "--metadata takes COLUMN, KEY=COLUMN or rest"),
        (["export", "attempts", "dataset", "--labeler", "all", "--labeler", "a@x.org"], "name no others"),
        (["callbacks", "show", "x" * 300], "cannot be used: File name too long"),
        (["export", "tasks", "dataset", "--cut"], "--cut is about the cells of --excel"),
        (["submit", "texts.csv", *SUBMIT_TEXTS, "--map", "priority=prio"], "prio"),
        (["submit", "texts.csv", *SUBMIT_TEXTS, "--duplicates", "perhaps"], "perhaps"),
        (["submit", "texts.csv", *SUBMIT_TEXTS, "--project", "nowhere"], "no project 'nowhere'"),
        (["submit", "texts.csv", *SUBMIT_TEXTS, "--unique-id", "none"], "journal"),
        (["submit", "texts.csv", *SUBMIT_TEXTS, "--base-url", "http://example.com/v1"], "in clear"),
        (["plan", "texts.csv", "--type", "categorization", "--map", "text=attachment"], "the wrong way round"),
        (["demo", "--out", "."], "holds no demo"),
        (["export", "tasks", "dataset", "--promote", "metadata.team"], "--promote takes KEY=TYPE"),
        (["download", "texts.csv", "files", "--content-type", "model/gltf"], "--content-type takes TYPE=.END"),
        (["sandbox", "--db", "missing/sandbox.db"], "cannot start"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_exit_code_2(shell: Shell, arguments: list[str], sentence: str) -> None:
    """What another call mends ends with 2 and a sentence; nothing was sent and nothing is on stdout."""
    done = shell.run(*arguments)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert done.stdout == ""
    assert shell_tasks(shell) == 0


def test_no_key_names_the_variable(shell: Shell) -> None:
    """Without a key the sentence says where it is looked for."""
    done = shell.run("status", "july", REFONTE_API_KEY="")
    assert done.returncode == 2
    assert "REFONTE_API_KEY" in done.stderr


def test_a_service_that_does_not_run_is_exit_code_3(shell: Shell) -> None:
    """Nobody listens there: one sentence with the address, and every row accounted for."""
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--base-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 3
    assert "127.0.0.1:9" in done.stderr
    assert [row["outcome"] for row in rows_of(done.stdout)] == ["unsent"] * 3


def test_a_refused_key_is_exit_code_3(shell: Shell) -> None:
    """A key that opens nothing: the sentence says so and does not show it."""
    done = shell.run("submit", "texts.csv", *SUBMIT_TEXTS, REFONTE_API_KEY="a-key-of-no-world")
    assert done.returncode == 3
    assert "REFONTE_API_KEY" in done.stderr
    assert "a-key-of-no-world" not in done.stderr + done.stdout


# plan, status, wait


def test_plan_changes_nothing(shell: Shell) -> None:
    """Each row says what would be done with it, and the service has no task afterwards."""
    shell.write("texts.csv", 'text\na red car\n""\n')
    done = shell.run("plan", "texts.csv", *SUBMIT_TEXTS)
    assert done.returncode == 1
    assert [row["action"] for row in rows_of(done.stdout)] == ["create", "invalid"]
    assert shell_tasks(shell) == 0


def test_parameters_may_begin_with_the_mark_of_some_editors(shell: Shell) -> None:
    """A byte order mark is no part of the JSON, as it is none of a frame in CSV."""
    (shell.folder / "params.json").write_text(json.dumps(PARAMS), encoding="utf-8-sig")
    assert shell.run("plan", "texts.csv", *SUBMIT_TEXTS).returncode == 0


def test_plan_as_json(shell: Shell) -> None:
    """--json counts the actions and the bytes."""
    told = json.loads(shell.run("plan", "texts.csv", *SUBMIT_TEXTS, "--json").stdout)
    assert told["actions"] == {"create": 3}
    assert told["bytes"] > 100
    assert told["failed"] == []


def test_status_counts_the_tasks_of_batches(shell: Shell) -> None:
    """One line per batch, as a table or as JSON."""
    projects.create("words", type="categorization", client=shell.client)
    batches.create("a/b", project="words", client=shell.client)
    assert shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--batch", "a/b", "--project", "words").returncode == 0
    told = json.loads(shell.run("status", "a/b", "--json").stdout)
    assert [(batch["batch"], batch["tasks_pending"]) for batch in told] == [("a/b", 3)]
    assert shell.run("status", "a/b").stdout.splitlines()[1].split()[:3] == ["a/b", "in_progress", "3"]


def test_status_of_an_unknown_batch_is_exit_code_3(shell: Shell) -> None:
    """The service does not know it: the name is said."""
    done = shell.run("status", "june")
    assert done.returncode == 3
    assert "There is no batch 'june'" in done.stderr


def test_wait_ends_with_the_tasks_of_a_batch(shell: Shell, sandbox: Sandbox) -> None:
    """Exit code 1 while tasks are pending when the time is over, 0 when all are completed, 1 if one ended in error."""
    projects.create("words", type="categorization", client=shell.client)
    batches.create("july", project="words", client=shell.client)
    assert shell.run("submit", "texts.csv", *SUBMIT_TEXTS, "--batch", "july").returncode == 0
    early = shell.run("wait", "july", "--timeout", "0", "--json")
    assert (early.returncode, json.loads(early.stdout)[0]["tasks_pending"]) == (1, 3)
    assert "3 of 3 tasks had not ended after 0 s" in early.stderr
    ids = read.read_tasks(batch="july", client=shell.client)["task_id"].tolist()
    for task_id in ids:
        sandbox.complete(task_id)
    done = shell.run("wait", "july", "--poll", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[:4] == ["july", "completed", "0", "3"]


def test_wait_for_tasks_in_error_is_exit_code_1(shell: Shell, sandbox: Sandbox) -> None:
    """All have ended, but not all are well."""
    projects.create("words", type="categorization", client=shell.client)
    batches.create("july", project="words", client=shell.client)
    shell.write("text.csv", "text\na red car\n")
    assert shell.run("submit", "text.csv", *SUBMIT_TEXTS, "--batch", "july").returncode == 0
    sandbox.fail(read.read_tasks(batch="july", client=shell.client)["task_id"].iloc[0])
    assert shell.run("wait", "july").returncode == 1


# export


def test_export_writes_a_dataset_and_brings_it_up_to_date(shell: Shell) -> None:
    """The folder has one row per task, and the same line again adds what came since."""
    assert shell.run("submit", "texts.csv", *SUBMIT_TEXTS).returncode == 0
    first = shell.run("export", "tasks", "dataset", "--json")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["rows"]["tasks"] == 3
    shell.write("more.csv", "text\na red boat\n")
    assert shell.run("submit", "more.csv", *SUBMIT_TEXTS).returncode == 0
    second = shell.run("export", "tasks", "dataset")
    assert second.returncode == 0, second.stderr
    assert "4 tasks" in second.stdout
    exported = pd.read_parquet(shell.folder / "dataset" / "tasks")
    assert sorted(exported["attachment"]) == ["a blue sky", "a green leaf", "a red boat", "a red car"]


def test_export_writes_files_for_spreadsheets_beside_the_dataset(shell: Shell) -> None:
    """Every table as CSV, with formulas marked, and as a sheet of an Excel file."""
    shell.write("sums.csv", "text\n=1+1\n")
    assert shell.run("submit", "sums.csv", *SUBMIT_TEXTS).returncode == 0
    done = shell.run("export", "tasks", "dataset", "--csv", "sheets", "--excel", "all.xlsx")
    assert done.returncode == 0, done.stderr
    tables = ["annotations", "audits", "tasks"]
    assert sorted(item.stem for item in (shell.folder / "sheets").iterdir()) == tables
    assert pd.read_csv(shell.folder / "sheets" / "tasks.csv")["attachment"].tolist() == ["'=1+1"]
    sheets = pd.read_excel(shell.folder / "all.xlsx", sheet_name=None)
    assert sorted(sheets) == tables
    assert sheets["tasks"]["attachment"].tolist() == ["=1+1"]


def test_export_promotes_keys_of_metadata(shell: Shell) -> None:
    """To typed columns."""
    body = {"attachment": "a", **PARAMS, "metadata": {"team": "cars"}}
    shell.client.send(Call("POST", path_of("task", "categorization"), body=json.dumps(body).encode()))
    done = shell.run("export", "tasks", "dataset", "--promote", "metadata.team=string")
    assert done.returncode == 0, done.stderr
    assert pd.read_parquet(shell.folder / "dataset" / "tasks")["metadata.team"].tolist() == ["cars"]


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[str]:
    """Serve a folder with one picture on this machine."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.png").write_bytes(b"picture")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_download_gives_every_attachment_back_and_goes_on(shell: Shell, pictures: str) -> None:
    """What is missing is exit code 1 with its reason; the same line again takes what is there, without a key."""
    urls = [f"{pictures}/a.png", f"{pictures}/b.png", "a text"]
    shell.write("tasks.csv", "task_id,attachment\n" + "".join(f"{at},{url}\n" for at, url in enumerate(urls)))
    line = ("download", "tasks.csv", "files", "--allow-host", "127.0.0.1")
    first = shell.run(*line, REFONTE_API_KEY="")
    assert first.returncode == 1, first.stderr
    rows = rows_of(first.stdout)
    assert [row["outcome"] for row in rows] == ["downloaded", "failed", "skipped"]
    assert (shell.folder / rows[0]["path"]).read_bytes() == b"picture"
    assert "b.png was answered with 404" in rows[1]["error"]
    (shell.folder / "served" / "b.png").write_bytes(b"another")
    again = shell.run(*line, "--json", "--out", "files.csv")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {
        "path": "files",
        "attachments": 3,
        "outcomes": {"present": 1, "downloaded": 1, "skipped": 1},
        "bytes": 14,
        "failed": [],
    }
    assert pd.read_csv(shell.folder / "files.csv")["task_id"].tolist() == [0, 1, 2]


def test_attempts_are_exported_by_quality_task_or_labeler(shell: Shell) -> None:
    """Without either it is wrong usage."""
    done = shell.run("export", "attempts", "attempts", "--labeler", "nobody@example.org", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == {"attempts": 0}
    assert pd.read_parquet(shell.folder / "attempts" / "attempts").empty
    assert shell.run("export", "attempts", "attempts").returncode == 2


def test_export_of_other_filters_into_the_same_folder_is_wrong_usage(shell: Shell) -> None:
    """A folder remembers what it holds; the sentence names the difference."""
    assert shell.run("export", "tasks", "dataset", "--type", "categorization").returncode == 0
    done = shell.run("export", "tasks", "dataset", "--type", "imageannotation")
    assert done.returncode == 2
    assert "'categorization' and is now 'imageannotation'" in done.stderr


def test_export_with_a_filter_that_shifts_needs_rewrite(shell: Shell) -> None:
    """A status changes under an incremental dataset: refused, and allowed with --rewrite."""
    refused = shell.run("export", "tasks", "dataset", "--status", "completed")
    assert refused.returncode == 2
    assert shell.run("export", "tasks", "dataset", "--status", "completed", "--rewrite").returncode == 0


# sandbox


def test_quality_report_writes_a_page_of_an_exported_folder(shell: Shell) -> None:
    """It says where the page lies and what went into it; a folder that is none is wrong usage."""
    shell.run("submit", "texts.csv", *SUBMIT_TEXTS)
    shell.run("export", "tasks", "texts")
    done = shell.run("quality", "report", "texts", "--out", "page.html", "--json")
    assert (done.returncode, json.loads(done.stdout)["page"]) == (0, "page.html")
    assert json.loads(done.stdout)["rows"]["tasks"] == 3
    assert "3 tasks" in (shell.folder / "page.html").read_text("utf-8")
    assert shell.run("quality", "report", "elsewhere").returncode == 2


def test_callbacks_show_counts_and_lists_what_was_received(shell: Shell) -> None:
    """As a table for people, as one document for machines; without an inbox it is wrong usage."""
    body = b'{"task_id": "576c41bf13e36b0600b02b34", "status": "completed"}'
    with Inbox(shell.folder / "texts") as inbox:
        inbox.add([Arrival(read_message(body), None, 0.0)] * 2, {"not authentic": 1})
    done = shell.run("callbacks", "show", "texts")
    assert [(row["name"], row["times"]) for row in rows_of(done.stdout)] == [("576c41bf13e36b0600b02b34", "2")]
    assert "1 waiting (1 repeats besides). Refused: 1 not authentic." in done.stderr
    document = read_json(shell.run("callbacks", "show", "texts", "--json").stdout)
    (delivery,) = document["deliveries"]
    assert (delivery["outcome"], delivery["settled_at"]) == (None, None)
    assert delivery["first_at"] == "1970-01-01T00:00:00+00:00"
    assert (document["outcomes"], document["repeats"]) == ({"waiting": 1}, 1)
    assert shell.run("callbacks", "show", "elsewhere").returncode == 2


def test_callbacks_are_not_served_without_a_key(shell: Shell) -> None:
    """Anybody could deliver; the sentence names the variable."""
    done = shell.run("callbacks", "serve", "texts", "--port", "0")
    assert done.returncode == 2
    assert "REFONTE_CALLBACK_AUTH_KEY" in done.stderr


def test_completion_is_offered(shell: Shell) -> None:
    """A shell that asks gets its script."""
    done = shell.run("--show-completion", "bash")
    assert "refonte" in done.stdout.lower()
    asked = {"_REFONTE_FRAMES_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    code = "import sys; from refonte_frames.cli import main; sys.argv[0] = 'refonte-frames'; main()"
    offered = subprocess.run(
        [sys.executable, "-c", code],
        env=shell.environment | asked | {"COMP_WORDS": "refonte-frames callbacks s"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert offered.stdout.split() == ["serve", "show"]


def test_sandbox_says_where_it_is_and_keeps_what_it_was_told(shell: Shell) -> None:
    """The ready line is JSON on stdout, the hint is on stderr; killed and started again, the database has the task."""
    for total in (1, 2):
        with start_sandbox(shell, "--db", "sandbox.db", "--port", "0") as process:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            shell.write(f"text{total}.csv", f"text\ncar {total}\n")
            done = shell.run("submit", f"text{total}.csv", *SUBMIT_TEXTS, REFONTE_BASE_URL=ready["base_url"])
            assert done.returncode == 0, done.stderr
            assert ready["pid"] == process.pid
            process.kill()
            _, said = process.communicate()
        assert "export REFONTE_API_KEY=live_demo REFONTE_BASE_URL=" in said
    with start_sandbox(shell, "--db", "sandbox.db", "--port", "0") as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with Client(api_key=shell.environment["REFONTE_API_KEY"], base_url=base_url) as client:
            assert shell_tasks(Shell(shell.folder, {}, client)) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


@contextmanager
def start_sandbox(shell: Shell, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command `sandbox` with pipes; a test that fails does not wait for its end, which would never come."""
    with subprocess.Popen(
        [sys.executable, "-m", "refonte_frames.cli", "sandbox", *arguments],
        cwd=shell.folder,
        env=shell.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# demo


def test_demo_tells_the_whole_story_twice(shell: Shell) -> None:
    """It needs no key, shows all three tables, writes what it says, a second run replaces it, and its hints work."""
    for _ in range(2):
        done = shell.run("demo", REFONTE_API_KEY="", REFONTE_BASE_URL="")
        assert done.returncode == 0, done.stderr
        for heading in ("tasks: 296 rows", "audits: ", "annotations: ", "scorecard, from 480 attempts", "What to type"):
            assert heading in done.stdout
        assert done.stdout.count("@example.com  40  ") == 12
        told, _, typed = done.stdout.partition("What to type next:")
        assert max(map(len, told.splitlines())) <= 80
    out = shell.folder / "refonte-demo"
    assert len(pd.read_parquet(out / "export" / "tasks")) == 296
    assert len(pd.read_csv(out / "texts_receipt.csv")) == 200
    assert not (out / "sandbox.db").exists()
    assert not (shell.folder / "home").exists()
    for line in typed.strip().splitlines()[:2]:
        subprocess.run(line, shell=True, cwd=shell.folder, env=shell.environment, stdout=subprocess.DEVNULL, check=True)


def test_demo_replaces_what_a_link_leads_to(shell: Shell) -> None:
    """And leaves the link."""
    folder = shell.folder / "elsewhere"
    folder.mkdir()
    (folder / ".refonte-demo").touch()
    (folder / "old").touch()
    (shell.folder / "link").symlink_to(folder)
    assert shell.run("demo", "--out", "link").returncode == 0
    assert (folder / "export" / "tasks").is_dir()
    assert not (folder / "old").exists()


def test_demo_keeps_its_sandbox_when_asked(shell: Shell) -> None:
    """With --keep the database is there afterwards, and serves the labeled tasks; ``~`` is one's own folder."""
    assert shell.run("demo", "--out=~/kept", "--keep").returncode == 0
    assert (shell.folder / "home" / "kept" / "sandbox.db").is_file()
    with start_sandbox(shell, "--db=~/kept/sandbox.db", "--port", "0") as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with Client(api_key="live_demo", base_url=base_url) as client:
            assert batches.status("kittens 2020-07", client=client)["tasks_completed"].tolist() == [96]
        process.send_signal(signal.SIGINT)


def test_demo_has_bars_in_a_terminal(shell: Shell) -> None:
    """In a terminal the long steps have bars, and tables keep within the window."""
    code, drawn = shell.run_in_terminal("demo")
    assert code == 0
    assert "Submitting: 100%" in drawn
    assert "Labeling: 100%" in drawn
