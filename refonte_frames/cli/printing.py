"""Gives rows, counts and documents to whoever reads them: a file, a machine, a pipe, a person."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

import typer

from refonte_frames.progress import say

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

__all__ = [
    "counted",
    "give",
    "give_receipt",
    "give_status",
    "has_failures",
    "print_json",
    "print_rows_or_csv",
    "records_of",
]

#: Rows that are shown in a terminal; a pipe gets all of them.
_ROWS_SHOWN: Final = 10


def give_status(counted: pd.DataFrame, *, as_json: bool) -> None:
    """Give the counts of batches."""
    if as_json:
        print_json(records_of(counted))
    else:
        _print_rows(counted)


def give_receipt(receipt: pd.DataFrame, out: Path | None, *, as_json: bool) -> None:
    """Give the rows of a submission with what became of them."""
    summary = {"rows": len(receipt), **receipt.attrs.get("refonte", {})}
    give(receipt, out, summary, ["outcome", "task_id", "error_message"], as_json=as_json)


def give(rows: pd.DataFrame, out: Path | None, summary: dict[str, Any], telling: list[str], *, as_json: bool) -> None:
    """Give rows to whoever reads them: a file, a machine, a pipe, or a person in front of a terminal."""
    from refonte_frames.frame_files import write_frame  # noqa: PLC0415 - loads pandas

    if out is not None:
        write_frame(rows, out)
    if as_json:
        print_json(summary | {"failed": _failures(rows)})
    elif out is None:
        first = next(iter(rows.columns))
        print_rows_or_csv(rows, list(dict.fromkeys([first, *telling])), all_of_them="--out FILE or > FILE")


def _failures(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """List the rows with an error, by their place in the file: 0 is the first."""
    told = rows.reset_index(drop=True)[["unique_id", "error_code", "error_message"]]
    failed = told[told["error_code"].notna()]
    return [{"row": at, **record} for at, record in zip(failed.index, records_of(failed), strict=True)]


def has_failures(receipt: pd.DataFrame) -> bool:
    """Tell whether some row is not well."""
    return bool((receipt["outcome"].isin(["failed", "unknown"]) | receipt["error_code"].notna()).any())


def counted(column: pd.Series[Any]) -> dict[str, int]:
    """Count the values of a column."""
    return {str(value): int(n) for value, n in column.value_counts(sort=False).items()}


def print_rows_or_csv(rows: pd.DataFrame, telling: list[str], *, all_of_them: str = "> FILE") -> None:
    """Print the first rows, by their telling columns, to a person; all there is, as CSV, into a pipe."""
    from refonte_frames.frame_files import write_csv  # noqa: PLC0415 - loads pandas

    if sys.stdout is None:
        return
    if not sys.stdout.isatty():
        write_csv(rows, sys.stdout)
        sys.stdout.flush()
        return
    _print_rows(rows[telling].head(_ROWS_SHOWN))
    if len(rows) > _ROWS_SHOWN:
        say(f"… and {len(rows) - _ROWS_SHOWN:,} more rows: {all_of_them} keeps all of them.")


def _print_rows(rows: pd.DataFrame) -> None:
    """Print a table that fits the terminal."""
    from refonte_frames.text_tables import text_table  # noqa: PLC0415 - loads pandas

    typer.echo(text_table(rows, width=shutil.get_terminal_size().columns))


def records_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Make JSON objects of rows: an empty cell is null, whatever pandas has in its place."""
    from refonte_frames.frame_files import plain  # noqa: PLC0415 - loads pandas

    return [plain(record) for record in rows.to_dict("records")]


def print_json(document: Any) -> None:
    """Print one JSON document."""

    def plain(value: Any) -> Any:
        return value.item() if hasattr(value, "item") else str(value)

    typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=plain))
