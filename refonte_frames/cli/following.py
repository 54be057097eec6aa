"""Commands that look at work under way."""

from __future__ import annotations

from typing import Annotated

import typer

from refonte_frames import errors
from refonte_frames.cli.commands import ALL_WELL, SOME_ROWS_FAILED, app, complain
from refonte_frames.cli.options import AsJson, BaseUrl, client_of
from refonte_frames.cli.printing import give_status


@app.command()
def status(
    batches: Annotated[list[str], typer.Argument(metavar="BATCH", help="Names of batches.", show_default=False)],
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

    give_status(resource.status(batches, client=client_of(base_url)), as_json=as_json)


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
      refonte-frames wait kittens_2020-07 --timeout 86400 && \\
          refonte-frames export tasks kittens
    """
    from refonte_frames.export import wait as waiting  # noqa: PLC0415 - --help answers without pandas

    try:
        ended = waiting.wait(batch, poll_secs=poll_secs, timeout_secs=timeout_secs, client=client_of(base_url))
    except errors.WaitTimeout as error:
        give_status(error.status, as_json=as_json)
        complain(error.message)
        raise typer.Exit(SOME_ROWS_FAILED) from None
    give_status(ended, as_json=as_json)
    raise typer.Exit(SOME_ROWS_FAILED if ended["tasks_error"].any() else ALL_WELL)
