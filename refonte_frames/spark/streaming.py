"""Streams change rows: what was updated or created since the last micro-batch, by the service's clock."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pyspark.sql.datasource import DataSourceStreamReader, InputPartition

from refonte_frames.errors import ExportError, InputError
from refonte_frames.export import portions
from refonte_frames.export.columns import TASK_TABLES
from refonte_frames.export.passes import wanted_of
from refonte_frames.export.sweep import Source, plan_sweep
from refonte_frames.spark.reading import partitions_of, planning_client, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from refonte_frames.export.filters import Filters
    from refonte_frames.export.sweep import Plan
    from refonte_frames.spark.options import ReadOptions

__all__ = ["ChangeReader", "change_reader"]

_SECOND: Final = 1_000_000
#: Changes become visible a little after the time that they bear, and an export reads as much once more: younger ones
#: wait for the next micro-batch, since what a stream has passed it never sees again.
_LAG_SECS: Final = 300
#: Nothing was updated after it: a service that finds something does not look at the bound.
_FAR_FUTURE: Final = 4_102_444_800 * _SECOND
_NOT_IN_A_STREAM: Final = (
    *("unique_id", "task_ids", "created_before", "updated_before"),
    *("completed_after", "completed_before", "quality_task_ids", "labeler_emails", "detailed"),
)
#: More tasks than any service has: a plan of one window, which is made of one request.
_UNCUT: Final = 10**15


def change_reader(options: ReadOptions, columns: Sequence[str]) -> ChangeReader:
    """Check what a stream cannot do, and make the reader of one.

    Raises
    ------
    InputError
        For a table that has no changes, or a filter that would cut them off.
    """
    if options.table not in TASK_TABLES:
        raise InputError(f"There is no stream of {options.table}; read them again instead: spark.read.")
    if others := [name for name in _NOT_IN_A_STREAM if name in options.filters]:
        raise InputError(f"A stream of changes cannot be filtered by {', '.join(others)}; filter the data frame.")
    filters = wanted_of(options.filters).filters
    return ChangeReader(options, columns, replace(filters, updated_after=None), since=filters.updated_after or 0)


class ChangeReader(DataSourceStreamReader):
    """Reads micro-batches of changes.

    An offset is ``{"until": microseconds}``: all that happened until then, by the service's clock, was handed out. The
    first micro-batch brings every task as it is; each later one brings a task that changed in between once, as it is
    when it is read. The stream is thus of rows to be merged by ``task_id``, no state of its own.
    """

    def __init__(self, options: ReadOptions, columns: Sequence[str], filters: Filters, *, since: int) -> None:
        self._options = options
        self._columns = list(columns)
        self._filters = filters
        self._since = since
        self._lag_secs = _LAG_SECS if options.lag_secs is None else options.lag_secs
        self._is_probed = False
        #: Where the last micro-batch ended, for versions of Spark that do not say it.
        self._until: int | None = None

    def initialOffset(self) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Begin with everything, or after the time that the option ``updated_after`` names."""
        self._until = self._since
        return {"until": self._since}

    def latestOffset(self, *given: Any) -> dict[str, int]:  # noqa: N802 - Spark's name
        """Ask the service for its time and whether anything happened; the last offset again where nothing did.

        Spark 4.2 and newer say where the last micro-batch ended, and older versions say nothing.
        """
        self._probe()
        start = given[0]["until"] if given else self._until
        plan = self._look(self._filters)
        now = time.time() if plan.server_time is None else plan.server_time.timestamp()
        until = (int(now) - self._lag_secs) * _SECOND
        if start is not None and (until <= start or not self._happened(start, until)):
            return {"until": start}
        return {"until": until}

    def partitions(self, start: dict[str, int], end: dict[str, int]) -> Sequence[InputPartition]:
        """Cut what happened between two offsets into portions; runs on the driver."""
        after, until = start["until"], end["until"]
        self._until = until
        if after >= until:
            return []
        if not after:
            found = self._cut(replace(self._filters, created_before=until), None)
        else:
            found = self._cut(self._updated(after, until), portions.Change(after, until, "updated_at"))
            if self._some_lack_updates(after, until):
                found += self._cut(self._created(after, until), portions.Change(after, until, "created_at"))
        return partitions_of(found, self._options)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read one portion; runs on an executor."""
        return rows_of(partition, self._columns)

    def _cut(self, filters: Filters, change: portions.Change | None) -> list[portions.Portion]:
        options = self._options
        client = planning_client(options)
        return portions.cut_by_time(options.table, filters, options.rows, client=client, change=change)

    def _updated(self, after: int, until: int) -> Filters:
        return replace(self._filters, updated_after=after, updated_before=until)

    def _created(self, after: int, until: int) -> Filters:
        return replace(self._filters, created_after=max(after, self._filters.created_after or 0), created_before=until)

    def _happened(self, after: int, until: int) -> bool:
        if not after:
            return bool(self._count(replace(self._filters, created_before=until)))
        return bool(self._count(self._updated(after, until)) or self._count(self._created(after, until)))

    def _some_lack_updates(self, after: int, until: int) -> bool:
        """Tell whether tasks were created that no bound of ``updated_at`` finds, as those that nothing happened to."""
        created = self._created(after, until)
        return self._count(created) > self._count(replace(created, updated_after=after))

    def _count(self, filters: Filters) -> int:
        return self._look(filters).total or 0

    def _look(self, filters: Filters) -> Plan:
        source = Source(planning_client(self._options), filters, (self._options.table,))
        return plan_sweep(source, target=_UNCUT)

    def _probe(self) -> None:
        """See once that the service looks at ``updated_after``: else every micro-batch would be everything."""
        if self._is_probed:
            return
        if self._count(replace(self._filters, updated_after=_FAR_FUTURE)):
            raise ExportError(
                "The service does not look at updated_after, so that nobody can ask it for changes. "
                "Read the table again instead (spark.read), or keep a folder up to date with rf.export_tasks."
            )
        self._is_probed = True
