"""Warm start: what another sweep or a plain MetaSchedule database found is measured first, here and anew."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.rows.tuning_rows import trials_to_near
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.trial_logs import Trial, read_trials
from sweep.toolchain.tvm_loader import load_tvm, resolve_target
from sweep.toolchain.workload_id import workload_id
from tests.toolchain.tuning.conftest import TARGET, ChosenLaboratory, HashLaboratory, job_of, tuner_at

Result = dict[str, Any]


def steady(number: int) -> list[float]:
    return [1e-3] * 3


@pytest.fixture(scope="session")
def task(tasks: list[TuningTask]) -> TuningTask:
    """Named as a sweep names it, by which a native database is understood."""
    module = load_tvm(()).ir.load_json(tasks[0].module.read_text(encoding="utf-8"))
    return replace(tasks[0], workload=workload_id(module))


def tuned(folder: Path, task: TuningTask, name: str = "random", seed: int = 0, **options: object) -> list[Trial]:
    tuner_at(folder, name, seed).tune(job_of([task], name, **options), HashLaboratory(), lambda info: None)
    return list(read_trials(folder))


def warm(
    folder: Path, task: TuningTask, sources: list[Path], name: str = "random", **options: object
) -> tuple[Result, list[Trial]]:
    job = replace(job_of([task], name, **options), warm_start=sources)
    result = tuner_at(folder, name, 9).tune(job, ChosenLaboratory(steady), lambda info: None)
    return result, list(read_trials(folder))


def write_native(folder: Path, task: TuningTask, count: int) -> list[float]:
    """A database as MetaSchedule itself writes it: schedules of its own search strategy, the last one a failure."""
    tvm = load_tvm(("x86",))
    from tvm.s_tir import meta_schedule

    target = resolve_target(dict(TARGET))
    module = tvm.ir.load_json(task.module.read_text(encoding="utf-8"))
    context = meta_schedule.TuneContext(
        mod=module,
        target=target,
        space_generator="post-order-apply",
        search_strategy=meta_schedule.search_strategy.ReplayTrace(),
        num_threads=1,
        rand_state=5,
    )
    folder.mkdir()
    database = meta_schedule.database.JSONDatabase(work_dir=str(folder))
    workload = database.commit_workload(module)
    space = context.generate_design_space()
    context.pre_tuning(count, count, space, database, meta_schedule.cost_model.RandomModel())
    seconds = [(count - number) * 1e-3 for number in range(count - 1)] + [1e10]
    for candidate, each in zip(context.generate_measure_candidates() or (), seconds, strict=True):
        info = meta_schedule.arg_info.ArgInfo.from_entry_func(candidate.sch.mod, remove_preproc=True)
        database.commit_tuning_record(
            meta_schedule.database.TuningRecord(candidate.sch.trace, workload, [each], target, info)
        )
    return seconds


@pytest.mark.parametrize("name", ["random", "xgb"])
def test_the_best_of_another_sweep_are_measured_first_and_anew(name: str, task: TuningTask, tmp_path: Path) -> None:
    known = tuned(tmp_path / "old", task, trials_per_task=12)
    best = sorted(known, key=lambda trial: trial.median_s or 0.0)[:3]
    result, trials = warm(tmp_path / "new", task, [tmp_path / "old"], name)
    seeded = [trial for trial in trials if trial.origin == "warm start"]
    assert trials[:3] == seeded
    assert {trial.trace_hash for trial in seeded} == {trial.trace_hash for trial in best}
    assert all(trial.run_secs == [1e-3] * 3 for trial in trials)
    assert (result["warm_started"], result["trials"]) == (3, 6)
    [told] = result["tasks"]
    assert (told["near_here"], told["near_elsewhere"]) == (1, trials_to_near([trial.median_s for trial in known]))
    assert len({trial.trace_hash for trial in trials}) == 6


def test_several_sources_are_heard_nearest_first_and_six_schedules_at_most(task: TuningTask, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    known = [tuned(folder, task, seed=seed, trials_per_task=8) for seed, folder in enumerate(folders)]
    _, trials = warm(tmp_path / "new", task, folders, trials_per_task=9)
    seeded = [trial.trace_hash for trial in trials if trial.origin == "warm start"]
    assert len(seeded) == 6
    assert set(seeded[:3]) <= {trial.trace_hash for trial in known[0]}
    assert set(seeded[3:]) <= {trial.trace_hash for trial in known[1]}


def test_a_cost_model_begins_with_what_another_device_measured(task: TuningTask, tmp_path: Path) -> None:
    tuned(tmp_path / "old", task, trials_per_task=24)
    options = {"trials_per_task": 8}
    _, cold = warm(tmp_path / "cold", task, [], "xgb", **options)
    _, after = warm(tmp_path / "warm", task, [tmp_path / "old"], "xgb", **options)
    proposed = [{t.trace_hash for t in trials if t.origin == "search"} for trials in (cold, after)]
    assert len(proposed[1] - proposed[0]) > 0


def test_a_plain_metaschedule_database_is_a_source(task: TuningTask, tmp_path: Path) -> None:
    seconds = write_native(tmp_path / "native", task, 5)
    assert seconds[-2] == min(seconds)
    result, trials = warm(tmp_path / "new", task, [tmp_path / "native"])
    seeded = [trial for trial in trials if trial.origin == "warm start"]
    assert result["warm_started"] == len(seeded) == 3
    assert trials[:3] == seeded
    ours = read_records(tmp_path / "new")[:3]
    theirs = read_records(tmp_path / "native")
    positions = [theirs.index(one) for one in ours]
    assert sorted(positions) == [1, 2, 3]  # of five, the failed one left out


def read_records(folder: Path) -> list[str]:
    """What was decided in each record."""
    lines = (folder / "database_tuning_record.json").read_text(encoding="utf-8").splitlines()
    return [json.dumps([decision for _, decision in json.loads(line)[1][0][1]]) for line in lines]


def torn(folder: Path) -> None:
    for name in ("trials.jsonl", "database_tuning_record.json", "database_workload.json"):
        path = folder / name
        path.write_bytes(path.read_bytes()[:-30])


def torn_in_the_middle(folder: Path) -> None:
    path = folder / "trials.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]) + "\n", encoding="utf-8")


def of_another_version(folder: Path) -> None:
    path = folder / "trials.jsonl"
    path.write_text('{"workload": "w", "colour": "red"}\n' + path.read_text(encoding="utf-8"), encoding="utf-8")


def not_ours(folder: Path) -> None:
    for name in ("trials.jsonl", "database_tuning_record.json", "database_workload.json"):
        (folder / name).write_text('[1, 2, 3]\n"text"\n{}\n', encoding="utf-8")


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize("spoil", [torn, torn_in_the_middle, of_another_version, not_ours, gone])
@pytest.mark.parametrize("native", [False, True], ids=["sweep", "native"])
def test_a_source_that_cannot_be_read_does_no_harm(native: bool, spoil: Any, task: TuningTask, tmp_path: Path) -> None:
    tuned(tmp_path / "old", task)
    spoil(tmp_path / "old")
    if native:
        (tmp_path / "old" / "trials.jsonl").unlink(missing_ok=True)
    result, _ = warm(tmp_path / "new", task, [tmp_path / "old"])
    assert (result["trials"], result["valid"]) == (6, 6)


def test_what_a_source_lost_with_a_board_teaches_nothing(task: TuningTask, tmp_path: Path) -> None:
    source = tmp_path / "source"
    trials, log = tuned(source, task), source / "trials.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    lost = json.loads(lines[0]) | {"run_secs": None, "error_class": "DeviceLost", "record": None}
    log.write_text("".join([f"{json.dumps(lost)}\n"] * 5 + lines))
    result, _ = warm(tmp_path / "here", task, [source])
    assert result["tasks"][0]["near_elsewhere"] == trials_to_near([trial.median_s for trial in trials])


def test_a_source_of_other_workloads_does_no_harm(tasks: list[TuningTask], task: TuningTask, tmp_path: Path) -> None:
    tuned(tmp_path / "old", tasks[1])
    result, trials = warm(tmp_path / "new", task, [tmp_path / "old"])
    assert (result["trials"], result["warm_started"]) == (6, 0)
    assert {trial.origin for trial in trials} == {"search"}
