"""`rf.Sandbox`: starts the server as a child process, steers it, and connects clients to it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from refonte_frames.errors import ConfigError, SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    import pandas as pd

    from refonte_frames.client import Client

__all__ = ["Clock", "Faults", "Sandbox"]

_START_SECS = 60.0
_STOP_SECS = 5.0
#: A working span of many tasks takes its time.
_CONTROL_SECS = 600.0


class Clock:
    """The sandbox's own clock; it only goes forward.

    Parameters
    ----------
    sandbox : Sandbox
        Whose clock.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def now(self) -> datetime:
        """Give the sandbox's time, in UTC."""
        return _moment(self._sandbox.control("GET", "/clock"))

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Jump forward; everything due by then is done on return. Labelers do not work: see `Sandbox.work`."""
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return self._set({"advance_ms": span // timedelta(milliseconds=1)})

    def freeze(self) -> datetime:
        """Stop the clock; `advance` still moves it."""
        return self._set({"rate": 0})

    def scale(self, rate: float) -> datetime:
        """Go at this many sandbox seconds per second; 1 is real time."""
        return self._set({"rate": rate})

    def _set(self, body: dict[str, Any]) -> datetime:
        return _moment(self._sandbox.control("POST", "/clock", body))


def _moment(clock: Mapping[str, Any]) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=clock["now_ms"])


class Faults:
    """Failures to order: see `refonte_frames.sandbox.faults.Rule`.

    Parameters
    ----------
    sandbox : Sandbox
        Which one shall fail.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add(  # noqa: PLR0913 - a rule has that many independent choices
        self,
        action: str,
        *,
        method: str = "*",
        path: str = "*",
        nth: int | None = None,
        times: int | None = None,
        every: int | None = None,
        p: float | None = None,
        side: Literal["before", "after"] | None = None,
        status: int = 500,
        is_html: bool = False,
        is_saved: bool = False,
        retry_after: str | None = None,
        retry_after_date_secs: float | None = None,
        secs: float = 1.0,
        how: str = "",
        keep: float = 0.5,
        size_bytes: int = 256 * 1024 * 1024,
        text: str = "",
        names: Sequence[str] = (),
        by: int = 1,
    ) -> int:
        """Order a failure; without ``nth``, ``times``, ``every`` or ``p`` it happens once.

        Parameters
        ----------
        action : str
            Of an answer: ``drop, status, redirect, body, garbage, delay, truncate, malformed, empty, drip, bad_gzip,
            gzip_bomb, oversize``; of a page of tasks: ``list_lag, wrong_total, repeat_page, shift_page,
            expired_token, ignore_filters, last_token``.
        method, path : str
            Patterns of the requests meant, such as ``"POST"`` and ``"/task/*"``.
        nth, times, every : int, optional
            Begin with the n-th such request; stop after so many failures; only each so-many-th.
        p : float, optional
            Chance, drawn from the seed.
        side : {"before", "after"}, optional
            Whether the service acts first. Default: ``before`` for ``drop, status, redirect, body, garbage, delay``,
            else ``after``.
        status, is_html, is_saved, retry_after, retry_after_date_secs
            Of ``status``: the code, an HTML body, whether it is kept under the Idempotency-Key, the Retry-After
            header as it stands or as an HTTP-date so many seconds after the reply's Date.
        secs : float
            Of ``delay``; of each byte of ``drip``; for how long ``list_lag`` hides new tasks.
        how : str
            ``rst`` (default) or ``fin`` of ``drop``; ``head`` or ``body`` of ``drip``; ``length`` or ``chunked`` of
            ``truncate``; ``null`` or ``empty_page`` of ``last_token``.
        keep : float
            Share of the body that ``truncate`` and ``malformed`` let through.
        size_bytes : int
            Of ``gzip_bomb`` (unpacked) and ``oversize``.
        text : str
            Body of ``body``, sentence of ``status``, location of ``redirect``.
        names : sequence of str
            Filters that ``ignore_filters`` overlooks.
        by : int
            What ``wrong_total`` adds, and how many rows ``shift_page`` repeats.

        Returns
        -------
        int
            The rule's number.

        Raises
        ------
        SandboxError
            If there is no such fault.
        """
        rule = {
            "action": action,
            "method": method,
            "path": path,
            "nth": nth,
            "times": times,
            "every": every,
            "p": p,
            "side": side,
            "status": status,
            "is_html": is_html,
            "is_saved": is_saved,
            "retry_after": retry_after,
            "retry_after_date_secs": retry_after_date_secs,
            "secs": secs,
            "how": how,
            "keep": keep,
            "size_bytes": size_bytes,
            "text": text,
            "names": list(names),
            "by": by,
        }
        return int(self._sandbox.control("POST", "/faults", rule)["number"])

    def fired(self) -> list[dict[str, Any]]:
        """List what happened, in order: rule, action, side, method, path, and which matching request it was."""
        return list(self._sandbox.control("GET", "/faults")["fired"])

    def unfired(self) -> list[dict[str, Any]]:
        """List the rules that never did anything."""
        return list(self._sandbox.control("GET", "/faults")["unfired"])

    def clear(self) -> None:
        """Forget all rules and the log."""
        self._sandbox.control("DELETE", "/faults")


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
        self._db = Path(db).absolute() if db is not None else None
        self._port = port
        self._is_strict = strict
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._ready: dict[str, Any] = {}
        self._clients: dict[str, Client] = {}
        self.clock = Clock(self)
        self.faults = Faults(self)

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
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        process, self._process = self._process, None
        if process is not None:
            _stop(process)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

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

        Three days are enough for every task that waits at their beginning.

        Returns
        -------
        dict
            ``completed``, ``errors``, ``audits``: how many; ``now``.
        """
        return self.control("POST", "/work", {"days": days})

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

    def fail_attachments(self, *patterns: str) -> None:
        """From now on, attachments that match cannot be downloaded: their tasks end in ``error``."""
        self.control("POST", "/switches", {"broken_attachments": list(patterns)})

    def reset(self, *, key: str = "live_demo") -> None:
        """Empty one world."""
        self.control("POST", "/reset", {"key": key})

    def requests(self) -> list[dict[str, Any]]:
        """List the last calls to the API, oldest first: method, path, query, idempotency_key, fault."""
        return list(self.control("GET", "/requests")["requests"])

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
        ready = self._running()
        data = None if body is None else json.dumps({k: v for k, v in body.items() if v is not None}).encode()
        headers = {"X-Sandbox-Token": ready["control_token"], "Content-Type": "application/json"}
        request = Request(f"{ready['url']}/_sandbox{path}", data=data, headers=headers, method=method)  # noqa: S310 - our own loopback address
        try:
            with _opener.open(request, timeout=_CONTROL_SECS) as reply:
                found: dict[str, Any] = json.load(reply)
        except HTTPError as error:
            with error:
                said = error.read().decode("utf-8", "replace")
            raise SandboxError(f"The sandbox refused {method} /_sandbox{path}: {_sentence(said)}") from None
        except (URLError, OSError) as error:
            raise SandboxError(f"The sandbox at {ready['url']} does not answer: {error}") from None
        return found


_TRUTH_TIMES = ("started_at", "completed_at")
_TRUTH_COLUMNS = [
    *("task_id", "unique_id", "type", "project", "batch", "status", "difficulty", "truth_json", "labeler"),
    *("attempt_number", "labeler_skill", "labeler_drift_per_day", "is_spammer", "score"),
    *(*_TRUTH_TIMES, "attempt_json"),
]

#: Without the environment's proxies: the server is on this very machine.
_opener = build_opener(ProxyHandler({}))


def _sentence(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:500]


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
