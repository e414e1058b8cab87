"""TVM's design spaces of a workload as a plain search space, and points of it as schedules.

A design is a trace that MetaSchedule's rules have made; its sampling instructions are the knobs. Replaying a trace with
other decisions costs 5 ms for a convolution and the post-processing 10 ms more, so only points that are to be measured
are replayed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sweep.search.space import Access, Axis, Design, Knob, Machine, Nest, Point, Space

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir import Schedule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

__all__ = ["Designs", "ScheduledPoint", "flops_of", "machine_of"]

_PROBES = 6  # random replays that show which compute locations a block can have
_TILING = "meta_schedule.tiling_structure"
_TILE, _CHOICE, _LOCATION = "SamplePerfectTile", "SampleCategorical", "SampleComputeLocation"
_KINDS = {_TILE: "tile", _CHOICE: "choice", _LOCATION: "location"}
_REDUCES = 2  # tirx.IterVar.CommReduce


@dataclass(frozen=True, slots=True)
class ScheduledPoint:
    """A point that became a schedule."""

    schedule: Schedule
    point: Point
    """As it was carried out: a compute location that a block cannot have was replaced by the nearest one."""


class Designs:
    """The designs of one workload for one target."""

    def __init__(self, module: IRModule, target: Target, name: str, seed: int) -> None:
        """Generate them. Raises what TVM raises when it cannot."""
        from tvm.s_tir.meta_schedule import TuneContext

        self._module = module
        context = TuneContext(
            mod=module,
            target=target,
            space_generator="post-order-apply",
            task_name=name,
            num_threads=1,
            rand_state=seed,
        )
        self._context = context
        self._seed = seed
        self._traces: list[Trace] = [schedule.trace for schedule in context.generate_design_space()]
        self._shapes = [_shape(trace) for trace in self._traces]
        self._samplers = [_samplers(trace) for trace in self._traces]
        nest, block = _nest(module, self._traces)
        self.space = Space(
            designs=tuple(
                Design(tuple(self._knobs(number, block)), is_fused)
                for number, is_fused in enumerate(_are_fused(self._traces))
            ),
            nest=nest,
            machine=machine_of(target),
            flops=flops_of(module),
        )

    def schedule(self, point: Point) -> ScheduledPoint | None:
        """The schedule of a point with every post-processing, or None where there is none."""
        trace = self._traces[point[0]]
        knobs = self.space.designs[point[0]].knobs
        for instruction, knob, choice in zip(self._samplers[point[0]], knobs, point[1:], strict=True):
            trace = trace.with_decision(instruction, _decision(knob, choice), True)
        schedule = self._replay(trace)
        if schedule is None:
            return None
        schedule.enter_postproc()
        if not all(postprocessor.apply(schedule) for postprocessor in self._context.space_generator.postprocs):
            return None
        return ScheduledPoint(schedule, self.point_of(schedule.trace, point[0]) or point)

    def point_of(self, trace: Trace, design: int | None = None) -> Point | None:
        """The point of a trace that was made from one of the designs; None for another."""
        samplers = _samplers(trace)
        decisions = [trace.get_decision(instruction) for instruction in samplers]
        shape = _shape(trace) if design is None else ""
        for number in range(len(self._traces)) if design is None else (design,):
            knobs = self.space.designs[number].knobs
            if len(knobs) != len(samplers) or (design is None and self._shapes[number] != shape):
                continue
            choices = [_choice(knob, decision) for knob, decision in zip(knobs, decisions, strict=True)]
            if None not in choices:
                return (number, *(choice for choice in choices if choice is not None))
        return None

    def point_of_json(self, trace: Any) -> Point | None:
        """The point of a native trace as JSON; None for one that was not made from one of the designs."""
        import tvm
        from tvm.s_tir import Schedule
        from tvm.s_tir.schedule import Trace as NativeTrace

        schedule = Schedule(self._module, error_render_level="none")
        try:
            NativeTrace.apply_json_to_schedule(trace, schedule)
        except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
            return None
        return self.point_of(schedule.trace)

    def _replay(self, trace: Trace, seed: int | None = None, decide: Any = None) -> Schedule | None:
        import tvm
        from tvm.s_tir import Schedule

        schedule = Schedule(self._module, seed=self._seed if seed is None else seed, error_render_level="none")
        try:
            trace.apply_to_schedule(schedule, True, decide)
        except (tvm.error.InternalError, ValueError, TypeError, RuntimeError):
            return None  # decisions that do not go together: TVM tells so by refusing a primitive
        return schedule

    def _knobs(self, number: int, block: Any) -> list[Knob]:
        trace = self._traces[number]
        locations = self._locations(number)
        knobs = []
        for position, instruction in enumerate(self._samplers[number]):
            kind = str(instruction.kind.name)
            if kind == _TILE:
                parts, longest = int(instruction.attrs[0]), int(instruction.attrs[1])
                extent = 1
                for factor in trace.decisions[instruction]:
                    extent *= int(factor)
                knobs.append(Knob("tile", _tilings(extent, parts, longest), _axis_of(trace, instruction, block)))
            elif kind == _CHOICE:
                knobs.append(Knob("choice", tuple((int(value),) for value in instruction.attrs[0])))
            else:
                knobs.append(Knob("location", tuple((value,) for value in locations[position])))
        return knobs

    def _locations(self, number: int) -> Mapping[int, Sequence[int]]:
        """What random replays, with no decision given, have chosen for each compute location."""
        wanted = [p for p, i in enumerate(self._samplers[number]) if str(i.kind.name) == _LOCATION]
        if not wanted:
            return {}
        seen: dict[int, set[int]] = {
            p: {int(self._traces[number].decisions[self._samplers[number][p]])} for p in wanted
        }
        for probe in range(_PROBES):
            schedule = self._replay(self._traces[number], self._seed + probe + 1, lambda *_: None)
            if schedule is None:
                continue
            samplers = _samplers(schedule.trace)
            for p in wanted:
                seen[p].add(int(schedule.trace.decisions[samplers[p]]))
        return {p: range(min(-1, *values), max(values) + 1) for p, values in seen.items()}


def machine_of(target: Target) -> Machine:
    """What a schedule has to fit, from the target's features."""
    from tvm.target import codegen

    bits = int(codegen.llvm_get_vector_width(target)) if str(target.kind.name) == "llvm" else 128
    wide = bits >= 512 or str(target.attrs.get("mtriple", "")).startswith(("aarch64", "arm64"))
    cores = target.attrs.get("num-cores")
    return Machine(
        lanes=max(1, bits // 32), registers=32 if wide else 16, threads=1 if cores is None else max(1, int(cores))
    )


def _samplers(trace: Trace) -> list[Any]:
    return [instruction for instruction in trace.insts if str(instruction.kind.name) in _KINDS]


def _shape(trace: Trace) -> str:
    """A trace without its decisions, its post-processing and what has no effect (MetaSchedule's own strategies leave
    that out): equal for the points of one design.
    """
    lines = [re.sub(r",? ?decision=.*\)$", ")", str(line)) for line in trace.simplified(True).as_python(True)]
    return "\n".join(lines)


def _decision(knob: Knob, choice: int) -> Any:
    values = knob.choices[choice]
    if knob.kind == "tile":
        return list(values)
    return choice if knob.kind == "choice" else values[0]


def _choice(knob: Knob, decision: Any) -> int | None:
    """The index of the choice that a decision is; a location that was not seen before is the nearest one."""
    if decision is None:
        return None
    if knob.kind == "tile":
        factors = tuple(int(factor) for factor in decision)
        return knob.choices.index(factors) if factors in knob.choices else None
    value = int(decision)
    if knob.kind == "choice":
        return value if value < len(knob.choices) else None
    return min(max(value - knob.choices[0][0], 0), len(knob.choices) - 1)


@lru_cache(maxsize=4096)
def _tilings(extent: int, parts: int, longest: int) -> tuple[tuple[int, ...], ...]:
    """All ways to write an extent as a product, the last factor at most `longest`; sorted from the innermost outwards,
    so that neighbours differ little in what matters most.
    """

    def split(rest: int, count: int) -> list[tuple[int, ...]]:
        if count == 1:
            return [(rest,)]
        return [
            (*outer, inner)
            for inner in range(1, rest + 1)
            if rest % inner == 0
            for outer in split(rest // inner, count - 1)
        ]

    found = [factors for factors in split(extent, parts) if factors[-1] <= longest]
    return tuple(sorted(found, key=lambda factors: factors[::-1]))


def _axis_of(trace: Trace, instruction: Any, block: Any) -> int | None:
    """The axis of the nest that a tile's loop is: its position among the loops of the tiled block."""
    if block is None:
        return None
    loop = instruction.inputs[0]
    for other in trace.insts:
        if str(other.kind.name) == "GetLoops":
            for position, output in enumerate(other.outputs):
                if output.same_as(loop):
                    return position if _block_name(trace, other.inputs[0]) == block else None
    return None


def _block_name(trace: Trace, block: Any) -> str | None:
    for instruction in trace.insts:
        if str(instruction.kind.name) == "GetSBlock" and instruction.outputs[0].same_as(block):
            return str(instruction.attrs[0])
    return None


def _nest(module: IRModule, traces: Sequence[Trace]) -> tuple[Nest | None, str | None]:
    """The block that multi-level tiling takes apart, and its name."""
    from tvm.s_tir import Schedule
    from tvm.sym import detect_linear_equation

    tiled = [
        _block_name(trace, instruction.inputs[0])
        for trace in traces
        for instruction in trace.insts
        if str(instruction.kind.name) == "Annotate" and str(instruction.attrs[0]) == _TILING
    ]
    name = next((found for found in tiled if found is not None), None)
    if name is None:
        return None, None
    schedule = Schedule(module)
    block = schedule.get(schedule.get_sblock(name))
    variables = [iteration.var for iteration in block.iter_vars]
    free = {int(number) for number in (module["main"].attrs.get("layout_free_buffers") or ())}
    packed = [parameter for number, parameter in enumerate(module["main"].params) if number in free]
    accesses = []
    for region in [*block.writes, *block.reads]:
        dims = []
        for index in region.region:
            terms = detect_linear_equation(index.min, variables)
            strides = [
                (axis, int(terms[axis])) for axis in range(len(variables)) if len(terms) and _is_number(terms[axis])
            ]
            dims.append(tuple((axis, stride) for axis, stride in strides if stride))
        size = _bytes_of(str(region.source.dtype))
        accesses.append(Access(tuple(dims), size, any(region.source.same_as(parameter) for parameter in packed)))
    axes = tuple(Axis(int(i.dom.extent), int(i.iter_type) == _REDUCES) for i in block.iter_vars)
    return Nest(axes, tuple(accesses)), name


def _are_fused(traces: Sequence[Trace]) -> list[bool]:
    """Whether a design computes the tiled block's consumer in its tiles; all count as such where none does."""
    fused = [any(str(i.kind.name) == "ReverseComputeAt" for i in trace.insts) for trace in traces]
    return fused if any(fused) else [True] * len(fused)


def _is_number(term: Any) -> bool:
    try:
        int(term)
    except (TypeError, ValueError):
        return False
    return True


def _bytes_of(dtype: str) -> int:
    bits = "".join(character for character in dtype if character.isdigit())
    return max(1, int(bits or 32) // 8)


def flops_of(module: IRModule) -> float:
    """Floating-point operations of one call."""
    import tvm_ffi

    return float(tvm_ffi.get_global_func("s_tir.analysis.EstimateTIRFlops")(module))
