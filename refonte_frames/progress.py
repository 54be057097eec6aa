"""Bars and one-line summaries on stderr: the only module that imports tqdm, and it decides nothing but how to draw."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bar", "bar", "say"]

#: Set to 0 to have no bars anywhere.
SWITCH: Final = "REFONTE_PROGRESS"

#: tqdm's own layout turns the pace round when it is slow ("3.1s/ tasks"); units a second read the same at any pace.
LAYOUT: Final = "{l_bar}{bar}| {n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_noinv_fmt}{postfix}]"


class Bar(Protocol):
    """What a long step sees of its bar. Both methods may be called from any thread."""

    def update(self, n: int = 1) -> None:
        """Count `n` more units as done."""

    def set_note(self, text: str) -> None:
        """Show `text` behind the bar, in place of the note before; it appears with the next update."""


@contextlib.contextmanager
def bar(total: int | None, desc: str, unit: str, *, progress: bool = True) -> Iterator[Bar]:
    """Show how far a step is and how long it will take, where there is somebody to see it.

    The bar is a widget in a notebook (text where ipywidgets is not installed), text on stderr in a terminal, and
    nothing at all when stderr is a file, a pipe or a terminal that cannot go back in a line (``TERM=dumb``), when
    `progress` is False, or when ``REFONTE_PROGRESS=0`` is set.

    Parameters
    ----------
    total : int or None
        Units in all; None when nobody knows, then only the count and the pace are shown.
    desc : str
        What is going on, in a word or two.
    unit : str
        What is counted, in the plural, such as ``"tasks"``.
    progress : bool
        False draws nothing.

    Yields
    ------
    Bar
        To be told of progress. It is closed, and left on the screen as it stands, when the block ends in any way.

    Examples
    --------
    >>> with bar(2, "Submitting", "tasks") as shown:
    ...     shown.update()
    ...     shown.set_note("1 failed")
    """
    draw = _painter() if progress and total != 0 and os.environ.get(SWITCH) != "0" else None
    if draw is None:
        yield _Silent()
        return
    layout = None if total is None else LAYOUT
    shown = _Shown(draw(total=total, desc=desc, unit=f" {unit}", bar_format=layout, miniters=1))
    try:
        yield shown
    finally:
        shown.close()


def say(line: str) -> None:
    """Print one line to stderr, above the bars that are running.

    Lines are printed whether or not there are bars: they are what remains in a log.
    """
    tqdm = sys.modules.get("tqdm")
    # A remark that nobody can be told, as on a full disk, must not end what it is about.
    with contextlib.suppress(OSError):
        if tqdm is None:
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the door to stderr
        else:
            tqdm.tqdm.write(line, file=sys.stderr)


class _Silent:
    """A bar nobody sees."""

    def update(self, n: int = 1) -> None:
        pass

    def set_note(self, text: str) -> None:
        pass


class _Shown:
    """A bar of tqdm's; its counter is no atomic step, hence the lock."""

    def __init__(self, drawn: Any) -> None:
        self._drawn = drawn
        self._lock = threading.Lock()

    def update(self, n: int = 1) -> None:
        with self._lock:
            self._drawn.update(n)

    def set_note(self, text: str) -> None:
        with self._lock:
            self._drawn.set_postfix_str(text, refresh=False)

    def close(self) -> None:
        with self._lock:
            self._drawn.close()


def _painter() -> Any:
    """Choose the kind of bar, or None when nobody is looking."""
    if _is_notebook():
        from tqdm import notebook, std  # noqa: PLC0415 - tqdm is slow to import and often not needed

        # tqdm.auto would warn here when ipywidgets is missing; a plain bar says it better.
        kind = std.tqdm if notebook.IProgress is None else notebook.tqdm
        return functools.partial(_watchless(kind), dynamic_ncols=True)
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from tqdm import std  # noqa: PLC0415

        return functools.partial(_watchless(std.tqdm), **_size())
    return None


def _size() -> dict[str, Any]:
    """Follow the window; terminals that do not know their size (containers, CI) count as 80 by 24."""
    with contextlib.suppress(OSError, ValueError):
        if os.get_terminal_size(sys.stderr.fileno()).columns == 0:
            return {"ncols": 80, "nrows": 24}
    return {"dynamic_ncols": True}


def _watchless(kind: type) -> Any:
    """Take a kind of bar without tqdm's watching thread, which outlives the bar and stays in forked children."""
    return type("tqdm", (kind,), {"monitor_interval": 0})


def _is_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None
