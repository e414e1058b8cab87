"""A variant is imported like any network: for TVM, for other runtimes, with an expected output of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import sweep
from sweep.errors import ImportFailed
from sweep.files.npz import load_arrays
from sweep.planning.planner import make_plan
from sweep.toolchain.models.network_import import import_network
from tests.planning.grids import cluster
from tests.toolchain.models.variants.small_networks import network

STUDY = """
study: variants
models:
  - {path: net.onnx, name: net}
  - {from: net, prune: {levels: [0.4]}}
  - {from: net-l1-40, sparsify: {levels: [0.75], exclude_first: true}}
  - {from: net, sparsify: {levels: [0.5], scope: network}}
  - {from: net, name: far, prune: {levels: [0.99]}}
axes: {batch: [1, 2]}
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Imports a model of the study at a batch: its folder and its result."""
    folder = tmp_path_factory.mktemp("variants")
    onnx.save(network("residual"), str(folder / "net.onnx"))
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    plan = make_plan(sweep.load_study(folder / "study.yaml"), cluster())
    stages = {stage.label: stage for stage in plan.stages.values() if stage.kind == "import"}

    def import_(name: str, batch: int = 1) -> tuple[Path, dict[str, Any]]:
        stage = stages[f"import {name}" + (f" batch{batch}" if batch > 1 else "")]
        out = folder / stage.id
        if not out.exists():
            out.mkdir()
            (out / "result.json").write_text(json.dumps(import_network(stage.options, stage.hints, out)))
        return out, json.loads((out / "result.json").read_text())

    return import_


def weights(folder: Path) -> dict[str, Any]:
    model = onnx.load(str(folder / "model.onnx"))
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_a_pruned_network_is_smaller_and_was_checked(imported: Any) -> None:
    _, whole = imported("net")
    folder, told = imported("net-l1-40")
    about = told["variant"]
    assert (about["of"], about["step"], about["method"], about["level"]) == ("net", "prune", "l1", 0.4)
    assert about["removed"] == pytest.approx(0.4, abs=0.05)
    assert 0 <= about["max_abs_diff"] < 1e-3
    assert about["filters"] < about["filters_before"]
    assert told["complexity"]["macs_dense"] < whole["complexity"]["macs_dense"]
    assert told["complexity"]["parameters"] == sum(
        array.size for name, array in weights(folder).items() if array.dtype.kind == "f" and name not in ("m", "v")
    )
    assert told["reference"]


def test_the_same_filters_go_at_every_batch(imported: Any) -> None:
    one, two = (weights(imported("net-l1-40", batch)[0]) for batch in (1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in "klj")
    assert load_arrays(imported("net-l1-40", 2)[0] / "inputs.npz")["x"].shape[0] == 2


def test_zeros_are_counted_and_leave_the_first_layer_alone(imported: Any) -> None:
    folder, told = imported("net-l1-40-magnitude-75")
    left = weights(folder)
    assert np.count_nonzero(left["k"]) == left["k"].size
    for name in ("l", "j"):
        assert 1 - np.count_nonzero(left[name]) / left[name].size == pytest.approx(0.75, abs=0.01)
    cost = told["complexity"]
    assert cost["macs_sparse"] < cost["macs_dense"]
    assert cost["nnz"] == sum(np.count_nonzero(left[name]) for name in "kljw")


def test_all_layers_together_lose_the_smallest_weights(imported: Any) -> None:
    before, after = weights(imported("net")[0]), weights(imported("net-magnitude-50")[0])
    names = "kljw"
    values = np.concatenate([before[name].reshape(-1) for name in names])
    kept = np.concatenate([after[name].reshape(-1) for name in names]) != 0
    assert kept.mean() == pytest.approx(0.5, abs=0.01)
    assert np.abs(values[kept]).min() >= np.abs(values[~kept]).max()


def test_a_level_that_cannot_be_reached_fails_in_a_line(imported: Any) -> None:
    with pytest.raises(ImportFailed, match=r"^prune: at level 0\.99 ") as caught:
        imported("far")
    assert "\n" not in str(caught.value)
