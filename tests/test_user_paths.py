"""Paths as people write them: with a ``~``, which a shell leaves alone behind an equals sign, and Python everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import refonte_frames as rf
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Callable

#: The home of nobody: `pathlib` raises a RuntimeError for it.
NOBODYS = "~nobody-of-this-name/x"


def test_a_tilde_is_the_users_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the beginning only, and one of nobody is a name as any other."""
    monkeypatch.setenv("HOME", str(tmp_path))
    given = ["~/a", "~", "b/~", NOBODYS]
    assert list(map(at_home, given)) == [tmp_path / "a", tmp_path, Path("b/~"), Path(NOBODYS)]


@pytest.mark.parametrize(
    "use",
    [
        lambda client: rf.audit(pd.DataFrame({"task_id": []}), accepted=True, journal=NOBODYS, client=client),
        lambda client: rf.files.upload([NOBODYS], journal=NOBODYS, progress=False, client=client),
        lambda _: rf.callbacks.app(NOBODYS, auth_key="key"),
        lambda _: rf.quality.report({"tasks": pd.DataFrame({"task_id": ["a"]})}, NOBODYS),
    ],
    ids=["audits", "files", "callbacks", "report"],
)
def test_the_folder_of_nobody_is_a_folder_as_any_other(
    use: Callable[[rf.Client], Any], client: rf.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made where somebody stands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / NOBODYS).parent.mkdir()
    use(client)
    assert list((tmp_path / NOBODYS).parent.iterdir())
