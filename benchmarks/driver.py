"""What the driver costs above the work itself: simulated cells with ledger and MLflow on, beside Ray Tune with its own.

Both have 16 logical workers, work that takes a second and does nothing, the same cores, a new SQLite store. The ideal
is `cells x seconds / workers`. Sweep's time is that of the whole command `sweep run`, from the planner to the report;
Tune's is that of `fit`, Ray running already. Memory is resident, sampled. What the driver grows by with each cell is
the slope of a line through the samples taken while cells ended, the ledger's size telling how many had. The processes
that write MLflow and the report are told apart.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.results import conditions, print_table, save
from sweep.running.ledger.ledger import read_ledger

__all__ = ["Cost", "bench_driver", "study_of"]

WORKERS = 16
SIZES = (1_000, 5_000, 10_000)
"""At which memory is compared, the work taking no time."""
_MODELS, _LEVELS, _TUNERS = ("onnx-light:squeezenet", "onnx-light:shufflenet"), (0, 1, 2, 3, 4), 10
_SAMPLE_S = 0.2
_SWEEP, _TUNE = "sweep", "Ray Tune"
_MEMORY = ("driver MB", "in loop", "B a cell", "mirror", "report")
_FIRST = 0.1
"""Of a run's ledger: before that the driver still loads what it needs once."""
_LEAST_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident sizes during one run of sweep."""

    loop_bytes: int
    """The driver's largest while cells ended."""
    slope_bytes: float | None
    """What the driver grew by with each cell; None where it was too quick to tell."""
    mirror_bytes: int
    """Largest of the process that writes MLflow."""
    report_bytes: int
    """Largest of the process that writes tables and report; 0 where the driver does so."""
    samples: tuple[tuple[float, int, int], ...]
    """Seconds since the start, bytes of the ledger, resident bytes of the driver: one a second."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One run."""

    what: str
    cells: int
    ideal_s: float
    wall_s: float
    peak_bytes: int
    """Of the driver, its start and its end included."""
    memory: Memory | None = None
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
    """Run all of it, save each as it ends, and print a table. `speed`: simulated seconds a second."""
    costs = []
    about = conditions(cells=cells, tune_cells=tune_cells, speed=speed, workers=WORKERS)
    for cost in _runs(folder, cells, tune_cells, speed):
        costs.append(cost)
        told = [{**asdict(one), "overhead_s_a_cell": one.overhead_s, "share": one.share} for one in costs]
        save(folder, "driver", {"costs": told, "conditions": about})
        print(f"{cost.what}: {cost.cells:,} cells in {cost.wall_s:.1f} s", flush=True)
    header = ("", "cells", "ideal s", "wall s", "over", "ms a cell", *_MEMORY)
    title = f"driver: {WORKERS} workers, MLflow in SQLite, work of {1 / speed:g} s"
    print_table(title, header, [_row(cost) for cost in costs])
    ours = next(cost for cost in costs if cost.what == _SWEEP)
    for other in (cost for cost in costs if cost.what.startswith(_TUNE)):
        print(f"overhead a cell: {ours.overhead_s / other.overhead_s:.1%} of {other.what}'s")
    return costs


def _runs(folder: Path, cells: int, tune_cells: int, speed: float) -> Iterator[Cost]:
    for size in SIZES:
        if size <= max(cells, SIZES[0]):
            yield _sweep(folder, size, 0)
    yield _sweep(folder, cells, speed)
    if tune_cells:
        for reuse in (False, True):
            yield _tune(folder, tune_cells, speed, reuse=reuse)


def _row(cost: Cost) -> tuple[object, ...]:
    share = None if cost.share is None else f"{cost.share:.1%}"
    times = (round(cost.ideal_s, 1), round(cost.wall_s, 1), share, f"{cost.overhead_s * 1e3:.1f}")
    return cost.what, f"{cost.cells:,}", *times, *_shown(cost)


def _sweep(folder: Path, cells: int, speed: float) -> Cost:
    home = folder / f"sweep-{cells}-at-{speed:g}"
    home.mkdir()
    study, cluster, out = home / "study.yaml", home / "cluster.yaml", home / "sweep"
    study.write_text(json.dumps(study_of(cells)), encoding="utf-8")
    stage_s = {"import": 0, "lower": 0, "tune": 0, "build": 0, "measure": 1}
    simulate = {"devices": 1, "slots": WORKERS, "stage_s": stage_s, "speed": speed}
    cluster.write_text(json.dumps({"name": "bench", "engine": "simulated", "simulate": simulate}), encoding="utf-8")
    command = [sys.executable, "-m", "sweep", "run", str(study), "--cluster", str(cluster), "--out", str(out)]
    with (home / "log").open("wb") as log:
        start = time.perf_counter()
        driver = subprocess.Popen(command, stdout=log, stderr=log, cwd=home, env=_environment())
        watch = _Watch(driver, out / "ledger.jsonl")
        watch.until_it_ends()
        wall_s = time.perf_counter() - start
    if driver.returncode != 0:
        raise RuntimeError(f"sweep run ended with {driver.returncode}: {home / 'log'}")
    state = read_ledger(out)
    what = f"{_SWEEP}, work of no time" if speed == 0 else _SWEEP
    return Cost(
        what=what,
        cells=cells,
        ideal_s=0.0 if speed == 0 else cells / WORKERS / speed,
        wall_s=wall_s,
        peak_bytes=watch.peaks["driver"],
        memory=watch.memory(cells),
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
    what = f"{_TUNE}, actors reused" if reuse else _TUNE
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


class _Watch:
    """Samples a run and its children until it ends."""

    def __init__(self, driver: subprocess.Popen[bytes], ledger: Path) -> None:
        self._driver, self._ledger = driver, ledger
        self.peaks = {"driver": 0, "mirror": 0, "report": 0}
        self._samples: list[tuple[float, int, int]] = []

    def until_it_ends(self) -> None:
        """Take samples."""
        start, process = time.perf_counter(), psutil.Process(self._driver.pid)
        while self._driver.poll() is None:
            with suppress(psutil.Error):  # it ends, or a child does
                rss = self._take("driver", process)
                size = self._ledger.stat().st_size if self._ledger.exists() else 0
                self._samples.append((time.perf_counter() - start, size, rss))
                for child in process.children():
                    self._take("mirror" if "sweep.record.mlflow.mirror_process" in child.cmdline() else "report", child)
            time.sleep(_SAMPLE_S)

    def memory(self, cells: int) -> Memory:
        """What was seen."""
        final = max((size for _, size, _ in self._samples), default=0)
        loop = [(size / final * cells, rss) for _, size, rss in self._samples if _FIRST < size / (final or 1) < 1.0]
        slope = statistics.linear_regression(*zip(*loop, strict=True)).slope if len(loop) >= _LEAST_SAMPLES else None
        every = max(1, round(1 / _SAMPLE_S))
        return Memory(
            max((rss for _, rss in loop), default=0),
            slope,
            self.peaks["mirror"],
            self.peaks["report"],
            tuple(self._samples[::every]),
        )

    def _take(self, what: str, process: psutil.Process) -> int:
        rss = int(process.memory_info().rss)
        self.peaks[what] = max(self.peaks[what], rss)
        return rss


def _shown(cost: Cost) -> tuple[str | None, ...]:
    """Memory, in columns."""
    own = f"{cost.peak_bytes / 1e6:.0f}"
    if (memory := cost.memory) is None:
        return own, None, None, None, None
    slope = None if memory.slope_bytes is None else f"{memory.slope_bytes:.0f}"
    mirror, report = (f"{size / 1e6:.0f}" if size else None for size in (memory.mirror_bytes, memory.report_bytes))
    return own, f"{memory.loop_bytes / 1e6:.0f}", slope, mirror, report


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}
