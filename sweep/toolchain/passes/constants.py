"""Folds constants through cheap operators with numpy.

TVM's FoldConstant compiles a function for every constant operator: 10 s for ShuffleNet, nearly all of it for reshaped
biases and the statistics of batch norms. Those few operators are evaluated here in microseconds; TVM's pass runs
afterwards for the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, operator_of

__all__ = ["FoldCheapConstants"]


def _divided(left: Any, right: Any) -> Any | None:
    """As TVM divides: integers towards zero. None for integers by zero, which is nothing."""
    if not np.issubdtype(left.dtype, np.integer):
        return np.divide(left, right)
    if not np.all(right):
        return None
    return np.sign(left) * np.sign(right) * (np.abs(left) // np.abs(right))


_EVALUATE: dict[str, Callable[..., Any]] = {
    "relax.add": np.add,
    "relax.subtract": np.subtract,
    "relax.multiply": np.multiply,
    "relax.divide": _divided,
    "relax.sqrt": np.sqrt,
    "relax.rsqrt": lambda value: 1 / np.sqrt(value),
    "relax.negative": np.negative,
}


@module_pass(opt_level=0, name="FoldCheapConstants")
class FoldCheapConstants:
    """The pass; touches dataflow variables only."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with constant element-wise operators, reshapes and transpositions evaluated."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                module[name] = _Folder(module).visit_expr(function)
        return module


@mutator
class _Folder(PyExprMutator):
    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._values: dict[Any, Any] = {}

    def visit_dataflow_var_(self, op: Any) -> Any:
        return self._values[op] if op in self._values else super().visit_dataflow_var_(op)

    def visit_var_binding_(self, binding: Any) -> None:
        folded = self._folded(binding.value) if isinstance(binding.var, relax.DataflowVar) else None
        if folded is None:
            super().visit_var_binding_(binding)
        else:
            self._values[binding.var] = folded

    def _folded(self, value: Any) -> Any | None:
        if not isinstance(value, relax.Call):
            return None
        name = operator_of(value)
        arguments = [self._values.get(argument, argument) for argument in value.args]
        if not arguments or not isinstance(arguments[0], GenericConst):
            return None
        data = arguments[0].value.numpy()
        if name in _EVALUATE and all(isinstance(argument, GenericConst) for argument in arguments):
            result = _EVALUATE[name](data, *(argument.value.numpy() for argument in arguments[1:]))
            if result is None:
                return None
        elif name in ("relax.reshape", "relax.expand_dims", "relax.squeeze"):
            result = data.reshape([int(size) for size in value.ty.shape])
        elif name == "relax.permute_dims":
            axes = value.attrs.axes
            result = np.ascontiguousarray(data.transpose(None if axes is None else [int(axis) for axis in axes]))
        elif name == "relax.astype":
            return as_constant(data.astype(str(value.attrs.dtype)))
        else:
            return None
        return as_constant(result.astype(data.dtype, copy=False))
