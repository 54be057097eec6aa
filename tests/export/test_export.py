"""An exported folder: whole, remembered, up to date, and opened by everybody."""

from __future__ import annotations

import copy
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from listing import Listing, small_task
from service import TEXT, post

import refonte_frames as rf
from refonte_frames.export.dataset import Dataset, RunPlan, Settings
from refonte_frames.export.export import watermark_of
from refonte_frames.export.places import moving_files

SOME = [small_task(index) for index in range(350)][::-1]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "dock"


def export(listing: Listing, root: Path, **options: Any) -> rf.ExportReport:
    """Export all that a listing has."""
    with rf.Client(api_key="live_demo", base_url=listing.base_url, state_dir=root.parent) as client:
        return rf.export_tasks(root, **options, client=client)


def ids(root: Path) -> list[str]:
    """Read the ids as anybody would."""
    return sorted(pd.read_parquet(root / "tasks", columns=["task_id"])["task_id"])


def test_a_folder_is_read_by_everybody(root: Path) -> None:
    """Pandas, polars, DuckDB and pyarrow, without our help; the version of the tables is in every file."""
    import duckdb

    with Listing(SOME) as listing:
        report = export(listing, root)
    assert report.rows == {"tasks": 350, "audits": 117, "annotations": 700}
    assert len(pd.read_parquet(root / "tasks")) == 350
    assert pl.read_parquet(root / "annotations").height == 700
    counted = duckdb.connect().sql(f"select count(distinct task_id), count(*) from '{root}/tasks/*.parquet'")
    assert counted.fetchall() == [(350, 350)]
    assert pq.read_table(root / "audits").schema.names == rf.schemas.AUDITS.names
    for path in root.glob("*/*.parquet"):
        assert pq.read_metadata(path).metadata[rf.schemas.VERSION_KEY] == b"1"


def test_a_frame_and_a_folder_hold_the_same_rows(root: Path) -> None:
    """There is one way by which rows come."""
    with Listing(SOME) as listing:
        export(listing, root)
        with rf.Client(api_key="live_demo", base_url=listing.base_url) as client:
            frames = rf.read("tasks", "audits", "annotations", client=client)
    opened = rf.open_export(root)
    for name in ("tasks", "audits", "annotations"):
        key = list(rf.schemas.KEYS[name])
        one, other = (
            frame.drop(columns="exported_at").sort_values(key, ignore_index=True)
            for frame in (frames[name], getattr(opened, name).to_pandas())
        )
        pd.testing.assert_frame_equal(one, other)


def test_nothing_to_export_still_makes_readable_tables(root: Path) -> None:
    """With all columns and no rows."""
    with Listing([]) as listing:
        assert export(listing, root).rows == {"tasks": 0, "audits": 0, "annotations": 0}
    assert pd.read_parquet(root / "annotations").columns.tolist() == rf.schemas.ANNOTATIONS.names


def test_an_open_folder_selects_columns_and_rows(root: Path) -> None:
    """By conditions as pandas takes them, or an Arrow expression."""
    with Listing(SOME) as listing:
        export(listing, root)
    tasks = rf.open_export(root).tasks
    assert repr(tasks) == "<ExportTable tasks: 350 rows, 31 columns>"
    assert tasks.to_pandas(columns=["unique_id"], filter=[("unique_id", "==", "u7")])["unique_id"].tolist() == ["u7"]
    assert tasks.to_arrow(columns=["task_id"], filter=pc.field("status") == "completed").num_rows == 350
    assert sum(batch.num_rows for batch in tasks.scan(columns=["task_id"])) == 350
    assert tasks.dataset().count_rows() == 350
    with pytest.raises(rf.ColumnError, match="has no column 'mood'"):
        tasks.to_pandas(columns=["mood"])


def test_the_same_call_again_brings_the_folder_up_to_date(root: Path) -> None:
    """New tasks come in; changed ones are replaced with all their audits and answers; others stay."""
    with Listing(SOME) as listing:
        export(listing, root)
        changed = copy.deepcopy(SOME)
        changed[10] |= {"tags": ["seen"], "updated_at": "2024-03-11T01:00:00.000Z"}
        changed[10]["response"]["annotations"].pop()
        late = dict.fromkeys(("created_at", "updated_at", "completed_at"), "2024-03-11T00:30:00.000Z")
        listing.tasks = [small_task(index) | late for index in range(350, 360)][::-1] + changed
        listing.now += timedelta(hours=2)
        report = export(listing, root, audit_lookback=None)
    assert (report.mode, report.tasks_new, report.tasks_changed) == ("increment", 10, 1)
    tasks = pd.read_parquet(root / "tasks").set_index("task_id")
    assert tasks.index.is_unique
    assert tasks.loc[changed[10]["task_id"], "tags"].tolist() == ["seen"]
    assert len(pd.read_parquet(root / "annotations")) == 719


def test_an_audit_that_leaves_updated_at_alone_is_found(root: Path) -> None:
    """By looking back at what was completed."""
    with Listing(SOME) as listing:
        export(listing, root)
        listing.tasks = copy.deepcopy(SOME)
        listing.tasks[1]["audits"] = [{"audited_by": "late@example.org", "audited_at": "2024-03-11T00:00:01.000Z"}]
        report = export(listing, root)
    assert (report.tasks_new, report.tasks_changed, report.tasks_unchanged) == (0, 1, 349)
    assert "late@example.org" in set(pd.read_parquet(root / "audits")["audited_by"])


def test_a_list_that_lags_behind_does_not_undo_what_is_known(root: Path) -> None:
    """An older version of a task is passed over."""
    newer = copy.deepcopy(SOME)
    newer[0] |= {"updated_at": "2024-03-10T12:00:00.000Z", "tags": ["new"]}
    with Listing(newer) as listing:
        export(listing, root)
        listing.tasks = SOME
        assert export(listing, root).tasks_changed == 0
    assert pd.read_parquet(root / "tasks")["tags"].notna().sum() == 1


def test_nothing_new_takes_two_requests(root: Path) -> None:
    """Where updated_after is known to work and nobody looks back."""
    with Listing(SOME) as listing:
        export(listing, root)
        export(listing, root, audit_lookback=None)
        listing.requests.clear()
        report = export(listing, root, audit_lookback=None)
        assert len(listing.requests) == 2
    assert report.rows["tasks"] == report.service_total == 350


def test_a_full_run_sees_what_was_deleted(root: Path) -> None:
    """An increment cannot."""
    with Listing(SOME) as listing:
        export(listing, root)
        listing.tasks = SOME[5:]
        assert export(listing, root).rows["tasks"] == 350
        assert export(listing, root, full=True).rows["tasks"] == 345


def test_superseded_files_stay_for_those_who_opened_them(root: Path) -> None:
    """An open folder goes on reading the state that it was opened at."""
    with Listing(SOME) as listing:
        export(listing, root)
        opened = rf.open_export(root)
        listing.tasks = SOME[5:]
        export(listing, root, full=True)
    assert len(opened.tasks.to_pandas()) == 350
    assert len(rf.open_export(root).tasks.to_pandas()) == 345


def test_files_that_are_moved_aside_between_opening_and_reading_are_found(root: Path) -> None:
    """A path that was looked up in advance would be gone."""
    with Listing(SOME) as listing:
        export(listing, root)
        tasks = rf.open_export(root).tasks
        dataset, stream = tasks.dataset(), tasks.scan(columns=["task_id"])
        listing.tasks = SOME[5:]
        export(listing, root, full=True)
        export(listing, root, full=True)
    assert dataset.count_rows() == tasks.to_arrow().num_rows == stream.read_all().num_rows == 350


def test_an_exported_folder_is_read_and_not_written() -> None:
    """By its file system."""
    with pytest.raises(OSError, match="is read here, not written"):
        moving_files(Path()).delete_file("a")


def test_a_new_task_without_updated_at_is_found(root: Path) -> None:
    """The service's total tells that the changes are not all."""
    with Listing(SOME) as listing:
        export(listing, root)
        new = small_task(60 * 60 * 24) | {"status": "pending"}
        del new["updated_at"], new["completed_at"], new["response"]
        listing.tasks = [new, *SOME]
        report = export(listing, root, audit_lookback=None)
    assert (report.mode, report.tasks_new, report.rows["tasks"]) == ("increment", 1, 351)


def test_a_change_during_a_long_run_is_not_overlooked_by_the_next() -> None:
    """A task that was read at its start may have changed before the last stamp that was read at its end."""
    began = datetime(2024, 3, 11, tzinfo=UTC)
    plan = run_plan(began)
    read_last = micros(began + timedelta(minutes=59))
    watermark, clock = watermark_of(plan, read_last, now=began.timestamp() + 3_600)
    assert (watermark, clock) == (micros(began), "service clock")


def test_a_stamp_of_a_far_future_does_not_hide_later_changes() -> None:
    """One such task would otherwise make every further run find nothing."""
    began = datetime(2024, 3, 11, tzinfo=UTC)
    found = watermark_of(run_plan(began), micros(datetime(2999, 1, 1, tzinfo=UTC)), now=began.timestamp() + 60)
    assert found == (micros(began), "service clock")


def test_a_service_that_is_ahead_of_this_machine_is_believed() -> None:
    """Else every further run would read again what is stamped later than our own clock."""
    ours, theirs = datetime(2024, 3, 11, tzinfo=UTC), datetime(2024, 3, 14, tzinfo=UTC)
    plan = run_plan(ours, service=theirs, source="this machine's clock")
    found = watermark_of(plan, micros(theirs), now=ours.timestamp() + 60)
    assert found == (micros(theirs - timedelta(minutes=1)), "newest stamp")


def test_without_a_clock_of_the_service_its_stamps_count() -> None:
    """Ours may be ahead."""
    began = datetime(2024, 3, 11, tzinfo=UTC)
    plan = msgspec.structs.replace(run_plan(began), service_clock=None)
    found = watermark_of(plan, micros(began - timedelta(hours=1)), now=began.timestamp())
    assert found == (micros(began - timedelta(hours=1)), "newest stamp")


def micros(moment: datetime) -> int:
    """Count microseconds since 1970."""
    return int(moment.timestamp() * 1_000_000)


def run_plan(began: datetime, *, service: datetime | None = None, source: str = "service clock") -> RunPlan:
    """Plan a run that begins then, by this machine's clock and the service's."""
    return RunPlan(
        run_id="a",
        generation=1,
        settings=Settings("host", "key", [], {}),
        schema_version=1,
        started_at=began.isoformat(),
        began=began.timestamp(),
        jobs=[],
        total=None,
        mode="windows",
        watermark=micros(began),
        watermark_source=source,
        service_clock=micros(service or began),
    )


@pytest.mark.parametrize("days", [float("nan"), float("inf"), -1, "30", 1e9, True])
def test_a_lookback_that_is_no_number_of_days_is_refused(days: Any, root: Path) -> None:
    """Before anything is sent or made."""
    with Listing(SOME) as listing, pytest.raises(rf.InputError, match="give a number of days from 0"):
        export(listing, root, audit_lookback=days)
    assert listing.requests == []
    assert not root.exists()


def test_a_full_disk_is_told_in_a_sentence_and_the_run_goes_on_afterwards(root: Path) -> None:
    """Here a limit on the size of files stands for it."""
    code = (
        "import sys, resource, signal, refonte_frames as rf\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))\n"
        "rf.export_tasks(sys.argv[1], client=rf.Client(api_key='live_demo', base_url=sys.argv[2]))"
    )
    with Listing(SOME) as listing:
        command = [sys.executable, "-c", code, str(root), listing.base_url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "ExportError: " in done.stderr
        assert "cannot be written: " in done.stderr
        assert export(listing, root).rows["tasks"] == 350


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    """Here because its parent is a file."""
    (tmp_path / "file").touch()
    with Listing(SOME) as listing, pytest.raises(rf.ExportError, match="cannot be written"):
        export(listing, tmp_path / "file" / "dock")
    with pytest.raises(rf.ExportError, match="holds no finished export"):
        rf.open_export(tmp_path / "file")


@pytest.mark.parametrize("conditions", ["status == 'completed'", [("status", "~", "x")], [], [("status",)], 5])
def test_conditions_of_another_form_are_a_sentence(conditions: Any, root: Path) -> None:
    """With an example of the right one."""
    with Listing(SOME) as listing:
        export(listing, root)
    tasks = rf.open_export(root).tasks
    with pytest.raises(rf.InputError, match="give a pyarrow expression, or conditions such as"):
        tasks.to_pandas(filter=conditions)
    with pytest.raises(rf.ColumnError, match="has no column 'mood'"):
        tasks.to_pandas(filter=[("mood", "==", 1)])


def test_a_single_column_need_not_stand_in_a_list(root: Path) -> None:
    """Its letters are no columns."""
    with Listing(SOME) as listing:
        export(listing, root)
    assert rf.open_export(root).tasks.to_pandas(columns="status").shape == (350, 1)


def test_refresh_uses_the_folder_s_own_filters(client: rf.Client, root: Path) -> None:
    """And reads from the new state."""
    post(client, "projects", body={"type": "categorization", "name": "mail"})
    task = {**TEXT, "attachment": "a", "project": "mail"}
    post(client, "task", "categorization", body=task)
    rf.export_tasks(root, project="mail", created_after="2020-01-01", client=client)
    opened = rf.open_export(root)
    post(client, "task", "categorization", body=task)
    assert opened.refresh(client=client).tasks_new == 1
    assert len(opened.tasks) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"project": "other"}, "project was 'dock' and is now 'other'"),
        ({}, "project was 'dock' and is now not set"),
        ({"project": "dock", "created_after": "2024-01-01"}, "created_after was not set and is now '2024-01-01T"),
        ({"project": "dock", "tables": ["tasks"]}, "tables were tasks, audits, annotations and are now tasks"),
    ],
)
def test_a_call_with_other_filters_is_refused_by_name(options: dict[str, Any], says: str, root: Path) -> None:
    """The folder stays as it was."""
    with Listing(SOME) as listing:
        export(listing, root, project="dock")
        with pytest.raises(rf.ExportError, match=says):
            export(listing, root, **options)
    assert len(ids(root)) == 350


def test_another_key_is_refused(root: Path) -> None:
    """Test and live worlds must not end in one folder."""
    with Listing(SOME) as listing:
        export(listing, root)
        with (
            rf.Client(api_key="test_demo", base_url=listing.base_url) as other,
            pytest.raises(rf.ExportError, match="the API key is another one"),
        ):
            rf.export_tasks(root, client=other)


def test_filters_that_change_under_a_task_need_a_rewritten_folder(root: Path) -> None:
    """The error names both ways out."""
    with Listing(SOME) as listing:
        with pytest.raises(rf.InputError, match="incremental=False"):
            export(listing, root, status="completed")
        assert not root.exists()
        assert export(listing, root, status="completed", incremental=False).rows["tasks"] == 350
        listing.tasks = SOME[5:]
        assert export(listing, root, status="completed", incremental=False).rows["tasks"] == 345


def test_a_second_writer_is_refused(root: Path) -> None:
    """It learns who is writing."""
    code = (
        "import sys; from refonte_frames.export.dataset import Dataset\n"
        f"with Dataset({str(root)!r}).lock():\n    print('held', flush=True); sys.stdin.read()"
    )
    with Listing(SOME) as listing:
        holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(rf.ExportError, match=f"is being written by process {holder.pid} on "):
                export(listing, root)
            holder.kill()
        assert export(listing, root).rows["tasks"] == 350


def test_a_folder_of_something_else_is_left_alone(root: Path) -> None:
    """Also a file in place of a folder."""
    root.mkdir()
    (root / "thesis.docx").write_text("years of work")
    with Listing(SOME) as listing:
        with pytest.raises(rf.ExportError, match=r"holds other files \(thesis.docx\)"):
            export(listing, root)
        with pytest.raises(rf.ExportError, match="is a file"):
            export(listing, root / "thesis.docx")
    assert [path.name for path in root.iterdir()] == ["thesis.docx"]


@pytest.mark.parametrize(
    ("manifest", "says"), [(b"{", "is damaged"), (b"[]", "is damaged"), (None, "holds no finished export")]
)
def test_a_folder_that_cannot_be_opened_says_why(manifest: bytes | None, says: str, root: Path) -> None:
    """And what to do."""
    root.mkdir()
    if manifest is not None:
        (root / "_manifest.json").write_bytes(manifest)
    with pytest.raises(rf.ExportError, match=says):
        rf.open_export(root)


def test_a_folder_of_a_newer_version_is_not_touched(root: Path) -> None:
    """Neither read nor written."""
    with Listing(SOME) as listing:
        export(listing, root)
        manifest = json.loads((root / "_manifest.json").read_bytes())
        (root / "_manifest.json").write_text(json.dumps(manifest | {"format": 99}))
        with pytest.raises(rf.ExportError, match="written by a newer version"):
            export(listing, root)
    with pytest.raises(rf.ExportError, match="written by a newer version"):
        rf.open_export(root)


def test_a_file_that_is_gone_is_named(root: Path) -> None:
    """With the way to mend the folder."""
    with Listing(SOME) as listing:
        export(listing, root)
    next((root / "tasks").iterdir()).unlink()
    with pytest.raises(rf.ExportError, match="is missing, though the manifest lists it"):
        rf.open_export(root).tasks.to_pandas()


def test_the_manifest_and_the_files_hold_no_key(root: Path) -> None:
    """Not in any byte that was written."""
    with Listing(SOME) as listing, rf.Client(api_key="live_CANARY_7f3a", base_url=listing.base_url) as client:
        rf.export_tasks(root, client=client)
    assert all(b"CANARY" not in path.read_bytes() for path in root.rglob("*") if path.is_file())


def test_the_report_says_what_was_read_and_what_drifted(root: Path) -> None:
    """In a few lines, and again when the folder is opened."""
    odd = [SOME[0] | {"mood": 1}, *SOME[1:]]
    with Listing(odd) as listing:
        report = export(listing, root)
    assert "350 tasks, 117 audits, 700 annotations (the service counts 350 tasks)" in repr(report)
    assert "1 unknown keys" in repr(report)
    assert report.requests == {"200": 5}
    assert rf.open_export(root).report.drift == {
        "unknown_keys": {"tasks.mood": 1},
        "misfits": {},
        "unknown_responses": {},
    }


def test_exports_in_threads_tell_their_own_requests(client: rf.Client, tmp_path: Path) -> None:
    """However many share a client."""
    for at in range(3):
        post(client, "task", "categorization", body={"attachment": f"a{at}", **TEXT})

    def asked(at: int) -> dict[str, int]:
        return rf.export_tasks(tmp_path / str(at), progress=False, client=client).requests

    alone = asked(0)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(asked, range(1, 9))) == [alone] * 8


def test_a_run_of_a_day_ago_is_begun_anew(root: Path) -> None:
    """Its windows are too old to be put beside new ones."""
    with Listing(SOME) as listing:
        export(listing, root)
        plan = {"run_id": "x", "began": (datetime.now(UTC) - timedelta(days=2)).timestamp()}
        (root / "_run").mkdir()
        (root / "_run" / "plan.json").write_text(json.dumps(plan))
        assert not export(listing, root).is_resumed
    assert not (root / "_run").exists()
    assert Dataset(root).manifest() is not None


def test_an_increment_can_lie_beside_the_base(root: Path) -> None:
    """Plain readers see the state before, `open_export` the new one; a later run puts it in."""
    with Listing(SOME) as listing:
        export(listing, root)
        changed = copy.deepcopy(SOME)
        changed[10] |= {"tags": ["seen"], "updated_at": "2024-03-11T01:00:00.000Z"}
        changed[10]["response"]["annotations"].pop()
        listing.tasks = [small_task(index) for index in range(350, 360)][::-1] + changed
        report = export(listing, root, fold=False)
        assert report.rows == {"tasks": 360, "audits": 120, "annotations": 719}
        assert len(ids(root)) == 350
        opened = rf.open_export(root)
        assert opened.tasks.to_pandas(filter=[("unique_id", "==", changed[10]["unique_id"])])["tags"].tolist() == [
            ["seen"]
        ]
        assert len(opened.annotations.to_pandas()) == len(opened.annotations) == 719
        nothing = export(listing, root, fold=False)
        assert (nothing.tasks_new, nothing.tasks_changed) == (0, 0)
        assert [path.name for path in (root / "_delta").iterdir()] == ["g000002"]
        assert export(listing, root).rows == report.rows
    assert not list((root / "_delta").iterdir())
    assert len(ids(root)) == len(set(ids(root))) == 360
    assert len(opened.tasks.to_pandas()) == 360


def test_of_many_increments_beside_the_base_the_last_one_of_each_task_counts(root: Path) -> None:
    """In every table; before they are put in and after."""
    draw = random.Random(7)
    with Listing(copy.deepcopy(SOME[:40])) as listing:
        export(listing, root)
        for run in range(1, 10):
            for task in draw.sample(listing.tasks, draw.randrange(1, 12)):
                task |= {"tags": [f"run {run}"], "updated_at": f"2024-03-11T{run:02}:00:00.000Z"}
                task["response"]["annotations"] = task["response"]["annotations"][: draw.randrange(3)]
            export(listing, root, fold=False)
            opened = rf.open_export(root)
            rows = opened.tasks.to_arrow(columns=["task_id", "tags", "n_annotations"]).to_pylist()
            assert len(rows) == 40
            assert {row["task_id"]: row["tags"] for row in rows} == {
                task["task_id"]: task.get("tags") for task in listing.tasks
            }
            answers = Counter(opened.annotations.to_arrow(columns=["task_id"])["task_id"].to_pylist())
            assert answers == Counter({row["task_id"]: row["n_annotations"] for row in rows})
        assert len(list((root / "_delta").iterdir())) == 9
        export(listing, root)
        assert rf.open_export(root).tasks.to_arrow().num_rows == len(ids(root)) == 40


class Tired(rf.Client):
    """A client that gives up after so many requests."""

    left = 0

    def send(self, *args: Any, **options: Any) -> Any:
        """Send while there is strength."""
        self.left -= 1
        if self.left < 0:
            raise rf.ReplyError("no more")
        return super().send(*args, **options)


def test_a_call_that_folds_leaves_nothing_beside_the_base_of_a_run_that_was_stopped(root: Path) -> None:
    """However far the one before had come, which would have left it there."""
    with Listing(SOME) as listing:
        export(listing, root)
        listing.tasks = [small_task(index) for index in range(350, 360)][::-1] + SOME
        stopped = 0
        for left in range(20):
            again = root.with_name(f"after-{left}")
            shutil.copytree(root, again)
            client = Tired("live_demo", listing.base_url, max_workers=1)
            client.left = left
            try:
                rf.export_tasks(again, fold=False, client=client, progress=False)
            except rf.ReplyError:
                stopped += 1
            assert export(listing, again).rows["tasks"] == len(ids(again)) == 360
    assert 2 <= stopped < 20


def test_everybody_reads_increments_beside_the_base_through_an_open_folder(root: Path) -> None:
    """Pandas, polars, DuckDB and pyarrow, from one dataset."""
    import duckdb

    with Listing(SOME) as listing:
        export(listing, root)
        listing.tasks = [SOME[0] | {"tags": ["seen"], "updated_at": "2024-03-12T00:00:00.000Z"}, *SOME[1:]]
        export(listing, root, fold=False)
    tasks = rf.open_export(root).tasks
    dataset, seen = tasks.dataset(), SOME[0]["task_id"]
    found = [
        tasks.to_pandas(),
        dataset.to_table().to_pandas(),
        pl.scan_pyarrow_dataset(dataset).collect().to_pandas(),
        duckdb.connect().sql("select * from dataset").to_arrow_table().to_pandas(),
        duckdb.connect().from_arrow(tasks.scan()).to_arrow_table().to_pandas(),
    ]
    for frame in found:
        assert len(frame) == frame["task_id"].nunique() == 350
        assert frame.loc[frame["tags"].notna(), "task_id"].tolist() == [seen]
    one = duckdb.connect().execute("select count(*) from dataset where status = 'completed' and tags is not null")
    assert one.fetchall() == [(1,)]


def test_declared_keys_become_typed_columns(root: Path) -> None:
    """What does not fit is null there, counted, and kept as it was."""
    odd = [SOME[0] | {"metadata": {"index": "many", "lens.mm": 35}}, *SOME[1:]]
    promote = {
        "metadata.index": "int64",
        "metadata.lens.mm": "float64",
        "params.attachment": "string",
        "params.a.b": "bool",
    }
    with Listing(odd) as listing:
        report = export(listing, root, promote=promote)
        assert report.drift["misfits"] == {"tasks.metadata.index": 1}
        rows = pd.read_parquet(root / "tasks").set_index("unique_id")
        assert rows.columns[-4:].tolist() == list(promote)
        assert rows.loc["u7", ["metadata.index", "params.attachment"]].tolist() == [7, "https://data.example.org/7.jpg"]
        assert rows["metadata.lens.mm"].dropna().tolist() == [35.0]
        assert rows["params.a.b"].isna().all()
        assert rows.loc[rows["metadata.index"].isna(), "metadata_json"].tolist() == ['{"index":"many","lens.mm":35}']
        opened = rf.open_export(root)
        assert opened.tasks.to_pandas(filter=[("metadata.index", "<", 3)])["unique_id"].tolist() == ["u0", "u1", "u2"]
        assert opened.refresh(client=rf.Client(api_key="live_demo", base_url=listing.base_url)).tasks_changed == 0


def test_other_promoted_columns_need_the_folder_to_be_read_anew(root: Path) -> None:
    """The error names the difference and the way out."""
    with Listing(SOME) as listing:
        export(listing, root, promote={"metadata.index": "int64"})
        with pytest.raises(rf.ExportError, match=r"metadata\.index was 'int64' and is now not set\. .*full=True"):
            export(listing, root)
        export(listing, root, promote={"metadata.index": "string"}, full=True)
    assert pd.read_parquet(root / "tasks")["metadata.index"].isna().all()


@pytest.mark.parametrize(
    ("promote", "says"),
    [
        ({"camera": "string"}, "give keys as 'metadata.camera'"),
        ({"metadata.": "string"}, "give keys as"),
        ({"metadata.camera": "text"}, "'text' is no type. There are string, float64"),
        (["metadata.camera"], "give a dict"),
    ],
)
def test_promotions_that_cannot_be_are_refused(promote: Any, says: str, root: Path) -> None:
    """Before anything is sent or made."""
    with Listing(SOME) as listing, pytest.raises(rf.InputError, match=says):
        export(listing, root, promote=promote)
    assert not root.exists()


def test_what_was_superseded_an_hour_ago_is_removed_by_the_next_run(root: Path) -> None:
    """Not before."""
    with Listing(SOME) as listing:
        export(listing, root)
        export(listing, root, full=True)
        (young,) = (root / "_old").iterdir()
        old = young.rename(young.with_name("000000-1600000000"))
        export(listing, root, full=True)
        (younger,) = (root / "_old").iterdir()
        export(listing, root, audit_lookback=None)
    assert not old.exists()
    assert younger.exists()


def test_a_folder_is_compacted_without_a_request(root: Path) -> None:
    """And is brought up to date afterwards as before."""
    with Listing(SOME) as listing:
        export(listing, root)
        listing.requests.clear()
        opened = rf.open_export(root)
        opened.compact()
        assert listing.requests == []
        assert len(opened.tasks.to_pandas()) == len(ids(root)) == 350
        assert export(listing, root).mode == "increment"
