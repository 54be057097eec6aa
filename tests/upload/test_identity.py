"""When two rows are the same task, and when they are not."""

from __future__ import annotations

import base64
import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refonte_frames.upload.identity import (
    Canon,
    auto_unique_id,
    canonical,
    canonical_bytes,
    id_tails,
    idempotency_key,
    is_auto_id,
    unsigned,
)

TYPE = "imageannotation"


def digest(fields: dict[str, Any], constants: dict[str, Any] | None = None, task_type: str = TYPE) -> bytes:
    """Hash a body."""
    return Canon(constants or {}).digests(task_type, fields)[0]


@pytest.mark.parametrize(
    ("signed", "plain"),
    [
        ("https://b.s3.example.org/a.jpg?X-Amz-Date=1&X-Amz-Signature=2", "https://b.s3.example.org/a.jpg"),
        ("https://b.example.org/a?x=1&X-Goog-Signature=2&y=", "https://b.example.org/a?x=1&y="),
        ("https://d.example.org/a?Policy=p&Signature=s&Key-Pair-Id=k", "https://d.example.org/a"),
        ("https://b.example.org/a?AWSAccessKeyId=1&Expires=2&Signature=3", "https://b.example.org/a"),
        ("https://x.example.org/a?sv=1&se=2&sr=b&sp=r&sig=zzz", "https://x.example.org/a"),
        ("https://x.example.org/a?sv=1&se=2", "https://x.example.org/a?sv=1&se=2"),
        ("https://x.example.org/a#part", "https://x.example.org/a"),
        ("https://x.example.org/a?q=%20b", "https://x.example.org/a?q=%20b"),
        ("https://x.example.org/a?policy=home", "https://x.example.org/a?policy=home"),
        ("no url? at all#1", "no url? at all#1"),
        ("see https://t.co/abc #cats", "see https://t.co/abc #cats"),
        ("https://t.co/abc is what I mean #cats", "https://t.co/abc is what I mean #cats"),
    ],
)
def test_signatures_of_urls_do_not_count(signed: str, plain: str) -> None:
    """A URL that is signed anew every day names the same file; other parameters stay."""
    assert unsigned(signed) == plain
    assert digest({"attachment": signed}) == digest({"attachment": plain})


@pytest.mark.parametrize(
    "name", ["metadata", "tags", "priority", "callback_url", "clear_unique_id_on_error", "unique_id"]
)
def test_what_does_not_change_the_labeling_does_not_change_the_id(name: str) -> None:
    """Metadata, tags, priority and callbacks may be mended without making a new task."""
    assert digest({"attachment": "a", name: "x"}) == digest({"attachment": "a"})


@pytest.mark.parametrize("name", ["instruction", "project", "batch", "geometries", "attachment", "anything"])
def test_what_changes_the_labeling_changes_the_id(name: str) -> None:
    """Type, project, batch, instruction and parameters are what is hashed."""
    assert digest({name: "x"}) != digest({name: "y"})
    assert digest({name: "x"}) != digest({name: "x"}, task_type="categorization")


def test_it_makes_no_difference_whether_a_value_comes_from_a_column_or_is_constant() -> None:
    """The id is of the merged body."""
    assert digest({"a": 1, "b": [2.0]}) == digest({"a": 1}, {"b": [2]}) == digest({}, {"b": [2], "a": 1.0})


def test_the_recipe_does_not_change_by_accident() -> None:
    """Ids made by version 1 are these, in every release: a change would make every old row new."""
    fields = {"attachment": "https://example.org/1.jpg", "geometries": {"box": {"min_height": 5.0}}}
    made = auto_unique_id(digest(fields, {"project": "p"}), task_type=TYPE, project="p", batch=None)
    assert made == "p/imageannotation/prfb6vf5eppy3bamllramm7x5h"


def test_texts_that_mention_a_url_are_texts() -> None:
    """Two of them that differ behind a # are two."""
    first, second = "So nice https://t.co/abc #cats", "So nice https://t.co/abc #dogs"
    assert digest({"attachment": first}) != digest({"attachment": second})


def test_all_that_is_sent_has_a_hash_of_its_own() -> None:
    """It changes with the metadata, and not with the way a number is written."""

    def sent(fields: dict[str, Any]) -> bytes:
        return Canon({}).digests(TYPE, fields)[1]

    assert sent({"metadata": {"n": 5}}) == sent({"metadata": {"n": 5.0}})
    assert sent({"metadata": {"n": 5}}) != sent({"metadata": {"n": 6}})
    assert sent({"tags": ["a"]}) != sent({"priority": 10})


def test_unicode_forms_are_one() -> None:
    """The same text in composed and decomposed form is the same text, in keys too."""
    composed, apart = unicodedata.normalize("NFC", "Straße é"), unicodedata.normalize("NFD", "Straße é")
    assert composed != apart
    assert digest({"text": composed, "o": {composed: 1}}) == digest({"text": apart, "o": {apart: 1}})


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=5), st.randoms())
def test_the_order_of_keys_makes_no_difference(fields: dict[str, Any], random: Any) -> None:
    """Bodies are objects, not sequences."""
    items = list(fields.items())
    random.shuffle(items)
    assert digest(dict(items)) == digest(fields)


def test_ids_of_ours_are_known_again() -> None:
    """An id made here is told from one of the caller's, numbered or not."""
    made = auto_unique_id(b"0" * 32, task_type=TYPE, project=None, batch="b/1")
    assert made.startswith("b/1/imageannotation/")
    assert is_auto_id(made)
    assert is_auto_id(made + "#2")
    assert not is_auto_id("scene/imageannotation/17")
    assert not is_auto_id("gaydambqgaydambqgaydambqga")
    assert not is_auto_id("p/no_type/gaydambqgaydambqgaydambqga")


def test_the_key_depends_on_all_that_makes_a_sending() -> None:
    """Another run, row, body or generation has another key; the same has the same."""
    sent, other = b"0" * 16, b"1" * 16
    keys = {
        idempotency_key("run", "row", sent, 0),
        idempotency_key("other", "row", sent, 0),
        idempotency_key("run", "other", sent, 0),
        idempotency_key("run", "row", other, 0),
        idempotency_key("run", "row", sent, 1),
    }
    assert len(keys) == 5
    assert idempotency_key("run", "row", sent, 0) in keys
    assert all(len(key) == 40 for key in keys)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=5))
def test_tails_are_base32(digests: list[bytes]) -> None:
    """The first 26 characters of RFC 4648's form, in lower case, many at once as one by one."""
    expected = [base64.b32encode(digest).decode().lower()[:26] for digest in digests]
    assert id_tails(digests) == expected


texts = st.text() | st.sampled_from(["https://a.org/x?Signature=1#top", "https://a.org/x", "e\u0301?", "1.0", "#1"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**53), 2**53).map(float)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(values)
def test_what_is_spared_the_walk_would_come_out_of_it_unchanged(value: Any) -> None:
    """The short cut to canonical bytes gives the bytes of the long way."""
    assert canonical_bytes(value) == msgspec.json.encode(canonical(value), order="sorted")
