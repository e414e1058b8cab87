"""Registers tensor intrinsics for instructions that sum four products of 8-bit integers at once.

TVM's own for x86 (`dot_16x4_vnni`) does not build: since LLVM 21 the instruction takes bytes, and TVM passes words.
"""

from __future__ import annotations

from functools import cache

from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T  # noqa: N812  (TVM's scripts are parsed with this name)

from sweep.toolchain.passes.integers.dot_targets import INSTRUCTIONS, DotInstruction

__all__ = ["register_dot_intrinsics"]


@cache
def register_dot_intrinsics() -> None:
    """All of them, once a process: a trace names one wherever it is replayed."""
    for instruction in INSTRUCTIONS.values():
        TensorIntrin.register(instruction.name, *_intrinsic(instruction), override=True)


def _intrinsic(instruction: DotInstruction):  # type: ignore[no-untyped-def]
    """What it computes, and how."""
    lanes, dtype, llvm = instruction.lanes, instruction.operands, instruction.llvm
    four, sums = f"{dtype}x4", f"int32x{lanes}"
    spread, weights = f"{dtype}x{4 * lanes}", f"int8x{4 * lanes}"

    @T.prim_func(s_tir=True)
    def meaning(a: T.handle, b: T.handle, c: T.handle) -> None:
        data = T.match_buffer(a, (4,), dtype=dtype, offset_factor=1)
        weight = T.match_buffer(b, (lanes, 4), dtype="int8", offset_factor=1)
        total = T.match_buffer(c, (lanes,), dtype="int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], data[0:4], weight[0:lanes, 0:4])
            T.writes(total[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, 4):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        total[vi] = total[vi] + T.cast(data[vk], "int32") * T.cast(weight[vi, vk], "int32")

    @T.prim_func(s_tir=True)
    def instruction_of_it(a: T.handle, b: T.handle, c: T.handle) -> None:
        data = T.match_buffer(a, (4,), dtype=dtype, offset_factor=1)
        weight = T.match_buffer(b, (lanes, 4), dtype="int8", offset_factor=1)
        total = T.match_buffer(c, (lanes,), dtype="int32", offset_factor=1, scope="local")
        with T.sblock("root"):
            T.reads(total[0:lanes], data[0:4], weight[0:lanes, 0:4])
            T.writes(total[0:lanes])
            total[T.ramp(T.int32(0), 1, lanes)] = T.call_llvm_pure_intrin(
                T.llvm_lookup_intrinsic_id(llvm),
                total.vload([0], dtype=sums),
                T.reinterpret(T.broadcast(T.reinterpret(data.vload([0], four), dtype="int32"), lanes), dtype=spread),
                weight.vload([0, 0], dtype=weights),
                dtype=sums,
            )

    return meaning, instruction_of_it
