"""The actors of a run: a builder on each node, and tuners and devices that are made when they are first asked for.

Ray is told only of the cores that no device owns. Each device is a custom resource `device:KEY`, held by its actor, so
that the lease is visible to Ray. Tuners, and devices that are not of the driver's host, are spread over the nodes that
can take part (see `nodes`) and restarted elsewhere when their node dies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import ray
from ray.actor import ActorHandle

from sweep.engine.device_worker import boards_at_once, cells_at_once, tuned_at_once
from sweep.engine.ray.actors import BUILDER, RESTARTED, BuilderActor, DeviceActor, TunerActor, device_name
from sweep.engine.ray.builders import Builders
from sweep.engine.ray.nodes import Node, Nodes, home_node, pinned_to
from sweep.engine.ray.ray_session import RaySession
from sweep.engine.site import Site
from sweep.engine.stage_calls import TuneCall
from sweep.errors import EngineError
from sweep.study.cluster.cluster import Device

__all__ = ["ActorPool"]

_CLOSE_S = 5.0
_NODES_EVERY_S = 5.0
_SPREAD = 64  # nodes among which Ray may choose for one actor; a list of a thousand would go along with each
_CANDIDATES = 8  # of tuning that wait in a device's own queue, in turns with the cells; more wait in its actor's
_POOL_THREADS = 256  # tune stages of one tuner that wait for their pool at a time; more wait in its queue


class ActorPool:
    """Makes and keeps the actors, and knows how many attempts they can perform at once."""

    def __init__(self, site: Site, session: RaySession, num_cpus: int) -> None:
        """`num_cpus`: cores of the driver's node that search and build may use.

        Raises:
            EngineError: the driver's node has no TVM.
        """
        self.site = replace(site, home=home_node())
        self.builders = Builders({})
        """The builders, which take jobs for their compile servers."""
        self.capacity: dict[str, int] = {
            "compile": 0,
            "tune": 0,
            **{device_name(key): cells_at_once(device) for key, device in site.devices.items()},
        }
        """As the contract of engines has it; changes with the nodes."""
        self.is_embedded = session.is_embedded
        # An embedded Ray has them itself: a worker that it keeps ready is taken, where else each starts for its actor
        own = {} if session.is_embedded else session.worker_environment
        self._environment = {"runtime_env": {"env_vars": own}} if own else {}
        self._devices: dict[str, ActorHandle] = {}
        self._tuners: dict[str, ActorHandle] = {}
        self._builders: dict[str, ActorHandle] = {}
        self._slots: dict[str, int] = {}
        self._building, self._kept = 0, 0
        """Builds at a time, and how many of them stages leave to candidates."""
        self._members: dict[str, Node] = {}
        self._nodes: Nodes | None = None
        self._next_look = 0.0
        if session.is_embedded:
            self._take_in([Node(self.site.home, "this one", num_cpus, is_home=True, has_tracker=True)])
            return
        self._nodes = Nodes(self.site, num_cpus)
        self._nodes.survey()
        self._take_in(self._nodes.used.values())

    def look_around(self) -> None:
        """Builders on nodes that have come; those of nodes that are gone are forgotten."""
        now = time.monotonic()
        if self._nodes is None or now < self._next_look:
            return
        self._next_look = now + _NODES_EVERY_S
        come, gone = self._nodes.news()
        if come or gone:
            self._let_go(gone)
            self._take_in(come)

    def device(self, key: str) -> ActorHandle:
        """The actor of a device.

        Raises:
            EngineError: the cluster file has none of this key.
        """
        if key not in self._devices:
            if key not in self.site.devices:
                raise EngineError(f"no device {key!r} in the cluster file; there are {sorted(self.site.devices)}")
            resource = device_name(key)
            known = resource in ray.cluster_resources()
            groups = {"measure": cells_at_once(self.site.devices[key]), "tell": 1}
            self._devices[key] = (
                ray.remote(concurrency_groups=groups)(DeviceActor)
                .options(
                    name=resource,
                    max_concurrency=max(_CANDIDATES, 2 * boards_at_once(self.site.devices[key])),
                    num_cpus=0,
                    resources={resource: 1.0} if known else None,
                    **RESTARTED,
                    **self._environment,
                    **self._placed(self._near(self.site.devices[key])),
                )
                .remote(key, self.site, self._slots)
            )
        return self._devices[key]

    def tuner(self, call: TuneCall) -> ActorHandle:
        """The actor of a tuner.

        Raises:
            EngineError: the cluster file has no such device.
        """
        self.device(call.job.device)  # the tuner finds it by name
        if call.key not in self._tuners:
            self._tuners[call.key] = (
                ray.remote(concurrency_groups={"tune": _POOL_THREADS})(TunerActor)
                .options(
                    num_cpus=0,  # slots limit how many tune at once; an idle tuner must not hold a core
                    max_concurrency=2,
                    **RESTARTED,
                    **self._environment,
                    **self._placed(self._members.values()),
                )
                .remote(self.site, call, self._slots, self._building)
            )
        return self._tuners[call.key]

    def close(self) -> None:
        """Let them give back what they hold, then end them."""
        if ray.is_initialized():
            actors = (*self._tuners.values(), *self._devices.values(), *self._builders.values())
            closing = [actor.close.remote() for actor in actors]
            ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_S)
            for actor in actors:
                ray.kill(actor, no_restart=True)
        if self._nodes is not None:
            self._nodes.close()

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _take_in(self, nodes: Iterable[Node]) -> None:
        self._members.update((node.id, node) for node in nodes)
        for node in self._members.values():
            if node.cpus and _builder_name(node) not in self._builders:
                self._build_on(node)
        if not self._builders:  # Ray was told of no core: the driver's node has some
            self._build_on(self._members[self.site.home])
        self._count()

    def _build_on(self, node: Node) -> None:
        name, slots = _builder_name(node), _build_slots(node)
        self._slots[name] = slots
        self._builders[name] = (
            ray.remote(concurrency_groups={"cancel": 1})(BuilderActor)
            .options(
                name=name,
                num_cpus=slots / 2 if node.cpus == 1 else min(slots, node.cpus),
                max_concurrency=64,
                **RESTARTED,
                **self._environment,
                scheduling_strategy=pinned_to(node.id),
            )
            .remote(slots, self.site)
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
        home = self._members[self.site.home]
        building = sum(self._slots.values())
        if _builder_name(home) in self._slots:
            own = self._slots[_builder_name(home)]
            building += self.site.own_slots(own) - own + len(self.site.lent_cores)
        self._building = building
        self.keep_for_candidates(self._kept)
        searching = max(2, sum(node.cpus - _build_slots(node) for node in self._members.values()))
        self.capacity["tune"] = min(searching, tuned_at_once(self.site.devices.values()))
        self.builders.change(self._slots)
        for tuner in self._tuners.values():
            tuner.use.remote(self._slots, building)

    def keep_for_candidates(self, slots: int) -> None:
        """Let stages take so many fewer build slots, one at least: a slot that a build has taken for half a minute
        cannot be taken back.
        """
        self._kept = slots
        self.capacity["compile"] = max(1, self._building - slots)

    def _near(self, device: Device) -> list[Node]:
        """Where a device can be measured from; its cores are the driver's host's where the farm runs its server."""
        return [node for node in self._members.values() if not device.managed and node.has_tracker]

    def _placed(self, nodes: Iterable[Node]) -> dict[str, Any]:
        """Options of an actor for any of these nodes; on the driver's where that is the only one."""
        found = [node.id for node in nodes][:_SPREAD]
        if set(found) <= {self.site.home}:
            return {"scheduling_strategy": pinned_to(self.site.home)}
        return {"scheduling_strategy": "SPREAD", "label_selector": {"ray.io/node-id": f"in({','.join(found)})"}}


def _builder_name(node: Node) -> str:
    return f"{BUILDER}:{node.id}"


def _build_slots(node: Node) -> int:
    """Half of the cores of the driver's node build and the other half search; a single one does both. Tuners are few:
    three quarters of other nodes build.
    """
    return max(1, node.cpus // 2 if node.is_home else node.cpus * 3 // 4)
