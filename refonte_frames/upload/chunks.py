"""Rows that come piece by piece, cut into chunks for one step of a submission each; a group is never cut. Pure."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from refonte_frames.errors import ColumnError
from refonte_frames.upload.payloads import key_codes

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

__all__ = ["chunks_of", "counts_rows", "joined"]


def chunks_of(
    pieces: Iterable[pd.DataFrame], chunk_rows: int, *, group_by: Hashable | None = None
) -> Iterator[pd.DataFrame]:
    """Cut pieces of any size into frames of `chunk_rows` rows, in their order.

    Pieces of the same dtypes are joined; where the dtypes change a chunk ends, so that joining changes no value. With
    `group_by` a chunk ends where the key changes, and is as long as the group where that is longer. Pieces without
    rows give one chunk without rows if nothing else comes.

    Raises
    ------
    ColumnError
        When the columns of a piece are others; the rows before it have been handed out then.

    Examples
    --------
    >>> pieces = (pd.DataFrame({"n": [at, at]}) for at in range(3))
    >>> [chunk["n"].tolist() for chunk in chunks_of(pieces, 4)]
    [[0, 0, 1, 1], [2, 2]]
    """
    held = _Held(group_by)
    rows, any_given = 0, False
    for piece in pieces:
        if held.columns is not None and Counter(piece.columns) != Counter(held.columns):
            yield from held.taken()
            raise ColumnError(_say_other_columns(piece, held.columns, rows))
        rows += len(piece)
        ready = held.added(piece, chunk_rows)
        any_given = any_given or bool(ready)
        yield from ready
    if held.rows or not any_given:
        yield from held.taken()


class _Held:
    """Rows that were read and not yet handed out."""

    def __init__(self, group_by: Hashable | None) -> None:
        self._group_by = group_by
        self._pieces: list[pd.DataFrame] = []
        self.columns: list[Hashable] | None = None
        self.rows = 0

    def added(self, piece: pd.DataFrame, chunk_rows: int) -> list[pd.DataFrame]:
        """Take a piece in, and return the chunks that are complete now."""
        if self.columns is None:
            self.columns = list(piece.columns)
        if list(piece.columns) != self.columns:
            piece = _in_order(piece, self.columns)
        ready: list[pd.DataFrame] = []
        if self._pieces and piece.dtypes.tolist() != self._pieces[-1].dtypes.tolist():
            whole = joined(self._pieces)
            at = _last_change(whole, self._group_by)
            ready = [whole.iloc[:at]] if at else []
            self._keep([whole.iloc[at:]])
        self._keep([*self._pieces, piece])
        if self.rows >= chunk_rows:
            whole = joined(self._pieces)
            cuts = _cuts(whole, chunk_rows, self._group_by)
            ready += [whole.iloc[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]
            # A copy, so that a large piece is not kept for the sake of its last rows.
            self._keep([whole.iloc[cuts[-1] :].copy()] if cuts else [whole])
        return ready

    def taken(self) -> list[pd.DataFrame]:
        """Hand out all that is held."""
        pieces, self._pieces, self.rows = self._pieces, [], 0
        return [joined(pieces)] if pieces else []

    def _keep(self, pieces: Sequence[pd.DataFrame]) -> None:
        self._pieces = [piece for piece in pieces if len(piece)] or list(pieces[-1:])
        self.rows = sum(map(len, self._pieces))


def joined(pieces: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join pieces of the same columns; a column whose dtypes differ is joined as objects, which keeps each value.

    Pieces whose indexes only count give a frame whose index only counts.
    """
    if len(pieces) == 1:
        return pieces[0]
    # By their places, since a name may occur twice.
    kinds = [piece.dtypes.tolist() for piece in pieces]
    mixed = [at for at, kind in enumerate(kinds[0]) if any(other[at] != kind for other in kinds[1:])]
    placed = [piece.set_axis(range(len(kinds[0])), axis=1) for piece in pieces]
    whole = pd.concat([piece.astype(dict.fromkeys(mixed, object)) if mixed else piece for piece in placed])
    whole.columns = pieces[0].columns
    if all(map(counts_rows, (piece.index for piece in pieces))) and not counts_rows(whole.index):
        return whole.reset_index(drop=True)
    return whole


def counts_rows(index: pd.Index[Any]) -> bool:
    """Whether an index says no more than the order of the rows."""
    return isinstance(index, pd.RangeIndex) and index.name is None


def _in_order(piece: pd.DataFrame, columns: Sequence[Hashable]) -> pd.DataFrame:
    """Put the columns of a piece into this order; those of one name stay in theirs."""
    places: dict[Hashable, deque[int]] = {}
    for at, name in enumerate(piece.columns):
        places.setdefault(name, deque()).append(at)
    return piece.iloc[:, [places[name].popleft() for name in columns]]


def _cuts(frame: pd.DataFrame, chunk_rows: int, group_by: Hashable | None) -> list[int]:
    """List where chunks end; rows behind the last end are kept, since more of them may come."""
    if group_by is None or not _has_once(frame, group_by):
        return list(range(chunk_rows, len(frame) + 1, chunk_rows))
    changes = _changes(frame, group_by)
    cuts: list[int] = []
    while True:
        start = cuts[-1] if cuts else 0
        later = changes[changes > start]
        fitting = later[later <= start + chunk_rows]
        if not later.size or len(frame) - start < chunk_rows:
            return cuts
        cuts.append(int(fitting[-1] if fitting.size else later[0]))


def _last_change(frame: pd.DataFrame, group_by: Hashable | None) -> int:
    """Return where the group begins that the next piece may continue; without groups, the end of the frame."""
    if group_by is None or not _has_once(frame, group_by):
        return len(frame)
    changes = _changes(frame, group_by)
    return int(changes[-1]) if changes.size else 0


def _has_once(frame: pd.DataFrame, name: Hashable) -> bool:
    return sum(column == name for column in frame.columns) == 1


def _changes(frame: pd.DataFrame, group_by: Hashable) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """List the rows at which another group begins; each row without a key stands for itself."""
    codes = key_codes(frame[group_by])
    return np.flatnonzero((codes[1:] != codes[:-1]) | (codes[1:] < 0)) + 1


def _say_other_columns(piece: pd.DataFrame, columns: Sequence[Hashable], rows: int) -> str:
    wanted: Counter[Hashable] = Counter(columns)
    found: Counter[Hashable] = Counter(piece.columns)
    lacks, has = list((wanted - found).elements()), list((found - wanted).elements())
    what = f"lacks {', '.join(map(repr, lacks[:5]))}" if lacks else f"also has {', '.join(map(repr, has[:5]))}"
    return (
        f"The columns of the input change at row {rows:,} (counted from 0): the piece that begins there {what}. All "
        "pieces need the same columns; the rows before it were worked off, and running the same call again goes on."
    )
