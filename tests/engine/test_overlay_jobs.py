"""The stages of an overlay as a device's worker performs them; the worker's builds and times are the test's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from sweep.engine.device_worker import DeviceWorker
from sweep.engine.overlay_jobs import measure_in_turns, time_candidates
from sweep.engine.stage_calls import DeviceJobCall, MeasureCall, device_call
from sweep.errors import BuildFailed, DeviceLost, DiskFull, MeasureFailed, OutputMismatch
from sweep.planning.kinds import kind_of
from sweep.planning.results.compiling import BuildResult, ImportResult
from sweep.planning.results.overlay_results import CandidateTimes, NetworkBlocks
from sweep.planning.stage_id import stage_of
from sweep.planning.stages import overlay
from sweep.running.contract import Attempt
from sweep.toolchain.candidates.service import Arguments, CandidateSource

MEASURE = {"timeout_s": 9.0}


@dataclass
class Worker:
    """By trace or folder: the errors in which things end, one after the other; the last for ever."""

    sweep_dir: Path
    builds: Mapping[str, Exception] = field(default_factory=dict)
    times: dict[str, list[Exception | None]] = field(default_factory=dict)
    build_slots = 1
    targets: list[Any] = field(default_factory=list)
    options: list[Mapping[str, Any]] = field(default_factory=list)
    measured: list[str] = field(default_factory=list)
    _trace_of: dict[Path, str] = field(default_factory=dict)

    def expect(self, seconds: float) -> None:
        """Nothing else uses it."""

    def candidate_service(self, target: Mapping[str, Any], linker: str | None) -> Worker:
        self.targets.append((target, linker))
        return self

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        trace = source.arguments["record"]
        assert source.arguments["workload"] == "the workload"
        assert lib.is_relative_to(self.sweep_dir)
        lib.touch()
        self._trace_of[lib] = trace
        return _settled(self.builds.get(trace) or {"args": [], "build_s": 0.5})

    def measure(self, *arguments: Any) -> Any:
        if isinstance(arguments[0], MeasureCall):
            return self._network(arguments[0])
        lib, _, options = arguments
        self.options.append(options)
        return _settled(self._error_of(self._trace_of[lib]) or {"run_secs": [1.0, 2.0], "seconds": 0.1})

    def compare(
        self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        self.options.append(options)
        return _settled({"run_secs": [[1.0, 2.0]] * len(candidates), "seconds": 0.3 * len(candidates)})

    def _network(self, call: MeasureCall) -> dict[str, Any]:
        assert (call.import_dir, call.device) == ("artifacts/import/i", "a")
        folder = str(call.artifact_dir)
        self.measured.append(folder)
        error = self._error_of(folder)
        if error is not None:
            raise error
        return {"run_secs": [float(len(self.measured))]}

    def _error_of(self, name: str) -> Exception | None:
        errors = self.times.get(name, [None])
        self.times[name] = errors[1:] or errors
        return errors[0]


def _settled(answer: dict[str, Any] | Exception) -> Future[dict[str, Any]]:
    future: Future[dict[str, Any]] = Future()
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
    return future


def layer(*traces: str, in_turns: bool = False, best_s: float | None = None) -> Attempt:
    hints = {"records": {trace: ["the workload", trace] for trace in traces}, "linker": "ld", "best_s": best_s}
    draft = overlay.layer("a", {"kind": "llvm"}, "w", traces, in_turns=in_turns, label="time", hints=hints)
    return Attempt(stage_of(kind_of(overlay.LAYER), draft), 1, {})


def timed(worker: Worker, attempt: Attempt) -> CandidateTimes:
    result = CandidateTimes.of_job(time_candidates(attempt, cast("DeviceWorker", worker)))
    assert not list(worker.sweep_dir.glob("artifacts/*/*")), "what was built is gone"
    return result


def test_each_candidate_has_its_times_or_its_reason(tmp_path: Path) -> None:
    worker = Worker(tmp_path, {"b": BuildFailed("no\nsuch intrinsic")}, {"c": [MeasureFailed("crashed")]})
    found = {each.trace_hash: each for each in timed(worker, layer("a", "b", "c", best_s=1.0)).candidates}
    assert (found["a"].run_secs, found["a"].build_s, found["a"].measure_s) == ((1.0, 2.0), 0.5, 0.1)
    assert (found["b"].error_class, found["b"].error, found["b"].run_secs) == ("BuildFailed", "no such intrinsic", None)
    assert (found["c"].error_class, found["c"].build_s) == ("MeasureFailed", 0.5)
    assert worker.targets == [({"kind": "llvm"}, "ld")]
    assert worker.options[0]["slow_s"] == pytest.approx(3.0, abs=1e-3)
    assert worker.options[0]["timeout_s"] == 30.0


def test_contenders_take_turns_and_share_the_time_that_it_took(tmp_path: Path) -> None:
    worker = Worker(tmp_path, {"b": BuildFailed("no")})
    found = timed(worker, layer("a", "b", "c", in_turns=True)).candidates
    assert [(each.trace_hash, each.run_secs, each.measure_s) for each in found] == [
        ("a", (1.0, 2.0), pytest.approx(0.3)),
        ("c", (1.0, 2.0), pytest.approx(0.3)),
    ]
    assert worker.options[0]["timeout_s"] == 60.0


def test_a_lost_candidate_fails_the_stage_and_what_was_built_goes(tmp_path: Path) -> None:
    worker = Worker(tmp_path, times={"a": [DeviceLost("away")]})
    with pytest.raises(DeviceLost):
        time_candidates(layer("a", "b"), cast("DeviceWorker", worker))
    assert len(worker.options) == 3, "twice the lost one; the other was timed"
    assert not list(tmp_path.glob("artifacts/*/*"))


def network(merged: int = 3, own: int = 3) -> Attempt:
    options = {
        "runtime": "tvm",
        "device": "a",
        "threads": 1,
        "measure": MEASURE,
        "threshold": 1e-3,
        "rounds": {"merged": merged, "own": own},
    }
    draft = overlay.network(options, {"import": "1", "merged": "2", "own": "3"}, "measure")
    inputs = {
        "import": ImportResult(dir="artifacts/import/i"),
        "merged": BuildResult(dir="m"),
        "own": BuildResult(dir="o"),
    }
    return Attempt(stage_of(kind_of(overlay.NETWORK), draft), 1, inputs)


def blocks(worker: Worker, attempt: Attempt) -> NetworkBlocks:
    return NetworkBlocks.of_job(measure_in_turns(attempt, cast("DeviceWorker", worker)))


def test_builds_alternate_and_every_other_round_goes_backwards(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    result = blocks(worker, network())
    assert worker.measured == ["m", "o", "o", "m", "m", "o"]
    assert [block.run_secs for block in result.merged] == [(1.0,), (4.0,), (5.0,)]
    assert [block.run_secs for block in result.own] == [(2.0,), (3.0,), (6.0,)]


def test_a_build_has_as_many_rounds_as_it_lacks(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    blocks(worker, network(merged=1, own=2))
    assert worker.measured == ["m", "o", "o"]


def test_a_build_that_fails_is_measured_no_more_and_the_other_goes_on(tmp_path: Path) -> None:
    worker = Worker(tmp_path, times={"m": [None, OutputMismatch("0.5 off")]})
    result = blocks(worker, network())
    assert (len(result.merged), len(result.own)) == (1, 3)
    assert result.failures == {"merged": "OutputMismatch: 0.5 off"}


@pytest.mark.parametrize("error", [DeviceLost("away"), DiskFull("no space")])
def test_what_is_no_builds_fault_fails_the_stage(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)):
        blocks(Worker(tmp_path, times={"o": [error]}), network())


def test_a_kind_with_a_job_of_its_own_goes_to_the_worker_as_that_job() -> None:
    call = device_call(layer("a"))
    assert isinstance(call, DeviceJobCall)
    assert (call.device, call.job) == ("a", "sweep.engine.overlay_jobs:time_candidates")
