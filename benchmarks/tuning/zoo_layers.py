"""The layers of a network in which it loses most: what they take above what the best layer's rate would take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import read_json
from benchmarks.tuning.timeline import Trial, best_times, read_lines

__all__ = ["lost_layers", "worst_of"]

_SHOWN = 5


def lost_layers(sweep_dir: Path, model: str) -> list[dict[str, Any]]:
    """The layers of a model of which most is to be had. Operations are those that the tuner counted."""
    tuned = _tune_result(sweep_dir, model)
    lines = [line for path in sweep_dir.glob("records/*/*/trials.jsonl") for line in read_lines(path)]
    best = best_times([Trial(line["workload"], line["t"], line["run_secs"]) for line in lines])
    trials = Counter(str(line["workload"]) for line in lines)
    return [{"model": model, **layer} for layer in worst_of(tuned, best, trials)]


def worst_of(
    tasks: Sequence[Mapping[str, Any]], best: Mapping[str, float], trials: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Tasks by what they take above their operations at the highest rate of any of them, the most first.

    best: seconds of one call, by workload. A task with no valid trial is left out.
    """
    timed = [task for task in tasks if task["workload"] in best]
    rates = {task["workload"]: float(task["flops"] or 0.0) / best[task["workload"]] for task in timed}
    top, all_s = max(rates.values(), default=0.0), sum(task["weight"] * best[task["workload"]] for task in timed)
    layers = []
    for task in timed:
        each_s, total_s = best[task["workload"]], task["weight"] * best[task["workload"]]
        least_s = rates[task["workload"]] / top * each_s if top else 0.0
        layers.append(
            {
                "task": task["name"],
                "weight": task["weight"],
                "total_ms": total_s * 1e3,
                "share": total_s / all_s,
                "gflops": rates[task["workload"]] / 1e9,
                "lost_ms": task["weight"] * (each_s - least_s) * 1e3,
                "trials": trials.get(task["workload"], 0),
            }
        )
    return sorted(layers, key=lambda layer: -layer["lost_ms"])[:_SHOWN]


def _tune_result(sweep_dir: Path, model: str) -> Sequence[Mapping[str, Any]]:
    """The tasks of the tune stage of a model's cell; none where it was not tuned."""
    plan = read_json(sweep_dir / "plan.json")
    stages = {stage for cell in plan["cells"] if model in cell["name"].split() for stage in cell["stages"]}
    for line in read_lines(sweep_dir / "ledger.jsonl"):
        if line["event"] == "stage_done" and line["kind"] == "tune" and line["stage"] in stages:
            tasks: Sequence[Mapping[str, Any]] = line["result"]["tasks"]
            return tasks
    return []
