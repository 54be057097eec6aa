"""One page that says how labelers and labels do: gathers the tables and pictures of this package into HTML."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from importlib import resources
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from refonte_frames import plots
from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.quality.report_parts import counted, parts_of
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd


__all__ = ["report"]

_KNOWN: Final = ("tasks", "audits", "annotations", "attempts", "batches")
#: The figures that the next report compares itself with; they stand in the page as JSON.
_FIGURES: Final = re.compile(r'<script type="application/json" id="figures">(.*?)</script>', re.DOTALL)


def report(
    export_or_tables: Any, path: str | os.PathLike[str], *, target: float | None = 0.8, title: str = "Labeling quality"
) -> Path:
    """Write one HTML page on the quality of labelers and labels: no other file, no network, readable on paper.

    Parameters
    ----------
    export_or_tables : Export, path or mapping of str to frame
        What `open_export` returned, the folder of an export, or frames by the names of their tables: any of ``tasks,
        audits, attempts``; also ``labels`` (``task, worker, label``), which are otherwise made of the attempts.
    path : path
        The page to write. If it is an earlier report, the new one says what has changed since.
    target : float, optional
        The pass rate that is asked for.
    title : str
        Stands at the top.

    Returns
    -------
    pathlib.Path
        The page. It was replaced in one step.

    Raises
    ------
    InputError
        There is nothing to report on, or `target` is no rate.
    ImportError
        Without the extras ``[quality]`` and ``[plot]``.

    Notes
    -----
    Sends nothing. Has a part for each question that the tables can answer, and names those that they cannot: the
    scorecard, learning, agreement and drift need attempts; turnaround needs tasks, open ones are counted; audits need
    audits. Every number has its sample size and an interval, and each part says how to read it.

    Examples
    --------
    >>> attempts = pd.DataFrame({"labeler": ["ana", "bob"] * 20, "quality_task_id": "q", "passed": [True, False] * 20,
    ...     "attempt_number": range(1, 41), "duration_secs": 9.0, "completed_at": "2020-01-01"})
    >>> rf.quality.report({"attempts": attempts}, "quality.html").name
    'quality.html'
    >>> rf.quality.report({}, "quality.html")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: There is nothing to report on: pass tasks, audits or attempts.
    """
    if target is not None and (not isinstance(target, Real) or not 0 <= target <= 1):
        raise InputError(f"target={target!r} is no rate: give one from 0 to 1.")
    page = at_home(path)
    tables = _tables(export_or_tables)
    if not any(len(tables.get(name, ())) for name in ("tasks", "audits", "attempts", "labels")):
        raise InputError("There is nothing to report on: pass tasks, audits or attempts.")
    with plots.many_scripts():
        parts = list(parts_of(tables, target))
    figures = {name: value for part in parts if not part.missing for name, value in part.figures.items()}
    before = _figures_of(page)
    html = _template().render(
        title=title,
        made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        sizes=", ".join(counted(len(table), name) for name, table in tables.items() if len(table)),
        parts=[part for part in parts if not part.missing],
        missing=[part for part in parts if part.missing],
        changes=list(_changes(before, figures)),
        is_first=before is None,
        figures=json.dumps(figures).replace("<", "\\u003c"),
    )
    _write(page, html)
    return page


def _tables(given: Any) -> dict[str, pd.DataFrame]:
    if isinstance(given, str | os.PathLike):
        from refonte_frames.export.opened import open_export  # noqa: PLC0415 - only for a folder

        given = open_export(given)
    if not hasattr(given, "items"):
        if not hasattr(given, "report"):
            raise InputError(
                f"A {type(given).__name__} cannot be reported on. Pass what rf.open_export returned, the folder of an "
                "export, or frames by the names of their tables: {'attempts': …}."
            )
        return {name: getattr(given, name).to_pandas() for name in _KNOWN if name in given.report.rows}
    unknown = [name for name in given if name not in (*_KNOWN, "labels")]
    if unknown:
        raise InputError(f"There is no table {unknown[0]!r}. There are {', '.join((*_KNOWN, 'labels'))}.")
    return {name: as_pandas(frame) for name, frame in given.items()}


def _figures_of(page: Path) -> dict[str, Any] | None:
    """Read the figures of an earlier report; None where there is none."""
    try:
        found = _FIGURES.search(page.read_text("utf-8"))
        figures = json.loads(found[1]) if found else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return figures if isinstance(figures, dict) and all(map(_is_figure, figures.values())) else None


def _is_figure(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(each, float | int | None) for each in value)


def _changes(before: dict[str, Any] | None, now: Mapping[str, list[float | None]]) -> Iterator[list[str]]:
    """Compare figures; a difference counts only where the old value lies outside the new interval."""
    for name, (value, low, high) in now.items():
        old = (before or {}).get(name, [None])[0]
        if value is None or old is None:
            continue
        is_clear = low is not None and high is not None and not low <= old <= high
        yield [name, f"{old:.3f}", f"{value:.3f}", f"{value - old:+.3f}", "yes" if is_clear else "within its interval"]


def _template() -> Any:
    try:
        import jinja2  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ImportError(
            "The report needs jinja2, which is not installed; run pip install 'refonte-frames[quality,plot]'.",
            name=error.name,
        ) from error
    text = resources.files("refonte_frames.quality").joinpath("templates/report.html").read_text("utf-8")
    return jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)


def _write(page: Path, html: str) -> None:
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        temporary = page.with_name(f".{page.name}-{os.getpid()}")
        try:
            temporary.write_text(html, "utf-8")
            temporary.replace(page)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"The report cannot be written to {page}: {error.strerror or error}.") from error
