"""The law of the key: it appears in no byte that is written anywhere, whatever is done and however it fails."""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
import sys
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

if TYPE_CHECKING:
    import refonte_frames as rf

PROGRAM = Path(__file__).parent / "key_user.py"


def forms_of(key: str) -> list[bytes]:
    """List the texts that would give the key away: itself, and base64 of it at all three alignments."""
    forms = [key.encode()]
    for skipped in range(3):
        encoded = base64.b64encode(b"\0" * skipped + f"{key}:".encode())
        # The first and the last characters depend on the neighbours.
        forms.append(encoded[4 if skipped else 0 : -4])
    return forms


def unpacked(path: Path) -> bytes:
    """Read a file with whatever is compressed in it."""
    raw = path.read_bytes()
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return raw + repr(table.schema.metadata).encode() + repr(table.to_pylist()).encode()
    try:
        return raw + gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return raw


def test_no_output_and_no_file_holds_the_key(sandbox: rf.Sandbox, tmp_path: Path) -> None:
    """Results, errors with all their locals, DEBUG logs, journals, exports: a search over all bytes."""
    key = f"live_canary-{uuid.uuid4().hex[:12]}"
    keys = {"REFONTE_API_KEY": key, "WRONG_KEY": key + "X", "BROKEN_KEY": key + "\n"}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **keys}
    run = subprocess.run(
        [sys.executable, str(PROGRAM), sandbox.base_url],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    assert b"no error" not in run.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {".journal", ".parquet", ".csv", ".json"} <= {path.suffix for path in files}
    written = {"stdout": run.stdout, "stderr": run.stderr} | {str(path): unpacked(path) for path in files}
    shown = [(where, form) for where, content in written.items() for form in forms_of(key) if form in content]
    assert shown == []
