"""The sockets below the server, for faults that no HTTP framework can express; no rules, no SQL.

ASGI hands an application messages, never the connection, so a reset, a broken status line or a header that drips
cannot be said in it. uvicorn takes its protocol class as a setting: `TrackedProtocol` notes each connection's
transport under the client's address (two methods of `asyncio.Protocol`, nothing of uvicorn's insides), and a
fault writes its bytes there and hangs up. uvicorn then sees a client that is gone, and stays silent.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

from refonte_frames.sandbox.exchange import Answer, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refonte_frames.sandbox.faults import Rule

__all__ = ["TrackedProtocol", "answer_of_rule", "spoil", "transport_of"]

_transports: dict[tuple[str, int], asyncio.Transport] = {}

_CHUNK = 64 * 1024


class TrackedProtocol(H11Protocol):
    """uvicorn's protocol on h11, whose connections can be found by the client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the connection."""
        super().connection_made(transport)
        _transports[transport.get_extra_info("peername")[:2]] = transport
        self._peer = transport.get_extra_info("peername")[:2]

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        _transports.pop(self._peer, None)
        super().connection_lost(exc)


def transport_of(client: tuple[str, int]) -> asyncio.Transport:
    """Find the connection of a client's address."""
    return _transports[client]


def answer_of_rule(rule: Rule, now_date: str) -> Answer | None:
    """Make the answer of a fault that is just another answer; None for those that need the socket.

    Parameters
    ----------
    now_date : str
        The HTTP-date for a Retry-After that is given as one.
    """
    if rule.action == "status":
        return _status(rule, now_date)
    if rule.action == "redirect":
        status = rule.status if 300 <= rule.status < 400 else 302
        return Answer(b"", status, (("location", rule.text or "/v1/elsewhere"),))
    if rule.action == "body":
        return Answer(rule.text.encode("utf-8", "surrogatepass"), rule.status if rule.status != 500 else 200)
    return None


def _status(rule: Rule, now_date: str) -> Answer:
    retry_after = now_date if rule.retry_after_date_secs is not None else rule.retry_after
    headers = (("retry-after", retry_after),) if retry_after is not None else ()
    phrase = _phrase(rule.status)
    if rule.is_html:
        page = f"<html><head><title>{rule.status} {phrase}</title></head><body><h1>{phrase}</h1></body></html>"
        return Answer(page.encode(), rule.status, (*headers, ("content-type", "text/html")))
    return Answer(encode({"status_code": rule.status, "error": rule.text or phrase}), rule.status, headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


async def spoil(rule: Rule, answer: Answer, headers: tuple[tuple[str, str], ...], transport: asyncio.Transport) -> None:
    """Write a damaged answer to the socket, byte for byte, and hang up.

    Parameters
    ----------
    answer : Answer
        What an undamaged server would have said.
    headers : tuple of (str, str)
        All its headers but those about the body's length and coding.
    """
    if rule.action == "drop":
        _hang_up(transport, is_reset=rule.how != "fin")
        return
    pause = rule.secs if rule.action == "drip" else 0.0
    for piece in _pieces(rule, answer, headers):
        if transport.is_closing():
            return
        transport.write(piece)
        await asyncio.sleep(pause)
        await _drained(transport)
    transport.close()


def _hang_up(transport: asyncio.Transport, *, is_reset: bool) -> None:
    if not is_reset:
        transport.close()
        return
    # Lingering for zero seconds makes the kernel send RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _drained(transport: asyncio.Transport) -> None:
    """Wait until the client took most of what was written, so that a bomb does not fill our own memory."""
    while transport.get_write_buffer_size() > 16 * _CHUNK and not transport.is_closing():
        await asyncio.sleep(0.005)


def _pieces(rule: Rule, answer: Answer, headers: tuple[tuple[str, str], ...]) -> Iterator[bytes]:
    body = answer.body
    kept = body[: int(len(body) * rule.keep)]
    if rule.action == "garbage":
        yield b"SPDY/9 what? \x00\xff\r\n\r\n"
    elif rule.action == "truncate" and rule.how == "chunked":
        yield _head(answer.status, headers, ("transfer-encoding", "chunked")) + f"{len(body):x}\r\n".encode() + kept
    elif rule.action == "truncate":
        yield _head(answer.status, headers, ("content-length", str(len(body)))) + kept
    elif rule.action == "malformed":
        yield _head(answer.status, headers, ("content-length", str(len(kept)))) + kept
    elif rule.action == "empty":
        yield _head(answer.status, headers, ("content-length", "0"))
    elif rule.action == "bad_gzip":
        packed = gzip.compress(body)[:-12] + b"\x00" * 12
        yield _head(answer.status, headers, ("content-encoding", "gzip"), ("content-length", str(len(packed)))) + packed
    elif rule.action == "gzip_bomb":
        yield _head(answer.status, headers, ("content-encoding", "gzip"), ("connection", "close"))
        yield from _bomb(rule.size_bytes)
    elif rule.action == "oversize":
        yield _head(answer.status, headers, ("content-length", str(rule.size_bytes)))
        yield from _zeros(rule.size_bytes, b'[" ')
    elif rule.action == "drip":
        head = _head(answer.status, headers, ("content-length", str(len(body))))
        slow = head + body if rule.how == "head" else body
        if rule.how != "head":
            yield head
        yield from (slow[n : n + 1] for n in range(len(slow)))


def _head(status: int, headers: tuple[tuple[str, str], ...], *more: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in (*headers, *more))]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _zeros(size_bytes: int, begin: bytes = b"") -> Iterator[bytes]:
    yield begin
    left = size_bytes - len(begin)
    while left > 0:
        yield b" " * min(left, _CHUNK)
        left -= _CHUNK


def _bomb(size_bytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for piece in _zeros(size_bytes):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
