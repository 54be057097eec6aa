"""Ctrl-C while work is under way: noted first, so that what was begun can be settled. Signals are touched here only."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["noted_interrupts"]


@contextlib.contextmanager
def noted_interrupts(note: Callable[[], None]) -> Iterator[None]:
    """Have the first Ctrl-C noted instead of raised; the second is raised as ever.

    An exception that comes between taking an outcome from the queue and crossing it off would leave the run waiting
    for that outcome for ever. Only the main thread receives Ctrl-C, and only it may say what becomes of it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def handle(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        note()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
