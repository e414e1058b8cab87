"""Where the time of tuning went: search, build, measurement and nothing, for each core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.results import conditions, print_table, save
from benchmarks.tuning.figure import draw_time
from benchmarks.tuning.network import CLUSTER, device_core
from benchmarks.tuning.run import Run, read_runs
from benchmarks.tuning.timeline import read_lines
from sweep.study.gate import load_cluster

__all__ = ["bench_time"]

_PARTS = ("search", "build", "measure")
_OF_THE_REST, _OF_THE_DEVICE = ("search", "build"), ("measure", "build")


def bench_time(folder: Path) -> None:
    """Print and draw it for the runs under `folder`."""
    core = device_core(load_cluster(CLUSTER))
    runs = read_runs(folder)
    spent = {run.label: _spent(run) for run in runs}
    rows = [row for run in runs for row in _rows(run, spent[run.label], core)]
    save(folder, "time", {"conditions": conditions(), "seconds": spent, "rows": rows})
    shown = [
        [row["run"], row["core"], *(f"{row[part]:.0%}" for part in ("search", "build", "measure", "other", "idle"))]
        for row in rows
    ]
    header = ["run-round", "core", "search", "build", "measure", "other", "idle"]
    print_table("time: share of each core's tuning time (idle by the kernel's count)", header, shown)
    seconds = [
        [label, *(one[part] for part in ("window_s", "search_s", "build_s", "measure_s"))]
        for label, one in spent.items()
    ]
    print_table(
        "time: wall clock of each kind of work, s", ["run-round", "tuning", "search", "build", "measure"], seconds
    )
    print(f"figure: {draw_time(folder, rows)}")


def _spent(run: Run) -> dict[str, float]:
    """Seconds of each kind of work and of the tuning they are part of."""
    if run.who == "stock":
        return _spent_by_stock(run)
    stages = list(_tune_results(run))
    spent = {
        part: sum(float(stage.get(part) or 0.0) for stage in stages) for part in ("search_s", "build_s", "measure_s")
    }
    return {"window_s": sum(float(stage["tuning_s"]) for stage in stages), **spent}


def _tune_results(run: Run) -> Iterator[Mapping[str, Any]]:
    for line in read_lines(Path(run.folder) / "sweep" / "ledger.jsonl"):
        if line["event"] == "stage_done" and line["kind"] == "tune":
            yield line["result"]


def _spent_by_stock(run: Run) -> dict[str, float]:
    """It does one thing after the other: what is neither build nor measurement is search and what it loads."""
    log = [line for line in read_lines(Path(run.folder) / "log.jsonl") if line["t"] <= run.ended_t]
    build_s = sum(line["seconds"] for line in log if line["event"] == "built")
    measure_s = sum(line["seconds"] for line in log if line["event"] == "measured")
    window_s = 60.0 * run.minutes
    if log and log[-1]["event"] == "building":  # it was killed in the middle of it
        build_s += run.ended_t - log[-1]["t"]
    return {
        "window_s": window_s,
        "search_s": window_s - build_s - measure_s,
        "build_s": build_s,
        "measure_s": measure_s,
    }


def _rows(run: Run, spent: Mapping[str, float], device_core: int) -> Iterator[dict[str, Any]]:
    """A core's shares add up to 1. No kind of work gets more of a core than the core was busy.

    Of a sweep: measurements are the device's core's, search that of the other; builds run there, and on the device's
    core where it is lent. `other` is what none of them explains: driver, Ray, and whatever else the machine did.
    """
    left = {part: spent[f"{part}_s"] / (spent["window_s"] or 1.0) for part in _PARTS}
    cores = sorted(run.busy, key=lambda core: int(core) == device_core)
    for core in cores:
        busy = run.busy[core]
        row = dict.fromkeys(_PARTS, 0.0)
        parts = _PARTS if run.who == "stock" else _OF_THE_DEVICE if int(core) == device_core else _OF_THE_REST
        for part in parts:
            row[part] = min(left[part], max(0.0, busy - sum(row.values())))
            if run.who == "sweep":
                left[part] -= row[part]
        other = max(0.0, busy - sum(row.values()))
        yield {"run": run.label, "core": core, **row, "other": other, "idle": max(0.0, 1.0 - busy)}
