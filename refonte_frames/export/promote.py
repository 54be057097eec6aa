"""Declared keys of metadata and params become typed columns of the table tasks, behind the others. Pure; no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa
from msgspec import Raw

from refonte_frames.errors import InputError
from refonte_frames.export.columns import time_of
from refonte_frames.export.decode import number_of, object_of, text_of
from refonte_frames.schemas import SCHEMAS, TS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from refonte_frames.export.drift import Drift

__all__ = ["PROMOTED_TYPES", "promoted", "promotion_of", "schemas_of"]


def _read_text(raw: Raw) -> str:
    return msgspec.json.decode(raw, type=str)


def _read_integer(raw: Raw) -> int:
    value = msgspec.json.decode(raw, type=int)
    if not -(2**63) <= value < 2**63:
        raise OverflowError(value)
    return value


def _read_number(raw: Raw) -> float:
    value = number_of(raw)
    if value is None:
        raise OverflowError(text_of(raw))
    return value


def _read_bool(raw: Raw) -> bool:
    return msgspec.json.decode(raw, type=bool)


def _read_time(raw: Raw) -> int:
    micros, is_whole = time_of(_read_text(raw))
    if micros is None or not is_whole:
        raise OverflowError(text_of(raw))
    return micros


_TYPES: Final[dict[str, tuple[pa.DataType, Callable[[Raw], Any]]]] = {
    "string": (pa.string(), _read_text),
    "float64": (pa.float64(), _read_number),
    "int64": (pa.int64(), _read_integer),
    "bool": (pa.bool_(), _read_bool),
    "timestamp": (TS, _read_time),
}
#: The types that a column can be declared to have.
PROMOTED_TYPES: Final = tuple(_TYPES)


def promotion_of(promote: Mapping[str, str] | None) -> dict[str, str]:
    """Check the caller's declarations.

    Raises
    ------
    InputError
        For a key that is neither in metadata nor in params, or a type that there is not.
    """
    if promote is not None and not isinstance(promote, Mapping):
        raise InputError(f"promote={promote!r}: give a dict such as {{'metadata.camera': 'string'}}.")
    declared = dict(promote or {})
    for name, type_ in declared.items():
        root, _, rest = str(name).partition(".")
        if root not in ("metadata", "params") or not all(rest.split(".")):
            raise InputError(
                f"promote holds {name!r}: give keys as 'metadata.camera' or 'params.geometries.box.min_height'."
            )
        if type_ not in _TYPES:
            raise InputError(f"promote[{name!r}]={type_!r} is no type. There are {', '.join(_TYPES)}.")
    return declared


def schemas_of(tables: Iterable[str], promote: Mapping[str, str]) -> dict[str, pa.Schema]:
    """Return the columns of each table, with what was promoted in tasks."""
    schemas = {table: SCHEMAS[table] for table in tables}
    if promote and "tasks" in schemas:
        added = [
            pa.field(
                name, _TYPES[type_][0], metadata={"doc": f"{name} as {type_}; null where it is absent or no such."}
            )
            for name, type_ in promote.items()
        ]
        base = schemas["tasks"]
        schemas["tasks"] = pa.schema([*base, *added], metadata=base.metadata)
    return schemas


def promoted(tasks: pa.RecordBatch, promote: Mapping[str, str], drift: Drift) -> pa.RecordBatch:
    """Add the declared columns to rows of the table tasks.

    A value of another type is null there, stays as it is in ``metadata_json`` or ``params_json``, and is counted.
    """
    if not promote:
        return tasks
    columns = list(tasks.columns)
    texts = {root: tasks[f"{root}_json"].to_pylist() for root in ("metadata", "params")}
    for name, type_ in promote.items():
        root, _, rest = name.partition(".")
        # A key of metadata may have dots in it; params are a documented tree.
        path = [rest] if root == "metadata" else rest.split(".")
        arrow_type, read = _TYPES[type_]
        values = [_value(text, path, read, name, drift) for text in texts[root]]
        columns.append(pa.array(values, arrow_type))
    return pa.RecordBatch.from_arrays(columns, schema=schemas_of(["tasks"], promote)["tasks"])


def _value(text: str | None, path: Sequence[str], read: Callable[[Raw], Any], name: str, drift: Drift) -> Any:
    raw: Raw | None = None if text is None else Raw(text.encode())
    for key in path:
        keys = None if raw is None else object_of(raw)
        raw = None if keys is None else keys.get(key)
    if raw is None or text_of(raw) == "null":
        return None
    try:
        return read(raw)
    except (msgspec.ValidationError, OverflowError):
        drift.note_misfit(f"tasks.{name}")
        return None
