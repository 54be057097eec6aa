"""Portions: each task in one of them, wherever it is read and however the service behaves; no key in any of them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listing import START, Listing, small_task, stamp

import refonte_frames as rf
from refonte_frames.export import portions
from refonte_frames.shares import SharingClient, Turns, share_of

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "live_portions-0123456789"
SOME = [small_task(index, gap_ms=300) for index in range(1_300)][::-1]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have a key in the environment, as a worker has."""
    monkeypatch.setenv("REFONTE_API_KEY", KEY)
    return monkeypatch


def ids_of(cut: list[rf.portions.Portion], **options: Any) -> list[str]:
    """Read portions one after the other, each as it arrives somewhere else."""
    found = [rf.portions.read(pickle.loads(pickle.dumps(each)), columns=["task_id"], **options) for each in cut]
    return [task_id for reader in found for task_id in reader.read_all()["task_id"].to_pylist()]


def planned(listing: Listing, table: str = "tasks", **options: Any) -> list[rf.portions.Portion]:
    """Plan with a listing."""
    with rf.Client(KEY, listing.base_url) as client:
        return rf.portions.plan(table, **options, client=client)


def test_each_task_is_in_one_portion(environment: pytest.MonkeyPatch) -> None:
    """Also those that were created on a bound, which two windows bring."""
    del environment
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100)
        assert len(cut) > 5
        bounds = {each.window.start for each in cut if each.window} - {None}
        assert bounds & {int(datetime.fromisoformat(task["created_at"]).timestamp() * 1e6) for task in SOME}
        found = ids_of(cut)
    assert sorted(found) == sorted(task["task_id"] for task in SOME)


@pytest.mark.parametrize("table", ["tasks", "audits", "annotations"])
def test_portions_hold_the_rows_of_the_embedded_path(environment: pytest.MonkeyPatch, table: str) -> None:
    """The same tables but for when they were read, texts as plain texts."""
    del environment
    with Listing(SOME) as listing, rf.Client(KEY, listing.base_url) as client:
        parts = [rf.portions.read(each).read_all() for each in planned(listing, table, rows=100)]
        whole = {"tasks": rf.scan_tasks, "audits": rf.scan_audits, "annotations": rf.scan_annotations}[table]
        expected = whole(client=client, progress=False).read_all().cast(rf.portions.schema(table))
    key = [(name, "ascending") for name in rf.schemas.KEYS[table]]
    mine = pa.concat_tables(parts).sort_by(key).drop_columns("exported_at")
    assert mine.equals(expected.sort_by(key).drop_columns("exported_at"))


@pytest.mark.parametrize("ignores", [{"start_time"}, {"start_time", "end_time"}])
@pytest.mark.parametrize("batches", [0, 3])
def test_a_service_that_ignores_bounds_is_read_all_the_same(
    environment: pytest.MonkeyPatch, ignores: set[str], batches: int
) -> None:
    """By batch where all tasks are in batches, else in one portion."""
    del environment
    tasks = [task | ({"batch": f"b{at % batches}"} if batches else {}) for at, task in enumerate(SOME)]
    with Listing(tasks, ignores=ignores) as listing:
        cut = planned(listing, rows=100)
        assert len(cut) == max(1, batches)
        assert sorted(ids_of(cut)) == sorted(task["task_id"] for task in tasks)
        if batches:
            assert [str(each).split(" (")[0] for each in cut] == [f"tasks of batch 'b{at}'" for at in (0, 2, 1)]


@pytest.fixture(scope="module")
def listed() -> Iterator[tuple[Listing, rf.Client]]:
    """Serve whatever a law makes up, over connections that stay open."""
    with Listing([]) as listing, rf.Client(KEY, listing.base_url) as client:
        yield listing, client


@given(st.lists(st.integers(0, 9_000), min_size=1, max_size=60), st.integers(1, 50))
def test_any_times_and_any_size_give_each_task_once(
    listed: tuple[Listing, rf.Client], gaps_ms: list[int], rows: int
) -> None:
    """Bursts within a millisecond, tasks on bounds, holes of seconds; asked as a service does that looks at them."""
    listing, client = listed
    created = sorted(int(START.timestamp() * 1000) + sum(gaps_ms[:at]) for at in range(len(gaps_ms)))
    listing.tasks = [
        {"task_id": f"{at:024x}", "created_at": stamp(datetime.fromtimestamp(ms / 1000, UTC)), "status": "pending"}
        for at, ms in enumerate(created)
    ][::-1]
    cut = rf.portions.plan(rows=rows, client=client)
    assert sorted(ids_of(cut, client=client)) == sorted(task["task_id"] for task in listing.tasks)


def test_bounds_are_whole_seconds(environment: pytest.MonkeyPatch) -> None:
    """Of a service that compares no finer two neighbours would both, or neither, bring what lies within one."""
    del environment
    times = [START + timedelta(hours=at // 60, milliseconds=at) for at in range(240)]
    tasks = [small_task(at) | {"created_at": stamp(moment)} for at, moment in enumerate(times)][::-1]
    with Listing(tasks) as listing:
        cut = planned(listing, rows=50)
        assert {(each.window.start or 0) % 1_000_000 for each in cut if each.window} == {0}
        assert sum(rf.portions.read(each).read_all().num_rows == 60 for each in cut) == 4
        assert sorted(ids_of(cut)) == sorted(task["task_id"] for task in tasks)


def test_ids_are_cut_into_portions(environment: pytest.MonkeyPatch) -> None:
    """Each asks for its own ids; an id that is there twice is asked for once."""
    del environment
    with Listing(SOME) as listing:
        wanted = [f"u{at}" for at in range(50)]
        cut = planned(listing, unique_id=[*wanted, *wanted], rows=20)
        assert [str(each) for each in cut][2] == "tasks of 10 unique_id (portion 3 of 3)"
        assert len(ids_of(cut)) == 50
        by_task = planned(listing, task_ids=[task["task_id"] for task in SOME[:5]], rows=3)
        assert len(by_task) == 2
        assert len(ids_of(by_task)) == 5


def test_attempts_are_cut_by_labelers(environment: pytest.MonkeyPatch) -> None:
    """Attempts of one labeler are numbered among each other, so they stay together."""
    del environment
    with Listing([]) as listing:
        cut = planned(listing, "attempts", labeler_emails=[f"l{at}@example.org" for at in range(900)])
        assert [len(dict(each.arguments)["labeler_emails"]) for each in cut] == [400, 400, 100]
        assert len(planned(listing, "attempts", labeler_emails="all")) == 1
        assert len(planned(listing, "attempts", quality_task_ids=["q"])) == 1


def test_no_portion_holds_a_key() -> None:
    """Not as text, not pickled."""
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100)
    assert KEY.encode() not in pickle.dumps(cut)
    assert KEY not in repr(cut)


def test_another_key_in_the_worker_is_refused(environment: pytest.MonkeyPatch) -> None:
    """It would see another world; the sentence begins with the portion."""
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100)
        environment.setenv("REFONTE_API_KEY", "live_another-0123456789")
        with pytest.raises(rf.ConfigError, match="is another key than the one the work was planned with"):
            rf.portions.read(cut[0])


def test_a_worker_without_a_key_says_so(environment: pytest.MonkeyPatch) -> None:
    """As any client."""
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100)
        environment.delenv("REFONTE_API_KEY")
        with pytest.raises(rf.ConfigError, match="No API key: set the environment variable REFONTE_API_KEY"):
            rf.portions.read(cut[0])


def test_the_first_line_of_an_error_names_the_portion(environment: pytest.MonkeyPatch) -> None:
    """With its times; the type stays."""
    del environment
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100)
        listing.body = b"garbage"
        with pytest.raises(rf.ReplyError) as caught:
            rf.portions.read(cut[1]).read_all()
    start = cut[1].window.start if cut[1].window else 0
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"tasks created from {stamp(datetime.fromtimestamp((start or 0) / 1e6, UTC))} to ")
    assert f"(portion 2 of {len(cut)}): GET /tasks" in first


def test_a_portion_read_in_another_process_gives_its_rows(tmp_path: Any) -> None:
    """With nothing but the portion and the key in the environment."""
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100)
        (tmp_path / "portion").write_bytes(pickle.dumps(cut[2]))
        program = (
            "import pickle, sys, refonte_frames as rf\n"
            "portion = pickle.load(open(sys.argv[1], 'rb'))\n"
            "print(rf.portions.read(portion).read_all().num_rows)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "portion")],
            env={"REFONTE_API_KEY": KEY, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        with rf.Client(KEY, listing.base_url) as client:
            assert int(run.stdout) == len(ids_of(cut[2:3], client=client)) > 0, run.stderr


def test_changes_are_those_between_two_times(environment: pytest.MonkeyPatch) -> None:
    """What was updated on the first bound was brought before; what was created and updated comes once."""
    del environment
    tasks = copy.deepcopy(SOME[:300])
    begin, end = START + timedelta(hours=1), START + timedelta(hours=2)
    for at, moment in ((3, begin), (4, begin + timedelta(seconds=1)), (5, end), (6, end + timedelta(seconds=1))):
        tasks[at] |= {"updated_at": stamp(moment)}
    for task in tasks[100:]:
        task["updated_at"] = stamp(START)
    tasks.insert(0, small_task(20_000, gap_ms=300))
    tasks[0] |= {"created_at": stamp(begin + timedelta(minutes=5))}
    del tasks[0]["updated_at"]
    micros = [int(moment.timestamp() * 1e6) for moment in (begin, end)]
    expected = {"updated_at": [4, 5], "created_at": [0]}
    with Listing(tasks) as listing, rf.Client(KEY, listing.base_url) as client:
        for of, places in expected.items():
            change = portions.Change(micros[0], micros[1], of)  # type: ignore[arg-type]
            cut = portions.cut_by_time("tasks", rf.portions.Portion("", 1, 1, "", "").filters, 50, client=client)
            found = ids_of([portions.replace(each, change=change) for each in cut])
            shift = 1 if of == "updated_at" else 0
            assert sorted(found) == sorted(tasks[at + shift]["task_id"] for at in places)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rows": 0}, "rows=0: give the tasks that a portion may hold"),
        ({"requests_per_sec": 0}, "requests_per_sec=0: give the requests a second"),
        ({"at_once": True}, "at_once=True: give how many portions"),
        ({"table": "batches", "tags": ["a"]}, "The table batches cannot be filtered by tags"),
        ({"table": "attempts", "project": "p", "labeler_emails": "all"}, "attempts cannot be filtered by project"),
        ({"table": "tasks", "labeler_emails": "all"}, "The table tasks cannot be filtered by labeler_emails"),
        ({"table": "attempts"}, "Whose attempts?"),
    ],
)
def test_what_cannot_be_planned_is_refused(options: dict[str, Any], says: str) -> None:
    """Before anything is sent."""
    client = rf.Client(KEY, "http://127.0.0.1:9/v1")
    with pytest.raises(rf.InputError, match=says):
        rf.portions.plan(**options, client=client)


def test_a_rate_is_shared_by_those_who_work_at_once() -> None:
    """By all portions as long as nobody says; never is the whole exceeded."""
    with Listing(SOME) as listing:
        cut = planned(listing, rows=100, requests_per_sec=60.0, at_once=3)
        assert {each.requests_per_sec for each in cut} == {20.0}
        cut = planned(listing, rows=100, requests_per_sec=60.0)
        assert {each.requests_per_sec for each in cut} == {60.0 / len(cut)}


def test_every_request_of_a_sharing_client_takes_a_turn(environment: pytest.MonkeyPatch) -> None:
    """Plans, counts and pages alike."""
    del environment

    class Counted(Turns):
        taken = 0

        def wait_secs(self, now: float) -> float:
            Counted.taken += 1
            return super().wait_secs(now)

    with Listing(SOME) as listing:
        client = SharingClient(requests_per_sec=1e6, base_url=listing.base_url, max_workers=4)
        client._turns = Counted(1e6)
        ids_of(rf.portions.plan(rows=300, client=client), client=client.for_one_run())
        assert Counted.taken == len(listing.requests) > 20
        client.close()


@given(st.floats(0.1, 1e4), st.one_of(st.none(), st.integers(1, 64)), st.integers(0, 200))
def test_shares_never_add_up_to_more_than_the_whole(rate: float, at_once: int | None, count: int) -> None:
    """However many there are."""
    share = share_of(rate, at_once, count)
    assert share is not None
    working = min(count, at_once or count)
    assert share * working <= rate * (1 + 1e-9)


@given(st.floats(0.1, 1e3), st.lists(st.floats(0, 3), max_size=60))
def test_turns_are_never_closer_than_the_rate_allows(per_sec: float, gaps: list[float]) -> None:
    """Whenever they are asked for; and nobody waits for a turn that is free."""
    turns, now, taken = Turns(per_sec), 0.0, [-1e9]
    for gap in gaps:
        now += gap
        at = now + turns.wait_secs(now)
        assert at - taken[-1] >= 1 / per_sec - 1e-6
        assert at == pytest.approx(max(now, taken[-1] + 1 / per_sec))
        taken.append(at)
