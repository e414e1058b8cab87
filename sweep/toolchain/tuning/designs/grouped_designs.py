"""Designs for convolutions of one position in several groups: a product of matrices for each group.

The data are read where they are: a tile is of a few positions, and of all channels of a group that are read for it.
Sums of a few positions and a few vectors of a group's channels stay in registers over all channels of the data; when
all vectors of a group are summed, its outputs are finished (bias, activation). A group's outputs may be no whole number
of vectors: they are written by a plain loop, of which LLVM makes vectors and a rest. What is open is which tile, how
many tiles of positions share the weights of a group, and how many channels of the data a step adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import REDUCES, is_parallel, machine_of
from sweep.toolchain.tuning.designs.schedule_steps import fitting_lanes, inline_others, summed_in_registers, tiled

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["grouped_traces", "suggested_points", "tiles_of"]

_KINDS = [0, 0, 0, 0, 0, REDUCES]
"""Of the axes of such a sum: N, H, W, those of groups and of a group's outputs, and that of its inputs."""
_MOST_DESIGNS, _AS_GOOD = 2, 0.8
"""How many tiles, and how near to the best one in the share of time that they use."""
_IN_FLIGHT = 8
"""Sums that keep both multipliers of a core busy: each waits four cycles for the one before."""
_OF_LOADS = 1.5
"""Time of a load of a number or a vector, in products: measured; loads of what lies in several rows take turns."""
_MOST_UNROLLED, _GOOD_STEPS = 16, 4
"""Channels of the data that one step of the loop adds up."""


@dataclass(frozen=True, slots=True)
class _Sums:
    name: str
    image: tuple[int, int, int]
    """N, H, W."""
    outputs: int
    """Of a group, as many as are written."""
    sums: int
    """Of a group, with those that fill the last vector."""


def grouped_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The designs of such a program, one for each tile; none for any other program.

    lanes: of a vector register, in 32-bit numbers.
    """
    import tvm
    from tvm.s_tir import Schedule

    traces = []
    try:
        found = _sums_in(Schedule(module, seed=seed, error_render_level="none"))
        if found is None:
            return []
        fitting = fitting_lanes(lanes, found.sums)
        if not fitting:
            return []
        for tile in tiles_of(math.prod(found.image), found.sums // fitting, machine_of(target).registers):
            schedule = Schedule(module, seed=seed, error_render_level="none")
            _apply(schedule, found, tile, fitting, is_parallel=is_parallel(target))
            traces.append((module, schedule.trace))
    except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
        return []  # what follows is of another form: TVM tells so by refusing a primitive
    return traces


def suggested_points(space: Space, first: int) -> list[Point]:
    """The points that are worth a trial whatever a tuner thinks, one for each tile; `first`: the number of the best."""
    points: list[Point] = []
    for number in range(first, len(space.designs)):
        shared, unrolled = space.designs[number].knobs
        alone = [choice[-1] for choice in shared.choices].index(1)
        steps = [abs(math.log2(choice[-1] / _GOOD_STEPS)) for choice in unrolled.choices]
        points.append((number, alone, steps.index(min(steps))))
    return points


def _sums_in(schedule: Any) -> _Sums | None:
    """Sums [n, h, w, g, o] of data and weights [g, k, o], with what reads the first of each group."""
    root = schedule.get_sblock("root")
    blocks = [schedule.get(one) for one in schedule.get_child_blocks(root)]
    summing = [block for block in blocks if any(int(one.iter_type) == REDUCES for one in block.iter_vars)]
    if len(summing) != 1 or [int(one.iter_type) for one in summing[0].iter_vars] != _KINDS:
        return None
    [block], (*_, g, o, k) = summing, [one.var for one in summing[0].iter_vars]
    if len(block.reads) != 2 or not _is_at(block.reads[1], (g, k, o)):
        return None
    if not _is_at(block.writes[0], [one.var for one in block.iter_vars[:-1]]) or _bits(block) != {32}:
        return None
    *image, groups, sums, _ = (int(one.dom.extent) for one in block.iter_vars)
    [last] = schedule.get_output_blocks(root)
    shape = [int(size) for size in schedule.get(last).writes[0].source.shape]
    if len(shape) != len(image) + 1 or shape[:-1] != image or shape[-1] % groups:
        return None
    return _Sums(str(block.name_hint), (image[0], image[1], image[2]), shape[-1] // groups, sums)


def _is_at(region: Any, variables: Any) -> bool:
    places = [one.min for one in region.region]
    return len(places) == len(variables) and all(at.same_as(one) for at, one in zip(places, variables, strict=True))


def _bits(block: Any) -> set[int]:
    import tvm_ffi

    return {tvm_ffi.dtype(str(region.source.dtype)).bits for region in block.writes}


def tiles_of(positions: int, vectors: int, registers: int) -> list[tuple[int, int]]:
    """Positions and vectors of the best tiles: those whose sums wait least for loads and for each other."""
    fitting = [
        (rows, columns)
        for columns in range(1, min(vectors, registers) + 1)
        for rows in range(1, registers)
        if not vectors % columns and not positions % rows and rows * columns + columns + 1 <= registers
    ]
    ranked = sorted(fitting, key=lambda tile: (_efficiency(*tile), tile[0] * tile[1], tile[1]), reverse=True)
    return [tile for tile in ranked[:_MOST_DESIGNS] if _efficiency(*tile) >= _AS_GOOD * _efficiency(*ranked[0])]


def _efficiency(positions: int, vectors: int) -> float:
    """Share of the multipliers' time."""
    sums = positions * vectors
    return sums / max(sums, _OF_LOADS * (positions + vectors), _IN_FLIGHT)


def _apply(schedule: Any, found: _Sums, tile: tuple[int, int], lanes: int, *, is_parallel: bool) -> None:
    _, height, width = found.image

    def place(image: Any, row: Any, column: Any) -> Any:
        return (image * height + row) * width + column

    last = inline_others(schedule, found.name)
    summing = schedule.get_sblock(found.name)
    schedule.transform_layout(summing, ("write", 0), lambda n, h, w, g, o: (place(n, h, w), g, o))
    schedule.transform_block_layout(summing, lambda n, h, w, g, o, k: (place(n, h, w), g, o, k))
    schedule.transform_block_layout(last, lambda n, h, w, c: (place(n, h, w), c))
    kept = schedule.cache_write(summing, 0, "local")
    positions, channels = schedule.get_loops(last)
    groups, outputs = schedule.split(channels, [None, found.outputs])
    tiles, positions = schedule.split(positions, [None, tile[0]])
    strips, together = tiled(schedule, tiles, None)
    schedule.reorder(strips, groups, together, positions, outputs)
    schedule.compute_at(kept, together, preserve_unit_loops=True)
    if is_parallel:
        schedule.parallel(schedule.fuse(strips, groups))
    *_, positions, group, sums = schedule.get_loops(kept)
    above, vectors, lane = schedule.split(sums, [None, tile[1], lanes])
    schedule.reorder(group, above, positions, vectors, lane)
    schedule.compute_at(summing, above, preserve_unit_loops=True)
    schedule.vectorize(lane)
    schedule.unroll(positions)
    schedule.unroll(vectors)
    _summed(schedule, summing, lanes)


def _summed(schedule: Any, summing: Any, lanes: int) -> None:
    """The sum of a tile."""
    *_, positions, _, sums, inputs = schedule.get_loops(summing)
    vectors, lane = schedule.split(sums, [None, lanes])
    above, unrolled = tiled(schedule, inputs, _MOST_UNROLLED)
    schedule.reorder(above, unrolled, positions, vectors, lane)
    summed_in_registers(schedule, summing, above, lane, unrolled, positions, vectors)
