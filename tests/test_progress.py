"""Bars in a real terminal, in a real kernel, and their absence everywhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import threading

import nbformat
import pytest
from nbclient import NotebookClient

from refonte_frames.progress import bar, say

COUNT_TO_THREE = """
from refonte_frames.progress import bar, say
with bar(3, "Counting", "sheep", progress={progress}) as shown:
    for number in range(3):
        shown.set_note(f"{{number}} black")
        shown.update()
        say(f"sheep {{number}}")
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code with pipes for its output."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def run_in_terminal(code: str, *, size: tuple[int, int] = (24, 80), **environment: str) -> str:
    """Run Python code with a pseudo-terminal as its stderr, and return what was drawn there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, size)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b"".join(iter(lambda: read_some(ours), b""))
    os.close(ours)
    assert process.wait() == 0, drawn
    return drawn.decode()


def read_some(terminal: int) -> bytes:
    """Read from a pseudo-terminal; its end shows as an error on Linux and as no bytes elsewhere."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def run_in_notebook(code: str) -> tuple[list[nbformat.NotebookNode], str]:
    """Run one cell in a real kernel; return its outputs, and all that its widgets say in the end."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    said = " ".join(str(widget.state.get("value", "")) for widget in widgets.get("state", {}).values())
    return notebook.cells[0].outputs, said.replace("\u2007", " ")


def test_a_terminal_that_cannot_go_back_shows_lines_only() -> None:
    """A bar would be a line for each step there."""
    drawn = run_in_terminal(COUNT_TO_THREE.format(progress=True), TERM="dumb")
    assert drawn.replace("\r", "") == "sheep 0\nsheep 1\nsheep 2\n"


def test_a_terminal_shows_the_bar() -> None:
    """In a terminal the bar shows what is done, of how much, in which unit, at which pace, with its note."""
    drawn = run_in_terminal(COUNT_TO_THREE.format(progress=True))
    assert "Counting: 100%" in drawn
    assert "3/3 sheep" in drawn
    assert "sheep/s" in drawn
    assert "2 black" in drawn


def test_lines_do_not_tear_the_bar() -> None:
    """A line said while a bar runs stands on a line of its own, with nothing of the bar in it."""
    drawn = run_in_terminal(COUNT_TO_THREE.format(progress=True))
    on_screen = [line.rpartition("\r")[2] for line in drawn.replace("\r\n", "\n").split("\n")]
    assert [line for line in on_screen if line.startswith("sheep")] == ["sheep 0", "sheep 1", "sheep 2"]


def test_a_terminal_of_unknown_width_shows_the_bar() -> None:
    """A terminal that says it is 0 columns wide gets a bar for 80."""
    drawn = run_in_terminal(COUNT_TO_THREE.format(progress=True), size=(0, 0))
    assert "3/3 sheep" in drawn
    assert max(len(line) for line in drawn.replace("\n", "\r").split("\r")) == 80


def test_an_unknown_total_shows_the_count() -> None:
    """Without a total the bar shows how many there were so far."""
    drawn = run_in_terminal(
        "from refonte_frames.progress import bar\nwith bar(None, 'Reading', 'pages') as b: b.update(7)"
    )
    assert "Reading: 7 pages" in drawn


@pytest.mark.parametrize(
    ("progress", "environment"), [(False, {}), (True, {"REFONTE_PROGRESS": "0"})], ids=["argument", "environment"]
)
def test_bars_can_be_switched_off(*, progress: bool, environment: dict[str, str]) -> None:
    """With progress=False or REFONTE_PROGRESS=0 a terminal shows the lines and no bar."""
    drawn = run_in_terminal(COUNT_TO_THREE.format(progress=progress), **environment)
    assert drawn.split() == ["sheep", "0", "sheep", "1", "sheep", "2"]


def test_no_bar_without_a_terminal() -> None:
    """When stderr is a pipe it receives the lines only, and tqdm is not even imported."""
    done = run(COUNT_TO_THREE.format(progress=True) + "\nimport sys; print('tqdm' in sys.modules)")
    assert done.stderr.splitlines() == ["sheep 0", "sheep 1", "sheep 2"]
    assert done.stdout == "False\n"


def test_nothing_to_do_draws_nothing() -> None:
    """A step of zero units has no bar."""
    drawn = run_in_terminal("from refonte_frames.progress import bar\nwith bar(0, 'Idle', 'tasks'): pass")
    assert drawn == ""


def test_an_error_leaves_the_bar_where_it_stood() -> None:
    """An exception inside the block comes out as it is, and the last thing drawn is how far it got."""
    code = """
from refonte_frames.progress import bar
try:
    with bar(9, "Failing", "rows") as shown:
        shown.update(4)
        raise KeyError("seen")
except KeyError:
    pass
"""
    assert "4/9 rows" in run_in_terminal(code).rstrip().rpartition("\r")[2]


def test_no_thread_is_left_behind() -> None:
    """After a bar the process has no thread more than before."""
    code = COUNT_TO_THREE.format(progress=True) + "\nimport threading; assert threading.active_count() == 1"
    assert "3/3 sheep" in run_in_terminal(code)


def test_a_notebook_shows_a_widget() -> None:
    """In a kernel with ipywidgets the bar is a widget that ends at its total."""
    outputs, said = run_in_notebook(COUNT_TO_THREE.format(progress=True))
    views = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert len(views) == 1
    assert "3/3 sheep" in said


def test_a_notebook_without_widgets_shows_text() -> None:
    """In a kernel where ipywidgets is not installed the bar is plain text, and nothing is said about the lack."""
    no_widgets = "import sys; sys.modules['ipywidgets'] = None\nimport warnings; warnings.simplefilter('error')\n"
    outputs, _ = run_in_notebook(no_widgets + COUNT_TO_THREE.format(progress=True))
    assert {output.name for output in outputs} == {"stderr"}
    assert "3/3 sheep" in "".join(output.text for output in outputs)


def test_updates_from_many_threads_all_count() -> None:
    """Threads may update one bar at the same time without a unit getting lost."""
    code = """
import threading
from refonte_frames.progress import bar
with bar(4000, "Racing", "laps") as shown:
    threads = [threading.Thread(target=lambda: [shown.update() for _ in range(1000)]) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""
    assert "4000/4000 laps" in run_in_terminal(code)


def test_in_process_bar_is_silent_here(capfd: pytest.CaptureFixture[str]) -> None:
    """Under a test runner, where stderr is no terminal, bars stay silent in every thread."""
    with bar(1, "Testing", "facts") as shown:
        thread = threading.Thread(target=shown.update)
        thread.start()
        thread.join()
        shown.set_note("unseen")
    assert capfd.readouterr().err == ""


def test_say_prints_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """A line goes to stderr, whole."""
    say("5 rows in: 5 created")
    assert capfd.readouterr().err == "5 rows in: 5 created\n"
