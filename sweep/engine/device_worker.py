"""The device's workplace: turns a call into measurements on it. An engine decides in which process it lives."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from sweep.engine.first_row import FirstRow
from sweep.engine.queues import FairQueue, SerialQueue
from sweep.engine.site import Site
from sweep.engine.stage_calls import DeviceJobCall, MeasureCall
from sweep.engine.tuner_worker import FutureCandidateService, JobSubmitter
from sweep.errors import LOST, ArtifactDamaged, MeasureFailed, SweepError, WorkerKilled
from sweep.files.sweep_dir import SweepDir
from sweep.running.resuming import damage_of
from sweep.study.cluster.cluster import Device
from sweep.study.profile_options import MEMORY
from sweep.study.runtimes import runtime_of
from sweep.toolchain.candidates.service import Arguments
from sweep.toolchain.compile_job import BUILD_SENTINEL_KERNEL, CompileJob

if TYPE_CHECKING:
    from sweep.devices.device_session import DeviceSession
    from sweep.devices.measuring.sentinel_kernel import SentinelKernel
    from sweep.devices.runtimes.duel_on import DuelContender

T = TypeVar("T")

__all__ = ["DeviceWorker", "boards_at_once", "cells_at_once", "tuned_at_once"]

TURNS = 8
"""Cells that are measured in turns on a device. With more, each waits longer for its answer, and an interrupted run has
more of them to measure again."""

SHARES = {"first": math.inf, "candidate": 2.0, "visit": 1.0}
"""Of a board's time, behind the cell that comes first. A tuner that waits for its candidates keeps search and builders
waiting, and with them all that the tuned cells still have to go through; other cells must come to an answer meanwhile
all the same."""

MOST_LANES = 16
"""Boards of a key that are used at once. TVM's client has room for 32 sessions in a process, which all its devices
share: `boards.MOST_SESSIONS`."""


def boards_at_once(device: Device) -> int:
    """How many of a device's boards are used at once."""
    return min(device.count, MOST_LANES)


def cells_at_once(device: Device) -> int:
    """How many cells are measured at the time, in turns on each board."""
    return TURNS * boards_at_once(device)


def tuned_at_once(devices: Iterable[Device]) -> int:
    """How many tuners these devices keep busy: one for cores that several share, one for each board elsewhere. More
    would keep each other waiting, and each has its answer sooner where they come one after another.
    """
    devices = list(devices)
    here = {device.cores for device in devices if device.cores}
    return max(1, len(here) + sum(boards_at_once(device) for device in devices if not device.cores))


class DeviceWorker:
    """Holds the session to one device. May be called from several threads: one thing at a time is on a board. Cells
    that are measured at the time take turns, a block of repeats each; where tuning candidates wait too, they get twice
    the cells' time. A cell keeps to one queue, and a queue, as far as it can, to one board.
    """

    def __init__(self, device: Device, site: Site, submit: JobSubmitter) -> None:
        """`submit`: to compile workers, for the sentinel kernel: the process that measures does not compile."""
        from sweep.devices.device_session import DeviceSession
        from sweep.devices.leasing.cores import waited_s

        self._device, self._submit = device, submit
        self.sweep_dir = site.sweep_dir
        self._free_cores = site.free_cores
        self._timing: SerialQueue | None = None
        """Candidates of stages that are performed here, as many at a time as there are queues."""
        self._session = DeviceSession(device, site.tracker_host, site.tracker_port, site.lock_dir, sweep=site.sweep_dir)
        self._is_open = False
        self._kernel: SentinelKernel | None = None
        self._no_kernel: str | None = None
        """Why there is none, once it was tried."""
        self._building, self._opening, self._choosing = Lock(), Lock(), Lock()
        self._first_row = FirstRow()
        self.latest: dict[str, Mapping[str, Any]] = {}
        """What the cells that take turns now have shown so far, by their stages."""
        names = [f"{device.key}-{number}" for number in range(boards_at_once(device))]
        self._queues = [FairQueue(name, SHARES, waited_s) for name in names]

    def make_ready(self, runtime: str, threads: int) -> None:
        """Load what measurements in a runtime take, while its network is still imported. Raises what they raise."""
        if not runtime_of(runtime).is_compiled:
            self._session.load_runtime(runtime, threads)
        self._sentinel_kernel()
        self._open()

    def candidate(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> dict[str, Any]:
        """Time a tuning candidate."""
        with self._queue() as queue:
            timing = queue.submit("candidate", lambda: self._open().measure_candidate(lib, args, **options))
            return timing.result()

    def expect(self, seconds: float) -> None:
        """A tuning candidate comes within so many seconds: until then cells wait, as far as their share of the time
        allows; 0: none comes.
        """
        for queue in self._queues:
            queue.expect("candidate", seconds)

    def compare(self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]) -> dict[str, Any]:
        """Time several tuning candidates in turns."""
        with self._queue() as queue:
            timing = queue.submit("candidate", lambda: self._open().compare_candidates(candidates, **options))
            return timing.result()

    def candidate_service(self, target: Mapping[str, Any], linker: str | None) -> FutureCandidateService:
        """Builds candidates for this device and times them here, for a stage that is performed here."""
        with self._opening:
            if self._timing is None:
                self._timing = SerialQueue(f"{self._device.key}-candidates", boards_at_once(self._device))
        return FutureCandidateService(
            target,
            submit=self._submit,
            measure=partial(self._timing.submit, self.candidate),
            compare=partial(self._timing.submit, self.compare),
            build_slots=boards_at_once(self._device),
            linker=linker,
        )

    def perform(self, call: MeasureCall | DeviceJobCall) -> Mapping[str, Any]:
        """Perform a stage on the device."""
        if isinstance(call, MeasureCall):
            return self.measure(call)
        module, _, function = call.job.partition(":")
        result: Mapping[str, Any] = getattr(importlib.import_module(module), function)(call.attempt, self)
        return result

    def measure(self, call: MeasureCall) -> dict[str, Any]:
        """Perform a measure stage. Between its visits to the device others come to theirs."""
        from sweep.devices.measuring.rounds import Rounds

        for made, names in call.made:
            if (reason := damage_of(made, self.sweep_dir, is_read=True, names=names)) is not None:
                raise ArtifactDamaged(f"{reason}; it is not loaded, and the next `sweep run` makes it again")
        if call.point.variable == MEMORY:  # in one visit: it is no time, which drifts
            with self._queue() as queue:
                return queue.submit("visit", self._observe_memory, call).result()
        kernel = self._sentinel_kernel()
        rounds = Rounds(call.measure, self._device.cores if self._device.managed else (), call.threads)
        turns = self._first_row.turns()
        try:
            with self._queue() as queue:
                while (options := rounds.next_visit()) is not None:
                    if queue.is_idle:
                        time.sleep(rounds.pause_s)
                    visiting = queue.submit(turns.kind, turns.visit, queue, self._visit, call, options, kernel)
                    payload, seconds = visiting.result()
                    rounds.take(payload, seconds)
                    self.latest[call.key] = rounds.so_far()
                turns.end(queue)
        finally:
            self.latest.pop(call.key, None)
        result = rounds.result()
        if kernel is None:
            result["conditions"]["no_reference_kernel"] = self._no_kernel
        return result

    def duel(
        self, contenders: Sequence[DuelContender], seconds: float, timeout_s: float, side_by_side: bool
    ) -> dict[str, Any]:
        """Perform a final within one visit to the device: `DeviceSession.duel`."""
        kernel = self._sentinel_kernel()
        with self._queue() as queue:
            held = queue.submit(
                "visit",
                lambda: self._open().duel(contenders, seconds, timeout_s, kernel, side_by_side, self._free_cores),
            )
            return held.result()

    def time_kernels(
        self, lib: Path, kernels: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Time functions of one library within one visit to the device."""
        with self._queue() as queue:
            return queue.submit("visit", lambda: self._open().time_kernels(lib, kernels, **options)).result()

    def observe(self) -> Mapping[str, Any]:
        """The conditions of the device."""
        with self._queue() as queue:
            return queue.submit("visit", lambda: self._open().observe()).result()

    def compile(self, job: CompileJob, arguments: Mapping[str, Any], limit_s: float | None = None) -> dict[str, Any]:
        """What a compile worker makes for a stage that is performed here. `limit_s`: what is left to the stage."""
        return self._submit(job.within(limit_s), dict(arguments)).result()

    @contextmanager
    def visits(self) -> Iterator[Callable[[Callable[[DeviceSession], T]], T]]:
        """For a job of several visits to the device, between which others come to theirs: performs one of them."""
        with self._queue() as queue:
            yield lambda visit: queue.submit("visit", lambda: visit(self._open())).result()

    def close(self) -> None:
        """Give the device back."""
        for queue in self._queues:
            queue.close()
        if self._timing is not None:
            self._timing.close()
        self._session.close()
        self._is_open = False

    @contextmanager
    def _queue(self) -> Iterator[FairQueue]:
        """The queue that fewest use."""
        with self._choosing:
            queue = min(self._queues, key=lambda queue: queue.users)
            queue.users += 1
        try:
            yield queue
        finally:
            with self._choosing:
                queue.users -= 1

    def _visit(
        self, call: MeasureCall, options: Mapping[str, Any], kernel: SentinelKernel | None
    ) -> tuple[dict[str, Any], float]:
        begun, import_dir = time.monotonic(), self.sweep_dir / call.import_dir
        if runtime_of(call.runtime).is_compiled:
            if call.artifact_dir is None:
                raise MeasureFailed(f"{call.runtime} runs what was built, and there is no build among the inputs")
            artifact_dir, session = self.sweep_dir / call.artifact_dir, self._open()
            result = session.measure_artifact(artifact_dir, import_dir, options, call.threshold, kernel, call.point)
        else:
            result = self._session.measure_runtime(  # which needs no board: TVM may still be loading
                call.runtime, import_dir, options, call.threads, call.threshold, kernel, call.point
            )
        return result, time.monotonic() - begun

    def _observe_memory(self, call: MeasureCall) -> dict[str, Any]:
        begun, import_dir, session = time.monotonic(), self.sweep_dir / call.import_dir, self._open()
        if call.artifact_dir is None:
            result = session.measure_runtime(
                call.runtime, import_dir, call.measure, call.threads, call.threshold, None, call.point
            )
        else:
            artifact_dir = self.sweep_dir / call.artifact_dir
            result = session.observe_memory(artifact_dir, import_dir, call.measure, call.threshold, call.point)
        return {**result, "device_s": time.monotonic() - begun}

    def _sentinel_kernel(self) -> SentinelKernel | None:
        """Built on first use, before the device's cores are held. A device that cannot have one is measured without."""
        with self._building:
            return self._built_kernel()

    def _built_kernel(self) -> SentinelKernel | None:
        from sweep.devices.measuring.sentinel_kernel import SentinelKernel

        if self._kernel is None and self._no_kernel is None:
            device = self._device
            arguments = {
                "target": dict(device.target),
                "threads": device.threads,
                "linker": device.linker,
                "out_path": str(SweepDir(self.sweep_dir).sentinel_kernel(device.key)),
            }
            try:
                made = self._submit(BUILD_SENTINEL_KERNEL, arguments).result()
                self._kernel = SentinelKernel(Path(made["lib"]), made["args"])
            except (*LOST, WorkerKilled):
                raise  # the attempt is made again, and the kernel with it
            except SweepError as error:
                self._no_kernel = f"{type(error).__name__}: {error}"
        return self._kernel

    def _open(self) -> DeviceSession:
        with self._opening:
            if not self._is_open:
                self._session.open()
                self._is_open = True
        return self._session
