"""The newcomer's first command: two frames labeled and exported on this machine, told as it happens. Behind `demo`."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import typer

from refonte_frames import progress
from refonte_frames.errors import InputError
from refonte_frames.export.attempts import export_attempts
from refonte_frames.export.export import export_tasks
from refonte_frames.export.opened import open_export
from refonte_frames.quality import scorecard
from refonte_frames.resources import batches, projects
from refonte_frames.sandbox.session import Sandbox
from refonte_frames.text_tables import text_table
from refonte_frames.upload import quality_tasks
from refonte_frames.upload.submit import submit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refonte_frames.client import Client

__all__ = ["run"]

#: Lies in every folder the demo made; without it nothing is overwritten.
MARK: Final = ".refonte-demo"
DAYS: Final = 3
#: Tables are laid out for the window, but never wider than this.
WIDEST: Final = 100
ROWS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Job:
    """A frame to be labeled: where it comes from and what is asked."""

    frame: str
    type: str
    project: str
    batch: str
    columns: Mapping[str, str]
    metadata: tuple[str, ...]
    params: Mapping[str, Any]


JOBS: Final = (
    Job(
        frame="texts",
        type="categorization",
        project="release notes",
        batch="release notes 2.x",
        columns={"attachment": "text"},
        metadata=("change_id", "release", "filed_under"),
        params={
            "instruction": "What kind of change does this line describe?",
            "attachment_type": "text",
            "categories": ["bug fix", "new feature", "improvement", "internal", "documentation"],
        },
    ),
    Job(
        frame="images",
        type="imageannotation",
        project="kittens",
        batch="kittens 2020-07",
        columns={"attachment": "image_url", "priority": "priority", "geometries.box.min_height": "min_px"},
        metadata=("image_id", "camera", "scene"),
        params={
            "instruction": "Draw a box around every kitten.",
            "geometries": {"box": {"objects_to_annotate": ["kitten", "cat"]}},
        },
    ),
)

#: So many of the texts, whose kind their project knows, are given to every labeler as an exam.
EXAM_TASKS: Final = 40
EXAM_PROJECT: Final = "release notes exam"
#: What is shown of the scorecard, each rate as a share of the tasks of the exam.
CARD: Final = ["labeler", "n", "rate", "ci_low", "ci_high", "shrunk", "median_secs"]

#: What is shown of each table; all columns are in the files.
SHOWN: Final = {
    "tasks": ["task_id", "type", "status", "turnaround_secs", "n_annotations", "n_audits"],
    "audits": ["task_id", "audit_result", "audit_source", "audited_by", "audited_at"],
    "annotations": ["task_id", "type", "geometry", "label", "left", "top", "width", "height"],
}


def run(out: Path, *, keep: bool = False) -> None:
    """Submit the sample frames to a sandbox, let its labelers work, export, and show the tables.

    Parameters
    ----------
    out : Path
        Folder for the results; what an earlier demo left there is replaced, any other folder is refused.
    keep : bool
        Whether the sandbox's database stays in that folder, so that it can be served again.

    Raises
    ------
    InputError
        `out` holds something else than a demo.
    """
    began = time.monotonic()
    _clear(out)
    database = out / "sandbox.db" if keep else None
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(seed=7, db=database))
        _tell(f"A sandbox of the service runs at {sandbox.url}; no account is needed.")
        client = sandbox.client("live_demo")
        for job in JOBS:
            _submit(job, out, client)
        _submit_again(JOBS[0], out, client)
        exam = _set_exam(out, client)
        _label(sandbox)
        _tell(f"\nEverything is exported to {out / 'export'} and {out / 'attempts'}:")
        counts = export_tasks(out / "export", client=client).rows
        counts = {**counts, **export_attempts(out / "attempts", quality_task_ids=exam, client=client).rows}
        _tell(", ".join(f"{count} {table}" for table, count in counts.items()) + ".")
    _show(out)
    _show_scorecard(out)
    _tell(f"\nDone in {time.monotonic() - began:.0f} s.")
    _say_next(out, keep=keep)


def sample(name: str) -> pd.DataFrame:
    """Read one of the sample frames, from the installed package or from the checkout beside it."""
    package = resources.files("refonte_frames")
    inside = package.joinpath("sample_data", f"{name}.csv")
    with resources.as_file(package) as folder:
        source = inside if inside.is_file() else folder.parent / "sample_data" / f"{name}.csv"
        with source.open(encoding="utf-8") as file:
            return pd.read_csv(file, dtype={"release": "str"})


def _clear(out: Path) -> None:
    """Make an empty folder; never empty one that is not ours."""
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            if not (out / MARK).is_file():
                raise InputError(f"{out} is there already and holds no demo: name another folder with --out.")
            _empty(out)
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).write_text("`refonte-frames demo` may replace this folder.\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}. Name another folder with --out.") from error


def _empty(folder: Path) -> None:
    """Remove what a folder holds, not the folder: it may be a link, or lie where nothing else may be changed."""
    for item in folder.iterdir():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def _submit(job: Job, out: Path, client: Client) -> None:
    frame = sample(job.frame)
    projects.create(job.project, type=job.type, client=client)
    batches.create(job.batch, project=job.project, client=client)
    _tell(f"\n{len(frame)} {job.frame} become {job.type} tasks of the batch {job.batch!r}:")
    receipt = _submitted(frame, job, out, client)
    receipt.to_csv(out / f"{job.frame}_receipt.csv", index=False)
    key = job.metadata[0]
    _table(receipt[[key, "task_id", "outcome", "unique_id"]].head(3))


def _submit_again(job: Job, out: Path, client: Client) -> None:
    frame = sample(job.frame)
    _tell(f"\nThe same {job.frame} once more, as after a crash; no row gets a second task:")
    _submitted(frame, job, out, client)
    counts = batches.status(job.batch, client=client).iloc[0]
    _tell(f"The service counts {counts['tasks_pending']} tasks in the batch for {len(frame)} rows.")


def _submitted(frame: pd.DataFrame, job: Job, out: Path, client: Client) -> pd.DataFrame:
    return submit(
        frame,
        type=job.type,
        project=job.project,
        batch=job.batch,
        columns=job.columns,
        metadata=list(job.metadata),
        params=job.params,
        journal=out / f"{job.frame}.journal",
        client=client,
    )


def _set_exam(out: Path, client: Client) -> list[str]:
    """Make quality tasks of the texts that say by themselves what they are, so that labelers can be told apart."""
    job, texts = JOBS[0], sample(JOBS[0].frame)
    texts = texts[texts["filed_under"].isin(job.params["categories"])].head(EXAM_TASKS)
    _tell(f"\n{len(texts)} of the texts have a known answer and become an exam for the labelers:")
    projects.create(EXAM_PROJECT, type=job.type, rapid=True, client=client)
    made = quality_tasks.create(
        texts.assign(answer=texts["filed_under"].map(lambda kind: {"category": kind})),
        kind="evaluation",
        expected="answer",
        type=job.type,
        project=EXAM_PROJECT,
        columns=job.columns,
        params=job.params,
        journal=out / "exam.journal",
        client=client,
    )
    return list(made["quality_task_id"])


def _label(sandbox: Sandbox) -> None:
    _tell(f"\nSimulated labelers and reviewers work for {DAYS} days of the sandbox's time.")
    _tell("Their answers are right in form; they cannot read, so look for no sense in them:")
    done = {"completed": 0, "audits": 0}
    with progress.bar(DAYS, "Labeling", "days") as bar:
        for _ in range(DAYS):
            today = sandbox.work(days=1)
            done = {name: count + today[name] for name, count in done.items()}
            bar.set_note(f"{done['completed']} tasks")
            bar.update()
    _tell(f"{done['completed']} tasks completed, {done['audits']} audits.")


def _show(out: Path) -> None:
    export = open_export(out / "export")
    for name, columns in SHOWN.items():
        table = getattr(export, name).to_pandas()
        _tell(f"\n{name}: {len(table):,} rows, {len(table.columns)} columns, of which:")
        _table(_telling(table)[columns].head(ROWS_SHOWN))
    _tell("\nThe labels beside the texts they belong to, joined by task_id:")
    receipt = pd.read_csv(out / "texts_receipt.csv")
    labels = export.annotations.to_pandas(columns=["task_id", "label"])
    _table(receipt.merge(labels, on="task_id")[["change_id", "text", "label"]].head(ROWS_SHOWN))


def _show_scorecard(out: Path) -> None:
    attempts = open_export(out / "attempts").attempts.to_pandas()
    _tell(f"\nThe labelers' scorecard, from {len(attempts):,} attempts at the exam, the best first:")
    try:
        card = scorecard(attempts)
    except ImportError as error:  # its statistics are an extra
        _tell(str(error))
        return
    card = card.sort_values("shrunk", ascending=False)
    _table(card[CARD].round({name: 2 for name in CARD if name not in ("labeler", "n")}))
    _tell("rate: passed of n; ci_low to ci_high holds the true rate in 19 of 20 cases;")
    _tell("shrunk: leans towards what is usual, the more the fewer attempts there are.")


def _telling(table: pd.DataFrame) -> pd.DataFrame:
    """Let both jobs be seen in the first rows: the first rows of each type in turn."""
    turn = table.groupby("type", observed=True).cumcount()
    return table.iloc[turn.argsort(kind="stable")]


def _say_next(out: Path, *, keep: bool) -> None:
    _tell(f"\nThe files, all of them in {out}:")
    for path, what in (
        ("export/tasks, audits, annotations", "Parquet for pandas, polars, DuckDB, …"),
        ("attempts/attempts", "the same, of the exam"),
        ("texts_receipt.csv, images_receipt.csv", "what became of each row"),
        ("texts.journal, images.journal", "why no call makes a task twice"),
    ):
        _tell(f"  {path:<38}  {what}")
    python, command = _typed("python"), _typed("refonte-frames")
    annotations = (out / "export" / "annotations").as_posix()
    database = out / "sandbox.db" if keep else Path("sandbox.db")
    _tell("\nWhat to type next:")
    _tell(f"  {python} -c \"import pandas as pd; print(pd.read_parquet('{annotations}'))\"")
    _tell(f"  {command} submit --help")
    _tell(f"  {command} sandbox --db {database}  # to try your own frame on")


def _typed(program: str) -> str:
    """Say how to call a program of this environment from here: by name only where the shell finds this very one."""
    ours = Path(sys.executable).parent / program
    found = shutil.which(program)
    if found is not None and Path(found) == ours:
        return program
    with suppress(ValueError):
        return str(ours.relative_to(Path.cwd()))
    return str(ours)


def _table(rows: pd.DataFrame) -> None:
    typer.echo(text_table(rows, width=min(shutil.get_terminal_size().columns, WIDEST)))


def _tell(text: str) -> None:
    typer.echo(text)
