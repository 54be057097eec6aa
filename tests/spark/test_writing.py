"""Rows of a data frame become tasks, each once, whatever is killed, repeated or started twice; receipts say how."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from service import tasks_of
from spark_session import failed_tasks, kill_workers

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

#: Of pyspark's own sockets, which 4.0 leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

OPTIONS = {
    "type": "categorization",
    "columns": json.dumps({"attachment": "text"}),
    "params": json.dumps({"attachment_type": "text", "categories": ["a", "b"]}),
}


def texts(spark: Any, count: int, partitions: int = 4) -> Any:
    """Make rows, of which no two are alike."""
    return spark.range(0, count, 1, partitions).selectExpr("concat('text ', id) as text", "id as n")


def write(rows: Any, where: Path, client: rf.Client, *, mode: str = "append", **options: str) -> None:
    """Submit rows to a sandbox."""
    writer = rows.write.format("refonte").mode(mode).option("base_url", client.base_url)
    for name, value in {**OPTIONS, **options}.items():
        writer = writer.option(name, value)
    writer.save(str(where))


def begun(spark: Any, *call: Any) -> threading.Thread:
    """Call a function in a thread."""

    def work() -> None:
        # Makes the session the thread's own, without which Spark knows no registered format there.
        spark.createDataFrame([(1,)], "n int")
        call[0](*call[1:])

    job = threading.Thread(target=work)
    job.start()
    return job


def summaries(where: Path) -> list[dict[str, Any]]:
    """Read what jobs left, by time."""
    paths = sorted(where.glob("*/_summary.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text("utf-8")) for path in paths]


def test_each_row_becomes_a_task_and_a_line_of_the_receipts(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """With the ids that rf.submit would give them, so that it finds them done, and so does a second job."""
    rows, where = texts(spark, 60), tmp_path / "receipts"
    write(rows, where, world)
    receipts = pd.read_parquet(where)
    tasks = {task["task_id"]: task["params"]["attachment"] for task in tasks_of(world)}
    assert dict(zip(receipts["task_id"], receipts["text"], strict=True)) == tasks
    assert set(receipts["outcome"]) == {"created"}
    assert sorted(receipts["n"]) == list(range(60))
    frame = pd.DataFrame({"text": [f"text {at}" for at in range(60)]})
    journal = tmp_path / "rows.journal"
    params = json.loads(OPTIONS["params"])
    columns = {"attachment": "text"}
    again = rf.submit(frame, type="categorization", columns=columns, params=params, journal=journal, client=world)
    assert set(again["outcome"]) == {"existing"}
    assert sorted(again["unique_id"]) == sorted(receipts["unique_id"])
    write(rows, where, world, mode="overwrite")
    (summary,) = summaries(where)
    assert summary["counts"] == {"created": 0, "existing": 60, "failed": 0, "unsent": 0, "unknown": 0}
    assert len(pd.read_parquet(where)) == len(tasks_of(world)) == 60
    assert [path for path in where.rglob("*.parquet") if "_staging" in path.parts] == []


@pytest.mark.parametrize("count", [400, pytest.param(100_000, marks=pytest.mark.slow)])
def test_workers_killed_midway_double_no_row(spark: Any, world: rf.Client, tmp_path: Path, count: int) -> None:
    """SIGKILL to every process that sends, when a quarter of the rows is there; Spark repeats the tasks."""
    before, rows = failed_tasks(spark), texts(spark, count)
    job = begun(spark, write, rows, tmp_path / "receipts", world)
    while job.is_alive() and total(world) < count // 4:
        job.join(0.01)
    seen = total(world)
    assert kill_workers(spark) >= 1
    job.join()
    assert seen < count
    assert failed_tasks(spark) > before
    receipts = pd.read_parquet(tmp_path / "receipts")
    assert sorted(receipts["n"]) == list(range(count))
    assert receipts["task_id"].nunique() == total(world) == count
    (summary,) = summaries(tmp_path / "receipts")
    # A task that was made by the attempt that died was made by this job: the keys are the same.
    assert summary["counts"]["created"] == count


def total(client: rf.Client) -> int:
    """Count the tasks of the world."""
    from refonte_frames.transport.calls import Call

    return int(json.loads(client.send(Call.get("tasks", query=[("limit", "1")])).body)["total"])


@pytest.mark.slow
def test_two_jobs_at_once_make_each_row_once(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """Each tells of all rows; between them each task was made by one."""
    rows = texts(spark, 200, partitions=2)
    jobs = [begun(spark, write, rows, tmp_path / "receipts", world) for _ in range(2)]
    for job in jobs:
        job.join()
    assert total(world) == 200
    counts = [summary["counts"] for summary in summaries(tmp_path / "receipts")]
    assert [count["created"] + count["existing"] for count in counts] == [200, 200]
    assert sum(count["created"] for count in counts) == 200
    receipts = pd.read_parquet(tmp_path / "receipts")
    assert receipts["task_id"].nunique() == 200


@pytest.mark.slow
def test_rows_that_fail_are_told_and_leave_the_batch_open(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """The others have their tasks; once they are mended the batch is finalized, by the driver."""
    rf.projects.create("reviews", type="categorization", studio=True, client=world)
    rf.batches.create("first", project="reviews", client=world)
    rows = texts(spark, 20, partitions=2)
    place = {"project": "reviews", "batch": "first", "finalize": "true"}
    write(rows.selectExpr("if(n = 7, null, text) as text", "n"), tmp_path / "receipts", world, **place)
    receipts = pd.read_parquet(tmp_path / "receipts").sort_values("n")
    assert receipts["error_code"].tolist()[7] == "missing_parameter"
    assert receipts["task_id"].notna().sum() == 19
    assert rf.batches.get("first", client=world)["status"] == "staging"
    write(rows, tmp_path / "receipts", world, mode="overwrite", **place)
    assert rf.batches.get("first", client=world)["status"] == "in_progress"
    assert total(world) == 20


@pytest.mark.slow
def test_equal_rows_share_a_task_wherever_they_are(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """In one partition or in two."""
    rows = spark.range(0, 40, 1, 4).selectExpr("concat('text ', id % 10) as text", "id as n")
    write(rows, tmp_path / "receipts", world)
    receipts = pd.read_parquet(tmp_path / "receipts")
    assert total(world) == 10
    assert receipts.groupby("text")["task_id"].nunique().tolist() == [1] * 10
    assert receipts["task_id"].notna().all()


@pytest.mark.slow
def test_what_is_wrong_with_all_rows_is_said_before_any_is_sent(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """A column that is not there, a project that is not there."""
    rows = texts(spark, 3)
    for options, says in (
        ({"columns": '{"attachment": "txt"}'}, "has no column 'txt', which should feed 'attachment'"),
        ({"project": "nope"}, "There is no project 'nope'"),
    ):
        with pytest.raises(Exception, match=says):
            write(rows, tmp_path / "receipts", world, **options)
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match=r"Receipts cannot be written to .*Nothing was sent"):
        write(rows, tmp_path / "file" / "receipts", world)
    assert total(world) == 0


@pytest.mark.slow
def test_rows_of_receipts_can_be_submitted_again(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """Those that failed, once their reason is gone; the columns of the receipt are no part of what is sent."""
    rows = texts(spark, 6, partitions=1).selectExpr("if(n = 3, '', text) as text", "n")
    write(rows, tmp_path / "first", world)
    failed = spark.read.parquet(str(tmp_path / "first")).where("outcome = 'failed'")
    mended = failed.selectExpr("'mended' as text", *[name for name in failed.columns if name != "text"])
    write(mended, tmp_path / "second", world, metadata="rest")
    receipts = pd.read_parquet(tmp_path / "second")
    assert receipts["outcome"].tolist() == ["created"]
    (task,) = [task for task in tasks_of(world) if task["params"]["attachment"] == "mended"]
    assert task["metadata"] == {"n": 3}


@pytest.mark.slow
def test_a_service_that_refuses_all_gives_the_job_up_and_keeps_receipts(
    spark: Any, sandbox: rf.Sandbox, world: rf.Client, tmp_path: Path
) -> None:
    """The first line names the partition; the next job goes on."""
    sandbox.faults.add("status", method="POST", path="/task/*", status=403, times=10_000)
    rows = texts(spark, 30, partitions=1)
    with pytest.raises(Exception, match=r"errors\.Forbidden: partition 0: "):
        write(rows, tmp_path / "receipts", world)
    assert list((tmp_path / "receipts" / "_staging").rglob("*.parquet"))
    sandbox.faults.clear()
    write(rows, tmp_path / "receipts", world)
    assert total(world) == len(pd.read_parquet(tmp_path / "receipts")) == 30
