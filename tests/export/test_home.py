"""A ~ at the beginning of a path is the user's own folder, in every function that takes one, as in a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from listing import Listing, small_task
from service import TEXT

import refonte_frames as rf
from refonte_frames.frame_files import check_target, read_frame, write_frame

if TYPE_CHECKING:
    from pathlib import Path

SOME = [small_task(index) for index in range(20)][::-1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user a folder of her own, and work in another one."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def test_folders_and_files_are_found_at_home(home: Path, client: rf.Client) -> None:
    """Exports, what is made of them, downloads and journals; nothing is put into a folder named ~."""
    with Listing(SOME) as listing, rf.Client(api_key="live_demo", base_url=listing.base_url) as other:
        report = rf.export_tasks("~/dock", progress=False, client=other)
        rf.export_batches("~/batches", detailed=False, progress=False, client=other)
    assert report.path == home / "dock"
    export = rf.open_export("~/dock")
    export.tasks.to_csv("~/tasks.csv")
    export.tasks.to_excel("~/tasks.xlsx")
    rf.to_csv(export.tasks.scan(), "~/again.csv")
    rf.to_delta("~/dock", "~/lake")
    rf.to_delta("~/dock", f"file://{home}/other")
    rf.download_attachments(export, "~/files", allow_hosts=[], max_total_bytes=1, progress=False)
    frame = pd.DataFrame({"attachment": ["a"]})
    check_target(home.__class__("~/frame.csv"))
    write_frame(frame, home.__class__("~/frame.csv"))
    receipt = read_frame(home.__class__("~/frame.csv")).pipe(
        rf.submit, type="categorization", params=TEXT, journal="~/a.journal", progress=False, client=client
    )
    rf.audit(receipt.assign(accepted=True), accepted="accepted", journal="~/b", dry_run=True, client=client)
    found = {path.name for path in home.iterdir()}
    assert found >= {"dock", "batches", "tasks.csv", "tasks.xlsx", "again.csv", "lake", "other", "files", "a.journal"}
    assert not list(home.with_name("here").iterdir())


def test_paths_of_the_command_line_are_found_at_home(home: Path) -> None:
    """Also where no shell has put the folder in, as behind an equals sign."""
    with Listing(SOME) as listing:
        environment = os.environ | {"REFONTE_API_KEY": "live_demo", "REFONTE_BASE_URL": listing.base_url}
        command = [sys.executable, "-m", "refonte_frames.cli", "export", "tasks", "~/dock", "--csv=~/csv"]
        subprocess.run(command, env=environment, capture_output=True, check=True)
    assert {path.name for path in home.iterdir()} >= {"dock", "csv"}
    assert not list(home.with_name("here").iterdir())


def test_the_folder_of_a_user_that_is_not_there_is_a_name_like_any_other(home: Path) -> None:
    """As in a shell."""
    with pytest.raises(rf.ExportError, match=r"~nobody_at_all/dock holds no finished export"):
        rf.open_export("~nobody_at_all/dock")
    assert home.exists()
