"""Input that comes piece by piece: the same promises as for a frame, in constant memory, across all chunks."""

from __future__ import annotations

import _thread
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from service import TEXT, post, tasks_of

import refonte_frames as rf
from refonte_frames.upload.chunks import chunks_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

    from refonte_frames.transport.calls import Call

OPTIONS: dict[str, Any] = {
    "type": "categorization",
    "columns": {"attachment": "text"},
    "params": TEXT,
    "progress": False,
}


def submit(source: Any, client: rf.Client, **more: Any) -> rf.SubmitReport:
    """Submit pieces, two rows a chunk unless told otherwise."""
    return rf.submit(iter(source), **{**OPTIONS, "client": client, "chunk_rows": 2, **more})


def pieces(*texts: Any, size: int = 1) -> Iterator[pd.DataFrame]:
    """Hand out texts in frames of this size."""
    return (pd.DataFrame({"text": texts[at : at + size]}) for at in range(0, len(texts), size))


def receipts(report: rf.SubmitReport) -> pd.DataFrame:
    """Read the receipts of all parts, with None for null."""
    found = pd.read_parquet(report.receipt_path).astype(object)
    return found.where(found.notna(), None)


def told(report: rf.SubmitReport) -> dict[str, int]:
    """Give the counts that are not zero."""
    return {name: count for name, count in report.counts.items() if count}


# What is taken


@pytest.mark.parametrize(
    "source",
    [
        lambda table: table.to_reader(2),
        lambda table: iter(table.to_batches(2)),
        lambda table: [table.slice(0, 3), pl.from_arrow(table.slice(3))],
        lambda table: pl.from_arrow(table).lazy().collect_batches(maintain_order=True),
        lambda table: iter([table.to_pandas()]),
    ],
    ids=["reader", "batches", "list", "polars", "one frame"],
)
def test_every_kind_of_pieces_gives_a_report_of_all_rows(client: rf.Client, source: Any) -> None:
    """Each row is one task; the receipts have the input's columns, in its order, then ours."""
    table = pa.table({"text": [f"t{at}" for at in range(5)], "n": [1, None, 3, 4, 5]})
    report = rf.submit(source(table), **OPTIONS, client=client, chunk_rows=2)
    assert told(report) == {"created": 5}
    assert report.is_whole
    found = receipts(report)
    assert found["text"].tolist() == [f"t{at}" for at in range(5)]
    assert list(found.columns)[:3] == ["text", "n", "task_id"]
    assert sorted(found["task_id"]) == sorted(task["task_id"] for task in tasks_of(client))


def test_the_report_says_where_things_are(client: rf.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr; a report that reads like one."""
    report = submit(pieces("a", None, "b"), client)
    line = capsys.readouterr().err
    assert line.startswith("refonte_frames: 3 rows: 2 created, 1 failed in")
    assert str(report.receipt_path) in line
    assert repr(report).startswith("SubmitReport 3 rows: 2 created, 1 failed\n  receipts  ")
    assert report.rows == 3
    assert report.journal.exists()


def test_an_empty_input_is_a_report_of_nothing(client: rf.Client) -> None:
    """A reader without batches has columns, and is checked by them."""
    empty = pa.table({"text": pa.array([], pa.string())}).to_reader()
    report = rf.submit(empty, **OPTIONS, client=client)
    assert told(report) == {}
    assert next(iter(receipts(report).columns)) == "text"
    with pytest.raises(rf.ColumnError, match="no column 'text'"):
        rf.submit(pa.table({"x": [1]}).to_reader(), **OPTIONS, client=client)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ([1], "its item 0 is a int, no frame"),
        ([pd.DataFrame({"text": ["a"]}), {"text": "b"}], "its item 1 is a dict, no frame"),
        ({"text": ["a"]}, "A dict is no frame"),
        ("text", "A str is no frame"),
        (pl.LazyFrame({"text": ["a"]}), r"is a query, no frame: use \.collect\(\)"),
    ],
)
def test_what_is_no_frame_is_told_which(client: rf.Client, source: Any, why: str) -> None:
    """Also when it is an item of an iterable."""
    with pytest.raises(rf.InputError, match=why):
        rf.submit(source, **OPTIONS, client=client, chunk_rows=1)


def test_plan_takes_what_can_be_read_again_and_refuses_what_cannot(client: rf.Client) -> None:
    """A generator would be used up."""
    for once in (pieces("a"), pa.table({"text": ["a"]}).to_reader()):
        with pytest.raises(rf.InputError, match="would use up the iterator"):
            rf.plan(once, **OPTIONS, client=client)
    planned = rf.plan(list(pieces("a", "b", "a", None)), **OPTIONS, client=client)
    assert planned["action"].tolist() == ["create", "create", "invalid", "invalid"]
    assert planned["error_code"].tolist() == [None, None, "duplicate_unique_id", "missing_parameter"]


@pytest.mark.parametrize(
    ("more", "actions"),
    [
        ({"unique_id": "id"}, ["create", "create", "invalid", "invalid"]),
        ({"unique_id": "id", "chunk_rows": 3}, ["invalid", "create", "invalid", "invalid"]),
        ({"duplicates": "share", "limit": 1}, ["create", "wait", "create", "invalid"]),
    ],
)
def test_a_plan_of_pieces_tells_what_chunks_of_this_size_become(
    client: rf.Client, more: dict[str, Any], actions: list[str]
) -> None:
    """An id on two bodies, and rows that share the task of a chunk before."""
    rows = pd.DataFrame({"text": ["a", "b", "c", None], "id": ["x", "y", "x", "z"]})
    if "limit" in more:
        rows["text"] = ["a", "b", "a", None]
    options = {**OPTIONS, "client": client, "chunk_rows": 2, **more}
    source = [rows.iloc[:1], rows.iloc[1:]]
    planned = rf.plan(source, **options)
    assert planned["action"].tolist() == actions
    outcomes = receipts(rf.submit(source, **options))["outcome"].tolist()
    as_planned = {"create": "created", "wait": "unsent", "invalid": "failed"}
    assert outcomes == [as_planned[action] for action in actions][: len(outcomes)]


def test_a_plan_of_pieces_lets_refused_rows_wait_under_a_limit(sandbox: rf.Sandbox, client: rf.Client) -> None:
    """As the submission does."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=413, times=1)
    source = list(pieces("a", "b", "c"))
    assert told(submit(source, client)) == {"failed": 1, "created": 2}
    planned = rf.plan(source, **OPTIONS, client=client, limit=3)
    assert planned["action"].value_counts().to_dict() == {"have": 2, "wait": 1}
    assert told(submit(source, client, limit=3)) == {"unsent": 1, "created": 2}


# Across chunks


def test_a_bad_row_of_a_later_chunk_is_that_rows_error(client: rf.Client) -> None:
    """The chunks before it are sent, and those after it too."""
    found = receipts(submit(pieces("a", "b", "c", None, "e"), client))
    assert found["outcome"].tolist() == ["created", "created", "created", "failed", "created"]
    assert "the cell in 'text' is empty" in found["error_message"][3]


def test_the_same_input_again_sends_nothing(client: rf.Client) -> None:
    """Whatever the pieces and chunks; and a frame with the same rows finds them too."""
    first = submit(pieces(*"abcdefg"), client)
    again = submit(pieces(*"abcdefg", size=3), client, chunk_rows=4)
    assert told(again) == {"created": 7}
    assert again.requests_by_status == {"200": 1}
    assert again.run_id == first.run_id
    assert again.receipt_path != first.receipt_path
    whole = rf.submit(pd.DataFrame({"text": list("abcdefg")}), **OPTIONS, client=client)
    assert whole["task_id"].tolist() == receipts(first)["task_id"].tolist()


def test_equal_rows_of_different_chunks_are_refused_but_the_first(client: rf.Client) -> None:
    """What was sent cannot be taken back; the sentence names the row that has the id."""
    found = receipts(submit(pieces("x", "a", "b", "x", "c", "x"), client))
    assert found["outcome"].tolist() == ["created", "created", "created", "failed", "created", "failed"]
    assert found["error_code"].dropna().tolist() == ["duplicate_unique_id"] * 2
    assert "was row 0's already; duplicates='share'" in found["error_message"][5]
    assert len(tasks_of(client)) == 4


def test_equal_rows_of_different_chunks_share_a_task(client: rf.Client) -> None:
    """One POST; a row whose metadata differ says so; a refusal is shared too, and not asked for again."""
    rows = pd.DataFrame({"text": ["x", "a", "x", "x", None], "camera": ["n", "n", "n", "s", "n"]})
    options: dict[str, Any] = {"duplicates": "share", "metadata": ["camera"]}
    found = receipts(submit([rows], client, **options))
    assert found["task_id"][0] == found["task_id"][2] == found["task_id"][3]
    assert found["changed"].tolist() == [False, False, False, True, False]
    assert len(tasks_of(client)) == 2
    post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s1", **TEXT})
    taken = pd.DataFrame({"text": ["x", "y", "x"], "scene": ["s1", "s2", "s1"]})
    report = submit([taken], client, duplicates="share", unique_id="scene")
    assert receipts(report)["error_code"].tolist() == ["unique_id_taken", None, "unique_id_taken"]
    assert report.requests_by_status["409"] == 1


def test_equal_rows_of_different_chunks_are_numbered_in_row_order(client: rf.Client) -> None:
    """As in one frame, whatever the chunks, now and in every later run."""
    rows = ["x", "a", "x", "x", "a", "x"]
    found = receipts(submit(pieces(*rows), client, duplicates="each"))
    whole = rf.submit(pd.DataFrame({"text": rows}), **OPTIONS, client=client, duplicates="each")
    assert found["unique_id"].tolist() == whole["unique_id"].tolist()
    assert [unique_id.partition("#")[2] for unique_id in found["unique_id"]] == ["", "", "2", "3", "2", "4"]
    again = submit(pieces(*rows), client, duplicates="each", chunk_rows=3)
    assert receipts(again)["task_id"].tolist() == found["task_id"].tolist() == whole["task_id"].tolist()
    assert len(tasks_of(client)) == 6


def test_receipts_can_be_submitted_again_piece_by_piece(client: rf.Client) -> None:
    """Rows keep the numbers that they have."""
    first = submit(pieces("x", "x", "x", "x"), client, duplicates="each", limit=3)
    rest = receipts(first).query("outcome == 'unsent'")
    found = receipts(submit([rest.rename(columns={"text": "attachment"})], client, columns=None, duplicates="each"))
    assert found["unique_id"][0].endswith("#4")
    assert len(tasks_of(client)) == 4


def test_a_number_that_an_own_id_bears_is_passed_over(client: rf.Client) -> None:
    """Also when it stood in a chunk before; an id that was given away already is refused."""
    rows = pd.DataFrame({"text": ["x"] * 5, "scene": ["a#2", "a", "a", "a", "a#3"]})
    found = receipts(submit([rows], client, unique_id="scene", duplicates="each"))
    assert found["unique_id"].tolist()[:4] == ["a#2", "a", "a#3", "a#4"]
    assert found["error_code"].tolist()[4] == "duplicate_unique_id"


@pytest.mark.parametrize("duplicates", ["error", "share", "each"])
def test_one_id_on_two_bodies_fails_where_it_is_not_sent_yet(client: rf.Client, duplicates: str) -> None:
    """In one chunk both; else those that come later, each time."""
    rows = pd.DataFrame({"text": list("abcdef"), "scene": ["s", "s", "t", "s", "u", "t"]})
    found = receipts(submit([rows], client, unique_id="scene", duplicates=duplicates))
    codes = found["error_code"].tolist()
    assert codes == ["duplicate_unique_id", "duplicate_unique_id", None, "duplicate_unique_id", None, codes[1]]
    assert sorted(task["unique_id"] for task in tasks_of(client)) == ["t", "u"]


def test_rows_without_ids_are_counted_across_chunks(client: rf.Client, tmp_path: Any) -> None:
    """unique_id=None: each equal row once, also when the chunks are cut otherwise the next time."""
    options: dict[str, Any] = {"unique_id": None, "journal": tmp_path / "x.journal"}
    first = receipts(submit(pieces("x", "a", "x", "x"), client, **options))
    again = receipts(submit(pieces("x", "a", "x", "x"), client, chunk_rows=3, **options))
    assert first["task_id"].tolist() == again["task_id"].tolist()
    assert first["task_id"].nunique() == len(tasks_of(client)) == 4


def test_a_limit_ends_the_reading_and_the_next_call_goes_on(client: rf.Client) -> None:
    """The input may be endless; rows that were refused do not use the limit up."""
    post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s0", **TEXT})

    def endless() -> Iterator[pd.DataFrame]:
        at = 0
        while True:
            yield pd.DataFrame({"text": [f"t{at}"], "scene": [f"s{at}"]})
            at += 1

    options: dict[str, Any] = {"unique_id": "scene", "limit": 3}
    assert told(submit(endless(), client, **options)) == {"created": 2, "failed": 1, "unsent": 1}
    report = submit(endless(), client, **options)
    assert told(report) == {"created": 5, "unsent": 1}
    assert not report.is_whole
    assert "and the rest was not read" in str(report)
    assert len(tasks_of(client)) == 6


# Groups


def documents(source: Any, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Submit documents of several pages, two rows a chunk."""
    options = {"group_by": "document", "columns": {"attachment": "url"}, "chunk_rows": 2, "progress": False, **more}
    params = {"features": [{"type": "block", "label": "total"}]}
    return receipts(rf.submit(iter(source), type="documenttranscription", params=params, client=client, **options))


def grouped(*keys: Any, size: int = 1) -> Iterator[pd.DataFrame]:
    """Hand out rows with these group keys."""
    whole = pd.DataFrame({"document": keys, "url": [f"https://e.org/{at}.jpg" for at in range(len(keys))]})
    return (whole.iloc[at : at + size] for at in range(0, len(keys), size))


def test_a_group_that_lies_across_chunks_is_kept_together(client: rf.Client) -> None:
    """However long it is; the task has its attachments in row order."""
    found = documents(grouped("a", "b", "b", "b", "b", "c", "c"), client)
    assert found.groupby("document")["task_id"].nunique().tolist() == [1, 1, 1]
    served = sorted(task["params"]["attachments"] for task in tasks_of(client))
    assert [len(urls) for urls in served] == [1, 4, 2]
    assert served[1] == [f"https://e.org/{at}.jpg" for at in (1, 2, 3, 4)]


@pytest.mark.parametrize("chunk_rows", [1, 2, 100])
def test_rows_of_a_group_that_ended_are_refused_by_name(client: rf.Client, chunk_rows: int) -> None:
    """Unsorted input is an error of those rows, the same for every size of chunks; null keys are errors of theirs."""
    found = documents(grouped("a", "a", "b", "a", None, "b", "c"), client, chunk_rows=chunk_rows)
    bad = "unsorted_group"
    assert found["error_code"].tolist() == [None, None, None, bad, "null_group", bad, None]
    assert "the group 'a' ended before row 2; sort the input by 'document'" in found["error_message"][3]
    assert sorted(len(task["params"]["attachments"]) for task in tasks_of(client)) == [1, 1, 2]


def test_keys_that_became_floats_midway_are_the_same_keys(client: rf.Client) -> None:
    """A later piece with a hole turns 1 into 1.0."""
    urls = [{"url": [f"https://e.org/{at}{side}.jpg" for side in "ab"]} for at in range(3)]
    keys = [[1, 2], [2, None], [3, 1]]
    found = documents((pd.DataFrame({"document": key, **url}) for key, url in zip(keys, urls, strict=True)), client)
    assert found["error_code"].tolist() == [None, None, None, "null_group", None, "unsorted_group"]
    assert found["task_id"][1] == found["task_id"][2]


# Stops


def test_on_error_raise_stops_at_the_chunk_with_the_bad_row(client: rf.Client) -> None:
    """Rows are counted from the beginning of the input; the report is on the error."""
    with pytest.raises(rf.RowErrors, match="1 of the rows 2 to 3 cannot be sent, the first of them row 3") as caught:
        submit(pieces("a", "b", "c", None, "e", "f", size=2), client, on_error="raise")
    assert [(row, code) for row, code, _ in caught.value.rows] == [(3, "missing_parameter")]
    assert told(caught.value.receipt) == {"created": 2, "failed": 1, "unsent": 1}
    assert receipts(caught.value.receipt)["text"].tolist()[:3] == ["a", "b", "c"]


def test_on_error_raise_names_a_refused_row_by_its_place_in_the_input(client: rf.Client) -> None:
    """After those in flight were settled."""
    post(client, "task", "categorization", body={"attachment": "foreign", "unique_id": "s3", **TEXT})
    rows = pd.DataFrame({"text": list("abcdef"), "scene": [f"s{at}" for at in range(6)]})
    with pytest.raises(rf.RefonteError, match=r"Row 3 was refused \(unique_id_taken\)") as caught:
        submit([rows], client, unique_id="scene", on_error="raise")
    assert told(caught.value.receipt) == {"created": 3, "failed": 1}
    assert not caught.value.receipt.is_whole


def test_equal_refusals_are_counted_across_chunks(client: rf.Client) -> None:
    """Twenty of them stop the run, though no chunk has so many."""
    texts = pieces(*(f"t{at}" for at in range(100)))
    with pytest.raises(rf.RefonteError, match="equal refusals in a row") as caught:
        submit(texts, client, params={"attachment_type": "text", "categories": "no list"})
    assert 20 <= caught.value.receipt.counts["failed"] == caught.value.receipt.rows < 50


@pytest.mark.parametrize("project", [None, "p"])
def test_a_wrong_key_leaves_a_report(sandbox: rf.Sandbox, tmp_path: Any, project: str | None) -> None:
    """Whether the first row or the look at the project is refused."""
    stranger = rf.Client("nobody_at_all", sandbox.base_url, state_dir=tmp_path)
    with pytest.raises(rf.Unauthorized) as caught:
        submit(pieces("a", "b", "c"), stranger, project=project)
    assert told(caught.value.receipt) == {"unsent": 2}
    assert receipts(caught.value.receipt)["outcome"].tolist() == ["unsent", "unsent"]


def test_a_type_that_is_not_enabled_ends_the_reading(client: rf.Client) -> None:
    """There is nothing else to send."""
    with pytest.raises(rf.NotEnabled) as caught:
        submit(pieces(*"abcdefgh"), client, type="sensorfusion")
    assert caught.value.receipt.rows == 2


def test_an_error_of_the_input_itself_tells_what_was_done(client: rf.Client) -> None:
    """It is the caller's own error, with a note."""

    def broken() -> Iterator[pd.DataFrame]:
        yield from pieces("a", "b", "c")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as caught:
        submit(broken(), client)
    (note,) = caught.value.__notes__
    assert "had read 2 rows before this (2 created)" in note
    assert told(submit(pieces("a", "b", "c"), client)) == {"created": 3}


def test_columns_that_change_midway_end_the_run_after_the_rows_before(client: rf.Client) -> None:
    """The sentence says where, and what is missing; in another order they are the same."""
    frames = [pd.DataFrame({"text": ["a"], "n": [1]}), pd.DataFrame({"n": [1], "text": ["b"]})]
    with pytest.raises(rf.ColumnError, match=r"change at row 2 .* lacks 'n'") as caught:
        submit([*frames, pd.DataFrame({"text": ["c"]})], client, chunk_rows=10)
    assert told(caught.value.receipt) == {"created": 2}


def test_ctrl_c_while_the_input_is_read_leaves_a_report(client: rf.Client) -> None:
    """What was sent is settled; the same input again goes on."""

    def interrupted() -> Iterator[pd.DataFrame]:
        yield from pieces("a", "b", "c")
        _thread.interrupt_main()
        yield from pieces("d")

    with pytest.raises(rf.SubmitInterrupted, match=r"of the \d rows read so far unsent") as caught:
        submit(interrupted(), client)
    assert caught.value.receipt.counts["created"] == len(tasks_of(client))
    assert told(submit(pieces(*"abcd"), client)) == {"created": 4}


class InterruptedClient(rf.Client):
    """A client whose user presses Ctrl-C at the first request."""

    def send_once(self, call: Call, *, stop: threading.Event | None = None) -> Any:  # noqa: ARG002 - as a Client's
        """Send nothing."""
        raise KeyboardInterrupt


def test_ctrl_c_before_the_first_row_is_no_other_error(sandbox: rf.Sandbox, key: str, tmp_path: Path) -> None:
    """While the first rows are read, and while the project is looked at."""

    def interrupted() -> Iterator[pd.DataFrame]:
        raise KeyboardInterrupt
        yield

    with InterruptedClient(key, sandbox.base_url, state_dir=tmp_path) as client:
        with pytest.raises(rf.SubmitInterrupted, match="while the first rows were read") as caught:
            submit(interrupted(), client)
        assert caught.value.counts["unsent"] == 0
        with pytest.raises(rf.SubmitInterrupted, match="before this call sent a row") as caught:
            submit(pieces("a", "b"), client, project="p")
    assert caught.value.receipt.counts["unsent"] == 2


# Receipts on disk


def test_all_parts_have_one_schema_whatever_the_pieces_bring(client: rf.Client) -> None:
    """A column takes the type that holds all of its values; what has none in common is JSON text."""
    frames = [
        pd.DataFrame({"text": ["a"], "n": [1], "late": [None], "mixed": [1], "big": [1.5], "cell": [{"k": 1}]}),
        pd.DataFrame({"text": ["b"], "n": [2.5], "late": ["x"], "mixed": ["y"], "big": [2**60 + 1], "cell": [[1]]}),
        pd.DataFrame({"text": ["c"], "n": [None], "late": ["z"], "mixed": [None], "big": [None], "cell": [None]}),
    ]
    report = submit(frames, client, chunk_rows=1)
    parts = sorted(report.receipt_path.iterdir())
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    schemas = {pq.read_schema(part).to_string() for part in parts}
    assert len(schemas) == 1
    found = pd.read_parquet(report.receipt_path, dtype_backend="pyarrow")
    assert found["n"].tolist()[:2] == [1.0, 2.5]
    assert found["late"].tolist()[1:] == ["x", "z"]
    assert found["mixed"].tolist()[:2] == ["1", '"y"']
    assert found["big"].tolist()[:2] == ["1.5", "1152921504606846977"]
    assert found["cell"].tolist()[:2] == ['{"k":1}', "[1]"]
    assert found[["n", "mixed", "big", "cell"]].isna().sum().tolist() == [1, 1, 1, 1]


def test_an_index_that_says_something_is_a_column(client: rf.Client) -> None:
    """Named or not; one that only counts is left out. Names that clash make way for ours."""
    named = pd.DataFrame({"text": ["a"], "tries": [7]}, index=pd.Index(["r1"], name="row"))
    found = receipts(submit([named], client))
    assert found["row"].tolist() == ["r1"]
    assert found["tries"].tolist() == [1]
    unnamed = receipts(submit([pd.DataFrame({"text": ["b"], 1: [2]}, index=["r2"])], client))
    assert list(unnamed.columns)[:3] == ["index", "text", "1"]


def test_an_index_that_a_later_piece_brings_is_a_column_of_all_parts(client: rf.Client) -> None:
    """Null where there was none; a column keeps its name, and pieces that count each from 0 have no index."""
    counting = pd.DataFrame({"text": ["a"]})
    named = pd.DataFrame({"text": ["c", "d"]}, index=pd.Index(["r1", "r2"], name="text"))
    report = submit([counting, counting.assign(text="b"), named], client)
    found = receipts(report)
    assert found["text"].tolist() == ["a", "b", "c", "d"]
    assert found["text_"].tolist() == [None, None, "r1", "r2"]
    assert len({str(pq.read_schema(part)) for part in report.receipt_path.iterdir()}) == 1
    assert list(receipts(submit([counting, counting.assign(text="b")], client)).columns)[:2] == ["text", "task_id"]


@pytest.mark.parametrize("chunk_rows", [1, 9])
def test_columns_of_one_name_that_feed_nothing_do_not_matter(client: rf.Client, chunk_rows: int) -> None:
    """Nor their order; as the key of groups they are refused."""
    first = pd.DataFrame([["a", 1, "x"]], columns=["text", "n", "n"])
    second = pd.DataFrame([[2, "b", "y"]], columns=["n", "text", "n"])
    found = receipts(submit([first, second], client, chunk_rows=chunk_rows))
    assert found[["text", "n", "n_"]].to_numpy().tolist() == [["a", 1, "x"], ["b", 2, "y"]]
    for source in (first, [first, second]):
        with pytest.raises(rf.ColumnError, match="2 columns named 'n'"):
            rf.submit(source, type="comparison", columns={"attachment": "text"}, group_by="n", client=client)


def test_receipts_are_their_owners_alone(client: rf.Client) -> None:
    """They hold what the input held."""
    report = submit(pieces("a"), client)
    assert report.receipt_path.stat().st_mode & 0o777 == 0o700
    assert report.receipt_path.parent.name == f"{report.journal.name}.receipts"


# Chunks


def test_pieces_of_other_dtypes_are_not_joined_unless_a_group_needs_it() -> None:
    """Joined, integers beyond 2**53 would lose digits beside floats; as objects they do not."""
    frames = [pd.DataFrame({"g": [1, 2], "n": [2**60 + 1, 5]}), pd.DataFrame({"g": [2, 3], "n": [0.5, 1.5]})]
    assert [chunk["n"].tolist() for chunk in chunks_of(frames, 10)] == [[2**60 + 1, 5], [0.5, 1.5]]
    kept = [chunk["n"].tolist() for chunk in chunks_of(frames, 10, group_by="g")]
    assert kept == [[2**60 + 1], [5, 0.5, 1.5]]


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_chunks_have_the_size_asked_for_whatever_the_pieces(size: int) -> None:
    """All rows, in order; the last chunk has the rest."""
    chunks = list(chunks_of(pieces(*range(20), size=size), 6))
    assert [len(chunk) for chunk in chunks] == [6, 6, 6, 2]
    assert [row for chunk in chunks for row in chunk["text"]] == list(range(20))
