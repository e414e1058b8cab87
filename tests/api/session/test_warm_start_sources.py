"""Where a warm start takes its records from: the nearest target first, never the sweep's own, and nothing unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.api.session.warm_start_sources import with_warm_start
from sweep.errors import StudyError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from tests.planning import grids

RECORDS = "database_tuning_record.json"


@pytest.fixture
def plan() -> Plan:
    return make_plan(grids.study(tuners=(grids.TUNERS["random"],)), grids.cluster(grids.device("one")))


def write_source(folder: Path, target: dict[str, object] | None) -> Path:
    folder.mkdir(parents=True)
    (folder / RECORDS).write_text("[0, []]\n", encoding="utf-8")
    if target is not None:
        (folder / "trials.jsonl").write_text(json.dumps({"target": json.dumps(target)}) + "\n", encoding="utf-8")
    return folder


def sources_of(plan: Plan) -> list[list[str]]:
    return [list(stage.hints["warm_start"]) for stage in plan.stages.values() if stage.kind == "tune"]


def wanted(plan: Plan) -> dict[str, object]:
    return dict(next(stage.options["target"] for stage in plan.stages.values() if stage.kind == "tune"))


def test_the_nearest_target_comes_first(plan: Plan, tmp_path: Path) -> None:
    target = wanted(plan)
    cores = int(str(target.get("num-cores") or 1))
    far = write_source(tmp_path / "a", {**target, "mcpu": "cortex-a72", "mtriple": "aarch64-linux-gnu"})
    unknown = write_source(tmp_path / "b", None)
    cousin = write_source(tmp_path / "c", {**target, "mcpu": "skylake"})
    sibling = write_source(tmp_path / "d", {**target, "num-cores": cores + 3})
    same = write_source(tmp_path / "e", target)
    told = with_warm_start(plan, [far, unknown, cousin, sibling, same], tmp_path / "sweep")
    for sources in sources_of(told):
        assert sources[:3] == [str(same), str(sibling), str(cousin)]
        assert set(sources[3:]) == {str(far), str(unknown)}


@pytest.mark.parametrize("line", ["[]", "null", "", '{"target": 3}', '{"target": "3"}'])
def test_a_damaged_first_line_tells_no_target(line: str, plan: Plan, tmp_path: Path) -> None:
    damaged = write_source(tmp_path / "a", wanted(plan))
    (damaged / "trials.jsonl").write_text(f"{line}\n", encoding="utf-8")
    (damaged / RECORDS).write_text(f"{line}\n", encoding="utf-8")
    same = write_source(tmp_path / "b", wanted(plan))
    told = with_warm_start(plan, [damaged, same], tmp_path / "sweep")
    assert all(sources == [str(same), str(damaged)] for sources in sources_of(told))


def test_native_is_known_by_its_folder(plan: Plan, tmp_path: Path) -> None:
    """Its records name the CPU that it was resolved to, the study does not."""
    tune = next(stage for stage in plan.stages.values() if stage.kind == "tune")
    resolved = {"kind": "llvm", "mcpu": "rocketlake", "num-cores": 1}
    write_source(tmp_path / "a" / "records" / "another" / "random-d0", resolved)
    same = write_source(tmp_path / "b" / str(tune.hints["records"]), resolved)
    told = with_warm_start(plan, [tmp_path / "a", tmp_path / "b"], tmp_path / "sweep")
    assert all(sources[0] == str(same) for sources in sources_of(told))


def test_a_sweeps_own_records_are_not_a_source(plan: Plan, tmp_path: Path) -> None:
    own = tmp_path / "sweep"
    write_source(own / "records" / "t" / "random-d0", wanted(plan))
    other = write_source(tmp_path / "other" / "records" / "t" / "random-d0", wanted(plan))
    told = with_warm_start(plan, [own, tmp_path / "other"], own)
    assert all(sources == [str(other)] for sources in sources_of(told))


@pytest.mark.parametrize("below", ["", "random-d0", "t/random-d0", "records/t/random-d0"])
def test_a_sweep_a_store_or_one_database(below: str, plan: Plan, tmp_path: Path) -> None:
    source = write_source(tmp_path / "source" / below, None)
    told = with_warm_start(plan, [tmp_path / "source"], tmp_path / "sweep")
    assert sources_of(told)
    assert all(sources == [str(source)] for sources in sources_of(told))


def test_stages_stay_what_they_are(plan: Plan, tmp_path: Path) -> None:
    """A sweep may be resumed with another warm start, or with none."""
    told = with_warm_start(plan, [write_source(tmp_path / "a", None)], tmp_path / "sweep")
    assert list(told.stages) == list(plan.stages)
    for stage_id, stage in told.stages.items():
        before = plan.stages[stage_id]
        assert (stage.id, stage.options, stage.inputs) == (before.id, before.options, before.inputs)
        assert stage.kind == "tune" or stage == before


def test_a_folder_without_records_is_refused(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"--warm-start.*holds no tuning records.*a sweep directory") as refused:
        with_warm_start(plan, [tmp_path], tmp_path / "sweep")
    assert "\n" not in str(refused.value)
