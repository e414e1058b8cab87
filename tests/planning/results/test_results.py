"""Results of stages as JSON: what was written before is read, and what is written is what was written before."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import PlanError
from sweep.planning.kinds import STAGE_KINDS, kind_of
from sweep.planning.results.compiling import BuildResult, ImportResult, LowerResult
from sweep.planning.results.disturbance import Disturbance
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Stage

KINDS = STAGE_KINDS.names()

TASK = {"workload": "e160", "name": "matmul1", "weight": 1, "trivial": False}
TUNED = {
    **TASK,
    "best_s": 7.5e-07,
    "failed": {},
    "flops": 5760.0,
    "gap": 0.03995,
    "near_elsewhere": None,
    "near_here": 4,
    "reused": False,
    "screening_s": 7.2e-07,
    "trials": 4,
    "valid": 4,
}
WHY = {"kind": "others_took", "measured": 0.5, "bound": 0.1, "text": "why"}
TIMES = {"run_secs": [1e-3, 2e-3], "reference_before_s": [8e-3], "reference_after_s": [9e-3], "tainted": [WHY]}
MEASURED = {
    **TIMES,
    "number": 141,
    "warmup_secs": [1e-3],
    "stopped_by": "repeats",
    "reference_best_s": 8e-3,
    "block": 0,
    "output_max_abs_diff": 1e-5,
    "output_cosine_distance": None,
    "conditions": {"host": "h", "cores": [1]},
    "peak_memory_bytes": None,
    "runtime_version": "1.31.1",
    "device_s": 0.5,
}
WRITTEN: dict[str, list[dict[str, Any]]] = {
    "import": [
        {
            "dir": "artifacts/import/cf",
            "import_s": 0.25,
            "inputs": {"x": {"dtype": "float32", "shape": [1, 3]}},
            "operators": {"Conv": 1},
            "outputs": [{"dtype": "float32", "name": "y", "shape": [1, 10]}],
            "params_bytes": 12384,
            "reference": True,
            "reference_error": None,
        }
    ],
    "lower": [
        {
            "dir": "artifacts/lower/af",
            "functions": 4,
            "lower_s": 0.2,
            "target_json": "{}",
            "tasks": [{**TASK, "family": "5f2e"}],
        }
    ],
    "tune": [
        {
            "build_s": 1.1,
            "curve": [[10, 0.9, 3e-06]],
            "failed": {},
            "is_cut_short": False,
            "measure_s": 0.2,
            "naive_trials": 10,
            "records_dir": "records/2b/random-here",
            "search_s": 0.25,
            "tasks": [TUNED],
            "trials": 10,
            "tuning_s": 0.9,
            "utilisation": {"build": 0.6},
            "valid": 10,
            "validate_s": 0.0,
            "warm_started": 0,
        }
    ],
    "build": [
        {
            "artifact_bytes": 64560,
            "build_s": 0.6,
            "dir": "artifacts/build/ae",
            "lib": "lib.so",
            "target_json": "{}",
            "tuned_tasks": 0,
            "tvm_version": "0.27.0",
            "untuned_tasks": 4,
        }
    ],
    "measure": [
        {**MEASURED, "set_aside": [{**TIMES, "block": 1, "stopped_by": "time", "conditions": {}}]},
        {
            **MEASURED,
            "blocks": [{**TIMES, "block": 0, "warmup_secs": [1e-3], "conditions": {"at_before": 2.0}}],
            "set_aside": [],
        },
    ],
    "overlay_layer": [
        {
            "candidates": [
                {"trace_hash": "c0", "run_secs": [1e-6, 2e-6], "build_s": 0.5, "measure_s": 0.1},
                {
                    "trace_hash": "c1",
                    "run_secs": None,
                    "error_class": "BuildFailed",
                    "error": "no",
                    "build_s": None,
                    "measure_s": None,
                },
            ]
        }
    ],
    "overlay_network": [{"merged": [{**MEASURED, "set_aside": []}], "own": [], "failures": {"own": "BuildFailed: no"}}],
}
"""Results as sweeps before this one have them in their ledgers, every key."""


@pytest.mark.parametrize(("kind", "payload"), [(kind, one) for kind, ones in WRITTEN.items() for one in ones])
def test_a_result_of_an_older_sweep_keeps_every_key_and_value(kind: str, payload: dict[str, Any]) -> None:
    result = kind_of(kind).result.of_job(payload)

    assert result.to_json() == payload
    assert type(result).from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize("kind", KINDS)
def test_keys_that_are_missing_null_or_unknown_are_no_trouble(kind: str) -> None:
    of = kind_of(kind).result

    assert of.from_json({}) == of.from_json(dict.fromkeys(of().to_json())) == of.from_json({"unheard_of": 1}) == of()


def test_a_job_that_reports_what_would_be_lost_is_a_bug() -> None:
    with pytest.raises(PlanError, match="BuildResult has no field for what the stage reports: colour, shape"):
        BuildResult.of_job({"lib": "lib.so", "shape": 1, "colour": 2})


def test_a_task_of_an_older_version_is_its_own_family() -> None:
    (task,) = LowerResult.from_json({"tasks": [TASK]}).tasks

    assert (task.family, task.relatives) == ("", "e160")


@pytest.mark.parametrize("kind", KINDS)
def test_made_up_results_vary_with_the_stage_and_come_out_the_same_again(kind: str) -> None:
    options = {"measure": {"repeat": 5}, "candidates": ["c0", "c1"], "rounds": {"merged": 2, "own": 1}}
    stage = Stage("id", kind, options, {}, (), "a stage")

    results = [kind_of(kind).result.fake(stage, 2.5, Random(seed)) for seed in (1, 1, 2)]

    assert results[0] == results[1]
    assert (results[0] != results[2]) == (kind not in ("import", "lower", "tune"))
    assert type(results[0]) is kind_of(kind).result


def test_a_measurement_in_one_go_is_its_only_block() -> None:
    whole = Measurement.from_json(WRITTEN["measure"][0])
    rounds = Measurement.from_json(WRITTEN["measure"][1])

    assert [block.run_secs for block in whole.blocks_that_count] == [(1e-3, 2e-3)]
    assert whole.blocks_that_count[0].tainted == (Disturbance("others_took", 0.5, 0.1, "why"),)
    assert rounds.blocks_that_count == rounds.blocks
    assert Measurement().blocks_that_count == ()


def test_what_a_result_leaves_behind() -> None:
    tuned = TuneResult.from_json(WRITTEN["tune"][0])

    assert (tuned.dir, tuned.files_dir, TuneResult().files_dir) == (None, "records/2b/random-here", None)
    assert ImportResult(dir="d").folder() == "d"
    with pytest.raises(PlanError, match="ImportResult has no folder"):
        ImportResult().folder()


def test_a_replayed_measurement_says_so_and_other_results_do_not_change() -> None:
    assert Measurement(conditions={"host": "h"}).replayed_from("s").conditions == {"host": "h", "replayed_from": "s"}
    assert BuildResult().replayed_from("s") == BuildResult()


def test_an_input_of_another_type_than_the_job_takes_is_refused() -> None:
    assert input_of({"build": BuildResult(lib="x")}, "build", BuildResult).lib == "x"
    with pytest.raises(PlanError, match="needs a build, as BuildResult, and was given LowerResult"):
        input_of({"build": LowerResult()}, "build", BuildResult)
    with pytest.raises(PlanError, match="needs a build, as BuildResult, and was given none"):
        input_of({}, "build", BuildResult)


@given(st.builds(Measurement, run_secs=st.lists(st.floats(1e-9, 1.0)).map(tuple), is_cut_short=st.booleans()))
def test_what_is_written_is_read_back_equal(result: StageResult) -> None:
    assert Measurement.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_an_import_of_an_older_sweep_has_onnx_and_others_say_what_they_have() -> None:
    assert ImportResult.from_json({"dir": "a"}).formats == ("onnx",)
    assert ImportResult.from_json({"dir": "a", "formats": []}).formats == ()
    assert ImportResult.from_json({"dir": "a", "formats": ["tflite"]}).to_json()["formats"] == ["tflite"]


@pytest.mark.parametrize(("run_secs", "median_s"), [((), None), ((3.0, 1.0, 2.0), 2.0), ((4.0, 1.0, 2.0, 3.0), 2.5)])
def test_the_median_of_a_measurement(run_secs: tuple[float, ...], median_s: float | None) -> None:
    assert Measurement(run_secs=run_secs).median_s == median_s
