"""What the variables of floats in a function were made from: codes, sums of codes, constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from sweep.toolchain.passes.call import as_constant, constant_of, operator_of
from sweep.toolchain.passes.integers.codes import Quantised

__all__ = ["Affine", "RealValues"]

_PERMUTE = "relax.permute_dims"
_SHAPED = ("relax.reshape", "relax.squeeze", "relax.expand_dims")


@dataclass(frozen=True, slots=True)
class Affine:
    """`scale * total + bias`, of sums of codes; nothing else takes what stands between."""

    total: Any
    scale: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    is_positive: bool = False
    """Whether what is below 0 becomes 0."""


class RealValues:
    """Knows that of each variable, and emits floats of codes."""

    def __init__(self, emit: Callable[[Any], Any], binding_of: Callable[[Any], Any]) -> None:
        """emit, binding_of: of the function that is written."""
        self._emit, self._binding_of = emit, binding_of
        self._real: dict[Any, Quantised] = {}
        self._affine: dict[Any, Affine] = {}

    def know(self, variable: Any, real: Quantised) -> Any:
        """The variable, of which it is known from now on."""
        self._real[variable] = real
        return variable

    def know_affine(self, variable: Any, affine: Affine) -> None:
        """The same of sums."""
        self._affine[variable] = affine

    def real(self, value: Any) -> Quantised | None:
        """What a value was dequantised from."""
        return self._real.get(self.origin(value))

    def affine(self, value: Any) -> Affine | None:
        """Which sums a value was made from."""
        return self._affine.get(self.origin(value))

    def floats(self, real: Quantised) -> Any:
        """The numbers that codes stand for."""
        value = self._emit(relax.op.astype(real.codes, "float32"))
        if real.zero.any():
            value = self._emit(relax.op.subtract(value, as_constant(real.zero.astype(np.float32))))
        return self._emit(relax.op.multiply(value, as_constant(real.scale)))

    def carried(self, codes: Any, real: Quantised) -> Any:
        """The floats of codes that have the one scale of others."""
        ones = [1] * len(codes.ty.shape)
        same = Quantised(codes, real.scale.reshape(ones), real.zero.reshape(ones))
        return self.know(self.floats(same), same)

    def origin(self, value: Any) -> Any:
        """The variable that holds a value, where another has been bound to it since."""
        while isinstance(value, relax.Var) and isinstance(bound := self._binding_of(value), relax.Var):
            value = bound
        return value

    def constant(self, value: Any) -> Any | None:
        """The array of a constant, or of one in another shape or order."""
        value = self.origin(value)
        bound = self._binding_of(value) if isinstance(value, relax.Var) else value
        if operator_of(bound) in (*_SHAPED, _PERMUTE):
            inner = self.constant(bound.args[0])
            if inner is None:
                return None
            if operator_of(bound) == _PERMUTE:
                axes = bound.attrs.axes
                return inner.transpose(None if axes is None else [int(axis) for axis in axes])
            return inner.reshape([int(size) for size in bound.ty.shape])
        return constant_of(bound)

    def numbers(self, value: Any) -> Any | None:
        """Constant floats, which may be dequantised ones."""
        real = self.real(value)
        if real is None:
            return self.constant(value)
        return None if real.array is None else (real.array.astype(np.int64) - real.zero) * real.scale
