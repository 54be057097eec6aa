"""The errors: one tree, every one of them whole after a journey between processes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from refonte_frames import errors

PLACE: dict[str, Any] = {"status_code": 409, "error": "taken", "method": "POST", "path": "/task/comparison"}
EXAMPLES = [
    errors.InputError("no"),
    errors.RowErrors("no", [(3, "code", "why")]),
    errors.NoReplyError("no", was_sent=True),
    errors.BadRequest("no", **PLACE),
    errors.DuplicateUniqueId("no", unique_id="u", task_id="t", **PLACE),
    errors.TooManyRequests("no", retry_after_secs=3.0, **PLACE),
    errors.ReplyError("no", path="docs[3]"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_and_copying(error: errors.RefonteError) -> None:
    """With its type, its text and its fields."""
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error) == again.message
        assert vars(again) == vars(error)


def test_every_error_is_in_the_tree_and_in_its_picture() -> None:
    """All but Ctrl-C's and the warning are RefonteErrors, and the docstring of the module shows each."""
    picture = errors.__doc__ or ""
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.RefonteError | KeyboardInterrupt | UserWarning)
        assert name in picture
