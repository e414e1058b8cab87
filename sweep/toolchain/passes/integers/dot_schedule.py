"""Schedules programs that are written for an instruction which sums four products at once.

A tile of a few positions and a few registers of channels is summed over the whole window and all input channels, with
its sums in registers; then bias, activation and rounding follow on that tile. What is open is how large the tile is,
and whether channels or positions are walked first.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from tvm import IRModule, tirx
from tvm.ir.transform import module_pass
from tvm.s_tir import Schedule
from tvm.target import Target

from sweep.toolchain.passes.integers.dot_targets import DOT, INSTRUCTIONS, dot_block

__all__ = ["MOST_POSITIONS", "MOST_REGISTERS", "ScheduleDotProducts", "apply_design", "tile_distance"]

MOST_POSITIONS, MOST_REGISTERS = 16, 8
"""Of a tile."""
_VECTOR = 64
_GOOD_SUMS = 16
"""Registers of sums in a tile: a product of 512 x 512 x 512 runs at 1,021 GOP/s so, at 880 with 8, and at 580 with
32, which do not fit.
"""


@module_pass(opt_level=0, name="ScheduleDotProducts")
class ScheduleDotProducts:
    """The pass: a program that no tuning record has scheduled gets a tile that is good as a rule. In the order of its
    own text it would walk packed weights a byte at a time: 138 ms for four products that take 1.1 ms so.
    """

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with such programs scheduled."""
        for name, function in module.functions_items():
            if isinstance(function, tirx.PrimFunc) and not (function.attrs or {}).get("tirx.is_scheduled"):
                block = dot_block(function)
                if block is not None:
                    module[name] = _by_default(function, block)
        return module


def _by_default(function: Any, block: Any) -> Any:
    alone = IRModule({"main": function.with_attr("global_symbol", "main")})
    schedule = Schedule(alone, error_render_level="none")
    apply_design(schedule, block, channels_first=True, target=Target.current(), is_default=True)
    scheduled = schedule.mod["main"].with_attr("tirx.is_scheduled", True)
    symbol = (function.attrs or {}).get("global_symbol")
    return scheduled.without_attr("global_symbol") if symbol is None else scheduled.with_attr("global_symbol", symbol)


def tile_distance(positions: int, registers: int) -> float:
    """How far a tile is from one with about as many sums as keep a core busy and have registers, of several positions
    and several registers.
    """
    return abs(math.log2(positions * registers / _GOOD_SUMS)) + 0.1 * abs(math.log2(positions / registers))


def apply_design(
    schedule: Schedule, block: Any, *, channels_first: bool, target: Any, is_default: bool = False
) -> None:
    """Schedule the one function of a module. block: the one of its sum. is_default: with a tile that is good as a rule;
    else one is drawn.
    """
    name, instruction = str(block.name_hint), INSTRUCTIONS[str(block.annotations[DOT])]
    cores = target.attrs.get("num-cores")
    is_parallel = cores is None or int(cores) > 1
    dot = schedule.get_sblock(name)
    for producer in schedule.get_producers(dot):
        _copied(schedule, producer, is_parallel)
    last = _inlined(schedule, name)
    *outer, positions, channels = schedule.get_loops(last)
    registers, lane = schedule.split(channels, [None, instruction.lanes])
    tile = _usual_tile(schedule, positions, registers) if is_default else (None, None)
    split = [
        schedule.split(loop, schedule.sample_perfect_tile(loop, 2, most, decision))
        for loop, most, decision in zip((positions, registers), (MOST_POSITIONS, MOST_REGISTERS), tile, strict=True)
    ]
    (above_positions, tile_positions), (above_registers, tile_registers) = split
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
    _summed(schedule, dot, instruction.name, instruction.lanes)


def _usual_tile(schedule: Schedule, positions: Any, registers: Any) -> tuple[list[int], list[int]]:
    extents = [int(schedule.get(loop).extent) for loop in (positions, registers)]
    factors = [
        [factor for factor in range(1, most + 1) if extent % factor == 0]
        for extent, most in zip(extents, (MOST_POSITIONS, MOST_REGISTERS), strict=True)
    ]
    best = min(itertools.product(*factors), key=lambda tile: tile_distance(*tile))
    return [extents[0] // best[0], best[0]], [extents[1] // best[1], best[1]]


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
