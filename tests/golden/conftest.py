"""The machine on which the files beside this one were made, wherever the tests run.

All of it was written by the version of commit 4932e56, before stages, axes and results became tables:

- plan_ids.json: `KEY -> {stages: {id: label}, cells: {id: name}}`, in the plan's order, of every study in experiments/
  with each cluster file that it goes with, and of every_option.yaml with every_option_cluster.yaml.
- sweep-4932e56/: the folder of study.yaml with cluster.yaml after two runs (in the first, two busy processes beside the
  measurement made a cell tainted), `overlay --measure` and three `compare --measure-more`. Libraries, modules, the
  MLflow store and the page are left out, and host and folders have other names; the rest is as it was.
- answers.json: what that version's status, report, plan, compare, overlay and MLflow mirror said of that folder.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sweep.planning import versions
from sweep.study.targets import host

HERE = Path(__file__).parent

AVX2 = "sse3 ssse3 sse4.1 sse4.2 popcnt lzcnt movbe bmi bmi2 avx f16c fma avx2"
VERSIONS = {"apache-tvm": "0.27.0.post1", "apache-tvm-ffi": "0.1.14.post0", "onnx": "1.18.0", "onnxruntime": "1.20.0"}


@pytest.fixture(autouse=True)
def old_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores with AVX2, and versions that the ids are of."""
    monkeypatch.setattr(host, "architecture", lambda: "x86-64")
    monkeypatch.setattr(host, "features", lambda: frozenset(AVX2.split()))
    monkeypatch.setattr(host, "cpu_id", lambda: "test-cpu")
    monkeypatch.setattr(host, "usable_cores", lambda: (0, 1, 2, 3))
    monkeypatch.setattr(versions, "_version", lambda distribution: VERSIONS[distribution])
    monkeypatch.delenv("TVM_TRACKER_HOST", raising=False)
    monkeypatch.delenv("TVM_TRACKER_PORT", raising=False)


@pytest.fixture(scope="session")
def answers() -> dict[str, Any]:
    """What the old version said of the folder."""
    return dict(json.loads((HERE / "answers.json").read_text(encoding="utf-8")))


@pytest.fixture
def old_sweep(tmp_path: Path) -> Path:
    """A copy of the folder, with the tables that the old version wrote."""
    return Path(shutil.copytree(HERE / "sweep-4932e56", tmp_path / "sweep"))


@pytest.fixture
def old_sweep_without_tables(old_sweep: Path) -> Path:
    """The same with no tables: they are made anew from the ledger."""
    for table in old_sweep.glob("*.parquet"):
        table.unlink()
    return old_sweep
