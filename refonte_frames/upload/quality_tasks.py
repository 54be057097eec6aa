"""Training and evaluation tasks from frames: tasks with a known answer, each made once (contract 2.3)."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import msgspec

from refonte_frames.cells import ABSENT, CellError, Column, json_column
from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import ColumnError, DuplicateUniqueId, InputError, NotFound, RowErrors
from refonte_frames.frames import as_pandas
from refonte_frames.resources.creations import Facts, Refused, Settled, Settler
from refonte_frames.resources.projects import check_project
from refonte_frames.resources.undertakings import Undertaking, state_path
from refonte_frames.transport.calls import Call, path_of
from refonte_frames.transport.replies import MAX_DEPTH, decode_json, is_deeper
from refonte_frames.upload.convert import to_tasks
from refonte_frames.upload.identity import Canon, auto_unique_id
from refonte_frames.upload.payloads import key_codes

if TYPE_CHECKING:
    import os
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from refonte_frames.errors import Conflict
    from refonte_frames.journal import Journal
    from refonte_frames.resources.creations import Creations, Job
    from refonte_frames.transport.calls import Reply

__all__ = ["create"]

_KINDS: Final = ("training", "evaluation")
_RESULT_COLUMNS: Final = ("quality_task_id", "unique_id", "outcome", "error_code", "error_message", "tries")


def create(  # noqa: PLR0913 - submit's arguments, and the answers
    frame: Any,
    *,
    kind: Literal["training", "evaluation"],
    expected: Hashable,
    initial: Hashable | None = None,
    type: str | None = None,
    project: str | None = None,
    batch: str | None = None,
    columns: Mapping[str, Hashable] | None = None,
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None = None,
    params: Mapping[str, Any] | None = None,
    unique_id: Hashable = "auto",
    duplicates: Literal["error", "share", "each"] = "error",
    group_by: Hashable | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Make a training or evaluation task of every row, exactly once: a task whose right answer is known.

    Labelers of a Rapid project are trained with the ones and measured with the others; `rf.read_attempts` reads how
    they fared. Stop it at any moment and run the same line again: it goes on where it was.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table, or anything with ``__arrow_c_stream__``
        One row a task. It is not changed.
    kind : {"training", "evaluation"}
        What the tasks are for.
    expected : column
        Holds the right answers, each in the form of a task's ``response``: an object, or JSON text of one, such as the
        ``response_json`` of `rf.read_tasks`.
    initial : column, optional
        Holds what labelers see at the beginning, in the same form; a null cell shows them nothing.
    type, project, batch, columns, metadata, params
        As for `rf.submit`. The project must be a Rapid one.
    unique_id : "auto" or a column
        The id that guards a row for ever. ``"auto"`` derives it from kind, content and answers.
    duplicates : {"error", "share", "each"}
        Rows with equal ids: refuse the frame, make one task that all of them share, or one task each.
    group_by : column, optional
        Rows that share its value become one task with ``attachments`` in row order; they have the same answers.
    journal : path, optional
        Where to write down what was sent. Default: a file in the user's state folder, named after host, key, kind, type
        and project.
    progress : bool
        False shows no bar.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        The rows of `frame`, in their order, with their index and columns, followed by ``quality_task_id``,
        ``unique_id``, ``outcome`` (``created``: by this journal, now or before; ``existing``: the platform had this
        very one; ``failed``; ``unsent``: the run stopped before it), ``error_code``, ``error_message`` and ``tries``.
        Columns of these names make way. ``attrs["refonte"]`` holds counts, seconds, requests by status and the
        journal's path.

    Raises
    ------
    ColumnError
        A column is missing or the mapping is the wrong way round; nothing was sent.
    InputError
        An argument cannot be right, ids are equal, or there is no such project; nothing was sent.
    Unauthorized, Forbidden, NotEnabled, NoReplyError, RefonteError
        The service refused the key or 20 rows in a row, or cannot be reached; ``.receipt`` holds what was done.
    JournalError
        The journal is another account's, or cannot be written.
    SubmitInterrupted
        After Ctrl-C, once the rows under way were settled; it has the ``.receipt`` as well.

    Notes
    -----
    One GET for the project, one POST a row; on a second run none for rows the journal knows. The service has no call
    that reads a quality task, and no Idempotency-Key is documented for them, so the unique_id is the one guard: a 409
    names the task that has it. With an id made of the content that is this very task; with an id of your own nobody can
    compare, so unless this journal made it the row is ``failed``. Contract 1.5, 2.3.

    Examples
    --------
    >>> _ = rf.projects.create("cats", type="imageannotation", rapid=True)
    >>> gold = pd.DataFrame({"url": ["https://example.org/1.jpg", "https://example.org/2.jpg"],
    ...                      "answer": [{"annotations": []}, None]})
    >>> options = dict(kind="training", expected="answer", type="imageannotation", project="cats", progress=False,
    ...                columns={"attachment": "url"}, params={"geometries": {"box": {"objects_to_annotate": ["cat"]}}})
    >>> gold.pipe(rf.quality_tasks.create, **options)[["outcome", "error_message"]].to_dict("records")
    [{'outcome': 'created', 'error_message': None}, \
{'outcome': 'failed', 'error_message': "a quality task needs its expected answer; the cell in 'answer' is empty"}]

    >>> gold.pipe(rf.quality_tasks.create, kind="exam", expected="answer")
    Traceback (most recent call last):
    refonte_frames.errors.InputError: kind is one of training, evaluation, not 'exam'.
    """
    _check_options(kind, unique_id, duplicates)
    rows = as_pandas(frame)
    wanted = _Reading(kind, expected, initial, unique_id, duplicates, group_by).wanted(
        rows, type=type, project=project, batch=batch, columns=columns, metadata=metadata, params=params
    )
    client = resolve_client(client).for_one_run()
    undertaking = Undertaking(
        name=f"quality_tasks.create ({kind})",
        doing="Creating",
        unit="tasks",
        purpose="quality_tasks",
        scope=kind,
        journal=state_path(client, journal, kind, type or "mixed", project or batch or "-"),
        settler_of=_QualitySettler,
        columns=_RESULT_COLUMNS,
        line=_line,
        check=functools.partial(check_project, client, project, type),
    )
    return undertaking.carry_out(rows, wanted, progress=progress, client=client)


@dataclass(frozen=True, slots=True)
class _WantedTask:
    """A quality task that is to be at the service."""

    id_name: ClassVar[str] = "unique_id"

    kind: str
    type: str
    unique_id: str
    has_own_id: bool
    digest: bytes
    body: bytes

    def look(self) -> Facts:
        """Say what it is."""
        return Facts(self.digest)

    def own_id(self, facts: Facts) -> str:  # noqa: ARG002 - the id was settled with those of the other rows
        """Name it."""
        return self.unique_id

    def call(self, facts: Facts) -> Call:  # noqa: ARG002 - as above
        """Make the request; sent twice, it is refused as taken."""
        return Call("POST", path_of(f"{self.kind}_tasks", self.type), body=self.body, is_repeatable=True)


class _Made(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class _QualitySettler(Settler):
    """Settles quality tasks, which nobody can look up: only a 409 names one."""

    def read(self, answer: Reply, call: Call) -> str:
        """Read the task's id."""
        return decode_json(answer.body, where=f"POST {call.path}", type=_Made).id

    def find(self, job: Job) -> None:  # noqa: ARG002 - as the others
        """Nobody can look."""
        return

    def taken(self, job: Job, error: Conflict) -> Settled:
        """Take the holder of the id, where it must be this one."""
        if not isinstance(error, DuplicateUniqueId):
            return Settled("failed", None, "conflict", error.error, maybe_sent=job.maybe_sent)
        if not job.wanted.has_own_id:
            return Settled("created" if job.maybe_sent else "existing", error.task_id, maybe_sent=job.maybe_sent)
        if job.maybe_sent and not self._is_plain_task(error.task_id):
            return Settled("created", error.task_id, maybe_sent=True)
        message = (
            f"the id {job.own_id!r} is taken by {error.task_id}, which this journal did not make and nobody can "
            "compare; give the row another id, or leave ids to be made: unique_id='auto'"
        )
        return Settled("failed", None, "unique_id_taken", message, maybe_sent=job.maybe_sent)

    def _is_plain_task(self, task_id: str) -> bool:
        try:
            self.client.send(Call.get("task", task_id), stop=self.stop)
        except NotFound:
            return False
        return True

    def check_known(self, own_id: str, journal: Journal) -> None:
        """Nobody can look."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How rows are read as quality tasks."""

    kind: str
    expected: Hashable
    initial: Hashable | None
    unique_id: Hashable
    duplicates: str
    group_by: Hashable | None

    def wanted(
        self,
        rows: pd.DataFrame,
        *,
        type: str | None,
        project: str | None,
        batch: str | None,
        columns: Mapping[str, Hashable] | None,
        metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None,
        params: Mapping[str, Any] | None,
    ) -> list[_WantedTask | Refused]:
        """Make a task of each row or group, or say why there is none; rows of a group have the same."""
        units = _units(rows, self.group_by)
        answers = _objects(rows, self.expected, "the expected answers", "expected='…'")
        begins = None if self.initial is None else _objects(rows, self.initial, "the initial answers", "initial='…'")
        ids = self._own_ids(rows, columns)
        # What a column of answers holds is sent once, and results of an earlier call are not sent.
        ours = [self.expected, self.initial, *(_RESULT_COLUMNS if "quality_task_id" in rows.columns else ())]
        mapped = {target: column for target, column in (columns or {}).items() if target != "unique_id"}
        bodies = _bodies(
            rows.loc[:, [name not in ours or name in mapped.values() for name in rows.columns]],
            {
                "type": type,
                "project": project,
                "batch": batch,
                "columns": None if columns is None else mapped,
                "metadata": metadata,
                "params": params,
                "group_by": self.group_by,
            },
            units,
        )
        made = [
            self._unit(positions, body, answers, begins, ids, (project, batch))
            for positions, body in zip(units, bodies, strict=True)
        ]
        result: list[_WantedTask | Refused] = [Refused("unread", "")] * len(rows)
        for positions, task in zip(units, self._told_apart(made, units), strict=True):
            for at in positions:
                result[at] = task
        return result

    def _own_ids(self, rows: pd.DataFrame, columns: Mapping[str, Hashable] | None) -> Column | None:
        column = (columns or {}).get("unique_id") if self.unique_id == "auto" else self.unique_id
        if column is None and columns is None and "quality_task_id" not in rows.columns:
            column = "unique_id" if "unique_id" in rows.columns else None
        if column is None:
            return None
        return json_column(_column(rows, column, "the unique_ids", "unique_id='…'"))

    def _unit(
        self,
        positions: Sequence[int],
        body: dict[str, Any] | Refused,
        answers: Column,
        begins: Column | None,
        ids: Column | None,
        place: tuple[str | None, str | None],
    ) -> _WantedTask | Refused:
        """Make the task of a row, or of the rows of a group."""
        if isinstance(body, Refused):
            return body
        try:
            answer = _common(answers, positions, "the expected answer")
            begin = None if begins is None else _common(begins, positions, "the initial answer")
            own_id = None if ids is None else _own_id(_common(ids, positions, "the unique_id"), ids)
        except Refused as refused:
            return refused
        if answer is None:
            message = f"a quality task needs its expected answer; the cell in {self.expected!r} is empty"
            return Refused("missing_parameter", message)
        fields = {**body, "expected_response": answer} | ({} if begin is None else {"initial_response": begin})
        return self._task(fields, own_id, place)

    def _task(self, fields: dict[str, Any], own_id: str | None, place: tuple[str | None, str | None]) -> _WantedTask:
        task_type = fields.pop("type")
        digest, _ = Canon({}).digests(task_type, {**fields, "quality_task": self.kind})
        project, batch = fields.get("project", place[0]), fields.get("batch", place[1])
        made_id = f"{self.kind}/{auto_unique_id(digest, task_type=task_type, project=project, batch=batch)}"
        unique_id = made_id if own_id is None else own_id
        body = msgspec.json.encode({**fields, "unique_id": unique_id})
        return _WantedTask(self.kind, task_type, unique_id, own_id is not None, digest, body)

    def _told_apart(
        self, made: Sequence[_WantedTask | Refused], units: Sequence[Sequence[int]]
    ) -> list[_WantedTask | Refused]:
        """Refuse, share or number those with equal ids; different content under one id fails in all its rows."""
        by_id: dict[str, list[int]] = defaultdict(list)
        for at, task in enumerate(made):
            if isinstance(task, _WantedTask):
                by_id[task.unique_id].append(at)
        result = list(made)
        for unique_id, places in by_id.items():
            same = [task for task in (made[at] for at in places) if isinstance(task, _WantedTask)]
            if len(same) == 1:
                continue
            rows = [units[at][0] for at in places]
            if len({task.digest for task in same}) > 1:
                message = f"the id {unique_id!r} stands in {len(same)} rows with different content"
                for at in places:
                    result[at] = Refused("duplicate_unique_id", message)
            elif self.duplicates == "error":
                raise InputError(
                    f"The id {unique_id!r} stands in {len(same)} rows ({', '.join(map(str, rows[:5]))}); nothing was "
                    "sent. duplicates='share' makes one task for equal rows, duplicates='each' one task for each."
                )
            elif self.duplicates == "each":
                for number, (at, task) in enumerate(zip(places, same, strict=True), start=1):
                    result[at] = task if number == 1 else _numbered(task, number)
        return result


def _numbered(task: _WantedTask, number: int) -> _WantedTask:
    unique_id = f"{task.unique_id}#{number}"
    body = msgspec.json.encode({**msgspec.json.decode(task.body), "unique_id": unique_id})
    digest = hashlib.sha256(task.digest + str(number).encode()).digest()
    return _WantedTask(task.kind, task.type, unique_id, task.has_own_id, digest, body)


def _check_options(kind: Any, unique_id: Any, duplicates: Any) -> None:
    if kind not in _KINDS:
        raise InputError(f"kind is one of {', '.join(_KINDS)}, not {kind!r}.")
    if unique_id is None:
        raise InputError("Quality tasks cannot do without a unique_id, which alone guards them: 'auto', or a column.")
    if duplicates not in ("error", "share", "each"):
        raise InputError(f"duplicates must be 'error', 'share' or 'each', not {duplicates!r}.")


def _column(rows: pd.DataFrame, name: Hashable, meaning: str, option: str) -> pd.Series[Any]:
    names: list[Any] = rows.columns.tolist()
    if names.count(name) != 1:
        has = ", ".join(map(repr, names)) or "no columns"
        several = "s" * (names.count(name) > 1)
        raise ColumnError(
            f"The frame has {names.count(name) or 'no'} column{several} {name!r} with {meaning}; name one: {option}. "
            f"It has: {has}."
        )
    column: pd.Series[Any] = rows[name]
    return column


def _objects(rows: pd.DataFrame, name: Hashable, meaning: str, option: str) -> Column:
    """Read a column of objects, or of JSON texts of objects."""
    column = json_column(_column(rows, name, meaning, option))
    for at, value in enumerate(column.values):
        if value is ABSENT or at in column.errors:
            continue
        if isinstance(value, str) and is_deeper(value.encode("utf-8", "replace"), MAX_DEPTH):
            too_deep = f"column {name!r}: an answer has at most {MAX_DEPTH} lists and objects within each other"
            column.errors[at] = CellError("bad_answer", too_deep)
            continue
        try:
            found = msgspec.json.decode(value) if isinstance(value, str) else value
        except (msgspec.DecodeError, RecursionError) as error:
            column.errors[at] = CellError("bad_answer", f"column {name!r}: the text is no JSON ({error})")
            continue
        if not isinstance(found, dict):
            column.errors[at] = CellError("bad_answer", f"column {name!r}: an answer is an object, not {found!r}")
        column.values[at] = found
    return column


def _cell(column: Column, at: int) -> Any:
    if (error := column.errors.get(at)) is not None:
        raise Refused(error.code, str(error))
    return None if column.values[at] is ABSENT else column.values[at]


def _common(column: Column, positions: Sequence[int], what: str) -> Any:
    """Take the cell that all rows of a group have."""
    first, *others = [_cell(column, at) for at in positions]
    if any(other != first for other in others):
        raise Refused("group_conflict", f"{what} differs between the rows of the group")
    return first


def _own_id(value: Any, ids: Column) -> str:
    if ids.holds_broken_integers:
        raise Refused("id_was_float", "the ids became floats because of empty cells; read the column as text")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value:
        return value
    raise Refused("null_unique_id" if value is None else "bad_unique_id", f"unique_id is a text, not {value!r}")


def _units(rows: pd.DataFrame, group_by: Hashable | None) -> list[list[int]]:
    """List the rows of each task to be, in the order in which they begin."""
    if group_by is None or group_by not in rows.columns:
        return [[at] for at in range(len(rows))]
    units: dict[int, list[int]] = {}
    for at, code in enumerate(key_codes(rows[group_by]).tolist()):
        # Rows without a key are refused one by one.
        units.setdefault(code if code >= 0 else -1 - at, []).append(at)
    return list(units.values())


def _bodies(
    rows: pd.DataFrame, mapping: dict[str, Any], units: Sequence[Sequence[int]]
) -> list[dict[str, Any] | Refused]:
    """Make the bodies as `submit` makes them, without ids; rows that cannot be sent say why."""
    refused: dict[int, Refused] = {}
    try:
        made = to_tasks(rows, unique_id=None, **mapping)
    except RowErrors as error:
        refused = {at: Refused(code, message) for at, code, message in error.rows}
        made = to_tasks(rows.iloc[[at for at in range(len(rows)) if at not in refused]], unique_id=None, **mapping)
    bodies = iter(made)
    return [refused[positions[0]] if positions[0] in refused else next(bodies) for positions in units]


def _line(run: Creations, at: int) -> dict[str, Any]:
    settled, wanted = run.result(at), run.wanted[at]
    return {
        "quality_task_id": settled.made,
        "unique_id": wanted.unique_id if isinstance(wanted, _WantedTask) else None,
        "outcome": settled.outcome,
        "error_code": settled.error_code,
        "error_message": settled.error_message,
        "tries": settled.tries,
    }
