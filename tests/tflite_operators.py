"""One small TFLite network for each way in which an operator may be quantised. They are joined to one file by tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.tflite_networks import RELU, SAME, VALID, Byte, Network, Quantised, Table, ints

X, Y, Z = Quantised(0.05, 3), Quantised(0.04, -7), Quantised(0.021, 11)
SHAPE = (1, 6, 6, 4)
Branch = Callable[[Network, int], Sequence[int]]
"""Adds an operator on the int8 tensor of `SHAPE` with the steps `X`; gives its outputs."""

_draw = np.random.default_rng(7)


def _weights(shape: Sequence[int], low: int = -100, high: int = 100) -> Any:
    return _draw.integers(low, high, shape).astype(np.int8)


def _one(
    name: str,
    shape: Sequence[int],
    further: Callable[[Network], Sequence[int]] | None = None,
    options: tuple[str, Table] | None = None,
    quantised: Quantised = X,
    dtype: str = "int8",
) -> Branch:
    """An operator of one output, whose first input is the tensor; further: its other inputs."""

    def add(network: Network, source: int) -> Sequence[int]:
        inputs = [source, *(further(network) if further else ())]
        output = network.tensor(f"{name}_{len(network.tensors)}", shape, dtype, quantised)
        network.operator(name, inputs, [output], options)
        return [output]

    return add


def _several(
    name: str, shapes: Sequence[Sequence[int]], inputs: Callable[[Network, int], Sequence[int]], options: Any
) -> Branch:
    def add(network: Network, source: int) -> Sequence[int]:
        taken = inputs(network, source)
        outputs = [network.tensor(f"{name}_{len(network.tensors)}_{i}", s, "int8", X) for i, s in enumerate(shapes)]
        network.operator(name, taken, outputs, options)
        return outputs

    return add


def _pack(network: Network, source: int) -> Sequence[int]:
    output = network.tensor("PACK", (1, 2, 6, 6, 4), "int8", X)
    network.operator("PACK", [source, source], [output], ("PackOptions", {0: 2, 1: 1}))
    return [output]


def _from_batch(network: Network, source: int) -> Sequence[int]:
    spread = network.tensor("spread", (4, 3, 3, 4), "int8", X)
    blocks = network.constant([2, 2])
    network.operator(
        "SPACE_TO_BATCH_ND",
        [source, blocks, network.constant([(0, 0), (0, 0)])],
        [spread],
        ("SpaceToBatchNDOptions", {}),
    )
    output = network.tensor("BATCH_TO_SPACE_ND", (1, 5, 4, 4), "int8", X)
    crops = network.constant([(1, 0), (0, 2)])
    network.operator("BATCH_TO_SPACE_ND", [spread, blocks, crops], [output], ("BatchToSpaceNDOptions", {}))
    return [output]


def _by_computed_shape(network: Network, source: int) -> Sequence[int]:
    flat, shape = network.tensor("flat", (6, 24), "int8", X), network.tensor("its_shape", (2,), "int32")
    network.operator("RESHAPE", [source, network.constant([6, 24])], [flat], ("ReshapeOptions", {0: ints(6, 24)}))
    network.operator("SHAPE", [flat], [shape], ("ShapeOptions", {0: Byte(2)}))
    output = network.tensor("RESHAPED", (6, 24), "int8", X)
    network.operator("RESHAPE", [source, shape], [output], ("ReshapeOptions", {}))
    return [output]


def _average_pool(window: int, padding: int, shape: Sequence[int]) -> Branch:
    options = {0: Byte(padding), 1: 2, 2: 2, 3: window, 4: window}
    return _one("AVERAGE_POOL_2D", shape, options=("Pool2DOptions", options))


def _conv_weights(network: Network) -> Sequence[int]:
    scales = [0.01, 0.02, 0.005]
    weights = network.constant(_weights((3, 3, 3, 4)), "int8", Quantised(scales, 0, 0))
    bias = network.constant([100, -50, 7], "int32", Quantised([0.05 * scale for scale in scales], 0, 0))
    return [weights, bias]


def _transposed(stride: int, padding: int, size: int) -> Branch:
    def add(network: Network, source: int) -> Sequence[int]:
        shape = network.constant([1, size, size, 3])
        weights = network.constant(_weights((3, 3, 3, 4)), "int8", Quantised([0.01, 0.02, 0.005], 0, 0))
        output = network.tensor(f"TRANSPOSE_CONV_{len(network.tensors)}", (1, size, size, 3), "int8", Quantised(0.3, 4))
        options = {0: Byte(padding), 1: stride, 2: stride}
        network.operator("TRANSPOSE_CONV", [shape, weights, source], [output], ("TransposeConvOptions", options))
        return [output]

    return add


def _prelu_slopes(network: Network) -> Sequence[int]:
    return [network.constant(_weights((1, 1, 4)), "int8", Quantised(0.004, 2))]


def _matmul(is_turned: bool) -> Branch:
    shape = (1, 6, 5, 4) if is_turned else (1, 6, 4, 5)
    return _one(
        "BATCH_MATMUL", (1, 6, 6, 5),
        lambda network: [network.constant(_weights(shape), "int8", Quantised(0.01, 0))],
        ("BatchMatMulOptions", {1: is_turned}), Quantised(0.1, -3),
    )  # fmt: skip


def _dequantised(network: Network, source: int) -> Sequence[int]:
    output = network.tensor("DEQUANTIZE", SHAPE, "float32")
    network.operator("DEQUANTIZE", [source], [output])
    return [output]


def _reshaped_by_itself(network: Network, source: int) -> Sequence[int]:
    shape = network.tensor("shape", (4,), "int32")
    network.operator("SHAPE", [source], [shape], ("ShapeOptions", {0: Byte(2)}))
    output = network.tensor("RESHAPE by itself", SHAPE, "int8", X)
    network.operator("RESHAPE", [source, shape], [output], ("ReshapeOptions", {}))
    return [output]


def _pads(*pads: tuple[int, int]) -> Callable[[Network], Sequence[int]]:
    return lambda network: [network.constant(pads)]


def _numbers(*arrays: Sequence[int]) -> Callable[[Network], Sequence[int]]:
    return lambda network: [network.constant(list(array)) for array in arrays]


OPERATORS: dict[str, Branch] = {
    "pad": _one("PAD", (1, 9, 8, 4), _pads((0, 0), (1, 2), (2, 0), (0, 0))),
    "slice": _one("SLICE", (1, 3, 6, 2), _numbers([0, 2, 0, 1], [1, 3, -1, 2]), ("SliceOptions", {})),
    "strided slice": _one(
        "STRIDED_SLICE", (1, 3, 2, 4), _numbers([0, 0, 1, 0], [1, 6, 5, 4], [1, 2, 2, 1]), ("StridedSliceOptions", {})
    ),
    "split": _several(
        "SPLIT", [(1, 6, 3, 4)] * 2, lambda network, source: [network.constant(2), source], ("SplitOptions", {0: 2})
    ),
    "split into one": _several(
        "SPLIT", [SHAPE], lambda network, source: [network.constant(3), source], ("SplitOptions", {0: 1})
    ),
    "split at sizes": _several(
        "SPLIT_V",
        [(1, 1, 6, 4), (1, 5, 6, 4)],
        lambda network, source: [source, network.constant([1, 5]), network.constant(1)],
        ("SplitVOptions", {0: 2}),
    ),
    "pack": _pack,
    "unpack": _several("UNPACK", [(1, 6, 4)] * 6, lambda _, source: [source], ("UnpackOptions", {0: 6, 1: 1})),
    "transpose": _one("TRANSPOSE", (1, 4, 6, 6), _numbers([0, 3, 1, 2]), ("TransposeOptions", {})),
    "gather": _one("GATHER", (1, 3, 6, 4), _numbers([5, 0, 2]), ("GatherOptions", {0: 1})),
    "space to depth": _one("SPACE_TO_DEPTH", (1, 3, 3, 16), options=("SpaceToDepthOptions", {0: 2})),
    "space to batch": _one(
        "SPACE_TO_BATCH_ND",
        (4, 4, 4, 4),
        lambda network: [network.constant([2, 2]), network.constant([(1, 1), (0, 2)])],
        ("SpaceToBatchNDOptions", {}),
    ),
    "batch to space": _from_batch,
    "prelu": _one("PRELU", SHAPE, _prelu_slopes, quantised=Y),
    "gelu": _one("GELU", SHAPE, options=("GeluOptions", {}), quantised=Y),
    "leaky relu": _one("LEAKY_RELU", SHAPE, options=("LeakyReluOptions", {0: 0.1}), quantised=Y),
    "elu": _one("ELU", SHAPE, quantised=Y),
    "hard swish": _one("HARD_SWISH", SHAPE, options=("HardSwishOptions", {}), quantised=Y),
    "relu": _one("RELU", SHAPE, quantised=X),
    "batch matmul": _matmul(False),
    "batch matmul, turned": _matmul(True),
    "average pool": _average_pool(2, VALID, (1, 3, 3, 4)),
    "average pool, padded": _average_pool(3, SAME, (1, 3, 3, 4)),
    "max pool": _one("MAX_POOL_2D", (1, 3, 3, 4), options=("Pool2DOptions", {0: Byte(SAME), 1: 2, 2: 2, 3: 3, 4: 3})),
    "mean": _one("MEAN", (1, 4), _numbers([1, 2]), ("ReducerOptions", {}), Y),
    "conv": _one(
        "CONV_2D",
        (1, 6, 6, 3),
        _conv_weights,
        ("Conv2DOptions", {0: Byte(SAME), 1: 1, 2: 1, 3: Byte(RELU), 4: 1, 5: 1}),
        Z,
    ),
    "add": _one(
        "ADD", SHAPE, lambda n: [n.constant(_weights((4,)), "int8", Z)], ("AddOptions", {}), Quantised(0.07, 1)
    ),
    "mul": _one(
        "MUL", SHAPE, lambda n: [n.constant(_weights(SHAPE), "int8", Z)], ("MulOptions", {}), Quantised(0.09, 1)
    ),
    "sub": _one(
        "SUB", SHAPE, lambda n: [n.constant(_weights((4,)), "int8", Z)], ("SubOptions", {}), Quantised(0.07, 1)
    ),
    "softmax": _one("SOFTMAX", SHAPE, options=("SoftmaxOptions", {0: 1.0}), quantised=Quantised(1 / 256, -128)),
    "logistic": _one("LOGISTIC", SHAPE, quantised=Quantised(1 / 256, -128)),
    "tanh": _one("TANH", SHAPE, quantised=Quantised(1 / 128, 0)),
    "requantised": _one("QUANTIZE", SHAPE, options=("QuantizeOptions", {}), quantised=Y),
    "reshape by a computed shape": _by_computed_shape,
    "expand dims": _one("EXPAND_DIMS", (1, 6, 6, 1, 4), _numbers([3]), ("ExpandDimsOptions", {})),
    "reshape": _one("RESHAPE", (6, 24), _numbers([6, 24]), ("ReshapeOptions", {0: ints(6, 24)})),
    "reshape by a shape that is computed": _reshaped_by_itself,
    "dequantised": _dequantised,
    "transposed convolution, same": _transposed(2, SAME, 12),
    "transposed convolution, odd size": _transposed(2, SAME, 11),
    "transposed convolution, valid": _transposed(2, VALID, 13),
    "transposed convolution, larger than it reaches": _transposed(3, VALID, 20),
    "maximum": _one("MAXIMUM", SHAPE, lambda n: [n.constant(_weights((4,)), "int8", X)], ("MaximumMinimumOptions", {})),
    "resize nearest": _one(
        "RESIZE_NEAREST_NEIGHBOR", (1, 12, 12, 4), _numbers([12, 12]), ("ResizeNearestNeighborOptions", {})
    ),
    "resize bilinear": _one("RESIZE_BILINEAR", (1, 12, 12, 4), _numbers([12, 12]), ("ResizeBilinearOptions", {})),
}


def joined() -> tuple[bytes, dict[str, slice]]:
    """A file with every operator of the table on one input, and which of its outputs are whose."""
    network, outputs, owners = Network(), [], {}
    source = network.tensor("data", SHAPE, "int8", X)
    for name, branch in OPERATORS.items():
        made = branch(network, source)
        owners[name] = slice(len(outputs), len(outputs) + len(made))
        outputs += made
    return network.written([source], outputs), owners
