"""Commands that bring rows to the service, and tell what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from refonte_frames import errors
from refonte_frames.cli.commands import ALL_WELL, SOME_ROWS_FAILED, app, journal_app
from refonte_frames.cli.options import (
    AsJson,
    BaseUrl,
    Batch,
    ClearOnError,
    Duplicates,
    Frame,
    GroupBy,
    Journal,
    Limit,
    Maps,
    Metadata,
    OnError,
    Out,
    Params,
    Project,
    Resubmit,
    Type,
    UniqueId,
    UploadFiles,
    check_out,
    client_of,
    metadata_of,
    pairs_of,
    params_of,
    read_rows,
    unique_id_of,
)
from refonte_frames.cli.printing import counted, give, give_receipt, has_failures, print_json

if TYPE_CHECKING:
    # What is given on the command line may be anything; the library says what is allowed.
    DuplicatesMode = Literal["error", "share", "each"]
    OnErrorMode = Literal["collect", "raise"]


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
    upload_files: UploadFiles = False,
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

    A receipt is a frame as well: its failed rows, mended, go into a file and are submitted with the same options.

    \b
    Examples:
      refonte-frames submit kittens.csv --type imageannotation \\
          --project kittens --map attachment=image_url \\
          --map geometries.box.min_height=min_px --metadata camera \\
          --params '{"geometries": {"box": {"objects_to_annotate": ["kitten"]}}}'
      refonte-frames submit texts.parquet --type categorization \\
          --map attachment=text --params @categories.json --out receipt.csv
    """
    import refonte_frames as rf  # noqa: PLC0415 - --help answers without pandas

    rows = read_rows(frame, unique_id, group_by)
    check_out(out)
    try:
        receipt = rf.submit(
            rows,
            type=type_,
            project=project,
            batch=batch,
            columns=pairs_of(maps),
            metadata=metadata_of(metadata_),
            params=params_of(params),
            unique_id=unique_id_of(unique_id),
            duplicates=cast("DuplicatesMode", duplicates),
            group_by=group_by,
            journal=journal,
            limit=limit,
            on_error=cast("OnErrorMode", on_error),
            resubmit=tuple(resubmit or ()),
            clear_unique_id_on_error=clear_unique_id_on_error,
            upload_files=upload_files,
            client=client_of(base_url),
        )
    except (errors.RefonteError, errors.SubmitInterrupted) as error:
        if error.receipt is not None:
            give_receipt(error.receipt, out, as_json=as_json)
        raise
    give_receipt(receipt, out, as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if has_failures(receipt) else ALL_WELL)


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
    upload_files: UploadFiles = False,
    lookup: Annotated[bool, typer.Option("--lookup", help="Also ask the service which rows it has.")] = False,
    out: Out = None,
    as_json: AsJson = False,
    base_url: BaseUrl = None,
) -> None:
    """Tell what submit would do; change nothing.

    Takes the same options. The rows come back with action (create, settle, have, wait, unknown, invalid; with --lookup
    also existing, different and ended), error_message and the size of the body in bytes. Exit code 1 if a row is
    invalid. The key is needed: project and batch are looked at.

    \b
    Example:
      refonte-frames plan kittens.csv --type imageannotation \\
          --map attachment=image_url --params @boxes.json
    """
    import refonte_frames as rf  # noqa: PLC0415 - --help answers without pandas

    check_out(out)
    planned = rf.plan(
        read_rows(frame, unique_id, group_by),
        type=type_,
        project=project,
        batch=batch,
        columns=pairs_of(maps),
        metadata=metadata_of(metadata_),
        params=params_of(params),
        unique_id=unique_id_of(unique_id),
        duplicates=cast("DuplicatesMode", duplicates),
        group_by=group_by,
        journal=journal,
        limit=limit,
        on_error=cast("OnErrorMode", on_error),
        resubmit=tuple(resubmit or ()),
        clear_unique_id_on_error=clear_unique_id_on_error,
        upload_files=upload_files,
        lookup=lookup,
        client=client_of(base_url),
    )
    is_invalid = planned["action"].eq("invalid")
    summary = {"rows": len(planned), "actions": counted(planned["action"]), "bytes": int(planned["bytes"].sum())}
    give(planned, out, summary, ["action", "unique_id", "error_message"], as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if is_invalid.any() else ALL_WELL)


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
        print_json(state.as_json())
    else:
        typer.echo(str(state))
