"""A submission of rows that come piece by piece: each chunk is told apart, decided, sent, written down, forgotten."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from refonte_frames import progress as bars
from refonte_frames.cells import ABSENT, CellError, json_column
from refonte_frames.errors import (
    Forbidden,
    JournalError,
    NoReplyError,
    RefonteError,
    RowErrors,
    SubmitInterrupted,
    Unauthorized,
)
from refonte_frames.frames import pieces_of
from refonte_frames.interrupts import noted_interrupts
from refonte_frames.journal import Seen
from refonte_frames.upload.chunks import chunks_of
from refonte_frames.upload.collector import uncollected
from refonte_frames.upload.identity import canonical
from refonte_frames.upload.mapping import resolve_mapping
from refonte_frames.upload.opening import (
    check_journal_is_of_this_service,
    hold_against,
    journal_path,
    note_begin,
    note_end,
    open_journal,
)
from refonte_frames.upload.payloads import PayloadBuilder, key_codes, with_id
from refonte_frames.upload.plan import Task, choose
from refonte_frames.upload.preflight import inherited_parameters
from refonte_frames.upload.receipt_parts import ReceiptParts
from refonte_frames.upload.receipts import (
    OUTCOMES,
    count_outcomes,
    listed,
    receipt_of,
    told_what_is_left,
    unsent_receipt,
)
from refonte_frames.upload.repeats import InMemory, tell_apart_further
from refonte_frames.upload.report import SubmitReport
from refonte_frames.upload.run import Run, Work, settled_before

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from refonte_frames.client import Client
    from refonte_frames.journal import Journal
    from refonte_frames.upload.mapping import MappingRequest, RowMapping
    from refonte_frames.upload.opening import Options
    from refonte_frames.upload.payloads import Payload
    from refonte_frames.upload.plan import Decision
    from refonte_frames.upload.repeats import Memory

__all__ = ["all_told_apart", "submit_pieces"]

_encode = msgspec.json.Encoder(order="sorted").encode


def submit_pieces(source: Any, request: MappingRequest, options: Options, client: Client) -> SubmitReport:
    """Submit rows that come piece by piece, as `submit` does those of a frame.

    Raises
    ------
    RefonteError, SubmitInterrupted
        As `submit`; ``.receipt`` is the report so far.
    """
    began = time.monotonic()
    chunks = chunks_of(pieces_of(source), options.chunk_rows, group_by=request.group_by)
    first = _first_of(chunks)
    mapping = resolve_mapping(list(first.columns), request)
    path = journal_path(client, mapping, options.journal)
    told = _Account(mapping, path, ReceiptParts(path), client, began)
    with told.on_refusal(first):
        inherited = inherited_parameters(client, mapping)
    with (
        told.on_journal_error(),
        open_journal(client, path) as book,
        bars.bar(None, "Submitting", "rows", progress=options.progress) as bar,
    ):
        told.run_id = book.run_id
        with told.on_refusal(first):
            check_journal_is_of_this_service(client, book)
        began_at = note_begin(book, mapping, None)
        run = Run(client, book, tuple(options.resubmit), options.on_error == "raise", bar)
        stream = _Stream(options, mapping, inherited, book, run, told)
        stream.carry_out(itertools.chain([first], chunks))
        note_end(book, began_at, told.counts)
    told.finish(run, says_mapping=request.columns is None)
    return told.report()


def _first_of(chunks: Iterator[pd.DataFrame]) -> pd.DataFrame:
    """Read the first chunk, by whose columns the mapping is settled; there can be no report before."""
    try:
        return next(chunks, pd.DataFrame())
    except KeyboardInterrupt:
        raise SubmitInterrupted(
            "Interrupted while the first rows were read; nothing was sent. Run the same call again to begin.",
            counts=dict.fromkeys(OUTCOMES, 0),
        ) from None


@dataclass(slots=True)
class _Account:
    """What became of the rows read so far."""

    mapping: RowMapping
    journal: Path
    parts: ReceiptParts
    client: Client
    began: float
    run_id: str = ""
    rows: int = 0
    changed: int = 0
    is_whole: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def take(self, receipt: pd.DataFrame) -> None:
        """Write the receipt of a chunk and count its rows."""
        self.counts.update(count_outcomes(receipt))
        self.codes.update(code for code in receipt["error_code"].tolist() if code)
        self.changed += int(receipt["changed"].sum())
        self.rows += len(receipt)
        self.parts.add(receipt)

    def report(self) -> SubmitReport:
        """Sum up."""
        return SubmitReport(
            {outcome: self.counts[outcome] for outcome in OUTCOMES},
            self.journal,
            self.parts.folder,
            is_whole=self.is_whole,
            changed=self.changed,
            seconds=round(time.monotonic() - self.began, 3),
            requests_by_status=self.client.requests_by_status(),
            run_id=self.run_id,
            mapping=self.mapping.describe(),
        )

    @contextlib.contextmanager
    def on_refusal(self, first: pd.DataFrame) -> Iterator[None]:
        """Hang a report on a refusal of the run as a whole, and on Ctrl-C, that come before the first row."""
        try:
            yield
        except (Unauthorized, Forbidden, NoReplyError) as error:
            self.take(unsent_receipt(first))
            error.receipt = self.report()
            raise
        except KeyboardInterrupt:
            self.take(unsent_receipt(first))
            raise SubmitInterrupted(
                "Interrupted before this call sent a row; run the same call again to begin. "
                "The exception's .receipt is the report.",
                receipt=self.report(),
                counts=self.report().counts,
            ) from None

    @contextlib.contextmanager
    def on_journal_error(self) -> Iterator[None]:
        """Hang a report on the error of a journal, or of receipts, that cannot be written any more."""
        try:
            yield
        except JournalError as error:
            error.receipt = self.report()
            raise

    def reading(self) -> _Reading:
        """Guard a step of the caller's own input."""
        return _Reading(self)

    def finish(self, run: Run, *, says_mapping: bool) -> None:
        """Say how it went in one line, and raise what stopped the run, with the report."""
        report = self.report()
        bars.say(_line(report, self.codes, says_mapping=says_mapping))
        left = report.counts["unsent"]
        if run.was_interrupted:
            raise SubmitInterrupted(
                f"Interrupted with {left:,} of the {self.rows:,} rows read so far unsent; run the same call again to "
                "go on. The report so far is the exception's .receipt.",
                receipt=report,
                counts=report.counts,
            )
        if run.halted_by is not None:
            run.halted_by.receipt = report
            raise told_what_is_left(run.halted_by, left, self.rows)


class _Reading(contextlib.AbstractContextManager[None]):
    """Says, with an error of the input itself, what became of the rows that were read before it."""

    def __init__(self, account: _Account) -> None:
        self._account = account

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, KeyboardInterrupt):
            return
        report = self._account.report()
        if isinstance(error, RefonteError):
            error.receipt = report
        error.add_note(
            f"rf.submit had read {report.rows:,} rows before this ({listed(report.counts)}); they are safe, and "
            f"running the same call again goes on. Receipts: {report.receipt_path}"
        )


@dataclass(slots=True)
class _Stream:
    """The steps of each chunk."""

    options: Options
    mapping: RowMapping
    inherited: Mapping[str, Any]
    book: Journal
    run: Run
    told: _Account
    sent: int = 0

    def carry_out(self, chunks: Iterator[pd.DataFrame]) -> None:
        """Work one chunk off after the other, until the input ends or the run does."""
        while not self._is_over():
            try:
                with self.told.reading():
                    chunk = next(chunks, None)
            except KeyboardInterrupt:
                self.run.interrupt()
                return
            if chunk is None:
                self.told.is_whole = True
                return
            with noted_interrupts(self.run.interrupt):
                self._work_off(chunk)

    def _is_over(self) -> bool:
        is_used_up = self.options.limit is not None and self.sent >= self.options.limit and self.told.rows > 0
        return self.run.is_stopped or is_used_up or self.run.is_off(self.mapping.type)

    def _work_off(self, chunk: pd.DataFrame) -> None:
        with uncollected():
            payloads, tasks = _told_apart(chunk, self.mapping, self.inherited, self.book, first_row=self.told.rows)
            decisions = hold_against(self.book, tasks, self.options.resubmit)
        self.run.settled, self.run.first_row = {}, self.told.rows
        if self.options.on_error == "raise":
            self._refuse_bad_rows(chunk, tasks, decisions)
        chosen = self._chosen(tasks, decisions)
        for at, task in enumerate(tasks):
            entry = decisions[at].entry
            if task.is_echo and entry is not None:
                self.run.settled[at] = settled_before(entry)
        try:
            self.run.carry_out(_work(payloads, tasks, decisions, chosen))
        finally:
            with uncollected():
                self.told.take(receipt_of(chunk, tasks, decisions, self.run.settled))
        self.run.bar.update(len(chunk) - sum(len(tasks[at].positions) for at in chosen))

    def _chosen(self, tasks: Sequence[Task], decisions: Sequence[Decision]) -> set[int]:
        """Choose what of the chunk is sent: under a limit new rows only, or refused ones would use it up for ever."""
        limit = None if self.options.limit is None else self.options.limit - self.sent
        chosen, _ = choose(tasks, decisions, limit, skips_refused=limit is not None)
        chosen = {at for at in chosen if not tasks[at].is_echo}
        self.sent += sum(decisions[at].action != "recheck" for at in chosen)
        return chosen

    def _refuse_bad_rows(self, chunk: pd.DataFrame, tasks: Sequence[Task], decisions: Sequence[Decision]) -> None:
        first = self.told.rows
        bad = sorted(
            (first + at, task.error.code, str(task.error)) for task in tasks if task.error for at in task.positions
        )
        if not bad:
            return
        self.told.take(receipt_of(chunk, tasks, decisions, {}))
        error = RowErrors(
            f"{len(bad):,} of the rows {first:,} to {first + len(chunk) - 1:,} cannot be sent, the first of them row "
            f"{bad[0][0]:,}: {bad[0][2]}. Rows before these were worked off; the error's .rows lists the bad ones.",
            bad,
        )
        error.receipt = self.told.report()
        raise error


def _work(
    payloads: Sequence[Payload], tasks: Sequence[Task], decisions: Sequence[Decision], chosen: set[int]
) -> Iterator[Work]:
    bodies = {payload.positions[0]: payload.body for payload in payloads}
    for at in sorted(chosen):
        task = tasks[at]
        yield Work(at, task, decisions[at], with_id(bodies[task.positions[0]], task.unique_id))


def all_told_apart(
    chunks: Iterable[pd.DataFrame], mapping: RowMapping, inherited: Mapping[str, Any]
) -> tuple[list[Task], dict[int, bytes]]:
    """Make the tasks of all chunks as a submission would, one chunk after the other, for a plan.

    Returns
    -------
    tuple of (list of Task, dict of int to bytes)
        The tasks, where rows of later chunks belong to the task that stands for them, and the bodies without
        unique_id by the first row of each task.
    """
    memory, first_row = InMemory(), 0
    tasks: dict[str, Task] = {}
    bodies: dict[int, bytes] = {}
    for chunk in chunks:
        payloads, more = _told_apart(chunk, mapping, inherited, memory, first_row=first_row)
        for task in more:
            task.positions = tuple(first_row + at for at in task.positions)
            task.differing = tuple(first_row + at for at in task.differing)
            if task.is_echo and (same := tasks.get(task.row_key)) is not None:
                same.positions += task.positions
                same.differing += task.differing
            else:
                tasks[task.row_key if task.error is None else f"row {task.positions[0]}"] = task
        bodies |= {first_row + payload.positions[0]: payload.body for payload in payloads}
        first_row += len(chunk)
    return list(tasks.values()), bodies


def _told_apart(
    chunk: pd.DataFrame, mapping: RowMapping, inherited: Mapping[str, Any], memory: Memory, *, first_row: int
) -> tuple[list[Payload], list[Task]]:
    """Make the tasks of a chunk, with the chunks before in mind, and the payloads they were made of."""
    refused = _refused_groups(chunk, mapping, memory, first_row)
    payloads = list(_payloads(chunk, mapping, inherited, refused))
    has_own_ids = mapping.unique_id is not None
    tasks = tell_apart_further(payloads, mapping.duplicates, memory, has_own_ids=has_own_ids, first_row=first_row)
    return payloads, [*tasks, *(Task((at,), "", None, None, "", b"", 0, error) for at, error in refused.items())]


def _payloads(
    chunk: pd.DataFrame, mapping: RowMapping, inherited: Mapping[str, Any], refused: Mapping[int, CellError]
) -> Iterator[Payload]:
    """Make the payloads of a chunk's rows, without those that were refused."""
    if not refused:
        builder = PayloadBuilder(chunk, mapping, inherited)
        yield from (payload for part in builder.chunks(max(1, len(chunk))) for payload in builder.build(part))
        return
    kept = [at for at in range(len(chunk)) if at not in refused]
    for payload in _payloads(chunk.iloc[kept], mapping, inherited, {}):
        yield replace(payload, positions=tuple(kept[at] for at in payload.positions))


def _refused_groups(chunk: pd.DataFrame, mapping: RowMapping, memory: Memory, first_row: int) -> dict[int, CellError]:
    """Refuse the rows of groups that ended before: their task was sent, and has its attachments."""
    if mapping.group_by is None or not len(chunk):
        return {}
    keys = chunk[mapping.group_by]
    codes = key_codes(keys)
    starts = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist()]
    names = [f"group:{name}" for name in _names_of(keys.iloc[starts])]
    seen = memory.seen(names)
    refused: dict[int, CellError] = {}
    for start, end, name in zip(starts, [*starts[1:], len(chunk)], names, strict=True):
        if codes[start] < 0:
            continue
        if name in seen:
            message = (
                f"the group {keys.iloc[start]!r} ended before row {seen[name].next_number}; sort the input by "
                f"{mapping.group_by!r}, since groups are sent as they come"
            )
            refused |= dict.fromkeys(range(start, end), CellError("unsorted_group", message))
        else:
            seen[name] = Seen(b"", first_row + end, first_row + start)
    memory.remember({name: seen[name] for name in names if name in seen})
    return refused


def _names_of(keys: pd.Series[Any]) -> list[str]:
    """Write keys so that equal ones are equal text, whatever dtype their chunk has: 5 and 5.0 are."""
    column = json_column(keys)
    return [
        repr(key) if at in column.errors or value is ABSENT else _encode(canonical(value)).decode()
        for at, (key, value) in enumerate(zip(keys, column.values, strict=True))
    ]


def _line(report: SubmitReport, codes: Mapping[str, int], *, says_mapping: bool) -> str:
    line = f"refonte_frames: {report.rows:,} rows: {listed(report.counts)} in {report.seconds:.1f} s."
    line += f" Errors: {listed(codes)}." if codes else ""
    line += "" if report.is_whole else " The rest of the input was not read."
    if report.changed:
        line += (
            f" {report.changed:,} rows differ from what was sent when their task was made; the tasks were left as they "
            "are."
        )
    line += f" Mapping, by the columns' names: {report.mapping}." if says_mapping else ""
    return line + f" Receipts: {report.receipt_path} Journal: {report.journal}"
