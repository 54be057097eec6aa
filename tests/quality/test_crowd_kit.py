"""Our model and votes beside crowd-kit's, where that is installed: 38 packages that nobody needs for the rest."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import refonte_frames as rf

sys.path.insert(0, str(Path(__file__).parent))
import known

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
approx = pytest.approx


@pytest.fixture(scope="module")
def crowd_kit() -> Any:
    """Import it, which takes seconds and warns of much."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("crowdkit.aggregation")


def drawn(seed: int) -> pd.DataFrame:
    """Draw answers of people of unequal skill: 300 tasks, 5 answers each, 4 classes."""
    generator = np.random.default_rng(seed)
    truth, skill = generator.integers(0, 4, 300), generator.beta(4, 2, 20)
    task, worker = np.repeat(np.arange(300), 5), np.concatenate([generator.permutation(20)[:5] for _ in range(300)])
    is_right = generator.random(1500) < skill[worker]
    label = np.where(is_right, truth[task], generator.integers(0, 4, 1500))
    return pd.DataFrame({"task": task, "worker": worker, "label": [f"c{each}" for each in label]})


FRAMES = {
    "anaesthetists": known.anaesthetists,
    "toy": lambda: known.wide(known.CROWD_KIT),
    **{f"drawn {seed}": lambda seed=seed: drawn(seed) for seed in range(3)},
}


@pytest.mark.parametrize("name", FRAMES)
def test_dawid_and_skene_forced_to_go_on(crowd_kit: Any, name: str) -> None:
    """Without its own test of convergence, which stops too early, crowd-kit comes to the same fit."""
    labels = FRAMES[name]()
    ours = rf.quality.dawid_skene(labels)
    theirs = crowd_kit.DawidSkene(n_iter=ours.n_iter, tol=-1e18).fit(labels)
    columns = ours.posteriors.columns
    assert ours.posteriors.to_numpy() == approx(theirs.probas_.loc[ours.posteriors.index, columns].to_numpy(), abs=2e-6)
    assert ours.priors.to_numpy() == approx(theirs.priors_.loc[columns].to_numpy(), abs=2e-6)
    rates = ours.workers.pivot_table(index=["worker", "observed"], columns="truth", values="p", dropna=False)
    shared = theirs.errors_.reindex(rates.index)[columns]
    is_known = rates.notna().to_numpy() & shared.notna().to_numpy()
    assert rates.to_numpy()[is_known] == approx(shared.to_numpy()[is_known], abs=2e-6)


def test_left_to_itself_it_stops_too_early(crowd_kit: Any) -> None:
    """Which is why it is not what we call: patient 12 is at .979 where the fit has 1.000."""
    theirs = crowd_kit.DawidSkene(n_iter=10_000, tol=1e-14).fit(known.anaesthetists())
    assert theirs.probas_.loc[12].max() == approx(0.979, abs=5e-4)
    assert rf.quality.dawid_skene(known.anaesthetists()).posteriors.loc[12].max() == approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["anaesthetists", "drawn 0", "drawn 1"])
def test_votes_without_ties(crowd_kit: Any, name: str) -> None:
    """A plain majority is a plain majority; shares of votes too."""
    labels = FRAMES[name]()
    repeats = labels["repeat"].astype(str) if "repeat" in labels else ""
    labels = labels.assign(worker=labels["worker"].astype(str) + "/" + repeats)
    ours = rf.quality.majority_vote(labels).set_index("task")
    vote = crowd_kit.MajorityVote()
    theirs = vote.fit_predict(labels)
    clear = ours[~ours["tie"]]
    assert clear["label"].to_dict() == theirs[clear.index].to_dict()
    assert clear["p"].to_numpy() == approx(vote.probas_.loc[clear.index].max(axis=1).to_numpy())
