"""Writes integer convolutions and matrix products for an instruction that sums four products at once.

Weights are constants, so they are packed here, [O / lanes, KH, KW, I / 4, lanes, 4]: the order in which the instruction
reads them. TVM's own tensorisation takes weights in any order, and computes nonsense from them (docs/tvm-defects.md).
The data keep their zero point, also where a convolution pads; the sums are right by `zero * sum of the weights`, one
number an output channel, that is added as an integer.

What it makes has a block named `dot` with the annotation `sweep.dot`, for which `sweep.toolchain.tuning.space` has
designs of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, te, tirx
from tvm.ir import GenericConst
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator

from sweep.toolchain.passes.call import as_constant, constant_of, operator_of
from sweep.toolchain.passes.integers.codes import range_of
from sweep.toolchain.passes.integers.dot_targets import DOT, DotInstruction, dot_block, dot_instructions

__all__ = ["KeepPackedWeights", "PackDotProducts"]

_GROUP = 4
_MOVES = ("relax.permute_dims", "relax.reshape")
_FUSES_BEHIND = 4  # OpPatternKind: element-wise operators can be fused behind it


@module_pass(opt_level=0, name="PackDotProducts")
class PackDotProducts:
    """The pass: convolutions with channels last in one group, and products with a constant matrix."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with these as programs; where the target has no such instruction, the module as it is."""
        instructions = dot_instructions()
        if not instructions:
            return module
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                packer = _Packer(module, instructions)
                packer.builder_.update_func(name, relax.analysis.remove_all_unused(packer.visit_expr(function)))
                module = packer.builder_.get()
        return relax.transform.CanonicalizeBindings()(module)  # a variable for another would keep from fusing


@module_pass(opt_level=0, name="KeepPackedWeights")
class KeepPackedWeights:
    """The pass: what is packed already is not offered to schedules that choose the order of constants."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module without that mark on programs with packed weights."""
        for name, function in module.functions_items():
            if isinstance(function, tirx.PrimFunc) and dot_block(function) is not None:
                module[name] = function.without_attr("layout_free_buffers")
        return module


@mutator
class _Packer(PyExprMutator):
    def __init__(self, module: Any, instructions: Sequence[DotInstruction]) -> None:
        super().__init__(module)
        self._instructions = instructions

    def visit_call_(self, call: Any) -> Any:
        call = self.visit_expr_post_order(call)
        name = operator_of(call)
        packed = None
        if name == "relax.nn.conv2d":
            packed = self._convolution(call)
        elif name == "relax.matmul":
            packed = self._product(call)
        return call if packed is None else packed

    def _convolution(self, call: Any) -> Any | None:
        attrs, kernel = call.attrs, call.args[1]
        layouts = (str(attrs.data_layout), str(attrs.kernel_layout), str(attrs.out_layout or attrs.data_layout))
        if layouts != ("NHWC", "OHWI", "NHWC") or int(attrs.groups) != 1 or not _is_integer(call, kernel):
            return None
        strides, dilation = ([int(one) for one in values] for values in (attrs.strides, attrs.dilation))
        pads = [int(one) for one in attrs.padding]
        return self._packed(call, kernel.value.numpy(), pads, strides, dilation)

    def _product(self, call: Any) -> Any | None:
        data, kernel = call.args
        if not _is_integer(call, kernel) or len(kernel.ty.shape) != 2 or len(data.ty.shape) < 2:
            return None
        return self._packed(call, kernel.value.numpy().T, (), (), ())

    def _packed(
        self, call: Any, weights: Any, pads: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
    ) -> Any | None:
        """Weights: [O, ..., I]."""
        data, zero = self._codes(call.args[0])
        instruction = _fitting(self._instructions, weights.shape[0])
        wanted = "int8" if instruction.signed else "uint8"
        if not _is_byte(data) or not all(hasattr(size, "value") for size in data.ty.shape):
            return None
        shift = range_of(wanted)[0] - range_of(str(data.ty.dtype))[0]
        zero += shift
        low, high = range_of(wanted)
        if not low <= zero <= high:
            return None
        sums = weights.astype(np.int64).sum(axis=tuple(range(1, weights.ndim)))
        channels = weights.shape[0]
        window = (pads, strides, dilation, weights.shape[1:-1])
        total = self.builder_.emit_te(
            lambda data, packed: _program(data, packed, instruction, (wanted, shift, zero), window),
            data,
            as_constant(_in_order(weights, instruction.lanes)),
            primfunc_name_hint="dot_product" if not strides else "dot_convolution",
            primfunc_attrs={"op_pattern": _FUSES_BEHIND},
        )
        rank = len(call.ty.shape)
        if channels % instruction.lanes:
            total = self.builder_.emit(
                relax.op.strided_slice(total, axes=[rank - 1], begin=[0], end=[channels], assume_inbound=True)
            )
        if not zero or not sums.any():
            return total
        correction = (-zero * sums).astype(np.int32).reshape([1] * (rank - 1) + [channels])
        return self.builder_.emit(relax.op.add(total, as_constant(correction)))

    def _codes(self, value: Any) -> tuple[Any, int]:
        """The codes that centred ones were made from, and their zero point; a change of layout may lie between."""
        bound = self._bound(value)
        name = operator_of(bound)
        if name == "relax.astype" and str(bound.attrs.dtype) == "int16":
            return bound.args[0], 0
        if name == "relax.subtract":
            offset = constant_of(bound.args[1])
            codes, zero = self._codes(bound.args[0])
            if offset is not None and offset.size == 1 and not zero and _is_byte(codes):
                return codes, int(offset.item())
        if name in _MOVES:
            codes, zero = self._codes(bound.args[0])
            if _is_byte(codes):
                return self.builder_.emit(relax.Call(bound.op, [codes, *bound.args[1:]], bound.attrs)), zero
        return value, 0

    def _bound(self, value: Any) -> Any:
        while isinstance(value, relax.Var):
            value = self.lookup_binding(value)
        return value


def _is_integer(call: Any, kernel: Any) -> bool:
    return str(call.ty.dtype) == "int32" and isinstance(kernel, GenericConst) and str(kernel.ty.dtype) == "int8"


def _is_byte(value: Any) -> bool:
    return str(value.ty.dtype) in ("int8", "uint8")


def _fitting(instructions: Sequence[DotInstruction], channels: int) -> DotInstruction:
    """The widest whose registers the channels fill; where they fill none, the widest."""
    return next((one for one in instructions if channels % one.lanes == 0), instructions[0])


def _in_order(weights: Any, lanes: int) -> Any:
    """[O, ..., I] as [O / lanes, ..., I / 4, lanes, 4], with zeros for what is missing."""
    output, *window, inner = weights.shape
    none = [(0, 0)] * len(window)
    padded = np.pad(weights, [(0, -output % lanes), *none, (0, -inner % _GROUP)])
    parts = padded.reshape(-1, lanes, *window, padded.shape[-1] // _GROUP, _GROUP)
    return np.ascontiguousarray(np.moveaxis(parts, 1, -2))


def _program(
    data: Any,
    packed: Any,
    instruction: DotInstruction,
    shift: tuple[str, int, int],
    window: tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]],
) -> Any:
    """The tensor expression; its last stage is element-wise, so that whatever follows is fused in one way."""
    pads, strides, dilation, kernel = window
    source = _prepared(data, pads, shift, int(packed.shape[-3]) * _GROUP)
    lanes = instruction.lanes
    padded_channels = int(packed.shape[0]) * lanes
    axes = [te.reduce_axis((0, size), name=name) for size, name in zip(kernel, ("ky", "kx"), strict=False)]
    inner = te.reduce_axis((0, int(source.shape[-1])), name="i")
    leading = [int(size) for size in source.shape[:-1]]
    if kernel:
        reach = [(size - 1) * apart + 1 for size, apart in zip(kernel, dilation, strict=True)]
        leading[1:] = [(size - far) // by + 1 for size, far, by in zip(leading[1:], reach, strides, strict=True)]

    def place(*index: Any) -> list[Any]:
        if not kernel:
            return list(index)
        moved = [at * by + axis * apart for at, by, axis, apart in zip(index[1:], strides, axes, dilation, strict=True)]
        return [index[0], *moved]

    def product(*index: Any) -> Any:
        *at, output = index
        value = source(*place(*at), inner).astype("int32")
        weight = packed(output // lanes, *axes, inner // _GROUP, output % lanes, inner % _GROUP).astype("int32")
        return te.sum(value * weight, axis=[*axes, inner])

    total = te.compute((*leading, padded_channels), product, name="dot", attrs={DOT: instruction.name})
    return te.compute((*leading, padded_channels), lambda *index: total[index], name="dot_sum")


def _prepared(data: Any, pads: Sequence[int], shift: tuple[str, int, int], channels: int) -> Any:
    """The data in the number type of the instruction, padded with their zero point to whole groups."""
    dtype, by, zero = shift
    shape = [int(size) for size in data.shape]
    top, left, bottom, right = pads or (0, 0, 0, 0)
    around = {1: (top, bottom), 2: (left, right)} if pads else {}
    if not any(pads) and not by and shape[-1] == channels:
        return data
    sizes = [size + sum(around.get(axis, (0, 0))) for axis, size in enumerate(shape[:-1])]

    def value(*index: Any) -> Any:
        inside, place = [], []
        for axis, at in enumerate(index):
            before = around.get(axis, (0, 0))[0]
            place.append(at - before if before else at)
            if before:
                inside.append(at >= before)
            if sum(around.get(axis, (0, 0))) > before or (axis == len(shape) - 1 and channels > shape[-1]):
                inside.append(at < shape[axis] + before)
        code = data(*place)
        if by:
            code = (code.astype("int16") + tirx.const(by, "int16")).astype(dtype)
        return tirx.if_then_else(tirx.all(*inside), code, tirx.const(zero, dtype)) if inside else code

    return te.compute((*sizes, channels), value, name="prepared")
