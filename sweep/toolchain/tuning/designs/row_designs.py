"""Designs for programs that bring each row to a common scale by sums over it: softmax, layer norm.

TVM's rules leave a sum over the innermost axis to one number after the other, and walk all rows anew for each step.
Here all steps of a row follow each other while it is in the first cache, and its sums and maxima are vectors of partial
ones. What is open is how many partial sums there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import REDUCES, is_parallel
from sweep.toolchain.tuning.designs.schedule_steps import one_design

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["row_traces", "suggested_points"]

_MOST_PARTIAL = 64


def row_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The one design of such a program; none for any other, and where a row is no whole number of vectors: TVM computes
    nonsense from vectors that are cut off there (docs/tvm-defects.md).

    lanes: of a vector register, in 32-bit numbers.
    """
    return one_design(module, seed, lambda schedule: _apply(schedule, lanes, is_parallel=is_parallel(target)))


def suggested_points(space: Space, first: int) -> list[Point]:
    """Points of the design, the `first`, that are worth a trial whatever a tuner thinks: two vectors of partial
    sums, one and four.
    """
    [knob] = space.designs[first].knobs
    partial = {factors[-1]: number for number, factors in enumerate(knob.choices)}
    widths = (space.machine.lanes << doubled for doubled in (1, 0, 2))
    points: list[Point] = [(first, partial[width]) for width in widths if width in partial]
    return points


def _sums_over_rows(schedule: Any, lanes: int) -> list[str]:
    """Names of the blocks that sum over the innermost axis; none where one sums over another."""
    root = schedule.get_sblock("root")
    [last] = schedule.get_output_blocks(root)
    extents = [int(schedule.get(loop).extent) for loop in schedule.get_loops(last)]
    if len(extents) < 2:  # a scalar has no loop
        return []
    names = []
    for block in (schedule.get(one) for one in schedule.get_child_blocks(root)):
        axes = [(int(one.dom.extent), int(one.iter_type) == REDUCES) for one in block.iter_vars]
        if any(reduces for _, reduces in axes):
            rows = [(extent, False) for extent in extents[:-1]]
            if axes != [*rows, (extents[-1], True)] or len(block.writes) != 1:
                return []
            summed = [region.region[-1].min for region in block.reads if len(region.region) == len(extents)]
            if not summed or not all(index.same_as(block.iter_vars[-1].var) for index in summed):
                return []
            names.append(str(block.name_hint))
        if {str(region.source.dtype) for region in (*block.reads, *block.writes)} != {"float32"}:
            return []
    return names if extents[-1] % lanes == 0 else []


def _apply(schedule: Any, lanes: int, *, is_parallel: bool) -> bool:
    sums = _sums_over_rows(schedule, lanes)
    if not sums:
        return False
    root = schedule.get_sblock("root")
    [last] = schedule.get_output_blocks(root)
    length = int(schedule.get(schedule.get_loops(last)[-1]).extent)
    factors = schedule.sample_perfect_tile(schedule.get_loops(last)[-1], 2, min(length, _MOST_PARTIAL))
    partial = []
    for name in sums:
        block = schedule.get_sblock(name)
        rank = len(schedule.get(block).writes[0].source.shape)
        _, lane = schedule.split(schedule.get_loops(block)[-1], factors)
        partial.append(str(schedule.get(schedule.rfactor(lane, factor_axis=rank)).name_hint))
    *rows, numbers = schedule.get_loops(last)
    row = schedule.fuse(*rows)
    before = [str(schedule.get(block).name_hint) for block in schedule.get_child_blocks(root)]
    before.remove(str(schedule.get(last).name_hint))
    for name in reversed(before):
        schedule.compute_at(schedule.get_sblock(name), row, preserve_unit_loops=True)
    if is_parallel:
        schedule.parallel(row)
    schedule.vectorize(schedule.split(numbers, factors)[1])
    for name in before:
        block = schedule.get_sblock(name)
        inner = schedule.get_loops(block)
        if name in partial:
            _summed(schedule, block, *inner[1:])
        elif name not in sums and int(schedule.get(inner[-1]).extent) == length:
            schedule.vectorize(schedule.split(inner[-1], factors)[1])
    return True


def _summed(schedule: Any, block: Any, *loops: Any) -> None:
    """The partial sums of a row: one vector of them after the other."""
    lane, numbers = loops[0], loops[-1]
    schedule.reorder(numbers, lane)
    schedule.vectorize(lane)
    schedule.decompose_reduction(block, numbers)
