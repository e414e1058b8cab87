from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import LedgerError
from sweep.planning.planner import make_plan
from sweep.running.ledger.saved_plan import read_plan, restore, saved
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
