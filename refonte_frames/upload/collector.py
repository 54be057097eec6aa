"""Python's cyclic garbage collector, held back while rows become tasks: the only place that touches it."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["uncollected"]


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Make many small objects that form no cycles without having them searched for cycles again and again.

    The search takes a third of the time of planning a frame. What other threads leave meanwhile is collected after.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
