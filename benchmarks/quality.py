"""CPU of the quality statistics on large tables: ``python benchmarks/quality.py``."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Callable


def attempts(rows: int, labelers: int = 500) -> pd.DataFrame:
    """Make attempts as a read or an export gives them."""
    generator = np.random.default_rng(0)
    who = pa.DictionaryArray.from_arrays(
        pa.array(generator.integers(0, labelers, rows).astype("int32")), pa.array([f"w{n}" for n in range(labelers)])
    )
    kind = pa.DictionaryArray.from_arrays(
        pa.array(generator.integers(0, 2, rows).astype("int32")), pa.array(["training", "evaluation"])
    )
    columns = {"labeler": who.cast(pa.string()), "kind": kind.cast(pa.string())}
    columns["passed"] = pa.array(generator.random(rows) < 0.8)
    return pa.table(columns).to_pandas(types_mapper=pd.ArrowDtype)


def labels(tasks: int, per_task: int = 5, workers: int = 200, classes: int = 5) -> tuple[pd.DataFrame, np.ndarray]:
    """Make answers of workers of unequal skill, and the truth."""
    generator = np.random.default_rng(1)
    truth, skill = generator.integers(0, classes, tasks), generator.beta(8, 2, workers)
    task = np.repeat(np.arange(tasks), per_task)
    worker = (generator.integers(0, workers, tasks)[:, None] + np.arange(per_task) * 7).ravel() % workers
    is_right = generator.random(len(task)) < skill[worker]
    wrong = (truth[task] + generator.integers(1, classes, len(task))) % classes
    label = np.where(is_right, truth[task], wrong)
    return pd.DataFrame({"task": task, "worker": worker, "label": label}), truth


def cpu(what: str, function: Callable[[], Any]) -> Any:
    """Run, and print the CPU it took."""
    begin = time.process_time()
    result = function()
    print(f"{what:<66} {time.process_time() - begin:8.2f} s CPU")
    return result


def crowd_kit(frame: pd.DataFrame) -> None:
    """The same model by crowd-kit, forced to run as long as it takes: its own test of convergence stops early."""
    try:
        from crowdkit.aggregation import DawidSkene  # noqa: PLC0415 - 38 packages that nobody needs for the rest
    except ImportError:
        print("crowd-kit is not installed: pip install crowd-kit shows it beside")
        return
    rounds = rf.quality.dawid_skene(frame).n_iter
    cpu(
        f"crowd-kit's Dawid-Skene, forced to the same {rounds} rounds", lambda: DawidSkene(rounds, tol=-1e18).fit(frame)
    )


def main() -> None:
    """Print all figures."""
    cpu("labeler_rates of 10,000,000 attempts", partial(rf.quality.labeler_rates, attempts(10_000_000)))
    frame, truth = labels(20_000)
    model = cpu("dawid_skene of 100,000 answers, to full convergence", lambda: rf.quality.dawid_skene(frame))
    voted = rf.quality.majority_vote(frame, ties="first")
    right = {
        name: float((each["label"].to_numpy() == truth).mean())
        for name, each in (("votes", voted), ("model", model.labels))
    }
    print(f"  {model.n_iter} rounds; right labels: {right['votes']:.4f} by votes, {right['model']:.4f} by the model")
    crowd_kit(frame)
    large, _ = labels(200_000)
    found = cpu(
        "krippendorff_alpha of 1,000,000 answers with 1,000 resamples", lambda: rf.quality.krippendorff_alpha(large)
    )
    print(f"  alpha {found.value:.4f} ({found.ci_low:.4f} to {found.ci_high:.4f})")


if __name__ == "__main__":
    main()
