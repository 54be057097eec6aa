"""Answer elements as they are decoded: a small type for each frequent form, and one for any mixture. Pure.

A box decoded into its own type costs half of what it costs in a type that has room for everything, and columns that
a form cannot fill are never looked at. All types name their fields after the columns that these fill.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final, Generic, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from refonte_frames.export.decode import NO_RAW, Number

__all__ = ["Answered", "Element", "Listed", "Row", "Vertex", "decode_form", "decode_listed", "vertices_of"]

T = TypeVar("T")

_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
# An explicit null does not match these types: such an element is read key by key, where null and absent differ.
_Text = Annotated[str, Meta()]


class Vertex(Struct, forbid_unknown_fields=True, gc=False):
    """A corner, in pixels."""

    x: Number
    y: Number


class Answered(Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What every element may have; `vertices`, where a form has them, stay text until a column is made of them."""

    geometry: ClassVar[str | None] = None
    field: ClassVar[str | None] = None
    extra: ClassVar[str | None] = None

    label: _Text = None  # type: ignore[assignment]
    attributes: Raw = NO_RAW


class Shape(Answered, tag_field="type", kw_only=True, rename={"annotation_id": "uuid"}):
    """An element of an image: its ``type`` says which class it is decoded into (contract 5.3)."""

    annotation_id: _Text = None  # type: ignore[assignment]


class _Box(Shape, tag="box", kw_only=True):
    geometry = "box"

    left: Number = None  # type: ignore[assignment]
    top: Number = None  # type: ignore[assignment]
    width: Number = None  # type: ignore[assignment]
    height: Number = None  # type: ignore[assignment]
    rotation: Number = None  # type: ignore[assignment]
    vertices: Raw = NO_RAW


class _Drawn(Shape, tag="drawn", kw_only=True):
    """Decoded into by its kinds only."""

    vertices: Raw = NO_RAW


class _Polygon(_Drawn, tag="polygon"):
    geometry = "polygon"


class _Line(_Drawn, tag="line"):
    geometry = "line"


class _Cuboid(_Drawn, tag="cuboid"):
    geometry = "cuboid"


class _Ellipse(_Drawn, tag="ellipse"):
    geometry = "ellipse"


class _Point(Shape, tag="point", kw_only=True):
    geometry = "point"

    x: Number = None  # type: ignore[assignment]
    y: Number = None  # type: ignore[assignment]


class Span(Answered, kw_only=True, rename={"annotation_id": "id", "value": "text"}):
    """A marked part of a text (contract 5.4)."""

    geometry = "span"

    annotation_id: _Text = None  # type: ignore[assignment]
    start: _Int64
    end: _Int64
    value: _Text = None  # type: ignore[assignment]


class Element(Answered, kw_only=True, rename={"annotation_id": "uuid", "geometry": "type", "value": "text"}):
    """An element of any form, or of a mixture of them."""

    annotation_id: _Text = None  # type: ignore[assignment]
    id: _Text = None  # type: ignore[assignment]
    geometry: _Text = None  # type: ignore[assignment,misc]
    value: _Text = None  # type: ignore[assignment]
    left: Number = None  # type: ignore[assignment]
    top: Number = None  # type: ignore[assignment]
    width: Number = None  # type: ignore[assignment]
    height: Number = None  # type: ignore[assignment]
    rotation: Number = None  # type: ignore[assignment]
    x: Number = None  # type: ignore[assignment]
    y: Number = None  # type: ignore[assignment]
    vertices: Raw = NO_RAW
    start: _Int64 = None  # type: ignore[assignment]
    end: _Int64 = None  # type: ignore[assignment]
    page: _Int32 = None  # type: ignore[assignment]
    frame: _Int32 = None  # type: ignore[assignment]
    url: _Text = None  # type: ignore[assignment]


class Row(Element, kw_only=True):
    """An element that was read key by key; never decoded into."""

    field: str | None = None  # type: ignore[misc]
    extra: str | None = None  # type: ignore[misc]


class Filled(Answered, kw_only=True):
    """What was answered to one field of a form (contract 5.4, textcollection)."""

    geometry = "text"

    field: str = ""  # type: ignore[misc]
    value: str | None = None


class Listed(Struct, Generic[T], forbid_unknown_fields=True, gc=False):
    """The most frequent form of a response: a list of elements, nothing unusual beside it."""

    annotations: list[T]
    # Tuples: an empty one is not made anew, and leaves nothing for the garbage collector to walk through.
    links: tuple[Raw, ...] = ()
    relationships: tuple[Raw, ...] = ()
    global_attributes: Raw = NO_RAW


_Attempts = tuple[Callable[[Raw], Listed[Any]], ...]

_SHAPES: Final = msgspec.json.Decoder(Listed[_Box | _Polygon | _Line | _Cuboid | _Ellipse | _Point]).decode
_SPANS: Final = msgspec.json.Decoder(Listed[Span]).decode
_ANY: Final = msgspec.json.Decoder(Listed[Element]).decode
_BY_TYPE: Final[dict[str | None, _Attempts]] = {
    # Their annotations are keyed by the fields that the request defined, whatever these are called.
    **dict.fromkeys(("textcollection", "categorization"), ()),
    "namedentityrecognition": (_SPANS, _ANY),
    # Elements without a type (contract 5.2, last row), and features with a place of their own.
    **dict.fromkeys(
        ("annotation", "polygonannotation", "lineannotation", "pointannotation", "cuboidannotation"), (_ANY,)
    ),
    "documenttranscription": (_ANY,),
}
_OTHERS: Final = (_SHAPES, _ANY)


def decode_listed(response: Raw, task_type: str | None) -> Listed[Any] | None:
    """Read a response that is a list of elements; None for one that needs to be read key by key.

    The answer says nothing of elements without a geometry, which may still be implied.
    """
    for decode in _BY_TYPE.get(task_type, _OTHERS):
        try:
            return decode(response)
        except (msgspec.ValidationError, RecursionError):
            continue
    return None


_Value = str | bool | None


class _Form(Struct, forbid_unknown_fields=True, gc=False):
    """Answers by the field that they were given to."""

    annotations: dict[str, _Value | list[_Value]]


_decode_form = msgspec.json.Decoder(_Form).decode


def decode_form(response: Raw) -> list[Filled] | None:
    """Read a response that holds texts by field, or lists of them; None for one that needs to be read key by key."""
    try:
        answers = _decode_form(response).annotations
    except (msgspec.ValidationError, RecursionError):
        return None
    return [
        Filled(field=field, value=("false", "true")[value] if isinstance(value, bool) else value)
        for field, values in answers.items()
        for value in (values if isinstance(values, list) else (values,))
    ]


_decode_vertices = msgspec.json.Decoder(list[Vertex]).decode


def vertices_of(raw: Raw) -> list[Vertex] | None:
    """Read the corners of one element; None when they are something else than documented."""
    try:
        return _decode_vertices(raw)
    except (msgspec.ValidationError, RecursionError):
        return None
