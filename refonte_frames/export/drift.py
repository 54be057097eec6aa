"""Counts of what a service sent beyond or against its documentation; the counts are reported, never fatal. No I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Drift"]

#: Names come from the service: a hostile one could send a new one with every object.
_MAX_NAMES: Final = 200
_OTHERS: Final = "(others)"


@dataclass(slots=True)
class Drift:
    """What did not look as documented.

    Attributes
    ----------
    unknown_keys : Counter
        ``table.key`` of keys nobody documented, with the number of objects that had them; kept in ``extra_json``.
    misfits : Counter
        ``table.column`` of values that did not fit their column; the column is null there, the original kept.
    unknown_responses : Counter
        Task types of responses, or parts of responses, of a form nobody documented; kept in ``response_json``.
    """

    unknown_keys: Counter[str] = field(default_factory=Counter)
    misfits: Counter[str] = field(default_factory=Counter)
    unknown_responses: Counter[str] = field(default_factory=Counter)

    def note_key(self, name: str) -> None:
        """Count an undocumented key."""
        _count(self.unknown_keys, name, 1)

    def note_misfit(self, name: str) -> None:
        """Count a value that did not fit."""
        _count(self.misfits, name, 1)

    def note_response(self, task_type: str | None) -> None:
        """Count a response of an unknown form."""
        _count(self.unknown_responses, task_type or "(no type)", 1)

    def add(self, other: Drift) -> None:
        """Take over the counts of another."""
        for mine, theirs in zip(self._counters(), other._counters(), strict=True):
            for name, count in theirs.items():
                _count(mine, name, count)

    def as_json(self) -> dict[str, dict[str, int]]:
        """Return the counts as plain JSON types, sorted by name."""
        names = ("unknown_keys", "misfits", "unknown_responses")
        return {name: dict(sorted(counter.items())) for name, counter in zip(names, self._counters(), strict=True)}

    @classmethod
    def from_json(cls, counts: dict[str, dict[str, int]]) -> Drift:
        """Undo `as_json`."""
        return cls(*(Counter(counts.get(name, {})) for name in ("unknown_keys", "misfits", "unknown_responses")))

    def __bool__(self) -> bool:
        return any(self._counters())

    def _counters(self) -> tuple[Counter[str], Counter[str], Counter[str]]:
        return self.unknown_keys, self.misfits, self.unknown_responses


def _count(counter: Counter[str], name: str, count: int) -> None:
    counter[name if name in counter or len(counter) < _MAX_NAMES else _OTHERS] += count
