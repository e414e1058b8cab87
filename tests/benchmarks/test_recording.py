from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.recording import bench_recording


@pytest.mark.slow
@pytest.mark.mlflow
@pytest.mark.parametrize("store", ["sqlite", "http"])
def test_sweeps_with_and_without_mlflow_are_timed_in_turns(
    tmp_path: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bench_recording(tmp_path, cells=100, pairs=2, seconds=0.01, store=store)
    assert [one.is_recorded for one in found] == [True, False, False, True]
    assert all(one.loop_s >= 100 * 0.01 / 16 for one in found)
    assert all(one.wall_s == pytest.approx(one.start_s + one.loop_s + one.end_s) for one in found)
    told = json.loads((tmp_path / f"recording-{store}.json").read_text())
    pairs = [(found[0], found[1]), (found[3], found[2])]
    assert told["ratios"]["wall"] == [on.wall_s / off.wall_s for on, off in pairs]
    assert "with MLflow" in capsys.readouterr().out
