"""TVM's design spaces of a workload as a plain search space, and points of it as schedules.

A design is a trace that MetaSchedule's rules have made; its sampling instructions are the knobs. Replaying a trace with
other decisions costs 5 ms for a convolution and the post-processing 10 ms more, so only points that are to be measured
are replayed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import last_line
from sweep.search.space import Design, Knob, Point, Space
from sweep.toolchain.tuning.designs import (
    concat_designs,
    depthwise_designs,
    dot_designs,
    elementwise_designs,
    grouped_designs,
    pointwise_designs,
    pool_designs,
    row_designs,
    winograd_designs,
)
from sweep.toolchain.tuning.designs.loop_nest import are_fused, axis_of, flops_of, machine_of, nest_of
from sweep.toolchain.tuning.space.knobs import CHOICE, KINDS, LOCATION, TILE, choice_of, decision_of, tilings

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir import Schedule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

__all__ = ["Designs", "ScheduledPoint"]

_log = logging.getLogger(__name__)

_TENSORISED = "meta_schedule.auto_tensorize"
_OWN = (
    (depthwise_designs.depthwise_traces, depthwise_designs.suggested_points),
    (row_designs.row_traces, row_designs.suggested_points),
    (winograd_designs.winograd_traces, winograd_designs.suggested_points),
    (pointwise_designs.pointwise_traces, pointwise_designs.suggested_points),
    (grouped_designs.grouped_traces, grouped_designs.suggested_points),
    (pool_designs.pool_traces, pool_designs.suggested_points),
    (concat_designs.concat_traces, concat_designs.suggested_points),
    (elementwise_designs.elementwise_traces, elementwise_designs.suggested_points),
)
"""Designs beside those of TVM, each with its program, and the points of them that are worth a trial; a program has one
kind at most.
"""
_PROBES = 6  # random replays that show which compute locations a block can have


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
        from tvm.s_tir.meta_schedule.schedule_rule import ScheduleRule
        from tvm.s_tir.meta_schedule.space_generator import PostOrderApply

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
        dots = dot_designs.dot_traces(module, target, seed)
        self._is_dot = dots is not None
        self._traces = dots or _sound(context.generate_design_space())
        if not self._traces:
            plain = PostOrderApply(sch_rules=ScheduleRule.create("llvm"))
            self._context = TuneContext(
                mod=module, target=target, space_generator=plain, task_name=name, num_threads=1, rand_state=seed
            )
            self._traces = _sound(self._context.generate_design_space())
        self._programs: list[IRModule] = [module] * len(self._traces)
        machine = machine_of(target)
        self._own_from = len(self._traces)
        """The number of the first design that is no rule's: these come last, so that records keep their numbers."""
        self._suggest: Callable[[Space, int], Sequence[Point]] = _nothing
        for traces, suggest in () if self._is_dot else _OWN:
            try:
                own = traces(module, target, machine.lanes, seed)
            except Exception as error:  # noqa: BLE001 - a program that nobody foresaw: TVM's designs serve it
                _log.warning("%s: designs beside TVM's cannot be made: %s", name, last_line(error))
                continue
            if own:
                self._programs += [program for program, _ in own]
                self._traces += [trace for _, trace in own]
                self._suggest = suggest
                break
        self._shapes = [_shape(trace) for trace in self._traces]
        self._samplers = [_samplers(trace) for trace in self._traces]
        nest, block = nest_of(module, self._traces)
        self.space = Space(
            designs=tuple(
                Design(tuple(self._knobs(number, block if number < self._own_from else None)), is_fused)
                for number, is_fused in enumerate(self._are_fused())
            ),
            nest=nest,
            machine=machine,
            flops=flops_of(module),
        )

    @property
    def suggested(self) -> Sequence[Point]:
        """Points that are worth a trial before any tuner's own; of TVM's designs there are none."""
        if self._is_dot:
            return dot_designs.suggested_points(self.space)
        return self._suggest(self.space, self._own_from)

    def program(self, design: int) -> IRModule:
        """What a design schedules: the workload, or a program that gives the same of a transformed constant."""
        return self._programs[design]

    def schedule(self, point: Point) -> ScheduledPoint | None:
        """The schedule of a point with every post-processing, or None where there is none."""
        trace = self._traces[point[0]]
        knobs = self.space.designs[point[0]].knobs
        for instruction, knob, choice in zip(self._samplers[point[0]], knobs, point[1:], strict=True):
            trace = trace.with_decision(instruction, decision_of(knob, choice), True)
        schedule = self._replay(trace, self._programs[point[0]])
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
            choices = [choice_of(knob, decision) for knob, decision in zip(knobs, decisions, strict=True)]
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

    def _replay(self, trace: Trace, program: IRModule, seed: int | None = None, decide: Any = None) -> Schedule | None:
        import tvm
        from tvm.s_tir import Schedule

        schedule = Schedule(program, seed=self._seed if seed is None else seed, error_render_level="none")
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
            if kind == TILE:
                parts, longest = int(instruction.attrs[0]), int(instruction.attrs[1])
                extent = 1
                for factor in trace.decisions[instruction]:
                    extent *= int(factor)
                knobs.append(Knob("tile", tilings(extent, parts, longest), axis_of(trace, instruction, block)))
            elif kind == CHOICE:
                knobs.append(Knob("choice", tuple((int(value),) for value in instruction.attrs[0])))
            else:
                knobs.append(Knob("location", tuple((value,) for value in locations[position])))
        return knobs

    def _are_fused(self) -> list[bool]:
        return are_fused(self._traces[: self._own_from]) + [True] * (len(self._traces) - self._own_from)

    def _locations(self, number: int) -> Mapping[int, Sequence[int]]:
        """What random replays, with no decision given, have chosen for each compute location."""
        wanted = [p for p, i in enumerate(self._samplers[number]) if str(i.kind.name) == LOCATION]
        if not wanted:
            return {}
        seen: dict[int, set[int]] = {
            p: {int(self._traces[number].decisions[self._samplers[number][p]])} for p in wanted
        }
        for probe in range(_PROBES):
            schedule = self._replay(
                self._traces[number], self._programs[number], self._seed + probe + 1, lambda *_: None
            )
            if schedule is None:
                continue
            samplers = _samplers(schedule.trace)
            for p in wanted:
                seen[p].add(int(schedule.trace.decisions[samplers[p]]))
        return {p: range(min(-1, *values), max(values) + 1) for p, values in seen.items()}


def _nothing(_space: Space, _first: int) -> Sequence[Point]:
    return ()


def _sound(schedules: Sequence[Schedule]) -> list[Trace]:
    """The traces of those that use none of TVM's own instructions for integers: it does not see in which order weights
    lie, and computes nonsense from those that are not packed (docs/tvm-defects.md).
    """
    return [schedule.trace for schedule in schedules if _TENSORISED not in str(schedule.trace)]


def _samplers(trace: Trace) -> list[Any]:
    return [instruction for instruction in trace.insts if str(instruction.kind.name) in KINDS]


def _shape(trace: Trace) -> str:
    """A trace without its decisions, its post-processing and what has no effect (MetaSchedule's own strategies leave
    that out): equal for the points of one design.
    """
    lines = [re.sub(r",? ?decision=.*\)$", ")", str(line)) for line in trace.simplified(True).as_python(True)]
    return "\n".join(lines)
