"""Two things that the operating system does in one step and Python has no portable word for: exchange and lock."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["exchange", "hold"]

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2  # linux/fs.h
_RENAME_SWAP: Final = 2  # sys/stdio.h of macOS


def exchange(new: Path, here: Path) -> None:
    """Put folder `new` at `here`, and what was there, if anything, at `new`.

    On Linux and macOS a reader finds either the old folder or the new one at any instant. Where the file system
    cannot exchange, there is an instant without either.
    """
    if not here.exists():
        new.rename(here)
    elif not _exchanged(new, here):
        aside = new.with_name(f"{new.name}-old")
        here.rename(aside)
        new.rename(here)
        aside.rename(new)


def _exchanged(new: Path, here: Path) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        first, second = os.fsencode(new), os.fsencode(here)
        if sys.platform == "darwin":
            return bool(libc.renamex_np(first, second, _RENAME_SWAP) == 0)
        return bool(libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) == 0)
    return False


def hold(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed or the process ends, however it ends; False when somebody else has it."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - exists on Windows only

        with contextlib.suppress(OSError):
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            return True
        return False
    import fcntl  # noqa: PLC0415 - does not exist on Windows

    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
