"""Activations in the number type that a target's products take: the codes of a network, shifted by 128 where they are
of the other type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from sweep.toolchain.passes.call import as_constant
from sweep.toolchain.passes.integers.codes import CODES, Quantised, range_of

__all__ = ["TakenCodes"]


class TakenCodes:
    """Knows of the codes of a network those that are taken instead."""

    def __init__(self, emit: Callable[[Any], Any], signed: bool | None) -> None:
        """signed: whether products take int8; False: uint8; None: either, so that nothing is shifted."""
        self._emit, self._signed = emit, signed
        self._taken: dict[Any, Any] = {}

    def type_for(self, dtype: str) -> str:
        """The number type in which codes of this one are kept."""
        return dtype if self._signed is None or dtype not in CODES else "int8" if self._signed else "uint8"

    def of(self, codes: Any) -> Any | None:
        """What is taken in the place of a variable of codes; None where that is not known."""
        return self._taken.get(codes)

    def taken(self, real: Quantised) -> Quantised:
        """The same numbers, of codes that products take."""
        dtype = self.type_for(real.dtype)
        if dtype == real.dtype:
            return real
        codes = self._taken.get(real.codes)
        if codes is None:
            codes = self._taken[real.codes] = self._shifted(real.codes, dtype)
        return Quantised(codes, real.scale, real.zero + range_of(dtype)[0] - range_of(real.dtype)[0])

    def as_type(self, codes: Any, dtype: str) -> Any:
        """Such codes in the number type of the network."""
        back = codes if str(codes.ty.dtype) == dtype else self._shifted(codes, dtype)
        self._taken[back] = codes
        return back

    def _shifted(self, codes: Any, dtype: str) -> Any:
        by = range_of(dtype)[0] - range_of(str(codes.ty.dtype))[0]
        wide = self._emit(relax.op.astype(codes, "int16"))
        offset = as_constant(np.full([1] * len(codes.ty.shape), by, np.int16))
        return self._emit(relax.op.astype(self._emit(relax.op.add(wide, offset)), dtype))
