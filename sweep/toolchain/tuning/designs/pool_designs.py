"""A design for maxima and sums over a window, or over all positions, with channels last: pools and means.

TVM pads the data in a pass of its own, keeps partial results of the whole output, or takes the numbers of a window as a
vector. Here a tile of a few positions and a few registers of channels is reduced over the whole window in registers,
reads the data where they are, and is finished (division, activation) before the next begins. What is open is how large
the tile is, and how much of the window is unrolled.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import REDUCES, is_parallel
from sweep.toolchain.tuning.designs.schedule_steps import (
    conditions_in,
    fitting_lanes,
    inline_others,
    mentions,
    one_design,
    summed_in_registers,
    tiled,
)

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["pool_traces", "suggested_points"]

_MOST_POSITIONS, _MOST_REGISTERS = 8, 8
"""Of a tile."""
_MOST_COLUMNS = 16
"""Of a window, that are unrolled."""
_GOOD_SUMS = 8
"""Registers of results in a tile."""
_GOOD_LOADS = 72
"""In a step: those of a window of 3 x 3."""
_SUGGESTED = 2


def pool_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The one design of such a program; none for any other.

    lanes: of a vector register, in 32-bit numbers.
    """
    return one_design(module, seed, lambda schedule: _apply(schedule, lanes, is_parallel=is_parallel(target)))


def _reducing_block(schedule: Any) -> Any | None:
    """The block of a program that reduces, where it is the only one and keeps the innermost axis."""
    blocks = [schedule.get(one) for one in schedule.get_child_blocks(schedule.get_sblock("root"))]
    reducing = [block for block in blocks if any(int(one.iter_type) == REDUCES for one in block.iter_vars)]
    if len(reducing) != 1 or len(reducing[0].reads) != 1 or len(reducing[0].writes) != 1:
        return None
    kinds = [int(one.iter_type) == REDUCES for one in reducing[0].iter_vars]
    return reducing[0] if kinds == sorted(kinds) and kinds.count(False) >= 2 else None


def _apply(schedule: Any, lanes: int, *, is_parallel: bool) -> bool:
    block = _reducing_block(schedule)
    if block is None:
        return False
    kept = [one for one in block.iter_vars if int(one.iter_type) != REDUCES]
    last = inline_others(schedule, str(block.name_hint))
    reducing = schedule.get_sblock(str(block.name_hint))
    if not _keeps_channels(schedule.get(reducing), len(kept) - 1):
        return False
    if str(schedule.get(last).name_hint) == str(block.name_hint):
        last = schedule.cache_write(reducing, 0, "local")
    loops = schedule.get_loops(last)
    extents = [int(schedule.get(loop).extent) for loop in loops]
    fitting = fitting_lanes(lanes, extents[-1])
    if not fitting or len(loops) < 2 or math.prod(extents) > math.prod(int(one.dom.extent) for one in kept):
        return False
    *outer, positions, channels = loops
    registers, lane = schedule.split(channels, [None, fitting])
    above_positions, tile_positions = tiled(schedule, positions, _MOST_POSITIONS)
    above_registers, tile_registers = tiled(schedule, registers, _MOST_REGISTERS)
    schedule.reorder(*outer, above_positions, above_registers, tile_positions, tile_registers, lane)
    above = above_registers
    if is_parallel:
        above = schedule.fuse(*outer, above_positions, above_registers)
        schedule.parallel(above)
    schedule.compute_at(reducing, above, preserve_unit_loops=True)
    schedule.vectorize(lane)
    schedule.unroll(tile_positions)
    schedule.unroll(tile_registers)
    schedule.set_scope(reducing, 0, "local")
    _reduced(schedule, reducing, len(kept), len(block.iter_vars) - len(kept), fitting)
    return True


def _keeps_channels(body: Any, axis: int) -> bool:
    """Whether the number of a channel is of the numbers of that channel alone, which lie beside those of the next."""
    channel, regions = body.iter_vars[axis].var, [*body.reads, *body.writes]
    return (
        {str(region.source.dtype) for region in regions} == {"float32"}
        and all(region.region[-1].min.same_as(channel) for region in regions)
        and not any(mentions(part.min, channel) for region in regions for part in region.region[:-1])
        and not any(mentions(condition, channel) for condition in conditions_in(body.body))
    )


def _reduced(schedule: Any, reducing: Any, kept: int, reduced: int, lanes: int) -> None:
    """The results of a tile."""
    loops = schedule.get_loops(reducing)[-(kept + reduced) :]
    positions, channels = loops[kept - 2 : kept]
    registers, lane = schedule.split(channels, [None, lanes])
    *others, columns = loops[kept:]
    above_columns, tile_columns = tiled(schedule, columns, _MOST_COLUMNS)
    above, unrolled = [*others, above_columns], [tile_columns]
    if others:
        above_rows, tile_rows = tiled(schedule, others[-1], None)
        above, unrolled = [*others[:-1], above_rows, above_columns], [tile_rows, tile_columns]
    schedule.reorder(*above, *unrolled, positions, registers, lane)
    summed_in_registers(schedule, reducing, above[0], lane, *unrolled, positions, registers)


def suggested_points(space: Space, first: int) -> list[Point]:
    """Points of the design, the `first`, that are worth a trial whatever a tuner thinks."""
    knobs = space.designs[first].knobs
    choices = itertools.product(*(range(len(knob.choices)) for knob in knobs))
    points: list[Point] = [(first, *chosen) for chosen in choices]

    def distance(point: Point) -> float:
        return _distance(*(knob.choices[at][-1] for knob, at in zip(knobs, point[1:], strict=True)))

    return sorted(points, key=distance)[:_SUGGESTED]


def _distance(positions: int, registers: int, *window: int) -> float:
    """From a tile of one position with as many results as keep a core busy, and so much code."""
    sums = positions * registers
    code = abs(math.log2(sums * math.prod(window) / _GOOD_LOADS))
    return abs(math.log2(sums / _GOOD_SUMS)) + 0.3 * math.log2(positions) + 0.2 * code
