"""The client that its vendor publishes for this API's family, unchanged, against the service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_every_method_of_the_published_client_works(api: Any, service_url: str) -> None:
    """It meets all it expects: shapes, statuses, names in paths, empty bodies; but for what is another API's."""
    if not service_url.startswith("http://127.0.0.1"):
        pytest.skip("it invites people")
    program = Path(__file__).with_name("published_client.py")
    command = [sys.executable, str(program), service_url, api.session.auth[0]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "42 methods\n"
