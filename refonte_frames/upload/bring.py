"""Files of this machine among the attachments: found, uploaded, or only read for a plan, known by content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pandas as pd

from refonte_frames.cells import CellError
from refonte_frames.errors import InputError, RefonteError
from refonte_frames.frames import comes_in_pieces
from refonte_frames.resources import files
from refonte_frames.resources.creations import Refused
from refonte_frames.resources.file_rows import local_file
from refonte_frames.upload.payloads import Brought
from refonte_frames.upload.preflight import project_of
from refonte_frames.upload.receipts import unsent_receipt

if TYPE_CHECKING:
    from refonte_frames.client import Client
    from refonte_frames.upload.mapping import RowMapping
    from refonte_frames.upload.payloads import PayloadBuilder

__all__ = ["FileStep", "bring_files", "read_files", "refuse_pieces"]


class FileStep(Protocol):
    """What is done with the files of this machine before rows are built."""

    def __call__(
        self,
        rows: pd.DataFrame,
        builder: PayloadBuilder,
        mapping: RowMapping,
        *,
        chunk_rows: int,
        progress: bool,
        client: Client,
    ) -> None:
        """Have the builder know the files."""


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
    rows: pd.DataFrame, builder: PayloadBuilder, mapping: RowMapping, *, chunk_rows: int, progress: bool, client: Client
) -> None:
    """Upload the files that the rows name, each once, and have the builder use their addresses.

    `rf.files.upload` keeps a journal of its own, so that a kill in the middle doubles no file.

    Raises
    ------
    RefonteError
        What stopped the uploads, with the ``.receipt`` of the rows: none of them was sent.
    """
    names = builder.local_files(chunk_rows)
    if not names:
        return
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
    builder.bring(brought)


def read_files(
    rows: pd.DataFrame,  # noqa: ARG001 - the same arguments as of bring_files
    builder: PayloadBuilder,
    mapping: RowMapping,  # noqa: ARG001
    *,
    chunk_rows: int,
    progress: bool,  # noqa: ARG001
    client: Client,  # noqa: ARG001
) -> None:
    """Read the files that the rows name, since their ids hang on the content, and send nothing."""
    builder.bring({name: _read(name) for name in builder.local_files(chunk_rows)})


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
    return str(Path(name).expanduser())
