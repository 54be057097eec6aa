"""Frames to request bodies and back, without a service: `to_tasks` and `from_tasks`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import pandas as pd

from refonte_frames.errors import InputError, RowErrors
from refonte_frames.frames import as_pandas
from refonte_frames.upload.mapping import Duplicates, MappingRequest, resolve_mapping
from refonte_frames.upload.payloads import PayloadBuilder
from refonte_frames.upload.plan import tell_apart
from refonte_frames.upload.task_types import COMMON_FIELDS, inheritable_parameters

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

__all__ = ["from_tasks", "to_tasks"]

#: Fields of a task object that are no parameters of its type, in the order of our columns (contract 2.3).
_LEADING: Final = ("task_id", "type", "status", "created_at", "updated_at", "completed_at")
_TASK_FIELDS: Final = (
    *_LEADING,
    "unique_id",
    *(name for name in COMMON_FIELDS if name not in ("type", "unique_id", "metadata")),
)
_STAMPS: Final = ("created_at", "updated_at", "completed_at")
#: Of a served task, kept as they are: what the service adds about results.
_OTHER_TASK_FIELDS: Final = (
    "response",
    "audits",
    "customer_review_status",
    "callback_succeeded",
    "callback_completed",
    "attachment_url",
)


def to_tasks(  # noqa: PLR0913 - one argument a thing the caller may want to say
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
    clear_unique_id_on_error: bool = False,
) -> list[dict[str, Any]]:
    """Convert rows to the request bodies that `submit` would send, with their type; nothing is sent.

    Parameters
    ----------
    frame
        As for `submit`, and so are all other arguments.
    type, project, batch, columns, metadata, params, unique_id, duplicates, group_by, clear_unique_id_on_error
        As for `submit`.

    Returns
    -------
    list of dict
        One body a task, in row order: the request's fields and the key ``type``, which is part of the path when
        it is sent.

    Raises
    ------
    ColumnError, InputError
        As `submit` does before it sends anything.
    RowErrors
        Rows that cannot be sent, all of them. What a named project may fill in is not missed here.

    Examples
    --------
    >>> images = pd.DataFrame({"url": ["https://example.org/1.jpg"], "camera": ["north"]})
    >>> images.pipe(rf.to_tasks, type="imageannotation", columns={"attachment": "url"}, metadata=["camera"],
    ...             params={"geometries": {"box": {"objects_to_annotate": ["cat"]}}}, unique_id=None)
    [{'type': 'imageannotation', 'geometries': {'box': {'objects_to_annotate': ['cat']}}, \
'attachment': 'https://example.org/1.jpg', 'metadata': {'camera': 'north'}}]

    >>> images.pipe(rf.to_tasks, type="imageannotation", columns={"attachment": "uri"})
    Traceback (most recent call last):
    refonte_frames.errors.ColumnError: The frame has no column 'uri', which should feed 'attachment'. \
Did you mean 'url'?
    """
    rows = as_pandas(frame)
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
    mapping = resolve_mapping(list(rows.columns), request)
    has_project = any(name in mapping.constants or name in mapping.targets for name in ("project", "batch"))
    builder = PayloadBuilder(rows, mapping, inheritable_parameters() if has_project else {})
    payloads = [payload for chunk in builder.chunks(max(1, len(rows))) for payload in builder.build(chunk)]
    tasks = tell_apart(payloads, mapping.duplicates, has_own_ids=mapping.unique_id is not None)
    bad = [(at, task.error.code, str(task.error)) for task in tasks if task.error for at in task.positions]
    if bad:
        raise RowErrors(
            f"{len(bad):,} of the rows cannot be sent, the first of them row {bad[0][0]}: {bad[0][2]}.", bad
        )
    bodies = {payload.positions[0]: payload.body for payload in payloads}
    return [
        {"type": task.type, **msgspec.json.decode(bodies[task.positions[0]])}
        | ({"unique_id": task.unique_id} if task.unique_id is not None else {})
        for task in tasks
    ]


def from_tasks(
    objects: Iterable[Mapping[str, Any]],
    *,
    rows: Literal["task", "attachment"] = "task",
    metadata: Literal["json", "columns"] = "json",
) -> pd.DataFrame:
    """Convert task objects, or request bodies as `to_tasks` makes them, to a frame.

    Parameters
    ----------
    objects : iterable of dict
        As the service gives them, or bodies: every key of a body that is no common field is a parameter.
    rows : {"task", "attachment"}
        One row a task, or one row an attachment (a task with a list of three becomes three rows, in the list's
        order; its other values repeat).
    metadata : {"json", "columns"}
        ``"json"``: parameters and metadata as JSON text in ``params_json`` and ``metadata_json``. ``"columns"``: a
        column for each parameter and each object inside one (``geometries``, ``geometries.box``,
        ``geometries.box.min_height``), and for each key of the metadata (``metadata.camera``), so that every column
        mapped by `to_tasks` returns under its parameter's name.

    Returns
    -------
    pandas.DataFrame
        ``task_id, type, status, created_at, updated_at, completed_at`` (null for bodies; times in UTC), the common
        fields that occur, ``attachment`` or ``attachments``, and the columns named above. Order is kept.

    Raises
    ------
    InputError
        If an object is no mapping, or an option is unknown.

    Examples
    --------
    >>> bodies = [{"type": "categorization", "attachment": "car", "attachment_type": "text", "metadata": {"n": 1}}]
    >>> rf.from_tasks(bodies, metadata="columns")[["type", "attachment", "metadata.n"]]
                 type attachment  metadata.n
    0  categorization        car           1

    >>> rf.from_tasks(["car"])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: objects[0] is a str, not a task object.
    """
    if rows not in ("task", "attachment") or metadata not in ("json", "columns"):
        raise InputError("rows is 'task' or 'attachment', metadata is 'json' or 'columns'.")
    lines = [
        line
        for at, task in enumerate(objects)
        for line in _lines(_checked(task, at), by_attachment=rows == "attachment", in_columns=metadata == "columns")
    ]
    names = dict.fromkeys((*_LEADING, *(name for line in lines for name in line)))
    ordered = sorted(names, key=lambda name: _TASK_FIELDS.index(name) if name in _TASK_FIELDS else len(_TASK_FIELDS))
    return pd.DataFrame({name: _column(name, [line.get(name) for line in lines]) for name in ordered})


def _checked(task: Any, at: int) -> Mapping[str, Any]:
    if not hasattr(task, "items"):
        raise InputError(f"objects[{at}] is a {type(task).__name__}, not a task object.")
    checked: Mapping[str, Any] = task
    return checked


def _lines(task: Mapping[str, Any], *, by_attachment: bool, in_columns: bool) -> list[dict[str, Any]]:
    known = {*_TASK_FIELDS, *_OTHER_TASK_FIELDS, "metadata"}
    params = dict(task.get("params") or {}) if "params" in task else {k: v for k, v in task.items() if k not in known}
    line = {name: task[name] for name in (*_TASK_FIELDS, *_OTHER_TASK_FIELDS) if name in task}
    attachments = params.get("attachments")
    line |= {name: params[name] for name in ("attachment", "attachments") if name in params}
    labels = task.get("metadata") or {}
    if in_columns:
        line |= _reach(params)
        line |= {f"metadata.{key}": value for key, value in labels.items()}
    else:
        line["params_json"] = msgspec.json.encode(params).decode()
        line["metadata_json"] = msgspec.json.encode(labels).decode()
    if by_attachment and isinstance(attachments, list):
        return [line | {"attachment": attachment} for attachment in attachments]
    return [line]


def _reach(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name every value inside, and every object on the way, by its dotted path."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        found[prefix + key] = item
        if isinstance(item, dict):
            found |= _reach(item, f"{prefix}{key}.")
    return found


def _column(name: str, values: list[Any]) -> pd.Series[Any]:
    if name in _STAMPS:
        return pd.to_datetime(pd.Series(values, dtype="object"), utc=True, format="ISO8601").astype(
            "datetime64[us, UTC]"
        )
    kinds = {type(value) for value in values if value is not None}
    dtype = {frozenset({bool}): "boolean", frozenset({int}): "Int64", frozenset({str}): "string"}.get(frozenset(kinds))
    if kinds and kinds <= {int, float}:
        dtype = dtype or "Float64"
    if dtype == "Int64" and any(abs(value) >= 2**63 for value in values if value is not None):
        dtype = None
    return pd.Series(values, dtype=dtype or "object")
