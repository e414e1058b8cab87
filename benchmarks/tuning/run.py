"""One timed run of a tuner, sweep's or MetaSchedule's: where it lies, when it tuned, and what it measured."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.results import read_json, save
from benchmarks.tuning.timeline import Task, Trial, read_lines

__all__ = ["Run", "busy_between", "busy_ticks", "plain_environment", "read_runs", "sweep_environment"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is over. Times are Unix seconds."""

    who: str
    """sweep or stock."""
    round: int
    folder: str
    minutes: float
    """Of tuning, from `tuning_t`."""
    began_t: float
    """Its process started."""
    tuning_t: float
    """Tuning started: the call of `tune_relax`, or the first attempt of a tune stage."""
    busy: dict[str, float]
    """Share of the tuning time that each core was busy, by its number."""

    @property
    def label(self) -> str:
        """Short name: `stock-64`."""
        return f"{self.who}-{self.round}"

    @property
    def ended_t(self) -> float:
        """When its minutes were over; what came later does not count."""
        return self.tuning_t + 60.0 * self.minutes

    def save(self) -> None:
        """Write run.json."""
        save(Path(self.folder), "run", asdict(self))

    def tasks(self) -> list[Task]:
        """The tasks of its model, as it tuned them."""
        if self.who == "stock":
            lines = read_lines(Path(self.folder) / "log.jsonl")
            return [Task(str(e["workload"]), e["name"], e["weight"]) for e in lines if e["event"] == "task"]
        tasks = [task for path in self.lowerings() for task in read_json(path / "lowering.json")["tasks"]]
        return [Task(task["workload"], task["name"], int(task["weight"])) for task in tasks]

    def trials(self) -> list[Trial]:
        """All trials of its minutes."""
        if self.who == "stock":
            found = [
                Trial(str(line["workload"]), line["t"], line.get("run_secs"))
                for line in read_lines(Path(self.folder) / "log.jsonl")
                if line["event"] == "measured"
            ]
        else:
            found = [
                Trial(line["workload"], line["t"], line["run_secs"])
                for folder in self.records()
                for line in read_lines(folder / "trials.jsonl")
            ]
        return [trial for trial in found if trial.t <= self.ended_t]

    def records(self) -> list[Path]:
        """Folders of native databases."""
        if self.who == "stock":
            return [Path(self.folder) / "records"]
        return sorted(path.parent for path in Path(self.folder).glob("sweep/records/*/*/trials.jsonl"))

    def lowerings(self) -> list[Path]:
        """Folders of a sweep's lowered models."""
        return sorted(path.parent for path in Path(self.folder).glob("sweep/artifacts/lower/*/lowering.json"))


def read_runs(folder: Path) -> list[Run]:
    """The runs under a benchmark's folder, stock first, large rounds first."""
    runs = [Run(**read_json(path)) for path in folder.glob("runs/*/run.json")]
    return sorted(runs, key=lambda run: (-run.round, run.who != "stock"))


def busy_ticks() -> dict[str, tuple[int, int]]:
    """(busy, all) clock ticks of each core since boot; time stolen by the hypervisor is not busy."""
    ticks = {}
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, idle, wait, irq, soft, steal = (int(field) for field in fields[:8])
            busy = user + nice + system + irq + soft
            ticks[name.removeprefix("cpu")] = (busy, busy + idle + wait + steal)
    return ticks


def busy_between(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> dict[str, float]:
    """Share of busy time of each core between two looks."""
    return {core: (after[core][0] - busy) / max(1, after[core][1] - total) for core, (busy, total) in before.items()}


def plain_environment() -> dict[str, str]:
    """For a process that knows nothing of sweep, whose kernels run on one thread."""
    ours = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    return {**ours, "TVM_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{ours.get('PATH', '')}"}


def sweep_environment() -> dict[str, str]:
    """For a process that imports sweep from this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "TVM_NUM_THREADS": "1"}
