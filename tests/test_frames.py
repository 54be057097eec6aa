"""Frames of other libraries come through Arrow with all that their columns hold."""

from __future__ import annotations

import polars as pl
import pytest
from service import TEXT

import refonte_frames as rf
from refonte_frames.frames import as_pandas


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["a", None]),
        pl.Series([["a", None], None]),
        pl.Series([{"a": "x", "n": 1}, None]),
        pl.Series([[{"a": "x"}], []]),
        pl.Series(["a", None], dtype=pl.Categorical),
        pl.Series(["b", None], dtype=pl.Enum(["a", "b"])),
        pl.Series([["a"], None], dtype=pl.List(pl.Categorical)),
        pl.Series([["a"], ["b"]], dtype=pl.Array(pl.String, 1)),
        pl.Series([b"\xff", None]),
    ],
    ids=lambda column: str(column.dtype),
)
@pytest.mark.parametrize("rows", [2, 1, 0])
def test_every_kind_of_text_of_polars_comes_through(column: pl.Series, rows: int) -> None:
    """Alone, in lists, in structs, as categories; also where rows are taken from it, and where there are none."""
    made = as_pandas(pl.DataFrame({"c": column.head(rows)}))
    taken = made.iloc[list(range(rows))]["c"]
    assert [None if is_null else cell for cell, is_null in zip(taken, taken.isna(), strict=True)] == column.to_list()[
        :rows
    ]


def test_a_type_that_arrow_lacks_is_named() -> None:
    """The frame is not said to be none."""
    with pytest.raises(rf.InputError, match="type that Arrow lacks"):
        as_pandas(pl.DataFrame({"n": pl.Series([1], dtype=pl.Int128)}))


def test_lists_and_structs_of_polars_become_parameters() -> None:
    """Categories are texts."""
    frame = pl.DataFrame(
        {
            "text": ["a"],
            "scene": [{"camera": "left"}],
            "tags": [["x", "y"]],
            "site": pl.Series(["here"], dtype=pl.Categorical),
        }
    )
    (body,) = rf.to_tasks(
        frame,
        type="categorization",
        columns={"attachment": "text", "tags": "tags"},
        metadata=["scene", "site"],
        params=TEXT,
    )
    assert body["tags"] == ["x", "y"]
    assert body["metadata"] == {"scene": {"camera": "left"}, "site": "here"}
