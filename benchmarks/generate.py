"""Made-up mixed tasks for the benchmarks: 3.5 kB and eleven answer elements each on average, always the same."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

__all__ = ["START", "Encoded", "created_at", "task"]

START = datetime(2024, 3, 4, 8, tzinfo=UTC)
_WORDS = [
    *("dock", "crate", "forklift", "visitor", "pallet", "harbour", "crane", "manifest"),
    *("cargo", "stack", "zone", "lamp", "gate", "hinge", "rail", "yard"),
]


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _id(draw: random.Random) -> str:
    return str(uuid.UUID(int=draw.getrandbits(128)))


def _box(draw: random.Random) -> dict[str, Any]:
    return {
        "uuid": _id(draw),
        "type": "box",
        "label": draw.choice(_WORDS),
        "left": round(draw.uniform(0, 1900), 2),
        "top": draw.randrange(1000),
        "width": round(draw.uniform(5, 300), 2),
        "height": draw.randrange(5, 200),
        "attributes": {"occluded": draw.choice(["yes", "no"]), "stack": draw.randrange(5)},
    }


def _polygon(draw: random.Random) -> dict[str, Any]:
    corners = [{"x": round(draw.uniform(0, 1900), 1), "y": round(draw.uniform(0, 1000), 1)} for _ in range(5)]
    return {"uuid": _id(draw), "type": "polygon", "label": draw.choice(_WORDS), "vertices": corners, "attributes": {}}


def _span(draw: random.Random) -> dict[str, Any]:
    start = draw.randrange(900)
    return {
        "id": _id(draw),
        "start": start,
        "end": start + 9,
        "text": draw.choice(_WORDS),
        "label": draw.choice(_WORDS),
    }


def _text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(words))


def _parts(draw: random.Random, index: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    kind = index % 10
    if kind < 6:
        elements = [(_polygon if draw.random() < 0.25 else _box)(draw) for _ in range(draw.randrange(6, 18))]
        params = {
            "attachment": f"https://data.example.org/dock/cam{index % 7}/{index:08d}.jpg",
            "attachment_type": "image",
            "geometries": {"box": {"objects_to_annotate": _WORDS, "min_height": 8, "min_width": 8}},
        }
        return "imageannotation", params, {"annotations": elements, "links": [], "global_attributes": {}}
    if kind < 9:
        spans = [_span(draw) for _ in range(draw.randrange(6, 20))]
        params = {
            "text": _text(draw, 200),
            "labels": [{"name": word, "description": _text(draw, 4)} for word in _WORDS],
        }
        return "namedentityrecognition", params, {"annotations": spans, "relationships": []}
    fields = {f"field_{number}": _text(draw, 12) for number in range(6)}
    params = {
        "attachments": [{"type": "text", "content": _text(draw, 150)}],
        "fields": [{"field_id": key} for key in fields],
    }
    return (
        "textcollection",
        params,
        {"annotations": {**fields, "vegan": True, "claims": [_text(draw, 3), _text(draw, 4)]}},
    )


def created_at(index: int) -> str:
    """Say when the task of this index was created: one every seven seconds or so."""
    return _stamp(_created(index))


def _created(index: int) -> datetime:
    return START + timedelta(milliseconds=7_000 * index + index * 7_919 % 5_000)


def _completed(index: int) -> datetime:
    return _created(index) + timedelta(milliseconds=60_000 + index * 104_729 % 90_000_000)


def _head(index: int) -> dict[str, Any]:
    """Make what no two tasks have in common."""
    completed = _stamp(_completed(index))
    return {
        "task_id": f"{int(_created(index).timestamp()):08x}{index:016x}",
        "unique_id": f"dock/{index:08d}",
        "created_at": created_at(index),
        "updated_at": completed,
        "completed_at": completed,
        "batch": f"dock_{index // 5000:04d}",
    }


def _rest(index: int, seed: int) -> dict[str, Any]:
    draw = random.Random(f"{seed}/{index}")
    kind, params, response = _parts(draw, index)
    made: dict[str, Any] = {
        "type": kind,
        "status": "completed",
        "instruction": _text(draw, 40),
        "params": params,
        "metadata": {
            "site": draw.choice(_WORDS),
            "frame": index,
            "camera": {"id": index % 7, "fps": 12.5},
            "shift": None,
        },
        "response": response,
        "project": "dock_safety",
        "callback_url": "https://hooks.example.org/refonte",
        "callback_succeeded": True,
        "customer_review_status": "pending",
    }
    if index % 5 == 0:
        made["audits"] = [
            {
                "audited_by": f"qa{index % 9}@example.org",
                "audited_at": _stamp(_completed(index) + timedelta(minutes=31)),
                "audit_time_secs": draw.randrange(400),
                "audit_result": draw.choice(["accepted", "fixed"]),
                "audit_source": "refonte",
            }
        ]
    return made


def task(index: int, seed: int = 7) -> dict[str, Any]:
    """Make the task of this index."""
    return _head(index) | _rest(index, seed)


class Encoded:
    """Tasks as the service would send them; beyond so many, answers are those of earlier tasks, to spare memory."""

    def __init__(self, distinct: int = 50_000, seed: int = 7) -> None:
        self._distinct = distinct
        self._seed = seed
        self._rests: dict[int, bytes] = {}

    def task(self, index: int) -> bytes:
        """Return the text of the task of this index."""
        number = index % self._distinct
        rest = self._rests.get(number)
        if rest is None:
            rest = self._rests[number] = msgspec.json.encode(_rest(number, self._seed))
        return msgspec.json.encode(_head(index))[:-1] + b"," + rest[1:]
