"""A user's program: submits a frame and prints its counts as JSON. Started, killed and started again by tests."""

from __future__ import annotations

import json
import sys

import pandas as pd

import refonte_frames as rf

if __name__ == "__main__":
    count, unique_id, journal = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    texts = [f"text {at}" if at % 100 != 99 else None for at in range(count)]
    frame = pd.DataFrame({"text": texts, "scene": [f"scene {at}" for at in range(count)]})
    receipt = rf.submit(
        frame,
        type="categorization",
        columns={"attachment": "text"},
        params={"attachment_type": "text", "categories": ["a", "b"]},
        unique_id=None if unique_id == "none" else unique_id,
        journal=journal,
    )
    about = receipt.attrs["refonte"]
    json.dump({"counts": about["counts"], "task_ids": receipt["task_id"].dropna().tolist()}, sys.stdout)
