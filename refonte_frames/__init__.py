"""Frames in, labels out: the DataFrame bridge to the Refonte AI labeling API.

Public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from refonte_frames import errors
from refonte_frames.errors import *  # noqa: F403 - every error is public, and errors.py imports nothing

#: Where each public name lives. A module name stands for the module itself: a namespace of functions.
_HOMES = {
    "Client": "client",
    "Sandbox": "sandbox.session",
    "batches": "resources.batches",
    "from_tasks": "upload.convert",
    "plan": "upload.submit",
    "projects": "resources.projects",
    "submit": "upload.submit",
    "to_tasks": "upload.convert",
}

__all__ = sorted([*_HOMES, *errors.__all__, "errors"])  # noqa: PLE0605 - a list of the names above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'refonte_frames' has no attribute {name!r}")
    home = import_module(f"refonte_frames.{_HOMES[name]}")
    value = home if _HOMES[name].endswith(f".{name}") and not hasattr(home, name) else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
