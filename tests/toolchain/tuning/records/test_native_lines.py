"""Records are written by the line: the same lines that MetaSchedule writes, and nothing of them is kept in memory."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest

from sweep.toolchain.native_log import RECORDS, WORKLOADS
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.native_database import NativeDatabase
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.space.workload_search import WorkloadSearch
from tests.toolchain.tuning.conftest import HashLaboratory, job_of, tuner_at

pytestmark = pytest.mark.tvm


def test_lines_are_those_of_metaschedule(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Read by it and written anew by it, each line is the same but for the position of its workload."""
    from tvm.s_tir.meta_schedule.database import JSONDatabase

    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    tuner_at(ours).tune(job_of(tasks, trials_per_task=40), HashLaboratory(), lambda info: None)
    theirs.mkdir()
    read, written = JSONDatabase(work_dir=str(ours)), JSONDatabase(work_dir=str(theirs))
    for record in read.get_all_tuning_records():
        written.commit_workload(record.workload.mod)
        written.commit_tuning_record(record)
    contents: list[list[Any]] = []
    for folder in (ours, theirs):
        names = [json.loads(line)[0] for line in (folder / WORKLOADS).read_text().splitlines()]
        lines = (json.loads(line) for line in (folder / RECORDS).read_text().splitlines())
        contents.append(sorted(json.dumps([names[position], content]) for position, content in lines))
    assert contents[0] == contents[1]
    assert len(contents[0]) == 81


def test_a_workload_has_its_line_whoever_opens_the_folder(tasks: list[TuningTask], tmp_path: Path) -> None:
    import tvm

    modules = [tvm.ir.load_json(task.module.read_text(encoding="utf-8")) for task in tasks]
    first = NativeDatabase(tmp_path)
    assert [first.commit_workload(module).position for module in modules[:2]] == [0, 1]
    assert first.commit_workload(modules[0]).position == 0
    first.close()
    again = NativeDatabase(tmp_path)
    assert [again.commit_workload(module).position for module in (modules[1], modules[2], modules[0])] == [1, 2, 0]
    again.close()


def test_a_trial_leaves_a_kilobyte_or_two_and_no_schedule(tasks: list[TuningTask], tmp_path: Path) -> None:
    """Counted by objects, since the size of a process is also that of its heap's gaps."""
    from tvm.s_tir import Schedule
    from tvm.s_tir.meta_schedule.database import TuningRecord
    from tvm.s_tir.schedule import Trace

    def alive() -> dict[str, int]:
        gc.collect()
        kinds = (Schedule, Trace, TuningRecord, WorkloadSearch)
        return {kind.__name__: sum(isinstance(one, kind) for one in gc.get_objects()) for kind in kinds}

    before = alive()
    tuner = tuner_at(tmp_path, "xgb")
    tuner.tune(job_of(tasks[1:2], "xgb", trials_per_task=40), HashLaboratory(), lambda info: None)
    assert tuner.store.trials == 40
    assert len(tuner.store.database._workloads) == 0
    assert alive() == before
    assert isinstance(tuner.store, RecordStore)
