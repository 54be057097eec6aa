"""Files of this machine among the attachments: found, uploaded, or only read for a plan, known by content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pandas as pd

from refonte_frames.cells import CellError
from refonte_frames.errors import InputError, RefonteError
from refonte_frames.frames import comes_in_pieces
from refonte_frames.resources import files
from refonte_frames.resources.creations import Refused
from refonte_frames.resources.file_rows import local_file
from refonte_frames.upload.opening import open_journal
from refonte_frames.upload.payloads import Brought
from refonte_frames.upload.preflight import project_of
from refonte_frames.upload.receipts import unsent_receipt
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from refonte_frames.client import Client
    from refonte_frames.journal import Journal
    from refonte_frames.upload.mapping import RowMapping

__all__ = ["FileStep", "bring_files", "note_files", "read_files", "refuse_pieces"]

#: The error of a file that is gone.
_GONE: Final = "no_such_file"


class FileStep(Protocol):
    """What is done with the files of this machine before rows are built."""

    def __call__(
        self,
        rows: pd.DataFrame,
        names: Sequence[str],
        mapping: RowMapping,
        *,
        journal: Path,
        progress: bool,
        client: Client,
    ) -> dict[str, Brought]:
        """Tell what became of the files that the rows name, by their names."""


def refuse_pieces(source: Any, *, upload_files: bool) -> None:
    """Refuse to upload the files of rows that come piece by piece.

    Raises
    ------
    InputError
        With what to do instead.
    """
    if upload_files and comes_in_pieces(source):
        raise InputError(
            "upload_files=True takes a frame, not rows that come in pieces: upload their files first with "
            "rf.files.upload, and submit the addresses it gives."
        )


def bring_files(
    rows: pd.DataFrame, names: Sequence[str], mapping: RowMapping, *, journal: Path, progress: bool, client: Client
) -> dict[str, Brought]:
    """Upload the files that the rows name, each once, and tell their addresses.

    `rf.files.upload` keeps a journal of its own, so that a kill in the middle doubles no file.

    Raises
    ------
    RefonteError
        What stopped the uploads, with the ``.receipt`` of the rows: none of them was sent.
    """
    if not names:
        return {}
    # A frame, since a path that looks like a URL would be read as one.
    wanted = pd.DataFrame({"path": [_path_of(name) for name in names]})
    try:
        done = files.upload(wanted, project=project_of(client, mapping), progress=progress, client=client)
    except RefonteError as error:
        error.receipt = unsent_receipt(rows)
        raise
    brought = {}
    for name, line in zip(names, done.to_dict("records"), strict=True):
        if line["error_code"] is None:
            brought[name] = Brought(str(line["attachment_url"]), str(line["sha256"]))
        else:
            brought[name] = Brought(error=CellError(str(line["error_code"]), f"attachment: {line['error_message']}"))
    return brought | _remembered(client, journal, brought)


def read_files(
    rows: pd.DataFrame,  # noqa: ARG001 - the same arguments as of bring_files
    names: Sequence[str],
    mapping: RowMapping,  # noqa: ARG001
    *,
    journal: Path,
    progress: bool,  # noqa: ARG001
    client: Client,
) -> dict[str, Brought]:
    """Read the files that the rows name, since their ids hang on the content, and send nothing."""
    found = {name: _read(name) for name in names}
    return found | _remembered(client, journal, found)


def note_files(book: Journal, brought: Mapping[str, Brought]) -> None:
    """Keep in the journal what was uploaded, for the day on which the files are gone."""
    book.note_files({_place(name): (file.sha256, file.url) for name, file in brought.items() if file.error is None})


def _remembered(client: Client, journal: Path, brought: Mapping[str, Brought]) -> dict[str, Brought]:
    """Take the files that are gone for what they were when this journal's submission uploaded them."""
    gone = [name for name, file in brought.items() if file.error is not None and file.error.code == _GONE]
    if not gone or not journal.exists() or not journal.stat().st_size:
        return {}
    with open_journal(client, journal, is_read_only=True) as book:
        known = book.files(map(_place, gone))
    return {
        name: Brought(url, sha256)
        for name, (sha256, url) in ((name, known[_place(name)]) for name in gone if _place(name) in known)
    }


def _place(name: str) -> str:
    """Name a file by the whole path, wherever the program was started; links are not followed."""
    return os.path.abspath(_path_of(name))  # noqa: PTH100 - Path.absolute keeps the dots


def _read(name: str) -> Brought:
    try:
        digest = local_file(_path_of(name)).look().digest.hex()
    except Refused as refused:
        return Brought(error=CellError(refused.code, f"attachment: {refused}"))
    return Brought(f"sha256:{digest}", digest)


def _path_of(name: str) -> str:
    """Take the path out of a file URL, and the user's own folder for a ~."""
    if name.lower().startswith("file:"):
        return url2pathname(unquote(urlsplit(name).path))
    return str(at_home(name))
