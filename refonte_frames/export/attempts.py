"""What users call for the attempts of labelers at quality tasks: as a frame, a stream, or Parquet files."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from refonte_frames.client import Client, resolve_client
from refonte_frames.errors import InputError, SchemaDrift
from refonte_frames.export import kinds
from refonte_frames.export.attempt_rows import AttemptDecoder, table_of, tells_outcomes
from refonte_frames.export.drift import Drift
from refonte_frames.export.keyed import replace_by_key
from refonte_frames.export.passes import View, ids_from
from refonte_frames.export.streams import stream_of
from refonte_frames.lookup import chunks_of
from refonte_frames.pages import read_pages
from refonte_frames.progress import bar
from refonte_frames.schemas import ATTEMPTS
from refonte_frames.transport.calls import Call
from refonte_frames.transport.replies import decode_json

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    import pyarrow as pa

    from refonte_frames.export.passes import Ids
    from refonte_frames.export.report import ExportReport
    from refonte_frames.export.tables import DtypeBackend

__all__ = ["AttemptsWanted", "attempts_frame", "export_attempts", "read_attempts", "scan_attempts"]

_ALL: Final = "all"
#: The columns of a frame that hold the ids: of quality tasks and attempts; of attempts, assignments and teams.
_ID_COLUMNS: Final = ("quality_task_id", "id")
_EMAIL_COLUMNS: Final = ("labeler_email", "labeler", "email")
#: Members of a team who do not label, or not yet (contract 4.1).
_NO_LABELERS: Final = ("admin", "manager", "member", "invited")


def read_attempts(
    *,
    quality_task_ids: Ids | None = None,
    labeler_emails: Ids | None = None,
    dtype_backend: DtypeBackend = "pyarrow",
    categories: Sequence[str] = (),
    progress: bool = True,
    client: Client | None = None,
) -> pd.DataFrame:
    """Read the attempts of labelers at training and evaluation tasks: one row per attempt, the latest first.

    Parameters
    ----------
    quality_task_ids : str, list or Series of str, or a frame with a column ``quality_task_id`` or ``id``, optional
        Only attempts at these quality tasks. At least one of the two has to be given; with both, both hold.
    labeler_emails : str, list or Series of str, or frame; or ``"all"``, optional
        Only attempts of these labelers; of a frame the column ``labeler_email``, ``labeler`` or ``email`` is taken.
        ``"all"`` means the labelers of the team.
    dtype_backend : {"pyarrow", "numpy_nullable"}
        As in pandas.
    categories : list of str
        Text columns that shall be pandas categories.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pandas.DataFrame
        The columns of `refonte_frames.schemas.ATTEMPTS`, also when there are no rows. ``attrs["refonte"]`` holds
        counts, and under ``not_found`` the quality tasks and labelers without any attempt.

    Raises
    ------
    InputError
        Neither quality tasks nor labelers are given, or an id is no text; nothing was sent.
    ReplyError
        There is no list of attempts in the reply.

    Warns
    -----
    SchemaDrift
        No attempt tells whether it was passed, nor a score.

    Notes
    -----
    One request per 100 attempts, and per 40 quality tasks or labelers at least; one more for ``"all"``. No document
    prints a true answer (contract 4.4), so columns are looked for under several names, and what has no column is kept
    in ``extra_json``. ``attempt_number`` is counted where the service does not say it, see ``attempt_number_source``;
    ``labeler_seq`` counts the attempts that were read.

    Examples
    --------
    >>> rf.read_attempts(quality_task_ids=["000000000000000000000000"]).columns[:3].tolist()
    ['attempt_id', 'labeler', 'quality_task_id']

    >>> rf.read_attempts()
    Traceback (most recent call last):
    refonte_frames.errors.InputError: Whose attempts? Give quality_task_ids or labeler_emails, ...
    """
    wanted = AttemptsWanted.of(quality_task_ids, labeler_emails)
    view = View(dtype_backend, categories)
    view.check("attempts")
    return attempts_frame(wanted, view, resolve_client(client), progress=progress)


def attempts_frame(wanted: AttemptsWanted, view: View, client: Client, *, progress: bool) -> pd.DataFrame:
    """Read attempts into a frame; to be called by a public function, whose caller is shown what there is to warn of."""
    reading = _Reading(client, wanted)
    with bar(None, "Reading", "attempts", progress=progress) as shown:
        table = reading.table(Drift(), shown.update)
    reading.warn(stacklevel=4)
    return view.frame(table, reading.attrs(table))


def scan_attempts(
    *,
    quality_task_ids: Ids | None = None,
    labeler_emails: Ids | None = None,
    progress: bool = True,
    client: Client | None = None,
) -> pa.RecordBatchReader:
    """Stream the attempts of labelers; they are numbered among each other, so all are read before the first comes.

    Parameters
    ----------
    quality_task_ids, labeler_emails : optional
        Which attempts, as for `read_attempts`.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    pyarrow.RecordBatchReader
        Batches of the schema `refonte_frames.schemas.ATTEMPTS`, the latest attempts first. Reading begins with the
        first batch asked for.

    Raises
    ------
    InputError
        Neither quality tasks nor labelers are given, or an id is no text; nothing was sent.

    Notes
    -----
    Cost and columns are those of `read_attempts`.

    Examples
    --------
    >>> rf.scan_attempts(labeler_emails="nobody@example.org").read_all().num_rows
    0

    >>> rf.scan_attempts(quality_task_ids=[17])
    Traceback (most recent call last):
    refonte_frames.errors.InputError: quality_task_ids holds 17: ids are texts that are not empty, ...
    """
    wanted = AttemptsWanted.of(quality_task_ids, labeler_emails)
    asker = resolve_client(client)

    def batches() -> Iterator[pa.RecordBatch]:
        with bar(None, "Reading", "attempts", progress=progress) as shown:
            reading = _Reading(asker, wanted)
            table = reading.table(Drift(), shown.update)
        reading.warn(stacklevel=4)
        yield from table.to_batches()

    return stream_of(ATTEMPTS, batches())


def export_attempts(
    path: str | os.PathLike[str],
    *,
    quality_task_ids: Ids | None = None,
    labeler_emails: Ids | None = None,
    filesystem: Any = None,
    progress: bool = True,
    client: Client | None = None,
) -> ExportReport:
    """Keep the attempts of labelers in a folder of Parquet files.

    Parameters
    ----------
    path : path
        A folder of its own: new, empty, or written by an earlier call with the same filters.
    quality_task_ids, labeler_emails : optional
        Which attempts, as for `read_attempts`.
    filesystem : pyarrow.fs.FileSystem or fsspec.AbstractFileSystem, optional
        Where the folder lies. Default: this machine's disk.
    progress : bool
        Show a bar where there is somebody to see it.
    client : Client, optional
        Default: made from the environment.

    Returns
    -------
    ExportReport
        What was read and what came of it.

    Raises
    ------
    InputError
        Neither quality tasks nor labelers are given, or an id is no text; nothing was sent.
    ExportError
        If the folder was exported with other filters, from another host, or with another key; if it holds other
        files or cannot be written; or if somebody else is writing to it.

    Warns
    -----
    SchemaDrift
        No attempt tells whether it was passed, nor a score.

    Notes
    -----
    Every call reads all attempts once more, for the requests of `read_attempts`, and puts them in place of the rows
    with the same ``attempt_id``; attempts that the service no longer lists stay. ``pd.read_parquet(path / "attempts")``
    sees the state of the last finished call.

    Examples
    --------
    >>> rf.export_attempts("attempts", labeler_emails=["nobody@example.org"]).rows
    {'attempts': 0}

    >>> rf.export_attempts("attempts", labeler_emails=["somebody@example.org"])
    Traceback (most recent call last):
    refonte_frames.errors.ExportError: attempts was exported differently: labeler_emails was ['nobody@example.org'] ...
    """
    wanted = AttemptsWanted.of(quality_task_ids, labeler_emails)
    asker = resolve_client(client).for_one_run()
    reading = _Reading(asker, wanted)

    def read(drift: Drift) -> Iterator[tuple[str, pa.Table]]:
        yield "attempts", reading.table(drift, _note_nothing)

    report = replace_by_key(
        path,
        tables=["attempts"],
        filters=wanted.as_json(),
        read=read,
        client=asker,
        filesystem=filesystem,
        progress=progress,
    )
    reading.warn(stacklevel=3)
    return report


def _note_nothing(_: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class AttemptsWanted:
    """Which attempts a caller asked for; None where all are right."""

    quality_task_ids: list[str] | None
    labeler_emails: list[str] | None
    of_team: bool = False

    @classmethod
    def of(cls, quality_task_ids: Ids | None, labeler_emails: Ids | None) -> AttemptsWanted:
        """Check the caller's filters.

        Raises
        ------
        InputError
            There are none, or an id is no text.
        """
        if quality_task_ids is None and labeler_emails is None:
            raise InputError(
                "Whose attempts? Give quality_task_ids or labeler_emails, or both; labeler_emails='all' takes the "
                "labelers of the team."
            )
        if isinstance(quality_task_ids, str) and quality_task_ids == _ALL:
            raise InputError(
                "quality_task_ids='all': the service lists no quality tasks. labeler_emails='all' takes the labelers "
                "of the team."
            )
        ids = None if quality_task_ids is None else ids_from("quality_task_ids", quality_task_ids, columns=_ID_COLUMNS)
        if isinstance(labeler_emails, str) and labeler_emails == _ALL:
            return cls(ids, None, of_team=True)
        emails = None if labeler_emails is None else ids_from("labeler_emails", labeler_emails, columns=_EMAIL_COLUMNS)
        return cls(ids, emails)

    def as_json(self) -> dict[str, Any]:
        """Return the filters that are set, as plain JSON types, under the names of the parameters."""
        emails = _ALL if self.of_team else self.labeler_emails
        found = {"quality_task_ids": self.quality_task_ids, "labeler_emails": emails}
        # In one order: which one the caller's ids have makes no difference.
        return {
            name: sorted(value) if isinstance(value, list) else value
            for name, value in found.items()
            if value is not None
        }


class _Reading:
    """Asks for attempts, and remembers what is worth knowing of the asking."""

    def __init__(self, client: Client, wanted: AttemptsWanted) -> None:
        self._client = client
        self._wanted = wanted
        self._pages = 0
        self._wire_bytes = 0
        self._drift = Drift()
        self._tells_outcomes = True
        self._has_no_team = False
        self._emails = wanted.labeler_emails

    def table(self, drift: Drift, note: Callable[[int], None]) -> pa.Table:
        """Read all attempts into a table; `note` is told of every few."""
        self._drift = drift
        if self._wanted.of_team:
            self._emails = _team(self._client)
            self._has_no_team = not self._emails
        docs = [doc for query in self._queries() for doc in self._docs(query, note)]
        self._tells_outcomes = tells_outcomes(docs)
        return table_of(docs, exported_at=datetime.now(UTC), drift=drift)

    def attrs(self, table: pa.Table) -> dict[str, Any]:
        """Return counts, and what has no attempt, as plain JSON types."""
        asked = (("quality_task_id", self._wanted.quality_task_ids), ("labeler", self._emails))
        there = {column: set(table[column].to_pylist()) for column, _ in asked}
        return {
            "attempts": table.num_rows,
            "pages": self._pages,
            "wire_bytes": self._wire_bytes,
            "drift": self._drift.as_json(),
            "not_found": [text for column, ids in asked for text in ids or () if text not in there[column]],
        }

    def warn(self, *, stacklevel: int) -> None:
        """Say aloud what makes a table of attempts worth little."""
        if self._has_no_team:
            warnings.warn(
                "labeler_emails='all': the team has no labelers. Name them, or give quality_task_ids.",
                stacklevel=stacklevel,
            )
        if not self._tells_outcomes:
            warnings.warn(
                "No attempt says whether it was passed, nor a score: both columns are null. The service may have "
                "changed its names; extra_json holds everything that was sent.",
                SchemaDrift,
                stacklevel=stacklevel,
            )

    def _queries(self) -> Iterator[list[tuple[str, str]]]:
        """Cut the filters into queries of a bearable length, which together ask for all; no ids ask for nothing."""
        for some_ids in _chunks(self._wanted.quality_task_ids):
            for some_emails in _chunks(self._emails):
                yield [
                    *(("quality_task_ids", text) for text in some_ids),
                    *(("labeler_emails", text) for text in some_emails),
                ]

    def _docs(self, query: list[tuple[str, str]], note: Callable[[int], None]) -> Iterator[dict[str, Raw]]:
        where, segments = "GET /quality/labelers", ("quality", "labelers")
        for page, wire_bytes in read_pages(self._client.send, AttemptDecoder(), query, where=where, segments=segments):
            self._pages += 1
            self._wire_bytes += wire_bytes
            note(len(page.docs))
            yield from page.docs


def _chunks(ids: list[str] | None) -> Iterator[list[str]]:
    """Cut ids into chunks; where none are asked for there is one chunk without any."""
    return iter([[]]) if ids is None else chunks_of(ids)


def _team(client: Client) -> list[str]:
    """List the labelers of the team, disabled ones too: they may have tried before (contract 4.1)."""
    members = decode_json(client.send(Call.get("teams")).body, type=list[dict[str, Raw]], where="GET /teams")
    return [email for member in members if (email := _labeler(member)) is not None]


def _labeler(member: dict[str, Raw]) -> str | None:
    role = kinds.text(member["role"]) if "role" in member else None
    is_studio = kinds.flag(member["isStudioLabeler"]) if "isStudioLabeler" in member else None
    if role in _NO_LABELERS and not (is_studio and role != "invited"):
        return None
    return kinds.text(member["email"]) if "email" in member else None
