"""Attempts at quality tasks: from the sandbox, from services that call things otherwise, and numbered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import RawServer, answer
from service import post

import refonte_frames as rf
from refonte_frames.export.attempt_rows import AttemptDecoder, table_of, tells_outcomes
from refonte_frames.export.drift import Drift

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def rows_of(*docs: dict[str, Any], drift: Drift | None = None) -> list[dict[str, Any]]:
    """Make rows of some attempts, as if they had come in one reply."""
    page = AttemptDecoder().decode(msgspec.json.encode({"docs": docs}), where="GET /quality/labelers")
    table = table_of(page.docs, exported_at=NOW, drift=Drift() if drift is None else drift)
    assert table.schema.equals(rf.schemas.ATTEMPTS)
    return table.to_pylist()


@pytest.fixture
def quality_tasks(client: rf.Client, sandbox: rf.Sandbox) -> list[str]:
    """Make a training and an evaluation task, and let labelers try them."""
    post(client, "projects", body={"type": "categorization", "name": "p", "rapid": True})
    body = {"project": "p", "attachment": "car", "attachment_type": "text", "categories": ["a", "b", "c"]}
    body["expected_response"] = {"category": "a"}
    made = [post(client, f"{kind}_tasks", "categorization", body=body)["id"] for kind in ("training", "evaluation")]
    sandbox.work(days=2)
    return made


def test_the_attempts_of_the_sandbox_fill_the_table(client: rf.Client, quality_tasks: list[str]) -> None:
    """Every column that the service speaks of, typed, with nothing left over."""
    frame = rf.read_attempts(quality_task_ids=quality_tasks, client=client)
    assert frame.columns.tolist() == rf.schemas.ATTEMPTS.names
    assert set(frame["quality_task_id"]) == set(quality_tasks)
    assert set(frame["kind"]) == {"training", "evaluation"}
    assert (frame["passed"] == (frame["status"] == "passed")).all()
    assert frame["score"].between(0, 1).all()
    assert set(frame["attempt_number_source"]) == {"service"}
    assert frame["extra_json"].dropna().unique().tolist() == ['{"task_id":null}']
    assert set(frame["expected_json"]) == {'{"category":"a"}'}
    assert frame["started_at"].is_monotonic_decreasing
    assert frame.attrs["refonte"]["drift"] == {"unknown_keys": {}, "misfits": {}, "unknown_responses": {}}


def test_labelers_are_numbered_through_by_their_starts(client: rf.Client, quality_tasks: list[str]) -> None:
    """From 1 on, over all quality tasks."""
    frame = rf.read_attempts(quality_task_ids=quality_tasks, client=client).sort_values("started_at")
    for _, attempts in frame.groupby("labeler"):
        assert attempts["labeler_seq"].tolist() == list(range(1, len(attempts) + 1))


def test_both_filters_hold_together(client: rf.Client, quality_tasks: list[str]) -> None:
    """And what has no attempt is named."""
    everybody = rf.read_attempts(quality_task_ids=quality_tasks[1], client=client)
    email = everybody["labeler"][0]
    frame = rf.read_attempts(quality_task_ids=[quality_tasks[1], "0" * 24], labeler_emails=email, client=client)
    assert frame["attempt_id"].tolist() == everybody["attempt_id"][everybody["labeler"] == email].tolist()
    assert frame.attrs["refonte"]["not_found"] == ["0" * 24]


@pytest.mark.parametrize(
    "ids",
    [
        lambda made: pd.Series([*made, None]),
        pl.Series,
        lambda made: pd.DataFrame({"quality_task_id": made}),
        lambda made: pl.DataFrame({"id": made}),
        tuple,
    ],
)
def test_ids_come_from_lists_series_and_frames(client: rf.Client, quality_tasks: list[str], ids: Any) -> None:
    """The same attempts, whatever holds the ids."""
    frame = rf.read_attempts(quality_task_ids=ids(quality_tasks), client=client)
    assert len(frame) == len(rf.read_attempts(quality_task_ids=quality_tasks, client=client)) > 0


def test_all_means_the_labelers_of_the_team(client: rf.Client, sandbox: rf.Sandbox, key: str) -> None:
    """Who did the attempts, when the team has labelers."""
    emails = ["a@example.com", "b@example.com"]
    post(client, "teams", "invite", body={"emails": emails, "team_role": "labeler"})
    post(client, "teams", "invite", body={"emails": ["boss@example.com"], "team_role": "manager"})
    sandbox.accept_invitations(key=key)
    post(client, "projects", body={"type": "categorization", "name": "p", "rapid": True})
    body = {"project": "p", "attachment": "car", "attachment_type": "text", "categories": ["a", "b"]}
    post(client, "evaluation_tasks", "categorization", body={**body, "expected_response": {"category": "a"}})
    sandbox.work(days=2)
    frame = rf.read_attempts(labeler_emails="all", client=client)
    assert sorted(frame["labeler"]) == emails
    assert frame.attrs["refonte"]["not_found"] == []


def test_a_team_without_labelers_is_told(client: rf.Client) -> None:
    """No rows, and the remedy."""
    with pytest.warns(UserWarning, match=r"the team has no labelers\. Name them"):
        frame = rf.read_attempts(labeler_emails="all", client=client)
    assert frame.shape == (0, len(rf.schemas.ATTEMPTS))


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ({}, "Whose attempts"),
        ({"quality_task_ids": "all"}, "the service lists no quality tasks"),
        ({"quality_task_ids": [1.0]}, "quality_task_ids holds 1.0"),
        ({"labeler_emails": 7}, "labeler_emails: give a text"),
        ({"labeler_emails": pd.DataFrame({"who": ["a"]})}, "no column 'labeler_email' or 'labeler' or 'email'"),
    ],
)
def test_filters_that_cannot_be_right_are_refused(client: rf.Client, filters: dict[str, Any], says: str) -> None:
    """Before anything is sent, by all three functions."""
    for ask in (rf.read_attempts, rf.scan_attempts, lambda **more: rf.export_attempts("attempts", **more)):
        with pytest.raises(rf.InputError, match=says):
            ask(**filters, client=client)
    assert client.requests_by_status() == {}


def test_no_ids_are_no_rows_and_no_requests(client: rf.Client) -> None:
    """An empty list is not no filter."""
    assert rf.read_attempts(quality_task_ids=[], client=client).empty
    assert client.requests_by_status() == {}


def test_a_stream_has_the_same_rows(client: rf.Client, quality_tasks: list[str]) -> None:
    """Read when it is read from."""
    reader = rf.scan_attempts(quality_task_ids=quality_tasks, client=client)
    sent = sum(client.requests_by_status().values())
    table = reader.read_all()
    assert sum(client.requests_by_status().values()) > sent
    frame = rf.read_attempts(quality_task_ids=quality_tasks, client=client)
    assert table["attempt_id"].to_pylist() == frame["attempt_id"].tolist()


def test_an_export_keeps_attempts_in_parquet(client: rf.Client, quality_tasks: list[str], tmp_path: Path) -> None:
    """A second call replaces them by key; another filter is another folder."""
    for _ in range(2):
        report = rf.export_attempts(tmp_path / "a", quality_task_ids=quality_tasks, client=client)
    frame = pd.read_parquet(tmp_path / "a" / "attempts")
    assert frame["attempt_id"].is_unique
    assert len(frame) == report.rows["attempts"] > 0
    with pytest.raises(rf.ExportError, match="was exported differently"):
        rf.export_attempts(tmp_path / "a", quality_task_ids=quality_tasks[0], client=client)


@pytest.mark.parametrize("name", ["docs", "training_attempts", "attempts", "data", None])
def test_rows_are_found_in_any_envelope(name: str | None) -> None:
    """Also in a bare array."""
    docs = [{"id": "a1"}]
    page = AttemptDecoder().decode(msgspec.json.encode(docs if name is None else {name: docs}), where="GET")
    assert [list(doc) for doc in page.docs] == [["id"]]
    assert (page.has_more, page.next_token, page.total) == (False, None, None)


@pytest.mark.parametrize("body", [b'{"files": []}', b'{"docs": 3}', b'{"docs": [1]}', b"7", b"not json", b"\xff"])
def test_a_reply_without_attempts_is_an_error(body: bytes) -> None:
    """The documented example is one: the file of an invoice."""
    with pytest.raises(rf.ReplyError, match="GET /quality/labelers"):
        AttemptDecoder().decode(body, where="GET /quality/labelers")


def test_other_names_of_a_column_are_understood() -> None:
    """In camelCase too; what has no name of ours is kept and counted."""
    drift = Drift()
    doc = {
        "attemptId": "x",
        "workerEmail": "ana@example.org",
        "trainingTaskId": "q",
        "isCorrect": True,
        "accuracy": 0.5,
        "submittedAt": "2024-03-04T08:15:22Z",
        "createdAt": "2024-03-04T08:15:00Z",
        "concept": "edges",
        "answer": {"category": "a"},
        "mood": [1.0],
    }
    (row,) = rows_of(doc, drift=drift)
    assert (row["attempt_id"], row["labeler"], row["quality_task_id"]) == ("x", "ana@example.org", "q")
    assert (row["passed"], row["score"], row["duration_secs"], row["concepts"]) == (True, 0.5, 22.0, ["edges"])
    assert (row["kind"], row["response_json"], row["extra_json"]) == ("unknown", '{"category":"a"}', '{"mood":[1.0]}')
    assert drift.as_json()["unknown_keys"] == {"attempts.mood": 1}


def test_of_two_names_of_a_column_the_likelier_one_counts() -> None:
    """The other one is kept."""
    (row,) = rows_of({"id": "row 7", "attempt_id": "x", "email": "b@x", "labeler_email": "a@x"})
    assert (row["attempt_id"], row["labeler"]) == ("x", "a@x")
    assert msgspec.json.decode(row["extra_json"]) == {"id": "row 7", "email": "b@x"}


def test_what_does_not_fit_is_null_and_kept() -> None:
    """A score in percent cannot be told from one out of 1, so it is not guessed."""
    drift = Drift()
    doc = {"attempt_id": "x", "score": 83, "started_at": "soon", "attempt_number": 1.5, "passed": "yes", "status": 3}
    (row,) = rows_of(doc, drift=drift)
    assert [row[name] for name in ("score", "started_at", "attempt_number", "passed", "status")] == [None] * 5
    assert msgspec.json.decode(row["extra_json"]) == {name: doc[name] for name in doc if name != "attempt_id"}
    assert sum(drift.misfits.values()) == 5


def started(hour: int, labeler: str = "ana", **more: Any) -> dict[str, Any]:
    """Make an attempt without id and number."""
    return {"labeler_email": labeler, "quality_task_id": "q", "started_at": f"2024-03-04T{hour:02}:00:00Z", **more}


def test_attempts_are_numbered_where_the_service_does_not() -> None:
    """By their start, within a labeler and quality task; the service's own number stays."""
    rows = rows_of(started(9), started(8), started(7, attempt_number=4), started(8, "bob"), started(6, None))
    told = {(row["labeler"], row["started_at"].hour): row for row in rows}
    assert [told["ana", hour]["attempt_number"] for hour in (7, 8, 9)] == [4, 2, 3]
    assert [told["ana", hour]["attempt_number_source"] for hour in (7, 8)] == ["service", "computed"]
    assert told["bob", 8]["labeler_seq"] == 1
    assert [told[None, 6][name] for name in ("attempt_number", "attempt_number_source", "labeler_seq")] == [None] * 3


def test_an_id_is_made_of_labeler_quality_task_and_start() -> None:
    """The same whatever else changes, and whatever came before; two at one time are two."""
    (open_one,), (done,) = rows_of(started(8)), rows_of(started(8, score=1.0, status="passed"))
    assert open_one["attempt_id"] == done["attempt_id"]
    twins = [started(8, score=0.5), started(8, score=0.6)]
    ids = [{row["attempt_id"] for row in rows_of(*docs)} for docs in (twins, twins[::-1], [*twins, *twins])]
    assert ids[0] == ids[1] == ids[2]
    assert len(ids[0]) == 2


VALUES = st.sampled_from([None, "a", "b", 1, 0.5, True, "2024-03-04T08:00:00Z", "2024-03-04T09:00:00Z", [], {"k": 1}])
NAMES = st.sampled_from(["labelerEmail", "labeler_email", "quality_task_id", "started_at", "attempt_number", "score"])


@settings(max_examples=60)
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_the_replies_changes_nothing(docs: list[dict[str, Any]], random: Any) -> None:
    """Nor do repeats; ids are distinct; and every key of every attempt is still there."""
    rows = rows_of(*docs)
    again = [*docs, *docs[:2]]
    random.shuffle(again)
    assert rows_of(*again) == rows
    assert len({row["attempt_id"] for row in rows}) == len(rows)
    columns = ("labeler", "quality_task_id", "started_at", "score")
    kept = [sum(row[name] is not None for name in columns) for row in rows]
    kept += [row["attempt_number_source"] == "service" for row in rows]
    kept += [len(msgspec.json.decode(row["extra_json"] or "{}")) for row in rows]
    assert sum(kept) == sum(map(len, {msgspec.json.encode(doc, order="sorted"): doc for doc in docs}.values()))


def test_an_attempt_that_comes_twice_is_there_once() -> None:
    """As lists that shift repeat some."""
    assert len(rows_of({"attempt_id": "x", "score": 1.0}, {"attempt_id": "x", "score": 1.0})) == 1


def test_what_is_no_id_of_an_attempt_loses_none() -> None:
    """Some services call something else so: a labeler's id, for instance."""
    docs = [{"id": "ana", "started_at": f"2024-03-04T0{hour}:00:00Z"} for hour in (7, 8, 9)]
    rows = rows_of(*docs, docs[0])
    assert len(rows) == len({row["attempt_id"] for row in rows}) == 3
    changed = [{"attempt_id": "x", "status": status} for status in ("passed", "in_progress")]
    assert [row["status"] for row in rows_of(*changed)] == ["passed"]


@pytest.mark.parametrize(
    ("docs", "tells"),
    [
        ([], True),
        ([{"score": None}], True),
        ([{"passed": False}], True),
        ([{"status": "failed"}], True),
        ([{"status": "done"}, {"mood": 1}], False),
    ],
)
def test_replies_that_tell_no_outcome_are_found_out(docs: list[dict[str, Any]], *, tells: bool) -> None:
    """An undecided attempt tells that it is."""
    page = AttemptDecoder().decode(msgspec.json.encode(docs), where="GET")
    assert tells_outcomes(page.docs) == tells


def test_a_service_that_tells_no_outcome_is_a_loud_warning() -> None:
    """The rows come all the same, with everything kept."""
    body = msgspec.json.encode({"docs": [{"id": "x", "verdict": "fine"}]})
    with RawServer([answer(body)]) as server, rf.Client("live_demo", server.base_url) as client:
        with pytest.warns(rf.SchemaDrift, match="No attempt says whether it was passed") as caught:
            frame = rf.read_attempts(quality_task_ids=["q"], client=client)
    assert frame["extra_json"].tolist() == ['{"verdict":"fine"}']
    assert caught[0].filename == __file__


def test_pages_follow_their_token_and_end() -> None:
    """A token that repeats ends the reading."""
    page = {"docs": [{"id": "x", "score": 1}], "has_more": True, "next_token": "t"}
    bodies = [page, {**page, "docs": [{"id": "y", "score": 0.5}]}]
    with RawServer([answer(msgspec.json.encode(body)) for body in bodies]) as server:
        with rf.Client("live_demo", server.base_url) as client:
            frame = rf.read_attempts(quality_task_ids=["q"], labeler_emails=["a"], client=client)
    assert sorted(frame["attempt_id"]) == ["x", "y"]
    for pair in (b"quality_task_ids=q", b"labeler_emails=a", b"limit=100", b"next_token=t"):
        assert pair in server.requests[1].splitlines()[0]


def test_hostile_texts_come_through_as_they_are() -> None:
    """Control characters, formulas, emoji, half characters, and integers of any size."""
    texts = ["=cmd()|' /C calc'!A0", "\x00\x1b[31m", "\U0001f408\u200d\u2b1b", "a\r\nb\tc"]
    body = msgspec.json.encode([{"id": text, "score": 1, "big": 2**63 + 1} for text in texts])
    page = AttemptDecoder().decode(body.replace(b'"a\\r', b'"\\ud83da\\r'), where="GET")
    rows = table_of(page.docs, exported_at=NOW, drift=Drift()).to_pylist()
    assert sorted(row["attempt_id"] for row in rows) == sorted([*texts[:3], "\ufffda\r\nb\tc"])
    assert {row["extra_json"] for row in rows} == {'{"big":9223372036854775809}'}


def test_the_order_of_the_labelers_makes_no_other_export(tmp_path: Path, client: rf.Client) -> None:
    """A list of the team may come in any order."""
    for emails in (["a@example.org", "b@example.org"], ["b@example.org", "a@example.org"]):
        report = rf.export_attempts(tmp_path / "out", labeler_emails=emails, progress=False, client=client)
        assert report.rows == {"attempts": 0}
