"""Valid candidates a minute: `sweep run` against MetaSchedule's `tune_relax` as shipped, in rounds of the same size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, print_table, save
from benchmarks.tuning.network import prepare
from benchmarks.tuning.ours import run_sweep
from benchmarks.tuning.run import Run, read_runs
from benchmarks.tuning.stock import run_stock
from benchmarks.tuning.timeline import per_minute, read_lines, valid_until

__all__ = ["bench_throughput", "rates"]

_ENOUGH_ROUNDS = 3
"""Before that, what is paid once (imports, first batches) decides."""
_QUIET_LOAD = 0.5


def bench_throughput(
    folder: Path, source: str, minutes: float, rounds: Sequence[int], options: Mapping[str, Any]
) -> None:
    """Run both for each size of round, one after the other, and print the table."""
    budget = {"minutes": minutes, "rounds": list(rounds), "model": source, "threads": 1, "options": dict(options)}
    before = conditions(**budget)
    network = prepare(source, folder / "network")
    for size in rounds:
        print(f"{minutes:g} minutes of MetaSchedule as shipped, then of sweep, in rounds of {size} ...", flush=True)
        run_stock(network, folder / "runs" / f"stock-{size}", size, minutes)
        run_sweep(source, folder / "runs" / f"sweep-{size}", size, minutes, options)
    found = {"load_before": before["load1"], **rates(read_runs(folder))}
    save(folder, "throughput", {"conditions": before, **found})
    _print(found, source)


def rates(runs: Sequence[Run]) -> dict[str, Any]:
    """A row a run, and the ratio of sweep to stock for each size of round."""
    rows = {run.label: _rate(run) for run in runs}
    ratios = {}
    for size in sorted({run.round for run in runs}, reverse=True):
        stock, ours = rows.get(f"stock-{size}"), rows.get(f"sweep-{size}")
        if stock and ours:
            ratios[str(size)] = {
                key: ours[key] / stock[key] if stock[key] else None for key in ("per_minute", "per_minute_with_start")
            }
    return {"runs": rows, "ratios": ratios}


def _rate(run: Run) -> dict[str, Any]:
    trials = run.trials()
    valid = valid_until(trials, run.ended_t)
    tried: Counter[str] = Counter(trial.workload for trial in trials if trial.run_secs is not None)
    return {
        "valid": valid,
        "failed": len(trials) - valid + _failed_builds(run),
        "tasks": len(run.tasks()),
        "tasks_with_valid": len(tried),
        "start_s": run.tuning_t - run.began_t,
        "minutes": run.minutes,
        "per_minute": per_minute(trials, run.tuning_t, run.ended_t),
        "per_minute_with_start": per_minute(trials, run.began_t, run.ended_t),
        "busy": run.busy,
        "watching_s": _watching_s(run),
    }


def _failed_builds(run: Run) -> int:
    """Of stock: candidates that were not built are not measured either. A sweep's stand among its trials."""
    log = read_lines(Path(run.folder) / "log.jsonl")
    return sum(line["failed"] for line in log if line["event"] == "built" and line["t"] <= run.ended_t)


def _watching_s(run: Run) -> float:
    """What writing the log took of stock's time."""
    return max((line["own_s"] for line in read_lines(Path(run.folder) / "log.jsonl")), default=0.0)


def _print(found: Mapping[str, Any], source: str) -> None:
    rows = [
        [
            label,
            row["valid"],
            row["failed"],
            f"{row['tasks_with_valid']}/{row['tasks']}",
            row["per_minute"],
            row["per_minute_with_start"],
            *(f"{share:.0%}" for share in row["busy"].values()),
        ]
        for label, row in found["runs"].items()
    ]
    cores = [f"core {core}" for core in next(iter(found["runs"].values()))["busy"]]
    header = ["run-round", "valid", "failed", "tasks", "a minute", "with start-up", *cores]
    print_table(f"throughput: candidates of {source} measured well; cores: share busy", header, rows)
    few = [label for label, row in found["runs"].items() if row["valid"] < _ENOUGH_ROUNDS * int(label.split("-")[1])]
    if few:
        print(f"too few candidates for a ratio to mean much (under {_ENOUGH_ROUNDS} rounds): {', '.join(few)}")
    if found["load_before"] > _QUIET_LOAD:
        print(f"the machine was not quiet: load {found['load_before']:.1f} before the first run")
    for size, ratio in found["ratios"].items():
        times = [f"{value:.2f}x" if value else "stock measured none" for value in ratio.values()]
        print(f"rounds of {size}: sweep / stock {times[0]} (with start-up {times[1]})")
