"""A machine that is the same wherever the tests run, and files written in a line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_cluster, load_study
from sweep.study.spec import Study
from sweep.study.targets import host

SQUEEZENET = "study: s\nmodels: [onnx-light:squeezenet]\n"
ONE_DEVICE = "name: c\ndevices: [{key: local}]\n"
AVX2 = "sse3 ssse3 sse4.1 sse4.2 popcnt lzcnt movbe bmi bmi2 avx f16c fma avx2"


@pytest.fixture(autouse=True)
def avx2_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores with AVX2 and nothing beyond."""
    monkeypatch.setattr(host, "architecture", lambda: "x86-64")
    monkeypatch.setattr(host, "features", lambda: frozenset(AVX2.split()))
    monkeypatch.setattr(host, "cpu_id", lambda: "test-cpu")
    monkeypatch.setattr(host, "usable_cores", lambda: (0, 1, 2, 3))
    monkeypatch.delenv("TVM_TRACKER_HOST", raising=False)
    monkeypatch.delenv("TVM_TRACKER_PORT", raising=False)


OPTIONAL = ("torch", "optuna")


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without torch and Optuna, wherever the tests run."""
    _pretend(monkeypatch, is_there=False)


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with torch and Optuna, as far as the gate looks."""
    _pretend(monkeypatch, is_there=True)


def _pretend(monkeypatch: pytest.MonkeyPatch, *, is_there: bool) -> None:
    real = importlib.util.find_spec

    def found(name: str, package: str | None = None) -> ModuleSpec | None:
        if name in OPTIONAL:
            return ModuleSpec(name, None) if is_there else None
        return real(name, package)

    monkeypatch.setattr("importlib.util.find_spec", found)


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[[str], Study]:
    """Writes a study file and loads it."""

    def load(text: str) -> Study:
        path = tmp_path / "study.yaml"
        path.write_text(text, encoding="utf-8")
        return load_study(path)

    return load


@pytest.fixture
def cluster_of(tmp_path: Path) -> Callable[[str], Cluster]:
    """Writes a cluster file and loads it."""

    def load(text: str = ONE_DEVICE) -> Cluster:
        path = tmp_path / "cluster.yaml"
        path.write_text(text, encoding="utf-8")
        return load_cluster(path)

    return load
