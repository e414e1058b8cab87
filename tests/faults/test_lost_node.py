"""A node of a Ray cluster that dies in the middle of a sweep, and another that joins."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import psutil
import pytest

from tests.cluster.nodes import RayCluster
from tests.devices.parts import until
from tests.end_to_end.place import LIMIT_S, Place
from tests.faults.invariant import Witness
from tests.faults.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

STUDY = """
study: lost-node
final: null
models: [tiny.onnx]
tuners: [none, {name: random, trials_per_task: 6, number: 1, repeat: 1, min_repeat_ms: 20}]
opt_levels: [0, 1, 3]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""
CLUSTER = "{name: one, engine: ray, devices: [{key: here, cores: [-1]}], mlflow: {enabled: false}}"


def test_one_leaves_and_one_joins(tmp_path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp_cors", reason="Ray's dashboard is not installed: pip install 'tvm-sweep[cluster]'")
    place = Place(tmp_path / "place", STUDY, CLUSTER)
    witness = Witness(place)
    with RayCluster(tmp_path) as cluster:
        for name, value in cluster.environment.items():
            monkeypatch.setenv(name, value)
        leaving = cluster.add(2)
        running = place.start("--address", cluster.address)
        enough = chance.randrange(2, 10)
        wait_until(lambda: place.done() >= enough, running)
        leaving.kill()
        witness.look()
        joining = cluster.add(2)
        _, err = running.communicate(timeout=LIMIT_S)

        assert running.returncode == 0, err
        witness.assert_whole()
        nodes = [node for node in cluster.nodes if node is not leaving]
        workers = [process for node in nodes for process in node.processes() if _is_actor(process)]
        until(lambda: not any(_is_actor(process) for process in workers), "the end of all actors", LIMIT_S)
        assert joining.processes(), "the cluster outlives the sweep"


def _is_actor(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        return process.cmdline()[0].startswith(("ray::Builder", "ray::Tuner", "ray::Device"))
    return False
