"""Answers that are lost: what would be done twice is not sent twice, and what may be is settled by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def client(sandbox: rf.Sandbox, key: str) -> Iterator[rf.Client]:
    """Connect to a world with the Studio project kittens, its batch june and a person assigned; faults end with it."""
    with sandbox.client(key) as client:
        rf.projects.create("kittens", type="imageannotation", studio=True, client=client)
        rf.batches.create("june", project="kittens", client=client)
        frame = pd.DataFrame({"email": ["admin@example.com"], "project": ["kittens"]})
        rf.studio.assign(frame, client=client)
        yield client
    sandbox.faults.clear()


def posts(sandbox: rf.Sandbox, since: int) -> list[str]:
    """List the paths of POSTs after so many requests."""
    return [call["path"] for call in sandbox.requests()[since:] if call["method"] == "POST"]


@pytest.mark.parametrize(
    "do",
    [
        lambda client: rf.projects.create("puppies", type="imageannotation", client=client),
        lambda client: rf.projects.set_params("kittens", {"priority": 20}, client=client),
        lambda client: rf.batches.create("july", project="kittens", client=client),
        lambda client: rf.studio.create_group("kittens", "night", "admin@example.com", client=client),
        lambda client: rf.studio.complete_tasks("kittens", all_batches=True, client=client),
    ],
    ids=["project", "params", "batch", "group", "tasks"],
)
def test_what_would_be_done_twice_is_sent_once(
    sandbox: rf.Sandbox, client: rf.Client, do: Callable[[rf.Client], object]
) -> None:
    """Whoever asked for it is told that it may or may not have been done."""
    before = len(sandbox.requests())
    sandbox.faults.add("drop", side="after", method="POST")
    with pytest.raises(rf.NoReplyError) as caught:
        do(client)
    assert caught.value.was_sent
    assert len(posts(sandbox, before)) == 1


@pytest.mark.parametrize(
    "do",
    [
        lambda client: rf.projects.create("puppies", type="imageannotation", exist_ok=True, client=client)["name"],
        lambda client: rf.batches.create("july", project="kittens", exist_ok=True, client=client)["name"],
        lambda client: rf.studio.create_group("kittens", "night", "admin@example.com", exist_ok=True, client=client)[
            "name"
        ],
    ],
    ids=["project", "batch", "group"],
)
def test_what_may_be_there_is_settled_by_itself(
    sandbox: rf.Sandbox, client: rf.Client, do: Callable[[rf.Client], str]
) -> None:
    """The second sending is refused, and what the first one made is taken."""
    before = len(sandbox.requests())
    sandbox.faults.add("drop", side="after", method="POST")
    assert do(client) in ("puppies", "july", "night")
    assert len(posts(sandbox, before)) == 2
