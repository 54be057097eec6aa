"""The data source as Spark registers it: which reader, stream or writer answers for it; what they do is elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql.datasource import DataSource

from refonte_frames.errors import InputError
from refonte_frames.spark.options import read_options, refuse_keys, write_options
from refonte_frames.spark.reading import PortionReader, PushingReader
from refonte_frames.spark.streaming import change_reader
from refonte_frames.spark.types import columns_of, declared
from refonte_frames.spark.writing import writer_of

if TYPE_CHECKING:
    from pyspark.sql.datasource import DataSourceReader, DataSourceStreamReader, DataSourceWriter
    from pyspark.sql.types import StructType

__all__ = ["RefonteDataSource"]


class RefonteDataSource(DataSource):
    """The labeling service as a data source of Spark 4.

    Register it once in a session, ``spark.dataSource.register(RefonteDataSource)``; the driver and all executors need
    this package and the environment variable ``REFONTE_API_KEY``. A key is never an option, since options show in
    plans, in the UI and in event logs.

    Parameters
    ----------
    options : mapping of str to str
        Of a read: ``table`` (tasks, audits, annotations, batches, attempts), the filters of `rf.portions.plan`,
        ``columns``, ``rows_per_partition``, ``pushdown``, and of a stream ``lag_secs``. Of a write: ``path`` for the
        receipts, the arguments of `rf.submit` (objects as JSON), ``finalize`` and ``max_workers``. Of both:
        ``base_url``, and ``requests_per_sec`` with ``at_once``.

    Raises
    ------
    InputError, ConfigError
        For an unknown option, a key among them, or what cannot be kept where rows are spread over partitions.

    Notes
    -----
    ``spark.read`` plans windows of ``created_at`` on the driver, one partition each, with every action of a query.
    ``spark.readStream`` brings every task once, and then those that were updated or created since. ``df.write`` makes
    one task of every row, exactly once by ids made of the rows, and publishes the receipts when all partitions are
    through. The how-to "Read and submit with Spark" shows each.
    """

    def __init__(self, options: Any) -> None:
        refuse_keys(options)
        super().__init__(options)

    @classmethod
    def name(cls) -> str:
        """Return what ``format(…)`` calls it."""
        return "refonte"

    def schema(self) -> str:
        """Declare the columns of the table that the options name."""
        options = read_options(self.options)
        return declared(options.table, options.columns)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return what reads a table once."""
        options = read_options(self.options)
        if options.lag_secs is not None:
            raise InputError("lag_secs is an option of streams: spark.readStream.")
        kind = PushingReader if options.pushdown else PortionReader
        return kind(options, columns_of(options.table, schema))

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - Spark's name
        """Return what reads changes of a table in micro-batches."""
        options = read_options(self.options)
        return change_reader(options, columns_of(options.table, schema))

    def writer(self, schema: StructType, overwrite: bool) -> DataSourceWriter:  # noqa: FBT001 - Spark's signature
        """Return what submits the rows of a data frame."""
        return writer_of(write_options(self.options), schema.names, replaces=overwrite)
