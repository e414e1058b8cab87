"""The inline engine: this process performs one attempt at a time. It is for debugging, and for machines without Ray.

Measurements that wait for one device are performed together, in turns.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

from sweep.engine.device_worker import DeviceWorker, boards_at_once, cells_at_once
from sweep.engine.queues import SerialQueue
from sweep.engine.site import Site
from sweep.engine.stage_calls import (
    MeasureCall,
    TuneCall,
    compile_call,
    compiled,
    device_call,
    perform,
    tune_call,
)
from sweep.engine.tuner_worker import FutureCandidateService, FutureNetworkService, TunerWorker
from sweep.errors import EngineError
from sweep.planning.kinds import place_of
from sweep.planning.stage_kind import Place
from sweep.running.contract import Attempt, Progress, Report
from sweep.toolchain.compile_workers.compile_pool import CompilePool

__all__ = ["InlineEngine"]


class InlineEngine:
    """Performs one attempt, or the waiting measurements of one device, in each `poll`. Compile workers compile: a
    crash costs one stage.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._compile_pool = CompilePool(
            site.own_slots(1), site.compile_cores, lent_cores=site.lent_cores, lock_dir=site.lock_dir
        )
        self._devices: dict[str, DeviceWorker] = {}
        self._device_queues: dict[str, SerialQueue] = {}
        self._tuners: dict[str, TunerWorker] = {}
        self._queue: deque[Attempt] = deque()
        self._progress: deque[Progress] = deque()
        self._opening = Lock()
        self.capacity: Mapping[str, int] = {
            "compile": 1,
            "tune": 1,
            **{f"device:{key}": cells_at_once(device) for key, device in site.devices.items()},
        }

    def start(self, attempt: Attempt) -> None:
        """Queue an attempt."""
        self._queue.append(attempt)

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Perform what is next, however long it takes; `timeout_s` is not used."""
        attempts = self._next()
        if len(attempts) > 1:
            ended = self._in_turns(attempts)
        else:
            ended = [self._perform_one(attempt) for attempt in attempts]
        reports: list[Report] = [*self._progress, *ended]
        self._progress.clear()
        return reports

    def close(self) -> None:
        """Close sessions and the compile server."""
        for queue in self._device_queues.values():
            queue.close()
        for tuner in self._tuners.values():
            tuner.close()
        self._tuners.clear()
        for device in self._devices.values():
            with contextlib.suppress(Exception):  # the way out must go on; a lost session has nothing to give back
                device.close()
        self._devices.clear()
        self._device_queues.clear()
        self._compile_pool.close()

    def _next(self) -> list[Attempt]:
        """One attempt; or all measurements that wait for a device, once what is compiled soon has joined them."""
        if not self._queue:
            return []
        chosen = self._queue[0]
        if place_of(chosen.stage) is Place.DEVICE:
            compiling = [attempt for attempt in self._queue if place_of(attempt.stage) is Place.COMPILE]
            chosen = compiling[0] if compiling else chosen
        together = [chosen]
        if place_of(chosen.stage) is Place.DEVICE:
            device = chosen.stage.options.get("device")
            waiting = (attempt for attempt in self._queue if place_of(attempt.stage) is Place.DEVICE)
            together = [attempt for attempt in waiting if attempt.stage.options.get("device") == device]
        for attempt in together:
            self._queue.remove(attempt)
        return together

    def _in_turns(self, attempts: Sequence[Attempt]) -> list[Report]:
        with ThreadPoolExecutor(len(attempts)) as threads:
            try:
                return list(threads.map(self._perform_one, attempts))
            except BaseException:  # the threads end when the device takes nothing more
                for device in self._devices.values():
                    device.close()
                raise

    def _perform_one(self, attempt: Attempt) -> Report:
        return perform(lambda: self._perform(attempt), worker="inline").report(attempt)

    def _perform(self, attempt: Attempt) -> Mapping[str, Any]:
        match place_of(attempt.stage):
            case Place.TUNER:
                return self._tune(attempt, tune_call(attempt))
            case Place.DEVICE:
                device_work = device_call(attempt)
                return self._device(device_work.device).perform(device_work)
            case Place.COMPILE:
                call = compile_call(attempt, self._site.sweep_dir)
                result = self._compile_pool.submit(call.job, dict(call.arguments)).result()
                return compiled(call, result, self._site.sweep_dir)

    def _tune(self, attempt: Attempt, call: TuneCall) -> Mapping[str, Any]:
        if call.key not in self._tuners:
            self._tuners[call.key] = TunerWorker(self._site.sweep_dir, call)
        device = self._device(call.job.device)
        boards = boards_at_once(self._site.devices[call.job.device])
        queue = self._device_queues.setdefault(call.job.device, SerialQueue(call.job.device, boards))
        service = FutureCandidateService(
            call.target,
            submit=self._compile_pool.submit,
            measure=partial(queue.submit, device.candidate),
            compare=partial(queue.submit, device.compare),
            build_slots=self._site.own_slots(1) + len(self._site.lent_cores),
            expect=device.expect,
            linker=call.linker,
        )
        return self._tuners[call.key].tune(
            call,
            service,
            lambda info: self._progress.append(Progress(attempt.stage.id, dict(info))),
            self._networks(call, partial(queue.submit, device.measure)),
        )

    def _networks(
        self, call: TuneCall, measure: Callable[[MeasureCall], Future[dict[str, Any]]]
    ) -> FutureNetworkService:
        return FutureNetworkService(
            self._site.sweep_dir, call.target, call.job.device, self._compile_pool.submit, measure, linker=call.linker
        )

    def _device(self, key: str) -> DeviceWorker:
        with self._opening:
            if key not in self._devices:
                site = self._site
                if key not in site.devices:
                    raise EngineError(f"no device {key!r} in the cluster file; there are {sorted(site.devices)}")
                self._devices[key] = DeviceWorker(site.devices[key], site, self._compile_pool.submit)
            return self._devices[key]
