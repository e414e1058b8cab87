"""The content of an ONNX network's large weights, taken out of it and put back.

Protobuf copies all of a message on the way to each library, and takes 2 GB at most. Of a network without the content of
its weights that is nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from sweep.toolchain.weights_file import SMALLEST_BYTES, Span

__all__ = ["attach", "detach", "refer"]


def detach(model: Any, *, keep: Container[str] = (), only_floats: bool = False) -> dict[str, bytes]:
    """Take the content of large weights out, in place; returns it by the weight's name.

    keep: weights that stay as they are. only_floats: others may decide a shape.
    """
    from onnx import TensorProto

    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
    content: dict[str, bytes] = {}
    for tensor in model.graph.initializer:
        if tensor.name in keep or (only_floats and tensor.data_type not in floats):
            continue
        data = _content(tensor)
        if len(data) >= SMALLEST_BYTES:
            content[tensor.name] = data
            for field in ("raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data"):
                tensor.ClearField(field)
            tensor.data_location = TensorProto.EXTERNAL
    return content


def refer(model: Any, file: str, spans: Mapping[str, Span]) -> None:
    """Let weights that were taken out name a file beside the network's, in place."""
    for tensor in model.graph.initializer:
        if tensor.name in spans:
            span = spans[tensor.name]
            place = {"location": file, "offset": str(span.offset_bytes), "length": str(span.size_bytes)}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=value)


def attach(model: Any, content: Mapping[str, bytes]) -> None:
    """Put the content of weights back, in place."""
    for tensor in model.graph.initializer:
        if tensor.name in content:
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = content[tensor.name]


def _content(tensor: Any) -> bytes:
    """Of a tensor, little-endian; nothing where it has no such form."""
    from onnx import TensorProto, numpy_helper

    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    if tensor.data_type in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64):
        return bytes(numpy_helper.to_array(tensor).tobytes())
    return b""
