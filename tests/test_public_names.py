"""The public names: there, lazily, and the same for people, editors and type checkers."""

from __future__ import annotations

import ast
import inspect

import pytest

import refonte_frames as rf
from refonte_frames import errors

HOMES = {**rf._HOMES, **rf._NAMESPACES}


def test_the_names_are_those_that_have_a_home_and_the_errors() -> None:
    """No name is promised that is not there, none is there unpromised."""
    assert sorted(rf.__all__) == sorted({*HOMES, *errors.__all__})
    assert dir(rf) == rf.__all__


@pytest.mark.parametrize("name", rf.__all__)
def test_every_name_can_be_had(name: str) -> None:
    """Also by `from refonte_frames import name`."""
    assert getattr(rf, name) is not None
    scope: dict[str, object] = {}
    exec(f"from refonte_frames import {name}", scope)
    assert scope[name] is getattr(rf, name)


def test_type_checkers_see_the_same_names() -> None:
    """The block under TYPE_CHECKING imports each name from where it lives."""
    tree = ast.parse(inspect.getsource(rf))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    namespaces = {name: home for name, home in rf._NAMESPACES.items() if name != "errors"}
    expected = {name: f"refonte_frames.{home}" for name, home in rf._HOMES.items()}
    expected |= {name: f"refonte_frames.{home}".rpartition(".")[0] for name, home in namespaces.items()}
    assert seen == expected


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="no attribute 'submitt'"):
        rf.submitt  # noqa: B018 - the access is the test
