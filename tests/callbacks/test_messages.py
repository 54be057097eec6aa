"""What a delivery says, and whether it is the service's own."""

from __future__ import annotations

import json

import pytest

from refonte_frames.callbacks.messages import MessageError, is_authentic, read_message

KEYS = (b"old", b"new")
TASK = {"task_id": "576c41bf13e36b0600b02b34", "status": "completed", "completed_at": "2016-06-23T21:54:44.904Z"}


def _body(**changes: object) -> bytes:
    return json.dumps(
        {"task": TASK, "response": {}, "task_id": TASK["task_id"], "status": "completed"} | changes
    ).encode()


@pytest.mark.parametrize("name", [b"refonte-ai--callback-auth", b"refonte.ai-callback-auth", b"scale-callback-auth"])
@pytest.mark.parametrize("key", KEYS)
def test_every_spelling_and_both_keys_are_taken(name: bytes, key: bytes) -> None:
    """Each documented spelling of the header opens, with the old key and with the new one."""
    assert is_authentic([(b"host", b"x"), (name, key)], KEYS)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"refonte-ai--callback-auth", b"")],
        [(b"refonte-ai--callback-auth", b"ne")],
        [(b"refonte-ai--callback-auth", b"new ")],
        [(b"refonte-ai--callback-auth", b"new"), (b"refonte-ai--callback-auth", b"new")],
        [(b"refonte-ai--callback-auth", b"new"), (b"scale-callback-auth", b"forged")],
        [(b"refonte-ai--callback-auth", b"\xff")],
        [(b"authorization", b"new")],
    ],
)
def test_a_missing_wrong_or_doubled_header_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    """Nothing opens but each header at most once, at least one of them, and all of them right."""
    assert not is_authentic(headers, KEYS)


def test_a_repeat_has_the_same_key_and_another_announcement_has_not() -> None:
    """The key leaves out what a repeat may change, such as callback_succeeded, and holds what makes it news."""
    first = read_message(_body())
    assert read_message(_body(task=TASK | {"callback_succeeded": False})).key == first.key
    assert read_message(_body(status="error")).key != first.key
    assert read_message(_body(task=TASK | {"completed_at": "2016-06-24T00:00:00.000Z"})).key != first.key
    assert read_message(_body(task_id="a" * 24, task=TASK | {"task_id": "a" * 24})).key != first.key


def test_the_example_of_the_documentation_which_has_no_status_is_read() -> None:
    """Where the body has no status the task's own counts."""
    parsed = json.loads(_body())
    del parsed["status"]
    message = read_message(json.dumps(parsed).encode())
    assert (message.kind, message.name, message.status) == ("task", TASK["task_id"], "completed")


def test_a_batch_is_told_from_a_task() -> None:
    """A batch's delivery names the batch and no task."""
    message = read_message(b'{"batch": "kittens", "status": "completed", "stats": {"completed": 20}}')
    assert (message.kind, message.name, message.status) == ("batch", "kittens", "completed")


def test_an_object_of_an_unknown_form_is_kept_as_such() -> None:
    """A form that is not documented is no reason to turn the service away."""
    assert read_message(b'{"event": "new kind"}').kind == "unknown"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[1]", "no JSON object"),
        (b'{"a": NaN}', "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (_body(task_id="b" * 24), "differ"),
        (_body(task_id=5), "no text"),
        (_body(task_id="", task={}), "no text"),
        (_body(task=[]), "no JSON object"),
        (_body(task_id="x" * 5000, task={}), "5,000 characters"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(body: bytes, sentence: str) -> None:
    """A broken or contradictory body is an error that says what is wrong with it."""
    with pytest.raises(MessageError, match=sentence):
        read_message(body)


def test_half_a_character_keeps_no_task_out() -> None:
    """Services cut texts in the middle of a character; the export mends such texts, and so does the receiver."""
    body = _body(response={"text": "@"}).replace(b"@", rb"\ud83d")
    assert read_message(body).name == TASK["task_id"]
