"""Answer elements become the columns of the table annotations that are their own. Pure; no replies here."""

from __future__ import annotations

from functools import cache
from itertools import compress, repeat
from operator import attrgetter, is_not
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from refonte_frames.export.arrays import many_texts, nulls, vertices_column
from refonte_frames.export.decode import NO_RAW, text_of
from refonte_frames.schemas import ANNOTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refonte_frames.export.drift import Drift
    from refonte_frames.export.elements import Answered

__all__ = ["annotation_columns"]

_PLAIN: Final = (
    *("annotation_id", "field", "label", "value", "left", "top", "width", "height", "rotation"),
    *("x", "y", "start", "end", "page", "frame", "url"),
)


def annotation_columns(rows: Sequence[Answered], drift: Drift) -> dict[str, pa.Array]:
    """Make the columns of so many rows; vertices that are none are noted, and kept in extra_json."""
    table = _Rows(rows)
    columns = {name: table.column(name, ANNOTATIONS.field(name).type) for name in _PLAIN}
    columns["geometry"] = table.geometries()
    columns["attributes_json"] = many_texts(table.values("attributes"))
    columns["vertices"], extras = table.vertices(drift)
    columns["extra_json"] = table.extra_json(extras)
    return columns


class _Rows:
    """Elements of several forms; a column is made of those alone that have it."""

    def __init__(self, rows: Sequence[Answered]) -> None:
        self.rows = rows
        kinds = list(map(type, rows))
        self.forms: list[type[Answered]] = list(dict.fromkeys(kinds))
        numbers = {form: number for number, form in enumerate(self.forms)}
        self.numbers = np.frombuffer(bytes(map(numbers.__getitem__, kinds)), np.uint8)
        self._holders: dict[tuple[bool, ...], tuple[list[Answered], Any]] = {}

    def values(self, name: str) -> list[Any]:
        """Return an attribute that all forms have."""
        return list(map(attrgetter(name), self.rows))

    def column(self, name: str, type_: pa.DataType) -> pa.Array:
        """Make a column; null for the forms without it."""
        having = tuple(name in _fields_of(form) for form in self.forms)
        if all(having):
            return pa.array(self.values(name), type_)
        rows, is_held = self._held(having)
        values = list(map(attrgetter(name), rows))
        if not any(map(is_not, values, repeat(None))):
            return nulls(len(self.rows), type_)
        places = np.cumsum(is_held) - 1
        return pa.array(values, type_).take(pa.array(places, mask=~is_held))

    def geometries(self) -> pa.Array:
        """Make the column of geometries: all rows of most forms have the same."""
        codes: dict[str | None, int] = {}
        is_of_row = tuple("geometry" in _fields_of(form) for form in self.forms)
        of_forms = [None if is_free else form.geometry for form, is_free in zip(self.forms, is_of_row, strict=True)]
        found = np.array([codes.setdefault(geometry, len(codes)) for geometry in of_forms], np.int32)[self.numbers]
        rows, is_held = self._held(is_of_row)
        if rows:
            found[is_held] = [codes.setdefault(row.geometry, len(codes)) for row in rows]
        indices = pa.array(found, mask=found == codes.get(None, -1))
        names = [name or "" for name in codes]
        return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))

    def vertices(self, drift: Drift) -> tuple[pa.Array, dict[int, str]]:
        """Make the column of vertices, and return what is no vertices, by row."""
        rows, is_held = self._held(tuple("vertices" in _fields_of(form) for form in self.forms))
        raws = list(map(attrgetter("vertices"), rows))
        is_there = list(map(is_not, raws, repeat(NO_RAW)))
        places = np.flatnonzero(is_held)[np.array(is_there, bool)]
        raws = list(compress(raws, is_there))
        column, misfits = vertices_column(len(self.rows), places, raws)
        extras = {int(places[misfit]): text_of(raws[misfit]) for misfit in misfits}
        for text in extras.values():
            if text != "null":
                drift.note_misfit("annotations.vertices")
        return column, extras

    def extra_json(self, vertices: dict[int, str]) -> pa.Array:
        """Make the column of what has no place in another."""
        if not vertices:
            return self.column("extra", pa.string())
        texts = self.values("extra")
        for row, text in vertices.items():
            texts[row] = f'{{"vertices":{text}{"," + texts[row][1:] if texts[row] else "}"}'
        return pa.array(texts, pa.string())

    def _held(self, having: tuple[bool, ...]) -> tuple[list[Answered], Any]:
        """Return the rows of these forms, in order, and which of all rows they are."""
        if having not in self._holders:
            is_held = np.array(having, bool)[self.numbers]
            self._holders[having] = list(compress(self.rows, is_held.tolist())), is_held
        return self._holders[having]


@cache
def _fields_of(form: type[Answered]) -> frozenset[str]:
    return frozenset(form.__struct_fields__)
