"""A run on Ray begins with one tuned network where devices share cores, and says what waits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.planning.planner import make_plan
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.tuned_first import tuned_first
from sweep.study.gate import load_cluster, load_study

STUDY = """\
study: shared
models: [onnx-light:squeezenet]
tuners: [none, {name: random, trials_per_task: 2}]
opt_levels: [3]
"""
HERE = {"target": {"kind": "llvm", "mcpu": "core-avx2"}, "threads": 1}


def told(folder: Path, engine: str, *cores: list[int]) -> tuple[RunOptions, list[str]]:
    """On devices with these cores."""
    (folder / "study.yaml").write_text(STUDY)
    devices = [{"key": f"d{number}", "cores": each, **HERE} for number, each in enumerate(cores)]
    (folder / "cluster.yaml").write_text(json.dumps({"name": "shared", "engine": engine, "devices": devices}))
    cluster = load_cluster(folder / "cluster.yaml")
    plan, lines = make_plan(load_study(folder / "study.yaml"), cluster), list[str]()
    with Ledger(folder) as ledger:
        return tuned_first(RunOptions(name="a name"), cluster, plan, ledger, lines.append), lines


def test_cells_of_devices_that_share_a_core_wait_and_a_line_says_for_what(tmp_path: Path) -> None:
    options, lines = told(tmp_path, "ray", [0], [0])
    assert options.first is not None
    assert options.name == "a name"
    assert lines == ["4 cells wait up to 90 s for a first time of: tune squeezenet O3 native random on d0"]


def test_one_cell_waits(tmp_path: Path) -> None:
    _, lines = told(tmp_path, "ray", [0])
    assert lines == ["1 cell waits up to 90 s for a first time of: tune squeezenet O3 native random on d0"]


@pytest.mark.parametrize("engine", ["inline", "simulated"])
def test_an_engine_that_does_one_thing_after_the_other_is_not_kept_waiting(tmp_path: Path, engine: str) -> None:
    options, lines = told(tmp_path, engine, [0], [0])
    assert options == RunOptions(name="a name")
    assert lines == []
