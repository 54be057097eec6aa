"""Options are texts: each becomes an argument or an error that helps; filters of a query only ever narrow."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

import refonte_frames as rf
from refonte_frames.spark.filters import narrowed
from refonte_frames.spark.options import read_options, write_options
from refonte_frames.spark.types import declared

WRITE = {"path": "receipts", "type": "categorization"}


def test_options_of_a_read_become_arguments() -> None:
    """Lists are JSON or separated by commas; names are taken in any case."""
    options = read_options(
        {
            "Table": "audits",
            "tags": "a, b",
            "unique_id": '["1,2"]',
            "pushdown": "TRUE",
            "requests_per_sec": "2.5",
            "at_once": "4",
        }
    )
    assert options.table == "audits"
    assert options.filters == {"tags": ["a", "b"], "unique_id": ["1,2"]}
    assert options.pushdown
    assert options.requests_per_sec == 2.5


def test_options_of_a_write_become_arguments() -> None:
    """Objects are JSON; metadata may be a word."""
    options = write_options({**WRITE, "params": '{"a": {"b": 1}}', "metadata": "rest", "max_workers": "9"})
    assert options.arguments == {
        "type": "categorization",
        "params": {"a": {"b": 1}},
        "metadata": "rest",
        "duplicates": "share",
    }
    assert options.max_workers == 9


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"projct": "p"}, "There is no option 'projct'. Did you mean project"),
        ({"rows_per_partition": "0"}, "rows_per_partition is an integer of at least 1"),
        ({"pushdown": "yes"}, "pushdown is true or false"),
        ({"tags": "[1]"}, "a JSON list of texts"),
        ({"tags": "[1"}, "is JSON"),
        ({"requests_per_sec": "fast"}, "is a number"),
        ({"requests_per_sec": "-1"}, "requests_per_sec=-1.0"),
        ({"requests_per_sec": "5"}, "cores of all executors"),
        ({"limited_response": "true"}, "There is no option 'limited_response'"),
    ],
)
def test_what_a_read_cannot_understand_is_refused(options: dict[str, str], says: str) -> None:
    """With what there is instead."""
    with pytest.raises(rf.InputError, match=says):
        read_options(options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"type": "categorization"}, "Where shall the receipts go"),
        ({**WRITE, "unique_id": "None"}, "would double its rows"),
        ({**WRITE, "duplicates": "each"}, "Equal rows share one task here"),
        ({**WRITE, "group_by": "scene"}, "collect_list"),
        ({**WRITE, "finalize": "true"}, "name it, .option"),
        ({**WRITE, "requests_per_sec": "5"}, "cores of all executors"),
        ({**WRITE, "columns": "text"}, "is JSON"),
        ({**WRITE, "columns": "[]"}, "is a JSON object"),
        ({**WRITE, "on_error": "raise"}, "There is no option 'on_error'"),
    ],
)
def test_what_a_write_cannot_keep_is_refused(options: dict[str, str], says: str) -> None:
    """As nobody could keep it where no partition sees another one's rows."""
    with pytest.raises(rf.InputError, match=says):
        write_options(options)


@pytest.mark.parametrize("name", ["api_key", "API_KEY", "token", "refonte_api_key"])
def test_a_key_among_the_options_is_refused_and_not_repeated(name: str) -> None:
    """It would stand in plans."""
    with pytest.raises(rf.ConfigError, match="Set REFONTE_API_KEY in the environment") as caught:
        read_options({name: "live_0123456789"})
    assert "live_0123456789" not in str(caught.value)


@pytest.mark.parametrize("table", ["tasks", "audits", "annotations", "batches", "attempts"])
def test_every_column_of_every_table_has_a_type_of_spark(table: str) -> None:
    """In the order of the schema."""
    assert re.findall("`([a-z_]+)` [A-Z]", declared(table, None)) == rf.schemas.SCHEMAS[table].names


@dataclass
class EqualTo:
    """Stands for pyspark's filter of this name, which older versions do not have."""

    attribute: tuple[str, ...]
    value: Any


@dataclass
class In(EqualTo):
    """As above."""


@dataclass
class GreaterThan(EqualTo):
    """As above."""


@dataclass
class LessThan(EqualTo):
    """As above."""


MOMENT = datetime(2024, 3, 4, 8, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "filters", "expected"),
    [
        ({}, [EqualTo(("status",), "completed")], {"status": "completed"}),
        ({"project": "a"}, [EqualTo(("project",), "b")], {"project": "a"}),
        (
            {},
            [In(("customer_review_status",), ("fixed", "accepted"))],
            {"customer_review_status": ["fixed", "accepted"]},
        ),
        ({}, [EqualTo(("task_id",), "x")], {"task_ids": ["x"]}),
        ({}, [EqualTo(("task_id",), "x"), EqualTo(("status",), "completed")], {"task_ids": ["x"]}),
        ({"project": "a"}, [EqualTo(("task_id",), "x")], {"project": "a"}),
        ({}, [EqualTo(("priority",), 10), EqualTo(("params", "a"), "x"), EqualTo(("status",), None)], {}),
        ({}, [EqualTo(("status",), "done")], {}),
        (
            {},
            [GreaterThan(("created_at",), MOMENT), LessThan(("created_at",), MOMENT)],
            {"created_after": "2024-03-04T08:00:00.000Z", "created_before": "2024-03-04T08:00:01.000Z"},
        ),
        (
            {"created_after": "2025-01-01"},
            [LessThan(("created_at",), MOMENT)],
            {"created_after": "2025-01-01"},
        ),
    ],
)
def test_filters_of_a_query_narrow_what_is_asked_for(
    given: dict[str, Any], filters: list[Any], expected: dict[str, Any]
) -> None:
    """Only where the service has such a filter, never against the options; on whole seconds, outwards."""
    assert narrowed("tasks", given, filters) == expected
    assert narrowed("batches", given, filters) == given


def test_without_pyspark_the_error_says_what_to_install() -> None:
    """The package itself is imported all the same."""
    program = (
        "import sys\n"
        "sys.modules['pyspark'] = None\n"
        "import refonte_frames as rf\n"
        "assert dir(rf.spark) == ['RefonteDataSource']\n"
        "rf.spark.RefonteDataSource"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (
        "ConfigError: refonte_frames.spark needs pyspark 4.0 or newer: pip install 'refonte-frames[spark]'"
        in run.stderr
    )
