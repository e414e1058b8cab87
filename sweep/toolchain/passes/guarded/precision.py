"""Converts a network to float16 by TVM's own pass, around what it cannot take.

TVM's ONNX importer makes tensor programs of some operators at once (`Clip`, `HardSigmoid`, `Tile`, `Pad`, `Einsum`),
and `ToMixedPrecision` refuses a call of one whose operands have changed. Behind a function of its own each call is what
the pass leaves alone: it computes in the number type that it was imported with, and gets and gives that.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import operator_of

__all__ = ["MixedPrecision"]

_CALLS = ("relax.call_tir", "relax.call_dps_packed", "relax.call_pure_packed")


@module_pass(opt_level=0, name="ToMixedPrecision")
class MixedPrecision:
    """The pass: sums stay in float32, whatever their terms are."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in float16, but for what has no such form."""
        convert = relax.transform.ToMixedPrecision(out_dtype="float32")
        try:
            return convert(module)
        except Exception:
            if not any(_calls_programs(f) for _, f in module.functions_items() if isinstance(f, relax.Function)):
                raise
        hidden = _Hider(module)
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                hidden.builder_.update_func(name, hidden.visit_expr(function))
        return relax.transform.InlinePrivateFunctions()(convert(hidden.builder_.get()))


def _calls_programs(function: Any) -> bool:
    found = []

    def visit(value: Any) -> None:
        if operator_of(value) in _CALLS:
            found.append(value)

    relax.analysis.post_order_visit(function, visit)
    return bool(found)


@mutator
class _Hider(PyExprMutator):
    """Puts each such call into a private function of its arguments."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._hidden = 0

    def visit_call_(self, call: Any) -> Any:
        if operator_of(call) != "relax.call_tir" or not isinstance(call.args[1], relax.Tuple):
            return super().visit_call_(call)
        arguments = [self.visit_expr(argument) for argument in call.args[1].fields]
        parameters = [relax.Var(f"argument{index}", argument.ty) for index, argument in enumerate(arguments)]
        inside = relax.BlockBuilder()
        with inside.function("hidden", parameters, private=True):
            result = inside.emit(relax.call_tir(call.args[0], parameters, call.ty_args[0]))
            inside.emit_func_output(result)
        self._hidden += 1
        name = self.builder_.add_func(inside.get()["hidden"], f"hidden{self._hidden}")
        return relax.Call(name, arguments)
