"""Computes convolutions and matrix products on numbers of 16 bits, and adds up in float32, layer by layer.

Data and weights of such a layer are rounded to the short type, its sums and all other operators stay in float32. What
makes the data rounds them as it writes them, once operators are fused, so they move as short numbers; weights are short
in the library. On a CPU without instructions for the type TVM widens the numbers as it reads them, and the result is
the same: it is right everywhere, and fast where LLVM has the instructions.

Some layers may be kept in float32: by their place among the layers that have weights, or the first and the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import bound_values, calls_in, operator_of

__all__ = ["Keeping", "ToBFloat16", "ToFloat16", "is_layer", "keeping", "weighted_calls", "with_whole_sums"]

_WHOLE = "float32"
_CONVOLUTIONS = frozenset(
    f"relax.nn.conv{kind}" for kind in ("1d", "2d", "3d", "1d_transpose", "2d_transpose", "3d_transpose")
)
_PRODUCT = "relax.matmul"
_ATTRS = ("strides", "padding", "output_padding", "dilation", "groups", "data_layout", "kernel_layout", "out_layout")
"""Of a convolution, but for the number type of its sums."""
_PASSING = frozenset(
    ("relax.permute_dims", "relax.reshape", "relax.astype", "relax.dequantize", "relax.expand_dims", "relax.squeeze")
)
"""What weights may go through on their way to their layer."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """The layers that stay in float32."""

    places: frozenset[int] = frozenset()
    """Among the layers with weights, in the network's order."""
    layers: int | None = None
    """How many there are; None: nobody has counted."""
    first: bool = False
    last: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Keeping:
        """What the options of a lower stage ask for."""
        own = options.get("precision_options") or {}
        named = options.get("kept_layers") or {}
        first, last = bool(own.get("float32_first")), bool(own.get("float32_last"))
        return cls(frozenset(named.get("places", ())), named.get("layers"), first, last)

    def of_network(self, layers: int) -> frozenset[int]:
        """The places in a network of so many layers. Raises ValueError where it is another than the named one."""
        if self.places and self.layers != layers:
            raise ValueError(
                f"layers with weights: {self.layers} in its file, {layers} here, so that the names mean none of these"
            )
        ends = {0} if self.first and layers else set()
        return self.places | ends | ({layers - 1} if self.last and layers else set())


_NONE = Keeping()
_KEEPING: ContextVar[Keeping] = ContextVar("keeping", default=_NONE)


@contextmanager
def keeping(kept: Keeping) -> Iterator[None]:
    """For as long as it lasts the passes keep these layers: they are made by their names alone."""
    token = _KEEPING.set(kept)
    try:
        yield
    finally:
        _KEEPING.reset(token)


@module_pass(opt_level=0, name="ToBFloat16")
class ToBFloat16:
    """The pass."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with its layers on numbers of bfloat16."""
        return _reduced(module, "bfloat16")


@module_pass(opt_level=0, name="ToFloat16")
class ToFloat16:
    """The pass, for networks that keep some layers: all others are TVM's `ToMixedPrecision`'s."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with its layers on numbers of float16."""
        return _reduced(module, "float16")


def weighted_calls(function: Any) -> list[Any]:
    """The calls of a function that multiply data by weights, in its order: what a file's layers are."""
    values = bound_values(function)
    return [call for call in calls_in(function) if is_layer(call) and any(_is_fixed(a, values) for a in call.args[:2])]


def is_layer(call: Any) -> bool:
    """Whether it is a convolution or a matrix product."""
    return operator_of(call) in _CONVOLUTIONS or operator_of(call) == _PRODUCT


def _is_fixed(value: Any, values: Mapping[Any, Any]) -> bool:
    value = values.get(value, value) if isinstance(value, relax.Var) else value
    if isinstance(value, GenericConst):
        return True
    return operator_of(value) in _PASSING and _is_fixed(value.args[0], values)


def _reduced(module: Any, dtype: str) -> Any:
    reduced = module.clone()
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            layers = weighted_calls(function)
            places = _KEEPING.get().of_network(len(layers))
            kept = [call for place, call in enumerate(layers) if place in places]
            reduced[name] = relax.analysis.remove_all_unused(_Reducer(module, dtype, kept).visit_expr(function))
    return reduced


@mutator
class _Reducer(PyExprMutator):
    def __init__(self, module: Any, dtype: str, kept: list[Any]) -> None:
        super().__init__(module)
        self._dtype, self._kept = dtype, kept

    def visit_call_(self, call: Any) -> Any:
        is_kept = any(call.same_as(one) for one in self._kept)
        visited = super().visit_call_(call)
        if not is_layer(call) or is_kept or any(str(operand.ty.dtype) != _WHOLE for operand in call.args[:2]):
            return visited
        data, weights = (self._short(operand) for operand in visited.args[:2])
        return with_whole_sums(visited, data, weights)

    def _short(self, operand: Any) -> Any:
        if isinstance(operand, GenericConst):
            return relax.const(_rounded(operand.value.numpy(), self._dtype), self._dtype)
        return self.builder_.emit(relax.op.astype(operand, self._dtype))


def _rounded(array: Any, dtype: str) -> Any:
    if dtype == "float16":
        return np.asarray(array, np.float16)
    import ml_dtypes

    return np.asarray(array).astype(getattr(ml_dtypes, dtype))


def with_whole_sums(call: Any, data: Any, weights: Any) -> Any:
    """The layer on these operands, with its sums in float32."""
    if operator_of(call) == _PRODUCT:
        return relax.op.matmul(data, weights, out_dtype=_WHOLE)
    plain = {name: _plain(getattr(call.attrs, name)) for name in _ATTRS if hasattr(call.attrs, name)}
    return getattr(relax.op.nn, operator_of(call).rpartition(".")[2])(data, weights, **plain, out_dtype=_WHOLE)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    return int(value) if hasattr(value, "__int__") else [int(each) for each in value]
