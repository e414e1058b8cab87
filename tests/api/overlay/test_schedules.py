from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa

from sweep.api.overlay.schedules import Schedules
from sweep.toolchain.native_log import NOTHING, RECORDS, NativeRecord, write_log


def test_a_schedule_that_one_log_has_lost_is_read_from_another(tmp_path: Path) -> None:
    record = NativeRecord('["1", "module"]', json.dumps([0, [[["trace"], []], [1e-3], {"kind": "llvm"}, []]]))
    for device in "ab":
        write_log([record], tmp_path / "records" / device)
    (tmp_path / "records" / "a" / RECORDS).write_text(f"{NOTHING}\n")
    rows = [
        {"workload": "w", "trace_hash": "t", "log": f"records/{device}/trials.jsonl", "record": 0} for device in "ab"
    ]
    found = Schedules(tmp_path, pa.Table.from_pylist(rows))
    assert found.find("w", "t") == record
    assert Schedules(tmp_path, pa.Table.from_pylist(rows[:1])).find("w", "t") is None
    assert found.find("w", "other") is None
