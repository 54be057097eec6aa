"""Published data with known results: where each comes from stands beside it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

SAMPLES = Path(__file__).parent.parent.parent / "sample_data"


def anaesthetists(variant: str = "A") -> pd.DataFrame:
    """Give the labels of Dawid and Skene's 45 patients; transcriptions differ in patient 7."""
    rows = pd.read_csv(SAMPLES / "anaesthetists.csv")
    rows = rows[rows["variant"] == variant].drop(columns="variant").reset_index(drop=True)
    return rows.rename(columns={"patient": "task", "observer": "worker", "rating": "label"})


def wide(table: str) -> pd.DataFrame:
    """Read lines ``worker: label label - label``, one column per task, into labels."""
    rows = []
    for line in table.strip().splitlines():
        worker, _, answers = line.partition(":")
        rows += [
            (f"t{at}", worker.strip(), label) for at, label in enumerate(answers.split(), 1) if label not in ("-", "*")
        ]
    return pd.DataFrame(rows, columns=["task", "worker", "label"])


def from_counts(counts: list[list[int]]) -> pd.DataFrame:
    """Make labels of a table of tasks by classes, with workers that nobody can tell apart."""
    rows = []
    for task, each in enumerate(counts):
        labels = [str(label) for label, times in enumerate(each) for _ in range(times)]
        rows += [(task, f"w{worker}", label) for worker, label in enumerate(labels)]
    return pd.DataFrame(rows, columns=["task", "worker", "label"])


#: Krippendorff's example with gaps, as Wikipedia and the package of that name show it.
KRIPPENDORFF = """
A: * * * * * 3 4 1 2 1 1 3 3 * 3
B: 1 * 2 1 3 3 4 3 * * * * * * *
C: * * 2 1 3 4 4 * 2 1 1 3 3 * 4
"""

#: The toy of crowd-kit's tests.
CROWD_KIT = """
w1: no yes yes yes yes
w2: yes yes no yes no
w3: - yes no yes no
w4: yes no yes yes no
w5: no no no yes no
"""

#: Montgomery's juice cans: defective ones in 30 samples of 50.
JUICE_CANS = [
    12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6,
]  # fmt: skip

#: Efron and Morris (1975): hits of 18 baseball players at 45 bats.
BASEBALL = [18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7]


def attempts() -> pd.DataFrame:
    """Give a small table of attempts that can be checked by hand."""
    written = {
        "ana": ("PPPPPPPP", "60 58 55 54 52 50 49 48"),
        "bob": ("FPFPPPPP", "90 80 75 70 66 64 60 59"),
        "cy": ("FFFPFPPP", "12 10 9 40 8 35 33 30"),
        "dee": ("P", "70"),
    }
    rows = [
        (labeler, number, mark == "P", float(secs))
        for labeler, (marks, times) in written.items()
        for number, (mark, secs) in enumerate(zip(marks, times.split(), strict=True), 1)
    ]
    return pd.DataFrame(rows, columns=["labeler", "attempt_number", "passed", "duration_secs"])
