"""A TFLite model as TVM's importer asks for it, with a name of its own for each tensor, and shapes that may be others
than the file's. Nothing is copied: the flatbuffer stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import tflite

__all__ = ["ModelView", "TensorView", "stored_values", "type_names"]

Shapes = Mapping[int, Sequence[int]]
Values = Mapping[int, Any]

_INT4 = 17


class TensorView(tflite.Tensor):
    """A tensor of the first graph, or of another."""

    name = ""
    shape: Sequence[int] | None = None
    """None: the file's."""

    def Name(self) -> bytes:  # noqa: N802
        return self.name.encode()

    def ShapeAsNumpy(self) -> Any:  # noqa: N802
        return super().ShapeAsNumpy() if self.shape is None else np.asarray(self.shape, "int32")


class _GraphView(tflite.SubGraph):
    names: Sequence[str] = ()
    shapes: Shapes = MappingProxyType({})
    values: Values = MappingProxyType({})
    """What tensors are that operators make of no input's values."""

    def Tensors(self, j: int) -> TensorView:  # noqa: N802
        own = super().Tensors(j)
        view = TensorView()
        view.Init(own._tab.Bytes, own._tab.Pos)
        view.name, view.shape = self.names[j], self.shapes.get(j)
        return view


class ModelView(tflite.Model):
    """A model whose graphs have these names for their tensors, and the first one these shapes where they differ."""

    names: Sequence[Sequence[str]] = ()
    shapes: Shapes = MappingProxyType({})
    values: Values = MappingProxyType({})

    @classmethod
    def of(
        cls, content: bytes, names: Sequence[Sequence[str]], shapes: Shapes, values: Values = MappingProxyType({})
    ) -> ModelView:
        """A view of a file's bytes, which an outline has been read of: nothing is checked here."""
        own = tflite.Model.GetRootAs(content, 0)
        view = cls()
        view.Init(own._tab.Bytes, own._tab.Pos)
        view.names, view.shapes, view.values = names, shapes, values
        return view

    def Subgraphs(self, j: int) -> _GraphView:  # noqa: N802
        own = super().Subgraphs(j)
        view = _GraphView()
        view.Init(own._tab.Bytes, own._tab.Pos)
        view.names = self.names[j]
        if j == 0:
            view.shapes, view.values = self.shapes, self.values
        return view


def type_names() -> dict[int, str]:
    """By the number of a `TensorType`, numpy's name where it has one."""
    kinds = {"FLOAT32", "FLOAT16", "FLOAT64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
    found = {getattr(tflite.TensorType, kind): kind.lower() for kind in kinds if hasattr(tflite.TensorType, kind)}
    return {**found, tflite.TensorType.BOOL: "bool", tflite.TensorType.COMPLEX64: "complex64"}


def stored_values(tensor: Any, buffer: Any) -> Any:
    """The values of a constant as the file stores them, two to a byte where they have four bits; in one dimension."""
    raw = buffer.DataAsNumpy()
    if not isinstance(raw, np.ndarray):  # no content: a state before the first call, or no elements at all
        return np.zeros(int(np.prod(tensor.ShapeAsNumpy())) if tensor.ShapeLength() else 1, _dtype(tensor))
    if tensor.Type() == _INT4:
        count = int(np.prod(tensor.ShapeAsNumpy()))
        halves = np.stack([raw & 0x0F, raw >> 4], axis=1).reshape(-1)[:count].astype(np.int8)
        return np.where(halves > 7, halves - 16, halves).astype(np.int8)
    return np.frombuffer(raw.tobytes(), _dtype(tensor))


def _dtype(tensor: Any) -> Any:
    return np.dtype("int8" if tensor.Type() == _INT4 else type_names()[tensor.Type()])
