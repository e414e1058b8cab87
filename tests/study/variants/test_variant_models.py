"""Variants in a study file: their names, their ids, and what is refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

import sweep
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.study.gate import load_study
from sweep.study.spec import Study
from tests.networks import write_tiny
from tests.planning.grids import cluster


def study(folder: Path, *entries: str, more: str = "") -> Study:
    write_tiny(folder / "net.onnx")
    lines = "".join(f"  - {entry}\n" for entry in ("net.onnx", *entries))
    (folder / "study.yaml").write_text(f"study: s\nmodels:\n{lines}{more}", encoding="utf-8")
    return load_study(folder / "study.yaml")


def plan_of(made: Study) -> Plan:
    return make_plan(made, cluster())


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("{from: net, prune: {method: l1, levels: [0.0, 0.3, 0.6]}}", "net-l1-0 net-l1-30 net-l1-60"),
        ("{from: net, prune: {method: random, levels: [0.125]}}", "net-random-12.5"),
        ("{from: net, name: slim, prune: {levels: [0.5]}}", "slim"),
        ("{from: net, name: slim, prune: {levels: [0.5, 0.9]}}", "slim-50 slim-90"),
        ("{from: net, sparsify: {levels: [0.8], exclude_first: true}}", "net-magnitude-80"),
        ("{from: net, prune: }", " ".join(f"net-l1-{level}" for level in range(0, 91, 5))),
    ],
)
def test_variants_are_models_by_level(tmp_path: Path, entry: str, names: str) -> None:
    made = study(tmp_path, entry)
    assert [model.name for model in made.models] == ["net", *names.split()]


def test_a_variant_may_be_made_of_a_variant_and_stand_before_it(tmp_path: Path) -> None:
    made = study(tmp_path, "{from: net-l1-50, sparsify: {levels: [0.8]}}", "{from: net, prune: {levels: [0.5]}}")
    assert [model.name for model in made.models] == ["net", "net-l1-50-magnitude-80", "net-l1-50"]
    outer = made.models[1].options
    assert outer["base"]["variant"] == {"prune": {"method": "l1", "level": 0.5}}


def test_each_variant_is_an_import_of_its_own_and_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    alone = plan_of(study(tmp_path))
    several = plan_of(study(tmp_path, "{from: net, prune: {levels: [0.0, 0.5]}}"))
    assert set(alone.stages) < set(several.stages)
    imports = [stage for stage in several.stages.values() if stage.kind == "import"]
    assert len(imports) == 3
    again = plan_of(study(tmp_path, "{from: net, name: other, prune: {levels: [0.5]}}"))
    assert [stage.id for stage in again.stages.values() if stage.kind == "import"] == [imports[0].id, imports[2].id]


def test_a_saved_study_has_the_same_variants(tmp_path: Path) -> None:
    made = study(
        tmp_path, "{from: net, prune: {levels: [0.5]}}", "{from: net, sparsify: {scope: network, levels: [0.7]}}"
    )
    sweep.save_study(made, tmp_path / "saved.yaml")
    assert load_study(tmp_path / "saved.yaml").models == made.models


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            "{from: nett, prune: {}}",
            "models[1].from: is no other model of this study, did you mean 'net'? (got 'nett')",
        ),
        ("{from: net}", "models[1].from: says nothing of how it differs (got 'net'); allowed: prune, sparsify"),
        (
            "{from: net, prune: {levels: [1.0]}}",
            "models[1].prune.levels[0]: is out of range (got 1.0); allowed: a number",
        ),
        ("{from: net, prune: {levels: [0.5, 0.5]}}", "models[1].prune.levels[1]: is there twice (got 0.5)"),
        ("{from: net, prune: {method: l2}}", "models[1].prune.method: 'l2' is not known here"),
        ("{from: net, prune: {}, sparsify: {}}", "models[1].sparsify: does not go with prune"),
        ("{from: net, path: net.onnx, prune: {}}", "models[1].path: is not a key here"),
        ("{from: net, prune: {levels: [0.5]}, name: net}", "models[1]: is the same as models[0] (got 'net')"),
        ("{path: net.onnx, importer: variant}", "models[1].path: is no variant"),
    ],
)
def test_what_is_no_variant_is_refused_in_a_line(tmp_path: Path, entry: str, line: str) -> None:
    with pytest.raises(StudyError) as caught:
        study(tmp_path, entry)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
