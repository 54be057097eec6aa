"""Ordered failures: rules that choose requests, and what then goes wrong, before or after the server acted."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from refonte_frames.sandbox.draws import Draws
from refonte_frames.sandbox.queries import TASK_FILTERS

if TYPE_CHECKING:
    from refonte_frames.sandbox.exchange import Asked

__all__ = ["ACTIONS", "TWISTS", "Faults", "Order", "Rule"]

#: What may go wrong with an answer, and whether the server has acted by then unless the rule says otherwise.
ACTIONS: dict[str, str] = {
    "drop": "before",
    "status": "before",
    "redirect": "before",
    "body": "before",
    "garbage": "before",
    "delay": "before",
    "truncate": "after",
    "malformed": "after",
    "empty": "after",
    "drip": "after",
    "bad_gzip": "after",
    "gzip_bomb": "after",
    "oversize": "after",
}
#: What may go wrong inside `GET /tasks`: the answer arrives whole, and is wrong.
TWISTS = ("list_lag", "wrong_total", "repeat_page", "shift_page", "expired_token", "ignore_filters", "last_token")

#: The kinds of a fault; the first is meant when none is told.
_KINDS = {
    "drop": ("rst", "fin"),
    "drip": ("body", "head"),
    "truncate": ("length", "chunked"),
    "last_token": ("absent", "null", "empty_page"),
}

#: What can stand in a header.
_HEADER = r"\A[ -~]*\Z"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests fail, and how. Without ``nth``, ``times``, ``every`` or ``p``: the first one only.

    Attributes
    ----------
    action : str
        One of `ACTIONS` or `TWISTS`.
    method, path : str
        Pattern of the verb and of the percent-encoded path, with or without its ``/v1``.
    nth : int, optional
        Begin with the n-th matching request (1 is the first).
    times : int, optional
        Stop after so many.
    every : int, optional
        Only each so-many-th.
    p : float, optional
        Chance for each request, drawn from the seed, the request and how often it came before.
    side : {"before", "after"}, optional
        Whether the server acts (and commits) first. Default: see `ACTIONS`.
    status : int
        Of ``status`` and ``redirect``.
    is_html : bool
        Whether a ``status`` answers with a proxy's HTML page.
    is_saved : bool
        Whether the ``status`` is kept under the request's Idempotency-Key and replayed.
    retry_after : str, optional
        The header's text.
    retry_after_date_secs : float, optional
        The header as an HTTP-date so many seconds after the reply's Date.
    secs : float
        Of ``delay``, of each byte of ``drip``, and how long ``list_lag`` hides a new task.
    how : str
        ``rst`` or ``fin`` of ``drop``; ``head`` or ``body`` of ``drip``; ``null`` or ``empty_page`` of
        ``last_token``; ``length`` or ``chunked`` of ``truncate``.
    keep : float
        Share of the body that ``truncate`` lets through.
    size_bytes : int
        Of ``gzip_bomb`` (unpacked) and ``oversize``.
    text : str
        Of ``body``; location of ``redirect``.
    names : tuple of str
        Filters that ``ignore_filters`` overlooks.
    by : int
        What ``wrong_total`` adds.
    """

    action: str
    method: str = "*"
    path: str = "*"
    nth: int | None = None
    times: int | None = None
    every: int | None = None
    p: Annotated[float, Meta(ge=0, le=1)] | None = None
    side: Literal["before", "after"] | None = None
    status: Annotated[int, Meta(ge=200, le=599)] = 500
    is_html: bool = False
    is_saved: bool = False
    retry_after: Annotated[str, Meta(pattern=_HEADER)] | None = None
    retry_after_date_secs: Annotated[float, Meta(ge=-1e9, le=1e9)] | None = None
    secs: Annotated[float, Meta(ge=0, le=1e9)] = 1.0
    how: str = ""
    keep: Annotated[float, Meta(ge=0, le=1)] = 0.5
    size_bytes: Annotated[int, Meta(ge=0, le=1 << 40)] = 256 * 1024 * 1024
    text: str = ""
    names: tuple[str, ...] = ()
    by: Annotated[int, Meta(ge=-(10**9), le=10**9)] = 1

    def __post_init__(self) -> None:
        if self.action not in ACTIONS and self.action not in TWISTS:
            raise ValueError(f"there is no fault {self.action!r}; there are {', '.join((*ACTIONS, *TWISTS))}")
        if any(number is not None and number < 1 for number in (self.nth, self.times, self.every)):
            raise ValueError("nth, times and every count from 1")
        kinds = _KINDS.get(self.action, ())
        if self.how and self.how not in kinds:
            raise ValueError(f"{self.action!r} knows no how={self.how!r}; it knows {', '.join(kinds) or 'none'}")
        if unknown := [name for name in self.names if name not in TASK_FILTERS]:
            raise ValueError(f"{unknown[0]!r} is no filter of the list of tasks; there are {', '.join(TASK_FILTERS)}")
        if self.action == "redirect" and not re.search(_HEADER, self.text):
            raise ValueError("the location of a redirect is printable ASCII")

    @property
    def acts_first(self) -> bool:
        """Whether the server carries the request out before things go wrong."""
        return (self.side or ACTIONS.get(self.action)) == "after"

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant."""
        paths = (path, path.removeprefix("/v1"))
        return fnmatchcase(method, self.method) and any(fnmatchcase(each, self.path) for each in paths)

    def chooses(self, number: int, fired: int, chance: float) -> bool:
        """Whether the ``number``-th matching request is meant, after so many fires, with this draw."""
        is_single = not (self.times or self.every or self.p is not None)
        most = 1 if is_single else self.times
        first = self.nth or (self.every or 1)
        is_in_step = number >= first and (number - first) % (self.every or 1) == 0
        return is_in_step and (most is None or fired < most) and (self.p is None or chance < self.p)


@dataclass(slots=True)
class _Armed:
    number: int
    rule: Rule
    seen: int = 0
    fired: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What shall go wrong with one request.

    Attributes
    ----------
    rule : Rule or None
        The failure of the answer; None when there is none.
    twists : dict
        For the list.
    """

    rule: Rule | None = None
    twists: dict[str, Any] = field(default_factory=dict)


_NOTHING = Order()


class Faults:
    """The rules of one running sandbox and the log of what they did.

    Parameters
    ----------
    seed : int
        Of the draws for ``p``.
    """

    def __init__(self, seed: int) -> None:
        self._draws = Draws.of(seed, "faults")
        self._armed: list[_Armed] = []
        self._numbers = 0
        self._repeats: dict[bytes, int] = {}
        self.log: deque[dict[str, Any]] = deque(maxlen=10_000)

    def add(self, rule: Rule) -> int:
        """Arm a rule; returns its number."""
        self._numbers += 1
        self._armed.append(_Armed(self._numbers, rule))
        return self._numbers

    def clear(self) -> None:
        """Disarm all rules and forget the log."""
        self._armed.clear()
        self._repeats.clear()
        self.log.clear()

    def unfired(self) -> list[dict[str, Any]]:
        """List the rules that never did anything: a test that orders a fault wants it to have happened."""
        return [{"number": a.number, **_shown(a.rule)} for a in self._armed if not a.fired]

    def order(self, asked: Asked) -> Order:
        """Decide what goes wrong with a request, and log it.

        The first rule that fires decides about the answer; twists of the list add up.
        """
        if not self._armed:
            return _NOTHING
        chosen: Rule | None = None
        twists: dict[str, Any] = {}
        chance_of = self._request_key(asked)
        for armed in self._armed:
            if not armed.rule.matches(asked.method, asked.path):
                continue
            armed.seen += 1
            is_twist = armed.rule.action in TWISTS
            is_meant = armed.rule.chooses(armed.seen, armed.fired, self._draws.uniform(armed.number, chance_of))
            if not is_meant or (chosen and not is_twist):
                continue
            armed.fired += 1
            self._note(armed, asked)
            if is_twist:
                twists[armed.rule.action] = armed.rule
            else:
                chosen = armed.rule
        return Order(chosen, twists)

    def _request_key(self, asked: Asked) -> str:
        """Name a request and how often it came: draws then do not depend on the timing of threads."""
        parts = (asked.method, asked.path, str(asked.query))
        digest = blake2b("\0".join(parts).encode("utf-8", "replace") + asked.body, digest_size=16).digest()
        if any(armed.rule.p is not None for armed in self._armed):
            self._repeats[digest] = self._repeats.get(digest, 0) + 1
        return f"{digest.hex()}:{self._repeats.get(digest, 0)}"

    def _note(self, armed: _Armed, asked: Asked) -> None:
        side = "after" if armed.rule.acts_first else "before"
        entry = {"rule": armed.number, "action": armed.rule.action, "side": side, "method": asked.method}
        self.log.append({**entry, "path": asked.path, "nth": armed.seen})


def _shown(rule: Rule) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(rule).items() if value is not None}
