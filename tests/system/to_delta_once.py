"""A user's program that carries a folder over to Delta Lake, killed once its n-th file is there; 0 lets it live.

``python to_delta_once.py ROOT LAKE N``: it prints how many files it made.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import refonte_frames as rf

ROOT, LAKE, LAST = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
ended = threading.Event()


def files() -> int:
    """Count the files of the lake: rows, and notes of versions."""
    return sum(len(names) for _, _, names in os.walk(LAKE.parent))


BEFORE = files()


def watch() -> None:
    """End as a power cut would."""
    while not ended.wait(0.0005):
        if files() - BEFORE >= LAST:
            os.kill(os.getpid(), signal.SIGKILL)


if LAST:
    threading.Thread(target=watch, daemon=True).start()
rf.to_delta(ROOT, LAKE)
ended.set()
print(files() - BEFORE)  # noqa: T201 - the test reads it
