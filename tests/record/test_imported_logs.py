"""Kept logs only grow, a line keeps its number, and the table is made of them alone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.old_logs import LogReader
from sweep.analysis.rows.saved import read_table
from sweep.errors import RecordError, StudyError
from sweep.record import imported_logs
from sweep.record.imported_logs import ImportedLogs
from sweep.record.schemas import TUNING_RECORDS
from tests.old_logs import ansor, autotvm

LOG = Path("records/one/autotvm.jsonl")


def put(folder: Path, *lines: str, device: str = "one") -> list[str | None]:
    """Import these lines; why each was left out."""
    with ImportedLogs(folder) as kept:
        whole = [f"{line}\n".encode() for line in lines]
        reasons = [kept.of(device, record.tuner).add(line, record) for line, record in LogReader("a").records(whole)]
        kept.save()
    return reasons


def test_what_is_there_is_not_added_again(tmp_path: Path) -> None:
    assert put(tmp_path, autotvm(1), autotvm(2), autotvm(1)) == [None, None, "repeated"]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

    assert put(tmp_path, autotvm(2), autotvm(1)) == ["imported before"] * 2

    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert put(tmp_path, autotvm(2), autotvm(3)) == ["imported before", None]
    assert (tmp_path / LOG).read_text().splitlines() == [autotvm(1), autotvm(2), autotvm(3)]


@given(st.lists(st.lists(st.tuples(st.integers(1, 5), st.sampled_from("ab")), min_size=1, max_size=6), max_size=5))
def test_each_row_points_to_the_line_it_is_made_of(imports: list[list[tuple[int, str]]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        wanted = set()
        for trials in imports:
            for device in "ab":
                lines = [autotvm(tile, number=4 * (tile == 5)) for tile, where in trials if where == device]
                if lines:
                    put(folder, *lines, device=device)
                    wanted |= {(device, line) for line in lines}
        if not wanted:
            return
        table = read_table(folder, "records")
        rows = table.to_pylist()
        pointed = {(row["device"], (folder / row["log"]).read_text().splitlines()[row["trial"]]) for row in rows}
        assert pointed == wanted
        assert len(rows) == len(wanted)
        assert table.schema.equals(TUNING_RECORDS)
        assert all(row["record"] == (row["trial"] if row["run_secs"] else None) for row in rows)


def test_devices_and_tuners_have_a_log_each_and_one_table(tmp_path: Path) -> None:
    put(tmp_path, autotvm())
    put(tmp_path, ansor())
    put(tmp_path, autotvm(), device="two")

    rows = read_table(tmp_path, "records").to_pylist()
    assert [(row["device"], row["tuner"], row["log"]) for row in rows] == [
        ("one", "ansor", "records/one/ansor.jsonl"),
        ("one", "autotvm", "records/one/autotvm.jsonl"),
        ("two", "autotvm", "records/two/autotvm.jsonl"),
    ]
    assert rows[1]["trace_hash"] == rows[2]["trace_hash"]


def test_the_table_is_made_again_of_the_logs(tmp_path: Path) -> None:
    put(tmp_path, autotvm(1), autotvm(2))
    put(tmp_path, ansor(), device="two")
    before = read_table(tmp_path, "records")
    (tmp_path / "tuning_records.parquet").unlink()

    put(tmp_path, autotvm(1))

    assert read_table(tmp_path, "records").equals(before)


def test_rows_become_columns_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported_logs, "_PART", 3)
    put(tmp_path, *(autotvm(tile) for tile in range(1, 9)))
    assert read_table(tmp_path, "records")["trial"].to_pylist() == list(range(8))


def test_what_is_not_saved_leaves_nothing(tmp_path: Path) -> None:
    with ImportedLogs(tmp_path) as kept:
        for line, record in LogReader("a").records([autotvm().encode()]):
            kept.of("one", "autotvm").add(line, record)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, autotvm(1))

    def half_written(source: object, target: object) -> None:
        target.write(b'{"input":')  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", half_written)
    with pytest.raises(RecordError, match=r"autotvm\.jsonl: cannot be written: No space left"):
        put(tmp_path, autotvm(2))
    assert (tmp_path / LOG).read_text().splitlines() == [autotvm(1)]
    assert [path.name for path in (tmp_path / LOG).parent.iterdir()] == [LOG.name]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    put(tmp_path, autotvm(1), autotvm(2))
    (tmp_path / LOG).write_text(f"{autotvm(1)}\n{{\n{autotvm(2)}\n")
    with pytest.raises(StudyError, match=r"records/one/autotvm\.jsonl: line 2: is not JSON"):
        put(tmp_path, autotvm(3))


def test_other_files_below_records_are_no_logs(tmp_path: Path) -> None:
    (tmp_path / "records" / "one").mkdir(parents=True)
    (tmp_path / "records" / "one" / "trials.jsonl").write_text("of a sweep\n")
    put(tmp_path, autotvm())
    assert read_table(tmp_path, "records").num_rows == 1
