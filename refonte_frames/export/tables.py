"""THE crossing between Arrow and pandas, for every table and option; nowhere else does one become the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd
import pyarrow as pa

from refonte_frames.errors import ColumnError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["DtypeBackend", "check_options", "names_of", "to_pandas"]

DtypeBackend = Literal["pyarrow", "numpy_nullable"]

_NULLABLE: Final[dict[pa.DataType, Any]] = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.string(): pd.StringDtype(),
}


def to_pandas(
    table: pa.Table, *, dtype_backend: DtypeBackend = "pyarrow", categories: Sequence[str] = ()
) -> pd.DataFrame:
    """Make a frame of a table.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.
    dtype_backend : {"pyarrow", "numpy_nullable"}
        As in pandas. With ``pyarrow`` texts are ``string[pyarrow]``, times ``timestamp[us, tz=UTC][pyarrow]``, lists
        and structs ArrowDtype; with ``numpy_nullable`` lists are objects and times ``datetime64[us, UTC]``.
    categories : sequence of str
        Text columns that shall be pandas categories.

    Returns
    -------
    pandas.DataFrame
        One row per row, in the same order, on a fresh RangeIndex.

    Raises
    ------
    ColumnError
        If a category is no text column of the table.
    InputError
        For an unknown dtype_backend.
    """
    check_options(dtype_backend, categories, table.schema)
    kept = frozenset(names_of(categories))
    plain = pa.table([_plain(table[name], is_category=name in kept) for name in table.column_names], _names(table))
    mapper: Callable[[pa.DataType], Any] = _arrow_dtype if dtype_backend == "pyarrow" else _nullable_dtype
    frame: pd.DataFrame = plain.to_pandas(types_mapper=mapper)
    return frame


def check_options(dtype_backend: str, categories: Sequence[str], *schemas: pa.Schema) -> None:
    """Refuse options that cannot be followed, before anything is read; a category is of one of the tables at least."""
    if dtype_backend not in ("pyarrow", "numpy_nullable"):
        raise InputError(f"dtype_backend={dtype_backend!r}: there are 'pyarrow' and 'numpy_nullable'.")
    texts = list(dict.fromkeys(column.name for schema in schemas for column in schema if _is_text(column.type)))
    for name in names_of(categories):
        if name not in texts:
            raise ColumnError(f"categories holds {name!r}, which is no text column here. There are {', '.join(texts)}.")


def names_of(columns: Sequence[str] | None) -> Sequence[str]:
    """Take one name for a list of one, and none at all for an empty list."""
    return [columns] if isinstance(columns, str) else columns or ()


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_dictionary(type_))


def _names(table: pa.Table) -> list[str]:
    return list(table.column_names)


def _plain(column: pa.ChunkedArray, *, is_category: bool) -> pa.ChunkedArray:
    if is_category:
        return column.dictionary_encode() if pa.types.is_string(column.type) else column.unify_dictionaries()
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _arrow_dtype(type_: pa.DataType) -> Any:
    return None if pa.types.is_dictionary(type_) else pd.ArrowDtype(type_)


def _nullable_dtype(type_: pa.DataType) -> Any:
    return _NULLABLE.get(type_)
