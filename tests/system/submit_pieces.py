"""A user's program: submits rows piece by piece and prints its counts as JSON. Started, killed and started by tests."""

from __future__ import annotations

import json
import sys

import pandas as pd

import refonte_frames as rf

if __name__ == "__main__":
    count, journal, chunk_rows = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    texts = [f"text {at}" if at % 100 != 99 else None for at in range(count)]
    report = rf.submit(
        (pd.DataFrame({"text": texts[at : at + 30]}) for at in range(0, count, 30)),
        type="categorization",
        columns={"attachment": "text"},
        params={"attachment_type": "text", "categories": ["a", "b"]},
        journal=journal,
        chunk_rows=chunk_rows,
    )
    receipts = pd.read_parquet(report.receipt_path)
    json.dump({"counts": report.counts, "task_ids": receipts["task_id"].dropna().tolist()}, sys.stdout)
