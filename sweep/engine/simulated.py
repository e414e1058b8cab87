"""The simulated engine: stages that take time and give plausible results, with no TVM, no Ray and no device.

For trying plans, schedulers and recorders at a scale that no lab has. Results say `simulated` in their conditions;
times, failures and latencies are drawn from the study's content and the cluster file's seed: a run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sweep.engine.stage_calls import perform
from sweep.engine.virtual_clock import VirtualClock
from sweep.errors import MeasureFailed, MeasureTimeout
from sweep.planning.kinds import kind_of, place_of
from sweep.planning.stage_kind import Place
from sweep.running.contract import Attempt, Report
from sweep.study.cluster.cluster import Cluster

__all__ = ["SimulatedEngine"]


class SimulatedEngine:
    """Performs attempts by waiting for their simulated end."""

    def __init__(self, cluster: Cluster) -> None:
        self._options = cluster.simulate
        slots = self._options.slots
        self.capacity: Mapping[str, int] = {
            "compile": slots,
            "tune": slots,
            **{f"device:{device.key}": slots * device.count for device in cluster.devices},
        }
        self._clock = VirtualClock(self._options.speed)

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt; its end is known at once."""
        seconds = self._seconds(attempt)
        self._clock.add(attempt, seconds if attempt.limit_s is None else min(seconds, attempt.limit_s))

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Attempts whose simulated end has come; with `speed: 0` the clock jumps to the next one."""
        return [self._report(attempt, seconds) for attempt, seconds in self._clock.ended(timeout_s)]

    def close(self) -> None:
        """Nothing is held."""
        self._clock.clear()

    def _seconds(self, attempt: Attempt) -> float:
        return float(self._options.stage_s.get(attempt.stage.kind, 0.0))

    def _report(self, attempt: Attempt, seconds: float) -> Report:
        stage = attempt.stage
        draw = random.Random(f"{self._options.seed}/{stage.id}/{attempt.number}")

        def work() -> dict[str, Any]:
            if draw.random() < self._options.failure_rate:
                raise MeasureFailed("simulated failure")
            is_cut_short = seconds < self._seconds(attempt)
            if is_cut_short and place_of(stage) is not Place.TUNER:
                raise MeasureTimeout("simulated: no answer in time")
            varied = random.Random(f"{self._options.seed}/{stage.id}")
            result = kind_of(stage).result.fake(stage, seconds, varied).to_json()
            return {**result, "is_cut_short": True} if is_cut_short else result

        return replace(perform(work, worker="simulated"), seconds=seconds).report(attempt)
