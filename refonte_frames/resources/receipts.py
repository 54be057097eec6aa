"""Receipts of this room: what became of each row put behind it, told in one line, and what stopped the run raised."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from refonte_frames import progress as bars
from refonte_frames.errors import SubmitInterrupted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refonte_frames.errors import RefonteError

__all__ = ["beside", "counts_of", "end_with", "tell"]


def beside(rows: pd.DataFrame, results: Mapping[str, pd.Series[Any]]) -> pd.DataFrame:
    """Put results behind their rows, whose index they take; columns of the caller's of these names make way."""
    kept = rows.loc[:, [name not in results for name in rows.columns]]
    ours = pd.DataFrame(dict(results))
    ours.index = kept.index
    receipt = pd.concat([kept, ours], axis=1)
    receipt.attrs = {}
    return receipt


def counts_of(receipt: pd.DataFrame, outcomes: Sequence[str]) -> dict[str, int]:
    """Count the rows by outcome; every outcome is there, with 0 if need be."""
    found = Counter(receipt["outcome"].tolist())
    counts = {outcome: found.get(outcome, 0) for outcome in outcomes}
    assert sum(counts.values()) == len(receipt), f"the accounts do not balance: {counts} of {len(receipt)} rows"
    return counts


def tell(receipt: pd.DataFrame, name: str, remark: str = "") -> None:
    """Say how it went in one line."""
    about = receipt.attrs["refonte"]
    codes = Counter(code for code in receipt["error_code"].tolist() if code)
    line = f"refonte_frames {name}: {len(receipt):,} rows: {_listed(about['counts'])} in {about['seconds']:.1f} s."
    bars.say(line + (f" Errors: {_listed(codes)}." if codes else "") + remark)


def end_with(receipt: pd.DataFrame, *, was_interrupted: bool, halted_by: RefonteError | None) -> pd.DataFrame:
    """Give the receipt, or raise what stopped the run, with the receipt.

    Raises
    ------
    SubmitInterrupted
        After Ctrl-C.
    RefonteError
        What halted it.
    """
    counts = receipt.attrs["refonte"]["counts"]
    rest = f"{counts['unsent']:,} of {len(receipt):,} rows are unsent; run the same call again to go on."
    if was_interrupted:
        sentence = f"Interrupted: {rest} The receipt so far is the exception's .receipt."
        raise SubmitInterrupted(sentence, receipt=receipt, counts=counts)
    if halted_by is not None:
        end = "" if halted_by.message.endswith((".", "?", "!")) else "."
        halted_by.receipt = receipt
        halted_by.message = f"{halted_by.message}{end} {rest}"
        halted_by.args = (halted_by.message,)
        raise halted_by
    return receipt


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"
