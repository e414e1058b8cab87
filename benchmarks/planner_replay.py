"""What the planner spares of a sweep that was really measured, and what it misses: the recorded sweep, replayed.

The sweep is a grid of untuned cells whose every cell is measured on this machine, which takes some ten minutes of a
core; a folder that has it is taken as it is. Then the state machine runs it again once a seed, with the recorded
results: the planner learns from them as it would have, and is held against what it did not know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import sweep
from benchmarks.results import conditions, print_table, save
from sweep.analysis.outcome import MEASURED
from sweep.api.session.reporting import current_outcome
from sweep.planning.kinds import place_of
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.planning.stage_kind import Place
from sweep.running.events import Event, StageDone, Start, Tick
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import restore
from sweep.running.machine import Machine
from sweep.running.pruning.predictive_admission import PredictiveAdmission
from sweep.running.slots import Need
from sweep.study.axes import compared_within
from sweep.study.cell_values import values_on
from sweep.study.planner_options import PlannerOptions

__all__ = ["bench_planner_replay", "replayed"]

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
    worst: float
    """Of all groups: the best that was measured over the best there is, less 1."""

    @property
    def is_good(self) -> bool:
        """Whether each group's best was found with few cells."""
        return self.worst <= NEAR and self.measured <= MOST_MEASURED * self.cells


def bench_planner_replay(folder: Path, seeds: int = SEEDS, options: PlannerOptions | None = None) -> list[Replayed]:
    """Measure the sweep where `folder` has it not yet, replay it, print and save what came of it."""
    home = _recorded(folder)
    options = options or PlannerOptions(prune=0.75, audit=0.05)
    runs = [replayed(home, options, seed) for seed in range(seeds)]
    rows = [[str(run.seed), f"{run.measured} of {run.cells}", f"{run.worst:.1%}", str(run.is_good)] for run in runs]
    print_table("the planner on a measured sweep", ["seed", "cells measured", "worst best", "good"], rows)
    good = sum(run.is_good for run in runs)
    share = median(run.measured / run.cells for run in runs)
    print(f"{good} of {len(runs)} seeds find the best within {NEAR:.0%} with at most {MOST_MEASURED:.0%} measured")
    print(f"median share measured {share:.1%}, worst best {max(run.worst for run in runs):.1%}")
    told = [{"seed": run.seed, "cells": run.cells, "measured": run.measured, "worst": run.worst} for run in runs]
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
    policy = PredictiveAdmission(plan, options, earlier={}, seed=seed)
    started = _run(plan, policy, results)
    found: dict[Hashable, float] = defaultdict(lambda: float("inf"))
    best: dict[Hashable, float] = defaultdict(lambda: float("inf"))
    group, measured = values_on(compared_within()), 0
    for one in plan.cells:
        place, value = group(one.cell), seconds[one.cell.id]
        best[place] = min(best[place], value)
        if one.goals[0] in started:
            found[place], measured = min(found[place], value), measured + 1
    return Replayed(seed, len(plan.cells), measured, max(found[place] / best[place] - 1 for place in best))


def _run(plan: Plan, policy: PredictiveAdmission, results: dict[str, StageResult]) -> set[str]:
    """Ids of the stages that were started."""
    machine = Machine(plan, needs=_needs, capacity={_COMPILE: 2, _DEVICE: AT_ONCE}, admission=policy)
    started: list[str] = []
    events: list[Event] = [Tick(0.0)]
    while events:
        for instruction in machine.handle(events.pop(0)):
            if isinstance(instruction, Start):
                started.append(instruction.stage_id)
                events.append(StageDone(instruction.stage_id, float(len(started)), results[instruction.stage_id]))
    return set(started)


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
