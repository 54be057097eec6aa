"""The fidelity ledger: what the sandbox does, on which ground, and what nobody has compared with the live service.

``python -m refonte_frames.sandbox.fidelity README.md`` writes its summary into that file, between the two marks.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BEGIN", "END", "Behaviour", "ledger", "summary", "with_summary"]

BEGIN = "<!-- fidelity: written by `python -m refonte_frames.sandbox.fidelity README.md` -->"
END = "<!-- end of fidelity -->"

#: The first part of a route's path, or of a row's id, to the words of the summary.
_AREAS = {
    "access": "keys, errors, paths",
    "errors": "keys, errors, paths",
    "paths": "keys, errors, paths",
    "queries": "keys, errors, paths",
    "projects": "projects",
    "batches": "batches",
    "tasks": "tasks and their list",
    "unique_id": "unique_id, Idempotency-Key",
    "idempotency": "unique_id, Idempotency-Key",
    "callbacks": "callbacks",
    "teams": "teams, Studio",
    "studio": "teams, Studio",
    "quality": "quality tasks",
    "files": "files",
    "labelers": "answers of labelers",
}
_BASES = ("documented", "inferred", "assumed")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One row of the ledger.

    Attributes
    ----------
    routes : tuple of str
        Verb and path below /v1; ``*`` is all.
    statuses : tuple of int
        What is answered.
    basis : str
        ``documented``, ``inferred`` (shown by examples, or by programs that run against the service) or ``assumed``.
    test : str
        Shows that the sandbox does so.
    validated : str
        When this was last compared with the live service: a date, or ``never``.
    """

    id: str
    routes: tuple[str, ...]
    statuses: tuple[int, ...]
    says: str
    basis: Literal["documented", "inferred", "assumed"]
    source: str
    test: str
    validated: str


@cache
def ledger() -> tuple[Behaviour, ...]:
    """Read the ledger that is shipped with the package."""
    text = files("refonte_frames.sandbox").joinpath("fidelity.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text)["behaviour"], tuple[Behaviour, ...])


def summary(rows: Sequence[Behaviour]) -> str:
    """Count the rows of each area by their ground, as a Markdown table."""
    lines = [f"| behaviour of | {' | '.join(_BASES)} | compared with the live service |", "|---|---|---|---|---|"]
    for area in dict.fromkeys(_AREAS.values()):
        inside = [row for row in rows if _AREAS[row.id.partition(".")[0]] == area]
        counts = [sum(row.basis == basis for row in inside) for basis in _BASES]
        validated = sum(row.validated != "never" for row in inside)
        lines.append(f"| {area} | {' | '.join(map(str, counts))} | {validated or 'never'} |")
    return "\n".join(lines)


def with_summary(text: str, rows: Sequence[Behaviour]) -> str:
    """Put the summary between the marks of a text.

    Raises
    ------
    ValueError
        If the marks are not there.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the text has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{summary(rows)}\n{END}{after}"


def main(paths: Sequence[str]) -> None:
    """Write the summary into files."""
    for path in map(Path, paths):
        path.write_text(with_summary(path.read_text("utf-8"), ledger()), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
