"""The stages of an overlay that a device's worker performs: candidates of a layer, and builds of a network in turns."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sweep.engine.device_worker import DeviceWorker
from sweep.engine.stage_calls import MeasureCall, folder_of, measure_call
from sweep.errors import LOST, MeasureFailed, MeasureTimeout, OutputMismatch, in_one_line
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.overlay_results import CandidateTimes, NetworkBlocks, TimedCandidate
from sweep.running.contract import Attempt
from sweep.toolchain.candidates.libraries import Libraries
from sweep.toolchain.candidates.pipeline import BuildMeasurePipeline
from sweep.toolchain.candidates.requests import (
    ComparisonRequest,
    CompletedComparison,
    CompletedTrial,
    Contender,
    TrialRequest,
)
from sweep.toolchain.candidates.timing_figures import OVERLAY_SLOW, OVERLAY_TIMEOUT_S, Timing, slow_from_s
from sweep.toolchain.native_log import NativeRecord
from sweep.toolchain.schedule_transfer import recorded_schedule

__all__ = ["measure_in_turns", "time_candidates"]

_TIMING = Timing(timeout_s=OVERLAY_TIMEOUT_S)
_BUILD_TIMEOUT_S = 60.0

Completed = CompletedTrial[str] | CompletedComparison[str]


def time_candidates(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """Build recorded schedules of one workload for the device and time them, each alone or all in turns.

    A candidate that does not build or run is told with its reason. Raises DeviceLost,
    CompilerLost or EngineError: one was lost with its board or its builder.
    """
    device, in_turns = str(attempt.stage.options["device"]), bool(attempt.stage.options["in_turns"])
    scratch = worker.sweep_dir / folder_of(attempt.stage)
    scratch.mkdir(parents=True, exist_ok=True)
    pipeline: BuildMeasurePipeline[str, str] = BuildMeasurePipeline(Libraries(scratch))
    service = worker.candidate_service(attempt.stage.options["target"], attempt.stage.hints.get("linker"))
    pipeline.begin({device: service})
    requests = [_comparison(attempt, device)] if in_turns else _trials(attempt, device)
    try:
        completed = list(pipeline.perform(iter(requests), len(requests)))
    finally:
        pipeline.abandon()
        shutil.rmtree(scratch, ignore_errors=True)
    for lost in completed:
        if isinstance(lost.error, LOST):
            raise lost.error
    timed = [candidate for each in completed for candidate in _timed(each)]
    return CandidateTimes(candidates=tuple(timed)).to_json()


def _contenders(attempt: Attempt) -> list[Contender[str]]:
    records = attempt.stage.hints["records"]
    return [
        Contender(trace_hash, recorded_schedule(NativeRecord(*records[trace_hash])))
        for trace_hash in attempt.stage.options["candidates"]
    ]


def _trials(attempt: Attempt, device: str) -> list[TrialRequest[str] | ComparisonRequest[str]]:
    best_s = attempt.stage.hints.get("best_s")
    slow_s = partial(slow_from_s, math.inf if best_s is None else float(best_s), OVERLAY_SLOW)
    return [TrialRequest(device, each, _TIMING, _BUILD_TIMEOUT_S, slow_s) for each in _contenders(attempt)]


def _comparison(attempt: Attempt, device: str) -> ComparisonRequest[str]:
    return ComparisonRequest(device, _contenders(attempt), _TIMING, _BUILD_TIMEOUT_S)


def _timed(completed: Completed) -> list[TimedCandidate]:
    """What came of each candidate; of a comparison, of those that took turns."""
    if isinstance(completed, CompletedComparison):
        each_s = (completed.measure_s or 0.0) / max(1, len(completed.compared))
        return [
            TimedCandidate(trace_hash, run_secs=run_secs, measure_s=each_s)
            for trace_hash, run_secs in zip(completed.compared, completed.run_secs, strict=True)
        ]
    error = completed.error
    return [
        TimedCandidate(
            completed.subject,
            run_secs=completed.run_secs,
            error_class=None if error is None else type(error).__name__,
            error=None if error is None else in_one_line(error),
            build_s=completed.build_s,
            measure_s=completed.measure_s,
        )
    ]


def measure_in_turns(attempt: Attempt, worker: DeviceWorker) -> dict[str, Any]:
    """Measure builds of a network in rounds, a block of each in every round; every other round goes backwards.

    A build that fails is told with its reason and measured no more. Raises DeviceLost: the device is away.
    """
    rounds: Mapping[str, int] = attempt.stage.options["rounds"]
    roles = list(rounds)
    blocks: dict[str, list[Measurement]] = {role: [] for role in roles}
    failures: dict[str, str] = {}
    for number in range(max(rounds.values(), default=0)):
        for role in roles if number % 2 == 0 else reversed(roles):
            if number >= rounds[role] or role in failures:
                continue
            try:
                blocks[role].append(Measurement.of_job(worker.measure(_call(attempt, role))))
            except (MeasureFailed, MeasureTimeout, OutputMismatch) as error:
                failures[role] = f"{type(error).__name__}: {error}"
    return NetworkBlocks(merged=tuple(blocks["merged"]), own=tuple(blocks["own"]), failures=failures).to_json()


def _call(attempt: Attempt, role: str) -> MeasureCall:
    """As of a measure stage with this build alone."""
    inputs = {"import": attempt.inputs["import"], "build": attempt.inputs[role]}
    return measure_call(replace(attempt, inputs=inputs))
