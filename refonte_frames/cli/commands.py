"""The tree of commands, and how the library's errors end a command: one sentence on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from importlib import metadata
from io import TextIOWrapper
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import typer.core

from refonte_frames import errors
from refonte_frames.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ALL_WELL",
    "INTERRUPTED",
    "SERVICE",
    "SOME_ROWS_FAILED",
    "USAGE",
    "app",
    "callbacks_app",
    "complain",
    "drop_unwritable_remarks",
    "export_app",
    "journal_app",
    "prepare_streams",
    "quality_app",
]

#: Exit codes: what a script has to tell apart.
ALL_WELL: Final = 0
SOME_ROWS_FAILED: Final = 1
USAGE: Final = 2
SERVICE: Final = 3
INTERRUPTED: Final = 130
#: As for any program under ``| head``: nobody reads on. Not 1, which says that rows failed.
NOT_READ: Final = 141

_HELP: Final = """
Frames in, labels out: submit tables to the Refonte AI labeling API and export what comes back.

The key is taken from REFONTE_API_KEY, never from an option. REFONTE_PROGRESS=0 hides the bars. Progress and remarks go
to stderr, data to stdout. Exit codes: 0 all rows well, 1 some rows failed, 2 wrong usage or input, 3 refused by the
service or not reached, 130 interrupted.

\b
Examples:
  refonte-frames demo
  refonte-frames sandbox --db sandbox.db --port 8377
  refonte-frames submit kittens.csv --type imageannotation \\
      --map attachment=image_url --params @boxes.json
"""


_ORDER: Final = (
    "demo",
    "sandbox",
    "submit",
    "plan",
    "status",
    "wait",
    "export",
    "download",
    "journal",
    "callbacks",
    "quality",
)


class _Commands(typer.core.TyperGroup):
    """The commands, with the package's errors turned into one sentence on stderr and an exit code."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands in the order in which people come to need them."""
        return sorted(super().list_commands(ctx), key=_ORDER.index)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options; --help and --version are answered here."""
        with _told_in_a_sentence():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _told_in_a_sentence():
            return super().invoke(ctx)


@contextmanager
def _told_in_a_sentence() -> Iterator[None]:
    """Turn what ends a command into a sentence and an exit code."""
    try:
        yield
    except errors.SubmitInterrupted as error:
        complain(error.message)
        raise typer.Exit(INTERRUPTED) from None
    except KeyboardInterrupt:
        complain("Interrupted.")
        raise typer.Exit(INTERRUPTED) from None
    except errors.RefonteError as error:
        complain(error.message)
        raise typer.Exit(_code_of(error)) from None
    except ImportError as error:  # of an extra: it says which
        complain(str(error))
        raise typer.Exit(USAGE) from None
    except OSError as error:
        # What is left in the buffer would raise once more when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.EPIPE:
            raise typer.Exit(NOT_READ) from None
        # A named one may have been read as well.
        what = f"{error.filename} cannot be used" if error.filename else "The output cannot be written"
        complain(f"{what}: {error.strerror or error}.")
        raise typer.Exit(USAGE) from None


app = typer.Typer(
    cls=_Commands,
    help=_HELP,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _group(name: str, sentence: str, example: str) -> typer.Typer:
    """Make a group of commands; its help shows the one that is asked for most."""
    text = f"{sentence}\n\n\b\nExample:\n  refonte-frames {name} {example}"
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=text)
    app.add_typer(group, name=name)
    return group


export_app = _group("export", "Export to Parquet files.", "tasks kittens --project kittens")
journal_app = _group("journal", "Look into the journal of a submission.", "show kittens.journal")
callbacks_app = _group("callbacks", "Receive callbacks of the service.", "serve kittens --port 8378")
quality_app = _group("quality", "Judge labelers and labels.", "report attempts --out quality.html")


def prepare_streams() -> None:
    """Make sure that whatever is written can be."""
    for stream in (sys.stdout, sys.stderr):
        # Closed streams are None. Data is UTF-8 whatever the locale, and a letter nobody can write stops nothing.
        if isinstance(stream, TextIOWrapper):
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def drop_unwritable_remarks() -> None:
    """Let go of remarks that stderr does not take: left in its buffer, they would change the exit code at the end."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


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


def complain(sentence: str) -> None:
    """Say on stderr what is wrong."""
    say(f"refonte-frames: {sentence}")


def _code_of(error: errors.RefonteError) -> int:
    """Tell a mistake of the caller's, which another call mends, from a service that refused or cannot be reached."""
    local = (errors.InputError, errors.JournalError, errors.ExportError)
    return USAGE if isinstance(error, local) else SERVICE
