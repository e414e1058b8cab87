"""Quantised tensors of a TFLite file as float tensors: for operators that are imported as real ones between a
dequantisation and a quantisation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

__all__ = ["FloatBuffer", "FloatTensor", "dequantised"]


class FloatTensor:
    """A tensor that says it is of 32-bit floats and without a quantisation; else it is as it was."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tensor, name)

    def Type(self) -> int:  # noqa: N802
        return int(tflite.TensorType.FLOAT32)

    def Quantization(self) -> None:  # noqa: N802
        return None

    def Sparsity(self) -> None:  # noqa: N802
        return None


class FloatBuffer:
    """The content of a constant, as the bytes of its floats."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self._bytes = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)

    def DataAsNumpy(self) -> npt.NDArray[Any]:  # noqa: N802
        return self._bytes

    def DataLength(self) -> int:  # noqa: N802
        return self._bytes.size


def dequantised(values: npt.NDArray[Any], tensor: Any) -> npt.NDArray[np.float32]:
    """`(q - zero point) * scale`, along the axis of the quantisation where there are several scales."""
    about = tensor.Quantization()
    scale, zero = np.atleast_1d(about.ScaleAsNumpy()), np.atleast_1d(about.ZeroPointAsNumpy())
    if len(scale) > 1:
        along = [1] * values.ndim
        along[about.QuantizedDimension()] = -1
        scale, zero = scale.reshape(along), (zero.reshape(along) if len(zero) > 1 else zero)
    return ((values.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)).astype(np.float32)
