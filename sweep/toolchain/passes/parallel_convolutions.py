"""Combines convolutions that read the same tensor: their weights are concatenated, and the result is split again.

Inception's branches begin with three 1x1 convolutions of one input. Together they are one larger matrix product,
which tiles and threads better; the price is a copy of the parts. TVM combines parallel matrix products by itself
(CombineParallelMatmul) and not convolutions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, operator_of

__all__ = ["CombineParallelConv2D"]

_CHANNEL_AXIS = 1
"""Of NCHW data, and 0 of OIHW weights; other layouts are left alone."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """A convolution with the bias and the ReLU that follow it, each the only use of what is before."""

    variables: tuple[Any, ...]
    """What the chain binds, from the convolution on; only the last is used elsewhere."""
    call: Any
    bias: Any | None
    relu: bool

    @property
    def channels(self) -> int:
        return int(self.call.args[1].value.shape[0])


@module_pass(opt_level=0, name="CombineParallelConv2D")
class CombineParallelConv2D:
    """The pass: works on dataflow blocks with constant weights, one group, layouts NCHW and OIHW."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with every group of at least two parallel convolutions combined."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                groups = _groups(function)
                if groups:
                    module[name] = relax.analysis.remove_all_unused(_Combiner(module, groups).visit_expr(function))
        return module


@mutator
class _Combiner(PyExprMutator):
    """Emits a group where its first convolution stood and lets the end of each branch name its part."""

    def __init__(self, module: Any, groups: list[list[_Branch]]) -> None:
        super().__init__(module)
        self._group_at = {group[0].variables[0]: group for group in groups}
        self._gone = {variable for group in groups for branch in group for variable in branch.variables}
        self._made: dict[Any, Any] = {}

    def visit_dataflow_var_(self, op: Any) -> Any:
        return self._made[op] if op in self._made else super().visit_dataflow_var_(op)

    def visit_var_binding_(self, binding: Any) -> None:
        if binding.var in self._group_at:
            self._emit(self._group_at[binding.var])
        if binding.var not in self._gone:
            super().visit_var_binding_(binding)

    def _emit(self, group: list[_Branch]) -> None:
        first = group[0]
        weights = as_constant(np.concatenate([branch.call.args[1].value.numpy() for branch in group]))
        data = self.visit_expr(first.call.args[0])
        combined = self.builder_.emit(relax.Call(first.call.op, [data, weights], first.call.attrs))
        if first.bias is not None:
            biases = [branch.bias.value.numpy() for branch in group]  # type: ignore[union-attr]
            combined = self.builder_.emit(relax.op.add(combined, as_constant(np.concatenate(biases, _CHANNEL_AXIS))))
        if first.relu:
            combined = self.builder_.emit(relax.op.nn.relu(combined))
        ends = np.cumsum([branch.channels for branch in group])[:-1].tolist()
        parts = self.builder_.emit(relax.op.split(combined, [int(end) for end in ends], _CHANNEL_AXIS))
        for index, branch in enumerate(group):
            self._made[branch.variables[-1]] = self.builder_.emit(relax.TupleGetItem(parts, index))


def _groups(function: Any) -> list[list[_Branch]]:
    found: dict[Any, list[_Branch]] = defaultdict(list)
    for block in function.body.blocks:
        if not isinstance(block, relax.DataflowBlock):
            continue
        users = relax.analysis.udchain(block)
        values = {binding.var: binding.value for binding in block.bindings if hasattr(binding, "value")}
        for binding in block.bindings:
            call = getattr(binding, "value", None)
            if _is_combinable(call):
                branch = _branch(binding.var, call, users, values)
                if isinstance(branch.variables[-1], relax.DataflowVar):
                    found[_key(branch)].append(branch)
    return [group for group in found.values() if len(group) > 1]


def _is_combinable(call: Any) -> bool:
    if not isinstance(call, relax.Call) or operator_of(call) != "relax.nn.conv2d":
        return False
    attrs = call.attrs
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout))
    constant = isinstance(call.args[1], GenericConst)
    return constant and int(attrs.groups) == 1 and layouts[:2] == ("NCHW", "OIHW") and layouts[2] in ("NCHW", "")


def _branch(variable: Any, call: Any, users: Mapping[Any, Any], values: Mapping[Any, Any]) -> _Branch:
    variables, bias, relu = [variable], None, False
    following = _only_user(variable, users, values)
    if following is not None and operator_of(values[following]) == "relax.add":
        other = values[following].args[1]
        shape = (1, int(call.args[1].value.shape[0]), 1, 1)
        if isinstance(other, GenericConst) and tuple(int(size) for size in other.value.shape) == shape:
            variables, bias = [*variables, following], other
            following = _only_user(following, users, values)
    if following is not None and operator_of(values[following]) == "relax.nn.relu":
        variables, relu = [*variables, following], True
    return _Branch(tuple(variables), call, bias, relu)


def _only_user(variable: Any, users: Mapping[Any, Any], values: Mapping[Any, Any]) -> Any | None:
    following = list(users.get(variable, ()))
    return following[0] if len(following) == 1 and following[0] in values else None


def _key(branch: _Branch) -> tuple[Any, ...]:
    """Equal for branches that can be one."""
    attrs, weight = branch.call.attrs, branch.call.args[1].value
    settings = (str(list(attrs.strides)), str(list(attrs.padding)), str(list(attrs.dilation)), str(attrs.out_dtype))
    kernel = tuple(int(size) for size in weight.shape[1:])
    return branch.call.args[0], settings, kernel, str(weight.dtype), branch.bias is not None, branch.relu
