"""Commands that export to Parquet, and to files for people with a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from refonte_frames import errors
from refonte_frames.cli.commands import export_app
from refonte_frames.cli.options import AsJson, BaseUrl, client_of
from refonte_frames.cli.printing import print_json
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from refonte_frames.export.report import ExportReport

#: What `export tasks` writes unless told otherwise.
_TABLES: Final = ("tasks", "audits", "annotations")


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
    promote: Annotated[
        list[str] | None,
        typer.Option(
            "--promote",
            metavar="KEY=TYPE",
            help="Key of metadata or params that becomes a column, such as metadata.camera=string; types are string, "
            "float64, int64, bool and timestamp. Repeatable.",
        ),
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
    beside: Annotated[
        bool, typer.Option("--no-fold", help="Put what is new beside the base, for a later run to fold in: cheaper.")
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
      refonte-frames export tasks done --batch kittens_2020-07 \\
          --status completed --rewrite --json
      refonte-frames export tasks kittens --project kittens --csv for_excel
      refonte-frames export tasks kittens --project kittens \\
          --promote metadata.camera=string
    """
    from refonte_frames.export import export  # noqa: PLC0415 - loads pandas

    if cut and excel is None:
        raise errors.InputError("--cut is about the cells of --excel FILE: name one, or leave --cut out.")
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
        fold=not beside,
        promote=_promotions_of(promote),
        client=client_of(base_url),
    )
    _write_sheets(report, csv, excel, cut=cut)
    if as_json:
        print_json({"path": str(report.path), **report.as_json()})
    else:
        typer.echo(str(report))


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
        client=client_of(base_url),
    )
    if as_json:
        print_json({"path": str(report.path), **report.as_json()})
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
    """Export labelers' attempts at quality tasks to Parquet.

    Quality tasks are training and evaluation tasks, whose right answers are known.
    Run the same line again to read all attempts once more; they take the place of the rows with the same id.

    \b
    Examples:
      refonte-frames export attempts attempts --labeler all
      refonte-frames export attempts exam --json \\
          --quality-task 576ba74eec471ff9b0155a13
    """
    from refonte_frames.export import attempts  # noqa: PLC0415 - loads pandas

    report = attempts.export_attempts(
        path,
        quality_task_ids=quality_tasks or None,
        labeler_emails=_labelers_of(labelers),
        client=client_of(base_url),
    )
    if as_json:
        print_json({"path": str(report.path), **report.as_json()})
    else:
        typer.echo(str(report))


def _promotions_of(given: list[str] | None) -> dict[str, str]:
    """Read ``key=type`` options; a key may hold an equals sign, a type does not."""
    pairs: dict[str, str] = {}
    for pair in given or ():
        key, equals, type_ = pair.rpartition("=")
        if not (key and equals and type_):
            raise errors.InputError(f"--promote takes KEY=TYPE, such as metadata.camera=string, not {pair!r}.")
        if pairs.setdefault(key, type_) != type_:
            raise errors.InputError(f"--promote makes {key!r} {pairs[key]} and {type_}: name one of them.")
    return pairs


def _labelers_of(given: list[str] | None) -> list[str] | str | None:
    """Read ``--labeler`` options; ``all`` is nobody's address."""
    if "all" not in (given or ()):
        return given or None
    if given != ["all"]:
        raise errors.InputError("--labeler all takes everybody in the team; name no others.")
    return "all"


def _write_sheets(report: ExportReport, csv: Path | None, excel: Path | None, *, cut: bool) -> None:
    """Write the tables of an exported folder for people with a spreadsheet."""
    if csv is None and excel is None:
        return
    from refonte_frames.export import opened, spreadsheets  # noqa: PLC0415 - loads pandas

    export = opened.open_export(report.path)
    if csv is not None:
        folder = at_home(csv)
        folder.mkdir(parents=True, exist_ok=True)
        for name in report.rows:
            getattr(export, name).to_csv(folder / f"{name}.csv")
    if excel is not None:
        sheets = {name: getattr(export, name).scan() for name in report.rows}
        spreadsheets.to_excel(sheets, excel, long_texts="cut" if cut else "error")
