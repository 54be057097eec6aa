"""What counts as a frame, and what as frames that come piece by piece: pandas as it is, others through Arrow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from refonte_frames.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["as_pandas", "can_be_read_once", "comes_in_pieces", "pieces_of"]


def as_pandas(frame: Any) -> pd.DataFrame:
    """Return a pandas frame that stands for `frame`; a pandas frame is returned itself and never written to.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, pyarrow.Table, or anything with ``__arrow_c_stream__``
        The rows. What comes through Arrow keeps its types, integers with nulls included.

    Raises
    ------
    InputError
        If it is no frame.

    Examples
    --------
    >>> as_pandas(pa.table({"n": [1, None]})).dtypes["n"]
    int64[pyarrow]
    """
    if isinstance(frame, pd.DataFrame):
        return frame
    if _speaks_arrow(frame):
        import pyarrow as pa  # noqa: PLC0415 - a third of a second that frames of pandas need not pay

        try:
            table = pa.table(frame)
        except (pa.ArrowInvalid, TypeError) as error:
            if hasattr(frame, "columns"):
                raise InputError(
                    f"A column of this {type(frame).__name__} has a type that Arrow lacks: {error}."
                ) from None
            raise InputError(f"A {type(frame).__name__} has no named columns, so it is no frame.") from None
        converted: pd.DataFrame = _without_views(table).to_pandas(types_mapper=pd.ArrowDtype)
        return converted
    if isinstance(frame, pd.Series):
        raise InputError(f"A Series is no frame; use series.to_frame({frame.name or 'attachment'!r}).")
    if hasattr(frame, "collect"):
        raise InputError(
            f"A {type(frame).__name__} is a query, no frame: use .collect(), or hand "
            ".collect_batches(maintain_order=True) to rf.submit, which takes it piece by piece."
        )
    raise InputError(
        f"A {type(frame).__name__} is no frame. A pandas or polars DataFrame, a pyarrow Table, or anything with "
        "__arrow_c_stream__ is; pd.DataFrame(…) makes one of lists and dicts."
    )


def _without_views(table: pa.Table) -> pa.Table:
    """Give texts their plain types: polars sends views, which pandas 2.2 cannot take rows from."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    plain = table.cast(pa.schema([field.with_type(_plain(field.type)) for field in table.schema]))
    texts = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) and field != before else field
        for field, before in zip(plain.schema, table.schema, strict=True)
    ]
    return plain.cast(pa.schema(texts))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Name the type without views that holds the same, also within lists, structs and categories."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return pa.string() if pa.types.is_string_view(kind) else pa.binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _plain(kind.value_type), kind.ordered)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)), kind.list_size)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(_plain(kind.value_type)))
    return kind


def comes_in_pieces(source: Any) -> bool:
    """Tell whether rows come piece by piece: an iterable of frames, or a stream of Arrow batches of unknown length.

    Examples
    --------
    >>> comes_in_pieces(iter([])), comes_in_pieces(pa.table({"n": [1]}).to_reader()), comes_in_pieces(pd.DataFrame())
    (True, True, False)
    """
    if isinstance(source, pd.DataFrame | pd.Series | str | bytes | Mapping):
        return False
    is_stream = hasattr(source, "__arrow_c_stream__")
    return isinstance(source, Iterable) and not hasattr(source, "__len__" if is_stream else "__array__")


def can_be_read_once(source: Any) -> bool:
    """Tell whether reading such pieces uses them up."""
    return hasattr(source, "__arrow_c_stream__") or iter(source) is source


def pieces_of(source: Any) -> Iterator[pd.DataFrame]:
    """Read frames piece by piece; of a stream without rows one piece comes that has its columns.

    Raises
    ------
    InputError
        If a piece is no frame; the sentence says which.
    """
    if hasattr(source, "__arrow_c_stream__"):
        import pyarrow as pa  # noqa: PLC0415 - as above

        reader = pa.RecordBatchReader.from_stream(source)
        yield as_pandas(reader.schema.empty_table())
        yield from map(as_pandas, reader)
        return
    for at, piece in enumerate(source):
        if not isinstance(piece, pd.DataFrame) and not _speaks_arrow(piece):
            raise InputError(
                f"The input is read piece by piece, and its item {at} is a {type(piece).__name__}, no frame. A frame "
                "is a pandas or polars DataFrame, a pyarrow Table or RecordBatch; pd.DataFrame(…) makes one of lists "
                "and dicts."
            )
        yield as_pandas(piece)


def _speaks_arrow(frame: Any) -> bool:
    """Tell whether `frame` hands out rows through Arrow; a Series hands out an array."""
    return hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pd.Series)
