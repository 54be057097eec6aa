"""Every option of the command line reaches the library: run in this process, which costs no start of Python each."""

from __future__ import annotations

import json
from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest
from service import TEXT, post, tasks_of
from typer.testing import CliRunner

from refonte_frames.cli.running import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import refonte_frames as rf

#: Before click 8.2 errors come among what is printed unless it is told not to; since then it cannot be told.
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
TEXTS = ("--type", "categorization", "--map", "attachment=text", "--params", json.dumps(TEXT))
BOXES = ("--type", "imageannotation", "--params", '{"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}')


@pytest.fixture
def run(
    sandbox: rf.Sandbox, key: str, client: rf.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, Any, str]]:
    """Run commands in a folder with a frame, in a world with one task; gives exit code, document and remarks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.csv").write_text("text,team\na red car,cars\na blue car,cars\na leaf,plants\n")
    post(client, "task", "categorization", body={**TEXT, "attachment": "x", "tags": ["new"]})
    environment = {
        "REFONTE_PROGRESS": "0",
        "REFONTE_API_KEY": key,
        "REFONTE_BASE_URL": sandbox.base_url,
        "REFONTE_STATE_DIR": str(tmp_path / "state"),
    }

    def invoke(*arguments: str) -> tuple[int, Any, str]:
        done = CliRunner(**APART).invoke(app, [*arguments, "--json"], env=environment)
        return done.exit_code, json.loads(done.stdout) if done.stdout else None, done.stderr

    return invoke


@pytest.mark.parametrize("command", ["submit", "plan"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--group-by", "team"), "group_by"),
        (("--resubmit", "perhaps"), "resubmit"),
        (("--duplicates", "perhaps"), "duplicates"),
        (("--on-error", "perhaps"), "on_error"),
        (("--batch", "nowhere"), "no batch 'nowhere'"),
        (("--project", "nowhere"), "no project 'nowhere'"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_the_library_refuses_it_was_told(run: Any, command: str, options: tuple[str, ...], sentence: str) -> None:
    """Both commands hand the option on: its value, or what goes with it, is refused by name."""
    code, _, said = run(command, "texts.csv", *TEXTS, *options)
    assert code == 2
    assert sentence in said


def test_a_bad_row_stops_all_where_it_is_to_raise(run: Any, tmp_path: Path) -> None:
    """Nothing is sent then; collected, the others are."""
    (tmp_path / "texts.csv").write_text('text\na red car\n""\n')
    assert run("submit", "texts.csv", *TEXTS, "--on-error", "raise")[0] == 2
    assert run("submit", "texts.csv", *TEXTS, "--on-error", "collect")[1]["counts"]["created"] == 1


def test_a_plan_knows_limit_lookup_and_ids_that_are_to_be_freed(run: Any) -> None:
    """What waits for the next run, what the service has though the journal does not, and one more key in each body."""
    plain = run("plan", "texts.csv", *TEXTS)[1]
    assert run("plan", "texts.csv", *TEXTS, "--limit", "1")[1]["actions"] == {"create": 1, "wait": 2}
    freed = run("plan", "texts.csv", *TEXTS, "--clear-unique-id-on-error")[1]
    assert freed["bytes"] > plain["bytes"]
    assert run("submit", "texts.csv", *TEXTS, "--journal", "one.journal")[0] == 0
    looked = run("plan", "texts.csv", *TEXTS, "--journal", "two.journal", "--lookup")[1]
    assert looked["actions"] == {"existing": 3}


def test_a_task_is_told_to_free_its_id(run: Any, sandbox: rf.Sandbox, client: rf.Client) -> None:
    """When it ends in error, the id is gone."""
    assert run("submit", "texts.csv", *TEXTS, "--limit", "1", "--clear-unique-id-on-error")[0] == 0
    task = tasks_of(client)[-1]
    assert task["unique_id"]
    sandbox.fail(task["task_id"])
    assert "unique_id" not in tasks_of(client)[-1]


@pytest.mark.parametrize("command", ["submit", "plan"])
def test_files_of_this_machine_are_uploaded_where_it_is_said(run: Any, tmp_path: Path, command: str) -> None:
    """Else such a row is bad."""
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "images.csv").write_text("attachment\na.png\n")
    assert run(command, "images.csv", *BOXES)[0] == 1
    assert run(command, "images.csv", *BOXES, "--upload-files")[0] == 0


@pytest.mark.parametrize(
    ("options", "tasks"),
    [
        ((), 1),
        (("--project", "none"), 0),
        (("--batch", "none"), 0),
        (("--type", "imageannotation"), 0),
        (("--created-after", "2100-01-01"), 0),
        (("--created-before", "2000-01-01"), 0),
        (("--completed-after", "2000-01-01", "--rewrite"), 0),
        (("--completed-before", "2100-01-01", "--rewrite"), 0),
        (("--status", "canceled", "--rewrite"), 0),
        (("--tag", "old", "--rewrite"), 0),
        (("--tag", "old", "--tag", "new", "--rewrite"), 1),
    ],
    ids=lambda value: " ".join(value) or "all" if isinstance(value, tuple) else "",
)
def test_an_export_has_what_its_filters_let_through(run: Any, options: tuple[str, ...], tasks: int) -> None:
    """Each of them by itself: the one task is pending, and tagged new."""
    code, report, said = run("export", "tasks", "dataset", *options)
    assert code == 0, said
    assert report["rows"]["tasks"] == tasks


def test_an_export_knows_its_tables_and_how_to_go_on(run: Any, tmp_path: Path) -> None:
    """Only what is named; everything once more; and what is new beside the base, for a later run."""
    assert list(run("export", "tasks", "dataset", "--table", "tasks")[1]["rows"]) == ["tasks"]
    assert run("submit", "texts.csv", *TEXTS)[0] == 0
    assert run("export", "tasks", "dataset", "--table", "tasks", "--no-fold")[1]["rows"] == {"tasks": 4}
    assert list((tmp_path / "dataset" / "_delta").rglob("*.parquet"))
    assert run("export", "tasks", "dataset", "--table", "tasks")[1]["mode"] == "increment"
    assert not list((tmp_path / "dataset").glob("_delta/**/*.parquet"))
    assert run("export", "tasks", "dataset", "--table", "tasks", "--full")[1]["mode"] == "windows"


def test_attempts_are_asked_for_by_quality_task(run: Any) -> None:
    """As by labeler; the service knows none of this one."""
    assert run("export", "attempts", "attempts", "--quality-task", "0" * 24)[1]["rows"] == {"attempts": 0}


@pytest.mark.parametrize("name", ["max-bytes", "max-total-bytes", "workers"])
def test_a_download_is_told_its_bounds(run: Any, name: str) -> None:
    """None of them can be 0."""
    code, _, said = run("download", "texts.csv", "files", f"--{name}", "0")
    assert code == 2
    assert name.replace("-", "_") in said


def test_a_report_takes_attempts_of_another_folder(run: Any) -> None:
    """Which must be one."""
    assert run("export", "tasks", "dataset")[0] == 0
    code, _, said = run("quality", "report", "dataset", "--attempts", "elsewhere")
    assert code == 2
    assert "elsewhere holds no finished export" in said
