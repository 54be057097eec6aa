"""The notebooks are executed in a real kernel, from beginning to end; they are committed without outputs."""

from __future__ import annotations

import json
from pathlib import Path

import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_its_bars(path: Path) -> None:
    """Every cell; where something is submitted there is a bar, drawn by the notebook."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}})
    client.execute()
    told = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    if any("rf.submit" in cell.source for cell in notebook.cells):
        assert "application/vnd.jupyter.widget-view+json" in told


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    """Outputs are made when it is run; in a diff they are noise."""
    notebook = nbformat.read(path, as_version=4)
    assert NOTEBOOKS
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
