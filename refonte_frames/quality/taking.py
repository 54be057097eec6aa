"""Takes columns out of frames for the statistics: checked for being there, in plain numpy and pandas types. Pure."""

from __future__ import annotations

import contextlib
import difflib
import re
import warnings
from collections.abc import Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_bool_dtype, is_numeric_dtype, is_object_dtype, is_string_dtype

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.frames import as_pandas

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "Keys",
    "begun",
    "checked_conf",
    "decided",
    "key_list",
    "midnights",
    "moment",
    "moments",
    "need_extra",
    "need_whole",
    "numbers",
    "refuse_half_characters",
    "refuse_repeated",
    "seconds_of",
    "take",
]

#: The name of a column, or of several; an empty list is one group of everything.
Keys = str | Sequence[str]

#: Of quality tasks and the attempts at them.
KINDS: Final = ("training", "evaluation", "unknown")
_LISTS: Final = (list, dict, set, np.ndarray)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NANOS: Final = 1e9
#: What every count and rate is called; a group of such a name would be overwritten.
_TAKEN: Final = ("n", "k", "rate", "ci_low", "ci_high", "shrunk", "shrunk_low", "shrunk_high", "enough", "n_missing")


def take(frame: Any, *names: str, of: str, lists_in: Sequence[str] = ()) -> pd.DataFrame:
    """Give the named columns of a frame, with a fresh index.

    Raises
    ------
    ColumnError
        One is not there, or it is there twice.
    InputError
        One holds half of a character, or lists where they are not looked for.
    """
    rows = as_pandas(frame)
    for name in names:
        if name is None or isinstance(name, _LISTS):
            raise InputError(f"{name!r} is no name of a column: give one name.")
        refuse_repeated(rows, name)
        if name not in rows.columns:
            close = difflib.get_close_matches(name, [str(column) for column in rows.columns], 1)
            hint = f" Did you mean {close[0]!r}?" if close else f" It has: {', '.join(map(repr, rows.columns))}."
            raise ColumnError(f"{of} need a column {name!r}, and the frame has none.{hint}")
    taken = rows[list(dict.fromkeys(names))].reset_index(drop=True)
    for column in taken:
        refuse_half_characters(taken[column])
        if column not in lists_in:
            _refuse_lists(taken[column])
    return taken.astype({name: _plain(dtype) for name, dtype in taken.dtypes.items()})


def refuse_repeated(rows: pd.DataFrame, name: str) -> None:
    """Refuse a column that is there twice: nobody could say which one counts.

    Raises
    ------
    ColumnError
        It is.
    """
    if (count := rows.columns.tolist().count(name)) > 1:
        raise ColumnError(f"The frame has {count} columns {name!r}; rename all but one of them.")


def refuse_half_characters(column: pd.Series[Any]) -> None:
    """Refuse lone surrogates: pandas cannot group by them, and no file can hold them.

    Raises
    ------
    InputError
        There is one.
    """
    for at, value in enumerate(column if is_object_dtype(column.dtype) else ()):
        if isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
            raise InputError(f"Row {at} of the column {column.name!r} holds half of a character: {value!r}.")


def _refuse_lists(column: pd.Series[Any]) -> None:
    """Refuse values that cannot be told apart as one value each."""
    dtype = column.dtype
    is_nested = isinstance(dtype, pd.ArrowDtype) and pa.types.is_nested(dtype.pyarrow_dtype)
    if is_nested or (is_object_dtype(dtype) and any(isinstance(value, _LISTS) for value in column)):
        raise InputError(
            f"The column {column.name!r} holds lists or dicts, where one value is needed in each row: make texts of "
            f"them first, such as frame[{column.name!r}].map(json.dumps)."
        )


def _plain(dtype: Any) -> Any:
    """Give the type that pandas can make groups of, nulls among them."""
    if not isinstance(dtype, pd.ArrowDtype):
        return dtype
    # What a column has where nothing was ever in it: pandas 2.2 crashes on groups of it.
    if pa.types.is_null(dtype.pyarrow_dtype):
        return object
    # Texts that Arrow holds by number, as exports do: nulls among them make no group, or an error.
    if isinstance(dtype.pyarrow_dtype, pa.DictionaryType):
        return pd.ArrowDtype(dtype.pyarrow_dtype.value_type)
    return dtype


def key_list(by: Keys, *taken: str) -> list[str]:
    """Give the names of grouping columns as a list, each once; `taken` are further names that the result needs.

    Raises
    ------
    ColumnError
        One is a name that results have for something else.
    InputError
        These are no names.
    """
    try:
        names = [by] if isinstance(by, str) else list(dict.fromkeys(by))
    except TypeError:
        raise InputError(
            f"by={by!r}: give the name of a column, or several in a list; [] is one group of everything."
        ) from None
    for name in names:
        if name in (*_TAKEN, *taken):
            raise ColumnError(
                f"A column that makes groups cannot be called {name!r}: the result has a column of that name. Rename "
                f"it first: frame.rename(columns={{{name!r}: …}})."
            )
    return names


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


def need_whole(name: str, value: int, *, least: int = 0) -> None:
    """Refuse what is no whole number, or too small.

    Raises
    ------
    InputError
        It is not, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name}={value!r}: give a whole number of at least {least}.")


def decided(column: pd.Series[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Split a column of true, false and null into "is decided" and "is true".

    Raises
    ------
    InputError
        It holds something else.
    """
    known = column.notna().to_numpy(dtype=bool)
    if is_bool_dtype(column.dtype) and not isinstance(column.dtype, pd.CategoricalDtype):
        return known, column.fillna(value=False).to_numpy(dtype=bool)
    # As objects: a text such as "false" would be true, and so would any number.
    values = column[known].astype(object)
    if not values.map(lambda value: isinstance(value, bool | np.bool_ | Number) and value in (0, 1)).all():
        raise InputError(f"The column {column.name!r} holds other values than true, false and null.")
    is_true = np.zeros(len(column), bool)
    is_true[known] = values.astype(bool).to_numpy()
    return known, is_true


def numbers(column: pd.Series[Any]) -> NDArray[np.float64]:
    """Give a column as floats, with NaN for null.

    Raises
    ------
    InputError
        It holds no numbers.
    """
    if column.dtype.kind in "mM":
        # As numbers they would be nanoseconds, or microseconds: whatever the frame was made with.
        hint = f" frame[{column.name!r}].dt.total_seconds() makes seconds of them." if column.dtype.kind == "m" else ""
        raise InputError(f"The column {column.name!r} holds no numbers, but {column.dtype}.{hint}")
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
    named = "This" if column.name is None else f"The column {column.name!r}"
    if column.notna().any() and (is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype)):
        raise InputError(
            f"{named} holds no times, but {column.dtype}. pd.to_datetime(…, unit='s') makes times of numbers."
        )
    try:
        return _times(column).astype("datetime64[ns, UTC]")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{named} holds no times: {str(error).splitlines()[0]}.") from None


def moment(at: Any) -> pd.Timestamp:
    """Give one time in UTC.

    Raises
    ------
    InputError
        It is none.
    """
    try:
        return moments(pd.Series([at])).iloc[0]
    except InputError:
        raise InputError(f"at={at!r} is no time: give one such as '2024-05-31' or a pandas.Timestamp.") from None


def _times(column: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    if is_object_dtype(column.dtype) or is_string_dtype(column.dtype):
        # The service leaves fractions of a second out where there are none: not all texts have the same form.
        with contextlib.suppress(ValueError):
            return pd.to_datetime(column, utc=True, format="ISO8601")
    with warnings.catch_warnings():
        # That it had to guess the form of other texts; what it cannot guess is refused.
        warnings.simplefilter("ignore", UserWarning)
        return pd.to_datetime(column, utc=True)


def midnights(times: pd.Series[pd.Timestamp], tz: str) -> pd.Series[pd.Timestamp]:
    """Give when the day of each moment began in a time zone.

    Raises
    ------
    InputError
        There is no such time zone.
    """
    try:
        local = times.dt.tz_convert(tz)
    except (KeyError, ValueError, TypeError):
        raise InputError(f"tz={tz!r} is no time zone that is known here. There are such as 'Europe/Berlin'.") from None
    return begun(local.dt.tz_localize(None).dt.normalize(), tz)


def begun(starts: pd.Series[Any], tz: str) -> pd.Series[Any]:
    """Give local times their zone; midnight may not exist, or exist twice, where summer time begins there."""
    zoned: pd.Series[Any] = starts.dt.tz_localize(tz, ambiguous=np.ones(len(starts), bool), nonexistent="shift_forward")
    return zoned


def seconds_of(times: pd.Series[pd.Timestamp]) -> NDArray[np.float64]:
    """Give times as seconds since 1970, with NaN for NaT."""
    return np.where(times.isna(), np.nan, times.astype("int64").to_numpy() / _NANOS)


def need_extra(module: str) -> ModuleType:
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
