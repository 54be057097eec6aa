"""What becomes of a cell: one table over kinds of values and the dtypes that hold them."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import uuid
from pathlib import PurePosixPath
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.cells import ABSENT, CellError, holds_broken_integers, json_column, json_value


class Color(enum.Enum):
    """An enum as users have them."""

    RED = "red"


class Grade(enum.IntEnum):
    """An enum that is an integer, too."""

    LOW = 1


class Tone(str, enum.Enum):  # noqa: UP042 - users have them
    """An enum that is text, too, and calls itself something else."""

    LOUD = "loud"

    def __str__(self) -> str:
        return "Tone.LOUD"


BERLIN = dt.timezone(dt.timedelta(hours=1))
STAMP = "2026-01-02T03:04:05.123456789"


def series(values: list[Any], dtype: Any = None) -> pd.Series[Any]:
    """Make a series of this dtype."""
    return pd.Series(values, dtype=dtype)


RIGHT = [
    ("float NaN", series([1.5, float("nan")]), [1.5, ABSENT]),
    ("whole floats without a hole stay floats", series([5.0, 6.0]), [5.0, 6.0]),
    ("int column with a hole", series([5, None]), [5, ABSENT]),
    ("large int column with a hole", series([2**53 - 1, None]), [2**53 - 1, ABSENT]),
    ("float column with a hole", series([5.5, None]), [5.5, ABSENT]),
    ("all null", series([None, None], "float64"), [ABSENT, ABSENT]),
    ("NaT", pd.Series(pd.to_datetime(["2026-01-02", None])), ["2026-01-02T00:00:00Z", ABSENT]),
    ("Timestamp naive", pd.Series([pd.Timestamp(STAMP)]), [STAMP + "Z"]),
    ("Timestamp tz", pd.Series([pd.Timestamp("2026-01-02T03:04:05+01:00")]), ["2026-01-02T02:04:05Z"]),
    ("datetime object", series([dt.datetime(2026, 1, 2, 3, tzinfo=BERLIN)], "object"), ["2026-01-02T02:00:00Z"]),
    ("naive datetime", series([dt.datetime.fromisoformat("2026-01-02T03")], "object"), ["2026-01-02T03:00:00Z"]),
    ("np.datetime64 object", series([np.datetime64("2026-01-02T03:04")], "object"), ["2026-01-02T03:04:00Z"]),
    ("date object", series([dt.date(2026, 1, 2)]), ["2026-01-02"]),
    ("time object", series([dt.time(3, 4)]), ["03:04:00"]),
    ("categorical str", series(["a", None, "a"], "category"), ["a", ABSENT, "a"]),
    ("categorical int", series([3, 4], "category"), [3, 4]),
    ("Int64", series([5, pd.NA], "Int64"), [5, ABSENT]),
    ("boolean", series([True, pd.NA], "boolean"), [True, ABSENT]),
    ("Float64", series([0.5, pd.NA], "Float64"), [0.5, ABSENT]),
    ("bool", series([True, False]), [True, False]),
    ("str", series(["a", None]), ["a", ABSENT]),
    ("string", series(["ä", pd.NA], "string"), ["ä", ABSENT]),
    ("arrow string", series(["a", None], pd.ArrowDtype(pa.string())), ["a", ABSENT]),
    ("arrow int", series([1, None], pd.ArrowDtype(pa.int64())), [1, ABSENT]),
    (
        "arrow timestamp",
        series([pd.Timestamp("2026-01-02", tz="UTC"), None], pd.ArrowDtype(pa.timestamp("us", "UTC"))),
        ["2026-01-02T00:00:00Z", ABSENT],
    ),
    ("arrow decimal", series([decimal.Decimal("1.10")], pd.ArrowDtype(pa.decimal128(5, 2))), ["1.10"]),
    (
        "arrow list",
        pd.Series(pa.array([[1, None], None]), dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
        [[1, None], ABSENT],
    ),
    ("arrow struct", pd.Series(pd.array([{"k": 1}], dtype=pd.ArrowDtype(pa.struct([("k", pa.int64())])))), [{"k": 1}]),
    ("arrow date", pd.Series(pa.array([dt.date(2026, 1, 2)]), dtype=pd.ArrowDtype(pa.date32())), ["2026-01-02"]),
    ("arrow time", pd.Series(pd.array([1], dtype=pd.ArrowDtype(pa.time64("ns")))), ["00:00:00.000000001"]),
    ("arrow float32", series([0.1, None], pd.ArrowDtype(pa.float32())), [0.1, ABSENT]),
    (
        "arrow float32 inside",
        pd.Series(pd.array([[{"x": 0.1}]], dtype=pd.ArrowDtype(pa.list_(pa.struct([("x", pa.float32())]))))),
        [[{"x": 0.1}]],
    ),
    (
        "arrow map",
        pd.Series(pd.array([[("k", 1)]], dtype=pd.ArrowDtype(pa.map_(pa.string(), pa.int64())))),
        [{"k": 1}],
    ),
    ("categorical int with a hole", series([1, None], "category"), [1, ABSENT]),
    ("whole floats beyond what floats hold exactly", series([1e18, None]), [1e18, ABSENT]),
    ("array without dimensions", series(["x", np.array(5)], "object"), ["x", 5]),
    ("masked cell", series(["x", np.ma.masked], "object"), ["x", ABSENT]),
    ("text that is an Enum too, as a key", series([{Tone.LOUD: 1}]), [{"loud": 1}]),
    ("list", series([[1, "a"]]), [[1, "a"]]),
    ("tuple", series([(1, 2)]), [[1, 2]]),
    ("dict", series([{"k": 1}]), [{"k": 1}]),
    ("dict with NaN inside", series([{"k": float("nan")}]), [{"k": None}]),
    ("list with numpy ints", series([[np.int64(3)]]), [[3]]),
    ("list with NA", series([[pd.NA, pd.NaT, None]]), [[None, None, None]]),
    ("ndarray", series([np.array([1, 2])]), [[1, 2]]),
    ("matrix", series([np.eye(2)]), [[[1.0, 0.0], [0.0, 1.0]]]),
    ("Decimal", series([decimal.Decimal("1.10")]), ["1.10"]),
    ("Decimal NaN", series([decimal.Decimal("NaN"), "x"]), [ABSENT, "x"]),
    ("np.float32 object", series([np.float32(0.1)], "object"), [0.1]),
    ("float32 column", series([0.1, None], "float32"), [0.1, ABSENT]),
    ("float16 column", series([0.1], "float16"), [0.1]),
    ("None, NA and NaN in object", series([None, pd.NA, float("nan"), "x"], "object"), [ABSENT, ABSENT, ABSENT, "x"]),
    ("int above 2**53", series([2**60 + 1]), [2**60 + 1]),
    ("uint64 max", series([2**64 - 1], "uint64"), [2**64 - 1]),
    ("UUID", series([uuid.UUID(int=1)]), ["00000000-0000-0000-0000-000000000001"]),
    ("Enum", series([Color.RED]), ["red"]),
    ("IntEnum", series([Grade.LOW], "object"), [1]),
    ("path", series([PurePosixPath("a/b.png")]), ["a/b.png"]),
    ("mixed str and int", series(["a", 1, True]), ["a", 1, True]),
    ("np.str_ and np.bool_", series([np.str_("a"), np.bool_(True)], "object"), ["a", True]),
]
WRONG = [
    ("+inf", series([1.5, float("inf")]), "infinite"),
    ("-inf inside", series(["x", [float("-inf")]]), "infinite"),
    ("Decimal infinity", series(["x", decimal.Decimal("Infinity")]), "infinite"),
    ("timedelta64", pd.Series([pd.NaT, pd.Timedelta(days=1)]), "not_json"),
    ("timedelta object", series(["x", dt.timedelta(1)]), "not_json"),
    ("Period", pd.Series(pd.PeriodIndex([None, "2026-01"], freq="M")), "not_json"),
    ("dict with int key", series(["x", {1: "a"}]), "key_not_text"),
    ("int above 64 bits", series(["x", 2**70]), "int_too_large"),
    ("bytes", series(["x", b"x"]), "not_json"),
    ("set", series(["x", {1}]), "not_json"),
    ("complex", series(["x", 1j]), "not_json"),
    ("lone surrogate", series(["x", "a\ud800"], "object"), "broken_text"),
    ("lone surrogate in a key", series(["x", {"\ud800": 1}]), "broken_text"),
    ("Interval", series(["x", pd.Interval(0, 1)], "object"), "not_json"),
    ("categorical of bad values", series([None, b"x"], "category"), "not_json"),
    ("frame in a cell", series(["x", pd.DataFrame()], "object"), "not_json"),
]


@pytest.mark.parametrize(("values", "expected"), [case[1:] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_what_json_can_hold_goes_out_exactly(values: pd.Series[Any], expected: list[Any]) -> None:
    """Each cell becomes what a reader expects, of the expected JSON type."""
    column = json_column(values)
    assert column.errors == {}
    assert column.values == expected
    assert [type(value) for value in column.values] == [type(value) for value in expected]
    msgspec.json.encode([value for value in column.values if value is not ABSENT])


@pytest.mark.parametrize(("values", "code"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_json_cannot_hold_is_that_rows_error(values: pd.Series[Any], code: str) -> None:
    """The second cell of each is refused with a code; the first is not touched by it."""
    column = json_column(values)
    assert list(column.errors) == [1]
    assert column.errors[1].code == code
    assert column.values[1] is ABSENT


def test_a_part_of_a_column_becomes_what_it_becomes_in_the_whole() -> None:
    """Whether integers were broken is asked of the whole column, and told to its parts."""
    whole = series([1, 2, None])
    assert holds_broken_integers(whole)
    assert not holds_broken_integers(whole.iloc[:2])
    values = json_column(whole.iloc[:2], is_broken_integers=True).values
    assert [type(value) for value in values] == [int, int]


def test_endless_nesting_is_an_error() -> None:
    """A list that contains itself does not hang or overflow."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(CellError, match="levels deep"):
        json_value(endless)


def test_broken_integers_are_noted() -> None:
    """A column of ids that became floats can be told from one that did not."""
    assert json_column(series([1, None])).holds_broken_integers
    assert not json_column(series([1.5, None])).holds_broken_integers
    assert not json_column(series([1, 2])).holds_broken_integers


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_json_goes_through_unchanged(value: Any) -> None:
    """What is JSON already stays what it is, to the bit."""
    converted = json_value(value)
    assert converted == value
    assert json.loads(msgspec.json.encode(converted)) == value
