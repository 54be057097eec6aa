"""`rf.Sandbox`: starts the server as a child process, steers it, and connects clients to it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from refonte_frames.errors import ConfigError, SandboxError
from refonte_frames.sandbox.steering import Clock, Faults, call_control
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    import pandas as pd

    from refonte_frames.client import Client

__all__ = ["Sandbox"]

_START_SECS = 60.0
_STOP_SECS = 5.0


class Sandbox:
    """A local server that behaves as the documented service, in a process of its own.

    Parameters
    ----------
    seed : int
        Decides every answer of the simulated labelers: same seed and same tasks, same answers, whatever the order
        and the number of threads.
    db : path, optional
        A durable database file: stopped or killed and started again, the sandbox has every acknowledged write.
        Default: a temporary one that vanishes.
    port : int
        0 takes a free one.
    strict : bool
        Whether unknown parameters are refused; by default they get a ``Warning`` header.

    Attributes
    ----------
    clock : Clock
        Its time.
    faults : Faults
        Failures to order.

    Examples
    --------
    >>> with Sandbox(seed=7) as sandbox:
    ...     sandbox.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self, seed: int = 7, db: str | os.PathLike[str] | None = None, port: int = 0, *, strict: bool = False
    ) -> None:
        self._seed = seed
        self._db = at_home(db).absolute() if db is not None else None
        self._port = port
        self._is_strict = strict
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._ready: dict[str, Any] = {}
        self._clients: dict[str, Client] = {}
        self.clock = Clock(self.control)
        self.faults = Faults(self.control)

    def __repr__(self) -> str:
        """Show where it listens, never the control token."""
        return f"Sandbox(seed={self._seed}, {self.url if self._process else 'not running'})"

    # -- life

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises
        ------
        ConfigError
            If the packages of the extra ``sandbox`` are missing.
        SandboxError
            If the server did not come up: its own words say why.
        """
        if self._process is not None:
            raise SandboxError(f"This sandbox is already running at {self.url}.")
        _check_extra()
        self._folder = Path(tempfile.mkdtemp(prefix="refonte-sandbox-"))
        try:
            self._ready = self._launch(self._folder / "stderr.txt")
            self.control("GET", "/ready")
        except BaseException:
            self.close()
            raise
        return self

    def _launch(self, stderr_path: Path) -> dict[str, Any]:
        with stderr_path.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self._command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0
            )
        self._process = process
        alarm = threading.Timer(_START_SECS, process.kill)
        alarm.start()
        try:
            line = process.stdout.readline() if process.stdout else b""
        finally:
            alarm.cancel()
        if not line:
            said = stderr_path.read_text("utf-8", "replace").strip()
            raise SandboxError(f"The sandbox did not start. {said[-2000:] or 'It said nothing.'}")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _command(self) -> list[str]:
        # -P: a file named random.py in the working folder must not become the server's standard library.
        command = [sys.executable, "-I" if sys.flags.isolated else "-P", "-m", "refonte_frames.sandbox"]
        command += ["--port", str(self._port), "--seed", str(self._seed), "--exit-with-parent"]
        command += ["--db", str(self._db)] if self._db is not None else []
        return [*command, "--strict"] if self._is_strict else command

    def close(self) -> None:
        """Stop the server and remove its temporary files; a second time does nothing."""
        self._close_clients()
        process, self._process = self._process, None
        if process is not None:
            _stop(process)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def __enter__(self) -> Self:
        """Start, unless it runs."""
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.close()

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:8377``."""
        return str(self._running()["url"])

    @property
    def base_url(self) -> str:
        """`url` with ``/v1``: what a client takes."""
        return str(self._running()["base_url"])

    @property
    def page_url(self) -> str:
        """The page that shows what is in it, to be opened in a browser; holds the control token, so keep it here."""
        return str(self._running()["page_url"])

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return int(self._running()["pid"])

    def _running(self) -> dict[str, Any]:
        if self._process is None:
            raise SandboxError("The sandbox is not running; use `with Sandbox() as sandbox:` or call start().")
        return self._ready

    # -- clients

    @property
    def state_dir(self) -> Path:
        """Where its clients keep journals: in its temporary folder, or beside a durable database."""
        self._running()
        if self._db is not None:
            return self._db.with_name(self._db.name + ".state")
        if self._folder is None:
            raise SandboxError("The sandbox is not running.")
        return self._folder / "state"

    def client(self, key: str = "live_demo") -> Client:
        """Give a client of one world; the same one for the same key.

        Parameters
        ----------
        key : str
            ``test_<world>`` (tasks end at once) or ``live_<world>`` (tasks wait for `work`); the world is made of
            a-z, 0-9 and -, at most 24 characters, and empty until used.
        """
        from refonte_frames.client import Client  # noqa: PLC0415 - the server process must not load requests

        if key not in self._clients:
            self._clients[key] = Client(api_key=key, base_url=self.base_url, state_dir=self.state_dir)
        return self._clients[key]

    def forget_clients(self) -> None:
        """Close its clients and remove their journals: the next client knows nothing of what was sent before."""
        self._close_clients()
        shutil.rmtree(self.state_dir, ignore_errors=True)

    @contextlib.contextmanager
    def activate(self, key: str = "live_demo") -> Iterator[Self]:
        """Make this sandbox the default of every function of the package, for the length of a ``with`` block."""
        values = {
            "REFONTE_API_KEY": key,
            "REFONTE_BASE_URL": self.base_url,
            "REFONTE_STATE_DIR": str(self.state_dir),
        }
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield self
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    # -- steering

    def work(self, *, days: float) -> dict[str, Any]:
        """Let the labelers of all worlds work; the clock goes on by as much.

        Three days are enough for every task that waits at their beginning. They work in pieces of six hours (in
        larger ones beyond six days), so that other requests are answered in between; the outcome is the same.

        Returns
        -------
        dict
            ``completed``, ``errors``, ``audits``, ``quality_attempts``: how many; ``now``.
        """
        counts: dict[str, Any] = {}
        for piece in _pieces(days):
            done = self.control("POST", "/work", {"days": piece})
            counts = {name: _added(counts.get(name), value) for name, value in done.items()}
        return counts

    def complete(self, task_id: str, response: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Complete a pending task now, with this response or the right one; returns the task."""
        body = {"response": response} if response is not None else {}
        return self.control("POST", f"/tasks/{quote(task_id, safe='')}/complete", body)

    def fail(self, task_id: str, error: str | None = None, response: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Move a pending task to ``error``; returns the task.

        Parameters
        ----------
        error : str, optional
            The sentence in its response. Default: that an attachment could not be downloaded.
        response : mapping, optional
            What the response holds besides: a partial result.
        """
        return self.control("POST", f"/tasks/{quote(task_id, safe='')}/fail", {"error": error, "response": response})

    def complete_batch(self, name: str, *, key: str = "test_demo") -> dict[str, Any]:
        """Complete a batch whose tasks have ended: an Enterprise batch of a test key does not by itself."""
        return self.control("POST", "/batches/complete", {"key": key, "batch": name})

    def fail_attachments(self, *patterns: str) -> None:
        """From now on, attachments that match cannot be downloaded: their tasks end in ``error``."""
        self.control("POST", "/switches", {"broken_attachments": list(patterns)})

    def limit_rate(self, requests_per_sec: float) -> None:
        """From now on, answer so many requests of a key per (real) second, and 429 with Retry-After to the others.

        Parameters
        ----------
        requests_per_sec : float
            0 answers any number, as at the start.
        """
        self.control("POST", "/switches", {"requests_per_sec": requests_per_sec})

    def reset_switches(self) -> None:
        """Take back `fail_attachments`, `limit_rate` and every other switch: they are as they were at the start."""
        self.control("DELETE", "/switches")

    def reset(self, *, key: str = "live_demo") -> None:
        """Empty one world."""
        self.control("POST", "/reset", {"key": key})

    def requests(self) -> list[dict[str, Any]]:
        """List the last calls to the API, oldest first: at, method, path, query, status, fault, idempotency_key."""
        return list(self.control("GET", "/requests")["requests"])

    def accept_invitations(self, *, key: str = "live_demo") -> int:
        """Let everybody who was invited to a team join it; returns how many did."""
        return int(self.control("POST", "/accept_invitations", {"key": key})["accepted"])

    def disable_members(self, emails: Sequence[str], *, key: str = "live_demo") -> int:
        """Disable members of a world's team, as its dashboard would: the API has no call for it; returns how many."""
        return int(self.control("POST", "/disable_members", {"key": key, "emails": list(emails)})["disabled"])

    def set_callback_url(self, url: str | None, *, key: str = "live_demo") -> None:
        """Set the callback URL that tasks of a world without their own use; None takes it away."""
        self.control("POST", "/callback_url", {"key": key, "url": url})

    def callbacks(self, *, key: str = "live_demo") -> dict[str, Any]:
        """Tell what a world's callbacks came to.

        Returns
        -------
        dict
            ``auth_key``: what the header of each holds; ``tries``: each with ``of`` (task id or batch), ``target``,
            ``number``, ``at``, ``status`` (None when no answer came), ``note``; ``mails``: those to e-mail addresses.
        """
        return self.control("POST", "/callbacks", {"key": key})

    def truth(self, key: str = "live_demo") -> pd.DataFrame:
        """Tell what the labelers cannot know: the right responses, how hard they were, and who answered what.

        Returns
        -------
        pandas.DataFrame
            One row per attempt, and one without a labeler for a task nobody tried: ``task_id, unique_id, type,
            project, batch, status, difficulty, truth_json, labeler, attempt_number, labeler_skill,
            labeler_drift_per_day, is_spammer, score, started_at, completed_at, attempt_json``.
        """
        import pandas as pd  # noqa: PLC0415 - starting a sandbox should not cost a second

        frame = pd.DataFrame(self.control("POST", "/truth", {"key": key})["rows"], columns=_TRUTH_COLUMNS)
        times = {name: pd.to_datetime(frame[name], utc=True, format="ISO8601") for name in _TRUTH_TIMES}
        whole = frame["attempt_number"].astype("Int64")
        return frame.assign(**times, attempt_number=whole, is_spammer=frame["is_spammer"].astype("boolean"))

    def quality_truth(self, key: str = "live_demo") -> pd.DataFrame:
        """Tell how likely each attempt at a training or evaluation task was to be right.

        Returns
        -------
        pandas.DataFrame
            One row per attempt that the service tells of: ``attempt_id, quality_task_id, kind, labeler,
            attempt_number, chance`` (of getting an element right; where the task is one category, of passing),
            ``score, labeler_skill, labeler_drift_per_day, is_spammer``. The mean of ``chance`` over a labeler's
            attempts is the pass rate to expect of them.
        """
        import pandas as pd  # noqa: PLC0415 - starting a sandbox should not cost a second

        rows = self.control("POST", "/quality_truth", {"key": key})["rows"]
        whole, real = ("attempt_number",), ("chance", "score", "labeler_skill", "labeler_drift_per_day")
        types = dict.fromkeys(whole, "int64") | dict.fromkeys(real, "float64") | {"is_spammer": "bool"}
        return pd.DataFrame(rows, columns=_QUALITY_TRUTH_COLUMNS).astype(types)

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call the control API.

        Parameters
        ----------
        method : str
            HTTP verb.
        path : str
            Below ``/_sandbox``.
        body : mapping, optional
            Sent as JSON; None values are left out.

        Raises
        ------
        SandboxError
            If it refuses or does not answer.
        """
        return call_control(self._running(), method, path, body)


_DAY_MS = 86_400_000


def _pieces(days: float) -> list[float]:
    """Split a span into at most 24 pieces whose milliseconds add up; what is no span goes on, to be refused."""
    if not 0.25 < days <= 3650:
        return [days]
    count, span_ms = min(24, math.ceil(days * 4)), round(days * _DAY_MS)
    edges = [span_ms * n // count for n in range(count + 1)]
    return [(end - begin) / _DAY_MS for begin, end in pairwise(edges)]


def _added(before: Any, value: Any) -> Any:
    """Add counts up; of times the last one stays."""
    return before + value if isinstance(value, int) and before is not None else value


_TRUTH_TIMES = ("started_at", "completed_at")
_TRUTH_COLUMNS = [
    *("task_id", "unique_id", "type", "project", "batch", "status", "difficulty", "truth_json", "labeler"),
    *("attempt_number", "labeler_skill", "labeler_drift_per_day", "is_spammer", "score"),
    *(*_TRUTH_TIMES, "attempt_json"),
]


_QUALITY_TRUTH_COLUMNS = [
    *("attempt_id", "quality_task_id", "kind", "labeler", "attempt_number", "chance", "score"),
    *("labeler_skill", "labeler_drift_per_day", "is_spammer"),
]


def _check_extra() -> None:
    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The sandbox needs {' and '.join(missing)}, which are not installed; run "
            "pip install 'refonte-frames[sandbox]'."
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, and make it if it does not."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_SECS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
