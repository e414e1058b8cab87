"""Applies a ReLU that is the only use of a concatenation to each operand instead.

The pass runs before operators become functions, so that the operands are fused with the ReLU and the concatenation is
not: it then costs nothing (`concatenations`).
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import operator_of

__all__ = ["ReluBeforeConcat"]


@module_pass(opt_level=0, name="ReluBeforeConcat")
class ReluBeforeConcat:
    """The pass: ReLUs that are the only use of a concatenation."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with such a ReLU applied to each operand instead."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                module[name] = relax.analysis.remove_all_unused(_Sinker(module, function).visit_expr(function))
        return module


@mutator
class _Sinker(PyExprMutator):
    def __init__(self, module: Any, function: Any) -> None:
        super().__init__(module)
        self._alone: dict[Any, Any] = {}
        for block in function.body.blocks:
            if isinstance(block, relax.DataflowBlock):
                users = relax.analysis.udchain(block)
                for binding in block.bindings:
                    value = getattr(binding, "value", None)
                    if operator_of(value) == "relax.concat" and len(list(users.get(binding.var, ()))) == 1:
                        self._alone[binding.var] = value

    def visit_call_(self, call: Any) -> Any:
        concatenation = self._alone.get(call.args[0]) if operator_of(call) == "relax.nn.relu" else None
        if concatenation is None or not isinstance(concatenation.args[0], relax.Tuple):
            return super().visit_call_(call)
        operands = [self.visit_expr(operand) for operand in concatenation.args[0].fields]
        rectified = [self.builder_.emit(relax.op.nn.relu(operand)) for operand in operands]
        return relax.op.concat(rectified, concatenation.attrs.axis)
