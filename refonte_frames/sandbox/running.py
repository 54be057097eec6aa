"""What one server process holds besides its service: faults, the control token, the last requests."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refonte_frames.sandbox.clock import stamp
from refonte_frames.sandbox.pace import Pace

if TYPE_CHECKING:
    from refonte_frames.sandbox.deliveries import Postman
    from refonte_frames.sandbox.exchange import Asked
    from refonte_frames.sandbox.faults import Faults, Order
    from refonte_frames.sandbox.service import Service, Switches

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
    url : str
        Where the server listens.
    hosts : frozenset of str
        Values of the Host header that are answered: another one is a web page that had its name rebound to us.
    switches_at_start : Switches
        What a reset of the switches goes back to: `set_switches` makes new ones and leaves these alone.
    requests : deque of dict
        The last requests to the API, without keys and bodies.
    pace : Pace
        Of each key's requests, where a switch limits it.
    in_flight : set
        Accounts and Idempotency-Keys of creations that an ordered delay holds up.
    """

    service: Service
    faults: Faults
    postman: Postman
    token: str
    url: str
    hosts: frozenset[str]
    switches_at_start: Switches = field(init=False)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=10_000))
    pace: Pace = field(default_factory=Pace)
    in_flight: set[tuple[bytes, str] | None] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Keep the switches the server was started with."""
        self.switches_at_start = self.service.switches

    def note(self, asked: Asked, order: Order, status: int | None) -> None:
        """Keep a line about a request; the status is None where an ordered fault left no whole answer."""
        self.requests.append(
            {
                "at": stamp(self.service.clock.now_ms()),
                "method": asked.method,
                "path": asked.path,
                "query": asked.query,
                "status": status,
                "fault": order.rule.action if order.rule else next(iter(order.twists), None),
                "idempotency_key": asked.headers.get("idempotency-key"),
            }
        )
