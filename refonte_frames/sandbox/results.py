"""The files behind links in responses: masks, frames, events, points; no SQL, no HTTP.

A link holds all that its file is made of: the draws of the response and what the task asked for. So nothing has to
be kept, a link outlives restarts and resets, and two runs with one seed write the same files. The links that are
stored name a host that does not exist; what leaves the server names the server instead (`addressed`).
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from refonte_frames.sandbox.draws import Draws
from refonte_frames.sandbox.exchange import Refusal, encode
from refonte_frames.sandbox.shapes import SIZES, annotate, label_names

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MEDIA_TYPES", "PATH", "Recipe", "addressed", "color_of", "content_of", "link", "recipe_of"]

Params = dict[str, Any]

PATH = "/_sandbox/results"
_NOWHERE = "http://results.invalid"
_MARK = f"{_NOWHERE}{PATH}/".encode()

MEDIA_TYPES = {"png": "image/png", "json": "application/json"}

Kind = Literal["colors", "indexes", "mask", "frames", "tracks", "events", "cuboids", "points", "cameras"]

#: A task may ask for more than fits into an address; the file is then made of fewer labels.
_MOST_LABELS, _LONGEST_LABEL = 12, 40
_LONGEST_ASKED = 1500
#: Of a video, whose length nobody knows: it is never fetched.
_FEWEST_FRAMES, _MOST_FRAMES = 12, 60
_MOST_ATTACHMENTS = 5000


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one file is made of.

    Attributes
    ----------
    kind : str
        What kind of file.
    draws : str
        Key of its draws, in hexadecimal digits.
    count : int
        Indexes of a mask, frames of anything else.
    index : int
        Which index a mask of one label shows.
    labels : list of str
        Labels, or names of events.
    asked : dict
        ``geometries`` and ``annotation_attributes`` as the task has them.
    rate : float
        Frames per second.
    has_gaps : bool
        Whether a mask may leave pixels unlabeled.
    """

    kind: Kind
    draws: str
    count: int = 1
    index: int = 0
    labels: list[str] = []
    asked: dict[str, dict[str, Any] | None] = {}
    rate: float = 1.0
    has_gaps: bool = False


def link(recipe: Recipe, name: str) -> str:
    """Write the address of a file; `name` ends in its kind, ``.json`` or ``.png``."""
    text = base64.urlsafe_b64encode(encode(recipe)).decode().rstrip("=")
    return f"{_NOWHERE}{PATH}/{text}/{name}"


def addressed(body: bytes, url: str) -> bytes:
    """Let the links in a text lead to the server at `url`."""
    return body.replace(_MARK, f"{url}{PATH}/".encode())


def recipe_of(params: Params, draws: Draws, kind: Kind) -> Recipe:
    """Choose what a file is made of, from what a task asks for."""
    names = params.get("events_to_annotate") if kind == "events" else params.get("labels")
    rate = params.get("annotation_frame_rate") or params.get("frame_rate")
    return Recipe(
        kind,
        draws.key.hex(),
        count=_frame_count(params, draws),
        labels=[name[:_LONGEST_LABEL] for name in label_names(names)[:_MOST_LABELS]],
        asked=_asked(params) if kind in ("frames", "tracks") else {},
        rate=float(rate) if isinstance(rate, int | float) and 0 < rate <= 1000 else 1.0,
    )


def _frame_count(params: Params, draws: Draws) -> int:
    attachments = params.get("attachments")
    if isinstance(attachments, list):
        return min(len(attachments), _MOST_ATTACHMENTS)
    return draws.whole(_FEWEST_FRAMES, _MOST_FRAMES, "frames")


def _asked(params: Params) -> dict[str, Any]:
    """Keep what drawings depend on, as far as it fits into an address."""
    kept = {name: params.get(name) for name in ("geometries", "annotation_attributes")}
    if len(encode(kept)) <= _LONGEST_ASKED:
        return kept
    shapes = {name: _shortened(spec) for name, spec in list((params.get("geometries") or {}).items())[:6]}
    return {"geometries": shapes}


def _shortened(spec: Any) -> Params:
    names = label_names(spec.get("objects_to_annotate")) if isinstance(spec, dict) else []
    return {"objects_to_annotate": [name[:_LONGEST_LABEL] for name in names[:2]]}


def content_of(text: str) -> bytes:
    """Make the file of an address.

    Raises
    ------
    Refusal
        404 for an address that `link` did not write.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        recipe = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=Recipe)
        draws = Draws(bytes.fromhex(recipe.draws))
    except (UnicodeError, binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        raise Refusal(404, "There is no such result file.") from None
    if not 1 <= recipe.count <= _MOST_ATTACHMENTS:
        raise Refusal(404, "There is no such result file.")
    return _MAKERS[recipe.kind](recipe, draws)


# masks


def color_of(draws: Draws, index: int) -> tuple[int, int, int]:
    """Give the color of an index."""
    red, green, blue = (draws.whole(0, 255, "color", index, channel) for channel in "rgb")
    return red, green, blue


def _colors(recipe: Recipe, draws: Draws) -> bytes:
    pixels = [bytes(color_of(draws, n)) if n else b"\0\0\0" for n in range(recipe.count + 1)]
    return _painted(recipe, draws, pixels)


def _indexes(recipe: Recipe, draws: Draws) -> bytes:
    return _painted(recipe, draws, [bytes((n % 256,)) for n in range(recipe.count + 1)])


def _mask(recipe: Recipe, draws: Draws) -> bytes:
    return _painted(recipe, draws, [b"\xff" if n == recipe.index else b"\0" for n in range(recipe.count + 1)])


def _painted(recipe: Recipe, draws: Draws, pixels: list[bytes]) -> bytes:
    """Paint every index on a tile of its own, the last one on the tiles that are left."""
    width, height = draws.pick(SIZES, "size")
    side = math.isqrt(recipe.count - 1) + 1
    lines: list[bytes] = []
    for row in range(side):
        indexes = [min(row * side + column + 1, recipe.count) for column in range(side)]
        line = b"".join(pixels[n] * _share(width, side, column) for column, n in enumerate(indexes))
        gap = 4 if recipe.has_gaps else 0
        high = _share(height, side, row)
        lines += [pixels[0] * width] * min(gap, high) + [line] * max(high - gap, 0)
    return _png(width, height, lines)


def _share(whole: int, parts: int, n: int) -> int:
    """Split a length into parts that add up."""
    return whole * (n + 1) // parts - whole * n // parts


def _png(width: int, height: int, lines: list[bytes]) -> bytes:
    """Write a picture: of one byte a pixel in grey, of three in color."""
    color_type = 2 if len(lines[0]) == 3 * width else 0
    head = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + line for line in lines), 6)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


# things that move


def _tracks_of(recipe: Recipe, draws: Draws) -> list[tuple[Params, range]]:
    """List what is seen, each as it is in its first frame, with the frames it is seen in."""
    asked = recipe.asked if isinstance(recipe.asked.get("geometries"), dict) else {"geometries": {"box": {}}}
    seen = annotate(asked, draws)["annotations"]
    return [(item, _span(recipe.count, draws.sub("span", n))) for n, item in enumerate(seen)]


def _span(count: int, draws: Draws) -> range:
    first = draws.whole(0, count // 2, "first")
    return range(first, draws.whole(first, count - 1, "last") + 1)


def _at(item: Params, frame: int, draws: Draws) -> Params:
    """Move an object along, never out of the picture on the left or at the top."""
    by = {"x": draws.between(-3, 3, "x") * frame, "y": draws.between(-2, 2, "y") * frame}
    moved = dict(item)
    for name, axis in (("left", "x"), ("top", "y"), ("x", "x"), ("y", "y")):
        if name in moved:
            moved[name] = _shifted(moved[name], by[axis])
    if "vertices" in moved:
        moved["vertices"] = [
            {**p, "x": _shifted(p["x"], by["x"]), "y": _shifted(p["y"], by["y"])} for p in item["vertices"]
        ]
    return moved


def _shifted(value: float, by: float) -> float:
    return max(0, value + round(by)) if isinstance(value, int) else max(0.0, round(value + by, 2))


def _frames(recipe: Recipe, draws: Draws) -> bytes:
    """Write one item per frame, in order; a uuid is one object throughout (contract 5.4)."""
    frames: list[list[Params]] = [[] for _ in range(recipe.count)]
    for n, (item, span) in enumerate(_tracks_of(recipe, draws)):
        for frame in span:
            frames[frame].append(_at(item, frame - span.start, draws.sub("move", n)))
    return encode([{"annotations": annotations} for annotations in frames])


def _tracks(recipe: Recipe, draws: Draws) -> bytes:
    """Write one item per object, with its key frames (contract 5.4)."""
    found = {}
    for n, (item, span) in enumerate(_tracks_of(recipe, draws)):
        inner = draws.sub("move", n)
        rest = {name: value for name, value in item.items() if name not in ("uuid", "type", "label")}
        keys = sorted({*span[::6], span[-1]})
        frames = [{**_key_frame(recipe, key), **_at(rest, key - span.start, inner)} for key in keys]
        found[item["uuid"]] = {"label": item["label"], "geometry": item["type"], "frames": frames}
    return encode(found)


def _key_frame(recipe: Recipe, key: int) -> Params:
    return {"key": key, "timestamp": round(key / recipe.rate, 3)}


def _events(recipe: Recipe, draws: Draws) -> bytes:
    """Write when each event begins and ends, in the shape of the tracks."""
    found = {}
    for n, name in enumerate(recipe.labels):
        inner = draws.sub("event", n)
        span = _span(recipe.count, inner)
        frames = [_key_frame(recipe, key) for key in dict.fromkeys((span[0], span[-1]))]
        found[inner.uuid()] = {"label": name, "geometry": "event", "frames": frames}
    return encode(found)


# lidar


def _labels(recipe: Recipe) -> list[str]:
    return recipe.labels or ["object"]


def _cuboids(recipe: Recipe, draws: Draws) -> bytes:
    """Write the cuboids of each frame (contract 5.4)."""
    people = [draws.sub("object", n) for n in range(draws.whole(1, 5, "objects"))]
    return encode([{"cuboids": [_cuboid(recipe, each, frame) for each in people]} for frame in range(recipe.count)])


def _cuboid(recipe: Recipe, draws: Draws, frame: int) -> Params:
    is_still = draws.uniform("stationary") < 0.4
    way = 0.0 if is_still else draws.between(0.1, 1.5, "speed") * frame
    yaw = draws.between(-math.pi, math.pi, "yaw")
    start = {axis: draws.between(-40, 40, axis) for axis in "xy"}
    position = {"x": start["x"] - way * math.sin(yaw), "y": start["y"] + way * math.cos(yaw), "z": 0.9}
    return {
        "uuid": draws.uuid(),
        "label": draws.pick(_labels(recipe), "label"),
        "position": {axis: round(value, 3) for axis, value in position.items()},
        "dimensions": {axis: round(draws.between(0.5, 4.5, "size", axis), 3) for axis in "xyz"},
        "yaw": round(yaw, 4),
        "stationary": is_still,
        "camera_used": 0,
        "distance_to_device": round(math.hypot(position["x"], position["y"]), 3),
        "numberOfPoints": draws.whole(5, 400, "points"),
        "attributes": {},
    }


def _points(recipe: Recipe, draws: Draws) -> bytes:
    """Write the object that each point of each frame belongs to; 0 is none (contract 5.4)."""
    objects = [{"label": name, "index": n} for n, name in enumerate(_labels(recipe), start=1)]
    frames = []
    for frame in range(recipe.count):
        inner = draws.sub("frame", frame)
        frames.append([inner.whole(0, len(objects), "point", n) for n in range(inner.whole(20, 60, "points"))])
    return encode({"objects": objects, "point_objects": frames})


def _cameras(recipe: Recipe, draws: Draws) -> bytes:
    """Write the boxes that each camera sees of the cuboids of another task (contract 5.4)."""
    frames = []
    for frame in range(recipe.count):
        seen = annotate({"geometries": {"box": {}}}, draws.sub("frame", frame))["annotations"]
        boxes = [{**box, "cuboid_uuid": box["uuid"]} for box in seen]
        for box in boxes:
            del box["uuid"]
        frames.append({"camera_responses": [{"camera_used": 0, "annotations": boxes}]})
    return encode(frames)


_MAKERS: dict[str, Callable[[Recipe, Draws], bytes]] = {
    "colors": _colors,
    "indexes": _indexes,
    "mask": _mask,
    "frames": _frames,
    "tracks": _tracks,
    "events": _events,
    "cuboids": _cuboids,
    "points": _points,
    "cameras": _cameras,
}
