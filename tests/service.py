"""What the service holds, asked for in plain HTTP: the other side of every claim of a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from refonte_frames.transport.calls import Call, path_of

if TYPE_CHECKING:
    import refonte_frames as rf

TEXT = {"attachment_type": "text", "categories": ["a", "b"]}


def tasks_of(client: rf.Client) -> list[dict[str, Any]]:
    """List all tasks of the client's world, oldest first."""
    found: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        query = [("limit", "100")] + ([("next_token", token)] if token else [])
        page = msgspec.json.decode(client.send(Call.get("tasks", query=query)).body)
        found += page["docs"]
        token = page.get("next_token")
        if not token:
            return found[::-1]


def post(client: rf.Client, *segments: str, body: Any = None) -> Any:
    """Send a POST and return its answer."""
    raw = None if body is None else msgspec.json.encode(body)
    return msgspec.json.decode(client.send(Call("POST", path_of(*segments), body=raw)).body)
