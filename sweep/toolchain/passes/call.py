"""Finds the operator that a value calls, and makes constants that keep their number type."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

__all__ = ["as_constant", "operator_of"]


def operator_of(value: Any) -> str:
    """Name of the operator that an expression calls, such as `relax.nn.conv2d`; empty for anything else."""
    return str(getattr(getattr(value, "op", None), "name", ""))


def as_constant(array: Any) -> Any:
    """A constant of a numpy array or scalar. `relax.const` alone halves what has 64 bits."""
    return importlib.import_module("tvm.relax").const(np.asarray(array), str(array.dtype))
