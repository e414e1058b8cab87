"""Designs for programs that are written for an instruction which sums four products at once.

A tile of a few positions and a few registers of channels is summed over the whole window and all input channels, with
its sums in registers; then bias, activation and rounding follow on that tile. What is open is how large the tile is,
and whether channels or positions are walked first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sweep.toolchain.passes.integers.dot_targets import DOT, INSTRUCTIONS, dot_block

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir import Schedule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["dot_traces", "suggested_points"]

_MOST_POSITIONS, _MOST_REGISTERS = 16, 8  # of a tile
_VECTOR = 64
_GOOD_SUMS = 16
"""Registers of sums in a tile: a product of 512 x 512 x 512 runs at 1,021 GOP/s so, at 880 with 8, and at 580 with
32, which do not fit.
"""
_SUGGESTED = 3


def dot_traces(module: IRModule, target: Target, seed: int) -> list[Trace] | None:
    """The designs of such a program; None for any other."""
    from tvm.s_tir import Schedule

    block = dot_block(module["main"])
    if block is None:
        return None
    lanes = INSTRUCTIONS[str(block.annotations[DOT])].lanes
    cores = target.attrs.get("num-cores")
    is_parallel = cores is None or int(cores) > 1
    traces = []
    for channels_first in (True, False):
        schedule = Schedule(module, seed=seed, error_render_level="none")
        _design(schedule, str(block.name_hint), str(block.annotations[DOT]), lanes, channels_first, is_parallel)
        traces.append(schedule.trace)
    return traces


def suggested_points(space: Space) -> list[Point]:
    """Points of such designs that are worth a trial whatever a tuner thinks: tiles of about as many sums as keep a core
    busy and have registers, of several positions and several registers.
    """

    def distance(point: Point) -> float:
        knobs = space.designs[point[0]].knobs
        positions, registers = (knob.choices[choice][-1] for knob, choice in zip(knobs, point[1:], strict=True))
        return abs(math.log2(positions * registers / _GOOD_SUMS)) + 0.1 * abs(math.log2(positions / registers))

    ranked = sorted((space.point_at(index) for index in range(space.size)), key=distance)
    by_design = [[point for point in ranked if point[0] == design] for design in range(len(space.designs))]
    return [
        point for together in zip(*(points[:_SUGGESTED] for points in by_design), strict=False) for point in together
    ]


def _design(schedule: Schedule, name: str, intrinsic: str, lanes: int, channels_first: bool, is_parallel: bool) -> None:
    dot = schedule.get_sblock(name)
    for producer in schedule.get_producers(dot):
        _copied(schedule, producer, is_parallel)
    last = _inlined(schedule, name)
    *outer, positions, channels = schedule.get_loops(last)
    registers, lane = schedule.split(channels, [None, lanes])
    above_positions, tile_positions = schedule.split(
        positions, schedule.sample_perfect_tile(positions, 2, _MOST_POSITIONS)
    )
    above_registers, tile_registers = schedule.split(
        registers, schedule.sample_perfect_tile(registers, 2, _MOST_REGISTERS)
    )
    walked = (
        [above_registers, *outer, above_positions] if channels_first else [*outer, above_positions, above_registers]
    )
    schedule.reorder(*walked, tile_positions, tile_registers, lane)
    schedule.compute_at(dot, walked[-1], preserve_unit_loops=True)
    if is_parallel:
        schedule.parallel(schedule.fuse(*walked[:-1]))
    schedule.vectorize(lane)
    schedule.unroll(tile_positions)
    schedule.unroll(tile_registers)
    schedule.set_scope(dot, 0, "local")
    _summed(schedule, dot, intrinsic, lanes)


def _summed(schedule: Schedule, dot: Any, intrinsic: str, lanes: int) -> None:
    """The sum of a tile, by the instruction. Loops over it are unrolled: sums that a loop indexes are in memory."""
    kinds = [int(one.iter_type) for one in schedule.get(dot).iter_vars]
    own = schedule.get_loops(dot)[-len(kinds) :]
    spatial = [loop for loop, kind in zip(own, kinds, strict=True) if kind == 0]
    reduced = [loop for loop, kind in zip(own, kinds, strict=True) if kind != 0]
    *around, channels = spatial
    registers, lane = schedule.split(channels, [None, lanes])
    groups, four = schedule.split(reduced[-1], [None, 4])
    walked = [*reduced[:-1], groups]
    schedule.reorder(*walked, *around, registers, lane, four)
    first = schedule.decompose_reduction(dot, walked[0])
    *_, zero_positions, zero_registers, zeros = schedule.get_loops(first)
    schedule.vectorize(zeros)
    schedule.tensorize(lane, intrinsic)
    for loop in (around[-1], registers, zero_positions, zero_registers):
        schedule.unroll(loop)


def _inlined(schedule: Schedule, name: str) -> Any:
    """The block of the output, with all between the sum and it computed in it."""
    root = schedule.get_sblock("root")
    [last] = schedule.get_output_blocks(root)
    kept = {name, str(schedule.get(last).name_hint)}
    before = {str(schedule.get(one).name_hint) for one in schedule.get_producers(schedule.get_sblock(name))}
    for block in schedule.get_child_blocks(root):
        if str(schedule.get(block).name_hint) not in kept | before:
            schedule.compute_inline(block)
    return last


def _copied(schedule: Schedule, block: Any, is_parallel: bool) -> None:
    """The padding and change of type before the sum."""
    *outer, channels = schedule.get_loops(block)
    extent = int(schedule.get(channels).extent)
    if extent % _VECTOR == 0 and extent > _VECTOR:
        first, channels = schedule.split(channels, [None, _VECTOR])
        outer.append(first)
    schedule.vectorize(channels)
    if is_parallel and len(outer) > 1:
        schedule.parallel(schedule.fuse(*outer[:-1]))
