"""What the planner spares of a sweep that was really measured, and what it misses: the recorded sweep, replayed.

The sweep is a grid of untuned cells whose every cell is measured on this machine, which takes some ten minutes of a
core; a folder that has it is taken as it is. Then the state machine runs it again once a seed, with the recorded
results: the planner learns from them as it would have, and is held against what it did not know.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import sweep
from benchmarks.results import conditions, print_table, save
from sweep.analysis.outcome import MEASURED
from sweep.api.session.reporting import current_outcome
from sweep.planning.kinds import place_of
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.running.events import Event, SkipCell, StageDone, Start, Tick
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import restore
from sweep.running.machine import Machine
from sweep.running.options import RunOptions
from sweep.running.pruning.predictive_admission import PredictiveAdmission
from sweep.running.slots import Need
from sweep.study.axes import compared_within
from sweep.study.cell_values import values_on
from sweep.study.planner_options import PlannerOptions

__all__ = ["bench_planner_replay", "replay", "replayed"]

SEEDS = 10
NEAR = 0.02
"""A cell within so much of the best is as good."""
MOST_MEASURED = 0.35
_COMPILE, _DEVICE = "compile", "device"
AT_ONCE = 8
"""Cells that are under way on the device, as in a run: what they come to is not known when the next is chosen."""
STUDY = """
study: planner-replay
question: Which level, layout and target is best for two networks?
models: [onnx-light:squeezenet, onnx-light:shufflenet]
targets: [native, {name: avx2, kind: llvm, mcpu: core-avx2}, {name: avx, kind: llvm, mcpu: sandybridge},
          {name: sse, kind: llvm, mcpu: nehalem}]
opt_levels: [0, 1, 2, 3, 4]
axes: {layout: [NCHW, NHWC]}
runtimes: [tvm]
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 20}
final: null
"""
CLUSTER = "{name: replay, engine: inline, devices: [{key: here, cores: [-1]}], mlflow: {enabled: false}}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One run of the planner over the recorded sweep."""

    seed: int
    cells: int
    measured: int
    found_after: int
    """Cells that had been begun when one near the best of each group was; all, where one never was."""
    worst: float
    """Of all groups: the best that was measured over the best there is, less 1."""
    skipped: int
    """By prediction; the others are measured, or in the audit."""
    wrongly: int
    """Of these, cells that were faster than the best of their group that was known then, by more than NEAR."""

    @property
    def is_good(self) -> bool:
        """Whether each group's best was found with few cells."""
        return self.worst <= NEAR and self.found_after <= MOST_MEASURED * self.cells

    @property
    def is_short(self) -> bool:
        """Whether no more than that was measured in all."""
        return self.is_good and self.measured <= MOST_MEASURED * self.cells


def bench_planner_replay(folder: Path, seeds: int = SEEDS, options: PlannerOptions | None = None) -> list[Replayed]:
    """Measure the sweep where `folder` has it not yet, replay it, print and save what came of it."""
    home = _recorded(folder)
    options = options or PlannerOptions(prune=0.75, audit=0.05)
    runs = [replayed(home, options, seed) for seed in range(seeds)]
    rows = [
        [str(run.seed), *(f"{count} of {run.cells}" for count in (run.found_after, run.measured)), f"{run.worst:.1%}",
         f"{run.wrongly} of {run.skipped}", str(run.is_good)]
        for run in runs
    ]  # fmt: skip
    titles = ["seed", "best found after", "measured in all", "worst best", "wrongly skipped", "good"]
    print_table("the planner on a measured sweep", titles, rows)
    good, short = sum(run.is_good for run in runs), sum(run.is_short for run in runs)
    print(f"{good} of {len(runs)} seeds find the best within {NEAR:.0%} with at most {MOST_MEASURED:.0%} measured")
    print(f"{short} of {len(runs)} measure no more than that in all")
    after, share = (median(getattr(run, name) / run.cells for run in runs) for name in ("found_after", "measured"))
    print(f"median: found after {after:.1%}, measured {share:.1%}; worst best {max(run.worst for run in runs):.1%}")
    told = [asdict(run) for run in runs]
    save(folder, "planner_replay", {"runs": told, "good": good, "conditions": conditions(seeds=seeds)})
    return runs


def _recorded(folder: Path) -> Path:
    study, cluster = folder / "study.yaml", folder / "cluster.yaml"
    if not study.exists():
        study.write_text(STUDY)
        cluster.write_text(CLUSTER)
    sweep.run(sweep.load_study(study), sweep.load_cluster(cluster), out=folder / "sweep")
    return folder / "sweep"


def replayed(home: Path, options: PlannerOptions, seed: int) -> Replayed:
    """Run the planner over a sweep with its recorded results. A cell without a latency is no part of it."""
    plan, seconds = restore(home).plan, _seconds(home)
    plan = _of(plan, [index for index, one in enumerate(plan.cells) if one.cell.id in seconds])
    results = {stage_id: one.result for stage_id, one in read_ledger(home).done.items()}
    return replay(plan, seconds, results, options, seed)


def replay(
    plan: Plan, seconds: Mapping[str, float], results: Mapping[str, StageResult], options: PlannerOptions, seed: int
) -> Replayed:
    """Run the planner over a plan whose results are known.

    seconds: what each cell takes, by its id. results: of all stages, by their ids.
    """
    policy = PredictiveAdmission(plan, options, earlier={}, seed=seed)
    started, skipped = _run(plan, policy, results)
    group = values_on(compared_within())
    best: dict[Hashable, float] = defaultdict(lambda: math.inf)
    for one in plan.cells:
        best[group(one.cell)] = min(best[group(one.cell)], seconds[one.cell.id])
    of_goal = {one.goals[0]: one.cell for one in plan.cells}
    measured = [of_goal[stage] for stage in started if stage in of_goal]
    found: dict[Hashable, float] = defaultdict(lambda: math.inf)
    after = len(plan.cells)
    for count, cell in enumerate(measured, start=1):
        found[group(cell)] = min(found[group(cell)], seconds[cell.id])
        if all(found[place] <= (1 + NEAR) * best[place] for place in best):
            after = min(after, count)
    wrongly = sum(seconds[plan.cells[index].cell.id] < (1 - NEAR) * one.best_s for index, one in skipped.items())
    worst = max(found[place] / best[place] - 1 for place in best)
    return Replayed(seed, len(plan.cells), len(measured), after, worst, len(skipped), wrongly)


def _run(
    plan: Plan, policy: PredictiveAdmission, results: Mapping[str, StageResult]
) -> tuple[list[str], dict[int, PredictedLatency]]:
    """Ids of the stages that were started, in order, and the cells that were skipped by a prediction."""
    machine = Machine(
        plan, needs=_needs, capacity={_COMPILE: 2, _DEVICE: AT_ONCE}, options=RunOptions(admission=policy)
    )
    started: list[str] = []
    skipped: dict[int, PredictedLatency] = {}
    events: list[Event] = [Tick(0.0)]
    while events:
        for instruction in machine.handle(events.pop(0)):
            if isinstance(instruction, Start):
                started.append(instruction.stage_id)
                events.append(StageDone(instruction.stage_id, float(len(started)), results[instruction.stage_id]))
            elif isinstance(instruction, SkipCell) and instruction.predicted is not None:
                skipped[instruction.cell] = instruction.predicted
    return started, skipped


def _needs(stage: Stage) -> tuple[Need, ...]:
    """Of a plan that was read back, whose stages have no options."""
    return (Need(_DEVICE if place_of(stage) is Place.DEVICE else _COMPILE),)


def _seconds(home: Path) -> dict[str, float]:
    """Median of each measured cell, also where it was disturbed: here it is the truth that is to be found."""
    found = {}
    for outcome in current_outcome(home).cells:
        measured = outcome.result(Measurement)
        if outcome.status in MEASURED and measured is not None and measured.median_s is not None:
            found[outcome.cell.id] = measured.median_s
    return found


def _of(plan: Plan, indices: Sequence[int]) -> Plan:
    from sweep.planning.narrowing import of_cells

    return of_cells(plan, {plan.cells[index].cell.id for index in indices})


def _main(arguments: Sequence[str]) -> Any:
    return bench_planner_replay(Path(arguments[0]))


if __name__ == "__main__":
    import sys

    _main(sys.argv[1:])
