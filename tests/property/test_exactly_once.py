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

    from refonte_frames.transport.calls import Call, Reply

ROWS = 7


class Killed(BaseException):
    """Stands for the end of the process: nothing after it is carried out or written down."""


class MortalClient(rf.Client):
    """A client whose process ends at the n-th request, before it goes out or after its answer came.

    Every state of the journal lies between two requests, so these are all the instants there are.
    """

    lives_left: int = 0
    dies_after: bool = False

    def send_once(self, call: Call, *, stop: threading.Event | None = None) -> Reply | rf.NoReplyError:
        """Send, unless this is the end."""
        if call.method != "POST":
            return super().send_once(call, stop=stop)
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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deaths=st.lists(st.tuples(st.integers(1, ROWS + 2), st.booleans()), max_size=4),
    workers=st.sampled_from([1, 3]),
    mode=st.sampled_from(["auto", "own", "none"]),
)
def test_killed_at_any_instant_and_run_again_each_row_is_one_task(
    sandbox: rf.Sandbox, worlds: list[int], tmp_path: Any, deaths: list[tuple[int, bool]], workers: int, mode: str
) -> None:
    """However often and wherever it dies, the last run ends with one task a row, and knows each of them."""
    worlds[0] += 1
    key = f"live_once-{worlds[0]}-{sandbox.pid}"
    client = MortalClient(key, sandbox.base_url, max_workers=workers, state_dir=tmp_path / key)
    frame = pd.DataFrame({"text": [f"text {at}" for at in range(ROWS)], "scene": [f"s{at}" for at in range(ROWS)]})
    options: dict[str, Any] = {
        "type": "categorization",
        "columns": {"attachment": "text"},
        "params": TEXT,
        "unique_id": {"auto": "auto", "own": "scene", "none": None}[mode],
        "journal": tmp_path / key / "x.journal",
        "progress": False,
    }
    for lives, dies_after in deaths:
        client.lives_left, client.dies_after = lives, dies_after
        with contextlib.suppress(Killed):
            rf.submit(frame, client=client, **options)
    client.lives_left = 0
    receipt = rf.submit(frame, client=client, **options)
    served = tasks_of(client)
    assert receipt["outcome"].tolist() == ["created"] * ROWS
    assert sorted(receipt["task_id"]) == sorted(task["task_id"] for task in served)
    assert sorted(task["params"]["attachment"] for task in served) == frame["text"].tolist()
