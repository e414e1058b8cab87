"""Brings up farm and engine for the time of a run, and closes them in the other order whatever happens."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from sweep.api.session.connectivity import check_reachable
from sweep.api.session.farm_session import workplace
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.running.contract import Engine
from sweep.study.cluster.cluster import Cluster

if TYPE_CHECKING:
    from sweep.planning.stage import Plan, Stage
    from sweep.running.driver import Observer
    from sweep.running.ledger.ledger import Ledger

__all__ = ["EngineSession", "watchers_of"]


class EngineSession:
    """A context that gives the engine of a cluster file."""

    def __init__(
        self, cluster: Cluster, sweep_dir: Path, *, is_holder: bool = True, first: Stage | None = None
    ) -> None:
        """`is_holder`: whether the caller has the ledger open: what is half made in the folder is then nobody's.
        `first`: what will be performed on a device first, whose workplace comes up while its network is imported.

        Raises StudyError where a tracker or a Ray that is others' does not answer; ModuleNotFoundError: no TVM.
        """
        # Else servers try to start, for a minute
        if not cluster.is_pretended and importlib.util.find_spec("tvm") is None:
            raise ModuleNotFoundError("No module named 'tvm'", name="tvm")
        check_reachable(cluster)
        self._cluster, self._sweep_dir, self._is_holder, self._first = cluster, sweep_dir, is_holder, first
        self._closing = ExitStack()

    def __enter__(self) -> Engine:
        with ExitStack() as closing:
            if self._is_holder:
                folder = SweepDir(self._sweep_dir)
                folder.remove_half_made()  # by a run that was killed
                closing.callback(folder.remove_half_made)
            engine = self._open(closing)
            self._closing = closing.pop_all()
            return engine

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _open(self, closing: ExitStack) -> Engine:
        cluster = self._cluster
        if cluster.engine not in _ENGINES:
            raise StudyError(
                "unknown engine", file=cluster.path, key="engine", value=cluster.engine, allowed=", ".join(_ENGINES)
            )
        return _ENGINES[cluster.engine](cluster, self._sweep_dir, closing, self._first)


def watchers_of(
    cluster: Cluster, say: Callable[[str], None] = lambda text: None
) -> list[Callable[[Plan, Ledger], Observer]]:
    """Who else is to be told of a run on this engine: on Ray, its metrics. `say` is told where they are."""
    if cluster.engine != "ray":
        return []
    from sweep.engine.ray.metrics import RayMetrics

    return [lambda plan, ledger: RayMetrics(plan, ledger, say)]


def _inline(cluster: Cluster, sweep_dir: Path, closing: ExitStack, first: Stage | None) -> Engine:
    from sweep.engine.inline import InlineEngine
    from sweep.engine.kept_engine import KeptEngine

    site, farm = closing.enter_context(workplace(cluster, sweep_dir))
    engine = KeptEngine(InlineEngine(site), [farm])
    closing.callback(engine.close)
    return engine


def _ray(cluster: Cluster, sweep_dir: Path, closing: ExitStack, first: Stage | None) -> Engine:
    from sweep.engine.ray.ray_session import RaySession

    ray, resources = cluster.ray, {f"device:{device.key}": float(device.count) for device in cluster.devices}
    sessions: list[RaySession] = []

    def start(compile_cores: Sequence[int]) -> None:
        cpus = ray.num_cpus or len(compile_cores)
        sessions.append(RaySession(ray.address, cpus, resources, metrics_port=ray.metrics_port))
        closing.callback(sessions[0].close)

    site, farm = closing.enter_context(workplace(cluster, sweep_dir, start))
    session, cpus = sessions[0], ray.num_cpus or len(site.compile_cores)
    from sweep.engine.kept_engine import Footing, KeptEngine
    from sweep.engine.ray.ray_engine import RayEngine  # imports ray, which reads what the session has set

    on_ray = RayEngine(site, session, num_cpus=cpus)
    if first is not None:
        on_ray.make_ready(first)
    engine = KeptEngine(on_ray, [farm, Footing(on_ray.why_gone, on_ray.restart)])
    closing.callback(engine.close)
    return engine


def _simulated(cluster: Cluster, sweep_dir: Path, closing: ExitStack, first: Stage | None) -> Engine:
    from sweep.engine.simulated import SimulatedEngine

    return SimulatedEngine(cluster)


def _replay(cluster: Cluster, sweep_dir: Path, closing: ExitStack, first: Stage | None) -> Engine:
    from sweep.engine.replay import ReplayEngine

    if cluster.replay is None:
        raise StudyError("is missing", file=cluster.path, key="replay", allowed="sweep: the directory of a sweep")
    return ReplayEngine(cluster, cluster.replay)


_ENGINES: Mapping[str, Callable[[Cluster, Path, ExitStack, Stage | None], Engine]] = MappingProxyType(
    {"ray": _ray, "inline": _inline, "simulated": _simulated, "replay": _replay}
)
"""Brings each engine up, and what it needs; what has to be closed goes on the stack, what is performed on a device
first comes last."""
