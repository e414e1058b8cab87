"""Turns the calls of tune stages into tuning by the toolchain. An engine decides in which process it lives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sweep.engine.stage_calls import TuneCall
from sweep.toolchain.candidates.service import Arguments, CandidateSource
from sweep.toolchain.compile_job import CompileJob

__all__ = ["CandidateBuilder", "FutureCandidateService", "TunerWorker"]


class CandidateBuilder(Protocol):
    """Submits a job to a compile pool, wherever that is."""

    def __call__(self, job: CompileJob, arguments: Mapping[str, Any], timeout_s: float) -> Future[dict[str, Any]]: ...


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
    submit: CandidateBuilder
    measure: CandidateRunner
    """Times a candidate on the tuning device."""
    compare: CandidateComparer
    """Times candidates in turns on the tuning device."""
    build_slots: int
    linker: str | None = None

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        """Build a candidate in a killable child of the compile pool."""
        where = {"target": dict(self.target), "out_path": str(lib), "linker": self.linker}
        return self.submit(source.job, {**source.arguments, **where}, timeout_s)


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
    ) -> dict[str, Any]:
        """Perform a tune stage."""
        tasks = [replace(task, module=self._sweep_dir / task.module) for task in call.job.tasks]
        job = replace(call.job, tasks=tasks, limit_s=call.left_s())
        return {**self._session.tune(job, service, report), "records_dir": call.key}

    def close(self) -> None:
        """Remove what the candidates have left."""
        self._session.close()
