"""The replay engine: a finished sweep answers for its devices, with no TVM, no Ray and no device.

For trying plans, schedulers and recorders against real durations, failures and latencies. A stage is known by its id,
or by its label where another machine or another version has given it another id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sweep.engine.virtual_clock import VirtualClock
from sweep.errors import NotRecorded
from sweep.planning.stage import Stage
from sweep.running.contract import Attempt, Done, Failed, Report
from sweep.running.ledger.ledger import FailedStage, FinishedStage, read_ledger
from sweep.running.ledger.saved_plan import read_plan
from sweep.study.cluster.cluster import Cluster, Replay

__all__ = ["ReplayEngine"]

_WORKER = "replay"


class ReplayEngine:
    """Performs an attempt by reporting how its stage ended in the recorded sweep."""

    def __init__(self, cluster: Cluster, replay: Replay) -> None:
        """Raises LedgerError where the folder is no sweep."""
        self._folder = replay.sweep
        self._clock = VirtualClock(replay.speed)
        self._recording = _Recording(replay.sweep)
        self.capacity: Mapping[str, int] = {
            "compile": replay.slots,
            "tune": replay.slots,
            **{f"device:{device.key}": device.count for device in cluster.devices},
        }

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt; its end is known at once."""
        known = self._recording.of(attempt.stage)
        self._clock.add(attempt, known.seconds if isinstance(known, FinishedStage) else 0.0)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Attempts whose end has come."""
        return [self._report(attempt, seconds) for attempt, seconds in self._clock.ended(timeout_s)]

    def close(self) -> None:
        """Nothing is held."""
        self._clock.clear()

    def _report(self, attempt: Attempt, seconds: float) -> Report:
        stage, number = attempt.stage, attempt.number
        known = self._recording.of(stage)
        if isinstance(known, FinishedStage):
            return Done(stage.id, number, known.result.replayed_from(str(self._folder)), seconds, _WORKER)
        if isinstance(known, FailedStage):
            return Failed(stage.id, number, known.error_class, known.error, seconds, _WORKER)
        error = f"{self._folder} has no result of `{stage.label}`"
        return Failed(stage.id, number, NotRecorded.__name__, error, seconds, _WORKER)


class _Recording:
    """The recorded ends of a sweep's stages, by id and by label."""

    def __init__(self, folder: Path) -> None:
        state = read_ledger(folder)
        self._ends: Mapping[str, FinishedStage | FailedStage] = {**state.failed, **state.done}
        self._by_label: dict[str, FinishedStage | FailedStage] = {}
        for stage_id, stage in read_plan(folder)["stages"].items():
            if stage_id in self._ends:
                self._by_label[stage["label"]] = self._ends[stage_id]

    def of(self, stage: Stage) -> FinishedStage | FailedStage | None:
        return self._ends.get(stage.id) or self._by_label.get(stage.label)
