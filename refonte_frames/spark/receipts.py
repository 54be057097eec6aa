"""Where receipts of a Spark job lie: staged by each attempt, put in place at the end, all of a job's at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from refonte_frames.errors import InputError, JournalError
from refonte_frames.export.places import store_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from refonte_frames.export.places import Store

__all__ = ["JOB_COLUMN", "Receipts"]

_STAGING: Final = "_staging"
#: Readers of the folder see the name of each job in a column of this name.
JOB_COLUMN: Final = "spark_job"
_PREFIX: Final = f"{JOB_COLUMN}="


@dataclass(frozen=True, slots=True)
class Receipts:
    """The folder that a job's receipts go to, and the job's part of it.

    ::

        path/_staging/<job>/p00003-a17.parquet       of one attempt at a partition, before the job has ended
        path/spark_job=<job>/p00003-a17.parquet      of the attempts that counted: put in place together
        path/spark_job=<job>/_summary.json           written last

    Readers of Parquet pass over names that begin with an underscore.
    """

    path: str
    job: str

    def begin(self) -> None:
        """Write to the folder before any row is sent, since afterwards nobody could say what became of the rows.

        Raises
        ------
        InputError
            It cannot be written to.
        """
        try:
            self._store().write(f"{_STAGING}/{self.job}/_begun", b"")
        except (OSError, ValueError) as error:
            raise InputError(f"Receipts cannot be written to {self.path!r}: {error}. Nothing was sent.") from None

    def stage(self, name: str, parts: Path) -> None:
        """Join the parts that a submission left into one file of this attempt.

        Raises
        ------
        JournalError
            The folder cannot be written to from here; the rows are safe.
        """
        files = sorted(parts.glob("*.parquet")) if parts.exists() else []
        if not files:
            return
        try:
            self._join(name, files)
        except OSError as error:
            raise JournalError(
                f"The rows were sent, and their receipts cannot be written to {self.path!r}: {error}. Write the same "
                "rows again once it can be, and none is doubled."
            ) from None

    def _join(self, name: str, files: Sequence[Path]) -> None:
        with (
            self._store().create(f"{_STAGING}/{self.job}/{name}") as out,
            pq.ParquetWriter(out, pq.read_schema(files[0]), compression="zstd") as writer,
        ):
            for file in files:
                for batch in pq.ParquetFile(file).iter_batches():
                    writer.write_batch(batch)

    def publish(self, names: Collection[str], summary: Mapping[str, Any], *, replaces: bool) -> None:
        """Put the files of the attempts that counted in place and then say so; those of earlier jobs go if replaced."""
        store = self._store()
        mine = f"{_STAGING}/{self.job}"
        for name in store.files(mine):
            if name.rpartition("/")[2] not in names:
                store.remove(name)
        if names:
            store.move(mine, f"{_PREFIX}{self.job}")
        store.write(f"{_PREFIX}{self.job}/_summary.json", json.dumps(summary, indent=2).encode())
        if replaces:
            for name in store.files():
                if name.startswith(_PREFIX) and not name.startswith(f"{_PREFIX}{self.job}/"):
                    store.remove(name)

    def staged(self) -> str:
        """Name the folder of a job that has not ended."""
        return f"{self.path.rstrip('/')}/{_STAGING}/{self.job}"

    def _store(self) -> Store:
        if "://" not in self.path and not self.path.startswith("file:"):
            return store_of(self.path)
        try:
            filesystem, path = pafs.FileSystem.from_uri(self.path)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"pyarrow cannot reach the folder {self.path!r}: {error}. A path that all executors share, or a URI "
                "such as s3://bucket/receipts, is what is needed."
            ) from None
        return store_of(path, filesystem)
