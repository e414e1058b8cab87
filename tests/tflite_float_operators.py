"""One small TFLite network for each operator on floats, in the ways in which people have it; joined to one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.tflite_networks import RELU, RELU6, SAME, VALID, Byte, Network, Table, ints

__all__ = ["OPERATORS", "SHAPE", "joined"]

SHAPE = (1, 6, 6, 4)
X, WHOLE, B = "the tensor", "the tensor as int32", "whether the tensor is above 0"
_draw = np.random.default_rng(11)


@dataclass(frozen=True)
class Entry:
    """An operator, what it takes, and what it gives."""

    operator: str
    inputs: Sequence[Any]
    shapes: Sequence[Sequence[int]]
    options: tuple[str, Table] | None = None
    dtypes: Sequence[str] = ("float32",)


def _floats(*shape: int) -> Any:
    return _draw.standard_normal(shape).astype(np.float32)


def _ints(*values: Any) -> Any:
    return np.asarray(values, np.int32)


def _each(operator: str, options: tuple[str, Table] | None = None) -> Entry:
    return Entry(operator, [X], [SHAPE], options)


def _pair(
    operator: str, options: str | None = None, fused: int = 0, other: Any = None, dtype: str = "float32"
) -> Entry:
    table = None if options is None else (options, {0: Byte(fused)} if fused else {})
    return Entry(operator, [X, _floats(4) if other is None else other], [SHAPE], table, (dtype,))


def _reduced(operator: str, axes: Sequence[int], shape: Sequence[int], keep: bool = False, of: str = X) -> Entry:
    dtype = "bool" if of == B else "float32"
    return Entry(operator, [of, _ints(*axes)], [shape], ("ReducerOptions", {0: keep}), (dtype,))


def _window(operator: str, padding: int, window: int, stride: int, size: int, fused: int = 0) -> Entry:
    options = {0: Byte(padding), 1: stride, 2: stride, 3: window, 4: window, 5: Byte(fused)}
    return Entry(operator, [X], [(1, size, size, 4)], ("Pool2DOptions", options))


def _resized(operator: str, size: int, corners: bool, half: bool) -> Entry:
    name, first = ("ResizeBilinearOptions", 2) if "BILINEAR" in operator else ("ResizeNearestNeighborOptions", 0)
    options = (name, {first: corners, first + 1: half})
    return Entry(operator, [X, _ints(size, size + 1)], [(1, size, size + 1, 4)], options)


def _sliced(at: Any, to: Any, steps: Any, shape: Sequence[int], **masks: int) -> Entry:
    numbers = {"begin": 0, "end": 1, "ellipsis": 2, "new": 3, "shrink": 4}
    options = {numbers[name]: mask for name, mask in masks.items()}
    return Entry("STRIDED_SLICE", [X, _ints(*at), _ints(*to), _ints(*steps)], [shape], ("StridedSliceOptions", options))


OPERATORS: dict[str, Entry] = {
    **{
        name.lower(): _each(name)
        for name in "EXP FLOOR CEIL ROUND SIN COS RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 HARD_SWISH LOGISTIC TANH "
        "LOG_SOFTMAX ELU".split()
    },
    "abs": _each("ABS", ("AbsOptions", {})),
    "neg": _each("NEG", ("NegOptions", {})),
    "sign": _each("SIGN", ("SignOptions", {})),
    "square": _each("SQUARE", ("SquareOptions", {})),
    "gelu": _each("GELU", ("GeluOptions", {})),
    "gelu by tanh": _each("GELU", ("GeluOptions", {0: True})),
    "leaky relu": _each("LEAKY_RELU", ("LeakyReluOptions", {0: 0.1})),
    "prelu": _pair("PRELU", other=_floats(1, 1, 4)),
    "softmax": _each("SOFTMAX", ("SoftmaxOptions", {0: 0.5})),
    "l2 normalisation": _each("L2_NORMALIZATION", ("L2NormOptions", {})),
    "local response": _each(
        "LOCAL_RESPONSE_NORMALIZATION", ("LocalResponseNormalizationOptions", {0: 1, 1: 1.0, 2: 0.5, 3: 0.75})
    ),
    "add": _pair("ADD", "AddOptions", RELU),
    "sub": _pair("SUB", "SubOptions", RELU6),
    "mul": _pair("MUL", "MulOptions"),
    "div": _pair("DIV", "DivOptions"),
    "maximum": _pair("MAXIMUM", "MaximumMinimumOptions"),
    "minimum": _pair("MINIMUM", "MaximumMinimumOptions", other=_floats(6, 1)),
    "squared difference": _pair("SQUARED_DIFFERENCE", "SquaredDifferenceOptions"),
    "floor div": _pair("FLOOR_DIV", "FloorDivOptions"),
    "floor mod": _pair("FLOOR_MOD", "FloorModOptions"),
    "floor mod of integers": Entry(
        "FLOOR_MOD", [WHOLE, _ints(3, -3, 5, 7)], [SHAPE], ("FloorModOptions", {}), ("int32",)
    ),
    "floor div of integers": Entry(
        "FLOOR_DIV", [WHOLE, _ints(3, -3, 5, 7)], [SHAPE], ("FloorDivOptions", {}), ("int32",)
    ),
    "div of integers": Entry("DIV", [WHOLE, _ints(3, -3, 5, 7)], [SHAPE], ("DivOptions", {}), ("int32",)),
    "add of n": Entry("ADD_N", [X, X, _floats(*SHAPE)], [SHAPE], ("AddNOptions", {})),
    "equal": _pair("EQUAL", "EqualOptions", other=np.float32(0), dtype="bool"),
    "greater equal": _pair("GREATER_EQUAL", "GreaterEqualOptions", dtype="bool"),
    "less": _pair("LESS", "LessOptions", dtype="bool"),
    "not": Entry("LOGICAL_NOT", [B], [SHAPE], ("LogicalNotOptions", {}), ("bool",)),
    "and": Entry("LOGICAL_AND", [B, _floats(4) > 0], [SHAPE], ("LogicalAndOptions", {}), ("bool",)),
    "select": Entry("SELECT", [B, X, _floats(*SHAPE)], [SHAPE], ("SelectOptions", {})),
    "select of what is broadcast": Entry("SELECT_V2", [B, X, np.float32(-1)], [SHAPE], ("SelectV2Options", {})),
    "cast": Entry("CAST", [X], [SHAPE], ("CastOptions", {}), ("int32",)),
    "arg max": Entry("ARG_MAX", [X, _ints(3)], [SHAPE[:3]], ("ArgMaxOptions", {0: Byte(2)}), ("int32",)),
    "arg min": Entry("ARG_MIN", [X, _ints(1)], [(1, 6, 4)], ("ArgMinOptions", {0: Byte(4)}), ("int64",)),
    "top k": Entry("TOPK_V2", [X, np.int32(2)], [(1, 6, 6, 2)] * 2, ("TopKV2Options", {}), ("float32", "int32")),
    "one hot": Entry(
        "ONE_HOT", [WHOLE, np.int32(3), np.float32(2), np.float32(-1)], [(*SHAPE, 3)], ("OneHotOptions", {0: -1})
    ),
    "gather": Entry("GATHER", [X, _ints(5, 0, 2)], [(1, 3, 6, 4)], ("GatherOptions", {0: 1})),
    "gather in a batch": Entry("GATHER", [X, _ints([5, 0, 2])], [(1, 3, 6, 4)], ("GatherOptions", {0: 1, 1: 1})),
    "gather behind a batch": Entry("GATHER", [X, _ints([3, 0])], [(1, 6, 6, 2)], ("GatherOptions", {0: 3, 1: 1})),
    "gather nd": Entry("GATHER_ND", [X, _ints([0, 1], [0, 5])], [(2, 6, 4)], ("GatherNdOptions", {})),
    "gather nd of elements": Entry("GATHER_ND", [X, _ints([0, 1, 5, 3])], [(1,)], ("GatherNdOptions", {})),
    "scatter nd": Entry(
        "SCATTER_ND", [_ints([1], [3]), _floats(2, 4), _ints(5, 4)], [(5, 4)], ("ScatterNdOptions", {})
    ),
    "cumsum": Entry("CUMSUM", [X, np.int32(1)], [SHAPE], ("CumsumOptions", {})),
    "cumsum, exclusive and back": Entry("CUMSUM", [X, np.int32(2)], [SHAPE], ("CumsumOptions", {0: True, 1: True})),
    "reverse": Entry("REVERSE_V2", [X, _ints(2)], [SHAPE], ("ReverseV2Options", {})),
    "tile": Entry("TILE", [X, _ints(1, 2, 1, 3)], [(1, 12, 6, 12)], ("TileOptions", {})),
    "pack": Entry("PACK", [X, X], [(1, 6, 2, 6, 4)], ("PackOptions", {0: 2, 1: 2})),
    "unpack": Entry("UNPACK", [X], [(1, 6, 6)] * 4, ("UnpackOptions", {0: 4, 1: 3}), ("float32",) * 4),
    "concatenation": Entry("CONCATENATION", [X, X], [(1, 6, 6, 8)], ("ConcatenationOptions", {0: -1})),
    "pad": Entry("PAD", [X, _ints([0, 0], [1, 2], [0, 1], [0, 0])], [(1, 9, 7, 4)], ("PadOptions", {})),
    "pad with a value": Entry(
        "PADV2", [X, _ints([0, 0], [1, 2], [0, 1], [0, 0]), np.float32(3)], [(1, 9, 7, 4)], ("PadV2Options", {})
    ),
    "mirror pad": Entry(
        "MIRROR_PAD", [X, _ints([0, 0], [2, 1], [1, 0], [0, 0])], [(1, 9, 7, 4)], ("MirrorPadOptions", {0: Byte(0)})
    ),
    "mirror pad with its edge": Entry(
        "MIRROR_PAD", [X, _ints([0, 0], [2, 1], [1, 0], [0, 0])], [(1, 9, 7, 4)], ("MirrorPadOptions", {0: Byte(1)})
    ),
    "transpose": Entry("TRANSPOSE", [X, _ints(0, 3, 1, 2)], [(1, 4, 6, 6)], ("TransposeOptions", {})),
    "slice": Entry("SLICE", [X, _ints(0, 2, 0, 1), _ints(1, 3, -1, 2)], [(1, 3, 6, 2)], ("SliceOptions", {})),
    "strided slice": _sliced((0, 1, 0, 0), (1, 6, 5, 4), (1, 2, 2, 1), (1, 3, 3, 4)),
    "strided slice backwards": _sliced((0, 5, 0, 0), (1, 0, 6, 4), (1, -2, 1, 1), (1, 3, 6, 4)),
    "strided slice with masks": _sliced((0, 1, 9, 0), (1, 6, 9, -1), (1, 1, 1, 1), (1, 5, 6, 3), begin=4, end=4),
    "strided slice that shrinks": _sliced((0, -1, 0, 0), (1, 0, 6, 4), (1, 1, 1, 1), (1, 6, 4), shrink=2),
    "strided slice behind dots": _sliced((0, 1), (0, 3), (1, 1), (1, 6, 6, 2), ellipsis=1),
    "strided slice with a dimension more": _sliced((0, 0, 2), (1, 0, 5), (1, 1, 1), (1, 1, 3, 6, 4), new=2),
    "split": Entry("SPLIT", [np.int32(2), X], [(1, 6, 3, 4)] * 2, ("SplitOptions", {0: 2}), ("float32",) * 2),
    "split in parts": Entry(
        "SPLIT_V",
        [X, _ints(1, 5), np.int32(1)],
        [(1, 1, 6, 4), (1, 5, 6, 4)],
        ("SplitVOptions", {0: 2}),
        ("float32",) * 2,
    ),
    "space to depth": Entry("SPACE_TO_DEPTH", [X], [(1, 3, 3, 16)], ("SpaceToDepthOptions", {0: 2})),
    "depth to space": Entry("DEPTH_TO_SPACE", [X], [(1, 12, 12, 1)], ("DepthToSpaceOptions", {0: 2})),
    "space to batch": Entry(
        "SPACE_TO_BATCH_ND", [X, _ints(2, 2), _ints([1, 1], [0, 2])], [(4, 4, 4, 4)], ("SpaceToBatchNDOptions", {})
    ),
    "squeeze": Entry("SQUEEZE", [X], [(6, 6, 4)], ("SqueezeOptions", {0: ints(0)})),
    "expand dims": Entry("EXPAND_DIMS", [X, np.int32(-1)], [(*SHAPE, 1)], ("ExpandDimsOptions", {})),
    "resize bilinear": _resized("RESIZE_BILINEAR", 11, False, False),
    "resize bilinear, corners": _resized("RESIZE_BILINEAR", 11, True, False),
    "resize bilinear, half a pixel": _resized("RESIZE_BILINEAR", 11, False, True),
    "resize bilinear, smaller": _resized("RESIZE_BILINEAR", 3, False, True),
    "resize nearest": _resized("RESIZE_NEAREST_NEIGHBOR", 11, False, False),
    "resize nearest, corners": _resized("RESIZE_NEAREST_NEIGHBOR", 11, True, False),
    "resize nearest, half a pixel": _resized("RESIZE_NEAREST_NEIGHBOR", 11, False, True),
    "average pool": _window("AVERAGE_POOL_2D", SAME, 3, 2, 3),
    "average pool, then relu": _window("AVERAGE_POOL_2D", VALID, 2, 1, 5, RELU),
    "max pool": _window("MAX_POOL_2D", SAME, 3, 2, 3),
    "l2 pool": _window("L2_POOL_2D", VALID, 2, 2, 3),
    "mean": _reduced("MEAN", (1, 2), (1, 4)),
    "mean, dimensions kept": _reduced("MEAN", (-1,), (1, 6, 6, 1), keep=True),
    "sum": _reduced("SUM", (3,), (1, 6, 6)),
    "product": _reduced("REDUCE_PROD", (2,), (1, 6, 4)),
    "maximum of a dimension": _reduced("REDUCE_MAX", (1,), (1, 6, 4)),
    "minimum of all": _reduced("REDUCE_MIN", (0, 1, 2, 3), ()),
    "any": _reduced("REDUCE_ANY", (3,), (1, 6, 6), of=B),
    "all": _reduced("REDUCE_ALL", (3,), (1, 6, 6), of=B),
    "batch matmul": Entry("BATCH_MATMUL", [X, _floats(4, 5)], [(1, 6, 6, 5)], ("BatchMatMulOptions", {})),
    "batch matmul, turned": Entry(
        "BATCH_MATMUL", [X, _floats(6, 5, 6)], [(1, 6, 4, 5)], ("BatchMatMulOptions", {0: True, 1: True})
    ),
    "dense": Entry(
        "FULLY_CONNECTED", [X, _floats(3, 4), _floats(3)], [(36, 3)], ("FullyConnectedOptions", {0: Byte(RELU)})
    ),
    "dense, of an image": Entry("FULLY_CONNECTED", [X, _floats(3, 144), -1], [(1, 3)], ("FullyConnectedOptions", {})),
    "dense, dimensions kept": Entry(
        "FULLY_CONNECTED", [X, _floats(3, 4), -1], [(1, 6, 6, 3)], ("FullyConnectedOptions", {2: True})
    ),
    "conv": Entry(
        "CONV_2D",
        [X, _floats(5, 3, 3, 4), _floats(5)],
        [(1, 3, 3, 5)],
        ("Conv2DOptions", {0: Byte(SAME), 1: 2, 2: 2, 3: Byte(RELU6), 4: 1, 5: 1}),
    ),
    "conv, dilated": Entry(
        "CONV_2D",
        [X, _floats(5, 3, 3, 4), _floats(5)],
        [(1, 2, 2, 5)],
        ("Conv2DOptions", {0: Byte(VALID), 1: 1, 2: 1, 4: 2, 5: 2}),
    ),
    "conv in groups": Entry(
        "CONV_2D",
        [X, _floats(6, 3, 3, 2), _floats(6)],
        [(1, 6, 6, 6)],
        ("Conv2DOptions", {0: Byte(SAME), 1: 1, 2: 1, 4: 1, 5: 1}),
    ),
    "depthwise": Entry(
        "DEPTHWISE_CONV_2D",
        [X, _floats(1, 3, 3, 8), _floats(8)],
        [(1, 3, 3, 8)],
        ("DepthwiseConv2DOptions", {0: Byte(SAME), 1: 2, 2: 2, 3: 2, 4: Byte(RELU), 5: 1, 6: 1}),
    ),
    "depthwise, dilated": Entry(
        "DEPTHWISE_CONV_2D",
        [X, _floats(1, 3, 3, 4), _floats(4)],
        [(1, 6, 6, 4)],
        ("DepthwiseConv2DOptions", {0: Byte(SAME), 1: 1, 2: 1, 3: 1, 5: 2, 6: 2}),
    ),
    "transposed conv": Entry(
        "TRANSPOSE_CONV",
        [_ints(1, 12, 12, 3), _floats(3, 3, 3, 4), X, _floats(3)],
        [(1, 12, 12, 3)],
        ("TransposeConvOptions", {0: Byte(SAME), 1: 2, 2: 2, 3: Byte(RELU)}),
    ),
    "update of a part": Entry(
        "DYNAMIC_UPDATE_SLICE", [X, _floats(1, 2, 6, 3), _ints(0, 5, 0, 1)], [SHAPE], ("DynamicUpdateSliceOptions", {})
    ),
    "matrix diagonal": Entry("MATRIX_DIAG", [X], [(*SHAPE, 4)], ("MatrixDiagOptions", {})),
    "embedding": Entry("EMBEDDING_LOOKUP", [_ints(4, 0, 2), _floats(5, 3)], [(3, 3)]),
    "reverse of sequences": Entry("REVERSE_SEQUENCE", [X, _ints(4)], [SHAPE], ("ReverseSequenceOptions", {0: 1, 1: 0})),
    "rank": Entry("RANK", [X], [()], ("RankOptions", {}), ("int32",)),
    "power": Entry("POW", [X, np.float32(2)], [SHAPE], ("PowOptions", {})),
    "atan2": _pair("ATAN2", other=_floats(*SHAPE)),
    "fill": Entry("FILL", [_ints(2, 3), np.float32(1.5)], [(2, 3)], ("FillOptions", {})),
    "range": Entry("RANGE", [np.int32(2), np.int32(9), np.int32(3)], [(3,)], ("RangeOptions", {}), ("int32",)),
}


def joined(names: Sequence[str] = tuple(OPERATORS)) -> tuple[bytes, dict[str, slice]]:
    """A file with these operators on one input, and which of its outputs are whose."""
    network, outputs, owners = Network(), [], {}
    source, whole, above = (
        network.tensor("data", SHAPE),
        network.tensor("whole", SHAPE, "int32"),
        network.tensor("above", SHAPE, "bool"),
    )
    scaled = network.tensor("scaled", SHAPE)
    network.operator("MUL", [source, network.constant(np.float32(10), "float32")], [scaled], ("MulOptions", {}))
    network.operator("CAST", [scaled], [whole], ("CastOptions", {}))
    network.operator("GREATER", [source, network.constant(np.float32(0), "float32")], [above], ("GreaterOptions", {}))
    known = {X: source, WHOLE: whole, B: above}
    for name in names:
        entry = OPERATORS[name]
        inputs = [
            known[each]
            if isinstance(each, str)
            else each
            if isinstance(each, int)
            else network.constant(each, str(each.dtype))
            for each in entry.inputs
        ]
        made = [
            network.tensor(f"{name}_{index}", shape, dtype)
            for index, (shape, dtype) in enumerate(
                zip(entry.shapes, entry.dtypes * (len(entry.shapes) if len(entry.dtypes) == 1 else 1), strict=True)
            )
        ]
        network.operator(entry.operator, inputs, made, entry.options)
        owners[name] = slice(len(outputs), len(outputs) + len(made))
        outputs += made
    return network.written([source], outputs), owners
