"""Keeps count of the nodes of a Ray cluster that a sweep can use: those that are there, have come and have gone.

A node takes part when it has this package and TVM in the driver's versions and sees the sweep directory under the
driver's path. Whoever does not is named once, with the reason, and the sweep goes on with the others.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.engine.ray.node_probe import NodeView, look, refusal
from sweep.engine.site import Site
from sweep.errors import EngineError, in_one_line
from sweep.files.sweep_dir import SweepDir

__all__ = ["Node", "Nodes", "home_node", "pinned_to"]

_ANSWER_S = 60.0
"""A worker has to start there, and may have to fetch the job's files first."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that takes part."""

    id: str
    """Ray's."""
    name: str
    cpus: int
    """Cores that Ray may give to this sweep there."""
    is_home: bool
    """Whether the driver, and with it all managed devices, are there."""
    has_tracker: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    cpus: int
    until_s: float


class Nodes:
    """Keeps count of the nodes. `site.home` is the driver's."""

    def __init__(self, site: Site, home_cpus: int) -> None:
        """`home_cpus`: cores of the driver's node that may be used, whatever Ray says that it has.

        Raises:
            EngineError: the driver's node itself has no TVM.
        """
        self._site, self._home_cpus = site, home_cpus
        self._marker = SweepDir(site.sweep_dir).node_marks(secrets.token_hex(4))
        self._wanted = self._look_here()
        self._asked: dict[ray.ObjectRef[NodeView], tuple[str, _Asked]] = {}
        self._refused: set[str] = set()
        self.used: dict[str, Node] = {}

    def survey(self) -> None:
        """Ask all nodes that are there, and wait for their answers."""
        self.news()
        while self._asked:
            ray.wait(list(self._asked), num_returns=1, timeout=1.0)
            self.news()

    def news(self) -> tuple[list[Node], list[Node]]:
        """Nodes that take part from now on, and those that are gone, since the last call; does not wait."""
        alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        gone = [self.used.pop(node_id) for node_id in list(self.used) if node_id not in alive]
        for node_id in alive.keys() - self.used.keys() - self._refused - {asked for asked, _ in self._asked.values()}:
            self._ask(node_id, alive[node_id])
        come = self._answers()
        self.used.update((node.id, node) for node in come)
        return come, gone

    def close(self) -> None:
        """Remove what the nodes have left in the sweep directory."""
        shutil.rmtree(self._marker, ignore_errors=True)

    def _look_here(self) -> NodeView:
        self._marker.mkdir(parents=True)
        seen = look(self._marker, self._site.home, (self._site.tracker_host, self._site.tracker_port))
        if seen.versions["apache-tvm"] == "absent":
            self.close()
            raise EngineError("the node of the driver has no apache-tvm; run the driver on one that has it")
        return seen

    def _ask(self, node_id: str, node: dict[str, Any]) -> None:
        cpus = int(node["Resources"].get("CPU", 0))
        name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node_id[:8]})"
        if node_id == self._site.home:
            self.used[node_id] = Node(node_id, name, min(cpus, self._home_cpus), True, self._wanted.has_tracker)
            return
        if cpus < 1:
            self._refuse(node_id, name, "it offers no CPU")
            return
        tracker = (self._site.tracker_host, self._site.tracker_port)
        ref = (
            ray.remote(_probe())
            .options(num_cpus=0, max_retries=0, scheduling_strategy=pinned_to(node_id))
            .remote(str(self._marker), node_id, tracker)
        )
        self._asked[ref] = (node_id, _Asked(name, cpus, time.monotonic() + _ANSWER_S))

    def _answers(self) -> list[Node]:
        come = []
        for ref, (node_id, asked) in list(self._asked.items()):
            answered = bool(ray.wait([ref], timeout=0)[0])
            if not answered and time.monotonic() < asked.until_s:
                continue
            del self._asked[ref]
            seen = _answer(ref) if answered else NodeView(problem=f"it did not answer within {_ANSWER_S:.0f} s")
            reason = self._refusal(seen, node_id)
            if reason is None:
                come.append(Node(node_id, asked.name, asked.cpus, False, seen.has_tracker))
            else:
                self._refuse(node_id, asked.name, reason)
        return come

    def _refusal(self, seen: NodeView, node_id: str) -> str | None:
        site = self._site
        reason = refusal(seen, self._wanted, site.sweep_dir, needs_same_cpu=site.generates_for_this_cpu)
        if reason is None and not (self._marker / node_id).is_file():
            return f"its {site.sweep_dir} is another folder than that of the driver's node"
        return reason

    def _refuse(self, node_id: str, name: str, reason: str) -> None:
        self._refused.add(node_id)
        logging.getLogger(__name__).warning("node %s is not used: %s", name, reason)


def home_node() -> str:
    """Ray's id of the node that this process is on."""
    found: str = ray.get_runtime_context().get_node_id()
    return found


def pinned_to(node_id: str) -> NodeAffinitySchedulingStrategy:
    """There, or not at all."""
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def _probe() -> Callable[[str, str, tuple[str, int]], NodeView | str]:
    """The task that a node answers. It travels by value, so that a node without this package can say so."""

    def probe(marker: str, node: str, tracker: tuple[str, int]) -> NodeView | str:
        from pathlib import Path

        try:
            from sweep.engine.ray.node_probe import look
        except ImportError as error:
            return f"it has no sweep package that works: {error}"
        return look(Path(marker), node, tracker)

    return probe


def _answer(ref: ray.ObjectRef[NodeView | str]) -> NodeView:
    try:
        seen = ray.get(ref)
    except ray.exceptions.RayError as error:
        return NodeView(problem=f"it cannot run tasks: {in_one_line(error)}")
    return seen if isinstance(seen, NodeView) else NodeView(problem=seen)
