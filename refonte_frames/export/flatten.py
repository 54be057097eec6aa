"""A response becomes annotation rows, one per answer element; every documented form is told apart here. Pure.

Forms and their sources are in contract 5.3 and 5.4. Lists of plain elements, by far the most frequent form, and texts
by field are decoded straight into rows; everything else is read key by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from refonte_frames.export.decode import NO_RAW, number_of, object_of, object_text, text_of
from refonte_frames.export.elements import Answered, Element, Row, decode_form, decode_listed, vertices_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refonte_frames.export.elements import Listed

__all__ = ["Answer", "flatten"]


@dataclass(slots=True)
class Answer:
    """What a response came to.

    Attributes
    ----------
    rows : list of Element
        One per answer element, in the order of the reply: annotations, other answers, relationships and links,
        events, global attributes.
    error : str or None
        The response's ``error`` text.
    is_known : bool
        False when the response, or a part of it, has a form nobody documented; it gives no rows then.
    misfits, unknown_keys : sequence of str
        Columns whose value did not fit, and keys of elements nobody documented, once per occurrence.
    """

    rows: list[Answered]
    error: str | None = None
    is_known: bool = True
    misfits: Sequence[str] = ()
    unknown_keys: Sequence[str] = ()


#: The legacy types leave an element's geometry to the type of the task (contract 5.2, last row).
_LEGACY_GEOMETRIES: Final = {
    "annotation": "box",
    "polygonannotation": "polygon",
    "lineannotation": "line",
    "pointannotation": "point",
    "cuboidannotation": "cuboid",
}
#: Documented keys of a response that give no rows of their own.
_SILENT_KEYS: Final = frozenset({"error", "failed_attachments", "duration", "category_id", "labelMapping"})

#: Documented keys of an element that have no column.
_DOCUMENTED_EXTRAS: Final = frozenset(
    {
        *("edges", "points_2d", "points_3d", "refs", "money", "field_id", "timestamp"),
        *("position", "dimensions", "yaw", "stationary", "camera_used", "distance_to_device", "numberOfPoints"),
        *("cuboid_uuid", "not_in_lidar", "source_ref", "target_ref", "name", "from", "to"),
    }
)
_LAST: Final = {"annotations": 0, "relationships": 2, "links": 2, "events": 3, "global_attributes": 4}

_NO_ATTRIBUTES: Final = Raw(b"{}")

_decode_rows = msgspec.json.Decoder(list[Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode


def flatten(response: Raw, task_type: str | None) -> Answer:
    """Turn a response into rows.

    Parameters
    ----------
    response : msgspec.Raw
        The service's text of the response.
    task_type : str or None
        Type of the task: some forms can only be told apart by it.
    """
    listed = decode_listed(response, task_type)
    if listed is not None and _name_elements(listed.annotations, task_type):
        return _answer_of(listed)
    if task_type == "textcollection" and (filled := decode_form(response)) is not None:
        return Answer(list(filled))
    return _Reader(task_type).read(response)


def _answer_of(listed: Listed[Answered]) -> Answer:
    rows = listed.annotations
    answer = Answer(rows)
    for raw in (*listed.relationships, *listed.links):
        row = _link(raw)
        if row is None:
            answer.is_known = False
        else:
            rows.append(row)
    rows.extend(_global_attributes(listed.global_attributes))
    return answer


def _name_elements(elements: list[Any], task_type: str | None) -> bool:
    """Fill in ids and geometries that are implied; False when an element needs to be read key by key."""
    if elements and not isinstance(elements[0], Element):
        # Decoded by their forms, which say both.
        return True
    for element in elements:
        if element.id is not None:
            if element.annotation_id is not None:
                return False
            element.annotation_id = element.id
        if element.geometry is None:
            geometry = _implied_geometry(element, task_type)
            if geometry is None:
                return False
            element.geometry = geometry
    return True


def _implied_geometry(element: Element, task_type: str | None) -> str | None:
    if element.start is not None and element.end is not None:
        return "span"
    if task_type in _LEGACY_GEOMETRIES:
        return _LEGACY_GEOMETRIES[task_type]
    if element.left is not None:
        return "box"
    if element.vertices != NO_RAW:
        return "polygon"
    return "point" if element.x is not None else None


class _Reader:
    """Reads one response key by key."""

    def __init__(self, task_type: str | None) -> None:
        self.task_type = task_type
        self.misfits: list[str] = []
        self.unknown_keys: list[str] = []
        self.answer = Answer([], misfits=self.misfits, unknown_keys=self.unknown_keys)
        self.top: dict[str, Raw] = {}

    def read(self, response: Raw) -> Answer:
        top = object_of(response)
        if top is None:
            # Not documented for a response, but the same list without its envelope is no riddle.
            top = {"annotations": response} if _kind(response) == "[" else {"": response}
        self.top = top
        self.answer.error = _string(top["error"]) if "error" in top else None
        for key in sorted(top, key=lambda key: _LAST.get(key, 1)):
            rows = self._part(key, top[key])
            if rows is None:
                self.answer.is_known = False
            else:
                self.answer.rows.extend(rows)
        return self.answer

    def _part(self, key: str, raw: Raw) -> list[Answered] | None:
        """Read one key of the response; None when its form is unknown."""
        kind = _kind(raw)
        if kind == "n" or key in _SILENT_KEYS:
            return []
        reader = _PARTS.get(key)
        if reader is not None:
            return reader(self, key, raw)
        return self._linked(key, raw)

    def _annotations(self, key: str, raw: Raw) -> list[Answered] | None:
        if _kind(raw) == "[":
            return self._elements(_decode_rows(raw))
        keys = object_of(raw)
        if keys is None:
            return None
        if self.task_type == "categorization":
            return self._answers(keys, geometry="category")
        if self.task_type == "textcollection":
            return self._answers(keys)
        if "labeled" in keys or "combined" in keys:
            return self._segments(keys)
        if _is_link(keys):
            return self._linked(key, raw)
        return self._keyed(keys)

    def _keyed(self, keys: dict[str, Raw]) -> list[Answered] | None:
        """Read an object of elements by uuid, or else of answers by field."""
        inner = [object_of(value) for value in keys.values()]
        if not inner or any(value is None or not _looks_like_element(value) for value in inner):
            return self._answers(keys)
        rows: list[Answered] = []
        for uuid, value in zip(keys, inner, strict=True):
            rows.extend(self._element(value or {}, annotation_id=uuid) or ())
        return rows

    def _elements(
        self, raws: list[Raw], *, geometry: str | None = None, frame: int | None = None
    ) -> list[Answered] | None:
        rows: list[Answered] = []
        is_known = True
        for index, raw in enumerate(raws):
            keys = object_of(raw)
            read = None if keys is None else self._element(keys, geometry=geometry, frame=frame, index=index)
            is_known = is_known and read is not None
            rows.extend(read or ())
        if not is_known:
            self.answer.is_known = False
        return rows

    def _element(
        self,
        keys: dict[str, Raw],
        *,
        geometry: str | None = None,
        frame: int | None = None,
        annotation_id: str | None = None,
        index: int = 0,
    ) -> list[Answered] | None:
        """Read an element; frames of a video that stand in the response itself give a row each."""
        for nested, nested_geometry in (("annotations", None), ("cuboids", "cuboid")):
            if nested in keys and "label" not in keys and _kind(keys[nested]) == "[":
                return self._elements(_decode_rows(keys[nested]), geometry=nested_geometry, frame=index)
        if "frames" in keys and _kind(keys["frames"]) == "[":
            return self._frames(keys, annotation_id)
        row = Row(frame=frame, annotation_id=annotation_id)  # type: ignore[arg-type]
        extra = self._fill(row, keys)
        if row.geometry is None:
            row.geometry = geometry or _implied_geometry(row, self.task_type)
        said = (row.geometry, row.label, row.value, row.url)
        if all(value is None for value in said) and row.attributes == NO_RAW:
            return None
        row.extra = object_text(extra)
        return [row]

    def _frames(self, keys: dict[str, Raw], annotation_id: str | None) -> list[Answered]:
        """Read one object of a video playback: its frames repeat what holds for all of them."""
        shared = {key: raw for key, raw in keys.items() if key not in ("frames", "geometry")}
        geometry = _string(keys["geometry"]) if "geometry" in keys else None
        rows: list[Answered] = []
        for raw in _decode_rows(keys["frames"]):
            frame = dict(object_of(raw) or {})
            if "key" in frame:
                frame["frame"] = frame.pop("key")
            rows.extend(self._element({**shared, **frame}, geometry=geometry, annotation_id=annotation_id) or ())
        return rows

    def _fill(self, row: Row, keys: dict[str, Raw]) -> dict[str, str]:
        """Set the columns that the keys have, and return the text of all others."""
        extra: dict[str, str] = {}
        for key, raw in keys.items():
            if key == "location" and self._place(row, raw, extra):
                continue
            column = _COLUMNS.get(key)
            if column is None or (key == "id" and "uuid" in keys):
                extra[key] = text_of(raw)
                if column is None and key not in _DOCUMENTED_EXTRAS:
                    self.unknown_keys.append(key)
                continue
            value = raw if key == "attributes" else _READERS[column](raw)
            if value is None:
                extra[key] = text_of(raw)
                if _kind(raw) != "n":
                    self.misfits.append(column)
            else:
                setattr(row, column, value)
        return extra

    def _place(self, row: Row, raw: Raw, extra: dict[str, str]) -> bool:
        """Read where a feature stands in a document (contract 5.4, documenttranscription)."""
        keys = object_of(raw)
        if keys is None:
            return False
        rest = self._fill(row, {key: value for key, value in keys.items() if key in _COORDINATES})
        rest |= {key: text_of(value) for key, value in keys.items() if key not in _COORDINATES}
        if rest:
            extra["location"] = object_text(rest) or "{}"
        return True

    def _segments(self, keys: dict[str, Raw]) -> list[Answered] | None:
        """Read the masks of a segmentation: one row per label and instance."""
        labeled = object_of(keys["labeled"]) if "labeled" in keys else {}
        mapping = (object_of(self.top["labelMapping"]) or {}) if "labelMapping" in self.top else {}
        if labeled is None:
            return None
        rows: list[Answered] = []
        for label, raw in labeled.items():
            urls = _decode_rows(raw) if _kind(raw) == "[" else [raw]
            looks = _as_list(mapping.get(label, NO_RAW))
            for index, url in enumerate(urls):
                look = looks[index] if index < len(looks) else NO_RAW
                text = _string(url)
                extra = None if text is not None else object_text({"url": text_of(url)})
                rows.append(Row(geometry="segment", label=label, url=text, attributes=look, extra=extra))  # type: ignore[arg-type]
        return rows

    def _category(self, key: str, raw: Raw) -> list[Answered]:
        del key
        ids = _as_list(self.top.get("category_id", NO_RAW))
        return [
            Row(geometry="category", label=_plain(value), value=_plain(ids[index]) if index < len(ids) else None)  # type: ignore[arg-type]
            for index, value in enumerate(_as_list(raw))
        ]

    def _taxonomies(self, key: str, raw: Raw) -> list[Answered] | None:
        del key
        keys = object_of(raw)
        return None if keys is None else self._answers(keys, geometry="category")

    def _choice(self, key: str, raw: Raw) -> list[Answered]:
        del key
        return [Row(geometry="choice", label=_plain(value)) for value in _as_list(raw)]

    def _fields(self, key: str, raw: Raw) -> list[Answered] | None:
        del key
        keys = object_of(raw)
        return None if keys is None else self._answers(keys)

    def _rows(self, key: str, raw: Raw) -> list[Answered] | None:
        del key
        if _kind(raw) != "[":
            return None
        rows: list[Answered] = []
        for index, item in enumerate(_decode_rows(raw)):
            keys = object_of(item)
            if keys is None:
                return None
            for row in self._answers(keys):
                value = f',"value":{text_of(row.attributes)}' if row.attributes != NO_RAW else ""
                row.attributes = Raw(f'{{"row":{index}{value}}}'.encode())
                rows.append(row)
        return rows

    def _transcript(self, key: str, raw: Raw) -> list[Answered]:
        return self._answers({key: raw})

    def _links(self, key: str, raw: Raw) -> list[Answered] | None:
        del key
        if _kind(raw) != "[":
            return None
        rows = [_link(item) for item in _decode_rows(raw)]
        if None in rows:
            self.answer.is_known = False
        return [row for row in rows if row is not None]

    def _events(self, key: str, raw: Raw) -> list[Answered] | None:
        if _kind(raw) == "[":
            return self._elements(_decode_rows(raw), geometry="event")
        return self._linked(key, raw)

    def _global(self, key: str, raw: Raw) -> list[Answered]:
        del key
        return _global_attributes(raw)

    def _linked(self, key: str, raw: Raw) -> list[Answered] | None:
        """Read a result that lies elsewhere: only its address is in the response."""
        keys = object_of(raw)
        if keys is None or not _is_link(keys):
            return None
        extra = {name: text_of(value) for name, value in keys.items() if name != "url"}
        geometry = "event" if key == "events" else "url"
        return [Row(geometry=geometry, field=key, url=_string(keys["url"]), extra=object_text(extra))]  # type: ignore[arg-type]

    def _answers(self, keys: dict[str, Raw], *, geometry: str = "text") -> list[Answered]:
        return [row for key, raw in keys.items() for row in self._answer(key, raw, geometry, None)]

    def _answer(self, key: str, raw: Raw, geometry: str, extra: str | None) -> list[Answered]:
        """Read what was answered to one field: lists give a row for each value, objects stay text."""
        kind = _kind(raw)
        if kind == "[":
            return [row for item in _decode_rows(raw) for row in self._answer(key, item, geometry, extra)]
        if kind == "{":
            keys = object_of(raw) or {}
            if "response" in keys and ("field_id" in keys or "type" in keys):
                rest = {name: text_of(value) for name, value in keys.items() if name not in ("response", "field_id")}
                if "field_id" in keys and _string(keys["field_id"]) != key:
                    rest["field_id"] = text_of(keys["field_id"])
                return self._answer(key, keys["response"], geometry, object_text(rest))
            return [Row(geometry=geometry, field=key, attributes=raw, extra=extra)]
        text = None if kind == "n" else _plain(raw)
        if geometry == "category":
            return [Row(geometry=geometry, field=key, label=text, extra=extra)]  # type: ignore[arg-type]
        return [Row(geometry=geometry, field=key, value=text, extra=extra)]  # type: ignore[arg-type]


_PARTS: Final[dict[str, Callable[[_Reader, str, Raw], list[Answered] | None]]] = {
    "annotations": _Reader._annotations,  # noqa: SLF001 - a table of the class's own methods
    "category": _Reader._category,  # noqa: SLF001
    "taxonomies": _Reader._taxonomies,  # noqa: SLF001
    "choice": _Reader._choice,  # noqa: SLF001
    "fields": _Reader._fields,
    "rows": _Reader._rows,  # noqa: SLF001
    "transcript": _Reader._transcript,  # noqa: SLF001
    "relationships": _Reader._links,  # noqa: SLF001
    "links": _Reader._links,  # noqa: SLF001
    "events": _Reader._events,  # noqa: SLF001
    "global_attributes": _Reader._global,  # noqa: SLF001
}


def _kind(raw: Raw) -> str:
    """Return the first character of a part, which says what it is; empty for an absent one."""
    first = bytes(memoryview(raw)[:1]).decode("ascii", "replace")
    return text_of(raw).lstrip()[:1] if first.isspace() else first


def _string(raw: Raw) -> str | None:
    try:
        return _decode_string(raw)
    except msgspec.ValidationError:
        return None


def _plain(raw: Raw) -> str:
    """Return a string's value, or the JSON text of anything else."""
    text = _string(raw)
    return text_of(raw) if text is None else text


def _as_list(raw: Raw) -> list[Raw]:
    kind = _kind(raw)
    if kind in ("", "n"):
        return []
    return _decode_rows(raw) if kind == "[" else [raw]


def _is_link(keys: dict[str, Raw]) -> bool:
    return "url" in keys and _string(keys["url"]) is not None


def _looks_like_element(keys: dict[str, Raw]) -> bool:
    return "label" in keys and ("geometry" in keys or "type" in keys or "frames" in keys or "left" in keys)


def _link(raw: Raw) -> Row | None:
    """Read a relationship or link: its ends, however they are called, stand in the attributes."""
    keys = object_of(raw)
    if keys is None:
        return None
    names = {"annotation_id": ("uuid", "id"), "label": ("label", "name")}
    taken = {}
    for column, spellings in names.items():
        for key in spellings:
            if key in keys and column not in taken and (text := _string(keys[key])) is not None:
                taken[column] = (key, text)
    used = {key for key, _ in taken.values()}
    rest = object_text({key: text_of(value) for key, value in keys.items() if key not in used})
    values: dict[str, Any] = {column: text for column, (_, text) in taken.items()}
    return Row(geometry="link", attributes=Raw(rest.encode()) if rest else NO_RAW, **values)


def _global_attributes(raw: Raw) -> list[Answered]:
    """Attributes of the whole image: one row, unless none were given."""
    if raw in (NO_RAW, _NO_ATTRIBUTES) or _kind(raw) == "n" or object_of(raw) == {}:
        return []
    return [Row(geometry="category", field="global_attributes", attributes=raw)]


def _integer(bits: int) -> Callable[[Raw], int | None]:
    decoder = msgspec.json.Decoder(Annotated[int, Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)])

    def read(raw: Raw) -> int | None:
        try:
            value: int = decoder.decode(raw)
        except msgspec.ValidationError:
            return None
        return value

    return read


def _vertices(raw: Raw) -> Raw | None:
    return None if vertices_of(raw) is None else raw


#: Key of an element -> column.
_COLUMNS: Final = {column.encode_name: column.name for column in msgspec.structs.fields(Element)} | {
    "id": "annotation_id"
}
_COORDINATES: Final = frozenset(["type", "left", "top", "width", "height", "rotation", "vertices", "x", "y"])
_READERS: Final[dict[str, Callable[[Raw], Any]]] = {
    **dict.fromkeys(("annotation_id", "geometry", "label", "value", "url"), _string),
    **dict.fromkeys(("left", "top", "width", "height", "rotation", "x", "y"), number_of),
    **dict.fromkeys(("start", "end"), _integer(64)),
    **dict.fromkeys(("page", "frame"), _integer(32)),
    "vertices": _vertices,
}
