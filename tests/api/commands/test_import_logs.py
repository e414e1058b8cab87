"""Several logs at once, all of them or none, into a folder that is theirs."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from sweep.analysis.rows.saved import read_table
from sweep.api.commands import import_logs as import_logs_module
from sweep.api.commands.import_logs import LogSource, import_logs, sources_of
from sweep.errors import RecordError, StudyError
from tests.old_logs import ansor, autotvm, write_log


def test_a_log_is_told_in_numbers(tmp_path: Path) -> None:
    lines = ["# best of", autotvm(1), autotvm(2, number=4), autotvm(3, number=6), autotvm(4, number=6), autotvm(1)]
    log = write_log(tmp_path / "a.log", *lines, autotvm(5, name="dense_pack.x86", arguments=[]))

    done = import_logs([LogSource(log, "rasp4")], tmp_path / "out")

    (told,) = done.logs
    assert (told.tuner, told.lines, told.records, told.workloads) == ("autotvm", 7, 5, 2)
    assert told.failed == {"BuildFailed": 2, "MeasureFailed": 1}
    assert told.left_out == {"comment": 1, "repeated": 1}
    assert (done.records, done.workloads, done.devices) == (5, 2, ["rasp4"])
    assert done.table == str(tmp_path / "out" / "tuning_records.parquet")


def test_devices_meet_in_one_table(tmp_path: Path) -> None:
    one = write_log(tmp_path / "one.log", autotvm(1), autotvm(2), autotvm(9, name="other"))
    two = write_log(tmp_path / "two.log", autotvm(2, costs=(5e-3,), target="llvm"), autotvm(3, name="other", number=4))
    out = tmp_path / "out"

    import_logs([LogSource(one, "one")], out)
    done = import_logs([LogSource(two, "two")], out)

    assert (done.records, done.workloads, done.shared_workloads, done.devices) == (5, 2, 1, ["one", "two"])
    records = pd.read_parquet(out / "tuning_records.parquet")
    times = records[records.task.str.startswith("conv2d")].pivot_table(
        index="trace_hash", columns="device", values="run_secs", aggfunc=lambda lists: lists.iloc[0][0]
    )
    assert times.dropna().to_dict("records") == [{"one": 2.5e-3, "two": 5e-3}]


def test_logs_at_once_are_as_one_after_the_other(tmp_path: Path) -> None:
    sources = [
        LogSource(write_log(tmp_path / "a.log", autotvm(1), autotvm(2)), "one"),
        LogSource(write_log(tmp_path / "b.log", autotvm(2), autotvm(3)), "one"),
        LogSource(write_log(tmp_path / "c.json", ansor(1)), "two"),
    ]
    done = import_logs(sources, tmp_path / "at-once")
    assert [log.left_out for log in done.logs] == [{}, {"repeated": 1}, {}]
    for source in sources:
        import_logs([source], tmp_path / "in-turn")

    assert read_table(tmp_path / "at-once", "records").equals(read_table(tmp_path / "in-turn", "records"))


def test_a_log_that_has_grown_adds_its_new_lines(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.log", autotvm(1))
    import_logs([LogSource(log, "one")], tmp_path / "out")
    write_log(log, autotvm(1), autotvm(2))

    done = import_logs([LogSource(log, "one")], tmp_path / "out")

    assert (done.logs[0].records, done.logs[0].left_out, done.records) == (1, {"imported before": 1}, 2)


@pytest.mark.parametrize("depth", ["out", "a/b/out"])
def test_one_bad_line_and_nothing_is_written(depth: str, tmp_path: Path) -> None:
    good = write_log(tmp_path / "logs" / "good.log", autotvm())
    bad = write_log(tmp_path / "logs" / "bad.log", autotvm(), "{")

    with pytest.raises(StudyError, match=r"bad\.log: line 2"):
        import_logs([LogSource(good, "one"), LogSource(bad, "two")], tmp_path / depth)

    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_one_bad_line_and_an_earlier_import_stays_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_logs([LogSource(write_log(tmp_path / "good.log", autotvm(1)), "one")], out)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    more = write_log(tmp_path / "more.log", autotvm(2), "{")

    with pytest.raises(StudyError, match=r"more\.log: line 2"):
        import_logs([LogSource(more, "one")], out)

    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


def test_a_folder_that_is_in_use_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_logs_module, "_WAIT_S", 0.05)
    out = tmp_path / "out"
    out.mkdir()
    with FileLock(out / "import.lock"), pytest.raises(StudyError, match="--out: is in use by another import"):
        import_logs([LogSource(write_log(tmp_path / "a.log", autotvm()), "one")], out)
    assert [path.name for path in out.iterdir()] == ["import.lock"]


def test_imports_side_by_side_lose_nothing(tmp_path: Path) -> None:
    devices = ["one", "two", "three"]
    for device in devices:
        write_log(tmp_path / f"{device}.log", *(autotvm(tile) for tile in range(1, 40)))
    children = [get_context("fork").Process(target=_import, args=(tmp_path, device)) for device in devices]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=120)
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert read_table(tmp_path / "out", "records")["device"].to_pylist() == sorted(devices * 39)


def _import(folder: Path, device: str) -> None:
    import_logs([LogSource(folder / f"{device}.log", device)], folder / "out")


def test_a_table_that_cannot_be_written_is_made_by_the_next_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = LogSource(write_log(tmp_path / "a.log", autotvm(1)), "one")
    with monkeypatch.context() as patched:
        patched.setattr("pyarrow.parquet.write_table", _full)
        with pytest.raises(RecordError, match="No space left"):
            import_logs([source], tmp_path / "out")

    done = import_logs([source], tmp_path / "out")

    assert done.logs[0].left_out == {"imported before": 1}
    assert read_table(tmp_path / "out", "records").num_rows == 1


def _full(*_: object, **__: object) -> None:
    raise OSError("No space left on device")


# -- arguments --------------------------------------------------------------------------------------------------------


def test_a_device_comes_with_the_log_or_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_log(Path("lr=0.1.log"), autotvm())
    assert sources_of(["a.log", "tx2=b.log", "lr=0.1.log"], "rasp4") == [
        LogSource(Path("a.log"), "rasp4"),
        LogSource(Path("b.log"), "tx2"),
        LogSource(Path("lr=0.1.log"), "rasp4"),
    ]
