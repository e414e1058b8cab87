"""Reduces chains of transpositions and reshapes to one of each at most.

Changing the layout of a network leaves pairs of transpositions around what only knows the old one: ShuffleNet's channel
shuffle becomes three transpositions and two reshapes. Such a chain takes each axis apart, reorders the parts and puts
them together again, and so one transposition of the parts says the same; where they keep their order, none does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tvm import relax, tirx
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import bound_values, operator_of
from sweep.toolchain.passes.view import View

__all__ = ["SimplifyViews"]

_OPERATORS = ("relax.permute_dims", "relax.reshape", "relax.expand_dims", "relax.squeeze", "relax.flatten")


@module_pass(opt_level=0, name="SimplifyViews")
class SimplifyViews:
    """The pass: chains of at least two such operators, with constant shapes."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with each chain replaced by a reshape, a transposition and a reshape, or fewer."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                changed = _Simplifier(module, bound_values(function)).visit_expr(function)
                module[name] = relax.analysis.remove_all_unused(changed)
        return module


@mutator
class _Simplifier(PyExprMutator):
    def __init__(self, module: Any, values: Mapping[Any, Any]) -> None:
        super().__init__(module)
        self._values = values

    def visit_call_(self, call: Any) -> Any:
        chain = [call]
        while _is_view(chain[-1]) and _is_view(self._values.get(chain[-1].args[0])):
            chain.append(self._values[chain[-1].args[0]])
        if len(chain) > 1:
            # As long as it can be: a reshape that mixes axes ends it
            for length in range(len(chain), 1, -1):
                view = _followed(chain[:length][::-1])
                if view is not None:
                    return self._emit(self.visit_expr(chain[length - 1].args[0]), view, _shape(call))
        return super().visit_call_(call)

    def _emit(self, data: Any, view: View, shape: list[int]) -> Any:
        sizes, order = view.order()
        if order != sorted(order):
            data = self._reshape(data, sizes)
            data = self.builder_.emit(relax.op.permute_dims(data, order))
        return self._reshape(data, shape)

    def _reshape(self, data: Any, shape: list[int]) -> Any:
        return data if _shape(data) == shape else self.builder_.emit(relax.op.reshape(data, shape))


def _followed(chain: Sequence[Any]) -> View | None:
    view: View | None = View.of(_shape(chain[0].args[0]))
    for call in chain:
        if view is None:
            return None
        if operator_of(call) == "relax.permute_dims":
            rank = len(view.axes)
            axes = call.attrs.axes
            order = list(range(rank))[::-1] if axes is None else [int(axis) % rank for axis in axes]
            view = view.permuted(order)
        else:
            view = view.reshaped(_shape(call))
    return view


def _is_view(value: Any) -> bool:
    """Of a tensor with constant sizes, none of them 0."""
    if operator_of(value) not in _OPERATORS:
        return False
    shapes = [getattr(tensor.ty, "shape", None) for tensor in (value, value.args[0])]
    return all(shape is not None and all(isinstance(s, tirx.IntImm) and int(s) > 0 for s in shape) for shape in shapes)


def _shape(value: Any) -> list[int]:
    return [int(size) for size in value.ty.shape]
