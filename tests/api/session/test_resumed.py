"""A sweep of another version is resumed: what is done again is said before it is done, or stays where that is asked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import sweep
from sweep.api.session.resumed import remembered
from sweep.cli import main
from sweep.planning import versions
from sweep.planning.kinds import STAGE_KINDS
from sweep.running.ledger.ledger import read_ledger
from tests.api.session.simulated_sweep import begun, run_again

STUDY = (
    "study: small\nmodels: [onnx-light:squeezenet]\ndevices: [sim-0]\nopt_levels: [0, 3]\n"
    "tuners: [{name: none}, {name: random, trials_per_task: 4}]\nruntimes: [tvm, onnxruntime]\n"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return begun(tmp_path_factory.mktemp("older"), STUDY)


@pytest.fixture
def older(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "it")


@pytest.fixture
def new_recipe(monkeypatch: pytest.MonkeyPatch) -> str:
    """This program lowers in another way than it did."""
    lower = STAGE_KINDS.get("lower")
    monkeypatch.setitem(STAGE_KINDS._loaded, "lower", replace(lower, revision=lower.revision + 1))
    monkeypatch.setattr(STAGE_KINDS, "_all", None)
    return f"recipe {lower.revision} -> {lower.revision + 1}"


@pytest.fixture
def new_tvm(monkeypatch: pytest.MonkeyPatch) -> str:
    version = versions._version
    before = version("apache-tvm")
    monkeypatch.setattr(versions, "_version", lambda name: "9.9" if name == "apache-tvm" else version(name))
    return f"apache-tvm {before} -> 9.9"


def test_a_raised_recipe_is_told_and_done(older: Path, new_recipe: str, caplog: pytest.LogCaptureFixture) -> None:
    ended = run_again(older)
    assert [line.partition(" (")[0] for line in caplog.messages if line.startswith("done again")] == [
        f"done again: 2 lower stages of 4 cells: {new_recipe}",
        "done again: 2 tune stages of 2 cells: made from another lower",
        "done again: 4 build stages of 4 cells: made from another lower and tune",
        "done again: 4 measure stages of 4 cells: made from another build and import",
    ]
    assert "(`--keep` goes on with what there is)" in caplog.text
    assert ended.executed == 12
    caplog.clear()
    assert run_again(older).executed == 0
    assert not caplog.messages, "it is said once"


def test_another_tvm_is_told_of_every_kind(older: Path, new_tvm: str, caplog: pytest.LogCaptureFixture) -> None:
    run_again(older)
    told = [line for line in caplog.messages if line.startswith("done again")]
    assert len(told) == 5
    assert all(new_tvm in line for line in told)
    assert not any("recipe" in line for line in told)


def test_what_is_kept_is_not_done_again(older: Path, new_recipe: str, caplog: pytest.LogCaptureFixture) -> None:
    before = {row["cell_id"]: row for row in sweep.open_results(older / "out").to_pylist()}
    ended = run_again(older, keep=True)
    assert (ended.executed, ended.status, ended.cells) == (0, "done", 5)
    rows = sweep.open_results(older / "out").to_pylist()
    why = f"lower: {new_recipe}; tune: made from another lower; build: made from another lower and tune; "
    for row in rows:
        assert row["latency_ms_median"] == before[row["cell_id"]]["latency_ms_median"]
        assert (row["kept"] or "").startswith(f"lower: {new_recipe}") == (row["runtime"] == "tvm")
    assert any(row["kept"] == f"{why}measure: made from another build and import" for row in rows)
    assert sweep.standing(older / "out").status == "done"
    assert not [line for line in caplog.messages if line.startswith("done again")]
    assert run_again(older).executed == 12, "they can still be done again"


def test_a_further_cell_of_a_kept_sweep_is_done_by_this_version(older: Path, new_recipe: str) -> None:
    (older / "study.yaml").write_text(STUDY.replace("opt_levels: [0, 3]", "opt_levels: [0, 2, 3]"))
    assert run_again(older, keep=True).executed == 6  # lower, tune, two builds and two measurements at level 2
    kept = {row["opt_level"]: row["kept"] is not None for row in sweep.open_results(older / "out").to_pylist()}
    assert kept == {None: False, 0: True, 2: False, 3: True}


def test_answers_are_remembered_by_a_run_that_was_ended(
    older: Path, new_recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sees what is done again, and ends the run, can still keep what there was."""
    monkeypatch.setattr("sweep.api.commands.run.EngineSession", None)
    with pytest.raises(TypeError):
        run_again(older)
    plan = json.loads((older / "out" / "plan.json").read_text())
    assert len(plan["earlier"]["cells"]) == 4
    assert len(remembered(older / "out", read_ledger(older / "out")).cells) == 5
    assert run_again(older, keep=True).executed == 0


def test_the_way_back_does_nothing_again(older: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lower = STAGE_KINDS.get("lower")
        patch.setitem(STAGE_KINDS._loaded, "lower", replace(lower, revision=lower.revision + 1))
        patch.setattr(STAGE_KINDS, "_all", None)
        run_again(older, keep=True)
    assert run_again(older).executed == 0
    assert "kept" not in (older / "out" / "plan.json").read_text()


def test_plan_tells_it_too(older: Path, new_recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", older / "study.yaml", "--cluster", older / "cluster.yaml", "--out", older / "out"]
    assert main([str(each) for each in arguments]) == 0
    assert f"done again: 2 lower stages of 4 cells: {new_recipe}; `sweep run --keep`" in capsys.readouterr().out


def test_versions_of_a_plan_that_tells_none_are_found(
    older: Path, new_tvm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what the run noted: those that give the ids which there are."""
    path = older / "out" / "plan.json"
    plan = json.loads(path.read_text())
    del plan["versions"]
    for stage in plan["stages"].values():
        del stage["versions"]
    path.write_text(json.dumps(plan))
    arguments = ["plan", older / "study.yaml", "--cluster", older / "cluster.yaml", "--out", older / "out"]
    assert main([str(each) for each in arguments]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("done again")]
    assert len(told) == 5
    assert all(new_tvm in line for line in told)
