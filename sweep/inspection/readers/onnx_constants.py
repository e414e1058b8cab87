"""The constants of an ONNX graph: what its initialisers and constant nodes hold, also behind a transposition or a
dequantisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweep.inspection.network_graph import Constant, Node, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["constant_of_node", "constant_of_tensor", "dtype_name", "learned", "origins"]

_KEEPING = frozenset("Identity Transpose Reshape Cast Flatten Squeeze Unsqueeze DequantizeLinear".split())
"""Operators that give each number of their first input once."""
_QUANTISED_WEIGHTS: Mapping[str, tuple[int, ...]] = {
    "DequantizeLinear": (0,),
    "com.microsoft.DequantizeLinear": (0,),
    "ConvInteger": (1,),
    "MatMulInteger": (1,),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (3,),
    "com.microsoft.QLinearConv": (3, 8),
    "com.microsoft.QGemm": (3, 6),
    "com.microsoft.DynamicQuantizeMatMul": (1,),
    "com.microsoft.MatMulIntegerToFloat": (1,),
    "com.microsoft.MatMulNBits": (1,),
    "com.microsoft.DynamicQuantizeLSTM": (1, 2, 3),
}
"""Operator -> inputs that are learned, of one whose other inputs are scales and zero points."""
_STATISTICS: Mapping[str, tuple[int, ...]] = {"BatchNormalization": (3, 4)}
"""Inputs that are no parameters but what training kept: mean and variance."""
_NOT_LEARNED = frozenset(
    "QuantizeLinear Resize Upsample Clip Pad Slice Range Reshape Expand Tile ConstantOfShape NonMaxSuppression".split()
)
_LARGEST_SCALAR = 1


def dtype_name(element: int) -> str | None:
    """The name that numpy has for a type of ONNX; None where that is not known."""
    from onnx import TensorProto

    try:
        name = TensorProto.DataType.Name(element).lower()
    except ValueError:
        return None
    return {"float": "float32", "double": "float64", "undefined": None}.get(name, name)


def constant_of_tensor(tensor: Any, folder: str) -> Constant:
    """An initialiser; its numbers may lie in a file beside the network's."""

    def read() -> NDArray[Any]:
        from onnx import numpy_helper

        array: NDArray[Any] = numpy_helper.to_array(tensor, base_dir=folder)
        return array

    return Constant(Tensor(tensor.name, tuple(tensor.dims), dtype_name(tensor.data_type)), read)


def constant_of_node(node: Any, constants: Mapping[str, Constant], folder: str) -> Constant | None:
    """What a node gives that holds a tensor, or fills one of a constant shape; None of other nodes."""
    import numpy as np
    from onnx import helper, numpy_helper

    attributes = {one.name: one for one in node.attribute}
    if node.op_type == "ConstantOfShape" and node.input[0] in constants:
        shape = tuple(int(size) for size in constants[node.input[0]].read())
        value = numpy_helper.to_array(attributes["value"].t).ravel()[:1] if "value" in attributes else np.zeros(1, "f4")
        tensor = Tensor(node.output[0], shape, str(value.dtype))
        return Constant(tensor, lambda: np.full(shape, value[0]))
    if node.op_type != "Constant" or not node.attribute:
        return None
    if "value" in attributes:
        found = constant_of_tensor(attributes["value"].t, folder)
        return Constant(Tensor(node.output[0], found.tensor.shape, found.tensor.dtype), found.read)
    name, one = next(iter(attributes.items()))
    if name.startswith(("value_float", "value_int")):
        array = np.array(helper.get_attribute_value(one), np.float32 if "float" in name else np.int64)
        return Constant(Tensor(node.output[0], array.shape, str(array.dtype)), lambda: array)
    return None


def origins(nodes: list[Any], constants: dict[str, Constant]) -> dict[str, str]:
    """Value -> the constant whose numbers it holds, by way of operators that keep them all.

    A constant that is dequantised on the way gets its zero.
    """
    found = {name: name for name in constants}
    for node in nodes:
        if node.op_type not in _KEEPING or not node.input or node.input[0] not in found:
            continue
        if all(name in constants for name in node.input[1:] if name):
            found[node.output[0]] = source = found[node.input[0]]
            if node.op_type == "DequantizeLinear" and len(node.input) > 2 and node.input[2]:
                axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
                constants[source] = with_zero(constants[source], constants[node.input[2]], axis)
    return found


def with_zero(constant: Constant, zero: Constant, axis: int) -> Constant:
    """A quantised constant whose zero is a number, or a number for each index of an axis."""

    def read() -> NDArray[Any]:
        array, shape = zero.read(), list(constant.tensor.shape or ())
        if array.ndim == 1 and array.size > 1 and shape:
            return array.reshape([array.size if at == axis % len(shape) else 1 for at in range(len(shape))])
        return array if array.ndim != 1 else array[0]

    return Constant(constant.tensor, constant.read, read)


def learned(node: Node, origin: Mapping[str, str], constants: Mapping[str, Constant]) -> tuple[str, ...]:
    """The constants among a node's inputs that the network learned.

    Numbers of its formulas are none: whole numbers, single ones, and what scales, bounds or shapes something.
    """
    if node.operator in _NOT_LEARNED or (node.operator in _KEEPING and node.operator != "DequantizeLinear"):
        return ()
    wanted = _QUANTISED_WEIGHTS.get(node.operator)
    without = _STATISTICS.get(node.operator, ())
    names = []
    for place, name in enumerate(node.inputs):
        source = origin.get(name)
        if source is None or place in without or (wanted is not None and place not in wanted):
            continue
        tensor = constants[source].tensor
        is_learned = wanted is not None or (tensor.dtype or "").startswith(("float", "bfloat", "double"))
        is_number = (tensor.elements or 0) <= _LARGEST_SCALAR and not (node.work or "Normalization" in node.operator)
        # what was dequantised before counts there
        if is_learned and not is_number and (wanted is not None or constants[source].zero is None):
            names.append(source)
    return tuple(dict.fromkeys(names))
