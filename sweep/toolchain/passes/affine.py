"""Folds per-channel factors and offsets into the convolution before them, or into one of each where there is none.

A batch norm at inference is four such operators once it is decomposed, and some networks add a scale layer of two
more. `weight * factor` and one offset say the same. Values change in the last digits, as in every runtime that does
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, operator_of

__all__ = ["FoldAffine"]

_CHANNEL_AXIS = 1
_LEAST_WORTH_FOLDING = 3
"""Without a convolution the chain becomes two operators."""


@dataclass(frozen=True, slots=True)
class _Chain:
    """`last = start * factor + offset`, where nothing else uses what is between."""

    start: Any
    convolution: Any | None
    """The call that makes `start`, if it takes the factor into its weights."""
    variables: tuple[Any, ...]
    """Bound by the operators folded away, the convolution's own first if there is one."""
    factor: Any
    offset: Any


@module_pass(opt_level=0, name="FoldAffine")
class FoldAffine:
    """The pass: float tensors of rank 4 with channels second, convolutions with constant OIHW weights."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with its chains of per-channel operators folded."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                chains = _chains(function)
                if chains:
                    module[name] = _Folder(module, chains).visit_expr(function)
        return module


@mutator
class _Folder(PyExprMutator):
    def __init__(self, module: Any, chains: list[_Chain]) -> None:
        super().__init__(module)
        self._chain_at = {chain.variables[-1]: chain for chain in chains}
        self._gone = {variable for chain in chains for variable in chain.variables}
        self._made: dict[Any, Any] = {}

    def visit_dataflow_var_(self, op: Any) -> Any:
        return self._made[op] if op in self._made else super().visit_dataflow_var_(op)

    def visit_var_binding_(self, binding: Any) -> None:
        chain = self._chain_at.get(binding.var)
        if chain is not None:
            self._made[binding.var] = self._emit(chain)
        elif binding.var not in self._gone:
            super().visit_var_binding_(binding)

    def _emit(self, chain: _Chain) -> Any:
        shape = (1, -1, 1, 1)
        if chain.convolution is None:
            result = self.visit_expr(chain.start)
            result = self.builder_.emit(relax.op.multiply(result, as_constant(chain.factor.reshape(shape))))
        else:
            data, weight = chain.convolution.args
            scaled = weight.value.numpy() * chain.factor.reshape(-1, 1, 1, 1)
            arguments = [self.visit_expr(data), as_constant(scaled.astype(chain.factor.dtype))]
            result = self.builder_.emit(relax.Call(chain.convolution.op, arguments, chain.convolution.attrs))
        if not chain.offset.any():
            return result
        return self.builder_.emit(relax.op.add(result, as_constant(chain.offset.reshape(shape))))


def _chains(function: Any) -> list[_Chain]:
    chains: list[_Chain] = []
    for block in function.body.blocks:
        if not isinstance(block, relax.DataflowBlock):
            continue
        users = relax.analysis.udchain(block)
        values = {binding.var: binding.value for binding in block.bindings if hasattr(binding, "value")}
        taken: set[Any] = set()
        for variable, value in values.items():
            affine = None if variable in taken else _affine(value, values)
            if affine is not None:
                chain = _chain(variable, affine, users, values)
                taken.update(chain.variables)
                if (chain.convolution is not None and len(chain.variables) > 2) or len(
                    chain.variables
                ) >= _LEAST_WORTH_FOLDING:
                    chains.append(chain)
    return chains


def _chain(variable: Any, affine: tuple[Any, Any, Any], users: Mapping[Any, Any], values: Mapping[Any, Any]) -> _Chain:
    start, factor, offset = affine
    variables = [variable]
    while True:
        following = list(users.get(variables[-1], ()))
        if len(following) != 1 or not isinstance(following[0], relax.DataflowVar) or following[0] not in values:
            break
        step = _affine(values[following[0]], values)
        if step is None or step[0] != variables[-1]:
            break
        factor, offset = factor * step[1], offset * step[1] + step[2]
        variables.append(following[0])
    convolution = values.get(start)
    if _takes_factor(convolution) and len(list(users.get(start, ()))) == 1:
        return _Chain(start, convolution, (start, *variables), factor, offset)
    return _Chain(start, None, tuple(variables), factor, offset)


def _affine(value: Any, values: Mapping[Any, Any]) -> tuple[Any, Any, Any] | None:
    """(input, factor, offset) of a per-channel operator with a constant, or None."""
    name = operator_of(value)
    if name not in ("relax.add", "relax.subtract", "relax.multiply", "relax.divide"):
        return None
    left, right = value.args
    if isinstance(left, GenericConst) and name in ("relax.add", "relax.multiply"):
        left, right = right, left
    shape = getattr(value.ty, "shape", None)
    if left not in values or not isinstance(right, GenericConst) or shape is None or len(shape) != 4:
        return None
    if [int(size) for size in left.ty.shape] != [int(size) for size in shape]:
        return None
    vector = _per_channel(right.value.numpy(), int(shape[_CHANNEL_AXIS]))
    if vector is None:
        return None
    if name == "relax.divide" and not vector.all():
        return None
    one, zero = np.ones_like(vector), np.zeros_like(vector)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = one / vector
    return {
        "relax.add": (left, one, vector),
        "relax.subtract": (left, one, -vector),
        "relax.multiply": (left, vector, zero),
        "relax.divide": (left, inverse, zero),
    }[name]


def _per_channel(constant: Any, channels: int) -> Any | None:
    if not np.issubdtype(constant.dtype, np.floating) or constant.ndim > 4:
        return None
    shape = (1,) * (4 - constant.ndim) + constant.shape
    if any(size != 1 for axis, size in enumerate(shape) if axis != _CHANNEL_AXIS):
        return None
    return np.broadcast_to(constant.reshape(-1), (channels,)).copy()


def _takes_factor(call: Any) -> bool:
    if operator_of(call) != "relax.nn.conv2d":
        return False
    layouts = (str(call.attrs.data_layout), str(call.attrs.kernel_layout))
    return isinstance(call.args[1], GenericConst) and layouts == ("NCHW", "OIHW")
