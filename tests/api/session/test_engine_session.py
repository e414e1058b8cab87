"""Which engine a cluster file gets."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sweep.api.commands.exec import execute
from sweep.api.session.engine_session import EngineSession
from sweep.devices.processes import identify
from sweep.errors import DeviceError, StudyError
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster, local_cluster
from tests.api.made_sweep import MadeCell, make_sweep


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    (tmp_path / "cluster.yaml").write_text("name: made-up\nengine: simulated\nsimulate: {devices: 2}\n")
    return load_cluster(tmp_path / "cluster.yaml")


def test_the_engine_is_that_of_the_cluster_file(cluster: Cluster, tmp_path: Path) -> None:
    with EngineSession(cluster, tmp_path) as engine:
        assert engine.capacity["device:sim-1"] == 1


def test_an_unknown_engine_is_refused_with_all_there_are(cluster: Cluster, tmp_path: Path) -> None:
    strange = replace(cluster, engine="slurm")
    with pytest.raises(StudyError, match=r"unknown engine \(got 'slurm'\); allowed: ray, inline, simulated, replay$"):
        EngineSession(strange, tmp_path).__enter__()


def test_who_has_the_folder_takes_away_what_a_killed_run_has_half_made(cluster: Cluster, tmp_path: Path) -> None:
    half_made = tmp_path / "artifacts" / "build" / ".b0-abc"
    half_made.mkdir(parents=True)
    with EngineSession(cluster, tmp_path):
        assert not half_made.exists()


def test_exec_leaves_alone_what_a_run_is_making(tmp_path: Path) -> None:
    """Its farm says so only afterwards: the run's compile workers had lost their folders by then."""
    folder, local = make_sweep(tmp_path / "made", [MadeCell()]), local_cluster()
    (half_made := folder / "artifacts" / "build" / ".b1-abc").mkdir()
    (folder / "farm").mkdir()
    me = identify(os.getpid())
    assert me is not None
    tracker = {"host": "127.0.0.1", "port": 9190}
    state = {"warden": asdict(me), "owner": asdict(me), "tracker": tracker, "processes": []}
    (folder / "farm" / "farm.json").write_text(json.dumps(state))
    with pytest.raises(DeviceError, match="a farm is up already"):
        execute(folder / "artifacts/build/b0", local.devices[0].key, local)
    assert half_made.is_dir()
