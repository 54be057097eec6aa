"""A frame as lines of text that fit a terminal. Pure; it chooses widths and shortens, and never sorts or drops rows."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["text_table"]

#: A column is not made narrower than this to fit; rather the last columns are left out.
_NARROWEST: Final = 8
_GAP: Final = "  "


def text_table(frame: pd.DataFrame, *, width: int = 80) -> str:
    """Lay a frame out in columns: numbers to the right, nulls as nothing, long texts shortened to fit.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows to show, all of them; the index is not shown.
    width : int
        Columns of the terminal.

    Returns
    -------
    str
        A header line and one line per row, without a final newline. Columns for which there is no room are left
        out from the right, and a last line names them.

    Examples
    --------
    >>> print(text_table(pd.DataFrame({"text": ["a very long sentence indeed", "a car"], "n": [7, 12]}), width=20))
    text               n
    a very long sen…   7
    a car             12
    """
    names = [str(name) for name in frame.columns]
    cells = [[_shown(value) for value in frame[name]] for name in frame.columns]
    is_number = [pd.api.types.is_numeric_dtype(frame[name].dtype) for name in frame.columns]
    wanted = [max([_cells(name), *map(_cells, column)]) for name, column in zip(names, cells, strict=True)]
    widths = _fit(wanted, [_cells(name) for name in names], width)
    shown = len(widths)
    rows = zip(*([name, *column] for name, column in zip(names, cells, strict=True)), strict=True)
    lines = [_line(row, widths, is_number) for row in rows]
    if shown < len(names):
        lines.append(f"(no room for: {', '.join(names[shown:])})")
    return "\n".join(lines)


def _fit(wanted: Sequence[int], names: Sequence[int], width: int) -> list[int]:
    """Shorten the widest columns until the line fits; leave out the last ones where that is not enough.

    Names of columns are cut only in a table of a single column: half a name says less than half a text.
    """
    floors = [min(whole, max(name, _NARROWEST)) for whole, name in zip(wanted, names, strict=True)]
    shown = len(wanted)
    while shown > 1 and _line_width(floors[:shown]) > width:
        shown -= 1
    widths = list(wanted[:shown])
    while (excess := _line_width(widths) - width) > 0:
        slack = [whole - floor for whole, floor in zip(widths, floors, strict=False)]
        if max(slack) == 0:
            return [width]
        widest = max(range(shown), key=lambda at: (slack[at] > 0, widths[at]))
        widths[widest] -= min(excess, max(1, min(slack[widest], widths[widest] - _second(widths))))
    return widths


def _second(widths: Sequence[int]) -> int:
    """Width of the second widest column."""
    return sorted(widths)[-2] if len(widths) > 1 else 0


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _line(row: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    padded = []
    for value, width, number in zip(row, widths, is_number, strict=False):
        text = _shortened(value, width)
        blank = " " * (width - _cells(text))
        padded.append(blank + text if number else text + blank)
    return _GAP.join(padded).rstrip()


def _shortened(text: str, width: int) -> str:
    """Cut a text to so many terminal cells, with a sign that something is gone."""
    if _cells(text) <= width:
        return text
    kept = ""
    for letter in text:
        if _cells(kept + letter) > width - 1:
            break
        kept += letter
    return kept + "…"


def _cells(text: str) -> int:
    """Count the cells of a terminal that a text fills: East Asian letters take two, marks on a letter none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _shown(value: Any) -> str:
    """Write a cell in one line; control characters, which could steer the terminal, become blanks."""
    if isinstance(value, float) and not pd.isna(value):
        text = f"{value:.6g}"
    elif isinstance(value, pd.Timestamp):
        text = value.strftime("%Y-%m-%d %H:%M:%S")
    elif pd.api.types.is_scalar(value) and pd.isna(value):
        text = ""
    else:
        text = str(value.tolist() if hasattr(value, "tolist") else value)
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cf") else letter for letter in text)
