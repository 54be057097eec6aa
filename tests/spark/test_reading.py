"""Spark reads what the embedded path reads, each row once, whatever is killed; errors name windows, nothing the key."""

from __future__ import annotations

import base64
import json
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from listing import Listing, small_task
from spark_session import KEY, failed_tasks, kill_workers

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

#: Of pyspark's own sockets, which 4.0 leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

SOME = [small_task(index, gap_ms=300) for index in range(1_300)][::-1]
RELATED = ("audits", "annotations")


def reading(spark: Any, listing: Listing, table: str = "tasks", **options: Any) -> Any:
    """Make a data frame of a table of a listing."""
    reader = spark.read.format("refonte").option("base_url", listing.base_url).option("table", table)
    for name, value in options.items():
        reader = reader.option(name, str(value))
    return reader.load()


def rows_of(frame: Any, table: str) -> pa.Table:
    """Bring rows home, in the order of their key, without the time of reading; through Arrow, since pandas may be 3."""
    names = [name for name in frame.columns if name != "exported_at"]
    batches = frame.select(*names).toArrow()
    return batches.cast(rf.portions.schema(table, names)).sort_by(
        [(key, "ascending") for key in rf.schemas.KEYS[table]]
    )


class Watched(Listing):
    """A listing that does something once so many pages were asked for; plans ask for counts only."""

    def watch(self, pages: int, act: Callable[[], Any]) -> None:
        """Act with this page."""
        self.left, self.act, self.lock = pages, act, threading.Lock()

    def answer(self, target: str) -> tuple[int, bytes]:
        """Answer, and act when it is time."""
        with self.lock:
            self.left -= "limit=1" not in target.split("&")
            is_time = self.left == 0
            self.left -= is_time
        if is_time:
            self.act()
        return super().answer(target)


@pytest.mark.parametrize("table", ["tasks", *(pytest.param(each, marks=pytest.mark.slow) for each in RELATED)])
def test_tables_of_tasks_are_those_of_the_embedded_path(spark: Any, table: str) -> None:
    """One partition a window, each task in one of them."""
    scan = {"tasks": rf.scan_tasks, "audits": rf.scan_audits, "annotations": rf.scan_annotations}[table]
    with Listing(SOME) as listing, rf.Client(KEY, listing.base_url) as client:
        frame = reading(spark, listing, table, rows_per_partition=300, project="dock")
        expected = scan(client=client, progress=False).read_all().drop_columns("exported_at")
        expected = expected.cast(rf.portions.schema(table, expected.column_names))
        expected = expected.sort_by([(key, "ascending") for key in rf.schemas.KEYS[table]])
        assert rows_of(frame, table).equals(expected)
        windows = len(rf.portions.plan(table, project="dock", rows=300, client=client))
        assert frame.rdd.getNumPartitions() == windows > 3


@pytest.mark.slow
def test_batches_and_attempts_are_read_too(spark: Any, sandbox: rf.Sandbox, world: rf.Client) -> None:
    """Whatever table there is; no rows where nothing matches."""
    rf.projects.create("lights", type="categorization", client=world)
    rf.batches.create(pd.DataFrame({"name": ["b", "a"]}), project="lights", client=world)
    made = spark.read.format("refonte").option("base_url", sandbox.base_url).option("table", "batches").load()
    assert sorted((row.batch, row.project) for row in made.collect()) == [("a", "lights"), ("b", "lights")]
    reader = spark.read.format("refonte").option("base_url", sandbox.base_url).option("table", "attempts")
    assert reader.option("labeler_emails", "nobody@example.org").load().collect() == []
    nothing = spark.read.format("refonte").option("base_url", sandbox.base_url).option("project", "nope").load()
    assert nothing.collect() == []


@pytest.mark.slow
def test_columns_can_be_chosen(spark: Any) -> None:
    """By an option or by a schema; the other ones are not sent to Spark."""
    with Listing(SOME[:50]) as listing:
        frame = reading(spark, listing, columns="status,task_id")
        assert frame.columns == ["status", "task_id"]
        reader = spark.read.format("refonte").option("base_url", listing.base_url)
        typed = reader.schema("tags array<string>, task_id string, created_at timestamp").load()
        assert sorted(row.task_id for row in typed.collect()) == sorted(task["task_id"] for task in SOME[:50])
        with pytest.raises(Exception, match="The column priority of the table tasks is of type smallint, not string"):
            reader.schema("priority string").load().collect()


@pytest.mark.slow
def test_filters_of_a_query_reach_the_service(spark: Any) -> None:
    """Where this version of Spark hands them out; the rows are the same."""
    if not hasattr(__import__("pyspark.sql.datasource").sql.datasource, "EqualTo"):
        pytest.skip("this version of pyspark pushes no filters")
    spark.conf.set("spark.sql.python.filterPushdown.enabled", "true")
    query = "status = 'completed' and created_at >= timestamp'2024-03-04 08:02:00.1' and unique_id <> 'u420'"
    with Listing(SOME) as listing:
        found = reading(spark, listing, pushdown="true").where(query).count()
        assert all(
            "status=completed" in each and "start_time=2024-03-04T08%3A02%3A00" in each for each in listing.requests
        )
        pages = len(listing.requests)
        assert reading(spark, listing).where(query).count() == found == 898
        assert pages < len(listing.requests) - pages
    spark.conf.unset("spark.sql.python.filterPushdown.enabled")


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_workers_killed_midway_lose_and_double_nothing(spark: Any, count: int) -> None:
    """SIGKILL to every process that reads, while windows are half read."""
    before, killed = failed_tasks(spark), []
    tasks = [small_task(index, gap_ms=300) for index in range(count)][::-1]
    with Watched(tasks) as listing:
        listing.watch(count // 200, lambda: killed.append(kill_workers(spark)))
        frame = reading(spark, listing, columns="task_id", rows_per_partition=count // 4)
        ids = frame.toArrow()["task_id"].to_pylist()
    assert killed[0] >= 1
    assert failed_tasks(spark) > before
    assert sorted(ids) == sorted(task["task_id"] for task in tasks)


def test_the_first_line_of_an_executors_error_names_the_window(spark: Any) -> None:
    """Below what Spark says itself; and no line holds the key."""
    with Watched(SOME) as listing:
        listing.watch(5, lambda: setattr(listing, "body", b"garbage"))
        frame = reading(spark, listing, columns="task_id", created_after="2024-03-04")
        with pytest.raises(Exception, match=r"errors.ReplyError: tasks created from .* to .* GET /tasks") as caught:
            frame.collect()
    assert KEY not in str(caught.value)


def shown(url: str) -> str:
    """Fetch a page of the UI."""
    with urllib.request.urlopen(url) as reply:
        return str(reply.read().decode("utf-8", "replace"))


def test_the_key_is_in_no_plan_page_or_event(spark: Any, world: rf.Client, tmp_path: Path) -> None:
    """After a read, a write, a refusal and an error, in each form that would give it away."""
    with Listing(SOME) as listing:
        frame = reading(spark, listing, rows_per_partition=300)
        assert frame.where("n_audits = 0").count()
        plans = frame._jdf.queryExecution().toString()
    rows = spark.range(5).selectExpr("concat('key ', id) as text")
    writer = rows.write.format("refonte").mode("append").option("base_url", world.base_url)
    params = json.dumps({"attachment_type": "text", "categories": ["a", "b"]})
    writer = writer.option("type", "categorization").option("columns", '{"attachment": "text"}')
    writer.option("params", params).save(str(tmp_path / "receipts"))
    for refused in (writer.option("project", "nope"), writer.option("api_key", KEY)):
        with pytest.raises(Exception, match=r"errors.(Input|Config)Error") as caught:
            refused.save(str(tmp_path / "receipts"))
        assert KEY not in str(caught.value)
    context = spark.sparkContext
    root, api = context.uiWebUrl, f"{context.uiWebUrl}/api/v1/applications/{context.applicationId}"
    pages = [f"{root}/{page}/" for page in ("jobs", "stages", "environment", "executors", "SQL")]
    pages += [f"{root}/SQL/execution/?id={at}" for at in range(3)]
    pages += [f"{api}/{page}" for page in ("environment", "jobs", "stages", "executors", "sql?details=true&length=99")]
    events = [path.read_text("utf-8") for path in Path(context.getConf().get("spark.eventLog.dir")[7:]).iterdir()]
    texts = [
        plans,
        *map(shown, pages),
        *events,
        *(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*.*")),
    ]
    encoded = base64.b64encode(f"{KEY}:".encode()).decode()
    assert sum("refonte" in text for text in texts) > 3
    assert [text for text in texts if KEY in text or encoded[:-4] in text] == []
