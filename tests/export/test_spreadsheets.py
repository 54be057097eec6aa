"""CSV and Excel files in which no cell is a formula, no id loses a digit, and no text changes unasked."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import openpyxl
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service import TEXT, post

import refonte_frames as rf
from refonte_frames.export.spreadsheets import unmarked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMULAS = [
    "=cmd|' /C calc'!A0",
    "+49 30 123",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20x",
    "'=1",
    "''=1",
    "' -1",
]
HARMLESS = [
    "",
    "cat",
    "a=b",
    "3-4",
    "'tis",
    "a@b.c",
    "\u2212 5",
    "\x00",
    "\x1b[31m",
    "\U0001f408",
    'say "a,b"\r\n;',
    "null",
]


def written(rows: Any, path: Path, **options: Any) -> list[list[str]]:
    """Write a CSV file and read it with the standard library."""
    rf.to_csv(rows, path, **options)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_looks_like_a_formula_is_marked(text: str, tmp_path: Path) -> None:
    """By an apostrophe before it; taking it away gives the text back."""
    rows = written(pd.DataFrame({"label": [text]}), tmp_path / "a.csv")
    assert rows[1] == ["'" + text]
    assert unmarked(rows[1][0]) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_are_written_as_they_are(text: str, tmp_path: Path) -> None:
    """Quotes, line ends, control characters and emoji included."""
    assert written(pd.DataFrame({"label": [text]}), tmp_path / "a.csv")[1] == [text]
    assert unmarked(text) == text


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(codec="utf-8") | st.sampled_from("=+-@'\t\r\n \uff1d")), min_size=1, max_size=5))
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """The mark is taken from exactly the texts that have it."""
    rows = written(pd.DataFrame({"label": texts}), tmp_path_factory.mktemp("csv") / "a.csv")
    assert [unmarked(row[0]) for row in rows[1:]] == texts


def test_names_of_columns_are_cells_too(tmp_path: Path) -> None:
    """They are marked and quoted alike."""
    frame = pd.DataFrame({"=a": [1], 'b"c': [2], "metadata.=x": [3]})
    assert written(frame, tmp_path / "a.csv")[0] == ["'=a", 'b"c', "metadata.=x"]


def test_numbers_are_never_touched(tmp_path: Path) -> None:
    """Negative ones, and integers of any size."""
    frame = pd.DataFrame({"left": [-1.5, 0.1], "n": pd.array([-(2**63), None], dtype="Int64"), "ok": [True, False]})
    assert written(frame, tmp_path / "a.csv")[1:] == [["-1.5", "-9223372036854775808", "true"], ["0.1", "", "false"]]


def test_without_excel_safety_everything_is_as_it_is(tmp_path: Path) -> None:
    """And no byte order mark stands before it."""
    assert written(pd.DataFrame({"=a": ["=1"]}), tmp_path / "a.csv", excel_safe=False) == [["=a"], ["=1"]]
    assert (tmp_path / "a.csv").read_bytes()[:1] == b'"'
    rf.to_csv(pd.DataFrame({"a": ["ä"]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes()[:3] == b"\xef\xbb\xbf"


def test_other_kinds_of_values_have_one_form(tmp_path: Path) -> None:
    """Times in UTC with Z, lists and objects as JSON, null apart from the empty text."""
    moment = pd.Timestamp("2024-03-04 10:15:22.417", tz="Europe/Berlin")
    table = pa.table(
        {
            "time": pa.array([moment, None], pa.timestamp("us", "Europe/Berlin")),
            "naive": pa.array([datetime(2024, 3, 4), None], pa.timestamp("ms")),  # noqa: DTZ001 - without a zone
            "day": pa.array([date(2024, 3, 4), None]),
            "tags": pa.array([["ä", '"'], None]),
            "kind": pa.array(["=a", None]).dictionary_encode(),
            "text": pa.array(["", None]),
        }
    )
    assert written(table, tmp_path / "a.csv")[1] == [
        "2024-03-04T09:15:22.417000Z",
        "2024-03-04T00:00:00.000",
        "2024-03-04",
        '["ä", "\\""]',
        "'=a",
        "",
    ]
    assert (tmp_path / "a.csv").read_bytes().splitlines()[2] == b",,,,,"


def test_pandas_polars_and_streams_are_all_written(tmp_path: Path) -> None:
    """A stream as it comes."""
    frames = [pd.DataFrame({"a": ["x", None]}, index=[7, 7]), pl.DataFrame({"a": ["x", None]})]
    for rows in (*frames, pa.table({"a": ["x", None]}), pa.table({"a": ["x", None]}).to_reader(1)):
        assert written(rows, tmp_path / "a.csv") == [["a"], ["x"], [""]]


def test_no_rows_and_no_columns_are_files_too(tmp_path: Path) -> None:
    """With the names of the columns."""
    assert written(pd.DataFrame({"a": [], "b": []}), tmp_path / "a.csv") == [["a", "b"]]
    assert sheet_of(pd.DataFrame({"a": []}), tmp_path / "a.xlsx") == [("a",)]
    rf.to_csv(pd.DataFrame(), tmp_path / "b.csv")
    rf.to_excel(pd.DataFrame(), tmp_path / "b.xlsx")
    assert openpyxl.load_workbook(tmp_path / "b.xlsx").sheetnames == ["rows"]


def test_a_row_of_one_null_is_a_row(tmp_path: Path) -> None:
    """Readers pass over empty lines."""
    for column in (pa.array(["a", None]), pa.array([1, None])):
        rf.to_csv(pa.table({"a": column}), tmp_path / "a.csv")
        assert len(pd.read_csv(tmp_path / "a.csv")) == 2


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """An error on the way leaves nothing behind."""

    def batches() -> Any:
        yield pa.record_batch({"a": ["x"]})
        raise rf.ReplyError("broken")

    path = tmp_path / "a.csv"
    path.write_text("before")
    for write in (rf.to_csv, rf.to_excel):
        with pytest.raises(rf.ReplyError):
            write(pa.RecordBatchReader.from_batches(pa.schema([("a", pa.string())]), batches()), path)
    assert [item.name for item in tmp_path.iterdir()] == ["a.csv"]
    assert path.read_text() == "before"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([1], "A list is no frame"),
        (pd.DataFrame({"a": ["x", 1, b"y"]}), "The column 'a' cannot be written"),
        (pd.DataFrame({"a": [b"y"]}), "The column 'a' holds bytes"),
    ],
)
def test_what_is_no_table_is_refused(rows: Any, says: str, tmp_path: Path) -> None:
    """As CSV and as Excel."""
    for write in (rf.to_csv, rf.to_excel):
        with pytest.raises(rf.InputError, match=says):
            write(rows, tmp_path / "a")
    with pytest.raises(rf.InputError, match=r"missing/a cannot be written: No such file"):
        rf.to_csv(pd.DataFrame({"a": [1]}), tmp_path / "missing" / "a")
    with pytest.raises(rf.InputError, match=r"missing/a cannot be written"):
        rf.to_excel(pd.DataFrame({"a": [1]}), tmp_path / "missing" / "a")


def sheet_of(rows: Any, path: Path, **options: Any) -> list[tuple[Any, ...]]:
    """Write an Excel file and read its cells; no cell is a formula or a link."""
    rf.to_excel(rows, path, **options)
    sheet = openpyxl.load_workbook(path).worksheets[0]
    for row in sheet.iter_rows():
        for cell in row:
            assert cell.data_type != "f"
            assert cell.hyperlink is None
    return list(sheet.iter_rows(values_only=True))


def test_no_cell_of_an_excel_file_is_a_formula_or_a_link(tmp_path: Path) -> None:
    """Whatever it begins with; nothing is marked there."""
    texts = [*FORMULAS, "https://example.org", "mailto:a@b.c", "0012", "1e5", "576ba74eec471ff9b0155a13"]
    cells = sheet_of(pd.DataFrame({"=text": texts}), tmp_path / "a.xlsx")
    assert cells[0] == ("=text",)
    assert [row[0].replace("_x000D_", "\r") for row in cells[1:]] == texts


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    """As numbers up to 15 digits, as texts beyond; what is no number is text too."""
    big = [2**53 + 1, 10**15 - 1, -(2**63), -5, None]
    floats = [0.1, -2.5, float("inf"), float("nan"), None]
    table = pa.table({"n": pa.array(big, pa.int64()), "x": pa.array(floats, pa.float64()), "ok": [True] * 5})
    cells = sheet_of(table, tmp_path / "a.xlsx")[1:]
    assert [row[0] for row in cells] == [str(2**53 + 1), 10**15 - 1, str(-(2**63)), -5, None]
    assert [row[1] for row in cells] == [0.1, -2.5, "inf", "nan", None]
    assert cells[0][2] is True


def test_times_are_excel_s_own_in_utc(tmp_path: Path) -> None:
    """Those that it cannot hold are texts."""
    times = [datetime(2024, 3, 4, 8, 15, 22, 417000, UTC), datetime(1850, 1, 1, tzinfo=UTC)]
    table = pa.table(
        {
            "t": pa.array(times, pa.timestamp("us", "America/New_York")),
            "fine": pa.array([1, None], pa.timestamp("ns", "UTC")),
            "day": pa.array([date(2024, 3, 4), None]),
        }
    )
    cells = sheet_of(table, tmp_path / "a.xlsx")[1:]
    assert cells[0][0] == datetime(2024, 3, 4, 8, 15, 22, 417000)  # noqa: DTZ001 - Excel knows no zones
    assert cells[1][0] == "1850-01-01T00:00:00Z"
    assert cells[0][1] == "1970-01-01T00:00:00.000000001Z"
    assert cells[0][2] == datetime(2024, 3, 4)  # noqa: DTZ001
    assert cells[1][1:] == (None, None)


def test_control_characters_and_emoji_get_into_excel(tmp_path: Path) -> None:
    """In the escapes that its format has; the file opens."""
    texts = ["\x00\x1b[31m", "\U0001f408\u200d\u2b1b", "a\nb", "_x0041_", "<a> & \"b\" 'c'"]
    cells = sheet_of(pd.DataFrame({"text": texts}), tmp_path / "a.xlsx")[1:]
    read = [openpyxl.utils.escape.unescape(row[0]) for row in cells]
    assert read == texts


def test_a_text_longer_than_a_cell_is_refused_or_cut(tmp_path: Path) -> None:
    """Nothing is cut unasked."""
    frame = pd.DataFrame({"text": ["a" * 32_767, "b" * 32_768, "\U0001f408" * 20_000]})
    with pytest.raises(rf.InputError, match=r"text: a text of 32,768 characters.*long_texts='cut'"):
        rf.to_excel(frame, tmp_path / "a.xlsx")
    assert not list(tmp_path.iterdir())
    cells = [row[0] for row in sheet_of(frame, tmp_path / "a.xlsx", long_texts="cut")[1:]]
    assert cells[0] == "a" * 32_767
    assert cells[1] == "b" * 32_766 + "…"
    assert cells[2].endswith("\U0001f408…")
    assert len(cells[2].encode("utf-16-le")) // 2 <= 32_767


def test_several_tables_are_several_sheets(tmp_path: Path) -> None:
    """Named as they are; a name that Excel does not take is told."""
    rf.to_excel({"tasks": pd.DataFrame({"a": [1]}), "audits": pa.table({"b": [2]})}, tmp_path / "a.xlsx")
    assert openpyxl.load_workbook(tmp_path / "a.xlsx").sheetnames == ["tasks", "audits"]
    with pytest.raises(rf.InputError, match="is no name of a sheet"):
        rf.to_excel({"a[b": pd.DataFrame({"a": [1]})}, tmp_path / "b.xlsx")
    with pytest.raises(rf.InputError, match="there is no table"):
        rf.to_excel({}, tmp_path / "b.xlsx")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table({f"c{at}": pa.array([], pa.int8()) for at in range(16_385)}), "16,384 columns, not 16,385"),
        (pa.table({"a": pa.nulls(1_048_576, pa.int8())}), "has 1,048,576 rows, and there are more"),
    ],
)
def test_a_sheet_has_no_more_than_excel_s_rows_and_columns(table: pa.Table, says: str, tmp_path: Path) -> None:
    """The header counts as a row."""
    with pytest.raises(rf.InputError, match=says):
        rf.to_excel(table, tmp_path / "a.xlsx")
    assert not list(tmp_path.iterdir())


def test_an_exported_table_is_written_as_csv_and_excel(client: rf.Client, tmp_path: Path) -> None:
    """Hostile labels and metadata come through the whole way: service, Parquet, file."""
    post(client, "projects", body={"type": "categorization", "name": "p"})
    hostile = {"=k": "=cmd()", "big": 2**63 + 1, "cat": "\U0001f408", "ctl": "\x01"}
    for number in range(3):
        body = {**TEXT, "attachment": "=1+1", "project": "p", "metadata": hostile, "unique_id": f"@{number}"}
        post(client, "task", "categorization", body=body)
    rf.export_tasks(tmp_path / "export", client=client)
    tasks = rf.open_export(tmp_path / "export").tasks
    names = ["unique_id", "attachment", "metadata_json", "created_at"]
    tasks.to_csv(tmp_path / "a.csv", columns=names, filter=[("unique_id", "!=", "@2")])
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["unique_id"] for row in rows) == ["'@0", "'@1"]
    assert rows[0]["attachment"] == "'=1+1"
    assert '"big":9223372036854775809' in rows[0]["metadata_json"]
    tasks.to_excel(tmp_path / "a.xlsx", columns=names)
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx")["tasks"]
    assert [cell.value for cell in next(sheet.iter_rows())] == names
    assert {cell.data_type for cell in next(sheet.iter_rows(min_row=2))} == {"s", "d"}
    frame = rf.read_tasks(metadata="columns", client=client)
    rf.to_csv(frame, tmp_path / "b.csv")
    with (tmp_path / "b.csv").open(encoding="utf-8-sig", newline="") as file:
        row = next(csv.DictReader(file))
    assert row["metadata.=k"] == "'=cmd()"
    assert row["metadata.big"] == "9223372036854775809"
    assert row["metadata.ctl"] == "\x01"


def test_without_xlsxwriter_the_remedy_is_told(tmp_path: Path) -> None:
    """CSV needs nothing."""
    program = (
        "import sys; sys.modules['xlsxwriter'] = None; import pandas as pd, refonte_frames as rf\n"
        "rf.to_csv(pd.DataFrame({'a': [1]}), 'a.csv')\n"
        "try: rf.to_excel(pd.DataFrame({'a': [1]}), 'a.xlsx')\n"
        "except rf.ConfigError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "pip install 'refonte-frames[excel]'" in run.stdout


@pytest.mark.parametrize(
    "numbers",
    [
        pa.array([-1.5, 2.0], pa.float32()),
        pa.array([Decimal("-1.5"), Decimal(2)]),
        pa.array([-1.5, 2.0]).dictionary_encode(),
        pa.array([-1, 2]).dictionary_encode(),
        pa.array([-1, 2], pa.duration("s")),
    ],
    ids=lambda numbers: str(numbers.type),
)
def test_numbers_of_every_kind_are_never_marked(numbers: pa.Array, tmp_path: Path) -> None:
    """A minus makes no formula of them."""
    rf.to_csv(pa.table({"n": numbers, "text": ["-a", "b"]}), tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_text("utf-8-sig")
    assert "'" not in text.replace('"\'-a"', "")
    assert pd.read_csv(tmp_path / "out.csv")["n"].tolist() in ([-1.5, 2.0], [-1, 2])


def test_two_calls_at_a_time_leave_one_whole_file(tmp_path: Path) -> None:
    """Neither writes into what the other has begun."""
    began, goes_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[pa.RecordBatch]:
        began.set()
        goes_on.wait(20)
        yield pa.RecordBatch.from_pydict({"a": ["slow"], "b": [1]})

    schema = pa.schema({"a": pa.string(), "b": pa.int64()})
    rows = pa.RecordBatchReader.from_batches(schema, slowly())
    slow = threading.Thread(target=rf.to_csv, args=(rows, tmp_path / "out.csv"))
    slow.start()
    assert began.wait(20)
    rf.to_csv(pd.DataFrame({"a": ["quick"], "b": [2]}), tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["a"].tolist() == ["quick"]
    goes_on.set()
    slow.join()
    assert pd.read_csv(tmp_path / "out.csv")["a"].tolist() == ["slow"]
    assert [item.name for item in tmp_path.iterdir()] == ["out.csv"]


def test_half_a_character_is_told_with_its_column(tmp_path: Path) -> None:
    """UTF-8 has none."""
    frame = pd.DataFrame({"text": pd.Series(["\ud83d"], dtype=object)})
    with pytest.raises(rf.InputError, match="The column 'text' cannot be written"):
        rf.to_csv(frame, tmp_path / "out.csv")
