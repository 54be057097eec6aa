"""The parts of the report: one question each, answered in words, numbers and pictures. Pure, but for drawing."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from refonte_frames import plots
from refonte_frames.errors import ColumnError, InputError
from refonte_frames.quality.agreement import ambiguity, krippendorff_alpha, pair_agreement
from refonte_frames.quality.attempts import learning_curve, scorecard, speeders
from refonte_frames.quality.audits import audit_outcomes, first_pass_yield, rework
from refonte_frames.quality.control import control_chart
from refonte_frames.quality.labels import labels_from
from refonte_frames.quality.rates import pooled_rate
from refonte_frames.quality.taking import moments
from refonte_frames.quality.turnaround import lives_of, survival_curve, turnaround

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from matplotlib.axes import Axes

__all__ = ["Part", "counted", "parts_of"]

_MOST_ROWS: Final = 200
_FEWEST_PERIODS: Final = 4
_MOST_QUESTIONS: Final = 5
_MOST_WORKERS: Final = 40
_LONGEST_NAME: Final = 80


@dataclass(slots=True)
class _Table:
    """A table; its first column names its rows, and so do those of `texts` say something in words."""

    caption: str
    head: list[str]
    rows: list[list[str]]
    note: str = ""
    texts: tuple[str, ...] = ()


@dataclass(slots=True)
class _Picture:
    svg: str
    alt: str
    width: str


@dataclass(slots=True)
class Part:
    """One question: its answer in words, numbers and pictures, or why there is none."""

    name: str
    title: str
    how_to_read: str
    missing: str = ""
    sentences: list[str] = field(default_factory=list)
    exhibits: list[_Table | _Picture] = field(default_factory=list)
    figures: dict[str, list[float | None]] = field(default_factory=dict)

    def note(self, name: str, value: float, low: float = np.nan, high: float = np.nan) -> None:
        """Keep a figure for the next report to compare with."""
        self.figures[name] = [float(each) if np.isfinite(each) else None for each in (value, low, high)]


def parts_of(tables: Mapping[str, pd.DataFrame], target: float | None) -> Iterator[Part]:
    """Answer each question that the tables can answer; of the others say why not."""
    attempts, tasks, audits = (tables.get(name, pd.DataFrame()) for name in ("attempts", "tasks", "audits"))
    labels = tables.get("labels", pd.DataFrame())
    made: list[tuple[Part, bool, str, Callable[[Part], None]]] = [
        (
            _scorecard_part(),
            len(attempts) > 0,
            "attempts",
            lambda part: _fill_scorecard(part, attempts, audits, target),
        ),
        (_audits_part(), len(audits) > 0, "audits", lambda part: _fill_audits(part, tasks, audits)),
        (_learning_part(), len(attempts) > 0, "attempts", lambda part: _fill_learning(part, attempts)),
        (_drift_part(), len(attempts) > 0, "attempts", lambda part: _fill_drift(part, attempts)),
        (_turnaround_part(), len(tasks) > 0, "tasks", lambda part: _fill_turnaround(part, tasks)),
        (
            _agreement_part(),
            len(attempts) + len(labels) > 0,
            "attempts",
            lambda part: _fill_agreement(part, attempts, labels),
        ),
    ]
    for part, is_there, what, fill in made:
        if is_there:
            try:
                fill(part)
            except (ColumnError, InputError) as error:
                part.missing = str(error)
        else:
            part.missing = f"There are no {what} among the tables."
        yield part


def _scorecard_part() -> Part:
    return Part(
        "labelers",
        "Labelers",
        "A labeler's pass rate at training or evaluation tasks, never the two mixed. The interval holds the true "
        "rate in 19 of 20 cases; the shrunk rate leans towards what is usual, the more the fewer attempts there "
        "are. Compare by these two, not by the rate as counted. A verdict is given only where the whole interval "
        "lies on one side of the target. Attempts far faster than usual are counted, not judged: fast and right "
        "is no fraud.",
    )


def _fill_scorecard(part: Part, attempts: pd.DataFrame, audits: pd.DataFrame, target: float | None) -> None:
    card = scorecard(attempts, audits if "labeler" in audits else None, target=target)
    for kind, rows in card.groupby("kind", dropna=False, sort=True):
        named = "" if pd.isna(kind) else f" at {kind!s} tasks"
        ordered = rows.sort_values("ci_low", ascending=False)
        if (rows["n"] > 0).sum() > 1:
            axes = plots.forest(ordered, label="labeler", target=target)
            part.exhibits.append(_picture(axes, f"Pass rates of {len(rows):,} labelers{named}, with their intervals."))
        part.exhibits.append(_scorecard_table(ordered, named))
        chosen = attempts if pd.isna(kind) else attempts[(attempts["kind"] == kind).fillna(value=False)]
        whole = pooled_rate(chosen).iloc[0]
        part.note(f"Pass rate{named}", whole["rate"], whole["ci_low"], whole["ci_high"])
    fast = speeders(attempts)
    part.note("Attempts far too fast, share", float(fast["fast"].mean()))
    if target is not None:
        below = card.loc[(card["verdict"] == "below").fillna(value=False), "labeler"].nunique(dropna=False)
        everybody = card["labeler"].nunique(dropna=False)
        part.sentences.append(
            f"{below:,} of {counted(everybody, 'labelers')} {'is' if below == 1 else 'are'} surely below the target of "
            f"{target:g}."
        )


def _scorecard_table(card: pd.DataFrame, named: str) -> _Table:
    head = ["labeler", "n", "passed", "rate", "95 % interval", "shrunk", "verdict", "first pass", "median time", "fast"]
    rows = [
        [
            _name(row["labeler"]),
            f"{row['n']:,}",
            f"{row['k']:,}",
            _share(row["rate"]),
            _interval(row["ci_low"], row["ci_high"]),
            _share(row["shrunk"]),
            "" if pd.isna(row["verdict"]) else str(row["verdict"]) + ("" if row["enough"] else " (few)"),
            _share(row["first_pass_rate"]),
            _time(row["median_secs"]),
            f"{row['n_fast']:,.0f}",
        ]
        for row in _ends_of(card).to_dict("records")
    ]
    half = _MOST_ROWS // 2
    note = "" if len(card) <= _MOST_ROWS else f"The first and the last {half} of {len(card):,}, by the lower end."
    return _Table(f"Scorecard{named}, the safest bets first", head, rows, note)


def _ends_of(card: pd.DataFrame) -> pd.DataFrame:
    half = _MOST_ROWS // 2
    return card if len(card) <= _MOST_ROWS else pd.concat([card.head(half), card.tail(half)])


def _audits_part() -> Part:
    return Part(
        "audits",
        "Audits",
        "How auditors judged finished tasks. The first audit of a task shows the work as it was delivered, the "
        "last one how it stands now. Comments decide nothing and are left out of the shares. Tasks that nobody "
        "audited are not counted as right: coverage says how many were looked at.",
    )


def _fill_audits(part: Part, tasks: pd.DataFrame, audits: pd.DataFrame) -> None:
    outcomes = audit_outcomes(audits, basis="both")
    head = ["source", "audit", "tasks", "accepted", "95 % interval", "fixed", "rejected", "other"]
    rows = [
        [
            _name(row["audit_source"]),
            row["basis"],
            f"{row['n_tasks']:,}",
            _share(row["accepted_rate"]),
            _interval(row["accepted_ci_low"], row["accepted_ci_high"]),
            _share(row["fixed_rate"]),
            _share(row["rejected_rate"]),
            f"{row['n_other']:,}",
        ]
        for row in outcomes.to_dict("records")
    ]
    part.exhibits.append(_Table("Outcomes by source", head, rows))
    if outcomes["accepted_rate"].notna().any():
        part.exhibits.append(_picture(plots.audit_outcomes(outcomes), "Shares of accepted, fixed and rejected audits."))
    whole = audit_outcomes(audits, by=()).iloc[0]
    part.note("Accepted at the last audit", *whole[["accepted_rate", "accepted_ci_low", "accepted_ci_high"]])
    again = rework(audits).iloc[0]
    part.note("Reworked tasks", again["rate"], again["ci_low"], again["ci_high"])
    minutes = again["audit_minutes"]
    effort = "" if pd.isna(minutes) else f" A task took {minutes:.1f} minutes of auditing."
    part.sentences.append(
        f"{_share(again['rate'])} of {counted(again['n'], 'audited tasks')} were fixed, rejected or audited more than "
        f"once.{effort}"
    )
    if len(tasks):
        first = first_pass_yield(tasks, audits).iloc[0]
        part.note("Right at the first go", first["rate"], first["ci_low"], first["ci_high"])
        part.sentences.append(_told_first(first))


def _told_first(first: pd.Series[Any]) -> str:
    looked = f"{_share(first['coverage'])} of {counted(first['n_completed'], 'completed tasks')} were audited; "
    if not first["n"]:
        return looked + "no first audit decided anything."
    interval = _interval(first["ci_low"], first["ci_high"])
    return looked + f"of those decided {_share(first['rate'])} were right at the first go ({interval})."


def _learning_part() -> Part:
    return Part(
        "learning",
        "Learning",
        "Pass rates by the number of the attempt at one quality task. Later attempts are made by those who failed "
        "before, so the line over all attempts can mislead; the dashed line compares the same people's first and "
        "last attempt.",
    )


def _fill_learning(part: Part, attempts: pd.DataFrame) -> None:
    by = "attempt_number"
    curve = learning_curve(attempts, by)
    same = learning_curve(attempts, by, panel="balanced")
    if (curve["n"] > 0).sum() > 1:
        axes = plots.learning_curve(curve[curve["n"] > 0].head(30), balanced=same)
        part.exhibits.append(_picture(axes, "Pass rates by the number of the attempt, with intervals."))
    if len(same) == 2:
        first, last = (float(each) for each in same["rate"])
        part.sentences.append(
            f"Of those who tried a quality task at least twice, {_share(first)} passed at the first and "
            f"{_share(last)} at the last attempt ({counted(same['n'].iloc[0], 'pairs')})."
        )
    head = [by.replace("_", " "), "attempts", "rate", "95 % interval", "still trying", "not passed yet"]
    rows = [
        [
            f"{row[by]}",
            f"{row['n']:,}",
            _share(row["rate"]),
            _interval(row["ci_low"], row["ci_high"]),
            f"{row['n_labelers_at_risk']:,}",
            _share(row["survival"]),
        ]
        for row in curve.head(12).to_dict("records")
    ]
    part.exhibits.append(_Table("Pass rates by attempt", head, rows))


def _drift_part() -> Part:
    return Part(
        "drift",
        "Drift",
        "The pass rate week by week between limits that chance alone crosses once in some hundred weeks. A ring "
        "is a week worth asking about; eight weeks in a row on one side of the centre are one as well. Where "
        "weeks vary more than chance allows, the wider limits are the ones to look at.",
    )


def _fill_drift(part: Part, attempts: pd.DataFrame) -> None:
    if "completed_at" not in attempts:
        raise ColumnError("The attempts have no column 'completed_at'.")
    weeks = moments(attempts["completed_at"]).dt.strftime("%G-W%V")
    chart = control_chart(attempts.assign(week=weeks.to_numpy()), "week", "passed")
    if len(chart) < _FEWEST_PERIODS:
        weeks_there = counted(len(chart), "weeks")
        raise InputError(
            f"There {'is' if len(chart) == 1 else 'are'} {weeks_there} with attempts; a trend needs at "
            f"least {_FEWEST_PERIODS}."
        )
    part.exhibits.append(_picture(plots.control_chart(chart), "Pass rates by week between control limits."))
    signals = chart[chart["signal"]]
    told = ", ".join(f"{week} ({rule})" for week, rule in zip(signals["period"], signals["rule"], strict=True))
    part.sentences.append(f"Weeks out of the ordinary: {told or 'none'}.")
    if chart.attrs["is_overdispersed"]:
        part.sentences.append(f"Weeks vary {chart.attrs['sigma_z']:.1f} times as much as chance alone would have them.")


def _turnaround_part() -> Part:
    return Part(
        "turnaround",
        "Turnaround",
        "The time from a task's creation to its completion. Completed tasks alone look too fast, since the slow "
        "ones are still open; the censored estimate counts open tasks for as long as they have waited, and is the "
        "one to plan by. A dash stands where not enough tasks have ended.",
    )


def _fill_turnaround(part: Part, tasks: pd.DataFrame) -> None:
    found = turnaround(tasks)
    head = ["estimate", "tasks", "open", "median", "95 % interval", "p90", "p95"]
    rows = [
        [
            row["basis"].replace("_", " "),
            f"{row['n']:,}",
            f"{row['n_open']:,}",
            _time(row["p50"]),
            _span(row["p50_ci_low"], row["p50_ci_high"]),
            _time(row["p90"]),
            _time(row["p95"]),
        ]
        for row in found.to_dict("records")
    ]
    part.exhibits.append(_Table("Time from creation to completion", head, rows))
    censored = found[found["basis"] == "censored"].iloc[0]
    part.note("Median turnaround, hours", *(censored[["p50", "p50_ci_low", "p50_ci_high"]].astype(float) / 3600))
    if found["n_bad"].max():
        bad = counted(found["n_bad"].max(), "tasks")
        part.sentences.append(f"Left out: {bad} without usable times.")
    if censored["n"]:
        lives = lives_of(tasks)
        is_good = lives["secs"] >= 0
        curve = survival_curve(lives.loc[is_good, "secs"], lives.loc[is_good, "is_done"])
        if (curve["time"] > 0).sum() > 1:
            part.exhibits.append(_picture(plots.survival(curve), "Share of tasks done by time since creation."))


def _agreement_part() -> Part:
    return Part(
        "agreement",
        "Agreement",
        "Krippendorff's alpha: 1 when all agree, 0 when they agree no more than by chance; 0.8 is often asked "
        "for, below 0.67 labels are shaky. Pairs show who sees things alike. The tasks listed divide labelers "
        "most: look at them first when instructions are to be made clearer.",
    )


def _fill_agreement(part: Part, attempts: pd.DataFrame, labels: pd.DataFrame) -> None:
    answers = labels if len(labels) else labels_from(attempts)
    if "repeat" in answers:
        answers = answers[answers["repeat"] == 1]
    fields: list[Any] = [None]
    if "field" in answers and answers["field"].notna().any():
        fields = answers["field"].dropna().unique().tolist()
    refusals = []
    for each in fields[:_MOST_QUESTIONS]:
        try:
            _fill_question(part, answers if each is None else answers[answers["field"] == each], each)
        except InputError as error:
            refusals.append(error)
            part.sentences.append(f"Nothing on {each}. {error}")
    if len(refusals) == len(fields[:_MOST_QUESTIONS]):
        raise refusals[0]


def _fill_question(part: Part, answers: pd.DataFrame, question: str | None) -> None:
    named = "" if question is None else f" on {question}"
    found = krippendorff_alpha(answers)
    if found.reason:
        part.sentences.append(f"Alpha{named} is not defined. {found.reason}")
        return
    part.note(f"Alpha{named}", found.value, found.ci_low, found.ci_high)
    part.sentences.append(
        f"Alpha{named} is {found.value:.3f} ({found.ci_low:.3f} to {found.ci_high:.3f}), from {found.n_answers:,} "
        f"answers of {counted(found.n_workers, 'labelers')} to {counted(found.n_tasks, 'tasks')}; with one answer "
        f"only: {counted(found.n_dropped, 'tasks')}."
    )
    if found.n_workers <= _MOST_WORKERS:
        pairs = pair_agreement(answers)
        part.exhibits.append(_picture(plots.agreement(pairs), f"How often every two labelers agree{named}."))
    head = ["task", "answers", "mode", "share", "entropy", "model's label", "sure"]
    try:
        hard = ambiguity(answers)
    except InputError as error:
        # What alpha says holds, whether or not there is a model beside it.
        part.sentences.append(str(error))
        return
    rows = [
        [
            _name(row["task"]),
            f"{row['n']}",
            _name(row["mode"]),
            _share(row["mode_share"]),
            _number(row["entropy_norm"]),
            _name(row["ds_label"]),
            _share(row["ds_p"]),
        ]
        for row in hard[hard["n"] > 1].head(15).to_dict("records")
    ]
    texts = ("mode", "model's label")
    part.exhibits.append(_Table(f"Tasks that divide labelers most{named}", head, rows, texts=texts))


def _picture(axes: Axes, alt: str) -> _Picture:
    from matplotlib import rc_context  # noqa: PLC0415 - an extra

    figure: Any = axes.figure
    file = io.StringIO()
    # Letters as shapes: another machine's fonts are wider and would be cut off. Ids that repeat would clash.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": alt}):
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    return _Picture(svg, alt, svg.partition('width="')[2].partition('"')[0])


def counted(count: Any, things: str) -> str:
    """Say how many there are; of one thing without the last letter of the plural."""
    return f"{count:,} {things[:-1] if count == 1 and things.endswith('s') else things}"


def _name(value: Any) -> str:
    text = "(nobody named)" if pd.isna(value) else plots.shown(str(value))
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def _share(value: Any) -> str:
    return "—" if pd.isna(value) else f"{100 * value:.1f} %"


def _number(value: Any) -> str:
    return "—" if pd.isna(value) else f"{value:.2f}"


def _interval(low: Any, high: Any) -> str:
    return "—" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f} %"


def _span(low: Any, high: Any) -> str:
    return "—" if pd.isna(low) and pd.isna(high) else f"{_time(low)} to {_time(high)}"


def _time(secs: Any) -> str:
    if pd.isna(secs):
        return "—"
    for size, unit in ((365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "min")):
        if secs >= size:
            return f"{secs / size:.1f} {unit}"
    return f"{secs:.1f} s"
