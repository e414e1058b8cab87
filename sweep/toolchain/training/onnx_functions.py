"""What operators of ONNX compute, in torch, so that gradients flow through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["FUNCTIONS", "attributes_of"]

Function = Callable[[Sequence[Any], dict[str, Any]], Any]
"""Of the inputs, None where one is left out, and the attributes by name."""


def attributes_of(node: Any) -> dict[str, Any]:
    """By name, as Python has them."""
    from onnx import helper

    told = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in told.items()}


def _padded(data: Any, told: dict[str, Any], kernel: Sequence[int], fill: float = 0.0) -> Any:
    """The input with what a window adds at its edges."""
    from torch.nn import functional as f

    rank, mode = len(kernel), told.get("auto_pad", "NOTSET")
    strides, dilations = told.get("strides", [1] * rank), told.get("dilations", [1] * rank)
    pads = list(told.get("pads", [0] * (2 * rank)))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = [0] * (2 * rank)
        for axis, size in enumerate(data.shape[2:]):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max(0, (math.ceil(size / strides[axis]) - 1) * strides[axis] + reach - size)
            less, more = total // 2, total - total // 2
            pads[axis], pads[axis + rank] = (less, more) if mode == "SAME_UPPER" else (more, less)
    if not any(pads):
        return data
    flat = [pads[axis + side * rank] for axis in range(rank - 1, -1, -1) for side in (0, 1)]
    return f.pad(data, flat, value=fill)


def _convolution(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    from torch.nn import functional as f

    data, weight, *bias = inputs
    kernel = weight.shape[2:]
    apply = {1: f.conv1d, 2: f.conv2d, 3: f.conv3d}[len(kernel)]
    strides, dilations = told.get("strides", 1), told.get("dilations", 1)
    one = bias[0] if bias else None
    return apply(_padded(data, told, kernel), weight, one, strides, 0, dilations, told.get("group", 1))


def _dense(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    data, weight, *bias = inputs
    data = data.T if told.get("transA", 0) else data
    weight = weight.T if told.get("transB", 0) else weight
    product = told.get("alpha", 1.0) * (data @ weight)
    return product + told.get("beta", 1.0) * bias[0] if bias and bias[0] is not None else product


def _largest(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    from torch.nn import functional as f

    kernel = told["kernel_shape"]
    apply = {1: f.max_pool1d, 2: f.max_pool2d, 3: f.max_pool3d}[len(kernel)]
    data, strides = _padded(inputs[0], told, kernel, -math.inf), told.get("strides", [1] * len(kernel))
    return apply(data, kernel, strides, 0, told.get("dilations", 1), bool(told.get("ceil_mode", 0)))


def _mean(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    import torch
    from torch.nn import functional as f

    kernel = told["kernel_shape"]
    apply = {1: f.avg_pool1d, 2: f.avg_pool2d, 3: f.avg_pool3d}[len(kernel)]
    strides, ceils = told.get("strides", [1] * len(kernel)), bool(told.get("ceil_mode", 0))
    mean = apply(_padded(inputs[0], told, kernel), kernel, strides, 0, ceils)
    if told.get("count_include_pad", 0) or not any(told.get("pads", ())):
        return mean
    return mean / apply(_padded(torch.ones_like(inputs[0]), told, kernel), kernel, strides, 0, ceils)


def _reduced(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    data = inputs[0]
    axes = told.get("axes") if len(inputs) < 2 or inputs[1] is None else inputs[1].tolist()
    axes = list(range(data.dim())) if axes is None else axes
    return data.mean(dim=axes, keepdim=bool(told.get("keepdims", 1)))


def _reshaped(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    data, shape = inputs[0], inputs[1].tolist()
    return data.reshape([data.shape[at] if size == 0 else size for at, size in enumerate(shape)])


def _squeezed(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    axes = inputs[1].tolist() if len(inputs) > 1 else told.get("axes")
    if axes is None:
        return inputs[0].squeeze()
    return inputs[0].squeeze(tuple(axis % inputs[0].dim() for axis in axes))


def _unsqueezed(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    data, axes = inputs[0], inputs[1].tolist() if len(inputs) > 1 else told["axes"]
    rank = data.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        data = data.unsqueeze(axis)
    return data


def _clipped(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    import torch

    low = inputs[1] if len(inputs) > 1 else told.get("min")
    high = inputs[2] if len(inputs) > 2 else told.get("max")
    return torch.clamp(inputs[0], None if low is None else float(low), None if high is None else float(high))


def _joined(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    import torch

    return torch.cat(list(inputs), dim=told["axis"])


def _split(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    return tuple(inputs[0].split(inputs[1].tolist(), dim=told.get("axis", 0)))


def _sliced(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    data, starts, ends = inputs[0], inputs[1].tolist(), inputs[2].tolist()
    axes = inputs[3].tolist() if len(inputs) > 3 and inputs[3] is not None else range(len(starts))
    steps = inputs[4].tolist() if len(inputs) > 4 else [1] * len(starts)
    places = [slice(None)] * data.dim()
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places[axis] = slice(start, end, step)
    return data[tuple(places)]


def _transposed(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    return inputs[0].permute(told.get("perm", list(range(inputs[0].dim() - 1, -1, -1))))


def _flattened(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
    axis = told.get("axis", 1)
    return inputs[0].reshape(math.prod(inputs[0].shape[:axis]), -1)


def _of_torch(name: str, **renamed: str) -> Function:
    """A function of `torch.nn.functional` of one input; renamed: its arguments by attribute."""

    def apply(inputs: Sequence[Any], told: dict[str, Any]) -> Any:
        from torch.nn import functional as f

        return getattr(f, name)(inputs[0], **{renamed[key]: value for key, value in told.items() if key in renamed})

    return apply


FUNCTIONS: dict[str, Function] = {
    "Add": lambda inputs, told: inputs[0] + inputs[1],
    "AveragePool": _mean,
    "Clip": _clipped,
    "Concat": _joined,
    "Conv": _convolution,
    "Div": lambda inputs, told: inputs[0] / inputs[1],
    "Elu": _of_torch("elu", alpha="alpha"),
    "Flatten": _flattened,
    "Gemm": _dense,
    "GlobalAveragePool": lambda inputs, told: inputs[0].mean(dim=tuple(range(2, inputs[0].dim())), keepdim=True),
    "HardSigmoid": lambda inputs, told: (told.get("alpha", 0.2) * inputs[0] + told.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _of_torch("hardswish"),
    "Identity": lambda inputs, told: inputs[0],
    "LeakyRelu": lambda inputs, told: inputs[0].where(inputs[0] >= 0, told.get("alpha", 0.01) * inputs[0]),
    "LogSoftmax": lambda inputs, told: inputs[0].log_softmax(dim=told.get("axis", -1)),
    "MatMul": lambda inputs, told: inputs[0] @ inputs[1],
    "MaxPool": _largest,
    "Mul": lambda inputs, told: inputs[0] * inputs[1],
    "ReduceMean": _reduced,
    "Relu": _of_torch("relu"),
    "Reshape": _reshaped,
    "Sigmoid": lambda inputs, told: inputs[0].sigmoid(),
    "Slice": _sliced,
    "Softmax": lambda inputs, told: inputs[0].softmax(dim=told.get("axis", -1)),
    "Split": _split,
    "Squeeze": _squeezed,
    "Sub": lambda inputs, told: inputs[0] - inputs[1],
    "Tanh": lambda inputs, told: inputs[0].tanh(),
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}
