"""The records of one tuner on one device for one full target: a native MetaSchedule database, and every trial.

The database holds what MetaSchedule itself can load: valid measurements only, one file pair for each full target, since
a query does not look at the target (apache/tvm#15549). `trials.jsonl` holds every trial, failures with their reason
included; `validations.jsonl` what the best took when they were measured again. All are appended to the moment a
measurement arrives and have one writer, the tuner that owns the folder. A last line torn by a crash is cut off, and a
damaged one set aside, before MetaSchedule sees it (`native_database`).
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from sweep.files.line_checksum import with_checksum
from sweep.files.line_log import LineLog, append_line, cut_torn_line
from sweep.toolchain.candidates.libraries import remove_left
from sweep.toolchain.native_log import NOTHING, RECORDS, lines_of
from sweep.toolchain.tuning.records.native_database import NativeDatabase, PlacedRecord
from sweep.toolchain.tuning.records.trial_logs import (
    TRIALS,
    VALIDATIONS,
    Trial,
    Validation,
    read_trials,
    read_validations,
)

__all__ = ["RecordStore", "WorkloadHistory"]

_KEPT_BEST = 8


@dataclass(slots=True)
class WorkloadHistory:
    """The trials and validations of one workload in a records folder."""

    trials: int = 0
    valid: int = 0
    best_s: float = math.inf
    """Least median of a trial."""
    since_best: int = 0
    """Trials since the best one."""
    hashes: dict[str, float | None] = field(default_factory=dict)
    """Of the traces tried, so that none is tried twice, with their medians."""
    best: list[Trial] = field(default_factory=list)
    """The best few, best first."""
    all: list[Trial] = field(default_factory=list)
    validation: Validation | None = None
    """The latest."""

    def add(self, trial: Trial) -> None:
        """Count one trial. One that was lost counts for nothing: the search may come to it again."""
        if trial.is_lost:
            return
        self.trials += 1
        median_s = trial.median_s
        self.hashes[trial.trace_hash] = median_s
        self.all.append(trial)
        self.since_best += 1
        if median_s is None:
            return
        self.valid += 1
        if trial.record is not None:
            self.best = sorted([*self.best, trial], key=lambda one: one.median_s or math.inf)[:_KEPT_BEST]
        if median_s < self.best_s:
            self.best_s, self.since_best = median_s, 0

    @property
    def expected_s(self) -> float | None:
        """What the chosen schedule takes: as validated, else the least median; None without a valid trial."""
        if self.validation is not None:
            return self.validation.median_s
        return self.best_s if self.valid else None


class RecordStore:
    """The writer's end of a records folder."""

    def __init__(self, folder: Path) -> None:
        """Open the folder, making or mending it."""
        folder.mkdir(parents=True, exist_ok=True)
        remove_left(folder)
        self.folder = folder
        self.database = NativeDatabase(folder)
        self.history: dict[str, WorkloadHistory] = {}
        self.trials = 0
        """Number of the latest one."""
        self._is_broken = False
        self._log = LineLog(folder / TRIALS)
        cut_torn_line(folder / VALIDATIONS)
        is_there = [line != NOTHING for line in lines_of(folder / RECORDS)]
        self._records = len(is_there)
        for trial in read_trials(folder):
            self.trials = max(self.trials, trial.trial)
            # One whose schedule is gone counts for nothing: the search may come to it again.
            if trial.record is None or (trial.record < self._records and is_there[trial.record]):
                self.of(trial.workload).add(trial)
        for validation in read_validations(folder):
            if validation.winner < self._records and is_there[validation.winner]:
                self.of(validation.workload).validation = validation

    def of(self, workload: str) -> WorkloadHistory:
        """History of a workload, empty when it has none."""
        return self.history.setdefault(workload, WorkloadHistory())

    def add(self, trial: Trial, record: PlacedRecord | None) -> None:
        """Keep one trial; `record` is its native form when it is valid.

        Raises OSError where the disk refuses; the folder takes nothing more then, until it is opened again.
        """
        if self._is_broken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))
        try:
            if record is not None:
                self.database.commit_record(record)
                trial = replace(trial, record=self._records)
                self._records += 1
            self._log.append(with_checksum(asdict(trial)))
        except OSError:
            self._is_broken = True
            raise
        self.trials = trial.trial
        self.of(trial.workload).add(trial)

    def add_validation(self, validation: Validation) -> None:
        """Keep what the best candidates took when they were measured again. Raises OSError where the disk refuses."""
        append_line(self.folder / VALIDATIONS, with_checksum(asdict(validation)))
        self.of(validation.workload).validation = validation

    def close(self) -> None:
        """Close the files."""
        self._log.close()
        self.database.close()
