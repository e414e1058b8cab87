"""Fourier transforms of TFLite, as matrix products. TVM's are programs of their own, for which there are no schedules;
to make one for frames of 2,048 values takes minutes.

Complex values are real ones with a last axis of two.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite
from tvm import relax
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter

from sweep.toolchain.models.tflite.operator_options import options_of

__all__ = ["TfliteSpectra"]

_Array = npt.NDArray[Any]


class TfliteSpectra(OperatorConverter):
    """The transforms."""

    def convert_rfft2d(self, op: Any) -> Any:
        """Of rows alone, which are cut or filled with zeros to their length; of planes as TVM's."""
        source, length = self.get_input_tensors(op)
        shape = [int(size) for size in self.get_tensor_shape(source)]
        height, width = (int(size) for size in self.get_tensor_value(length))
        if (height, shape[-2]) != (1, 1) or width < 1:
            return super().convert_rfft2d(op)
        rows, data = math.prod(shape[:-1]), self.get_tensor_expr(source)
        data = self.bb.emit(relax.op.reshape(data, (rows, shape[-1])))
        if shape[-1] > width:
            data = self.bb.emit(relax.op.strided_slice(data, axes=[1], begin=[0], end=[width]))
        elif shape[-1] < width:
            data = self.bb.emit(relax.op.nn.pad(data, [0, 0, 0, width - shape[-1]]))
        return relax.op.reshape(self._spectrum(data, rows, width), (*shape[:-1], width // 2 + 1, 2))

    def convert_squeeze(self, op: Any) -> Any:
        """Without some dimensions of one value; TVM's takes the last axis of complex values for one of the tensor's."""
        (source,) = self.get_input_tensors(op)
        if source.tensor.Type() != tflite.TensorType.COMPLEX64:
            return super().convert_squeeze(op)
        shape = [int(size) for size in self.get_tensor_shape(source)]
        told = options_of(op, tflite.SqueezeOptions()).SqueezeDimsAsNumpy()
        axes = [int(axis) % len(shape) for axis in told] if isinstance(told, np.ndarray) else range(len(shape))
        gone = {axis for axis in axes if shape[axis] == 1}
        kept = [size for axis, size in enumerate(shape) if axis not in gone]
        return relax.op.reshape(self.get_tensor_expr(source), (*kept, 2))

    def real_part(self, source: Any) -> Any:
        """Of a tensor of complex values."""
        value = self.get_tensor_expr(source)
        last = len(value.ty.shape.values) - 1
        real = self.bb.emit(relax.op.strided_slice(value, axes=[last], begin=[0], end=[1]))
        return self.bb.emit(relax.op.squeeze(real, axis=[last]))

    def _spectrum(self, data: Any, rows: int, width: int) -> Any:
        """Of [rows, width], the first half: [rows, width // 2 + 1, 2].

        Cooley and Tukey's division into two transforms of `outer` and `inner` values, each by its matrix: value n is
        n1 * inner + n2, frequency k is k1 + outer * k2.
        """
        outer = max(factor for factor in range(1, math.isqrt(width) + 1) if width % factor == 0)
        inner = width // outer
        emit, op = self.bb.emit, relax.op
        first = _turns(outer, outer, outer)
        table = emit(op.reshape(data, (rows, outer, inner)))
        parts = emit(op.matmul(_constant(np.concatenate([first.real, first.imag])), table))
        real, imaginary = (
            emit(op.strided_slice(parts, axes=[1], begin=[start], end=[start + outer])) for start in (0, outer)
        )
        turned = _turns(outer, inner, width)
        cosine, sine = _constant(turned.real), _constant(turned.imag)
        new_real = emit(op.subtract(op.multiply(real, cosine), op.multiply(imaginary, sine)))
        new_imaginary = emit(op.add(op.multiply(real, sine), op.multiply(imaginary, cosine)))
        second = _turns(inner, inner, inner)
        both = np.block([[second.real, second.imag], [-second.imag, second.real]])
        pairs = emit(op.concat([new_real, new_imaginary], axis=2))
        result = emit(op.reshape(op.matmul(pairs, _constant(both)), (rows, outer, 2, inner)))
        ordered = emit(op.reshape(op.permute_dims(result, [0, 3, 1, 2]), (rows, width, 2)))
        return emit(op.strided_slice(ordered, axes=[1], begin=[0], end=[width // 2 + 1]))


def _turns(rows: int, columns: int, whole: int) -> _Array:
    """exp(-2 pi i * row * column / whole)."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % whole
    angles: _Array = np.exp(-2j * np.pi * turns / whole)
    return angles


def _constant(array: _Array) -> Any:
    return relax.const(np.ascontiguousarray(array, np.float32), "float32")
