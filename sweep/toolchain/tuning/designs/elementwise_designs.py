"""A design for programs of one number from each place of their tensors: scale, shift and activation, or a sum of two.

TVM takes all loops as one and cuts it into vectors of 64 numbers, which lie across the ends of rows where a row is no
multiple of that; such vectors are gathered, one number after the other. Here vectors lie inside a row, or, where no row
is a whole number of vectors and all tensors have the same form, in all rows as one. What is open is how many vectors
are unrolled: all of a row where numbers beside each other are summed (local response normalisation) or zeros are put
beside them, so that a vector inside a row asks for no border.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import REDUCES, is_parallel
from sweep.toolchain.tuning.designs.schedule_steps import (
    conditions_in,
    fitting_lanes,
    inline_others,
    mentions,
    one_design,
    tiled,
)

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["elementwise_traces", "suggested_points"]

_MOST_UNROLLED, _GOOD_UNROLLED = 8, 4
"""Vectors."""
_MOST_PIECES = 64
"""Vectors of a row where a condition is asked along it: each is code of its own."""


def elementwise_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The one design of such a program; none for any other.

    lanes: of a vector register, in 32-bit numbers.
    """
    return one_design(module, seed, lambda schedule: _apply(schedule, lanes, is_parallel=is_parallel(target)))


def suggested_points(space: Space, first: int) -> list[Point]:
    """The point of the design, the `first`, that is worth a trial whatever a tuner thinks."""
    choices = [knob.choices for knob in space.designs[first].knobs]
    fitting = [[abs(choice[-1] - _GOOD_UNROLLED) for choice in unrolled] for unrolled in choices]
    return [(first, *(unrolled.index(min(unrolled)) for unrolled in fitting))]


def _apply(schedule: Any, lanes: int, *, is_parallel: bool) -> bool:
    bodies = [schedule.get(one) for one in schedule.get_child_blocks(schedule.get_sblock("root"))]
    if any(int(axis.iter_type) == REDUCES for body in bodies for axis in body.iter_vars):
        return False
    last = inline_others(schedule)
    body, loops = schedule.get(last), schedule.get_loops(last)
    extents = [int(schedule.get(loop).extent) for loop in loops]
    inside = _vector_axes(body, extents)
    numbers = math.prod(extents[-inside:])
    fitting = fitting_lanes(lanes, numbers)
    is_cut = any(mentions(condition, body.iter_vars[-1].var) for condition in conditions_in(body.body))
    if not inside or not fitting or (is_cut and numbers // fitting > _MOST_PIECES):
        return False
    unrolled, lane = schedule.split(schedule.fuse(*loops[-inside:]), [None, fitting])
    outer = loops[:-inside]
    if not is_cut:
        above, unrolled = tiled(schedule, unrolled, _MOST_UNROLLED)
        outer = [*outer, above]
    if is_parallel and outer:
        schedule.parallel(schedule.fuse(*outer))
    schedule.unroll(unrolled)
    schedule.vectorize(lane)
    return True


def _vector_axes(body: Any, extents: list[int]) -> int:
    """How many of the innermost axes are one for vectors: all where each tensor is read in the order in which the
    result is written, the innermost where that is so along it, none for another program.
    """
    variables = [one.var for one in body.iter_vars]
    regions = [region for region in (*body.reads, *body.writes) if len(region.region)]
    if not variables or len(variables) != len(extents) or {str(one.source.dtype) for one in regions} != {"float32"}:
        return 0
    if not conditions_in(body.body) and all(
        [int(size) for size in region.source.shape] == extents
        and all(part.min.same_as(variable) for part, variable in zip(region.region, variables, strict=True))
        for region in regions
    ):
        return len(extents)
    written = body.writes[0].region[-1].min.same_as(variables[-1])
    return int(written and all(_is_along(region.region, variables[-1]) for region in regions))


def _is_along(indices: Any, variable: Any) -> bool:
    """Whether numbers beside each other along an axis lie beside each other in a tensor, or are one."""
    from tvm.sym import detect_linear_equation

    if any(mentions(part.min, variable) or mentions(part.extent, variable) for part in indices[:-1]):
        return False
    terms = detect_linear_equation(indices[-1].min, [variable])
    return not mentions(indices[-1].extent, variable) and len(terms) == 2 and int(terms[0]) in {0, 1}
