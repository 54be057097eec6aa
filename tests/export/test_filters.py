"""Filters as callers give them become the query pairs of the service, or a sentence that says why not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from refonte_frames.api import TASKS_QUERY
from refonte_frames.errors import InputError
from refonte_frames.export.filters import differences, filters_of
from refonte_frames.lookup import chunks_of, ids_of


def query(**options: Any) -> list[tuple[str, str]]:
    """Return the query pairs of some filters."""
    return filters_of(**options).query()


def test_every_filter_is_sent_under_the_service_s_name() -> None:
    """Lists repeat their key, review statuses are joined by commas, booleans are small letters."""
    pairs = query(
        project="p",
        batch="b",
        type="categorization",
        status="pending",
        customer_review_status=["accepted", "fixed"],
        tags=["x", "y"],
        created_after="2024-03-04",
        created_before="2024-03-05",
        completed_after="2024-03-04",
        completed_before="2024-03-05",
        updated_after="2024-03-04",
        updated_before="2024-03-05",
        include_attachment_url=True,
        limited_response=True,
    )
    assert ("customer_review_status", "accepted,fixed") in pairs
    assert [value for name, value in pairs if name == "tags"] == ["x", "y"]
    assert ("start_time", "2024-03-04T00:00:00.000Z") in pairs
    assert ("include_attachment_url", "true") in pairs
    assert {name for name, _ in pairs} <= set(TASKS_QUERY)
    assert len(pairs) == 15


def test_no_filter_asks_for_everything() -> None:
    """Not one pair is sent."""
    assert query() == []


@pytest.mark.parametrize(
    "moment",
    [
        "2024-03-04T08:15:22.417Z",
        "2024-03-04T09:15:22.417+01:00",
        "2024-03-04 08:15:22.417",
        datetime(2024, 3, 4, 8, 15, 22, 417000),  # noqa: DTZ001 - a naive time means UTC
        datetime(2024, 3, 4, 8, 15, 22, 417000, tzinfo=UTC),
        datetime(2024, 3, 4, 10, 15, 22, 417000, tzinfo=timezone(timedelta(hours=2))),
        pd.Timestamp("2024-03-04 08:15:22.417"),
        np.datetime64("2024-03-04T08:15:22.417"),
        pd.Timestamp("2024-03-04 03:15:22.417", tz="America/New_York"),
    ],
)
def test_times_of_all_kinds_go_as_utc(moment: Any) -> None:
    """A time without an offset means UTC, whatever this machine's zone is."""
    assert query(created_after=moment) == [("start_time", "2024-03-04T08:15:22.417Z")]


def test_a_date_is_its_midnight() -> None:
    """In UTC."""
    assert query(updated_before=date(2024, 3, 4)) == [("updated_before", "2024-03-04T00:00:00.000Z")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"status": "done"}, "status='done' is no value"),
        ({"customer_review_status": ["accepted", "good"]}, "'good' is no value"),
        ({"created_after": "yesterday"}, "created_after='yesterday' is no time"),
        ({"limited_response": "no"}, "limited_response='no': give True or False"),
        ({"include_attachment_url": 1}, "include_attachment_url=1: give True or False"),
        ({"created_after": 1709540122}, "is no time"),
        ({"created_after": pd.NaT}, "is no time"),
        ({"created_after": np.datetime64("NaT", "s")}, "is no time"),
        ({"created_after": "0001-01-01T00:00:00+14:00"}, "is no time"),
        ({"created_after": datetime.min.replace(tzinfo=timezone(timedelta(hours=3)))}, "is no time"),
        ({"project": ""}, "one non-empty text"),
        ({"project": ["a", "b"]}, "read others with further calls"),
        ({"tags": ["a", None]}, "tags holds None"),
        ({"tags": [["a"]]}, r"tags holds \['a'\]"),
        ({"tags": 5}, "tags=5: give a text, or a list"),
        ({"created_after": "2024-03-05", "created_before": "2024-03-04"}, "is later than created_before"),
    ],
)
def test_an_unusable_filter_is_a_sentence(options: dict[str, Any], says: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InputError, match=says):
        filters_of(**options)


def test_the_first_year_is_written_with_four_digits() -> None:
    """Some systems write it as 1."""
    assert query(created_after=date.min) == [("start_time", "0001-01-01T00:00:00.000Z")]


def test_filters_that_a_task_can_come_to_match_are_named() -> None:
    """Project, batch, type and created_at never change under a task."""
    steady = filters_of(project="p", batch="b", type="t", created_after="2024-03-04")
    assert steady.unsteady() == []
    assert filters_of(status="pending", tags="x").unsteady() == ["status", "tags"]


def test_a_difference_of_filters_names_both_values() -> None:
    """Also where one of them is not set."""
    assert differences({"project": "a"}, {"project": "b", "batch": "c"}) == [
        "project was 'b' and is now 'a'",
        "batch was 'c' and is now not set",
    ]


def test_ids_of_a_series_come_once_and_without_nulls() -> None:
    """In the order of the rows."""
    assert ids_of("unique_id", pd.Series(["b", None, "a", "b", pd.NA, float("nan")], dtype=object)) == ["b", "a"]
    assert ids_of("unique_id", "a") == ["a"]


def test_an_id_that_is_a_number_is_refused() -> None:
    """It may have lost digits on its way through a float column."""
    with pytest.raises(InputError, match=r"unique_id holds 7\.0: ids are texts"):
        ids_of("unique_id", pd.Series([7.0]))


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ("", "unique_id holds ''"),
        (5, "not a int"),
        (pd.DataFrame({"unique_id": ["a"]}), "not a DataFrame"),
    ],
)
def test_what_are_no_ids_is_a_sentence(ids: Any, says: str) -> None:
    """The names of a frame's columns are no ids, and an empty id would be a filter that is not set."""
    with pytest.raises(InputError, match=says):
        ids_of("unique_id", ids)


def test_a_query_of_ids_stays_below_its_limits() -> None:
    """At most 40 ids and 6,000 bytes, and every id is asked for."""
    ids = [f"{number}/" + "ä" * number for number in range(200)]
    chunks = list(chunks_of(ids))
    assert [text for chunk in chunks for text in chunk] == ids
    assert max(map(len, chunks)) <= 40
