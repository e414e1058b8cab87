from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import LedgerError
from sweep.planning.planner import make_plan
from sweep.running.ledger.saved_plan import models_in, read_plan, restore, saved
from sweep.study.grid import LeftOut
from tests.planning.grids import cluster, model, study

STUDY = study(
    name="kept",
    question="What is kept?",
    models=(replace(model("a"), source="nets/a.onnx"), model("b")),
    layouts=("NCHW", "NHWC"),
    precisions=("float32", "float16"),
    batches=(1, 4),
)


@pytest.fixture
def plan_json(tmp_path: Path) -> dict[str, Any]:
    """The plan of a folder, as JSON has it; `tmp_path` is the folder."""
    (tmp_path / "plan.json").write_text(json.dumps(saved(STUDY, make_plan(STUDY, cluster()))), encoding="utf-8")
    return read_plan(tmp_path)


def test_a_plan_is_read_as_it_was_made(tmp_path: Path, plan_json: dict[str, Any]) -> None:
    plan, kept = make_plan(STUDY, cluster()), restore(tmp_path)
    assert (kept.study, kept.question) == ("kept", "What is kept?")
    assert kept.plan.cells == plan.cells
    assert {cell.cell.id for cell in kept.plan.cells} == {cell.cell.id for cell in plan.cells}
    assert list(kept.plan.stages) == list(plan.stages)
    for stage_id, stage in plan.stages.items():
        found = kept.plan.stages[stage_id]
        assert (found.id, found.kind, found.label, found.inputs) == (stage.id, stage.kind, stage.label, stage.inputs)
    assert kept.plan.naive == plan.naive


def test_each_model_keeps_its_source_and_the_digest_of_its_file(tmp_path: Path, plan_json: dict[str, Any]) -> None:
    """MLflow has the digest as that of the dataset: what runs of one name were of."""
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in "ab"}
    expected = {
        "a": {"source": "nets/a.onnx", "sha256": digests["a"]},
        "b": {"source": "b.onnx", "sha256": digests["b"]},
    }
    assert plan_json["models"] == expected
    assert restore(tmp_path).models == expected


def test_cells_are_written_with_id_name_and_axes(plan_json: dict[str, Any]) -> None:
    [first, *_] = (cell for cell in plan_json["cells"] if cell["layout"] == "NHWC" and cell["batch"] == 4)
    planned = next(p for p in make_plan(STUDY, cluster()).cells if p.cell.id == first["id"])
    assert first["name"] == planned.cell.name
    assert first["stages"] == list(planned.stages)


LEFT_OUT = [
    LeftOut("avx2", "board-1", "the board's CPU lacks avx2"),
    LeftOut("onnxruntime for a", "board-2", """it's "another" host, which has \\ in its name"""),
]


def test_what_was_left_out_is_kept_as_objects(tmp_path: Path) -> None:
    plan = replace(make_plan(STUDY, cluster()), left_out=LEFT_OUT)
    (tmp_path / "plan.json").write_text(json.dumps(saved(STUDY, plan)))

    assert read_plan(tmp_path)["left_out"][0] == {
        "what": "avx2",
        "device": "board-1",
        "reason": "the board's CPU lacks avx2",
    }
    assert restore(tmp_path).plan.left_out == LEFT_OUT


def test_what_an_earlier_version_left_out_is_read(tmp_path: Path, plan_json: dict[str, Any]) -> None:
    """It wrote what Python shows of an object."""
    plan_json["left_out"] = [*map(str, LEFT_OUT), "something else"]
    (tmp_path / "plan.json").write_text(json.dumps(plan_json))

    assert restore(tmp_path).plan.left_out == [*LEFT_OUT, LeftOut("", "", "something else")]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"study": "s"}'])
def test_no_plan_is_an_error_of_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(content, encoding="utf-8")
    with pytest.raises(LedgerError, match=r"no readable plan\.json|is of an earlier version"):
        restore(tmp_path)


def test_a_folder_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"has no readable plan\.json"):
        restore(tmp_path)


BROKEN = [
    (lambda plan: plan.update(version=2), "is of format 2, which a newer version wrote; allowed: up to 1"),
    (lambda plan: plan["cells"][0].update(batch="one"), "`cells[0].batch` is 'one', where a whole number belongs"),
    (lambda plan: plan["cells"][0].update(stages=["x"]), "`cells[0].stages` names 'x', which is no stage there"),
    (lambda plan: plan["cells"][0].update(stages=[]), "`cells[0].stages` is empty"),
    (lambda plan: plan["cells"][0].update(goals=["x"]), "`cells[0].goals` names 'x'"),
    (lambda plan: next(iter(plan["stages"].values())).update(inputs=["x"]), "names 'x', which is no stage there"),
    (lambda plan: next(iter(plan["stages"].values())).update(versions=9), ".versions` is 9, of "),
    (lambda plan: plan.update(models=[]), "`models` is a list, where an object belongs"),
    (lambda plan: plan.update(left_out=[{}]), "`left_out.what` is missing"),
    (lambda plan: plan.update(question=None), "`question` is missing"),
]


@pytest.mark.parametrize(("change", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_what_does_not_belong_is_refused_by_name(
    tmp_path: Path, plan_json: dict[str, Any], change: Any, said: str
) -> None:
    change(plan_json)
    (tmp_path / "plan.json").write_text(json.dumps(plan_json))
    with pytest.raises(LedgerError) as caught:
        restore(tmp_path)
    assert said in str(caught.value)
    assert "newer version" in said or "the same `sweep run` again writes it anew" in str(caught.value)


def test_what_a_newer_version_has_beside_is_left_alone(tmp_path: Path, plan_json: dict[str, Any]) -> None:
    plan_json["newer"] = plan_json["cells"][0]["newer"] = {"x": 1}
    (tmp_path / "plan.json").write_text(json.dumps(plan_json))
    assert restore(tmp_path).study == "kept"


@pytest.mark.parametrize("models", [None, 3, [], {"net": 3}, {"net": None}])
def test_of_damaged_models_a_plan_says_nothing(models: Any) -> None:
    assert models_in({"models": models}) == {}
    assert models_in({}) == {}
    assert models_in({"models": {"net": {"sha256": "0"}, "other": 1}}) == {"net": {"sha256": "0"}}
