"""The README is executed: its program as it stands, its table, its names, its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import refonte_frames as rf

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """List the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_program_prints_the_table_that_is_shown(tmp_path: Path) -> None:
    """Run in an empty folder, with an empty home, without any setting."""
    (program,) = blocks("python")
    assert len(program.strip().splitlines()) <= 14
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "120"}
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    table = README.split("| text | outcome | label |\n|---|---|---|\n")[1].split("\n\n")[0]
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    printed = [re.split(r"\s{2,}", line.strip())[1:] for line in run.stdout.splitlines()[1:]]
    assert printed == shown


def test_every_public_name_is_in_the_table_and_every_name_in_the_table_is_public() -> None:
    """Errors stand there together."""
    named = set(re.findall(r"`rf\.(\w+)`", README.split("## What there is")[1].split("\n## ")[0]))
    assert named == set(rf.__all__) - set(rf.errors.__all__)


def commands() -> list[str]:
    """List the commands of the command line that the README names."""
    return str(re.findall(r"`refonte-frames ([a-z |]+)`", README)[0]).split(" | ")


@pytest.mark.parametrize("command", commands())
def test_every_command_that_is_named_has_help(command: str) -> None:
    """It is there, and says what it does."""
    run = subprocess.run(
        [sys.executable, "-m", "refonte_frames.cli", command, "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage:" in run.stdout


def test_links_lead_to_files() -> None:
    """No relative link is dead."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
