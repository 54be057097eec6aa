"""What each task type demands, read three times from the documents: by the client, by the sandbox, and here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from refonte_frames.api import TASK_TYPES
from refonte_frames.upload.task_types import missing_parameters

if TYPE_CHECKING:
    from conftest import Api

URL = "https://example.org/a"
BOX = {"box": {"objects_to_annotate": ["kitten"]}}
LEGACY = {"attachment": URL, "objects_to_annotate": ["kitten"]}

#: The smallest body of each type (contract 5.2): without any one of its keys it is refused.
SMALLEST: dict[str, dict[str, Any]] = {
    "imageannotation": {"attachment": URL, "geometries": BOX},
    "segmentannotation": {"attachment": URL, "labels": ["kitten"]},
    "videoannotation": {"attachments": [URL], "geometries": BOX},
    "videoplaybackannotation": {"attachment": URL, "geometries": BOX},
    "categorization": {"attachment": "a cat", "attachment_type": "text", "categories": ["cat", "dog"]},
    "comparison": {"attachments": [URL, URL + "b"], "attachment_type": "image", "choices": ["left", "right"]},
    "transcription": {"attachment": URL, "attachment_type": "image", "fields": {"title": "The title"}},
    "datacollection": {"attachment": URL, "attachment_type": "website", "fields": {"name": "The name"}},
    "audiotranscription": {"attachment": URL},
    "textcollection": {
        "attachments": [{"type": "text", "content": "a cat"}],
        "fields": [{"field_id": "mood", "type": "text", "title": "Mood"}],
    },
    "namedentityrecognition": {"text": "Ada wrote it.", "labels": [{"name": "person"}]},
    "documenttranscription": {"attachment": URL, "features": [{"type": "text", "label": "total"}]},
    "lidarannotation": {"attachments": [URL], "attachment_type": "json", "labels": ["car"]},
    "lidarsegmentation": {"project": "points", "attachments": [URL], "labels": ["car"]},
    "annotation": LEGACY,
    "polygonannotation": LEGACY,
    "lineannotation": LEGACY,
    "pointannotation": LEGACY,
    "cuboidannotation": LEGACY,
}
#: It names a finished task of another type and nothing else, so it has no smallest body of its own.
WITHOUT_BODY = {"lidarlinking"}


def test_every_type_is_here() -> None:
    """No documented type is left out of the comparison."""
    assert set(SMALLEST) | WITHOUT_BODY == set(TASK_TYPES)


@pytest.mark.parametrize("task_type", sorted(SMALLEST))
def test_the_smallest_body_is_enough_for_all(live: Api, task_type: str) -> None:
    """The service takes it, and the client finds nothing missing."""
    body = SMALLEST[task_type]
    if "project" in body:
        live.project(body["project"], task_type)
    assert missing_parameters(task_type, body) == []
    assert live.ok("POST", f"/task/{task_type}", json=body)["type"] == task_type


@pytest.mark.parametrize(
    ("task_type", "key"), [(task_type, key) for task_type in sorted(SMALLEST) for key in SMALLEST[task_type]]
)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_without_any_part_it_is_refused_by_all(live: Api, task_type: str, key: str, how: str) -> None:
    """The service refuses what lacks a key, or has nothing in it, and the client would not have sent it."""
    body = dict(SMALLEST[task_type])
    empty = type(body.pop(key))()
    if how == "empty":
        body[key] = empty
    if body.get("project"):
        live.project(body["project"], task_type)
    assert missing_parameters(task_type, body)
    live.refused(400, "POST", f"/task/{task_type}", json=body)


def test_a_task_that_needs_another_is_refused_without_it(live: Api) -> None:
    """The type without a body of its own demands the other task, in the client's reading and in the service's."""
    assert missing_parameters("lidarlinking", {}) == ["lidar_task"]
    live.refused(400, "POST", "/task/lidarlinking", json={})
