"""Where an overlay builds and measures: one forge for all its devices, and a lane of its own for each.

Lanes run at once; devices that share a core take turns by the core's lock. Everything is a future: who waits for what
is the caller's business.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sweep.engine.device_worker import DeviceWorker
from sweep.engine.queues import SerialQueue
from sweep.engine.site import Site
from sweep.engine.stage_calls import CANDIDATE_MEMORY_BYTES, MeasureCall
from sweep.toolchain.compile_workers.compile_pool import CompilePool
from sweep.toolchain.native_log import NativeRecord
from sweep.toolchain.schedule_transfer import BUILD_FROM_RECORD
from sweep.toolchain.tuning.job import Arguments

__all__ = ["OverlayRunner"]

Result = Future[dict[str, Any]]
_CANDIDATE_TIME_LIMIT_S = 60.0
_NETWORK_TIME_LIMIT_S = 1200.0


class OverlayRunner:
    """Builds and measurements of one overlay. A context manager."""

    def __init__(self, site: Site) -> None:
        slots = site.own_slots(len(site.compile_cores))
        self._site = site
        self._forge = CompilePool(slots, site.compile_cores, lent_cores=site.lent_cores, lock_dir=site.lock_dir)
        self._benches: dict[str, DeviceWorker] = {}
        self._lanes: dict[str, SerialQueue] = {}
        self.build_slots = slots + len(site.lent_cores)
        """Builds at a time."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forge.close()  # first: what a lane waits for fails at once
        for bench in self._benches.values():
            with contextlib.suppress(Exception):  # the way out must go on
                bench.close()
        for lane in self._lanes.values():
            lane.close()

    def build(self, native: NativeRecord, device: str, target: Mapping[str, Any], lib: Path) -> Result:
        """Build a recorded schedule for a device; the result has `args` and `build_s`."""
        arguments = {
            "workload": native.workload,
            "record": native.record,
            "target": dict(target),
            "out_path": str(lib),
            "linker": self._site.devices[device].linker,
        }
        return self._forge.submit(BUILD_FROM_RECORD, arguments, _CANDIDATE_TIME_LIMIT_S, CANDIDATE_MEMORY_BYTES)

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
        return self._forge.submit("build_artifact", arguments, _NETWORK_TIME_LIMIT_S)

    def time(self, device: str, lib: Path, args: Arguments, options: Mapping[str, Any]) -> Result:
        """Time a candidate; the result has `run_secs` and `seconds`."""
        return self._lane(device).submit(self._bench(device).candidate, lib, args, options)

    def compare(self, device: str, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]) -> Result:
        """Time candidates in turns; the result has `run_secs`, a list for each, and `seconds`."""
        return self._lane(device).submit(self._bench(device).compare, candidates, options)

    def measure(self, call: MeasureCall) -> Result:
        """Measure a built network; the result is a measure stage's."""
        return self._lane(call.device).submit(self._bench(call.device).measure, call)

    def _submit(self, job: str, arguments: Mapping[str, Any], timeout_s: float) -> Result:
        return self._forge.submit(job, arguments, timeout_s)

    def _lane(self, device: str) -> SerialQueue:
        return self._lanes.setdefault(device, SerialQueue(device))

    def _bench(self, device: str) -> DeviceWorker:
        if device not in self._benches:
            self._benches[device] = DeviceWorker(self._site.devices[device], self._site, self._submit)
        return self._benches[device]
