"""From rows to request bodies: the mapped cells of each row, checked, as the JSON that is sent. Pure."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd

from refonte_frames.cells import ABSENT, CellError, Column, holds_broken_integers, json_column, own_id
from refonte_frames.errors import ColumnError, InputError
from refonte_frames.upload.checks import CHECKS, TIDIED, check_attachments, check_fields, is_local_file, tidy_field
from refonte_frames.upload.identity import Canon, CanonOrder, canonical_bytes, id_prefix, id_tails, is_auto_id
from refonte_frames.upload.task_types import checked_type, is_filled, missing_groups, missing_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    import numpy as np

    from refonte_frames.upload.mapping import RowMapping

__all__ = ["Brought", "Payload", "PayloadBuilder", "key_codes", "with_id"]

_encode = msgspec.json.Encoder().encode
_ATTACHMENTS: Final = ("attachment", "attachments")


@dataclass(slots=True)
class Payload:
    """One task to be.

    Attributes
    ----------
    positions : tuple of int
        Rows of the frame that this task stands for.
    type : str
        Task type; empty when the row names none that exists.
    body : bytes
        The request body without unique_id.
    base_id : str or None
        The id, before repeats are told apart; None when the task gets none.
    given_id : str or None
        The id that an earlier call made for this row, when the frame is a receipt.
    sent_hash : bytes
        Of all that is sent; equal for equal content.
    error : CellError or None
        Why it cannot be sent.
    """

    positions: tuple[int, ...]
    type: str
    body: bytes
    base_id: str | None
    given_id: str | None
    sent_hash: bytes
    error: CellError | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a file of this machine.

    Attributes
    ----------
    url : str
        Its address at the service.
    sha256 : str
        Of its content, in hex: by this it enters the row's identity.
    error : CellError or None
        Why it could not be had.
    """

    url: str = ""
    sha256: str = ""
    error: CellError | None = None


@dataclass(slots=True)
class _Row:
    """The mapped cells of one row, or of a group's rows once they are joined."""

    positions: tuple[int, ...]
    type: str
    fields: dict[str, Any]
    own_id: Any = None
    given_id: str | None = None
    error: CellError | None = None


class PayloadBuilder:
    """Makes the payloads of a frame, a chunk at a time, always the same for the same rows.

    Parameters
    ----------
    frame : pandas.DataFrame
        All rows; never written to.
    mapping : RowMapping
        What feeds what.
    inherited : mapping
        Parameters that the project fills in, and that a row therefore may lack; None for a value nobody knows.
    """

    def __init__(self, frame: pd.DataFrame, mapping: RowMapping, inherited: Mapping[str, Any]) -> None:
        self._frame = frame
        self._mapping = mapping
        self._inherited = inherited
        self._may_be_text = inherited.get("attachment_type", "") in ("text", None)
        mapped = {*mapping.targets.values(), *mapping.metadata.values()}
        mapped |= {mapping.unique_id} if mapping.unique_id is not None else set()
        # Asked of whole columns, so that a cell becomes the same whatever chunk it lies in.
        self._broken = {column for column in mapped if holds_broken_integers(frame[column])}
        self._canon = Canon(mapping.constants)
        self._tops = sorted({target.partition(".")[0] for target in mapping.targets if "." in target})
        self._feeds = {target.partition(".")[0]: column for target, column in mapping.targets.items()}
        self._constants = {name: tidy_field(name, value) for name, value in mapping.constants.items()}
        self._encoded = {name: _pair(name, value) for name, value in mapping.constants.items()}
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._files: Mapping[str, Brought] = {}
        self._digests: dict[str, str] = {}
        self._check_constants()

    def chunks(self, chunk_rows: int) -> Iterator[Sequence[int]]:
        """Cut the rows into chunks of about `chunk_rows` positions; a group is never cut."""
        if self._mapping.group_by is None:
            for start in range(0, len(self._frame), chunk_rows):
                yield range(start, min(start + chunk_rows, len(self._frame)))
            return
        chunk: list[int] = []
        for positions in _groups(self._frame[self._mapping.group_by]):
            if chunk and len(chunk) + len(positions) > chunk_rows:
                yield chunk
                chunk = []
            chunk += positions
        if chunk:
            yield chunk

    def build(self, positions: Sequence[int]) -> Iterator[Payload]:
        """Make the payloads of these rows, one after the other: one for each, or one for each group.

        Parameters
        ----------
        positions : sequence of int
            A chunk from `chunks`.
        """
        whole = self._frame
        part = (
            whole.iloc[positions.start : positions.stop]
            if isinstance(positions, range)
            else whole.iloc[list(positions)]
        )
        rows = self._rows(part, positions)
        if self._mapping.group_by is not None:
            rows = self._join_groups(rows, part[self._mapping.group_by])
        return iter(self._payloads(rows))

    def local_files(self, chunk_rows: int) -> list[str]:
        """List the files of this machine that the rows name as attachments, each once."""
        found: dict[str, None] = {}
        for chunk in self.chunks(chunk_rows):
            for row in self._rows(self._frame.iloc[list(chunk)], chunk):
                found |= dict.fromkeys(filter(is_local_file, self._attachments(row)))
        return list(found)

    def bring(self, files: Mapping[str, Brought]) -> None:
        """Put the addresses of these files in the place of their names from now on."""
        self._files = files
        self._digests = {file.url: f"sha256:{file.sha256}" for file in files.values() if file.error is None}

    def _attachments(self, row: _Row) -> list[Any]:
        """List what may be a file among the attachments of a row; texts are none."""
        default = "text" if self._may_be_text else None
        if row.fields.get("attachment_type", self._constants.get("attachment_type", default)) == "text":
            return []
        several = row.fields.get("attachments")
        return [row.fields.get("attachment"), *(several if isinstance(several, list) else ())]

    def _put_files(self, row: _Row) -> None:
        names = [item for item in self._attachments(row) if isinstance(item, str) and item in self._files]
        for name in names:
            row.error = row.error or self._files[name].error
        urls = {name: self._files[name].url for name in names}
        for field in _ATTACHMENTS if urls else ():
            if field in row.fields:
                row.fields[field] = _replaced(row.fields[field], urls)

    def _check_constants(self) -> None:
        """Refuse at once what would fail every row."""
        mapping, constants = self._mapping, self._constants
        try:
            check_fields(constants, may_be_text=self._may_be_text)
        except CellError as error:
            raise InputError(f"params cannot be sent: {error}.") from None
        for top in self._tops:
            if not isinstance(constants.get(top, {}), dict):
                raise InputError(f"A column reaches into {top!r}, but params[{top!r}] is no object.")
        if mapping.type is None:
            return
        fed = {target.partition(".")[0] for target in mapping.targets}
        if mapping.group_by is not None and "attachment" in fed:
            fed.add("attachments")
        missing = missing_parameters(mapping.type, constants, {*self._inherited, *fed})
        if missing:
            raise InputError(
                f"A task of type {mapping.type!r} needs {', '.join(missing)}: map a column to it "
                "(columns={parameter: column}) or give it once for all rows (params={parameter: value})."
            )

    def _rows(self, part: pd.DataFrame, positions: Sequence[int]) -> list[_Row]:
        mapping = self._mapping
        rows = [_Row((at,), mapping.type or "", {}) for at in positions]
        for target, column in mapping.targets.items():
            _fill(rows, self._cells(part, column), target, column, self._base(target))
        if mapping.metadata:
            self._fill_metadata(rows, part)
        if mapping.type_column is not None:
            _fill_type(rows, json_column(part[mapping.type_column]), mapping.type_column)
        if mapping.unique_id is not None:
            self._fill_ids(rows, self._cells(part, mapping.unique_id))
        for row in rows if self._files else ():
            self._put_files(row)
        return rows

    def _cells(self, part: pd.DataFrame, column: Hashable) -> Column:
        return json_column(part[column], is_broken_integers=column in self._broken)

    def _base(self, target: str) -> Any:
        return self._mapping.constants.get(target.partition(".")[0], {}) if "." in target else None

    def _fill_metadata(self, rows: list[_Row], part: pd.DataFrame) -> None:
        for row in rows:
            row.fields["metadata"] = {}
        for key, column in self._mapping.metadata.items():
            converted = self._cells(part, column)
            for row, value in zip(rows, converted.values, strict=True):
                if value is not ABSENT:
                    row.fields["metadata"][key] = value
            _note_errors(rows, converted, f"metadata.{key}", column)

    def _fill_ids(self, rows: list[_Row], converted: Column) -> None:
        mapping = self._mapping
        # First, since a cell that cannot be sent is no empty one.
        _note_errors(rows, converted, "unique_id", mapping.unique_id)
        for row, value in zip(rows, converted.values, strict=True):
            if mapping.remakes_ids and isinstance(value, str) and is_auto_id(value):
                row.given_id = value
                continue
            try:
                row.own_id = _own_id(value, mapping, has_broken_integers=converted.holds_broken_integers)
            except CellError as error:
                row.error = row.error or error

    def _join_groups(self, rows: list[_Row], keys: pd.Series[Any]) -> list[_Row]:
        joined = []
        for members in _groups(keys):
            group = [rows[at] for at in members]
            if pd.isna(keys.iloc[members[0]]):
                error = CellError("null_group", f"the row has no value in {keys.name!r}, the column to group by")
                joined += [replace(row, error=row.error or error) for row in group]
            else:
                joined.append(_joined(group))
        return joined

    def _payloads(self, rows: Sequence[_Row]) -> list[Payload]:
        if not rows:
            return []
        shapes = [self._shape(row) for row in rows]
        made = [shape.made(row.fields, self._digests) for row, shape in zip(rows, shapes, strict=True)]
        makes_ids = self._mapping.makes_ids
        tails = id_tails([labeled for _, labeled, _ in made]) if makes_ids else itertools.repeat("", len(rows))
        payloads = []
        for row, shape, (body, _, sent_hash), tail in zip(rows, shapes, made, tails, strict=True):
            if row.error is None and not shape.allows(row.fields):
                row.error = self._fault(row)
            unique_id = row.own_id
            if unique_id is None and makes_ids and row.error is None:
                unique_id = (shape.id_prefix or self._id_prefix(row.type, row.fields)) + tail
            payloads.append(Payload(row.positions, row.type, body, unique_id, row.given_id, sent_hash, row.error))
        return payloads

    def _id_prefix(self, task_type: str, fields: Mapping[str, Any]) -> str:
        project, batch = (fields.get(name, self._constants.get(name)) for name in ("project", "batch"))
        return id_prefix(task_type, project=project, batch=batch)

    def _shape(self, row: _Row) -> _Shape:
        names = (row.type, *row.fields)
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._shapes[names] = self._new_shape(row.type, row.fields)
        return shape

    def _new_shape(self, task_type: str, fields: Mapping[str, Any]) -> _Shape:
        shared = {name: value for name, value in self._constants.items() if name not in fields}
        default = "text" if self._may_be_text else None
        may_hold_files = shared.get("attachment_type", default) != "text"
        needs = [
            [name for name in group if name in fields] for group in missing_groups(task_type, shared, self._inherited)
        ]
        return _Shape(
            constants=b"".join(self._encoded[name] + b"," for name in shared),
            keys=tuple((name, _key(name)) for name in fields),
            order=self._canon.order(task_type, fields),
            id_prefix="" if fields.keys() & {"project", "batch"} else self._id_prefix(task_type, fields),
            checks=tuple((name, check) for name, check in CHECKS.items() if name in fields),
            may_hold_files=may_hold_files and bool(fields.keys() & {"attachment", "attachments"}),
            needs=tuple(names[0] for names in needs if names),
            is_simple="attachment_type" not in fields and all(len(names) == 1 for names in needs),
        )

    def _fault(self, row: _Row) -> CellError | None:
        body = {**self._constants, **row.fields}
        try:
            check_fields(body, may_be_text=self._may_be_text)
        except CellError as error:
            column = self._feeds.get(error.parameter)
            return error if column is None else CellError(error.code, f"column {column!r}: {error}")
        missing = missing_parameters(row.type, body, self._inherited)
        if missing:
            fed = [self._feeds[name] for name in missing[0].split(" or ") if name in self._feeds]
            empty = f"; the cell in {fed[0]!r} is empty" if fed else ""
            return CellError("missing_parameter", f"a task of type {row.type!r} needs {', '.join(missing)}{empty}")
        return None


@dataclass(frozen=True, slots=True)
class _Shape:
    """What rows that have the same fields have in common, worked out once.

    Attributes
    ----------
    constants : bytes
        The encoded fields that are the same for all rows, without those that these rows overlay, each with a comma.
    keys : tuple of (str, bytes)
        The rows' own fields, with their encoded keys.
    id_prefix : str
        How their ids begin; empty where that differs from row to row.
    checks : tuple of (str, callable)
        Which of the fields have a rule.
    may_hold_files : bool
        Whether an attachment may be a file, so that its name must be looked at.
    needs : tuple of str
        Fields that must not be empty.
    is_simple : bool
        Whether the above is all there is to check.
    """

    constants: bytes
    keys: tuple[tuple[str, bytes], ...]
    order: CanonOrder
    id_prefix: str
    checks: tuple[tuple[str, Callable[[Any], None]], ...]
    may_hold_files: bool
    needs: tuple[str, ...]
    is_simple: bool

    def allows(self, fields: Mapping[str, Any]) -> bool:
        """Whether these fields certainly break no rule."""
        if not self.is_simple:
            return False
        try:
            for name, check in self.checks:
                check(fields[name])
            if self.may_hold_files:
                check_attachments(fields)
        except CellError:
            return False
        return all(map(is_filled, map(fields.get, self.needs)))

    def made(self, fields: Mapping[str, Any], digests: Mapping[str, str]) -> tuple[bytes, bytes, bytes]:
        """Encode the request body without unique_id, and hash what is to be labeled and all that is sent.

        Files that were uploaded are hashed by the `digests` of their content, under whatever address they stand.
        """
        parts = []
        canonical = {}
        for name, key in self.keys:
            value = fields[name]
            kind, text = type(value), _encode(value)
            parts.append(key + text)
            # The keys of an object may stand in another order than they are hashed in.
            canonical[name] = text if kind is int else canonical_bytes(value, text if kind is str else None)
            if digests and name in _ATTACHMENTS:
                canonical[name] = canonical_bytes(_replaced(value, digests))
        body = b"{" + self.constants + b",".join(parts) if parts else b"{" + self.constants[:-1]
        return body + b"}", *self.order.digests(canonical)


def _replaced(value: Any, others: Mapping[str, str]) -> Any:
    """Replace a text, or the texts of a list, by those that stand for them."""
    if isinstance(value, list):
        return [_replaced(item, others) for item in value]
    return others.get(value, value) if isinstance(value, str) else value


def with_id(body: bytes, unique_id: str | None) -> bytes:
    """Put the unique_id into a body."""
    if unique_id is None:
        return body
    head = body[:-1] + (b"," if len(body) > 2 else b"")
    return head + b'"unique_id":' + _encode(unique_id) + b"}"


@functools.lru_cache(maxsize=1024)
def _key(name: str) -> bytes:
    return _encode(name) + b":"


def _pair(name: str, value: Any) -> bytes:
    return _key(name) + _encode(tidy_field(name, value))


def _fill(rows: list[_Row], converted: Column, target: str, column: Any, base: Any) -> None:
    top, _, rest = target.partition(".")
    path = rest.split(".")
    is_tidied = top in TIDIED
    for row, value in zip(rows, converted.values, strict=True):
        if value is ABSENT:
            continue
        if rest:
            value = _with(row.fields.get(top, base), path, value)  # noqa: PLW2901 - the object it lies in
        row.fields[top] = tidy_field(top, value) if is_tidied else value
    _note_errors(rows, converted, target, column)


def _with(base: Any, path: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of the object `base` in which `path` leads to `value`."""
    copy = dict(base) if isinstance(base, dict) else {}
    copy[path[0]] = _with(copy.get(path[0]), path[1:], value) if path[1:] else value
    return copy


def _note_errors(rows: list[_Row], converted: Column, target: str, column: Any) -> None:
    for at, error in converted.errors.items():
        where = f"column {column!r} ({target}): " if column != target else f"column {column!r}: "
        rows[at].error = rows[at].error or CellError(error.code, where + str(error))


def _fill_type(rows: list[_Row], converted: Column, column: Any) -> None:
    for row, value in zip(rows, converted.values, strict=True):
        try:
            row.type = checked_type(None if value is ABSENT else value)
        except InputError as error:
            row.error = row.error or CellError("unknown_type", f"column {column!r}: {error}".rstrip("."))


def _own_id(value: Any, mapping: RowMapping, *, has_broken_integers: bool) -> str | None:
    """Turn a cell into the caller's own id.

    Raises
    ------
    CellError
        It is empty, or no text or integer that would read the same tomorrow.
    """
    column = mapping.unique_id
    if value is ABSENT:
        if mapping.makes_ids:
            return None
        raise CellError("null_unique_id", f"the row has no value in {column!r}, the column of unique_id")
    return own_id(value, column, has_broken_integers=has_broken_integers)


def key_codes(keys: pd.Series[Any]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Give each key to group by a number, in the order in which they first appear; rows without a key get -1.

    Raises
    ------
    ColumnError
        They are lists or objects.
    """
    try:
        codes, _ = pd.factorize(keys, use_na_sentinel=True)
    except (TypeError, NotImplementedError):
        raise ColumnError(
            f"The column {keys.name!r} to group by holds lists or objects; group by text or numbers."
        ) from None
    return codes


def _groups(keys: pd.Series[Any]) -> list[list[int]]:
    """List the positions of each key, keys in the order in which they first appear; rows without key together."""
    groups: dict[int, list[int]] = {}
    for at, code in enumerate(key_codes(keys).tolist()):
        groups.setdefault(code, []).append(at)
    return list(groups.values())


def _joined(group: list[_Row]) -> _Row:
    """Join the rows of a group into one task whose attachments are the rows' own, in row order."""
    first = group[0]
    positions = tuple(at for row in group for at in row.positions)
    error = next((row.error for row in group if row.error is not None), None)
    attachments: list[Any] = []
    for row in group:
        items = [row.fields.pop(name) for name in ("attachment", "attachments") if name in row.fields]
        for item in items:
            attachments += item if isinstance(item, list) else [item]
        if not items and error is None:
            error = CellError("missing_parameter", "a row of the group has no attachment")
    for row in group[1:]:
        names = [name for name in {**first.fields, **row.fields} if first.fields.get(name) != row.fields.get(name)]
        if (row.type, row.own_id) != (first.type, first.own_id):
            names.append("type" if row.type != first.type else "unique_id")
        if names and error is None:
            error = CellError("group_conflict", f"{names[0]!r} differs between the rows of the group")
    fields = {"attachments": attachments, **first.fields}
    return _Row(positions, first.type, fields, first.own_id, first.given_id, error)
