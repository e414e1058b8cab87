"""What tuning did, from the results of tune stages: columns of a cell, curves, tasks, and pools. Knows no files.

A pool is all lowered modules that one tuner tuned for one target on one device. A workload that several of them have is
booked on the one that brought it in, so trials and seconds of the members add up to the pool's.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.study.spec import AXES

__all__ = [
    "NEAR",
    "curve_rows",
    "pools",
    "task_rows",
    "trials_to_near",
    "trials_to_near_best",
    "tuning_columns",
    "tuning_curve",
]

NEAR = 0.02
"""An estimate is near its last value within this share of it."""
_SPENT = ("search_s", "build_s", "measure_s", "validate_s")

Row = dict[str, Any]
Tune = Mapping[str, Any]
"""Result of a tune stage."""


def tuning_columns(outcome: CellOutcome) -> Row:
    """Columns of results.parquet on the tuning of a cell; zeros where it was built untuned."""
    tune, build = outcome.stages.get("tune"), outcome.stages.get("build", {})
    if tune is None:
        counts = ("trials", "valid", "failed", "naive_trials", "warm_started")
        none = {"tuning_s": 0.0} | {f"tuning_{name}": 0 for name in counts} if "build" in outcome.stages else {}
        tune = {}
    else:
        none = {}
    failed = tune.get("failed")
    return {
        "tuning_trials": tune.get("trials"),
        "tuning_valid": tune.get("valid"),
        "tuning_failed": None if failed is None else sum(failed.values()),
        "tuning_naive_trials": tune.get("naive_trials"),
        "tuning_warm_started": tune.get("warm_started"),
        "tuning_trials_to_near_best": trials_to_near_best(tune),
        "tuning_s": tune.get("tuning_s"),
        **{f"tuning_{name}": tune.get(name) for name in _SPENT},
        "validation_gap_median": _median(task.get("gap") for task in tune.get("tasks") or ()),
        "records_dir": tune.get("records_dir") or None,
        "tuned_tasks": build.get("tuned_tasks"),
        "untuned_tasks": build.get("untuned_tasks"),
    } | none


def tuning_curve(tune: Tune) -> list[tuple[int, float, float]]:
    """Trials of the pool, seconds, best latency estimate in seconds: where it fell, and where tuning ended.

    Empty while no estimate can be made: that takes a valid trial of each task.
    """
    curve = [(int(trial), float(seconds), best_s) for trial, seconds, best_s in tune.get("curve") or () if best_s]
    if curve:
        trial, seconds, best_s = curve[-1]
        end = (max(trial, int(tune.get("trials") or 0)), max(seconds, float(tune.get("tuning_s") or 0.0)), best_s)
        curve += [end] if end != curve[-1] else []
    return curve


def trials_to_near_best(tune: Tune) -> int | None:
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
    for trial, seconds, best_s in tuning_curve(outcome.stages.get("tune", {})):
        yield {**_identity(outcome), "trial": trial, "seconds": seconds, "best_latency_ms": best_s * 1e3}


def task_rows(outcome: CellOutcome) -> Iterator[Row]:
    """Rows of tuning_tasks.parquet: the tasks of a tuned cell, in the order of its lowered module."""
    tune = outcome.stages.get("tune", {})
    tasks: Sequence[Mapping[str, Any]] = tune.get("tasks") or ()
    total_s = sum(task["weight"] * task["best_s"] for task in tasks if task.get("best_s") is not None)
    for task in tasks:
        best_s, flops, failed = task.get("best_s"), task.get("flops"), task.get("failed") or {}
        yield {
            **_identity(outcome),
            "records_dir": tune.get("records_dir") or None,
            "workload": task["workload"],
            "task": task["name"],
            "weight": task["weight"],
            "trivial": task.get("trivial"),
            "reused": task.get("reused"),
            "flops": flops,
            "gflops_per_s": flops / best_s / 1e9 if flops and best_s else None,
            "trials": task["trials"],
            "valid": task["valid"],
            "failed": sum(failed.values()),
            "failures_json": json.dumps(failed, sort_keys=True),
            "best_s": best_s,
            "screening_s": task.get("screening_s"),
            "gap": task.get("gap"),
            "share": task["weight"] * best_s / total_s if best_s is not None and total_s else None,
        }


def pools(cells: Iterable[CellOutcome]) -> list[Row]:
    """One for each pool that has ended tune stages, in the order of the plan; see `_pool` for what it holds."""
    found: dict[str, dict[str, CellOutcome]] = {}
    for outcome in cells:
        tune = outcome.stages.get("tune")
        if tune is not None:
            cell = outcome.cell
            pool = found.setdefault(tune.get("records_dir") or f"{cell.target}/{cell.tuner}-{cell.device}", {})
            pool.setdefault(_stage_of(outcome), outcome)
    return [_pool(list(members.values())) for members in found.values()]


def _pool(members: Sequence[CellOutcome]) -> Row:
    """Sums over the members. `busy`: the longest member's. `trials_in_all`: with those of earlier runs."""
    tunes = [member.stages["tune"] for member in members]
    failed: Counter[str] = Counter()
    tasks: dict[str, Mapping[str, Any]] = {}
    for tune in tunes:
        failed.update(tune.get("failed") or {})
        tasks |= {task["workload"]: task for task in tune.get("tasks") or ()}
    spent = {name: sum(float(tune.get(name) or 0.0) for tune in tunes) for name in _SPENT}
    longest = max(tunes, key=lambda tune: float(tune.get("tuning_s") or 0.0))
    # Members tune side by side; where they came one after another, search and device are each one at a time.
    wall_s = max(float(longest.get("tuning_s") or 0.0), spent["search_s"], spent["measure_s"] + spent["validate_s"])
    trials = sum(int(tune.get("trials") or 0) for tune in tunes)
    # Those of earlier runs count among what was spent; they tell nothing of how long a trial takes.
    in_all = max(trials, sum(int(task["trials"]) for task in tasks.values()))
    # What was cut short has spared nothing
    naive = [None if tune.get("is_cut_short") else tune.get("naive_trials") for tune in tunes]
    # Those that a warm start knew, with the trials to near their best here and in the sweep it comes from
    known = [task for task in tasks.values() if task.get("near_elsewhere") and task.get("near_here")]
    cell = members[0].cell
    return {
        "target": cell.target,
        "tuner": cell.tuner,
        "device": cell.device,
        "members": len(members),
        "tasks": len(tasks),
        "untuned_tasks": sum(1 for task in tasks.values() if not task["valid"]),
        "trials": trials,
        "trials_in_all": in_all,
        "valid": sum(int(tune.get("valid") or 0) for tune in tunes),
        "failed": dict(failed.most_common()),
        "naive_trials": None if None in naive else sum(int(one or 0) for one in naive),
        "warm_started": sum(int(tune.get("warm_started") or 0) for tune in tunes),
        **spent,
        "wall_s": wall_s,
        "seconds_per_trial": wall_s / trials if 2 * trials >= in_all and trials and wall_s else None,
        "busy": dict(longest.get("utilisation") or {}),
        "gap_median": _median(task.get("gap") for task in tasks.values()),
        "near_best": [n for n in map(trials_to_near_best, tunes) if n is not None],
        "known_tasks": len(known),
        "near_here": sum(task["near_here"] for task in known),
        "near_elsewhere": sum(task["near_elsewhere"] for task in known),
    }


def _identity(outcome: CellOutcome) -> Row:
    axes = {axis: getattr(outcome.cell, axis) for axis in AXES}
    return {"cell_id": outcome.cell.id, "cell_name": outcome.cell.name, **axes}


def _stage_of(outcome: CellOutcome) -> str:
    """The same for cells that share the tune stage."""
    lowered = outcome.stages.get("lower", {}).get("dir")
    return lowered or json.dumps(outcome.stages["tune"], sort_keys=True, default=str)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
