"""Rows that name files, and what became of the files put beside them. Sends nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa

from refonte_frames.api import URL_SCHEMES
from refonte_frames.cells import ABSENT, CellError, Column, json_column
from refonte_frames.errors import InputError
from refonte_frames.frames import as_pandas
from refonte_frames.resources.asking import is_sendable
from refonte_frames.resources.changes import column_of
from refonte_frames.resources.creations import Refused
from refonte_frames.resources.sources import LocalFile, RemoteFile, WantedFile, mime_type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from refonte_frames.resources.creations import Creations

__all__ = ["RESULT_COLUMNS", "FileColumns", "file_line", "frame_of", "local_file", "remote_file"]

RESULT_COLUMNS: Final = (
    "attachment_url",
    "outcome",
    "sha256",
    "bytes",
    "mime_type",
    "reference_id",
    "error_code",
    "error_message",
    "tries",
)
#: Ours in a file's metadata.
_RESERVED: Final = ("reference_id", "sha256", "file_url_sha256")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_FETCHED: Final = re.compile(rf"({'|'.join(URL_SCHEMES)})://[^\s/?#]\S*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileColumns:
    """What the rows say of their files besides where they are."""

    project: str | None
    names: Column | None
    references: Column | None
    metadata: Mapping[str, Column]

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        *,
        project: str | None,
        reference_id: Hashable | None,
        display_name: Hashable | None,
        metadata: Sequence[Hashable] | Mapping[str, Hashable] | None,
    ) -> FileColumns:
        """Read the columns.

        Raises
        ------
        InputError
            A column is not there, or a key of the metadata is ours.
        """
        if isinstance(metadata, str):
            raise InputError(f"metadata is a list of columns or a dict, so write metadata=[{metadata!r}].")
        if not isinstance(metadata, Iterable | None):
            raise InputError(f"metadata is a list of columns or a dict of key to column, not {metadata!r}.")
        named = () if metadata is None else metadata
        columns = named if isinstance(named, Mapping) else {str(name): name for name in named}
        taken = [key for key in columns if key in _RESERVED]
        if taken:
            raise InputError(f"{taken[0]!r} is a key of our own in a file's metadata; take another one for the column.")
        return cls(
            project,
            None if display_name is None else _column(rows, display_name, "the display names", "display_name='…'"),
            None if reference_id is None else _column(rows, reference_id, "the references", "reference_id='…'"),
            {key: _column(rows, name, f"the metadata {key!r}", "metadata=[…]") for key, name in columns.items()},
        )

    def wanted(self, at: int, source_of: Callable[[Any], LocalFile | RemoteFile], cell: Any) -> WantedFile | Refused:
        """Say what a row wants, or why it cannot be had."""
        try:
            metadata = {key: _cell(column, at, key) for key, column in self.metadata.items()}
            given = {key: value for key, value in metadata.items() if value is not None}
            return WantedFile(
                source_of(cell), self.project, self._text(self.names, at, "name"), given, self._reference(at)
            )
        except Refused as refused:
            return refused

    def _reference(self, at: int) -> str | None:
        reference_id = self._text(self.references, at, "reference_id")
        if self.references is not None and reference_id is None:
            raise Refused("null_reference_id", "the row has no reference_id; without that column it is made for you")
        return reference_id

    @staticmethod
    def _text(column: Column | None, at: int, what: str) -> str | None:
        value = None if column is None else _cell(column, at, what)
        if value is None or (isinstance(value, str) and value):
            return value
        raise Refused(f"bad_{what}", f"the {what} of a file is a text that is not empty, not {value!r}")


def _column(rows: pd.DataFrame, name: Hashable, meaning: str, option: str) -> Column:
    return json_column(column_of(rows, name, meaning, option))


def _cell(column: Column, at: int, what: str) -> Any:
    error: CellError | None = column.errors.get(at)
    if error is not None:
        raise Refused(error.code, f"{what}: {error}")
    return None if column.values[at] is ABSENT else column.values[at]


def frame_of(files: Any, column: Hashable) -> pd.DataFrame:
    """Make a frame of whatever names files."""
    if isinstance(files, str | os.PathLike):
        return pd.DataFrame({column: pd.Series([files], dtype=object)})
    if isinstance(files, pd.Series):
        return files.to_frame(column)
    is_arrow = hasattr(files, "__arrow_c_stream__") and hasattr(files, "columns")  # a Series of polars has no columns
    is_no_list = not isinstance(files, Iterable) or isinstance(files, Mapping | bytes)
    if isinstance(files, pd.DataFrame) or is_arrow or is_no_list:
        return as_pandas(files)  # which says what is a frame
    if isinstance(files, pa.Array | pa.ChunkedArray):  # whose own values wrap the texts
        return frame_of(files.to_pylist(), column)
    return pd.DataFrame({column: pd.Series(list(files), dtype=object)})


def _is_null(cell: Any) -> bool:
    return bool(pd.api.types.is_scalar(cell) and (pd.isna(cell) or cell == ""))


def local_file(cell: Any) -> LocalFile:
    """Take a cell as the path of a file that is there; raises `Refused` where it is none."""
    if _is_null(cell):
        raise Refused("null_path", "the row names no file")
    if not isinstance(cell, str | os.PathLike):
        raise Refused("bad_path", f"a path is text or a pathlib.Path, not {cell!r}")
    path = os.fspath(cell)
    if not isinstance(path, str):
        raise Refused("bad_path", f"a path is text, not {path!r}")
    if not is_sendable(path):
        raise Refused("bad_path", f"{path!r} is no Unicode text, so the file's name cannot be sent; rename it")
    if path.lower().startswith("file://"):
        raise Refused("bad_path", f"{path!r} is a URL of a file of this machine; write its path")
    if _URL.fullmatch(path):
        raise Refused("bad_path", f"{path!r} is a URL; rf.files.import_urls has it fetched")
    local = LocalFile(os.path.expanduser(path))  # noqa: PTH111 - text, as it was given
    local.check()
    return local


def remote_file(cell: Any) -> RemoteFile:
    """Take a cell as a URL; raises `Refused` where it is none."""
    if _is_null(cell):
        raise Refused("null_url", "the row has no URL")
    if not (isinstance(cell, str) and _FETCHED.fullmatch(cell) and is_sendable(cell)):
        *most, last = (f"{scheme}://" for scheme in URL_SCHEMES)
        raise Refused(
            "bad_url",
            f"{cell!r} is no URL that the service can fetch: these begin with {', '.join(most)} or {last} and a host. "
            "rf.files.upload takes files of this machine; the address of a file that the service has is an attachment",
        )
    return RemoteFile(cell)


def file_line(run: Creations, at: int) -> dict[str, Any]:
    """Say what became of a row's file, in the columns of the receipt."""
    settled, facts, wanted = run.result(at), run.facts.get(at), run.wanted[at]
    source = wanted.source if isinstance(wanted, WantedFile) else None
    name = source.path if isinstance(source, LocalFile) else source.url.partition("?")[0] if source else ""
    return {
        "attachment_url": settled.made,
        "outcome": settled.outcome,
        "sha256": facts.digest.hex() if facts is not None and isinstance(source, LocalFile) else None,
        "bytes": facts.size if facts is not None else None,
        "mime_type": mime_type_of(name) if source else None,
        "reference_id": run.own_id(at),
        "error_code": settled.error_code,
        "error_message": settled.error_message,
        "tries": settled.tries,
    }
