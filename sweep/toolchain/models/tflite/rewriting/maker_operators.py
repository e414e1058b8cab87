"""Operators of a maker's own as builtin ones of TFLite, where there are such."""

from __future__ import annotations

import struct

from sweep.errors import ImportFailed
from sweep.toolchain.models.tflite.rewriting.file_parts import FileParts, Operator
from sweep.toolchain.models.tflite.rewriting.flatbuffer_front import Numbers, Scalar, TableNode

__all__ = ["KNOWN", "as_builtin", "has_known"]

_TRANSPOSE_CONV, _WITH_BIAS, _OPTIONS = 67, 3, 49
"""`BuiltinOperator`, its version that takes a bias, and the number of its options among `BuiltinOptions`."""
_SAME, _VALID = 1, 2
"""As the parameters of a kernel have it; the schema has 0 and 1."""


def has_known(parts: FileParts) -> bool:
    """Whether there is one to replace."""
    return any(operator.custom in KNOWN for operator in parts.operators)


def as_builtin(parts: FileParts) -> list[str]:
    """Change the parts; the names of what was replaced. Raises ImportFailed."""
    found = []
    for operator in parts.operators:
        if operator.custom in KNOWN:
            KNOWN[operator.custom](parts, operator)
            found.append(operator.custom)
    return found


def _transposed_convolution(parts: FileParts, operator: Operator) -> None:
    """MediaPipe's: input, weights as [out, height, width, in], bias; padding and strides as the kernel's struct."""
    span = operator.table.span(5, 1)
    raw = b"" if span is None else bytes(parts.content[span.start : span.start + span.length])
    if len(raw) < 12 or len(operator.inputs) != 3:
        raise ImportFailed(f"{operator.custom} has not the options and inputs that it takes")
    padding, stride_w, stride_h = struct.unpack_from("<3i", raw)
    if padding not in (_SAME, _VALID) or min(stride_w, stride_h) < 1:
        raise ImportFailed(f"{operator.custom} has a padding or strides that are none")
    source, weights, bias = operator.inputs
    sizes = parts.tensor_tables[operator.outputs[0]].numbers(0, "i")
    code = parts.add_code(_TRANSPOSE_CONV, _WITH_BIAS)
    shape = parts.add_integers(f"{operator.custom}_{len(parts.tensors)}_shape", sizes)
    options = TableNode({0: Scalar("b", padding - 1), 1: Scalar("i", stride_w), 2: Scalar("i", stride_h)})
    operator.node = TableNode(
        {
            0: Scalar("I", code),
            1: Numbers([shape, weights, source, bias]),
            2: Numbers(operator.outputs),
            3: Scalar("B", _OPTIONS),
            4: options,
        }
    )


KNOWN = {"Convolution2DTransposeBias": _transposed_convolution}
