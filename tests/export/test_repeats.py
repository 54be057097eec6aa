"""Keys that stand twice in an object of a page: named, never chosen from; and found without looking at every key."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from refonte_frames.errors import ReplyError
from refonte_frames.export.decode import TaskDoc
from refonte_frames.export.repeats import require_unrepeated, require_unrepeated_keys

TASK = (
    '{"task_id":"a","instruction":"Say \\"cat\\" \\u0022here\\u0022","params":{"n":1,"n":2},'
    '"audits":[{"comments":"c"}]}'
)


class Task(TaskDoc, kw_only=True, omit_defaults=True):
    """A task that is written again as it was read."""


class Page(msgspec.Struct):
    """A page of such tasks."""

    docs: list[Task]


def check(page: str) -> None:
    """Decode a page and look for repeats."""
    body = page.encode()
    require_unrepeated(body, msgspec.json.decode(body, type=Page).docs, "page 1")


@pytest.mark.parametrize(
    "page",
    [
        f'{{"docs":[{TASK},{TASK}],"total":2,"limit":100,"has_more":false}}',
        f'{{"total": 2, "more": [1, {{"docs": []}}], "docs" : [ {TASK} ] }}',
        '{"docs":[]}',
        '{"docs":[{"task_id":"a","metadata":{"quote\\"":"\\u0022","b":1e400,"c":%s}}]}' % ("9" * 5_000),
    ],
)
def test_pages_without_repeats_pass(page: str) -> None:
    """However they are spaced and escaped; keys within open parts are kept as text."""
    check(page)


@pytest.mark.parametrize(
    ("page", "path"),
    [
        ('{"docs":[{"task_id":"a"},{"task_id":"b","status":"pending","status":"completed"}]}', "docs[1].status"),
        ('{"docs":[{"task_id":"a","params":{},"params":{"x":1}}]}', "docs[0].params"),
        ('{"docs":[{"task_id":"a","audits":[{},{"comments":null,"comments":"c"}]}]}', "docs[0].audits[1].comments"),
        ('{"docs":[{"task_id":"a","tags":["x"],"tags":["y"]}],"total":1}', "docs[0].tags"),
        ('{"docs":[{"task_id":"a"}],"docs":[{"task_id":"b"}]}', "docs"),
        ('{"has_more":true,"docs":[{"task_id":"a"}],"has_more":false}', "has_more"),
        ('{"docs":[{"task_id":"a","instruction":"\\u0022","status":"b","st\\u0061tus":"c"}]}', "docs[0].status"),
    ],
)
def test_a_repeated_key_is_named(page: str, path: str) -> None:
    """With the place in the page; also one that is written in another way."""
    with pytest.raises(ReplyError, match=r"page 1 holds an object with the key .* twice") as caught:
        check(page)
    assert caught.value.path == path


values = st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
names = st.sampled_from(["status", "type", "instruction", "tags", "params", "metadata", "response", "unique_id"])


@given(st.lists(st.tuples(names, values), max_size=8))
def test_exactly_the_pages_with_a_repeat_are_refused(pairs: list[tuple[str, object]]) -> None:
    """Whatever the values are, where the page can be read in one go."""
    members = ['"task_id":"a"', *(f'"{name}":{msgspec.json.encode(value).decode()}' for name, value in pairs)]
    body = f'{{"docs":[{{{",".join(members)}}}]}}'.encode()
    try:
        docs = msgspec.json.decode(body, type=Page).docs
    except msgspec.ValidationError:
        return  # it would be read key by key, which is looked at below
    keys = [name for name, _ in pairs]
    if len(set(keys)) == len(keys):
        require_unrepeated(body, docs, "page")
    else:
        with pytest.raises(ReplyError):
            require_unrepeated(body, docs, "page")


@given(st.lists(st.tuples(st.text(max_size=3), values), max_size=6))
def test_objects_read_key_by_key_are_looked_at_alike(pairs: list[tuple[str, object]]) -> None:
    """By the quotes of what was kept."""
    encode = msgspec.json.encode
    text = b"{%s}" % b",".join(encode(name) + b":" + encode(value) for name, value in pairs)
    keys = msgspec.json.decode(text, type=dict[str, Raw])
    if len(keys) == len(pairs):
        require_unrepeated_keys(text, keys, "page", "docs[0]")
    else:
        with pytest.raises(ReplyError, match="twice"):
            require_unrepeated_keys(text, keys, "page", "docs[0]")
