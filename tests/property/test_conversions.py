"""The law of the pure conversions: what is mapped into tasks comes back out of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

import refonte_frames as rf

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
whole = st.integers(-(2**63), 2**64 - 1)
cells: dict[str, st.SearchStrategy[Any]] = {
    "instruction": words,
    "priority": st.integers(10, 30),
    "tags": st.lists(words, min_size=1, max_size=5),
    "geometries.box.min_height": st.integers(0, 2**60),
    "geometries.polygon": st.dictionaries(words, whole, max_size=2),
    "hypothesis": st.dictionaries(words, st.lists(whole), min_size=1, max_size=2),
    "metadata.camera": words,
    "metadata.a.b": whole | words,
    "metadata.score": st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Make a frame with some of the targets, some cells null."""
    count = draw(st.integers(1, 5))
    names = draw(st.lists(st.sampled_from(sorted(cells)), unique=True))
    data: dict[str, list[Any]] = {"attachment": [f"https://example.org/{at}" for at in range(count)]}
    for name in names:
        values = draw(st.lists(st.none() | cells[name], min_size=count, max_size=count))
        data[name] = values
    return pd.DataFrame({name: pd.Series(values, dtype="object") for name, values in data.items()})


@given(frames())
def test_each_mapped_column_returns_under_its_target_name(frame: pd.DataFrame) -> None:
    """from_tasks(to_tasks(frame)) holds every mapped value, null where it was null, in the original order."""
    renamed = frame.rename(columns=lambda name: f"col {name}")
    columns = {name: f"col {name}" for name in frame.columns}
    params = {"geometries": {"box": {"objects_to_annotate": ["x"]}}}
    bodies = rf.to_tasks(renamed, type="imageannotation", columns=columns, params=params)
    back = rf.from_tasks(bodies, rows="attachment", metadata="columns")
    assert len(back) == len(frame)
    for name in frame.columns:
        returned = back[name].tolist() if name in back else [None] * len(frame)
        for was, became in zip(frame[name].tolist(), returned, strict=True):
            missing = was is None or (not isinstance(was, list | dict) and pd.isna(was))
            if missing:
                assert became is None or became is pd.NA
            else:
                assert became == was
