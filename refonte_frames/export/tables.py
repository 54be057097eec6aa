"""THE crossing between Arrow and pandas, for every table and option; nowhere else does one become the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import pandas as pd
import pyarrow as pa
from msgspec import Raw

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.export.decode import number_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["DtypeBackend", "check_options", "names_of", "spread_metadata", "to_pandas"]

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


def spread_metadata(table: pa.Table) -> pa.Table:
    """Add one column ``metadata.<key>`` for every key of metadata, behind the others.

    The type of a column is inferred over all rows: bool, int64, float64 or text where every value is one; whatever
    is mixed, or an object or list, is JSON text. Null and absent are both null here; metadata_json tells them apart.
    """
    rows = [_object(text) for text in table["metadata_json"].to_pylist()]
    for key in dict.fromkeys(key for row in rows for key in row):
        texts = [text_of(row[key]) if key in row else None for row in rows]
        table = table.append_column(f"metadata.{key}", _typed(texts))
    return table


def _object(text: str | None) -> dict[str, Raw]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Raw])
    except msgspec.ValidationError:
        return {}


def _typed(texts: Iterable[str | None]) -> pa.Array:
    values = [None if text is None or text == "null" else text for text in texts]
    if not any(values):
        return pa.nulls(len(values), pa.string())
    for read, arrow_type in _READERS:
        try:
            return pa.array([None if text is None else read(text) for text in values], arrow_type)
        except (msgspec.ValidationError, OverflowError):
            continue
    return pa.array(values, pa.string())


def _number(text: str) -> float:
    """Read a number that stays exact; a large integer would be rounded silently."""
    value = number_of(Raw(text.encode()))
    if value is None:
        raise OverflowError(text)
    return value


_READERS: Final[tuple[tuple[Callable[[str], Any], pa.DataType], ...]] = (
    (msgspec.json.Decoder(bool).decode, pa.bool_()),
    (msgspec.json.Decoder(int).decode, pa.int64()),
    (_number, pa.float64()),
    (msgspec.json.Decoder(str).decode, pa.string()),
)
