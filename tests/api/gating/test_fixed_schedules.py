"""A sweep that is given the schedules of a baseline."""

from __future__ import annotations

from pathlib import Path

import pytest

import sweep
from sweep.api.gating.fixed_schedules import adopt_schedules
from sweep.cli import main
from sweep.errors import StudyError
from sweep.planning.results.tuning_result import TuneResult
from sweep.running.ledger.ledger import read_ledger
from sweep.study.gate import load_cluster, load_study
from tests.networks import write_tiny

STUDY = "study: held\nmodels: [tiny.onnx]\ntuners: [none, random, xgb]\nopt_levels: [3]\nruntimes: [tvm]\n"
CLUSTER = """
name: made-up
engine: simulated
simulate: {devices: 1, failure_rate: 0, speed: 0}
mlflow: {enabled: false}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A study and its baseline on made-up devices."""
    write_tiny(tmp_path / "tiny.onnx")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    ended = sweep.run(
        load_study(tmp_path / "study.yaml"), load_cluster(tmp_path / "cluster.yaml"), out=tmp_path / "base"
    )
    assert ended.status == "done"
    for one in read_ledger(tmp_path / "base").done.values():  # which made-up tuners do not leave
        if isinstance(one.result, TuneResult):
            folder = tmp_path / "base" / one.result.records_dir
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "trials.jsonl").write_text(one.result.records_dir)
    return tmp_path


def test_what_was_tuned_is_entered_with_its_records(place: Path) -> None:
    study, cluster = load_study(place / "study.yaml"), load_cluster(place / "cluster.yaml")
    plan = sweep.plan(study, cluster)
    tuned = [stage.id for stage in plan.stages.values() if stage.kind == "tune"]
    assert len(tuned) == 2

    (place / "new").mkdir()
    assert adopt_schedules(plan, place / "new", place / "base") == 2
    assert adopt_schedules(plan, place / "new", place / "base") == 0  # once

    before, after = read_ledger(place / "base").done, read_ledger(place / "new").done
    assert sorted(after) == sorted(tuned)
    assert all(after[stage].result == before[stage].result for stage in tuned)
    for stage in tuned:
        result = after[stage].result
        assert isinstance(result, TuneResult)
        assert (place / "new" / result.records_dir / "trials.jsonl").read_text() == result.records_dir


def test_a_gate_tunes_nothing_again(place: Path) -> None:
    study, cluster = load_study(place / "study.yaml"), load_cluster(place / "cluster.yaml")
    gated = sweep.gate(study, cluster, place / "base", out=place / "new", minutes=0, fail_on="slower > 900%")
    assert (gated.adopted, gated.run.status, len(gated.comparison.cells)) == (2, "done", 3)
    assert gated.run.executed == len(sweep.plan(study, cluster).stages) - 2
    again = sweep.gate(study, cluster, place / "base", out=place / "own", minutes=0, own_schedules=True)
    assert (again.adopted, again.run.executed) == (0, gated.run.executed + 2)


def test_a_cell_that_failed_ends_a_gate_with_1(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rule is open, which alone would be 3."""
    monkeypatch.chdir(place)
    (place / "broken.yaml").write_text(CLUSTER.replace("failure_rate: 0", "failure_rate: 1"))
    command = ["gate", "study.yaml", "--cluster", "broken.yaml", "--baseline", "base", "--max-minutes", "0"]
    assert main([*command, "--out", "new"]) == 1


def test_the_baseline_is_not_written_to(place: Path) -> None:
    study, cluster = load_study(place / "study.yaml"), load_cluster(place / "cluster.yaml")
    with pytest.raises(StudyError, match="--out: is the baseline"):
        sweep.gate(study, cluster, place / "base", out=place / "base")
    with pytest.raises(StudyError, match="--baseline: is not a sweep directory"):
        sweep.gate(study, cluster, place / "nothing", out=place / "new")
