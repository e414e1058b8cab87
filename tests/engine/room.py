"""A process that opens an engine, works, closes it, as often as it is told, and says what it saw.

Run as `python -m tests.engine.room STUDY CLUSTER OUT TIMES`. A process of its own, so that all its children are the
engine's, and so that it can look around after them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from sweep.api.session.engine_session import EngineSession
from sweep.planning.planner import make_plan
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster, load_study
from tests.engine.shop import Shop, ends

SET_BY_IMPORTS = {"RAY_CLIENT_MODE", "PYTHONBREAKPOINT"}


def main(study: Path, cluster_file: Path, out: Path, times: int) -> dict[str, Any]:
    cluster = load_cluster(cluster_file)
    plan = make_plan(load_study(study), cluster)
    before = {"environment": dict(os.environ), "affinity": sorted(os.sched_getaffinity(0)), "temporary": _temporary()}
    openings: list[dict[str, Any]] = []
    for number in range(times):
        with EngineSession(cluster, out) as engine:
            shop = Shop("room", engine, plan, out)
            # The first import of a sweep directory and a measurement start all that there is; another import, little
            stage = shop.stages("import" if number else "measure")[0]
            opening: dict[str, Any] = {
                "ends": [type(end).__name__ for end in ends(shop.perform(shop.attempt(stage)))],
                "affinity": sorted(os.sched_getaffinity(0)),
                "processes": _processes(),
                "cpus": _cpus(cluster),
            }
        engine.close()
        engine.close()
        opening["left"] = {
            "processes": _processes(),
            "listening": _listening(psutil.Process()),
            "temporary": sorted(_temporary() - before["temporary"]),
            "environment": sorted(
                name
                for name in {*os.environ, *before["environment"]}
                if os.environ.get(name) != before["environment"].get(name) and name not in SET_BY_IMPORTS
            ),
            "affinity": sorted(os.sched_getaffinity(0)),
        }
        openings.append(opening)
    return {"device_cores": cluster.devices[0].cores, "all_cores": before["affinity"], "openings": openings}


def _processes() -> list[dict[str, Any]]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = process.cmdline()
            found.append(
                {
                    "command": " ".join(command)[:200],
                    "is_server": "sweep.devices.farm.device_server" in command,
                    "cores": process.cpu_affinity(),
                    "listening": _listening(process),
                }
            )
        except psutil.NoSuchProcess:
            continue
    return found


def _listening(process: psutil.Process) -> list[str]:
    return sorted(c.laddr.ip for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN)


def _cpus(cluster: Cluster) -> float | None:
    if cluster.engine != "ray":
        return None
    import ray

    return float(ray.cluster_resources()["CPU"])


def _temporary() -> set[str]:
    """Everything of ours in the folder for temporary files, which is this process's own."""
    return {path.name for path in Path(tempfile.gettempdir()).iterdir()}


if __name__ == "__main__":
    print(json.dumps(main(*map(Path, sys.argv[1:4]), times=int(sys.argv[4]))))
