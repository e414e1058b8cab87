"""Small whole TFLite networks for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.tflite_networks import RELU, SAME, Byte, Network, Quantised, ints

_CONV = ("Conv2DOptions", {0: Byte(SAME), 1: 1, 2: 1, 3: Byte(RELU), 4: 1, 5: 1})
_DEPTHWISE = ("DepthwiseConv2DOptions", {0: Byte(SAME), 1: 1, 2: 1, 3: 1, 4: Byte(RELU), 5: 1, 6: 1})
_DENSE = ("FullyConnectedOptions", {})


def _steps(values: Any, axis: int | None = None) -> tuple[Any, Quantised]:
    """Values as int8, and their scales along an axis."""
    others = tuple(i for i in range(values.ndim) if i != axis)
    scales = np.abs(values).max(axis=others, keepdims=True) / 127
    rounded = np.round(values / scales).astype(np.int8)
    return rounded, Quantised(scales.ravel().tolist(), 0, axis or 0)


def classifier(weights: str = "float32", batch: int = 1) -> bytes:
    """A convolution, a depthwise one and a dense layer on floats. weights: float32, float16 or int8."""
    draw = np.random.default_rng(1)
    network = Network()

    def constant(values: Any, axis: int = 0) -> int:
        if weights == "float16":
            half = network.constant(values, "float16")
            whole = network.tensor(f"whole_{half}", values.shape)
            network.operator("DEQUANTIZE", [half], [whole])
            return whole
        if weights == "int8":
            rounded, steps = _steps(values, axis)
            return network.constant(rounded, "int8", steps)
        return network.constant(values, "float32")

    kernels = draw.standard_normal((8, 3, 3, 3)).astype("float32"), draw.standard_normal((1, 3, 3, 8)).astype("float32")
    data = network.tensor("image", (batch, 8, 8, 3), field_7=ints(-1, 8, 8, 3))
    first = network.tensor("first", (batch, 8, 8, 8))
    bias = network.constant(draw.standard_normal(8), "float32")
    network.operator("CONV_2D", [data, constant(kernels[0]), bias], [first], _CONV)
    second = network.tensor("second", (batch, 8, 8, 8))
    network.operator("DEPTHWISE_CONV_2D", [first, constant(kernels[1], 3), bias], [second], _DEPTHWISE)
    mean = network.tensor("mean", (batch, 8))
    network.operator("MEAN", [second, network.constant([1, 2])], [mean], ("ReducerOptions", {}))
    scores = network.tensor("scores", (batch, 5))
    dense = constant(draw.standard_normal((5, 8)).astype("float32"))
    network.operator("FULLY_CONNECTED", [mean, dense, -1], [scores], _DENSE)
    return network.written([data], [scores])


def integer_convolutions() -> bytes:
    """Integers throughout: a convolution, a depthwise one, their sum, a pad, a convolution, a mean."""
    draw, network = np.random.default_rng(5), Network()
    data = network.tensor("image", (1, 8, 8, 4), "int8", Quantised(0.05, 3))

    def weights(shape: Sequence[int], axis: int, step: float) -> list[int]:
        scales = [0.01 + 0.001 * channel for channel in range(shape[axis])]
        kernel = network.constant(draw.integers(-100, 100, shape).astype(np.int8), "int8", Quantised(scales, 0, axis))
        steps = Quantised([step * scale for scale in scales], 0, 0)
        return [kernel, network.constant(draw.integers(-500, 500, shape[axis]), "int32", steps)]

    first = network.tensor("first", (1, 8, 8, 8), "int8", Quantised(0.1, -4))
    network.operator("CONV_2D", [data, *weights((8, 3, 3, 4), 0, 0.05)], [first], _CONV)
    second = network.tensor("second", (1, 8, 8, 8), "int8", Quantised(0.2, 5))
    network.operator("DEPTHWISE_CONV_2D", [first, *weights((1, 3, 3, 8), 3, 0.1)], [second], _DEPTHWISE)
    total = network.tensor("total", (1, 8, 8, 8), "int8", Quantised(0.3, 0))
    network.operator("ADD", [first, second], [total], ("AddOptions", {}))
    padded = network.tensor("padded", (1, 10, 10, 8), "int8", Quantised(0.3, 0))
    network.operator("PAD", [total, network.constant([[0, 0], [1, 1], [1, 1], [0, 0]])], [padded], ("PadOptions", {}))
    third = network.tensor("third", (1, 8, 8, 6), "int8", Quantised(0.5, 0))
    valid = ("Conv2DOptions", {0: Byte(1), 1: 1, 2: 1, 4: 1, 5: 1})
    network.operator("CONV_2D", [padded, *weights((6, 3, 3, 8), 0, 0.3)], [third], valid)
    mean = network.tensor("mean", (1, 6), "int8", Quantised(0.1, 0))
    network.operator("MEAN", [third, network.constant([1, 2])], [mean], ("ReducerOptions", {}))
    return network.written([data], [mean])


def quantised(dtype: str = "int8") -> bytes:
    """A dense layer of integers between integers, and its output as floats beside it."""
    network = Network()
    zero = 0 if dtype == "int8" else 128
    weights = np.random.default_rng(2).integers(-100, 100, (4, 16)).astype(np.int8)
    data = network.tensor("pixels", (1, 16), "int8", Quantised(0.02, 5))
    source = data
    if dtype != "int8":
        source = network.tensor("pixels as uint8", (1, 16), dtype, Quantised(0.02, zero + 5))
        network.operator("QUANTIZE", [source], [data], ("QuantizeOptions", {}))
    scores = network.tensor("scores", (1, 4), "int8", Quantised(0.11, -9))
    inputs = [
        data,
        network.constant(weights, "int8", Quantised(0.01)),
        network.constant([9, 0, -9, 1], "int32", Quantised(0.0002)),
    ]
    network.operator("FULLY_CONNECTED", inputs, [scores], _DENSE)
    numbers = network.tensor("numbers", (1, 4))
    network.operator("DEQUANTIZE", [scores], [numbers])
    return network.written([source], [scores, numbers])


def sparse(dtype: str, blocks: bool = False) -> bytes:
    """A dense layer whose weights are stored without their zeros, half of them; with blocks of 4 along the inputs."""
    whole = np.zeros((6, 8), np.float32)
    draw = np.random.default_rng(3)
    network = Network()
    if blocks:
        kept = [(0, 1), (2, 0), (2, 1), (5, 0)]  # rows, and blocks of columns
        for row, block in kept:
            whole[row, 4 * block : 4 * block + 4] = draw.standard_normal(4)
        stored = np.concatenate([whole[row, 4 * block : 4 * block + 4] for row, block in kept])
        starts, columns = [0, 1, 1, 3, 3, 3, 4], [block for _, block in kept]
        sparsity = {0: ints(0, 1, 2), 1: ints(1), 2: [_full(6), _few(starts, columns), _full(4)]}
    else:
        whole[draw.random((6, 8)) < 0.5] = 1.5
        whole *= draw.standard_normal((6, 8)).astype(np.float32)
        stored = whole[whole != 0]
        counts = (whole != 0).sum(1)
        starts, columns = [0, *np.cumsum(counts).tolist()], np.nonzero(whole)[1].tolist()
        sparsity = {0: ints(0, 1), 2: [_full(6), _few(starts, columns)]}
    values = network.tensor("stored", (6, 8), dtype, None, stored.astype(dtype), field_6=sparsity)
    weights = network.tensor("dense", (6, 8), dtype)
    network.operator("DENSIFY", [values], [weights], ("DensifyOptions", {}))
    if dtype == "float16":
        half, weights = weights, network.tensor("whole", (6, 8))
        network.operator("DEQUANTIZE", [half], [weights])
    data, result = network.tensor("data", (2, 8)), network.tensor("result", (2, 6))
    network.operator("FULLY_CONNECTED", [data, weights, -1], [result], _DENSE)
    return network.written([data], [result])


def _full(size: int) -> dict[int, Any]:
    return {0: Byte(0), 1: size}


def _few(starts: Sequence[int], indices: Sequence[int]) -> dict[int, Any]:
    return {0: Byte(1), 2: Byte(1), 3: {0: ints(*starts)}, 4: Byte(3), 5: {0: np.asarray(indices, np.uint8)}}


def streaming() -> bytes:
    """The last two of four frames are kept from call to call, and what was added up so far; both begin with values of
    the file. What is read after it was assigned, and what is only read, is no state.
    """
    network = Network()
    frames, total = network.tensor("ring", (1,), "resource"), network.tensor("sum", (1,), "resource")
    known, passed = network.tensor("known", (1,), "resource"), network.tensor("passed", (1,), "resource")
    network.operator("CALL_ONCE", [], [], ("CallOnceOptions", {0: 1}))
    for handle, name in ((frames, "ring"), (total, "total"), (known, "known"), (passed, "passed")):
        network.operator("VAR_HANDLE", [], [handle], ("VarHandleOptions", {1: name}))
    data = network.tensor("data", (1, 2, 3))

    def read(handle: int, name: str, shape: Sequence[int]) -> int:
        value = network.tensor(name, shape)
        network.operator("READ_VARIABLE", [handle], [value], ("ReadVariableOptions", {}))
        return value

    def assign(handle: int, value: int) -> None:
        network.operator("ASSIGN_VARIABLE", [handle, value], [], ("AssignVariableOptions", {}))

    before = read(frames, "before", (1, 2, 3))
    both = network.tensor("both", (1, 4, 3))
    network.operator("CONCATENATION", [before, data], [both], ("ConcatenationOptions", {0: 1}))
    kept = network.tensor("kept", (1, 2, 3))
    places = [network.constant(values) for values in ((0, 1, 0), (1, 2, 3))]
    network.operator("SLICE", [both, *places], [kept], ("SliceOptions", {}))
    assign(frames, kept)
    mean = network.tensor("mean", (1, 3))
    network.operator("MEAN", [both, network.constant([1])], [mean], ("ReducerOptions", {}))
    more = network.tensor("more", (1, 3))
    network.operator("ADD", [read(total, "so far", (1, 3)), mean], [more], ("AddOptions", {}))
    assign(total, more)
    assign(passed, mean)
    scaled, result = network.tensor("scaled", (1, 3)), network.tensor("result", (1, 3))
    again = read(passed, "again", (1, 3))
    network.operator("MUL", [read(known, "factor", (1, 3)), again], [scaled], ("MulOptions", {}))
    network.operator("ADD", [read(total, "now", (1, 3)), scaled], [result], ("AddOptions", {}))

    first = Network(codes=network.codes, buffers=network.buffers)
    for name, values in (("ring", np.ones((1, 2, 3))), ("total", [[1, 2, 3]]), ("known", [[2, -1, 0.5]])):
        handle = first.tensor(name, (1,), "resource")
        first.operator("VAR_HANDLE", [], [handle], ("VarHandleOptions", {1: name}))
        value = first.constant(values, "float32")
        first.operator("ASSIGN_VARIABLE", [handle, value], [], ("AssignVariableOptions", {}))
    return network.written([data], [result], first.graph([], []))


def transposed_with_bias(padding: int) -> bytes:
    """MediaPipe's transposed convolution, between two operators of TFLite. padding: 1 for SAME, 2 for VALID."""
    network, draw = Network(), np.random.default_rng(4)
    data, source = network.tensor("data", (1, 5, 4, 3)), network.tensor("source", (1, 5, 4, 3))
    network.operator("ABS", [data], [source])
    weights = network.constant(draw.standard_normal((2, 3, 2, 3)), "float32")
    bias = network.constant([0.5, -0.25], "float32")
    shape = (1, 10, 8, 2) if padding == 1 else (1, 11, 8, 2)
    wide, result = network.tensor("wide", shape), network.tensor("result", shape)
    network.operator("Convolution2DTransposeBias", [source, weights, bias], [wide])
    network.operators[-1][5] = np.frombuffer(np.asarray([padding, 2, 2], "int32").tobytes(), np.uint8)
    network.operator("LOGISTIC", [wide], [result])
    return network.written([data], [result])


def framed() -> bytes:
    """A signal cut into frames, as TensorFlow does it: sizes are computed, and the file has placeholders for them."""
    network = Network()
    signal = network.tensor("signal", (1, 43))
    sizes, length, count, kept = (network.tensor(name, shape, "int32") for name, shape in _SIZES)
    network.operator("SHAPE", [signal], [sizes], ("ShapeOptions", {0: Byte(2)}))
    places = [network.constant([each]) for each in (1, 2, 1)]
    network.operator("STRIDED_SLICE", [sizes, *places], [length], ("StridedSliceOptions", {4: 1}))
    eight = network.constant(8)
    network.operator("FLOOR_DIV", [length, eight], [count], ("FloorDivOptions", {}))
    network.operator("MUL", [count, eight], [kept], ("MulOptions", {}))
    ends, rows = (network.tensor(name, (2,), "int32") for name in ("ends", "rows"))
    network.operator("PACK", [network.constant(-1), kept], [ends], ("PackOptions", {0: 2}))
    cut = network.tensor("cut", (1, 1), field_7=ints(1, -1))
    network.operator("SLICE", [signal, network.constant([0, 0]), ends], [cut], ("SliceOptions", {}))
    network.operator("PACK", [count, eight], [rows], ("PackOptions", {0: 2}))
    frames, energy = (
        network.tensor("frames", (1, 8), field_7=ints(-1, 8)),
        network.tensor("energy", (1,), field_7=ints(-1)),
    )
    network.operator("RESHAPE", [cut, rows], [frames])
    network.operator("MEAN", [frames, network.constant([1])], [energy], ("ReducerOptions", {}))
    return network.written([signal], [frames, energy])


_SIZES = (("sizes", (2,)), ("length", ()), ("count", ()), ("kept", ()))


def cut_where_told() -> bytes:
    """A slice whose beginning is an input."""
    network = Network()
    signal, begin, cut = (
        network.tensor("signal", (1, 8)),
        network.tensor("begin", (2,), "int32"),
        network.tensor("cut", (1, 3)),
    )
    network.operator("SLICE", [signal, begin, network.constant([1, 3])], [cut], ("SliceOptions", {}))
    return network.written([signal, begin], [cut])


def not_supported() -> bytes:
    """An operator of a maker's own, and one that TVM has no converter for."""
    network = Network()
    data, kept = network.tensor("data", (1, 4)), network.tensor("kept", (1, 4))
    network.operator("ABS", [data], [kept])
    result = network.tensor("result", (1, 4))
    network.operator("MakersOwnOperator", [kept], [result])
    network.operator("SKIP_GRAM", [kept], [result])
    return network.written([data], [result])


def same_names() -> bytes:
    """Tensors of one name, and two inputs."""
    network = Network()
    first, second = network.tensor("x", (1, 4)), network.tensor("x", (1, 4))
    result = network.tensor("x", (1, 4))
    network.operator("SUB", [first, second], [result], ("SubOptions", {}))
    other = network.tensor("", (1, 4))
    network.operator("NEG", [result], [other], ("NegOptions", {}))
    return network.written([first, second], [result, other])


def quantised_network() -> bytes:
    """Convolutions of int8, one of them a channel each, a sum, a pool, a mean and a dense layer."""
    network, draw = Network(), np.random.default_rng(3)

    def layer(
        name: str, source: int, weights: tuple[int, ...], axis: int, steps: float, made: Quantised, options: Any
    ) -> int:
        scales = (draw.uniform(0.5, 1.5, weights[axis]) * 0.01).tolist()
        shape = {"FULLY_CONNECTED": (1, weights[0])}.get(name, (1, 6, 6, weights[axis]))
        inputs = [
            source,
            network.constant(draw.integers(-127, 128, weights), "int8", Quantised(scales, 0, axis)),
            network.constant(
                draw.integers(-500, 500, weights[axis]), "int32", Quantised([steps * one for one in scales])
            ),
        ]
        output = network.tensor(f"{name}_{len(network.tensors)}", shape, "int8", made)
        network.operator(name, inputs, [output], options)
        return output

    data = network.tensor("pixels", (1, 6, 6, 8), "int8", Quantised(0.02, -3))
    first = layer("CONV_2D", data, (16, 3, 3, 8), 0, 0.02, Quantised(0.04, -128), _CONV)
    each = layer("DEPTHWISE_CONV_2D", first, (1, 3, 3, 16), 3, 0.04, Quantised(0.05, -128), _DEPTHWISE)
    point = layer("CONV_2D", each, (16, 1, 1, 16), 0, 0.05, Quantised(0.06, -128), _CONV)
    total = network.tensor("total", (1, 6, 6, 16), "int8", Quantised(0.08, -120))
    network.operator("ADD", [first, point], [total], ("AddOptions", {}))
    pooled = network.tensor("pooled", (1, 3, 3, 16), "int8", Quantised(0.08, -120))
    pool = ("Pool2DOptions", {0: Byte(SAME), 1: 2, 2: 2, 3: 2, 4: 2})
    network.operator("MAX_POOL_2D", [total], [pooled], pool)
    mean = network.tensor("mean", (1, 16), "int8", Quantised(0.06, -128))
    network.operator("MEAN", [pooled, network.constant([1, 2])], [mean], ("ReducerOptions", {}))
    scores = layer("FULLY_CONNECTED", mean, (10, 16), 0, 0.06, Quantised(0.1, 5), _DENSE)
    return network.written([data], [scores, total])
