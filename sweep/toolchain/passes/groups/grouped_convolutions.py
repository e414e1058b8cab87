"""Writes convolutions of one position in several groups, with channels last, as a product of matrices for each group.

TVM's program for them reads other data in each lane of a vector that spans two groups. Here each group has a number of
sums of its own that is a whole number of vectors: its weights, [groups, inputs, sums], have zeros for what is missing.
What follows reads the sums that there are.

A shuffle of channels before such a convolution costs no pass over the data: the convolution reads them where they were.
So does one before a depthwise convolution, whose weights are put in the order of before (`shuffled_channels`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, bound_values, operator_of, uses_in
from sweep.toolchain.passes.groups.shuffled_channels import Shuffle, Shuffled

__all__ = ["GroupedConvolutions", "is_grouped_pointwise", "sums_of"]

_LANES = 8
_MOST_VECTORS = 5
"""Of a group, that are sums of one tile."""


@module_pass(opt_level=0, name="GroupedConvolutions")
class GroupedConvolutions:
    """The pass: works on constant weights, layouts NHWC and OHWI, constant sizes."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with each such convolution as a program."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function) and any(map(_is_ours, bound_values(function).values())):
                writer = _Writer(module, function)
                writer.builder_.update_func(name, relax.analysis.remove_all_unused(writer.visit_expr(function)))
                module = writer.builder_.get()
        return module


def is_grouped_pointwise(call: Any) -> bool:
    """Whether an expression is a convolution of one position in groups of several channels, one step apart, with
    constant weights.
    """
    if operator_of(call) != "relax.nn.conv2d" or not isinstance(call.args[1], GenericConst):
        return False
    attrs, shape = call.attrs, call.args[1].ty.shape
    sizes = {axis: int(size) for axis, size in zip(str(attrs.kernel_layout), shape, strict=True)}
    is_one_position = sizes["H"] == sizes["W"] == 1
    is_plain = {int(one) for one in attrs.strides} == {1} and not any(int(one) for one in attrs.padding)
    return is_one_position and is_plain and int(attrs.groups) > 1 and sizes["I"] > 1


def _is_ours(call: Any) -> bool:
    if not is_grouped_pointwise(call):
        return False
    attrs = call.attrs
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout or attrs.data_layout))
    return layouts == ("NHWC", "OHWI", "NHWC") and all(isinstance(size, tirx.IntImm) for size in call.ty.shape)


@mutator
class _Writer(PyExprMutator):
    def __init__(self, module: Any, function: Any) -> None:
        super().__init__(module)
        self._values, self._uses = bound_values(function), uses_in(function)

    def visit_call_(self, call: Any) -> Any:
        if not _is_ours(call):
            return super().visit_call_(call)
        weights = call.args[1].value.numpy()
        groups, outputs = int(call.attrs.groups), weights.shape[0]
        by_group = weights.reshape(groups, outputs // groups, weights.shape[-1]).transpose(0, 2, 1)
        more = sums_of(outputs // groups) - outputs // groups
        padded = as_constant(np.ascontiguousarray(np.pad(by_group, ((0, 0), (0, 0), (0, more)))))
        shuffled = Shuffled.before(call.args[0], self._values, self._uses)
        shuffle = None if shuffled is None else shuffled.shuffle
        data = self.visit_expr(call.args[0] if shuffled is None else shuffled.source)
        for following in () if shuffled is None else shuffled.following():
            data = self.builder_.emit(relax.Call(following.op, [data, *following.args[1:]], following.attrs))
        program = _program(outputs, str(call.ty.dtype), shuffle)
        return self.builder_.call_te(program, data, padded, primfunc_name_hint="grouped_conv2d")


def sums_of(outputs: int) -> int:
    """Of a group: as many vectors as share evenly in tiles of a few."""
    vectors = -(-outputs // _LANES)
    if vectors > _MOST_VECTORS and all(vectors % share for share in range(2, _MOST_VECTORS + 1)):
        vectors += 1
    return vectors * _LANES


def _program(outputs: int, dtype: str, shuffle: Shuffle | None) -> Callable[[Any, Any], Any]:
    def grouped(data: Any, weights: Any) -> Any:
        groups, inputs, sums = (int(size) for size in weights.shape)
        leading, of_group = list(data.shape[:-1]), outputs // groups
        along = te.reduce_axis((0, inputs), name="k")

        def product(*index: Any) -> Any:
            *at, group, output = index
            channel = group * inputs + along
            source = channel if shuffle is None else shuffle.source_of(channel)
            return te.sum(data(*at, source).astype(dtype) * weights[group, along, output].astype(dtype), axis=along)

        total = te.compute([*leading, groups, sums], product, name="grouped_sums")
        return te.compute(
            [*leading, outputs],
            lambda *index: total(*index[:-1], index[-1] // of_group, index[-1] % of_group),
            name="grouped_conv2d",
        )

    return grouped
