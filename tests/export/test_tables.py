"""The crossing from Arrow to pandas: dtypes as promised, with every option."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.export.tables import to_pandas
from refonte_frames.schemas import TASKS


@pytest.fixture
def tasks(tables: Any, example: Any) -> pa.Table:
    """Make a table of two chunks whose dictionaries differ."""
    batches = [tables(example(name))["tasks"] for name in ("A1", "A9")]
    return pa.Table.from_batches(batches, TASKS)


def test_arrow_dtypes_are_the_default(tasks: pa.Table) -> None:
    """Texts, times and lists are all Arrow's."""
    dtypes = to_pandas(tasks).dtypes.astype(str)
    assert dtypes["status"] == dtypes["task_id"] == "string[pyarrow]"
    assert dtypes["created_at"] == "timestamp[us, tz=UTC][pyarrow]"
    assert dtypes["tags"].startswith("list<")
    assert dtypes["tags"].endswith("[pyarrow]")
    assert dtypes["priority"] == "int16[pyarrow]"
    assert to_pandas(tasks)["project"].tolist() == ["dock_safety", "mail_triage"]


def test_numpy_nullable_dtypes_are_those_of_pandas(tasks: pa.Table) -> None:
    """Missing integers stay integers."""
    dtypes = to_pandas(tasks, dtype_backend="numpy_nullable").dtypes
    assert dtypes["priority"] == pd.Int16Dtype()
    assert dtypes["callback_succeeded"] == pd.BooleanDtype()
    assert isinstance(dtypes["status"], pd.StringDtype)
    assert str(dtypes["created_at"]) == "datetime64[us, UTC]"


@pytest.mark.parametrize("backend", ["pyarrow", "numpy_nullable"])
def test_categories_are_made_of_text_columns(tasks: pa.Table, backend: Any) -> None:
    """Of repeating columns and of plain ones."""
    frame = to_pandas(tasks, dtype_backend=backend, categories=["project", "unique_id"])
    assert isinstance(frame["project"].dtype, pd.CategoricalDtype)
    assert list(frame["project"].cat.categories) == ["dock_safety", "mail_triage"]
    assert list(frame["unique_id"]) == ["dock/cam2/000417.jpg", "mail:88123"]


def test_no_rows_have_the_same_dtypes_as_many(tasks: pa.Table) -> None:
    """Also with categories."""
    none = to_pandas(TASKS.empty_table(), categories=["status"])
    assert list(none.dtypes.astype(str)) == list(to_pandas(tasks, categories=["status"]).dtypes.astype(str))


def test_options_that_cannot_be_followed_are_refused(tasks: pa.Table) -> None:
    """With what there is instead."""
    with pytest.raises(InputError, match="there are 'pyarrow' and 'numpy_nullable'"):
        to_pandas(tasks, dtype_backend="numpy")  # type: ignore[arg-type]
    with pytest.raises(ColumnError, match="'prio', which is no text column here"):
        to_pandas(tasks, categories=["prio"])
