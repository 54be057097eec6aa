"""`submit` and `plan`: a frame goes in, every row comes back with what became of it; the order of steps stands here."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, overload

import pandas as pd

from refonte_frames import progress as bars
from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import (
    Forbidden,
    InputError,
    JournalError,
    NoReplyError,
    RowErrors,
    SubmitInterrupted,
    Unauthorized,
)
from refonte_frames.frames import as_pandas, can_be_read_once, comes_in_pieces, pieces_of
from refonte_frames.interrupts import noted_interrupts
from refonte_frames.upload.bring import FileStep, bring_files, note_files, read_files, refuse_pieces
from refonte_frames.upload.chunks import chunks_of, joined
from refonte_frames.upload.collector import uncollected
from refonte_frames.upload.foresight import foresee, with_foreseen
from refonte_frames.upload.mapping import Duplicates, MappingRequest, RowMapping, resolve_mapping
from refonte_frames.upload.opening import (
    OnError,
    Options,
    check_journal_is_of_this_service,
    hold_against,
    journal_path,
    note_begin,
    note_end,
    note_open_occurrences,
    open_journal,
    take_open_occurrences,
)
from refonte_frames.upload.payloads import PayloadBuilder, with_id
from refonte_frames.upload.plan import SENDING_ACTIONS, Decision, Task, choose, decide, tell_apart
from refonte_frames.upload.preflight import inherited_parameters
from refonte_frames.upload.receipts import (
    count_outcomes,
    listed,
    plan_frame,
    receipt_of,
    told_what_is_left,
    unsent_receipt,
)
from refonte_frames.upload.run import Run, Work
from refonte_frames.upload.stream import all_told_apart, submit_pieces

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from pathlib import Path

    from refonte_frames.upload.payloads import Brought
    from refonte_frames.upload.report import SubmitReport

__all__ = ["plan", "submit"]


@overload
def submit(
    frame: Iterator[Any] | list[Any] | tuple[Any, ...],
    *,
    type: str | None = ...,
    project: str | None = ...,
    batch: str | None = ...,
    columns: Mapping[str, Hashable] | None = ...,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None = ...,
    params: Mapping[str, Any] | None = ...,
    unique_id: Hashable | None = ...,
    duplicates: Duplicates = ...,
    group_by: Hashable | None = ...,
    journal: str | os.PathLike[str] | None = ...,
    chunk_rows: int = ...,
    limit: int | None = ...,
    on_error: OnError = ...,
    resubmit: Sequence[str] = ...,
    clear_unique_id_on_error: bool = ...,
    upload_files: bool = ...,
    progress: bool = ...,
    client: Client | None = ...,
) -> SubmitReport: ...
@overload
def submit(
    frame: Any,
    *,
    type: str | None = ...,
    project: str | None = ...,
    batch: str | None = ...,
    columns: Mapping[str, Hashable] | None = ...,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None = ...,
    params: Mapping[str, Any] | None = ...,
    unique_id: Hashable | None = ...,
    duplicates: Duplicates = ...,
    group_by: Hashable | None = ...,
    journal: str | os.PathLike[str] | None = ...,
    chunk_rows: int = ...,
    limit: int | None = ...,
    on_error: OnError = ...,
    resubmit: Sequence[str] = ...,
    clear_unique_id_on_error: bool = ...,
    upload_files: bool = ...,
    progress: bool = ...,
    client: Client | None = ...,
) -> pd.DataFrame: ...
def submit(  # noqa: PLR0913 - one argument a thing the caller may want to say
    frame: Any,
    *,
    type: str | None = None,
    project: str | None = None,
    batch: str | None = None,
    columns: Mapping[str, Hashable] | None = None,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None = None,
    params: Mapping[str, Any] | None = None,
    unique_id: Hashable | None = "auto",
    duplicates: Duplicates = "error",
    group_by: Hashable | None = None,
    journal: str | os.PathLike[str] | None = None,
    chunk_rows: int = 10_000,
    limit: int | None = None,
    on_error: OnError = "collect",
    resubmit: Sequence[str] = (),
    clear_unique_id_on_error: bool = False,
    upload_files: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame | SubmitReport:
    """Make one labeling task of every row, exactly once, and return the rows with what became of each.

    Stop it at any moment, by Ctrl-C, a crash or a power cut, and run the same line again: it goes on where it was.
    The journal remembers what was sent; ids derived from the content and the service's own guards settle the rest.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table, or anything with ``__arrow_c_stream__``
        One row an attachment. It is not changed. An iterable of frames or a pyarrow.RecordBatchReader is read piece by
        piece, in constant memory; see Notes.
    type : str, optional
        A documented task type, such as ``"imageannotation"``. Default: the column ``type`` says it row by row.
    project, batch : str, optional
        Where the tasks belong. Both are looked at before the first row is sent.
    columns : dict of str to column, optional
        Parameter to column. Dots reach into parameters (``"geometries.box.min_height"``), ``metadata.<key>`` into
        metadata. Default: columns that are named like parameters of the type feed them; nothing else is sent.
    metadata : list of columns, dict of str to column, or "rest", optional
        Columns that become metadata, under their own names, under the dict's keys, or all that are not used otherwise.
    params : dict, optional
        Parameters that are the same for all rows.
    unique_id : "auto", a column, or None
        The id that guards a row for ever. ``"auto"`` derives it from what is to be labeled (type, project, batch,
        instruction and parameters; not metadata, tags, priority or callback). None does without and needs `journal`,
        which then knows rows by their content and how often it occurred: of equal rows, those without a task go first
        when only a part of a frame is submitted again. Of input that comes in pieces, submit all of it again.
    duplicates : {"error", "share", "each"}
        Rows with equal ids: refuse the frame, make one task that all of them share, or one task each.
    group_by : column, optional
        Rows that share its value become one task with ``attachments`` in row order.
    journal : path, optional
        Where to write down what was sent. Default: a file in the user's state folder, named after host, key,
        type, project and batch.
    chunk_rows : int
        Rows whose bodies are held in memory at a time; of input that comes in pieces, rows that are.
    limit : int, optional
        Send at most so many tasks in this call; the next call goes on. For a pilot.
    on_error : {"collect", "raise"}
        Whether a row that cannot be sent, or is refused, is reported in the receipt or stops the call.
    resubmit : sequence of {"canceled", "error"}
        Rows whose task ended so get a new task; the old one's id is cleared.
    clear_unique_id_on_error : bool
        Asks the service to free a task's id when the task ends in error.
    upload_files : bool
        Upload the files of this machine that stand among the attachments first, each once (see `rf.files.upload`);
        rows are then known by the files' content. A file that is gone since counts as what it was when this journal's
        submission uploaded it. False: such a row fails, and says so. Frames only, not pieces.
    progress : bool
        False shows no bar. ``REFONTE_PROGRESS=0`` does that everywhere.
    client : Client, optional
        Default: made from ``REFONTE_API_KEY`` and ``REFONTE_BASE_URL``.

    Returns
    -------
    pandas.DataFrame
        The rows of `frame`, in their order, with their index and columns, followed by ``task_id``, ``unique_id``,
        ``outcome``, ``task_status``, ``changed``, ``error_code``, ``error_message`` and ``tries``. `outcome` is
        ``created`` (by this journal, now or before), ``existing`` (the platform had this very task), ``failed``,
        ``unsent`` (the run stopped before it) or ``unknown`` (only with ``unique_id=None``). ``attrs["refonte"]``
        holds counts, seconds, requests by status, the run's id and the journal's path.
    SubmitReport
        Instead, of input that is read piece by piece: the counts, and where the receipts lie as Parquet files.

    Raises
    ------
    ColumnError
        A column is missing or the mapping is the wrong way round; nothing was sent.
    InputError
        Equal ids, an unknown or closed project or batch, a parameter no row has; nothing was sent.
    RowErrors
        With ``on_error="raise"``: rows that cannot be sent, all of them; nothing was sent.
    Unauthorized, Forbidden, NotEnabled, TooManyRequests, NoReplyError
        The service refused the whole run, or cannot be reached. ``.receipt`` holds what was settled.
    RefonteError
        The 20th equal refusal in a row, or with ``on_error="raise"`` the first; of the type of the service's own
        error where it gave one. ``.receipt`` as above.
    JournalError
        The journal is another account's, of a newer version, or cannot be written.
    SubmitInterrupted
        After Ctrl-C, once the rows in flight were settled; ``.receipt`` as above.

    Notes
    -----
    One POST a row, and with `upload_files` one a file; on resume none for rows that have their task. A 409 costs one
    GET. Nothing is looked up first.
    Contract 1.4, 1.5 and 2.3.

    Input that is read piece by piece is worked off in chunks of `chunk_rows`: a bad row of a later chunk is found when
    the chunks before it are sent, and ends as ``failed`` (under ``on_error="raise"`` it stops the call there). Equal
    rows are found across all chunks: under ``duplicates="error"`` the first is sent and the others fail. `group_by`
    needs rows sorted by group. With a `limit` reading stops once it is reached, and rows refused by an earlier call
    wait. Run the same call on the same input again to go on after a stop.

    Examples
    --------
    >>> texts = pd.DataFrame({"text": ["a red car", "a blue sky"]})
    >>> options = dict(type="categorization", columns={"attachment": "text"}, progress=False,
    ...                params={"attachment_type": "text", "categories": ["red", "blue"]})
    >>> texts.pipe(rf.submit, **options)[["text", "outcome"]]
             text  outcome
    0   a red car  created
    1  a blue sky  created

    The same line again finds the same tasks, and a row that cannot be sent says why:

    >>> more = pd.DataFrame({"text": ["a red car", None]})
    >>> more.pipe(rf.submit, **options)[["outcome", "error_message"]].to_dict("records")
    [{'outcome': 'created', 'error_message': None}, \
{'outcome': 'failed', 'error_message': "a task of type 'categorization' needs attachment; the cell in 'text' is empty"}]

    >>> texts.pipe(rf.submit, type="categorisation")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: 'categorisation' is no task type. Did you mean categorization?
    """
    request = MappingRequest(
        type=type,
        project=project,
        batch=batch,
        columns=columns,
        metadata=metadata,
        params=params,
        unique_id=unique_id,
        duplicates=duplicates,
        group_by=group_by,
        clear_unique_id_on_error=clear_unique_id_on_error,
    )
    options = Options(journal, chunk_rows, limit, on_error, resubmit, progress)
    options.check(request)
    refuse_pieces(frame, upload_files=upload_files)
    began = time.monotonic()
    client = resolve_client(client).for_one_run()
    if comes_in_pieces(frame):
        return submit_pieces(frame, request, options, client)
    rows_in = as_pandas(frame)
    with _receipt_on_refusal(rows_in), uncollected():
        job = _prepare(
            rows_in,
            request,
            chunk_rows=chunk_rows,
            journal=journal,
            progress=progress,
            client=client,
            files=bring_files if upload_files else None,
        )
    if on_error == "raise":
        _refuse_bad_rows(job.tasks)
    with open_journal(job.client, journal_path(job.client, job.mapping, journal)) as book:
        with _receipt_on_refusal(rows_in), uncollected():
            check_journal_is_of_this_service(job.client, book)
            take_open_occurrences(book, job.tasks)
            decisions = hold_against(book, job.tasks, resubmit)
            chosen, rows = choose(job.tasks, decisions, limit)
        note_files(book, job.files)
        note_open_occurrences(book, job.tasks, decisions)
        began_at = note_begin(book, job.mapping, len(rows_in))
        with bars.bar(rows, "Submitting", "rows", progress=progress) as bar:
            run = Run(job.client, book, tuple(resubmit), on_error == "raise", bar)
            with noted_interrupts(run.interrupt):
                try:
                    run.carry_out(_work(job, decisions, chosen, chunk_rows))
                except JournalError as error:
                    error.receipt = receipt_of(job.frame, job.tasks, decisions, run.settled)
                    raise
                with uncollected():
                    receipt = receipt_of(job.frame, job.tasks, decisions, run.settled)
        receipt.attrs["refonte"] = {
            "counts": count_outcomes(receipt),
            "seconds": round(time.monotonic() - began, 3),
            "requests_by_status": job.client.requests_by_status(),
            "run_id": book.run_id,
            "journal": str(book.path),
            "mapping": job.mapping.describe(),
        }
        note_end(book, began_at, receipt.attrs["refonte"]["counts"])
    _finish(receipt, run, says_mapping=columns is None)
    return receipt


def plan(  # noqa: PLR0913 - the same arguments as submit
    frame: Any,
    *,
    type: str | None = None,
    project: str | None = None,
    batch: str | None = None,
    columns: Mapping[str, Hashable] | None = None,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None = None,
    params: Mapping[str, Any] | None = None,
    unique_id: Hashable | None = "auto",
    duplicates: Duplicates = "error",
    group_by: Hashable | None = None,
    journal: str | os.PathLike[str] | None = None,
    chunk_rows: int = 10_000,
    limit: int | None = None,
    on_error: OnError = "collect",
    resubmit: Sequence[str] = (),
    clear_unique_id_on_error: bool = False,
    upload_files: bool = False,
    lookup: bool = False,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Tell what `submit` would do with the same arguments, and change nothing.

    Parameters
    ----------
    frame
        As for `submit`, and so are all other arguments.
    type, project, batch, columns, metadata, params, unique_id, duplicates, group_by, journal, chunk_rows, limit
    on_error, resubmit, clear_unique_id_on_error, progress, client
        As for `submit`.
    upload_files : bool
        As for `submit`, but the files are only read, since rows are known by their content.
    lookup : bool
        Also ask the platform for the ids of the tasks that would be sent.

    Returns
    -------
    pandas.DataFrame
        The rows of `frame`, in their order, with their index and columns, followed by ``unique_id``, ``action``
        (``create``; ``settle``: an earlier sending is cleared up first; ``have``: the journal has its task;
        ``wait``: beyond `limit`; ``unknown``; ``invalid``), ``task_id``, ``changed``, ``error_code``,
        ``error_message`` and ``bytes`` (of the body; rows of a group share one). With `lookup` some of the rows to
        be sent become ``existing`` (the platform has this very task), ``different`` (another task has the id) or
        ``ended`` (it has this very task, canceled or in error, which still holds the id).

    Raises
    ------
    ColumnError, InputError, RowErrors, JournalError
        As `submit` does before it sends anything.

    Notes
    -----
    One GET each for the project and the batch. The journal is read if it is there, and not made. With `lookup` one
    GET for 40 ids, after it was seen once that two ids bring two tasks; else one for each id.

    Examples
    --------
    >>> texts = pd.DataFrame({"text": ["a green leaf", ""]})
    >>> texts.pipe(rf.plan, type="categorization", columns={"attachment": "text"}, progress=False,
    ...            params={"attachment_type": "text", "categories": ["red", "green"]})[["text", "action", "error_code"]]
               text   action         error_code
    0  a green leaf   create               None
    1                invalid  missing_parameter

    >>> texts.pipe(rf.plan, type="categorization", columns={"text": "attachment"})
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: columns maps parameter to column; it is the wrong way round. \
Write columns={'attachment': 'text'}.
    """
    request = MappingRequest(
        type=type,
        project=project,
        batch=batch,
        columns=columns,
        metadata=metadata,
        params=params,
        unique_id=unique_id,
        duplicates=duplicates,
        group_by=group_by,
        clear_unique_id_on_error=clear_unique_id_on_error,
    )
    options = Options(journal, chunk_rows, limit, on_error, resubmit, progress)
    options.check(request)
    if lookup and unique_id is None:
        raise InputError("lookup=True asks the platform for ids, and with unique_id=None the rows have none.")
    refuse_pieces(frame, upload_files=upload_files)
    rows, chunks = _all_rows(frame, chunk_rows, group_by)
    client = resolve_client(client)
    with uncollected():
        job = _prepare(
            rows,
            request,
            chunk_rows=chunk_rows,
            journal=journal,
            progress=progress,
            client=client,
            chunks=chunks,
            files=read_files if upload_files else None,
        )
        if on_error == "raise":
            _refuse_bad_rows(job.tasks)
        decisions = _decided(job, journal_path(client, job.mapping, journal), resubmit)
        chosen, _ = choose(job.tasks, decisions, limit, skips_refused=limit is not None and job.bodies is not None)
        planned = plan_frame(job.frame, job.tasks, decisions, chosen)
    if lookup:
        to_ask = {at for at in chosen if decisions[at].action != "recheck"}
        seen = foresee(job.client, _work(job, decisions, to_ask, chunk_rows), resubmit)
        planned = with_foreseen(planned, job.tasks, seen)
    actions = Counter(planned["action"].tolist())
    to_send = [task for task, decision in zip(job.tasks, decisions, strict=True) if decision.action in SENDING_ACTIONS]
    workers = job.client.max_workers
    minutes = max(0.1, len(to_send) * _SECS_A_TASK / workers / 60)
    bars.say(
        f"refonte_frames plan: {len(planned):,} rows: {listed(actions)}; {len(to_send):,} tasks to send, "
        f"{sum(task.n_bytes for task in to_send):,} bytes, about {minutes:.1f} min at "
        f"{_SECS_A_TASK * 1000:.0f} ms a request and {workers} at once. Mapping: {job.mapping.describe()}."
    )
    return planned


def _decided(job: _Job, path: Path, resubmit: Sequence[str]) -> list[Decision]:
    """Hold the tasks against the journal, where there is one, without writing to it."""
    if path.exists() and path.stat().st_size:
        with open_journal(job.client, path, is_read_only=True) as book:
            take_open_occurrences(book, job.tasks)
            return hold_against(book, job.tasks, resubmit)
    return decide(job.tasks, {}, now=time.time())


#: What a request is taken to last when nothing was sent yet; said in the summary that uses it.
_SECS_A_TASK: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Job:
    """A frame, what it means, and the tasks it stands for; of rows that came in pieces their bodies as well."""

    frame: pd.DataFrame
    mapping: RowMapping
    builder: PayloadBuilder
    tasks: list[Task]
    client: Client
    files: Mapping[str, Brought]
    bodies: Mapping[int, bytes] | None = None


@contextlib.contextmanager
def _receipt_on_refusal(rows: pd.DataFrame) -> Iterator[None]:
    """Hang a receipt on a refusal of the run as a whole, and on Ctrl-C, that come before the first row."""
    try:
        yield
    except (Unauthorized, Forbidden, NoReplyError) as error:
        error.receipt = unsent_receipt(rows)
        raise
    except KeyboardInterrupt:
        receipt = unsent_receipt(rows)
        raise SubmitInterrupted(
            "Interrupted before this call sent a row; run the same call again to begin. "
            "The exception's .receipt says so of each row.",
            receipt=receipt,
            counts=count_outcomes(receipt),
        ) from None


def _all_rows(frame: Any, chunk_rows: int, group_by: Hashable | None) -> tuple[pd.DataFrame, list[pd.DataFrame] | None]:
    """Read all rows at once; those that came in pieces, which can be read again, also as they would be submitted."""
    if not comes_in_pieces(frame):
        return as_pandas(frame), None
    if can_be_read_once(frame):
        raise InputError(
            "plan would use up the iterator, and nothing would be left to submit. Pass a frame, "
            "or a list of frames, or make the iterator once for plan and once more for submit: rf.plan(list(…), …)."
        )
    chunks = list(chunks_of(pieces_of(frame), chunk_rows, group_by=group_by))
    return joined(chunks) if chunks else pd.DataFrame(), chunks


def _prepare(
    rows: pd.DataFrame,
    request: MappingRequest,
    *,
    chunk_rows: int,
    journal: str | os.PathLike[str] | None,
    progress: bool,
    client: Client,
    chunks: Sequence[pd.DataFrame] | None = None,
    files: FileStep | None = None,
) -> _Job:
    """Check everything that can be checked before the first row is sent."""
    mapping = resolve_mapping(list(rows.columns), request)
    inherited = inherited_parameters(client, mapping)
    builder = PayloadBuilder(rows, mapping, inherited)
    brought: dict[str, Brought] = {}
    if files is not None:
        names = builder.local_files(chunk_rows)
        brought = files(
            rows, names, mapping, journal=journal_path(client, mapping, journal), progress=progress, client=client
        )
        builder.bring(brought)
    if chunks is not None:
        tasks, bodies = all_told_apart(chunks, mapping, inherited)
        return _Job(rows, mapping, builder, tasks, client, {}, bodies)

    def payloads() -> Iterator[Any]:
        with bars.bar(len(rows), "Checking", "rows", progress=progress and len(rows) > chunk_rows) as bar:
            for chunk in builder.chunks(chunk_rows):
                yield from builder.build(chunk)
                bar.update(len(chunk))

    tasks = tell_apart(payloads(), mapping.duplicates, has_own_ids=mapping.unique_id is not None)
    return _Job(rows, mapping, builder, tasks, client, brought)


def _refuse_bad_rows(tasks: Sequence[Task]) -> None:
    bad = [(at, task.error.code, str(task.error)) for task in tasks if task.error for at in task.positions]
    if bad:
        at, _, message = bad[0]
        raise RowErrors(
            f"{len(bad):,} of the rows cannot be sent, the first of them row {at}: {message}. Nothing was sent; "
            "the error's .rows lists all of them.",
            bad,
        )


def _work(job: _Job, decisions: Sequence[Decision], chosen: set[int], chunk_rows: int) -> Iterator[Work]:
    """Make the bodies again, a chunk at a time, of the tasks that are sent."""
    by_first_row = {job.tasks[at].positions[0]: at for at in chosen}
    if job.bodies is not None:
        for first, place in by_first_row.items():
            task = job.tasks[place]
            yield Work(place, task, decisions[place], with_id(job.bodies[first], task.unique_id))
        return
    for chunk in job.builder.chunks(chunk_rows):
        if not any(position in by_first_row for position in chunk):
            continue
        for payload in job.builder.build(chunk):
            at = by_first_row.get(payload.positions[0])
            if at is not None:
                task = job.tasks[at]
                yield Work(at, task, decisions[at], with_id(payload.body, task.unique_id))


def _finish(receipt: pd.DataFrame, run: Run, *, says_mapping: bool) -> None:
    """Say how it went in one line, and raise what stopped the run, with the receipt."""
    about = receipt.attrs["refonte"]
    counts = about["counts"]
    rows = len(receipt)
    line = f"refonte_frames: {rows:,} rows: {listed(counts)} in {about['seconds']:.1f} s."
    codes = Counter(code for code in receipt["error_code"].tolist() if code)
    line += f" Errors: {listed(codes)}." if codes else ""
    changed = int(receipt["changed"].sum())
    if changed:
        line += (
            f" {changed:,} rows differ from what was sent when their task was made; the tasks were left as they are."
        )
    line += f" Mapping, by the columns' names: {about['mapping']}." if says_mapping else ""
    line += f" Journal: {about['journal']}"
    bars.say(line)
    left = counts["unsent"]
    if run.was_interrupted:
        raise SubmitInterrupted(
            f"Interrupted with {left:,} of {rows:,} rows unsent; run the same call again to go on. "
            "The receipt so far is the exception's .receipt.",
            receipt=receipt,
            counts=counts,
        )
    if run.halted_by is not None:
        run.halted_by.receipt = receipt
        raise told_what_is_left(run.halted_by, left, rows)
