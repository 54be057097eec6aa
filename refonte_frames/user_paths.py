"""Paths as people write them, with a ``~`` for the user's own folder. Touches no file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["at_home"]


def at_home(path: str | os.PathLike[str]) -> Path:
    """Put the user's own folder in place of a ``~`` at the beginning, as shells do; one of nobody stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises for ~nobody
