"""Submits the rows of a data frame: each task of Spark is a submission of its own, and the driver sums them up."""

from __future__ import annotations

import itertools
import tempfile
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyspark import TaskContext
from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage

from refonte_frames.errors import RefonteError
from refonte_frames.journal import Journal
from refonte_frames.progress import say
from refonte_frames.resources import batches
from refonte_frames.shares import client_here, share_of
from refonte_frames.spark.receipts import JOB_COLUMN, Receipts
from refonte_frames.upload.identity import RECIPE_VERSION
from refonte_frames.upload.mapping import MappingRequest, resolve_mapping
from refonte_frames.upload.preflight import inherited_parameters
from refonte_frames.upload.receipts import OUTCOMES, listed
from refonte_frames.upload.submit import submit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from refonte_frames.client import Client
    from refonte_frames.spark.options import WriteOptions
    from refonte_frames.upload.report import SubmitReport

__all__ = ["SubmitWriter", "writer_of"]

#: Arguments of `submit` that are no part of the mapping.
_OF_THE_RUN: Final = ("chunk_rows", "resubmit")


@dataclass(frozen=True)
class Sent(WriterCommitMessage):
    """What one attempt at a partition came to.

    Attributes
    ----------
    partition : int
        Which partition.
    file : str or None
        Its receipts, among those that are staged; None where there was no row.
    counts, requests : dict of str to int
        Rows by outcome, and answers by status.
    changed : int
        Rows that have a task and differ from what was sent.
    """

    partition: int
    file: str | None
    counts: dict[str, int] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)
    changed: int = 0


def writer_of(options: WriteOptions, columns: Sequence[str], *, replaces: bool) -> SubmitWriter:
    """Check what can be checked before any row is sent, on the driver, and make the writer of one job.

    Raises
    ------
    InputError
        For a mapping that does not fit the columns, or an unknown or finished project or batch; nothing was sent.
    """
    arguments = {name: value for name, value in options.arguments.items() if name not in _OF_THE_RUN}
    mapping = resolve_mapping([name for name in columns if name != JOB_COLUMN], MappingRequest(**arguments))
    client = client_here(options.base_url, key_fingerprint=None, max_workers=options.max_workers)
    inherited_parameters(client, mapping)
    run_id = uuid.uuid4().hex
    receipts = Receipts(options.path, run_id[:12])
    receipts.begin()
    return SubmitWriter(
        replace(options, base_url=client.base_url),
        receipts,
        key_fingerprint=client.key_fingerprint,
        run_id=run_id,
        replaces=replaces,
    )


class SubmitWriter(DataSourceArrowWriter):
    """Submits partitions on executors; a partition that Spark repeats finds the tasks that it made before.

    Ids come from the rows alone, so that no row gets two tasks, whatever is repeated, killed or started twice. Within
    a job the Idempotency-Keys are the same for each attempt, too.
    """

    def __init__(
        self, options: WriteOptions, receipts: Receipts, *, key_fingerprint: str, run_id: str, replaces: bool
    ) -> None:
        self._options = options
        self._receipts = receipts
        self._key_fingerprint = key_fingerprint
        self._run_id = run_id
        self._replaces = replaces

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """Submit one partition; runs on an executor."""
        context = TaskContext.get()
        partition, attempt = (context.partitionId(), context.taskAttemptId()) if context else (0, 0)
        rows = map(_without_job, iterator)
        first = next((batch for batch in rows if batch.num_rows), None)
        if first is None:
            return Sent(partition, None)
        file = f"p{partition:05}-a{attempt}.parquet"
        with tempfile.TemporaryDirectory(prefix="refonte-spark-") as folder:
            report = self._submitted(itertools.chain([first], rows), Path(folder) / "rows.journal", partition, file)
        return Sent(partition, file, report.counts, report.requests_by_status, report.changed)

    def commit(self, messages: list[WriterCommitMessage | None]) -> None:
        """Put the receipts in place and sum up; runs on the driver when all partitions are through."""
        sent = [message for message in messages if isinstance(message, Sent)]
        counts = {outcome: _sum(message.counts for message in sent)[outcome] for outcome in OUTCOMES}
        files = sorted(message.file for message in sent if message.file)
        summary = {
            "run_id": self._run_id,
            "rows": sum(counts.values()),
            "counts": counts,
            "changed": sum(message.changed for message in sent),
            "requests_by_status": dict(_sum(message.requests for message in sent)),
            "files": files,
        }
        self._receipts.publish(files, summary, replaces=self._replaces)
        line = f"refonte_frames: {sum(counts.values()):,} rows: {listed(counts)}. Receipts: {self._options.path}"
        if self._options.finalize:
            line += self._finalized(has_all=counts["created"] + counts["existing"] == sum(counts.values()))
        say(line)

    def abort(self, messages: list[WriterCommitMessage | None]) -> None:
        """Leave what is staged for whoever looks for the reason; the tasks that were made are found by the next job."""
        through = sum(isinstance(message, Sent) for message in messages)
        say(
            f"refonte_frames: the job was given up when {through} of {len(messages)} partitions were through. Write "
            f"the same rows again to go on: none is doubled. Receipts so far: {self._receipts.staged()}"
        )

    def _submitted(self, rows: Iterator[pa.RecordBatch], path: Path, partition: int, file: str) -> SubmitReport:
        client = self._client()
        # All attempts of a job ask under the same keys.
        Journal(
            path,
            host=client.host,
            key_fingerprint=client.key_fingerprint,
            recipe=RECIPE_VERSION,
            run_id=self._run_id,
        ).close()
        try:
            report: SubmitReport = submit(rows, **self._options.arguments, journal=path, progress=False, client=client)
        except RefonteError as error:
            if error.receipt is not None:
                self._receipts.stage(file, error.receipt.receipt_path)
            error.message = (
                f"partition {partition}: {error.message} Receipts of this attempt: {self._receipts.staged()}"
            )
            error.args = (error.message,)
            raise
        self._receipts.stage(file, report.receipt_path)
        return report

    def _client(self) -> Client:
        options = self._options
        share = share_of(options.requests_per_sec, options.at_once, options.at_once or 1)
        return client_here(
            options.base_url,
            key_fingerprint=self._key_fingerprint,
            requests_per_sec=share,
            max_workers=options.max_workers,
        )

    def _finalized(self, *, has_all: bool) -> str:
        """Finalize the batch where every row has its task; else a batch that is closed would lack rows for ever."""
        batch = str(self._options.arguments["batch"])
        if not has_all:
            return f" The batch {batch!r} was not finalized: rows of it have no task."
        batches.finalize(batch, client=client_here(self._options.base_url, key_fingerprint=self._key_fingerprint))
        return f" The batch {batch!r} is finalized."


def _of_partition(error: RefonteError, partition: int, more: str = "") -> RefonteError:
    """Begin the first line of an error with the partition: whoever reads it looks at one process of many."""
    error.message = f"partition {partition}: {error.message}{more}"
    error.args = (error.message,)
    return error


def _without_job(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave the column out that readers of receipts see: rows of a receipt may be submitted again."""
    return batch.select([name for name in batch.schema.names if name != JOB_COLUMN])


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total
