"""What of an earlier plan would be done again."""

from __future__ import annotations

from sweep.planning.earlier import earlier_of, redone
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.study.spec import Cell

CELL = Cell("net", "native", "none", 3, "NCHW", "float32", 1, "here", "tvm")


def plan(*ids: str, recipe: int) -> Plan:
    """Of one cell, which is measured twice."""
    stages = {name: Stage(name, "measure", {}, {}, (), name, {"recipe": recipe}) for name in ids}
    return Plan("s", [PlannedCell(CELL, ids, ids)], stages, {})


def test_a_cell_with_two_stages_of_a_kind_is_counted_once() -> None:
    before, done = plan("a", "b", recipe=1), {"a", "b"}
    (again,) = redone(plan("c", "d", recipe=2), earlier_of(before, None, done), done, {})
    assert str(again) == "2 measure stages of 1 cell: recipe 1 -> 2"
