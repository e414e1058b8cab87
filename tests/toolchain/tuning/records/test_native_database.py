"""A records folder of which a disk has damaged a line: that line is lost, and nothing else."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.toolchain.best_records import BestRecords
from sweep.toolchain.native_log import NOTHING, RECORDS, WORKLOADS, NativeReader, read_log
from sweep.toolchain.tuning.job import TuningTask
from sweep.toolchain.tuning.records.record_store import RecordStore
from sweep.toolchain.tuning.records.trial_logs import read_trials, read_validations
from tests.toolchain.tuning.conftest import ChosenLaboratory, job_of, tuner_at

pytestmark = pytest.mark.tvm

Damage = Callable[[bytes], bytes]


@pytest.fixture(scope="session")
def healthy(tasks: list[TuningTask], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six trials each of two workloads, each faster than the one before, and a validation of both."""
    folder = tmp_path_factory.mktemp("healthy")
    tuner = tuner_at(folder)
    tuner.tune(job_of(tasks[:2]), ChosenLaboratory(lambda number: [1e-2 / number] * 3), lambda info: None)
    tuner.close()
    return folder


def spoil(path: Path, number: int, damage: Damage) -> bytes:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number] = damage(lines[number])
    path.write_bytes(b"".join(lines))
    return lines[number]


DAMAGES: dict[str, Damage] = {
    "emptied": lambda line: b"\n",
    "zeros": lambda line: bytes(len(line) - 1) + b"\n",
    "no text": lambda line: line[:20] + b"\xff" + line[21:],
    "cut": lambda line: line[: len(line) // 2] + b"\n",
    "another value": lambda line: b"null\n",
}
IN_RECORDS = DAMAGES | {
    "a workload that is not there": lambda line: b"[99" + line[2:],
    "a wrong letter in the trace": lambda line: line.replace(b"SBlock", b"SBlurb", 1),
}
IN_WORKLOADS = DAMAGES | {"a wrong letter in the module": lambda line: line[:300] + b"?" + line[301:]}


@pytest.mark.parametrize("name", IN_RECORDS)
def test_a_damaged_record_costs_itself(
    name: str, healthy: Path, tasks: list[TuningTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    before = dict(read_log(folder))
    winner = next(one.winner for one in read_validations(folder) if one.workload == tasks[0].workload)
    spoiled = spoil(folder / RECORDS, winner, IN_RECORDS[name])
    with caplog.at_level(logging.WARNING):
        store = RecordStore(folder)
    assert f"line {winner + 1} cannot be read" in caplog.text
    assert (folder / f"{RECORDS}.damaged").read_bytes() == spoiled
    assert dict(read_log(folder)) == {number: one for number, one in before.items() if number != winner}
    assert NativeReader(folder).record(winner) is None
    assert len(store.database) == len(before)
    history = store.of(tasks[0].workload)
    assert (history.trials, history.validation, store.trials) == (5, None, 12)
    store.close()
    caplog.clear()
    assert RecordStore(folder).of(tasks[0].workload).trials == 5
    assert not caplog.text


def test_what_is_lost_is_measured_again(healthy: Path, tasks: list[TuningTask], tmp_path: Path) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    spoil(folder / RECORDS, 4, IN_RECORDS["emptied"])
    result = tuner_at(folder).tune(job_of(tasks[:2]), ChosenLaboratory(lambda number: [5e-3] * 3), lambda info: None)
    assert (result["trials"], len(list(read_trials(folder)))) == (1, 13)
    assert len(list(read_log(folder))) == 12
    assert sum(RecordStore(folder).of(task.workload).trials for task in tasks) == 12


@pytest.mark.parametrize("name", IN_WORKLOADS)
def test_a_damaged_workload_costs_its_records(
    name: str, healthy: Path, tasks: list[TuningTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    first = json.loads((folder / RECORDS).read_text().splitlines()[0])[0]
    trials = list(read_trials(folder))
    lost = next(trial.workload for trial in trials if trial.record == 0)
    spoil(folder / WORKLOADS, first, IN_WORKLOADS[name])
    store = RecordStore(folder)
    assert "cannot be read" in caplog.text
    assert {task.workload: store.of(task.workload).trials for task in tasks[:2]} == {
        task.workload: 0 if task.workload == lost else 6 for task in tasks[:2]
    }
    assert len(list(read_log(folder))) == 6


def test_where_several_workloads_are_damaged_new_ones_get_their_own_numbers(
    healthy: Path, tasks: list[TuningTask], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    for number in range(2):
        spoil(folder / WORKLOADS, number, DAMAGES["emptied"])
    tuner_at(folder).tune(job_of(tasks), ChosenLaboratory(lambda number: [1e-2 / number] * 3), lambda info: None)
    caplog.clear()
    store = RecordStore(folder)
    assert [store.of(task.workload).trials for task in tasks] == [6, 6, 1]
    assert not caplog.text


def test_without_workloads_nothing_is_known_and_the_folder_can_be_used(healthy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    (folder / WORKLOADS).write_bytes(b"")
    store = RecordStore(folder)
    assert (len(store.database), store.trials, store.history) == (12, 12, {})
    assert (folder / RECORDS).read_text().splitlines() == [NOTHING] * 12


@pytest.mark.parametrize("name", IN_WORKLOADS)
def test_a_build_takes_the_other_workloads_from_a_log_that_nobody_has_mended(
    name: str, healthy: Path, tasks: list[TuningTask], tmp_path: Path
) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    (tmp_path / "scratch").mkdir()
    spoil(folder / WORKLOADS, 0, IN_WORKLOADS[name])
    best = BestRecords(folder, tmp_path / "scratch")
    assert len(list(read_log(tmp_path / "scratch"))) == 1
    assert not best.has(tasks[0].workload)


def test_a_damaged_trial_costs_itself(healthy: Path, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    shutil.copytree(healthy, folder)
    spoil(folder / "trials.jsonl", 3, lambda line: line.replace(b'"workload"', b'"workl0ad"'))
    spoil(folder / "trials.jsonl", 5, lambda line: b"[]\n")
    assert len(list(read_trials(folder))) == 10
    assert RecordStore(folder).trials == 12, "numbers are not given twice"
