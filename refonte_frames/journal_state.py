"""Where the run of a journal stands: counts, what is left, what to do next, and how it is told. It opens no file."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["JournalState"]


@dataclass(frozen=True, slots=True)
class JournalState:
    """Where a run stands, by its journal.

    Attributes
    ----------
    jobs : list of dict
        Type, project and batch of each submission that used it.
    counts : dict of str to int
        Tasks by state.
    codes : dict of str to int
        Tasks that failed, by error code.
    last_call : dict
        ``began_at`` and ``rows`` of the last call; ``ended_at`` and ``counts`` if it ended in good order.
    written_at : float
        Unix time of the last write.
    """

    path: Path
    run_id: str
    purpose: str
    host: str
    key_fingerprint: str
    recipe: str
    created_at: float
    written_at: float
    jobs: list[dict[str, str | None]]
    counts: dict[str, int]
    codes: dict[str, int]
    last_call: dict[str, Any]

    def next_steps(self) -> list[str]:
        """Say what is to be done, in sentences."""
        steps = []
        if self.last_call and "ended_at" not in self.last_call:
            steps.append("The last call has not ended: it is running, or was stopped; then run it again to go on.")
        left = self.counts.get("sending", 0) + self.counts.get("unsent", 0)
        left += (self.last_call.get("counts") or {}).get("unsent", 0)
        if left and steps == []:
            steps.append("Rows are left: run the same call again, and each ends exactly once.")
        if self.counts.get("unknown"):
            steps.append("Rows without a unique_id were sent without an answer: run the same call again within a day.")
        if self.codes or (self.last_call.get("counts") or {}).get("failed"):
            steps.append(
                "Mend the failed rows, or what refused them, and run the same call again; others are not resent."
            )
        return steps or ["Nothing: every task that was begun has its end."]

    def as_json(self) -> dict[str, Any]:
        """Return the state as plain JSON types."""
        return {**asdict(self), "path": str(self.path), "next_steps": self.next_steps()}

    def __str__(self) -> str:
        """Tell it in a few lines."""
        jobs = [", ".join(f"{name} {value}" for name, value in job.items() if value) or "mixed" for job in self.jobs]
        call = self.last_call
        ended = (
            f"ended {_stamp(call['ended_at'])}: {_listed(call['counts'])}" if "ended_at" in call else "no end is noted"
        )
        rows = "rows read piece by piece" if call.get("rows") is None else f"{call['rows']:,} rows"
        lines = [
            f"journal    {self.path}",
            f"run        {self.run_id} of rf.{self.purpose}, begun {_stamp(self.created_at)}",
            f"account    {self.host}, key with fingerprint {self.key_fingerprint}",
            *(f"job        {job}" for job in jobs),
            f"tasks      {sum(self.counts.values()):,}: {_listed(self.counts)}",
            *([f"failed     {_listed(self.codes)}"] if self.codes else []),
            *([f"last call  began {_stamp(call['began_at'])} with {rows}, {ended}"] if call else []),
            f"written    {_stamp(self.written_at)}",
            *(f"next       {step}" for step in self.next_steps()),
        ]
        return "\n".join(lines)


def _stamp(unix_secs: float) -> str:
    return dt.datetime.fromtimestamp(unix_secs, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"
