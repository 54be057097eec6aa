"""The labels view: who called what what, under the names that libraries for crowd labels use. Pure."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd
import pyarrow as pa
from msgspec import Raw
from pandas.api.types import is_float_dtype

from refonte_frames.errors import ColumnError, InputError
from refonte_frames.export.columns import build
from refonte_frames.export.decode import TaskDoc
from refonte_frames.export.drift import Drift
from refonte_frames.export.tables import to_pandas
from refonte_frames.frames import as_pandas
from refonte_frames.quality.taking import KINDS, moments, numbers, refuse_half_characters, refuse_repeated
from refonte_frames.schemas import ANNOTATIONS, LABELS
from refonte_frames.transport.replies import MAX_DEPTH, is_deeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["annotations_from", "labels_from"]

#: Answers that are a label each; shapes are compared by how they overlap, and what is typed in is a value.
_NAMED: Final = ("category", "choice")
_TYPED_IN: Final = ("text",)
#: Columns that are read where they are there.
_READ_OF_LABELS: Final = (
    *("quality_task_id", "kind", "type", "field", "label", "geometry", "value", "response_json"),
    *("completed_at", "duration_secs"),
)
#: What an annotation says of itself, not of its task.
_ELEMENT_COLUMNS: Final = tuple(
    name
    for name in ANNOTATIONS.names
    if name not in ("task_id", "project", "batch", "type", "completed_at", "exported_at")
)


def labels_from(
    frame: Any,
    *,
    task: str = "task_id",
    worker: str = "labeler",
    label: str | None = None,
    field: str | None = None,
    kind: str | None = None,
) -> pd.DataFrame:
    """Make the labels view of attempts, annotations, or any frame: one row per answer to a question.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table, or anything with ``__arrow_c_stream__``
        Attempts as `read_attempts` returns them; annotations as `read_annotations` does, with a column that says who
        made them; or any frame with a row per label. It is not changed.
    task : str
        The column that says what was labeled. Where attempts are at no task, as most are, all count for their
        ``quality_task_id``, and those without one for their task.
    worker : str
        The column that says who labeled it.
    label : str, optional
        The column that holds the labels. Default: of a frame with ``response_json`` the categories, choices and
        fields of the responses; of annotations the same; else the column ``label``.
    field : str, optional
        The column that says which question was answered; or, where there is no such column, the one question whose
        answers are wanted. Default: a response says it itself; else the column ``field``, where there is one.
    kind : {"training", "evaluation", "unknown"}, optional
        Only rows of this ``kind``, of attempts.

    Returns
    -------
    pandas.DataFrame
        The columns of `refonte_frames.schemas.LABELS`, in the order of the rows: ``task, worker, label`` are those of
        crowd-kit. Several categories in one answer are one label, a sorted JSON array. Rows without a label, such as
        boxes, and rows without a task are left out: ``attrs["n_excluded"]`` counts them. Rows without a worker stay.

    Raises
    ------
    ColumnError
        The frame has no such column, or has it twice.
    InputError
        `kind` is none, a response is no JSON, ``completed_at`` holds no times or ``duration_secs`` no numbers.

    Notes
    -----
    Sends nothing. A plain task does not say who labeled it (contract 2.3): put a column with the worker beside
    annotations, from metadata for instance, before they are handed in.

    Examples
    --------
    >>> answers = pd.DataFrame({"task_id": ["t1", "t1"], "labeler": ["ana", "bob"],
    ...     "response_json": ['{"category":"cat"}', '{"category":["dog","cat"]}']})
    >>> rf.quality.labels_from(answers)[["task", "worker", "label", "repeat"]]
      task worker           label  repeat
    0   t1    ana             cat       1
    1   t1    bob  ["cat", "dog"]       1

    >>> rf.quality.labels_from(answers, worker="who")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'who'. A task does not say who labeled it: ...
    """
    rows = as_pandas(frame)
    for name in (task, worker, label, field, *_READ_OF_LABELS):
        refuse_repeated(rows, str(name))
    if kind is not None:
        rows = _of_kind(rows, kind)
    for name in (task if task in rows.columns else _task_column(rows, task), worker, label):
        if name is not None:
            _require(rows, name, worker=worker)
    reading = _Reading(rows, _tasks(rows, task), worker, label, field)
    found = [answer for answer in reading.answers() if answer.task is not None and answer.label is not None]
    made = to_pandas(_table(rows, found))
    made.attrs["n_excluded"] = len(rows) - len({at for answer in found for at in answer.rows})
    return made


def annotations_from(
    attempts: Any, *, response: str = "response_json", task: str = "task_id", worker: str = "labeler"
) -> pd.DataFrame:
    """Take the responses of attempts apart into annotations that say who made them.

    Parameters
    ----------
    attempts : frame
        As `read_attempts` gives them: `response`, `task`, `worker`, and ``type`` if there is one. It is not changed.
    response : str
        The column of responses; ``"expected_json"`` gives what is right, for `box_accuracy`.
    task, worker : str
        The columns that say what was labeled, and by whom. Attempts at no task count for their ``quality_task_id``.

    Returns
    -------
    pandas.DataFrame
        One row per element of an answer, in the order of the attempts: ``task_id, labeler, attempt`` (the attempt's
        place among the rows) and the columns of `refonte_frames.schemas.ANNOTATIONS` from ``annotation_index`` on to
        ``extra_json``. An attempt that found nothing has one row in which all of these are null.
        ``attrs["n_excluded"]`` counts attempts without a task or a response.

    Raises
    ------
    ColumnError
        The frame has no such column, or has it twice.
    InputError
        A response is no JSON.

    Examples
    --------
    >>> attempts = pd.DataFrame({"task_id": ["t", "t"], "labeler": ["ana", "bob"], "response_json": [
    ...     '{"annotations":[{"type":"box","label":"cat","left":1,"top":2,"width":3,"height":4}]}',
    ...     '{"annotations":[]}']})
    >>> rf.quality.annotations_from(attempts)[["task_id", "labeler", "geometry", "label", "width"]]
      task_id labeler geometry label  width
    0       t     ana      box   cat    3.0
    1       t     bob     <NA>  <NA>   <NA>

    >>> rf.quality.annotations_from(attempts, response="answer_json")
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'answer_json'. ...
    """
    rows = as_pandas(attempts)
    for name in (task, worker, response, "quality_task_id", "type"):
        refuse_repeated(rows, name)
    for name in (task if task in rows.columns else _task_column(rows, task), worker, response):
        _require(rows, name, worker=worker)
    tasks, workers, texts = _tasks(rows, task), _names(rows[worker]), _texts(rows[response])
    types = _texts(rows["type"]) if "type" in rows.columns else [None] * len(rows)
    usable = [at for at, text in enumerate(texts) if text is not None and tasks[at] is not None]
    table = _taken_apart([text if tasks[at] is not None else None for at, text in enumerate(texts)], types)
    by_attempt: dict[int, list[dict[str, Any]]] = {at: [] for at in usable}
    for element in table.select(["task_id", *_ELEMENT_COLUMNS]).to_pylist():
        by_attempt[int(element.pop("task_id"))].append(element)
    kept = [ANNOTATIONS.field(name) for name in _ELEMENT_COLUMNS]
    schema = pa.schema([("task_id", pa.string()), ("labeler", pa.string()), ("attempt", pa.int64()), *kept])
    made = [
        {"task_id": tasks[at], "labeler": workers[at], "attempt": at} | element
        for at, elements in by_attempt.items()
        for element in elements or [{}]
    ]
    frame = to_pandas(pa.Table.from_pylist(made, schema=schema))
    frame.attrs["n_excluded"] = len(rows) - len(usable)
    return frame


@dataclass(slots=True)
class _Answer:
    """One answer, and the rows of the frame that it was made of."""

    rows: list[int]
    task: Any
    worker: Any
    field: str | None
    label: str | None


def _of_kind(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    if kind not in KINDS:
        raise InputError(f"kind={kind!r}: there are {', '.join(KINDS)}.")
    _require(rows, "kind")
    return rows[(rows["kind"] == kind).fillna(value=False)]


def _task_column(rows: pd.DataFrame, task: str) -> str:
    """Take quality tasks for tasks, where attempts do not name a task each."""
    is_default = task == "task_id" and "quality_task_id" in rows.columns
    return "quality_task_id" if is_default and ("task_id" not in rows.columns or rows["task_id"].isna().any()) else task


def _tasks(rows: pd.DataFrame, task: str) -> list[str | None]:
    """Give what each row is about; a row without a quality task is about its task."""
    column = _task_column(rows, task)
    found = _names(rows[column])
    if column == task or task not in rows.columns:
        return found
    return [own if other is None else other for other, own in zip(found, _names(rows[task]), strict=True)]


def _require(rows: pd.DataFrame, name: str, *, worker: str = "") -> None:
    if name not in rows.columns:
        why = (
            " A task does not say who labeled it: put a column that does beside the rows, and name it: worker='…'."
            if name == worker
            else ""
        )
        raise ColumnError(f"The frame has no column {name!r}.{why} It has: {', '.join(map(repr, rows.columns))}.")


class _Reading:
    """Reads the answers of a frame, whatever its kind."""

    def __init__(
        self, rows: pd.DataFrame, tasks: Sequence[str | None], worker: str, label: str | None, field: str | None
    ) -> None:
        self._rows = rows
        self._tasks = tasks
        self._workers = _names(rows[worker])
        self._label = label
        self._is_column = field is not None and field in rows.columns
        self._field = field
        self._fields: Sequence[str | None] = _names(rows[field]) if self._is_column else [None] * len(rows)

    def answers(self) -> list[_Answer]:
        """List the answers with their order among those of the same worker to the same question."""
        found = list(self._found())
        return found if self._is_column or self._field is None else [one for one in found if one.field == self._field]

    def _found(self) -> Iterator[_Answer]:
        if self._label is not None:
            return self._plain(self._label)
        if "response_json" in self._rows.columns:
            return self._of_responses()
        _require(self._rows, "label")
        return self._of_annotations() if "geometry" in self._rows.columns else self._plain("label")

    def _plain(self, label: str) -> Iterator[_Answer]:
        fields = self._questions()
        for at, text in enumerate(_names(self._rows[label])):
            yield self._answer([at], fields[at], [] if text is None else [text])

    def _questions(self) -> Sequence[str | None]:
        """Give which question each row answers."""
        if self._is_column or "field" not in self._rows.columns:
            return self._fields
        return _names(self._rows["field"])

    def _of_responses(self) -> Iterator[_Answer]:
        texts = _texts(self._rows["response_json"])
        types = _texts(self._rows["type"]) if "type" in self._rows.columns else [None] * len(texts)
        by_field: dict[tuple[int, str | None], list[str]] = {}
        for at, element in _elements(texts, types):
            if (said := _said(element["geometry"], element["label"], element["value"])) is not None:
                by_field.setdefault((at, self._fields[at] or element["field"]), []).append(said)
        for (at, name), labels in by_field.items():
            yield self._answer([at], name, labels)

    def _of_annotations(self) -> Iterator[_Answer]:
        columns = [_names(self._rows[name]) for name in ("geometry", "label")]
        values = _names(self._rows["value"]) if "value" in self._rows.columns else [None] * len(self._rows)
        fields = self._questions()
        together: dict[tuple[Any, ...], tuple[list[int], list[str]]] = {}
        for at, (geometry, label, value) in enumerate(zip(*columns, values, strict=True)):
            if (said := _said(geometry, label, value)) is not None:
                rows, labels = together.setdefault((self._tasks[at], self._workers[at], fields[at]), ([], []))
                rows.append(at)
                labels.append(said)
        for (_, _, name), (rows, labels) in together.items():
            yield self._answer(rows, name, labels)

    def _answer(self, rows: list[int], field: str | None, labels: list[str]) -> _Answer:
        at = rows[0]
        label = labels[0] if len(labels) == 1 else json.dumps(sorted(labels), ensure_ascii=False) if labels else None
        return _Answer(rows, self._tasks[at], self._workers[at], field, label)


def _elements(texts: Sequence[str | None], types: Sequence[str | None]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Take responses apart; each element comes with the place of its response."""
    for element in _taken_apart(texts, types).select(["task_id", "geometry", "label", "value", "field"]).to_pylist():
        yield int(element["task_id"]), element


def _taken_apart(texts: Sequence[str | None], types: Sequence[str | None]) -> pa.Table:
    """Take responses apart as an export does; in the place of a task's id stands that of its response."""
    docs = [
        TaskDoc(task_id=str(at), type=type_, response=Raw(text.encode("utf-8", "replace")))
        for at, (text, type_) in enumerate(zip(texts, types, strict=True))
        if text is not None
    ]
    if any(is_deeper(bytes(doc.response), MAX_DEPTH) for doc in docs):
        raise _no_json(texts)
    try:
        tables = build(docs, tables=("annotations",), exported_at=datetime.now(UTC), drift=Drift())
    except (msgspec.DecodeError, RecursionError):
        raise _no_json(texts) from None
    return pa.Table.from_batches([tables["annotations"]])


def _no_json(texts: Sequence[str | None]) -> InputError:
    """Say which response cannot be read."""
    for at, text in enumerate(texts):
        try:
            msgspec.json.decode(text or "null")
        except msgspec.DecodeError as error:
            return InputError(f"response_json of row {at} is no JSON: {error}.")
        except RecursionError:
            return _too_deep(at)
        if is_deeper((text or "").encode("utf-8", "replace"), MAX_DEPTH):
            return _too_deep(at)
    return InputError("A response_json is no JSON that can be read.")


def _too_deep(at: int) -> InputError:
    return InputError(f"response_json of row {at} has more than {MAX_DEPTH} lists and objects within each other.")


def _said(geometry: str | None, label: str | None, value: str | None) -> str | None:
    return label if geometry in _NAMED else value if geometry in _TYPED_IN else None


def _texts(column: pd.Series[Any]) -> list[str | None]:
    return [None if _is_null(value) else str(value) for value in column.tolist()]


def _names(column: pd.Series[Any]) -> list[str | None]:
    """Give a column as texts that can stand in a table; of a response's text the JSON says what it is."""
    refuse_half_characters(column)
    if is_float_dtype(column.dtype) and (known := column.dropna()).mod(1).eq(0).all() and known.abs().lt(2**53).all():
        # Whole numbers of which one is missing: pandas makes floats of them, and of the task 7 the task 7.0.
        column = column.astype("Int64")
    return _texts(column)


def _is_null(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _table(rows: pd.DataFrame, answers: Sequence[_Answer]) -> pa.Table:
    times, seconds = _times(rows), _seconds(rows)
    columns = {
        "task": [answer.task for answer in answers],
        "worker": [answer.worker for answer in answers],
        "field": [answer.field for answer in answers],
        "label": [answer.label for answer in answers],
        "repeat": _repeats(answers, times),
        "answered_at": [times[answer.rows[0]] for answer in answers],
        "duration_secs": [seconds[answer.rows[0]] for answer in answers],
    }
    return pa.table([pa.array(columns[name], LABELS.field(name).type) for name in LABELS.names], schema=LABELS)


def _times(rows: pd.DataFrame) -> list[datetime | None]:
    if "completed_at" not in rows.columns:
        return [None] * len(rows)
    # Arrow's microseconds are the finest that is kept; a time of Python's would warn about what it loses.
    times = moments(rows["completed_at"]).dt.floor("us")
    return [None if pd.isna(moment) else moment.to_pydatetime() for moment in times.tolist()]


def _seconds(rows: pd.DataFrame) -> list[float | None]:
    if "duration_secs" not in rows.columns:
        return [None] * len(rows)
    return [None if math.isnan(value) else value for value in numbers(rows["duration_secs"]).tolist()]


def _repeats(answers: Sequence[_Answer], times: Sequence[datetime | None]) -> list[int]:
    """Count a worker's answers to one question by their time, and by their place where there is none."""
    counts: Counter[tuple[Any, ...]] = Counter()
    repeats = [0] * len(answers)
    for at in sorted(range(len(answers)), key=lambda at: _moment(times[answers[at].rows[0]])):
        key = (answers[at].task, answers[at].worker, answers[at].field)
        counts[key] += 1
        repeats[at] = counts[key]
    return repeats


def _moment(time: datetime | None) -> float:
    return float("-inf") if time is None else time.timestamp()
