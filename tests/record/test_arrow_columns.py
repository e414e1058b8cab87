"""Columns are those that pyarrow makes of the same values, and no pandas is loaded for them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.record.arrow_columns import column_of

OF_KIND: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(),
    pa.list_(pa.float64()): st.lists(st.none() | st.floats(allow_nan=False), max_size=4),
}
LAID_OUT = """
import sys
import pyarrow as pa
from sweep.record.arrow_columns import column_of

for kind, value in (pa.int64(), 1), (pa.float64(), 0.5), (pa.bool_(), True), (pa.string(), "a"):
    assert column_of([value, None], kind).to_pylist() == [value, None]
assert column_of([[0.5], None], pa.list_(pa.float64())).to_pylist() == [[0.5], None]
assert "pandas" not in sys.modules
pa.array([1])
print("pandas" in sys.modules)
"""


@pytest.mark.parametrize("kind", OF_KIND, ids=str)
@settings(max_examples=20)
@given(data=st.data())
def test_it_is_what_pyarrow_makes_of_the_values(kind: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | OF_KIND[kind], max_size=20))
    made = column_of(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))
    assert made.null_count == values.count(None)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.float64(), [float("nan"), None, float("inf"), np.float64(2.5), np.float32(0.5)]),
        (pa.int32(), [np.int64(7), 3.0, None]),
        (pa.string(), ["a", "\x00", "é", None]),
        (pa.list_(pa.float64()), [(1, 2.5), np.array([1.0]), None]),
        (pa.bool_(), [np.bool_(True), None]),
    ],
    ids=str,
)
def test_what_is_nearly_of_the_type_is_taken_as_pyarrow_takes_it(kind: pa.DataType, values: list[Any]) -> None:
    assert str(column_of(values, kind)) == str(pa.array(values, kind))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((pa.int8(), 128), (pa.int64(), 2**63), (pa.int32(), 1.5), (pa.int32(), "1"), (pa.bool_(), 1)),
        *((pa.float64(), "x"), (pa.float64(), True), (pa.float64(), 2**53 + 1), (pa.string(), 1)),
        *((pa.string(), "\ud800"), (pa.list_(pa.float64()), 1.0)),
    ],
    ids=str,
)
def test_what_is_not_of_the_type_is_refused_or_taken_as_by_pyarrow(kind: pa.DataType, value: Any) -> None:
    try:
        expected = pa.array([value], kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        with pytest.raises(type(error)):
            column_of([value], kind)
    else:
        assert column_of([value], kind).equals(expected)


def test_no_pandas_is_loaded_for_them() -> None:
    """The last line tells when pyarrow does without, and this can go."""
    ended = subprocess.run([sys.executable, "-c", LAID_OUT], capture_output=True, text=True)
    assert ended.stdout == "True\n", ended.stderr
