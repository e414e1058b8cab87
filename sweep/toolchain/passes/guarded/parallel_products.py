"""Combines parallel matrix products by TVM's own pass, around what it cannot take."""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import calls_in, operator_of

__all__ = ["CombineParallelMatmul"]


@module_pass(opt_level=0, name="CombineParallelMatmul")
class CombineParallelMatmul:
    """The pass: a product's left operand, which TVM takes for a variable, may be a constant."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with parallel products of one variable combined."""
        named = module
        for name, function in module.functions_items():
            if isinstance(function, relax.Function) and _has_constant_left(function):
                named = named.clone() if named is module else named
                named[name] = _Namer(module).visit_expr(function)
        combined = relax.transform.CombineParallelMatmul()(named)
        return combined if named is module else relax.transform.CanonicalizeBindings()(combined)


def _has_constant_left(function: Any) -> bool:
    return any(map(_is_constant_product, calls_in(function)))


def _is_constant_product(call: Any) -> bool:
    return operator_of(call) == "relax.matmul" and isinstance(call.args[0], GenericConst)


@mutator
class _Namer(PyExprMutator):
    """Gives a constant that is multiplied from the left a name."""

    def visit_call_(self, call: Any) -> Any:
        if not _is_constant_product(call):
            return super().visit_call_(call)
        left = self.builder_.emit(call.args[0])
        return relax.Call(call.op, [left, *map(self.visit_expr, call.args[1:])], call.attrs)
