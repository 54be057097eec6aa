"""Answers of other forms than documented: what fits no column stays in extra_json, and nothing ends in a traceback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from raw_server import RawServer, answer

import refonte_frames as rf
from refonte_frames.resources.assets import AssetFinder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HUGE = 2**70


def answered(body: Any, ask: Callable[[rf.Client], Any], path: Path) -> Any:
    """Ask a service that answers this."""
    with RawServer([answer(json.dumps(body).encode())]) as server:
        client = rf.Client(api_key="live_demo", base_url=server.base_url, state_dir=path)
        try:
            return ask(client)
        finally:
            client.close()


@pytest.mark.parametrize(
    "history",
    ["abc", {"a": 1}, [None], [5], [], None, [{"version": HUGE}]],
    ids=lambda history: json.dumps(history)[:20],
)
def test_a_history_of_another_form_is_kept_as_it_is(history: Any, tmp_path: Path) -> None:
    """The project has a row all the same."""
    found = answered(
        [{"name": "x", "param_history": history}], lambda client: rf.projects.list(client=client), tmp_path
    )
    assert found["project"].tolist() == ["x"]
    assert found["version"].isna().all()
    kept = [json.loads(text or "{}") for text in (found["extra_json"].fillna("")[0], found["params_json"][0])]
    assert {"param_history": history} in kept or {"version": HUGE} in kept


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 20200101, None, "soon"])
def test_a_time_that_is_none_is_kept_as_it_is(stamp: Any, tmp_path: Path) -> None:
    """Also one that UTC has no day for."""
    team = answered([{"email": "a", "expiry": stamp}], lambda client: rf.teams.list(client=client), tmp_path)
    assert team["expiry"].isna().all()
    assert json.loads(team["extra_json"][0]) == {"expiry": stamp}


def test_a_number_beyond_64_bits_is_kept_as_it_is(tmp_path: Path) -> None:
    """It fits no column."""
    body = {"docs": [{"attachment_url": "u", "size": HUGE}]}
    files = answered(body, lambda client: rf.files.list("kittens", client=client), tmp_path)
    assert files["bytes"].isna().all()
    assert json.loads(files["extra_json"][0]) == {"size": HUGE}


def test_a_file_on_two_pages_is_listed_once(tmp_path: Path) -> None:
    """Pages may overlap."""
    pages = [
        {"docs": [{"attachment_url": "a"}], "has_more": True, "next_token": "x"},
        {"docs": [{"attachment_url": "a"}, {"attachment_url": "b"}]},
    ]
    with RawServer([answer(json.dumps(page).encode()) for page in pages]) as server:
        with rf.Client(api_key="live_demo", base_url=server.base_url, state_dir=tmp_path) as client:
            assert rf.files.list("kittens", client=client)["attachment_url"].tolist() == ["a", "b"]


def test_a_file_with_another_reference_is_not_taken_for_the_one_that_is_meant(tmp_path: Path) -> None:
    """A service that overlooks the filter lists all there are."""
    body = {"docs": [{"attachment_url": name, "metadata": {"reference_id": name}} for name in ("other", "mine")]}
    found = answered(body, lambda client: AssetFinder(client, "kittens").find("mine"), tmp_path)
    assert found == body["docs"][1]
    assert answered(body, lambda client: AssetFinder(client, "kittens").find("nobody's"), tmp_path) is None


@pytest.mark.parametrize("count", [HUGE, "many", None, 1.5])
def test_a_count_that_is_none_is_null(count: Any, tmp_path: Path) -> None:
    """The others are there."""
    body = {"status": "completed", "tasks_pending": count, "completed": 3}
    counts = answered(body, lambda client: rf.batches.status("b", client=client), tmp_path)
    assert counts["tasks_pending"].isna().all()
    assert counts[["status", "tasks_completed"]].to_dict("records") == [{"status": "completed", "tasks_completed": 3}]


def test_a_member_whose_address_is_none_is_nobody(tmp_path: Path) -> None:
    """The others can be invited."""
    body = [{"email": ["ann@example.org"], "role": "labeler"}]
    made = answered(
        body, lambda client: rf.teams.invite("ann@example.org", "labeler", dry_run=True, client=client), tmp_path
    )
    assert made["outcome"].tolist() == ["changed"]
    assert isinstance(made, pd.DataFrame)


TASK_ID = "576ba74eec471ff9b0155a13"


@pytest.mark.parametrize(
    ("field", "value"), [("tags", 5), ("tags", "a"), ("tags", [["a"]]), ("audits", 5), ("audits", [5])]
)
def test_a_task_of_another_form_is_the_error_of_its_row(field: str, value: Any, tmp_path: Path) -> None:
    """Nothing is changed."""
    frame = pd.DataFrame({"task_id": [TASK_ID]})
    changes: dict[str, Callable[[rf.Client], Any]] = {
        "tags": lambda client: rf.add_tags(frame, "a", client=client),
        "audits": lambda client: rf.audit(frame, accepted=True, client=client),
    }
    task = {"task_id": TASK_ID, "status": "completed", field: value}
    receipt = answered(task, changes[field], tmp_path)
    assert receipt[["outcome", "error_code"]].to_numpy().tolist() == [["failed", "bad_reply"]]
    assert f"{field} are not as documented" in receipt["error_message"].iloc[0]


def test_an_id_that_the_task_itself_has_is_given(tmp_path: Path) -> None:
    """The answer was lost, and the second sending is refused for the sake of the first."""
    refused = f'{{"error": "The unique_id (\\"s\\") is already used for a different task ({TASK_ID})."}}'
    answers = [answer(f'{{"task_id": "{TASK_ID}"}}'.encode()), [b""], answer(refused.encode(), "409 Conflict")]
    frame = pd.DataFrame({"task_id": [TASK_ID], "scene": ["s"]})
    with RawServer(answers) as server:
        with rf.Client(api_key="live_demo", base_url=server.base_url, state_dir=tmp_path) as client:
            receipt = rf.set_unique_ids(frame, column="scene", client=client)
    assert receipt["outcome"].tolist() == ["changed"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: rf.studio.assign_batch("b", None, client=client),  # type: ignore[arg-type]
        lambda client: rf.studio.complete_tasks("k", batches=5, client=client),  # type: ignore[arg-type]
        lambda client: rf.studio.sync_assignments(
            pd.DataFrame({"email": [], "project": []}),
            projects=5,  # type: ignore[arg-type]
            client=client,
        ),
        lambda client: rf.files.list(None, client=client),  # type: ignore[arg-type]
        lambda client: rf.files.list("k", metadata=5, client=client),  # type: ignore[arg-type]
        lambda client: rf.projects.create(
            "k",
            type="imageannotation",
            studio=True,
            pipeline="consensus_task",
            consensus_attempts="3",  # type: ignore[arg-type]
            client=client,
        ),
    ],
)
def test_odd_arguments_are_told_in_a_sentence(ask: Callable[[rf.Client], Any], tmp_path: Path) -> None:
    """Nothing is sent."""
    client = rf.Client(api_key="live_demo", base_url="http://127.0.0.1:9/v1", state_dir=tmp_path)
    with pytest.raises(rf.InputError):
        ask(client)


@pytest.mark.parametrize(
    ("refusal", "ask", "sent"),
    [
        (
            "405 Method Not Allowed",
            lambda client: rf.studio.update_group("k", "g", add="a@x.org", client=client),
            [b"PUT /v1/studio/projects/k/groups/g ", b"POST /v1/studio/projects/k/groups/g "],
        ),
        (
            "405 Method Not Allowed",
            lambda client: rf.studio.assign_batch("b", "g", client=client),
            [b"PUT /v1/studio/batches/b ", b"POST /v1/studio/batches/b "],
        ),
        (
            "404 Not Found",
            lambda client: rf.projects.update_pipeline("k", "standard_task", client=client),
            [b"POST /v1/projects/k/updatePipelineConfig ", b"POST /v1/studio/projects/k/updatePipelineConfig "],
        ),
    ],
    ids=["group", "batch", "pipeline"],
)
def test_where_the_documentation_says_two_things_the_other_is_tried(
    refusal: str, ask: Callable[[rf.Client], Any], sent: list[bytes], tmp_path: Path
) -> None:
    """Its samples and its headings name two verbs, or two paths."""
    with RawServer([answer(b'{"error": "no"}', refusal), answer(b'{"name": "done"}')]) as server:
        with rf.Client(api_key="live_demo", base_url=server.base_url, state_dir=tmp_path) as client:
            assert ask(client) == {"name": "done"}
    assert [request[: len(start)] for request, start in zip(server.requests, sent, strict=True)] == sent
