"""Takes columns out of frames for the statistics: checked for being there, in plain numpy and pandas types. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.frames import as_pandas

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

__all__ = ["Keys", "checked_conf", "decided", "key_list", "moments", "need_scipy", "numbers", "seconds_of", "take"]

#: The name of a column, or of several; an empty list is one group of everything.
Keys = str | Sequence[str]

_NANOS: Final = 1e9


def take(frame: Any, *names: str, of: str) -> pd.DataFrame:
    """Give the named columns of a frame, with a fresh index.

    Raises
    ------
    ColumnError
        One is not there.
    """
    rows = as_pandas(frame)
    for name in names:
        if name not in rows.columns:
            close = difflib.get_close_matches(name, [str(column) for column in rows.columns], 1)
            hint = f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(map(repr, rows.columns))}."
            raise ColumnError(f"{of} need a column {name!r}, and the frame has none.{hint}")
    return rows[list(dict.fromkeys(names))].reset_index(drop=True)


def key_list(by: Keys) -> list[str]:
    """Give the names of grouping columns as a list."""
    return [by] if isinstance(by, str) else list(by)


def checked_conf(conf: float) -> float:
    """Give the confidence level back, if it is one.

    Raises
    ------
    InputError
        It is not between 0 and 1.
    """
    if isinstance(conf, bool) or not isinstance(conf, int | float) or not 0 < conf < 1:
        raise InputError(f"conf={conf!r} is no confidence level: give one between 0 and 1, such as 0.95.")
    return float(conf)


def decided(column: pd.Series[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Split a column of true, false and null into "is decided" and "is true".

    Raises
    ------
    InputError
        It holds something else.
    """
    known = column.notna().to_numpy(dtype=bool)
    values = column[known]
    if values.dtype == object and not values.isin([True, False]).all():
        raise InputError(f"The column {column.name!r} holds other values than true, false and null.")
    try:
        truths = values.astype(bool).to_numpy()
    except (TypeError, ValueError):
        raise InputError(f"The column {column.name!r} holds other values than true, false and null.") from None
    is_true = np.zeros(len(column), bool)
    is_true[known] = truths
    return known, is_true


def numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Give a column as floats, with NaN for null.

    Raises
    ------
    InputError
        It holds no numbers.
    """
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise InputError(f"The column {column.name!r} holds no numbers.") from None


def moments(column: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    """Give a column of times in UTC, with NaT for null.

    Raises
    ------
    InputError
        It holds no times.
    """
    try:
        times = pd.to_datetime(column, utc=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"The column {column.name!r} holds no times: {error}.") from None
    return times.astype("datetime64[ns, UTC]")


def seconds_of(times: pd.Series[pd.Timestamp]) -> NDArray[np.float64]:
    """Give times as seconds since 1970, with NaN for NaT."""
    return np.where(times.isna(), np.nan, times.astype("int64").to_numpy() / _NANOS)


def need_scipy(module: str) -> ModuleType:
    """Import a module of the `[quality]` extra.

    Raises
    ------
    ImportError
        It is not installed.
    """
    from importlib import import_module  # noqa: PLC0415 - with its only use

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = (error.name or module).partition(".")[0]
        raise ImportError(
            f"This needs {name}, which is not installed; run pip install 'refonte-frames[quality]'.", name=name
        ) from error
