"""Tables and report of a large sweep are written by a process of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import sweep
from sweep.api.session import reporting
from sweep.errors import RecordError
from tests.planning import grids


@pytest.mark.slow
def test_a_process_of_its_own_writes_what_this_one_would_and_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = replace(grids.cluster(grids.device("d0")), engine="simulated", is_mirrored=False)
    ended = sweep.run(grids.study(), place, out=tmp_path / "out")
    written = {
        path.name: path for path in [*ended.sweep_dir.glob("*.parquet"), *(ended.sweep_dir / "report").iterdir()]
    }
    here = {name: path.read_bytes() for name, path in written.items()}
    for path in written.values():
        path.unlink()
    monkeypatch.setattr(reporting, "HERE_UP_TO_CELLS", 0)
    monkeypatch.delattr(reporting, "_write")  # not in this process

    capfd.readouterr()
    reporting.write_report_of(ended.sweep_dir, 10, {}, None)

    assert capfd.readouterr() == ("", "")
    assert {name for name in here if not written[name].is_file()} == {".source"}
    assert written["results.csv"].read_bytes() == here["results.csv"]
    assert written["results.parquet"].read_bytes() == here["results.parquet"]
    for path in (ended.sweep_dir / "report").iterdir():
        path.unlink()
    (ended.sweep_dir / "report").rmdir()
    (ended.sweep_dir / "report").write_text("in the way")
    with pytest.raises(RecordError, match=r"report/results\.csv: cannot be written"):
        reporting.write_report_of(ended.sweep_dir, 10, {}, None)
