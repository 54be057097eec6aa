"""`submit(upload_files=True)`: files of this machine are uploaded, each once, and rows are known by their content."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pandas as pd
import pytest
from service import post, tasks_of

import refonte_frames as rf
from refonte_frames.transport.calls import Call

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: dict[str, Any] = {
    "type": "imageannotation",
    "project": "kittens",
    "columns": {"attachment": "image"},
    "params": {"geometries": {"box": {"objects_to_annotate": ["kitten"]}}},
    "progress": False,
}


@pytest.fixture
def images(client: rf.Client, tmp_path: Path) -> list[Path]:
    """Make a project, and three files of different content."""
    post(client, "projects", body={"type": "imageannotation", "name": "kittens"})
    paths = [tmp_path / f"{at}.jpg" for at in range(3)]
    for at, path in enumerate(paths):
        path.write_bytes(b"kitten %d" % at)
    return paths


def submit(frame: Any, client: rf.Client, **more: Any) -> pd.DataFrame:
    """Submit with the options that the tests share."""
    return rf.submit(frame, **{**OPTIONS, "client": client, "upload_files": True, **more})


def files_of(client: rf.Client) -> dict[str, str]:
    """List the uploaded files: address to hash."""
    page = msgspec.json.decode(client.send(Call.get("files", query=[("projects", "kittens")])).body)
    assert not page["has_more"]
    return {doc["attachment_url"]: doc["metadata"]["sha256"] for doc in page["docs"]}


def test_paths_of_all_forms_become_addresses_and_the_receipt_keeps_the_paths(
    client: rf.Client, images: list[Path]
) -> None:
    """A text, a Path and a file URL; an address stays as it is."""
    cells = [str(images[0]), images[1], images[2].as_uri(), "https://e.org/3.jpg"]
    frame = pd.DataFrame({"image": cells})
    receipt = submit(frame, client)
    assert receipt["outcome"].tolist() == ["created"] * 4
    assert receipt["image"].tolist() == cells
    sent = [task["params"]["attachment"] for task in tasks_of(client)]
    assert sorted(sent) == sorted([*files_of(client), "https://e.org/3.jpg"])
    assert len(files_of(client)) == 3


def test_lists_of_attachments_are_uploaded_too(client: rf.Client, images: list[Path]) -> None:
    """In their order; a file that stands in several rows is uploaded once."""
    frame = pd.DataFrame({"images": [[str(images[0]), "https://e.org/x.jpg"], [str(images[1]), str(images[0])]]})
    params = {"attachment_type": "image", "choices": ["left", "right"]}
    options = {"type": "comparison", "columns": {"attachments": "images"}, "params": params, "project": None}
    receipt = submit(frame, client, **options)
    assert receipt["outcome"].tolist() == ["created"] * 2
    first, second = (task["params"]["attachments"] for task in tasks_of(client))
    assert first[1] == "https://e.org/x.jpg"
    assert first[0] == second[1] != second[0]


def test_a_row_is_known_by_the_content_of_its_file(client: rf.Client, images: list[Path], tmp_path: Path) -> None:
    """The same bytes under another name are the same row; other bytes under the same name are another."""
    first = submit(pd.DataFrame({"image": [str(images[0])]}), client)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(images[0].read_bytes())
    again = submit(pd.DataFrame({"image": [str(copy)]}), client, journal=tmp_path / "other.journal")
    assert again[["outcome", "task_id"]].to_numpy().tolist() == [["existing", first["task_id"].iloc[0]]]
    images[0].write_bytes(b"another kitten")
    other = submit(pd.DataFrame({"image": [str(images[0])]}), client)
    assert other["unique_id"].iloc[0] != first["unique_id"].iloc[0]
    assert len(tasks_of(client)) == len(files_of(client)) == 2


def test_a_plan_reads_the_files_and_sends_nothing(client: rf.Client, images: list[Path]) -> None:
    """Its ids are those of the submission, before and after."""
    frame = pd.DataFrame({"image": list(map(str, images))})
    options = {**OPTIONS, "client": client, "upload_files": True}
    planned = rf.plan(frame, **options)
    assert not files_of(client)
    receipt = submit(frame, client)
    assert planned["unique_id"].tolist() == receipt["unique_id"].tolist()
    assert rf.plan(frame, **options)["action"].tolist() == ["have"] * 3


def test_a_file_that_is_not_there_fails_its_row_only(client: rf.Client, images: list[Path], tmp_path: Path) -> None:
    """The others are sent."""
    frame = pd.DataFrame({"image": [str(images[0]), str(tmp_path / "none.jpg"), str(tmp_path)]})
    frame.loc[2, "image"] = f"{tmp_path}/"
    receipt = submit(frame, client)
    assert receipt["outcome"].tolist() == ["created", "failed", "failed"]
    assert receipt["error_code"].tolist() == [None, "no_such_file", "no_file"]
    assert "none.jpg" in receipt["error_message"].iloc[1]


def test_a_file_that_is_gone_leaves_its_row_the_task(client: rf.Client, images: list[Path]) -> None:
    """The journal knows what lay there, whoever asks; a file that it never saw still fails its row."""
    frame = pd.DataFrame({"image": list(map(str, images))})
    first = submit(frame, client, limit=2)
    for image in images:
        image.unlink()
    options = {**OPTIONS, "client": client, "upload_files": True}
    assert rf.plan(frame, **options)["action"].tolist() == ["have", "have", "create"]
    receipt = submit(frame, client)
    assert receipt["outcome"].tolist() == ["created"] * 3
    assert receipt["task_id"].tolist()[:2] == first["task_id"].tolist()[:2]
    assert sorted(task["params"]["attachment"] for task in tasks_of(client)) == sorted(files_of(client))
    never = pd.DataFrame({"image": [f"{images[0]}.jpg"]})
    assert submit(never, client)["error_code"].tolist() == ["no_such_file"]


def test_without_the_option_a_path_is_an_error_that_names_it(client: rf.Client, images: list[Path]) -> None:
    """And `rf.files.upload`; nothing is uploaded."""
    receipt = submit(pd.DataFrame({"image": [str(images[0])]}), client, upload_files=False)
    assert receipt["error_code"].tolist() == ["local_file"]
    assert "upload_files=True" in receipt["error_message"].iloc[0]
    assert "rf.files.upload" in receipt["error_message"].iloc[0]
    assert not files_of(client)


def test_rows_in_pieces_are_told_to_upload_first(client: rf.Client, images: list[Path]) -> None:
    """Nothing is read."""
    with pytest.raises(rf.InputError, match=r"upload their files first with rf\.files\.upload"):
        submit([pd.DataFrame({"image": [str(images[0])]})], client)


@pytest.mark.parametrize("path", ["/files/upload", "/task/*"])
def test_answers_lost_on_the_way_double_neither_file_nor_task(
    sandbox: rf.Sandbox, client: rf.Client, images: list[Path], path: str
) -> None:
    """A 409 on the file's reference brings its address; the next call tells the same."""
    sandbox.faults.add("drop", method="POST", path=path, side="after", every=2, times=2)
    frame = pd.DataFrame({"image": list(map(str, images))})
    submit(frame, client)
    receipt = submit(frame, client)
    assert receipt["outcome"].tolist() == ["created"] * 3
    assert len(tasks_of(client)) == len(files_of(client)) == 3


PROGRAM = """
import sys
import pandas as pd
import refonte_frames as rf

receipt = rf.submit(
    pd.DataFrame({"image": [f"{sys.argv[1]}/{at}.png" for at in range(60)]}), type="imageannotation", project="kittens",
    columns={"attachment": "image"}, params={"geometries": {"box": {"objects_to_annotate": ["kitten"]}}},
    upload_files=True, progress=False)
assert set(receipt["outcome"]) == {"created"}, receipt
"""


@pytest.mark.parametrize(("what", "kills"), [("files", [10, 40]), ("tasks", [10, 40])])
def test_a_kill_in_the_middle_doubles_no_file_and_no_task(
    client: rf.Client, key: str, images: list[Path], tmp_path: Path, what: str, kills: list[int]
) -> None:
    """Killed while files go out, and while tasks do; the same line again ends with one of each."""
    assert images
    for at in range(60):
        (tmp_path / f"{at}.png").write_bytes(b"puppy %d" % at)
    environment = os.environ | {"REFONTE_API_KEY": key, "REFONTE_BASE_URL": client.base_url}
    environment["REFONTE_STATE_DIR"] = str(tmp_path)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    for at_least in kills:
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(files_of(client) if what == "files" else tasks_of(client)) < at_least:
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    addresses = files_of(client)
    assert len(addresses) == len(set(addresses.values())) == 60
    assert sorted(task["params"]["attachment"] for task in tasks_of(client)) == sorted(addresses)
