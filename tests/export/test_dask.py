"""The recipe for Dask, run as it stands in the how-to; skipped where there is no Dask, which nothing else needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from service import TEXT

if TYPE_CHECKING:
    import refonte_frames as rf

PAGE = Path(__file__).parent.parent.parent / "docs" / "howto" / "dask.md"


@pytest.mark.filterwarnings("default")
def test_the_recipe_reads_each_task_once(
    sandbox: rf.Sandbox, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame of the recipe is the one that is read in one go, but for the order of its rows."""
    pytest.importorskip("dask.dataframe", reason="dask is not installed")
    import refonte_frames as rf

    (program,) = re.findall(r"<!-- not run: needs Dask.*?```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    with sandbox.activate(key):
        client = sandbox.client(key)
        rf.projects.create("kittens", type="categorization", client=client)
        rows = pd.DataFrame({"attachment": [f"text {at}" for at in range(150)]})
        for part in (rows.head(60), rows.tail(90)):
            part.pipe(rf.submit, type="categorization", project="kittens", params=TEXT, progress=False, client=client)
            sandbox.clock.advance(hours=1)
        scope: dict[str, Any] = {"__name__": "__main__"}
        exec(program.replace('project="kittens"', 'project="kittens", rows=50'), scope)
        expected = rf.read_tasks(project="kittens", progress=False, client=client)
    found = pd.read_parquet(tmp_path / "lake" / "kittens")
    assert sorted(found["task_id"]) == sorted(expected["task_id"])
    assert found.columns.tolist() == ["task_id", "status", "created_at"]
    assert scope["tasks"].npartitions == len(scope["portions"]) > 1
