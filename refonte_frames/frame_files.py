"""Frames in files, for the command line: CSV, Parquet and JSON Lines, in and out, without guessing what an id means."""

from __future__ import annotations

import csv
import json
import os
import re
from numbers import Number
from typing import TYPE_CHECKING, Any, Final, TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from refonte_frames.errors import InputError
from refonte_frames.export.spreadsheets import marked, unmarked
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

__all__ = ["FORMATS", "check_target", "parse_json", "plain", "read_frame", "write_csv", "write_frame"]

#: What a file is, by the end of its name.
FORMATS: Final = {
    ".csv": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".jsonl": "JSON Lines",
    ".ndjson": "JSON Lines",
}

_INTEGER: Final = re.compile(r"-?[1-9]\d{0,17}|0")
_DECIMAL: Final = re.compile(r"-?\d+\.\d+")
_BOOLEANS: Final = {"true": True, "false": False, "True": True, "False": False}
#: Fields longer than the csv module's own limit of 128 KiB are real: whole documents to be labeled.
_LONGEST_FIELD: Final = 2**31 - 1


#: What tells that we wrote a CSV file: the columns of receipts, plans and downloads.
_OF_OURS: Final = (
    frozenset({"outcome", "error_code", "error_message"}),
    frozenset({"action", "error_message", "bytes"}),
    frozenset({"attachment_index", "outcome", "error", "sha256"}),
)


def read_frame(path: Path, *, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """Read a frame from a file; what it is, the end of its name says.

    Parquet and JSON Lines say themselves what a value is. In a CSV file everything is text, and stays text unless
    nothing can be lost: a column becomes numbers only if every number in it is written as it would be printed (``5``
    and ``0.25`` are, ``00123``, ``1.10`` and ``1e5`` are not), booleans if it holds nothing but ``true`` and ``false``,
    and lists or objects if every value is one in JSON. Only an empty field is null; ``NA`` is text. In a receipt, or
    another file of ours, apostrophes that guard texts from spreadsheets are taken away.

    Parameters
    ----------
    path : Path
        The file.
    text_columns : collection of str
        Columns of a CSV file that stay text in any case.

    Raises
    ------
    InputError
        The file is missing, of an unknown kind, or broken; the sentence says where.
    """
    place = at_home(path)
    kind = FORMATS.get(place.suffix.lower())
    if kind is None:
        raise InputError(f"{place}: a frame is read from a file that ends in {', '.join(FORMATS)}.")
    try:
        return {"CSV": _read_csv, "Parquet": _read_parquet, "JSON Lines": _read_json_lines}[kind](place, text_columns)
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 (byte {error.start}): save it again as UTF-8.") from error
    except OSError as error:
        raise InputError(f"{place} cannot be read: {error.strerror or error}.") from error


def check_target(path: Path) -> None:
    """Refuse a file that `write_frame` could not write, before the work whose rows it is to hold.

    Raises
    ------
    InputError
        The end of the name says nothing, or there is no such folder.
    """
    place = at_home(path)
    if place.suffix.lower() not in FORMATS:
        raise InputError(f"{place}: a frame is written to a file that ends in {', '.join(FORMATS)}.")
    if place.is_dir():
        raise InputError(f"{place} cannot be written: it is a folder. Name a file.")
    if not place.parent.is_dir():
        raise InputError(
            f"{place} cannot be written: there is no folder {place.parent}. Make it, or name another file."
        )
    if not os.access(place if place.exists() else place.parent, os.W_OK):
        raise InputError(f"{place} cannot be written: permission denied. Name another file.")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame to a file, without its index; the end of the name says as what.

    Raises
    ------
    InputError
        The name says nothing, or the file cannot be written.
    """
    place = at_home(path)
    check_target(place)
    kind = FORMATS[place.suffix.lower()]
    try:
        if kind == "Parquet":
            frame.to_parquet(place, index=False)
            return
        # Half a character, which UTF-8 cannot hold, is written as JSON would write it.
        with place.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
            (write_csv if kind == "CSV" else _write_json_lines)(frame, file)
    except (pa.ArrowException, TypeError, UnicodeEncodeError) as error:
        raise InputError(f"{place} cannot hold these rows ({error}); a .jsonl file can.") from error
    except OSError as error:
        raise InputError(f"{place} cannot be written: {error.strerror or error}.") from error


def write_csv(frame: pd.DataFrame, file: TextIO) -> None:
    """Write a frame as CSV: null as an empty field, lists and objects as JSON.

    A text that a spreadsheet would take for a formula, as a column's name may be, has an apostrophe before it;
    `read_frame` takes it away from files that are recognised as ours by their columns.
    """
    writer = csv.writer(_Lines(file), lineterminator="\r\n")
    writer.writerow([_cell(name) for name in frame.columns])
    for row in frame.itertuples(index=False, name=None):
        writer.writerow([_cell(value) for value in row])


class _Lines:
    """Ends lines in a line feed: the writer quotes a carriage return only where lines end in one."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix("\r\n") + "\n")


def _cell(value: Any) -> Any:
    field = _field(value)
    return marked(field) if isinstance(field, str) and not isinstance(value, Number) else field


def _read_parquet(path: Path, _: Collection[str]) -> pd.DataFrame:
    try:
        if path.is_file():
            _check_repeats(pq.read_schema(path).names, path)
        return pd.read_parquet(path, dtype_backend="pyarrow")
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is no Parquet file: {str(error).rstrip('.')}.") from error


def _read_json_lines(path: Path, _: Collection[str]) -> pd.DataFrame:
    """Keep every value as it stands: a frame of Python objects, so that an integer beside a null stays an integer."""
    records = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                records.append(_json_object(line, f"{path}, line {number}"))
    return pd.DataFrame(records, dtype=object)


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        record = parse_json(line)
    except ValueError as error:
        raise InputError(f"{where} is no JSON: {error}.") from error
    if not isinstance(record, dict):
        raise InputError(f'{where} is no JSON object such as {{"text": "…"}}.')
    return record


def parse_json(text: str) -> Any:
    """Parse strictly: no NaN, no key twice in an object, no nesting without end.

    Raises
    ------
    ValueError
        If it is no such JSON.

    Examples
    --------
    >>> parse_json('{"n": 1, "n": 2}')
    Traceback (most recent call last):
    ValueError: the key 'n' stands twice in one object
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unrepeated)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object; of a key that stands there twice one value would be lost."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _read_csv(path: Path, text_columns: Collection[str]) -> pd.DataFrame:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        header, rows = _checked_rows(lines, path)
    if any(columns.issubset(header) for columns in _OF_OURS):
        header, rows = [unmarked(name) for name in header], [[unmarked(text) for text in row] for row in rows]
    columns = {
        name: _text(values) if name in text_columns else _typed(values)
        for name, values in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True)
    }
    return pd.DataFrame(columns, columns=header)


def _checked_rows(lines: Any, path: Path) -> tuple[list[str], list[list[str]]]:
    """Read header and rows, every row as long as the header: a shifted row would put each value under a wrong name."""
    try:
        header: list[str] = next(lines, [])
        _check_header(header, path)
        rows = []
        for row in lines:
            if row and len(row) != len(header):
                raise InputError(f"{path}, line {lines.line_num}: {len(row)} fields, but the header has {len(header)}.")
            if row:
                rows.append(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {lines.line_num} is no CSV: {error}.") from error
    return header, rows


def _check_header(header: Sequence[str], path: Path) -> None:
    if not any(header):
        raise InputError(f"{path} has no header line with the names of the columns.")
    _check_repeats(header, path)
    if len(header) == 1 and (separator := next((mark for mark in (";", "\t") if mark in header[0]), None)):
        raise InputError(f"{path} is separated by {separator!r}: write it with commas.")


def _check_repeats(names: Sequence[str], path: Path) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path} has more than one column {', '.join(map(repr, repeated))}: rename all but one.")


def _typed(values: Sequence[str]) -> pd.Series[Any]:
    """Choose the narrowest reading of a column that loses nothing."""
    present = [value for value in values if value]
    for reading in (_integers, _numbers, _booleans, _json_values):
        if present and (convert := reading(present)):
            return convert(values)
    return _text(values)


def _text(values: Sequence[str]) -> pd.Series[Any]:
    return pd.Series([value or None for value in values], dtype=pd.ArrowDtype(pa.string()))


def _integers(present: Sequence[str]) -> Callable[[Sequence[str]], pd.Series[Any]] | None:
    if all(_INTEGER.fullmatch(value) for value in present):
        return lambda values: pd.Series([int(value) if value else None for value in values], dtype="Int64")
    return None


def _numbers(present: Sequence[str]) -> Callable[[Sequence[str]], pd.Series[Any]] | None:
    if all(_INTEGER.fullmatch(value) or _is_printed_float(value) for value in present):
        return lambda values: pd.Series([float(value) if value else None for value in values], dtype="Float64")
    return None


def _is_printed_float(value: str) -> bool:
    """Tell whether a text is what printing the number would give: 0.5 and -3.25, not 1.10, 1e5, nan or 007.5."""
    return _DECIMAL.fullmatch(value) is not None and repr(float(value)) == value


def _booleans(present: Sequence[str]) -> Callable[[Sequence[str]], pd.Series[Any]] | None:
    if all(value in _BOOLEANS for value in present):
        return lambda values: pd.Series([_BOOLEANS.get(value) for value in values], dtype="boolean")
    return None


def _json_values(present: Sequence[str]) -> Callable[[Sequence[str]], pd.Series[Any]] | None:
    if all(value[0] in "[{" for value in present):
        try:
            parsed = {value: parse_json(value) for value in present}
        except ValueError:
            return None
        return lambda values: pd.Series([parsed.get(value) for value in values], dtype=object)
    return None


def _write_json_lines(frame: pd.DataFrame, file: TextIO) -> None:
    for row in frame.itertuples(index=False, name=None):
        record = {str(column): plain(value) for column, value in zip(frame.columns, row, strict=True)}
        file.write(json.dumps(record, ensure_ascii=False, default=plain) + "\n")


def _field(value: Any) -> Any:
    """Make the CSV field of a cell."""
    field = plain(value)
    if isinstance(field, (list, dict, bool)):
        return json.dumps(field, ensure_ascii=False, default=plain)
    return "" if field is None else field


def plain(value: Any) -> Any:
    """Turn a cell, or a value inside one, into what JSON knows: null of any kind is None, a time its ISO text."""
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if value is None or pd.isna(value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if isinstance(value, (str, int, float, bool)) else str(value)
