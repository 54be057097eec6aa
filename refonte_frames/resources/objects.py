"""Objects of the service laid out in fixed columns; what fits none stays in ``extra_json``. Pure."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["extra_of", "frame_of_rows", "taken", "taken_json", "taken_stamp", "taken_texts"]


def taken(source: dict[str, Any], key: str, kind: type) -> Any:
    """Take a value of the documented kind out of an object; leave any other, and what 64 bits cannot hold."""
    value = source.get(key)
    if kind is int and (isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63):
        return None
    return source.pop(key) if isinstance(value, kind) else None


def taken_stamp(source: dict[str, Any], key: str) -> dt.datetime | None:
    """Take a time out of an object, in UTC; leave what is none."""
    value = source.get(key)
    try:
        stamp = dt.datetime.fromisoformat(value if isinstance(value, str) else "")
        moment = stamp.astimezone(dt.UTC) if stamp.tzinfo else stamp.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    del source[key]
    return moment


def taken_texts(source: dict[str, Any], key: str) -> list[str] | None:
    """Take a list of texts out of an object; leave what is none."""
    value = source.get(key)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return cast("list[str]", source.pop(key))
    return None


def taken_json(source: dict[str, Any], key: str) -> str | None:
    """Take whatever stands there out of an object, as JSON text."""
    return json.dumps(source.pop(key), ensure_ascii=False) if key in source else None


def extra_of(rest: dict[str, Any]) -> str | None:
    """Write what nobody took as JSON text; null when nothing is left."""
    return json.dumps(rest, ensure_ascii=False) if rest else None


def frame_of_rows(rows: Iterable[dict[str, Any]], schema: pa.Schema) -> pd.DataFrame:
    """Make a frame with Arrow dtypes and these columns, also of no rows."""
    table = pa.Table.from_pylist(list(rows), schema=schema)
    return cast("pd.DataFrame", table.to_pandas(types_mapper=pd.ArrowDtype))
