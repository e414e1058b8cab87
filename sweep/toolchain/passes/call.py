"""Finds what a module calls and what its variables are bound to, and makes constants that keep their number type."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

import numpy as np

__all__ = ["as_constant", "bound_values", "calls_in", "calls_of", "constant_of", "operator_of", "uses_in"]


def operator_of(value: Any) -> str:
    """Name of the operator that an expression calls, such as `relax.nn.conv2d`; empty for anything else."""
    return str(getattr(getattr(value, "op", None), "name", ""))


def calls_in(function: Any) -> list[Any]:
    """The calls of operators in a Relax function, operands first."""
    found: list[Any] = []

    def visit(value: Any) -> None:
        if operator_of(value):
            found.append(value)

    importlib.import_module("tvm.relax").analysis.post_order_visit(function, visit)
    return found


def calls_of(module: Any) -> list[Any]:
    """Those of all Relax functions of a module."""
    relax = importlib.import_module("tvm.relax")
    functions = (function for _, function in module.functions_items() if isinstance(function, relax.Function))
    return [call for function in functions for call in calls_in(function)]


def bound_values(function: Any) -> dict[Any, Any]:
    """What each variable of a Relax function is bound to."""
    return dict(importlib.import_module("tvm.relax").analysis.get_var2val(function).items())


def as_constant(array: Any) -> Any:
    """A constant of a numpy array or scalar. `relax.const` alone halves what has 64 bits."""
    return importlib.import_module("tvm.relax").const(np.asarray(array), str(array.dtype))


def constant_of(value: Any) -> Any | None:
    """The array of a constant, which TVM may hold as a number; None for anything else."""
    if isinstance(value, importlib.import_module("tvm.ir").GenericConst):
        return value.value.numpy()
    tirx = importlib.import_module("tvm.tirx")
    if isinstance(value, (tirx.IntImm, tirx.FloatImm)):
        return np.asarray(value.value)
    return None


def uses_in(function: Any) -> Counter[Any]:
    """How often each variable of a Relax function is an operand, in a tuple or by itself."""
    relax = importlib.import_module("tvm.relax")
    found: Counter[Any] = Counter()

    def count(value: Any) -> None:
        if isinstance(value, relax.Call):
            for one in value.args:
                found.update(each for each in getattr(one, "fields", (one,)) if isinstance(each, relax.Var))

    relax.analysis.post_order_visit(function, count)
    return found
