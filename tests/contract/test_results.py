"""The files behind links in responses (contract 5.4): there for everybody who has the link, and of the right shape."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
import requests

URL = "https://example.com/a"
FRAMES = [f"{URL}/{n}" for n in range(5)]
BOX = {"box": {"objects_to_annotate": ["truck", "car"]}}
ALL = {
    name: {"objects_to_annotate": ["truck", {"choice": "car", "subchoices": ["van", "taxi"]}]}
    for name in ("box", "polygon", "line", "point", "cuboid", "ellipse")
}
ATTRIBUTES = {"moving": {"type": "category", "choices": ["yes", "no"]}}


def links_in(value: Any) -> list[str]:
    """List every address of a file in a response."""
    if isinstance(value, dict):
        return [url for inner in value.values() for url in links_in(inner)]
    if isinstance(value, list):
        return [url for inner in value for url in links_in(inner)]
    return [value] if isinstance(value, str) and value.startswith("http") else []


def fetched(url: str) -> requests.Response:
    """Get a file as anybody would: without a key."""
    reply = requests.get(url, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply


def response_of(api: Any, task_type: str, **body: Any) -> Any:
    """Make a task with a test key, and give its response."""
    task = api.ok("POST", f"/task/{task_type}", json=body)
    return api.ok("GET", f"/task/{task['task_id']}")["response"]


def pixels_of(png: bytes) -> tuple[list[bytes], int]:
    """Read a picture: its lines, and how many bytes a pixel has."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        name, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + content)
        chunks[name], at = content, at + 12 + length
    width, height, depth, color_type = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8
    size = {0: 1, 2: 3}[color_type]
    raw = zlib.decompress(chunks[b"IDAT"])
    lines = [raw[n * (width * size + 1) : (n + 1) * (width * size + 1)] for n in range(height)]
    assert all(line[0] == 0 and len(line) == width * size + 1 for line in lines)
    return [line[1:] for line in lines], size


@pytest.fixture
def linked(api: Any, service_url: str) -> Any:
    """Call with a test key: its responses are made up at once."""
    if not service_url.startswith("http://127.0.0.1"):
        pytest.skip("the sandbox's own files")
    return api


@pytest.mark.parametrize(
    ("task_type", "body", "names"),
    [
        ("segmentannotation", {"attachment": URL, "labels": ["soil", "water"]}, 4),
        ("videoannotation", {"attachments": FRAMES, "attachment_type": "image", "geometries": BOX}, 1),
        ("videoplaybackannotation", {"attachment": URL, "geometries": ALL, "events_to_annotate": ["entry"]}, 2),
        ("lidarannotation", {"attachments": FRAMES, "attachment_type": "json", "labels": ["car"]}, 1),
        ("lidarlinking", {"lidar_task": "0" * 24}, 1),
    ],
)
def test_every_link_leads_to_a_file(linked: Any, task_type: str, body: dict[str, Any], names: int) -> None:
    """The same one each time, for who has no key, and of the type that its name says; a HEAD or POST is refused."""
    links = links_in(response_of(linked, task_type, **body))
    assert len(set(links)) == names
    for url in links:
        reply = fetched(url)
        assert reply.headers["content-type"] == ("image/png" if url.endswith(".png") else "application/json")
        assert reply.content
        assert fetched(url).content == reply.content
        assert requests.post(url, timeout=30).status_code == 405


def test_masks_agree_with_the_mapping_of_labels(linked: Any) -> None:
    """Every index occurs in the indexed image, in its color in the other, and in its own mask; none occurs twice."""
    labels = ["soil", "water", {"choice": "tree", "instance_label": True}]
    response = response_of(linked, "segmentannotation", attachment=URL, labels=labels)
    mapping, annotations = response["labelMapping"], response["annotations"]
    assert set(mapping) == set(annotations["labeled"]) == {"soil", "water", "tree"}
    assert isinstance(mapping["tree"], list)
    assert len(mapping["tree"]) == len(annotations["labeled"]["tree"])
    marks = [mark for found in mapping.values() for mark in (found if isinstance(found, list) else [found])]
    indexed, size = pixels_of(fetched(annotations["combined"]["indexedImage"]).content)
    assert size == 1
    assert {n for line in indexed for n in line} == {mark["index"] for mark in marks} == {1, 2, 3, 4}
    colored, size = pixels_of(fetched(annotations["combined"]["image"]).content)
    assert size == 3
    assert (len(colored), len(colored[0])) == (len(indexed), 3 * len(indexed[0]))
    colors = {mark["index"]: bytes.fromhex(mark["color"].removeprefix("#")) for mark in marks}
    for y in range(0, len(indexed), 37):
        for x in range(0, len(indexed[0]), 41):
            assert colored[y][3 * x : 3 * x + 3] == colors[indexed[y][x]]
    water, _ = pixels_of(fetched(annotations["labeled"]["water"]).content)
    assert [[pixel == mapping["water"]["index"] for pixel in line] for line in indexed] == [
        [pixel == 255 for pixel in line] for line in water
    ]


@pytest.mark.parametrize(("allowed", "lowest"), [(False, 1), (True, 0)])
def test_pixels_are_unlabeled_only_where_that_is_allowed(linked: Any, *, allowed: bool, lowest: int) -> None:
    """Index 0 is no label."""
    body = {"attachment": URL, "labels": ["a", "b", "c"], "allow_unlabeled": allowed}
    url = response_of(linked, "segmentannotation", **body)["annotations"]["combined"]["indexedImage"]
    assert min(n for line in pixels_of(fetched(url).content)[0] for n in line) == lowest


def test_a_video_has_one_item_per_frame(linked: Any) -> None:
    """In order; an object keeps its uuid, its label and its shape while it moves."""
    response = response_of(
        linked, "videoannotation", attachments=FRAMES, geometries=ALL, annotation_attributes=ATTRIBUTES
    )
    frames = fetched(response["annotations"]["url"]).json()
    assert len(frames) == len(FRAMES)
    seen: dict[str, Any] = {}
    for frame in frames:
        for item in frame["annotations"]:
            assert item["label"] in ("truck", "van", "taxi")
            assert item["attributes"]["moving"] in ("yes", "no")
            first = seen.setdefault(item["uuid"], item)
            assert (item["type"], item["label"], item.keys()) == (first["type"], first["label"], first.keys())
            assert (item.get("width"), item.get("height")) == (first.get("width"), first.get("height"))
    assert seen


def test_a_playback_is_told_by_object_and_key_frame(linked: Any) -> None:
    """With times that follow from the rate; events have a beginning and an end."""
    body = {"attachment": URL, "geometries": BOX, "events_to_annotate": ["entry", "exit"], "frame_rate": 5}
    response = response_of(linked, "videoplaybackannotation", **body)
    objects = fetched(response["annotations"]["url"]).json()
    assert objects
    for thing in objects.values():
        assert thing["geometry"] == "box"
        keys = [frame["key"] for frame in thing["frames"]]
        assert keys == sorted(set(keys))
        assert all(abs(frame["timestamp"] - frame["key"] / 5) < 0.001 for frame in thing["frames"])
        assert all({"left", "top", "width", "height", "attributes"} <= frame.keys() for frame in thing["frames"])
    events = fetched(response["events"]["url"]).json()
    assert {event["label"] for event in events.values()} == {"entry", "exit"}


def test_lidar_files_have_one_item_per_frame(linked: Any, name: str) -> None:
    """Cuboids of the asked labels; points that belong to listed objects or to none."""
    linked.project(name, task_type="lidarsegmentation")
    body = {"project": name, "attachments": FRAMES, "labels": ["car", "tree"]}
    response = response_of(linked, "lidarsegmentation", **body)
    points = fetched(response["point_segmentations"]["url"]).json()
    assert [each["index"] for each in points["objects"]] == [1, 2]
    assert len(points["point_objects"]) == len(FRAMES)
    assert all(0 <= n <= 2 for frame in points["point_objects"] for n in frame)
    cuboids = fetched(response["annotations"]["url"]).json()
    assert len(cuboids) == len(FRAMES)
    assert {each["label"] for frame in cuboids for each in frame["cuboids"]} <= {"car", "tree"}
    assert all({"position", "dimensions", "yaw", "uuid"} <= each.keys() for each in cuboids[0]["cuboids"])


def test_a_task_that_asks_for_much_has_links_of_bearable_length(linked: Any) -> None:
    """Clients refuse very long addresses; the files then show fewer labels."""
    long = [f"{'label ' * 50}{n}" for n in range(200)]
    body = {"attachments": FRAMES, "geometries": {"box": {"objects_to_annotate": long}}}
    (url,) = links_in(response_of(linked, "videoannotation", **body))
    assert len(url) < 4000
    assert len(fetched(url).json()) == len(FRAMES)


@pytest.mark.parametrize(
    "end", ["", "!", "e30", "bnVsbA", "eyJraW5kIjoiZnJhbWVzIiwiZHJhd3MiOiJ6eiJ9", "%ff", "a" * 500]
)
@pytest.mark.parametrize("name", ["annotations.json", "mask.png", "page.html"])
def test_an_address_that_nobody_gave_is_404(linked: Any, service_url: str, end: str, name: str) -> None:
    """In the documented shape."""
    assert linked is not None
    reply = requests.get(f"{service_url.removesuffix('/v1')}/_sandbox/results/{end}/{name}", timeout=30)
    assert (reply.status_code, reply.json()["status_code"]) == (404, 404)
