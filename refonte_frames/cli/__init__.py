"""The command line: options in, one call of the library each, an exit code out. It decides nothing by itself."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from refonte_frames.cli.running import run  # noqa: PLC0415 - Ctrl-C may come while it is imported

        run()
    except KeyboardInterrupt:
        sys.exit(130)
