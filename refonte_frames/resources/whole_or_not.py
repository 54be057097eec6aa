"""Requests about many that the service carries out whole or not at all, cut down to those at fault. No endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from refonte_frames.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["each_that_can"]

T = TypeVar("T")

#: So many in one request, at most.
_MOST: Final = 100


def each_that_can(items: Sequence[T], send: Callable[[Sequence[T]], object]) -> dict[T, BadRequest | None]:
    """Send all of them, and where that is refused, halves, until only those are left out that are refused alone.

    Parameters
    ----------
    items : sequence
        Whom or what it is about; sending one of them twice does no harm.
    send : callable
        Sends one request about some of them; raises `BadRequest` where one is at fault and none was done.

    Returns
    -------
    dict
        The refusal of each item, or None where it was done.

    Examples
    --------
    >>> def send(items):
    ...     if "x" in items:
    ...         raise rf.BadRequest("no x", status_code=400)
    >>> {item: str(error) for item, error in each_that_can(["a", "x", "b"], send).items()}
    {'a': 'None', 'x': 'no x', 'b': 'None'}
    """
    done: dict[T, BadRequest | None] = {}
    for start in range(0, len(items), _MOST):
        done |= _halved(items[start : start + _MOST], send)
    return done


def _halved(items: Sequence[T], send: Callable[[Sequence[T]], object]) -> dict[T, BadRequest | None]:
    try:
        send(items)
    except BadRequest as error:
        if len(items) == 1:
            return {items[0]: error}
        half = len(items) // 2
        return _halved(items[:half], send) | _halved(items[half:], send)
    return dict.fromkeys(items)
