from __future__ import annotations

import json
from pathlib import Path

from sweep.toolchain.native_log import RECORDS, NativeRecord
from sweep.toolchain.tuning.records.overlay_records import Configuration, OverlayRecords, folder_of
from sweep.toolchain.tuning.records.trial_logs import read_trials, read_validations

TARGET = json.dumps({"kind": "llvm", "mcpu": "nehalem", "num-cores": 1})
NATIVE = NativeRecord('["workload"]', '[4, [["trace"], [1.0], {"kind": "llvm", "mcpu": "core-avx2"}, []]]')


def candidate(trace: str) -> Configuration:
    return Configuration("ff00", "conv", trace, NATIVE)


def opened(sweep_dir: Path) -> OverlayRecords:
    return OverlayRecords(sweep_dir / folder_of("0123", "a"), "a", TARGET)


def test_what_was_measured_and_what_failed_are_tuning_records(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(candidate("c0"), [2.0, 3.0, 1.0], 0.5, 0.25)
    store.add_failure(candidate("c1"), "BuildFailed", "the trace does not\nfit")
    assert [store.has(candidate(trace)) for trace in ("c0", "c1", "c2")] == [True, True, False]
    assert [opened(tmp_path).has(candidate(trace)) for trace in ("c0", "c1", "c2")] == [True, True, False]
    first, second = read_trials(tmp_path / folder_of("0123", "a"))
    assert (first.origin, first.tuner, first.device, first.target, first.record) == (
        "overlay",
        "overlay",
        "a",
        TARGET,
        0,
    )
    assert (first.median_s, first.build_s, first.measure_s) == (2.0, 0.25, 0.5)
    assert (second.run_secs, second.record, second.error_class, second.error) == (
        None,
        None,
        "BuildFailed",
        "the trace does not fit",
    )
    [line] = (tmp_path / folder_of("0123", "a") / RECORDS).read_text().splitlines()
    assert json.loads(line) == [0, [["trace"], [2.0, 3.0, 1.0], json.loads(TARGET), []]]


def test_a_comparison_counts_before_what_was_measured_once_and_is_remembered(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(candidate("c0"), [1.0], 0.5, 0.25)
    store.add_comparison([candidate("c0"), candidate("c1")], [[3.0, 5.0], [2.0, 2.0]], 1.0)
    assert store.compared("ff00") == [{"c0", "c1"}]
    again = opened(tmp_path)
    assert (again.compared("ff00"), again.compared("other")) == ([{"c0", "c1"}], ())
    again.add(candidate("c2"), [1.0], 0.5, 0.25)
    assert [trial.trial for trial in read_trials(tmp_path / folder_of("0123", "a"))] == [1, 2, 3, 4]
    [validation] = read_validations(tmp_path / folder_of("0123", "a"))
    assert (validation.winner, validation.median_s) == (2, 2.0)
    assert [(one["record"], one["median_s"]) for one in validation.contenders] == [(1, 4.0), (2, 2.0)]
