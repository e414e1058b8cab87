"""The Ray engine: builder, tuner and device actors on an embedded or an existing cluster.

Ray is told only of the cores that no device owns. Each device is a custom resource `device:KEY`, held by its actor, so
that the lease is visible to Ray.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.engine.ray_actors import BUILDER, RESTARTED, BuilderActor, DeviceActor, TunerActor, device_name
from sweep.engine.ray_session import RaySession
from sweep.engine.site import Site
from sweep.engine.work import Outcome, compile_call, measure_call, perform, tune_call
from sweep.errors import EngineError
from sweep.running.contract import Attempt, Failed, Progress, Report

__all__ = ["RayEngine"]

_CLOSE_S = 5.0
_PROGRESS_EVERY_S = 1.0
_POOL_THREADS = 256  # tune stages of one tuner that wait for their pool at a time; more wait in its queue


@dataclass(slots=True)
class _Running:
    attempt: Attempt
    tuner: ActorHandle | None = None


class RayEngine:
    """Performs attempts on Ray."""

    def __init__(self, site: Site, session: RaySession, *, num_cpus: int) -> None:
        self._site = site
        self._session = session
        self._running: dict[ray.ObjectRef[Outcome], _Running] = {}
        self._unsent: list[Report] = []
        self._asked: dict[ray.ObjectRef[Mapping[str, Any]], str] = {}
        self._next_ask = 0.0
        self._devices: dict[str, ActorHandle] = {}
        self._tuners: dict[str, ActorHandle] = {}
        self._worker_env = {"OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"}
        if session.temp_dir is not None:  # what killed workers leave goes away with the session's folder
            self._worker_env["TMPDIR"] = str(session.temp_dir)
        # Half of the cores build and the other half search; a single core does both, and they overlap with measurement
        slots = max(1, num_cpus // 2)
        building = site.own_slots(slots) + len(site.lent_cores)
        self.capacity: Mapping[str, int] = {"compile": building, "tune": max(2, num_cpus - slots)}
        self._builder = (
            ray.remote(BuilderActor)
            .options(
                name=BUILDER,
                num_cpus=slots / 2 if num_cpus == 1 else slots,
                max_concurrency=64,
                **RESTARTED,
                runtime_env={"env_vars": self._worker_env},
                scheduling_strategy=self._here(),
            )
            .remote(slots, site)
        )

    def start(self, attempt: Attempt) -> None:
        """Send an attempt to its actor; what cannot be sent is reported by the next `poll`."""
        sent = perform(lambda: self._send(attempt), worker="driver")
        if sent.result is None:
            self._unsent.append(sent.report(attempt))

    def _send(self, attempt: Attempt) -> Mapping[str, Any]:
        kind = attempt.stage.kind
        try:
            if kind == "tune":
                tune = tune_call(attempt)
                tuner = self._tuner(attempt)
                self._running[tuner.tune.remote(tune)] = _Running(attempt, tuner)
            elif kind == "measure":
                measure = measure_call(attempt)
                self._running[self._device(measure.device).measure.remote(measure)] = _Running(attempt)
            else:
                call = compile_call(attempt, self._site.sweep_dir)
                self._running[self._builder.compile.remote(call)] = _Running(attempt)
        except ray.exceptions.RayError as error:
            raise EngineError(f"Ray does not take the attempt: {' '.join(str(error).split())[:400]}") from error
        return {}

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Reports of attempts that have ended, and progress of tuners."""
        self._ask_progress()
        reports, self._unsent = self._unsent, []
        waiting: list[ray.ObjectRef[Any]] = [*self._running, *self._asked]
        if not waiting:
            return reports
        ready, _ = ray.wait(waiting, num_returns=1, timeout=0 if reports else timeout_s)
        if ready:  # whatever else has arrived by now
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        for ref in ready:
            if ref in self._asked:
                reports.extend(self._take_progress(ref))
            else:
                reports.append(self._take_outcome(ref))
        return reports

    def close(self) -> None:
        """Let builders and devices give back what they hold, then kill the actors and leave Ray."""
        if ray.is_initialized():
            holding = (self._builder, *self._devices.values(), *self._tuners.values())
            closing = [actor.close.remote() for actor in holding]
            ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_S)
            for actor in (*self._tuners.values(), *self._devices.values(), self._builder):
                ray.kill(actor, no_restart=True)
        self._running.clear()
        self._asked.clear()
        self._session.close()

    def _here(self) -> NodeAffinitySchedulingStrategy:
        """The driver's node: it has the sweep directory, and the local devices."""
        return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)

    # -- actors -------------------------------------------------------------------------------------------------------

    def _device(self, key: str) -> ActorHandle:
        if key not in self._devices:
            if key not in self._site.devices:
                raise EngineError(f"no device {key!r} in the cluster file; there are {sorted(self._site.devices)}")
            resource = device_name(key)
            known = resource in ray.cluster_resources()
            self._devices[key] = (
                ray.remote(DeviceActor)
                .options(
                    name=resource,
                    num_cpus=0,
                    resources={resource: 1.0} if known else None,
                    **RESTARTED,
                    runtime_env={"env_vars": self._worker_env},
                    scheduling_strategy=self._here(),
                )
                .remote(key, self._site)
            )
        return self._devices[key]

    def _tuner(self, attempt: Attempt) -> ActorHandle:
        call = tune_call(attempt)
        self._device(call.device)  # the tuner finds it by name
        if call.key not in self._tuners:
            self._tuners[call.key] = (
                ray.remote(concurrency_groups={"tune": _POOL_THREADS})(TunerActor)
                .options(
                    num_cpus=0,  # slots limit how many tune at once; an idle tuner must not hold a core
                    max_concurrency=2,
                    **RESTARTED,
                    runtime_env={"env_vars": self._worker_env},
                    scheduling_strategy=self._here(),
                )
                .remote(self._site, call, self.capacity["compile"])
            )
        return self._tuners[call.key]

    # -- answers ------------------------------------------------------------------------------------------------------

    def _take_outcome(self, ref: ray.ObjectRef[Outcome]) -> Report:
        running = self._running.pop(ref)
        try:
            outcome: Outcome = ray.get(ref)
            return outcome.report(running.attempt)
        except ray.exceptions.RayError as error:
            text = " ".join(str(error).split())[:400]
            stage = running.attempt.stage
            return Failed(stage.id, running.attempt.number, "EngineError", f"worker lost: {text}", 0.0, "")

    def _ask_progress(self) -> None:
        """Ask tuners how far they are, once a second: an answer comes at once, and would keep this process spinning."""
        now = time.monotonic()
        if self._asked or now < self._next_ask:
            return
        self._next_ask = now + _PROGRESS_EVERY_S
        for running in self._running.values():
            if running.tuner is not None:
                lower_dir = running.attempt.inputs["lower"]["dir"]
                self._asked[running.tuner.progress.remote(lower_dir)] = running.attempt.stage.id

    def _take_progress(self, ref: ray.ObjectRef[Mapping[str, Any]]) -> list[Progress]:
        stage_id = self._asked.pop(ref)
        try:
            info = ray.get(ref)
        except ray.exceptions.RayError:
            return []  # the attempt itself will tell
        is_running = any(running.attempt.stage.id == stage_id for running in self._running.values())
        return [Progress(stage_id, info)] if info and is_running else []
