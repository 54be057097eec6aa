"""The command line: options in, one call of the library each, an exit code out. It decides nothing by itself."""

from __future__ import annotations

from refonte_frames.cli import exporting, following, judging, receiving, submitting, trying
from refonte_frames.cli.commands import app, prepare_streams

__all__ = ["main"]

#: Modules whose import brings their commands in.
_COMMANDS = (trying, submitting, following, exporting, receiving, judging)


def main() -> None:
    """Run the command line."""
    prepare_streams()
    app()
