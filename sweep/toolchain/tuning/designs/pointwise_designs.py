"""Designs for convolutions of one position each, with channels last: matrix products of positions and channels.

TVM's tiles read the data where they are. A position is a row of all channels, so the positions of a tile lie a power
of two apart in many networks and meet in a few sets of the first cache. Here the data are packed first, positions of a
tile beside each other for each channel, as libraries of matrix products do, and without those that a stride leaves out;
sums of a tile stay in registers over all channels. What is open is which tile, how many blocks of channels share the
packed data, and how many channels of the data a step adds up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import is_parallel, machine_of
from sweep.toolchain.tuning.designs.schedule_steps import (
    convolution_block,
    inline_others,
    summed_in_registers,
    tiled,
)

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["pointwise_traces", "suggested_points"]

_MOST_DESIGNS = 2
_MOST_REGISTERS = 4
"""Of channels, in a tile."""
_LEAST_EFFICIENCY = 0.8
_IN_FLIGHT = 8
"""Sums that keep both multipliers of a core busy: each waits four cycles for the one before."""
_FEWEST_CHANNELS, _FEWEST_FILTERS = 32, 64
"""Of the data, and of the result: each number that is packed serves so many products."""
_MOST_UNROLLED, _GOOD_STEPS = 16, 4
"""Channels of the data that one step of the loop adds up."""
_GOOD_WEIGHTS_BYTES = 1 << 17
"""Of the blocks of channels that share a tile of data: they are read again for each tile, from the second cache."""


@dataclass(frozen=True, slots=True)
class _Convolution:
    name: str
    """Of the block that sums."""
    data: int
    """Which of the tensors that it reads are the data."""
    leaves_out: bool
    """Positions of the data, as with a stride."""
    images: int
    height: int
    width: int
    channels: int


def pointwise_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The designs of such a convolution, one for each tile; none for any other program.

    lanes: of a vector register, in 32-bit numbers.
    """
    import tvm
    from tvm.s_tir import Schedule

    traces = []
    try:
        found = _convolution(Schedule(module, seed=seed, error_render_level="none"))
        if found is None:
            return []
        rows, registers = found.images * found.height, machine_of(target).registers
        for positions, vectors in _tiles(rows, found.width, found.channels, lanes, registers):
            schedule = Schedule(module, seed=seed, error_render_level="none")
            _apply(schedule, found, (positions, vectors, lanes), is_parallel=is_parallel(target))
            traces.append((module, schedule.trace))
    except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
        return traces  # what follows the convolution is of another form: TVM tells so by refusing a primitive
    return traces


def suggested_points(space: Space, first: int) -> list[Point]:
    """The point that is worth a trial whatever a tuner thinks: the best tile's, the `first` design, or the one behind
    those of tiles in rows.
    """
    if len(space.designs) - first > _MOST_DESIGNS:
        first += _MOST_DESIGNS
    blocks, unrolled = space.designs[first].knobs
    a_block = math.prod(unrolled.choices[0]) * 4 * space.machine.lanes
    shared = [abs(math.log2(choice[-1] * a_block / _GOOD_WEIGHTS_BYTES)) for choice in blocks.choices]
    steps = [abs(math.log2(choice[-1] / _GOOD_STEPS)) for choice in unrolled.choices]
    return [(first, shared.index(min(shared)), steps.index(min(steps)))]


def _tiles(rows: int, width: int, channels: int, lanes: int, registers: int) -> list[tuple[int, int]]:
    """Positions and registers of channels of the best tiles: those whose sums wait least for data and for each other.

    A tile is a part of a row of positions, or whole rows; behind those comes one that lies across the ends of rows,
    where it is better: it reads fewer numbers a product.
    """
    fitting = [
        (positions, vectors)
        for vectors in range(1, _MOST_REGISTERS + 1)
        for positions in range(1, registers)
        if not channels % (vectors * lanes) and positions * vectors + vectors + 1 <= registers
        if not rows * width % positions and _efficiency(positions, vectors) >= _LEAST_EFFICIENCY
    ]
    ranked = sorted(fitting, key=lambda tile: (-_efficiency(*tile), -tile[0] * tile[1]))
    best = [tile for tile in ranked if not _is_across(tile[0], width)][:_MOST_DESIGNS]
    is_better = len(best) == _MOST_DESIGNS and _is_across(ranked[0][0], width)
    return [*best, ranked[0]] if is_better else best


def _is_across(positions: int, width: int) -> bool:
    """Whether a tile lies across the ends of rows."""
    return bool(width % positions and positions % width)


def _efficiency(positions: int, vectors: int) -> float:
    """Share of the multipliers' time: two products and two loads a cycle."""
    sums = positions * vectors
    return sums / max(sums, positions + vectors, _IN_FLIGHT)


def _convolution(schedule: Any) -> _Convolution | None:
    """What is to be known of the block that sums; none for another program."""
    from tvm.sym import detect_linear_equation

    block = convolution_block(schedule)
    if block is None:
        return None
    extents = [int(one.dom.extent) for one in block.iter_vars]
    regions = [*block.reads, *block.writes]
    if extents[4:6] != [1, 1] or extents[6] < _FEWEST_CHANNELS or extents[3] < _FEWEST_FILTERS or len(block.reads) != 2:
        return None
    if {str(region.source.dtype) for region in regions} != {"float32"}:
        return None
    variables = [one.var for one in block.iter_vars]
    for place, region in enumerate(block.reads):
        shape = [int(size) for size in region.source.shape]
        if [shape[0], shape[-1]] != [extents[0], extents[6]]:
            continue
        terms = [detect_linear_equation(index.min, variables) for index in region.region]
        strides = [int(one[axis]) if len(one) else 0 for one, axis in zip(terms, (0, 1, 2, 6), strict=True)]
        if [strides[0], strides[3]] == [1, 1] and all(strides):
            return _Convolution(str(block.name_hint), place, shape[1:3] != extents[1:3], *extents[:4])
    return None


def _apply(schedule: Any, found: _Convolution, tile: tuple[int, int, int], *, is_parallel: bool) -> None:
    positions, registers, lanes = tile

    def place(image: Any, row: Any, column: Any) -> Any:
        return (image * found.height + row) * found.width + column

    last = inline_others(schedule, found.name)
    summing = schedule.get_sblock(found.name)
    schedule.transform_layout(summing, ("write", 0), lambda n, h, w, c: (place(n, h, w), c))
    if found.leaves_out:
        packing = schedule.reindex(summing, ("read", found.data))
    else:
        packing = schedule.cache_read(summing, found.data, "global")
    schedule.transform_layout(
        packing, ("write", 0), lambda n, h, w, c: (place(n, h, w) // positions, c, place(n, h, w) % positions)
    )
    schedule.transform_block_layout(summing, lambda n, h, w, c, _y, _x, k: (place(n, h, w), c, k))
    if _is_across(positions, found.width):
        schedule.transform_block_layout(last, lambda n, h, w, c: (place(n, h, w), c))
        above, channels = schedule.get_loops(last)
    else:
        *rows, channels = schedule.get_loops(last)
        above = schedule.fuse(*rows)
    tiles, positions_loop = schedule.split(above, [None, positions])
    blocks, vectors, lane = schedule.split(channels, [None, registers, lanes])
    apart, together = tiled(schedule, blocks, None)
    schedule.reorder(apart, tiles, together, positions_loop, vectors, lane)
    schedule.compute_at(summing, together, preserve_unit_loops=True)
    if is_parallel:
        schedule.parallel(schedule.fuse(apart, tiles))
        schedule.parallel(schedule.get_loops(packing)[1])
    schedule.vectorize(lane)
    schedule.unroll(positions_loop)
    schedule.unroll(vectors)
    schedule.set_scope(summing, 0, "local")
    _summed(schedule, summing, registers, lanes)


def _summed(schedule: Any, summing: Any, registers: int, lanes: int) -> None:
    """The sum of a tile."""
    positions, channels, depth = schedule.get_loops(summing)[-3:]
    vectors, lane = schedule.split(channels, [registers, lanes])
    above, unrolled = tiled(schedule, depth, _MOST_UNROLLED)
    schedule.reorder(above, unrolled, positions, vectors, lane)
    summed_in_registers(schedule, summing, above, lane, unrolled, positions, vectors)
