"""A design for programs of one number from each place of their tensors: scale, shift and activation, or a sum of two.

TVM takes all loops as one and cuts it into vectors of 64 numbers, which lie across the ends of rows where a row is no
multiple of that; such vectors are gathered, one number after the other. Here vectors lie inside a row, or, where no row
is a whole number of vectors and all tensors have the same form, in all rows as one. What is open is how many vectors
are unrolled.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.space.loop_nest import REDUCES, is_parallel
from sweep.toolchain.tuning.space.schedule_steps import conditions_in, inline_others, mentions, tiled

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["elementwise_traces", "suggested_points"]

_MOST_UNROLLED, _GOOD_UNROLLED = 8, 4
"""Vectors."""
_FEWEST_LANES = 4


def elementwise_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The one design of such a program; none for any other.

    lanes: of a vector register, in 32-bit numbers.
    """
    import tvm
    from tvm.s_tir import Schedule

    schedule = Schedule(module, seed=seed, error_render_level="none")
    try:
        is_one = _apply(schedule, lanes, is_parallel=is_parallel(target))
    except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
        return []  # something else is fused with it: TVM tells so by refusing a primitive
    return [(module, schedule.trace)] if is_one else []


def suggested_points(space: Space, first: int) -> list[Point]:
    """The point of the design, the `first`, that is worth a trial whatever a tuner thinks."""
    [unrolled] = space.designs[first].knobs
    fitting = [(abs(choice[-1] - _GOOD_UNROLLED), number) for number, choice in enumerate(unrolled.choices)]
    return [(first, min(fitting)[1])]


def _apply(schedule: Any, lanes: int, *, is_parallel: bool) -> bool:
    bodies = [schedule.get(one) for one in schedule.get_child_blocks(schedule.get_sblock("root"))]
    if any(int(axis.iter_type) == REDUCES for body in bodies for axis in body.iter_vars):
        return False
    last = inline_others(schedule)
    loops = schedule.get_loops(last)
    extents = [int(schedule.get(loop).extent) for loop in loops]
    inside = _vector_axes(schedule.get(last), extents)
    numbers = math.prod(extents[-inside:])
    fitting = next((n for n in (lanes, lanes // 2, lanes // 4) if n >= _FEWEST_LANES and not numbers % n), 0)
    if not inside or not fitting:
        return False
    vectors, lane = schedule.split(schedule.fuse(*loops[-inside:]), [None, fitting])
    above, unrolled = tiled(schedule, vectors, _MOST_UNROLLED)
    if is_parallel:
        schedule.parallel(schedule.fuse(*loops[:-inside], above))
    schedule.unroll(unrolled)
    schedule.vectorize(lane)
    return True


def _vector_axes(body: Any, extents: list[int]) -> int:
    """How many of the innermost axes are one for vectors: all where each tensor is read in the order in which the
    result is written, the innermost where that is so along it, none for another program.
    """
    variables = [one.var for one in body.iter_vars]
    regions = [*body.reads, *body.writes]
    if len(variables) != len(extents) or {str(region.source.dtype) for region in regions} != {"float32"}:
        return 0
    if not variables or any(mentions(condition, variables[-1]) for condition in conditions_in(body.body)):
        return 0
    indices = [[part.min for part in region.region] for region in regions if len(region.region)]
    if any(int(part.extent) != 1 for region in regions for part in region.region):
        return 0
    if not conditions_in(body.body) and all(
        [int(size) for size in region.source.shape] == extents
        and all(index.same_as(variable) for index, variable in zip(own, variables, strict=True))
        for region, own in zip(regions, indices, strict=False)
    ):
        return len(extents)
    along = all(
        (own[-1].same_as(variables[-1]) or not mentions(own[-1], variables[-1]))
        and not any(mentions(index, variables[-1]) for index in own[:-1])
        for own in indices
    )
    return int(along and indices[-1][-1].same_as(variables[-1]))
