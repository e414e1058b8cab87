"""The Ray actors: each holds one compile server, one tuner or one device session for as long as the sweep runs.

A method returns an `Outcome` instead of raising, so that errors keep their class across processes; only the death of
the actor itself reaches the caller as a Ray error. Ray restarts a dead actor (what it had is on disk) and keeps calls
for it until it is back, but does not repeat those that it died of: attempts are counted and decided upon elsewhere.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray

from sweep import errors
from sweep.devices.processes import die_with_parent
from sweep.engine.device_worker import DeviceWorker
from sweep.engine.ray.builders import Builders, settle
from sweep.engine.ray.orders import Orders
from sweep.engine.site import Site
from sweep.engine.stage_calls import (
    CompileCall,
    DeviceJobCall,
    MeasureCall,
    Outcome,
    TuneCall,
    compiled,
    perform,
)
from sweep.engine.tuner_worker import FutureCandidateService, FutureNetworkService, TunerWorker
from sweep.toolchain.candidates.service import Arguments
from sweep.toolchain.compile_job import CompileJob

__all__ = ["BUILDER", "RESTARTED", "BuilderActor", "DeviceActor", "TunerActor", "device_name"]

_log = logging.getLogger(__name__)

RESTARTED: Mapping[str, int] = {"max_restarts": -1, "max_task_retries": -1}
"""Options of all actors. Without the second, a call to an actor that is being restarted fails at once."""

_ONCE, _TWICE = ray.method(max_task_retries=0), ray.method(max_task_retries=1)

BUILDER = "builder"
"""What the names of builders begin with, in the namespace of this run."""


def device_name(key: str) -> str:
    """The name of a device's actor, and of the Ray resource that it holds."""
    return f"device:{key}"


def _take_cores(cores: tuple[int, ...]) -> None:
    """Keep this process to the cores of search and build, as far as this host has them."""
    usable = set(cores) & os.sched_getaffinity(0)
    if usable:
        os.sched_setaffinity(0, usable)


def _end_with_raylet() -> None:
    """An actor would outlive a killed driver by up to a minute, and write into records that the next run has open."""
    raylet = os.getppid()
    with suppress(OSError):
        if Path(f"/proc/{raylet}/comm").read_text(encoding="ascii").strip() == "raylet":
            die_with_parent(raylet)


def _worker_name(role: str) -> str:
    return f"{role}@{ray.get_runtime_context().get_node_id()[:8]}:{os.getpid()}"


def _seen_from_here(site: Site) -> Site:
    return site.seen_from(ray.get_runtime_context().get_node_id())


class BuilderActor:
    """Holds a compile server: TVM loaded once, each job in a killable child."""

    def __init__(self, slots: int, site: Site) -> None:
        from sweep.toolchain.compile_workers.compile_pool import CompilePool

        _end_with_raylet()
        site = _seen_from_here(site)
        _take_cores(site.compile_cores)
        self._compile_pool = CompilePool(
            site.own_slots(slots), site.compile_cores or None, lent_cores=site.lent_cores, lock_dir=site.lock_dir
        )
        self._name, self._sweep_dir = _worker_name("builder"), site.sweep_dir
        self._orders = Orders()

    @_ONCE
    def compile(self, call: CompileCall) -> Outcome:
        """An import, lower or build stage."""

        def run() -> dict[str, Any]:
            result = self._compile_pool.submit(call.job, dict(call.arguments)).result()
            return compiled(call, result, self._sweep_dir)

        return perform(run, self._name)

    @_TWICE
    def make(self, job: CompileJob, arguments: Mapping[str, Any], ticket: str) -> Outcome:
        """What a tuner or a device wants built; what kills this actor is hardly the job, which has a child."""

        def run() -> dict[str, Any]:
            with self._orders.taken(ticket, lambda: self._compile_pool.submit(job, dict(arguments))) as making:
                return making.result()

        return perform(run, self._name)

    @ray.method(max_task_retries=0, concurrency_group="cancel")
    def cancel(self, ticket: str) -> None:
        """Nobody waits for what the ticket was given for any more: end it, or do not begin it."""
        self._orders.cancel(ticket)

    @_ONCE
    def close(self) -> None:
        """End the compile server and its workers."""
        self._compile_pool.close()


class DeviceActor:
    """Holds the RPC session to one device. Calls wait in threads; its worker lets one at a time on the board, and cells
    that are measured at the time in turns.
    """

    def __init__(self, key: str, site: Site, builders: Mapping[str, int]) -> None:
        _end_with_raylet()
        self._builders = Builders(builders)
        self._worker = DeviceWorker(site.devices[key], site, self._builders.make)
        self._name = _worker_name(f"device {key}")

    @ray.method(max_task_retries=0, concurrency_group="measure")
    def perform(self, call: MeasureCall | DeviceJobCall) -> Outcome:
        """A stage on the device."""
        return perform(lambda: self._worker.perform(call), self._name)

    @_ONCE
    def make_ready(self, runtime: str, threads: int) -> Outcome:
        """What measurements in a runtime take, loaded before the first; nobody waits for it."""

        def load() -> dict[str, Any]:
            self._worker.make_ready(runtime, threads)
            return {}

        made = perform(load, self._name)
        if made.error:  # the measurement that wants it tries again
            _log.warning("%s could not be made ready: %s\n%s", self._name, made.error, made.traceback)
        return made

    @ray.method(max_task_retries=0, concurrency_group="tell")
    def progress(self, stage_id: str) -> Mapping[str, Any]:
        """What a measurement has shown so far; empty before its first values."""
        return self._worker.latest.get(stage_id, {})

    @ray.method(max_task_retries=0, concurrency_group="tell")
    def expect(self, seconds: float) -> None:
        """A tuning candidate comes within so many seconds."""
        self._worker.expect(seconds)

    @_TWICE
    def candidate(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> Outcome:
        """A tuning candidate."""
        return perform(lambda: self._worker.candidate(lib, args, options), self._name)

    @_TWICE
    def compare(self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]) -> Outcome:
        """Several tuning candidates in turns."""
        return perform(lambda: self._worker.compare(candidates, options), self._name)

    @_ONCE
    def close(self) -> None:
        """Give the device back."""
        self._worker.close()


class TunerActor:
    """Holds one tuner for one full target and device. Each `tune` waits in a thread of its own while the tuner's pool
    works for all of them; `progress` answers in another.

    It finds builders and device by name: handles among its arguments would have to outlive every restart of it.
    """

    def __init__(self, site: Site, call: TuneCall, builders: Mapping[str, int], build_slots: int) -> None:
        _end_with_raylet()
        _take_cores(_seen_from_here(site).compile_cores)
        self._site, self._for, self._build_slots = site, call, build_slots
        self._worker: TunerWorker | None = None
        self._builders, self._device = Builders(builders), ray.get_actor(device_name(call.job.device))
        self._name = _worker_name("tuner")
        self._latest: dict[str, Mapping[str, Any]] = {}
        self._lock, self._opening = threading.Lock(), threading.Lock()

    @ray.method(max_task_retries=0, concurrency_group="tune")
    def tune(self, call: TuneCall) -> Outcome:
        """A tune stage."""
        service = FutureCandidateService(
            call.target,
            submit=self._builders.make,
            measure=lambda lib, args, options: unwrapped(
                self._device.candidate.remote(lib, args, dict(options)), errors.DeviceLost
            ),
            compare=lambda candidates, options: unwrapped(
                self._device.compare.remote(list(candidates), dict(options)), errors.DeviceLost
            ),
            build_slots=self._build_slots,
            expect=self._expect,
            linker=call.linker,
        )
        networks = FutureNetworkService(
            self._site.sweep_dir,
            call.target,
            call.job.device,
            submit=self._builders.make,
            measure=lambda network: unwrapped(self._device.perform.remote(network), errors.DeviceLost),
            linker=call.linker,
        )
        return perform(
            lambda: self._open().tune(call, service, lambda info: self._note(call.lower_dir, info), networks),
            self._name,
        )

    @_ONCE
    def progress(self, lower_dir: str) -> Mapping[str, Any]:
        """What the `tune` of a lowered module has reached."""
        with self._lock:
            return dict(self._latest.get(lower_dir, {}))

    @_ONCE
    def use(self, builders: Mapping[str, int], build_slots: int) -> None:
        """From now on there are these builders; the search asks for more from its next stage on."""
        self._builders.change(builders)
        self._build_slots = build_slots

    @_ONCE
    def close(self) -> None:
        """Remove what the candidates have left."""
        if self._worker is not None:
            self._worker.close()

    def _expect(self, seconds: float) -> None:
        self._device.expect.remote(seconds)  # a device that is gone is found by who waits for its answer

    def _open(self) -> TunerWorker:
        """Made in the first call, whose outcome an error becomes; one in the constructor ends an actor for good."""
        with self._opening:
            if self._worker is None:
                self._worker = TunerWorker(self._site.sweep_dir, self._for)
            return self._worker

    def _note(self, lower_dir: str, info: Mapping[str, Any]) -> None:
        with self._lock:
            self._latest[lower_dir] = dict(info)


def unwrapped(ref: ray.ObjectRef[Outcome], if_dead: type[errors.SweepError]) -> Future[dict[str, Any]]:
    """A future of the result itself; a dead actor becomes an error of class `if_dead`, a bug a RuntimeError."""
    answer: Future[dict[str, Any]] = Future()
    ref.future().add_done_callback(lambda done: settle(answer, done, if_dead))
    return answer
