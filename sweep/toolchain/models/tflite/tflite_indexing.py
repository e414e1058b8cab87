"""Operators of TFLite that take values by their places, in Relax."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite
from tvm import relax
from tvm.relax.frontend.tflite.tflite_frontend import OperatorConverter

from sweep.toolchain.models.tflite.operator_options import options_of

__all__ = ["TfliteIndexing"]


class TfliteIndexing(OperatorConverter):
    """Those that TVM's converter has otherwise, or only in part, or not at all."""

    def convert_gather(self, op: Any) -> Any:
        """Along an axis, and of each element of a batch by its own indices. TVM takes these for those of all."""
        source, places = self.get_input_tensors(op)
        options = options_of(op, tflite.GatherOptions())
        data, indices = self.get_tensor_expr(source), self.get_tensor_expr(places)
        shape, taken = _shape(data), _shape(indices)
        axis, batch = int(options.Axis()) % max(1, len(shape)), int(options.BatchDims())
        batch += len(taken) if batch < 0 else 0
        if not batch:
            return relax.op.take(data, indices, axis=axis, mode="clip")
        between, behind = list(range(batch, axis)), list(range(axis + 1, len(shape)))
        data = relax.op.permute_dims(data, [*range(batch), axis, *between, *behind])
        rest = [shape[index] for index in (*between, *behind)]
        count, width = int(np.prod(shape[:batch])), int(np.prod(rest))
        data = relax.op.reshape(data, [count, shape[axis], width])
        many = int(np.prod(taken[batch:]))
        indices = relax.op.astype(relax.op.reshape(indices, [count, many, 1]), "int64")
        indices = relax.op.broadcast_to(indices, [count, many, width])
        value = relax.op.gather_elements(data, indices, axis=1)
        value = relax.op.reshape(value, [*shape[:batch], *taken[batch:], *rest])
        new = len(taken) - batch
        order = [
            *range(batch),
            *range(batch + new, batch + new + len(between)),
            *range(batch, batch + new),
            *range(batch + new + len(between), batch + new + len(rest)),
        ]
        return relax.op.permute_dims(value, order)

    def convert_gather_nd(self, op: Any) -> Any:
        """By tuples of indices, the last dimension of these. TVM turns them round."""
        source, places = self.get_input_tensors(op)
        indices = relax.op.astype(self.get_tensor_expr(places), "int64")
        return relax.op.gather_nd(self.get_tensor_expr(source), indices)

    def convert_scatter_nd(self, op: Any) -> Any:
        """Updates that are added up at their places, and zeros elsewhere."""
        places, updates, _ = self.get_input_tensors(op)
        (target,) = self.get_output_tensors(op)
        shape = [int(size) for size in target.tensor.ShapeAsNumpy()]
        zeros = relax.op.zeros(shape, self.get_tensor_type_str(target.tensor.Type()))
        indices = relax.op.astype(self.get_tensor_expr(places), "int64")
        return relax.op.scatter_nd(zeros, indices, self.get_tensor_expr(updates), "add")

    def convert_embedding_lookup(self, op: Any) -> Any:
        """Rows of a table. TVM takes the table for the indices."""
        places, table = self.get_input_tensors(op)
        return relax.op.take(self.get_tensor_expr(table), self.get_tensor_expr(places), axis=0, mode="clip")

    def convert_dynamic_update_slice(self, op: Any) -> Any:
        """A part replaced, from where an input says: it is moved so that it lies inside."""
        source, update, begin = self.get_input_tensors(op)
        whole, value = self.get_tensor_expr(source), self.get_tensor_expr(update)
        begins = relax.op.astype(self.get_tensor_expr(begin), "int64")
        shape, size = _shape(whole), _shape(value)
        inside = None
        for axis, (long, short) in enumerate(zip(shape, size, strict=True)):
            first = relax.op.strided_slice(begins, axes=[0], begin=[axis], end=[axis + 1])
            first = relax.op.minimum(relax.op.maximum(first, _whole(0)), _whole(long - short))
            at = relax.op.subtract(relax.op.arange(0, long, 1, "int64"), first)
            within = relax.op.logical_and(relax.op.greater_equal(at, _whole(0)), relax.op.less(at, _whole(short)))
            within = relax.op.reshape(within, [long if axis == index else 1 for index in range(len(shape))])
            inside = within if inside is None else relax.op.logical_and(inside, within)
            at = relax.op.minimum(relax.op.maximum(at, _whole(0)), _whole(short - 1))
            value = relax.op.take(value, at, axis=axis, mode="clip")
        return whole if inside is None else relax.op.where(inside, value, whole)

    def convert_cumsum(self, op: Any) -> Any:
        """Sums up to each value, or from it on."""
        source, place = self.get_input_tensors(op)
        options = options_of(op, tflite.CumsumOptions())
        value = self.get_tensor_expr(source)
        axis = int(np.asarray(self.get_tensor_value(place)).flat[0]) % len(_shape(value))
        value = relax.op.flip(value, axis) if options.Reverse() else value
        value = relax.op.cumsum(value, axis, exclusive=bool(options.Exclusive()))
        return relax.op.flip(value, axis) if options.Reverse() else value

    def _convert_arg_min_max(self, op: Any, relax_op: Any) -> Any:
        """As TVM's, in the type that the file has."""
        (target,) = self.get_output_tensors(op)
        found = super()._convert_arg_min_max(op, relax_op)
        return relax.op.astype(found, self.get_tensor_type_str(target.tensor.Type()))

    def convert_mirror_pad(self, op: Any) -> Any:
        """As TVM's, and with the edge repeated."""
        options = options_of(op, tflite.MirrorPadOptions())
        if options.Mode() == tflite.MirrorPadMode.REFLECT:
            return super().convert_mirror_pad(op)
        source, around = self.get_input_tensors(op)
        value = self.get_tensor_expr(source)
        for axis, (size, pads) in enumerate(zip(_shape(value), self.get_tensor_value(around).tolist(), strict=True)):
            if any(pads):
                at = np.pad(np.arange(size), pads, mode="symmetric")
                value = relax.op.take(value, relax.const(at, "int64"), axis=axis)
        return value

    def convert_resize_nearest_neighbor(self, op: Any) -> Any:
        """As TVM's; where corners are aligned, the places are rounded."""
        options = options_of(op, tflite.ResizeNearestNeighborOptions())
        if not options.AlignCorners():
            return super().convert_resize_nearest_neighbor(op)
        source, wanted = self.get_input_tensors(op)
        value = self.get_tensor_expr(source)
        shape = _shape(value)
        offset = np.float32(0.5 if options.HalfPixelCenters() else 0)
        for axis, out in enumerate((int(size) for size in self.get_tensor_value(wanted)), start=1):
            size = shape[axis]
            scale = np.float32((size - 1) / (out - 1)) if out > 1 else np.float32(size / out)
            at = np.floor((np.arange(out, dtype=np.float32) + offset) * scale + np.float32(0.5)).astype(np.int64)
            value = relax.op.take(value, relax.const(np.clip(at, 0, size - 1), "int64"), axis=axis)
        return value

    def convert_matrix_diag(self, op: Any) -> Any:
        """The last dimension as a diagonal. TVM's needs a function that is not there when the code runs."""
        (source,) = self.get_input_tensors(op)
        value = self.get_tensor_expr(source)
        size = _shape(value)[-1]
        nothing = source.qnn_params["zero_point"].value.numpy() if source.qnn_params else 0
        other = relax.const(np.asarray(nothing), self.get_tensor_type_str(source.tensor.Type()))
        return relax.op.where(relax.const(np.eye(size, dtype=bool)), relax.op.expand_dims(value, -1), other)


def _shape(value: Any) -> list[int]:
    return [int(size) for size in value.ty.shape.values]


def _whole(number: int) -> Any:
    return relax.const(number, "int64")
