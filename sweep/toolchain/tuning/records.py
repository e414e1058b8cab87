"""The records of one tuner on one device for one full target: a native MetaSchedule database, and every trial.

The database holds what MetaSchedule itself can load: valid measurements only, one file pair for each full target, since
a query does not look at the target (apache/tvm#15549). `trials.jsonl` holds every trial, failures with their reason
included. Both are appended to the moment a measurement arrives and have one writer, the tuner that owns the folder; a
last line torn by a crash is cut off before MetaSchedule sees it, since it refuses the whole file otherwise.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord

__all__ = ["SCRATCH_PREFIX", "RecordStore", "Trial", "WorkloadHistory", "cut_torn_line", "read_trials"]

SCRATCH_PREFIX = "candidates-"
"""Of the folder in which a tune stage keeps its candidates' libraries; a killed one leaves it behind."""

_TRIALS = "trials.jsonl"
_DATABASE = ("database_workload.json", "database_tuning_record.json")


@dataclass(frozen=True, slots=True)
class Trial:
    """One measured candidate, or one that failed."""

    workload: str
    task: str
    trial: int
    """Counts from 1 over the life of the folder."""
    tuner: str
    device: str
    target: str
    t: float
    run_secs: Sequence[float] | None
    error_class: str | None
    error: str | None
    build_s: float | None
    measure_s: float | None
    trace_hash: str

    @property
    def median_s(self) -> float | None:
        """Median of the repeats; None for a failure."""
        return statistics.median(self.run_secs) if self.run_secs else None


@dataclass(slots=True)
class WorkloadHistory:
    """What the folder knows of one workload."""

    trials: int = 0
    valid: int = 0
    best_s: float = math.inf
    since_best: int = 0
    """Trials since the best one."""
    hashes: set[str] = field(default_factory=set)
    """Of the traces tried, so that none is tried twice."""

    def add(self, trial: Trial) -> None:
        """Count one trial."""
        self.trials += 1
        self.hashes.add(trial.trace_hash)
        self.since_best += 1
        median_s = trial.median_s
        if median_s is not None:
            self.valid += 1
            if median_s < self.best_s:
                self.best_s, self.since_best = median_s, 0


class RecordStore:
    """The writer's end of a records folder."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, making or mending it."""
        from tvm.s_tir.meta_schedule.database import JSONDatabase

        folder.mkdir(parents=True, exist_ok=True)
        for name in (*_DATABASE, _TRIALS):
            cut_torn_line(folder / name)
        for left in folder.glob(f"{SCRATCH_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        self.folder = folder
        self.database: JSONDatabase = JSONDatabase(work_dir=str(folder))
        self.history: dict[str, WorkloadHistory] = {}
        self.trials = 0
        for trial in read_trials(folder):
            self._count(trial)
        self._file = (folder / _TRIALS).open("a", encoding="utf-8", buffering=1)

    def of(self, workload: str) -> WorkloadHistory:
        """History of a workload, empty when it has none."""
        return self.history.setdefault(workload, WorkloadHistory())

    def add(self, trial: Trial, record: TuningRecord | None) -> None:
        """Keep one trial; `record` is its native form when it is valid."""
        if record is not None:
            self.database.commit_tuning_record(record)
        self._file.write(json.dumps(asdict(trial)) + "\n")
        self._count(trial)

    def close(self) -> None:
        """Close the trials file."""
        self._file.close()

    def _count(self, trial: Trial) -> None:
        self.trials += 1
        self.of(trial.workload).add(trial)


def read_trials(folder: Path) -> Iterator[Trial]:
    """All trials of a folder, in order; a torn last line is left out."""
    path = folder / _TRIALS
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.endswith("\n"):
                return
            fields: Mapping[str, Any] = json.loads(line)
            yield Trial(**fields)


def cut_torn_line(path: Path) -> int:
    """Cut a last line that has no end off a file of lines; returns the number of bytes cut."""
    if not path.is_file():
        return 0
    data = path.read_bytes()
    keep = data.rfind(b"\n") + 1
    if keep == len(data):
        return 0
    with path.open("r+b") as file:
        file.truncate(keep)
    return len(data) - keep
