"""The door to the files of an exported folder: on this machine's disk, or on any file system of pyarrow or fsspec.

What a disk has and an object store has not decides what holds where:

===================  ========================================  =====================================================
after a kill at any  on a disk                                 on an object store (S3, GCS, Azure, fsspec)
instant
===================  ========================================  =====================================================
the manifest         is there in full, by rename               is there in full: objects appear when they are closed
`open_export`        reads the state of a finished run          the same: the manifest is written last
plain readers of     the same: the folders of the tables are   may see rows of two states together while a run puts
``root/tasks``       exchanged in one step (Linux, macOS)      its files into place: seconds, or until the next run
two writers          one is refused, always (flock)            one is refused by a lease that its holder renews; two
                                                               that begin in the same second may both go ahead, and
                                                               the one that lost the lease fails before its manifest
===================  ========================================  =====================================================
"""
# ruff: noqa: D102 - `Store` says what the methods of both do

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import threading
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

import msgspec
import pyarrow as pa
import pyarrow.fs as pafs

from refonte_frames.errors import ExportError, InputError
from refonte_frames.export.exchange import exchange, hold
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["LOCK", "OLD", "RUN", "TMP", "Disk", "Objects", "Store", "moving_files", "store_of"]

#: Files of a run under way, and for an instant those that it replaces.
RUN: Final = "_run"
#: Files that were replaced, by generation.
OLD: Final = "_old"
LOCK: Final = "_lock"
TMP: Final = "_tmp-"

#: A lease that was not renewed for so long is nobody's.
_LEASE_SECS: Final = 300
_RENEW_SECS: Final = 60


class Store(Protocol):
    """A folder of files, named by their path below it with slashes."""

    @property
    def shown(self) -> str:
        """What errors call the folder."""

    def read(self, name: str) -> bytes | None:
        """Return what a file holds; None if there is none."""

    def write(self, name: str, body: bytes) -> None:
        """Write a file that is there either in full or not at all."""

    def create(self, name: str) -> contextlib.AbstractContextManager[pa.NativeFile]:
        """Open a file that appears in full when the context ends well, and else not at all."""

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for reading at any place; FileNotFoundError if there is none."""

    def exists(self, name: str) -> bool:
        """Say whether there is such a file."""

    def files(self, folder: str = "") -> list[str]:
        """Name all files below a folder, sorted; none where there is no such folder."""

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""

    def move(self, folder: str, to: str) -> None:
        """Give a folder another name."""

    def adopt(self, table: str, name: str) -> None:
        """Let a file of a table be one of the next state as well."""

    def swap(self, table: str, names: Collection[str]) -> None:
        """Put the files of a table that a run made where they are read from."""

    def retire(self, table: str, names: Collection[str], to: str) -> None:
        """Move the files of a table that are no longer among its names out of the way."""

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Be the only writer."""

    def require_lock(self) -> None:
        """Raise if somebody else has taken the lock in the meantime."""


def store_of(path: str | os.PathLike[str], filesystem: Any = None) -> Store:
    """Return the door to a folder.

    Parameters
    ----------
    path : path
        The folder, as the file system names it; on this machine's disk ``~`` is the user's own folder.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Default: this machine's disk.

    Raises
    ------
    InputError
        For something that is no file system, or a URL without one.
    """
    if filesystem is None:
        if "://" in str(path):
            raise InputError(
                f"path={str(path)!r} is a URL: give the path without scheme, and filesystem=, such as "
                "pyarrow.fs.S3FileSystem() or fsspec.filesystem('gcs')."
            )
        return Disk(at_home(path))
    fs = filesystem if isinstance(filesystem, pafs.FileSystem) else _wrapped(filesystem)
    name = str(path)
    if isinstance(fs, pafs.SubTreeFileSystem) and isinstance(fs.base_fs, pafs.LocalFileSystem):
        fs, name = fs.base_fs, os.path.join(fs.base_path, name.lstrip("/"))  # noqa: PTH118 - a name, no path yet
    return Disk(Path(name)) if isinstance(fs, pafs.LocalFileSystem) else Objects(fs, name)


def _wrapped(filesystem: Any) -> pafs.FileSystem:
    """Make a file system of pyarrow of one of fsspec, which it need not import to recognise."""
    protocol = getattr(filesystem, "protocol", None)
    if protocol is None or not hasattr(filesystem, "_open"):
        raise InputError(f"filesystem={filesystem!r} is none: give one of pyarrow.fs, or of fsspec.")
    if "file" in ([protocol] if isinstance(protocol, str) else protocol):
        return pafs.LocalFileSystem()
    return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem))


class Disk:
    """A folder on this machine's disk: renames and locks of the operating system do what they promise."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def shown(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, name: str, body: bytes) -> None:
        with self.create(name) as file:
            file.write(body)

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[pa.NativeFile]:
        path = self.root / name
        tmp = path.with_name(TMP + path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Opened by Python, which tells of a full disk by its errno.
            with tmp.open("wb") as file:
                yield pa.PythonFile(file, "w")
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            tmp.unlink(missing_ok=True)
            raise
        tmp.rename(path)
        _sync(path.parent)

    def open(self, name: str) -> pa.NativeFile:
        return pa.OSFile(str(self.root / name))

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def files(self, folder: str = "") -> list[str]:
        found = (self.root / folder).rglob("*")
        return sorted(path.relative_to(self.root).as_posix() for path in found if path.is_file())

    def remove(self, name: str) -> None:
        path = self.root / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def move(self, folder: str, to: str) -> None:
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        (self.root / folder).rename(self.root / to)
        _sync((self.root / to).parent)

    def adopt(self, table: str, name: str) -> None:
        there = self.root / RUN / table / name
        there.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(self.root / table / name, there)
        except OSError:  # a file system without links: a copy serves as well
            shutil.copy2(self.root / table / name, there)

    def swap(self, table: str, names: Collection[str]) -> None:
        here = self.root / table
        if not here.exists() or {path.name for path in here.iterdir()} != set(names):
            _sync(self.root / RUN / table)
            exchange(self.root / RUN / table, here)
            _sync(self.root)

    def retire(self, table: str, names: Collection[str], to: str) -> None:
        del names
        if (self.root / RUN / table).exists():
            self.move(f"{RUN}/{table}", f"{to}/{table}")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        if self.root.exists() and not self.root.is_dir():
            raise ExportError(f"{self.root} is a file: an export needs a folder of its own.")
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / LOCK
        with path.open("a+b") as file:
            if not hold(file):
                raise ExportError(
                    f"{self.root} is being written by {_holder(self.read(LOCK))}. Wait until it has ended."
                )
            path.write_bytes(msgspec.json.encode(_myself()))
            try:
                yield
            finally:
                path.write_bytes(b"")

    def require_lock(self) -> None:
        """Hold it: the operating system sees to that."""


def _sync(folder: Path) -> None:
    """Make renames in a folder last; where folders cannot be opened, as on Windows, the system sees to it."""
    with contextlib.suppress(PermissionError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Objects:
    """A folder on an object store: every object appears in full, and nothing else happens in one step."""

    def __init__(self, fs: pafs.FileSystem, root: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._token = secrets.token_hex(8)

    @property
    def shown(self) -> str:
        return self._root

    def read(self, name: str) -> bytes | None:
        # What others wrote meanwhile is not in the listings that fsspec keeps.
        if isinstance(self._fs, pafs.PyFileSystem) and isinstance(self._fs.handler, pafs.FSSpecHandler):
            self._fs.handler.fs.invalidate_cache()
        try:
            with self.open(name) as file:
                body: bytes = file.read()
        except FileNotFoundError:
            return None
        return body

    def write(self, name: str, body: bytes) -> None:
        with self.create(name) as file:
            file.write(body)

    @contextlib.contextmanager
    def create(self, name: str) -> Iterator[pa.NativeFile]:
        # What is cut off here is named nowhere, and removed by the next run.
        with self._opened(self._path(name)) as file:
            yield file

    def open(self, name: str) -> pa.NativeFile:
        return self._fs.open_input_file(self._path(name))

    def exists(self, name: str) -> bool:
        return bool(self._fs.get_file_info(self._path(name)).type == pafs.FileType.File)

    def files(self, folder: str = "") -> list[str]:
        selector = pafs.FileSelector(self._path(folder), allow_not_found=True, recursive=True)
        found = [info.path for info in self._fs.get_file_info(selector) if info.type == pafs.FileType.File]
        prefix = self._root.lstrip("/") + "/"
        return sorted(path.lstrip("/").removeprefix(prefix) for path in found)

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.exists(name):
                self._fs.delete_file(self._path(name))
            else:
                self._fs.delete_dir(self._path(name))

    def move(self, folder: str, to: str) -> None:
        for name in self.files(folder):
            self._move_file(name, to + name.removeprefix(folder))

    def adopt(self, table: str, name: str) -> None:
        """Leave it where it is: files of two states lie side by side here, and the manifest tells them apart."""

    def swap(self, table: str, names: Collection[str]) -> None:
        for name in names:
            if not self.exists(f"{table}/{name}"):
                self._move_file(f"{RUN}/{table}/{name}", f"{table}/{name}")

    def retire(self, table: str, names: Collection[str], to: str) -> None:
        for name in self.files(table):
            if PurePosixPath(name).name not in names:
                self._move_file(name, f"{to}/{name}")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        self._require_free()
        self._renew()
        self.require_lock()
        is_over = threading.Event()
        renewer = threading.Thread(target=self._keep, args=(is_over,), daemon=True)
        renewer.start()
        try:
            yield
        finally:
            is_over.set()
            renewer.join()
            if self._noted().get("token") == self._token:
                self.remove(LOCK)

    def require_lock(self) -> None:
        noted = self._noted()
        if noted.get("token") != self._token:
            raise ExportError(
                f"{self.shown} is being written by {_holder(msgspec.json.encode(noted))}, who began in the same "
                "moment or found this process silent for too long. Wait until it has ended."
            )

    def _require_free(self) -> None:
        noted = self._noted()
        age = time.time() - noted.get("at", 0)
        if age < _LEASE_SECS and _may_live(noted):
            raise ExportError(
                f"{self.shown} is being written by {_holder(msgspec.json.encode(noted))}. Wait until it has ended; if "
                f"it was killed, its claim ends {_LEASE_SECS - age:.0f} seconds from now."
            )

    def _keep(self, is_over: threading.Event) -> None:
        while not is_over.wait(_RENEW_SECS):
            with contextlib.suppress(OSError):  # told by the run itself, should it last
                if self._noted().get("token") == self._token:
                    self._renew()

    def _renew(self) -> None:
        self.write(LOCK, msgspec.json.encode(_myself() | {"token": self._token, "at": time.time()}))

    def _noted(self) -> dict[str, Any]:
        with contextlib.suppress(msgspec.DecodeError):
            return msgspec.json.decode(self.read(LOCK) or b"{}", type=dict[str, Any])
        return {}

    def _move_file(self, name: str, to: str) -> None:
        with contextlib.suppress(FileExistsError):
            self._fs.create_dir(self._path(str(PurePosixPath(to).parent)), recursive=True)
        self._fs.move(self._path(name), self._path(to))

    def _opened(self, path: str) -> pa.NativeFile:
        try:
            return self._fs.open_output_stream(path)
        except FileNotFoundError:  # a file system with folders
            self._fs.create_dir(str(PurePosixPath(path).parent), recursive=True)
            return self._fs.open_output_stream(path)

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root


def _myself() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _may_live(noted: dict[str, Any]) -> bool:
    """Say whether the holder of a lease may still be there: a process of this machine can be asked for."""
    if noted.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(noted.get("pid", 0)), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError, OverflowError):
        return True
    return True


def _holder(body: bytes | None) -> str:
    with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
        noted: Any = msgspec.json.decode(body or b"")
        return f"process {noted['pid']} on {noted['host']}"
    return "another process"


def places(store: Store, name: str) -> Iterator[str]:
    """Give the places of a file in the order in which it moves through them, so that it cannot slip by."""
    yield name
    yield f"{RUN}/{name}"
    yield from (place for place in store.files(OLD) if place.endswith(f"/{name}"))


def open_moving(store: Store, name: str) -> pa.NativeFile:
    """Open a file that a manifest names, also when a later run has retired it in the meantime."""
    for place in places(store, name):
        with contextlib.suppress(FileNotFoundError):
            return store.open(place)
    raise FileNotFoundError(name)


def moving_files(store: Store) -> pafs.FileSystem:
    """Return a file system whose files are looked for each time one is opened.

    A path that was looked up before would be gone when a run that ends meanwhile moves the file aside.
    """
    return pafs.PyFileSystem(_MovingFiles(store))


class _MovingFiles(pafs.FileSystemHandler):  # type: ignore[misc] # pyarrow has no types
    """What pyarrow asks of a file system; everything that would change it is refused."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _MovingFiles) and other._store.shown == self._store.shown

    def __hash__(self) -> int:
        return hash(self._store.shown)

    def get_type_name(self) -> str:
        return "refonte_frames export"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[Any]:
        return [self._info(path) for path in paths]

    def open_input_file(self, path: str) -> pa.NativeFile:
        return open_moving(self._store, path)

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return open_moving(self._store, path)

    def _info(self, name: str) -> Any:
        is_there = any(self._store.exists(place) for place in places(self._store, name))
        return pafs.FileInfo(name, pafs.FileType.File if is_there else pafs.FileType.NotFound)

    def _refused(self, *_: Any) -> NoReturn:
        raise OSError("an exported folder is read here, not written")

    get_file_info_selector = create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _refused
    delete_file = move = copy_file = open_output_stream = open_append_stream = _refused
