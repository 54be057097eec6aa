"""Receipts of input that comes chunk by chunk: Parquet parts of one schema in a folder. Files are written here."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from refonte_frames.cells import CellError, json_value
from refonte_frames.errors import JournalError
from refonte_frames.upload.chunks import counts_rows
from refonte_frames.upload.mapping import RECEIPT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ReceiptParts"]

#: The columns that are ours always have these types.
_OURS: Final = {name: pa.string() for name in RECEIPT_COLUMNS} | {"changed": pa.bool_(), "tries": pa.int64()}
#: Marks columns whose values have no type in common: they are kept as JSON text.
_AS_JSON: Final = {b"refonte": b"json"}


@dataclass(frozen=True, slots=True)
class _Cells:
    """A column of a part: of an Arrow type, or text that is JSON."""

    array: Any
    is_json: bool = False


class ReceiptParts:
    """Writes one part a chunk; all parts have the same columns and types at any time.

    A type is that of the first chunk. When a later chunk brings another, the column takes the type that holds both
    exactly: any type beside nulls alone, double beside integers, else JSON text. An index that says something is in
    columns of its own, before the others, from the first chunk that has one; where it is a column's name it gives way.
    The parts before are written again.
    Dictionaries, other Python objects and what Parquet has no type for are JSON text from the start.

    Parameters
    ----------
    journal : Path
        The folder is made beside it with the first part, for its user's eyes only:
        ``<journal>.receipts/<time of the call>``.
    """

    def __init__(self, journal: Path) -> None:
        self._kinds: dict[str, pa.DataType | None] = dict(_OURS)
        self._parts: list[Path] = []
        self._names: list[str] = []
        self._has_index = False
        stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        # The tail, for calls of the same second.
        self.folder = journal.with_name(f"{journal.name}.receipts") / f"{stamp}-{secrets.token_hex(3)}"

    def add(self, receipt: pd.DataFrame) -> None:
        """Write the receipt of the next chunk.

        Raises
        ------
        JournalError
            If the file cannot be written; nothing is left of it then.
        """
        self._has_index = self._has_index or not counts_rows(receipt.index)
        cells = {name: _cells(column) for name, column in _named_columns(receipt, with_index=self._has_index)}
        path = self.folder / f"part-{len(self._parts):05}.parquet"
        with _guarded(path):
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            kinds = {name: self._kind(name, each) for name, each in cells.items()}
            new = [name for name in cells if name not in self._names]
            is_wider = bool(new) or any(self._kinds[name] != kinds[name] for name in self._names if name in kinds)
            self._kinds |= kinds
            self._names = [*new, *self._names]
            for part in self._parts if is_wider else ():
                self._write(part, _read(part))
            self._write(path, cells)
        self._parts.append(path)

    def _kind(self, name: str, cells: _Cells) -> pa.DataType | None:
        """Choose the type that holds what is there and what comes; None is JSON text."""
        kind = cells.array.type
        if name not in self._kinds:
            return None if cells.is_json else kind
        known = self._kinds[name]
        if known is None or cells.is_json:
            return None
        if kind == known or _holds(known, cells.array):
            return known
        if pa.types.is_null(known):
            return kind
        if _is_number(known) and _is_number(kind):
            arrays = itertools.chain([cells.array], (_read(part, [name])[name].array for part in self._parts))
            return pa.float64() if all(_holds(pa.float64(), array) for array in arrays) else None
        return None

    def _write(self, path: Path, cells: Mapping[str, _Cells]) -> None:
        arrays, fields = [], []
        rows = len(next(iter(cells.values())).array)
        for name in self._names:
            kind = self._kinds[name]
            each = cells.get(name) or _Cells(pa.nulls(rows, kind or pa.string()), is_json=kind is None)
            is_json = kind is None
            arrays.append(each.array.cast(kind) if not is_json else each.array if each.is_json else _json(each.array))
            fields.append(pa.field(name, kind or pa.string(), metadata=_AS_JSON if is_json else None))
        temporary = path.with_suffix(".tmp")
        try:
            pq.write_table(pa.table(arrays, schema=pa.schema(fields)), temporary, compression="zstd")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"The receipts {path} cannot be written: {error.strerror or error}. The journal has what became of the "
            "rows: run the same call again once there is room, and each row ends exactly once."
        ) from None


def _read(part: Path, columns: Sequence[str] | None = None) -> dict[str, _Cells]:
    table = pq.read_table(part, columns=columns, partitioning=None)
    return {
        field.name: _Cells(column.combine_chunks(), is_json=field.metadata == _AS_JSON)
        for field, column in zip(table.schema, table.columns, strict=True)
    }


def _named_columns(receipt: pd.DataFrame, *, with_index: bool) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Name the columns as Parquet wants them, by texts that occur once, those of the index before the others."""
    taken = set(RECEIPT_COLUMNS)
    theirs = [_free_name(str(name), taken) for name in receipt.columns[: -len(RECEIPT_COLUMNS)]]
    if with_index:
        names = [name if name is not None else f"index_{at}" for at, name in enumerate(receipt.index.names)]
        for at, name in enumerate(["index"] if names == ["index_0"] else names):
            yield _free_name(str(name), taken), receipt.index.get_level_values(at).to_series()
    for at, text in enumerate([*theirs, *RECEIPT_COLUMNS]):
        yield text, receipt.iloc[:, at]


def _free_name(text: str, taken: set[str]) -> str:
    """Lengthen a name until nobody bears it, and take it."""
    while text in taken:
        text += "_"
    taken.add(text)
    return text


def _cells(column: pd.Series[Any]) -> _Cells:
    try:
        array = pa.array(column, from_pandas=True)
    except (pa.ArrowException, UnicodeError, OverflowError):
        return _Cells(_json(column), is_json=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.string())
    is_object = not isinstance(column.dtype, pd.ArrowDtype)
    return _Cells(array) if _is_kept(array.type, is_object=is_object) else _Cells(_json(column), is_json=True)


def _is_kept(kind: pa.DataType, *, is_object: bool) -> bool:
    """Whether Parquet gives values of this type back; a struct made of dicts would give each of them all keys."""
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_kept(kind.value_type, is_object=is_object)
    if types.is_struct(kind):
        return not is_object and all(_is_kept(field.type, is_object=is_object) for field in kind)
    plain = (types.is_null, types.is_boolean, types.is_integer, types.is_string, types.is_large_string)
    others = (types.is_binary, types.is_date, types.is_time, types.is_timestamp, types.is_decimal)
    is_float = types.is_floating(kind) and not types.is_float16(kind)
    return is_float or any(check(kind) for check in (*plain, *others))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _holds(kind: pa.DataType, array: Any) -> bool:
    """Whether a type holds the values of an array exactly, as what they are."""
    if array.type == kind or pa.types.is_null(array.type):
        return True
    if not (_is_number(kind) and _is_number(array.type)):
        return False
    try:
        back = array.cast(kind).cast(array.type)
    except pa.ArrowException:
        return False
    return bool(pc.all(pc.equal(back, array)).as_py() is not False)


def _json(values: Iterable[Any]) -> Any:
    """Write values as JSON; what JSON does not know is written as its text."""
    cells = values.to_pylist() if isinstance(values, pa.Array) else values
    return pa.array([_json_text(cell) for cell in cells], pa.string())


def _json_text(cell: Any) -> str | None:
    try:
        value = json_value(cell)
    except CellError:
        value = str(cell).encode("utf-8", "backslashreplace").decode()
    return None if value is None else msgspec.json.encode(value).decode()
