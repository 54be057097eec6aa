"""What the quality statistics find in worlds whose truth is known: ``python benchmarks/quality_worlds.py [WORLDS]``.

Every world is an account of the sandbox with twelve people of its own. Evaluation tasks are created over HTTP, the
people are invited, the sandbox lets them work, and the attempts are read back as anybody's: only then the sandbox is
asked how likely each attempt was to be right. Everything is drawn from seeds, so the figures are the same in every run.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import refonte_frames as rf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PEOPLE = 12
ANSWERS = ["left", "middle", "right"]
WORLDS_PER_SERVER = 10
WAVES, TASKS_PER_WAVE = 8, 20
ANSWERS_PER_TASK = 5
#: What is asked of the intervals of stationary labelers.
BANDS = {"wilson": (0.94, 0.98), "shrunk": (0.93, 0.97)}


@dataclass(frozen=True)
class World:
    """What an account can read of its labelers, and what it cannot: the truth about each attempt."""

    name: str
    gold: pd.Series
    attempts: pd.DataFrame
    truth: pd.DataFrame


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    k: int
    n: int

    @property
    def value(self) -> float:
        return self.k / self.n if self.n else math.nan

    def __str__(self) -> str:
        error = math.sqrt(self.value * (1 - self.value) / self.n) if self.n else math.nan
        return f"{100 * self.value:.1f} % +- {100 * error:.1f} ({self.k:,} of {self.n:,})"


# Making worlds


def stationary(count: int, *, begin: int = 0) -> Iterator[World]:
    """Make worlds whose people are asked once: all work is done within half a day, in which nobody changes."""
    for first in range(begin, begin + count, WORLDS_PER_SERVER):
        with rf.Sandbox(seed=first) as sandbox:
            names = [f"world{number}" for number in range(first, min(first + WORLDS_PER_SERVER, begin + count))]
            golds = {}
            for name in names:
                _open(sandbox, name)
                golds[name] = _ask(sandbox, name, "evaluation", _size(name))
            sandbox.work(days=1)
            for name in names:
                yield _read(sandbox, name, golds[name])


def changing(count: int, kind: str) -> Iterator[World]:
    """Make worlds that are asked every week: people drift, and at training tasks they learn from the last try."""
    for seed in range(count):
        with rf.Sandbox(seed=5000 + seed) as sandbox:
            name = f"{kind}{seed}"
            _open(sandbox, name)
            golds = []
            for wave in range(WAVES):
                golds.append(_ask(sandbox, name, kind, TASKS_PER_WAVE, wave=wave))
                # In one piece: `Sandbox.work` takes it in two dozen, each of which looks at every task again.
                sandbox.control("POST", "/work", {"days": 7})
            yield _read(sandbox, name, pd.concat(golds))


def _size(name: str) -> int:
    return 20 + 20 * (int(name.removeprefix("world")) % 5)


def _open(sandbox: rf.Sandbox, name: str) -> None:
    key, client = f"live_{name}", sandbox.client(f"live_{name}")
    rf.projects.create("turns", type="categorization", rapid=True, client=client)
    rf.teams.invite([f"{name}-{number}@example.com" for number in range(PEOPLE)], role="labeler", client=client)
    sandbox.accept_invitations(key=key)


def _ask(sandbox: rf.Sandbox, name: str, kind: Any, size: int, *, wave: int = 0) -> pd.Series:
    answers = [ANSWERS[number % len(ANSWERS)] for number in range(size)]
    rows = pd.DataFrame({"text": [f"{name}, wave {wave}, number {number}" for number in range(size)]})
    made = rf.quality_tasks.create(
        rows.assign(answer=[{"category": answer} for answer in answers]),
        kind=kind,
        expected="answer",
        type="categorization",
        project="turns",
        columns={"attachment": "text"},
        params={"attachment_type": "text", "categories": ANSWERS},
        progress=False,
        client=sandbox.client(f"live_{name}"),
    )
    return pd.Series(answers, index=made["quality_task_id"].astype(str))


def _read(sandbox: rf.Sandbox, name: str, gold: pd.Series) -> World:
    attempts = rf.read_attempts(quality_task_ids=gold.index.tolist(), client=sandbox.client(f"live_{name}"))
    return World(name, gold, attempts, sandbox.quality_truth(f"live_{name}"))


# What is found in them


def covered(world: World, truth: pd.Series) -> pd.DataFrame:
    """Say of every labeler with enough attempts whether each interval holds the truth."""
    rates = rf.quality.labeler_rates(world.attempts).query("enough").set_index("labeler")
    known = truth.reindex(rates.index)
    found = {"wilson": ("ci_low", "ci_high"), "shrunk": ("shrunk_low", "shrunk_high")}
    return pd.DataFrame({name: known.between(rates[low], rates[high]) for name, (low, high) in found.items()})


def expected_rates(world: World) -> pd.Series:
    """Give every labeler's expected pass rate over the quality tasks served."""
    return world.truth.groupby("labeler")["chance"].mean()


def latest_rates(world: World) -> pd.Series:
    """Give the same over the last wave only: what somebody wants to know who hires tomorrow."""
    last = set(world.gold.index[-TASKS_PER_WAVE:])
    return world.truth[world.truth["quality_task_id"].isin(last)].groupby("labeler")["chance"].mean()


def shares(tables: Sequence[pd.DataFrame]) -> dict[str, Share]:
    """Count over all labelers of all worlds."""
    every = pd.concat(tables)
    return {name: Share(int(every[name].sum()), len(every)) for name in every}


def precision_and_recall(planted: pd.Series, found: pd.Series) -> tuple[Share, Share]:
    """Compare who was planted with who was found, for the same labelers."""
    both = int((planted & found).sum())
    return Share(both, int(found.sum())), Share(both, int(planted.sum()))


def spammers(world: World) -> pd.DataFrame:
    """Say of every labeler whether they answer without looking, in a fifth of the time, and what each rule says."""
    planted = world.truth.groupby("labeler")["is_spammer"].first()
    below = rf.quality.labeler_rates(world.attempts, target=0.5).set_index("labeler")["verdict"] == "below"
    found = {"planted": planted, "surely below 0.5": below}
    for rule, least in (("3 of 10 attempts far too fast", None), ("3 of 10 attempts under 15 s", 15.0)):
        fast = rf.quality.speeders(world.attempts, min_secs=least)
        found[rule] = fast["reasons"].str.contains("3 of last 10").groupby(fast["labeler"].astype(str)).any()
    return pd.DataFrame(found).astype(bool)


def drifters(world: World) -> pd.DataFrame:
    """Say of every labeler by how much their rate truly changed from the first to the last wave, and of signals."""
    wave_of = pd.Series(np.arange(len(world.gold)) // TASKS_PER_WAVE, index=world.gold.index)
    chances = world.truth.assign(wave=world.truth["quality_task_id"].map(wave_of))
    means = chances.pivot_table(index="labeler", columns="wave", values="chance", aggfunc="mean")
    waves = world.attempts.assign(wave=world.attempts["quality_task_id"].astype(str).map(wave_of))
    signals = {}
    for who, rows in waves.groupby("labeler", observed=True):
        chart = rf.quality.control_chart(rows, "wave", "passed")
        signals[who] = {"shewhart": chart["signal"].any(), "ewma": chart["ewma_signal"].any()}
    return pd.DataFrame(signals).T.astype(bool).assign(change=(means[WAVES - 1] - means[0]).abs())


def right_labels(world: World, per_task: int = ANSWERS_PER_TASK) -> dict[str, float]:
    """Give the share of tasks whose label is right, by votes and by the model, from a few answers to each."""
    labels = rf.quality.labels_from(world.attempts)
    drawn = labels.sample(frac=1, random_state=int(world.name.removeprefix("world"))).groupby("task").head(per_task)
    model = rf.quality.dawid_skene(drawn).labels
    plain, broken = (rf.quality.majority_vote(drawn, ties=ties) for ties in ("first", "dawid_skene"))
    named = {"votes": plain, "votes, ties by the model": broken, "model": model}
    return {
        name: float((table["label"].to_numpy() == world.gold.loc[table["task"]].to_numpy()).mean())
        for name, table in named.items()
    }


def report_stationary(count: int) -> bool:
    """Print what is found where nobody changes; True where the intervals cover as often as is asked."""
    worlds = list(stationary(count))
    n_attempts = sum(len(world.attempts) for world in worlds)
    print(f"{count} stationary worlds of {PEOPLE} people, {n_attempts:,} attempts read over HTTP")
    is_well = True
    for name, share in shares([covered(world, expected_rates(world)) for world in worlds]).items():
        low, high = BANDS[name]
        is_well &= low <= share.value <= high
        print(f"  {name} intervals hold the expected pass rate: {share}; asked: {low:.0%} to {high:.0%}")
    marks = pd.concat([spammers(world) for world in worlds])
    print(f"  people who answer without looking, in a fifth of the time: {marks['planted'].sum()} of {len(marks):,}")
    for rule in marks.columns.drop("planted"):
        precision, recall = precision_and_recall(marks["planted"], marks[rule])
        print(f"    {rule}: precision {precision}, recall {recall}")
    right = pd.DataFrame([right_labels(world) for world in worlds if len(world.gold) >= 60])
    gain = right["model"] - right["votes"]
    print(f"  right labels in {len(right)} worlds of 60 tasks and more, {ANSWERS_PER_TASK} answers each:")
    for name in right:
        print(f"    {name}: {right[name].mean():.4f}")
    print(f"    model minus votes: {gain.mean():+.4f} +- {gain.std() / math.sqrt(len(gain)):.4f}", flush=True)
    return is_well


def report_changing(count: int) -> None:
    """Print what is found where people change from week to week; nothing is asked of it."""
    drifting, learning = list(changing(count, "evaluation")), list(changing(count, "training"))
    print(f"{count} worlds that drift for {WAVES} weeks, {count} that learn as well (not gated)")
    for what, group in (("drifting", drifting), ("learning", learning)):
        over_all = shares([covered(world, expected_rates(world)) for world in group])
        latest = shares([covered(world, latest_rates(world)) for world in group])
        for name, share in over_all.items():
            print(f"  {what}, {name}: the mean of all weeks {share}; the rate of the last week {latest[name]}")
    drift = pd.concat([drifters(world) for world in drifting])
    clear = drift[(drift["change"] >= 0.15) | (drift["change"] <= 0.05)]
    planted = clear["change"] >= 0.15
    print(f"  drift of 0.15 and more: {planted.sum()} labelers; of 0.05 and less: {(~planted).sum()}")
    for name, found in (
        ("limits or runs", clear["shewhart"]),
        ("moving average", clear["ewma"]),
        ("either", clear["shewhart"] | clear["ewma"]),
    ):
        precision, recall = precision_and_recall(planted, found)
        alarms = Share(int((~planted & found).sum()), int((~planted).sum()))
        print(f"    {name}: precision {precision}, recall {recall}, false alarms {alarms}")


def main(count: int) -> bool:
    """Print all figures; True where the intervals of stationary labelers cover as often as is asked."""
    begin = time.process_time()
    is_well = report_stationary(count)
    report_changing(max(1, count // 10))
    print(f"{time.process_time() - begin:.0f} s CPU of the client")
    return is_well


if __name__ == "__main__":
    sys.exit(0 if main(int(sys.argv[1]) if len(sys.argv) > 1 else 200) else 1)
