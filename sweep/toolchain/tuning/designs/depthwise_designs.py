"""Designs for convolutions whose groups are one channel each, with channels last.

TVM's multi-level tiling keeps their sums in a buffer of the whole output, pads the data in a pass of its own, and has
10**8 points. Here a tile of a few positions and a few registers of channels is summed over the whole window with its
sums in registers, reads the data where they are, zeros around them, and is finished (bias, activation) before the next
begins. What is open is how large the tile is, and whether the rows of the window are unrolled.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import is_parallel
from sweep.toolchain.tuning.designs.schedule_steps import (
    convolution_block,
    fitting_lanes,
    inline_others,
    summed_in_registers,
    tiled,
)

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["depthwise_traces", "suggested_points"]

_MOST_POSITIONS, _MOST_REGISTERS = 8, 4
"""Of a tile."""
_GOOD_SUMS = 7
"""Registers of sums in a tile."""
_SUGGESTED = 4
_OF_A_TILE = 7
"""Loops of the sum of a tile: positions N, H, W, C, those of the window and of a group."""


def depthwise_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The designs of such a convolution, one for each order of walking; none for any other program.

    lanes: of a vector register, in 32-bit numbers.
    """
    import tvm
    from tvm.s_tir import Schedule

    traces = []
    for is_by_row in (True, False):
        schedule = Schedule(module, seed=seed, error_render_level="none")
        try:
            found = _depthwise_block(schedule)
            if found is None:
                return []
            name, channels = found
            fitting = fitting_lanes(lanes, channels)
            if not fitting:
                return []
            _apply(schedule, name, fitting, is_by_row=is_by_row, is_parallel=is_parallel(target))
        except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
            return []  # what follows the convolution is of another form: TVM tells so by refusing a primitive
        traces.append((module, schedule.trace))
    return traces


def _depthwise_block(schedule: Any) -> tuple[str, int] | None:
    """The name of the block that sums, and the number of its channels."""
    from tvm.sym import detect_linear_equation

    block = convolution_block(schedule)
    if block is None:
        return None
    variables = [one.var for one in block.iter_vars]
    for place, region in enumerate(block.reads):
        strides = [detect_linear_equation(index.min, variables) for index in region.region]
        if not all(len(terms) and hasattr(terms[3], "value") for terms in strides):
            return None
        of_channel = [int(terms[3]) for terms in strides]
        if sorted(of_channel) != [0] * (len(strides) - 1) + [1] or (not place and of_channel[-1] != 1):
            return None
    extents = [int(one.dom.extent) for one in block.iter_vars]
    return (str(block.name_hint), extents[3]) if extents[-1] == 1 else None


def _apply(schedule: Any, name: str, lanes: int, *, is_by_row: bool, is_parallel: bool) -> None:
    last = inline_others(schedule, name)
    summing = schedule.get_sblock(name)
    image, row, positions, channels = schedule.get_loops(last)
    registers, lane = schedule.split(channels, [None, lanes])
    above_positions, tile_positions = tiled(schedule, positions, _MOST_POSITIONS)
    above_registers, tile_registers = tiled(schedule, registers, _MOST_REGISTERS)
    walked = [image, row, above_registers] if is_by_row else [image, above_registers, row]
    schedule.reorder(*walked, above_positions, tile_positions, tile_registers, lane)
    schedule.compute_at(summing, above_positions, preserve_unit_loops=True)
    if is_parallel:
        schedule.parallel(schedule.fuse(*walked))
    schedule.vectorize(lane)
    schedule.unroll(tile_positions)
    schedule.unroll(tile_registers)
    schedule.set_scope(summing, 0, "local")
    _summed(schedule, summing, lanes)


def _summed(schedule: Any, summing: Any, lanes: int) -> None:
    """The sum of a tile."""
    _, _, positions, channels, rows, columns, _ = schedule.get_loops(summing)[-_OF_A_TILE:]
    registers, lane = schedule.split(channels, [None, lanes])
    above_rows, tile_rows = tiled(schedule, rows, None)
    schedule.reorder(above_rows, tile_rows, columns, positions, registers, lane)
    summed_in_registers(schedule, summing, above_rows, lane, tile_rows, columns, positions, registers)


def suggested_points(space: Space, first: int) -> list[Point]:
    """Points of these designs that are worth a trial whatever a tuner thinks; `first`: the number of their first."""
    by_design: list[list[Point]] = []
    for number in range(first, len(space.designs)):
        knobs = space.designs[number].knobs
        tiles, unrolled = [range(len(knob.choices)) for knob in knobs[:2]], len(knobs[2].choices) - 1
        points: list[Point] = [(number, *tile, unrolled) for tile in itertools.product(*tiles)]
        ranked = sorted(
            points,
            key=lambda point: _distance(*(knob.choices[at][-1] for knob, at in zip(knobs, point[1:3], strict=False))),
        )
        by_design.append(ranked[:_SUGGESTED])
    return [point for together in zip(*by_design, strict=False) for point in together]


def _distance(positions: int, registers: int) -> float:
    """From a tile with about as many sums as keep a core busy, of several positions rather than registers."""
    return abs(math.log2(positions * registers / _GOOD_SUMS)) + 0.3 * math.log2(registers)
