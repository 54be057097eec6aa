"""A user's program: uploads the files of a folder; started, killed and started again by tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import refonte_frames as rf

if __name__ == "__main__":
    folder, journal = sys.argv[1], sys.argv[2]
    files = sorted(Path(folder).iterdir())
    done = rf.files.upload(files, project="kittens", journal=journal, client=rf.Client(max_workers=8))
    rows = done[["path", "attachment_url", "outcome", "sha256"]].assign(path=done["path"].map(str))
    json.dump({"counts": done.attrs["refonte"]["counts"], "rows": rows.to_dict("records")}, sys.stdout)
