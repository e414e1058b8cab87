"""Which steps of the rewriting of ONNX networks apply to a file, told from its nodes alone.

A network that no step applies to is imported as it always was, and the id of its import stays what it was. One that
some do has their names among the options of its import, so that what an earlier version made of it is not taken for it.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

from sweep.study.importers.onnx_outline import Outline, OutlineNode, outline_of

__all__ = ["HALVES", "STEPS", "is_quantised", "steps_in", "steps_of"]

HALVES = "sums of halves"
"""The step after which sums of float16 are in float32. It writes no network anew."""

_SCALAR_VALUES = ("value_float", "value_int", "value_string")
_NUMPY_BROADCASTS_SINCE, _BOOLEAN_MASKS_SINCE, _RESIZE_SINCE, _REMAINDERS_SINCE = 7, 10, 11, 26
_LAST_AXIS = (1 << 64) - 1
"""-1, as the bytes of a file have it."""

_CONTROL_FLOW = {"If", "Loop", "Scan"}
_SEQUENCES = {
    "ConcatFromSequence",
    "SequenceAt",
    "SequenceErase",
    "SequenceInsert",
    "SequenceLength",
    "SplitToSequence",
}
_RECURRENT = {"RNN", "GRU", "LSTM", "com.microsoft.DynamicQuantizeLSTM"}
_QUANTISED = {
    "ConvInteger",
    "QLinearConv",
    "QLinearMatMul",
    *(
        f"com.microsoft.{name}"
        for name in (
            "DequantizeLinear",
            "DynamicQuantizeMatMul",
            "MatMulIntegerToFloat",
            "MatMulNBits",
            "QGemm",
            "QLinearAdd",
            "QLinearAveragePool",
            "QLinearConcat",
            "QLinearConv",
            "QLinearGlobalAveragePool",
            "QLinearLeakyRelu",
            "QLinearMul",
            "QLinearReduceMean",
            "QLinearSigmoid",
            "QLinearSoftmax",
            "QLinearWhere",
            "QuantizeLinear",
        )
    ),
}
_LACKING = {
    "Attention",
    "BlackmanWindow",
    "CausalConvWithState",
    "Celu",
    "CenterCropPad",
    "Col2Im",
    "CumProd",
    "DFT",
    "HammingWindow",
    "HannWindow",
    "LinearAttention",
    "LpNormalization",
    "NegativeLogLikelihoodLoss",
    "ReverseSequence",
    "RotaryEmbedding",
    "STFT",
    "SequenceMap",
    "SoftmaxCrossEntropyLoss",
    "SwiGLU",
    "Swish",
    "TensorScatter",
    "TfIdfVectorizer",
    *(
        f"com.microsoft.{name}"
        for name in (
            "Attention",
            "EmbedLayerNormalization",
            "FusedConv",
            "FusedGemm",
            "FusedMatMul",
            "MultiHeadAttention",
            "QAttention",
            "QuickGelu",
            "RotaryEmbedding",
            "SkipLayerNormalization",
            "SkipSimplifiedLayerNormalization",
            "TransposeMatMul",
            "Trilu",
        )
    ),
}


def _is_scalar(node: OutlineNode) -> bool:
    """Whether it is a constant without dimensions: once folded, it had one."""
    if node.operator != "Constant":
        return False
    return node.attributes.get("value") == 0 or any(name in node.attributes for name in _SCALAR_VALUES)


def _is_other_resize(node: OutlineNode) -> bool:
    """Whether a resize is of a kind that TVM lacks or does otherwise."""
    given = node.attributes
    policy = given.get("keep_aspect_ratio_policy", "stretch")
    if any(name in given for name in ("axes", "antialias", "exclude_outside")) or policy != "stretch":
        return True
    mode, transformation = given.get("mode", "nearest"), given.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return (transformation, given.get("nearest_mode", "round_prefer_floor")) != ("asymmetric", "floor")
    return mode != "linear" or transformation not in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")


_OTHERWISE: dict[str, Callable[[OutlineNode], bool]] = {
    "BitShift": lambda node: True,
    "ConvTranspose": lambda node: "output_shape" in node.attributes or "auto_pad" in node.attributes,
    "BatchNormalization": lambda node: bool(node.attributes.get("training_mode")),
    "Dropout": lambda node: node.inputs > 2,
    "IsInf": lambda node: bool(node.attributes),
    "LayerNormalization": lambda node: node.outputs > 1,
    "Mod": lambda node: bool(node.attributes.get("fmod")),
    "OneHot": lambda node: True,
    "RMSNormalization": lambda node: node.attributes.get("axis", _LAST_AXIS) != _LAST_AXIS,
    "Resize": _is_other_resize,
    "SpaceToDepth": lambda node: node.attributes.get("mode", "DCR") != "DCR",
}
"""Operator -> whether TVM's importer does a node of it in another way than ONNX says."""


def _is_otherwise(node: OutlineNode) -> bool:
    return node.operator in _OTHERWISE and _OTHERWISE[node.operator](node)


def _has_mask(outline: Outline) -> bool:
    """Whether a dropout gives a mask, which is of booleans from opset 10 on."""
    is_boolean = outline.opset >= _BOOLEAN_MASKS_SINCE
    return is_boolean and any(node.operator == "Dropout" and node.outputs > 1 for node in outline.nodes)


def _has_remainder(outline: Outline) -> bool:
    """Whether there may be a remainder of floats with the divisor's sign, which there is from opset 26 on."""
    return outline.opset >= _REMAINDERS_SINCE and any(node.operator == "Mod" for node in outline.nodes)


def _masks(outline: Outline) -> bool:
    """Whether rows may be masked by infinities as a whole, of which TVM takes the largest finite number."""
    operators = {node.operator for node in outline.nodes}
    return "Attention" in operators or ("Where" in operators and not operators.isdisjoint({"ReduceMax", "ReduceMin"}))


def _any(applies: Callable[[OutlineNode], bool]) -> Callable[[Outline], bool]:
    return lambda outline: any(map(applies, outline.nodes))


def _has(operators: Container[str]) -> Callable[[Outline], bool]:
    return _any(lambda node: node.operator in operators)


def _is_old(outline: Outline) -> bool:
    """Whether broadcasting goes by attributes, or resizing is of an older kind."""
    if outline.opset < _NUMPY_BROADCASTS_SINCE:
        return True
    return outline.opset < _RESIZE_SINCE and any(node.operator in ("Upsample", "Resize") for node in outline.nodes)


STEPS: dict[str, Callable[[Outline], bool]] = {
    "scalars": _any(_is_scalar),
    "functions": lambda outline: outline.has_functions,
    "old operators": _is_old,
    "shapes": _has({"Shape", "Size"}),
    "control flow": _has(_CONTROL_FLOW),
    "sequences": _has(_SEQUENCES),
    "recurrent": _has(_RECURRENT),
    "quantised": _has(_QUANTISED),
    "lacking operators": _has(_LACKING),
    "other operators": lambda outline: (
        any(map(_is_otherwise, outline.nodes)) or _has_mask(outline) or _has_remainder(outline)
    ),
    "masked rows": _masks,
    HALVES: lambda outline: outline.has_halves,
}
"""Name -> whether the step changes what is made of a network. In this order they stand in a plan."""


def steps_of(path: Path) -> list[str]:
    """Names of the steps that apply to a file; none for one that is no ONNX model. Raises OSError."""
    outline = outline_of(path)
    return [] if outline is None else steps_in(outline)


def steps_in(outline: Outline) -> list[str]:
    """Names of the steps that apply to a network."""
    return [name for name, applies in STEPS.items() if applies(outline)]


def is_quantised(outline: Outline) -> bool:
    """Whether a network holds numbers as codes with a scale."""
    return any(node.operator == "DequantizeLinear" or node.operator in _QUANTISED for node in outline.nodes)
