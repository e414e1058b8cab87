"""Rewrites what TVM's change of layout cannot take into what it can: the same values, by other operators.

- A maximum, minimum, sum or mean of several tensors, which TVM's ONNX importer makes of `Max`, `Min`, `Sum` and `Mean`
  by stacking them: the layout of a stack has no name. It becomes a chain of binary operators, which keep any layout.
- A squeeze of an axis that is counted from the end: TVM takes it out of the layout's name at that very place.
- A dropout, which at inference is its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import bound_values, operator_of

__all__ = ["ready_for_layout"]

_PAIRWISE: dict[str, Callable[[Any, Any], Any]] = {
    "relax.max": relax.op.maximum,
    "relax.min": relax.op.minimum,
    "relax.sum": relax.op.add,
    "relax.mean": relax.op.add,
}


def ready_for_layout(module: Any) -> Any:
    """The module with such operators replaced."""
    ready = module.clone()
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            changed = _Rewriter(module, bound_values(function)).visit_expr(function)
            ready[name] = relax.analysis.remove_all_unused(changed)
    return ready


@mutator
class _Rewriter(PyExprMutator):
    def __init__(self, module: Any, values: Mapping[Any, Any]) -> None:
        super().__init__(module)
        self._values = values

    def visit_tuple_getitem_(self, op: Any) -> Any:
        dropout: Any = self._values.get(op.tuple_value)
        if operator_of(dropout) == "relax.nn.dropout" and op.index == 0:
            return self.visit_expr(dropout.args[0])
        return super().visit_tuple_getitem_(op)

    def visit_call_(self, call: Any) -> Any:
        name = operator_of(call)
        if name == "relax.squeeze" and call.attrs.axis is not None:
            rank = len(call.args[0].ty.shape)
            axes = [int(axis) % rank for axis in call.attrs.axis]
            return relax.op.squeeze(self.visit_expr(call.args[0]), axes)
        stacked = self._stacked(call) if name in _PAIRWISE else None
        if stacked is None:
            return super().visit_call_(call)
        operands = [self.visit_expr(operand) for operand in stacked]
        total = reduce(lambda left, right: self.builder_.emit(_PAIRWISE[name](left, right)), operands)
        if name != "relax.mean":
            return total
        return relax.op.divide(total, relax.const(len(operands), str(call.ty.dtype)))

    def _stacked(self, call: Any) -> list[Any] | None:
        """The tensors whose stack a reduction takes apart again; None where it does something else."""
        stack: Any = self._values.get(call.args[0])
        axis = None if call.attrs.axis is None else [int(each) for each in call.attrs.axis]
        if operator_of(stack) != "relax.stack" or bool(call.attrs.keepdims):
            return None
        if axis is None or axis != [int(stack.attrs.axis or 0)]:
            return None
        fields = self._values.get(stack.args[0], stack.args[0])
        return list(fields.fields) if isinstance(fields, relax.Tuple) else None
