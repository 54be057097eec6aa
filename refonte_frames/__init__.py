"""Frames in, labels out: the DataFrame bridge to the Refonte AI labeling API.

Public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "Client": "client",
    "plan": "upload.submit",
    "submit": "upload.submit",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - a list of the names above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'refonte_frames' has no attribute {name!r}")
    value = getattr(import_module(f"refonte_frames.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
