"""Converts a network to float16 by TVM's own pass, around what it cannot take.

`ToMixedPrecision` refuses what is no tensor among the operands of an operator that it leaves in float32. That is the
program of a call, since TVM's ONNX importer makes programs of some operators at once (`Clip`, `Tile`, `Pad`, `Einsum`),
and the bounds of a clip. A clip becomes a minimum and a maximum, which follow the number type of their data. All else
of this kind goes behind a function of its own, which is what the pass leaves alone: it computes in the number type that
it was imported with, and gets and gives that.
"""

from __future__ import annotations

from typing import Any

from tvm import relax, tirx
from tvm.ir import GlobalVar
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import calls_of, operator_of

__all__ = ["ToMixedPrecision"]


@module_pass(opt_level=0, name="ToMixedPrecision")
class ToMixedPrecision:
    """The pass: sums stay in float32, whatever their terms are."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in float16, but for what has no such form."""
        convert = relax.transform.ToMixedPrecision(out_dtype="float32")
        try:
            return convert(module)
        except Exception:
            if not any(map(_takes_numbers, calls_of(module))):
                raise
        hidden = _Hider(module)
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                hidden.builder_.update_func(name, hidden.visit_expr(function))
        return relax.transform.InlinePrivateFunctions()(convert(hidden.builder_.get()))


def _takes_numbers(value: Any) -> bool:
    """Whether an operator is called with a number or a program among its operands."""
    if not operator_of(value).startswith("relax."):
        return False
    return any(isinstance(each, (GlobalVar, tirx.IntImm, tirx.FloatImm)) for each in value.args)


@mutator
class _Hider(PyExprMutator):
    """Puts each such call into a private function of its tensors."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._hidden = 0

    def visit_call_(self, call: Any) -> Any:
        if not _takes_numbers(call):
            return super().visit_call_(call)
        if operator_of(call) == "relax.clip":
            return self._clipped(call)
        tensors = call.args[1].fields if isinstance(call.args[0], GlobalVar) else call.args
        given = [tensor for tensor in tensors if not isinstance(tensor, (tirx.IntImm, tirx.FloatImm))]
        parameters = {tensor: relax.Var(f"argument{index}", tensor.ty) for index, tensor in enumerate(given)}
        inner = [parameters.get(tensor, tensor) for tensor in tensors]
        arguments = [call.args[0], relax.Tuple(inner)] if isinstance(call.args[0], GlobalVar) else inner
        inside = relax.BlockBuilder()
        with inside.function("hidden", list(parameters.values()), private=True):
            inside.emit_func_output(inside.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args)))
        self._hidden += 1
        name = self.builder_.add_func(inside.get()["hidden"], f"hidden{self._hidden}")
        return relax.Call(name, [self.visit_expr(tensor) for tensor in parameters])

    def _clipped(self, call: Any) -> Any:
        data, least, most = self.visit_expr(call.args[0]), *(each.value for each in call.args[1:])
        dtype = str(call.ty.dtype)
        below = self.builder_.emit(relax.op.minimum(data, relax.const(most, dtype)))
        return relax.op.maximum(below, relax.const(least, dtype))
