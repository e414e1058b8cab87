"""The search for one workload: turns a tuner's points into candidates, and tells it what became of them."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.search.strategy import Observation, SearchStrategy
from sweep.toolchain.tuning.records.native_database import PlacedRecord
from sweep.toolchain.tuning.space.design import Designs

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir import Schedule
    from tvm.target import Target

    from sweep.search.space import Point
    from sweep.toolchain.tuning.records.record_store import RecordStore
    from sweep.toolchain.tuning.records.trial_logs import Trial

__all__ = ["Candidate", "WorkloadSearch"]

_MOST_REFUSED = 8  # rounds of points without one new schedule before a space counts as used up
_DESIGN_SEED = 1  # which compute locations are offered must not depend on the study's seed: records outlive it


@dataclass(frozen=True, slots=True)
class Candidate:
    """One schedule to be built and measured."""

    workload: str
    point: Point
    carried_out: Point
    """The point that the schedule is; see `design.ScheduledPoint`."""
    schedule: Schedule
    module_json: str
    """The scheduled IRModule, serialised."""
    args: list[dict[str, Any]]
    """`shape` and `dtype` of each argument."""
    trace_hash: str
    origin: str = "search"


class WorkloadSearch:
    """The search for one workload: asks the tuner for points, and gives candidates."""

    def __init__(
        self, name: str, workload: str, module: IRModule, *, target: Target, tuner: SearchStrategy, store: RecordStore
    ) -> None:
        """What is in the records already is told to the tuner first. Raises what TVM raises."""
        self.name, self.workload = name, workload
        self.designs = Designs(module, target, name, _DESIGN_SEED)
        self.is_exhausted = not self.designs.space.designs
        self.refused = 0
        """Points that have no schedule."""
        self._store, self._target = store, target
        store.database.commit_workload(module)
        self._search = tuner.search(workload, self.designs.space)
        self._seeds: deque[tuple[Point, str]] = deque()
        """With where each comes from."""
        if not store.of(workload).all:
            self.seed(self.designs.suggested, "design")
        self._lost: set[str] = set()
        """Traces that were lost with who built or measured them."""
        self._search.observe(
            [Observation(point, trial.median_s) for trial in store.of(workload).all if (point := self._point_of(trial))]
        )

    def seed(self, points: Iterable[Point], origin: str) -> None:
        """Points that were found good elsewhere: they are measured before the tuner's own."""
        self._seeds.extend((point, origin) for point in points)

    def try_again(self, candidate: Candidate) -> None:
        """A candidate was lost with who built or measured it: it comes next, once, as it may be the reason."""
        if candidate.trace_hash not in self._lost:
            self._lost.add(candidate.trace_hash)
            self._seeds.appendleft((candidate.point, candidate.origin))
            self.is_exhausted = False

    def learn(self, observations: Sequence[Observation]) -> None:
        """What another sweep measured, for a tuner that can use it."""
        learn = getattr(self._search, "learn", None)
        if learn is not None:
            learn(observations)

    def ask(self, count: int) -> list[Candidate]:
        """Up to `count` new candidates; fewer when the space is used up, which sets `is_exhausted`."""
        chosen: dict[str, Candidate] = {}
        for _ in range(_MOST_REFUSED):
            missing = count - len(chosen)
            if missing <= 0 or self.is_exhausted:
                break
            if self._seeds:
                points = [self._seeds.popleft() for _ in range(min(missing, len(self._seeds)))]
            else:
                points = [(point, "search") for point in self._search.propose(missing)]
                self.is_exhausted = not points
            for point, origin in points:
                candidate = self._candidate(point, origin, chosen)
                if candidate is not None:
                    chosen[candidate.trace_hash] = candidate
        else:
            self.is_exhausted = not chosen
        return list(chosen.values())

    def again(self, trial: Trial) -> Candidate | None:
        """The candidate of an earlier trial; None when its decisions are not known here."""
        point = self._point_of(trial)
        scheduled = None if point is None else self.designs.schedule(point)
        if point is None or scheduled is None or _trace_hash(scheduled.schedule) != trial.trace_hash:
            return None
        return _as_candidate(self.workload, point, scheduled.point, scheduled.schedule, trial.origin)

    def record(self, candidate: Candidate, run_secs: Sequence[float]) -> PlacedRecord:
        """The native tuning record of a valid measurement."""
        from tvm.s_tir.meta_schedule.arg_info import ArgInfo
        from tvm.s_tir.meta_schedule.database import TuningRecord

        info = ArgInfo.from_entry_func(candidate.schedule.mod, remove_preproc=True)
        native = self._store.database.commit_workload(self.designs.program(candidate.carried_out[0]))
        record = TuningRecord(candidate.schedule.trace, native.workload, list(run_secs), self._target, info)
        return PlacedRecord(native, record)

    def tell(self, candidate: Candidate, seconds: float | None) -> None:
        """What became of a candidate: its median, or None."""
        points = {candidate.point, candidate.carried_out}
        self._search.observe([Observation(point, seconds) for point in sorted(points)])

    def decisions(self, candidate: Candidate) -> list[Any]:
        """What was decided, as it is kept in the records."""
        knobs = self.designs.space.designs[candidate.carried_out[0]].knobs
        values = [knob.choices[choice] for knob, choice in zip(knobs, candidate.carried_out[1:], strict=True)]
        return [list(v) if knob.kind == "tile" else v[0] for knob, v in zip(knobs, values, strict=True)]

    def point_of(self, design: int | None, decisions: Sequence[Any] | None) -> Point | None:
        """The point of decisions that were kept; None when they are none of this space."""
        space = self.designs.space
        if design is None or decisions is None or not 0 <= design < len(space.designs):
            return None
        knobs = space.designs[design].knobs
        if len(knobs) != len(decisions):
            return None
        choices = []
        for knob, decision in zip(knobs, decisions, strict=True):
            value = tuple(decision) if knob.kind == "tile" else (decision,)
            if value not in knob.choices:
                return None
            choices.append(knob.choices.index(value))
        return (design, *choices)

    def point_of_json(self, trace: Any) -> Point | None:
        """The point of a native trace as JSON; None for one that was not made from these designs."""
        return self.designs.point_of_json(trace)

    def _point_of(self, trial: Trial) -> Point | None:
        return self.point_of(trial.design, trial.decisions)

    def _candidate(self, point: Point, origin: str, chosen: dict[str, Candidate]) -> Candidate | None:
        """None for a point without a schedule, and for one whose schedule was tried: the tuner is told at once."""
        scheduled = self.designs.schedule(point)
        if scheduled is None:
            self.refused += 1
            self._search.observe([Observation(point, None)])
            return None
        trace_hash = _trace_hash(scheduled.schedule)
        tried = self._store.of(self.workload).hashes
        if trace_hash in tried:
            self._search.observe([Observation(point, tried[trace_hash])])
            return None
        if trace_hash in chosen:
            return None
        return _as_candidate(self.workload, point, scheduled.point, scheduled.schedule, origin)


def _trace_hash(schedule: Schedule) -> str:
    return hashlib.sha256(str(schedule.trace).encode()).hexdigest()[:16]


def _as_candidate(workload: str, point: Point, carried_out: Point, schedule: Schedule, origin: str) -> Candidate:
    import tvm
    from tvm.s_tir.meta_schedule.arg_info import ArgInfo

    info = ArgInfo.from_entry_func(schedule.mod, remove_preproc=True)
    args = [{"shape": [int(n) for n in one.shape], "dtype": str(one.dtype)} for one in info]
    text = str(tvm.ir.save_json(schedule.mod))
    return Candidate(workload, point, carried_out, schedule, text, args, _trace_hash(schedule), origin)
