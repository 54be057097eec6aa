"""Files from frames: each once at the service, each row with its address or a reason; over HTTP against a sandbox."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import refonte_frames as rf
from refonte_frames.api import MAX_FILE_BYTES
from refonte_frames.journal import Entry, Journal
from refonte_frames.resources.assets import AssetFinder
from refonte_frames.transport.pacing import Stopped

if TYPE_CHECKING:
    from refonte_frames.client import Client


@pytest.fixture
def project(client: Client) -> str:
    """Make a project that files are for."""
    rf.projects.create("kittens", type="imageannotation", client=client)
    return "kittens"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder of one's own, with journals beside it."""
    monkeypatch.setenv("REFONTE_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "files").mkdir()
    monkeypatch.chdir(tmp_path / "files")
    return tmp_path / "files"


def write(folder: Path, count: int) -> list[str]:
    """Write so many small files with different content."""
    names = [f"{at:04}.png" for at in range(count)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    return names


def upload(files: Any, client: Client, tmp: Path, **options: Any) -> pd.DataFrame:
    """Upload with a journal beside the folder."""
    journal = options.pop("journal", tmp.parent / "x.journal")
    return rf.files.upload(files, client=client, progress=False, journal=journal, **options)


def test_a_file_gets_an_address_and_is_served_as_it_is(client: Client, project: str, folder: Path) -> None:
    """Name, type, size, project, and our reference and hash in its metadata."""
    (folder / 'kätzchen "1".PNG').write_bytes(b"\x89PNG\r\n--x")
    (row,) = upload('kätzchen "1".PNG', client, folder, project=project).to_dict("records")
    digest = hashlib.sha256(b"\x89PNG\r\n--x").hexdigest()
    assert (row["outcome"], row["sha256"], row["bytes"], row["mime_type"]) == ("created", digest, 9, "image/png")
    assert row["reference_id"] == f"sha256-{digest}"
    (served,) = rf.files.list(project, client=client).to_dict("records")
    assert served["attachment_url"] == row["attachment_url"]
    assert (served["display_name"], served["mime_type"], served["bytes"]) == ('kätzchen "1".PNG', "image/png", 9)
    assert served["reference_id"] == row["reference_id"]
    assert served["metadata_json"] == f'{{"reference_id": "sha256-{digest}", "sha256": "{digest}"}}'
    assert list(served["project_names"]) == [project]


def test_rows_keep_their_order_index_and_columns(client: Client, project: str, folder: Path) -> None:
    """Behind them come the results; columns of these names make way, the caller's frame stays as it is."""
    names = write(folder, 3)
    frame = pd.DataFrame({"file": names, "camera": [1, 2, 3], "outcome": "old"}, index=[7, 7, 5])
    before = frame.copy()
    done = upload(frame, client, folder, project=project, path="file")
    assert done.columns.tolist()[:4] == ["file", "camera", "attachment_url", "outcome"]
    assert done.index.tolist() == [7, 7, 5]
    assert done["outcome"].tolist() == ["created"] * 3
    assert done["sha256"].tolist() == [hashlib.sha256(name.encode()).hexdigest() for name in names]
    pd.testing.assert_frame_equal(frame, before)


def test_uploads_in_threads_tell_their_own_requests(client: Client, project: str, folder: Path) -> None:
    """However many share a client: a look at the project, and one request a file."""
    names = write(folder, 40)

    def uploaded(at: int) -> dict[str, int]:
        own = names[at * 20 : at * 20 + 20]
        done = upload(own, client, folder, project=project, journal=folder / f"{at}.journal")
        return dict(done.attrs["refonte"]["requests_by_status"])

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(uploaded, range(2))) == [{"200": 21}] * 2


@pytest.mark.parametrize(
    "made",
    [
        lambda names: pd.Series(names, name="x"),
        lambda names: pl.DataFrame({"path": names}),
        tuple,
        lambda n: map(Path, n),
    ],
)
def test_whatever_names_files_is_taken(client: Client, project: str, folder: Path, made: Any) -> None:
    """A Series, a polars frame, a tuple, an iterator of paths."""
    done = upload(made(write(folder, 2)), client, folder, project=project)
    assert done["outcome"].tolist() == ["created", "created"]
    assert done["path"].map(str).tolist() == ["0000.png", "0001.png"]


def test_no_files_are_no_rows_with_all_columns(client: Client, folder: Path) -> None:
    """Nothing is asked."""
    done = upload([], client, folder)
    assert (len(done), done["bytes"].dtype.name) == (0, "int64[pyarrow]")
    assert done.attrs["refonte"]["requests_by_status"] == {}


def test_equal_bytes_are_one_file(client: Client, project: str, folder: Path) -> None:
    """Under two names and in three rows: one upload, three addresses."""
    (folder / "a.png").write_bytes(b"same")
    (folder / "b.png").write_bytes(b"same")
    done = upload(["a.png", "b.png", "a.png"], client, folder, project=project)
    assert len(set(done["attachment_url"])) == 1
    assert done["outcome"].tolist() == ["created"] * 3
    assert len(rf.files.list(project, client=client)) == 1


def test_the_second_run_asks_for_one_file_and_sends_none(client: Client, project: str, folder: Path) -> None:
    """The journal knows the rest; a new file among them is uploaded."""
    first = upload(write(folder, 5), client, folder, project=project)
    (folder / "new.png").write_bytes(b"new")
    second = upload([*write(folder, 5), "new.png"], client, folder, project=project)
    assert second["attachment_url"].tolist()[:5] == first["attachment_url"].tolist()
    assert second["outcome"].tolist() == ["created"] * 6
    assert second.attrs["refonte"]["requests_by_status"] == {"200": 3}


def test_what_another_journal_uploaded_is_existing(client: Client, project: str, folder: Path) -> None:
    """The 409 is settled by listing, and the address is the same."""
    first = upload(write(folder, 3), client, folder, project=project)
    second = upload(write(folder, 3), client, folder, project=project, journal=folder.parent / "other.journal")
    assert second["outcome"].tolist() == ["existing"] * 3
    assert second["attachment_url"].tolist() == first["attachment_url"].tolist()


def test_many_files_that_are_there_are_found_on_the_projects_list(client: Client, project: str, folder: Path) -> None:
    """The first ten are asked for alone, the others come with a page of the list."""
    upload(write(folder, 40), client, folder, project=project)
    second = upload(write(folder, 40), client, folder, project=project, journal=folder.parent / "other.journal")
    assert second["outcome"].tolist() == ["existing"] * 40
    assert second.attrs["refonte"]["requests_by_status"] == {"200": 12, "409": 40}


def test_a_second_project_gets_the_same_file(client: Client, project: str, folder: Path) -> None:
    """It is one file of both."""
    rf.projects.create("puppies", type="imageannotation", client=client)
    one = upload(write(folder, 1), client, folder, project=project)
    two = upload(write(folder, 1), client, folder, project="puppies")
    assert one["attachment_url"].tolist() == two["attachment_url"].tolist()
    (served,) = rf.files.list(["puppies"], client=client)["project_names"]
    assert list(served) == ["kittens", "puppies"]


def test_without_a_project_a_taken_reference_says_how_to_get_the_address(client: Client, folder: Path) -> None:
    """Files of no project cannot be listed; naming one brings the address."""
    rf.projects.create("kittens", type="imageannotation", client=client)
    first = upload(write(folder, 1), client, folder)
    other = folder.parent / "other.journal"
    (row,) = upload(write(folder, 1), client, folder, journal=other).to_dict("records")
    assert (row["outcome"], row["error_code"]) == ("failed", "reference_id_taken")
    assert "name a project" in row["error_message"]
    done = upload(write(folder, 1), client, folder, journal=other, project="kittens")
    assert done["attachment_url"].tolist() == first["attachment_url"].tolist()


def test_metadata_and_names_come_from_columns(client: Client, project: str, folder: Path) -> None:
    """Null cells are left out; equal bytes with other metadata are another file."""
    (folder / "a.png").write_bytes(b"same")
    frame = pd.DataFrame({"path": "a.png", "frame": [1, 2, None], "title": ["One", "Two", None]})
    done = upload(frame, client, folder, project=project, metadata={"frame_no": "frame"}, display_name="title")
    assert done["attachment_url"].nunique() == 3
    served = rf.files.list(project, metadata={"frame_no": 2}, client=client)
    assert served["display_name"].tolist() == ["Two"]
    assert served["attachment_url"].tolist() == done["attachment_url"].tolist()[1:2]
    names = rf.files.list(project, client=client)["display_name"]
    assert sorted(names) == ["One", "Two", "a.png"]


def test_rows_that_cannot_be_sent_say_why_and_the_others_are_sent(client: Client, project: str, folder: Path) -> None:
    """Missing, a folder, empty, no path, a URL, too large, a bad reference."""
    with (folder / "large.bin").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    write(folder, 1)
    cells = ["none.png", ".", "", None, 5, "https://example.org/a.png", "large.bin", "0000.png", "a\0b", "file:///a"]
    done = upload(cells, client, folder, project=project)
    assert done["error_code"].tolist() == [
        "no_such_file", "no_file", "null_path", "null_path", "bad_path", "bad_path", "too_large", None, "no_such_file",
        "bad_path",
    ]  # fmt: skip
    assert done["outcome"].tolist()[7] == "created"
    assert done.attrs["refonte"]["requests_by_status"] == {"200": 2}
    assert "83,886,081 bytes" in done["error_message"][6]


def test_own_references_are_used_and_checked(client: Client, project: str, folder: Path) -> None:
    """One of them in two rows must mean the same bytes; an empty one is an error."""
    names = write(folder, 3)
    frame = pd.DataFrame({"path": [names[0], names[1], names[2], names[0]], "id": ["x", "x", None, "x"]})
    done = upload(frame, client, folder, project=project, reference_id="id")
    assert done["error_code"].tolist() == [None, "duplicate_reference_id", "null_reference_id", None]
    assert done["reference_id"].tolist() == ["x", "x", None, "x"]
    assert rf.files.list(project, client=client)["reference_id"].tolist() == ["x"]


@pytest.mark.parametrize("journal", ["x.journal", "other.journal"])
def test_an_own_reference_of_another_file_is_taken(client: Client, project: str, folder: Path, journal: str) -> None:
    """Known from the journal, or from the service."""
    names = write(folder, 2)
    upload(pd.DataFrame({"path": names[:1], "id": "x"}), client, folder, project=project, reference_id="id")
    again = pd.DataFrame({"path": names[1:], "id": "x"})
    (row,) = upload(again, client, folder, project=project, reference_id="id", journal=folder.parent / journal).to_dict(
        "records"
    )
    assert (row["outcome"], row["error_code"], row["attachment_url"]) == ("failed", "reference_id_taken", None)


def test_our_keys_of_the_metadata_are_not_the_callers(client: Client, folder: Path) -> None:
    """Nothing is sent."""
    frame = pd.DataFrame({"path": write(folder, 1), "sha256": "x"})
    with pytest.raises(rf.InputError, match="'sha256' is a key of our own"):
        upload(frame, client, folder, metadata=["sha256"])
    with pytest.raises(rf.InputError, match=r"write metadata=\['camera'\]"):
        upload(frame, client, folder, metadata="camera")
    assert client.requests_by_status() == {}


def test_a_project_that_is_not_there_is_an_error_before_the_first_file(client: Client, folder: Path) -> None:
    """Whether the files are there or not."""
    with pytest.raises(rf.InputError, match="There is no project 'nope'"):
        upload(write(folder, 1), client, folder, project="nope")
    assert client.requests_by_status() == {"404": 1}


def test_a_lost_answer_is_found_by_listing(client: Client, project: str, folder: Path) -> None:
    """A journal whose last words are an intent: the file is there, and its row is created."""
    (first,) = upload(write(folder, 1), client, folder, project=project).to_dict("records")
    digest = bytes.fromhex(first["sha256"])
    crashed = folder.parent / "crashed.journal"
    with Journal(crashed, host=client.host, key_fingerprint=client.key_fingerprint, purpose="files") as book:
        book.write([Entry(f"{project}/{first['reference_id']}", "sending", 0, digest[:16], 0.0)])
    before = client.requests_by_status()["200"]
    (row,) = upload(write(folder, 1), client, folder, project=project, journal=crashed).to_dict("records")
    assert (row["outcome"], row["attachment_url"]) == ("created", first["attachment_url"])
    # The project, and the list: nothing was sent again.
    assert client.requests_by_status() == {"200": before + 2}


def test_a_journal_of_a_sandbox_that_is_gone_is_refused(client: Client, project: str, folder: Path) -> None:
    """Its addresses lead nowhere."""
    (first,) = upload(write(folder, 1), client, folder).to_dict("records")
    gone = folder.parent / "gone.journal"
    with Journal(gone, host=client.host, key_fingerprint=client.key_fingerprint, purpose="files") as book:
        digest = bytes.fromhex(first["sha256"])
        entry = Entry(f"{project}/{first['reference_id']}", "created", 0, digest[:16], 0.0, task_id="refontedata://x/y")
        book.write([entry])
    with pytest.raises(rf.JournalError, match="account or sandbox that is gone") as caught:
        upload(write(folder, 1), client, folder, project=project, journal=gone)
    assert caught.value.receipt["outcome"].tolist() == ["unsent"]


def test_a_refused_key_stops_with_a_receipt(client: Client, folder: Path) -> None:
    """All rows are unsent, and the next run with a good key sends them."""
    stranger = rf.Client(api_key="nobody_knows_me", base_url=client.base_url)
    names = write(folder, 3)
    with pytest.raises(rf.Unauthorized, match="3 of 3 rows are unsent") as caught:
        upload(names, stranger, folder)
    assert caught.value.receipt["outcome"].tolist() == ["unsent"] * 3
    stranger.close()


def test_twenty_equal_refusals_stop_the_run(sandbox: rf.Sandbox, key: str, folder: Path) -> None:
    """The next thousand files would fare the same; what was not sent is unsent."""
    sandbox.faults.add("status", method="POST", path="/files/upload", status=400, times=1000)
    with sandbox.client(key) as client, pytest.raises(rf.RefonteError, match="20 equal refusals in a row") as caught:
        upload(write(folder, 120), client, folder)
    sandbox.faults.clear()
    outcomes = caught.value.receipt["outcome"].value_counts()
    assert outcomes["failed"] >= 20
    assert outcomes["unsent"] > 0
    assert outcomes.sum() == 120


def test_a_service_that_is_not_there_stops_with_a_receipt(folder: Path) -> None:
    """Nothing is lost: the journal has every row as unsent."""
    client = rf.Client(api_key="live_0123456789", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(rf.NoReplyError) as caught:
        upload(write(folder, 2), client, folder)
    assert caught.value.receipt["outcome"].tolist() == ["unsent"] * 2


def test_the_users_own_folder_may_be_written_short(
    client: Client, project: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a shell; the row keeps what was given."""
    monkeypatch.setenv("HOME", str(folder))
    write(folder, 1)
    (row,) = upload("~/0000.png", client, folder, project=project).to_dict("records")
    assert (row["path"], row["outcome"]) == ("~/0000.png", "created")


def test_an_empty_file_is_a_file(client: Client, project: str, folder: Path) -> None:
    """The service decides what it is worth."""
    (folder / "empty.txt").touch()
    (row,) = upload("empty.txt", client, folder, project=project).to_dict("records")
    assert (row["outcome"], row["bytes"], row["mime_type"]) == ("created", 0, "text/plain")


def test_urls_are_imported_once_each(client: Client, project: str, folder: Path) -> None:
    """With the type of their names; a second run and another journal find the same files."""
    frame = pd.DataFrame({"url": [f"https://example.org/{at}.jpg?x=1" for at in range(3)], "n": range(3)})
    options: dict[str, Any] = {"project": project, "metadata": ["n"], "client": client, "progress": False}
    first = rf.files.import_urls(frame, journal=folder / "a.journal", **options)
    again = rf.files.import_urls(frame, journal=folder / "a.journal", **options)
    other = rf.files.import_urls(frame, journal=folder / "b.journal", **options)
    assert [each["outcome"].unique().tolist() for each in (first, again, other)] == [
        ["created"],
        ["created"],
        ["existing"],
    ]
    assert first["attachment_url"].tolist() == again["attachment_url"].tolist() == other["attachment_url"].tolist()
    assert first["mime_type"].tolist() == ["image/jpeg"] * 3
    assert first[["sha256", "bytes"]].isna().all(axis=None)
    assert len(rf.files.list(project, client=client)) == 3


def test_what_is_no_url_is_not_imported(client: Client, folder: Path) -> None:
    """Each row says so."""
    urls = ["a.jpg", None, 5, "file:///a.jpg", "ftp://x.org/a.jpg", "refontedata://a/b", "https:///a.jpg", "http://?a"]
    done = rf.files.import_urls(urls, client=client, journal=folder / "a.journal", progress=False)
    assert done["error_code"].tolist() == ["bad_url", "null_url", *["bad_url"] * 6]
    assert "these begin with https://, http://, s3:// or gs:// and a host" in done["error_message"][4]
    assert client.requests_by_status() == {}


def test_whatever_the_service_is_documented_to_fetch_is_imported(client: Client, folder: Path) -> None:
    """Schemes in any case."""
    urls = ["http://x.org/a.jpg", "HTTPS://x.org/a.jpg", "s3://bucket/a.jpg", "gs://bucket/a.jpg"]
    done = rf.files.import_urls(urls, client=client, journal=folder / "a.journal", progress=False)
    assert done["outcome"].tolist() == ["created"] * 4


@pytest.mark.parametrize("files", [{"path": ["0000.png"]}, b"0000.png", 5, None])
def test_what_names_no_files_is_told_in_a_sentence(client: Client, folder: Path, files: Any) -> None:
    """A dict would be read as the names of its keys, bytes as numbers."""
    write(folder, 1)
    with pytest.raises(rf.InputError, match="is no frame"):
        upload(files, client, folder)


def test_metadata_columns_are_given_in_any_list(client: Client, project: str, folder: Path) -> None:
    """Such as the columns of a frame; a number is none."""
    frame = pd.DataFrame({"path": write(folder, 1), "camera": "left"})
    done = upload(frame, client, folder, project=project, metadata=frame.columns[1:])
    assert done["outcome"].tolist() == ["created"]
    assert len(rf.files.list(project, metadata={"camera": "left"}, client=client)) == 1
    with pytest.raises(rf.InputError, match="a list of columns or a dict of key to column, not 5"):
        upload(frame, client, folder, metadata=5)


def test_a_look_through_a_long_list_ends_when_the_run_is_stopped(client: Client, project: str) -> None:
    """Ctrl-C does not wait for a thousand pages."""
    finder, stop = AssetFinder(client, project), threading.Event()
    for at in range(10):
        assert finder.find(str(at), stop=stop) is None
    asked = client.requests_by_status()
    stop.set()
    with pytest.raises(Stopped):
        finder.find("10", stop=stop)
    assert client.requests_by_status() == asked


def test_a_list_of_files_is_read_to_its_last_page(client: Client, project: str, folder: Path) -> None:
    """250 files are three pages; no file comes twice."""
    urls = [f"https://example.org/{at}.jpg" for at in range(250)]
    rf.files.import_urls(urls, project=project, client=client, journal=folder / "a.journal", progress=False)
    listed = rf.files.list(project, client=client)
    assert (len(listed), listed["attachment_url"].nunique()) == (250, 250)
    assert listed["extra_json"].isna().all()


def test_a_list_without_files_has_its_columns(client: Client, project: str) -> None:
    """With their types."""
    listed = rf.files.list(project, client=client)
    assert listed.empty
    assert str(listed["created_at"].dtype) == "timestamp[us, tz=UTC][pyarrow]"


def test_ctrl_c_settles_what_is_under_way_and_the_next_run_goes_on(client: Client, project: str, folder: Path) -> None:
    """The receipt comes with the exception; nothing is uploaded twice."""
    names = write(folder, 60)

    def interrupt_when_some_are_there() -> None:
        while rf.files.list(project, client=client).empty:
            pass
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt_when_some_are_there)
    thread.start()
    with pytest.raises(rf.SubmitInterrupted) as caught:
        upload(names, client, folder, project=project)
    thread.join()
    counts = caught.value.counts
    assert counts["created"] + counts["unsent"] == 60
    assert counts["created"] == len(rf.files.list(project, client=client))
    done = upload(names, client, folder, project=project)
    assert done["outcome"].tolist() == ["created"] * 60
    assert len(rf.files.list(project, client=client)) == 60


def test_odd_cells_are_their_rows_errors(client: Client, tmp_path: Path) -> None:
    """Arrays, and names of files that are no Unicode text; the others are uploaded."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    broken = os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.jpg")
    frame = pd.DataFrame({"path": pd.Series([np.array(["a", "b"]), ["a"], broken, tmp_path / "a.jpg"], dtype=object)})
    done = rf.files.upload(frame, progress=False, client=client)
    assert done["error_code"].tolist() == ["bad_path", "bad_path", "bad_path", None]
    assert done["outcome"].tolist() == ["failed"] * 3 + ["created"]
    urls = [np.array(["a", "b"]), "https://example.org/\ud83d"]
    made = rf.files.import_urls(pd.DataFrame({"url": pd.Series(urls, dtype=object)}), progress=False, client=client)
    assert made["error_code"].tolist() == ["bad_url", "bad_url"]


@pytest.mark.parametrize("kind", [pl.Series, pa.array, lambda paths: pa.chunked_array([paths])])
def test_paths_come_from_columns_of_other_libraries(kind: Any, client: Client, tmp_path: Path) -> None:
    """As from a list."""
    (tmp_path / "a.jpg").write_bytes(b"a")
    done = rf.files.upload(kind([str(tmp_path / "a.jpg")]), progress=False, client=client)
    assert done["outcome"].tolist() == ["created"]


def test_of_two_files_of_one_reference_the_first_row_has_it(client: Client, tmp_path: Path) -> None:
    """Also where the second one is read much faster."""
    (tmp_path / "slow.bin").write_bytes(bytes(40 * 2**20))
    (tmp_path / "quick.bin").write_bytes(b"quick")
    frame = pd.DataFrame({"path": [str(tmp_path / "slow.bin"), str(tmp_path / "quick.bin")], "name": "mine"})
    done = rf.files.upload(frame, reference_id="name", progress=False, client=client)
    assert done["error_code"].tolist() == [None, "duplicate_reference_id"]
