"""Designs for programs that are written for an instruction which sums four products at once: the two orders in which
`sweep.toolchain.passes.integers.dot_schedule` walks tiles, with the tile left open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.toolchain.passes.integers.dot_targets import dot_block

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["dot_traces", "suggested_points"]

_SUGGESTED = 3
"""Of each design."""


def dot_traces(module: IRModule, target: Target, seed: int) -> list[Trace] | None:
    """The designs of such a program; None for any other."""
    from tvm.s_tir import Schedule

    from sweep.toolchain.passes.integers.dot_schedule import apply_design

    block = dot_block(module["main"])
    if block is None:
        return None
    traces = []
    for channels_first in (True, False):
        schedule = Schedule(module, seed=seed, error_render_level="none")
        apply_design(schedule, block, channels_first=channels_first, target=target)
        traces.append(schedule.trace)
    return traces


def suggested_points(space: Space) -> list[Point]:
    """Points of such designs that are worth a trial whatever a tuner thinks, those of both designs in turns."""
    from sweep.toolchain.passes.integers.dot_schedule import tile_distance

    def distance(point: Point) -> float:
        knobs = space.designs[point[0]].knobs
        return tile_distance(*(knob.choices[choice][-1] for knob, choice in zip(knobs, point[1:], strict=True)))

    ranked = sorted((space.point_at(index) for index in range(space.size)), key=distance)
    by_design = [[point for point in ranked if point[0] == design] for design in range(len(space.designs))]
    first = (points[:_SUGGESTED] for points in by_design)
    return [point for together in zip(*first, strict=False) for point in together]
