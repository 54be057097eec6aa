"""Batches into a frame, from the sandbox and from lists that drift."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from raw_server import RawServer, answer
from service import TEXT, post

import refonte_frames as rf
from refonte_frames.export.batches import read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def batches(client: rf.Client) -> rf.Client:
    """Make two batches of two projects, one with three tasks."""
    for name in ("mail", "chat"):
        post(client, "projects", body={"type": "categorization", "name": name})
        post(client, "batches", body={"project": name, "name": f"{name}/1", "metadata": {"week": 10}})
    for number in range(3):
        post(client, "task", "categorization", body={**TEXT, "attachment": str(number), "batch": "mail/1"})
    return client


def test_batches_come_newest_first_with_their_metadata(batches: rf.Client) -> None:
    """The counts are null unless asked for."""
    frame = read_batches(client=batches)
    assert frame["batch"].tolist() == ["chat/1", "mail/1"]
    assert frame["metadata_json"].tolist() == ['{"week":10}'] * 2
    assert frame["tasks_pending"].isna().all()
    assert frame.columns.tolist() == rf.schemas.BATCHES.names


def test_metadata_of_batches_come_as_columns_where_asked(batches: rf.Client) -> None:
    """As those of tasks do."""
    frame = read_batches(metadata="columns", client=batches)
    assert frame["metadata.week"].tolist() == [10, 10]
    assert rf.read("batches", metadata="columns", client=batches)["batches"].columns.tolist() == frame.columns.tolist()
    with pytest.raises(rf.InputError, match="there are 'json' and 'columns'"):
        read_batches(metadata="week", client=batches)  # type: ignore[arg-type]


def test_batches_are_streamed_alike(batches: rf.Client) -> None:
    """Read when they are read from."""
    assert rf.scan_batches(project="mail", client=batches).read_all()["batch"].to_pylist() == ["mail/1"]


def test_detailed_batches_have_counts_and_zeros(batches: rf.Client) -> None:
    """The service leaves zeros out."""
    frame = read_batches(detailed=True, client=batches).set_index("batch")
    assert frame["tasks_pending"].to_dict() == {"chat/1": 0, "mail/1": 3}
    assert frame["tasks_error"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"project": "mail"}, ["mail/1"]),
        ({"status": "in_progress"}, ["chat/1", "mail/1"]),
        ({"status": "completed"}, []),
        ({"created_before": "2020-01-01"}, []),
    ],
)
def test_batches_are_filtered_by_the_service(filters: dict[str, Any], names: list[str], batches: rf.Client) -> None:
    """No rows have the same columns."""
    frame = read_batches(**filters, client=batches)
    assert frame["batch"].tolist() == names
    assert frame.shape[1] == len(rf.schemas.BATCHES)


@pytest.fixture
def scripted() -> Iterator[Any]:
    """Answer with given pages, one after the other."""
    clients = []

    def make(*pages: dict[str, Any]) -> tuple[RawServer, Any]:
        server = RawServer([answer(msgspec.json.encode(page)) for page in pages])

        def client() -> rf.Client:
            clients.append(rf.Client(api_key="live_demo", base_url=server.base_url))
            return clients[-1]

        return server, client

    yield make
    for client in clients:
        client.close()


def listed(*names: str, total: int, more: bool = False) -> dict[str, Any]:
    """Make a page."""
    return {"docs": [{"name": name} for name in names], "totalDocs": total, "limit": 2, "has_more": more}


def test_a_batch_that_shifts_to_the_next_page_is_taken_once(scripted: Any) -> None:
    """Batches created meanwhile push the others on."""
    server, client = scripted(listed("c", "b", total=3, more=True), listed("b", "a", total=3))
    with server:
        assert read_batches(client=client())["batch"].tolist() == ["c", "b", "a"]


def test_a_batch_that_was_skipped_is_read_again(scripted: Any) -> None:
    """As long as the service counts more than came."""
    server, client = scripted(listed("c", total=2), listed("c", "b", total=2))
    with server:
        assert read_batches(client=client())["batch"].tolist() == ["c", "b"]


def test_pages_that_are_shorter_than_their_limit_skip_nothing(scripted: Any) -> None:
    """The next page begins where this one ended, whatever the service calls its limit."""
    server, client = scripted(listed("c", total=2, more=True), listed("b", total=2))
    with server:
        assert read_batches(client=client())["batch"].tolist() == ["c", "b"]
    assert "offset=1" in server.requests[1].decode()


def test_a_list_that_never_ends_ends(scripted: Any) -> None:
    """A page of which every batch was there before is the last."""
    endless = listed("c", "b", total=2, more=True)
    server, client = scripted(endless, endless)
    with server:
        assert read_batches(client=client())["batch"].tolist() == ["c", "b"]


@pytest.mark.parametrize(
    ("total", "size", "says"),
    [
        (2, 600, "counts 2 batches and has named 1,200 by now"),
        (None, 60_000, "does not say how many .* 120,000 by now"),
    ],
)
def test_a_list_that_names_new_batches_for_ever_is_given_up(
    total: int | None, size: int, says: str, scripted: Any
) -> None:
    """By what the service itself counted at first, which may grow with every page, or by what nobody has."""
    pages = [
        {"docs": [{"name": f"b{first + index}"} for index in range(size)], "has_more": True}
        | ({} if total is None else {"totalDocs": total + first})
        for first in range(0, 3 * size, size)
    ]
    server, client = scripted(*pages)
    with server, pytest.raises(rf.ReplyError, match=says):
        read_batches(client=client())
    assert len(server.requests) == 2


def test_counts_that_the_list_leaves_out_are_asked_for_one_by_one(scripted: Any) -> None:
    """In either spelling."""
    server, client = scripted(listed("c", total=1), {"status": "completed", "completed": 4, "tasks_error": 1})
    with server:
        frame = read_batches(detailed=True, client=client())
    assert frame.loc[0, ["tasks_completed", "tasks_error", "tasks_pending"]].tolist() == [4, 1, 0]


def test_what_has_no_column_and_what_does_not_fit_is_kept(scripted: Any) -> None:
    """And counted."""
    doc = {"name": "c", "project": 7, "mood": [1.0], "callback": None}
    server, client = scripted({"docs": [doc], "totalDocs": 1})
    with server:
        frame = read_batches(client=client())
    assert frame["extra_json"].tolist() == ['{"project":7,"mood":[1.0],"callback":null}']
    assert frame.attrs["refonte"]["drift"]["misfits"] == {"batches.project": 1}


@pytest.mark.parametrize("page", [{"docs": [{"project": "a"}]}, {"docs": 3}, {}])
def test_a_broken_list_of_batches_is_an_error(page: dict[str, Any], scripted: Any) -> None:
    """Which names the list."""
    server, client = scripted(page)
    with server, pytest.raises(rf.ReplyError, match="GET /batches"):
        read_batches(client=client())


def test_an_unknown_state_is_refused(client: rf.Client) -> None:
    """With those that there are."""
    with pytest.raises(rf.InputError, match=r"no state of a batch\. There are staging, in_progress, completed"):
        read_batches(status="done", client=client)
