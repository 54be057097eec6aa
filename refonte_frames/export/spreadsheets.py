"""Tables for people with a spreadsheet: CSV and Excel files in which a text stays a text. Knows no table by name.

A program that opens a CSV file takes a cell that begins with ``=`` for a formula, and runs it. Labels, remarks and
metadata were typed by somebody, so they are marked in CSV, and written as texts in Excel's own format.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from refonte_frames.errors import ConfigError, InputError
from refonte_frames.frames import as_pandas
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["marked", "to_csv", "to_excel", "unmarked"]

#: What a spreadsheet takes for the beginning of a formula, behind characters that it does not show.
_BLANKS: Final = r"[\s\p{Z}\x{FEFF}\x{200B}-\x{200F}\x{2060}]*"
_FORMULA: Final = rf"^('*{_BLANKS}[=+\-@\t\r\x{{FF1D}}\x{{FF0B}}\x{{FF0D}}\x{{FF20}}])"
#: The same for Python's own expressions, one text at a time.
_IS_FORMULA: Final = re.compile(
    r"'*[\t\n\f\r \u00a0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]*"
    r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]"
)
#: Without it Excel reads UTF-8 as if it were the letters of Windows.
_BOM: Final = b"\xef\xbb\xbf"
_TMP: Final = "_tmp-"

#: Excel's own limits.
_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384
_LONGEST_TEXT: Final = 32_767
#: Digits beyond the fifteenth are lost in a number of Excel's.
_EXACT: Final = 10**15
_EXCEL_YEARS: Final = range(1900, 10_000)
_TIME_FORMAT: Final = "yyyy-mm-dd hh:mm:ss.000"
_DATE_FORMAT: Final = "yyyy-mm-dd"


def to_csv(rows: Any, path: str | os.PathLike[str], *, excel_safe: bool = True) -> None:
    r"""Write a table as a CSV file that a spreadsheet can open without running anything.

    Parameters
    ----------
    rows : pandas.DataFrame, polars.DataFrame, pyarrow.Table, or pyarrow.RecordBatchReader
        The rows, without the index of a frame. A reader is written as it is read, in constant memory.
    path : path
        The file; it is replaced in one step once it is whole.
    excel_safe : bool
        Mark texts, and names of columns, that a spreadsheet would take for a formula, by an apostrophe before them:
        those that begin with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return, also behind blanks or in their
        full width, and those that look marked already. Numbers are never touched. And begin the file with a byte
        order mark, without which Excel does not read UTF-8. False writes everything as it is.

    Returns
    -------
    None

    Raises
    ------
    InputError
        `rows` is no frame, a column mixes kinds of values, or the file cannot be written.

    Notes
    -----
    UTF-8; texts in quotes, null as nothing and the empty text as ``""``, but both as ``""`` where there is one column
    only; times in ISO 8601 with ``Z``; lists and objects as JSON. The mark can be taken away: exactly by
    `refonte_frames.export.spreadsheets.unmarked`, but for odd blanks and full widths also in pandas, by
    ``text.str.replace(r"^'(?='*\s*[=+\-@\t\r])", "", regex=True)``. Long digits in a text, such as some ids, are still
    shown as numbers by a spreadsheet that opens a CSV file; `to_excel` keeps them. Parquet files never hold marks.

    Examples
    --------
    >>> rf.to_csv(pd.DataFrame({"label": ["=cmd()", "cat"], "left": [-1.5, 2.0]}), "labels.csv")
    >>> with open("labels.csv", encoding="utf-8-sig") as file:
    ...     print(file.read().strip())
    "label","left"
    "'=cmd()",-1.5
    "cat",2

    >>> rf.to_csv([1, 2], "labels.csv")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: A list is no frame. ...
    """
    reader = _reader_of(rows)
    forms = [_form(field.type) for field in reader.schema]
    if len(forms) == 1:
        # Nothing at all in a line of one column is no line to most readers, and the row would be lost.
        forms = [_never_nothing(forms[0] or _cast)]
    names = reader.schema.names
    texts = [form is not None and not _is_number(type_) for form, type_ in zip(forms, reader.schema.types, strict=True)]
    plain = pa.schema(
        [
            (name, pa.string() if form else type_)
            for name, form, type_ in zip(names, forms, reader.schema.types, strict=True)
        ]
    )
    with _written(at_home(path)) as temporary, temporary.open("wb") as file:
        file.write((_BOM if excel_safe else b"") + _header(names, excel_safe=excel_safe))
        with pacsv.CSVWriter(file, plain, write_options=pacsv.WriteOptions(include_header=False)) as writer:
            for batch in reader:
                columns = [form(column) if form else column for form, column in zip(forms, batch.columns, strict=True)]
                if excel_safe:
                    columns = [_marked(made) if is_text else made for is_text, made in zip(texts, columns, strict=True)]
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=plain))


def marked(text: str) -> str:
    """Put the mark of `to_csv` before a text that needs it.

    >>> marked("=cmd()"), marked("'=cmd()"), marked("'tis")
    ("'=cmd()", "''=cmd()", "'tis")
    """
    return f"'{text}" if _IS_FORMULA.match(text) else text


def unmarked(text: str) -> str:
    """Take the mark of `to_csv` from a text that has it.

    >>> unmarked("'=cmd()"), unmarked("'tis")
    ('=cmd()', "'tis")
    """
    return text[1:] if text.startswith("'") and _IS_FORMULA.match(text, 1) else text


def to_excel(rows: Any, path: str | os.PathLike[str], *, long_texts: Literal["error", "cut"] = "error") -> None:
    """Write one table, or several, as an Excel file in which texts are texts and ids keep their digits.

    Parameters
    ----------
    rows : pandas.DataFrame, polars.DataFrame, pyarrow.Table, pyarrow.RecordBatchReader, or a mapping of names to them
        The rows, without the index of a frame. Of a mapping each becomes a sheet of that name.
    path : path
        The file; it is replaced in one step once it is whole.
    long_texts : {"error", "cut"}
        A cell of Excel's holds 32,767 characters. What to do with a longer text: refuse it, or cut it and end it
        in ``…``.

    Returns
    -------
    None

    Raises
    ------
    InputError
        `rows` is no frame, a column mixes kinds of values, a text is too long, there are more rows or columns than a
        sheet holds, or the file cannot be written.
    ConfigError
        XlsxWriter is not installed.

    Notes
    -----
    No cell is a formula or a link, whatever it begins with. Times are Excel's own, in UTC; integers of more than 15
    digits, times with more than milliseconds or before 1900, and numbers that are none are texts; lists and objects
    are JSON. Memory stays bounded.

    Examples
    --------
    >>> rf.to_excel({"tasks": pd.DataFrame({"task_id": ["576ba74eec471ff9b0155a13"]})}, "tasks.xlsx")

    >>> rf.to_excel(pd.DataFrame({"text": ["a" * 40_000]}), "tasks.xlsx")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: text: a text of 40,000 characters does not fit into a cell, ...
    """
    if long_texts not in ("error", "cut"):
        raise InputError(f"long_texts={long_texts!r}: there are 'error' and 'cut'.")
    sheets = rows if isinstance(rows, Mapping) else {"rows": rows}
    readers = {str(name): _reader_of(table) for name, table in sheets.items()}
    if not readers:
        raise InputError("An Excel file has one sheet at least: there is no table among rows.")
    xlsx = _xlsxwriter()
    with _written(at_home(path)) as temporary, _book(xlsx, temporary) as book:
        styles = {_TIME_FORMAT: book.add_format({"num_format": _TIME_FORMAT})}
        styles[_DATE_FORMAT] = book.add_format({"num_format": _DATE_FORMAT})
        for name, reader in readers.items():
            _Sheet(_sheet(book, name, xlsx), styles, is_cutting=long_texts == "cut").write(reader)


#: Rows go to the disk as they come, and no text is ever taken for anything else.
_BOOK_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}


def _xlsxwriter() -> Any:
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Excel files need XlsxWriter, which is not installed; run pip install 'refonte-frames[excel]'."
        ) from error
    return xlsxwriter


@contextlib.contextmanager
def _book(xlsx: Any, temporary: Path) -> Iterator[Any]:
    """Make a workbook; it is closed after an error too, which removes what it has put aside."""
    try:
        with xlsx.Workbook(str(temporary), _BOOK_OPTIONS) as book:
            yield book
    except xlsx.exceptions.XlsxFileError as error:
        raise OSError(str(error)) from error


def _sheet(book: Any, name: str, xlsx: Any) -> Any:
    try:
        return book.add_worksheet(name)
    except xlsx.exceptions.XlsxInputError as error:
        raise InputError(f"{name!r} is no name of a sheet: {error}.") from None


def _reader_of(rows: Any) -> pa.RecordBatchReader:
    """Take any kind of rows as a stream of Arrow batches.

    Raises
    ------
    InputError
        It is no frame, or Arrow has no type for a column.
    """
    reader = rows if isinstance(rows, pa.RecordBatchReader) else _table_of(rows).to_reader()
    for field in reader.schema:
        if any(is_bytes(field.type) for is_bytes in _BYTES):
            raise InputError(f"The column {field.name!r} holds bytes, which no cell can: leave it out.")
    return reader


_BYTES: Final = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)


def _table_of(rows: Any) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    frame = as_pandas(rows)
    columns = []
    for at, name in enumerate(frame.columns):
        try:
            columns.append(pa.chunked_array(pa.array(frame.iloc[:, at], from_pandas=True)))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError) as error:
            raise InputError(f"The column {name!r} cannot be written: {error}.") from None
    return pa.table(columns, names=[str(name) for name in frame.columns])


@contextlib.contextmanager
def _written(path: Path) -> Iterator[Path]:
    """Give a place to write to beside the file, and put what was written into its place, or nothing at all.

    Raises
    ------
    InputError
        In place of an OSError.
    """
    # Two calls at a time, each with a file of its own: the last one to end is seen, whole.
    temporary = path.with_name(f"{_TMP}{secrets.token_hex(4)}-{path.name[-100:]}")
    try:
        try:
            temporary.touch()  # a folder that is not there is told before anything is begun
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error


def _header(names: list[str], *, excel_safe: bool) -> bytes:
    shown = _marked(pa.array(names, pa.string())).to_pylist() if excel_safe else names
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(shown)
    return line.getvalue().encode()


def _marked(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, _FORMULA, r"'\1")


def _form(type_: pa.DataType) -> Callable[[pa.Array], pa.Array] | None:
    """Choose how a column becomes text; None for numbers and booleans, which CSV has a form for."""
    if pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_float64(type_):
        return None
    if pa.types.is_timestamp(type_):
        return _stamps
    if pa.types.is_nested(type_):
        return _json_texts
    return _cast


def _is_number(type_: pa.DataType) -> bool:
    """Tell of numbers that are written as texts all the same; a minus before them begins no formula."""
    if pa.types.is_dictionary(type_):
        return _is_number(type_.value_type)
    is_number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    return bool(is_number or pa.types.is_duration(type_))


def _never_nothing(form: Callable[[pa.Array], pa.Array]) -> Callable[[pa.Array], pa.Array]:
    return lambda column: form(column).fill_null("")


def _cast(column: pa.Array) -> pa.Array:
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())


def _stamps(column: pa.Array) -> pa.Array:
    pattern = "%Y-%m-%dT%H:%M:%S" + ("Z" if column.type.tz else "")
    # In UTC, whatever zone the column is shown in; a second has all the digits of its type.
    return pc.strftime(column.cast(pa.timestamp(column.type.unit, "UTC" if column.type.tz else None)), pattern)


def _json_texts(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else _json(value) for value in column.to_pylist()], pa.string())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


class _Sheet:
    """One sheet, written row by row."""

    def __init__(self, sheet: Any, styles: dict[str, Any], *, is_cutting: bool) -> None:
        self._sheet = sheet
        self._styles = styles
        self._is_cutting = is_cutting

    def write(self, reader: pa.RecordBatchReader) -> None:
        """Write the header and all rows."""
        names = reader.schema.names
        if len(names) > _MOST_COLUMNS:
            raise InputError(f"A sheet of Excel's has {_MOST_COLUMNS:,} columns, not {len(names):,}: leave some out.")
        for at, name in enumerate(names):
            self._text(0, at, name, name)
        self._sheet.freeze_panes(1, 0)
        row = 0
        for batch in reader:
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                row += 1
                if row >= _MOST_ROWS:
                    raise InputError(
                        f"A sheet of Excel's has {_MOST_ROWS:,} rows, and there are more: filter them, or use to_csv."
                    )
                for at, cell in enumerate(cells):
                    self._cell(row, at, cell, names[at])

    def _cell(self, row: int, at: int, cell: Any, name: str) -> None:
        if cell is None:
            return
        if isinstance(cell, bool):
            self._sheet.write_boolean(row, at, cell)
        elif isinstance(cell, int | float) and math.isfinite(cell) and (isinstance(cell, float) or abs(cell) < _EXACT):
            self._sheet.write_number(row, at, cell)
        elif isinstance(cell, datetime | date) and _is_excel_time(cell):
            is_time = isinstance(cell, datetime)
            moment = _utc(cell).replace(tzinfo=None) if isinstance(cell, datetime) else cell
            self._sheet.write_datetime(row, at, moment, self._styles[_TIME_FORMAT if is_time else _DATE_FORMAT])
        else:
            self._text(row, at, _shown(cell), name)

    def _text(self, row: int, at: int, text: str, name: str) -> None:
        # Excel counts as JavaScript does: a character beyond the first 65,536 is two.
        length = len(text.encode("utf-16-le", "surrogatepass")) // 2
        if length > _LONGEST_TEXT:
            if not self._is_cutting:
                raise InputError(
                    f"{name}: a text of {length:,} characters does not fit into a cell, which holds "
                    f"{_LONGEST_TEXT:,}. Leave the column out, pass long_texts='cut', or use to_csv."
                )
            text = text[: (_LONGEST_TEXT - 1) // 2 if not text.isascii() else _LONGEST_TEXT - 1] + "…"
        self._sheet.write_string(row, at, text)


def _is_excel_time(moment: date) -> bool:
    has_more = isinstance(moment, datetime) and (moment.microsecond % 1000 or getattr(moment, "nanosecond", 0))
    return moment.year in _EXCEL_YEARS and not has_more


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _shown(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, date):
        return (_utc(cell) if isinstance(cell, datetime) else cell).isoformat().replace("+00:00", "Z")
    return _json(cell) if isinstance(cell, list | dict) else str(cell)
