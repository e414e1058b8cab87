"""An ONNX network as JSON and arrays, and back to the same network.

The JSON is that of protobuf itself. The numbers of initialisers and of constant nodes are arrays beside it, by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["onnx_document", "onnx_of"]

_NUMBERS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "external_data")
_STRING = 8
"""`TensorProto.STRING`: texts stay in the JSON."""


def onnx_document(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The network of a file as JSON has it, and its arrays."""
    import onnx
    from google.protobuf import json_format
    from onnx import numpy_helper

    model = onnx.load(path)
    arrays: dict[str, NDArray[Any]] = {}
    for key, tensor in _tensors(model):
        array = numpy_helper.to_array(tensor)
        arrays[key] = _stored(array)
        for field in _NUMBERS:
            tensor.ClearField(field)
        tensor.ClearField("data_location")
    return json_format.MessageToDict(model, preserving_proto_field_name=True), arrays


def onnx_of(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The network as the onnx package has it. Raises KeyError where an array is missing, ValueError where one is of
    another size, and what protobuf raises for what is no network.
    """
    import onnx
    from google.protobuf import json_format

    model = json_format.ParseDict(dict(document), onnx.ModelProto())
    for key, tensor in _tensors(model):
        tensor.raw_data = arrays[key].tobytes()
    return model


def _tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """Initialisers and the values of constant nodes, each by a name that no other has."""
    taken: set[str] = set()
    for name, tensor in _of_graph(model.graph):
        if tensor.data_type != _STRING:
            key = name
            while key in taken:  # a body of a loop may have names of its own
                key += "'"
            taken.add(key)
            yield key, tensor


def _of_graph(graph: Any) -> Iterator[tuple[str, Any]]:
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield node.output[0], attribute.t
            for body in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from _of_graph(body)


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    """As a file of arrays keeps it: types that numpy lacks by their bytes, and little-endian as ONNX has them."""
    import numpy as np

    if array.dtype.kind in "fiub" and array.dtype.isbuiltin:
        return np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return np.frombuffer(array.tobytes(), np.uint8)
