"""A design for programs that put tensors beside each other along their innermost axis, as networks do with channels.

TVM asks for each number from which tensor it comes, one number after the other. Here the axis is cut at the places
where one tensor ends, and the pieces are copied as vectors: a quarter of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import REDUCES, is_parallel
from sweep.toolchain.tuning.designs.schedule_steps import conditions_in, inline_others, mentions, one_design

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["concat_traces", "suggested_points"]

_MOST_PIECES = 64
"""Each is code of its own."""


def concat_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The one design of such a program; none for any other, and where a tensor is no whole number of vectors.

    lanes: of a vector register, in 32-bit numbers.
    """
    return one_design(module, seed, lambda schedule: _apply(schedule, lanes, is_parallel=is_parallel(target)))


def suggested_points(space: Space, first: int) -> list[Point]:
    """The design has one point, the `first`."""
    return [(first,)]


def _apply(schedule: Any, lanes: int, *, is_parallel: bool) -> bool:
    last = inline_others(schedule)
    body, (*outer, innermost) = schedule.get(last), schedule.get_loops(last)
    if not outer or any(int(axis.iter_type) == REDUCES for axis in body.iter_vars):
        return False
    index, extent = body.iter_vars[-1].var, int(schedule.get(innermost).extent)
    if not body.writes[0].region[-1].min.same_as(index):
        return False
    ends = list(_ends(body.body, index))
    piece = math.gcd(extent, *ends)
    if not ends or piece % lanes or extent // piece > _MOST_PIECES:
        return False
    rows = schedule.fuse(*outer)
    if is_parallel:
        schedule.parallel(rows)
    pieces, _, lane = schedule.split(innermost, [extent // piece, None, lanes])
    schedule.unroll(pieces)
    schedule.vectorize(lane)
    return True


def _ends(statement: Any, index: Any) -> Iterator[int]:
    """Where along the innermost axis a condition of the program changes: 1, which no vector divides, for a condition of
    another form.
    """
    for condition in conditions_in(statement):
        if mentions(condition, index):
            yield _end(condition, index)


def _end(condition: Any, index: Any) -> int:
    from tvm import tirx

    one: Any = getattr(condition, "a", None)
    other: Any = getattr(condition, "b", None)
    match condition:
        case tirx.LE() if isinstance(one, tirx.IntImm) and other.same_as(index):
            return int(one)
        case tirx.LT() if isinstance(other, tirx.IntImm) and one.same_as(index):
            return int(other)
        case tirx.GE() if isinstance(other, tirx.IntImm) and one.same_as(index):
            return int(other)
        case tirx.GT() if isinstance(one, tirx.IntImm) and other.same_as(index):
            return int(one)
    return 1
