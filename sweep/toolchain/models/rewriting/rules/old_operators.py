"""Operators of opsets before 13 in the form that they have there: axes, sizes and bounds are inputs, and broadcasting
is numpy's.

The onnx package's own converter of versions is not used: it loses the axis of the old broadcasting, gives up without
the shape of each weight, and knows no step out of opset 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["UPGRADED", "modern"]

_Upgrade = Callable[["Rewriter", "Call"], "Call | Sequence[str]"]


def modern(network: Rewriter, call: Call) -> Call | Sequence[str]:
    """A call of an old opset as one of opset 13, or the values that its outputs are."""
    kept = {name: value for name, value in call.attributes.items() if name not in ("consumed_inputs", "is_test")}
    call = replace(call, attributes=kept)
    for since, upgrades in _UPGRADES:
        if call.opset < since and call.operator in upgrades:
            return upgrades[call.operator](network, call)
    return call


def _without(call: Call, *names: str) -> dict[str, Any]:
    return {name: value for name, value in call.attributes.items() if name not in names}


def _integers(values: Any) -> Any:
    return np.array(values, np.int64).reshape(-1)


def _broadcast(network: Rewriter, call: Call) -> Call:
    """The second operand lies along the axes of the first from `axis` on; at its end without one."""
    other, axis = call.input(1), call.get("axis")
    if call.get("broadcast", 0) and axis is not None:
        rank, inner = network.rank(call.input(0)), network.shape(other)
        if rank is None or inner is None:
            raise ImportFailed(f"{call.label}: broadcasts along an axis of a value whose shape is not known")
        behind = rank - axis % rank - len(inner)
        if behind < 0:
            raise ImportFailed(f"{call.label}: its second operand {list(inner)} does not fit behind axis {axis}")
        sizes = network.shape(call.input(0)) or ()
        if behind and all(pair[0] in (1, pair[1]) for pair in zip(inner[::-1], sizes[::-1], strict=False)):
            # onnx's evaluator takes numpy's way there, and nothing else runs the file to compare with
            problem = f"broadcasts along axis {axis} what fits at the end too"
            raise ImportFailed(f"{call.label}: {problem}: nothing can check which is meant; convert it to opset 7")
        other = network.op("Reshape", other, _integers([*inner, *[1] * behind]))
    return replace(call, inputs=[call.input(0), other], attributes=_without(call, "broadcast", "axis"))


def _attribute_to_input(*names: str, default: Mapping[str, Any] | None = None) -> _Upgrade:
    """Attributes of integers that are inputs now, in this order behind the first."""

    def upgrade(network: Rewriter, call: Call) -> Call:
        values = [call.get(name, (default or {}).get(name)) for name in names]
        given = ["" if value is None else network.keep(_integers(value)) for value in values]
        while given and not given[-1]:
            given.pop()
        return replace(call, inputs=[call.input(0), *given], attributes=_without(call, *names))

    return upgrade


def _clip(network: Rewriter, call: Call) -> Call:
    bounds = [call.get(name) for name in ("min", "max")]
    given = ["" if b is None else network.keep(np.array(b, network.dtype(call.input(0)))) for b in bounds]
    return replace(call, inputs=[call.input(0), *given], attributes={})


def _pad(network: Rewriter, call: Call) -> Call:
    pads = network.keep(_integers(call.get("pads", call.get("paddings"))))
    inputs = [call.input(0), pads]
    if call.get("mode", "constant") == "constant":
        inputs.append(network.keep(np.array(call.get("value", 0.0), network.dtype(call.input(0)))))
    return replace(call, inputs=inputs, attributes=_without(call, "pads", "paddings", "value"))


def _dropout(network: Rewriter, call: Call) -> Sequence[str]:
    shape, data = network.shape(call.input(0)), call.input(0)
    if not call.output(1) or shape is None:
        return [data]
    return [data, network.keep(np.ones(shape, bool if call.opset >= 10 else network.dtype(data)))]


def _flattening(network: Rewriter, call: Call) -> Call | Sequence[str]:
    """Softmax, LogSoftmax and Hardmax over all axes from one on."""
    shape = network.shape(call.input(0))
    if shape is None:
        raise ImportFailed(f"{call.label}: the shape of its input is not known")
    axis = call.get("axis", 1) % max(len(shape), 1)
    if axis == len(shape) - 1:
        return replace(call, attributes={"axis": -1})
    flat = network.op("Flatten", call.input(0), axis=axis)
    return [network.op("Reshape", network.op(call.operator, flat, axis=-1), _integers(shape))]


def _batch_norm(network: Rewriter, call: Call) -> Call | Sequence[str]:
    if any(call.outputs[1:]):
        raise ImportFailed(f"{call.label}: statistics of training as outputs, in the form of opset {call.opset}")
    if call.get("spatial", 1) == 0:  # each place by itself
        data, scale, offset, mean, variance = call.inputs[:5]
        least = np.array(call.get("epsilon", 1e-5), network.dtype(variance))
        spread = network.op("Sqrt", network.op("Add", variance, least))
        normal = network.op("Div", network.op("Sub", data, mean), spread)
        return [network.op("Add", network.op("Mul", normal, scale), offset)]
    return replace(call, outputs=call.outputs[:1], attributes=_without(call, "spatial"))


def _cast(network: Rewriter, call: Call) -> Call:
    from onnx import TensorProto

    to = call.get("to")
    return replace(call, attributes={"to": TensorProto.DataType.Value(to.upper()) if isinstance(to, str) else to})


def _concat(network: Rewriter, call: Call) -> Call:
    return replace(call, attributes={"axis": call.get("axis", 1)})


def _prelu(network: Rewriter, call: Call) -> Call:
    """One slope, or one for each channel."""
    slope, rank = network.shape(call.input(1)), network.rank(call.input(0))
    if slope is None or rank is None or len(slope) != 1 or slope == (1,) or rank < 2:
        return call
    column = network.op("Reshape", call.input(1), _integers([slope[0], *[1] * (rank - 2)]))
    return replace(call, inputs=[call.input(0), column])


def _tile(network: Rewriter, call: Call) -> Call:
    """Of opset 1: how often, and along which axis."""
    count, axis, rank = network.constant(call.input(1)), network.constant(call.input(2)), network.rank(call.input(0))
    if count is None or axis is None or rank is None:
        raise ImportFailed(f"{call.label}: how often it repeats depends on data")
    repeats = np.ones(rank, np.int64)
    repeats[int(axis.reshape(-1)[0])] = int(count.reshape(-1)[0])
    return replace(call, inputs=[call.input(0), network.keep(repeats)])


def _upsample(network: Rewriter, call: Call) -> Call:
    scales = call.get("scales") or [1.0, 1.0, call.get("height_scale", 1.0), call.get("width_scale", 1.0)]
    given = call.input(1) or network.keep(np.array(scales, np.float32))
    mode = call.get("mode", "nearest")
    return _as_resize(call, given, mode)


def _resize(network: Rewriter, call: Call) -> Call:
    return _as_resize(call, call.input(1), call.get("mode", "nearest"))


def _as_resize(call: Call, scales: str, mode: str) -> Call:
    attributes = {"mode": "linear" if mode in ("linear", "bilinear") else mode}
    attributes["coordinate_transformation_mode"] = "asymmetric"
    if mode == "nearest":
        attributes["nearest_mode"] = "floor"
    return replace(call, operator="Resize", inputs=[call.input(0), "", scales], attributes=attributes)


def _selu(network: Rewriter, call: Call) -> Call:
    return replace(call, attributes={"alpha": 1.6732, "gamma": 1.0507, **call.attributes})


def _renamed(operator: str) -> _Upgrade:
    return lambda network, call: replace(call, operator=operator)


def _dropping(*names: str) -> _Upgrade:
    return lambda network, call: replace(call, attributes=_without(call, *names))


_AXES = _attribute_to_input("axes")
_COMPARED = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")

_UPGRADES: tuple[tuple[int, Mapping[str, _Upgrade]], ...] = (
    (4, {"Concat": _concat}),
    (5, {"Reshape": _attribute_to_input("shape")}),
    (6, {"Cast": _cast, "Tile": _tile, "Selu": _selu}),
    (7, {**dict.fromkeys(_COMPARED, _broadcast), "Gemm": _dropping("broadcast"), "PRelu": _prelu}),
    (10, {"Slice": _attribute_to_input("starts", "ends", "axes"), "TopK": _attribute_to_input("k")}),
    (11, {"Clip": _clip, "Pad": _pad, "Resize": _resize, "Upsample": _upsample}),
    (12, {"Dropout": _dropout}),
    (
        13,
        {
            "Squeeze": _AXES,
            "Unsqueeze": _AXES,
            "ReduceSum": _AXES,
            "Split": _attribute_to_input("split"),
            "Softmax": _flattening,
            "LogSoftmax": _flattening,
            "Hardmax": _flattening,
            "BatchNormalization": _batch_norm,
            "Upsample": _upsample,
            "Scatter": _renamed("ScatterElements"),
            **dict.fromkeys(("RNN", "GRU", "LSTM"), _dropping("output_sequence")),
        },
    ),
)
"""Opset since when -> operators that have had another form before."""

UPGRADED = frozenset(operator for _, upgrades in _UPGRADES for operator in upgrades)
"""Operators whose older forms are written anew."""
