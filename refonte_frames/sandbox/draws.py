"""Random draws that depend on what is drawn for, never on when: upload order, threads and restarts change nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Draws", "joined"]

T = TypeVar("T")

_SEPARATOR = "\x1f"
_TWO_53 = float(1 << 53)


@dataclass(frozen=True, slots=True)
class Draws:
    """A stream of draws for one purpose; the same names give the same numbers.

    Parameters
    ----------
    key : bytes
        The seed and all names so far, hashed.
    """

    key: bytes

    @classmethod
    def of(cls, seed: int, *names: str | int) -> Draws:
        """Begin with a seed and the names of the purpose."""
        return cls(_digest(b"refonte-sandbox", (seed, *names)))

    def sub(self, *names: str | int) -> Draws:
        """Narrow the purpose."""
        return Draws(_digest(self.key, names))

    def uniform(self, *names: str | int) -> float:
        """Draw from [0, 1)."""
        return (int.from_bytes(_digest(self.key, names)[:8], "big") >> 11) / _TWO_53

    def order(self, texts: Sequence[bytes]) -> list[int]:
        """Put `joined` names in a random order: the one that sorting them by `uniform` gives, in less time."""
        key = self.key
        digests = [blake2b(text, key=key, digest_size=16).digest() for text in texts]
        return sorted(range(len(texts)), key=digests.__getitem__)

    def between(self, low: float, high: float, *names: str | int) -> float:
        """Draw from [low, high)."""
        return low + (high - low) * self.uniform(*names)

    def whole(self, low: int, high: int, *names: str | int) -> int:
        """Draw a whole number from low to high, both included."""
        return low + int((high - low + 1) * self.uniform(*names))

    def normal(self, *names: str | int) -> float:
        """Draw from the standard normal distribution (Box and Muller)."""
        first = 1.0 - self.uniform(*names, "radius")
        return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * self.uniform(*names, "angle"))

    def pick(self, choices: Sequence[T], *names: str | int) -> T:
        """Draw one of the choices, each as likely."""
        return choices[int(len(choices) * self.uniform(*names))]

    def uuid(self, *names: str | int) -> str:
        """Draw a version 4 UUID."""
        return str(UUID(bytes=_digest(self.key, (*names, "uuid")), version=4))


def joined(*names: str | int) -> bytes:
    """Write the names of a purpose as they are hashed."""
    return _SEPARATOR.join(map(str, names)).encode("utf-8", "surrogatepass")


def _digest(key: bytes, names: tuple[str | int, ...]) -> bytes:
    text = names[0] if len(names) == 1 else _SEPARATOR.join(map(str, names))
    return blake2b(str(text).encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()
