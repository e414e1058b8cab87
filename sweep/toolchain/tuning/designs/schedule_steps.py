"""Steps that several of our own designs take: what is computed in place, tiles with a knob, sums in registers; and what
a program asks for each number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sweep.toolchain.tuning.designs.loop_nest import REDUCES

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace

__all__ = [
    "conditions_in",
    "convolution_block",
    "fitting_lanes",
    "inline_others",
    "mentions",
    "one_design",
    "summed_in_registers",
    "tiled",
]

_FEWEST_LANES = 4

_KINDS = [0, 0, 0, 0, REDUCES, REDUCES, REDUCES]
"""Of the axes of a convolution: N, H, W, C, those of the window and those of the data's channels."""


def one_design(module: IRModule, seed: int, apply: Callable[[Any], bool]) -> list[tuple[IRModule, Trace]]:
    """The one design of a program; none where `apply`, which schedules it, says no or takes a step that TVM refuses, as
    something else is fused with it.
    """
    import tvm
    from tvm.s_tir import Schedule

    schedule = Schedule(module, seed=seed, error_render_level="none")
    try:
        is_one = apply(schedule)
    except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
        return []
    return [(module, schedule.trace)] if is_one else []


def fitting_lanes(lanes: int, extent: int) -> int:
    """Numbers of a vector, at most so many, of which an extent is a multiple; 0 where it is none of any."""
    narrower = (lanes, lanes // 2, lanes // 4)
    return next((width for width in narrower if width >= _FEWEST_LANES and not extent % width), 0)


def convolution_block(schedule: Any) -> Any | None:
    """The block of a program that sums, where it is the only one and has the axes of a convolution."""
    blocks = [schedule.get(one) for one in schedule.get_child_blocks(schedule.get_sblock("root"))]
    summing = [block for block in blocks if any(int(one.iter_type) == REDUCES for one in block.iter_vars)]
    is_one = len(summing) == 1 and [int(one.iter_type) for one in summing[0].iter_vars] == _KINDS
    return summing[0] if is_one else None


def inline_others(schedule: Any, *names: str) -> Any:
    """Compute all blocks where they are read, but those of these names and the output's, which it gives."""
    root = schedule.get_sblock("root")
    [last] = schedule.get_output_blocks(root)
    kept = {*names, str(schedule.get(last).name_hint)}
    for block in schedule.get_child_blocks(root):
        if str(schedule.get(block).name_hint) not in kept:
            schedule.compute_inline(block)
    return last


def tiled(schedule: Any, loop: Any, most: int | None) -> tuple[Any, Any]:
    """A loop in two, of which the inner one is at most so long; which is a knob."""
    factors = schedule.sample_perfect_tile(loop, 2, most or int(schedule.get(loop).extent))
    above, tile = schedule.split(loop, factors)
    return above, tile


def summed_in_registers(schedule: Any, summing: Any, above: Any, lane: Any, *unrolled: Any) -> None:
    """Begin the sums of a tile at `above`, and unroll the loops inside but for the vector's: sums that a loop indexes
    are in memory.
    """
    schedule.vectorize(lane)
    first = schedule.decompose_reduction(summing, above)
    *_, zero_positions, zero_vectors, _ = schedule.get_loops(first)
    for loop in (*unrolled, zero_positions, zero_vectors):
        schedule.unroll(loop)


def conditions_in(statement: Any) -> list[Any]:
    """What a program asks to tell which of two values a number is."""
    from tvm.ir.expr import Call
    from tvm_ffi import structural_visit

    conditions: list[Any] = []

    def visit(call: Any, visitor: Any) -> None:
        if str(getattr(call.op, "name", "")).endswith("if_then_else"):
            conditions.append(call.args[0])
        visitor.default_visit(call)

    structural_visit(statement, [(Call, visit)])
    return conditions


def mentions(expression: Any, index: Any) -> bool:
    """Whether a variable is in an expression."""
    from tvm import tirx
    from tvm_ffi import structural_visit

    found: list[bool] = []
    structural_visit(expression, [(tirx.Var, lambda variable, _: found.append(bool(variable.same_as(index))))])
    return any(found)
