"""Tags of a study and of some of its cells: which are taken, where they go, and that they are part of no id."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import sweep
from sweep.analysis.rows.results import derive
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.record.mlflow.run_values import cell_tags, content_hash
from sweep.report.texts import as_markdown
from sweep.running.ledger.saved_plan import restore, saved
from sweep.running.ledger.state import LedgerState
from sweep.running.ledger.sweep_outcome import sweep_outcome
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import load_study
from sweep.study.spec import Study

BASE = "study: s\nmodels: [onnx-light:squeezenet]\ntuners: [none, xgb]\nopt_levels: [0, 3]\n"
TAGS = """tags: {team: vision, origin: "s3://key:secret@bucket/x", sweep: mine}
cell_tags:
  - {cells: {tuner: xgb}, tags: {candidate: release, team: compilers}}
  - {cells: {tuner: xgb, opt_level: 0}, tags: {candidate: "no"}}
"""

StudyOf = Callable[[str], Study]
ClusterOf = Callable[[str], Cluster]
ONE = "name: c\ndevices: [{key: a}]\n"


def test_tags_are_part_of_no_id(study_of: StudyOf, cluster_of: ClusterOf) -> None:
    plain, tagged = (make_plan(study_of(BASE + rest), cluster_of(ONE)) for rest in ("", TAGS))
    assert list(plain.stages) == list(tagged.stages)
    assert [replace(planned, tags={}) for planned in tagged.cells] == plain.cells


def test_they_go_from_the_file_through_the_folder_to_tables_report_and_mlflow(
    study_of: StudyOf, cluster_of: ClusterOf, tmp_path: Path
) -> None:
    study = study_of(BASE + TAGS)
    folder = tmp_path / "sweep"
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps(saved(study, make_plan(study, cluster_of(ONE)))))
    outcome = sweep_outcome(restore(folder).plan, "", LedgerState(), folder)
    of_study = {"team": "vision", "origin": "s3://***@bucket/x", "sweep": "mine"}
    expected = {
        ("xgb", 3): {**of_study, "candidate": "release", "team": "compilers"},
        ("xgb", 0): {**of_study, "candidate": "no", "team": "compilers"},
    }
    results = derive(outcome)
    assert len(results.cells) == 5
    for cell, row in zip(outcome.cells, results.cells, strict=True):
        tags = expected.get((row["tuner"], row["opt_level"]), of_study)
        assert json.loads(row["tags"]) == tags
        assert tags.items() <= cell_tags(cell, "").items()
    assert "Tags: origin=s3" in as_markdown(results)
    assert "secret" not in as_markdown(results) + (folder / "plan.json").read_text()


def test_an_untagged_cell_is_written_as_before(study_of: StudyOf, cluster_of: ClusterOf, tmp_path: Path) -> None:
    study = study_of(BASE)
    plan = make_plan(study, cluster_of(ONE))
    assert '"tags"' not in json.dumps(saved(study, plan))
    cell = sweep_outcome(plan, "", LedgerState(), tmp_path).cells[0]
    assert "tags" not in cell.to_json()
    assert content_hash(cell) != content_hash(replace(cell, tags={"team": "vision"}))
    assert derive(sweep_outcome(plan, "", LedgerState(), tmp_path)).cells[0]["tags"] is None


def test_a_saved_study_keeps_them(study_of: StudyOf, tmp_path: Path) -> None:
    study = study_of(BASE + TAGS)
    assert load_study(sweep.save_study(study, tmp_path / "copy.yaml")).tags == study.tags


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("tags: {ticket: 12}", "5: tags.ticket: is not a text for a tag (got 12); allowed: text"),
        ("tags:\n  team: a\n  a b: c", "7: tags.a b: is not a name for a tag (got 'c'); allowed: letters"),
        ("tags: {mlflow.user: me}", "5: tags.mlflow.user: is a name of sweep's or MLflow's own (got 'me')"),
        ("tags: [team]", "5: tags: has the wrong type"),
        ("cell_tags: [{tags: {a: b}}]", "5: cell_tags[0].cells: is missing"),
        ("cell_tags: [{cells: {}, tags: {a: b}}]", "5: cell_tags[0].cells: names no axis"),
        (
            "cell_tags: [{cells: {tuner: xbg}, tags: {a: b}}]",
            "5: cell_tags[0].cells.tuner: is not a value of this axis",
        ),
    ],
)
def test_a_slip_is_told_in_a_line(study_of: StudyOf, written: str, told: str) -> None:
    with pytest.raises(StudyError) as refused:
        study_of(f"{BASE}{written}\n")
    assert f"study.yaml:{told}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_rule_that_tags_nothing_is_a_slip(study_of: StudyOf, cluster_of: ClusterOf) -> None:
    study = study_of(BASE + "cell_tags: [{cells: {device: b}, tags: {a: b}}]\n")
    with pytest.raises(StudyError, match=r"study.yaml:5: cell_tags\[0\].cells.device: is not a device of this grid"):
        make_plan(study, cluster_of(ONE))
