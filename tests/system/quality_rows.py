"""A user's program: makes training tasks of numbered texts; started, killed and started again by tests."""

from __future__ import annotations

import json
import sys

import pandas as pd

import refonte_frames as rf

if __name__ == "__main__":
    count, journal = int(sys.argv[1]), sys.argv[2]
    gold = pd.DataFrame({"attachment": [f"text {at}" for at in range(count)], "answer": [{"category": "a"}] * count})
    done = rf.quality_tasks.create(
        gold,
        kind="training",
        expected="answer",
        type="categorization",
        project="cats",
        params={"attachment_type": "text", "categories": ["a", "b"]},
        journal=journal,
        client=rf.Client(max_workers=4),
    )
    json.dump({"counts": done.attrs["refonte"]["counts"], "ids": done["quality_task_id"].tolist()}, sys.stdout)
