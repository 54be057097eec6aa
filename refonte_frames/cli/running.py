"""All commands, brought together and run."""

from __future__ import annotations

from refonte_frames.cli import downloading, exporting, following, judging, receiving, submitting, trying
from refonte_frames.cli.commands import app, drop_unwritable_remarks, prepare_streams

__all__ = ["app", "run"]

#: Modules whose import brings their commands in.
_COMMANDS = (trying, submitting, following, exporting, downloading, receiving, judging)


def run() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    prepare_streams()
    try:
        app()
    finally:
        drop_unwritable_remarks()
