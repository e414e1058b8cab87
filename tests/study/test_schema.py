"""The JSON schema that editors use, and the studies and clusters that come with the program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sweep.planning.planner import make_plan
from sweep.study.gate import load_cluster, load_study, study_json_schema
from sweep.study.tuners.tuner_forms import CATALOGUE

ROOT = Path(__file__).parents[2]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.fixture(scope="module")
def editor() -> jsonschema.Draft202012Validator:
    """What an editor makes of the schema, which the first test finds right."""
    return jsonschema.Draft202012Validator(study_json_schema())


def test_the_schema_is_a_schema_and_tells_people_what_to_write() -> None:
    schema = study_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["required"] == ["study", "models"]
    for key, part in schema["properties"].items():
        meant = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else part
        assert meant.get("description"), key
    assert list(CATALOGUE) in [part.get("enum") for part in _parts(schema)]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_each_experiment_keeps_to_the_schema(editor: jsonschema.Draft202012Validator, path: Path) -> None:
    editor.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_each_experiment_states_its_question_and_can_be_planned(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    cluster = re.search(r"--cluster (clusters/\S+)", text)
    study = load_study(path)
    assert study.question.endswith("?")
    assert make_plan(study, load_cluster(ROOT / (cluster[1] if cluster else "clusters/local.yaml"))).cells


@pytest.mark.parametrize(
    "slip",
    [
        {"tuner": ["none"]},
        {"tuners": ["gaa"]},
        {"tuners": ["my tuners:Annealing"]},
        {"tuners": [{"name": "gaa"}]},
        {"tuners": [{"name": "random", "population": 3}]},
        {"opt_levels": [5]},
        {"axes": {"layout": ["NCWH"]}},
        {"measure": {"repeat": "ten"}},
        {"measure": {"max_repeat": 0}},
        {"measure": {"relative_interval": 1.5}},
        {"measure": {"time_limit_s": 0}},
        {"measure": {"cache_flush": "yes"}},
        {"study": "My Study"},
    ],
    ids=str,
)
def test_an_editor_sees_the_slip_too(editor: jsonschema.Draft202012Validator, slip: dict[str, Any]) -> None:
    document = {"study": "s", "models": ["onnx-light:squeezenet"]} | slip
    with pytest.raises(jsonschema.ValidationError):
        editor.validate(document)


def test_the_quickstart_has_two_devices_that_really_differ() -> None:
    study = load_study(ROOT / "experiments" / "quickstart.yaml")
    cluster = load_cluster(ROOT / "clusters" / "local.yaml")
    plan = make_plan(study, cluster)
    compiled = [planned for planned in plan.cells if planned.cell.runtime == "tvm"]
    stages = [(planned.cell.device, plan.stages[stage]) for planned in compiled for stage in planned.stages]
    targets = {(device, str(stage.options["target"])) for device, stage in stages if stage.kind == "build"}
    assert len(targets) == len({target for _, target in targets}) == len(cluster.devices) == 2
    choices: dict[str, list[Any]] = {device.key: [] for device in cluster.devices}
    for planned in compiled:
        choices[planned.cell.device].append((planned.cell.tuner, planned.cell.opt_level))
    first, second = choices.values()
    assert first == second
    assert {("none", level) for level in (0, 1, 2, 3)} | {("random", 3), ("xgb", 3)} == set(first)


def _parts(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [part for item in schema for part in _parts(item)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(part for item in schema.values() for part in _parts(item))]
