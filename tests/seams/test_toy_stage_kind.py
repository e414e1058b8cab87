"""Kinds of stage from outside the package go all the way: planned, performed, recorded, resumed, shown."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import sweep
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.planner import make_plan
from sweep.planning.summary import explain
from sweep.running.ledger.ledger import read_ledger
from tests.networks import write_tiny
from tests.seams.installed import install_toys
from tests.seams.toy_stage_kinds import Digest, Growth

pytestmark = [pytest.mark.integration, pytest.mark.tvm]

STUDY = {
    "study": "toy-stages",
    "models": ["tiny.onnx"],
    "opt_levels": [1, 3],
    "runtimes": ["tvm", "onnxruntime"],
    "final": None,
    "measure": {"repeat": 3, "max_repeat": 3, "rounds": 1, "min_repeat_ms": 1, "retakes": 0},
}
CLUSTER = {"name": "one", "engine": "inline", "devices": [{"key": "here", "cores": [-1]}], "mlflow": {"enabled": False}}
TOYS = {"digest": "tests.seams.toy_stage_kinds:DIGEST", "growth": "tests.seams.toy_stage_kinds:GROWTH"}
ROOT = str(Path(__file__).parents[2])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A study of a network that takes no time, and a package installed that brings two kinds of stage."""
    folder = tmp_path_factory.mktemp("toy")
    write_tiny(folder / "tiny.onnx")
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    (folder / "cluster.yaml").write_text(json.dumps(CLUSTER))
    with pytest.MonkeyPatch.context() as patch:
        install_toys(folder, "sweep.stage_kinds", TOYS)
        patch.syspath_prepend(folder)
        STAGE_KINDS.look_again()
        yield folder
    STAGE_KINDS.look_again()


@pytest.fixture(scope="module")
def swept(home: Path) -> sweep.SweepRun:
    study, cluster = sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml")
    return sweep.run(study, cluster, out=home / "out")


def in_another_process(home: Path, *arguments: str, with_toys: bool) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*([str(home)] if with_toys else []), ROOT])
    command = [sys.executable, "-m", "sweep", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, cwd=ROOT)


def test_the_plan_has_them_beside_the_measurement(home: Path) -> None:
    plan = make_plan(sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml"))

    kinds = {
        (planned.cell.runtime, planned.cell.opt_level): [plan.stages[goal].kind for goal in planned.goals]
        for planned in plan.cells
    }
    assert kinds == {
        ("onnxruntime", None): ["measure"],
        ("tvm", 1): ["measure", "digest"],
        ("tvm", 3): ["measure", "digest", "growth"],
    }
    summary = explain(plan).as_dict()
    assert (summary["stages"]["digest"], summary["stages"]["growth"]) == (2, 1)
    assert summary["estimate_s"]["digest"] == 2 * 0.5
    assert list(summary["stages"]) == ["import", "lower", "build", "measure", "digest", "growth"]


def test_they_are_performed_and_recorded(swept: sweep.SweepRun) -> None:
    assert swept.status == "done"
    cells = {cell.cell.opt_level: cell for cell in swept.outcome.cells}
    assert {cell.status for cell in cells.values()} <= {"done", "tainted"}
    for level in (1, 3):
        told = cells[level].result(Digest)
        assert told is not None
        library = swept.sweep_dir / str(cells[level].stages["build"].dir) / "lib.so"
        assert told.sha256 == hashlib.sha256(library.read_bytes()).hexdigest()
        assert (swept.sweep_dir / told.folder() / "digest.txt").read_text() == told.sha256
    assert cells[None].result(Digest) is None


def test_two_inputs_of_one_kind_keep_their_roles(swept: sweep.SweepRun) -> None:
    cells = {cell.cell.opt_level: cell for cell in swept.outcome.cells}
    told = cells[3].result(Growth)

    assert told is not None
    assert (told.before, told.after) == (cells[1].stages["build"].dir, cells[3].stages["build"].dir)
    assert told.before != told.after
    assert cells[3].stages["before"].dir == told.before


def test_each_is_performed_once_and_the_same_again_performs_nothing(home: Path, swept: sweep.SweepRun) -> None:
    kinds = Counter(stage.kind for stage in read_ledger(swept.sweep_dir).done.values())
    assert kinds == {"import": 1, "lower": 2, "build": 2, "measure": 3, "digest": 2, "growth": 1}

    again = sweep.run(
        sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml"), out=swept.sweep_dir
    )

    assert (again.status, again.executed) == ("done", 0)


def test_a_lost_one_is_made_again_alone(home: Path, swept: sweep.SweepRun) -> None:
    [stage] = [each for each in read_ledger(swept.sweep_dir).done.values() if isinstance(each.result, Growth)]
    (swept.sweep_dir / stage.result.folder()).rmdir()

    again = sweep.run(
        sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml"), out=swept.sweep_dir
    )

    assert (again.status, again.executed) == ("done", 1)
    assert (swept.sweep_dir / stage.result.folder()).is_dir()


def test_status_shows_them_and_without_their_package_says_what_is_missing(home: Path, swept: sweep.SweepRun) -> None:
    shown = in_another_process(home, "status", str(swept.sweep_dir), with_toys=True)
    assert shown.returncode == 0, shown.stderr
    assert "digest   2 done" in shown.stdout

    refused = in_another_process(home, "status", str(swept.sweep_dir), with_toys=False)

    assert refused.returncode == 2
    [line] = refused.stderr.strip().splitlines()
    assert "is no kind of stage (got 'digest'); allowed: train, import, " in line


def test_report_and_tables_take_no_harm(swept: sweep.SweepRun) -> None:
    page = (swept.sweep_dir / "report" / "index.html").read_text(encoding="utf-8")
    assert "digest" in page
    assert [row["status"] in ("done", "tainted") for row in swept.results.cells] == [True] * 3
