"""Structs of Thrift's compact protocol: read, and written as they were."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refonte_frames as rf
from refonte_frames.export.thrift import I64, LIST, STRUCT, Fields, Shape, decoded, encoded

_NUMBERS = st.integers(1, 40)
_LEAVES = st.one_of(
    st.tuples(st.just(I64), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(8), st.binary(max_size=100).map(lambda text: bytes([len(text)]) + text)),
    st.tuples(st.just(7), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just(1), st.just(b"")),
    st.tuples(st.just(10), st.integers(0, 14).map(lambda size: bytes([size << 4 | 3]) + b"x" * size)),
)


def _structs(values: st.SearchStrategy[tuple[int, Any]]) -> st.SearchStrategy[Fields]:
    return st.dictionaries(_NUMBERS, values, max_size=6).map(lambda fields: dict(sorted(fields.items())))


_FIELDS: st.SearchStrategy[Fields] = _structs(
    st.recursive(
        _LEAVES,
        lambda values: st.one_of(
            st.tuples(st.just(STRUCT), _structs(values)),
            st.tuples(st.just(LIST), st.lists(_structs(values), min_size=1, max_size=20)),
        ),
        max_leaves=12,
    )
)


def _shape_of(fields: Fields) -> Shape:
    """Say that everything is to be taken apart."""
    shape: Shape = {}
    for number, (type_, value) in fields.items():
        if type_ == STRUCT and isinstance(value, dict):
            shape[number] = _shape_of(value)
        elif isinstance(value, list):
            shape[number] = {inner: below for each in value for inner, below in _shape_of(each).items()}
    return shape


@given(_FIELDS)
def test_a_struct_is_written_as_it_was_read_however_much_of_it_is_taken_apart(fields: Fields) -> None:
    """What is not taken apart is kept as bytes, and nothing of it is lost."""
    data = encoded(fields)
    assert encoded(decoded(data, {})) == data
    assert encoded(decoded(data, _shape_of(fields))) == data


@given(_FIELDS, st.data())
def test_a_struct_that_is_cut_off_is_an_error(fields: Fields, data: st.DataObject) -> None:
    """The last byte of a struct ends it: without it there is none."""
    whole = encoded(fields)
    with pytest.raises(ValueError, match="ends in the middle"):
        decoded(whole[: data.draw(st.integers(0, len(whole) - 1))], _shape_of(fields))


def test_another_protocol_is_an_error() -> None:
    """Maps stand in no footer."""
    with pytest.raises(ValueError, match="a field of type 11"):
        decoded(b"\x1b\x00\x00", {})
    with pytest.raises(ValueError, match="a list of type 5 where structs"):
        decoded(b"\x19\x15\x02\x00", {1: {}})


def test_footers_of_pyarrow_are_written_as_they_were_read() -> None:
    """Also with statistics, key-value metadata, nested columns and many row groups."""
    rows = rf.schemas.TASKS.empty_table().schema.with_metadata({"a": "b" * 300})
    table = pa.Table.from_pylist([{"task_id": str(number), "tags": ["x"] * (number % 3)} for number in range(90)], rows)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=5)
    data = sink.getvalue().to_pybytes()
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
    read = decoded(footer, {4: {1: {3: {}}}})
    assert len(read[4][1]) == 18
    assert encoded(read) == footer
