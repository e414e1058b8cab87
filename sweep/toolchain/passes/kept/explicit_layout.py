"""Gives all convolutions the layout that a study names, at every level and whatever is gained or lost by it.

TVM's ConvertLayout goes back to the layout of the import at each operator that it has no rule for, with a transposition
before and one behind. In a quantised network these are all, since every convolution stands between a dequantisation and
a quantisation. Those that go number by number are given the rule of a ReLU for as long as it runs; a PReLU is taken
apart into such operators; a constant operand of lower rank, as a bias is, is given all dimensions first; and
transpositions are moved through what is left (`moved_transpositions`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm import ir, relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, bound_values, calls_in, operator_of
from sweep.toolchain.passes.kept.moved_transpositions import moved_transpositions
from sweep.toolchain.passes.layout import ABOVE_THE_DEFAULT, CONV2D, RULE, converted

__all__ = ["AllNCHW", "AllNHWC"]

_RANK = 4
_BY_NUMBER = ("relax.clip", "relax.round", "relax.astype")
_QUANTISING = ("relax.quantize", "relax.dequantize")
_BINARY = frozenset(f"relax.{name}" for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"))


@module_pass(opt_level=0, name="AllNHWC")
class AllNHWC:
    """The pass: every convolution has channels last."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in that layout."""
        return _in_layout(module, ["NHWC", "OHWI"])


@module_pass(opt_level=0, name="AllNCHW")
class AllNCHW:
    """The pass: every convolution has channels second."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in that layout."""
        return _in_layout(module, ["NCHW", "OIHW"])


def _in_layout(module: Any, layouts: list[str]) -> Any:
    ready = _each_function(module, _Readier)
    rule = ir.Op.get("relax.nn.relu").get_attr(RULE)
    names = (*_BY_NUMBER, *(_QUANTISING if _quantises_whole_tensors(ready) else ()))
    with _with_rule([name for name in names if ir.Op.get(name).get_attr(RULE) is None], rule):
        placed = converted(ready, lambda call: {CONV2D: layouts})
    return moved_transpositions(placed)


def _quantises_whole_tensors(module: Any) -> bool:
    """Whether no value that flows has a scale for each channel: an axis would then have to turn with the layout."""
    for _, function in module.functions_items():
        if isinstance(function, relax.Function):
            values = bound_values(function)
            for call in calls_in(function):
                by_channel = operator_of(call) in _QUANTISING and len(call.args[1].ty.shape) > 0
                if by_channel and not _is_fixed(call.args[0], values):
                    return False
    return True


def _is_fixed(value: Any, values: Any) -> bool:
    return isinstance(values.get(value, value), GenericConst)


@contextmanager
def _with_rule(names: list[str], rule: Any) -> Iterator[None]:
    """For as long as it lasts these operators, which have none, go along with any layout."""
    for name in names:
        ir.Op.get(name).set_attr(RULE, rule, ABOVE_THE_DEFAULT)
    try:
        yield
    finally:
        for name in names:
            ir.Op.get(name).reset_attr(RULE)


def _each_function(module: Any, make: Any) -> Any:
    changed = module.clone()
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            changed[name] = relax.analysis.remove_all_unused(make(module).visit_expr(function))
    return changed


@mutator
class _Readier(PyExprMutator):
    """Makes of a module what keeps any layout."""

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        name = operator_of(call)
        if name == "relax.nn.prelu":
            return self._prelu(call)
        if name in _BINARY:
            ranks = [_rank(operand) for operand in call.args]
            if _RANK in ranks and any(0 < rank < _RANK for rank in ranks):
                return relax.Call(call.op, [self._whole(operand) for operand in call.args], call.attrs)
        return call

    def _whole(self, operand: Any) -> Any:
        """An operand with all dimensions, of which it had the last ones."""
        rank = _rank(operand)
        if not 0 < rank < _RANK:
            return operand
        sizes = [1] * (_RANK - rank) + [int(size) for size in operand.ty.shape]
        return self._shaped(operand, sizes)

    def _shaped(self, operand: Any, sizes: list[int]) -> Any:
        if isinstance(operand, GenericConst):
            return as_constant(operand.value.numpy().reshape(sizes))
        return self.builder_.emit(relax.op.reshape(operand, sizes))

    def _prelu(self, call: Any) -> Any:
        data, slope = call.args
        rank = _rank(data)
        if rank != _RANK or _rank(slope) != 1:
            return call
        sizes = [1] * rank
        sizes[int(call.attrs.axis) % rank] = int(slope.ty.shape[0])
        zero = relax.const(0, str(data.ty.dtype))
        above = self.builder_.emit(relax.op.maximum(data, zero))
        below = self.builder_.emit(relax.op.minimum(data, zero))
        scaled = self.builder_.emit(relax.op.multiply(below, self._shaped(slope, sizes)))
        return relax.op.add(above, scaled)


def _rank(value: Any) -> int:
    shape = getattr(getattr(value, "ty", None), "shape", None)
    return -1 if shape is None else len(shape)
