"""The sockets below the server, for faults that no HTTP framework can express; no rules, no SQL.

ASGI hands an application messages, never the connection, so a reset, a broken status line or a header that drips
cannot be said in it. uvicorn takes its protocol class as a setting: `TrackedProtocol` notes each connection under
the client's address (with methods that `asyncio.Protocol` defines, nothing of uvicorn's insides), and a fault
writes its bytes there and hangs up. uvicorn then sees a client that is gone, and stays silent.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from refonte_frames.sandbox.exchange import Answer, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refonte_frames.sandbox.faults import Rule

__all__ = ["TrackedProtocol", "answer_of_rule", "connection_of", "spoil"]

_CHUNK = 64 * 1024

#: How much, and for how long, is read of a request that was refused before its end.
_DRAINED_BYTES = 128 * 1024 * 1024
_DRAIN_SECS = 5.0


class TrackedProtocol(H11Protocol):
    """uvicorn's protocol on h11, whose connection can be found by the client's address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the connection."""
        super().connection_made(transport)
        # No name where the client has hung up already; two of those need not be told apart.
        self._peer: tuple[str, int] = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._left_to_drain: int | None = None
        _connections[self._peer] = self

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and let go who waits for it."""
        if _connections.get(self._peer) is self:  # a reset one's address may be in use again by now
            del _connections[self._peer]
        self._may_write.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than we write."""
        self._may_write.clear()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has caught up."""
        self._may_write.set()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP as everything else is refused: uvicorn would answer in plain text."""
        answer = encode({"status_code": 400, "error": msg})
        headers = (("content-type", "application/json"), ("content-length", str(len(answer))), ("connection", "close"))
        self.transport.write(_head(400, headers) + answer)
        # Closing on a client that still sends makes the kernel reset the connection, and the answer is lost with it.
        self._left_to_drain = _DRAINED_BYTES
        self.transport.write_eof()
        self.loop.call_later(_DRAIN_SECS, self.transport.close)

    def data_received(self, data: bytes) -> None:
        """Hand on what arrives; after a refusal, throw it away until there is too much of it."""
        if self._left_to_drain is None:
            super().data_received(data)
            return
        self._left_to_drain -= len(data)
        if self._left_to_drain < 0:
            self.transport.close()

    async def write(self, piece: bytes) -> None:
        """Write bytes past the server, no faster than the client reads."""
        self.transport.write(piece)
        await self._may_write.wait()


_connections: dict[tuple[str, int], TrackedProtocol] = {}


def connection_of(client: Sequence[Any] | None) -> TrackedProtocol | None:
    """Find the connection of a client's address, as ASGI tells it; None when the client has hung up."""
    return _connections.get((client[0], client[1])) if client else None


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


async def spoil(rule: Rule, answer: Answer, headers: tuple[tuple[str, str], ...], connection: TrackedProtocol) -> None:
    """Write a damaged answer to the socket, byte for byte, and hang up.

    Parameters
    ----------
    answer : Answer
        What an undamaged server would have said.
    headers : tuple of (str, str)
        All its headers but those about the body's length and coding.
    """
    transport = connection.transport
    if rule.action == "drop":
        _hang_up(transport, is_reset=rule.how != "fin")
        return
    pause = rule.secs if rule.action == "drip" else 0.0
    for piece in _pieces(rule, answer, headers):
        if transport.is_closing():
            return
        await connection.write(piece)
        await asyncio.sleep(pause)
    transport.close()


def _hang_up(transport: asyncio.Transport, *, is_reset: bool) -> None:
    if not is_reset:
        transport.close()
        return
    # Lingering for zero seconds makes the kernel send RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _pieces(rule: Rule, answer: Answer, headers: tuple[tuple[str, str], ...]) -> Iterator[bytes]:
    """Give what goes over the wire; after each piece of it the rule's pause."""
    body = answer.body
    kept = body[: int(len(body) * rule.keep)]
    if rule.action == "garbage":
        yield b"SPDY/9 what? \x00\xff\r\n\r\n"
    elif rule.action == "gzip_bomb":
        yield _head(answer.status, headers, ("content-encoding", "gzip"))
        yield from _bomb(rule.size_bytes)
    elif rule.action == "oversize":
        yield _head(answer.status, headers, ("content-length", str(rule.size_bytes)))
        yield from _blanks(rule.size_bytes)
    elif rule.action == "drip":
        head = _head(answer.status, headers, ("content-length", str(len(body))))
        fast, slow = (b"", head + body) if rule.how == "head" else (head, body)
        yield fast
        yield from (slow[n : n + 1] for n in range(len(slow)))
    else:
        yield _damaged(rule, answer, headers, kept)


def _damaged(rule: Rule, answer: Answer, headers: tuple[tuple[str, str], ...], kept: bytes) -> bytes:
    """Give an answer in one piece whose body is not what the head says, or not what it should be."""
    whole = str(len(answer.body))
    if rule.action == "truncate" and rule.how == "chunked":
        size = f"{len(answer.body):x}\r\n".encode()
        return _head(answer.status, headers, ("transfer-encoding", "chunked")) + size + kept
    if rule.action == "truncate":
        return _head(answer.status, headers, ("content-length", whole)) + kept
    if rule.action == "malformed":
        return _head(answer.status, headers, ("content-length", str(len(kept)))) + kept
    if rule.action == "bad_gzip":
        packed = gzip.compress(answer.body)[:10] + b"\xff" * 40  # a good header, then no deflate block
        coding = (("content-encoding", "gzip"), ("content-length", str(len(packed))))
        return _head(answer.status, headers, *coding) + packed
    return _head(answer.status, headers, ("content-length", "0"))


def _head(status: int, headers: tuple[tuple[str, str], ...], *more: tuple[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in (*headers, *more))]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _blanks(size_bytes: int) -> Iterator[bytes]:
    """Give white space, which is the beginning of valid JSON however long it is."""
    for done in range(0, size_bytes, _CHUNK):
        yield b" " * min(size_bytes - done, _CHUNK)


def _bomb(size_bytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    for piece in _blanks(size_bytes):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()
