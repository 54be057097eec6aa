"""Fixtures that all rooms share."""

from __future__ import annotations

import sys
from pathlib import Path

# Tests import their neighbours (raw_server, …) by name.
sys.path.insert(0, str(Path(__file__).parent))
