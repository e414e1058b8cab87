"""Trials of the pooled plan against the naive loop: nine networks x two targets x opt levels 1 to 3. Nothing is tuned.

The naive loop tunes every task of every model, target and level anew, and gives each its trials, as MetaSchedule does.
The pooled plan tunes a workload once for each target, a trivial one (no block reduces) with one trial, and of workloads
of one family (the same heavy block, with something else around it) one, the others with a few trials. What the sharing
alone saves is printed too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import conditions, print_table, read_json, save
from benchmarks.tuning.network import CLUSTER, DEVICE
from benchmarks.tuning.zoo import CLASSIC
from sweep.engine.stage_calls import compile_call, folder_of
from sweep.planning.kinds import kind_of
from sweep.planning.planner import make_plan
from sweep.planning.results.compiling import LoweredTask
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.planning.trial_count import trials_together
from sweep.running.contract import Attempt
from sweep.study.gate import load_cluster, load_study
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["Budget", "bench_plan", "count_trials"]

TARGETS = ("native", "llvm -mcpu=core-avx2")
LEVELS = (1, 2, 3)
TRIALS_PER_TASK = 64


@dataclass(frozen=True, slots=True)
class Budget:
    """Trials that a grid costs."""

    tasks: int
    """Over all models, targets and levels."""
    workloads: int
    """Different ones, for each target."""
    trivial: int
    """Of those, workloads with nothing to decide."""
    families: int
    """Of those that are left, different heavy blocks, for each target."""
    naive: int
    """Every task gets its trials."""
    naive_trivial_once: int
    """Every task gets its trials, a trivial one a single one."""
    pooled: int
    """Each workload once, a trivial one a single trial, a relative of another a few."""


def count_trials(lowerings: Iterable[tuple[str, Sequence[LoweredTask]]], trials_per_task: int) -> Budget:
    """Of lowered models, each (full target, tasks)."""
    by_target: dict[str, list[LoweredTask]] = {}
    for target, found in lowerings:
        by_target.setdefault(target, []).extend(found)
    tasks = [task for found in by_target.values() for task in found]
    different = {(target, task.workload): task for target, found in by_target.items() for task in found}
    trivial = sum(task.trivial for task in different.values())
    families = {(target, task.family) for (target, _), task in different.items() if not task.trivial}
    return Budget(
        tasks=len(tasks),
        workloads=len(different),
        trivial=trivial,
        families=len(families),
        naive=len(tasks) * trials_per_task,
        naive_trivial_once=sum(1 if task.trivial else trials_per_task for task in tasks),
        pooled=sum(trials_together(found, trials_per_task) for found in by_target.values()),
    )


def bench_plan(folder: Path, models: Sequence[str] = CLASSIC) -> None:
    """Lower what is not in `folder` yet, count, and print."""
    before = conditions(models=list(models), targets=TARGETS, levels=LEVELS, trials_per_task=TRIALS_PER_TASK)
    lowerings = _lowered(folder, models)
    budgets = {"all": count_trials([(target, tasks) for _, target, tasks in lowerings], TRIALS_PER_TASK)}
    for model in models:
        budgets[model] = count_trials([(t, tasks) for name, t, tasks in lowerings if name == model], TRIALS_PER_TASK)
    rows = [
        [
            name,
            one.tasks,
            one.workloads,
            one.trivial,
            one.families,
            f"{one.naive:,}",
            f"{one.pooled:,}",
            one.pooled / one.naive,
            one.pooled / one.naive_trivial_once,
        ]
        for name, one in budgets.items()
    ]
    found = {name: {field: getattr(one, field) for field in Budget.__slots__} for name, one in budgets.items()}
    save(folder, "plan", {"conditions": before, "budgets": found, "ratio": rows[0][7]})
    header = ["models", "tasks", "workloads", "trivial", "families", "naive trials", "pooled trials"]
    header += ["ratio", "by sharing alone"]
    print_table(f"plan: trials at {TRIALS_PER_TASK} a task, {len(TARGETS)} targets, levels {LEVELS}", header, rows)


def _lowered(folder: Path, models: Sequence[str]) -> list[tuple[str, str, list[LoweredTask]]]:
    """(model, target, tasks) of each lowering of the grid; results are found again by their stage's content id."""
    study_file = folder / "study.yaml"
    study = {
        "study": "bench-plan",
        "models": [f"onnx-light:{name}" for name in models],
        "targets": list(TARGETS),
        "tuners": ["none"],
        "opt_levels": list(LEVELS),
        "devices": [DEVICE],
        "reference": [],
    }
    study_file.write_text(json.dumps(study, indent=1), encoding="utf-8")
    plan = make_plan(load_study(study_file), load_cluster(CLUSTER))
    wanted = {plan.stages[stage].id: cell.cell for cell in plan.cells for stage in cell.stages}
    imports = [stage for stage in plan.stages.values() if stage.kind == "import"]
    lowers = [stage for stage in plan.stages.values() if stage.kind == "lower"]
    with CompilePool() as forge:
        for stages in (imports, lowers):
            missing = [stage for stage in stages if not (folder / folder_of(stage)).is_dir()]
            if missing:
                print(f"{missing[0].kind} of {len(missing)} ...", flush=True)
            calls = [compile_call(Attempt(stage, 1, _inputs(stage, plan.stages)), folder) for stage in missing]
            for future in [forge.submit(call.job, dict(call.arguments)) for call in calls]:
                future.result()
    found = []
    for stage in lowers:
        lowering = read_json(folder / folder_of(stage) / "lowering.json")
        found.append(
            (
                wanted[stage.id].model,
                lowering["target_json"],
                [LoweredTask.from_json(task) for task in lowering["tasks"]],
            )
        )
    return found


def _inputs(stage: Stage, stages: Mapping[str, Stage]) -> dict[str, StageResult]:
    below = [stages[each] for each in stage.inputs]
    return {each.kind: kind_of(each).result(dir=folder_of(each)) for each in below}
