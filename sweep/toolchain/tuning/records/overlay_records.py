"""The records of an overlay on one device: a store like a tuner's, of schedules that mostly others have found.

`trials.jsonl` has a line for each candidate that was measured or failed, `validations.jsonl` one for each time that
candidates of a workload were measured in turns, and the native database what was valid. So the table of tuning records
has them, a warm start can begin with them, and MetaSchedule loads them. One writer; TVM is not needed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.errors import cut_to_length
from sweep.files.line_checksum import with_checksum
from sweep.files.line_log import append_line, cut_torn_line
from sweep.files.sweep_dir import records_folder
from sweep.toolchain.native_log import NativeLog, NativeRecord
from sweep.toolchain.tuning.records.trial_logs import (
    TRIALS,
    VALIDATIONS,
    Trial,
    Validation,
    read_trials,
    read_validations,
)

__all__ = ["ORIGIN", "Configuration", "OverlayRecords", "folder_of"]

ORIGIN = "overlay"


def folder_of(target_hash: str, device: str) -> str:
    """Relative to the sweep directory. No tuner's label has the sign, so no tuner has the folder."""
    return records_folder(target_hash, f"{ORIGIN}@{device}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A candidate of a layer: a schedule of its workload."""

    workload: str
    task: str
    trace_hash: str
    native: NativeRecord
    """Of whoever found it."""


class OverlayRecords:
    """The records of one device for one full target."""

    def __init__(self, folder: Path, device: str, target_json: str) -> None:
        """Open the folder, making or mending it. target_json: as the device's other records have it."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in (TRIALS, VALIDATIONS):
            cut_torn_line(folder / name)
        self._folder, self._device, self._target_json = folder, device, target_json
        self._native = NativeLog(folder)
        self._trials = 0
        self._tried: set[tuple[str, str]] = set()
        for trial in read_trials(folder):
            self._trials = max(self._trials, trial.trial)
            self._tried.add((trial.workload, trial.trace_hash))
        self._compared: dict[str, list[frozenset[str]]] = {}
        for validation in read_validations(folder):
            self._book(validation)

    def compared(self, workload: str) -> Sequence[frozenset[str]]:
        """Traces of a workload that were measured in turns, a set each time."""
        return self._compared.get(workload, ())

    def add(self, one: Configuration, run_secs: Sequence[float], measure_s: float, build_s: float) -> None:
        """Keep a measurement."""
        record = self._native.add(one.native.measured(run_secs, json.loads(self._target_json)))
        self._write(one, run_secs, record, build_s=build_s, measure_s=measure_s)

    def has(self, one: Configuration) -> bool:
        """Whether it was timed, or has failed."""
        return (one.workload, one.trace_hash) in self._tried

    def add_failure(self, one: Configuration, error_class: str, error: str, build_s: float | None = None) -> None:
        """Keep why there is no measurement."""
        self._write(one, None, None, error=(error_class, cut_to_length(" ".join(error.split()))), build_s=build_s)

    def add_comparison(
        self, contenders: Sequence[Configuration], each_run_secs: Sequence[Sequence[float]], measure_s: float
    ) -> None:
        """Keep what contenders of one workload took in turns, `measure_s` all together."""
        each_s = measure_s / len(contenders)
        measured = []
        for one, run_secs in zip(contenders, each_run_secs, strict=True):
            record = self._native.add(one.native.measured(run_secs, json.loads(self._target_json)))
            self._write(one, run_secs, record, measure_s=each_s)
            measured.append((record, one.trace_hash, None, run_secs))
        validation = Validation.of(contenders[0].workload, measured)
        self._append(VALIDATIONS, asdict(validation))
        self._book(validation)

    def _write(
        self,
        one: Configuration,
        run_secs: Sequence[float] | None,
        record: int | None,
        *,
        error: tuple[str, str] | None = None,
        build_s: float | None = None,
        measure_s: float | None = None,
    ) -> None:
        self._trials += 1
        trial = Trial(
            workload=one.workload,
            task=one.task,
            trial=self._trials,
            tuner=ORIGIN,
            device=self._device,
            target=self._target_json,
            t=time.time(),
            run_secs=run_secs,
            error_class=None if error is None else error[0],
            error=None if error is None else error[1],
            build_s=build_s,
            measure_s=measure_s,
            trace_hash=one.trace_hash,
            record=record,
            origin=ORIGIN,
        )
        self._append(TRIALS, asdict(trial))
        self._tried.add((one.workload, one.trace_hash))

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        append_line(self._folder / name, with_checksum(line))

    def _book(self, validation: Validation) -> None:
        traces = frozenset(str(one["trace_hash"]) for one in validation.contenders)
        self._compared.setdefault(validation.workload, []).append(traces)
