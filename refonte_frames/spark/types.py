"""Arrow's types and Spark's: the columns of a table as Spark declares them, and rows in the form it takes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames.errors import InputError
from refonte_frames.export import portions

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["columns_of", "declared"]

_NAMES: Final = {
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
    pa.int16(): "SMALLINT",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.timestamp("us", "UTC"): "TIMESTAMP",
}


def declared(table: str, columns: Sequence[str] | None) -> str:
    """Declare the columns of a table as Spark's SQL does.

    Examples
    --------
    >>> declared("tasks", ["task_id", "created_at", "tags"])
    '`task_id` STRING, `created_at` TIMESTAMP, `tags` ARRAY<STRING>'
    """
    return ", ".join(f"`{field.name}` {_name(field.type)}" for field in portions.schema(table, columns))


def columns_of(table: str, wanted: Any) -> list[str]:
    """Name the columns of a schema that a caller declared, which may be some of the table's, in any order.

    Parameters
    ----------
    table : str
        Which table is read.
    wanted : pyspark.sql.types.StructType
        What the rows shall be like.

    Raises
    ------
    InputError
        The table has no such column, or it is of another type.
    """
    names = list(wanted.names)
    for field, found in zip(wanted, portions.schema(table, names), strict=True):
        theirs, ours = field.dataType.simpleString(), _name(found.type).lower()
        if theirs != ours:
            raise InputError(f"The column {field.name} of the table {table} is of type {ours}, not {theirs}.")
    return names


def _name(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"ARRAY<{_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return f"STRUCT<{','.join(f'{field.name}:{_name(field.type)}' for field in kind)}>"
    return _NAMES[kind]
