"""The documents' own Python samples, in their form: host, key and the bodies they leave out are filled in."""

from __future__ import annotations

from typing import Any

import pytest
import requests

HEADERS = {"accept": "application/json", "content-type": "application/json"}
KITTENS = {
    "callback_url": "http://www.example.com/callback",
    "instruction": "Draw a box around each kitten.",
    "attachment_type": "image",
    "attachment": "http://i.imgur.com/v4cBreD.jpg",
    "geometries": {"box": {"objects_to_annotate": ["kitten"], "min_height": 10, "min_width": 10}},
}


@pytest.fixture
def key(live: Any) -> str:
    """Give the API key of an account with the project of the samples."""
    live.project("kitten_labeling", task_type="imageannotation", rapid=True)
    return live.session.auth[0]


@pytest.fixture
def batch_url(service_url: str, key: str) -> str:
    """Make the batch of the samples as the first of them does."""
    url = f"{service_url}/batches"
    payload = {
        "project": "kitten_labeling",
        "name": "kitten_labeling_2020-07",
        "calibration_batch": False,
        "self_label_batch": False,
    }
    response = requests.post(url, json=payload, headers=HEADERS, auth=(key, ""))
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "staging"
    return f"{url}/kitten_labeling_2020-07"


@pytest.fixture
def task_url(service_url: str, key: str, batch_url: str) -> str:
    """Make a task in that batch."""
    payload = {**KITTENS, "project": "kitten_labeling", "batch": batch_url.rpartition("/")[2], "unique_id": "kitten-1"}
    response = requests.post(f"{service_url}/task/imageannotation", json=payload, headers=HEADERS, auth=(key, ""))
    assert response.status_code == 200, response.text
    return f"{service_url}/task/{response.json()['task_id']}"


def test_finalize_batch(key: str, batch_url: str) -> None:
    """The answer is the batch, in progress."""
    response = requests.post(f"{batch_url}/finalize", headers={"accept": "application/json"}, auth=(key, ""))
    assert response.status_code == 200
    assert response.json()["status"] == "in_progress"
    assert set(response.json()) == {"project", "name", "callback", "status", "created_at", "metadata"}


def test_retrieve_batch(key: str, batch_url: str) -> None:
    """The answer is the batch."""
    response = requests.get(batch_url, headers={"accept": "application/json"}, auth=(key, ""))
    assert response.json()["name"] == "kitten_labeling_2020-07"


@pytest.mark.usefixtures("task_url")
def test_batch_status(key: str, batch_url: str) -> None:
    """Counts by status, prefixed."""
    response = requests.get(f"{batch_url}/status", headers={"accept": "application/json"}, auth=(key, ""))
    assert response.json() == {"status": "staging", "tasks_pending": 1}


@pytest.mark.usefixtures("batch_url")
def test_list_batches(service_url: str, key: str) -> None:
    """The sample's parameters, sent for once."""
    params = {
        "project": "kitten_labeling",
        "status": "staging",
        "detailed": False,
        "start_time": "2020-05-21",
        "end_time": "2100-01-01",
        "limit": 100,
        "offset": 0,
    }
    response = requests.get(f"{service_url}/batches", params=params, headers=HEADERS, auth=(key, ""))
    assert [batch["name"] for batch in response.json()["docs"]] == ["kitten_labeling_2020-07"]


@pytest.mark.usefixtures("batch_url")
def test_the_unsent_parameters_of_the_list_samples_do_no_harm(service_url: str, key: str) -> None:
    """The samples' URLs end in the bare word params, and in one with braces."""
    for url in (f"{service_url}/tasks?params", f"{service_url}/batches?{{params}}"):
        response = requests.get(url, headers={"accept": "application/json"}, auth=(key, ""))
        assert response.status_code == 200
        assert "params" in response.headers["warning"]


def test_prioritize_batch(key: str, batch_url: str) -> None:
    """The sample sends a priority, whatever the table calls it."""
    response = requests.post(f"{batch_url}/prioritize", json={"priority": 10}, headers=HEADERS, auth=(key, ""))
    assert response.json() == {"result": "success"}


def test_retrieve_task(key: str, task_url: str) -> None:
    """The answer is the task."""
    response = requests.get(task_url, headers={"accept": "application/json"}, auth=(key, ""))
    task = response.json()
    assert task["params"] == {name: KITTENS[name] for name in ("attachment_type", "attachment", "geometries")}
    assert task["callback_url"] == KITTENS["callback_url"]


@pytest.mark.usefixtures("task_url")
def test_list_tasks(service_url: str, key: str) -> None:
    """The sample's parameters, sent for once."""
    params = {
        "status": "pending",
        "type": "imageannotation",
        "project": "kitten_labeling",
        "batch": "kitten_labeling_2020-07",
        "limit": 100,
        "include_attachment_url": True,
    }
    response = requests.get(f"{service_url}/tasks", params=params, headers=HEADERS, auth=(key, ""))
    page = response.json()
    assert page["total"] == 1
    assert page["docs"][0]["attachment_url"].startswith(KITTENS["attachment"])


def test_cancel_task(key: str, task_url: str) -> None:
    """With its query, which the sample means to send."""
    response = requests.post(f"{task_url}/cancel", params={"clear_unique_id": True}, headers=HEADERS, auth=(key, ""))
    assert response.json()["status"] == "canceled"
    assert "unique_id" not in response.json()
    # As the sample has it, with the bare word at the end of the URL.
    assert requests.post(f"{task_url}/cancel?params", headers=HEADERS, auth=(key, "")).status_code == 200


def test_set_metadata(key: str, task_url: str) -> None:
    """The payload is the metadata; empty as in the sample, too."""
    for payload in ({"metadata_key": "metadata_value"}, {}):
        response = requests.post(f"{task_url}/setMetadata", headers=HEADERS, json=payload, auth=(key, ""))
        assert response.json()["metadata"] == payload


def test_update_and_delete_unique_id(key: str, task_url: str) -> None:
    """Set, then gone."""
    payload = {"unique_id": "56766ba764ee6c4761f6f9b6015657cc6"}
    response = requests.post(f"{task_url}/unique_id", json=payload, headers=HEADERS, auth=(key, ""))
    assert response.json()["unique_id"] == payload["unique_id"]
    response = requests.delete(f"{task_url}/unique_id", headers={"accept": "application/json"}, auth=(key, ""))
    assert "unique_id" not in response.json()


def test_add_set_and_delete_tags(key: str, task_url: str) -> None:
    """The samples' verbs; the last sample forgets its body, which must not wipe the tags."""
    payload = ["tag1", "tag2", "tag3"]
    assert requests.put(f"{task_url}/tags", headers=HEADERS, json=payload, auth=(key, "")).json()["tags"] == payload
    assert requests.post(f"{task_url}/tags", headers=HEADERS, json=payload, auth=(key, "")).json()["tags"] == payload
    assert requests.delete(f"{task_url}/tags", headers=HEADERS, auth=(key, "")).status_code == 400
    response = requests.delete(f"{task_url}/tags", headers=HEADERS, json=["tag1"], auth=(key, ""))
    assert response.json()["tags"] == ["tag2", "tag3"]


def test_the_payload_against_duplicates(service_url: str, key: str, task_url: str) -> None:
    """A second creation with the unique_id fails and points at the first task."""
    payload = {**KITTENS, "project": "kitten_labeling", "batch": "kitten_labeling_2020-07", "unique_id": "kitten-1"}
    response = requests.post(f"{service_url}/task/imageannotation", json=payload, headers=HEADERS, auth=(key, ""))
    assert response.status_code == 409
    assert task_url.rpartition("/")[2] in response.json()["error"]


def test_the_curl_sample_with_an_idempotency_key(service_url: str, key: str) -> None:
    """A form, twice with one key: one task."""
    fields = {
        "callback_url": "http://www.example.com/callback",
        "attachments": '["http://example.com/a.jpg", "http://example.com/b.jpg"]',
        "attachment_type": "image",
        "choices": '["first", "second"]',
    }
    headers = {"Idempotency-Key": "UNIQUE_IDENTIFIER"}
    replies = [
        requests.post(f"{service_url}/task/comparison", data=fields, headers=headers, auth=(key, "")) for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].content == replies[1].content
