"""Many texts of JSON become one Arrow array at once, without an object for each value in them. Pure.

Texts are joined and handed over as they are: their bytes were checked to be UTF-8 when their reply was read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from refonte_frames.export.decode import MAX_EXACT
from refonte_frames.export.elements import vertices_of
from refonte_frames.schemas import VERTICES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

__all__ = ["few_texts", "many_texts", "nulls", "vertices_column"]

#: Stands in no JSON: it is no byte of UTF-8.
_BORDER: Final = b"\xff"
_NUMBERS: Final = b"0123456789+-.eE"
_KEYS: Final = b'[]{}xy":'
_CORNER: Final = b'{"x":,"y":},'


def nulls(length: int, type_: pa.DataType) -> pa.Array:
    """Return a column of nulls, a slice of one that is kept."""
    return _long_nulls(max(1 << 14, 1 << length.bit_length()), type_).slice(0, length)


@lru_cache(maxsize=64)
def _long_nulls(length: int, type_: pa.DataType) -> pa.Array:
    return pa.nulls(length, type_)


def few_texts(raws: Sequence[Raw], lengths: Any) -> pa.Array:
    """Make a column of long texts, whose lengths in bytes are known; null where a text is empty."""
    ends = np.zeros(len(raws) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return _texts(b"".join(raws), ends)


def many_texts(raws: Sequence[Raw]) -> pa.Array:
    """Make a column of short texts: finding their ends again costs less than asking each for its length."""
    if not raws:
        return pa.nulls(0, pa.string())
    joined = _BORDER.join(raws)
    borders = np.flatnonzero(np.frombuffer(joined, np.uint8) == _BORDER[0])
    data = joined.translate(None, _BORDER)
    return _texts(data, np.concatenate([[0], borders - np.arange(len(borders)), [len(data)]]))


def _texts(data: bytes, ends: Any) -> pa.Array:
    is_valid = ends[1:] > ends[:-1]
    validity = None if is_valid.all() else pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    buffers = [validity, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_string(), len(is_valid), buffers).cast(pa.string())


def vertices_column(length: int, places: Any, raws: Sequence[Raw]) -> tuple[pa.Array, list[int]]:
    """Make the column of vertices.

    Parameters
    ----------
    length : int
        Rows.
    places : numpy array of int
        Ascending numbers of the rows that have vertices.
    raws : sequence of Raw
        Their texts.

    Returns
    -------
    tuple of (pyarrow.Array, list of int)
        The column, and those of the texts, by their position, that are no vertices: their rows are null.
    """
    if not raws:
        return nulls(length, VERTICES), []
    corners, coordinates = _corners_at_once(raws) or _corners_one_by_one(raws)
    points = pa.StructArray.from_arrays(
        [pa.array(coordinates[first::2]) for first in (0, 1)], fields=list(VERTICES.value_type)
    )
    counts, is_null = np.zeros(length, np.int32), np.ones(length, bool)
    counts[places] = np.maximum(corners, 0)
    is_null[places] = corners < 0
    offsets = np.zeros(length + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    column = pa.ListArray.from_arrays(pa.array(offsets), points, type=VERTICES, mask=pa.array(is_null))
    return column, np.flatnonzero(corners < 0).tolist()


def _corners_at_once(raws: Sequence[Raw]) -> tuple[Any, Any] | None:
    """Read how many corners each text has, and all coordinates; None when one is not written in the usual way.

    No object is made for a corner or a number. That the texts hold nothing but corners of exactly these two keys is
    seen from what they are without their numbers.
    """
    text = b",".join(raws)
    if b" " in text:
        text = text.replace(b": ", b":").replace(b", ", b",")
    frame = text.translate(None, _NUMBERS)
    sizes = [(len(ring) + 1) // len(_CORNER) for ring in frame.replace(b"]", b"").split(b",[")]
    corners = sum(sizes)
    if frame != b",".join(map(_ring, sizes)) or text.count(b'{"x":') != corners or text.count(b',"y":') != corners:
        return None
    listed = text.translate(None, _KEYS)
    if 0 in sizes:
        listed = b",".join(filter(None, listed.split(b",")))
    numbers = _numbers(listed)
    return None if numbers is None or len(numbers) != 2 * corners else (np.array(sizes, np.int64), numbers)


def _numbers(listed: bytes) -> Any | None:
    """Read numbers with commas between them; None when one is beyond what float64 holds exactly."""
    if not listed:
        return np.zeros(0)
    commas = np.flatnonzero(np.frombuffer(listed, np.uint8) == ord(","))
    ends = np.concatenate([[0], commas - np.arange(len(commas)), [len(listed) - len(commas)]])
    numbers = _texts(listed.translate(None, b","), ends).cast(pa.float64()).to_numpy()
    # The integer -0 is no negative zero.
    is_plain = (np.abs(numbers) <= MAX_EXACT) & ~(np.signbit(numbers) & (numbers == 0))
    return numbers if is_plain.all() else None


@lru_cache(maxsize=1024)
def _ring(corners: int) -> bytes:
    """Return what is left of so many corners when their numbers are taken out."""
    return b"[%s]" % b",".join([_CORNER[:-1]] * corners)


def _corners_one_by_one(raws: Sequence[Raw]) -> tuple[Any, Any]:
    """Read the same with all the care there is; -1 corners for what is no list of them."""
    read = [vertices_of(raw) for raw in raws]
    sizes = np.array([-1 if corners is None else len(corners) for corners in read], np.int64)
    flat = [value for corners in read if corners for corner in corners for value in (corner.x, corner.y)]
    return sizes, np.array(flat, np.float64)
