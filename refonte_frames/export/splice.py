"""Puts a Parquet file together from row groups of others, byte for byte; nothing here knows what the rows mean.

Only the footer tells where the columns of a row group begin (in Apache Thrift's compact protocol, as the Parquet format
defines it): the bytes of a row group can move to another file when these numbers are changed. That costs a hundredth
of decoding and encoding them again, and pyarrow has no function for it.
"""

from __future__ import annotations

import hashlib
import io
from struct import pack
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from refonte_frames.errors import ExportError

if TYPE_CHECKING:
    from typing import Protocol

    class Sink(Protocol):
        """What bytes are written to."""

        def write(self, data: Any, /) -> object: ...


__all__ = ["RowGroups", "Splicer", "writer_options"]

_MAGIC: Final = b"PAR1"
_TAIL: Final = 8
#: Footers of ours are far smaller; more is a damaged file.
_MAX_FOOTER: Final = 1 << 30

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

# Numbers of fields in parquet.thrift.
_FILE_SCHEMA, _FILE_ROWS, _FILE_GROUPS = 2, 3, 4
_GROUP_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 3, 5, 7
_CHUNK_OFFSET, _CHUNK_META = 2, 3
_META_BYTES, _META_OFFSETS = 7, (9, 10, 11)
#: Where page indexes and Bloom filters lie: they stand outside of the row group, and stay behind.
_CHUNK_ELSEWHERE: Final = frozenset({4, 5, 6, 7})
_META_ELSEWHERE: Final = frozenset({14, 15})
_MAX_ORDINAL: Final = 2**15 - 1

_Fields = dict[int, tuple[int, Any]]
"""A struct: by the number of each field, its type and value; in the order in which they stand."""


def writer_options(schema: pa.Schema) -> dict[str, Any]:
    """Return how pyarrow is to write a table of this schema.

    Dictionaries only where values repeat so often that they pay; no smallest and largest text of free-form columns,
    which nobody selects by and which would make footers large.
    """
    names = {"label", "field", "audited_by", "callback_url"}
    plain = {"instruction", "attachment", "value", "url", "comments", "error", "callback"}
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [
            column.name for column in schema if pa.types.is_dictionary(column.type) or column.name in names
        ],
        "write_statistics": [
            column.name for column in schema if not column.name.endswith("_json") and column.name not in plain
        ],
    }


class RowGroups:
    """The row groups of a Parquet file that can be copied.

    Parameters
    ----------
    file : pyarrow.NativeFile
        The file, open for reading at any place.
    where : str
        Names the file in an error's sentence.
    """

    def __init__(self, file: pa.NativeFile, where: str) -> None:
        self.file = file
        size = file.size()
        tail = _read_at(file, max(0, size - _TAIL), _TAIL)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or length > min(_MAX_FOOTER, size - _TAIL):
            raise ExportError(f"{where} is no whole Parquet file. Export again with full=True to mend the folder.")
        footer = _Decoder(_read_at(file, size - _TAIL - length, length)).struct()
        self.schema = footer[_FILE_SCHEMA][1]
        self.groups: list[_Fields] = footer[_FILE_GROUPS][1][1]
        self.footer = footer

    def __len__(self) -> int:
        return len(self.groups)


class Splicer:
    """Writes one Parquet file of row groups that are copied, or encoded here.

    Parameters
    ----------
    sink : file
        Takes the bytes, from the first to the last.
    schema : pyarrow.Schema
        The columns; goes into the file with its metadata.

    Attributes
    ----------
    rows, bytes : int
        What was written so far.
    """

    def __init__(self, sink: Sink, schema: pa.Schema) -> None:
        self._sink = sink
        self._schema = schema
        self._options = writer_options(schema)
        self._template = self._encoded(schema.empty_table())
        self._groups: list[_Fields] = []
        self._hash = hashlib.sha256()
        self.rows = 0
        self.bytes = 0
        self._put(_MAGIC)

    @property
    def sha256(self) -> str:
        """Hash of all bytes written so far."""
        return self._hash.hexdigest()

    def can_copy(self, source: RowGroups) -> bool:
        """Say whether a file describes its columns in the very same way."""
        return bool(source.schema == self._template.schema)

    def copy(self, source: RowGroups, index: int) -> None:
        """Copy a row group as it is."""
        group = source.groups[index]
        start, end = _extent(group)
        moved = _moved(group, self.bytes - start, len(self._groups))
        self._put(_read_at(source.file, start, end - start))
        self._groups.append(moved)
        self.rows += group[_GROUP_ROWS][1]

    def write(self, rows: pa.Table) -> None:
        """Encode rows as a row group of their own."""
        if rows.num_rows:
            self.copy(self._encoded(rows), 0)

    def close(self) -> None:
        """Write the footer; the sink stays open."""
        footer = self._template.footer | {
            _FILE_ROWS: (_I64, self.rows),
            _FILE_GROUPS: (_LIST, (_STRUCT, self._groups)),
        }
        encoder = _Encoder()
        encoder.struct(dict(sorted(footer.items())))
        body = encoder.out.getvalue()
        self._put(body + len(body).to_bytes(4, "little") + _MAGIC)

    def _encoded(self, rows: pa.Table) -> RowGroups:
        buffer = pa.BufferOutputStream()
        pq.write_table(rows, buffer, row_group_size=max(1, rows.num_rows), **self._options)
        return RowGroups(pa.BufferReader(buffer.getvalue()), "a row group in memory")

    def _put(self, data: bytes | pa.Buffer) -> None:
        self._sink.write(data)
        self._hash.update(data)
        self.bytes += len(data)


def _read_at(file: pa.NativeFile, start: int, length: int) -> bytes:
    file.seek(start)
    data: bytes = file.read(length)
    return data


def _extent(group: _Fields) -> tuple[int, int]:
    """Return where the bytes of a row group begin and end."""
    starts, ends = [], []
    for chunk in group[_GROUP_COLUMNS][1][1]:
        meta = chunk[_CHUNK_META][1]
        start = min(meta[number][1] for number in _META_OFFSETS if meta.get(number, (0, 0))[1] > 0)
        starts.append(start)
        ends.append(start + meta[_META_BYTES][1])
    return min(starts), max(ends)


def _moved(group: _Fields, shift: int, ordinal: int) -> _Fields:
    """Return a row group's description at another place of a file."""
    element, chunks = group[_GROUP_COLUMNS][1]
    moved = dict(group)
    moved[_GROUP_COLUMNS] = (_LIST, (element, [_moved_chunk(chunk, shift) for chunk in chunks]))
    if _GROUP_OFFSET in group:
        moved[_GROUP_OFFSET] = (_I64, group[_GROUP_OFFSET][1] + shift)
    moved.pop(_GROUP_ORDINAL, None)
    if ordinal <= _MAX_ORDINAL:
        moved[_GROUP_ORDINAL] = (_I16, ordinal)
    return moved


def _moved_chunk(chunk: _Fields, shift: int) -> _Fields:
    moved = {number: field for number, field in chunk.items() if number not in _CHUNK_ELSEWHERE}
    if chunk.get(_CHUNK_OFFSET, (0, 0))[1] > 0:
        moved[_CHUNK_OFFSET] = (_I64, chunk[_CHUNK_OFFSET][1] + shift)
    meta = {number: field for number, field in chunk[_CHUNK_META][1].items() if number not in _META_ELSEWHERE}
    for number in _META_OFFSETS:
        if meta.get(number, (0, 0))[1] > 0:
            meta[number] = (_I64, meta[number][1] + shift)
    moved[_CHUNK_META] = (_STRUCT, meta)
    return moved


class _Decoder:
    """Reads structs of the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def struct(self) -> _Fields:
        data, fields, number = self._data, {}, 0
        while head := data[self._at]:
            self._at += 1
            step, type_ = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            fields[number] = (type_, self._value(type_))
        self._at += 1
        return fields

    def _value(self, type_: int) -> Any:
        if type_ in (_I32, _I64, _I16):
            return self._zigzag()
        if type_ == _BINARY:
            return self._bytes(self._varint())
        if type_ == _STRUCT:
            return self.struct()
        if type_ in (_LIST, _SET):
            return self._list()
        if type_ in (_TRUE, _FALSE):
            return None
        if type_ == _BYTE:
            return self._bytes(1)
        if type_ == _DOUBLE:
            return self._bytes(8)
        raise ExportError(f"a Parquet footer holds a field of type {type_}, which the format does not use.")

    def _list(self) -> tuple[int, list[Any]]:
        head = self._data[self._at]
        self._at += 1
        size, type_ = head >> 4, head & 15
        size = self._varint() if size == 15 else size
        if type_ in (_TRUE, _FALSE):
            return type_, [self._bytes(1) for _ in range(size)]
        return type_, [self._value(type_) for _ in range(size)]

    def _bytes(self, length: int) -> bytes:
        self._at += length
        return self._data[self._at - length : self._at]

    def _varint(self) -> int:
        data, at = self._data, self._at
        value = data[at]
        if value < 128:
            self._at = at + 1
            return value
        value, shift = value & 127, 7
        while True:
            at += 1
            byte = data[at]
            value |= (byte & 127) << shift
            if byte < 128:
                self._at = at + 1
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


class _Encoder:
    """Writes structs of the compact protocol."""

    def __init__(self) -> None:
        self.out = io.BytesIO()

    def struct(self, fields: _Fields) -> None:
        last = 0
        for number, (type_, value) in fields.items():
            if 0 < number - last <= 15:
                self.out.write(pack("B", (number - last) << 4 | type_))
            else:
                self.out.write(pack("B", type_))
                self._zigzag(number)
            self._value(type_, value)
            last = number
        self.out.write(b"\0")

    def _value(self, type_: int, value: Any) -> None:
        if type_ in (_I32, _I64, _I16):
            self._zigzag(value)
        elif type_ == _BINARY:
            self._varint(len(value))
            self.out.write(value)
        elif type_ == _STRUCT:
            self.struct(value)
        elif type_ in (_LIST, _SET):
            self._list(*value)
        elif value is not None:
            self.out.write(value)

    def _list(self, type_: int, values: list[Any]) -> None:
        if len(values) < 15:
            self.out.write(pack("B", len(values) << 4 | type_))
        else:
            self.out.write(pack("B", 0xF0 | type_))
            self._varint(len(values))
        for value in values:
            self._value(type_, value)

    def _varint(self, value: int) -> None:
        while value > 127:
            self.out.write(pack("B", value & 127 | 128))
            value >>= 7
        self.out.write(pack("B", value))

    def _zigzag(self, value: int) -> None:
        self._varint((value << 1) ^ (value >> 63))
