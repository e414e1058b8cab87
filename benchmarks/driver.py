"""What the driver costs above the work itself: simulated cells with ledger and MLflow on, beside Ray Tune with its own.

Both have 16 logical workers, work that takes a second and does nothing, the same cores, a new SQLite store. The ideal
is `cells x seconds / workers`. Sweep's time is that of the whole command `sweep run`, from the planner to the report;
Tune's is that of `fit`, Ray running already. Memory is that of the driver, sampled, without the process that
writes MLflow, whose own stands beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.results import conditions, print_table, save
from sweep.running.ledger import read_ledger

__all__ = ["Cost", "bench_driver", "study_of"]

WORKERS = 16
SIZES = (1_000, 5_000, 10_000)
"""At which memory is compared, the work taking no time."""
_MODELS, _LEVELS, _TUNERS = ("onnx-light:squeezenet", "onnx-light:shufflenet"), (0, 1, 2, 3, 4), 10
_SAMPLE_S = 0.2


@dataclass(frozen=True, slots=True)
class Cost:
    """One run."""

    what: str
    cells: int
    ideal_s: float
    wall_s: float
    driver_bytes: int
    mirror_bytes: int | None = None
    loop_s: float | None = None
    """Of the wall time, from the ledger's first event to its last."""

    @property
    def overhead_s(self) -> float:
        """Above the ideal, for one cell."""
        return (self.wall_s - self.ideal_s) / self.cells

    @property
    def share(self) -> float | None:
        """Of the ideal."""
        return (self.wall_s - self.ideal_s) / self.ideal_s if self.ideal_s else None


def bench_driver(folder: Path, cells: int, tune_cells: int, speed: float) -> list[Cost]:
    """Run all of it, print a table and save it. `speed`: simulated seconds a second; work takes 1/speed."""
    costs = [_sweep(folder, size, 0) for size in SIZES if size <= max(cells, SIZES[0])]
    costs.append(_sweep(folder, cells, speed))
    if tune_cells:
        costs += [_tune(folder, tune_cells, speed, reuse=reuse) for reuse in (False, True)]
    rows = [
        (
            cost.what,
            f"{cost.cells:,}",
            round(cost.ideal_s, 1),
            round(cost.wall_s, 1),
            None if cost.share is None else f"{cost.share:.1%}",
            f"{cost.overhead_s * 1e3:.1f}",
            f"{cost.driver_bytes / 1e6:.0f}",
            None if cost.mirror_bytes is None else f"{cost.mirror_bytes / 1e6:.0f}",
        )
        for cost in costs
    ]
    header = ("", "cells", "ideal s", "wall s", "over", "ms a cell", "driver MB", "mirror MB")
    print_table(f"driver: {WORKERS} workers, MLflow in SQLite, work of {1 / speed:g} s", header, rows)
    told = [{**asdict(cost), "overhead_s_a_cell": cost.overhead_s, "share": cost.share} for cost in costs]
    save(
        folder,
        "driver",
        {"costs": told, "conditions": conditions(cells=cells, tune_cells=tune_cells, speed=speed, workers=WORKERS)},
    )
    return costs


def _sweep(folder: Path, cells: int, speed: float) -> Cost:
    home = folder / f"sweep-{cells}-at-{speed:g}"
    home.mkdir()
    study, cluster, out = home / "study.yaml", home / "cluster.yaml", home / "sweep"
    study.write_text(json.dumps(study_of(cells)), encoding="utf-8")
    stage_s = {"import": 0, "lower": 0, "tune": 0, "build": 0, "measure": 1}
    simulate = {"devices": 1, "slots": WORKERS, "stage_s": stage_s, "speed": speed}
    cluster.write_text(json.dumps({"name": "bench", "engine": "simulated", "simulate": simulate}), encoding="utf-8")
    command = [sys.executable, "-m", "sweep", "run", str(study), "--cluster", str(cluster), "--out", str(out), "--json"]
    with (home / "log").open("wb") as log:
        start = time.perf_counter()
        driver = subprocess.Popen(command, stdout=log, stderr=log, cwd=home, env=_environment())
        peaks = _peaks(driver)
        wall_s = time.perf_counter() - start
    if driver.returncode != 0:
        raise RuntimeError(f"sweep run ended with {driver.returncode}: {home / 'log'}")
    state = read_ledger(out)
    what = "sweep, work of no time" if speed == 0 else "sweep"
    return Cost(
        what=what,
        cells=cells,
        ideal_s=0.0 if speed == 0 else cells / WORKERS / speed,
        wall_s=wall_s,
        driver_bytes=peaks[0],
        mirror_bytes=peaks[1],
        loop_s=(state.last_t or 0.0) - (state.first_t or 0.0),
    )


def _tune(folder: Path, cells: int, speed: float, *, reuse: bool) -> Cost:
    home = folder / ("tune-reused" if reuse else "tune")
    home.mkdir()
    command = [sys.executable, "-m", "benchmarks.ray_tune", "--folder", str(home), "--seconds", str(1 / speed)]
    command += ["--cells", str(cells), "--workers", str(WORKERS), *(["--reuse-actors"] if reuse else [])]
    with (home / "log").open("wb") as log:
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, env=_environment(), check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"Ray Tune ended with {ended.returncode}: {home / 'log'}")
    told = json.loads(ended.stdout.decode().splitlines()[-1])
    what = "Ray Tune, actors reused" if reuse else "Ray Tune"
    return Cost(what, cells, cells / WORKERS / speed, told["wall_s"], told["peak_bytes"])


def study_of(cells: int) -> dict[str, object]:
    """A study of so many cells, a multiple of 100, as a study file has it. Raises ValueError."""
    batches, rest = divmod(cells, len(_MODELS) * len(_LEVELS) * _TUNERS)
    if rest:
        raise ValueError(f"--cells {cells} is not a multiple of {len(_MODELS) * len(_LEVELS) * _TUNERS}")
    return {
        "study": "driver-bench",
        "models": list(_MODELS),
        "tuners": ["none"]
        + [{"name": "random", "label": f"random-{n}", "trials_per_task": n} for n in range(1, _TUNERS)],
        "opt_levels": list(_LEVELS),
        "axes": {"batch": list(range(1, batches + 1))},
        "reference": [],
    }


def _peaks(driver: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Largest resident sizes of the driver and of its MLflow process, sampled until it ends."""
    own = mirror = 0
    process = psutil.Process(driver.pid)
    while driver.poll() is None:
        try:
            own = max(own, process.memory_info().rss)
            mirror = max([mirror, *(child.memory_info().rss for child in process.children())])
        except psutil.Error:
            continue
        time.sleep(_SAMPLE_S)
    return own, mirror


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
