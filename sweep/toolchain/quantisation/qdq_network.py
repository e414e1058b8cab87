"""Writes networks in QDQ form: float operators between DequantizeLinear and QuantizeLinear.

ONNX Runtime's quantiser places the pairs; every scale and zero point is given to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import QuantiseFailed, in_one_line
from sweep.toolchain.quantisation.range_table import RangeTable, float_tensors
from sweep.toolchain.quantisation.strategies import NULL, Steps, activation_steps, is_symmetric, weight_steps

__all__ = ["HEAVY", "RECTIFIERS", "Quantised", "quantisable", "quantised"]

HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with weights, which do the work."""
_LIGHT = (
    *("Add", "Mul", "Sub", "Concat", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool"),
    *("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Resize", "Pad", "Slice", "Split"),
)
"""What else has integer programs; a softmax, a sigmoid and their like stay in float32."""
RECTIFIERS = ("Relu", "Clip")

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Quantised:
    """A network in QDQ form."""

    model: Any
    parameters: Mapping[str, Mapping[str, Any]]
    """Of each tensor: the range, the scale and zero point that stand for it, and of what numbers."""
    quantised_nodes: Sequence[str]
    float_nodes: Sequence[str]
    """Those that could be quantised, and are kept as they are."""


def quantisable(model: Any) -> list[Any]:
    """The operators that are quantised unless somebody keeps them: those of such a kind that make float32 numbers, or
    what no type is known of, as in a network that is quantised already.
    """
    from onnx import TensorProto

    others = {
        value.name
        for value in (*model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.elem_type not in (TensorProto.UNDEFINED, TensorProto.FLOAT)
    }
    kinds = (*HEAVY, *_LIGHT)
    return [node for node in model.graph.node if node.op_type in kinds and node.output[0] not in others]


def quantised(
    model: Any, table: RangeTable, options: Mapping[str, Any], only: Collection[str] | None = None
) -> Quantised:
    """A prepared network in QDQ form.

    options: of a precision: `strategy`, `per`, `calibrate`, and which layers stay in float32. only: names of the nodes
    that are quantised, in place of all. Raises QuantiseFailed.
    """
    strategy = str(options["strategy"])
    nodes = quantisable(model)
    kept = _kept(nodes, options) | _without_scale(model, nodes, table, strategy)
    chosen = [node.name for node in nodes if node.name not in kept and (only is None or node.name in only)]
    left = [node.name for node in nodes if node.name not in chosen]
    copy = type(model)()
    copy.CopyFrom(model)
    if strategy == NULL or not chosen:
        return Quantised(copy, {}, [], [node.name for node in nodes])
    steps = _activations(model, table, options) | _constants(model, options, strategy)
    types = {"int8": "QInt8", "uint8": "QUInt8"}
    import onnxruntime.quantization as ort
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    def override(one: Steps) -> dict[str, Any]:
        quant_type = ort.QuantType[types[one.dtype]]
        return {
            "quant_type": quant_type,
            "scale": np.array(one.scale, np.float32),
            "zero_point": np.array(one.zero_point, one.dtype),
        }

    overrides = {}
    for name, (_, each, axis) in steps.items():
        entries = [override(one) for one in each]
        overrides[name] = entries if axis is None else [{"axis": axis} | entry for entry in entries]
    ranges = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high))
        for name, ((low, high), _, _) in steps.items()
        if name in table.activations
    }
    number = ort.QuantType.QInt8 if is_symmetric(strategy) else ort.QuantType.QUInt8
    try:
        quantiser = QDQQuantizer(
            copy,
            per_channel=options["per"] == "channel",
            reduce_range=False,
            weight_qType=number,
            activation_qType=number,
            tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
            nodes_to_quantize=chosen,
            nodes_to_exclude=[],
            op_types_to_quantize=[*HEAVY, *_LIGHT],
            extra_options={
                "ActivationSymmetric": is_symmetric(strategy),
                "WeightSymmetric": is_symmetric(strategy),
                "TensorQuantOverrides": overrides,
            },
        )
        made = quantiser.quantize_model()
        quantiser.model.topological_sort()  # it appends the pairs, and others read operators in order
    except Exception as error:
        raise QuantiseFailed(f"ONNX Runtime's quantiser refuses the network: {in_one_line(error)}") from error
    return Quantised(made, {name: _told(*entry) for name, entry in steps.items()}, chosen, left)


_Entry = tuple[tuple[float, float], Sequence[Steps], int | None]
"""A range, its steps, of each channel where there is an axis, and that axis."""


def _activations(model: Any, table: RangeTable, options: Mapping[str, Any]) -> dict[str, _Entry]:
    strategy, calibrate = str(options["strategy"]), str(options["calibrate"])
    found: dict[str, _Entry] = {}
    for name, seen in table.activations.items():
        low, high, steps = activation_steps(seen, strategy, calibrate, options.get("percentile"))
        found[name] = (low, high), [steps], None
    takers: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)
    outputs = {value.name for value in model.graph.output}
    for node in model.graph.node:  # what only a rectifier reads is cut by it anyway: its own steps would be wasted
        name = node.input[0] if node.input else ""
        alone = node.op_type in RECTIFIERS and len(takers[name]) == 1 and name not in outputs
        if alone and name in found and node.output[0] in found:
            found[name] = found[node.output[0]]
    return found


def _constants(model: Any, options: Mapping[str, Any], strategy: str) -> dict[str, _Entry]:
    """Of the weights of heavy operators, and of other constants that light ones take."""
    from onnx import TensorProto, numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    found: dict[str, _Entry] = {}
    axes: dict[str, set[int | None]] = {}
    heavy = [node for node in model.graph.node if node.op_type in HEAVY]
    biases = {node.input[2] for node in heavy if len(node.input) > 2} - {node.input[1] for node in heavy}
    for node in quantisable(model):
        for index, name in enumerate(node.input):
            if name in stored and name not in biases:
                axes.setdefault(name, set()).add(_axis(node, index, len(stored[name].dims)))
    for name, wanted in axes.items():
        array = numpy_helper.to_array(stored[name])
        if not array.size or not np.isfinite(array).all():
            continue
        # What others take in another way has one scale for all of them
        axis = next(iter(wanted)) if options["per"] == "channel" and len(wanted) == 1 else None
        found[name] = (float(array.min()), float(array.max())), weight_steps(array, axis, strategy), axis
    return found


def _axis(node: Any, index: int, rank: int) -> int | None:
    """The axis of an operator's constant that has the channels of the output; None where it is no weight, or has none
    that is an axis of its own.
    """
    if index != 1 or node.op_type not in HEAVY:
        return None
    said = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1 if said.get("group", 1) == 1 else None  # of groups, each channel of it is one of every group
    if node.op_type == "Gemm":
        return 0 if said.get("transB") else 1
    return rank - 1 if rank == 2 else None  # ONNX Runtime's integer product takes scales of columns alone


def _without_scale(model: Any, nodes: Sequence[Any], table: RangeTable, strategy: str) -> set[str]:
    """Names of the nodes that stay in float32 since no scale stands for what they take or make."""
    from onnx import numpy_helper

    none = set(float_tensors(model)) - table.activations.keys()
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in nodes:
        constants = [stored[name] for name in node.input if name in stored and name not in none]
        none |= {one.name for one in constants if not np.isfinite(numpy_helper.to_array(one)).all()}
    found = {node.name for node in nodes if not none.isdisjoint((*node.input, *node.output))}
    if not is_symmetric(strategy):
        # ONNX Runtime's quantiser leaves out what a scale cuts off anyway, and every scale has zero within it
        values = {name: numpy_helper.to_array(one) for name, one in stored.items() if not one.dims}
        found |= {node.name for node in nodes if node.op_type == "Clip" and not _has_zero(node, values)}
    return found


def _has_zero(node: Any, values: Mapping[str, Any]) -> bool:
    """Whether zero is among what a Clip lets through; not where its ends are computed."""
    low, high = [*node.input[1:], "", ""][:2]
    return (not low or values.get(low, 1) <= 0) and (not high or values.get(high, -1) >= 0)


def _kept(nodes: Sequence[Any], options: Mapping[str, Any]) -> set[str]:
    """Names of the nodes that stay in float32."""
    patterns = [str(pattern) for pattern in options.get("float32") or ()]
    heavy = [node.name for node in nodes if node.op_type in HEAVY]
    kept = {node.name for node in nodes for pattern in patterns if _fits(node, pattern)}
    kept |= set(heavy[:1] if options.get("float32_first") else ())
    return kept | set(heavy[-1:] if options.get("float32_last") else ())


def _fits(node: Any, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in (node.name, *node.output))


def _told(limits: tuple[float, float], steps: Sequence[Steps], axis: int | None) -> dict[str, Any]:
    scales, zeros = [one.scale for one in steps], [one.zero_point for one in steps]
    return {
        "min": limits[0],
        "max": limits[1],
        "dtype": steps[0].dtype,
        **({} if axis is None else {"axis": axis}),
        "scale": scales[0] if axis is None else scales,
        "zero_point": zeros[0] if axis is None else zeros,
    }
