"""A tuner: its trials, what it keeps of them, and what it does when builder or device fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweep.errors import BuildFailed, DeviceLost, MeasureFailed, TuneFailed
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.trial_logs import read_trials
from sweep.toolchain.tuning.space import search_factory
from tests.toolchain.tuning.conftest import ChosenLaboratory, job_of, tuner_at


def steady(number: int) -> list[float]:
    return [1e-3 / number, 1e-3 / number, 5e-3]


@pytest.mark.parametrize("name", ["random", "xgb"])
def test_every_task_gets_its_trials_and_a_trivial_one_gets_one(
    name: str, tasks: list[TuningTask], tmp_path: Path
) -> None:
    told: list[dict[str, object]] = []
    laboratory = ChosenLaboratory(steady)
    result = tuner_at(tmp_path, name).tune(job_of(tasks, name), laboratory, lambda info: told.append(dict(info)))
    by_name = {task["name"]: task for task in result["tasks"]}
    assert {n: t["trials"] for n, t in by_name.items()} == {"dense32": 6, "dense64": 6, "relu": 1}
    assert (result["trials"], result["valid"], result["failed"]) == (13, 13, {})
    assert len(set(laboratory.modules)) == 13
    assert told[-1]["trials"] == told[-1]["trials_total"] == 13
    trials = list(read_trials(tmp_path))
    assert [t.trial for t in trials] == list(range(1, 14))
    assert all(t.build_s == 0.25 and t.measure_s == 0.5 for t in trials)
    assert json.loads(trials[0].target)["mcpu"] == "core-avx2"


def test_the_curve_starts_when_every_task_has_a_time_and_only_falls(tasks: list[TuningTask], tmp_path: Path) -> None:
    result = tuner_at(tmp_path).tune(job_of(tasks), ChosenLaboratory(steady), lambda info: None)
    estimates = [point[2] for point in result["curve"]]
    assert estimates == sorted(estimates, reverse=True)
    assert result["curve"][0][0] >= len(tasks)
    best = {t["name"]: t["screening_s"] * t["weight"] for t in result["tasks"]}
    assert estimates[-1] == pytest.approx(sum(best.values()))


def test_best_is_by_median_and_not_by_mean(tasks: list[TuningTask], tmp_path: Path) -> None:
    """[1, 1, 9] ms beats [2, 2, 2] ms, though its mean is larger."""
    answers = {1: [1e-3, 1e-3, 9e-3]}
    result = tuner_at(tmp_path).tune(
        job_of(tasks[:1]), ChosenLaboratory(lambda n: answers.get(n, [2e-3] * 3)), lambda info: None
    )
    assert result["tasks"][0]["best_s"] == 1e-3


@pytest.mark.parametrize("name", ["random", "xgb"])
def test_the_seed_decides_the_trials(name: str, tasks: list[TuningTask], tmp_path: Path) -> None:
    seen = {}
    for run, seed in (("a", 0), ("b", 0), ("c", 1)):
        tuner_at(tmp_path / run, name, seed).tune(job_of(tasks[:1], name), ChosenLaboratory(steady), lambda info: None)
        seen[run] = [t.trace_hash for t in read_trials(tmp_path / run)]
    assert seen["a"] == seen["b"]
    assert seen["a"] != seen["c"]


def test_tuners_search_differently(tasks: list[TuningTask], tmp_path: Path) -> None:
    hashes = {}
    for name in ("random", "xgb"):
        tuner_at(tmp_path / name, name).tune(job_of(tasks[:2], name), ChosenLaboratory(steady), lambda info: None)
        hashes[name] = [t.trace_hash for t in read_trials(tmp_path / name)]
    assert hashes["random"] != hashes["xgb"]


def test_what_has_its_trials_is_not_tuned_again(tasks: list[TuningTask], tmp_path: Path) -> None:
    tuner_at(tmp_path).tune(job_of(tasks[:1]), ChosenLaboratory(steady), lambda info: None)
    laboratory = ChosenLaboratory(steady)
    result = tuner_at(tmp_path).tune(job_of(tasks), laboratory, lambda info: None)
    assert result["trials"] == laboratory.measured == 7
    assert {t["name"]: t["reused"] for t in result["tasks"]} == {"dense32": True, "dense64": False, "relu": False}


def test_a_larger_budget_continues_from_the_records(tasks: list[TuningTask], tmp_path: Path) -> None:
    tuner_at(tmp_path).tune(job_of(tasks[:1]), ChosenLaboratory(steady), lambda info: None)
    result = tuner_at(tmp_path).tune(job_of(tasks[:1], trials_per_task=10), ChosenLaboratory(steady), lambda info: None)
    assert result["trials"] == 4
    hashes = [t.trace_hash for t in read_trials(tmp_path)]
    assert len(hashes) == len(set(hashes)) == 10


def test_a_total_is_kept(tasks: list[TuningTask], tmp_path: Path) -> None:
    result = tuner_at(tmp_path).tune(job_of(tasks, trials_total=8), ChosenLaboratory(steady), lambda info: None)
    assert result["trials"] == 8


def test_early_stopping_leaves_a_task_that_gets_no_better(tasks: list[TuningTask], tmp_path: Path) -> None:
    """The very first is best: with a patience of 4, rounds of 1, 3 and 3 are all, and none follows on resuming."""
    for expected in (7, 0):
        result = tuner_at(tmp_path).tune(
            job_of(tasks[:1], trials_per_task=30, early_stopping=4),
            ChosenLaboratory(lambda n: [1e-3 if n == 1 else 2e-3]),
            lambda info: None,
        )
        assert result["trials"] == expected


def test_failed_candidates_are_kept_with_their_reason_and_stay_out_of_the_database(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    def answer(number: int) -> list[float] | Exception:
        return MeasureFailed("the worker crashed\nwith SIGSEGV") if number % 2 else steady(number)

    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), ChosenLaboratory(answer), lambda info: None)
    assert (result["trials"], result["valid"], result["failed"]) == (6, 3, {"MeasureFailed": 3})
    failures = [t for t in read_trials(tmp_path) if t.error_class]
    assert [t.error for t in failures] == ["with SIGSEGV"] * 3
    assert all(t.run_secs is None for t in failures)
    records = (tmp_path / "database_tuning_record.json").read_text(encoding="utf-8").splitlines()
    assert len(records) == 3


def test_a_builder_that_never_succeeds_leaves_no_best(tasks: list[TuningTask], tmp_path: Path) -> None:
    laboratory = ChosenLaboratory(steady, build_error=BuildFailed("timed out after 30 s"))
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert (result["valid"], result["failed"], laboratory.measured) == (0, {"BuildFailed": 6}, 0)
    assert result["tasks"][0]["best_s"] is None
    assert result["curve"] == []


def test_a_candidate_that_finds_no_device_is_measured_again(tasks: list[TuningTask], tmp_path: Path) -> None:
    def answer(number: int) -> list[float] | Exception:
        return DeviceLost("gone") if number == 2 else steady(number)

    laboratory = ChosenLaboratory(answer)
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), laboratory, lambda info: None)
    assert (result["trials"], result["valid"], laboratory.measured) == (6, 6, 7)


def test_a_device_that_stays_away_ends_the_stage_and_keeps_what_was_measured(
    tasks: list[TuningTask], tmp_path: Path
) -> None:
    def answer(number: int) -> list[float] | Exception:
        return DeviceLost("gone") if number > 3 else steady(number)

    with pytest.raises(DeviceLost, match="gone"):
        tuner_at(tmp_path).tune(job_of(tasks), ChosenLaboratory(answer), lambda info: None)
    assert sum(t.run_secs is not None for t in read_trials(tmp_path)) == 3
    assert not list(tmp_path.glob("candidates-*"))


def test_a_bug_is_not_a_failed_candidate(tasks: list[TuningTask], tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        tuner_at(tmp_path).tune(
            job_of(tasks[:1]), ChosenLaboratory(lambda n: ZeroDivisionError("bug")), lambda info: None
        )


def test_an_unreadable_task_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{}", encoding="utf-8")
    task = TuningTask("w", "broken", 1, trivial=False, module=broken)
    with pytest.raises(TuneFailed, match="broken: no search is possible"):
        tuner_at(tmp_path / "r").tune(job_of([task]), ChosenLaboratory(steady), lambda info: None)


def test_a_task_without_a_search_fails_alone(
    tasks: list[TuningTask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of whatever class the failure is. Where no task has one, the stage fails with the reason."""
    whole = search_factory.WorkloadSearch

    def refuse_one(name: str, *rest: Any, **more: Any) -> Any:
        if name == "dense32":
            raise IndexError("list index out of range")
        return whole(name, *rest, **more)

    monkeypatch.setattr(search_factory, "WorkloadSearch", refuse_one)
    tuner = tuner_at(tmp_path)
    result = tuner.tune(job_of(tasks), ChosenLaboratory(steady), lambda info: None)
    assert {task["name"]: task["valid"] for task in result["tasks"]} == {"dense32": 0, "dense64": 6, "relu": 1}
    assert (result["failed"], result["tasks"][0]["failed"]) == ({"TuneFailed": 1}, {"TuneFailed": 1})
    assert "dense32: no search is possible: list index out of range; it is not tuned" in caplog.text
    with pytest.raises(TuneFailed, match="dense32: no search is possible: list index"):
        tuner.tune(job_of(tasks[:1]), ChosenLaboratory(steady), lambda info: None)


def test_killed_in_the_middle_it_goes_on_from_its_last_whole_line(tasks: list[TuningTask], tmp_path: Path) -> None:
    tuner_at(tmp_path).tune(job_of(tasks[:1], trials_per_task=4), ChosenLaboratory(steady), lambda info: None)
    for name in ("database_tuning_record.json", "trials.jsonl"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-20])
    (tmp_path / "candidates-left").mkdir()
    result = tuner_at(tmp_path).tune(job_of(tasks[:1]), ChosenLaboratory(steady), lambda info: None)
    assert result["trials"] == 3
    assert not list(tmp_path.glob("candidates-*"))
    assert len(list(read_trials(tmp_path))) == 6


def test_plain_metaschedule_loads_the_database(tasks: list[TuningTask], tmp_path: Path) -> None:
    import tvm
    from tvm.s_tir.meta_schedule.database import JSONDatabase

    tuner_at(tmp_path).tune(job_of(tasks), ChosenLaboratory(steady), lambda info: None)
    database = JSONDatabase(work_dir=str(tmp_path))
    assert len(database) == 13
    module = tvm.ir.load_json(tasks[0].module.read_text(encoding="utf-8"))
    target = tvm.target.Target({"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1})
    record = database.query_tuning_record(module, target, "main")
    assert record is not None
    assert len(record.run_secs) == 3
    schedule = database.query_schedule(module, target, "main")
    assert schedule is not None
    assert str(schedule.mod) != str(module)
