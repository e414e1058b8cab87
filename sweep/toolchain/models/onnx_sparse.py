"""Sparse tensors of ONNX files as the dense ones that they stand for, which is all that TVM's importer reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed

__all__ = ["make_dense"]


def make_dense(model: Any, most_bytes: int) -> None:
    """In place, of all graphs of a model. Raises ImportFailed for one that would take more than `most_bytes`."""
    from onnx import numpy_helper

    for graph in _graphs(model.graph):
        for sparse in graph.sparse_initializer:
            graph.initializer.append(numpy_helper.from_array(_dense(sparse, most_bytes), sparse.values.name))
        del graph.sparse_initializer[:]
        for node in graph.node:
            for attribute in node.attribute if node.op_type == "Constant" else ():
                if attribute.HasField("sparse_tensor"):
                    tensor = numpy_helper.from_array(_dense(attribute.sparse_tensor, most_bytes), node.output[0])
                    attribute.Clear()
                    attribute.name, attribute.type = "value", attribute.TENSOR
                    attribute.t.CopyFrom(tensor)


def _graphs(graph: Any) -> Iterator[Any]:
    """One, and those of its control flow."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _dense(sparse: Any, most_bytes: int) -> npt.NDArray[Any]:
    from onnx import numpy_helper

    name, shape = sparse.values.name[:80], tuple(sparse.dims)
    try:
        values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
        if values.dtype.kind in "OSU":
            raise ImportFailed(f"the sparse tensor {name!r} holds texts: a compiled network holds numbers alone")
        if math.prod(shape) * values.itemsize > most_bytes:
            raise ImportFailed(f"the sparse tensor {name!r} of the shape {list(shape)} does not fit into memory")
        whole = np.zeros(shape, values.dtype)
        if places.ndim == 2:
            whole[tuple(places.T)] = values
        else:
            whole.reshape(-1)[places] = values
    except (IndexError, ValueError, TypeError) as error:
        raise ImportFailed(f"the sparse tensor {name!r} is damaged: its values do not fit its shape") from error
    return whole
