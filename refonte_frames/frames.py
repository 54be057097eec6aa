"""What counts as a frame: pandas as it is, everything that speaks Arrow through Arrow. Pure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from refonte_frames.errors import InputError

__all__ = ["as_pandas"]


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
    if hasattr(frame, "__arrow_c_stream__") and not isinstance(frame, pd.Series):
        import pyarrow as pa  # noqa: PLC0415 - a third of a second that frames of pandas need not pay

        table = pa.table(frame)
        # polars sends text as views, which pandas 2.2 cannot take rows from.
        plain = pa.schema(
            [field.with_type(pa.string()) if "view" in str(field.type) else field for field in table.schema]
        )
        converted: pd.DataFrame = table.cast(plain).to_pandas(types_mapper=pd.ArrowDtype)
        return converted
    if isinstance(frame, pd.Series):
        raise InputError(f"A Series is no frame; use series.to_frame({frame.name or 'attachment'!r}).")
    raise InputError(
        f"A {type(frame).__name__} is no frame. A pandas or polars DataFrame, a pyarrow Table, or anything with "
        "__arrow_c_stream__ is; pd.DataFrame(…) makes one of lists and dicts."
    )
