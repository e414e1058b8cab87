"""What is known of the values of a network that is being written: their types, and those that no input changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.typing_of_nodes import OutputTypes

__all__ = ["Array", "KnownValues"]

Array = npt.NDArray[Any]

_SHOWN_TO_INFERENCE = 4096
"""Elements of a constant, up to which it may decide a shape."""


class KnownValues:
    """Values by their names; a name may stand for another value."""

    def __init__(self, infer: OutputTypes, *, watches: bool = False) -> None:
        """watches: whether to look for infinities among the constants."""
        self._infer, self._watches = infer, watches
        self.has_infinities = False
        self._types: dict[str, Any] = {}
        self._constants: dict[str, Array | Any] = {}
        self._alias: dict[str, str] = {}

    def constant(self, name: str) -> Array | None:
        """A value that no input changes."""
        from onnx import numpy_helper

        stored = self._constants.get(self.resolved(name))
        if stored is None or isinstance(stored, np.ndarray):
            return stored
        array: Array = numpy_helper.to_array(stored)
        return array

    @property
    def contradictions(self) -> int:
        """Nodes so far that cannot be computed of inputs of these shapes."""
        return self._infer.contradictions

    def shape(self, name: str) -> tuple[int, ...] | None:
        """None where it is not known, or not whole."""
        return self._infer.shape(self._type(name))

    def element(self, name: str) -> int:
        """The kind of a tensor's elements, as the onnx package numbers it; 0 where it is not known."""
        known = self._type(name)
        return int(known.tensor_type.elem_type) if known is not None else 0

    def dtype(self, name: str) -> np.dtype[Any]:
        """Of a tensor. Raises ImportFailed where it is not known."""
        from onnx import helper

        element = self.element(name)
        if not element:
            raise ImportFailed(f"the type of {name} is not known")
        dtype: np.dtype[Any] = np.dtype(helper.tensor_dtype_to_np_dtype(element))
        return dtype

    def type_bytes(self, name: str) -> bytes:
        """A type as a message; an empty one where it is not known."""
        known = self._type(name)
        return b"" if known is None else bytes(known.SerializeToString())

    def rank(self, name: str) -> int | None:
        """None where it is not known."""
        shape = self.shape(name)
        return None if shape is None else len(shape)

    def resolved(self, name: str) -> str:
        """The value that a name stands for."""
        while name in self._alias:
            name = self._alias[name]
        return name

    def _type(self, name: str) -> Any:
        return self._types.get(self.resolved(name))

    def _inferred(self, node: Any) -> dict[str, Any]:
        from onnx import numpy_helper

        values: dict[str, Any] = {}
        for name in filter(None, node.input):
            array = self._constants.get(name)
            if isinstance(array, np.ndarray):
                if array.size <= _SHOWN_TO_INFERENCE:
                    values[name] = numpy_helper.from_array(array, name)
            elif array is not None and np.prod(array.dims) <= _SHOWN_TO_INFERENCE:
                values[name] = array
        return self._infer.of(node, self._types, values)

    def _set_constant(self, name: str, stored: Any) -> None:
        from onnx import helper

        self._constants[name] = stored
        if isinstance(stored, np.ndarray):
            element, shape = helper.np_dtype_to_tensor_dtype(stored.dtype), stored.shape
        else:
            element, shape = stored.data_type, tuple(stored.dims)
        if self._watches and not self.has_infinities and math.prod(shape) <= _SHOWN_TO_INFERENCE:
            array = self.constant(name)
            self.has_infinities = array is not None and array.dtype.kind == "f" and bool(np.isinf(array).any())
        self._types[name] = helper.make_tensor_type_proto(element, shape)
