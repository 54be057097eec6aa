"""The client: settings, the key, and the one `send` that every room uses; it retries and paces, and parses nothing."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import logging
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import platformdirs

from refonte_frames.api import DEFAULT_BASE_URL
from refonte_frames.errors import ConfigError, NoReplyError, ReplyError
from refonte_frames.transport import retries
from refonte_frames.transport.calls import Reply
from refonte_frames.transport.pacing import Gate, Stopped
from refonte_frames.transport.redact import Secret
from refonte_frames.transport.replies import refusal
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from refonte_frames.errors import ApiError
    from refonte_frames.transport.calls import Call
    from refonte_frames.transport.http import Transport

__all__ = ["Client", "Sendings", "error_of", "outcome_of", "resolve_client"]

KEY_VARIABLE: Final = "REFONTE_API_KEY"
URL_VARIABLE: Final = "REFONTE_BASE_URL"
STATE_VARIABLE: Final = "REFONTE_STATE_DIR"
_LONGEST_TIMEOUT_SECS: Final = 3600
_log = logging.getLogger("refonte_frames")


@dataclass(slots=True)
class _Line:
    """What all threads and runs of one process share of a client: its pace, its connections, and what it counts."""

    gate: Gate
    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    transport: Transport | None = None
    counts: Counter[str] = field(default_factory=Counter)


class Client:
    """A connection to the labeling service.

    Making one sends nothing. It is safe to use from many threads; a forked process gets connections of its own.

    Parameters
    ----------
    api_key : str, optional
        The key. Default: the environment variable ``REFONTE_API_KEY``. A key alone picks test or live mode.
    base_url : str, optional
        Default: ``REFONTE_BASE_URL``, else ``https://api.refonte.com/v1``. Plain http is accepted for this
        machine (127.0.0.1, localhost, ::1) only, so that the key never crosses a network in clear.
    timeout_secs : float
        From the first byte of one request to the last byte of its reply.
    max_workers : int
        Requests under way at once, at most. The client starts with four and learns what the service bears.
    state_dir : path, optional
        Where journals are kept by default. Default: ``REFONTE_STATE_DIR``, else the user's state folder.

    Raises
    ------
    ConfigError
        No key, an unusable key or base URL, or a limit out of range.

    Examples
    --------
    >>> with rf.Client(api_key="live_0123456789", base_url="http://127.0.0.1:8377/v1") as client:
    ...     client
    Client('127.0.0.1:8377', key …6789)

    >>> rf.Client(api_key="live_0123456789", base_url="http://example.com/v1")
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: base_url 'http://example.com/v1' would send the key in clear: use https.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        timeout_secs: float = 30.0,
        max_workers: int = 16,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        key = _find_key(api_key)
        # Error reports often print the local variables of every frame.
        del api_key
        if isinstance(key, ConfigError):
            raise key
        self._key = key
        self.base_url, self.host, self._is_loopback = _checked_url(base_url or os.environ.get(URL_VARIABLE))
        if not isinstance(timeout_secs, int | float) or not 0 < timeout_secs <= _LONGEST_TIMEOUT_SECS:
            raise ConfigError(
                f"timeout_secs is a number above 0 and at most {_LONGEST_TIMEOUT_SECS}, not {timeout_secs!r}."
            )
        if not isinstance(max_workers, int) or max_workers < 1:
            raise ConfigError(f"max_workers is an integer of at least 1, not {max_workers!r}.")
        self.timeout_secs = float(timeout_secs)
        self.max_workers = int(max_workers)
        self.state_dir = at_home(state_dir or os.environ.get(STATE_VARIABLE) or _default_state_dir())
        self._line = _Line(Gate(self.max_workers))
        #: Of the run that this client was made for, behind those of the runs that it is a part of.
        self._own_counts: tuple[Counter[str], ...] = ()

    def _renew_after_fork(self) -> None:
        """Begin anew in a forked process: two that read from one connection read each other's answers."""
        if self._line.pid != os.getpid():
            self._line = _Line(Gate(self.max_workers))

    def for_one_run(self) -> Self:
        """Return a client that is this one in all, but tells its own requests only.

        Several threads may share a client, and each run says what itself has asked. Connections and pace are shared,
        and this client goes on to count what all of them ask; a run counts what runs within it ask, too.
        """
        self._renew_after_fork()
        alike = copy.copy(self)
        alike._own_counts = (*self._own_counts, Counter())  # noqa: SLF001 - a Client too
        return alike

    @property
    def key_fingerprint(self) -> str:
        """16 hex digits that stand for the key on this host in journals; the key cannot be found from them."""
        return self._key.fingerprint(self.host)

    def send(self, call: Call, *, max_tries: int = retries.MAX_TRIES, stop: threading.Event | None = None) -> Reply:
        """Send a call, again where that can help and do no harm, and return the reply with status 200.

        Parameters
        ----------
        call : Call
            What to ask.
        max_tries : int
            Sendings that may fail before the last error is raised; 429 is waited out and not counted.
        stop : threading.Event, optional
            When it is set nothing is sent any more: `Stopped` is raised where the service certainly did nothing,
            else the error of the last try that may have been carried out.

        Raises
        ------
        ApiError
            The service refused: one subclass for each status.
        NoReplyError
            No answer came; ``.was_sent`` is False when the service certainly never saw the request.
        ReplyError
            The answer was too large, wrongly encoded, or a redirect.
        """
        sendings = Sendings(self, max_tries)
        unclear: Reply | NoReplyError | None = None
        while True:
            try:
                answer = self.send_once(call, stop=stop)
            except Stopped:
                if unclear is None:
                    raise
                raise error_of(call, unclear) from None
            if isinstance(answer, Reply) and answer.status == 200:
                return answer
            outcome = outcome_of(answer)
            unclear = answer if outcome.was_sent and outcome.status != 429 else unclear
            sendings.count(outcome)
            verdict = sendings.decide(outcome, may_be_repeated=call.may_be_repeated)
            if isinstance(verdict, retries.GiveUp):
                # A last try that never left says nothing about one before it that may have been carried out.
                raise error_of(call, answer if outcome.was_sent else unclear or answer)
            self.before_next_try(call, outcome, verdict, stop=stop)

    def send_once(self, call: Call, *, stop: threading.Event | None = None) -> Reply | NoReplyError:
        """Send a call once, in its turn, and return whatever came of it: a reply of any status, or why there is none.

        Parameters
        ----------
        call : Call
            What to ask.
        stop : threading.Event, optional
            When it is set while the call still waits for its turn, `Stopped` is raised and nothing is sent.
        """
        self._renew_after_fork()
        with self._line.gate.passage(stop):
            try:
                reply = self._open().send(call)
            except NoReplyError as error:
                self._count("no_reply")
                return error
            except ReplyError:
                self._count("unreadable")
                raise
        self._count(str(reply.status))
        if reply.status == 200:
            self._line.gate.note_success()
        if self._key.is_in(reply.body):
            # Some services, and pages of proxies, repeat what they were sent.
            return replace(reply, body=self._key.erase_from(reply.body.decode("utf-8", "replace")).encode())
        return reply

    def before_next_try(
        self, call: Call, outcome: retries.Outcome, verdict: retries.Wait, *, stop: threading.Event | None = None
    ) -> None:
        """Log why, and wait: alone, or make everybody wait when the service said to slow down."""
        why = outcome.status or "no answer"
        _log.info("%s %s: %s, next try in %.1f s", call.method, call.path, why, verdict.secs)
        if verdict.everyone:
            self._line.gate.note_throttle(verdict.secs)
            return
        if outcome.status in retries.OVERLOADS:
            self._line.gate.note_overload()
        if stop is not None:
            stop.wait(verdict.secs)
        else:
            time.sleep(verdict.secs)

    def requests_by_status(self) -> dict[str, int]:
        """Count the answers so far by status; ``no_reply`` counts requests without one."""
        with self._line.lock:
            return dict(self._own_counts[-1] if self._own_counts else self._line.counts)

    @property
    def was_answered(self) -> bool:
        """Whether the service ever answered this client."""
        with self._line.lock:
            return any(kind != "no_reply" for kind in self._line.counts)

    def close(self) -> None:
        """Close the connections. The client stays usable and opens new ones when needed."""
        with self._line.lock:
            if self._line.transport is not None:
                self._line.transport.close()
            self._line.transport = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        # Error reports show objects that are half made, too.
        host = getattr(self, "host", None)
        return f"Client({host!r}, key {self._key.hint})" if host else "Client(not made)"

    def _open(self) -> Transport:
        with self._line.lock:
            if self._line.transport is None:
                # Late, so that making a client stays cheap: requests takes a quarter of a second to import.
                from refonte_frames.transport.http import Transport  # noqa: PLC0415

                self._line.transport = Transport(
                    self.base_url,
                    self._key,
                    timeout_secs=self.timeout_secs,
                    pool_size=self.max_workers,
                    is_loopback=self._is_loopback,
                )
            return self._line.transport

    def _count(self, kind: str) -> None:
        with self._line.lock:
            for counts in (self._line.counts, *self._own_counts):
                counts[kind] += 1


@dataclass(slots=True)
class Sendings:
    """Counts how often one call was sent in vain, and decides whether it is sent again.

    Attributes
    ----------
    max_tries : int
        Sendings that may fail; refusals for rate are counted apart.
    """

    client: Client
    max_tries: int = retries.MAX_TRIES
    tries: int = 0
    throttles: int = 0

    def count(self, outcome: retries.Outcome) -> None:
        """Count a sending by what became of it."""
        self.throttles += outcome.status == 429
        self.tries += outcome.status != 429

    def decide(self, outcome: retries.Outcome, *, may_be_repeated: bool = True) -> retries.Wait | retries.GiveUp:
        """Decide about the next one, after the last was counted."""
        return retries.decide(
            outcome,
            may_be_repeated=may_be_repeated,
            tries=self.tries,
            throttles=self.throttles,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
            max_tries=self.max_tries,
            was_there=self.client.was_answered,
        )


def outcome_of(answer: Reply | NoReplyError) -> retries.Outcome:
    """Reduce an answer to what the decision about another try needs."""
    if isinstance(answer, NoReplyError):
        return retries.Outcome(None, was_sent=answer.was_sent)
    return retries.Outcome(answer.status, retry_after_secs=retries.retry_after_secs(answer.headers))


def error_of(call: Call, answer: Reply | NoReplyError) -> ApiError | NoReplyError:
    """Make the error that an answer other than 200 stands for."""
    return answer if isinstance(answer, NoReplyError) else refusal(call, answer)


_clients: dict[tuple[object, ...], Client] = {}
_clients_lock = threading.Lock()


def resolve_client(client: Client | None = None) -> Client:
    """Return `client`, or the one that the environment describes.

    The latter is made once per key, base URL, state folder and process: changing the environment changes the
    client, and a forked process does not share its parent's connections.

    Raises
    ------
    ConfigError
        If ``REFONTE_API_KEY`` is not set or a setting is unusable.
    """
    if isinstance(client, Client):
        return client
    if client is not None:
        raise ConfigError(f"client is an rf.Client, not a {type(client).__name__}.")
    # The key itself is no part of what is kept: only that it is the same.
    settings = (*(os.environ.get(name, "") for name in (URL_VARIABLE, STATE_VARIABLE)), _environment_key(), os.getpid())
    with _clients_lock:
        if settings not in _clients:
            _clients[settings] = Client()
        return _clients[settings]


def _environment_key() -> str:
    """Stand for the key of the environment, in no form that leads back to it."""
    return hashlib.sha256(os.environ.get(KEY_VARIABLE, "").encode("utf-8", "surrogateescape")).hexdigest()


def _find_key(api_key: str | None) -> Secret | ConfigError:
    """Return the key, or the error to be raised where no plain key is in sight any more."""
    key = api_key or os.environ.get(KEY_VARIABLE)
    if not key:
        return ConfigError(
            f"No API key: set the environment variable {KEY_VARIABLE}, or pass client=rf.Client(api_key=…). "
            "Without an account, `refonte-frames sandbox` starts a local service that takes the key live_demo."
        )
    try:
        return Secret(key)
    except ConfigError as error:
        return error.with_traceback(None)


def _checked_url(base_url: str | None) -> tuple[str, str, bool]:
    """Return the base URL without trailing slash, its host with port, and whether it is this machine."""
    url = (base_url or DEFAULT_BASE_URL).strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"base_url is no URL: {url!r}. It looks like {DEFAULT_BASE_URL}.") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError("base_url must not hold a user or password; the key is a setting of its own (api_key=).")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "\\" in url:
        raise ConfigError(f"base_url {url!r} is not of the form {DEFAULT_BASE_URL}.")
    is_loopback = _is_loopback(parts.hostname)
    if parts.scheme == "http" and not is_loopback:
        raise ConfigError(f"base_url {url!r} would send the key in clear: use https.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return url, f"{host}:{port}" if port else host, is_loopback


def _is_loopback(hostname: str) -> bool:
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def _default_state_dir() -> str:
    return platformdirs.user_state_dir("refonte-frames", appauthor=False)
