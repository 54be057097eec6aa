"""The law of submit: killed before or after any effect, and run again, each row ends exactly once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service import TEXT, tasks_of

import refonte_frames as rf

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from refonte_frames.transport.calls import Call, Reply

ROWS = 7


class Killed(BaseException):
    """Stands for the end of the process: nothing after it is carried out or written down."""


class MortalClient(rf.Client):
    """A client whose process ends at the n-th request, before it goes out or after its answer came.

    The journal is written between requests only, so together these are the instants at which it can be found.
    """

    lives_left: int = 0
    dies_after: bool = False

    def send_once(self, call: Call, *, stop: threading.Event | None = None) -> Reply | rf.NoReplyError:
        """Send, unless this is the end."""
        self.lives_left -= 1
        if self.lives_left == 0 and not self.dies_after:
            raise Killed
        answer = super().send_once(call, stop=stop)
        if self.lives_left == 0:
            raise Killed
        return answer


@pytest.fixture(scope="module")
def worlds() -> list[int]:
    """Count the worlds that the examples of this module used up."""
    return [0]


#: What goes wrong with an answer, and whether the service acted first.
TROUBLES = [("drop", "after", 0), ("drop", "before", 0), ("status", "after", 503), ("status", "before", 500)]
TROUBLES += [("truncate", "after", 0), ("status", "before", 429), ("status", "before", 401), ("status", "before", 400)]

deaths = st.lists(st.tuples(st.integers(1, 2 * ROWS), st.booleans()), max_size=4)
troubles = st.lists(st.tuples(st.sampled_from(TROUBLES), st.integers(1, ROWS)), max_size=3)


@settings(
    max_examples=max(20, settings().max_examples // 2), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    deaths=deaths,
    troubles=troubles,
    workers=st.sampled_from([1, 3]),
    mode=st.sampled_from(["auto", "own", "none"]),
    chunk_rows=st.sampled_from([2, 100]),
    limit=st.sampled_from([None, 3]),
)
def test_killed_at_any_instant_and_run_again_each_row_is_one_task(
    sandbox: rf.Sandbox,
    worlds: list[int],
    tmp_path: Any,
    deaths: list[tuple[int, bool]],
    troubles: list[tuple[tuple[str, Any, int], int]],
    workers: int,
    mode: str,
    chunk_rows: int,
    limit: int | None,
) -> None:
    """However often it dies and whatever the service answers, the last run ends with one task a row."""
    worlds[0] += 1
    key = f"live_once-{worlds[0]}-{sandbox.pid}"
    client = MortalClient(key, sandbox.base_url, max_workers=workers, state_dir=tmp_path / key)
    numbers = [*range(ROWS - 1), None]
    frame = pd.DataFrame({"text": [f"text {at}" for at in range(ROWS)], "n": numbers})
    frame["scene"] = [f"s{at}" for at in range(ROWS)]
    options: dict[str, Any] = {
        "type": "categorization",
        "columns": {"attachment": "text"},
        "metadata": ["n"],
        "params": TEXT,
        "unique_id": {"auto": "auto", "own": "scene", "none": None}[mode],
        "journal": tmp_path / key / "x.journal",
        "progress": False,
        "client": client,
    }
    sandbox.faults.clear()
    for (action, side, status), nth in troubles:
        rule = {"status": status} if status else {}
        sandbox.faults.add(action, method="POST", path="/task/*", side=side, nth=nth, times=1, retry_after="0", **rule)
    for lives, dies_after in deaths:
        client.lives_left, client.dies_after = lives, dies_after
        with contextlib.suppress(Killed, rf.RefonteError):
            rf.submit(frame, chunk_rows=chunk_rows, limit=limit, **options)
    client.lives_left = 0
    with contextlib.suppress(rf.RefonteError):
        rf.submit(frame, **options)
    sandbox.faults.clear()
    receipt = rf.submit(frame, **options)
    served = tasks_of(client)
    assert receipt["outcome"].tolist() == ["created"] * ROWS
    assert not receipt["changed"].any()
    assert sorted(receipt["task_id"]) == sorted(task["task_id"] for task in served)
    assert sorted(task["params"]["attachment"] for task in served) == frame["text"].tolist()


# Rows that come piece by piece

#: Rows 0 and 4 are equal, and so are 1, 2 and 6.
TEXTS = ["a", "b", "b", "c", "a", "d", "b"]

deaths_in_pieces = st.lists(st.tuples(st.integers(1, 2 * len(TEXTS)), st.booleans(), st.integers(1, 8)), max_size=3)


def pieces(size: int) -> Iterator[pd.DataFrame]:
    """Hand the rows out in frames of this size."""
    frame = pd.DataFrame({"text": TEXTS})
    return (frame.iloc[at : at + size] for at in range(0, len(frame), size))


@settings(
    max_examples=max(15, settings().max_examples // 3), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    deaths=deaths_in_pieces,
    troubles=troubles,
    workers=st.sampled_from([1, 3]),
    mode=st.sampled_from(["error", "share", "each", "none"]),
    size=st.integers(1, 8),
)
def test_killed_at_any_instant_and_read_again_each_row_has_its_end(
    sandbox: rf.Sandbox,
    tmp_path_factory: Any,
    deaths: list[tuple[int, bool, int]],
    troubles: list[tuple[tuple[str, Any, int], int]],
    workers: int,
    mode: str,
    size: int,
) -> None:
    """However it was cut into chunks when it died, the last run ends with one task a row that is to have one."""
    folder = tmp_path_factory.mktemp("once")
    key = f"live_pieces-{folder.name}-{sandbox.pid}"
    client = MortalClient(key, sandbox.base_url, max_workers=workers, state_dir=folder)
    options: dict[str, Any] = {
        "type": "categorization",
        "columns": {"attachment": "text"},
        "params": TEXT,
        "unique_id": None if mode == "none" else "auto",
        "duplicates": "error" if mode == "none" else mode,
        "journal": folder / "x.journal",
        "progress": False,
        "client": client,
    }
    sandbox.faults.clear()
    for (action, side, status), nth in troubles:
        rule = {"status": status} if status else {}
        sandbox.faults.add(action, method="POST", path="/task/*", side=side, nth=nth, times=1, retry_after="0", **rule)
    for lives, dies_after, chunk_rows in deaths:
        client.lives_left, client.dies_after = lives, dies_after
        with contextlib.suppress(Killed, rf.RefonteError):
            rf.submit(pieces(size), chunk_rows=chunk_rows, **options)
    client.lives_left = 0
    with contextlib.suppress(rf.RefonteError):
        rf.submit(pieces(size), **options)
    sandbox.faults.clear()
    report = rf.submit(pieces(size), chunk_rows=2, **options)
    receipt = pd.read_parquet(report.receipt_path)
    served = tasks_of(client)
    wanted = sorted(TEXTS) if mode in ("each", "none") else sorted(set(TEXTS))
    assert sorted(task["params"]["attachment"] for task in served) == wanted
    assert receipt["text"].tolist() == TEXTS
    has_task = receipt["outcome"] == "created"
    assert sorted(receipt["task_id"][has_task].unique()) == sorted(task["task_id"] for task in served)
    assert has_task.sum() == (len(set(TEXTS)) if mode == "error" else len(TEXTS))
    assert set(receipt["error_code"].dropna()) == ({"duplicate_unique_id"} if mode == "error" else set())
