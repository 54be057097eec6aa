"""What becomes of a value on its way from a cell to the service: every kind of value in every dtype that holds it."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import refonte_frames as rf
from refonte_frames.errors import RowErrors

#: Stands for a key that is left out.
ABSENT = object()
STAMP = "2026-01-02T03:04:05.123456789"
BERLIN = dt.timezone(dt.timedelta(hours=1))
NAN = float("nan")


class Color(enum.Enum):
    """An enum as users have them."""

    RED = "red"


def arrow(values: list[Any], kind: pa.DataType) -> pd.Series[Any]:
    """Make an Arrow-backed column."""
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))


def col(values: list[Any], dtype: Any = "object") -> pd.Series[Any]:
    """Make a column of this dtype."""
    return pd.Series(values, dtype=dtype)


#: Kind of value, the column that holds it, what arrives for each cell: exactly this, of this JSON type.
ARRIVES: list[tuple[str, pd.Series[Any], list[Any]]] = [
    # null, in everything that can hold it: the key is left out
    ("NaN in float64", col([1.5, NAN], "float64"), [1.5, ABSENT]),
    ("NaN in float32", col([1.5, NAN], "float32"), [1.5, ABSENT]),
    ("NA in Float64", col([1.5, pd.NA], "Float64"), [1.5, ABSENT]),
    ("NA in Float32", col([0.1, pd.NA], "Float32"), [0.1, ABSENT]),
    ("null in Arrow double", arrow([1.5, None], pa.float64()), [1.5, ABSENT]),
    ("NaN in Arrow double", pd.Series(pd.arrays.ArrowExtensionArray(pa.array([1.5, NAN]))), [1.5, ABSENT]),
    ("NaN, NA, None, NaT in object", col([NAN, pd.NA, None, pd.NaT]), [ABSENT] * 4),
    ("NaT in datetime64", col(["2026-01-02", None], "datetime64[ns]"), ["2026-01-02T00:00:00Z", ABSENT]),
    ("NaT with a zone", pd.Series(pd.to_datetime([None, STAMP]).tz_localize("UTC")), [ABSENT, STAMP + "Z"]),
    ("NA in Int64", col([5, pd.NA], "Int64"), [5, ABSENT]),
    ("NA in boolean", col([True, pd.NA], "boolean"), [True, ABSENT]),
    ("null in Arrow bool", arrow([True, None], pa.bool_()), [True, ABSENT]),
    ("NA in string[python]", col(["a", pd.NA], "string[python]"), ["a", ABSENT]),
    ("NA in string[pyarrow]", col(["a", pd.NA], "string[pyarrow]"), ["a", ABSENT]),
    ("null in Arrow string", arrow(["a", None], pa.string()), ["a", ABSENT]),
    ("null in Arrow large_string", arrow(["a", None], pa.large_string()), ["a", ABSENT]),
    ("null in a category", col(["a", None], "category"), ["a", ABSENT]),
    ("null in Arrow null", arrow([None, None], pa.null()), [ABSENT, ABSENT]),
    ("null in Arrow timestamp", arrow([None], pa.timestamp("us")), [ABSENT]),
    ("null in Arrow list", arrow([[1, None], None], pa.list_(pa.int64())), [[1, None], ABSENT]),
    ("null in Arrow struct", arrow([{"k": None}, None], pa.struct([("k", pa.int64())])), [{"k": None}, ABSENT]),
    ("null in Arrow decimal", arrow([None], pa.decimal128(5, 2)), [ABSENT]),
    # integers
    ("int64", col([5, -5], "int64"), [5, -5]),
    ("int8", col([5, -5], "int8"), [5, -5]),
    ("uint64 at its end", col([2**64 - 1], "uint64"), [2**64 - 1]),
    ("UInt64 at its end", col([2**64 - 1, pd.NA], "UInt64"), [2**64 - 1, ABSENT]),
    ("Arrow uint64 at its end", arrow([2**64 - 1, None], pa.uint64()), [2**64 - 1, ABSENT]),
    ("integers beyond 2**53", col([2**60 + 1], "int64"), [2**60 + 1]),
    ("Int64 beyond 2**53 with a hole", col([2**60 + 1, pd.NA], "Int64"), [2**60 + 1, ABSENT]),
    ("integers that became floats by a hole", col([5, None], "float64"), [5, ABSENT]),
    ("a category of integers with a hole", col([5, None], "category"), [5, ABSENT]),
    ("np.int64 in object", col([np.int64(5), "x"]), [5, "x"]),
    # floats
    ("whole floats", col([5.0, 6.0], "float64"), [5.0, 6.0]),
    ("float32 by its shortest text", col([0.1], "float32"), [0.1]),
    ("float16 by its shortest text", col([0.1], "float16"), [0.1]),
    ("np.float32 in object", col([np.float32(0.1), "x"]), [0.1, "x"]),
    ("Arrow float", arrow([0.1], pa.float32()), [0.1]),
    ("Decimal in object", col([decimal.Decimal("1.10")]), ["1.10"]),
    ("Arrow decimal", arrow([decimal.Decimal("1.10")], pa.decimal128(5, 2)), ["1.10"]),
    # booleans
    ("bool", col([True, False], "bool"), [True, False]),
    ("np.bool_ in object", col([np.bool_(True), "x"]), [True, "x"]),
    # times: with all digits, in UTC
    ("datetime64[ns]", col([STAMP], "datetime64[ns]"), [STAMP + "Z"]),
    ("datetime64[s]", col(["2026-01-02T03:04:05"], "datetime64[s]"), ["2026-01-02T03:04:05Z"]),
    ("datetime64[us]", col(["2026-01-02T03:04:05.000001"], "datetime64[us]"), ["2026-01-02T03:04:05.000001Z"]),
    ("with a zone", pd.Series(pd.to_datetime([STAMP + "+01:00"])), ["2026-01-02T02:04:05.123456789Z"]),
    ("Timestamp in object", col([pd.Timestamp(STAMP), "x"]), [STAMP + "Z", "x"]),
    ("datetime in object", col([dt.datetime(2026, 1, 2, 3, tzinfo=BERLIN), "x"]), ["2026-01-02T02:00:00Z", "x"]),
    ("np.datetime64 in object", col([np.datetime64("2026-01-02T03:04"), "x"]), ["2026-01-02T03:04:00Z", "x"]),
    ("Arrow timestamp[ns]", arrow([pd.Timestamp(STAMP)], pa.timestamp("ns")), [STAMP + "Z"]),
    (
        "Arrow timestamp with a zone",
        arrow([pd.Timestamp("2026-01-02T03:00", tz="Europe/Berlin")], pa.timestamp("us", "Europe/Berlin")),
        ["2026-01-02T02:00:00Z"],
    ),
    ("date in object", col([dt.date(2026, 1, 2)]), ["2026-01-02"]),
    ("Arrow date32", arrow([dt.date(2026, 1, 2), None], pa.date32()), ["2026-01-02", ABSENT]),
    ("time in object", col([dt.time(3, 4)]), ["03:04:00"]),
    # text
    ("object", col(["a", "ä", ""]), ["a", "ä", ""]),
    ("str", col(["a", "ä"], str), ["a", "ä"]),
    ("category of text", col(["a", "b", "a"], "category"), ["a", "b", "a"]),
    ("Arrow dictionary", arrow(["a", None], pa.dictionary(pa.int32(), pa.string())), ["a", ABSENT]),
    ("UUID", col([uuid.UUID(int=1)]), ["00000000-0000-0000-0000-000000000001"]),
    ("Enum", col([Color.RED]), ["red"]),
    ("mixed text and integers", col(["a", 1, True, 1.5]), ["a", 1, True, 1.5]),
    # inside
    ("list", col([[1, "a"], []]), [[1, "a"], []]),
    ("tuple", col([(1, 2)]), [[1, 2]]),
    ("ndarray", col([np.array([1, 2]), np.array([0.5, NAN])]), [[1, 2], [0.5, None]]),
    ("list with np.int64 and NA", col([[np.int64(3), pd.NA, NAN]]), [[3, None, None]]),
    ("dict with NaN inside", col([{"k": NAN, "t": pd.Timestamp(STAMP)}]), [{"k": None, "t": STAMP + "Z"}]),
    ("Arrow list of structs", arrow([[{"x": 0.5}]], pa.list_(pa.struct([("x", pa.float32())]))), [[{"x": 0.5}]]),
    ("Arrow map", arrow([[("k", 1)]], pa.map_(pa.string(), pa.int64())), [{"k": 1}]),
]

#: Kind of value, a column whose second cell holds it, the code of that row's error.
REFUSED: list[tuple[str, pd.Series[Any], str]] = [
    ("infinity in float64", col([1.5, float("inf")], "float64"), "infinite"),
    ("infinity in float32", col([1.5, float("-inf")], "float32"), "infinite"),
    ("infinity in Float64", col([1.5, float("inf")], "Float64"), "infinite"),
    ("infinity in Arrow double", arrow([1.5, float("inf")], pa.float64()), "infinite"),
    ("infinity in a list", col([[1.5], [float("inf")]]), "infinite"),
    ("infinite Decimal", col(["x", decimal.Decimal("-Infinity")]), "infinite"),
    ("timedelta64", col([None, dt.timedelta(1)], "timedelta64[ns]"), "not_json"),
    ("Arrow duration", arrow([None, dt.timedelta(1)], pa.duration("us")), "not_json"),
    ("timedelta in object", col(["x", dt.timedelta(1)]), "not_json"),
    ("Period", pd.Series(pd.PeriodIndex([None, "2026-01"], freq="M")), "not_json"),
    ("Interval", pd.Series(pd.arrays.IntervalArray.from_tuples([None, (0, 1)])), "not_json"),
    ("bytes", col(["x", b"x"]), "not_json"),
    ("Arrow binary", arrow([None, b"x"], pa.binary()), "not_json"),
    ("set", col(["x", {1}]), "not_json"),
    ("complex", col(["x", 1j]), "not_json"),
    ("complex128", col([NAN, 1j], "complex128"), "not_json"),
    ("integer above 64 bits", col([1, 2**70]), "int_too_large"),
    ("dict with an integer as key", col([{"k": 1}, {1: 1}]), "key_not_text"),
    ("half a surrogate pair", col(["x", "a\ud800"]), "broken_text"),
]


def metadata_of(column: pd.Series[Any]) -> list[Any]:
    """Send a column as metadata, without a service, and read what would arrive."""
    frame = pd.DataFrame({"text": [f"text {at}" for at in range(len(column))]})
    frame["cell"] = column
    tasks = rf.to_tasks(
        frame,
        type="categorization",
        columns={"attachment": "text"},
        params={"attachment_type": "text", "categories": ["a"]},
        metadata=["cell"],
    )
    assert frame["cell"].dtype == column.dtype
    return [json.loads(json.dumps(task))["metadata"].get("cell", ABSENT) for task in tasks]


@pytest.mark.parametrize(("column", "expected"), [case[1:] for case in ARRIVES], ids=[case[0] for case in ARRIVES])
def test_a_value_arrives_as_what_it_is(column: pd.Series[Any], expected: list[Any]) -> None:
    """Of the right JSON type, with all its digits; null of any kind is left out."""
    arrived = metadata_of(column)
    assert arrived == expected
    assert [type(value) for value in arrived] == [type(value) for value in expected]


@pytest.mark.parametrize(("column", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_value_that_cannot_arrive_is_its_rows_error(column: pd.Series[Any], code: str) -> None:
    """With the column's name; the row beside it is not touched."""
    with pytest.raises(RowErrors) as caught:
        metadata_of(column)
    ((row, found, message),) = caught.value.rows
    assert (row, found) == (1, code)
    assert "column 'cell' (metadata.cell)" in message
