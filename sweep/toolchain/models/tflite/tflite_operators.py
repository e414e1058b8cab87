"""Operators of TFLite that TVM's converter lacks in part or does otherwise: in Relax, on what its tensors are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tflite
from tvm import relax

from sweep.toolchain.models.tflite.float_views import dequantised
from sweep.toolchain.models.tflite.operator_options import options_of
from sweep.toolchain.models.tflite.tflite_arithmetic import TfliteArithmetic
from sweep.toolchain.models.tflite.tflite_indexing import TfliteIndexing

__all__ = ["TfliteOperators"]

_ROUNDING = 0.5 + 2.0**-12
"""Half a step, and what the division of a sum may be off: two values of a window of 2,048 lie further apart."""


class TfliteOperators(TfliteArithmetic, TfliteIndexing):
    """The operators. `TfliteConverter` says what their tensors are."""

    def convert_densify(self, op: Any) -> None:
        """A sparse constant, whole."""
        (source,), (target,) = self.get_input_tensors(op), self.get_output_tensors(op)
        self.set_prefetched_node(target.tensor_idx, self.get_tensor_value(source))

    def convert_dequantize(self, op: Any) -> Any:
        """Real numbers; of a constant they are made here."""
        (source,), (target,) = self.get_input_tensors(op), self.get_output_tensors(op)
        is_half = source.tensor.Type() == tflite.TensorType.FLOAT16
        if not self.has_expr(source.tensor_idx):
            values = self.get_tensor_value(source)
            values = values.astype(np.float32) if is_half else dequantised(values, source.tensor)
            self.set_prefetched_node(target.tensor_idx, values)
            return None
        value = self.get_expr(source.tensor_idx)
        return relax.op.astype(value, "float32") if is_half else self.dequantize(value, source)

    def convert_expand_dims(self, op: Any) -> Any:
        """A dimension more. TVM's calls its operator with an argument that it does not take."""
        source, place = self.get_input_tensors(op)
        axis = int(np.asarray(self.get_tensor_value(place)).flat[0])
        return relax.op.expand_dims(self.get_tensor_expr(source), axis)

    def convert_reshape(self, op: Any) -> Any:
        """As TVM's, which takes no shape that the network computes: the file tells what it comes to for its inputs."""
        tensors = self.get_input_tensors(op)
        if len(tensors) < 2 or not self.has_expr(tensors[1].tensor_idx):
            return super().convert_reshape(op)
        (target,) = self.get_output_tensors(op)
        shape = [int(size) for size in target.tensor.ShapeAsNumpy()]
        return relax.op.reshape(self.get_tensor_expr(tensors[0]), shape)

    def convert_pool2d(self, op: Any, pool_type: str) -> Any:
        """As TVM's; averages of integers are rounded, half a step away from 0. TVM drops what is behind the point."""
        (source,), (target,) = self.get_input_tensors(op), self.get_output_tensors(op)
        if pool_type != "average" or not source.qnn_params:
            return super().convert_pool2d(op, pool_type)
        averages = self._float_pool(op, source)
        rounded = relax.op.multiply(
            relax.op.sign(averages), relax.op.floor(relax.op.add(relax.op.abs(averages), relax.const(_ROUNDING)))
        )
        dtype = self.get_tensor_type_str(target.tensor.Type())
        return self.convert_qnn_fused_activation_function(
            expr=relax.op.astype(rounded, dtype),
            fused_activation_fn=options_of(op, tflite.Pool2DOptions()).FusedActivationFunction(),
            scale=float(target.qnn_params["scale"].value.numpy()),
            zero_point=int(target.qnn_params["zero_point"].value.numpy()),
            dtype=dtype,
        )

    def _float_pool(self, op: Any, source: Any) -> Any:
        options = options_of(op, tflite.Pool2DOptions())
        sizes = self.get_tensor_shape(source)[1:3]
        windows, strides = (options.FilterHeight(), options.FilterWidth()), (options.StrideH(), options.StrideW())
        pads = [(0, 0), (0, 0)]
        if options.Padding() == tflite.Padding.SAME:
            pads = [
                _same_pads(int(size), window, stride)
                for size, window, stride in zip(sizes, windows, strides, strict=True)
            ]
        around = [pad[0] for pad in pads] + [pad[1] for pad in pads]
        values = relax.op.astype(self.get_expr(source.tensor_idx), "float32")
        return relax.op.nn.avg_pool2d(values, windows, strides, around, layout="NHWC", count_include_pad=False)

    def convert_batch_matmul(self, op: Any) -> Any:
        """A product of the last two dimensions; the others are broadcast."""
        options = options_of(op, tflite.BatchMatMulOptions())
        left, right = (self.get_tensor_expr(wrapper) for wrapper in self.get_input_tensors(op))
        return relax.op.matmul(_turned(left, options.AdjX()), _turned(right, options.AdjY()))

    def convert_transpose_conv(self, op: Any) -> Any:
        """A transposed convolution in NCHW, the only layout that TVM generates code for; the output has the size that
        the file says, whatever the kernel reaches.
        """
        shape_of_output, weights, source, *bias = self.get_input_tensors(op)
        options = options_of(op, tflite.TransposeConvOptions())
        kernel = self.get_tensor_expr(weights)
        _, *windows, _ = (int(size) for size in self.get_tensor_shape(weights))
        _, *sizes, _ = (int(size) for size in self.get_tensor_shape(source))
        _, *wanted, _ = (int(size) for size in self.get_tensor_value(shape_of_output))
        strides = (options.StrideH(), options.StrideW())
        is_same = options.Padding() == tflite.Padding.SAME
        before, after = [], []
        for size, out, window, stride in zip(sizes, wanted, windows, strides, strict=True):
            reaches = (size - 1) * stride + window
            before.append(_same_pads(out, window, stride)[0] if is_same else 0)
            after.append(reaches - before[-1] - out)
        result = relax.op.nn.conv2d_transpose(
            relax.op.permute_dims(self.get_expr(source.tensor_idx), [0, 3, 1, 2]),
            relax.op.permute_dims(kernel, [3, 0, 1, 2]),
            strides=strides,
            padding=[*before, *(max(0, cut) for cut in after)],
            data_layout="NCHW",
            kernel_layout="IOHW",
        )
        result = relax.op.permute_dims(result, [0, 2, 3, 1])
        if min(after) < 0:
            result = relax.op.nn.pad(result, [0, 0, 0, max(0, -after[0]), 0, max(0, -after[1]), 0, 0])
        if bias and bias[0].tensor_idx >= 0:
            result = relax.op.add(result, self.get_tensor_expr(bias[0]))
        return self.convert_fused_activation_function(result, options.FusedActivationFunction())

    def convert_space_to_batch_nd(self, op: Any) -> Any:
        """Padded, and cut into blocks, whose places become the batch."""
        source, blocks, pads = self.get_input_tensors(op)
        sizes = [int(size) for size in self.get_tensor_shape(source)]
        block = [int(size) for size in self.get_tensor_value(blocks)]
        around = [int(size) for size in self.get_tensor_value(pads).reshape(-1)]
        whole = [sizes[i + 1] + around[2 * i] + around[2 * i + 1] for i in range(len(block))]
        rest = sizes[len(block) + 1 :]
        value = relax.op.nn.pad(self.get_expr(source.tensor_idx), [0, 0, *around, *[0] * 2 * len(rest)])
        cut = [part for size, step in zip(whole, block, strict=True) for part in (size // step, step)]
        value = relax.op.reshape(value, [sizes[0], *cut, *rest])
        count = len(block)
        order = [
            *range(2, 2 * count + 1, 2),
            0,
            *range(1, 2 * count, 2),
            *range(2 * count + 1, 2 * count + 1 + len(rest)),
        ]
        places = [size // step for size, step in zip(whole, block, strict=True)]
        return relax.op.reshape(relax.op.permute_dims(value, order), [sizes[0] * math.prod(block), *places, *rest])

    def convert_batch_to_space_nd(self, op: Any) -> Any:
        """Blocks laid beside each other, and cropped."""
        source, blocks, crops = self.get_input_tensors(op)
        batch, *sizes = (int(size) for size in self.get_tensor_shape(source))
        block = [int(size) for size in self.get_tensor_value(blocks)]
        around = [int(size) for size in self.get_tensor_value(crops).reshape(-1)]
        count, rest = len(block), sizes[len(block) :]
        value = relax.op.reshape(self.get_expr(source.tensor_idx), [*block, batch // math.prod(block), *sizes])
        pairs = [axis for i in range(count) for axis in (count + 1 + i, i)]
        value = relax.op.permute_dims(value, [count, *pairs, *range(2 * count + 1, 2 * count + 1 + len(rest))])
        whole = [size * step for size, step in zip(sizes, block, strict=False)]
        value = relax.op.reshape(value, [batch // math.prod(block), *whole, *rest])
        begins = [around[2 * i] for i in range(count)]
        ends = [whole[i] - around[2 * i + 1] for i in range(count)]
        return relax.op.strided_slice(value, axes=list(range(1, count + 1)), begin=begins, end=ends)


def _same_pads(size: int, window: int, stride: int) -> tuple[int, int]:
    """What is added before and behind, so that each stride begins a window."""
    total = max(0, (math.ceil(size / stride) - 1) * stride + window - size)
    return total // 2, total - total // 2


def _turned(value: Any, is_turned: bool) -> Any:
    if not is_turned:
        return value
    axes = list(range(len(value.ty.shape)))
    return relax.op.permute_dims(value, [*axes[:-2], axes[-1], axes[-2]])
