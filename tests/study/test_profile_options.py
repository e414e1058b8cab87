"""A profiling grid in a study file: what it says, what follows for the grid and for ids, and what it may not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.study.cluster.cluster import Cluster
from sweep.study.gate import local_cluster, study_of
from sweep.study.profile_options import Profile, ProfilePoint
from sweep.study.spec import Study
from tests.networks import write_tiny

CLUSTER = local_cluster()


def written(folder: Path, **keys: Any) -> Study:
    if not (folder / "tiny.onnx").exists():
        write_tiny(folder / "tiny.onnx")
    return study_of({"study": "s", "models": ["tiny.onnx"], "runtimes": ["tvm", "onnxruntime"], **keys}, folder)


def measured(study: Study, cluster: Cluster = CLUSTER) -> dict[tuple[str, str], dict[str, Any]]:
    """Options of measure stages by runtime and variable."""
    plan = make_plan(study, cluster)
    return {
        (planned.cell.runtime, planned.cell.value("variable")): dict(plan.stages[planned.stages[-1]].options)
        for planned in plan.cells
        if planned.stages
    }


def test_what_is_observed_is_an_axis_and_its_default_changes_no_id(tmp_path: Path) -> None:
    plain = make_plan(written(tmp_path), CLUSTER)
    both = make_plan(written(tmp_path, profile={"observe": ["latency", "memory"]}), CLUSTER)
    assert set(plain.stages) < set(both.stages)
    assert {planned.cell.id for planned in plain.cells} < {planned.cell.id for planned in both.cells}
    alone = make_plan(written(tmp_path, profile={"until_first_failure": "batch"}), CLUSTER)
    assert (set(alone.stages), alone.cells) == (set(plain.stages), plain.cells), "how a run goes on is part of no id"


def test_the_limit_of_memory_is_one_of_points_that_observe_it(tmp_path: Path) -> None:
    study = written(
        tmp_path, profile={"observe": ["latency", "memory"], "memory_limit_bytes": 10**6, "time_limit_s": 2}
    )
    assert study.profile == Profile(None, 10**6, 2.0)
    options = measured(study)
    for runtime in ("tvm", "onnxruntime"):
        assert "memory_limit_bytes" not in options[runtime, "latency"]
        assert ProfilePoint.of(options[runtime, "latency"]) == ProfilePoint(limits={"time_limit_s": 2.0})
        memory = ProfilePoint.of(options[runtime, "memory"])
        assert memory == ProfilePoint("inference", "memory", {"memory_limit_bytes": 1e6, "time_limit_s": 2.0})


def test_what_is_compiled_is_not_trained_and_who_trains_nothing_says_so(tmp_path: Path) -> None:
    study = written(tmp_path, axes={"mode": ["inference", "training"]}, runtimes=["tvm", "onnxruntime", "torch"])
    plan = make_plan(study, CLUSTER)
    modes = {(planned.cell.runtime, planned.cell.value("mode")): planned.refusal for planned in plan.cells}
    assert ("tvm", "training") not in modes
    assert modes["onnxruntime", "training"] == "it trains no network; torch does"
    assert "it opens pt2; the importer onnx leaves onnx" in modes["torch", "training"]
    assert any(left.what == "tvm at mode training" for left in plan.left_out)
    with pytest.raises(StudyError, match="leaves no cell that is compiled"):
        make_plan(written(tmp_path, axes={"mode": ["training"]}), CLUSTER)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"observe": []}, r"profile\.observe"),
        ({"observe": ["energy"]}, r"profile\.observe\[0\].*latency.*memory"),
        ({"observe": ["memory", "memory"]}, r"profile\.observe: has one twice"),
        ({"until_first_failure": "model"}, r"profile\.until_first_failure.*batch"),
        ({"memory_limit_bytes": 0}, r"profile\.memory_limit_bytes"),
        ({"time_limit_s": -1}, r"profile\.time_limit_s"),
        ({"limit": 3}, r"profile\.limit: is not a key here"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path: Path, profile: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message) as told:
        written(tmp_path, profile=profile)
    assert "\n" not in str(told.value)


def test_observe_and_the_axis_are_not_both_said(tmp_path: Path) -> None:
    assert written(tmp_path, axes={"variable": ["memory"]}).choices["variable"] == ("memory",)
    with pytest.raises(StudyError, match=r"profile\.observe: says what axes\.variable says"):
        written(tmp_path, axes={"variable": ["memory"]}, profile={"observe": ["latency"]})
