"""Where an overlay builds and measures: one compile pool for all its devices, and a queue of its own for each.

Queues run at once; devices that share a core take turns by the core's lock. Everything is a future: who waits for what
is the caller's business.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sweep.engine.device_worker import DeviceWorker
from sweep.engine.queues import SerialQueue
from sweep.engine.site import Site
from sweep.engine.stage_calls import CANDIDATE_MEMORY_BYTES, MeasureCall
from sweep.engine.tuner_worker import FutureCandidateService
from sweep.toolchain.compile_job import CompileJob
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["OverlayRunner"]

Result = Future[dict[str, Any]]
_NETWORK_TIME_LIMIT_S = 1200.0
_BUILD_NETWORK = CompileJob("sweep.toolchain.jobs:build_artifact", "BuildFailed")


class OverlayRunner:
    """Builds and measurements of one overlay. A context manager."""

    def __init__(self, site: Site) -> None:
        slots = site.own_slots(len(site.compile_cores))
        self._site = site
        self._compile_pool = CompilePool(slots, site.compile_cores, lent_cores=site.lent_cores, lock_dir=site.lock_dir)
        self._workers: dict[str, DeviceWorker] = {}
        self._queues: dict[str, SerialQueue] = {}
        self.build_slots = slots + len(site.lent_cores)
        """Builds at a time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._compile_pool.close()  # first: what a queue waits for fails at once
        for worker in self._workers.values():
            with contextlib.suppress(Exception):  # the way out must go on
                worker.close()
        for queue in self._queues.values():
            queue.close()

    def candidate_service(self, device: str, target: Mapping[str, Any]) -> FutureCandidateService:
        """Builds candidates for a device and times them there. Called by the thread that opens the devices."""
        queue, worker = self._queue(device), self._worker(device)
        return FutureCandidateService(
            target,
            submit=self._build,
            measure=partial(queue.submit, worker.candidate),
            compare=partial(queue.submit, worker.compare),
            build_slots=self.build_slots,
            linker=self._site.devices[device].linker,
        )

    def build_network(self, lower_dir: str, log: Path, device: str, target: Mapping[str, Any], out_dir: str) -> Result:
        """Build a lowered network with a native log; directories are relative to the sweep's."""
        home = self._site.sweep_dir
        arguments = {
            "options": {"target": dict(target)},
            "lower_dir": str(home / lower_dir),
            "out_dir": str(home / out_dir),
            "records_dir": str(log),
            "linker": self._site.devices[device].linker,
        }
        return self._compile_pool.submit(_BUILD_NETWORK, arguments, _NETWORK_TIME_LIMIT_S)

    def measure(self, call: MeasureCall) -> Result:
        """Measure a built network; the result is a measure stage's."""
        return self._queue(call.device).submit(self._worker(call.device).measure, call)

    def _build(self, job: CompileJob, arguments: Mapping[str, Any], timeout_s: float) -> Result:
        return self._compile_pool.submit(job, dict(arguments), timeout_s, CANDIDATE_MEMORY_BYTES)

    def _queue(self, device: str) -> SerialQueue:
        if device not in self._queues:
            self._queues[device] = SerialQueue(device)
        return self._queues[device]

    def _worker(self, device: str) -> DeviceWorker:
        if device not in self._workers:
            self._workers[device] = DeviceWorker(self._site.devices[device], self._site, self._build)
        return self._workers[device]
