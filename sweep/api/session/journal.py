"""The journal of a run for machines: one JSON object a line, for log collectors. People have the progress view.

Every line has `time` (ISO 8601, UTC), `level` (info, warning, error), `event` and `study`, and what else is to be said
of the event. The ledger is the truth; this may be lost or switched off at any time.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.unchecked import output_check_of
from sweep.errors import StudyError, cut_to_length
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.redaction import redacted
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.sweep_outcome import cell_outcome

__all__ = ["STREAM", "Journal", "target_of_environment"]

STREAM = "-"
"""As a file's name: standard error, where collectors of containers look; standard output is for results."""

_PROGRESS_EVERY_S = 30.0
_LOGGER = "sweep"


def target_of_environment() -> str | None:
    """Where lines go that no option asks for: to standard error with `SWEEP_LOG=json`.

    Raises:
        StudyError: the variable says something else.
    """
    wish = os.environ.get("SWEEP_LOG", "")
    if wish not in ("", "json"):
        raise StudyError("is no form of log", key="SWEEP_LOG", value=wish, allowed="json, or nothing")
    return STREAM if wish else None


class Journal:
    """Open while entered. Warnings of this package's loggers get into it too."""

    def __init__(self, target: str, study: str, clock: Callable[[], float] = time.time) -> None:
        """`target`: a file, which is added to, or `-`."""
        self._target, self._study, self._clock = target, study, clock
        self._file: TextIO | None = None
        self._closing = ExitStack()
        self._has_ended = False

    def __enter__(self) -> Self:
        """Raises StudyError where the file cannot be written."""
        if self._target == STREAM:
            self._file = sys.stderr
        else:
            try:
                self._file = self._closing.enter_context(Path(self._target).open("a", encoding="utf-8", buffering=1))
            except OSError as error:
                raise StudyError(
                    f"cannot be written: {error.strerror or error}",
                    key="--log-json",
                    value=self._target,
                    allowed="a file in a folder that is there, or - for standard error",
                ) from error
        handlers: list[logging.Handler] = [_Handler(self)]
        if self._target != STREAM and logging.lastResort is not None:
            handlers.append(logging.lastResort)  # without it a file would take warnings from who watches
        for handler in handlers:
            logging.getLogger(_LOGGER).addHandler(handler)
            self._closing.callback(logging.getLogger(_LOGGER).removeHandler, handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._has_ended:
            self.write(
                "run_failed",
                "error",
                error_class=type(error).__name__,
                error=cut_to_length(redacted(str(error))) or None,
            )
        self._closing.close()
        self._file = None

    def watch(self, plan: Plan, ledger: Ledger) -> _Watching:
        """An observer of a run, which begins with this."""
        kinds = Counter(stage.kind for stage in plan.stages.values())
        self.write("run_started", cells=plan.cells_with_work, stages=dict(kinds))
        return _Watching(self, plan, ledger)

    def run_ended(self, status: str, **fields: Any) -> None:
        """The last line of a run; a Ctrl-C after it has no other."""
        if self._has_ended:
            return
        self._has_ended = True
        self.write("run_ended", "info" if status == "done" else "warning", status=status, **fields)

    def write(self, event: str, level: str = "info", /, **fields: Any) -> None:
        """One line. A disk that refuses ends the journal, and not the run."""
        if self._file is None:
            return
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        known = {name: value for name, value in fields.items() if value is not None}
        line = json.dumps({"time": at, "level": level, "event": event, "study": self._study, **known}, default=str)
        try:
            self._file.write(f"{line}\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            self._file = None
            logging.getLogger(__name__).warning("no more lines are written to %s: %s", self._target, error)


class _Watching:
    """Tells a journal what happens in a run."""

    def __init__(self, journal: Journal, plan: Plan, ledger: Ledger) -> None:
        self._write, self._plan, self._ledger = journal.write, plan, ledger
        self._due: dict[str, float] = {}
        """Tune stage -> when its progress is told again."""
        self._now = 0.0

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        self._write("attempt_started", **_about(stage), attempt=attempt)

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        self._write("stage_done", **_about(stage), seconds=round(seconds, 3), **result.key_figures)
        if isinstance(result, FinalResult):
            self._tell_places(stage, result)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        level = "warning" if will_retry else "error"
        known = {"error_class": error_class, "error": error, "will_retry": will_retry}
        self._write("attempt_failed", level, **_about(stage), **known)

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        if self._now < self._due.get(stage.id, 0.0):
            return
        self._due[stage.id] = self._now + _PROGRESS_EVERY_S
        of_tuner = ("trials", "trials_total", "valid", "best_estimate_s", "seconds_left")
        known = {name: info.get(name) for name in (of_tuner if "trials" in info else ("median_s", "values"))}
        self._write("progress", **_about(stage), **known)

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        if from_earlier_run:
            return
        outcome = cell_outcome(self._plan, self._plan.cells[cell], self._ledger.state)
        level = "error" if outcome.status == "failed" else "warning" if outcome.status == "tainted" else "info"
        self._write(
            "cell_settled",
            level,
            cell=outcome.cell.name,
            cell_id=outcome.cell.id,
            device=outcome.cell.device,
            status="skipped" if outcome.status == "pending" else outcome.status,
            latency_ms_median=_median_ms(outcome),
            output_check=output_check_of(outcome.result(Measurement)),
            error_class=outcome.error_class,
            error=outcome.error,
        )

    def tick(self, now: float) -> None:
        self._now = now

    def _tell_places(self, stage: Stage, result: FinalResult) -> None:
        from sweep.analysis.final_place import places_of

        names = {planned.cell.id: planned.cell.name for planned in self._plan.cells}
        for cell, place in sorted(places_of(stage.id, result).items(), key=lambda item: item[1].ratio):
            self._write(
                "final_placed",
                **_about(stage),
                cell=names.get(cell),
                cell_id=cell,
                ratio_to_best=round(place.ratio, 6),
                ratio_ci_low=round(place.ci_low, 6),
                ratio_ci_high=round(place.ci_high, 6),
                final_ms_median=round(place.median_s * 1e3, 6),
                held=place.held,
            )


class _Handler(logging.Handler):
    """Takes what this package's loggers warn of."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != __name__:  # that is the journal itself, which cannot be written
            self._journal.write(
                "log", record.levelname.lower(), logger=record.name, message=redacted(record.getMessage())
            )


def _about(stage: Stage) -> dict[str, Any]:
    return {"stage": stage.label, "stage_id": stage.id, "kind": stage.kind, "device": stage.options.get("device")}


def _median_ms(outcome: CellOutcome) -> float | None:
    measurement = outcome.result(Measurement)
    median_s = None if measurement is None else measurement.median_s
    return None if median_s is None else round(median_s * 1e3, 6)
