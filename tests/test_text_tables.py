"""Frames as text: nothing is wider than the terminal, nothing steers it."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.text_tables import _cells, text_table


def test_numbers_stand_right_and_texts_left() -> None:
    """Columns are lined up under their names, numbers by their last digit."""
    shown = text_table(pd.DataFrame({"name": ["a", "bbb"], "n": [5, 1000]}))
    assert shown.splitlines() == ["name     n", "a        5", "bbb   1000"]


def test_long_texts_are_shortened_visibly() -> None:
    """A text that does not fit ends in an ellipsis."""
    assert text_table(pd.DataFrame({"text": ["x" * 50], "n": [1]}), width=20).splitlines()[1] == "x" * 16 + "…  1"


def test_names_of_columns_are_not_cut_while_texts_can_be() -> None:
    """A long name keeps its width; the long text beside it gives way."""
    shown = text_table(pd.DataFrame({"turnaround_secs": [1.5], "text": ["x" * 50]}), width=30)
    assert shown.splitlines() == ["turnaround_secs  text", " " * 12 + "1.5  " + "x" * 12 + "…"]


def test_columns_without_room_are_named() -> None:
    """Where shortening is not enough the last columns are left out, and a line says which."""
    shown = text_table(pd.DataFrame({f"column_{n}": ["x" * 30] for n in range(5)}), width=25)
    assert shown.splitlines()[-1] == "(no room for: column_2, column_3, column_4)"


def test_nulls_are_blank() -> None:
    """Null of any kind is shown as nothing."""
    shown = text_table(pd.DataFrame({"a": [None, pd.NA, float("nan"), pd.NaT]}))
    assert shown == "a\n\n\n\n"


@pytest.mark.parametrize("trick", ["\x1b[31mred", "one\ntwo", "a\rb", "\u202eabc", "\u2028"])
def test_control_characters_do_not_reach_the_terminal(trick: str) -> None:
    """What could move the cursor, change colours or turn the writing direction becomes a blank."""
    shown = text_table(pd.DataFrame({"text": [trick]}))
    header, row = shown.split("\n")
    assert header == "text"
    assert row.isprintable()


@given(
    frame=st.lists(st.fixed_dictionaries({name: st.text(max_size=60) for name in "abcd"}), min_size=1, max_size=5),
    width=st.integers(8, 120),
)
def test_no_line_is_wider_than_the_terminal(frame: list[dict[str, str]], width: int) -> None:
    """Whatever the texts are, rows stay within the width in terminal cells, and each is one line."""
    lines = text_table(pd.DataFrame(frame), width=width).split("\n")
    rows = [line for line in lines if not line.startswith("(no room for")]
    assert len(rows) == len(frame) + 1
    assert max(map(_cells, rows)) <= width
