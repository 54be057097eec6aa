"""Tasks and audits become exactly the columns of the schemas, whatever the service sends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames import schemas
from refonte_frames.errors import ReplyError
from refonte_frames.export.columns import TASK_TABLES, build, time_of
from refonte_frames.export.decode import PageDecoder
from refonte_frames.export.drift import Drift

if TYPE_CHECKING:
    from pathlib import Path


def one(tables: Any, doc: Any, table: str = "tasks") -> dict[str, Any]:
    """Return the first row of a table."""
    row: dict[str, Any] = tables(doc)[table].slice(0, 1).to_pylist()[0]
    return row


@pytest.mark.parametrize("table", TASK_TABLES)
def test_no_tasks_give_the_same_columns_as_many(table: str, tables: Any, example: Any) -> None:
    """Same names, order and types."""
    assert tables()[table].schema.equals(schemas.SCHEMAS[table], check_metadata=True)
    assert tables(example("A1"))[table].schema.equals(schemas.SCHEMAS[table], check_metadata=True)


def test_a_complete_task_fills_its_columns(tables: Any, example: Any) -> None:
    """Values are those of the reply."""
    row = one(tables, example("A1"))
    assert row["unique_id"] == "dock/cam2/000417.jpg"
    assert row["status"] == "completed"
    assert row["turnaround_secs"] == 9311.0
    assert row["attachment"] == "https://data.example.org/dock/cam2/000417.jpg"
    assert row["tags"] == ["week10", "cam2"]
    assert row["priority"] == 20
    assert row["callback_succeeded"] is True
    assert row["n_annotations"] == 9
    assert (row["first_audit_result"], row["last_audit_result"], row["last_audit_source"]) == (
        "accepted",
        "fixed",
        "customer",
    )
    assert row["extra_json"] is None


def test_a_pending_task_is_null_where_it_has_nothing(tables: Any, example: Any) -> None:
    """No response, no end, no turnaround; the counts are 0."""
    row = one(tables, example("A2"))
    assert row["completed_at"] is row["turnaround_secs"] is row["response_json"] is row["tags"] is None
    assert (row["n_annotations"], row["n_audits"]) == (0, 0)


def test_a_failed_task_says_why_and_has_no_turnaround(tables: Any, example: Any) -> None:
    """Only completed tasks have one."""
    row = one(tables, example("A4"))
    assert row["error"] == "One or more attachments could not be downloaded"
    assert row["turnaround_secs"] is None


def test_audits_stand_oldest_first_though_the_service_lists_the_newest_first(tables: Any, example: Any) -> None:
    """With first and last marked, and the lag behind the task's end."""
    audits = tables(example("A1"))["audits"].to_pylist()
    assert [audit["audited_by"] for audit in audits] == ["qa7@refonte.ai", "ines@example.org"]
    assert [(audit["audit_index"], audit["is_first"], audit["is_last"]) for audit in audits] == [
        (0, True, False),
        (1, False, True),
    ]
    assert audits[0]["lag_secs"] == 737.587
    assert audits[0]["project"] == "dock_safety"


def test_audits_of_the_same_instant_keep_the_service_s_order(tables: Any) -> None:
    """The one listed first is the newest."""
    audits = [{"audited_by": name, "audited_at": "2024-03-05T13:40:09.120Z"} for name in ("late@x.org", "early@x.org")]
    found = tables({"task_id": "a", "audits": audits})["audits"]
    assert found["audited_by"].to_pylist() == ["early@x.org", "late@x.org"]


def test_attachments_that_are_objects_are_read_by_their_content_or_url(tables: Any, example: Any, drift: Drift) -> None:
    """Documented alternatives are no misfits."""
    assert one(tables, example("A15"))["attachments"] == [
        "https://shop.example.org/p/552",
        "Compare with last year's label.",
    ]
    assert one(tables, {"task_id": "a", "params": {"attachments": ["u", {"url": "v"}]}})["attachments"] == ["u", "v"]
    assert not drift


@pytest.mark.parametrize(("sent", "read"), [("https://u", ["https://u"]), (["https://u", "https://v"], None)])
def test_attachment_urls_are_a_list_in_either_form(sent: Any, read: Any, tables: Any) -> None:
    """The key's form is not documented."""
    assert one(tables, {"task_id": "a", "attachment_url": sent})["attachment_urls"] == (read or sent)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1.0 ,"b":18446744073709551617,"c":1e400,"a2":165.0,"d":9223372036854775809}',
        '{"b":1,"a":2,"b":3}',
        '{"ä":"\\u00e4","\\u0000":"\\u0000"}',
        "{}",
    ],
)
def test_open_maps_stay_the_service_s_own_text(text: str, tables: Any) -> None:
    """Large integers, exponents, trailing zeros, key order, blanks and escapes."""
    doc = f'{{"task_id":"a","params":{text},"metadata":{text}}}'.encode()
    row = one(tables, doc)
    assert row["params_json"] == row["metadata_json"] == text


def test_texts_of_any_characters_survive_parquet(tables: Any, tmp_path: Path) -> None:
    """NUL, noncharacters, and characters beyond the first plane."""
    text = "a\0b\uffff\U0001f600\x1f"
    found = tables({"task_id": text, "unique_id": text, "response": {"annotations": [{"type": "box", "label": text}]}})
    for name, column in (("tasks", "unique_id"), ("annotations", "label")):
        pq.write_table(pa.Table.from_batches([found[name]]), tmp_path / name)
        read = pq.read_table(tmp_path / name)
        assert (read["task_id"].to_pylist(), read[column].to_pylist()) == ([text], [text])


def test_a_key_nobody_documented_is_kept_and_counted(tables: Any, drift: Drift, example: Any) -> None:
    """A documented one without a column is kept and not counted."""
    assert one(tables, {"task_id": "a", "mood": {"x": 1}})["extra_json"] == '{"mood":{"x":1}}'
    assert drift.unknown_keys == {"tasks.mood": 1}
    assert "document_pages" in one(tables, example("A18"))["extra_json"]
    assert drift.unknown_keys == {"tasks.mood": 1}


@pytest.mark.parametrize(
    ("key", "value"), [("unique_id", 5), ("priority", 70000), ("priority", "20"), ("tags", "a"), ("created_at", "soon")]
)
def test_a_value_that_does_not_fit_is_null_kept_and_counted(key: str, value: Any, tables: Any, drift: Drift) -> None:
    """It is never cast and never stops an export."""
    row = one(tables, {"task_id": "a", key: value})
    assert row[key] is None
    assert msgspec.json.decode(row["extra_json"]) == {key: value}
    assert drift.misfits == {f"tasks.{key}": 1}


def test_null_and_absent_are_told_apart_in_extra_json(tables: Any, drift: Drift) -> None:
    """Both are null in the typed column, and neither is drift."""
    found = tables({"task_id": "a", "batch": None, "response": None}, {"task_id": "b"})["tasks"]
    assert found["batch"].to_pylist() == [None, None]
    assert found["response_json"].to_pylist() == [None, None]
    assert found["extra_json"].to_pylist() == ['{"batch":null,"response":null}', None]
    assert not drift


def test_digits_beyond_a_microsecond_are_kept_beside_the_column(tables: Any) -> None:
    """The column has the microseconds, extra_json the text."""
    row = one(tables, {"task_id": "a", "created_at": "2024-03-04T08:15:22.1234567Z"})
    assert row["created_at"].microsecond == 123456
    assert row["extra_json"] == '{"created_at":"2024-03-04T08:15:22.1234567Z"}'


@pytest.mark.parametrize(
    ("callback", "column", "extra"),
    [
        ({"callback_succeeded": True, "callback_completed": True}, True, None),
        ({"callback_completed": False}, False, '{"callback_completed":false}'),
        ({"callback_succeeded": True, "callback_completed": False}, True, '{"callback_completed":false}'),
    ],
)
def test_the_two_names_of_the_callback_s_outcome_are_one_column(
    callback: dict[str, bool], column: Any, extra: str | None, tables: Any
) -> None:
    """Where they differ, the other is kept."""
    row = one(tables, {"task_id": "a", **callback})
    assert (row["callback_succeeded"], row["extra_json"]) == (column, extra)


def test_a_limited_response_has_ids_and_states(tables: Any, example: Any, drift: Drift) -> None:
    """Everything else is null, and its own key is kept."""
    row = one(tables, example("B3"))
    assert (row["status"], row["created_at"], row["params_json"]) == ("completed", None, None)
    assert row["extra_json"] == '{"otherVersion":null}'
    assert not drift


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_none_in_utc_is_kept_beside_the_column(text: str, tables: Any) -> None:
    """No reader could show it."""
    row = tables({"task_id": "a", "created_at": text})["tasks"].to_pylist()[0]
    assert (row["created_at"], row["extra_json"]) == (None, f'{{"created_at":"{text}"}}')


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2024-03-04T08:15:22.417Z", 1709540122417000),
        ("2024-03-04T01:15:22.417-07:00", 1709540122417000),
        ("2024-03-04T08:15:22.417", 1709540122417000),
        ("2024-03-04 08:15:22.417000", 1709540122417000),
        ("2024-03-04", 1709510400000000),
        ("2024-13-04", None),
        ("20240304", None),
        ("", None),
    ],
)
def test_times_are_read_as_utc_unless_they_say_otherwise(text: str, micros: int | None) -> None:
    """What is no time is none."""
    assert time_of(text)[0] == micros


def test_a_key_that_comes_with_every_task_is_learned_and_still_kept() -> None:
    """The second page is read in one go, with the same outcome as the first."""
    decoder, counts = PageDecoder(), Drift()
    body = b'{"docs":[{"task_id":"a","mood-now":[1, 2.0]},{"task_id":"b"}]}'
    seen = []
    for _ in range(2):
        docs = decoder.decode(body, where="page").docs
        tasks = build(docs, tables=("tasks",), exported_at=datetime.now(UTC), drift=counts)["tasks"]
        seen.append(tasks["extra_json"].to_pylist())
    assert seen == [['{"mood-now":[1, 2.0]}', None]] * 2
    assert counts.unknown_keys == {"tasks.mood-now": 2}


@pytest.mark.parametrize(
    ("body", "says", "path"),
    [
        (b"", "page 3", ""),
        (b"<html>", "malformed", ""),
        (b"[]", "Expected `object`", ""),
        (b'{"docs":{}}', "Expected `array`", "docs"),
        (b'{"docs":[3]}', "something else than an object", "docs[0]"),
        (b'{"docs":[{"task_id":"a"},{"status":"pending"}]}', "without a usable task_id", "docs[1].task_id"),
        (b'{"docs":[{"task_id":7}]}', "without a usable task_id", "docs[0].task_id"),
        (b'{"docs":[{"task_id":"a","x":NaN}]}', "malformed", ""),
        (b'{"docs":[{"task_id":"a","x":"\xff"}]}', "no UTF-8", ""),
        (
            b'{"docs":[{"task_id":"a","x":' + b"[" * 9000 + b"]" * 9000 + b"}]}",
            "100 lists",
            "docs[0].x[0][0][0][0][0]…",
        ),
        (b'{"docs":[]}x', "trailing", ""),
    ],
)
def test_a_broken_page_is_an_error_that_says_which_and_where(body: bytes, says: str, path: str) -> None:
    """Strict JSON in UTF-8, bounded in depth; nothing is guessed."""
    with pytest.raises(ReplyError, match="GET /tasks, page 3") as caught:
        PageDecoder().decode(body, where="GET /tasks, page 3,")
    assert says in str(caught.value)
    assert caught.value.path == path


def nested(levels: int, key: str) -> bytes:
    """Make a page whose second task has so many levels of brackets in all, below a key."""
    inner = b'{"a":[' * (levels // 2) + b"]}" * (levels // 2)
    if levels % 2:
        inner = b"[" + inner + b"]"
    return b'{"docs":[{"task_id":"x"},{"task_id":"y","%s":%s}]}' % (key.encode(), inner)


@pytest.mark.parametrize("key", ["params", "metadata", "response", "audits", "tags", "mood"])
def test_replies_may_have_a_hundred_levels_and_no_more(key: str) -> None:
    """In every part of a task, whether documented, learned or met for the first time; the error says where."""
    decoder = PageDecoder()
    for _ in range(2):
        page = decoder.decode(nested(97, key), where="page")
        assert build(page.docs, tables=TASK_TABLES, exported_at=datetime.now(UTC), drift=Drift())["tasks"].num_rows == 2
        with pytest.raises(ReplyError, match=r"page 7, was answered with more than 100 lists and objects") as caught:
            decoder.decode(nested(98, key), where="GET /tasks, page 7,")
        assert caught.value.path == f"docs[1].{key}.a[0].a[0].a…"


def test_a_single_task_is_bounded_as_well() -> None:
    """A hundred levels, the object itself included."""
    for levels, is_read in ((99, True), (100, False)):
        body = b'{"task_id":"a","params":%s}' % (b"[" * levels + b"]" * levels)
        if is_read:
            assert PageDecoder().decode_task(body, where="GET /task/a").task_id == "a"
        else:
            with pytest.raises(ReplyError, match="GET /task/a was answered with more than 100"):
                PageDecoder().decode_task(body, where="GET /task/a")


def test_brackets_in_texts_and_beside_each_other_are_no_levels() -> None:
    """However many there are."""
    body = b'{"docs":[{"task_id":"a","params":{"t":"%s\\"","l":[%s]}}]}' % (b"[{" * 500, b",".join([b"[{}]"] * 500))
    assert PageDecoder().decode(body, where="page").docs[0].task_id == "a"


@given(st.lists(st.tuples(st.integers(90, 104), st.text('[]{}"\\\\é', max_size=4)), min_size=1, max_size=6))
def test_the_first_task_with_too_many_levels_is_named(tasks: list[tuple[int, str]]) -> None:
    """Among others with as many brackets, and whatever brackets and quotes stand in their texts."""
    docs = []
    for levels, text in tasks:
        inner: Any = [text, [], {text: text}] * 50
        for _ in range(levels - 2):
            inner = [text, inner, {}]
        docs.append({"task_id": f"of {levels} levels", "response": inner})
    body = msgspec.json.encode({"docs": docs})
    deep = [levels for levels, _ in tasks if levels > 97]
    if deep:
        with pytest.raises(ReplyError, match=f"of task of {deep[0]} levels"):
            PageDecoder().decode(body, where="page")
    else:
        assert len(PageDecoder().decode(body, where="page").docs) == len(docs)


def test_half_a_character_does_not_stop_an_export() -> None:
    """It is replaced and counted; whole ones, and backslashes that only look like one, stay as they are."""
    body = rb'{"docs":[{"task_id":"a","unique_id":"x\ud83d","metadata":{"t":"\ud83d\ude00 \\ud83d \uDE00"}}]}'
    page = PageDecoder().decode(body, where="page")
    assert page.mended == 2
    assert page.docs[0].unique_id == "x\ufffd"
    assert bytes(page.docs[0].metadata) == rb'{"t":"\ud83d\ude00 \\ud83d \ufffd"}'


def test_drift_does_not_grow_without_bound() -> None:
    """A hostile service could send a new key with every task."""
    counts = Drift()
    for number in range(1_000):
        counts.note_key(f"tasks.k{number}")
    assert len(counts.unknown_keys) <= 201
    assert counts.unknown_keys.total() == 1_000
