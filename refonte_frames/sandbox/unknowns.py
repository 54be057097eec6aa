"""Names in a request that the documents do not know: told in a header or refused, whatever the call; no SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from refonte_frames.sandbox.exchange import Answer, Asked, Refusal, World, read_json
from refonte_frames.sandbox.queries import Query
from refonte_frames.sandbox.service import Service

__all__ = ["Handler", "knowing"]

Handler = Callable[[Service, World, Asked], Answer]


def knowing(handler: Handler, *names: str, has_free_body: bool = False) -> Handler:
    """Give a handler that warns of every name in the body but these, and of every name in the query.

    Parameters
    ----------
    names : str
        What the call understands in its body.
    has_free_body : bool
        Whether the body is data of the caller's own, or looked through by the handler itself.
    """

    def call(service: Service, world: World, asked: Asked) -> Answer:
        inside = () if has_free_body else _unknown_in_body(asked, names)
        headers = service.warned((*Query(asked.query).unknown(()), *inside))
        answer = handler(service, world, asked)
        return replace(answer, headers=(*answer.headers, *headers))

    return call


def _unknown_in_body(asked: Asked, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name what a body holds besides; null is the same as absent, and a body that is no object is the handler's."""
    try:
        body = read_json(asked)
    except Refusal:
        return ()
    if not isinstance(body, dict):
        return ()
    return tuple(name for name, value in body.items() if name not in names and value is not None)
