"""Reads and writes structs of Apache Thrift's compact protocol; knows nothing of Parquet, whose footers are such. Pure.

Only the fields that a caller names are taken apart: the bytes of all others stay as they are, and are written again
as they were read. A footer describes hundreds of columns with a dozen structs each, of which a copy changes three
numbers.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

__all__ = ["I16", "I64", "LIST", "STRUCT", "Fields", "Shape", "decoded", "encoded"]

# The types of the protocol.
_TRUE, _FALSE, _BYTE, I16, _I32, I64, _DOUBLE, _BINARY, LIST, _SET, _MAP, STRUCT = range(1, 13)
_INTEGERS: Final = frozenset({I16, _I32, I64})
_WIDTHS: Final = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}

Fields: TypeAlias = "dict[int, tuple[int, Any]]"
"""A struct: by the number of each field, its type and value, in the order in which they stand.

Integers are integers; a struct that was taken apart is `Fields`, a list of such structs a list of them; all else is the
bytes that follow the field's head.
"""

Shape: TypeAlias = "dict[int, Shape]"
"""Which fields are taken apart: by number, what to take apart within each struct or list of structs."""


def decoded(data: bytes, shape: Shape) -> Fields:
    r"""Read a struct.

    Parameters
    ----------
    data : bytes
        Begins with the struct.
    shape : Shape
        Which fields to take apart.

    Raises
    ------
    ValueError
        The bytes end early, or are of another protocol.

    Examples
    --------
    >>> decoded(b"\x15\x06\x19\x1c\x15\x08\x00\x00", {2: {}})
    {1: (5, 3), 2: (9, [{1: (5, 4)}])}
    >>> decoded(b"\x15\x06\x19\x1c\x15\x08\x00\x00", {})
    {1: (5, 3), 2: (9, b'\x1c\x15\x08\x00')}
    """
    try:
        return _struct(data, 0, shape)[0]
    except IndexError:
        raise ValueError("it ends in the middle of a field") from None


def encoded(fields: Fields) -> bytes:
    r"""Write a struct.

    >>> encoded({1: (5, 3), 2: (9, [{1: (5, 4)}])})
    b'\x15\x06\x19\x1c\x15\x08\x00\x00'
    """
    out = bytearray()
    _put_struct(out, fields)
    return bytes(out)


def _struct(data: bytes, at: int, shape: Shape) -> tuple[Fields, int]:
    fields: Fields = {}
    number = 0
    value: Any
    while head := data[at]:
        at += 1
        step, type_ = head >> 4, head & 15
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        if type_ in _INTEGERS:
            value, at = _integer(data, at)
        elif type_ == STRUCT and number in shape:
            value, at = _struct(data, at, shape[number])
        elif type_ == LIST and number in shape:
            value, at = _structs(data, at, shape[number])
        else:
            start, at = at, _end(data, at, type_)
            value = data[start:at]
        fields[number] = (type_, value)
    return fields, at + 1


def _structs(data: bytes, at: int, shape: Shape) -> tuple[list[Fields], int]:
    size, type_, at = _list_head(data, at)
    if type_ != STRUCT:
        raise ValueError(f"it holds a list of type {type_} where structs are expected")
    structs = []
    for _ in range(size):
        fields, at = _struct(data, at, shape)
        structs.append(fields)
    return structs, at


def _list_head(data: bytes, at: int) -> tuple[int, int, int]:
    head = data[at]
    if head >> 4 < 15:
        return head >> 4, head & 15, at + 1
    size, at = _varint(data, at + 1)
    return size, head & 15, at


def _end(data: bytes, at: int, type_: int) -> int:
    """Find where a value ends."""
    if type_ in _INTEGERS:
        while data[at] > 127:
            at += 1
        return at + 1
    if type_ == _BINARY:
        size, at = _varint(data, at)
        return at + size
    if type_ in _WIDTHS:
        return at + _WIDTHS[type_]
    if type_ == STRUCT:
        return _end_of_struct(data, at)
    if type_ in (LIST, _SET):
        return _end_of_list(data, at)
    raise ValueError(f"it holds a field of type {type_}, which no footer has")


def _end_of_struct(data: bytes, at: int) -> int:
    while head := data[at]:
        at += 1
        if head < 16:
            _, at = _varint(data, at)
        at = _end(data, at, head & 15)
    return at + 1


def _end_of_list(data: bytes, at: int) -> int:
    size, type_, at = _list_head(data, at)
    if type_ in (_TRUE, _FALSE):
        return at + size
    for _ in range(size):
        at = _end(data, at, type_)
    return at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    at += 1
    if value < 128:
        return value, at
    value, shift = value & 127, 7
    while (byte := data[at]) > 127:
        value |= (byte & 127) << shift
        shift += 7
        at += 1
    return value | byte << shift, at + 1


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _put_struct(out: bytearray, fields: Fields) -> None:
    last = 0
    for number, (type_, value) in fields.items():
        if 0 < number - last < 16:
            out.append((number - last) << 4 | type_)
        else:
            out.append(type_)
            _put_integer(out, number)
        last = number
        if type_ in _INTEGERS:
            _put_integer(out, value)
        elif isinstance(value, bytes):
            out += value
        elif type_ == STRUCT:
            _put_struct(out, value)
        else:
            _put_structs(out, value)
    out.append(0)


def _put_structs(out: bytearray, structs: list[Fields]) -> None:
    if len(structs) < 15:
        out.append(len(structs) << 4 | STRUCT)
    else:
        out.append(0xF0 | STRUCT)
        _put_varint(out, len(structs))
    for fields in structs:
        _put_struct(out, fields)


def _put_integer(out: bytearray, value: int) -> None:
    _put_varint(out, (value << 1) ^ (value >> 63))


def _put_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
