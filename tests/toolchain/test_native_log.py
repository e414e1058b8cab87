from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.toolchain.native_log import RECORDS, WORKLOADS, NativeLog, NativeReader, NativeRecord, read_log, write_log
from tests.toolchain.conftest import TARGET, Run, lower


def record(workload: str, trace: str, position: int = 0, seconds: float = 1e-3) -> NativeRecord:
    line = json.dumps([position, [[trace], [seconds], {"kind": "llvm"}, []]])
    return NativeRecord(json.dumps([workload, "text"]), line)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_workloads_are_written_once_and_records_name_them_by_position(tmp_path: Path) -> None:
    write_log([record("a", "1", 7), record("b", "2", 3), record("a", "3")], tmp_path)
    assert [json.loads(line)[0] for line in lines(tmp_path / WORKLOADS)] == ["a", "b"]
    assert [json.loads(line)[0] for line in lines(tmp_path / RECORDS)] == [0, 1, 0]
    reader = NativeReader(tmp_path)
    assert [reader.record(line) for line in (0, 1)] == [record("a", "1"), record("b", "2", 1)]
    write_log([record("b", "2", 3)], tmp_path)
    assert (len(lines(tmp_path / WORKLOADS)), len(lines(tmp_path / RECORDS))) == (1, 1)


def test_a_growing_log_goes_on_where_it_was_torn(tmp_path: Path) -> None:
    log = NativeLog(tmp_path)
    assert [log.add(record("a", "1")), log.add(record("b", "2", 5))] == [0, 1]
    for name in (WORKLOADS, RECORDS):
        with (tmp_path / name).open("a") as file:
            file.write('[0, [["torn')
    assert NativeReader(tmp_path).record(2) is None
    log = NativeLog(tmp_path)
    assert log.records == 2
    assert log.add(record("a", "3", 9)) == 2
    assert NativeReader(tmp_path).record(2) == record("a", "3")


@pytest.mark.parametrize("line", [-1, 1, 99])
def test_a_line_that_is_not_there_is_none(tmp_path: Path, line: int) -> None:
    assert NativeReader(tmp_path / "nowhere").record(line) is None
    write_log([record("a", "1")], tmp_path)
    assert NativeReader(tmp_path).record(line) is None


def test_a_record_without_its_workload_is_none(tmp_path: Path) -> None:
    write_log([record("a", "1")], tmp_path)
    (tmp_path / WORKLOADS).write_text("")
    assert NativeReader(tmp_path).record(0) is None


@pytest.mark.parametrize("name", [WORKLOADS, RECORDS])
def test_a_record_of_which_a_byte_is_no_text_is_none(name: str, tmp_path: Path) -> None:
    write_log([record("a", "1"), record("b", "2")], tmp_path)
    path = tmp_path / name
    path.write_bytes(path.read_bytes().replace(b"a" if name == WORKLOADS else b"1", b"\xff", 1))
    assert [NativeReader(tmp_path).record(line) for line in (0, 1)] == [None, record("b", "2", 1)]
    assert [number for number, _ in read_log(tmp_path)] == [1]


def test_measured_elsewhere_the_schedule_stays_and_times_and_target_are_others() -> None:
    again = record("a", "1").measured([2e-3, 3e-3], {"kind": "llvm", "mcpu": "nehalem"})
    assert again.workload == record("a", "1").workload
    assert json.loads(again.record) == [0, [["1"], [2e-3, 3e-3], {"kind": "llvm", "mcpu": "nehalem"}, []]]


@pytest.mark.tvm
def test_stock_metaschedule_loads_a_log_put_together_from_two(run: Run, small: Path, tmp_path: Path) -> None:
    lower(run, small, tmp_path / "lower", 3)
    for seed in (1, 2):
        folder = str(tmp_path / f"records{seed}")
        made = run(":invent_records", lower_dir=str(tmp_path / "lower"), records_dir=folder, target=TARGET, seed=seed)
        NativeLog(tmp_path / f"records{seed}")  # mends it
    readers = [NativeReader(tmp_path / f"records{seed}") for seed in (1, 2)]
    count = int(made["records"])
    mixed = [readers[line % 2].record(line) for line in reversed(range(count))]
    write_log([one for one in mixed if one is not None], tmp_path / "merged")
    found = run(":stock_database", folder=str(tmp_path / "merged"))
    wanted = run(":stock_database", folder=str(tmp_path / "records1"))
    assert (found["records"], found["target_kinds"]) == (count, ["llvm"] * count)
    assert sorted(found["workloads"]) == sorted(wanted["workloads"])
