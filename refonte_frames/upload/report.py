"""What a submission of input that came piece by piece came to, as a value; it is made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refonte_frames.upload.receipts import listed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SubmitReport"]


@dataclass(frozen=True, slots=True)
class SubmitReport:
    """What became of rows that were read piece by piece; their receipts lie in Parquet files.

    ``pandas.read_parquet(report.receipt_path)`` reads all of them, with the columns that `submit` gives a frame.

    Attributes
    ----------
    counts : dict of str to int
        Rows by outcome: ``created``, ``existing``, ``failed``, ``unsent``, ``unknown``. Together they are all rows
        that were read.
    journal : pathlib.Path
        The journal of the run.
    receipt_path : pathlib.Path
        A folder of Parquet files, one a chunk, their names in row order.
    is_whole : bool
        Whether the input was read to its end; a `limit`, an error and Ctrl-C leave the rest of it unread.
    changed : int
        Rows that have a task and differ from what was sent.
    seconds : float
        How long the call took.
    requests_by_status : dict of str to int
        Answers during the call.
    run_id : str
        Names the run; made once and kept in the journal.
    mapping : str
        What fed what.

    Examples
    --------
    >>> pieces = (pd.DataFrame({"text": [f"text {at}"]}) for at in range(3))
    >>> report = rf.submit(pieces, type="categorization", columns={"attachment": "text"}, progress=False,
    ...                    params={"attachment_type": "text", "categories": ["a", "b"]})
    >>> report.counts["created"], len(pd.read_parquet(report.receipt_path))
    (3, 3)
    """

    counts: dict[str, int]
    journal: Path
    receipt_path: Path
    is_whole: bool = True
    changed: int = 0
    seconds: float = 0.0
    requests_by_status: dict[str, int] = field(default_factory=dict)
    run_id: str = ""
    mapping: str = ""

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        """Sum the run up in a few lines."""
        end = "" if self.is_whole else ", and the rest was not read"
        return "\n".join(
            [
                f"SubmitReport {self.rows:,} rows: {listed(self.counts)}{end}",
                f"  receipts  {self.receipt_path}",
                f"  journal   {self.journal}",
            ]
        )

    __repr__ = __str__
