"""Describes a workload and its target to tuners, as plain numbers: the loops that multi-level tiling takes apart, the
tensors that they access, the operations of a call, and the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.search.space import Access, Axis, CpuModel, LoopNest

if TYPE_CHECKING:
    from tvm.ir import IRModule
    from tvm.s_tir.schedule import Trace
    from tvm.target import Target

__all__ = ["REDUCES", "are_fused", "axis_of", "flops_of", "is_parallel", "machine_of", "nest_of", "traffic_of"]

_TILING = "meta_schedule.tiling_structure"
REDUCES = 2
"""The kind of an axis that is summed over: `tirx.IterVar.CommReduce`."""


def machine_of(target: Target) -> CpuModel:
    """What a schedule has to fit, from the target's features."""
    bits = _vector_bits(target)
    wide = bits >= 512 or str(target.attrs.get("mtriple", "")).startswith(("aarch64", "arm64"))
    return CpuModel(lanes=max(1, bits // 32), registers=32 if wide else 16, threads=_cores_of(target) or 1)


def is_parallel(target: Target) -> bool:
    """Whether loops are to be shared by threads: also where the target does not tell of its cores."""
    return _cores_of(target) != 1


def _cores_of(target: Target) -> int | None:
    cores = target.attrs.get("num-cores")
    return None if cores is None else max(1, int(cores))


def _vector_bits(target: Target) -> int:
    """Of a vector register. TVM's own answer is 512 for every x86 CPU (docs/tvm-defects.md)."""
    from tvm.target import codegen

    if str(target.kind.name) != "llvm":
        return 128
    bits = int(codegen.llvm_get_vector_width(target))
    if target.attrs.get("vector-width") is not None or bits <= 128:
        return bits
    widths = {"avx512f": 512, "avx": 256}
    return next((width for name, width in widths.items() if codegen.llvm_cpu_has_features(name, target)), 128)


def flops_of(module: IRModule) -> float:
    """Floating-point operations of one call."""
    import tvm_ffi

    return float(tvm_ffi.get_global_func("s_tir.analysis.EstimateTIRFlops")(module))


def traffic_of(module: IRModule) -> float:
    """Bytes of the tensors that one call reads and writes, each once."""
    import tvm_ffi

    buffers = [parameter.ty for parameter in module["main"].params if hasattr(parameter.ty, "shape")]
    return float(sum(math.prod(map(int, one.shape)) * tvm_ffi.dtype(str(one.dtype)).bits / 8 for one in buffers))


def nest_of(module: IRModule, traces: Sequence[Trace]) -> tuple[LoopNest | None, str | None]:
    """The block that multi-level tiling takes apart, and its name."""
    from tvm.s_tir import Schedule
    from tvm.sym import detect_linear_equation

    tiled = [
        _block_name(trace, instruction.inputs[0])
        for trace in traces
        for instruction in trace.insts
        if str(instruction.kind.name) == "Annotate" and str(instruction.attrs[0]) == _TILING
    ]
    name = next((found for found in tiled if found is not None), None)
    if name is None:
        return None, None
    schedule = Schedule(module)
    block = schedule.get(schedule.get_sblock(name))
    variables = [iteration.var for iteration in block.iter_vars]
    free = {int(number) for number in (module["main"].attrs.get("layout_free_buffers") or ())}
    packed = [parameter for number, parameter in enumerate(module["main"].params) if number in free]
    accesses = []
    for region in [*block.writes, *block.reads]:
        dims = []
        for index in region.region:
            terms = detect_linear_equation(index.min, variables)
            strides = [
                (axis, int(terms[axis])) for axis in range(len(variables)) if len(terms) and _is_number(terms[axis])
            ]
            dims.append(tuple((axis, stride) for axis, stride in strides if stride))
        size = _bytes_of(str(region.source.dtype))
        accesses.append(Access(tuple(dims), size, any(region.source.same_as(parameter) for parameter in packed)))
    axes = tuple(Axis(int(i.dom.extent), int(i.iter_type) == REDUCES) for i in block.iter_vars)
    return LoopNest(axes, tuple(accesses)), name


def are_fused(traces: Sequence[Trace]) -> list[bool]:
    """Whether a design computes the tiled block's consumer in its tiles; all count as such where none does."""
    fused = [any(str(i.kind.name) == "ReverseComputeAt" for i in trace.insts) for trace in traces]
    return fused if any(fused) else [True] * len(fused)


def _is_number(term: Any) -> bool:
    try:
        int(term)
    except (TypeError, ValueError):
        return False
    return True


def _bytes_of(dtype: str) -> int:
    bits = "".join(character for character in dtype if character.isdigit())
    return max(1, int(bits or 32) // 8)


def axis_of(trace: Trace, instruction: Any, block: Any) -> int | None:
    """The axis of the nest that a tile's loop is: its position among the loops of the tiled block."""
    if block is None:
        return None
    loop = instruction.inputs[0]
    for other in trace.insts:
        if str(other.kind.name) == "GetLoops":
            for position, output in enumerate(other.outputs):
                if output.same_as(loop):
                    return position if _block_name(trace, other.inputs[0]) == block else None
    return None


def _block_name(trace: Trace, block: Any) -> str | None:
    for instruction in trace.insts:
        if str(instruction.kind.name) == "GetSBlock" and instruction.outputs[0].same_as(block):
            return str(instruction.attrs[0])
    return None
