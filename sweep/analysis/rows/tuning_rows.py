"""Derives rows about tuning from the results of tune stages: columns of a cell, curves, tasks, pools. Knows no files.

A pool is all lowered modules that one tuner tuned for one target on one device. A workload that several of them have is
booked on the one that brought it in, so trials and seconds of the members add up to the pool's.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.compiling import BuildResult, LowerResult
from sweep.planning.results.tuning_result import TunedTask, TuneResult

__all__ = [
    "FEW_TRIALS",
    "NEAR",
    "curve_rows",
    "few_trials_share",
    "pools",
    "task_rows",
    "trials_to_near",
    "trials_to_near_best",
    "tuning_columns",
    "tuning_curve",
]

NEAR = 0.02
"""An estimate is near its last value within this share of it."""
FEW_TRIALS = 16
"""A search of fewer trials than this has seen little of its space."""
_SPENT = ("search_s", "build_s", "measure_s", "validate_s")

Row = dict[str, Any]


def tuning_columns(outcome: CellOutcome) -> Row:
    """Columns of results.parquet on the tuning of a cell; zeros where it was built untuned."""
    tuned, built = outcome.result(TuneResult), outcome.result(BuildResult)
    none: Row = {}
    if tuned is None and built is not None:
        counts = ("trials", "valid", "failed", "naive_trials", "warm_started")
        none = {"tuning_s": 0.0} | {f"tuning_{name}": 0 for name in counts}
    tune, build = tuned or TuneResult(), built or BuildResult()
    return {
        "tuning_trials": tune.trials,
        "tuning_valid": tune.valid,
        "tuning_failed": None if tune.failed is None else sum(tune.failed.values()),
        "tuning_naive_trials": tune.naive_trials,
        "tuning_warm_started": tune.warm_started,
        "tuning_trials_to_near_best": trials_to_near_best(tune),
        "tuning_s": tune.tuning_s,
        **{f"tuning_{name}": getattr(tune, name) for name in _SPENT},
        "few_trials_share": few_trials_share(tune),
        "validation_gap_median": _median(task.gap for task in tune.tasks),
        "records_dir": tune.files_dir,
        "tuned_tasks": build.tuned_tasks,
        "untuned_tasks": build.untuned_tasks,
    } | none


def few_trials_share(tune: TuneResult) -> float | None:
    """Share of a network's tuned time in tasks that have a choice and had fewer than FEW_TRIALS; None without times."""
    times = [(task, task.weight * task.best_s) for task in tune.tasks if task.best_s is not None]
    total_s = sum(seconds for _, seconds in times)
    few_s = sum(seconds for task, seconds in times if task.trials < FEW_TRIALS and not task.trivial)
    return few_s / total_s if total_s else None


def tuning_curve(tune: TuneResult) -> list[tuple[int, float, float]]:
    """Trials of the pool, seconds, best latency estimate in seconds: where it fell, and where tuning ended.

    Empty while no estimate can be made: that takes a valid trial of each task.
    """
    curve = [(int(trial), float(seconds), best_s) for trial, seconds, best_s in tune.curve if best_s]
    if curve:
        trial, seconds, best_s = curve[-1]
        end = (max(trial, tune.trials or 0), max(seconds, tune.tuning_s or 0.0), best_s)
        curve += [end] if end != curve[-1] else []
    return curve


def trials_to_near_best(tune: TuneResult) -> int | None:
    """Trials of the pool until the estimate was within NEAR of where it ended.

    None without an estimate, and where records of an earlier run gave it before the first trial.
    """
    curve = tuning_curve(tune)
    if not curve or curve[0][0] == 0:
        return None
    return next(trial for trial, _, best_s in curve if best_s <= (1 + NEAR) * curve[-1][2])


def trials_to_near(medians_s: Sequence[float | None]) -> int | None:
    """Trials of one workload, in order, until one was within NEAR of the best of all; None where none is valid."""
    valid = [median_s for median_s in medians_s if median_s is not None]
    if not valid:
        return None
    enough = (1 + NEAR) * min(valid)
    return 1 + next(index for index, median_s in enumerate(medians_s) if median_s is not None and median_s <= enough)


def curve_rows(outcome: CellOutcome) -> Iterator[Row]:
    """Rows of tuning_curves.parquet."""
    for trial, seconds, best_s in tuning_curve(outcome.result(TuneResult) or TuneResult()):
        yield {**_identity(outcome), "trial": trial, "seconds": seconds, "best_latency_ms": best_s * 1e3}


def task_rows(outcome: CellOutcome) -> Iterator[Row]:
    """Rows of tuning_tasks.parquet: the tasks of a tuned cell, in the order of its lowered module."""
    tune = outcome.result(TuneResult) or TuneResult()
    total_s = sum(task.weight * task.best_s for task in tune.tasks if task.best_s is not None)
    for task in tune.tasks:
        best_s, flops = task.best_s, task.flops
        yield {
            **_identity(outcome),
            "records_dir": tune.files_dir,
            "workload": task.workload,
            "task": task.name,
            "weight": task.weight,
            "trivial": task.trivial,
            "reused": task.reused,
            "flops": flops,
            "gflops_per_s": flops / best_s / 1e9 if flops and best_s else None,
            "trials": task.trials,
            "valid": task.valid,
            "failed": sum(task.failed.values()),
            "failures_json": json.dumps(task.failed, sort_keys=True),
            "best_s": best_s,
            "screening_s": task.screening_s,
            "gap": task.gap,
            "share": task.weight * best_s / total_s if best_s is not None and total_s else None,
        }


def pools(cells: Iterable[CellOutcome]) -> list[Row]:
    """One for each pool that has ended tune stages, in the order of the plan; see `_pool` for what it holds."""
    found: dict[str, dict[str, CellOutcome]] = {}
    for outcome in cells:
        tune = outcome.result(TuneResult)
        if tune is not None:
            cell = outcome.cell
            pool = found.setdefault(tune.records_dir or f"{cell.target}/{cell.tuner}-{cell.device}", {})
            pool.setdefault(_stage_of(outcome, tune), outcome)
    return [_pool(list(members.values())) for members in found.values()]


def _pool(members: Sequence[CellOutcome]) -> Row:
    """Sums over the members. `busy`: the longest member's. `trials_in_all`: with those of earlier runs."""
    tunes = [member.result(TuneResult) or TuneResult() for member in members]
    failed: Counter[str] = Counter()
    tasks: dict[str, TunedTask] = {}
    for tune in tunes:
        failed.update(tune.failed or {})
        tasks |= {task.workload: task for task in tune.tasks}
    spent = {name: sum(float(getattr(tune, name) or 0.0) for tune in tunes) for name in _SPENT}
    longest = max(tunes, key=lambda tune: tune.tuning_s or 0.0)
    # Members tune side by side; where they came one after another, search and device are each one at a time.
    wall_s = max(longest.tuning_s or 0.0, spent["search_s"], spent["measure_s"] + spent["validate_s"])
    trials = sum(tune.trials or 0 for tune in tunes)
    # Those of earlier runs count among what was spent; they tell nothing of how long a trial takes.
    in_all = max(trials, sum(task.trials for task in tasks.values()))
    # What was cut short has spared nothing
    naive = [None if tune.is_cut_short else tune.naive_trials for tune in tunes]
    # Those that a warm start knew, with the trials to near their best here and in the sweep it comes from
    known = [(task.near_here, task.near_elsewhere) for task in tasks.values() if task.near_elsewhere and task.near_here]
    cell = members[0].cell
    return {
        "target": cell.target,
        "tuner": cell.tuner,
        "device": cell.device,
        "members": len(members),
        "tasks": len(tasks),
        "untuned_tasks": sum(1 for task in tasks.values() if not task.valid),
        "trials": trials,
        "trials_in_all": in_all,
        "valid": sum(tune.valid or 0 for tune in tunes),
        "failed": dict(failed.most_common()),
        "naive_trials": None if None in naive else sum(int(one or 0) for one in naive),
        "warm_started": sum(tune.warm_started or 0 for tune in tunes),
        **spent,
        "wall_s": wall_s,
        "seconds_per_trial": wall_s / trials if 2 * trials >= in_all and trials and wall_s else None,
        "busy": dict(longest.utilisation or {}),
        "gap_median": _median(task.gap for task in tasks.values()),
        "few_trials_share": max(
            (share for tune in tunes if (share := few_trials_share(tune)) is not None), default=None
        ),
        "near_best": [n for n in map(trials_to_near_best, tunes) if n is not None],
        "known_tasks": len(known),
        "near_here": sum(here for here, _ in known),
        "near_elsewhere": sum(elsewhere for _, elsewhere in known),
    }


def _identity(outcome: CellOutcome) -> Row:
    return {"cell_id": outcome.cell.id, "cell_name": outcome.cell.name, **outcome.cell.axes}


def _stage_of(outcome: CellOutcome, tune: TuneResult) -> str:
    """The same for cells that share the tune stage."""
    lowered = outcome.result(LowerResult) or LowerResult()
    return lowered.dir or json.dumps(tune.to_json(), sort_keys=True, default=str)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
