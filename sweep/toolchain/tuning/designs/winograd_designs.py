"""Designs for convolutions by Winograd's forms: one of each form, of the program that the form makes of a convolution.

Some tiles are taken at a time: their data are transformed, multiplied with the transformed weights and transformed
back, and the outputs finished (bias, activation), before the next ones begin; so what lies between is in the caches.
The products are sums in registers, of a few tiles and a few vectors of output channels. What is open is how many tiles
are taken at a time, and how large the tile in registers is.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import is_parallel
from sweep.toolchain.tuning.designs.schedule_steps import fitting_lanes, inline_others
from sweep.toolchain.winograd.program import convolution_in, program_of
from sweep.toolchain.winograd.winograd_form import FORMS

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

    from sweep.search.space import Point, Space

__all__ = ["suggested_points", "winograd_traces"]

_MOST_ROWS, _MOST_COLUMNS, _MOST_VECTORS = 4, 14, 4
"""Of tiles in registers, and of output channels."""
_OUTPUT_AXIS, _INPUT_AXIS = 3, 6
"""Channels, of the axes of a convolution."""
_PRODUCTS_A_READ = 9
"""In the time that a weight takes from the memory."""
_SUGGESTED = 4
"""Of each form."""


def winograd_traces(module: IRModule, target: Target, lanes: int, seed: int) -> list[tuple[IRModule, Trace]]:
    """The designs of such a convolution, each with its program; none for any other program.

    lanes: of a vector register, in 32-bit numbers.
    """
    import tvm
    from tvm.s_tir import Schedule

    convolution = convolution_in(module["main"])
    if convolution is None:
        return []
    channels = math.gcd(convolution.inputs, convolution.output[3])
    fitting = fitting_lanes(lanes, channels)
    if not fitting:
        return []
    traces = []
    for form in FORMS:
        if convolution.gains_by(form):
            program = program_of(module, convolution, form)
            schedule = Schedule(program, seed=seed, error_render_level="none")
            try:
                _apply(schedule, form.outputs, fitting, is_parallel=is_parallel(target))
            except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
                return []  # what follows the convolution is of another form: TVM tells so by refusing a primitive
            traces.append((program, schedule.trace))
    return traces


def _apply(schedule: Any, step: int, lanes: int, *, is_parallel: bool) -> None:
    own = ("data", "rows", "tiles", "products", "columns", "back")
    last = inline_others(schedule, *(f"winograd_{name}" for name in own))
    data, rows, tiles, products, columns, back = (schedule.get_sblock(f"winograd_{name}") for name in own)
    image, height, width, channels = schedule.get_loops(last)
    above_rows, in_row = schedule.split(height, [None, step])
    above_columns, in_column = schedule.split(width, [None, step])
    vectors, lane = schedule.split(channels, [None, lanes])
    of_rows = schedule.sample_perfect_tile(above_rows, 3, _MOST_ROWS)
    of_columns = schedule.sample_perfect_tile(above_columns, 3, _MOST_COLUMNS)
    of_vectors = schedule.sample_perfect_tile(vectors, 2, _MOST_VECTORS)
    row_strips, *rows_inside = schedule.split(above_rows, of_rows)
    column_strips, *columns_inside = schedule.split(above_columns, of_columns)
    schedule.reorder(image, row_strips, column_strips, *rows_inside, *columns_inside, vectors, in_row, in_column, lane)
    _finished(schedule, (in_row, in_column), lane)
    for block in (back, columns):
        schedule.compute_at(block, vectors, preserve_unit_loops=True)
        _in_registers(schedule, block)
    schedule.compute_at(products, column_strips, preserve_unit_loops=True)
    schedule.compute_at(tiles, column_strips, preserve_unit_loops=True)
    e, f, *place, inputs = schedule.get_loops(tiles)[-6:]
    above_inputs, input_lane = schedule.split(inputs, [None, lanes])
    schedule.reorder(*place, above_inputs, e, f, input_lane)
    schedule.compute_at(rows, above_inputs, preserve_unit_loops=True)
    _in_registers(schedule, rows)
    _finished(schedule, (e, f), input_lane)
    schedule.compute_at(data, column_strips, preserve_unit_loops=True)
    schedule.vectorize(schedule.split(schedule.get_loops(data)[-1], [None, lanes])[1])
    if is_parallel:
        schedule.parallel(schedule.fuse(image, row_strips, column_strips))
    _multiplied(schedule, products, (of_rows[-1], of_columns[-1], of_vectors[-1]), lanes)


def _finished(schedule: Any, unrolled: tuple[Any, ...], lane: Any) -> None:
    schedule.vectorize(lane)
    for loop in unrolled:
        schedule.unroll(loop)


def _in_registers(schedule: Any, block: Any) -> None:
    """A transform of one tile and one vector of channels."""
    *unrolled, lane = schedule.get_loops(block)[-5:]
    _finished(schedule, tuple(unrolled), lane)
    schedule.set_scope(block, 0, "local")


def _multiplied(schedule: Any, products: Any, tile: tuple[Any, Any, Any], lanes: int) -> None:
    """The products, with sums in registers. Loops over them are unrolled: sums that a loop indexes are in memory."""
    written = schedule.cache_write(products, 0, "local")
    e, f, image, rows, columns, channels = schedule.get_loops(written)[-6:]
    above_rows, rows = schedule.split(rows, [None, tile[0]])
    above_columns, columns = schedule.split(columns, [None, tile[1]])
    above_vectors, vectors, lane = schedule.split(channels, [None, tile[2], lanes])
    schedule.reorder(e, f, image, above_vectors, above_rows, above_columns, rows, columns, vectors, lane)
    _finished(schedule, (rows, columns, vectors), lane)
    schedule.compute_at(products, above_columns, preserve_unit_loops=True)
    *_, rows, columns, channels, inputs = schedule.get_loops(products)
    vectors, lane = schedule.split(channels, [None, lanes])
    schedule.reorder(inputs, rows, columns, vectors, lane)
    _finished(schedule, (rows, columns, vectors), lane)
    first = schedule.decompose_reduction(products, inputs)
    for loop in schedule.get_loops(first)[-4:-1]:
        schedule.unroll(loop)


def suggested_points(space: Space, first: int) -> list[Point]:
    """Points of these designs that are worth a trial whatever a tuner thinks; `first`: the number of their first.

    Those of the form with less work come first: larger tiles have fewer products, and more weights to read.
    """
    by_design: list[list[Point]] = []
    for number in sorted(range(first, len(space.designs)), key=lambda number: _work(space, number)):
        knobs = space.designs[number].knobs
        points = itertools.product(*(range(len(knob.choices)) for knob in knobs))
        values = {point: [knob.choices[at] for knob, at in zip(knobs, point, strict=True)] for point in points}
        ranked = sorted(values, key=lambda point: _distance(space, *values[point]))
        by_design.append([(number, *point) for point in ranked[:_SUGGESTED]])
    return [point for together in zip(*by_design, strict=False) for point in together]


def _work(space: Space, number: int) -> int:
    """Of a form: products of each pair of channels, with the time that its weights take."""
    assert space.nest is not None
    rows, columns, _ = (math.prod(knob.choices[0]) for knob in space.designs[number].knobs)
    size = next(form.size for form in FORMS if math.ceil(space.nest.axes[1].extent / form.outputs) == rows)
    return size**2 * (space.nest.axes[0].extent * rows * columns + _PRODUCTS_A_READ)


def _distance(space: Space, rows: tuple[int, ...], columns: tuple[int, ...], vectors: tuple[int, ...]) -> float:
    """From a tile in registers that keeps a core busy and fits, reads few numbers a product, and from so many tiles
    at a time that their data and products are as many numbers as the weights, which are read anew each time, and that
    each thread has some.
    """
    assert space.nest is not None
    outputs, inputs = (space.nest.axes[axis].extent for axis in (_OUTPUT_AXIS, _INPUT_AXIS))
    positions, registers = rows[-1] * columns[-1], vectors[-1]
    sums, at_a_time = positions * registers, math.prod((*rows[1:], *columns[1:]))
    most = space.machine.registers - registers - 1
    busy = abs(math.log2(2 * sums / space.machine.registers)) + 0.1 * abs(math.log2(positions / registers / 2))
    idle = max(0.0, math.log2(space.machine.threads / (rows[0] * columns[0])))
    return 2 * idle + busy + (sums > most) + 0.3 * abs(math.log2(at_a_time * (outputs + inputs) / (outputs * inputs)))
