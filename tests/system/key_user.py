"""A program that does everything a user does, well and badly, and says all it can about it; started by a test."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback

import pandas as pd

import refonte_frames as rf

logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)


def tell(error: BaseException) -> None:
    """Print an error as the most talkative of handlers would: with all locals, and everything that hangs on it."""
    sys.stderr.write("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
    seen: BaseException | None = error
    while seen is not None:
        sys.stderr.write(f"{seen!r} {vars(seen)!r}\n")
        seen = seen.__cause__ or seen.__context__


if __name__ == "__main__":
    # The key stays in the environment: a variable of this program's would be shown with the locals of its frame.
    base_url = sys.argv[1]
    client = rf.Client(base_url=base_url, timeout_secs=5.0, state_dir="state")
    sys.stdout.write(f"{client!r} {client} {vars(client)!r}\n")
    frame = pd.DataFrame({"text": [f"text {at}" for at in range(20)]})
    options = {
        "type": "categorization",
        "columns": {"attachment": "text"},
        "params": {"attachment_type": "text", "categories": ["a", "b"]},
        "client": client,
    }
    receipt = rf.submit(frame, **options)
    receipt.to_csv("receipt.csv")
    sys.stdout.write(f"{receipt.attrs}\n")
    rf.plan(frame, **options).to_parquet("plan.parquet")
    rf.read_tasks(client=client).to_parquet("tasks.parquet")
    sys.stdout.write(f"{rf.export_tasks('export', client=client)!r}\n")
    rf.projects.create("files", type="imageannotation", client=client)
    rf.files.upload(["receipt.csv", "nothing.csv"], project="files", client=client).to_csv("files.csv")
    bad = [
        lambda: rf.files.upload("receipt.csv", project="nope", client=client),
        lambda: rf.files.upload("receipt.csv", client=rf.Client(os.environ["WRONG_KEY"], base_url, state_dir="s")),
        lambda: rf.files.upload("receipt.csv", client=rf.Client(base_url="http://127.0.0.1:9/v1", state_dir="t")),
        lambda: rf.submit(frame, **options | {"project": "nope"}),
        lambda: rf.submit(frame, **options | {"client": rf.Client(os.environ["WRONG_KEY"], base_url, state_dir="s")}),
        lambda: rf.get_task("0" * 24, client=rf.Client(base_url="http://127.0.0.1:9/v1")),
        lambda: rf.submit(frame, **options | {"params": {"attachment_type": "text", "categories": "none"}}),
        lambda: rf.Client(os.environ["BROKEN_KEY"], base_url),
        lambda: rf.Client(base_url="http://example.org/v1"),
        lambda: rf.get_task("0" * 24, client=client),
        lambda: rf.get_task("0" * 24, client=rf.Client(os.environ["WRONG_KEY"], base_url)),
        lambda: rf.projects.create("p", type="nonsense", client=client),
        lambda: __import__("pickle").dumps(client),
    ]
    for call in bad:
        with contextlib.suppress(SystemExit):
            try:
                call()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                tell(error)
            else:
                sys.stderr.write("no error\n")
