"""An engine that answers an overlay's stages at once, with times that depend on device and schedule alone."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sweep.planning.results.compiling import BuildResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.overlay_results import CandidateTimes, NetworkBlocks, TimedCandidate
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Stage
from sweep.planning.stages import overlay
from sweep.running.contract import Attempt, Done, Failed, Report

__all__ = ["ScriptedEngine", "seconds_of"]


def seconds_of(device: str, trace_hash: str) -> float:
    """About as long as the sweep's own tuning says that its kernels take; no two schedules tie."""
    return 1e-7 * (1 + int(hashlib.sha256(f"{device}/{trace_hash}".encode()).hexdigest()[:8], 16) / 2**32)


class ScriptedEngine:
    """`failing`: schedules that do not build. `refuses`: how an attempt fails, where it does."""

    capacity: Mapping[str, int] = {"compile": 2, "device:here-avx2": 8, "device:here-nehalem": 8}

    def __init__(
        self,
        sweep_dir: Path,
        failing: Sequence[str] = (),
        refuses: Callable[[Stage], str | None] = lambda stage: None,
    ) -> None:
        self._sweep_dir, self._failing, self._refuses = sweep_dir, failing, refuses
        self.performed: list[Stage] = []
        self._ended: deque[Report] = deque()

    def start(self, attempt: Attempt) -> None:
        stage = attempt.stage
        self.performed.append(stage)
        error_class = self._refuses(stage)
        if error_class is not None:
            self._ended.append(Failed(stage.id, attempt.number, error_class, "as the test wants it", 0.1, "test"))
            return
        of_kind = {overlay.LAYER: self._layer, overlay.BUILD: self._build, overlay.NETWORK: self._network}
        self._ended.append(Done(stage.id, attempt.number, of_kind[stage.kind](stage), 0.1, "test"))

    def poll(self, timeout_s: float) -> Sequence[Report]:
        ended, self._ended = list(self._ended), deque()
        return ended

    def close(self) -> None:
        pass

    def _layer(self, stage: Stage) -> StageResult:
        device, in_turns = stage.options["device"], stage.options["in_turns"]
        timed = []
        for trace_hash in stage.options["candidates"]:
            if trace_hash not in self._failing:
                values = [seconds_of(device, trace_hash)] * (10 if in_turns else 3)
                timed.append(TimedCandidate(trace_hash, tuple(values), build_s=0.5, measure_s=0.1))
            elif not in_turns:
                timed.append(TimedCandidate(trace_hash, error_class="BuildFailed", error="no such intrinsic"))
        return CandidateTimes(candidates=tuple(timed))

    def _build(self, stage: Stage) -> StageResult:
        folder = f"artifacts/{stage.kind}/{stage.id}"
        (self._sweep_dir / folder).mkdir(parents=True)
        return BuildResult(dir=folder, files={}, untuned_tasks=1)

    def _network(self, stage: Stage) -> StageResult:
        blocks = {
            role: tuple([Measurement(run_secs=(1e-3 * (1 + number), 1e-3)) for number in range(count)])
            for role, count in stage.options["rounds"].items()
        }
        return NetworkBlocks(**blocks)
