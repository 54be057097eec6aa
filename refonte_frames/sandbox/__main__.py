"""Run the sandbox as a process of its own: ``python -m refonte_frames.sandbox --port 0``."""

from __future__ import annotations

import sys

from refonte_frames.sandbox.server import main

if __name__ == "__main__":
    sys.exit(main())
