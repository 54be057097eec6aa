"""Commands that need no account: the demo, and the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refonte_frames import errors
from refonte_frames.cli.commands import app
from refonte_frames.progress import say
from refonte_frames.user_paths import at_home


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
    lets simulated labelers work, exports tasks, audits, annotations and attempts to Parquet, and shows the first rows
    and the labelers' scorecard. Takes a few seconds; a second run replaces what the first one left in the folder.

    \b
    Examples:
      refonte-frames demo
      refonte-frames demo --out /tmp/demo --keep
    """
    from refonte_frames import demo as story  # noqa: PLC0415 - --help answers without pandas

    story.run(at_home(out), keep=keep)


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
