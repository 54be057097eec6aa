"""The keys of open maps as columns of their own, each of the narrowest type that loses nothing. Pure."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
from msgspec import Raw

from refonte_frames.errors import InputError
from refonte_frames.export.decode import object_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["is_spread", "spread"]

#: Keys that are data themselves (a user's id, a file's name) would make a table of more columns than rows.
_MOST_COLUMNS: Final = 1_000
_MAX_NAMED: Final = 5
#: Integers up to here have a float64 of their own.
_EXACT: Final = 2**53


def is_spread(name: str, value: str) -> bool:
    """Read an option that says whether an open map shall be spread.

    Raises
    ------
    InputError
        It is neither ``"json"`` nor ``"columns"``.
    """
    if value not in ("json", "columns"):
        raise InputError(f"{name}={value!r}: there are 'json' and 'columns'.")
    return value == "columns"


def spread(table: pa.Table, name: str) -> pa.Table:
    """Add one column ``<name>.<key>`` for every key of the maps in the column ``<name>_json``, behind the others.

    Parameters
    ----------
    table : pyarrow.Table
        Rows with the column ``<name>_json``, which stays as it is.
    name : str
        ``metadata`` or ``attributes``.

    Returns
    -------
    pyarrow.Table
        The new columns stand in the order in which their keys first come. Their types are inferred over all rows:
        bool, int64, float64 (also for integers beside fractions, as long as none of them is rounded) or string where
        every value is one; otherwise, as for integers beyond 64 bits, objects, lists, or a number beside a text, the
        column holds each value's own JSON text. Null and absent are both null here; ``<name>_json`` tells them apart.

    Warns
    -----
    UserWarning
        There are more than 1,000 keys: only the 1,000 most frequent ones get a column.
    """
    columns: dict[str, dict[int, str]] = {}
    for row, text in enumerate(table[f"{name}_json"].to_pylist()):
        for key, raw in _keys(text).items():
            columns.setdefault(key, {})[row] = text_of(raw)
    for key in _kept(columns, name):
        table = table.append_column(f"{name}.{key}", _typed(columns[key], table.num_rows))
    return table


def _keys(text: str | None) -> dict[str, Raw]:
    return {} if text is None else object_of(Raw(text.encode())) or {}


def _kept(columns: dict[str, dict[int, str]], name: str) -> Sequence[str]:
    if len(columns) <= _MOST_COLUMNS:
        return list(columns)
    counts = Counter({key: len(values) for key, values in columns.items()})
    kept = {key for key, _ in counts.most_common(_MOST_COLUMNS)}
    left_out = [key for key in columns if key not in kept]
    warnings.warn(
        f"{name} has {len(columns):,} different keys; only the {_MOST_COLUMNS:,} most frequent ones became columns, "
        f"{name}_json holds all of them. Left out: {', '.join(map(repr, left_out[:_MAX_NAMED]))} …",
        stacklevel=6,  # at the line that asked for a frame
    )
    return [key for key in columns if key in kept]


def _typed(found: dict[int, str], length: int) -> pa.Array:
    values: list[str | None] = [None] * length
    for row, text in found.items():
        values[row] = None if text == "null" else text
    if not any(values):
        return pa.nulls(length, pa.string())
    for read, arrow_type in _READERS:
        try:
            return pa.array([None if text is None else read(text) for text in values], arrow_type)
        except (msgspec.ValidationError, OverflowError):
            continue
    return pa.array(values, pa.string())


_decode_number = msgspec.json.Decoder(int | float).decode


def _number(text: str) -> float:
    """Read a number that stays what it is; a large integer is an id more often than not, and would be rounded."""
    value = _decode_number(text)
    if isinstance(value, int) and abs(value) > _EXACT:
        raise OverflowError(text)
    return float(value)


_READERS: Final[tuple[tuple[Callable[[str], Any], pa.DataType], ...]] = (
    (msgspec.json.Decoder(bool).decode, pa.bool_()),
    (msgspec.json.Decoder(int).decode, pa.int64()),
    (_number, pa.float64()),
    (msgspec.json.Decoder(str).decode, pa.string()),
)
