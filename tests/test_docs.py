"""Every example in a docstring is run, as written, against a sandbox; every public name has one."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import refonte_frames as rf

if TYPE_CHECKING:
    from pathlib import Path

#: Loading these is their use: the first starts a server when it is run, the second belongs to pytest.
RUN_ONLY = {"refonte_frames.sandbox.__main__", "refonte_frames.sandbox.pytest_plugin"}
HAS_SPARK = find_spec("pyspark") is not None
#: Derive from classes of pyspark, which takes half a gigabyte and is not everywhere.
OF_SPARK = {f"refonte_frames.spark.{name}" for name in ("reading", "source", "streaming", "writing")}


def modules() -> list[str]:
    """Name all modules of the package."""
    found = pkgutil.walk_packages(rf.__path__, "refonte_frames.")
    left_out = RUN_ONLY if HAS_SPARK else RUN_ONLY | OF_SPARK
    return sorted({"refonte_frames"} | {module.name for module in found} - left_out)


def examples() -> list[Any]:
    """List all docstrings that hold examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in modules() for test in finder.find(import_module(name), name)]
    return [pytest.param(test, id=test.name) for test in found if test.examples]


@pytest.mark.parametrize("test", examples())
def test_the_examples_of_a_docstring_do_what_they_say(
    test: doctest.DocTest, sandbox: rf.Sandbox, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run with `rf`, `pd`, `np` and `pa` at hand, in an empty folder, in a world of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REFONTE_PROGRESS", "0")
    names = {"rf": rf, "pd": pd, "np": np, "pa": pa, "sandbox": sandbox}
    test.globs = {**test.globs, **names}
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    with sandbox.activate(key), pd.option_context("display.width", 120, "display.max_columns", 20):
        runner.run(test, out=told.append)
    assert runner.failures == 0, "".join(told)


def public() -> list[Any]:
    """List what a user can call: public functions, classes, their methods, and the functions of namespaces."""
    found: list[Any] = []
    for name in rf.__all__:
        value = getattr(rf, name)
        if value is rf.spark and not HAS_SPARK:
            continue
        if inspect.ismodule(value):
            found += [pytest.param(getattr(value, each), id=f"{name}.{each}") for each in value.__all__]
        else:
            found.append(pytest.param(value, id=name))
    return [param for param in found if callable(param.values[0])]


@pytest.mark.parametrize("thing", public())
def test_every_public_name_is_documented(thing: Any) -> None:
    """A docstring; for a function also what comes out, and an example that works and one that fails."""
    text = inspect.getdoc(thing) or ""
    assert text
    if inspect.isfunction(thing):
        assert "Examples\n" in text
        assert "Returns\n" in text or "Yields\n" in text
        assert "Raises\n" in text
        assert "Traceback" in text
