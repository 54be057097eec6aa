"""The documentation site: its programs run as they stand, and it can be built."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import refonte_frames as rf

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"(?P<not_run><!-- not run: .+ -->\n)?```python\n(?P<program>.*?)```", re.DOTALL)


def program_of(page: Path) -> str:
    """Join the Python blocks of a page, at the lines where they stand, so that an error names its place."""
    text = page.read_text("utf-8")
    lines = [""] * text.count("\n")
    for block in _BLOCK.finditer(text):
        if not block["not_run"]:
            start = text[: block.start("program")].count("\n")
            lines[start : start + block["program"].count("\n")] = block["program"].splitlines()
    return "\n".join(lines) + "\n"


PAGES = [pytest.param(page, id=page.stem) for page in sorted(DOCS.rglob("*.md")) if program_of(page).strip()]


@pytest.mark.parametrize("page", PAGES)
def test_the_program_of_a_page_runs(
    page: Path, sandbox: rf.Sandbox, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder and an empty world; a page's blocks share their names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFONTE_PROGRESS", "0")
    with sandbox.activate(key):
        exec(compile(program_of(page), str(page), "exec"), {"__name__": "__howto__"})


def test_the_tests_of_the_page_on_testing_pass(tmp_path: Path) -> None:
    """They are run by pytest, with the fixtures that come with the package."""
    (tmp_path / "test_page.py").write_text(program_of(DOCS / "howto" / "testing.md"), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed" in run.stdout, run.stdout + run.stderr


def test_the_site_can_be_built_and_has_every_public_name(tmp_path: Path) -> None:
    """No dead link, no missing page; each function and class has its entry in the reference."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    import refonte_frames as rf

    pages = "".join(page.read_text("utf-8") for page in (tmp_path / "reference").rglob("index.html"))
    missing = [
        name
        for name in rf.__all__
        if f'id="refonte_frames.{name}"' not in pages
        and not (tmp_path / "reference" / name / "index.html").exists()
        and f'id="refonte_frames.errors.{name}"' not in pages
    ]
    assert missing == []
