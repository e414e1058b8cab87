"""A log of trials: lines with their checksum, lines of earlier versions without, and lines that a disk has changed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from sweep.files.line_checksum import with_checksum
from sweep.record.parquet_tables import _trial_rows
from sweep.toolchain.tuning.records.trial_logs import TRIALS, Trial, read_trials

TRIAL = Trial(
    workload="w",
    task="t",
    trial=1,
    tuner="xgb",
    device="here",
    target="{}",
    t=1.0,
    run_secs=(1.5e-06, 1.25e-06),
    error_class=None,
    error=None,
    build_s=0.1,
    measure_s=0.1,
    trace_hash="h",
)


def test_a_time_that_a_disk_has_changed_is_no_trial(tmp_path: Path) -> None:
    folder = tmp_path / "records" / "target" / "xgb-here"
    folder.mkdir(parents=True)
    faster = with_checksum(asdict(TRIAL)).replace("e-06", "e-09", 1)
    lines = [with_checksum(asdict(TRIAL)), faster, json.dumps(asdict(replace(TRIAL, trial=3)))]
    (folder / TRIALS).write_text("".join(f"{line}\n" for line in lines))
    assert json.loads(faster)["run_secs"][0] == 1.5e-09, "it is whole JSON"

    assert [trial.trial for trial in read_trials(folder)] == [1, 3]
    assert [row["trial"] for row in _trial_rows(tmp_path)] == [1, 3]
