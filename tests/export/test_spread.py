"""Open maps spread into typed columns, exactly or as the text they came in."""

from __future__ import annotations

import msgspec
import pandas as pd
import pyarrow as pa
import pytest

from refonte_frames.errors import InputError
from refonte_frames.export.spread import is_spread, spread


def table(*texts: str | None) -> pa.Table:
    """Make a table of metadata."""
    return pa.table({"metadata_json": pa.array(texts, pa.string())})


def test_metadata_spreads_into_typed_columns() -> None:
    """Whole numbers, fractions, booleans and texts; what is mixed or nested is JSON text."""
    texts = [
        '{"n":1,"f":1,"t":"a","b":true,"mixed":1,"deep":{"x":1.0},"big":18446744073709551617,"none":null}',
        '{"n":2,"f":2.5,"t":"b","b":null,"mixed":"one"}',
        None,
        "[]",
    ]
    columns = spread(table(*texts), "metadata")
    assert columns.column_names[1:] == [
        f"metadata.{key}" for key in ["n", "f", "t", "b", "mixed", "deep", "big", "none"]
    ]
    assert columns["metadata.n"].to_pylist() == [1, 2, None, None]
    assert columns["metadata.f"].type == pa.float64()
    assert columns["metadata.b"].to_pylist() == [True, None, None, None]
    assert columns["metadata.mixed"].to_pylist()[:2] == ["1", '"one"']
    assert columns["metadata.deep"].to_pylist()[0] == '{"x":1.0}'
    assert columns["metadata.big"].to_pylist()[0] == "18446744073709551617"
    assert columns["metadata.none"].type == pa.string()


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (['{"k":1}', '{"k":2.5}'], pa.float64(), [1.0, 2.5]),
        (['{"k":9007199254740993}', '{"k":0.5}'], pa.string(), ["9007199254740993", "0.5"]),
        (['{"k":9223372036854775807}', '{"k":-9223372036854775808}'], pa.int64(), [2**63 - 1, -(2**63)]),
        (['{"k":9223372036854775808}'], pa.string(), ["9223372036854775808"]),
        (['{"k":1e400}'], pa.string(), ["1e400"]),
        (['{"k":true}', '{"k":1}'], pa.string(), ["true", "1"]),
        (['{"k":"1"}', '{"k":1}'], pa.string(), ['"1"', "1"]),
        (['{"k":"x"}', "{}", '{"k":null}', None], pa.string(), ["x", None, None, None]),
        (['{"k":[1]}', '{"k":"x"}'], pa.string(), ["[1]", '"x"']),
        (['{"k":"\\u0000=cmd()\\n"}'], pa.string(), ["\0=cmd()\n"]),
    ],
)
def test_a_column_has_the_narrowest_type_that_loses_nothing(texts: list[str], kind: pa.DataType, values: list) -> None:
    """Else it holds the JSON text of every value."""
    column = spread(table(*texts), "metadata")["metadata.k"]
    assert column.type == kind
    assert column.to_pylist() == values


def test_keys_of_any_letters_have_their_own_column() -> None:
    """Dots and blanks too; a key twice in one object is the later one."""
    columns = spread(table('{"":1,"a.b":2," é":3,"x":4,"x":5}'), "metadata").to_pylist()[0]
    assert columns | {"metadata_json": 0} == {
        "metadata_json": 0,
        "metadata.": 1,
        "metadata.a.b": 2,
        "metadata. é": 3,
        "metadata.x": 5,
    }


def test_more_keys_than_a_table_bears_are_left_in_the_text() -> None:
    """The rarest, and a warning says so."""
    texts = [msgspec.json.encode({"often": 1, f"k{row}": row}).decode() for row in range(1_200)]
    with pytest.warns(UserWarning, match="1,201 different keys; only the 1,000 most frequent"):
        columns = spread(table(*texts), "metadata")
    assert columns.num_columns == 1_001
    assert pd.isna(columns["metadata.often"].to_pandas()).sum() == 0


def test_an_option_that_is_no_way_to_show_a_map_is_refused() -> None:
    """With those that there are."""
    with pytest.raises(InputError, match="metadata='cols': there are 'json' and 'columns'"):
        is_spread("metadata", "cols")
