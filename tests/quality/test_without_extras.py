"""What needs no extra works without, and the rest names the extra; in a process in which nothing of them is found."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("scipy", "krippendorff", "shapely", "matplotlib", "statsmodels", "jinja2"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nowhere())
import pandas as pd
import refonte_frames as rf

quality = rf.quality
labels = pd.DataFrame({"task": list("aabbcc"), "worker": list("xyxyxy"), "label": list("rrrggg")})
attempts = pd.DataFrame({"labeler": ["ana"] * 6, "passed": [True, False] * 3})
polygon = [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 0, "y": 1}]
shapes = pd.DataFrame({"task_id": "t", "labeler": ["ana", "bob"], "label": "c", "geometry": "polygon", "left": None,
    "top": None, "width": None, "height": None, "vertices": [polygon, polygon]})
for works in (
    lambda: quality.wilson(1, 2),
    lambda: quality.majority_vote(labels),
    lambda: quality.ambiguity(labels),
    lambda: quality.dawid_skene(labels),
    lambda: quality.survival_curve([1, 2], [True, False]),
    lambda: quality.box_iou([[0, 0, 1, 1]], [[0, 0, 1, 1]]),
):
    works()
for needs, what in (
    (lambda: quality.shrink_rates([1] * 6, [2] * 6), "scipy"),
    (lambda: quality.labeler_rates(attempts), "scipy"),
    (lambda: quality.krippendorff_alpha(labels), "krippendorff"),
    (lambda: quality.box_agreement(shapes), "shapely"),
    (lambda: rf.plots.funnel(pd.DataFrame({"labeler": [], "n": [], "k": [], "rate": []})), "matplotlib"),
    (lambda: quality.report({"attempts": attempts}, "never.html"), "matplotlib"),
):
    try:
        needs()
    except ImportError as error:
        assert str(error).startswith((f"This needs {what}", f"Plots need {what}")), error
        assert "pip install 'refonte-frames[" in str(error), error
    else:
        raise AssertionError(what)
print("well")
"""


def test_numpy_is_enough_for_what_says_so() -> None:
    """Votes, the model, doubts, intervals, survival and overlaps of boxes; the others say what to install."""
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert run.stdout == "well\n", run.stderr
