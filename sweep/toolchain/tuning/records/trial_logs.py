"""Record types and readers of trials.jsonl (each trial) and validations.jsonl (the best, measured again). No TVM.

Each line ends with its checksum: a changed bit may give another time, and a time decides which schedule is best.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sweep.analysis.statistics import summarise
from sweep.errors import was_lost
from sweep.files.line_checksum import is_as_written
from sweep.files.typed_json import WrongContent, parsed, read_as
from sweep.toolchain.native_log import lines_of

__all__ = ["TRIALS", "VALIDATIONS", "Trial", "Validation", "read_trials", "read_validations"]

TRIALS, VALIDATIONS = "trials.jsonl", "validations.jsonl"

T = TypeVar("T")


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
    design: int | None = None
    decisions: Sequence[Any] | None = None
    """What was decided in the design, for a search to go on from: factors of a tile, a number for the rest."""
    record: int | None = None
    """The line of the native database that holds its schedule, counted from 0; None for a failure."""
    origin: str = "search"
    """search; warm start: a schedule that another sweep had found, measured here; relative: one of a workload of the
    same family.
    """

    @property
    def median_s(self) -> float | None:
        """Median of the repeats; None for a failure."""
        return statistics.median(self.run_secs) if self.run_secs else None

    @property
    def is_lost(self) -> bool:
        """Whether it was lost with its board, builder or compile server: that says nothing of the candidate."""
        return was_lost(self.error_class, self.error)


@dataclass(frozen=True, slots=True)
class Validation:
    """The best candidates of a workload, measured again in turns: their first times were the least of many, and so too
    low on the whole (the winner's curse).
    """

    workload: str
    t: float
    winner: int
    """The record (line of the native database) of least median."""
    contenders: Sequence[Mapping[str, Any]]
    """For each: record, trace_hash, screening_s (the median that it was chosen by), run_secs, median_s, ci_low_s,
    ci_high_s.
    """

    @classmethod
    def of(cls, workload: str, measured: Iterable[tuple[int, str, float | None, Sequence[float]]]) -> Validation:
        """Now. measured: record, trace_hash, screening_s (None: it was measured in turns alone), run_secs of each."""
        contenders: list[dict[str, Any]] = []
        for record, trace_hash, screening_s, run_secs in measured:
            summary = summarise(run_secs)
            contenders.append(
                {
                    "record": record,
                    "trace_hash": trace_hash,
                    "screening_s": summary.median if screening_s is None else screening_s,
                    "run_secs": list(run_secs),
                    "median_s": summary.median,
                    "ci_low_s": summary.ci_low,
                    "ci_high_s": summary.ci_high,
                }
            )
        winner = min(contenders, key=lambda one: one["median_s"])
        return cls(workload, time.time(), winner["record"], contenders)

    @property
    def gap(self) -> float:
        """By how much the winner's first median was below its median now, relative to the latter."""
        found = next(one for one in self.contenders if one["record"] == self.winner)
        return 1.0 - float(found["screening_s"]) / float(found["median_s"])

    @property
    def median_s(self) -> float:
        """The winner's."""
        return float(next(one for one in self.contenders if one["record"] == self.winner)["median_s"])


def read_trials(folder: Path) -> Iterator[Trial]:
    """All trials of a folder, in order; a torn last line is left out, and so is a damaged one."""
    return _read(folder / TRIALS, Trial)


def read_validations(folder: Path) -> Iterator[Validation]:
    """All validations of a folder, in order; a torn last line is left out, and so is a damaged one."""
    return _read(folder / VALIDATIONS, Validation)


def _read(path: Path, kind: type[T]) -> Iterator[T]:
    for line in lines_of(path):
        if line is not None and not is_as_written(line):
            continue
        try:
            one = read_as(kind, parsed(line or ""))
        except WrongContent:
            continue
        yield one
