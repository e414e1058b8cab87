"""Operators of TFLite on whole tensors whose options TVM's converter leaves out of account, in Relax."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tflite
from tvm import relax
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter

from sweep.toolchain.models.tflite.operator_options import options_of
from sweep.toolchain.models.tflite.tflite_spectra import TfliteSpectra

__all__ = ["TfliteArithmetic"]

_CUBIC = 0.044715
"""Of the approximation of GELU by a hyperbolic tangent."""


class TfliteArithmetic(TfliteSpectra):
    """Those that would be something else."""

    def convert_softmax(self, op: Any) -> Any:
        """As TVM's, and of values times `beta`."""
        options = options_of(op, tflite.SoftmaxOptions())
        if options.Beta() == 1.0:
            return super().convert_softmax(op)
        (source,), (target,) = self.get_input_tensors(op), self.get_output_tensors(op)
        value = self.get_tensor_expr(source)
        value = self.dequantize(value, source) if source.qnn_params else value
        value = relax.op.nn.softmax(relax.op.multiply(value, relax.const(float(options.Beta()), "float32")), axis=-1)
        return self.quantize(value, target) if target.qnn_params else value

    def convert_gelu(self, op: Any) -> Any:
        """As TVM's, and its approximation where the file asks for it."""
        options = options_of(op, tflite.GeluOptions())
        if not options.Approximate():
            return super().convert_gelu(op)
        (source,) = self.get_input_tensors(op)
        value = self.get_tensor_expr(source)

        def times(one: Any, number: float) -> Any:
            return relax.op.multiply(one, relax.const(number, "float32"))

        cube = relax.op.multiply(relax.op.multiply(value, value), value)
        inner = times(relax.op.add(value, times(cube, _CUBIC)), math.sqrt(2 / math.pi))
        return times(relax.op.multiply(value, relax.op.add(relax.op.tanh(inner), relax.const(1.0, "float32"))), 0.5)

    def convert_cast(self, op: Any) -> Any:
        """To the type of the output: the options of an operator may say nothing. Of complex values the real parts."""
        (source,), (target,) = self.get_input_tensors(op), self.get_output_tensors(op)
        is_complex = source.tensor.Type() == tflite.TensorType.COMPLEX64
        value = self.real_part(source) if is_complex else self.get_tensor_expr(source)
        return relax.op.astype(value, self.get_tensor_type_str(target.tensor.Type()))

    def convert_fully_connected(self, op: Any) -> Any:
        """As TVM's, of rows as long as those of the weights: an image is one row, and what comes out has two
        dimensions, unless the file keeps those that it had.
        """
        source, weights = self.get_input_tensors(op)[:2]
        options = options_of(op, tflite.FullyConnectedOptions())
        if options.KeepNumDims() or not self.has_expr(source.tensor_idx):
            return super().convert_fully_connected(op)
        value = OperatorConverter.get_expr(self, source.tensor_idx)
        length = int(self.get_tensor_shape(weights)[-1])
        shape = [int(size) for size in value.ty.shape.values]
        if len(shape) == 2 and shape[1] == length:
            return super().convert_fully_connected(op)
        rows = self.bb.emit(relax.op.reshape(value, [int(np.prod(shape)) // length, length]))
        name = self.subgraph.Tensors(source.tensor_idx).name
        self.exp_tab.set_expr(name, rows, force_override=True)
        try:
            return super().convert_fully_connected(op)
        finally:
            self.exp_tab.set_expr(name, value, force_override=True)
