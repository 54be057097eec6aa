"""Run the command line as ``python -m refonte_frames.cli``."""

from __future__ import annotations

from refonte_frames.cli import main

if __name__ == "__main__":
    main()
