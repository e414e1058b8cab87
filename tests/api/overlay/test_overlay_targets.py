from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.api.overlay.chosen_cells import Choice
from sweep.api.overlay.overlay_targets import OverlayTarget, common_workloads, targets_of
from sweep.errors import StudyError
from sweep.planning.results.compiling import ImportResult, LowerResult
from sweep.running.ledger.ledger import FinishedStage, LedgerState
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.gate import load_cluster

AVX2 = {"kind": "llvm", "mcpu": "core-avx2", "num-cores": 1}


def target(key: str, *workloads: str, mcpu: str = "core-avx2") -> OverlayTarget:
    target = AVX2 | {"mcpu": mcpu}
    return OverlayTarget(Device(key, target, 1, (), managed=False), target, "{}", "0123", "", "", frozenset(workloads))


def test_layers_are_those_that_all_devices_have() -> None:
    assert common_workloads([target("a", "x", "y"), target("b", "y", "z")]) == {"y"}


def test_nothing_in_common_is_told_in_a_line() -> None:
    with pytest.raises(StudyError) as refused:
        common_workloads([target("a", "x", "y"), target("b", "z", mcpu="nehalem")])
    told = str(refused.value)
    assert "have no layer in common" in told
    assert "a 2, for core-avx2; b 1, for nehalem" in told
    assert "\n" not in told


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    path = tmp_path / "cluster.yaml"
    path.write_text(
        "{name: lab, engine: inline, tracker: {host: 127.0.0.1, port: 9190, managed: false}, devices: ["
        "{key: a, managed: false, target: {kind: llvm, mcpu: core-avx2}},"
        "{key: b, managed: false, target: {kind: llvm, mcpu: nehalem}}]}"
    )
    return load_cluster(path)


def swept(folder: Path, target: Mapping[str, Any]) -> tuple[Choice, LedgerState]:
    """A folder with one cell, on device a, as far as targets look at it."""
    import pyarrow as pa

    lowered = folder / "artifacts" / "lower" / "l"
    lowered.mkdir(parents=True)
    (lowered / "lowering.json").write_text(json.dumps({"options": {"target": dict(target)}}))
    cells = [{"id": "cell", "name": "cell", "stages": ["i", "l"]}]
    (folder / "plan.json").write_text(json.dumps({"study": "s", "cells": cells, "stages": {}}))
    result = {"dir": "artifacts/lower/l", "target_json": json.dumps(dict(target)), "tasks": [{"workload": "x"}]}
    state = LedgerState()
    state.done["i"] = FinishedStage("import", ImportResult(dir="artifacts/import/i"), 1.0, 1, 0.0)
    state.done["l"] = FinishedStage("lower", LowerResult.from_json(result), 1.0, 1, 0.0)
    choice = Choice(["a"], pa.table({}), {}, {"a": "cell"}, {"a": "0123"}, frozenset())
    return choice, state


def test_a_seat_is_the_device_with_the_network_as_it_was_lowered_for_it(tmp_path: Path, cluster: Cluster) -> None:
    choice, state = swept(tmp_path, AVX2)
    [found] = targets_of(tmp_path, choice, cluster, state)
    assert (found.key, found.target, found.lower_dir, found.import_dir) == (
        "a",
        AVX2,
        "artifacts/lower/l",
        "artifacts/import/i",
    )
    assert (found.workloads, found.target_hash) == ({"x"}, "0123")


def test_a_device_that_is_another_by_now_is_refused(tmp_path: Path, cluster: Cluster) -> None:
    choice, state = swept(tmp_path, AVX2)
    older = replace(choice, devices=["b"], cell_of={"b": "cell"}, target_of={"b": "0123"})
    with pytest.raises(StudyError, match="is not the device b that was tuned: the device lacks"):
        targets_of(tmp_path, older, cluster, state)


def test_a_network_that_is_gone_is_told(tmp_path: Path, cluster: Cluster) -> None:
    choice, state = swept(tmp_path, AVX2)
    (tmp_path / "artifacts" / "lower" / "l" / "lowering.json").unlink()
    with pytest.raises(StudyError, match="has no lowered network for a"):
        targets_of(tmp_path, choice, cluster, state)
    with pytest.raises(StudyError, match="has no lowered network any more"):
        targets_of(tmp_path, choice, cluster, LedgerState())


def test_imported_logs_and_pretended_devices_measure_nothing(tmp_path: Path, cluster: Cluster) -> None:
    choice, state = swept(tmp_path, AVX2)
    with pytest.raises(StudyError, match="imported logs have times and no schedules"):
        targets_of(tmp_path, replace(choice, tasks=None), cluster, state)
    with pytest.raises(StudyError, match="measures nothing"):
        targets_of(tmp_path, choice, replace(cluster, engine="simulated"), state)
