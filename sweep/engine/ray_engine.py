"""The Ray engine: builder, tuner and device actors on an embedded or an existing cluster.

Ray is told only of the cores that no device owns. Each device is a custom resource `device:KEY`, held by its actor, so
that the lease is visible to Ray. On a cluster each node that can take part (see ray_nodes.py) has a builder; tuners,
and devices that are not of the driver's host, are spread over them and restarted elsewhere when their node dies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.actor import ActorHandle

from sweep.engine.bench import cells_at_once, lanes_of
from sweep.engine.ray_actors import BUILDER, RESTARTED, BuilderActor, DeviceActor, TunerActor, device_name
from sweep.engine.ray_builders import Builders
from sweep.engine.ray_nodes import Node, Nodes, home_node, pinned_to
from sweep.engine.ray_session import RaySession
from sweep.engine.site import Site
from sweep.engine.work import Outcome, compile_call, measure_call, perform, tune_call
from sweep.errors import EngineError
from sweep.running.contract import Attempt, Failed, Progress, Report
from sweep.study.cluster import Device

__all__ = ["RayEngine"]

_CLOSE_S = 5.0
_PROGRESS_EVERY_S = 1.0
_NODES_EVERY_S = 5.0
_SPREAD = 64  # nodes among which Ray may choose for one actor; a list of a thousand would go along with each
_CANDIDATES = 8  # of tuning that wait in a device's own queue, in turns with the cells; more wait in its actor's
_POOL_THREADS = 256  # tune stages of one tuner that wait for their pool at a time; more wait in its queue


@dataclass(slots=True)
class _Running:
    attempt: Attempt
    tuner: ActorHandle | None = None


class RayEngine:
    """Performs attempts on Ray."""

    def __init__(self, site: Site, session: RaySession, *, num_cpus: int) -> None:
        """`num_cpus`: cores of the driver's node that search and build may use.

        Raises:
            EngineError: the driver's node has no TVM.
        """
        self._site = replace(site, home=home_node())
        self._session = session
        self._running: dict[ray.ObjectRef[Outcome], _Running] = {}
        self._unsent: list[Report] = []
        self._asked: dict[ray.ObjectRef[Mapping[str, Any]], str] = {}
        self._next_ask = self._next_look = 0.0
        self._devices: dict[str, ActorHandle] = {}
        self._tuners: dict[str, ActorHandle] = {}
        self._worker_env = {"OMP_NUM_THREADS": "1", "TVM_NUM_THREADS": "1"}
        if session.temp_dir is not None:  # what killed workers leave goes away with the session's folder
            self._worker_env["TMPDIR"] = str(session.temp_dir)
        self._builders: dict[str, ActorHandle] = {}
        self._slots: dict[str, int] = {}
        self._sending = Builders({})
        self.capacity: dict[str, int] = {
            "compile": 0,
            "tune": 0,
            **{device_name(key): cells_at_once(device) for key, device in site.devices.items()},
        }
        self._members: dict[str, Node] = {}
        self._nodes: Nodes | None = None
        if session.is_embedded:
            self._take_in([Node(self._site.home, "this one", num_cpus, is_home=True, has_tracker=True)])
            return
        self._nodes = Nodes(self._site, num_cpus)
        self._nodes.survey()
        self._take_in(self._nodes.used.values())

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
                self._running[self._sending.send("compile", call)] = _Running(attempt)
        except ray.exceptions.RayError as error:
            raise EngineError(f"Ray does not take the attempt: {' '.join(str(error).split())[:400]}") from error
        return {}

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Reports of attempts that have ended, and progress of tuners."""
        self._look_at_nodes()
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
            actors = (*self._tuners.values(), *self._devices.values(), *self._builders.values())
            closing = [actor.close.remote() for actor in actors]
            ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_S)
            for actor in actors:
                ray.kill(actor, no_restart=True)
        if self._nodes is not None:
            self._nodes.close()
        self._running.clear()
        self._asked.clear()
        self._session.close()

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _look_at_nodes(self) -> None:
        """Builders on nodes that have come; those of nodes that are gone are forgotten."""
        now = time.monotonic()
        if self._nodes is None or now < self._next_look:
            return
        self._next_look = now + _NODES_EVERY_S
        come, gone = self._nodes.news()
        if come or gone:
            self._let_go(gone)
            self._take_in(come)

    def _take_in(self, nodes: Iterable[Node]) -> None:
        self._members.update((node.id, node) for node in nodes)
        for node in self._members.values():
            if node.cpus and _builder_name(node) not in self._builders:
                self._build_on(node)
        if not self._builders:  # Ray was told of no core: the driver's node has some
            self._build_on(self._members[self._site.home])
        self._count()

    def _build_on(self, node: Node) -> None:
        name, slots = _builder_name(node), _build_slots(node)
        self._slots[name] = slots
        self._builders[name] = (
            ray.remote(BuilderActor)
            .options(
                name=name,
                num_cpus=slots / 2 if node.cpus == 1 else min(slots, node.cpus),
                max_concurrency=64,
                **RESTARTED,
                runtime_env={"env_vars": self._worker_env},
                scheduling_strategy=pinned_to(node.id),
            )
            .remote(slots, self._site)
        )

    def _let_go(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            logging.getLogger(__name__).warning("node %s is gone: the others take over its work", node.name)
            del self._members[node.id]
            self._slots.pop(_builder_name(node), None)
            if (builder := self._builders.pop(_builder_name(node), None)) is not None:
                ray.kill(builder, no_restart=True)

    def _count(self) -> None:
        """What can go on at once, and who builds it."""
        home = self._members[self._site.home]
        building = sum(self._slots.values())
        if _builder_name(home) in self._slots:
            own = self._slots[_builder_name(home)]
            building += self._site.own_slots(own) - own + len(self._site.lent_cores)
        self.capacity["compile"] = building
        self.capacity["tune"] = max(2, sum(node.cpus - _build_slots(node) for node in self._members.values()))
        self._sending.change(self._slots)
        for tuner in self._tuners.values():
            tuner.use.remote(self._slots, building)

    def _placed(self, nodes: Iterable[Node]) -> dict[str, Any]:
        """Options of an actor for any of these nodes; on the driver's where that is the only one."""
        found = [node.id for node in nodes][:_SPREAD]
        if set(found) <= {self._site.home}:
            return {"scheduling_strategy": pinned_to(self._site.home)}
        return {"scheduling_strategy": "SPREAD", "label_selector": {"ray.io/node-id": f"in({','.join(found)})"}}

    # -- actors -------------------------------------------------------------------------------------------------------

    def _device(self, key: str) -> ActorHandle:
        if key not in self._devices:
            if key not in self._site.devices:
                raise EngineError(f"no device {key!r} in the cluster file; there are {sorted(self._site.devices)}")
            resource = device_name(key)
            known = resource in ray.cluster_resources()
            self._devices[key] = (
                ray.remote(concurrency_groups={"measure": cells_at_once(self._site.devices[key])})(DeviceActor)
                .options(
                    name=resource,
                    max_concurrency=max(_CANDIDATES, 2 * lanes_of(self._site.devices[key])),
                    num_cpus=0,
                    resources={resource: 1.0} if known else None,
                    **RESTARTED,
                    runtime_env={"env_vars": self._worker_env},
                    **self._placed(self._near(self._site.devices[key])),
                )
                .remote(key, self._site, self._slots)
            )
        return self._devices[key]

    def _near(self, device: Device) -> list[Node]:
        """Where a device can be measured from; its cores are the driver's host's where the farm runs its server."""
        return [node for node in self._members.values() if not device.managed and node.has_tracker]

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
                    **self._placed(self._members.values()),
                )
                .remote(self._site, call, self._slots, self.capacity["compile"])
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


def _builder_name(node: Node) -> str:
    return f"{BUILDER}:{node.id}"


def _build_slots(node: Node) -> int:
    """Half of the cores of the driver's node build and the other half search; a single one does both. Tuners are few:
    three quarters of other nodes build.
    """
    return max(1, node.cpus // 2 if node.is_home else node.cpus * 3 // 4)
