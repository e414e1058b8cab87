"""What a study file says of the limits that a cell has to keep."""

from __future__ import annotations

from pathlib import Path

import pytest

import sweep
from sweep.errors import StudyError
from sweep.study.gate import study_of
from sweep.study.objective import LIMITED, Objective
from tests.networks import write_tiny


def study(folder: Path, **keys: object) -> sweep.Study:
    return study_of({"study": "s", "models": [str(write_tiny(folder / "tiny.onnx"))], **keys}, folder)


def test_limits_are_read_and_change_no_id(tmp_path: Path) -> None:
    limits = {"build_s": 60.0, "peak_memory_bytes": 60_000_000, "artifact_bytes": 8_000_000}
    asked = study(tmp_path, objective={"minimise": "latency", "subject_to": limits})
    assert asked.objective == Objective("latency", limits)
    cluster = sweep.load_cluster(Path(__file__).parents[2] / "clusters" / "simulated.yaml")
    plain, limited = (sweep.plan(one, cluster) for one in (study(tmp_path), asked))
    assert list(plain.stages) == list(limited.stages)
    assert (plain.objective, limited.objective) == (None, asked.objective)
    assert Objective.from_json(asked.objective.to_json()) == asked.objective


@pytest.mark.parametrize("objective", [None, {}, {"minimise": "latency"}, {"subject_to": None}, {"subject_to": {}}])
def test_no_limit_is_no_objective(tmp_path: Path, objective: object) -> None:
    assert study(tmp_path, objective=objective).objective is None


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ({"subject_to": {"artefact_bytes": 1}}, ["objective.subject_to", "artefact_bytes", "artifact_bytes", *LIMITED]),
        ({"subject_to": {"artifact_bytes": "8 MB"}}, ["artifact_bytes", "8 MB", "a number from 0 on"]),
        ({"subject_to": {"artifact_bytes": -1}}, ["artifact_bytes", "-1", "a number from 0 on"]),
        ({"subject_to": {"artifact_bytes": True}}, ["artifact_bytes", "a number from 0 on"]),
        ({"subject_to": {"artifact_bytes": float("inf")}}, ["artifact_bytes", "a number from 0 on"]),
        ({"minimise": "energy"}, ["objective.minimise", "energy", "latency"]),
    ],
)
def test_what_is_no_limit_is_refused_with_what_is_one(tmp_path: Path, objective: object, words: list[str]) -> None:
    with pytest.raises(StudyError) as caught:
        study(tmp_path, objective=objective)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_saved_study_keeps_it(tmp_path: Path) -> None:
    asked = study(tmp_path, objective={"subject_to": {"artifact_bytes": 8_000_000}})
    again = sweep.load_study(sweep.save_study(asked, tmp_path / "again.yaml") or tmp_path / "again.yaml")
    assert again.objective == asked.objective
