"""Which change each row of a frame asks for, by its columns and the arguments: one for each row, or why none. Pure."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from refonte_frames.api import MAX_TAGS
from refonte_frames.cells import ABSENT, CellError, Column, is_sendable, json_column, own_id
from refonte_frames.errors import ColumnError, InputError
from refonte_frames.resources.changes import Change, Refused, column_of
from refonte_frames.resources.task_changes import Audit, SetMetadata, SetUniqueId

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

__all__ = ["audits_of", "checked_tags", "id_changes", "mapped_columns", "metadata_changes"]


def mapped_columns(rows: pd.DataFrame, columns: Sequence[Hashable] | Mapping[str, Hashable]) -> dict[str, Hashable]:
    """Say which column feeds which key.

    Raises
    ------
    ColumnError
        The mapping is the wrong way round, or two columns feed one key.
    InputError
        It is no mapping and no list, or a key cannot be sent.
    """
    if not hasattr(columns, "items"):
        if not isinstance(columns, Iterable):
            raise InputError(f"columns is a list of columns, or a dict of key to column, not {columns!r}.")
        return _by_key((column, column) for column in ([columns] if isinstance(columns, str) else columns))
    mapped = dict(columns.items())
    present = rows.columns.tolist()
    if mapped and not any(column in present for column in mapped.values()) and all(key in present for key in mapped):
        mended = {str(column): key for key, column in mapped.items()}
        raise ColumnError(f"columns maps key to column; it is the wrong way round. Write columns={mended!r}.")
    return _by_key(mapped.items())


def _by_key(pairs: Iterable[tuple[Hashable, Hashable]]) -> dict[str, Hashable]:
    """Take keys as the texts that JSON has for them; of two that become one, a column would be lost."""
    mapped: dict[str, Hashable] = {}
    for given, column in pairs:
        key = str(given)
        if not is_sendable(key):
            raise InputError(f"The key {key!r} of the metadata holds half a character, which cannot be sent.")
        if mapped.setdefault(key, column) != column:
            raise ColumnError(f"columns feeds the key {key!r} from {mapped[key]!r} and from {column!r}; keep one.")
    return mapped


def metadata_changes(rows: pd.DataFrame, mapped: Mapping[str, Hashable]) -> list[Change | Refused]:
    """Read the metadata of each row; empty cells leave their key out."""
    metadata: list[dict[str, Any]] = [{} for _ in range(len(rows))]
    errors: dict[int, Refused] = {}
    for key, column in mapped.items():
        converted = _converted(rows, column, "metadata", "columns=[…]")
        for at, value in enumerate(converted.values):
            if value is not ABSENT:
                metadata[at][key] = value
        for at, error in converted.errors.items():
            errors.setdefault(at, _cell_error(column, error))
    return [errors.get(at) or SetMetadata(values) for at, values in enumerate(metadata)]


def id_changes(rows: pd.DataFrame, column: Hashable, task_id: Hashable) -> list[Change | Refused]:
    """Read the new id of each row; one id for several tasks is refused."""
    converted = _converted(rows, column, "the new ids", "column='…'")
    ids = [_own_id(converted, at, column) for at in range(len(rows))]
    holders: dict[str, set[Any]] = defaultdict(set)
    for text, holder in zip(ids, column_of(rows, task_id, "the tasks' ids", "task_id='…'").tolist(), strict=True):
        if isinstance(text, str) and isinstance(holder, str):
            holders[text].add(holder)
    return [_id_change(text, holders) for text in ids]


def _id_change(text: str | Refused, holders: Mapping[str, set[Any]]) -> Change | Refused:
    if isinstance(text, Refused):
        return text
    if len(holders.get(text, ())) > 1:
        return Refused("duplicate_unique_id", f"the id {text!r} stands beside {len(holders[text])} tasks of the frame")
    return SetUniqueId(text)


def _own_id(converted: Column, at: int, column: Hashable) -> str | Refused:
    value = converted.values[at]
    if at in converted.errors:
        return _cell_error(column, converted.errors[at])
    if value is ABSENT:
        return Refused("null_unique_id", f"the cell in {column!r} is empty; rf.clear_unique_ids takes ids away")
    try:
        return own_id(value, column, has_broken_integers=converted.holds_broken_integers)
    except CellError as error:
        return Refused(error.code, str(error))


def audits_of(rows: pd.DataFrame, accepted: Hashable, comments: Hashable | None) -> list[Change | Refused]:
    """Read the verdict on each row, from a column or the same for all."""
    remarks = _remarks(rows, comments)
    if isinstance(accepted, bool | np.bool_):
        results = Column([bool(accepted)] * len(rows))
    else:
        results = _converted(rows, accepted, "the results", "accepted='…'")
    return [_audit(results, remarks, at, accepted) for at in range(len(rows))]


def _audit(results: Column, remarks: Column, at: int, column: Hashable) -> Change | Refused:
    result, remark = results.values[at], remarks.values[at]
    if at in remarks.errors:
        return Refused(remarks.errors[at].code, f"comments: {remarks.errors[at]}")
    if not isinstance(result, bool):
        shown = "empty" if result is ABSENT else repr(result)
        return Refused("bad_accepted", f"the cell in {column!r} is {shown}; it is to be True or False")
    if remark is not ABSENT and not isinstance(remark, str):
        return Refused("bad_comments", f"a comment is text, not {remark!r}")
    return Audit(result, None if remark is ABSENT else remark or None)


def _remarks(rows: pd.DataFrame, comments: Hashable | None) -> Column:
    """Take the comments from a column, or the same one for all rows.

    Raises
    ------
    ColumnError
        It is no column, but looks like the misspelt name of one.
    InputError
        It is one remark for all rows that cannot be sent.
    """
    names = rows.columns.tolist()
    if comments is None:
        return Column([ABSENT] * len(rows))
    if comments in names:
        return _converted(rows, comments, "the comments", "comments='…'")
    near = difflib.get_close_matches(str(comments), [str(name) for name in names], n=1, cutoff=0.75)
    if near or not isinstance(comments, str):
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(map(repr, names)) or 'no columns'}."
        raise ColumnError(f"The frame has no column {comments!r} with the comments; {hint}")
    if not is_sendable(comments):
        raise InputError(f"The comment {comments!r} holds half a character, which cannot be sent.")
    return Column([comments] * len(rows))


def _converted(rows: pd.DataFrame, column: Hashable, meaning: str, option: str) -> Column:
    return json_column(column_of(rows, column, meaning, option))


def _cell_error(column: Hashable, error: CellError) -> Refused:
    return Refused(error.code, f"column {column!r}: {error}")


def checked_tags(given: str | Sequence[str], kind: str) -> tuple[str, ...]:
    """Take tags as distinct texts.

    Raises
    ------
    InputError
        One is empty or no text, there are none, or more than a task can have.
    """
    tags = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if not all(isinstance(tag, str) and tag and is_sendable(tag) for tag in tags) or not (tags or kind == "set"):
        raise InputError(f"tags is a list of texts that are not empty, not {given!r}.")
    tags = tuple(dict.fromkeys(tags))
    if kind != "remove" and len(tags) > MAX_TAGS:
        raise InputError(f"A task has at most {MAX_TAGS} tags, not {len(tags)}: {', '.join(tags)}.")
    return tags
