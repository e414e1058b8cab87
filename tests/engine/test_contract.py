"""The contract of `sweep.running.contract`, which every engine passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.final_place import places_of
from sweep.engine.first_row import FirstRow
from sweep.engine.inline import InlineEngine
from sweep.engine.queues import FairQueue
from sweep.planning.kinds import kind_of
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage_id import stage_of
from sweep.planning.stages import final
from sweep.running.contract import Attempt, Done, Failed, Progress
from tests.engine.conftest import RAY_FIRST
from tests.engine.shop import Shop, changed, ends
from tests.networks import write_corrupt

TOLD = {
    "import": ("import_s",),
    "lower": ("functions", "tasks", "target_json", "lower_s"),
    "tune": ("trials", "valid", "tuning_s"),
    "build": ("artifact_bytes", "build_s", "target_json"),
    "measure": ("run_secs", "number", "warmup_secs", "stopped_by", "conditions"),
}
"""What every engine's result of a kind says; further keys are the real ones' alone."""


@pytest.mark.parametrize("shop", RAY_FIRST, indirect=True)
@pytest.mark.parametrize("kind", TOLD)
def test_an_attempt_at_a_stage_of_each_kind_ends_in_one_done(shop: Shop, kind: str) -> None:
    stage = shop.stages(kind)[0]

    (end,) = ends(shop.perform(shop.attempt(stage, number=3)))

    assert isinstance(end, Done), end
    assert (end.stage_id, end.attempt) == (stage.id, 3)
    assert end.seconds >= 0
    assert end.worker
    assert type(end.result) is kind_of(kind).result
    assert not [name for name in TOLD[kind] if getattr(end.result, name) in (None, (), {})]
    if shop.name != "simulated":
        assert end.result.dir is not None or kind in ("tune", "measure")
        assert (shop.sweep_dir / (end.result.files_dir or ".")).is_dir()


def test_a_reference_runtime_is_measured(shop: Shop) -> None:
    (stage,) = (stage for stage in shop.stages("measure") if stage.options["runtime"] == "onnxruntime")

    result = shop.finish(stage)

    assert isinstance(result, Measurement)
    assert len(result.run_secs) == 3


@pytest.mark.parametrize("shop", RAY_FIRST, indirect=True)
def test_the_sentinel_kernel_is_built_once_and_timed_around_each_measurement(shop: Shop) -> None:
    if shop.name == "simulated":
        pytest.skip("it has no device")
    results = [shop.finish(stage) for stage in shop.stages("measure")]
    measured = [result for result in results if isinstance(result, Measurement)]

    assert len(measured) == len(results)
    assert all(len(one.reference_before_s) == len(one.reference_after_s) == 7 for one in measured)
    assert len({one.conditions.get("no_reference_kernel") for one in measured}) == 1
    (kernel,) = (shop.sweep_dir / "artifacts" / "kernel").iterdir()
    assert kernel.name == "here.so"


@pytest.mark.parametrize("shop", RAY_FIRST, indirect=True)
def test_cells_of_any_runtime_take_turns_in_a_final(shop: Shop) -> None:
    """It is asked for side by side, for which the device has too few cores."""
    untuned = [stage for stage in shop.stages("measure") if " none" in stage.label][:2]
    (rival,) = (stage for stage in shop.stages("measure") if stage.options["runtime"] == "onnxruntime")
    inputs, contenders = {}, []
    for number, stage in enumerate((*untuned, rival), start=1):
        needs = {shop.plan.stages[need].kind: need for need in stage.inputs}
        roles = {"import": "import 1"} | ({"build": f"build {number}"} if "build" in needs else {})
        inputs |= {role: needs[kind] for kind, role in roles.items()}
        about = {"cell": stage.id, "measured": "m", "is_compiled": "build" in needs}
        contenders.append({**about, "roles": roles, "options": dict(stage.options)})
    ordered = {role: inputs[role] for role in final.ROLES if role in inputs}
    stage = stage_of(kind_of("final"), final.draft("here", 0.5, contenders, ordered, "tiny", side_by_side=True))
    results = {role: shop.finish(shop.plan.stages[need]) for role, need in ordered.items()}

    (end,) = ends(shop.perform(Attempt(stage, 1, results)))

    assert isinstance(end, Done), end
    assert isinstance(end.result, FinalResult)
    assert [one.failure for one in end.result.contenders] == [None] * 3
    assert end.result.rounds >= 1
    assert all(len(one.run_secs) == 2 * end.result.rounds for one in end.result.timed)
    assert end.result.looks >= (end.result.rounds > 1)
    places = places_of(stage.id, end.result)
    assert not places or min(places[one["cell"]].ratio for one in contenders[:2]) == 1.0
    wanted = "the device is simulated" if shop.name == "simulated" else "here has 1 core"
    assert (end.result.held, (end.result.in_turns_because or "").split(",")[0]) == ("in turns", wanted)
    if shop.name != "simulated":
        assert all(one.conditions["runtime_threads"] == 1 for one in end.result.timed)
        assert len(end.result.reference_s) == max(len(one.heats) for one in end.result.timed)


@pytest.mark.parametrize("name", [pytest.param("inline", marks=pytest.mark.slow), "ray"])
def test_cells_that_are_measured_at_once_take_turns(name: str, request: pytest.FixtureRequest) -> None:
    """But for the one that comes first to a device."""
    shop: Shop = request.getfixturevalue(name)
    first = shop.attempt(shop.stages("measure")[0])
    assert all(isinstance(report, Done) for report in ends(shop.perform(first)))
    attempts = []
    for number, stage in enumerate(shop.stages("measure")[:3]):
        attempt = shop.attempt(stage)
        measure = {**stage.options["measure"], "rounds": 2, "max_repeat": 6, "relative_interval": 1.0}
        attempts.append(replace(attempt, stage=changed(stage, f"turn{number}", measure=measure)))

    reports = ends(shop.perform(*attempts))

    visits = []
    for report in reports:
        assert isinstance(report, Done), report
        assert isinstance(report.result, Measurement)
        blocks = [*report.result.blocks, *report.result.set_aside]
        assert len(blocks) >= 2
        usual = report.result.conditions
        visits += [({**usual, **block.conditions}["at_before"], report.stage_id) for block in blocks]
    assert len({stage for _, stage in sorted(visits)[:3]}) == 3, sorted(visits)
    assert len({stage for _, stage in sorted(visits)[3:6]}) == 3, sorted(visits)


def test_visits_of_the_cell_that_comes_first_to_a_device_go_before_others(
    inline: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(inline.engine, InlineEngine)
    stage = inline.stages("measure")[0]
    monkeypatch.setattr(inline.engine._device(stage.options["device"]), "_first_row", FirstRow())
    kinds: list[str] = []
    submit = FairQueue.submit

    def noted(queue: FairQueue, kind: str, *rest: Any) -> Any:
        kinds.append(kind)
        return submit(queue, kind, *rest)

    monkeypatch.setattr(FairQueue, "submit", noted)
    counts = []
    for number in range(2):
        attempt = inline.attempt(stage)
        (report,) = ends(inline.perform(replace(attempt, stage=changed(stage, f"first{number}"))))
        assert isinstance(report, Done), report
        counts.append(len(kinds))

    assert kinds[0] == "first"
    assert set(kinds[counts[0] :]) == {"visit"}, kinds


def test_attempts_at_once_each_end_once(shop: Shop) -> None:
    first, second = shop.stages("lower")
    (reference,) = (stage for stage in shop.stages("measure") if stage.options["runtime"] == "onnxruntime")
    attempts = [shop.attempt(stage, number) for number, stage in enumerate((first, second, reference), start=5)]

    reports = ends(shop.perform(*attempts))

    assert sorted((report.stage_id, report.attempt) for report in reports) == sorted(
        (attempt.stage.id, attempt.number) for attempt in attempts
    )
    assert all(isinstance(report, Done) for report in reports), reports


def test_nothing_started_nothing_reported(shop: Shop) -> None:
    assert list(shop.engine.poll(0.0)) == []


def test_capacity_names_the_slots_that_hold_several(shop: Shop) -> None:
    assert shop.engine.capacity["compile"] >= 1
    assert shop.engine.capacity["tune"] >= 1


@pytest.mark.parametrize("name", ["inline", "ray"])
def test_an_error_of_the_tree_comes_back_by_its_class(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shop: Shop = request.getfixturevalue(name)
    corrupt = write_corrupt(tmp_path / "corrupt.onnx")
    whole = shop.stages("import")[0]
    stage = replace(whole, id="corrupt0", hints={**whole.hints, "path": str(corrupt)})

    (end,) = ends(shop.perform(Attempt(stage, 1, {})))

    assert isinstance(end, Failed)
    assert (end.error_class, end.stage_id, end.attempt) == ("ImportFailed", "corrupt0", 1)
    assert "corrupt.onnx" in end.error
    assert "\n" not in end.error
    _still_works(shop)


@pytest.mark.parametrize("name", ["inline", "ray"])
def test_a_device_that_is_not_there_is_an_error_of_the_attempt(name: str, request: pytest.FixtureRequest) -> None:
    shop: Shop = request.getfixturevalue(name)
    attempt = shop.attempt(shop.stages("measure")[0])

    (end,) = ends(shop.perform(replace(attempt, stage=changed(attempt.stage, "elsewhere", device="elsewhere"))))

    assert isinstance(end, Failed)
    assert end.error_class == "EngineError"
    assert "'elsewhere'" in end.error
    assert "'here'" in end.error
    _still_works(shop)


def test_a_bug_before_the_work_fails_its_attempt_alone(shop: Shop) -> None:
    """A stage without options cannot be sent to anybody."""
    stage = replace(shop.stages("measure")[0], id="unwritten", options={})

    (end,) = ends(shop.perform(Attempt(stage, 2, {})))

    assert isinstance(end, Failed)
    assert (end.error_class, end.stage_id, end.attempt) == ("Bug", "unwritten", 2)
    assert "KeyError" in end.error
    assert "Traceback" in end.traceback
    _still_works(shop)


@pytest.mark.parametrize("name", ["inline", "ray"])
def test_a_bug_at_work_fails_its_attempt_alone(name: str, request: pytest.FixtureRequest) -> None:
    shop: Shop = request.getfixturevalue(name)
    attempt = shop.attempt(shop.stages("measure")[1])
    stage = changed(attempt.stage, "many", measure={**attempt.stage.options["measure"], "repeat": "many"})

    (end,) = ends(shop.perform(replace(attempt, stage=stage)))

    assert isinstance(end, Failed)
    assert (end.error_class, end.stage_id) == ("Bug", "many")
    assert "sweep/devices" in end.traceback
    _still_works(shop)


@pytest.mark.parametrize("name", [pytest.param("inline", marks=pytest.mark.slow), "ray"])
def test_a_tuner_says_how_far_it_is(name: str, request: pytest.FixtureRequest) -> None:
    shop: Shop = request.getfixturevalue(name)
    attempt = shop.attempt(shop.stages("tune")[1])
    options = {**attempt.stage.options["tuner"]["options"], "min_repeat_ms": 100}
    stage = changed(attempt.stage, "slower", tuner={"name": "random", "options": options})
    stage = replace(stage, hints={**stage.hints, "records": f"{stage.hints['records']}-slower"})

    reports = shop.perform(replace(attempt, stage=stage))

    (end,) = ends(reports)
    assert isinstance(end, Done), end
    progress = [report for report in reports if isinstance(report, Progress)]
    assert progress
    assert {report.stage_id for report in progress} == {"slower"}
    trials = [report.info["trials"] for report in progress]
    assert trials == sorted(trials)
    assert isinstance(end.result, TuneResult)
    assert (end.result.trials or 0) >= max(trials)
    assert end.result.valid


def _still_works(shop: Shop) -> None:
    stage = shop.stages("lower")[0]
    (end,) = ends(shop.perform(shop.attempt(stage, number=9)))
    assert isinstance(end, Done), end
