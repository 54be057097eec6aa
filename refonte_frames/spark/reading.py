"""Reads a table: one partition of Spark for each portion, planned on the driver, read on executors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSourceReader, InputPartition

from refonte_frames.export import portions
from refonte_frames.shares import client_here
from refonte_frames.spark.filters import narrowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from refonte_frames.client import Client
    from refonte_frames.spark.options import ReadOptions

__all__ = ["PortionReader", "PushingReader", "partitions_of", "planning_client", "rows_of"]


class PortionPartition(InputPartition):
    """A portion in the form in which Spark hands it to an executor."""

    def __init__(self, portion: portions.Portion) -> None:
        super().__init__(portion)

    def __repr__(self) -> str:
        return f"PortionPartition({self.value})"


class PortionReader(DataSourceReader):
    """Reads the table that the options name."""

    def __init__(self, options: ReadOptions, columns: Sequence[str]) -> None:
        self._options = options
        self._columns = list(columns)

    def partitions(self) -> list[InputPartition]:
        """Ask the service how much there is and cut it; runs on the driver, once for each action of a query."""
        options = self._options
        client = planning_client(options)
        return partitions_of(portions.cut(options.table, options.filters, options.rows, client=client), options)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Read one portion; runs on an executor, again from its beginning where Spark repeats the task."""
        return rows_of(partition, self._columns)


class PushingReader(PortionReader):
    """Hands filters of the query to the service as well; Spark looks at each row once more."""

    def pushFilters(self, filters: list[Any]) -> Iterable[Any]:  # noqa: N802 - Spark's name
        """Narrow what is asked for; all filters stay Spark's own, too, since the service's may be wider."""
        self._options = replace(self._options, filters=narrowed(self._options.table, self._options.filters, filters))
        return filters


def planning_client(options: ReadOptions) -> Client:
    """Return the driver's client, which has the whole rate while nothing else is read."""
    return client_here(options.base_url, key_fingerprint=None, requests_per_sec=options.requests_per_sec)


def partitions_of(found: Sequence[portions.Portion], options: ReadOptions) -> list[InputPartition]:
    """Share the rate among portions and hand them to Spark."""
    return [PortionPartition(portion) for portion in portions.shared(found, options.requests_per_sec, options.at_once)]


def rows_of(partition: InputPartition, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read the rows of a partition; Spark makes one of its own where there is none."""
    if isinstance(partition, PortionPartition):
        yield from portions.read(partition.value, columns=columns)
