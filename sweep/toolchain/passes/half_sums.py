"""Adds up in float32 what a network has in numbers of 16 bits, as ONNX Runtime and the file's authors do.

TVM's operators add up in the number type of their result. Of float16, a sum of a thousand terms is off by a hundredth
of its largest term, and one above 65,504 is infinite. Data and weights stay as short as the file has them: they are
widened as they are read.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import calls_of, operator_of
from sweep.toolchain.passes.kept.reduced_precision import is_layer, with_whole_sums

__all__ = ["AddUpHalves"]

_HALF, _WHOLE = "float16", "float32"
_SUMS = frozenset(
    f"relax.{name}"
    for name in (
        "cumsum",
        "mean",
        "nn.adaptive_avg_pool1d",
        "nn.adaptive_avg_pool2d",
        "nn.adaptive_avg_pool3d",
        "nn.avg_pool1d",
        "nn.avg_pool2d",
        "nn.avg_pool3d",
        "nn.log_softmax",
        "nn.softmax",
        "std",
        "sum",
        "variance",
    )
)
"""Of one tensor, to one."""


@module_pass(opt_level=0, name="AddUpHalves")
class AddUpHalves:
    """The pass."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with its sums of float16 in float32; as it is where it has none."""
        if not any(map(_adds_halves, calls_of(module))):
            return module
        summed = module.clone()
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                summed[name] = _Summer(module).visit_expr(function)
        return summed


def _adds_halves(call: Any) -> bool:
    if not is_layer(call) and operator_of(call) not in _SUMS:
        return False
    operands = call.args[:2] if is_layer(call) else call.args[:1]
    return all(str(getattr(each.ty, "dtype", "")) == _HALF for each in (*operands, call))


@mutator
class _Summer(PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        visited = super().visit_call_(call)
        if not _adds_halves(call):
            return visited
        if is_layer(call):
            whole = with_whole_sums(visited, *visited.args[:2])
        else:
            data = self.builder_.emit(relax.op.astype(visited.args[0], _WHOLE))
            whole = relax.Call(visited.op, [data, *visited.args[1:]], visited.attrs)
        return relax.op.astype(self.builder_.emit(whole), _HALF)
