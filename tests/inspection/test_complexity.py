"""Counts of work and memory, against counting by brute force and against published figures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from sweep.inspection.counting.complexity import complexity_of
from sweep.inspection.readers.onnx_graph import read_onnx_graph
from tests.inspection.graphs import graph_of

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
small = st.integers(1, 3)


def _sparse(shape: tuple[int, ...], seed: int, share: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    weight = random.uniform(0.5, 1.5, shape).astype("float32")
    weight[random.random(shape) < share] = 0
    return weight


def _products_of_convolution(data, weight, groups, strides, pads, dilations) -> tuple[int, int]:
    """Every product, and those whose weight is not zero, one by one, as a convolution over padded data takes them."""
    batch, _, height, width = data
    kernel = weight.shape[2:]
    rows, columns = (
        len(range(0, size + before + after - dilation * (length - 1), stride))
        for size, before, after, dilation, length, stride in zip(
            (height, width), pads[:2], pads[2:], dilations, kernel, strides, strict=True
        )
    )
    dense = sparse = 0
    places = itertools.product(range(batch), range(weight.shape[0]), range(rows), range(columns))
    for (_, out, _, _), tap in itertools.product(places, np.ndindex(weight.shape[1:])):
        dense += 1
        sparse += weight[(out, *tap)] != 0
    assert weight.shape[0] % groups == 0
    return dense, int(sparse)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(small, small, st.integers(3, 6), st.integers(3, 6)), small, small, st.tuples(small, small),
    st.tuples(small, small), st.tuples(*[st.integers(0, 2)] * 4), st.tuples(small, small), st.floats(0, 1),
    st.integers(0, 99),
)  # fmt: skip
def test_a_convolution_counts_as_by_brute_force(
    size, groups, filters, kernel, strides, pads, dilations, share, seed
) -> None:
    batch, channels, height, width = size
    reach = [dilation * (length - 1) + 1 for dilation, length in zip(dilations, kernel, strict=True)]
    assume(height + pads[0] + pads[2] >= reach[0] and width + pads[1] + pads[3] >= reach[1])
    weight = _sparse((filters * groups, channels, *kernel), seed, share)
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], group=groups, strides=strides, pads=pads, dilations=dilations, kernel_shape=kernel
    )
    data = (batch, channels * groups, height, width)
    found = complexity_of(graph_of([node], {"x": data}, {"w": weight}))
    expected = _products_of_convolution(data, weight, groups, strides, pads, dilations)
    assert (found.macs_dense, found.macs_sparse) == expected
    assert (found.weights, found.nnz) == (weight.size, int(np.count_nonzero(weight)))


@settings(max_examples=25, deadline=None)
@given(st.lists(small, max_size=2), small, small, small, st.booleans(), st.floats(0, 1), st.integers(0, 99))
def test_a_matrix_product_counts_as_by_brute_force(stack, rows, depth, columns, is_gemm, share, seed) -> None:
    weight = _sparse((columns, depth) if is_gemm else (depth, columns), seed, share)
    stack = () if is_gemm else tuple(stack)
    node = (
        helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)
        if is_gemm
        else helper.make_node("MatMul", ["x", "w"], ["y"])
    )
    found = complexity_of(graph_of([node], {"x": (*stack, rows, depth)}, {"w": weight}))
    products = [
        (weight.T if is_gemm else weight)[at, column] != 0
        for _ in np.ndindex((*stack, rows))
        for column in range(columns)
        for at in range(depth)
    ]
    assert (found.macs_dense, found.macs_sparse) == (len(products), sum(products))


def test_a_transposed_convolution_uses_each_weight_at_each_place_of_its_input() -> None:
    weight = _sparse((4, 3, 2, 2), 0, 0.5)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=2, strides=[2, 2])
    found = complexity_of(graph_of([node], {"x": (2, 4, 5, 6)}, {"w": weight}))
    assert found.macs_dense == 2 * 5 * 6 * weight.size
    assert found.macs_sparse == 2 * 5 * 6 * np.count_nonzero(weight)


def test_recurrent_cells_attention_and_einsum_have_their_products() -> None:
    gates, recurrence = _sparse((1, 20, 3), 1, 0.2), _sparse((1, 20, 5), 2, 0.2)
    cell = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5)
    found = complexity_of(graph_of([cell], {"x": (7, 2, 3)}, {"w": gates, "r": recurrence}))
    assert found.macs_dense == 7 * 2 * (gates.size + recurrence.size)
    assert found.macs_sparse == 7 * 2 * (np.count_nonzero(gates) + np.count_nonzero(recurrence))
    product = helper.make_node("Einsum", ["x", "z"], ["y"], equation="bhid,bhjd->bhij")
    assert complexity_of(graph_of([product], {"x": (2, 3, 4, 5), "z": (2, 3, 6, 5)})).macs_dense == 2 * 3 * 4 * 6 * 5


def test_zeros_of_quantised_weights_are_where_their_zero_point_is() -> None:
    weight = np.array([[[[3]]], [[[0]]]], "uint8")
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    weights = {"q": weight, "s": np.ones(2, "float32"), "z": np.array([3, 7], "uint8")}
    found = complexity_of(graph_of(nodes, {"x": (1, 1, 4, 4)}, weights))
    assert (found.parameters, found.nnz, found.macs_dense, found.macs_sparse) == (2, 1, 32, 16)


def test_a_weight_that_two_layers_share_counts_once_and_its_work_twice() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    found = complexity_of(graph_of(nodes, {"x": (1, 3)}, {"w": np.ones((3, 3), "float32")}))
    assert (found.parameters, found.weights, found.macs_dense) == (9, 9, 18)


def test_memory_peaks_where_most_values_live_at_once() -> None:
    nodes = [
        helper.make_node("Concat", ["x"] * 4, ["wide"], axis=0),  # 4 + 16 numbers
        helper.make_node("Relu", ["wide"], ["relu"]),  # 16 + 16: x is gone
        helper.make_node("Reshape", ["relu", "s"], ["flat"]),  # the same memory
        helper.make_node("ReduceSum", ["flat"], ["y"], keepdims=0),
    ]
    graph = graph_of(nodes, {"x": (1, 4)}, {"s": np.array([16], "int64")})
    assert complexity_of(graph).peak_activation_bytes == 32 * 4
    kept = graph_of([*nodes[:2], helper.make_node("Add", ["relu", "x"], ["y"])], {"x": (1, 4)})
    assert complexity_of(kept).peak_activation_bytes == (4 + 16 + 16) * 4  # x lives on


def test_what_has_no_size_is_not_known() -> None:
    found = complexity_of(graph_of([helper.make_node("Relu", ["x"], ["y"])], {"x": ("n", 4)}))
    assert found.peak_activation_bytes is None


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("resnet50", 25_557_032, 4_089_184_256),  # torchvision's: 25.56 M and 4.09 G
        ("squeezenet", 1_235_496, 349_151_936),
        pytest.param("vgg19", 143_667_240, 19_632_062_464, marks=pytest.mark.slow),  # 143.67 M and 19.63 G
    ],
)
def test_published_figures(name: str, parameters: int, macs: int) -> None:
    found = complexity_of(read_onnx_graph(LIGHT / f"light_{name}.onnx", {}))
    assert (found.parameters, found.macs_dense) == (parameters, macs)
