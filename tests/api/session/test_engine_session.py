"""Which engine a cluster file gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sweep.api.session.engine_session import EngineSession
from sweep.errors import StudyError
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster


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
