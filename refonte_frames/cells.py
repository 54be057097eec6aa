"""What becomes of a cell on its way into JSON: exactly what a reader expects, or that row's error. Pure.

Null of any kind leaves the key out; inside lists and objects it becomes null.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = [
    "ABSENT",
    "CellError",
    "Column",
    "holds_broken_integers",
    "is_sendable",
    "json_column",
    "json_value",
    "own_id",
]


class _Absent(enum.Enum):
    """The value of a cell that holds null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT
_INT_MAX: Final = 2**64 - 1
_INT_MIN: Final = -(2**63)
_DEEPEST: Final = 50


class CellError(ValueError):
    """A value that cannot be sent; `code` is one word for the receipt, `parameter` the field at fault if known."""

    def __init__(self, code: str, message: str, *, parameter: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.parameter = parameter


@dataclass(slots=True)
class Column:
    """A column ready for JSON.

    Attributes
    ----------
    values : list
        One entry a row: a JSON value, or `ABSENT`.
    errors : dict of int to CellError
        Rows whose cell cannot be sent, by position.
    holds_broken_integers : bool
        True when integers became floats because of a null, and were made whole again.
    """

    values: list[Any]
    errors: dict[int, CellError] = field(default_factory=dict)
    holds_broken_integers: bool = False


def holds_broken_integers(series: pd.Series[Any]) -> bool:
    """Tell whether this is a column of integers that pandas turned into floats because of a null.

    It is asked of a whole column: a part of it may have no null in it, and must be converted all the same.

    Examples
    --------
    >>> holds_broken_integers(pd.Series([5, None, 7])), holds_broken_integers(pd.Series([5.5, None]))
    (True, False)
    """
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy()
        categories = series.cat.categories.to_series()
        return bool((codes < 0).any()) and holds_broken_integers(
            pd.concat([categories, pd.Series([None], dtype=float)])
        )
    if not isinstance(series.dtype, np.dtype) or series.dtype.kind != "f":
        return False
    array = series.to_numpy().astype(np.float64)
    is_null = np.isnan(array)
    finite = array[~is_null]
    # Beyond 2**53 the digits were lost when the column became floats.
    is_whole = finite.size and (np.abs(finite) <= 2**53).all() and (finite == np.floor(finite)).all()
    return bool(is_null.any() and is_whole)


def json_column(series: pd.Series[Any], *, is_broken_integers: bool | None = None) -> Column:
    """Convert a column, by its dtype where that decides for all cells, else cell by cell.

    Parameters
    ----------
    series : pandas.Series
        Of any dtype: numpy, nullable, Arrow-backed, categorical or object.
    is_broken_integers : bool, optional
        What `holds_broken_integers` says of the column that `series` is a part of. Default: it is the whole.

    Returns
    -------
    Column
        As long as the series, in its order.

    Examples
    --------
    An integer column with a hole was turned into floats by pandas; it goes out as integers:

    >>> json_column(pd.Series([5, None, 7])).values
    [5, ABSENT, 7]
    """
    if is_broken_integers is None:
        is_broken_integers = holds_broken_integers(series)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(series, is_broken_integers=is_broken_integers)
    if isinstance(dtype, np.dtype):
        if dtype.kind in "biu":
            return Column(series.tolist())
        if dtype.kind == "f":
            return _floats(series.to_numpy(), is_broken_integers=is_broken_integers)
    if isinstance(dtype, pd.DatetimeTZDtype) or (isinstance(dtype, np.dtype) and dtype.kind == "M"):
        return _each(list(series), _stamp)
    if isinstance(dtype, pd.ArrowDtype):
        return _each(_arrow_cells(series), json_value)
    if isinstance(dtype, pd.StringDtype):
        # One by one, pandas takes five times as long to hand out the cells of such a column.
        return _each(series.to_numpy(dtype=object).tolist(), json_value)
    return _each(list(series), json_value)


def own_id(value: Any, column: Hashable, *, has_broken_integers: bool) -> str:
    """Take a converted cell, which is not empty, as an id of the caller's own.

    Raises
    ------
    CellError
        It is no text or integer that would read the same tomorrow.

    Examples
    --------
    >>> own_id(7, "scene", has_broken_integers=False)
    '7'
    """
    if has_broken_integers:
        raise CellError(
            "id_was_float",
            f"the ids in {column!r} became floats because of empty cells; "
            f"read the column as text, or use frame[{column!r}].astype('Int64')",
        )
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise CellError("bad_unique_id", f"unique_id is a text that is not empty, or an integer, not {value!r}")


def _arrow_cells(series: pd.Series[Any]) -> list[Any]:
    """Take pyarrow's own Python values: pandas would turn nested nulls into NaN."""
    array: Any = series.array.__arrow_array__()
    kind = str(array.type)
    if kind.startswith("time64"):
        # Python's time has no nanoseconds, text has.
        return list(array.cast("string").to_pylist())
    cells = list(array.to_pylist())
    if "float" in kind or "halffloat" in kind or "map<" in kind:
        return [_arrow_value(cell, array.type) for cell in cells]
    return cells


def _arrow_value(value: Any, kind: Any) -> Any:
    """Write short floats by their shortest text, and maps as objects, however deep they lie."""
    if value is None:
        return None
    text = str(kind)
    if text in ("float", "halffloat"):
        return float(str((np.float32 if text == "float" else np.float16)(value)))
    if text.startswith("map<"):
        return {key: _arrow_value(item, kind.item_type) for key, item in value}
    if text.startswith("struct<"):
        return {name: _arrow_value(item, kind.field(name).type) for name, item in value.items()}
    if isinstance(value, list):
        return [_arrow_value(item, kind.value_type) for item in value]
    return value


def _categorical(series: pd.Series[Any], *, is_broken_integers: bool) -> Column:
    """Convert each category once, then look the cells up."""
    whole = pd.Series(series.cat.categories)
    categories = json_column(whole, is_broken_integers=is_broken_integers and whole.dtype.kind == "f")
    codes = series.cat.codes.tolist()
    values = [ABSENT if code < 0 else categories.values[code] for code in codes]
    errors = {at: categories.errors[code] for at, code in enumerate(codes) if code in categories.errors}
    return Column(values, errors, holds_broken_integers=is_broken_integers)


def _floats(array: np.ndarray[Any, Any], *, is_broken_integers: bool) -> Column:
    is_null = np.isnan(array)
    if is_broken_integers:
        values = [ABSENT if null else int(value) for value, null in zip(array.tolist(), is_null.tolist(), strict=True)]
        return Column(values, holds_broken_integers=True)
    if array.dtype != np.float64:
        # The shortest text that names the number: 0.1, not 0.10000000149011612.
        array = array.astype(str).astype(np.float64)
    column = Column([ABSENT if null else value for value, null in zip(array.tolist(), is_null.tolist(), strict=True)])
    for at in np.flatnonzero(np.isinf(array)).tolist():
        column.values[at] = ABSENT
        column.errors[at] = _infinite()
    return column


def _each(cells: list[Any], convert: Callable[[Any], Any]) -> Column:
    if convert is json_value and all(map(_is_plain_text, cells)):
        return Column(cells)
    column = Column([ABSENT] * len(cells))
    for at, cell in enumerate(cells):
        try:
            value = convert(cell)
        except CellError as error:
            column.errors[at] = error
        else:
            column.values[at] = ABSENT if value is None else value
    return column


def _is_plain_text(cell: Any) -> bool:
    return type(cell) is str and cell.isascii()


def json_value(value: Any, depth: int = 0) -> Any:
    """Convert one value; None stands for null of any kind.

    Raises
    ------
    CellError
        If JSON cannot hold it exactly.

    Examples
    --------
    >>> json_value({"sizes": np.array([1.5, float("nan")]), "id": uuid.UUID(int=1)})
    {'sizes': [1.5, None], 'id': '00000000-0000-0000-0000-000000000001'}
    """
    kind = type(value)
    if kind is str:
        return _text(value)
    if value is np.ma.masked:
        return None
    if value is None or kind is bool:
        return value
    if kind is int:
        return _integer(value)
    if kind is float:
        return _float(value)
    if depth > _DEEPEST:
        raise CellError("too_deep", f"it is nested more than {_DEEPEST} levels deep")
    for types, convert in _CONVERTERS:
        if isinstance(value, types):
            return convert(value, depth)
    if value is pd.NA or value is pd.NaT:
        return None
    raise CellError("not_json", f"a {kind.__name__} has no form in JSON; turn it into text or numbers first")


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise CellError("broken_text", "it holds half a surrogate pair, which is no Unicode text") from None
    # Not str(value): an Enum or another subclass of str may say something else of itself.
    return str.__str__(value)


def _integer(value: int) -> int:
    if not _INT_MIN <= value <= _INT_MAX:
        raise CellError("int_too_large", "the integer has more than 64 bits; send it as text")
    return value


def _float(value: float) -> float | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise _infinite()
    return value


def _infinite() -> CellError:
    return CellError("infinite", "JSON has no infinity; leave the cell empty or use a finite number")


def _stamp(value: Any) -> str | None:
    """Write a time as ISO 8601 in UTC with all digits it has; naive ones are taken as UTC."""
    if pd.isna(value):
        return None
    stamp = pd.Timestamp(value)
    if stamp.tzinfo is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    return stamp.isoformat() + "Z"


def _time_span(value: Any, _: int) -> None:
    if pd.isna(value):
        return
    raise CellError("not_json", "a time span has no form in JSON; use .dt.total_seconds()")


def _object(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise CellError("key_not_text", f"the key {key!r} of an object is no text")
    return {_text(key): json_value(item, depth + 1) for key, item in value.items()}


def _array(value: Any, depth: int) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return json_value(value.item(), depth + 1)
    return [json_value(item, depth + 1) for item in value]


def _numpy_scalar(value: np.generic, depth: int) -> Any:
    if isinstance(value, np.floating) and value.dtype != np.float64:
        return _float(float(str(value)))
    if isinstance(value, np.datetime64):
        return _stamp(pd.Timestamp(value))
    return json_value(value.item(), depth)


# Order matters: datetime is a date, a bool-like Enum is an int, numpy's float64 is a float.
_CONVERTERS: Final[tuple[tuple[Any, Callable[[Any, int], Any]], ...]] = (
    (enum.Enum, lambda value, depth: json_value(value.value, depth + 1)),
    (str, lambda value, _: _text(value)),
    ((dt.timedelta, np.timedelta64), _time_span),
    (np.generic, _numpy_scalar),
    (bool, lambda value, _: bool(value)),
    (int, lambda value, _: _integer(int(value))),
    (float, lambda value, _: _float(float(value))),
    (dt.datetime, lambda value, _: _stamp(value)),
    ((dt.date, dt.time), lambda value, _: value.isoformat()),
    (complex, lambda value, _: _complex(value)),
    (decimal.Decimal, lambda value, _: None if value.is_nan() else _decimal(value)),
    ((uuid.UUID, PurePath), lambda value, _: str(value)),
    (Mapping, _object),
    ((list, tuple, np.ndarray), _array),
)


def _complex(value: complex) -> None:
    """Take NaN for null, as pandas does; nothing else of this kind has a form in JSON."""
    if value == value:  # noqa: PLR0124 - NaN alone is not equal to itself
        raise CellError("not_json", "a complex number has no form in JSON; send its parts")


def _decimal(value: decimal.Decimal) -> str:
    """Text, since a JSON number would lose the digits that a Decimal is used for."""
    if not value.is_finite():
        raise _infinite()
    return str(value)


def is_sendable(text: str) -> bool:
    r"""Tell whether a text can be sent: UTF-8 has no halves of characters, which Python's texts may hold.

    >>> is_sendable("é"), is_sendable("\ud83d")
    (True, False)
    """
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
