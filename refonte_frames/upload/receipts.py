"""The receipt of a submission and the frame of a plan: the caller's rows with what became, or would become, of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from refonte_frames.upload.plan import SENDING_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from refonte_frames.errors import RefonteError
    from refonte_frames.upload.plan import Decision, Task
    from refonte_frames.upload.settle import Settled

__all__ = ["OUTCOMES", "count_outcomes", "listed", "plan_frame", "receipt_of", "told_what_is_left", "unsent_receipt"]

OUTCOMES: Final = ("created", "existing", "failed", "unsent", "unknown")


def receipt_of(
    frame: pd.DataFrame, tasks: Sequence[Task], decisions: Sequence[Decision], settled: Mapping[int, Settled]
) -> pd.DataFrame:
    """Make the receipt: the caller's rows, and behind them what became of each.

    Parameters
    ----------
    frame : pandas.DataFrame
        The caller's rows.
    tasks, decisions : sequences of equal length
        The tasks the rows stand for, and what was decided about each.
    settled : mapping of int to Settled
        What the run made of them, by their place in `tasks`.
    """
    lines: list[_Line | None] = [None] * len(frame)
    for at, (task, decision) in enumerate(zip(tasks, decisions, strict=True)):
        line = _line(task, decision, settled.get(at))
        for position in task.positions:
            lines[position] = line
        for position in task.differing if line.task_id is not None else ():
            lines[position] = line._replace(changed=True)
    receipt = _with_columns(frame, lines, _Line._fields)
    counts = count_outcomes(receipt)
    assert sum(counts.values()) == len(frame), f"the accounts do not balance: {counts} of {len(frame)} rows"
    return receipt


class _Line(NamedTuple):
    """The receipt of one row; its fields are the receipt's columns."""

    task_id: str | None
    unique_id: str | None
    outcome: str
    task_status: str | None
    changed: bool = False
    error_code: str | None = None
    error_message: str | None = None
    tries: int = 0


def _line(task: Task, decision: Decision, settled: Settled | None) -> _Line:
    """Say what became of a task."""
    entry = decision.entry
    tries = entry.tries if entry else 0
    if task.error is not None:
        return _Line(None, task.unique_id, "failed", None, False, task.error.code, str(task.error), tries)
    if settled is not None and settled.outcome != "next":
        return _Line(
            settled.task_id,
            task.unique_id,
            settled.outcome,
            settled.task_status,
            settled.outcome in ("created", "existing") and settled.is_changed,
            settled.error_code,
            settled.error_message,
            settled.tries,
        )
    if entry is not None and entry.has_task:
        return _Line(entry.task_id, task.unique_id, entry.state, entry.task_status, decision.changed, tries=tries)
    if decision.action == "unknown" or (task.unique_id is None and entry is not None and entry.maybe_sent):
        message = "Sent without an answer and without a unique_id: the service may or may not have this row."
        return _Line(None, task.unique_id, "unknown", None, False, "no_reply", message, tries)
    return _Line(None, task.unique_id, "unsent", None, tries=tries)


def _with_columns(frame: pd.DataFrame, lines: Sequence[Any], names: Sequence[str]) -> pd.DataFrame:
    """Put our columns, given row by row, behind the caller's; his of the same names make way."""
    kept = frame.loc[:, [name not in names for name in frame.columns]]
    ours = pd.DataFrame({name: _series(name, [line[at] for line in lines]) for at, name in enumerate(names)})
    ours.index = kept.index
    joined = pd.concat([kept, ours], axis=1)
    joined.attrs = {}
    return joined


def _series(name: str, values: list[Any]) -> pd.Series[Any]:
    dtype = {"changed": "bool", "tries": "int64", "bytes": "int64"}.get(name, "object")
    return pd.Series(values, dtype=dtype)


def unsent_receipt(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the receipt of a run that was refused before its first row."""
    return _with_columns(frame, [_Line(None, None, "unsent", None)] * len(frame), _Line._fields)


def count_outcomes(receipt: pd.DataFrame) -> dict[str, int]:
    """Count the rows by outcome; every outcome is there, with 0 if need be."""
    found = Counter(receipt["outcome"].tolist())
    return {outcome: found.get(outcome, 0) for outcome in OUTCOMES}


def plan_frame(
    frame: pd.DataFrame, tasks: Sequence[Task], decisions: Sequence[Decision], chosen: Container[int]
) -> pd.DataFrame:
    """Make the frame that `plan` returns; `chosen` are the places of the tasks that would be sent now."""
    lines: list[_PlanLine | None] = [None] * len(frame)
    for at, (task, decision) in enumerate(zip(tasks, decisions, strict=True)):
        action: str = "settle" if decision.action in ("repeat", "recheck") else decision.action
        line = _PlanLine(
            task.unique_id,
            "wait" if decision.action in SENDING_ACTIONS and at not in chosen else action,
            decision.entry.task_id if decision.entry else None,
            decision.changed,
            task.error.code if task.error else None,
            str(task.error) if task.error else None,
            task.n_bytes,
        )
        for position in task.positions:
            lines[position] = line
    return _with_columns(frame, lines, _PlanLine._fields)


class _PlanLine(NamedTuple):
    """What is planned for one row; its fields are the plan's columns."""

    unique_id: str | None
    action: str
    task_id: str | None
    changed: bool
    error_code: str | None
    error_message: str | None
    bytes: int


def listed(counts: Mapping[str, int]) -> str:
    """List what was counted, for a sentence; "none" where nothing was."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "none"


def told_what_is_left(error: RefonteError, left: int, rows: int) -> RefonteError:
    """Add to the sentence of an error that stopped a run how many rows are unsent."""
    if left:
        end = "" if error.message.endswith((".", "?")) else "."
        error.message = f"{error.message}{end} {left:,} of {rows:,} rows are unsent; run the same call again to go on."
        error.args = (error.message,)
    return error
