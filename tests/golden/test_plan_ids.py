"""What is planned has the ids that it always had: what was measured under them is found again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.study.gate import load_cluster, load_study
from tests.golden.conftest import HERE

ROOT = HERE.parents[1]
NAMES_LAYOUTS = "every_option.yaml"
"""The study that names layouts, which were kept at levels 0 to 2 alone when these ids were made: see decision 0108."""
CHOSEN_LAYOUT = re.compile(r" O[34] ")
EXPECTED = json.loads((HERE / "plan_ids.json").read_text(encoding="utf-8"))


def plan_of(key: str) -> Plan:
    study, cluster = key.split()
    folders = (HERE, HERE) if (HERE / study).exists() else (ROOT / "experiments", ROOT / "clusters")
    return make_plan(load_study(folders[0] / study), load_cluster(folders[1] / cluster))


@pytest.mark.parametrize("key", EXPECTED)
def test_stages_and_cells_have_their_ids_in_their_order(key: str) -> None:
    plan, expected = plan_of(key), EXPECTED[key]
    stages = [(stage.id, stage.label) for stage in plan.stages.values()]
    assert [label for _, label in stages] == list(expected["stages"].values())
    others = {label for (now, label), was in zip(stages, expected["stages"], strict=True) if now != was}
    assert others == {label for _, label in stages if key.startswith(NAMES_LAYOUTS) and CHOSEN_LAYOUT.search(label)}
    assert [f"{planned.cell.id} {planned.cell.name}" for planned in plan.cells] == [
        f"{cell} {name}" for cell, name in expected["cells"].items()
    ]


def test_every_study_of_the_repository_is_among_them() -> None:
    names = {path.name for path in Path(ROOT / "experiments").glob("*.yaml")}
    # Of formats and keys that the version of these ids did not know
    newer = {
        "digits_quality.yaml",
        "formats_runtimes.yaml",
        "frameworks.yaml",
        "predict_families.yaml",
        "prune_profile_predict.yaml",
        "quantisation.yaml",
        "tflite_layouts.yaml",
        "mixed_precision.yaml",
    }
    assert names - newer <= {key.split()[0] for key in EXPECTED}
