"""`download_attachments`: files of tasks onto this machine; which hosts may be asked is decided elsewhere.

Nothing that a host or a task says becomes part of a path, no credentials go out, and what is half there is never
seen under a final name.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import random
import re
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from refonte_frames.client import resolve_client
from refonte_frames.errors import ExportError, InputError, NoReplyError
from refonte_frames.export.attachments import COLUMNS, Attachment, attachments_of, ending_of, has_attachments
from refonte_frames.export.columns import build
from refonte_frames.export.drift import Drift
from refonte_frames.export.exchange import hold
from refonte_frames.export.filters import filters_of
from refonte_frames.export.opened import Export
from refonte_frames.export.row_tasks import RowTasks
from refonte_frames.export.sweep import Source
from refonte_frames.export.tables import to_pandas
from refonte_frames.frames import as_pandas
from refonte_frames.progress import bar
from refonte_frames.transport import retries
from refonte_frames.transport.http import Visitor, addresses_of, proxy_for
from refonte_frames.transport.strangers import Refused, Target, is_public, target_of
from refonte_frames.user_paths import at_home

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from refonte_frames.client import Client
    from refonte_frames.transport.http import Visit

__all__ = ["download_attachments"]

_MAX_REDIRECTS: Final = 3
_MAX_TRIES: Final = 3
#: A host that asks for a longer pause is left alone.
_LONGEST_WAIT_SECS: Final = 60.0
_ENDING: Final = re.compile(r"\.[a-z0-9]{1,8}")
_NAME: Final = re.compile(r"([0-9a-f]{64})\.[a-z0-9]{1,8}")
#: More digits are no length of anything, and some are none of ASCII's.
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_TMP: Final = "_tmp-"
_LOCK: Final = "_lock"

_SCHEMA: Final = pa.schema(
    [
        ("task_id", pa.string()),
        ("attachment_index", pa.int32()),
        ("url", pa.string()),
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("content_type", pa.string()),
        ("outcome", pa.string()),
        ("error", pa.string()),
    ]
)


def download_attachments(  # noqa: PLR0913 - each bound and permission is worth a keyword
    tasks_or_export: Any,
    path: str | os.PathLike[str],
    *,
    allow_hosts: Collection[str] = (),
    content_types: Mapping[str, str] | None = None,
    max_bytes: int = 256 * 2**20,
    max_total_bytes: int = 20 * 2**30,
    timeout_secs: float = 300.0,
    max_workers: int = 8,
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Download the attachments of tasks into a folder: one file per attachment.

    Parameters
    ----------
    tasks_or_export : Export, or pandas.DataFrame, polars.DataFrame, pyarrow.Table
        Tasks as `read_tasks` returns them, an exported folder, or any frame with ``task_id`` and one of
        ``attachment_urls``, ``attachments`` and ``attachment``, of which the first that is filled counts. The tasks of
        a frame without them, such as a receipt, are read first. It is not changed.
    path : path
        The folder; it is made when it is not there.
    allow_hosts : collection of str
        Hosts, as ``name`` or ``name:port``, that may be asked by plain http, and at addresses that are not public.
    content_types : mapping of str to str, optional
        Further types to take, with the end of their files' names, such as ``{"model/gltf-binary": ".glb"}``.
    max_bytes, max_total_bytes : int
        Bounds of one file, and of what this call downloads.
    timeout_secs : float
        For one request, from the first byte to the last; a file takes more where it is tried again or redirected.
    max_workers : int
        Files under way at once.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Reads the tasks of a frame without attachments. Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        One row per attachment, in the order of the tasks: ``task_id, attachment_index, url, path, bytes, sha256,
        content_type, outcome, error``, with Arrow dtypes. Outcomes: ``downloaded``; ``present``, from an earlier call;
        ``skipped``, it is text and no address; ``refused``, by the rules below; ``failed``, the host did not give it;
        ``unsent``, the bound of this call was reached before.

    Raises
    ------
    InputError
        An option is out of range; nothing was sent.
    ColumnError
        The frame has no task ids.
    ExportError
        The folder cannot be written, or another call is writing to it.

    Notes
    -----
    URLs in tasks were written by somebody. Asked are only https URLs of hosts all of whose addresses are public, by a
    connection to the very address that was checked; up to three redirects, each checked alike. The API key and .netrc
    are not used. A proxy that HTTPS_PROXY names is asked for a tunnel to the checked address, so names have to be
    known on this machine, unless they are among `allow_hosts`; REQUESTS_CA_BUNDLE names an authority of your own, as
    for the service. Taken are images, videos, sounds, PDF, JSON and plain text by their Content-Type. A file is
    called by the SHA-256 of ``task_id/attachment_index`` and an ending from a fixed list, is written beside its place
    and renamed when it is whole: the same call again goes on with what is missing. One request per file; three tries.

    Examples
    --------
    >>> tasks = pd.DataFrame({"task_id": ["576ba74eec471ff9b0155a13"], "attachment": ["https://127.0.0.1/a.jpg"]})
    >>> rf.download_attachments(tasks, "attachments")[["outcome", "error"]]
       outcome                                              error
    0  refused  127.0.0.1 is no public address; allow_hosts=['...

    >>> rf.download_attachments(tasks, "attachments", max_bytes=0)
    Traceback (most recent call last):
    refonte_frames.errors.InputError: max_bytes is a number above 0, not 0.
    """
    most, most_in_all = _whole("max_bytes", max_bytes), _whole("max_total_bytes", max_total_bytes)
    secs, workers = _above_0("timeout_secs", timeout_secs), _whole("max_workers", max_workers)
    rules = _Rules(_hosts(allow_hosts), _endings(content_types), most, secs)
    wanted = list(_wanted(tasks_or_export, client))
    visitor = Visitor(timeout_secs=rules.timeout_secs, pool_size=workers)
    with contextlib.closing(visitor), _folder(at_home(path)) as folder:
        job = _Job(folder, rules, visitor, most_in_all)
        done = job.run(wanted, max_workers=workers, progress=progress)
    columns = [pa.array([getattr(row, name) for row in done], _SCHEMA.field(name).type) for name in _SCHEMA.names]
    return to_pandas(pa.table(columns, schema=_SCHEMA))


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a caller allows."""

    allow_hosts: frozenset[str]
    content_types: dict[str, str]
    max_bytes: int
    timeout_secs: float


@dataclass(slots=True)
class _Done:
    """What became of an attachment: a row of the result."""

    task_id: str
    attachment_index: int
    url: str
    outcome: str = "unsent"
    error: str | None = None
    path: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    content_type: str | None = None


class _Failed(Exception):
    """The host did not give it; the text says why."""


class _Full(Exception):
    """The bound of this call is reached."""


def _above_0(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise InputError(f"{name} is a number above 0, not {value!r}.")
    return float(value)


def _whole(name: str, value: Any) -> int:
    if (whole := int(_above_0(name, value))) < 1:
        raise InputError(f"{name} is a number of at least 1, not {value!r}.")
    return whole


def _whole_text(text: str) -> str:
    """Make a text that Arrow can hold of one with half a character, as a URL that was cut may have."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _hosts(allow_hosts: Collection[str]) -> frozenset[str]:
    is_list = isinstance(allow_hosts, Iterable) and not isinstance(allow_hosts, str)
    if not is_list or any(not isinstance(name, str) or "/" in name for name in allow_hosts):
        raise InputError(f"allow_hosts={allow_hosts!r}: give a list of hosts, such as ['files.example.org:8080'].")
    return frozenset(allow_hosts)


def _endings(content_types: Mapping[str, str] | None) -> dict[str, str]:
    if content_types is not None and not isinstance(content_types, Mapping):
        raise InputError(f"content_types={content_types!r}: give a mapping such as {{'model/gltf-binary': '.glb'}}.")
    given = {str(kind).lower(): ending for kind, ending in (content_types or {}).items()}
    for kind, ending in given.items():
        if not isinstance(ending, str) or not _ENDING.fullmatch(ending):
            raise InputError(f"content_types: the ending of {kind!r} looks like '.glb', not {ending!r}.")
    return given


def _wanted(tasks_or_export: Any, client: Client | None) -> Iterator[Attachment]:
    if isinstance(tasks_or_export, Export):
        names = ["task_id", "attachment_type", *COLUMNS]
        for batch in tasks_or_export.tasks.scan(columns=names):
            yield from attachments_of(to_pandas(pa.Table.from_batches([batch])))
        return
    rows = as_pandas(tasks_or_export)
    yield from attachments_of(rows if has_attachments(rows) else _read(rows, client))


def _read(rows: pd.DataFrame, client: Client | None) -> pd.DataFrame:
    """Read the tasks of a frame, with signed URLs where the service gives some."""
    source = Source(resolve_client(client), filters_of(include_attachment_url=True), ("tasks",))
    asked = RowTasks.of(rows, "task_id")
    found = asked.look_up(source, asked.distinct, lambda _: None)
    docs = [found[key] for key in asked.distinct if key in found]
    tasks = build(docs, tables=("tasks",), exported_at=datetime.now(UTC), drift=Drift())["tasks"]
    return to_pandas(pa.Table.from_batches([tasks.select(["task_id", "attachment_type", *COLUMNS])]))


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """Have the folder to oneself, and tell of a disk that is full in a sentence."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with (path / _LOCK).open("a+b") as lock:
            if not hold(lock):
                raise ExportError(f"{path} is being written by another download. Wait until it has ended.")
            yield path
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}. What was finished is kept: free some space, or mend "
            "what is wrong with the folder, and make the same call again to go on."
        ) from error


@dataclass(slots=True)
class _Job:
    """One call, in its folder."""

    folder: Path
    rules: _Rules
    visitor: Visitor
    max_total_bytes: int
    _present: dict[str, str] = field(default_factory=dict)
    _taken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, wanted: Sequence[Attachment], *, max_workers: int, progress: bool) -> list[_Done]:
        """Go through all attachments, and give what became of each, in their order."""
        for name in os.listdir(self.folder):  # noqa: PTH208 - a folder may hold millions of names, and only names count
            if name.startswith(_TMP):
                (self.folder / name).unlink()
            elif match := _NAME.fullmatch(name):
                self._present[match[1]] = name
        done: list[_Done] = []
        with bar(len(wanted), "Downloading", "files", progress=progress) as shown:
            pool = ThreadPoolExecutor(max_workers)
            try:
                for one in pool.map(self._one, wanted):
                    done.append(one)
                    shown.update()
            except BaseException:
                # Ctrl-C, or a full disk: nothing new is begun, and what is under way ends with its next bytes.
                self._stop.set()
                raise
            finally:
                pool.shutdown(cancel_futures=True)
        return done

    def _one(self, wanted: Attachment) -> _Done:
        done = _Done(_whole_text(wanted.task_id), wanted.index, _whole_text(wanted.url))
        if wanted.is_text:
            done.outcome, done.error = "skipped", "it is text, and no address"
        elif (name := self._present.get(wanted.stem)) is not None:
            self._describe(done, name)
        elif not self._stop.is_set():
            try:
                self._fetch(wanted, done)
            except Refused as reason:
                done.outcome, done.error = "refused", str(reason)
            except _Failed as reason:
                done.outcome, done.error = "failed", str(reason)
            except _Full:
                self._stop.set()
        if done.outcome == "unsent":
            done.error = f"max_total_bytes={self.max_total_bytes:,} was reached; call again to go on, or raise it"
        return done

    def _describe(self, done: _Done, name: str) -> None:
        place = self.folder / name
        with place.open("rb") as file:
            done.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        done.outcome, done.path, done.bytes = "present", str(place), place.stat().st_size

    def _fetch(self, wanted: Attachment, done: _Done) -> None:
        """Fetch one file, and try again where that can help."""
        tries = 0
        while True:
            tries += 1
            try:
                with self._answer(wanted.url) as (target, visit):
                    if visit.status == 200:
                        self._take(target, visit, wanted.stem, done)
                        return
                    pause = retries.retry_after_secs(visit.headers)
                    outcome = retries.Outcome(visit.status, retry_after_secs=pause)
                    reason = f"{target.shown} was answered with {visit.status}"
            except NoReplyError as error:
                outcome, reason = retries.Outcome(None, was_sent=error.was_sent), error.message
            self._wait(outcome, tries, reason)

    def _wait(self, outcome: retries.Outcome, tries: int, reason: str) -> None:
        """Wait for the next try, or give up.

        Raises
        ------
        _Failed
            There is no next try.
        _Full
            The call is stopped.
        """
        verdict = retries.decide(
            outcome,
            may_be_repeated=True,
            tries=tries,
            throttles=tries,
            jitter=random.random(),  # noqa: S311 - spreads retries, guards nothing
            max_tries=_MAX_TRIES,
        )
        if isinstance(verdict, retries.GiveUp) or tries >= _MAX_TRIES or verdict.secs > _LONGEST_WAIT_SECS:
            raise _Failed(reason)
        if self._stop.wait(verdict.secs):
            raise _Full

    @contextlib.contextmanager
    def _answer(self, url: str) -> Iterator[tuple[Target, Visit]]:
        """Ask for a URL and follow its redirects; each of them is a URL that somebody wrote."""
        target, via = self._checked(url, None), ""
        for _ in range(1 + _MAX_REDIRECTS):
            with self._visit(target, via) as visit:
                location = visit.headers.get("location")
                if not 300 <= visit.status < 400 or location is None:
                    yield target, visit
                    return
            via = f"redirected by {target.authority}: "
            target = self._checked(location, target, via)
        raise Refused(f"more than {_MAX_REDIRECTS} redirects")

    def _checked(self, url: str, base: Target | None, via: str = "") -> Target:
        try:
            return target_of(url, allow_hosts=self.rules.allow_hosts, base=base)
        except Refused as reason:
            raise Refused(f"{via}{reason}") from None

    def _visit(self, target: Target, via: str) -> Visit:
        addresses = addresses_of(target)
        if not addresses:
            has_proxy = proxy_for(target) is not None
            if not (has_proxy and target.is_allowed):
                hint = f" here; allow_hosts=[{target.host!r}] would leave it to the proxy" if has_proxy else ""
                raise _Failed(f"{via}nobody knows the host {target.host}{hint}")
            addresses = [target.host]
        private = None if target.is_allowed else next((text for text in addresses if not is_public(text)), None)
        if private is not None:
            where = private if private == target.host else f"{target.host} stands for {private}, which"
            raise Refused(f"{via}{where} is no public address; allow_hosts=[{target.host!r}] would allow it")
        return self.visitor.visit(target, addresses)

    def _take(self, target: Target, visit: Visit, stem: str, done: _Done) -> None:
        """Write a file beside its place, and rename it when it is whole."""
        done.content_type = visit.headers.get("content-type", "")
        ending = ending_of(done.content_type, target.path, self.rules.content_types)
        if ending is None:
            raise Refused(f"it is {done.content_type!r}; content_types={{…: '.ending'}} would take it")
        if coding := visit.headers.get("content-encoding", "identity").strip().lower().replace("identity", ""):
            raise Refused(f"it comes in the encoding {coding!r}, which was not asked for")
        length = visit.headers.get("content-length", "").strip() or "0"
        if not _LENGTH.fullmatch(length):
            raise Refused(f"its Content-Length is {length[:40]!r}: where it ends cannot be seen")
        if int(length) > self.rules.max_bytes:
            raise Refused(f"it has {int(length):,} bytes, more than max_bytes={self.rules.max_bytes:,}")
        temporary, place = self.folder / f"{_TMP}{stem}", self.folder / f"{stem}{ending}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
                done.bytes, done.sha256 = self._copy(visit, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(place)
        except BaseException:
            done.bytes = done.sha256 = None
            temporary.unlink(missing_ok=True)
            raise
        done.outcome, done.path = "downloaded", str(place)

    def _copy(self, visit: Visit, file: Any) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        for chunk in visit.chunks():
            size += len(chunk)
            if size > self.rules.max_bytes:
                raise Refused(f"it has more bytes than max_bytes={self.rules.max_bytes:,}")
            self._count(len(chunk))
            digest.update(chunk)
            file.write(chunk)
        return size, digest.hexdigest()

    def _count(self, size: int) -> None:
        with self._lock:
            self._taken += size
            if self._stop.is_set() or self._taken > self.max_total_bytes:
                raise _Full
