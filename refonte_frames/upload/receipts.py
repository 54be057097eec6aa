"""The receipt of a submission and the frame of a plan: the caller's rows with what became, or would become, of each."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from refonte_frames.upload.mapping import RECEIPT_COLUMNS
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
    cells: dict[str, list[Any]] = {name: [None] * len(frame) for name in RECEIPT_COLUMNS}
    for at, (task, decision) in enumerate(zip(tasks, decisions, strict=True)):
        values = _line(task, decision, settled.get(at))
        for position in task.positions:
            for name, value in values.items():
                cells[name][position] = value
        for position in task.differing if values.get("task_id") else ():
            cells["changed"][position] = True
    receipt = _with_columns(frame, cells, RECEIPT_COLUMNS)
    counts = count_outcomes(receipt)
    assert sum(counts.values()) == len(frame), f"the accounts do not balance: {counts} of {len(frame)} rows"
    return receipt


def _line(task: Task, decision: Decision, settled: Settled | None) -> dict[str, Any]:
    """Say what became of a task."""
    entry = decision.entry
    line: dict[str, Any] = {"unique_id": task.unique_id, "changed": False, "tries": entry.tries if entry else 0}
    if task.error is not None:
        return line | {"outcome": "failed", "error_code": task.error.code, "error_message": str(task.error)}
    if settled is not None and settled.outcome != "next":
        has_task = settled.outcome in ("created", "existing")
        return line | {
            "outcome": settled.outcome,
            "task_id": settled.task_id,
            "task_status": settled.task_status,
            "changed": has_task and settled.is_changed,
            "error_code": settled.error_code,
            "error_message": settled.error_message,
            "tries": settled.tries,
        }
    if entry is not None and entry.has_task:
        return line | {
            "outcome": entry.state,
            "task_id": entry.task_id,
            "task_status": entry.task_status,
            "changed": decision.changed,
        }
    if decision.action == "unknown" or (task.unique_id is None and entry is not None and entry.maybe_sent):
        message = "Sent without an answer and without a unique_id: the service may or may not have this row."
        return line | {"outcome": "unknown", "error_code": "no_reply", "error_message": message}
    return line | {"outcome": "unsent"}


def _with_columns(frame: pd.DataFrame, cells: Mapping[str, list[Any]], names: Sequence[str]) -> pd.DataFrame:
    """Put our columns behind the caller's; his of the same names make way."""
    kept = frame.loc[:, [name not in names for name in frame.columns]]
    ours = pd.DataFrame({name: _series(name, cells[name]) for name in names})
    ours.index = kept.index
    joined = pd.concat([kept, ours], axis=1)
    joined.attrs = {}
    return joined


def _series(name: str, values: list[Any]) -> pd.Series[Any]:
    dtype = {"changed": "bool", "tries": "int64", "bytes": "int64"}.get(name, "object")
    return pd.Series(values, dtype=dtype)


def unsent_receipt(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the receipt of a run that was refused before its first row."""
    cells: dict[str, list[Any]] = {name: [None] * len(frame) for name in RECEIPT_COLUMNS}
    cells |= {"outcome": ["unsent"] * len(frame), "changed": [False] * len(frame), "tries": [0] * len(frame)}
    return _with_columns(frame, cells, RECEIPT_COLUMNS)


def count_outcomes(receipt: pd.DataFrame) -> dict[str, int]:
    """Count the rows by outcome; every outcome is there, with 0 if need be."""
    found = Counter(receipt["outcome"].tolist())
    return {outcome: found.get(outcome, 0) for outcome in OUTCOMES}


def plan_frame(
    frame: pd.DataFrame, tasks: Sequence[Task], decisions: Sequence[Decision], chosen: Container[int]
) -> pd.DataFrame:
    """Make the frame that `plan` returns; `chosen` are the places of the tasks that would be sent now."""
    names = ("unique_id", "action", "task_id", "changed", "error_code", "error_message", "bytes")
    cells: dict[str, list[Any]] = {name: [None] * len(frame) for name in names}
    for at, (task, decision) in enumerate(zip(tasks, decisions, strict=True)):
        action: str = "settle" if decision.action in ("repeat", "recheck") else decision.action
        line = {
            "unique_id": task.unique_id,
            "action": "wait" if decision.action in SENDING_ACTIONS and at not in chosen else action,
            "task_id": decision.entry.task_id if decision.entry else None,
            "changed": decision.changed,
            "error_code": task.error.code if task.error else None,
            "error_message": str(task.error) if task.error else None,
            "bytes": task.n_bytes,
        }
        for position in task.positions:
            for name, value in line.items():
                cells[name][position] = value
    return _with_columns(frame, cells, names)


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
