"""Commands on quality."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from refonte_frames.cli.commands import quality_app
from refonte_frames.cli.options import AsJson
from refonte_frames.cli.printing import print_json

#: What the page is made of; other tables of a folder have no part in it.
_REPORTED: Final = ("tasks", "audits", "attempts")


@quality_app.command("report")
def quality_report(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder of an export.", show_default=False)],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page.")] = Path("quality.html"),
    attempts: Annotated[
        Path | None,
        typer.Option("--attempts", metavar="PATH", help="Folder of exported attempts, beside one of tasks."),
    ] = None,
    target: Annotated[
        float, typer.Option("--target", min=0, max=1, metavar="SHARE", help="The pass rate that is asked for.")
    ] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Write one page on labelers and labels.

    PATH is what export tasks or export attempts wrote; with both, give the attempts by --attempts. The page needs no
    other file and no network. If FILE is an earlier page, the new one says what has changed. Its path is printed.

    \b
    Examples:
      refonte-frames quality report attempts
      refonte-frames quality report kittens --attempts attempts --out kittens.html
    """
    from refonte_frames import quality  # noqa: PLC0415 - --help answers without pandas
    from refonte_frames.export import opened  # noqa: PLC0415 - loads pandas

    tables: dict[str, Any] = {}
    for folder in (path, attempts):
        if folder is not None:
            export = opened.open_export(folder)
            tables |= {name: getattr(export, name).to_pandas() for name in _REPORTED if name in export.report.rows}
    page = str(quality.report(tables, out, target=target))
    if as_json:
        print_json({"page": page, "rows": {name: len(table) for name, table in tables.items()}})
    else:
        typer.echo(page)
