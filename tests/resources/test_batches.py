"""Batches against a real sandbox that refuses every parameter it does not know."""

from __future__ import annotations

import warnings
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pytest

from refonte_frames.client import Client
from refonte_frames.errors import BadRequest, ColumnError, Conflict, InputError, NotFound, Unauthorized
from refonte_frames.resources import batches, projects
from refonte_frames.transport.calls import Call

COUNTS = ["tasks_pending", "tasks_completed", "tasks_error", "tasks_canceled"]


@pytest.fixture
def project(client: Client) -> str:
    """Name of an Enterprise project."""
    return str(projects.create("kittens", type="categorization", client=client)["name"])


@pytest.fixture
def rapid(client: Client) -> str:
    """Name of a Rapid project, whose batches begin in staging."""
    return str(projects.create("rapid kittens", type="categorization", rapid=True, client=client)["name"])


def add_task(client: Client, batch: str) -> str:
    """Create a task in a batch as plain HTTP would, and return its id."""
    body = f'{{"batch": "{batch}", "attachment": "a cat", "attachment_type": "text", "categories": ["cat", "dog"]}}'
    reply = client.send(Call("POST", "/task/categorization", body=body.encode()))
    return reply.body.decode().partition('"task_id":"')[2][:24]


def test_create_returns_the_batch_as_served(client: Client, project: str) -> None:
    """A new batch comes back with its project, status and metadata."""
    made = batches.create("july", project=project, callback="cats@example.com", metadata={"n": 1}, client=client)
    assert made["project"] == project
    assert made["status"] == "in_progress"
    assert made["callback"] == "cats@example.com"
    assert made["metadata"] == {"n": 1}


def test_create_takes_the_name_by_keyword(client: Client, project: str) -> None:
    """The name may be given as name=."""
    assert batches.create(name="july", project=project, client=client)["name"] == "july"


@pytest.mark.parametrize("name", ["a bc/def", "100%", "set_priorities", ".."])
def test_names_may_hold_any_character(client: Client, project: str, name: str) -> None:
    """A batch is found, counted and described under any name."""
    batches.create(name, project=project, client=client)
    assert batches.get(name, client=client)["name"] == name
    assert batches.status(name, client=client)["batch"].tolist() == [name]
    assert batches.set_metadata(name, {"a": 1}, client=client)["metadata"] == {"a": 1}


def test_a_taken_name_is_a_conflict_with_a_remedy(client: Client, project: str) -> None:
    """A second creation is refused, and the sentence names the way out."""
    batches.create("july", project=project, client=client)
    with pytest.raises(Conflict, match=r"There is a batch 'july' already .*exist_ok=True"):
        batches.create("july", project=project, client=client)


def test_exist_ok_returns_the_batch_that_is_there(client: Client, project: str) -> None:
    """With exist_ok the same call again gives the same batch and says nothing."""
    made = batches.create("july", project=project, metadata={"sizes": (1, 2)}, client=client)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = batches.create("july", project=project, metadata={"sizes": (1, 2)}, exist_ok=True, client=client)
    assert again == made


def test_exist_ok_does_not_take_a_batch_of_another_project(client: Client, project: str) -> None:
    """A batch that is there but in another project is no match."""
    projects.create("puppies", type="categorization", client=client)
    batches.create("july", project=project, client=client)
    with pytest.raises(Conflict, match="but of project 'kittens', not 'puppies'"):
        batches.create("july", project="puppies", exist_ok=True, client=client)


def test_exist_ok_says_what_differs(client: Client, project: str) -> None:
    """Callback and metadata of a batch that was there are left alone, with a warning."""
    batches.create("july", project=project, client=client)
    with pytest.warns(UserWarning, match="another callback and metadata, left as it is"):
        batches.create(
            "july", project=project, callback="a@example.com", metadata={"a": 1}, exist_ok=True, client=client
        )


def test_a_column_that_is_there_twice_is_no_setting(client: Client) -> None:
    """Its name would be taken for a cell; nothing is sent."""
    frame = pd.DataFrame([["july", "kittens", "kittens"]], columns=["batch", "project", "project"])
    with pytest.raises(ColumnError, match="2 columns 'project'"):
        batches.create(frame, client=client)
    assert client.requests_by_status() == {}


def test_an_unknown_project_is_said_with_its_name(client: Client) -> None:
    """The service's refusal comes with the names and a way to see what there is."""
    with pytest.raises(BadRequest, match=r"refused batch 'july' for project 'puppies': .*rf.projects.list\(\)"):
        batches.create("july", project="puppies", client=client)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"name": ""}, "name of a batch is text that is not blank"),
        ({"project": None}, "needs a project"),
        ({"callback": "not a url"}, "callback is a URL .* or an e-mail address, not 'not a url'"),
        ({"callback": "ftp://example.com"}, "callback is a URL"),
        ({"metadata": [1]}, "metadata is a mapping"),
        ({"calibration_batch": True, "self_label_batch": True}, "not both"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(client: Client, arguments: dict[str, Any], sentence: str) -> None:
    """Arguments that cannot be right are an InputError, and no request leaves."""
    call: dict[str, Any] = {"name": "july", "project": "kittens", **arguments}
    with pytest.raises(InputError, match=sentence):
        batches.create(**call, client=client)
    assert client.requests_by_status() == {}


def test_create_from_a_frame_keeps_its_rows(client: Client, project: str) -> None:
    """Each row gets what became of its batch; index, order and other columns stay, the frame itself too."""
    batches.create("may", project=project, client=client)
    frame = pd.DataFrame(
        {"batch": ["june", "may", "june"], "owner": ["a", "b", "c"], "metadata": [{"n": 1}, None, {"n": 1}]},
        index=["x", "y", "x"],
    )
    before = frame.copy(deep=True)
    made = batches.create(frame, project=project, exist_ok=True, client=client)
    pd.testing.assert_frame_equal(frame, before)
    assert made.index.tolist() == ["x", "y", "x"]
    assert made.columns.tolist() == [
        "batch", "owner", "metadata", "status", "outcome", "error_code", "error_message",
    ]  # fmt: skip
    assert made["outcome"].tolist() == ["created", "existing", "created"]
    assert batches.get("june", client=client)["metadata"] == {"n": 1}


def test_a_frame_may_call_its_batches_names(client: Client, project: str) -> None:
    """As the parameter is called; a column `batch` counts where both are there."""
    frame = pd.DataFrame({"name": ["july", "june"], "project": project})
    assert batches.create(frame, client=client)["outcome"].tolist() == ["created", "created"]
    assert batches.status(frame, client=client)["tasks_pending"].tolist() == [0, 0]
    both = pd.DataFrame({"name": ["Ann", "Bob"], "batch": ["july", "june"]})
    assert batches.finalize(both, client=client)["outcome"].tolist() == ["unchanged", "unchanged"]


def test_a_refused_row_does_not_stop_the_others(client: Client, project: str) -> None:
    """What the service refuses is that row's failure; its code and sentence stand in the row."""
    frame = pd.DataFrame({"batch": ["june", "july"], "project": ["puppies", project]})
    made = batches.create(frame, client=client)
    assert made["outcome"].tolist() == ["failed", "created"]
    assert made["error_code"].tolist() == ["bad_request", None]
    assert "project 'puppies'" in made["error_message"][0]


def test_contradicting_rows_are_refused_before_anything_is_sent(client: Client) -> None:
    """One name with two settings is a mistake in the frame."""
    frame = pd.DataFrame({"batch": ["june", "june"], "project": ["a", "b"]})
    with pytest.raises(InputError, match="'june' stands in the frame twice with different settings"):
        batches.create(frame, client=client)
    assert client.requests_by_status() == {}


def test_a_frame_without_names_says_what_it_has() -> None:
    """The column is missing: the sentence lists those there are."""
    with pytest.raises(ColumnError, match="no column 'batch'; it has 'called', 'n'"):
        batches.status(pd.DataFrame({"called": ["a"], "n": [1]}), client=Client(api_key="live_x"))


@pytest.mark.parametrize("names", [["july", None], ["july", 7], pd.Series(["july", np.nan])])
def test_a_row_without_a_name_is_found(names: Any) -> None:
    """Nulls and numbers among the names are refused with their row."""
    with pytest.raises(InputError, match="Row 1 names no batch"):
        batches.status(names, client=Client(api_key="live_x"))


def test_status_counts_and_fills_zeros(client: Client, project: str) -> None:
    """Counts the service leaves out are 0, whatever the number of tasks."""
    batches.create("july", project=project, client=client)
    for _ in range(3):
        add_task(client, "july")
    client.send(Call("POST", f"/task/{add_task(client, 'july')}/cancel"))
    counted = batches.status("july", client=client)
    assert counted[COUNTS].to_numpy().tolist() == [[3, 0, 0, 1]]
    assert counted["status"].tolist() == ["in_progress"]
    assert {str(dtype) for dtype in counted[COUNTS].dtypes} == {"int64[pyarrow]"}


@pytest.mark.parametrize("prefix", ["tasks_", ""])
def test_counts_are_read_in_both_spellings(prefix: str) -> None:
    """The documents print tasks_pending, the service's own client reads pending; either is understood."""
    answer = {"status": "in_progress", f"{prefix}pending": 9, f"{prefix}completed": 1}
    assert list(batches._counted(answer).values()) == ["in_progress", 9, 1, 0, 0]


@pytest.mark.parametrize(
    "given",
    [
        ["june", "july", "june"],
        pd.DataFrame({"batch": ["june", "july", "june"]}),
        pd.DataFrame({"batch": pd.Categorical(["june", "july", "june"])}),
        pl.DataFrame({"batch": ["june", "july", "june"]}),
        (name for name in ["june", "july", "june"]),
    ],
    ids=["list", "frame", "categorical", "polars", "generator"],
)
def test_status_has_a_row_per_name_in_order(client: Client, project: str, given: Any) -> None:
    """Names may come in any form and repeat; each distinct one is asked for once."""
    for name in ("june", "july"):
        batches.create(name, project=project, client=client)
    asked = client.requests_by_status()["200"]
    counted = batches.status(given, client=client)
    assert counted["batch"].tolist() == ["june", "july", "june"]
    assert client.requests_by_status()["200"] == asked + 2


def test_status_keeps_the_index_of_a_series(client: Client, project: str) -> None:
    """A Series' rows come back under its own labels."""
    batches.create("july", project=project, client=client)
    assert batches.status(pd.Series(["july"], index=[42]), client=client).index.tolist() == [42]


def test_status_of_nothing_has_its_columns(client: Client) -> None:
    """No names: no rows, the same columns, no request."""
    counted = batches.status([], client=client)
    assert counted.columns.tolist() == ["batch", "status", *COUNTS]
    assert len(counted) == 0
    assert client.requests_by_status() == {}


def test_an_unknown_batch_is_named_whatever_is_asked(client: Client) -> None:
    """Every call on one name that is not there says which name it was."""
    for call in (
        lambda: batches.get("june", client=client),
        lambda: batches.status(["june"], client=client),
        lambda: batches.finalize("june", client=client),
        lambda: batches.prioritize("june", 20, client=client),
        lambda: batches.set_metadata("june", {}, client=client),
    ):
        with pytest.raises(NotFound, match="There is no batch 'june' for this key"):
            call()


def test_finalize_moves_a_batch_out_of_staging(client: Client, rapid: str) -> None:
    """A Rapid batch begins in staging; finalized it is in progress, and a second time changes nothing."""
    assert batches.create("july", project=rapid, client=client)["status"] == "staging"
    assert batches.finalize("july", client=client)["status"] == "in_progress"
    assert batches.finalize("july", client=client)["status"] == "in_progress"


def test_finalize_from_a_frame_says_what_changed(client: Client, project: str, rapid: str) -> None:
    """Each row says whether its batch was moved, was past staging already, or is not there."""
    batches.create("june", project=project, client=client)
    batches.create("july", project=rapid, client=client)
    done = batches.finalize(pd.DataFrame({"batch": ["june", "july", "may"]}), client=client)
    assert done["outcome"].tolist() == ["unchanged", "changed", "failed"]
    assert done["status"].tolist() == ["in_progress", "in_progress", None]
    assert done["error_code"].tolist() == [None, None, "not_found"]


def test_prioritize_one_and_many(client: Client, project: str) -> None:
    """One name gives the service's answer, several a row each."""
    batches.create("july", project=project, client=client)
    assert batches.prioritize("july", np.int64(30), client=client) == {"result": "success"}
    assert batches.prioritize(["july", "june"], 10, client=client)["outcome"].tolist() == ["changed", "failed"]


def test_a_dry_run_of_prioritize_only_looks(client: Client, project: str) -> None:
    """It finds names that are none; no priority is sent."""
    batches.create("july", project=project, client=client)
    looked = batches.prioritize(["july", "june"], 30, dry_run=True, client=client)
    assert looked["outcome"].tolist() == ["changed", "failed"]
    assert batches.prioritize("july", 30, dry_run=True, client=client)["name"] == "july"


@pytest.mark.parametrize("priority", [9, 31, True, 20.0, "20", None])
def test_a_priority_out_of_range_is_not_sent(client: Client, priority: Any) -> None:
    """Only whole numbers from 10 to 30 leave."""
    with pytest.raises(InputError, match=r"priority is a whole number from 10 \(last\) to 30 \(first\)"):
        batches.prioritize("july", priority, client=client)
    assert client.requests_by_status() == {}


def test_set_metadata_replaces(client: Client, project: str) -> None:
    """The new metadata is all there is afterwards; an empty mapping clears it."""
    batches.create("july", project=project, metadata={"a": 1}, client=client)
    assert batches.set_metadata("july", {"b": 2}, client=client)["metadata"] == {"b": 2}
    assert batches.set_metadata("july", {}, client=client)["metadata"] == {}


def test_a_refused_key_stops_a_frame(base_url: str) -> None:
    """What no row is to blame for is raised, not written into rows."""
    with Client(api_key="not-a-key", base_url=base_url) as client, pytest.raises(Unauthorized):
        batches.finalize(["june", "july"], client=client)


def test_batches_of_a_frame_are_made_in_the_order_of_its_rows(client: Client, project: str) -> None:
    """The service lists the newest first, and works on the oldest first."""
    names = [f"b{at:02}" for at in range(20)]
    batches.create(pd.DataFrame({"batch": names}), project=project, client=client)
    page = msgspec.json.decode(client.send(Call.get("batches")).body)
    assert [batch["name"] for batch in page["docs"]] == names[::-1]


def test_a_dry_run_of_finalize_changes_nothing(client: Client) -> None:
    """It tells which batches would be closed."""
    projects.create("dogs", type="imageannotation", rapid=True, client=client)
    batches.create(pd.DataFrame({"batch": ["a", "b"]}), project="dogs", client=client)
    batches.finalize("b", client=client)
    shown = batches.finalize(["a", "b", "c"], dry_run=True, client=client)
    assert shown["outcome"].tolist() == ["changed", "unchanged", "failed"]
    assert shown["status"].tolist() == ["staging", "in_progress", None]
    assert batches.finalize("a", dry_run=True, client=client)["status"] == "staging"
    assert batches.status(["a", "b"], client=client)["status"].tolist() == ["staging", "in_progress"]
