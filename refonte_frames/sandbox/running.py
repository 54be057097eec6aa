"""What one server process holds besides its service: faults, the control token, the last requests."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refonte_frames.sandbox.deliveries import Postman
    from refonte_frames.sandbox.exchange import Asked
    from refonte_frames.sandbox.faults import Faults, Order
    from refonte_frames.sandbox.service import Service

__all__ = ["Running"]


@dataclass(slots=True)
class Running:
    """One server process.

    Attributes
    ----------
    postman : Postman
        Delivers callbacks.
    token : str
        What a control call must carry.
    hosts : frozenset of str
        Values of the Host header that are answered: another one is a web page that had its name rebound to us.
    requests : deque of dict
        The last requests to the API, without keys and bodies.
    in_flight : set
        Accounts and Idempotency-Keys of creations that an ordered delay holds up.
    """

    service: Service
    faults: Faults
    postman: Postman
    token: str
    hosts: frozenset[str]
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))
    in_flight: set[tuple[bytes, str] | None] = field(default_factory=set)

    def note(self, asked: Asked, order: Order) -> None:
        """Keep a line about a request."""
        fault = order.rule.action if order.rule else next(iter(order.twists), None)
        idempotency_key = asked.headers.get("idempotency-key")
        entry = {"method": asked.method, "path": asked.path, "query": asked.query, "fault": fault}
        self.requests.append({**entry, "idempotency_key": idempotency_key})
