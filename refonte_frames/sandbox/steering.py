"""Calls to a running sandbox's control API, and the two things one steers most: its clock and its faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from refonte_frames.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Clock", "Control", "Faults", "call_control"]

#: A verb, a path below /_sandbox and a body, to the answer.
Control = Callable[..., dict[str, Any]]

#: A working span of many tasks takes its time.
_CONTROL_SECS = 600.0

#: Without the environment's proxies: the server is on this very machine.
_opener = build_opener(ProxyHandler({}))


def call_control(
    ready: Mapping[str, Any], method: str, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Call the control API of a sandbox.

    Parameters
    ----------
    ready : mapping
        Its ready line.
    method, path, body
        As `Sandbox.control` takes them.

    Raises
    ------
    SandboxError
        If it refuses or does not answer.
    """
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


def _sentence(body: str) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:500]


class Clock:
    """The sandbox's own clock; it only goes forward.

    Parameters
    ----------
    call : callable
        `Sandbox.control` of the sandbox whose clock it is.
    """

    def __init__(self, call: Control) -> None:
        self._call = call

    def now(self) -> datetime:
        """Give the sandbox's time, in UTC."""
        return _moment(self._call("GET", "/clock"))

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
        return _moment(self._call("POST", "/clock", body))


def _moment(clock: Mapping[str, Any]) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=clock["now_ms"])


class Faults:
    """Failures to order: see `refonte_frames.sandbox.faults.Rule`.

    Parameters
    ----------
    call : callable
        `Sandbox.control` of the sandbox that shall fail.
    """

    def __init__(self, call: Control) -> None:
        self._call = call

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
        return int(self._call("POST", "/faults", rule)["number"])

    def fired(self) -> list[dict[str, Any]]:
        """List what happened, in order: rule, action, side, method, path, and which matching request it was."""
        return list(self._call("GET", "/faults")["fired"])

    def unfired(self) -> list[dict[str, Any]]:
        """List the rules that never did anything."""
        return list(self._call("GET", "/faults")["unfired"])

    def clear(self) -> None:
        """Forget all rules and the log."""
        self._call("DELETE", "/faults")
