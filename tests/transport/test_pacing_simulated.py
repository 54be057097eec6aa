"""The pace against five simulated services, on a clock of its own: few refusals, and hardly longer than need be."""

from __future__ import annotations

import random
import runpy
from pathlib import Path
from typing import Any

import pytest

SIMULATION: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "pacing.py"))


@pytest.mark.parametrize("workers", [8, 16])
@pytest.mark.parametrize("name", list(SIMULATION["SERVICES"]))
def test_a_service_refuses_at_most_one_of_fifty_requests(name: str, workers: int) -> None:
    """And the rows take at most a tenth longer than they would at the service's own limit."""
    service = SIMULATION["SERVICES"][name]()
    run = SIMULATION["Run"](service, 2_000, workers, random.Random(1))
    best_secs = run.rows / min(service.best_rate, workers / SIMULATION["LATENCY_SECS"])
    assert run.go() <= 1.1 * best_secs
    assert run.refusals <= 0.02 * run.rows
    assert run.looked_up == 0
