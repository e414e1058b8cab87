"""Makes a quantised network compute in integers.

Importers give a quantised operator as what it means: dequantise, an operator on floats, quantise. So an int8 network is
as slow as a float one. Here products of dequantised tensors become products of their codes less their zero points,
summed exactly in 32 bits, and scaled in float32 behind it. What follows (bias, activation, the rounding of the next
quantisation) stays the arithmetic that it was, element-wise, and is fused behind the sum. Codes are moved, pooled by
their maximum and concatenated as codes.

A sum of codes is exact where the float one is rounded, and its scale, its bias and the division by the next scale
become one product and one sum: results are within one step of those of the network as imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, calls_of, constant_of, operator_of, uses_in
from sweep.toolchain.passes.integers.codes import CODES, Quantised, along, may_overflow, range_of
from sweep.toolchain.passes.integers.dot_targets import signed_activations
from sweep.toolchain.passes.integers.real_values import Affine, RealValues
from sweep.toolchain.passes.integers.taken_codes import TakenCodes

__all__ = ["ExecuteIntegers"]

_DEQUANTIZE, _QUANTIZE = "relax.dequantize", "relax.quantize"
_MOVES = ("relax.reshape", "relax.permute_dims", "relax.squeeze", "relax.expand_dims", "relax.flatten")
_CARRIES = (*_MOVES, "relax.strided_slice", "relax.nn.max_pool2d")
"""Operators whose result holds some of the numbers that they are given, and no other."""


@module_pass(opt_level=0, name="ExecuteIntegers")
class ExecuteIntegers:
    """The pass: convolutions and matrix products of quantised tensors, and what moves such tensors."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in integers where it is quantised; another is left as it is."""
        if not any(operator_of(call) == _DEQUANTIZE for call in calls_of(module)):
            return module
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                changed = _Integers(module, uses_in(function)).visit_expr(function)
                module[name] = relax.analysis.remove_all_unused(changed)
        return relax.transform.CanonicalizeBindings()(module)  # a variable for another would keep from fusing


@mutator
class _Integers(PyExprMutator):
    """Knows of each variable of floats which codes it was made from, and emits what takes the codes instead."""

    def __init__(self, module: Any, uses: Counter[Any]) -> None:
        super().__init__(module)
        self._values = RealValues(self.builder_.emit, self.lookup_binding)
        self._uses = uses
        self._bound: Any = None
        """The variable whose value is visited."""
        self._codes = TakenCodes(self.builder_.emit, signed_activations())
        self._rules: dict[str, Callable[[Any], Any]] = {
            _DEQUANTIZE: self._dequantised,
            _QUANTIZE: self._quantised,
            "relax.nn.conv2d": self._convolution,
            "relax.matmul": self._product,
            "relax.concat": self._concatenation,
            "relax.add": self._sum,
            "relax.nn.relu": self._relu,
            "relax.clip": self._limited,
            **dict.fromkeys(_CARRIES, self._carried),
        }

    def visit_var_binding_(self, binding: Any) -> None:
        self._bound = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, call: Any) -> Any:
        call = self.visit_expr_post_order(call)
        rule = self._rules.get(operator_of(call))
        done = rule(call) if rule is not None else None
        return call if done is None else done

    # -- between numbers and codes ------------------------------------------------------------------------------------

    def _dequantised(self, call: Any) -> Any | None:
        codes = self._values.origin(call.args[0])
        scale, zero = (self._values.constant(one) for one in call.args[1:])
        array = self._values.constant(codes)
        if scale is None or zero is None or not _has_shape(codes) or _dtype(call) != "float32":
            return None
        real = Quantised.of(codes, scale, zero, int(call.attrs.axis), array)
        if real is None:
            return None
        if array is None:
            real = self._codes.taken(real)
        return self._values.know(self._values.floats(real) if array is None else self._emit(call), real)

    def _quantised(self, call: Any) -> Any | None:
        numbers = self._values.origin(call.args[0])
        scale, zero = (self._values.constant(one) for one in call.args[1:])
        dtype = str(call.attrs.out_dtype)
        if dtype not in CODES or scale is None or zero is None:
            return None
        if not _has_shape(numbers) or _dtype(numbers) != "float32":
            return None
        wanted = Quantised.of(numbers, scale, zero, int(call.attrs.axis))
        if wanted is None:
            return None
        real = self._values.real(numbers)
        taken = self._codes.type_for(dtype)
        shift = range_of(taken)[0] - range_of(dtype)[0]
        if real is not None and real.means(taken, wanted.scale, wanted.zero + shift):
            codes = real.codes
        else:
            codes = self._rounded(numbers, wanted, taken, shift)
        return self._codes.as_type(codes, dtype)

    def _rounded(self, numbers: Any, wanted: Quantised, dtype: str, shift: int) -> Any:
        offset = wanted.zero + shift
        low, high = range_of(dtype)
        ones = np.ones([1] * len(numbers.ty.shape), np.float32)
        affine = self._values.affine(numbers)
        if affine is None or not wanted.is_uniform:
            value = self._emit(relax.op.divide(numbers, as_constant(wanted.scale)))
        else:
            inverse = 1.0 / wanted.scale.astype(np.float64)
            value = self._emit(relax.op.astype(affine.total, "float32"))
            value = self._emit(relax.op.multiply(value, as_constant((affine.scale * inverse).astype(np.float32))))
            if affine.bias is not None:
                value = self._emit(relax.op.add(value, as_constant((affine.bias * inverse).astype(np.float32))))
            if affine.is_positive and offset.item() != low:
                value = self._emit(relax.op.maximum(value, as_constant(ones * np.float32(0))))
        value = self._emit(relax.op.round(value))
        if offset.any():
            value = self._emit(relax.op.add(value, as_constant(offset.astype(np.float32))))
        # Not relax.op.clip, which has no rule for a change of layout
        value = self._emit(relax.op.maximum(value, as_constant(ones * np.float32(low))))
        value = self._emit(relax.op.minimum(value, as_constant(ones * np.float32(high))))
        return self._emit(relax.op.astype(value, dtype))

    # -- products -----------------------------------------------------------------------------------------------------

    def _convolution(self, call: Any) -> Any | None:
        data, kernel = (self._values.real(one) for one in call.args)
        if data is None or kernel is None or not data.is_uniform or not _are_codes(data, kernel):
            return None
        weights = kernel.centred()
        layout = str(call.attrs.kernel_layout)
        if weights is None or len(layout) != weights.ndim:
            return None
        output, inner = layout.index("O"), layout.index("I")
        scales = along(kernel.scale, (output, inner) if int(call.attrs.groups) > 1 else (output,))
        channels = str(call.attrs.out_layout or call.attrs.data_layout).index("C")
        many = int(call.ty.shape[channels])
        if scales is None or scales.size not in (1, many) or may_overflow(data, weights, weights.size // many):
            return None
        attrs = {name: getattr(call.attrs, name) for name in _CONVOLUTION_ATTRS}
        total = self._emit(relax.op.nn.conv2d(self._centred(data), as_constant(weights), **attrs, out_dtype="int32"))
        return self._scaled(total, data.scale.item() * scales, channels)

    def _product(self, call: Any) -> Any | None:
        data, kernel = (self._values.real(one) for one in call.args)
        if data is None or kernel is None or not data.is_uniform or not _are_codes(data, kernel):
            return None
        rank, terms = len(kernel.codes.ty.shape), int(call.args[0].ty.shape[-1])
        if kernel.array is not None:
            values = kernel.centred()
            rank = kernel.array.ndim
            scales = along(kernel.scale, (rank - 1,)) if rank > 1 else None
            other: Any = as_constant(values)
        else:
            values, scales = None, kernel.scale.reshape(-1) if kernel.is_uniform else None
            other = self._centred(kernel) if scales is not None else None
        if scales is None or rank < 2 or may_overflow(data, values, terms) or not len(call.ty.shape):
            return None
        total = self._emit(relax.op.matmul(self._centred(data), other, out_dtype="int32"))
        return self._scaled(total, data.scale.item() * scales, len(call.ty.shape) - 1)

    def _centred(self, real: Quantised) -> Any:
        """Codes less their zero point, which no longer needs one where a convolution pads."""
        if real.dtype == "int8" and not real.zero.any():
            return real.codes
        wide = self._emit(relax.op.astype(real.codes, "int16"))
        if not real.zero.any():
            return wide
        return self._emit(relax.op.subtract(wide, as_constant(real.zero.astype(np.int16))))

    def _scaled(self, total: Any, scales: Any, axis: int) -> Any:
        rank = len(total.ty.shape)
        shape = [scales.size if index == axis else 1 for index in range(rank)]
        scale = scales.astype(np.float32).reshape(shape)
        numbers = self._emit(relax.op.multiply(self._emit(relax.op.astype(total, "float32")), as_constant(scale)))
        return self._follows(numbers, Affine(total, scale))

    # -- what follows a sum -------------------------------------------------------------------------------------------

    def _sum(self, call: Any) -> Any | None:
        """A bias."""
        for one, other in (call.args, reversed(call.args)):
            affine, bias = self._values.affine(one), self._values.numbers(other)
            if affine is None or bias is None or affine.is_positive or bias.ndim > len(call.ty.shape):
                continue
            bias = bias.reshape([1] * (affine.scale.ndim - bias.ndim) + list(bias.shape))
            if np.prod(np.broadcast_shapes(bias.shape, affine.scale.shape)) == max(bias.size, affine.scale.size):
                whole = bias if affine.bias is None else affine.bias + bias
                return self._follows(self._emit(call), replace(affine, bias=whole.astype(np.float32)))
        return None

    def _relu(self, call: Any) -> Any | None:
        affine = self._values.affine(call.args[0])
        return None if affine is None else self._follows(self._emit(call), replace(affine, is_positive=True))

    def _follows(self, variable: Any, affine: Affine) -> Any:
        if self._uses[self._bound] == 1:
            self._values.know_affine(variable, affine)
        return variable

    # -- what carries codes -------------------------------------------------------------------------------------------

    def _carried(self, call: Any) -> Any | None:
        real = self._values.real(call.args[0])
        if real is None:
            codes = self._codes.of(self._values.origin(call.args[0]))
            if codes is None:
                return None
            return self._codes.as_type(
                self._emit(relax.Call(call.op, [codes, *call.args[1:]], call.attrs)), _dtype(call)
            )
        if real.array is not None:
            if operator_of(call) not in _MOVES:
                return None
            turned = self._turned(call, real)
            return None if turned is None else self._values.know(self.builder_.emit(call), turned)
        if not real.is_uniform or real.dtype not in CODES:
            return None
        codes = self._emit(relax.Call(call.op, [real.codes, *call.args[1:]], call.attrs))
        return self._values.carried(codes, real)

    def _turned(self, call: Any, real: Quantised) -> Quantised | None:
        assert real.array is not None
        if operator_of(call) != "relax.permute_dims":
            return real.reshaped([int(size) for size in call.ty.shape])
        axes = call.attrs.axes
        rank = real.array.ndim
        return real.permuted(list(range(rank))[::-1] if axes is None else [int(axis) % rank for axis in axes])

    def _limited(self, call: Any) -> Any | None:
        """An activation of codes, as importers write it: mostly one that limits nothing."""
        codes = self._codes.of(self._values.origin(call.args[0]))
        limits = [limit for one in call.args[1:] if (limit := constant_of(one)) is not None]
        if codes is None or len(limits) < len(call.args[1:]):
            return None
        dtype = _dtype(call)
        low, high = range_of(dtype)
        shift = range_of(_dtype(codes))[0] - low
        least, most = max(int(limits[0]), low), min(int(limits[1]), high)
        ones = np.ones([1] * len(call.ty.shape), _dtype(codes))
        if least > low:
            codes = self._emit(relax.op.maximum(codes, as_constant((ones * (least + shift)).astype(ones.dtype))))
        if most < high:
            codes = self._emit(relax.op.minimum(codes, as_constant((ones * (most + shift)).astype(ones.dtype))))
        return self._codes.as_type(codes, dtype)

    def _concatenation(self, call: Any) -> Any | None:
        parts = call.args[0]
        reals = [self._values.real(part) for part in parts.fields] if isinstance(parts, relax.Tuple) else []
        if not reals or any(real is None or real.array is not None or real.dtype not in CODES for real in reals):
            return None
        first, *others = (real for real in reals if real is not None)
        if not all(one.means(first.dtype, first.scale, first.zero) for one in (first, *others)):
            return None
        codes = relax.op.concat([first.codes, *(other.codes for other in others)], axis=call.attrs.axis)
        return self._values.carried(self._emit(codes), first)

    def _emit(self, value: Any) -> Any:
        return self.builder_.emit(value)


_CONVOLUTION_ATTRS = ("strides", "padding", "dilation", "groups", "data_layout", "kernel_layout", "out_layout")


def _dtype(value: Any) -> str:
    return str(getattr(value.ty, "dtype", ""))


def _has_shape(value: Any) -> bool:
    shape = getattr(value.ty, "shape", None)
    return shape is not None and all(hasattr(size, "value") for size in shape)


def _are_codes(*reals: Quantised) -> bool:
    return all(real.dtype in CODES for real in reals)
