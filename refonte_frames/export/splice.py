"""Puts a Parquet file together from row groups of others, byte for byte; nothing here knows what the rows mean.

Only the footer tells where the columns of a row group begin (in Apache Thrift's compact protocol, as the Parquet format
defines it): the bytes of a row group can move to another file when these numbers are changed. That costs a hundredth
of decoding and encoding them again, and pyarrow has no function for it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refonte_frames.errors import ExportError
from refonte_frames.export.thrift import I16, I64, LIST, STRUCT, decoded, encoded

if TYPE_CHECKING:
    from typing import Protocol

    from refonte_frames.export.thrift import Fields, Shape

    class Sink(Protocol):
        """What bytes are written to."""

        def write(self, data: Any, /) -> object: ...


__all__ = ["RowGroups", "Splicer", "with_used_values", "writer_options"]

_MAGIC: Final = b"PAR1"
_TAIL: Final = 8
#: Footers of ours are far smaller; more is a damaged file.
_MAX_FOOTER: Final = 1 << 30

# Numbers of fields in parquet.thrift.
_FILE_SCHEMA, _FILE_ROWS, _FILE_GROUPS = 2, 3, 4
_GROUP_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _GROUP_ORDINAL = 1, 3, 5, 7
_CHUNK_OFFSET, _CHUNK_META = 2, 3
_META_BYTES, _META_OFFSETS = 7, (9, 10, 11)
#: Where page indexes and Bloom filters lie: they stand outside of the row group, and stay behind.
_CHUNK_ELSEWHERE: Final = frozenset({4, 5, 6, 7})
_META_ELSEWHERE: Final = frozenset({14, 15})
_MAX_ORDINAL: Final = 2**15 - 1

#: What of a footer is looked at or changed: row groups, their columns, and where the data of these lie.
_LOOKED_AT: Final[Shape] = {_FILE_GROUPS: {_GROUP_COLUMNS: {_CHUNK_META: {}}}}


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


def with_used_values(rows: pa.Table) -> pa.Table:
    """Drop the values of dictionaries that no row has.

    Of a column with nulls pyarrow would write them into the statistics, as exact bounds, and engines that answer
    ``max(column)`` from these would name a value that is not there.
    """
    for position, column in enumerate(rows.columns):
        if pa.types.is_dictionary(column.type) and any(_has_unused(chunk) for chunk in column.chunks):
            used = column.cast(column.type.value_type).dictionary_encode().cast(column.type)
            rows = rows.set_column(position, rows.schema.field(position), used)
    return rows


def _has_unused(chunk: pa.DictionaryArray) -> bool:
    return bool(chunk.null_count) and len(chunk.dictionary) > pc.count_distinct(chunk.indices).as_py()


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
        try:
            footer = decoded(_read_at(file, size - _TAIL - length, length), _LOOKED_AT)
        except ValueError as error:
            raise ExportError(
                f"{where} has a damaged footer: {error}. Export again with full=True to mend the folder."
            ) from None
        self.schema: bytes = footer[_FILE_SCHEMA][1]
        self.groups: list[Fields] = footer[_FILE_GROUPS][1]
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
        self._groups: list[Fields] = []
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
        return source.schema == self._template.schema

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
            _FILE_ROWS: (I64, self.rows),
            _FILE_GROUPS: (LIST, self._groups),
        }
        body = encoded(dict(sorted(footer.items())))
        self._put(body + len(body).to_bytes(4, "little") + _MAGIC)

    def _encoded(self, rows: pa.Table) -> RowGroups:
        buffer = pa.BufferOutputStream()
        pq.write_table(with_used_values(rows), buffer, row_group_size=max(1, rows.num_rows), **self._options)
        return RowGroups(pa.BufferReader(buffer.getvalue()), "a row group in memory")

    def _put(self, data: bytes | pa.Buffer) -> None:
        self._sink.write(data)
        self._hash.update(data)
        self.bytes += len(data)


def _read_at(file: pa.NativeFile, start: int, length: int) -> bytes:
    file.seek(start)
    data: bytes = file.read(length)
    return data


def _extent(group: Fields) -> tuple[int, int]:
    """Return where the bytes of a row group begin and end."""
    starts, ends = [], []
    for chunk in group[_GROUP_COLUMNS][1]:
        meta = chunk[_CHUNK_META][1]
        start = min(meta[number][1] for number in _META_OFFSETS if meta.get(number, (0, 0))[1] > 0)
        starts.append(start)
        ends.append(start + meta[_META_BYTES][1])
    return min(starts), max(ends)


def _moved(group: Fields, shift: int, ordinal: int) -> Fields:
    """Return a row group's description at another place of a file."""
    moved = dict(group)
    moved[_GROUP_COLUMNS] = (LIST, [_moved_chunk(chunk, shift) for chunk in group[_GROUP_COLUMNS][1]])
    if _GROUP_OFFSET in group:
        moved[_GROUP_OFFSET] = (I64, group[_GROUP_OFFSET][1] + shift)
    moved.pop(_GROUP_ORDINAL, None)
    if ordinal <= _MAX_ORDINAL:
        moved[_GROUP_ORDINAL] = (I16, ordinal)
    return moved


def _moved_chunk(chunk: Fields, shift: int) -> Fields:
    moved = {number: field for number, field in chunk.items() if number not in _CHUNK_ELSEWHERE}
    if chunk.get(_CHUNK_OFFSET, (0, 0))[1] > 0:
        moved[_CHUNK_OFFSET] = (I64, chunk[_CHUNK_OFFSET][1] + shift)
    meta = {number: field for number, field in chunk[_CHUNK_META][1].items() if number not in _META_ELSEWHERE}
    for number in _META_OFFSETS:
        if meta.get(number, (0, 0))[1] > 0:
            meta[number] = (I64, meta[number][1] + shift)
    moved[_CHUNK_META] = (STRUCT, meta)
    return moved
