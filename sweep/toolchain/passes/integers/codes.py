"""Tensors of integers that stand for real numbers: codes with a scale and a zero point, `(code - zero) * scale`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CODES", "Quantised", "along", "may_overflow", "range_of"]

_MOST = 2**31 - 1

CODES = ("int8", "uint8")
"""Number types of codes that products take."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """What a dequantised tensor was made from. Scales and zero points have the rank of the codes, or no dimension."""

    codes: Any
    """A Relax expression."""
    scale: NDArray[np.float32]
    zero: NDArray[np.int32]
    array: NDArray[Any] | None = None
    """The codes where they are constant."""

    @classmethod
    def of(cls, codes: Any, scale: Any, zero: Any, axis: int, array: Any = None) -> Quantised | None:
        """Of the operands of a dequantisation; None for scales of blocks.

        scale, zero: arrays of one element, or of one for each position along the axis.
        """
        shape = [int(size) for size in codes.ty.shape]
        fitted = [_fitted(np.asarray(values), shape, axis) for values in (scale, zero)]
        if fitted[0] is None or fitted[1] is None:
            return None
        return cls(codes, fitted[0].astype(np.float32), fitted[1].astype(np.int32), array)

    @property
    def dtype(self) -> str:
        """Number type of the codes."""
        return str(self.codes.ty.dtype)

    @property
    def is_uniform(self) -> bool:
        """Whether all codes have one scale and one zero point."""
        return self.scale.size == 1 and self.zero.size == 1

    def means(self, dtype: str, scale: NDArray[np.float32], zero: NDArray[np.int32]) -> bool:
        """Whether its codes are of this number type, with this one scale and zero point."""
        if self.dtype != dtype or not self.is_uniform or scale.size != 1 or zero.size != 1:
            return False
        return bool(self.scale.item() == scale.item() and self.zero.item() == zero.item())

    def centred(self) -> NDArray[Any] | None:
        """Constant codes less their zero points, in the least number type that holds them."""
        if self.array is None:
            return None
        values = self.array.astype(np.int32) - self.zero
        low, high = range_of("int8")
        return values.astype(np.int8 if values.size and values.min() >= low and values.max() <= high else np.int16)

    def permuted(self, axes: list[int]) -> Quantised:
        """Constant codes with their axes in another order."""
        assert self.array is not None
        return Quantised(self.codes, self.scale.transpose(axes), self.zero.transpose(axes), self.array.transpose(axes))

    def reshaped(self, shape: list[int]) -> Quantised:
        """Constant codes in another shape."""
        assert self.array is not None
        old = self.array.shape
        scale, zero = (_least(np.broadcast_to(v, old).reshape(shape)) for v in (self.scale, self.zero))
        return Quantised(self.codes, scale, zero, self.array.reshape(shape))


def range_of(dtype: str) -> tuple[int, int]:
    """Least and greatest code of a number type."""
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def may_overflow(data: Quantised, weights: Any | None, terms: int) -> bool:
    """Whether a sum of so many products may leave 32 bits."""
    low, high = range_of(data.dtype)
    zero = int(data.zero.item())
    largest = 255 if weights is None else int(np.abs(weights.astype(np.int32)).max(initial=0))
    return max(abs(low - zero), abs(high - zero), 1) * largest * terms > _MOST


def along(values: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any] | None:
    """The values along these axes, as one row; None where they differ along another axis."""
    if values.size == 1:
        return values.reshape(-1)
    if any(size > 1 for axis, size in enumerate(values.shape) if axis not in axes):
        return None
    return values.reshape(-1)


def _fitted(values: NDArray[Any], shape: list[int], axis: int) -> NDArray[Any] | None:
    if values.size == 1:
        return values.reshape([1] * len(shape))
    at = axis % max(len(shape), 1)
    if not shape or values.ndim != 1 or values.size != shape[at]:
        return None
    return values.reshape([values.size if index == at else 1 for index in range(len(shape))])


def _least(values: NDArray[Any]) -> NDArray[Any]:
    """Without the axes along which nothing changes: their size becomes 1."""
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if values.shape[axis] > 1 and (values == first).all():
            values = first
    return values
