"""Which names a caller means, and results put beside them in the caller's own rows. Frames only, no requests."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import pandas as pd
import pyarrow as pa

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.frames import as_pandas
from refonte_frames.resources.asking import checked_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from refonte_frames.client import Client

__all__ = ["Named", "by_name"]

T = TypeVar("T")
#: Kinds whose column may also be called so, as the service does, and as the parameter of `create` is.
_CALLED_NAME: Final = ("batch", "project")


@dataclass(frozen=True, slots=True)
class Named:
    """Names as a caller gave them, and the frame they came in.

    Attributes
    ----------
    names : tuple of str
        One per row, in order; names may repeat.
    frame : pandas.DataFrame
        The caller's rows; never changed.
    """

    names: tuple[str, ...]
    frame: pd.DataFrame

    @classmethod
    def of(cls, given: Any, *, kind: str) -> Self:
        """Read a name, an iterable or Series of names, or a frame with a column called like the `kind`, or ``name``.

        Raises
        ------
        ColumnError
            The frame has no such column, or several.
        InputError
            A name is no text, blank or missing.
        """
        frame = _frame(given, kind)
        columns = frame.columns.tolist()
        column = "name" if kind in _CALLED_NAME and kind not in columns and "name" in columns else kind
        count = columns.count(column)
        if count > 1:
            raise ColumnError(f"The frame has {count} columns {column!r}; rename all but one of them.")
        if not count:
            raise ColumnError(
                f"The frame has no column {kind!r}; it has {', '.join(map(repr, frame.columns)) or 'none'}. "
                f"Rename the column with the names: frame.rename(columns={{'…': {kind!r}}})."
            )
        for at, name in enumerate(frame[column]):
            if not isinstance(name, str):
                raise InputError(f"Row {at} names no {kind}: {name!r}.")
            checked_name(name, kind)
        return cls(tuple(frame[column]), frame)

    @property
    def distinct(self) -> list[str]:
        """Each name once, in the order of its first row."""
        return list(dict.fromkeys(self.names))

    def column(self, name: str) -> list[Any] | None:
        """Give the cells of a column of the caller's frame, or None without such a column.

        Raises
        ------
        ColumnError
            There are several.
        """
        count = self.frame.columns.tolist().count(name)
        if count > 1:
            raise ColumnError(f"The frame has {count} columns {name!r}; rename all but one of them.")
        return list(self.frame[name]) if count else None

    def beside(self, results: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
        """Put the results of each name on all of its rows, behind the caller's own columns."""
        kept = self.frame.drop(columns=list(columns), errors="ignore")
        cells = {
            column: pd.Series([results[name].get(column) for name in self.names], index=kept.index, dtype=object)
            for column in columns
        }
        return kept.assign(**cells)


def by_name(names: Sequence[str], one: Callable[[str], T], client: Client) -> dict[str, T]:
    """Do something for each name, as many at a time as the client allows; the first error ends it and is raised."""
    if len(names) < 2:
        return {name: one(name) for name in names}
    with ThreadPoolExecutor(min(len(names), client.max_workers)) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def _frame(given: Any, kind: str) -> pd.DataFrame:
    if isinstance(given, str):
        return pd.DataFrame({kind: [given]})
    if isinstance(given, pd.DataFrame):
        return given
    if isinstance(given, pd.Series):
        return given.rename(kind).to_frame()
    if hasattr(given, "__arrow_c_stream__") and hasattr(given, "columns"):  # a Series of polars has no columns
        return as_pandas(given)
    if isinstance(given, pa.Array | pa.ChunkedArray):  # whose own values wrap the texts
        return pd.DataFrame({kind: given.to_pylist()}, dtype=object)
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise InputError(
            f"A {type(given).__name__} names no {kind}: give a text, a list or Series of texts, or a frame."
        )
    return pd.DataFrame({kind: list(given)})
