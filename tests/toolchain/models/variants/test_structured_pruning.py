"""Filters that go take with them all that hangs on them, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from sweep.errors import ImportFailed
from sweep.toolchain.models.expected_output import run_onnxruntime
from sweep.toolchain.models.variants.settled_onnx import settled_onnx
from sweep.toolchain.models.variants.structured_pruning import masked, pruned
from tests.toolchain.models.variants.small_networks import NETWORKS, network

LEVELS = (0.0, 0.2, 0.45)


def outputs(model: Any, seed: int = 3) -> Any:
    data = np.random.default_rng(seed).standard_normal((1, 3, 8, 8)).astype(np.float32)
    return run_onnxruntime(model.SerializeToString(), {"x": data})[0]


def stored(model: Any) -> dict[str, Any]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def parameters(model: Any) -> int:
    return sum(array.size for array in stored(model).values() if array.dtype.kind == "f")


@pytest.mark.parametrize("method", ["l1", "random"])
@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_left_computes_what_the_whole_one_does_with_zeros(name: str, method: str) -> None:
    model = settled_onnx(network(name))
    whole = outputs(model)
    for level in LEVELS:
        made = pruned(model, level, method, seed=5)
        assert made.parameters == parameters(made.model)
        assert made.share == pytest.approx(level, abs=0.12)
        np.testing.assert_allclose(outputs(made.model), outputs(masked(made)), rtol=1e-4, atol=1e-5)
        assert np.allclose(outputs(made.model), whole, atol=1e-4) == (level == 0)


def test_a_filter_takes_its_scale_its_readers_and_what_it_is_added_to() -> None:
    made = pruned(settled_onnx(network("residual")), 0.4, "l1", seed=0)
    shapes = {name: array.shape for name, array in stored(made.model).items()}
    one, other = shapes["k"][0], shapes["l"][0]
    assert one < 12
    assert other < 16
    assert [shapes[name] for name in "somv"] == [(one,)] * 4
    assert (shapes["l"], shapes["j"], shapes["w"]) == ((other, one, 3, 3), (one, other, 3, 3), (one, 4))


def test_the_smallest_filters_go_first_and_a_larger_level_takes_more_of_them() -> None:
    model = network("plain")
    kernel = next(tensor for tensor in model.graph.initializer if tensor.name == "k")
    scale = np.arange(1, 13, dtype=np.float32)[::-1].reshape(12, 1, 1, 1)
    kernel.CopyFrom(numpy_helper.from_array(np.ones((12, 3, 3, 3), np.float32) * scale, "k"))
    model = settled_onnx(model)
    for level in (0.3, 0.6):
        left = stored(pruned(model, level, "l1", seed=0).model)["k"]
        np.testing.assert_array_equal(left[:, 0, 0, 0], np.arange(12, 12 - len(left), -1))


def test_random_filters_are_those_of_the_seed() -> None:
    model = settled_onnx(network("plain"))
    first, same, other = (stored(pruned(model, 0.5, "random", seed).model)["k"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_every_layer_keeps_two_filters() -> None:
    for name in NETWORKS:
        model = settled_onnx(network(name))
        for level in np.arange(0.9, 0, -0.05):
            try:
                made = pruned(model, float(level), "l1", seed=0)
            except ImportFailed:
                continue
            assert all(len(stored(made.model)[weight]) >= 2 for weight, axis, _ in made.analysis.producers if axis == 0)
            break
        else:
            pytest.fail(f"nothing could be pruned of {name}")


def test_a_part_that_is_cut_off_keeps_a_channel() -> None:
    """The first half of what a layer makes is the smallest, and would go whole."""
    model = network("shuffled")
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "g")
    small = numpy_helper.to_array(weight) * np.repeat([1e-3, 1.0], 15).astype(np.float32).reshape(30, 1, 1, 1)
    weight.CopyFrom(numpy_helper.from_array(small, "g"))
    node = next(node for node in model.graph.node if "g" in node.input)
    node.attribute[0].i = 1
    weight.CopyFrom(numpy_helper.from_array(np.tile(small, (1, 3, 1, 1)), "g"))
    made = pruned(settled_onnx(model), 0.7, "l1", seed=0)
    np.testing.assert_allclose(outputs(made.model), outputs(masked(made)), rtol=1e-4, atol=1e-5)
    assert stored(made.model)["j"].shape[1] >= 1


def test_a_level_that_cannot_be_reached_is_refused_in_a_line() -> None:
    with pytest.raises(ImportFailed, match=r"^prune: at level 0.99 99% of the parameters are to go, and [\d.]+% can: "):
        pruned(settled_onnx(network("plain")), 0.99, "l1", seed=0)


def test_channels_that_an_unknown_operator_takes_stay() -> None:
    model = network("plain")
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type = "LRN"
    node.attribute.add(name="size", i=3, type=2)
    with pytest.raises(ImportFailed, match=r"and 0.0% can"):
        pruned(settled_onnx(model), 0.3, "l1", seed=0)


def test_a_weight_of_two_layers_loses_the_same_in_both() -> None:
    model = network("residual")
    for node in model.graph.node:  # both inner convolutions, of 12 x 12
        node.input[:] = ["l" if name == "j" else name for name in node.input]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    tensors["l"].CopyFrom(numpy_helper.from_array(stored(model)["l"][:12], "l"))
    made = pruned(settled_onnx(model), 0.4, "l1", seed=0)
    np.testing.assert_allclose(outputs(made.model), outputs(masked(made)), rtol=1e-4, atol=1e-5)
    left = stored(made.model)["l"].shape
    assert left[0] == left[1] < 12
