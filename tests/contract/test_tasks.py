"""Creating, reading and changing tasks (contract 2.3, 5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


import re

import pytest

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NOWHERE = "0" * 24


def test_a_new_task_is_pending_and_served_as_documented(live: Any, name: str) -> None:
    """Type-specific parameters lie under params, everything else at the top, and absent values are absent keys."""
    live.project(name)
    sent = {
        "project": name,
        "instruction": "How big?",
        "metadata": {"camera": "left"},
        "priority": 30,
        "unique_id": "row-1",
        "tags": ["a", "b"],
        "callback_url": "http://www.example.com/callback",
    }
    task = live.task(**sent)
    assert re.fullmatch(r"[0-9a-f]{24}", task.pop("task_id"))
    assert STAMP.fullmatch(task.pop("created_at"))
    assert STAMP.fullmatch(task.pop("updated_at"))
    params = {"attachment": "car", "attachment_type": "text", "categories": ["big", "small"]}
    assert task == {"type": "categorization", "status": "pending", "params": params, **sent}


def test_a_bare_task_has_no_optional_keys(live: Any) -> None:
    """Neither project nor batch is needed."""
    task = live.task()
    assert task["metadata"] == {}
    for key in (
        "project",
        "batch",
        "unique_id",
        "tags",
        "priority",
        "callback_url",
        "response",
        "completed_at",
        "audits",
    ):
        assert key not in task


def test_a_test_task_is_completed_at_the_next_read(api: Any) -> None:
    """The creation says pending; the response has been made up by then."""
    task = api.task()
    assert task["status"] == "pending"
    read = api.ok("GET", f"/task/{task['task_id']}")
    assert read["status"] == "completed"
    assert read["response"]["category"] in ("big", "small")
    assert read["completed_at"] >= read["created_at"]
    assert read["customer_review_status"] == "pending"
    api.refused(400, "POST", f"/task/{task['task_id']}/cancel")


@pytest.mark.parametrize("pages", [{"attachment": "https://x.org/1"}, {"attachments": ["https://x.org/1"] * 3}])
def test_a_transcribed_document_tells_the_size_of_its_pages(api: Any, pages: dict[str, Any]) -> None:
    """Annotations refer to them by their number; until it is completed there are none."""
    made = api.ok("POST", "/task/documenttranscription", json={**pages, "features": [{"type": "text", "label": "sum"}]})
    task = api.ok("GET", f"/task/{made['task_id']}")
    assert "document_pages" not in made
    assert len(task["document_pages"]) == len(pages.get("attachments", [1]))
    for item in task["response"]["annotations"]:
        page, place = task["document_pages"][item["page"]], item["location"]
        assert place["left"] + place["width"] <= page["width"]
        assert place["top"] + place["height"] <= page["height"]


def test_task_ids_begin_with_the_creation_time_and_rise(live: Any) -> None:
    """Eight hex digits of seconds; later tasks have greater ids."""
    ids = [live.task()["task_id"] for _ in range(5)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 5


def test_the_old_name_of_callback_url_is_understood(live: Any) -> None:
    """One page of the documents prints `callback`."""
    assert live.task(callback="me@example.com")["callback_url"] == "me@example.com"


REQUIRED = [
    (
        "imageannotation",
        {"attachment": "https://example.com/1.jpg", "geometries": {"box": {"objects_to_annotate": ["a"]}}},
    ),
    ("segmentannotation", {"attachment": "https://example.com/1.jpg", "labels": ["road", {"choice": "car"}]}),
    (
        "videoannotation",
        {"attachments": ["https://example.com/1.jpg"], "attachment_type": "image", "geometries": {"box": {}}},
    ),
    ("videoplaybackannotation", {"attachment": "https://example.com/1.mp4", "geometries": {"box": {}}}),
    ("categorization", {"attachment": "car", "attachment_type": "text", "categories": ["a", "b"]}),
    ("comparison", {"attachments": ["a", "b"], "attachment_type": "text", "choices": ["first", "second"]}),
    (
        "transcription",
        {"attachment": "https://example.com/1.png", "attachment_type": "image", "fields": {"name": "Name"}},
    ),
    ("datacollection", {"attachment": "https://example.com", "attachment_type": "website", "fields": {"name": "Name"}}),
    ("audiotranscription", {"attachment": "https://example.com/1.mp3"}),
    (
        "textcollection",
        {
            "attachments": [{"type": "text", "content": "hello"}],
            "fields": [{"field_id": "q", "type": "text", "title": "What?"}],
        },
    ),
    ("namedentityrecognition", {"text": "Ada met Charles.", "labels": [{"name": "person"}]}),
    (
        "documenttranscription",
        {"attachments": ["https://example.com/1.png"], "features": [{"type": "text", "label": "total"}]},
    ),
    ("lidarannotation", {"attachments": ["https://example.com/1.json"], "attachment_type": "json", "labels": ["car"]}),
    ("lidarlinking", {"lidar_task": "576ba74eec471ff9b01557cc"}),
    *(
        (kind, {"attachment": "https://example.com/1.jpg", "objects_to_annotate": ["car"]})
        for kind in ("annotation", "polygonannotation", "lineannotation", "pointannotation", "cuboidannotation")
    ),
]


@pytest.mark.parametrize(("kind", "params"), REQUIRED, ids=[kind for kind, _ in REQUIRED])
def test_every_documented_type_takes_its_required_parameters(api: Any, kind: str, params: dict[str, Any]) -> None:
    """They come back under params, unchanged, and the test key's task ends."""
    task = api.ok("POST", f"/task/{kind}", json=params)
    assert task["params"] == params
    assert api.ok("GET", f"/task/{task['task_id']}")["status"] == "completed"


# Without attachment_type a video annotation is still complete: it only tells which of two parameters is meant.
LEFT_OUT = [
    (kind, params, left_out)
    for kind, params in REQUIRED
    for left_out in params
    if (kind, left_out) != ("videoannotation", "attachment_type")
]


@pytest.mark.parametrize(
    ("kind", "params", "left_out"),
    LEFT_OUT,
    ids=[f"{kind}-{left_out}" for kind, _, left_out in LEFT_OUT],
)
def test_a_missing_required_parameter_is_400(api: Any, kind: str, params: dict[str, Any], left_out: str) -> None:
    """Each one, for each type; attachments have their own documented sentence."""
    sent = {key: value for key, value in params.items() if key != left_out}
    sentence = api.refused(400, "POST", f"/task/{kind}", json=sent)
    if left_out in ("attachment", "attachments"):
        assert sentence == "Please include an attachment or attachments parameter"
    else:
        assert left_out in sentence


def test_lidar_segmentation_needs_a_project_and_points_or_a_lidar_task(api: Any, name: str) -> None:
    """Either attachments with labels, or a lidar task without attachments."""
    api.project(name, task_type="lidarsegmentation")
    api.ok("POST", "/task/lidarsegmentation", json={"project": name, "lidar_task": NOWHERE})
    sent = {"project": name, "attachments": ["https://example.com/1.json"], "labels": ["road"]}
    api.ok("POST", "/task/lidarsegmentation", json=sent)
    api.refused(400, "POST", "/task/lidarsegmentation", json={**sent, "labels": None})
    api.refused(400, "POST", "/task/lidarsegmentation", json={**sent, "lidar_task": NOWHERE})
    api.refused(400, "POST", "/task/lidarsegmentation", json={**sent, "project": None})


def test_a_known_but_disabled_type_is_402_and_an_unknown_one_404(api: Any) -> None:
    """The two refusals are told apart."""
    api.refused(402, "POST", "/task/chat", json={})
    api.refused(404, "POST", "/task/nonsense", json={})


@pytest.mark.parametrize(
    "wrong",
    [
        {"attachment": 5},
        {"attachment": ""},
        {"attachment": ["a"]},
        {"attachment_type": "picture"},
        {"categories": []},
        {"categories": "big"},
        {"categories": ["a", 1]},
        {"allow_multiple": "yes"},
        {"metadata": []},
        {"metadata": "text"},
        {"priority": 9},
        {"priority": 31},
        {"priority": "20"},
        {"priority": 20.5},
        {"priority": True},
        {"unique_id": ""},
        {"unique_id": 7},
        {"clear_unique_id_on_error": 1},
        {"tags": "a"},
        {"tags": [""]},
        {"tags": [None]},
        {"tags": list("abcdef")},
        {"callback_url": "www.example.com"},
        {"callback_url": "ftp://example.com"},
        {"instruction": 5},
        {"project": 5},
        {"batch": []},
        {"attachments": ["a"]},
    ],
)
def test_a_parameter_of_the_wrong_form_is_400_and_named(
    api: Any, body: Callable[..., dict[str, Any]], wrong: dict[str, Any]
) -> None:
    """The sentence holds the parameter's name; nothing is created."""
    (named,) = wrong
    assert named in api.refused(400, "POST", "/task/categorization", json=body(**wrong))


def test_null_is_the_same_as_absent(live: Any) -> None:
    """A client that sends every key does no harm."""
    task = live.task(unique_id=None, tags=None, project=None, priority=None, metadata=None)
    assert "unique_id" not in task
    assert task["metadata"] == {}


def test_an_unknown_parameter_is_kept_and_warned_of(api: Any, body: Callable[..., dict[str, Any]]) -> None:
    """Nothing is passed over in silence."""
    reply = api.call("POST", "/task/categorization", json=body(colour="red"))
    assert reply.status_code == 200
    assert reply.json()["params"]["colour"] == "red"
    assert "colour" in reply.headers["warning"]
    assert reply.headers["warning"].startswith("299 ")


def test_numbers_come_back_as_they_were_sent(api: Any) -> None:
    """Big integers stay exact, and 1.0 does not become 1."""
    metadata = {"big": 2**63 + 1, "bigger": -(2**70), "huge": 10**4000, "float": 1.0, "whole": 165.0, "tiny": 1e-300}
    task = api.task(metadata=metadata, priority=10)
    api.ok("PUT", f"/task/{task['task_id']}/tags", json=["after a change"])
    text = api.call("GET", f"/task/{task['task_id']}").text
    assert str(2**63 + 1) in text
    assert '"float":1.0' in text
    assert '"whole":165.0' in text
    assert api.ok("GET", f"/task/{task['task_id']}")["metadata"] == metadata


def test_a_form_is_understood_as_the_curl_sample_sends_it(api: Any) -> None:
    """Flat fields are texts; a value that begins with [ or { is JSON."""
    fields = {
        "callback_url": "http://www.example.com/callback",
        "attachments": '["a", "b"]',
        "attachment_type": "text",
        "choices": '["first", "second"]',
        "priority": "20",
        "metadata": '{"row": 1}',
    }
    task = api.ok("POST", "/task/comparison", data=fields)
    assert task["params"]["attachments"] == ["a", "b"]
    assert task["metadata"] == {"row": 1}
    assert task["priority"] == 20


@pytest.mark.parametrize(
    "verb_path", [("GET", ""), ("POST", "/cancel"), ("POST", "/setMetadata"), ("DELETE", "/unique_id")]
)
@pytest.mark.parametrize("task_id", [NOWHERE, "no-id-at-all"])
def test_an_unknown_task_is_404(api: Any, verb_path: tuple[str, str], task_id: str) -> None:
    """A malformed id is an unknown one."""
    verb, tail = verb_path
    api.refused(404, verb, f"/task/{task_id}{tail}")


def test_cancel_is_idempotent(live: Any) -> None:
    """A second time is a success without effect."""
    task = live.task(unique_id="u")
    first = live.ok("POST", f"/task/{task['task_id']}/cancel")
    assert first["status"] == "canceled"
    assert first["unique_id"] == "u"
    assert live.ok("POST", f"/task/{task['task_id']}/cancel") == first


def test_cancel_frees_the_unique_id_when_told(live: Any, body: Callable[..., dict[str, Any]]) -> None:
    """The key is then absent, and the id can be used again, once."""
    task = live.task(unique_id="u")
    live.ok("POST", f"/task/{task['task_id']}/cancel")
    live.refused(409, "POST", "/task/categorization", json=body(unique_id="u"))
    canceled = live.ok("POST", f"/task/{task['task_id']}/cancel", params={"clear_unique_id": True})
    assert "unique_id" not in canceled
    live.task(unique_id="u")
    live.refused(409, "POST", "/task/categorization", json=body(unique_id="u"))


def test_a_taken_unique_id_is_409_in_the_documented_words(
    api: Any, body: Callable[..., dict[str, Any]], name: str
) -> None:
    """The sentence names the id and the task that holds it, over all types and projects."""
    odd = f's3://bucket/("{name}").png'
    task = api.task(unique_id=odd)
    sentence = api.refused(409, "POST", "/task/categorization", json=body(unique_id=odd))
    assert sentence == f'The unique_id ("{odd}") is already used for a different task ({task["task_id"]}).'
    sent = {"text": "Ada", "labels": ["person"], "unique_id": odd}
    api.refused(409, "POST", "/task/namedentityrecognition", json=sent)


def test_unique_ids_are_set_and_cleared(api: Any, name: str) -> None:
    """Setting one's own again and clearing twice are successes; another's is 409."""
    first, second = api.task(unique_id=f"{name} one"), api.task()
    path = f"/task/{second['task_id']}/unique_id"
    assert first["task_id"] in api.refused(409, "POST", path, json={"unique_id": f"{name} one"})
    for _ in range(2):
        assert api.ok("POST", path, json={"unique_id": f"{name} two"})["unique_id"] == f"{name} two"
    for _ in range(2):
        assert "unique_id" not in api.ok("DELETE", path)
    for wrong in ({}, {"unique_id": ""}, {"unique_id": 5}, {"unique_id": None}):
        api.refused(400, "POST", path, json=wrong)


def test_metadata_is_the_body_and_is_replaced(api: Any) -> None:
    """No wrapping: a key named metadata is a key like another."""
    task = api.task(metadata={"a": 1})
    path = f"/task/{task['task_id']}/setMetadata"
    for _ in range(2):
        assert api.ok("POST", path, json={"metadata": {"b": 2}})["metadata"] == {"metadata": {"b": 2}}
    assert api.ok("POST", path)["metadata"] == {}
    api.refused(400, "POST", path, json=["no object"])


def test_the_verb_decides_what_happens_to_tags(api: Any) -> None:
    """PUT adds, POST replaces, DELETE removes; order is kept and repetitions dropped."""
    task = api.task(tags=["a"])
    path = f"/task/{task['task_id']}/tags"
    assert api.ok("PUT", path, json=["b", "a", "c"])["tags"] == ["a", "b", "c"]
    assert api.ok("DELETE", path, json=["b", "zzz"])["tags"] == ["a", "c"]
    assert api.ok("POST", path, json=["x", "y", "x"])["tags"] == ["x", "y"]
    assert "tags" not in api.ok("POST", path)
    assert api.ok("GET", f"/task/{task['task_id']}") == api.ok("POST", path, json=[])


def test_unacceptable_tags_are_400(api: Any) -> None:
    """Empty, null and too many tags; and a DELETE without a list wipes nothing."""
    task = api.task(tags=["a"])
    path = f"/task/{task['task_id']}/tags"
    for wrong in ([""], [None], "a", {"a": 1}, list("abcdef")):
        api.refused(400, "POST", path, json=wrong)
    api.refused(400, "PUT", path, json=list("bcdef"))
    api.refused(400, "DELETE", path)
    assert api.ok("GET", f"/task/{task['task_id']}")["tags"] == ["a"]


def test_an_audit_decides_the_customers_review(api: Any) -> None:
    """The newest of the customer's audits counts; the list is newest first."""
    task = api.task()
    path = f"/task/{task['task_id']}/audit"
    audited = api.ok("POST", path, json={"accepted": False, "comments": "too small"})
    assert audited["customer_review_status"] == "rejected"
    audited = api.ok("POST", path, json={"accepted": True})
    assert audited["customer_review_status"] == "accepted"
    assert [audit["audit_result"] for audit in audited["audits"]] == ["accepted", "rejected"]
    assert audited["audits"][1]["comments"] == "too small"
    assert all(audit["audit_source"] == "customer" and audit["audit_time_secs"] > 0 for audit in audited["audits"])
    assert audited["updated_at"] == audited["completed_at"]
    for wrong in ({}, {"accepted": "yes"}, {"accepted": True, "comments": 5}):
        api.refused(400, "POST", path, json=wrong)


def test_only_completed_tasks_are_audited(live: Any) -> None:
    """A pending task has nothing to look at."""
    live.refused(400, "POST", f"/task/{live.task()['task_id']}/audit", json={"accepted": True})


def test_a_task_that_cannot_load_its_attachment_ends_in_error(api: Any, service_url: str, name: str) -> None:
    """The creation succeeds; the error says why and names the attachment; a wish to free the id is honoured."""
    if not service_url.startswith("http://127.0.0.1"):
        pytest.skip("the sandbox's own unreachable address")
    url = "https://unreachable.invalid/1.jpg"
    sent = {"attachment": url, "geometries": {"box": {}}}
    kept = api.ok("POST", "/task/imageannotation", json={**sent, "unique_id": f"{name} kept"})
    freed = api.ok(
        "POST", "/task/imageannotation", json={**sent, "unique_id": f"{name} freed", "clear_unique_id_on_error": True}
    )
    assert freed["status"] == "pending"
    kept, freed = (api.ok("GET", f"/task/{task['task_id']}") for task in (kept, freed))
    assert kept["status"] == freed["status"] == "error"
    assert kept["response"]["failed_attachments"][0]["url"] == url
    assert kept["unique_id"] == f"{name} kept"
    assert "unique_id" not in freed
    api.refused(400, "POST", f"/task/{kept['task_id']}/cancel")
