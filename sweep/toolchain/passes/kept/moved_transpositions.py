"""Moves transpositions down a network, through operators that do the same in any order of dimensions, until two meet.

Two that meet become one, and one that changes nothing goes. So a pad between two convolutions, for which TVM's change
of layout has no rule, costs none. A dequantisation of a constant is turned with the constant: convolutions of integers
are known by the dequantisation that stands right before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, operator_of

__all__ = ["TRANSPOSITION", "axes_of", "moved_transpositions"]

TRANSPOSITION = "relax.permute_dims"
_DEQUANTISE = "relax.dequantize"


def moved_transpositions(module: Any) -> Any:
    """The module with fewer of them."""
    moved = module.clone()
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            moved[name] = relax.analysis.remove_all_unused(_Mover(module).visit_expr(function))
    return moved


def axes_of(transposition: Any) -> list[int]:
    """Its axes: output dimension -> input dimension."""
    rank = len(transposition.args[0].ty.shape)
    axes = transposition.attrs.axes
    return list(range(rank))[::-1] if axes is None else [int(axis) % rank for axis in axes]


@mutator
class _Mover(PyExprMutator):
    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        name = operator_of(call)
        if name == TRANSPOSITION:
            return self._joined(call)
        turn = _with_constant if name in _BINARY and _has_constant(call) else _TURNED.get(name)
        if turn is None:
            return call
        source, axes = self._transposed(call.args[0])
        if source is None:
            return call
        return relax.op.permute_dims(self.builder_.emit(turn(call, source, axes)), axes)

    def _joined(self, call: Any) -> Any:
        """A transposition, with the one before it where there is one, or that of a dequantised constant done."""
        axes, data = axes_of(call), call.args[0]
        source, before = self._transposed(data)
        if source is not None:
            axes, data = [before[axis] for axis in axes], source
        if axes == sorted(axes):
            return data
        value: Any = self.lookup_binding(data) if isinstance(data, relax.Var) else None
        if operator_of(value) == _DEQUANTISE and isinstance(value.args[0], GenericConst):
            weights = as_constant(np.ascontiguousarray(value.args[0].value.numpy().transpose(axes)))
            return _requantised(value, weights, [axes.index(axis) for axis in range(len(axes))])
        return relax.op.permute_dims(data, axes)

    def _transposed(self, value: Any) -> tuple[Any, list[int]]:
        """What a value is a transposition of, and its axes; None where it is none."""
        made: Any = self.lookup_binding(value) if isinstance(value, relax.Var) else None
        return (made.args[0], axes_of(made)) if operator_of(made) == TRANSPOSITION else (None, [])


def _turned(call: Any, source: Any, axes: list[int]) -> Any:
    return _requantised(call, source, axes)


def _requantised(call: Any, data: Any, place: Sequence[int]) -> Any:
    """The same quantisation or dequantisation of data whose dimensions lie elsewhere. place: of each, by its former."""
    make = relax.op.dequantize if operator_of(call) == _DEQUANTISE else relax.op.quantize
    axis = int(call.attrs.axis) % len(place)
    return make(data, call.args[1], call.args[2], axis=place[axis], out_dtype=str(call.attrs.out_dtype))


def _padded(call: Any, source: Any, axes: list[int]) -> Any:
    widths = [int(width) for width in call.attrs.pad_width]
    turned = [0] * len(widths)
    for after, before in enumerate(axes):
        turned[2 * before : 2 * before + 2] = widths[2 * after : 2 * after + 2]
    value = call.attrs.pad_value
    return relax.op.nn.pad(source, turned, str(call.attrs.pad_mode), float(value))


def _same(call: Any, source: Any, _axes: list[int]) -> Any:
    return relax.Call(call.op, [source, *call.args[1:]], call.attrs, call.ty_args)


def _has_constant(call: Any) -> bool:
    """Whether the right operand is a constant that can be turned, or need not be."""
    constant = call.args[1]
    return isinstance(constant, GenericConst) and len(constant.ty.shape) in (0, len(call.args[0].ty.shape))


def _with_constant(call: Any, source: Any, axes: list[int]) -> Any:
    constant = call.args[1]
    if len(constant.ty.shape) > 0:
        back = [axes.index(axis) for axis in range(len(axes))]
        constant = as_constant(np.ascontiguousarray(constant.value.numpy().transpose(back)))
    return relax.Call(call.op, [source, constant], call.attrs)


_BINARY = frozenset(f"relax.{name}" for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"))
_TURNED: dict[str, Callable[[Any, Any, list[int]], Any]] = {
    "relax.nn.pad": _padded,
    "relax.quantize": _turned,
    _DEQUANTISE: _turned,
    **dict.fromkeys(("relax.astype", "relax.clip", "relax.round", "relax.nn.relu"), _same),
}
