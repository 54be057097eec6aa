"""Opens the files of an exported folder wherever they lie, while later runs move them aside; reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import pyarrow as pa
import pyarrow.fs as pafs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["OLD", "RUN", "find", "moving_files"]

#: Files of a run under way, and for an instant those that it replaces.
RUN: Final = "_run"
#: Files that were replaced, by generation.
OLD: Final = "_old"


def find(root: Path, name: str) -> Path | None:
    """Find a file by its name, such as ``tasks/part-000001-00000.parquet``, also when a later run has retired it."""
    return next((path for path in _places(root, name) if path.exists()), None)


def moving_files(root: Path) -> pafs.FileSystem:
    """Return a file system whose files, named as for `find`, are looked for each time one is opened.

    A path that was looked up before would be gone when a run that ends meanwhile moves the file aside.
    """
    return pafs.PyFileSystem(_MovingFiles(root))


def _places(root: Path, name: str) -> Iterator[Path]:
    """Give the places in the order in which a file moves through them, so that it cannot slip by."""
    yield root / name
    yield root / RUN / name
    yield from sorted((root / OLD).glob(f"*/{name}"))


class _MovingFiles(pafs.FileSystemHandler):  # type: ignore[misc] # pyarrow has no types
    """What pyarrow asks of a file system; everything that would change it is refused."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._local = pafs.LocalFileSystem()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _MovingFiles) and other._root == self._root

    def __hash__(self) -> int:
        return hash(self._root)

    def get_type_name(self) -> str:
        return "refonte_frames export"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[Any]:
        return [self._info(path) for path in paths]

    def open_input_file(self, path: str) -> pa.NativeFile:
        return self._opened(path)

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self._opened(path)

    def _info(self, name: str) -> Any:
        path = find(self._root, name)
        if path is None:
            return pafs.FileInfo(name, pafs.FileType.NotFound)
        return pafs.FileInfo(name, pafs.FileType.File)

    def _opened(self, name: str) -> pa.NativeFile:
        for path in _places(self._root, name):
            try:
                return self._local.open_input_file(str(path))
            except FileNotFoundError:
                continue
        raise FileNotFoundError(name)

    def _refused(self, *_: Any) -> NoReturn:
        raise OSError("an exported folder is read here, not written")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refused
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refused
