"""Quality tasks from frames: each made once, under an id made of what it is; over HTTP against a sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pytest

import refonte_frames as rf
from refonte_frames.transport.calls import Call, path_of

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, Any] = {
    "expected": "answer",
    "type": "categorization",
    "project": "cats",
    "columns": {"attachment": "text"},
    "params": {"attachment_type": "text", "categories": ["cat", "dog"]},
    "progress": False,
}


@pytest.fixture
def gold() -> pd.DataFrame:
    """Make a frame of four texts with their answers."""
    return pd.DataFrame({"text": [f"text {at}" for at in range(4)], "answer": [{"category": "cat"}] * 4, "n": range(4)})


@pytest.fixture
def rapid(client: rf.Client) -> rf.Client:
    """Make a Rapid project."""
    rf.projects.create("cats", type="categorization", rapid=True, client=client)
    return client


def create(frame: Any, client: rf.Client, journal: Path, **options: Any) -> pd.DataFrame:
    """Make training tasks, unless it is said otherwise."""
    return rf.quality_tasks.create(frame, client=client, journal=journal, **{"kind": "training", **OPTIONS, **options})


def posted(client: rf.Client, kind: str, **fields: Any) -> Any:
    """Make a quality task by plain HTTP."""
    plain = {"project": "cats", "attachment_type": "text", "categories": ["cat", "dog"], "attachment": "a"}
    body = msgspec.json.encode({**plain, "expected_response": {"category": "cat"}, **fields})
    return msgspec.json.decode(client.send(Call("POST", path_of(f"{kind}_tasks", "categorization"), body=body)).body)


@pytest.mark.parametrize("kind", ["training", "evaluation"])
def test_every_row_becomes_one_quality_task(
    rapid: rf.Client, sandbox: rf.Sandbox, key: str, gold: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    """Of its kind, with its answer; labelers' attempts at them are found by the ids of the receipt."""
    rf.teams.invite("ann@x.org", "labeler", client=rapid)
    sandbox.accept_invitations(key=key)
    done = create(gold.set_index(pd.Index([9, 8, 8, 1])), rapid, tmp_path / "j", kind=kind)
    assert done["outcome"].tolist() == ["created"] * 4
    assert done.index.tolist() == [9, 8, 8, 1]
    assert done.columns.tolist()[:5] == ["text", "answer", "n", "quality_task_id", "unique_id"]
    assert done["unique_id"].str.startswith(f"{kind}/cats/categorization/").all()
    sandbox.work(days=3)
    attempts = rf.read_attempts(quality_task_ids=done["quality_task_id"], client=rapid)
    assert set(attempts["quality_task_id"]) == set(done["quality_task_id"])
    assert set(attempts["kind"]) == {kind}
    assert {json.loads(text)["category"] for text in attempts["expected_json"]} == {"cat"}


def test_the_second_run_sends_nothing(rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path) -> None:
    """The journal knows the rows, in any order; the receipt itself may be submitted, too."""
    first = create(gold, rapid, tmp_path / "j")
    before = rapid.requests_by_status()["200"]
    again = create(first.iloc[::-1], rapid, tmp_path / "j")
    assert again["quality_task_id"].tolist() == first["quality_task_id"].tolist()[::-1]
    assert again["outcome"].tolist() == ["created"] * 4
    assert rapid.requests_by_status()["200"] == before + 1


def test_another_journal_finds_the_same_tasks_by_their_409(
    rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path
) -> None:
    """An id made of the content is this very task's."""
    first = create(gold, rapid, tmp_path / "j")
    other = create(gold, rapid, tmp_path / "k")
    assert other["outcome"].tolist() == ["existing"] * 4
    assert other["quality_task_id"].tolist() == first["quality_task_id"].tolist()


def test_kind_and_answers_make_other_tasks_metadata_does_not(
    rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path
) -> None:
    """The id says what is asked and what is right."""
    one = gold.head(1)
    ids = {
        create(one, rapid, tmp_path / "j")["unique_id"][0],
        create(one, rapid, tmp_path / "j", kind="evaluation")["unique_id"][0],
        create(one.assign(answer=[{"category": "dog"}]), rapid, tmp_path / "j")["unique_id"][0],
        create(one.assign(begin=[{"category": "dog"}]), rapid, tmp_path / "j", initial="begin")["unique_id"][0],
    }
    assert len(ids) == 4
    same = create(one, rapid, tmp_path / "j", metadata=["n"])
    assert same["unique_id"][0] in ids
    assert same["outcome"].tolist() == ["created"]


def test_answers_may_be_json_texts(rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path) -> None:
    """They mean the same as objects; what is none is that row's error."""
    texts = gold.assign(answer=['{"category": "cat"}', "[1]", "{", None])
    done = create(texts, rapid, tmp_path / "j")
    assert done["outcome"].tolist() == ["created", "failed", "failed", "failed"]
    assert done["error_code"].tolist() == [None, "bad_answer", "bad_answer", "missing_parameter"]
    assert create(gold, rapid, tmp_path / "j")["unique_id"][0] == done["unique_id"][0]


def test_rows_that_submit_would_refuse_are_refused_and_the_others_sent(
    rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path
) -> None:
    """Each with its own reason, in its own row."""
    gold.loc[1, "text"] = None
    done = create(gold, rapid, tmp_path / "j")
    assert done["outcome"].tolist() == ["created", "failed", "created", "created"]
    assert done["quality_task_id"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize("fault", ["drop", "truncate", "status"])
def test_an_answer_that_was_lost_is_settled_by_the_409(
    sandbox: rf.Sandbox, rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path, fault: str
) -> None:
    """The rows are created, once."""
    sandbox.faults.add(fault, method="POST", path="/training_tasks/*", side="after", status=502, every=2, times=3)
    done = create(gold, rapid, tmp_path / "j")
    assert done["outcome"].tolist() == ["created"] * 4
    sandbox.faults.clear()
    again = create(gold, rapid, tmp_path / "k")
    assert again["quality_task_id"].tolist() == done["quality_task_id"].tolist()


def test_equal_rows_are_refused_shared_or_numbered(rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path) -> None:
    """As the caller says."""
    twice = pd.concat([gold.head(1), gold.head(1)])
    with pytest.raises(rf.InputError, match=r"in 2 rows \(0, 1\); nothing was sent"):
        create(twice, rapid, tmp_path / "j")
    assert len(set(create(twice, rapid, tmp_path / "j", duplicates="share")["quality_task_id"])) == 1
    each = create(twice, rapid, tmp_path / "j", duplicates="each")
    assert len(set(each["quality_task_id"])) == 2
    assert each["unique_id"].tolist()[1] == each["unique_id"].tolist()[0] + "#2"
    assert (
        create(twice, rapid, tmp_path / "j", duplicates="each")["quality_task_id"].tolist()
        == each["quality_task_id"].tolist()
    )


def test_own_ids_are_used(rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path) -> None:
    """Integers as text; one id on different content fails in all its rows."""
    gold["id"] = [7, 8, 9, 9]
    done = create(gold, rapid, tmp_path / "j", unique_id="id")
    assert done["unique_id"].tolist()[:2] == ["7", "8"]
    assert done["error_code"].tolist() == [None, None, "duplicate_unique_id", "duplicate_unique_id"]


@pytest.mark.parametrize("kind", ["training", "plain"])
def test_an_own_id_that_is_taken_is_not_taken_for_ones_own(
    rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path, kind: str
) -> None:
    """Neither a quality task's that nobody can compare, nor a task's."""
    if kind == "training":
        posted(rapid, "training", unique_id="u")
    else:
        rf.batches.create("b", project="cats", client=rapid)
        texts = gold.head(1).assign(unique_id="u", batch="b")
        params = {
            "params": OPTIONS["params"],
            "columns": {"attachment": "text", "unique_id": "unique_id", "batch": "batch"},
        }
        receipt = rf.submit(texts, type="categorization", client=rapid, progress=False, **params)
        assert receipt["outcome"].tolist() == ["created"]
    (row,) = create(gold.head(1).assign(id="u"), rapid, tmp_path / "j", unique_id="id").to_dict("records")
    assert (row["outcome"], row["error_code"], row["quality_task_id"]) == ("failed", "unique_id_taken", None)


def test_what_cannot_be_right_is_refused_before_anything_is_sent(
    client: rf.Client, gold: pd.DataFrame, tmp_path: Path
) -> None:
    """The kind, the columns, the id, equal rows."""
    for wrong, match in (
        ({"kind": "exam"}, "one of training, evaluation"),
        ({"expected": "answers"}, "no column 'answers' with the expected answers"),
        ({"unique_id": None}, "cannot do without a unique_id"),
        ({"duplicates": "maybe"}, "must be 'error', 'share' or 'each'"),
        ({"columns": {"attachment": "txt"}}, "Did you mean 'text'"),
    ):
        with pytest.raises(rf.InputError, match=match):
            create(gold, client, tmp_path / "j", **wrong)
    assert client.requests_by_status() == {}


def test_a_project_that_is_missing_or_of_another_type_is_an_error_before_the_first_row(
    rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path
) -> None:
    """Nothing is sent."""
    with pytest.raises(rf.InputError, match="There is no project 'dogs'"):
        create(gold, rapid, tmp_path / "j", project="dogs")
    rf.projects.create("boxes", type="imageannotation", rapid=True, client=rapid)
    with pytest.raises(rf.InputError, match="takes tasks of type 'imageannotation'"):
        create(gold, rapid, tmp_path / "j", project="boxes")


def test_a_project_of_another_kind_is_refused_in_every_row(
    client: rf.Client, gold: pd.DataFrame, tmp_path: Path
) -> None:
    """In the service's words: only Rapid projects have quality tasks."""
    rf.projects.create("cats", type="categorization", client=client)
    done = create(gold, client, tmp_path / "j")
    assert done["error_code"].tolist() == ["bad_request"] * 4
    assert done["error_message"].str.contains("Rapid").all()


def test_rows_of_a_group_become_one_task(client: rf.Client, tmp_path: Path) -> None:
    """With their attachments in row order; answers that differ and missing keys are the rows' errors."""
    rf.projects.create("pages", type="documenttranscription", rapid=True, client=client)
    answer = {"annotations": []}
    pages = pd.DataFrame(
        {
            "attachment": [f"https://x.org/{at}.png" for at in range(7)],
            "doc": ["a", "b", "a", None, "b", "c", "c"],
            "answer": [answer, answer, answer, answer, answer, answer, {"annotations": [{}]}],
        }
    )
    options: dict[str, Any] = {
        "type": "documenttranscription",
        "project": "pages",
        "columns": {"attachment": "attachment"},
        "params": {"features": [{"type": "text", "label": "total"}]},
        "group_by": "doc",
    }
    done = create(pages, client, tmp_path / "j", **options)
    assert done["error_code"].tolist() == [None, None, None, "null_group", None, "group_conflict", "group_conflict"]
    ids = done["quality_task_id"].tolist()
    assert ids[0] == ids[2] != ids[1] == ids[4]
    again = create(pages.head(3), client, tmp_path / "k", **options)
    assert again["outcome"].tolist() == ["existing", "created", "existing"]


def test_no_rows_are_an_empty_receipt(rapid: rf.Client, gold: pd.DataFrame, tmp_path: Path) -> None:
    """With its columns."""
    done = create(gold.head(0), rapid, tmp_path / "j")
    assert done.empty
    assert "quality_task_id" in done.columns


def test_an_answer_that_is_nested_too_deeply_is_its_rows_error(client: rf.Client) -> None:
    """The other is made."""
    rf.projects.create("deep", type="categorization", rapid=True, client=client)
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000
    made = rf.quality_tasks.create(
        pd.DataFrame({"text": ["a", "b"], "answer": [deep, "{}"]}),
        kind="training",
        expected="answer",
        type="categorization",
        project="deep",
        columns={"attachment": "text"},
        params={"attachment_type": "text", "categories": ["x"]},
        progress=False,
        client=client,
    )
    assert made["error_code"].tolist() == ["bad_answer", None]
