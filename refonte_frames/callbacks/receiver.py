"""Receives callbacks: settings and addresses for the ASGI app and the server around it, and the table of what came."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, get_args

import pandas as pd

from refonte_frames.callbacks.inbox import Inbox, Verify, inbox_path
from refonte_frames.errors import ConfigError, ExportError, InputError
from refonte_frames.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.applications import Starlette

__all__ = ["app", "counts", "received", "serve"]

_KEY_VARIABLE: Final = "REFONTE_CALLBACK_AUTH_KEY"
#: Holds the key that is replaced, while deliveries still come with it.
_OLD_KEY_VARIABLE: Final = "REFONTE_CALLBACK_AUTH_KEY_OLD"
_COLUMNS: Final = ("kind", "name", "status", "first_at", "last_at", "times", "outcome", "settled_at")


def app(
    path: str | os.PathLike[str],
    *,
    auth_key: str | Sequence[str] | None = None,
    verify: Verify = "refetch",
    max_body_bytes: int = 16 * 2**20,
    body_timeout_secs: float = 30.0,
) -> Starlette:
    """Make an ASGI app that takes callbacks in, to be mounted in a server of your own.

    Every ``POST`` to it is a delivery, whatever its path. It is answered with 200 after it was committed to the inbox
    in `path`, 401 without the right key, 400 when it is no message of the service, 413 when it is too long, 408 when
    it does not arrive in time and 503 when it could not be kept; the service repeats all but the first for a day.
    ``GET …/health`` answers 200 to those who ask whether it runs.

    The next `export_tasks` into `path`, or `Export.refresh` and `Export.compact` of it, takes the tasks over. The
    folder's lock is not needed here: an export may run at any moment.

    Parameters
    ----------
    path : path
        The folder of an export of tasks, also one that is still to be made.
    auth_key : str or sequence of str, optional
        The live callback auth key of your dashboard; two of them while one replaces the other. Default: the variable
        REFONTE_CALLBACK_AUTH_KEY, and beside it REFONTE_CALLBACK_AUTH_KEY_OLD where that is set.
    verify : {"refetch", "body"}, default "refetch"
        The header proves who sent a delivery but not that it is fresh: it can be recorded and played again. So an
        export reads each task from the service, one request for up to 40; with ``"body"`` it takes the task as
        delivered, unless the dataset has a newer version.
    max_body_bytes : int, default 16 MiB
        Longest body that is read.
    body_timeout_secs : float, default 30
        Time for a body to arrive.

    Returns
    -------
    starlette.applications.Starlette
        Holds no thread and no connection until the first delivery.

    Raises
    ------
    ConfigError
        No key, or an empty one; or Starlette is not installed (``pip install 'refonte-frames[callbacks]'``).
    ExportError
        The inbox cannot be made or is none of ours.

    Notes
    -----
    One commit to the disk for all deliveries that wait at that moment. Source: contract 3.

    Examples
    --------
    >>> import tempfile
    >>> import refonte_frames as rf
    >>> receiver = rf.callbacks.app(tempfile.mkdtemp(), auth_key="the key of the dashboard")
    >>> rf.callbacks.app(tempfile.mkdtemp(), auth_key="")
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: The callback auth key is empty: anybody could deliver. ...
    """
    keys = _keys(auth_key)
    if verify not in get_args(Verify):
        raise InputError(f"verify={verify!r} is neither 'refetch' nor 'body'.")
    for name, value in (("max_body_bytes", max_body_bytes), ("body_timeout_secs", body_timeout_secs)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise InputError(f"{name} is a number above 0, not {value!r}.")
    Inbox(path).close()  # what is wrong with the folder is said now, not at the first delivery
    try:
        from refonte_frames.callbacks.answering import make_app  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    return make_app(
        path, keys, keeps_bodies=verify == "body", max_body_bytes=max_body_bytes, body_timeout_secs=body_timeout_secs
    )


def serve(
    path: str | os.PathLike[str],
    *,
    auth_key: str | Sequence[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 8378,
    verify: Verify = "refetch",
    max_body_bytes: int = 16 * 2**20,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve `app` until Ctrl-C or SIGTERM.

    It speaks plain HTTP: for the open internet put a reverse proxy with TLS before it, since the key comes with every
    delivery; a remark says so where other machines can reach it. Nothing in it depends on the proxy's headers.

    Parameters
    ----------
    path, auth_key, verify, max_body_bytes
        As for `app`.
    host : str, default "127.0.0.1"
        Address to listen at.
    port : int, default 8378
        0 takes a free one.
    on_ready : callable, optional
        Called with the receiver's URL once deliveries are accepted.

    Returns
    -------
    None
        When it was stopped; deliveries that were being written are answered first.

    Raises
    ------
    ConfigError
        As for `app`, or the port cannot be used.
    ExportError
        As for `app`.

    Examples
    --------
    It does not return before it is stopped, so start it in a terminal: ``refonte-frames callbacks serve kittens``.

    >>> import tempfile
    >>> import refonte_frames as rf
    >>> rf.callbacks.serve(tempfile.mkdtemp(), auth_key=[], port=0)
    Traceback (most recent call last):
    refonte_frames.errors.ConfigError: The callback auth key is empty: anybody could deliver. ...
    """
    receiver = app(path, auth_key=auth_key, verify=verify, max_body_bytes=max_body_bytes)
    try:
        from refonte_frames.callbacks.serving import run  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _missing(error) from error
    with _listening(host, port) as sock:
        if not _is_this_machine(sock):
            say(
                f"refonte_frames: the receiver listens to other machines, at {host}, in plain HTTP: the auth key comes "
                "in clear with every delivery. Put a reverse proxy with TLS before it, and let it listen at 127.0.0.1."
            )
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{sock.getsockname()[1]}/"
        run(receiver, sock, on_ready=lambda: on_ready and on_ready(url))


def received(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Show what was delivered into a folder; safe while it is being served.

    Parameters
    ----------
    path : path
        The folder given to `app` or `serve`.

    Returns
    -------
    pandas.DataFrame
        One row for each announcement that is kept, in the order of the first arrival: `kind` (task, batch, unknown),
        `name` (the task's id or the batch's name), `status`, `first_at` and `last_at` (UTC), `times` (1 and the
        repeats), `outcome` (null while it waits for an export, then ``stored``; ``outside`` for tasks that are not in
        the dataset, because its filters leave them out or the service does not know them; ``noted`` where there is
        nothing for a dataset in it) and `settled_at`.

    Raises
    ------
    ExportError
        There is no inbox in the folder.

    Notes
    -----
    What was settled is kept for 30 days, ``outside`` for a year; ``refonte-frames callbacks show`` counts all that ever
    came.

    Examples
    --------
    >>> import tempfile
    >>> import refonte_frames as rf
    >>> folder = tempfile.mkdtemp()
    >>> receiver = rf.callbacks.app(folder, auth_key="the key of the dashboard")
    >>> len(rf.callbacks.received(folder))
    0
    >>> rf.callbacks.received("nothing_was_received_here")
    Traceback (most recent call last):
    refonte_frames.errors.ExportError: No callback was ever received into nothing_was_received_here: ...
    """
    with _looked_into(path) as inbox:
        frame = pd.DataFrame(inbox.lines(), columns=list(_COLUMNS))
    for name in ("first_at", "last_at", "settled_at"):
        frame[name] = pd.to_datetime(frame[name].astype("float64"), unit="s", utc=True)
    return frame.astype(dict.fromkeys(("kind", "name", "status", "outcome"), "string") | {"times": "int64"})


def counts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Count what came: `outcomes` (those that wait for an export as ``waiting``), `repeats`, and `refused` by reason.

    Raises
    ------
    ExportError
        There is no inbox in the folder.
    """
    with _looked_into(path) as inbox:
        return {"outcomes": inbox.counts(), "repeats": inbox.repeats(), "refused": inbox.refusals()}


def _looked_into(path: str | os.PathLike[str]) -> Inbox:
    if not inbox_path(path).exists():
        raise ExportError(f"No callback was ever received into {path}: there is no {inbox_path(path).parent}.")
    return Inbox(path, is_read_only=True)


def _keys(auth_key: str | Sequence[str] | None) -> tuple[bytes, ...]:
    given: Any = _keys_of_environment() if auth_key is None else auth_key
    if given is None:
        raise ConfigError(
            "Callbacks need the auth key of your dashboard, to tell the service's from forged ones: set "
            f"{_KEY_VARIABLE}, or pass auth_key=."
        )
    is_one = isinstance(given, str | bytes) or not isinstance(given, Iterable)
    keys = (given,) if is_one else tuple(given)
    return tuple(_checked_key(key) for key in keys or ("",))


def _checked_key(key: Any) -> bytes:
    """Take a key as it comes in a header: without the spaces around it; an error never shows it."""
    if not isinstance(key, str):
        raise ConfigError(f"The callback auth key is text, or a list of such, not {type(key).__name__}.")
    if not key.strip():
        raise ConfigError(
            "The callback auth key is empty: anybody could deliver. Pass the key of your dashboard as auth_key=, "
            f"or in {_KEY_VARIABLE}."
        )
    if not key.strip().isprintable():
        raise ConfigError("The callback auth key holds a character that no header can: copy it once more.")
    return key.strip().encode()


def _keys_of_environment() -> list[str] | None:
    key, old = os.environ.get(_KEY_VARIABLE), os.environ.get(_OLD_KEY_VARIABLE)
    return None if key is None else [key, *([old] if old else [])]


def _missing(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(
        f"Receiving callbacks needs {error.name}, which is not installed; run pip install 'refonte-frames[callbacks]'."
    )


def _is_this_machine(sock: socket.socket) -> bool:
    return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named as TCP, because asyncio switches Nagle's delay off only where the protocol is.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except (OSError, OverflowError, UnicodeError) as error:
        raise ConfigError(f"host={host!r}, port={port} is no address to listen at: {error}.") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(512)
    except (OSError, OverflowError) as error:
        sock.close()
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        raise ConfigError(f"Port {port} of {host} cannot be used: {reason}. port=0 takes a free one.") from None
    return sock
