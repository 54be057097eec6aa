"""What the statistics find where the truth is known: accounts of the sandbox with people of planted skill."""

from __future__ import annotations

import math
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "quality_worlds.py"
BENCHMARK: dict[str, Any] = runpy.run_path(str(PROGRAM))
COUNT = 5


@pytest.fixture(scope="module")
def worlds() -> list[Any]:
    """Make a few worlds of stationary people, over HTTP; seeds decide every draw."""
    return list(BENCHMARK["stationary"](COUNT))


def test_intervals_hold_the_expected_pass_rate(worlds: list[Any]) -> None:
    """As often as they say, but for four standard errors of so few labelers; the bands are for two hundred worlds."""
    tables = [BENCHMARK["covered"](world, BENCHMARK["expected_rates"](world)) for world in worlds]
    for share in BENCHMARK["shares"](tables).values():
        assert share.n == COUNT * BENCHMARK["PEOPLE"]
        assert share.value >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / share.n)


def test_people_who_do_not_look_are_found(worlds: list[Any]) -> None:
    """All of them are surely below one half, and nobody else."""
    marks = pd.concat([BENCHMARK["spammers"](world) for world in worlds])
    assert marks["planted"].sum() >= 3
    assert (marks["planted"] == marks["surely below 0.5"]).all()
    assert not (marks["3 of 10 attempts far too fast"] & ~marks["planted"]).any()


def test_the_model_is_right_more_often_than_votes(worlds: list[Any]) -> None:
    """In the mean over worlds of people of unequal skill."""
    right = pd.DataFrame([BENCHMARK["right_labels"](world) for world in worlds])
    assert right["model"].mean() > right["votes"].mean()


@pytest.mark.slow
def test_the_bands_hold_over_two_hundred_worlds() -> None:
    """Wilson's intervals cover 94 to 98 %, the shrunk ones 93 to 97 %; the program says so by its exit code."""
    environment = os.environ | {"REFONTE_PROGRESS": "0"}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "200"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
