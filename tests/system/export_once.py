"""A user's program that exports, and is killed by itself before its n-th change to the folder; 0 lets it live.

``python export_once.py ROOT N [WORKERS] [fold | beside | compact]``: an export, one that lets its increment lie beside
the base, or no export but a compaction. It prints how many changes it made, and which of them noted a window.
"""

import os
import signal
import sys

import refonte_frames as rf

ROOT, LAST = sys.argv[1], int(sys.argv[2])
CHANGES = {"os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "ctypes.dlsym"}
seen = 0
notes: list[int] = []


def watch(event: str, args: tuple[object, ...]) -> None:
    """Count what changes the folder, and end as a power cut would."""
    global seen  # noqa: PLW0603 - a hook has no other memory
    if event == "open":
        is_change = str(args[0]).startswith(ROOT) and bool(int(args[2]) & (os.O_WRONLY | os.O_RDWR))  # type: ignore[call-overload]
    elif event == "ctypes.dlsym":
        is_change = "rename" in str(args[1])
    else:
        is_change = event in CHANGES and any(str(arg).startswith(ROOT) for arg in args)
    seen += is_change
    if event == "os.rename" and "/_run/done/" in str(args[1]):
        notes.append(seen)
    if is_change and seen == LAST:
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(watch)
workers, kind = (*sys.argv[3:], *("16", "fold")[len(sys.argv) - 3 :])
if kind == "compact":
    rf.open_export(ROOT).compact()
else:
    rf.export_tasks(ROOT, progress=False, fold=kind == "fold", client=rf.Client(max_workers=int(workers)))
print(seen, *notes)  # noqa: T201 - the test reads it
