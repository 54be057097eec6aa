"""A stream brings everything first and then what changed, each change in one micro-batch, also after a restart."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from listing import START, Listing, small_task, stamp

if TYPE_CHECKING:
    from pathlib import Path

#: Of pyspark's own sockets, which 4.0 leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning",
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning",
)

SOME = [small_task(index, gap_ms=300) for index in range(400)][::-1]


def run(spark: Any, listing: Listing, folder: Path, **options: str) -> list[list[str]]:
    """Run the stream until it is up to date, and return the ids of each micro-batch with rows."""
    seen: list[list[str]] = []

    def note(rows: Any, number: int) -> None:
        del number
        seen.append(sorted(row.task_id for row in rows.collect()))

    reader = spark.readStream.format("refonte").option("base_url", listing.base_url).option("columns", "task_id")
    for name, value in options.items():
        reader = reader.option(name, value)
    writer = reader.load().writeStream.foreachBatch(note).trigger(availableNow=True)
    writer.option("checkpointLocation", str(folder / "checkpoint")).start().awaitTermination()
    return [ids for ids in seen if ids]


def changed(tasks: list[dict[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """Change some tasks, and make two, one of which nothing happened to yet."""
    tasks = copy.deepcopy(tasks)
    for task in tasks[10:15]:
        task["updated_at"] = stamp(now - timedelta(minutes=10))
    new = [small_task(at, gap_ms=300) for at in (1_001, 1_000)]
    for task in new:
        task |= {"created_at": stamp(now - timedelta(minutes=20)), "updated_at": stamp(now - timedelta(minutes=20))}
    del new[0]["updated_at"]
    return [*new, *tasks]


@pytest.mark.slow
def test_changes_come_once_and_go_on_from_the_checkpoint(spark: Any, tmp_path: Path) -> None:
    """Everything, then what changed or is new, then nothing."""
    with Listing(SOME, now=START + timedelta(days=1)) as listing:
        assert run(spark, listing, tmp_path) == [sorted(task["task_id"] for task in SOME)]
        listing.now += timedelta(hours=1)
        listing.tasks = changed(SOME, listing.now)
        expected = sorted(task["task_id"] for task in [*listing.tasks[:2], *SOME[10:15]])
        assert run(spark, listing, tmp_path) == [expected]
        listing.now += timedelta(hours=1)
        assert run(spark, listing, tmp_path) == []


@pytest.mark.slow
def test_what_is_young_waits_for_the_next_micro_batch(spark: Any, tmp_path: Path) -> None:
    """Lists lag behind: five minutes, or what the option says."""
    with Listing(SOME, now=START + timedelta(days=1)) as listing:
        listing.tasks = changed(SOME, listing.now)
        since, young = stamp(listing.now - timedelta(minutes=90)), listing.tasks[20]
        young["updated_at"] = stamp(listing.now - timedelta(minutes=2))
        (first,) = run(spark, listing, tmp_path, updated_after=since)
        assert young["task_id"] not in first
        assert run(spark, listing, tmp_path, updated_after=since, lag_secs="60") == [[young["task_id"]]]


@pytest.mark.slow
def test_a_stream_can_begin_later(spark: Any, tmp_path: Path) -> None:
    """Then the tasks of before are no part of it."""
    with Listing(SOME, now=START + timedelta(days=1)) as listing:
        listing.tasks = changed(SOME, listing.now)
        since = stamp(listing.now - timedelta(minutes=90))
        assert [len(ids) for ids in run(spark, listing, tmp_path, updated_after=since)] == [7]


@pytest.mark.slow
def test_a_service_that_cannot_tell_changes_is_refused(spark: Any, tmp_path: Path) -> None:
    """Else each micro-batch would be everything."""
    with Listing(SOME, ignores={"updated_after"}) as listing:
        with pytest.raises(Exception, match="The service does not look at updated_after"):
            run(spark, listing, tmp_path)


@pytest.mark.slow
def test_what_has_no_changes_has_no_stream(spark: Any, tmp_path: Path) -> None:
    """Batches and attempts; nor can a stream be filtered by what ends."""
    with Listing(SOME) as listing:
        for options, says in (
            ({"table": "batches", "columns": "batch"}, "There is no stream of batches"),
            ({"created_before": "2024-03-05"}, "cannot be filtered by created_before"),
        ):
            with pytest.raises(Exception, match=says):
                run(spark, listing, tmp_path / options.get("table", "tasks"), **options)
