"""Layouts that a study names, against the default: what is done, and which ids it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.api.written_studies.study_document import as_document
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.running.ledger.saved_plan import described_in, saved
from sweep.study.axes import stage_options
from sweep.study.gate import study_of
from sweep.study.spec import Study
from tests.planning.grids import cluster, device
from tests.tflite_files import classifier


def _study(folder: Path, *layouts: str, level: int = 3, model: str = "onnx-light:squeezenet", **more: Any) -> Study:
    axes = {"axes": {"layout": list(layouts)}} if layouts else {}
    document = {"study": "a", "models": [model], "runtimes": ["tvm"], "opt_levels": [level]}
    return study_of(document | axes | more, folder)


def _plan(study: Study) -> Plan:
    return make_plan(study, cluster(device("one")))


def _of_lower(study: Study) -> list[dict[str, Any]]:
    lowered = [dict(stage.options) for stage in _plan(study).stages.values() if stage.kind == "lower"]
    return [{key: options[key] for key in ("layout", "keep_layout") if key in options} for options in lowered]


@pytest.mark.parametrize("level", range(5))
def test_what_is_done_is_new_only_where_a_level_chose_before(tmp_path: Path, level: int) -> None:
    kept = {"keep_layout": True} if level >= 3 else {}
    assert _of_lower(_study(tmp_path, level=level)) == [{"layout": "NCHW"}]
    assert _of_lower(_study(tmp_path, "auto", level=level)) == [{"layout": "NCHW"}]
    assert _of_lower(_study(tmp_path, "as-is", level=level)) == [{"layout": "as-is"}]
    assert _of_lower(_study(tmp_path, "NCHW", level=level)) == [{"layout": "NCHW", **kept}]
    assert _of_lower(_study(tmp_path, "NHWC", level=level)) == [{"layout": "NHWC", **kept}]


@pytest.mark.parametrize("level", range(5))
def test_a_network_with_channels_last_by_nature_is_turned_at_every_level(tmp_path: Path, level: int) -> None:
    (tmp_path / "net.tflite").write_bytes(classifier())
    turned = _of_lower(_study(tmp_path, "NCHW", level=level, model="net.tflite"))
    assert turned == [{"layout": "NCHW", "keep_layout": True}]
    assert _of_lower(_study(tmp_path, level=level, model="net.tflite")) == [{"layout": "NCHW"}]


def test_auto_is_the_work_of_a_study_that_names_none(tmp_path: Path) -> None:
    silent, chosen = _plan(_study(tmp_path)), _plan(_study(tmp_path, "auto"))
    assert list(silent.stages) == list(chosen.stages)
    assert [one.cell.layout for one in (*silent.cells, *chosen.cells)] == ["NCHW", "auto"]


def test_all_of_them_are_cells_of_one_study(tmp_path: Path) -> None:
    plan = _plan(_study(tmp_path, "as-is", "NCHW", "NHWC", "auto"))
    assert [one.cell.layout for one in plan.cells] == ["as-is", "NCHW", "NHWC", "auto"]
    assert len({one.cell.id for one in plan.cells}) == 4
    assert len([stage for stage in plan.stages.values() if stage.kind == "lower"]) == 4


def test_a_rule_names_a_layout_too(tmp_path: Path) -> None:
    ruled = _study(tmp_path, include=[{"layout": "NHWC"}])
    assert _of_lower(ruled) == [{"layout": "NCHW"}, {"layout": "NHWC", "keep_layout": True}]


@pytest.mark.parametrize("layouts", [(), ("NCHW",), ("auto", "NCHW"), ("NHWC",)])
def test_it_means_the_same_written_down_and_in_a_folder(tmp_path: Path, layouts: tuple[str, ...]) -> None:
    study = _study(tmp_path, *layouts)
    again = study_of(as_document(study, tmp_path), tmp_path)
    assert again.described == study.described
    assert list(_plan(again).stages) == list(_plan(study).stages)
    plan = _plan(study)
    described = described_in(saved(study, plan))
    for one in plan.cells:
        expected = stage_options("lower", one.cell.axes, study.described)
        assert stage_options("lower", one.cell.axes, described) == expected
