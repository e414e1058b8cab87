"""What is measured in turns, and which pairs that are kept count: without a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

import sweep
from sweep.api.comparing.block_pairs import MeasuredSide
from sweep.api.comparing.in_turns import Contestant, Contestants
from sweep.errors import StudyError
from sweep.running.contract import Engine
from sweep.study.cluster.cluster import Cluster
from tests.api.made_sweep import MadeCell, make_sweep

CLUSTER = "name: here\nengine: inline\ndevices: [{key: here, cores: [-1]}, {key: there, cores: [-1]}]\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    return sweep.load_cluster(tmp_path / "cluster.yaml")


@pytest.mark.parametrize("flushed", [0, 64 << 20])
def test_a_block_is_measured_as_the_cell_was(cluster: Cluster, flushed: int) -> None:
    side = MeasuredSide.of(MadeCell().cell, cluster.devices[0], {}, {"cache_flush_bytes": flushed}, number=7)
    measure = cast("dict[str, Any]", side.options["measure"])
    assert (measure["number"], bool(measure.get("cache_flush"))) == (7, bool(flushed))


def test_cold_and_warm_times_are_not_measured_in_turns(tmp_path: Path, cluster: Cluster) -> None:
    make_sweep(tmp_path / "warm", [MadeCell("xgb")])
    make_sweep(tmp_path / "cold", [MadeCell("none"), MadeCell("xgb", is_flushed=True)])  # other libraries by number
    with pytest.raises(StudyError, match="with caches emptied in one sweep alone"):
        sweep.compare_sweep_dirs_more(tmp_path / "warm", tmp_path / "cold", cluster)


def test_kept_pairs_count_for_the_cell_that_they_are_of(tmp_path: Path, cluster: Cluster) -> None:
    """One library may run on two devices, which are not one machine."""
    log = tmp_path / "turns.jsonl"
    block = {"run_secs": [1e-3] * 3, "number": 1, "conditions": {}, "tainted": []}
    line = {"cell_id": "on here", "contents": ["new", "old"], "blocks": [block, block]}
    other = line | {"contents": ["newer", "old"]}
    log.write_text("".join(f"{json.dumps(each)}\n" for each in (line, line, other)) + '{"cell_id": "on he')
    cells = {}
    for device in cluster.devices:
        side = MeasuredSide.of(MadeCell().cell, device, {}, {})
        cells[f"on {device.key}"] = (Contestant("new", side), Contestant("old", side))

    kept = Contestants(cells, {}, cast("Engine", None), log).paired

    assert {cell: len(pairs.pairs) for cell, pairs in kept.items()} == {"on here": 2}
