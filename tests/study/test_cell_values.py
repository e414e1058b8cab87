"""Values of cells on chosen axes are those that the cells give one by one."""

from __future__ import annotations

import pytest

from sweep.study.axes import AXES, FIRST
from sweep.study.cell_values import values_on
from sweep.study.spec import Cell
from tests.seams.toy_axes import PHASE

CELL = Cell("net", "native", "xgb", 3, "NCHW", "float32", 8, "a", "tvm")


@pytest.mark.parametrize("names", [(), ("batch",), ("device", "model"), FIRST], ids=len)
def test_values_come_in_the_order_of_the_axes(names: tuple[str, ...]) -> None:
    assert values_on(names)(CELL) == tuple(CELL.value(name) for name in names)


def test_a_further_axis_is_read_too_at_its_default_and_not() -> None:
    with AXES.registered("phase", PHASE):
        read = values_on(("batch", "phase"))
        assert read(CELL) == (8, "inference")
        assert read(Cell.of({**CELL.axes, "phase": "training"})) == (8, "training")
