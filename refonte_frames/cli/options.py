"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refonte_frames import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from refonte_frames.client import Client

__all__ = [
    "AsJson",
    "BaseUrl",
    "Batch",
    "ClearOnError",
    "Duplicates",
    "Frame",
    "GroupBy",
    "Journal",
    "Limit",
    "Maps",
    "Metadata",
    "OnError",
    "Out",
    "Params",
    "Project",
    "Resubmit",
    "Type",
    "UniqueId",
    "UploadFiles",
    "check_out",
    "client_of",
    "metadata_of",
    "pairs_of",
    "params_of",
    "read_rows",
    "unique_id_of",
]

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
    typer.Option(
        "--type",
        metavar="TYPE",
        help="Task type, such as imageannotation. Default: the column 'type' says it row by row.",
    ),
]
Project = Annotated[str | None, typer.Option("--project", metavar="NAME", help="Project the tasks belong to.")]
Batch = Annotated[str | None, typer.Option("--batch", metavar="NAME", help="Batch the tasks belong to.")]
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
Duplicates = Annotated[
    str, typer.Option("--duplicates", metavar="HOW", help="Rows with equal ids: error, share or each.")
]
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
        "--on-error",
        metavar="HOW",
        help="collect: report bad rows and send the others. raise: send nothing if a row is bad.",
    ),
]
UploadFiles = Annotated[
    bool, typer.Option("--upload-files", help="Upload attachments that are files of this machine first.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Write the rows to a .csv, .parquet or .jsonl file, not to stdout."
    ),
]


def read_rows(path: Path, *id_columns: str | None) -> pd.DataFrame:
    """Read the frame; what serves as an id stays text, so that 5 and 05 are two ids."""
    from refonte_frames.frame_files import read_frame  # noqa: PLC0415 - loads pandas

    return read_frame(path, text_columns={column for column in id_columns if column})


def check_out(out: Path | None) -> None:
    """Refuse a file that cannot take the rows while nothing is sent yet."""
    from refonte_frames.frame_files import check_target  # noqa: PLC0415 - loads pandas

    if out is not None:
        check_target(out)


def client_of(base_url: str | None) -> Client:
    """Make a client of the environment and the option."""
    from refonte_frames.client import Client  # noqa: PLC0415 - --help answers without it

    return Client(base_url=base_url)


def pairs_of(given: Sequence[str] | None) -> dict[str, Any] | None:
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


def metadata_of(given: Sequence[str] | None) -> dict[str, Any] | str | None:
    """Read ``column``, ``key=column`` and ``rest`` options."""
    if not given:
        return None
    if "rest" in given:
        if len(given) > 1:
            raise errors.InputError("--metadata rest takes all columns that are not used otherwise; name no others.")
        return "rest"
    pairs: dict[str, Any] = {}
    for pair in given:
        key, equals, named = pair.partition("=")
        column = named if equals else key
        if not (key and column):
            raise errors.InputError(f"--metadata takes COLUMN, KEY=COLUMN or rest, such as camera=cam, not {pair!r}.")
        if pairs.setdefault(key, column) != column:
            raise errors.InputError(f"--metadata feeds {key!r} twice: from {pairs[key]!r} and from {column!r}.")
    return pairs


def params_of(given: str | None) -> dict[str, Any] | None:
    """Read the JSON object of ``--params``, or of the file it names."""
    if given is None:
        return None
    where, text = "--params", given
    if given.startswith("@"):
        where = given[1:]
        try:
            with open(os.path.expanduser(where), encoding="utf-8-sig") as file:  # noqa: PTH111, PTH123 - as it was typed
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


def unique_id_of(given: str) -> str | None:
    """Read ``--unique-id``: ``none`` goes without."""
    return None if given == "none" else given
