"""What a run of an export came to, as a value; it is made elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ExportReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What a run read, and what the folder holds now.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    run_id : str
        Names the run; also in the manifest.
    mode : str
        ``windows`` of time in parallel; ``batches`` in parallel when the service does not honour bounds of time;
        ``sequential`` when there are tasks in no batch, too;
        ``increment`` when only what may have changed was read, whichever way that was found; ``announced`` when only
        the tasks of callbacks were; ``replace`` for tables that are read in full each time.
    is_resumed : bool
        Whether this call went on with a run that had been killed.
    rows : dict of str to int
        Rows of every table now.
    tasks_read : int
        Tasks that were read.
    tasks_new, tasks_changed, tasks_unchanged : int or None
        What came of them; None when everything was read once more and nothing was compared.
    service_total : int or None
        Tasks that match by the service's account, to be held against ``rows["tasks"]``.
    pages, windows, windows_unsettled : int
        Pages and windows read, and windows whose rows never added up to the service's total.
    requests : dict of str to int
        Answers by status during this call; ``no_reply`` counts requests without one.
    wire_bytes : int
        Size of the pages on the wire.
    seconds : float
        How long this call took.
    drift : dict
        Counts of unknown keys, misfits and unknown responses, by name: nothing of them is lost.
    watermark, watermark_source : str
        The next increment begins shortly before this time, which is the ``service clock`` at the start of this run,
        ``this machine's clock`` where that was earlier or the service named none, or the ``newest stamp`` among the
        tasks where that was later.
    audits_complete_since : str or None
        Audits of tasks that were completed earlier may be missing since the last run with ``full=True``; None when
        all audits were read.
    changes : dict of str to dict
        With ``mode="replace"``, by table: how many rows were ``read``, how many of them were ``new``, ``changed`` and
        ``unchanged``, and how many others stayed as ``unlisted``.
    callbacks : dict of str to int
        Deliveries that this call settled, by outcome; see `refonte_frames.callbacks.received`.
    """

    path: Path
    run_id: str
    mode: str
    is_resumed: bool
    rows: dict[str, int]
    tasks_read: int
    tasks_new: int | None
    tasks_changed: int | None
    tasks_unchanged: int | None
    service_total: int | None
    pages: int
    windows: int
    windows_unsettled: int
    requests: dict[str, int]
    wire_bytes: int
    seconds: float
    drift: dict[str, dict[str, int]]
    watermark: str
    watermark_source: str
    audits_complete_since: str | None
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    callbacks: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain JSON types, without the path."""
        return {name: value for name, value in asdict(self).items() if name != "path"}

    @classmethod
    def from_json(cls, path: Path, report: dict[str, Any]) -> ExportReport:
        """Undo `as_json`; what a later version added is passed over."""
        known = {item.name for item in fields(cls)} - {"path"}
        return cls(path=path, **{name: value for name, value in report.items() if name in known})

    def __str__(self) -> str:
        """Sum the run up in a few lines."""
        if self.mode == "replace":
            return self._replaced()
        rows = ", ".join(f"{count:,} {table}" for table, count in self.rows.items())
        service = "unknown" if self.service_total is None else f"{self.service_total:,}"
        counts = (self.tasks_new, self.tasks_changed, self.tasks_unchanged)
        named = zip(("new", "changed", "unchanged"), counts, strict=True)
        outcome = ", ".join(f"{count:,} {name}" for name, count in named if count is not None) or "all there are"
        effort = f"{self.pages:,} pages in {self.windows:,} windows, {sum(self.requests.values()):,} requests"
        lines = [
            f"ExportReport {self.path}",
            f"  rows      {rows} (the service counts {service} tasks)",
            f"  read      {self.tasks_read:,} tasks: {outcome}",
            f"  effort    {self.mode}: {effort}, {self.wire_bytes / 1e6:,.1f} MB, {self.seconds:.1f} s",
        ]
        if self.callbacks:
            lines.append(f"  callbacks {', '.join(f'{count:,} {name}' for name, count in self.callbacks.items())}")
        notes = self._drift_notes()
        if self.windows_unsettled:
            notes.append(f"{self.windows_unsettled} windows never added up to the service's total")
        if notes:
            lines.append(f"  look at   {', '.join(notes)}")
        return "\n".join(lines)

    def _drift_notes(self) -> list[str]:
        return [f"{sum(counts.values()):,} {name.replace('_', ' ')}" for name, counts in self.drift.items() if counts]

    def _replaced(self) -> str:
        lines = [f"ExportReport {self.path}"]
        for table, counts in self.changes.items():
            named = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            lines.append(f"  {table:<9} {self.rows[table]:,} rows: {named}")
        lines.append(f"  effort    {sum(self.requests.values()):,} requests, {self.seconds:.1f} s")
        if notes := self._drift_notes():
            lines.append(f"  look at   {', '.join(notes)}")
        return "\n".join(lines)

    __repr__ = __str__
