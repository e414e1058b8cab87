"""Study and cluster files may say of which version of their form they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.study.gate import cluster_json_schema, load_cluster, load_study, study_json_schema
from tests.study.conftest import ONE_DEVICE, SQUEEZENET

FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "study": (load_study, SQUEEZENET),
    "cluster": (load_cluster, ONE_DEVICE),
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("version: 2\nfrom_the_future: 1", "version: is of a newer version of sweep (got 2); allowed: up to 1"),
        ("version: 0", "version: is out of range (got 0); allowed: a whole number from 1"),
        ("version: true", "version: has the wrong type"),
        ('version: "1"', "version: has the wrong type"),
    ],
)
def test_another_version_is_refused_in_a_line_of_its_own(tmp_path: Path, what: str, written: str, told: str) -> None:
    load, text = FILES[what]
    path = tmp_path / f"{what}.yaml"
    path.write_text(f"# mine\n{text}{written}\n", encoding="utf-8")
    with pytest.raises(StudyError) as refused:
        load(path)
    line = text.count("\n") + 2
    assert str(refused.value).startswith(f"{path}:{line}: {told}")
    assert "\n" not in str(refused.value)


def test_the_version_of_today_changes_no_id(tmp_path: Path) -> None:
    plans = []
    for head in ("", "version: 1\n"):
        (tmp_path / "study.yaml").write_text(head + SQUEEZENET)
        (tmp_path / "cluster.yaml").write_text(head + ONE_DEVICE)
        plans.append(make_plan(load_study(tmp_path / "study.yaml"), load_cluster(tmp_path / "cluster.yaml")))
    without, with_version = plans
    assert [cell.cell.id for cell in without.cells] == [cell.cell.id for cell in with_version.cells]
    assert list(without.stages) == list(with_version.stages)


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        (study_json_schema, {"study": "s", "models": ["onnx-light:squeezenet"]}),
        (cluster_json_schema, {"name": "c", "devices": [{"key": "local"}]}),
    ],
)
def test_a_schema_names_itself_and_knows_the_version(schema: Callable[[], Any], document: dict[str, Any]) -> None:
    found = schema()
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$id"] == f"urn:tvm-sweep:{'study' if 'study' in document else 'cluster'}:1"
    jsonschema.validate(document | {"version": 1}, found)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"version": 2}, found)
