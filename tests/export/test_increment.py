"""Folders brought up to date by a service that does not look at all bounds of time: little is read, all is found."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from listing import Listing, small_task, stamp

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

SOME = [small_task(index) for index in range(700)][::-1]
UPDATED = {"updated_after"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "dock"


def export(listing: Listing, root: Path, **options: Any) -> rf.ExportReport:
    """Export all that a listing has, and forget what was asked before."""
    listing.requests.clear()
    with rf.Client(api_key="live_demo", base_url=listing.base_url, state_dir=root.parent) as client:
        return rf.export_tasks(root, **options, client=client, progress=False)


def pending(index: int) -> dict[str, Any]:
    """Make a task that nobody has worked on yet."""
    task = small_task(index) | {"status": "pending", "updated_at": small_task(index)["created_at"]}
    return {name: value for name, value in task.items() if name not in ("completed_at", "response", "audits")}


def with_pending(*indexes: int) -> list[dict[str, Any]]:
    """List the tasks, some of which are still to be worked on."""
    return [pending(699 - place) if 699 - place in indexes else task for place, task in enumerate(SOME)]


def state(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Read the tables as anybody would, sorted by key, without the time of reading."""
    tables = {
        name: pq.read_table(root / name).drop_columns("exported_at") for name in ("tasks", "audits", "annotations")
    }
    return {
        name: table.sort_by([(key, "ascending") for key in rf.schemas.KEYS[name]]).to_pylist()
        for name, table in tables.items()
    }


def assert_as_a_sweep(listing: Listing, root: Path) -> None:
    """Compare a folder with one that was read in full just now."""
    other = root.with_name("sweep")
    export(listing, other)
    assert state(root) == state(other)


def test_a_folder_without_tasks_tells_nothing_about_the_service(root: Path) -> None:
    """Bounds that are overlooked find nothing either where there is nothing."""
    with Listing([], ignores={"updated_after", "start_time", "end_time"}) as listing:
        export(listing, root)
        export(listing, root)
        listing.tasks = SOME
        assert export(listing, root).rows["tasks"] == 700
        assert export(listing, root).mode == "windows"
        assert_as_a_sweep(listing, root)


@pytest.mark.parametrize(("ended", "lookback", "requests"), [(True, None, 2), (True, 1, 3), (False, None, 4)])
def test_where_nothing_is_new_next_to_nothing_is_asked(
    ended: bool,  # noqa: FBT001 - pytest gives it by name
    lookback: float | None,
    requests: int,
    root: Path,
) -> None:
    """The total and what is new, one more for the look-back, and one for each window that holds unfinished tasks."""
    with Listing(SOME if ended else with_pending(100, 110, 600), ignores=UPDATED) as listing:
        export(listing, root, audit_lookback=lookback)
        export(listing, root, audit_lookback=lookback)
        report = export(listing, root, audit_lookback=lookback)
        assert len(listing.requests) == requests
    assert (report.mode, report.tasks_new, report.tasks_changed) == ("increment", 0, 0)
    assert report.rows["tasks"] == report.service_total == 700


@pytest.mark.parametrize(
    ("ignores", "fold"),
    [
        ("updated_after", True),
        ("updated_after completed_after", False),
        ("completed_after", True),
        ("updated_after start_time end_time", False),
        ("updated_after completed_after start_time end_time", True),
    ],
)
def test_all_that_can_change_is_found_whatever_is_overlooked(
    ignores: str,
    fold: bool,  # noqa: FBT001 - pytest gives it by name
    root: Path,
) -> None:
    """New tasks, ended ones, and audits that left updated_at alone."""
    with Listing(with_pending(100, 110, 600, 601), ignores=set(ignores.split())) as listing:
        export(listing, root)
        later = [small_task(index) for index in range(700, 710)][::-1] + copy.deepcopy(listing.tasks)
        for task in later[:10]:
            task["created_at"] = stamp(listing.now + timedelta(minutes=1))
        for index in (110, 600):
            later[709 - index] = small_task(index) | {"updated_at": "2024-03-11T00:30:00.000Z"}
            later[709 - index]["completed_at"] = "2024-03-11T00:30:00.000Z"
        later[400]["audits"] = [{"audited_by": "late@example.org", "audited_at": "2024-03-11T00:40:00.000Z"}]
        listing.tasks, listing.now = later, listing.now + timedelta(hours=1)
        report = export(listing, root, fold=fold)
        if "start_time" not in ignores or "updated_after" not in ignores:
            assert (report.mode, report.tasks_new, report.tasks_changed) == ("increment", 10, 3)
        rf.open_export(root).compact()
        assert_as_a_sweep(listing, root)


def test_each_of_many_small_windows_is_one_request(root: Path) -> None:
    """Several of them are read by one worker, into the same files."""
    tasks = [pending(index) if index % 120 == 0 else small_task(index) for index in range(4_800)][::-1]
    with Listing(tasks, ignores=UPDATED) as listing:
        export(listing, root, audit_lookback=None)
        listing.tasks = [small_task(index) for index in range(4_800)][::-1]
        report = export(listing, root, fold=False, audit_lookback=None)
        assert (report.windows, report.tasks_changed) == (40, 40)
        # Four more find out what the service looks at, and two count.
        assert len(listing.requests) == 40 + 4 + 2
        assert report.rows["tasks"] == 4_800


def test_what_lies_beside_the_base_is_known_too(root: Path) -> None:
    """A task that has ended there is not asked for again, and one that is still unfinished is."""
    with Listing(with_pending(100, 600), ignores=UPDATED) as listing:
        export(listing, root)
        listing.tasks = with_pending(100)
        export(listing, root, fold=False, audit_lookback=None)
        export(listing, root, fold=False, audit_lookback=None)
        windows = [target for target in listing.requests if "end_time" in target]
        assert len(windows) == 1
        listing.tasks = SOME
        assert export(listing, root, fold=False, audit_lookback=None).tasks_changed == 1
        rf.open_export(root).compact()
        assert_as_a_sweep(listing, root)


def test_a_task_that_the_list_was_late_to_show_is_found_by_the_total(root: Path) -> None:
    """It is older than what is read anew, and belongs to no window that holds unfinished tasks: all is read."""
    with Listing([*SOME[:400], *SOME[401:]], ignores=UPDATED) as listing:
        export(listing, root)
        listing.tasks = SOME
        assert export(listing, root).mode == "windows"
        assert_as_a_sweep(listing, root)
        assert export(listing, root, audit_lookback=None).mode == "increment"


def test_a_task_that_was_hidden_for_longer_than_increments_overlap_is_found(root: Path) -> None:
    """Nothing of it is new when it shows: the service counts one more than came, and all is read in the same call."""
    with Listing([*SOME[:400], *SOME[401:]]) as listing:
        export(listing, root)
        listing.now += timedelta(hours=1)
        assert export(listing, root, audit_lookback=None).mode == "increment"
        listing.tasks = [SOME[0] | {"tags": ["seen"], "updated_at": stamp(listing.now)}, *SOME[1:]]
        report = export(listing, root, audit_lookback=None)
        assert (report.mode, report.rows["tasks"]) == ("windows", 700)
        assert_as_a_sweep(listing, root)


@pytest.mark.filterwarnings("ignore:7 tasks that the service counts did not come")
@pytest.mark.parametrize("ignores", [set(), UPDATED], ids=len)
def test_a_service_that_always_counts_more_than_it_lists_is_not_read_in_full_every_time(
    ignores: set[str], root: Path
) -> None:
    """What was missing in the last run need not be there now."""
    with Listing(SOME, ignores=ignores, wrong_total=7) as listing:
        export(listing, root)
        report = export(listing, root, audit_lookback=None)
    assert (report.mode, report.rows["tasks"]) == ("increment", 700)


def test_bounds_that_are_refused_are_as_those_that_are_overlooked(root: Path) -> None:
    """Here with 400."""
    with Listing(with_pending(100), refuses={"updated_after", "completed_after"}) as listing:
        export(listing, root)
        listing.tasks = SOME
        report = export(listing, root)
    assert (report.mode, report.tasks_changed) == ("increment", 1)


def test_a_service_without_totals_is_asked_for_no_more(root: Path) -> None:
    """Whether it looks at a bound is seen by what it lists."""
    with Listing(with_pending(100, 600), ignores=UPDATED, wrong_total=None) as listing:
        export(listing, root)
        listing.tasks = SOME
        assert export(listing, root, audit_lookback=None).tasks_changed == 2
        assert export(listing, root, audit_lookback=None).mode == "increment"
        assert len(listing.requests) == 2


@pytest.mark.parametrize("wrong_total", [0, None])
def test_a_new_task_without_a_time_of_update_is_found_beside_changed_ones(wrong_total: int | None, root: Path) -> None:
    """Tasks that were updated hide it in the total, where there is one; it is read without reading everything."""
    with Listing(SOME, wrong_total=wrong_total) as listing:
        export(listing, root)
        listing.now += timedelta(hours=1)
        changed = [task | {"tags": ["seen"], "updated_at": stamp(listing.now)} for task in SOME[:5]]
        new = pending(700) | {"created_at": stamp(listing.now)}
        del new["updated_at"]
        listing.tasks = [new, *changed, *SOME[5:]]
        report = export(listing, root, audit_lookback=None)
        assert (report.mode, report.tasks_new, report.tasks_changed) == ("increment", 1, 5)
        assert_as_a_sweep(listing, root)


def test_an_audit_from_before_the_look_back_waits_for_a_full_run(root: Path) -> None:
    """And the report says since when audits are complete."""
    with Listing(SOME, ignores=UPDATED) as listing:
        export(listing, root)
        listing.tasks = copy.deepcopy(SOME)
        listing.tasks[400]["audits"] = [{"audited_by": "late@example.org", "audited_at": "2024-03-11T00:00:01.000Z"}]
        report = export(listing, root, audit_lookback=1)
        assert (report.tasks_changed, report.audits_complete_since) == (0, "2024-03-10T00:00:00.000Z")
        assert export(listing, root, full=True).audits_complete_since is None
        assert_as_a_sweep(listing, root)


def test_a_full_run_asks_again_what_the_service_looks_at(root: Path) -> None:
    """It may have learned it."""
    with Listing(with_pending(100, 600), ignores=UPDATED) as listing:
        export(listing, root)
        export(listing, root, audit_lookback=None)
        listing.ignores = set()
        export(listing, root, full=True)
        export(listing, root, audit_lookback=None)
        export(listing, root, audit_lookback=None)
        assert len(listing.requests) == 2


def test_the_folder_s_own_bounds_are_kept(root: Path) -> None:
    """Also those within a second, and those before which nothing new can come."""
    bounds = {
        "created_after": SOME[600]["created_at"],
        "created_before": SOME[200]["created_at"],
    }
    with Listing(with_pending(99, 400, 499), ignores=UPDATED) as listing:
        export(listing, root, **bounds)
        listing.tasks = SOME
        report = export(listing, root, **bounds, audit_lookback=None)
        assert (report.mode, report.tasks_changed, report.rows["tasks"]) == ("increment", 3, 401)
        export(listing, root, **bounds, audit_lookback=None)
        assert len(listing.requests) == 1
