"""Pads output channels to a multiple of the vector length, where each channel is then reduced to one number.

A classifier that is a convolution has 1,000 output channels. 1,000 is 8 x 125: no tile of it fills the vectors of
AVX-512, and the convolution reaches 110 of 190 GFLOP/s (SqueezeNet's last, a quarter of the network's time). With 1,024
channels, of which the last 24 have weights of zero, it tiles like any other. The padding is cut off after the mean over
the image, where that costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, operator_of

__all__ = ["PadChannels"]

_MULTIPLE = 32
_SMALLEST = 64
"""Fewer channels: the padding would be a large share."""
_SPATIAL = (2, 3)


@module_pass(opt_level=0, name="PadChannels")
class PadChannels:
    """The pass: works on dataflow blocks with constant weights, one group, layouts NCHW and OIHW."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with every such convolution padded."""
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                chains = _chains(function)
                if chains:
                    module[name] = relax.analysis.remove_all_unused(_Padder(module, chains).visit_expr(function))
        return module


@mutator
class _Padder(PyExprMutator):
    """Emits a chain anew where its last operator stood."""

    def __init__(self, module: Any, chains: Mapping[Any, list[Any]]) -> None:
        super().__init__(module)
        self._chains = chains

    def visit_var_binding_(self, binding: Any) -> None:
        if binding.var not in self._chains:
            super().visit_var_binding_(binding)
            return
        convolution, *following = self._chains[binding.var]
        weight = convolution.args[1].value.numpy()
        channels = weight.shape[0]
        more = -channels % _MULTIPLE
        padded = as_constant(np.pad(weight, ((0, more), (0, 0), (0, 0), (0, 0))))
        value = self.builder_.emit(
            relax.Call(convolution.op, [self.visit_expr(convolution.args[0]), padded], convolution.attrs)
        )
        for call in following:
            others = [
                as_constant(np.pad(argument.value.numpy(), ((0, 0), (0, more), (0, 0), (0, 0))))
                for argument in call.args[1:]
            ]
            value = self.builder_.emit(relax.Call(call.op, [value, *others], call.attrs))
        part = relax.op.strided_slice(value, axes=[1], begin=[0], end=[channels], assume_inbound=True)
        cut = self.builder_.emit(part)
        self.set_var_remap(binding.var, cut)


def _chains(function: Any) -> dict[Any, list[Any]]:
    """Calls from a convolution to the mean over its image, by the variable that the mean is bound to."""
    found = {}
    for block in function.body.blocks:
        if not isinstance(block, relax.DataflowBlock):
            continue
        users = relax.analysis.udchain(block)
        values = {binding.var: binding.value for binding in block.bindings if hasattr(binding, "value")}
        for variable, call in values.items():
            if not _is_odd(call):
                continue
            chain = [call]
            while True:
                following = list(users.get(variable, ()))
                if len(following) != 1 or following[0] not in values:
                    break
                variable = following[0]
                if not _keeps_channels(values[variable], int(call.args[1].value.shape[0])):
                    break
                chain.append(values[variable])
                if _is_mean(values[variable]):
                    found[variable] = chain
                    break
    return found


def _is_odd(call: Any) -> bool:
    if operator_of(call) != "relax.nn.conv2d" or not isinstance(call.args[1], GenericConst):
        return False
    attrs, channels = call.attrs, int(call.args[1].value.shape[0])
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout) or "NCHW")
    if int(attrs.groups) != 1 or layouts != ("NCHW", "OIHW", "NCHW"):
        return False
    return channels > _SMALLEST and channels % _MULTIPLE > 0


def _keeps_channels(call: Any, channels: int) -> bool:
    """Whether an operator treats each channel alone, and its constants can be padded."""
    if operator_of(call) in ("relax.add", "relax.multiply"):
        other = call.args[1]
        return isinstance(other, GenericConst) and tuple(int(n) for n in other.value.shape) == (1, channels, 1, 1)
    return operator_of(call) == "relax.nn.relu" or _is_mean(call)


def _is_mean(call: Any) -> bool:
    if operator_of(call) != "relax.mean" or not bool(call.attrs.keepdims):
        return False
    return tuple(sorted(int(axis) for axis in call.attrs.axis)) == _SPATIAL
