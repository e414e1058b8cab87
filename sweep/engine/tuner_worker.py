"""Turns the calls of tune stages into tuning by the toolchain. An engine decides in which process it lives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sweep.engine.stage_calls import MeasureCall, TuneCall
from sweep.errors import MeasureFailed
from sweep.study.spec import TVM
from sweep.toolchain.candidates.service import Arguments, CandidateSource, NetworkOrder
from sweep.toolchain.compile_job import BUILD_NETWORK, CompileJob

__all__ = ["FutureCandidateService", "FutureNetworkService", "JobSubmitter", "TunerWorker"]


class JobSubmitter(Protocol):
    """Submits a job to a compile pool, wherever that is."""

    def __call__(self, job: CompileJob, arguments: Mapping[str, Any], /) -> Future[dict[str, Any]]: ...


class CandidateRunner(Protocol):
    """Submits a candidate to a device, wherever that is."""

    def __call__(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> Future[dict[str, Any]]: ...


class CandidateComparer(Protocol):
    """Submits several candidates to a device, to be measured in turns."""

    def __call__(
        self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class FutureCandidateService:
    """A `CandidateService` made of functions that return futures."""

    target: Mapping[str, Any]
    submit: JobSubmitter
    measure: CandidateRunner
    """Times a candidate on the tuning device."""
    compare: CandidateComparer
    """Times candidates in turns on the tuning device."""
    build_slots: int
    expect: Callable[[float], None] = lambda seconds: None
    """Has the device keep itself ready for so long."""
    linker: str | None = None

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        """Build a candidate in a killable child of the compile pool."""
        where = {"target": dict(self.target), "out_path": str(lib), "linker": self.linker}
        return self.submit(source.job.within(timeout_s), {**source.arguments, **where})


@dataclass(frozen=True, slots=True)
class FutureNetworkService:
    """A `NetworkService` made of functions that return futures."""

    sweep_dir: Path
    target: Mapping[str, Any]
    device: str
    submit: JobSubmitter
    measure: Callable[[MeasureCall], Future[dict[str, Any]]]
    """Measures a network on the tuning device."""
    linker: str | None = None

    def time_network(self, order: NetworkOrder, records_dir: Path, folder: Path) -> Future[dict[str, Any]]:
        """Build a network in a killable child of the compile pool, then measure it in turns with what else is.

        Who cancels the answer ends the build, and nothing comes to the board; a measurement goes on to its end.
        """
        answer: Future[dict[str, Any]] = Future()
        arguments = {
            "options": {"target": dict(self.target)},
            "lower_dir": str(self.sweep_dir / order.lower_dir),
            "records_dir": str(records_dir),
            "out_dir": str(folder),
            "linker": self.linker,
        }

        def built(done: Future[dict[str, Any]]) -> None:
            if not answer.set_running_or_notify_cancel() or _passed_on(done, answer):
                return
            try:
                measuring = self.measure(self._call(order, folder))
            except Exception as problem:  # noqa: BLE001 - an error in a callback would be lost, and the answer with it
                answer.set_exception(problem)
            else:
                measuring.add_done_callback(measured)

        def measured(done: Future[dict[str, Any]]) -> None:
            if not _passed_on(done, answer):
                answer.set_result(done.result())

        building = self.submit(BUILD_NETWORK, arguments)
        answer.add_done_callback(lambda done: building.cancel() if done.cancelled() else None)
        building.add_done_callback(built)
        return answer

    def _call(self, order: NetworkOrder, folder: Path) -> MeasureCall:
        lower_dir = self.sweep_dir / order.lower_dir
        lowering = json.loads((lower_dir / "lowering.json").read_text(encoding="utf-8"))
        if "import_dir" not in lowering:
            raise MeasureFailed(f"{order.lower_dir}: an earlier version, which did not note its import, has lowered it")
        return MeasureCall(
            device=self.device,
            runtime=TVM,
            artifact_dir=str(folder),
            import_dir=str(lower_dir / lowering["import_dir"]),
            measure=order.measure,
            threads=order.threads,
            threshold=order.threshold,
            key=f"early {order.lower_dir}",
        )


def _passed_on(done: Future[dict[str, Any]], answer: Future[dict[str, Any]]) -> bool:
    """Hand an error on; whether there was one."""
    error = CancelledError() if done.cancelled() else done.exception()
    if error is not None:
        answer.set_exception(error)
    return error is not None


class TunerWorker:
    """Holds one tuning session, which performs all tune stages of its key."""

    def __init__(self, sweep_dir: Path, call: TuneCall) -> None:
        from sweep.toolchain.tuning.tuning_session import TuningSession

        self._sweep_dir = sweep_dir
        self._session = TuningSession(call.name, call.job.options, call.target, sweep_dir / call.key, call.seed)

    def tune(
        self,
        call: TuneCall,
        service: FutureCandidateService,
        report: Callable[[Mapping[str, Any]], None],
        networks: FutureNetworkService | None = None,
    ) -> dict[str, Any]:
        """Perform a tune stage."""
        tasks = [replace(task, module=self._sweep_dir / task.module) for task in call.job.tasks]
        job = replace(call.job, tasks=tasks, limit_s=call.left_s())
        return {**self._session.tune(job, service, report, networks), "records_dir": call.key}

    def close(self) -> None:
        """Remove what the candidates have left."""
        self._session.close()
