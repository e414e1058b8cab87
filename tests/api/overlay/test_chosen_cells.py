"""Which cells of a sweep an overlay is of, by the sweep's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sweep.api.overlay.chosen_cells import Asked, choose
from sweep.errors import StudyError
from sweep.record.parquet_tables import record_rows
from sweep.record.schemas import TUNING_TASKS

USUAL: dict[str, Any] = {
    "model": "net",
    "target": "native",
    "tuner": "xgb",
    "opt_level": 3,
    "layout": "NCHW",
    "precision": "float32",
    "batch": 1,
    "device": "a",
    "runtime": "tvm",
    "workload": "ff00",
    "task": "conv",
    "weight": 1,
}
HASHES = {("native", "a"): "aaaa", ("native", "b"): "bbbb", ("avx2", "a"): "cccc"}


def write(folder: Path, *changes: dict[str, Any]) -> Path:
    rows = []
    for change in changes:
        row = USUAL | change
        place = f"records/{HASHES[row['target'], row['device']]}/{row['tuner']}-{row['device']}"
        rows.append(row | {"cell_id": f"cell of {place}", "cell_name": "", "records_dir": place})
    pq.write_table(pa.Table.from_pylist(rows, schema=TUNING_TASKS), folder / "tuning_tasks.parquet")
    return folder


def record(device: str, tuner: str, target_hash: str, trace: str, origin: str = "search") -> dict[str, Any]:
    name = f"{tuner}-{device}" if origin == "search" else f"overlay@{device}"
    return {
        "device": device,
        "tuner": tuner if origin == "search" else "overlay",
        "log": f"records/{target_hash}/{name}/trials.jsonl",
        "trace_hash": trace,
        "origin": origin,
    }


NOTHING = record_rows([])


def test_records_are_those_of_the_cells_and_of_their_overlay(tmp_path: Path) -> None:
    folder = write(tmp_path, {}, {"device": "b"}, {"target": "avx2"}, {"tuner": "random"})
    choice = choose(folder, NOTHING, Asked(only="target=native,tuner=xgb"))
    assert (choice.devices, choice.target_of) == (["a", "b"], {"a": "aaaa", "b": "bbbb"})
    assert choice.cell_of == {"a": "cell of records/aaaa/xgb-a", "b": "cell of records/bbbb/xgb-b"}
    rows = [
        record("a", "xgb", "aaaa", "kept 1"),
        record("b", "xgb", "bbbb", "kept 2"),
        record("b", "xgb", "bbbb", "kept 3", origin="overlay"),
        record("a", "xgb", "cccc", "of another target"),
        record("a", "random", "aaaa", "of another tuner"),
        record("a", "xgb", "cccc", "of the overlay of another target", origin="overlay"),
    ]
    assert choice.of(record_rows(rows))["trace_hash"].to_pylist() == ["kept 1", "kept 2", "kept 3"]


def test_devices_come_in_the_order_asked_for(tmp_path: Path) -> None:
    choice = choose(write(tmp_path, {}, {"device": "b"}), NOTHING, Asked(keys=["b", "a"]))
    assert choice.devices == ["b", "a"]
    assert choice.axes == {"model": "net", "opt_level": 3, "layout": "NCHW", "precision": "float32", "batch": 1}


@pytest.mark.parametrize(
    ("changes", "asked", "says"),
    [
        ([{"model": "other"}], Asked(), "--model: is needed: there are several models; allowed: net, other"),
        ([{"opt_level": 1}], Asked(), "--opt-level: is needed: there are several opt levels; allowed: 1, 3"),
        ([{"batch": 4}], Asked(), "--only batch=: is needed: there are several batches; allowed: 1, 4"),
        ([{"target": "avx2"}], Asked(), "a was tuned for several targets; allowed: avx2, native"),
        ([{"model": "other"}], Asked(model="nett"), "did you mean 'net'?"),
        ([{"device": "b"}], Asked(keys=["c"]), "--keys: is not there"),
    ],
)
def test_one_thing_has_to_be_meant(changes: list[dict[str, Any]], asked: Asked, says: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError) as refused:
        choose(write(tmp_path, {}, *changes), NOTHING, asked)
    assert says in str(refused.value)


def test_a_sweep_without_tuned_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="has no tuned cell"):
        choose(write(tmp_path), NOTHING, Asked())
