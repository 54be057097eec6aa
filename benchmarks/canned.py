"""A service that answers every creation with a small task and keeps nothing, so that a client's own cost is seen.

Started by `submit.py`. Served by uvicorn, over TLS where a file with certificate and key is named; prints its port when
it listens.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

import uvicorn

ANSWER = b'{"task_id":"%024x","type":"categorization","status":"pending","created_at":"2026-01-01T00:00:00.000Z",'
ANSWER += b'"params":{"attachment":"text","attachment_type":"text","categories":["a","b"]},"metadata":{"source":"x"},'
ANSWER += b'"instruction":"%s"}' % (b"Choose what the text is about. " * 10)
HEADERS = [(b"content-type", b"application/json")]
NUMBERS = itertools.count(1)


def app_of(pause_secs: float) -> Any:
    """Make the app; each answer takes so long."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer creations; a look at one task finds it."""
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        if pause_secs:
            await asyncio.sleep(pause_secs)
        body = ANSWER % next(NUMBERS)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*HEADERS, (b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    return app


def main(pause_secs: float, certificate: str | None) -> None:
    """Serve until it is ended."""
    # With the protocol named, asyncio switches Nagle's delay off: else each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app_of(pause_secs), log_level="error", lifespan="off", ssl_certfile=certificate, timeout_keep_alive=60
    )
    uvicorn.Server(config).run(sockets=[listener])
