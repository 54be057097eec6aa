"""Commands that receive callbacks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from refonte_frames.cli.commands import callbacks_app
from refonte_frames.cli.options import AsJson
from refonte_frames.cli.printing import print_json, print_rows_or_csv, records_of
from refonte_frames.progress import say


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

    The auth key of your dashboard is taken from REFONTE_CALLBACK_AUTH_KEY, and one that it replaces from
    REFONTE_CALLBACK_AUTH_KEY_OLD. What comes is kept in PATH until the next export into that folder takes it over. When
    it is ready it prints one line of JSON on stdout: url and pid. It speaks plain HTTP: on the open internet put a
    reverse proxy with TLS before it.

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
    """Show what was received, the newest first.

    Counts go to stderr. In a terminal the newest deliveries are shown, into a pipe go all that are kept, as CSV; --json
    has both. Repeats are counted at the first.

    \b
    Examples:
      refonte-frames callbacks show kittens
      refonte-frames callbacks show kittens --json
    """
    from refonte_frames.callbacks import receiver  # noqa: PLC0415 - --help answers without pandas

    rows, counts = receiver.received(path), receiver.counts(path)
    if as_json:
        print_json(counts | {"deliveries": records_of(rows)})
        return
    told = "; ".join(f"{n:,} {what}" for what, n in counts["outcomes"].items()) or "nothing"
    refused = "; ".join(f"{n:,} {why}" for why, n in counts["refused"].items()) or "nothing"
    say(f"Received: {told} ({counts['repeats']:,} repeats besides). Refused: {refused}.")
    newest = rows.sort_values("last_at", ascending=False, kind="stable")
    print_rows_or_csv(newest, ["kind", "name", "status", "last_at", "times", "outcome"])
