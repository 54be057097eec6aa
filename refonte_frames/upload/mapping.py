"""Which column feeds which parameter: the caller's words checked against the frame's columns. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from refonte_frames.cells import ABSENT, CellError, json_value
from refonte_frames.errors import ColumnError, InputError
from refonte_frames.upload.task_types import checked_type, is_parameter, takes_attachments

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

__all__ = ["RECEIPT_COLUMNS", "Duplicates", "MappingRequest", "RowMapping", "resolve_mapping"]

Duplicates = Literal["error", "share", "each"]

#: What `submit` adds to a frame; never sent as metadata, so that a receipt can be submitted again as it is.
RECEIPT_COLUMNS: Final = (
    "task_id",
    "unique_id",
    "outcome",
    "task_status",
    "changed",
    "error_code",
    "error_message",
    "tries",
)


@dataclass(frozen=True, slots=True)
class MappingRequest:
    """The mapping arguments of `submit`, `plan` and `to_tasks`, as the caller gave them."""

    type: str | None = None
    project: str | None = None
    batch: str | None = None
    columns: Mapping[str, Hashable] | None = None
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None = None
    params: Mapping[str, Any] | None = None
    unique_id: Hashable | None = "auto"
    duplicates: Duplicates = "error"
    group_by: Hashable | None = None
    clear_unique_id_on_error: bool = False


@dataclass(frozen=True, slots=True)
class RowMapping:
    """What feeds what, settled.

    Attributes
    ----------
    targets : dict of str to column
        Parameter (dots reach into parameters) to column; without metadata, unique_id and type.
    metadata : dict of str to column
        Metadata key to column.
    constants : dict
        The part of the body that is the same for all rows, as JSON values.
    type : str or None
        None when `type_column` says it row by row.
    unique_id : column or None
        The column of the caller's own ids; None when ids are made or not wanted.
    makes_ids : bool
        True when rows without an id of their own get one made from their content.
    remakes_ids : bool
        True when the ids came by a column's name alone, as those of a receipt do: ids that an earlier call made are
        made anew, since the row may have been mended.
    """

    targets: dict[str, Hashable]
    metadata: dict[str, Hashable]
    constants: dict[str, Any]
    type: str | None
    type_column: Hashable | None
    unique_id: Hashable | None
    makes_ids: bool
    remakes_ids: bool
    duplicates: Duplicates
    group_by: Hashable | None

    def describe(self) -> str:
        """Say in one line what feeds what."""
        pairs = [f"{target} = {column!r}" for target, column in self.targets.items()]
        pairs += [f"metadata.{key} = {column!r}" for key, column in self.metadata.items()]
        identity = "made from the content" if self.makes_ids else "none"
        pairs.append(f"unique_id = {self.unique_id!r}" if self.unique_id is not None else f"unique_id {identity}")
        return ", ".join(pairs)


def resolve_mapping(frame_columns: Sequence[Hashable], request: MappingRequest) -> RowMapping:
    """Settle the mapping for a frame with these columns.

    Raises
    ------
    ColumnError
        A column that is not there, is there twice, or a mapping the wrong way round.
    InputError
        An unknown task type, a parameter given twice, a value that JSON cannot hold.
    """
    columns = list(frame_columns)
    _check_kinds(request)
    if any(isinstance(column, tuple) for column in columns):
        raise ColumnError("The frame's columns have several levels; make one of them: frame.columns.map('_'.join).")
    is_receipt = set(RECEIPT_COLUMNS) <= set(columns)
    task_type = checked_type(request.type) if request.type is not None else None
    if request.columns is None:
        named = _by_name(columns, task_type, request)
    else:
        named = _checked_columns(request.columns, columns, task_type)
    type_column, named = _take_type(named, columns, task_type)
    own_id, named = _take_unique_id(named, columns, request)
    metadata = _checked_metadata(request.metadata, columns, named, request)
    dotted = {key.removeprefix("metadata."): column for key, column in named.items() if _is_metadata(key)}
    _check_metadata_is_given_once(metadata, dotted, named)
    metadata |= dotted
    targets = {target: column for target, column in named.items() if not _is_metadata(target)}
    constants = _constants(request, targets)
    _check_group_by(request.group_by, columns, task_type)
    if request.duplicates not in ("error", "share", "each"):
        raise InputError(f"duplicates must be 'error', 'share' or 'each', not {request.duplicates!r}.")
    for column in {*targets.values(), *metadata.values()} | ({own_id} if own_id is not None else set()):
        if columns.count(column) > 1:
            raise ColumnError(f"The frame has {columns.count(column)} columns named {column!r}; rename all but one.")
    return RowMapping(
        targets=targets,
        metadata=metadata,
        constants=constants,
        type=task_type,
        type_column=type_column,
        unique_id=own_id,
        makes_ids=request.unique_id is not None and (own_id is None or is_receipt),
        remakes_ids=own_id is not None and request.columns is None and request.unique_id == "auto",
        duplicates=request.duplicates,
        group_by=request.group_by,
    )


def _by_name(columns: list[Hashable], task_type: str | None, request: MappingRequest) -> dict[str, Hashable]:
    """Map columns named like parameters to them; what the caller gave in words of his own goes first."""
    given = {name for name in ("project", "batch") if getattr(request, name) is not None} | set(request.params or {})
    if request.clear_unique_id_on_error:
        given.add("clear_unique_id_on_error")
    return {
        column: column
        for column in columns
        if isinstance(column, str)
        and is_parameter(column, task_type)
        and column.split(".")[0] not in given
        and column != request.group_by
    }


def _checked_columns(
    given: Mapping[str, Hashable], columns: list[Hashable], task_type: str | None
) -> dict[str, Hashable]:
    missing = {target: column for target, column in given.items() if column not in columns}
    if missing:
        _refuse_missing(missing, given, columns, task_type)
    bad = [target for target in given if not isinstance(target, str) or not target or "" in target.split(".")]
    if bad:
        raise ColumnError(f"columns maps parameters to columns; {bad[0]!r} is no parameter name.")
    return dict(given)


def _refuse_missing(
    missing: Mapping[str, Hashable], given: Mapping[str, Hashable], columns: list[Hashable], task_type: str | None
) -> None:
    turned = {str(column): target for target, column in given.items()}
    if all(target in columns for target in given) and any(is_parameter(name, task_type) for name in turned):
        raise ColumnError(f"columns maps parameter to column; it is the wrong way round. Write columns={turned!r}.")
    target, column = next(iter(missing.items()))
    more = f" (and {len(missing) - 1} more: {list(missing.values())[1:]!r})" if len(missing) > 1 else ""
    raise ColumnError(
        f"The frame has no column {column!r}, which should feed {target!r}{more}. {_nearest(column, columns)}"
    )


def _nearest(column: Hashable, columns: list[Hashable]) -> str:
    names = [name for name in columns if isinstance(name, str)]
    near = difflib.get_close_matches(str(column), names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    shown = ", ".join(map(repr, columns[:20])) + (", …" if len(columns) > 20 else "")
    return f"It has: {shown}." if columns else "It has no columns."


def _take_type(
    named: dict[str, Hashable], columns: list[Hashable], task_type: str | None
) -> tuple[Hashable | None, dict[str, Hashable]]:
    rest = {target: column for target, column in named.items() if target != "type"}
    if task_type is not None:
        return None, rest
    column = named.get("type", "type" if "type" in columns else None)
    if column is None:
        raise ColumnError("No task type: pass type=… (such as 'imageannotation'), or have a column named 'type'.")
    return column, rest


def _take_unique_id(
    named: dict[str, Hashable], columns: list[Hashable], request: MappingRequest
) -> tuple[Hashable | None, dict[str, Hashable]]:
    rest = {target: column for target, column in named.items() if target != "unique_id"}
    mapped = named.get("unique_id")
    if request.unique_id is None:
        if mapped is not None and request.columns is not None:
            raise InputError("unique_id=None and columns={'unique_id': …} contradict each other; drop one.")
        return None, rest
    if request.unique_id == "auto":
        return mapped, rest
    if mapped is not None and request.columns is not None and mapped != request.unique_id:
        raise InputError(f"unique_id={request.unique_id!r} and columns={{'unique_id': {mapped!r}}} differ; drop one.")
    if request.unique_id not in columns:
        raise ColumnError(
            f"The frame has no column {request.unique_id!r} for unique_id. {_nearest(request.unique_id, columns)}"
        )
    return request.unique_id, rest


def _is_metadata(target: str) -> bool:
    return target.startswith("metadata.")


def _checked_metadata(
    metadata: Sequence[Hashable] | Mapping[str, Hashable] | str | None,
    columns: list[Hashable],
    named: Mapping[str, Hashable],
    request: MappingRequest,
) -> dict[str, Hashable]:
    if metadata is None:
        return {}
    if isinstance(metadata, str):
        if metadata != "rest":
            raise InputError(f"metadata must be a list of columns, a dict {{key: column}} or 'rest', not {metadata!r}.")
        used = {*named.values(), request.unique_id, request.group_by, *RECEIPT_COLUMNS, "type"}
        metadata = [column for column in columns if column not in used]
    pairs = dict(metadata) if hasattr(metadata, "keys") else _keyed(metadata)
    for key, column in pairs.items():
        if column not in columns:
            raise ColumnError(f"The frame has no column {column!r} for metadata {key!r}. {_nearest(column, columns)}")
        if column in RECEIPT_COLUMNS and column != "unique_id":
            raise ColumnError(
                f"The column {column!r} belongs to receipts and is never sent as metadata; rename it if it is yours."
            )
        if not isinstance(key, str):
            raise ColumnError(f"metadata maps keys to columns, and keys are text; {key!r} is not.")
    return pairs


def _keyed(columns: Sequence[Hashable]) -> dict[str, Hashable]:
    keyed: dict[str, Hashable] = {}
    for column in columns:
        key = str(column)
        if keyed.setdefault(key, column) != column:
            raise ColumnError(f"The columns {keyed[key]!r} and {column!r} would both become the metadata {key!r}.")
    return keyed


def _check_metadata_is_given_once(
    listed: Mapping[str, Hashable], dotted: Mapping[str, Hashable], named: Mapping[str, Hashable]
) -> None:
    if "metadata" in named and (listed or dotted):
        raise ColumnError(
            f"metadata comes from the column {named['metadata']!r} as a whole and from columns of its keys; drop one."
        )
    for key in listed.keys() & dotted.keys():
        if listed[key] != dotted[key]:
            raise ColumnError(f"The metadata {key!r} comes from {listed[key]!r} and from {dotted[key]!r}; drop one.")


def _check_kinds(request: MappingRequest) -> None:
    """Refuse arguments of the wrong kind with a sentence, before they fail somewhere inside."""
    for name in ("columns", "params"):
        value = getattr(request, name)
        if value is not None and not isinstance(value, Mapping):
            raise InputError(f"{name} is a dict, not a {type(value).__name__}: {value!r}.")
    for name in ("type", "project", "batch"):
        value = getattr(request, name)
        if value is not None and (not isinstance(value, str) or not value):
            raise InputError(f"{name} is a text that is not empty, not {value!r}.")
    metadata = request.metadata
    if metadata is not None and not isinstance(metadata, str | Mapping) and not hasattr(metadata, "__iter__"):
        raise InputError(f"metadata is a list of columns, a dict {{key: column}} or 'rest', not {metadata!r}.")


def _constants(request: MappingRequest, targets: Mapping[str, Hashable]) -> dict[str, Any]:
    """Put together the part of the body that is the same for all rows."""
    params = dict(request.params or {})
    for name in ("type", "unique_id", "metadata"):
        if name in params:
            raise InputError(f"params must not hold {name!r}: it has an argument of its own.")
    named: dict[str, Any] = {"project": request.project, "batch": request.batch}
    named |= {"clear_unique_id_on_error": True} if request.clear_unique_id_on_error else {}
    for name, value in named.items():
        if value is not None and name in params:
            raise InputError(f"{name!r} is given as an argument and in params; drop one.")
    body: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    for name, value in params.items():
        body[name] = _constant(name, value)
    for target in targets:
        if "." not in target and target in body:
            raise InputError(
                f"{target!r} comes from the column {targets[target]!r} and is the same for all rows too; drop one."
            )
        others = [other for other in targets if other != target and other.startswith(target + ".")]
        if others:
            raise ColumnError(f"{target!r} and {others[0]!r} are mapped both; the second lies inside the first.")
    return {name: value for name, value in body.items() if value is not ABSENT}


def _constant(name: str, value: Any) -> Any:
    if not isinstance(name, str) or not name:
        raise InputError(f"params maps parameter names to values; {name!r} is no name.")
    try:
        converted = json_value(value)
    except CellError as error:
        raise InputError(f"params[{name!r}] cannot be sent: {error}.") from None
    return ABSENT if converted is None else converted


def _check_group_by(group_by: Hashable | None, columns: list[Hashable], task_type: str | None) -> None:
    if group_by is None:
        return
    if group_by not in columns:
        raise ColumnError(f"The frame has no column {group_by!r} to group by. {_nearest(group_by, columns)}")
    if columns.count(group_by) > 1:
        raise ColumnError(f"The frame has {columns.count(group_by)} columns named {group_by!r}; rename all but one.")
    if task_type is not None and not takes_attachments(task_type):
        raise ColumnError(
            f"group_by={group_by!r} makes one task with several attachments, but a task of type {task_type!r} has one "
            "attachment. Leave group_by out: every row becomes a task."
        )
