"""What the events of a ledger come to, folded one by one."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from sweep.errors import LedgerError, cut_to_length
from sweep.files.confined import OutsideFolder
from sweep.files.sweep_dir import LEDGER
from sweep.files.typed_json import WrongContent
from sweep.planning.kinds import kind_of
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.results.stage_result import StageResult

__all__ = ["FailedStage", "FinishedStage", "LedgerState"]


@dataclass(frozen=True, slots=True)
class FinishedStage:
    """A stage that is done, with its result."""

    kind: str
    result: StageResult
    seconds: float
    attempt: int
    t: float
    seq: int = 0
    """Of its line: tells which of two stages ended later, also where the clock was set back."""
    is_cut_short: bool = False
    """A tuner ended for want of the run's time: a later run goes on."""
    offset: int = 0
    """Where its line begins in the file."""

    @classmethod
    def of(cls, line: Mapping[str, Any], offset: int) -> FinishedStage:
        """From the event that says so. Raises LedgerError for a result whose fields are of other types, or whose files
        are not in the sweep directory.
        """
        try:
            result = kind_of(line["kind"], f"stage {line['stage']}").result.from_json(line["result"])
        except (WrongContent, OutsideFolder) as error:
            raise LedgerError(
                f"event {line['seq']} of {LEDGER}: the result of {line['kind']} stage {line['stage']}: {error}; "
                "restore the ledger from a copy, or begin anew with `sweep run STUDY --fresh`"
            ) from None
        return cls(
            line["kind"],
            result,
            line["seconds"],
            line["attempt"],
            line["t"],
            line["seq"],
            line.get("cut_short", False),
            offset,
        )


@dataclass(frozen=True, slots=True)
class FailedStage:
    """A stage whose last attempt failed for good."""

    kind: str
    error_class: str
    error: str
    attempt: int
    t: float
    limit_s: float | None = None
    """For a cell that had no more time: the limit that it had."""


_AFTER_A_PAUSE = ("run_started", "overlay_started", "final_started", "pair_measured")
"""Events before which nobody was at work on the study."""


_MOST_PAIRS = 100_000
"""They are all in memory, 1 kB each; `sweep compare --measure-more` takes hundreds."""


@dataclass(slots=True)
class LedgerState:
    """The fold of all events."""

    done: MutableMapping[str, FinishedStage] = field(default_factory=dict)
    failed: dict[str, FailedStage] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    """The last attempt of each stage that is not done with it; see `attempts_of`."""
    started: set[str] = field(default_factory=set)
    """Stages with an attempt that has no end: running, or lost with a killed driver."""
    runs: int = 0
    first_t: float | None = None
    last_t: float | None = None
    worked_s: float = 0.0
    """From the start of each run to its last event, together: the pauses between runs are not in it."""
    last_status: str | None = None
    """How the last run ended; None while it runs, or when it was killed."""
    stopped: str | None = None
    """Why the last run ended before all of its cells had an answer, other than by a person's will."""
    only: str | None = None
    """The selection of cells that the last run was for; None: all."""
    seq: int = 0
    conditions: dict[str, Any] = field(default_factory=dict)
    finals: list[str] = field(default_factory=list)
    """Ids of stages that are finals, in the order in which they ended."""
    has_finals: bool = False
    """Whether a run has told that its sweep ends with finals: those of earlier versions had none."""
    not_admitted: dict[str, str] = field(default_factory=dict)
    """Why cells, by their id, were not worth their work in the last run; another run may do them."""
    predicted: dict[str, PredictedLatency] = field(default_factory=dict)
    """Latencies of cells, by their id, that the last run skipped by them, or that any run measures all the same, to see
    whether it might have."""
    pairs: list[Mapping[str, Any]] = field(default_factory=list)
    """Blocks of two cells that `sweep.api.commands.measure_more` measured in turns after the run."""

    def attempts_of(self, stage_id: str) -> int:
        """How often it was tried."""
        if stage_id in self.attempts or stage_id not in self.done:
            return self.attempts.get(stage_id, 0)
        return self.done[stage_id].attempt

    def apply(self, line: Mapping[str, Any], offset: int = 0) -> None:
        """Take one event. `offset`: where its line begins in the file."""
        self.seq, t = line["seq"], line["t"]
        if self.last_t is not None and line["event"] not in _AFTER_A_PAUSE:
            self.worked_s += max(0.0, t - self.last_t)  # a clock may have been set back
        self.first_t, self.last_t = self.first_t if self.first_t is not None else t, t
        match line["event"]:
            case "run_started":
                self.runs += 1
                self.last_status = self.stopped = None
                self.only = line.get("only")
                self.started.clear()
                self.not_admitted.clear()
                self.predicted = {cell: one for cell, one in self.predicted.items() if one.is_audited}
                self.conditions = dict(line.get("conditions") or {})
                self.has_finals = self.has_finals or "final" in self.conditions
            case "overlay_started" | "final_started":  # which is no run of the study
                self.started.clear()
            case "run_ended":
                self.last_status = line["status"]
                self.stopped = line.get("reason")
            case "attempt_started":
                self.attempts[line["stage"]] = line["attempt"]
                self.started.add(line["stage"])
            case "stage_done":
                stage = line["stage"]
                self.started.discard(stage)
                self.failed.pop(stage, None)
                self.attempts.pop(stage, None)
                self._take_result(stage, FinishedStage.of(line, offset))
            case "attempt_dropped":
                self.started.discard(line["stage"])
            case "attempt_failed":
                stage = line["stage"]
                self.started.discard(stage)
                if not line["retry"]:
                    self.failed[stage] = FailedStage(
                        line["kind"],
                        line["error_class"],
                        cut_to_length(line["error"]),
                        line["attempt"],
                        t,
                        line.get("limit_s"),
                    )
            case "cell_skipped" | "cell_audited":
                self._take_verdict(line)
            case "pair_measured":
                self._take_pair(line)

    def _take_result(self, stage: str, finished: FinishedStage) -> None:
        self.done[stage] = finished
        if isinstance(finished.result, FinalResult):
            self.finals.append(stage)

    def _take_verdict(self, line: Mapping[str, Any]) -> None:
        if line["event"] == "cell_skipped":
            self.not_admitted[line["cell"]] = line["reason"]
        if (predicted := line.get("predicted")) is not None:
            self.predicted[line["cell"]] = PredictedLatency.from_json(predicted)

    def _take_pair(self, line: Mapping[str, Any]) -> None:
        if len(self.pairs) >= _MOST_PAIRS:
            raise LedgerError(f"{LEDGER} has more than {_MOST_PAIRS:,} pairs of blocks; restore it from a copy")
        self.pairs.append({"cells": line["cells"], "blocks": line["blocks"]})
