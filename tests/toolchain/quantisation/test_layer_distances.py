"""Distances of layers, with all before them quantised and alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.toolchain.models.expected_output import run_onnxruntime
from sweep.toolchain.quantisation.calibration_samples import RandomSamples
from sweep.toolchain.quantisation.layer_distances import Distance, distances, kept_step_by_step, layers_of
from sweep.toolchain.quantisation.qdq_network import quantised
from sweep.toolchain.quantisation.range_table import RangeTable
from tests.toolchain.networks import write_branches
from tests.toolchain.quantisation.networks_with_ranges import calibrated, options

Compared = tuple[Any, RangeTable, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    path = tmp_path_factory.mktemp("layers") / "branches.onnx"
    write_branches(path)
    model, table = calibrated(path)
    return model, table, samples(model)


def samples(model: Any) -> list[dict[str, Any]]:
    return list(RandomSamples(model, {"samples": 3, "seed": 0}, {}, is_calibration=False))


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=9), st.floats(0.01, 10))
def test_a_distance_over_batches_is_that_over_all(values: list[float], noise: float) -> None:
    wanted = np.asarray([*values, 1.0], np.float32)
    found = wanted + np.float32(noise)
    whole, parts = Distance(), Distance()
    whole.add(wanted, found)
    for index in range(len(wanted)):
        parts.add(wanted[index : index + 1], found[index : index + 1])
    assert parts.cosine == pytest.approx(whole.cosine, abs=1e-9)
    assert parts.max_abs == whole.max_abs
    error = float(np.sum((wanted.astype(float) - found) ** 2))
    assert whole.snr_db == pytest.approx(10 * math.log10(float(np.sum(wanted.astype(float) ** 2)) / error))


def test_equal_tensors_have_no_distance() -> None:
    same = Distance()
    same.add(np.ones(3), np.ones(3))
    assert (same.cosine, same.snr_db, same.max_abs) == (0.0, None, 0.0)


def test_the_last_layer_is_as_far_as_the_network(compared: Compared) -> None:
    model, table, batches = compared
    rows = distances(model, table, options(), batches)
    assert [row["layer"] for row in rows] == [layer.name for layer in layers_of(model)]
    assert all(row["is_quantised"] for row in rows)
    product = next(row for row in rows if row["operator"] == "MatMul")
    # Of the logits, which a softmax follows; computed by hand from both networks
    whole = quantised(model, table, options()).model
    graphs = []
    for one, name in ((model, "logits"), (whole, "logits_DequantizeLinear_Output")):
        copy = type(one)()
        copy.CopyFrom(one)
        copy.graph.output[0].name = name
        graphs.append(np.concatenate([run_onnxruntime(copy.SerializeToString(), batch)[0] for batch in batches]))
    wanted, found = (graph.astype(float).ravel() for graph in graphs)
    by_hand = 1 - wanted @ found / np.linalg.norm(wanted) / np.linalg.norm(found)
    assert product["with_before_cosine_distance"] == pytest.approx(by_hand)
    assert product["with_before_max_abs_diff"] == pytest.approx(np.abs(wanted - found).max())


def test_the_first_layer_alone_is_as_with_all_before_it(compared: Compared) -> None:
    model, table, batches = compared
    first = distances(model, table, options(), batches)[0]
    assert first["alone_cosine_distance"] == pytest.approx(first["with_before_cosine_distance"])
    assert first["alone_final_cosine_distance"] > 0


def test_errors_add_up_on_the_way(compared: Compared) -> None:
    model, table, batches = compared
    rows = [row for row in distances(model, table, options(), batches) if row["operator"] == "Conv"][1:]
    further = [row["with_before_cosine_distance"] > row["alone_cosine_distance"] for row in rows]
    assert sum(further) >= 0.8 * len(further)


def test_a_layer_that_stays_float_has_no_distance_of_its_own(compared: Compared) -> None:
    model, table, batches = compared
    first = layers_of(model)[0].name
    row = distances(model, table, options(float32=[first]), batches)[0]
    assert not row["is_quantised"]
    assert "alone_cosine_distance" not in row
    assert row["with_before_cosine_distance"] < 1e-3  # its input may be rounded by another that takes it


def test_keeping_all_layers_leaves_the_light_ones_alone(compared: Compared) -> None:
    model, table, batches = compared
    heavy = [layer.name for layer in layers_of(model) if layer.operator in ("Conv", "MatMul")]
    steps = kept_step_by_step(model, table, options(), batches, heavy, most=len(heavy))
    assert [len(step["kept"]) for step in steps] == list(range(len(heavy) + 1))
    assert steps[-1]["cosine_distance"] < steps[0]["cosine_distance"] / 2
