"""A client that keeps to its share of a rate, where many processes that know nothing of each other ask one service."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ConfigError, InputError

if TYPE_CHECKING:
    from refonte_frames.errors import NoReplyError
    from refonte_frames.transport.calls import Call, Reply

__all__ = ["SharingClient", "check_rate", "client_here", "share_of"]

#: A pace that is slower than one request in so many seconds is most likely a slip of the pen.
_SLOWEST_RATE: Final = 1 / 3600


class Turns:
    """Hands out turns at an even pace; pure arithmetic on a given clock.

    Parameters
    ----------
    per_sec : float
        Turns a second.

    Examples
    --------
    >>> turns = Turns(2.0)
    >>> [turns.wait_secs(now) for now in (0.0, 0.0, 0.0, 9.0)]
    [0.0, 0.5, 1.0, 0.0]
    """

    def __init__(self, per_sec: float) -> None:
        self._gap_secs = 1 / per_sec
        self._next_at = float("-inf")

    def wait_secs(self, now: float) -> float:
        """Take the next turn, and say how long it is until then."""
        at = max(now, self._next_at)
        self._next_at = at + self._gap_secs
        return at - now


class SharingClient(Client):
    """A client that sends no more than so many requests a second, beside all that a client does for its pace.

    Parameters
    ----------
    requests_per_sec : float or None
        The share of this client; None leaves it as fast as any other.
    base_url, max_workers
        As for `Client`; the key comes from the environment and from nowhere else.
    """

    def __init__(self, *, requests_per_sec: float | None, base_url: str | None, max_workers: int) -> None:
        super().__init__(base_url=base_url, max_workers=max_workers)
        self._turns = None if requests_per_sec is None else Turns(requests_per_sec)
        self._turns_lock = threading.Lock()

    def send_once(self, call: Call, *, stop: threading.Event | None = None) -> Reply | NoReplyError:
        """Wait for the next turn, and send as `Client` does."""
        if self._turns is not None:
            with self._turns_lock:
                wait_secs = self._turns.wait_secs(time.monotonic())
            if stop is not None:
                stop.wait(wait_secs)
            else:
                time.sleep(wait_secs)
        return super().send_once(call, stop=stop)


def check_rate(requests_per_sec: Any, at_once: Any) -> None:
    """Refuse limits that cannot be kept.

    Raises
    ------
    InputError
        With the limit at fault in the sentence.
    """
    is_number = isinstance(requests_per_sec, int | float) and not isinstance(requests_per_sec, bool)
    if requests_per_sec is not None and not (is_number and _SLOWEST_RATE <= requests_per_sec < float("inf")):
        raise InputError(
            f"requests_per_sec={requests_per_sec!r}: give the requests a second of all processes together."
        )
    if at_once is not None and (isinstance(at_once, bool) or not isinstance(at_once, int) or at_once < 1):
        raise InputError(f"at_once={at_once!r}: give how many portions are worked on at the same time, at least 1.")


def share_of(requests_per_sec: float | None, at_once: int | None, portions: int) -> float | None:
    """Divide a rate by how many processes work at once; as long as nobody says, all portions may.

    >>> share_of(100.0, 4, 16), share_of(100.0, None, 16), share_of(100.0, 8, 2), share_of(None, 4, 16)
    (25.0, 6.25, 50.0, None)
    """
    if requests_per_sec is None:
        return None
    return requests_per_sec / max(1, min(portions, at_once or portions))


_here: dict[tuple[Any, ...], SharingClient] = {}
_here_lock = threading.Lock()


def client_here(
    base_url: str | None, *, key_fingerprint: str | None, requests_per_sec: float | None = None, max_workers: int = 16
) -> SharingClient:
    """Return the client of this process for a service, made with the key of this process's environment.

    It is made once, so that the pieces of work that a process gets one after the other go on at the pace that was
    learned, over connections that are open.

    Parameters
    ----------
    base_url : str or None
        Where the work was planned; None takes the environment's.
    key_fingerprint : str or None
        Of the key with which it was planned: another key sees another world.

    Raises
    ------
    ConfigError
        There is no key in the environment of this process, or it is another one than that of the plan.
    """
    # The environment's own client: its settings tell whether anything has changed.
    environment = resolve_client()
    settings = (
        base_url or environment.base_url,
        environment.key_fingerprint,
        requests_per_sec,
        max_workers,
        os.getpid(),
    )
    with _here_lock:
        if settings not in _here:
            _here[settings] = SharingClient(
                requests_per_sec=requests_per_sec, base_url=base_url or environment.base_url, max_workers=max_workers
            )
        client = _here[settings]
    if key_fingerprint not in (None, client.key_fingerprint):
        raise ConfigError(
            f"REFONTE_API_KEY of this process is another key than the one the work was planned with, at {client.host}: "
            "each key sees tasks of its own. Set the same key in the environment of the driver and of all workers."
        )
    return client
