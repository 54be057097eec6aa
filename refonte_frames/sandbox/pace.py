"""How many requests a key may make: a bucket per world that fills in real time, whatever the sandbox's clock says."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """The buckets of all worlds; each holds the requests of one second, at least one."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[float, float]] = {}

    def wait_secs(self, world: int, per_sec: float, now_secs: float) -> float:
        """Take a request out of a world's bucket; tell how long to wait where there is none, 0 where there was.

        >>> pace = Pace()
        >>> [pace.wait_secs(1, 2.0, now) for now in (0.0, 0.0, 0.0, 0.25, 0.5)]
        [0.0, 0.0, 0.5, 0.25, 0.0]
        """
        size = max(per_sec, 1.0)
        level, since = self._buckets.get(world, (size, now_secs))
        level = min(size, level + (now_secs - since) * per_sec)
        if level < 1:
            self._buckets[world] = (level, now_secs)
            return (1 - level) / per_sec
        self._buckets[world] = (level - 1, now_secs)
        return 0.0
