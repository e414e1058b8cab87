"""Repeats a tensor along one axis after the other, where a tile repeats it along several.

LLVM's loop vectoriser with AVX-512 takes wrong elements, also from beyond the tensor, for the program of such a tile:
of 150 random ones 9 were wrong, and none whose axes were repeated one by one. The pass runs on programs and not on
operators, since TVM's ONNX importer makes a program of a `Tile` at once, and before operators are fused. Its programs
count as opaque, or fusing and inlining would make the program of several axes of them again.
"""

from __future__ import annotations

from typing import Any

from tvm import relax, tirx, topi
from tvm.ir.transform import module_pass
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm_ffi import structural_equal

from sweep.toolchain.passes.call import operator_of

__all__ = ["SplitTiles"]

_NAME = "tile"
_OPAQUE = 8
"""Relax's number of operators that are fused with no other."""


@module_pass(opt_level=0, name="SplitTiles")
class SplitTiles:
    """The pass: programs of tiles over several axes."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module with such a program replaced by one for each axis; the very same where there is none."""
        repeats = {
            name: found
            for name, function in module.functions_items()
            if isinstance(function, tirx.PrimFunc) and (found := _repeats(name.name_hint, function))
        }
        if not repeats:
            return module
        for name, function in module.functions_items():
            if isinstance(function, relax.Function):
                splitter = _Splitter(module, repeats)
                splitter.builder_.update_func(name, splitter.visit_expr(function))
                module = splitter.builder_.get()
        for name in repeats:
            del module[name]
        return module


@mutator
class _Splitter(PyExprMutator):
    def __init__(self, module: Any, repeats: dict[Any, list[int]]) -> None:
        super().__init__(module)
        self._repeats = repeats

    def visit_call_(self, call: Any) -> Any:
        repeats = self._repeats.get(call.args[0]) if operator_of(call) == "relax.call_tir" else None
        if repeats is None:
            return super().visit_call_(call)
        value = self.visit_expr(call.args[1].fields[0])
        for axis, count in enumerate(repeats):
            if count != 1:
                once = [count if other == axis else 1 for other in range(len(repeats))]
                value = self.builder_.emit_te(topi.tile, value, once, primfunc_attrs={"op_pattern": _OPAQUE})
        return value


def _repeats(name: str, function: Any) -> list[int] | None:
    """How often a program repeats its tensor along each axis of its output; None where that is no tile of several."""
    buffers = [parameter.ty for parameter in function.params]
    if not name.startswith(_NAME) or [hasattr(buffer, "shape") for buffer in buffers] != [True, True]:
        return None
    sizes = [size for buffer in buffers for size in buffer.shape]
    if not all(isinstance(size, tirx.IntImm) and int(size) > 0 for size in sizes):
        return None
    shape, tiled = ([int(size) for size in buffer.shape] for buffer in buffers)
    if len(tiled) < len(shape):
        return None
    shape = [1] * (len(tiled) - len(shape)) + shape
    repeats = [many // one for many, one in zip(tiled, shape, strict=True)]
    if sum(count != 1 for count in repeats) < 2 or not _is_tile(function, buffers[0], repeats):
        return None
    return repeats


def _is_tile(function: Any, buffer: Any, repeats: list[int]) -> bool:
    """Whether a program is the one that TVM makes of a tile, and not another of that name."""
    builder = relax.BlockBuilder()
    value = relax.Var("value", relax.TensorType(buffer.shape, buffer.dtype))
    with builder.function("main", [value]):
        builder.emit_func_output(builder.emit_te(topi.tile, value, repeats))
    return bool(structural_equal(builder.get()[_NAME].body, function.body, map_free_vars=True))
