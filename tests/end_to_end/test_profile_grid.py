"""A grid under an artificial limit of memory: exactly the expected points fail and are skipped, killed or not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.end_to_end.place import CLUSTER_ALONE, Place

pytest.importorskip("torch")
pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.slow, pytest.mark.timeout(900)]

NET = """
import torch
from torch import nn


def make():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten(), nn.Linear(8, 4))
    return net, {"input": torch.randn(1, 3, 128, 128)}
"""
STUDY = """
study: grid
final: null
models: [{path: "profiled:make", name: net}]
runtimes: [torch]
axes: {batch: [16, 1, 32], mode: [inference, training]}
profile: {observe: [latency, memory], until_first_failure: batch, memory_limit_bytes: 17000000}
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}
"""
LAYER_BYTES = 8 * 128 * 128 * 4
"""Of one sample: 0.5 MB. To infer takes three of them at least, to train nine at most, so that 17 MB hold one sample
that is trained and not 16 that are inferred."""
FIRST_THAT_FAILS = 16
EXPECTED = {
    (mode, variable, batch): "done" if variable == "latency" or batch < FIRST_THAT_FAILS
    else "failed" if batch == FIRST_THAT_FAILS
    else "skipped"
    for mode in ("inference", "training")
    for variable in ("latency", "memory")
    for batch in (1, 16, 32)
}  # fmt: skip


def rows(place: Place) -> pd.DataFrame:
    return pd.read_parquet(place.out / "results.parquet").set_index(["mode", "variable", "batch"])


def status(table: pd.DataFrame) -> dict[tuple[str, str, int], str]:
    """A disturbed latency is measured, which is all that is asked here."""
    return {key: value.replace("tainted", "done") for key, value in table.status.items()}


def test_exactly_the_expected_points_fail_and_are_skipped_also_after_a_kill(tmp_path: Path) -> None:
    place = Place(tmp_path / "place", STUDY, CLUSTER_ALONE.format(engine="inline"))
    place.write("profiled.py", NET)
    running = place.start()
    while running.poll() is None and not place.events("attempt_failed"):  # in mid-grid
        psutil.wait_procs([psutil.Process(running.pid)], timeout=0.2)
    running.kill()
    running.communicate()
    before = place.events("stage_done")

    ended = place.run()

    assert ended.code == 1, ended.err
    table = rows(place)
    assert status(table) == EXPECTED
    failed = table[table.status == "failed"]
    assert set(failed.error_class) == {"OutOfMemory"}
    assert failed.error.str.contains("memory_limit_bytes are 17000000").all()
    assert table.loc[("training", "memory", 32)].error == "batch 16 failed: larger ones are not tried"
    memory = table[(table.index.get_level_values("variable") == "memory") & (table.status == "done")]
    assert (memory.peak_memory_bytes <= 17_000_000).all()
    assert set(memory.peak_memory_method) == {"VmHWM"}
    assert memory.latency_ms_median.isna().all()
    latency = table[table.index.get_level_values("variable") == "latency"]
    assert (latency.latency_ms_median > 0).all()
    done = [event["stage"] for event in place.events("stage_done")]
    assert len(done) == len(set(done)), "nothing was done twice"
    assert len(done) >= len(before)

    events = place.events()
    again = place.run()
    assert (again.code, status(rows(place))) == (1, EXPECTED)
    assert "nothing was executed" in again.out
    assert place.events() == events
