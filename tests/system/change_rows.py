"""A user's program: audits or calls back the tasks of a CSV file; started, killed and started again by tests."""

from __future__ import annotations

import json
import sys

import pandas as pd

import refonte_frames as rf

if __name__ == "__main__":
    name, frame, journal = sys.argv[1], pd.read_csv(sys.argv[2]), sys.argv[3]
    client = rf.Client(max_workers=4)
    if name == "audit":
        receipt = rf.audit(frame, accepted="is_good", journal=journal, client=client)
    else:
        receipt = rf.resend_callbacks(frame, journal=journal, client=client)
    json.dump(receipt.attrs["refonte"]["counts"], sys.stdout)
