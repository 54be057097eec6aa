"""Streams of Arrow batches as callers are given them; where the batches come from is not known here. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["stream_of"]


def stream_of(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.RecordBatchReader:
    """Make a stream; without any batch it has one of no rows, since polars reads no stream that has none.

    Examples
    --------
    >>> [batch.num_rows for batch in stream_of(pa.schema({"n": pa.int64()}), [])]
    [0]
    """
    return pa.RecordBatchReader.from_batches(schema, _one_at_least(schema, batches))


def _one_at_least(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    is_empty = True
    for batch in batches:
        is_empty = False
        yield batch
    if is_empty:
        yield pa.RecordBatch.from_pylist([], schema)
