"""Reading and writing frames as the command line does: what a CSV value may become, and what it may not."""

from __future__ import annotations

import csv
import os
from decimal import Decimal
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.errors import InputError
from refonte_frames.export.spreadsheets import marked
from refonte_frames.frame_files import check_target, read_frame, write_frame

if TYPE_CHECKING:
    from pathlib import Path


def read_csv(folder: Path, text: str | bytes) -> pd.DataFrame:
    """Read this text as a CSV file."""
    path = folder / "frame.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_frame(path)


@pytest.mark.parametrize(
    "value", ["00123", "1.10", "1e5", "+5", "-0", " 5", "12345678901234567890", "NA", "nan", "0x1F"]
)
def test_what_a_number_would_change_stays_text(tmp_path: Path, value: str) -> None:
    """A column is text when printing its numbers would not give back what the file says."""
    frame = read_csv(tmp_path, f"id\n{value}\n7\n")
    assert frame["id"].tolist() == [value, "7"]


def test_numbers_are_numbers_and_nulls_stay_beside_integers(tmp_path: Path) -> None:
    """Integers with an empty field stay integers, decimals become floats."""
    frame = read_csv(tmp_path, "n,x\n5,0.25\n,2\n")
    assert frame["n"].tolist() == [5, pd.NA]
    assert frame["x"].tolist() == [0.25, 2.0]


def test_booleans_and_json_are_read_when_the_whole_column_is(tmp_path: Path) -> None:
    """A column of true and false is boolean, one of JSON arrays holds lists; one odd value leaves it text."""
    frame = read_csv(tmp_path, 'flag,tags,mixed\ntrue,"[""a"",""b""]",[1]\nfalse,,[not json\n')
    assert frame["flag"].tolist() == [True, False]
    assert frame["tags"].tolist() == [["a", "b"], None]
    assert frame["mixed"].tolist() == ["[1]", "[not json"]


def test_named_columns_stay_text(tmp_path: Path) -> None:
    """A column that is used as an id is text even where it looks like a number."""
    path = tmp_path / "frame.csv"
    path.write_text("id\n5\n")
    assert read_frame(path, text_columns={"id"})["id"].tolist() == ["5"]


def test_only_an_empty_field_is_null(tmp_path: Path) -> None:
    """Empty fields are null in text columns too."""
    assert read_csv(tmp_path, "a,b\nx,\n").isna().to_numpy().tolist() == [[False, True]]


def test_long_fields_are_read(tmp_path: Path) -> None:
    """A document longer than the csv module's usual limit is read whole."""
    assert len(read_csv(tmp_path, "text\n" + "x" * 200_000 + "\n")["text"][0]) == 200_000


def test_a_frame_without_rows_has_its_columns(tmp_path: Path) -> None:
    """A file with a header and nothing else is a frame of no rows."""
    frame = read_csv(tmp_path, "a,b\n")
    assert (list(frame.columns), len(frame)) == (["a", "b"], 0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2\n1,2,3\n", "line 3: 3 fields, but the header has 2"),
        ("a,b\n1\n", "line 2: 1 fields, but the header has 2"),
        ("a,a\n1,2\n", "more than one column 'a'"),
        ("a;b\n1;2\n", "separated by ';': write it with commas"),
        ('a\n"never closed\n', "is no CSV"),
        ("", "no header line"),
        (b"a\n\xff\n", "is not UTF-8"),
    ],
)
def test_a_broken_csv_is_one_sentence(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    """What is wrong with a CSV file is said with its place, and nothing is read past it."""
    with pytest.raises(InputError, match=sentence):
        read_csv(tmp_path, content)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("frame.xlsx", b"", "ends in .csv, .parquet"),
        ("frame.parquet", b"not parquet", "is no Parquet file"),
        ("frame.jsonl", b'{"a": 1}\n[1]\n', "line 2 is no JSON object"),
        ("frame.jsonl", b'{"a": NaN}\n', "line 1 is no JSON"),
    ],
)
def test_other_broken_files_are_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    """The same for the other kinds of file."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_frame(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('{"b": [{"a": 1, "a": 2}]}', "the key 'a' stands twice in one object"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_json_that_would_lose_a_value_or_the_stack_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    """With the line it stands in."""
    path = tmp_path / "frame.jsonl"
    path.write_text('{"a": 0}\n' + text + "\n")
    with pytest.raises(InputError, match=f"line 2 is no JSON: .*{says}"):
        read_frame(path)


def test_a_parquet_file_with_two_columns_of_one_name_is_one_sentence(tmp_path: Path) -> None:
    """Which of them would feed a parameter, nobody could say."""
    path = tmp_path / "frame.parquet"
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), path)
    with pytest.raises(InputError, match="more than one column 'text'"):
        read_frame(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_found_before_the_work(tmp_path: Path) -> None:
    """The file, or where it is new its folder."""
    (tmp_path / "old.csv").touch(mode=0o400)
    (tmp_path / "closed").mkdir(mode=0o500)
    for name in ("old.csv", "closed/new.csv"):
        with pytest.raises(InputError, match="permission denied"):
            check_target(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_half_a_character_is_written_as_json_writes_it(tmp_path: Path, suffix: str) -> None:
    """UTF-8 cannot hold it, and it must not cost the other rows."""
    path = tmp_path / f"frame{suffix}"
    write_frame(pd.DataFrame({"text": ["\ud83d", "fine"]}, dtype=object), path)
    assert r"\ud83d" in path.read_text(encoding="utf-8")
    if suffix == ".jsonl":
        assert read_frame(path)["text"].tolist() == ["\ud83d", "fine"]


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(InputError, match=r"missing.csv cannot be read: No such file"):
        read_frame(tmp_path / "missing.csv")


def test_json_lines_keep_integers_beside_nulls(tmp_path: Path) -> None:
    """In JSON Lines 5 stays 5 when another row has no such key."""
    path = tmp_path / "frame.jsonl"
    path.write_text('{"id": 5, "tags": ["a"]}\n\n{"text": "x"}\n')
    frame = read_frame(path)
    assert type(frame["id"][0]) is int
    assert frame["tags"][0] == ["a"]
    assert pd.isna(frame["id"][1])


ROWS = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
        st.integers(-(10**17), 10**17),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
    ),
    min_size=1,
)


@given(rows=ROWS, suffix=st.sampled_from([".csv", ".parquet", ".jsonl"]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple], suffix: str
) -> None:
    """Texts, integers, floats and booleans survive a file; in CSV those that are text for safety print the same.

    There a text that a spreadsheet would run has its mark.
    """
    frame = pd.DataFrame(rows, columns=["text", "n", "x", "flag"])
    path = tmp_path_factory.mktemp("frames") / f"frame{suffix}"
    write_frame(frame, path)
    read = read_frame(path, text_columns={"text"})
    if suffix == ".csv":
        frame["text"] = [marked(text) for text in frame["text"]]
    assert [[str(value) for value in row] for row in read.to_numpy().tolist()] == [
        [str(value) for value in row] for row in frame.to_numpy(dtype=object).tolist()
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_lists_and_nulls_survive(tmp_path: Path, suffix: str) -> None:
    """Lists come back as lists and nulls as nulls from every kind of file."""
    path = tmp_path / f"frame{suffix}"
    write_frame(pd.DataFrame({"tags": [["a", "b"], None], "when": [pd.Timestamp("2020-07-01", tz="UTC"), None]}), path)
    read = read_frame(path)
    assert list(read["tags"][0]) == ["a", "b"]
    assert read.isna().to_numpy().tolist() == [[False, False], [True, True]]


def test_an_unwritable_place_is_one_sentence(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(InputError, match=r"out.csv cannot be written: there is no folder .*missing"):
        write_frame(pd.DataFrame({"a": [1]}), tmp_path / "missing" / "out.csv")


RECEIPT = {"outcome": "created", "error_code": None, "error_message": None}
cells = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from("=+-@'\t\r \uff1d\xa0"), min_size=1
)


@given(cells, cells)
def test_a_receipt_is_safe_in_a_spreadsheet_and_comes_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    """Names of columns are cells too; what is taken for a formula has an apostrophe before it in the file."""
    path = tmp_path_factory.mktemp("csv") / "receipt.csv"
    frame = pd.DataFrame({f"{name}.": [text, "a"], **{key: [value] * 2 for key, value in RECEIPT.items()}})
    write_frame(frame, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    for cell in (rows[0][0], rows[1][0]):
        assert cell.lstrip("\t\n\f\r \xa0")[:1] not in ("=", "+", "-", "@", "\uff1d")
    again = read_frame(path, text_columns={f"{name}."})
    assert again.iloc[:, 0].tolist() == [text, "a"]
    assert again.columns[0] == f"{name}."


def test_numbers_of_a_receipt_are_not_touched(tmp_path: Path) -> None:
    """A minus before them begins no formula."""
    frame = pd.DataFrame({"left": [-1.5], "n": [-7], "price": [Decimal("-0.10")], "delta": ["-7"], **RECEIPT})
    write_frame(frame, tmp_path / "receipt.csv")
    assert (tmp_path / "receipt.csv").read_text().splitlines()[1] == "-1.5,-7,-0.10,'-7,created,,"


def test_apostrophes_of_other_files_are_theirs(tmp_path: Path) -> None:
    """Only files that are recognised as ours have marks."""
    assert read_csv(tmp_path, "text\n'=cmd()\n")["text"].tolist() == ["'=cmd()"]
