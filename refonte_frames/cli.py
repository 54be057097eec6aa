"""The command line: options in, one call of the library each, an exit code out. It decides nothing by itself."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from importlib import metadata
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer
import typer.core

from refonte_frames import errors
from refonte_frames.progress import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.export.report import ExportReport

    # What is given on the command line may be anything; the library says what is allowed.
    _Duplicates = Literal["error", "share", "each"]
    _OnError = Literal["collect", "raise"]

__all__ = ["main"]

#: Exit codes: what a script has to tell apart.
ALL_WELL: Final = 0
SOME_ROWS_FAILED: Final = 1
USAGE: Final = 2
SERVICE: Final = 3
INTERRUPTED: Final = 130

#: What `export tasks` writes unless told otherwise.
_TABLES: Final = ("tasks", "audits", "annotations")

#: Rows of a receipt that are shown in a terminal; a pipe gets all of them.
_ROWS_SHOWN: Final = 10

_HELP: Final = """
Frames in, labels out: submit tables to the Refonte AI labeling API and export what comes back.

The key is taken from REFONTE_API_KEY, never from an option. REFONTE_PROGRESS=0 hides the bars. Progress and remarks go
to stderr, data to stdout. Exit codes: 0 all rows well, 1 some rows failed, 2 wrong usage or input, 3 refused by the
service or not reached.

\b
Examples:
  refonte-frames demo
  refonte-frames sandbox --db sandbox.db --port 8377
  refonte-frames submit kittens.csv --type imageannotation --map attachment=image_url --params @boxes.json
"""


class _Commands(typer.core.TyperGroup):
    """The commands, with the package's errors turned into one sentence on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except errors.SubmitInterrupted as error:
            _complain(error.message)
            raise typer.Exit(INTERRUPTED) from None
        except KeyboardInterrupt:
            _complain("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        except errors.RefonteError as error:
            _complain(error.message)
            raise typer.Exit(_code_of(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly when nobody reads on, as under `| head`
            _complain(f"The output cannot be written: {error.strerror or error}.")
            # What is left in the buffer would raise once more when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise typer.Exit(USAGE) from None


app = typer.Typer(
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
export_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Export to Parquet files.")
app.add_typer(export_app, name="export")
journal_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Look into the journal of a submission.")
app.add_typer(journal_app, name="journal")
callbacks_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Receive callbacks of the service.")
app.add_typer(callbacks_app, name="callbacks")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        # Closed streams are None. Data is UTF-8 whatever the locale, and a letter nobody can write stops nothing.
        if isinstance(stream, TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    app()


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if value:
        typer.echo(f"refonte-frames {metadata.version('refonte-frames')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        help="The service. Default: REFONTE_BASE_URL, else https://api.refonte.com/v1.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, for machines.")]
Frame = Annotated[
    Path,
    typer.Argument(
        metavar="FRAME", help="A file with one row per attachment: .csv, .parquet or .jsonl.", show_default=False
    ),
]
Type = Annotated[
    str | None,
    typer.Option("--type", help="Task type, such as imageannotation. Default: the column 'type' says it row by row."),
]
Project = Annotated[str | None, typer.Option("--project", help="Project the tasks belong to.")]
Batch = Annotated[str | None, typer.Option("--batch", help="Batch the tasks belong to.")]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="PARAMETER=COLUMN",
        help="Column that feeds a parameter; dots reach into params, metadata.KEY into metadata. Repeatable.",
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata", metavar="COLUMN", help="Column that becomes metadata, or KEY=COLUMN, or rest. Repeatable."
    ),
]
Params = Annotated[
    str | None,
    typer.Option("--params", metavar="JSON|@FILE", help="Parameters that are the same for all rows: a JSON object."),
]
UniqueId = Annotated[
    str,
    typer.Option(
        "--unique-id",
        metavar="COLUMN",
        help="Column with your own ids; auto derives them; none goes without (needs --journal).",
    ),
]
Duplicates = Annotated[str, typer.Option("--duplicates", help="Rows with equal ids: error, share or each.")]
GroupBy = Annotated[
    str | None, typer.Option("--group-by", metavar="COLUMN", help="Rows that share its value become one task.")
]
Journal = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", help="Where what was sent is written down. Default: a state folder."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=0, metavar="N", help="At most N tasks in this run; run again to go on.")
]
Resubmit = Annotated[
    list[str] | None,
    typer.Option(
        "--resubmit", metavar="STATUS", help="canceled or error: rows whose task ended so get a new one. Repeatable."
    ),
]
ClearOnError = Annotated[
    bool, typer.Option("--clear-unique-id-on-error", help="Free a task's id when the task ends in error.")
]
OnError = Annotated[
    str,
    typer.Option(
        "--on-error", help="collect: report bad rows and send the others. raise: send nothing if a row is bad."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Write the rows to a .csv, .parquet or .jsonl file, not to stdout."
    ),
]


@app.command()
def demo(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the results go.")] = Path("refonte-demo"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the sandbox's database in that folder, to serve it again.")
    ] = False,
) -> None:
    """See the whole way: submit, label, export.

    On this machine and without an account: starts a sandbox, submits 200 lines of release notes and 96 image addresses,
    lets simulated labelers work, exports tasks, audits and annotations to Parquet, and shows the first rows. Takes a
    few seconds; a second run replaces what the first one left in the folder.

    \b
    Examples:
      refonte-frames demo
      refonte-frames demo --out /tmp/demo --keep
    """
    from refonte_frames import demo as story  # noqa: PLC0415 - --help answers without pandas

    story.run(out, keep=keep)


@app.command()
def sandbox(
    *,
    db: Annotated[
        Path | None,
        typer.Option("--db", metavar="FILE", help="Keep everything in this file. Default: nothing outlives the run."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="0 takes a free one.")] = 8377,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Of the simulated labelers; a file keeps its own. Default: 0."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse unknown parameters instead of warning.")] = False,
) -> None:
    """Serve a sandbox of the API on this machine.

    It runs until Ctrl-C. When it is ready it prints one line of JSON on stdout: url, base_url, pid and control_token.
    Any key test_WORLD or live_WORLD opens a world of its own: test tasks complete at once, live ones wait for a
    labeler.

    \b
    Examples:
      refonte-frames sandbox
      refonte-frames sandbox --db sandbox.db --port 8377
    """
    try:
        from refonte_frames.sandbox import server  # noqa: PLC0415 - an extra, and slow to load
    except ModuleNotFoundError as error:
        raise errors.ConfigError(
            f"The sandbox needs {error.name}, which is not installed; run pip install 'refonte-frames[sandbox]'."
        ) from error
    where = f"http://127.0.0.1:{port}/v1" if port else "<the base_url of that line>"
    say(
        "Serving until Ctrl-C once a line of JSON appears. To point a client at it:\n"
        f"  export REFONTE_API_KEY=live_demo REFONTE_BASE_URL={where}"
    )
    arguments = ["--port", str(port), *(["--strict"] if strict else [])]
    arguments += [] if db is None else ["--db", str(db)]
    arguments += [] if seed is None else ["--seed", str(seed)]
    raise typer.Exit(server.main(arguments))


@app.command()
def submit(
    frame: Frame,
    *,
    type_: Type = None,
    project: Project = None,
    batch: Batch = None,
    maps: Maps = None,
    metadata_: Metadata = None,
    params: Params = None,
    unique_id: UniqueId = "auto",
    duplicates: Duplicates = "error",
    group_by: GroupBy = None,
    journal: Journal = None,
    limit: Limit = None,
    on_error: OnError = "collect",
    resubmit: Resubmit = None,
    clear_unique_id_on_error: ClearOnError = False,
    out: Out = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Make one task of every row, exactly once.

    Stop it at any moment and run the same line again: it goes on where it was. The rows come back with task_id, outcome
    and, where something is wrong, error_code and error_message: as CSV on stdout, in a file with --out, as counts and
    failed rows with --json.

    In a CSV file a value stays text unless nothing can be lost: 00123 and 1.10 are text, 5 and 0.25 numbers, only an
    empty field is null. Columns used as ids are always text.

    \b
    Examples:
      refonte-frames submit kittens.csv --type imageannotation --project kittens \\
          --map attachment=image_url --map geometries.box.min_height=min_px --metadata camera \\
          --params '{"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}'
      refonte-frames submit texts.parquet --type categorization --map attachment=text \\
          --params @categories.json --limit 100 --out receipt.csv
    """
    import refonte_frames as rf  # noqa: PLC0415 - --help answers without pandas

    rows = _read(frame, unique_id, group_by)
    _check_out(out)
    try:
        receipt = rf.submit(
            rows,
            type=type_,
            project=project,
            batch=batch,
            columns=_pairs(maps),
            metadata=_metadata(metadata_),
            params=_params(params),
            unique_id=_unique_id(unique_id),
            duplicates=cast("_Duplicates", duplicates),
            group_by=group_by,
            journal=journal,
            limit=limit,
            on_error=cast("_OnError", on_error),
            resubmit=tuple(resubmit or ()),
            clear_unique_id_on_error=clear_unique_id_on_error,
            client=_client(base_url),
        )
    except (errors.RefonteError, errors.SubmitInterrupted) as error:
        if error.receipt is not None:
            _give_receipt(error.receipt, out, as_json=as_json)
        raise
    _give_receipt(receipt, out, as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if _has_failures(receipt) else ALL_WELL)


@app.command()
def plan(
    frame: Frame,
    *,
    type_: Type = None,
    project: Project = None,
    batch: Batch = None,
    maps: Maps = None,
    metadata_: Metadata = None,
    params: Params = None,
    unique_id: UniqueId = "auto",
    duplicates: Duplicates = "error",
    group_by: GroupBy = None,
    journal: Journal = None,
    limit: Limit = None,
    on_error: OnError = "collect",
    resubmit: Resubmit = None,
    clear_unique_id_on_error: ClearOnError = False,
    out: Out = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Tell what submit would do; change nothing.

    Takes the same options. The rows come back with action (create, settle, have, wait, unknown, invalid), error_message
    and the size of the body in bytes. Exit code 1 if a row is invalid. The key is needed: project and batch are looked
    at.

    \b
    Example:
      refonte-frames plan kittens.csv --type imageannotation --map attachment=image_url --params @boxes.json
    """
    import refonte_frames as rf  # noqa: PLC0415 - --help answers without pandas

    _check_out(out)
    planned = rf.plan(
        _read(frame, unique_id, group_by),
        type=type_,
        project=project,
        batch=batch,
        columns=_pairs(maps),
        metadata=_metadata(metadata_),
        params=_params(params),
        unique_id=_unique_id(unique_id),
        duplicates=cast("_Duplicates", duplicates),
        group_by=group_by,
        journal=journal,
        limit=limit,
        on_error=cast("_OnError", on_error),
        resubmit=tuple(resubmit or ()),
        clear_unique_id_on_error=clear_unique_id_on_error,
        client=_client(base_url),
    )
    is_invalid = planned["action"].eq("invalid")
    summary = {"rows": len(planned), "actions": _counted(planned["action"]), "bytes": int(planned["bytes"].sum())}
    _give(planned, out, summary, ["action", "unique_id", "error_message"], as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if is_invalid.any() else ALL_WELL)


@app.command()
def status(
    batches: Annotated[list[str], typer.Argument(metavar="BATCH...", help="Names of batches.", show_default=False)],
    *,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Count the tasks of batches by status.

    \b
    Example:
      refonte-frames status kittens_2020-07 kittens_2020-08 --json
    """
    from refonte_frames.resources import batches as resource  # noqa: PLC0415 - --help answers without pandas

    _give_status(resource.status(batches, client=_client(base_url)), as_json=as_json)


@app.command()
def wait(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Name of the batch.", show_default=False)],
    *,
    poll_secs: Annotated[
        float, typer.Option("--poll", min=0.1, metavar="SECONDS", help="Between two looks at the batch.")
    ] = 30.0,
    timeout_secs: Annotated[
        float | None,
        typer.Option("--timeout", min=0, metavar="SECONDS", help="Give up then. Default: as long as it takes."),
    ] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Wait until all tasks of a batch have ended.

    They have when none is pending; the batch's own status does not count. The numbers are printed on stdout. Exit code
    1 if tasks ended in error, or had not ended when the time was over. A batch in staging is refused: finalize it.

    \b
    Example:
      refonte-frames wait kittens_2020-07 --timeout 86400 && refonte-frames export tasks kittens
    """
    from refonte_frames.export import wait as waiting  # noqa: PLC0415 - --help answers without pandas

    try:
        ended = waiting.wait(batch, poll_secs=poll_secs, timeout_secs=timeout_secs, client=_client(base_url))
    except errors.WaitTimeout as error:
        _give_status(error.status, as_json=as_json)
        _complain(error.message)
        raise typer.Exit(SOME_ROWS_FAILED) from None
    _give_status(ended, as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if ended["tasks_error"].any() else ALL_WELL)


@export_app.command("tasks")
def export_tasks(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the dataset.", show_default=False)],
    *,
    project: Annotated[str | None, typer.Option("--project", help="Only tasks of this project.")] = None,
    batch: Annotated[str | None, typer.Option("--batch", help="Only tasks of this batch.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only tasks of this type.")] = None,
    status_: Annotated[
        str | None, typer.Option("--status", help="pending, completed, canceled or error; needs --rewrite.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="Any of these tags; needs --rewrite. Repeatable.")
    ] = None,
    created_after: Annotated[
        str | None, typer.Option("--created-after", metavar="TIME", help="Such as 2020-07-01.")
    ] = None,
    created_before: Annotated[str | None, typer.Option("--created-before", metavar="TIME")] = None,
    completed_after: Annotated[
        str | None, typer.Option("--completed-after", metavar="TIME", help="Needs --rewrite.")
    ] = None,
    completed_before: Annotated[
        str | None, typer.Option("--completed-before", metavar="TIME", help="Needs --rewrite.")
    ] = None,
    tables: Annotated[
        list[str] | None, typer.Option("--table", help="tasks, audits or annotations. Default: all. Repeatable.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything once more, not only what changed.")] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Replace the folder's content in one step, for filters that shift.")
    ] = False,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FOLDER", help="Also write every table as CSV; cells that look like formulas are marked."
        ),
    ] = None,
    excel: Annotated[
        Path | None, typer.Option("--excel", metavar="FILE", help="Also write an Excel file with a sheet per table.")
    ] = None,
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut texts that are too long for a cell of Excel's; else they are an error.")
    ] = False,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Export tasks, audits and annotations to Parquet.

    Run the same line again to bring the folder up to date; after a crash it goes on where it stopped. The report is
    printed on stdout.

    \b
    Examples:
      refonte-frames export tasks kittens --project kittens
      refonte-frames export tasks done --batch kittens_2020-07 --status completed --rewrite --json
      refonte-frames export tasks kittens --project kittens --csv for_excel
    """
    from refonte_frames.export import export  # noqa: PLC0415 - loads pandas

    report = export.export_tasks(
        path,
        tables=tables or _TABLES,
        project=project,
        batch=batch,
        type=type_,
        status=status_,
        tags=tags,
        created_after=created_after,
        created_before=created_before,
        completed_after=completed_after,
        completed_before=completed_before,
        incremental=not rewrite,
        full=full,
        client=_client(base_url),
    )
    _write_sheets(report, csv, excel, cut=cut)
    if as_json:
        _print_json({"path": str(report.path), **report.as_json()})
    else:
        typer.echo(str(report))


@callbacks_app.command("serve")
def callbacks_serve(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of an export of tasks.", show_default=False)],
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="0 takes a free one.")] = 8378,
    trust_bodies: Annotated[
        bool, typer.Option("--trust-bodies", help="Let exports take tasks as delivered, without reading them again.")
    ] = False,
) -> None:
    """Take callbacks in until Ctrl-C.

    The auth key of your dashboard is taken from REFONTE_CALLBACK_AUTH_KEY. What comes is kept in PATH until the next
    export into that folder takes it over. When it is ready it prints one line of JSON on stdout: url and pid. It speaks
    plain HTTP: on the open internet put a reverse proxy with TLS before it.

    \b
    Example:
      refonte-frames callbacks serve kittens --port 8378
    """
    from refonte_frames import callbacks  # noqa: PLC0415 - --help answers without pandas

    def say_ready(url: str) -> None:
        typer.echo(json.dumps({"url": url, "pid": os.getpid()}))
        sys.stdout.flush()

    verify = "body" if trust_bodies else "refetch"
    callbacks.serve(path, host=host, port=port, verify=cast("Literal['refetch', 'body']", verify), on_ready=say_ready)


@callbacks_app.command("show")
def callbacks_show(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder that they were taken into.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Show what was received: counts, and the newest deliveries.

    \b
    Example:
      refonte-frames callbacks show kittens
    """
    from refonte_frames.callbacks import receiver  # noqa: PLC0415 - --help answers without pandas

    rows, counts = receiver.received(path), receiver.counts(path)
    if as_json:
        _print_json(counts | {"deliveries": rows.to_dict("records")})
        return
    told = "; ".join(f"{n:,} {what}" for what, n in counts["outcomes"].items()) or "nothing"
    refused = "; ".join(f"{n:,} {why}" for why, n in counts["refused"].items()) or "nothing"
    say(f"Received: {told} ({counts['repeats']:,} repeats besides). Refused: {refused}.")
    newest = rows.sort_values("last_at", ascending=False)
    _print_rows(newest[["kind", "name", "status", "last_at", "times", "outcome"]], limit=_ROWS_SHOWN)


@export_app.command("batches")
def export_batches(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the dataset.", show_default=False)],
    *,
    project: Annotated[str | None, typer.Option("--project", help="Only batches of this project.")] = None,
    status_: Annotated[
        str | None, typer.Option("--status", help="Only batches that are staging, in_progress or completed.")
    ] = None,
    created_after: Annotated[
        str | None, typer.Option("--created-after", metavar="TIME", help="Such as 2020-07-01.")
    ] = None,
    created_before: Annotated[str | None, typer.Option("--created-before", metavar="TIME")] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Export batches and the counts of their tasks to Parquet.

    Run the same line again to read all batches once more; batch_snapshots keeps the counts of every call.

    \b
    Example:
      refonte-frames export batches batches --project kittens
    """
    from refonte_frames.export import batch_dataset  # noqa: PLC0415 - loads pandas

    report = batch_dataset.export_batches(
        path,
        project=project,
        status=status_,
        created_after=created_after,
        created_before=created_before,
        client=_client(base_url),
    )
    if as_json:
        _print_json({"path": str(report.path), **report.as_json()})
    else:
        typer.echo(str(report))


@export_app.command("attempts")
def export_attempts(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the dataset.", show_default=False)],
    *,
    labelers: Annotated[
        list[str] | None,
        typer.Option("--labeler", metavar="EMAIL", help="Only attempts of this labeler; all: the team's. Repeatable."),
    ] = None,
    quality_tasks: Annotated[
        list[str] | None,
        typer.Option("--quality-task", metavar="ID", help="Only attempts at this quality task. Repeatable."),
    ] = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Export the attempts of labelers at training and evaluation tasks to Parquet.

    Run the same line again to read all attempts once more; they take the place of the rows with the same id.

    \b
    Examples:
      refonte-frames export attempts attempts --labeler all
      refonte-frames export attempts exam --quality-task 576ba74eec471ff9b0155a13 --json
    """
    from refonte_frames.export import attempts  # noqa: PLC0415 - loads pandas

    report = attempts.export_attempts(
        path,
        quality_task_ids=quality_tasks or None,
        labeler_emails="all" if labelers == ["all"] else labelers or None,
        client=_client(base_url),
    )
    if as_json:
        _print_json({"path": str(report.path), **report.as_json()})
    else:
        typer.echo(str(report))


def _write_sheets(report: ExportReport, csv: Path | None, excel: Path | None, *, cut: bool) -> None:
    """Write the tables of an exported folder for people with a spreadsheet."""
    if csv is None and excel is None:
        return
    from refonte_frames.export import opened, spreadsheets  # noqa: PLC0415 - loads pandas

    export = opened.open_export(report.path)
    if csv is not None:
        csv.mkdir(parents=True, exist_ok=True)
        for name in report.rows:
            getattr(export, name).to_csv(csv / f"{name}.csv")
    if excel is not None:
        sheets = {name: getattr(export, name).scan() for name in report.rows}
        spreadsheets.to_excel(sheets, excel, long_texts="cut" if cut else "error")


@journal_app.command("show")
def journal_show(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The journal.", show_default=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell where a submission stands and what is left.

    Whose journal it is, what it was used for, tasks by state, failed ones by error code, and what to do next. Nothing
    is written and no key is needed; a submission that is running is not disturbed. The last line that submit prints
    says where its journal lies.

    \b
    Example:
      refonte-frames journal show kittens.journal --json
    """
    from refonte_frames.journal import look_into  # noqa: PLC0415 - --help answers without it

    state = look_into(path)
    if as_json:
        _print_json(state.as_json())
    else:
        typer.echo(str(state))


def _read(path: Path, *id_columns: str | None) -> pd.DataFrame:
    """Read the frame; what serves as an id stays text, so that 5 and 05 are two ids."""
    from refonte_frames.frame_files import read_frame  # noqa: PLC0415 - loads pandas

    return read_frame(path, text_columns={column for column in id_columns if column})


def _check_out(out: Path | None) -> None:
    """Refuse a file that cannot take the rows while nothing is sent yet."""
    from refonte_frames.frame_files import check_target  # noqa: PLC0415 - loads pandas

    if out is not None:
        check_target(out)


def _client(base_url: str | None) -> Client:
    from refonte_frames.client import Client  # noqa: PLC0415 - --help answers without it

    return Client(base_url=base_url)


def _pairs(given: Sequence[str] | None) -> dict[str, Any] | None:
    """Read ``parameter=column`` options; None leaves it to the names of the columns."""
    if not given:
        return None
    pairs: dict[str, Any] = {}
    for pair in given:
        parameter, equals, column = pair.partition("=")
        if not (parameter and equals and column):
            raise errors.InputError(f"--map takes PARAMETER=COLUMN, such as attachment=image_url, not {pair!r}.")
        if parameter in pairs:
            raise errors.InputError(f"--map feeds {parameter!r} twice: from {pairs[parameter]!r} and from {column!r}.")
        pairs[parameter] = column
    return pairs


def _metadata(given: Sequence[str] | None) -> dict[str, Any] | str | None:
    """Read ``column``, ``key=column`` and ``rest`` options."""
    if not given:
        return None
    if "rest" in given:
        if len(given) > 1:
            raise errors.InputError("--metadata rest takes all columns that are not used otherwise; name no others.")
        return "rest"
    return {key: column or key for key, _, column in (pair.partition("=") for pair in given)}


def _params(given: str | None) -> dict[str, Any] | None:
    """Read the JSON object of ``--params``, or of the file it names."""
    if given is None:
        return None
    where, text = "--params", given
    if given.startswith("@"):
        where = given[1:]
        try:
            with open(where, encoding="utf-8") as file:  # noqa: PTH123 - the name as it was typed
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise errors.InputError(f"--params: {where} cannot be read: {error}.") from error
    from refonte_frames.frame_files import parse_json  # noqa: PLC0415 - loads pandas

    try:
        params = parse_json(text)
    except ValueError as error:
        raise errors.InputError(f"{where} is no JSON: {error}.") from error
    if not isinstance(params, dict):
        raise errors.InputError(f'{where} is no JSON object such as {{"instruction": "Box every kitten"}}.')
    return params


def _unique_id(given: str) -> str | None:
    return None if given == "none" else given


def _give_status(counted: pd.DataFrame, *, as_json: bool) -> None:
    if as_json:
        _print_json(counted.to_dict("records"))
    else:
        _print_rows(counted, limit=None)


def _give_receipt(receipt: pd.DataFrame, out: Path | None, *, as_json: bool) -> None:
    summary = {"rows": len(receipt), **receipt.attrs.get("refonte", {})}
    _give(receipt, out, summary, ["outcome", "task_id", "error_message"], as_json=as_json)


def _give(rows: pd.DataFrame, out: Path | None, summary: dict[str, Any], telling: list[str], *, as_json: bool) -> None:
    """Give rows to whoever reads them: a file, a machine, a pipe, or a person in front of a terminal."""
    from refonte_frames.frame_files import write_csv, write_frame  # noqa: PLC0415 - loads pandas

    if out is not None:
        write_frame(rows, out)
    if as_json:
        _print_json(summary | {"failed": _failures(rows)})
    elif out is None and sys.stdout is not None and sys.stdout.isatty():
        first = next(iter(rows.columns))
        _print_rows(rows[list(dict.fromkeys([first, *telling]))], limit=_ROWS_SHOWN)
    elif out is None and sys.stdout is not None:
        write_csv(rows, sys.stdout)
        sys.stdout.flush()


def _failures(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """List the rows with an error, by their place in the file: 0 is the first."""
    told = rows.reset_index(drop=True)[["unique_id", "error_code", "error_message"]]
    failed = told[told["error_code"].notna()]
    return [{"row": at, **dict(row)} for at, row in failed.iterrows()]


def _has_failures(receipt: pd.DataFrame) -> bool:
    return bool((receipt["outcome"].isin(["failed", "unknown"]) | receipt["error_code"].notna()).any())


def _counted(column: pd.Series[Any]) -> dict[str, int]:
    return {str(value): int(n) for value, n in column.value_counts(sort=False).items()}


def _print_rows(rows: pd.DataFrame, *, limit: int | None) -> None:
    from refonte_frames.text_tables import text_table  # noqa: PLC0415 - loads pandas

    shown = rows if limit is None else rows.head(limit)
    typer.echo(text_table(shown, width=shutil.get_terminal_size().columns))
    if len(shown) < len(rows):
        say(f"… and {len(rows) - len(shown):,} more rows: --out FILE or > FILE keeps all of them.")


def _print_json(document: Any) -> None:
    def plain(value: Any) -> Any:
        return value.item() if hasattr(value, "item") else str(value)

    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=plain))


def _complain(sentence: str) -> None:
    say(f"refonte-frames: {sentence}")


def _code_of(error: errors.RefonteError) -> int:
    """Tell a mistake of the caller's, which another call mends, from a service that refused or cannot be reached."""
    local = (errors.InputError, errors.JournalError, errors.ExportError)
    return USAGE if isinstance(error, local) else SERVICE


if __name__ == "__main__":
    main()
