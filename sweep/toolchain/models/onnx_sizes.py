"""How large the tensors of an ONNX network will be, before anybody computes them: 148 bytes can ask for terabytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from sweep.errors import ImportFailed

__all__ = ["check_sizes", "check_tensors", "outputs_bytes"]

_SHAPES_BYTES = 1 << 12
"""Of an input whose values may say how large an output is: a shape, a number of repeats."""
_WORD_BYTES = 8


def outputs_bytes(model: Any, feeds: Mapping[str, npt.NDArray[Any]]) -> int | None:
    """Of all outputs of a model of one node, at eight bytes a value; None where ONNX's shape inference cannot tell.

    feeds: values of its inputs; of small ones the values count, of the others the shape.
    """
    from onnx import numpy_helper, shape_inference

    known = type(model)()
    known.CopyFrom(model)
    small = {name: value for name, value in feeds.items() if value.nbytes <= _SHAPES_BYTES}
    known.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in small.items())
    try:
        inferred = shape_inference.infer_shapes(known, data_prop=True).graph
    except Exception:  # noqa: BLE001  (it raises classes of its own of what it finds wrong)
        return None
    sizes = [_values(value) for value in inferred.output]
    return None if None in sizes else sum(size * _WORD_BYTES for size in sizes if size is not None)


def check_sizes(model: Any, most_bytes: int) -> None:
    """Raises ImportFailed for a tensor that takes more, at a byte a value. model: with the shapes of all values."""
    for value in [*model.graph.value_info, *model.graph.output, *model.graph.input]:
        size = _values(value)
        if size is not None and size > most_bytes:
            shape = " x ".join(str(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
            raise ImportFailed(
                f"the tensor {value.name[:80]!r} has {shape} values: more than the {most_bytes / 1e9:.1f} GB of memory "
                "that a job may take on this host"
            )


def check_tensors(model: Any) -> None:
    """Raises ImportFailed for a stored tensor of an unknown type, or with more or fewer bytes than its shape has.

    Weights in other files are the onnx package's to judge, which has read them by now.
    """
    from onnx import TensorProto, helper

    for tensor in model.graph.initializer:
        name, values = tensor.name[:80], math.prod(tensor.dims)
        try:
            dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        except (KeyError, ValueError, TypeError):
            raise ImportFailed(
                f"the tensor {name!r} has a number type that ONNX does not know: {tensor.data_type}"
            ) from None
        if any(size < 0 for size in tensor.dims):
            raise ImportFailed(f"the tensor {name!r} has a shape with a negative size: {list(tensor.dims)}")
        is_packed = dtype.itemsize == 1 and dtype.name not in ("int8", "uint8", "bool")  # some have several in a byte
        if tensor.HasField("raw_data") and tensor.data_location != TensorProto.EXTERNAL and not is_packed:
            stored = len(tensor.raw_data) // max(1, dtype.itemsize)
            if stored != values or len(tensor.raw_data) % max(1, dtype.itemsize):
                shape = " x ".join(map(str, tensor.dims)) or "a scalar"
                raise ImportFailed(
                    f"the tensor {name!r} has {len(tensor.raw_data):,} bytes of {dtype.name}; {shape} has others"
                )


def _values(value: Any) -> int | None:
    """How many values a tensor has; None where that is open."""
    dims = value.type.tensor_type.shape.dim
    if not value.type.tensor_type.HasField("shape") or not all(dim.HasField("dim_value") for dim in dims):
        return None
    return int(math.prod(max(0, dim.dim_value) for dim in dims))
