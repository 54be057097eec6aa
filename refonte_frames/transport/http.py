"""The one door to the network: a call goes out, a bounded reply comes in. The only importer of requests and urllib3.

What `requests` does by default and what we must not do is switched off here: credentials from .netrc, redirects
that carry the body to another host, answers without an end in time or size, unverified TLS.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

import requests
import requests.adapters
import requests.utils
import urllib3
import urllib3.connection
import urllib3.connectionpool
import urllib3.filepost
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from refonte_frames.errors import ConfigError, NoReplyError, ReplyError
from refonte_frames.transport.calls import Reply
from refonte_frames.transport.forms import SLOWEST_BYTES_PER_SEC, FormBody

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refonte_frames.transport.calls import Call, FileForm
    from refonte_frames.transport.redact import Secret
    from refonte_frames.transport.strangers import Target

__all__ = ["MAX_REPLY_BYTES", "Transport", "Visit", "Visitor", "addresses_of", "proxy_for"]

#: A page of 100 tasks is well below this; a reply above it is taken for an attack or a fault.
MAX_REPLY_BYTES: Final = 64 * 2**20
#: A page fits into one read: parts of 64 KiB cost twice as much as all else that is done to receive it.
_READ_BYTES: Final = 2**20
_CONNECT_SECS: Final = 10.0
#: Hosts whose connections are kept: files of ten thousand hosts would take ten thousand open sockets.
_MOST_POOLS: Final = 32
_LONGEST_CAUSE: Final = 200
_KEPT_HEADERS: Final = frozenset({"content-type", "content-encoding", "date", "retry-after", "warning", "location"})
_deadline = threading.local()


class _DeadlineReader(io.RawIOBase):
    """Reads a socket so that *all* reads together end in time: a read timeout alone lets a slow drip go on for ever."""

    def __init__(self, raw: io.RawIOBase, sock: Any, ends_at: float) -> None:
        self._raw = raw
        self._sock = sock
        self._ends_at = ends_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer whose status line, headers and body are read before the deadline of the thread's request."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(raw, sock, _deadline.ends_at))


class _OneSend:
    """Sends the headers together with the body: apart they cost a system call, a packet and a TLS record more."""

    _held: bytes | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._held = b""
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
            if self._held:
                super().send(self._held)  # type: ignore[misc]
        finally:
            self._held = None

    def send(self, data: Any) -> None:
        if self._held == b"" and isinstance(data, bytes):
            self._held = data
            return
        if self._held and isinstance(data, bytes):
            data = self._held + data
        elif self._held:
            super().send(self._held)  # type: ignore[misc]
        self._held = None
        super().send(data)  # type: ignore[misc]


class _TimedConnection(_OneSend, urllib3.connection.HTTPConnection):
    response_class = _TimedResponse


class _TimedTLSConnection(_OneSend, urllib3.connection.HTTPSConnection):
    response_class = _TimedResponse


class _Pool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TLSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _TimedTLSConnection


class _Adapter(requests.adapters.HTTPAdapter):
    """requests' own handling of TLS, CA files and proxies, on connections that know a deadline."""

    classes: Final = {"http": _Pool, "https": _TLSPool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self.classes
        return manager


class _Headers(dict[str, str]):
    """Headers that do not show what they hold when the locals of a frame are printed."""

    def copy(self) -> _Headers:
        # What is copied inside the libraries shall be as silent.
        return _Headers(self)

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


@dataclass(frozen=True, slots=True)
class _Route:
    """How to reach the service: settled once, since the environment costs a fifth of a request to read."""

    pool: urllib3.connectionpool.HTTPConnectionPool
    prefix: str
    headers: _Headers


class Transport:
    """Sends calls to one service and reads replies, once each, safely from many threads.

    Parameters
    ----------
    base_url : str
        Checked by the client: scheme, host, path without trailing slash.
    key : Secret
        Goes into the Authorization header of requests to this host and nowhere else.
    timeout_secs : float
        From the first byte sent to the last byte read of one request.
    pool_size : int
        Connections kept open.
    is_loopback : bool
        Proxies of the environment are passed by for this machine.
    """

    def __init__(self, base_url: str, key: Secret, *, timeout_secs: float, pool_size: int, is_loopback: bool) -> None:
        self._base_url = base_url
        self._key = key
        self._timeout_secs = timeout_secs
        self._adapter = _Adapter(pool_connections=1, pool_maxsize=pool_size, max_retries=0, pool_block=False)
        self._route = self._find_route({} if is_loopback else requests.utils.get_environ_proxies(base_url))

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._adapter.close()

    def send(self, call: Call) -> Reply:
        """Send a call once and read its reply whole.

        Returns
        -------
        Reply
            Whatever the status, redirects excepted.

        Raises
        ------
        NoReplyError
            No connection, none kept, or no complete answer in time; ``.was_sent`` says which.
        ReplyError
            The answer was a redirect, too large, or wrongly encoded.
        InputError
            The file of a form cannot be read, or was changed meanwhile.
        """
        self._begin_deadline()
        headers = _Headers(self._route.headers)
        headers.update(call.headers)
        if call.form is not None:
            with self._opened(call.form, headers) as body:
                return self._exchange(call, body, headers)
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        return self._exchange(call, call.body, headers)

    def _begin_deadline(self) -> None:
        _deadline.ends_at = time.monotonic() + self._timeout_secs

    def _opened(self, form: FileForm, headers: _Headers) -> FormBody:
        """Open a form for one sending, and say in the headers what it is."""
        boundary = urllib3.filepost.choose_boundary()
        parts: list[Any] = [*form.fields, ("file", (form.name, b"", form.mime_type))]
        frame, headers["Content-Type"] = urllib3.encode_multipart_formdata(parts, boundary)
        tail = f"\r\n--{boundary}--\r\n".encode()
        ends_at = time.monotonic() + self._timeout_secs + form.size / SLOWEST_BYTES_PER_SEC
        body = FormBody(form, frame.removesuffix(tail), tail, ends_at=ends_at, note_end=self._begin_deadline)
        headers["Content-Length"] = str(len(body))
        return body

    def _exchange(self, call: Call, body: bytes | FormBody | None, headers: _Headers) -> Reply:
        # It is also how long a piece of the body may stand still.
        connect_secs = self._timeout_secs if call.form is not None else min(_CONNECT_SECS, self._timeout_secs)
        try:
            answer = self._route.pool.urlopen(
                call.method,
                self._route.prefix + call.target,
                body=cast("Any", body),
                headers=headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=connect_secs, read=self._timeout_secs),
                preload_content=False,
                decode_content=False,
            )
            return self._read(call, cast("urllib3.HTTPResponse", answer))
        except (HTTPError, OSError, http.client.HTTPException) as error:
            no_reply = self._no_reply(call, error)
        # Raised out here, it does not drag the library's frames along, which hold the request's headers.
        raise no_reply

    def _read(self, call: Call, answer: urllib3.HTTPResponse) -> Reply:
        try:
            kept = {name.lower(): value for name, value in answer.headers.items() if name.lower() in _KEPT_HEADERS}
            raw = _read_bounded(answer, f"{call.method} {call.path}")
            body = _decoded(raw, kept.get("content-encoding", ""), f"{call.method} {call.path}")
        except BaseException:
            # What is left on the wire belongs to this answer; the connection is of no use to the next one.
            answer.close()
            raise
        answer.release_conn()
        if 300 <= answer.status < 400:
            raise ReplyError(
                f"{call.method} {call.path} was answered with a redirect ({answer.status}). It is not followed, "
                f"since the key and the data belong to {self._base_url} alone; is the base URL right?"
            )
        return Reply(answer.status, kept, body, len(raw))

    def _find_route(self, proxies: dict[str, str]) -> _Route:
        request = requests.Request("GET", self._base_url + "/").prepare()
        ca_bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        try:
            pool = self._adapter.get_connection_with_tls_context(request, verify=ca_bundle, proxies=proxies)
            self._adapter.cert_verify(pool, self._base_url, ca_bundle, None)  # type: ignore[no-untyped-call]
            if isinstance(pool, urllib3.connectionpool.HTTPSConnectionPool):
                _share_trust(pool)
        except (OSError, requests.RequestException) as error:
            raise ConfigError(
                f"The way to {self._base_url} cannot be set up: {self._key.erase_from(str(error))}"
            ) from None
        headers = _Headers(Accept="application/json", Authorization=self._key.basic_auth)
        headers |= {"Accept-Encoding": "gzip", "User-Agent": "refonte-frames"}
        # Plain http is for loopback alone and passes no proxy, so the target is never an absolute URL.
        return _Route(cast("Any", pool), urllib3.util.parse_url(self._base_url).path or "", headers)

    def _no_reply(self, call: Call, error: Exception) -> NoReplyError:
        # A TLS error can come while reading too; only a certificate that was refused came before anything was sent.
        was_refused = isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
        was_sent = not (was_refused or isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError))
        if isinstance(error, ReadTimeoutError | TimeoutError):
            reason = f"no complete answer within {self._timeout_secs:g} s"
        else:
            reason = _cause(error)
        what = f"{call.method} {call.path} got no answer from {self._base_url}: {self._key.erase_from(reason)}."
        remedy = (
            " It may have been carried out all the same."
            if was_sent
            else " Nothing was sent. Is the service running there, and are base URL, network and proxy right?"
        )
        return NoReplyError(what + remedy, was_sent=was_sent)


def _share_trust(pool: urllib3.connectionpool.HTTPSConnectionPool) -> None:
    """Read the authorities once: each connection would read their file again, which costs more than its handshake."""
    context = urllib3.util.ssl_.create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    # Where nobody names authorities, some versions of requests set none here and keep a context of their own.
    file = pool.ca_certs or (None if pool.ca_cert_dir else requests.utils.DEFAULT_CA_BUNDLE_PATH)
    context.load_verify_locations(file, pool.ca_cert_dir)
    pool.conn_kw["ssl_context"] = context
    pool.ca_certs = pool.ca_cert_dir = None


def _cause(error: BaseException) -> str:
    """Say what failed, from the innermost error that has something to say."""
    inner = error.__cause__ or error.__context__
    while inner is not None and not isinstance(error, OSError):
        error, inner = inner, inner.__cause__ or inner.__context__
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    # It may repeat what somebody sent: bytes that a terminal would obey.
    return "".join(character if character.isprintable() else "?" for character in said)


def _read_bounded(answer: urllib3.HTTPResponse, where: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read(_READ_BYTES, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise ReplyError(f"{where} was answered with more than {MAX_REPLY_BYTES:,} bytes.", is_too_large=True)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decoded(raw: bytes, coding: str, where: str) -> bytes:
    """Undo at most one gzip, and stop at the limit: 200 KB can hold 200 MB of zeros."""
    coding = coding.strip().lower()
    if coding in ("", "identity") or not raw:
        return raw
    if coding not in ("gzip", "x-gzip"):
        raise ReplyError(f"{where} was answered in the encoding {coding!r}; only gzip was offered.")
    gzip = zlib.decompressobj(wbits=31)
    try:
        body = gzip.decompress(raw, MAX_REPLY_BYTES)
    except zlib.error as error:
        raise ReplyError(f"{where} was answered with damaged gzip: {error}.") from None
    if gzip.unconsumed_tail:
        raise ReplyError(
            f"{where} was answered with gzip that unpacks to more than {MAX_REPLY_BYTES:,} bytes.", is_too_large=True
        )
    if not gzip.eof:
        raise ReplyError(f"{where} was answered with gzip that was cut off.")
    return body


def addresses_of(target: Target) -> list[str]:
    """Resolve the host of a URL; without any when nobody knows it."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Visitor:
    """Asks hosts that are not the service's: no key, no .netrc, no redirect, no encoding of the body.

    A proxy of the environment is asked for a tunnel to the address that the caller names.

    Connections are kept per host and address; a visitor serves many threads.

    Parameters
    ----------
    timeout_secs : float
        From the first byte sent to the last byte read of one request.
    pool_size : int
        Connections kept open per host.
    """

    def __init__(self, *, timeout_secs: float, pool_size: int) -> None:
        self._timeout_secs = timeout_secs
        self._pool_size = pool_size
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str, int, str], urllib3.connectionpool.HTTPConnectionPool] = {}
        self._unreached: set[str] = set()

    def visit(self, target: Target, addresses: Sequence[str]) -> Visit:
        """Send a GET.

        Parameters
        ----------
        target : Target
            What to ask for.
        addresses : sequence of str
            Where to connect, the next one where one cannot be reached; the certificate has to be the host's all the
            same. A name is not resolved again: in between it may have come to mean another machine.

        Raises
        ------
        NoReplyError
            No connection, or no complete answer in time; also while the body is read.
        """
        _deadline.ends_at = time.monotonic() + self._timeout_secs
        *others, last = sorted(addresses, key=self._unreached.__contains__)
        for address in others:
            try:
                return self._asked(target, address)
            except NoReplyError as error:
                if error.was_sent:
                    raise
                self._unreached.add(address)
        return self._asked(target, last)

    def _asked(self, target: Target, address: str) -> Visit:
        headers = {"Host": target.authority, "Accept": "*/*", "Accept-Encoding": "identity"}
        try:
            answer = self._pool(target, address).urlopen(
                "GET",
                target.path,
                headers=headers | {"User-Agent": "refonte-frames"},
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECS, self._timeout_secs), read=self._timeout_secs),
                preload_content=False,
                decode_content=False,
            )
        except (HTTPError, OSError, http.client.HTTPException) as error:
            raise _no_visit(target, error) from None
        return Visit(target, cast("urllib3.HTTPResponse", answer))

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _pool(self, target: Target, address: str) -> urllib3.connectionpool.HTTPConnectionPool:
        place = (target.scheme, target.host, target.port, address)
        with self._lock:
            pool = self._pools.pop(place, None) or _pool_at(target, address, self._pool_size)
            self._pools[place] = pool
            while len(self._pools) > _MOST_POOLS:
                # The one that was not used for longest; a connection that is out of it is closed when it comes back.
                self._pools.pop(next(iter(self._pools))).close()
            return pool


class Visit:
    """The answer to one GET of a `Visitor`.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : dict of str to str
        Names in lower case.
    """

    def __init__(self, target: Target, answer: urllib3.HTTPResponse) -> None:
        self._target = target
        self._answer = answer
        self._is_read = False
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.headers.items()}

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes."""
        while True:
            try:
                chunk = self._answer.read(_READ_BYTES, decode_content=False)
            except (HTTPError, OSError, http.client.HTTPException) as error:
                raise _no_visit(self._target, error) from None
            if not chunk:
                self._is_read = True
                return
            yield chunk

    def close(self) -> None:
        """Give the connection back; one with a body that was not read to its end is of no use to anybody."""
        if self._is_read:
            self._answer.release_conn()
        else:
            self._answer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _no_visit(target: Target, error: Exception) -> NoReplyError:
    was_sent = not isinstance(error, NewConnectionError | ConnectTimeoutError)
    cause = _cause(error)[:_LONGEST_CAUSE]
    return NoReplyError(f"no complete answer from {target.authority}: {cause}", was_sent=was_sent)


def _pool_at(target: Target, address: str, pool_size: int) -> urllib3.connectionpool.HTTPConnectionPool:
    if target.scheme == "http":
        return _Pool(address, target.port, maxsize=pool_size)
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    bundle = bundle or requests.utils.DEFAULT_CA_BUNDLE_PATH
    options: dict[str, Any] = {
        "maxsize": pool_size,
        "cert_reqs": "CERT_REQUIRED",
        "ca_cert_dir" if os.path.isdir(bundle) else "ca_certs": bundle,  # noqa: PTH112 - text, as it was given
        "server_hostname": target.host,
        "assert_hostname": target.host,
    }
    proxy = proxy_for(target)
    if proxy is None:
        return _TLSPool(address, target.port, **options)
    # Through a tunnel, so that the proxy is told the address that was checked, and sees nothing of what is asked.
    manager = _proxy_manager(proxy)
    place = f"[{address}]" if ":" in address else address
    return manager.connection_from_host(place, target.port, "https", pool_kwargs=options)


def proxy_for(target: Target) -> str | None:
    """Return the proxy that the environment names for a host; none for plain http, which only named hosts speak.

    Raises
    ------
    ConfigError
        It speaks something else than HTTP, and cannot be used.
    """
    if target.scheme == "http":
        return None
    url = f"https://{target.authority}/"
    proxy: str | None = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if (scheme := proxy.partition("://")[0].lower()) not in ("http", "https"):
        raise ConfigError(
            f"The environment names a proxy of the kind {scheme} for {target.host}; downloads use HTTP proxies only. "
            "Set HTTPS_PROXY to such a one, or name the host in NO_PROXY."
        )
    return proxy


def _proxy_manager(proxy: str) -> urllib3.ProxyManager:
    user, password = requests.utils.get_auth_from_url(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
    manager = urllib3.ProxyManager(proxy, proxy_headers=headers)
    manager.pool_classes_by_scheme = _Adapter.classes
    return manager
