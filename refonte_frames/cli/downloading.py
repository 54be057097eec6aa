"""The command that downloads attachments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from refonte_frames import errors
from refonte_frames.cli.commands import ALL_WELL, SOME_ROWS_FAILED, app
from refonte_frames.cli.options import AsJson, BaseUrl, Out, check_out, client_of, read_rows
from refonte_frames.cli.printing import counted, print_json, print_rows_or_csv, records_of

if TYPE_CHECKING:
    import pandas as pd

#: What became of an attachment when nothing is wrong: text is no file.
_WELL: Final = ("downloaded", "present", "skipped")


@app.command()
def download(
    tasks: Annotated[
        Path,
        typer.Argument(
            metavar="TASKS",
            help="Folder of an export, or a .csv, .parquet or .jsonl file with task_id, such as a receipt.",
            show_default=False,
        ),
    ],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Folder of the files; made if need be.", show_default=False)
    ],
    *,
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            metavar="HOST",
            help="Host that may be asked by plain http, and at an address that is not public. Repeatable.",
        ),
    ] = None,
    content_types: Annotated[
        list[str] | None,
        typer.Option(
            "--content-type",
            metavar="TYPE=.END",
            help="Further type to take, such as model/gltf-binary=.glb. Repeatable.",
        ),
    ] = None,
    max_bytes: Annotated[
        int,
        typer.Option(
            "--max-bytes", metavar="BYTES", help="Larger files are refused. Default: 256 MiB.", show_default=False
        ),
    ] = 256 * 2**20,
    max_total_bytes: Annotated[
        int,
        typer.Option(
            "--max-total-bytes",
            metavar="BYTES",
            help="This call ends there; call again to go on. Default: 20 GiB.",
            show_default=False,
        ),
    ] = 20 * 2**30,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Files under way at once.")] = 8,
    out: Out = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Download the attachments of tasks, safely.

    Stop it at any moment and run the same line again: it goes on with what is missing. One row per attachment comes
    back with its outcome and the path of its file: as CSV on stdout, in a file with --out, as counts and failures with
    --json. Exit code 1 if some were refused, failed or are left.

    Only https and public addresses are asked, with neither key nor .netrc. Files are named after task and place, never
    after what a host says. The key is needed for a file without attachments only.

    \b
    Examples:
      refonte-frames download kittens pictures
      refonte-frames download receipt.csv pictures --json
    """
    from refonte_frames.export.downloads import download_attachments  # noqa: PLC0415 - --help answers without pandas

    check_out(out)
    rows = download_attachments(
        _source(tasks),
        path,
        allow_hosts=allow_hosts or [],
        content_types=_pairs_of(content_types),
        max_bytes=max_bytes,
        max_total_bytes=max_total_bytes,
        max_workers=workers,
        client=None if base_url is None else client_of(base_url),
    )
    is_well = rows["outcome"].isin(_WELL)
    _give(rows, rows[~is_well], path, out, as_json=as_json)
    raise typer.Exit(ALL_WELL if is_well.all() else SOME_ROWS_FAILED)


def _source(tasks: Path) -> Any:
    """Open the folder, or read the file; ids stay text."""
    from refonte_frames.export.opened import open_export  # noqa: PLC0415 - --help answers without pandas
    from refonte_frames.frame_files import FORMATS  # noqa: PLC0415

    return read_rows(tasks, "task_id", "unique_id") if tasks.suffix.lower() in FORMATS else open_export(tasks)


def _pairs_of(content_types: list[str] | None) -> dict[str, str]:
    pairs = [pair.rpartition("=") for pair in content_types or ()]
    for (kind, _, ending), given in zip(pairs, content_types or (), strict=True):
        if not (kind and ending):
            raise errors.InputError(f"--content-type takes TYPE=.END, such as model/gltf-binary=.glb, not {given!r}.")
    return {kind: ending for kind, _, ending in pairs}


def _give(rows: pd.DataFrame, bad: pd.DataFrame, path: Path, out: Path | None, *, as_json: bool) -> None:
    """Give the rows, as `submit` does."""
    from refonte_frames.frame_files import write_frame  # noqa: PLC0415 - loads pandas

    if out is not None:
        write_frame(rows, out)
    if as_json:
        telling = bad[["task_id", "attachment_index", "url", "outcome", "error"]]
        size = int(rows["bytes"].fillna(0).sum())
        counts = {"attachments": len(rows), "outcomes": counted(rows["outcome"]), "bytes": size}
        print_json({"path": str(path), **counts, "failed": records_of(telling)})
    elif out is None:
        print_rows_or_csv(
            rows, ["task_id", "attachment_index", "outcome", "path", "error"], all_of_them="--out FILE or > FILE"
        )
